"""Coloured lines: ink in a darker tint of the paint beside it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.nearest import nearest

_LEAST = 0.5  # of 255: a window with less paint in it has none
_SATURATION = 1.35  # of a tint, against its paint's


def tints(
    paint: NDArray[np.uint8], share: NDArray[np.uint8], window_px: int, depth: float
) -> NDArray[np.uint8]:
    """The tint that ink would have at each pixel.

    It is that of the mean paint in a window around it. A pen is tinted as a whole: inside of thick lines,
    where no paint is in reach, it is the nearest tint.

    paint: (H, W, 3) uint8 sRGB, 0 where there is none, mixed with 0 where there is some. share: (H, W) uint8,
    how much paint each pixel holds, 0 to 255. window_px: side of the window. depth: brightness of a tint, as
    a share of its paint's. Returns (H, W, 3) uint8.
    """
    window = (window_px, window_px)
    held = cv2.blur(share.astype(np.float32), window)
    colour = cv2.blur(paint.astype(np.float32), window) * (255 / np.maximum(held, _LEAST))[..., None]
    grey = colour.mean(-1, keepdims=True)
    tint = np.clip((grey + (colour - grey) * _SATURATION) * depth, 0, 255).astype(np.uint8)
    near = held >= _LEAST
    if near.all() or not near.any():
        return tint
    source = nearest(np.where(near, np.arange(near.size, dtype=np.int32).reshape(near.shape), -1))
    return tint.reshape(-1, 3)[source]
