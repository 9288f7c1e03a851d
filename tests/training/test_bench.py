"""The benchmark: tables and their markers, verdicts, check sets, and a small run with weights of chance."""

from __future__ import annotations

import platform
from pathlib import Path

import cv2
import numpy as np
import pytest
from douga_training.bench.__main__ import main
from douga_training.bench.checks import REAL_SEED, read_drawings, real_set, simulated_set
from douga_training.bench.scores import KINDS, Weights, by_frame_table, judge, numbers, score_table
from douga_training.bench.speed import Goal, Measured, run_python
from douga_training.bench.tables import Table, as_text, describe_machine, write_tables
from douga_training.simulate.store import read_image

from douga.classes import DougaClass
from douga.errors import InputError, MissingInputError
from douga.evaluate import Evaluation, Score
from douga.metrics import LineCounts, Overlap

SIZE = (192, 108)
GOALS = {"cel IoU": 0.9, "visible line F1": 0.9}


def table(key: str = "real", value: str = "0.5") -> Table:
    return Table(key, "A title", "python -m x", ("score", "value"), (("a", value),), ("a",), ("A note.",))


# -- tables --------------------------------------------------------------------------------------------------


def test_a_new_file_gets_headings_and_tables(tmp_path: Path) -> None:
    path = tmp_path / "B.md"
    write_tables(path, [table(), table("speed")], "a machine", when="2020-01-02")
    text = path.read_text()
    assert text.startswith("# Benchmarks\n")
    assert "## A title\n\n<!-- bench:real -->\n`python -m x`, 2020-01-02, a machine.\n" in text
    assert "| score | value |\n| --- | --- |\n| a | 0.5 |\n\nMissed: a.\n\nA note.\n" in text
    assert text.count("<!-- /bench:") == 2


def test_what_stands_around_the_markers_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "B.md"
    path.write_text("# Mine\n\n<!-- bench:real -->\nold\n<!-- /bench:real -->\n\nWords of mine.\n")
    write_tables(path, [table(value="0.7")], "a machine")
    write_tables(path, [table(value="0.8")], "a machine")
    text = path.read_text()
    assert text.startswith("# Mine\n\n<!-- bench:real -->\n`python")
    assert text.endswith("<!-- /bench:real -->\n\nWords of mine.\n")
    assert "old" not in text
    assert "0.7" not in text
    assert text.count("0.8") == 1


def test_an_open_marker_is_reported_and_the_file_kept(tmp_path: Path) -> None:
    path = tmp_path / "B.md"
    path.write_text("<!-- bench:real -->\nwords")
    with pytest.raises(InputError, match="has no <!-- /bench:real -->"):
        write_tables(path, [table()], "a machine")
    assert path.read_text() == "<!-- bench:real -->\nwords"


def test_text_names_what_was_missed() -> None:
    assert as_text(table()) == "A title\nscore  value\n------------\na      0.5\nmissed: a\nA note.\n"


def test_the_machine_is_described_without_its_name() -> None:
    text = describe_machine(2)
    assert "cores, 2 threads" in text
    assert platform.node() not in text.split()


# -- verdicts ------------------------------------------------------------------------------------------------


def answers(lossless: tuple[int, int], twin: tuple[int, int]) -> dict[str, Evaluation]:
    """Evaluations of one frame. lossless, twin: percent of the cel IoU and of the visible lines' F1."""
    out = {}
    for kind, (cel, line) in (("lossless", lossless), ("broadcast", twin)):
        score = Score(cel=Overlap(cel, 100), matrix=np.eye(10, dtype=np.int64))
        score.lines[DougaClass.VISIBLE_LINE.key] = LineCounts(line, 100, line, 100)
        out[kind] = Evaluation(Path(), Path(), 2.0, {"a": score}, ())
    return out


@pytest.mark.parametrize(
    ("lossless", "twin", "misses"),
    [
        ((90, 90), (85, 85), ()),
        ((89, 95), (89, 95), ("cel IoU",)),
        ((95, 95), (95, 89), ("visible line F1",)),
        ((90, 90), (99, 99), ()),
    ],
)
def test_a_goal_is_for_the_frame_and_for_how_far_its_twin_falls(
    lossless: tuple[int, int], twin: tuple[int, int], misses: tuple[str, ...]
) -> None:
    made = score_table("real", "T", "c", answers(lossless, twin), goals=GOALS)
    assert made.misses == misses
    rows = {row[0]: row for row in made.rows}
    assert rows["cel IoU"][1:3] == (f"{lossless[0] / 100:.3f}", f"{twin[0] / 100:.3f}")
    assert rows["cel IoU"][5] == ("miss" if "cel IoU" in misses else "met")
    assert rows["pixel accuracy"][4:6] == ("", "")


def test_classes_without_truth_are_not_scored() -> None:
    score = Score()
    score.matrix[0, 0] = 5
    assert "shading line F1" not in numbers(score)
    assert "shading fill IoU" not in numbers(score)
    assert numbers(score)["flat IoU"] == 1


def test_goals_of_speed_go_either_way() -> None:
    assert not Measured("a", 3.0, goal=Goal(3)).missed
    assert Measured("a", 3.1, goal=Goal(3)).missed
    assert Measured("a", 2.9, "/s", Goal(3, at_most=False)).missed
    assert not Measured("a", 9.0).missed
    assert Measured("a", 3.1, goal=Goal(3)).row == ("a", "3.10 s", "at most 3 s", "miss")
    absent = Measured("a", None, "/s", Goal(24, at_most=False), "not measured")
    assert not absent.missed
    assert absent.row == ("a", "not measured", "at least 24 /s", "")


