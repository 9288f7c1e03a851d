"""Recipes: those that ship, overrides, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from douga_training.recipe import Recipe, parse_arguments, read_recipe
from douga_training.schedule import learning_rate

from douga.checkpoint import KINDS
from douga.errors import RecipeError
from douga.networks.gcn import Gcn

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
SHIPPED = sorted(RECIPES.glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_every_recipe_that_ships_describes_a_network(path: Path) -> None:
    recipe = read_recipe(path)
    with torch.device("meta"):
        network = KINDS[recipe.kind].network(recipe.network)
    assert recipe.stage in path.stem.split("-") or recipe.kind in path.stem.split("-")
    if isinstance(network, Gcn):
        assert network.coarse.out_channels == {"cel": 2, "lines": 10, "cutout": 1}[recipe.stage]
    assert Path(recipe.out).name == path.stem


def test_the_large_pair_fits_what_may_ship() -> None:
    """60 MB a stage in half precision."""
    for stage in ("cel", "lines"):
        recipe = read_recipe(RECIPES / f"{stage}-large.toml")
        with torch.device("meta"):
            network = KINDS[recipe.kind].network(recipe.network)
        assert recipe.encoder == "resnet50"
        assert 2 * sum(value.numel() for value in network.state_dict().values()) < 60e6


def test_toonouts_own_settings() -> None:
    """Thesis, 3.3.2."""
    recipe = read_recipe(RECIPES / "birefnet.toml")
    assert (recipe.kind, recipe.encoder, recipe.loss, recipe.batch) == ("birefnet", "swin_l", "alpha", 2)
    assert (recipe.learning_rate, recipe.schedule, recipe.halve_every) == (1e-5, "halving", 20)
    assert (recipe.epochs, recipe.clip_norm, recipe.bf16) == (100, 100, True)


def test_is_nets_own_settings() -> None:
    """Qin et al., 4.2, and supplement, 3.1."""
    recipe = read_recipe(RECIPES / "isnet.toml")
    assert (recipe.kind, recipe.width, recipe.seen_px, recipe.batch) == ("isnet", 64, 1024, 8)
    assert (recipe.optimizer, recipe.learning_rate, recipe.synchronisation) == ("adam", 1e-3, "l2")
    rates = {learning_rate(recipe, step) for step in (0, 1000, recipe.steps)}
    assert rates == {1e-3}


def test_kuglers_own_settings() -> None:
    cel, lines = (read_recipe(path) for path in SHIPPED if path.stem.startswith("kugler"))
    assert (cel.kernel_size, lines.kernel_size) == (25, 49)
    for recipe in (cel, lines):
        assert (recipe.encoder, recipe.loss, recipe.optimizer) == ("resnet50", "focal", "adam")
        assert (recipe.scale_min, recipe.scale_max, recipe.rotate_deg) == (0.5, 2.0, 10)
        assert recipe.detail_width == 0


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, "utf-8")
    return path


def test_tables_are_headings_and_overrides_win(tmp_path: Path) -> None:
    path = write(tmp_path, 'data = "a"\n[network]\nwidth = 8\n[training]\nsteps = 5\nbf16 = false\n')
    recipe = read_recipe(path, {"steps": "7", "learning_rate": "1e-5"})
    assert (recipe.data, recipe.width, recipe.steps, recipe.bf16) == ("a", 8, 7, False)
    assert recipe.learning_rate == 1e-5


def test_the_command_line_overrides_every_entry(tmp_path: Path) -> None:
    path = write(tmp_path, 'stage = "lines"\ndata = "a"\n')
    given = ["--class-weights", "1,2,3,4,5,6,7,8,9,10", "--bf16", "false", "--crop_px", "64", "--fresh"]
    recipe, fresh = parse_arguments([str(path), *given])
    assert recipe.class_weights == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert (recipe.bf16, recipe.crop_px, fresh) == (False, 64, True)
    assert parse_arguments([str(path)])[1] is False


def test_help_explains_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        parse_arguments(["--help"])
    assert exit_info.value.code == 0
    shown = capsys.readouterr().out
    for entry in dataclasses.fields(Recipe):
        assert f"--{entry.name}" in shown
        assert entry.metadata["help"].split()[0] in shown


@pytest.mark.parametrize("text", ["stepps = 5", "[network]\ndepth = 3", "[training.more]\nsteps = 5"])
def test_an_unknown_entry_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match=r"unknown entry '(stepps|depth|more)'; known are .*steps"):
        read_recipe(write(tmp_path, f'data = "a"\n{text}\n'))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", "many", "expected a whole number"),
        ("steps", 1.5, "expected a whole number"),
        ("steps", True, "expected a whole number"),
        ("steps", "inf", "expected a whole number"),
        ("steps", [5], "expected a whole number"),
        ("learning_rate", "fast", "expected a number"),
        ("learning_rate", False, "expected a number"),
        ("bf16", 1, "expected true or false"),
        ("bf16", "maybe", "expected true or false"),
        ("out", 5, "expected text in quotes"),
        ("class_weights", 3, "expected a list of numbers"),
        ("class_weights", "1,x", "expected a list of numbers"),
        ("class_weights", [1, 2, 3], "expected 2 numbers, got 3"),
        ("stage", "lnes", "choose one of cel, lines"),
        ("encoder", "resnet9", "choose one of resnet18"),
        ("loss", "l2", "choose one of cross_entropy, weighted, focal"),
        ("optimizer", "sgd", "choose one of adam, adamw"),
        ("schedule", "step", "choose one of cosine, linear"),
        ("input_mode", "colour", "choose one of color"),
        ("input_mode", "concatenated", "stage cel has no mask yet"),
        ("stage", "cutout", "stage cutout wants 'alpha'"),
        ("kind", "u2net", "choose one of gcn, birefnet, isnet"),
        ("kind", "isnet", "stage = 'cel': not learned by kind 'isnet'; use kind gcn"),
        ("stage", "masks", "not learned by kind 'gcn'; use kind isnet"),
        ("encoder", "swin_l", "kind gcn takes one of resnet18"),
        ("synchronisation", "l3", "choose one of l2, kl, l1"),
        ("halve_every", 0, "above zero"),
        ("goal", 2, "between 0 and 1"),
        ("loss", "alpha", "which is for it alone"),
        ("crop_px", 65, "even size of at least 32"),
        ("crop_px", 16, "even size of at least 32"),
        ("kernel_size", 24, "odd"),
        ("batch", 0, "above zero"),
        ("steps", 0, "above zero"),
        ("context_stride", 0, "above zero"),
        ("learning_rate", 0.0, "above zero"),
        ("learning_rate", "nan", "at least zero"),
        ("workers", -1, "at least zero"),
        ("erase", 1.5, "between 0 and 1"),
        ("simulated", 2, "between 0 and 1"),
        ("dropout", 1.0, "below 1"),
        ("scale_min", 3.0, "above scale_max"),
        ("data", "", "no training data"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_right(name: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(None, {"data": "a", name: value})
    assert name in str(caught.value)


def test_no_folder_is_needed_where_all_is_drawn_on_the_fly() -> None:
    assert read_recipe(None, {"simulated": 1}).data == ""


@pytest.mark.parametrize("content", [b"steps = ", b"\xff\xfe\x00", b"steps = 5\nsteps = 6\n"])
def test_what_is_no_toml_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"broken.toml: not a readable TOML recipe"):
        read_recipe(path)


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none.toml: not a readable TOML recipe"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"encoder": "resnet18"}, "kind birefnet takes one of swin_t, swin_s, swin_b, swin_l"),
        ({"seen_px": 100}, "multiple of 32, at least 64"),
        ({"batch": 1}, "wants 2 or more"),
        ({"data": "", "simulated": 1, "epochs": 1}, "count passes over a folder"),
        ({"loss": "cross_entropy"}, "stage cutout wants 'alpha'"),
        ({"kind": "isnet"}, "with kind isnet 'cross_entropy'"),
        ({"kind": "isnet", "loss": "cross_entropy", "width": 10}, "multiple of 4"),
        ({"kind": "isnet", "loss": "cross_entropy", "seen_px": 96}, "multiple of 64, at least 128"),
    ],
)
def test_entries_that_do_not_go_with_the_kind_are_refused(entries: dict[str, Any], message: str) -> None:
    whole = {"data": "a", "stage": "cutout", "kind": "birefnet", "encoder": "swin_t", "loss": "alpha"}
    with pytest.raises(RecipeError, match=message):
        read_recipe(None, whole | entries)
