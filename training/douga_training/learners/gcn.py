"""How a global convolutional network learns: cels, lines, small cutouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from douga.checkpoint import load_network
from douga.errors import CheckpointError
from douga.networks.gcn import Gcn, GcnConfig, as_alpha, with_quarter_level
from douga.types import U8
from douga_training import losses
from douga_training.alpha_losses import pixel_loss
from douga_training.data import COUNTING, Samples
from douga_training.raw_cache import SceneFolder
from douga_training.recipe import Recipe
from douga_training.validate import SCORES_OF, sample_picture

_COUNTED = 48  # samples that class frequencies are taken from
# Of the cross-entropy beside ToonOut's losses (SSIM 10, MAE 90, IoU 0.25). Those are of the sigmoid, which is
# level where stage one is sure: what it takes for background would hardly ever become an aura.
_ENTROPY_WEIGHT = 30.0
# And how much more a soft pixel weighs in it than one that is opaque or clear: they are a few in a hundred,
# and MAE wants the median of what could be there, which is nothing wherever an aura is less likely than none.
_SOFT_WEIGHT, _SOFT = 4.0, 0.04


class GcnLearner:
    """See `douga_training.learners.Learner`."""

    kind = "gcn"
    licence = source = ""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._weights = torch.ones(recipe.classes)

    def samples(self, folders: list[SceneFolder], *, validation: bool = False) -> Samples:
        return Samples(self.recipe, folders, validation=validation)

    def new_network(self) -> Gcn:
        recipe = self.recipe
        assert isinstance(recipe.network, GcnConfig)
        network = Gcn(recipe.network)
        if recipe.init_from:
            network.load_state_dict(_begun_from(recipe, network))
        return network

    def prepare(self, samples: Samples, device: torch.device) -> None:
        self._weights = _class_weights(self.recipe, samples).to(device)

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The networks' answers are compared in float32."""
        assert isinstance(network, Gcn)
        if "image" in batch:
            ids = batch["ids"]
            coarse, answer = network.forward_both(batch["image"])
            small_ids = _shrink_ids(ids, coarse.shape[-2:])
        else:
            ids, small_ids = batch["ids"].flatten(0, 1), batch["small_ids"]
            coarse, answer = network.forward_windows(batch["small"], batch["windows"], batch["boxes"])
        fine = self._pixel_loss(answer.float(), ids)
        return fine + self.recipe.coarse * self._pixel_loss(coarse.float(), small_ids)

    def _pixel_loss(self, logits: Tensor, ids: Tensor) -> Tensor:
        recipe = self.recipe
        if recipe.loss == "alpha":
            alpha = ids[:, None]
            weights = torch.where((alpha > _SOFT) & (alpha < 1 - _SOFT), _SOFT_WEIGHT, 1.0)
            entropy = F.binary_cross_entropy_with_logits(logits, alpha, weights)
            return pixel_loss(logits.sigmoid(), alpha) + _ENTROPY_WEIGHT * entropy
        if recipe.loss == "focal":
            loss = losses.focal(logits, ids, gamma=recipe.focal_gamma)
        else:
            loss = losses.cross_entropy(logits, ids, self._weights if recipe.loss == "weighted" else None)
        if not recipe.dice:
            return loss
        return loss + recipe.dice * losses.dice(logits, ids, by_frame=recipe.dice_by_frame)

    def scores(
        self, network: nn.Module, batches: Iterable[dict[str, Tensor]], device: torch.device
    ) -> dict[str, float]:
        assert isinstance(network, Gcn)
        return SCORES_OF[self.recipe.stage](network, batches, device)

    def picture(self, network: nn.Module, batch: dict[str, Tensor], device: torch.device) -> U8:
        assert isinstance(network, Gcn)
        return sample_picture(network, batch, device)


def _begun_from(recipe: Recipe, network: Gcn) -> Mapping[str, Tensor]:
    """The weights that a recipe names, for its new network. Raises CheckpointError where they do not fit."""
    wanted = network.config
    start = load_network(recipe.init_from, "cpu", fused=False)
    config, state = start.info.config, start.network.state_dict()
    if not isinstance(config, GcnConfig):
        raise CheckpointError(
            f"init_from = {recipe.init_from}: of kind {start.info.kind!r}; give weights of kind 'gcn'"
        )
    if recipe.stage == "cutout" and start.info.stage == "cel":
        config, state = replace(config, classes=1), as_alpha(state)
    state, config = with_quarter_level(state, config, network.state_dict(), wanted)
    if config.shape() != wanted.shape():
        raise CheckpointError(
            f"init_from = {recipe.init_from}: its network {config} is not the recipe's {wanted}; "
            "make the recipe's entries equal"
        )
    return state


def _class_weights(recipe: Recipe, samples: Samples) -> Tensor:
    """The recipe's own weights, or the reciprocal frequencies of a few samples."""
    if recipe.class_weights or recipe.loss != "weighted":
        return torch.tensor(recipe.class_weights or (1.0,) * recipe.classes)
    counts = torch.zeros(recipe.classes)
    for number in range(COUNTING, COUNTING + _COUNTED):
        counts += torch.bincount(samples[number]["ids"].flatten(), minlength=recipe.classes)
    return losses.frequency_weights(counts)


def _shrink_ids(ids: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Class ids (B, H, W) at the context road's size: each cell's middle pixel."""
    (h, w), device = ids.shape[-2:], ids.device
    rows = (torch.arange(size_hw[0], device=device) * 2 + 1) * h // (2 * size_hw[0])
    columns = (torch.arange(size_hw[1], device=device) * 2 + 1) * w // (2 * size_hw[1])
    return ids[:, rows][:, :, columns]
