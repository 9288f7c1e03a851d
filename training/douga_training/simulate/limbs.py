"""Arms and legs: outlines of bent limbs, sleeves and trouser legs around them, feet, and the shadow along
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, ellipse, normals, resampled, smooth
from douga_training.simulate.pen import Part, Pen


@dataclass(frozen=True)
class Limb:
    """A limb of two bones. joints: (3, 2) frame pixels. along, half_px: half width at positions 0 (root) over
    1 (elbow or knee) to 2 (wrist or ankle); positions must rise."""

    joints: Points
    along: tuple[float, ...]
    half_px: tuple[float, ...]

    def half(self, s: float) -> float:
        """Half width at a position."""
        return float(np.interp(s, self.along, self.half_px))

    def at(self, s: float) -> Points:
        """Point of the bones at a position, 0 to 2."""
        i = 0 if s < 1 else 1
        return self.joints[i] + (self.joints[i + 1] - self.joints[i]) * (s - i)

    def wider(self, *changes: tuple[float, float]) -> Limb:
        """The same limb in cloth: changes are (position, half width to add)."""
        knots = np.unique([*self.along, *(c[0] for c in changes)])
        extra = np.interp(knots, [c[0] for c in changes], [c[1] for c in changes])
        return Limb(
            self.joints, tuple(knots), tuple(self.half(s) + e for s, e in zip(knots, extra, strict=True))
        )

    @property
    def bend(self) -> float:
        """Turn of the lower bone against the upper one in radians, clockwise on screen."""
        return self._bones()[2]

    def _bones(self) -> tuple[Points, Points, float]:
        """Unit normals (to the right of the direction on screen) of both bones, and the bend in radians."""
        d = np.diff(self.joints, axis=0)
        d = d / np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1e-6)
        n = np.stack([-d[:, 1], d[:, 0]], 1)
        bend = float(np.arctan2(d[0, 0] * d[1, 1] - d[0, 1] * d[1, 0], d[0] @ d[1]))
        return n[0], n[1], bend

    def side(self, sign: int, start: float = 0.0, end: float = 2.0) -> Points:
        """One contour from position start to end; sign +1 lies to the right of the limb's direction on
        screen.
        """
        n0, n1, bend = self._bones()
        size = np.maximum(np.linalg.norm(np.diff(self.joints, axis=0), axis=1), 1e-6)
        inner = sign * bend > 0
        tangent = np.tan(min(abs(bend), 2.6) / 2) * self.half(1.0) if inner else 0.0
        knots, sharp = [], []
        for s in sorted({start, end, *(k for k in (0.0, 0.3, 0.65, 1.0, 1.25, 1.6, 2.0) if start < k < end)}):
            gap = abs(s - 1.0) * size[0 if s < 1 else 1]
            if inner and s not in (1.0, start, end) and gap < tangent * 1.15:
                continue
            if s == 1.0:
                knots.append(self._corner(sign, n0, n1, bend if inner else 0.0, size))
                if inner and abs(bend) > 1.0:
                    sharp.append(len(knots) - 1)
            else:
                knots.append(self.at(s) + sign * (n0 if s < 1 else n1) * self.half(s))
        return smooth(np.array(knots), per_span=6, sharp=[i for i in sharp if 0 < i < len(knots) - 1])

    def _corner(self, sign: int, n0: Points, n1: Points, bend: float, size: Points) -> Points:
        middle = n0 + n1
        middle = middle / max(float(np.linalg.norm(middle)), 1e-6)
        reach = self.half(1.0) / max(np.cos(bend / 2), 0.25)
        return self.joints[1] + sign * middle * min(reach, 0.75 * float(size.min()) + 1e-6)

    def outline(self, start: float = 0.0, end: float = 2.0, *, cap: float = 0.0, hem: float = 0.15) -> Points:
        """Closed outline. cap: how far the root is rounded off; hem: how far the end bulges (shares of
        widths).
        """
        right, left = self.side(1, start, end), self.side(-1, start, end)
        return np.vstack(
            [right, self.end_curve(end, hem)[1:-1], left[::-1], self.end_curve(start, -cap)[::-1][1:-1]]
        )

    def end_curve(self, s: float, bulge: float) -> Points:
        """Curve across the limb from its right to its left side, bulging along the limb."""
        n0, n1, _ = self._bones()
        n = n0 if s < 1 else n1
        along, h = np.array([n[1], -n[0]]), self.half(s)
        t = np.linspace(0, np.pi, 13)
        return self.at(s) + np.cos(t)[:, None] * n * h + (np.sin(t) * bulge * h)[:, None] * along

    def dark_side(self, light: Points) -> int:
        """The sign of the contour that lies away from the light."""
        n0, n1, _ = self._bones()
        return -1 if float((n0 + n1) @ light) > 0 else 1


def shade_limb(pen: Pen, part: Part, limb: Limb, *, start: float = 0.1, end: float = 2.0) -> None:
    """Shadow along the side away from the light, with a swelling or jagged border; sometimes highlights."""
    amount = pen.look.shade_amount
    sign = limb.dark_side(pen.light)
    cover = float(pen.rng.uniform(0.1, 0.35) + 0.75 * amount)
    edge, far = limb.side(sign, start, end), limb.side(-sign, start, end)
    edge, far = resampled(edge, 28), resampled(far, 28)
    part.shades.append((_band(pen, edge, far, cover), False))
    part.deep.append((_band(pen, edge, far, cover * 0.45), False))
    if pen.chance(0.25) and pen.detail > 0.3:
        a, b = sorted(pen.rng.uniform(0.1, 0.9, 2))
        i, j = int(a * 27), max(int(b * 27), int(a * 27) + 4)
        light = far[i:j] + (edge[i:j] - far[i:j]) * 0.16
        width = 0.12 * np.sin(np.linspace(0, np.pi, len(light)))[:, None]
        part.lights.append(np.vstack([light, (light + (edge[i:j] - far[i:j]) * width)[::-1]]))


def _band(pen: Pen, edge: Points, far: Points, cover: float) -> Points:
    """Area between a contour and an uneven line some way across to the other one."""
    t = np.linspace(0, 1, len(edge))
    wave = sum(np.sin(2 * np.pi * (t * f + pen.rng.random())) / f for f in (1, 2, 3))
    if pen.chance(0.4):
        phase = (t * pen.rng.integers(2, 6) + pen.rng.random()) % 1.0
        wave = wave * 0.5 + phase * 0.9 - 0.4
    share = np.clip(cover * 0.5 * (1 + 0.45 * np.asarray(wave)), 0.0, 0.92) * np.clip(t * 7, 0, 1)
    out = edge + (edge - far) * 0.08
    return np.vstack([out, (edge + (far - edge) * share[:, None])[::-1]])


def draw_tube(
    pen: Pen,
    limb: Limb,
    paint: Swatch,
    *,
    start: float = 0.0,
    end: float = 2.0,
    cap: float = 0.8,
    lines_from: tuple[float, float] = (0.0, 0.0),
    hem_line: bool = True,
    hem: float = 0.18,
    folds: float = 0.0,
) -> Part:
    """A limb, sleeve or leg: paint, outline of both sides, hem, folds and shadow.

    lines_from: position where the (right, left) contour starts to be inked. folds: 0 bare skin to 1 loose
    cloth.
    """
    part = pen.fill(limb.outline(start, end, cap=cap, hem=hem if hem_line else 0.0), paint)
    for sign, first in zip((1, -1), lines_from, strict=True):
        pen.ink(limb.side(sign, max(first, start), end), paint)
    if hem_line:
        pen.ink(limb.end_curve(end, hem), paint)
    draw_folds(pen, part, limb, start, end, folds)
    shade_limb(pen, part, limb, start=start + 0.08 * (end - start), end=end)
    return part


def ink_cap(pen: Pen, part: Part, limb: Limb, trunk: Points, cap: float, *, seam: float) -> None:
    """Ink the rounded root of a limb where it stands out of the trunk, so that both share one outline.

    trunk: (N, 2) outline of what the limb grows from, in pixels. seam: share of the root's line
    on the trunk that is inked, from the armpit on.
    """
    arc = np.vstack(
        [limb.side(1, 0.0, 0.45)[::-1], limb.end_curve(0.0, -cap)[1:-1], limb.side(-1, 0.0, 0.45)]
    )
    arc = resampled(arc, 60)
    polygon = trunk.astype(np.float32).reshape(-1, 1, 2)
    outside = np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), False) < 0 for x, y in arc])
    runs = np.split(np.arange(60), np.nonzero(np.diff(outside))[0] + 1)
    for run in runs:
        line = arc[max(run[0] - 1, 0) : run[-1] + 2]
        if len(line) < 3:
            continue
        if outside[run[0]]:
            pen.ink(line, part.paint)
            continue
        if run[0] == 0:  # the fold of the armpit runs out on the trunk
            pen.ink(line[: max(3, round(len(line) * seam))], part.paint, taper=(0.0, 0.7))
        if run[-1] == 59:
            pen.ink(line[::-1][: max(3, round(len(line) * seam))], part.paint, taper=(0.0, 0.7))
    beside = arc - normals(arc) * (2.0 * pen.style.width_px)
    foreign = pen.differs(beside, part.paint) & ~outside
    for i in np.nonzero(foreign[1:] & foreign[:-1])[0]:  # the root lies on another paint: a line parts them
        pen.ink(arc[i : i + 2], part.paint)


def draw_folds(pen: Pen, part: Part, limb: Limb, start: float, end: float, amount: float) -> None:
    """Lines from the crease of the joint, and pulls along the cloth."""
    n0, n1, bend = limb._bones()
    inner = 1 if bend > 0 else -1
    if start < 0.9 and end > 1.1 and abs(bend) > 0.35:
        crease = limb._corner(inner, n0, n1, bend, np.linalg.norm(np.diff(limb.joints, axis=0), axis=1))
        for _ in range(1 + round(amount * 2 * pen.detail)):
            s = 1.0 + pen.rng.normal(0, 0.09 + 0.12 * amount)
            goal = limb.at(float(np.clip(s, start, end))) - inner * (n0 + n1) / 2 * limb.half(
                1.0
            ) * pen.rng.uniform(-0.1, 0.7)
            bow = (goal - crease)[::-1] * np.array([-1, 1]) * pen.rng.normal(0, 0.14)
            pen.fold(smooth(np.array([crease, (crease + goal) / 2 + bow, goal])), part)
    for _ in range(round(amount * pen.detail * pen.rng.uniform(0, 5))):
        s = float(pen.rng.uniform(start + 0.15 * (end - start), end - 0.05))
        sign = int(pen.rng.choice([-1, 1]))
        n = n0 if s < 1 else n1
        along = np.array([n[1], -n[0]])
        a = limb.at(s) + sign * n * limb.half(s)
        b = (
            a
            - sign * n * limb.half(s) * pen.rng.uniform(0.5, 1.3)
            + along * limb.half(s) * pen.rng.normal(0, 0.7)
        )
        bow = along * limb.half(s) * pen.rng.normal(0, 0.25)
        pen.fold(smooth(np.array([a, (a + b) / 2 + bow, b])), part)


def band_patch(pen: Pen, base: Part, limb: Limb, paint: Swatch, start: float, end: float) -> None:
    """A stripe around a limb (border of a sock, ring of a sleeve): its border is a colour edge."""
    if pen.unit_px < 26:
        return
    right, left = limb.side(1, start, end), limb.side(-1, start, end)
    shape = np.vstack(
        [right, limb.end_curve(end, 0.15)[1:-1], left[::-1], limb.end_curve(start, 0.15)[::-1][1:-1]]
    )
    pen.patch(base, shape, paint)
    for side in (right, left):
        pen.ink(side, base.paint)


def draw_foot(pen: Pen, corners: Points, ankle: Limb, paint: Swatch, sole: Swatch, kind: str) -> Part:
    """A shoe. corners: (6, 2) px: heel, left ball, right ball, toe on the ground; instep; ankle's middle.

    kind: "shoe", "sneaker", "boot", "loafer", "bare".
    """
    heel, ball_l, ball_r, toe, instep, _ = corners
    wide = ankle.half(2.0) * (1.05 if kind == "bare" else 1.25)
    cloud = np.vstack(
        [
            ellipse(heel, (wide * 0.85, wide * 0.6), samples=10),
            ellipse(ball_l, (wide * 0.45, wide * 0.4), samples=8),
            ellipse(ball_r, (wide * 0.45, wide * 0.4), samples=8),
            ellipse(toe, (wide * 0.55, wide * 0.42), samples=8),
            ellipse(instep, (wide * 0.8, wide * 0.7), samples=8),
            ankle.end_curve(1.93, 0.0),
        ]
    )  # fmt: skip
    hull = cv2.convexHull(cloud.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    shape = smooth(resampled(np.vstack([hull, hull[:1]]), 22)[:-1], closed=True, per_span=3)
    part = pen.form(shape, paint)
    pen.crescent(part, wide * (0.3 + 0.7 * pen.look.shade_amount), ragged=0.2)
    if kind == "bare" or pen.detail < 0.12:
        return part
    low = float(np.percentile(shape[:, 1], 100))
    if kind in ("sneaker", "shoe") and pen.chance(0.8):
        _draw_sole(pen, part, shape, sole, low, wide)
    if pen.detail > 0.35 and kind != "boot":
        mouth = smooth(np.array([heel * 0.35 + corners[5] * 0.65, instep, (toe + instep) / 2]))
        pen.fold(mouth, part, both=True)
    return part


def _draw_sole(pen: Pen, part: Part, shape: Points, sole: Swatch, low: float, wide: float) -> None:
    """The sole: the lowest strip of the shoe, with a line above it."""
    under = shape[:, 1] > low - wide * 0.42
    if under.sum() < 4:
        return
    strip = shape[under]
    strip = strip[np.argsort(strip[:, 0])]
    x = np.linspace(strip[0, 0], strip[-1, 0], 16)
    bottom = np.array(
        [[v, shape[np.abs(shape[:, 0] - v) < wide * 0.3, 1].max(initial=low - wide)] for v in x]
    )
    line = smooth(bottom - np.array([0.0, wide * 0.4]), per_span=3)
    pen.ink(line, part.paint, width=0.85, within=part)


def jag(line: Points, rng: np.random.Generator, depth_px: float) -> Points:
    """A free uneven edge, as of torn or heavily folded cloth."""
    t = np.linspace(0, 1, len(line))
    wave = sum(np.sin(2 * np.pi * (t * f + rng.random())) / f for f in (2, 3, 5))
    return line + normals(line) * (depth_px * np.asarray(wave))[:, None]


def nearest_first(limbs: Sequence[Points]) -> list[int]:
    """Indices of limbs from the farthest to the nearest, by the mean nearness of their two lower joints."""
    return sorted(range(len(limbs)), key=lambda i: float(np.mean(limbs[i][1:])))
