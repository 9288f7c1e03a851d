"""Lines one pixel wide: thinning, what each skeleton pixel is, specks and spurs.

Everything works on the flat indices of the line pixels, since lines cover a few percent of a frame; a mask
carries a border of one empty pixel (`padded`), so that no pixel has to ask where the frame ends.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from douga.types import U8

Index = NDArray[np.intp]

END, BRANCH, JUNCTION = 1, 2, 3
# Eight neighbours as (dy, dx), clockwise from north; neighbour k is bit k of a pixel's code.
_RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
# Deeper than this from every border is no line but something dark and solid: only its rim can be a line.
_SOLID_PX = 12
_PRUNINGS = 4
_MANY = 20_000  # from here on a mask is quicker than sorting


def offsets(stride: int) -> list[int]:
    """Flat index steps to the eight neighbours, in the order of the code's bits. stride: row length in
    pixels.
    """
    return [dy * stride + dx for dy, dx in _RING]


def _crossings(code: int) -> int:
    """How often the ring around a pixel goes from empty to line: 1 at an end, 2 on a line, 3 or more at a
    junction.
    """
    ring = [code >> k & 1 for k in range(8)]
    return sum(not ring[k] and ring[(k + 1) % 8] for k in range(8))


def _kind(code: int) -> int:
    crossings = _crossings(code)
    if crossings >= 3:
        return JUNCTION
    return END if crossings <= 1 and code.bit_count() <= 2 else BRANCH


def _deletable(code: int, odd: bool) -> bool:
    """Whether thinning may take a pixel away (Guo and Hall 1989, one of two alternating passes)."""
    n, ne, e, se, s, sw, w, nw = (code >> k & 1 for k in range(8))
    simple = (
        (not n and (ne or e)) + (not e and (se or s)) + (not s and (sw or w)) + (not w and (nw or n))
    ) == 1
    pairs = min((nw or n) + (ne or e) + (se or s) + (sw or w), (n or ne) + (e or se) + (s or sw) + (w or nw))
    turned = ((s or sw or not nw) and w) if odd else ((n or ne or not se) and e)
    return simple and 2 <= pairs <= 3 and not turned


def _table(rule: Callable[[int], int]) -> U8:
    return np.array([int(rule(code)) for code in range(256)], np.uint8)


_KIND = _table(_kind)
_DELETE = (_table(lambda code: _deletable(code, False)), _table(lambda code: _deletable(code, True)))


def padded(mask: U8) -> U8:
    """The mask with a border of one empty pixel. mask: (H, W) uint8, 0 or 1. Returns (H + 2, W + 2)."""
    return cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)


def unpadded(mask: U8) -> U8:
    """What `padded` was given."""
    return np.ascontiguousarray(mask[1:-1, 1:-1])


def line_pixels(mask: U8) -> Index:
    """Flat indices of the pixels of a 0/1 mask, in reading order."""
    return np.flatnonzero(mask.view(bool))  # as bool it takes a fifth of the time


def codes(mask: U8, pixels: Index) -> U8:
    """Neighbourhood of each pixel as eight bits. mask: padded 0/1 mask; pixels: flat indices into it."""
    flat = mask.reshape(-1)
    code = np.zeros(pixels.shape, np.uint8)
    for bit, step in enumerate(offsets(mask.shape[1])):
        code |= flat.take(pixels + step) << np.uint8(bit)
    return code


def kinds(mask: U8, pixels: Index) -> U8:
    """END, BRANCH or JUNCTION for each pixel of a thinned, padded mask."""
    return _KIND[codes(mask, pixels)]


def thin(mask: U8, pixels: Index | None = None) -> U8:
    """Thin lines to one pixel, 8-connected, without changing what is connected to what (Kugler, 5.7).

    mask: padded 0/1 mask. pixels: where to begin, if the rest is known to be thin; all line pixels by
    default. Returns the same shape and type. Thinning a thin line changes nothing.
    """
    work = mask.copy()
    flat = work.reshape(-1)
    start = line_pixels(work) if pixels is None else pixels
    before = start[:0]
    active = start
    for turn in count():
        gone = active[_DELETE[turn % 2].take(codes(work, active)).view(bool)]
        flat[gone] = 0
        if turn and not len(gone) and not len(before):
            return work
        # Who kept its place in a pass is asked again in that pass only when a neighbour has gone since.
        active = _beside(work, np.concatenate([before, gone]))
        if turn == 0:
            kept = start[flat.take(start).view(bool)]
            active = kept if pixels is None else np.union1d(kept, active)
        before = gone
    return work


def around(mask: U8, pixels: Index) -> Index:
    """The given line pixels and the line pixels beside them. mask: padded."""
    return np.union1d(pixels, _beside(mask, pixels))


def _beside(mask: U8, pixels: Index) -> Index:
    """The line pixels that are neighbours of the given ones. mask: padded."""
    flat = mask.reshape(-1)
    near = np.concatenate([pixels + step for step in offsets(mask.shape[1])])
    near = near[flat.take(near).view(bool)]
    if len(near) < _MANY:
        near.sort()  # np.unique takes several times as long
        return near[np.append(near[1:] != near[:-1], True)] if len(near) else near
    seen = np.zeros(mask.size, np.uint8)
    seen[near] = 1
    return line_pixels(seen)


def without_pinholes(mask: U8, hole_px: int) -> U8:
    """Fill the holes of fewer than `hole_px` pixels, 4-connected, in a padded 0/1 mask."""
    _, label = cv2.connectedComponents(1 - mask, connectivity=4)
    small = (np.bincount(label.reshape(-1)) < hole_px).astype(np.uint8)
    small[[0, label[0, 0]]] = 0  # the lines themselves, and what lies around the frame
    return mask | small[label]


def hollow(mask: U8) -> U8:
    """Take the inside out of solid shapes: a blob has no middle line, and its thickness would cost time.

    mask: padded 0/1 mask. The frame's edge is no rim: a shape that it cuts is as solid as it would be
    beyond it.
    """
    inner = unpadded(mask)
    if not cv2.countNonZero(cv2.erode(inner, np.ones((_SOLID_PX, _SOLID_PX), np.uint8))):
        return mask
    far = 2 * _SOLID_PX
    depth = cv2.distanceTransform(
        cv2.copyMakeBorder(inner, far, far, far, far, cv2.BORDER_REPLICATE), cv2.DIST_L2, 3
    )
    return padded(np.where(depth[far:-far, far:-far] > _SOLID_PX, np.uint8(0), inner))


def links(mask: U8, pixels: Index) -> tuple[Index, Index]:
    """Pairs of neighbouring pixels (8-connected), as positions in `pixels`.

    mask: padded 0/1 mask; pixels: its line pixels in reading order, or some of them if the mask shows no
    others.
    """
    flat = mask.reshape(-1)
    position = np.arange(len(pixels))
    ones, others = [], []
    for step in offsets(mask.shape[1])[2:6]:  # east to southwest: each pair once
        has = flat.take(pixels + step).view(bool)
        ones.append(position[has])
        others.append(np.searchsorted(pixels, pixels[has] + step))
    return np.concatenate(ones), np.concatenate(others)


def parts(nodes: int, ones: Index, others: Index) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Connected parts of a graph of `nodes` nodes: the part of each node, from 0, and the nodes of each
    part.
    """
    graph = coo_matrix((np.ones(len(ones), np.int8), (ones, others)), shape=(nodes, nodes))
    _, label = connected_components(graph, directed=False)
    return label, np.bincount(label)


