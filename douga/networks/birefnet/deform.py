"""Deformable convolution with modulation (Dai et al. 2017; Zhu et al. 2019), and BiRefNet's ASPP of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.ops import deform_conv2d

# Numbers that were sampled and are held at once: 16 MiB in bfloat16, and still in reach of the caches.
_CHUNK = 1 << 23


class DeformableBranch(nn.Module):
    """A convolution that says itself, at each place, where it looks and how much it takes; norm and ReLU.

    kernel_size: odd; the size is kept. (B, inputs, H, W) -> (B, outputs, H, W)
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size, self.pad = kernel_size, kernel_size // 2
        taps = kernel_size**2
        self.where = nn.Conv2d(inputs, 2 * taps, kernel_size, padding=self.pad)  # y and x of each tap, in px
        self.how_much = nn.Conv2d(inputs, taps, kernel_size, padding=self.pad)  # before the sigmoid
        self.taken = nn.Conv2d(inputs, outputs, kernel_size, padding=self.pad, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)  # right behind the weights that it may be folded into
        for part in (*self.where.parameters(), *self.how_much.parameters()):
            nn.init.zeros_(part)  # it begins as a plain convolution

    def forward(self, x: Tensor) -> Tensor:
        share = 2 * torch.sigmoid(self.how_much(x).float())  # (B, taps, H, W)
        # A 1 x 1 kernel laid out channels-last counts as contiguous, and the operator's gradient then fails.
        weight = self.taken.weight.float().flatten().view(self.taken.weight.shape)
        bias = None if self.taken.bias is None else self.taken.bias.float()
        where = self.where(x).float()  # the operator knows no bfloat16
        taken = deform_conv2d(x.float(), where, weight, bias, padding=self.pad, mask=share)
        return F.relu(self.norm(taken.to(x.dtype)))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias that do the normalisation of eval mode too."""
        weight, bias, norm = self.taken.weight, self.taken.bias, self.norm
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            return fuse_conv_bn_weights(
                weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
        assert bias is not None
        return weight, bias

    def in_pieces(self, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        """What `forward` gives in eval mode, for one image (1, C, H, W) and without gradients.

        Yields where a piece begins among the H * W places, and it, (n, outputs).
        """
        weight, bias = self.folded()
        matrix = weight.permute(2, 3, 1, 0).reshape(-1, len(weight))  # (taps * inputs, outputs)
        for start, samples in self.sampled(x):
            yield start, torch.addmm(bias, samples, matrix).relu_()

    def sampled(self, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        """What the weight is multiplied with: where a piece begins, and its samples (n, taps * C).

        torchvision's operator takes every number by itself, on one core of a CPU; a bag of four weighted rows
        of a table is the same bilinear sample, and vectorised.
        """
        h, w = x.shape[-2:]
        channels, taps = x.shape[1], self.kernel_size**2
        table = x.permute(0, 2, 3, 1).reshape(h * w, channels)
        offset = self.where(x).permute(0, 2, 3, 1).reshape(h * w, taps, 2)
        share = self.how_much(x).permute(0, 2, 3, 1).reshape(h * w, taps)
        places = max(1, _CHUNK // (taps * channels))
        for start in range(0, h * w, places):
            part = slice(start, start + places)
            index, weight = self._corners(start, offset[part].float(), share[part].float(), (h, w))
            bags = F.embedding_bag(index, table, per_sample_weights=weight.to(x.dtype), mode="sum")
            yield start, bags.reshape(-1, taps * channels)

    def _corners(
        self, start: int, offset: Tensor, share: Tensor, size_hw: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """The four pixels around each sample of n places: table rows and weights, (n * taps, 4) each."""
        h, w = size_hw
        place = torch.arange(start, start + len(offset), device=offset.device)[:, None]
        tap = torch.arange(offset.shape[1], device=offset.device)
        y = offset[..., 0] + (place // w - self.pad + tap // self.kernel_size)  # (n, taps)
        x = offset[..., 1] + (place % w - self.pad + tap % self.kernel_size)
        share = 2 * torch.sigmoid(share)
        up_down = _two_neighbours(y, h, scale=w)
        left_right = _two_neighbours(x, w, scale=1)
        index = [row + column for row, _ in up_down for column, _ in left_right]
        weight = [down * across * share for _, down in up_down for _, across in left_right]
        return torch.stack(index, -1).reshape(-1, 4), torch.stack(weight, -1).reshape(-1, 4)


def _two_neighbours(at: Tensor, size: int, *, scale: int) -> list[tuple[Tensor, Tensor]]:
    """The pixels before and after each place, times `scale`, as int32; their weights, 0 beyond the border."""
    before = at.floor()
    found = []
    for pixel, weight in ((before, before + 1 - at), (before + 1, at - before)):
        inside = (pixel >= 0) & (pixel < size)
        found.append((pixel.clamp(0, size - 1).int() * scale, weight * inside))
    return found


class DeformableAspp(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al. 2017) whose branches are deformable (Zheng et al. 2024).

    kernels: size of each branch; one more branch sees the whole map's mean. inner: channels of each.
    (B, width, H, W) -> same.
    """

    def __init__(self, width: int, inner: int, kernels: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList(DeformableBranch(width, inner, k) for k in kernels)
        self.mean = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU()
        )
        self.join = nn.Conv2d(inner * (len(kernels) + 1), width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and not torch.is_grad_enabled() and x.device.type == "cpu":
            joined = torch.cat([self._joined_in_pieces(image[None]) for image in x])
        else:
            mean = self.mean(x).expand(-1, -1, *x.shape[-2:])
            joined = self.join(torch.cat([*(branch(x) for branch in self.branches), mean], 1))
        return self.dropout(F.relu(self.norm(joined)))

    def _joined_in_pieces(self, x: Tensor) -> Tensor:
        """All branches of one image (1, width, H, W), of which only a piece of one is ever held, joined."""
        h, w = x.shape[-2:]
        *joining, last = self.join.weight.flatten(1).t().chunk(len(self.branches) + 1)  # (inner, width) each
        bias = 0 if self.join.bias is None else self.join.bias  # there once the normalisation is folded in
        joined = (self.mean(x).flatten(1) @ last + bias).repeat(h * w, 1)
        for branch, matrix in zip(self.branches, joining, strict=True):
            assert isinstance(branch, DeformableBranch)
            for start, piece in branch.in_pieces(x):
                joined[start : start + len(piece)].addmm_(piece, matrix)
        return joined.reshape(1, h, w, -1).permute(0, 3, 1, 2)
