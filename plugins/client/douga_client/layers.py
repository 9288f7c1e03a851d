"""A class map -> layers, as Krita and Qt hold pixels: BGRA, straight alpha. In bands of rows.

A class is mostly a small part of the frame, so its bands are cut to where it is.

numpy is used where the host has loaded it already; importing it would take longer than it saves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from .api import Cutout
from .image import Region

Band = tuple[Region, bytearray]  # where it is in the map, its BGRA pixels
_BAND_PIXELS = 1 << 20
Map = bytes | bytearray | memoryview


def class_bands(
    class_map: Map, width: int, class_id: int, rgb: int, band_pixels: int = _BAND_PIXELS
) -> Iterator[Band]:
    """One class: its pixels in the colour 0xRRGGBB, opaque, everything else transparent (0, 0, 0, 0).

    class_map: width * height ids, row after row. What lies outside of all bands is transparent.
    """
    colours = [0] * 256
    colours[class_id] = rgb | 255 << 24
    data = class_map if isinstance(class_map, (bytes, bytearray)) else bytes(class_map)
    rows = max(1, band_pixels // width)
    paint = _numpy_paint(colours) or _plain_paint(colours)
    for start in range(0, len(data), rows * width):
        box = _box(data, width, class_id, start, start + rows * width)
        if box is not None:
            yield box, paint(cropped(data, width, box, 1))


def masked_bands(bgra: Map, mask: Map, width: int, band_pixels: int = _BAND_PIXELS) -> Iterator[Band]:
    """A frame with a mask (0 or 255) as its alpha: the cel. The colours stay underneath."""
    view, alpha, rows = memoryview(bgra).cast("B"), memoryview(mask).cast("B"), max(1, band_pixels // width)
    for top in range(0, len(alpha) // width, rows):
        piece = alpha[top * width : (top + rows) * width]
        out = bytearray(view[top * width * 4 : top * width * 4 + len(piece) * 4])
        out[3::4] = piece
        yield (0, top, width, len(piece) // width), out


def present_classes(class_map: Map, class_ids: Iterable[int] = range(10)) -> tuple[int, ...]:
    """Those of class_ids that have at least one pixel, in their order."""
    data = bytes(class_map) if isinstance(class_map, memoryview) else class_map
    return tuple(class_id for class_id in class_ids if data.find(class_id) >= 0)


def cropped(pixels: Map, width: int, region: Region, channels: int = 4) -> bytearray:
    """The part of an image within x, y, width, height. width: of the whole image."""
    view, out = memoryview(pixels).cast("B"), bytearray()
    x, y, part_width, part_height = region
    for row in range(y, y + part_height):
        start = (row * width + x) * channels
        out += view[start : start + part_width * channels]
    return out


def within(data: bytes | bytearray, inside: bytes | None) -> bytes | bytearray:
    """Zero outside of a selection. inside: 255 within it, of the same size; None for all: `data` itself."""
    if inside is None:
        return data
    both = int.from_bytes(data, "little") & int.from_bytes(inside, "little")
    return both.to_bytes(len(data), "little")


def part_of(cutout: Cutout, region: Region | None, inside: bytes | None) -> Cutout:
    """What was asked for of a cutout, which is always of the whole frame. inside: see `within`."""
    if region is None:
        return cutout
    alpha, colors = (
        bytes(cropped(plane, cutout.width, region, channels))
        for plane, channels in ((cutout.alpha, 1), (cutout.colors, 3))
    )
    return replace(cutout, width=region[2], height=region[3], alpha=within(alpha, inside), colors=colors)


def _box(data: bytes | bytearray, width: int, class_id: int, start: int, end: int) -> Region | None:
    """Where a class is between two beginnings of rows; None where it is not."""
    first = data.find(class_id, start, end)
    if first < 0:
        return None
    top, bottom = first // width, data.rfind(class_id, start, end) // width + 1
    left, right = width, 0
    for row in range(top * width, bottom * width, width):
        first = data.find(class_id, row, row + width)
        if first >= 0:
            left = min(left, first - row)
            right = max(right, data.rfind(class_id, row, row + width) + 1 - row)
    return left, top, right - left, bottom - top


def _plain_paint(colours: Sequence[int]) -> Any:
    tables = [bytes(colour >> shift & 255 for colour in colours) for shift in (0, 8, 16, 24)]

    def paint(ids: bytearray) -> bytearray:
        out = bytearray(4 * len(ids))
        for channel, table in enumerate(tables):
            if any(table):
                out[channel::4] = ids.translate(table)
        return out

    return paint


def _numpy_paint(colours: Sequence[int]) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None or sys.byteorder != "little":
        return None
    table = numpy.array(colours, "<u4")
    return lambda ids: bytearray(numpy.take(table, numpy.frombuffer(ids, "u1")).data.cast("B"))