def walk(skeleton: U8, ends: Index, steps: int) -> Index:
    """Follow lines from their ends. skeleton: padded, thin. Returns (steps + 1, N) flat indices, the ends
    first.

    A walk stays where it is when it comes to a junction or to the other end.
    """
    flat = skeleton.reshape(-1)
    ring = np.array(offsets(skeleton.shape[1]))[[0, 2, 4, 6, 1, 3, 5, 7]]  # straight before diagonal
    trail = [ends]
    here = ends
    for _ in range(steps):
        near = here[:, None] + ring
        free = flat.take(near).view(bool)
        for passed in trail[-3:]:
            free &= near != passed[:, None]
        free[kinds(skeleton, here) == JUNCTION] = False
        here = np.where(free.any(1), near[np.arange(len(ends)), free.argmax(1)], here)
        trail.append(here)
    return np.stack(trail)


def loose_ends(skeleton: U8) -> Index:
    """Flat indices of the ends of lines. skeleton: padded, thin."""
    pixels = line_pixels(skeleton)
    return pixels[kinds(skeleton, pixels) == END]


def remove_specks(skeleton: U8, min_line_px: int) -> U8:
    """Drop lines of fewer than `min_line_px` pixels that hang on nothing. skeleton: padded 0/1 mask, thin."""
    trail = walk(skeleton, loose_ends(skeleton), min_line_px - 1)
    stopped = (trail[-1] == trail[-2]) if min_line_px > 1 else np.zeros(trail.shape[1], bool)
    speck = stopped & (kinds(skeleton, trail[-1]) == END)
    out = skeleton.copy()
    out.reshape(-1)[trail[:, speck]] = 0
    return out


