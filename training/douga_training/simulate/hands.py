"""Hands: open, relaxed, fist, pointing, holding, and a mitten for small figures."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, ribbon, rotated, smooth
from douga_training.simulate.pen import Part, Pen

HANDS = ("relaxed", "open", "fist", "point", "hold", "mitten")


class _Frame:
    """Hand coordinates (x from the wrist to the fingertips, y towards the thumb, unit the hand's length) to
    pixels.
    """

    def __init__(self, wrist: Points, angle: float, length_px: float, thumb: int, base: float) -> None:
        self.wrist, self.angle, self.length, self.thumb, self.base = wrist, angle, length_px, thumb, base

    def __call__(self, *xy: tuple[float, float]) -> Points:
        p = np.array(xy, np.float64) * np.array([1.0, self.thumb]) * self.length
        return rotated(p, self.angle) + self.wrist

    def finger(
        self, base: tuple[float, float], angle: float, length: float, half: float, curl: float
    ) -> Points:
        """Outline of a finger, open at its base."""
        t = np.linspace(0, 1, 9)
        a = angle + curl * t
        steps = np.stack([np.cos(a), np.sin(a)], 1) * (length / 8)
        spine = np.array(base) + np.vstack([[0.0, 0.0], np.cumsum(steps[1:], 0)])
        wide = half * np.sqrt(np.clip(1.0 - np.clip((t - 0.78) / 0.24, 0, 1) ** 2, 0, 1)) * (1 - 0.15 * t)
        return self(*map(tuple, ribbon(spine, wide)))


def draw_hand(
    pen: Pen,
    kind: str,
    wrist: Points,
    angle: float,
    length_px: float,
    thumb: int,
    skin: Swatch,
    wrist_px: float,
) -> list[Part]:
    """A hand that grows out of the wrist.

    angle: direction of the hand in radians, clockwise on screen. thumb: +1 where the thumb lies clockwise of
    the direction, else -1. Small hands become mittens. Returns the parts, so that a cuff can cast its shadow
    on them. wrist_px: half width of the wrist.
    """
    frame = _Frame(wrist, angle, length_px, thumb, wrist_px / length_px)
    if length_px < 11 or (length_px < 20 and kind not in ("open", "point")):
        kind = "mitten"
    parts = {
        "relaxed": _relaxed, "open": _open, "fist": _fist, "point": _point, "hold": _fist, "mitten": _mitten
    }[kind](pen, frame, skin)  # fmt: skip
    for part in parts:
        pen.crescent(part, length_px * (0.05 + 0.14 * pen.look.shade_amount), ragged=0.3)
    return parts


def _capsule(pen: Pen, outline: Points, skin: Swatch) -> Part:
    part = pen.fill(outline, skin)
    pen.ink(outline, skin)
    return part


def _mitten(pen: Pen, frame: _Frame, skin: Swatch) -> list[Part]:
    thumb = _capsule(pen, frame.finger((0.2, 0.14), 0.5, 0.36, 0.075, -0.3), skin)
    shape = smooth(
        frame(
            (0.0, -frame.base),
            (0.35, -0.22),
            (0.72, -0.2),
            (0.97, -0.06),
            (0.9, 0.1),
            (0.5, 0.2),
            (0.0, frame.base),
        ),
        per_span=5,
    )
    palm = pen.fill(shape, skin)
    pen.ink(shape, skin)
    if pen.detail > 0.2:
        for y in (-0.1, 0.0):
            pen.fold(frame((0.95, y), (0.72, y + 0.01), (0.6, y + 0.02)), palm)
    return [thumb, palm]


def _open(pen: Pen, frame: _Frame, skin: Swatch) -> list[Part]:
    spread, curl = pen.rng.uniform(0.06, 0.2), pen.rng.normal(0, 0.15)
    parts = []
    for i, (y, size) in enumerate(((-0.17, 0.37), (-0.075, 0.46), (0.03, 0.5), (0.13, 0.45))):
        angle = (i - 1.6) * spread + pen.rng.normal(0, 0.03)
        parts.append(_capsule(pen, frame.finger((0.48, y), angle, size, 0.055, curl), skin))
    parts.append(_capsule(pen, frame.finger((0.16, 0.13), 0.75, 0.46, 0.065, -0.35), skin))
    palm = pen.fill(
        smooth(
            frame(
                (0.0, -frame.base),
                (0.2, -0.2),
                (0.52, -0.23),
                (0.55, 0.0),
                (0.52, 0.18),
                (0.3, 0.2),
                (0.12, 0.2),
                (0.0, frame.base),
            )
        ),
        skin,
    )
    pen.ink(smooth(frame((0.0, -frame.base), (0.2, -0.2), (0.5, -0.225))), skin)
    pen.ink(smooth(frame((0.52, 0.185), (0.42, 0.2), (0.36, 0.23))), skin)
    pen.ink(smooth(frame((0.0, frame.base), (0.08, 0.165), (0.15, 0.2))), skin)
    if pen.detail > 0.45:
        pen.fold(smooth(frame((0.36, 0.18), (0.26, 0.06), (0.1, 0.02))), palm, both=True)
        if pen.chance(0.5):
            pen.fold(smooth(frame((0.42, -0.19), (0.38, -0.02), (0.42, 0.14))), palm, both=True, width=0.6)
    return [*parts, palm]


def _relaxed(pen: Pen, frame: _Frame, skin: Swatch) -> list[Part]:
    """A hand that hangs: fingers together, a little curled, lines between them."""
    curl = pen.rng.uniform(0.0, 0.16)
    shape = smooth(
        frame(
            (0.0, -frame.base),
            (0.3, -0.21),
            (0.58, -0.2),
            (0.84, -0.13 + curl),
            (0.97, 0.0 + curl),
            (0.93, 0.08 + curl),
            (0.8, 0.11 + curl),
            (0.6, 0.17),
            (0.35, 0.2),
            (0.0, frame.base),
        ),
        per_span=5,
    )
    palm = pen.fill(shape, skin)
    pen.ink(shape, skin)
    for i, y in enumerate((-0.1, -0.015, 0.065)):
        start = frame(
            (0.88 + 0.04 * i, y + 0.045 * (2 - i) + curl * 0.9),
            (0.7, y + 0.02 + curl * 0.4),
            (0.52, y + 0.02),
        )
        pen.fold(smooth(start), palm, width=0.8)
    thumb = _capsule(pen, frame.finger((0.14, 0.12), 0.42, 0.44, 0.062, -0.3), skin)
    return [palm, thumb]


def _fist(pen: Pen, frame: _Frame, skin: Swatch) -> list[Part]:
    shape = smooth(
        frame(
            (0.0, -frame.base),
            (0.2, -0.23),
            (0.45, -0.24),
            (0.6, -0.18),
            (0.63, 0.0),
            (0.6, 0.17),
            (0.42, 0.24),
            (0.2, 0.2),
            (0.0, frame.base),
        ),
        per_span=5,
    )
    palm = pen.fill(shape, skin)
    pen.ink(shape, skin)
    for y in (-0.13, -0.02, 0.09):
        pen.fold(smooth(frame((0.62, y), (0.48, y + 0.01), (0.36, y + 0.015))), palm, width=0.8)
    if pen.chance(0.7):
        thumb = frame.finger((0.24, 0.21), -0.75, 0.34, 0.06, -0.6)
        return [palm, _capsule(pen, thumb, skin)]
    return [palm]


def _point(pen: Pen, frame: _Frame, skin: Swatch) -> list[Part]:
    finger = _capsule(pen, frame.finger((0.46, 0.14), 0.04, 0.5, 0.055, -0.05), skin)
    return [finger, *_fist(pen, frame, skin)]
