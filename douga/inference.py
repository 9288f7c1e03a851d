"""Runs a network on a whole frame: the context first, then full resolution in windows, where it is wanted.

The work goes in steps: each look of the context is one, every window another. Between them whoever waits is
told, and can give the work up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from douga.checkpoint import LoadedNetwork
from douga.networks.gcn import DetailRoad, Gcn

# Full-resolution pixels held at once. A window of this size needs about 0.6 GiB on the CPU.
BAND_PX = 1 << 20
# Rows that a band has at least. Each band also computes the path's reach above and below, for nothing.
_MIN_ROWS = 64
# Where only parts of the frame are wanted, bands are this high: low enough to leave much out, high enough
# that the reach around a window does not eat what is saved.
_PARTIAL_ROWS = 192
_DOUBT = 0.1  # from this probability of another class on, the small answer alone is not enough,
_DOUBT_CELLS = 2  # nor so many of its cells around: 12 px of a frame of 1920 x 1080
_CLEAR = 0.05  # an alpha that is no further from nothing or all is taken for it

# Shares of the frame. Up to the first, a second look counts as much as the first one; from the other on, none
# is taken. Between them it counts less and less, so that nothing jumps within a cut.
_LITTLE, _MUCH = 0.2, 0.4

Box = tuple[int, int, int, int]  # x, y, width and height in px
# Is told the share of the steps that are done, 0 to below 1, before each of them; what it raises ends the
# work.
OnStep = Callable[[float], None]


def _no_word(share: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Prepared:
    """A frame whose context is known.

    image: (1, C, H, W) on the network's device. features: (1, width, ceil(H/2), ceil(W/2)) of each look, what
    the full-resolution path is told, and what share of the answer is the look's. coarse: (classes, h, w)
    float32 on the CPU, the context's own answer in the size of its first look.
    """

    image: Tensor
    features: tuple[tuple[Tensor, float], ...]
    coarse: Tensor


def predict(
    loaded: LoadedNetwork,
    image: Tensor,
    *,
    band_px: int = BAND_PX,
    precision: torch.dtype = torch.bfloat16,
    region: Box | None = None,
    on_step: OnStep = _no_word,
) -> Tensor:
    """Class probabilities of one frame.

    image: (C, H, W) float32 from `douga.preprocess.to_tensor`. precision: bfloat16, which the networks are
    trained in, or float32. region: answer only this part; the context still sees the whole frame. Returns
    (classes, H, W), or of the region's size, float16 on the CPU, summing to one; of a network with one class
    its alpha, float32, 0 to 1. What is above `band_px` runs in bands that overlap by the full-resolution
    path's whole reach; so the seams are those of rounding only.
    """
    network = _gcn(loaded)
    h, w = image.shape[-2:]
    left, top, width, height = region or (0, 0, w, h)
    with torch.inference_mode(), _autocast(loaded, precision):
        if network.detail is None:
            on_step(0.0)
            answer = _as_answer(_shares(network(_batch(loaded, image))[0]))
            return answer[:, top : top + height, left : left + width].contiguous()
        rows = max(_MIN_ROWS, band_px // width)
        bands = [(left, y, width, min(rows, top + height - y)) for y in range(top, top + height, rows)]
        on_step(0.0)
        prepared = _prepare(loaded, image)
        answers = []
        for done, window in enumerate(bands, 1):
            on_step(done / (len(bands) + 1))
            answers.append(_window(network.detail, prepared, window))
    return torch.cat(answers, 1)


def predict_near_borders(
    loaded: LoadedNetwork,
    image: Tensor,
    *,
    cells: int,
    closer: float = 1.0,
    precision: torch.dtype = torch.bfloat16,
    region: Box | None = None,
    on_step: OnStep = _no_word,
) -> NDArray[np.float32]:
    """What a network says of the last of its classes: full resolution decides near borders only.

    That is the probability of the second of two classes, or the alpha of a network with one.

    Far from any border in the context's own answer, and from what it holds for see-through, that answer
    stands: a pixel inside a large flat area is told from one of the background by what is around it, not by
    its neighbours, and most of the frame need not be computed at full resolution. cells: how near, in cells
    of the context's answer (6 px of a frame of 1920 x 1080 where the context is 640 px wide). closer: where
    the context finds little in the frame, it looks again at one that is larger by this factor than it was
    trained to, and both count: small figures want it large, faces want it all in view; a network without a
    full-resolution path looks once. region: full resolution within this part only. Arguments otherwise as in
    `predict`. Returns (H, W) float32, 0 to 1, of the whole frame.
    """
    network = _gcn(loaded)
    if network.detail is None:
        return predict(loaded, image, precision=precision, on_step=on_step)[-1].float().numpy()
    h, w = image.shape[-2:]
    with torch.inference_mode(), _autocast(loaded, precision):
        on_step(0.0)
        prepared = _prepare(loaded, image, closer, on_step)
        answer = _enlarged(prepared.coarse[-1], (h, w))
        wanted = _near_border(answer >= 0.5, prepared.coarse.shape[-2:], cells)
        if len(prepared.coarse) == 1:  # an alpha: what may be a veil has no border
            wanted |= (answer > _CLEAR) & (answer < 1 - _CLEAR)
        if region is not None:
            wanted = _within(wanted, region)
        windows = list(windows_over(wanted, margin_px=2 * network.detail.reach_px))
        for done, (x, y, width, height) in enumerate(windows, 1):
            on_step(done / (len(windows) + 1))
            fine = _window(network.detail, prepared, (x, y, width, height))[-1].float().numpy()
            part = np.s_[y : y + height, x : x + width]
            answer[part] = np.where(wanted[part], fine, answer[part])
    return answer


def predict_where_drawn(
    loaded: LoadedNetwork,
    image: Tensor,
    inside: NDArray[np.uint8],
    *,
    precision: torch.dtype = torch.bfloat16,
    region: Box | None = None,
    weighed: Callable[[Tensor], Tensor] = lambda answer: answer,
    on_step: OnStep = _no_word,
) -> Tensor:
    """Class probabilities as of `predict`, at full resolution only where something may be drawn.

    That is inside of a mask, wherever the context's own answer has any doubt that there is nothing but the
    first of the classes, and some px around. Elsewhere the first class is certain. inside: (H, W) uint8, not
    0 where the answer is wanted in any case. weighed: is given (classes, h, w) float16 of each window and
    says what to make of it. Arguments otherwise as in `predict`, and so is the result.
    """
    network = _gcn(loaded)
    if network.detail is None:
        return weighed(predict(loaded, image, precision=precision, region=region, on_step=on_step))
    h, w = image.shape[-2:]
    left, top, width, height = region or (0, 0, w, h)
    with torch.inference_mode(), _autocast(loaded, precision):
        on_step(0.0)
        prepared = _prepare(loaded, image)
        wanted = _within(_may_be_drawn(prepared.coarse, inside), (left, top, width, height))
        answer = torch.zeros(len(prepared.coarse), height, width, dtype=torch.float16)
        answer[0] = 1
        windows = list(windows_over(wanted, margin_px=2 * network.detail.reach_px))
        for done, (x, y, window_w, window_h) in enumerate(windows, 1):
            on_step(done / (len(windows) + 1))
            fine = weighed(_window(network.detail, prepared, (x, y, window_w, window_h)))
            part = np.s_[y - top : y - top + window_h, x - left : x - left + window_w]
            asked = torch.from_numpy(wanted[y : y + window_h, x : x + window_w])
            answer[:, *part] = torch.where(asked, fine, answer[:, *part])
    return answer


def _may_be_drawn(coarse: Tensor, inside: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the small answer (classes, h, w) is in doubt or the mask (H, W) is not 0, and around. (H, W)"""
    import cv2

    cells_hw = coarse.shape[-2:]
    doubt = (_enlarged(1 - coarse[0], inside.shape) > _DOUBT) | (inside > 0)
    reach_px = math.ceil(_DOUBT_CELLS * max(inside.shape[0] / cells_hw[0], inside.shape[1] / cells_hw[1]))
    around = np.ones((2 * reach_px + 1,) * 2, np.uint8)
    return cv2.dilate(doubt.view(np.uint8), around).view(np.bool_)


