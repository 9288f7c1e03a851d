"""Animals, props, effects and free shapes: exact truth, the same bytes from the same seed, every size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from douga_training.simulate.colours import Swatch
from douga_training.simulate.look import LineStyle, make_style
from douga_training.simulate.sheet import CelArt, Sheet
from douga_training.simulate.thing_pen import ThingPen, box, joined, lobed, moved, scaled, tube
from douga_training.simulate.things import draw_animal, draw_blob, draw_effect, draw_prop

from douga.classes import DougaClass

DRAW = [draw_animal, draw_prop, draw_effect, draw_blob]
STYLE = LineStyle(width_px=2.0)
RED = Swatch((220, 60, 60), (150, 30, 60), (100, 20, 50), (255, 190, 180), (20, 0, 0))


def drawn(draw: Callable[..., None], seed: int, size_px: float = 140, side_px: int = 184) -> CelArt:
    rng = np.random.default_rng(seed)
    sheet = Sheet((side_px, side_px))
    draw(sheet, rng, make_style(rng, size_px / 2), centre_xy=(side_px / 2, side_px / 2), size_px=size_px)
    return sheet.resolve()


@pytest.mark.parametrize("draw", DRAW)
def test_same_seed_same_bytes(draw: Callable[..., None]) -> None:
    for seed in range(4):
        a, b = drawn(draw, seed), drawn(draw, seed)
        assert np.array_equal(a.rgb, b.rgb)
        assert np.array_equal(a.ids, b.ids)
        assert np.array_equal(a.alpha, b.alpha)
    assert not np.array_equal(drawn(draw, 1).rgb, drawn(draw, 2).rgb)


@pytest.mark.parametrize("draw", DRAW)
def test_many_seeds_draw_cel_with_lines_and_no_book(draw: Callable[..., None]) -> None:
    for seed in range(20):
        art = drawn(draw, seed)
        cel = art.alpha >= 128
        assert 0.003 < cel.mean() < 0.9
        assert (art.ids[~cel] == DougaClass.FLAT).all()
        assert (art.ids == DougaClass.VISIBLE_LINE).any()
        assert not np.isin(art.ids, (DougaClass.BOOK_LINE, DougaClass.BOOK_FILL)).any()


@pytest.mark.parametrize("draw", DRAW)
def test_all_tones_occur_with_their_trace_lines(draw: Callable[..., None]) -> None:
    ids = np.concatenate([drawn(draw, seed).ids.ravel() for seed in range(20)])
    seen = set(np.unique(ids).tolist())
    assert seen == set(range(10)) - {DougaClass.BOOK_LINE, DougaClass.BOOK_FILL}


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("size_px", [30, 1500])
def test_smallest_and_largest_draw_within_the_sheet(draw: Callable[..., None], size_px: int) -> None:
    for seed in range(3):
        assert (drawn(draw, seed, size_px, 128).alpha > 0).any() or size_px == 1500


@pytest.mark.parametrize("draw", DRAW)
def test_off_the_sheet_draws_nothing(draw: Callable[..., None]) -> None:
    rng = np.random.default_rng(0)
    sheet = Sheet((64, 64))
    draw(sheet, rng, STYLE, centre_xy=(3000.0, -2000.0), size_px=200)
    assert not sheet.resolve().alpha.any()


def pen_on(sheet: Sheet, *, tones: int) -> ThingPen:
    pen = ThingPen(sheet, np.random.default_rng(0), STYLE, centre_xy=(50.0, 50.0), size_px=80)
    pen.tones, pen.lit, pen.light = tones, False, np.array([-0.6, -0.8])
    return pen


def test_form_shades_the_side_away_from_the_light() -> None:
    sheet = Sheet((100, 100))
    pen = pen_on(sheet, tones=1)
    pen.form([pen.part(box(-0.4, -0.4, 0.4, 0.4), RED, form=False)], RED, depth=0.3)
    art = sheet.resolve()
    assert art.ids[24, 24] == DougaClass.FLAT
    assert tuple(art.rgb[24, 24]) == RED.normal
    assert art.ids[78, 78] == DougaClass.SHADING_FILL
    assert tuple(art.rgb[78, 78]) == RED.shade
    assert (art.ids == DougaClass.SHADING_LINE).any()


def test_a_tone_that_nobody_could_see_is_not_drawn() -> None:
    sheet = Sheet((100, 100))
    pen = pen_on(sheet, tones=0)
    area = pen.part(box(-0.4, -0.4, 0.4, 0.4), RED)
    same = Swatch((225, 64, 60), RED.shade, RED.shade2, RED.light, RED.line)
    pen.patch(area, box(-0.2, -0.2, 0.2, 0.2), same)
    assert not (sheet.resolve().ids == DougaClass.COLOR_FILL).any()
    blue = Swatch((40, 60, 200), RED.shade, RED.shade2, RED.light, RED.line)
    pen.patch(area, box(-0.2, -0.2, 0.2, 0.2), blue)
    art = sheet.resolve()
    assert art.ids[50, 50] == DougaClass.COLOR_FILL
    assert (art.ids == DougaClass.COLOR_EDGE).any()


def test_a_limb_has_no_line_at_its_root() -> None:
    sheet = Sheet((100, 100))
    pen = pen_on(sheet, tones=0)
    pen.limb(tube([(-0.4, 0.0), (0.4, 0.0)], [0.3, 0.3]), RED, root=0.15)
    ids = sheet.resolve().ids
    assert (ids[:, 18:24] != DougaClass.VISIBLE_LINE).all()
    assert (ids[:, 80:] == DougaClass.VISIBLE_LINE).any()


def test_joined_shapes_have_one_outer_border() -> None:
    left, right = box(-0.5, -0.1, 0.1, 0.1), box(-0.1, -0.1, 0.5, 0.1)
    union = joined([left, right])
    assert union is not None
    assert np.allclose([union.min(0), union.max(0)], [(-0.5, -0.1), (0.5, 0.1)], atol=0.01)
    rest = joined([left], minus=[box(-0.6, -0.2, 0.0, 0.2)])
    assert rest is not None
    assert np.allclose(rest.min(0), (0.0, -0.1), atol=0.01)
    assert joined([left], minus=[box(-1, -1, 1, 1)]) is None
    assert joined([]) is None


def test_shapes_of_the_pen() -> None:
    square = box(0, 0, 2, 2)
    assert moved(square, 1, -1).tolist() == [[1, -1], [3, -1], [3, 1], [1, 1]]
    assert scaled(square, 0.5).tolist() == [[0.5, 0.5], [1.5, 0.5], [1.5, 1.5], [0.5, 1.5]]
    cloud = lobed((5, 5), (2, 2), 6, np.random.default_rng(0), bulge=0.5)
    reach = np.linalg.norm(cloud - (5, 5), axis=1)
    assert reach.max() > 2.05
    assert reach.min() > 1.5
