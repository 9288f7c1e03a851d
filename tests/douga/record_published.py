"""Records what the public implementations of BiRefNet and IS-Net call their tensors, and what they answer.

python tests/douga/record_published.py BIREFNET ISNET, where these are folders as
`douga_training.bench.public` wants them. Writes published_names.json.xz and published_answers.npz beside
itself, which test_published.py holds our networks against. Only names, shapes and numbers are kept of theirs.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

import numpy as np
import torch
from douga_training.bench.public import fill, public_birefnet, public_isnet
from torch import Tensor, nn

HERE = Path(__file__).parent
NAMES, ANSWERS = HERE / "published_names.json.xz", HERE / "published_answers.npz"
# Sides that are no multiples of the window of 7 at any stride: padding and shifting are in it.
BIREFNET_HW, BIREFNET_TRAINED_HW, ISNET_HW = (160, 192), (96, 128), (128, 192)
EVERY = 8  # px between the answers that are kept
RANDOM = (nn.Dropout, nn.BatchNorm2d)  # stands still in the recorded training mode, with all that drops paths


def image(channels: int, size_hw: tuple[int, int]) -> Tensor:
    """(1, channels, H, W) float32, 0 to 1, the same on every machine."""
    random = np.random.RandomState(7)
    return torch.from_numpy(random.uniform(0, 1, (1, channels, *size_hw)).astype(np.float32))


def standing_still(network: nn.Module) -> nn.Module:
    """In training mode, but without chance and without learning statistics."""
    network.train()
    for part in network.modules():
        if isinstance(part, RANDOM) or type(part).__name__ == "DropPath":
            part.eval()
    return network


def thinned(answer: Tensor) -> np.ndarray:
    """Every 8th row and column of a large map (B, 1, H, W); anything else as it is."""
    large = answer.ndim == 4 and answer.shape[-1] > 64
    return (answer[..., ::EVERY, ::EVERY] if large else answer).detach().float().numpy()


def main(birefnet: str, isnet: str) -> int:
    """Run theirs, write both files."""
    names: dict[str, dict[str, list[int]]] = {}
    with torch.device("meta"):
        names["swin_l"] = _names(public_birefnet(Path(birefnet), "swin_v1_l"))
    lite = fill(public_birefnet(Path(birefnet), "swin_v1_t"))
    names["swin_t"] = _names(lite)
    answers = {}
    with torch.no_grad():
        answers["birefnet"] = thinned(lite(image(3, BIREFNET_HW))[-1])
        ((gradients, targets), sides), _ = standing_still(lite)(image(3, BIREFNET_TRAINED_HW))
        for key, maps in (("side", sides[:3]), ("gradient", gradients), ("target", targets)):
            answers |= {f"birefnet_{key}{i}": thinned(one) for i, one in enumerate(maps)}
        for key, name, channels in (("isnet", "ISNetDIS", 3), ("masks", "ISNetGTEncoder", 1)):
            network = fill(public_isnet(Path(isnet), name))
            names[key] = _names(network)
            alphas, features = network(image(channels, ISNET_HW))
            answers |= {f"{key}_alpha{i}": thinned(alpha) for i, alpha in enumerate(alphas)}
            answers |= {f"{key}_mean{i}": f.mean((2, 3)).numpy() for i, f in enumerate(features)}
    NAMES.write_bytes(lzma.compress(json.dumps(names).encode(), preset=9))
    np.savez_compressed(ANSWERS, **answers)
    for key, answer in answers.items():
        print(f"{key:18} {answer.shape!s:20} deviation {answer.std():.3f}")
    return 0


def _names(network: nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
