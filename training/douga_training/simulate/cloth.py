"""The main piece of a top: its cut, neckline, hem, folds and shadow."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, smooth
from douga_training.simulate.outfits import Outfit
from douga_training.simulate.pen import Part, Pen
from douga_training.simulate.torso import Torso


def draw_cloth(
    pen: Pen,
    torso: Torso,
    paint: Swatch,
    *,
    neckline: Points,
    start: float,
    hem: float,
    hem_line: bool = True,
) -> Part:
    """The main piece of a top: sides, hem and neckline. neckline: from the left to the right end, in
    pixels.
    """
    left, right = torso.contour(-1, start, hem), torso.contour(1, start, hem)
    bottom = torso.hem(hem)
    shape = np.vstack([right, bottom[1:-1], left[::-1], neckline])
    part = pen.fill(shape, paint)
    for line in (left, right, neckline):
        pen.ink(line, paint)
    if hem_line:
        pen.ink(bottom, paint)
    depth = torso.unit_px * (0.1 + 0.5 * pen.look.shade_amount) * float(pen.rng.uniform(0.6, 1.2))
    pen.crescent(part, depth)
    pen.crescent(part, depth * 0.4, deep=True)
    return part


def draw_torso_folds(pen: Pen, torso: Torso, part: Part, low: float, amount: float) -> None:
    """Pulls from the armpits and around the waist, some with a shadow beside them."""
    for side in (-1, 1):
        for _ in range(round(pen.detail * amount * pen.rng.uniform(0.5, 3.2))):
            t = float(
                pen.rng.choice([pen.rng.uniform(0.2, 0.3), pen.rng.uniform(0.55, max(low - 0.03, 0.56))])
            )
            a = torso.edge(side, t)[0]
            goal = torso.at(side * pen.rng.uniform(0.1, 0.9), t + pen.rng.normal(0.06, 0.08))
            b = a + (goal - a) * pen.rng.uniform(0.25, 0.7)
            bow = torso.along * torso.length * pen.rng.normal(0.0, 0.02)
            line = smooth(np.array([a, (a + b) / 2 + bow, b]))
            pen.fold(line, part)
            if pen.chance(0.5):
                wide = torso.along * torso.unit_px * pen.rng.uniform(0.04, 0.16)
                t_line = np.sin(np.linspace(0, np.pi, len(line)))[:, None]
                part.shades.append((np.vstack([line, (line + wide * t_line)[::-1]]), False))


def neckline_curve(torso: Torso, depth: float, wide: float, pointed: bool) -> Points:
    """Neckline from left to right: ends at the neck's sides, lowest at the front."""
    start = 0.005 + 0.03 * wide
    left, right = torso.edge(-1, start)[0], torso.edge(1, start)[0]
    if torso.behind:
        depth = min(depth, 0.03)
    low = torso.at(0.0, depth)
    if pointed:
        return np.array([left, low, right])
    ends = torso.along * torso.length * (depth - start) * 0.75
    return smooth(
        np.array(
            [left, left * 0.8 + low * 0.2 + ends * 0.5, low, right * 0.8 + low * 0.2 + ends * 0.5, right]
        )
    )


def hem_height(outfit: Outfit) -> float:
    """Where the top ends on the trunk."""
    if outfit.tucked or outfit.top in ("dress", "kimono"):
        return 0.72
    return {"blazer": 1.1, "coat": 0.85, "hoodie": 1.0, "gakuran": 1.08, "tank": 0.85}.get(outfit.top, 0.96)
