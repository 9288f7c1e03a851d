"""Rooms in perspective: living rooms, class rooms, corridors."""

from __future__ import annotations

import numpy as np

from douga.types import U8
from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import furniture
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.light import blend
from douga_training.simulate.scenery.perspective import Box, Stage, Wall, look
from douga_training.simulate.sheet import Rgb

Size = tuple[float, float, float]  # width, height, depth in metres


def walls_of(size: Size) -> dict[str, Wall]:
    """The three walls ahead of the camera; the room spans x 0..width, z 0..depth."""
    wide, high, deep = size
    return {
        "left": Wall((0, 0, 0), (0, 0, 1), deep, high),
        "far": Wall((0, 0, deep), (1, 0, 0), wide, high),
        "right": Wall((wide, 0, deep), (0, 0, -1), deep, high),
    }


def shell(stage: Stage, size: Size, wall: Rgb, floor: Rgb, ceiling: Rgb) -> dict[str, Wall]:
    """Paint floor, ceiling and walls with skirting and the darker corners."""
    wide, high, deep = size
    light = stage.easel.light
    ground = np.array([[0, 0, -3], [wide, 0, -3], [wide, 0, deep], [0, 0, deep]])
    stage.face(ground, light.lit(floor, 0.75))
    stage.face(ground + np.array([0, high, 0]), light.lit(ceiling, 0.55))
    walls = walls_of(size)
    tones = {"far": 0.6, "left": 0.8 if light.side > 0 else 0.35, "right": 0.35 if light.side > 0 else 0.8}
    blur = 0.03 * stage.easel.size_wh[1]
    for name, side in walls.items():
        start, end = (
            (-3.0, side.length) if name == "left" else (0.0, side.length + (3 if name == "right" else 0))
        )
        stage.face(side.quad(start, 0, end, high), light.lit(wall, tones[name]))
        dark = light.lit(wall, 0.0)
        stage.shadow(side.quad(start, high * 0.86, end, high), dark, 0.4, blur)
        stage.shadow(side.quad(start, 0, end, high * 0.1), dark, 0.35, blur)
        stage.face(side.quad(start, 0, end, 0.09), light.lit(blend(wall, (96, 70, 52), 0.7), tones[name]))
    return walls


def floor_lines(stage: Stage, size: Size, colour: Rgb, pitch: tuple[float, float]) -> None:
    """Seams of boards or tiles. pitch: distance across and ahead in metres; 0 leaves that direction out."""
    wide, _, deep = size
    easel = stage.easel
    if pitch[0]:
        for x in np.arange(pitch[0], wide, pitch[0]):
            if pitch[1] == 0 and easel.rng.random() < 0.5:  # boards differ in tone
                tone = easel.vary(easel.light.lit(colour, 0.75), 7)
                stage.face(
                    np.array([[x, 0, 0.2], [x + pitch[0], 0, 0.2], [x + pitch[0], 0, deep], [x, 0, deep]]),
                    tone,
                    lined=False,
                )
            stage.bar((x, 0, 0.3), (x, 0, deep), easel.light.lit(colour, 0.2), 0.006)
    if pitch[1]:
        for z in np.arange(0.3, deep, pitch[1]):
            stage.bar((0, 0, z), (wide, 0, z), easel.light.lit(colour, 0.2), 0.008)


def window(stage: Stage, wall: Wall, box: tuple[float, float, float, float], panes: int, view: U8) -> None:
    """A window on a wall: the view, its frame and sill. box: left, low, right, high in metres on the wall."""
    left, low, right, high = box
    light = stage.easel.light
    frame = light.lit((226, 222, 214) if panes % 2 else (120, 116, 112), 0.6)
    stage.face(wall.quad(left - 0.07, low - 0.07, right + 0.07, high + 0.07), frame)
    stage.picture(wall.quad(left, low, right, high), view)
    for x in np.linspace(left, right, panes + 1)[1:-1]:
        stage.face(wall.quad(x - 0.025, low, x + 0.025, high), frame)
    stage.face(
        wall.quad(left - 0.1, low - 0.12, right + 0.1, low - 0.06, 0.05), blend(frame, (255, 255, 255), 0.3)
    )


def curtains(stage: Stage, wall: Wall, box: tuple[float, float, float, float], colour: Rgb) -> None:
    """Drawn-back curtains in folds on both sides of a window."""
    left, low, right, high = box
    light, rng = stage.easel.light, stage.easel.rng
    width = (right - left) * rng.uniform(0.12, 0.3)
    for start in (left - 0.15, right + 0.15 - width):
        cuts = np.linspace(start, start + width, 9)
        for i in range(8):
            tone = light.lit(colour, 0.25 + 0.7 * float(0.5 + 0.5 * np.sin(i * 2.1 + start)))
            stage.face(wall.quad(cuts[i], low - 0.5, cuts[i + 1], high + 0.15, 0.06), tone, lined=i % 3 == 0)


