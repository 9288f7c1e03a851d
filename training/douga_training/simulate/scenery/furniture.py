"""What rooms are furnished with: boxes for desks and beds, flat pictures for shelves, posters and windows."""

from __future__ import annotations

import cv2
import numpy as np

from douga.types import U8
from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.foliage import bush
from douga_training.simulate.scenery.light import Light, blend, vary
from douga_training.simulate.scenery.perspective import Box
from douga_training.simulate.scenery.skies import any_sky
from douga_training.simulate.sheet import Rgb


def wood(rng: np.random.Generator) -> Rgb:
    """Paint of bare or stained wood."""
    return rgb_of(rng.uniform(0.04, 0.11), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.85))


def desk(x: float, z: float, wide: float, deep: float, high: float, colour: Rgb, leg: Rgb) -> list[Box]:
    """A table with four legs; x and z: its corner nearest the origin."""
    top = Box((x, high - 0.04, z), (x + wide, high, z + deep), colour)
    under = Box((x + 0.05, high - 0.16, z + 0.05), (x + wide - 0.05, high - 0.04, z + deep - 0.05), leg)
    legs = [
        Box((a, 0, b), (a + 0.04, high - 0.04, b + 0.04), leg)
        for a in (x + 0.02, x + wide - 0.06)
        for b in (z + 0.02, z + deep - 0.06)
    ]
    return [*legs, under, top]


def chair(x: float, z: float, colour: Rgb, leg: Rgb, *, back_near: bool) -> list[Box]:
    """A chair of 0.4 m; back_near: its back rest is towards the camera side (low z)."""
    legs = [Box((a, 0, b), (a + 0.03, 0.42, b + 0.03), leg) for a in (x, x + 0.37) for b in (z, z + 0.37)]
    seat = Box((x, 0.42, z), (x + 0.4, 0.46, z + 0.4), colour)
    at = z if back_near else z + 0.36
    posts = [Box((a, 0.46, at), (a + 0.03, 0.64, at + 0.03), leg) for a in (x + 0.02, x + 0.35)]
    return [*legs, seat, *posts, Box((x, 0.62, at), (x + 0.4, 0.82, at + 0.04), colour)]


def bed(x: float, z: float, rng: np.random.Generator) -> list[Box]:
    """A bed of 1 x 2 m with a coloured cover and a pillow at its far end."""
    sheet = rgb_of(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.6, 1.0))
    frame = wood(rng)
    return [
        Box((x, 0, z), (x + 1.0, 0.3, z + 2.0), frame),
        Box((x, 0.3, z), (x + 1.0, 0.5, z + 2.0), sheet),
        Box((x, 0, z + 2.0), (x + 1.0, 0.85, z + 2.06), frame),
        Box((x + 0.15, 0.5, z + 1.5), (x + 0.85, 0.62, z + 1.95), (244, 242, 238)),
    ]


def shelf_picture(rng: np.random.Generator, light: Light, rows: int) -> U8:
    """The front of a shelf full of books, boxes and gaps, (64 * rows, 256, 3)."""
    frame = light.lit(wood(rng), 0.7)
    image = np.full((64 * rows, 256, 3), blend(frame, (0, 0, 0), 0.6), np.uint8)
    for row in range(rows):
        x, floor = 8.0, 64 * row + 58
        while x < 244:
            kind = rng.random()
            wide = rng.uniform(4, 13) if kind < 0.85 else rng.uniform(16, 40)
            tall = rng.uniform(30, 50)
            if kind > 0.14:
                spine = light.lit(
                    rgb_of(rng.random(), rng.uniform(0.05, 0.7), rng.uniform(0.25, 0.95)),
                    rng.uniform(0.3, 0.8),
                )
                lean = rng.normal(0, 2.0) if rng.random() < 0.2 else 0.0
                top = floor - tall
                book = np.array([[x + lean, top], [x + lean + wide, top], [x + wide, floor], [x, floor]])
                painting.poly(image, book, spine)
                painting.poly(
                    image,
                    book + [[0, 6], [0, 6], [0, 8 - tall], [0, 8 - tall]] * np.array([[1, 1]]),
                    vary(rng, spine, 22),
                )
            x += wide + 0.6
        cv2.rectangle(image, (0, floor), (255, floor + 5), frame, -1)
        cv2.rectangle(image, (0, floor + 6), (255, floor + 9), blend(frame, (0, 0, 0), 0.7), -1)
    cv2.rectangle(image, (0, 0), (255, 64 * rows - 1), frame, 9)
    return image


