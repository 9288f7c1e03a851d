"""Scores on maps small enough to count by hand, and against the project's own scorer where it is at hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from douga import metrics
from douga.errors import InputError
from douga.metrics import LineCounts, Overlap

TRUTH = np.array([[0, 0, 1, 1], [0, 6, 6, 6], [0, 0, 0, 0]], np.uint8)
PREDICTION = np.array([[0, 1, 1, 0], [0, 6, 6, 0], [0, 0, 0, 0]], np.uint8)


def test_confusion_has_the_truth_in_rows() -> None:
    matrix = metrics.confusion_matrix(PREDICTION, TRUTH)
    assert matrix.shape == (10, 10)
    assert (matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1], matrix[6, 0], matrix[6, 6]) == (
        6,
        1,
        1,
        1,
        1,
        2,
    )
    assert matrix.sum() == 12


def test_shares_of_the_confusion() -> None:
    matrix = metrics.confusion_matrix(PREDICTION, TRUTH)
    nan = np.nan
    assert_allclose(metrics.recall(matrix), [6 / 7, 1 / 2, nan, nan, nan, nan, 2 / 3, nan, nan, nan])
    assert_allclose(metrics.precision(matrix), [6 / 8, 1 / 2, nan, nan, nan, nan, 1, nan, nan, nan])
    assert_allclose(metrics.iou(matrix), [6 / 9, 1 / 3, nan, nan, nan, nan, 2 / 3, nan, nan, nan])
    assert metrics.accuracy(matrix) == pytest.approx(9 / 12)
    assert metrics.mean_iou(matrix) == pytest.approx((6 / 9 + 1 / 3 + 2 / 3) / 3)


def test_nothing_is_not_a_score() -> None:
    nothing = np.zeros((10, 10), np.int64)
    assert np.isnan(metrics.accuracy(nothing))
    assert np.isnan(metrics.mean_iou(nothing))
    assert np.isnan(Overlap().share)


@pytest.mark.parametrize(
    "compare", [metrics.confusion_matrix, metrics.line_counts, metrics.overlap, metrics.closed_areas]
)
def test_different_sizes_are_refused(compare) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"\(2, 3\) and \(3, 2\)"):
        compare(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))


def line_at(row: int, *, thickness: int = 1, length: int = 20) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[row : row + thickness, 5 : 5 + length] = True
    return mask


@pytest.mark.parametrize(("off_px", "f1"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_lines_may_be_off_by_the_tolerance(off_px: int, f1: float) -> None:
    assert metrics.line_counts(line_at(5 + off_px), line_at(5), 2.0).f1 == f1


def test_width_does_not_matter() -> None:
    counts = metrics.line_counts(line_at(5, thickness=3), line_at(6), 1.0)
    assert counts.precision == 1.0
    assert counts.recall >= 0.95  # thinning takes a pixel off the end of the thick one


def test_half_a_line_has_half_the_recall() -> None:
    counts = metrics.line_counts(line_at(5, length=10), line_at(5), 0.0)
    assert counts == LineCounts(10, 10, 10, 20)
    assert (counts.precision, counts.recall) == (1.0, 0.5)
    assert counts.f1 == pytest.approx(2 / 3)


def test_lines_where_there_are_none() -> None:
    nothing, line = np.zeros((20, 30), bool), line_at(5)
    assert metrics.line_counts(nothing, nothing).f1 == 1.0
    assert metrics.line_counts(nothing, line).f1 == 0.0
    assert metrics.line_counts(line, nothing).f1 == 0.0


def test_counts_add_up() -> None:
    assert LineCounts(1, 2, 3, 4) + LineCounts(10, 20, 30, 40) == LineCounts(11, 22, 33, 44)
    assert (Overlap(1, 2) + Overlap(2, 4)).share == 0.5


def test_mask_overlap() -> None:
    a = np.array([[1, 1, 0]], bool)
    b = np.array([[0, 1, 1]], bool)
    assert metrics.overlap(a, b) == Overlap(1, 3)


def test_boundary_looks_at_the_band_inside_the_contour_only() -> None:
    truth = np.zeros((50, 50), bool)
    truth[10:40, 10:40] = True
    hollow = truth.copy()
    hollow[20:30, 20:30] = False  # the band is round(0.02 * 70.7) = 1 px wide: the hole adds its own rim
    assert metrics.boundary_overlap(truth, truth) == Overlap(116, 116)
    assert metrics.boundary_overlap(hollow, truth) == Overlap(116, 116 + 44)
    shifted = np.roll(truth, 1, axis=1)
    assert metrics.boundary_overlap(shifted, truth).share < metrics.overlap(shifted, truth).share


def test_boundary_counts_the_frame_as_contour() -> None:
    everything = np.ones((50, 50), bool)
    assert metrics.boundary_overlap(everything, everything) == Overlap(4 * 49, 4 * 49)


def two_rooms(*, gap: int = 0, right: int = 6) -> np.ndarray:
    """A box with a wall: left room flat, right one `right`; `gap` pixels of the wall are missing."""
    ids = np.zeros((40, 60), np.uint8)
    ids[5:35, 30:55] = right
    ids[[5, 34], 5:55] = ids[5:35, 5] = ids[5:35, 54] = ids[5:35, 30] = 1
    ids[5:35, 5] = ids[5:35, 54] = ids[5:35, 30] = 1
    if gap:
        ids[15 : 15 + gap, 30] = 0
    return ids


def test_closed_areas() -> None:
    truth = two_rooms()
    assert metrics.closed_areas(truth, truth) == Overlap(3, 3)
    assert metrics.closed_areas(two_rooms(gap=3), truth) == Overlap(
        1, 3
    )  # the rooms leak, outside is as it was
    assert metrics.closed_areas(two_rooms(right=8), truth) == Overlap(2, 3)  # closed, but of the wrong class
    shifted = np.roll(truth, 1, axis=1)
    assert metrics.closed_areas(shifted, truth) == Overlap(3, 3)


def test_closed_areas_leave_out_what_is_too_small() -> None:
    ids = np.ones((20, 20), np.uint8)
    ids[3:7, 3:7] = 0
    assert metrics.closed_areas(ids, ids) == Overlap(0, 0)


def test_is_line() -> None:
    assert_array_equal(metrics.is_line(np.arange(10, dtype=np.uint8)), [0, 1, 1, 1, 1, 1, 0, 0, 0, 0])