def light_pool(stage: Stage, at: tuple[float, float], size: tuple[float, float], slant: float) -> None:
    """Window light on the floor."""
    x, z = at
    quad = np.array(
        [[x, 0, z], [x + size[0], 0, z], [x + size[0] + slant, 0, z + size[1]], [x + slant, 0, z + size[1]]]
    )
    colour = stage.easel.light.lit((255, 248, 226))
    stage.shadow(
        quad, colour, stage.easel.rng.uniform(0.15, 0.5), stage.easel.rng.uniform(1, 9) * stage.easel.unit_px
    )


def _paints(rng: np.random.Generator) -> tuple[Rgb, Rgb]:
    """Wall and floor."""
    wall = rgb_of(
        rng.uniform(0.05, 0.6) if rng.random() < 0.4 else 0.11,
        rng.uniform(0.02, 0.25),
        rng.uniform(0.7, 0.98),
    )
    floor = (
        furniture.wood(rng)
        if rng.random() < 0.7
        else rgb_of(rng.random(), rng.uniform(0.05, 0.3), rng.uniform(0.4, 0.8))
    )
    return wall, floor


def room(easel: Easel) -> None:
    """A private room: bed, desk, shelves, posters, windows with curtains; or Japanese with screens."""
    rng = easel.rng
    size = rng.uniform(3.0, 5.5), rng.uniform(2.3, 2.8), rng.uniform(3.4, 6.0)
    wide, _, deep = size
    eye = (wide * rng.uniform(0.2, 0.8), rng.uniform(0.6, 1.7), rng.uniform(0.1, 0.8))
    stage = look(
        easel,
        eye,
        rng.normal(0, 0.3) + (0.5 - eye[0] / wide) * 0.5,
        rng.normal(-0.05, 0.1),
        rng.uniform(48, 85),
    )
    wall, floor = _paints(rng)
    japanese = rng.random() < 0.25
    if japanese:
        floor = rgb_of(rng.uniform(0.12, 0.2), 0.3, 0.75)
    walls = shell(stage, size, wall, floor, blend(wall, (255, 255, 255), 0.4))
    floor_lines(stage, size, floor, (0.9, 1.8) if japanese else (rng.uniform(0.1, 0.22), 0.0))
    if rng.random() < 0.5:
        rug = np.array([[0.3, 0.005, 1.2], [0.8, 0.005, 1.2], [0.8, 0.005, 2.6], [0.3, 0.005, 2.6]]) * [
            wide,
            1,
            deep / 3,
        ]
        stage.face(
            rug, easel.light.lit(rgb_of(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.4, 0.9)), 0.7)
        )
    bright = "left" if easel.light.side < 0 else "right"
    _dress_wall(stage, walls["far"], window_here=rng.random() < 0.6, japanese=japanese)
    _dress_wall(stage, walls[bright], window_here=rng.random() < 0.6, japanese=japanese)
    _dress_wall(stage, walls["right" if bright == "left" else "left"], window_here=False, japanese=japanese)
    light_pool(
        stage,
        (wide * rng.uniform(0.1, 0.5), deep * rng.uniform(0.2, 0.5)),
        (wide * 0.25, deep * 0.25),
        -easel.light.side * 0.8,
    )
    stage.boxes(_room_boxes(rng, size))


