"""What the areas and lines of one drawing say about each other.

A character's colour model has few paints, and each is one tone of one thing. So areas of one paint are of one
class wherever they lie, and a line is of the kind of the fill that it bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import DRAWN_CLASSES, TRACE_CLASSES, DougaClass
from douga.paint import mean_of_paints
from douga.types import F32, U8

_SAME_PAINT = 3.0  # standard deviation of one paint's colours, in CIELAB of 8 bits a channel
_ONE_PAINT = 20.0  # areas whose colours differ by more than this are painted in several, and say nothing
_SURE = 0.9  # mean probability from which an area keeps its tone: the glint in an eye is as white as the eye
_BORDER = 0.02  # what a pixel beside a line counts, which has some of the line's colour
_ALL_PX, _EVERY = 1000, 8  # of larger areas every eighth pixel is enough

# Tones of a paint. A colour fill is another paint laid on, which may be plain somewhere else.
_TONES = (DougaClass.FLAT, DougaClass.SHADING_FILL, DougaClass.HIGHLIGHT_FILL)
# Odds of the tones for the darker and the lighter side of trace lines: a third of what the simulator's truth
# says (seen on 60 frames of it), for the lines may be wrong.
_OF_DARKER, _OF_LIGHTER = np.array((0.4, 1.0, 0.25)), np.array((0.8, 0.3, 1.0))
_BESIDE_PX = 4  # where a line's neighbours are looked at
_ENOUGH_PX = 12  # of trace lines around an area, for full odds
_LEAN = 0.6  # by what share of them an area is rather on the one side, for full odds
_FILL_OF = {
    DougaClass.SHADING_LINE: DougaClass.SHADING_FILL,
    DougaClass.COLOR_EDGE: DougaClass.COLOR_FILL,
    DougaClass.HIGHLIGHT_LINE: DougaClass.HIGHLIGHT_FILL,
    DougaClass.BOOK_LINE: DougaClass.BOOK_FILL,
}
_SIDE_PX = 4  # how far to either side of a line its areas are looked for
# What a fill beside a line counts, against the network's own vote for its kind.
_BOUND = dict.fromkeys(_FILL_OF.values(), 2.0) | {DougaClass.BOOK_FILL: 8.0}


@dataclass(frozen=True)
class Borders:
    """Pixels of trace lines. y, x: (N,) where. across: (N, 2) unit vectors (x, y) across the line."""

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    across: F32


def settle_by_paint(ids: U8, planes: Mapping[int, F32], rgb: U8, cel: U8, borders: Borders) -> U8:
    """Give areas of one paint one tone, flat, shadow or light: the likeliest, averaged over all of them.

    A shadow is the darker side of the trace lines around it, a light or what is plain mostly the lighter one:
    that counts beside the network's answer. The mean of each area counts by the square root of its size, and
    the less the further its colour is from the asking area's. Areas that are sure of their tone or in several
    paints, colour fills, books, and what lies outside the cel stay.

    ids: (H, W) uint8 class ids, 255 on lines. planes: (H, W) float32 probabilities by area class. rgb: (H, W,
    3) uint8 sRGB, the frame. cel: (H, W) uint8, 0 or 255, its mask. Returns new ids.
    """
    left, top, width, height = cv2.boundingRect(cel)
    if not width:
        return ids
    box = np.s_[top : top + height, left : left + width]
    out = ids.copy()
    cut: dict[int, F32] = {c: np.ascontiguousarray(planes[c][box]) for c in _TONES}
    inside = Borders(borders.y - top, borders.x - left, borders.across)
    out[box] = _settled(ids[box], cut, np.ascontiguousarray(rgb[box]), cel[box], inside)
    return out


def _settled(ids: U8, planes: Mapping[int, F32], rgb: U8, cel: U8, borders: Borders) -> U8:
    patch, count = _patches(ids)
    inside = np.flatnonzero((patch > 0) & (cel > 0))
    of = patch.reshape(-1)[inside]
    size = np.bincount(of, minlength=count)
    asked = np.flatnonzero(size > np.bincount(patch.reshape(-1), minlength=count) / 2)
    if len(asked) < 2:
        return ids
    looked_at = (size[of] < _ALL_PX) | (np.arange(len(of)) % _EVERY == 0)
    inside, of = inside[looked_at], of[looked_at]
    colour, spread = _colours(rgb, patch, inside, of, count)
    asked = asked[spread[asked] < _ONE_PAINT]
    seen = np.maximum(np.bincount(of, minlength=count)[asked], 1)
    mean = np.stack(
        [np.bincount(of, planes[c].reshape(-1)[inside], minlength=count)[asked] / seen for c in _TONES],
        1,
    )
    sure = mean.max(1) >= _SURE
    mean = _weighed(mean, _side_odds(np.where(cel > 0, patch, 0), count, rgb, borders)[asked])
    weight = np.sqrt(size[asked])
    value = np.zeros(count, np.uint8)
    value[asked] = np.array(_TONES, np.uint8)[
        mean_of_paints(mean, colour[asked], weight, _SAME_PAINT).argmax(1)
    ]
    changed = np.zeros(count, bool)
    changed[asked[~sure]] = True
    return np.where(changed[patch], value[patch], ids)


def _weighed(mean: NDArray[np.float64], odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (N, tones) times odds, of the same sums."""
    told = mean * odds
    return told * (mean.sum(1) / np.maximum(told.sum(1), 1e-9))[:, None]


