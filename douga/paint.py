"""What the frame's own colours say about a network's answer: cels are painted in flat colours.

A patch of one paint is of one class, and cel or background, whatever a network wavers between in it. A
character's colour model has few paints, so what is true of a patch is true of all others of its paint.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.types import F32, U8

_CUBE = np.ones((3, 3), np.uint8)
_SAME_PAINT = 8  # of 255, any channel: how far colours of one paint differ within 3 x 3 px at half the size
_LEAST_PX = 12  # smaller patches of paint, at half the size, say nothing
_REACH_PX = 2.5  # a patch speaks for what lies this close to it, at half the size
_ACROSS = 1.5  # standard deviation of one paint's colour between patches, in CIELAB of 8 bits a channel
_LOUDEST_PX = 20000  # a larger patch has no more to say than one of this size, at half the size
_MOST = 3000  # patches that are compared with one another: the largest are nearly all of the frame
_AT_ONCE = 512  # patches that are compared with all others at once


def vote_by_paint(
    planes: Mapping[int, F32],
    rgb: U8,
    *,
    lines: U8 | None = None,
    clear: float = 0.1,
    across: bool = False,
) -> dict[int, F32]:
    """Average probabilities over each patch of one paint.

    Where no class is clearly ahead in a patch, its pixels stay as they were. Arguments as in `patch_means`.
    Returns new planes.
    """
    at, means = patch_means(planes, rgb, lines=lines, clear=clear, across=across)
    silent, index = (at == 0).view(np.uint8), at.astype(np.intp)
    return {c: cv2.copyTo(plane, silent, means[c].take(index, mode="clip")) for c, plane in planes.items()}


def patch_means(
    planes: Mapping[int, F32],
    rgb: U8,
    *,
    lines: U8 | None = None,
    clear: float = 0.1,
    across: bool = False,
) -> tuple[NDArray[np.int32], dict[int, F32]]:
    """Patches of one paint in which one class is clearly ahead, and the mean probabilities in each.

    Soft gradients join patches of several classes; in these no class is ahead. Works at half the size, which
    also calms grain and compression.

    planes: (H, W) float32 probabilities by class, two or more. rgb: (H, W, 3) uint8 sRGB, the frame. lines:
    (H, W) uint8, 1 where a line parts paints that may be alike. clear: by how much a patch's first class must
    be ahead of its second, 0 to 1. across: the means of a patch are those of all patches of its paint, in
    the whole frame. Returns the patch of each pixel, (H, W) int32, 0 for none, and by class the means of all
    patches, float32.
    """
    height, width = rgb.shape[:2]
    half_wh = (width + 1) // 2, (height + 1) // 2
    small = cv2.resize(rgb, half_wh, interpolation=cv2.INTER_AREA)
    change = brightest(cv2.subtract(cv2.dilate(small, _CUBE), cv2.erode(small, _CUBE)))
    flat = (change <= _SAME_PAINT).view(np.uint8)
    if lines is not None:
        flat[cv2.resize(lines * np.uint8(255), half_wh, interpolation=cv2.INTER_AREA) > 100] = 0
    patches, patch = cv2.connectedComponents(flat, connectivity=4, ltype=cv2.CV_32S)
    size = np.bincount(patch.reshape(-1), minlength=patches)
    mean = {
        c: np.bincount(
            patch.reshape(-1),
            cv2.resize(plane, half_wh, interpolation=cv2.INTER_AREA).reshape(-1),
            minlength=patches,
        )
        / np.maximum(size, 1)
        for c, plane in planes.items()
    }
    if across:
        mean = _across(mean, patch, size, small)
    second, first = np.sort(np.stack(list(mean.values())), axis=0)[-2:]
    says = (first - second >= clear) & (size >= _LEAST_PX)
    says[0] = False  # what is no patch
    nearest = _nearest(patch, flat)
    nearest = np.where(says[nearest], nearest, 0)
    at = np.repeat(np.repeat(nearest, 2, axis=0), 2, axis=1)[:height, :width]
    return at, {c: values.astype(np.float32) for c, values in mean.items()}


def brightest(rgb: U8) -> U8:
    """The largest of each pixel's three channels: (H, W, 3) uint8 -> (H, W) uint8."""
    red, green, blue = cv2.split(rgb)
    return cv2.max(cv2.max(red, green), blue)


def _across(
    mean: dict[int, NDArray[np.float64]], patch: NDArray[np.int32], size: NDArray[np.int64], small: U8
) -> dict[int, NDArray[np.float64]]:
    """The means of patches that are large enough, averaged over all patches of their paint."""
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    at = patch.reshape(-1)
    colour = np.stack(
        [
            np.bincount(at, lab[:, i].astype(np.float64), minlength=len(size)) / np.maximum(size, 1)
            for i in range(3)
        ],
        1,
    )
    asked = np.flatnonzero(size >= _LEAST_PX)
    asked = asked[asked > 0]  # 0 is what is no patch
    weight = np.sqrt(np.minimum(size[asked], _LOUDEST_PX))
    heard = mean_of_paints(
        np.stack([values[asked] for values in mean.values()], 1), colour[asked], weight, _ACROSS
    )
    out = {c: values.copy() for c, values in mean.items()}
    for values, told in zip(out.values(), heard.T, strict=True):
        values[asked] = told
    return out


def mean_of_paints(
    values: NDArray[np.float64], colour: NDArray[np.float64], weight: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
    """For each patch the mean of the values of all patches of its paint, itself among them.

    A patch counts by its weight, and the less the further its colour is from the asking one's, as a normal
    distribution falls. Of more than 3,000, the lightest keep their values and are not heard: noise must not
    take minutes. values: (N, C). colour: (N, 3). weight: (N,). deviation: in the units of the colours.
    Returns (N, C).
    """
    out = values.copy()
    heard = np.sort(np.argsort(-weight, kind="stable")[:_MOST])
    values, colour, weight = values[heard], colour[heard], weight[heard]
    for start in range(0, len(heard), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        apart = ((colour[rows, None] - colour[None]) ** 2).sum(-1)
        near = np.exp(-apart / (2 * deviation**2)) * weight
        out[heard[rows]] = near @ values / near.sum(1, keepdims=True)
    return out


def _nearest(patch: NDArray[np.int32], flat: U8) -> NDArray[np.int32]:
    """The patch that each pixel is in or near, 0 where there is none within reach."""
    away, spot = cv2.distanceTransformWithLabels(
        1 - flat, cv2.DIST_L2, cv2.DIST_MASK_3, labelType=cv2.DIST_LABEL_PIXEL
    )
    patch_of = np.zeros(int(spot.max()) + 1, np.int32)
    inside = flat.view(bool)
    patch_of[spot[inside]] = patch[inside]
    return np.where(away <= _REACH_PX, patch_of[spot], 0)
