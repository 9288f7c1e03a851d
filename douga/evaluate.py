"""A folder of predictions and a folder of truth -> numbers, as tables and as JSON.

Alphas have a module of their own, `evaluate_alpha`; the page is `report`'s, the command `commands.evaluate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from douga import metrics
from douga.classes import FILL_CLASSES, LINE_CLASSES, NUM_CLASSES, DougaClass
from douga.errors import InputError, MissingInputError
from douga.evaluate_alpha import FOLDER, AlphaFrame, alpha_json, alpha_rows, compare_alphas, find_alphas
from douga.metrics import LineCounts, Matrix, Overlap
from douga.types import U8

LINES_ALL = "all"
NOTHING = Overlap()
_KINDS = ("classes", "cel_mask")
_TO_IDS = "turn drawings in colours into class ids with `douga label --palette PALETTE`"


@dataclass(frozen=True)
class Score:
    """Counts of a frame, or of several added up.

    matrix: (10, 10) int64, pixels by true and predicted class. lines: by class key, and "all". cel,
    boundary, cel_accuracy: of the cel mask. areas: true areas that came out closed, of all.
    """

    matrix: Matrix = field(default_factory=lambda: np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64))
    lines: dict[str, LineCounts] = field(
        default_factory=lambda: {**{c.key: LineCounts() for c in LINE_CLASSES}, LINES_ALL: LineCounts()}
    )
    cel: Overlap = NOTHING
    boundary: Overlap = NOTHING
    cel_accuracy: Overlap = NOTHING
    areas: Overlap = NOTHING

    def __add__(self, other: Score) -> Score:
        return Score(
            self.matrix + other.matrix,
            {key: counts + other.lines[key] for key, counts in self.lines.items()},
            self.cel + other.cel,
            self.boundary + other.boundary,
            self.cel_accuracy + other.cel_accuracy,
            self.areas + other.areas,
        )

    @property
    def has_classes(self) -> bool:
        """Whether class maps were compared."""
        return bool(self.matrix.any())

    @property
    def has_cel(self) -> bool:
        """Whether cel masks were compared."""
        return self.cel_accuracy.either > 0


@dataclass(frozen=True)
class Evaluation:
    """Everything that was compared. frames: score by stem. missing: predictions that are not there
    ("classes/a.png"). absent: kinds of the truth ("alpha") of which there is no prediction at all, and which
    count as not asked for. alphas: by "SUB/STEM", see `douga.evaluate_alpha.find_alphas`.
    """

    prediction: Path
    truth: Path
    tolerance_px: float
    frames: dict[str, Score]
    missing: tuple[str, ...]
    alphas: dict[str, AlphaFrame] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """Frames and alphas that were compared."""
        return self.frames.keys() | self.alphas.keys()

    @property
    def total(self) -> Score:
        """All frames together, every pixel of the same weight."""
        return sum(self.frames.values(), Score())


# -- comparing -----------------------------------------------------------------------------------------------


def evaluate(prediction: Path, truth: Path, *, tolerance_px: float = 2.0) -> Evaluation:
    """Compare two folders that hold classes/, cel_mask/ and alpha/, stem by stem of the truth.

    Raises MissingInputError where nothing can be compared, InputError (naming the file) where a file cannot
    be used or differs in size from its truth.
    """
    for folder in (prediction, truth):
        if not folder.is_dir():
            raise MissingInputError(
                f"{folder}: no such folder; give one that holds classes/, cel_mask/ or alpha/"
            )
    wanted = {kind: sorted(p.stem for p in (truth / kind).glob("[!.]*.png")) for kind in _KINDS}
    true_alphas = find_alphas(truth)
    if not any(wanted.values()) and not true_alphas:
        raise MissingInputError(
            f"{truth}: no classes/*.png, cel_mask/*.png, alpha/*.png or gt/*.png in it, so there is no "
            "truth; give a folder as `douga simulate` or `douga label` writes it"
        )
    there = {
        kind: [s for s in stems if (prediction / kind / f"{s}.png").is_file()]
        for kind, stems in wanted.items()
    }
    alphas = find_alphas(prediction) if true_alphas else {}
    asked = [f"{k}/{s}.png" for k in _KINDS for s in wanted[k]] + [f"{FOLDER}/{k}.png" for k in true_alphas]
    if not any(there.values()) and not set(alphas) & set(true_alphas):
        raise MissingInputError(
            f"{prediction}: holds no prediction for any truth in {truth}; the files must have the same "
            f"names, such as {asked[0]}"
        )
    lacking = {kind: sorted(set(wanted[kind]) - set(there[kind])) for kind in _KINDS}
    lacking[FOLDER] = sorted(set(true_alphas) - set(alphas))
    some = {**there, FOLDER: sorted(set(true_alphas) & set(alphas))}
    missing = tuple(f"{kind}/{stem}.png" for kind in lacking if some[kind] for stem in lacking[kind])
    absent = tuple(kind for kind in lacking if lacking[kind] and not some[kind])
    frames: dict[str, Score] = {}
    for stem in sorted({s for stems in there.values() for s in stems}):
        score = Score()
        if stem in there["classes"]:
            score += score_classes(*_pair(prediction, truth, "classes", stem), tolerance_px)
        if stem in there["cel_mask"]:
            score += score_cel(*_pair(prediction, truth, "cel_mask", stem))
        frames[stem] = score
    compared = compare_alphas(alphas, true_alphas)
    return Evaluation(prediction, truth, tolerance_px, frames, missing, compared, absent)


def _pair(prediction: Path, truth: Path, kind: str, stem: str) -> tuple[U8, U8]:
    paths = prediction / kind / f"{stem}.png", truth / kind / f"{stem}.png"
    read = read_ids if kind == "classes" else read_mask
    predicted, true = read(paths[0]), read(paths[1])
    if predicted.shape != true.shape:
        sizes = [f"{a.shape[1]}x{a.shape[0]}" for a in (predicted, true)]
        raise InputError(
            f"{paths[0]}: is {sizes[0]}, but its truth {paths[1]} is {sizes[1]}; "
            "reconstruct the frame at its own size"
        )
    return predicted, true


def _open(path: Path, modes: tuple[str, ...], what: str, mend: str) -> U8:
    try:
        with Image.open(path) as image:
            if image.mode not in modes:
                raise InputError(f"{path}: expected {what}, got a PNG of mode {image.mode}; {mend}")
            return np.array(image)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as exc:
        raise InputError(f"{path}: cannot be read as a PNG ({exc}); write it again") from exc


def read_ids(path: Path) -> U8:
    """Class ids of an indexed or grey 8-bit PNG: (H, W) uint8, 0 to 9. The PNG's colours do not matter.

    Raises InputError, which names the file.
    """
    ids = _open(path, ("P", "L"), "class ids (8-bit, indexed or grey)", _TO_IDS)
    if ids.max() >= NUM_CLASSES:
        raise InputError(f"{path}: class ids go from 0 to {NUM_CLASSES - 1}, found {ids.max()}; {_TO_IDS}")
    return ids


def read_mask(path: Path) -> U8:
    """A mask in an 8-bit grey (or black and white) PNG: (H, W) uint8, 0 or 1, on from 128. Raises
    InputError.
    """
    mask = _open(path, ("L", "1"), "a mask (8-bit grey, 0 and 255)", "save it as 8-bit grey")
    return (mask.astype(bool) if mask.dtype == bool else mask > 127).astype(np.uint8)


def score_classes(predicted: U8, true: U8, tolerance_px: float) -> Score:
    """Compare two (H, W) maps of class ids. tolerance_px: how far a line may be off."""
    lines = {c.key: metrics.line_counts(predicted == c, true == c, tolerance_px) for c in LINE_CLASSES}
    lines[LINES_ALL] = metrics.line_counts(metrics.is_line(predicted), metrics.is_line(true), tolerance_px)
    return Score(
        matrix=metrics.confusion_matrix(predicted, true),
        lines=lines,
        areas=metrics.closed_areas(predicted, true, tolerance_px),
    )


def score_cel(predicted: U8, true: U8) -> Score:
    """Compare two (H, W) cel masks, on where not 0."""
    p, t = predicted.astype(bool), true.astype(bool)
    return Score(
        cel=metrics.overlap(p, t),
        boundary=metrics.boundary_overlap(p, t),
        cel_accuracy=Overlap(int((p == t).sum()), t.size),
    )


# -- telling -------------------------------------------------------------------------------------------------


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def numbers(score: Score) -> dict[str, Any]:
    """Every number of a score, ready for JSON: shares from 0 to 1, None where there is nothing to divide by.

    Lines are the exception: a class that neither has was found in full, so its numbers are 1.
    """
    out: dict[str, Any] = {}
    if score.has_classes:
        recall, precision, iou = (f(score.matrix) for f in (metrics.recall, metrics.precision, metrics.iou))
        out["pixel_accuracy"] = _number(metrics.accuracy(score.matrix))
        out["mean_iou"] = _number(metrics.mean_iou(score.matrix))
        out["classes"] = {
            c.key: {"recall": _number(recall[c]), "precision": _number(precision[c]), "iou": _number(iou[c])}
            for c in DougaClass
        }
        out["lines"] = {
            key: {
                "precision": _number(counts.precision),
                "recall": _number(counts.recall),
                "f1": _number(counts.f1),
                "truth_px": counts.true,
            }
            for key, counts in score.lines.items()
        }
        out["fills_iou"] = {c.key: out["classes"][c.key]["iou"] for c in FILL_CLASSES}
        out["closed_areas"] = {
            "share": _number(score.areas.share),
            "closed": score.areas.both,
            "true": score.areas.either,
        }
    if score.has_cel:
        out["cel"] = {
            "iou": _number(score.cel.share),
            "boundary_iou": _number(score.boundary.share),
            "accuracy": _number(score.cel_accuracy.share),
        }
    return out


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The whole evaluation as JSON data: totals, confusion matrix in pixels, numbers of each frame."""
    total = evaluation.total
    out = {
        "prediction": str(evaluation.prediction),
        "truth": str(evaluation.truth),
        "tolerance_px": evaluation.tolerance_px,
        "boundary_ratio": metrics.BOUNDARY_RATIO,
        "frames": len(evaluation.names),
        "missing": list(evaluation.missing),
        "absent": list(evaluation.absent),
        "total": numbers(total),
        "per_frame": {stem: numbers(score) for stem, score in evaluation.frames.items()},
    }
    if evaluation.alphas:
        out["alpha"] = alpha_json(evaluation.alphas)
    if total.has_classes:
        out["confusion_matrix"] = {"order": [c.key for c in DougaClass], "pixels": total.matrix.tolist()}
    return out