def _side_odds(patch: NDArray[np.int32], count: int, rgb: U8, borders: Borders) -> NDArray[np.float64]:
    """What being darker or lighter than its neighbours across trace lines says of each patch's tone.

    patch: (H, W), 0 outside the cel: what lies behind it says nothing. Patches with few such neighbours, and
    with both kinds, say little. Returns (count, tones).
    """
    height, width = patch.shape
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.int16)
    at, shade = [], []
    for side in (-1, 1):
        x, y = np.round(np.stack([borders.x, borders.y], 1) + side * borders.across * _BESIDE_PX).T.astype(
            int
        )
        x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        at.append(patch[y, x])
        shade.append(grey[y, x])
    meet = (at[0] > 0) & (at[1] > 0) & (at[0] != at[1])
    first_darker, first_lighter = meet & (shade[0] < shade[1]), meet & (shade[0] > shade[1])
    darker, lighter = (
        np.bincount(at[0][one], minlength=count) + np.bincount(at[1][other], minlength=count)
        for one, other in ((first_darker, first_lighter), (first_lighter, first_darker))
    )
    total = darker + lighter
    lean = (darker - lighter) / np.maximum(total, 1)  # 1: the darker side everywhere
    firm = np.minimum(total / _ENOUGH_PX, 1) * np.clip(np.abs(lean) / _LEAN, 0, 1)
    return np.where((lean > 0)[:, None], _OF_DARKER, _OF_LIGHTER) ** firm[:, None]


def _patches(ids: U8) -> tuple[NDArray[np.int32], int]:
    """4-connected patches of one tone, (H, W), from 1 on, 0 elsewhere; and their number plus one."""
    out, count = np.zeros(ids.shape, np.int32), 1
    for c in _TONES:
        found, label = cv2.connectedComponents((ids == c).view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        np.copyto(out, label + (count - 1), where=label > 0)
        count += found - 1
    return out, count


def _colours(
    rgb: U8, patch: NDArray[np.int32], inside: NDArray[np.intp], of: NDArray[np.int32], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean colour of each patch in CIELAB, (count, 3), and how far its pixels stray from it, (count,)."""
    core = cv2.erode((patch > 0).view(np.uint8), np.ones((3, 3), np.uint8)).reshape(-1)[inside]
    weight = np.where(core > 0, 1.0, _BORDER)
    total = np.maximum(np.bincount(of, weight, minlength=count), _BORDER)
    lab = cv2.cvtColor(rgb.reshape(1, -1, 3)[:, inside], cv2.COLOR_RGB2LAB)[0].astype(np.float64)
    mean, variance = np.zeros((count, 3)), np.zeros(count)
    for channel in range(3):
        value = lab[:, channel]
        mean[:, channel] = np.bincount(of, weight * value, minlength=count) / total
        variance += np.bincount(of, weight * value**2, minlength=count) / total - mean[:, channel] ** 2
    return mean, np.sqrt(np.maximum(variance, 0))


def vote_by_bounds(votes: F32, kinds: U8, ids: U8, y: NDArray[np.intp], x: NDArray[np.intp]) -> F32:
    """Share the votes for lines out anew, by the fills that they bound: a shadow by a shading line, a book by
    a book line.

    votes: (5, N) float32, of the line classes at N pixels of the skeleton. kinds: (N,) uint8, the classes
    that they have by these votes: trace lines stay trace lines, and inked lines inked. ids: (H, W) uint8, the
    areas, 255 on lines. y, x: (N,), where the pixels are. Returns new votes, of the same sums.
    """
    out = votes.copy()
    for group in (TRACE_CLASSES, DRAWN_CLASSES):
        asked = np.flatnonzero(np.isin(kinds, group))
        rows = np.array(group) - 1
        own = votes[np.ix_(rows, asked)]
        wanted = own + np.stack([_bound(c, ids)[y[asked], x[asked]] for c in group])
        out[np.ix_(rows, asked)] = wanted * (own.sum(0) / np.maximum(wanted.sum(0), 1e-6))
    return out


def _bound(line: DougaClass, ids: U8) -> F32:
    """How much of a line's fill lies around each pixel, (H, W), as votes."""
    fill, side = _FILL_OF.get(line), 2 * _SIDE_PX + 1
    if fill is None or not (ids == fill).any():
        return np.zeros(ids.shape, np.float32)
    return cv2.boxFilter((ids == fill).astype(np.float32), -1, (side, side)) * _BOUND[fill]
