"""What areas and lines of one drawing say about each other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from douga.classes import AREA_CLASSES, NUM_CLASSES, DougaClass
from douga.errors import InputError
from douga.postprocess import clean_douga
from douga.postprocess.agreement import Borders, settle_by_paint, vote_by_bounds
from douga.types import F32, U8, CelMask

FLAT, SHADE, LIGHT = DougaClass.FLAT, DougaClass.SHADING_FILL, DougaClass.HIGHLIGHT_FILL
SKIN, SHADOW, OTHER = (240, 205, 180), (205, 160, 150), (90, 120, 200)
LINE = 255


def sheet(paints: list[tuple[int, int, int]], said: list[tuple[int, float]], size_px: int = 20):
    """Boxes in a row with lines between them: their paints, and which class they are thought to be of."""
    width = size_px * len(paints)
    ids = np.full((size_px, width), LINE, np.uint8)
    rgb = np.zeros((size_px, width, 3), np.uint8)
    planes: dict[int, F32] = {int(c): np.zeros(ids.shape, np.float32) for c in AREA_CLASSES}
    for i, (paint, (kind, sure)) in enumerate(zip(paints, said, strict=True)):
        box = np.s_[2 : size_px - 2, i * size_px + 2 : (i + 1) * size_px - 2]
        rgb[box], ids[box] = paint, kind
        for plane in planes.values():
            plane[box] = (1 - sure) / (len(planes) - 1)
        planes[kind][box] = sure
    return ids, planes, rgb, np.full(ids.shape, 255, np.uint8)


NOWHERE = Borders(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros((0, 2), np.float32))


def between(first: int, size_px: int = 20) -> Borders:
    """A trace line between a box of the sheet and the next one."""
    y = np.arange(2, size_px - 2)
    right = np.tile(np.array([1, 0], np.float32), (len(y), 1))
    return Borders(y, np.full(len(y), (first + 1) * size_px), right)


def kinds(ids: U8, boxes: int, size_px: int = 20) -> list[int]:
    """The class in the middle of each box."""
    return [int(ids[size_px // 2, i * size_px + size_px // 2]) for i in range(boxes)]


def test_an_area_is_what_the_others_of_its_paint_are() -> None:
    ids, planes, rgb, cel = sheet(
        [SHADOW, SHADOW, SHADOW, SKIN], [(SHADE, 0.9), (SHADE, 0.8), (FLAT, 0.5), (FLAT, 0.9)]
    )
    found = settle_by_paint(ids, planes, rgb, cel, NOWHERE)
    assert kinds(found, 4) == [SHADE, SHADE, SHADE, FLAT]
    np.testing.assert_array_equal(found == LINE, ids == LINE)


def test_an_area_that_is_sure_of_its_tone_keeps_it() -> None:
    ids, planes, rgb, cel = sheet([SKIN, SKIN, SKIN], [(FLAT, 0.95), (FLAT, 0.95), (LIGHT, 0.95)])
    assert kinds(settle_by_paint(ids, planes, rgb, cel, NOWHERE), 3) == [FLAT, FLAT, LIGHT]
    ids, planes, rgb, cel = sheet([SKIN, SKIN, SKIN], [(FLAT, 0.95), (FLAT, 0.95), (LIGHT, 0.7)])
    assert kinds(settle_by_paint(ids, planes, rgb, cel, NOWHERE), 3) == [FLAT, FLAT, FLAT]


@pytest.mark.parametrize(("believed", "doubted"), [(FLAT, SHADE), (SHADE, FLAT)])
def test_a_shadow_is_the_darker_side_of_a_trace_line(believed: DougaClass, doubted: DougaClass) -> None:
    ids, planes, rgb, cel = sheet([SKIN, SHADOW], [(believed, 0.5), (believed, 0.5)])
    planes[doubted][planes[believed] > 0.4] = 0.35
    assert kinds(settle_by_paint(ids, planes, rgb, cel, NOWHERE), 2) == [believed, believed]
    assert kinds(settle_by_paint(ids, planes, rgb, cel, between(0)), 2) == [FLAT, SHADE]


def test_a_dark_background_makes_no_shadow_light() -> None:
    ids, planes, rgb, cel = sheet([SHADOW, (20, 20, 30), SKIN], [(SHADE, 0.45), (FLAT, 0.9), (FLAT, 0.9)])
    planes[FLAT][planes[SHADE] > 0.4] = 0.35
    assert kinds(settle_by_paint(ids, planes, rgb, cel, between(0)), 3)[0] == FLAT
    cel[:, 20:40] = 0  # the dark one lies behind
    assert kinds(settle_by_paint(ids, planes, rgb, cel, between(0)), 3)[0] == SHADE


def test_another_paint_has_no_say() -> None:
    ids, planes, rgb, cel = sheet([SHADOW, OTHER, SKIN], [(SHADE, 0.99), (FLAT, 0.4), (LIGHT, 0.4)])
    np.testing.assert_array_equal(settle_by_paint(ids, planes, rgb, cel, NOWHERE), ids)


def test_compressed_paints_are_still_one_paint() -> None:
    ids, planes, rgb, cel = sheet([SHADOW, SHADOW, SHADOW], [(SHADE, 0.9), (SHADE, 0.9), (FLAT, 0.5)])
    noise = np.random.default_rng(0).normal(0, 4, rgb.shape)
    worn = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    assert kinds(settle_by_paint(ids, planes, worn, cel, NOWHERE), 3) == [SHADE] * 3


def test_outside_the_cel_in_books_and_in_many_colours_nothing_changes() -> None:
    ids, planes, rgb, cel = sheet(
        [SHADOW, SHADOW, SHADOW, SHADOW],
        [(SHADE, 0.95), (FLAT, 0.4), (DougaClass.BOOK_FILL, 0.4), (FLAT, 0.4)],
    )
    cel[:, 20:40] = 0
    rgb[:, 60:] = np.random.default_rng(0).integers(0, 256, rgb[:, 60:].shape)
    np.testing.assert_array_equal(settle_by_paint(ids, planes, rgb, cel, NOWHERE), ids)
    np.testing.assert_array_equal(settle_by_paint(ids, planes, rgb, np.zeros_like(cel), NOWHERE), ids)


def test_large_areas_are_sampled_and_answer_the_same() -> None:
    said = [(SHADE, 0.9), (SHADE, 0.9), (FLAT, 0.5)]
    found = settle_by_paint(*sheet([SHADOW] * 3, said, 120), NOWHERE)
    assert kinds(found, 3, 120) == [SHADE] * 3


def test_a_trace_line_is_of_the_kind_of_the_fill_beside_it() -> None:
    ids = np.zeros((20, 40), np.uint8)
    ids[:, 20:] = LIGHT
    ids[:, 19:22] = LINE
    y, x = np.arange(20), np.full(20, 20)
    votes = np.zeros((5, 20), np.float32)
    votes[DougaClass.SHADING_LINE - 1], votes[DougaClass.HIGHLIGHT_LINE - 1] = 0.5, 0.3
    votes[DougaClass.VISIBLE_LINE - 1] = 0.2
    trace = np.full(20, DougaClass.SHADING_LINE, np.uint8)
    found = vote_by_bounds(votes, trace, ids, y, x)
    assert (found.argmax(0) + 1 == DougaClass.HIGHLIGHT_LINE).all()
    np.testing.assert_allclose(found.sum(0), votes.sum(0), rtol=1e-5)
    np.testing.assert_array_equal(found[DougaClass.VISIBLE_LINE - 1], votes[DougaClass.VISIBLE_LINE - 1])

    sure = np.zeros_like(votes)  # the fill is not believed against a network that is sure of the line
    sure[DougaClass.SHADING_LINE - 1] = 1.0
    assert (vote_by_bounds(sure, trace, ids, y, x).argmax(0) + 1 == DougaClass.SHADING_LINE).all()

    seen = np.full(20, DougaClass.VISIBLE_LINE, np.uint8)
    np.testing.assert_array_equal(vote_by_bounds(votes, seen, ids, y, x), votes)
    nothing = np.where(ids == LIGHT, FLAT, ids).astype(np.uint8)  # no fill beside it: the votes stand
    np.testing.assert_allclose(vote_by_bounds(votes, trace, nothing, y, x), votes, rtol=1e-5)


def test_a_line_beside_a_book_is_the_books() -> None:
    ids = np.zeros((20, 40), np.uint8)
    ids[:, 20:] = DougaClass.BOOK_FILL
    ids[:, 19:22] = LINE
    votes = np.zeros((5, 20), np.float32)
    votes[DougaClass.VISIBLE_LINE - 1], votes[DougaClass.BOOK_LINE - 1] = 0.8, 0.1
    inked = np.full(20, DougaClass.VISIBLE_LINE, np.uint8)
    for x, kind in ((20, DougaClass.BOOK_LINE), (5, DougaClass.VISIBLE_LINE)):
        found = vote_by_bounds(votes, inked, ids, np.arange(20), np.full(20, x))
        assert (found.argmax(0) + 1 == kind).all()
        np.testing.assert_allclose(found.sum(0), votes.sum(0), rtol=1e-5)


def drawing() -> tuple[F32, U8, CelMask]:
    """Two boxes with a shadow each; the network doubts the second, and takes its line for light."""
    probabilities = np.zeros((NUM_CLASSES, 80, 160), np.float32)
    rgb, cel = np.full((80, 160, 3), OTHER, np.uint8), np.zeros((80, 160), np.uint8)
    ids = np.zeros((80, 160), np.uint8)
    for left in (10, 90):
        cv2.rectangle(rgb, (left, 10), (left + 59, 69), SKIN, -1)
        cv2.rectangle(rgb, (left, 45), (left + 59, 69), SHADOW, -1)
        cv2.rectangle(ids, (left, 45), (left + 59, 69), int(SHADE), -1)
        cv2.line(ids, (left, 45), (left + 59, 45), int(DougaClass.SHADING_LINE), 3)
        cv2.rectangle(ids, (left, 10), (left + 59, 69), int(DougaClass.VISIBLE_LINE), 3)
        cv2.rectangle(rgb, (left, 10), (left + 59, 69), (20, 18, 16), 3)
        cel[9:71, left - 1 : left + 61] = 255
    for c in range(NUM_CLASSES):
        probabilities[c] = np.where(ids == c, 0.91, 0.01)
    doubted, bounded = np.zeros((80, 160), bool), np.zeros((80, 160), bool)
    doubted[:, 80:] = ids[:, 80:] == SHADE
    bounded[:, 80:] = ids[:, 80:] == DougaClass.SHADING_LINE
    probabilities[:, doubted] = 0.0
    probabilities[FLAT, doubted], probabilities[SHADE, doubted] = 0.6, 0.4
    probabilities[:, bounded] = 0.0
    probabilities[DougaClass.HIGHLIGHT_LINE, bounded] = 0.6
    probabilities[DougaClass.SHADING_LINE, bounded] = 0.4
    return probabilities, rgb, CelMask(cel)


def test_cleaning_with_frame_and_mask_settles_areas_and_then_lines_and_keeps_where_lines_are() -> None:
    probabilities, rgb, cel = drawing()
    alone, found = clean_douga(probabilities, rgb).ids, clean_douga(probabilities, rgb, cel).ids
    assert alone[60, 120] == FLAT
    assert found[60, 120] == found[60, 40] == SHADE
    assert alone[45, 120] == DougaClass.HIGHLIGHT_LINE
    assert found[45, 120] == found[45, 40] == DougaClass.SHADING_LINE
    is_line = [(ids >= 1) & (ids <= 5) for ids in (alone, found)]
    np.testing.assert_array_equal(*is_line)
    hard = (found[None] == np.arange(NUM_CLASSES)[:, None, None]).astype(np.float32)
    np.testing.assert_array_equal(clean_douga(hard).ids, found)


def test_a_mask_of_another_size_is_refused() -> None:
    probabilities, rgb, _ = drawing()
    with pytest.raises(InputError, match="of the frame"):
        clean_douga(probabilities, rgb, CelMask(np.zeros((10, 10), np.uint8)))
