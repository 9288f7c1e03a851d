"""A PNG from anybody, looked through to its last byte before a decoder is let near it.

OpenCV reserves what a chunk's length or a header claims (434 bytes became 3.2 GB), warns on the console about
what is broken, and reads animations. So the chunks are walked here, the packed rows are counted in small
pieces, and the decoder gets a PNG of nothing but header and pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from douga.errors import InputError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # by number of channels
_PIECE_BYTES = 1 << 18
_LAST_FILTER = 4
_SRGB_GAMMA = range(44000, 47001)  # gAMA holds 100000 / gamma; around 2.2 it means sRGB in practice

Bytes = bytes | bytearray


def checked_png(data: Bytes, width: int, height: int, channels: int, notes: list[str]) -> Bytes:
    """A PNG of the announced size and 1 (grey), 3 (RGB) or 4 (RGBA) channels -> the same without extras.

    Appends to notes what it says about its colours or orientation, which is not applied. Raises InputError
    where it is damaged, animated, interlaced or not as announced.
    """
    if not data.startswith(_SIGNATURE):
        raise InputError("a plane is announced as PNG but is none; announce the packing that it has")
    header = b""
    packed: list[tuple[int, int]] = []  # start and end of each piece of the pixels
    extras: dict[bytes, bytes] = {}
    for kind, start, end in _chunks(data):
        if not header:
            header = _checked_header(kind, bytes(data[start:end]), width, height, channels)
        elif kind in (b"acTL", b"fcTL", b"fdAT"):
            raise InputError("the PNG is animated; send its frames one by one")
        elif kind == b"tRNS":
            raise InputError("the PNG has transparency outside of its pixels; send it as RGBA8")
        elif kind == b"IDAT":
            if packed and packed[-1][1] + 12 != start:
                raise InputError("the PNG's pixels are not in one piece; export it again")
            _check_sum(data, start, end)
            packed.append((start, end))
        elif kind in (b"iCCP", b"gAMA", b"cICP", b"sRGB", b"eXIf"):
            extras[kind] = bytes(data[start : min(end, start + 4)])
    _check_rows((memoryview(data)[start:end] for start, end in packed), height, width * channels + 1)
    notes += _not_applied(extras)
    pixels = data[packed[0][0] - 8 : packed[-1][1] + 4]
    return _SIGNATURE + _chunk(b"IHDR", header) + pixels + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _chunks(data: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each chunk before IEND, which ends the data."""
    at, left = len(_SIGNATURE), 1024 + len(data) // 1024
    while left := left - 1:
        if at + 12 > len(data):
            raise InputError("the PNG is cut short; send all of it")
        length, kind = struct.unpack_from(">I4s", data, at)
        if (rest := len(data) - at - 12) < length:
            raise InputError(f"the PNG is damaged: a chunk claims {length} bytes and {rest} are left")
        if kind == b"IEND":
            if rest:
                raise InputError(f"{rest} bytes follow the end of the PNG; send it without them")
            return
        yield kind, at + 8, at + 8 + length
        at += 12 + length
    raise InputError("the PNG is in more pieces than any program makes; export it again")


def _checked_header(kind: bytes, body: bytes, width: int, height: int, channels: int) -> bytes:
    if kind != b"IHDR" or len(body) != 13:
        raise InputError("the PNG does not begin with its header; export it again")
    *size, depth, colour, packing, filtering, interlace = struct.unpack(">IIBBBBB", body)
    if size != [width, height]:
        raise InputError(
            f"the PNG is {size[0]} x {size[1]} px, announced were {width} x {height} px; announce its size"
        )
    if depth != 8 or colour != _COLOUR_TYPES[channels]:
        raise InputError(
            f"the PNG has {depth} bits a channel and colour type {colour}; as announced it would be 8 bits "
            f"and type {_COLOUR_TYPES[channels]} (0 GRAY8, 2 RGB8, 6 RGBA8), so convert it or announce that"
        )
    if packing or filtering or interlace:
        raise InputError("the PNG is interlaced or packed in an unknown way; save it without interlacing")
    return body


def _check_sum(data: Bytes, start: int, end: int) -> None:
    """Of a chunk, whose kind stands before its content. The decoder would complain on the console."""
    with memoryview(data) as view:
        if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise InputError("the PNG is damaged (a checksum is wrong); export it again")


def _check_rows(packed: Iterator[memoryview], height: int, row_bytes: int) -> None:
    """Unpack piece by piece, keeping nothing: exactly `height` rows, each with a known filter in front."""
    total, seen = height * row_bytes, 0
    unpacker = zlib.decompressobj()
    try:
        for body in packed:
            rest: Bytes | memoryview = body
            while rest:
                piece = unpacker.decompress(rest, _PIECE_BYTES)
                filters = piece[-seen % row_bytes :: row_bytes]
                if filters and max(filters) > _LAST_FILTER:
                    raise InputError("the PNG's rows are damaged; export it again")
                seen += len(piece)
                if seen > total or unpacker.unused_data:
                    raise InputError(f"the PNG holds more than its {height} rows; export it again")
                rest = unpacker.unconsumed_tail
    except zlib.error as exc:
        raise InputError(f"the PNG's pixels cannot be unpacked ({exc}); export it again") from exc
    if seen != total or not unpacker.eof:
        raise InputError(f"the PNG holds {seen} bytes of pixels, its size needs {total}; send all of it")


def _not_applied(extras: dict[bytes, bytes]) -> list[str]:
    """What changes how a file is read but not how a plane is, in words. extras: first 4 bytes by kind."""
    found = ["its orientation"] if b"eXIf" in extras else []
    if b"iCCP" in extras:
        found.append("its colour profile")
    elif b"sRGB" not in extras:
        if b"gAMA" in extras and int.from_bytes(extras[b"gAMA"], "big") not in _SRGB_GAMMA:
            found.append("its gamma")
        if b"cICP" in extras and extras[b"cICP"][:2] not in (b"\x01\x0d", b"\x01\x01"):
            found.append("its video colour space")
    return [f"the PNG was taken as plain sRGB pixels: {' and '.join(found)} not applied"] if found else []