def _gcn(loaded: LoadedNetwork) -> Gcn:
    assert isinstance(loaded.network, Gcn)
    return loaded.network


def _autocast(loaded: LoadedNetwork, precision: torch.dtype) -> torch.autocast:
    # A CPU without bfloat16 computes the same, only slower.
    return torch.autocast(loaded.device.type, torch.bfloat16, enabled=precision is not torch.float32)


def _batch(loaded: LoadedNetwork, image: Tensor) -> Tensor:
    return image[None].to(loaded.device).contiguous(memory_format=torch.channels_last)  # (1, C, H, W)


def _prepare(
    loaded: LoadedNetwork, image: Tensor, closer: float = 1.0, on_step: OnStep = _no_word
) -> Prepared:
    """Run the context road, a second time where little is found and the frame can be seen larger."""
    network, batch = _gcn(loaded), _batch(loaded, image)
    small = network.shrink(batch)
    features, coarse = _look(network, small, batch)
    once = Prepared(batch, ((features, 1.0),), coarse)
    found = float((coarse[-1] >= 0.5).float().mean())
    if closer == 1 or found >= _MUCH:
        return once
    large = network.shrink(batch, closer)
    if large.shape == small.shape:
        return once
    share = 0.5 * min(1.0, (_MUCH - found) / (_MUCH - _LITTLE))
    on_step(0.0)
    others, answer = _look(network, large, batch)
    answer = torch.nn.functional.interpolate(answer[None], coarse.shape[-2:], mode="area")[0]
    return Prepared(batch, ((features, 1 - share), (others, share)), (1 - share) * coarse + share * answer)


