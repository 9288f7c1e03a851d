"""Veils, shawls, capes and wings that can be seen through: cloth with folds, a hem, and an opacity."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import DougaClass
from douga_training.simulate.chance import pick
from douga_training.simulate.colours import mix, rgb_of
from douga_training.simulate.curves import Points, bezier, offset, part, resampled, ribbon, rotated, smooth
from douga_training.simulate.figure import Place
from douga_training.simulate.film import Film, SoftLayer, box_around
from douga_training.simulate.sheet import Rgb

VEILS = {"veil": 0.4, "shawl": 0.3, "cape": 0.15, "wings": 0.15}
_LACE = 0.35  # share of cloth that is woven in a pattern,
_STRIPED = 0.4  # and of that in stripes


def draw_veil(
    rng: np.random.Generator, size_wh: tuple[int, int], place: Place, kind: str | None = None
) -> SoftLayer | None:
    """One piece of see-through cloth, or a pair of wings, on a figure; None where it lies outside.

    kind: a key of VEILS, or None to draw one by its weight.
    """
    if kind is None:
        kind = pick(rng, VEILS)
    colour = _colour(rng)
    clear = float(rng.uniform(0.15, 0.65))
    if kind == "wings":
        return _wings(rng, size_wh, place, colour, clear)
    outline, folds = {"veil": _veil, "shawl": _shawl, "cape": _cape}[kind](rng)
    outline, folds = place.to_px(outline), [place.to_px(f) for f in folds]
    box = box_around([outline], size_wh)
    if box is None:
        return None
    film = Film(box)
    film.area(outline, colour, clear)
    if rng.random() < _LACE:
        _lace(film, rng, outline, colour, clear)
    for fold in folds:
        deep = rng.uniform(0.08, 0.3)
        tone = mix(
            colour, (255, 255, 255) if rng.random() < 0.4 else (40, 40, 80), float(rng.uniform(0.05, 0.25))
        )
        film.area(fold, tone, min(clear + deep, 0.9))
    _hem(film, rng, outline, colour, clear, place)
    under = kind == "cape" or rng.random() < 0.4
    return film.layer(weight=_fade(rng, box, place), under=under)


def _colour(rng: np.random.Generator) -> Rgb:
    kind = rng.choice(["white", "pale", "dark", "vivid"], p=[0.4, 0.3, 0.12, 0.18])
    if kind == "white":
        return rgb_of(rng.random(), rng.uniform(0, 0.06), rng.uniform(0.92, 1))
    if kind == "dark":
        return rgb_of(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.05, 0.25))
    return rgb_of(rng.random(), rng.uniform(0.08, 0.3) if kind == "pale" else rng.uniform(0.4, 0.8), 0.95)


def _hem(
    film: Film, rng: np.random.Generator, outline: Points, colour: Rgb, clear: float, place: Place
) -> None:
    """The border: a line of ink, a band of denser cloth, or nothing."""
    ring = np.vstack([outline, outline[:1]])
    kind = rng.choice(["ink", "band", "bare"], p=[0.5, 0.3, 0.2])
    if kind == "band":
        film.stroke(ring, place.head_px * 0.02 + 1, colour, min(clear + 0.3, 0.95), line=DougaClass.FLAT)
    if kind != "bare":
        shade = mix(colour, place.ink, float(rng.uniform(0.4, 1.0)))
        film.stroke(ring, place.line_px * rng.uniform(0.6, 1.0), shade, float(rng.uniform(0.55, 1.0)))


def _lace(film: Film, rng: np.random.Generator, outline: Points, colour: Rgb, clear: float) -> None:
    """Denser dots or flowers in rows, or fine stripes, all over the cloth."""
    step = float(np.ptp(outline, axis=0).max()) * float(rng.uniform(0.03, 0.1))
    tone = mix(colour, (255, 255, 255), float(rng.uniform(0, 0.8)))
    dense = min(clear + float(rng.uniform(0.15, 0.5)), 1.0)
    if rng.random() < _STRIPED:
        for stripe in _stripes(outline, step, float(rng.uniform(0, np.pi))):
            film.stroke(stripe, step * 0.2, tone, dense, line=DougaClass.FLAT)
        return
    petals = int(rng.choice([0, 4, 5, 6]))
    a = np.linspace(0, 2 * np.pi, 30)
    radius = step * float(rng.uniform(0.15, 0.4)) * (1 + (0.4 * np.cos(petals * a) if petals else 0 * a))
    flower = np.stack([np.cos(a), np.sin(a)], 1) * radius[:, None]
    for middle in _rows(outline, step, float(radius.max())):
        film.area(flower + middle, tone, dense)


def _stripes(outline: Points, step_px: float, turn_rad: float) -> Iterator[Points]:
    """Parallel lines at a distance, cut to a shape."""
    low, high = outline.min(0), outline.max(0)
    along = np.array([np.cos(turn_rad), np.sin(turn_rad)])
    t = np.linspace(-1, 1, 160) * float(np.hypot(*(high - low))) / 2
    for shift in np.arange(t[0], t[-1], step_px):
        line = (low + high) / 2 + along * t[:, None] + along[::-1] * (-shift, shift)
        inside = np.array([_depth(outline, point) > 0 for point in line])
        cuts = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        for run, within in zip(np.split(line, cuts), np.split(inside, cuts), strict=True):
            if within[0] and len(run) > 1:
                yield run


def _rows(outline: Points, step_px: float, radius_px: float) -> Iterator[Points]:
    """Middles of discs that lie wholly in a shape, every other row moved by half a step."""
    low, high = outline.min(0), outline.max(0)
    for row, y in enumerate(np.arange(low[1], high[1], step_px)):
        for x in np.arange(low[0] + (row % 2) * step_px / 2, high[0], step_px):
            if _depth(outline, np.array([x, y])) > radius_px:
                yield np.array([x, y])


def _depth(outline: Points, point: Points) -> float:
    """How far a point lies within a shape, in px; below 0 outside of it."""
    return cv2.pointPolygonTest(outline.astype(np.float32), (float(point[0]), float(point[1])), True)


def _fade(
    rng: np.random.Generator, box: tuple[int, int, int, int], place: Place
) -> NDArray[np.float32] | None:
    """Now and then cloth thins out downwards, or unevenly. Returns (h, w) float32, 0 to 1."""
    h, w = box[3] - box[1], box[2] - box[0]
    kind = rng.choice(["even", "down", "uneven"], p=[0.5, 0.25, 0.25])
    if kind == "down":
        rows = np.linspace(1, rng.uniform(0.2, 0.8), h, dtype=np.float32)
        return np.repeat(rows[:, None], w, 1)
    if kind == "uneven":
        cells = rng.uniform(0.6, 1.0, (4, 4)).astype(np.float32)
        return np.clip(cv2.resize(cells, (w, h), interpolation=cv2.INTER_CUBIC), 0, 1)
    return None


# -- shapes, in head heights around the head's middle, as the figure is turned -----------------------------


def _wavy(rng: np.random.Generator, a: tuple[float, float], b: tuple[float, float], waves: int) -> Points:
    """A hem from a to b."""
    line = np.linspace(a, b, 2 * waves + 1)
    line[1:-1, 1] += np.where(np.arange(2 * waves - 1) % 2, -1, 1) * rng.uniform(0.01, 0.09, 2 * waves - 1)
    return line


def _folds(rng: np.random.Generator, tops: Points, feet: Points) -> list[Points]:
    """Narrow bands that run from the upper border to points of the hem."""
    found = []
    for foot in feet:
        top = tops[int(rng.integers(len(tops)))]
        middle = (top + foot) / 2 + rng.normal(0, 0.05, 2) + (0.12 * (foot[0] - top[0]), 0)
        spine = resampled(bezier(top, middle, foot), 20)
        found.append(ribbon(spine, rng.uniform(0.01, 0.06) * np.linspace(0.1, 1, 20)))
    return found


def _veil(rng: np.random.Generator) -> tuple[Points, list[Points]]:
    """From the crown over hair and shoulders."""
    wide, low, flare = rng.uniform(0.5, 0.7), rng.uniform(0.6, 3.2), rng.uniform(0.0, 0.6)
    sway = rng.normal(0, 0.25)
    right, left = (wide + flare + sway, low + rng.normal(0, 0.15)), (-wide - flare + sway, low)
    hem = _wavy(rng, right, left, int(rng.integers(3, 8)))
    top = [(-wide, 0.0), (-wide * 0.85, -0.42), (0.0, -0.62), (wide * 0.85, -0.42), (wide, 0.0)]
    outline = smooth(np.vstack([top, hem]), closed=True, per_span=8)
    return outline, _folds(rng, np.array(top[:2] + top[3:]), hem[1:-1])


def _shawl(rng: np.random.Generator) -> tuple[Points, list[Points]]:
    """A band that flies from the shoulders to one side."""
    side, reach = float(rng.choice([-1, 1])), rng.uniform(1.0, 3.2)
    t = np.linspace(0, 1, 40)
    x = side * (-0.35 + reach * t)
    y = 0.65 + rng.uniform(-0.8, 0.9) * t**1.5 + 0.18 * np.sin(t * rng.uniform(4, 11)) * t
    spine = np.stack([x, y], 1)
    half = rng.uniform(0.12, 0.35) * (0.45 + 0.55 * np.sin(np.pi * np.clip(t * 1.2, 0, 1)) + 0.25 * t)
    folds = []
    for _ in range(int(rng.integers(1, 5))):
        a = rng.uniform(0, 0.5)
        cut = part(offset(spine, half * rng.uniform(-0.7, 0.7)), a, a + rng.uniform(0.25, 0.5))
        folds.append(ribbon(cut, 0.03 * np.sin(np.linspace(0.05, 3.09, len(cut)))))
    return ribbon(spine, half), folds


def _cape(rng: np.random.Generator) -> tuple[Points, list[Points]]:
    """From the shoulders down, behind the figure."""
    wide, low = rng.uniform(0.9, 2.0), rng.uniform(2.5, 5.5)
    sway = rng.normal(0, 0.6)
    hem = _wavy(rng, (wide + sway, low), (-wide + sway, low + rng.normal(0, 0.3)), int(rng.integers(4, 9)))
    top = [(-0.6, 0.75), (-0.25, 0.6), (0.25, 0.6), (0.6, 0.75)]
    return smooth(np.vstack([top, hem]), closed=True, per_span=8), _folds(rng, np.array(top), hem[1:-1])


def _wings(
    rng: np.random.Generator, size_wh: tuple[int, int], place: Place, colour: Rgb, clear: float
) -> SoftLayer | None:
    """Insect wings behind the back, with veins."""
    pairs: list[tuple[Points, list[Points]]] = []
    for lift, reach in ((rng.uniform(-1.0, -0.3), rng.uniform(1.2, 2.6)), (0.5, rng.uniform(0.8, 1.7))):
        fat, point = rng.uniform(0.25, 0.5), rng.uniform(-0.4, 0.4)
        knots = [
            (0.05, 0),
            (0.35, -fat * 0.8),
            (0.8, -fat),
            (1.0, point * fat),
            (0.7, fat * 0.7),
            (0.3, fat * 0.5),
        ]
        wing = smooth(np.array(knots) * reach, closed=True, per_span=8)
        veins = [
            bezier((0.05, 0.0), (reach * 0.4, b * reach * 0.3), (reach * 0.9, b * reach * 0.6), samples=20)
            for b in rng.uniform(-fat, fat, int(rng.integers(2, 6)))
        ]
        for side in (-1, 1):
            turn = [(rotated(shape, lift) + (0.1, 0.9)) * (side, 1) for shape in (wing, *veins)]
            pairs.append((place.to_px(turn[0]), [place.to_px(v) for v in turn[1:]]))
    box = box_around([wing for wing, _ in pairs], size_wh)
    if box is None:
        return None
    film = Film(box)
    shade = mix(colour, place.ink, float(rng.uniform(0.3, 0.9)))
    for wing, veins in pairs:
        film.area(wing, colour, clear)
        for vein in veins:
            film.stroke(vein, place.line_px * 0.7, shade, min(clear + 0.35, 1.0))
        film.stroke(np.vstack([wing, wing[:1]]), place.line_px, shade, min(clear + 0.5, 1.0))
    return film.layer(under=True)
