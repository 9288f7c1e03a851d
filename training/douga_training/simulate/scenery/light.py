"""Time of day: the few colours that everything in one painted scene is mixed with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from douga_training.simulate.colours import rgb_of
from douga_training.simulate.sheet import Rgb

Tint = tuple[float, float, float]  # factors for red, green, blue


@dataclass(frozen=True)
class Light:
    """The light of a scene. key and shade: factors for what is lit and what is not; the rest sRGB 0 to 255.

    side: -1 where the light comes from the left, 1 from the right.
    """

    name: str
    key: Tint
    shade: Tint
    sky_top: Rgb
    sky_low: Rgb
    side: float

    def lit(self, colour: Rgb, share: float = 1.0) -> Rgb:
        """A colour under this light. share: 1 in full light, 0 in full shadow."""
        mixed = [c * (s + (k - s) * share) for c, k, s in zip(colour, self.key, self.shade, strict=True)]
        r, g, b = (round(min(max(m, 0.0), 255.0)) for m in mixed)
        return r, g, b

    def far(self, colour: Rgb, share: float) -> Rgb:
        """A lit colour seen through air. share: 0 near, 1 as far as the horizon."""
        return blend(self.lit(colour), self.sky_low, share)


def blend(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Mix two colours; share is how much of the second there is, 0 to 1."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(first, second, strict=True))
    return r, g, b


def vary(rng: np.random.Generator, colour: Rgb, by: float) -> Rgb:
    """The same colour as a painter's brush would pick it up again. by: spread of each channel, 0 to 255."""
    common, *own = rng.normal(0.0, by, 4)
    r, g, b = (round(min(max(c + common + 0.45 * o, 0.0), 255.0)) for c, o in zip(colour, own, strict=True))
    return r, g, b


def pick_light(rng: np.random.Generator, name: str | None = None) -> Light:
    """Draw a time of day and its colours. name: "day", "morning", "overcast", "dusk" or "night"."""
    if name is None:
        name = str(
            rng.choice(["day", "morning", "overcast", "dusk", "night"], p=[0.46, 0.12, 0.14, 0.17, 0.11])
        )
    side = -1.0 if rng.random() < 0.5 else 1.0
    hue = rng.uniform(0.54, 0.61)
    if name == "day":
        top = rgb_of(hue, rng.uniform(0.55, 0.9), rng.uniform(0.6, 0.95))
        low = rgb_of(hue - 0.04, rng.uniform(0.08, 0.35), rng.uniform(0.92, 1.0))
        return Light(name, (1.0, 1.0, 0.97), (0.5, 0.57, 0.74), top, low, side)
    if name == "morning":
        top = rgb_of(hue, rng.uniform(0.25, 0.5), rng.uniform(0.75, 0.95))
        low = rgb_of(rng.uniform(0.08, 0.16), rng.uniform(0.08, 0.3), 1.0)
        return Light(name, (1.03, 0.99, 0.9), (0.6, 0.66, 0.78), top, low, side)
    if name == "overcast":
        top = rgb_of(hue, rng.uniform(0.05, 0.25), rng.uniform(0.55, 0.8))
        low = rgb_of(hue, rng.uniform(0.02, 0.12), rng.uniform(0.75, 0.95))
        return Light(name, (0.84, 0.87, 0.9), (0.58, 0.62, 0.7), top, low, side)
    if name == "dusk":
        top = rgb_of(rng.uniform(0.58, 0.95), rng.uniform(0.3, 0.65), rng.uniform(0.4, 0.8))
        low = rgb_of(rng.uniform(0.02, 0.13), rng.uniform(0.45, 0.85), rng.uniform(0.9, 1.0))
        return Light(name, (1.04, 0.8, 0.58), (0.46, 0.36, 0.5), top, low, side)
    top = rgb_of(rng.uniform(0.6, 0.7), rng.uniform(0.5, 0.9), rng.uniform(0.08, 0.25))
    low = rgb_of(rng.uniform(0.54, 0.72), rng.uniform(0.35, 0.75), rng.uniform(0.25, 0.5))
    return Light("night", (0.42, 0.5, 0.72), (0.16, 0.2, 0.36), top, low, side)
