"""Weights -> the two networks as the pipeline takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from douga.cel import find_cel
from douga.checkpoint import choose_device, load_network
from douga.lines import find_lines
from douga.own_masks import OwnMasks
from douga.pipeline import Stages
from douga.shipped import CEL_WEIGHTS, LINES_WEIGHTS
from douga.types import CelMask, Frame


@dataclass(frozen=True)
class LoadedStages:
    """Both networks, ready to run. weights: by stage, name and sha256, for the manifest."""

    stages: Stages
    device: str
    weights: dict[str, dict[str, str]]


def load_stages(
    cel: str | None = None, lines: str | None = None, device: str = "auto", mask: Path | None = None
) -> LoadedStages:
    """Load the networks. cel, lines: weights by name or file, None for those that ship with Douga.

    mask: the user's own masks instead of stage one. Raises DeviceError, CheckpointError and InputError.
    """
    device = str(choose_device(device))
    second = load_network(lines or LINES_WEIGHTS, device)
    weights = {"lines": {"name": str(lines or LINES_WEIGHTS), "sha256": second.sha256}}
    find: Callable[[Frame], CelMask]
    if mask is not None:
        find = OwnMasks(mask)
    else:
        first = load_network(cel or CEL_WEIGHTS, device)
        weights["cel"] = {"name": str(cel or CEL_WEIGHTS), "sha256": first.sha256}
        find = partial(find_cel, network=first)
    return LoadedStages(Stages(find, partial(find_lines, network=second)), device, weights)
