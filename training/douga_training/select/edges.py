"""Frame -> edge image, and whether two edge images show the same drawing (Kugler, 4.1)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.types import U8

F32 = NDArray[np.float32]

EDGE_WH = (48, 27)  # an edge image: coarse, so that a drawing that moved by a few pixels stays the same one
_WORK_WH = (480, 270)  # edges are found at this size: a line of 1 px at 1920 x 1080 still shows
_GRAIN = 6.0  # steps of so few grey levels are grain and compression
_HALF_EDGE = 40.0  # a step of so many grey levels counts half; saturating, or black lines would be all
# Share of the edges that may differ in one drawing. Measured: grain, compression and a mouth up to 0.1, a
# move by 9 px at 1920 x 1080 about 0.2; different drawings 0.7 and more.
SAME_DRAWING = 0.2
COMPARED = 1000
_QUIET = 0.01 * 255  # mean of an edge image without edges: black and white frames are all alike


def edge_image(rgb: U8) -> U8:
    """How much edge is in each cell of a frame.

    rgb: (H, W, 3) uint8 sRGB, any size; it is squeezed to one shape. Returns (27, 48) uint8, 0 to 255. The
    scale is fixed, never taken from the frame, so a dark frame has few edges.
    """
    small = cv2.GaussianBlur(cv2.resize(rgb, _WORK_WH, interpolation=cv2.INTER_AREA), (3, 3), 0)
    step = np.zeros(small.shape[:2], np.float32)
    for channel in cv2.split(small):  # paints of one lightness meet in an edge too
        dx = cv2.Sobel(channel, cv2.CV_32F, 1, 0, scale=0.25)
        dy = cv2.Sobel(channel, cv2.CV_32F, 0, 1, scale=0.25)
        step = np.maximum(step, cv2.magnitude(dx, dy))
    step = np.maximum(step - _GRAIN, 0)
    strength = step / (step + _HALF_EDGE) * 255
    cells: U8 = np.round(cv2.resize(strength, EDGE_WH, interpolation=cv2.INTER_AREA)).astype(np.uint8)
    return cells


def difference(edges: U8, others: U8) -> F32:
    """Share of the edges that differ: 0 the same drawing, 1 no edge in common.

    edges: (27, 48) uint8. others: (N, 27, 48) uint8. Returns (N,) float32.
    """
    more, less = np.maximum(others, edges), np.minimum(others, edges)  # 8 bits: many frames are compared
    apart = (more - less).sum((1, 2), dtype=np.float32)
    present = more.sum((1, 2), dtype=np.float32)
    return apart / np.maximum(present, _QUIET * edges.size)


class Distinct:
    """Edge images no two of which show the same drawing: held drawings are let in once.

    same: share of the edges that may differ in one drawing. compared: so many of the last are looked at, by
    default as many as cover holds, cycles and cuts back; None: all.
    """

    def __init__(self, same: float = SAME_DRAWING, compared: int | None = COMPARED) -> None:
        self._same, self._compared = same, compared
        self._kept = np.zeros((64, EDGE_WH[1], EDGE_WH[0]), np.uint8)
        self._count = 0

    def is_new(self, edges: U8) -> bool:
        """Whether none of the drawings looks the same. edges: (27, 48) uint8."""
        start = 0 if self._compared is None else max(0, self._count - self._compared)
        others = self._kept[start : self._count]
        return not len(others) or float(difference(edges, others).min()) >= self._same

    def add(self, edges: U8) -> None:
        """Remember a (27, 48) uint8 edge image."""
        if self._count == len(self._kept):
            self._kept = np.concatenate([self._kept, np.zeros_like(self._kept)])
        self._kept[self._count] = edges
        self._count += 1
