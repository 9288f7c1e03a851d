"""A result's images -> one multilayer EXR: every class, the cel, the cel mask and the class ids."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy
from douga_client.tasks import DocumentError, Steps

from . import document
from .exr import Layer, write

_COLOURS = ("R", "G", "B", "A")


def export(result: str, path: Path) -> Steps[int]:
    """Write the file in steps; another of that name is replaced at the end. Returns the number of layers.

    Classes and cel are linear and premultiplied half floats, as EXR has it. The mask is 0 or 1. The ids are
    32-bit floats 0 to 9 and no colours: nothing converts them. Raises DocumentError.
    """
    names = [image.name for image in document.images_of(result)]
    if not names:
        raise DocumentError("There is no result to export: reconstruct a frame first")
    layers, size, comment = [], (0, 0), "{}"
    for name in names:
        image = bpy.data.images.get(name)
        if image is None:
            raise DocumentError("An image of the result was removed meanwhile:", name)
        title, kind = str(image[document.TITLE]), str(image[document.KIND])
        comment = str(image.get(document.PALETTE, comment))
        pixels = yield from document.rgba_bytes(image)
        if layers and pixels.shape[:2] != size:
            raise DocumentError("The images of the result differ in size:", name)
        size = pixels.shape[:2]
        layers.append(_layer(title, kind, pixels))
        yield False
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield from write(temporary, size[1], size[0], layers, comment)
        os.replace(temporary, path)
    except OSError as exc:
        raise DocumentError("The file cannot be written:", f"{path}: {exc.strerror or exc}") from exc
    finally:
        with suppress(OSError):
            temporary.unlink()
    return len(layers)


def _layer(title: str, kind: str, pixels: Any) -> Layer:
    """pixels: (height, width, 1 to 4) uint8, straight alpha."""
    import numpy

    if kind in ("cel_mask", "class_ids"):
        plane = numpy.ascontiguousarray(pixels[..., :1])
        scale = numpy.float32(1 if kind == "class_ids" else 1 / 255)
        depth = "float" if kind == "class_ids" else "half"
        return Layer(title, ("V",), depth, lambda top, bottom: plane[top:bottom] * scale)
    linear, alphas = _linear_table(), numpy.arange(256, dtype=numpy.float32) / 255

    def rows(top: int, bottom: int) -> Any:
        band = pixels[top:bottom]
        alpha = alphas[band[..., 3:]]
        return numpy.concatenate([linear[band[..., :3]] * alpha, alpha], axis=-1)

    return Layer(title, _COLOURS, "half", rows)


def _linear_table() -> Any:
    """sRGB bytes -> linear (IEC 61966-2-1)."""
    import numpy

    values = numpy.arange(256, dtype=numpy.float64) / 255
    linear = numpy.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear.astype(numpy.float32)
