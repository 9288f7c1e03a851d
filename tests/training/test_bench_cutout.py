"""The table of cutouts: soft things of the examination, twins with one alpha, goals, and a run by chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from douga_training.bench import cutout, cutout_frames, foreground
from douga_training.bench.tables import Table
from douga_training.exam.soft import THINGS, soften
from douga_training.simulate import store
from douga_training.simulate.sheet import CelArt

from douga.evaluate_alpha import AlphaFrame, score_alpha
from douga.foreground import estimate_foreground
from douga.types import U8

SMALL = (320, 180)


def small_exam(drawn: int = 4) -> cutout_frames.Exam:
    return replace(cutout_frames.cutout_exam(drawn, 0), size_wh=SMALL)


def block() -> CelArt:
    """A block of hair paint of the examination on a body."""
    rgb, alpha = np.full((200, 300, 3), 255, np.uint8), np.zeros((200, 300), np.uint8)
    rgb[40:120, 100:200], rgb[120:200, 100:200] = (96, 60, 48), (38, 42, 66)
    alpha[40:200, 100:200] = 255
    return CelArt(rgb, alpha, np.zeros((200, 300), np.uint8))


# -- frames --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", THINGS)
def test_soft_things_let_the_background_through(thing: str) -> None:
    art = block()
    made = soften(np.random.default_rng(3), art, thing)
    between = (made.alpha > 12) & (made.alpha < 243)
    assert between.sum() > 300
    assert between[:35].any() or between[:, :95].any() or between[:, 205:].any()
    assert not made.ids[made.alpha < 128].any()
    assert not art.alpha[:, :90].any()


def test_an_empty_cel_stays_empty() -> None:
    empty = CelArt(
        np.zeros((50, 60, 3), np.uint8), np.zeros((50, 60), np.uint8), np.zeros((50, 60), np.uint8)
    )
    assert all(soften(np.random.default_rng(0), empty, thing) is empty for thing in THINGS)


def test_the_questions_are_other_ones_than_those_of_the_examination() -> None:
    exam = cutout_frames.cutout_exam()
    seeds = {q.seed for q in exam.questions}
    assert len(seeds) == len(exam.questions) == cutout_frames.DRAWN + cutout_frames.REAL_FRAMES
    assert not seeds & {q.seed for q in cutout_frames.recipe.read_exam().questions}
    assert {cutout.set_of(q.stem) for q in exam.questions} == set(cutout.SETS)


def test_a_frame_and_its_twin_have_one_soft_alpha(tmp_path: Path) -> None:
    exam = small_exam()
    lossless, aired = cutout_frames.draw(exam.questions[1], exam)
    assert aired.alpha is lossless.alpha
    assert not np.array_equal(aired.frame, lossless.frame)
    assert ((lossless.alpha > 20) & (lossless.alpha < 235)).sum() > 100
    stems = cutout_frames.build(tmp_path, exam, ())
    assert store.stems(tmp_path / "broadcast") == sorted(stems)
    assert np.array_equal(store.read_image(tmp_path, "alpha", exam.questions[1].stem), lossless.alpha)
    written = (tmp_path / "frame" / f"{stems[0]}.png").stat().st_mtime_ns
    cutout_frames.build(tmp_path, exam, ())
    assert (tmp_path / "frame" / f"{stems[0]}.png").stat().st_mtime_ns == written


# -- table ---------------------------------------------------------------------------------------------------


def answers(who: str, found: U8, truth: U8) -> cutout.Answers:
    frame = AlphaFrame(score_alpha(found, truth), Path(), Path())
    return cutout.Answers(who, {kind: {"long-1": frame, "real-2": frame} for kind in cutout.KINDS})


def made_table(found: U8) -> Table:
    truth = np.zeros((80, 80), np.uint8)
    truth[20:60, 20:60] = 255
    return cutout.score_table("c", [answers("floor", truth * 0, truth), answers("w", found, truth)], "N.")


def test_only_the_weights_can_miss_goals_and_every_score_has_its_row() -> None:
    truth = np.zeros((80, 80), np.uint8)
    truth[20:60, 20:60] = 255
    good = made_table(truth)
    assert good.misses == ()
    assert [row[:2] for row in good.rows[:4]] == [
        ("drawn, lossless", "floor"),
        ("drawn, lossless", "w"),
        ("drawn, broadcast", "floor"),
        ("drawn, broadcast", "w"),
    ]
    assert good.heads[2:] == ("PA", "boundary IoU", "weighted F", "MAE", "max F", "S", "mean E")
    assert good.rows[1][2:6] == ("1.000", "1.000", "1.000", "0.0000")
    assert good.rows[-2] == ("drawn: goal", "", "0.93", "0.85", "0.95", "", "", "", "")
    poor = truth.copy()
    poor[20:60, 20:30] = 0
    misses = made_table(poor).misses
    assert len(misses) == 8  # three goals of drawn and one of real frames, in both kinds
    assert misses[0].startswith("drawn, lossless: PA 0.")


def test_weights_are_run_over_frames_and_twins_and_the_worst_are_drawn(tmp_path: Path) -> None:
    import torch

    from douga.checkpoint import WeightsInfo, save_network
    from douga.cutout_weights import load_cutout_network
    from douga.frame_io import read_frame
    from douga.networks.gcn import Gcn, GcnConfig

    torch.manual_seed(0)
    gcn = Gcn(GcnConfig(1, kernel_size=3, width=4, context_px=96, detail_width=4))
    save_network(tmp_path / "w.safetensors", gcn, WeightsInfo("cutout", gcn.config, "color", 2))
    folder, out = tmp_path / "set", tmp_path / "out"
    stems = cutout_frames.build(folder, small_exam(2), ())
    (out / "lossless" / "alpha").mkdir(parents=True)
    (out / "lossless" / "alpha" / "old.png").write_bytes(b"of another run")
    network = load_cutout_network(str(tmp_path / "w.safetensors"), "cpu")
    found = cutout.answer("w", network, folder, stems, out)
    assert {kind: sorted(found.by_kind[kind]) for kind in cutout.KINDS} == dict.fromkeys(
        cutout.KINDS, sorted(stems)
    )
    assert (out / "broadcast" / "alpha" / f"{stems[0]}.png").is_file()
    table = cutout.score_table("c", [found], "N.")
    assert len(table.rows) == 4  # two kinds of drawn frames, no real ones, two goals
    assert len(table.misses) >= 4
    sheet = read_frame(cutout.draw_worst(found, folder, tmp_path / "worst.png"))
    assert sheet.size_hw[0] > 4 * 270


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--threads", "0"), "--threads"),
        (("--weights", "nowhere.safetensors"), "nowhere"),
        (("--weights", "lines-small"), "lines"),
        (("--weights", "cel-small", "--frames", "0", "--real-frames", "0"), "one frame"),
    ],
)
def test_what_cannot_be_measured_is_said(
    words: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cutout.main([*words, "--build", str(tmp_path), "--device", "cpu"]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_colours_at_soft_edges_are_measured_against_true_ones() -> None:
    methods = {
        "the frame's own colours": lambda rgb, alpha: rgb / 255.0,
        "douga.foreground": estimate_foreground,
    }
    table = foreground.measure(2, (320, 180), methods)
    (_, own, _), (_, ours, _) = table.rows
    assert float(ours) < 0.7 * float(own)
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    half = np.full((4, 4), 0.5, np.float32)
    assert foreground.fringe(red / 255, red, half) == 0
    assert foreground.fringe(np.zeros((4, 4, 3)), red, half) == pytest.approx(255 * 0.5 / 3)
    assert np.isnan(foreground.fringe(red / 255, red, np.ones((4, 4), np.float32)))


def test_what_is_compared_with_has_to_be_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert foreground.main([]) == 2
    assert "pymatting is not installed" in capsys.readouterr().err
