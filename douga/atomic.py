"""Writing files whole or not at all: a temporary name in the same folder, then one rename."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np

from douga.errors import OutputError

Rgb = tuple[int, int, int]

# Of the names that `_temporary` makes: who writes the file.
_LEFTOVER = re.compile(
    r"\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>[1-9]\d*)-[0-9a-f]{8}\.part(?:\.[^.]*)?", re.DOTALL
)
_STEM_BYTES = 120  # a file name has at most 255, and the rest of a temporary one takes 50
_DAY_S = 24 * 3600.0


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it takes the place of `path`.

    The temporary name keeps the suffix, so that writers which choose their format by it work. Missing parent
    folders are made. After an error nothing of the new file is left and an older one of that name is
    untouched.

    Raises OutputError where the file cannot be written (permissions, full disk, a folder in the way).
    """
    path = Path(path)
    temporary = _temporary(path)
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


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished files in a folder whose writers were killed before they could do it themselves.

    Those of processes that still run are left alone, so several may write into one folder. Whether a process
    on another machine runs cannot be seen from here; its files go when they are a day old. What cannot be
    removed stays: it is in nobody's way.
    """
    with suppress(OSError):
        for path in list(folder.iterdir()):
            made = _LEFTOVER.fullmatch(path.name)
            if made is not None and not path.is_symlink() and path.is_file():
                with suppress(OSError):
                    if _is_abandoned(path, made["host"], int(made["pid"])):
                        path.unlink()


def _temporary(path: Path) -> Path:
    """A name for the unfinished file that says who writes it; `_LEFTOVER` reads it."""
    stem = os.fsencode(path.stem)[:_STEM_BYTES].decode("utf-8", "ignore")
    writer = f"{_this_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{stem}.{writer}.part{path.suffix}")


def _is_abandoned(path: Path, host: str, pid: int) -> bool:
    if time.time() - path.stat().st_mtime > _DAY_S:
        return True
    return host == _this_host() and not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere the question itself would be a signal
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    return True


@cache
def _this_host() -> str:
    """Where process ids are unique: this machine since it was started, and this container on it."""
    boot, space = "", 0
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        space = os.stat("/proc/self/ns/pid").st_ino
    return hashlib.sha256(f"{socket.gethostname()}|{boot}|{space}".encode()).hexdigest()[:8]


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


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all. Raises OutputError.

    Bytes of a file's name that are no UTF-8 become escapes (\\udc83), which JSON reads back as they were.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_png(path: Path, array: np.ndarray, *, palette: Sequence[Rgb] | None = None) -> None:
    """Write a PNG, whole or not at all.

    array: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; uint8 or uint16, red first.
    palette: with it, array is (H, W) uint8 indices and the file an 8-bit indexed PNG; one sRGB triple an
    index.

    Raises OutputError where the file cannot be written, ValueError where the array does not fit.
    """
    if palette is None:
        data = _plain_png(array)
    else:
        from douga.export.png import encode_indexed

        data = encode_indexed(array, np.array(palette, np.uint8).reshape(-1, 3))
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
