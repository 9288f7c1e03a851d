"""Masks as stage one finds them, beside the true ones: stage two then learns from the errors that it will
meet, and stage one from those that it makes. See `--help`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from douga.errors import DougaError, InputError
from douga_training.bench.arguments import use_threads
from douga_training.raw_cache import FOUND
from douga_training.simulate.store import BROADCAST, is_written, png_bytes, stems, write_whole

EXAMPLES = """\
examples:
  python -m douga_training.found_masks data/train
      writes data/train/found_mask/ and data/train/broadcast/found_mask/; run it again to go on
  python -m douga.train training/recipes/lines-small.toml --data data/train --found_masks 0.6
      six in ten of the folder's frames are then shown to stage two with these masks
  python -m douga.train training/recipes/cel-small.toml --data data/train --init_from cel-small --hard 0.67
      stage one learns from what it got wrong: two thirds of its samples are of such frames

Use frames that these weights were not trained on: on those stage one errs less than it will in use. A frame
that is newer than its mask gets a new one. What a training learns from changes with the masks, so find them
before it begins.
"""
_BY = "found_by.json"  # which weights the masks are of


def main(argv: Sequence[str] | None = None) -> int:
    """Let stage one find the cel in every frame of the folders. Returns the exit status."""
    args = parser().parse_args(argv)
    try:
        _find(args)
    except DougaError as error:
        print(f"found_masks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("found_masks: stopped; the same command without --overwrite goes on", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m douga_training.found_masks",
        description="Write the cel masks that stage one finds beside the true ones, to train both stages.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folders", nargs="+", type=Path, metavar="DIR", help="folders in the layout of `douga simulate`")
    add("--cel", default="cel-small", metavar="NAME|FILE", help="stage one (default: %(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")
    add("--threads", type=int, default=2, metavar="N", help="processor threads (default: %(default)s)")
    add("--overwrite", action="store_true", help="find all of them again")
    return parser


def _find(args: argparse.Namespace) -> None:
    from douga.cel import find_cel
    from douga.checkpoint import choose_device, load_network
    from douga.frame_io import read_frame

    use_threads(args.threads)
    device = str(choose_device(args.device))
    network = load_network(args.cel, device)
    for folder in args.folders:
        _sign(folder, network.sha256, overwrite=args.overwrite)
    asked = [
        (source, target)
        for folder in args.folders
        for source, target in _frames(folder)
        if args.overwrite or not _is_current(target, source)
    ]
    print(f"{args.cel} on {device}, {len(asked)} masks to find")
    for source, target in tqdm(asked, desc="stage one", unit="frame", disable=None):
        write_whole(target, png_bytes(find_cel(read_frame(source), network).mask))
    print(f"{len(asked)} masks found")


def _frames(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Each frame and twin of a folder, and where its mask goes."""
    for stem in stems(folder):
        for root in (folder, folder / BROADCAST):
            if is_written(root, stem):
                yield root / "frame" / f"{stem}.png", root / FOUND / f"{stem}.png"


def _is_current(mask: Path, frame: Path) -> bool:
    return mask.is_file() and mask.stat().st_mtime_ns >= frame.stat().st_mtime_ns


def _sign(folder: Path, sha256: str, *, overwrite: bool) -> None:
    """Write down whose masks these are; those of other weights are removed where they may be.

    Raises InputError where the folder has those of other weights and they may not.
    """
    path = folder / FOUND / _BY
    if path.is_file() and json.loads(path.read_text("utf-8")).get("sha256") != sha256:
        if not overwrite:
            raise InputError(
                f"{folder / FOUND}: has masks of other weights; give --overwrite to find all anew"
            )
        for root in (folder, folder / BROADCAST):
            for mask in (root / FOUND).glob("*.png"):
                mask.unlink()
    write_whole(path, json.dumps({"sha256": sha256}).encode())


if __name__ == "__main__":
    raise SystemExit(main())
