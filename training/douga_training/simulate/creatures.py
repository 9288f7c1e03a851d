"""Birds, fish, dragons, monsters and butterflies drawn on cels."""

from __future__ import annotations

import numpy as np

from douga_training.simulate import curves
from douga_training.simulate.animal_parts import eye, eyes, fur
from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import bezier, ellipse, points, smooth
from douga_training.simulate.sheet import Area
from douga_training.simulate.thing_pen import ThingPen, lobed, spiky, tube


def bird(pen: ThingPen) -> None:
    """A bird: sitting from the side, or flying with both wings spread."""
    coat, wing = fur(pen), fur(pen)
    flying = pen.chance(0.5)
    if flying:
        _wing(pen, (0.0, -0.02), pen.u(-2.3, -1.7), wing, shaded=pen.tones > 0)
    tail = smooth(
        [(0.15, 0.02), (0.44, pen.u(-0.1, 0.12)), (0.48, pen.u(0.0, 0.2)), (0.14, 0.12)],
        closed=True,
        sharp=(1, 2),
    )
    pen.part(tail, wing)
    for k in range(2):
        pen.line([(0.2, 0.05 + 0.03 * k), (0.44, 0.03 + 0.06 * k)], wing)
    if not flying:
        for x in (-0.03, 0.05):
            pen.line(curves.resampled([(x, 0.15), (x, 0.34), (x - 0.06, 0.36)], 16), coat, width=1.4)
    beak = points((-0.33, -0.17), (-0.33, -0.09), (-0.48, -0.1 + pen.u(-0.03, 0.03)))
    horn = pen.paint(pen.u(0.06, 0.14), pen.u(0.5, 0.9), pen.u(0.7, 1.0))
    pen.part(beak, horn)
    body = smooth(
        [
            (-0.36, -0.13),
            (-0.24, -0.25),
            (-0.1, -0.16),
            (0.12, -0.05),
            (0.24, 0.06),
            (0.1, 0.17),
            (-0.12, 0.18),
            (-0.27, 0.03),
        ],
        closed=True,
    )
    area = pen.part(body, coat, form=False)
    pen.patch(
        area,
        smooth([(-0.38, -0.06), (-0.2, 0.02), (0.1, 0.1), (0.2, 0.3), (-0.4, 0.3)], closed=True),
        pen.paint(0.1, 0.1, 0.96),
    )
    pen.form([area], coat)
    eye(pen, (-0.26, -0.15), pen.u(0.02, 0.045), host=area)
    _wing(
        pen,
        (-0.04, 0.0),
        pen.u(-1.5, -1.0) if flying else pen.u(0.1, 0.4),
        wing,
        scale=1.0 if flying else 0.6,
    )


def _wing(
    pen: ThingPen,
    root_xy: tuple[float, float],
    angle: float,
    paint: Swatch,
    *,
    scale: float = 1.0,
    shaded: bool = False,
) -> None:
    feathers = int(pen.rng.integers(4, 8))
    front = [(0, -0.05), (0.2, -0.09), (0.5, -0.04)]
    tips = []
    for k in range(feathers):
        t = k / (feathers - 1)
        tips += [
            (0.5 - 0.42 * t, 0.02 + 0.16 * np.sin(0.4 + 2.2 * t)),
            (0.45 - 0.42 * t, 0.05 + 0.08 * np.sin(0.4 + 2.4 * t)),
        ]
    ring = smooth(front + tips, closed=True, per_span=6, sharp=range(2, 3 + 2 * feathers, 2)) * scale
    place = curves.rotated(ring, angle) + root_xy
    area = pen.part(place, paint, shaded=shaded)
    if pen.fine:
        for tip in tips[1::2]:
            start = (tip[0] * 0.55, tip[1] * 0.4 - 0.02)
            pen.line(curves.rotated(np.array([start, tip]) * scale, angle) + root_xy, paint, within=area)
    if not shaded and pen.chance(0.5):
        cover = (
            curves.rotated(
                smooth([(0, -0.1), (0.3, -0.1), (0.34, -0.02), (0.1, 0.05)], closed=True) * scale, angle
            )
            + root_xy
        )
        pen.patch(area, cover, fur(pen))


