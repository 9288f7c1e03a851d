"""A picture of a load run: every call over time, and how many took how long."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from douga_server.bench_load import Sample
from douga_server.bench_report import Measured
from douga_server.jobs import Priority

_SIZE = (1200, 590)
_LEFT = (80, 60, 760, 480)  # left, top, right and bottom of the axes in px
_RIGHT = (860, 60, 1170, 480)
_INK, _GRID, _PAPER = "#333333", "#e4e4e4", "#ffffff"
_COLOURS = {Priority.INTERACTIVE: "#1f6fb4", Priority.BATCH: "#e08214"}
_LOST, _KILL = "#d62728", "#d6272866"
_STEPS = (1.0, 2.0, 5.0)


@dataclass(frozen=True)
class _Axes:
    """A box of the picture with scales that begin at 0. end_x, end_y: values at the right and the top."""

    draw: ImageDraw.ImageDraw
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    box: tuple[int, int, int, int]
    end_x: float
    end_y: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Value -> pixel."""
        left, top, right, bottom = self.box
        return left + (right - left) * x / self.end_x, bottom - (bottom - top) * y / self.end_y

    def frame(self, title: str, label_x: str, label_y: str) -> None:
        """Grid, numbers and words."""
        left, top, right, bottom = self.box
        for value in _ticks(self.end_x):
            x, _ = self.at(value, 0)
            self.draw.line((x, top, x, bottom), fill=_GRID)
            self.draw.text((x, bottom + 6), f"{value:g}", fill=_INK, font=self.font, anchor="mt")
        for value in _ticks(self.end_y):
            _, y = self.at(0, value)
            self.draw.line((left, y, right, y), fill=_GRID)
            self.draw.text((left - 6, y), f"{value:g}", fill=_INK, font=self.font, anchor="rm")
        self.draw.line((left, top, left, bottom, right, bottom), fill=_INK)
        self.draw.text((left, top - 26), title, fill=_INK, font=self.font, anchor="ls")
        self.draw.text((left, top - 8), label_y, fill=_INK, font=self.font, anchor="ls")
        self.draw.text(((left + right) / 2, bottom + 28), label_x, fill=_INK, font=self.font, anchor="mt")


def plot_png(measured: Measured) -> bytes:
    """Draw a run. Returns a PNG of 1200 x 590 px."""
    picture = Image.new("RGB", _SIZE, _PAPER)
    draw, font = ImageDraw.Draw(picture, "RGBA"), ImageFont.load_default(14)
    worst_ms = max((1000 * s.seconds for s in measured.samples), default=1.0)
    end_s = max((s.ended_s for s in measured.samples), default=1.0)
    _over_time(_Axes(draw, font, _LEFT, end_s, 1.05 * worst_ms), measured)
    _spread(_Axes(draw, font, _RIGHT, 1.05 * worst_ms, 100.0), measured)
    told = [f"{name}: {value}" for name, value in measured.about.items()]
    small = ImageFont.load_default(12)
    for nth, lines in enumerate((told[:3], told[3:5], told[5:])):
        draw.text((20, 538 + 18 * nth), "     ".join(lines), fill=_INK, font=small, anchor="ls")
    packed = io.BytesIO()
    picture.save(packed, "PNG")
    return packed.getvalue()


def _over_time(axes: _Axes, measured: Measured) -> None:
    lost = sum(measured.lost.values())
    kills = f", {len(measured.kills_s)} replicas killed (lines)" if measured.kills_s else ""
    axes.frame(
        f"{len(measured.answered)} calls, {measured.throughput_per_s:.2f}/s, {lost} lost{kills}",
        "begun after s",
        "took ms",
    )
    for kill_s in measured.kills_s:
        if kill_s <= axes.end_x:
            axes.draw.line((*axes.at(kill_s, 0), *axes.at(kill_s, axes.end_y)), fill=_KILL)
    for sample in measured.samples:
        _dot(axes, sample)


def _dot(axes: _Axes, sample: Sample) -> None:
    x, y = axes.at(sample.due_s, 1000 * sample.seconds)
    if sample.lost is None:
        axes.draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=_COLOURS[sample.priority])
    else:
        axes.draw.line((x - 4, y - 4, x + 4, y + 4), fill=_LOST, width=2)
        axes.draw.line((x - 4, y + 4, x + 4, y - 4), fill=_LOST, width=2)


def _spread(axes: _Axes, measured: Measured) -> None:
    axes.frame("answered within", "ms", "% of the calls")
    for nth, (priority, colour) in enumerate(_COLOURS.items()):
        took_ms = sorted(1000 * s.seconds for s in measured.answered if s.priority is priority)
        if not took_ms:
            continue
        points = [axes.at(0, 0)]
        for i, ms in enumerate(took_ms):
            points += [axes.at(ms, 100 * i / len(took_ms)), axes.at(ms, 100 * (i + 1) / len(took_ms))]
        axes.draw.line(points, fill=colour, width=2)
        right, bottom = axes.box[2], axes.box[3]
        said = f"{priority.name.lower()} ({len(took_ms)})"
        axes.draw.text((right - 6, bottom - 10 - 20 * nth), said, fill=colour, font=axes.font, anchor="rs")


def _ticks(end: float) -> Sequence[float]:
    """Round numbers from 0 to `end`, five to ten of them or so."""
    power = 1e-6
    while True:
        for step in _STEPS:
            if end / (step * power) <= 8:
                return [step * power * i for i in range(int(end / (step * power)) + 1)]
        power *= 10
