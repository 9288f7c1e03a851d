"""Ink seen without a network, and masks that take their whole outline in."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from douga.ink import inked, with_outline
from douga.types import U8

PAINT, PLATE, INK = (230, 200, 170), (90, 140, 200), (20, 18, 16)


def drawn(pen_px: int = 5, plate: tuple[int, int, int] = PLATE) -> tuple[U8, U8]:
    """A disc with an outline of this width over a plate, and its true mask."""
    rgb = np.full((120, 160, 3), plate, np.uint8)
    cv2.circle(rgb, (80, 60), 40, PAINT, -1)
    cv2.circle(rgb, (80, 60), 40, INK, pen_px)
    mask = (rgb != plate).any(2).view(np.uint8)
    return rgb, mask


def test_thin_dark_lines_are_ink_and_dark_shapes_and_borders_of_paint_are_not() -> None:
    rgb, _ = drawn()
    cv2.rectangle(rgb, (2, 2), (28, 28), INK, -1)
    ink = inked(rgb)
    line = (rgb == INK).all(2)
    line[:30, :30] = False
    assert ink[line].mean() > 0.9
    assert not ink[5:26, 5:26].any()  # a shape
    bare = np.full((120, 160, 3), PLATE, np.uint8)
    bare[30:, 70:] = PAINT  # no line between paint and plate
    assert not inked(bare).any()


@pytest.mark.parametrize("plate", [PLATE, (60, 62, 58)], ids=["bright", "dark"])
@pytest.mark.parametrize("pen_px", [3, 5])
def test_a_mask_that_ends_within_its_outline_gets_the_rest(pen_px: int, plate: tuple[int, int, int]) -> None:
    rgb, truth = drawn(pen_px, plate)
    seen = cv2.erode(truth, np.ones((3, 3), np.uint8), iterations=2)  # 2 px are missing
    found = with_outline(seen, rgb)
    assert (found != truth).sum() < 0.2 * (seen != truth).sum()


def test_a_mask_grows_in_ink_only_and_not_far() -> None:
    rgb, truth = drawn()
    cv2.line(rgb, (0, 60), (159, 60), INK, 3)  # a line of the background that meets the outline
    found = with_outline(truth, rgb)
    assert (found >= truth).all()
    assert not found[:, :32].any()
    bare = np.full((40, 40, 3), 120, np.uint8)
    box = np.zeros((40, 40), np.uint8)
    box[10:30, 10:30] = 1
    np.testing.assert_array_equal(with_outline(box, bare), box)


def test_larger_frames_have_broader_pens() -> None:
    rgb = np.full((2160, 2880, 3), PAINT, np.uint8)
    rgb[1000:1018] = INK
    assert inked(rgb)[1003:1015].all()  # 9 px at 1,080 lines
    assert not inked(rgb[:1080, :1440])[1003:1015].any()  # 18 px there: a shape


def test_nothing_grows_out_of_nothing() -> None:
    rgb, _ = drawn()
    empty = np.zeros(rgb.shape[:2], np.uint8)
    assert not with_outline(empty, rgb).any()
