"""Streets: buildings with windows and signs, poles, wires and cars, by day and by night."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.buildings import building_row
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.foliage import tree
from douga_training.simulate.scenery.light import blend
from douga_training.simulate.scenery.perspective import Box, Stage, look
from douga_training.simulate.scenery.skies import any_sky
from douga_training.simulate.sheet import Rgb


def _poles(stage: Stage, road: float, deep: float) -> None:
    """Poles with cross arms, transformers and sagging wires."""
    rng, light = stage.easel.rng, stage.easel.light
    side = 1 if rng.random() < 0.5 else -1
    x = side * (road - 0.5)
    spots = np.arange(rng.uniform(2.5, 9), deep, rng.uniform(9, 14))[::-1]
    grey = light.lit((128, 124, 120), 0.4)
    wire = blend(light.lit((36, 36, 44)), light.sky_low, 0.1)
    for i, z in enumerate(spots):
        stage.box(Box((x - 0.13, 0, z - 0.13), (x + 0.13, 9.0, z + 0.13), (134, 130, 126)))
        for y in (8.4, 7.6):
            stage.bar((x - 0.9, y, z), (x + 0.9, y, z), grey, 0.1)
        if rng.random() < 0.5:
            stage.box(Box((x - 0.6, 6.4, z - 0.25), (x - 0.15, 7.2, z + 0.25), (150, 150, 150)))
        after = spots[i + 1] if i + 1 < len(spots) else -4.0
        for dx, y in ((-0.8, 8.5), (0.0, 8.5), (0.8, 8.5), (-0.6, 7.7), (0.5, 7.7), (0.2, 6.2)):
            t = np.linspace(0, 1, 9)
            line = np.stack([np.full(9, x + dx), y - 0.5 * np.sin(np.pi * t), z + (after - z) * t], -1)
            for a, b in pairwise(line):
                stage.bar(a, b, wire, 0.035)
        if rng.random() < 0.6:
            for cross in (0.0, 0.35):
                stage.bar(
                    (x, 7.9 - cross, z),
                    (-x + rng.normal(0, 1), 7.0 - cross, z + rng.normal(0, 3)),
                    wire,
                    0.03,
                )


def _car(stage: Stage, x: float, z: float) -> None:
    rng = stage.easel.rng
    paint = rgb_of(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.2, 0.95))
    for box in (
        Box((x - 0.85, 0.05, z), (x + 0.85, 0.35, z + 3.9), (26, 26, 30)),
        Box((x - 0.85, 0.3, z), (x + 0.85, 0.85, z + 3.9), paint),
        Box((x - 0.75, 0.85, z + 0.9), (x + 0.75, 1.35, z + 3.0), (70, 90, 104)),
        Box((x - 0.75, 1.33, z + 0.9), (x + 0.75, 1.42, z + 3.0), paint),
    ):
        stage.box(box)
    for side in (-0.7, 0.45):
        lamp = (255, 90, 60) if stage.easel.light.name == "night" else (190, 50, 44)
        stage.face(
            np.array(
                [
                    [x + side, 0.75, z - 0.01],
                    [x + side + 0.25, 0.75, z - 0.01],
                    [x + side + 0.25, 0.6, z - 0.01],
                    [x + side, 0.6, z - 0.01],
                ]
            ),
            lamp,
        )


def street(easel: Easel) -> None:
    """A street seen along its length."""
    rng, light = easel.rng, easel.light
    h = easel.size_wh[1]
    road, deep = rng.uniform(2.6, 7.0), rng.uniform(35, 70)
    eye = (rng.uniform(-0.7, 0.7) * road, rng.choice([0.5, 1.4, 1.6, 4.5]) * rng.uniform(0.8, 1.2), 0.0)
    stage = look(easel, eye, rng.normal(0, 0.25), rng.normal(0.06, 0.12), rng.uniform(45, 85))
    horizon = stage.camera.project(np.array([[0, 0, 4000.0]]))
    level = float(np.clip(horizon[0, 1] / h, 0.05, 0.98)) if len(horizon) else 0.6
    any_sky(easel, level)
    ground = light.lit(rgb_of(rng.uniform(0.55, 0.7), 0.06, rng.uniform(0.4, 0.62)), 0.7)
    front = blend(ground, light.lit((60, 60, 70), 0.3), 0.4)
    easel.fade([(0, blend(ground, light.sky_low, 0.4)), (0.5, ground), (1, front)], (h * level, h))
    _pavement(stage, road, deep)
    building_row(stage, -1, road, deep)
    building_row(stage, 1, road, deep)
    _dress_street(stage, road, deep)
    if light.name == "night":
        _street_lamps(stage, road, deep)


def _flat(x0: float, z0: float, x1: float, z1: float) -> np.ndarray:
    """A rectangle on the ground, (4, 3) metres."""
    return np.array([[x0, 0, z0], [x1, 0, z0], [x1, 0, z1], [x0, 0, z1]])


def _pavement(stage: Stage, road: float, deep: float) -> None:
    """Footpaths, kerbs, road marks, a crossing, and the shadow of one row of houses."""
    rng, light = stage.easel.rng, stage.easel.light
    white = light.lit((232, 230, 222), 0.8)
    for side in (-1, 1):
        kerb = side * (road - 1.6)
        stage.face(_flat(kerb, -4, side * (road + 1), deep), light.lit((186, 180, 172), 0.7))
        stage.bar((kerb, 0, 0.5), (kerb, 0, deep), light.lit((214, 212, 206)), 0.14)
    for z in np.arange(1, deep, 4.0):
        stage.face(_flat(-0.07, z, 0.07, z + 2), white, lined=False)
    if rng.random() < 0.4:
        z = rng.uniform(3, 12)
        for x in np.arange(-road + 1.8, road - 2.2, 0.9):
            stage.face(_flat(x, z, x + 0.45, z + 3), white, lined=False)
    dark = _flat(0, -3, light.side * road * 1.2, deep)
    dark[3, 0] = light.side * rng.uniform(-0.5, 0.5) * road
    stage.shadow(dark, light.lit((70, 74, 96), 0.1), 0.45, 3 * stage.easel.unit_px)


def _dress_street(stage: Stage, road: float, deep: float) -> None:
    rng = stage.easel.rng
    if rng.random() < 0.75:
        _poles(stage, road, deep)
    for z in np.sort(rng.uniform(4, deep * 0.7, int(rng.integers(0, 5))))[::-1]:
        side = 1 if rng.random() < 0.5 else -1
        if rng.random() < 0.5:
            _car(stage, side * (road - 1.6) * 0.6, z)
        else:
            foot = stage.camera.project(np.array([[side * (road - 0.6), 0, z]]))
            if len(foot):
                tree(stage.easel, foot[0], stage.camera.focal_px * rng.uniform(3.5, 6) / z, 350)


def _street_lamps(stage: Stage, road: float, deep: float) -> None:
    easel = stage.easel
    warm = rgb_of(easel.rng.choice([0.1, 0.13, 0.55]), 0.35, 1.0)
    for z in np.arange(5, deep, 9)[::-1]:
        for side in (-1, 1):
            spot = stage.camera.project(np.array([[side * (road - 1.2), 5.0, z]]))
            if len(spot) == 0:
                continue
            radius = stage.camera.focal_px * 0.18 / z
            easel.soft_shape(
                painting.blob(easel.rng, spot[0], (radius * 5,) * 2, 0.0), warm, 0.25, radius * 2
            )
            easel.soft_shape(
                painting.blob(easel.rng, spot[0], (radius,) * 2, 0.0), (255, 250, 232), 1.0, radius * 0.3
            )
            pool = np.array([[-1.5, 0, -1.5], [1.5, 0, -1.5], [1.5, 0, 1.5], [-1.5, 0, 1.5]]) + np.array(
                [side * (road - 1.2), 0, z]
            )
            stage.shadow(pool, warm, 0.22, min(60.0, stage.camera.focal_px * 0.4 / z))


def skyline(easel: Easel) -> None:
    """A town from afar: layers of blocks with lit or dark windows below the sky."""
    rng, light = easel.rng, easel.light
    w, h = easel.size_wh
    any_sky(easel, rng.uniform(0.6, 1.0))
    layers = int(rng.integers(2, 5))
    for layer in range(layers):
        near = (layer + 1) / layers
        x = rng.uniform(-0.1, 0) * w
        while x < w:
            wide = w * rng.uniform(0.03, 0.1) * (0.5 + near)
            top = h * (rng.uniform(0.35, 0.7) + 0.25 * near * rng.random())
            colour = light.far(
                rgb_of(rng.uniform(0, 0.7), rng.uniform(0.03, 0.25), rng.uniform(0.35, 0.85)),
                0.7 * (1 - near),
            )
            block = np.array([[x, top], [x + wide, top], [x + wide, h + 5], [x, h + 5]])
            easel.shape(block, colour)
            edge = x if light.side > 0 else x + wide * 0.72
            shade = blend(colour, light.lit((60, 64, 90), 0.1), 0.4)
            easel.shape(
                np.array(
                    [[edge, top], [edge + wide * 0.28, top], [edge + wide * 0.28, h + 5], [edge, h + 5]]
                ),
                shade,
                lined=False,
            )
            _dots(easel, (x, top, wide), near, colour)
            x += wide * rng.uniform(0.7, 1.2)


def _dots(easel: Easel, block: tuple[float, float, float], near: float, colour: Rgb) -> None:
    """Windows of a far building."""
    rng, light = easel.rng, easel.light
    x, top, wide = block
    h = easel.size_wh[1]
    pitch = max(5.0, (10 + 26 * near) * easel.unit_px)
    night = light.name == "night"
    glass = blend(colour, light.lit((60, 80, 110), 0.4), 0.6)
    for wy in np.arange(top + pitch * 0.6, h, pitch):
        for wx in np.arange(x + pitch * 0.4, x + wide - pitch * 0.7, pitch):
            lamp = night and rng.random() < 0.4
            tone = rgb_of(rng.uniform(0.08, 0.16), rng.uniform(0.1, 0.6), 1.0) if lamp else glass
            a, b = (round(wx), round(wy)), (round(wx + pitch * 0.55), round(wy + pitch * 0.5))
            cv2.rectangle(easel.rgb, a, b, tone, -1)


def night_town(easel: Easel) -> None:
    """A lit street or a skyline by night, sometimes on a wet ground that mirrors it."""
    rng = easel.rng
    _, h = easel.size_wh
    if rng.random() < 0.6:
        street(easel)
    else:
        skyline(easel)
    if rng.random() < 0.5:
        shine = painting.soft_blur(easel.rgb, 14 * easel.unit_px)
        bright = cv2.subtract(shine, np.full_like(shine, 70))
        easel.rgb[:] = cv2.add(easel.rgb, bright)
    if rng.random() < 0.3:
        top = int(h * rng.uniform(0.72, 0.85))
        mirror = painting.soft_blur(
            np.ascontiguousarray(easel.rgb[max(0, 2 * top - h) : top][::-1]), 5 * easel.unit_px
        )
        low = easel.rgb[top : top + len(mirror)]
        easel.rgb[top : top + len(mirror)] = cv2.addWeighted(
            np.ascontiguousarray(low), 0.4, mirror[: len(low)], 0.5, 0
        )
