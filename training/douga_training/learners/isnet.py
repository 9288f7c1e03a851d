"""How IS-Net learns cutouts: an encoder of masks first, then the network it teaches (Qin et al., 4.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from douga.checkpoint import load_network
from douga.errors import CheckpointError
from douga.metrics import mattes
from douga.networks.isnet import IsNet, IsNetConfig, MaskEncoder
from douga_training.alpha_losses import Synchronisation, isnet_loss, masks_loss
from douga_training.data import Samples
from douga_training.learners.whole import WholeLearner, grey, normalised
from douga_training.recipe import Recipe

_GOAL = 0.99  # max F at which the encoder of masks has learned enough (supplement, 3.1)
_FIXED = ("width",)


def masks_recipe(recipe: Recipe) -> Recipe:
    """The run that trains the encoder of masks for an IS-Net's recipe, in a folder of its own."""
    return replace(
        recipe,
        stage="masks",
        out=str(Path(recipe.out) / "masks"),
        init_from="",
        schedule="cosine",
        final_rate=1.0,
        epochs=0,
        steps=recipe.teacher_steps,
        validate_every=max(1, recipe.teacher_steps // 20),
        goal=_GOAL,
        patience=0,
    )


class MasksLearner(WholeLearner):
    """Teaches the encoder of masks to give a mask back. See `douga_training.learners.Learner`."""

    kind = "isnet-masks"

    def new_network(self) -> MaskEncoder:
        wanted = self.recipe.network
        assert isinstance(wanted, IsNetConfig)
        network, start = MaskEncoder(wanted), self.begun_from(wanted, _FIXED)
        if start is None:
            _begin_anew(network)
        else:
            network.load_state_dict(start.network.state_dict())
        return network

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return masks_loss(network(batch["alpha"]), batch["alpha"])

    def answer(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return network(batch["alpha"]).logits[0]

    def scores(
        self, network: nn.Module, batches: Iterable[dict[str, Tensor]], device: torch.device
    ) -> dict[str, float]:
        """Max F ("score" too), which says when to stop, and MAE of the masks given back."""
        curves, apart = [], []
        for batch in batches:
            for found, alpha in self._answered(network, batch, device):
                curves.append(mattes.f_curve(grey(found), grey(alpha)))
                apart.append(mattes.mean_absolute_error(grey(found), grey(alpha)))
        known = [curve for curve in curves if not np.isnan(curve).any()]
        max_f = float(np.mean(known, axis=0).max()) if known else 0.0
        return {"max_f": max_f, "mae": float(np.mean(apart)), "score": max_f}


class IsNetLearner(WholeLearner):
    """Teaches IS-Net, whose features follow the teacher's. See `douga_training.learners.Learner`."""

    kind = "isnet"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.teacher: nn.Module | None = None

    def new_network(self) -> IsNet:
        wanted = self.recipe.network
        assert isinstance(wanted, IsNetConfig)
        start = self.begun_from(wanted, _FIXED)
        if start is None:
            network = IsNet(wanted)
            _begin_anew(network)
        else:
            assert isinstance(start.info.config, IsNetConfig)
            network = IsNet(start.info.config)  # what is taken off each colour belongs to the weights
            network.load_state_dict(start.network.state_dict())
        return network

    def prepare(self, samples: Samples, device: torch.device) -> None:
        """Load the teacher, which stands still from now on."""
        loaded = load_network(self.recipe.teacher, device, fused=False)
        config = loaded.info.config
        if loaded.info.kind != MasksLearner.kind or not isinstance(config, IsNetConfig):
            raise CheckpointError(
                f"teacher = {self.recipe.teacher}: of kind {loaded.info.kind!r}; give the encoder of masks, "
                "or leave the entry out and it is trained first"
            )
        if config.width != self.recipe.width:
            raise CheckpointError(
                f"teacher = {self.recipe.teacher}: has width {config.width}, the recipe's network "
                f"{self.recipe.width}; their features have to be of one shape"
            )
        self.teacher = loaded.network

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        assert self.teacher is not None
        with torch.no_grad():
            taught = self.teacher(batch["alpha"]).features
        seen = network(normalised(batch["image"], network))
        synchronisation = cast("Synchronisation", self.recipe.synchronisation)
        return isnet_loss(seen, batch["alpha"], taught, synchronisation=synchronisation)


def _begin_anew(network: nn.Module) -> None:
    """Weights as the authors begin with them (Xavier; supplement, 3.1)."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.xavier_uniform_(part.weight)
