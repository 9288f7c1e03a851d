"""One contract for the networks that answer an alpha: sizes, batches, precision, checkpoints, training."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.ops import deform_conv2d

from douga.checkpoint import WeightsInfo, load_network, save_network
from douga.errors import CheckpointError
from douga.networks.birefnet import SWIN, BiRefNet, BiRefNetConfig
from douga.networks.birefnet.decoder import LastLayer, add_lateral, image_patches
from douga.networks.birefnet.deform import DeformableAspp, DeformableBranch
from douga.networks.birefnet.swin import cut_windows
from douga.networks.isnet import IsNet, IsNetConfig, MaskEncoder

TINY = BiRefNetConfig(16, (1, 2, 2, 1), (1, 2, 2, 4), 5, inner_width=8, aspp_width=16, gradient_width=4)
KINDS: dict[str, Callable[[], nn.Module]] = {
    "birefnet": lambda: BiRefNet(TINY),
    "isnet": lambda: IsNet(IsNetConfig(8)),
}
ALL = pytest.mark.parametrize("kind", KINDS)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@cache
def network_of(kind: str) -> nn.Module:
    """An untrained network whose normalisations and deformations do something. Not to be changed."""
    torch.manual_seed(1)
    network = KINDS[kind]().eval().requires_grad_(False)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.1, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            part.weight.uniform_(0.5, 1.5)
        if isinstance(part, DeformableBranch):
            part.where.weight.normal_(0, 0.05)
            part.where.bias.normal_(0, 1.5)
            part.how_much.weight.normal_(0, 0.05)
    last = network.last.narrow if kind == "birefnet" else network.side[0]
    last.weight *= 3 / network(noise(1, 64, 64)).std()
    return network


def noise(*shape: int, seed: int = 0) -> Tensor:
    """(B, 3, H, W) of normalised colours."""
    return torch.rand((shape[0], 3, *shape[1:]), generator=torch.Generator().manual_seed(seed)) * 4 - 2


@ALL
@pytest.mark.parametrize("size_hw", [(1, 1), (3, 5), (37, 101), (64, 128)])
def test_any_size_comes_out_as_it_went_in(kind: str, size_hw: tuple[int, int]) -> None:
    answer = network_of(kind)(noise(1, *size_hw))
    assert answer.shape == (1, 1, *size_hw)
    assert answer.dtype == torch.float32
    assert answer.isfinite().all()


@ALL
def test_sizes_that_do_not_divide_are_padded_with_the_border_not_resized(kind: str) -> None:
    small = noise(1, 64, 128)[..., :50, :100]
    padded = nn.functional.pad(small, (0, 28, 0, 14), mode="replicate")
    assert torch.equal(network_of(kind)(small), network_of(kind)(padded)[..., :50, :100])


@ALL
def test_a_frame_is_answered_alike_alone_and_in_a_batch(kind: str) -> None:
    batch = noise(2, 50, 70)
    together = network_of(kind)(batch)
    alone = torch.cat([network_of(kind)(batch[i : i + 1]) for i in (0, 1)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


@ALL
def test_the_same_frame_gives_the_same_bits(kind: str) -> None:
    first, again = (network_of(kind)(noise(1, 50, 70)) for _ in range(2))
    assert torch.equal(first, again)


@ALL
def test_channels_last_and_gradients_answer_as_contiguous_without(kind: str) -> None:
    image = noise(1, 64, 64)
    with torch.no_grad():
        expected = network_of(kind)(image)
        last = network_of(kind)(image.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network_of(kind)(image), expected, atol=1e-4, rtol=1e-4)


def saved(kind: str, path: Path, network: nn.Module | None = None) -> Path:
    network = network or network_of(kind)
    info = WeightsInfo("cutout", network.config, "color", 7, {"seed": 3}, "0.0.1", kind)  # type: ignore[arg-type]
    save_network(path, network, info, half=False)
    return path


@ALL
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_checkpoint_brings_back_what_answers_the_same(
    kind: str, precision: torch.dtype, tmp_path: Path
) -> None:
    back = load_network(saved(kind, tmp_path / "w.safetensors"), "cpu", precision=precision)
    assert (back.info.stage, back.info.kind, back.info.step) == ("cutout", kind, 7)
    assert back.info.config == network_of(kind).config
    assert not any(isinstance(part, nn.BatchNorm2d) for part in back.network.modules())
    assert len(back.network.mean) == len(back.network.std) == 3  # type: ignore[arg-type]
    image = noise(1, 64, 96)
    with torch.inference_mode():
        answer, expected = back.network(image), network_of(kind)(image)
    assert answer.dtype == torch.float32
    if precision == torch.float32:
        torch.testing.assert_close(answer, expected, atol=1e-3, rtol=1e-3)
    else:
        apart = (answer.sigmoid() - expected.sigmoid()).abs()
        assert apart.mean() < 5e-3
        assert apart.max() < 0.05


@ALL
def test_in_low_precision_nothing_of_the_file_stays_in_memory(kind: str, tmp_path: Path) -> None:
    path = saved(kind, tmp_path / "w.safetensors")
    whole = load_network(path, "cpu")
    assert str(path) in [mapped.path for mapped in psutil.Process().memory_maps()]
    del whole
    lower = load_network(path, "cpu", precision=torch.bfloat16)
    assert str(path) not in [mapped.path for mapped in psutil.Process().memory_maps()]
    assert lower.network(noise(1, 32, 32)).isfinite().all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda tensors, header: header.update(kind="unet"), "kind 'unet'; known are gcn, birefnet"),
        (lambda tensors, header: header.update(kind="gcn"), "other entries .*version that wrote it"),
        (lambda tensors, header: header.update(classes=["flat"]), r"other classes .* than \['alpha'\]"),
        (lambda tensors, header: header["config"].update(heads=[1, 2]), "give four numbers each"),
        (lambda tensors, header: header["config"].update(heads=[3, 3, 3, 3]), "must divide"),
        (lambda tensors, header: tensors.pop("last.narrow.bias"), "do not fit .*last.narrow.bias"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    spoil: Callable[[dict[str, Tensor], dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    path = saved("birefnet", tmp_path / "spoilt.safetensors")
    with safe_open(str(path), "pt") as file:
        tensors, header = load_file(str(path)), json.loads(file.metadata()["douga"])
    spoil(tensors, header)
    save_file(tensors, str(path), {"douga": json.dumps(header)})
    with pytest.raises(CheckpointError, match=f"spoilt.safetensors: .*{message}"):
        load_network(path, "cpu")


@ALL
def test_training_supervises_every_stage_and_wants_sides_that_divide(kind: str) -> None:
    network = KINDS[kind]().train()
    seen = network(noise(2, 64, 128))
    if kind == "birefnet":
        assert seen.logits.shape == (2, 1, 64, 128)
        assert [s.shape[-2:] for s in seen.sides] == [(2, 4), (4, 8), (8, 16)]
        assert [g.shape[-2:] for g in seen.gradients] == [(2, 4), (4, 8), (8, 16)]
        assert all(t.shape == (2, 1, 64, 128) for t in seen.gradient_targets)
    else:
        assert all(one.shape == (2, 1, 64, 128) for one in seen.logits)
        taught = MaskEncoder(network.config)(torch.zeros(2, 1, 64, 128))  # type: ignore[arg-type]
        assert [f.shape for f in seen.features] == [f.shape for f in taught.features]
    with pytest.raises(ValueError, match="training takes sides that are multiples"):
        network(noise(2, 64, 100))


@ALL
def test_training_in_bfloat16_moves_every_weight(kind: str) -> None:
    torch.manual_seed(0)
    network = KINDS[kind]().train()
    with torch.autocast("cpu", torch.bfloat16):
        seen = network(noise(2, 64, 128))
    parts = (
        (seen.logits, *seen.sides, *seen.gradients) if kind == "birefnet" else (*seen.logits, *seen.features)
    )
    sum(part.float().square().mean() for part in parts).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    if kind == "birefnet":
        assert network.up[0].block.aspp.branches[2].where.weight.grad.any()  # type: ignore[union-attr, index]


def test_lowered_precision_answers_alike_on_both_ways_through_the_deformable_convolutions() -> None:
    network = BiRefNet(TINY).eval()
    network.load_state_dict(network_of("birefnet").state_dict())
    network.lower_precision(torch.bfloat16)
    image = noise(1, 64, 96)
    with torch.no_grad():
        in_pieces = network(image).sigmoid()
    assert (network(image).sigmoid() - in_pieces).abs().mean() < 5e-3


@pytest.mark.parametrize("name", SWIN)
def test_the_papers_encoders_fit(name: str) -> None:
    with torch.device("meta"):  # shapes only
        assert len(BiRefNet(SWIN[name]).up) == 4


def test_a_width_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4, got 30"):
        IsNetConfig(30)


# -- parts ---------------------------------------------------------------------------------------------------


def test_windows_of_a_map_by_hand() -> None:
    """3 x 3 tokens in windows of 2, shifted by 1: padding joins the last row and column, then the first."""
    plain = cut_windows((3, 3), 2, 0, CPU)
    there = torch.ones(16, dtype=torch.bool)
    there[plain.padding] = False
    shown = torch.where(there, plain.tokens, -1).reshape(4, 4).tolist()
    assert shown == [[0, 1, 3, 4], [2, -1, 5, -1], [6, 7, -1, -1], [8, -1, -1, -1]]
    assert [(count, apart) for count, apart in plain.groups] == [(4, None)]
    shifted = cut_windows((3, 3), 2, 1, CPU)
    there = torch.ones(16, dtype=torch.bool)
    there[shifted.padding] = False
    shown = torch.where(there, shifted.tokens, -1).reshape(4, 4).tolist()
    assert shown == [[4, 5, 7, 8], [-1, 3, -1, 6], [-1, -1, 1, 2], [-1, -1, -1, 0]]
    interior, right, below, corner = (apart for _, apart in shifted.groups)
    assert interior is None
    assert right.tolist() == [[i % 2 != j % 2 for j in range(4)] for i in range(4)]
    assert below.tolist() == [[i // 2 != j // 2 for j in range(4)] for i in range(4)]
    assert corner.tolist() == [[i != j for j in range(4)] for i in range(4)]


@pytest.mark.parametrize("size_hw", [(3, 3), (8, 8), (5, 11), (1, 2)])
@pytest.mark.parametrize("shift", [0, 2])
def test_every_token_comes_back_to_its_place(size_hw: tuple[int, int], shift: int) -> None:
    windows = cut_windows(size_hw, 4, shift, CPU)
    tokens = torch.arange(size_hw[0] * size_hw[1])
    assert torch.equal(tokens[windows.tokens][windows.back], tokens)


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_samples_in_bags_are_torchvisions(kernel_size: int) -> None:
    """With offsets far beyond the borders too."""
    torch.manual_seed(0)
    branch = DeformableBranch(6, 5, kernel_size).eval()
    for part in (branch.where, branch.how_much):
        nn.init.normal_(part.weight, 0, 2)
        nn.init.normal_(part.bias, 0, 2)
    x = torch.randn(1, 6, 9, 13)
    with torch.no_grad():
        share = 2 * branch.how_much(x).sigmoid()
        weight = branch.taken.weight
        theirs = deform_conv2d(x, branch.where(x), weight, padding=branch.pad, mask=share)
        samples = torch.cat([piece for _, piece in branch.sampled(x)])
        ours = samples @ weight.permute(2, 3, 1, 0).reshape(-1, 5)
    torch.testing.assert_close(ours, theirs[0].flatten(1).t(), atol=1e-4, rtol=1e-4)
    assert (branch.where(x).abs() > 13).any()


def test_pieces_join_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    aspp = DeformableAspp(6, 8, (1, 3), 0.0).eval()
    for branch in aspp.branches:
        nn.init.normal_(branch.where.weight, 0, 0.3)  # type: ignore[union-attr, arg-type]
    x = torch.randn(2, 6, 9, 13)
    whole = aspp(x)  # with gradients, so by torchvision's operator
    monkeypatch.setattr("douga.networks.birefnet.deform._CHUNK", 6 * 9 * 10)  # ten places at once
    with torch.no_grad():
        torch.testing.assert_close(aspp(x), whole, atol=1e-5, rtol=1e-4)


def test_attention_takes_the_fast_way_of_this_processor() -> None:
    """Torch says no where only this way is left to it and the mask is not to its liking."""
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION), torch.no_grad():
        assert network_of("birefnet")(noise(1, 64, 96)).isfinite().all()


def test_laterals_are_the_published_order_of_layers() -> None:
    torch.manual_seed(0)
    lateral = nn.Conv2d(6, 6, 1).requires_grad_(False)
    x, full, half = torch.randn(1, 6, 5, 7), torch.randn(1, 3, 10, 13), torch.randn(1, 3, 5, 7)
    enlarged, beside = (
        nn.functional.interpolate(map_, (10, 13), mode="bilinear", align_corners=True) for map_ in (x, half)
    )
    expected = enlarged + lateral(torch.cat([full, beside], 1))
    torch.testing.assert_close(add_lateral(x, full, half, lateral), expected, atol=1e-5, rtol=1e-4)


def test_image_patches_by_hand() -> None:
    image = torch.arange(8.0).reshape(1, 1, 2, 4)  # two pieces of 2 x 2 side by side
    patches = image_patches(image, (2, 2))
    assert patches[0].tolist() == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]


@pytest.mark.parametrize("height", [200, 256, 257])
def test_the_last_layer_in_bands_is_the_published_order_of_layers(height: int) -> None:
    torch.manual_seed(0)
    layer = LastLayer(5, 4, 3).eval().requires_grad_(False)
    features, image = torch.randn(1, 5, 50, 6), torch.randn(1, 3, height, 24)
    enlarged = nn.functional.interpolate(features, (height, 24), mode="bilinear", align_corners=True)
    expected = layer.narrow(torch.cat([enlarged, layer.patches(image)], 1))
    torch.testing.assert_close(layer(features, image), expected, atol=1e-5, rtol=1e-4)
