"""Human Correction Efforts: how many clicks a person needs to put a cutout right (IS-Net, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from douga.metrics.mattes import foreground
from douga.metrics.shared import Mask, require_same_size
from douga.types import U8

Points = NDArray[np.int32]  # (N, 2), x and y in px

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))  # the disk of radius 1


def human_correction_efforts(prediction: U8, truth: U8, relax: int = 5, epsilon: float = 2.0) -> int:
    """HCE: clicks, 0 for nothing to do (IS-Net, algorithm 1).

    prediction, truth: (H, W) uint8 alphas. A region that touches what it has to be told from costs the
    corners of the polygon along that border; any other is filled by one click. relax: errors thinner than
    about twice as many px are forgiven, unless they break the skeleton of the truth; as many steps are made
    as the authors' program makes, one fewer than printed. epsilon: how far the polygon may be off, in px.
    Raises InputError where the sizes differ.
    """
    require_same_size(prediction, truth)
    found, true = foreground(prediction), foreground(truth)
    hit, added, missed = found & true, found & ~true, true & ~found
    core = _eroded(found | true, relax)
    bones = skeletonize(true) & ~found
    added = _relaxed(added, core, ~true, relax)
    missed = _relaxed(missed, core, ~found, relax) | bones
    return _clicks(added, hit | missed, epsilon) + _clicks(missed, ~(hit | added | missed), epsilon)


def dominant_points(chains: Sequence[Points], epsilon: float, *, closed: bool) -> int:
    """Corners of the polygons that stay within `epsilon` px of chains of pixels (Douglas and Peucker)."""
    return sum(len(cv2.approxPolyDP(chain.reshape(-1, 1, 2), epsilon, closed)) for chain in chains)


def contours(mask: Mask) -> list[Points]:
    """The outlines of a (H, W) bool mask and of its holes, pixel by pixel."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    return [cast(Points, contour[:, 0]) for contour in found]


def _eroded(mask: Mask, times: int) -> Mask:
    return cv2.erode(mask.astype(np.uint8), _CROSS, iterations=times).astype(bool) if times else mask


def _relaxed(error: Mask, core: Mask, allowed: Mask, times: int) -> Mask:
    """The part of an error that is connected to its core by at most `times` steps through what is allowed."""
    grown = error & core
    for _ in range(times):
        grown = cv2.dilate(grown.astype(np.uint8), _CROSS).astype(bool) & allowed
    return error & grown


def _clicks(region: Mask, against: Mask, epsilon: float) -> int:
    """Clicks that take away or fill `region`, which has to be told from `against`."""
    chains, touching = _borders(region, cv2.dilate(against.astype(np.uint8), _CROSS).astype(bool))
    count, labels = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    alone = np.ones(count, bool)
    alone[0] = False
    alone[labels[touching[:, 1], touching[:, 0]]] = False
    return dominant_points(chains, epsilon, closed=False) + int(alone.sum())


def _borders(region: Mask, near: Mask) -> tuple[list[Points], Points]:
    """The pieces of a region's outlines that lie in `near`, each pixel once; and all pixels of them."""
    outlines = contours(region)
    if not outlines:
        return [], np.zeros((0, 2), np.int32)
    points = np.concatenate(outlines)
    order = np.arange(len(points))
    kept = near[points[:, 1], points[:, 0]]
    spots = points[:, 1].astype(np.int64) * region.shape[1] + points[:, 0]
    _, first = np.unique(spots[kept], return_index=True)
    kept[np.setdiff1d(order[kept], order[kept][first])] = False
    chains, start = [], 0
    for outline in outlines:
        chains += _runs(outline, kept[start : start + len(outline)])
        start += len(outline)
    return chains, points[kept]


def _runs(outline: Points, kept: NDArray[np.bool_]) -> list[Points]:
    """The unbroken pieces of an outline. Where it begins within one, that piece's halves are joined.

    The first half is joined the wrong way round, as in the authors' program, whose counts are what is
    published.
    """
    where = np.flatnonzero(kept)
    if not len(where):
        return []
    runs = [outline[part] for part in np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)]
    if len(runs) > 1 and np.abs(runs[0][0] - runs[-1][-1]).max() == 1:
        runs = [*runs[1:-1], np.concatenate([runs[-1], runs[0][::-1]])]
    return runs
