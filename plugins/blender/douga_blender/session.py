"""The one `Studio` of this Blender, made when it is first asked for."""

from __future__ import annotations

from douga_client.warm import warm_up

from .model import Studio

_studio: Studio | None = None


def studio() -> Studio:
    """The queue that operators and panels share."""
    global _studio
    if _studio is None:
        from .document import BlenderDocument

        _studio = Studio(BlenderDocument(), _open, warm_up)
    return _studio


def end() -> None:
    """Give everything up."""
    global _studio
    if _studio is not None:
        _studio.close()
    _studio = None


def _open():  # type: ignore[no-untyped-def]
    from douga_client.client import open_client
    from douga_client.settings import read

    return open_client(read())
