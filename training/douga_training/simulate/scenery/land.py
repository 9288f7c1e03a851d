"""Wide land: mountains and the sea."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.foliage import meadow, tree
from douga_training.simulate.scenery.light import blend
from douga_training.simulate.scenery.skies import any_sky, low_sun
from douga_training.simulate.sheet import Points


def _ridge(rng: np.random.Generator, width: float, y: float, height: float, rough: float) -> Points:
    """A mountain line by midpoint displacement, (129, 2) px, left to right."""
    line = np.array([rng.normal(0, 0.3), rng.normal(0, 0.3)])
    step = 1.0
    for _ in range(7):
        middle = (line[:-1] + line[1:]) / 2 + rng.normal(0, 0.45 * step, len(line) - 1)
        line = np.insert(line, np.arange(1, len(line)), middle)
        step *= rough
    return np.stack([np.linspace(-2, width + 2, len(line)), y - height * (0.5 + 0.5 * line)], -1)


def mountains(easel: Easel) -> None:
    """Ranges that pale with distance, rock faces or snow on the far ones, woods on the near ones."""
    rng, light = easel.rng, easel.light
    w, h = easel.size_wh
    horizon = rng.uniform(0.5, 0.85)
    any_sky(easel, horizon)
    layers = int(rng.integers(2, 6))
    stone = rgb_of(rng.uniform(0.5, 0.66), rng.uniform(0.1, 0.4), rng.uniform(0.45, 0.7))
    wood = rgb_of(rng.uniform(0.25, 0.42), rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.55))
    for layer in range(layers):
        near = (layer + 1) / layers
        colour = light.far(blend(stone, wood, near), 0.75 * (1 - near))
        height = h * horizon * rng.uniform(0.25, 0.75) * (1.1 - 0.75 * near)
        line = _ridge(rng, w, h * (horizon - 0.04 + 0.1 * near), height, rng.uniform(0.5, 0.64))
        easel.shape(np.vstack([line, [[w + 2, h + 2], [-2, h + 2]]]), colour)
        _faces(easel, line, height, near, snow=layer == 0 and rng.random() < 0.22)
        low = line[:, 1].max()
        mist = np.array([[0, low - 0.2 * height], [w, low - 0.2 * height], [w, h], [0, h]])
        easel.soft_shape(mist, light.sky_low, 0.35 * (1 - near) + 0.08, 0.05 * h)
    meadow(easel, h * min(0.97, horizon + rng.uniform(0.06, 0.3)))
    for x in rng.uniform(0, 1, int(rng.integers(0, 4))):
        tree(easel, (x * w, h * rng.uniform(horizon + 0.1, 1.05)), h * rng.uniform(0.2, 0.6), 1100)


def _faces(easel: Easel, line: Points, height: float, near: float, *, snow: bool) -> None:
    """Broken strokes down the slopes: the shadow side of every peak, and snow."""
    rng, light = easel.rng, easel.light
    dark = light.far((70, 84, 104) if near < 0.6 else (44, 72, 52), 0.6 * (1 - near))
    for i in range(2, len(line) - 2, 2):
        fall = line[i + 2, 1] - line[i - 2, 1]
        away = fall * light.side < 0
        if not away and not snow:
            continue
        reach = height * rng.uniform(0.06, 0.4)
        lean = rng.uniform(-0.5, 0.5) * reach
        x, y = line[i]
        wide = (line[3, 0] - line[0, 0]) * rng.uniform(0.5, 1.2)
        shape = np.array(
            [
                [x - wide, y + 0.1 * reach],
                [x, y],
                [x + wide, y + 0.15 * reach],
                [x + lean + wide * 0.4, y + reach * 0.7],
                [x + lean, y + reach],
            ]
        )
        tint = dark if away else light.far((246, 248, 255), 0.25)
        easel.shape(shape, blend(easel.vary(tint, 4), light.sky_low, 0.15 * rng.random()), lined=False)


def sea(easel: Easel) -> None:
    """Water to the horizon with rows of waves, glitter, far land, a beach or none."""
    rng, light, u = easel.rng, easel.light, easel.unit_px
    w, h = easel.size_wh
    horizon = rng.uniform(0.25, 0.7)
    any_sky(easel, horizon)
    if light.name == "dusk":
        low_sun(easel, horizon)
    deep = light.lit(rgb_of(rng.uniform(0.5, 0.62), rng.uniform(0.45, 0.85), rng.uniform(0.4, 0.8)), 0.8)
    pale = blend(deep, light.sky_low, 0.6)
    easel.fade(
        [(0, blend(deep, light.sky_low, 0.35)), (0.4, deep), (1, blend(deep, light.sky_top, 0.3))],
        (h * horizon, h),
    )
    if rng.random() < 0.5:
        line = _ridge(rng, w, h * horizon, 0.08 * h, 0.6)
        line[:, 1] = np.minimum(line[:, 1], h * horizon)
        easel.shape(
            np.vstack([line, [[w + 2, h * horizon], [-2, h * horizon]]]), light.far((70, 96, 110), 0.55)
        )
    count = int(rng.integers(300, 900))
    depth = np.sort(rng.uniform(0, 1, count) ** 1.4)
    y = h * horizon + 2 + depth * h * (1 - horizon)
    long, thick = (
        (10 + 260 * depth) * u * rng.uniform(0.4, 1.3, count),
        (0.8 + 9 * depth) * u * rng.uniform(0.5, 1.2, count),
    )
    x = rng.uniform(0, w, count)
    outline = np.array([[-1, 0], [-0.3, -0.8], [0.4, -1], [1, 0.1], [0.3, 0.5], [-0.5, 0.3]])
    shapes = np.stack([x, y], -1)[:, None] + outline[None] * np.stack([long, thick], -1)[:, None] / 2
    share = rng.normal(0.25, 0.5, count)
    tones = np.array(
        [blend(deep, pale if s > 0 else light.sky_top, min(abs(s), 1.0)) for s in share.tolist()]
    )
    painting.convexes(easel.rgb, shapes, tones)
    if rng.random() < 0.5:
        _glitter(easel, h * horizon)
    if rng.random() < 0.4:
        _beach(easel)


def _glitter(easel: Easel, top: float) -> None:
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    count = int(rng.integers(100, 700))
    centre, depth = rng.uniform(0.1, 0.9) * w, np.sort(rng.uniform(0, 1, count))
    x = rng.normal(centre, (0.04 + 0.2 * depth) * w)
    place = np.stack([x, top + depth * (h - top)], -1)
    half = np.stack([(1.5 + 14 * depth) * u, (0.6 + 2 * depth) * u], -1)
    shapes = place[:, None] + np.array([[-1, 0], [0, -1], [1, 0], [0, 1]])[None] * half[:, None]
    painting.convexes(easel.rgb, shapes, np.tile(easel.light.lit((255, 250, 235)), (count, 1)))


def _beach(easel: Easel) -> None:
    rng, light = easel.rng, easel.light
    w, h = easel.size_wh
    sand = light.lit(rgb_of(rng.uniform(0.08, 0.13), rng.uniform(0.15, 0.4), rng.uniform(0.8, 0.95)))
    top = h * rng.uniform(0.72, 0.92)
    x = np.linspace(-5, w + 5, 40)
    shore = (
        top
        + np.sin(x / w * rng.uniform(3, 9) + rng.uniform(0, 6)) * 0.02 * h
        + (x / w - 0.5) * rng.normal(0, 0.12) * h
    )
    for lift, colour in (
        (0.02, light.lit((250, 252, 255))),
        (0.0, blend(sand, (90, 90, 90), 0.25)),
        (-0.03, sand),
    ):
        line = np.stack([x, shore - lift * h], -1)
        easel.shape(np.vstack([line, [[w + 5, h + 5], [-5, h + 5]]]), colour, lined=False)
