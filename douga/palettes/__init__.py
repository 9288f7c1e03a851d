"""Palettes: which colours mean which class. A palette is data (TOML), since no studio agrees with another."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from douga.classes import NUM_CLASSES, DougaClass
from douga.errors import PaletteError
from douga.palettes.reading import Reader
from douga.types import U8, ClassMap

Rgb = tuple[int, int, int]
_SUFFIX = ".toml"
_EXAMPLE = 'write it as "#rrggbb" or as [red, green, blue] with whole numbers from 0 to 255'


@dataclass(frozen=True)
class Palette:
    """Colours of the ten classes.

    name: the preset's name or the file's stem.
    colours: one entry a class, by id; each holds one sRGB triple or more, 0 to 255. The first is written,
    all are read.
    """

    name: str
    colours: tuple[tuple[Rgb, ...], ...]

    def __post_init__(self) -> None:
        if len(self.colours) != NUM_CLASSES or not all(self.colours):
            raise PaletteError(f"palette {self.name}: expected colours for each of {NUM_CLASSES} classes")
        owner: dict[Rgb, DougaClass] = {}
        for cls, choices in zip(DougaClass, self.colours, strict=True):
            for colour in choices:
                if len(colour) != 3 or not all(type(v) is int and 0 <= v <= 255 for v in colour):
                    raise PaletteError(f"palette {self.name}: {cls.key}: {colour} is no colour; {_EXAMPLE}")
                if owner.setdefault(colour, cls) != cls:
                    raise PaletteError(
                        f"palette {self.name}: {hex_of(colour)} stands under both {owner[colour].key} and "
                        f"{cls.key}; change it in one of them, as far as you can see"
                    )

    @property
    def written(self) -> tuple[Rgb, ...]:
        """The ten colours that drawings are written with, by class id."""
        return tuple(choices[0] for choices in self.colours)

    @property
    def label(self) -> str:
        """Its name in a record: with a mark of its colours where it is no preset."""
        if self.name in preset_names() and self == load_palette(self.name):
            return self.name
        return f"{self.name} {hashlib.sha256(repr(self.colours).encode()).hexdigest()[:8]}"


def hex_of(colour: Rgb) -> str:
    """(255, 0, 128) -> "#ff0080"."""
    return "#" + bytes(colour).hex()


def preset_names() -> tuple[str, ...]:
    """Names of the palettes that ship with Douga, in alphabetical order."""
    files = (Path(entry.name) for entry in resources.files(__name__).iterdir())
    return tuple(sorted(f.stem for f in files if f.suffix == _SUFFIX))


def load_palette(name_or_path: str | Path) -> Palette:
    """Load a preset by name, or a studio's own TOML file (kugler.toml says how to write one).

    Raises PaletteError with the file's name and the mend.
    """
    name = str(name_or_path)
    try:
        if name in preset_names():
            text = (resources.files(__name__) / (name + _SUFFIX)).read_text("utf-8")
        else:
            text = Path(name_or_path).read_text("utf-8-sig")  # as some Windows editors save it
    except FileNotFoundError as exc:
        known = ", ".join(preset_names())
        raise PaletteError(f"palette {name}: no such preset or file; presets are {known}") from exc
    except (OSError, UnicodeError) as exc:
        raise PaletteError(f"palette {name}: cannot be read as a text file: {exc}") from exc
    try:
        return _parse(name, tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise PaletteError(f"palette {name}: not valid TOML: {exc}") from exc


def _parse(name: str, data: dict[str, object]) -> Palette:
    table = data.get("colours")
    unknown = sorted(data.keys() - {"description", "colours"})
    if unknown:
        raise PaletteError(f"palette {name}: unknown key {unknown[0]}; expected description and [colours]")
    if not isinstance(table, dict):
        raise PaletteError(f"palette {name}: it has no table [colours]; copy the one of a preset")
    keys = [c.key for c in DougaClass]
    unknown = sorted(table.keys() - set(keys))
    if unknown:
        raise PaletteError(f"palette {name}: unknown class {unknown[0]}; the classes are {', '.join(keys)}")
    missing = [key for key in keys if not table.get(key)]
    if missing:
        raise PaletteError(f"palette {name}: no colour for {', '.join(missing)}; give each class one or more")
    return Palette(Path(name).stem, tuple(_colours_of(name, key, table[key]) for key in keys))


def _colours_of(name: str, key: str, value: object) -> tuple[Rgb, ...]:
    """One colour or a list of them -> sRGB triples."""
    is_one = isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, int) for v in value))
    entries = [value] if is_one or not isinstance(value, list) else value
    return tuple(_colour_of(name, key, entry) for entry in entries)


def _colour_of(name: str, key: str, entry: object) -> Rgb:
    if isinstance(entry, str) and len(entry) == 7 and entry[0] == "#":
        try:
            r, g, b = bytes.fromhex(entry[1:])
            return r, g, b
        except ValueError:
            pass  # told below
    elif isinstance(entry, list) and len(entry) == 3 and all(type(v) is int and 0 <= v <= 255 for v in entry):
        return entry[0], entry[1], entry[2]
    raise PaletteError(f"palette {name}: {key}: {entry!r} is no colour; {_EXAMPLE}")


def paint(class_map: ClassMap, palette: Palette) -> U8:
    """Class map -> drawing in the written colours: (H, W, 3) uint8 sRGB, not antialiased."""
    return np.array(palette.written, np.uint8)[class_map.ids]


def read_drawing(rgb: U8, palette: Palette) -> ClassMap:
    """An animator's colour-coded drawing -> class map.

    rgb: (H, W, 3) uint8 sRGB, antialiased or not. Each pixel takes the class of the nearest colour, but
    softened borders do not: where a colour is only the blend of its two neighbours, it takes the class of
    one of them (the line's, where the line covers half of the pixel or would break without it). Reads
    `paint`'s colours back exactly.
    """
    colours = [c for choices in palette.colours for c in choices]
    classes = [cls for cls, choices in zip(DougaClass, palette.colours, strict=True) for _ in choices]
    return ClassMap(Reader(np.array(colours, np.float32), np.array(classes, np.uint8)).read(rgb))
