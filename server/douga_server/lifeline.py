"""A process whose end is the server's."""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Lifeline:
    """Holds on to the process `pid`, so that another one that is given its number later is not taken for it.

    On Windows nothing can be told, and it never has ended.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._handle, self._has_ended = pid, -1, False
        try:
            if hasattr(os, "pidfd_open"):
                self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self._has_ended = True
        except OSError:  # an older kernel, or a sandbox that forbids it
            self._handle = -1

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by now; one that nobody has waited for yet has."""
        if not self._has_ended:
            self._has_ended = self._is_readable() if self._handle >= 0 else _is_gone(self._pid)
        return self._has_ended

    def _is_readable(self) -> bool:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(0))


def _is_gone(pid: int) -> bool:
    if os.name == "nt":  # signal 0 would end it
        return False
    with suppress(PermissionError):  # somebody else's now or always
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
    return False
