"""The inside of cars: smooth outlines that are easily taken for lines of a cel."""

from __future__ import annotations

import numpy as np

from douga.types import U8
from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.light import blend
from douga_training.simulate.sheet import Points, Rgb

Outline = list[tuple[float, float]]  # shares of the picture's width and height
Tones = tuple[Rgb, Rgb, Rgb, Rgb]  # dark, middle, lit, and the pale rims


def _curve(points: Outline, size_wh: tuple[int, int], flip: bool) -> Points:
    """Closed smooth outline (Catmull-Rom) through points given as shares of the picture."""
    p = np.array(points, np.float64)
    if flip:
        p[:, 0] = 1 - p[:, 0]
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
    a, b, c, d = before[:, None], p[:, None], after[:, None], beyond[:, None]
    line = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return line.reshape(-1, 2) * size_wh


def car_interior(easel: Easel, outside: U8) -> None:
    """Inside a car, towards the seats or the dashboard. outside: what the windows show, (H, W, 3)."""
    rng, light = easel.rng, easel.light
    easel.rgb[:] = outside
    own = rgb_of(rng.uniform(0, 0.7), rng.uniform(0.0, 0.35), rng.uniform(0.15, 0.7))
    rim = light.lit(blend(own, (255, 255, 255), 0.5), 0.9)
    tones = (light.lit(own, 0.0), light.lit(own, 0.45), light.lit(own, 0.95), rim)
    if rng.random() < 0.5:
        _towards_seats(easel, tones)
    else:
        _towards_dash(easel, tones)
    w, h = easel.size_wh
    glare = np.array([[0.2, 0], [0.35, 0], [0.15, 1], [0.0, 1]]) * (w, h) + np.array(
        [rng.uniform(0, 0.6) * w, 0]
    )
    easel.soft_shape(glare, (255, 255, 255), rng.uniform(0, 0.15), 4 * easel.unit_px)


def _part(easel: Easel, outline: Outline, colour: Rgb, flip: bool = False) -> None:
    easel.shape(_curve(outline, easel.size_wh, flip), colour)


def _block(left: float, top: float, right: float, low: float, flare: float = 0.0) -> Outline:
    """Four corners; the lower ones stand out by `flare`."""
    return [(left, top), (right, top), (right + flare, low), (left - flare, low)]


def _towards_seats(easel: Easel, tones: Tones) -> None:
    """From the dashboard backwards: roof lining, rear window, pillars, doors, then the two front seats."""
    rng, size = easel.rng, easel.size_wh
    dark, middle, lit, rim = tones
    top, low, edge = rng.uniform(0.1, 0.25), rng.uniform(0.5, 0.62), rng.uniform(0.08, 0.15)
    roof = [
        (-0.1, -0.1),
        (1.1, -0.1),
        (1.1, 0.05),
        (1 - edge, top),
        (0.5, top - 0.03),
        (edge, top),
        (-0.1, 0.05),
    ]
    _part(easel, roof, blend(lit, (255, 255, 255), 0.25))
    for flip in (False, True):
        pillar = [
            (edge - 0.04, top - 0.03),
            (edge + 0.03, top),
            (edge - 0.02, low),
            (edge - 0.13, low + 0.05),
        ]
        easel.shape(np.array([(1 - x if flip else x, y) for x, y in pillar]) * size, middle)
        door = [(-0.1, low), (edge - 0.1, low + 0.02), (edge - 0.04, 1.1), (-0.1, 1.1)]
        _part(easel, door, dark if flip else middle, flip)
        easel.line(_curve(door, size, flip)[2:12], rim, 5 * easel.unit_px)
    _part(easel, [(0.1, low + 0.06), (0.5, low), (0.9, low + 0.06), (1.0, 1.1), (0.0, 1.1)], dark)
    for flip in (False, True):
        _seat(easel, (rng.uniform(0.2, 0.3), rng.uniform(0.28, 0.42)), tones, flip)


