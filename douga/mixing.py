"""Weights between two others: what lies half-way between two trainings is often better than either.

The weights must have grown from one another, or from the same: those of strangers do not mix.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from douga.checkpoint import LoadedNetwork, WeightsInfo, load_network
from douga.errors import CheckpointError, InputError
from douga.networks.gcn import GcnConfig, as_alpha, with_quarter_level


def mix_weights(first: str | Path, second: str | Path, share: float) -> tuple[dict[str, Tensor], WeightsInfo]:
    """(1 - share) of the first weights and `share` of the second, as a state dict, and what they are.

    first, second: files or names. Of a "cel" and a "cutout" of one network, the cel is taken as the cutout
    that answers the same; where one alone has a level at a quarter of the size, that counts with its share.
    The rest of the header is the first's, or the cutout's. Raises CheckpointError if they are not of one
    stage and network, InputError for a share below 0 or above 1.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share {share}: give a number from 0 (all of the first) to 1")
    one, other = load_network(first, "cpu", fused=False), load_network(second, "cpu", fused=False)
    stage = "cutout" if {one.info.stage, other.info.stage} == {"cel", "cutout"} else one.info.stage
    (state, config), (others, their_config) = _as_stage(one, stage), _as_stage(other, stage)
    if isinstance(config, GcnConfig) and isinstance(their_config, GcnConfig):
        had = state, config
        state, config = with_quarter_level(*had, others, their_config)
        others, their_config = with_quarter_level(others, their_config, *had)
    if other.info.stage not in (stage, "cel") or (one.info.kind, config) != (other.info.kind, their_config):
        raise CheckpointError(
            f"{first} and {second} do not mix: {one.info.stage}, {one.info.config} and {other.info.stage}, "
            f"{other.info.config}; give two of one stage and one network"
        )
    mixed = {
        key: value.lerp(others[key], share) if value.is_floating_point() else value
        for key, value in state.items()
    }
    told: dict[str, Any] = {
        "mixed": [f"{1 - share:g} of {one.sha256[:12]}", f"{share:g} of {other.sha256[:12]}"]
    }
    lead = one.info if one.info.stage == stage else other.info
    if isinstance(config, GcnConfig) and isinstance(lead.config, GcnConfig):
        lead = replace(lead, config=replace(lead.config, quarter_width=config.quarter_width))
        told["quarter_width"] = config.quarter_width
    info = replace(
        lead, step=max(one.info.step, other.info.step), recipe=dict(lead.recipe) | told,
        licence=_both(one.info.licence, other.info.licence), source=_both(one.info.source, other.info.source),
    )  # fmt: skip
    return mixed, info


def _as_stage(loaded: LoadedNetwork, stage: str) -> tuple[dict[str, Tensor], object]:
    """Its tensors for that stage, and its config without what belongs to a run."""
    state, config = loaded.network.state_dict(), loaded.info.config
    if not isinstance(config, GcnConfig):
        return state, config
    if stage == "cutout" and loaded.info.stage == "cel":
        state, config = as_alpha(state), replace(config, classes=1)
    return state, config.shape()


def _both(one: str, other: str) -> str:
    return one if one == other else " and ".join(sorted({one, other} - {""}))
