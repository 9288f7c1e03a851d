"""Antialiasing for an alpha that jumps from nothing to all: the frame tells the share between."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.errors import InputError
from douga.foreground import nearest_colours
from douga.types import F32, U8

_SOLID, _CLEAR = 0.9, 0.1  # from here on and up to here an alpha is all or nothing
_APART = 50 / 255  # colours nearer to each other do not tell how much of either is in a third
_OFF = 0.1  # by how much a colour may differ from a mixture of the two


def with_soft_borders(alpha: F32, rgb: U8) -> F32:
    """Give the pixels on either side of a hard border the share of the foreground that is in their colour.

    A border pixel is a mixture of the colours next to it, one pixel further in and one further out, as a
    paint program antialiases. It keeps its alpha where it is no such mixture (a thin line of a third colour),
    where the two colours are too much alike to tell, and where nothing lies behind it (a hair of two pixels).
    What is soft already stays as it is.

    alpha: (H, W) float32, 0 to 1. rgb: (H, W, 3) uint8, sRGB, the frame. Returns (H, W) float32, 0 to 1.
    Raises InputError where the sizes differ.
    """
    if alpha.shape != rgb.shape[:2]:
        raise InputError(f"the alpha is {alpha.shape}, the frame {rgb.shape[:2]}; give one of its size")
    solid, clear = alpha >= _SOLID, alpha <= _CLEAR
    border = (solid & _near(clear, 1)) | (clear & _near(solid, 1))
    inner, outer = solid & ~border, clear & ~border
    border &= _near(inner, 2) & _near(outer, 2)
    if not border.any():
        return alpha
    colours = rgb.astype(np.float32) / np.float32(255)
    here, back = colours[border], nearest_colours(colours, outer, border)
    away = nearest_colours(colours, inner, border) - back
    apart = np.linalg.norm(away, axis=-1)
    share = np.clip(((here - back) * away).sum(-1) / np.maximum(apart**2, 1e-6), 0, 1)
    off = np.linalg.norm(here - back - share[:, None] * away, axis=-1)
    out = alpha.copy()
    out[border] = np.where((apart > _APART) & (off < _OFF), share, alpha[border])
    return out


def _near(mask: NDArray[np.bool_], px: int) -> NDArray[np.bool_]:
    side = 2 * px + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
