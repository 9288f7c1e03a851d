"""Characters of the examination: body, face, eyes and hair, painted back to front on a sheet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from douga.classes import DougaClass as C
from douga_training.exam.shapes import (
    PALETTES,
    Palette,
    bezier,
    lit,
    lock,
    oval,
    ribbon,
    ring_gap,
    shaded,
    shadow_shapes,
    tube,
    zigzag_band,
)
from douga_training.simulate.sheet import Area, Points, Rgb, Sheet

Xy = tuple[float, float]
_PEN_PX = 11  # no pen is broader: a thicker stroke is a shape in ink, outlined and filled by the painters


@dataclass(frozen=True)
class Figure:
    """Who stands where. Coordinates of the drawing below are heads: x right, y down, chin at y = 0.5.

    centre_xy: of the head, px. head_px: its height. turn: -1 to 1. light_xy: towards the light.
    """

    sheet: Sheet
    rng: np.random.Generator
    palette: Palette
    centre_xy: Xy
    head_px: float
    turn: float
    roll_rad: float
    line_px: float
    light_xy: Xy

    def at(self, points: Points) -> Points:
        """Heads to frame pixels."""
        c, s = np.cos(self.roll_rad), np.sin(self.roll_rad)
        turned = np.asarray(points) @ np.array([[c, s], [-s, c]])
        return np.asarray(turned * self.head_px + np.array(self.centre_xy))

    def area(self, shape: Points, paint: Rgb, *, shade: float = 0.0, outlined: bool = True) -> Area:
        """Paint a form with its shadow on the share `shade` of it, and its outline."""
        placed = self.at(shape)
        area = self.sheet.area(placed, paint)
        if shade:
            dark = shadow_shapes(placed, self.light_xy, shade)
            if dark:
                self.sheet.tone(area, dark, shaded(paint), C.SHADING_FILL, self.trace(C.SHADING_LINE))
        if outlined:
            self.sheet.stroke(placed, self.line_px, self.palette.line, closed=True)
        return area

    def line(self, points: Points, wide: float = 1.0, taper: Xy = (0.3, 0.3), on: Area | None = None) -> None:
        """Ink a line, its width in shares of the outline's. What is too broad for a pen is an inked shape."""
        placed, width_px = self.at(points), max(0.7, self.line_px * wide)
        if width_px <= _PEN_PX:
            self.sheet.stroke(placed, width_px, self.palette.line, taper=taper, within=on)
            return
        rim = ribbon(placed, width_px, taper)
        self.sheet.area(rim, self.palette.line)
        self.sheet.stroke(rim, self.line_px, self.palette.line, closed=True)

    def tone(self, on: Area | list[Area], shape: Points, paint: Rgb, fill: C, line: C) -> None:
        """Lay a tone over areas, its border traced where the drawing is large enough for that."""
        self.sheet.tone(on, self.at(shape), paint, fill, self.trace(line))

    def trace(self, line: C) -> C | None:
        """The trace class, or None in a small drawing: nobody traces what is 1 px wide."""
        return line if self.head_px > 40 else None


def draw_figure(
    sheet: Sheet, rng: np.random.Generator, centre_xy: Xy, head_px: float, line_px: float, light_xy: Xy
) -> None:
    """Draw one character; what does not fit in the sheet is cut off."""
    palette = PALETTES[int(rng.integers(len(PALETTES)))]
    turn, roll = float(rng.uniform(-1, 1)), float(rng.normal(0, 0.09))
    f = Figure(sheet, rng, palette, centre_xy, head_px, turn, roll, line_px, light_xy)
    long_hair = rng.random() < 0.6
    _back_hair(f, long_hair)
    _body(f)
    face = _face(f)
    for side in (-1.0, 1.0):
        _eye(f, side, face)
    _front_hair(f, long_hair, face)


# -- body ----------------------------------------------------------------------------------------------------


