"""A result -> PNG files in memory, in steps. Blender unpacks them when somebody looks at them.

All class images share one packed class map: only their palettes differ, so ten take hardly longer than one.
"""

from __future__ import annotations

import struct
import zlib

from douga_client.png import packed
from douga_client.tasks import Steps

_BAND_BYTES = 1 << 18


def grey(plane: bytes | bytearray, width: int, height: int) -> Steps[bytes]:
    """A plane of width * height bytes -> a grey PNG."""
    return (yield from packed(memoryview(plane), width, height, 1))


def one_class(grey_png: bytes, class_id: int, rgb: int) -> bytes:
    """A class map as a grey PNG -> one class in 0xRRGGBB, opaque, straight; all else is (0, 0, 0, 0)."""
    colours, alphas = bytearray(768), bytearray(256)
    colours[3 * class_id : 3 * class_id + 3] = rgb.to_bytes(3, "big")
    alphas[class_id] = 255
    out, at = [grey_png[:8]], 8
    while at < len(grey_png):
        (size,) = struct.unpack_from(">I", grey_png, at)
        kind, chunk = grey_png[at + 4 : at + 8], grey_png[at : at + 12 + size]
        if kind == b"IHDR":  # the ninth byte after the sizes: grey becomes "by palette"
            body = bytearray(chunk[8:-4])
            body[9] = 3
            out += [_chunk(b"IHDR", body), _chunk(b"PLTE", colours), _chunk(b"tRNS", alphas)]
        else:
            out.append(chunk)
        at += 12 + size
    return b"".join(out)


def with_alpha(
    colours: bytes | bytearray | memoryview,
    channels: int,
    alpha: bytes | bytearray,
    width: int,
    height: int,
) -> Steps[bytes]:
    """RGB or RGBA and another alpha -> an RGBA PNG. The colours under alpha 0 stay."""
    view, out, step = memoryview(colours).cast("B"), bytearray(), _BAND_BYTES
    for at in range(0, len(alpha), step):
        piece = alpha[at : at + step]
        pixels, band = view[at * channels : (at + len(piece)) * channels], bytearray(4 * len(piece))
        for channel in range(3):
            band[channel::4] = pixels[channel::channels]
        band[3::4] = piece
        out += band  # its memory comes in pieces, too: all at once takes 50 ms at 7680 x 4320
        yield False
    return (yield from packed(memoryview(out), width, height, 4))


def _chunk(kind: bytes, body: bytes | bytearray) -> bytes:
    checked = kind + bytes(body)
    return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))