def poster_picture(rng: np.random.Generator, light: Light) -> U8:
    """A poster with print, a view, or a drawn face: outlines that are not cel. (192, 136, 3)."""
    paper = light.lit(rgb_of(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.7, 1.0)), 0.8)
    image = np.full((192, 136, 3), paper, np.uint8)
    ink = light.lit(rgb_of(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.05, 0.5)))
    kind = rng.choice(["print", "face", "view"])
    if kind == "print":
        cv2.rectangle(image, (12, 10), (124, 34), ink, -1)
        for y in range(50, 180, 9):
            cv2.line(image, (14, y), (int(rng.integers(60, 124)), y), blend(paper, ink, 0.7), 2, cv2.LINE_AA)
    elif kind == "face":
        _poster_face(rng, image, light, ink)
    else:
        any_sky(Easel(rng, image, light), rng.uniform(0.4, 0.8))
        painting.poly(image, np.array([[0, 192], [0, 150], [60, 120], [136, 160], [136, 192]]), ink)
    cv2.rectangle(image, (0, 0), (135, 191), blend(paper, (255, 255, 255), 0.5), 5)
    return image


def _poster_face(rng: np.random.Generator, image: U8, light: Light, ink: Rgb) -> None:
    hair = light.lit(rgb_of(rng.random(), rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.95)))
    skin = light.lit((255, 226, 206))
    painting.poly(image, painting.blob(rng, (68, 84), (46, 54), 0.1), hair)
    face = painting.blob(rng, (68, 92), (30, 38), 0.04)
    painting.poly(image, face, skin)
    painting.path(image, np.vstack([face, face[:1]]), ink, 2)
    for x in (54, 82):
        cv2.ellipse(image, (x, 92), (5, 8), 0, 0, 360, ink, -1, cv2.LINE_AA)
    painting.poly(image, np.array([[30, 192], [44, 140], [92, 140], [106, 192]]), hair)
    painting.poly(image, np.array([[36, 84], [50, 48], [68, 76], [88, 46], [102, 84], [68, 40]]), hair)


def outside_picture(easel: Easel, size_wh: tuple[int, int]) -> U8:
    """What is seen through a window: sky, roofs or leaves, paler than the room."""
    rng, light = easel.rng, easel.light
    view = Easel(rng, np.zeros((size_wh[1], size_wh[0], 3), np.uint8), light)
    w, h = size_wh
    horizon = rng.uniform(0.5, 1.0)
    any_sky(view, horizon)
    if rng.random() < 0.5:
        for x in np.arange(0, w, w / 7):
            top = h * rng.uniform(0.45, 0.85)
            colour = light.far(rgb_of(rng.uniform(0, 0.7), 0.12, rng.uniform(0.5, 0.9)), 0.45)
            painting.poly(view.rgb, np.array([[x, top], [x + w / 6, top], [x + w / 6, h], [x, h]]), colour)
    if rng.random() < 0.6:
        for _ in range(int(rng.integers(1, 4))):
            bush(view, rng.uniform((0, 0.7), (1, 1.0)) * (w, h), (0.28 * w, 0.25 * h), 60, 110, far=0.2)
    glare = rng.uniform(0.0, 0.45) * (light.name != "night")
    return painting.soft_blur(
        cv2.addWeighted(view.rgb, 1 - glare, np.full_like(view.rgb, 255), glare, 0), 1.0
    )


def board_picture(rng: np.random.Generator, light: Light) -> U8:
    """A blackboard (or white board) with wiped chalk and some writing, (200, 640, 3)."""
    white = rng.random() < 0.15
    ground = light.lit(
        (242, 244, 246) if white else rgb_of(rng.uniform(0.36, 0.44), 0.45, rng.uniform(0.25, 0.42)), 0.8
    )
    chalk = light.lit((40, 50, 90) if white else (236, 238, 226), 0.9)
    image = np.full((200, 640, 3), ground, np.uint8)
    smear = painting.stroke_noise(rng, (640, 200), rng.uniform(-20, 20), 160, 18)
    painting.lay(image, chalk, np.clip(smear - 0.55, 0, 1) * rng.uniform(0.1, 0.8))
    for _ in range(int(rng.integers(0, 7))):
        x, y, step = rng.uniform(30, 500), rng.uniform(30, 170), rng.uniform(8, 15)
        for i in range(int(rng.integers(3, 11))):
            sign = np.cumsum(rng.normal(0, step * 0.4, (4, 2)), 0) + np.array([x + i * step * 1.4, y])
            painting.path(image, sign, blend(ground, chalk, rng.uniform(0.6, 1)), 1.5)
    return image


def shoji_picture(rng: np.random.Generator, light: Light) -> U8:
    """A paper screen with its lattice, (256, 160, 3)."""
    bar = light.lit(wood(rng), 0.35)
    image = painting.ramp((160, 256), [(0, light.lit((250, 246, 232))), (1, light.lit((236, 228, 208), 0.7))])
    for x in np.linspace(0, 159, int(rng.integers(4, 7))):
        cv2.line(image, (round(x), 0), (round(x), 255), bar, 3)
    for y in np.linspace(0, 210, int(rng.integers(5, 10))):
        cv2.line(image, (0, round(y)), (159, round(y)), bar, 3)
    cv2.rectangle(image, (0, 212), (159, 255), bar, -1)
    cv2.rectangle(image, (0, 0), (159, 255), bar, 8)
    return image
