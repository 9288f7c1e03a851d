"""What a file is known by: size and time of change at a glance, its hash for certain."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from douga.errors import InputError, MissingInputError


def stat_of(path: Path) -> dict[str, int]:
    """`size` in bytes and `mtime_ns`, as the manifest has them. Raises InputError, which names the file."""
    try:
        found = path.stat()
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def sha256_of(path: Path, stat: dict[str, int] | None = None) -> str:
    """Hex digest of the bytes of a file. stat: what it was known by when it was read or opened.

    Raises InputError, which names it, also where it was changed meanwhile.
    """
    then = stat or stat_of(path)
    try:
        return _sha256(path, then["mtime_ns"], then["size"])
    except OSError as exc:
        raise _unreadable(path, exc) from exc


@lru_cache(maxsize=8)  # every frame of a video asks for the same file
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Hex digest of a file of this size and time of change. Raises OSError, InputError if it has others."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if stat_of(path) != {"size": size, "mtime_ns": mtime_ns}:
        raise InputError(f"{path}: was changed while it was read; run the same command again")
    return digest


def _unreadable(path: Path, exc: OSError) -> InputError:
    if isinstance(exc, FileNotFoundError):
        return MissingInputError(f"{path}: there is no such file; check the name")
    return InputError(f"{path}: cannot be read: {exc.strerror or exc}; check the file")
