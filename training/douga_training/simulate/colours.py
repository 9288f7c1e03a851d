"""Colour models: for every part of a character the swatches that its paint sheet would list."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from douga_training.simulate.sheet import Rgb

_LEAST_STEP = 7  # of 255, from a paint to its shadow: less could not be seen


@dataclass(frozen=True)
class Swatch:
    """The paints of one material: normal, first and second shadow, highlight, and its line colour.

    sRGB, each 0 to 255.
    """

    normal: Rgb
    shade: Rgb
    shade2: Rgb
    light: Rgb
    line: Rgb


def rgb_of(hue: float, saturation: float, value: float) -> Rgb:
    """HSV (each 0 to 1, hue wraps) to sRGB 0 to 255."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return round(r * 255), round(g * 255), round(b * 255)


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """From a (share 0) to b (share 1), sRGB 0 to 255."""
    r, g, bl = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, bl


def _towards(hue: float, goal: float, step: float) -> float:
    """Turn a hue by at most `step` the short way round towards another."""
    turn = (goal - hue + 0.5) % 1.0 - 0.5
    return hue + float(np.clip(turn, -step, step))


def swatch(
    rng: np.random.Generator, hue: float, saturation: float, value: float, *, line_kind: str = "black"
) -> Swatch:
    """Make the paints of a material from its normal colour.

    Shadows are darker, a little more saturated and turned towards blue or violet; highlights lighter and
    turned towards yellow. The shadows of very dark paints keep a visible step. line_kind: "black", "dark"
    (nearly black, tinted) or "tint" (a dark shade of the paint).
    """
    cool = rng.uniform(0.62, 0.8)
    step = rng.uniform(0.0, 0.045)
    least = _LEAST_STEP / max(255 * value, 1.0)
    drop = max(min(rng.uniform(0.62, 0.9), 1 - least), 0.0)
    drop2 = max(min(drop * rng.uniform(0.6, 0.85), drop - least), 0.0)
    more = rng.uniform(0.0, 0.14) if saturation > 0.05 else rng.uniform(0.02, 0.14)
    shade_hue = _towards(hue, cool, step) if saturation > 0.05 else cool
    normal = rgb_of(hue, saturation, value)
    shade = rgb_of(shade_hue, saturation + more, value * drop)
    shade2 = rgb_of(_towards(shade_hue, cool, step), saturation + more * 1.6, value * drop2)
    rise = rng.uniform(0.35, 0.8)
    light = rgb_of(_towards(hue, 0.14, 0.03), saturation * (1 - 0.8 * rise), value + (1 - value) * rise)
    if value > 0.93 and saturation < 0.12:
        light = (255, 255, 255)
    if line_kind == "tint":
        line = rgb_of(shade_hue, saturation + 0.25, value * rng.uniform(0.22, 0.45))
    elif line_kind == "dark":
        line = rgb_of(shade_hue, rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.22))
    else:
        tone = int(rng.integers(0, 26))
        line = (tone, tone, tone)
    return Swatch(normal, shade, shade2, light, line)


def skin(rng: np.random.Generator, **line: str) -> Swatch:
    """Skin from very pale to dark brown, weighted to what is seen most."""
    if rng.random() < 0.78:
        return swatch(rng, rng.uniform(0.045, 0.09), rng.uniform(0.06, 0.24), rng.uniform(0.93, 1.0), **line)
    return swatch(rng, rng.uniform(0.04, 0.08), rng.uniform(0.3, 0.6), rng.uniform(0.42, 0.88), **line)


def hair(rng: np.random.Generator, **line: str) -> Swatch:
    """Hair: black, brown, blond, white and the colours that only drawings have."""
    kind = rng.choice(["black", "brown", "blond", "white", "vivid"], p=[0.2, 0.24, 0.16, 0.12, 0.28])
    if kind == "black":
        return swatch(rng, rng.uniform(0.55, 0.8), rng.uniform(0.05, 0.4), rng.uniform(0.1, 0.3), **line)
    if kind == "brown":
        return swatch(rng, rng.uniform(0.02, 0.09), rng.uniform(0.35, 0.7), rng.uniform(0.25, 0.6), **line)
    if kind == "blond":
        return swatch(rng, rng.uniform(0.09, 0.15), rng.uniform(0.25, 0.6), rng.uniform(0.82, 1.0), **line)
    if kind == "white":
        return swatch(rng, rng.uniform(0.5, 0.8), rng.uniform(0.0, 0.1), rng.uniform(0.85, 1.0), **line)
    return swatch(rng, rng.random(), rng.uniform(0.3, 0.8), rng.uniform(0.45, 0.98), **line)


def cloth(rng: np.random.Generator, **line: str) -> Swatch:
    """Clothes: white shirts, dark uniforms, greys and every colour."""
    kind = rng.choice(["white", "dark", "grey", "muted", "vivid"], p=[0.2, 0.26, 0.12, 0.24, 0.18])
    if kind == "white":
        return swatch(rng, rng.random(), rng.uniform(0.0, 0.06), rng.uniform(0.92, 1.0), **line)
    if kind == "dark":
        return swatch(rng, rng.uniform(0.5, 1.05), rng.uniform(0.05, 0.6), rng.uniform(0.07, 0.32), **line)
    if kind == "grey":
        return swatch(rng, rng.random(), rng.uniform(0.0, 0.12), rng.uniform(0.35, 0.85), **line)
    if kind == "muted":
        return swatch(rng, rng.random(), rng.uniform(0.15, 0.45), rng.uniform(0.35, 0.85), **line)
    return swatch(rng, rng.random(), rng.uniform(0.5, 0.95), rng.uniform(0.5, 1.0), **line)
