"""Drawn figures: determinism, classes, clipping, shadows that merge, limbs."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from douga_training.simulate.body import draw_back_figure, draw_figure
from douga_training.simulate.limbs import Limb
from douga_training.simulate.look import make_look, make_style
from douga_training.simulate.pen import Pen
from douga_training.simulate.poses import POSES, build_skeleton, choose_pose, measures
from douga_training.simulate.sheet import CelArt, Sheet
from douga_training.simulate.tone_borders import trace_tone_borders
from douga_training.simulate.torso import Torso
from douga_training.simulate.trimmings import draw_buttons
from numpy.typing import NDArray

from douga.classes import DougaClass
from douga.errors import InputError


def figure(
    seed: int,
    *,
    pose: str | None = None,
    head_px: float = 40.0,
    size_wh: tuple[int, int] = (200, 320),
    origin_xy: tuple[float, float] = (0.0, 0.0),
    shadow: bool = True,
) -> CelArt:
    rng = np.random.default_rng(seed)
    look = replace(make_look(rng), has_shadow=shadow)
    sheet = Sheet(size_wh, origin_xy=origin_xy)
    draw_figure(
        sheet, rng, look, make_style(rng, head_px),
        head_centre_xy=(100.0, 80.0), head_height_px=head_px, turn=0.2, roll_rad=0.0, pose=pose,
    )  # fmt: skip
    return sheet.resolve()


def pen(size: int = 40, *, line_px: float = 1.0) -> Pen:
    rng = np.random.default_rng(0)
    look = replace(make_look(rng), has_shadow=True, has_second_shadow=True, light_xy=(0.0, -1.0))
    style = replace(make_style(rng, 100.0), width_px=line_px, tone_px=2.0)
    return Pen(Sheet((size, size)), rng, look, style, 100.0)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.float64]:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


@pytest.mark.parametrize("pose", POSES)
def test_every_pose_is_drawn_with_outlines_and_paint(pose: str) -> None:
    art = figure(POSES.index(pose), pose=pose)
    assert (art.alpha > 127).sum() > 3000
    assert (art.ids == DougaClass.VISIBLE_LINE).sum() > 600


def test_same_seed_same_bytes_and_other_seed_other_figure() -> None:
    first, again, other = figure(5), figure(5), figure(6)
    for one, two in ((first.rgb, again.rgb), (first.alpha, again.alpha), (first.ids, again.ids)):
        assert (one == two).all()
    assert (first.ids != other.ids).any()


@pytest.mark.parametrize("seed", [3, 9])
def test_a_window_shows_what_the_whole_sheet_shows(seed: int) -> None:
    whole = figure(seed)
    part = figure(seed, size_wh=(120, 160), origin_xy=(40.0, 60.0))
    inner = np.s_[8:-8, 8:-8]  # trace lines along the border may lack their other side
    cut = whole.ids[60:220, 40:160]
    assert (part.ids[inner] != cut[inner]).mean() < 0.002
    assert (part.alpha[inner] == whole.alpha[60:220, 40:160][inner]).all()


def test_without_shadow_there_is_no_shading_class_on_the_body() -> None:
    ids = figure(4, pose="standing", shadow=False).ids[110:]
    assert not np.isin(ids, (DougaClass.SHADING_FILL, DougaClass.SHADING_LINE)).any()
    shaded = figure(4, pose="standing", shadow=True).ids[110:]
    assert (shaded == DougaClass.SHADING_FILL).sum() > 200
    assert (shaded == DougaClass.SHADING_LINE).sum() > 50


def test_a_figure_off_the_sheet_leaves_it_empty() -> None:
    art = figure(2, size_wh=(64, 64), origin_xy=(9000.0, 9000.0))
    assert not art.alpha.any()


def test_extreme_close_up_fills_the_sheet() -> None:
    art = figure(8, head_px=2000.0, pose="standing")
    assert (art.alpha > 127).mean() > 0.9


def test_tiny_figure_is_one_piece() -> None:
    art = figure(11, head_px=14.0, pose="standing")
    rows = np.nonzero((art.alpha > 127).any(1))[0]
    assert (np.diff(rows) == 1).all()
    assert 14 * 3 < len(rows) < 14 * 9


def test_back_figure_shows_no_eyes_but_hair() -> None:
    rng = np.random.default_rng(1)
    look, sheet = make_look(rng), Sheet((200, 320))
    draw_back_figure(
        sheet, rng, look, make_style(rng, 60.0), head_centre_xy=(100.0, 80.0), head_height_px=60.0
    )
    ids = sheet.resolve().ids
    assert ids[75:110].any()
    assert not np.isin(ids[60:100], (DougaClass.COLOR_FILL, DougaClass.COLOR_EDGE)).any()


def test_buttons_of_the_garments_own_paint_are_inked() -> None:
    for own in (True, False):
        p = pen(120)
        p.unit_px = 64.0  # a medium shot, where buttons are mostly areas of another colour
        down_the_middle = SimpleNamespace(unit_px=64.0, at=lambda _, t: np.array([60.0, 120.0 * t]))
        base = p.fill(rectangle(0, 0, 120, 120), p.look.shirt)
        paint = p.look.shirt if own else p.look.accent
        draw_buttons(p, cast(Torso, down_the_middle), paint, base, 0.2, 0.8)
        p.finish()
        ids = p.sheet.resolve().ids[4:-4, 4:-4]
        assert np.isin(ids, (DougaClass.COLOR_FILL, DougaClass.COLOR_EDGE)).any() != own
        assert (ids == DougaClass.VISIBLE_LINE).any() == own


def test_unknown_pose_is_named_in_the_error() -> None:
    with pytest.raises(InputError, match=r"dancing.*standing"):
        choose_pose(np.random.default_rng(0), "dancing")


def test_overlapping_shadows_merge_into_one_tone() -> None:
    p = pen()
    part = p.fill(rectangle(2, 2, 38, 38), p.look.shirt)
    part.shades += [(rectangle(5, 5, 22, 35), False), (rectangle(16, 5, 34, 35), False)]
    p.finish()
    row = p.sheet.resolve().ids[20]
    assert (row[8:31] == DougaClass.SHADING_FILL).all()
    assert (row == DougaClass.SHADING_LINE).sum() in (4, 5, 6)


def test_second_shadow_keeps_its_border_within_the_first() -> None:
    p = pen()
    part = p.fill(rectangle(2, 2, 38, 38), p.look.shirt)
    part.shades.append((rectangle(5, 5, 35, 35), False))
    part.deep.append((rectangle(20, 5, 35, 35), False))
    p.finish()
    row = p.sheet.resolve().ids[20]
    assert (row[18:22] == DougaClass.SHADING_LINE).any()
    assert tuple(p.sheet.resolve().rgb[20, 28]) == p.look.shirt.shade2


def test_shadow_keeps_colour_edges() -> None:
    p = pen()
    base = p.fill(rectangle(2, 2, 38, 38), p.look.shirt)
    p.patch(base, rectangle(10, 10, 30, 20), p.look.accent)
    for part in p.parts:
        part.shades.append((rectangle(0, 0, 40, 40), False))
    p.finish()
    art = p.sheet.resolve()
    assert (art.ids[15, 9:11] == DougaClass.COLOR_EDGE).all()
    assert tuple(art.rgb[15, 20]) == p.look.accent.shade
    assert tuple(art.rgb[30, 20]) == p.look.shirt.shade


def test_no_trace_line_where_shadow_ends_at_a_visible_line() -> None:
    p = pen(line_px=4.0)
    part = p.form(rectangle(4, 4, 36, 36), p.look.shirt)
    part.shades.append((rectangle(20, 0, 40, 40), False))
    p.finish()
    row = p.sheet.resolve().ids[20]
    assert (row[18:22] == DougaClass.SHADING_LINE).any()
    assert not (row[30:] == DougaClass.SHADING_LINE).any()


TRACED = {
    (DougaClass.FLAT, DougaClass.SHADING_FILL): DougaClass.SHADING_LINE,
    (DougaClass.SHADING_FILL, DougaClass.HIGHLIGHT_FILL): DougaClass.HIGHLIGHT_LINE,
    (DougaClass.COLOR_FILL, DougaClass.FLAT): DougaClass.COLOR_EDGE,
}


@pytest.mark.parametrize("kinds", TRACED)
def test_tones_side_by_side_get_the_trace_line_between_them(kinds: tuple[DougaClass, DougaClass]) -> None:
    sheet = Sheet((40, 40))
    for x, kind in ((2, kinds[0]), (20, kinds[1])):
        sheet.area(rectangle(x, 2, x + 18, 38), (200, 150, 120), kind)
    trace_tone_borders(sheet, rectangle(0, 0, 40, 40), 2.0, without=[rectangle(0, 25, 40, 40)])
    ids = sheet.resolve().ids
    assert (ids[10, 19:21] == TRACED[kinds]).all()
    assert ids[10, 12] == kinds[0]
    assert ids[10, 28] == kinds[1]
    assert (ids[30, 3:37] == np.repeat([int(k) for k in kinds], 17)).all()  # as in an iris


def test_inked_borders_get_no_trace_line() -> None:
    sheet = Sheet((40, 40))
    sheet.area(rectangle(2, 2, 20, 38), (200, 150, 120))
    sheet.area(rectangle(20, 2, 38, 38), (150, 100, 90), DougaClass.SHADING_FILL)
    sheet.stroke(np.array([[20.0, 0.0], [20.0, 40.0]]), 3.0, (0, 0, 0))
    before = sheet.ids.copy()
    trace_tone_borders(sheet, rectangle(0, 0, 40, 40), 2.0)
    np.testing.assert_array_equal(sheet.ids, before)


@pytest.mark.parametrize("pose", POSES[:4])
def test_no_shadow_of_a_figure_meets_plain_paint_without_a_line(pose: str) -> None:
    rng = np.random.default_rng(POSES.index(pose))
    look, sheet = replace(make_look(rng), has_shadow=True), Sheet((400, 600))
    draw_figure(
        sheet, rng, look, make_style(rng, 100.0),
        head_centre_xy=(200.0, 120.0), head_height_px=100.0, turn=0.2, roll_rad=0.0, pose=pose,
    )  # fmt: skip
    flat, shade = sheet.ids == DougaClass.FLAT, sheet.ids == DougaClass.SHADING_FILL
    met = (flat[1:] & shade[:-1]).sum() + (flat[:-1] & shade[1:]).sum()
    assert shade.sum() > 500
    assert met < 0.002 * shade.sum()  # but in the eyes


def test_a_fold_may_have_its_shadow_on_the_side_away_from_the_light() -> None:
    above, below = 0, 0
    for seed in range(30):
        p = pen(80)
        p.rng, p.unit_px = np.random.default_rng(seed), 900.0
        part = p.fill(rectangle(2, 2, 78, 78), p.look.shirt)
        p.fold(np.stack([np.linspace(10, 70, 30), np.full(30, 40.0)], 1), part)
        p.finish()
        ids = p.sheet.resolve().ids
        above += int((ids[:38] == DougaClass.SHADING_FILL).sum())
        below += int((ids[42:] == DougaClass.SHADING_FILL).sum())
    assert below > 500
    assert above < 0.05 * below  # the light comes from above


def test_a_fold_without_a_shadow_is_always_inked() -> None:
    for seed in range(30):
        p = pen(80)
        p.rng, p.unit_px, p.look = np.random.default_rng(seed), 900.0, replace(p.look, has_shadow=False)
        part = p.fill(rectangle(2, 2, 78, 78), p.look.shirt)
        p.fold(np.stack([np.linspace(10, 70, 30), np.full(30, 40.0)], 1), part)
        p.finish()
        assert (p.sheet.resolve().ids[36:44] == DougaClass.VISIBLE_LINE).any()


@pytest.mark.parametrize("bend_deg", [0, 60, 120, 150, -120])
def test_bent_limb_has_one_outline_around_its_joints(bend_deg: float) -> None:
    a = np.radians(bend_deg)
    elbow = np.array([0.0, 100.0])
    wrist = elbow + 100 * np.array([np.sin(a), np.cos(a)])
    limb = Limb(np.array([[0.0, 0.0], elbow, wrist]), (0.0, 1.0, 2.0), (15.0, 12.0, 9.0))
    sheet = Sheet((400, 400), origin_xy=(-200.0, -100.0))
    sheet.area(limb.outline(), (10, 20, 30))
    alpha = sheet.resolve().alpha
    for s in (0.2, 0.6, 1.0, 1.3, 1.8):
        x, y = np.round(limb.at(s) + (200.0, 100.0)).astype(int)
        assert alpha[y, x] == 255, s


def test_skeleton_turns_to_profile_and_back() -> None:
    rng = np.random.default_rng(0)
    size = measures(6.5, "male", rng)
    pose = choose_pose(rng, "standing")
    neck = np.array([0.0, 0.0])
    front = build_skeleton(pose, size, neck, 100.0, yaw=0.0, pitch=0.0, roll=0.0)
    side = build_skeleton(pose, size, neck, 100.0, yaw=np.pi / 2, pitch=0.0, roll=0.0)
    behind = build_skeleton(pose, size, neck, 100.0, yaw=np.pi, pitch=0.0, roll=0.0)
    assert front.arms[0][0, 0] < -40 < 40 < front.arms[1][0, 0]
    assert abs(side.arms[0][0, 0] - side.arms[1][0, 0]) < 1
    assert behind.arms[0][0, 0] > 40
    assert front.legs[0][2, 1] == pytest.approx(behind.legs[0][2, 1])


def test_measures_keep_the_height_in_heads() -> None:
    for heads in (2.5, 4.0, 7.0):
        m = measures(heads, "female", np.random.default_rng(0))
        body = m.neck + m.torso * 0.94 + m.thigh + m.shin + m.ankle
        assert body + 1.0 == pytest.approx(heads, rel=0.12)
