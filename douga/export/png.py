"""PNG: indexed class maps, grey masks, RGB and RGBA pictures.

Written here rather than by Pillow or OpenCV because the up filter with run-length deflate is about twice as
fast as either on cels and line art and no larger, and writing is what limits a sequence on a fast
accelerator.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from douga.types import U8

_GREY, _RGB, _INDEXED, _RGBA = 0, 2, 3, 6
_COLOUR_TYPE = {1: _GREY, 3: _RGB, 4: _RGBA}
_UP_FILTER = 2


def encode_png(pixels: U8 | NDArray[np.uint16]) -> bytes:
    """Encode a picture as a PNG of 8 or 16 bits a channel.

    pixels: uint8 or uint16, (H, W) grey, (H, W, 3) sRGB or (H, W, 4) sRGB with straight alpha, red first.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return _assemble(pixels, _COLOUR_TYPE[channels], b"")


def encode_indexed(indices: U8, colours: U8) -> bytes:
    """Encode a class map as an indexed PNG of 8 bits: the index is the class id, the palette shows the douga.

    indices: (H, W) uint8. colours: (N, 3) uint8, sRGB, of every index; of class ids from
    `douga.layers.colour_table`. The libraries at hand would squeeze 16 colours or fewer into half bytes.
    Raises ValueError where there is an index without a colour.
    """
    is_map = indices.dtype == np.uint8 and indices.ndim == 2
    if not is_map or not indices.max(initial=0) < len(colours) <= 256:
        raise ValueError(
            f"expected (H, W) uint8 indices below {len(colours)}, got {indices.shape} of {indices.dtype}"
        )
    return _assemble(indices, _INDEXED, _chunk(b"PLTE", np.ascontiguousarray(colours).tobytes()))


def _assemble(pixels: U8 | NDArray[np.uint16], colour_type: int, before_data: bytes) -> bytes:
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, colour_type, 0, 0, 0)
    rows = (
        pixels.astype(">u2").view(np.uint8)
        if pixels.dtype == np.uint16
        else pixels.astype(np.uint8, copy=False)
    )
    srgb = b"" if colour_type == _GREY else _chunk(b"sRGB", b"\0")  # a mask is not a colour
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            srgb,
            before_data,
            _chunk(b"IDAT", _deflate(rows.reshape(height, -1))),
            _chunk(b"IEND", b""),
        )
    )


def _deflate(rows: U8) -> bytes:
    """Filter rows of bytes (H, W * channels) against the row above and compress them."""
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP_FILTER
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])  # modulo 256, as the format has it
    squeeze = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    return squeeze.compress(filtered.data) + squeeze.flush()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