def _body(f: Figure) -> None:
    p, u = f.palette, f.rng.uniform
    hips = u(0.5, 0.6)
    if f.head_px < 420:
        for side in (-1, 1):
            stand = side * u(0.25, 0.55)
            knots = np.array([(side * 0.27, 2.9), (side * 0.3, 4.2), (stand, 5.5), (stand, 5.8)])
            f.area(tube(knots, np.array([0.27, 0.2, 0.13, 0.14])), p.legs, shade=0.38)
            f.area(oval(stand + side * 0.08, 5.9, 0.26, 0.13), shaded(p.trim, 1.5), shade=0.3)
        skirt = bezier(
            (-0.42, 2.3),
            (-hips, 2.7),
            (-0.75, 3.2),
            (-0.8, 3.5),
            (-0.3, 3.68),
            (0.3, 3.68),
            (0.8, 3.5),
            (0.75, 3.2),
            (hips, 2.7),
            (0.42, 2.3),
        )
        worn = f.area(skirt, p.legs, shade=0.34)
        for x in np.linspace(-0.5, 0.5, 5):
            f.line(bezier((x * 0.6, 2.5), (x * 0.8, 2.8), (x, 3.1), (x * 1.2, 3.6)), 0.9, (0.5, 0.1), worn)
    _neck(f)
    torso = bezier(
        (-0.2, 0.66),
        (-0.5, 0.75),
        (-0.78, 0.8),
        (-0.82, 1.1),
        (-0.7, 1.6),
        (-0.45, 1.8),
        (-0.47, 2.5),
        (-0.2, 2.62),
        (0.2, 2.62),
        (0.47, 2.5),
        (0.45, 1.8),
        (0.7, 1.6),
        (0.82, 1.1),
        (0.78, 0.8),
        (0.5, 0.75),
        (0.2, 0.66),
    )
    coat = f.area(torso, p.coat, shade=0.36)
    f.line(bezier((0, 0.95), (0.03, 1.4), (0.0, 1.9), (0.02, 2.6)), 1, (0.05, 0.05), coat)
    for side in (-1, 1):
        elbow, hand = side * u(0.85, 1.15), side * u(0.55, 1.1)
        f.area(oval(hand, 2.72, 0.14, 0.17), p.skin, shade=0.35)
        arm = tube(
            np.array([(side * 0.58, 0.88), (side * 0.71, 1.1), (elbow, 1.8), (hand, 2.6)]),
            np.array([0.07, 0.2, 0.18, 0.15]),
        )
        sleeve = f.area(arm, p.coat, shade=0.4)
        for k in range(3):
            fold = side * 0.85 + 0.05 * k
            f.line(
                bezier(
                    (fold, 1.7),
                    (fold - 0.1, 1.75 + 0.07 * k),
                    (fold - 0.18, 1.8),
                    (fold - 0.24, 1.78 + 0.1 * k),
                ),
                0.8,
                (0.1, 0.7),
                sleeve,
            )
        lapel = np.array([(side * 0.17, 0.62), (side * 0.46, 0.78), (side * 0.3, 1.08), (0.0, 1.02)])
        f.area(lapel, p.trim, shade=0.25)
    bow = np.array([(0, 1.02), (-0.26, 0.92), (-0.24, 1.22), (0, 1.08), (0.24, 1.22), (0.26, 0.92)])
    f.area(bow, shaded(p.eyes, -0.3), shade=0.3)


def _neck(f: Figure) -> None:
    p = f.palette
    neck = f.area(np.array([(-0.13, 0.2), (0.13, 0.2), (0.16, 0.72), (0.0, 1.0), (-0.16, 0.72)]), p.skin)
    chin = bezier((-0.3, 0.2), (-0.3, 0.62), (0.2, 0.8), (0.3, 0.2))
    f.tone(neck, chin, shaded(p.skin), C.SHADING_FILL, C.SHADING_LINE)


# -- head ----------------------------------------------------------------------------------------------------


def _lean(f: Figure, points: Points) -> Points:
    """Move what lies on the face with the head's turn: most at its middle and at the chin."""
    x, y = np.asarray(points).T
    return np.stack([x * (1 - 0.07 * abs(f.turn)) + f.turn * 0.1 * np.clip(y + 0.45, 0, 1), y], 1)


def _face(f: Figure) -> Area:
    p = f.palette
    for side in (-1, 1):
        f.area(_lean(f, oval(side * 0.385, 0.1, 0.07, 0.12)), p.skin, shade=0.4)
    jaw = f.rng.uniform(0.24, 0.31)
    outline = bezier(
        (-0.38, -0.1),
        (-0.39, 0.16),
        (-jaw, 0.34),
        (-0.07, 0.485),
        (-0.03, 0.51),
        (0.03, 0.51),
        (0.07, 0.485),
        (jaw, 0.34),
        (0.39, 0.16),
        (0.38, -0.1),
        (0.36, -0.62),
        (-0.36, -0.62),
        (-0.38, -0.1),
    )
    face = f.area(_lean(f, outline), p.skin, shade=0.13)
    if f.rng.random() < 0.5:
        for side in (-1, 1):
            blush = _lean(f, oval(side * 0.23, 0.27, 0.075, 0.032))
            f.tone(face, blush, (246, 170, 160), C.COLOR_FILL, C.COLOR_EDGE)
    if f.head_px > 30:
        f.line(_lean(f, bezier((0.015, 0.2), (0.03, 0.24), (0.04, 0.26), (0.0, 0.272))), 1, (0.5, 0.2))
        wide = f.rng.uniform(0.05, 0.1)
        mouth = bezier((-wide, 0.365), (-0.03, 0.385), (0.03, 0.385), (wide, 0.36))
        if f.rng.random() < 0.45:
            mouth_open = np.vstack([mouth, bezier((wide, 0.36), (0.06, 0.44), (-0.06, 0.45), (-wide, 0.365))])
            inside = f.area(_lean(f, mouth_open), (150, 58, 62))
            f.tone(inside, _lean(f, oval(0, 0.44, 0.06, 0.03)), (226, 120, 118), C.COLOR_FILL, C.COLOR_EDGE)
        f.line(_lean(f, mouth), 1.1, (0.2, 0.2))
    return face


