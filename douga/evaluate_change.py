"""`douga evaluate --before`: what has changed from one folder of predictions to another, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable

from douga import metrics
from douga.classes import FILL_CLASSES, LINE_CLASSES
from douga.evaluate import LINES_ALL, Evaluation, Score, percent
from douga.evaluate_alpha import means


def change_rows(before: Evaluation, now: Evaluation) -> list[list[str]]:
    """Every figure of the frames that both have, in percent: before, now, and by how much it changed.

    Header included. What the truth has nothing of is left out.
    """
    rows = [[f"{len(_common(before, now))} frames that both have", "before", "now", "change"]]
    old, new = (_figures(each, _common(before, now)) for each in (before, now))
    for name, value in new.items():
        if not math.isnan(value) and not math.isnan(old[name]):
            change = (value - old[name]) * 100
            rows.append([name, percent(old[name]), percent(value), f"{change:+.1f}"])
    return rows


def _common(before: Evaluation, now: Evaluation) -> set[str]:
    """Frames and alphas of both, by name."""
    there = [each.frames.keys() | each.alphas.keys() for each in (before, now)]
    return there[0] & there[1]


def _figures(evaluation: Evaluation, names: Iterable[str]) -> dict[str, float]:
    chosen = set(names)
    total = sum((score for name, score in evaluation.frames.items() if name in chosen), Score())
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
    alphas = means(frame.score for name, frame in evaluation.alphas.items() if name in chosen)
    for name in ("pixel_accuracy", "boundary_iou", "weighted_f"):
        out[f"alpha {name.replace('_', ' ')}"] = alphas[name]
    return out
