"""Arms with their sleeves, cuffs, hands and what they hold."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.curves import Points
from douga_training.simulate.figure import Figure
from douga_training.simulate.hands import draw_hand
from douga_training.simulate.limbs import Limb, band_patch, draw_tube, ink_cap
from douga_training.simulate.pen import Part
from douga_training.simulate.poses import SIDES


def draw_arm(fig: Figure, i: int) -> None:
    """Hand, bare arm, sleeve, cuff; the arm throws a shadow on what lies behind it."""
    pen, limb, outfit = fig.pen, fig.arms[i], fig.outfit
    folded = abs(limb.bend) > 1.9  # the forearm lies in front of the upper arm and its sleeve
    parts: list[Part] = []
    if outfit.sleeve < 1.9:
        bare = draw_tube(pen, limb, fig.look.skin, lines_from=(0.4, 0.4), hem_line=False, cap=0.75)
        if outfit.sleeve <= 0:
            ink_cap(pen, bare, limb, fig.trunk, 0.75, seam=0.2)
        parts.append(bare)
    if not folded:
        parts += _draw_hand(fig, i)
    shape = limb.outline(0.35)
    if outfit.sleeve > 0:
        sleeve = _sleeve(fig, limb)
        shape = sleeve.outline(min(0.35, outfit.sleeve - 0.1), outfit.sleeve)
        pen.cast(sleeve.outline(max(outfit.sleeve - 0.3, 0.0), outfit.sleeve), parts, fig.u * 0.1)
        parts.append(_draw_sleeve(fig, sleeve))
    if folded and 0 < outfit.sleeve < 0.9:
        parts.append(draw_tube(pen, limb, fig.look.skin, start=1.0, hem_line=False, cap=0.9))
    if folded:
        parts += _draw_hand(fig, i)
    pen.cast(shape, fig.cloth, fig.u * (0.08 + 0.1 * fig.look.shade_amount))
    fig.cloth += parts


def _draw_hand(fig: Figure, i: int) -> list[Part]:
    """The hand at the end of an arm, and what it holds."""
    wrist, d = fig.arms[i].joints[2], np.diff(fig.arms[i].joints, axis=0)[1]
    angle = float(np.arctan2(d[1], d[0])) + float(fig.rng.normal(0, 0.15))
    if fig.pose.hands[i] == "hold":
        _draw_prop(fig, wrist, angle)
    size_px, half_px = fig.size.hand * fig.u, fig.arms[i].half(2.0)
    kind, start = fig.pose.hands[i], wrist - d * 0.02
    return draw_hand(fig.pen, kind, start, angle, size_px, _thumb(fig, i, d), fig.look.skin, half_px)


def _draw_sleeve(fig: Figure, sleeve: Limb) -> Part:
    pen, end = fig.pen, fig.outfit.sleeve
    cloth = draw_tube(
        pen, sleeve, fig.outfit.main, end=end, cap=0.75, lines_from=(0.4, 0.4), folds=0.3 + fig.outfit.loose
    )
    ink_cap(pen, cloth, sleeve, fig.trunk, 0.75, seam=float(pen.rng.uniform(0.15, 0.5)))
    _draw_cuff(fig, cloth, sleeve)
    return cloth


def _sleeve(fig: Figure, limb: Limb) -> Limb:
    loose, u = 0.2 + fig.outfit.loose, fig.u
    if fig.outfit.top == "kimono":
        return limb.wider((0.0, 0.02 * u), (1.0, 0.1 * u), (1.97, 0.38 * u))
    wide = 0.04 * loose * u
    return limb.wider((0.0, 0.02 * u), (0.6, wide), (1.0, wide * 1.1), (1.6, wide * 1.3), (2.0, wide * 1.2))


def _thumb(fig: Figure, i: int, along: Points) -> int:
    """On which side of the hand the thumb lies: towards the body's front."""
    forward = fig.bones.project([[0.0, 0.0, 0.3]])[0] - fig.bones.project([[0.0, 0.0, 0.0]])[0]
    inwards = -SIDES[i] * (1.0 if not fig.pose.behind else -1.0)
    toward = forward + fig.torso.across * inwards * fig.u * 0.1
    return 1 if along[0] * toward[1] - along[1] * toward[0] > 0 else -1


def _draw_cuff(fig: Figure, cloth: Part, sleeve: Limb) -> None:
    end = fig.outfit.sleeve
    if not fig.outfit.cuffs or fig.pen.unit_px < 40 or end < 0.3:
        return
    if fig.pen.chance(0.5):
        band_patch(fig.pen, cloth, sleeve, fig.look.accent, end - 0.16, end - 0.09)
    else:
        fig.pen.ink(sleeve.end_curve(end - 0.16, 0.2), fig.outfit.main, width=0.85, within=cloth)


def _draw_prop(fig: Figure, wrist: Points, angle: float) -> None:
    """Something held: a stick, a book or a cup."""
    kind, u = str(fig.rng.choice(["stick", "book", "cup"])), fig.u
    d = np.array([np.cos(angle), np.sin(angle)])
    n = np.array([-d[1], d[0]])
    grip = wrist + d * fig.size.hand * u * 0.42
    if kind == "stick":
        shape = np.array(
            [
                grip + n * u * 1.3 + d * u * 0.02,
                grip + n * u * 1.3 - d * u * 0.03,
                grip - n * u * 0.5 - d * u * 0.03,
                grip - n * u * 0.5 + d * u * 0.03,
            ]
        )
    elif kind == "book":
        shape = np.array(
            [
                grip + n * u * 0.5,
                grip + n * u * 0.5 + d * u * 0.42,
                grip - n * u * 0.15 + d * u * 0.42,
                grip - n * u * 0.15,
            ]
        )
    else:
        shape = np.array(
            [
                grip + n * u * 0.2 + d * u * 0.17,
                grip + n * u * 0.2 - d * u * 0.17,
                grip - n * u * 0.2 - d * u * 0.12,
                grip - n * u * 0.2 + d * u * 0.12,
            ]
        )
    part = fig.pen.form(shape, fig.look.accent)
    fig.pen.crescent(part, u * 0.08)
