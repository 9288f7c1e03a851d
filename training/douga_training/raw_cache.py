"""Productions of a folder as raw arrays that are mapped into memory, so that a crop costs only its own bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.store import BROADCAST, is_written, read_image, stems

U8 = NDArray[np.uint8]
CACHE = ".raw"


class SceneFolder:
    """Read access to a folder in the layout of `douga simulate`. Unpacks each picture once into DIR/.raw/."""

    def __init__(self, folder: Path, names: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.names = list(names) if names is not None else stems(folder)

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int, kind: str) -> U8:
        """A picture, mapped read-only. kind: frame, broadcast, classes, cel_mask, alpha, cel or background."""
        name = self.names[index]
        path = self.folder / CACHE / kind / f"{name}.npy"
        if not path.is_file():
            self._unpack(path, kind, name)
        return np.load(path, mmap_mode="r")

    def has_broadcast(self, index: int) -> bool:
        """True where the frame has a broadcast twin."""
        return is_written(self.folder, self.names[index], with_broadcast=True)

    def has(self, index: int, kind: str) -> bool:
        """True where a kind of truth is there; a studio's own folder need not have them all."""
        return (self.folder / kind / f"{self.names[index]}.png").is_file()

    def _unpack(self, path: Path, kind: str, name: str) -> None:
        if kind == BROADCAST:
            image = read_image(self.folder / BROADCAST, "frame", name)
        else:
            image = read_image(self.folder, kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with open(temporary, "wb") as file:
            np.save(file, image)
        temporary.replace(path)
