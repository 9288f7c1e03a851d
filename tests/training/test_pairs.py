"""A studio's folder of train/, val/ and test/ with im/ and gt/: what is read of it, what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from douga_training.data import Samples
from douga_training.folders import open_folders
from douga_training.learners.whole_samples import WholeSamples, seen_size
from douga_training.pairs import PairFolder
from douga_training.recipe import Recipe

from douga.errors import InputError, MissingInputError

STILL = {"flip": 0, "affine": 0, "colour": 0, "erase": 0, "texture": 0, "replace_background": 0}


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def pair(place: Path, name: str, *, size_wh: tuple[int, int] = (160, 96), at: int = 0) -> None:
    """A red square of half opacity at its left, on green; (RGB) is written as OpenCV's BGR."""
    alpha = np.zeros(size_wh[::-1], np.uint8)
    alpha[16:80, 16 + at : 80 + at] = 255
    alpha[16:80, 16 + at : 32 + at] = 128
    rgb = np.where(alpha[..., None] > 0, np.uint8([255, 0, 0]), np.uint8([0, 255, 0]))
    write(place / "im" / f"{name}.png", rgb[..., ::-1])
    write(place / "gt" / f"{name}.png", alpha)


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    for number in range(5):
        pair(tmp_path / "train", f"a{number}", at=10 * number)
    for number in range(2):
        pair(tmp_path / "val", f"v{number}")
    pair(tmp_path / "test", "t0")
    return tmp_path


def recipe_of(folder: Path, **entries: object) -> Recipe:
    whole = {"stage": "cutout", "kind": "birefnet", "encoder": "swin_t", "loss": "alpha", "seen_px": 128}
    return Recipe(**{"data": str(folder), "batch": 2, **whole, **STILL, **entries})  # type: ignore[arg-type]


def names(folders: list) -> list[str]:
    return [name for folder in folders for name in folder.names]


def test_train_is_learned_from_val_is_judged_by_and_test_is_left_alone(studio: Path) -> None:
    trained, held = open_folders(recipe_of(studio))
    assert names(trained) == ["a0", "a1", "a2", "a3", "a4"]
    assert names(held) == ["v0", "v1"]
    assert names(open_folders(recipe_of(studio, validation_frames=1))[1]) == ["v0"]


def test_sub_folders_are_categories(tmp_path: Path) -> None:
    pair(tmp_path / "train" / "emotion", "1")
    pair(tmp_path / "train" / "items", "1")
    pair(tmp_path / "val" / "items", "2")
    trained, held = open_folders(recipe_of(tmp_path))
    assert names(trained) == ["emotion/1", "items/1"]
    assert names(held) == ["items/2"]
    assert trained[0].image(0, "frame").shape == (96, 160, 3)


def test_one_folder_of_pairs_holds_its_last_pictures_back(studio: Path) -> None:
    trained, held = open_folders(recipe_of(studio / "train", validation_frames=2))
    assert (names(trained), names(held)) == (["a0", "a1", "a2", "a3"], ["a4"])
    trained, held = open_folders(recipe_of(studio / "train", validation=str(studio / "val")))
    assert (len(names(trained)), names(held)) == (5, ["v0", "v1"])


def test_pictures_and_alphas_are_read_as_they_are(studio: Path) -> None:
    folder = PairFolder(studio / "train")
    assert folder.shape(0) == (96, 160)
    assert folder.image(0, "frame")[40, 40].tolist() == [255, 0, 0]
    assert folder.image(0, "alpha")[40, [8, 20, 40]].tolist() == [0, 128, 255]
    assert not folder.has_broadcast(0)
    assert not folder.has(0, "classes")


def test_frames_and_pairs_can_be_mixed(studio: Path, scenes: Path) -> None:
    trained, held = open_folders(recipe_of(f"{scenes},{studio}"))  # type: ignore[arg-type]
    assert len(names(trained)) == 11
    assert names(held) == ["v0", "v1"]


def test_the_small_network_learns_from_pairs_too(studio: Path) -> None:
    recipe = Recipe(stage="cutout", loss="alpha", data=str(studio), crop_px=64, context_px=64, windows=1)
    sample = Samples(recipe, open_folders(recipe)[0])[0]
    assert sample["ids"].shape == (1, 64, 64)
    assert 0 <= sample["ids"].min() <= sample["ids"].max() <= 1


# -- what is wrong -------------------------------------------------------------------------------------------


def test_a_picture_without_an_alpha_is_named(studio: Path) -> None:
    (studio / "train" / "gt" / "a3.png").unlink()
    with pytest.raises(MissingInputError, match=r"im/a3.png: has no alpha; expected .*gt/a3.png"):
        open_folders(recipe_of(studio))


def test_an_alpha_of_another_size_is_named(studio: Path) -> None:
    write(studio / "val" / "gt" / "v1.png", np.zeros((10, 20), np.uint8))
    with pytest.raises(InputError, match=r"gt/v1.png: is 20 x 10 px but its picture .* is 160 x 96 px; give"):
        open_folders(recipe_of(studio))


