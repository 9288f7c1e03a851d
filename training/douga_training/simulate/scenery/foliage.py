"""Plants: leaf clusters, bushes, trees, grass and the scenes made of them; books use the same plants."""

from __future__ import annotations

import cv2
import numpy as np

from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.light import blend
from douga_training.simulate.scenery.skies import any_sky
from douga_training.simulate.sheet import Points, Rgb

Ramp = np.ndarray  # (N, 3) colours from dark to light


def leaf_tones(easel: Easel, *, far: float = 0.0) -> Ramp:
    """Seven greens (or autumn reds, or blossom) from deep shadow to sunlit, in the easel's light.

    far: share of haze, 0 to 1.
    """
    rng, light = easel.rng, easel.light
    kind = rng.choice(["green", "blue green", "autumn", "blossom"], p=[0.74, 0.18, 0.05, 0.03])
    hue, saturation = rng.uniform(0.19, 0.33), rng.uniform(0.3, 0.66)
    if kind == "blue green":
        hue, saturation = rng.uniform(0.34, 0.47), rng.uniform(0.25, 0.6)
    elif kind == "autumn":
        hue, saturation = rng.uniform(0.0, 0.12), rng.uniform(0.55, 0.85)
    elif kind == "blossom":
        hue, saturation = rng.uniform(0.9, 0.97), rng.uniform(0.15, 0.35)
    bright = rng.uniform(0.62, 0.95) if kind != "blossom" else 1.0
    tones = []
    for step in np.linspace(0, 1, 7):
        turned = hue + 0.1 * (1 - step) ** 1.5 * (1 if kind != "autumn" else -0.5)
        own = rgb_of(turned, saturation, bright * (0.34 + 0.66 * step))
        tones.append(blend(light.lit(own, 0.15 + 0.85 * float(step)), light.sky_low, far))
    return np.array(tones, np.float64)


def leaf_shapes(
    rng: np.random.Generator,
    centres: Points,
    length_px: np.ndarray | float,
    slender: float,
    droop: float | None = None,
) -> np.ndarray:
    """Pointed leaves at the centres, (N, 6, 2) px. slender: width over length. droop: main angle, rad."""
    n = len(centres)
    angle = rng.uniform(0, 2 * np.pi, n) if droop is None else rng.normal(droop, 0.6, n)
    half = np.broadcast_to(np.asarray(length_px) / 2, n) * rng.uniform(0.6, 1.3, n)
    outline = np.array([[-1, 0], [-0.4, 1], [0.35, 0.8], [1, 0], [0.35, -0.8], [-0.4, -1]])
    wide = slender * rng.uniform(0.5, 1.2, n)
    x, y = outline[None, :, 0] * half[:, None], outline[None, :, 1] * (half * wide)[:, None]
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([x * c - y * s, x * s + y * c], -1) + centres[:, None]


