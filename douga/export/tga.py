"""TGA after the RETAS convention: 24-bit, run-length compressed, not antialiased, white is transparent.

Only lines are written, each in the trace colour of its class. No paint program of the RETAS family knows more
than that about a douga: fills are what its users make from it.
"""

from __future__ import annotations

import struct

import numpy as np

from douga.classes import LINE_CLASSES, NUM_CLASSES
from douga.errors import InputError
from douga.postprocess.skeleton import first_skeleton, padded, unpadded, widen
from douga.types import U8, ClassMap

_RLE_TRUE_COLOUR = 10
_MAX_SIDE_PX = 65535  # 16-bit fields
_MAX_RUN_PX = 128
_WHITE = 255
_NEARLY_WHITE = 254  # how RETAS writes white that is meant to be seen


def encode_line_tga(classes: ClassMap, table: U8) -> bytes:
    """Encode the lines of a class map as a TGA file.

    table: (10, 3) uint8, sRGB, the colour of each class, from `douga.layers.colour_table`. Areas become
    white; a line whose own colour is white is written as (254, 254, 254). Rows run from the bottom up, the
    format's default, which readers that ignore the origin flag also get right. Raises InputError above 65,535
    px a side.
    """
    height, width = classes.ids.shape
    if max(height, width) > _MAX_SIDE_PX:
        raise InputError(f"TGA holds at most {_MAX_SIDE_PX} px a side, got {width} x {height}")
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, _RLE_TRUE_COLOUR, 0, 0, 0, 0, 0, width, height, 24, 0)
    return header + _run_length_packets(classes.ids[::-1], _line_colours(table)).tobytes()


def redraw_lines(classes: ClassMap, from_px: int, to_px: int) -> ClassMap:
    """The lines of a cleaned class map in another width; areas become flat.

    from_px: width that the lines were drawn in. to_px: width wanted. Where lines of two classes meet, the
    lower id, the visible line first, lies on top.
    """
    is_line = (classes.ids >= LINE_CLASSES[0]) & (classes.ids <= LINE_CLASSES[-1])
    if from_px == to_px:
        return ClassMap(np.where(is_line, classes.ids, np.uint8(0)))
    skeleton = unpadded(first_skeleton(padded(is_line.view(np.uint8)), from_px))
    centres = classes.ids * skeleton
    if to_px == 1:
        return ClassMap(centres)
    redrawn = np.zeros_like(classes.ids)
    for line in reversed(LINE_CLASSES):
        centre = (centres == line).view(np.uint8)
        if centre.any():
            np.copyto(redrawn, np.uint8(line), where=unpadded(widen(padded(centre), to_px)) > 0)
    return ClassMap(redrawn)


def _line_colours(table: U8) -> U8:
    """Colour by class id, (10, 3) uint8, sRGB: lines as in the table, everything else white."""
    colours = np.full((NUM_CLASSES, 3), _WHITE, np.uint8)
    for line in LINE_CLASSES:
        is_white = (table[line] == _WHITE).all()
        colours[line] = _NEARLY_WHITE if is_white else table[line]
    return colours


def _run_length_packets(ids: U8, colours: U8) -> U8:
    """Pack (H, W) ids into run packets of a count byte and blue, green, red: (N, 4) uint8.

    No packet runs past the end of its row (the format forbids it) or holds more than 128 px. Runs of one
    pixel stay runs: as long as a raw packet of one, and rare in line art.
    """
    # Compare colours, not ids: two areas of different class are one white run.
    same_colour = np.unique(colours, axis=0, return_inverse=True)[1].reshape(-1).astype(np.uint8)
    inks = same_colour[ids]
    begins = np.ones(ids.shape, bool)
    np.not_equal(inks[:, 1:], inks[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=ids.size)
    pieces = -(-lengths // _MAX_RUN_PX)
    packets = np.empty((int(pieces.sum()), 4), np.uint8)
    packets[:, 0] = 0x80 | (_MAX_RUN_PX - 1)
    last = np.cumsum(pieces) - 1  # only the last piece of a run can be shorter than 128
    packets[last, 0] = 0x80 | (lengths - (pieces - 1) * _MAX_RUN_PX - 1)
    packets[:, 1:] = np.repeat(colours[ids.ravel()[starts]][:, ::-1], pieces, axis=0)
    return packets
