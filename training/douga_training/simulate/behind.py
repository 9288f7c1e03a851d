"""The head seen from behind: ears and a mass of hair with strands and tips."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.curves import Points, ellipse, rotated, smooth
from douga_training.simulate.pen import Part, Pen

_LENGTHS = {"short": 0.5, "spiky": 0.5, "bob": 0.72, "bun": 0.5, "ponytail": 0.5, "twin": 0.5, "bald": 0.42}


class _Skull:
    """Head coordinates (origin in the middle, unit the head's height) to frame pixels."""

    def __init__(self, centre_xy: Points, height_px: float, roll_rad: float, turn: float) -> None:
        self.centre_xy, self.height_px, self.roll_rad, self.turn = centre_xy, height_px, roll_rad, turn

    def place(self, shape: Points) -> Points:
        return rotated(shape, self.roll_rad) * self.height_px + self.centre_xy


def draw_back_of_head(pen: Pen, centre_xy: Points, roll_rad: float, turn: float) -> None:
    """Hair over the whole skull, down to the nape or beyond, over what has been drawn.

    centre_xy: middle of the head in frame pixels; turn: as of a head seen from the front, -1 to 1.
    """
    head = _Skull(centre_xy, pen.unit_px, roll_rad, turn)
    design, rng = pen.look.hair_design, pen.rng
    long = 0.45 + design.back_length * 0.6 if design.back == "long" else _LENGTHS[design.back]
    for s in (-1, 1):
        x = s * 0.37 + 0.2 * head.turn
        if abs(x) < 0.45:
            ear = pen.form(head.place(ellipse((x, 0.08), (0.07, 0.13), samples=20)), pen.look.skin)
            pen.crescent(ear, pen.unit_px * 0.04, ragged=0.1)
    if design.back in ("ponytail", "twin"):
        _draw_tails(pen, head, design.back)
    part = _draw_cap(pen, head, long)
    _draw_strands(pen, head, part, long)
    if design.shine in ("zigzag", "patches"):
        t = np.linspace(-1, 1, 25)
        wave = np.where(np.arange(25) % 2 == 0, 0.02, -0.03) * rng.uniform(0.4, 1.2, 25)
        high = np.stack([t * 0.34, -0.3 + 0.12 * t * t - 0.03 + wave], 1)
        low = np.stack([t * 0.34, -0.22 + 0.12 * t * t + wave[::-1]], 1)[::-1]
        part.lights.append(head.place(np.vstack([high, low])))
    if design.back == "bun":
        bun = pen.form(head.place(ellipse((0.0, -0.42), (0.2, 0.17), samples=32)), pen.look.hair)
        pen.crescent(bun, pen.unit_px * 0.1)


def _draw_cap(pen: Pen, head: _Skull, long: float) -> Part:
    """The hair's silhouette with pointed tips along its lower edge."""
    design, rng = pen.look.hair_design, pen.rng
    v = 0.44 + design.volume
    wide = 0.4 + 0.25 * design.volume + (0.08 if long > 0.7 else 0.0)
    tips = int(rng.integers(4, 8))
    knots: list[tuple[float, float]] = [
        (-0.43, 0.08),
        (-0.4, -0.25),
        (-0.22, -v + 0.02),
        (0.0, -v - 0.04),
        (0.22, -v + 0.02),
        (0.4, -0.25),
        (0.43, 0.08),
    ]
    sharp: list[int] = []
    xs = np.linspace(wide, -wide, 2 * tips + 1)
    for k, x in enumerate(xs):
        tip = k % 2 == 1
        drop = (
            long
            + (0.1 if tip else -0.03) * (0.4 + design.sharpness)
            + rng.normal(0, 0.02)
            - 0.12 * (x / wide) ** 2
        )
        if tip:
            sharp.append(len(knots))
        knots.append((float(x * (0.82 if long < 0.6 else 1.0)), float(drop)))
    shape = smooth(head.place(np.array(knots)), closed=True, per_span=5, sharp=sharp)
    part = pen.form(shape, pen.look.hair)
    pen.crescent(part, pen.unit_px * (0.06 + 0.25 * pen.look.shade_amount))
    pen.crescent(part, pen.unit_px * 0.08, deep=True)
    return part


def _draw_strands(pen: Pen, head: _Skull, part: Part, long: float) -> None:
    for _ in range(round((2 + 7 * pen.detail) * (0.4 + pen.look.hair_design.strands))):
        x = pen.rng.uniform(-0.9, 0.9)
        top, low = pen.rng.uniform(-0.1, 0.15), long - pen.rng.uniform(0.0, 0.15)
        line = np.array([[x * 0.25, top - 0.2], [x * 0.36, top], [x * 0.4, (top + low) / 2], [x * 0.38, low]])
        pen.ink(smooth(head.place(line)), part.paint, width=0.75, taper=(0.6, 0.25), within=part)


def _draw_tails(pen: Pen, head: _Skull, kind: str) -> None:
    """Bundles of hair: one in the middle or two at the sides."""
    reach = 0.3 + pen.look.hair_design.back_length * 0.6
    for s in (0,) if kind == "ponytail" else (-1, 1):
        x, y = s * 0.42, -0.12
        knots: Points = np.array(
            [
                [x - 0.06, y],
                [x - 0.16 + s * 0.1, y + reach * 0.4],
                [x + s * 0.22, y + reach + 0.2],
                [x + 0.14 + s * 0.14, y + reach * 0.5],
                [x + 0.06, y],
            ]
        )
        tail = pen.form(smooth(head.place(knots), closed=True, per_span=7, sharp=(2,)), pen.look.hair)
        pen.crescent(tail, pen.unit_px * (0.05 + 0.12 * pen.look.shade_amount))
