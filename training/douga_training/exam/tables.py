"""The examination's tables: all rows side by side, by shot size, Kugler's form, and the history kept."""

from __future__ import annotations

import math
import re
from pathlib import Path

from douga.classes import LINE_CLASSES, NUM_CLASSES, DougaClass
from douga.evaluate import Evaluation, Score, confusion_rows
from douga.frame_io import atomic_path
from douga.metrics import Matrix, mean_iou, recall
from douga_training.bench.scores import numbers
from douga_training.bench.tables import INTRO, Marked, Table, as_markdown, grid, grid_line
from douga_training.exam.recipe import REAL, SHOTS

KEY = "exam"  # of the markers that its tables stand between
CONFUSION = "confusion"  # how the keys of matrices begin
COLUMNS = {
    "cel IoU": "cel IoU",
    "cel boundary IoU": "boundary IoU",
    "visible line F1": "visible",
    "shading line F1": "shading",
    "color edge F1": "colour",
    "highlight line F1": "highlight",
    "all lines F1": "all lines",
    "shading fill IoU": "shading fill",
    "color fill IoU": "colour fill",
    "highlight fill IoU": "highlight fill",
    "closed areas": "closed areas",
    "pixel accuracy": "accuracy",
    "mean IoU": "mean IoU",
    "lines against areas F1": "lines/areas",
}
DROP = 0.04
GOALS = {
    "drawn": {
        "cel IoU": 0.95,
        "cel boundary IoU": 0.80,
        "visible line F1": 0.95,
        "shading line F1": 0.75,
        "color edge F1": 0.55,
        "highlight line F1": 0.60,
        "shading fill IoU": 0.75,
        "highlight fill IoU": 0.55,
        "color fill IoU": 0.50,
        "closed areas": 0.85,
    },
    REAL: {"cel IoU": 0.95, "visible line F1": 0.95, "shading line F1": 0.65},
}
# Kugler's recall of each class (Table 5.1), in pixels, which has to be exceeded wherever the class occurs.
RECALL = {
    DougaClass.VISIBLE_LINE: 0.604,
    DougaClass.SHADING_LINE: 0.376,
    DougaClass.COLOR_EDGE: 0.013,
    DougaClass.HIGHLIGHT_LINE: 0.167,
    DougaClass.SHADING_FILL: 0.904,
    DougaClass.COLOR_FILL: 0.234,
    DougaClass.HIGHLIGHT_FILL: 0.708,
}
HISTORY_HEADS = ("date", "weights", "frames", "set", *COLUMNS.values())
_HISTORY_NOTE = (
    "*frames*: how many, of which drawing of the examination (a hash of its recipe and code). Figures of "
    "different ones, or without one, are of other frames and cannot be compared."
)
CEILING = "the truth, cleaned"  # a row that nobody has to beat
Rows = dict[tuple[str, str], dict[str, float]]  # by (who, "drawn lossless")


def figures(score: Score) -> dict[str, float]:
    """Every column's figure and the recalls that have a goal, NaN where there is nothing to score."""
    found = numbers(score) | {"mean IoU": mean_iou(score.matrix)}
    found["lines against areas F1"] = lines_against_areas(score.matrix)
    recalls = recall(score.matrix)
    shown = {name: found.get(name, math.nan) for name in COLUMNS}
    return shown | {recall_of(c): float(recalls[c]) for c in RECALL}


def recall_of(c: DougaClass) -> str:
    return f"{c.title} recall"


def lines_against_areas(matrix: Matrix) -> float:
    """Kugler's F1 of line pixels against area pixels, whatever their class; NaN where no line is true."""
    lines = [c in LINE_CLASSES for c in range(NUM_CLASSES)]
    hit = int(matrix[lines][:, lines].sum())
    true, found = int(matrix[lines].sum()), int(matrix[:, lines].sum())
    return 2 * hit / (true + found) if true else math.nan


def total(evaluation: Evaluation, which: str) -> Score:
    """Sum over a set ("drawn" or "real") or a shot of the examination."""
    shots = {stem: stem.rpartition("-")[0] for stem in evaluation.frames}
    wanted = SHOTS if which == "drawn" else (which,)
    return sum((score for stem, score in evaluation.frames.items() if shots[stem] in wanted), Score())


