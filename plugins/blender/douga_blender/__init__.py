"""Douga for Blender: finished anime frames taken apart into lines, areas and cel.

`document` and `nodes` touch the scene, `model` holds the jobs, everything else only binds the two.
"""

from __future__ import annotations

bl_info = {
    "name": "Douga",
    "author": "The Douga developers",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "Image Editor and Compositor > Sidebar > Douga",
    "description": "Reconstruct douga from finished anime frames",
    "category": "Compositing",
}


def register() -> None:
    """Add our classes and texts. Nothing is read, started or connected to."""
    from . import operators, panel, preferences, properties, texts

    texts.register()
    for module in (preferences, properties, operators, panel):
        module.register()


def unregister() -> None:
    """Give up what is under way and take everything away again."""
    from . import operators, panel, preferences, properties, texts

    for module in (panel, operators, properties, preferences):
        module.unregister()
    texts.unregister()
