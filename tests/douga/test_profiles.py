"""What the frame shows across a line: ink, a step of paint, or nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from douga.classes import DougaClass
from douga.postprocess import clean_douga
from douga.postprocess.profiles import (
    look_across,
    lost_lines,
    noise,
    vote_by_profile,
    without_mirages,
    without_stubs,
)
from douga.postprocess.skeleton import line_pixels, padded, thin, unpadded
from douga.types import F32, U8, CelMask

SIZE = (64, 96)  # height, width
LIGHT, DARK, INK = (200, 160, 140), (150, 110, 110), (60, 40, 50)
CEL = np.full(SIZE, 255, np.uint8)


def two_paints(slope: float = 0.0) -> tuple[U8, U8]:
    """A frame of two paints that meet at the middle column, leaning by `slope`, and the line between."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    side = x - SIZE[1] / 2 - slope * (y - SIZE[0] / 2)
    rgb = np.where((side < 0)[..., None], np.array(LIGHT), np.array(DARK)).astype(np.uint8)
    return rgb, (np.abs(side) <= 0.5 * np.hypot(1, slope)).astype(np.uint8)


def inked(rgb: U8, line: U8) -> U8:
    return np.where(line[..., None] > 0, np.array(INK, np.uint8), rgb)


def across(rgb: U8, line: U8, pixels: slice = slice(12, -12)) -> tuple[F32, F32]:
    """Step and ink along a line, its ends left out."""
    skeleton = padded(line)
    seen = look_across(skeleton, line_pixels(skeleton), line, rgb)
    return seen.step[pixels], seen.ink[pixels]


@pytest.mark.parametrize("slope", [0.0, 0.5, -1.0])
@pytest.mark.parametrize("blur", [0.0, 1.2])
def test_a_step_of_paint_is_no_ink_however_soft_it_is(slope: float, blur: float) -> None:
    rgb, line = two_paints(slope)
    if blur:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), blur), np.uint8)
    step, ink = across(rgb, line)
    apart = float(np.linalg.norm(np.subtract(LIGHT, DARK)))
    assert step.min() > 0.75 * apart
    assert ink.max() < 0.08 * apart


@pytest.mark.parametrize("slope", [0.0, 0.5, -1.0])
def test_ink_lies_away_from_both_paints(slope: float) -> None:
    rgb, line = two_paints(slope)
    step, ink = across(inked(rgb, line), line)
    assert ink.min() > 60
    assert step.min() > 30
    plain = np.full_like(rgb, LIGHT)
    step, ink = across(inked(plain, line), line)
    assert ink.min() > 60
    assert step.max() == 0


def test_votes_go_to_ink_or_trace_and_keep_their_sums() -> None:
    rgb, line = two_paints()
    skeleton = padded(line)
    pixels = line_pixels(skeleton)
    votes = np.tile(np.array([[0.3], [0.3], [0.1], [0.0], [0.0]], np.float32), len(pixels))
    for frame, likelier in ((inked(rgb, line), 0), (rgb, 1)):
        told = vote_by_profile(votes, look_across(skeleton, pixels, line, frame))
        np.testing.assert_allclose(told.sum(0), votes.sum(0), rtol=1e-5)
        assert (told.argmax(0)[12:-12] == likelier).all()
        np.testing.assert_allclose(told[1] / told[2], 3, rtol=1e-4)  # among trace lines nothing changes
    sure = np.tile(np.array([[0.01], [0.99], [0], [0], [0]], np.float32), len(pixels))
    told = vote_by_profile(sure, look_across(skeleton, pixels, line, inked(rgb, line)))
    assert (told[1] > told[0]).all()  # evidence never outvotes a network that is sure


def probabilities(line: U8, kind: DougaClass, share: float) -> F32:
    """A network that sees a line of one kind with this probability, and flat paint elsewhere."""
    planes = np.zeros((10, *SIZE), np.float32)
    planes[kind] = line * share
    planes[DougaClass.FLAT] = 1 - planes[kind]
    return planes


