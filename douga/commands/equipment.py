"""Where the frames of ``douga reconstruct`` are taken apart: here, by a server, or on a farm."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from douga import __version__
from douga.commands.session import Equipment, Pending, Result, equip_locally
from douga.errors import CheckpointError, InputError
from douga.layers import build_layers
from douga.own_masks import OwnMasks
from douga.pipeline import Reconstruction, Settings
from douga.shipped import CEL_WEIGHTS, LINES_WEIGHTS
from douga.types import Frame

if TYPE_CHECKING:  # server and farm are looked up when they are asked for
    from douga_server.client import Client
    from douga_server.client_calls import Call
    from douga_server.codec_client import Received, ServerInfo
    from douga_server.jobs import Answer, AnyAnswer


def load_equipment(args: argparse.Namespace, settings: Settings) -> Equipment:
    """Have ready what `args`, which `check_where` let pass, ask for: networks here, a server or a farm.

    Raises DeviceError and CheckpointError, ServerError or SetupError where a server or a farm is the trouble.
    """
    if args.server is not None:
        return _equip_by_server(args, settings)
    if args.backend == "ray":
        return _equip_by_farm(args, settings)
    return _equip_here(args, settings)


def check_where(args: argparse.Namespace) -> None:
    """Raises InputError for options that do not go together: none is passed over in silence."""
    check_server(args)
    farm = {"--ray-address": args.ray_address, "--replicas": args.replicas}
    lonely = [name for name, value in farm.items() if value is not None and args.backend != "ray"]
    if lonely:
        raise InputError(f"{lonely[0]} says something about --backend ray, which is not there; add it")
    if args.mask is not None and args.weights_cel is not None:
        raise InputError("--mask is your own stage one, so --weights-cel says nothing; leave one of them out")
    if args.server is not None and args.backend == "ray":
        raise InputError("--server and --backend ray are two places for the same work; choose one of them")


def check_server(args: argparse.Namespace) -> None:
    """Raises InputError for options of a server that do not go together."""
    about = {
        "--token-file": args.token_file,
        "--tls-ca": args.tls_ca,
        "--tls-cert": args.tls_cert,
        "--tls-key": args.tls_key,
    }
    lonely = [name for name, value in about.items() if value is not None and args.server is None]
    if lonely:
        raise InputError(f"{lonely[0]} says something about --server, which is not there; add it")
    if args.server is not None and args.device is not None:
        raise InputError(
            f"--device {args.device}: the server chooses its own device; leave it out, or start the server "
            f"with `douga serve --device {args.device}`"
        )


def _equip_here(args: argparse.Namespace, settings: Settings) -> Equipment:
    from douga.stages import load_stages  # torch, which a server or a farm spares us

    loaded = load_stages(args.weights_cel, args.weights_lines, args.device or "auto", args.mask)
    return equip_locally(loaded.stages, settings, loaded.device, loaded.weights, args.jobs)


class Served(NamedTuple):
    """A client, the server it speaks with, and the weights that this one will use, for the manifest."""

    client: Client
    info: ServerInfo
    weights: dict[str, dict[str, str]]

    def equipment(
        self, jobs: int | None, start: Callable[[Frame], Pending], finish: Callable[[Pending], Result]
    ) -> Equipment:
        """What the server does for us. jobs: frames on their way at a time; None for what suits it."""
        return Equipment(
            start=start,
            finish=finish,
            device=f"server: {', '.join(self.info.description.devices)}",
            weights=self.weights,
            in_flight=jobs or _frames_in_flight(self.info),
            hurry=self.client.hurry,
            close=self.client.close,
            notes=_other_version(self.info),
        )


def connect(
    args: argparse.Namespace, weights_of: Callable[[ServerInfo], dict[str, dict[str, str]]]
) -> Served:
    """Find the server that `args` name. weights_of: chooses the weights that it will use.

    Raises ServerError, InputError, CheckpointError.
    """
    from douga_server.client import Client
    from douga_server.connection import find_server

    server = find_server(
        args.server,
        token_file=args.token_file,
        tls_ca=args.tls_ca,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
    )
    client = Client(server)
    try:
        info = client.capabilities()
        return Served(client, info, weights_of(info))
    except BaseException:
        client.close()
        raise


def _equip_by_server(args: argparse.Namespace, settings: Settings) -> Equipment:
    from douga_server.jobs import Options, Priority

    served = connect(args, lambda info: _served_weights(info, args))
    options = Options(
        args.weights_cel or "", args.weights_lines or "", args.line_width, priority=Priority.BATCH
    )
    masks = None if args.mask is None else OwnMasks(args.mask)

    def finish(call: Call[Received]) -> Reconstruction:
        received = call.result()
        warnings = (*received.warnings, *other_weights(received.answer, served.weights))
        return _layered(call.frame, received.answer, settings, warnings)

    def start(frame: Frame) -> Call[Received]:
        return served.client.send(frame, options, masks(frame) if masks else None)

    return served.equipment(args.jobs, start, finish)


def _equip_by_farm(args: argparse.Namespace, settings: Settings) -> Equipment:
    from douga_server.farm import FarmRun, open_farm
    from douga_server.models import ModelStore

    store = ModelStore(
        (args.weights_cel or CEL_WEIGHTS,), (args.weights_lines or LINES_WEIGHTS,), args.device or "auto"
    )
    asked = FarmRun(
        store,
        settings,
        own_masks=None if args.mask is None else OwnMasks(args.mask),
        address=args.ray_address,
        workers=args.replicas,
        in_flight=args.jobs,
    )
    with ExitStack() as opening:
        farm = opening.enter_context(open_farm(asked))
        return Equipment(
            start=farm.start,
            finish=farm.finish,
            device=farm.device,
            weights=farm.weights,
            in_flight=farm.in_flight,
            hurry=farm.hurry,
            close=opening.pop_all().close,
        )


def _served_weights(info: ServerInfo, args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The weights that the server will use, as the manifest has them. Raises CheckpointError."""
    asked = {"lines": args.weights_lines}
    if args.mask is None:
        asked["cel"] = args.weights_cel
    weights = {}
    for stage, name in asked.items():
        models = [model for model in info.description.models if model.stage == stage]
        chosen = next((m for m in models if (m.name == name if name else m.is_default)), None)
        if chosen is None:
            there = ", ".join(model.name for model in models) or "none"
            raise CheckpointError(
                f"{name or 'default'}: the server has no such weights for --weights-{stage}; it has {there}"
            )
        weights[stage] = {"name": chosen.name, "sha256": chosen.sha256}
    return weights


