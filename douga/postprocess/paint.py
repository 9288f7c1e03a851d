"""What the frame's own colours say about a network's answer: cels are painted in flat colours.

A patch of one paint is of one class, whatever a network wavers between in it; and two lines with nothing but
their own ink between them are the two edges of one thick line.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.types import F32, U8

_CUBE = np.ones((3, 3), np.uint8)
_SAME_PAINT = 8  # of 255, any channel: how far colours of one paint differ within 3 x 3 px at half the size
_LEAST_PX = 12  # smaller patches of paint, at half the size, say nothing
_CLEAR = 0.1  # by how much a patch's first class must be ahead of its second
_REACH_PX = 2.5  # a patch speaks for what lies this close to it, at half the size
_PEN_PX = 11  # thicker lines than this are shapes
_SAME_INK = 12  # of 255, brightest channel: how much brighter than its edges the inside of a line may be
_INKED = 0.8  # share of a gap between two edges that must be ink
_RIBBON = 2  # a line is at least so many times as long as it is thick


def vote_by_paint(planes: dict[int, F32], lines: U8, rgb: U8) -> dict[int, F32]:
    """Average the probabilities of areas over each patch of one paint.

    Where no class is clearly ahead in a patch, its pixels stay as they were: soft gradients join patches of
    several classes. Works at half the size, which also calms grain and compression.

    planes: (H, W) float32 probabilities by area class. lines: (H, W) uint8, 1 where a pixel is a line. rgb:
    (H, W, 3) uint8 sRGB, the frame. Returns new planes.
    """
    height, width = lines.shape
    half_wh = (width + 1) // 2, (height + 1) // 2
    small = cv2.resize(rgb, half_wh, interpolation=cv2.INTER_AREA)
    change = cv2.subtract(cv2.dilate(small, _CUBE), cv2.erode(small, _CUBE)).max(2)
    inked = cv2.resize(lines * np.uint8(255), half_wh, interpolation=cv2.INTER_AREA) > 100
    flat = ((change <= _SAME_PAINT) & ~inked).view(np.uint8)
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
    second, first = np.sort(np.stack(list(mean.values())), axis=0)[-2:]
    says = (first - second >= _CLEAR) & (size >= _LEAST_PX)
    says[0] = False  # what is no patch
    nearest = _nearest(patch, flat)
    nearest = np.where(says[nearest], nearest, 0)
    at = np.repeat(np.repeat(nearest, 2, axis=0), 2, axis=1)[:height, :width]
    return {c: np.where(at > 0, mean[c].astype(np.float32)[at], plane) for c, plane in planes.items()}


def _nearest(patch: NDArray[np.int32], flat: U8) -> NDArray[np.int32]:
    """The patch that each pixel is in or near, 0 where there is none within reach."""
    away, spot = cv2.distanceTransformWithLabels(
        1 - flat, cv2.DIST_L2, cv2.DIST_MASK_3, labelType=cv2.DIST_LABEL_PIXEL
    )
    patch_of = np.zeros(int(spot.max()) + 1, np.int32)
    inside = flat.view(bool)
    patch_of[spot[inside]] = patch[inside]
    return np.where(away <= _REACH_PX, patch_of[spot], 0)


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
    bright = rgb.max(2)
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
