"""Weights over a check set, through the pipeline that users run, and the scores against the goals."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from douga.checkpoint import LoadedNetwork, load_network
from douga.classes import FILL_CLASSES, LINE_CLASSES, DougaClass
from douga.evaluate import LINES_ALL, Evaluation, Score, evaluate
from douga.frame_io import read_frame, write_png, write_text
from douga.metrics import accuracy, iou
from douga.palettes import load_palette
from douga.pipeline import Seen, Settings, Stages, clean, see
from douga.postprocess import clean_douga
from douga.report import panels, render_html
from douga.stages import load_stages
from douga.types import U8
from douga_training.bench.tables import MET, MISS, NO_GOAL, Table
from douga_training.simulate.store import BROADCAST

GOALS = {"cel IoU": 0.90, "visible line F1": 0.90, "shading line F1": 0.45}  # issue 2
DROP = 0.05  # how much lower a broadcast twin may score
KINDS = ("lossless", BROADCAST)
_STEPS = ("raw", "without paint")  # of stage two's answer, before post-processing and half-way through it
_EPSILON = 1e-9


@dataclass(frozen=True)
class Weights:
    """What is judged. cel, lines: shipped names or files. true_masks: stage two gets the true cel masks.

    raw: also judge the networks' answers before post-processing, and cleaned without the frame's paint.
    """

    cel: str = "cel-small"
    lines: str = "lines-small"
    device: str = "auto"
    true_masks: bool = False
    raw: bool = False

    def describe(self) -> str:
        """Name, training and start of the hash of both, as a sentence."""
        told = []
        for stage, name in (("cel", self.cel), ("lines", self.lines)):
            told.append(f"{stage}: {told_of(name, load_network(name, 'cpu'))}")
        return f"Weights: {'; '.join(told)}."

    def hashes(self) -> str:
        """Name and start of the hash of both, short enough for a table."""
        names = self.cel, self.lines
        return " + ".join(f"{Path(n).stem} {load_network(n, 'cpu').sha256[:8]}" for n in names)


def told_of(name: str, loaded: LoadedNetwork) -> str:
    """Weights for a table: name, training steps where they are of one training, start of the hash."""
    trained = "a mixture" if "mixed" in loaded.info.recipe else f"step {loaded.info.step}"
    return f"{Path(name).stem}, {trained}, sha256 {loaded.sha256[:12]}"


def judge(
    truth: Path, stems: Sequence[str], weights: Weights, out: Path, *, draw_errors: bool = True
) -> dict[str, Evaluation]:
    """Take every frame and its twin apart and compare with the truth.

    truth: folder in the layout of `douga simulate`, with broadcast twins. out: is emptied and gets
    the results by kind, with overlays of the errors. Returns evaluations by kind: "lossless", "broadcast",
    and with `weights.raw` both of them "raw" and "without paint". draw_errors: False saves their time.
    """
    answers = {}
    shutil.rmtree(out, ignore_errors=True)  # of an earlier run, perhaps with other frames
    for kind in KINDS:
        folder = truth / BROADCAST if kind == BROADCAST else truth
        masks = folder / "cel_mask" if weights.true_masks else None
        stages = load_stages(weights.cel, weights.lines, weights.device, masks).stages
        _predict(folder, stems, stages, out / kind, raw=weights.raw)
        names = [kind, *(f"{kind} {step}" for step in _STEPS if weights.raw)]
        for name in names:
            answers[name] = replace(evaluate(out / name, folder), missing=())
            if draw_errors:
                _draw_errors(answers[name])
    return answers


def _predict(truth: Path, stems: Sequence[str], stages: Stages, out: Path, *, raw: bool) -> None:
    settings = Settings(load_palette("kugler"))
    colours = settings.palette.written
    for stem in tqdm(stems, desc=out.name, unit="frame", disable=None):
        seen = see(read_frame(truth / "frame" / f"{stem}.png"), stages)
        answers = {out: clean(seen, settings).classes.ids}
        if raw:
            unpainted = clean_douga(seen.probabilities, line_width_px=settings.line_width_px)
            for step, ids in zip(_STEPS, (_uncleaned(seen), unpainted.ids), strict=True):
                answers[out.with_name(f"{out.name} {step}")] = ids
        for folder, ids in answers.items():
            write_png(folder / "classes" / f"{stem}.png", ids, palette=colours)
            write_png(folder / "cel_mask" / f"{stem}.png", seen.cel_mask.mask)


def _uncleaned(seen: Seen) -> U8:
    return seen.probabilities.argmax(0).astype(np.uint8)


def _draw_errors(evaluation: Evaluation) -> None:
    """errors/STEM.png: frame, found and true douga, errors of lines and mask; report.html: all of it."""
    for stem, score in evaluation.frames.items():
        pictures = [_small(panel.rgb) for panel in panels(evaluation, stem, score)]
        blank = [np.full_like(pictures[0], 255)] * (-len(pictures) % 2)
        pairs = zip(pictures[::2], (pictures[1:] + blank)[::2], strict=False)
        sheet = np.vstack([np.hstack(pair) for pair in pairs])
        write_png(evaluation.prediction / "errors" / f"{stem}.png", sheet)
    write_text(evaluation.prediction / "report.html", render_html(evaluation))


def _small(rgb: U8, width_px: int = 960) -> U8:
    size_wh = width_px, round(rgb.shape[0] * width_px / rgb.shape[1])
    return np.asarray(cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


# -- numbers -------------------------------------------------------------------------------------------------


def numbers(score: Score) -> dict[str, float]:
    """The scores that are reported, 0 to 1, NaN where the truth has nothing to score."""
    out = {"cel IoU": score.cel.share, "cel boundary IoU": score.boundary.share}
    for c in LINE_CLASSES:
        counts = score.lines[c.key]
        if counts.true:
            out[f"{c.title} F1"] = counts.f1
            out[f"{c.title} precision"], out[f"{c.title} recall"] = counts.precision, counts.recall
    out["all lines F1"] = score.lines[LINES_ALL].f1
    shares = iou(score.matrix)
    for c in (DougaClass.FLAT, *FILL_CLASSES):
        if score.matrix[c].any():
            out[f"{c.title} IoU"] = float(shares[c])
    out["pixel accuracy"], out["closed areas"] = accuracy(score.matrix), score.areas.share
    return out


def score_table(
    key: str,
    title: str,
    command: str,
    answers: dict[str, Evaluation],
    *,
    goals: dict[str, float],
    notes: tuple[str, ...] = (),
) -> Table:
    """Scores of lossless frames and of their twins, side by side, with the goals that they have to meet."""
    columns = {kind: numbers(evaluation.total) for kind, evaluation in answers.items()}
    lossless, twin = columns[KINDS[0]], columns[KINDS[1]]
    extra = [kind for kind in columns if kind not in KINDS]
    rows, misses = [], []
    for name, value in lossless.items():
        verdict = _verdict(value, twin[name], goals.get(name))
        if verdict == MISS:
            misses.append(name)
        goal = f"at least {goals[name]:.2f}, twin at most {DROP:.2f} lower" if name in goals else NO_GOAL
        shown = [_shown(v) for v in (value, twin[name], twin[name] - value)]
        rows.append(
            (name, *shown, goal, verdict, *(_shown(columns[kind].get(name, math.nan)) for kind in extra))
        )
    heads = ("score", *KINDS, "difference", "goal", "", *extra)
    note = f"{len(answers[KINDS[0]].frames)} frames of each; lines within 2 px, thinned first."
    return Table(key, title, command, heads, tuple(rows), tuple(misses), (note, *notes))


def by_frame_table(answers: dict[str, Evaluation]) -> Table:
    """The scores with a goal, for each frame and its twin."""
    heads = ("frame", *(f"{name}, {kind}" for name in GOALS for kind in KINDS))
    rows = []
    for stem in answers[KINDS[0]].frames:
        by_kind = [numbers(answers[kind].frames[stem]) for kind in KINDS]
        rows.append((stem, *(_shown(column.get(name, math.nan)) for name in GOALS for column in by_kind)))
    return Table("by-frame", "By frame", "", heads, tuple(rows))


def _verdict(value: float, twin: float, goal: float | None) -> str:
    if goal is None:
        return NO_GOAL
    return MET if value >= goal and twin >= value - DROP - _EPSILON else MISS


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
