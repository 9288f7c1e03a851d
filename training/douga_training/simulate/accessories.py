"""Things worn on the head: ribbons, pins, bands, hats, glasses, earrings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.colours import mix
from douga_training.simulate.curves import Points, Xy, ellipse, resampled, ribbon, smooth
from douga_training.simulate.eyes import Eye
from douga_training.simulate.hair_shape import FrontHair, meridian
from douga_training.simulate.head_pen import HeadPen
from douga_training.simulate.look import Look


def draw_bow(pen: HeadPen, look: Look, centre_xy: Xy, size: float, angle_rad: float = 0.0) -> None:
    """A tied ribbon: two loops, two tails, a knot."""
    paint = look.accent
    c, s = np.cos(angle_rad), np.sin(angle_rad)

    def put(shape: Points) -> Points:
        placed: Points = shape @ np.array([[c, s], [-s, c]]) * size + np.asarray(centre_xy, np.float64)
        return placed

    for side in (-1.0, 1.0):
        tail = smooth(
            [(0.05, 0.05), (0.5, 0.6), (0.62, 1.15), (0.35, 1.0), (0.18, 1.12), (0.15, 0.5)],
            closed=True,
            sharp=(0, 2, 3, 4),
            per_span=6,
        ) * (side, 1.0)
        _piece(pen, look, put(tail))
        loop = smooth(
            [(0.05, 0.0), (0.5, -0.45), (1.0, -0.5), (1.08, 0.0), (0.95, 0.42), (0.5, 0.3)],
            closed=True,
            sharp=(0,),
            per_span=6,
        ) * (side, 1.0)
        area = pen.area(put(loop), paint.normal)
        if look.has_shadow and pen.px(size) > 9:
            inner = smooth(
                [(0.1, 0.02), (0.6, -0.05), (0.95, 0.1), (0.9, 0.5), (0.4, 0.45)], closed=True, per_span=5
            )
            pen.shade(area, put(inner * (side, 1.0)), paint.shade)
        pen.line(put(loop), paint, closed=True)
        if pen.px(size) > 16:
            pen.line(
                put(smooth([(0.15 * side, -0.02), (0.4 * side, -0.12), (0.62 * side, -0.15)])),
                paint,
                width=0.8,
                taper=(0.1, 0.6),
            )
    _piece(pen, look, put(ellipse((0, 0), (0.2, 0.24))))


def _piece(pen: HeadPen, look: Look, shape: Points) -> None:
    pen.area(shape, look.accent.normal)
    pen.line(shape, look.accent, closed=True)


def draw_on_hair(
    pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair, extras: tuple[str, ...]
) -> None:
    """Everything that sits on the front hair."""
    space, volume = pen.space, look.hair_design.volume
    yaw = float(np.degrees(space.yaw_rad))
    side = -1.0 if space.turn > 0.35 else float(rng.choice([-1.0, 1.0]))

    def on(azimuth: float, share: float) -> NDArray[np.float64]:
        flow = resampled(
            meridian(space, hair.crown_xy, space.around(azimuth - yaw, 0.0, volume * 0.8)[0])[::-1], 240
        )
        spot: NDArray[np.float64] = flow[int(np.clip(share, 0, 1) * 239)]
        return spot

    if "band" in extras and "hat" not in extras:
        high = rng.uniform(0.3, 0.5)
        line = np.array([on(a, high + 0.25 * (abs(a) / 85) ** 2) for a in np.linspace(-85, 85, 21)])
        shape = ribbon(smooth(line, per_span=4), 0.014 + 0.02 * rng.random())
        area = pen.area(shape, look.accent.normal)
        if look.has_shadow and pen.px(0.03) > 6:
            pen.shade(area, shape + (0.0, 0.02), look.accent.shade)
        pen.line(shape, look.accent, closed=True)
    if "hairpin" in extras and pen.px(1) > 70:
        at = on(side * rng.uniform(25, 50), rng.uniform(0.68, 0.85))
        _hairpin(pen, rng, look, at)
    if "ribbon" in extras:
        at = on(side * rng.uniform(35, 70), rng.uniform(0.15, 0.55))
        draw_bow(pen, look, at, float(rng.uniform(0.09, 0.18)), side * rng.uniform(0.0, 0.6))
    if "hat" in extras:
        _hat(pen, rng, look, hair)


def _hairpin(pen: HeadPen, rng: np.random.Generator, look: Look, at: NDArray[np.float64]) -> None:
    kind = int(rng.integers(0, 3))
    if kind == 0:
        for step in (0.0, 0.035):
            bar = ribbon(np.array([at + (-0.04, step), at + (0.04, step - 0.03)]), 0.009)
            pen.area(bar, look.accent.normal)
            pen.line(bar, look.accent, width=0.8, closed=True)
        return
    points = 5 if kind == 1 else 8
    turn = np.arange(points * 2) * np.pi / points + rng.random()
    radius = np.where(np.arange(points * 2) % 2, 0.055, 0.026 if kind == 1 else 0.04)
    star = np.stack([np.cos(turn) * radius, np.sin(turn) * radius], 1) + at
    shape = star if kind == 1 else smooth(star, closed=True, per_span=4)
    area = pen.area(shape, look.accent.normal)
    if kind == 2:
        pen.colour(area, ellipse(at, (0.018, 0.018)), mix(look.accent.light, (255, 230, 120), 0.5))
    pen.line(shape, look.accent, width=0.9, closed=True)


def _hat(pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair) -> None:
    """A cap or a brimmed hat over the upper part of the hair."""
    paint = look.accent if rng.random() < 0.5 else look.jacket
    xs = hair.silhouette[:, 0]
    left, right = float(xs.min()), float(xs.max())
    mid, half = (left + right) / 2, (right - left) / 2 + 0.02
    level, top = -0.24 + rng.normal(0, 0.02), -0.62 - rng.uniform(0.02, 0.12)
    lean = 0.12 * pen.space.turn
    crown = smooth(
        [
            (mid - half, level),
            (mid - half * 0.97, (level + top) / 2),
            (mid - half * 0.5, top + 0.02),
            (mid, top - 0.02),
            (mid + half * 0.5, top + 0.02),
            (mid + half * 0.97, (level + top) / 2),
            (mid + half, level),
            (mid + lean, level + 0.07),
        ],
        closed=True,
        sharp=(0, 6),
        per_span=8,
    )
    area = pen.area(crown, paint.normal)
    if look.has_shadow:
        pen.shade(
            area,
            crown - np.array([0.1 * np.sign(pen.space.direction(look.light_xy)[0]), -0.03]) * (-1, 1),
            paint.shade,
            inverse=True,
        )
    pen.line(crown, paint, closed=True)
    if rng.random() < 0.5:  # visor of a cap, towards the face
        brim = [
            (mid + lean * 2 - 0.2, level + 0.05),
            (mid + lean * 3, level + 0.03),
            (mid + lean * 4 + 0.22, level + 0.05),
            (mid + lean * 4.5 + 0.14, level + 0.15),
            (mid + lean * 4, level + 0.18),
            (mid + lean * 2.5 - 0.14, level + 0.15),
        ]
    else:
        out = 0.14 + 0.15 * rng.random()
        brim = [
            (mid - half - out, level + 0.04),
            (mid, level - 0.02),
            (mid + half + out, level + 0.04),
            (mid + lean, level + 0.17),
        ]
    shape = smooth(brim, closed=True, sharp=(0, 2), per_span=10)
    visor = pen.area(shape, paint.normal)
    if look.has_shadow:
        pen.shade(visor, shape + (0.0, 0.06), paint.shade)
    pen.line(shape, paint, closed=True)


def draw_glasses(pen: HeadPen, look: Look, pair: list[Eye], ear_x: float) -> None:
    """Rims as lines; the lenses are clear, with a glint now and then."""
    ink = mix(look.accent.shade2, (20, 20, 24), 0.5)
    round_lens = look.face.cheek > 0.5
    lenses = []
    for eye in pair:
        w, h = eye.w * 0.68 + 0.01, eye.h * 0.62 + 0.012
        if round_lens:
            lens = ellipse((eye.x, eye.y + 0.01), (w, max(w, h) * 0.92))
        else:
            lens = smooth(
                [(-w, -h * 0.8), (0, -h), (w, -h * 0.8), (w * 0.9, h * 0.7), (0, h), (-w * 0.9, h * 0.7)],
                closed=True,
                per_span=8,
            ) + (eye.x, eye.y + 0.01)
        lenses.append((eye, w))
        pen.line(lens, ink, width=1.25, closed=True)
    if len(pair) == 2:
        (far, wf), (near, wn) = lenses
        left, right = near.x + wn, far.x - wf
        if right > left:
            pen.line(
                smooth([(left, near.y), ((left + right) / 2, near.y - 0.02), (right, near.y)]), ink, width=1.2
            )
    near, wn = lenses[-1]
    pen.line(np.array([(near.x - wn, near.y - 0.02), (ear_x, near.y - 0.04)]), ink, width=1.2)


def draw_earring(pen: HeadPen, look: Look, ear_xy: Sequence[float]) -> None:
    """A drop at the ear lobe."""
    if pen.px(1) < 90:
        return
    shape = ellipse((ear_xy[0], ear_xy[1] + 0.03), (0.014, 0.026))
    area = pen.area(shape, look.accent.normal)
    pen.light(area, ellipse((ear_xy[0] - 0.003, ear_xy[1] + 0.02), (0.004, 0.008)), (255, 255, 255))
    pen.line(shape, look.accent, width=0.8, closed=True)