def fish(pen: ThingPen) -> None:
    """A fish or whale from the side."""
    coat, fin = fur(pen), pen.any_paint()
    tall = pen.u(0.1, 0.24)
    tail = smooth([(0.24, 0), (0.46, -tall * 0.9), (0.4, 0), (0.46, tall * 0.9)], closed=True, sharp=(1, 3))
    area = pen.part(tail, fin)
    for y in (-0.5, -0.2, 0.2, 0.5):
        pen.line([(0.29, y * tall * 0.3), (0.42, y * tall)], fin, within=area)
    back = smooth(
        [(-0.12, -tall * 0.7), (0.0, -tall * 1.5), (0.16, -tall * 1.2), (0.2, -tall * 0.4)], per_span=8
    )
    pen.part(back, fin)
    body = smooth(
        [
            (-0.46, 0.0),
            (-0.25, -tall * 0.8),
            (0.02, -tall * 0.95),
            (0.28, -tall * 0.25),
            (0.28, tall * 0.25),
            (0.02, tall * 0.95),
            (-0.25, tall * 0.8),
        ],
        closed=True,
    )
    area = pen.part(body, coat, form=False)
    if pen.chance(0.5):
        pen.patch(
            area,
            smooth([(-0.5, 0.04), (0, tall * 0.35), (0.3, 0.05), (0.3, 0.4), (-0.5, 0.4)], closed=True),
            pen.paint(0.12, 0.08, 0.98),
        )
    if pen.chance(0.5):
        for x in np.arange(-0.12, 0.24, pen.u(0.07, 0.12)):
            pen.patch(
                area, tube([(x, -tall * 1.1), (x + 0.03, 0), (x, tall * 1.1)], [0.035, 0.045, 0.03]), fin
            )
    pen.form([area], coat)
    pen.line(bezier((-0.22, -tall * 0.6), (-0.14, 0), (-0.22, tall * 0.6), samples=16), coat, within=area)
    if pen.fine and pen.chance(0.5):
        for row in range(-2, 3):
            for x in np.arange(-0.08, 0.2, 0.07):
                c = (x + 0.035 * (row % 2), row * tall * 0.28)
                pen.line(
                    bezier((c[0], c[1] - 0.03), (c[0] + 0.045, c[1]), (c[0], c[1] + 0.03), samples=8),
                    coat,
                    width=0.6,
                    within=area,
                )
    pen.part(tube([(-0.1, tall * 0.3), (0.02, tall * 0.55), (0.08, tall * 0.75)], [0.05, 0.09, 0.02]), fin)
    eye(pen, (-0.32, -tall * 0.2), pen.u(0.025, 0.05), host=area)
    pen.line(bezier((-0.45, 0.03), (-0.4, 0.06), (-0.36, 0.05), samples=8), coat, within=area)