def main_table(rows: Rows, command: str, notes: tuple[str, ...]) -> Table:
    """All rows. rows: the first of every set is the weights', which has to meet the goals."""
    cells = tuple((who, what, *_cells(values)) for (who, what), values in rows.items())
    return Table("exam", "Examination", command, ("", "set", *COLUMNS.values()), cells, misses(rows), notes)


def misses(rows: Rows) -> tuple[str, ...]:
    """What falls short: of a goal, of a row that needs no learning, or, as broadcast, by more than 0.04 of
    the goal or of the lossless figure, whichever is higher.
    """
    out = []
    weights = {what: values for (who, what), values in rows.items() if who == "weights"}
    for what, values in weights.items():
        which, kind = what.split()
        for name, goal in GOALS[which].items():
            least = goal
            if kind != "lossless":
                least = max(goal, weights[f"{which} lossless"][name]) - DROP
            if values[name] < least - 1e-9:
                out.append(f"{what} {COLUMNS[name]} {values[name]:.3f} (at least {least:.3f})")
        for c, others in RECALL.items():
            least = others if kind == "lossless" else others - DROP
            if values[recall_of(c)] < least:
                out.append(f"{what} {recall_of(c)} {values[recall_of(c)]:.3f} (at least {least:.3f})")
        for (who, other), found in rows.items():
            if who not in ("weights", CEILING) and other == what:
                beaten = [n for n, v in found.items() if values.get(n, math.nan) < v]
                out += [f"{what} {COLUMNS[n]} below {who}" for n in beaten]
    return tuple(out)


def shot_table(answers: dict[str, Evaluation]) -> Table:
    """The weights by shot size."""
    rows = []
    for shot in (*SHOTS, REAL):
        for kind, evaluation in answers.items():
            score = total(evaluation, shot)
            if score.has_classes:
                rows.append((shot.replace("_", " "), kind, *_cells(figures(score))))
    return Table("shots", "By shot size (weights)", "", ("shot", "", *COLUMNS.values()), tuple(rows))


def kugler_tables(answers: dict[str, Evaluation]) -> list[Table]:
    """Confusion matrix with recall, precision and IoU of every class, in percent (Kugler's Table 5.1)."""
    out = []
    for kind, evaluation in answers.items():
        heads, *rows = confusion_rows(evaluation.total.matrix)
        title = f"Confusion matrix, {kind}, percent of all pixels"
        out.append(Table(f"{CONFUSION}-{kind}", title, "", tuple(heads), tuple(tuple(r) for r in rows)))
    return out


def history_rows(
    rows: Rows, when: str, weights: str, counts: dict[str, int], key: str
) -> list[tuple[str, ...]]:
    """What is kept of a run: the weights' rows of every set. counts: frames by set. key: of the examination;
    figures of another one cannot be compared.
    """
    return [
        (when, weights, f"{counts[what.split()[0]]} of {key}", what, *_cells(values))
        for (who, what), values in rows.items()
        if who == "weights"
    ]


def write_exam(
    path: Path, tables: list[Table], history: list[tuple[str, ...]], when: str, machine: str
) -> None:
    """Put the newest tables between the markers of a Markdown file, and add to the history that stands there.

    Raises InputError where a marker is not closed, OutputError where the file cannot be written.
    """
    text = path.read_text("utf-8") if path.is_file() else INTRO
    marked = Marked.find(text, KEY, "The fixed examination", path)
    first, *others = tables
    parts = [as_markdown(first, when, machine)]
    parts += [f"### {t.title}\n\n{grid(t.heads, t.rows)}" for t in others]
    kept = re.findall(r"^\| \d{4}-\d\d-\d\d \|.*$", marked.inside, re.MULTILINE)
    lines = [grid(HISTORY_HEADS, ()), *kept, *(grid_line(row) for row in history)]
    parts.append(f"### History\n\n{_HISTORY_NOTE}\n\n" + "\n".join(lines))
    with atomic_path(path) as unfinished:
        unfinished.write_text(marked.holding("\n\n".join(parts)), "utf-8")


def _cells(values: dict[str, float]) -> tuple[str, ...]:
    return tuple("-" if math.isnan(v := values.get(name, math.nan)) else f"{v:.3f}" for name in COLUMNS)