def test_a_probe_that_fails_says_why() -> None:
    with pytest.raises(InputError, match="no such thing"):
        run_python("-c", "raise SystemExit('no such thing')", threads=1)
    assert run_python("-c", "import os; print(os.environ['OMP_NUM_THREADS'])", threads=1) == "1\n"


def test_the_peak_is_the_process_own() -> None:
    held = np.ones(1 << 28, np.uint8)  # by this process: the other one must not inherit it
    code = (
        "import numpy as np; from douga_training.bench.probe import peak_bytes; "
        "before = peak_bytes(); held = np.ones(1 << 27, np.uint8); print(before, peak_bytes() - before)"
    )
    before, growth = map(int, run_python("-c", code, threads=1).split())
    assert before < held.nbytes
    assert growth >= 1 << 26


# -- check sets and a run ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A painted cel on white and a line drawing, in the layout of the shared drawings."""
    folder = tmp_path_factory.mktemp("shared")
    ids = np.zeros((80, 60), np.uint8)
    cel = np.zeros_like(ids)
    cv2.circle(cel, (30, 40), 24, 255, -1)
    cv2.circle(ids, (30, 40), 23, 1, 2)
    cv2.circle(ids, (30, 40), 10, 2, 1)
    rgb = np.full((80, 60, 3), 255, np.uint8)
    rgb[cel > 0] = (60, 120, 220)  # blue first: OpenCV writes it
    rgb[ids == 1] = 0
    for kind, image in (("class", ids), ("cel", cel)):
        (folder / kind).mkdir()
        for name in ("painted", "traced"):
            cv2.imwrite(str(folder / kind / f"{name}.png"), image)
    for kind, name in (("cel_on_white", "painted"), ("douga", "traced")):
        (folder / kind).mkdir()
        cv2.imwrite(str(folder / kind / f"{name}.png"), rgb)
    return folder


def test_drawings_are_read_in_the_right_colours(real: Path) -> None:
    painted, traced = read_drawings(real)
    assert painted.rgb is not None
    assert tuple(painted.rgb[40, 30]) == (220, 120, 60)
    assert painted.mask is not None
    assert painted.mask[40, 30] == 255
    assert painted.mask[0, 0] == 0
    assert (traced.name, traced.rgb) == ("traced", None)


def test_a_folder_without_drawings_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no drawings"):
        read_drawings(tmp_path)


def test_check_sets_alternate_drawings_and_are_kept(real: Path, tmp_path: Path) -> None:
    stems = real_set(tmp_path, real, 3, SIZE)
    assert stems == [f"painted-{REAL_SEED}", f"traced-{REAL_SEED + 1}", f"painted-{REAL_SEED + 2}"]
    first = read_image(tmp_path, "frame", stems[0])
    truth = read_image(tmp_path, "classes", stems[0])
    assert first.shape == (108, 192, 3)
    assert (truth == DougaClass.VISIBLE_LINE).any()
    assert not np.array_equal(read_image(tmp_path / "broadcast", "frame", stems[0]), first)
    written = (tmp_path / "frame" / f"{stems[0]}.png").stat().st_mtime_ns
    assert real_set(tmp_path, real, 1, SIZE) == stems[:1]
    assert (tmp_path / "frame" / f"{stems[0]}.png").stat().st_mtime_ns == written


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Networks that were never trained."""
    import torch

    from douga.checkpoint import WeightsInfo, save_network
    from douga.networks.gcn import Gcn, GcnConfig

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    cel = Gcn(GcnConfig(2, kernel_size=3, width=4, context_px=96, detail_width=4))
    lines = Gcn(GcnConfig(10, in_channels=4, kernel_size=3, width=4, detail_width=4))
    save_network(folder / "cel.safetensors", cel, WeightsInfo("cel", cel.config, "color", 7))
    save_network(folder / "lines.safetensors", lines, WeightsInfo("lines", lines.config, "concatenated", 9))
    return Weights(str(folder / "cel.safetensors"), str(folder / "lines.safetensors"), "cpu")


def test_a_run_scores_frames_and_twins(weights: Weights, tmp_path: Path) -> None:
    stems = simulated_set(tmp_path / "set", 1, SIZE)
    asked = Weights(weights.cel, weights.lines, "cpu", true_masks=True, raw=True)
    (tmp_path / "out" / "lossless" / "classes").mkdir(parents=True)
    (tmp_path / "out" / "lossless" / "classes" / "old.png").write_bytes(b"of another run")
    found = judge(tmp_path / "set", stems, asked, tmp_path / "out")
    assert list(found) == [f"{kind}{step}" for kind in KINDS for step in ("", " raw", " without paint")]
    assert all(numbers(evaluation.total)["cel IoU"] == 1 for evaluation in found.values())  # true masks
    assert (tmp_path / "out" / "lossless" / "errors" / f"{stems[0]}.png").is_file()
    assert (tmp_path / "out" / "broadcast" / "report.html").is_file()
    assert not (tmp_path / "out" / "lossless" / "classes" / "old.png").exists()
    made = score_table("simulated", "T", "c", found, goals=GOALS, notes=(asked.describe(),))
    assert made.heads[-2:] == ("broadcast raw", "broadcast without paint")
    assert "cel: cel, step 7" in made.notes[-1]
    assert "lines: lines, step 9" in made.notes[-1]
    assert by_frame_table(found).rows[0][:3] == (stems[0], "1.000", "1.000")


def test_the_command_skips_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "B.md"
    assert main(["real", "--real", str(tmp_path / "none"), "--write", str(report)]) == 0
    assert "skipped" in capsys.readouterr().out
    assert not report.exists()


def test_the_command_reports_bad_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reel"]) == 2
    assert "reel: expected real, simulated, speed" in capsys.readouterr().err
    assert main(["real", "--frames", "0"]) == 2
    assert "at least one frame" in capsys.readouterr().err
