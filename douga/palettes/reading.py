"""Colour-coded drawing -> class ids, without inventing classes along softened borders.

The nearest colour alone is wrong there: halfway between a black line and white lies the grey of a book line,
halfway between a blue line and white the mauve of a shading fill. So colours near the palette are *certain*
at first, lose that where they are nothing but the blend of two others, and every other pixel is unmixed into
two colours around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import LINE_CLASSES, NUM_CLASSES
from douga.types import U8

Bool = NDArray[np.bool_]
F32 = NDArray[np.float32]

# Distances in RGB: below the first a colour counts as the palette's own (compression, not softening); below
# the second, measured from the straight line between two colours, it may be their blend.
_TOLERANCE, _ON_BLEND = 20.0, 30.0
_STEP = 0.06  # least change of the share from pixel to pixel that makes a gradient
_SOFT_SHARE = 0.01  # off-palette pixels, per border pixel, that a drawing without antialiasing may have
_EVEN = 8  # most that the channels of neighbours differ inside an area, by grain or compression
_FRAGMENT_PX = 16  # up to this size a piece of line beside a line that explains it is that line's border
_SPECK_PX = 3  # where two lines cross over a fill, three colours blend into a fourth on a pixel or two
_NEAR, _AROUND = 5, 17  # windows in px in which the two colours of a blend are looked for
_CHUNK = 8192  # pixels unmixed at once: bounds memory to some 50 MB
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True)
class _Blend:
    """Colour `of` lies on the way from colour `a` to colour `b` (palette indices)."""

    of: int
    a: int
    b: int


@dataclass(frozen=True)
class Reader:
    """Reads drawings in one palette. colours: (K, 3) float32 sRGB 0 to 255; classes: (K,) uint8 class ids."""

    colours: F32
    classes: U8

    @cached_property
    def is_line(self) -> Bool:
        """(K,) True where the colour is a line's."""
        return np.isin(self.classes, LINE_CLASSES)

    @cached_property
    def tolerance(self) -> float:
        """Never so wide that the colours of two classes overlap."""
        apart = np.linalg.norm(self.colours[:, None] - self.colours[None], axis=2)
        other = self.classes[:, None] != self.classes[None]
        return min(_TOLERANCE, float(apart[other].min()) / 2 if other.any() else _TOLERANCE)

    @cached_property
    def blends(self) -> tuple[_Blend, ...]:
        """Every palette colour that two colours of other classes could blend into."""
        found = []
        count = len(self.colours)
        for a in range(count):
            for b in range(a + 1, count):
                share, distance = _unmix(self.colours, self.colours[a], self.colours[b])
                inside = (distance < _ON_BLEND) & (share > 0.08) & (share < 0.92)
                other = (self.classes != self.classes[a]) & (self.classes != self.classes[b])
                found += [_Blend(int(x), a, b) for x in np.flatnonzero(inside & other)]
        return tuple(found)

    def read(self, rgb: U8) -> U8:
        """(H, W, 3) uint8 sRGB -> (H, W) uint8 class ids."""
        index, certain = self._nearest(rgb)
        if self._is_hard(rgb, index):
            return self.classes[index]
        certain |= _is_even(rgb)
        self._distrust_gradients(rgb, index, certain)
        self._distrust_slivers(index, certain)
        ids = self.classes[index]
        if not certain.all():
            self._resolve(rgb, index, certain, ids)
        return ids

    def _is_hard(self, rgb: U8, index: U8) -> bool:
        """Whether the drawing is not antialiased: its borders show only the palette's own colours."""
        exact = (self.colours.astype(np.uint8)[index] == rgb).all(2)
        near = np.ones((3, 3), np.uint8)
        border = cv2.erode(index, near) != cv2.dilate(index, near)
        return int((~exact).sum()) <= _SOFT_SHARE * int(border.sum())

    def _nearest(self, rgb: U8) -> tuple[U8, Bool]:
        """Index of the nearest colour, and whether it is near enough to be that colour; both (H, W)."""
        wide = rgb.astype(np.int32)
        packed = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]  # (H, W)
        seen = np.zeros(1 << 24, bool)
        seen[packed] = True
        present = np.flatnonzero(seen)
        table, near = np.zeros(1 << 24, np.uint8), seen
        for start in range(0, len(present), _CHUNK):
            some = present[start : start + _CHUNK]
            values = np.stack([some >> 16, some >> 8 & 255, some & 255], 1).astype(np.float32)
            distance = np.linalg.norm(values[:, None] - self.colours[None], axis=2)  # (n, K)
            table[some] = distance.argmin(1)
            near[some] = distance.min(1) <= self.tolerance
        return table[packed], near[packed]

    def _distrust_gradients(self, rgb: U8, index: U8, certain: Bool) -> None:
        """Withdraw certainty where colours run straight from one neighbour through this to the other."""
        low = cv2.erode(index, np.ones((3, 3), np.uint8))
        edge = certain & (low != cv2.dilate(index, np.ones((3, 3), np.uint8)))
        padded = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="edge")
        for of in sorted({blend.of for blend in self.blends}):
            y, x = np.nonzero(edge & (index == of))
            if not len(y):
                continue
            run = np.zeros(len(y), bool)
            here = rgb[y, x].astype(np.float32)
            for dy, dx in _DIRECTIONS:
                before = padded[y + 1 - dy, x + 1 - dx].astype(np.float32)
                after = padded[y + 1 + dy, x + 1 + dx].astype(np.float32)
                for blend in self.blends:
                    if blend.of == of:
                        run |= self._runs_through(blend, before, here, after)
            certain[y[run], x[run]] = False
            if self.is_line[of]:
                # The end of a real line where it meets another one looks like a gradient across the corner.
                beside = cv2.dilate((certain & (index == of)).astype(np.uint8), np.ones((3, 3), np.uint8))
                certain[y[run], x[run]] = beside[y[run], x[run]] > 0

    def _runs_through(self, blend: _Blend, before: F32, here: F32, after: F32) -> Bool:
        """(N, 3) colours of three pixels in a row -> whether they are three steps from a to b."""
        a, b = self.colours[blend.a], self.colours[blend.b]
        s0, d0 = _unmix(before, a, b)
        s1, _ = _unmix(here, a, b)
        s2, d2 = _unmix(after, a, b)
        straight = (d0 < _ON_BLEND) & (d2 < _ON_BLEND)
        rises = (s1 - s0 > _STEP) & (s2 - s1 > _STEP)
        falls = (s0 - s1 > _STEP) & (s1 - s2 > _STEP)
        return straight & (rises | falls)

    def _distrust_slivers(self, index: U8, certain: Bool) -> None:
        """Withdraw certainty from blends that make fills too thin for areas, or scraps of line."""
        near = np.ones((_NEAR, _NEAR), np.uint8)
        for of in sorted({blend.of for blend in self.blends}):
            mask = (certain & (index == of)).astype(np.uint8)
            if not mask.any():
                continue
            around = np.zeros(mask.shape, np.uint8)
            for blend in self.blends:
                if blend.of == of:
                    a, b = (
                        cv2.dilate((certain & (index == k)).astype(np.uint8), near)
                        for k in (blend.a, blend.b)
                    )
                    # A fine line may never show its pure colour; a fill always does.
                    absent_line = not self.is_line[of]
                    a |= np.uint8(absent_line and self.is_line[blend.a])
                    b |= np.uint8(absent_line and self.is_line[blend.b])
                    around |= a & b
            count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
            if self.is_line[of]:
                solid = stats[:, cv2.CC_STAT_AREA] > _FRAGMENT_PX
            else:
                core = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
                solid = np.bincount(labels[core > 0], minlength=count) > 0
            thin = ~solid
            thin[0] = False
            certain &= ~(thin[labels] & (around > 0))

    def _resolve(self, rgb: U8, index: U8, certain: Bool, ids: U8) -> None:
        """Give every uncertain pixel the class of one of the two colours that it blends; writes into ids."""
        y, x = np.nonzero(~certain)
        cost = self._absence(index, certain, y, x)  # (N, K)
        a, b = np.triu_indices(len(self.colours), 1)
        line_share = (certain & self.is_line[index]).astype(np.float32)
        line_class = ids.copy()
        for start in range(0, len(y), _CHUNK):
            at = np.s_[start : start + _CHUNK]
            share, distance = _unmix_pairs(rgb[y[at], x[at]].astype(np.float32), self.colours, a, b)
            best = (distance + cost[at][:, a] + cost[at][:, b]).argmin(1)
            share = share[np.arange(len(best)), best]  # of colour b
            first, second = a[best], b[best]
            lines = self.is_line[first], self.is_line[second]
            winner = np.where(share >= 0.5, second, first)
            inked = np.where(
                lines[0] & lines[1], 1, np.where(lines[1], share, np.where(lines[0], 1 - share, 0))
            )
            # Half and half: the line, or it would thin out.
            winner = np.where((share == 0.5) & lines[0] & ~lines[1], first, winner)
            ids[y[at], x[at]] = self.classes[winner]
            line_share[y[at], x[at]] = inked
            line = np.where(lines[0] & lines[1], winner, np.where(lines[1], second, first))
            line_class[y[at], x[at]] = self.classes[line]
        ridge = _ridge(line_share)
        ids[ridge] = line_class[ridge]
        _absorb_specks(ids)

    def _absence(self, index: U8, certain: Bool, y: NDArray[np.intp], x: NDArray[np.intp]) -> F32:
        """(N, K): cost, as RGB distance, of calling colour k a part of the blend: little if close by."""
        cost = np.empty((len(y), len(self.colours)), np.float32)
        for k in range(len(self.colours)):
            seen = (certain & (index == k)).astype(np.uint8)
            line = self.is_line[k]
            # An area that a border pixel belongs to is beside it; the pure colour of a fine line need not be.
            cost[:, k] = (16 if line else 45) if seen.any() else (24 if line else 60)
            for size, price in ((_AROUND, 8 if line else 30), (_NEAR, 0)):
                near = cv2.dilate(seen, np.ones((size, size), np.uint8))[y, x] > 0
                cost[near, k] = price
        return cost + self.classes * np.float32(0.25)  # between equals the commoner class


