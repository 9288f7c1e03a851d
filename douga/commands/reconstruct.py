"""``douga reconstruct``: frames in, the folders of the README's table out."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from douga.errors import CheckpointError, InputError, MissingInputError

if TYPE_CHECKING:  # torch, OpenCV and numpy are loaded when there is work to do, not for --help
    from douga_server.client_calls import Call
    from douga_server.codec_client import ServerInfo
    from douga_server.jobs import Answer

    from douga.commands.session import Equipment, Todo
    from douga.pipeline import Reconstruction, Settings
    from douga.results import ResultFolder
    from douga.types import CelMask, Frame

EXAMPLES = """\
examples:
  douga reconstruct frame.png --out result
  douga reconstruct shots/s01/ --out result/s01               a folder or a numbered sequence
  douga reconstruct episode.mp4 --out result --frames 101-200
  douga reconstruct shots/s01/ --out result --mask my_masks/  your own cel masks, white is cel
  douga reconstruct frame.png --out result --palette studio.toml --tga-line-width 2
  douga reconstruct shots/s01/ --out result/s01 --server auto  the server of this machine (`douga serve`)
  douga reconstruct shots/s01/ --out result/s01 --server gpu01:7610 --token-file token.txt --tls-ca ca.pem
  douga reconstruct shots/s01/ --out result/s01 --backend ray --frames 101-200

For each frame NAME it writes into --out:
  classes/NAME.png    the douga in colour; the index of a pixel is its class
  cel_mask/NAME.png   white where the cel is
  cel/NAME.png        the cel in the frame's own colours, straight alpha
  douga/NAME.tga      lines for RETAS
  layers/NAME.ora     all of it in layers, for Krita, GIMP and MyPaint
