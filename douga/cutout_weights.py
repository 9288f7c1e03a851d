"""Which weights cut out, and how they are loaded."""

from __future__ import annotations

from pathlib import Path

import torch

from douga.checkpoint import LoadedNetwork, choose_device, load_network, read_info
from douga.errors import CheckpointError
from douga.shipped import CUTOUT_WEIGHTS, imported_weights, known_weights, shipped_weights


def default_model() -> str:
    """The name of the weights to use where nobody names any: those imported last, else the shipped ones.

    Raises CheckpointError where there are none: nothing else stands in for them.
    """
    newest_first = sorted(imported_weights().items(), key=lambda each: -each[1].stat().st_mtime_ns)
    for name, path in newest_first:
        try:
            stage = read_info(path)[0].stage
        except CheckpointError as exc:
            raise CheckpointError(f"{exc}; or remove it, or name other weights with --model") from exc
        if stage == "cutout":
            return name
    if CUTOUT_WEIGHTS in shipped_weights():
        return CUTOUT_WEIGHTS
    raise CheckpointError(
        "no weights for cutouts came with this Douga; give your own with --model FILE (from training, or a "
        "published file that went through `douga weights import`), or --model cel-small for stage one's hard "
        "mask"
    )


def load_cutout_network(name: str, device: str | torch.device = "auto") -> LoadedNetwork:
    """Weights by name or file, ready for `douga.alpha.find_alpha`. Raises CheckpointError and DeviceError.

    Those of stage one are taken too: their mask is a hard cutout. BiRefNet and IS-Net run in bfloat16.
    """
    path = known_weights().get(name, Path(name))
    target = choose_device(device) if isinstance(device, str) else device
    is_gcn = not path.is_file() or read_info(path)[0].kind == "gcn"
    precision = torch.float32 if is_gcn or target.type == "mps" else torch.bfloat16
    network = load_network(name, target, precision=precision)
    if network.info.stage not in ("cutout", "cel"):
        raise CheckpointError(
            f"{name}: weights of stage {network.info.stage!r} know no alpha; give weights of stage 'cutout', "
            "or of stage 'cel' for a hard mask"
        )
    return network