def test_a_folder_without_val_is_told_what_it_lacks(studio: Path) -> None:
    (studio / "val").rename(studio / "other")
    with pytest.raises(MissingInputError, match=r"val: not there; put a tenth .*val/im .*--validation"):
        open_folders(recipe_of(studio))
    assert names(open_folders(recipe_of(studio, validation=str(studio / "other")))[1]) == ["v0", "v1"]


def test_a_folder_without_train_does_not_learn_from_the_others(studio: Path) -> None:
    (studio / "train").rename(studio.parent / f"{studio.name}-away")
    with pytest.raises(MissingInputError, match=r"train: not there; put pictures into .*train/im"):
        open_folders(recipe_of(studio))


def test_other_stages_do_not_learn_from_alphas(studio: Path) -> None:
    with pytest.raises(InputError, match="teach alphas, stage cel learns from frame/ and cel_mask/"):
        open_folders(Recipe(stage="cel", data=str(studio)))


def test_an_alpha_in_colour_is_refused(studio: Path) -> None:
    write(studio / "train" / "gt" / "a0.png", np.full((96, 160, 3), (0, 0, 255), np.uint8))
    with pytest.raises(InputError, match=r"gt/a0.png: expected a grey picture"):
        PairFolder(studio / "train").image(0, "alpha")


def test_two_pictures_of_one_name_and_what_is_no_picture_are_refused(studio: Path) -> None:
    (studio / "train" / "im" / "a1.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a1.jpg and .*a1.png have one name"):
        PairFolder(studio / "train")
    (studio / "train" / "im" / "a1.png").unlink()
    with pytest.raises(InputError, match=r"a1.jpg: cannot be read as a picture"):
        PairFolder(studio / "train")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "train" / "im").mkdir(parents=True)
    with pytest.raises(MissingInputError, match=r"train: no pictures here; expected .*im/NAME.png"):
        open_folders(recipe_of(tmp_path))


# -- whole pictures ------------------------------------------------------------------------------------------


def samples_of(recipe: Recipe, *, validation: bool = False) -> WholeSamples:
    return WholeSamples(recipe, open_folders(recipe)[validation], validation=validation)


@pytest.mark.parametrize(
    ("shape", "kind", "seen"),
    [
        ((1080, 1920), "birefnet", (96, 160)),
        ((1024, 1024), "birefnet", (128, 128)),
        ((1080, 1920), "isnet", (128, 192)),
    ],
)
def test_a_picture_is_seen_in_its_shape_at_one_area(
    shape: tuple[int, int], kind: str, seen: tuple[int, int]
) -> None:
    loss = "alpha" if kind == "birefnet" else "cross_entropy"
    encoder = "swin_t" if kind == "birefnet" else "resnet18"
    recipe = Recipe(stage="cutout", kind=kind, encoder=encoder, loss=loss, data="a", seen_px=128)
    assert seen_size(recipe, shape) == seen


def test_a_sample_is_the_picture_made_small_with_its_soft_alpha(studio: Path) -> None:
    sample = samples_of(recipe_of(studio), validation=True)[0]
    assert sample["image"].shape == (3, 96, 160)
    assert sample["alpha"].shape == (1, 96, 160)
    assert sample["alpha"][0, 40, [8, 20, 40]].tolist() == pytest.approx([0, 128 / 255, 1])
    assert sample["image"][:, 40, 40].tolist() == [1, 0, 0]


def test_pictures_of_another_shape_are_cut_for_training_and_whole_for_judging(studio: Path) -> None:
    pair(studio / "train", "b0", size_wh=(96, 160))
    pair(studio / "val", "v9", size_wh=(96, 160))
    samples = samples_of(recipe_of(studio, epochs=1))
    assert {tuple(samples[number]["image"].shape) for number in range(6)} == {(3, 96, 160)}
    judged = samples_of(recipe_of(studio), validation=True)
    assert [tuple(judged[number]["alpha"].shape[1:]) for number in range(3)] == [(96, 160)] * 2 + [(160, 96)]
    assert list(judged.judging()) == [0, 1, 2]  # no twins, so each of them once
    assert judged.judging().share == 1


def test_an_epoch_shows_every_picture_and_the_next_one_in_another_order(studio: Path) -> None:
    recipe = recipe_of(studio, epochs=2)
    samples = samples_of(recipe)
    rng = np.random.default_rng(0)
    seen = [samples._pick(number, rng) for number in range(12)]  # 5 pictures in batches of 2: 6 an epoch
    assert sorted(seen[:5]) == sorted(seen[6:11]) == [0, 1, 2, 3, 4]
    assert seen[5] == seen[0]
    assert seen[:5] != seen[6:11]


def test_the_same_number_is_the_same_sample(studio: Path) -> None:
    recipe = recipe_of(studio, **dict.fromkeys(STILL, 0.5))
    first, again = samples_of(recipe)[7], samples_of(recipe)[7]
    assert all(torch.equal(first[key], again[key]) for key in ("image", "alpha"))
