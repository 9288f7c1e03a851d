"""Jackets: blazers, suits, coats, stand-collar uniforms, hoodies."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.cloth import draw_cloth, draw_torso_folds, hem_height, neckline_curve
from douga_training.simulate.curves import smooth
from douga_training.simulate.outfits import Outfit
from douga_training.simulate.pen import Part, Pen
from douga_training.simulate.torso import Torso
from douga_training.simulate.trimmings import (
    draw_back_collar,
    draw_buttons,
    draw_collar_flaps,
    draw_neckwear,
)


def jacket(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    """Blazer, suit or coat over a shirt, with lapels."""
    hem, low = hem_height(outfit), float(pen.rng.uniform(0.36, 0.58))
    if torso.behind:
        return _jacket_back(pen, torso, outfit, hem)
    under = draw_cloth(
        pen,
        torso,
        outfit.inner,
        neckline=neckline_curve(torso, 0.08, 0.0, True),
        start=0.0,
        hem=0.7,
        hem_line=False,
    )
    pen.ink(torso.path((0.02, 0.08), (0.02, 0.65)), outfit.inner, width=0.8, within=under)
    inner = [under, *draw_neckwear(pen, torso, outfit), *draw_collar_flaps(pen, torso, outfit.inner, 0.085)]
    opening = np.vstack(
        [
            torso.path((-0.95, 0.0), (-0.5, 0.12), (0.0, low)),
            torso.path((0.0, low), (0.5, 0.12), (0.95, 0.0))[1:],
        ]
    )
    part = draw_cloth(
        pen, torso, outfit.main, neckline=opening, start=0.0, hem=hem, hem_line=outfit.top != "coat"
    )
    draw_torso_folds(pen, torso, part, hem, 1.2)
    pen.ink(
        torso.path((0.0, low), (0.06, (low + hem) / 2), (0.0 if pen.chance(0.5) else -0.1, hem + 0.02)),
        outfit.main,
        within=part,
    )
    parts = [*inner, part]
    parts += _lapels(pen, torso, outfit, part, low)
    pen.cast(
        torso.poly((-0.95, 0.0), (0.0, low), (0.95, 0.0), (1.2, 0.0), (0.1, low + 0.06), (-1.2, 0.0)),
        inner,
        torso.unit_px * 0.04,
    )
    draw_buttons(pen, torso, pen.look.accent if pen.chance(0.5) else outfit.main, part, low + 0.05, hem - 0.3)
    if pen.detail > 0.3 and pen.chance(0.6):
        pen.ink(
            torso.poly((0.4, 0.78), (0.85, 0.77), (0.85, 0.82), (0.4, 0.83), (0.4, 0.78)),
            outfit.main,
            width=0.8,
            within=part,
        )
    return parts


def _jacket_back(pen: Pen, torso: Torso, outfit: Outfit, hem: float) -> list[Part]:
    """The back of a jacket, with its slit."""
    part = draw_cloth(
        pen, torso, outfit.main, neckline=neckline_curve(torso, 0.02, 0.0, False), start=0.0, hem=hem
    )
    pen.ink(torso.path((0.0, 0.6), (0.0, hem)), outfit.main, width=0.8, within=part, taper=(0.5, 0.0))
    draw_torso_folds(pen, torso, part, hem, 1.2)
    return [part, *draw_back_collar(pen, torso, outfit.main)]


def _lapels(pen: Pen, torso: Torso, outfit: Outfit, base: Part, low: float) -> list[Part]:
    """Lapels that meet at height low; one that is turned away is left out."""
    parts = []
    wide = float(pen.rng.uniform(0.2, 0.42))
    for s in (-1, 1):
        if not torso.shows(s * 0.45):
            continue
        lapel = torso.poly(
            (s * 0.98, -0.005), (s * 1.2, 0.035), (s * (0.62 + wide), 0.14), (s * (0.5 + wide), 0.17),
            (s * (0.58 + wide), 0.2), (s * 0.12, low - 0.06), (0.0, low), (s * 0.27, 0.24), (s * 0.5, 0.12),
        )  # fmt: skip
        part_l = pen.form(lapel, outfit.main)
        pen.ink(torso.poly((s * 0.55, 0.13), (s * (0.5 + wide), 0.17)), outfit.main, width=0.8, within=part_l)
        pen.crescent(part_l, torso.unit_px * 0.07)
        pen.cast(lapel, [base], torso.unit_px * 0.05)
        parts.append(part_l)
    return parts


def gakuran(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    """Stand-collar uniform."""
    hem = hem_height(outfit)
    part = draw_cloth(
        pen, torso, outfit.main, neckline=neckline_curve(torso, 0.06, 0.0, False), start=0.0, hem=hem
    )
    draw_torso_folds(pen, torso, part, hem, 1.0)
    right, left = torso.edge(1, -0.03)[0], torso.edge(-1, -0.03)[0]
    up = torso.along * torso.length * 0.035
    low = neckline_curve(torso, 0.05, 0.1, False)
    low = low + torso.along * torso.length * 0.01
    high = smooth(np.array([right - up, torso.at(0.0, 0.01), left - up]))
    collar = pen.form(np.vstack([low, high]), outfit.main)
    pen.crescent(collar, torso.unit_px * 0.08)
    if not torso.behind:
        pen.ink(torso.path((0.04, 0.05), (0.04, 0.5), (0.03, hem)), outfit.main, within=part, width=0.85)
        draw_buttons(pen, torso, pen.look.accent, part, 0.16, hem - 0.15)
    return [part, collar]


def hoodie(pen: Pen, torso: Torso, outfit: Outfit) -> list[Part]:
    """A hood that lies on the shoulders, cords, a pocket across the belly."""
    hem = hem_height(outfit)
    u = torso.unit_px
    part = draw_cloth(
        pen, torso, outfit.main, neckline=neckline_curve(torso, 0.12, 0.3, False), start=0.02, hem=hem
    )
    draw_torso_folds(pen, torso, part, hem, 1.5)
    pen.ink(torso.hem(hem - 0.09), outfit.main, width=0.9, within=part)
    if torso.behind:
        hood = torso.path((-1.0, 0.0), (-0.8, 0.14), (0.0, 0.26), (0.8, 0.14), (1.0, 0.0))
        shape = np.vstack([hood, torso.path((1.0, 0.0), (0.0, 0.03), (-1.0, 0.0))[1:-1]])
        parts = [part, pen.form(shape, outfit.main)]
        pen.cast(shape, [part], u * 0.06)
        return parts
    parts = [part]
    for s in (-1, 1):
        if not torso.shows(s * 0.5):
            continue
        shape = torso.path(
            (s * 0.95, -0.02),
            (s * 1.5, 0.03),
            (s * 1.0, 0.13),
            (s * 0.1, 0.18),
            (s * 0.02, 0.13),
            (s * 0.5, 0.085),
            (s * 0.95, -0.02),
        )
        flap = pen.form(shape[:-1], outfit.main)
        pen.crescent(flap, u * 0.1)
        pen.cast(shape, [part], u * 0.04)
        parts.append(flap)
        if pen.detail > 0.3:
            pen.ink(
                torso.path((s * 0.16, 0.17), (s * 0.18, 0.27), (s * 0.13, 0.36)), pen.look.accent, width=1.2
            )
    pocket = torso.path((-0.55, 0.9), (-0.65, 0.82), (-0.4, 0.68), (0.4, 0.68), (0.65, 0.82), (0.55, 0.9))
    pen.ink(pocket, outfit.main, width=0.85, within=part)
    if pen.chance(0.35):
        pen.ink(torso.path((0.0, 0.17), (0.02, 0.5), (0.0, hem)), outfit.main, width=0.9, within=part)
    return parts
