"""What clothes carry: collars, buttons, ties, bows, belts, scarves, straps."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, ellipse, smooth
from douga_training.simulate.outfits import Outfit
from douga_training.simulate.pen import Part, Pen
from douga_training.simulate.torso import Torso


def draw_collar_flaps(pen: Pen, torso: Torso, paint: Swatch, length: float) -> list[Part]:
    """Two pointed shirt collar flaps; one that is turned away is left out. length: share of the trunk."""
    parts = []
    for s in (-1, 1):
        if not torso.shows(s * 0.4):
            continue
        top = torso.edge(s, 0.0)[0] - torso.along * torso.length * 0.03
        outer = torso.edge(s, 0.03)[0]
        tip = torso.at(s * 0.42, 0.06 + length)
        shape = np.array([torso.at(0.0, 0.06), top, outer, tip, torso.at(s * 0.1, 0.075)])
        part = pen.form(shape, paint)
        pen.crescent(part, torso.unit_px * 0.06, ragged=0.2)
        parts.append(part)
    return parts


def draw_back_collar(pen: Pen, torso: Torso, paint: Swatch) -> list[Part]:
    """A collar around the neck, from behind."""
    right, left = torso.edge(1, -0.02)[0], torso.edge(-1, -0.02)[0]
    low_r, low_l = torso.edge(1, 0.028)[0], torso.edge(-1, 0.028)[0]
    mid = (low_r + low_l) / 2 + torso.along * torso.length * 0.02
    curve = smooth(np.array([low_l, mid, low_r]), per_span=6)
    return [pen.form(np.vstack([curve, right[None], left[None]]), paint)]


def draw_buttons(pen: Pen, torso: Torso, paint: Swatch, base: Part, first: float, last: float) -> None:
    """A row of buttons down the middle, between two heights."""
    if pen.detail < 0.3:
        return
    count = int(pen.rng.integers(2, 6))
    r = torso.unit_px * float(pen.rng.uniform(0.018, 0.032))
    for t in np.linspace(first, last, count):
        x, y = torso.at(0.0, float(t))
        shape = ellipse((float(x), float(y)), (r, r), samples=14)
        if pen.detail > 0.55 or paint.normal == base.paint.normal:  # nobody sees paint on the same paint
            pen.form(shape, paint, width=0.7)
        else:
            pen.patch(base, shape, paint)


def draw_neckwear(pen: Pen, torso: Torso, outfit: Outfit, at_t: float = 0.085) -> list[Part]:
    """Tie or bow, its knot at a height of the trunk."""
    if outfit.neckwear == "tie":
        return _tie(pen, torso, at_t)
    if outfit.neckwear == "bow":
        size_px = torso.unit_px * float(pen.rng.uniform(0.16, 0.32))
        return draw_ribbon_bow(pen, torso.at(0.0, at_t + 0.06), size_px, pen.look.accent, torso.along)
    return []


def _tie(pen: Pen, torso: Torso, at_t: float) -> list[Part]:
    paint, end = pen.look.accent, float(pen.rng.uniform(0.45, 0.72))
    low = at_t + 0.04
    knot = torso.poly((-0.09, at_t - 0.02), (0.09, at_t - 0.02), (0.06, low + 0.01), (-0.06, low + 0.01))
    blade = torso.poly((-0.05, low), (0.05, low), (0.15, end - 0.07), (0.0, end), (-0.15, end - 0.07))
    parts = [pen.form(blade, paint), pen.form(knot, paint)]
    if pen.chance(0.3) and pen.detail > 0.3:
        for t in np.linspace(at_t + 0.12, end - 0.1, 3):
            w = 0.05 + 0.1 * (t - at_t) / (end - at_t)
            stripe = torso.poly((-w, t), (w, t - 0.025), (w, t), (-w, t + 0.025))
            pen.patch(parts[0], stripe, pen.look.shirt)
        pen.ink(np.vstack([blade, blade[:1]]), paint)
    for part in parts:
        pen.crescent(part, torso.unit_px * 0.05, ragged=0.2)
    return parts


def draw_ribbon_bow(pen: Pen, centre: Points, size_px: float, paint: Swatch, down: Points) -> list[Part]:
    """A ribbon bow with two tails. size_px: reach of one loop; down: unit vector along which the tails
    hang.
    """
    side = np.array([down[1], -down[0]])

    def put(*xy: tuple[float, float]) -> Points:
        return np.array([centre + (side * x + down * y) * size_px for x, y in xy])

    parts = []
    for s in (-1, 1):
        tail = put(
            (0, 0.1), (s * 0.3, 0.5), (s * 0.62, 1.25), (s * 0.38, 1.2), (s * 0.22, 1.32), (s * 0.05, 0.6)
        )
        parts.append(pen.form(smooth(tail, closed=True, per_span=4, sharp=(2, 3, 4)), paint))
    for s in (-1, 1):
        loop = put((0, -0.1), (s * 0.55, -0.42), (s, -0.3), (s * 0.98, 0.25), (s * 0.5, 0.3), (0, 0.12))
        part = pen.form(smooth(loop, closed=True, per_span=5, sharp=(0, 5)), paint)
        if pen.detail > 0.25:
            pen.fold(put((s * 0.15, 0.0), (s * 0.4, -0.05), (s * 0.6, 0.02)), part)
        parts.append(part)
    knot = put((-0.17, -0.17), (0.17, -0.17), (0.19, 0.17), (-0.19, 0.17))
    parts.append(pen.form(smooth(knot, closed=True), paint))
    for part in parts:
        pen.crescent(part, size_px * 0.22, ragged=0.4)
    return parts


def draw_belt(pen: Pen, torso: Torso, paint: Swatch, top: float, bottom: float) -> list[Part]:
    """A belt or sash around the trunk between two heights."""
    right, left = torso.contour(1, top, bottom), torso.contour(-1, top, bottom)
    upper, lower = torso.hem(top), torso.hem(bottom)
    part = pen.form(np.vstack([right, lower[1:-1], left[::-1], upper[::-1][1:-1]]), paint)
    pen.crescent(part, torso.unit_px * (0.1 + 0.4 * pen.look.shade_amount))
    if bottom - top < 0.12 and pen.detail > 0.35 and not torso.behind:
        m = (top + bottom) / 2 + 0.03
        buckle = torso.poly((-0.16, m - 0.045), (0.16, m - 0.045), (0.16, m + 0.04), (-0.16, m + 0.04))
        pen.form(buckle, pen.look.shirt)
    return [part]


def draw_scarf(pen: Pen, torso: Torso, paint: Swatch) -> list[Part]:
    """A scarf wound around the neck, with a hanging end."""
    u, parts = torso.unit_px, []
    if not torso.behind:
        x = float(pen.rng.uniform(-0.5, 0.5))
        parts.append(
            pen.form(torso.poly((x - 0.15, 0.1), (x + 0.2, 0.1), (x + 0.3, 0.5), (x - 0.1, 0.52)), paint)
        )
    right, left = torso.edge(1, -0.01)[0], torso.edge(-1, -0.01)[0]
    out, low = torso.across * u * 0.12, torso.along * u
    knots = [
        left - out * 0.6 - low * 0.1,
        left - out + low * 0.08,
        torso.at(0.0, 0.12),
        right + out + low * 0.08,
        right + out * 0.6 - low * 0.1,
        torso.at(0.0, 0.0),
    ]
    shape = smooth(np.array(knots), closed=True, per_span=6)
    wrap = pen.form(shape, paint)
    for y in (0.25, 0.6):
        a, b = shape[6] + (shape[0] - shape[6]) * y, torso.at(0.2, 0.03 + 0.07 * y)
        pen.fold(smooth(np.array([a, (a + b) / 2 + low * 0.05, b])), wrap)
    for part in (*parts, wrap):
        pen.crescent(part, u * (0.08 + 0.15 * pen.look.shade_amount))
    return [*parts, wrap]


def draw_strap(pen: Pen, torso: Torso, base: list[Part], paint: Swatch) -> None:
    """The strap of a shoulder bag across the chest."""
    s = 1 if pen.chance(0.5) else -1
    shape = torso.poly(
        (s * 0.9, 0.03), (s * 0.3, 0.3), (-s * 0.9, 0.8), (-s * 1.05, 0.74), (s * 0.15, 0.25), (s * 0.7, 0.03)
    )
    part = pen.form(shape, paint)
    pen.cast(shape, base, torso.unit_px * 0.04)
    pen.crescent(part, torso.unit_px * 0.04)
