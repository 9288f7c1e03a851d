"""What the training loop asks of a kind of network, and who answers for which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from douga.types import U8
from douga_training.data import Samples
from douga_training.learners.birefnet import BiRefNetLearner
from douga_training.learners.gcn import GcnLearner
from douga_training.learners.isnet import IsNetLearner, MasksLearner
from douga_training.raw_cache import SceneFolder
from douga_training.recipe import Recipe


class Learner(Protocol):
    """How one kind of network learns what a recipe says.

    kind: of the checkpoints, one of `douga.checkpoint.KINDS`. licence, source: of the weights it begins from,
    as published weights came with them.
    """

    kind: str
    licence: str
    source: str

    def samples(self, folders: list[SceneFolder], *, validation: bool = False) -> Samples:
        """What it learns from, or is judged by."""

    def new_network(self) -> nn.Module:
        """Its network with the weights that it begins from, on the CPU. Raises CheckpointError."""

    def prepare(self, samples: Samples, device: torch.device) -> None:
        """Get ready what the loss needs beside network and batch. Raises CheckpointError."""

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The recipe's loss on one batch, for a network in training mode."""

    def scores(
        self, network: nn.Module, batches: Iterable[dict[str, Tensor]], device: torch.device
    ) -> dict[str, float]:
        """What a network in eval mode is worth, 0 to 1 under "score", and more to look at."""

    def picture(self, network: nn.Module, batch: dict[str, Tensor], device: torch.device) -> U8:
        """Input, answer and truth side by side, (H, W, 3) uint8 RGB."""


def learner_of(recipe: Recipe) -> Learner:
    """Who teaches the network of a recipe."""
    if recipe.kind == "birefnet":
        return BiRefNetLearner(recipe)
    if recipe.kind == "isnet":
        return MasksLearner(recipe) if recipe.stage == "masks" else IsNetLearner(recipe)
    return GcnLearner(recipe)
