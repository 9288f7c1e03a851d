"""``douga weights``: what came with this installation or was imported; ``import`` for published weights;
``mix`` for what lies between two trainings.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path

from douga.errors import CheckpointError, InputError
from douga.shipped import imported_folder, imported_weights, shipped_weights

EXAMPLES = """\
examples:
  douga weights
  douga weights import birefnet_finetuned_toonout.pth --name toonout --licence MIT --source joelseytre/toonout
  douga weights mix lines-small runs/lines-small/last.safetensors --out between.safetensors
  douga cutout frame.png --out result --model toonout
  douga reconstruct frame.png --out result --weights-lines my-lines.safetensors
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Without an action it lists; weights of one's own are also given to the other commands as files."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    importing = actions.add_parser(
        "import",
        help="read published weights of BiRefNet, ToonOut, IS-Net or anime IS-Net",
        description="Turn a published state dict into weights for `douga cutout`. Every tensor must find its "
        "place; else the file is refused with a list of what is missing or left over.",
    )
    importing.add_argument("file", type=Path, help=".pth, .ckpt or .safetensors, as published")
    importing.add_argument("--name", help="what to call them (default: the file's name)")
    importing.add_argument(
        "--licence", required=True, help="their licence, kept in the file: MIT, Apache-2.0, ..."
    )
    importing.add_argument("--source", required=True, help="where they come from, kept in the file")
    importing.add_argument(
        "--out", type=Path, help=f"file to write (default: NAME.safetensors in {imported_folder()})"
    )
    importing.add_argument("--half", action="store_true", help="keep them as float16: half the size")
    importing.add_argument("--overwrite", action="store_true", help="replace a file of this name")
    importing.add_argument(
        "--isnet-mean",
        type=float,
        choices=(0.0, 0.5),
        help="what an IS-Net's colours (0 to 1) are lowered by: 0.5 in DIS, 0 in anime-segmentation "
        "(default: told from the names in the file)",
    )
    mixing = actions.add_parser(
        "mix",
        help="weights between two trainings, such as half of the old and half of the new",
        description="Average two sets of weights that grew from one another: a training that gained on new "
        "frames and lost on old ones often keeps both half-way. Measure it: douga evaluate.",
    )
    mixing.add_argument("first", help="a name, or a .safetensors file")
    mixing.add_argument("second", help="another of the same stage and network")
    mixing.add_argument(
        "--share", type=float, default=0.5, metavar="S", help="of the second, 0 to 1 (default: 0.5)"
    )
    mixing.add_argument("--out", type=Path, required=True, help="file to write")
    mixing.add_argument("--overwrite", action="store_true", help="replace a file of this name")


def run(args: argparse.Namespace) -> int:
    """List, import a file or mix two. Returns the exit status."""
    if args.action == "import":
        _import(args)
        return 0
    if args.action == "mix":
        _mix(args)
        return 0
    for name, path in (shipped_weights() | imported_weights()).items():
        print(_described(name, path))
    return 0


def _described(name: str, path: Path) -> str:
    """Name, size, hash and place of a file; of weights that others published also licence and source."""
    from douga.checkpoint import read_info

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        info = read_info(path)[0]
    except CheckpointError as error:
        told = [str(error)]
    else:
        given = (("licence", info.licence), ("source", info.source))
        told = [f"{what} {said}" for what, said in given if said]
    return "  ".join([f"{name:14} {path.stat().st_size / 1e6:6.1f} MB", f"sha256 {digest}", str(path), *told])


def _import(args: argparse.Namespace) -> None:
    from douga import __version__
    from douga.checkpoint import WeightsInfo, save_tensors
    from douga.published import read_published

    name = args.name or args.file.stem
    out = _target(name, args.out, overwrite=args.overwrite)
    found = read_published(args.file, isnet_mean=args.isnet_mean)
    info = WeightsInfo(
        stage="masks" if found.kind == "isnet-masks" else "cutout",
        config=found.config,
        input_mode="color",
        step=0,
        version=__version__,
        kind=found.kind,
        licence=args.licence,
        source=args.source,
    )
    save_tensors(out, found.tensors, info, half=args.half)
    print(f"{len(found.tensors)} tensors of a network of kind {found.kind}: {found.config}")
    if found.left_behind:
        print(f"left behind: {found.left_behind} tensors of the encoder of masks, which only training needs")
    print(_described(out.stem, out))


def _mix(args: argparse.Namespace) -> None:
    from douga.checkpoint import save_tensors
    from douga.mixing import mix_weights

    out = _target(args.out.stem, args.out, overwrite=args.overwrite)
    tensors, info = mix_weights(args.first, args.second, args.share)
    save_tensors(out, tensors, info)
    print(f"{' and '.join(info.recipe['mixed'])}: stage {info.stage}")
    print(_described(out.stem, out))


def _target(name: str, out: Path | None, *, overwrite: bool) -> Path:
    """The file to write. Raises InputError where the name is taken or cannot be a name."""
    if out is None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise InputError(f"--name {name}: use letters, digits, dots, dashes and underscores")
        if name in shipped_weights():
            raise InputError(
                f"--name {name}: the weights that came with Douga are called so; choose another name"
            )
        out = imported_folder() / f"{name}.safetensors"
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: what is written is a .safetensors file; name it so")
    if out.exists() and not overwrite:
        raise InputError(f"{out}: is there already; give --overwrite, another --name or --out")
    return out
