"""Painted light that can be seen through: auras, beams, barriers, trails, magic circles, motes, screens.

An effects animator paints it on cels of its own, soft or in flat steps, without ink.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from douga.classes import DougaClass
from douga.types import F32
from douga_training.simulate.chance import pick
from douga_training.simulate.colours import mix, rgb_of
from douga_training.simulate.curves import Points, bezier, ellipse, points, ribbon, rotated, smooth
from douga_training.simulate.figure import Place
from douga_training.simulate.film import Film, SoftLayer, box_around
from douga_training.simulate.sheet import CelArt, Rgb

_WHITE: Rgb = (255, 255, 255)
_STEPPED = 0.4  # share of auras in flat steps
_UNDER = 0.55  # share of other lights that lie behind the figure


def draw_glow(rng: np.random.Generator, art: CelArt) -> SoftLayer | None:
    """An aura painted behind the cel: thick at its outline, nothing at a distance.

    It falls off at once, or stays even for a while and ends soon after, or comes down in flat steps; here
    and there it licks out further.
    """
    solid = (art.alpha > 127).astype(np.uint8)
    if not solid.any():
        return None
    h, w = solid.shape
    away = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5)
    reach = h * float(np.exp(rng.uniform(np.log(0.008), np.log(0.1))))
    power = float(np.exp(rng.uniform(np.log(0.8), np.log(6.0))))
    strength = float(rng.uniform(0.25, 0.9))
    reached = away / (reach if rng.random() < 0.6 else reach * _licks(rng, (h, w)))
    if rng.random() < _STEPPED:
        alpha = _steps(rng, reached, strength, soft=1.0 / reach)
    else:
        alpha = strength * np.clip(1 - reached / 3, 0, 1) * np.exp(-(reached**power))
    rgb = np.empty((h, w, 3), np.uint8)
    rgb[:] = rgb_of(rng.random(), rng.uniform(0.0, 0.8), rng.uniform(0.8, 1.0))
    return SoftLayer(rgb, np.round(alpha * 255).astype(np.uint8), np.zeros((h, w), np.uint8), (0, 0), True)


def _steps(rng: np.random.Generator, reached: F32, strength: float, soft: float) -> F32:
    """One to four flat bands, each clearer than the one within it. soft: width of their borders."""
    ends = np.cumsum(rng.uniform(0.3, 1.2, int(rng.integers(1, 5))))
    levels = strength * np.cumprod(np.concatenate([[1.0], rng.uniform(0.3, 0.85, len(ends) - 1)]))
    alpha = np.zeros_like(reached)
    for end, level, outer in zip(ends, levels, [*levels[1:], 0.0], strict=True):
        alpha += np.float32(level - outer) * np.clip((np.float32(end) - reached) / soft + 0.5, 0, 1)
    return alpha


def _licks(rng: np.random.Generator, shape: tuple[int, int]) -> F32:
    """How far an aura reaches, place by place, as (H, W) float32 about 1: taller than wide, as flames are."""
    h, w = shape
    rows, columns = int(rng.integers(3, 9)), int(rng.integers(8, 26))
    coarse = rng.uniform(0.4, 1.8, (rows, columns)).astype(np.float32)
    return cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC).clip(0.3, 2.2)


def draw_light(
    rng: np.random.Generator, size_wh: tuple[int, int], place: Place, kind: str | None = None
) -> SoftLayer | None:
    """One light at a figure; None where it lies outside of the cel.

    size_wh: of the cel. kind: one of LIGHTS, or None to draw one by its weight.
    """
    if kind is None:
        kind = pick(rng, {name: weight for name, (_, weight) in _LIGHTS.items()})
    return _LIGHTS[kind][0](rng, size_wh, place)


def _film(shapes: list[Points], size_wh: tuple[int, int], place: Place) -> Film | None:
    box = box_around(shapes, size_wh, margin_px=4 + 2 * place.line_px)
    return None if box is None else Film(box)


def _layer(rng: np.random.Generator, film: Film, *, fades: bool) -> SoftLayer:
    """The finished light, behind the figure or before it; one that fades is denser at one end."""
    x0, y0, x1, y1 = film.box
    weight = None
    if fades:
        across, down = np.meshgrid(np.linspace(-1, 1, x1 - x0), np.linspace(-1, 1, y1 - y0))
        turn = rng.uniform(0, 2 * np.pi)
        ramp = 0.5 + 0.5 * (across * np.cos(turn) + down * np.sin(turn))
        weight = np.clip(rng.uniform(0.1, 0.6) + ramp, 0, 1).astype(np.float32)
    return film.layer(weight=weight, under=bool(rng.random() < _UNDER))


def _colour(rng: np.random.Generator) -> Rgb:
    return rgb_of(rng.random(), rng.uniform(0.0, 0.75), rng.uniform(0.85, 1.0))


def _beam(rng: np.random.Generator, size_wh: tuple[int, int], place: Place) -> SoftLayer | None:
    """A ray that widens away from the figure, with a core."""
    turn, long = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 6.0)
    near = rng.uniform(0.02, 0.25)
    far = near + rng.uniform(0.05, 0.7)
    start = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.3, 1.5)])

    def ray(share: float) -> Points:
        shape = points((0, -near * share), (long, -far * share), (long, far * share), (0, near * share))
        return place.to_px(rotated(shape, turn) + start)

    film = _film([ray(1.0)], size_wh, place)
    if film is None:
        return None
    colour, clear = _colour(rng), rng.uniform(0.15, 0.6)
    film.area(ray(1.0), colour, clear)
    if rng.random() < 0.6:
        film.area(ray(rng.uniform(0.3, 0.7)), mix(colour, _WHITE, 0.5), min(clear * 1.6, 0.9))
    return _layer(rng, film, fades=rng.random() < 0.6)


def _barrier(rng: np.random.Generator, size_wh: tuple[int, int], place: Place) -> SoftLayer | None:
    """A dome, a disc or a slab of force around or before the figure, with a rim and cells or facets."""
    radius = rng.uniform(0.8, 3.0)
    centre = np.array([rng.uniform(-1.0, 1.0), rng.uniform(-0.3, 1.8)])
    corners = int(rng.choice([4, 5, 6, 8, 48]))
    flat = rng.uniform(0.5, 1.0)
    rim = rotated(ellipse((0, 0), (radius, radius * flat), samples=corners), rng.uniform(0, 1))
    outline = place.to_px(rim + centre)
    film = _film([outline], size_wh, place)
    if film is None:
        return None
    colour, clear = _colour(rng), rng.uniform(0.1, 0.5)
    film.area(outline, colour, clear)
    for share in rng.uniform(0.3, 0.95, int(rng.integers(0, 4))):  # facets
        a, b = sorted(rng.integers(0, len(outline), 2).tolist())
        cell = np.vstack([outline[a : b + 2], place.to_px([centre])])
        film.area(cell, mix(colour, _WHITE, share * 0.6), min(clear * rng.uniform(0.6, 1.8), 0.9))
    if rng.random() < 0.7:
        ring = np.vstack([outline, outline[:1]])
        film.stroke(
            ring,
            place.line_px * rng.uniform(0.7, 4.0),
            mix(colour, _WHITE, rng.random()),
            rng.uniform(0.4, 1.0),
            line=DougaClass.FLAT,
        )
    return _layer(rng, film, fades=rng.random() < 0.3)


def _trail(rng: np.random.Generator, size_wh: tuple[int, int], place: Place) -> SoftLayer | None:
    """What a swift thing leaves behind: ribbons that sweep across the figure, clearer towards their end."""
    spines: list[tuple[Points, np.ndarray]] = []
    for _ in range(int(rng.integers(1, 4))):
        knots = [(rng.uniform(-3, 3), rng.uniform(-1.5, 3)) for _ in range(4)]
        spine = place.to_px(bezier(*knots, samples=48))
        t = np.linspace(0, 1, 48)
        spines.append((spine, place.head_px * rng.uniform(0.03, 0.3) * np.sin(np.pi * t) ** 0.7 + 0.5))
    film = _film([ribbon(s, half) for s, half in spines], size_wh, place)
    if film is None:
        return None
    colour, strong = _colour(rng), rng.uniform(0.3, 0.9)
    t = np.linspace(rng.uniform(0.1, 0.8), 1, 48)
    for spine, half in spines:
        film.stroke(spine, 2 * half, colour, strong * t, line=DougaClass.FLAT)
        if rng.random() < 0.5:
            film.stroke(
                spine, 0.7 * half, mix(colour, _WHITE, 0.7), min(strong * 1.3, 1) * t, line=DougaClass.FLAT
            )
    return _layer(rng, film, fades=False)


def _magic_circle(rng: np.random.Generator, size_wh: tuple[int, int], place: Place) -> SoftLayer | None:
    """Rings, a star and signs of light, on a pale disc or on nothing."""
    radius, flat = rng.uniform(0.7, 3.0), rng.uniform(0.2, 1.0)
    centre = np.array([rng.uniform(-1.2, 1.2), rng.uniform(-0.5, 4.0)])

    def put(shape: Points) -> Points:
        return place.to_px(np.asarray(shape) * (radius, radius * flat) + centre)

    film = _film([put(ellipse((0, 0), (1.15, 1.15)))], size_wh, place)
    if film is None:
        return None
    colour = _colour(rng)
    wide = place.line_px * rng.uniform(0.8, 3.0)
    if rng.random() < 0.5:
        film.area(put(ellipse((0, 0), (1, 1))), colour, rng.uniform(0.08, 0.4))
    strong = rng.uniform(0.5, 1.0)
    for share in (1.0, *rng.uniform(0.4, 0.95, int(rng.integers(1, 3)))):
        ring = put(ellipse((0, 0), (share, share), samples=96))
        film.stroke(np.vstack([ring, ring[:1]]), wide, colour, strong, line=DougaClass.FLAT)
    arms, turn = int(rng.integers(3, 8)), rng.uniform(0, 2 * np.pi)
    at = turn + np.arange(arms + 1) * 2 * np.pi * max(1, (arms - 1) // 2) / arms
    star = np.stack([np.cos(at), np.sin(at)], 1) * rng.uniform(0.5, 0.9)
    film.stroke(put(star), wide * 0.8, colour, strong, line=DougaClass.FLAT)
    for a in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 24))):  # signs
        sign = np.array([np.cos(a), np.sin(a)]) * 0.93 + rng.normal(0, 0.03, (4, 2))
        film.stroke(put(sign), wide * 0.7, colour, strong, line=DougaClass.FLAT)
    return _layer(rng, film, fades=False)


def _motes(rng: np.random.Generator, size_wh: tuple[int, int], place: Place) -> SoftLayer | None:
    """Discs, diamonds and petals of light around the figure, each of its own opacity."""
    shapes: list[Points] = []
    kind = rng.choice(["disc", "diamond", "petal"])
    for _ in range(int(rng.integers(4, 40))):
        r = float(np.exp(rng.uniform(np.log(0.02), np.log(0.25))))
        if kind == "disc":
            shape = ellipse((0, 0), (r, r), samples=24)
        elif kind == "diamond":
            shape = points((0, -r), (r * 0.35, 0), (0, r), (-r * 0.35, 0))
        else:
            shape = smooth(
                points((0, -r), (r * 0.5, 0), (0, r), (-r * 0.3, 0.1 * r)), closed=True, per_span=6
            )
        centre = (rng.normal(0, 1.5), rng.normal(0.6, 1.5))
        shapes.append(place.to_px(rotated(shape, rng.uniform(0, 6.3)) + centre))
    film = _film(shapes, size_wh, place)
    if film is None:
        return None
    colour = _colour(rng)
    for shape in shapes:
        film.area(shape, mix(colour, _WHITE, float(rng.uniform(0, 0.7))), float(rng.uniform(0.15, 0.95)))
    return _layer(rng, film, fades=False)


def _screen(rng: np.random.Generator, size_wh: tuple[int, int], place: Place) -> SoftLayer | None:
    """A display that hangs in the air: a pale sheet with a square grid or rows of signs."""
    wide, tall = rng.uniform(0.6, 3.0), rng.uniform(0.4, 1.6)
    lean, centre = rng.normal(0, 0.25), np.array([rng.uniform(-2, 2), rng.uniform(-0.5, 2.0)])

    def put(*xy: tuple[float, float]) -> Points:
        shape = np.array(xy, float)
        shape[:, 1] += lean * shape[:, 0]
        return place.to_px(shape + centre)

    sheet = put((-wide / 2, -tall / 2), (wide / 2, -tall / 2), (wide / 2, tall / 2), (-wide / 2, tall / 2))
    film = _film([sheet], size_wh, place)
    if film is None:
        return None
    colour, clear = _colour(rng), float(rng.uniform(0.1, 0.5))
    film.area(sheet, colour, clear)
    pale, thin = mix(colour, _WHITE, float(rng.random())), max(0.8, place.line_px * rng.uniform(0.4, 1.2))
    strong, step = float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.08, 0.3))
    grid = rng.random() < 0.6
    for y in np.arange(-tall / 2 + step, tall / 2, step):
        end = wide / 2 if grid else rng.uniform(-0.3, 0.45) * wide
        film.stroke(put((-wide / 2, y), (end, y)), thin, pale, strong, line=DougaClass.FLAT)
    for x in np.arange(-wide / 2 + step, wide / 2, step) if grid else ():
        film.stroke(put((x, -tall / 2), (x, tall / 2)), thin, pale, strong, line=DougaClass.FLAT)
    if rng.random() < 0.6:
        film.stroke(
            np.vstack([sheet, sheet[:1]]), thin * 1.5, pale, min(strong + 0.2, 1.0), line=DougaClass.FLAT
        )
    return _layer(rng, film, fades=rng.random() < 0.3)


_LIGHTS: dict[str, tuple[Callable[..., SoftLayer | None], float]] = {
    "beam": (_beam, 2),
    "barrier": (_barrier, 4),
    "trail": (_trail, 3),
    "magic circle": (_magic_circle, 2),
    "motes": (_motes, 2),
    "screen": (_screen, 3),
}
LIGHTS = tuple(_LIGHTS)
