"""Legs with trousers, skirts, socks and shoes."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import smooth
from douga_training.simulate.figure import Figure
from douga_training.simulate.limbs import Limb, band_patch, draw_foot, draw_tube
from douga_training.simulate.pen import Part
from douga_training.simulate.skirts import draw_skirt


def draw_legs(fig: Figure) -> None:
    outfit, pen, t = fig.outfit, fig.pen, fig.torso
    order = [int(i) for i in np.argsort([n[1:].mean() for n in fig.bones.legs_near])]
    lower = outfit.lower
    long_top = outfit.top in ("dress", "kimono", "coat")
    drawn: list[Part] = []
    for k, i in enumerate(order):
        drawn += _draw_leg(fig, i)
        if lower in ("trousers", "shorts"):
            drawn.append(_draw_trouser(fig, i))
        if k == 0 and len(drawn) > 0 and lower in ("trousers", "shorts"):
            _draw_pelvis(fig, outfit.lower_paint)
    if lower in ("trousers", "shorts"):
        _draw_pelvis(fig, outfit.lower_paint)
    if lower == "skirt" or long_top:
        legs = (
            (_trouser_limb(fig, fig.legs[0]), _trouser_limb(fig, fig.legs[1]))
            if lower == "trousers"
            else (fig.legs[0], fig.legs[1])
        )
        paint = outfit.main if long_top else outfit.lower_paint
        hem = outfit.hem if outfit.top != "coat" else float(fig.rng.uniform(0.5, 1.3))
        flare = fig.u * (0.05 if outfit.top == "kimono" else float(fig.rng.uniform(0.04, 0.32)))
        pleats = int(fig.rng.integers(5, 11)) if lower == "skirt" and pen.chance(0.7) else 0
        skirt = draw_skirt(pen, t, legs, paint, top=0.68, hem=hem, flare=flare, pleats=pleats)
        pen.cast(skirt.shape, drawn, fig.u * 0.14)
        fig.cloth.append(skirt)
        if outfit.top in ("coat", "kimono") and not fig.pose.behind:
            foot = (legs[0].at(hem) + legs[1].at(hem)) / 2 + t.along * fig.u * 0.1
            pen.ink(smooth(np.array([t.at(0.1, 0.72), t.at(0.12, 1.0), foot])), paint, within=skirt)


def _trouser_limb(fig: Figure, limb: Limb) -> Limb:
    wide = fig.u * 0.05 * (0.3 + fig.outfit.loose)
    return limb.wider((0.0, 0.02 * fig.u), (0.8, wide), (1.2, wide), (1.95, wide * 1.8))


def _draw_trouser(fig: Figure, i: int) -> Part:
    limb = _trouser_limb(fig, fig.legs[i])
    return draw_tube(
        fig.pen, limb, fig.outfit.lower_paint, end=min(fig.outfit.hem, 1.93), cap=0.6,
        lines_from=(0.1, 0.1), folds=0.4 + fig.outfit.loose,
    )  # fmt: skip


def _draw_pelvis(fig: Figure, paint: Swatch) -> None:
    """The upper part of trousers, which joins both legs."""
    t = fig.torso
    crotch = (fig.legs[0].at(0.12) + fig.legs[1].at(0.12)) / 2
    right, left = t.contour(1, 0.66, 1.0), t.contour(-1, 0.66, 1.0)
    shape = np.vstack([right, crotch[None], left[::-1]])
    part = fig.pen.fill(shape, paint)
    for line in (right, left):
        fig.pen.ink(line, paint)
    fig.pen.crescent(part, fig.u * (0.08 + 0.3 * fig.look.shade_amount))
    if not fig.pose.behind:
        fig.pen.fold(t.path((0.0, 0.75), (0.02, 0.9), (0.0, 1.05)), part)
    fig.cloth.append(part)


def _draw_leg(fig: Figure, i: int) -> list[Part]:
    pen, limb, outfit = fig.pen, fig.legs[i], fig.outfit
    parts: list[Part] = []
    covered = outfit.lower == "trousers"
    if not covered:
        tights = outfit.legwear == "tights"
        parts.append(draw_tube(pen, limb, outfit.sock_paint if tights else fig.look.skin, hem_line=False))
        if outfit.sock < 2.0 and not tights:
            sock = limb.wider((0.0, 0.012 * fig.u), (2.0, 0.012 * fig.u))
            cloth = draw_tube(pen, sock, outfit.sock_paint, start=outfit.sock, cap=-0.15, folds=0.1)
            pen.ink(sock.end_curve(outfit.sock, 0.12), outfit.sock_paint)
            if pen.chance(0.4):
                band_patch(pen, cloth, sock, fig.look.accent, outfit.sock + 0.06, outfit.sock + 0.12)
            parts.append(cloth)
    parts.append(_draw_shoe(fig, i, limb))
    if outfit.shoe == "boot" and not covered:
        boot = limb.wider((0.0, 0.03 * fig.u), (2.0, 0.03 * fig.u))
        top = float(fig.rng.choice([1.15, 1.4, 1.6]))
        parts.append(
            draw_tube(pen, boot, fig.look.shoes, start=top, end=1.97, cap=-0.2, folds=0.3, hem_line=False)
        )
        pen.ink(boot.end_curve(top, 0.2), fig.look.shoes)
    return parts


def _draw_shoe(fig: Figure, i: int, limb: Limb) -> Part:
    s, a = fig.size, limb.joints[2]
    shin = limb.joints[2] - limb.joints[1]
    tilt = 0.0 if fig.bones.legs[i][2, 1] >= max(j[2, 1] for j in fig.bones.legs) - 0.3 * fig.u else 0.6
    origin = fig.bones.project([[0.0, 0.0, 0.0]])[0]
    down = s.ankle * 1.4
    ground = np.array(
        [
            [0.0, down, -0.2 * s.foot],
            [-0.2 * s.foot, down + 0.02, 0.45 * s.foot],
            [0.2 * s.foot, down + 0.02, 0.45 * s.foot],
            [0.0, down + 0.02, 0.74 * s.foot],
            [0.0, down * 0.35, 0.3 * s.foot],
            [0.0, 0.0, 0.05 * s.foot],
        ]
    )
    flat = fig.bones.project(ground) - origin
    if tilt:  # a lifted foot hangs with its shin
        upright = np.array([0.0, 1.0])
        turn = float(np.arctan2(shin[0] * -upright[1], shin @ upright)) * tilt
        c, n = np.cos(turn), np.sin(turn)
        flat = flat @ np.array([[c, n], [-n, c]])
    paint = fig.look.skin if fig.outfit.shoe == "bare" else fig.look.shoes
    return draw_foot(fig.pen, flat + a, limb, paint, fig.look.shirt, fig.outfit.shoe)
