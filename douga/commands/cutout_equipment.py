"""Where the frames of ``douga cutout`` are cut out: here, or by a server."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace

from douga.commands.session import Equipment
from douga.cutout import Alpha, FindAlpha, alpha_finder, cut_out
from douga.cutout_weights import default_model, load_cutout_network
from douga.steady import Steady
from douga.types import Frame


def load_cutout_equipment(args: argparse.Namespace) -> Equipment:
    """Have ready what `args` ask for. Raises DeviceError, CheckpointError, InputError, ServerError."""
    return _equip_here(args)


def _equip_here(args: argparse.Namespace) -> Equipment:
    from douga.checkpoint import choose_device

    device = str(choose_device(args.device or "auto"))
    name = args.model or default_model()
    network = load_cutout_network(name, device)
    weights = {"cutout": {"name": name, "sha256": network.sha256}}
    return equip_cutouts(alpha_finder(network), device, weights, args.jobs, stabilise=args.stabilise)


def equip_cutouts(
    find_alpha: FindAlpha,
    device: str,
    weights: dict[str, dict[str, str]],
    jobs: int | None = None,
    *,
    stabilise: bool = False,
) -> Equipment:
    """The network on the thread that starts, colours and files on those that finish. jobs: of the latter."""
    # On the CPU the network has the cores.
    in_flight = jobs or (1 if device == "cpu" else os.cpu_count() or 1)
    start = _steadied(find_alpha) if stabilise else find_alpha
    return Equipment(start, cut_out, device, weights, in_flight)


def _steadied(find_alpha: FindAlpha) -> Callable[[Frame], Alpha]:
    steady = Steady()

    def find(frame: Frame) -> Alpha:
        fresh = find_alpha(frame)
        return replace(fresh, values=steady(frame, fresh.values))

    return find
