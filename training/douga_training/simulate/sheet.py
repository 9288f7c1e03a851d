"""A sheet of cel: the surface that drawn things are painted on, with the class of every sample kept beside
its paint.

The sheet is drawn without antialiasing at twice the frame's size (as paint programs do it) and averaged down
at the end, so the truth is exact: a pixel is a line where at least half of its samples are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import AREA_CLASSES, LINE_CLASSES, DougaClass
from douga_training.simulate.tints import tints

EMPTY = 255  # id of a sample that nobody has painted
_TINT_WINDOW_PX = 7
_SHIFT = 4  # cv2 draws with 1/16 px
Points = NDArray[np.float64]  # (N, 2), x right and y down, in frame pixels
Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Area:
    """A painted shape.

    Only the samples that it still shows (that nothing was painted over) can be toned later.
    """

    key: int
    box: tuple[int, int, int, int]  # x0, y0, x1, y1 in samples


@dataclass(frozen=True)
class CelArt:
    """A finished cel. rgb: (H, W, 3) uint8; alpha: (H, W) uint8, straight; ids: (H, W) uint8 class ids.

    Where alpha is below one half, ids is flat.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    ids: NDArray[np.uint8]


class Sheet:
    """Paint areas back to front, tone them, ink their lines, then `resolve`.

    size_wh: frame size in px. origin_xy: frame position of the sheet's top left corner, so that a small sheet
    can show a part of a large drawing; everything is given in frame coordinates and clipped to the sheet.
    """

    def __init__(
        self, size_wh: tuple[int, int], *, origin_xy: tuple[float, float] = (0.0, 0.0), oversample: int = 2
    ) -> None:
        self.oversample = oversample
        self.size_wh = size_wh
        self._origin = np.asarray(origin_xy, np.float64)
        w, h = size_wh[0] * oversample, size_wh[1] * oversample
        self.fill = np.full((h, w, 3), 255, np.uint8)  # paint, also below the lines
        self.ink = np.zeros((h, w, 3), np.uint8)  # colour of the visible line, where there is one
        self.ids = np.full((h, w), EMPTY, np.uint8)
        self.owner = np.zeros((h, w), np.uint16)  # key of the topmost area, 0 where there is none
        self._keys = 0

    def frame_box(self) -> tuple[float, float, float, float]:
        """The part of the frame that this sheet shows: x0, y0, x1, y1 in frame pixels."""
        x, y = (float(v) for v in self._origin)
        return x, y, x + self.size_wh[0], y + self.size_wh[1]

    # -- coordinates -----------------------------------------------------------------------------------------

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        samples = (np.asarray(points, np.float64).reshape(-1, 2) - self._origin) * self.oversample - 0.5
        return np.round(np.clip(samples, -30000, 30000) * (1 << _SHIFT)).astype(np.int32)

    def _box(self, points: Points, margin_px: float) -> tuple[int, int, int, int] | None:
        """Bounding box in samples, clipped to the sheet; None where nothing of it shows."""
        p = (np.asarray(points, np.float64).reshape(-1, 2) - self._origin) * self.oversample
        m = margin_px * self.oversample + 2
        h, w = self.ids.shape
        x0, y0 = np.floor(p.min(0) - m).astype(int)
        x1, y1 = np.ceil(p.max(0) + m).astype(int)
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, w), min(y1, h)
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def _shape_mask(
        self, shape: Points | Sequence[Points], box: tuple[int, int, int, int]
    ) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = box
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        offset = np.array([x0, y0], np.int32) << _SHIFT
        for polygon in [shape] if isinstance(shape, np.ndarray) else shape:
            cv2.fillPoly(mask, [self._fixed(polygon) - offset], 1, cv2.LINE_8, _SHIFT)
        return mask

    # -- painting --------------------------------------------------------------------------------------------

    def area(self, shape: Points | Sequence[Points], paint: Rgb, fill: DougaClass = DougaClass.FLAT) -> Area:
        """Paint a closed polygon, or several as one area, over everything below it.

        Returns a handle for `tone` and `stroke`.
        """
        self._keys += 1
        polygons = [shape] if isinstance(shape, np.ndarray) else list(shape)
        box = self._box(np.vstack(polygons), 0)
        if box is None:
            return Area(self._keys, (0, 0, 0, 0))
        for polygon in polygons:
            corners = [self._fixed(polygon)]
            cv2.fillPoly(self.fill, corners, paint, cv2.LINE_8, _SHIFT)
            cv2.fillPoly(self.ids, corners, int(fill), cv2.LINE_8, _SHIFT)
        x0, y0, x1, y1 = box
        mask = self._shape_mask(polygons, box).view(bool)
        np.copyto(self.owner[y0:y1, x0:x1], self._keys, where=mask)
        return Area(self._keys, box)

    def tone(
        self,
        areas: Area | Sequence[Area],
        shape: Points | Sequence[Points],
        paint: Rgb,
        fill: DougaClass,
        line: DougaClass | None,
        *,
        inverse: bool = False,
        line_px: float = 2.0,
    ) -> None:
        """Lay a tone (shade, highlight, colour) over what the areas still show, lines kept.

        shape: polygon of the tone, or several that merge into one; with `inverse` everything outside of it is
        toned. line: trace class along the border between tone and the rest of the areas; it has no colour of
        its own, and None draws none.
        """
        areas = [areas] if isinstance(areas, Area) else list(areas)
        boxes = [a.box for a in areas if a.box[2] > a.box[0]]
        if not boxes:
            return
        own = np.array(boxes)
        x0, y0 = own[:, :2].min(0)
        x1, y1 = own[:, 2:].max(0)
        if not inverse:
            around = self._box(shape if isinstance(shape, np.ndarray) else np.vstack(list(shape)), line_px)
            if around is None:
                return
            x0, y0, x1, y1 = max(x0, around[0]), max(y0, around[1]), min(x1, around[2]), min(y1, around[3])
        if x0 >= x1 or y0 >= y1:
            return
        owner = self.owner[y0:y1, x0:x1]
        within = np.zeros(owner.shape, bool)
        for a in areas:
            within |= owner == a.key
        inside = self._shape_mask(shape, (x0, y0, x1, y1)).view(bool)
        toned = within & (~inside if inverse else inside)
        if not toned.any():
            return
        np.copyto(self.fill[y0:y1, x0:x1], np.array(paint, np.uint8), where=toned[..., None])
        ids = self.ids[y0:y1, x0:x1]
        np.copyto(ids, np.uint8(fill), where=toned & (ids != DougaClass.VISIBLE_LINE))
        if line is None:
            return
        near = np.ones((3, 3), np.uint8)
        rest = (within & ~toned).view(np.uint8)
        border = cv2.dilate(toned.view(np.uint8), near) & cv2.dilate(rest, near)  # two samples wide
        grow = round(line_px * self.oversample) - 2
        if grow > 0:
            border = cv2.dilate(border, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grow + 1, grow + 1)))
        np.copyto(ids, np.uint8(line), where=border.view(bool) & within & (ids != DougaClass.VISIBLE_LINE))

    def glaze(
        self,
        areas: Area | Sequence[Area],
        paint: Rgb,
        start_xy: Sequence[float],
        end_xy: Sequence[float],
        *,
        shape: Points | None = None,
        amount: float = 1.0,
        radial: bool = False,
    ) -> None:
        """Airbrush: mix paint softly into what the areas still show. It leaves no border and changes no
        class.

        The mix grows from nothing at start to `amount` at end (a gradient across), or, if radial, falls from
        `amount` at start to nothing at the distance of end. shape: polygon that limits it.
        """
        areas = [areas] if isinstance(areas, Area) else list(areas)
        start, end = np.asarray(start_xy, np.float64), np.asarray(end_xy, np.float64)
        reach = max(float(np.linalg.norm(end - start)), 1e-6)
        limit = shape if shape is not None else np.stack([start - reach, start + reach])
        box = (
            self._box(limit, 0)
            if shape is not None or radial
            else (0, 0, self.ids.shape[1], self.ids.shape[0])
        )
        if box is None:
            return
        own = np.array([a.box for a in areas])
        x0, y0, x1, y1 = (max(box[0], own[:, 0].min()), max(box[1], own[:, 1].min()),
                          min(box[2], own[:, 2].max()), min(box[3], own[:, 3].max()))  # fmt: skip
        if x0 >= x1 or y0 >= y1:
            return
        within = np.isin(self.owner[y0:y1, x0:x1], [a.key for a in areas])
        if shape is not None:
            within &= self._shape_mask(shape, (x0, y0, x1, y1)).view(bool)
        x = (np.arange(x0, x1) + 0.5) / self.oversample + self._origin[0] - start[0]
        y = (np.arange(y0, y1) + 0.5) / self.oversample + self._origin[1] - start[1]
        if radial:
            share = np.clip(1 - (x[None, :] ** 2 + y[:, None] ** 2) / reach**2, 0, 1) ** 2
        else:
            along = (end - start) / reach**2
            share = np.clip(x[None, :] * along[0] + y[:, None] * along[1], 0, 1)
        share = (share * within * amount).astype(np.float32)[..., None]
        fill = self.fill[y0:y1, x0:x1]
        fill[:] = np.round(fill + (np.array(paint, np.float32) - fill) * share).astype(np.uint8)

    def stroke(
        self,
        points: Points,
        width_px: float,
        ink: Rgb,
        *,
        taper: tuple[float, float] = (0.0, 0.0),
        within: Area | Sequence[Area] | None = None,
        closed: bool = False,
        line: DougaClass = DougaClass.VISIBLE_LINE,
    ) -> None:
        """Ink a line. points: (N, 2) polyline, already dense enough to look smooth.

        taper: shares of the length over which the width grows from nothing at the start and falls to nothing
        at the end. within: draw only on what these areas still show. A trace class as `line` leaves the paint
        alone.
        """
        points = np.asarray(points, np.float64).reshape(-1, 2)
        box = self._box(points, width_px)
        if box is None or len(points) < 2:
            return
        if closed:
            points = np.vstack([points, points[:1]])
        x0, y0, x1, y1 = box
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        fixed = self._fixed(points) - (np.array([x0, y0], np.int32) << _SHIFT)
        for start, end, thickness in zip(
            fixed[:-1].tolist(), fixed[1:].tolist(), self._thickness(points, width_px, taper), strict=True
        ):
            cv2.line(mask, start, end, 1, thickness, cv2.LINE_8, _SHIFT)
        inked = mask.view(bool)
        if within is not None:
            owner = self.owner[y0:y1, x0:x1]
            keys = [within.key] if isinstance(within, Area) else [a.key for a in within]
            inked = inked & np.isin(owner, keys)
        np.copyto(self.ids[y0:y1, x0:x1], np.uint8(line), where=inked)
        if line == DougaClass.VISIBLE_LINE:
            np.copyto(self.ink[y0:y1, x0:x1], np.array(ink, np.uint8), where=inked[..., None])

    def _thickness(self, points: Points, width_px: float, taper: tuple[float, float]) -> list[int]:
        """Thickness in samples of each segment of a tapered polyline."""
        length = np.linalg.norm(np.diff(points, axis=0), axis=1)
        middle = (np.cumsum(length) - length / 2) / max(length.sum(), 1e-9)
        rise = np.clip(middle / taper[0], 0, 1) if taper[0] > 0 else 1.0
        fall = np.clip((1 - middle) / taper[1], 0, 1) if taper[1] > 0 else 1.0
        share = np.broadcast_to(np.minimum(rise, fall), middle.shape)
        wide = np.maximum(1, np.round(width_px * self.oversample * np.sqrt(share)))
        return [int(t) for t in wide]

    # -- result ----------------------------------------------------------------------------------------------

    def resolve(self, *, line_tint: float = 0.0, tint_depth: float = 0.45) -> CelArt:
        """Average the samples down to frame pixels.

        line_tint: 0 keeps the ink, 1 draws every visible line in a darker tint of the paint beside it, whose
        brightness is `tint_depth` of the paint's. Classes and alpha are the same whatever the tint.
        """
        w, h = self.size_wh
        art = CelArt(
            np.full((h, w, 3), 255, np.uint8), np.zeros((h, w), np.uint8), np.zeros((h, w), np.uint8)
        )
        box = self._painted_box()
        if box is None:
            return art
        x0, y0, x1, y1 = box
        n = self.oversample
        samples = np.s_[y0 * n : y1 * n, x0 * n : x1 * n]
        ids, colour = self.ids[samples], self.fill[samples].copy()
        is_ink = cv2.compare(ids, int(DougaClass.VISIBLE_LINE), cv2.CMP_EQ)
        ink = self.ink[samples]
        if line_tint > 0:
            ink = cv2.addWeighted(ink, 1 - line_tint, ink_tints(colour, ids, n, tint_depth), line_tint, 0)
        cv2.copyTo(ink, is_ink, colour)
        cover = _counts(cv2.compare(ids, EMPTY, cv2.CMP_NE), n)
        art.rgb[y0:y1, x0:x1] = _mean_colour(colour, ids, cover, n)
        art.alpha[y0:y1, x0:x1] = np.round(np.arange(n * n + 1) * 255 / n**2).astype(np.uint8)[cover]
        art.ids[y0:y1, x0:x1] = _main_ids(ids, cover, n)
        return art

    def _painted_box(self) -> tuple[int, int, int, int] | None:
        """Box x0, y0, x1, y1 in frame pixels around all that was painted: the rest costs no time."""
        painted = cv2.compare(self.ids, EMPTY, cv2.CMP_NE)
        x, y, w, h = cv2.boundingRect(painted)
        n = self.oversample
        return (x // n, y // n, -(-(x + w) // n), -(-(y + h) // n)) if w else None


def _counts(mask: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """How many of the n x n samples of each pixel a 0/255 mask holds."""
    ones = mask & 1
    count = np.zeros_like(ones[::n, ::n])
    for i in range(n):
        for j in range(n):
            count += ones[i::n, j::n]
    return count


def _mean_colour(
    colour: NDArray[np.uint8], ids: NDArray[np.uint8], cover: NDArray[np.uint8], n: int
) -> NDArray[np.uint8]:
    """Mean of the painted samples of each pixel; white where nothing is painted."""
    h, w = cover.shape
    rgb = cv2.resize(colour, (w, h), interpolation=cv2.INTER_AREA)  # right wherever all samples are painted
    rgb[cover == 0] = 255
    y, x = np.nonzero((cover > 0) & (cover < n * n))
    total = np.zeros((len(y), 3), np.uint16)
    for i in range(n):
        for j in range(n):
            at = y * n + i, x * n + j
            total += colour[at] * (ids[at] != EMPTY)[:, None]
    share = cover[y, x, None].astype(np.uint16)
    rgb[y, x] = (total + share // 2) // np.maximum(share, 1)
    return rgb


def ink_tints(
    paint: NDArray[np.uint8], ids: NDArray[np.uint8], oversample: int, depth: float
) -> NDArray[np.uint8]:
    """A darker, more saturated neighbour colour for every sample, from the paint within some 3 px of it or
    the nearest there is.

    paint: (H, W, 3) uint8 sRGB and ids: (H, W) uint8 of a sheet's samples, `oversample` a pixel each way.
    depth: brightness of a tint, as a share of its paint's. Returns (H, W, 3) uint8.
    """
    h, w = ids.shape
    is_paint = cv2.compare(ids, EMPTY, cv2.CMP_NE) & cv2.compare(
        ids, int(DougaClass.VISIBLE_LINE), cv2.CMP_NE
    )
    known = cv2.bitwise_and(paint, paint, mask=is_paint)
    size = (w // oversample, h // oversample)
    held, share = (cv2.resize(samples, size, interpolation=cv2.INTER_AREA) for samples in (known, is_paint))
    tint = tints(held, share, _TINT_WINDOW_PX, depth)
    return cv2.resize(tint, (w, h), interpolation=cv2.INTER_NEAREST)


def _main_ids(ids: NDArray[np.uint8], cover: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """The class of a pixel: a line that covers half of it (visible before trace lines), else its area."""
    planes = [ids[i::n, j::n] for i in range(n) for j in range(n)]
    out = planes[0].copy()
    mixed = np.zeros(out.shape, bool)
    for plane in planes[1:]:
        mixed |= plane != out
    y, x = np.nonzero(mixed)
    votes = np.stack([plane[y, x] for plane in planes])  # (n * n, N)
    main = np.zeros(len(y), np.uint8)
    best = np.zeros(len(y), np.intp)
    for c in AREA_CLASSES:
        count = (votes == c).sum(0)
        main[count > best] = c
        best = np.maximum(best, count)
    for c in reversed(LINE_CLASSES):
        main[(votes == c).sum(0) * 2 >= n * n] = c
    out[y, x] = main
    out[cover.astype(np.intp) * 2 < n * n] = DougaClass.FLAT
    return out
