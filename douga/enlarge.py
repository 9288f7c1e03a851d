"""A small alpha -> one of the frame's size, whose edges are those of the frame.

A network that sees frames reduced knows hairs only as a haze. Around its edges an alpha is nearly a linear
function of the frame's colours (Levin et al., closed-form matting; He et al., guided filter): learned where
both are small, the function tells at full size which of the pixels are hair.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.types import F32, U8

_SIDE = 3  # px of the small alpha, of the windows in which the function is learned
_EVEN = 1e-5  # variance of colours, of 1, below which they tell nothing
_NEAR_PX = 4  # of the small alpha: how far around its edges anything can change


def enlarge_alpha(small: F32, rgb: U8) -> F32:
    """Enlarge an alpha to the size of the frame that it was seen in.

    Smoothly, and with what the linear function has in detail beyond what it has when it is small. So the
    alpha keeps its level where the frame's colours tell nothing. small: (h, w) float32, 0 to 1. rgb: (H, W,
    3) uint8 sRGB. Returns (H, W) float32, 0 to 1.
    """
    size_wh = rgb.shape[1], rgb.shape[0]
    if small.shape[0] >= size_wh[1] or small.shape[1] >= size_wh[0]:
        return np.asarray(cv2.resize(small, size_wh, interpolation=cv2.INTER_AREA), np.float32)
    smooth = cv2.resize(small, size_wh, interpolation=cv2.INTER_CUBIC)
    colours = cv2.resize(rgb, small.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    slope, level = _fitted(colours, small)
    seen_small = (slope * colours).sum(2) + level
    seen = cv2.resize(level, size_wh, interpolation=cv2.INTER_LINEAR)
    for channel in range(3):
        share = cv2.resize(slope[..., channel], size_wh, interpolation=cv2.INTER_LINEAR)
        seen += share * (rgb[..., channel] / np.float32(255))
    detail = seen - cv2.resize(seen_small, size_wh, interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + detail, 0, 1)


def _fitted(colours: F32, alpha: F32) -> tuple[F32, F32]:
    """Slopes (h, w, 3) and levels (h, w): alpha = slope . colour + level, around each pixel near an edge.

    Elsewhere the slope is 0 and the level the alpha itself.
    """
    mean, alpha_mean = _around(colours), _around(alpha)
    slope = np.zeros_like(colours)
    at = _near_edges(alpha)
    if at.any():
        together = (_around(colours * alpha[..., None]) - mean * alpha_mean[..., None])[at]  # (N, 3)
        spread = np.empty((len(together), 3, 3), np.float32)
        for i in range(3):
            for j in range(i, 3):
                product = _around(colours[..., i] * colours[..., j])[at]
                spread[:, i, j] = spread[:, j, i] = product - mean[at][:, i] * mean[at][:, j]
        spread += _EVEN * np.eye(3, dtype=np.float32)
        slope[at] = np.linalg.solve(spread, together[..., None])[..., 0]
    level = alpha_mean - (slope * mean).sum(2)
    return _around(slope), _around(level)


def _around(values: F32) -> F32:
    """Means of windows, of (h, w) or (h, w, 3)."""
    return np.asarray(cv2.blur(values, (_SIDE, _SIDE)), np.float32)


def _near_edges(alpha: F32) -> NDArray[np.bool_]:
    square = np.ones((2 * _NEAR_PX + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(alpha, square) - cv2.erode(alpha, square) > 1 / 255)
