"""Which kind of area each region between the lines is.

Areas are labelled by runs, the stretches of equal class in a row: there are some tens of thousands of them
in a frame of two million pixels, so one pass over the pixels serves all classes at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from douga.classes import AREA_CLASSES, NUM_CLASSES
from douga.postprocess.skeleton import Index, loose_ends, parts
from douga.types import F32, U8

_FIRM = 0.3  # by how much a dissenting patch must prefer its own class to that of its area
_REACH_PX = 2  # a loose end opens the areas that lie this close to its painted end
_SIGHT_PX = 12
_LINE = 255


@dataclass(frozen=True)
class _Runs:
    """Runs of one class in reading order, and where they touch.

    at: (H, W) int32, the run of each pixel. first: flat index of each run's first pixel. length: its
    pixels. value: its class, 255 on lines. ones, others, contact: pairs of touching runs and the pixel
    sides that touch.
    """

    at: NDArray[np.int32]
    first: Index
    length: Index
    value: U8
    ones: NDArray[np.int32]
    others: NDArray[np.int32]
    contact: Index


@dataclass(frozen=True)
class _Patches:
    """Patches of one class, 4-connected, made of runs, and the areas that they lie in.

    of_run: patch of each run. value: class of each patch, 255 for lines. size: its pixels. area: its area.
    mean: (5, patches), mean probability of each area class. areas: how many there are.
    """

    of_run: NDArray[np.int32]
    value: U8
    size: NDArray[np.float64]
    area: NDArray[np.int32]
    mean: NDArray[np.float64]
    areas: int


def classify_areas(
    argmax: U8, planes: dict[int, F32], lines: U8, skeleton: U8, width_px: int, speck_px: int
) -> U8:
    """Give areas one class where that is safe, and take the specks out elsewhere (Kugler, 5.7).

    An area is what lies between lines (4-connected). It gets the class of the highest averaged probability
    where its border is closed (no loose end of a line in it) and the vote is clear: no patch of at least
    `speck_px` pixels in it firmly prefers another class. Elsewhere each patch of one class keeps it if it
    has `speck_px` pixels, and smaller ones go to the class that they touch most. So a missing line can leak
    nothing.

    argmax: (H, W) uint8, the best area class of every pixel. planes: (H, W) float32 probabilities by area
    class. lines: (H, W) uint8, not 0 where a line is painted. skeleton: padded 0/1 mask of their middle.
    Returns (H, W) uint8 class ids of the areas, 255 on lines.
    """
    runs = _runs(np.where(lines > 0, np.uint8(_LINE), argmax))
    patches = _patches(runs, planes)
    free = patches.value != _LINE
    own = _winners(patches)[patches.area]
    closed = np.ones(patches.areas, bool)
    closed[patches.area[patches.of_run[_runs_at_ends(runs, skeleton, width_px)]]] = False
    row = np.arange(len(own))
    gain = patches.mean[_row_of(patches.value), row] - patches.mean[_row_of(own), row]
    firm = (gain >= _FIRM) | (patches.value == own) | ~closed[patches.area]
    keep = free & firm & (patches.size >= speck_px)
    lone = np.bincount(patches.area, keep, minlength=patches.areas)[patches.area] == 0
    value = np.where(lone & free, own, patches.value).astype(np.uint8)
    value = _absorb(runs, patches.of_run, value, keep | lone | ~free)
    of_run = value[patches.of_run]
    weak = _pinholes(patches, speck_px)[patches.of_run]
    if weak.any():
        of_run[weak] = _seen_around(runs, of_run, weak, patches.area[patches.of_run[weak]])
    return np.repeat(of_run, runs.length).reshape(argmax.shape)


def _runs(value: U8) -> _Runs:
    height, width = value.shape
    start = np.ones(value.shape, bool)
    np.not_equal(value[:, 1:], value[:, :-1], out=start[:, 1:])
    at = (np.cumsum(start, dtype=np.int32) - 1).reshape(value.shape)
    first = np.flatnonzero(start)
    length = np.diff(first, append=value.size)
    # Two rows touch anew wherever a run starts in either of them; the next such place ends the contact.
    touch = np.flatnonzero(start[:-1] | start[1:])
    contact = np.diff(touch, append=(height - 1) * width)
    beside = np.flatnonzero(first[1:] % width != 0).astype(np.int32)
    flat = at.reshape(-1)
    return _Runs(
        at,
        first,
        length,
        value.reshape(-1)[first],
        np.concatenate([flat[touch], beside]),
        np.concatenate([flat[touch + width], beside + 1]),
        np.concatenate([contact, np.ones_like(beside, dtype=contact.dtype)]),
    )


def _patches(runs: _Runs, planes: dict[int, F32]) -> _Patches:
    count = len(runs.first)
    one_value, other_value = runs.value[runs.ones], runs.value[runs.others]
    same = one_value == other_value
    of_run, _ = parts(count, runs.ones[same], runs.others[same])
    patches = int(of_run.max()) + 1
    value = np.zeros(patches, np.uint8)
    value[of_run] = runs.value
    size = np.bincount(of_run, runs.length, minlength=patches).astype(np.float64)
    open_border = ~same & (one_value != _LINE) & (other_value != _LINE)
    area, _ = parts(patches, of_run[runs.ones[open_border]], of_run[runs.others[open_border]])
    total = np.stack(
        [
            np.bincount(of_run, np.add.reduceat(planes[c].reshape(-1), runs.first), minlength=patches)
            for c in AREA_CLASSES
        ]
    )
    return _Patches(of_run, value, size, area, total / size, int(area.max()) + 1)


def _row_of(value: U8) -> Index:
    """Row in `_Patches.mean` of each class; lines get the first, where nobody looks."""
    table = np.zeros(256, np.intp)
    table[list(AREA_CLASSES)] = np.arange(len(AREA_CLASSES))
    return table[value]


def _winners(patches: _Patches) -> U8:
    """Class of the highest averaged probability of each area. The lower id wins a tie."""
    total = np.stack(
        [np.bincount(patches.area, m * patches.size, minlength=patches.areas) for m in patches.mean]
    )
    return np.array(AREA_CLASSES, np.uint8)[total.argmax(0)]


def _pinholes(patches: _Patches, speck_px: int) -> NDArray[np.bool_]:
    """Which patches lie in areas below speck size that no class really claims: gaps between close lines."""
    size = np.bincount(patches.area, patches.size, minlength=patches.areas)
    claim = np.max(
        [np.bincount(patches.area, m * patches.size, minlength=patches.areas) for m in patches.mean], axis=0
    )
    return ((size < speck_px) & (claim < 0.5 * size))[patches.area] & (patches.value != _LINE)


def _seen_around(runs: _Runs, value: U8, weak: NDArray[np.bool_], area: NDArray[np.int32]) -> U8:
    """For each weak run the class that most lines of sight from its area meet first, pinholes not counted."""
    height, width = runs.at.shape
    y, x = np.divmod(runs.first[weak], width)
    steps = np.arange(1, _SIGHT_PX + 1)
    own, place = np.unique(area, return_inverse=True)
    votes = np.zeros((len(own), NUM_CLASSES), np.int32)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        sight = runs.at[
            np.clip(y[:, None] + dy * steps, 0, height - 1), np.clip(x[:, None] + dx * steps, 0, width - 1)
        ]
        seen = (value[sight] != _LINE) & ~weak[sight]
        met = value[sight[np.arange(len(sight)), seen.argmax(1)]]
        hit = seen.any(1)
        np.add.at(votes, (place[hit], met[hit]), 1)
    return votes.argmax(1).astype(np.uint8)[place]


def _runs_at_ends(runs: _Runs, skeleton: U8, width_px: int) -> NDArray[np.int32]:
    """Runs that a loose end of a line points into: something of the border of their area may be missing."""
    y, x = np.divmod(loose_ends(skeleton), skeleton.shape[1])
    reach = width_px // 2 + _REACH_PX
    height, width = runs.at.shape
    # An end at the frame's edge is not loose: the line goes on outside.
    inner = (y > reach) & (x > reach) & (y <= height - reach) & (x <= width - reach)
    y, x = y[inner] - 1, x[inner] - 1
    around = [(dy, dx) for dy in (-reach, 0, reach) for dx in (-reach, 0, reach)]
    return np.concatenate(
        [runs.at[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)] for dy, dx in around]
    )


def _absorb(runs: _Runs, of_run: NDArray[np.int32], value: U8, keep: NDArray[np.bool_]) -> U8:
    """Give every patch that is not kept the class that it touches most among the kept patches of its area."""
    value, keep = value.copy(), keep.copy()
    one, other = of_run[runs.ones], of_run[runs.others]
    mine, theirs = np.concatenate([one, other]), np.concatenate([other, one])
    contact = np.concatenate([runs.contact, runs.contact])
    asking = ~keep[mine] & (value[theirs] != _LINE)
    mine, theirs, contact = mine[asking], theirs[asking], contact[asking]
    while True:
        ask = ~keep[mine] & keep[theirs]
        if not ask.any():
            return value
        pair, place = np.unique(mine[ask].astype(np.int64) * 256 + value[theirs[ask]], return_inverse=True)
        order = np.argsort(np.bincount(place, contact[ask]), kind="stable")  # the last writer touches most
        value[pair[order] // 256] = pair[order] % 256
        keep[pair // 256] = True
