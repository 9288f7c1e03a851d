"""Activation maximisation on a small network: it rises, it can be repeated, and every layer can be shown."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from douga_training.explain import command
from douga_training.explain.features import (
    Ascent,
    activations,
    choose_channels,
    choose_layers,
    excitement,
    layers_of,
    maximise,
    network_of,
)

from douga.checkpoint import LoadedNetwork, WeightsInfo, load_network, save_network
from douga.errors import InputError
from douga.networks.gcn import Gcn, GcnConfig
from douga.networks.isnet import IsNet, IsNetConfig

QUICK = Ascent(steps=4, size_px=64)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of stage two with weights of chance."""
    torch.manual_seed(0)
    config = GcnConfig(classes=10, in_channels=4, kernel_size=5, width=4, detail_width=4)
    path = tmp_path_factory.mktemp("weights") / "chance.safetensors"
    save_network(path, Gcn(config), WeightsInfo("lines", config, "concatenated", 1))
    return path


@pytest.fixture(scope="module")
def loaded(weights: Path) -> LoadedNetwork:
    return load_network(weights, "cpu")


@pytest.mark.parametrize("name", ["encoder1", "encoder4", "block1", "context", "classes"])
def test_activation_rises(loaded: LoadedNetwork, name: str) -> None:
    layer = layers_of(loaded.network)[name]
    for feature in maximise(loaded, layer, [0, 2], Ascent(steps=8, size_px=64)):
        assert feature.rgb.shape == (64, 64, 3)
        assert feature.after > feature.before


def test_what_is_shown_is_what_was_measured(loaded: LoadedNetwork) -> None:
    layer = layers_of(loaded.network)["block2"]
    (feature,) = maximise(loaded, layer, [1], QUICK)
    image = torch.from_numpy(feature.rgb).permute(2, 0, 1)[None].float() / 255 * 4 - 2
    assert excitement(loaded.network, layer, [1], image).item() == pytest.approx(feature.after, abs=0.02)


def test_a_seed_is_a_picture(loaded: LoadedNetwork) -> None:
    layer = layers_of(loaded.network)["encoder2"]
    one, again = (maximise(loaded, layer, [3], QUICK)[0].rgb for _ in range(2))
    other = maximise(loaded, layer, [3], Ascent(4, 64, seed=1))[0].rgb
    assert (one == again).all()
    assert (one != other).any()


def test_each_step_is_told_and_one_is_enough(loaded: LoadedNetwork) -> None:
    for steps, size_px in ((1, 128), (3, 128), (2, 64)):
        told: list[int] = []
        layer = layers_of(loaded.network)["encoder1"]
        (feature,) = maximise(loaded, layer, [0], Ascent(steps, size_px), lambda told=told: told.append(1))
        assert len(told) == steps
        assert feature.rgb.shape == (size_px, size_px, 3)


@pytest.mark.parametrize("detail_width", [0, 4])
def test_layers_have_as_many_channels_as_they_say(detail_width: int) -> None:
    config = GcnConfig(classes=2, in_channels=3, kernel_size=5, width=4, detail_width=detail_width)
    network = Gcn(config).eval()
    found = layers_of(network)
    assert list(found)[:2] == ["encoder1", "encoder2"]
    assert list(found)[-3:] == ["context", "last", "classes"]
    assert found["classes"].labels == ("no cel", "cel")
    with torch.no_grad():
        for layer in found.values():
            values = activations(network, layer, torch.zeros(1, 3, 64, 64))
            assert values.shape[1] == len(layer.labels), layer.name
            if layer.level:
                assert values.shape[-1] == 64 // 2 ** (layer.level + 1), layer.name


def test_layers_and_channels_are_chosen_or_refused(loaded: LoadedNetwork) -> None:
    first, answer = choose_layers(loaded.network, ["encoder1", "classes", "encoder1"])
    assert (first.name, answer.name) == ("encoder1", "classes")
    assert "context" not in [layer.name for layer in choose_layers(loaded.network, [])]
    with pytest.raises(InputError, match="encoder1, encoder2"):
        choose_layers(loaded.network, ["encoder9"])
    assert choose_channels(first, "3") == [0, 32, 63]
    assert choose_channels(first, "3,") == [3]
    assert choose_channels(first, "40,3") == [40, 3]
    assert choose_channels(answer, "all") == choose_channels(answer) == list(range(10))
    assert len(choose_channels(first)) == 6
    for bad in ("0", "x", ",", "1,y"):
        with pytest.raises(InputError, match="expected how many"):
            choose_channels(first, bad)
    with pytest.raises(InputError, match="channels 0 to 63"):
        choose_channels(first, "64,")


def test_the_answer_of_a_cutout_is_a_log_probability() -> None:
    torch.manual_seed(0)
    network = Gcn(GcnConfig(classes=1, in_channels=3, kernel_size=5, width=4, detail_width=4)).eval()
    layer = layers_of(network)["classes"]
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        answer = activations(network, layer, image)
        torch.testing.assert_close(answer.exp(), network(image).sigmoid())
    assert layer.labels == ("opaque",)


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "isnet.safetensors"
    save_network(path, IsNet(IsNetConfig(4)), WeightsInfo("cutout", IsNetConfig(4), "color", 0, kind="isnet"))
    with pytest.raises(InputError, match="of kind isnet; features are shown of gcn networks"):
        network_of(load_network(path, "cpu"))


@pytest.mark.parametrize("values", [(0, 64), (4, 16), (4, 65)])
def test_settings_out_of_range_are_refused(values: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="expected"):
        Ascent(*values)


def test_the_command_writes_a_sheet_a_layer(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["features", str(weights), "--out", str(tmp_path), "--layer", "last", "--layer", "encoder3"]
    words += ["--steps", "2", "--size", "64", "--channels", "2", "--device", "cpu"]
    assert command.run(parser.parse_args(words)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder3.png", "last.png"]
    assert "2 layers" in capsys.readouterr().out
