"""Trace lines where tones meet that were painted side by side.

An unshaded lock lies over shaded hair, or a shadow ends with the area that it lies on.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from douga.classes import DougaClass
from douga_training.simulate.curves import Points
from douga_training.simulate.sheet import Sheet

# Which line parts two kinds of area that touch; the first pair that a sample lies between decides.
_BETWEEN = (
    (DougaClass.COLOR_EDGE, DougaClass.COLOR_FILL, (DougaClass.FLAT, DougaClass.SHADING_FILL)),
    (DougaClass.HIGHLIGHT_LINE, DougaClass.HIGHLIGHT_FILL, (DougaClass.FLAT, DougaClass.SHADING_FILL)),
    (DougaClass.SHADING_LINE, DougaClass.SHADING_FILL, (DougaClass.FLAT,)),
)
_NEAR = np.ones((3, 3), np.uint8)


def trace_tone_borders(
    sheet: Sheet, corners: Points, line_px: float, *, without: Sequence[Points] = ()
) -> None:
    """Trace every border between tones that no line parts yet.

    corners: (N, 2) frame pixels; all within their bounding box is looked at. without: polygons, frame pixels,
    in which tones meet without a line, as in an iris.
    """
    h, w = sheet.ids.shape
    samples = (corners - sheet.frame_box()[:2]) * sheet.oversample
    x0, y0 = np.clip(np.floor(samples.min(0)), 0, (w, h)).astype(int)
    x1, y1 = np.clip(np.ceil(samples.max(0)), 0, (w, h)).astype(int)
    ids = sheet.ids[y0:y1, x0:x1]
    if ids.size == 0:
        return
    left_out = np.zeros(ids.shape, np.uint8)
    for polygon in without:
        inside = (polygon - sheet.frame_box()[:2]) * sheet.oversample - (x0, y0)
        cv2.fillPoly(left_out, [np.round(inside).astype(np.int32)], 1)
    grow = round(line_px * sheet.oversample) - 1
    for line, one, others in _BETWEEN:
        first = cv2.compare(ids, int(one), cv2.CMP_EQ) & 1 & ~left_out
        rest = np.isin(ids, others).view(np.uint8) & ~left_out
        border = cv2.dilate(first, _NEAR) & cv2.dilate(rest, _NEAR)
        if grow > 1:
            border = cv2.dilate(border, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grow, grow)))
        np.copyto(ids, np.uint8(line), where=(border & (first | rest)).view(bool))