def _is_even(rgb: U8) -> Bool:
    """Where all 3 x 3 pixels are nearly alike: off-white paper or a faded fill, but no softened border."""
    near = np.ones((3, 3), np.uint8)
    return (cv2.dilate(rgb, near) - cv2.erode(rgb, near)).max(2) <= _EVEN


def _unmix(colour: F32, a: F32, b: F32) -> tuple[F32, F32]:
    """(N, 3) colours -> share of b in the nearest blend of a and b, and the distance from it; (N,)."""
    way = b - a
    share: F32 = np.clip((colour - a) @ way / np.float32(max(float(way @ way), 1e-6)), 0, 1)
    rest = colour - a - share[:, None] * way
    return share, np.sqrt((rest * rest).sum(1), dtype=np.float32)


def _unmix_pairs(colour: F32, colours: F32, a: NDArray[np.intp], b: NDArray[np.intp]) -> tuple[F32, F32]:
    """`_unmix` of (N, 3) colours for P pairs of palette indices at once; (N, P) each."""
    start, way = colours[a], colours[b] - colours[a]
    length = np.maximum((way * way).sum(1), 1e-6)
    share: F32 = np.clip((colour @ way.T - (start * way).sum(1)) / length, 0, 1).astype(np.float32)
    rest = colour[:, None] - start[None] - share[..., None] * way[None]
    return share, np.sqrt((rest * rest).sum(2), dtype=np.float32)


