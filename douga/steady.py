"""Alphas of a sequence that do not flicker where the frames stand still, and do not lag where they move."""

from __future__ import annotations

import re

import cv2
import numpy as np

from douga.types import F32, U8, Frame

# Differences of colour, in 255ths, averaged over 3 x 3: grain and compression stay below the first, what
# moved is above the second. Between them the new answer counts the more the larger it is. Both in frames that
# hold quite still, where a faint line that moves is seen, and at most.
_STILL, _MOVED = (1.5, 6.0), (4.0, 14.0)
_OF_NOISE = 1.5, 3.5  # the same as multiples of the frame's typical difference, between those
_REACH_PX = 9  # side of the square around what moved that counts as moved: its edges and their blur
_GAIN = 0.25  # share of a new answer that is taken where nothing moved
_LONGEST_HOLD = 4  # frames of one drawing: numbers of a sequence on fours go up by four


class Steady:
    """Call it with one frame after the other and its fresh alpha; gives the alpha to use.

    A pixel whose surroundings did not change keeps most of its last alpha, so that grain and compression do
    not make it flicker. Where the frame changed, the fresh alpha stands as it is: nothing is dragged along.
    What a pixel is compared with is the frame that its alpha was made of, averaged like that alpha, so slow
    pans and fades add up to a change. Frames that do not follow each other (by number or size) begin anew.

    last: name of the frame before, None at first. follows: whether the last call went on from the one before.
    """

    def __init__(self) -> None:
        self.last: str | None = None
        self.follows = False
        self._number: int | None = None
        self._seen: F32 = np.zeros((0, 0, 3), np.float32)
        self._alpha: F32 = np.zeros((0, 0), np.float32)

    def __call__(self, frame: Frame, alpha: F32) -> F32:
        """frame: has a number, or a name ending in it. alpha: (H, W) float32, 0 to 1. Returns such a one."""
        before, number = (self.last or "", self._number), _number_of(frame)
        self.follows = _follows(before, (frame.name, number)) and self._alpha.shape == alpha.shape
        self.last, self._number = frame.name, number
        if not self.follows:
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
    noise = float(np.median(off[::4, ::4]))
    still, moved = (
        np.clip(n * noise, *bounds) for n, bounds in zip(_OF_NOISE, (_STILL, _MOVED), strict=True)
    )
    off = cv2.dilate(off, np.ones((_REACH_PX, _REACH_PX), np.uint8))
    return np.clip((off - still) / (moved - still), 0, 1).astype(np.float32)


def _number_of(frame: Frame) -> int | None:
    digits = re.search(r"\d+$", frame.name)
    return int(digits[0]) if frame.number is None and digits else frame.number


def _follows(last: tuple[str, int | None], now: tuple[str, int | None]) -> bool:
    """Whether a frame is the next one, of a sequence on ones to fours: A0099 -> A0100 or A0101.

    last, now: name and number. The names are the same but for the digits that the number stands in.
    """
    before, after = (re.split(r"(\d+)", name) for name, _ in (last, now))
    if last[1] is None or now[1] is None or len(before) != len(after):
        return False
    others = sum(a != b for a, b in zip(before, after, strict=True))
    return others == 1 and 1 <= now[1] - last[1] <= _LONGEST_HOLD
