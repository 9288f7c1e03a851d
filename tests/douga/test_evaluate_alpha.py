"""`douga evaluate` on folders of alphas."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from douga.cli import main
from douga.errors import InputError, MissingInputError
from douga.evaluate import evaluate
from douga.evaluate_alpha import (
    AlphaFrame,
    alpha_rows,
    compare_alphas,
    find_alphas,
    means,
    read_alpha,
    score_alpha,
)
from douga.metrics import mattes
from douga.report_alpha import FORGIVEN, TOO_LITTLE, TOO_MUCH, alpha_overlay, alpha_pictures


def disk(radius: int, value: int = 255) -> np.ndarray:
    alpha = np.zeros((80, 100), np.uint8)
    cv2.circle(alpha, (50, 40), radius, value, -1, cv2.LINE_AA)
    return alpha


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two sub-folders, laid out one way in the truth and another way in the predictions."""
    truth, prediction = tmp_path / "truth", tmp_path / "pred"
    cases = {"action/1": (30, 20), "emotion/1": (30, 30), "emotion/2": (25, 24)}
    for key, (true, found) in cases.items():
        folder, stem = key.split("/")
        write(truth / "alpha" / folder / f"{stem}.png", disk(true))
        write(prediction / folder / "alpha" / f"{stem}.png", disk(found))
    write(truth / "frame" / "action" / "1.png", np.full((80, 100, 3), (40, 120, 200), np.uint8))
    return prediction, truth


def test_rows_by_sub_folder_and_total(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    prediction, truth = folders
    assert main(["evaluate", "--pred", str(prediction), "--truth", str(truth)]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(line for line in lines if line.startswith("alpha"))
    assert head.split()[:5] == ["alpha", "frames", "PA", "BIoU", "wF"]
    table = {line.split()[0]: line.split()[1:] for line in lines if re.match(r"(action|emotion|all) ", line)}
    assert [row[0] for row in table.values()] == ["1", "2", "3"]
    wanted = mattes.pixel_accuracy(disk(20), disk(30))
    assert table["action"][1] == f"{wanted * 100:.1f}"
    assert table["emotion"][1] == "100.0"
    assert table["all"][1] == f"{(wanted + 2) / 3 * 100:.1f}"  # every frame weighs the same


def test_numbers_in_json_are_those_of_the_metrics(folders: tuple[Path, Path], tmp_path: Path) -> None:
    prediction, truth = folders
    out = tmp_path / "scores"
    main(["evaluate", "--pred", str(prediction), "--truth", str(truth), "--out", str(out)])
    alpha = json.loads((out / "scores.json").read_text())["alpha"]
    assert set(alpha["by_folder"]) == {"action", "emotion"}
    assert alpha["per_frame"]["emotion/2"]["weighted_f"] == mattes.weighted_f(disk(24), disk(25))
    curves = [mattes.f_curve(disk(a), disk(b)) for a, b in ((20, 30), (30, 30), (24, 25))]
    assert alpha["total"]["max_f"] == pytest.approx(np.mean(curves, axis=0).max())
    assert alpha["total"]["mean_f"] == pytest.approx(np.mean(curves))
    assert alpha["total"]["contours"] == 1


def test_the_page_shows_the_worst_first(folders: tuple[Path, Path], tmp_path: Path) -> None:
    prediction, truth = folders
    page = tmp_path / "page.html"
    main(["evaluate", "--pred", str(prediction), "--truth", str(truth), "--html", str(page)])
    text = page.read_text()
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["action/1", "emotion/2", "emotion/1"]
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert captions[:4] == ["frame", "predicted alpha", "true alpha", "errors of the alpha"]
    assert len(captions) == 10  # only one of them has its frame
    assert "<b>100.0</b>" not in text
    assert "pixel accuracy, %" in text


def test_missing_predictions_are_named(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    prediction, truth = folders
    (prediction / "emotion" / "alpha" / "2.png").unlink()
    assert main(["evaluate", "--pred", str(prediction), "--truth", str(truth)]) == 1
    assert "alpha/emotion/2.png" in capsys.readouterr().err
    with pytest.raises(MissingInputError, match=r"such as alpha/action/1\.png"):
        evaluate(truth / "frame", truth)


def test_alphas_may_lie_beside_cel_masks(tmp_path: Path) -> None:
    for folder in ("pred", "truth"):
        write(tmp_path / folder / "alpha" / "a.png", disk(20))
        write(tmp_path / folder / "cel_mask" / "a.png", disk(20))
    evaluation = evaluate(tmp_path / "pred", tmp_path / "truth")
    assert evaluation.frames.keys() == evaluation.alphas.keys() == {"a"}


@pytest.mark.parametrize("whole", [True, False])
def test_a_studios_gt_is_a_truth(tmp_path: Path, whole: bool) -> None:
    write(tmp_path / "test" / "im" / "a.png", disk(20))
    write(tmp_path / "test" / "gt" / "a.png", disk(20))
    write(tmp_path / "cut" / "alpha" / "a.png", disk(20))
    truth = tmp_path / "test" if whole else tmp_path / "test" / "gt"
    prediction = tmp_path / "cut" if whole else tmp_path / "cut" / "alpha"
    evaluation = evaluate(prediction, truth)
    assert evaluation.alphas.keys() == {"a"}
    assert not evaluation.missing


def test_results_may_lie_in_a_folder_of_that_name(tmp_path: Path) -> None:
    write(tmp_path / "alpha" / "alpha" / "a.png", disk(20))
    write(tmp_path / "gt" / "sub" / "gt" / "b.png", disk(20))
    assert find_alphas(tmp_path / "alpha").keys() == {"a"}
    assert find_alphas(tmp_path / "gt").keys() == {"sub/b"}


def test_alphas_behind_a_link_are_found_and_a_circle_ends(tmp_path: Path) -> None:
    write(tmp_path / "store" / "1.png", disk(20))
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "alpha").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "round").symlink_to(tmp_path / "truth")
    assert set(find_alphas(tmp_path / "truth")) == {"1"}


def test_the_page_shows_the_frame_of_a_studios_alpha(tmp_path: Path) -> None:
    picture = np.full((80, 100, 3), (40, 120, 200), np.uint8)
    for folder, true in ((tmp_path / "test", "gt"), (tmp_path / "simulated", "alpha")):
        write(folder / true / "1.png", disk(20))
        write(folder / {"gt": "im", "alpha": "frame"}[true] / "1.jpg", picture)
        frame = AlphaFrame(score_alpha(disk(20), disk(20)), folder / true / "1.png", folder / true / "1.png")
        caption, rgb = alpha_pictures(frame)[0]
        assert caption == "frame"
        assert np.abs(rgb.astype(int) - picture[..., ::-1]).max() < 8


def test_a_sub_folder_called_all_keeps_its_row(tmp_path: Path) -> None:
    for key, radius in (("all", 20), ("other", 30)):
        write(tmp_path / "truth" / key / "alpha" / "1.png", disk(30))
        write(tmp_path / "pred" / key / "alpha" / "1.png", disk(radius))
    found = compare_alphas(find_alphas(tmp_path / "pred"), find_alphas(tmp_path / "truth"))
    assert [row[:2] for row in alpha_rows(found)[1:]] == [["other", "1"], ["all/", "1"], ["all", "2"]]


def test_two_alphas_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "alpha" / "x" / "1.png", disk(9))
    write(tmp_path / "x" / "alpha" / "1.png", disk(9))
    with pytest.raises(InputError, match="both the alpha of x/1"):
        find_alphas(tmp_path)


