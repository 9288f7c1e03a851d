"""Zstandard data from anybody, looked through before anything is unpacked.

The library reserves what the data's header claims, whatever limit it is given (131 kB became 4 GB), so the
claim has to be the size that we expect. Then its blocks are walked: the data ends where the last one does.
"""

from __future__ import annotations

import numpy as np
import zstandard

from douga.errors import InputError
from douga.types import U8

_MAX_WINDOW_BYTES = 8 << 20  # what every decoder has to take by RFC 8878; level 1 uses 512 kB
_RLE_BLOCK = 1
_CHECKSUM_BYTES = 4

Bytes = bytes | bytearray


def unzstd(data: Bytes, size_bytes: int) -> U8:
    """One Zstandard frame -> (size_bytes,) uint8, writable.

    Raises InputError where it is damaged, cut short, followed by anything, or of another size.
    """
    try:
        parameters = zstandard.get_frame_parameters(data)
        start = zstandard.frame_header_size(data)
    except zstandard.ZstdError as exc:
        raise InputError(
            "a plane is announced as ZSTD but is none; announce the packing that it has"
        ) from exc
    if parameters.content_size != size_bytes:
        unknown = parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN
        claim = "does not state its size" if unknown else f"states {parameters.content_size} bytes"
        raise InputError(
            f"a plane has {size_bytes} bytes as announced, its Zstandard header {claim}; pack its pixels "
            "in one piece, with the content size in the header"
        )
    if parameters.window_size > max(_MAX_WINDOW_BYTES, size_bytes):
        raise InputError(
            f"the Zstandard data asks for a window of {parameters.window_size} bytes; at most "
            f"{_MAX_WINDOW_BYTES} are given, so pack it without a long window"
        )
    end = _end_of_blocks(data, start, size_bytes) + _CHECKSUM_BYTES * parameters.has_checksum
    if end != len(data):
        raise InputError(
            f"the Zstandard data has {end} bytes by its own account and {len(data)} came; send one frame, "
            "all of it and nothing after it"
        )
    return _unpacked(data, size_bytes)


def _end_of_blocks(data: Bytes, at: int, size_bytes: int) -> int:
    """Where the last block ends. Each has 3 bytes in front: whether it is the last, its kind, its length."""
    for _ in range(1024 + size_bytes // 1024):
        head = int.from_bytes(data[at : at + 3], "little")
        at += 3 + (1 if head >> 1 & 3 == _RLE_BLOCK else head >> 3)
        if at > len(data):
            raise InputError("the Zstandard data is cut short; send all of it")
        if head & 1:
            return at
    raise InputError("the Zstandard data is in more pieces than any program makes; pack it again")


def _unpacked(data: Bytes, size_bytes: int) -> U8:
    """Straight into the array: a second copy of a large plane costs more than the unpacking."""
    out = np.empty(size_bytes, np.uint8)
    view, at = out.data, 0
    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).stream_reader(data) as reader:
            while at < size_bytes and (count := reader.readinto(view[at:])):
                at += count
    except zstandard.ZstdError as exc:
        raise InputError(f"the Zstandard data cannot be unpacked ({exc}); pack it again") from exc
    if at != size_bytes:  # never seen; but what is not written to holds other people's pixels
        raise InputError(f"the Zstandard data holds {at} bytes and not the {size_bytes} that it states")
    return out
