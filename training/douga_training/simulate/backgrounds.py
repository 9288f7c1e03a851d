"""Painted backgrounds: the plate behind the cel.

A cel must be told from everything that looks like one, so there are hard cases among the easy ones: flat
colours, outlined furniture, posters, leaves with sharp edges, art that has ink lines of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from douga.errors import InputError
from douga.types import U8
from douga_training.simulate.chance import pick
from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import (
    cars,
    foliage,
    interiors,
    land,
    painting,
    plain,
    rooms,
    skies,
    town,
)
from douga_training.simulate.scenery.easel import Easel, Ink, finish
from douga_training.simulate.scenery.light import pick_light

Scene = Callable[[Easel], None]
_BY_NAME = 1e-9  # weight of what is painted where it is asked for: others keep the frames that they have
_LEAST_PX = 16  # nothing can be composed on less: smaller pictures are the corner of one of this size


def _sky(easel: Easel) -> None:
    skies.clear_sky(easel)
    if easel.rng.random() < 0.4:
        skies.cirrus(easel, easel.rng.uniform(0.2, 0.9))


def _clouds(easel: Easel) -> None:
    skies.clear_sky(easel)
    if easel.rng.random() < 0.4:
        skies.cirrus(easel, easel.rng.uniform(0.2, 0.7))
    skies.heap_clouds(easel, easel.rng.uniform(0.8, 1.2))


def _flat_clouds(easel: Easel) -> None:
    rng = easel.rng
    w, h = easel.size_wh
    skies.clear_sky(easel)
    if rng.random() < 0.3:
        skies.cirrus(easel, rng.uniform(0.1, 0.4))
    horizon = rng.uniform(0.7, 1.1)
    skies.flat_clouds(easel, horizon)
    if rng.random() < 0.5:
        foliage.meadow(easel, h * horizon)
        for x, size in rng.uniform((-0.1, 0.05), (1.1, 0.2), (int(rng.integers(0, 7)), 2)):
            foliage.bush(easel, (x * w, h * min(horizon, 1)), (1.4 * size * h, size * h), 60 * size + 8, 600)


def _sunset(easel: Easel) -> None:
    horizon = easel.rng.uniform(0.7, 1.2)
    skies.clear_sky(easel, min(horizon, 1.0))
    skies.cirrus(easel, easel.rng.uniform(0.4, 1.0), easel.rng.uniform(2, 7))
    skies.low_sun(easel, horizon)
    if easel.rng.random() < 0.6:
        skies.heap_clouds(easel, horizon)


def _night_sky(easel: Easel) -> None:
    skies.clear_sky(easel)
    skies.stars(easel)


def _poster_colour(easel: Easel) -> None:
    """Any place laid in with poster colour: hard edges and single tones everywhere, as cels have."""
    rng, u = easel.rng, easel.unit_px
    scene, _, _ = _SCENES[str(rng.choice(_LAID_IN))]
    scene(easel)
    broad = rng.uniform(30, 90)
    radii = [radius * u for radius in broad * 0.5 ** np.arange(5) if radius >= rng.uniform(4, 12)]
    easel.rgb[:] = painting.lay_in(
        easel.rgb,
        rng,
        radii,
        corners=int(rng.choice([4, 5, 7, 20])),
        long=rng.uniform(1, 4),
        loose=rng.uniform(8, 30),
        jitter=rng.uniform(2, 14),
    )


def _car(easel: Easel) -> None:
    w, h = easel.size_wh
    view = Easel(
        easel.rng, np.zeros((max(h // 2, _LEAST_PX), max(w // 2, _LEAST_PX), 3), np.uint8), easel.light
    )
    (town.street if easel.rng.random() < 0.6 else foliage.bushes)(view)
    soft = painting.soft_blur(view.rgb, easel.rng.uniform(0.5, 8) * view.unit_px)
    cars.car_interior(easel, painting.resized(soft, (w, h)))


_SCENES: dict[str, tuple[Scene, float, str | None]] = {  # kind: (scene, weight, time of day or None for any)
    "sky": (_sky, 4, None),
    "clouds": (_clouds, 6, None),
    "sunset": (_sunset, 3, "dusk"),
    "night_sky": (_night_sky, 2.5, "night"),
    "foliage": (foliage.foliage_wall, 5, None),
    "grass_field": (foliage.grass_field, 4, None),
    "bushes": (foliage.bushes, 4, None),
    "forest": (foliage.forest, 5, None),
    "mountains": (land.mountains, 3, None),
    "sea": (land.sea, 3, None),
    "room": (rooms.room, 8, None),
    "classroom": (rooms.classroom, 5, None),
    "corridor": (rooms.corridor, 4, None),
    "cafe": (interiors.cafe, 4, None),
    "car_interior": (_car, 6, None),
    "street": (town.street, 9, None),
    "town": (town.skyline, 6, None),
    "night_town": (town.night_town, 4, "night"),
    "flat": (plain.flat, 9, None),
    "watercolour": (plain.watercolour, 4, None),
    "abstract": (plain.abstract, 4, None),
    "flat_clouds": (_flat_clouds, _BY_NAME, None),
    "poster_colour": (_poster_colour, _BY_NAME, None),
}
_LINED = (
    "room",
    "classroom",
    "corridor",
    "cafe",
    "car_interior",
    "street",
    "town",
    "bushes",
    "mountains",
)  # scenes that can also be drawn with ink
_LAID_IN = (
    "clouds",
    "clouds",
    "flat_clouds",
    "sunset",
    "foliage",
    "grass_field",
    "bushes",
    "forest",
    "mountains",
    "sea",
    "street",
    "town",
    "watercolour",
    "abstract",
)  # scenes that poster colour is tried on
_BLURRED = (
    "street",
    "cafe",
    "night_town",
    "room",
    "classroom",
    "corridor",
    "foliage",
    "grass_field",
    "bushes",
    "forest",
    "clouds",
    "mountains",
)

BACKGROUND_KINDS: Mapping[str, float] = MappingProxyType(
    {kind: weight for kind, (_, weight, _) in _SCENES.items()} | {"blurred": 10.0, "lined": 16.0}
)


def paint_background(rng: np.random.Generator, size_wh: tuple[int, int], kind: str | None = None) -> U8:
    """Paint one background.

    rng: the only source of chance: the same state gives the same picture. size_wh: width and height in px.
    kind: a key of `BACKGROUND_KINDS`, or None to draw one by its weight. Returns (H, W, 3) uint8, sRGB.
    Raises InputError for an unknown kind or a size below 1 px.
    """
    w, h = size_wh
    if w < 1 or h < 1:
        raise InputError(f"paint_background: expected a size of at least 1 x 1 px, got {w} x {h}")
    if kind is None:
        kind = pick(rng, BACKGROUND_KINDS)
    if kind not in BACKGROUND_KINDS:
        raise InputError(
            f"paint_background: unknown kind {kind!r}; expected one of {', '.join(BACKGROUND_KINDS)}"
        )
    sheet = max(w, _LEAST_PX), max(h, _LEAST_PX)
    if kind == "blurred":
        rgb = _blurred(rng, sheet)
    elif kind == "lined":
        rgb = _paint(rng, sheet, str(rng.choice(_LINED)), ink=_pick_ink(rng, sheet))
    else:
        rgb = _paint(rng, sheet, kind)
    return np.ascontiguousarray(rgb[:h, :w])


def _paint(rng: np.random.Generator, size_wh: tuple[int, int], kind: str, ink: Ink | None = None) -> U8:
    scene, _, hour = _SCENES[kind]
    rgb = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    easel = Easel(rng, rgb, pick_light(rng, hour), ink)
    scene(easel)
    if kind == "flat":  # stays as flat as it was painted
        return rgb
    return finish(easel)


def _pick_ink(rng: np.random.Generator, size_wh: tuple[int, int]) -> Ink:
    tone = rgb_of(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.0, 0.4))
    return Ink(tone, max(1.0, rng.uniform(0.8, 2.6) * min(size_wh[0], size_wh[1]) / 1080))


def _blurred(rng: np.random.Generator, size_wh: tuple[int, int]) -> U8:
    """Any place, out of focus. Painted at half the size, since nobody sees the difference."""
    w, h = size_wh
    half = max(w // 2, _LEAST_PX), max(h // 2, _LEAST_PX)
    small = _paint(rng, half, str(rng.choice(_BLURRED)))
    blurred = painting.soft_blur(
        small, float(rng.choice([2.0, 5.0, 10.0, 18.0])) * rng.uniform(0.7, 1.3) * h / 2160
    )
    return painting.resized(blurred, size_wh)