def prune_spurs(skeleton: U8, spur_px: int) -> U8:
    """Cut side branches of at most `spur_px` pixels with a loose end: thinning leaves them on ragged borders.

    skeleton: padded 0/1 mask, thin. A line without a junction is kept, however short.
    """
    for _ in range(_PRUNINGS):
        trail = walk(skeleton, loose_ends(skeleton), spur_px)
        spur = kinds(skeleton, trail[-1]) == JUNCTION
        if not spur.any():
            return skeleton
        cut = np.unique(trail[:, spur])
        cut = cut[kinds(skeleton, cut) != JUNCTION]
        skeleton = skeleton.copy()
        skeleton.reshape(-1)[cut] = 0
        skeleton = thin(skeleton, _beside(skeleton, cut))
    return skeleton


def reach_edges(skeleton: U8, lines: U8, reach_px: int = 4) -> U8:
    """Prolong ends to the frame's edge where the lines went on to it: thinning draws them back from there.

    skeleton, lines: padded 0/1 masks. reach_px: how far an end may be from the edge.
    """
    out = skeleton.copy()
    y, x = np.divmod(loose_ends(skeleton), skeleton.shape[1])
    bottom, right = skeleton.shape[0] - 2, skeleton.shape[1] - 2
    for distance, edge_y, edge_x in (
        (y - 1, np.ones_like(y), x),
        (bottom - y, np.full_like(y, bottom), x),
        (x - 1, y, np.ones_like(x)),
        (right - x, y, np.full_like(x, right)),
    ):
        go = (distance > 0) & (distance <= reach_px) & (lines[edge_y, edge_x] > 0)
        for y0, x0, y1, x1 in np.stack([y[go], x[go], edge_y[go], edge_x[go]], 1).tolist():
            cv2.line(out, (x0, y0), (x1, y1), 1)
    return out


def widen(skeleton: U8, width_px: int) -> U8:
    """Draw a skeleton with a square pen of `width_px`. skeleton: padded 0/1 mask; so is the result."""
    middle = (width_px // 2, width_px // 2)
    return padded(cv2.dilate(unpadded(skeleton), np.ones((width_px, width_px), np.uint8), anchor=middle))


def stroke(image: U8, path: Index, width_px: int, value: int) -> None:
    """Paint a path into a padded image with the pen of `widen`. path: flat indices of its pixels."""
    height, width = image.shape
    y, x = np.divmod(path, width)
    first, last = width_px // 2 - width_px + 1, width_px // 2
    # One row of the pen after the other; nothing is painted on the border of the padded image.
    for dy in range(first, last + 1):
        row = np.clip(y + dy, 1, height - 2) * width
        for dx in range(first, last + 1):
            image.reshape(-1)[row + np.clip(x + dx, 1, width - 2)] = value


def pen_path(lines: U8, width_px: int) -> U8:
    """Where the pen can have been if it painted nothing but `lines` (padded); beyond the frame anything
    goes.
    """
    middle = ((width_px - 1) // 2, (width_px - 1) // 2)
    return padded(cv2.erode(unpadded(lines), np.ones((width_px, width_px), np.uint8), anchor=middle))


def drawn_path(lines: U8, width_px: int) -> U8 | None:
    """The path of the pen, where a pen of this width drew all of the lines; None where it did not.

    lines: padded 0/1 mask. Thinning drawn lines instead would wear their ends and corners.
    """
    path = pen_path(lines, width_px)
    if not np.array_equal(widen(path, width_px), lines):
        return None
    path = thin(path)
    return path if np.array_equal(widen(path, width_px), lines) else None


def first_skeleton(lines: U8, width_px: int) -> U8:
    """Thin lines of any width; where a pen of this width drew all of them already, give the path of the pen.

    lines: padded 0/1 mask.
    """
    path = drawn_path(lines, width_px)
    return thin(hollow(lines)) if path is None else path


def settle(skeleton: U8, width_px: int) -> U8:
    """Thin again what grows together when the skeleton is widened, until widening shows the same lines each
    time.

    The painted lines only ever lose pixels on the way (a closed path paints what its skeleton painted), so
    it ends.
    """
    lines = widen(skeleton, width_px)
    while True:
        path = pen_path(lines, width_px)
        grown = line_pixels(path & ~skeleton)
        if not len(grown):
            return skeleton
        skeleton = thin(path, around(path, grown))
        again = widen(skeleton, width_px)
        if np.array_equal(again, lines):
            return skeleton
        lines = again
