"""Masks that stage one found: made once, given to stage two, and what stage one learns more from."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from douga_training import found_masks
from douga_training.data import Samples
from douga_training.folders import open_folders
from douga_training.picture import Picture
from douga_training.raw_cache import SceneFolder
from douga_training.simulate.store import png_bytes, read_image
from sampling import QUIET, recipe_of, samples_of

from douga.cel import find_cel
from douga.checkpoint import load_network
from douga.errors import InputError, MissingInputError, RecipeError
from douga.frame_io import read_frame


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def stop_at_png(path: Path, data: bytes) -> None:
    """Writes other files, and then Ctrl-C comes."""
    if path.suffix == ".png":
        raise KeyboardInterrupt
    path.write_bytes(data)


def test_found_masks_are_those_of_stage_one_and_found_once(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(scenes, tmp_path / "scenes")
    assert found_masks.main([str(folder)]) == 0
    network = load_network("cel-small", "cpu")
    for part in (folder, folder / "broadcast"):
        stems = {path.stem for path in (part / "frame").glob("*.png")}
        assert {path.stem for path in (part / "found_mask").glob("*.png")} == stems
        expected = find_cel(read_frame(part / "frame" / "000004.png"), network).mask
        np.testing.assert_array_equal(read_image(part, "found_mask", "000004"), expected)
    kept = folder / "found_mask" / "000004.png"
    kept.write_bytes(png_bytes(np.zeros((180, 320), np.uint8)))
    assert found_masks.main([str(folder)]) == 0
    assert not read_image(folder, "found_mask", "000004").any()
    os.utime(kept, (0, 0))  # its frame is drawn anew
    assert found_masks.main([str(folder)]) == 0
    assert read_image(folder, "found_mask", "000004").any()
    assert found_masks.main([str(tmp_path / "nothing")]) == 2

    (folder / "found_mask" / "found_by.json").write_text('{"sha256": "of other weights"}')
    kept.unlink()
    assert found_masks.main([str(folder)]) == 2
    assert not kept.exists()
    stale = folder / "broadcast" / "found_mask" / "000005.png"
    stale.write_bytes(b"of other weights")
    monkeypatch.setattr(found_masks, "write_whole", stop_at_png)
    assert found_masks.main([str(folder), "--overwrite"]) == 130
    assert not stale.exists()  # or it would pass for one of the weights that the folder now names
    monkeypatch.undo()
    assert found_masks.main([str(folder)]) == 0  # goes on without --overwrite
    assert kept.exists()
    kept.write_bytes(b"no picture")
    scene = SceneFolder(folder, ["000004"])
    with pytest.raises(InputError, match=r"found_masks .* --overwrite"):
        scene.image(0, "found_mask")
    with pytest.raises(MissingInputError, match="add it, or move its frame away"):
        SceneFolder(folder, ["000099"]).image(0, "classes")
    (folder / "simulation.json").write_text('{"format": 1, "frames": {}}')
    with pytest.raises(MissingInputError, match="make it with `douga simulate"):
        SceneFolder(folder, ["000099"]).image(0, "classes")


def test_stage_two_is_given_what_stage_one_found_of_the_frame_or_its_twin(
    scenes: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(scenes, tmp_path / "scenes")
    found = {"": 10, "broadcast": 20}  # how many rows of each it found
    for part, rows in found.items():
        (folder / part / "found_mask").mkdir()
        for path in (folder / "frame").glob("*.png"):
            mask = np.zeros((180, 320), np.uint8)
            mask[:rows] = 255
            (folder / part / "found_mask" / path.name).write_bytes(png_bytes(mask))
    entries = {"input_mode": "concatenated", **QUIET, "scale_max": 1.0}
    for broadcast, rows in ((0, 10), (1, 20)):
        recipe = recipe_of(folder, found_masks=1.0, broadcast=broadcast, **entries)
        samples = Samples(recipe, [SceneFolder(folder, ["000000", "000002"])])  # with twins
        for number in range(4):
            sample = samples[number]
            rows_seen = (sample["small"][3] > 0).sum(0)
            assert (rows_seen == rows / 5).all()
            for window, (_, y0, _, _) in zip(sample["windows"], sample["boxes"], strict=True):
                given = np.arange(64) + round(float(y0) * 180) < rows
                np.testing.assert_array_equal(window[3] > 0, np.repeat(given[:, None], 64, 1))
        assert (Samples(replace(recipe, found_masks=0.0), samples.folders)[0]["small"][3] > 0).sum() != rows
    small = samples_of(recipe_of(folder, found_masks=1.0, broadcast=0, **(entries | {"crop_px": 200})))
    assert (small[0]["windows"][:, 3] > 0).any(-1).sum() < 64  # frames of 180 px are lower than a window
    with pytest.raises(MissingInputError, match="found_masks"):
        open_folders(recipe_of(scenes, found_masks=0.5, **entries))
    with pytest.raises(RecipeError, match="found_masks"):
        recipe_of(scenes, "cel", found_masks=0.5)
    plane = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match="found mask"):
        Picture(np.zeros((4, 4, 3), np.uint8), plane, plane, plane[:2])


def test_hard_frames_are_shown_more_often(scenes: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(scenes, tmp_path / "scenes")
    names = sorted(path.name for path in (folder / "frame").glob("*.png"))
    shutil.copytree(folder / "cel_mask", folder / "found_mask")
    shutil.copytree(folder / "cel_mask", folder / "broadcast" / "found_mask")
    with pytest.raises(InputError, match="hard"):
        samples_of(recipe_of(folder, "cel", hard=0.5))
    nothing = png_bytes(np.zeros((180, 320), np.uint8))
    (folder / "found_mask" / names[1]).write_bytes(nothing)  # the frame itself
    (folder / "broadcast" / "found_mask" / names[2]).write_bytes(nothing)  # its twin alone
    (folder / "found_mask" / names[3]).unlink()  # nobody knows
    (folder / "broadcast" / "found_mask" / names[3]).unlink()
    for mask in (folder / "cel_mask" / names[0], *folder.rglob(f"found_mask/{names[0]}")):
        mask.write_bytes(nothing)  # nothing there, and nothing found
    for share in (0.5, 1.0):
        samples = samples_of(recipe_of(folder, "cel", hard=share))
        assert samples.hard == [1, 2]
        seen = [samples._pick(number, samples._generator(number)) for number in range(400)]
        assert seen == [samples._pick(number, samples._generator(number)) for number in range(400)]
        expected = share + (1 - share) * 2 / len(names)
        assert abs(np.isin(seen, [1, 2]).mean() - expected) < 0.08
    assert not samples_of(recipe_of(folder, "cel")).hard
    with pytest.raises(MissingInputError, match=r"hard = 0\.5"):
        open_folders(recipe_of(scenes, "cel", hard=0.5))
    with pytest.raises(RecipeError, match="hard"):
        recipe_of(folder, "cel", hard=0.5, epochs=2)


def test_a_found_mask_follows_the_picture(scenes: Path) -> None:
    h, w = 180, 320
    found = np.zeros((h, w), np.uint8)
    found[:, :40] = 255
    rgb = np.repeat(found[..., None], 3, 2)
    recipe = recipe_of(scenes, input_mode="concatenated", flip=1.0, affine=1.0, erase=0.0, texture=0.0)
    samples = samples_of(recipe)
    picture = Picture(rgb, np.zeros((h, w), np.uint8), np.zeros((h, w), np.uint8), found)
    changed = samples._changed(picture, np.random.default_rng(3))
    assert changed.found is not None
    assert not np.array_equal(changed.found, found)
    assert ((changed.rgb[..., 0] > 127) == (changed.found > 127)).mean() > 0.99
