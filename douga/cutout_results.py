"""A cutout -> the files of one frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.cutout import Cutout
from douga.errors import InputError
from douga.export.exr import write_exr
from douga.export.png import encode_png
from douga.file_state import sha256_of, stat_of
from douga.frame_io import read_frame
from douga.results import is_there, prepare_folder, write_files
from douga.types import F32, U8

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Background:
    """What previews are laid over. picture: (h, w, 3) uint8 sRGB of any size, scaled to cover the frame and
    cut in the middle; one pixel is a plain colour. warnings: how its file was converted, for people. sha256:
    of that file.
    """

    picture: U8
    warnings: tuple[str, ...] = ()
    sha256: str | None = None

    @classmethod
    def of_colour(cls, rgb: Rgb) -> Background:
        """A plain colour, 0 to 255."""
        return cls(np.array([[rgb]], np.uint8))

    @classmethod
    def of_file(cls, path: Path) -> Background:
        """An image. Raises InputError, which names it."""
        stat = stat_of(path)
        frame = read_frame(path)
        warnings = tuple(f"{path}: {warning}" for warning in frame.warnings)
        return cls(frame.rgb, warnings, sha256_of(path, stat))

    def fitted(self, size_hw: tuple[int, int]) -> F32:
        """(H, W, 3) float32, 0 to 1, sRGB values, of a frame's size."""
        height, width = self.picture.shape[:2]
        scale = max(size_hw[0] / height, size_hw[1] / width)
        high, wide = (max(1, round(scale * side)) for side in (height, width))
        high, wide = max(high, size_hw[0]), max(wide, size_hw[1])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        cover = np.asarray(cv2.resize(self.picture, (wide, high), interpolation=method), np.float32)
        top, left = (high - size_hw[0]) // 2, (wide - size_hw[1]) // 2
        return cover[top : top + size_hw[0], left : left + size_hw[1]] / np.float32(255)


@dataclass(frozen=True)
class CutoutFolder:
    """Where the cutouts of a run go, and in which forms.

    depth: bits a channel of PNGs, 8 or 16. premultiplied, exr: write these too. background: lay previews over
    it. overwrite: replace what is there.
    """

    folder: Path
    depth: int = 8
    premultiplied: bool = False
    exr: bool = False
    background: Background | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.depth not in (8, 16):
            raise InputError(f"depth {self.depth}: a PNG has 8 or 16 bits a channel")

    @property
    def kinds(self) -> dict[str, str]:
        """Suffix by kind of all results there may be, asked for or not; a kind's folder has its name."""
        return {"cutout": "png", "alpha": "png", "premultiplied": "png", "preview": "png", "exr": "exr"}

    def prepare(self) -> None:
        """Make the folder and see that it can be written to, before any work is spent. Raises OutputError.

        What a killed run left unfinished in it is removed.
        """
        prepare_folder(self.folder, (self.folder / kind for kind in self.kinds))

    @property
    def asked(self) -> tuple[str, ...]:
        """The kinds that are asked for."""
        more = {"premultiplied": self.premultiplied, "preview": self.background is not None, "exr": self.exr}
        return tuple(kind for kind in self.kinds if more.get(kind, True))

    def paths(self, name: str) -> dict[str, Path]:
        """Path by kind of all results that the frame of this name may have, asked for or not."""
        return {kind: self.folder / kind / f"{name}.{suffix}" for kind, suffix in self.kinds.items()}

    def has_all(self, name: str) -> bool:
        """Whether every result of the frame is there already."""
        paths = self.paths(name)
        return all(is_there(paths[kind]) for kind in self.asked)

    def has_any(self, name: str) -> bool:
        """Whether some result of the frame is there already, asked for or not."""
        return any(is_there(path) for path in self.paths(name).values())

    def write(self, name: str, result: Cutout) -> None:
        """Write a frame's results, each file whole or not at all; without `overwrite` only those not there.

        Raises OutputError, which names the file.
        """
        paths = self.paths(name)
        pictures = {kind: paths[kind] for kind in self.asked if kind != "exr"}
        write_files(pictures, self._encoders(result), overwrite=self.overwrite)
        if self.exr and (self.overwrite or not is_there(paths["exr"])):
            write_exr(paths["exr"], result.colours, result.alpha)

    def _encoders(self, cutout: Cutout) -> dict[str, Callable[[], bytes]]:
        return {
            "cutout": lambda: self._png(straight_rgba(cutout)),
            "alpha": lambda: self._png(cutout.alpha),
            "premultiplied": lambda: self._png(premultiplied_rgba(cutout)),
            "preview": partial(self._preview, cutout),
        }

    def _preview(self, cutout: Cutout) -> bytes:
        assert self.background is not None
        behind = self.background.fitted(cutout.frame.size_hw)
        return encode_png(_whole_numbers(laid_over(cutout, behind), 255).astype(np.uint8))

    def _png(self, values: F32) -> bytes:
        if self.depth == 16:
            return encode_png(_whole_numbers(values, 65535).astype(np.uint16))
        return encode_png(_whole_numbers(values, 255).astype(np.uint8))


def straight_rgba(cutout: Cutout) -> F32:
    """(H, W, 4) float32, 0 to 1, sRGB values, straight alpha."""
    return np.dstack([cutout.colours, cutout.alpha])


def premultiplied_rgba(cutout: Cutout) -> F32:
    """(H, W, 4) float32, 0 to 1: sRGB values times alpha, and alpha."""
    return np.dstack([cutout.colours * cutout.alpha[..., None], cutout.alpha])


def laid_over(cutout: Cutout, behind: F32) -> F32:
    """A cutout over (H, W, 3) float32 sRGB values, mixed as values, as paint programs do; the same form."""
    return behind + cutout.alpha[..., None] * (cutout.colours - behind)


def _whole_numbers(values: F32, largest: int) -> NDArray[np.floating]:
    return np.rint(np.clip(values, 0, 1).astype(np.float32) * np.float32(largest))