def _eye(f: Figure, side: float, face: Area) -> None:
    u = 0.115 * (1 - 0.12 * side * f.turn)
    cx, cy, tall = side * 0.185, 0.115, 0.105
    if f.head_px < 30:
        f.line(_lean(f, np.array([(cx - u * 0.7, cy), (cx + u * 0.7, cy)])), 1.4, (0.1, 0.1))
        return

    def local(*knots: Xy) -> Points:
        return _lean(f, bezier(*[(cx + side * x * u, cy + y * tall) for x, y in knots]))

    upper = local((-1, 0.25), (-0.8, -1.0), (0.35, -1.35), (1.05, -0.15))
    lower = local(
        (1.05, -0.15), (0.85, 0.7), (0.2, 0.98), (-0.45, 0.88), (-0.7, 0.8), (-0.9, 0.5), (-1, 0.25)
    )
    white = f.area(np.vstack([upper, lower]), (252, 252, 254), outlined=False)
    _iris(f, white, cx - 0.008 * side, cy + 0.008, tall * 0.72, tall * 0.98)
    band = np.vstack([upper, upper[::-1] + (0, 0.032)])
    f.tone(white, band, shaded((235, 238, 250)), C.SHADING_FILL, C.SHADING_LINE)
    f.line(lower, 0.8, (0.0, 0.0))
    lash = max(2.2, 0.02 * f.head_px / f.line_px)
    f.line(upper, lash, (0.25, 0.1))
    f.line(local((1.0, -0.2), (1.1, -0.25), (1.2, -0.4), (1.28, -0.6)), lash * 0.6, (0.0, 0.8))
    f.line(local((-0.7, -1.15), (-0.3, -1.5), (0.4, -1.55), (0.85, -1.0)), 0.9, (0.4, 0.4), face)
    brow = local((-0.9, -1.9), (-0.3, -2.25), (0.5, -2.3), (1.1, -1.75))
    f.line(brow, max(1.4, 0.012 * f.head_px / f.line_px), (0.3, 0.6))


def _iris(f: Figure, white: Area, x: float, y: float, rx: float, ry: float) -> None:
    p = f.palette
    spot = _lean(f, oval(x, y, rx, ry))
    f.tone(white, spot, p.eyes, C.COLOR_FILL, C.COLOR_EDGE)
    if f.head_px > 90:
        half = _lean(
            f, np.vstack([oval(x, y, rx, ry, np.pi, 2 * np.pi), oval(x, y, rx, ry * 0.25, 0, np.pi)])
        )
        f.tone(white, half, shaded(p.eyes, 1.6), C.SHADING_FILL, C.SHADING_LINE)
        dark = _lean(f, oval(x, y + 0.05 * ry, rx * 0.42, ry * 0.42))
        f.tone(white, dark, (24, 18, 30), C.COLOR_FILL, C.COLOR_EDGE)
        glow = _lean(
            f,
            bezier(
                (x - 0.5 * rx, y + 0.55 * ry),
                (x - 0.2 * rx, y + 0.4 * ry),
                (x + 0.3 * rx, y + 0.4 * ry),
                (x + 0.5 * rx, y + 0.55 * ry),
                (x + 0.3 * rx, y + 0.95 * ry),
                (x - 0.3 * rx, y + 0.95 * ry),
                (x - 0.5 * rx, y + 0.55 * ry),
            ),
        )
        f.tone(white, glow, lit(p.eyes, 0.45), C.HIGHLIGHT_FILL, C.HIGHLIGHT_LINE)
        f.line(np.vstack([spot, spot[:1]]), 0.8, (0, 0), white)
    lean = f.light_xy[0] / max(abs(f.light_xy[0]), 1e-6)
    shine = oval(x + lean * 0.35 * rx, y - 0.42 * ry, 0.3 * rx, 0.26 * ry)
    f.tone(white, _lean(f, shine), (255, 255, 255), C.HIGHLIGHT_FILL, C.HIGHLIGHT_LINE)
    if f.head_px > 220:
        ring = ring_gap(x - lean * 0.38 * rx, y + 0.4 * ry, 0.2 * rx, 0.09 * rx)
        f.tone(white, _lean(f, ring), (255, 255, 255), C.HIGHLIGHT_FILL, C.HIGHLIGHT_LINE)


