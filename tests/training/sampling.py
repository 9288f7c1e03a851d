"""Small recipes and the samples that they give."""

from __future__ import annotations

from pathlib import Path

from douga_training.data import Samples
from douga_training.folders import open_folders
from douga_training.recipe import Recipe

QUIET = {
    "flip": 0,
    "affine": 0,
    "colour": 0,
    "erase": 0,
    "replace_background": 0,
    "texture": 0,
    "mask_noise": 0,
}


def recipe_of(folder: Path, stage: str = "lines", **entries: object) -> Recipe:
    small = {"crop_px": 64, "context_px": 64, "windows": 2, "batch": 2, "validation_frames": 2}
    return Recipe(**{"data": str(folder), "stage": stage, **small, **entries})  # type: ignore[arg-type]


def samples_of(recipe: Recipe, *, validation: bool = False) -> Samples:
    return Samples(recipe, open_folders(recipe)[validation], validation=validation)
