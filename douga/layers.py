"""Classes, frame and cel mask -> the stack of layers that a paint program opens."""

from __future__ import annotations

import cv2
import numpy as np

from douga.classes import NUM_CLASSES, DougaClass
from douga.errors import InputError
from douga.palettes import Palette
from douga.types import U8, CelMask, ClassMap, Frame, Layer

GROUP = "douga"
# Bottom to top: paper, areas, then lines, the visible line over all others as in the drawing itself.
STACKING = (
    DougaClass.FLAT,
    DougaClass.COLOR_FILL,
    DougaClass.SHADING_FILL,
    DougaClass.HIGHLIGHT_FILL,
    DougaClass.BOOK_FILL,
    DougaClass.BOOK_LINE,
    DougaClass.COLOR_EDGE,
    DougaClass.SHADING_LINE,
    DougaClass.HIGHLIGHT_LINE,
    DougaClass.VISIBLE_LINE,
)


def colour_table(palette: Palette) -> U8:
    """The colour that each class is written in. Returns (10, 3) uint8, sRGB, row = class id."""
    return np.array(palette.written, np.uint8)


def cut_cel(frame: Frame, cel_mask: CelMask) -> U8:
    """The frame's own colours under the cel mask.

    Returns (H, W, 4) uint8, sRGB, straight alpha of 0 or 255; colour is 0 where alpha is 0.
    Raises InputError when mask and frame differ in size.
    """
    _require_size(frame, cel_mask.mask, "cel mask")
    words = _opaque(frame).view(np.uint32)
    words *= (cel_mask.mask > 0)[..., None]
    return words.view(np.uint8)


def build_layers(frame: Frame, cel_mask: CelMask, classes: ClassMap, palette: Palette) -> list[Layer]:
    """Take a reconstruction apart into layers, listed from the bottom of the stack to its top.

    First "frame", then "cel" (straight alpha), then in the group "douga" one layer for every class that
    occurs, in the class's palette colour; together those cover the whole picture, "flat area" being the paper
    under it. Hide that one to see the lines over the frame. Raises InputError when the three differ in size.
    """
    _require_size(frame, classes.ids, "class map")
    layers = [Layer("frame", _opaque(frame)), Layer("cel", cut_cel(frame, cel_mask))]
    occurs = np.bincount(classes.ids.ravel(), minlength=NUM_CLASSES) > 0
    table = colour_table(palette)
    layers += [
        Layer(c.title if c != DougaClass.FLAT else "flat area", _class_rgba(classes, c, table[c]), GROUP)
        for c in STACKING
        if occurs[c]
    ]
    return layers


def _opaque(frame: Frame) -> U8:
    """(H, W, 4) uint8, alpha 255."""
    return cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2RGBA)


def _class_rgba(classes: ClassMap, chosen: DougaClass, rgb: U8) -> U8:
    """One class in one colour on nothing: (H, W, 4) uint8."""
    lookup = np.zeros((NUM_CLASSES, 4), np.uint8)
    lookup[chosen] = (*rgb, 255)
    # One 32-bit word per pixel is looked up four times as fast as four bytes.
    return lookup.view(np.uint32)[:, 0].take(classes.ids).view(np.uint8).reshape(*classes.ids.shape, 4)


def _require_size(frame: Frame, other: U8, what: str) -> None:
    if other.shape != frame.size_hw:
        raise InputError(
            f"{frame.name}: the {what} is {other.shape[1]} x {other.shape[0]} px but the frame is "
            f"{frame.size_hw[1]} x {frame.size_hw[0]} px; they have to be the same size"
        )
