"""One contract for every network: sizes, batches, precision, layout, checkpoints, windows and bands."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from douga.cel import cel_probability, find_cel
from douga.checkpoint import (
    LoadedNetwork,
    WeightsInfo,
    choose_device,
    fold_norms,
    load_network,
    read_info,
    save_network,
)
from douga.classes import DougaClass
from douga.errors import CheckpointError, DeviceError, InputError
from douga.inference import predict
from douga.ink import with_outline
from douga.lines import area_costs, find_lines, without_zeal
from douga.networks.cues import ClassicalCues
from douga.networks.gcn import DetailRoad, Gcn, GcnConfig, QuarterLevel
from douga.preprocess import INPUT_MODES, input_channels, lifted, to_rgb, to_tensor
from douga.types import CelMask, Frame

SMALL = GcnConfig(classes=10, kernel_size=5, width=8, context_stride=2, detail_width=8)
CONFIGS = {
    "cel": replace(SMALL, classes=2, context_px=64),
    "lines": SMALL,
    "lines, with a quarter level": replace(SMALL, quarter_width=8),
    "lines, concatenated": replace(SMALL, in_channels=4, kernel_size=7),
    "cel, as in the paper": replace(SMALL, classes=2, context_px=64, detail_width=0),
    "lines, as in the paper": replace(SMALL, context_stride=1, detail_width=0),
}
ALL = pytest.mark.parametrize("name", CONFIGS)
TWO_ROADS = pytest.mark.parametrize("name", [n for n, c in CONFIGS.items() if c.detail_width])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@cache
def network_of(config: GcnConfig) -> Gcn:
    """An untrained network that is as sure of itself as a trained one (logits of deviation 3).

    Its normalisations do something, as after training. Not to be changed.
    """
    torch.manual_seed(1)
    network = Gcn(config).eval().requires_grad_(False)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.1, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            part.weight.uniform_(0.5, 1.5)
            part.bias.uniform_(-0.1, 0.1)
    if network.detail and network.detail.quarter:
        network.detail.quarter.out.weight.normal_(0, 0.5)
    for answer in (network.coarse, network.detail.last[-1] if network.detail else network.coarse):
        answer.weight *= 3 / network(noise(config, 1, 64, 64)).std()
    return network


def noise(config: GcnConfig, *shape: int, seed: int = 0) -> Tensor:
    """(B, C, H, W) of what `to_tensor` may give."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((shape[0], config.in_channels, *shape[1:]), generator=generator) * 4 - 2


def info_of(config: GcnConfig) -> WeightsInfo:
    stage = "cel" if config.classes == 2 else "lines"
    mode = "concatenated" if config.in_channels == 4 else "color"
    return WeightsInfo(stage, config, mode, 7, {"seed": 3}, "0.0.1")


def loaded(config: GcnConfig) -> LoadedNetwork:
    return LoadedNetwork(network_of(config), info_of(config), torch.device("cpu"), Path("none.safetensors"))


# -- what every network does ---------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("size_hw", [(1, 1), (3, 5), (37, 61)])
def test_any_size_comes_out_as_it_went_in(name: str, size_hw: tuple[int, int]) -> None:
    config = CONFIGS[name]
    answer = network_of(config)(noise(config, 1, *size_hw))
    assert answer.shape == (1, config.classes, *size_hw)
    assert answer.isfinite().all()


