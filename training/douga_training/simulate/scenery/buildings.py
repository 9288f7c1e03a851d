"""Buildings: painted fronts with windows, shops and signs, set up along a street."""

from __future__ import annotations

import cv2
import numpy as np

from douga.types import U8
from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.light import blend, vary
from douga_training.simulate.scenery.perspective import Box, Stage
from douga_training.simulate.sheet import Rgb

_BAY_PX, _STOREY_PX = 52, 52


def facade_picture(easel: Easel, bays: int, storeys: int, share: float) -> U8:
    """The front of a building, (52 * storeys, 52 * bays, 3): grimy wall, windows, a shop at the foot.

    share: how much of the key light falls on it.
    """
    rng, light = easel.rng, easel.light
    w, h = bays * _BAY_PX, storeys * _STOREY_PX
    wall = rgb_of(rng.uniform(0.02, 0.65), rng.uniform(0.02, 0.35), rng.uniform(0.45, 0.95))
    image = np.full((h, w, 3), light.lit(wall, share), np.uint8)
    grime = painting.noise(rng, (w, h), 90, octaves=3, stretch=0.4)
    painting.multiply(image, 1 + 0.25 * (grime - 0.5))
    if rng.random() < 0.5:
        for y in range(0, h, _STOREY_PX):
            cv2.line(image, (0, y), (w, y), light.lit(wall, share * 0.4), 2)
    style = int(rng.integers(0, 3))
    for row in range(storeys):
        for bay in range(bays):
            if row < storeys - 1 or style == 2:
                _bay(easel, image[row * _STOREY_PX :, bay * _BAY_PX :], wall, style, share)
    if style != 2:
        _shop(easel, image[-_STOREY_PX:], share)
    return image


