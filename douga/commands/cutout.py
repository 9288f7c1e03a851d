"""``douga cutout``: frames in, characters with soft alpha out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from douga.commands.frames import (
    add_input_arguments,
    add_machine_arguments,
    add_server_arguments,
    run_frames,
)
from douga.errors import InputError
from douga.shipped import CUTOUT_WEIGHTS

if TYPE_CHECKING:  # torch, OpenCV and numpy are loaded when there is work to do, not for --help
    from douga.cutout_results import Background, CutoutFolder

EXAMPLES = """\
examples:
  douga cutout frame.png --out result
  douga cutout shots/s01/ --out result/s01 --stabilise          a sequence, without flicker
  douga cutout episode.mp4 --out result --frames 101-200
  douga cutout frame.png --out result --background '#00b140'    see it over a colour, or over a picture
  douga cutout frame.png --out result --depth 16 --exr          for compositing
  douga cutout frame.png --out result --premultiplied           for programs that want it so
  douga cutout frame.png --out result --model toonout         imported by `douga weights import`
  douga cutout frame.png --out result --model cel-small         stage one's hard mask: no soft edge

For each frame NAME it writes into --out:
  cutout/NAME.png     RGBA, straight alpha, the background's colour taken out of the edge
  alpha/NAME.png      the alpha alone, grey
and manifest.json, which tells how they were made. On request:
  premultiplied/NAME.png   RGBA, colours times alpha
  preview/NAME.png         laid over the background that you name
  exr/NAME.exr             RGBA of half floats, linear light, premultiplied, as the format has it

Straight or premultiplied? A PNG is straight by its own rules, so take cutout/ unless your program asks for
the other. A dark or light rim after import means that it took the one for the other.

Frames whose results are all there are skipped, so that the same command goes on where it was stopped.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    add_input_arguments(parser)
    parser.add_argument("--stabilise", action="store_true", help=_STABILISE)

    add = parser.add_argument_group("what it looks like").add_argument
    add("--premultiplied", action="store_true", help="write premultiplied/ as well")
    add("--background", metavar="COLOR|FILE", help="write preview/ over a colour (red, #00b140) or an image")
    add("--depth", type=int, choices=(8, 16), default=8, help=_DEPTH)
    add("--exr", action="store_true", help=_EXR)

    machine = parser.add_argument_group("what it runs on")
    machine.add_argument("--model", metavar="NAME|FILE", help=_MODEL)
    add_machine_arguments(machine)

    where = parser.add_argument_group("where the work is done", "Here, without any of these.")
    add_server_arguments(where)


_DEPTH = "bits a channel of PNGs but previews (default: 8); opaque paint keeps the frame's 8"
_EXR = "write exr/ as well: alphas and colours at edges in half floats, opaque paint as the frame has it"
_STABILISE = "of a numbered sequence or a video: alpha flickers no more where frames stand still"
_MODEL = (
    f"weights (default: those imported last, else {CUTOUT_WEIGHTS}; a server's own); cel-small gives stage "
    "one's hard mask"
)


def run(args: argparse.Namespace) -> int:
    """Cut out what `args` name.

    Returns 0, or 1 when some frames failed, or 2 when all did. Raises DougaError when nothing can be done,
    OutputError when results cannot be written.
    """
    from douga.commands.cutout_equipment import load_cutout_equipment

    results = _result_folder(args)
    for warning in results.background.warnings if results.background else ():
        print(f"note: {warning}", file=sys.stderr)
    behind = [Path(args.background)] if results.background and results.background.sha256 else []
    return run_frames(
        args, results, lambda: load_cutout_equipment(args), "cutout", _settings(args, results),
        lambda: _named_weights(args), beside=behind,
    )  # fmt: skip


def _named_weights(args: argparse.Namespace) -> dict[str, str]:
    """Of the network here; none where a server chooses."""
    from douga.cutout_weights import default_model

    return {} if args.server is not None else {"cutout": args.model or default_model()}


def _result_folder(args: argparse.Namespace) -> CutoutFolder:
    from douga.cutout_results import CutoutFolder

    return CutoutFolder(
        args.out,
        depth=args.depth,
        premultiplied=args.premultiplied,
        exr=args.exr,
        background=None if args.background is None else _background(args.background),
        overwrite=args.overwrite,
    )


def _background(text: str) -> Background:
    """A file where there is one of that name, else a colour. Raises InputError."""
    from PIL import ImageColor

    from douga.cutout_results import Background

    if text and Path(text).exists():
        return Background.of_file(Path(text))
    try:
        red, green, blue, *alpha = ImageColor.getrgb(text)
        if alpha and alpha != [255]:
            raise InputError(
                f"--background {text}: a preview is laid over something opaque; leave the alpha out"
            )
    except ValueError as exc:
        raise InputError(
            f"--background {text}: no such file, and no colour; write red, #00b140 or the name of an image"
        ) from exc
    return Background.of_colour((red, green, blue))


def _settings(args: argparse.Namespace, results: CutoutFolder) -> dict[str, Any]:
    """What decides how results look, as the manifest records it."""
    return {
        "stabilise": args.stabilise,
        "depth": args.depth,
        "premultiplied": args.premultiplied,
        "background": args.background,
        "background_sha256": results.background.sha256 if results.background else None,
        "exr": args.exr,
    }