and manifest.json, which tells how they were made. Frames whose results are all there are skipped, so that the
same command goes on where it was stopped.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="images, folders, numbered sequences or videos")
    add("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    add("--overwrite", action="store_true", help="make results again that are there already")
    add("--frames", type=_frame_range, metavar="A-B", help="only frames numbered A to B, e.g. 101-200")
    add("--mask", type=Path, metavar="PATH", help=f"your own cel masks instead of stage one: {_MASKS}")

    add = parser.add_argument_group("what it looks like").add_argument
    add("--palette", metavar="NAME|FILE", help=f"kugler, retas or a TOML file (default: {_TWO_PALETTES})")
    add("--line-width", type=_line_width, default=3, metavar="PX", help="of all lines (default: 3)")
    add("--tga-line-width", type=_line_width, default=1, metavar="PX", help="in the TGA (default: 1)")
    add("--layers", choices=("ora", "none"), default="ora", help="layered file (default: ora)")

    add = parser.add_argument_group("what it runs on").add_argument
    add("--weights-cel", metavar="NAME|FILE", help=f"stage one (default: {_CEL}; a server's own)")
    add("--weights-lines", metavar="NAME|FILE", help=f"stage two (default: {_LINES}; a server's own)")
    add("--device", help="auto, cpu, cuda, cuda:1, mps (default: auto); not with --server")
    add("--jobs", type=_jobs, metavar="N", help=f"frames worked on side by side (default: {_JOBS})")

    where = parser.add_argument_group(
        "where the work is done", "Here, without any of these. The files are the same wherever it is done."
    )
    where.add_argument("--server", metavar="HOST:PORT|unix:PATH|auto", help=_SERVER)
    where.add_argument("--token-file", type=Path, metavar="FILE", help="what a server elsewhere wants")
    where.add_argument("--tls-ca", type=Path, metavar="FILE", help="who signed its certificate, as PEM")
    where.add_argument("--tls-cert", type=Path, metavar="FILE", help="your certificate, if it wants one")
    where.add_argument("--tls-key", type=Path, metavar="FILE", help="the key of that certificate")
    where.add_argument("--backend", choices=("local", "ray"), default="local", help=_BACKEND)
    where.add_argument("--ray-address", metavar="ADDRESS", help="of a Ray cluster, HOST:PORT or auto")
    where.add_argument("--replicas", type=_jobs, metavar="N", help=f"workers (default: {_WORKERS})")


_CEL, _LINES = "cel-small", "lines-small"
_SERVER = "send the frames to this server; auto: the one that you started on this machine"
_BACKEND = "ray: spread the frames over a Ray cluster, or over this machine without --ray-address"
_WORKERS = "one a GPU, or one a machine without any"
_MASKS = "a folder with an image per frame, or one image for all; white is cel"
_TWO_PALETTES = "retas for the TGA, kugler for everything else"
_JOBS = "1 on the CPU, one per core beside an accelerator, as many as a server can use"


def run(args: argparse.Namespace) -> int:
    """Reconstruct what `args` name.

    Returns 0, or 1 when some frames failed, or 2 when all did. Raises DougaError when nothing can be done,
    OutputError when results cannot be written.
    """
    from douga.commands.session import Console, Session, Todo
    from douga.frame_io import open_sources

    sources = open_sources([Path(given) for given in args.inputs])
    results = _result_folder(args)
    console = Console(_expected(sources.count, args.frames))
    for note in sources.notes:
        console.say(f"note: {note}")
    todo = Todo(sources, args.frames, results)
    if todo.is_empty():
        return _nothing_to_do(todo, args)
    equipment = load_equipment(args, results.settings)
    try:
        console.say(f"device: {equipment.device}")
        for note in equipment.notes:
            console.say(f"note: {note}")
        session = Session(args, todo, equipment, results, console)
        session.process()
    finally:
        equipment.close()
    return session.conclude()


def _expected(count: int | None, numbers: tuple[int, int] | None) -> int | None:
    """How many frames there will be, at most; None where nobody knows."""
    if numbers is None:
        return count
    asked = numbers[1] - numbers[0] + 1
    return asked if count is None else min(count, asked)


def _result_folder(args: argparse.Namespace) -> ResultFolder:
    from douga.palettes import load_palette
    from douga.pipeline import Settings
    from douga.results import ResultFolder

    settings = Settings(load_palette(args.palette or "kugler"), args.line_width)
    results = ResultFolder(
        args.out,
        settings,
        trace_palette=load_palette(args.palette or "retas"),
        tga_line_width_px=args.tga_line_width,
        layered=args.layers == "ora",
        overwrite=args.overwrite,
    )
    results.prepare()
    return results


def _nothing_to_do(todo: Todo, args: argparse.Namespace) -> int:
    if not todo.skipped:
        wanted = f" numbered {args.frames[0]} to {args.frames[1]}" if args.frames else ""
        raise MissingInputError(
            f"{', '.join(args.inputs)}: no frame{wanted} there; see --frames and the file names"
        )
    print(f"{args.out}: all {todo.skipped} frames are there already; --overwrite makes them again")
    return 0


def _frame_range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no range of frame numbers; write it as 101-200, or 7 for one"
        )
    return int(match[1]), int(match[2] or match[1])


def _line_width(text: str) -> int:
    return _whole_number(text, 1, 15)


def _jobs(text: str) -> int:
    return _whole_number(text, 1, 256)


def _whole_number(text: str, lowest: int, highest: int) -> int:
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {lowest} to {highest}")
    return int(text)


def load_equipment(args: argparse.Namespace, settings: Settings) -> Equipment:
    """Have ready what `args` ask for: networks here, a server or a farm.

    Raises DeviceError and CheckpointError, ServerError or SetupError where a server or a farm is the trouble.
    """
    _check_where(args)
    if args.server is not None:
        return _equip_by_server(args, settings)
    if args.backend == "ray":
        return _equip_by_farm(args, settings)
    return _equip_here(args, settings)


def _check_where(args: argparse.Namespace) -> None:
    """Raises InputError for options that do not go together: none is passed over in silence."""
    server = {
        "--token-file": args.token_file,
        "--tls-ca": args.tls_ca,
        "--tls-cert": args.tls_cert,
        "--tls-key": args.tls_key,
    }
    farm = {"--ray-address": args.ray_address, "--replicas": args.replicas}
    lonely = [name for name, value in server.items() if value is not None and args.server is None]
    lonely += [name for name, value in farm.items() if value is not None and args.backend != "ray"]
    if lonely:
        owner = "--server" if lonely[0] in server else "--backend ray"
        raise InputError(f"{lonely[0]} says something about {owner}, which is not there; add it")
    if args.server is not None and args.backend == "ray":
        raise InputError("--server and --backend ray are two places for the same work; choose one of them")
    if args.server is not None and args.device is not None:
        raise InputError(
            f"--device {args.device}: the server chooses its own device; leave it out, or start the server "
            f"with `douga serve --device {args.device}`"
        )


