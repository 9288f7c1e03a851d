"""What the system says of an error."""

from __future__ import annotations

import os


def is_closed_pipe(error: OSError) -> bool:
    """Whether the other side has gone."""
    return isinstance(error, (BrokenPipeError, ConnectionResetError, ConnectionAbortedError))


def in_words(error: OSError) -> str:
    """What the system says of an error, without numbers and paths."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
