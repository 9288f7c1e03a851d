"""``douga label``: a studio's colour-coded drawings, frames and masks -> a folder to train from."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from douga.classes import NUM_CLASSES, DougaClass
from douga.errors import InputError, MissingInputError

if TYPE_CHECKING:
    from douga.frame_io import FrameSource
    from douga.palettes import Palette
    from douga.types import U8, Frame

EXAMPLES = """\
examples:
  douga label douga/ --palette studio.toml --out studio
      drawings alone, beside the frames that `douga select --out studio` left in studio/frame
  douga label douga/ --palette studio.toml --frames shots/ --masks masks/ --out studio
      all of a folder to train from
  douga label A0001.tga --palette retas --out try

A drawing is named like its frame and has its size. It is read in the palette's colours, antialiased or not;
transparent is white. Then look at classes/NAME.png: its colours are Kugler's, whatever the studio's are.

It writes, for every drawing NAME:
  classes/NAME.png     class ids, indexed
  frame/NAME.png       with --frames
  cel_mask/NAME.png    with --masks, white is cel

which is what `python -m douga.train` and `douga evaluate` read. See docs/studio.md.

exit status: 0 all done; 1 some drawings failed, the others are complete; 2 nothing to do, or bad input
"""
_UNKNOWN_RGB = 40.0  # an even area so far from each colour of the palette is none of them
_UNKNOWN_SHARE = 0.005  # so much of a drawing may be: paper's dirt, a stamp


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="DRAWINGS", help="colour-coded drawings, or folders of them")
    add("--palette", required=True, metavar="NAME|FILE", help="their colours: kugler, retas or a TOML file")
    add("--out", required=True, type=Path, metavar="DIR", help="folder to train from")
    add("--frames", type=Path, metavar="PATH", help="folder of finished frames, named like the drawings")
    add("--masks", type=Path, metavar="PATH", help="folder of cel masks, named alike; white is cel")
    add("--overwrite", action="store_true", help="write again what is there already")


@dataclass
class _Tally:
    """Pixels of each class in all drawings, and how the drawings ended."""

    pixels: list[int] = field(default_factory=lambda: [0] * NUM_CLASSES)
    done: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Labels:
    """What is written of one drawing. ids: (H, W) uint8. mask: (H, W) uint8, 0 or 255. rgb: (H, W, 3) uint8.

    mask, rgb: None where they were not given. notes: what the user should be told.
    """

    ids: U8
    mask: U8 | None
    rgb: U8 | None
    notes: tuple[str, ...]


def run(args: argparse.Namespace) -> int:
    """Label what the arguments name. Returns the exit status.

    Raises MissingInputError where there is no drawing, PaletteError, and OutputError where a file cannot be
    written.
    """
    from tqdm import tqdm

    from douga.frame_io import open_sources
    from douga.palettes import load_palette

    palette = load_palette(args.palette)
    drawings = open_sources([Path(given) for given in args.inputs])
    for note in drawings.notes:
        _say(f"note: {note}")
    tally = _Tally()
    for source in tqdm(drawings, "labelling", drawings.count, unit="drawing", file=sys.stderr, disable=None):
        if not args.overwrite and all(path.exists() for path in _targets(args, source.name).values()):
            tally.skipped += 1
            continue
        try:
            labels = read_labels(source, palette, args)
            if not args.overwrite:
                _refuse_others(args.out, source.name, labels)
        except InputError as exc:
            tally.failed.append(source.name)
            _say(f"douga: {exc}")
            continue
        for note in labels.notes:
            _say(f"note: {note}")
        _write(_targets(args, source.name), labels)
        tally.done += 1
        for number, count in enumerate(np.bincount(labels.ids.ravel(), minlength=NUM_CLASSES)):
            tally.pixels[number] += int(count)
    return _conclude(args, tally)


def read_labels(source: FrameSource, palette: Palette, args: argparse.Namespace) -> Labels:
    """Read a drawing with its frame and mask and see that they fit together. Raises InputError.

    Always by colour, never by the index of an indexed file: paint programs sort their indices anew.
    """
    from douga.frame_io import read_frame
    from douga.own_masks import OwnMasks
    from douga.palettes import read_drawing
    from douga.types import Frame

    path, name = source.path, source.name
    drawing = source.read()
    ids = read_drawing(drawing.rgb, palette).ids
    notes = (*(f"{path}: {warning}" for warning in drawing.warnings), *_unknown_colours(drawing, palette))
    there = args.out / "frame" / f"{name}.png"
    found = there if there.exists() else None
    if args.frames is not None:
        found = _named_like(name, args.frames)
    frame = None if found is None else read_frame(found, name=name)
    if frame is not None and frame.size_hw != ids.shape:
        raise InputError(
            f"{path}: the drawing is {ids.shape[1]} x {ids.shape[0]} px but its frame {found} is "
            f"{frame.size_hw[1]} x {frame.size_hw[0]} px; cut or scale the drawing to what the frame shows"
        )
    mask = None
    if args.masks is not None:
        sized = frame or Frame(np.zeros((*ids.shape, 3), np.uint8), name)
        mask = OwnMasks(args.masks)(sized).mask
    if frame is None or args.frames is None:
        return Labels(ids, mask, None, notes)
    return Labels(ids, mask, frame.rgb, (*notes, *(f"{found}: {warning}" for warning in frame.warnings)))


def _unknown_colours(drawing: Frame, palette: Palette) -> tuple[str, ...]:
    """A note where areas have colours that the palette does not know: mostly the wrong palette."""
    rgb = drawing.rgb
    near = np.ones((3, 3), np.uint8)
    even = (cv2.dilate(rgb, near) == cv2.erode(rgb, near)).all(
        2
    )  # softened borders blend colours; areas do not
    colours, counts = np.unique(rgb[even], axis=0, return_counts=True)  # (N, 3), (N,)
    known = np.array([colour for choices in palette.colours for colour in choices], np.float32)  # (K, 3)
    nearest = np.full(len(colours), np.inf, np.float32)
    for colour in known:
        nearest = np.minimum(nearest, np.linalg.norm(colours - colour, axis=1))
    strange = nearest > _UNKNOWN_RGB
    if not strange.any() or counts[strange].sum() <= _UNKNOWN_SHARE * rgb[..., 0].size:
        return ()
    worst = colours[strange][counts[strange].argmax()]
    share = counts[strange].sum() / rgb[..., 0].size
    return (
        f"{drawing.name}: {share:.1%} of it has colours that palette {palette.name} does not know, most of "
        f"all #{bytes(worst).hex()}; the nearest was taken, look at its classes and at --palette",
    )


def _named_like(name: str, folder: Path) -> Path:
    """The picture of this name, whatever its suffix. Raises MissingInputError."""
    from douga.frame_io import pictures_named

    found = pictures_named(folder, name)
    if not found:
        raise MissingInputError(f"{folder}: no frame for the drawing {name}; expected {folder / name}.png")
    if len(found) > 1:
        raise InputError(
            f"{folder}: {' and '.join(path.name for path in found)} could both be the frame of the drawing "
            f"{name}; keep one of them there"
        )
    return found[0]


def _refuse_others(out: Path, name: str, labels: Labels) -> None:
    """Raises InputError where the folder holds other pictures for a drawing than those that were read."""
    from douga_training.simulate.store import read_image

    for kind, image in (("classes", labels.ids), ("cel_mask", labels.mask), ("frame", labels.rgb)):
        path = out / kind / f"{name}.png"
        if image is not None and path.exists() and not np.array_equal(read_image(out, kind, name), image):
            raise InputError(
                f"{path}: is not what was read for {name} now; --overwrite writes it anew, or move it away"
            )


def _targets(args: argparse.Namespace, name: str) -> dict[str, Path]:
    """Path by kind; the frame is last, so that a frame means that all of it is there."""
    kinds = ["classes"]
    kinds += ["cel_mask"] if args.masks is not None else []
    kinds += ["frame"] if args.frames is not None else []
    return {kind: args.out / kind / f"{name}.png" for kind in kinds}


def _write(targets: dict[str, Path], labels: Labels) -> None:
    """Each file whole or not at all. Raises OutputError."""
    from douga.atomic import write_png
    from douga.palettes import load_palette

    for kind, path in targets.items():
        if kind == "classes":
            write_png(path, labels.ids, palette=load_palette("kugler").written)
        else:
            image = labels.mask if kind == "cel_mask" else labels.rgb
            assert image is not None
            write_png(path, image)


def _conclude(args: argparse.Namespace, tally: _Tally) -> int:
    """Print what was read of each class and what training still lacks. Returns the exit status."""
    total = sum(tally.pixels)
    for number, count in enumerate(tally.pixels):
        if total:
            print(f"  {DougaClass(number).title:15} {100 * count / total:6.2f} %")
    counts = [f"{tally.done} labelled"]
    counts += [f"{tally.skipped} skipped because they were there"] if tally.skipped else []
    counts += [f"{len(tally.failed)} failed: {', '.join(tally.failed[:10])}"] if tally.failed else []
    print(f"{args.out}: {'; '.join(counts)}")
    for kind in ("classes", "cel_mask"):
        lacking = sorted(_stems(args.out, "frame") - _stems(args.out, kind))
        if lacking:
            _say(
                f"note: {args.out / kind}: nothing for {len(lacking)} frames ({', '.join(lacking[:3])}"
                f"{', ...' if len(lacking) > 3 else ''}); training needs it, or move those frames away"
            )
    frameless = _stems(args.out, "classes") - _stems(args.out, "frame")
    if frameless:
        _say(f"note: {args.out / 'frame'}: {len(frameless)} drawings have no frame there; give --frames")
    if not tally.failed:
        return 0
    return 1 if tally.done + tally.skipped else 2


def _stems(folder: Path, kind: str) -> set[str]:
    return {path.stem for path in (folder / kind).glob("[!.]*.png")}


def _say(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)
