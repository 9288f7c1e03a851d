"""A Swin encoder's weights from ImageNet, as timm fetches them, under the names of BiRefNet's encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping

import timm
from torch import Tensor

from douga.checkpoint import in_short
from douga.errors import CheckpointError
from douga.networks.birefnet import SWIN
from douga.networks.birefnet.swin import Swin

IMAGENET = "imagenet"  # what a recipe's init_from says for them

LICENCE = "MIT"
# Those that BiRefNet's authors began from: ImageNet-22K, then 1K.
_NAMES = {
    "swin_t": "swin_tiny_patch4_window7_224.ms_in22k_ft_in1k",
    "swin_s": "swin_small_patch4_window7_224.ms_in22k_ft_in1k",
    "swin_b": "swin_base_patch4_window12_384.ms_in22k_ft_in1k",
    "swin_l": "swin_large_patch4_window12_384.ms_in22k_ft_in1k",
}
_OURS = (
    (r"^patch_embed\.proj\.", "patches."),
    (r"^patch_embed\.norm\.", "norm."),
    (r"^layers\.(\d)\.downsample\.", r"stages.\1.merge."),
    (r"^layers\.", "stages."),
)
# timm's head, its norm of the last stage, which a class was read from, and its numbering of positions.
_UNUSED = re.compile(r"^(head\.|norm\.)|\.(relative_position_index|attn_mask)$")


def source(encoder: str) -> str:
    """Where an encoder's weights are from. encoder: a name of `SWIN`."""
    return f"timm/{_NAMES[encoder]}"


def fetch_encoder(encoder: str) -> dict[str, Tensor]:
    """Weights for all of an encoder but the normalisation of what leaves its stages, which no class needs.

    encoder: a name of `SWIN`. They come over the network once, and from the cache of huggingface_hub
    afterwards. Raises CheckpointError where they cannot be had or do not fit.
    """
    try:
        network = timm.create_model(_NAMES[encoder], pretrained=True)
    except (OSError, RuntimeError, ValueError) as exc:
        raise CheckpointError(
            f"init_from = {IMAGENET}: {_NAMES[encoder]} cannot be fetched ({in_short(exc)}); copy its folder "
            "in HF_HOME from a machine that has a network, or give a file with init_from"
        ) from exc
    return for_encoder(network.state_dict(), encoder)


def for_encoder(state: Mapping[str, Tensor], encoder: str) -> dict[str, Tensor]:
    """A state dict of timm's Swin under our names. Raises CheckpointError where some is missing."""
    config, ours = SWIN[encoder], {}
    for name, tensor in state.items():
        if _UNUSED.search(name):
            continue
        for pattern, replacement in _OURS:
            name = re.sub(pattern, replacement, name)
        ours[name] = tensor
    encoder_made = Swin(config.embed_width, config.depths, config.heads, config.window, 0.0)
    wanted = {
        name: tensor.shape
        for name, tensor in encoder_made.state_dict().items()
        if not re.match(r"^stages\.\d\.norm\.", name)
    }
    found = {name: tensor.shape for name, tensor in ours.items()}
    if found != wanted:
        odd = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        raise CheckpointError(
            f"init_from = {IMAGENET}: timm {timm.__version__} names its Swin otherwise "
            f"({', '.join(odd[:5])}); install the version of requirements.lock"
        )
    return ours
