"""The weights that come with the package, and those that were imported, found without loading torch."""

from __future__ import annotations

import os
from pathlib import Path

# What is used where nobody asks for anything else.
CEL_WEIGHTS = "cel-small"
LINES_WEIGHTS = "lines-small"
CUTOUT_WEIGHTS = "cutout-small"


def shipped_weights() -> dict[str, Path]:
    """Path by name: ``{"cel-small": Path(".../cel-small.safetensors"), ...}``."""
    return _in_folder(Path(__file__).parent / "weights")


def imported_folder() -> Path:
    """Where `douga weights import` puts weights: douga/weights in the user's folder for data.

    That is $XDG_DATA_HOME or ~/.local/share, and %LOCALAPPDATA% on Windows.
    """
    folder = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_DATA_HOME", "")
    return Path(folder or Path.home() / ".local" / "share") / "douga" / "weights"


def imported_weights() -> dict[str, Path]:
    """Path by name of what this user has imported."""
    return _in_folder(imported_folder())


def known_weights() -> dict[str, Path]:
    """Everything that can be asked for by name. A shipped name means the shipped file."""
    return imported_weights() | shipped_weights()


def _in_folder(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
