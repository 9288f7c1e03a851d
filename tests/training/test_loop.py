"""The training loop as people run it: small, but with real networks, files, processes and a kill."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from douga_training import validate
from douga_training.data import Samples
from douga_training.folders import open_folders
from douga_training.learners.gcn import GcnLearner
from douga_training.logs import SCORES
from douga_training.loop import train
from douga_training.recipe import Recipe
from douga_training.run_state import BEST, LAST, RESUME
from douga_training.schedule import learning_rate
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from douga.checkpoint import load_network
from douga.errors import CheckpointError, RecipeError
from douga.networks.gcn import Gcn
from douga.train import main

TINY = Recipe(
    simulated=1,
    kernel_size=5,
    width=8,
    detail_width=8,
    context_px=64,
    crop_px=64,
    windows=1,
    batch=2,
    workers=0,
    steps=4,
    validate_every=2,
    checkpoint_every=2,
    validation_frames=1,
    warmup_steps=1,
    threads=1,
    device="cpu",
    bf16=False,
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """A run folder that goes at once: checkpoints take hundreds of megabytes."""
    yield tmp_path / "run"
    shutil.rmtree(tmp_path)


def recipe_of(scenes: Path, out: Path, **entries: object) -> Recipe:
    return replace(TINY, data=str(scenes), simulated=0, out=str(out), **entries)  # type: ignore[arg-type]


def score_steps(out: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (out / SCORES).read_text("utf-8").splitlines()]


def state_of(out: Path) -> dict[str, dict[str, torch.Tensor]]:
    return torch.load(out / RESUME, weights_only=True)


def arguments(recipe: Recipe, folder: Path) -> list[str]:
    """The recipe as a file and its name, as `python -m douga.train` takes it."""
    path = folder / "recipe.toml"
    entries = {
        key: list(value) if isinstance(value, tuple) else value for key, value in asdict(recipe).items()
    }
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in entries.items()), "utf-8")
    return [str(path)]


# -- a run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["cel", "lines", "cutout"])
def test_a_run_leaves_weights_scores_and_logs(scenes: Path, out: Path, stage: str) -> None:
    loss = "alpha" if stage == "cutout" else "cross_entropy"
    recipe = recipe_of(
        scenes, out, stage=stage, loss=loss, dice=0.3, bf16=True, validate_every=4, checkpoint_every=4
    )
    scores = train(recipe)
    assert 0 <= scores["score"] <= 1
    expected = {"cel": {"iou", "context_iou"}, "lines": {"accuracy"}, "cutout": {"iou", "context_iou", "mae"}}
    assert scores.keys() >= expected[stage]
    assert score_steps(out) == [4]
    for name in (BEST, LAST):
        weights = load_network(out / name, "cpu")
        assert (weights.info.stage, weights.info.step, weights.info.config) == (stage, 4, recipe.network)
        assert weights.info.recipe["dice"] == 0.3
        assert "out" not in weights.info.recipe  # a path of this machine has no place in weights
        assert all(value.isfinite().all() for value in weights.network.state_dict().values())
    logs = EventAccumulator(str(out / "tensorboard")).Reload().Tags()
    assert "validation/score" in logs["scalars"]
    assert logs["images"] == ["validation/input, answer, truth"]


def test_training_lowers_the_loss(scenes: Path, out: Path) -> None:
    """Here on crops, which is the other way to train."""
    steps = {"steps": 40, "validate_every": 40, "checkpoint_every": 40}
    recipe = recipe_of(scenes, out, stage="lines", context_px=0, learning_rate=3e-3, average=0.5, **steps)
    samples = Samples(recipe, open_folders(recipe)[0])
    batch = {key: torch.stack([samples[i][key] for i in range(6)]) for key in ("image", "ids")}

    def loss(network: torch.nn.Module) -> float:
        return torch.nn.functional.cross_entropy(network(batch["image"]), batch["ids"]).item()

    torch.manual_seed(recipe.seed)
    before = loss(Gcn(recipe.network).eval())
    train(recipe)
    assert loss(load_network(out / LAST, "cpu").network) < 0.9 * before


@pytest.mark.parametrize("loss", ["weighted", "focal"])
def test_every_loss_trains(scenes: Path, out: Path, loss: str) -> None:
    train(recipe_of(scenes, out, stage="lines", loss=loss, steps=1, validate_every=9))
    weights = load_network(out / LAST, "cpu").network.state_dict()
    assert all(value.isfinite().all() for value in weights.values())


def test_a_run_without_a_folder_draws_its_frames(out: Path) -> None:
    recipe = replace(TINY, out=str(out), stage="lines", context_px=0, simulated_px=64, steps=1)
    assert train(recipe) == {}
    assert load_network(out / LAST, "cpu").info.step == 1


# -- going on ------------------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_bit_by_bit(scenes: Path, out: Path) -> None:
    changes = {"affine": 0.5, "erase": 0.5, "texture": 0.5, "replace_background": 0.5}
    whole, killed = (recipe_of(scenes, out / name, steps=7, **changes) for name in ("whole", "killed"))
    (out / "killed").mkdir(parents=True)
    command = [sys.executable, "-m", "douga.train", *arguments(killed, out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 600
        while (
            not (out / "killed" / RESUME).is_file() and process.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == -signal.SIGKILL, said
    assert state_of(out / "killed")["step"] < 7  # type: ignore[operator]
    train(killed)
    train(whole)
    first, second = (state_of(out / name) for name in ("whole", "killed"))
    for part in ("network", "average"):
        assert all(torch.equal(value, second[part][key]) for key, value in first[part].items())
    assert score_steps(out / "killed") == score_steps(out / "whole") == [2, 4, 6, 7]
    assert (out / "killed" / LAST).read_bytes()[-1000:] == (out / "whole" / LAST).read_bytes()[-1000:]


def test_ctrl_c_keeps_what_was_learned_and_the_same_command_goes_on(scenes: Path, out: Path) -> None:
    recipe = recipe_of(scenes, out / "run", steps=400, checkpoint_every=400, validate_every=400, workers=1)
    out.mkdir()
    command = [sys.executable, "-m", "douga.train", *arguments(recipe, out)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        while "step/s" not in (process.stderr.readline()):  # the bar is there: it has begun
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to the workers too
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    step = state_of(out / "run")["step"]
    assert f"stopped at step {step}; the same command goes on" in said
    assert 0 < step < 400  # type: ignore[operator]
    train(replace(recipe, steps=step + 1))  # type: ignore[operator]
    assert state_of(out / "run")["step"] == step + 1  # type: ignore[operator]


def test_going_on_with_other_settings_is_told(
    scenes: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(scenes, out, steps=2)
    train(recipe)
    capsys.readouterr()
    train(replace(recipe, device="auto"))
    told = capsys.readouterr()
    assert "nothing is left to do" in told.out
    assert "note" not in told.err
    state = state_of(out)
    del state["recipe"]["found_masks"]  # type: ignore[attr-defined]
    torch.save(state, out / RESUME)  # as before there was such an entry
    train(recipe)
    assert "note" not in capsys.readouterr().err
    train(replace(recipe, steps=3, loss="focal"))
    told = capsys.readouterr()
    assert "loss 'cross_entropy' -> 'focal'" in told.err
    assert "steps 2 -> 3" in told.err
    assert "nothing is left" not in told.out


def test_a_run_goes_on_with_the_optimizer_settings_of_its_recipe(scenes: Path, out: Path) -> None:
    recipe = recipe_of(scenes, out, steps=1, optimizer="adam")
    train(recipe)
    train(replace(recipe, steps=2, optimizer="adamw", weight_decay=0.25))
    optimizer = state_of(out)["optimizer"]
    assert [group["weight_decay"] for group in optimizer["param_groups"]] == [0.25]
    assert {int(of_weight["step"]) for of_weight in optimizer["state"].values()} == {2}  # nothing forgotten


def test_a_finished_run_is_left_alone_and_a_fresh_one_starts_anew(scenes: Path, out: Path) -> None:
    recipe = recipe_of(scenes, out, steps=2)
    train(recipe)
    written = (out / LAST).stat().st_mtime_ns
    assert train(recipe) == {}
    assert (out / LAST).stat().st_mtime_ns == written
    train(recipe, fresh=True)
    assert (out / LAST).stat().st_mtime_ns > written
    assert score_steps(out) == [2]
    begun = shutil.copy(out / LAST, out.parent / "begun.safetensors")
    for _ in range(2):
        train(replace(recipe, init_from=str(begun)), fresh=True)
        assert score_steps(out) == [0, 2]


def test_a_run_stops_once_it_gets_no_better(scenes: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(validate.SCORES_OF, "cel", lambda *_: {"score": 0.5})
    recipe = recipe_of(scenes, out, steps=9, validate_every=1, checkpoint_every=9, patience=2)
    train(recipe)
    assert score_steps(out) == [1, 2, 3]
    assert load_network(out / BEST, "cpu").info.step == 1
    assert load_network(out / LAST, "cpu").info.step == 3
    assert train(recipe) == {}  # and does not go on when it is started again
    assert score_steps(out) == [1, 2, 3]


def test_the_best_weights_are_kept_beside_the_last(
    scenes: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.2, 0.6, 0.4])
    monkeypatch.setitem(validate.SCORES_OF, "cel", lambda *_: {"score": next(scores)})
    train(recipe_of(scenes, out, steps=3, validate_every=1, checkpoint_every=3))
    assert load_network(out / BEST, "cpu").info.step == 2
    assert load_network(out / LAST, "cpu").info.step == 3


def test_a_disk_that_is_full_for_a_while_ends_no_run(
    scenes: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    (out / "scores.jsonl").mkdir(parents=True)  # cannot be written to either
    train(recipe_of(scenes, out, steps=2, validate_every=1))
    assert (out / "last.safetensors").is_file()
    told = capsys.readouterr().out
    assert told.count("TensorBoard's files cannot be written (No space left on device)") == 1
    assert "scores.jsonl: cannot be written" in told


def test_a_line_of_scores_that_was_cut_short_is_left_out(scenes: Path, out: Path) -> None:
    train(recipe_of(scenes, out, steps=2, validate_every=1))
    with (out / "scores.jsonl").open("a") as file:
        file.write('{"step": 3, "ti')
    train(recipe_of(scenes, out, steps=3, validate_every=1))
    assert score_steps(out) == [1, 2, 3]


def test_a_run_starts_from_given_weights(scenes: Path, out: Path) -> None:
    train(recipe_of(scenes, out / "first", steps=1, validate_every=9))
    start = str(out / "first" / LAST)
    second = recipe_of(
        scenes, out / "second", steps=1, init_from=start, learning_rate=1e-12, weight_decay=0, average=0
    )
    train(second)
    before, after = (load_network(out / name / LAST, "cpu", fused=False) for name in ("first", "second"))
    learned = dict(before.network.named_parameters())
    for key, value in after.network.named_parameters():
        torch.testing.assert_close(value, learned[key], atol=1e-6, rtol=1e-3)
    with pytest.raises(CheckpointError, match=r"init_from = .* make the recipe's entries equal"):
        train(replace(second, width=9, out=str(out / "third")))


def test_the_weights_begun_from_are_kept_until_there_are_better_ones(
    scenes: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe_of(scenes, out / "first", steps=1, validate_every=9))
    scores = iter([0.5, 0.4, 0.6])
    monkeypatch.setitem(validate.SCORES_OF, "cel", lambda *_: {"score": next(scores)})
    second = recipe_of(
        scenes, out / "second", steps=1, init_from=str(out / "first" / LAST), learning_rate=1.0
    )
    train(second)
    before, best = (load_network(path, "cpu") for path in (out / "first" / LAST, out / "second" / BEST))
    assert best.info.step == 0
    for kept, start in zip(best.network.parameters(), before.network.parameters(), strict=True):
        torch.testing.assert_close(kept, start)
    train(replace(second, steps=2))
    assert load_network(out / "second" / BEST, "cpu").info.step == 2


def test_the_context_may_see_frames_at_another_size_than_before(scenes: Path, out: Path) -> None:
    first = recipe_of(scenes, out / "first", steps=1, validate_every=9)
    train(first)
    larger = replace(first, context_px=first.context_px + 32, dropout=0.3)
    train(replace(larger, out=str(out / "second"), init_from=str(out / "first" / LAST)))
    assert load_network(out / "second" / LAST, "cpu").info.config == larger.network


def test_a_run_with_a_quarter_level_starts_from_weights_without_one(scenes: Path, out: Path) -> None:
    first = recipe_of(scenes, out / "first", steps=1, validate_every=9)
    train(first)
    start = str(out / "first" / LAST)
    deeper = replace(first, quarter_width=4, init_from=start, learning_rate=1e-12, weight_decay=0, average=0)
    train(replace(deeper, out=str(out / "second")))
    before, after = (load_network(out / name / LAST, "cpu", fused=False) for name in ("first", "second"))
    learned = dict(after.network.named_parameters())
    assert "detail.quarter.out.weight" in learned
    for key, value in before.network.named_parameters():
        torch.testing.assert_close(value, learned[key], atol=1e-6, rtol=1e-3)


def test_a_cutout_can_unlearn_what_stage_one_was_sure_of(scenes: Path, out: Path) -> None:
    assert max(pulls_on_a_sure_background(scenes, out, alpha=0.5)) < -1


def test_what_is_soft_weighs_more_than_what_is_opaque(scenes: Path, out: Path) -> None:
    soft, opaque = (pulls_on_a_sure_background(scenes, out, alpha) for alpha in (0.5, 1.0))
    assert all(a < 1.5 * b < 0 for a, b in zip(soft, opaque, strict=True))  # though it is nearer


def pulls_on_a_sure_background(scenes: Path, out: Path, alpha: float) -> list[float]:
    """Gradients at both roads' ends where they are sure that there is nothing, and `alpha` is true."""
    recipe = recipe_of(scenes, out, stage="cutout", loss="alpha")
    learner = GcnLearner(recipe)
    network = learner.new_network()
    assert network.detail is not None
    samples = learner.samples(open_folders(recipe)[0])
    batch = {key: value[None] for key, value in samples[0].items()}
    ends = (network.coarse, network.detail.last[2])
    with torch.no_grad():
        for end in ends:
            end.weight.zero_()
            end.bias.fill_(-16)
    batch["ids"], batch["small_ids"] = (torch.full_like(batch[key], alpha) for key in ("ids", "small_ids"))
    learner.loss(network, batch).backward()
    return [end.bias.grad.item() for end in ends]


