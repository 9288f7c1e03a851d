"""``douga reconstruct``: frames in, the folders of the README's table out."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from douga.errors import MissingInputError

if TYPE_CHECKING:  # torch, OpenCV and numpy are loaded when there is work to do, not for --help
    from douga.commands.session import Equipment, Todo
    from douga.results import ResultFolder
    from douga.types import CelMask, Frame

EXAMPLES = """\
examples:
  douga reconstruct frame.png --out result
  douga reconstruct shots/s01/ --out result/s01               a folder or a numbered sequence
  douga reconstruct episode.mp4 --out result --frames 101-200
  douga reconstruct shots/s01/ --out result --mask my_masks/  your own cel masks, white is cel
  douga reconstruct frame.png --out result --palette studio.toml --tga-line-width 2

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
    add("--weights-cel", default="cel-small", metavar="NAME|FILE", help="stage one (default: %(default)s)")
    add(
        "--weights-lines", default="lines-small", metavar="NAME|FILE", help="stage two (default: %(default)s)"
    )
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--jobs", type=_jobs, metavar="N", help=f"frames cleaned and written side by side (default: {_JOBS})")


_MASKS = "a folder with an image per frame, or one image for all; white is cel"
_TWO_PALETTES = "retas for the TGA, kugler for everything else"
_JOBS = "1 on the CPU, one per core beside an accelerator"


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
    equipment = load_equipment(args)
    console.say(f"device: {equipment.device}")
    session = Session(args, todo, equipment, results, console)
    session.process()
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


def load_equipment(args: argparse.Namespace) -> Equipment:
    """Load the networks that `args` ask for. Raises DeviceError and CheckpointError."""
    from douga.cel import find_cel
    from douga.checkpoint import choose_device, load_network
    from douga.commands.session import Equipment
    from douga.lines import find_lines
    from douga.own_masks import OwnMasks
    from douga.pipeline import Stages

    device = str(choose_device(args.device))
    lines = load_network(args.weights_lines, device)
    weights = {"lines": {"name": str(args.weights_lines), "sha256": lines.sha256}}
    find: Callable[[Frame], CelMask]
    if args.mask is not None:
        find = OwnMasks(args.mask)
    else:
        cel = load_network(args.weights_cel, device)
        weights["cel"] = {"name": str(args.weights_cel), "sha256": cel.sha256}

        def find(frame: Frame) -> CelMask:
            return find_cel(frame, cel)

    return Equipment(Stages(find, lambda frame, mask: find_lines(frame, mask, lines)), device, weights)