def percent(value: float, digits: int = 1) -> str:
    """0.1234 -> "12.3"; "-" for NaN; "<0.1" for what would round to nothing but is something."""
    if math.isnan(value):
        return "-"
    if 0 < value * 100 < 0.5 * 10**-digits:
        return f"<{10**-digits:.{digits}f}"
    return f"{value * 100:.{digits}f}"


def confusion_rows(matrix: Matrix) -> list[list[str]]:
    """Kugler's Table 5.1 with a column for the IoU: percent of all pixels, header and precision row
    included.
    """
    shown = [c for c in DougaClass if matrix[c].any() or matrix[:, c].any()]
    recall, precision, iou = metrics.recall(matrix), metrics.precision(matrix), metrics.iou(matrix)
    whole = max(1, int(matrix.sum()))
    rows = [["true \\ predicted", *(c.title for c in shown), "recall", "IoU"]]
    for c in shown:
        rows.append(
            [c.title, *(percent(matrix[c, k] / whole) for k in shown), percent(recall[c]), percent(iou[c])]
        )
    rows.append(["precision", *(percent(precision[k]) for k in shown), "", ""])
    return rows


def line_rows(score: Score) -> list[list[str]]:
    """Precision, recall and F1 of each line class that occurs, and of all lines together, in percent."""
    rows = [["lines", "precision", "recall", "F1", "true px"]]
    for key, counts in score.lines.items():
        if counts.true or counts.predicted or key == LINES_ALL:
            shares = (percent(v) for v in (counts.precision, counts.recall, counts.f1))
            rows.append([key.replace("_", " "), *shares, str(counts.true)])
    return rows


