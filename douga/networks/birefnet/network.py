"""BiRefNet (Zheng et al. 2024, arXiv 2401.03407), which ToonOut fine-tunes for anime: image in, alpha out.

A Swin encoder sees the image at full and at half size (localisation); five blocks go back up, and at each of
them the features meet the image's own patches (inward reference) and are weighted by predicted gradients
(outward reference).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from douga.networks.birefnet.decoder import (
    GradientReference,
    LastLayer,
    PatchBranch,
    ReconstructionBlock,
    add_lateral,
    image_patches,
    resize,
)
from douga.networks.birefnet.deform import DeformableAspp
from douga.networks.birefnet.swin import Swin

STRIDE = 32  # sides are padded to a multiple of it


@dataclass(frozen=True)
class BiRefNetConfig:
    """Everything that shapes the network; travels inside the checkpoint. The defaults are ToonOut's: Swin-L.

    embed_width: channels of the encoder's first stage. depths, heads: blocks and attention heads of its four
    stages. window: side of the attention's windows, in tokens. drop_path: share of blocks left out at random
    in training, rising to this. inner_width: channels within reconstruction blocks and patch branches.
    aspp_width: channels of each branch of the ASPP. kernels: sizes of its branches; the first weights to be
    published had (1, 3, 3, 3). gradient_width: channels of the gradient references. dropout: after the ASPP.
    """

    embed_width: int = 192
    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (6, 12, 24, 48)
    window: int = 12
    drop_path: float = 0.2
    inner_width: int = 64
    aspp_width: int = 256
    kernels: tuple[int, ...] = (1, 1, 3, 7)
    gradient_width: int = 16
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for name in ("depths", "heads", "kernels"):  # JSON knows lists only
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.depths) != 4 or len(self.heads) != 4:
            raise ValueError(
                f"depths {self.depths} and heads {self.heads}: give four numbers each, one a stage"
            )
        widths = [self.embed_width << i for i in range(4)]
        if any(width % heads for width, heads in zip(widths, self.heads, strict=True)):
            raise ValueError(f"heads {self.heads} must divide the stages' channels {widths}")


# The encoders of the paper.
SWIN = {
    "swin_t": BiRefNetConfig(96, (2, 2, 6, 2), (3, 6, 12, 24), 7),
    "swin_s": BiRefNetConfig(96, (2, 2, 18, 2), (3, 6, 12, 24), 7),
    "swin_b": BiRefNetConfig(128, (2, 2, 18, 2), (4, 8, 16, 32), 12),
    "swin_l": BiRefNetConfig(192, (2, 2, 18, 2), (6, 12, 24, 48), 12),
}


class Supervised(NamedTuple):
    """What training looks at (multi-stage supervision, 3.4).

    logits: (B, 1, H, W), the answer. sides: logits at strides 32, 16 and 8. gradients: gradient logits at the
    same strides. gradient_targets: (B, 1, H, W) each, the image's gradients weighted by the answer of that
    stride, as the published training takes them: their sigmoid is what the gradients' sigmoid should be.
    """

    logits: Tensor
    sides: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    gradient_targets: tuple[Tensor, ...]


Features = tuple[Tensor, Tensor]  # of the image and of the image at half size, (B, C, h, w) each


def _block(inputs: int, outputs: int, config: BiRefNetConfig) -> ReconstructionBlock:
    aspp = DeformableAspp(config.inner_width, config.aspp_width, config.kernels, config.dropout)
    return ReconstructionBlock(inputs, outputs, config.inner_width, aspp)


class Reconstruction(nn.Module):
    """One step up: join what comes from below, the encoder and the image; refine; weigh by gradients.

    below: channels of what comes in. lateral: of what leaves. patches: of the patch branch, whose input has
    3 * stride^2 channels.
    """

    def __init__(self, below: int, outputs: int, patches: int, stride: int, config: BiRefNetConfig) -> None:
        super().__init__()
        self.patches = PatchBranch(3 * stride**2, config.inner_width, patches)
        self.block = _block(below + patches, outputs, config)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        precision = _precision(self)
        patches = self.patches(image_patches(image.to(precision), x.shape[-2:]))
        return self.block(torch.cat([x.to(precision), patches], 1))


class BiRefNet(nn.Module):
    """(B, 3, H, W) float32, normalised by `mean` and `std`, any size -> (B, 1, H, W) float32 logits of alpha.

    In training mode it returns `Supervised` and takes sides that are multiples of 32. Sides that are not are
    padded with the border's own pixels, below and to the right, and cut off again.
    """

    mean = (0.485, 0.456, 0.406)  # of RGB in 0 to 1, ImageNet's
    std = (0.229, 0.224, 0.225)

    def __init__(self, config: BiRefNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Swin(config.embed_width, config.depths, config.heads, config.window, config.drop_path)
        c4, c8, c16, c32 = (2 * c for c in self.encoder.channels)  # full and half size side by side
        self.squeeze = _block(c4 + c8 + c16 + c32, c32, config)
        outputs, patches = (c16, c8, c4, c4 // 2), (c32 // 8, c32 // 8, c16 // 8, c8 // 8)
        self.up = nn.ModuleList(
            Reconstruction(below, out, patch, stride, config)
            for below, out, patch, stride in zip(
                (c32, c16, c8, c4), outputs, patches, (32, 16, 8, 4), strict=True
            )
        )
        self.lateral = nn.ModuleList(nn.Conv2d(c, c, 1) for c in (c16, c8, c4))
        self.side = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in (c16, c8, c4))
        self.gradient = nn.ModuleList(GradientReference(c, config.gradient_width) for c in (c16, c8, c4))
        self.last = LastLayer(c4 // 2, config.inner_width, c4 // 8)

    def forward(self, image: Tensor) -> Tensor | Supervised:
        h, w = image.shape[-2:]
        pad_wh = -w % STRIDE, -h % STRIDE
        if self.training:
            if any(pad_wh):
                raise ValueError(f"training takes sides that are multiples of {STRIDE}, got {w} x {h}")
            return self.reconstruct(image, *self.localise(image))
        padded = F.pad(image, (0, pad_wh[0], 0, pad_wh[1]), mode="replicate") if any(pad_wh) else image
        return self.reconstruct(padded, *self.localise(padded)).logits[..., :h, :w]

    def lower_precision(self, precision: torch.dtype) -> None:
        """Let the parts that take the time work in `precision`; for eval mode.

        Those are the encoder's linear layers and all else, but what is at stride 4: errors there are seen at
        once, and there is little to be won. What the encoder's blocks add up stays float32, too.
        """
        coarser = (part for stage in self.encoder.stages[1:] for part in stage.modules())
        linear = (part for part in coarser if isinstance(part, nn.Linear))
        for part in (*linear, self.squeeze, *self.up[:-1], *self.lateral[:-1]):
            part.to(precision)

    def localise(self, image: Tensor) -> tuple[list[Features], Tensor]:
        """What the encoder sees at strides 4 to 16, and at stride 32 that which knows all the others."""
        h, w = image.shape[-2:]
        found = list(zip(self.encoder(image), self.encoder(resize(image, (h // 2, w // 2))), strict=True))
        size = found[-1][0].shape[-2:]
        context = []
        for full, half in found:
            context += [resize(full, size), resize(resize(half, full.shape[-2:]), size)]
        return found[:-1], self.squeeze(torch.cat(context, 1).to(_precision(self.squeeze)))

    def reconstruct(self, image: Tensor, finer: Sequence[Features], x: Tensor) -> Supervised:
        """From the encoder's features, at strides 4 to 16 and 32, back to the image's size."""
        sides, gradients = [], []
        for i, (full, half) in enumerate(reversed(finer)):
            x = self.up[i](x, image)
            if self.training:
                sides.append(self.side[i](x))
            x, gradient = self.gradient[i](x.float())
            if gradient is not None:
                gradients.append(gradient)
            lateral = self.lateral[i]
            assert isinstance(lateral, nn.Conv2d)
            x = add_lateral(x, full, half, lateral)
        logits = self.last(self.up[-1](x, image), image)
        targets = _gradient_targets(image, sides) if self.training else ()
        return Supervised(logits, tuple(sides), tuple(gradients), targets)


def _precision(part: nn.Module) -> torch.dtype:
    return next(part.parameters()).dtype


def _gradient_targets(image: Tensor, sides: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The image's 5 x 5 Laplacian, normalised to sum 1 in absolute value, times each side's answer."""
    kernel = torch.full((1, 1, 5, 5), 1 / 48, device=image.device, dtype=image.dtype)
    kernel[..., 2, 2] = -24 / 48
    grey = F.pad(image.mean(1, keepdim=True), (2, 2, 2, 2), mode="reflect")
    gradient = F.conv2d(grey, kernel)
    return tuple(gradient * resize(side, gradient.shape[-2:]) for side in sides)
