"""The weights that come with the package, and those that were imported, found without loading torch."""

from __future__ import annotations

import os
from pathlib import Path

from douga.errors import CheckpointError

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


def weights_path(path_or_name: str | Path) -> Path:
    """The file of shipped or imported weights, or any other. Raises CheckpointError where there is none."""
    path = known_weights().get(str(path_or_name), Path(path_or_name))
    if not path.is_file():
        names = ", ".join(known_weights()) or "none"
        raise CheckpointError(
            f"{path_or_name}: no such weights; give a .safetensors file or a name ({names})"
        )
    return path


def _in_folder(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
