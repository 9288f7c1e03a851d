"""Everything on cels that is no human: animals, props, machines, effects, and free shapes for variety."""

from __future__ import annotations

import numpy as np

from douga_training.simulate import curves
from douga_training.simulate.animals import draw_animal
from douga_training.simulate.colours import Swatch
from douga_training.simulate.effects_cel import draw_effect
from douga_training.simulate.look import LineStyle
from douga_training.simulate.props import draw_prop
from douga_training.simulate.sheet import Area, Sheet
from douga_training.simulate.thing_pen import ThingPen, lobed, spiky

__all__ = ["draw_animal", "draw_blob", "draw_effect", "draw_prop"]


def _outline(pen: ThingPen, size: float) -> curves.Points:
    """A free closed shape: smooth, angular, spiky or lobed."""
    n = int(pen.rng.integers(4, 11))
    turn = np.sort(np.arange(n) + pen.rng.uniform(-0.3, 0.3, n)) * (2 * np.pi / n)
    knots = np.stack([np.cos(turn), np.sin(turn)], 1) * size * pen.rng.uniform(0.55, 1.15, (n, 1))
    kind = pen.rng.choice(["smooth", "mixed", "angular", "spiky", "lobed"], p=[0.4, 0.25, 0.1, 0.13, 0.12])
    if kind == "mixed":
        return curves.smooth(knots, closed=True, sharp=[k for k in range(n) if pen.chance(0.35)])
    if kind == "angular":
        return curves.smooth(knots, closed=True, sharp=range(n))
    if kind == "spiky":
        return spiky(
            curves.smooth(knots, closed=True), int(pen.rng.integers(7, 24)), pen.u(0.1, 0.7), pen.rng
        )
    if kind == "lobed":
        return lobed((0, 0), (size, size * pen.u(0.6, 1.0)), n + 2, pen.rng, bulge=pen.u(0.2, 0.6))
    return curves.smooth(knots, closed=True)


def _inside(pen: ThingPen, area: Area, paint: Swatch, at_xy: np.ndarray, size: float) -> None:
    """Colour areas, tones and inner lines of a free shape."""
    colour = pen.any_paint()
    for _ in range(int(pen.rng.integers(0, 4))):
        place = at_xy + pen.rng.uniform(-0.6, 0.6, 2) * size
        pen.patch(area, _outline(pen, size * pen.u(0.12, 0.45)) + place, colour)
    for _ in range(int(pen.rng.integers(0, 3)) if pen.lit else 0):
        place = at_xy + (pen.light * 0.4 + pen.rng.uniform(-0.3, 0.3, 2)) * size
        pen.tone(area, _outline(pen, size * pen.u(0.06, 0.2)) + place, paint.light, "light")
    for _ in range(int(pen.rng.integers(0, 6))):
        knots = at_xy + pen.rng.uniform(-0.9, 0.9, (int(pen.rng.integers(2, 5)), 2)) * size
        pen.line(curves.smooth(knots, per_span=14), paint, width=pen.u(0.6, 1.3), within=area)


def draw_blob(
    sheet: Sheet,
    rng: np.random.Generator,
    style: LineStyle,
    *,
    centre_xy: tuple[float, float],
    size_px: float,
) -> None:
    """Draw one to four free outlined shapes over each other, about `size_px` (30 to 1500) in all.

    They have what painted cels have (outlines, inner lines, shadows, highlights, colour areas) and mean
    nothing, so that no network learns that only known figures are cel.
    """
    turn = float(rng.uniform(-3.1, 3.1))
    pen = ThingPen(
        sheet, rng, style, centre_xy=centre_xy, size_px=size_px, turn_rad=turn, flip=bool(rng.random() < 0.5)
    )
    pieces = int(rng.integers(1, 5))
    for _ in range(pieces):
        size = pen.u(0.18, 0.36) if pieces > 1 else pen.u(0.34, 0.45)
        at = pen.rng.uniform(-0.22, 0.22, 2) if pieces > 1 else np.zeros(2)
        paint = pen.any_paint()
        area = pen.part(_outline(pen, size) + at, paint)
        _inside(pen, area, paint, at, size)
