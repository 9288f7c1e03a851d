"""Which folders a run learns from, and which it is judged by."""

from __future__ import annotations

from pathlib import Path

from douga.errors import InputError, MissingInputError
from douga_training.pairs import ALPHAS, IMAGES, TEST, TRAIN, VALIDATION, PairFolder, holds_pairs
from douga_training.raw_cache import FOUND, SceneFolder
from douga_training.recipe import SOFT, Recipe

# Kinds of truth that a stage learns from.
_TRUTH = {"cel": ("cel_mask",), "lines": ("cel_mask", "classes"), **dict.fromkeys(SOFT, ("alpha",))}


def open_folders(recipe: Recipe) -> tuple[list[SceneFolder], list[SceneFolder]]:
    """Folders to train from and to validate on. Frames that are held back are never trained on.

    Raises InputError where a folder has no frames or none that fit the stage, or where none are left to train
    on, MissingInputError where a studio's folder has a train/ and nothing to judge by, and where found masks
    are asked for and there are none.
    """
    given = [Path(name.strip()) for name in recipe.data.split(",") if name.strip()]
    folders = [_open(recipe, folder, TRAIN) for folder in given]
    if not folders and not recipe.validation:
        return [], []
    held = _held(recipe, given, folders)
    for folder in held:
        folders = [_without(other, folder) for other in folders]
    entry = "found_masks" if recipe.found_masks else "hard"
    wanted = getattr(recipe, entry)
    if wanted and not any(f.has(i, FOUND) for f in folders for i in range(len(f))):
        raise MissingInputError(
            f"{recipe.data}: {entry} = {wanted}, but no frame has a mask that stage one found; first run "
            f"python -m douga_training.found_masks {' '.join(map(str, given))}"
        )
    if recipe.simulated < 1 and not any(len(folder) for folder in folders):
        raise InputError(
            f"{recipe.data}: no frame is left to train on; give more, or another validation folder"
        )
    return folders, held


def count_found(folders: list[SceneFolder]) -> str:
    """How many frames can be shown with the mask that stage one found, for people."""
    each = [(folder, sum(folder.has(i, FOUND) for i in range(len(folder)))) for folder in folders]
    there, total = sum(count for _, count in each), sum(map(len, folders))
    lacking = ", ".join(str(folder.folder) for folder, count in each if count < len(folder))
    more = f"; find more with python -m douga_training.found_masks, in {lacking}" if lacking else ""
    return f"{there} of {total} frames have a mask that stage one found{more}"


def _held(recipe: Recipe, given: list[Path], folders: list[SceneFolder]) -> list[SceneFolder]:
    """What is judged by: the folder named for it, or each val/ beside a train/, or the last frames."""
    if recipe.validation:
        chosen = [_open(recipe, Path(recipe.validation), VALIDATION)]
    elif any(_is_set(folder) for folder in given):
        chosen = [_open(recipe, folder, VALIDATION) for folder in given if _is_set(folder)]
    else:
        last = folders[-1]
        keep = len(last) - min(recipe.validation_frames, max(1, len(last) // 5))
        return [last.part(last.names[keep:])]
    return [folder.part(folder.names[: recipe.validation_frames]) for folder in chosen]


def count_judged(recipe: Recipe, held: list[SceneFolder]) -> str:
    """By how many frames a run is judged, for people."""
    most = recipe.validation_frames
    more = any(len(folder) == most for folder in held)
    return f"judged by {sum(map(len, held))} frames" + f"; validation_frames = {most} is the most" * more


def _is_set(folder: Path) -> bool:
    """True for a studio's folder of train/, val/ and test/."""
    parts = (TRAIN, VALIDATION, TEST)
    return not (folder / "frame").is_dir() and any((folder / part).is_dir() for part in parts)


def _open(recipe: Recipe, folder: Path, part: str) -> SceneFolder:
    """A folder of `douga simulate`, or a studio's pairs, or that part of a studio's set."""
    if _is_set(folder):
        folder = folder / part
        if not folder.is_dir():
            which = "a tenth of the pictures, not shown in training," if part == VALIDATION else "pictures"
            raise MissingInputError(
                f"{folder}: not there; put {which} into {folder / IMAGES} and their alphas into "
                f"{folder / ALPHAS}" + (", or name a folder with --validation" if part == VALIDATION else "")
            )
    elif not holds_pairs(folder):
        return _complete(recipe, SceneFolder(folder))
    if recipe.stage not in SOFT:
        raise InputError(
            f"{folder}: {IMAGES}/ and {ALPHAS}/ teach alphas, stage {recipe.stage} learns from frame/ and "
            "cel_mask/ (see docs/studio.md); use stage cutout, or give such a folder"
        )
    return PairFolder(folder)


def _complete(recipe: Recipe, scenes: SceneFolder) -> SceneFolder:
    """The folder, once its truth is found to be there and of the frames' sizes. Raises InputError."""
    for kind in _TRUTH[recipe.stage]:
        lacking = [name for index, name in enumerate(scenes.names) if not scenes.has(index, kind)]
        if lacking:
            raise MissingInputError(
                f"{scenes.folder / kind}: nothing for {len(lacking)} of {len(scenes)} frames "
                f"({', '.join(lacking[:3])}{', ...' if len(lacking) > 3 else ''}); add what is missing, or "
                "move those frames away"
            )
        for index, name in enumerate(scenes.names):
            (h, w), (true_h, true_w) = scenes.shape(index), scenes.shape(index, kind)
            if (h, w) != (true_h, true_w):
                raise InputError(
                    f"{scenes.folder / kind / name}.png: is {true_w} x {true_h} px but its frame is {w} x "
                    f"{h} px; give truth of the frame's size"
                )
    return scenes


def _without(folder: SceneFolder, held: SceneFolder) -> SceneFolder:
    if folder.folder.resolve() != held.folder.resolve():
        return folder
    return folder.part([name for name in folder.names if name not in set(held.names)])
