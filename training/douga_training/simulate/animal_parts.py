"""What animals and creatures have in common: coats, eyes, muzzles and ears."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, bezier, ellipse, smooth
from douga_training.simulate.sheet import Area
from douga_training.simulate.thing_pen import ThingPen, moved


def fur(pen: ThingPen) -> Swatch:
    """Natural coat colours, and now and then one that only drawings have."""
    kind = pen.rng.choice(
        ["brown", "orange", "light", "grey", "black", "vivid"], p=[0.22, 0.16, 0.2, 0.14, 0.1, 0.18]
    )
    if kind == "brown":
        return pen.paint(pen.u(0.04, 0.1), pen.u(0.3, 0.65), pen.u(0.3, 0.7))
    if kind == "orange":
        return pen.paint(pen.u(0.06, 0.13), pen.u(0.45, 0.8), pen.u(0.8, 1.0))
    if kind == "light":
        return pen.paint(pen.u(0.05, 0.15), pen.u(0.0, 0.2), pen.u(0.9, 1.0))
    if kind == "grey":
        return pen.paint(pen.u(0.5, 0.75), pen.u(0.0, 0.2), pen.u(0.4, 0.8))
    if kind == "black":
        return pen.paint(pen.u(0.55, 0.8), pen.u(0.0, 0.3), pen.u(0.12, 0.3))
    return pen.paint(pen.rng.random(), pen.u(0.3, 0.85), pen.u(0.5, 1.0))


def eyes(
    pen: ThingPen, at_xy: Sequence[tuple[float, float]], radius: float, *, host: Area, narrow: float = 1.0
) -> None:
    """Eyes of one design at several places."""
    own = pen.rng
    design = int(own.integers(2**32))
    for xy in at_xy:
        pen.rng = np.random.default_rng(design)
        eye(pen, xy, radius, host=host, narrow=narrow)
    pen.rng = own


def eye(pen: ThingPen, at_xy: tuple[float, float], radius: float, *, host: Area, narrow: float = 1.0) -> None:
    """An eye: a dot when small, a closed arc, or a white with iris, pupil and highlights."""
    x, y = at_xy
    black = pen.paint(0.7, 0.3, 0.1)
    r_px = radius * pen.size_px
    if r_px < 3.5 or pen.chance(0.12):
        if pen.chance(0.5) and r_px > 2:
            arc = bezier((x - radius, y), (x, y - radius * 1.4), (x + radius, y), samples=12)
            pen.line(arc, black, width=1.1)
        else:
            pen.line(ellipse(at_xy, (radius * 0.4, radius * 0.5), samples=12), black, width=1.2, taper=0.0)
        return
    ball = ellipse(at_xy, (radius * narrow, radius), angle_rad=pen.u(-0.2, 0.2))
    iris = pen.paint(pen.rng.random(), pen.u(0.4, 0.9), pen.u(0.4, 0.95))
    if pen.chance(0.3):  # one dark bead that shines
        pupil = pen.part(ball, black, form=False)
    else:
        white = pen.paint(0.15, pen.u(0, 0.15), 1.0)
        pupil = pen.part(ball, white if pen.chance(0.6) else iris, form=False)
        if pen.tones and pen.chance(0.5):
            lid = moved(ball, 0.0, radius * 0.55)
            pen.tone(pupil, lid, white.shade, "shade", inverse=True)
        pen.patch(pupil, ellipse((x, y + radius * 0.1), (radius * 0.68 * narrow, radius * 0.72)), iris)
        slit = pen.u(0.2, 0.9)
        pen.patch(
            pupil, ellipse((x, y + radius * 0.1), (radius * 0.42 * narrow * slit, radius * 0.45)), black
        )
    if pen.lit or pen.chance(0.4):
        spot = ellipse((x + pen.light[0] * radius * 0.4, y - radius * 0.35), (radius * 0.24, radius * 0.28))
        pen.tone(pupil, spot, (255, 255, 255), "light")
    if pen.chance(0.4):
        brow = bezier(
            (x - radius, y - radius), (x, y - radius * 1.7), (x + radius, y - radius * 1.1), samples=12
        )
        pen.line(brow, black, width=1.3, within=host)


def muzzle(pen: ThingPen, at_xy: tuple[float, float], size: float, coat: Swatch, head: Area) -> None:
    """Nose, mouth and sometimes teeth of a face seen from the front."""
    x, y = at_xy
    nose = pen.paint(pen.u(-0.03, 0.05), pen.u(0.2, 0.6), pen.u(0.2, 0.8))
    tip = smooth([(x - size * 0.3, y), (x + size * 0.3, y), (x, y + size * 0.28)], closed=True, per_span=6)
    nose_area = pen.part(tip, nose, form=False, width=0.8)
    if pen.lit:
        pen.tone(nose_area, ellipse((x, y + size * 0.03), (size * 0.12, size * 0.05)), nose.light, "light")
    low = y + size * 0.55
    if pen.chance(0.35):
        mouth = smooth(
            [
                (x - size * 0.5, low),
                (x, low - size * 0.05),
                (x + size * 0.5, low),
                (x, low + size * pen.u(0.4, 1.0)),
            ],
            closed=True,
        )
        inside = pen.part(mouth, pen.paint(0.98, 0.6, 0.5), form=False)
        pen.patch(inside, ellipse((x, low + size * 0.6), (size * 0.3, size * 0.3)), pen.paint(0.97, 0.4, 0.9))
    else:
        for side in (-1, 1):
            lip = bezier(
                (x, y + size * 0.25),
                (x + side * size * 0.1, low + size * 0.15),
                (x + side * size * 0.6, low),
                samples=12,
            )
            pen.line(lip, coat, within=head)
    if pen.fine and pen.chance(0.6):
        for side in (-1, 1):
            for k in range(int(pen.rng.integers(1, 4))):
                a = (x + side * size * 0.9, y + size * (0.1 + 0.2 * k))
                pen.line(
                    [
                        a,
                        (a[0] + side * size * 0.7, a[1] + size * 0.05),
                        (a[0] + side * size * 1.3, a[1] + size * pen.u(-0.2, 0.3)),
                    ],
                    coat,
                    width=0.6,
                )


def ear(base_a: Points, base_b: Points, tip: Points, *, round_tip: bool) -> Points:
    a, b, t = (np.asarray(v, float) for v in (base_a, base_b, tip))
    bow = (b - a) * 0.12
    mid_a, mid_b = (a + t) / 2 - bow, (b + t) / 2 + bow
    return smooth([a, mid_a, t, mid_b, b], per_span=8, sharp=() if round_tip else (2,))
