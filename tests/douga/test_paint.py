"""What flat paint and ink say about a network's answer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from douga.classes import AREA_CLASSES, NUM_CLASSES, DougaClass
from douga.errors import InputError
from douga.paint import mean_of_paints, vote_by_paint
from douga.postprocess import clean_douga
from douga.postprocess.thick_lines import fill_thick_lines

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
FLAT, SHADE = int(DougaClass.FLAT), int(DougaClass.SHADING_FILL)
SKIN, SHADOW, INK = (250, 220, 200), (200, 160, 150), (20, 16, 24)


def two_tones(noise: int = 0) -> U8:
    """A frame, light on the left of column 60 and in shadow on its right."""
    rgb = np.full((80, 120, 3), SKIN, np.uint8)
    rgb[:, 60:] = SHADOW
    grain = np.random.default_rng(3).integers(-noise, noise + 1, rgb.shape)
    return (rgb + grain).clip(0, 255).astype(np.uint8)


def wavering(seed: int) -> dict[int, F32]:
    """A network that sees light and shadow, and in a third of the places the one for the other."""
    true = np.full((80, 120), FLAT, np.uint8)
    true[:, 60:] = SHADE
    rng = np.random.default_rng(seed)
    doubt = cv2.resize(
        (rng.random((8, 12)) < 0.33).astype(np.uint8), (120, 80), interpolation=cv2.INTER_NEAREST
    )
    seen = np.where(doubt, FLAT + SHADE - true, true)
    return {int(c): np.where(seen == c, 0.8, 0.05).astype(np.float32) for c in AREA_CLASSES}


def best(planes: dict[int, F32]) -> U8:
    keys = np.array(list(planes), np.uint8)
    return keys[np.stack(list(planes.values())).argmax(0)]


@pytest.mark.parametrize("noise", [0, 2])
def test_an_area_of_one_paint_becomes_one_class(noise: int) -> None:
    voted = best(vote_by_paint(wavering(1), two_tones(noise)))
    assert (voted[:, :57] == FLAT).all()
    assert (voted[:, 63:] == SHADE).all()


def test_where_paints_run_into_each_other_nothing_is_decided() -> None:
    ramp = np.linspace(250, 130, 120).astype(np.uint8)
    rgb = np.repeat(np.repeat(ramp[None, :, None], 80, 0), 3, 2)
    planes = {int(c): np.full((80, 120), 0.02, np.float32) for c in AREA_CLASSES}
    planes[FLAT][:, :60], planes[SHADE][:, 60:] = 0.9, 0.9
    voted = vote_by_paint(planes, rgb)
    for c, plane in planes.items():
        np.testing.assert_array_equal(voted[c], plane)


def test_a_line_keeps_paints_apart_that_are_alike() -> None:
    rgb, lines = np.full((80, 120, 3), SKIN, np.uint8), np.zeros((80, 120), np.uint8)
    lines[:, 58:62] = 1
    planes = {int(c): np.full((80, 120), 0.02, np.float32) for c in AREA_CLASSES}
    planes[FLAT][:, :60], planes[SHADE][:, 60:] = 0.9, 0.9
    voted = best(vote_by_paint(planes, rgb, lines=lines))
    assert (voted[:, :58] == FLAT).all()
    assert (voted[:, 62:] == SHADE).all()


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 7), (5, 2), (33, 47)])
def test_frames_of_any_size_can_be_voted_on(size_hw: tuple[int, int]) -> None:
    planes = {int(c): np.full(size_hw, 0.2, np.float32) for c in AREA_CLASSES}
    voted = vote_by_paint(planes, np.zeros((*size_hw, 3), np.uint8))
    assert {plane.shape for plane in voted.values()} == {size_hw}


def thick_line(inside: tuple[int, int, int]) -> tuple[U8, U8]:
    """A frame with a band of 9 px between two dark edges, and the edges as a network draws them."""
    rgb, edges = np.full((60, 120, 3), SKIN, np.uint8), np.zeros((60, 120), np.uint8)
    rgb[25:34, 10:110] = INK
    rgb[28:31, 10:110] = inside
    edges[25:28, 10:110] = edges[31:34, 10:110] = 1
    return rgb, edges


def test_what_is_ink_between_two_edges_is_one_line() -> None:
    rgb, edges = thick_line(INK)
    filled = fill_thick_lines(edges, edges, rgb)
    assert (filled[25:34, 12:108] == 1).all()
    planes = np.zeros((NUM_CLASSES, 60, 120), np.float32)
    planes[DougaClass.VISIBLE_LINE], planes[FLAT] = edges, 1 - edges
    rows = (clean_douga(planes, rgb).ids[:, 60] == DougaClass.VISIBLE_LINE).nonzero()[0]
    assert list(rows) == [28, 29, 30]
    apart = (clean_douga(planes).ids[:, 60] == DougaClass.VISIBLE_LINE).sum()
    assert apart == 6


def test_paint_between_two_lines_stays() -> None:
    rgb, edges = thick_line((90, 60, 60))
    np.testing.assert_array_equal(fill_thick_lines(edges, edges, rgb), edges)


def test_a_black_shape_is_no_line() -> None:
    rgb, rim = np.full((60, 60, 3), SKIN, np.uint8), np.zeros((60, 60), np.uint8)
    cv2.circle(rgb, (30, 30), 6, INK, -1)
    cv2.circle(rim, (30, 30), 6, 1, 2)
    np.testing.assert_array_equal(fill_thick_lines(rim, rim, rgb), rim)


def test_a_frame_of_another_size_is_refused() -> None:
    planes = np.full((NUM_CLASSES, 20, 30), 0.1, np.float32)
    with pytest.raises(InputError, match=r"rgb: expected the frame, uint8 of shape \(20, 30, 3\)"):
        clean_douga(planes, np.zeros((30, 20, 3), np.uint8))


def test_patches_of_one_paint_share_their_mean_and_the_lightest_of_too_many_keep_theirs() -> None:
    values = np.array([[1.0], [0.0], [0.3]])
    colour = np.array([[10.0, 0, 0], [10.0, 0, 0], [90.0, 0, 0]])
    found = mean_of_paints(values, colour, np.array([3.0, 1.0, 1.0]), 1.5)
    np.testing.assert_allclose(found, [[0.75], [0.75], [0.3]])

    many = 20_000
    weight = np.ones(many)
    weight[-2:] = 5
    values = np.arange(many, dtype=np.float64)[:, None]
    found = mean_of_paints(values, np.zeros((many, 3)), weight, 1.5)
    assert (found[3000:-2] == values[3000:-2]).all()
    assert found[0] == found[-1]
