"""Training samples. Sample number i of a run is the same whenever it is made.

So a run that is resumed repeats nothing and skips nothing.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from douga.classes import DougaClass
from douga.errors import InputError
from douga.preprocess import lifted, to_tensor
from douga_training.augment import (
    Colours,
    Geometry,
    at_night,
    erase_rectangles,
    erase_shapes,
    mistaken_mask,
    over_background,
    textured,
    without_book,
)
from douga_training.hard_frames import hard_positions
from douga_training.picture import Picture
from douga_training.raw_cache import FOUND, FOUND_IN_TWIN, SceneFolder
from douga_training.recipe import GUESSED, SOFT, Recipe
from douga_training.schedule import epoch_steps
from douga_training.simulate.production import broadcast_scene, composite_scene, draw_scene
from douga_training.simulate.store import BROADCAST

U8 = NDArray[np.uint8]
_WHOLE_WH = (320, 180)  # enough of a frame to tell day from night
# First numbers of the samples that are not trained on, far from those that are.
VALIDATION = 1 << 32
COUNTING = 1 << 33
SHUFFLING = 1 << 34
# Classes of few pixels: three windows in ten look for them.
RARE = (
    DougaClass.COLOR_EDGE,
    DougaClass.HIGHLIGHT_LINE,
    DougaClass.BOOK_LINE,
    DougaClass.COLOR_FILL,
    DougaClass.HIGHLIGHT_FILL,
)


class Samples(Dataset[dict[str, Tensor]]):
    """Samples of a recipe, endless: any number is a valid index.

    Where the context is the whole frame: {"small" (C, h, w), "small_ids" (h/2, w/2), "windows" (K, C, S, S),
    "boxes" (K, 4), "ids" (K, S, S)}. Where it is a crop: {"image" (C, S, S), "ids" (S, S)}. Images are
    float32 as `to_tensor` makes them, ids int64, or for cutouts alphas, float32, 0 to 1.

    Raises InputError where the recipe wants hard frames and there are none.
    """

    def __init__(self, recipe: Recipe, folders: list[SceneFolder], *, validation: bool = False) -> None:
        self.recipe, self.folders, self.validation = recipe, folders, validation
        self.total = sum(len(f) for f in folders)
        self.hard = hard_positions(folders) if recipe.hard and not validation else []
        if recipe.hard and not validation and not self.hard:
            raise InputError(
                f"hard = {recipe.hard}: stage one fails on none of the frames; give more, or use 0"
            )
        self.colours, self.geometry = Colours(recipe), Geometry(recipe)
        self.is_soft = recipe.stage in SOFT  # the truth is an alpha, not a class

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = self._generator(number)
        picture = self._picture(number, rng).at_least(self.recipe.crop_px)
        return self._framed(picture, rng) if self.recipe.context_px else self._cropped(picture, rng)

    def _generator(self, number: int) -> np.random.Generator:
        """All that is random about a sample comes from it."""
        if self.validation:  # runs of all seeds are judged by the same windows
            return np.random.default_rng([0, number + VALIDATION])
        return np.random.default_rng([self.recipe.seed, number])

    def judging(self) -> Numbers:
        """Each held-back frame twice: as it is, and as broadcast where it has a twin."""
        steps = math.ceil(2 * self.total / self.recipe.batch)
        return Numbers(0, steps, self.recipe.batch, 0, 1, end=2 * self.total)

    # -- where the pictures come from ------------------------------------------------------------------------

    def _locate(self, index: int) -> tuple[SceneFolder, int]:
        for folder in self.folders:
            if index < len(folder):
                return folder, index
            index -= len(folder)
        raise IndexError(index)

    def _pick(self, number: int, rng: np.random.Generator) -> int:
        """Which frame a sample shows: one after the other, shuffled in each epoch, or any, hard ones more
        often where the recipe says so.
        """
        if self.validation:
            return number % self.total
        if self.hard and rng.random() < self.recipe.hard:
            return self.hard[rng.integers(len(self.hard))]
        if not self.recipe.epochs:
            return int(rng.integers(self.total))
        whole = epoch_steps(self.recipe, self.total) * self.recipe.batch
        return int(_shuffled(self.recipe.seed, number // whole, self.total)[number % whole % self.total])

    def _picture(self, number: int, rng: np.random.Generator) -> Picture:
        recipe = self.recipe
        if not self.validation and rng.random() < recipe.simulated:
            crop = None if recipe.context_px else recipe.simulated_px
            scene = draw_scene(int(rng.integers(1 << 40)), crop_px=crop, soft=self.is_soft)
            made = composite_scene(scene)
            if rng.random() < recipe.broadcast:
                made = broadcast_scene(scene, made)
            return Picture(made.frame, made.classes, made.alpha if self.is_soft else made.cel_mask)
        folder, index = self._locate(self._pick(number, rng))
        broadcast = (number // self.total % 2 == 1) if self.validation else rng.random() < recipe.broadcast
        kind = BROADCAST if broadcast and folder.has_broadcast(index) else "frame"
        mask = folder.image(index, "alpha" if self.is_soft else "cel_mask")
        # Stage one learns from frames and masks alone, which is all that a studio may have.
        known = recipe.stage == "lines" or folder.has(index, "classes")
        ids = folder.image(index, "classes") if known else np.zeros_like(mask)
        picture = Picture(folder.image(index, kind), ids, mask)
        if self.validation:
            return picture
        return self._replaced(self._with_found_mask(picture, folder, index, kind, rng), folder, index, rng)

    def _with_found_mask(
        self, picture: Picture, folder: SceneFolder, index: int, kind: str, rng: np.random.Generator
    ) -> Picture:
        """Now and then, with the mask that stage one found in this frame or twin."""
        found, share = FOUND_IN_TWIN if kind == BROADCAST else FOUND, self.recipe.found_masks
        if not share or rng.random() >= share or not folder.has(index, found):
            return picture
        return replace(picture, found=folder.image(index, found))

    def _replaced(
        self, picture: Picture, folder: SceneFolder, index: int, rng: np.random.Generator
    ) -> Picture:
        """Now and then, the same cel over another frame's background."""
        needed = all(folder.has(index, kind) for kind in ("cel", "alpha"))
        if rng.random() >= self.recipe.replace_background or not needed:
            return picture
        other, place = self._locate(int(rng.integers(self.total)))
        if not other.has(place, "background"):
            return picture
        cel, alpha = folder.image(index, "cel"), folder.image(index, "alpha")
        plate = np.asarray(other.image(place, "background"))
        if plate.shape[:2] != alpha.shape:
            plate = cv2.resize(plate, alpha.shape[::-1], interpolation=cv2.INTER_AREA)
        return Picture(over_background(cel, alpha, plate), without_book(picture.ids), picture.mask)

    # -- the two kinds of samples ----------------------------------------------------------------------------

    def _cropped(self, picture: Picture, rng: np.random.Generator) -> dict[str, Tensor]:
        """A crop at native resolution, for networks whose context road sees no more than that."""
        side = self.recipe.crop_px
        whole = cv2.resize(picture.rgb, _WHOLE_WH, interpolation=cv2.INTER_AREA)
        x, y = _spot(picture.mask, side, side, rng)
        picture = self._changed(picture.part(x, y, side, side), rng)
        rgb, whole = self._coloured([picture.rgb, whole], rng)
        if self.recipe.stage != "lines":  # as cels and cutouts are looked for in use
            rgb = lifted(rgb, like=whole)
        return {"image": self._tensor(rgb, self._given_mask(picture, rng)), "ids": self._truth(picture)}

    def _framed(self, picture: Picture, rng: np.random.Generator) -> dict[str, Tensor]:
        """The frame small, and windows of it at native resolution."""
        recipe, side = self.recipe, self.recipe.crop_px
        small_wh = (recipe.context_px, recipe.context_px * 9 // 16)
        picture = self._changed(self._region(picture, small_wh, rng), rng)
        given = self._given_mask(picture, rng)
        h, w = picture.mask.shape
        way = cv2.INTER_AREA if w > small_wh[0] else cv2.INTER_LINEAR
        small = cv2.resize(picture.rgb, small_wh, interpolation=way)
        cuts, boxes = [], []
        for _ in range(recipe.windows):
            x, y = _spot(self._aim(picture, rng), side, side, rng)
            cuts.append((x, y, side, side))
            boxes.append([x / w, y / h, (x + side) / w, (y + side) / h])
        parts = [picture.part(*cut) for cut in cuts]
        masks = [given[y : y + side, x : x + side] for x, y, _, _ in cuts]
        # The colours change after the cuts: the small frame and its windows are far less work than all of it.
        small, *windows = self._coloured([small, *(part.rgb for part in parts)], rng)
        if recipe.stage != "lines":  # as cels and cutouts are looked for in use
            small, *windows = (lifted(view, like=small) for view in (small, *windows))
        return {
            "small": self._tensor(small, cv2.resize(given, small_wh, interpolation=way)),
            "small_ids": self._small_truth(picture, ((small_wh[0] + 1) // 2, (small_wh[1] + 1) // 2)),
            "windows": torch.stack([self._tensor(*pair) for pair in zip(windows, masks, strict=True)]),
            "boxes": torch.tensor(boxes, dtype=torch.float32),
            "ids": torch.stack([self._truth(part) for part in parts]),
        }

    def _tensor(self, rgb: U8, mask: U8) -> Tensor:
        return to_tensor(rgb, mask, mode=self.recipe.input_mode)

    def _truth(self, picture: Picture) -> Tensor:
        if self.is_soft:
            return _share(picture.mask)
        return _ids(picture.mask > 127 if self.recipe.stage == "cel" else picture.ids)

    def _small_truth(self, picture: Picture, size_wh: tuple[int, int]) -> Tensor:
        """What the context road should answer: most of a cell for the cel, its middle for classes.

        For cutouts the cell's mean alpha.
        """
        if self.is_soft:
            return _share(cv2.resize(picture.mask, size_wh, interpolation=cv2.INTER_AREA))
        if self.recipe.stage == "cel":
            return _ids(cv2.resize(picture.mask, size_wh, interpolation=cv2.INTER_AREA) > 127)
        h, w = picture.ids.shape
        rows = (2 * np.arange(size_wh[1]) + 1) * h // (2 * size_wh[1])
        columns = (2 * np.arange(size_wh[0]) + 1) * w // (2 * size_wh[0])
        return _ids(picture.ids[rows][:, columns])

    def _given_mask(self, picture: Picture, rng: np.random.Generator) -> U8:
        """The cel mask that stage two is given: the true one, one that stage one found, or one with
        errors like its own.
        """
        if picture.found is not None:
            return np.ascontiguousarray(picture.found)
        guessed = self.recipe.input_mode in GUESSED
        if self.validation or not guessed or rng.random() >= self.recipe.mask_noise:
            return np.ascontiguousarray(picture.mask)
        return mistaken_mask(picture.mask, rng)

    def _aim(self, picture: Picture, rng: np.random.Generator) -> U8:
        """Where windows are cut: mostly on the border of the cel, or in stage two often on rare classes."""
        if self.recipe.stage != "lines":
            return _border(picture.mask) if rng.random() < 0.7 else picture.mask
        return _rare(picture.ids, rng) if rng.random() < 0.3 else picture.mask

    def _region(self, picture: Picture, small_wh: tuple[int, int], rng: np.random.Generator) -> Picture:
        """The frame, or a part of it in the context's proportions: the drawing then looks larger."""
        h, w = picture.mask.shape
        side, wide = self.recipe.crop_px, small_wh[0] / small_wh[1]
        widest = min(w, h * wide)
        whole = self.validation or rng.random() < 0.5
        share = 1.0 if whole else float(rng.uniform(min(1.0, 1 / self.recipe.scale_max), 1.0))
        part_w = min(max(widest * share, side * wide), widest)
        part_h = max(side, min(h, round(part_w / wide)))
        part_w = max(side, round(part_w))
        x, y = int(rng.integers(0, w - part_w + 1)), int(rng.integers(0, h - part_h + 1))
        return picture.part(x, y, part_w, part_h)

    def _changed(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Another shape, texture and erased parts, unless it is for validation."""
        if self.validation:
            return picture
        recipe = self.recipe
        if self.is_soft:  # an alpha is turned as colours are, between pixels
            rgba, (ids,) = self.geometry(np.dstack([picture.rgb, picture.mask]), [picture.ids], rng)
            picture = Picture(rgba[..., :3], ids, rgba[..., 3])
        else:
            picture = picture.changed(self.geometry, rng)
        if rng.random() < recipe.texture:
            on_cel = rng.random() < 0.35
            picture = replace(picture, rgb=textured(picture.rgb, (picture.mask > 127) == on_cel, rng))
        if rng.random() < recipe.erase:
            picture = picture.changed(erase_rectangles, rng)
        if rng.random() < recipe.erase_shapes:
            picture = picture.changed(erase_shapes, rng)
        return picture

    def _coloured(self, views: list[U8], rng: np.random.Generator) -> list[U8]:
        if self.validation:
            return views
        if rng.random() < self.recipe.night:
            views = at_night(views, rng)
        return self.colours(views, rng)


@lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, total: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, SHUFFLING, epoch]).permutation(total)


def _ids(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(array.astype(np.int64))


def _share(alpha: U8) -> Tensor:
    return torch.from_numpy(alpha.astype(np.float32) / 255)


def _border(mask: U8) -> U8:
    """Where the cel ends, at a quarter of the size and back: enough to aim windows."""
    small = np.ascontiguousarray(mask[::4, ::4])
    edge = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return np.repeat(np.repeat(edge, 4, 0), 4, 1)[: mask.shape[0], : mask.shape[1]]


def _rare(ids: U8, rng: np.random.Generator) -> U8:
    """Where one of the rare classes is that there are, each as likely as the next, however much of it."""
    there = [c for c in RARE if (ids[::8, ::8] == c).any()]
    return (ids == rng.choice(there)).astype(np.uint8) if there else np.zeros_like(ids)


def _spot(mask: U8, w: int, h: int, rng: np.random.Generator, *, anywhere: float = 0.12) -> tuple[int, int]:
    """Top left corner of a w x h window, as a rule centred near a random pixel of the mask."""
    full_h, full_w = mask.shape
    sparse = np.asarray(mask[::8, ::8])
    on = np.flatnonzero(sparse)
    if len(on) == 0 or rng.random() < anywhere:
        return int(rng.integers(0, full_w - w + 1)), int(rng.integers(0, full_h - h + 1))
    y, x = divmod(int(on[rng.integers(len(on))]), sparse.shape[1])
    x = x * 8 - w // 2 + int(rng.integers(-w // 4, w // 4 + 1))
    y = y * 8 - h // 2 + int(rng.integers(-h // 4, h // 4 + 1))
    return int(np.clip(x, 0, full_w - w)), int(np.clip(y, 0, full_h - h))


class Numbers(Sampler[int]):
    """Sample numbers of one process, from a step on: step * batch + rank * share ... and below `end`."""

    def __init__(
        self, first_step: int, steps: int, batch: int, rank: int, world: int, *, end: int | None = None
    ) -> None:
        self.first_step, self.steps = first_step, steps
        self.end = steps * batch if end is None else end
        self.batch, self.rank, self.share = batch, rank, batch // world

    def __iter__(self) -> Iterator[int]:
        for step in range(self.first_step, self.steps):
            start = step * self.batch + self.rank * self.share
            yield from range(start, min(start + self.share, self.end))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _begin_worker(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains


def batches(samples: Samples, numbers: Numbers, workers: int) -> DataLoader[dict[str, Tensor]]:
    """Batches of the numbered samples, prepared by worker processes ahead of the training."""
    return DataLoader(
        samples,
        batch_size=numbers.share,
        sampler=numbers,
        num_workers=workers,
        worker_init_fn=_begin_worker,
        prefetch_factor=4 if workers else None,
    )
