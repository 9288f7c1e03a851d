"""Weights between two trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from douga import checkpoint
from douga.checkpoint import WeightsInfo, load_network, save_network
from douga.cli import main
from douga.errors import CheckpointError, OutputError
from douga.mixing import mix_weights
from douga.networks.gcn import Gcn, GcnConfig

CEL = GcnConfig(classes=2, width=4, kernel_size=3, detail_width=4, context_px=64)


def saved(path: Path, seed: int, config: GcnConfig = CEL, stage: str = "cel", step: int = 10) -> Path:
    torch.manual_seed(seed)
    save_network(path, Gcn(config), WeightsInfo(stage, config, "color", step, {"seed": seed}), half=False)
    return path


def state_of(path: Path) -> dict[str, torch.Tensor]:
    return load_network(path, "cpu", fused=False).network.state_dict()


def test_every_tensor_lies_between_the_two_and_the_file_says_of_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, out = saved(tmp_path / "old.safetensors", 1), saved(tmp_path / "new.safetensors", 2, step=30), (
        tmp_path / "mixed.safetensors"
    )  # fmt: skip
    assert main(["weights", "mix", str(old), str(new), "--share", "0.25", "--out", str(out)]) == 0
    before, after, mixed = state_of(old), state_of(new), state_of(out)
    for key, value in mixed.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * before[key] + 0.25 * after[key], atol=2e-3, rtol=2e-3)
    info = load_network(out, "cpu").info
    assert info.step == 30
    assert [told.split(" of ")[0] for told in info.recipe["mixed"]] == ["0.75", "0.25"]
    assert load_network(old, "cpu").sha256[:12] in info.recipe["mixed"][0]
    assert "stage cel" in capsys.readouterr().out


def test_stage_one_mixes_with_the_cutout_that_grew_from_it(tmp_path: Path) -> None:
    alpha = replace(CEL, classes=1)
    cel, cutout = saved(tmp_path / "a.safetensors", 1), saved(tmp_path / "b.safetensors", 2, alpha, "cutout")
    for pair, share in (((cel, cutout), 0.0), ((cutout, cel), 1.0)):
        state, info = mix_weights(*pair, share)
        assert info.stage == "cutout"
        assert info.config == alpha
        found, asked = Gcn(alpha).eval(), load_network(cel, "cpu", fused=False).network
        found.load_state_dict(state)
        image = torch.rand(1, 3, 64, 96)
        torch.testing.assert_close(found(image)[:, 0].sigmoid(), asked(image).softmax(1)[:, 1])


def test_a_level_that_one_lacks_counts_with_its_share(tmp_path: Path) -> None:
    deep = replace(CEL, quarter_width=4)
    old, new = saved(tmp_path / "old.safetensors", 1), tmp_path / "new.safetensors"
    torch.manual_seed(2)
    network = Gcn(deep)
    assert network.detail is not None
    assert network.detail.quarter is not None
    torch.nn.init.normal_(network.detail.quarter.out.weight)
    save_network(new, network, WeightsInfo("cel", deep, "color", 3, {}, "x"), half=False)
    state, info = mix_weights(old, new, 0.25)
    assert info.config == deep
    assert info.recipe["quarter_width"] == 4
    key = "detail.quarter.out.weight"
    torch.testing.assert_close(state[key], 0.25 * state_of(new)[key])
    back, info = mix_weights(new, old, 1.0)
    assert info.config == deep
    found, asked = Gcn(deep).eval(), load_network(old, "cpu", fused=False).network
    found.load_state_dict(back)
    image = torch.rand(1, 3, 64, 96)
    torch.testing.assert_close(found(image), asked(image))


def test_levels_of_different_width_do_not_mix(tmp_path: Path) -> None:
    pair = [saved(tmp_path / f"{n}.safetensors", n, replace(CEL, quarter_width=n)) for n in (4, 8)]
    with pytest.raises(CheckpointError, match="do not mix"):
        mix_weights(*pair, 0.5)


def test_weights_that_cannot_be_written_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = saved(tmp_path / "old.safetensors", 1)
    (tmp_path / "file").write_bytes(b"")
    out = tmp_path / "file" / "mixed.safetensors"
    assert main(["weights", "mix", str(old), str(old), "--share", "0.5", "--out", str(out)]) == 2
    assert "a part of its path is a file" in capsys.readouterr().err

    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OutputError, match=r"new\.safetensors: cannot be written .*No space left"):
        saved(tmp_path / "new.safetensors", 2)
    assert not (tmp_path / "new.safetensors").exists()


def test_how_large_the_frame_is_seen_does_not_part_weights(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "a.safetensors", 1), saved(
        tmp_path / "b.safetensors", 1, replace(CEL, context_px=32)
    )  # fmt: skip
    state, info = mix_weights(one, other, 0.5)
    assert info.config == CEL
    assert all(torch.equal(state[key], value) for key, value in state_of(one).items())


@pytest.mark.parametrize(
    ("config", "stage"),
    [
        (replace(CEL, width=8), "cel"),
        (replace(CEL, classes=10), "lines"),
        (replace(CEL, classes=1), "cutout"),
    ],
    ids=["another width", "another stage", "lines with a cutout"],
)
def test_strangers_are_refused(tmp_path: Path, config: GcnConfig, stage: str) -> None:
    lines = replace(CEL, classes=10)
    first = (CEL, "cel") if stage != "cutout" else (lines, "lines")
    one = saved(tmp_path / "a.safetensors", 1, *first)
    other = saved(tmp_path / "b.safetensors", 1, config, stage)
    with pytest.raises(CheckpointError, match="do not mix"):
        mix_weights(one, other, 0.5)
    with pytest.raises(CheckpointError, match="do not mix"):
        mix_weights(other, one, 0.5)


def test_a_share_beyond_its_ends_and_a_file_that_is_there_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = saved(tmp_path / "a.safetensors", 1)
    argv = ["weights", "mix", str(one), str(one), "--out"]
    assert main([*argv, str(tmp_path / "b.safetensors"), "--share", "1.5"]) == 2
    assert "from 0" in capsys.readouterr().err
    assert main([*argv, str(one)]) == 2
    assert "--overwrite" in capsys.readouterr().err
