"""Samples: the same whenever they are made, truth that follows the picture, folders that are not complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
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
from douga_training.data import Numbers, Samples, _rare, batches
from douga_training.folders import open_folders
from douga_training.picture import Picture
from douga_training.raw_cache import SceneFolder
from douga_training.recipe import Recipe
from douga_training.simulate.production import Scene, draw_scene
from douga_training.simulate.store import read_image
from sampling import QUIET, recipe_of, samples_of

from douga.classes import DougaClass
from douga.errors import InputError, MissingInputError
from douga.frame_io import read_frame, write_png
from douga.preprocess import to_rgb, to_tensor
from douga.types import U8


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# -- the same whenever it is made ----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["cel", "lines"])
def test_a_number_gives_one_sample_for_ever(scenes: Path, stage: str) -> None:
    mode = "concatenated" if stage == "lines" else "color"
    recipe = recipe_of(scenes, stage, input_mode=mode, erase=1.0, texture=1.0, colour=1.0, affine=1.0)
    samples = samples_of(recipe)
    first = [samples[number] for number in range(3)]
    again = [samples_of(recipe)[number] for number in (2, 1, 0)][::-1]
    assert all(equal(a, b) for a, b in zip(first, again, strict=True))
    assert not equal(first[0], first[1])
    assert not equal(first[0], samples_of(replace(recipe, seed=2))[0])


def test_a_resumed_run_gets_the_samples_that_are_left() -> None:
    whole = list(Numbers(0, 5, 4, 0, 1))
    assert whole == list(range(20))
    assert list(Numbers(3, 5, 4, 0, 1)) == whole[12:]
    assert len(Numbers(3, 5, 4, 0, 1)) == 8
    assert list(Numbers(6, 5, 4, 0, 1)) == []


def test_processes_share_each_step_among_them() -> None:
    ranks = [list(Numbers(1, 3, 4, rank, 2)) for rank in (0, 1)]
    assert ranks == [[4, 5, 8, 9], [6, 7, 10, 11]]


def test_each_frame_is_judged_twice_however_they_fall_into_batches(scenes: Path) -> None:
    recipe = recipe_of(scenes, batch=4)
    judged = Samples(recipe, open_folders(recipe)[0], validation=True)
    assert judged.total == 5
    assert list(judged.judging()) == list(range(10))
    assert len(judged.judging()) == 10
    assert [len(batch["ids"]) for batch in batches(judged, judged.judging(), 0)] == [4, 4, 2]


def test_worker_processes_change_nothing(scenes: Path) -> None:
    samples = samples_of(recipe_of(scenes))
    here, there = (list(batches(samples, Numbers(1, 3, 2, 0, 1), workers)) for workers in (0, 1))
    assert len(here) == 2
    assert all(equal(a, b) for a, b in zip(here, there, strict=True))


# -- what is in a sample -------------------------------------------------------------------------------------


def test_a_cel_sample_is_the_frame_small_and_windows_of_it(scenes: Path) -> None:
    sample = samples_of(recipe_of(scenes, "cel"), validation=True)[0]
    frame, mask = (read_image(scenes, kind, "000005") for kind in ("frame", "cel_mask"))
    assert {key: tuple(value.shape) for key, value in sample.items()} == {
        "small": (3, 36, 64),
        "small_ids": (18, 32),
        "windows": (2, 3, 64, 64),
        "boxes": (2, 4),
        "ids": (2, 64, 64),
    }
    torch.testing.assert_close(
        sample["small"], to_tensor(cv2.resize(frame, (64, 36), interpolation=cv2.INTER_AREA))
    )
    for window, ids, box in zip(sample["windows"], sample["ids"], sample["boxes"], strict=True):
        x0, y0, x1, y1 = (box * torch.tensor([320, 180, 320, 180])).round().int().tolist()
        assert (x1 - x0, y1 - y0) == (64, 64)
        np.testing.assert_array_equal(to_rgb(window), frame[y0:y1, x0:x1])
        np.testing.assert_array_equal(ids, mask[y0:y1, x0:x1] > 127)


def test_windows_look_for_each_rare_class_that_is_there() -> None:
    ids = np.zeros((80, 80), np.uint8)
    ids[:40] = DougaClass.COLOR_FILL
    ids[48:56, 48:56] = DougaClass.BOOK_LINE
    rng = np.random.default_rng(1)
    aims = [_rare(ids, rng) for _ in range(200)]
    assert 70 < sum(np.array_equal(aim, ids == DougaClass.BOOK_LINE) for aim in aims) < 130
    assert not _rare(np.zeros((80, 80), np.uint8), rng).any()


def test_a_studios_frame_is_seen_as_in_use_and_what_is_converted_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = np.random.default_rng(0).integers(0, 1 << 16, (12, 16, 3), dtype=np.uint16)
    write_png(tmp_path / "frame" / "a.png", deep)
    seen = SceneFolder(tmp_path).image(0, "frame")
    np.testing.assert_array_equal(seen, read_frame(tmp_path / "frame" / "a.png").rgb)
    assert f"note: {tmp_path / 'frame' / 'a.png'}: 16" in capsys.readouterr().err
    (tmp_path / "cel_mask").mkdir()
    (tmp_path / "cel_mask" / "a.png").write_bytes(b"broken")
    with pytest.raises(InputError, match="write it again"):
        SceneFolder(tmp_path).image(0, "cel_mask")


def test_a_lines_sample_has_mask_and_classes_small_and_in_windows(scenes: Path) -> None:
    sample = samples_of(recipe_of(scenes, input_mode="concatenated"), validation=True)[0]
    ids, mask = (read_image(scenes, kind, "000005") for kind in ("classes", "cel_mask"))
    assert sample["small"].shape == (4, 36, 64)
    np.testing.assert_array_equal(sample["small_ids"], ids[5::10, 5::10])  # the middle of each 10 x 10 cell
    for window, truth, box in zip(sample["windows"], sample["ids"], sample["boxes"], strict=True):
        x0, y0, x1, y1 = (box * torch.tensor([320, 180, 320, 180])).round().int().tolist()
        np.testing.assert_array_equal(truth, ids[y0:y1, x0:x1])
        np.testing.assert_array_equal(window[3] > 0, mask[y0:y1, x0:x1] > 0)


def test_a_network_without_a_whole_frame_gets_crops(scenes: Path) -> None:
    recipe = recipe_of(scenes, input_mode="concatenated", context_px=0, **QUIET)
    sample = samples_of(recipe, validation=True)[1]
    assert sample["image"].shape == (4, 64, 64)
    assert sample["ids"].dtype == torch.int64
    frame, ids, mask = (read_image(scenes, kind, "000005") for kind in ("frame", "classes", "cel_mask"))
    crop = to_rgb(sample["image"])
    x, y = cv2.minMaxLoc(cv2.matchTemplate(frame, crop, cv2.TM_SQDIFF))[2]
    np.testing.assert_array_equal(crop, frame[y : y + 64, x : x + 64])
    np.testing.assert_array_equal(sample["ids"], ids[y : y + 64, x : x + 64])
    np.testing.assert_array_equal(sample["image"][3] > 0, mask[y : y + 64, x : x + 64] > 0)


def test_validation_shows_each_frame_as_it_is_and_as_it_was_broadcast(scenes: Path) -> None:
    samples = samples_of(
        recipe_of(scenes, "cel", validation=str(scenes), validation_frames=1), validation=True
    )
    small = [
        cv2.resize(read_image(folder, "frame", "000000"), (64, 36), interpolation=cv2.INTER_AREA)
        for folder in (scenes, scenes / "broadcast")
    ]
    for number, expected in enumerate(small):
        np.testing.assert_array_equal(to_rgb(samples[number]["small"]), expected)


def test_runs_of_all_seeds_are_judged_by_the_same_windows(scenes: Path) -> None:
    recipe = recipe_of(scenes, "lines", validation=str(scenes), validation_frames=2)
    one, other = (samples_of(replace(recipe, seed=seed), validation=True) for seed in (0, 7))
    assert equal(one[0], other[0])
    one, other = (samples_of(replace(recipe, validation="", seed=seed)) for seed in (0, 7))
    assert not equal(one[0], other[0])


def test_frames_smaller_than_the_crop_are_mirrored_outwards(scenes: Path) -> None:
    assert samples_of(recipe_of(scenes, crop_px=400, context_px=0))[0]["image"].shape == (3, 400, 400)
    assert samples_of(recipe_of(scenes, crop_px=400))[0]["windows"].shape == (2, 3, 400, 400)


def test_the_simulator_draws_on_the_fly() -> None:
    recipe = Recipe(stage="lines", simulated=1, simulated_px=64, crop_px=64, context_px=0, broadcast=0.5)
    assert open_folders(recipe) == ([], [])
    samples = Samples(recipe, [])
    first, again = samples[3], samples[3]
    assert equal(first, again)
    assert first["image"].shape == (3, 64, 64)
    assert 0 <= first["ids"].min() <= first["ids"].max() <= 9


def test_what_is_drawn_on_the_fly_for_cutouts_is_soft(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def watched(seed: int, **entries: object) -> Scene:
        drawn.append(draw_scene(seed, **entries))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr("douga_training.data.draw_scene", watched)
    for stage, loss in (("cutout", "alpha"), ("cel", "cross_entropy")):
        Samples(Recipe(stage=stage, loss=loss, simulated=1, simulated_px=64, crop_px=64, context_px=0), [])[3]
    assert [scene.soft is not None for scene in drawn] == [True, False]


# -- what is trained on --------------------------------------------------------------------------------------


def names(folders: list[SceneFolder]) -> list[str]:
    return [name for folder in folders for name in folder.names]


@pytest.mark.parametrize("own", [False, True])
def test_frames_of_validation_are_never_trained_on(scenes: Path, own: bool) -> None:
    recipe = recipe_of(scenes, validation=str(scenes / "..") + f"/{scenes.name}" if own else "")
    trained, held = (names(folders) for folders in open_folders(recipe))
    assert len(held) == (2 if own else 1)
    assert not set(trained) & set(held)
    assert sorted(trained + held) == [f"{number:06d}" for number in range(6)]


def test_another_folder_for_validation_leaves_all_frames_to_train_on(scenes: Path, tmp_path: Path) -> None:
    for kind in ("frame", "cel_mask", "classes"):
        shutil.copytree(scenes / kind, tmp_path / kind)
    trained, held = open_folders(recipe_of(scenes, validation=str(tmp_path), validation_frames=3))
    assert len(names(trained)) == 6
    assert [(folder.folder, len(folder)) for folder in held] == [(tmp_path, 3)]


def test_a_folder_without_frames_to_train_on_is_named(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frame is left to train on; give more"):
        open_folders(recipe_of(scenes, validation=str(scenes), validation_frames=6))
    with pytest.raises(MissingInputError, match=f"{tmp_path}: no productions here"):
        open_folders(recipe_of(tmp_path))


# -- folders of a studio -------------------------------------------------------------------------------------


@pytest.fixture
def studio(scenes: Path, tmp_path: Path) -> Path:
    """Frames, masks and classes, nothing else."""
    for kind in ("frame", "cel_mask", "classes"):
        shutil.copytree(scenes / kind, tmp_path / kind)
    return tmp_path


def test_frames_masks_and_classes_are_enough(studio: Path) -> None:
    for stage in ("cel", "lines"):
        samples = samples_of(recipe_of(studio, stage, replace_background=1.0, broadcast=1.0))
        assert samples[0]["ids"].any()


def test_stage_one_needs_no_classes_but_stage_two_does(studio: Path) -> None:
    shutil.rmtree(studio / "classes")
    assert samples_of(recipe_of(studio, "cel"))[0]["ids"].any()
    with pytest.raises(MissingInputError, match="classes: nothing for 6 of 6 frames"):
        samples_of(recipe_of(studio))[0]


def test_a_drawing_in_place_of_class_ids_is_refused(studio: Path) -> None:
    for path in (studio / "classes").iterdir():
        shutil.copy(studio / "frame" / path.name, path)
    with pytest.raises(InputError, match=r"expected an indexed or grey PNG of class ids 0 to 9"):
        samples_of(recipe_of(studio))[0]


def test_truth_of_another_size_is_refused() -> None:
    rgb, ids = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    with pytest.raises(InputError, match=r"frame of \(4, 6\) has .* cel mask of \(6, 4\)"):
        Picture(rgb, ids, ids.T)


@pytest.mark.parametrize("days", [1, -1])  # `cp -p` and rsync keep dates
def test_another_picture_is_read_anew_be_it_newer_or_older(studio: Path, days: int) -> None:
    folder = SceneFolder(studio)
    before = np.array(folder.image(0, "cel_mask"))
    path = studio / "cel_mask" / f"{folder.names[0]}.png"
    cv2.imwrite(str(path), 255 - before)
    date = path.stat().st_mtime_ns + days * 86_400_000_000_000
    os.utime(path, ns=(date, date))
    np.testing.assert_array_equal(folder.image(0, "cel_mask"), 255 - before)


# -- augmentations -------------------------------------------------------------------------------------------


def test_another_background_leaves_cel_and_truth(scenes: Path) -> None:
    recipe = recipe_of(scenes, **QUIET | {"replace_background": 1})
    samples = Samples(recipe, [SceneFolder(scenes, ["000001"])])
    picture = samples._picture(0, np.random.default_rng(0))
    ids, mask, alpha, cel, plate = (
        read_image(scenes, kind, "000001") for kind in ("classes", "cel_mask", "alpha", "cel", "background")
    )
    np.testing.assert_array_equal(picture.ids, without_book(ids))
    np.testing.assert_array_equal(picture.mask, mask)
    np.testing.assert_array_equal(picture.rgb[alpha == 0], plate[alpha == 0])
    np.testing.assert_array_equal(picture.rgb[alpha == 255], cel[alpha == 255][:, :3])
    assert 0 < (alpha == 255).mean() < 1


def test_a_cel_lies_over_its_background_by_its_alpha() -> None:
    cel = np.array([[[200, 100, 0, 9], [200, 100, 0, 9], [200, 100, 0, 9]]], np.uint8)
    plate = np.full((1, 3, 3), 100, np.uint8)
    shown = over_background(cel, np.array([[0, 51, 255]], np.uint8), plate)
    assert shown.tolist() == [[[100, 100, 100], [120, 100, 80], [200, 100, 0]]]


def test_a_book_that_is_gone_leaves_flat_paint() -> None:
    assert without_book(np.array([[0, 1, 5, 6, 9]], np.uint8)).tolist() == [[0, 1, 0, 6, 0]]


@pytest.mark.parametrize("erase", [erase_rectangles, erase_shapes])
def test_erasure_covers_the_picture_and_its_truth_alike(erase: Callable[..., tuple[Any, list[Any]]]) -> None:
    rgb, truth = np.full((60, 80, 3), 128, np.uint8), np.full((60, 80), 7, np.uint8)
    for seed in range(5):
        erased, (ids, mask) = erase(rgb, [truth, truth], np.random.default_rng(seed))
        gone = ids == 0
        assert 0 < gone.mean() < 0.5
        assert erased.dtype == ids.dtype == np.uint8
        np.testing.assert_array_equal(ids == 7, ~gone)
        np.testing.assert_array_equal(mask, ids)
        assert (erased[~gone] == 128).all()
        assert (erased[gone] != 128).any(-1).mean() > 0.9
    assert (rgb == 128).all()
    assert (truth == 7).all()


def test_night_darkens_all_views_alike_and_blackens_none() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    for seed in range(8):
        frame, part = at_night([ramp, ramp[4:8]], np.random.default_rng(seed))
        np.testing.assert_array_equal(part, frame[4:8])
        assert 10 < frame.mean() < 0.75 * ramp.mean()
        assert (np.diff(frame.mean(-1).ravel()) >= 0).all()
        dim = at_night([ramp // 16], np.random.default_rng(seed))[0]
        assert dim.mean() > 5


def test_cels_and_cutouts_are_learned_from_night_scenes_as_they_will_be_seen(scenes: Path) -> None:
    losses = {"cutout": {"loss": "alpha"}}
    seen = {
        stage: [
            to_rgb(
                samples_of(recipe_of(scenes, stage, night=1.0, **QUIET, **losses.get(stage, {})))[number][
                    "small"
                ]
            ).mean()
            / 255
            for number in range(8)
        ]
        for stage in ("cel", "cutout", "lines")
    }
    assert min(seen["cel"] + seen["cutout"]) > 0.22
    assert min(seen["lines"]) < 0.2  # stage two sees them as they are


def test_texture_stays_on_its_layer() -> None:
    rgb, where = np.full((32, 32, 3), 100, np.uint8), np.zeros((32, 32), bool)
    where[:, :16] = True
    changed = textured(rgb, where, np.random.default_rng(0))
    assert (changed[:, 16:] == 100).all()
    assert changed[:, :16].std() > 1


def geometry_of(**entries: object) -> Geometry:
    return Geometry(Recipe(**{"simulated": 1, "flip": 0, "affine": 0, **entries}))  # type: ignore[arg-type]


def test_a_mirror_image_has_mirrored_truth() -> None:
    rgb = np.array([[[1, 1, 1], [2, 2, 2], [3, 3, 3]]], np.uint8)
    turned, (ids,) = geometry_of(flip=1)(rgb, [np.array([[4, 5, 6]], np.uint8)], np.random.default_rng(0))
    assert turned[0, :, 0].tolist() == [3, 2, 1]
    assert ids.tolist() == [[6, 5, 4]]


def test_truth_turns_with_the_picture_and_keeps_its_ids() -> None:
    ids = np.zeros((64, 64), np.uint8)
    ids[20:44, 10:50] = 9
    ids[30:34, 20:40] = 3
    rgb = np.repeat((ids * 20)[..., None], 3, 2)
    for seed in range(3):
        turned, (after,) = geometry_of(affine=1)(rgb, [ids], np.random.default_rng(seed))
        assert not np.array_equal(after, ids)
        assert set(np.unique(after)) <= {0, 3, 9}
        assert (np.abs(turned[..., 0].astype(int) - after.astype(int) * 20) > 90).mean() < 0.03


def views() -> list[U8]:
    rng = np.random.default_rng(0)
    return [np.repeat(np.repeat(rng.integers(60, 200, (8, 8, 3), np.uint8), 4, 0), 4, 1)] * 2


def test_hue_and_brightness_change_independently_of_each_other() -> None:
    grey, rng = np.full((8, 8, 3), 120, np.uint8), np.random.default_rng(0)
    red = np.full((8, 8, 3), (150, 90, 90), np.uint8)
    recipe = Recipe(simulated=1, colour=1.0, wear=0.0, hue_deg=30)
    brighter, turned = [], []
    change = Colours(recipe)
    for _ in range(300):
        grey_now, red_now = change([grey, red], rng)
        brighter.append(int(grey_now[0, 0, 0]) - 120)
        turned.append(int(red_now[0, 0, 1]) - int(red_now[0, 0, 2]))  # 0 where the hue is still red
    is_brighter, is_turned = np.abs(brighter) > 2, np.abs(turned) > 2
    assert (is_turned & ~is_brighter).sum() > 10
    assert (is_brighter & ~is_turned).sum() > 10
    assert abs(np.corrcoef(np.array(brighter)[is_turned], np.array(turned)[is_turned])[0, 1]) < 0.4


def test_all_views_of_a_frame_change_their_colours_alike() -> None:
    plain = Recipe(simulated=1, colour=1, wear=0)
    first, second = Colours(plain)(views(), np.random.default_rng(3))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first.astype(int) - views()[0]).mean() > 2
    np.testing.assert_array_equal(
        Colours(replace(plain, colour=0))(views(), np.random.default_rng(3))[0], views()[0]
    )


def test_a_mask_with_mistakes_is_still_a_mask() -> None:
    mask = np.zeros((96, 96), np.uint8)
    mask[24:72, 24:72] = 255
    wrong = [mistaken_mask(mask, np.random.default_rng(seed)) for seed in range(4)]
    for found in wrong:
        assert set(np.unique(found)) <= {0, 255}
        assert 0 < (found != mask).mean() < 0.4
    assert mask[24:72, 24:72].all()
    assert mask.sum() == 255 * 48 * 48


def test_the_truth_of_a_cutout_is_the_alpha_turned_as_the_frame_is(scenes: Path) -> None:
    quiet = recipe_of(scenes, "cutout", loss="alpha", windows=1, **QUIET)
    made = [samples_of(quiet)[i] for i in range(12)]
    assert made[0]["ids"].dtype == made[0]["small_ids"].dtype == torch.float32
    assert max(float(sample["small_ids"].max()) for sample in made) == 1
    folder = SceneFolder(scenes)
    alphas = [np.asarray(folder.image(i, "alpha")) for i in range(len(folder))]
    soft = {value for alpha in alphas for value in np.unique(alpha)}
    seen = {int(v) for sample in made for v in (sample["ids"] * 255).round().unique()}
    assert seen <= soft
    assert seen - {0, 255}
    turned = samples_of(replace(quiet, affine=1.0, rotate_deg=20.0))
    levels = {int(v) for i in range(12) for v in (turned[i]["ids"] * 255).round().unique()}
    assert len(levels) > len(seen)  # between pixels, not the nearest one
