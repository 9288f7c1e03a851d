"""What the commands that take frames have in common: inputs, places for the work, a run from start to end."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from douga.errors import MissingInputError
from douga.shipped import weights_path

if TYPE_CHECKING:  # torch, OpenCV and numpy are loaded when there is work to do, not for --help
    from douga.commands.session import Equipment
    from douga.commands.todo import Results, Todo
    from douga.own_masks import OwnMasks

JOBS = "1 on the CPU, one per core beside an accelerator, as many as a server can use"
_OVERWRITE = (
    "make results again that are there already, and remove those of kinds that are not asked for; where it "
    "is stopped, the same command goes on"
)
INPUTS = "images, folders of images, numbered sequences ('A####.png') or videos"
_SERVER = "send the frames to this server; auto: the one that you started on this machine"


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Which frames, and where the results go."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help=INPUTS)
    add("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    add("--overwrite", action="store_true", help=_OVERWRITE)
    add("--frames", type=frame_range, metavar="A-B", help="only frames numbered A to B, e.g. 101-200")


def add_machine_arguments(group: Any) -> None:
    """What it runs on. group: of an ArgumentParser."""
    group.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps (default: auto); not with --server")
    group.add_argument(
        "--jobs", type=jobs, metavar="N", help=f"frames worked on side by side (default: {JOBS})"
    )


def add_server_arguments(group: Any) -> None:
    """A server in place of this process. group: of an ArgumentParser."""
    add = group.add_argument
    add("--server", metavar="HOST:PORT|unix:PATH|auto", help=_SERVER)
    add("--token-file", type=Path, metavar="FILE", help="what a server elsewhere wants")
    add("--tls-ca", type=Path, metavar="FILE", help="who signed its certificate, as PEM")
    add("--tls-cert", type=Path, metavar="FILE", help="your certificate, if it wants one")
    add("--tls-key", type=Path, metavar="FILE", help="the key of that certificate")


def run_frames(
    args: argparse.Namespace,
    results: Results,
    load_equipment: Callable[[], Equipment],
    command: str,
    settings: dict[str, Any],
    named_weights: Callable[[], dict[str, str]],
    masks: OwnMasks | None = None,
    beside: Iterable[Path] = (),
) -> int:
    """Take the frames that `args` name through the equipment into the results.

    load_equipment: is called only where there is something to do. command ("cutout"), settings: for the
    manifest. named_weights: name or file by stage, of the networks that would do it here. masks: the user's
    own, in place of stage one. beside: what else is read, a picture behind. Returns 0, or 1 when some frames
    failed, or 2 when all did. Raises DougaError when nothing can be done, OutputError when results cannot be
    written, or would be over files of others.
    """
    from douga.commands.session import Console, Session
    from douga.commands.todo import Todo, refuse_own_input, untold_results
    from douga.frame_io import open_sources

    sources = open_sources([Path(given) for given in args.inputs], args.frames)
    refuse_own_input(results, [*sources.paths, *(masks.files if masks else ()), *beside])
    untold = untold_results(results, sources, command)
    results.prepare()
    console = Console(sources.count)
    for note in sources.notes:
        console.say(f"note: {note}")
    todo = Todo(sources, results, masks, untold)
    if todo.is_empty():
        run = {"command": command, "settings": settings, "weights": _hashed(named_weights())}
        return _nothing_to_do(todo, args, run)
    equipment = load_equipment()
    try:
        console.say(f"device: {equipment.device}")
        for note in equipment.notes:
            console.say(f"note: {note}")
        session = Session(todo, equipment, results, console, command, settings, _work_of(args))
        session.process()
    finally:
        equipment.close()
    return session.conclude()


def _nothing_to_do(todo: Todo, args: argparse.Namespace, run: dict[str, Any]) -> int:
    from douga.commands.todo import told_of_skipped
    from douga.manifest import Manifest

    if not todo.skipped:
        wanted = f" numbered {args.frames[0]} to {args.frames[1]}" if args.frames else ""
        look_at = "see --frames and" if args.frames else "look at"
        raise MissingInputError(f"{', '.join(args.inputs)}: no frame{wanted} there; {look_at} the file names")
    manifest = Manifest.continuing(args.out, run, todo.masks, untold=todo.untold)
    told = told_of_skipped(manifest, todo)
    print(f"{args.out}: all {len(todo.skipped)} frames are there already; {told}")
    return 0


def _work_of(args: argparse.Namespace) -> str:
    """What a run is known by again, whatever its settings: a hash of its inputs and its range."""
    asked = json.dumps([[str(Path(given).absolute()) for given in args.inputs], args.frames])
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def _hashed(named: dict[str, str]) -> dict[str, dict[str, str]]:
    """Name and sha256 by stage, nothing loaded. Raises CheckpointError where a file is not there."""
    return {
        stage: {"name": name, "sha256": hashlib.sha256(weights_path(name).read_bytes()).hexdigest()}
        for stage, name in named.items()
    }


def frame_range(text: str) -> tuple[int, int]:
    """ "101-200" or "7" -> the first and last number, for argparse."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no range of frame numbers; write it as 101-200, or 7 for one"
        )
    return int(match[1]), int(match[2] or match[1])


def jobs(text: str) -> int:
    """A number of things side by side, for argparse."""
    return whole_number(text, 1, 256)


def whole_number(text: str, lowest: int, highest: int) -> int:
    """A number within bounds, for argparse."""
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {lowest} to {highest}")
    return int(text)
