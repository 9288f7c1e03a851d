"""``douga reconstruct``: frames in, the folders of the README's table out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from douga.commands.frames import (
    add_input_arguments,
    add_machine_arguments,
    add_server_arguments,
    jobs,
    run_frames,
    whole_number,
)
from douga.shipped import CEL_WEIGHTS, LINES_WEIGHTS

if TYPE_CHECKING:  # torch, OpenCV and numpy are loaded when there is work to do, not for --help
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
    add_input_arguments(parser)
    add = parser.add_argument
    add("--mask", type=Path, metavar="PATH", help=f"your own cel masks instead of stage one: {_MASKS}")

    add = parser.add_argument_group("what it looks like").add_argument
    add("--palette", metavar="NAME|FILE", help=f"kugler, retas or a TOML file (default: {_TWO_PALETTES})")
    add("--line-width", type=_line_width, default=3, metavar="PX", help="of all lines (default: 3)")
    add("--tga-line-width", type=_line_width, default=1, metavar="PX", help="in the TGA (default: 1)")
    add("--layers", choices=("ora", "none"), default="ora", help="layered file (default: ora)")

    machine = parser.add_argument_group("what it runs on")
    add = machine.add_argument
    add("--weights-cel", metavar="NAME|FILE", help=f"stage one (default: {CEL_WEIGHTS}; a server's own)")
    add("--weights-lines", metavar="NAME|FILE", help=f"stage two (default: {LINES_WEIGHTS}; a server's own)")
    add_machine_arguments(machine)

    where = parser.add_argument_group(
        "where the work is done", "Here, without any of these. The files are the same wherever it is done."
    )
    add_server_arguments(where)
    where.add_argument("--backend", choices=("local", "ray"), default="local", help=_BACKEND)
    where.add_argument("--ray-address", metavar="ADDRESS", help="of a Ray cluster, HOST:PORT or auto")
    where.add_argument("--replicas", type=jobs, metavar="N", help=f"workers (default: {_WORKERS})")


_BACKEND = "ray: spread the frames over a Ray cluster, or over this machine without --ray-address"
_WORKERS = "one a GPU, or one a machine without any"
_MASKS = "a folder with an image per frame, or one image for all; white is cel"
_TWO_PALETTES = "retas for the TGA, kugler for everything else"


def run(args: argparse.Namespace) -> int:
    """Reconstruct what `args` name.

    Returns 0, or 1 when some frames failed, or 2 when all did. Raises DougaError when nothing can be done,
    OutputError when results cannot be written.
    """
    from douga.commands.equipment import check_where, load_equipment
    from douga.own_masks import OwnMasks

    check_where(args)
    masks = None if args.mask is None else OwnMasks(args.mask)
    if masks is not None:
        masks.check()
    results = _result_folder(args)
    settings = _settings(args, results)
    return run_frames(
        args, results, lambda: load_equipment(args, results.settings), "reconstruct", settings,
        lambda: _named_weights(args), masks,
    )  # fmt: skip


def _named_weights(args: argparse.Namespace) -> dict[str, str]:
    """By stage; none where a server chooses."""
    if args.server is not None:
        return {}
    lines = {"lines": args.weights_lines or LINES_WEIGHTS}
    return lines if args.mask is not None else {"cel": args.weights_cel or CEL_WEIGHTS} | lines


def _result_folder(args: argparse.Namespace) -> ResultFolder:
    from douga.palettes import load_palette
    from douga.pipeline import Settings
    from douga.results import ResultFolder

    settings = Settings(load_palette(args.palette or "kugler"), args.line_width)
    return ResultFolder(
        args.out,
        settings,
        trace_palette=load_palette(args.palette or "retas"),
        tga_line_width_px=args.tga_line_width,
        layered=args.layers == "ora",
        overwrite=args.overwrite,
    )


def _settings(args: argparse.Namespace, results: ResultFolder) -> dict[str, Any]:
    """What decides how results look, as the manifest records it."""
    return {
        "palette": results.settings.palette.label,
        "tga_palette": results.trace_palette.label,
        "line_width_px": results.settings.line_width_px,
        "tga_line_width_px": results.tga_line_width_px,
        "layers": args.layers,
        "own_masks": None if args.mask is None else str(args.mask),
    }


def _line_width(text: str) -> int:
    return whole_number(text, 1, 15)
