"""Scores, all pure functions of arrays.

`drawings`: classes, lines, areas, masks. `mattes`: alphas, as ToonOut and IS-Net measure them. `correction`:
how much work is left for a person. `shapes`: how hard a shape is.
"""

from douga.metrics.drawings import (
    AREA_AGREEMENT,
    BOUNDARY_RATIO,
    MIN_AREA_PX,
    LineCounts,
    Matrix,
    Overlap,
    accuracy,
    boundary_overlap,
    closed_areas,
    confusion_matrix,
    iou,
    is_line,
    line_counts,
    mean_iou,
    near,
    overlap,
    precision,
    recall,
)
from douga.metrics.shared import Mask, Shares

__all__ = [
    "AREA_AGREEMENT",
    "BOUNDARY_RATIO",
    "MIN_AREA_PX",
    "LineCounts",
    "Mask",
    "Matrix",
    "Overlap",
    "Shares",
    "accuracy",
    "boundary_overlap",
    "closed_areas",
    "confusion_matrix",
    "iou",
    "is_line",
    "line_counts",
    "mean_iou",
    "near",
    "overlap",
    "precision",
    "recall",
]
