"""The production simulator: labelled frames from a seed.

    from douga_training.simulate import draw_production, production_twins
    made = draw_production(7)              # frame, classes, cel_mask, alpha, book_mask, background, cel
    lossless, aired = production_twins(7)  # two frames, one truth

`production` puts a frame together; `layout` says what is in it; `body`, `things`, `backgrounds` and `books`
draw it on a `sheet`; `material` brings what a studio drew itself; `compositing` and `broadcast` finish the
frame; `store` and `command` write it down.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Production": "production",
    "Scene": "production",
    "draw_scene": "production",
    "draw_production": "production",
    "production_twins": "production",
    "read_production": "store",
    "write_production": "store",
    "stems": "store",
    "Job": "command",
    "render": "command",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Load a part of the simulator when it is first asked for: drawing tools need no video encoder."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
