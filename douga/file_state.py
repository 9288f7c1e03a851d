"""What a file is known by: size and time of change at a glance, its hash for certain."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from douga.errors import InputError


def stat_of(path: Path) -> dict[str, int]:
    """`size` in bytes and `mtime_ns`, as the manifest has them. Raises InputError, which names the file."""
    try:
        found = path.stat()
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def sha256_of(path: Path) -> str:
    """Hex digest of the bytes of a file. Raises InputError, which names it."""
    now = stat_of(path)
    try:
        return _sha256(path, now["mtime_ns"], now["size"])
    except OSError as exc:
        raise _unreadable(path, exc) from exc


@lru_cache(maxsize=8)  # every frame of a video asks for the same file
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Hex digest of a file as it is at this time, of this size. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: Path, exc: OSError) -> InputError:
    return InputError(f"{path}: cannot be read: {exc.strerror or exc}; check the file")
