"""The environment for a Python that is not the host's own."""

from __future__ import annotations

import os

_OF_THE_HOST = ("PYTHON", "LD_LIBRARY_PATH", "DYLD_", "QT_PLUGIN_PATH", "GI_TYPELIB_PATH")


def clean_environment() -> dict[str, str]:
    """Ours without what the host set for itself: its Python's paths and its own libraries.

    Krita hands its PYTHONPATH to children, AppImages and Snaps their library paths.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_HOST)}
