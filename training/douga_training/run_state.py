"""What a run leaves on disk: weights to use, and its whole state to go on from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from douga import __version__
from douga.checkpoint import NetworkConfig, WeightsInfo, in_short, save_network
from douga.errors import CheckpointError, OutputError
from douga.frame_io import atomic_path
from douga_training.learners import Learner
from douga_training.recipe import Recipe

RESUME = "last.pt"  # everything that a killed run needs to go on exactly
BEST, LAST = "best.safetensors", "last.safetensors"


@dataclass
class Run:
    """Everything that changes while a run goes on. average: the running average of weights, which is kept.

    best: the best score so far. stale: validations since then.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    best: float = -1.0
    stale: int = 0


# Entries that say where a run took place, not what was trained; a studio's paths are its own business.
_OF_THE_MACHINE = ("out", "device", "threads", "data", "validation", "init_from", "teacher")

# What an entry is in a checkpoint that was written before there was such an entry.
_USUAL = {entry.name: entry.default for entry in fields(Recipe)}
_OF_NO_MATTER = ("out", "device", "threads", "workers", "init_from")  # to a run that goes on


def save_weights(path: Path, run: Run, recipe: Recipe, learner: Learner) -> None:
    """Keep the averaged weights with what they were trained by. Raises OutputError."""
    settings = {key: value for key, value in asdict(recipe).items() if key not in _OF_THE_MACHINE}
    config = run.average.config
    assert isinstance(config, NetworkConfig)
    info = WeightsInfo(
        recipe.stage,
        config,
        recipe.input_mode,
        run.step,
        settings,
        __version__,
        learner.kind,
        learner.licence,
        learner.source,
    )
    save_network(path, run.average, info)


def written(write: Callable[[], None], *, must: bool = False) -> bool:
    """True where it could be written. A disk that is full for a while must not end a night's training."""
    try:
        write()
    except OutputError as exc:
        if must:
            raise
        tqdm.write(f"douga: {exc}; training goes on, the next time it may work")
        return False
    return True


def write_checkpoint(out: Path, run: Run, recipe: Recipe, learner: Learner) -> None:
    """Weights to use (averaged, half precision) and the whole state to resume from (exact).

    Raises OutputError, and leaves the checkpoint before it as it is.
    """
    save_weights(out / LAST, run, recipe, learner)
    state = {
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "step": run.step,
        "best": run.best,
        "stale": run.stale,
        "recipe": asdict(recipe),
    }
    with atomic_path(out / RESUME) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as exc:  # what torch makes of a full disk
            raise OutputError(f"{out / RESUME}: cannot be written ({in_short(exc)}); make room") from exc


def resume(path: Path, run: Run, recipe: Recipe, device: torch.device) -> None:
    """Go on from a checkpoint, and say where the recipe is another than it was written with.

    Raises CheckpointError.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        run.network.load_state_dict(state["network"])
        run.average.load_state_dict(state["average"])
        _load_optimizer(run.optimizer, state["optimizer"])
        run.step, run.best, run.stale = state["step"], state["best"], state["stale"]
        former = dict(state["recipe"])
    except (RuntimeError, KeyError, TypeError, EOFError, OSError, ValueError, UnpicklingError) as exc:
        raise CheckpointError(
            f"{path}: cannot go on from it ({in_short(exc)}); start anew with --fresh or another --out"
        ) from exc
    changed = [
        f"{key} {former.get(key)!r} -> {value!r}"
        for key, value in asdict(recipe).items()
        if key not in _OF_NO_MATTER and former.get(key, _USUAL[key]) != value
    ]
    if changed:
        tqdm.write(
            f"douga: note: {path} is of other settings ({', '.join(changed)}); --fresh begins anew",
            file=sys.stderr,
        )


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over its memory of past steps; its settings stay those of the recipe."""
    settings = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)
