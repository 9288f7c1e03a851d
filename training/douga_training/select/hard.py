"""How well cutouts go -> which pictures teach most (ToonOut, 3.2.1). No file is touched here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from douga.metrics import mattes
from douga.types import F32, U8

HARD, EASY = "hard", "easy"
EASY_SHARE = 0.2  # ToonOut, 3.2.1
# Between the means of ToonOut's three scores for the weights it began from, 0.939, and its own, 0.982.
WELL = 0.97
_TINY = 1e-9


def hard_first(
    scores: Sequence[float], count: int, *, well: float = WELL, easy: float = EASY_SHARE
) -> list[tuple[int, str]]:
    """Positions to train on, the worst first, and why: "hard" or "easy".

    ToonOut (3.2.1) had the model cut out every picture, took those on which it did badly, and, to keep the
    set balanced, up to 20 % on which it already did well. People judged there; here it is a score. scores: 0
    to 1, of each picture. well: from there on a picture is easy. easy: largest share of easy ones among all
    that are chosen, so where few are hard, few are chosen. Easy ones are taken from all over their range.
    """
    order = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    hard = [i for i in order if scores[i] < well]
    fine = [i for i in order if scores[i] >= well]
    added = min(len(fine), math.floor(easy * count + _TINY))
    hard = hard[: count - added]
    if added > easy * (len(hard) + added) + _TINY:
        added = math.floor(len(hard) * easy / (1 - easy) + _TINY)
    spread = [fine[(2 * k + 1) * len(fine) // (2 * added)] for k in range(added)]
    return [(i, HARD) for i in hard] + [(i, EASY) for i in spread]


def against_truth(found: F32, true: U8) -> float:
    """Mean of ToonOut's three scores (3.4), as far as they say anything: 0 to 1.

    found: (H, W) float32, 0 to 1. true: (H, W) uint8, 0 to 255. Raises InputError where they differ in size.
    """
    seen = (found * 255).round().astype(np.uint8)
    scores = [
        measure(seen, true) for measure in (mattes.pixel_accuracy, mattes.boundary_iou, mattes.weighted_f)
    ]
    return float(np.mean([score for score in scores if not math.isnan(score)]))


def certainty(found: F32) -> float:
    """How decided an alpha is where nobody knows the truth: 0 to 1, 1 where all is opaque or nothing.

    The soft IoU of the alpha and of itself cut at one half: the smaller of both, summed, over the larger. A
    soft edge costs next to nothing, an arm that is half there a good deal; what is wrong and sure of itself
    costs nothing.
    """
    decided = found > 0.5
    larger = float(np.maximum(found, decided).sum(dtype=np.float64))
    return float(np.minimum(found, decided).sum(dtype=np.float64)) / larger if larger else 1.0