def _seat(easel: Easel, top_xy: tuple[float, float], tones: Tones, flip: bool) -> None:
    """A front seat seen from the front: back, inlay, head rest on two posts, and the belt of the driver's."""
    dark, middle, lit, rim = tones
    x, y = top_xy
    for dx in (-0.03, 0.03):
        _part(easel, _block(x + dx - 0.004, y + 0.1, x + dx + 0.004, y + 0.2), rim, flip)
    shoulders = [(x - 0.12, y + 0.2), (x, y + 0.16), (x + 0.12, y + 0.2)]
    back = [*shoulders, (x + 0.17, 0.8), (x + 0.16, 1.15), (x - 0.17, 1.15), (x - 0.17, 0.8)]
    _part(easel, back, middle, flip)
    _part(easel, [(x + (a - x) * 0.62, y + 0.06 + (b - y) * 0.93) for a, b in back], lit, flip)
    rest = _block(x - 0.07, y, x + 0.07, y + 0.12, 0.015)
    _part(easel, rest, middle, flip)
    _part(easel, [(x + (a - x) * 0.7, y + 0.015 + (b - y) * 0.7) for a, b in rest], lit, flip)
    if not flip and easel.rng.random() < 0.6:
        belt = np.array([[x - 0.12, y + 0.1], [x - 0.1, y + 0.1], [x + 0.11, 1.05], [x + 0.09, 1.05]])
        easel.shape(belt * easel.size_wh, dark)


def _towards_dash(easel: Easel, tones: Tones) -> None:
    """From the rear seat ahead: wind screen, mirror, dashboard, steering wheel, backs of the front seats."""
    rng, size = easel.rng, easel.size_wh
    dark, middle, lit, rim = tones
    flip = bool(rng.random() < 0.5)
    top, low = rng.uniform(0.06, 0.16), rng.uniform(0.5, 0.6)
    _part(easel, [(-0.1, -0.1), (1.1, -0.1), (1.1, top - 0.06), (0.5, top), (-0.1, top - 0.06)], middle)
    for side in (False, True):
        pillar = [(-0.1, -0.05), (0.06, top - 0.02), (0.16, low + 0.02), (0.08, low + 0.06), (-0.1, 0.3)]
        _part(easel, pillar, dark, side)
    _part(easel, _block(0.43, top + 0.03, 0.57, top + 0.09, 0.005), dark)
    _part(easel, _block(0.44, top + 0.038, 0.56, top + 0.08, 0.005), easel.light.far((150, 160, 170), 0.3))
    foot = [(1.1, 1.15), (-0.1, 1.15)]
    _part(easel, [(-0.1, low + 0.04), (0.2, low), (0.8, low), (1.1, low + 0.04), *foot], middle)
    _part(easel, [(-0.1, low + 0.12), (0.5, low + 0.09), (1.1, low + 0.12), *foot], dark)
    easel.shape(np.array(_block(0.43, low + 0.13, 0.57, 0.95, 0.01)) * size, blend(dark, (0, 0, 0), 0.3))
    for y in np.arange(low + 0.16, 0.92, 0.06):
        easel.shape(np.array(_block(0.44, y, 0.56, y + 0.035)) * size, easel.vary(middle, 14))
    _wheel(easel, (0.73 if flip else 0.27, low + 0.16), tones)
    for side in (False, True):
        if rng.random() < 0.7:
            _part(easel, _block(0.13, 0.52, 0.27, 0.66, 0.01), lit, side)
            _part(easel, [(0.07, 0.72), (0.2, 0.69), (0.33, 0.72), (0.36, 1.1), (0.04, 1.1)], middle, side)
            seam = _curve([(0.1, 0.75), (0.2, 0.73), (0.3, 0.75), (0.32, 1.1), (0.08, 1.1)], size, side)
            easel.line(seam[:34], rim, 2 * easel.unit_px)


def _wheel(easel: Easel, centre: tuple[float, float], tones: Tones) -> None:
    """The steering wheel. centre: shares of the picture."""
    (w, h), u = easel.size_wh, easel.unit_px
    dark, middle, lit, _ = tones
    hub = np.array([centre[0] * w, (centre[1] + 0.01) * h])
    ring = np.linspace(0, 2 * np.pi, 60)
    rim = hub + np.stack([0.2 * h * np.cos(ring), 0.17 * h * np.sin(ring) - 0.01 * h], -1)
    for width, tone in ((26 * u, blend(dark, (0, 0, 0), 0.5)), (8 * u, lit)):
        painting.path(easel.rgb, rim, tone, width)
    for spoke in (0, 20, 30):
        painting.path(easel.rgb, np.stack([rim[spoke], hub]), dark, 20 * u)
    easel.shape(painting.blob(easel.rng, hub, (0.06 * h,) * 2, 0.02), middle)
