"""IS-Net (Qin et al., ECCV 2022): U2-Net behind a convolution of stride 2, taught by an encoder of masks.

The encoder of masks is trained first, to give a mask back; then it stands still, and the network's own
features have to follow those that it makes of the true mask (3.2, feature synchronisation). The losses are in
`douga_training.alpha_losses`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 64  # sides are padded to a multiple of it

# U2-Net's blocks: depth, 0 for the one that dilates instead of shrinking. Channels are in 64ths of the width.
_DOWN = ((7, 32, 64), (6, 32, 128), (5, 64, 256), (4, 128, 512), (0, 256, 512), (0, 256, 512))
_UP = ((7, 16, 64), (6, 32, 64), (5, 64, 128), (4, 128, 256), (0, 256, 512))
_MASKS = ((7, 16, 64), (6, 16, 64), (5, 32, 128), (4, 32, 256), (0, 64, 512), (0, 64, 512))


@dataclass(frozen=True)
class IsNetConfig:
    """Everything that shapes the network; travels inside the checkpoint.

    width: channels of the first convolution; 64 as published (44 M parameters), a multiple of 4. mean: what
    is taken off each colour (0 to 1); 0.5 in the paper, 0 in the anime IS-Net.
    """

    width: int = 64
    mean: float = 0.5

    def __post_init__(self) -> None:
        if self.width % 4 or self.width <= 0:
            raise ValueError(f"width must be a multiple of 4, got {self.width}; 64 is the published one")

    def channels(self, of_64: int) -> int:
        """Channels of a part that has so many at a width of 64."""
        return of_64 * self.width // 64


class Supervised(NamedTuple):
    """What training looks at: of six stages, the finest first, the answer and what it was made of.

    logits: (B, 1, H, W) each. features: (B, C, h, w) at strides 2 to 64; those of the network and of the
    encoder of masks have the same shapes.
    """

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...]


def _conv(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """3 x 3 convolution that keeps the size, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _like(x: Tensor, other: Tensor) -> Tensor:
    return F.interpolate(x, other.shape[-2:], mode="bilinear", align_corners=False)


def _halved(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, 2, ceil_mode=True)


class ResidualU(nn.Module):
    """U2-Net's block: a small U-Net whose answer is added to its input (Qin et al. 2020).

    depth: levels, the last of which dilates; 0 is the variant with four levels that only dilates.
    (B, inputs, H, W) -> (B, outputs, H, W)
    """

    def __init__(self, depth: int, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.shrinks = depth > 0
        dilations = [1] * (depth - 1) + [2] if self.shrinks else [1, 2, 4, 8]
        self.enter = _conv(inputs, outputs)
        self.down = nn.ModuleList(
            _conv(inner if i else outputs, inner, dilation) for i, dilation in enumerate(dilations)
        )
        self.up = nn.ModuleList(
            _conv(2 * inner, inner if i else outputs, dilation) for i, dilation in enumerate(dilations[:-1])
        )

    def forward(self, x: Tensor) -> Tensor:
        entered = x = self.enter(x)
        levels = []
        for i, conv in enumerate(self.down):
            # The last level works at the size of the one before it.
            x = conv(_halved(x) if self.shrinks and 0 < i < len(self.down) - 1 else x)
            levels.append(x)
        for conv, level in zip(reversed(self.up), reversed(levels[:-1]), strict=True):
            x = conv(torch.cat([_like(x, level) if self.shrinks else x, level], 1))
        return x + entered


class IsNet(nn.Module):
    """(B, 3, H, W) float32, normalised by `mean` and `std`, any size -> (B, 1, H, W) float32 logits of alpha.

    In training mode it returns `Supervised` and takes sides that are multiples of 64. Sides that are not are
    padded with the border's own pixels, below and to the right, and cut off again.
    """

    std = (1.0, 1.0, 1.0)  # of RGB in 0 to 1

    def __init__(self, config: IsNetConfig) -> None:
        super().__init__()
        self.config = config
        self.mean = (config.mean,) * 3
        c = config.channels
        self.enter = nn.Conv2d(3, c(64), 3, 2, padding=1)
        outputs = [c(out) for _, _, out in _DOWN]
        self.down = nn.ModuleList(
            ResidualU(depth, inputs, c(inner), c(out))
            for (depth, inner, out), inputs in zip(_DOWN, [c(64), *outputs], strict=False)
        )
        below = [c(out) for _, _, out in _UP[1:]] + [outputs[-1]]
        self.up = nn.ModuleList(
            ResidualU(depth, deeper + same, c(inner), c(out))
            for (depth, inner, out), deeper, same in zip(_UP, below, outputs[:-1], strict=True)
        )
        sides = [c(out) for _, _, out in _UP] + [outputs[-1]]
        self.side = nn.ModuleList(nn.Conv2d(channels, 1, 3, padding=1) for channels in sides)

    def forward(self, image: Tensor) -> Tensor | Supervised:
        h, w = image.shape[-2:]
        pad_wh = -w % STRIDE, -h % STRIDE
        if self.training:
            if any(pad_wh):
                raise ValueError(f"training takes sides that are multiples of {STRIDE}, got {w} x {h}")
            features = self.features(image)
            logits = (_like(side(f), image) for side, f in zip(self.side, features, strict=True))
            return Supervised(tuple(logits), tuple(features))
        padded = F.pad(image, (0, pad_wh[0], 0, pad_wh[1]), mode="replicate") if any(pad_wh) else image
        answer = self.side[0](self.features(padded.to(self.enter.weight.dtype))[0])
        return _like(answer.float(), padded)[..., :h, :w]

    def lower_precision(self, precision: torch.dtype) -> None:
        """Let the network work in `precision`; for eval mode. The answer is float32 all the same."""
        self.to(precision)

    def features(self, image: Tensor) -> list[Tensor]:
        """Decoder's features at strides 2 to 32, and the bottom's at 64."""
        x, levels = self.enter(image), []
        for i, block in enumerate(self.down):
            x = block(_halved(x) if i else x)
            levels.append(x)
        decoded = [x]
        for block, level in zip(reversed(self.up), reversed(levels[:-1]), strict=True):
            decoded.insert(0, block(torch.cat([_like(decoded[0], level), level], 1)))
        return decoded


class MaskEncoder(nn.Module):
    """The teacher: (B, 1, H, W) float32 mask, 0 to 1 -> `Supervised`, with the mask given back six times.

    Sides are multiples of 64. config: of the network that it will teach, whose features it matches in shape.
    """

    def __init__(self, config: IsNetConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.enter = nn.Sequential(
            nn.Conv2d(1, c(16), 3, 2, padding=1), nn.BatchNorm2d(c(16)), nn.ReLU(inplace=True)
        )
        outputs = [c(out) for _, _, out in _MASKS]
        self.down = nn.ModuleList(
            ResidualU(depth, inputs, c(inner), c(out))
            for (depth, inner, out), inputs in zip(_MASKS, [c(16), *outputs], strict=False)
        )
        self.side = nn.ModuleList(nn.Conv2d(channels, 1, 3, padding=1) for channels in outputs)

    def forward(self, mask: Tensor) -> Supervised:
        x, features = self.enter(mask), []
        for i, block in enumerate(self.down):
            x = block(_halved(x) if i else x)
            features.append(x)
        logits = (_like(side(f), mask) for side, f in zip(self.side, features, strict=True))
        return Supervised(tuple(logits), tuple(features))
