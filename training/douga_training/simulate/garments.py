"""Clothes of the trunk: shirts, uniforms, jackets, kimono, armour."""

from __future__ import annotations

import numpy as np

from douga_training.simulate import jackets
from douga_training.simulate.cloth import draw_cloth, draw_torso_folds, hem_height, neckline_curve
from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import smooth
from douga_training.simulate.outfits import Outfit
from douga_training.simulate.pen import Part, Pen
from douga_training.simulate.torso import Torso
from douga_training.simulate.trimmings import (
    draw_back_collar,
    draw_belt,
    draw_buttons,
    draw_collar_flaps,
    draw_neckwear,
    draw_ribbon_bow,
)


def draw_top(pen: Pen, torso: Torso, outfit: Outfit, skin: Swatch) -> list[Part]:
    """The garment of the torso with its details. Returns the parts that shadows may fall on."""
    draw = _DRAW[outfit.top]
    return draw(pen, torso, outfit)


def _shirt(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    hem = hem_height(outfit)
    open_to = 0.1 if outfit.neckwear != "none" else float(pen.rng.uniform(0.08, 0.2))
    part = draw_cloth(
        pen, torso, outfit.main, neckline=neckline_curve(torso, open_to, 0.0, True), start=0.0, hem=hem,
    )  # fmt: skip
    draw_torso_folds(pen, torso, part, hem, 1.0)
    if torso.behind:
        return [part, *draw_back_collar(pen, torso, outfit.main)]
    pen.ink(torso.path((0.03, open_to), (0.03, 0.5), (0.02, hem)), outfit.main, width=0.8, within=part)
    draw_buttons(
        pen, torso, outfit.main if pen.chance(0.6) else pen.look.accent, part, open_to + 0.06, hem - 0.08
    )
    if pen.detail > 0.3 and pen.chance(0.4):
        pocket = torso.poly((0.3, 0.3), (0.75, 0.3), (0.72, 0.42), (0.5, 0.45), (0.32, 0.42), (0.3, 0.3))
        pen.ink(pocket, outfit.main, width=0.8, within=part)
    flaps = draw_collar_flaps(pen, torso, outfit.main, 0.1)
    return [part, *draw_neckwear(pen, torso, outfit), *flaps]


def _tshirt(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    """T-shirts, sweaters and the upper part of dresses."""
    hem = hem_height(outfit)
    depth = float(pen.rng.uniform(0.06, 0.16))
    neckline = neckline_curve(torso, depth, float(pen.rng.uniform(0, 0.6)), bool(pen.chance(0.2)))
    part = draw_cloth(
        pen, torso, outfit.main, neckline=neckline, start=0.02, hem=hem, hem_line=outfit.top != "dress"
    )
    draw_torso_folds(pen, torso, part, hem, 1.0)
    if outfit.top == "sweater" and pen.detail > 0.15:
        pen.ink(torso.hem(hem - 0.07), outfit.main, width=0.9, within=part)
        pen.ink(neckline + torso.along * torso.unit_px * 0.07, outfit.main, width=0.9, within=part)
    elif outfit.print_on and not torso.behind:
        _print(pen, torso, part)
    if outfit.top == "dress" and not torso.behind:
        return [part, *draw_neckwear(pen, torso, outfit, depth)]
    return [part]


def _print(pen: Pen, torso: Torso, part: Part) -> None:
    """A colour area on the chest, without drawn border: a stripe, a disc, a star, or letters."""
    kind = str(pen.rng.choice(["band", "disc", "star", "bars"]))
    paint = pen.look.accent
    if kind == "band":
        t0 = float(pen.rng.uniform(0.3, 0.42))
        t1 = t0 + float(pen.rng.uniform(0.05, 0.16))
        shape = np.vstack(
            [
                torso.contour(1, t0, t1),
                torso.hem(t1)[1:-1],
                torso.contour(-1, t0, t1)[::-1],
                torso.hem(t0)[::-1],
            ]
        )
        pen.patch(part, shape, paint)
        for side in (-1, 1):
            pen.ink(torso.contour(side, t0 - 0.02, t1 + 0.02), part.paint)
    elif kind == "bars":
        for k in range(int(pen.rng.integers(2, 5))):
            a = -0.45 + 0.24 * k
            pen.patch(part, torso.poly((a, 0.3), (a + 0.15, 0.3), (a + 0.15, 0.42), (a, 0.42)), paint)
    else:
        n = 20 if kind == "disc" else 10
        angle = np.linspace(0, 2 * np.pi, n, endpoint=False) - np.pi / 2
        radius = np.where((np.arange(n) % 2 == 1) & (kind == "star"), 0.45, 1.0) * pen.rng.uniform(0.1, 0.15)
        pen.patch(
            part,
            torso.poly(*zip(np.cos(angle) * radius * 2.6, 0.36 + np.sin(angle) * radius * 0.9, strict=True)),
            paint,
        )


def _sailor(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    """Sailor uniform: deep collar over the shoulders with stripes that are colour areas."""
    hem = hem_height(outfit)
    part = draw_cloth(
        pen, torso, outfit.main, neckline=neckline_curve(torso, 0.22, 0.2, True), start=0.01, hem=hem,
    )  # fmt: skip
    draw_torso_folds(pen, torso, part, hem, 1.0)
    paint, stripe = outfit.lower_paint, pen.look.shirt
    parts = [part]
    if torso.behind:
        outline = [(-1.0, 0.0), (-1.05, 0.09), (-0.95, 0.3), (0.95, 0.3), (1.05, 0.09), (1.0, 0.0)]
        stripes = [[(-0.8, 0.265), (0.8, 0.265), (0.8, 0.245), (-0.8, 0.245)]]
        flaps = [(outline, stripes)]
    else:
        flaps = []
        for s in (-1, 1):
            if not torso.shows(s * 0.5):
                continue
            outline = [
                (s * 1.3, 0.0),
                (s * 1.25, 0.08),
                (s * 0.95, 0.12),
                (s * 0.35, 0.25),
                (0.0, 0.3),
                (0.0, 0.22),
                (s * 0.5, 0.06),
            ]
            inside = [
                (s * 1.1, 0.085),
                (s * 0.87, 0.108),
                (s * 0.33, 0.222),
                (s * 0.3, 0.205),
                (s * 0.82, 0.09),
                (s * 1.05, 0.07),
            ]
            flaps.append((outline, [inside]))
    for outline, stripes in flaps:
        flap = pen.form(torso.poly(*outline), paint)
        if pen.unit_px > 30:
            for line in stripes:
                pen.patch(flap, torso.poly(*line), stripe)
        pen.crescent(flap, torso.unit_px * 0.1)
        parts.append(flap)
    pen.cast(torso.poly(*flaps[0][0]), [part], torso.unit_px * 0.06)
    return parts if torso.behind else [*parts, *draw_neckwear(pen, torso, outfit, 0.2)]


def _kimono(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    paint, trim = outfit.main, pen.look.accent
    depth = float(pen.rng.uniform(0.12, 0.24))
    part = draw_cloth(
        pen,
        torso,
        paint,
        neckline=neckline_curve(torso, depth, 0.3, True),
        start=0.01,
        hem=0.75,
        hem_line=False,
    )
    parts = [part]
    if not torso.behind:
        for s in (1, -1):
            if not torso.shows(s * 0.3):
                continue
            band = torso.poly(
                (s * 1.25, 0.0),
                (s * 0.75, 0.08),
                (-s * 0.1, depth + 0.04),
                (-s * 0.5, 0.52),
                (-s * 0.3, 0.54),
                (s * 0.06, depth + 0.09),
                (s * 0.95, 0.1),
                (s * 1.4, 0.03),
            )
            flap = pen.form(band, trim if pen.chance(0.5) else paint)
            pen.crescent(flap, torso.unit_px * 0.05)
            parts.append(flap)
    draw_torso_folds(pen, torso, part, 0.55, 1.2)
    parts += draw_belt(pen, torso, trim, 0.5, 0.74)
    if torso.behind and pen.chance(0.8):
        parts += draw_ribbon_bow(pen, torso.at(0.0, 0.58), torso.unit_px * 0.45, trim, torso.along)
    return parts


def _tank(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    """A sleeveless top: bare shoulders, straps."""
    hem, deep = hem_height(outfit), float(pen.rng.uniform(0.14, 0.26))
    outer, inner = float(pen.rng.uniform(0.75, 0.95)), float(pen.rng.uniform(0.4, 0.6))
    top = 0.05
    neck = np.array(
        [
            torso.at(-inner, top),
            torso.at(-inner * 0.9, deep * 0.7),
            torso.at(0.0, deep if not torso.behind else 0.12),
            torso.at(inner * 0.9, deep * 0.7),
            torso.at(inner, top),
        ]
    )
    neckline = smooth(neck, per_span=6)
    arms = {
        s: smooth(
            np.array([torso.at(s * outer, top - 0.005), torso.at(s * outer, 0.15), torso.edge(s, 0.25)[0]]),
            per_span=6,
        )
        for s in (-1, 1)
    }
    left, right, bottom = torso.contour(-1, 0.25, hem), torso.contour(1, 0.25, hem), torso.hem(hem)
    shape = np.vstack([arms[1], right[1:], bottom[1:-1], left[::-1], arms[-1][::-1][1:], neckline])
    part = pen.form(shape, outfit.main)
    pen.crescent(part, torso.unit_px * (0.1 + 0.4 * pen.look.shade_amount))
    draw_torso_folds(pen, torso, part, hem, 0.7)
    return [part]


def _armour(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    """A breast plate over cloth, with a middle ridge and bright highlights."""
    cloth = draw_cloth(
        pen,
        torso,
        outfit.inner,
        neckline=neckline_curve(torso, 0.06, 0.0, False),
        start=0.0,
        hem=hem_height(outfit),
    )
    plate = torso.path(
        (-0.5, 0.06),
        (-1.1, 0.14),
        (-1.57, 0.3),
        (-1.3, 0.5),
        (0.0, 0.6),
        (1.3, 0.5),
        (1.57, 0.3),
        (1.1, 0.14),
        (0.5, 0.06),
        (0.0, 0.12),
        (-0.5, 0.06),
    )
    part = pen.form(plate[:-1], pen.look.jacket)
    pen.ink(torso.path((0.0, 0.12), (0.0, 0.35), (0.0, 0.6)), pen.look.jacket, within=part, width=0.9)
    for s in (-1, 1):
        pen.ink(
            torso.path((s * 1.57, 0.42), (s * 0.8, 0.46), (0.0, 0.5)), pen.look.jacket, within=part, width=0.8
        )
        shine = torso.path((s * 0.3, 0.18), (s * 0.7, 0.17), (s * 0.62, 0.3), (s * 0.3, 0.18))
        part.lights.append(shine)
    pen.crescent(part, torso.unit_px * (0.15 + 0.3 * pen.look.shade_amount), ragged=0.15)
    pen.crescent(part, torso.unit_px * 0.1, deep=True)
    pen.cast(plate, [cloth], torso.unit_px * 0.08)
    return [cloth, part, *draw_belt(pen, torso, pen.look.accent, 0.68, 0.76)]


_DRAW = {
    "shirt": _shirt,
    "tshirt": _tshirt,
    "sailor": _sailor,
    "blazer": jackets.jacket,
    "coat": jackets.jacket,
    "gakuran": jackets.gakuran,
    "hoodie": jackets.hoodie,
    "sweater": _tshirt,
    "kimono": _kimono,
    "dress": _tshirt,
    "tank": _tank,
    "armour": _armour,
}
