"""What to train cutouts on next: few easy pictures, the worst first; with real weights and files."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from douga_training.pairs import PairFolder
from douga_training.select import command, hard_command
from douga_training.select.hard import EASY, HARD, against_truth, certainty, hard_first

from douga import __version__
from douga.checkpoint import WeightsInfo, save_network
from douga.errors import InputError, MissingInputError, OutputError
from douga.networks.isnet import IsNet, IsNetConfig


def test_the_worst_come_first_and_a_fifth_is_easy() -> None:
    scores = [0.99, 0.5, 0.98, 0.9, 0.999, 0.1, 0.8, 0.7, 0.6, 0.995]
    chosen = hard_first(scores, 5)
    assert chosen == [(5, HARD), (1, HARD), (8, HARD), (7, HARD), (9, EASY)]


@pytest.mark.parametrize("hard", [0, 1, 3, 4, 8, 40])
@pytest.mark.parametrize("count", [1, 4, 10, 37])
@pytest.mark.parametrize("easy", [0.0, 0.2, 0.5])
def test_never_more_easy_ones_than_their_share(hard: int, count: int, easy: float) -> None:
    scores = [0.5 + 0.001 * i for i in range(hard)] + [0.98 + 0.0001 * i for i in range(30)]
    chosen = hard_first(scores, count, easy=easy)
    gentle = sum(why == EASY for _, why in chosen)
    assert len(chosen) <= count
    assert gentle <= easy * len(chosen) + 1e-9
    assert len({i for i, _ in chosen}) == len(chosen)
    assert [i for i, why in chosen if why == HARD] == list(range(len(chosen) - gentle))
    assert len(chosen) - gentle == min(hard, count - int(easy * count + 1e-9))


def test_four_hard_ones_bring_one_easy_one() -> None:
    scores = [0.1, 0.2, 0.3, 0.4] + [0.99] * 50
    assert [why for _, why in hard_first(scores, 20)] == [HARD] * 4 + [EASY]
    assert [why for _, why in hard_first(scores[1:], 20)] == [HARD] * 3


def test_where_all_goes_well_nothing_is_chosen() -> None:
    assert hard_first([0.98, 0.99], 10) == []
    assert hard_first([], 10) == []


def test_certainty_is_lost_where_an_alpha_is_half_there() -> None:
    sure = np.zeros((4, 4), np.float32)
    assert certainty(sure) == 1
    sure[:2] = 1
    assert certainty(sure) == 1
    unsure = sure.copy()
    unsure[2] = 0.4  # decided as nothing: 8 of 8 + 1.6
    assert certainty(unsure) == pytest.approx(8 / 9.6)
    unsure[2] = 0.6  # decided as all: 8 + 2.4 of 12
    assert certainty(unsure) == pytest.approx(10.4 / 12)


def test_against_the_truth_toonouts_scores_count() -> None:
    true = np.zeros((64, 64), np.uint8)
    true[16:48, 16:48] = 255
    assert against_truth((true / 255).astype(np.float32), true) == pytest.approx(1)
    assert against_truth(np.zeros((64, 64), np.float32), true) < 0.05


# -- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A narrow IS-Net that calls everything opaque."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = IsNet(IsNetConfig(4))
    torch.nn.init.zeros_(network.side[0].weight)
    torch.nn.init.constant_(network.side[0].bias, 9.0)
    path = tmp_path / "opaque.safetensors"
    info = WeightsInfo("cutout", network.config, "color", 0, {"seen_px": 128}, __version__, "isnet")
    save_network(path, network, info)
    return path


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """Six pictures, of which the last two are opaque all over: easy for those weights."""
    for number in range(6):
        alpha = np.full((64, 64), 255 if number > 3 else 0, np.uint8)
        alpha[:, : 8 * number + 8] = 255
        for kind, image in (("im", np.full((64, 64, 3), 40 * number, np.uint8)), ("gt", alpha)):
            (tmp_path / "train" / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "train" / kind / f"{number}.png"), image)
    return tmp_path / "train"


def select(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def test_hard_pictures_are_written_as_a_folder_to_train_from(
    studio: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "hard"
    given = (studio / "im", "--hard", "--model", weights, "--device", "cpu", "--out", out)
    assert select(*given, "--count", 5) == 0
    with (out / "selection.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["why"]) for row in rows] == [
        ("0", "hard"), ("1", "hard"), ("2", "hard"), ("3", "hard"), ("5", "easy"),
    ]  # fmt: skip
    assert [float(row["score"]) for row in rows] == sorted(float(row["score"]) for row in rows)
    assert "5 chosen of 6 pictures, 1 of them easy" in capsys.readouterr().out
    folder = PairFolder(out)
    assert folder.names == ["0", "1", "2", "3", "5"]
    assert folder.image(1, "alpha")[0].tolist() == [255] * 16 + [0] * 48
    with pytest.raises(OutputError, match="a selection is there already"):
        select(*given)


def test_pictures_without_alphas_are_ranked_by_doubt(studio: Path, weights: Path, tmp_path: Path) -> None:
    bare = (studio / "im").rename(tmp_path / "bare")
    given = (bare, "--hard", "--model", weights, "--device", "cpu", "--out", tmp_path / "hard")
    with pytest.raises(MissingInputError, match="do well on all of 6 pictures; give others, or a --well"):
        select(*given)  # these weights doubt nothing
    assert select(*given, "--well", 1, "--easy", 1, "--count", 2) == 0
    assert sorted(path.name for path in (tmp_path / "hard" / "im").iterdir()) == ["1.png", "4.png"]
    assert not (tmp_path / "hard" / "gt").exists()


def test_where_it_cannot_be_written_is_known_before_the_model_is_asked(
    studio: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hard_command, "_ask", lambda *_: pytest.fail("asked first"))
    (tmp_path / "file").write_text("in the way", "utf-8")
    given = (studio / "im", "--hard", "--model", weights, "--device", "cpu", "--out")
    with pytest.raises(OutputError, match="cannot write there"):
        select(*given, tmp_path / "file")
    with pytest.raises(OutputError, match="would write over it"):
        select(*given, studio)


def test_some_with_and_some_without_alphas_are_not_mixed(studio: Path, weights: Path, tmp_path: Path) -> None:
    (studio / "gt" / "2.png").unlink()
    with pytest.raises(InputError, match=r"im/2.png: has no alpha in gt/ and 5 others have"):
        select(studio / "im", "--hard", "--model", weights, "--device", "cpu", "--out", tmp_path / "hard")


def test_alphas_that_are_missing_are_known_before_the_model_is_asked(
    studio: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hard_command, "find_alpha", lambda *_: pytest.fail("asked first"))
    (studio / "gt" / "5.png").unlink()
    with pytest.raises(InputError, match=r"im/5.png: has no alpha"):
        select(studio / "im", "--hard", "--model", weights, "--device", "cpu", "--out", tmp_path / "hard")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--hard", "--no-model"), "--no-model does not go with --hard"),
        (("--hard", "--weights-cel", "a"), "--weights-cel does not go with --hard"),
        (("--easy", "0.1"), "--easy goes with --hard"),
        (("--model", "a"), "--model goes with --hard"),
    ],
)
def test_options_of_the_other_way_are_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(tmp_path, "--out", tmp_path / "out", *options)
