"""The weights that come with the package, found without loading torch."""

from __future__ import annotations

from pathlib import Path

# What is used where nobody asks for anything else.
CEL_WEIGHTS = "cel-small"
LINES_WEIGHTS = "lines-small"


def shipped_weights() -> dict[str, Path]:
    """Path by name: ``{"cel-small": Path(".../cel-small.safetensors"), ...}``."""
    folder = Path(__file__).parent / "weights"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
