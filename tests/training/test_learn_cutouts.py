"""BiRefNet and IS-Net learn: the small recipes by the command that people use, real networks and files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
from douga_training.folders import open_folders
from douga_training.learners.birefnet import BiRefNetLearner
from douga_training.learners.imagenet import fetch_encoder, for_encoder
from douga_training.learners.isnet import IsNetLearner
from douga_training.learners.whole import mean_scores, score_alpha
from douga_training.loop import train
from douga_training.recipe import Recipe, read_recipe
from douga_training.run_state import BEST, LAST, RESUME
from torch import nn

from douga import __version__
from douga.alpha import find_alpha
from douga.checkpoint import WeightsInfo, load_network, save_tensors
from douga.cutout_weights import load_cutout_network
from douga.errors import CheckpointError, OutputError
from douga.networks.birefnet import SWIN, BiRefNet
from douga.networks.birefnet.deform import DeformableBranch
from douga.networks.birefnet.swin import Swin
from douga.train import main
from douga.types import Frame

RECIPES = Path(__file__).parents[2] / "training" / "recipes"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """Three pictures to learn from and one to judge by: an orange disc on blue."""
    for part, number in (("train", 0), ("train", 1), ("train", 2), ("val", 3)):
        alpha = np.zeros((128, 128), np.uint8)
        cv2.circle(alpha, (50 + 8 * number, 60), 30, 255, -1, cv2.LINE_AA)
        share = alpha[..., None] / 255
        rgb = share * (230, 120, 40) + (1 - share) * (40, 60, 150)
        for kind, image in (("im", rgb.round().astype(np.uint8)[..., ::-1]), ("gt", alpha)):
            (tmp_path / part / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / part / kind / f"{number}.png"), image)
    return tmp_path


def small(name: str, studio: Path, **entries: object) -> Recipe:
    given = {"data": str(studio), "out": str(studio / "run"), "device": "cpu", "workers": 0, "threads": 1}
    return read_recipe(RECIPES / f"{name}-try.toml", given | entries)


def isnet(studio: Path, **entries: object) -> Recipe:
    return small("isnet", studio, width=4, teacher_steps=1, **entries)


def state_of(out: Path) -> dict[str, dict[str, torch.Tensor]]:
    return torch.load(out / RESUME, weights_only=True)


# -- BiRefNet ------------------------------------------------------------------------------------------------


def test_birefnet_learns_one_batch_by_heart(studio: Path) -> None:
    """Swin-T at 128 px."""
    learner = BiRefNetLearner(small("birefnet", studio, epochs=1))
    torch.manual_seed(1)
    network = learner.new_network().train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    samples = learner.samples(open_folders(learner.recipe)[0])
    batch = {key: torch.stack([samples[i][key] for i in (0, 1)]) for key in ("image", "alpha")}
    assert batch["image"].shape == (2, 3, 128, 128)
    optimizer, losses = torch.optim.AdamW(network.parameters(), 3e-4), []
    for _ in range(8):
        optimizer.zero_grad()
        loss = learner.loss(network, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_deformable_convolutions_have_gradients_in_channels_last(kernel_size: int) -> None:
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        branch = DeformableBranch(4, 6, kernel_size).to(memory_format=layout)  # type: ignore[call-overload]
        branch(torch.randn(2, 4, 5, 5).to(memory_format=layout)).square().mean().backward()
        gradients.append(branch.taken.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_command_trains_birefnet_and_douga_cutout_takes_its_weights(studio: Path) -> None:
    out = studio / "run"
    given = ["--data", str(studio), "--out", str(out), "--device", "cpu", "--workers", "0", "--threads", "1"]
    assert main([str(RECIPES / "birefnet-try.toml"), *given, "--checkpoint_every", "9"]) == 0
    (line,) = (out / "scores.jsonl").read_text("utf-8").splitlines()
    scores = json.loads(line)
    expected = {"pixel_accuracy", "boundary_iou", "weighted_f", "mae", "loss", "score"}
    assert scores.keys() >= expected
    judged = [scores[key] for key in ("pixel_accuracy", "boundary_iou", "weighted_f")]
    assert scores["score"] == pytest.approx(np.mean(judged))
    network = load_cutout_network(str(out / BEST), "cpu")
    assert (network.info.kind, network.info.stage, network.info.step) == ("birefnet", "cutout", 2)
    frame = Frame(cv2.imread(str(studio / "val" / "im" / "3.png"))[..., ::-1].copy(), "3")
    alpha = find_alpha(frame, network)
    assert alpha.values.shape == (128, 128)
    assert alpha.frame.warnings == ()  # seen at the 128 px that it was trained at, which is its own size


def imported(folder: Path, name: str = "published", **config: object) -> Path:
    """Weights as `douga weights import` writes them."""
    published = replace(SWIN["swin_t"], **config)  # type: ignore[arg-type]
    torch.manual_seed(5)
    info = WeightsInfo(
        "cutout", published, "color", 0, {}, __version__, "birefnet", "MIT", "somebody/birefnet"
    )
    save_tensors(folder / f"{name}.safetensors", BiRefNet(published).state_dict(), info, half=False)
    return folder / f"{name}.safetensors"


def test_fine_tuning_begins_with_imported_weights_and_keeps_their_licence(studio: Path) -> None:
    start = imported(studio, kernels=(1, 3, 3, 3))
    recipe = small("birefnet", studio, init_from=str(start), steps=1, learning_rate=1e-9, checkpoint_every=9)
    network = BiRefNetLearner(recipe).new_network()
    assert (network.config.kernels, network.config.dropout) == ((1, 3, 3, 3), 0.0)
    before = load_network(start, "cpu", fused=False).network.state_dict()
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key
    train(recipe)
    assert load_network(studio / "run" / LAST, "cpu").info.licence == "MIT"
    assert load_network(studio / "run" / LAST, "cpu").info.source == "somebody/birefnet"
    wrong = replace(recipe, encoder="swin_s", out=str(studio / "other"))
    with pytest.raises(CheckpointError, match=r"init_from = .*its network has .*make the recipe's entries"):
        train(wrong)
    with pytest.raises(CheckpointError, match="of kind 'birefnet'; give weights of kind 'isnet'"):
        train(isnet(studio, init_from=str(start), teacher="any"))


def test_the_encoder_from_imagenet_answers_as_timms() -> None:
    """At 448 px all windows are whole, so padding does not matter, and timm shifts those of all stages."""
    torch.manual_seed(0)
    name = "swin_tiny_patch4_window7_224.ms_in22k_ft_in1k"
    theirs = timm.create_model(name, pretrained=False, img_size=448).eval()
    config = SWIN["swin_t"]
    ours = Swin(config.embed_width, config.depths, config.heads, config.window, 0.0).eval()
    left = ours.load_state_dict(for_encoder(theirs.state_dict(), "swin_t"), strict=False)
    assert left.unexpected_keys == []
    assert {key.rsplit(".", 1)[0] for key in left.missing_keys} == {f"stages.{i}.norm" for i in range(4)}
    image = torch.randn(1, 3, 448, 448)
    with torch.no_grad():
        expected = theirs.forward_intermediates(image, intermediates_only=True)
        for found, feature in zip(ours(image), expected, strict=True):
            normed = nn.functional.layer_norm(feature.permute(0, 2, 3, 1), feature.shape[1:2])
            torch.testing.assert_close(found.permute(0, 2, 3, 1), normed, atol=1e-4, rtol=1e-4)


def test_weights_that_are_not_timms_are_refused() -> None:
    with pytest.raises(CheckpointError, match="names its Swin otherwise"):
        for_encoder({"patch_embed.proj.weight": torch.zeros(1)}, "swin_t")


def test_without_a_network_it_is_said_where_weights_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"cannot be fetched .*give a file with init_from"):
        fetch_encoder("swin_t")


# -- IS-Net --------------------------------------------------------------------------------------------------


def test_one_command_trains_the_encoder_of_masks_and_then_the_network(studio: Path) -> None:
    out = studio / "run"
    scores = train(isnet(studio))
    assert 0 <= scores["score"] <= 1
    masks = load_network(out / "masks" / BEST, "cpu")
    assert (masks.info.kind, masks.info.stage) == ("isnet-masks", "masks")
    network = load_cutout_network(str(out / BEST), "cpu")
    assert (network.info.kind, network.info.config) == ("isnet", isnet(studio).network)
    assert "teacher" not in network.info.recipe  # a path of this machine
    written = (out / "masks" / LAST).stat().st_mtime_ns
    assert train(isnet(studio, steps=3)).keys() == scores.keys()
    assert (out / "masks" / LAST).stat().st_mtime_ns == written  # the teacher is not taught again


@pytest.mark.parametrize("synchronisation", ["l2", "kl", "l1"])
def test_the_teacher_stands_still_and_its_features_pull(studio: Path, synchronisation: str) -> None:
    train(isnet(studio, steps=1))
    recipe = isnet(studio, teacher=str(studio / "run" / "masks" / BEST), synchronisation=synchronisation)
    learner = IsNetLearner(recipe)
    samples = learner.samples(open_folders(recipe)[0])
    learner.prepare(samples, torch.device("cpu"))
    assert learner.teacher is not None
    before = {key: value.clone() for key, value in learner.teacher.state_dict().items()}
    batch = {key: torch.stack([samples[i][key] for i in (0, 1)]) for key in ("image", "alpha")}
    features = learner.teacher(batch["alpha"]).features
    torch.manual_seed(1)
    network = learner.new_network().train()
    optimizer, losses = torch.optim.Adam(network.parameters(), 1e-2), []
    for _ in range(12):
        optimizer.zero_grad()
        loss = learner.loss(network, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    for key, value in learner.teacher.state_dict().items():
        assert torch.equal(value, before[key]), key
    for again, first in zip(learner.teacher(batch["alpha"]).features, features, strict=True):
        assert torch.equal(again, first)
    assert not any(feature.requires_grad for feature in features)


def test_a_teacher_that_does_not_fit_is_refused(studio: Path) -> None:
    train(isnet(studio, steps=1))
    masks, network = studio / "run" / "masks" / BEST, studio / "run" / BEST
    with pytest.raises(CheckpointError, match=r"teacher = .*of kind 'isnet'; give the encoder of masks"):
        train(isnet(studio, teacher=str(network), out=str(studio / "other")))
    with pytest.raises(CheckpointError, match=r"teacher = .*has width 4, the recipe's network 8"):
        train(replace(isnet(studio, teacher=str(masks), out=str(studio / "other")), width=8))


def test_masks_are_learned_until_the_goal_is_reached(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = isnet(studio, stage="masks", steps=9, validate_every=1, goal=1e-6)
    train(recipe)
    assert load_network(studio / "run" / LAST, "cpu").info.step == 1
    assert "goal reached; stopped at step 1" in capsys.readouterr().out
    assert train(recipe) == {}  # and does not go on when it is started again


# -- going on, and what can go wrong -------------------------------------------------------------------------


def test_a_run_that_stopped_after_an_epoch_goes_on_bit_by_bit(studio: Path) -> None:
    changes = {"flip": 0.5, "affine": 0.5, "colour": 0.5, "schedule": "halving", "halve_every": 1}
    train(isnet(studio, steps=1))
    teacher = str(studio / "run" / "masks" / BEST)
    for name, lengths in (("whole", (2,)), ("stopped", (1, 2))):
        for epochs in lengths:
            train(isnet(studio, teacher=teacher, out=str(studio / name), epochs=epochs, **changes))
    first, second = (state_of(studio / name) for name in ("whole", "stopped"))
    assert first["step"] == second["step"] == 4  # three pictures in batches of two, twice
    for part in ("network", "average"):
        assert all(torch.equal(value, second[part][key]) for key, value in first[part].items())
    assert first["optimizer"]["param_groups"][0]["lr"] == pytest.approx(5e-4)  # type: ignore[index]


def test_a_checkpoint_that_cannot_be_written_ends_no_run_before_its_end(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (studio / "run" / RESUME).mkdir(parents=True)  # in its way
    with pytest.raises(OutputError, match=r"last.pt: cannot be written"):
        train(isnet(studio, stage="masks", steps=2, checkpoint_every=1))
    said = capsys.readouterr().out
    assert said.count("training goes on, the next time it may work") == 1
    assert load_network(studio / "run" / LAST, "cpu").info.step == 2


# -- scores --------------------------------------------------------------------------------------------------


def test_scores_that_say_nothing_are_left_out() -> None:
    empty, full = np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32)
    right = score_alpha(full, full)
    assert (right["pixel_accuracy"], right["mae"]) == (1, 0)
    assert right["loss"] == pytest.approx(0, abs=1e-4)
    nothing = score_alpha(empty, empty)
    assert np.isnan(nothing["boundary_iou"])
    means = mean_scores([nothing, nothing], ("pixel_accuracy", "boundary_iou"))
    assert "boundary_iou" not in means
    assert means["score"] == means["pixel_accuracy"] == 1