def _look(network: Gcn, seen: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """The context of a frame (1, C, H, W), as the full-resolution path takes it, and its own answer."""
    context = network.context(seen)
    return network.context_at_half(context, image), _shares(network.coarse(context)[0]).cpu()


def _window(detail: DetailRoad, prepared: Prepared, window: Box) -> Tensor:
    """The answer within a window, computed with enough pixels around it.

    (classes, height, width), float16 on the CPU; float32 where there is one class.
    """
    x, y, width, height = window
    image = prepared.image
    # The grids of lower resolution stay where they are.
    top, left = (max(0, at - detail.reach_px) // detail.stride * detail.stride for at in (y, x))
    bottom = min(image.shape[-2], y + height + detail.reach_px)
    right = min(image.shape[-1], x + width + detail.reach_px)
    around = np.s_[:, :, top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2]
    inside = np.s_[:, y - top : y - top + height, x - left : x - left + width]
    seen = detail.see(image[:, :, top:bottom, left:right])
    shares = [
        _shares(detail.decide(*seen, features[around])[0][inside]) * weight
        for features, weight in prepared.features
    ]
    return _as_answer(shares[0] if len(shares) == 1 else torch.stack(shares).sum(0))


def _as_answer(shares: Tensor) -> Tensor:
    """(classes, H, W) float32 -> the same on the CPU, float16 where there are several classes."""
    return shares.cpu() if len(shares) == 1 else shares.half().cpu()


def _shares(logits: Tensor) -> Tensor:
    """(classes, H, W) logits -> float32, 0 to 1: probabilities that sum to one, or the alpha of one class."""
    return logits.float().sigmoid() if len(logits) == 1 else logits.float().softmax(0)


def _enlarged(plane: Tensor, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) -> (H, W), bilinear."""
    double = torch.nn.functional.interpolate(plane[None, None], size_hw, mode="bilinear", align_corners=False)
    return double[0, 0].numpy()


def _near_border(
    mask: NDArray[np.bool_], cells_hw: torch.Size | tuple[int, int], cells: int
) -> NDArray[np.bool_]:
    """Pixels within so many cells of a border of the mask. (H, W) bool -> (H, W) bool"""
    import cv2

    reach_px = cells * max(mask.shape[0] / cells_hw[0], mask.shape[1] / cells_hw[1])
    inside = mask.astype(np.uint8)
    border = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    if not border.any():
        return np.zeros(mask.shape, bool)
    return cv2.distanceTransform(1 - border, cv2.DIST_L2, 3) <= reach_px


def _within(wanted: NDArray[np.bool_], region: Box) -> NDArray[np.bool_]:
    x, y, width, height = region
    inside = np.zeros_like(wanted)
    inside[y : y + height, x : x + width] = wanted[y : y + height, x : x + width]
    return inside


def windows_over(wanted: NDArray[np.bool_], margin_px: int) -> Iterator[Box]:
    """Windows that cover the True of a (H, W) bool array. Columns closer than the margin share one."""
    for y in range(0, wanted.shape[0], _PARTIAL_ROWS):
        band = wanted[y : y + _PARTIAL_ROWS]
        columns = np.flatnonzero(band.any(0))
        if not len(columns):
            continue
        for run in np.split(columns, np.flatnonzero(np.diff(columns) > margin_px) + 1):
            left, width = int(run[0]), int(run[-1] - run[0]) + 1
            rows = np.flatnonzero(band[:, left : left + width].any(1))
            yield left, y + int(rows[0]), width, int(rows[-1] - rows[0]) + 1
