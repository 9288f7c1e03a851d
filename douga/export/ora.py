"""OpenRaster: the layered file that Krita, GIMP and MyPaint open (openraster.org, baseline 0.0.3)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as Xml

import cv2
import numpy as np

from douga.errors import InputError
from douga.export.png import encode_png
from douga.types import U8, Layer

_THUMBNAIL_SIDE_PX = 256
_VERSION = "0.0.3"
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can name


def encode_ora(layers: Sequence[Layer]) -> bytes:
    """Encode layers, listed from the bottom up and all of one size, as an OpenRaster file.

    Neighbouring layers of the same group share a group in the file. Each layer is cropped to what it shows.
    Raises InputError without layers or when their sizes differ.
    """
    sizes_hw = {layer.rgba.shape[:2] for layer in layers}
    if len(sizes_hw) != 1:
        raise InputError(
            f"an ORA file needs one or more layers of one size, got {sorted(sizes_hw) or 'none'}"
        )
    merged = flatten(layers)
    buffer = io.BytesIO()
    # PNG is compressed already; the standard wants `mimetype` first and stored in any case.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _store(archive, "mimetype", "image/openraster")
        _store(archive, "stack.xml", _write_layers(archive, layers))
        _store(archive, "mergedimage.png", encode_png(merged))
        _store(archive, "Thumbnails/thumbnail.png", encode_png(_thumbnail(merged)))
    return buffer.getvalue()


def _store(archive: zipfile.ZipFile, name: str, data: bytes | str) -> None:
    """Add a file under a fixed date, so that the same layers give the same bytes at any time."""
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr = 0o600 << 16  # what zipfile itself gives a file: its owner can read and write it
    archive.writestr(entry, data)


def flatten(layers: Sequence[Layer]) -> U8:
    """What the visible layers, bottom first, look like together.

    Returns (H, W, 4) uint8, sRGB, straight alpha.
    """
    result = np.zeros_like(layers[0].rgba)
    for layer in layers:
        if layer.visible:
            _lay_over(result, layer.rgba)
    return result


def _lay_over(below: U8, above: U8) -> None:
    """Composite straight-alpha `above` over `below`, in place."""
    opaque = above[..., 3] == 255
    soft = (above[..., 3] > 0) & ~opaque
    np.copyto(below.view(np.uint32), above.view(np.uint32), where=opaque[..., None])
    if not soft.any():
        return
    top, bottom = above[soft].astype(np.float32), below[soft].astype(np.float32)
    top_alpha = top[:, 3:] / 255
    bottom_alpha = bottom[:, 3:] / 255 * (1 - top_alpha)
    alpha = top_alpha + bottom_alpha
    rgb = (top[:, :3] * top_alpha + bottom[:, :3] * bottom_alpha) / alpha
    below[soft] = np.round(np.hstack([rgb, alpha * 255])).astype(np.uint8)


def _write_layers(archive: zipfile.ZipFile, layers: Sequence[Layer]) -> bytes:
    """Store every layer's PNG and return the stack that names them, top first as the standard wants it."""
    height, width = layers[0].rgba.shape[:2]
    image = Xml.Element("image", version=_VERSION, w=str(width), h=str(height))
    root = Xml.SubElement(image, "stack")
    numbered = list(enumerate(layers))[::-1]
    for group, members in groupby(numbered, key=lambda item: item[1].group):
        parent = root if group is None else Xml.SubElement(root, "stack", {"name": group, **_SHOWN})
        for number, layer in members:
            path = f"data/layer{number:03d}.png"
            box = _bounding_box(layer.rgba[..., 3])
            _store(archive, path, encode_png(layer.rgba[box]))
            Xml.SubElement(parent, "layer", {"name": layer.name, "src": path, **_placement(layer, box)})
    Xml.indent(image)
    return Xml.tostring(image, encoding="utf-8", xml_declaration=True)


_SHOWN = {"opacity": "1.0", "visibility": "visible", "composite-op": "svg:src-over"}


def _placement(layer: Layer, box: tuple[slice, slice]) -> dict[str, str]:
    shown = {**_SHOWN, "visibility": "visible" if layer.visible else "hidden"}
    return {"x": str(box[1].start), "y": str(box[0].start), **shown}


def _bounding_box(alpha: U8) -> tuple[slice, slice]:
    """Rows and columns that show anything; one empty pixel where nothing does: a PNG cannot be empty."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _thumbnail(rgba: U8) -> U8:
    """Shrink to at most 256 px a side, never enlarge.

    Alpha is premultiplied meanwhile, so that no edge takes colour from what cannot be seen; opaque pictures
    do without.
    """
    height, width = rgba.shape[:2]
    scale = min(1.0, _THUMBNAIL_SIDE_PX / max(height, width))
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    if rgba[..., 3].min() == 255:
        return cv2.resize(rgba, size_wh, interpolation=cv2.INTER_AREA)
    alpha = rgba[..., 3:].astype(np.float32) / 255
    small = cv2.resize(np.dstack([rgba[..., :3] * alpha, alpha]), size_wh, interpolation=cv2.INTER_AREA)
    rgb = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
    return np.round(np.dstack([np.minimum(rgb, 255), small[..., 3] * 255])).astype(np.uint8)
