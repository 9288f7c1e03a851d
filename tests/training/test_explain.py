"""Error pictures on literal arrays, curves by their points, and sheets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from douga_training.explain import command
from douga_training.explain.curves import draw_curves, read_runs, ticks, title_of
from douga_training.explain.error_pictures import (
    CONFUSED,
    FOUND,
    INDEX,
    INVENTED,
    MISSED,
    NOTHING,
    cel_overlay,
    draw_line_errors,
    line_errors,
)
from douga_training.explain.sheets import Cell, fit_width, sheet

from douga.classes import DougaClass
from douga.errors import InputError, MissingInputError
from douga.frame_io import write_png
from douga.report import FALSE_NEGATIVE, FALSE_POSITIVE

VISIBLE, SHADING = DougaClass.VISIBLE_LINE, DougaClass.SHADING_LINE


def explain(*words: str | Path) -> int:
    """What `douga explain` does with these words."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


# -- the cel -------------------------------------------------------------------------------------------------

TRUE = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
FOUND_CEL = np.array([[0, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)


def test_the_cels_overlay_has_kuglers_colours() -> None:
    picture = cel_overlay(FOUND_CEL, TRUE)
    assert picture.shape == (4, 4, 3)
    assert tuple(picture[0, 3]) == FALSE_POSITIVE == (222, 45, 38)
    assert tuple(picture[2, 2]) == FALSE_NEGATIVE == (40, 105, 220)
    assert tuple(picture[1, 1]) == (255, 255, 255)
    assert tuple(picture[0, 0]) == (150, 150, 150)
    assert (picture == 150).all(2).sum() == 11


def test_the_frame_shows_through_and_errors_keep_their_hue() -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[:, 2:] = 255
    picture = cel_overlay(FOUND_CEL, TRUE, frame).astype(int)
    assert picture[1, 1, 0] < picture[1, 2, 0] == 255
    assert picture[0, 0, 0] < picture[0, 2, 0] == 150
    red, _, blue = picture[0, 3]
    assert red > blue + 100
    red, _, blue = picture[2, 2]
    assert blue > red + 80


def test_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="differ in size"):
        cel_overlay(TRUE, TRUE[:3])
    with pytest.raises(InputError, match="differ in size"):
        cel_overlay(TRUE, TRUE, np.zeros((5, 4, 3), np.uint8))


# -- lines ---------------------------------------------------------------------------------------------------


def columns(*ids: int) -> np.ndarray:
    """Class ids by column, four rows of them."""
    return np.tile(np.array(ids, np.uint8), (4, 1))


def test_each_line_is_found_missed_invented_or_confused() -> None:
    true = columns(VISIBLE, 0, VISIBLE, 0, 0, SHADING, 0)
    drawn = columns(VISIBLE, 0, 0, 0, SHADING, VISIBLE, 0)
    errors = line_errors(drawn, true, VISIBLE, 0)
    assert errors[0].tolist() == [FOUND, NOTHING, MISSED, NOTHING, NOTHING, CONFUSED, NOTHING]
    errors = line_errors(drawn, true, SHADING, 0)
    assert errors[0].tolist() == [NOTHING, NOTHING, NOTHING, NOTHING, INVENTED, CONFUSED, NOTHING]


def test_a_line_may_be_off_by_the_tolerance() -> None:
    true, drawn = columns(0, VISIBLE, 0, 0), columns(0, 0, VISIBLE, 0)
    assert line_errors(drawn, true, VISIBLE, 1)[0].tolist() == [NOTHING, FOUND, NOTHING, NOTHING]
    assert line_errors(drawn, true, VISIBLE, 0)[0].tolist() == [NOTHING, MISSED, INVENTED, NOTHING]


@pytest.mark.parametrize("at", range(9))
def test_a_thin_line_survives_reduction(at: int) -> None:
    errors = np.zeros((30, 90), np.uint8)
    errors[:, 40 + at] = MISSED
    picture = draw_line_errors(errors, 10)
    assert picture.shape == (3, 10, 3)
    assert (picture == FALSE_NEGATIVE).all(2).any(1).all()


# -- folders of frames ---------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Prediction and truth of a good frame and a bad one."""
    true = np.zeros((40, 60), np.uint8)
    cv2.rectangle(true, (10, 10), (30, 30), int(VISIBLE), 2)
    bad = np.roll(true, 15, 1)
    for stem, drawn in (("good", true), ("bad", bad)):
        for folder, ids in ((tmp_path / "truth", true), (tmp_path / "pred", drawn)):
            write_png(folder / "classes" / f"{stem}.png", ids, palette=[(i, i, i) for i in range(10)])
            write_png(folder / "cel_mask" / f"{stem}.png", (ids > 0) * np.uint8(255))
    write_png(tmp_path / "truth" / "frame" / "bad.png", np.full((40, 60, 3), 90, np.uint8))
    return tmp_path / "pred", tmp_path / "truth"


def test_panels_are_written_worst_first_and_older_ranks_go(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for name in ("0002_bad.png", "0001_mine.png"):
        write_png(out / name, np.zeros((2, 2), np.uint8))
    assert explain("errors", "--pred", folders[0], "--truth", folders[1], "--out", out) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["0001_bad.png", "0001_mine.png", "0002_good.png", INDEX]
    assert "2 worst of 2 frames" in capsys.readouterr().out
    panel = cv2.imread(str(out / "0001_bad.png"))[..., ::-1]
    assert (panel == FALSE_POSITIVE).all(2).sum() > 500


def test_only_so_many_are_pictured(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[0] / "classes" / "good.png").unlink()
    words = ("errors", "--pred", folders[0], "--truth", folders[1], "--out", tmp_path / "out", "--worst", "1")
    assert explain(*words) == 1  # a prediction is missing
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0001_bad.png", INDEX]


def test_a_frame_of_another_size_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    prediction, truth = folders
    stem = next((truth / "classes").glob("*.png")).stem
    write_png(truth / "frame" / f"{stem}.png", np.zeros((9, 7, 3), np.uint8))
    with pytest.raises(InputError, match=rf"frame/{stem}.png: is 7 x 9 px but its truth is"):
        explain("errors", "--pred", prediction, "--truth", truth, "--out", tmp_path / "out")


def test_alphas_alone_are_sent_to_where_they_are_pictured(tmp_path: Path) -> None:
    for folder in ("pred", "truth"):
        write_png(tmp_path / folder / "alpha" / "a.png", np.full((40, 40), 200, np.uint8))
    with pytest.raises(MissingInputError, match="only alphas to compare; `douga evaluate --html"):
        explain(
            "errors", "--pred", tmp_path / "pred", "--truth", tmp_path / "truth", "--out", tmp_path / "out"
        )


@pytest.mark.parametrize(("option", "value"), [("--tolerance", "nan"), ("--worst", "-1")])
def test_bad_numbers_are_refused(folders: tuple[Path, Path], tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(InputError, match=option):
        explain("errors", "--pred", folders[0], "--truth", folders[1], "--out", tmp_path, option, value)


# -- curves --------------------------------------------------------------------------------------------------


def write_scores(folder: Path, steps: int, value: float) -> Path:
    folder.mkdir()
    entries = [
        {"step": 100 * n, "time": 1, "f1_visible_line": value, "score": n / 10} for n in range(1, steps + 1)
    ]
    (folder / "scores.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def test_curves_have_a_point_a_validation(tmp_path: Path) -> None:
    folder = write_scores(tmp_path / "a", 3, 0.5)
    with (folder / "scores.jsonl").open("a") as file:
        file.write('{"step": 400, "ti')  # being written
    (run,) = read_runs([folder])
    assert run.name == "a"
    assert run.curves == {
        "f1_visible_line": [(100, 0.5), (200, 0.5), (300, 0.5)],
        "score": [(100, 0.1), (200, 0.2), (300, 0.3)],
    }


def test_a_loss_is_left_out_and_named(tmp_path: Path) -> None:
    plain, with_loss = write_scores(tmp_path / "a", 3, 0.5), write_scores(tmp_path / "b", 3, 0.5)
    lines = [
        {**json.loads(line), "loss": 2.3} for line in (with_loss / "scores.jsonl").read_text().splitlines()
    ]
    (with_loss / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    charts, told = (draw_curves(read_runs([run])) for run in (plain, with_loss))
    assert charts.shape == told.shape  # no chart more
    assert (charts[44 + 24 :] == told[44 + 24 :]).all()
    assert (charts[:44] != told[:44]).any()


def test_runs_are_drawn_over_one_another_in_their_colours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = write_scores(tmp_path / "a", 3, 0.25), write_scores(tmp_path / "b", 2, 0.75)
    assert explain("curves", *runs, "--out", tmp_path / "curves.png") == 0
    assert "2 runs, 10 points" in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / "curves.png"))[..., ::-1]
    for colour in ((0, 0x72, 0xB2), (0xD5, 0x5E, 0)):
        assert (picture == colour).all(2).sum() > 200


def test_each_validation_is_a_dot(tmp_path: Path) -> None:
    widths = []
    for count in (1, 2):
        (run,) = read_runs([write_scores(tmp_path / str(count), count, 0.5)])
        chart = draw_curves([run])[100:, 380:]  # of the visible lines, below the legend
        widths.append(int((chart == (0, 0x72, 0xB2)).all(2).any(0).sum()))
    assert 2 <= widths[0] <= 8  # a dot alone
    assert widths[1] > 100  # two, and a line between


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    folders = write_scores(tmp_path / "a", 1, 0.5), write_scores(tmp_path / "x" / "a", 1, 0.5)
    assert [run.name for run in read_runs(folders)] == [str(folder) for folder in folders]


def test_what_holds_no_scores_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="validate_every"):
        read_runs([tmp_path])
    path = tmp_path / "scores.jsonl"
    path.write_text("")
    with pytest.raises(MissingInputError, match="no scores in it yet"):
        read_runs([tmp_path])
    path.write_text('{"step": 1, "score": 0.5}\nhello\n')
    with pytest.raises(InputError, match="line 2"):
        read_runs([path])
    path.write_text('{"score": 0.5}\n')
    with pytest.raises(InputError, match="line 1"):
        read_runs([path])
    with pytest.raises(InputError, match=r"\.png"):
        explain("curves", tmp_path, "--out", tmp_path / "curves.jpg")


def test_titles_and_ticks_are_for_people() -> None:
    assert title_of("f1_visible_line") == "visible line, F1 within 2 px"
    assert title_of("iou") == "IoU"
    assert title_of("context_iou") == "IoU of the context road"
    assert ticks(950) == [0, 200, 400, 600, 800]
    assert ticks(1000) == [0, 200, 400, 600, 800, 1000]
    assert ticks(1) == [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]


# -- sheets --------------------------------------------------------------------------------------------------


def test_a_sheet_holds_every_picture_and_cuts_long_captions() -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    cells = [Cell("long " * 30, np.full((4, 4, 3), c, np.uint8)) for c in colours]
    picture = sheet(cells, columns=2, width_px=40, title="t", key=[((1, 2, 3), "a colour")])
    assert [(picture == c).all(2).sum() for c in colours] == [1600] * 3
    assert picture.shape[1] < 160


def test_pictures_are_fitted_without_smoothing_when_enlarged() -> None:
    assert fit_width(np.array([[[0] * 3, [255] * 3]], np.uint8), 4)[..., 0].tolist() == [[0, 0, 255, 255]] * 2
    assert fit_width(np.array([[[0] * 3, [200] * 3]], np.uint8), 1)[..., 0].tolist() == [[100]]
