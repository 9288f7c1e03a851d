"""Hair behind the head: the mass at the nape, long hair, tails, buns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from douga.classes import DougaClass
from douga_training.simulate.curves import Points, ellipse, part, smooth
from douga_training.simulate.hair_locks import lock_width, paint_lock
from douga_training.simulate.hair_shape import FrontHair
from douga_training.simulate.head_pen import HeadPen
from douga_training.simulate.look import Look

_TAIL_AZIMUTH_DEG = 112.0


def draw_back_hair(
    pen: HeadPen, rng: np.random.Generator, look: Look, front: FrontHair, light: NDArray[np.float64]
) -> None:
    """Everything of the hair that the body or the head covers."""
    d = look.hair_design
    if d.back in ("ponytail", "twin", "bun"):
        _tied(pen, rng, look, front, light, near=False)
    length = {"bob": 0.42 + 0.12 * min(d.back_length, 1.5), "long": 0.55 + 0.75 * (d.back_length - 0.7)}.get(
        d.back, 0.36
    )
    _mass(pen, rng, look, front, float(max(length, 0.36)))


def draw_near_tails(
    pen: HeadPen, rng: np.random.Generator, look: Look, front: FrontHair, light: NDArray[np.float64]
) -> None:
    """Tails that hang in front of the head in this view."""
    if look.hair_design.back in ("ponytail", "twin", "bun"):
        _tied(pen, rng, look, front, light, near=True)


def _mass(pen: HeadPen, rng: np.random.Generator, look: Look, front: FrontHair, low: float) -> None:
    """The closed mass down to the hem at `low`, with tufts; its inside lies in shadow."""
    d, paint, space = look.hair_design, look.hair, pen.space
    yaw = float(np.degrees(space.yaw_rad))
    right = 0.1 if space.is_profile else float(space.around(90 - yaw, -0.1, d.volume * 0.6)[0, 0])
    left = float(space.around(-90 - yaw, -0.1, d.volume * 0.6)[0, 0])
    contour = _mass_contour(rng, look, right, left, low)
    # Up to the dome, so that no gap opens between face and front hair at the temples.
    dome = front.silhouette[front.silhouette[:, 1] < -0.1][::-1] * 0.97
    dome[:, 0] = np.minimum(dome[:, 0], 0.3 if space.is_profile else 1.0)
    area = pen.area(np.vstack([contour, dome]), paint.normal)
    long = d.back in ("bob", "long")
    if look.has_shadow and long and pen.px(1) > 45:
        pen.shade(area, _inner_shadow(right, left), paint.shade)
    elif look.has_shadow and not long:
        whole = np.array([(-2.0, -2.0), (2.0, -2.0), (2.0, 2.0), (-2.0, 2.0)])
        pen.tone(area, whole, paint.shade, DougaClass.SHADING_FILL, None)
    pen.line(contour, paint)
    if long and pen.px(1) > 80:
        for _ in range(int(3 + 6 * d.strands)):
            x = rng.uniform(left, right)
            bottom = low - rng.uniform(0.08, 0.2)
            top = max(bottom - rng.uniform(0.15, 0.6), 0.1)
            knots = [(x + 0.01, bottom), (x * 0.98 + 0.02 * d.waves, (bottom + top) / 2), (x * 0.95, top)]
            pen.line(smooth(knots, per_span=8), paint, width=0.85, taper=(0.1, 0.6), within=area)


def _mass_contour(rng: np.random.Generator, look: Look, right: float, left: float, low: float) -> Points:
    """From the right side of the head down, along the tufts of the hem, and up the left side."""
    d = look.hair_design
    long = d.back == "long"
    pinch = {"long": -0.06 * rng.random() - 0.1 * d.waves, "bob": 0.05}.get(d.back, 0.12)
    n = int(rng.integers(4, 9)) if d.back in ("bob", "long") else int(rng.integers(3, 6))
    xs = np.linspace(right - pinch, left + pinch, n + 1)
    droop = 0.0 if d.bangs == "straight" else 0.05
    lows = low + rng.normal(0, 0.06 if long else 0.02, n) - droop * np.abs(np.linspace(-1, 1, n))

    def side(top: float, end: float, out: float) -> list[tuple[float, float]]:
        knots = [(top, -0.1), (top + 0.02 * out, 0.12)]
        for s in np.linspace(0.25, 0.85, 4) if long else ():
            sway = 0.03 * out + 0.035 * d.waves * np.sin(s * 9 + out)
            knots.append((top + (end - top) * s + sway, 0.12 + (low - 0.12) * s))
        return knots

    knots = [*side(right, xs[0], 1.0), (xs[0], lows[0] - 0.1)]
    first = len(knots) - 1
    for i in range(n):
        knots += [
            (xs[i] * 0.4 + xs[i + 1] * 0.6, lows[i]),
            (xs[i + 1], lows[min(i + 1, n - 1)] - 0.05 - 0.07 * d.sharpness),
        ]
    last = len(knots) - 1
    knots += side(left, xs[-1], -1.0)[::-1]
    return smooth(knots, per_span=8, sharp=range(first + 1, last + 1))


def _inner_shadow(right: float, left: float) -> Points:
    """The shadow of head and neck on the hair behind them, with a zigzag hem."""
    middle = (right + left) / 2
    knots = [
        (right - 0.06, 0.0),
        (right - 0.09, 0.35),
        (right - 0.13, 0.62),
        (right - 0.2, 0.5),
        (middle + 0.08, 0.85),
        (middle, 0.6),
        (left + 0.2, 0.8),
        (left + 0.14, 0.5),
        (left + 0.09, 0.6),
        (left + 0.06, 0.0),
    ]
    return smooth(knots, closed=True, sharp=range(len(knots)), per_span=4)


def _tied(
    pen: HeadPen,
    rng: np.random.Generator,
    look: Look,
    front: FrontHair,
    light: NDArray[np.float64],
    *,
    near: bool,
) -> None:
    """Tails and buns at their places; near: those that show in front of the head, else those behind it."""
    d, space = look.hair_design, pen.space
    y = -0.38 + 0.5 * (1 - d.tail_height) if d.back == "ponytail" else -0.36 + 0.2 * (1 - d.tail_height)
    places = (
        [(180.0, -1.0)]
        if d.back == "ponytail" or (d.back == "bun" and d.part > 0)
        else [(-_TAIL_AZIMUTH_DEG, -1.0), (_TAIL_AZIMUTH_DEG, 1.0)]
    )
    for azimuth, side in places:
        towards = np.cos(np.radians(azimuth) + space.yaw_rad)
        if (towards > 0.25) != near:
            continue
        root = space.around(azimuth, y, d.volume * 0.6)[0]
        if d.back == "bun":
            _bun(pen, rng, look, root + (0.05 * np.sign(root[0]), -0.1 if azimuth == 180 else -0.08))
        else:
            out = float(np.sign(root[0])) if abs(root[0]) > 0.15 else (side if d.back == "twin" else -1.0)
            _tail(pen, rng, look, root, out, light)


def _bun(pen: HeadPen, rng: np.random.Generator, look: Look, centre: Points) -> None:
    r = rng.uniform(0.12, 0.19)
    shape = ellipse(centre, (r, r * rng.uniform(0.85, 1.0)))
    area = pen.area(shape, look.hair.normal)
    if look.has_shadow and pen.px(r) > 8:
        pen.shade(
            area,
            ellipse(centre - np.array(look.light_xy) * (-0.35 * r), (r, r)),
            look.hair.shade,
            inverse=True,
        )
    pen.line(shape, look.hair, closed=True)
    if pen.px(r) > 10:
        for k in (0.65, 0.35):
            swirl = part(
                ellipse(centre, (r * k, r * k), samples=32), rng.uniform(0, 0.3), rng.uniform(0.6, 0.95)
            )
            pen.line(swirl, look.hair, width=0.85, taper=(0.4, 0.4))


def _tail(
    pen: HeadPen, rng: np.random.Generator, look: Look, root: Points, out: float, light: NDArray[np.float64]
) -> None:
    """A bundle of locks that springs from its tie, bends and falls."""
    d = look.hair_design
    length = 0.35 + 0.55 * d.back_length
    locks = int(rng.integers(2, 5))
    bow = rng.uniform(0.08, 0.22)
    for i in range(locks):
        spread = (i - (locks - 1) / 2) * 0.09
        reach = length * rng.uniform(0.8, 1.05)
        spine = smooth(
            [
                root,
                root + (out * bow, -0.05 + 0.3 * abs(spread)),
                root + (out * (bow * 1.5 + spread), 0.3 * reach),
                root + (out * (bow * 1.2 + spread * 1.3 + 0.05 * d.waves), 0.65 * reach),
                root + (out * (bow * 0.9 + spread * 2), reach),
            ],
            per_span=10,
        )
        s = np.linspace(0, 1, len(spine))
        if d.waves > 0:
            spine = spine + np.stack([0.035 * d.waves * np.sin(s * 11 + i), 0 * s], 1)
        half = rng.uniform(0.05, 0.085) * lock_width(len(spine), root=0.35, tip=rng.uniform(0.4, 0.8))
        paint_lock(pen, rng, look, spine, half, light)
    tie = ellipse(root + (out * 0.03, 0), (0.045, 0.055))
    pen.area(tie, look.accent.normal)
    pen.line(tie, look.accent, closed=True)
