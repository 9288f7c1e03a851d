"""Gap closing: loose ends of the skeleton are joined, along their direction, to what they were drawn
towards.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.postprocess.skeleton import Index, loose_ends, walk
from douga.types import F32, U8

_WALK_PX = 8  # how far back the direction of an end is measured
_TURNS_DEG = (0, -12, 12, -24, 24, -36, 36)  # looked at in this order: straight on is likelier than a bend
_EVIDENCE = 0.35  # mean line probability along a bridge that makes a missing line likely
_FACING = -0.6  # cosine between the directions of two ends that were one line


def close_gaps(skeleton: U8, line_probability: F32, gap_px: int) -> U8:
    """Join loose ends to lines within reach.

    A bridge is drawn where the network half saw a line (mean probability along the bridge), where two ends
    look at each other, or where the gap is at most a third of `gap_px`; elsewhere an end is an end, such as
    a strand's tip.

    skeleton: padded 0/1 mask, thin. line_probability: (H, W) float32, 0 to 1. gap_px: longest bridge, 0 for
    none. Returns the skeleton with its bridges, 8-connected.
    """
    out = skeleton.copy()
    if gap_px < 2:
        return out
    ends = loose_ends(skeleton)
    if not len(ends):
        return out
    start_yx = np.stack(np.divmod(ends, skeleton.shape[1]), 1)
    direction, known = _directions(skeleton, ends)
    start_yx, direction = start_yx[known], direction[known]
    target_yx, found = _look_ahead(skeleton, start_yx, direction, gap_px)
    start_yx, direction, target_yx = start_yx[found], direction[found], target_yx[found]
    accepted = _accept(skeleton, line_probability, start_yx, direction, target_yx, gap_px)
    for (y0, x0), (y1, x1) in zip(start_yx[accepted].tolist(), target_yx[accepted].tolist(), strict=True):
        cv2.line(out, (x0, y0), (x1, y1), 1)
    return out


def _directions(skeleton: U8, ends: Index) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Unit vectors (y, x) in which the lines leave their ends, and which of them are long enough to tell."""
    back = walk(skeleton, ends, _WALK_PX)[-1]
    delta = np.stack(np.divmod(ends, skeleton.shape[1]), 1) - np.stack(np.divmod(back, skeleton.shape[1]), 1)
    length = np.linalg.norm(delta, axis=1)
    return delta / np.maximum(length, 1.0)[:, None], length >= 3


def _look_ahead(
    skeleton: U8, start_yx: Index, direction: NDArray[np.float64], gap_px: int
) -> tuple[Index, NDArray[np.bool_]]:
    """The first line pixel that each end would meet within a cone of directions. Returns targets and which
    exist.
    """
    height, width = skeleton.shape
    target = np.zeros_like(start_yx)
    cost = np.full(len(start_yx), np.inf)
    near = cv2.dilate(skeleton, np.ones((3, 3), np.uint8))
    reach = np.arange(3, gap_px + 1)
    for turn in _TURNS_DEG:
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        ray = direction @ np.array([[c, s], [-s, c]])
        way = np.round(start_yx[:, None] + ray[:, None] * reach[None, :, None]).astype(np.intp)
        y, x = np.clip(way[..., 0], 1, height - 2), np.clip(way[..., 1], 1, width - 2)
        hit = (near[y, x] > 0) & (y == way[..., 0]) & (x == way[..., 1])
        first = hit.argmax(1)
        price = np.where(hit.any(1), reach[first] * (1 + abs(turn) / 30), np.inf)
        better = price < cost
        rows = np.flatnonzero(better)
        target[rows, 0], target[rows, 1] = y[rows, first[rows]], x[rows, first[rows]]
        cost = np.minimum(cost, price)
    found = np.isfinite(cost)
    return _snap(skeleton, target), found


def _snap(skeleton: U8, point_yx: Index) -> Index:
    """Move points to a line pixel beside them, the nearest first."""
    out = point_yx.copy()
    done = skeleton[point_yx[:, 0], point_yx[:, 1]] > 0
    for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)):
        y = np.clip(point_yx[:, 0] + dy, 0, skeleton.shape[0] - 1)
        x = np.clip(point_yx[:, 1] + dx, 0, skeleton.shape[1] - 1)
        take = ~done & (skeleton[y, x] > 0)
        out[take, 0], out[take, 1] = y[take], x[take]
        done |= take
    return out


def _accept(
    skeleton: U8,
    line_probability: F32,
    start_yx: Index,
    direction: NDArray[np.float64],
    target_yx: Index,
    gap_px: int,
) -> NDArray[np.bool_]:
    """Which bridges are to be drawn: half seen by the network, between two facing ends, or very short."""
    share = np.linspace(0.2, 0.8, 7)[None, :, None]
    way = np.round(start_yx[:, None] * (1 - share) + target_yx[:, None] * share).astype(np.intp) - 1
    seen = line_probability[way[..., 0], way[..., 1]].mean(1) >= _EVIDENCE
    distance = np.linalg.norm(target_yx - start_yx, axis=1)
    end_id = np.full(skeleton.shape, -1, np.int32)
    end_id[start_yx[:, 0], start_yx[:, 1]] = np.arange(len(start_yx))
    other = end_id[target_yx[:, 0], target_yx[:, 1]]
    facing = (other >= 0) & ((direction * direction[other]).sum(1) <= _FACING)
    return (distance >= 2) & (seen | facing | (distance <= gap_px / 3))
