"""Two lines with nothing but their own ink between them are the two edges of one thick line."""

from __future__ import annotations

import cv2
import numpy as np

from douga.paint import brightest
from douga.types import U8

_PEN_PX = 11  # thicker lines than this are shapes
_SAME_INK = 12  # of 255, brightest channel: how much brighter than its edges the inside of a line may be
_INKED = 0.8  # share of a gap between two edges that must be ink
_RIBBON = 2  # a line is at least so many times as long as it is thick


def fill_thick_lines(lines: U8, seen: U8, rgb: U8) -> U8:
    """Fill what lies between the two edges of one thick line.

    A network that has learned thin lines draws the edges of thick ones. Between them is nothing but ink, as
    dark as the edges are; between two lines that lie close together there is paint.

    lines, seen: (H, W) uint8, 1 on lines of any class, and on visible and book lines. rgb: (H, W, 3) uint8
    sRGB, the frame. Returns lines and what was filled, (H, W) uint8, 0 or 1.
    """
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_PEN_PX, _PEN_PX))
    gap = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, pen) & (1 - lines)
    if not gap.any():
        return lines
    bright = brightest(rgb)
    ink = bright <= cv2.add(cv2.erode(bright, np.ones((_PEN_PX, _PEN_PX), np.uint8)), _SAME_INK)
    count, part = cv2.connectedComponents(gap, connectivity=4, ltype=cv2.CV_32S)
    inside = gap.view(bool)
    part_of = part[inside]
    size = np.bincount(part_of, minlength=count)
    inked = np.bincount(part_of, ink[inside], minlength=count)
    depth_px = np.zeros(count, np.float32)
    np.maximum.at(depth_px, part_of, cv2.distanceTransform(gap, cv2.DIST_L2, 3)[inside])
    is_line = (inked >= _INKED * size) & (size >= _RIBBON * (2 * depth_px) ** 2)
    is_line[0] = False  # what is no gap
    return lines | is_line.view(np.uint8)[part]
