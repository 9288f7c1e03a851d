"""Scores of alphas: held against PySODMetrics where it has them, counted by hand where it has not."""

from __future__ import annotations

import math

import cv2
import numpy as np
import py_sod_metrics as theirs
import pytest
from numpy.testing import assert_allclose

from douga.errors import InputError
from douga.metrics import correction, mattes, shapes

SHAPES = [(96, 128), (61, 47), (200, 150)]


def pair(seed: int, size_hw: tuple[int, int] = (96, 128)) -> tuple[np.ndarray, np.ndarray]:
    """A soft truth of blobs and hairs, and a prediction that is blurred, shifted, noisy and has holes."""
    rng = np.random.default_rng(seed)
    h, w = size_hw
    truth = np.zeros(size_hw, np.uint8)
    for _ in range(3):
        centre = (int(rng.integers(w)), int(rng.integers(h)))
        cv2.circle(truth, centre, int(rng.integers(5, 25)), 255, -1, cv2.LINE_AA)
        ends = rng.integers(0, min(h, w), (2, 2))
        cv2.line(truth, ends[0].tolist(), ends[1].tolist(), 255, int(rng.integers(1, 4)), cv2.LINE_AA)
    found = np.roll(truth, int(rng.integers(0, 4)), 1)
    cv2.circle(found, (int(rng.integers(w)), int(rng.integers(h))), 9, int(rng.integers(256)), -1)
    found = cv2.GaussianBlur(found, (0, 0), float(rng.uniform(0.3, 2)))
    noisy = found + rng.normal(0, 12, size_hw)
    found = np.clip(np.where(found > 5, noisy, found), 0, 255).astype(np.uint8)
    found[found == 128] = 129  # one program counts 128 as found, another does not
    return found, truth


def measured(metric: object, found: np.ndarray, truth: np.ndarray) -> dict:
    """One of theirs, on numbers that it does not stretch."""
    metric.step(found / 255, truth > 128, normalize=False)  # type: ignore[attr-defined]
    return metric.get_results()  # type: ignore[attr-defined]


CASES = [(seed, size) for seed in range(5) for size in SHAPES]


@pytest.mark.parametrize(("seed", "size"), CASES)
def test_mae_weighted_f_and_s_equal_theirs(seed: int, size: tuple[int, int]) -> None:
    found, truth = pair(seed, size)
    hard = np.where(truth > 128, np.uint8(255), np.uint8(0))  # their MAE takes a mask as truth
    assert mattes.mean_absolute_error(found, hard) == pytest.approx(
        measured(theirs.MAE(), found, hard)["mae"], abs=1e-12
    )
    assert mattes.weighted_f(found, truth) == pytest.approx(
        measured(theirs.WeightedFmeasure(), found, truth)["wfm"], abs=1e-9
    )
    assert mattes.s_measure(found, truth) == pytest.approx(
        measured(theirs.Smeasure(), found, truth)["sm"], abs=1e-9
    )


@pytest.mark.filterwarnings("ignore:This class will be removed")
@pytest.mark.parametrize(("seed", "size"), CASES)
def test_the_curves_of_f_and_e_equal_theirs(seed: int, size: tuple[int, int]) -> None:
    found, truth = pair(seed, size)
    curve = measured(theirs.Fmeasure(), found, truth)["fm"]["curve"]
    assert_allclose(mattes.f_curve(found, truth), np.asarray(curve)[::-1], atol=1e-9)
    curve = measured(theirs.Emeasure(), found, truth)["em"]["curve"]
    pixels = truth.size  # theirs divides by one less, the papers do not
    assert_allclose(mattes.e_curve(found, truth) * pixels / (pixels - 1), np.asarray(curve)[::-1], atol=1e-9)


@pytest.mark.parametrize(("seed", "size"), CASES)
@pytest.mark.parametrize("relax", [0, 2, 5])
def test_correction_efforts_equal_theirs(seed: int, size: tuple[int, int], relax: int) -> None:
    found, truth = pair(seed, size)
    wanted = measured(theirs.HumanCorrectionEffortMeasure(relax=relax), found, truth)["hce"]
    assert correction.human_correction_efforts(found, truth, relax=relax) == wanted


def test_all_scores_of_an_equal_pair_are_perfect() -> None:
    truth = np.where(pair(3)[1] > 128, np.uint8(255), np.uint8(0))
    perfect = (
        mattes.pixel_accuracy,
        mattes.boundary_iou,
        mattes.weighted_f,
        mattes.s_measure,
        mattes.mean_boundary_accuracy,
        lambda a, b: mattes.f_curve(a, b).max(),
        lambda a, b: mattes.e_curve(a, b).max(),
    )
    for score in perfect:
        assert score(truth, truth) == pytest.approx(1, abs=1e-9)
    for error in (mattes.mean_absolute_error, mattes.mean_squared_error, correction.human_correction_efforts):
        assert error(truth, truth) == 0


def box(top: int, left: int, height: int, width: int, value: int = 255) -> np.ndarray:
    alpha = np.zeros((40, 50), np.uint8)
    alpha[top : top + height, left : left + width] = value
    return alpha


def test_pixel_accuracy_by_hand() -> None:
    truth = box(10, 10, 20, 25)  # 500 pixels
    # Ten rows of 25 are missing; eroded by 5 x 5, 6 rows of 21 are left of them.
    assert mattes.pixel_accuracy(box(10, 10, 10, 25), truth) == pytest.approx((1 - 6 * 21 / 500) ** 2)
    assert mattes.pixel_accuracy(box(10, 10, 20, 25, value=245), truth) == 1  # 10 off: nobody sees it
    assert mattes.pixel_accuracy(box(10, 10, 20, 25, value=244), truth) == pytest.approx(
        (1 - 16 * 21 / 500) ** 2
    )
    assert mattes.pixel_accuracy(box(10, 10, 20, 21), truth) == 1  # an edge of 4 px is forgiven
    # Eroding does not begin at the picture's edge: nothing is known of what is beyond it.
    assert mattes.pixel_accuracy(box(0, 0, 40, 4), box(0, 0, 40, 50)) == pytest.approx(
        (1 - (46 - 2) * 40 / 2000) ** 2
    )


