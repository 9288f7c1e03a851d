"""Swin transformer (Liu et al. 2021) as BiRefNet's encoder, put together from timm's parts.

The blocks here pad a feature map to whole windows first and shift it then, which is what the published
weights were trained with. timm shifts first and pads then: other neighbours meet where a side is no multiple
of the window, as at 1024 x 1024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import (
    PatchMerging,
    SwinTransformerBlock,
    WindowAttention,
    get_relative_position_index,
)
from torch import Tensor, nn

PATCH_PX = 4  # side of the patches that become the first stage's tokens
_UNUSED_SIDE = 1  # timm's blocks want to know a size; ours take any


@dataclass(frozen=True)
class Windows:
    """How a map of h x w tokens is cut into windows of s x s, shifted or not.

    tokens: (K * s * s,) where each window's tokens come from, window by window; windows that look alike stand
    together. padding: those of them that come from outside of the map. back: (h * w,) where each token of the
    map is found afterwards. groups: how many windows stand together, and which of their tokens (s * s, s * s)
    may not see each other because only the shift made them neighbours; None where all may. positions: (s^4,)
    for each pair of a window's tokens, the row of the attention's table that holds their bias.
    """

    tokens: Tensor
    padding: Tensor
    back: Tensor
    groups: tuple[tuple[int, Tensor | None], ...]
    positions: Tensor


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # they are kept, and training may be the next to use them
def cut_windows(size_hw: tuple[int, int], side: int, shift: int, device: torch.device) -> Windows:
    """Cut a map into windows. shift: by how many tokens the cyclic shift moves it up and to the left."""
    h, w = size_hw
    down, across = -(-h // side), -(-w // side)  # windows, the last ones padded
    y = (torch.arange(down * side) + shift) % (down * side)
    x = (torch.arange(across * side) + shift) % (across * side)
    inside = (y < h)[:, None] & (x < w)[None]
    source = torch.where(inside, y[:, None] * w + x[None], -1)
    source = source.reshape(down, side, across, side).transpose(1, 2)  # (down, across, side, side)
    tokens, groups = [], []
    for last_row, last_column, part in _alike(source, shift):
        tokens.append(part.flatten())
        groups.append((part.shape[0] * part.shape[1], _apart(side, shift, last_row, last_column, device)))
    order = torch.cat(tokens)
    back = torch.empty(h * w, dtype=torch.long)
    there = (order >= 0).nonzero()[:, 0]
    back[order[there]] = there
    outside = (order < 0).nonzero()[:, 0]
    kept = tuple((count, apart) for count, apart in groups if count)
    positions = get_relative_position_index(side, side).flatten().to(device)
    return Windows(order.clamp(min=0).to(device), outside.to(device), back.to(device), kept, positions)


def _alike(source: Tensor, shift: int) -> list[tuple[bool, bool, Tensor]]:
    """Windows by what the shift does to them: those of the last row and column join both ends of the map."""
    if not shift:
        return [(False, False, source)]
    return [
        (False, False, source[:-1, :-1]),
        (False, True, source[:-1, -1:]),
        (True, False, source[-1:, :-1]),
        (True, True, source[-1:, -1:]),
    ]


def _apart(side: int, shift: int, last_row: bool, last_column: bool, device: torch.device) -> Tensor | None:
    """(side * side, side * side) bool: pairs of tokens that lie at opposite ends of the map."""
    if not (last_row or last_column):
        return None
    end = torch.arange(side) >= side - shift
    row, column = (end & torch.tensor(last_row))[:, None], (end & torch.tensor(last_column))[None]
    part = (2 * row + column).flatten()
    return (part[:, None] != part[None]).to(device)


class ShiftedBlock(SwinTransformerBlock):
    """Window attention and a perceptron, each on normalised tokens and added. (B, H, W, C) -> same.

    shift: in tokens, 0 for windows that are not shifted. The linear layers may be of lower precision than the
    rest: what is added up over the blocks, and the normalisations, then still lose nothing.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int, drop_path: float) -> None:
        super().__init__(
            channels,
            (_UNUSED_SIDE, _UNUSED_SIDE),
            heads,
            window_size=window,
            shift_size=shift,
            always_partition=True,
            dynamic_mask=True,
            drop_path=drop_path,
        )
        del self.attn.relative_position_index  # the same for all blocks: `Windows` has it

    def forward(self, x: Tensor) -> Tensor:
        precision = self.mlp.fc1.weight.dtype
        x = x + self.drop_path1(self._attn(self.norm1(x).to(precision)))
        return x + self.drop_path2(self.mlp(self.norm2(x).to(precision)))

    def _attn(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        windows = cut_windows((h, w), self.window_size[0], self.shift_size[0], x.device)
        qkv = self.attn.qkv(x).reshape(b, h * w, 3 * c).index_select(1, windows.tokens)
        if len(windows.padding):  # what the layer makes of zeros, without having to work on them
            qkv[:, windows.padding] = self.attn.qkv.bias.to(qkv.dtype)
        seen = attend(self.attn, qkv.reshape(b, -1, self.window_area, 3 * c), windows)
        return self.attn.proj(seen.reshape(b, -1, c).index_select(1, windows.back)).reshape(b, h, w, c)


def attend(attention: WindowAttention, qkv: Tensor, windows: Windows) -> Tensor:
    """Attention within each window. (B, K, s * s, 3 * C) queries, keys and values -> (B, K, s * s, C)"""
    b, k, n, _ = qkv.shape
    heads = attention.num_heads
    qkv = qkv.reshape(b, k, n, 3, heads, -1).permute(3, 0, 1, 4, 2, 5)
    bias = attention.relative_position_bias_table[windows.positions].reshape(n, n, heads).permute(2, 0, 1)
    answers, start = [], 0
    for count, apart in windows.groups:
        q, key, v = (part[:, start : start + count].reshape(b * count, heads, n, -1) for part in qkv)
        mask = bias if apart is None else bias.masked_fill(apart, float("-inf"))
        # A mask of four dimensions: with one of three, torch takes its slow way on a CPU.
        mask = mask.to(q.dtype).contiguous()[None]
        seen = F.scaled_dot_product_attention(q, key, v, attn_mask=mask)
        answers.append(seen.transpose(1, 2).reshape(b, count, n, -1))
        start += count
    return torch.cat(answers, 1)


class Merging(PatchMerging):
    """timm's, whose linear layer may be of lower precision. (B, H, W, C) -> (B, ceil(H/2), ceil(W/2), 2C)"""

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        x = F.pad(x, (0, 0, 0, w % 2, 0, h % 2))
        x = x.reshape(b, (h + 1) // 2, 2, (w + 1) // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)
        return self.reduction(self.norm(x).to(self.reduction.weight.dtype)).to(x.dtype)


class Stage(nn.Module):
    """Patches merged two by two, except in the first stage, then blocks with every second one shifted."""

    def __init__(
        self, channels: int, heads: int, window: int, drop_paths: Sequence[float], *, first: bool
    ) -> None:
        super().__init__()
        self.merge = nn.Identity() if first else Merging(channels // 2)
        self.blocks = nn.Sequential(
            *(
                ShiftedBlock(channels, heads, window, window // 2 if i % 2 else 0, drop_path)
                for i, drop_path in enumerate(drop_paths)
            )
        )
        self.norm = nn.LayerNorm(channels)  # of what leaves the encoder here; the next stage gets it raw

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.merge(x))


class Swin(nn.Module):
    """Features at strides 4, 8, 16 and 32, each normalised.

    width: channels of the first stage, doubled by every other. In: (B, 3, H, W). Out: four (B, C, h, w),
    sides rounded up.
    """

    def __init__(
        self, width: int, depths: Sequence[int], heads: Sequence[int], window: int, drop_path: float
    ) -> None:
        super().__init__()
        self.channels = tuple(width << i for i in range(len(depths)))
        self.patches = nn.Conv2d(3, width, PATCH_PX, PATCH_PX)
        self.norm = nn.LayerNorm(width)
        rates = torch.linspace(0, drop_path, sum(depths), device="cpu").split(list(depths))
        self.stages = nn.ModuleList(
            Stage(channels, h, window, rate.tolist(), first=not i)
            for i, (channels, h, rate) in enumerate(zip(self.channels, heads, rates, strict=True))
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        h, w = image.shape[-2:]
        image = F.pad(image, (0, -w % PATCH_PX, 0, -h % PATCH_PX))
        x = self.norm(self.patches(image).permute(0, 2, 3, 1))  # (B, h, w, C)
        features = []
        for stage in self.stages:
            assert isinstance(stage, Stage)
            x = stage(x)
            features.append(stage.norm(x).permute(0, 3, 1, 2))  # (B, C, h, w), channels last in memory
        return features
