"""Error pictures: the cel's false foreground and background, and what went wrong with lines, class by class.

The cel's overlay has Kugler's colours (Figure 4.10): white and grey are right, red is background taken for
foreground, blue is foreground taken for background.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from douga import metrics
from douga.classes import LINE_CLASSES, DougaClass
from douga.errors import InputError
from douga.evaluate import Evaluation, Score, headline, percent, read_ids, read_mask
from douga.frame_io import read_frame, write_png
from douga.metrics import Mask
from douga.palettes import load_palette, paint
from douga.report import FALSE_NEGATIVE, FALSE_POSITIVE, OTHER_CLASS, quality
from douga.types import U8, ClassMap
from douga_training.explain.sheets import Cell, Rgb, sheet

NOTHING, FOUND, CONFUSED, MISSED, INVENTED = range(5)  # of `line_errors`
_COLOURS: dict[int, Rgb] = {
    FOUND: (172, 214, 188),
    CONFUSED: OTHER_CLASS,
    MISSED: FALSE_NEGATIVE,
    INVENTED: FALSE_POSITIVE,
}
_FOREGROUND, _BACKGROUND = 255, 150  # greys of what is right
_TINT = 0.7  # of the colour in a false area; the rest is the frame
_CEL_KEY = ((FALSE_POSITIVE, "false foreground"), (FALSE_NEGATIVE, "false background"))
_LINE_KEY = (
    (_COLOURS[FOUND], "line found"),
    (FALSE_NEGATIVE, "line missed"),
    (FALSE_POSITIVE, "line invented"),
    (OTHER_CLASS, "given another class"),
)
INDEX = "index.png"
PANEL_PX, _THUMB_PX = 640, 320


def cel_overlay(predicted: Mask, true: Mask, rgb: U8 | None = None) -> U8:
    """False foreground in red, false background in blue; foreground white and background grey where right.

    predicted, true: (H, W) bool, True on the cel. rgb: the frame, (H, W, 3) uint8 sRGB, which then shows
    through as grey. Returns (H, W, 3) uint8 sRGB. Raises InputError where sizes differ. (Kugler, Figure 4.10)
    """
    _same_size(predicted, true, rgb)
    base = np.where(true, _FOREGROUND, _BACKGROUND).astype(np.float32)
    if rgb is not None:
        light = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        base *= 0.35 + 0.65 * light
    out = np.repeat(base[..., None], 3, axis=2)
    tint = _TINT if rgb is not None else 1.0
    for wrong, colour in ((predicted & ~true, FALSE_POSITIVE), (~predicted & true, FALSE_NEGATIVE)):
        out[wrong] = (1 - tint) * out[wrong] + tint * np.array(colour, np.float32)
    return out.round().astype(np.uint8)


def line_errors(predicted: U8, true: U8, which: DougaClass, tolerance_px: float) -> U8:
    """What became of the lines of one class. predicted, true: (H, W) uint8 class ids.

    Returns (H, W) uint8: NOTHING, FOUND (true, and the answer has the class within `tolerance_px`), MISSED
    (true, no line near), INVENTED (in the answer, no true line near), or CONFUSED (in one of them, and what
    is near in the other is a line of another class).
    """
    _same_size(predicted, true)
    drawn, there = predicted == which, true == which
    unseen, unfounded = there & ~metrics.near(drawn, tolerance_px), drawn & ~metrics.near(there, tolerance_px)
    beside_drawn = metrics.near(metrics.is_line(predicted), tolerance_px)
    beside_true = metrics.near(metrics.is_line(true), tolerance_px)
    out = np.full(true.shape, NOTHING, np.uint8)
    out[there & ~unseen] = FOUND
    out[(unseen & beside_drawn) | (unfounded & beside_true)] = CONFUSED
    out[unseen & ~beside_drawn] = MISSED
    out[unfounded & ~beside_true] = INVENTED
    return out


def draw_line_errors(errors: U8, width_px: int) -> U8:
    """`line_errors` in colour on white, reduced to a width so that no line is lost, errors on top.

    errors: (H, W) uint8. Returns (h, width_px, 3) uint8 sRGB; never enlarged.
    """
    height, width = errors.shape
    scale = max(1.0, width / width_px)
    size_wh = (round(width / scale), max(1, round(height / scale)))
    thick = np.ones((math.ceil(scale), math.ceil(scale)), np.uint8)  # sampling meets each line
    out = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    for kind, colour in _COLOURS.items():
        mask = cv2.dilate((errors == kind).astype(np.uint8), thick)
        out[cv2.resize(mask, size_wh, interpolation=cv2.INTER_NEAREST) > 0] = colour
    return out


def _same_size(predicted: Mask | U8, true: Mask | U8, rgb: U8 | None = None) -> None:
    shapes = {predicted.shape, true.shape} | ({rgb.shape[:2]} if rgb is not None else set())
    if len(shapes) > 1:
        raise InputError(f"answer, truth and frame differ in size: {sorted(shapes)} (H, W); use one frame's")


# -- one frame -----------------------------------------------------------------------------------------------


def panel(evaluation: Evaluation, stem: str, rank: int) -> tuple[U8, list[Cell]]:
    """Everything about one frame. rank: 1 is the worst.

    Returns the panel, (H, W, 3) uint8 sRGB, and the cells that stand for it on the index.
    """
    score = evaluation.frames[stem]
    frame = _frame(evaluation, stem)
    cells = [Cell("frame", frame)] if frame is not None else []
    short: list[Cell] = []
    if score.has_classes:
        drawn, there = (read_ids(d / "classes" / f"{stem}.png") for d in _folders(evaluation))
        palette = load_palette("kugler")
        _check_frame(evaluation, stem, frame, there)
        cells += [
            Cell("truth", paint(ClassMap(there), palette)),
            Cell("answer", paint(ClassMap(drawn), palette)),
        ]
    if score.has_cel:
        found, real = (read_mask(d / "cel_mask" / f"{stem}.png").astype(bool) for d in _folders(evaluation))
        _check_frame(evaluation, stem, frame, real)
        if not score.has_classes:
            cells += [Cell("truth", _grey(real)), Cell("answer", _grey(found))]
        picture = cel_overlay(found, real, frame)
        cells.append(Cell(f"cel: {_cel_words(found, real)}", picture))
        short.append(Cell(_name(rank, stem, score), picture))
    if score.has_classes:
        cells += _class_cells(score, drawn, there, evaluation.tolerance_px)
        every = _all_lines(drawn, there, evaluation.tolerance_px)
        short.append(Cell(f"{rank}  lines" if short else _name(rank, stem, score), every))
    key = (*(_CEL_KEY if score.has_cel else ()), *(_LINE_KEY if score.has_classes else ()))
    title = f"{_name(rank, stem, score)}   lines within {evaluation.tolerance_px:g} px"
    return sheet(cells, columns=3, width_px=PANEL_PX, title=title, key=key), short


def _class_cells(score: Score, drawn: U8, there: U8, tolerance_px: float) -> list[Cell]:
    """A cell for each line class that is in the truth or in the answer."""
    cells = []
    for c in LINE_CLASSES:
        counts = score.lines[c.key]
        if not counts.true and not counts.predicted:
            continue
        missed = f"not found {percent(1 - counts.recall)} %" if counts.true else "none there"
        invented = (
            f"wrong of those drawn {percent(1 - counts.precision)} %" if counts.predicted else "none drawn"
        )
        picture = draw_line_errors(line_errors(drawn, there, c, tolerance_px), PANEL_PX)
        cells.append(Cell(f"{c.title}s: {missed}, {invented}", picture))
    return cells


def _all_lines(drawn: U8, there: U8, tolerance_px: float) -> U8:
    """Errors of all line classes in one small picture, the graver above: (h, w, 3) uint8 sRGB."""
    worst = np.zeros(there.shape, np.uint8)
    for c in LINE_CLASSES:
        if (drawn == c).any() or (there == c).any():
            np.maximum(worst, line_errors(drawn, there, c, tolerance_px), out=worst)
    return draw_line_errors(worst, _THUMB_PX)


def _frame(evaluation: Evaluation, stem: str) -> U8 | None:
    path = _frame_path(evaluation, stem)
    return read_frame(path).rgb if path.is_file() else None


def _frame_path(evaluation: Evaluation, stem: str) -> Path:
    return evaluation.truth / "frame" / f"{stem}.png"


def _check_frame(evaluation: Evaluation, stem: str, frame: U8 | None, truth: Mask | U8) -> None:
    """Raises InputError where the frame of a truth has another size."""
    if frame is not None and frame.shape[:2] != truth.shape:
        sizes = [f"{width} x {height}" for height, width in (frame.shape[:2], truth.shape)]
        raise InputError(
            f"{_frame_path(evaluation, stem)}: is {sizes[0]} px but its truth is {sizes[1]} px; give the "
            "frame that was labelled, or move it away"
        )


def _folders(evaluation: Evaluation) -> tuple[Path, Path]:
    return evaluation.prediction, evaluation.truth


def _grey(mask: Mask) -> U8:
    return np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)


def _cel_words(found: Mask, real: Mask) -> str:
    false, lost = (percent(float(m.mean())) for m in (found & ~real, ~found & real))
    return f"false foreground {false} %, false background {lost} % of the frame"


def _name(rank: int, stem: str, score: Score) -> str:
    shown = [f"{name} {value}" for name, value in headline(score) if name in ("line F1", "cel IoU")]
    return f"{rank}  {stem}   " + ", ".join(shown)


# -- all frames ----------------------------------------------------------------------------------------------


def worst_first(evaluation: Evaluation, count: int) -> list[str]:
    """Stems by `douga.report.quality`, the worst first; at most `count`, all where it is 0."""
    ranked = sorted(evaluation.frames, key=lambda stem: (quality(evaluation.frames[stem]), stem))
    return ranked[:count] if count else ranked


def write_panels(
    evaluation: Evaluation, out: Path, *, count: int, on_frame: Callable[[], object] = lambda: None
) -> list[Path]:
    """Write OUT/0001_STEM.png for the worst frame and so on, and OUT/index.png. Returns the panels' paths.

    Panels of these frames from an earlier run, under other ranks, go. Raises OutputError and InputError.
    """
    written, index = [], []
    for rank, stem in enumerate(worst_first(evaluation, count), 1):
        picture, short = panel(evaluation, stem, rank)
        written.append(out / f"{rank:04d}_{stem}.png")
        write_png(written[-1], picture)
        index += short
        on_frame()
    pairs = any(s.has_cel and s.has_classes for s in evaluation.frames.values())
    title = f"{len(written)} worst of {len(evaluation.frames)} frames, the worst first"
    picture = sheet(
        index, columns=4 if pairs else 3, width_px=_THUMB_PX, title=title, key=(*_CEL_KEY, *_LINE_KEY)
    )
    write_png(out / INDEX, picture)
    _remove_older(evaluation, out, set(written))
    return written


def _remove_older(evaluation: Evaluation, out: Path, kept: set[Path]) -> None:
    for stem in evaluation.frames:
        for path in out.glob(f"[0-9][0-9][0-9][0-9]_{glob.escape(stem)}.png"):
            if path not in kept:
                with suppress(OSError):  # an older picture too many harms less than losing the new ones
                    path.unlink()
