"""What colour is the foreground where the background shines through? Cutouts without a fringe."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.errors import InputError
from douga.types import F32, U8

_CLEAR, _OPAQUE = 2 / 255, 253 / 255  # below and above, a colour is the background's or the foreground's own
_PEAK = 60 / 255  # from here on the most opaque pixel among its neighbours tells what the foreground is
# Colours go on so far beyond the last pixel that is not clear: who scales or filters a picture of straight
# alpha meets them, and black there would be a dark fringe.
_BLEED_PX = 3


def estimate_foreground(rgb: U8, alpha: F32) -> F32:
    """Take the background's share out of the colours at soft edges.

    The compositing equation, frame = alpha F + (1 - alpha) B, has two unknown colours a pixel. First guesses:
    B is that of the nearest clear pixel, F that of the nearest pixel that is more opaque than its neighbours,
    with the share of its B taken out. What of the equation is then left over goes to both by least squares.
    So hairs of one pixel, which are nowhere opaque, and outlines keep their own colour.

    rgb: (H, W, 3) uint8, sRGB. alpha: (H, W) float32, 0 to 1. Returns (H, W, 3) float32, 0 to 1, sRGB values,
    straight: the frame's own where alpha is 1, 0 where it is 0 but for 3 px around the foreground. Raises
    InputError where the sizes differ.
    """
    if alpha.shape != rgb.shape[:2]:
        raise InputError(f"the alpha is {alpha.shape}, the frame {rgb.shape[:2]}; give one of its size")
    colours = rgb.astype(np.float32) / np.float32(255)
    soft = (alpha > 0) & (alpha < _OPAQUE)
    if soft.any():
        colours[soft] = _solve(colours, alpha, soft)
    return _bled(colours, alpha)


def _solve(colours: F32, alpha: F32, soft: NDArray[np.bool_]) -> F32:
    """The foreground's colour of each soft pixel, (N, 3)."""
    peak = (alpha >= _OPAQUE) | ((alpha >= _PEAK) & (alpha >= cv2.dilate(alpha, np.ones((3, 3), np.uint8))))
    here, cover = colours[soft], alpha[soft][:, None]
    back = nearest_colours(colours, alpha <= _CLEAR, soft)
    own, mixed = colours.copy(), peak & soft
    share = cover[peak[soft]]
    own[mixed] = np.clip((colours[mixed] - (1 - share) * back[peak[soft]]) / share, 0, 1)
    guess = nearest_colours(own, peak, soft)
    left = here - cover * guess - (1 - cover) * back
    return np.clip(guess + cover * left / (cover**2 + (1 - cover) ** 2), 0, 1)


def nearest_colours(colours: F32, source: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> F32:
    """For each of `wanted` the colour of the nearest of `source`, (N, 3); its own where there is none."""
    if not source.any():
        return colours[wanted]
    _, label = cv2.distanceTransformWithLabels(
        (~source).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    pixel_of = np.zeros(int(np.count_nonzero(source)) + 1, np.intp)
    pixel_of[label[source]] = np.flatnonzero(source)
    return colours.reshape(-1, 3)[pixel_of[label[wanted]]]


def _bled(colours: F32, alpha: F32) -> F32:
    """Colours under the foreground and a little around it, nothing elsewhere."""
    on = alpha > 0
    side = 2 * _BLEED_PX + 1
    around = cv2.dilate(on.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool) & ~on
    if around.any():
        colours[around] = nearest_colours(colours, on, around)
    colours[~on & ~around] = 0
    return colours
