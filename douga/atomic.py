"""Writing files whole or not at all: a temporary name in the same folder, then one rename."""

from __future__ import annotations

import errno
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from douga.errors import OutputError

Rgb = tuple[int, int, int]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it takes the place of `path`.

    The temporary name keeps the suffix, so that writers which choose their format by it work. Missing parent
    folders are made. After an error nothing of the new file is left and an older one of that name is
    untouched.

    Raises OutputError where the file cannot be written (permissions, full disk, a folder in the way).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem[:80]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written: {_why(exc)}") from exc
    finally:
        # Where even this fails (read-only file system, a lost disk) the first error is the one that matters.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _why(exc: OSError) -> str:
    """What went wrong and how to mend it, in half a sentence."""
    known = {
        errno.EACCES: "permission denied; choose a folder that you may write to",
        errno.EPERM: "permission denied; choose a folder that you may write to",
        errno.EROFS: "the disk is read-only; choose another folder",
        errno.ENOSPC: "the disk is full; free some space, what was written before is complete",
        errno.EDQUOT: "the disk quota is used up; free some space, what was written before is complete",
        errno.ENOTDIR: "a part of its path is a file; choose another folder",
        errno.EEXIST: "a part of its path is a file; choose another folder",
        errno.EISDIR: "a folder of that name is in the way; remove it or choose another folder",
        errno.ENAMETOOLONG: "its name is too long; shorten the input's name or the output folder's",
    }
    return known.get(exc.errno or 0, f"{exc.strerror or exc}; choose another folder")


def write_png(path: Path, array: np.ndarray, *, palette: Sequence[Rgb] | None = None) -> None:
    """Write a PNG, whole or not at all.

    array: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; uint8 or uint16, red first.
    palette: with it, array is (H, W) uint8 indices and the file an 8-bit indexed PNG; one sRGB triple an
    index.

    Raises OutputError where the file cannot be written, ValueError where the array does not fit.
    """
    data = _indexed_png(array, palette) if palette is not None else _plain_png(array)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _plain_png(array: np.ndarray) -> bytes:
    import cv2

    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise ValueError(
            "write_png: expected (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16, "
            f"got {array.shape} of {array.dtype}"
        )
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(channels)
    flat = array if swap is None else cv2.cvtColor(array, swap)
    # Level 1 is several times as fast as the default, and drawings stay small with it.
    ok, data = cv2.imencode(".png", flat, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise OutputError(f"an image of {array.shape} could not be packed as PNG; it may be too large for it")
    return bytes(data)


def _indexed_png(indices: np.ndarray, palette: Sequence[Rgb]) -> bytes:
    """Packed here because the libraries at hand squeeze 16 colours or fewer into half bytes."""
    fits = indices.dtype == np.uint8 and indices.ndim == 2 and 0 < len(palette) <= 256
    if not fits or indices.max() >= len(palette):
        raise ValueError(
            f"write_png: expected (H, W) uint8 indices below {len(palette)}, "
            f"got {indices.shape} of {indices.dtype}"
        )
    height, width = indices.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter type, 0: none
    rows[:, 1:] = indices
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    colours = bytes(v for colour in palette for v in colour)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", colours),
        (b"IDAT", zlib.compress(rows.tobytes(), 2)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
