"""An evaluation as one HTML file: totals, tables, and each frame's error overlay, worst frame first."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from douga import metrics
from douga.classes import FILL_CLASSES
from douga.errors import DougaError
from douga.evaluate import (
    LINES_ALL,
    Evaluation,
    Score,
    confusion_rows,
    headline,
    line_rows,
    percent,
    read_ids,
    read_mask,
)
from douga.evaluate_alpha import AlphaFrame, alpha_headline, alpha_rows
from douga.frame_io import read_frame
from douga.palettes import load_palette, paint
from douga.report_alpha import FORGIVEN, TOO_LITTLE, TOO_MUCH, alpha_pictures, worst_first
from douga.types import U8, ClassMap

MAX_PANELS = 40  # of a long sequence only the worst frames are pictured: a page must still open
_PANEL_WIDTH_PX = 960

HIT, FALSE_POSITIVE, FALSE_NEGATIVE, OTHER_CLASS = (
    (24, 150, 80),
    (222, 45, 38),
    (40, 105, 220),
    (230, 150, 20),
)
_PAPER, _WRONG_FILL = (255, 255, 255), (250, 224, 222)

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2126;--soft:#69707a;--paper:#fbfbfa;--card:#fff;--rule:#e3e4e6}
@media(prefers-color-scheme:dark){:root{--ink:#e8e9eb;--soft:#9aa1ab;--paper:#15171a;--card:#1d2024;--rule:#32363c}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2.5rem 1.5rem 5rem;max-width:90rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.6rem;font-weight:650;margin:0 0 .2rem}
h2{font-size:1.1rem;font-weight:650;margin:2.5rem 0 .8rem}
h3{font-size:1rem;font-weight:650;margin:0}p{margin:.2rem 0;color:var(--soft)}
code{font-size:.9em}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.6rem 0}
.tile{background:var(--card);border:1px solid var(--rule);border-radius:.5rem;padding:.8rem 1.1rem;
min-width:9rem}
.tile b{display:block;font-size:1.7rem;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.2}
.tile span{color:var(--soft);font-size:.87rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .75rem;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:600;color:var(--soft)}th:first-child,td:first-child{text-align:left;padding-left:0}
.frame{background:var(--card);border:1px solid var(--rule);border-radius:.6rem;
padding:1rem 1.1rem 1.2rem;margin:0 0 1.2rem}
.head{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;align-items:baseline;margin-bottom:.8rem}
.head span{color:var(--soft);font-size:.87rem;font-variant-numeric:tabular-nums}
.head i{font-style:normal;color:var(--ink)}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:.9rem}
figure{margin:0}figcaption{color:var(--soft);font-size:.82rem;margin-bottom:.25rem}
img{display:block;width:100%;height:auto;border:1px solid var(--rule);border-radius:.25rem;background:#fff}
.key{display:inline-block;width:.75em;height:.75em;border-radius:.15em;margin:0 .35em 0 1em;
vertical-align:-.04em}
.missing{border-left:3px solid #de2d26;padding:.1rem 0 .1rem .9rem}
"""


@dataclass(frozen=True)
class Panel:
    """A picture of a frame's row. rgb: (H, W, 3) uint8 sRGB."""

    caption: str
    rgb: U8


def render_html(evaluation: Evaluation) -> str:
    """The page: one file, pictures embedded as PNG, nothing loaded from elsewhere, light or dark as the
    reader's.
    """
    worst = sorted(evaluation.frames.items(), key=lambda item: (quality(item[1]), item[0]))
    parts = [_header(evaluation), _totals(evaluation)]
    if worst:
        parts.append(_legend(len(worst)))
        parts += [_frame(evaluation, stem, score) for stem, score in worst[:MAX_PANELS]]
    if evaluation.alphas:
        parts += _alphas(evaluation)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Douga evaluation</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def quality(score: Score) -> float:
    """What frames are sorted by: the mean of line F1 and cel IoU, as far as they were compared; 0 to 1."""
    values = [score.lines[LINES_ALL].f1] if score.has_classes else []
    if score.has_cel and score.cel.either:
        values.append(score.cel.share)
    return float(np.mean(values)) if values else 1.0


def _header(evaluation: Evaluation) -> str:
    out = (
        f"<h1>Douga evaluation</h1><p><code>{html.escape(str(evaluation.prediction))}</code> against "
        f"<code>{html.escape(str(evaluation.truth))}</code>, "
        f"{len(evaluation.frames.keys() | evaluation.alphas.keys())} frames</p>"
    )
    numbers = headline(evaluation.total)
    if evaluation.alphas:
        numbers += alpha_headline(frame.score for frame in evaluation.alphas.values())
    tiles = "".join(
        f'<div class="tile"><b>{html.escape(value)}</b><span>{name}, %</span></div>'
        for name, value in numbers
    )
    out += f'<div class="tiles">{tiles}</div>'
    if evaluation.missing:
        names = ", ".join(html.escape(name) for name in evaluation.missing)
        out += f'<div class="missing"><p>{len(evaluation.missing)} predictions are missing: {names}</p></div>'
    return out


def _totals(evaluation: Evaluation) -> str:
    total = evaluation.total
    if not total.has_classes:
        return ""
    share = metrics.iou(total.matrix)
    fills = [
        ["fills", "IoU"],
        *([c.title, percent(share[c])] for c in FILL_CLASSES if not np.isnan(share[c])),
    ]
    return (
        "<h2>Confusion, in percent of all pixels</h2>"
        + _table(confusion_rows(total.matrix))
        + f"<h2>Lines, thinned, within {evaluation.tolerance_px:g} px</h2>"
        + _table(line_rows(total))
        + (("<h2>Fills</h2>" + _table(fills)) if len(fills) > 1 else "")
    )


