"""Glass: cups, bottles, panes, lenses, spectacles, clear umbrellas and bubbles, within drawn lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from douga_training.simulate.chance import pick
from douga_training.simulate.colours import mix, rgb_of
from douga_training.simulate.curves import Points, bezier, ellipse, points, ribbon, rotated, smooth
from douga_training.simulate.film import Film, SoftLayer, box_around
from douga_training.simulate.sheet import Rgb

_WHITE: Rgb = (255, 255, 255)


@dataclass
class _Glazier:
    """Draws one thing of glass in its own coordinates, -0.5 to 0.5 over size_px, y down.

    tint: colour of the glass. clear: its opacity. ink, line_px: of its lines.
    """

    rng: np.random.Generator
    film: Film
    xy: tuple[float, float]
    size_px: float
    turn_rad: float
    tint: Rgb
    clear: float
    ink: Rgb
    line_px: float

    def put(self, shape: Points) -> Points:
        return rotated(np.asarray(shape, np.float64), self.turn_rad) * self.size_px + np.asarray(self.xy)

    def u(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def body(self, shape: Points, tint: Rgb | None = None, clear: float | None = None) -> None:
        self.film.area(self.put(shape), tint or self.tint, self.clear if clear is None else clear)

    def line(self, shape: Points, *, closed: bool = False, wide: float = 1.0, opacity: float = 1.0) -> None:
        p = self.put(np.vstack([shape, shape[:1]]) if closed else shape)
        self.film.stroke(p, max(0.7, self.line_px * wide), self.ink, opacity)

    def glint(self, spine: Points, wide: float, opacity: float | None = None) -> None:
        """A streak of light."""
        band = ribbon(spine, wide * np.sin(np.linspace(0.3, 2.9, len(spine))))
        self.film.area(self.put(band), _WHITE, self.u(0.5, 0.95) if opacity is None else opacity)


def _tumbler(g: _Glazier) -> None:
    """A cup with something to drink, or empty, with or without a stem."""
    top, foot, stem = g.u(0.2, 0.36), g.u(0.14, 0.24), g.rng.random() < 0.35
    low = 0.05 if stem else 0.46
    wall = points((-top, -0.44), (top, -0.44), (foot, low), (-foot, low))
    g.body(wall)
    level = g.u(-0.35, 0.2 if not stem else -0.1)
    if g.rng.random() < 0.7:
        share = (level + 0.44) / (low + 0.44)
        half = top + (foot - top) * share
        drink = rgb_of(g.rng.random(), g.u(0.3, 0.9), g.u(0.4, 1.0))
        g.body(points((-half, level), (half, level), (foot, low), (-foot, low)), drink, g.u(0.45, 0.9))
        g.body(ellipse((0, level), (half, 0.035)), mix(drink, _WHITE, 0.3), g.u(0.5, 0.9))
    g.glint(bezier((-top * 0.7, -0.36), (-top * 0.68, -0.1), (-foot * 0.75, low - 0.08), samples=14), 0.022)
    g.line(wall[[0, 3, 2, 1]])
    g.line(ellipse((0, -0.44), (top, 0.05)), closed=True, wide=0.9)
    if stem:
        g.body(points((-0.02, low), (0.02, low), (0.02, 0.44), (-0.02, 0.44)))
        g.line(points((-0.02, low), (-0.02, 0.43)), wide=0.8)
        g.line(points((0.02, low), (0.02, 0.43)), wide=0.8)
        g.body(ellipse((0, 0.45), (0.2, 0.04)))
        g.line(ellipse((0, 0.45), (0.2, 0.04)), closed=True, wide=0.9)


def _bottle(g: _Glazier) -> None:
    """A bottle or a vial."""
    fat, neck = g.u(0.12, 0.3), g.u(0.04, 0.08)
    side = [(neck, -0.44), (neck, -0.25), (fat, -0.05), (fat, 0.4), (fat * 0.8, 0.46)]
    shape = smooth(side + [(-x, y) for x, y in reversed(side)], closed=True, sharp=(0, 9), per_span=6)
    g.body(shape)
    drink = rgb_of(g.rng.random(), g.u(0.3, 0.9), g.u(0.3, 1.0))
    if g.rng.random() < 0.8:
        level = g.u(-0.02, 0.3)
        f = fat * 0.94
        pool = points((-f, level), (f, level), (f, 0.39), (f * 0.8, 0.44), (-f * 0.8, 0.44), (-f, 0.39))
        g.body(pool, drink, g.u(0.45, 0.9))
    if g.rng.random() < 0.5:  # paper
        label = points((-fat, 0.1), (fat, 0.1), (fat, 0.28), (-fat, 0.28))
        g.body(label, rgb_of(g.rng.random(), 0.2, 0.95), 1.0)
        g.line(label, closed=True, wide=0.7)
    g.glint(bezier((-fat * 0.6, 0.0), (-fat * 0.66, 0.2), (-fat * 0.6, 0.38), samples=12), 0.02)
    g.line(shape, closed=True)
    cork = points((-neck, -0.5), (neck, -0.5), (neck, -0.42), (-neck, -0.42))
    g.body(cork, rgb_of(0.08, 0.4, g.u(0.4, 0.8)), 1.0)
    g.line(cork, closed=True, wide=0.9)


def _pane(g: _Glazier) -> None:
    """A sheet of glass or foil, or a screen of light with signs on it."""
    wide, lean, screen = g.u(0.25, 0.5), g.u(-0.12, 0.12), g.rng.random() < 0.4
    sheet = points((-wide + lean, -0.4), (wide + lean, -0.4), (wide - lean, 0.4), (-wide - lean, 0.4))
    g.body(sheet)
    for _ in range(int(g.rng.integers(1, 4))):
        x, w = g.u(-wide, wide * 0.7), g.u(0.02, 0.1)
        cut = points((x, -0.36), (x + w, -0.36), (x + w - 0.16, 0.3), (x - 0.16, 0.3))
        cut[:, 0] = np.clip(cut[:, 0], -wide + abs(lean), wide - abs(lean))
        g.body(cut, _WHITE, min(g.clear + g.u(0.1, 0.35), 0.9))
    if screen:
        for y in np.arange(-0.3, 0.3, g.u(0.08, 0.16)):
            start = -wide * 0.8
            g.line(points((start, y), (start + g.u(0.2, 1.5) * wide, y)), wide=0.9, opacity=g.u(0.4, 0.9))
    g.line(sheet, closed=True, opacity=g.u(0.5, 1.0))


def _lens(g: _Glazier) -> None:
    """A magnifying glass or a hand mirror that lets light through."""
    handle = points((-0.03, 0.12), (0.03, 0.12), (0.035, 0.5), (-0.035, 0.5))
    g.body(handle, rgb_of(g.rng.random(), g.u(0.2, 0.7), g.u(0.2, 0.8)), 1.0)
    g.line(handle, closed=True)
    ring = ellipse((0, -0.15), (0.3, 0.3))
    g.body(ring)
    g.glint(bezier((-0.22, -0.2), (-0.16, -0.34), (0.0, -0.38), samples=14), 0.03)
    g.line(ring, closed=True, wide=g.u(1.2, 3.0))


def _spectacles(g: _Glazier) -> None:
    """Two lenses, a bridge and a temple."""
    for side in (-1, 1):
        lens = ellipse((side * 0.25, 0), (0.21, g.u(0.13, 0.2)))
        g.body(lens)
        g.glint(
            bezier((side * 0.25 - 0.12, 0.06), (side * 0.25, -0.02), (side * 0.25 + 0.06, -0.1), samples=8),
            0.02,
        )
        g.line(lens, closed=True, wide=g.u(0.9, 1.6))
    g.line(bezier((-0.05, -0.02), (0, -0.06), (0.05, -0.02), samples=8))
    g.line(bezier((0.45, -0.03), (0.52, -0.08), (0.5, 0.1), samples=10))


def _umbrella(g: _Glazier) -> None:
    """A dome of clear foil with ribs, on a stick."""
    arc = ellipse((0, 0.0), (0.5, 0.42), samples=60)
    dome = arc[arc[:, 1] <= 0.001]
    dome = dome[np.argsort(dome[:, 0])]
    ribs = np.linspace(-0.5, 0.5, int(g.rng.integers(5, 8)))
    hem = np.vstack(
        [bezier((b, 0), ((a + b) / 2, -0.06), (a, 0), samples=8) for a, b in pairwise(ribs)][::-1]
    )
    g.line(points((0, -0.46), (0, 0.5)), wide=1.6)
    g.body(np.vstack([dome, hem]))
    g.glint(bezier((-0.35, -0.1), (-0.28, -0.28), (-0.1, -0.36), samples=14), 0.03)
    g.line(points((0, -0.42), (0, 0.5)), wide=1.4, opacity=0.9)
    for x in ribs[1:-1]:
        g.line(bezier((0, -0.42), (x * 0.9, -0.38), (x, 0), samples=16), wide=0.8, opacity=g.u(0.5, 1.0))
    g.line(np.vstack([dome, hem]), closed=True)


def _bubbles(g: _Glazier) -> None:
    """Soap bubbles: clear discs with a denser rim and two glints."""
    for _ in range(int(g.rng.integers(1, 9))):
        x, y, r = g.u(-0.45, 0.45), g.u(-0.45, 0.45), g.u(0.04, 0.2)
        tint = rgb_of(g.rng.random(), g.u(0.05, 0.4), 1.0)
        g.body(ellipse((x, y), (r, r)), tint, min(g.clear + 0.2, 0.8))
        g.body(ellipse((x, y), (r * 0.86, r * 0.86)), tint, g.clear)
        g.glint(bezier((x - r * 0.6, y), (x - r * 0.5, y - r * 0.5), (x, y - r * 0.6), samples=10), r * 0.09)
        g.body(ellipse((x + r * 0.4, y + r * 0.45), (r * 0.12, r * 0.1)), _WHITE, 0.7)
        g.line(ellipse((x, y), (r, r)), closed=True, wide=0.7, opacity=g.u(0.3, 0.9))


_THINGS: dict[str, tuple[Callable[[_Glazier], None], float, tuple[float, float]]] = {
    # kind: drawing, weight, size in head heights
    "tumbler": (_tumbler, 5, (0.35, 0.8)),
    "bottle": (_bottle, 3, (0.4, 0.9)),
    "pane": (_pane, 4, (0.5, 2.0)),
    "lens": (_lens, 2, (0.5, 1.1)),
    "spectacles": (_spectacles, 2, (0.5, 0.8)),
    "umbrella": (_umbrella, 2, (2.0, 3.5)),
    "bubbles": (_bubbles, 2, (0.8, 2.5)),
}
GLASS = tuple(_THINGS)


def draw_glass(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    *,
    centre_xy: tuple[float, float],
    unit_px: float,
    ink: tuple[Rgb, float],
    kind: str | None = None,
) -> SoftLayer | None:
    """One thing of glass; None where it lies outside of the cel.

    size_wh: of the cel. centre_xy: px. unit_px: height of the head that it belongs to. ink: colour and width
    in px of its lines. kind: one of GLASS, or None to draw one by its weight.
    """
    if kind is None:
        kind = pick(rng, {name: weight for name, (_, weight, _) in _THINGS.items()})
    draw, _, sizes = _THINGS[kind]
    size = unit_px * float(rng.uniform(*sizes))
    box = box_around([ellipse(centre_xy, (size * 0.75, size * 0.75))], size_wh)
    if box is None:
        return None
    film = Film(box)
    pale = rng.random() < 0.7
    tint = rgb_of(
        rng.random(), rng.uniform(0.0, 0.25) if pale else rng.uniform(0.4, 0.9), rng.uniform(0.7, 1.0)
    )
    turn = float(rng.normal(0, 0.25))
    draw(_Glazier(rng, film, centre_xy, size, turn, tint, float(rng.uniform(0.08, 0.45)), *ink))
    return film.layer()
