"""Drawn heads: deterministic, at every size and turn, with truth that agrees with what was painted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from douga_training.simulate import curves
from douga_training.simulate.colours import Swatch, mix
from douga_training.simulate.eyes import Eye, design_eyes, draw_eye
from douga_training.simulate.head import Head
from douga_training.simulate.head_pen import HeadPen, HeadSpace
from douga_training.simulate.look import LineStyle, Look, make_look, make_style
from douga_training.simulate.sheet import CelArt, Sheet

from douga.classes import AREA_CLASSES, LINE_CLASSES, DougaClass


def draw(seed: int, height_px: float, turn: float = 0.3, size: int = 256, roll_rad: float = 0.1) -> CelArt:
    rng = np.random.default_rng(seed)
    look, style = make_look(rng), make_style(rng, height_px)
    sheet = Sheet((size, size))
    head = Head(rng, look, style, (size / 2, size / 2), height_px, turn, roll_rad)
    head.draw_back(sheet)
    head.draw_front(sheet)
    return sheet.resolve()


def shaded_look(seed: int) -> Look:
    look = make_look(np.random.default_rng(seed))
    face = replace(look.face, lid="open", extras=(), highlights=2, blush="area")
    hair = replace(look.hair_design, bangs="tufts", back="short", shade="side", shine="zigzag")
    return replace(look, face=face, hair_design=hair, has_shadow=True, has_highlights=True, shade_amount=0.8)


def test_the_same_seed_draws_the_same_head() -> None:
    a, b = draw(5, 150), draw(5, 150)
    assert (a.rgb == b.rgb).all()
    assert (a.ids == b.ids).all()
    assert (a.alpha == b.alpha).all()
    assert (a.rgb != draw(6, 150).rgb).any()


@pytest.mark.parametrize("height_px", [20, 45, 120, 700, 2500])
@pytest.mark.parametrize("turn", [-1.0, -0.5, 0.0, 0.4, 0.9])
def test_every_size_and_turn_can_be_drawn(height_px: float, turn: float) -> None:
    art = draw(int(height_px) + int(turn * 10), height_px, turn)
    assert (art.alpha > 0).any()
    assert (art.ids[art.alpha < 128] == 0).all()
    if height_px < 1000:  # a close-up may show nothing but skin
        assert (art.ids == DougaClass.VISIBLE_LINE).any()


def test_a_large_head_has_lines_shadows_highlights_and_colours() -> None:
    look = shaded_look(3)
    sheet = Sheet((400, 400))
    head = Head(np.random.default_rng(1), look, LineStyle(1.8), (200, 200), 260, 0.3)
    head.draw_back(sheet)
    head.draw_front(sheet)
    ids = sheet.resolve().ids
    for c in DougaClass:
        if c not in (DougaClass.BOOK_LINE, DougaClass.BOOK_FILL):
            assert (ids == c).sum() > 20, c.title


def test_without_shadow_there_is_no_shading_on_skin_and_hair() -> None:
    look = replace(shaded_look(3), has_shadow=False)
    look = replace(look, face=replace(look.face, iris_style="flat"))
    sheet = Sheet((300, 300))
    head = Head(np.random.default_rng(1), look, LineStyle(1.8), (150, 150), 200, 0.3)
    head.draw_back(sheet)
    head.draw_front(sheet)
    ids = sheet.resolve().ids
    assert not np.isin(ids, [DougaClass.SHADING_LINE, DougaClass.SHADING_FILL]).any()


@pytest.mark.parametrize("outlined", [True, False])
@pytest.mark.parametrize("inked", [True, False])
@pytest.mark.parametrize("enclosed", [True, False])
def test_irises_are_colour_fills_and_whites_only_where_no_line_closes_them(
    *, outlined: bool, inked: bool, enclosed: bool
) -> None:
    look = shaded_look(3)
    face = replace(look.face, iris_style="flat", iris_outlined=outlined, pupil="round", highlights=0)
    look = replace(look, face=face, has_shadow=False, has_highlights=False)
    sheet = Sheet((300, 300))
    pen = HeadPen(sheet, HeadSpace((150.0, 150.0), 280.0, 0.0, 1, 0.0, 0.0), LineStyle(1.8))
    skin = pen.area(curves.ellipse((0.0, 0.0), (0.5, 0.5)), look.skin.normal)
    rng = np.random.default_rng(4)
    design = replace(design_eyes(rng, look, is_profile=False), white_is_enclosed=enclosed)
    design = replace(design, iris=replace(design.iris, pupil_inked=inked, rays=0))
    draw_eye(pen, look, Eye(0.0, 0.0, 0.6, 0.4, 1, 0.0, is_profile=False), design, skin_area=skin)
    art = sheet.resolve()
    white = (art.rgb == design.white).all(2) & np.isin(art.ids, AREA_CLASSES)
    assert white.sum() > 500
    assert (art.ids[white] == (DougaClass.FLAT if enclosed else DougaClass.COLOR_FILL)).all()
    iris = (art.rgb == look.eyes.normal).all(2) & np.isin(art.ids, AREA_CLASSES)
    assert iris.sum() > 500
    assert (art.ids[iris] == DougaClass.COLOR_FILL).all()
    assert art.ids[153, 150] == DougaClass.COLOR_FILL  # the pupil


def test_the_dark_part_of_an_iris_may_be_nearly_black() -> None:
    look = shaded_look(3)
    look = replace(look, face=replace(look.face, iris_style="two_tone", highlights=0))
    brightness = []
    for depth in (0.0, 1.0):
        sheet = Sheet((300, 300))
        pen = HeadPen(sheet, HeadSpace((150.0, 150.0), 280.0, 0.0, 1, 0.0, 0.0), LineStyle(1.8))
        skin = pen.area(curves.ellipse((0.0, 0.0), (0.5, 0.5)), look.skin.normal)
        design = replace(design_eyes(np.random.default_rng(4), look, is_profile=False), lid_shadow=0.0)
        design = replace(design, iris=replace(design.iris, dark_depth=depth))
        draw_eye(pen, look, Eye(0.0, 0.0, 0.6, 0.4, 1, 0.0, is_profile=False), design, skin_area=skin)
        art = sheet.resolve()
        brightness.append(art.rgb[art.ids == DougaClass.SHADING_FILL].mean())
    assert brightness[1] < 0.6 * brightness[0]


@pytest.mark.parametrize(("eye_px", "share"), [(8, 0.24), (11, 0.46), (15, 0.5)])
def test_small_eyes_are_more_than_outline(eye_px: int, share: float) -> None:
    look = shaded_look(3)
    look = replace(look, face=replace(look.face, iris_outlined=True, pupil="round", highlights=1))
    sheet = Sheet((64, 64))
    pen = HeadPen(sheet, HeadSpace((32.0, 32.0), eye_px / 0.4, 0.0, 1, 0.0, 0.0), LineStyle(1.3))
    skin = pen.area(curves.ellipse((0.0, 0.0), (0.5, 0.5)), look.skin.normal)
    design = design_eyes(np.random.default_rng(4), look, is_profile=False)
    draw_eye(pen, look, Eye(0.0, 0.0, 0.4, 0.4, 1, 0.0, is_profile=False), design, skin_area=skin)
    art = sheet.resolve()
    ids = art.ids
    inked, painted = (ids == DougaClass.VISIBLE_LINE).sum(), (ids == DougaClass.COLOR_FILL).sum()
    assert painted > share * inked
    pupil = mix(look.eyes.shade2, (8, 6, 14), 0.7)
    assert eye_px < 11 or (np.abs(art.rgb.astype(int) - pupil).max(2) < 12).any()


def test_the_visible_lines_of_small_figures_are_thin() -> None:
    widths = {px: [make_style(np.random.default_rng(s), px).width_px for s in range(20)] for px in (10, 40)}
    assert max(widths[40]) < 1.25
    assert set(widths[10]) == {1.0}


def test_the_trace_lines_of_small_figures_are_thin() -> None:
    widths = [
        np.mean([make_style(np.random.default_rng(s), px).tone_px for s in range(20)]) for px in (40, 200)
    ]
    assert widths[0] < 0.7 * widths[1]


def test_small_figures_have_few_trace_lines() -> None:
    share = []
    for height_px in (24, 200):
        ids = draw(8, height_px).ids
        lines = np.isin(ids, LINE_CLASSES).sum()
        share.append(np.isin(ids, (2, 3, 4)).sum() / lines)
    assert share[0] < 0.3 * share[1]


def test_the_silhouette_is_inked() -> None:
    for seed in range(6):
        art = draw(seed, 160, size=300)
        body = art.alpha > 127
        rim = body & ~np.roll(body, 1, 1)
        near = np.zeros_like(body)
        for dx in range(4):
            near |= np.roll(art.ids == DougaClass.VISIBLE_LINE, -dx, 1)
        assert near[rim].mean() > 0.9


def test_neck_and_jaw_follow_the_head() -> None:
    look, style = make_look(np.random.default_rng(0)), LineStyle(1.5)
    upright = Head(np.random.default_rng(1), look, style, (100, 100), 80)
    rolled = Head(np.random.default_rng(1), look, style, (100, 100), 80, 0.0, np.pi / 2)
    assert upright.neck_xy[1] > 120
    assert abs(upright.neck_xy[0] - 100) < 5
    assert rolled.neck_xy[0] < 80
    assert abs(rolled.neck_xy[1] - 100) < 5
    assert 15 < upright.neck_width_px < 40
    assert abs(upright.jaw_points[:, 1].max() - 140) < 2


def test_a_profile_faces_where_it_turns() -> None:
    look = make_look(np.random.default_rng(0))
    for turn, nose in ((1.0, 1), (-1.0, -1)):
        head = Head(np.random.default_rng(1), look, LineStyle(1.5), (100, 100), 80, turn)
        jaw = head.jaw_points[:, 0] - 100
        assert jaw[np.argmax(np.abs(jaw))] * nose > 0


def test_curves_pass_through_their_knots() -> None:
    knots = np.array([(0.0, 0.0), (1.0, 2.0), (4.0, 1.0)])
    curve = curves.smooth(knots, per_span=5)
    np.testing.assert_allclose(curve[[0, 5, 10]], knots, atol=1e-9)
    closed = curves.smooth(knots, per_span=5, closed=True)
    assert len(closed) == 15
    np.testing.assert_allclose(closed[[0, 5, 10]], knots, atol=1e-9)
    line = curves.bezier((0, 0), (1, 1), (2, 0), samples=3)
    np.testing.assert_allclose(line, [(0, 0), (1, 0.5), (2, 0)])


def test_offsets_lie_to_the_right_of_the_direction() -> None:
    line = np.array([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)])
    np.testing.assert_allclose(curves.offset(line, 0.5)[:, 1], 0.5)  # y grows downwards
    band = curves.ribbon(line, np.array([0.0, 1.0, 0.0]))
    assert len(band) == 6
    assert np.ptp(band[:, 1]) == 2.0
    np.testing.assert_allclose(curves.mirrored(line)[:, 0], [0, -1, -2])
    np.testing.assert_allclose(curves.rotated([(1.0, 0.0)], np.pi / 2), [(0.0, 1.0)], atol=1e-9)


SQUARE = np.array([(0.0, 0.0), (8.0, 0.0), (8.0, 8.0), (0.0, 8.0)])


def test_a_glaze_changes_paint_and_no_class() -> None:
    sheet = Sheet((8, 8), oversample=1)
    area = sheet.area(SQUARE, (0, 0, 0))
    before = sheet.ids.copy()
    sheet.glaze(area, (200, 0, 0), (0.0, 0.0), (8.0, 0.0))
    assert (sheet.ids == before).all()
    reds = sheet.fill[4, :, 0].astype(int)
    assert (np.diff(reds) > 0).all()
    assert reds[0] < 20
    assert reds[-1] > 180
    assert (sheet.fill[..., 1:] == 0).all()


def test_tones_given_together_merge_without_a_line_between_them() -> None:
    left, right = SQUARE * (0.625, 1), SQUARE * (0.625, 1) + (3.0, 0.0)
    sheet = Sheet((8, 8), oversample=1)
    area = sheet.area(SQUARE, (9, 9, 9))
    sheet.tone(area, [left, right], (1, 1, 1), DougaClass.SHADING_FILL, DougaClass.SHADING_LINE)
    assert (sheet.ids == DougaClass.SHADING_FILL).all()


@pytest.mark.parametrize(("thick", "is_line"), [(3.0, True), (24.0, False)])
def test_a_narrow_shape_of_ink_is_a_line_and_a_broad_one_has_one_around_it(
    thick: float, is_line: bool
) -> None:
    sheet = Sheet((100, 60))
    pen = HeadPen(sheet, HeadSpace((50.0, 30.0), 1.0, 0.0, 1, 0.0, 0.0), LineStyle(1.0))
    half = thick / 2
    pen.solid(np.array([(-40, -half), (40, -half), (40, half), (-40, half)]), (10, 10, 10))
    art = sheet.resolve()
    assert (art.ids[30, 20:80] == (DougaClass.VISIBLE_LINE if is_line else DougaClass.FLAT)).all()
    assert tuple(art.rgb[30, 50]) == (10, 10, 10)
    rim = round(30 - half)
    assert (art.ids[rim - 1 : rim + 2, 20:80] == DougaClass.VISIBLE_LINE).any(0).all()


def test_no_line_is_drawn_that_cannot_be_seen() -> None:
    dark, light = (Swatch(*(5 * [rgb])) for rgb in ((12, 10, 14), (180, 150, 210)))
    for seed in range(40):
        style = make_style(np.random.default_rng(seed), 100.0)
        assert sum(style.ink(light)) < sum(light.normal) - 40
        assert abs(sum(style.ink(dark)) - sum(dark.normal)) > 40