def test_a_cutout_begins_where_stage_one_ends(scenes: Path, out: Path) -> None:
    cel = recipe_of(scenes, out / "cel", steps=2, validate_every=9)
    train(cel)
    soft = replace(
        cel, stage="cutout", loss="alpha", out=str(out / "cutout"), init_from=str(out / "cel" / LAST)
    )
    standing = replace(soft, steps=1, learning_rate=1e-12, weight_decay=0, average=0)
    train(standing)
    first, second = (load_network(out / name / LAST, "cpu", fused=False) for name in ("cel", "cutout"))
    assert second.info.stage == "cutout"
    for network in (first, second):  # their statistics of normalisation moved by a step
        network.network.load_state_dict(
            {k: v for k, v in first.network.state_dict().items() if "running" in k}, strict=False
        )
    image = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        cel_share, alpha = first.network(image).softmax(1)[:, 1], second.network(image).sigmoid()[:, 0]
    torch.testing.assert_close(alpha, cel_share, atol=2e-3, rtol=0)


@pytest.mark.parametrize("spoil", [b"noise", b"", None])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_named(
    scenes: Path, out: Path, spoil: bytes | None
) -> None:
    recipe = recipe_of(scenes, out)
    out.mkdir()
    if spoil is None:
        torch.save({"network": {}}, out / RESUME)
    else:
        (out / RESUME).write_bytes(spoil)
    with pytest.raises(
        CheckpointError, match=r"last.pt: cannot go on from it .*--fresh or another --out"
    ) as caught:
        train(recipe)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("cosine", [0.5, 1.0, 1.0, 0.55, 0.1]), ("linear", [0.5, 1.0, 1.0, 0.55, 0.1])],
)
def test_the_learning_rate_rises_then_falls(schedule: str, rates: list[float]) -> None:
    recipe = replace(TINY, learning_rate=1.0, warmup_steps=2, steps=10, final_rate=0.1, schedule=schedule)
    assert [learning_rate(recipe, step) for step in (0, 1, 2, 6, 10)] == pytest.approx(rates)
    quarter = {"cosine": 0.1 + 0.9 * 0.853553, "linear": 0.1 + 0.9 * 0.75}[schedule]
    assert learning_rate(recipe, 4) == pytest.approx(quarter)


