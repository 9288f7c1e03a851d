"""The one queue of this Blender, made when it is first asked for."""

from __future__ import annotations

from douga_client.tasks import TaskQueue
from douga_client.warm import warm_up

_queue: TaskQueue | None = None


def queue() -> TaskQueue:
    """What operators and panels share."""
    global _queue
    if _queue is None:
        _queue = TaskQueue(_open, warm_up)
    return _queue


def end() -> None:
    """Give everything up."""
    global _queue
    if _queue is not None:
        _queue.close()
    _queue = None


def _open():  # type: ignore[no-untyped-def]
    from douga_client.client import open_client
    from douga_client.settings import read

    return open_client(read())
