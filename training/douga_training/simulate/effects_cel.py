"""Effects painted on cels in flat tones: smoke, blasts, splashes, flames, streaks, stars, magic, shards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from douga_training.simulate import curves
from douga_training.simulate.chance import pick
from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, bezier, ellipse, smooth
from douga_training.simulate.look import LineStyle
from douga_training.simulate.sheet import Area, Sheet
from douga_training.simulate.thing_pen import ThingPen, box, joined, lobed, scaled, spiky, tube


def _puff(pen: ThingPen, at_xy: tuple[float, float], radius: float, paint: Swatch) -> Area:
    """One ball of smoke: lobes outside, shadow and light lobes inside."""
    ring = lobed(
        at_xy,
        (radius, radius * pen.u(0.8, 1.0)),
        int(pen.rng.integers(5, 10)),
        pen.rng,
        bulge=pen.u(0.3, 0.6),
    )
    area = pen.part(ring, paint, form=False)
    centre = np.asarray(at_xy)
    if pen.tones:
        core = lobed(
            centre + pen.light * radius * pen.u(0.25, 0.5), (radius, radius * 0.95), 8, pen.rng, bulge=0.35
        )
        pen.tone(area, core, paint.shade, "shade", inverse=True)
        for _ in range(int(pen.rng.integers(0, 4))):
            spot = centre + pen.rng.uniform(-0.5, 0.5, 2) * radius
            size = radius * pen.u(0.1, 0.3)
            pen.tone(area, lobed(spot, (size, size * 0.8), 5, pen.rng, bulge=0.3), paint.shade, "shade")
    if pen.tones == 2:
        deep = lobed(centre + pen.light * radius * 0.12, (radius * 1.1, radius * 1.05), 8, pen.rng, bulge=0.3)
        pen.tone(area, deep, paint.shade2, "shade", inverse=True)
    if pen.lit and pen.chance(0.6):
        glow = lobed(
            centre + pen.light * radius * 0.45, (radius * 0.35, radius * 0.28), 5, pen.rng, bulge=0.35
        )
        pen.tone(area, glow, paint.light, "light")
    for _ in range(int(pen.rng.integers(0, 3)) if pen.fine else 0):
        a = pen.u(0, 6.28)
        at = centre + np.array([np.cos(a), np.sin(a)]) * radius * 0.5
        t = np.linspace(a - 1.2, a + 1.2, 20)
        arc = at + np.stack([np.cos(t), np.sin(t)], 1) * radius * pen.u(0.15, 0.35)
        pen.line(arc, paint, within=area)
    return area


def smoke(pen: ThingPen) -> None:
    """A heap, column or ring of smoke balls, dust or steam."""
    paint = pen.paint(pen.rng.random(), pen.u(0.0, 0.25), pen.u(0.45, 1.0))
    n = int(pen.rng.integers(2, 9))
    kind = pen.rng.choice(["heap", "column", "trail"])
    for k in range(n):
        t = k / max(n - 1, 1)
        if kind == "heap":
            wide = min(0.05 * n, 0.32)
            at, r = (pen.u(-wide, wide), wide * (1.4 * t - 0.7) + pen.u(-0.05, 0.05)), pen.u(0.13, 0.22)
        elif kind == "column":
            at, r = (0.1 * np.sin(5 * t) + pen.u(-0.05, 0.05), -0.3 + 0.65 * t), 0.2 - 0.1 * t
        else:
            at, r = (-0.38 + 0.72 * t, 0.25 - 0.5 * t**2 + pen.u(-0.05, 0.05)), 0.06 + 0.12 * t
        _puff(pen, at, r, paint)


def explosion(pen: ThingPen) -> None:
    """A blast: fire or dark smoke in lobes, a bright core, flying debris and tails."""
    outer = pen.paint(pen.u(0.0, 0.08), pen.u(0.1, 0.8), pen.u(0.3, 0.9))
    fire = pen.paint(pen.u(0.06, 0.13), pen.u(0.6, 0.9), 1.0)
    for _ in range(int(pen.rng.integers(2, 7))):
        a = pen.u(0, 6.28)
        out = np.array([np.cos(a), np.sin(a)])
        tail = [out * 0.12, out * 0.35, out * 0.46 + (0, 0.06)]
        pen.part(tube(tail, [0.12, 0.07, 0.005]), outer)
    for k in range(int(pen.rng.integers(3, 8))):
        a, reach = k * 2.4 + pen.u(0, 0.5), pen.u(0.12, 0.26)
        _puff(pen, (np.cos(a) * reach, np.sin(a) * reach), pen.u(0.1, 0.19), outer)
    core = _puff(pen, (0.0, 0.02), pen.u(0.16, 0.26), outer)
    if pen.chance(0.7):
        heart = lobed((0.0, 0.02), (0.13, 0.12), 7, pen.rng, bulge=0.4)
        pen.patch(core, heart, fire)
        pen.tone(core, scaled(heart, 0.55), fire.light, "light")
    for _ in range(int(pen.rng.integers(0, 8))):
        a, reach = pen.u(0, 6.28), pen.u(0.36, 0.5)
        chip = ellipse(
            (np.cos(a) * reach, np.sin(a) * reach), (pen.u(0.01, 0.03), 0.012), angle_rad=a, samples=5
        )
        pen.part(chip, outer, form=False, width=0.8)


def _crown(pen: ThingPen) -> tuple[Points, list[Points]]:
    """Outline of thrown water, and the middle lines of its tongues."""
    n = int(pen.rng.integers(4, 10))
    spines = []
    for k in range(n):
        side = -1 + 2 * (k + pen.u(0.2, 0.8)) / n
        tall = pen.u(0.35, 0.85) * (1 - 0.5 * side * side)
        foot, tip = (side * 0.22, 0.36), (side * pen.u(0.34, 0.5), 0.34 - tall)
        bend = (side * 0.22 + (tip[0] - foot[0]) * 0.3, 0.34 - tall * 0.6)
        spines.append(curves.resampled(smooth([foot, bend, tip]), 30))
    shapes = [tube(s, [0.22, 0.11, pen.u(0.03, 0.06), pen.u(0.02, 0.07)]) for s in spines]
    pool = lobed((0, 0.36), (pen.u(0.32, 0.46), 0.08), 9, pen.rng, bulge=0.3)
    whole = joined([*shapes, pool], raster=700)
    return pool if whole is None else whole, spines


def splash(pen: ThingPen) -> None:
    """Water thrown up: tongues out of a pool, drops, shadow low and white highlights."""
    water = pen.paint(pen.u(0.5, 0.62), pen.u(0.1, 0.6), pen.u(0.75, 1.0))
    crown, spines = _crown(pen)
    area = pen.part(crown, water, form=False)
    if pen.tones:
        pen.tone(
            area, scaled(crown, 1.03) + pen.light * pen.u(0.02, 0.05), water.shade, "shade", inverse=True
        )
        for spine in spines[::2]:
            hollow = tube(spine[2:16] + pen.light * -0.02, [0.005, 0.05, 0.005])
            pen.tone(area, hollow, water.shade2 if pen.tones == 2 else water.shade, "shade")
    for spine in spines[:: 1 if pen.lit else 3]:
        streak = tube(spine[8:26] + pen.light * 0.012, [0.004, pen.u(0.015, 0.035), 0.004])
        pen.tone(area, streak, (255, 255, 255), "light")
    for _ in range(int(pen.rng.integers(2, 12))):
        at, r = (pen.u(-0.48, 0.48), pen.u(-0.5, 0.1)), pen.u(0.01, 0.035)
        drop = pen.part(ellipse(at, (r, r * pen.u(0.9, 1.6))), water)
        pen.tone(
            drop, ellipse((at[0] - r * 0.3, at[1] - r * 0.3), (r * 0.3, r * 0.4)), (255, 255, 255), "light"
        )


def _tongues(pen: ThingPen, wide: float, tall: float, n: int) -> Points:
    """Outline of a flame: tongues that lean and end in points."""
    knots: list[tuple[float, float]] = []
    lean, sharp = pen.u(-0.08, 0.08), []
    for k, x in enumerate(np.linspace(-1, 1, n)):
        sharp.append(len(knots))
        knots.append((x * wide * 0.9 + lean, 0.46 - tall * (1 - 0.75 * x * x) * pen.u(0.8, 1.08)))
        if k < n - 1:
            knots.append(((x + 1 / n) * wide * 0.8, 0.46 - tall * pen.u(0.25, 0.5)))
    knots += [(wide, 0.3), (wide * 0.5, 0.46), (-wide * 0.5, 0.46), (-wide, 0.3)]
    return smooth(knots, closed=True, per_span=9, sharp=sharp)


def flame(pen: ThingPen) -> None:
    """Fire in three nested tones, with or without an ink line, and sparks."""
    hue = pen.u(0.0, 0.08) if pen.chance(0.75) else pen.rng.random()
    fire = pen.paint(hue, pen.u(0.6, 0.95), pen.u(0.85, 1.0))
    middle, heart = pen.paint(hue + 0.06, 0.7, 1.0), pen.paint(hue + 0.1, 0.3, 1.0)
    n, wide, tall = int(pen.rng.integers(3, 7)), pen.u(0.2, 0.4), pen.u(0.7, 0.94)
    shape = _tongues(pen, wide, tall, n)
    area = pen.part(shape, fire, form=False, outline=() if pen.chance(0.2) else None)
    inner = _tongues(pen, wide * 0.66, tall * 0.66, max(n - 1, 2))
    pen.patch(area, inner, middle)
    core = _tongues(pen, wide * 0.38, tall * 0.36, 3)
    if pen.lit:
        pen.tone(area, core, heart.normal, "light")
    else:
        pen.patch(area, core, heart)
    for _ in range(int(pen.rng.integers(0, 8))):
        at, r = (pen.u(-0.4, 0.4), pen.u(-0.5, 0.1)), pen.u(0.01, 0.03)
        pen.part(spiky(ellipse(at, (r, r), samples=16), 4, 0.6, pen.rng), fire, form=False, width=0.7)


def streaks(pen: ThingPen) -> None:
    """Speed: tapered strokes and thin bands along one direction or out of one point."""
    paint = pen.any_paint()
    radial = pen.chance(0.5)
    for k in range(int(pen.rng.integers(8, 28))):
        if radial:
            a, near = k * 2.4, pen.u(0.15, 0.3)
            out = np.array([np.cos(a), np.sin(a)])
            path = curves.resampled(np.array([out * near, out * pen.u(0.38, 0.5)]), 16)
        else:
            x, y, long = pen.u(-0.45, 0.1), pen.u(-0.3, 0.3), pen.u(0.2, 0.5)
            path = bezier((x, y), (x + long / 2, y + pen.u(-0.03, 0.03)), (x + long, y), samples=16)
        if pen.chance(0.4):
            pen.part(
                curves.ribbon(path, np.sin(np.linspace(0.02, 3.12, 16)) * pen.u(0.004, 0.02)),
                paint,
                form=False,
                width=0.7,
            )
        else:
            pen.line(path, paint, width=pen.u(0.6, 1.8), taper=0.5)


def impact(pen: ThingPen) -> None:
    """A star of impact: nested spiky shapes."""
    paint, light = pen.paint(pen.rng.random(), pen.u(0.3, 0.9), 1.0), pen.paint(0.15, 0.2, 1.0)
    n = int(pen.rng.integers(6, 16))
    star = spiky(ellipse((0, 0), (0.2, 0.2 * pen.u(0.7, 1.0))), n, 1.0, pen.rng)
    area = pen.part(star, paint, form=False)
    pen.patch(area, scaled(star, 0.66), light)
    if pen.lit:
        pen.tone(area, scaled(star, 0.34), (255, 255, 255), "light")
    for k in range(int(pen.rng.integers(0, 10))):
        out = np.array([np.cos(k * 1.3), np.sin(k * 1.3)])
        pen.line([out * 0.34, out * pen.u(0.42, 0.5)], paint, width=1.3)


def magic_circle(pen: ThingPen) -> None:
    """Rings, a star polygon and signs, drawn in bands or in bare lines."""
    glow = pen.paint(pen.rng.random(), pen.u(0.2, 0.9), pen.u(0.8, 1.0))
    flat = pen.u(0.35, 1.0)
    t = np.linspace(0, 2 * np.pi, 73)
    disc = np.stack([np.cos(t), np.sin(t) * flat], 1)
    if pen.chance(0.5):
        area = pen.part(disc[:-1] * 0.48, glow, form=False)
        pen.patch(area, disc[:-1] * 0.4, pen.any_paint())
    for r in (0.48, 0.42, 0.24):
        pen.line(disc * r, glow, width=1.2, taper=0.0)
    n, skip = int(pen.rng.choice([5, 6, 7, 8])), int(pen.rng.integers(1, 3))
    turn = pen.u(0, 6.3)
    corner = turn + np.arange(n) * 2 * np.pi / n
    tips = np.stack([np.cos(corner), np.sin(corner) * flat], 1) * 0.42
    for a, b in zip(tips, np.roll(tips, -skip, 0), strict=True):
        pen.line([a, b], glow, taper=0.0)
    if not pen.fine:
        return
    for a in np.arange(turn, turn + 6.28, 0.35):
        at = np.array([np.cos(a), np.sin(a) * flat]) * 0.45
        pen.line(at + pen.rng.uniform(-0.018, 0.018, (3, 2)), glow, width=0.7, taper=0.0)


def slash(pen: ThingPen) -> None:
    """The arc of a blade or beam: crescents of two tones."""
    glow = pen.paint(pen.rng.random(), pen.u(0.2, 0.8), 1.0)
    arc = bezier((-0.44, 0.3), (pen.u(-0.3, 0.1), pen.u(-0.6, -0.3)), (0.46, -0.1), samples=40)
    wide = np.sin(np.linspace(0.01, 3.13, 40)) * pen.u(0.05, 0.12)
    area = pen.part(curves.ribbon(arc, wide), glow, form=False, outline=() if pen.chance(0.3) else None)
    pen.tone(area, curves.ribbon(arc, wide * 0.5), glow.light, "light")
    if pen.tones:
        pen.tone(area, curves.ribbon(curves.offset(arc, wide * 0.9), wide * 0.3), glow.shade, "shade")


def shards(pen: ThingPen) -> None:
    """Broken glass, rock, petals, leaves or confetti in the air."""
    paint = pen.any_paint()
    kind = pen.rng.choice(["glass", "leaf", "paper"])
    for _ in range(int(pen.rng.integers(4, 16))):
        at, r, turn = pen.rng.uniform(-0.44, 0.44, 2), pen.u(0.03, 0.12), pen.u(0, 6.28)
        if kind == "leaf":
            shape = smooth([(-r, 0), (0, -r * 0.4), (r, 0), (0, r * 0.4)], closed=True, sharp=(0, 2))
        elif kind == "paper":
            shape = box(-r, -r * 0.5, r, r * 0.5)
        else:
            a = np.sort(pen.rng.uniform(0, 6.28, int(pen.rng.integers(3, 6))))
            shape = np.stack([np.cos(a), np.sin(a)], 1) * r
        shape = curves.rotated(shape, turn) + at
        area = pen.part(shape, paint, form=False, shaded=pen.tones > 0 and pen.chance(0.3), width=0.9)
        if pen.tones and pen.chance(0.6):
            pen.tone(area, shape + pen.light * r * 0.5, paint.shade, "shade", inverse=True)
        if pen.lit and pen.chance(0.4):
            pen.tone(area, scaled(shape, 0.4) + pen.light * r * 0.2, paint.light, "light")


_EFFECTS: dict[Callable[[ThingPen], None], float] = {
    smoke: 0.22, explosion: 0.18, splash: 0.14, flame: 0.14, streaks: 0.06, impact: 0.07, magic_circle: 0.05,
    slash: 0.06, shards: 0.08,
}  # fmt: skip


def draw_effect(
    sheet: Sheet,
    rng: np.random.Generator,
    style: LineStyle,
    *,
    centre_xy: tuple[float, float],
    size_px: float,
) -> None:
    """Draw one painted effect of about `size_px` (30 to 1500) around a frame position in px."""
    kind = pick(rng, _EFFECTS)
    free = kind not in (splash, flame)
    turn = float(rng.uniform(-0.5, 0.5) if free else rng.normal(0, 0.15))
    kind(
        ThingPen(
            sheet,
            rng,
            style,
            centre_xy=centre_xy,
            size_px=size_px,
            turn_rad=turn,
            flip=bool(rng.random() < 0.5),
        )
    )
