"""Alphas of a sequence that do not flicker where the frames stand still, and do not lag where they move."""

from __future__ import annotations

import re

import cv2
import numpy as np

from douga.types import F32, U8, Frame

# Differences of colour, in 255ths, averaged over 3 x 3: grain and compression stay below the first, what
# moved is above the second. Between them the new answer counts the more the larger it is.
_STILL, _MOVED = 6.0, 14.0
_REACH_PX = 9  # side of the square around what moved that counts as moved: its edges and their blur
_GAIN = 0.25  # share of a new answer that is taken where nothing moved


class Steady:
    """Call it with one frame after the other and its fresh alpha; gives the alpha to use.

    A pixel whose surroundings did not change keeps most of its last alpha, so that grain and compression do
    not make it flicker. Where the frame changed, the fresh alpha stands as it is: nothing is dragged along.
    What a pixel is compared with is the frame that its alpha was made of, averaged like that alpha, so slow
    pans and fades add up to a change. Frames that do not follow each other (by number or size) begin anew.
    """

    def __init__(self) -> None:
        self._next_name: str | None = None
        self._seen: F32 = np.zeros((0, 0, 3), np.float32)
        self._alpha: F32 = np.zeros((0, 0), np.float32)

    def __call__(self, frame: Frame, alpha: F32) -> F32:
        """frame: its name ends in its number. alpha: (H, W) float32, 0 to 1. Returns the same form."""
        follows = self._next_name == frame.name and self._alpha.shape == alpha.shape
        self._next_name = _following(frame.name)
        if not follows:
            self._seen, self._alpha = frame.rgb.astype(np.float32), alpha
            return alpha
        share = _GAIN + (1 - _GAIN) * change(frame.rgb, self._seen)
        self._alpha = self._alpha + share * (alpha - self._alpha)
        self._seen += share[..., None] * (frame.rgb - self._seen)
        return self._alpha


def change(rgb: U8, before: F32) -> F32:
    """How surely each pixel is among what changed: (H, W) float32, 0 to 1.

    rgb: (H, W, 3) uint8 sRGB. before: (H, W, 3) float32, 0 to 255.
    """
    off = cv2.blur(np.abs(rgb - before).max(axis=2), (3, 3))
    off = cv2.dilate(off, np.ones((_REACH_PX, _REACH_PX), np.uint8))
    return np.clip((off - _STILL) / (_MOVED - _STILL), 0, 1)


def _following(name: str) -> str | None:
    """The name of the frame after this one: A0099 -> A0100. None where the name has no number."""
    found = re.fullmatch(r"(.*?)(\d+)", name, re.DOTALL)
    return None if found is None else f"{found[1]}{int(found[2]) + 1:0{len(found[2])}d}"
