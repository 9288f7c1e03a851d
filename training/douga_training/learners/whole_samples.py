"""Samples of networks that see a whole picture at once, as BiRefNet and IS-Net do: small, kept in shape."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import torch
from torch import Tensor

from douga_training.data import U8, Numbers, Samples
from douga_training.picture import Picture
from douga_training.raw_cache import SceneFolder
from douga_training.recipe import Recipe

_LOOKED_AT = 64  # pictures whose shapes are asked for
_DRAWN_HW = (1080, 1920)  # what the simulator draws on the fly


class WholeSamples(Samples):
    """Samples of a recipe, endless: {"image" (3, H, W), "alpha" (1, H, W)}, float32, 0 to 1.

    To train on, all have the shape that most pictures have, at the area of `seen_px` squared and with sides
    that the network takes; a picture of another shape is cut to it, anywhere. For validation each picture
    keeps its own shape, as `douga cutout` shows it to the network, so they make batches of one.
    """

    def __init__(self, recipe: Recipe, folders: list[SceneFolder], *, validation: bool = False) -> None:
        super().__init__(recipe, folders, validation=validation)
        self._seen_hw = _commonest_size(recipe, folders)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = self._generator(number)
        picture = self._picture(number, rng)
        if self.validation:
            picture = _resized(picture, seen_size(self.recipe, picture.mask.shape[:2]))
        else:
            picture = _resized(_cut(picture, self._seen_hw, rng), self._seen_hw)
        picture = self._changed(picture, rng)
        (rgb,) = self._coloured([picture.rgb], rng)
        image, alpha = (torch.from_numpy(np.ascontiguousarray(a)).float() / 255 for a in (rgb, picture.mask))
        return {"image": image.permute(2, 0, 1), "alpha": alpha[None]}

    def judging(self) -> Numbers:
        """Each held-back picture, and again as broadcast where any has such a twin."""
        twins = any(folder.has_broadcast(i) for folder in self.folders for i in range(len(folder)))
        return Numbers(0, self.total * (1 + twins), 1, 0, 1)


def seen_size(recipe: Recipe, shape_hw: tuple[int, ...]) -> tuple[int, int]:
    """Height and width at which the network sees a picture of this shape in training."""
    scale = recipe.seen_px / (shape_hw[0] * shape_hw[1]) ** 0.5
    height, width = (max(2, round(side * scale / recipe.stride)) * recipe.stride for side in shape_hw)
    return height, width


def _commonest_size(recipe: Recipe, folders: list[SceneFolder]) -> tuple[int, int]:
    """At which size most pictures are seen; some from all over the folders are asked."""
    places = [(folder, index) for folder in folders for index in range(len(folder))]
    asked = places[:: -(-len(places) // _LOOKED_AT)] if places else []
    shapes = [folder.shape(index) for folder, index in asked] or [_DRAWN_HW]
    return Counter(seen_size(recipe, shape) for shape in shapes).most_common(1)[0][0]


def _cut(picture: Picture, shape_hw: tuple[int, int], rng: np.random.Generator) -> Picture:
    """The largest part of a picture that has the proportions of a shape."""
    h, w = picture.mask.shape
    wide = shape_hw[1] / shape_hw[0]
    part_w, part_h = min(w, round(h * wide)), min(h, round(w / wide))
    x, y = int(rng.integers(0, w - part_w + 1)), int(rng.integers(0, h - part_h + 1))
    return picture.part(x, y, part_w, part_h)


def _resized(picture: Picture, size_hw: tuple[int, int]) -> Picture:
    """A picture at another size, in the way in which `douga cutout` makes frames smaller."""
    h, w = picture.mask.shape
    way = cv2.INTER_AREA if h > size_hw[0] or w > size_hw[1] else cv2.INTER_LINEAR

    def resized(array: U8) -> U8:
        return np.asarray(cv2.resize(np.asarray(array), size_hw[::-1], interpolation=way), np.uint8)

    # No class is learned here, so the ids need not be right between their pixels.
    return Picture(resized(picture.rgb), np.zeros(size_hw, np.uint8), resized(picture.mask))