@ALL
def test_a_frame_is_answered_alike_alone_and_in_a_batch(name: str) -> None:
    config = CONFIGS[name]
    batch = noise(config, 2, 37, 61)
    together = network_of(config)(batch)
    alone = torch.cat([network_of(config)(batch[i : i + 1]) for i in (0, 1)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


@ALL
@pytest.mark.parametrize("level", [-2.0, 0.0, 2.0])
def test_an_empty_frame_gives_probabilities(name: str, level: float) -> None:
    config = CONFIGS[name]
    found = predict(loaded(config), torch.full((config.in_channels, 33, 40), level))
    assert found.isfinite().all()
    torch.testing.assert_close(found.float().sum(0), torch.ones(33, 40), atol=5e-3, rtol=0)


@ALL
def test_the_same_frame_gives_the_same_bits(name: str) -> None:
    config = CONFIGS[name]
    image = noise(config, 1, 37, 61)
    first, again = (network_of(config)(image.clone()) for _ in range(2))
    assert torch.equal(first, again)


@ALL
def test_bfloat16_moves_probabilities_by_at_most_5_percent_and_half_a_percent_as_a_rule(name: str) -> None:
    config = CONFIGS[name]
    image = noise(config, 1, 64, 96)[0]
    exact = predict(loaded(config), image, precision=torch.float32).float()
    quick = predict(loaded(config), image).float()
    assert (exact - quick).abs().max() <= 0.05
    assert (exact - quick).abs().mean() <= 0.005


@ALL
def test_channels_last_answers_as_contiguous(name: str) -> None:
    config = CONFIGS[name]
    image = noise(config, 1, 37, 61)
    last = image.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network_of(config)(last), network_of(config)(image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("encoder", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_every_encoder_fits_the_large_kernels(encoder: str) -> None:
    with torch.device("meta"):  # shapes only: the large ones take seconds to fill with numbers
        config = replace(SMALL, encoder=encoder, detail_width=0)
        answer = Gcn(config).eval()(torch.empty(1, 3, 37, 61))
    assert answer.shape == (1, 10, 37, 61)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel_size must be odd"):
        Gcn(replace(SMALL, kernel_size=24))


def test_a_level_of_a_path_that_is_left_out_is_refused() -> None:
    with pytest.raises(ValueError, match="quarter_width = 8 is a level of the full-resolution path"):
        Gcn(replace(SMALL, detail_width=0, quarter_width=8))


def test_shrink_takes_the_long_side_to_context_px_and_never_enlarges() -> None:
    network = network_of(CONFIGS["cel"])
    assert network.shrink(torch.zeros(1, 3, 96, 128)).shape == (1, 3, 48, 64)
    assert network.shrink(torch.zeros(1, 3, 1, 128)).shape == (1, 3, 1, 64)
    assert network.shrink(torch.zeros(1, 3, 40, 30)).shape == (1, 3, 40, 30)
    halved = network_of(SMALL).shrink(torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]]).expand(1, 3, 2, 2))
    torch.testing.assert_close(halved, torch.full((1, 3, 1, 1), 3.0))


def test_cues_are_silent_on_flat_paint_and_answer_to_a_line() -> None:
    flat = ClassicalCues()(torch.full((1, 3, 9, 9), 0.7))
    torch.testing.assert_close(flat[:, :6], torch.zeros(1, 6, 9, 9), atol=1e-5, rtol=0)
    torch.testing.assert_close(flat[:, 6:], torch.ones(1, 1, 9, 9))
    line = torch.full((1, 3, 21, 21), 2.0)
    line[..., 10] = -2.0
    cues = ClassicalCues()(line)[0, :, 10]
    assert (cues[:6, 10] < -1).all()  # dark on light
    assert (cues[:6, 10] == cues[:6].amin(1)).all()  # and nowhere as strong as on it
    assert cues[6, [9, 10, 11]].max() < 1e-6
    assert cues[6, 5] == 1


# -- windows and bands ---------------------------------------------------------------------------------------


@TWO_ROADS
def test_windows_answer_as_the_whole_frame_does(name: str) -> None:
    """Away from a window's borders by the detail road's reach, to 1e-4: only the order of sums differs."""
    config, side = CONFIGS[name], 128
    network, frame = network_of(config), noise(config, 2, 192, 256)
    corners = [(0, 0), (128, 64), (44, 36)]
    windows = torch.stack([frame[..., y : y + side, x : x + side] for x, y in corners], 1)
    shares = [[x / 256, y / 192, (x + side) / 256, (y + side) / 192] for x, y in corners]
    coarse, answer = network.forward_windows(
        network.shrink(frame), windows, torch.tensor([shares, shares], dtype=torch.float32)
    )
    whole = network(frame)
    assert coarse.shape == (2, config.classes, *[-(-n // 2) for n in network.shrink(frame).shape[-2:]])
    assert network.detail is not None
    reach = network.detail.reach_px
    for b in (0, 1):
        for k, (x, y) in enumerate(corners):
            inner = np.s_[reach : side - reach]
            expected = whole[b, :, y : y + side, x : x + side][:, inner, inner]
            torch.testing.assert_close(answer[b * 3 + k][:, inner, inner], expected, atol=1e-4, rtol=1e-4)


@TWO_ROADS
@pytest.mark.parametrize("row", [60, 61, 62, 63])
def test_the_detail_road_looks_no_further_than_its_reach(name: str, row: int) -> None:
    config = CONFIGS[name]
    detail = network_of(config).detail
    assert detail is not None
    image, context = noise(config, 1, 120, 8), torch.zeros(1, config.width, 60, 4)
    reach, answer = detail.reach_px, detail(image, context)
    for far in (np.s_[: row - reach], np.s_[row + reach + 1 :]):
        changed = image.clone()
        changed[:, :, far] *= -1
        torch.testing.assert_close(
            detail(changed, context)[:, :, row], answer[:, :, row], atol=1e-6, rtol=1e-6
        )


@pytest.mark.parametrize("quarter_width", [0, 8])
def test_the_reach_is_no_further_than_it_must_be(quarter_width: int) -> None:
    """Else every band computes rows for nothing."""
    detail = DetailRoad(replace(SMALL, quarter_width=quarter_width)).eval().requires_grad_(False)
    for part in detail.modules():  # averages, through which every change shows
        if isinstance(part, nn.Conv2d):
            part.weight.fill_(1 / part.weight[0].numel())
    image, context = torch.zeros(1, 3, 120, 8), torch.zeros(1, SMALL.width, 60, 4)
    changed = image.clone()
    changed[:, :, 60 - detail.reach_px] = -1e6
    moved = (detail(changed, context) - detail(image, context)).abs().amax((0, 1, 3))
    assert moved[60] > 0
    assert not moved[61:].any()


@TWO_ROADS
def test_a_region_equals_its_part_of_the_whole_frame(name: str) -> None:
    config = CONFIGS[name]
    image = noise(config, 1, 131, 157)[0]
    whole = predict(loaded(config), image, precision=torch.float32)
    part = predict(loaded(config), image, precision=torch.float32, region=(65, 63, 50, 41))
    torch.testing.assert_close(part, whole[:, 63:104, 65:115], atol=5e-4, rtol=0)


def test_a_new_quarter_level_adds_nothing() -> None:
    half = torch.rand(1, 8, 9, 7)
    assert torch.equal(QuarterLevel(8, 4).eval()(half), half)


@TWO_ROADS
@pytest.mark.parametrize("size_hw", [(200, 48), (201, 37), (131, 30), (65, 3)])
def test_bands_equal_the_whole_frame(name: str, size_hw: tuple[int, int]) -> None:
    """In float32 to the last digit of the float16 that comes out (0.0005), at even and odd sizes."""
    config = CONFIGS[name]
    image = noise(config, 1, *size_hw)[0]
    whole = predict(loaded(config), image, precision=torch.float32).float()
    bands = predict(loaded(config), image, band_px=1, precision=torch.float32).float()
    torch.testing.assert_close(bands, whole, atol=5e-4, rtol=0)
    plain = network_of(config)(image[None])[0].softmax(0)
    torch.testing.assert_close(whole, plain, atol=5e-4, rtol=0)


@TWO_ROADS
def test_bands_in_bfloat16_leave_seams_of_rounding_only(name: str) -> None:
    config = CONFIGS[name]
    image = noise(config, 1, 201, 48)[0]
    apart = predict(loaded(config), image).float() - predict(loaded(config), image, band_px=1).float()
    assert apart.abs().max() <= 0.02


# -- checkpoints ---------------------------------------------------------------------------------------------


@ALL
def test_a_checkpoint_brings_back_weights_and_config(name: str, tmp_path: Path) -> None:
    config, path = CONFIGS[name], tmp_path / "weights.safetensors"
    save_network(path, network_of(config), info_of(config), half=False)
    back = load_network(path, "cpu", fused=False)
    assert back.info == info_of(config)
    assert back.network.config == config  # type: ignore[comparison-overlap]
    assert back.meta["classes"][1] == "visible_line"
    assert len(back.sha256) == 64
    expected = network_of(config).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in back.network.state_dict().items())


@ALL
def test_folding_the_norms_away_changes_nothing(name: str, tmp_path: Path) -> None:
    config, path = CONFIGS[name], tmp_path / "weights.safetensors"
    save_network(path, network_of(config), info_of(config), half=False)
    back = load_network(path, "cpu")
    assert not any(isinstance(part, nn.BatchNorm2d) for part in back.network.modules())
    image = noise(config, 1, 37, 61)
    torch.testing.assert_close(back.network(image), network_of(config)(image), atol=1e-3, rtol=1e-3)


def test_only_a_norm_right_behind_a_convolution_is_folded() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2)).eval()
    fold_norms(network)
    assert [type(part) for part in network] == [nn.BatchNorm2d, nn.Conv2d, nn.ReLU, nn.BatchNorm2d]


def test_half_precision_is_half_the_size_and_keeps_what_it_cannot_hold(tmp_path: Path) -> None:
    network = Gcn(SMALL)
    network.coarse.weight.data[0, 0] = 1e6
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_network(whole, network, info_of(SMALL), half=False)
    save_network(half, network, info_of(SMALL))
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    back = load_network(half, "cpu", fused=False).network.state_dict()
    assert torch.equal(back["coarse.weight"], network.coarse.weight)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(back[key], value, atol=1e-7, rtol=1e-3)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a checkpoint that loads."""
    path = tmp_path_factory.mktemp("weights") / "good.safetensors"
    save_network(path, network_of(SMALL), info_of(SMALL))
    with safe_open(str(path), "pt") as file:
        return load_file(str(path)), json.loads(file.metadata()["douga"])


Spoil = Callable[[dict[str, Tensor], dict[str, Any]], object]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda tensors, header: tensors.pop("coarse.bias"), "do not fit .*coarse.bias.*export it again"),
        (lambda tensors, header: tensors.update(more=torch.zeros(1)), "do not fit .*more.*export it again"),
        (
            lambda tensors, header: tensors.update({"coarse.bias": torch.zeros(3)}),
            "do not fit .*size mismatch",
        ),
        (lambda tensors, header: header.update(classes=["flat", "line"]), "other classes .*train it again"),
        (lambda tensors, header: header.pop("classes"), "other classes .*train it again"),
        (lambda tensors, header: header["config"].update(depth=3), "other entries .*version that wrote it"),
        (lambda tensors, header: header["config"].pop("width"), "other entries .*version that wrote it"),
        (lambda tensors, header: header.pop("step"), "other entries .*version that wrote it"),
        (lambda tensors, header: header["config"].update(kernel_size=4), "kernel_size must be odd"),
        (lambda tensors, header: header["config"].update(encoder="resnet9"), "no network that can be built"),
        (lambda tensors, header: header.update(format="other"), "not weights of this program.*douga.train"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(
    spoil: Spoil, message: str, good: tuple[dict[str, Tensor], dict[str, Any]], tmp_path: Path
) -> None:
    tensors, header = dict(good[0]), json.loads(json.dumps(good[1]))
    spoil(tensors, header)
    path = tmp_path / "spoilt.safetensors"
    save_file(tensors, str(path), {"douga": json.dumps(header)})
    with pytest.raises(CheckpointError, match=f"spoilt.safetensors: .*{message}"):
        load_network(path, "cpu")


def test_checkpoints_from_before_the_quarter_level_load(
    good: tuple[dict[str, Tensor], dict[str, Any]], tmp_path: Path
) -> None:
    tensors, header = dict(good[0]), json.loads(json.dumps(good[1]))
    del header["config"]["quarter_width"]
    path = tmp_path / "older.safetensors"
    save_file(tensors, str(path), {"douga": json.dumps(header)})
    assert load_network(path, "cpu").info.config == GcnConfig(**good[1]["config"])


@pytest.mark.parametrize("header", ["[]", "no json", "{}"])
def test_a_header_of_something_else_is_refused_by_name(header: str, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, str(path), {"douga": header})
    with pytest.raises(CheckpointError, match=r"other.safetensors: not "):
        read_info(path)


@pytest.mark.parametrize("content", [b"", b"GIF89a and so on", bytes(64)])
def test_what_is_no_checkpoint_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "noise.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"noise.safetensors: not a readable safetensors file .*again"):
        load_network(path, "cpu")


def test_a_truncated_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    save_network(path, network_of(SMALL), info_of(SMALL))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match=r"cut.safetensors: not a readable safetensors file .*again"):
        load_network(path, "cpu")


def test_weights_that_are_not_there_are_named_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere: no such weights; give a .safetensors file"):
        load_network("nowhere", "cpu")


# -- devices -------------------------------------------------------------------------------------------------


def test_auto_takes_a_device_that_is_there() -> None:
    assert torch.zeros(1, device=choose_device("auto")).item() == 0
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:x", "cpu:3", ""])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="not a device; use auto, cpu"):
        choose_device(name)


def test_a_device_that_is_not_there_is_never_replaced() -> None:
    with pytest.raises(DeviceError, match="this machine has none such; use --device auto or cpu"):
        choose_device("cuda:99")


# -- frames to tensors ---------------------------------------------------------------------------------------

RGB = np.array([[[0, 255, 0], [255, 0, 51]]], np.uint8)
MASK = np.array([[255, 0]], np.uint8)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("color", [[-2, 2], [2, -2], [-2, -1.2]]),
        ("synthetic_cel", [[-2.0, 2], [2, 2], [-2, 2]]),
        ("manual_cel", [[-2.0, 2], [2, 2], [-2, 2]]),
        ("concatenated", [[-2, 2], [2, -2], [-2, -1.2], [1, -1]]),
    ],
)
def test_the_four_input_modes(mode: str, expected: list[list[float]]) -> None:
    tensor = to_tensor(RGB, MASK, mode=mode)
    assert tensor.dtype == torch.float32
    torch.testing.assert_close(tensor, torch.tensor(expected)[:, None])
    assert len(tensor) == input_channels(mode)


def test_colours_come_back_from_the_tensor() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(3, 2)
    np.testing.assert_array_equal(to_rgb(to_tensor(levels)), levels)


@pytest.mark.parametrize("mode", [m for m in INPUT_MODES if m != "color"])
def test_a_mode_with_a_mask_needs_one_of_the_frames_size(mode: str) -> None:
    with pytest.raises(InputError, match="needs a cel mask"):
        to_tensor(RGB, mode=mode)
    with pytest.raises(InputError, match=r"\(2, 2\), the frame \(1, 2\)"):
        to_tensor(RGB, np.zeros((2, 2), np.uint8), mode=mode)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InputError, match=r"'colour'; choose one of color, synthetic_cel"):
        to_tensor(RGB, mode="colour")


def test_night_scenes_are_lifted_and_nothing_jumps() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    np.testing.assert_array_equal(lifted(ramp), ramp)  # bright enough
    night = ramp // 4
    seen = lifted(night)
    assert 0.2 < seen.mean() / 255 < 0.3
    assert (np.diff(seen.reshape(-1, 3).astype(int), axis=0) >= 0).all()
    assert lifted(np.zeros((4, 4, 3), np.uint8)).max() == 0
    np.testing.assert_array_equal(lifted(night[8:], like=night), seen[8:])  # a part as the whole
    for value in range(55, 70):  # about the limit: a slightly brighter frame is seen slightly brighter
        shades = [int(lifted(np.full((4, 4, 3), v, np.uint8))[0, 0, 0]) for v in (value, value + 1)]
        assert abs(shades[1] - shades[0]) <= 2


# -- the two stages ------------------------------------------------------------------------------------------


def test_the_cel_is_where_it_is_at_least_as_likely_as_not() -> None:
    network = loaded(CONFIGS["cel"])
    frame = Frame(np.random.default_rng(0).integers(0, 256, (37, 61, 3), np.uint8))
    likely = cel_probability(frame, network)
    assert likely.shape == (37, 61)
    assert likely.dtype == np.float32
    assert 0 < (likely >= 0.5).mean() < 1
    whole = with_outline((likely >= 0.5).astype(np.uint8), frame.rgb)
    assert not (find_cel(frame, network).mask & ~(whole * np.uint8(255))).any()


def test_lines_are_told_of_the_mask() -> None:
    network = loaded(CONFIGS["lines, concatenated"])
    frame = Frame(np.full((20, 30, 3), 128, np.uint8))
    found = [find_lines(frame, CelMask(np.full((20, 30), v, np.uint8)), network) for v in (0, 255)]
    assert found[0].shape == (len(DougaClass), 20, 30)
    assert found[0].dtype == np.float16
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_rare_fills_do_not_profit_from_their_weight_in_training() -> None:
    costs = area_costs(load_network("lines-small", "cpu").info)
    assert costs == (1.0, 2.0, 4.0, 5.0, 1.5)
    answer = torch.zeros(10, 1, 2, dtype=torch.float16)
    answer[DougaClass.VISIBLE_LINE] = 0.2
    for x, shade in enumerate((0.44, 0.52)):  # a shade has to be 1.4 times as likely as flat paint
        answer[DougaClass.SHADING_FILL, 0, x], answer[DougaClass.FLAT, 0, x] = shade, 0.8 - shade
    fair = without_zeal(answer, costs)
    assert fair.dtype == answer.dtype
    assert fair.argmax(0).tolist() == [[DougaClass.FLAT, DougaClass.SHADING_FILL]]
    torch.testing.assert_close(fair.float().sum(0), torch.ones(1, 2), atol=2e-3, rtol=0)
    torch.testing.assert_close(fair[DougaClass.VISIBLE_LINE], answer[DougaClass.VISIBLE_LINE])


@pytest.mark.parametrize("recipe", [{}, {"loss": "focal", "class_weights": [9.0] * 10}, {"loss": "weighted"}])
def test_an_answer_stays_as_it_is_where_training_favoured_no_fill(recipe: dict[str, Any]) -> None:
    info = replace(loaded(CONFIGS["lines, concatenated"]).info, recipe=recipe)
    answer = torch.rand(10, 2, 2)
    assert without_zeal(answer, area_costs(info)) is answer


def test_lines_are_found_with_that_zeal_taken_back() -> None:
    network = loaded(CONFIGS["lines, concatenated"])
    frame, cel = Frame(np.full((20, 30, 3), 128, np.uint8)), CelMask(np.full((20, 30), 255, np.uint8))
    plain = find_lines(frame, cel, network)
    zealous = replace(
        network.info, recipe={"loss": "weighted", "class_weights": [1, 1, 1, 1, 1, 1, 9, 1, 1, 1]}
    )
    fair = find_lines(frame, cel, replace(network, info=zealous))
    assert (fair[DougaClass.SHADING_FILL] < plain[DougaClass.SHADING_FILL]).all()
    np.testing.assert_array_equal(fair[DougaClass.VISIBLE_LINE], plain[DougaClass.VISIBLE_LINE])


def test_weights_of_the_other_stage_are_refused() -> None:
    frame = Frame(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(CheckpointError, match="weights of stage 'lines'; stage one needs 'cel'"):
        find_cel(frame, loaded(SMALL))
    with pytest.raises(CheckpointError, match="weights of stage 'cel'; stage two needs 'lines'"):
        find_lines(frame, CelMask(np.zeros((8, 8), np.uint8)), loaded(CONFIGS["cel"]))
