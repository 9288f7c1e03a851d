"""Painted backgrounds and foreground bushes of the examination: stacks of brush strokes, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from douga.types import U8

Colour = tuple[int, int, int]
Rng = np.random.Generator
_SHIFT = 3


def paint_plate(rng: Rng, size_wh: tuple[int, int], kind: str) -> U8:
    """A background. kind: one of PLATES. Returns (H, W, 3) uint8 RGB."""
    return PLATES[kind](rng, size_wh)


def paint_bush(rng: Rng, size_wh: tuple[int, int]) -> tuple[U8, U8]:
    """A bush before the characters, at a lower corner: (H, W, 3) RGB and (H, W) alpha, straight."""
    w, h = size_wh
    rgb, alpha = np.zeros((h, w, 3), np.uint8), np.zeros((h, w), np.uint8)
    left = rng.random() < 0.5
    reach, tall = w * rng.uniform(0.3, 0.6), h * rng.uniform(0.18, 0.36)
    tones: list[Colour] = [(22, 44, 34), (36, 72, 40), (66, 110, 48), (126, 158, 66)]
    for level, tone in enumerate(tones):
        for _ in range(340 - 50 * level):
            x = rng.triangular(0, 0, 1) * reach
            top = tall * np.sqrt(max(0.0, 1 - (x / reach) ** 2)) * (0.82 + 0.18 * np.sin(x / w * 40))
            y = h - top * rng.uniform(0.15 + 0.15 * level, 1.0)
            axes = (h * rng.uniform(0.012, 0.03), h * rng.uniform(0.004, 0.011))
            at, angle = ((x if left else w - x), y), float(rng.uniform(0, 180))
            _dab(rgb, at, axes, angle, _near(rng, tone, 9))
            _dab(alpha, at, axes, angle, 255)
    body = [(0, h), (0, h - tall * 0.55), (reach * 0.5, h - tall * 0.4), (reach * 0.9, h)]
    corners = np.array([[x if left else w - 1 - x, y] for x, y in body], np.int32)
    under = np.zeros_like(alpha)
    cv2.fillPoly(under, [corners], 255)
    rgb[(under > 0) & (alpha == 0)] = tones[0]
    return rgb, cv2.max(alpha, under)


# -- kinds ---------------------------------------------------------------------------------------------------


def _cumulus(rng: Rng, size_wh: tuple[int, int]) -> U8:
    w, h = size_wh
    image = _washes(rng, size_wh, [(58, 124, 204), (126, 184, 232), (214, 232, 240)])
    for _ in range(int(rng.integers(3, 6))):
        _cloud(rng, image, (rng.uniform(0, w), h * rng.uniform(0.2, 0.7)), w * rng.uniform(0.12, 0.3))
    return _grass(rng, image, h * rng.uniform(0.8, 0.95), [(44, 92, 60), (84, 136, 66), (146, 178, 84)])


def _meadow(rng: Rng, size_wh: tuple[int, int]) -> U8:
    w, h = size_wh
    image = _washes(rng, size_wh, [(150, 200, 226), (206, 226, 226), (240, 236, 214)])
    _cloud(rng, image, (w * rng.uniform(0.2, 0.8), h * 0.28), w * 0.2)
    horizon = h * rng.uniform(0.45, 0.6)
    _foliage(rng, image, horizon, h * 0.12, [(52, 92, 86), (74, 122, 92), (112, 152, 102)])
    return _grass(rng, image, horizon, [(78, 118, 54), (118, 156, 66), (178, 196, 96)])


def _forest(rng: Rng, size_wh: tuple[int, int]) -> U8:
    w, h = size_wh
    image = _washes(rng, size_wh, [(38, 66, 58), (70, 104, 76), (48, 62, 44)])
    for x in rng.uniform(0, w, 9):
        wide, bark = w * rng.uniform(0.012, 0.035), _near(rng, (66, 52, 46), 12)
        for _ in range(40):
            at = (x + rng.normal(0, wide * 0.4), rng.uniform(0, h))
            _dab(image, at, (h * 0.12, wide * 0.12), 90 + rng.normal(0, 2), _near(rng, bark, 12))
    _foliage(rng, image, h * 0.35, h * 0.35, [(24, 52, 44), (48, 86, 50), (108, 140, 62)])
    return _grass(rng, image, h * 0.78, [(34, 58, 40), (58, 86, 46), (106, 126, 60)])


def _sunset(rng: Rng, size_wh: tuple[int, int]) -> U8:
    w, h = size_wh
    image = _washes(rng, size_wh, [(88, 74, 138), (226, 128, 116), (252, 204, 132)])
    for _ in range(26):
        at = rng.uniform(0, w), h * rng.uniform(0.1, 0.7)
        axes = w * rng.uniform(0.05, 0.2), h * rng.uniform(0.004, 0.018)
        _dab(image, at, axes, rng.normal(0, 2), _near(rng, (186, 106, 128), 18))
    for x in np.arange(0, w, w * 0.055):
        tall, wide = h * rng.uniform(0.08, 0.3), w * rng.uniform(0.03, 0.07)
        cv2.rectangle(
            image, (int(x), int(h * 0.9 - tall)), (int(x + wide), h), _near(rng, (72, 56, 92), 9), -1
        )
        for _ in range(8):
            u, v = int(x + rng.uniform(0, wide)), int(h * 0.9 - rng.uniform(0, tall))
            cv2.rectangle(image, (u, v), (u + w // 240, v + h // 120), (250, 206, 120), -1)
    return _grass(rng, image, h * 0.88, [(50, 38, 66), (66, 50, 76), (92, 66, 84)])


def _room(rng: Rng, size_wh: tuple[int, int]) -> U8:
    w, h = size_wh
    wall, floor = _near(rng, (206, 190, 164), 20), int(h * rng.uniform(0.7, 0.85))
    image = _washes(rng, size_wh, [wall, _near(rng, wall, 10), (170, 150, 128)])
    image[floor:] = (126, 88, 60)
    for x in np.linspace(-w, 2 * w, 26):
        cv2.line(image, (int(w / 2 + (x - w / 2) * 0.5), floor), (int(x), h), (96, 62, 44), 2, cv2.LINE_AA)
    u, v, wide, tall = w * rng.uniform(0.1, 0.6), h * 0.12, w * 0.26, h * 0.42
    box = [int(t) for t in (u, v, u + wide, v + tall)]
    image[box[1] : box[3], box[0] : box[2]] = (212, 232, 244)
    _cloud(rng, image[box[1] : box[3], box[0] : box[2]], (wide * 0.5, tall * 0.7), wide * 0.4)
    for t in np.linspace(0, 1, 3):
        at = int(box[0] + (box[2] - box[0]) * t)
        cv2.line(image, (at, box[1]), (at, box[3]), (236, 230, 220), max(2, w // 160), cv2.LINE_AA)
    cv2.rectangle(image, (box[0], box[1]), (box[2], box[3]), (112, 84, 66), max(2, w // 300), cv2.LINE_AA)
    return _bristle(rng, image, 4)


def _night(rng: Rng, size_wh: tuple[int, int]) -> U8:
    w, h = size_wh
    image = _washes(rng, size_wh, [(8, 10, 26), (18, 24, 52), (40, 44, 76)])
    for _ in range(90):
        cv2.circle(
            image, (int(rng.uniform(0, w)), int(rng.uniform(0, h * 0.6))), 1, (200, 206, 230), -1, cv2.LINE_AA
        )
    _foliage(rng, image, h * 0.66, h * 0.2, [(8, 14, 24), (14, 24, 36), (26, 40, 52)])
    return _grass(rng, image, h * 0.78, [(10, 16, 24), (18, 28, 36), (34, 48, 56)])


PLATES: dict[str, Callable[[Rng, tuple[int, int]], U8]] = {
    "cumulus": _cumulus,
    "meadow": _meadow,
    "forest": _forest,
    "sunset": _sunset,
    "room": _room,
    "night": _night,
}


# -- strokes -------------------------------------------------------------------------------------------------


def _washes(rng: Rng, size_wh: tuple[int, int], colours: list[Colour]) -> U8:
    """A gradient from top to bottom, laid in broad strokes that stay visible."""
    w, h = size_wh
    t = np.linspace(0, len(colours) - 1, h)
    column = np.stack([np.interp(t, range(len(colours)), np.array(colours)[:, c]) for c in range(3)], 1)
    image = np.ascontiguousarray(np.repeat(column[:, None], w, 1).astype(np.uint8))
    for _ in range(150):
        y = rng.uniform(0, h)
        tone = np.clip(column[int(y)] + rng.normal(0, 5, 3), 0, 255)
        axes = (w * rng.uniform(0.06, 0.25), h * rng.uniform(0.006, 0.03))
        colour = (int(tone[0]), int(tone[1]), int(tone[2]))
        _dab(image, (rng.uniform(0, w), y), axes, rng.normal(-4, 5), colour)
    return _bristle(rng, cv2.GaussianBlur(image, (0, 0), h / 220), 5)


def _bristle(rng: Rng, image: U8, strength: float) -> U8:
    """Streaks of a dry brush and the grain of paper over a painting."""
    h, w = image.shape[:2]
    streaks = cv2.GaussianBlur(rng.normal(0, 1, (h, w)).astype(np.float32), (0, 0), 9, sigmaY=0.8) * 5
    paper = cv2.GaussianBlur(rng.normal(0, 1, (h, w)).astype(np.float32), (0, 0), 1.1)
    return np.clip(image + ((streaks + paper) * strength * 0.6)[..., None], 0, 255).astype(np.uint8)


def _cloud(rng: Rng, image: U8, at: tuple[float, float], size: float) -> None:
    """Heaps of dabs: shaded below, lit on top, hard on the upper edge and worn below."""
    for tone, lift, count in (
        ((168, 188, 214), 0.0, 60),
        ((222, 232, 242), 0.12, 60),
        ((252, 252, 250), 0.22, 45),
    ):
        for _ in range(count):
            x = rng.normal(0, 0.38)
            top = 0.42 * np.exp(-((x / 0.5) ** 2))
            y = -rng.uniform(0.3, 1.0) * top - lift * top
            r = size * rng.uniform(0.04, 0.13)
            where = (at[0] + x * size * 1.2, at[1] + y * size)
            _dab(image, where, (r, r * rng.uniform(0.6, 0.95)), rng.uniform(-20, 20), _near(rng, tone, 4))


def _foliage(rng: Rng, image: U8, y: float, tall: float, tones: list[Colour]) -> None:
    """Bushes along a line: clumps of leaf dabs, dark ones first."""
    h, w = image.shape[:2]
    clumps = [
        (rng.uniform(0, w), y + rng.normal(0, tall * 0.3), tall * rng.uniform(0.3, 0.8)) for _ in range(22)
    ]
    for level, tone in enumerate(tones):
        for cx, cy, r in clumps:
            for _ in range(36):
                angle, far = rng.uniform(0, 2 * np.pi), r * np.sqrt(rng.random()) * (1 - 0.18 * level)
                at = (
                    cx + np.cos(angle) * far * 1.4 - level * r * 0.1,
                    cy + np.sin(angle) * far - level * r * 0.16,
                )
                axes = (h * rng.uniform(0.006, 0.022), h * rng.uniform(0.004, 0.01))
                _dab(image, at, axes, rng.uniform(0, 180), _near(rng, tone, 10))


def _grass(rng: Rng, image: U8, y: float, tones: list[Colour]) -> U8:
    """Ground from y down: rows of blades, longer towards us."""
    h, w = image.shape[:2]
    image[int(y) :] = tones[0]
    for row in np.linspace(y, h, 26):
        near = (row - y) / max(1.0, h - y)
        for _ in range(int(110 - 60 * near)):
            x, tall = rng.uniform(0, w), h * (0.01 + 0.05 * near) * rng.uniform(0.5, 1.3)
            tone = tones[int(rng.integers(len(tones)))]
            tip = (int(x + rng.normal(0, tall * 0.35)), int(row - tall))
            wide = 1 + int(near * h / 300)
            cv2.line(image, (int(x), int(row)), tip, _near(rng, tone, 12), wide, cv2.LINE_AA)
    return _bristle(rng, image, 2.5)


def _dab(
    image: U8, at: tuple[float, float], axes: tuple[float, float], angle: float, colour: Colour | int
) -> None:
    scale = 1 << _SHIFT
    centre = (round(at[0] * scale), round(at[1] * scale))
    radii = (max(scale, round(axes[0] * scale)), max(scale, round(axes[1] * scale)))
    paint = colour if isinstance(colour, tuple) else (colour,)
    cv2.ellipse(image, centre, radii, float(angle), 0, 360, paint, -1, cv2.LINE_AA, _SHIFT)


def _near(rng: Rng, colour: Colour, spread: float) -> Colour:
    r, g, b = (int(v) for v in np.clip(np.array(colour) + rng.normal(0, spread, 3), 0, 255))
    return r, g, b
