"""Scores of drawings and cel masks: from arrays to counts, and from counts to numbers.

Counts of several frames can be added before they are turned into a number, so that every pixel weighs the
same whichever frame it is in. A share of nothing (recall of a class that never occurs) is NaN, never 0 or
1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from douga.classes import LINE_CLASSES, NUM_CLASSES
from douga.metrics.shared import Mask, Shares, require_same_size, share
from douga.types import U8

Matrix = NDArray[np.int64]

BOUNDARY_RATIO = 0.02
MIN_AREA_PX = 25
AREA_AGREEMENT = 0.9


# -- pixels --------------------------------------------------------------------------------------------------


def confusion_matrix(prediction: U8, truth: U8) -> Matrix:
    """Pixels by true class (rows) and predicted class (columns): (10, 10) int64.

    prediction, truth: (H, W) uint8 class ids. Raises InputError where the sizes differ. (Kugler, 5.8, Table
    5.1.)
    """
    require_same_size(prediction, truth)
    pairs = truth.astype(np.intp).ravel() * NUM_CLASSES + prediction.ravel()
    return np.bincount(pairs, minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES).astype(np.int64)


def recall(matrix: Matrix) -> Shares:
    """Share of each true class that was found, (10,) float64, 0 to 1; NaN for classes that never occur."""
    return share(np.diag(matrix), matrix.sum(1))


def precision(matrix: Matrix) -> Shares:
    """Share of each predicted class that is right, (10,) float64, 0 to 1; NaN for classes never predicted."""
    return share(np.diag(matrix), matrix.sum(0))


def iou(matrix: Matrix) -> Shares:
    """Intersection over union of each class, (10,) float64, 0 to 1; NaN where neither side has the class."""
    return share(np.diag(matrix), matrix.sum(0) + matrix.sum(1) - np.diag(matrix))


def accuracy(matrix: Matrix) -> float:
    """Share of pixels whose class is right, 0 to 1; NaN without pixels."""
    return float(share(np.trace(matrix), matrix.sum()))


def mean_iou(matrix: Matrix) -> float:
    """Mean of `iou` over the classes that occur in prediction or truth, 0 to 1; NaN without pixels."""
    values = iou(matrix)
    return float(values[~np.isnan(values)].mean()) if (~np.isnan(values)).any() else float("nan")


# -- lines ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LineCounts:
    """Skeleton pixels of predicted and true lines, and how many of each lie near the other. They can be
    added.
    """

    predicted_hits: int = 0
    predicted: int = 0
    true_hits: int = 0
    true: int = 0

    def __add__(self, other: LineCounts) -> LineCounts:
        return LineCounts(
            self.predicted_hits + other.predicted_hits,
            self.predicted + other.predicted,
            self.true_hits + other.true_hits,
            self.true + other.true,
        )

    @property
    def precision(self) -> float:
        """Share of the predicted skeleton near a true one. With nothing predicted: 1 if nothing was there,
        else 0.
        """
        return self.predicted_hits / self.predicted if self.predicted else float(self.true == 0)

    @property
    def recall(self) -> float:
        """Share of the true skeleton near a predicted one; 1 where there was nothing to find."""
        return self.true_hits / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def near(mask: Mask, tolerance_px: float) -> Mask:
    """Pixels within a Euclidean distance (5 x 5 chamfer) of a (H, W) bool mask."""
    if not mask.any():
        return np.zeros_like(mask)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= tolerance_px


def line_counts(prediction: Mask, truth: Mask, tolerance_px: float = 2.0) -> LineCounts:
    """Compare lines by position: both are thinned first, so a line of 1 px and one of 3 px compete fairly.

    prediction, truth: (H, W) bool. tolerance_px: how far apart two skeleton pixels may lie and still be one
    line's.
    """
    require_same_size(prediction, truth)
    thin_prediction, thin_truth = skeletonize(prediction), skeletonize(truth)
    return LineCounts(
        int((thin_prediction & near(thin_truth, tolerance_px)).sum()),
        int(thin_prediction.sum()),
        int((thin_truth & near(thin_prediction, tolerance_px)).sum()),
        int(thin_truth.sum()),
    )


def is_line(ids: U8) -> Mask:
    """Which pixels of (H, W) class ids are lines of any class."""
    return (ids >= min(LINE_CLASSES)) & (ids <= max(LINE_CLASSES))


# -- masks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overlap:
    """Pixels (or areas) in both of two sets and in either of them. They can be added."""

    both: int = 0
    either: int = 0

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.both + other.both, self.either + other.either)

    @property
    def share(self) -> float:
        """both / either, 0 to 1; NaN where both sets are empty."""
        return self.both / self.either if self.either else float("nan")


def overlap(prediction: Mask, truth: Mask) -> Overlap:
    """Intersection and union of two (H, W) bool masks; its share is their IoU."""
    require_same_size(prediction, truth)
    return Overlap(int((prediction & truth).sum()), int((prediction | truth).sum()))


def boundary_overlap(prediction: Mask, truth: Mask, ratio: float = BOUNDARY_RATIO) -> Overlap:
    """Boundary IoU (Cheng et al., CVPR 2021): the IoU of the bands inside the two masks' contours.

    prediction, truth: (H, W) bool. ratio: width of the band as a share of the image's diagonal, 2 % by
    default as in that paper (44 px at 1920 x 1080). The frame's edge counts as contour, as it does there.
    """
    require_same_size(prediction, truth)
    width_px = max(1, round(ratio * float(np.hypot(*truth.shape))))
    return overlap(_band(prediction, width_px), _band(truth, width_px))


def _band(mask: Mask, width_px: int) -> Mask:
    # `width_px` erosions by 3 x 3 are one erosion by a square; it is separable, hence two thin kernels.
    side = 2 * width_px + 1
    eroded = cv2.copyMakeBorder(mask.astype(np.uint8), *(width_px,) * 4, cv2.BORDER_CONSTANT, value=0)
    for shape in ((side, 1), (1, side)):
        eroded = cv2.erode(eroded, np.ones(shape, np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & ~eroded[width_px:-width_px, width_px:-width_px].astype(bool)


# -- areas ---------------------------------------------------------------------------------------------------


def closed_areas(prediction: U8, truth: U8, tolerance_px: float = 2.0) -> Overlap:
    """How many of the true areas came out closed and of the right class; its share is the closed-area
    share.

    An area is a 4-connected region without line pixels; true ones below 25 px are left out. Pixels within
    `tolerance_px` of a line of either map are not looked at, so that neither line width nor a small shift
    matters (an area that has no other pixels is looked at whole). A true area came out if the predicted
    area that covers most of it covers at least 90 % of it, lies in it to at least 90 % itself (nothing
    leaked), and the class that most of it was given is the true area's. A painter could fill such an area
    with one click.

    prediction, truth: (H, W) uint8 class ids.
    """
    require_same_size(prediction, truth)
    line_in_either = is_line(prediction) | is_line(truth)
    true_count, true_area = _label(~is_line(truth))
    found_count, found_area = _label(~is_line(prediction))
    core = ~near(line_in_either, tolerance_px)
    thin = ~np.isin(np.arange(true_count), true_area[core])
    looked_at = (core | thin[true_area]) & (true_area > 0)
    together = _best_match(true_area, found_area, looked_at, found_count)
    sizes = np.bincount(true_area.ravel(), minlength=true_count)
    seen_from_true = np.bincount(true_area[looked_at], minlength=true_count)
    seen_from_found = np.bincount(found_area[looked_at], minlength=found_count)
    true_class = _main_class(true_area, truth, true_count)
    found_class = _main_class(found_area, prediction, found_count)
    hits = 0
    wanted = np.flatnonzero((sizes >= MIN_AREA_PX) & (np.arange(true_count) > 0))
    for key in wanted:
        found, shared = together.get(int(key), (0, 0))
        hits += bool(
            found
            and shared >= AREA_AGREEMENT * seen_from_true[key]
            and shared >= AREA_AGREEMENT * seen_from_found[found]
            and true_class[key] == found_class[found]
        )
    return Overlap(hits, len(wanted))


def _label(free: Mask) -> tuple[int, NDArray[np.int32]]:
    count, labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    return count, labels


def _best_match(
    true_area: NDArray[np.int32], found_area: NDArray[np.int32], looked_at: Mask, found_count: int
) -> dict[int, tuple[int, int]]:
    """For each true area the predicted area that covers most of it, and in how many pixels."""
    pairs = true_area[looked_at].astype(np.int64) * found_count + found_area[looked_at]
    pair, shared = np.unique(pairs, return_counts=True)
    order = np.argsort(shared, kind="stable")  # the last one that is put in covers most
    return {
        int(p // found_count): (int(p % found_count), int(n))
        for p, n in zip(pair[order], shared[order], strict=True)
    }


def _main_class(area: NDArray[np.int32], ids: U8, count: int) -> U8:
    keys = area.ravel().astype(np.int64) * NUM_CLASSES + ids.ravel()
    return (
        np.bincount(keys, minlength=count * NUM_CLASSES)
        .reshape(count, NUM_CLASSES)
        .argmax(1)
        .astype(np.uint8)
    )
