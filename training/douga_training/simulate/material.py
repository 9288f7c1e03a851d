"""A studio's own drawings and cels, read from files and placed in a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from douga.classes import NUM_CLASSES
from douga.errors import InputError, MissingInputError
from douga.frame_io import read_frame
from douga.palettes import Palette, load_palette, preset_names, read_drawing
from douga_training.simulate.given_cel import place_cel
from douga_training.simulate.given_drawing import paint_drawing
from douga_training.simulate.sheet import CelArt
from douga_training.simulate.store import CLASS_COLOURS

U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Material:
    """Something drawn by people. ids: (H, W) uint8 class ids.

    mask: (H, W) uint8, above 127 on the cel, or None where the drawing's own border says it. rgb: (H, W, 3)
    uint8 paint, or None for a drawing that gets new paint in every scene. name: of the file, for the record.
    """

    ids: U8
    mask: U8 | None
    rgb: U8 | None
    name: str


@dataclass(frozen=True)
class CelPicture:
    """A painted cel with an alpha that nobody traced: it stays in its file until a scene shows it."""

    path: Path

    @property
    def name(self) -> str:
        """Of the file, for the record."""
        return self.path.name

    def read(self) -> Material:
        """Its paint and alpha; the classes are flat everywhere. Raises InputError."""
        rgba = _transparent(self.path)
        return Material(np.zeros(rgba.shape[:2], np.uint8), *_split(rgba), self.name)


def find_cel_pictures(path: Path) -> list[CelPicture]:
    """A picture, or all PNG pictures of a folder by name, each looked into.

    Raises InputError where one is opaque or empty, MissingInputError where there is none.
    """
    if not path.is_dir():
        found = [path]
    elif not (found := sorted(path.glob("[!.]*.png"))):
        raise MissingInputError(f"{path}: no PNG pictures of cels here")
    for file in found:
        if not _transparent(file)[..., 3].any():
            raise InputError(f"{file}: nothing is painted; its alpha is 0 everywhere")
    return [CelPicture(file) for file in found]


def read_douga(path: Path, palette: Palette, mask: Path | None = None) -> Material:
    """A colour-traced drawing, or a class map: grey, or indexed in the colours of one of ours, ids 0 to 9.

    Other indexed pictures are read by their colours: paint programs number these as they like. Raises
    InputError. mask: picture that is white on the cel.
    """
    image = _open(path)
    ids = np.asarray(image)
    if not _is_class_map(image, ids, palette):
        ids = read_drawing(read_frame(path).rgb, palette).ids
    return Material(ids, _mask(mask, ids), None, path.name)


def read_cel(path: Path, classes: Path, mask: Path | None = None) -> Material:
    """A painted cel with its class map.

    Its own alpha is the mask, unless another is given. Raises InputError.
    """
    rgba = np.asarray(_open(path).convert("RGBA")) if mask else _transparent(path)
    ids = np.asarray(_open(classes))
    if ids.ndim != 2 or ids.shape != rgba.shape[:2] or ids.max() >= NUM_CLASSES:
        raise InputError(
            f"{classes}: expected class ids 0 to {NUM_CLASSES - 1} in a grey or indexed picture of "
            f"{rgba.shape[1]}x{rgba.shape[0]}, the size of {path.name}"
        )
    alpha, rgb = _split(rgba)
    given = _mask(mask, ids)
    return Material(ids.astype(np.uint8), alpha if given is None else given, rgb, path.name)


def place(material: Material | CelPicture, size_wh: tuple[int, int], rng: np.random.Generator) -> CelArt:
    """Paint the material, if it has no paint, and put it somewhere in a frame of this size."""
    if isinstance(material, CelPicture):
        material = material.read()
    rgb, mask, ids = material.rgb, material.mask, material.ids
    if rgb is None or mask is None:
        painted = paint_drawing(ids, rng, cel=mask)
        rgb, mask, ids = painted.rgb, painted.alpha, painted.ids
    rows, columns = np.flatnonzero(mask.max(1)), np.flatnonzero(mask.max(0))
    if not len(rows):
        raise InputError(f"{material.name}: nothing of it is cel; check its mask")
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    part = np.s_[top:bottom, left:right]
    w, h = size_wh
    scale = h * float(np.exp(rng.uniform(np.log(0.45), np.log(1.5)))) / (bottom - top)
    scale = min(scale, 1.25)  # larger, the lines would be blurred by enlargement
    wide, tall = (right - left) * scale, (bottom - top) * scale
    x = round(float(rng.uniform(0.2, 0.8)) * w - wide / 2)
    y = round(h - tall * float(rng.uniform(0.6, 1.05)))
    flip = np.s_[:, ::-1] if rng.random() < 0.5 else np.s_[:, :]
    rgb, mask, ids = (np.ascontiguousarray(image[part][flip]) for image in (rgb, mask, ids))
    return place_cel(rgb, mask, ids, size_wh, (x, y), scale)


def _is_class_map(image: Image.Image, raw: NDArray[np.generic], palette: Palette) -> bool:
    if image.mode not in ("L", "P") or int(raw.max()) >= NUM_CLASSES:
        return False
    if image.mode == "L":
        return True
    ours = [CLASS_COLOURS.tobytes()]
    ours += [bytes(sum(each.written, ())) for each in (palette, *map(load_palette, preset_names()))]
    return bytes(image.getpalette("RGB") or [])[: 3 * NUM_CLASSES] in ours


def _mask(path: Path | None, ids: U8) -> U8 | None:
    if path is None:
        return None
    mask = np.asarray(_open(path).convert("L"))
    if mask.shape != ids.shape:
        raise InputError(
            f"{path}: is {mask.shape[::-1]}, expected {ids.shape[::-1]} (width, height) as the drawing"
        )
    return mask


def _transparent(path: Path) -> U8:
    """(H, W, 4) uint8, straight. Raises InputError where it is opaque."""
    rgba = np.asarray(_open(path).convert("RGBA"))
    if rgba[..., 3].min() == 255:
        raise InputError(
            f"{path}: has no transparency; give its class map and a mask as second and third file of --cel"
        )
    return rgba


def _split(rgba: U8) -> tuple[U8, U8]:
    """Alpha (H, W) and colours (H, W, 3)."""
    return np.ascontiguousarray(rgba[..., 3]), np.ascontiguousarray(rgba[..., :3])


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError as exc:
        raise MissingInputError(f"{path}: not there") from exc
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as exc:
        raise InputError(f"{path}: not a readable picture ({exc})") from exc
