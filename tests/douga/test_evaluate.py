"""`douga evaluate` on real folders, and its numbers against the project's independent scorer."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from douga.cli import main
from douga.errors import InputError, MissingInputError
from douga.evaluate import evaluate, percent, read_ids
from douga.evaluate_change import change_rows
from douga.report import FALSE_NEGATIVE, FALSE_POSITIVE, HIT, OTHER_CLASS, error_overlay, mask_overlay

SCORER = Path(__file__).parents[3] / "shared" / "tools" / "score.py"


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_indexed(path: Path, ids: np.ndarray) -> None:
    image = Image.fromarray(ids)
    image.putpalette([255, 255, 255, 0, 0, 0, 160, 0, 90, 0, 170, 0, 255, 0, 0] * 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def drawing(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ids = np.zeros((60, 80), np.uint8)
    for c in (6, 8, 7, 1, 2, 4, 1, 3, 5):
        points = rng.integers(0, 80, (3, 2)).astype(np.int32)
        if c >= 6:
            cv2.fillPoly(ids, [points], c)
        else:
            cv2.polylines(ids, [points], True, c, int(rng.integers(1, 4)))
    return ids


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three frames: a perfect one, one shifted by two pixels, and one that was drawn quite differently."""
    truth, prediction = tmp_path / "truth", tmp_path / "pred"
    for k, stem in enumerate(("a_perfect", "b_shifted", "c_wrong")):
        ids = drawing(k)
        cel = ((ids > 0) * 255).astype(np.uint8)
        guess = (ids, np.roll(ids, 2, axis=1), drawing(k + 10))[k]
        write(truth / "classes" / f"{stem}.png", ids)
        write(truth / "cel_mask" / f"{stem}.png", cel)
        write(prediction / "classes" / f"{stem}.png", guess)
        write(prediction / "cel_mask" / f"{stem}.png", ((guess > 0) * 255).astype(np.uint8))
    write(truth / "frame" / "c_wrong.png", np.full((60, 80, 3), (200, 120, 40), np.uint8))
    return prediction, truth


@pytest.mark.shared
@pytest.mark.skipif(not SCORER.exists(), reason="the scorer is not part of this repository")
@pytest.mark.parametrize("tolerance", [0, 2, 3.5])
def test_numbers_equal_the_independent_scorer(
    folders: tuple[Path, Path], tmp_path: Path, tolerance: float
) -> None:
    prediction, truth = folders
    kinds = [str(f / kind) for kind in ("classes", "cel_mask") for f in (prediction, truth)]
    done = subprocess.run(
        [sys.executable, str(SCORER), *kinds, "--tol", str(tolerance)], capture_output=True, check=True
    )
    theirs = json.loads(done.stdout)
    status = main(
        ["evaluate", "--pred", str(prediction), "--truth", str(truth), "--tolerance", str(tolerance)]
        + ["--json", str(tmp_path / "ours.json")]
    )
    assert status == 0
    ours = json.loads((tmp_path / "ours.json").read_text())["total"]
    assert round(ours["pixel_accuracy"], 4) == theirs["pixel_accuracy"]
    names = {"visible": "visible_line", "shading": "shading_line", "colour": "color_edge"}
    names |= {"highlight": "highlight_line", "book": "book_line", "all": "all"}
    for name, key in names.items():
        mine = ours["lines"][key]
        assert {
            "P": round(mine["precision"], 4),
            "R": round(mine["recall"], 4),
            "F1": round(mine["f1"], 4),
            "truth_px": mine["truth_px"],
        } == theirs["lines"][name]
    for name, value in theirs["fills"].items():
        mine = ours["fills_iou"][f"{name.replace('colour', 'color')}_fill"]
        assert value == (None if mine is None else round(mine, 4))
    assert theirs["cel"]["IoU"] == round(ours["cel"]["iou"], 4)
    assert theirs["cel"]["accuracy"] == round(ours["cel"]["accuracy"], 4)


def test_the_table_names_what_kugler_names(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1])]) == 0
    out = capsys.readouterr().out
    for words in (
        "3 frames",
        "visible line",
        "recall",
        "precision",
        "line F1",
        "cel boundary IoU",
        "closed areas",
    ):
        assert words in out


