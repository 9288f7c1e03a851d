"""Motion blur of a cel: all of it along a line, or one limb, lock or item that swings while the rest stands.

A moving thing is the mean of what it looks like while the shutter is open. The mean is taken of premultiplied
colours, so the alpha is blurred exactly as the colours are.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import LINE_CLASSES, DougaClass
from douga_training.simulate.sheet import CelArt

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
_LINES_LOST_PX = 6.0  # a line that moves farther than this while the shutter is open is no line any more
_MOST_STEPS = 48
_LARGEST_SHARE = 0.3  # of the frame's height: what swings by itself is no larger


@dataclass(frozen=True)
class Shift:
    """All of the cel moves straight by (x, y) px while the shutter is open."""

    by_xy: tuple[float, float]

    def applied(self, art: CelArt) -> CelArt:
        """The blurred cel."""
        reach = int(np.ceil(max(abs(v) for v in self.by_xy) / 2)) + 1
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        steps = max(2, int(np.ceil(np.hypot(*self.by_xy))) * 8)
        for t in (np.arange(steps) + 0.5) / steps - 0.5:
            x, y = t * self.by_xy[0] + reach, t * self.by_xy[1] + reach
            for col, row in (
                (int(x), int(y)),
                (int(x) + 1, int(y)),
                (int(x), int(y) + 1),
                (int(x) + 1, int(y) + 1),
            ):
                kernel[row, col] += max(0.0, 1 - abs(x - col)) * max(0.0, 1 - abs(y - row))
        kernel /= kernel.sum()
        held = cv2.filter2D(_premultiplied(art), -1, kernel, borderType=cv2.BORDER_REPLICATE)
        far = np.full(art.alpha.shape, np.hypot(*self.by_xy), np.float32)
        return _straight(held, art, far)


@dataclass(frozen=True)
class Swing:
    """What lies around a place turns about a pivot; the turn fades out to nothing at the radius.

    place_xy, pivot_xy: px of the cel. radius_px: of what moves. angle_rad: turned while the shutter is open.
    """

    place_xy: tuple[float, float]
    radius_px: float
    pivot_xy: tuple[float, float]
    angle_rad: float

    def applied(self, art: CelArt) -> CelArt:
        """The cel with the blurred part."""
        h, w = art.alpha.shape
        reach = self.radius_px * 1.05 + 2
        x0, y0 = (int(max(0, v - reach)) for v in self.place_xy)
        x1, y1 = int(min(w, self.place_xy[0] + reach)), int(min(h, self.place_xy[1] + reach))
        if x1 - x0 < 2 or y1 - y0 < 2:
            return art
        part = np.s_[y0:y1, x0:x1]
        cut = CelArt(art.rgb[part], art.alpha[part], art.ids[part])
        blurred = self._blurred(cut, x0, y0)
        out = CelArt(art.rgb.copy(), art.alpha.copy(), art.ids.copy())
        out.rgb[part], out.alpha[part], out.ids[part] = blurred.rgb, blurred.alpha, blurred.ids
        return out

    def _blurred(self, cut: CelArt, x0: int, y0: int) -> CelArt:
        h, w = cut.alpha.shape
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        away = np.hypot(x + x0 - self.place_xy[0], y + y0 - self.place_xy[1]) / self.radius_px
        share = np.clip(1 - away**2, 0, 1) ** 2  # 1 at the place, flat there; 0 at the radius, flat there too
        dx, dy = x + x0 - self.pivot_xy[0], y + y0 - self.pivot_xy[1]
        far = (np.hypot(dx, dy) * share * abs(self.angle_rad)).astype(np.float32)
        steps = int(np.clip(np.ceil(far.max()), 2, _MOST_STEPS))
        still = _premultiplied(cut)
        held = np.zeros_like(still)
        for t in (np.arange(steps) + 0.5) / steps - 0.5:
            turn = share * self.angle_rad * t
            c, s = np.cos(turn), np.sin(turn)
            from_x = (self.pivot_xy[0] - x0 + c * dx + s * dy).astype(np.float32)
            from_y = (self.pivot_xy[1] - y0 - s * dx + c * dy).astype(np.float32)
            held += cv2.remap(still, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        blurred = _straight(np.float32(1 / steps) * held, cut, far)
        moved = far > 0.05  # what stands still keeps its very bytes
        return CelArt(
            np.where(moved[..., None], blurred.rgb, cut.rgb),
            np.where(moved, blurred.alpha, cut.alpha),
            np.where(moved, blurred.ids, cut.ids),
        )


Motion = Shift | Swing


def _premultiplied(art: CelArt) -> F32:
    """(H, W, 4) float32: colour times alpha, alpha; 0 to 255."""
    alpha = art.alpha.astype(np.float32)
    return np.dstack([art.rgb * (alpha / 255)[..., None], alpha])


def _straight(held: F32, art: CelArt, far_px: F32) -> CelArt:
    """Back to straight colours. far_px: how far each pixel moved; where it is much, lines are no lines."""
    alpha = np.clip(held[..., 3:], 0, 255)
    rgb = np.where(alpha > 0, held[..., :3] * 255 / np.maximum(alpha, 1e-3), art.rgb)
    whole = np.round(alpha[..., 0]).astype(np.uint8)
    lost = np.isin(art.ids, LINE_CLASSES) & (far_px > _LINES_LOST_PX)
    ids = np.where(lost | (whole < 128), np.uint8(DougaClass.FLAT), art.ids)
    return CelArt(np.round(np.clip(rgb, 0, 255)).astype(np.uint8), whole, ids)


def sample_shift(rng: np.random.Generator, height_px: int) -> Shift:
    """A movement of all of the cel, 3 to some 60 px of a frame of 1080 lines."""
    far = height_px / 1080 * float(np.exp(rng.uniform(np.log(3), np.log(60))))
    angle = float(rng.choice([0.0, np.pi / 2, 0.0, rng.uniform(0, np.pi)]))
    return Shift((far * float(np.cos(angle)), far * float(np.sin(angle))))


def sample_swing(rng: np.random.Generator, art: CelArt) -> Swing | None:
    """A swing of something that stands out: a hand, foot, lock, tail or item. None where nothing does."""
    found = _protrusions(rng, art.alpha)
    if not found:
        return None
    place, pivot, size = found[int(rng.integers(len(found)))]
    radius = size * float(rng.uniform(0.9, 1.3))
    arm = max(float(np.hypot(place[0] - pivot[0], place[1] - pivot[1])), size * 0.4)
    far = size * float(np.exp(rng.uniform(np.log(0.05), np.log(0.35))))
    return Swing(place, radius, pivot, float(rng.choice([-1, 1])) * min(far / arm, 0.7))


def _protrusions(
    rng: np.random.Generator, alpha: U8
) -> list[tuple[tuple[float, float], tuple[float, float], float]]:
    """What an opening takes away: middle, root (nearest point of what is left) and size of each piece, px."""
    step = max(1, alpha.shape[0] // 180)
    solid = (alpha[::step, ::step] > 127).astype(np.uint8)
    side = int(rng.choice([13, 21, 33]))
    core = cv2.morphologyEx(solid, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    count, _, boxes, middles = cv2.connectedComponentsWithStats(solid & (1 - core))
    core_y, core_x = np.nonzero(core)
    found = []
    for k in range(1, count):
        size = float(max(boxes[k, cv2.CC_STAT_WIDTH], boxes[k, cv2.CC_STAT_HEIGHT]))
        fits = 8 <= size <= solid.shape[0] * _LARGEST_SHARE and boxes[k, cv2.CC_STAT_AREA] >= 25
        if not fits or not len(core_y):
            continue
        x, y = (float(v) for v in middles[k])
        root = int(np.argmin((core_x - x) ** 2 + (core_y - y) ** 2))
        if np.hypot(core_x[root] - x, core_y[root] - y) < side * 0.3:  # a corner, not a limb
            continue
        pivot = float(core_x[root]) * step, float(core_y[root]) * step
        found.append(((x * step, y * step), pivot, size * step))
    return found
