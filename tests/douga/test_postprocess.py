"""Cleaning: what must hold for every input, and that it never lowers the score of simulated drawings."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from douga_training.simulate.sheet import Sheet
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from douga import metrics
from douga.classes import LINE_CLASSES, NUM_CLASSES, DougaClass
from douga.errors import InputError
from douga.evaluate import Score, score_classes
from douga.postprocess import clean_douga
from douga.postprocess.skeleton import line_pixels, padded, pen_path, stroke, thin, unpadded, widen
from douga.types import CelMask

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
FLAT, LINE, SHADE_LINE, SHADE = 0, 1, 2, 6


def one_hot(ids: U8) -> F32:
    return np.ascontiguousarray(np.eye(NUM_CLASSES, dtype=np.float32)[ids].transpose(2, 0, 1))


def scribble(seed: int, size_hw: tuple[int, int]) -> U8:
    """Random filled shapes and strokes of every class and 1 to 5 px."""
    rng = np.random.default_rng(seed)
    ids = np.zeros(size_hw, np.uint8)
    for _ in range(rng.integers(0, 7)):
        points = rng.integers(-10, max(size_hw) + 10, (rng.integers(2, 5), 2)).astype(np.int32)
        if rng.random() < 0.4:
            cv2.fillPoly(ids, [points], int(rng.choice([0, 6, 7, 8, 9])))
        cv2.polylines(
            ids, [points], bool(rng.random() < 0.5), int(rng.integers(1, 6)), int(rng.integers(1, 6))
        )
    return ids


def seen_by_a_network(ids: U8, seed: int, *, holes: int = 0, doubt: float = 0.15) -> F32:
    """Probabilities as a network gives them: lines too thick and broken, soft borders, class noise."""
    rng = np.random.default_rng(seed)
    planes = one_hot(ids)
    for c in LINE_CLASSES:
        planes[c] = cv2.dilate(planes[c], np.ones((3, 3), np.uint8))
    areas = [c for c in range(NUM_CLASSES) if c not in LINE_CLASSES]
    planes[areas] *= planes[1:6].max(0) == 0
    # Patches in which the network takes a line for one of another class.
    noise = cv2.GaussianBlur(rng.random(ids.shape, dtype=np.float32), (0, 0), 2.5)
    mixed = np.clip((noise - 0.5) / (3 * noise.std() + 1e-6) + doubt, 0, 0.9) if doubt else 0.0
    planes[1:6] = planes[1:6] * (1 - mixed) + np.roll(planes[1:6], 1, axis=0) * mixed
    y, x = np.nonzero(metrics.is_line(ids))
    for k in rng.integers(0, max(len(y), 1), holes if len(y) else 0):
        hole = np.s_[max(0, y[k] - 3) : y[k] + 4, max(0, x[k] - 3) : x[k] + 4]
        planes[1:6][(slice(None), *hole)] *= 0.2
        planes[FLAT][hole] += 0.8
    for k in range(NUM_CLASSES):
        noise = cv2.GaussianBlur(rng.random(ids.shape, dtype=np.float32), (0, 0), 1.0)
        planes[k] = cv2.GaussianBlur(planes[k], (0, 0), 0.8) + 0.3 * noise
    return planes / planes.sum(0)


def drawing(seed: int) -> U8:
    """A simulated drawing: outlined shapes with shaded parts, a highlight and a loose fold line."""
    rng = np.random.default_rng(seed)
    sheet = Sheet((320, 240))
    turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    for x, y, r in ((85.0, 120.0, 62.0), (235.0, 118.0, 58.0)):
        wobble = 1 + 0.12 * np.sin(rng.integers(2, 5) * turn + rng.uniform(0, 6))
        body = np.stack([x + r * wobble * np.cos(turn), y + 1.3 * r * wobble * np.sin(turn)], 1)
        area = sheet.area(body, (240, 210, 190))
        shadow = body + rng.uniform(22, 34, 2)
        sheet.tone(area, shadow, (180, 140, 150), DougaClass.SHADING_FILL, DougaClass.SHADING_LINE, line_px=3)
        light = np.stack([x - 24 + 11 * np.cos(turn), y - 28 + 14 * np.sin(turn)], 1)
        sheet.tone(
            area, light, (255, 250, 240), DougaClass.HIGHLIGHT_FILL, DougaClass.HIGHLIGHT_LINE, line_px=3
        )
        sheet.stroke(body, 3, (0, 0, 0), closed=True)
        fold = np.stack([np.linspace(x - 38, x - 8, 30), y + 25 + 6 * np.sin(np.linspace(0, 3, 30))], 1)
        sheet.stroke(fold, 3, (0, 0, 0))
    return sheet.resolve().ids


# -- properties ----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    line_width_px=st.integers(1, 4),
    noisy=st.booleans(),
)
def test_any_drawing_comes_out_valid_and_stays_as_it_is(
    seed: int, height: int, width: int, line_width_px: int, noisy: bool
) -> None:
    ids = scribble(seed, (height, width))
    planes = seen_by_a_network(ids, seed, holes=2) if noisy else one_hot(ids)
    once = clean_douga(planes, line_width_px=line_width_px).ids
    assert once.shape == (height, width)
    assert once.dtype == np.uint8
    assert once.max() < NUM_CLASSES
    # Nothing but strokes of the pen: whatever the pen cannot have drawn is no line.
    lines = padded(metrics.is_line(once).view(np.uint8))
    assert np.array_equal(widen(pen_path(lines, line_width_px), line_width_px), lines)
    again = clean_douga(one_hot(once), line_width_px=line_width_px).ids
    assert np.array_equal(once, again)


@pytest.mark.parametrize("line_width_px", [1, 2, 3, 5])
def test_lines_get_the_width_that_was_asked_for(line_width_px: int) -> None:
    ids = np.zeros((60, 80), np.uint8)
    ids[18:23, 10:70] = LINE
    cleaned = clean_douga(one_hot(ids), line_width_px=line_width_px).ids
    assert (np.count_nonzero(cleaned[:, 15:65] == LINE, axis=0) == line_width_px).all()
    assert set(np.unique(cleaned)) == {FLAT, LINE}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), line_width_px=st.sampled_from([1, 3]))
def test_every_line_class_survives(seed: int, line_width_px: int) -> None:
    ids = np.zeros((100, 90), np.uint8)
    for c in LINE_CLASSES:
        ids[15 * c : 15 * c + 3, 10:80] = c
    cleaned = clean_douga(seen_by_a_network(ids, seed, doubt=0.0), line_width_px=line_width_px).ids
    for c in LINE_CLASSES:
        assert metrics.line_counts(cleaned == c, ids == c).f1 > 0.95


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_closed_area_with_a_clear_vote_has_one_class(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = np.zeros((60, 60), np.uint8)
    cv2.rectangle(ids, (10, 10), (50, 50), LINE, 3)
    planes = one_hot(ids)
    inside = np.s_[13:48, 13:48]
    share = cv2.GaussianBlur(rng.random((35, 35), dtype=np.float32), (0, 0), 2.0) - 0.5
    planes[SHADE][inside] = 0.61 + share  # patches of a dozen pixels and more prefer flat, but only just
    planes[FLAT][inside] = 0.39 - share
    cleaned = clean_douga(planes).ids
    assert (planes[SHADE] < 2**0.5 * planes[FLAT])[inside].any()
    assert (cleaned[inside] == SHADE).all()
    assert (cleaned[:8] == FLAT).all()


def test_noise_gives_a_valid_map_every_time_the_same() -> None:
    planes = np.random.default_rng(1).random((NUM_CLASSES, 70, 50), dtype=np.float32) ** 3
    planes /= planes.sum(0)
    once = clean_douga(planes).ids
    assert np.array_equal(once, clean_douga(planes.copy()).ids)
    assert np.array_equal(once, clean_douga(one_hot(once)).ids)


@pytest.mark.parametrize("holes", [0, 6])
def test_never_lowers_the_score_of_simulated_truth(holes: int) -> None:
    before, after = [Score()] * 2
    for seed in range(4):
        truth = drawing(seed)
        planes = seen_by_a_network(truth, seed, holes=holes)
        before += score_classes(planes.argmax(0).astype(np.uint8), truth, 2.0)
        after += score_classes(clean_douga(planes).ids, truth, 2.0)
    assert metrics.accuracy(after.matrix) >= metrics.accuracy(before.matrix) + 0.02
    for fill in (DougaClass.SHADING_FILL, DougaClass.HIGHLIGHT_FILL):
        assert metrics.iou(after.matrix)[fill] >= metrics.iou(before.matrix)[fill] + 0.02
    for key in ("visible_line", "shading_line", "all"):
        assert after.lines[key].f1 >= before.lines[key].f1, key
    assert holes == 0 or after.areas.both >= 2 * before.areas.both  # closing gaps is what it is for


# -- single steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_px", [7, 15])
def test_a_gap_in_a_line_is_closed_and_the_areas_keep_apart(gap_px: int) -> None:
    gap = slice(40, 40 + gap_px)
    ids = np.zeros((60, 90), np.uint8)
    ids[30:, :] = SHADE
    ids[29:32, :] = LINE
    ids[29:32, gap] = FLAT
    assert (clean_douga(one_hot(ids)).ids[29:32, gap] == LINE).all()
    assert (clean_douga(one_hot(ids), gap_px=0).ids[29:32, 41:46] != LINE).all()


def test_a_line_runs_on_to_the_line_that_it_points_at() -> None:
    ids = np.zeros((60, 60), np.uint8)
    ids[:, 40:43] = LINE
    ids[29:32, 5:37] = SHADE_LINE
    cleaned = clean_douga(one_hot(ids)).ids
    assert (cleaned[30, 5:39] == SHADE_LINE).all()
    assert (cleaned[:, 41] == LINE).all()


def test_the_end_of_a_strand_stays_free() -> None:
    ids = np.zeros((60, 60), np.uint8)
    ids[:, 40:43] = LINE
    ids[29:32, 5:31] = LINE
    assert (clean_douga(one_hot(ids)).ids[:, 33:38] == FLAT).all()


def test_a_missing_line_leaks_nothing() -> None:
    """Two areas that a missing line has made one: each half keeps its class, whatever the vote says."""
    ids = np.zeros((60, 60), np.uint8)
    cv2.rectangle(ids, (5, 5), (54, 54), LINE, 3)
    ids[7:53, 40:53] = SHADE
    cleaned = clean_douga(one_hot(ids)).ids
    assert (cleaned[8:52, 41:52] == SHADE).all()
    assert (cleaned[8:52, 8:39] == FLAT).all()


def test_specks_go_and_small_patches_stay() -> None:
    ids = np.zeros((50, 50), np.uint8)
    ids[10:12, 10:12] = SHADE
    ids[30:34, 30:34] = SHADE
    ids[20, 40] = LINE
    cleaned = clean_douga(one_hot(ids)).ids
    assert (cleaned == np.where(np.arange(50)[:, None] >= 30, ids, 0)).all()


def test_a_branch_is_one_class_and_firm_stretches_keep_theirs() -> None:
    ids = np.zeros((40, 120), np.uint8)
    ids[10:13, 10:110] = LINE
    ids[10:13, 50:53] = SHADE_LINE  # too short
    ids[25:28, 10:60] = LINE
    ids[25:28, 60:110] = SHADE_LINE
    cleaned = clean_douga(one_hot(ids)).ids
    assert (cleaned[11, 15:105] == LINE).all()
    assert (cleaned[26, 15:58] == LINE).all()
    assert (cleaned[26, 62:105] == SHADE_LINE).all()


def test_visible_lines_lie_over_trace_lines() -> None:
    ids = np.zeros((60, 60), np.uint8)
    ids[29:32, 5:55] = SHADE_LINE
    ids[5:55, 29:32] = LINE
    cleaned = clean_douga(one_hot(ids)).ids
    assert (cleaned[5:55, 30] == LINE).all()
    assert (cleaned[30, 5:28] == SHADE_LINE).all()


def test_a_shadow_that_hugs_an_outline_keeps_its_own_line() -> None:
    ids = np.zeros((90, 100), np.uint8)
    ids[60:80:9, 5:95] = ids[61:80:9, 5:95] = ids[62:80:9, 5:95] = LINE  # what lines are like in this drawing
    ids[20:25, 5:95] = LINE
    ids[25:29, 5:95] = SHADE_LINE
    cleaned = clean_douga(one_hot(ids)).ids
    for c in (LINE, SHADE_LINE):
        assert metrics.line_counts(cleaned == c, ids == c).f1 > 0.9


def test_half_precision_gives_the_same_map() -> None:
    planes = one_hot(scribble(5, (80, 70)))
    assert np.array_equal(clean_douga(planes).ids, clean_douga(planes.astype(np.float16)).ids)


@pytest.mark.parametrize("class_id", range(NUM_CLASSES))
def test_a_single_pixel(class_id: int) -> None:
    cleaned = clean_douga(one_hot(np.full((1, 1), class_id, np.uint8))).ids
    assert cleaned.shape == (1, 1)
    assert cleaned[0, 0] == (class_id if class_id not in LINE_CLASSES else FLAT)


def test_an_empty_map_stays_empty() -> None:
    assert not clean_douga(one_hot(np.zeros((33, 47), np.uint8))).ids.any()


def test_lines_of_the_background_are_none() -> None:
    ids = np.zeros((80, 120), np.uint8)
    cv2.rectangle(ids, (20, 20), (60, 60), LINE, 3)
    cv2.line(ids, (75, 10), (75, 70), LINE, 3)  # a pole behind
    rgb = np.full((*ids.shape, 3), 200, np.uint8)
    rgb[ids > 0] = 20
    cel = np.zeros_like(ids)
    cel[20:61, 20:61] = 255  # the outline's outer pixels are not quite in it
    found = clean_douga(one_hot(ids), rgb, CelMask(cel)).ids
    assert not found[:, 70:].any()
    assert metrics.line_counts(found == LINE, np.where(np.arange(120) < 70, ids, 0) == LINE).f1 == 1
    assert (clean_douga(one_hot(ids), rgb).ids[12:68, 75] == LINE).all()


@pytest.mark.parametrize("seed", range(4))
def test_empty_paper_around_a_drawing_changes_nothing(seed: int) -> None:
    ids = np.zeros((220, 260), np.uint8)
    ids[60:160, 60:200] = scribble(seed, (100, 140))
    planes = seen_by_a_network(ids, seed, holes=4)
    rgb = np.random.default_rng(seed).integers(0, 255, (*ids.shape, 3)).astype(np.uint8)
    cel = CelMask(cv2.dilate((ids > 0).astype(np.uint8) * np.uint8(255), np.ones((5, 5), np.uint8)))
    more = ((340, 66), (12, 500))
    wide = np.pad(planes, ((0, 0), *more))
    wide[FLAT][np.pad(planes.sum(0) > 0, more) == 0] = 1
    on_more = clean_douga(wide, np.pad(rgb, (*more, (0, 0))), CelMask(np.pad(cel.mask, more))).ids
    assert np.array_equal(on_more[340:560, 12:272], clean_douga(planes, rgb, cel).ids)
    assert not np.delete(np.delete(on_more, np.s_[340:560], 0), np.s_[12:272], 1).any()


def test_a_solid_shape_becomes_an_outline_not_a_tangle() -> None:
    ids = np.zeros((120, 120), np.uint8)
    cv2.circle(ids, (60, 60), 45, LINE, -1)
    assert 0.01 < metrics.is_line(clean_douga(one_hot(ids)).ids).mean() < 0.15


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        (np.zeros((NUM_CLASSES, 4, 4)), "float64"),
        (np.zeros((4, 4, NUM_CLASSES), np.float32), "put the classes first"),
        (np.zeros((NUM_CLASSES, 0, 4), np.float32), "expected shape"),
    ],
)
def test_unusable_probabilities_are_refused(planes: NDArray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        clean_douga(planes)


@pytest.mark.parametrize("line_width_px", [0, 16])
def test_an_impossible_width_is_refused(line_width_px: int) -> None:
    with pytest.raises(InputError, match="line_width_px"):
        clean_douga(one_hot(np.zeros((4, 4), np.uint8)), line_width_px=line_width_px)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.2, 0.8))
def test_thinning_keeps_what_is_connected(seed: int, share: float) -> None:
    mask = (np.random.default_rng(seed).random((30, 34)) < share).astype(np.uint8)
    mask[[0, -1]] = 0
    mask[:, [0, -1]] = 0
    thinned = unpadded(thin(padded(mask)))
    for before, after, connectivity in ((mask, thinned, 8), (1 - mask, 1 - thinned, 4)):
        counts = [cv2.connectedComponents(m, connectivity=connectivity)[0] for m in (before, after)]
        assert counts[0] == counts[1]
    assert np.array_equal(thinned, unpadded(thin(padded(thinned))))
    assert not (thinned & ~mask).any()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    width_px=st.integers(1, 15),
)
def test_a_path_is_painted_as_it_is_widened(seed: int, height: int, width: int, width_px: int) -> None:
    path = padded((np.random.default_rng(seed).random((height, width)) < 0.05).view(np.uint8))
    painted = np.zeros_like(path)
    stroke(painted, line_pixels(path), width_px, 7)
    assert np.array_equal(painted, 7 * widen(path, width_px))


def test_pinholes_of_a_thick_line_leave_no_rings() -> None:
    ids = np.zeros((40, 120), np.uint8)
    ids[16:24, 10:110] = DougaClass.VISIBLE_LINE
    ids[19:21, 20:100:8] = DougaClass.FLAT  # doubt in its middle
    cleaned = clean_douga(one_hot(ids), line_width_px=1).ids
    assert (cleaned[:, 15:105] == DougaClass.VISIBLE_LINE).sum(0).max() == 1