def test_a_perfect_prediction_scores_one(folders: tuple[Path, Path]) -> None:
    score = evaluate(*folders).frames["a_perfect"]
    assert {counts.f1 for counts in score.lines.values()} == {1.0}
    assert score.cel.share == score.boundary.share == 1.0
    assert score.areas.both == score.areas.either > 0


def test_indices_are_read_and_colours_are_not(tmp_path: Path) -> None:
    ids = drawing(3)
    write_indexed(tmp_path / "a.png", ids)
    assert np.array_equal(read_ids(tmp_path / "a.png"), ids)


def test_the_page_is_one_file_with_the_worst_frame_first(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "scores"
    assert main(["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1]), "--out", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "scores.json"]
    page = (out / "report.html").read_text("utf-8")
    assert re.findall(r"<h3>(\w+)</h3>", page) == ["c_wrong", "b_shifted", "a_perfect"]
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 3 * 4 + 1  # the frame itself is there for one of them
    for picture in pictures:
        decoded = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert decoded.shape == (60, 80, 3)


def test_names_cannot_break_the_page(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for folder in folders:
        (folder / "classes" / "a_perfect.png").rename(folder / "classes" / "a&b.png")
    assert (
        main(
            ["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1]), "--html", str(tmp_path / "p")]
        )
        == 0
    )
    assert "<h3>a&amp;b</h3>" in (tmp_path / "p").read_text("utf-8")


def test_missing_predictions_are_named_and_the_rest_is_scored(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[0] / "classes" / "b_shifted.png").unlink()
    assert main(["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1])]) == 1
    assert "classes/b_shifted.png" in capsys.readouterr().err
    assert set(evaluate(*folders).frames) == {"a_perfect", "b_shifted", "c_wrong"}


def test_a_kind_that_nobody_predicted_is_no_missing_file(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    prediction, truth = folders
    for stem in ("a_perfect", "b_shifted", "c_wrong"):  # as `douga simulate --broadcast` leaves a truth
        for part in (truth, truth / "broadcast"):
            write(part / "alpha" / f"{stem}.png", np.full((60, 80), 255, np.uint8))
            write(part / "frame" / f"{stem}.png", np.zeros((60, 80, 3), np.uint8))
    argv = ["evaluate", "--pred", str(prediction), "--truth", str(truth)]
    assert main(argv) == 0
    assert "not compared, since none is there: alpha" in capsys.readouterr().out
    for stem in ("a_perfect", "b_shifted"):
        write(prediction / "alpha" / f"{stem}.png", np.full((60, 80), 255, np.uint8))
    assert main(argv) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "no prediction" in line]
    assert told == [f"douga: no prediction {prediction / 'alpha/c_wrong.png'}"]


def test_a_name_that_is_no_utf_8_is_written_down(folders: tuple[Path, Path], tmp_path: Path) -> None:
    prediction, truth = folders
    name = os.fsdecode("\u4f5c\u753b.png".encode("shift_jis"))
    for folder in folders:
        shutil.copy(folder / "classes" / "a_perfect.png", folder / "classes" / name)
    out = tmp_path / "out"
    assert main(["evaluate", "--pred", str(prediction), "--truth", str(truth), "--out", str(out)]) == 0
    assert Path(name).stem in json.loads((out / "scores.json").read_text())["per_frame"]
    assert "\\udc8d\\udcec" in (out / "report.html").read_text()


def test_changes_are_of_what_both_have_of_a_frame(folders: tuple[Path, Path], tmp_path: Path) -> None:
    prediction, truth = folders
    before = shutil.copytree(prediction, tmp_path / "before")
    (before / "cel_mask" / "c_wrong.png").unlink()
    rows = {row[0]: row[1:] for row in change_rows(evaluate(before, truth), evaluate(prediction, truth))}
    assert rows["cel IoU"][2] == rows["mean IoU"][2] == "+0.0"


def test_what_has_changed_since_is_told_of_the_frames_that_both_have(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prediction, truth = folders
    before = tmp_path / "before"
    for kind in ("classes", "cel_mask"):
        shutil.copytree(prediction / kind, before / kind)
        shutil.copy(truth / kind / "b_shifted.png", prediction / kind / "b_shifted.png")
        (before / kind / "c_wrong.png").unlink()
    assert main(["evaluate", "--pred", str(prediction), "--before", str(before), "--truth", str(truth)]) == 0
    told = capsys.readouterr().out
    table = told[told.index("2 frames that both have") :].splitlines()
    rows = {line.rsplit(None, 3)[0]: line.split()[-3:] for line in table[1:]}
    # Without the third frame, all that is left now is perfect.
    assert rows["cel IoU"][1] == rows["all lines F1"][1] == "100.0"
    old, new, change = (float(value) for value in rows["cel IoU"])
    assert change == pytest.approx(new - old, abs=0.051)
    assert change > 1
    assert "alpha" not in told[told.index("2 frames") :]


def test_hidden_files_are_no_truth(folders: tuple[Path, Path]) -> None:
    (folders[1] / "classes" / "._a_perfect.png").write_bytes(b"what a Mac leaves")
    assert not evaluate(*folders).missing


def test_masks_alone_can_be_compared(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path in (folders[1] / "classes").iterdir():
        path.unlink()
    assert main(["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1])]) == 0
    out = capsys.readouterr().out
    assert "cel IoU" in out
    assert "line F1" not in out


def test_a_wrong_size_names_the_file(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    write(folders[0] / "classes" / "b_shifted.png", np.zeros((30, 40), np.uint8))
    assert main(["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1])]) == 2
    error = capsys.readouterr().err
    assert "b_shifted.png: is 40x30" in error
    assert "80x60" in error


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((60, 80, 3), np.uint8), "mode RGB"),
        (np.full((60, 80), 10, np.uint8), "found 10"),
        (np.zeros((60, 80), np.uint16), "mode I;16"),
    ],
)
def test_files_that_are_no_class_maps_are_refused(
    folders: tuple[Path, Path], array: np.ndarray, message: str
) -> None:
    write(folders[0] / "classes" / "b_shifted.png", array)
    with pytest.raises(InputError, match=rf"b_shifted.png.*{message}"):
        evaluate(*folders)


def test_a_broken_file_is_named(folders: tuple[Path, Path]) -> None:
    path = folders[0] / "classes" / "b_shifted.png"
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(InputError, match=r"b_shifted\.png: cannot be read"):
        evaluate(*folders)


def test_folders_without_anything_to_compare(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such folder"):
        evaluate(tmp_path / "nowhere", folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match="no prediction for any truth"):
        evaluate(tmp_path / "empty", folders[1])
    with pytest.raises(MissingInputError, match="there is no truth"):
        evaluate(folders[0], tmp_path / "empty")


def test_a_negative_tolerance_is_refused(folders: tuple[Path, Path]) -> None:
    assert main(["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1]), "--tolerance", "-1"]) == 2


def test_overlay_colours() -> None:
    true, predicted = np.zeros((20, 40), np.uint8), np.zeros((20, 40), np.uint8)
    true[3, :10] = predicted[3, :10] = 1
    true[3, 30:] = 1
    predicted[15, :10] = 1
    true[15, 30:], predicted[15, 30:] = 1, 2
    overlay = error_overlay(predicted, true, 2.0)
    assert tuple(overlay[3, 5]) == HIT
    assert tuple(overlay[3, 35]) == FALSE_NEGATIVE
    assert tuple(overlay[15, 5]) == FALSE_POSITIVE
    assert tuple(overlay[15, 35]) == OTHER_CLASS
    assert tuple(overlay[9, 20]) == (255, 255, 255)


def test_mask_overlay_colours() -> None:
    overlay = mask_overlay(np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 1, 0]], bool))
    assert [tuple(p) for p in overlay[0, 1:]] == [FALSE_POSITIVE, FALSE_NEGATIVE, (255, 255, 255)]


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "12.3"), (1.0, "100.0"), (0.0, "0.0"), (0.0004, "<0.1"), (float("nan"), "-")]
)
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text
