"""Things that lie or stand about: boxes, balls, bottles, umbrellas, guitars, signs, crystals, flowers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from douga_training.simulate import curves
from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, bezier, ellipse, points, smooth
from douga_training.simulate.sheet import Area
from douga_training.simulate.thing_pen import ThingPen, box, moved, spiky, tube


def metal(pen: ThingPen) -> Swatch:
    return pen.paint(pen.u(0.5, 0.7), pen.u(0.0, 0.15), pen.u(0.5, 0.95))


def gloss(pen: ThingPen, area: Area, corners: Points, paint: Swatch) -> None:
    """A straight band of reflected light across a flat side."""
    if not pen.lit:
        return
    low, high = corners.min(0), corners.max(0)
    x = pen.u(0.1, 0.7)
    a, b = low + (high - low) * (x, 0.0), low + (high - low) * (x - 0.2, 1.0)
    wide = (high[0] - low[0]) * pen.u(0.05, 0.16)
    pen.tone(area, points(a, (a[0] + wide, a[1]), (b[0] + wide, b[1]), b), paint.light, "light")


def half_shade(pen: ThingPen, area: Area, corners: Points, paint: Swatch) -> None:
    """Shadow with a straight border over the far share of a flat side."""
    if not pen.tones:
        return
    low, high = corners.min(0), corners.max(0)
    at, slant = low[1] + (high[1] - low[1]) * pen.u(0.45, 0.8), (high[1] - low[1]) * pen.u(-0.15, 0.15)
    pen.tone(
        area,
        points((low[0] - 1, at), (high[0] + 1, at + slant), (high[0] + 1, 3), (low[0] - 1, 3)),
        paint.shade,
        "shade",
    )


def umbrella(pen: ThingPen) -> None:
    """An open umbrella or a mushroom, which is built alike."""
    cloth, stick = pen.any_paint(), pen.any_paint()
    ribs = int(pen.rng.integers(3, 6))
    if pen.chance(0.3):
        pen.part(tube([(0, -0.1), (0, 0.25), (0.02, 0.45)], [0.16, 0.18, 0.24]), pen.paint(0.1, 0.1, 0.95))
    else:
        hook = curves.resampled(smooth([(0, -0.3), (0, 0.36), (0.03, 0.46), (0.09, 0.44), (0.1, 0.38)]), 50)
        pen.part(curves.ribbon(hook, np.full(50, 0.013)), stick)
    xs = np.linspace(0.48, -0.48, ribs + 1)
    rim = np.vstack(
        [bezier((a, 0.02), ((a + b) / 2, -0.06), (b, 0.02), samples=10)[:-1] for a, b in pairwise(xs)]
    )
    dome = np.vstack(
        [bezier((-0.48, 0.02), (-0.42, -0.42), (0.42, -0.42), (0.48, 0.02), samples=40)[:-1], rim]
    )
    area = pen.part(dome, cloth, form=False)
    trim = pen.any_paint()
    for k in range(ribs):
        if k % 2 and pen.chance(0.5):
            a, b = xs[k], xs[k + 1]
            left, right = bezier((0, -0.31), (a, -0.25), (a, 0.02)), bezier((b, 0.02), (b, -0.25), (0, -0.31))
            pen.patch(area, np.vstack([left, [((a + b) / 2, -0.02)], right]), trim)
    pen.form([area], cloth)
    for x in xs[1:-1]:
        pen.line(bezier((0, -0.31), (x, -0.25), (x, 0.02)), cloth, taper=(0.0, 0.1), within=area)


def crate(pen: ThingPen) -> None:
    """A box, present, dice or building block in three-quarter view."""
    wood, trim = pen.any_paint(), pen.any_paint()
    w, d, r, h = pen.u(0.2, 0.3), pen.u(0.1, 0.22), pen.u(0.06, 0.16), pen.u(0.2, 0.4)
    x0, x1, y0, y1 = -w - d / 2, w - d / 2, r - h * 0.5, r + h * 0.5
    front = points((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    side = points((x1, y0), (x1 + d, y0 - r), (x1 + d, y1 - r), (x1, y1))
    top = points((x0, y0), (x0 + d, y0 - r), (x1 + d, y0 - r), (x1, y0))
    pen.part(top, wood, form=False)
    area = pen.part(front, wood, form=False)
    pen.part(side, wood, shaded=pen.tones > 0)
    if pen.chance(0.5):
        band = box((x0 + x1) / 2 - 0.04, y0 - 0.1, (x0 + x1) / 2 + 0.04, y1 + 0.1)
        pen.patch(area, band, trim)
    else:
        for k in range(1, 4):
            y = y0 + (y1 - y0) * k / 4
            pen.line([(x0, y), (x1, y)], wood, taper=0.0, within=area)
    gloss(pen, area, front, wood)


def ball(pen: ThingPen) -> None:
    """A ball, balloon, planet or fruit."""
    skin, trim = pen.any_paint(), pen.any_paint()
    disc = ellipse((0, 0), (0.42, 0.42 * pen.u(0.9, 1.1)), samples=64)
    area = pen.part(disc, skin, form=False)
    kind = pen.rng.choice(["plain", "band", "seams", "spots"])
    if kind == "band":
        pen.patch(
            area,
            curves.ribbon(bezier((-0.5, -0.05), (0, 0.2), (0.5, -0.05)), np.full(24, pen.u(0.04, 0.1))),
            trim,
        )
    elif kind == "spots":
        for k in range(5):
            pen.patch(
                area, ellipse((0.3 * np.cos(k * 1.26), 0.3 * np.sin(k * 1.26)), (0.09, 0.09), samples=6), trim
            )
    pen.form([area], skin)
    if kind == "seams":
        for bow in (-0.35, 0.0, 0.35):
            pen.line(
                bezier((bow * 0.3, -0.45), (bow * 1.6, 0), (bow * 0.3, 0.45)), skin, taper=0.0, within=area
            )
    if pen.lit:
        pen.gleam([area], skin, share=0.13)
    if pen.chance(0.25):
        pen.part(
            tube([(0, -0.38), (0.02, -0.46), (0.06, -0.5)], [0.03, 0.02, 0.02]), pen.paint(0.08, 0.5, 0.4)
        )
        leaf = smooth([(0.02, -0.43), (0.14, -0.52), (0.28, -0.44), (0.14, -0.38)], closed=True, sharp=(0, 2))
        pen.part(leaf, pen.paint(0.3, 0.6, 0.7))


def bottle(pen: ThingPen) -> None:
    """A bottle, flask or vase with a label."""
    glass, label = pen.any_paint(), pen.any_paint()
    neck, belly, shoulder = pen.u(0.04, 0.07), pen.u(0.13, 0.24), pen.u(-0.2, 0.0)
    right = smooth(
        [(neck, -0.42), (neck, shoulder - 0.08), (belly, shoulder + 0.1), (belly, 0.3), (belly * 0.85, 0.46)]
    )
    body = np.vstack([right, curves.mirrored(right)[::-1]])
    area = pen.part(body, glass, form=False)
    level = pen.u(-0.1, 0.2)
    if pen.chance(0.5):
        pen.patch(area, box(-0.5, level, 0.5, 0.6), pen.any_paint())
    pen.form([area], glass)
    if pen.chance(0.5):
        tag = box(-belly, 0.12, belly, 0.32)
        tag_area = pen.part(tag, label, outline=[tag[0], tag[1]], form=False)
        pen.line([tag[2], tag[3]], label, taper=0.0)
        pen.patch(tag_area, ellipse((0, 0.22), (belly * 0.4, 0.06)), pen.any_paint())
    if pen.lit:
        pen.tone(
            area, tube([(-belly * 0.65, 0.0), (-belly * 0.65, 0.35)], [0.03, 0.03]), glass.light, "light"
        )
    pen.part(box(-neck * 1.3, -0.48, neck * 1.3, -0.4, round_by=0.01), pen.any_paint())


def guitar(pen: ThingPen) -> None:
    """A guitar or violin."""
    wood, dark = pen.paint(pen.u(0.0, 0.1), pen.u(0.5, 0.9), pen.u(0.4, 0.9)), pen.paint(0.06, 0.4, 0.25)
    pen.part(box(-0.07, -0.5, 0.07, -0.4, round_by=0.02), wood)
    side = smooth([(0, 0.0), (0.14, -0.0), (0.17, 0.1), (0.12, 0.2), (0.21, 0.34), (0.14, 0.47), (0, 0.49)])
    body = np.vstack([side, curves.mirrored(side)[::-1]])
    area = pen.part(body, wood, form=False)
    if pen.chance(0.5):
        guard = smooth([(0.02, 0.16), (0.13, 0.2), (0.12, 0.38), (0.05, 0.3)], closed=True)
        pen.patch(area, guard, pen.any_paint())
    pen.form([area], wood)
    pen.part(ellipse((0, 0.22), (0.06, 0.06)), dark, form=False)
    pen.part(box(-0.028, -0.42, 0.028, 0.2), dark)
    for y in np.arange(-0.38, 0.14, 0.06):
        pen.line([(-0.028, y), (0.028, y)], dark, width=0.6, taper=0.0)
    pen.part(box(-0.07, 0.36, 0.07, 0.39), dark, form=False)
    if pen.fine:
        for x in (-0.015, 0.0, 0.015):
            pen.line([(x, -0.4), (x, 0.37)], metal(pen), width=0.4, taper=0.0)


def sign(pen: ThingPen) -> None:
    """A sign on a post, flag, shield or panel with a mark on it."""
    board, mark = pen.any_paint(), pen.any_paint()
    pen.part(box(-0.025, 0.0, 0.025, 0.5), metal(pen))
    kind = int(pen.rng.integers(4))
    if kind == 0:
        shape = ellipse((0, -0.18), (0.28, 0.28))
    elif kind == 1:
        shape = points((0, -0.5), (0.34, 0.06), (-0.34, 0.06))
    elif kind == 2:
        shape = box(-0.42, -0.44, 0.42, 0.06, round_by=0.03)
    else:
        shape = smooth(
            [(-0.02, -0.48), (0.2, -0.42), (0.46, -0.5), (0.44, -0.12), (0.2, -0.06), (-0.02, -0.14)],
            closed=True,
            sharp=(0, 2, 3, 5),
        )
    area = pen.part(shape, board, form=False)
    middle = shape.mean(0)
    pen.patch(area, middle + (shape - middle) * 0.85, mark)
    star = spiky(ellipse((middle[0], middle[1]), (0.07, 0.07), samples=24), 5, 1.0, pen.rng)
    if pen.chance(0.5):
        pen.patch(area, star, board)
    else:
        for y in (-0.08, 0.0, 0.08):
            pen.line(
                [(middle[0] - 0.16, middle[1] + y), (middle[0] + 0.16, middle[1] + y)],
                mark,
                width=1.4,
                taper=0.0,
                within=area,
            )
    if kind == 3:
        half_shade(pen, area, shape, mark)


def crystal(pen: ThingPen) -> None:
    """A gem or a cluster of crystals: facets in all tones, visible edges."""
    gem = pen.paint(pen.rng.random(), pen.u(0.3, 0.8), pen.u(0.6, 1.0))
    for x, h, lean in [(0.2, 0.5, 0.12), (-0.18, 0.55, -0.1), (0.0, 0.92, 0.0)][
        -int(pen.rng.integers(1, 4)) :
    ]:
        w = h * pen.u(0.13, 0.24)
        base, top = np.array([x, 0.48]), np.array([x + lean, 0.48 - h])
        up = (top - base) * 0.72
        left, right, mid = moved(base + up, -w, 0), moved(base + up, w, 0), moved(base + up, w * 0.2, w * 0.3)
        whole = np.vstack([moved(base, -w * 0.7, 0), left, top, right, moved(base, w * 0.7, 0)])
        area = pen.part(whole, gem, form=False)
        if pen.tones:
            pen.tone(
                area,
                np.vstack([mid, moved(right, 0.1, 0), moved(base, w * 2, 0), moved(base, w * 0.2, 0.1)]),
                gem.shade,
                "shade",
            )
            pen.tone(area, np.vstack([mid, top, right]), gem.shade2 if pen.tones == 2 else gem.shade, "shade")
        if pen.lit:
            pen.tone(area, np.vstack([left, top, mid]), gem.light, "light")
        for a, b in ((mid, top), (mid, left), (mid, right), (mid, moved(base, w * 0.2, 0))):
            pen.line([a, b], gem, width=0.8, taper=0.0, within=area)


def flower(pen: ThingPen) -> None:
    """A flower with stem and leaves, or a bunch of petals."""
    petal, leaf = (
        pen.paint(pen.rng.random(), pen.u(0.1, 0.7), pen.u(0.8, 1.0)),
        pen.paint(pen.u(0.24, 0.4), 0.6, 0.65),
    )
    if pen.chance(0.7):
        stem = bezier((0, -0.1), (pen.u(-0.1, 0.1), 0.2), (0.0, 0.5), samples=30)
        pen.part(curves.ribbon(stem, np.full(30, 0.014)), leaf)
        blade = smooth([(0, 0.36), (0.14, 0.2), (0.3, 0.2), (0.18, 0.34)], closed=True, sharp=(0, 2))
        area = pen.part(blade, leaf)
        pen.line([(0.02, 0.35), (0.25, 0.23)], leaf, within=area)
    n, length = int(pen.rng.integers(4, 9)), pen.u(0.24, 0.34)
    for k in range(n):
        notch = pen.u(0.8, 1.05)
        shape = smooth(
            [
                (0, 0),
                (-0.11, -length * 0.6),
                (-0.06, -length),
                (0, -length * notch),
                (0.06, -length),
                (0.11, -length * 0.6),
            ],
            closed=True,
            sharp=(0, 3),
        )
        shape = moved(curves.rotated(shape, k * 2 * np.pi / n + 0.2), 0, -0.16)
        area = pen.part(shape, petal, form=False)
        if pen.tones:
            pen.tone(area, ellipse((0, -0.16), (length * 0.55,) * 2), petal.shade, "shade")
        pen.line([(0, -0.16), shape.mean(0)], petal, width=0.7, within=area)
    heart = pen.paint(pen.u(0.08, 0.16), 0.7, 0.95)
    pen.part(ellipse((0, -0.16), (0.07, 0.065)), heart)
