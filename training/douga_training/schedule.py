"""How long a run is, and its learning rate at each step. Epochs become steps here, and nowhere else."""

from __future__ import annotations

import math
from dataclasses import replace

from douga_training.recipe import Recipe


def epoch_steps(recipe: Recipe, frames: int) -> int:
    """Steps in which each of so many frames is seen once; the last batch is filled up."""
    return max(1, math.ceil(frames / recipe.batch))


def in_steps(recipe: Recipe, frames: int) -> Recipe:
    """The recipe with its length in steps; one in epochs is validated and saved after each (ToonOut 3.3.2).

    frames: how many there are to train on.
    """
    if not recipe.epochs:
        return recipe
    epoch = epoch_steps(recipe, frames)
    return replace(recipe, steps=recipe.epochs * epoch, validate_every=epoch, checkpoint_every=epoch)


def learning_rate(recipe: Recipe, step: int, epoch: int = 1) -> float:
    """Linear warm-up, then down to `final_rate` of the peak, along half a cosine or a line.

    Or halved after every `halve_every` epochs, however far that is. epoch: steps of one.
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "halving":
        return recipe.learning_rate * 0.5 ** (step // (recipe.halve_every * epoch))
    share = min(1.0, (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps))
    down = 1 - share if recipe.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * share))
    return recipe.learning_rate * (recipe.final_rate + (1 - recipe.final_rate) * down)
