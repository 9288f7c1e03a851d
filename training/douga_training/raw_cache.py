"""Productions of a folder as raw arrays mapped into memory, so that a crop costs only its own bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from douga.atomic import atomic_path
from douga.classes import NUM_CLASSES
from douga.errors import InputError
from douga_training.simulate.store import BROADCAST, is_written, read_image, stems

U8 = NDArray[np.uint8]
CACHE = ".raw"


class SceneFolder:
    """Read access to a folder in the layout of `douga simulate`.

    Unpacks each picture once into DIR/.raw/, and again where its PNG was written anew.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.names = list(names) if names is not None else stems(folder)

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int, kind: str) -> U8:
        """A picture, mapped read-only. kind: frame, broadcast, classes, cel_mask, alpha, cel or background.

        Raises InputError for a picture that is not there or cannot be read, and for a class map whose
        values are not class ids; OutputError where the folder cannot be written.
        """
        name = self.names[index]
        path = self.folder / CACHE / kind / f"{name}.npy"
        if not _is_fresh(path, self._source(index, kind)):
            self._unpack(path, kind, name)
        return np.load(path, mmap_mode="r")

    def has_broadcast(self, index: int) -> bool:
        """True where the frame has a broadcast twin."""
        return is_written(self.folder, self.names[index], with_broadcast=True)

    def has(self, index: int, kind: str) -> bool:
        """True where a kind of truth is there; a studio's own folder need not have them all."""
        return self._source(index, kind).is_file()

    def _source(self, index: int, kind: str) -> Path:
        folder = self.folder / BROADCAST / "frame" if kind == BROADCAST else self.folder / kind
        return folder / f"{self.names[index]}.png"

    def _unpack(self, path: Path, kind: str, name: str) -> None:
        if kind == BROADCAST:
            image = read_image(self.folder / BROADCAST, "frame", name)
        else:
            image = read_image(self.folder, kind, name)
        if kind == "classes" and (image.ndim != 2 or image.max() >= NUM_CLASSES):
            raise InputError(
                f"{self.folder / kind / name}.png: expected an indexed or grey PNG of class ids 0 to "
                f"{NUM_CLASSES - 1}, got {image.shape} up to {image.max()}; for colour-coded drawings use "
                "`douga simulate --drawing FILE`"
            )
        with atomic_path(path) as temporary:
            np.save(temporary, image)


def _is_fresh(path: Path, source: Path) -> bool:
    """True where the unpacked picture is there and its PNG is not newer."""
    try:
        return path.stat().st_mtime_ns >= source.stat().st_mtime_ns
    except FileNotFoundError:
        return False
