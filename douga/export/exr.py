"""OpenEXR: one RGBA picture of half floats, as compositing programs expect it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR

from douga.atomic import atomic_path
from douga.errors import OutputError
from douga.types import F32

# Of sRGB and Rec. 709, so that no program has to guess: red, green, blue, white.
_CHROMATICITIES = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)


def write_exr(path: Path, colours: F32, alpha: F32) -> None:
    """Write a cutout, whole or not at all: channels R, G, B, A, half floats, ZIP.

    colours: (H, W, 3) float32, 0 to 1, sRGB values, straight. alpha: (H, W) float32, 0 to 1. In the file
    they are linear light (Rec. 709) and premultiplied, which is what the format means by RGBA. Raises
    OutputError.
    """
    pixels = np.dstack([linear_light(colours) * alpha[..., None], alpha]).astype(np.float16)
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "chromaticities": _CHROMATICITIES,
    }
    with atomic_path(path) as unfinished, OpenEXR.File(header, {"RGBA": pixels}) as file:
        unfinished.touch()  # the library says little of why it cannot write
        try:
            file.write(str(unfinished))
        except RuntimeError as exc:  # what it makes of a full disk
            raise OutputError(
                f"{path}: cannot be written ({exc}); make room, or choose another --out"
            ) from exc


def linear_light(srgb: F32) -> F32:
    """sRGB values, 0 to 1 -> linear light, 0 to 1, by the curve of IEC 61966-2-1."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)
