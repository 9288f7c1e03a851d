"""Draws what is learned from, and trains the base and each variant. What is there already is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from douga.errors import OutputError
from douga_training.ablate.plan import Plan, Variant
from douga_training.logs import SCORES
from douga_training.loop import train
from douga_training.recipe import Recipe
from douga_training.run_state import RESUME

BASE = Variant("base")


@dataclass(frozen=True)
class Outcome:
    """The scores of one run's last validation."""

    variant: Variant
    seed: int
    scores: dict[str, float]


def run_plan(
    plan: Plan, variants: Sequence[Variant], out: Path, *, repeats: int, threads: int, workers: int
) -> Iterator[Outcome]:
    """Train the base `repeats` times, with other seeds, then each variant once. Yields what came out.

    A run that was stopped goes on where it was, one that is done is read again.
    """
    held = out / "data" / f"held-{plan.frames.held_seed}-{plan.frames.held_count}"
    _draw(held, plan.frames.held_count, plan.frames.held_seed, (), workers)
    todo = [(BASE, seed) for seed in range(1, repeats + 1)] + [(variant, 1) for variant in variants]
    for number, (variant, seed) in enumerate(todo, 1):
        data = _draw_for(plan, variant, out / "data", workers)
        recipe = plan.recipe_of(variant, seed=seed, out=out / plan.key, data=data, held=held)
        print(f"ablate: {number} of {len(todo)}: {variant.name}, seed {seed}", flush=True)
        yield Outcome(variant, seed, _scores_of(recipe, threads))


def _draw_for(plan: Plan, variant: Variant, folder: Path, workers: int) -> Path:
    frames = plan.frames
    name = "-".join([str(frames.seed), str(frames.count), *(word.strip("-") for word in variant.simulate)])
    _draw(folder / name, frames.count, frames.seed, variant.simulate, workers)
    return folder / name


def _draw(folder: Path, count: int, seed: int, options: Sequence[str], workers: int) -> None:
    """`douga simulate`, in its own process: it lets OpenCV's threads be.

    Backgrounds in colours of the cel are left out unless the options ask for them: no plan's base has any.
    """
    numbers = ["--count", str(count), "--seed", str(seed), "--workers", str(workers)]
    command = ["simulate", "--out", str(folder), *numbers, "--broadcast", "--alike", "0", *options]
    done = subprocess.run([sys.executable, "-m", "douga", *command], check=False)
    if done.returncode:
        raise OutputError(f"{folder}: could not be drawn; see above, or try: douga {' '.join(command)}")


def _scores_of(recipe: Recipe, threads: int) -> dict[str, float]:
    folder = Path(recipe.out)
    done = _last_scores(folder / SCORES, recipe.steps)
    if done is None:
        done = train(replace(recipe, threads=threads, workers=0))
        (folder / RESUME).unlink(missing_ok=True)  # a hundred megabytes that nobody resumes from
    return done


def _last_scores(path: Path, steps: int) -> dict[str, float] | None:
    """Scores of a run that has come to its end."""
    if not path.is_file():
        return None
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return lines[-1] if lines and lines[-1]["step"] == steps else None
