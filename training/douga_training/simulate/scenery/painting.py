"""The painter's hand: noise, textures, soft masks and dabs that scenes are made of.

All images are (H, W, 3) uint8 sRGB and are changed in place where a function returns nothing; all masks are
(H, W) float32, 0 to 1; sizes are (width, height) in px.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.types import F32, U8
from douga_training.simulate.sheet import Points, Rgb

Pair = Sequence[float] | NDArray[np.float64]  # x and y
_SHIFT = 4  # cv2 draws with 1/16 px


def noise(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    cell_px: float,
    *,
    octaves: int = 3,
    gain: float = 0.5,
    stretch: float = 1.0,
) -> F32:
    """Smooth value noise, (H, W) float32 around 0.5, nearly always within 0 to 1.

    cell_px: size of the largest blot. stretch: how many times wider than high the blots are.
    """
    w, h = size_wh
    finest = cell_px / 2 ** (octaves - 1)
    down = 4 if finest >= 12 else 2 if finest >= 5 else 1
    work = max(2, -(-w // down)), max(2, -(-h // down))
    total = np.zeros((work[1], work[0]), np.float32)
    power = 0.0
    for octave in range(octaves):
        cell = max(cell_px / 2**octave, 1.0)
        grid = max(3, round(w / cell / stretch) + 2), max(3, round(h / cell) + 2)
        weight = gain**octave
        blots = rng.random((grid[1], grid[0]), np.float32) - 0.5
        total += weight * cv2.resize(blots, work, interpolation=cv2.INTER_CUBIC)
        power += weight * weight
    total *= 0.8 / np.sqrt(power)
    total += 0.5
    return total[:h, :w] if down == 1 else cv2.resize(total, size_wh, interpolation=cv2.INTER_LINEAR)


def stroke_noise(
    rng: np.random.Generator, size_wh: tuple[int, int], angle_deg: float, length_px: float, width_px: float
) -> F32:
    """Noise drawn out in one direction, like the marks of a broad brush. (H, W) float32 around 0.5."""
    w, h = size_wh
    down = 2 if width_px >= 4 else 1
    w, h = -(-w // down), -(-h // down)
    side = int(np.hypot(w, h)) + 2
    cells = max(3, round(side * down / length_px)), max(3, round(side * down / width_px))
    marks = cv2.resize(
        rng.random((cells[1], cells[0]), np.float32), (side, side), interpolation=cv2.INTER_LINEAR
    )
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle_deg, 1.0)
    turn[:, 2] += (w - side) / 2, (h - side) / 2
    marks = cv2.warpAffine(marks, turn, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return marks if down == 1 else cv2.resize(marks, size_wh, interpolation=cv2.INTER_LINEAR)


def smoothstep(low: float, high: float, values: F32) -> F32:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - low) * (1.0 / (high - low)), 0.0, 1.0, dtype=np.float32)
    return t * t * (3 - 2 * t)


def ramp(size_wh: tuple[int, int], stops: Sequence[tuple[float, Rgb]], turn_deg: float = 0.0) -> U8:
    """A smooth gradient, (H, W, 3) uint8. stops: (position 0 to 1, colour), top to bottom.

    turn_deg: direction of the gradient, 0 downwards, 90 to the right.
    """
    w, h = size_wh
    places = np.array([s[0] for s in stops])
    colours = np.array([s[1] for s in stops], np.float64)
    lane = np.arange(1024) / 1023
    table = np.stack([np.interp(lane, places, colours[:, c]) for c in range(3)], -1).round().astype(np.uint8)
    a = np.deg2rad(turn_deg)
    x = (np.arange(w, dtype=np.float32) / max(w - 1, 1) - 0.5) * np.sin(a)
    y = (np.arange(h, dtype=np.float32) / max(h - 1, 1) - 0.5) * np.cos(a)
    reach = abs(np.sin(a)) + abs(np.cos(a))
    index = ((y[:, None] + x[None, :]) / reach + 0.5) * 1023
    return table[np.clip(index, 0, 1023).astype(np.int32)]


def lay(image: U8, colour: Rgb | U8, mask: F32) -> None:
    """Paint a colour, or another image of the same size, over an image where the mask says so."""
    over = colour if isinstance(colour, np.ndarray) else np.full_like(image, colour)
    cover = np.clip(mask, 0.0, 1.0, dtype=np.float32)
    image[:] = cv2.blendLinear(image, over, 1 - cover, cover)


def multiply(image: U8, factor: NDArray[np.floating]) -> None:
    """Scale the brightness of an image by a mask around 1."""
    image[:] = np.clip(image * factor.astype(np.float32, copy=False)[..., None], 0, 255)


def glow(image: U8, mask: F32, colour: Rgb) -> None:
    """Add light: screen a colour over an image, as strong as the mask says."""
    light = np.clip(mask, 0, 1)[..., None] * np.array(colour, np.float32)
    image[:] = 255 - (255 - image) * (255 - light) * (1 / 255)


def fixed(points: Points) -> np.ndarray:
    """Points as the 1/16 px integers that cv2 draws with."""
    return np.round(np.clip(points, -30000, 30000) * (1 << _SHIFT)).astype(np.int32)


def poly(image: U8, points: Points, colour: Rgb | int, *, sharp: bool = False) -> None:
    """Fill one polygon. sharp: without antialiasing."""
    if len(points) >= 3:
        value = (colour,) * 3 if isinstance(colour, int) else colour
        cv2.fillPoly(image, [fixed(points)], value, cv2.LINE_8 if sharp else cv2.LINE_AA, _SHIFT)


def convexes(image: U8, shapes: np.ndarray, colours: np.ndarray) -> None:
    """Fill many small convex polygons in order. shapes: (N, K, 2) px; colours: (N, C) 0 to 255."""
    corners = fixed(shapes)
    for corner, colour in zip(corners, np.asarray(colours).astype(int).tolist(), strict=True):
        cv2.fillConvexPoly(image, corner, colour, cv2.LINE_AA, _SHIFT)


def path(image: U8, points: Points, colour: Rgb, width_px: float) -> None:
    """Draw an open line."""
    if len(points) >= 2:
        thick = max(1, round(width_px))
        cv2.polylines(image, [fixed(points)], False, colour, thick, cv2.LINE_AA, _SHIFT)


def blob(rng: np.random.Generator, centre: Pair, radii: Pair, rough: float = 0.15) -> Points:
    """An irregular closed shape, (32, 2) px. rough: how far the outline strays, as a share of the radius."""
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    stray = np.ones(32)
    for wave in (2, 3, 5, 8):
        stray += rough / np.sqrt(wave) * rng.normal() * np.sin(wave * turn + rng.uniform(0, 7))
    ring = np.stack([np.cos(turn) * radii[0], np.sin(turn) * radii[1]], -1) * stray[:, None]
    return ring + np.asarray(centre)


def dab_over(
    image: U8,
    rng: np.random.Generator,
    count: int,
    length_px: float,
    width_px: float,
    *,
    angle_deg: float | None = None,
    jitter: float = 6.0,
    edge_step: float = 14.0,
) -> None:
    """Go over an image with short brush dabs that pick up the colour below them, slightly off.

    angle_deg: main direction of the dabs; None: every which way. jitter: colour spread, 0 to 255. edge_step:
    where the colour changes by more than this (0 to 255) along a dab, the dab is left out.
    """
    h, w = image.shape[:2]
    x, y = rng.integers(0, w, count), rng.integers(0, h, count)
    angle = (
        rng.uniform(0, np.pi, count) if angle_deg is None else np.deg2rad(rng.normal(angle_deg, 14, count))
    )
    off = rng.normal(0, jitter, (count, 1)) + rng.normal(0, jitter * 0.4, (count, 3))
    size = rng.uniform(0.4, 1.2, (count, 2)) * (length_px / 2, width_px / 2)
    along = np.stack([np.cos(angle), np.sin(angle)], -1)
    colours = image[y, x].astype(np.float64)
    even = np.ones(count, bool)
    for end in (-1, 1):  # a painter keeps within the edges
        tip = np.round(np.stack([x, y], -1) + end * along * size[:, :1]).astype(int)
        there = image[np.clip(tip[:, 1], 0, h - 1), np.clip(tip[:, 0], 0, w - 1)]
        even &= np.abs(there - colours).max(-1) < edge_step
    colours = np.clip(colours + off, 0, 255)
    across = np.stack([-along[:, 1], along[:, 0]], -1)
    outline = np.array([[-1, 0], [-0.7, 0.8], [0.5, 1], [1, 0.3], [0.8, -0.7], [-0.4, -1]])
    shapes = (
        np.stack([x, y], -1)[:, None]
        + outline[None, :, :1] * (along * size[:, :1])[:, None]
        + outline[None, :, 1:] * (across * size[:, 1:])[:, None]
    )
    convexes(image, shapes[even], colours[even])


def lay_in(
    image: U8,
    rng: np.random.Generator,
    radii_px: Sequence[float],
    *,
    corners: int,
    long: float,
    loose: float,
    jitter: float,
) -> U8:
    """The same picture laid in with opaque paint: dabs of one tone with hard edges, broad ones first.

    The order of sizes and the mending of what strays are Hertzmann's ("Painterly rendering with curved brush
    strokes of multiple sizes", 1998). radii_px: of the dabs, from broad to fine. corners: of a dab's outline;
    many make it round. long: how much longer than wide a dab is; it lies along the edges of the picture.
    loose: how far, 0 to 255, the paint may stray before a finer dab mends it. jitter: spread of the tones, 0
    to 255. Returns a new image of the same shape.
    """
    canvas = soft_blur(image, radii_px[0])
    for layer, radius in enumerate(radii_px):
        wanted = soft_blur(image, 0.5 * radius)
        h, w = image.shape[:2]
        grid_wh = max(1, round(w / radius)), max(1, round(h / radius))
        strays = cv2.resize(cv2.absdiff(wanted, canvas).max(-1), grid_wh, interpolation=cv2.INTER_AREA)
        cells = np.argwhere((strays > loose) | (layer == 0))
        row, column = cells[rng.permutation(len(cells))].T
        spot = rng.uniform(0, 1, (len(cells), 2)) + np.stack([column, row], -1)
        centre = np.minimum(spot * (w / grid_wh[0], h / grid_wh[1]), (w - 1, h - 1))
        grey = cv2.cvtColor(cv2.resize(wanted, grid_wh, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        slope_x, slope_y = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx)[row, column] for dx in (1, 0))
        angle = np.arctan2(slope_x, -slope_y) + rng.normal(0, 0.4, len(cells))
        x, y = centre.astype(int).T
        tones = wanted[y, x] + rng.normal(0, jitter, (len(x), 1)) + rng.normal(0, 0.3 * jitter, (len(x), 3))
        convexes(canvas, _dabs(rng, centre, angle, radius, long, corners), np.clip(tones, 0, 255))
    return canvas


def _dabs(
    rng: np.random.Generator, centre: np.ndarray, angle: np.ndarray, radius: float, long: float, corners: int
) -> np.ndarray:
    """Outlines, (N, corners, 2) px, of dabs that lie at (N, 2) px along an angle (N,) in radians."""
    count = len(centre)
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 2 * np.pi, (count, 1))
    reach = radius * rng.uniform(0.8, 1.5, (count, 1)) * rng.uniform(0.85, 1.15, (count, corners))
    along, across = np.cos(turn) * reach * np.sqrt(long), np.sin(turn) * reach / np.sqrt(long)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([along * cos - across * sin, along * sin + across * cos], -1) + centre[:, None]


def wobble(image: U8, rng: np.random.Generator, cell_px: float, reach_px: float) -> U8:
    """Push the pixels about by smooth noise, so that ruled edges look drawn by hand."""
    h, w = image.shape[:2]
    xs, ys = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    xs += (noise(rng, (w, h), cell_px, octaves=2) - 0.5) * (2 * reach_px)
    ys += (noise(rng, (w, h), cell_px, octaves=2) - 0.5) * (2 * reach_px)
    return cv2.remap(image, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def soft_blur(image: U8, sigma_px: float) -> U8:
    """Blur an image far out of focus at little cost: wide blurs are made small and brought up again."""
    if sigma_px < 0.3:
        return image
    h, w = image.shape[:2]
    down = max(1, int(sigma_px / 3))
    if down == 1:
        return cv2.GaussianBlur(image, (0, 0), sigma_px)
    small = cv2.resize(image, (max(2, w // down), max(2, h // down)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / down)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)


def resized(image: U8, size_wh: tuple[int, int]) -> U8:
    """Bring an image up to another size, smoothly."""
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_CUBIC)
