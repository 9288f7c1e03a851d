"""A user's own cel masks in place of stage one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from douga.errors import InputError, MissingInputError
from douga.file_state import sha256_of, stat_of
from douga.frame_io import pictures_by_stem, read_frame
from douga.srgb import TRANSPARENT
from douga.types import CelMask, Frame


@dataclass(frozen=True)
class OwnMasks:
    """Stage one by hand: call it with a frame and get the user's mask of it.

    path: one image for all frames, or a folder with an image per frame, of the frame's name and any suffix. A
    folder is looked through once.
    """

    path: Path

    def __call__(self, frame: Frame) -> CelMask:
        """Read the mask of a frame: light is cel, dark is not, 128 and above counting as light.

        Raises MissingInputError when the frame has none, InputError when it has two, or one in colour, partly
        transparent or of another size.
        """
        path = self._find(frame.name)
        read = read_frame(path)
        if TRANSPARENT in read.warnings:
            raise InputError(f"{path}: the mask has transparent parts; save it without alpha, white is cel")
        rgb = read.rgb
        height, width = rgb.shape[:2]
        if (height, width) != frame.size_hw:
            raise InputError(
                f"{path}: the mask is {width} x {height} px but the frame {frame.name} is "
                f"{frame.size_hw[1]} x {frame.size_hw[0]} px; they have to be the same size"
            )
        if (rgb[..., :1] != rgb[..., 1:]).any():
            raise InputError(f"{path}: expected a grey mask (white is cel), got a picture in colour")
        return CelMask(np.where(rgb[..., 0] >= 128, np.uint8(255), np.uint8(0)))

    def check(self) -> None:
        """Raises MissingInputError where there is neither an image nor a folder, before any work is spent."""
        if not self.path.is_file() and not self.path.is_dir():
            raise MissingInputError(
                f"{self.path}: no such file or folder; --mask takes an image or a folder of them"
            )

    @property
    def files(self) -> list[Path]:
        """All of them, whether or not there are frames of their names. Raises InputError."""
        self.check()
        if self.path.is_file():
            return [self.path]
        return [path for found in self._by_stem.values() for path in found]

    def stat(self, name: str) -> dict[str, int]:
        """Size and time of change of the file that holds the mask of the frame of this name.

        Raises MissingInputError when the frame has none, InputError when it has two or it cannot be read.
        """
        return stat_of(self._find(name))

    def sha256(self, name: str, stat: dict[str, int] | None = None) -> str:
        """Hex digest of that file. Raises as `stat` does, also where it has another stat by now."""
        return sha256_of(self._find(name), stat)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        try:
            return pictures_by_stem(self.path)
        except OSError as exc:
            raise InputError(f"{self.path}: cannot be read: {exc.strerror or exc}; check the folder") from exc

    def _find(self, name: str) -> Path:
        self.check()
        if self.path.is_file():
            return self.path
        found = self._by_stem.get(name, [])
        if len(found) > 1:
            raise InputError(
                f"{self.path}: {' and '.join(p.name for p in found)} could both be the mask of {name}; keep "
                "one of them there"
            )
        if not found:
            raise MissingInputError(
                f"{self.path}: no mask for the frame {name}; expected e.g. {self.path / name}.png"
            )
        return found[0]
