"""Labelled contact sheets: pictures in a grid, a caption above each, a title and a colour key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from douga.types import U8

Rgb = tuple[int, int, int]
_PAPER, _INK = (250, 250, 249), (40, 42, 46)
_GAP_PX, _TEXT_PX, _TITLE_PX = 12, 15, 20
_WORDS_PX = 1000  # a sheet of few pictures widens so far for its title and key


@dataclass(frozen=True)
class Cell:
    """A picture of a sheet. rgb: (H, W, 3) uint8 sRGB, red first. caption: one line, which is cut to fit."""

    caption: str
    rgb: U8


def fit_width(rgb: U8, width_px: int) -> U8:
    """A picture at another width. (H, W, 3) uint8 -> (h, width_px, 3) uint8.

    Reduced by averaging, enlarged without smoothing, so that small pictures show their pixels.
    """
    height, width = rgb.shape[:2]
    if width == width_px:
        return rgb
    size_wh = (width_px, max(1, round(height * width_px / width)))
    way = cv2.INTER_AREA if width > width_px else cv2.INTER_NEAREST
    return cv2.resize(rgb, size_wh, interpolation=way).astype(np.uint8)


def sheet(
    cells: Sequence[Cell],
    *,
    columns: int,
    width_px: int,
    title: str,
    key: Sequence[tuple[Rgb, str]] = (),
) -> U8:
    """Lay cells out row by row, each `width_px` wide. Returns (H, W, 3) uint8 sRGB, red first.

    columns: at most; fewer where there are fewer cells. key: what colours mean, written below the title.
    """
    columns = max(1, min(columns, len(cells)))
    pictures = [fit_width(cell.rgb, width_px) for cell in cells]
    rows = [slice(i, i + columns) for i in range(0, len(cells), columns)]
    heights = [max(p.shape[0] for p in pictures[row]) + 2 * _TEXT_PX for row in rows]
    top = _GAP_PX + 2 * _TITLE_PX + (2 * _TEXT_PX if key else 0)
    font, large = ImageFont.load_default(_TEXT_PX), ImageFont.load_default(_TITLE_PX)
    words_px = max(large.getlength(title), sum(font.getlength(m) + 3.5 * _TEXT_PX for _, m in key))
    inner_px = max(columns * (width_px + _GAP_PX) - _GAP_PX, min(math.ceil(words_px), _WORDS_PX))
    size_wh = (inner_px + 2 * _GAP_PX, top + sum(heights) + _GAP_PX * len(rows))
    paper = Image.new("RGB", size_wh, _PAPER)
    draw = ImageDraw.Draw(paper)
    draw.text((_GAP_PX, _GAP_PX), _cut(title, large, inner_px), fill=_INK, font=large)
    _draw_key(draw, font, key, _GAP_PX + 2 * _TITLE_PX)
    for row, height in zip(rows, heights, strict=True):
        for column, (cell, picture) in enumerate(zip(cells[row], pictures[row], strict=True)):
            x = _GAP_PX + column * (width_px + _GAP_PX)
            draw.text((x, top), _cut(cell.caption, font, width_px), fill=_INK, font=font)
            paper.paste(Image.fromarray(picture), (x, top + int(1.5 * _TEXT_PX)))
        top += height + _GAP_PX
    return np.asarray(paper)


def _draw_key(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    key: Sequence[tuple[Rgb, str]],
    y: int,
) -> None:
    x = float(_GAP_PX)
    for colour, meaning in key:
        draw.rectangle((x, y, x + _TEXT_PX, y + _TEXT_PX), fill=colour, outline=_INK)
        x += 1.5 * _TEXT_PX
        draw.text((x, y), meaning, fill=_INK, font=font)
        x += font.getlength(meaning) + 2 * _TEXT_PX


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> str:
    """As much of a text as fits, with dots where something is missing."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "...") > width_px:
        text = text[:-1]
    return text + "..."
