"""Skies: clear, with cumulus or cirrus, at sunset, at night. Other scenes hang one of them behind."""

from __future__ import annotations

import cv2
import numpy as np

from douga.types import F32
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.light import blend
from douga_training.simulate.sheet import Points, Rgb


def clear_sky(easel: Easel, horizon: float = 1.0) -> None:
    """A gradient down to the horizon (share of the height), with a little unevenness of the wash."""
    rng, light = easel.rng, easel.light
    _, h = easel.size_wh
    bend = rng.uniform(0.35, 0.75)
    middle = blend(light.sky_top, light.sky_low, rng.uniform(0.3, 0.65))
    easel.fade([(0, light.sky_top), (bend, middle), (1, light.sky_low)], (0, h * horizon))
    easel.fade([(0, light.sky_low), (1, light.sky_low)], (h * horizon, h))


def cumulus(
    easel: Easel, base_y: float, centre_x: float, width: float, height: float, puffs: int = 80
) -> None:
    """One heaped cloud: round lit tops, blue undersides, a torn and soft lower edge. All sizes in px.

    Puffs are spheres; the cloud is lit as their common surface, roughened by noise, in a few soft tones.
    """
    rng, light = easel.rng, easel.light
    w, h = easel.size_wh
    down = 3 if min(w, h) > 400 else 1
    pad = 0.15 * width
    x0, x1 = int(max(0, centre_x - width / 2 - pad)), int(min(w, centre_x + width / 2 + pad))
    y0, y1 = int(max(0, base_y - height * 1.25)), int(min(h, base_y + 0.25 * height))
    if x1 - x0 < 8 or y1 - y0 < 8:
        return
    small = (x1 - x0) // down + 1, (y1 - y0) // down + 1
    surface = _puffs(rng, small, (centre_x - x0, base_y - y0), (width, height), puffs, down)
    rough = painting.noise(rng, small, max(8.0, 0.2 * height / down), octaves=4, gain=0.5) - 0.5
    surface += rough * (0.09 * height / down) * (surface > -1)
    round_off = max(0.8, 0.012 * height / down)
    form = (
        cv2.GaussianBlur(surface, (0, 0), round_off) * 0.4
        + cv2.GaussianBlur(surface, (0, 0), 4 * round_off) * 0.6
    )
    gx, gy = cv2.Sobel(form, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(form, cv2.CV_32F, 0, 1, scale=1 / 8)
    steep = np.sqrt(gx * gx + gy * gy + 1)
    lit = ((-0.35 * light.side * gx + 0.5 * gy + 0.55) / steep).astype(np.float32)
    rows = np.linspace(y0, y1, small[1], dtype=np.float32)[:, None]
    lit += 0.55 * np.clip((base_y - rows) / height, 0, 1) - 0.22 + rough * 0.3
    torn = np.clip((rows - base_y + 0.3 * height) / (0.45 * height), 0, 1)
    cover = painting.smoothstep(
        0.0, 0.06 * height / down, surface - torn * (0.3 * height / down) * (1 + 3 * rough)
    )
    _lay_cloud(easel, (x0, y0, x1, y1), lit, cover)


def _puffs(
    rng: np.random.Generator,
    small_wh: tuple[int, int],
    base_xy: tuple[float, float],
    size: tuple[float, float],
    count: int,
    down: int,
) -> F32:
    """The heap of spheres seen from the front: (h, w) float32 height, in small px; -2 where there is none."""
    surface = np.full((small_wh[1], small_wh[0]), -2, np.float32)
    crowns, tall = rng.uniform(-0.32, 0.32, 4), rng.uniform(0.35, 0.95, 4)
    spread = rng.uniform(0.1, 0.24, 4)
    for _ in range(count):
        t = float(rng.uniform(-0.48, 0.48))
        hull = float((tall * np.exp(-(((t - crowns) / spread) ** 2))).max()) * np.sqrt(1 - (2 * t) ** 2)
        top = hull * rng.random() ** 0.6
        radius = size[1] * min(0.06 + 0.2 * rng.random() ** 2, 0.05 + 0.35 * hull) / down
        cx, cy = (base_xy[0] + t * size[0]) / down, (base_xy[1] - top * size[1]) / down
        ax, bx = int(max(0, cx - radius)), int(min(small_wh[0], cx + radius + 1))
        ay, by = int(max(0, cy - radius)), int(min(small_wh[1], cy + radius + 1))
        if ax >= bx or ay >= by:
            continue
        dx = np.arange(ax, bx, dtype=np.float32) - np.float32(cx)
        dy = np.arange(ay, by, dtype=np.float32) - np.float32(cy)
        inside = radius * radius - dx[None] ** 2 - dy[:, None] ** 2
        ball = np.where(inside > 0, np.sqrt(np.maximum(inside, 0)), -2)
        np.maximum(surface[ay:by, ax:bx], ball, out=surface[ay:by, ax:bx])
    return surface


def _lay_cloud(easel: Easel, box: tuple[int, int, int, int], lit: F32, cover: F32) -> None:
    light = easel.light
    bright: Rgb = light.lit((255, 253, 248))
    if light.name == "dusk":
        bright = blend(light.sky_low, (255, 240, 220), 0.45)
    dark = blend(light.lit((235, 238, 250), 0.15), light.sky_top, 0.35)
    middle = blend(bright, dark, 0.42)
    table = np.array(
        [dark, blend(dark, middle, 0.7), middle, blend(middle, bright, 0.75), bright], np.float64
    )
    lane = np.linspace(0, 1, 256)
    eased = lane + 0.055 * np.sin(lane * 8 * np.pi)  # soft steps, as with few mixed tones
    tones = np.stack([np.interp(eased, np.linspace(0, 1, 5), table[:, c]) for c in range(3)], -1).astype(
        np.uint8
    )
    painted = tones[np.clip(lit * 255, 0, 255).astype(np.uint8)]
    x0, y0, x1, y1 = box
    size = (x1 - x0, y1 - y0)
    over = cv2.resize(painted, size, interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(cover, size, interpolation=cv2.INTER_CUBIC)
    part = np.ascontiguousarray(easel.rgb[y0:y1, x0:x1])
    painting.lay(part, over, mask)
    easel.rgb[y0:y1, x0:x1] = part


def cirrus(easel: Easel, share: float, stretch: float = 4.0) -> None:
    """Thin drawn-out cloud over the whole sky. share: how opaque it gets, 0 to 1."""
    rng, light = easel.rng, easel.light
    w, h = easel.size_wh
    veil = painting.noise(rng, (w, h), 0.3 * h, octaves=5, gain=0.58, stretch=stretch)
    cut = rng.uniform(0.5, 0.62)
    tint = blend(light.sky_low, light.lit((255, 250, 246)), 0.6)
    painting.lay(easel.rgb, tint, painting.smoothstep(cut, cut + 0.3, veil) * share)


def heap_clouds(easel: Easel, horizon: float = 1.0) -> None:
    """Several cumulus clouds, the far ones small and low."""
    rng = easel.rng
    w, h = easel.size_wh
    bottom = h * horizon
    count = int(rng.integers(2, 6))
    for depth in np.sort(rng.uniform(0.15, 1.0, count)):
        width = w * depth * rng.uniform(0.3, 0.9)
        base = bottom * (1.02 - 0.55 * depth * rng.uniform(0.3, 1.0))
        cumulus(
            easel,
            base,
            rng.uniform(-0.1, 1.1) * w,
            width,
            width * rng.uniform(0.22, 0.5),
            int(rng.integers(90, 200)),
        )


def flat_clouds(easel: Easel, horizon: float = 1.0) -> None:
    """Clouds as cut from paper: hard edges and a few flat tones, as if they were cel, but without lines.

    Either lit from one side in steps, or dappled: every puff has a tone of its own.
    """
    rng, light = easel.rng, easel.light
    w, h = easel.size_wh
    bright = light.lit((255, 254, 250))
    tones = int(rng.integers(1, 4))
    for depth in np.sort(rng.uniform(0.15, 1.0, int(rng.integers(2, 7)))):
        width = w * depth * rng.uniform(0.2, 0.9)
        base = h * horizon * (1.0 - 0.9 * depth * rng.uniform(0.1, 1.0))
        puffs = _flat_puffs(rng, (rng.uniform(-0.1, 1.1) * w, base), width, width * rng.uniform(0.12, 0.35))
        dark = blend(bright, light.sky_top, rng.uniform(0.08, 0.4))
        if rng.random() < 0.4:
            for centre, radius in puffs:
                colour = blend(dark, bright, rng.beta(1.2, 0.6))
                shape = painting.blob(rng, centre, (radius * rng.uniform(0.9, 1.4), radius), 0.02)
                easel.shape(shape, easel.vary(colour, 2.5), lined=False)
            continue
        for tone in range(tones):
            share = tone / max(tones - 1, 1)
            colour = blend(dark, bright, share) if tones > 1 else bright
            for centre, radius in puffs:
                lift = np.array([light.side * 0.1, -0.22]) * radius * share
                shape = painting.blob(rng, centre + lift, (radius * (1 - 0.14 * share),) * 2, 0.02)
                easel.shape(shape, easel.vary(colour, 1.5), lined=False)


def _flat_puffs(
    rng: np.random.Generator, base_xy: tuple[float, float], width: float, height: float
) -> list[tuple[Points, float]]:
    """Centres and radii, px, of the puffs of one cloud: large in its middle, small at its ends."""
    count = int(rng.integers(5, 26)) * int(rng.integers(1, 4))
    along = rng.permutation(np.linspace(-0.5, 0.5, count)) + rng.normal(0, 0.03, count)
    hull = np.sqrt(np.clip(1 - (2 * along) ** 2, 0.04, 1))
    radius = height * hull * rng.uniform(0.25, 0.6, count)
    y = -height * hull * rng.uniform(0.0, 1.0 if count > 40 else 0.7, count)
    centres = np.stack([along * width, y], -1) + np.asarray(base_xy)
    return [(centre, float(r)) for centre, r in zip(centres, radius, strict=True)]


def low_sun(easel: Easel, horizon: float) -> None:
    """The disc of the sun near the horizon and the light around it."""
    rng = easel.rng
    w, h = easel.size_wh
    cx, cy = rng.uniform(0.1, 0.9) * w, h * horizon * rng.uniform(0.55, 0.95)
    down = 4
    xs, ys = np.arange(0, w, down, dtype=np.float32), np.arange(0, h, down, dtype=np.float32)
    far = np.hypot(xs[None] - cx, ys[:, None] - cy)
    shine = np.exp(-far / (0.16 * w)) * 0.85 + np.exp(-far / (0.02 * w)) * 0.8
    painting.glow(easel.rgb, cv2.resize(shine.astype(np.float32), (w, h)), (255, 214, 140))
    if rng.random() < 0.6:
        ring = painting.blob(rng, (cx, cy), (0.022 * w,) * 2, 0.0)
        easel.soft_shape(ring, (255, 246, 214), 1.0, 1.5 * easel.unit_px)


def stars(easel: Easel, horizon: float = 1.0) -> None:
    """Stars of all sizes, a band of milky light and sometimes the moon."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    bottom = h * horizon
    band = painting.stroke_noise(rng, (w, h), rng.uniform(15, 75), 1.5 * h, 0.35 * h)
    cloud = painting.noise(rng, (w, h), 0.2 * h, octaves=5, gain=0.6)
    milky = painting.smoothstep(0.55, 1.0, band * 0.6 + cloud * 0.55)
    painting.glow(easel.rgb, milky * rng.uniform(0.1, 0.5), blend(easel.light.sky_low, (200, 190, 255), 0.4))
    count = int(rng.integers(150, 900))
    xs, ys = rng.uniform(0, w, count), rng.uniform(0, bottom, count)
    size = np.clip(rng.pareto(2.5, count), 0, 5) * 0.8 * u + 0.4
    for x, y, r, dim in zip(xs, ys, size, rng.uniform(0.4, 1.0, count), strict=True):
        tone = blend(easel.light.sky_top, (255, 250, 240), float(dim))
        cv2.circle(easel.rgb, (round(x * 16), round(y * 16)), round(r * 16), tone, -1, cv2.LINE_AA, 4)
    if rng.random() < 0.45:
        _moon(easel, bottom)


def _moon(easel: Easel, bottom: float) -> None:
    rng = easel.rng
    w, h = easel.size_wh
    radius = rng.uniform(0.02, 0.09) * h
    centre = (rng.uniform(0.1, 0.9) * w, rng.uniform(0.12, 0.6) * bottom)
    halo = painting.blob(rng, centre, (radius * 2.2,) * 2, 0.0)
    easel.soft_shape(halo, (190, 200, 240), 0.35, radius)
    easel.soft_shape(painting.blob(rng, centre, (radius,) * 2, 0.0), (252, 248, 226), 1.0, easel.unit_px)
    for _ in range(5):
        spot = np.asarray(centre) + rng.uniform(-0.5, 0.5, 2) * radius
        easel.soft_shape(
            painting.blob(rng, spot, rng.uniform(0.1, 0.3, 2) * radius), (222, 216, 196), 0.5, radius * 0.05
        )


def any_sky(easel: Easel, horizon: float = 1.0) -> None:
    """A sky that fits the easel's light, for scenes that need one behind them."""
    rng = easel.rng
    clear_sky(easel, horizon)
    if easel.light.name == "night":
        stars(easel, horizon)
    elif easel.light.name == "dusk":
        cirrus(easel, rng.uniform(0.4, 1.0))
        if rng.random() < 0.5:
            heap_clouds(easel, horizon)
    elif rng.random() < 0.55:
        heap_clouds(easel, horizon)
    elif rng.random() < 0.7:
        cirrus(easel, rng.uniform(0.3, 0.9))
