"""Single locks of hair: what tails, side locks and loose strands are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.curves import Points, part, resampled, ribbon, smooth
from douga_training.simulate.head_pen import HeadPen
from douga_training.simulate.look import Look


def paint_lock(
    pen: HeadPen,
    rng: np.random.Generator,
    look: Look,
    spine: Points,
    half: NDArray[np.float64],
    light: NDArray[np.float64],
) -> None:
    """A lock around its spine (root to tip): paint, one shaded side, a glint, its outline and strands inside.

    half: half width at each spine point, in head heights.
    """
    paint, d = look.hair, look.hair_design
    shape = ribbon(spine, half)
    area = pen.area(shape, paint.normal)
    wide_px = pen.px(float(half.max()))
    n = len(spine)
    if look.has_shadow and wide_px > 4:
        side = -1.0 if light[0] > 0 else 1.0
        s = np.linspace(0, 1, n)
        inner = spine + np.stack(
            [side * half * (0.55 - 0.8 * look.shade_amount + 0.35 * np.sin(s * 7 + n)), 0 * s], 1
        )
        pen.shade(area, np.vstack([inner, (inner + (side, 0.0))[::-1]]), paint.shade)
        if look.has_second_shadow:
            deep = inner + np.stack([side * half * 0.6, 0 * s], 1)
            pen.shade(area, np.vstack([deep, (deep + (side, 0.0))[::-1]]), paint.shade2)
    if look.has_highlights and d.shine != "none" and wide_px > 7 and rng.random() < 0.7:
        a = rng.uniform(0.12, 0.45)
        glint = resampled(part(spine, a, a + 0.18), 12)
        pen.light(area, ribbon(glint, 0.2 * half.max() * np.sin(np.pi * np.linspace(0, 1, 12))), paint.light)
    pen.line(np.vstack([shape[:n], shape[n:]]), paint)
    if wide_px > 8:
        for _ in range(1 + int(rng.integers(0, 2 + round(2 * d.strands)))):
            a = rng.uniform(0.15, 0.6)
            shift = rng.uniform(-0.5, 0.5)
            strand = spine + np.stack([shift * half, np.zeros(n)], 1)
            pen.line(
                part(strand, a, min(a + rng.uniform(0.15, 0.4), 0.98)), paint, width=0.8, taper=(0.5, 0.5)
            )


def lock_width(samples: int, *, root: float = 0.35, tip: float = 0.45) -> NDArray[np.float64]:
    """Width along a lock: it swells from a share `root` to 1 and closes over the last share `tip`."""
    s = np.linspace(0, 1, samples)
    return np.minimum(1.0, root + (1 - root) * s / 0.25) * np.clip((1 - s) / tip, 0, 1) ** 0.75


def draw_side_locks(pen: HeadPen, rng: np.random.Generator, look: Look, light: NDArray[np.float64]) -> None:
    """Long locks in front of the ears. Drawn before the cap, which hides their roots."""
    d, space = look.hair_design, pen.space
    if d.side_length < 0.6:
        return
    for side in (1.0, -1.0):
        azimuth = side * (62.0 + 18.0 * space.turn)
        shown = np.cos(np.radians(azimuth) + space.yaw_rad)
        if shown < -0.25 and not (side > 0 and space.turn < 0.6):
            continue
        root = space.around(azimuth, -0.2, d.volume * 0.5)[0]
        low = -0.2 + d.side_length * rng.uniform(0.92, 1.05) * 1.05
        width = d.side_width * (0.65 + 0.35 * abs(shown))
        outward = float(np.sign(root[0])) or 1.0
        for k in range(int(rng.integers(1, 3))):
            rim = 0.385 + 0.7 * d.volume - 0.45 * width
            x = float(np.clip(root[0] - outward * 0.01 + outward * k * width * 0.7, -rim, rim))
            sway = rng.normal(0, 0.02)
            knots = [
                (x, -0.22),
                (x + outward * 0.015, 0.1),
                (x - outward * 0.02 + sway, 0.1 + 0.5 * (low - 0.1)),
                (x + outward * rng.normal(0.0, 0.04) + sway, low - 0.1 * k),
            ]
            spine = smooth(knots, per_span=12)
            s = np.linspace(0, 1, len(spine))
            spine = spine + np.stack([0.03 * d.waves * np.sin(s * 10 + 2 * k) * s, 0 * s], 1)
            paint_lock(pen, rng, look, spine, 0.5 * width * lock_width(len(spine), root=0.7), light)