def _table(rows: list[list[str]]) -> str:
    cells = [[html.escape(cell) for cell in row] for row in rows]
    head = "".join(f"<th>{cell}</th>" for cell in cells[0])
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells[1:])
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _legend(count: int) -> str:
    keys = (
        (HIT, "found"),
        (FALSE_POSITIVE, "drawn, but not there"),
        (FALSE_NEGATIVE, "there, but not drawn"),
        (OTHER_CLASS, "line of another class"),
        (_WRONG_FILL, "wrong area class"),
    )
    return _key_line(f"Frames, worst first ({_how_many(count)})", keys)


def _how_many(count: int) -> str:
    return f"the {MAX_PANELS} worst of {count}" if count > MAX_PANELS else "all"


def _key_line(title: str, keys: Iterable[tuple[tuple[int, int, int], str]]) -> str:
    marks = "".join(f'<span class="key" style="background:rgb{rgb}"></span>{text}' for rgb, text in keys)
    return f"<h2>{title}</h2><p>Errors:{marks}</p><br>"


def _alphas(evaluation: Evaluation) -> list[str]:
    worst = worst_first(evaluation.alphas)
    keys = (
        (TOO_MUCH, "too opaque"),
        (TOO_LITTLE, "too clear"),
        (FORGIVEN, "at an edge, which Pixel Accuracy forgives"),
    )
    table = _table(alpha_rows(evaluation.alphas))
    parts = ["<h2>Alphas by folder: percent up to mBA, MAE and MSE as shares, HCE in clicks</h2>" + table]
    parts.append(_key_line(f"Alphas, worst first ({_how_many(len(worst))})", keys))
    return parts + [_alpha_frame(evaluation, key, frame) for key, frame in worst[:MAX_PANELS]]


def _alpha_frame(evaluation: Evaluation, key: str, frame: AlphaFrame) -> str:
    pictures = [Panel(caption, rgb) for caption, rgb in alpha_pictures(frame)]
    return _section(key, alpha_headline([frame.score]), pictures)


def _frame(evaluation: Evaluation, stem: str, score: Score) -> str:
    return _section(stem, headline(score), panels(evaluation, stem, score))


def _section(name: str, numbers: list[tuple[str, str]], pictures: list[Panel]) -> str:
    values = "".join(f"<span>{title} <i>{html.escape(value)}</i></span>" for title, value in numbers)
    figures = "".join(
        f"<figure><figcaption>{html.escape(p.caption)}</figcaption>"
        f'<img alt="{html.escape(p.caption)} of {html.escape(name)}" src="{data_uri(p.rgb)}"></figure>'
        for p in pictures
    )
    return (
        f'<section class="frame"><div class="head"><h3>{html.escape(name)}</h3>{values}</div>'
        f'<div class="panels">{figures}</div></section>'
    )


def panels(evaluation: Evaluation, stem: str, score: Score) -> list[Panel]:
    """The pictures of one frame: the frame where the truth has it, then what was compared and where it
    differs.
    """
    out = []
    frame = evaluation.truth / "frame" / f"{stem}.png"
    if frame.is_file():
        with suppress(DougaError):  # the picture is an extra: the scores stand without it
            out.append(Panel("frame", read_frame(frame).rgb))
    folders = evaluation.prediction, evaluation.truth
    if score.has_classes:
        predicted, true = (read_ids(folder / "classes" / f"{stem}.png") for folder in folders)
        palette = load_palette("kugler")
        out.append(Panel("predicted douga", paint(ClassMap(predicted), palette)))
        out.append(Panel("true douga", paint(ClassMap(true), palette)))
        out.append(Panel("errors", error_overlay(predicted, true, evaluation.tolerance_px)))
    if score.has_cel:
        predicted, true = (read_mask(folder / "cel_mask" / f"{stem}.png") for folder in folders)
        out.append(Panel("errors of the cel mask", mask_overlay(predicted.astype(bool), true.astype(bool))))
    return out


def error_overlay(predicted: U8, true: U8, tolerance_px: float) -> U8:
    """Lines found in green, false positives in red, false negatives in blue, other classes in orange, on
    white.

    predicted, true: (H, W) uint8 class ids. Areas of another class are tinted. Returns (H, W, 3) uint8
    sRGB.
    """
    drawn, there = metrics.is_line(predicted), metrics.is_line(true)
    near_true = metrics.near(there, tolerance_px)
    out = np.empty((*true.shape, 3), np.uint8)
    out[:] = _PAPER
    out[~drawn & ~there & (predicted != true)] = _WRONG_FILL
    out[there & ~metrics.near(drawn, tolerance_px)] = FALSE_NEGATIVE
    out[drawn & ~near_true] = FALSE_POSITIVE
    out[drawn & near_true] = OTHER_CLASS
    for c in np.unique(predicted[drawn]):
        out[(predicted == c) & metrics.near(true == c, tolerance_px)] = HIT
    return out


def mask_overlay(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> U8:
    """Mask hits in pale green, false positives in red, false negatives in blue. Returns (H, W, 3) uint8
    sRGB.
    """
    out = np.empty((*true.shape, 3), np.uint8)
    out[:] = _PAPER
    out[predicted & true] = (205, 232, 214)
    out[predicted & ~true] = FALSE_POSITIVE
    out[~predicted & true] = FALSE_NEGATIVE
    return out


def data_uri(rgb: U8) -> str:
    """A picture as a PNG data URI, at most 960 px wide (averaged down, so that thin lines stay visible)."""
    height, width = rgb.shape[:2]
    if width > _PANEL_WIDTH_PX:
        size_wh = (_PANEL_WIDTH_PX, max(1, round(height * _PANEL_WIDTH_PX / width)))
        rgb = cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA).astype(np.uint8)
    _, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode("ascii")
