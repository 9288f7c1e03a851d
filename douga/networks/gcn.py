"""Global Convolutional Network (Peng et al. 2017; Kugler 4.3 and 5.4) with a full-resolution path.

Two roads meet. The *context* road is the paper's network: a ResNet, large separable kernels on each of its
four levels, boundary refinement. It sees the frame small, so its kernels reach across the whole drawing. The
*detail* road runs at full resolution on colours and classical cues, because a line of 1 to 3 px cannot be
placed by a prediction that is upsampled from a quarter of the size. Where it has a level at a quarter of the
size itself, it also sees what lies around: further than its own layers reach, finer than the context does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from douga.networks.cues import CUE_CHANNELS, ClassicalCues

_QUARTER = "detail.quarter."


@dataclass(frozen=True)
class GcnConfig:
    """Everything that shapes the network; travels inside the checkpoint.

    in_channels: 3 colours, or 4 with the cel mask behind them. kernel_size: odd; Kugler uses 25 for the cel
    and 49 for the douga. width: channels of the large-kernel blocks. context_px: the context road sees the
    frame with its long side reduced to this many pixels; 0 reduces by `context_stride` instead. detail_width:
    channels of the full-resolution path; 0 leaves it out and upsamples the context's answer, as in the paper.
    quarter_width: channels of that path's level at a quarter of the size; 0 leaves it out.
    """

    classes: int
    in_channels: int = 3
    encoder: str = "resnet18"
    kernel_size: int = 25
    width: int = 24
    dropout: float = 0.1
    context_px: int = 0
    context_stride: int = 2
    detail_width: int = 24
    quarter_width: int = 0

    def shape(self) -> GcnConfig:
        """What tensors depend on; how large the context road sees the frame, and dropout, are a run's."""
        return replace(self, context_px=0, context_stride=1, dropout=0.0)


def _resize(x: Tensor, size_hw: Sequence[int]) -> Tensor:
    return F.interpolate(x, tuple(size_hw), mode="bilinear", align_corners=False)


