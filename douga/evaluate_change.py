"""`douga evaluate --before`: what has changed from one folder of predictions to another, side by side."""

from __future__ import annotations

import math
from dataclasses import replace

from douga import metrics
from douga.classes import FILL_CLASSES, LINE_CLASSES
from douga.evaluate import LINES_ALL, NOTHING, Evaluation, Score, percent
from douga.evaluate_alpha import means


def change_rows(before: Evaluation, now: Evaluation) -> list[list[str]]:
    """Every figure of the frames that both have, in percent: before, now, and by how much it changed.

    Header included. What the truth has nothing of is left out.
    """
    rows = [[f"{len(before.names & now.names)} frames that both have", "before", "now", "change"]]
    old, new = _figures(before, now), _figures(now, before)
    for name, value in new.items():
        if not math.isnan(value) and not math.isnan(old[name]):
            change = (value - old[name]) * 100
            rows.append([name, percent(old[name]), percent(value), f"{change:+.1f}"])
    return rows


def _figures(evaluation: Evaluation, other: Evaluation) -> dict[str, float]:
    """Of what was compared of a frame in both: its classes, its mask, its alpha."""
    total = Score()
    for name in evaluation.frames.keys() & other.frames.keys():
        own, others = evaluation.frames[name], other.frames[name]
        if own.has_classes and others.has_classes:
            total += replace(own, cel=NOTHING, boundary=NOTHING, cel_accuracy=NOTHING)
        if own.has_cel and others.has_cel:
            total += Score(cel=own.cel, boundary=own.boundary, cel_accuracy=own.cel_accuracy)
    ious = metrics.iou(total.matrix)
    out = {}
    for c in LINE_CLASSES:
        counts = total.lines[c.key]
        out[f"{c.title} F1"] = counts.f1 if counts.true else math.nan
    out["all lines F1"] = total.lines[LINES_ALL].f1 if total.has_classes else math.nan
    for c in FILL_CLASSES:
        out[f"{c.title} IoU"] = float(ious[c]) if total.matrix[c].any() else math.nan
    out["closed areas"] = total.areas.share
    out["mean IoU"] = metrics.mean_iou(total.matrix) if total.has_classes else math.nan
    out["cel IoU"], out["cel boundary IoU"] = total.cel.share, total.boundary.share
    alphas = means(frame.score for name, frame in evaluation.alphas.items() if name in other.alphas)
    for name in ("pixel_accuracy", "boundary_iou", "weighted_f"):
        out[f"alpha {name.replace('_', ' ')}"] = alphas[name]
    return out
