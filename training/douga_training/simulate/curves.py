"""Smooth curves for drawn shapes. Functions take and give (N, 2) float64 points, x right and y down."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
Xy = Sequence[float] | NDArray[np.float64]


def points(*xy: Xy) -> Points:
    """Points from literal pairs."""
    return np.array(xy, np.float64)


def smooth(
    knots: ArrayLike, *, closed: bool = False, per_span: int = 10, sharp: Sequence[int] = ()
) -> Points:
    """Centripetal-like Catmull-Rom curve through the knots.

    closed: joins the last knot to the first (the first point is not repeated). per_span: samples between two
    knots. sharp: indices of knots that keep a corner.
    """
    k = np.asarray(knots, np.float64).reshape(-1, 2)
    n = len(k)
    if n < 3:
        return k.copy() if n < 2 else k[0] + (k[1] - k[0]) * np.linspace(0, 1, per_span + 1)[:, None]
    before, after = np.roll(k, 1, 0), np.roll(k, -1, 0)
    d0 = np.sqrt(np.linalg.norm(k - before, axis=1, keepdims=True)) + 1e-9
    d1 = np.sqrt(np.linalg.norm(after - k, axis=1, keepdims=True)) + 1e-9
    # Tangents of the centripetal parameter, which neither loops nor overshoots at uneven knots.
    slope = (k - before) / d0 - (after - before) / (d0 + d1) + (after - k) / d1
    out_t, in_t = slope * d1, slope * d0
    if not closed:
        out_t[0], in_t[-1] = k[1] - k[0], k[-1] - k[-2]
    for i in sharp:
        out_t[i] = after[i] - k[i]
        in_t[i] = k[i] - before[i]
    spans = n if closed else n - 1
    t = (np.arange(per_span) / per_span)[None, :, None]
    a, b = k[:spans, None], np.roll(k, -1, 0)[:spans, None]
    ta, tb = out_t[:spans, None], np.roll(in_t, -1, 0)[:spans, None]
    t2, t3 = t * t, t * t * t
    curve = (2 * t3 - 3 * t2 + 1) * a + (t3 - 2 * t2 + t) * ta + (3 * t2 - 2 * t3) * b + (t3 - t2) * tb
    curve = curve.reshape(-1, 2)
    return curve if closed else np.vstack([curve, k[-1:]])


def bezier(*controls: Xy, samples: int = 24) -> Points:
    """Quadratic (3 points) or cubic (4 points) Bezier curve."""
    t = np.linspace(0, 1, samples)[:, None]
    level: list[Points] = [np.asarray(c, np.float64) + 0 * t for c in controls]
    while len(level) > 1:
        level = [a * (1 - t) + b * t for a, b in itertools.pairwise(level)]
    return level[0]


def ellipse(centre_xy: Xy, radii_xy: Xy, *, angle_rad: float = 0.0, samples: int = 48) -> Points:
    """Closed ellipse."""
    t = np.arange(samples) * (2 * np.pi / samples)
    p = np.stack([np.cos(t) * radii_xy[0], np.sin(t) * radii_xy[1]], 1)
    return rotated(p, angle_rad) + np.asarray(centre_xy, np.float64)


def rotated(shape: ArrayLike, angle_rad: float, about_xy: Xy = (0.0, 0.0)) -> Points:
    """Turn clockwise as seen on screen (y down)."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    about = np.asarray(about_xy, np.float64)
    return (np.asarray(shape, np.float64) - about) @ np.array([[c, s], [-s, c]]) + about


def mirrored(shape: ArrayLike, axis_x: float = 0.0) -> Points:
    """Mirror left and right about a vertical axis; the order of points is kept."""
    p = np.array(shape, np.float64)
    p[:, 0] = 2 * axis_x - p[:, 0]
    return p


def normals(line: ArrayLike) -> Points:
    """Unit normals of a polyline, to the right of its direction on screen (y down)."""
    p = np.asarray(line, np.float64)
    d = np.gradient(p, axis=0)
    d /= np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1e-9)
    return np.stack([-d[:, 1], d[:, 0]], 1)


def offset(line: ArrayLike, distance: float | ArrayLike) -> Points:
    """Shift an open polyline along its normals, by one distance or one for each point."""
    p = np.asarray(line, np.float64)
    return p + normals(p) * np.asarray(distance, np.float64).reshape(-1, 1)


def ribbon(spine: ArrayLike, half_width: ArrayLike) -> Points:
    """Closed outline of a band around a spine; half_width for each spine point (0 makes a tip)."""
    return np.vstack([offset(spine, half_width), offset(spine, -np.asarray(half_width, np.float64))[::-1]])


def lengths(line: ArrayLike) -> NDArray[np.float64]:
    """Length along the polyline up to each point."""
    p = np.asarray(line, np.float64)
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])


def resampled(line: ArrayLike, samples: int) -> Points:
    """The same polyline with evenly spaced points."""
    p = np.asarray(line, np.float64)
    at = lengths(p)
    goal = np.linspace(0, at[-1], samples)
    return np.stack([np.interp(goal, at, p[:, 0]), np.interp(goal, at, p[:, 1])], 1)


def part(line: ArrayLike, start: float, end: float) -> Points:
    """The part of a polyline between two shares (0 to 1) of its length, evenly sampled."""
    p = np.asarray(line, np.float64)
    at = lengths(p)
    goal = np.linspace(start * at[-1], end * at[-1], max(8, len(p)))
    return np.stack([np.interp(goal, at, p[:, 0]), np.interp(goal, at, p[:, 1])], 1)
