"""What the C library keeps of memory that was given back."""

from __future__ import annotations

import ctypes
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


def share_one_arena() -> bool:
    """Let all threads allocate from one arena, where the C library is glibc. Returns whether it does so.

    glibc gives up to eight arenas for each core, and each keeps what it once needed: a flood that moves from
    thread to thread of gRPC would be paid for in several. To be called before there are other threads.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    return bool(libc.mallopt(_ARENA_MAX, 1))
