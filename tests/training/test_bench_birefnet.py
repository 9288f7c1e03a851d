"""The comparison with the public BiRefNet: what it makes of two answers and of wrong folders."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from douga_training.bench.birefnet import _rows
from douga_training.bench.public import fill, public_birefnet, public_isnet, seeded

from douga.errors import InputError
from douga.networks.isnet import IsNet, IsNetConfig

TIMES = {"s": 30.0, "cpu_s": 50.0, "peak_gib": 4.0}


def found(**quick: float) -> dict[str, dict[str, float]]:
    return {"public": TIMES, "float32": TIMES, "bfloat16": TIMES | quick}


def answers(folder: Path, *, float32: float = 0.0, bfloat16: float = 0.0, pixels: int = 0) -> None:
    """The public one's logits are 0, alpha 0.5; ours are off, bfloat16 in so many of 10,000 pixels."""
    wrong = np.zeros(10_000, np.float32)
    wrong[:pixels] = bfloat16
    for size in ("square", "wide"):
        np.save(folder / f"public-{size}.npy", np.zeros(10_000, np.float32))
        np.save(folder / f"float32-{size}.npy", np.full(10_000, float32, np.float32))
    np.save(folder / "bfloat16-square.npy", wrong)


def missed(folder: Path, measured: dict[str, dict[str, float]]) -> list[str]:
    return [row.name for row in _rows(measured, folder, Namespace()) if row.missed]


def test_twice_as_fast_in_half_the_memory_with_the_same_numbers_meets_everything(tmp_path: Path) -> None:
    answers(tmp_path, float32=9e-5, bfloat16=1.0, pixels=10)
    assert missed(tmp_path, found(s=15.0, cpu_s=25.0, peak_gib=2.0)) == []


def test_each_goal_is_missed_by_itself(tmp_path: Path) -> None:
    good = {"s": 15.0, "cpu_s": 25.0, "peak_gib": 2.0}
    answers(tmp_path)
    assert missed(tmp_path, found(**good | {"s": 21.0})) == ["bfloat16: times as fast as the public one"]
    assert missed(tmp_path, found(**good | {"cpu_s": 40.0})) == ["the same by processor time"]
    assert missed(tmp_path, found(**good | {"peak_gib": 2.7})) == ["bfloat16: share of its peak"]
    answers(tmp_path, bfloat16=0.05, pixels=11)  # alpha 0.5125
    assert missed(tmp_path, found(**good)) == ["bfloat16: pixels within 0.01 of its alpha"]
    answers(tmp_path, float32=1.1e-4)
    assert [name[:15] for name in missed(tmp_path, found(**good))] == ["float32, square", "float32, wide: "]


def test_folders_that_are_no_checkouts_are_named_and_nothing_of_them_stays(tmp_path: Path) -> None:
    before = list(sys.path)
    with pytest.raises(InputError, match="no checkout of ZhengPeng7/BiRefNet"):
        public_birefnet(tmp_path, "swin_v1_t")
    (tmp_path / "config.py").write_text("class Config:\n    pass\n")
    with pytest.raises(InputError, match="no checkout of ZhengPeng7/BiRefNet"):
        public_birefnet(tmp_path, "swin_v1_t")
    assert sys.path == before
    assert not {"config", "dataset", "models"} & set(sys.modules)
    with pytest.raises(InputError, match="no IS-Net folder"):
        public_isnet(tmp_path, "ISNetDIS")


def test_seeded_weights_are_the_same_everywhere_and_told_by_their_names() -> None:
    weight = seeded("side1.weight", (1, 2, 1, 1))
    torch.testing.assert_close(
        weight, torch.tensor([-8.056405, 10.135992]).reshape(1, 2, 1, 1), atol=1e-6, rtol=0
    )
    assert not torch.equal(weight, seeded("side2.weight", (1, 2, 1, 1)))
    assert seeded("a.bn.running_var", (50,)).min() >= 0.5
    assert seeded("a.bn.num_batches_tracked", ()).dtype == torch.int64
    network = fill(IsNet(IsNetConfig(4)))
    assert torch.equal(network.state_dict()["side.0.weight"], seeded("side.0.weight", (1, 4, 3, 3)))
