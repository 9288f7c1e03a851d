"""PNG in plain Python, in steps: packing and unpacking give way after every few milliseconds of work.

Rows are packed without a filter: the flat colours of anime pack well so, and filters take seconds here.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Generator, Iterator
from itertools import accumulate

from .errors import ClientError, Kind

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # by number of channels
_STEP_BYTES = 1 << 16
_SLOW_ROWS = 8  # rows a step where a filter has to be undone byte by byte
_LOW_BYTE = 0 if sys.byteorder == "little" else 7


def packed(
    pixels: bytes | memoryview, width: int, height: int, channels: int
) -> Generator[None, None, bytes]:
    """Rows of 1 (grey), 3 (RGB) or 4 (RGBA) channels -> PNG."""
    row_bytes, packer, out = width * channels, zlib.compressobj(1), []
    view, step = memoryview(pixels), max(1, _STEP_BYTES // (width * channels))
    for top in range(0, height, step):
        rows = range(top, min(top + step, height))
        band = b"".join(p for y in rows for p in (b"\0", view[y * row_bytes : (y + 1) * row_bytes]))
        out.append(packer.compress(band))
        yield
    out.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", b"".join(out)), _chunk(b"IEND", b"")]
    return _SIGNATURE + b"".join(chunks)


def unpacked(
    data: bytes | bytearray, width: int, height: int, channels: int
) -> Generator[None, None, bytearray]:
    """The other way. Raises ClientError where it is no PNG of that size and layout."""
    body = _packed_rows(data, width, height, channels)
    row_bytes, unpacker = width * channels, zlib.decompressobj()
    out, before, pending = bytearray(), bytes(row_bytes), bytearray()
    try:
        while len(out) < row_bytes * height:
            piece = unpacker.decompress(body, _STEP_BYTES)
            body = unpacker.unconsumed_tail
            if not piece:
                raise _damaged("it is cut short")
            pending += piece
            due = min(len(pending), (height - len(out) // row_bytes) * (row_bytes + 1))
            for count, start in enumerate(range(0, due - row_bytes, row_bytes + 1)):
                before = _unfiltered(
                    pending[start], pending[start + 1 : start + 1 + row_bytes], before, channels
                )
                out += before
                if count % _SLOW_ROWS == _SLOW_ROWS - 1:
                    yield
            del pending[: len(pending) // (row_bytes + 1) * (row_bytes + 1)]
            yield
    except zlib.error as exc:
        raise _damaged(str(exc)) from exc
    return out


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _packed_rows(data: bytes | bytearray, width: int, height: int, channels: int) -> bytes:
    """The zlib stream within a PNG."""
    if data[:8] != _SIGNATURE:
        raise _damaged("it is no PNG")
    parts, at = [], 8
    for kind, body in _chunks(data, at):
        if kind == b"IHDR" and body != struct.pack(
            ">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0
        ):
            raise _damaged("it is of another size or layout than announced")
        if kind == b"IDAT":
            parts.append(body)
    return b"".join(parts)


def _chunks(data: bytes | bytearray, at: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size > len(data) - at - 12:
            raise _damaged("it is cut short")
        yield kind, bytes(data[at + 8 : at + 8 + size])
        at += 12 + size


def _unfiltered(kind: int, row: bytearray, above: bytes, step: int) -> bytes:
    """One row. above: the one before it, unfiltered. step: bytes of a pixel."""
    if kind == 0:
        return bytes(row)
    if kind == 1:
        return _running_sums(row, step)
    if kind == 2:
        return _sums(row, above)
    if kind == 3:
        return _averaged(row, above, step)
    if kind == 4:
        return _paeth(row, above, step)
    raise _damaged(f"a row has the unknown filter {kind}")


def _running_sums(row: bytearray, step: int) -> bytes:
    for channel in range(step):
        sums = array("Q", accumulate(row[channel::step]))
        row[channel::step] = sums.tobytes()[_LOW_BYTE::8]
    return bytes(row)


def _sums(row: bytearray, above: bytes) -> bytes:
    """Byte by byte modulo 256, all in one large number: the top bits go separately, so none carries."""
    size = len(row)
    low = int.from_bytes(b"\x7f" * size, "little")
    a, b = int.from_bytes(row, "little"), int.from_bytes(above, "little")
    return (((a & low) + (b & low)) ^ ((a ^ b) & ~low)).to_bytes(size, "little")


def _averaged(row: bytearray, above: bytes, step: int) -> bytes:
    for i in range(min(step, len(row))):
        row[i] = row[i] + (above[i] >> 1) & 255
    for i in range(step, len(row)):
        row[i] = row[i] + (row[i - step] + above[i] >> 1) & 255
    return bytes(row)


def _paeth(row: bytearray, above: bytes, step: int) -> bytes:
    size = len(row)
    if row.count(0) == size:  # exactly the row above, see the sums below with a = c
        return bytes(above)
    for i in range(min(step, size)):
        row[i] = row[i] + above[i] & 255
    for i in range(step, size):
        a, b, c = row[i - step], above[i], above[i - step]
        if a != c:
            pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - c - c)
            b = a if pa <= pb and pa <= pc else b if pb <= pc else c
        row[i] = row[i] + b & 255
    return bytes(row)


def _damaged(said: str) -> ClientError:
    return ClientError(Kind.OTHER_VERSION, said=f"its PNG cannot be read: {said}")
