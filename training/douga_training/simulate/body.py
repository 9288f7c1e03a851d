"""Whole figures: a head on a posed, dressed and shaded body, drawn back to front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from douga_training.simulate.arms import draw_arm
from douga_training.simulate.behind import draw_back_of_head
from douga_training.simulate.curves import ellipse, smooth
from douga_training.simulate.figure import Figure, Place
from douga_training.simulate.garments import draw_top
from douga_training.simulate.look import LineStyle, Look
from douga_training.simulate.lower_body import draw_legs
from douga_training.simulate.poses import choose_pose
from douga_training.simulate.sheet import Sheet
from douga_training.simulate.skirts import draw_cape
from douga_training.simulate.tone_borders import trace_tone_borders
from douga_training.simulate.trimmings import draw_belt, draw_scarf, draw_strap


def draw_figure(
    sheet: Sheet,
    rng: np.random.Generator,
    look: Look,
    style: LineStyle,
    *,
    head_centre_xy: Sequence[float],
    head_height_px: float,
    turn: float,
    roll_rad: float,
    pose: str | None = None,
) -> Place:
    """Draw a whole character: hair behind, body in its clothes, head. Returns where it stands.

    head_centre_xy: middle of the head in frame pixels. head_height_px: crown to chin. turn: of the head, -1
    profile to the left, 0 frontal, 1 profile to the right; the body follows it loosely. roll_rad: of the
    head, clockwise on screen. pose: one of `poses.POSES`, or None for any of them, mostly facing the camera.
    What lies outside of the sheet is not drawn, so the same call makes a close-up or a long shot.
    """
    chosen = choose_pose(rng, pose)
    fig = Figure(sheet, rng, look, style, head_centre_xy, head_height_px, turn, roll_rad, chosen)
    _draw(fig)
    return fig.place


def draw_back_figure(
    sheet: Sheet,
    rng: np.random.Generator,
    look: Look,
    style: LineStyle,
    *,
    head_centre_xy: Sequence[float],
    head_height_px: float,
    turn: float = 0.0,
    roll_rad: float = 0.0,
) -> None:
    """Draw a whole character seen from behind; the arguments are those of `draw_figure`."""
    pose = choose_pose(rng, None, behind=True)
    _draw(Figure(sheet, rng, look, style, head_centre_xy, head_height_px, turn, roll_rad, pose))


def _draw(fig: Figure) -> None:
    """Everything, back to front."""
    behind, over = fig.pose.behind, fig.pose.over_face
    ground = fig.bones.neck_xy + fig.torso.along * fig.u * (fig.size.torso + fig.size.thigh * 1.3)
    front = [_arm_in_front(fig, i) for i in (0, 1)]
    order = [int(i) for i in np.argsort([near[1:].mean() for near in fig.bones.arms_near])]
    if not behind:
        fig.head.draw_back(fig.sheet)
        if fig.outfit.cape:
            draw_cape(fig.pen, fig.torso, ground, fig.look.accent, front=False)
    for i in order:
        if not front[i]:
            draw_arm(fig, i)
    draw_legs(fig)
    _draw_neck(fig)
    _draw_torso(fig)
    if fig.outfit.cape and behind:
        draw_cape(fig.pen, fig.torso, ground, fig.look.accent, front=True)
    for i in order:
        if front[i] and not over[i]:
            draw_arm(fig, i)
    if behind:
        draw_back_of_head(fig.pen, fig.head_xy, fig.roll, -fig.turn)
    else:
        fig.head.draw_front(fig.sheet)
    for i in order:
        if over[i]:
            draw_arm(fig, i)
    fig.pen.finish()
    if fig.look.has_shadow or fig.look.has_highlights:
        _trace_tones(fig)


def _trace_tones(fig: Figure) -> None:
    """The borders of tones that were painted side by side; irises have some without a line."""
    shapes = [part.shape for part in fig.pen.parts]
    reach = np.array([[-1.5, -1.5], [1.5, 2.5]]) * fig.u
    trace_tone_borders(
        fig.sheet,
        np.vstack([*shapes, fig.head_xy + reach]),
        fig.pen.style.tone_px,
        without=[] if fig.pose.behind else fig.head.eye_boxes(),
    )


def _arm_in_front(fig: Figure, i: int) -> bool:
    near = fig.bones.arms_near[i]
    return fig.pose.over_face[i] or bool(
        near[1:].mean() > (-0.12 if abs(fig.bones.yaw) < 0.3 or fig.pose.behind else 0.02)
    )


def _draw_neck(fig: Figure) -> None:
    """Neck and bare chest, with the shadow of the chin."""
    t, skin, half = fig.torso, fig.look.skin, fig.neck_half
    up = fig.head_xy + (fig.head.neck_xy - fig.head_xy) * 0.35
    top = fig.head.neck_xy
    right = smooth(
        np.array([up + t.across * half, top + t.across * half * 0.95, t.edge(1, 0.0)[0], t.edge(1, 0.05)[0]])
    )
    left = smooth(
        np.array(
            [up - t.across * half, top - t.across * half * 0.95, t.edge(-1, 0.0)[0], t.edge(-1, 0.05)[0]]
        )
    )
    low = 0.5
    shape = np.vstack([right, t.contour(1, 0.06, low), t.contour(-1, 0.06, low)[::-1], left[::-1]])
    part = fig.pen.fill(shape, skin)
    for side, line in ((1, right), (-1, left)):
        fig.pen.ink(np.vstack([line, t.contour(side, 0.06, low)]), skin)
    fig.pen.crescent(part, fig.u * (0.05 + 0.12 * fig.look.shade_amount), ragged=0.2)
    if not fig.pose.behind and fig.pen.detail > 0.2:
        for s in (-1, 1):
            fig.pen.fold(
                t.path((s * 0.12, 0.07), (s * 0.5, 0.045), (s * 0.95, 0.05)), part, both=True, width=0.7
            )
    fig.cloth.append(part)


def _draw_torso(fig: Figure) -> None:
    parts = draw_top(fig.pen, fig.torso, fig.outfit, fig.look.skin)
    if fig.outfit.belt and fig.outfit.lower != "none" and fig.outfit.tucked:
        parts += draw_belt(fig.pen, fig.torso, fig.look.accent, 0.7, 0.78)
    if fig.outfit.neckwear == "scarf":
        parts += draw_scarf(fig.pen, fig.torso, fig.look.accent)
    if fig.outfit.bag:
        draw_strap(fig.pen, fig.torso, parts, fig.look.shoes)
    fig.cloth += parts
    if not fig.pose.behind:
        jaw = np.vstack(
            [fig.head.jaw_points, ellipse(fig.head_xy, (fig.u * 0.3, fig.u * 0.3), samples=12)[6:]]
        )
        fig.pen.cast(jaw, fig.cloth, fig.u * 0.16)
