"""Chosen frames -> one picture to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from douga.types import U8

THUMBNAIL_WH = (320, 180)
_CAPTION_PX, _GAP_PX, _COLUMNS = 44, 8, 4
_PAPER, _INK, _FAINT = (32, 32, 34), (240, 240, 240), (170, 170, 175)


@dataclass(frozen=True)
class Tile:
    """A thumbnail, (180, 320, 3) uint8 sRGB, with a line in bold type and one below."""

    thumbnail: U8
    title: str
    text: str


def thumbnail(rgb: U8) -> U8:
    """A frame of any size, fitted whole into (180, 320, 3) uint8 on black."""
    w, h = THUMBNAIL_WH
    scale = min(w / rgb.shape[1], h / rgb.shape[0])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    sheet = np.zeros((h, w, 3), np.uint8)
    top, left = (h - size[1]) // 2, (w - size[0]) // 2
    sheet[top : top + size[1], left : left + size[0]] = small
    return sheet


def contact_sheet(tiles: Sequence[Tile]) -> U8:
    """All tiles in reading order, four a row: (H, W, 3) uint8 sRGB."""
    (w, h), columns = THUMBNAIL_WH, min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    step_x, step_y = w + _GAP_PX, h + _CAPTION_PX + _GAP_PX
    sheet = Image.new("RGB", (columns * step_x + _GAP_PX, rows * step_y + _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(17), ImageFont.load_default(13)
    for number, tile in enumerate(tiles):
        x, y = _GAP_PX + number % columns * step_x, _GAP_PX + number // columns * step_y
        sheet.paste(Image.fromarray(tile.thumbnail), (x, y))
        draw.text((x, y + h + 2), _shortened(draw, tile.title, large), _INK, large)
        draw.text((x, y + h + 24), _shortened(draw, tile.text, small), _FAINT, small)
    return np.array(sheet)


def _shortened(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> str:
    """What the font can write of a text, cut to the width of a tile."""
    text = text.encode("latin-1", "replace").decode("latin-1")  # the font that comes with Pillow has no more
    while draw.textlength(text, font) > THUMBNAIL_WH[0] and len(text) > 4:
        text = text[:-4] + "..."
    return text
