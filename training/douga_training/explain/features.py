"""What a layer looks for: inputs that are made to excite one channel each, by gradient ascent from noise.

Kugler 4.7 shows the second-to-last layer of the cel network so (Figure 4.11), after Mordvintsev et al. (*deep
dream*). Here every level can be shown: the encoder's, the large-kernel blocks (Peng et al. 2017), and the
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from douga.checkpoint import LoadedNetwork
from douga.classes import DougaClass
from douga.errors import InputError
from douga.networks.gcn import Gcn
from douga.preprocess import to_rgb
from douga.types import U8
from douga_training.explain.sheets import Cell, sheet

# Colours that exist, in `douga.preprocess`'s units: black is -2, white is 2.
_DARKEST, _BRIGHTEST = -2.0, 2.0
_NOISE = 0.3  # of the start; strong enough to wake channels behind a ReLU, weak enough to vanish
_RATE = 0.12  # of a step, in the same units, where the gradient has a standard deviation of one
_TO_GREY = 0.01  # a step: what nothing excites fades
_BLUR, _BLUR_ENDS = 0.6, 0.7  # share of blur at the first step, and of the way after which there is none
_SMALLEST_PX = 64  # half-size beginnings below this would leave deep levels a single cell
STEPS, SIZE_PX, SEED = 24, 128, 0
CHANNELS = 6  # of a layer, where nothing is said


@dataclass(frozen=True)
class LayerKind:
    """A layer that can be shown.

    name: of the command line ("block3"). title: for people. labels: of its channels. level: of the encoder, 1
    to 4 with strides 4 to 32; 0 where it has none.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    level: int = 0


@dataclass(frozen=True)
class Ascent:
    """Settings. steps: of the gradient. size_px: side of the picture. jitter_px: it moves that far each step.

    Raises InputError for values out of range.
    """

    steps: int = STEPS
    size_px: int = SIZE_PX
    seed: int = SEED
    jitter_px: int = 6

    def __post_init__(self) -> None:
        for name, value, least in (("steps", self.steps, 1), ("size", self.size_px, 32)):
            if value < least:
                raise InputError(f"--{name} {value}: expected {least} or more")
        if self.size_px % 2:
            raise InputError(f"--size {self.size_px}: expected an even number; it begins at half the size")


@dataclass(frozen=True)
class Feature:
    """What excites one channel. rgb: (S, S, 3) uint8 sRGB. before, after: mean activation of noise, of it."""

    label: str
    rgb: U8
    before: float
    after: float


def network_of(loaded: LoadedNetwork) -> Gcn:
    """The network of a checkpoint, as what it is. Raises InputError for one of another kind."""
    if not isinstance(loaded.network, Gcn):
        raise InputError(
            f"{loaded.path}: is of kind {loaded.info.kind}; features are shown of gcn networks, such as "
            "cel-small, lines-small, cutout-small"
        )
    return loaded.network


def layers_of(network: Gcn) -> dict[str, LayerKind]:
    """Every layer that can be shown, by name, from the input to the answer."""
    levels = network.context.encoder.out_channels[2:]
    width, classes = network.config.width, network.config.classes
    found = [
        LayerKind(f"encoder{n}", f"context encoder, level {n} (stride {2 ** (n + 1)})", _numbers(c), n)
        for n, c in enumerate(levels, 1)
    ]
    found += [
        LayerKind(f"block{n}", f"large-kernel block {n} (stride {2 ** (n + 1)})", _numbers(width), n)
        for n in range(1, len(levels) + 1)
    ]
    found.append(LayerKind("context", "context road, all levels merged", _numbers(width)))
    last = _last(network).in_channels
    found.append(LayerKind("last", "second-to-last layer (Kugler, Figure 4.11)", _numbers(last)))
    if classes == len(DougaClass):
        names = tuple(c.title for c in DougaClass)
    else:
        names = {1: ("opaque",), 2: ("no cel", "cel")}.get(classes, _numbers(classes))
    found.append(LayerKind("classes", "answer, log-probability of each class", names))
    return {layer.name: layer for layer in found}


