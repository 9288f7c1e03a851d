"""How BiRefNet learns cutouts, as ToonOut fine-tunes it (3.3)."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from douga.networks.birefnet import BiRefNet, BiRefNetConfig
from douga_training.alpha_losses import birefnet_loss
from douga_training.learners.imagenet import IMAGENET, LICENCE, fetch_encoder, source
from douga_training.learners.whole import WholeLearner, normalised

_FIXED = ("embed_width", "depths", "heads", "window")  # the recipe's `encoder` says them


class BiRefNetLearner(WholeLearner):
    """See `douga_training.learners.Learner`."""

    kind = "birefnet"

    def new_network(self) -> BiRefNet:
        wanted = self.recipe.network
        assert isinstance(wanted, BiRefNetConfig)
        if self.recipe.init_from == IMAGENET:
            network = BiRefNet(wanted)
            network.encoder.load_state_dict(fetch_encoder(self.recipe.encoder), strict=False)
            self.licence, self.source = LICENCE, source(self.recipe.encoder)
            return network
        start = self.begun_from(wanted, _FIXED)
        if start is None:
            return BiRefNet(wanted)
        assert isinstance(start.info.config, BiRefNetConfig)
        # Dropout belongs to a run and not to the weights.
        network = BiRefNet(replace(start.info.config, dropout=wanted.dropout))
        network.load_state_dict(start.network.state_dict())
        return network

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return birefnet_loss(network(normalised(batch["image"], network)), batch["alpha"])
