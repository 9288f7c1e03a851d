"""How complex a shape is, so that scores can be read beside it (IS-Net, section 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2

from douga.metrics.correction import contours, dominant_points
from douga.metrics.mattes import foreground
from douga.types import U8


@dataclass(frozen=True)
class ShapeComplexity:
    """ipq: isoperimetric quotient L^2 / (4 pi A), about 1 for a disk, NaN for nothing; L is the length of all
    outlines through the centres of their pixels, A the pixels. contours: outlines, those of holes too.
    dominant_points: corners of the polygons that approximate them.
    """

    ipq: float
    contours: int
    dominant_points: int


def shape_complexity(alpha: U8, epsilon: float = 2.0) -> ShapeComplexity:
    """Measure the foreground of an alpha. alpha: (H, W) uint8. epsilon: of the polygons, in px."""
    mask = foreground(alpha)
    outlines, area = contours(mask), int(mask.sum())
    length = sum(cv2.arcLength(outline.reshape(-1, 1, 2), True) for outline in outlines)
    return ShapeComplexity(
        ipq=length**2 / (4 * math.pi * area) if area else math.nan,
        contours=len(outlines),
        dominant_points=dominant_points(outlines, epsilon, closed=True),
    )