def headline(score: Score) -> list[tuple[str, str]]:
    """The few numbers to look at first, named, in percent."""
    out = []
    if score.has_classes:
        out += [
            ("line F1", percent(score.lines[LINES_ALL].f1)),
            ("pixel accuracy", percent(metrics.accuracy(score.matrix))),
            ("mean IoU", percent(metrics.mean_iou(score.matrix))),
            ("closed areas", f"{percent(score.areas.share)}"),
        ]
    if score.has_cel:
        out += [("cel IoU", percent(score.cel.share)), ("cel boundary IoU", percent(score.boundary.share))]
    return out


def as_text(evaluation: Evaluation) -> str:
    """The totals as plain text for a terminal. All numbers are percentages."""
    total = evaluation.total
    blocks = [
        f"{len(evaluation.names)} frames, {len(evaluation.missing)} predictions missing; all in percent"
    ]
    if evaluation.absent:
        blocks.append(f"not compared, since none is there: {', '.join(evaluation.absent)}")
    if total.has_classes:
        blocks.append(as_table(confusion_rows(total.matrix)))
        blocks.append(
            as_table(line_rows(total)) + f"\n(within {evaluation.tolerance_px:g} px, lines thinned first)"
        )
        fills = [(c.title, percent(metrics.iou(total.matrix)[c])) for c in FILL_CLASSES]
        blocks.append(as_table([["fills", "IoU"], *([n, v] for n, v in fills if v != "-")]))
    if total.has_classes or total.has_cel:
        blocks.append(as_table([[name, value] for name, value in headline(total)]))
    if evaluation.alphas:
        blocks.append(
            as_table(alpha_rows(evaluation.alphas))
            + "\n(means over frames; MAE and MSE are shares, HCE clicks, the last three tell of the truth)"
        )
    return "\n\n".join(blocks)


def as_table(rows: list[list[str]]) -> str:
    """Rows of cells as lines of text, the first column to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