def test_sixteen_bits_are_read_and_colours_refused(tmp_path: Path) -> None:
    write(tmp_path / "deep.png", (disk(20).astype(np.uint16) * 257))
    np.testing.assert_array_equal(read_alpha(tmp_path / "deep.png"), disk(20))
    write(tmp_path / "rgb.png", np.repeat(disk(20)[..., None], 3, 2))
    np.testing.assert_array_equal(read_alpha(tmp_path / "rgb.png"), disk(20))
    write(tmp_path / "colour.png", np.full((4, 4, 3), (1, 2, 3), np.uint8))
    with pytest.raises(InputError, match=r"colour\.png: expected a grey picture"):
        read_alpha(tmp_path / "colour.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"broken\.png: cannot be read"):
        read_alpha(tmp_path / "broken.png")


def test_another_size_is_refused_with_both_names(tmp_path: Path) -> None:
    write(tmp_path / "p.png", disk(9))
    write(tmp_path / "t.png", disk(9)[:40])
    with pytest.raises(InputError, match=r"p\.png: is 100x80, but its truth .*t\.png is 100x40"):
        compare_alphas({"a": tmp_path / "p.png"}, {"a": tmp_path / "t.png"})


def test_empty_truths_do_not_hide_the_others(tmp_path: Path) -> None:
    empty = np.zeros((80, 100), np.uint8)
    hard = np.where(disk(20) > 128, np.uint8(255), np.uint8(0))  # a soft edge is never all of a mask's
    for name, array in (("e", empty), ("f", hard)):
        write(tmp_path / f"{name}.png", array)
    paths = {name: tmp_path / f"{name}.png" for name in "ef"}
    of = means(frame.score for frame in compare_alphas(paths, paths).values())
    assert of["weighted_f"] == pytest.approx(1)
    assert of["max_f"] == pytest.approx(1)
    assert of["pixel_accuracy"] == 1


def test_the_overlay_tells_what_counts() -> None:
    true, found = np.zeros((2, 40, 40), np.uint8)
    true[:, :20], found[:, :22] = 255, 255  # 2 px too much at an edge
    found[5:15, 30:40] = 255
    found[20:30, 5:15] = 0
    picture = alpha_overlay(found, true)
    assert tuple(picture[38, 21]) == FORGIVEN
    assert tuple(picture[10, 35]) == TOO_MUCH
    assert tuple(picture[25, 10]) == TOO_LITTLE
    assert tuple(picture[38, 30]) == (255, 255, 255)
