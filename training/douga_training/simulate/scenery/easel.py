"""The easel: a picture being painted, with its light and the painter's hand, and the last coat over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from douga.types import U8
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.light import Light, blend, vary
from douga_training.simulate.sheet import Points, Rgb


@dataclass(frozen=True)
class Ink:
    """Lines that a background has of its own. width_px: in px of the finished frame."""

    colour: Rgb
    width_px: float


@dataclass(frozen=True)
class Easel:
    """A picture being painted.

    rgb: (H, W, 3) uint8, painted in place. ink: None where the art has no lines.
    """

    rng: np.random.Generator
    rgb: U8
    light: Light
    ink: Ink | None = None

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in px."""
        return self.rgb.shape[1], self.rgb.shape[0]

    @property
    def unit_px(self) -> float:
        """One px of a 1080-line frame, in px of this picture: sizes of leaves and lines are given in it."""
        return min(self.size_wh[1] / 1080, self.size_wh[0] / 1080)

    def shape(self, points: Points, colour: Rgb, *, lined: bool = True) -> None:
        """Fill a polygon; with ink on this easel, outline it unless told otherwise."""
        painting.poly(self.rgb, points, colour)
        if self.ink is not None and lined and len(points) >= 3:
            closed = np.vstack([points, points[:1]])
            painting.path(self.rgb, closed, self.ink.colour, self.ink.width_px)

    def line(self, points: Points, colour: Rgb, width_px: float) -> None:
        """Draw a thin thing (a wire, a seam); in the ink's colour where there is ink and it is fine."""
        if self.ink is not None and width_px < 2 * self.ink.width_px:
            colour, width_px = self.ink.colour, max(1.0, 0.7 * self.ink.width_px)
        painting.path(self.rgb, points, colour, width_px)

    def soft_shape(self, points: Points, colour: Rgb, share: float, blur_px: float) -> None:
        """Lay a soft-edged, half-transparent polygon over the picture: shadows, pools of light, haze."""
        w, h = self.size_wh
        down = int(np.clip(blur_px / 3, 1, 8))
        small = np.zeros((-(-h // down), -(-w // down)), np.uint8)
        painting.poly(small, points / down, 255)
        if blur_px / down > 0.3:
            small = cv2.GaussianBlur(small, (0, 0), blur_px / down)
        mask = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        ys, xs = np.flatnonzero(mask.max(1)), np.flatnonzero(mask.max(0))
        if len(ys) == 0:
            return
        part = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        roi = np.ascontiguousarray(self.rgb[part])
        painting.lay(roi, colour, mask[part] * (share / 255))
        self.rgb[part] = roi

    def fade(self, stops: Sequence[tuple[float, Rgb]], rows: tuple[float, float]) -> None:
        """Paint a gradient over a band of rows (px), full width."""
        w, h = self.size_wh
        top, low = round(np.clip(rows[0], 0, h)), round(np.clip(rows[1], 0, h))
        if low > top:
            self.rgb[top:low] = painting.ramp((w, low - top), stops)

    def brush(self, strength: float = 0.06) -> None:
        """Bring broad tone changes and bristle marks over all that is painted so far."""
        rng, u = self.rng, self.unit_px
        broad = painting.noise(rng, self.size_wh, 260 * u, octaves=4, gain=0.55)
        marks = painting.stroke_noise(
            rng, self.size_wh, rng.uniform(0, 180), rng.uniform(60, 260) * u, rng.uniform(6, 26) * u
        )
        rough = rng.uniform(0.0, 0.45)
        painting.multiply(self.rgb, 1 + strength * (1.5 * (broad - 0.5) + rough * (marks - 0.5)))

    def dabs(
        self, count: int, length: float, width: float, angle_deg: float | None = None, jitter: float = 6
    ) -> None:
        """Go over the picture with brush dabs, sized in units. Wide spreads of colour ignore edges."""
        u = self.unit_px
        painting.dab_over(
            self.rgb,
            self.rng,
            count,
            length * u,
            width * u,
            angle_deg=angle_deg,
            jitter=jitter,
            edge_step=14 if jitter < 10 else 255,
        )

    def vary(self, colour: Rgb, by: float = 5.0) -> Rgb:
        """The same colour, picked up again with the brush."""
        return vary(self.rng, colour, by)

    def haze(self, share: float) -> Rgb:
        """Colour of the air between near and far, from the low sky."""
        return blend(self.light.sky_top, self.light.sky_low, share)


def finish(easel: Easel) -> U8:
    """The last coat: wobble of the hand, brush marks, paper grain, a slight fall of light."""
    rng, u = easel.rng, easel.unit_px
    rgb = easel.rgb
    style = rng.random()
    if style < 0.5 and easel.ink is None:
        easel.dabs(
            int(rng.integers(300, 1500)), rng.uniform(20, 70), rng.uniform(5, 14), rng.uniform(0, 180), 4
        )
    if style < 0.7:
        rgb[:] = painting.wobble(rgb, rng, rng.uniform(16, 60) * u, rng.uniform(0.4, 1.6) * u)
    if style < 0.25 and easel.ink is None:
        rgb[:] = cv2.medianBlur(rgb, 5 if u > 0.6 else 3)
    if style < 0.85:
        easel.brush(rng.uniform(0.02, 0.14))
    if rng.random() < 0.4:
        _grain(rgb, rng, rng.uniform(1.0, 4.0))
    if rng.random() < 0.3:
        w, h = easel.size_wh
        fall = painting.ramp(
            (w, h), [(0, (255,) * 3), (1, (int(rng.integers(170, 240)),) * 3)], rng.uniform(0, 360)
        )
        painting.multiply(rgb, fall[..., 0].astype(np.float32) / 255)
    return rgb


def _grain(rgb: U8, rng: np.random.Generator, spread: float) -> None:
    """Tooth of the paper. spread: standard deviation, 0 to 255."""
    h, w = rgb.shape[:2]
    tile = cv2.GaussianBlur(rng.standard_normal((256, 256), np.float32), (0, 0), 0.8) * (2 * spread)
    tooth = np.tile(tile, (-(-h // 256), -(-w // 256)))[:h, :w]
    rgb[:] = np.clip(rgb + tooth[..., None], 0, 255)
