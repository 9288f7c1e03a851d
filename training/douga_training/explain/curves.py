"""How runs learned: a small chart for each score of `scores.jsonl`, the runs laid over one another."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from douga.classes import DougaClass
from douga.errors import InputError, MissingInputError
from douga.types import U8
from douga_training.logs import SCORES

Points = list[tuple[float, float]]
_INK, _SOFT, _GRID, _PAPER = "#2b2d31", "#6b7078", "#e2e3e6", "#ffffff"
# Told apart with any kind of colour vision (after Okabe and Ito); runs beyond these begin again.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#000000")
_SHARP = 2  # drawn larger and averaged down: Pillow's lines have no soft edges
_CHART_WH, _MARGIN, _HEAD_PX, _LEGEND_PX = (380, 230), (56, 34, 14, 44), 44, 24
_COLUMNS = 4
_BESIDE = ("step", "time")  # entries of a line that are no scores


@dataclass(frozen=True)
class Run:
    """A training run. name: for the legend. curves: (step, score) points by score, steps rising."""

    name: str
    curves: dict[str, Points]


@dataclass(frozen=True)
class _Chart:
    """Where values lie. box: left, top, right, bottom of the axes in px. last_step: at the right."""

    draw: ImageDraw.ImageDraw
    box: tuple[int, int, int, int]
    last_step: float

    def at(self, step: float, score: float) -> tuple[float, float]:
        """Value -> pixel."""
        left, top, right, bottom = self.box
        return left + (right - left) * step / self.last_step, bottom - (bottom - top) * score


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read runs by folder or by scores file; named by their folders, by whole paths where these are alike.

    Raises MissingInputError where there are no scores (yet), InputError for a line that is none.
    """
    files = [path / SCORES if path.is_dir() else path for path in paths]
    names = [file.parent.name if file.name == SCORES else file.stem for file in files]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    return [Run(name, _read(file)) for name, file in zip(names, files, strict=True)]


def _read(path: Path) -> dict[str, Points]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as exc:
        raise MissingInputError(
            f"{path}: no scores; a run writes them at its first validation (recipe: validate_every)"
        ) from exc
    except (OSError, UnicodeError) as exc:
        raise InputError(f"{path}: cannot be read as a text file ({exc})") from exc
    lines = text.split("\n")[:-1]  # what follows the last newline is still being written
    curves: dict[str, Points] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = {key: float(value) for key, value in json.loads(line).items()}
            step = entry["step"]
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise InputError(f"{path}, line {number}: not a line of scores ({exc}); remove it") from exc
        for key, value in entry.items():
            if key not in _BESIDE and math.isfinite(value):
                curves.setdefault(key, []).append((step, value))
    if not curves:
        raise MissingInputError(f"{path}: no scores in it yet; a run writes them when it validates")
    return {key: sorted(points) for key, points in curves.items()}


def title_of(key: str) -> str:
    """A score's name for people: "f1_visible_line" -> "visible line, F1 within 2 px"."""
    kind, _, rest = key.partition("_")
    if rest in {c.key for c in DougaClass}:
        what = {"f1": "F1 within 2 px", "iou": "IoU"}.get(kind, kind)
        return f"{rest.replace('_', ' ')}, {what}"
    known = {"score": "score that picks the best weights", "iou": "IoU", "accuracy": "pixel accuracy"}
    return known.get(key, "IoU of the context road" if key == "context_iou" else key.replace("_", " "))