def _equip_here(args: argparse.Namespace, settings: Settings) -> Equipment:
    from douga.cel import find_cel
    from douga.checkpoint import choose_device, load_network
    from douga.commands.session import equip_locally
    from douga.lines import find_lines
    from douga.own_masks import OwnMasks
    from douga.pipeline import Stages

    device = str(choose_device(args.device or "auto"))
    lines = load_network(args.weights_lines or _LINES, device)
    weights = {"lines": {"name": str(args.weights_lines or _LINES), "sha256": lines.sha256}}
    find: Callable[[Frame], CelMask]
    if args.mask is not None:
        find = OwnMasks(args.mask)
    else:
        cel = load_network(args.weights_cel or _CEL, device)
        weights["cel"] = {"name": str(args.weights_cel or _CEL), "sha256": cel.sha256}

        def find(frame: Frame) -> CelMask:
            return find_cel(frame, cel)

    stages = Stages(find, lambda frame, mask: find_lines(frame, mask, lines))
    return equip_locally(stages, settings, device, weights, args.jobs)


def _equip_by_server(args: argparse.Namespace, settings: Settings) -> Equipment:
    from douga_server.client import Client
    from douga_server.connection import find_server
    from douga_server.jobs import Options, Priority

    from douga.commands.session import Equipment
    from douga.own_masks import OwnMasks

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
        weights = _served_weights(info, args)
    except BaseException:
        client.close()
        raise
    options = Options(
        args.weights_cel or "", args.weights_lines or "", args.line_width, priority=Priority.BATCH
    )
    masks = None if args.mask is None else OwnMasks(args.mask)

    def finish(call: Call) -> Reconstruction:
        received = call.result()
        warnings = (*received.warnings, *_other_weights(received.answer, weights))
        return _layered(call.frame, received.answer, settings, warnings)

    return Equipment(
        start=lambda frame: client.send(frame, options, masks(frame) if masks else None),
        finish=finish,
        device=f"server: {', '.join(info.description.devices)}",
        weights=weights,
        in_flight=args.jobs or _in_flight(info),
        hurry=client.hurry,
        close=client.close,
        notes=_other_version(info),
    )


def _equip_by_farm(args: argparse.Namespace, settings: Settings) -> Equipment:
    from douga_server.farm import FarmRun, open_farm
    from douga_server.models import ModelStore

    from douga.commands.session import Equipment
    from douga.own_masks import OwnMasks

    store = ModelStore((args.weights_cel or _CEL,), (args.weights_lines or _LINES,), args.device or "auto")
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


def _in_flight(info: ServerInfo) -> int:
    """So many frames that the server never waits for the next: it cleans some while its networks go on."""
    wanted = sum(2 if device == "cpu" else 8 for device in info.description.devices)
    return max(1, min(wanted, info.limits.max_queued, 64))


def _other_weights(answer: Answer, weights: dict[str, dict[str, str]]) -> tuple[str, ...]:
    """A server may be given new weights while it runs."""
    return tuple(
        f"made with the {use.stage} weights {use.name} {use.sha256[:12]}, which the server took up meanwhile"
        for use in answer.models
        if use.stage in weights and use.sha256 != weights[use.stage]["sha256"]
    )


def _other_version(info: ServerInfo) -> tuple[str, ...]:
    from douga import __version__

    if info.version == __version__:
        return ()
    return (f"the server is Douga {info.version}, this is {__version__}; results made here may differ",)


def _layered(
    frame: Frame, answer: Answer, settings: Settings, warnings: tuple[str, ...] = ()
) -> Reconstruction:
    """What came back from elsewhere -> what the networks here would have given."""
    from douga.layers import build_layers
    from douga.pipeline import Reconstruction

    layers = build_layers(frame, answer.cel_mask, answer.classes, settings.palette)
    told = replace(frame, warnings=(*frame.warnings, *warnings))
    return Reconstruction(told, answer.cel_mask, answer.classes, layers)
