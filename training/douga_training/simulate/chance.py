"""Drawing lots by weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

_Kind = TypeVar("_Kind")


def pick(rng: np.random.Generator, weights: Mapping[_Kind, float]) -> _Kind:
    """One of the keys of `weights`, each as often as its weight says; only their ratios count."""
    kinds, shares = list(weights), np.array(list(weights.values()), float)
    return kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]


def pick_name(rng: np.random.Generator, **weights: float) -> str:
    """A name, as `pick` draws it, with the weights written as keyword arguments."""
    return pick(rng, weights)
