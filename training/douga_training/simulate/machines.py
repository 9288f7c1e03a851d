"""Machines drawn on cels: cars, bicycles, aircraft, rockets and robots, made of panels with highlights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from douga_training.simulate import curves
from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import bezier, ellipse, points, smooth
from douga_training.simulate.sheet import Area
from douga_training.simulate.thing_pen import ThingPen, box, tube


def _dark(pen: ThingPen) -> Swatch:
    return pen.paint(pen.u(0.55, 0.75), pen.u(0.0, 0.3), pen.u(0.12, 0.35))


def _wheel(pen: ThingPen, x: float, y: float, radius: float) -> None:
    tyre, rim = _dark(pen), pen.paint(0.6, 0.06, pen.u(0.6, 0.95))
    pen.part(ellipse((x, y), (radius, radius)), tyre, form=False)
    hub = pen.part(ellipse((x, y), (radius * 0.58, radius * 0.58)), rim)
    for a in np.arange(5) * 1.2566:
        spoke = [(x, y), (x + np.cos(a) * radius * 0.55, y + np.sin(a) * radius * 0.55)]
        pen.line(spoke, rim, width=0.8, taper=0.0, within=hub)


def car(pen: ThingPen) -> None:
    """A car, van or bus from the side."""
    paint, glass = pen.any_paint(), pen.paint(pen.u(0.5, 0.62), pen.u(0.15, 0.45), pen.u(0.5, 0.95))
    roof, front = pen.u(-0.3, -0.18), pen.u(0.1, 0.28)
    knots = [
        (-0.48, 0.12),
        (-0.47, -0.02),
        (-0.4, -0.06),
        (-0.28, roof),
        (front - 0.06, roof),
        (front + 0.1, -0.06),
        (0.46, 0.0),
        (0.48, 0.12),
    ]
    body = smooth(knots, closed=True, per_span=6, sharp=(0, 7))
    area = pen.part(body, paint, form=False)
    if pen.tones:
        pen.tone(
            area,
            points((-0.6, pen.u(0.02, 0.07)), (0.6, pen.u(0.02, 0.07)), (0.6, 0.3), (-0.6, 0.3)),
            paint.shade,
            "shade",
        )
    if pen.lit:
        pen.tone(
            area, tube([(-0.4, -0.03), (0.0, -0.02), (0.38, 0.01)], [0.02, 0.03, 0.01]), paint.light, "light"
        )
    for a, b in ((-0.26, -0.04), (-0.01, front - 0.05)):
        slope = 0.06
        window = points((a - slope, -0.06), (a, roof + 0.04), (b, roof + 0.04), (b + slope * 0.6, -0.06))
        pane = pen.part(window, glass, form=False)
        if pen.lit:
            pen.tone(
                pane, points((a + 0.02, roof), (a + 0.07, roof), (a, 0), (a - 0.06, 0)), glass.light, "light"
            )
    for x in (-0.04, 0.18):
        pen.line([(x, -0.06), (x, 0.1)], paint, width=0.8, within=area)
    pen.line([(0.02, -0.02), (0.07, -0.02)], paint, width=1.2)
    lamp = pen.part(ellipse((0.44, 0.02), (0.03, 0.025)), pen.paint(0.14, 0.3, 1.0), form=False)
    pen.tone(lamp, ellipse((0.445, 0.015), (0.012, 0.01)), (255, 255, 255), "light")
    for x in (-0.28, 0.28):
        _wheel(pen, x, 0.14, pen.u(0.085, 0.11))


def bicycle(pen: ThingPen) -> None:
    """A bicycle from the side; the background shows through its wheels."""
    frame, tyre = pen.any_paint(), _dark(pen)
    for x in (-0.29, 0.29):
        t = np.linspace(0, 2 * np.pi, 60)
        ring = np.stack([x + np.cos(t) * 0.18, 0.16 + np.sin(t) * 0.18], 1)
        pen.line(ring, tyre, width=1.8, taper=0.0)
        pen.line((ring - (x, 0.16)) * 0.88 + (x, 0.16), tyre, width=0.7, taper=0.0)
        for a in np.arange(8) * 0.785:
            pen.line(
                [(x, 0.16), (x + np.cos(a) * 0.165, 0.16 + np.sin(a) * 0.165)], tyre, width=0.5, taper=0.0
            )
    joints = {
        "rear": (-0.29, 0.16),
        "crank": (-0.03, 0.16),
        "seat": (-0.11, -0.12),
        "head": (0.2, -0.1),
        "front": (0.29, 0.16),
    }
    for a, b in (
        ("rear", "crank"),
        ("rear", "seat"),
        ("crank", "seat"),
        ("crank", "head"),
        ("seat", "head"),
        ("head", "front"),
    ):
        bar = curves.resampled(np.array([joints[a], joints[b]]), 12)
        pen.part(curves.ribbon(bar, np.full(12, 0.013)), frame)
    pen.part(
        smooth([(-0.2, -0.17), (-0.1, -0.16), (-0.02, -0.15), (-0.1, -0.12), (-0.2, -0.13)], closed=True),
        tyre,
    )
    pen.part(
        curves.ribbon(bezier((0.2, -0.1), (0.17, -0.24), (0.1, -0.2), samples=20), np.full(20, 0.011)),
        _dark(pen),
    )
    pen.part(ellipse((-0.03, 0.16), (0.045, 0.045)), _dark(pen))


def aircraft(pen: ThingPen) -> None:
    """A plane, rocket or ship of the sky."""
    hull, trim, glass = pen.any_paint(), pen.any_paint(), pen.paint(0.55, 0.4, 0.9)
    pen.part(points((-0.3, -0.03), (-0.46, -0.26), (-0.36, -0.26), (-0.14, -0.03)), trim)
    body = smooth(
        [
            (-0.46, 0.0),
            (-0.2, -0.09),
            (0.2, -0.1),
            (0.4, -0.05),
            (0.5, 0.02),
            (0.36, 0.07),
            (0.0, 0.1),
            (-0.3, 0.06),
        ],
        closed=True,
    )
    area = pen.part(body, hull, form=False)
    stripe = pen.u(-0.02, 0.03)
    pen.patch(area, box(-0.6, stripe, 0.6, stripe + pen.u(0.02, 0.05)), trim)
    pen.form([area], hull)
    for x in (-0.12, 0.05):
        pen.line(bezier((x, -0.12), (x + 0.02, 0), (x, 0.12), samples=12), hull, width=0.7, within=area)
    canopy = pen.part(
        smooth([(0.12, -0.09), (0.2, -0.16), (0.32, -0.13), (0.38, -0.06), (0.24, -0.06)], closed=True), glass
    )
    pen.gleam([canopy], glass, share=0.3)
    wing = points((0.12, 0.02), (-0.16, pen.u(0.22, 0.34)), (-0.26, pen.u(0.22, 0.34)), (-0.12, 0.02))
    area = pen.part(wing, hull)
    pen.patch(area, ellipse((-0.14, 0.18), (0.04, 0.04)), trim)


def _panel(pen: ThingPen, shape: np.ndarray, paint: Swatch, *, shaded: bool = False) -> Area:
    """An armour plate: panel lines inside, a straight shadow and a bright edge."""
    area = pen.part(shape, paint, form=False, shaded=shaded)
    if shaded:
        return area
    low, high = shape.min(0), shape.max(0)
    size = high - low
    if pen.tones:
        at = low[0] + size[0] * (pen.u(0.55, 0.75) if pen.light[0] < 0 else pen.u(0.25, 0.45))
        far = 3.0 if pen.light[0] < 0 else -3.0
        pen.tone(area, points((at, -3), (far, -3), (far, 3), (at + size[0] * 0.1, 3)), paint.shade, "shade")
        if pen.tones == 2:
            y = low[1] + size[1] * pen.u(0.7, 0.88)
            pen.tone(area, points((-3, y), (3, y), (3, 3), (-3, 3)), paint.shade2, "shade")
    if pen.lit:
        x = low[0] + size[0] * (0.2 if pen.light[0] < 0 else 0.8)
        y = low[1] + size[1] * 0.15
        gleam = points(
            (x, y),
            (x + size[0] * 0.1, y),
            (x + size[0] * 0.06, y + size[1] * 0.4),
            (x - size[0] * 0.04, y + size[1] * 0.4),
        )
        pen.tone(area, gleam, paint.light, "light")
    if pen.fine:
        for _ in range(int(pen.rng.integers(0, 3))):
            y = low[1] + size[1] * pen.u(0.2, 0.8)
            bend = low[0] + size[0] * pen.u(0.3, 0.7)
            pen.line(
                [
                    (low[0], y),
                    (bend, y),
                    (bend + size[0] * 0.12, y + size[1] * 0.12),
                    (high[0], y + size[1] * 0.12),
                ],
                paint,
                width=0.6,
                taper=0.0,
                within=area,
            )
    return area


def robot(pen: ThingPen) -> None:
    """A standing robot of plates, or a machine-like toy."""
    main, second, joint = pen.any_paint(), pen.any_paint(), _dark(pen)
    wide = pen.u(0.12, 0.2)
    for side in (-1, 1):
        far = pen.tones > 0 and side * pen.light[0] < 0 and pen.chance(0.3)
        hip = side * wide * 0.55
        pen.part(tube([(hip, 0.1), (hip * 1.2, 0.4)], [0.06, 0.05]), joint)
        _panel(pen, box(hip - 0.055, 0.12, hip + 0.055, 0.25, round_by=0.02), main, shaded=far)
        _panel(
            pen,
            points((hip - 0.05, 0.27), (hip + 0.05, 0.27), (hip + 0.08, 0.43), (hip - 0.07, 0.43)),
            second,
            shaded=far,
        )
        _panel(
            pen, points((hip - 0.08, 0.43), (hip + 0.08, 0.43), (hip + 0.1, 0.49), (hip - 0.1, 0.49)), main
        )
        lift = pen.u(-0.3, 0.16)
        hand = (side * (wide + 0.16), lift)
        elbow = (side * (wide + 0.12), -0.08 + lift * 0.3)
        pen.part(tube([(side * wide, -0.16), elbow, hand], [0.07, 0.055, 0.05]), joint)
        arm = np.array([elbow, hand])
        _panel(pen, curves.ribbon(curves.resampled(arm, 8), np.linspace(0.04, 0.06, 8)), main)
        pen.part(ellipse(hand, (0.05, 0.05)), joint)
        _panel(
            pen,
            smooth(
                [
                    (side * (wide - 0.05), -0.24),
                    (side * (wide + 0.08), -0.27),
                    (side * (wide + 0.14), -0.17),
                    (side * (wide + 0.02), -0.1),
                ],
                closed=True,
            ),
            second,
        )
    chest = points(
        (-wide, -0.24),
        (wide, -0.24),
        (wide * 1.05, -0.05),
        (wide * 0.6, 0.12),
        (-wide * 0.6, 0.12),
        (-wide * 1.05, -0.05),
    )
    area = _panel(pen, chest, main)
    pen.patch(area, points((-0.07, -0.2), (0.07, -0.2), (0.03, -0.06), (-0.03, -0.06)), second)
    _robot_head(pen, main, second)


def _robot_head(pen: ThingPen, main: Swatch, second: Swatch) -> None:
    w = pen.u(0.07, 0.12)
    for side in (-1, 1):
        if pen.chance(0.5):
            pen.part(points((side * w * 0.4, -0.4), (side * w * 1.7, -0.5), (side * w * 0.9, -0.36)), second)
    head = _panel(pen, box(-w, -0.43, w, -0.26, round_by=pen.u(0.01, 0.06)), main)
    glow = pen.paint(pen.rng.random(), pen.u(0.4, 0.9), 1.0)
    if pen.chance(0.5):
        visor = pen.part(box(-w * 0.8, -0.38, w * 0.8, -0.33, round_by=0.02), glow, form=False)
        pen.tone(visor, ellipse((0.0, -0.365), (w * 0.4, 0.008)), glow.light, "light")
        return
    for x in (-w * 0.45, w * 0.45):
        pen.patch(head, ellipse((x, -0.36), (w * 0.2, w * 0.2)), glow)
    pen.line([(-w * 0.4, -0.29), (w * 0.4, -0.29)], main, within=head)


MACHINES: dict[Callable[[ThingPen], None], float] = {car: 1.2, bicycle: 0.6, aircraft: 0.8, robot: 1.6}
