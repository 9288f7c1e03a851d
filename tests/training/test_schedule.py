"""Epochs as steps, and learning rates that halve."""

from __future__ import annotations

import pytest
from douga_training.recipe import Recipe
from douga_training.schedule import epoch_steps, in_steps, learning_rate

RECIPE = Recipe(data="a", batch=2, epochs=100, schedule="halving", halve_every=20, learning_rate=1e-5)


def test_an_epoch_is_as_many_steps_as_show_every_frame() -> None:
    assert [epoch_steps(RECIPE, frames) for frames in (0, 1, 2, 979)] == [1, 1, 1, 490]


def test_a_run_in_epochs_is_judged_and_saved_after_each() -> None:
    recipe = in_steps(RECIPE, 979)
    assert (recipe.steps, recipe.validate_every, recipe.checkpoint_every) == (49_000, 490, 490)
    steps = Recipe(data="a")
    assert in_steps(steps, 979) is steps


def test_the_learning_rate_halves_every_twenty_epochs() -> None:
    recipe = Recipe(**{**vars(RECIPE), "warmup_steps": 0})
    epochs = [learning_rate(recipe, epoch * 490, 490) for epoch in (0, 19.99, 20, 40, 99)]
    assert epochs == pytest.approx([1e-5, 1e-5, 5e-6, 2.5e-6, 1e-5 / 16])


def test_a_longer_run_has_the_same_rates_so_far() -> None:
    longer = Recipe(**{**vars(RECIPE), "epochs": 200})
    assert all(learning_rate(longer, step, 7) == learning_rate(RECIPE, step, 7) for step in range(0, 700, 50))
