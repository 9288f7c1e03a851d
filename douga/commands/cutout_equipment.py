"""Where the frames of ``douga cutout`` are cut out: here, or by a server."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from douga.commands.equipment import check_server, connect, other_weights
from douga.commands.session import Equipment
from douga.cutout import Alpha, Cutout, FindAlpha, cut_out
from douga.errors import CheckpointError, InputError
from douga.memory import memory_minded
from douga.steady import Steady
from douga.types import Frame

if TYPE_CHECKING:  # a server is looked up when it is asked for
    from douga_server.client_calls import Call
    from douga_server.codec_client import ServerInfo
    from douga_server.jobs import CutoutAnswer

_COARSE = "the alpha in the EXR has 8 bits, as a server answers; leave --server out for a finer one"


def load_cutout_equipment(args: argparse.Namespace) -> Equipment:
    """Have ready what `args` ask for. Raises DeviceError, CheckpointError, InputError, ServerError."""
    check_server(args)
    return _equip_here(args) if args.server is None else _equip_by_server(args)


def _equip_here(args: argparse.Namespace) -> Equipment:
    from douga.alpha import alpha_finder  # torch, which a server spares us
    from douga.checkpoint import choose_device
    from douga.cutout_weights import default_model, load_cutout_network

    device = str(choose_device(args.device or "auto"))
    name = args.model or default_model()
    network = load_cutout_network(name, device)
    weights = {"cutout": {"name": name, "sha256": network.sha256}}
    equipment = equip_cutouts(alpha_finder(network), device, weights, args.jobs, stabilise=args.stabilise)
    return replace(equipment, notes=(f"cut out by {name}, {network.sha256[:12]}",))


def _equip_by_server(args: argparse.Namespace) -> Equipment:
    from douga_server.jobs import Priority

    if args.depth == 16 or args.stabilise:
        option = "--depth 16" if args.depth == 16 else "--stabilise"
        raise InputError(f"{option}: a server answers frame by frame, in 8 bits; leave --server out for it")
    coarse = (_COARSE,) if args.exr else ()
    served = connect(args, lambda info: _served_weights(info, args.model))

    def finish(call: Call[CutoutAnswer]) -> Cutout:
        answer = call.result()
        warnings = (*call.frame.warnings, *answer.warnings, *other_weights(answer, served.weights), *coarse)
        planes = (plane.astype(np.float32) / np.float32(255) for plane in (answer.alpha, answer.colours))
        return Cutout(replace(call.frame, warnings=warnings), *planes)

    def start(frame: Frame) -> Call[CutoutAnswer]:
        return served.client.send_cutout(frame, args.model or "", Priority.BATCH)

    return served.equipment(args.jobs, start, finish)


def _served_weights(info: ServerInfo, name: str | None) -> dict[str, dict[str, str]]:
    """The weights that the server will use, as the manifest has them. Raises CheckpointError."""
    from douga_server.models import find_cutout_model

    try:
        model = find_cutout_model(info.description.models, name or "")
    except InputError as exc:
        raise CheckpointError(f"--model {name or 'left out'}: {exc}") from exc
    return {model.stage: {"name": model.name, "sha256": model.sha256}}


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
    find = _steadied(find_alpha) if stabilise else find_alpha

    def start(frame: Frame) -> Alpha:
        with memory_minded(frame):
            return find(frame)

    def finish(alpha: Alpha) -> Cutout:
        with memory_minded(alpha.frame):
            return cut_out(alpha)

    return Equipment(start, finish, device, weights, in_flight)


def _steadied(find_alpha: FindAlpha) -> Callable[[Frame], Alpha]:
    steady = Steady()

    def find(frame: Frame) -> Alpha:
        fresh = find_alpha(frame)
        last, values = steady.last, steady(frame, fresh.values)
        frame = fresh.frame
        if last is not None and not steady.follows:
            told = (
                f"--stabilise began anew: {frame.name} is not the next frame after {last}, by number and size"
            )
            frame = replace(frame, warnings=(*frame.warnings, told))
        return replace(fresh, frame=frame, values=values)

    return find