def dragon(pen: ThingPen) -> None:
    """A serpent or dragon: a long bent body with a belly, spikes, a horned head and sometimes wings."""
    coat, belly = fur(pen), pen.paint(pen.u(0.08, 0.16), pen.u(0.15, 0.5), pen.u(0.8, 1.0))
    bend = pen.u(0.15, 0.3)
    spine = curves.resampled(
        smooth(
            [
                (-0.26, -0.28),
                (-0.08, -0.2),
                (0.02, 0.06),
                (-0.18, bend),
                (0.0, 0.42),
                (0.3, 0.36),
                (0.42, 0.1),
                (0.48, -0.05),
            ]
        ),
        60,
    )
    width = np.interp(np.linspace(0, 1, 60), [0, 0.25, 0.55, 1.0], [0.11, 0.15, 0.15, 0.01])
    if pen.chance(0.6):
        bat = smooth(
            [
                (0.0, -0.05),
                (0.12, -0.46),
                (0.42, -0.5),
                (0.36, -0.3),
                (0.46, -0.2),
                (0.28, -0.14),
                (0.3, 0.0),
            ],
            closed=True,
            per_span=6,
            sharp=(1, 2, 4, 6),
        )
        skin = pen.any_paint()
        area = pen.part(bat, skin)
        for tip in ((0.42, -0.5), (0.46, -0.2), (0.3, 0.0)):
            pen.line(bezier((0.06, -0.2), (0.25, -0.4), tip, samples=16), skin, width=1.2, within=area)
    edge = curves.offset(spine, -width / 2)
    for k in range(4, 50, int(pen.rng.integers(5, 9))):
        base, tip = edge[[k, k + 4]], edge[k + 2] + curves.normals(spine)[k + 2] * -pen.u(0.04, 0.08)
        pen.part(np.vstack([base[0], tip, base[1]]), belly, form=False, width=0.85)
    body = pen.part(tube(spine, width, samples=60), coat, form=False)
    pen.patch(body, curves.ribbon(curves.offset(spine, width * 0.35), width * 0.22), belly)
    pen.form([body], coat, depth=pen.u(0.04, 0.09))
    if pen.fine:
        for k in range(5, 54, 4):
            pen.line(
                np.vstack([curves.offset(spine, width * 0.14)[k], curves.offset(spine, width * 0.5)[k]]),
                belly,
                width=0.7,
                within=body,
            )
    _dragon_head(pen, coat, belly)


def _dragon_head(pen: ThingPen, coat: Swatch, horn: Swatch) -> None:
    for dy in (0.0, -0.04):
        pen.part(
            tube(
                [(-0.2, -0.34 + dy), (-0.08, -0.43 + dy), (0.02, pen.u(-0.5, -0.4) + dy)],
                [0.05, 0.035, 0.004],
            ),
            horn,
        )
    jaw = smooth(
        [(-0.18, -0.24), (-0.34, -0.17), (-0.46, -0.14 + pen.u(0, 0.05)), (-0.3, -0.1), (-0.15, -0.14)],
        closed=True,
    )
    pen.part(jaw, coat)
    head = smooth(
        [
            (-0.14, -0.2),
            (-0.16, -0.34),
            (-0.27, -0.37),
            (-0.36, -0.29),
            (-0.49, -0.26),
            (-0.49, -0.19),
            (-0.33, -0.2),
            (-0.22, -0.16),
        ],
        closed=True,
    )
    area = pen.part(head, coat)
    for x in np.arange(-0.45, -0.27, 0.05):
        pen.part(
            points((x, -0.2), (x + 0.025, -0.2), (x + 0.012, -0.165)),
            pen.paint(0.15, 0.03, 1.0),
            form=False,
            width=0.7,
        )
    eye(pen, (-0.28, -0.3), pen.u(0.018, 0.032), host=area)
    pen.line(bezier((-0.34, -0.31), (-0.28, -0.36), (-0.22, -0.33), samples=12), coat, width=1.2, within=area)
    pen.line(ellipse((-0.455, -0.235), (0.008, 0.006), samples=8), coat, width=1.1)


