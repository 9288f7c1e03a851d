"""Ablations: plans that are read and refused, a tiny one that is trained, and the table that comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from douga_training.ablate.__main__ import main, make_table
from douga_training.ablate.plan import Variant, read_plan
from douga_training.ablate.runs import BASE, Outcome

from douga.errors import InputError, RecipeError

PLANS = Path(__file__).parents[2] / "training" / "ablations"

TINY = """
title = "Tiny"
recipe = "recipe.toml"
scores = ["iou"]
[frames]
count = 3
seed = 40
held_count = 2
held_seed = 60
[base]
steps = 2
validate_every = 2
[[variants]]
name = "no twins"
broadcast = 0.0
[[variants]]
name = "flat, without books"
simulate = ["--background", "flat", "--no-book"]
"""
RECIPE = """
stage = "cel"
context_px = 64
crop_px = 32
batch = 2
windows = 1
width = 4
kernel_size = 3
detail_width = 4
"""


def written(folder: Path, text: str = TINY) -> Path:
    (folder / "recipe.toml").write_text(RECIPE, "utf-8")
    (folder / "tiny.toml").write_text(text, "utf-8")
    return folder / "tiny.toml"


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_plans_that_ship_can_be_read_and_every_variant_differs_from_the_base(path: Path) -> None:
    plan = read_plan(path)
    assert plan.variants
    places = {"seed": 1, "out": Path("o"), "data": Path("d"), "held": Path("h")}
    base = plan.recipe_of(BASE, **places)  # type: ignore[arg-type]
    for variant in plan.variants:
        changed = plan.recipe_of(variant, **places)  # type: ignore[arg-type]
        assert variant.simulate or any(getattr(changed, k) != getattr(base, k) for k, _ in variant.entries)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("broadcast = 0.0", "broadcats = 0.0", "no twins"),
        ("broadcast = 0.0", "broadcast = 3.0", "broadcast = 3.0"),
        ("held_seed = 60", "held_seed = 41", "held_seed"),
        ("count = 3", "count = 0", "at least 1"),
        ("count = 3", "number = 3", "frames.number"),
        ('title = "Tiny"', "", "title"),
        ('name = "flat, without books"', 'name = "No twins"', "no-twins"),
        ('scores = ["iou"]', "scores = [", "not TOML"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_before_anything_is_trained(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in TINY
    with pytest.raises(RecipeError, match=told):
        read_plan(written(tmp_path, TINY.replace(old, new)))


def test_a_plan_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "none.toml")


def test_a_run_is_found_again_unless_what_decides_it_has_changed(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    variant, other = plan.variants
    places = {"out": tmp_path, "data": Path("d"), "held": Path("h")}

    def folder(which: Variant, seed: int = 1) -> str:
        return plan.recipe_of(which, seed=seed, **places).out  # type: ignore[arg-type]

    assert folder(variant) == folder(variant)
    assert len({folder(variant), folder(variant, 2), folder(other), folder(BASE)}) == 4


def test_the_table_holds_every_variant_against_the_mean_of_the_bases(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    runs = [
        Outcome(BASE, 1, {"iou": 0.5, "score": 0.5}),
        Outcome(BASE, 2, {"iou": 0.6, "score": 0.6}),
        Outcome(plan.variants[0], 1, {"iou": 0.45, "score": 0.4}),
    ]
    table = make_table(plan, runs)
    assert table.heads == ("variant", "changed", "iou", "score against base")
    assert table.rows == (
        ("base", "2 steps of 2 frames", "0.550", ""),
        ("no twins", "broadcast = 0.0", "0.450", "-0.150"),
    )
    assert "0.100 apart (standard deviation 0.071)" in table.notes[0]
    assert table.notes[1] == "Of the plan, not trained: flat, without books."


def test_a_score_that_the_frames_cannot_give_leaves_its_cell_open(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, TINY.replace('["iou"]', '["iou", "iou_book_fill"]')))
    table = make_table(plan, [Outcome(BASE, 1, {"iou": 0.5, "score": 0.5})])
    assert table.rows[0][2:] == ("0.500", "-", "")


def test_a_tiny_plan_is_drawn_and_trained_and_a_second_time_only_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, file = tmp_path / "out", tmp_path / "FIGURES.md"
    command = [str(written(tmp_path)), "--out", str(out), "--write", str(file), "--threads", "1"]
    assert main([*command, "--repeats", "1", "--workers", "1"]) == 0
    first = file.read_text("utf-8")
    assert all(f"| {name} |" in first for name in ("base", "no twins", "flat, without books"))
    assert "simulate --background flat --no-book" in first
    runs = sorted((out / "tiny").iterdir())
    assert len(runs) == 3
    assert not list(out.rglob("last.pt"))
    stamps = [path.stat().st_mtime_ns for path in out.rglob("scores.jsonl")]
    capfd.readouterr()

    assert main([*command, "--repeats", "1", "--workers", "1"]) == 0
    assert file.read_text("utf-8") == first
    assert [path.stat().st_mtime_ns for path in out.rglob("scores.jsonl")] == stamps
    assert "0 drawn" in capfd.readouterr().out


def test_a_variant_that_is_not_in_the_plan_is_told_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path)), "--only", "twins", "--out", str(tmp_path / "out")]) == 2
    assert "no twins" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