def _dress_wall(stage: Stage, wall: Wall, *, window_here: bool, japanese: bool) -> None:
    rng, light = stage.easel.rng, stage.easel.light
    x = rng.uniform(0.1, 0.5)
    if japanese:
        for left in np.arange(x, wall.length - 0.9, 0.9):
            stage.picture(wall.quad(left, 0.02, left + 0.9, 1.85), furniture.shoji_picture(rng, light))
        return
    if window_here and wall.length > 2:
        wide = rng.uniform(0.9, min(2.6, wall.length - 0.6))
        left = rng.uniform(0.2, wall.length - wide - 0.2)
        box = (left, rng.uniform(0.5, 1.0), left + wide, rng.uniform(1.8, 2.15))
        window(stage, wall, box, int(rng.integers(1, 5)), furniture.outside_picture(stage.easel, (320, 240)))
        if rng.random() < 0.7:
            curtains(stage, wall, box, rgb_of(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.6, 1.0)))
        return
    while x < wall.length - 0.7:
        kind = rng.random()
        if kind < 0.35:
            rows = int(rng.integers(3, 6))
            stage.picture(wall.quad(x, 0, x + 0.9, 0.37 * rows), furniture.shelf_picture(rng, light, rows))
            x += 1.0
        elif kind < 0.75:
            low, wide = rng.uniform(1.0, 1.4), rng.uniform(0.35, 0.6)
            stage.picture(wall.quad(x, low, x + wide, low + wide * 1.4), furniture.poster_picture(rng, light))
            x += wide + rng.uniform(0.05, 0.5)
        elif kind < 0.85 and wall.length > 2.5:
            door = furniture.wood(rng)
            stage.face(wall.quad(x - 0.06, 0, x + 0.91, 2.08), light.lit(blend(door, (0, 0, 0), 0.2), 0.6))
            stage.face(wall.quad(x, 0, x + 0.85, 2.0), light.lit(door, 0.6))
            stage.face(wall.quad(x + 0.12, 1.1, x + 0.73, 1.85), light.lit(door, 0.4))
            stage.face(wall.quad(x + 0.74, 0.95, x + 0.8, 1.05, 0.04), light.lit((220, 210, 180)))
            x += 1.2
        else:
            x += rng.uniform(0.4, 1.0)


def _room_boxes(rng: np.random.Generator, size: Size) -> list[Box]:
    wide, _, deep = size
    colour, leg = furniture.wood(rng), furniture.wood(rng)
    boxes: list[Box] = []
    if rng.random() < 0.6:
        boxes += furniture.bed(0.05 if rng.random() < 0.5 else wide - 1.05, deep - 2.15, rng)
    if rng.random() < 0.7:
        x, z = rng.uniform(0.2, wide - 1.5), rng.uniform(1.6, deep - 1.0)
        boxes += furniture.desk(x, z, rng.uniform(0.8, 1.3), 0.6, rng.choice([0.4, 0.72]), colour, leg)
        if rng.random() < 0.6:
            boxes += furniture.chair(x + 0.3, z - 0.5, colour, leg, back_near=True)
    for _ in range(int(rng.integers(0, 5))):
        x, z, s = rng.uniform(0.1, wide - 0.5), rng.uniform(1.5, deep - 0.5), rng.uniform(0.15, 0.5)
        own = rgb_of(rng.random(), rng.uniform(0.05, 0.7), rng.uniform(0.3, 0.95))
        boxes.append(Box((x, 0, z), (x + s, s * rng.uniform(0.4, 2.2), z + s), own))
    return boxes


def classroom(easel: Easel) -> None:
    """Rows of desks, a blackboard or lockers ahead, windows on one side."""
    rng, light = easel.rng, easel.light
    size = rng.uniform(6.5, 8.5), 3.0, rng.uniform(7.5, 10.0)
    wide = size[0]
    eye = (wide * rng.uniform(0.12, 0.88), rng.uniform(0.9, 1.9), rng.uniform(0.2, 2.5))
    stage = look(
        easel,
        eye,
        rng.normal(0, 0.35) + (0.5 - eye[0] / wide) * 0.6,
        rng.normal(-0.05, 0.07),
        rng.uniform(42, 80),
    )
    wall, floor = rgb_of(rng.uniform(0.08, 0.3), rng.uniform(0.02, 0.14), 0.93), furniture.wood(rng)
    walls = shell(stage, size, wall, floor, (240, 240, 236))
    floor_lines(stage, size, floor, (rng.uniform(0.1, 0.3), 0.0))
    bright = walls["left" if light.side < 0 else "right"]
    view = furniture.outside_picture(easel, (384, 240))
    for left in np.arange(0.3, bright.length - 2, 2.3):
        box = (left, 0.95, left + 2.0, 2.5)
        window(stage, bright, box, 2, view)
        if rng.random() < 0.4:
            curtains(stage, bright, box, (240, 236, 220))
    board = walls["far"].quad(wide * 0.15, 0.9, wide * 0.85, 2.2)
    stage.face(
        walls["far"].quad(wide * 0.15 - 0.06, 0.84, wide * 0.85 + 0.06, 2.26),
        light.lit(furniture.wood(rng), 0.5),
    )
    stage.picture(board, furniture.board_picture(rng, light))
    dim = walls["right" if light.side < 0 else "left"]
    for left in np.arange(0.4, dim.length - 1, rng.uniform(0.7, 1.6)):
        stage.picture(dim.quad(left, 1.3, left + 0.45, 1.95), furniture.poster_picture(rng, light))
    _class_light(stage, size)
    stage.boxes(_class_desks(rng, size))


