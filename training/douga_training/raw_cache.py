"""Productions of a folder as raw arrays mapped into memory, so that a crop costs only its own bytes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from douga.atomic import atomic_path
from douga.classes import NUM_CLASSES
from douga.errors import InputError
from douga.frame_io import read_frame
from douga_training.simulate.store import BROADCAST, FOUND, is_simulated, is_written, read_image, stems

U8 = NDArray[np.uint8]
CACHE = ".raw"
FOUND_IN_TWIN = f"{FOUND}_broadcast"
# Kinds that lie elsewhere than in a folder of their name.
_ELSEWHERE = {BROADCAST: f"{BROADCAST}/frame", FOUND_IN_TWIN: f"{BROADCAST}/{FOUND}"}
_ORIENTATION, _ON_ITS_SIDE = 0x0112, 5  # of EXIF: the entry, and the first value that swaps the sides


class SceneFolder:
    """Read access to a folder in the layout of `douga simulate`.

    Unpacks each picture once into DIR/.raw/, and again where its PNG is another one.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.names = list(names) if names is not None else stems(folder)

    def __len__(self) -> int:
        return len(self.names)

    def part(self, names: Sequence[str]) -> SceneFolder:
        """The same folder, of these names only."""
        return type(self)(self.folder, names)

    def image(self, index: int, kind: str) -> U8:
        """A picture, mapped read-only. kind: frame, broadcast, classes, cel_mask, alpha, cel, background, or
        what stage one finds in the frame or in its twin, FOUND or FOUND_IN_TWIN.

        Raises InputError for a picture that is not there or cannot be read, and for a class map whose
        values are not class ids; OutputError where the folder cannot be written.
        """
        name = self.names[index]
        path = self.folder / CACHE / kind / f"{name}.npy"
        date = _date(self._source(index, kind))
        if date is None or _date(path) != date:  # a PNG that took the place of another may be older than it
            self._unpack(path, kind, name)
            with contextlib.suppress(FileNotFoundError):  # another process may be unpacking the same one
                os.utime(path, ns=(date or 0, date or 0))
        return np.load(path, mmap_mode="r")

    def shape(self, index: int, kind: str = "frame") -> tuple[int, int]:
        """Height and width of a picture, from its file's header. Raises InputError."""
        width, height = size_wh(self._source(index, kind))
        return height, width

    def has_broadcast(self, index: int) -> bool:
        """True where the frame has a broadcast twin."""
        return is_written(self.folder, self.names[index], with_broadcast=True)

    def has(self, index: int, kind: str) -> bool:
        """True where a kind of truth is there; a studio's own folder need not have them all."""
        return self._source(index, kind).is_file()

    def _source(self, index: int, kind: str) -> Path:
        return self.folder / _ELSEWHERE.get(kind, kind) / f"{self.names[index]}.png"

    def _unpack(self, path: Path, kind: str, name: str) -> None:
        place = Path(_ELSEWHERE.get(kind, kind))
        made_by = f"python -m douga_training.found_masks {self.folder}" if place.name == FOUND else ""
        if kind == "frame" and not is_simulated(self.folder):
            image = read_as_in_use(self.folder / kind / f"{name}.png")
        else:
            image = read_image(self.folder / place.parent, place.name, name, made_by)
        if kind == "classes" and (image.ndim != 2 or image.max() >= NUM_CLASSES):
            raise InputError(
                f"{self.folder / kind / name}.png: expected an indexed or grey PNG of class ids 0 to "
                f"{NUM_CLASSES - 1}, got {image.shape} up to {image.max()}; `douga label` makes them of "
                "colour-coded drawings"
            )
        with atomic_path(path) as temporary:
            np.save(temporary, image)


def read_as_in_use(path: Path) -> U8:
    """A studio's picture as `douga reconstruct` sees it, (H, W, 3): profile and depth converted, and told."""
    frame = read_frame(path)
    for warning in frame.warnings:
        tqdm.write(f"note: {path}: {warning}", file=sys.stderr)
    return frame.rgb


def size_wh(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is read, from its header alone. Raises InputError."""
    try:
        with Image.open(path) as image:
            # A PNG is unpacked whole to look for its EXIF, unless that stands in front.
            told = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            lies = told.get(_ORIENTATION, 1) >= _ON_ITS_SIDE
            return (image.height, image.width) if lies else image.size
    except (OSError, UnidentifiedImageError, ValueError) as exc:
        raise InputError(f"{path}: cannot be read as a picture ({exc}); write it again") from exc


def _date(path: Path) -> int | None:
    """When a file was last written, in ns; None where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