# -- the command ---------------------------------------------------------------------------------------------


def test_mistakes_end_with_one_sentence_and_status_2(
    scenes: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.mkdir()
    given = arguments(recipe_of(scenes, out), out)
    for more, message in (
        (["--steps", "many"], "steps = 'many': expected a whole number"),
        (["--data", str(out / "none")], "none: no productions here"),
        (["--device", "cuda:99"], "this machine has none such"),
        (["--init-from", "nowhere"], "nowhere: no such weights"),
        (["--out", str(out / "recipe.toml")], "recipe.toml: cannot be written"),
    ):
        assert main([*given, *more]) == 2
        said = capsys.readouterr().err
        assert said.startswith("douga: ")
        assert message in said
        assert said.count("\n") == 1


def test_the_command_line_trains(scenes: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out.mkdir()
    assert main([*arguments(recipe_of(scenes, out), out), "--steps", "1"]) == 0
    assert "douga: cel on cpu, 5 frames, step 0 of 1" in capsys.readouterr().out
    assert load_network(out / BEST, "cpu").info.step == 1


def copied(scenes: Path, own: Path) -> Path:
    """A studio's folder: frames, masks and classes, to be spoiled."""
    for kind in ("frame", "cel_mask", "classes"):
        shutil.copytree(scenes / kind, own / kind)
    return own


def test_labels_that_are_missing_or_do_not_fit_are_named_before_the_first_step(
    scenes: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = copied(scenes, tmp_path / "own")
    first, second = sorted(path.name for path in (own / "classes").iterdir())[:2]
    (own / "classes" / first).unlink()
    given = arguments(recipe_of(own, out, stage="lines"), tmp_path)
    assert main(given) == 2
    assert f"classes: nothing for 1 of 6 frames ({first[:-4]})" in capsys.readouterr().err
    assert main([*given, "--stage", "cel", "--steps", "1"]) == 0  # which needs no classes
    (own / "frame" / first).unlink()
    cv2.imwrite(str(own / "cel_mask" / second), np.zeros((20, 30), np.uint8))
    assert main([*given, "--fresh"]) == 2
    assert f"{second}: is 30 x 20 px but its frame is" in capsys.readouterr().err


def test_a_picture_that_breaks_off_ends_the_run_with_one_sentence(
    scenes: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = copied(scenes, tmp_path / "own")
    for path in (own / "classes").iterdir():  # whole enough for its header
        path.write_bytes(path.read_bytes()[:-300])
    given = arguments(recipe_of(own, out, stage="lines", workers=1), tmp_path)
    assert main(given) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("douga:")]
    assert len(said) == 1
    assert ".png: cannot be read" in said[0]
    assert "Traceback" not in said[0]


# -- several processes ---------------------------------------------------------------------------------------


def test_two_processes_train_together(scenes: Path, out: Path) -> None:
    recipe = recipe_of(scenes, out, stage="lines", steps=2, patience=5)
    out.mkdir()
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "douga.train"]
    command = [sys.executable, *launch, *arguments(recipe, out)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=900, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert score_steps(out) == [2]
    weights = load_network(out / LAST, "cpu")
    assert weights.info.step == 2
    assert all(value.isfinite().all() for value in weights.network.state_dict().values())


def test_a_batch_that_does_not_divide_is_refused(
    scenes: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(RecipeError, match="batch = 2: does not divide among 3 processes"):
        train(recipe_of(scenes, out))