# -- hair ----------------------------------------------------------------------------------------------------


def _back_hair(f: Figure, long_hair: bool) -> None:
    p, u = f.palette, f.rng.uniform
    f.area(oval(0, -0.08, 0.5, 0.5), shaded(p.hair, 0.9))
    fall = u(1.2, 2.4) if long_hair else u(0.35, 0.6)
    for x in f.rng.permutation(np.linspace(-0.42, 0.42, 9)):
        tip = (x * u(1.2, 1.9), fall * u(0.8, 1.05))
        f.area(lock((x * 0.8, -0.3), (x * 1.7, fall * 0.35), tip, u(0.1, 0.16)), p.hair, shade=u(0.35, 0.55))


def _front_hair(f: Figure, long_hair: bool, face: Area) -> None:
    p, u = f.palette, f.rng.uniform
    line = u(-0.16, -0.08)
    crown = (f.turn * 0.16, -0.6)
    xs = np.linspace(-0.4, 0.4, int(f.rng.integers(6, 9)))
    bangs = [
        lock(
            (crown[0] + x * 0.55, -0.47),
            (x * 1.15, -0.36),
            (x + u(-0.12, 0.12), line + u(0.05, 0.2)),
            u(0.085, 0.125),
        )
        for x in xs
    ]
    sides = [
        lock(
            (s * 0.3, -0.4),
            (s * 0.52, -0.1),
            (s * u(0.36, 0.47), u(0.75, 1.5) if long_hair else u(0.3, 0.6)),
            u(0.07, 0.1),
        )
        for s in (-1, 1)
    ]
    for shape in bangs + sides:
        f.tone(face, shape + (-0.03 * f.light_xy[0], 0.055), shaded(p.skin), C.SHADING_FILL, C.SHADING_LINE)
    cap = np.vstack(
        [
            oval(0, -0.1, 0.49, 0.49, np.pi * 0.97, np.pi * 2.03),
            bezier((0.49, -0.06), (0.4, -0.32), (-0.4, -0.32), (-0.49, -0.06)),
        ]
    )
    top = f.area(cap, p.hair, outlined=False)
    areas = [top]
    for shape in sides + list(f.rng.permutation(np.array(bangs))):
        areas.append(_lock(f, shape))
    dark = shadow_shapes(f.at(cap), f.light_xy, 0.24)
    if dark:
        f.sheet.tone(top, dark, shaded(p.hair), C.SHADING_FILL, f.trace(C.SHADING_LINE))
    band = zigzag_band(f.rng, (f.turn * 0.05, -0.05), (0.4, 0.36), u(0.08, 0.15), int(f.rng.integers(5, 9)))
    if f.rng.random() < 0.85:
        f.tone(areas, band, lit(p.hair, u(0.45, 0.75)), C.HIGHLIGHT_FILL, C.HIGHLIGHT_LINE)
    f.line(oval(0, -0.1, 0.49, 0.49, np.pi * 0.97, np.pi * 2.03), 1.1, (0.05, 0.05))
    for x in np.linspace(-0.3, 0.3, int(f.rng.integers(4, 10))):
        strand = bezier((crown[0] + x * 0.3, -0.57), (x, -0.5), (x * 1.3, -0.38), (x * 1.35, u(-0.3, -0.2)))
        f.line(strand, u(0.6, 0.9), (0.2, 0.9))
    if f.rng.random() < 0.6:
        stray = bezier(
            crown, (crown[0] + 0.1, -0.8), (crown[0] + 0.22, -0.8), (crown[0] + u(0.2, 0.4), -0.66)
        )
        f.line(stray, 0.9, (0.05, 0.6))


def _lock(f: Figure, shape: Points) -> Area:
    """A lock over the cap: in its paint, without a line at its root, half of it in shadow here and there."""
    p, half = f.palette, len(shape) // 2
    area = f.sheet.area(f.at(shape), p.hair)
    if f.rng.random() < 0.7:
        inner = shape[half:] if f.light_xy[0] > 0 else shape[:half]
        middle = (shape[:half] + shape[half:][::-1]) / 2
        dark = np.vstack(
            [inner[8:] if f.light_xy[0] < 0 else inner[:-8], (middle[8:])[:: -1 if f.light_xy[0] < 0 else 1]]
        )
        f.tone(area, dark, shaded(p.hair), C.SHADING_FILL, C.SHADING_LINE)
    f.line(shape[9 : half + 1], 1.0, (0.5, 0.02))
    f.line(shape[half - 1 : -9], 1.0, (0.02, 0.5))
    return area
