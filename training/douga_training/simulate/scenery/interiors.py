"""Shops and cafés."""

from __future__ import annotations

import numpy as np

from douga.types import U8
from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import furniture, painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.light import Light, blend
from douga_training.simulate.scenery.perspective import Box, look
from douga_training.simulate.scenery.rooms import Size, floor_lines, shell, window


def goods_picture(rng: np.random.Generator, light: Light, rows: int) -> U8:
    """Shelves of bottles, jars and packets, (56 * rows, 256, 3)."""
    back = light.lit(furniture.wood(rng), 0.15)
    image = np.full((56 * rows, 256, 3), back, np.uint8)
    board = light.lit(furniture.wood(rng), 0.8)
    for row in range(rows):
        x, floor = 6.0, 56 * row + 48
        while x < 240:
            own = light.lit(
                rgb_of(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.3, 1.0)), rng.uniform(0.4, 1.0)
            )
            wide, tall = rng.uniform(8, 22), rng.uniform(16, 38)
            at = np.array([x, floor])
            if rng.random() < 0.5:
                neck = wide * 0.3
                bottle = [
                    [0, 0],
                    [0, -tall * 0.6],
                    [neck, -tall * 0.7],
                    [neck, -tall],
                    [wide - neck, -tall],
                    [wide - neck, -tall * 0.7],
                    [wide, -tall * 0.6],
                    [wide, 0],
                ]
                painting.poly(image, np.array(bottle) + at, own)
            else:
                painting.poly(image, np.array([[0, 0], [0, -tall], [wide, -tall], [wide, 0]]) + at, own)
            label = (
                np.array([[0, -tall * 0.2], [0, -tall * 0.5], [wide, -tall * 0.5], [wide, -tall * 0.2]]) + at
            )
            painting.poly(image, label, blend(own, (255, 250, 240), 0.6))
            x += wide + rng.uniform(1, 8)
        image[floor : floor + 6] = board
        image[floor + 6 : floor + 8] = blend(board, (0, 0, 0), 0.7)
    return image


def cafe(easel: Easel) -> None:
    """A shop or café: counter, shelves of goods, tables and chairs, hanging lamps, a street window."""
    rng, light = easel.rng, easel.light
    size = rng.uniform(4.5, 8.0), rng.uniform(2.7, 3.4), rng.uniform(5.0, 9.0)
    wide, high, deep = size
    eye = (wide * rng.uniform(0.2, 0.8), rng.uniform(0.9, 1.7), rng.uniform(0.2, 1.0))
    stage = look(
        easel,
        eye,
        rng.normal(0, 0.3) + (0.5 - eye[0] / wide) * 0.6,
        rng.normal(-0.03, 0.07),
        rng.uniform(45, 80),
    )
    wall, floor = (
        rgb_of(rng.uniform(0.02, 0.6), rng.uniform(0.1, 0.5), rng.uniform(0.5, 0.95)),
        furniture.wood(rng),
    )
    walls = shell(stage, size, wall, floor, furniture.wood(rng) if rng.random() < 0.5 else (236, 230, 218))
    floor_lines(stage, size, floor, (0.5, 0.5) if rng.random() < 0.5 else (0.16, 0.0))
    bright, dim = ("left", "right") if light.side < 0 else ("right", "left")
    view = furniture.outside_picture(easel, (384, 256))
    for left in np.arange(0.4, walls[bright].length - 2, 2.4):
        window(stage, walls[bright], (left, 0.5, left + 2.0, 2.3), 1, view)
    for x in np.arange(0.3, wide - 1.2, 1.35):
        stage.picture(walls["far"].quad(x, 1.1, x + 1.25, 2.5), goods_picture(rng, light, 4))
    for left in np.arange(0.3, walls[dim].length - 1.3, 1.8):
        picture = furniture.poster_picture(rng, light) if rng.random() < 0.5 else goods_picture(rng, light, 3)
        stage.picture(walls[dim].quad(left, 1.2, left + rng.uniform(0.5, 1.3), 2.1), picture)
    stage.boxes(_tables(rng, size))
    for x, z in rng.uniform((0.5, 1.5), (wide - 0.5, deep - 0.5), (int(rng.integers(0, 6)), 2)):
        stage.bar((x, high, z), (x, 2.2, z), light.lit((40, 36, 34)), 0.02)
        shade = np.array([[x - 0.18, 2.0, z], [x - 0.06, 2.2, z], [x + 0.06, 2.2, z], [x + 0.18, 2.0, z]])
        stage.face(shade, light.lit(rgb_of(rng.random(), 0.4, 0.6)))
        stage.shadow(shade - [0, 0.25, 0], (255, 230, 170), 0.5, 20 * easel.unit_px)


def _tables(rng: np.random.Generator, size: Size) -> list[Box]:
    """The counter at the far end, tables with two chairs each before it."""
    wide, _, deep = size
    top, body = furniture.wood(rng), furniture.wood(rng)
    boxes = [
        Box((0.3, 0, deep - 1.6), (wide - 1.0, 1.0, deep - 1.1), body),
        Box((0.25, 1.0, deep - 1.7), (wide - 0.95, 1.06, deep - 1.05), top),
    ]
    for x in np.arange(0.5, wide - 1.0, rng.uniform(1.5, 2.5)):
        for z in np.arange(1.8, deep - 2.6, 1.8):
            boxes += furniture.desk(x, z, 0.8, 0.7, 0.7, top, body)
            boxes += furniture.chair(x + 0.2, z - 0.5, body, top, back_near=True)
            boxes += furniture.chair(x + 0.2, z + 0.8, body, top, back_near=False)
    return boxes