def _bay(easel: Easel, image: U8, wall: Rgb, style: int, share: float) -> None:
    """One window with frame, sill and perhaps a balcony or an air conditioner, in the top left 52 px."""
    rng, light = easel.rng, easel.light
    x0, y0, x1, y1 = (8, 10, 44, 42) if style == 0 else (14, 12, 38, 44) if style == 1 else (4, 14, 48, 40)
    night = light.name == "night"
    if night and rng.random() < 0.45:
        glass = rgb_of(rng.uniform(0.09, 0.16), rng.uniform(0.15, 0.6), rng.uniform(0.8, 1.0))
    else:
        glass = vary(rng, blend(light.lit((120, 150, 175), share), light.sky_top, rng.uniform(0.1, 0.6)), 8)
    frame = light.lit(blend(wall, (235, 235, 235), 0.5), share)
    cv2.rectangle(image, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2), frame, -1)
    cv2.rectangle(image, (x0, y0), (x1, y1), glass, -1)
    cv2.rectangle(image, (x0, y0), (x1, y0 + 4), blend(glass, (0, 0, 0), 0.35), -1)
    cv2.line(image, ((x0 + x1) // 2, y0), ((x0 + x1) // 2, y1), frame, 1)
    if rng.random() < 0.4:
        painting.poly(
            image[y0:y1, x0:x1],
            np.array([[4.0, 30], [18, 0], [24, 0], [10, 30]]),
            blend(glass, (255, 255, 255), 0.3),
        )
    cv2.rectangle(image, (x0 - 4, y1 + 3), (x1 + 4, y1 + 5), light.lit(wall, share * 0.3), -1)
    if style == 2:
        cv2.rectangle(image, (1, 34), (50, 47), light.lit(wall, share * 0.7), -1)
        for bar in range(3, 50, 4):
            cv2.line(image, (bar, 35), (bar, 46), light.lit(wall, share * 0.2), 1)
    elif rng.random() < 0.12:
        cv2.rectangle(image, (x0 + 2, y1 - 8), (x0 + 20, y1 + 3), light.lit((225, 225, 220), share), -1)


def _shop(easel: Easel, image: U8, share: float) -> None:
    """The ground floor: sign board, awning, glass front or shutter."""
    rng, light = easel.rng, easel.light
    w = image.shape[1]
    sign = rgb_of(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.4, 1.0))
    lit = light.name == "night" and rng.random() < 0.7
    front = (255, 236, 190) if lit else blend(light.lit((90, 100, 110), share), light.sky_low, 0.2)
    cv2.rectangle(image, (4, 14), (w - 5, 51), front, -1)
    for post in range(4, w, int(rng.integers(14, 40))):
        cv2.line(image, (post, 14), (post, 51), light.lit((70, 66, 62), share), 2)
    if rng.random() < 0.3:
        for y in range(15, 51, 3):
            cv2.line(image, (4, y), (w - 5, y), light.lit((150, 152, 156), share), 2)
    board = sign if lit else light.lit(sign, share)
    cv2.rectangle(image, (0, 0), (w - 1, 13), board, -1)
    for x in np.arange(8, w - 14, 13):
        if rng.random() < 0.75:
            mark = np.array([[x, 7.0]]) + rng.uniform(-4, 5, (5, 2))
            painting.path(image, mark, (255, 255, 255) if sum(sign) < 420 else (30, 30, 40), 2)
    if rng.random() < 0.35:
        for i, x in enumerate(np.arange(0, w, 8)):
            stripe = light.lit(sign if i % 2 else (245, 242, 236), share)
            painting.poly(image, np.array([[x, 12], [x + 8, 12], [x + 8, 24], [x, 24]]), stripe)


def building_row(stage: Stage, side: int, road: float, deep: float) -> None:
    """Buildings along one side of the street, the far ones first. side: -1 left, 1 right; sizes in metres."""
    rng = stage.easel.rng
    plots: list[tuple[float, int]] = []
    z = rng.uniform(-3, 1)
    while z < deep:
        bays = int(rng.integers(2, 6))
        plots.append((z, bays))
        z += bays * 2.6 + (rng.uniform(0, 3) if rng.random() < 0.3 else 0.05)
    for start, bays in reversed(plots):
        _building(
            stage,
            side,
            side * (road + rng.uniform(0, 0.8)),
            start,
            bays,
            min(0.6, max(0.0, 0.7 * start / deep)),
        )


def _building(stage: Stage, side: int, x: float, z0: float, bays: int, haze: float) -> None:
    """One house: its front along the street and the end that faces the camera. x, z0: near corner, metres."""
    rng, light = stage.easel.rng, stage.easel.light
    storeys = int(rng.integers(2, 8))
    z1, back, high = z0 + bays * 2.6, x + side * 9.0, storeys * 3.0
    front = facade_picture(stage.easel, bays, storeys, 0.85 if side * light.side < 0 else 0.25)
    end = facade_picture(stage.easel, 3, storeys, 0.55)[: (storeys - 1) * _STOREY_PX]
    front, end = (cv2.addWeighted(p, 1 - haze, np.full_like(p, light.sky_low), haze, 0) for p in (front, end))
    eye_z = stage.camera.eye[2]
    near = max(z0, eye_z + 0.4)  # the part beside and behind the camera cannot be hung as a picture
    if z1 <= near:
        return
    if z0 > eye_z + 0.5:
        a, b = min(x, back), max(x, back)
        stage.picture(np.array([[a, high, z0], [b, high, z0], [b, 0, z0], [a, 0, z0]]), end)
    kept = max(2, round((z1 - near) / (z1 - z0) * front.shape[1]))
    seen = front[:, -kept:] if side < 0 else front[:, :kept]
    left, right = (near, z1) if side < 0 else (z1, near)
    stage.picture(
        np.array([[x, high, left], [x, high, right], [x, 0, right], [x, 0, left]]), np.ascontiguousarray(seen)
    )
    if rng.random() < 0.35 and z0 > 3:
        sign = rgb_of(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.5, 1.0))
        y, out = rng.uniform(2.8, max(3.0, high - 2)), x - side * 0.8
        corner = (max(x, out), y + rng.uniform(0.8, 2.5), z0 + 0.65)
        stage.box(Box((min(x, out), y, z0 + 0.5), corner, sign))