def _doubled(x: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Exactly twice the size, then cut: resizing to an odd size would move the grid, and a band of rows of a
    frame would no longer give what the whole frame gives.
    """
    double = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return double[..., : size_hw[0], : size_hw[1]]


class ConvNormAct(nn.Sequential):
    """3 x 3 convolution that keeps the size (or halves it with stride 2), batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class LargeKernel(nn.Module):
    """The paper's GCN block: k x 1 then 1 x k, plus 1 x k then k x 1, without a nonlinearity between."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__()
        k, pad = kernel_size, kernel_size // 2
        # Fewer channels first: a kernel of 49 on the encoder's wide features would cost too much.
        self.narrow = nn.Conv2d(inputs, outputs, 1)
        self.down_across = nn.Sequential(
            nn.Conv2d(outputs, outputs, (k, 1), padding=(pad, 0)),
            nn.Conv2d(outputs, outputs, (1, k), padding=(0, pad)),
        )
        self.across_down = nn.Sequential(
            nn.Conv2d(outputs, outputs, (1, k), padding=(0, pad)),
            nn.Conv2d(outputs, outputs, (k, 1), padding=(pad, 0)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.narrow(x)
        return x + self.down_across(x) + self.across_down(x)


class BoundaryRefinement(nn.Module):
    """Residual pair of 3 x 3 convolutions (Peng et al., 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNormAct(channels, channels), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ContextRoad(nn.Module):
    """What is where, roughly, with all in view. (B, C, h, w) -> (B, width, ceil(h/2), ceil(w/2))"""

    def __init__(self, config: GcnConfig) -> None:
        super().__init__()
        self.encoder = smp.encoders.get_encoder(
            config.encoder, in_channels=config.in_channels, depth=5, weights=None
        )
        stem, *levels = self.encoder.out_channels[1:]
        self.blocks = nn.ModuleList(LargeKernel(c, config.width, config.kernel_size) for c in levels)
        self.refine = nn.ModuleList(BoundaryRefinement(config.width) for _ in levels)
        self.merge = nn.ModuleList(BoundaryRefinement(config.width) for _ in levels)
        self.stem = nn.Conv2d(stem, config.width, 1)
        self.dropout = nn.Dropout2d(config.dropout)

    def forward(self, image: Tensor) -> Tensor:
        _, stem, *levels = self.encoder(image)  # strides 1, 2, then 4, 8, 16, 32
        answer: Tensor | None = None
        for features, block, refine, merge in reversed(
            list(zip(levels, self.blocks, self.refine, self.merge, strict=True))
        ):
            here = refine(block(self.dropout(features)))
            answer = here if answer is None else merge(here + _resize(answer, here.shape[-2:]))
        assert answer is not None
        return _resize(answer, stem.shape[-2:]) + self.stem(stem)


class QuarterLevel(nn.Module):
    """What lies around: further than the layers above it reach, finer than the context sees.

    (B, C, h, w) features at half resolution -> the same with what it adds, which is nothing before training.
    """

    reach_px = 2 + 4 * 4 + 4  # down; four layers at a quarter of the size; one bilinear enlargement by 2

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.down = ConvNormAct(channels, width, stride=2)
        self.body = nn.Sequential(
            *[layer for _ in range(2) for layer in (BoundaryRefinement(width), nn.ReLU(inplace=True))]
        )
        self.out = nn.Conv2d(width, channels, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, half: Tensor) -> Tensor:
        return half + _doubled(self.out(self.body(self.down(half))), half.shape[-2:])


class DetailRoad(nn.Module):
    """Where exactly, at full and half resolution (and a quarter, where it has such a level), told by the
    context what to look for.

    (B, C, H, W) image and (B, width, ceil(H/2), ceil(W/2)) context -> (B, classes, H, W) logits. reach_px:
    how far an output pixel looks. stride: in windows that begin at multiples of it all grids stay in place.
    """

    stride = 4

    def __init__(self, config: GcnConfig) -> None:
        super().__init__()
        d = config.detail_width
        self.cues = ClassicalCues()
        self.at_full = nn.Sequential(ConvNormAct(config.in_channels + CUE_CHANNELS, d), ConvNormAct(d, d))
        self.at_half = nn.Sequential(ConvNormAct(d, 2 * d, stride=2), ConvNormAct(2 * d, 2 * d, dilation=2))
        self.join = nn.Sequential(ConvNormAct(2 * d + config.width, 2 * d), ConvNormAct(2 * d, 2 * d))
        self.quarter = QuarterLevel(2 * d, config.quarter_width) if config.quarter_width else None
        self.back = nn.Conv2d(2 * d, d, 1)
        self.last = nn.Sequential(
            BoundaryRefinement(d), nn.ReLU(inplace=True), nn.Conv2d(d, config.classes, 1)
        )

        # The cues; 3 x 3 layers, of which four at full resolution, the one between the resolutions, and three
        # at half (the first dilated by 2); one bilinear enlargement by 2.
        self.reach_px = ClassicalCues.reach_px + 4 + 1 + 2 * (2 + 1 + 1) + 2
        self.reach_px += QuarterLevel.reach_px if self.quarter else 0

    def forward(self, image: Tensor, context_at_half: Tensor) -> Tensor:
        return self.decide(*self.see(image), context_at_half)

    def see(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """What there is at full and at half resolution, whatever the context says."""
        full = self.at_full(torch.cat([image, self.cues(image[:, :3])], 1))
        return full, self.at_half(full)

    def decide(self, full: Tensor, half: Tensor, context_at_half: Tensor) -> Tensor:
        """What it is, in this context."""
        half = self.join(torch.cat([half, context_at_half], 1))
        if self.quarter is not None:
            half = self.quarter(half)
        return self.last(full + _doubled(self.back(half), full.shape[-2:]))


class Gcn(nn.Module):
    """Frame (and mask) in, logits per class out, at the size that came in."""

    def __init__(self, config: GcnConfig) -> None:
        super().__init__()
        if config.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd so that sizes are kept, got {config.kernel_size}; use 25 or 49"
            )
        if config.quarter_width and not config.detail_width:
            raise ValueError(
                f"quarter_width = {config.quarter_width} is a level of the full-resolution path, which "
                "detail_width = 0 leaves out; use quarter_width = 0"
            )
        self.config = config
        self.context = ContextRoad(config)
        self.coarse = nn.Conv2d(config.width, config.classes, 1)  # the context's own answer, trained beside
        self.detail = DetailRoad(config) if config.detail_width else None

    def shrink(self, image: Tensor, larger: float = 1.0) -> Tensor:
        """The frame as the context road sees it. (B, C, H, W) -> (B, C, h, w), by area averaging.

        larger: how much larger than it was trained to.
        """
        h, w = image.shape[-2:]
        scale = max(h, w) / self.config.context_px if self.config.context_px else self.config.context_stride
        scale /= larger
        if scale <= 1:
            return image
        return F.interpolate(image, (max(1, round(h / scale)), max(1, round(w / scale))), mode="area")

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) as `douga.preprocess` makes it -> (B, classes, H, W) logits."""
        return self.forward_both(image)[1]

    def forward_both(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The context road's own answer (B, classes, h/2, w/2), which training looks at too; `forward`'s."""
        context = self.context(self.shrink(image))
        coarse = self.coarse(context)
        if self.detail is None:
            return coarse, _resize(coarse, image.shape[-2:])
        return coarse, self.detail(image, self.context_at_half(context, image))

    @staticmethod
    def context_at_half(context: Tensor, image: Tensor) -> Tensor:
        """The context as the detail road takes it. (B, width, h, w) -> (B, width, ceil(H/2), ceil(W/2))"""
        h, w = image.shape[-2:]
        return _resize(context, ((h + 1) // 2, (w + 1) // 2))

    def forward_windows(self, small: Tensor, windows: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Training: whole frames small, full resolution only in windows of them.

        small: (B, C, h, w) frames as `shrink` gives them. windows: (B, K, C, S, S) cut from the full
        frames, S even. boxes: (B, K, 4) their x0, y0, x1, y1 as shares of the frame, 0 to 1. Returns the
        coarse logits (B, classes, ceil(h/2), ceil(w/2)) and the window logits (B * K, classes, S, S).
        """
        context = self.context(small)
        coarse = self.coarse(context)
        b, k, c, s, _ = windows.shape
        if self.detail is None:
            return coarse, _window(coarse, boxes, s)
        return coarse, self.detail(windows.reshape(b * k, c, s, s), _window(context, boxes, s // 2))


def as_alpha(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network of two classes as one of a single alpha that answers the same: how much rather the second.

    state: of a `Gcn` with classes = 2; returns that of one with classes = 1.
    """
    ends = ("coarse.", "detail.last.2.")
    return {key: value[1:] - value[:1] if key.startswith(ends) else value for key, value in state.items()}


def with_quarter_level(
    state: Mapping[str, Tensor], config: GcnConfig, other: Mapping[str, Tensor], other_config: GcnConfig
) -> tuple[dict[str, Tensor], GcnConfig]:
    """A network without a level at a quarter of the size as one that has the other's, and answers the same.

    state, config; other, other_config: of two `Gcn`. The level's last layer says nothing yet. Returns the
    first as it is where it has such a level, or no full-resolution path, or the other has none; whether the
    two fit otherwise is the caller's to see.
    """
    if config.quarter_width or not config.detail_width or not other_config.quarter_width:
        return dict(state), config
    level = {
        key: torch.zeros_like(value) if key.startswith(f"{_QUARTER}out.") else value
        for key, value in other.items()
        if key.startswith(_QUARTER)
    }
    return {**state, **level}, replace(config, quarter_width=other_config.quarter_width)


def _window(features: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Bilinear samples of features (B, C, h, w) in each box (B, K, 4) -> (B * K, C, side, side)."""
    b, k = boxes.shape[:2]
    steps = (torch.arange(side, device=features.device, dtype=torch.float32) + 0.5) / side
    x = boxes[..., 0:1] + (boxes[..., 2:3] - boxes[..., 0:1]) * steps  # (B, K, side)
    y = boxes[..., 1:2] + (boxes[..., 3:4] - boxes[..., 1:2]) * steps
    grid = torch.stack(
        [x[:, :, None, :].expand(b, k, side, side), y[:, :, :, None].expand(b, k, side, side)], -1
    )  # (B, K, side, side, 2)
    grid = grid.reshape(b, k * side, side, 2) * 2 - 1
    sampled = F.grid_sample(
        features.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    channels = features.shape[1]  # (B, C, K * side, side) -> (B * K, C, side, side)
    sampled = sampled.reshape(b, channels, k, side, side).transpose(1, 2)
    return sampled.reshape(b * k, channels, side, side).to(features.dtype)
