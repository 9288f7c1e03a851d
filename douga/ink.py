"""Ink as it can be seen without a network: thin, and darker than the paint on both of its sides."""

from __future__ import annotations

import cv2
import numpy as np

from douga.types import U8

_HEIGHT_PX = 1080  # of the frame that the lengths below are meant for
_PEN_PX = 12  # thicker dark bands are shapes
_OUTLINE_PX = 4  # how much of an outline a mask may miss
_DARKER = 16  # of 255: by how much ink is at least darker than the lighter of the paints around it
_CORE = 0.5  # share of a line's own darkness that its soft edges must still have
_SOFT_PX = 0.8


def inked(rgb: U8) -> U8:
    """Where thin dark lines are, whoever drew them. (H, W, 3) uint8 sRGB -> (H, W) uint8, 0 or 1.

    A black top-hat: what a closing by a disc of the broadest pen fills is ink.
    """
    scale = _scale(rgb)
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), _SOFT_PX)
    pen_px = 2 * round(_PEN_PX * scale / 2) + 1
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pen_px, pen_px))
    darker = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, pen)
    darkest = cv2.dilate(darker, np.ones((9, 9), np.uint8))
    return ((darker >= _DARKER) & (darker >= _CORE * darkest.astype(np.float32))).view(np.uint8)


def with_outline(mask: U8, rgb: U8) -> U8:
    """Take the whole of its outline into a cel: the ink that its mask ends in, to the ink's far side.

    A network's border runs somewhere within the line. mask: (H, W) uint8, 0 or 1. rgb: (H, W, 3) uint8 sRGB,
    the frame. Returns the mask, larger by 4 px at the most (at 1080 lines; more on larger frames), and only
    where there is ink.
    """
    within = inked(rgb) | mask
    grown = mask
    for _ in range(round(_OUTLINE_PX * _scale(rgb))):
        grown = cv2.dilate(grown, np.ones((3, 3), np.uint8)) & within
    return grown


def _scale(rgb: U8) -> float:
    return max(1.0, min(rgb.shape[:2]) / _HEIGHT_PX)
