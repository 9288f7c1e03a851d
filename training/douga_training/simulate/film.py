"""A film: what of a cel lets the background through, drawn with an opacity and laid over or under the cel.

The film is drawn at three times the frame's size and averaged down, so its alpha is opacity times coverage.
Laying it is the over operator (Porter and Duff 1984), so that frame = alpha * cel + (1 - alpha) * background
stays true for the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from douga.classes import LINE_CLASSES, DougaClass
from douga_training.simulate.curves import Points
from douga_training.simulate.sheet import CelArt, Rgb

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in px of the cel
_OVERSAMPLE = 3
_SHIFT = 4  # cv2 draws with 1/16 px
_BAND_PX = 64  # rows averaged at a time
_HIDING = 191  # a film of this alpha hides the lines below it


@dataclass(frozen=True)
class SoftLayer:
    """A finished film. rgb: (h, w, 3) uint8; alpha: (h, w) uint8, straight; ids: (h, w) uint8 class ids.

    xy: where its top left corner lies on the cel. under: it lies behind what is drawn.
    """

    rgb: U8
    alpha: U8
    ids: U8
    xy: tuple[int, int]
    under: bool = False


def box_around(shapes: Sequence[Points], size_wh: tuple[int, int], margin_px: float = 4.0) -> Box | None:
    """The whole pixels around shapes, clipped to the cel; None where nothing of them shows."""
    every = np.vstack(list(shapes))
    x0, y0 = np.floor(every.min(0) - margin_px).astype(int)
    x1, y1 = np.ceil(every.max(0) + margin_px).astype(int)
    x0, y0, x1, y1 = max(int(x0), 0), max(int(y0), 0), min(int(x1), size_wh[0]), min(int(y1), size_wh[1])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


class Film:
    """Draw areas and strokes, each with its opacity (0 to 1), then `layer`. What is drawn later replaces
    what is below it. Coordinates are pixels of the cel.
    """

    def __init__(self, box: Box) -> None:
        self.box = box
        h, w = (box[3] - box[1]) * _OVERSAMPLE, (box[2] - box[0]) * _OVERSAMPLE
        self._colour = np.zeros((h, w, 3), np.uint8)
        self._opacity = np.zeros((h, w), np.uint8)
        self._ids = np.zeros((h, w), np.uint8)

    def _fixed(self, points: ArrayLike) -> NDArray[np.int32]:
        samples = (np.asarray(points, np.float64).reshape(-1, 2) - self.box[:2]) * _OVERSAMPLE - 0.5
        return np.round(np.clip(samples, -30000, 30000) * (1 << _SHIFT)).astype(np.int32)

    def area(self, shape: Points, rgb: Rgb, opacity: float) -> None:
        """Paint a closed polygon."""
        corners = [self._fixed(shape)]
        for canvas, value in ((self._colour, rgb), (self._opacity, round(opacity * 255)), (self._ids, 0)):
            cv2.fillPoly(canvas, corners, value, cv2.LINE_8, _SHIFT)

    def stroke(
        self,
        points: Points,
        width_px: ArrayLike,
        rgb: Rgb,
        opacity: ArrayLike = 1.0,
        *,
        line: DougaClass = DougaClass.VISIBLE_LINE,
    ) -> None:
        """Draw a polyline. width_px, opacity: one number, or one for each point. line: its class."""
        fixed = self._fixed(points)
        wide = np.broadcast_to(np.asarray(width_px, np.float64), (len(fixed),))
        clear = np.broadcast_to(np.asarray(opacity, np.float64), (len(fixed),))
        thick = np.maximum(1, np.round((wide[:-1] + wide[1:]) / 2 * _OVERSAMPLE)).astype(int)
        levels = np.round((clear[:-1] + clear[1:]) / 2 * 255).astype(int)
        for a, b, t, level in zip(fixed[:-1].tolist(), fixed[1:].tolist(), thick, levels, strict=True):
            cv2.line(self._colour, a, b, rgb, int(t), cv2.LINE_8, _SHIFT)
            cv2.line(self._opacity, a, b, int(level), int(t), cv2.LINE_8, _SHIFT)
            cv2.line(self._ids, a, b, int(line), int(t), cv2.LINE_8, _SHIFT)

    def layer(self, *, weight: F32 | None = None, under: bool = False) -> SoftLayer:
        """Average the samples down. weight: (h, w) float32, 0 to 1, that the alpha is multiplied with."""
        n = _OVERSAMPLE
        h, w = self._opacity.shape[0] // n, self._opacity.shape[1] // n
        rgb, alpha = np.zeros((h, w, 3), np.uint8), np.zeros((h, w), np.uint8)
        for top in range(0, h, _BAND_PX):
            rows = np.s_[top : min(top + _BAND_PX, h)]
            part = np.s_[top * n : min(top + _BAND_PX, h) * n]
            clear = self._opacity[part].astype(np.float32) / 255
            held = np.dstack([self._colour[part] * clear[..., None], clear])
            mean = cv2.resize(held, (w, rows.stop - top), interpolation=cv2.INTER_AREA)
            straight = mean[..., :3] / np.maximum(mean[..., 3:], 1e-6)
            share = mean[..., 3] if weight is None else mean[..., 3] * weight[rows]
            rgb[rows] = np.round(np.clip(straight, 0, 255))
            alpha[rows] = np.round(np.clip(share, 0, 1) * 255)
        ids = np.ascontiguousarray(self._ids[n // 2 :: n, n // 2 :: n])
        return SoftLayer(rgb, alpha, ids, self.box[:2], under)


def lay(art: CelArt, layer: SoftLayer) -> CelArt:
    """Put a film over or under a cel. Returns a new cel.

    Lines show through a film that hides less than three quarters of them, so they keep their class there.
    Where the two together hide less than half of the background, the class is flat.
    """
    (x, y), (h, w) = layer.xy, layer.alpha.shape
    part = np.s_[y : y + h, x : x + w]
    own = art.alpha[part]
    if layer.under:
        rgb, alpha = _over((art.rgb[part], own), (layer.rgb, layer.alpha))
        ids = np.where(own >= 128, art.ids[part], layer.ids)
    else:
        rgb, alpha = _over((layer.rgb, layer.alpha), (art.rgb[part], own))
        is_line = np.isin(layer.ids, LINE_CLASSES) & (layer.alpha >= 128)
        hides = is_line | (layer.alpha >= _HIDING) | (own < 128)
        ids = np.where(hides, layer.ids, art.ids[part])
    out = CelArt(art.rgb.copy(), art.alpha.copy(), art.ids.copy())
    out.rgb[part], out.alpha[part] = rgb, alpha
    out.ids[part] = np.where(alpha >= 128, ids, np.uint8(DougaClass.FLAT))
    return out


def _over(above: tuple[U8, U8], below: tuple[U8, U8]) -> tuple[U8, U8]:
    """The over operator on straight colours. Each side: rgb (h, w, 3), alpha (h, w)."""
    a, b = (side[1].astype(np.float32)[..., None] / 255 for side in (above, below))
    behind = b * (1 - a)
    whole = a + behind
    rgb = (above[0] * a + below[0] * behind) / np.maximum(whole, 1e-6)
    solid = np.where(whole > 0, rgb, below[0])
    return np.round(solid).astype(np.uint8), np.round(whole[..., 0] * 255).astype(np.uint8)
