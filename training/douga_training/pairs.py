"""A studio's own cutouts to train from, in the layout of ToonOut's data: im/NAME.* and gt/NAME.*.

    DIR/train/im/NAME.png   pictures, of any format that Douga reads     DIR/val/...    the same, to choose by
    DIR/train/gt/NAME.png   their alphas, grey, white is opaque          DIR/test/...   not looked at here

Each of the three may also hold sub-folders with im/ and gt/ of their own, as ToonOut's does by category.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from douga.atomic import atomic_path
from douga.errors import InputError, MissingInputError
from douga.frame_io import IMAGE_SUFFIXES
from douga_training.raw_cache import CACHE, SceneFolder, read_as_in_use, size_wh

U8 = NDArray[np.uint8]
IMAGES, ALPHAS = "im", "gt"
TRAIN, VALIDATION, TEST = "train", "val", "test"


def holds_pairs(folder: Path) -> bool:
    """True where a folder, or a sub-folder of it, has im/ in it."""
    return any((place / IMAGES).is_dir() for place in _places(folder))


class PairFolder(SceneFolder):
    """Read access to pictures and alphas as if they were frames of `douga simulate`.

    Its kinds are "frame" and "alpha"; names are NAME or SUB/NAME. The pairs are looked at when it is made:
    raises MissingInputError for a picture without an alpha or a folder without pictures, InputError for two
    files of one name, an alpha of another size or a file that is no picture.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None) -> None:
        self._files: dict[str, tuple[Path, Path]] = {}
        for place in _places(folder):
            self._files |= _pairs(folder, place)
        if not self._files:
            raise MissingInputError(f"{folder}: no pictures here; expected {folder / IMAGES / 'NAME.png'}")
        if names is None:
            for picture, alpha in self._files.values():
                _check_sizes(picture, alpha)
        super().__init__(folder, list(self._files) if names is None else names)

    def has_broadcast(self, index: int) -> bool:
        """False: a studio's pictures have no twins."""
        return False

    def has(self, index: int, kind: str) -> bool:
        """True for the two kinds that there are."""
        return kind in ("frame", "alpha")

    def _source(self, index: int, kind: str) -> Path:
        picture, alpha = self._files[self.names[index]]
        return alpha if kind == "alpha" else picture

    def _unpack(self, path: Path, kind: str, name: str) -> None:
        picture, alpha = self._files[name]
        rgb = read_as_in_use(alpha if kind == "alpha" else picture)
        if kind == "alpha" and (rgb[..., :1] != rgb[..., 1:]).any():
            raise InputError(f"{alpha}: expected a grey picture, white is opaque, got one in colour")
        with atomic_path(path) as temporary:
            np.save(temporary, rgb[..., 0] if kind == "alpha" else rgb)


def _places(folder: Path) -> list[Path]:
    """The folder and its sub-folders, in order; not the cache."""
    if not folder.is_dir():
        return []
    return [folder, *sorted(p for p in folder.iterdir() if p.is_dir() and p.name != CACHE)]


def _pairs(folder: Path, place: Path) -> dict[str, tuple[Path, Path]]:
    """Picture and alpha by name, of one im/ and its gt/."""
    alphas = _by_stem(place / ALPHAS)
    pairs = {}
    for stem, picture in _by_stem(place / IMAGES).items():
        if stem not in alphas:
            raise MissingInputError(
                f"{picture}: has no alpha; expected {place / ALPHAS / stem}.png, grey and of its size, or "
                "move the picture away"
            )
        pairs[(place / stem).relative_to(folder).as_posix()] = picture, alphas[stem]
    return pairs


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("[!.]*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.stem in found:
            raise InputError(f"{found[path.stem]} and {path} have one name; leave one of them")
        found[path.stem] = path
    return found


def _check_sizes(picture: Path, alpha: Path) -> None:
    (w, h), (alpha_w, alpha_h) = (size_wh(path) for path in (picture, alpha))
    if (w, h) != (alpha_w, alpha_h):
        raise InputError(
            f"{alpha}: is {alpha_w} x {alpha_h} px but its picture {picture} is {w} x {h} px; give an alpha "
            "of the picture's size"
        )