def choose_layers(network: Gcn, names: Sequence[str]) -> list[LayerKind]:
    """Layers by name; all but `context` where none is named. Raises InputError for an unknown name."""
    known = layers_of(network)
    for name in names:
        if name not in known:
            raise InputError(f"--layer {name}: this network has {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)] or [v for k, v in known.items() if k != "context"]


def choose_channels(layer: LayerKind, wanted: str | None = None) -> list[int]:
    """Channels to show: "all", a number of them spread evenly ("8"), or a list ("3,17,40"; "3," for one).

    None: six, of the classes all. Raises InputError for anything else and for channels that are not there.
    """
    count = len(layer.labels)
    if wanted is None:
        wanted = "all" if layer.name == "classes" else str(CHANNELS)
    if wanted == "all":
        return list(range(count))
    try:
        if "," not in wanted:
            number = int(wanted)
            if number < 1:
                raise ValueError
            return sorted({int(c) for c in np.linspace(0, count - 1, min(number, count)).round()})
        chosen = [int(part) for part in wanted.split(",") if part.strip()]
        if not chosen:
            raise ValueError
    except ValueError:
        raise InputError(
            f"--channels {wanted}: expected how many (8), which (3,17,40; one alone: 3,) or all"
        ) from None
    if not all(0 <= c < count for c in chosen):
        raise InputError(f"--channels {wanted}: layer {layer.name} has channels 0 to {count - 1}")
    return chosen


def maximise(
    loaded: LoadedNetwork,
    layer: LayerKind,
    channels: Sequence[int],
    ascent: Ascent,
    on_step: Callable[[], object] = lambda: None,
) -> list[Feature]:
    """Climb for each channel from the same noise towards an input that excites it over the whole picture.

    The first half of the steps runs at half the size, for structures larger than pixels. Each step moves the
    picture at random (jitter), climbs along the gradient brought to one length, and blurs it less and less;
    colours stay within those that exist. A cel mask that the network takes stays at "all cel". Same
    seed, same picture. on_step: called after each of `ascent.steps`.
    """
    network = network_of(loaded)
    _let_gradient_through(network)
    dice = torch.Generator().manual_seed(ascent.seed)
    noise = torch.randn(1, 3, ascent.size_px, ascent.size_px, generator=dice) * _NOISE
    noise = noise.expand(len(channels), -1, -1, -1).to(loaded.device)  # (B, 3, S, S), B channels at once
    half = ascent.size_px // 2
    image, halves = noise, ascent.steps // 2 if half >= _SMALLEST_PX else 0
    if halves:
        image = F.avg_pool2d(noise, 2) * 2  # averaging four values halves their spread
    for step in range(ascent.steps):
        if step == halves and step:
            image = F.interpolate(image, scale_factor=2.0, mode="bilinear", align_corners=False)
        shift = torch.randint(-ascent.jitter_px, ascent.jitter_px + 1, (2,), generator=dice).tolist()
        image = _climb(network, layer, channels, image, shift, step / ascent.steps)
        on_step()
    with torch.no_grad():
        before, after = (excitement(network, layer, channels, x).tolist() for x in (noise, image))
    return [
        Feature(layer.labels[c], to_rgb(x), b, a)
        for c, x, b, a in zip(channels, image, before, after, strict=True)
    ]


def _climb(
    network: Gcn, layer: LayerKind, channels: Sequence[int], image: Tensor, shift: list[int], share: float
) -> Tensor:
    """One step up. image: (B, 3, S, S). share: of the way that lies behind. Returns the same shape."""
    image = image.detach().requires_grad_()
    excited = excitement(network, layer, channels, image.roll(shift, (2, 3)))
    (gradient,) = torch.autograd.grad(excited.sum(), image)
    gradient = gradient / (gradient.std((1, 2, 3), keepdim=True) + 1e-12)
    with torch.no_grad():
        image = (image + _RATE * gradient) * (1 - _TO_GREY)
        blur = _BLUR * max(0.0, 1 - share / _BLUR_ENDS)  # structure first, detail last
        return image.lerp(_blurred(image), blur).clamp(_DARKEST, _BRIGHTEST)


def _blurred(image: Tensor) -> Tensor:
    """Binomial blur over 3 x 3, wrapped around as jitter wraps. (B, 3, S, S) -> same."""
    kernel = torch.tensor([0.25, 0.5, 0.25], device=image.device)
    kernel = (kernel[:, None] * kernel).expand(3, 1, 3, 3)
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="circular"), kernel, groups=3)


def excitement(network: Gcn, layer: LayerKind, channels: Sequence[int], image: Tensor) -> Tensor:
    """Mean activation of channel `channels[b]` on picture b. image: (B, 3, S, S) -> (B,)."""
    values = activations(network, layer, _with_mask(network, image))
    return values[torch.arange(len(channels)), list(channels)].mean((1, 2))


def activations(network: Gcn, layer: LayerKind, image: Tensor) -> Tensor:
    """A layer's values. image: (B, C, S, S) as `douga.preprocess` makes it -> (B, channels, s, s).

    Layers of the context road see the picture as it is, not reduced as `Gcn.shrink` does.
    """
    if layer.level:
        features: Tensor = network.context.encoder(image)[layer.level + 1]  # before it: the input, the stem
        return network.context.blocks[layer.level - 1](features) if "block" in layer.name else features
    if layer.name == "context":
        return network.context(image)
    if layer.name == "classes":
        answer = network(image)
        return F.logsigmoid(answer) if answer.shape[1] == 1 else answer.log_softmax(1)
    kept: list[Tensor] = []
    hook = _last(network).register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
    try:
        network(image)
    finally:
        hook.remove()
    return kept[0]


def _last(network: Gcn) -> nn.Conv2d:
    """The convolution that gives the classes."""
    last = network.detail.last[-1] if network.detail is not None else network.coarse
    assert isinstance(last, nn.Conv2d)
    return last


def _with_mask(network: Gcn, image: Tensor) -> Tensor:
    if network.config.in_channels == 3:
        return image
    return torch.cat([image, torch.ones_like(image[:, :1])], 1)  # (B, 4, S, S), all cel


def _let_gradient_through(network: Gcn) -> None:
    """Training needs no gradient of the unlearned cues and forbids it; here the picture itself climbs."""
    if network.detail is not None:
        network.detail.cues.forward = network.detail.cues._cues  # type: ignore[method-assign]


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(f"channel {n}" for n in range(count))


def feature_sheet(layer: LayerKind, features: Sequence[Feature], weights: str) -> U8:
    """All shown channels of a layer, with their activation before and after. (H, W, 3) uint8 sRGB."""
    cells = []
    for feature in features:
        side = max(224, feature.rgb.shape[0])
        rgb = cv2.resize(feature.rgb, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
        rise = f"{feature.before:.2g} to {feature.after:.2g}"
        if feature.after == feature.before == 0:
            rise = "silent"
        cells.append(Cell(f"{feature.label}: {rise}", rgb))
    width_px = max(cell.rgb.shape[1] for cell in cells)
    columns = -(-len(cells) // -(-len(cells) // 6))  # up to six, in rows of about one length
    return sheet(cells, columns=columns, width_px=width_px, title=f"{layer.title}: {weights}")
