"""Hanging cloth: skirts with pleats, and capes."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, resampled, smooth
from douga_training.simulate.limbs import Limb
from douga_training.simulate.pen import Part, Pen
from douga_training.simulate.torso import Torso


def draw_skirt(
    pen: Pen,
    torso: Torso,
    legs: tuple[Limb, Limb],
    paint: Swatch,
    *,
    top: float,
    hem: float,
    flare: float,
    pleats: int,
) -> Part:
    """A skirt from the waist to a position on the legs; it spans both legs wherever they go. flare in
    pixels.
    """
    drop = np.mean([leg.at(hem) - leg.at(0.0) for leg in legs], 0) + torso.along * torso.unit_px * 0.05
    drop = drop / max(float(np.linalg.norm(drop)), 1e-6)
    across = np.array([drop[1], -drop[0]])
    if across @ torso.across < 0:
        across = -across
    reach = [(float(leg.at(hem) @ across), leg) for leg in legs]
    low, high = min(reach, key=lambda r: r[0])[1], max(reach, key=lambda r: r[0])[1]
    right = high.at(hem) + across * (high.half(hem) * 1.15 + flare)
    left = low.at(hem) - across * (low.half(hem) * 1.15 + flare)
    waist_r, waist_l = torso.edge(1, top)[0], torso.edge(-1, top)[0]
    hip_r = torso.edge(1, 0.95)[0] + across * flare * 0.3
    hip_l = torso.edge(-1, 0.95)[0] - across * flare * 0.3
    hip_r = hip_r * 0.75 + (waist_r + right) / 2 * 0.25
    hip_l = hip_l * 0.75 + (waist_l + left) / 2 * 0.25
    side_r, side_l = smooth(np.array([waist_r, hip_r, right])), smooth(np.array([waist_l, hip_l, left]))
    hem_line, folds = _skirt_hem(pen, right, left, drop, pleats)
    shape = np.vstack([side_r, hem_line[1:-1], side_l[::-1], torso.hem(top)[::-1][1:-1]])
    part = pen.fill(shape, paint)
    for line in (side_r, side_l, hem_line, torso.hem(top)):
        pen.ink(line, paint)
    _pleats(pen, part, folds, right, left, waist_r, waist_l, drop)
    pen.crescent(part, torso.unit_px * (0.12 + 0.5 * pen.look.shade_amount))
    pen.crescent(part, torso.unit_px * 0.12, deep=True)
    return part


def _skirt_hem(
    pen: Pen, right: Points, left: Points, drop: Points, pleats: int
) -> tuple[Points, list[float]]:
    """Hem from right to left: a sagging curve with the teeth of pleats or soft waves. Also where the folds
    start.
    """
    width = float(np.linalg.norm(right - left))
    teeth = max(2, pleats) if pen.detail > 0.15 else 2
    t = np.linspace(0, 1, teeth * 8 + 1)
    sag = np.sin(np.pi * t) * 0.07 * width
    phase = (t * teeth) % 1.0
    if pleats:
        bump = np.where(phase < 0.8, phase / 0.8, (1 - phase) / 0.2) * 0.045 * width
    else:
        bump = (1 - np.cos(2 * np.pi * phase)) * 0.02 * width
    bump = bump * np.sin(np.pi * np.clip(t * 6, 0, 0.5)) * np.sin(np.pi * np.clip((1 - t) * 6, 0, 0.5))
    line = right + (left - right) * t[:, None] + (sag + bump)[:, None] * drop
    return line, [(k + (0.8 if pleats else 0.0)) / teeth for k in range(0 if pleats else 1, teeth)]


def _pleats(
    pen: Pen,
    part: Part,
    folds: list[float],
    right: Points,
    left: Points,
    waist_r: Points,
    waist_l: Points,
    drop: Points,
) -> None:
    """Fold lines from the hem up towards the waist, most with a shadow on the side away from the light."""
    if pen.detail < 0.08:
        return
    width = float(np.linalg.norm(right - left))
    side = 1.0 if (right - left) @ pen.light < 0 else -1.0
    for t in folds:
        foot = right + (left - right) * t + drop * (np.sin(np.pi * t) * 0.07 + 0.045) * width
        goal = waist_r + (waist_l - waist_r) * (0.5 + (t - 0.5) * 0.9)
        reach = pen.rng.uniform(0.45, 0.98)
        end = foot + (goal - foot) * reach
        bow = (right - left) * pen.rng.normal(0, 0.015)
        line = smooth(np.array([foot, (foot + end) / 2 + bow, end]))
        pen.ink(line, part.paint, width=0.85, taper=(0.0, 0.5), within=part)
        if pen.chance(0.35 + 0.5 * pen.look.shade_amount):
            wide = (right - left) / len(folds) * side * pen.rng.uniform(0.2, 0.55)
            part.shades.append((np.vstack([line, foot + wide]), False))


def draw_cape(pen: Pen, torso: Torso, ground: Points, paint: Swatch, *, front: bool) -> Part:
    """A cape from the shoulders to a height at ground (pixels); behind the body, or over it when seen from
    behind.
    """
    wide = torso.unit_px * float(pen.rng.uniform(0.3, 0.7))
    right, left = torso.edge(1, 0.08)[0], torso.edge(-1, 0.08)[0]
    low = ground - torso.top
    foot_r = right + low + torso.across * wide
    foot_l = left + low - torso.across * wide
    hem, folds = _skirt_hem(pen, foot_r, foot_l, torso.along, 0)
    side_r = smooth(np.array([right, (right + foot_r) / 2 + torso.across * wide * 0.15, foot_r]))
    side_l = smooth(np.array([left, (left + foot_l) / 2 - torso.across * wide * 0.15, foot_l]))
    top = np.array([torso.edge(-1, 0.02)[0], torso.edge(1, 0.02)[0]])
    shape = np.vstack([side_r, hem[1:-1], side_l[::-1], top])
    part = pen.form(resampled(np.vstack([shape, shape[:1]]), 160)[:-1], paint)
    _pleats(pen, part, folds, foot_r, foot_l, right, left, torso.along)
    if front:
        pen.crescent(part, torso.unit_px * 0.3)
    else:
        part.shades.append((shape, False))
    return part
