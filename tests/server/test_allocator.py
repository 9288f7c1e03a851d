"""One arena for all threads; each look in a process of its own, which keeps what it was told."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="arenas are glibc's")
THREADS = """
import ctypes, threading
from douga_server.allocator import share_one_arena
libc = ctypes.CDLL(None)
if not hasattr(libc, "malloc_info"):
    raise SystemExit(3)
libc.fdopen.restype = libc.malloc.restype = ctypes.c_void_p
all_there = threading.Barrier(8)
def allocate():
    all_there.wait()
    libc.malloc(1000)
    all_there.wait()
{begin}
threads = [threading.Thread(target=allocate) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


def arenas(begin: str) -> int:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    code = THREADS.format(begin=begin)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain)
    if run.returncode == 3:
        pytest.skip("another C library")
    assert not run.returncode, run.stderr
    return run.stdout.count("<heap nr=")


def test_threads_share_one_arena() -> None:
    assert arenas("assert share_one_arena()") == 1


def test_by_default_threads_have_arenas_of_their_own() -> None:
    assert arenas("") > 1
