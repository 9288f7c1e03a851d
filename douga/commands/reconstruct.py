"""``douga reconstruct``: frames in, the folders of the README's table out."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from douga.errors import MissingInputError
from douga.shipped import CEL_WEIGHTS, LINES_WEIGHTS

if TYPE_CHECKING:  # torch, OpenCV and numpy are loaded when there is work to do, not for --help
    from douga.commands.session import Todo
    from douga.results import ResultFolder

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
    add("--weights-cel", metavar="NAME|FILE", help=f"stage one (default: {CEL_WEIGHTS}; a server's own)")
    add("--weights-lines", metavar="NAME|FILE", help=f"stage two (default: {LINES_WEIGHTS}; a server's own)")
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
    from douga.commands.equipment import load_equipment
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