def test_pixel_accuracy_never_rises_again() -> None:
    truth = box(18, 22, 4, 5)  # 20 pixels; as printed, hundreds of wrong ones would score above 100 %
    assert mattes.pixel_accuracy(np.full_like(truth, 255), truth) == 0
    empty = np.zeros_like(truth)
    assert mattes.pixel_accuracy(empty, empty) == 1
    assert mattes.pixel_accuracy(box(5, 5, 10, 10), empty) == 0


def test_errors_by_hand() -> None:
    found, truth = np.array([[0, 51], [255, 255]], np.uint8), np.array([[0, 0], [255, 153]], np.uint8)
    assert mattes.mean_absolute_error(found, truth) == pytest.approx((0.2 + 0.4) / 4)
    assert mattes.mean_squared_error(found, truth) == pytest.approx((0.04 + 0.16) / 4)


def test_f_by_hand() -> None:
    truth = np.array([[255, 255, 0, 0]], np.uint8)
    found = np.array([[200, 100, 150, 0]], np.uint8)
    curve = mattes.f_curve(found, truth)
    assert curve[201] == 0
    assert curve[200] == pytest.approx(1.3 * 1 * 0.5 / (0.3 * 1 + 0.5))
    assert curve[150] == pytest.approx(0.5)
    assert curve[100] == pytest.approx(1.3 * (2 / 3) / (0.3 * (2 / 3) + 1))
    assert curve[0] == pytest.approx(1.3 * 0.5 / (0.3 * 0.5 + 1))


def test_boundary_iou_by_hand() -> None:
    truth, found = np.zeros((2, 100, 100), np.uint8)
    truth[20:60, 20:60], found[20:60, 22:62] = 255, 255  # the band is 3 px wide: 2 % of 141
    band = 40 * 40 - 34 * 34
    both = 2 * (3 * 38) + 2 * (1 * 34)  # above and below; left and right, where bands overlap by 1 px
    assert mattes.boundary_iou(found, truth) == pytest.approx(both / (2 * band - both))


def test_boundary_accuracy_by_hand() -> None:
    truth, found = np.zeros((2, 450, 450), np.uint8)  # all five radii are 3 px
    truth[:, 200:], found[:, 201:] = 255, 255
    assert mattes.mean_boundary_accuracy(found, truth) == pytest.approx(5 / 6)
    found[:, 201:] = 128  # not above 128
    assert mattes.mean_boundary_accuracy(found, truth) == pytest.approx(3 / 6)


def test_what_is_not_defined_is_no_number() -> None:
    empty, full = np.zeros((30, 40), np.uint8), np.full((30, 40), 255, np.uint8)
    for score in (mattes.weighted_f, mattes.boundary_iou, mattes.mean_boundary_accuracy):
        assert math.isnan(score(empty, empty))
    assert np.isnan(mattes.f_curve(full, empty)).all()
    assert mattes.s_measure(full, empty) == 0
    assert mattes.s_measure(empty, empty) == mattes.e_curve(empty, empty)[1] == 1


def test_corrections_by_hand() -> None:
    truth = box(5, 5, 30, 40)
    hole = truth.copy()
    hole[12:28, 12:28] = 0  # lies within what was found: one click fills it
    assert correction.human_correction_efforts(hole, truth) == 1
    more = truth.copy()
    more[:] = 0
    more[5:35, 5:45] = 255
    assert correction.human_correction_efforts(more, np.zeros_like(truth)) == 1  # an island: one click
    thin = truth.copy()
    thin[4, 5:45] = 255  # 1 px too much along an edge is forgiven
    assert correction.human_correction_efforts(thin, truth) == 0
    assert correction.human_correction_efforts(thin, truth, relax=0) == 2  # the two ends of a straight line


def test_complexity_by_hand() -> None:
    square = shapes.shape_complexity(box(10, 10, 11, 11))
    assert square == shapes.ShapeComplexity(40**2 / (4 * math.pi * 121), 1, 4)
    ring = box(5, 5, 25, 25)
    ring[12:20, 12:20] = 0
    assert shapes.shape_complexity(ring).contours == 2
    comb = box(30, 5, 5, 41)
    for x in range(5, 42, 8):
        comb[5:30, x : x + 4] = 255
    assert shapes.shape_complexity(comb).ipq > 8 * square.ipq
    # Three of the back, three of the tooth at its end, four of each other tooth.
    assert shapes.shape_complexity(comb).dominant_points == 22
    nothing = shapes.shape_complexity(np.zeros((9, 9), np.uint8))
    assert math.isnan(nothing.ipq)
    assert (nothing.contours, nothing.dominant_points) == (0, 0)


@pytest.mark.parametrize(
    "score",
    [
        mattes.pixel_accuracy,
        mattes.mean_absolute_error,
        mattes.mean_squared_error,
        mattes.f_curve,
        mattes.e_curve,
        mattes.weighted_f,
        mattes.s_measure,
        mattes.boundary_iou,
        mattes.mean_boundary_accuracy,
        correction.human_correction_efforts,
    ],
)
def test_different_sizes_are_refused(score) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="differ in size"):
        score(np.zeros((20, 30), np.uint8), np.zeros((30, 20), np.uint8))