def _frames_in_flight(info: ServerInfo) -> int:
    """So many frames that the server never waits for the next: it cleans some while its networks go on."""
    wanted = sum(2 if device == "cpu" else 8 for device in info.description.devices)
    return max(1, min(wanted, info.limits.max_queued, 64))


def other_weights(answer: AnyAnswer, weights: dict[str, dict[str, str]]) -> tuple[str, ...]:
    """A server may be given new weights while it runs."""
    return tuple(
        f"made with the {use.stage} weights {use.name} {use.sha256[:12]}, which the server took up meanwhile"
        for use in answer.models
        if use.stage in weights and use.sha256 != weights[use.stage]["sha256"]
    )


def _other_version(info: ServerInfo) -> tuple[str, ...]:
    if info.version == __version__:
        return ()
    return (f"the server is Douga {info.version}, this is {__version__}; results made here may differ",)


def _layered(
    frame: Frame, answer: Answer, settings: Settings, warnings: tuple[str, ...] = ()
) -> Reconstruction:
    """What came back from elsewhere -> what the networks here would have given."""
    layers = build_layers(frame, answer.cel_mask, answer.classes, settings.palette)
    told = replace(frame, warnings=(*frame.warnings, *warnings))
    return Reconstruction(told, answer.cel_mask, answer.classes, layers)
