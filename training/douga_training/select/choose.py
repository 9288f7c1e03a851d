"""Edge images and entropies -> which frames, in which order. No file is touched here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.pipeline import Probabilities
from douga.types import U8, CelMask
from douga_training.select.edges import SAME_DRAWING, Distinct

LEAST, MOST, VARIETY = "least certain", "most certain", "variety"
NO_CEL = "no cel found"
_SEED = 1
_ITERATIONS = 30
_CEL_SHARE = 0.001  # a smaller cel is a speck: the entropy is then taken over the whole frame
_BAND_ROWS = 128  # probabilities turned to float32 at once


@dataclass(frozen=True)
class Candidate:
    """A frame that stands for a cluster. index: of its edge image. size: frames of the cluster."""

    index: int
    cluster: int
    size: int


@dataclass(frozen=True)
class Doubt:
    """How unsure the model is of a frame. entropy: mean of its pixels, in bits. has_cel: if it saw any."""

    entropy: float
    has_cel: bool = True


def representatives(edges: Sequence[U8], count: int, same: float = SAME_DRAWING) -> list[Candidate]:
    """The frame nearest to the middle of each cluster, largest cluster first (Kugler, 4.1).

    edges: (27, 48) uint8 each. count: number of clusters, at most. same: frames whose edges differ less than
    this share are one drawing; a cluster whose frames all are on the list already stays without one.
    """
    points = np.stack(edges).reshape(len(edges), -1).astype(np.float32)  # (N, 27 * 48)
    labels, centres = _clusters(points, min(count, len(points)))
    away = np.linalg.norm(points - centres[labels], axis=1)  # (N,)
    sizes = np.bincount(labels, minlength=len(centres))
    found, seen = [], Distinct(same, None)
    for number, cluster in enumerate(np.lexsort((np.arange(len(sizes)), -sizes)), 1):
        members = np.flatnonzero(labels == cluster)
        for index in members[np.argsort(away[members], kind="stable")]:
            if seen.is_new(edges[index]):
                seen.add(edges[index])
                found.append(Candidate(int(index), number, len(members)))
                break
    return found


def _clusters(points: NDArray[np.float32], count: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """k-means with a fixed seed: the cluster of each point (N,), and the centres (count, D)."""
    if count == len(points):
        return np.arange(count, dtype=np.int32), points
    cv2.setRNGSeed(_SEED)
    until = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, _ITERATIONS, 1.0)
    _, labels, centres = cv2.kmeans(points, count, None, until, 1, cv2.KMEANS_PP_CENTERS)
    return labels.ravel(), centres


def doubt_of(probabilities: Probabilities, cel: CelMask) -> Doubt:
    """Mean entropy of the classes inside the cel, in bits: 0 certain, log2(10) = 3.3 no idea.

    Kugler takes the entropy of stage one, cel or not, since he labels cels there; inside the cel, stage two's
    ten classes are what a studio draws. probabilities: (10, H, W), 0 to 1. cel: (H, W). Where next to no cel
    was found the mean is that of the whole frame.
    """
    inside = cel.mask > 0
    has_cel = bool(inside.mean() >= _CEL_SHARE)
    if not has_cel:
        inside = np.ones_like(inside)
    total = 0.0
    for top in range(0, len(inside), _BAND_ROWS):
        rows = np.s_[top : top + _BAND_ROWS]
        p = probabilities[:, rows].astype(np.float32)  # (10, rows, W)
        bits = -(p * np.log2(np.maximum(p, 1e-7))).sum(0)  # (rows, W)
        total += float(bits[inside[rows]].sum(dtype=np.float64))
    return Doubt(total / int(inside.sum()), has_cel)


def by_doubt(doubts: Sequence[Doubt], count: int) -> list[tuple[int, str]]:
    """Positions to label, first one first, and why: the least and the most certain by turns (Kugler, 4.1).

    The least certain teach most and cost most; the most certain are nearly labelled already. Kugler does not
    say in which shares; here it is half and half, so that whoever stops early has some of both. A frame in
    which no cel was found is called certain only when no other is left.
    """
    order = sorted(range(len(doubts)), key=lambda i: (-doubts[i].entropy, i))
    certain = sorted(order, key=lambda i: (not doubts[i].has_cel, doubts[i].entropy, i))
    least, most = iter(order), iter(certain)
    taken: dict[int, str] = {}
    while len(taken) < min(count, len(doubts)):
        queue, why = (most, MOST) if len(taken) % 2 else (least, LEAST)
        position = next(i for i in queue if i not in taken)
        taken[position] = why if doubts[position].has_cel else f"{why}; {NO_CEL}"
    return list(taken.items())
