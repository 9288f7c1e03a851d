"""Props drawn on cels: things held in hands, and the choice among all props, goods and machines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from douga_training.simulate import curves
from douga_training.simulate.chance import pick
from douga_training.simulate.curves import bezier, ellipse, points, smooth
from douga_training.simulate.goods import (
    ball,
    bottle,
    crate,
    crystal,
    flower,
    gloss,
    guitar,
    half_shade,
    metal,
    sign,
    umbrella,
)
from douga_training.simulate.look import LineStyle
from douga_training.simulate.machines import MACHINES
from douga_training.simulate.sheet import Sheet
from douga_training.simulate.thing_pen import ThingPen, box, tube


def sword(pen: ThingPen) -> None:
    """A sword, knife or staff, upright."""
    steel, grip = metal(pen), pen.any_paint()
    w = pen.u(0.02, 0.06)
    blade = points((-w, 0.22), (-w * 0.9, -0.4), (0.0, -0.5), (w * 0.9, -0.4), (w, 0.22))
    area = pen.part(blade, steel, form=False)
    if pen.tones:
        pen.tone(area, points((0, -0.6), (0.2, -0.6), (0.2, 0.4), (0, 0.4)), steel.shade, "shade")
    if pen.lit:
        pen.tone(
            area,
            points((-w * 0.6, -0.3), (-w * 0.2, -0.34), (-w * 0.2, 0.1), (-w * 0.6, 0.14)),
            steel.light,
            "light",
        )
    elif pen.chance(0.6):
        pen.line([(0, -0.44), (0, 0.2)], steel, within=area)
    pen.part(box(-0.02, 0.24, 0.02, 0.44), grip)
    for y in np.arange(0.27, 0.43, 0.035):
        pen.line([(-0.02, y), (0.02, y + 0.02)], grip, width=0.7, taper=0.0)
    guard = smooth(
        [(-0.14, 0.2), (0, 0.22), (0.14, 0.2), (0.13, 0.26), (0, 0.27), (-0.13, 0.26)], closed=True
    )
    gold = pen.paint(pen.u(0.09, 0.14), pen.u(0.4, 0.8), pen.u(0.7, 1.0))
    pen.part(guard, gold)
    pen.gleam([pen.part(ellipse((0, 0.46), (0.032, 0.034)), gold)], gold, share=0.3)


def book(pen: ThingPen) -> None:
    """A book: closed in three-quarter view, or open with lines of text."""
    cover, page = pen.any_paint(), pen.paint(0.12, pen.u(0.0, 0.12), 0.98)
    if pen.chance(0.5):
        rise, side = pen.u(0.1, 0.25), pen.u(0.1, 0.2)
        front = points((-0.4, -0.3), (0.25, -0.3), (0.25, 0.4), (-0.4, 0.4))
        pages = points((0.25, -0.3), (0.25 + side, -0.3 - rise), (0.25 + side, 0.4 - rise), (0.25, 0.4))
        pen.part(
            points((-0.4, -0.3), (-0.4 + side, -0.3 - rise), (0.25 + side, -0.3 - rise), (0.25, -0.3)), page
        )
        area = pen.part(pages, page, shaded=pen.tones > 0)
        for k in range(1, 5):
            x = 0.25 + side * k / 5
            pen.line([(x, -0.29 - rise * k / 5), (x, 0.39 - rise * k / 5)], page, width=0.6, within=area)
        area = pen.part(front, cover, form=False)
        half_shade(pen, area, front, cover)
        pen.patch(area, box(-0.3, -0.2, 0.15, pen.u(-0.1, 0.1), round_by=0.03), pen.any_paint())
        pen.patch(area, box(-0.42, -0.4, -0.33, 0.5), pen.any_paint())
        return
    for side in (-1, 1):
        pen.part(points((0, -0.16), (side * 0.48, -0.22), (side * 0.48, 0.26), (0, 0.32)), cover)
        leaf = smooth(
            [
                (0, -0.2),
                (side * 0.22, -0.28),
                (side * 0.45, -0.24),
                (side * 0.45, 0.2),
                (side * 0.22, 0.17),
                (0, 0.27),
            ],
            closed=True,
            sharp=(0, 2, 3, 5),
        )
        area = pen.part(leaf, page, form=False)
        if pen.tones:
            pen.tone(
                area,
                points((0, -0.3), (side * 0.08, -0.3), (side * 0.05, 0.3), (0, 0.3)),
                page.shade,
                "shade",
            )
        for y in np.arange(-0.14, 0.12, 0.05):
            pen.line(
                bezier((side * 0.1, y), (side * 0.22, y - 0.03), (side * 0.4, y), samples=10), page, width=0.6
            )


def cup(pen: ThingPen) -> None:
    """A mug, glass or bowl, steam rising now and then."""
    clay, drink = pen.any_paint(), pen.paint(pen.u(0.03, 0.3), pen.u(0.3, 0.8), pen.u(0.3, 0.9))
    w, low, flat = pen.u(0.2, 0.3), pen.u(0.12, 0.26), pen.u(0.05, 0.09)
    if pen.chance(0.7):
        handle = bezier((w * 0.9, -0.15), (w + 0.3, -0.18), (w + 0.24, 0.2), (w * 0.8, 0.16), samples=30)
        pen.part(curves.ribbon(handle, np.full(30, 0.03)), clay)
    t = np.linspace(0, np.pi, 16)
    bottom = np.stack([np.cos(t) * low, 0.36 + np.sin(t) * flat], 1)
    body = np.vstack([[(-w, -0.26), (w, -0.26)], bottom])
    area = pen.part(body, clay, form=False)
    if pen.tones:
        shadow = smooth(
            [(w * 0.3, -0.4), (low * 0.4, 0.5), (0.6, 0.5), (0.6, -0.4)], closed=True, sharp=(0, 1, 2, 3)
        )
        pen.tone(area, shadow * (-np.sign(pen.light[0] or 1.0), 1.0), clay.shade, "shade")
    if pen.chance(0.5):
        pen.patch(area, ellipse((0, 0.05), (low * 0.5, 0.1)), pen.any_paint())
    if pen.lit:
        x = w * 0.6 * float(np.sign(pen.light[0] or 1.0))
        pen.tone(
            area,
            tube([(x, -0.1), (x * 0.95, 0.05), (x * 0.9, 0.16)], [0.03, 0.04, 0.02]),
            clay.light,
            "light",
        )
    rim = pen.part(ellipse((0, -0.26), (w, flat)), clay, form=False)
    pen.patch(rim, ellipse((0, -0.25), (w * 0.88, flat * 0.75)), drink)
    if pen.fine and pen.chance(0.4):
        for x in (-0.07, 0.05):
            pen.line(
                bezier((x, -0.34), (x + 0.06, -0.4), (x - 0.05, -0.44), (x + 0.02, -0.5), samples=20),
                clay,
                width=0.7,
            )


def phone(pen: ThingPen) -> None:
    """A telephone, tablet, camera or screen."""
    case, dark = pen.any_paint(), pen.paint(pen.u(0.5, 0.7), pen.u(0.1, 0.6), pen.u(0.1, 0.95))
    w, h = pen.u(0.2, 0.32), pen.u(0.3, 0.48)
    body = pen.part(box(-w, -h, w, h, round_by=0.05), case)
    glass = box(-w * 0.88, -h * 0.84, w * 0.88, h * 0.78, round_by=0.015)
    if pen.chance(0.5):
        screen = pen.part(glass, dark, form=False, width=0.8)
    else:
        screen = body
        pen.patch(body, glass, dark)
    for _ in range(int(pen.rng.integers(0, 4))):
        x, y = pen.u(-0.7, 0.3) * w, pen.u(-0.7, 0.5) * h
        icon = box(x, y, x + w * pen.u(0.2, 0.5), y + h * pen.u(0.08, 0.25), round_by=0.02)
        pen.patch(screen, icon, pen.any_paint())
    if screen is not body:
        gloss(pen, screen, glass, dark)
    pen.line(ellipse((0, h * 0.89), (0.02, 0.015), samples=12), case, width=0.8, taper=0.0)


def bag(pen: ThingPen) -> None:
    """A school bag, basket or sack with straps, flap and buckles."""
    hide, trim = pen.any_paint(), pen.any_paint()
    strap = bezier((-0.2, -0.12), (-0.22, -0.6), (0.22, -0.6), (0.2, -0.12), samples=40)
    pen.part(curves.ribbon(strap, np.full(40, pen.u(0.015, 0.03))), trim)
    body = smooth(
        [(-0.33, -0.14), (0.33, -0.14), (0.38, 0.4), (-0.38, 0.4)],
        closed=True,
        sharp=() if pen.chance(0.4) else (0, 1, 2, 3),
    )
    pen.part(body, hide)
    drop = pen.u(0.0, 0.16)
    flap = smooth(
        [(-0.34, -0.15), (0.34, -0.15), (0.33, drop), (0, drop + 0.05), (-0.33, drop)],
        closed=True,
        sharp=(0, 1, 2, 4),
    )
    area = pen.part(flap, hide)
    stitch = flap.mean(0) + (flap - flap.mean(0)) * 0.9
    pen.line(stitch, hide, width=0.6, within=area)
    gold = pen.paint(0.12, 0.5, 0.95)
    for x in (-0.18, 0.18):
        pen.part(box(x - 0.03, drop - 0.06, x + 0.03, drop + 0.1), trim)
        pen.part(box(x - 0.035, drop + 0.03, x + 0.035, drop + 0.08), gold, width=0.8)


_PROPS: dict[Callable[[ThingPen], None], float] = {
    sword: 1.0, book: 1.0, cup: 1.0, phone: 1.0, bag: 1.0, umbrella: 0.8, crate: 1.0, ball: 0.9, bottle: 0.9,
    guitar: 0.7, sign: 0.8, crystal: 1.0, flower: 0.8,
}  # fmt: skip


def draw_prop(
    sheet: Sheet,
    rng: np.random.Generator,
    style: LineStyle,
    *,
    centre_xy: tuple[float, float],
    size_px: float,
) -> None:
    """Draw one prop, vehicle or machine of about `size_px` (30 to 1500) around a frame position in px."""
    kind = pick(rng, _PROPS | MACHINES)
    upright = kind in MACHINES or rng.random() < 0.3
    turn = float(rng.normal(0, 0.06) if upright else rng.uniform(-1.2, 1.2))
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