def _class_light(stage: Stage, size: Size) -> None:
    """Lamps below the ceiling and the windows' light on the floor."""
    light = stage.easel.light
    wide, high, deep = size
    for z in np.arange(1.5, deep, 2.5):
        lamp = np.array(
            [
                [0.3, high - 0.02, z],
                [0.7, high - 0.02, z],
                [0.7, high - 0.02, z + 0.2],
                [0.3, high - 0.02, z + 0.2],
            ]
        ) * [wide, 1, 1]
        stage.face(lamp, (250, 252, 250) if light.name != "night" else light.lit((200, 200, 190)))
    for z in np.arange(1.0, deep, 2.3):
        light_pool(stage, (wide * 0.05 if light.side < 0 else wide * 0.5, z), (wide * 0.4, 1.3), 0.4)


def _class_desks(rng: np.random.Generator, size: Size) -> list[Box]:
    wide, _, deep = size
    colour, metal = furniture.wood(rng), rgb_of(0.6, 0.06, rng.uniform(0.35, 0.7))
    boxes = [Box((wide / 2 - 0.5, 0, deep - 1.1), (wide / 2 + 0.5, 1.0, deep - 0.6), furniture.wood(rng))]
    pitch = (wide - 1.2) / 5
    for x in np.arange(0.7, wide - 0.8, pitch):
        for z in np.arange(2.6, deep - 2, 1.25):
            dx, dz = rng.normal(0, 0.03, 2)
            boxes += furniture.desk(x + dx, z + dz, 0.62, 0.42, 0.7, colour, metal)
            boxes += furniture.chair(x + 0.1 + dx, z - 0.45 + dz, colour, metal, back_near=True)
    return boxes


def corridor(easel: Easel) -> None:
    """A long corridor: windows on one side, doors on the other, light pools on a glossy floor."""
    rng, light = easel.rng, easel.light
    size = rng.uniform(2.0, 3.5), rng.uniform(2.5, 3.2), rng.uniform(12, 26)
    wide, high, deep = size
    eye = (wide * rng.uniform(0.25, 0.75), rng.uniform(0.7, 1.8), 0.2)
    stage = look(easel, eye, rng.normal(0, 0.2), rng.normal(0, 0.06), rng.uniform(40, 75))
    wall, floor = _paints(rng)
    walls = shell(stage, size, wall, floor, blend(wall, (255, 255, 255), 0.5))
    floor_lines(stage, size, floor, (wide / 4, wide / 4) if rng.random() < 0.5 else (0.0, 1.8))
    bright, dim = walls["left" if light.side < 0 else "right"], walls["right" if light.side < 0 else "left"]
    view = furniture.outside_picture(easel, (320, 240))
    pitch = rng.uniform(1.8, 3.0)
    for left in np.arange(0.2, bright.length - pitch, pitch):
        window(stage, bright, (left, 0.9, left + pitch * 0.75, high - 0.5), 2, view)
        z = left if bright is walls["left"] else deep - left - pitch * 0.75
        light_pool(stage, (wide * 0.2, z), (wide * 0.5, pitch * 0.6), 0.2)
    door = rgb_of(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.5, 0.9))
    for left in np.arange(0.5, dim.length - 2, rng.uniform(2.5, 4.5)):
        stage.face(dim.quad(left - 0.05, 0, left + 0.95, 2.1), light.lit(door, 0.1))
        stage.face(dim.quad(left, 0, left + 0.9, 2.05), light.lit(door, 0.5))
        stage.face(dim.quad(left + 0.2, 1.2, left + 0.7, 1.8), light.lit((150, 180, 200), 0.6))
        stage.picture(dim.quad(left + 1.2, 1.2, left + 1.65, 1.8), furniture.poster_picture(rng, light))
        stage.face(dim.quad(left + 0.1, 2.25, left + 0.5, 2.45, 0.15), light.lit((246, 246, 240), 0.6))
    for z in np.arange(1.0, deep, 3.0):
        lamp = np.array(
            [
                [0.4, high - 0.01, z],
                [0.6, high - 0.01, z],
                [0.6, high - 0.01, z + 1.2],
                [0.4, high - 0.01, z + 1.2],
            ]
        )
        stage.face(lamp * [wide, 1, 1], (252, 252, 246))
    stage.shadow(walls["far"].quad(0, 0, wide, high), light.sky_low, rng.uniform(0, 0.6), 4 * easel.unit_px)