def cluster(
    easel: Easel,
    centre: painting.Pair,
    radii: painting.Pair,
    tones: Ramp,
    leaves: int,
    leaf_px: float,
    *,
    slender: float = 0.5,
) -> None:
    """One clump of leaves: a dark body with a ragged edge, leaves over it from shadow to light.

    Light comes from above and the light's side; `centre` and `radii` in px.
    """
    rng, side = easel.rng, easel.light.side
    area_px = np.pi * radii[0] * radii[1]
    leaf_px = max(leaf_px, float(np.sqrt(area_px / (0.3 * slender * leaves))))  # few leaves are larger ones
    leaves = int(np.clip(area_px / (0.3 * slender * leaf_px**2), 12, leaves))
    body = painting.blob(rng, centre, (radii[0] * 0.86, radii[1] * 0.86), 0.12)
    dark = _rgb(tones[0] * 0.6 + tones[1] * 0.4)
    easel.shape(body, dark, lined=False)
    for step in (2, 3):  # the mass is modelled before the leaves are put in
        shift = np.array([side * 0.16, -0.2]) * (step - 1) * np.asarray(radii) * 0.6
        inner = painting.blob(rng, np.asarray(centre) + shift, np.asarray(radii) * (0.95 - 0.2 * step), 0.2)
        easel.shape(inner, _rgb(tones[step]), lined=False)
    turn, reach = rng.uniform(0, 2 * np.pi, leaves), np.sqrt(rng.uniform(0, 1.12, leaves))
    unit = np.stack([np.cos(turn), np.sin(turn)], -1) * reach[:, None]
    lit = 0.5 - 0.4 * unit[:, 1] + 0.24 * side * unit[:, 0] + rng.normal(0, 0.17, leaves)
    tone = np.clip(lit * len(tones), 0, len(tones) - 1).astype(int)
    order = np.argsort(tone, kind="stable")
    centres = np.asarray(centre) + unit * np.asarray(radii)
    shapes = leaf_shapes(rng, centres, leaf_px, slender)[order]
    colours = np.clip(tones[tone[order]] + rng.normal(0, 5, (leaves, 1)), 0, 255)
    painting.convexes(easel.rgb, shapes, colours)
    if easel.ink is not None:
        for shape in shapes[:: max(1, leaves // 25)]:
            painting.path(easel.rgb, shape, easel.ink.colour, easel.ink.width_px)


def bush(
    easel: Easel, centre: painting.Pair, radii: painting.Pair, leaf: float, budget: int, *, far: float = 0
) -> None:
    """A bush or a crown of several clumps, the front ones last. leaf: length in units; radii in px."""
    rng, u = easel.rng, easel.unit_px
    tones = leaf_tones(easel, far=far)
    clumps = int(rng.integers(4, 9))
    spots = np.stack([rng.uniform(-0.7, 0.7, clumps), rng.uniform(-0.6, 0.55, clumps)], -1)
    spots = np.vstack([[[0.0, 0.1]], spots[np.argsort(spots[:, 1])[::-1]]])
    slender = rng.uniform(0.25, 0.65)
    for i, spot in enumerate(spots):
        share = 0.85 if i == 0 else rng.uniform(0.3, 0.55)
        place = np.asarray(centre) + spot * np.asarray(radii)
        cluster(
            easel, place, np.asarray(radii) * share, tones, budget // len(spots), leaf * u, slender=slender
        )


def trunk(easel: Easel, foot: painting.Pair, top: painting.Pair, width_px: float, *, far: float = 0) -> None:
    """A tree trunk with a dark side and bark strokes."""
    rng, light = easel.rng, easel.light
    wood = rgb_of(rng.uniform(0.04, 0.11), rng.uniform(0.15, 0.5), rng.uniform(0.3, 0.6))
    lit, dark = light.far(wood, far), blend(light.lit(wood, 0.1), light.sky_low, far)
    t = np.linspace(0, 1, 9)
    middle = np.outer(1 - t, foot) + np.outer(t, top)
    middle[:, 0] += np.cumsum(rng.normal(0, 0.12, 9)) * width_px
    half = width_px / 2 * (1.3 - 0.75 * t + 0.5 * np.exp(-8 * t))
    left, right = middle - np.stack([half, 0 * half], -1), middle + np.stack([half, 0 * half], -1)
    easel.shape(np.vstack([left, right[::-1]]), lit)
    split = middle + np.stack([half * light.side * 0.1, 0 * half], -1)
    easel.shape(
        np.vstack([left if light.side > 0 else right, split[::-1]]), blend(lit, dark, 0.8), lined=False
    )
    for _ in range(int(min(60, width_px))):
        a = rng.uniform(0, 0.9)
        at = int(a * 8)
        x = middle[at, 0] + rng.uniform(-0.8, 0.8) * half[at]
        y0 = middle[at, 1] + rng.uniform(-1, 1) * 0.1 * abs(foot[1] - top[1])
        end = [x + rng.normal(0, 0.04) * width_px, min(y0 + rng.uniform(0.2, 1.2) * width_px, foot[1])]
        tone = easel.vary(blend(dark, lit, rng.uniform(-0.2, 0.9)), 8)
        painting.path(easel.rgb, np.array([[x, y0], end]), tone, max(1.0, 0.05 * width_px))


def tree(easel: Easel, foot: painting.Pair, height: float, budget: int, *, far: float = 0) -> None:
    """A whole broad-leaved tree. foot: px; height: px."""
    rng = easel.rng
    crown = np.array([foot[0] + rng.normal(0, 0.05) * height, foot[1] - 0.66 * height])
    trunk(easel, foot, crown, height * rng.uniform(0.05, 0.1), far=far)
    radii = height * rng.uniform(0.25, 0.42), height * rng.uniform(0.28, 0.36)
    bush(easel, crown, radii, 6 + 16 * height / easel.size_wh[1] * (1 - far), budget, far=far)


def blades(
    easel: Easel,
    foot_y: tuple[float, float],
    length: tuple[float, float],
    count: int,
    tones: Ramp,
    lean: float = 0.0,
) -> None:
    """Blades of grass in rows from far (first of each pair) to near. foot_y and length in px."""
    rng = easel.rng
    w, _ = easel.size_wh
    depth = np.sort(rng.uniform(0, 1, count) ** 0.8)
    foot = np.stack([rng.uniform(-0.05, 1.05, count) * w, foot_y[0] + (foot_y[1] - foot_y[0]) * depth], -1)
    tall = (length[0] + (length[1] - length[0]) * depth) * rng.uniform(0.5, 1.2, count)
    bend = tall * (rng.normal(lean, 0.35, count))
    wide = np.maximum(0.7, tall * rng.uniform(0.02, 0.06, count))
    tip = foot + np.stack([bend, -tall], -1)
    knee = foot + np.stack([bend * 0.3, -tall * 0.55], -1)
    side = np.stack([wide, 0 * wide], -1)
    shapes = np.stack([foot - side, knee - side * 0.8, tip, knee + side * 0.8, foot + side], 1)
    patch = np.sin(foot[:, 0] / w * 9 + rng.uniform(0, 6)) * 0.8
    tone = np.clip(rng.normal(1.2 + 2.8 * depth + patch, 1.3), 0, len(tones) - 1).astype(int)
    painting.convexes(easel.rgb, shapes, np.clip(tones[tone] + rng.normal(0, 4, (count, 1)), 0, 255))


def meadow(easel: Easel, horizon_y: float) -> None:
    """Ground covered with grass below the horizon (px): washes, mottling, then blades to the front edge."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    tones = leaf_tones(easel)
    far, near = blend(_rgb(tones[5]), easel.light.sky_low, 0.35), _rgb(tones[2])
    easel.fade([(0, far), (0.3, _rgb(tones[4])), (1, near)], (horizon_y, h))
    ground = easel.rgb[int(max(0, horizon_y)) :]
    if len(ground) < 8:
        return
    size = (w, len(ground))
    patches = painting.noise(rng, size, 0.14 * h, octaves=4, stretch=3.5)
    view = np.ascontiguousarray(ground)
    painting.lay(view, _rgb(tones[1]), painting.smoothstep(0.5, 0.85, patches) * 0.6)
    painting.lay(view, _rgb(tones[6]), painting.smoothstep(0.5, 0.8, 1 - patches) * 0.45)
    ground[:] = view
    deep = h - horizon_y
    blades(easel, (horizon_y, h), (4 * u, 0.12 * h), int(rng.integers(700, 1800)), tones, rng.normal(0, 0.25))
    if rng.random() < 0.35:
        _flowers(easel, horizon_y + 0.2 * deep, h)


def _rgb(tone: np.ndarray) -> Rgb:
    return int(tone[0]), int(tone[1]), int(tone[2])


def _flowers(easel: Easel, top: float, low: float) -> None:
    rng, u = easel.rng, easel.unit_px
    count = int(rng.integers(60, 400))
    petal = easel.light.lit(rgb_of(rng.random(), rng.uniform(0.0, 0.7), 1.0))
    depth = np.sort(rng.uniform(0, 1, count))
    for x, d in zip(rng.uniform(0, easel.size_wh[0], count), depth, strict=True):
        radius = (1.5 + 9 * d) * u
        cv2.circle(
            easel.rgb,
            (round(x * 16), round((top + (low - top) * d) * 16)),
            round(radius * 16),
            easel.vary(petal, 8),
            -1,
            cv2.LINE_AA,
            4,
        )


def foliage_wall(easel: Easel) -> None:
    """Leaves from edge to edge, out-of-focus ones behind, with patches of light between them."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    back = leaf_tones(easel)
    easel.rgb[:] = painting.ramp((w, h), [(0, _rgb(back[4])), (1, _rgb(back[0]))], rng.uniform(-40, 40))
    gaps = painting.noise(rng, (w, h), 0.12 * h, octaves=3)
    painting.lay(easel.rgb, _rgb(back[6]), painting.smoothstep(0.62, 0.9, gaps))
    easel.dabs(900, 60, 26, None, 16)
    if rng.random() < 0.7:
        easel.rgb[:] = painting.soft_blur(easel.rgb, rng.uniform(2, 10) * u)
    leaf = rng.uniform(14, 60)
    clumps = int(rng.integers(10, 22))
    for place in rng.uniform(0, 1, (clumps, 2)):
        radius = rng.uniform(0.12, 0.26) * h
        cluster(
            easel,
            place * (w, h),
            (radius * 1.2, radius),
            leaf_tones(easel) if rng.random() < 0.2 else back,
            320,
            leaf * u,
            slender=rng.uniform(0.3, 0.6),
        )


def grass_field(easel: Easel) -> None:
    """A meadow to the horizon with a line of far trees."""
    rng = easel.rng
    w, h = easel.size_wh
    horizon = rng.uniform(0.2, 0.65)
    any_sky(easel, horizon)
    for x in rng.uniform(0, 1, int(rng.integers(0, 9))):
        radius = rng.uniform(0.02, 0.08) * h
        bush(easel, (x * w, h * horizon - 0.3 * radius), (radius * 1.6, radius), 8, 200, far=0.35)
    meadow(easel, h * horizon)


def bushes(easel: Easel) -> None:
    """Hedges and shrubs in front of the sky, or of each other."""
    rng = easel.rng
    w, h = easel.size_wh
    horizon = rng.uniform(0.4, 0.8)
    any_sky(easel, horizon)
    meadow(easel, h * rng.uniform(0.55, 0.85))
    for depth in np.sort(rng.uniform(0, 1, int(rng.integers(5, 11)))):
        radius = h * (0.08 + 0.22 * depth)
        place = rng.uniform(-0.05, 1.05) * w, h * (horizon + (1.05 - horizon) * depth) - 0.3 * radius
        bush(
            easel,
            place,
            (radius * rng.uniform(1.0, 1.9), radius),
            9 + 22 * depth,
            750,
            far=0.35 * (1 - depth),
        )


def forest(easel: Easel) -> None:
    """Between trees: hazy trunks behind, dark ones in front, light falling through, undergrowth."""
    rng, light, u = easel.rng, easel.light, easel.unit_px
    w, h = easel.size_wh
    tones = leaf_tones(easel)
    bright = blend(_rgb(tones[5]), light.sky_low, 0.5)
    easel.rgb[:] = painting.ramp((w, h), [(0, _rgb(tones[2])), (0.45, bright), (1, _rgb(tones[1]))])
    easel.dabs(700, 70, 24, None, 14)
    for depth in np.sort(rng.uniform(0, 1, int(rng.integers(9, 20)))):
        ground = h * (0.58 + 0.4 * depth)
        x = rng.uniform(-0.02, 1.02) * w
        width = w * (0.008 + 0.055 * depth**2)
        trunk(easel, (x, ground), (x + rng.normal(0, 0.02) * w, -0.1 * h), width, far=0.6 * (1 - depth))
        if rng.random() < 0.8:
            place = x + rng.normal(0, 0.12) * w, rng.uniform(-0.05, 0.28) * h
            radius = h * rng.uniform(0.1, 0.2)
            bush(easel, place, (radius * 1.5, radius), 8 + 14 * depth, 460, far=0.45 * (1 - depth))
        if rng.random() < 0.6:
            radius = h * (0.03 + 0.08 * depth)
            bush(
                easel,
                (x + rng.normal(0, 0.1) * w, ground),
                (radius * 2, radius),
                8 + 12 * depth,
                160,
                far=0.4 * (1 - depth),
            )
    blades(easel, (0.62 * h, 1.02 * h), (6 * u, 0.08 * h), 500, tones)
    if rng.random() < 0.5:
        _shafts(easel)


def _shafts(easel: Easel) -> None:
    """Sun shafts between the trees."""
    rng = easel.rng
    w, h = easel.size_wh
    slant = easel.light.side * rng.uniform(0.2, 0.7) * w
    for x in rng.uniform(-0.1, 1.1, int(rng.integers(2, 6))) * w:
        wide = rng.uniform(0.02, 0.09) * w
        ray = np.array([[x, -10], [x + wide, -10], [x + wide * 2.2 - slant, h], [x - slant, h]])
        easel.soft_shape(ray, easel.light.lit((255, 250, 220)), rng.uniform(0.08, 0.28), 0.012 * w)
