"""Backgrounds in a colour of the cel: black clothes at night, white hair before a white wall.

Colour does not part such a cel from its background; lines, texture and the shape of the figure do.
"""

from __future__ import annotations

import cv2
import numpy as np

from douga.classes import AREA_CLASSES
from douga.types import U8
from douga_training.simulate.sheet import CelArt

_FAR = 12.0  # of 255: how far from the paint a background's mean may still lie, a standard deviation


def in_colour_of(art: CelArt, plate: U8, rng: np.random.Generator) -> U8:
    """The plate with its mean moved to one of the cel's paints, and less contrast, as haze or night leave.

    plate: (H, W, 3) uint8 sRGB. The larger an area, the likelier is its paint. Returns a new (H, W, 3); the
    plate as it was where there is no cel.
    """
    painted = np.flatnonzero((art.alpha > 127) & np.isin(art.ids, AREA_CLASSES))
    if not len(painted):
        return plate
    paint = art.rgb.reshape(-1, 3)[painted[rng.integers(len(painted))]]
    wanted = paint + rng.normal(0, _FAR, 3)
    contrast, moved = rng.uniform(0.35, 1.0), rng.uniform(0.6, 1.0)
    mean = np.array(cv2.mean(plate)[:3])
    shift = (wanted * moved + mean * (1 - moved)) - contrast * mean
    values = np.arange(256)[:, None] * contrast + shift
    return cv2.LUT(plate, np.clip(np.rint(values), 0, 255).astype(np.uint8)[None])