def _ridge(share: F32) -> Bool:
    """The middle of lines too fine to cover half a pixel: the share falls on both sides within 2 px."""
    candidates = (share >= 0.2) & (share < 0.5)
    y, x = np.nonzero(candidates)
    padded = np.pad(share, 2)
    here = share[y, x]
    ridge = np.zeros(len(y), bool)
    for dy, dx in _DIRECTIONS:
        one, two = (
            [padded[y + 2 + side * step * dy, x + 2 + side * step * dx] for side in (-1, 1)]
            for step in (1, 2)
        )
        top = (one[0] <= here) & (one[1] <= here)
        falls = [np.minimum(one[i], two[i]) <= here / 2 for i in (0, 1)]
        ridge |= top & falls[0] & falls[1]
    out = np.zeros(share.shape, bool)
    out[y[ridge], x[ridge]] = True
    return out


def _absorb_specks(ids: U8) -> None:
    """A few pixels of one line class on another line become that line; changes ids in place."""
    for cls in LINE_CLASSES:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            (ids == cls).astype(np.uint8), connectivity=8
        )
        for k in range(1, count):
            if stats[k, cv2.CC_STAT_AREA] > _SPECK_PX:
                continue
            x, y, w, h = (int(v) for v in stats[k, :4])
            window = np.s_[max(y - 1, 0) : y + h + 1, max(x - 1, 0) : x + w + 1]
            others = [c for c in LINE_CLASSES if c != cls]
            counts = np.bincount(ids[window].ravel(), minlength=NUM_CLASSES)[others]
            if counts.any():
                ids[window][labels[window] == k] = others[int(counts.argmax())]