def draw_curves(runs: Sequence[Run]) -> U8:
    """A chart a score, "score" first, then in the order of the file. Returns (H, W, 3) uint8 sRGB.

    Scores go from 0 to 1 in every chart and steps from 0 to the last of all runs, so charts can be compared;
    what goes beyond, such as a loss, is left out and named. Each validation is a dot; the legend's last
    column is the best score.
    """
    every = list(dict.fromkeys(key for run in runs for key in run.curves))
    beyond = [key for key in every if _goes_beyond(runs, key)]
    keys = sorted((key for key in every if key not in beyond), key=lambda key: key != "score")
    columns = max(1, min(_COLUMNS, len(keys)))
    rows = -(-len(keys) // columns)
    head = _HEAD_PX + _LEGEND_PX * len(runs)
    size_wh = (columns * _CHART_WH[0], head + rows * _CHART_WH[1])
    picture = Image.new("RGB", (size_wh[0] * _SHARP, size_wh[1] * _SHARP), _PAPER)
    draw = ImageDraw.Draw(picture)
    last_step = max(points[-1][0] for run in runs for points in run.curves.values()) or 1.0
    _legend(draw, runs, beyond)
    for nth, key in enumerate(keys):
        box = _box(nth % columns * _CHART_WH[0], head + nth // columns * _CHART_WH[1])
        chart = _Chart(draw, box, last_step)
        _axes(chart, title_of(key))
        for run, colour in zip(runs, _colours(len(runs)), strict=True):
            _line(chart, run.curves.get(key, []), colour)
    return np.asarray(picture.reduce(_SHARP))


def _box(left_px: int, top_px: int) -> tuple[int, int, int, int]:
    """The axes' box in a chart whose corner is given, in the pixels that are drawn on."""
    left, top, right, bottom = _MARGIN
    box = left_px + left, top_px + top, left_px + _CHART_WH[0] - right, top_px + _CHART_WH[1] - bottom
    return box[0] * _SHARP, box[1] * _SHARP, box[2] * _SHARP, box[3] * _SHARP


def _colours(count: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(count)]


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px * _SHARP)


def _goes_beyond(runs: Sequence[Run], key: str) -> bool:
    """Whether it is no score from 0 to 1."""
    return any(not 0 <= value <= 1 for run in runs for _, value in run.curves.get(key, []))


def _legend(draw: ImageDraw.ImageDraw, runs: Sequence[Run], beyond: Sequence[str]) -> None:
    title = "Scores at each validation"
    if beyond:
        title += f" (not from 0 to 1 and left out: {', '.join(beyond)})"
    draw.text((20 * _SHARP, 26 * _SHARP), title, fill=_INK, font=_font(17), anchor="ls")
    for nth, (run, colour) in enumerate(zip(runs, _colours(len(runs)), strict=True)):
        y = (_HEAD_PX + _LEGEND_PX * (nth + 0.5)) * _SHARP
        draw.line((20 * _SHARP, y, 48 * _SHARP, y), fill=colour, width=3 * _SHARP)
        draw.text((56 * _SHARP, y), _words(run), fill=_INK, font=_font(13), anchor="lm")


def _words(run: Run) -> str:
    points = run.curves.get("score")
    if not points:
        return run.name
    best = max(points, key=lambda point: point[1])
    return (
        f"{run.name}: {len(points)} validation{'s' * (len(points) > 1)}, last at step {points[-1][0]:g}, "
        f"best score {best[1]:.3f} at step {best[0]:g}"
    )


def _axes(chart: _Chart, title: str) -> None:
    """Grid, numbers and words of one chart."""
    draw, (left, top, right, bottom), small = chart.draw, chart.box, _font(11)
    for tenth in range(0, 11, 2):
        _, y = chart.at(0, tenth / 10)
        draw.line((left, y, right, y), fill=_GRID, width=_SHARP)
        draw.text((left - 6 * _SHARP, y), f"{tenth / 10:g}", fill=_SOFT, font=small, anchor="rm")
    for step in ticks(chart.last_step):
        x, _ = chart.at(step, 0)
        draw.line((x, top, x, bottom), fill=_GRID, width=_SHARP)
        draw.text((x, bottom + 5 * _SHARP), f"{step:g}", fill=_SOFT, font=small, anchor="mt")
    draw.line((left, top, left, bottom, right, bottom), fill=_INK, width=_SHARP)
    draw.text((left, top - 9 * _SHARP), title, fill=_INK, font=_font(13), anchor="ls")
    draw.text(
        ((left + right) / 2, bottom + 20 * _SHARP), "training step", fill=_SOFT, font=small, anchor="mt"
    )
    side = _sideways("score", small)
    chart.draw.bitmap((left - 46 * _SHARP, (top + bottom - side.height) // 2), side, fill=_SOFT)


def _sideways(word: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """A word that reads upwards, as a mask."""
    left, top, right, bottom = (int(v) for v in font.getbbox(word))
    mask = Image.new("L", (right - left + 2, bottom - top + 2), 0)
    ImageDraw.Draw(mask).text((1 - left, 1 - top), word, fill=255, font=font)
    return mask.transpose(Image.Transpose.ROTATE_90)


def _line(chart: _Chart, points: Points, colour: str) -> None:
    pixels = [chart.at(*point) for point in points]
    if len(pixels) > 1:
        chart.draw.line(pixels, fill=colour, width=2 * _SHARP, joint="curve")
    r = 2.5 * _SHARP
    for x, y in pixels:
        chart.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def ticks(last: float) -> list[float]:
    """Round numbers from 0 to `last`, some three to six."""
    power = 10.0 ** math.floor(math.log10(last))
    step = next(s * power for s in (0.2, 0.25, 0.5, 1.0, 2.0, 5.0) if last / (s * power) <= 5)
    return [step * i for i in range(int(last / step + 1e-9) + 1)]
