"""The one queue of this Blender, made when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import bpy
from douga_client.tasks import TaskQueue
from douga_client.warm import warm_up

_queue: TaskQueue | None = None


def queue() -> TaskQueue:
    """What operators and panels share."""
    global _queue
    if _queue is None:
        _queue = TaskQueue(_open, _warm_up)
    return _queue


def warm_soon() -> None:
    """Somebody looks at the panel: load what a click needs, a piece a turn of a timer. Nothing connects."""
    if not queue().is_warm and not bpy.app.timers.is_registered(_warm):
        bpy.app.timers.register(_warm, first_interval=0.3)


def end() -> None:
    """Give everything up."""
    global _queue
    if bpy.app.timers.is_registered(_warm):
        bpy.app.timers.unregister(_warm)
    if _queue is not None:
        _queue.close()
    _queue = None


def _warm() -> float | None:
    queue().warm()
    queue().tick()
    return None if queue().is_warm else 0.02


def _warm_up() -> Iterator[None]:
    yield from warm_up()
    with suppress(ImportError):  # the document says so where it is missing
        import numpy  # noqa: F401
    yield


def _open():  # type: ignore[no-untyped-def]
    from douga_client.client import open_client
    from douga_client.settings import read

    return open_client(read())