def monster(pen: ThingPen) -> None:
    """A lump of a creature: smooth, furry or lobed, with eyes, a mouth, horns, arms and spots."""
    coat = pen.paint(pen.rng.random(), pen.u(0.15, 0.8), pen.u(0.4, 1.0))
    n = int(pen.rng.integers(7, 11))
    t = np.arange(n) * (2 * np.pi / n) + pen.u(0, 1)
    knots = np.stack([np.cos(t) * 0.32, np.sin(t) * 0.36 + 0.06], 1) * pen.rng.uniform(0.85, 1.12, (n, 1))
    shape = smooth(knots, closed=True)
    kind = pen.rng.choice(["smooth", "furry", "lobed"], p=[0.6, 0.25, 0.15])
    if kind == "furry":
        shape = spiky(shape, int(pen.rng.integers(14, 30)), 0.1, pen.rng)
    elif kind == "lobed":
        shape = lobed((0, 0.06), (0.36, 0.36), 9, pen.rng, bulge=0.4)
    horn = fur(pen)
    for side in (-1, 1):
        if pen.chance(0.55):
            pen.part(
                tube(
                    [(side * 0.18, -0.2), (side * 0.24, -0.36), (side * pen.u(0.15, 0.34), -0.48)],
                    [0.1, 0.07, 0.004],
                ),
                horn,
            )
        if pen.chance(0.5):
            arm = [(side * 0.16, 0.08), (side * 0.42, pen.u(-0.1, 0.2)), (side * 0.46, pen.u(-0.2, 0.3))]
            pen.limb(tube(arm, [0.1, 0.08, 0.1]), coat, root=0.05)
        if pen.chance(0.6):
            pen.part(ellipse((side * 0.14, 0.4), (0.1, 0.07)), coat)
    body = pen.part(shape, coat, form=False)
    spot = pen.paint(pen.rng.random(), pen.u(0.2, 0.8), pen.u(0.4, 1.0))
    lit = pen.form([body], coat)
    if pen.chance(0.5):
        for _ in range(int(pen.rng.integers(2, 7))):
            pen.patch(
                body,
                ellipse((pen.u(-0.3, 0.3), pen.u(-0.25, 0.4)), (pen.u(0.02, 0.07), pen.u(0.02, 0.06))),
                spot,
                lit,
            )
    places = {1: (0.0,), 2: (-0.11, 0.11), 3: (-0.16, 0.0, 0.16)}[int(pen.rng.integers(1, 4))]
    eyes(pen, [(x, -0.08 + pen.u(-0.03, 0.03)) for x in places], pen.u(0.04, 0.085), host=body)
    _fangs(pen, coat, body)


def _fangs(pen: ThingPen, coat: Swatch, body: Area) -> None:
    w, y, open_by = pen.u(0.08, 0.2), pen.u(0.1, 0.16), pen.u(0.06, 0.16)
    if pen.chance(0.3):
        pen.line(bezier((-w, y), (0, y + open_by), (w, y), samples=20), coat, width=1.1, within=body)
        return
    mouth = smooth(
        [(-w, y), (0, y + 0.03), (w, y), (w * 0.6, y + open_by), (-w * 0.6, y + open_by)],
        closed=True,
        sharp=(0, 2),
    )
    inside = pen.part(mouth, pen.paint(0.97, 0.7, 0.4), form=False)
    pen.patch(inside, ellipse((0, y + open_by), (w * 0.5, open_by * 0.4)), pen.paint(0.98, 0.45, 0.9))
    white = pen.paint(0.14, 0.04, 1.0)
    for x in np.linspace(-w * 0.75, w * 0.55, int(pen.rng.integers(2, 6))):
        pen.part(
            points((x, y + 0.018), (x + 0.05, y + 0.018), (x + 0.025, y + 0.06)), white, form=False, width=0.7
        )


def butterfly(pen: ThingPen) -> None:
    """A butterfly or moth with patterned wings."""
    paint, mark = pen.any_paint(), pen.any_paint()
    for low in (True, False):
        for side in (-1, 1):
            knots = (
                [(0.02, 0.05), (0.3, 0.1), (0.36, 0.3), (0.18, 0.42)]
                if low
                else [(0.02, 0.02), (0.18, -0.38), (0.46, -0.4), (0.44, -0.05)]
            )
            wing = smooth(np.array(knots) * (side, 1), closed=True, per_span=8)
            area = pen.part(wing, paint)
            middle = wing.mean(0)
            pen.patch(area, middle + (wing - middle) * pen.u(0.4, 0.75), mark)
            for tip in knots[1:]:
                pen.line(
                    [(0.02 * side, 0.03), (tip[0] * side * 0.9, tip[1] * 0.9)], paint, width=0.7, within=area
                )
    pen.part(tube([(0, -0.14), (0, 0.1), (0, 0.34)], [0.05, 0.07, 0.02]), fur(pen))
    for side in (-1, 1):
        pen.line(bezier((0, -0.16), (side * 0.05, -0.35), (side * 0.16, -0.42), samples=16), paint)
