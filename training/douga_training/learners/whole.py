"""What BiRefNet's and IS-Net's training share: whole pictures, alphas as answers, ToonOut's scores."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from douga.alpha import without_haze
from douga.checkpoint import LoadedNetwork, NetworkConfig, load_network
from douga.errors import CheckpointError
from douga.metrics import mattes
from douga.types import F32, U8
from douga_training.alpha_losses import pixel_loss
from douga_training.data import Samples
from douga_training.learners.whole_samples import WholeSamples
from douga_training.raw_cache import SceneFolder
from douga_training.recipe import Recipe


class WholeLearner:
    """See `douga_training.learners.Learner`; what is said there and not here is the heirs' part."""

    kind = ""
    licence = source = ""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def samples(self, folders: list[SceneFolder], *, validation: bool = False) -> Samples:
        return WholeSamples(self.recipe, folders, validation=validation)

    def prepare(self, samples: Samples, device: torch.device) -> None:
        """Nothing is needed."""

    def answer(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Logits (B, 1, H, W) of a network in eval mode."""
        return network(normalised(batch["image"], network))

    def scores(
        self, network: nn.Module, batches: Iterable[dict[str, Tensor]], device: torch.device
    ) -> dict[str, float]:
        """ToonOut's three scores (3.4) of alphas as `douga cutout` gives them; "score" is their mean.

        All are taken at the size at which the network sees the pictures. "loss" is the recipe's for alphas,
        SSIM, MAE and IoU (3.3.2), of the final answer.
        """
        judged = [score_alpha(*pair) for batch in batches for pair in self._answered(network, batch, device)]
        return mean_scores(judged, ("pixel_accuracy", "boundary_iou", "weighted_f"))

    def picture(self, network: nn.Module, batch: dict[str, Tensor], device: torch.device) -> U8:
        found, alpha = next(iter(self._answered(network, batch, device)))
        rgb = (batch["image"][0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        greys = (np.repeat(grey(each)[..., None], 3, 2) for each in (found, alpha))
        return np.hstack([rgb, *greys])

    def _answered(
        self, network: nn.Module, batch: dict[str, Tensor], device: torch.device
    ) -> Iterable[tuple[F32, F32]]:
        """Found and true alpha of each picture of a batch, (H, W), 0 to 1.

        In bfloat16 on a GPU only: what is quick on a CPU is made for one precision.
        """
        there = {key: value.to(device) for key, value in batch.items()}
        low = self.recipe.bf16 and device.type == "cuda"
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            logits = self.answer(network, there)
        found = logits[:, 0].float().sigmoid().cpu().numpy()
        return zip(found, batch["alpha"][:, 0].numpy(), strict=True)

    def begun_from(self, wanted: NetworkConfig, fixed: tuple[str, ...]) -> LoadedNetwork | None:
        """The weights that the recipe names, None where it names none.

        fixed: entries of the network's config that have to be the recipe's; the others are those of the
        weights. Raises CheckpointError.
        """
        if not self.recipe.init_from:
            return None
        start = load_network(self.recipe.init_from, "cpu", fused=False)
        if start.info.kind != self.kind:
            raise CheckpointError(
                f"init_from = {self.recipe.init_from}: of kind {start.info.kind!r}; give weights of kind "
                f"{self.kind!r}, such as `douga weights import` writes"
            )
        ours, theirs = (
            {key: getattr(config, key) for key in fixed} for config in (wanted, start.info.config)
        )
        if ours != theirs:
            raise CheckpointError(
                f"init_from = {self.recipe.init_from}: its network has {theirs}, the recipe's {ours}; make "
                "the recipe's entries equal"
            )
        self.licence, self.source = start.info.licence, start.info.source
        return start


def normalised(image: Tensor, network: nn.Module) -> Tensor:
    """(B, 3, H, W), 0 to 1 -> as the network takes it, by its own constants."""
    mean, std = (image.new_tensor(getattr(network, name))[:, None, None] for name in ("mean", "std"))
    return (image - mean) / std


def score_alpha(found: F32, alpha: F32) -> dict[str, float]:
    """ToonOut's scores, MAE and loss of one alpha, (H, W) float32, 0 to 1; see `douga.metrics.mattes`."""
    seen, true = grey(without_haze(found)), grey(alpha)
    loss = pixel_loss(*(torch.from_numpy(each)[None, None] for each in (found, alpha)))
    return {
        "pixel_accuracy": mattes.pixel_accuracy(seen, true),
        "boundary_iou": mattes.boundary_iou(seen, true),
        "weighted_f": mattes.weighted_f(seen, true),
        "mae": mattes.mean_absolute_error(seen, true),
        "loss": loss.item(),
    }


def mean_scores(frames: list[dict[str, float]], judged: tuple[str, ...]) -> dict[str, float]:
    """Means over frames, of those for which a score says anything; "score" is the mean of `judged`.

    A score that says nothing of any frame is left out.
    """
    said = {key: [frame[key] for frame in frames if not np.isnan(frame[key])] for key in frames[0]}
    means = {key: float(np.mean(values)) for key, values in said.items() if values}
    return {**means, "score": float(np.mean([means[key] for key in judged if key in means] or [0.0]))}


def grey(alpha: F32) -> U8:
    """(H, W) float32, 0 to 1 -> uint8."""
    return (alpha * 255).round().astype(np.uint8)