def test_a_dark_line_on_dark_paint_is_no_shading_line() -> None:
    _, line = two_paints()
    rgb = np.full((*SIZE, 3), (36, 34, 46), np.uint8)
    rgb[line > 0] = (22, 16, 24)
    planes = probabilities(cv2.dilate(line, np.ones((1, 3), np.uint8)), DougaClass.SHADING_LINE, 0.6)
    planes[DougaClass.VISIBLE_LINE] = planes[DougaClass.SHADING_LINE] * 0.5
    planes[DougaClass.FLAT] -= planes[DougaClass.VISIBLE_LINE]
    on_line = np.s_[10:-10, SIZE[1] // 2]
    assert (clean_douga(planes).ids[on_line] == DougaClass.SHADING_LINE).all()
    assert (clean_douga(planes, rgb, CelMask(CEL)).ids[on_line] == DougaClass.VISIBLE_LINE).all()


def test_short_lines_where_the_frame_shows_nothing_are_dropped() -> None:
    lines = np.zeros(SIZE, np.uint8)
    lines[10, 10:20] = lines[30, 10:20] = 1  # the second one is inked
    lines[50, 5:90] = 1  # too long to be grain, whatever the frame shows
    rgb = np.full((*SIZE, 3), LIGHT, np.uint8)
    rgb[30, 10:20] = INK
    drawn, trace = lines.astype(np.float32), np.zeros(SIZE, np.float32)
    kept = without_mirages(lines, drawn, trace, rgb, 0.0)
    assert not kept[10].any()
    np.testing.assert_array_equal(kept[30], lines[30])
    np.testing.assert_array_equal(kept[50], lines[50])
    # In noise like that it may be nothing.
    assert not without_mirages(lines, drawn, trace, rgb, 150.0)[30].any()
    np.testing.assert_array_equal(without_mirages(np.zeros_like(lines), drawn, trace, rgb, 0.0), 0)


def test_the_shortest_trace_lines_are_dropped_whatever_the_frame_shows() -> None:
    rgb = np.full((*SIZE, 3), LIGHT, np.uint8)
    rgb[20:] = DARK
    lines = np.zeros(SIZE, np.uint8)
    lines[20, 10:19] = lines[20, 30:43] = 1  # both on the step between the paints
    likely, none = lines.astype(np.float32), np.zeros(SIZE, np.float32)
    as_trace = without_mirages(lines, none, likely, rgb, 0.0)
    assert not as_trace[20, :25].any()
    np.testing.assert_array_equal(as_trace[20, 25:], lines[20, 25:])
    np.testing.assert_array_equal(without_mirages(lines, likely, none, rgb, 0.0), lines)
    ring = np.zeros(SIZE, np.uint8)
    ring[18:25, 50:57] = 1
    ring[19:24, 51:56] = 0
    np.testing.assert_array_equal(without_mirages(ring, none, ring.astype(np.float32), rgb, 0.0), ring)


def test_side_branches_that_the_frame_does_not_show_are_cut() -> None:
    lines = np.zeros(SIZE, np.uint8)
    lines[30, 5:90] = 1
    lines[24:30, 20] = lines[24:30, 60] = lines[31:43, 40] = 1  # the last one is too long for a stub
    rgb = np.full((*SIZE, 3), LIGHT, np.uint8)
    rgb[30, 5:90] = rgb[24:30, 60] = INK
    kept = unpadded(without_stubs(thin(padded(lines)), lines, rgb, 0.0))
    assert not kept[24:29, 20].any()
    assert kept[24:29, 60].all()
    assert kept[32:42, 40].all()
    assert kept[30, 6:89].all()
    noisy = unpadded(without_stubs(thin(padded(lines)), lines, rgb, 60.0))
    assert not noisy[24:29, 60].any()  # in such noise it may be nothing
    planes = probabilities(cv2.dilate(lines, np.ones((3, 3), np.uint8)), DougaClass.VISIBLE_LINE, 0.9)
    beside = np.s_[22:27, 20]
    assert clean_douga(planes).ids[beside].any()
    assert not clean_douga(planes, rgb, CelMask(CEL)).ids[beside].any()
    whole = padded(np.zeros(SIZE, np.uint8))
    np.testing.assert_array_equal(without_stubs(whole, lines, rgb, 0.0), whole)


def test_lines_that_were_half_seen_come_back_where_paints_meet() -> None:
    rgb, line = two_paints()
    half = line.astype(np.float32) * 0.35
    nothing = np.zeros(SIZE, np.uint8)
    np.testing.assert_array_equal(lost_lines(half, nothing, rgb, CEL, 0.0), line)
    plain = np.full_like(rgb, LIGHT)
    assert not lost_lines(half, nothing, plain, CEL, 0.0).any()  # one paint: no line is missing
    assert not lost_lines(half, nothing, rgb, nothing, 0.0).any()  # no cel
    assert not lost_lines(half, nothing, rgb, CEL, 60.0).any()  # the paints are no further apart than noise
    assert not lost_lines(half * 0.5, nothing, rgb, CEL, 0.0).any()  # not even half seen
    assert not lost_lines(half, line, rgb, CEL, 0.0).any()  # it was seen


def test_an_area_that_leaks_is_closed_by_its_half_seen_line() -> None:
    rgb, line = two_paints()
    wide = cv2.dilate(line, np.ones((1, 3), np.uint8))
    planes = probabilities(wide, DougaClass.SHADING_LINE, 0.8)
    planes[:, 20:44] = probabilities(wide, DougaClass.SHADING_LINE, 0.4)[:, 20:44]  # a gap of 24 px
    gap = np.s_[24:40, SIZE[1] // 2 - 1 : SIZE[1] // 2 + 2]
    assert not clean_douga(planes).ids[gap].any(1).all()
    assert (clean_douga(planes, rgb, CelMask(CEL)).ids[gap] == DougaClass.SHADING_LINE).any(1).all()


def test_grain_is_measured_on_the_cel_alone() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((*SIZE, 3), 120, np.uint8)
    grainy = np.clip(flat + rng.normal(0, 6, SIZE)[..., None], 0, 255).astype(np.uint8)
    half = CEL.copy()
    half[:, : SIZE[1] // 2] = 0
    assert noise(flat, CEL) == 0
    assert 4 < noise(grainy, CEL) < 12
    assert noise(np.where(half[..., None] > 0, flat, grainy), half) == 0
    assert noise(grainy, np.zeros_like(CEL)) == 0
