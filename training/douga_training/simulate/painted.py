"""Cels painted as illustrations and visual novels are: soft gradients instead of tones with a border, and
lines that are faint or close to the paint's own colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from douga.classes import DougaClass
from douga_training.simulate.sheet import EMPTY, Sheet, ink_tints

F32 = NDArray[np.float32]
_SMALL = 4  # an airbrush has no detail: it works on every fourth sample
_LEAST_SAMPLES = 256  # a smaller area is one touch of the brush
_OCCLUSION_PX = 9.0


@dataclass(frozen=True)
class Airbrush:
    """How somebody paints. light_xy: unit vector towards the light, x right and y down.

    softness: 0 tones stay as they are, 1 only gradients are left. reach: how far paint runs, as a share of
    its area's size. form: by how much an area is lighter towards the light, and darker away from it.
    occlusion: by how much paint is darker along lines. tint: 0 lines keep their ink, 1 they are a tint of the
    paint beside them. depth: brightness of that tint, as a share of its paint's. cover: how opaque lines are.
    """

    light_xy: tuple[float, float]
    softness: float
    reach: float
    form: float
    occlusion: float
    tint: float
    depth: float
    cover: float


def sample_airbrush(rng: np.random.Generator, light_xy: tuple[float, float]) -> Airbrush:
    """Somebody's way to paint: from cels with soft tones to pictures with hardly a line."""
    return Airbrush(
        light_xy=light_xy,
        softness=float(rng.uniform(0.3, 1.0)),
        reach=float(rng.uniform(0.03, 0.15)),
        form=float(rng.uniform(0.0, 0.22)),
        occlusion=float(rng.uniform(0.0, 0.35)),
        tint=float(rng.uniform(0.3, 1.0)),
        depth=float(rng.uniform(0.4, 0.85)),
        cover=float(rng.uniform(0.2, 1.0)),
    )


def paint_softly(sheet: Sheet, brush: Airbrush) -> None:
    """Paint a drawn sheet anew, in place. Its classes stay, though nobody could trace such tones."""
    paint = sheet.fill.copy()
    for key, part in enumerate(ndimage.find_objects(sheet.owner), 1):
        if part is None:
            continue
        own = (sheet.owner[part] == key).astype(np.float32)
        if own.sum() >= _LEAST_SAMPLES:
            held = own[..., None] > 0
            np.copyto(paint[part], _airbrushed(sheet.fill[part], own, brush), where=held)
    lines = cv2.compare(sheet.ids, int(DougaClass.VISIBLE_LINE), cv2.CMP_EQ)
    painted = cv2.compare(sheet.ids, EMPTY, cv2.CMP_NE)
    tint = ink_tints(paint, sheet.ids, sheet.oversample, brush.depth)
    ink = cv2.addWeighted(sheet.ink, 1 - brush.tint, tint, brush.tint, 0)
    faint = cv2.addWeighted(ink, brush.cover, paint, 1 - brush.cover, 0)
    cv2.copyTo(faint, lines, sheet.ink)
    near = cv2.GaussianBlur(lines, (0, 0), _OCCLUSION_PX * sheet.oversample / 2)
    shade = 1 - brush.occlusion * (near.astype(np.float32) / 255)
    cv2.copyTo((paint * shade[..., None]).astype(np.uint8), painted, sheet.fill)


def _airbrushed(fill: NDArray[np.uint8], own: F32, brush: Airbrush) -> NDArray[np.uint8]:
    """The paint of one area: (H, W, 3) uint8 from its own and own, (H, W), 1 where it shows."""
    h, w = own.shape
    small = max(w // _SMALL, 1), max(h // _SMALL, 1)
    sigma = max(brush.reach * float(np.sqrt(own.sum())) / _SMALL, 0.5)
    share = cv2.GaussianBlur(cv2.resize(own, small, interpolation=cv2.INTER_AREA), (0, 0), sigma)
    colour = cv2.resize(fill.astype(np.float32) * own[..., None], small, interpolation=cv2.INTER_AREA)
    run = cv2.GaussianBlur(colour, (0, 0), sigma) / np.maximum(share, 1e-4)[..., None]
    soft = fill + (cv2.resize(run, (w, h), interpolation=cv2.INTER_LINEAR) - fill) * brush.softness
    x, y = np.linspace(-1, 1, w, dtype=np.float32), np.linspace(-1, 1, h, dtype=np.float32)
    towards = (x[None, :] * brush.light_xy[0] + y[:, None] * brush.light_xy[1]) / np.sqrt(2)
    lit = soft * (1 + brush.form * np.minimum(towards, 0))[..., None]
    lit += (255 - lit) * (brush.form * np.maximum(towards, 0))[..., None]
    return np.clip(np.round(lit), 0, 255).astype(np.uint8)
