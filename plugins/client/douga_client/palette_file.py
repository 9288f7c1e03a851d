"""A studio's palette (TOML, as the presets of Douga are) as the client sends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .api import Palette, PaletteClass
from .choice import CLASS_KEYS

_MOST_BYTES = 1 << 20


class PaletteFileError(Exception):
    """The file is none; the message says why."""


def chosen_palette(text: str) -> Palette | None:
    """What was entered: "" for the server's default, a preset's name, or the path of a file.

    Raises PaletteFileError, see `read_palette`.
    """
    name = text.strip()
    if not name:
        return None
    return read_palette(Path(name)) if name.lower().endswith(".toml") else Palette(name)


def read_palette(path: Path) -> Palette:
    """Raises PaletteFileError for a file that cannot be read or is no palette."""
    try:
        import tomllib
    except ImportError as exc:
        raise PaletteFileError("this host's Python cannot read TOML; it needs 3.11 or later") from exc
    try:
        with open(path, "rb") as file:
            document = tomllib.loads(file.read(_MOST_BYTES).decode("utf-8"))
    except (OSError, ValueError) as exc:
        raise PaletteFileError(str(exc)) from exc
    colours = document.get("colours")
    if not isinstance(colours, dict):
        raise PaletteFileError("the section [colours] is missing")
    unknown = sorted(set(colours) - set(CLASS_KEYS))
    if unknown:
        raise PaletteFileError(f"unknown class {unknown[0]}")
    missing = [key for key in CLASS_KEYS if not colours.get(key)]
    if missing:
        raise PaletteFileError(f"no colour for {missing[0]}")
    classes = (
        PaletteClass(number, key, key.replace("_", " "), tuple(_colour(c) for c in _list(colours[key])))
        for number, key in enumerate(CLASS_KEYS)
    )
    return Palette(path.stem, tuple(classes))


def _list(value: Any) -> list[Any]:
    one = isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], int))
    return [value] if one else list(value)


def _colour(value: Any) -> int:
    if isinstance(value, str) and len(value) == 7 and value[0] == "#":
        try:
            return int(value[1:], 16)
        except ValueError:
            pass
    elif (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, int) and 0 <= v <= 255 for v in value)
    ):
        return value[0] << 16 | value[1] << 8 | value[2]
    raise PaletteFileError(f'{value!r} is no colour; write "#rrggbb" or [red, green, blue]')
