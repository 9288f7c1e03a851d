"""Ctrl-C ends a run between two steps, with all that it has learned kept; a second one at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tqdm import tqdm


class Interrupted(KeyboardInterrupt):
    """A run was stopped by its user, and its checkpoint is written. step: how far it came."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


@contextmanager
def stop_between_steps() -> Iterator[threading.Event]:
    """While it is open, the first Ctrl-C only sets the event that it gives.

    Does nothing outside the main thread, where signals cannot be caught.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        tqdm.write("douga: stopping after this step; again to stop at once", file=sys.stderr)

    former = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, former)
