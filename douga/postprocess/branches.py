"""Which kind of line each branch of the skeleton is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from douga.classes import LINE_CLASSES
from douga.postprocess.skeleton import JUNCTION, Index, kinds, line_pixels, links, offsets, parts, stroke
from douga.types import F32, U8

# A stretch of another class splits a branch if it has a sixth of its pixels, within these bounds: a long
# outline does not change its class for ten pixels, a line in a small eye does.
_FIRM_SHARE, _FIRM_PX = 1 / 6, (4, 12)
_SMOOTHINGS = 3  # each looks one pixel further along the branch
_ROUNDS = 6
_HIDDEN = 0.25  # share of a branch that may vanish below other lines


@dataclass(frozen=True)
class _Branches:
    """The skeleton as a graph. joint: which pixels are junctions; ones, others: neighbours within a branch;
    branch: branch of each pixel that is no junction, size: pixels of each branch; all in reading order.
    """

    pixels: Index
    joint: NDArray[np.bool_]
    ones: Index
    others: Index
    branch: NDArray[np.int32]
    size: NDArray[np.int64]


def classify_lines(skeleton: U8, votes: F32, width_px: int) -> U8:
    """Give each branch its class by vote and paint it (Kugler, 5.7).

    Branches end at junctions. A long stretch that votes firmly for another class than its branch keeps its
    own. A junction belongs to most of its branches. Visible lines lie over trace lines.

    skeleton: padded 0/1 mask, thin. votes: (5, N) float32, the unprocessed probabilities of the line
    classes at the skeleton's N pixels in reading order. Returns a padded mask of class ids, 0 where there
    is no line.
    """
    graph = _branches(skeleton)
    painted = _paint(skeleton, graph, _vote(skeleton, graph, votes), width_px)
    # Wide visible lines may hide most of a short trace branch: what is left of it would not win the vote
    # again. It goes to what covers it, so that a map which was cleaned once stays as it is.
    for _ in range(_ROUNDS):
        hard = painted.reshape(-1)[graph.pixels]
        shown = (hard[None] == np.array(LINE_CLASSES, np.uint8)[:, None]).astype(np.float32)
        again = _paint(skeleton, graph, _vote(skeleton, graph, shown), width_px)
        if np.array_equal(again, painted):
            break
        painted = again
    return painted


def _branches(skeleton: U8) -> _Branches:
    pixels = line_pixels(skeleton)
    joint = kinds(skeleton, pixels) == JUNCTION
    work = skeleton.copy()
    work.reshape(-1)[pixels[joint]] = 0
    free = pixels[~joint]
    ones, others = links(work, free)
    branch, size = parts(len(free), ones, others)
    return _Branches(pixels, joint, ones, others, branch, size)


def _vote(skeleton: U8, graph: _Branches, votes: F32) -> U8:
    """Class id of each skeleton pixel, in reading order."""
    free = votes[:, ~graph.joint]
    total = np.stack([np.bincount(graph.branch, v, minlength=len(graph.size)) for v in free])
    of_branch = (total.argmax(0) + 1).astype(np.uint8)[graph.branch]
    own = _stretches(graph, free)
    ids = np.zeros(len(graph.pixels), np.uint8)
    ids[~graph.joint] = np.where(own > 0, own, of_branch)
    ids[graph.joint] = _joints(skeleton, graph, ids)
    return ids


def _stretches(graph: _Branches, votes: F32) -> U8:
    """Class of each pixel that lies in a long enough stretch of one class, else 0."""
    count = votes.shape[1]
    if np.count_nonzero(votes.sum(1)) < 2:
        return np.zeros(count, np.uint8)
    smooth = votes.astype(np.float64)
    if not np.isin(votes, (0, 1)).all():  # what was decided already is no noise
        for _ in range(_SMOOTHINGS):  # along the branch: what its neighbours say counts as much as its own
            smooth = np.stack([_spread(graph, plane) for plane in smooth])
    local = smooth.argmax(0)
    same = local[graph.ones] == local[graph.others]
    stretch, size = parts(count, graph.ones[same], graph.others[same])
    firm = np.clip(graph.size * _FIRM_SHARE, *_FIRM_PX)[graph.branch]
    return np.where(size[stretch] >= firm, local + 1, 0).astype(np.uint8)


def _spread(graph: _Branches, plane: NDArray[np.float64]) -> NDArray[np.float64]:
    if not plane.any():
        return plane
    count = len(plane)
    return (
        plane
        + np.bincount(graph.ones, plane[graph.others], minlength=count)
        + np.bincount(graph.others, plane[graph.ones], minlength=count)
    )


def _joints(skeleton: U8, graph: _Branches, ids: U8) -> U8:
    """Class of each junction pixel: that of most branch pixels around it, the lowest id of equals."""
    plane = np.zeros(skeleton.size, np.uint8)
    plane[graph.pixels[~graph.joint]] = ids[~graph.joint]
    at = graph.pixels[graph.joint]
    for _ in range(2):  # junction pixels may have no neighbours but junction pixels
        beside = np.stack([plane[at + step] for step in offsets(skeleton.shape[1])])
        votes = np.stack([(beside == c).sum(0) for c in LINE_CLASSES])
        plane[at] = np.where(votes.any(0), votes.argmax(0) + 1, 0)
    return np.maximum(plane[at], min(LINE_CLASSES)).astype(np.uint8)


def _paint(skeleton: U8, graph: _Branches, ids: U8, width_px: int) -> U8:
    out = np.zeros(skeleton.shape, np.uint8)
    for c in reversed(LINE_CLASSES):
        stroke(out, graph.pixels[ids == c], width_px, c)
    # The pen of the upper class runs over its neighbours. Where a branch changes its class it would run on
    # further at every cleaning, and a short trace line in an eye would vanish: there the middle is kept.
    free = graph.pixels[~graph.joint]
    hidden = out.reshape(-1)[free] != ids[~graph.joint]
    hidden_share = np.bincount(graph.branch, hidden, minlength=len(graph.size)) / graph.size
    keep = _near_changes(graph, ids[~graph.joint], width_px // 2) | (hidden_share > _HIDDEN)[graph.branch]
    out.reshape(-1)[free[keep]] = ids[~graph.joint][keep]
    return out


def _near_changes(graph: _Branches, ids: U8, reach_px: int) -> NDArray[np.bool_]:
    """Which pixels of branches lie within `reach_px` of a change of class along their branch."""
    near = np.zeros(len(ids), bool)
    changes = ids[graph.ones] != ids[graph.others]
    if not changes.any() or not reach_px:
        return near
    near[graph.ones[changes]] = near[graph.others[changes]] = True
    for _ in range(reach_px - 1):
        near = _spread(graph, near.astype(np.float64)) > 0
    return near
