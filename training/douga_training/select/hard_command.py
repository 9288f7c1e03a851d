"""``douga select --hard``: pictures in; those out that the cutout weights do badly on, in im/ and gt/."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from douga.alpha import find_alpha
from douga.atomic import write_png, write_text
from douga.checkpoint import LoadedNetwork
from douga.cutout_weights import default_model, load_cutout_network
from douga.errors import InputError, MissingInputError, OutputError
from douga.frame_io import Sources, open_sources, pictures_named, read_frame
from douga.results import prepare_folder
from douga.types import U8, Frame
from douga_training.pairs import ALPHAS, IMAGES
from douga_training.select.command import refuse_own_input
from douga_training.select.contact_sheet import Tile, contact_sheet, thumbnail
from douga_training.select.hard import EASY, EASY_SHARE, WELL, against_truth, certainty, hard_first

SELECTION, SHEET = "selection.csv", "contact_sheet.png"
COLUMNS = ("rank", "input", "frame", "score", "why")


@dataclass(frozen=True)
class _Asked:
    """A picture and how well it was cut out. truth: the file of its alpha, None where there is none."""

    name: str
    path: Path
    truth: Path | None
    score: float


def run(args: argparse.Namespace) -> int:
    """Choose pictures and write them. Returns the exit status, 1 where some could not be read.

    Raises InputError where nothing is hard or only some pictures have alphas, OutputError where the selection
    cannot be written or one is there already, CheckpointError and DeviceError where the model is the trouble.
    """
    if (args.out / SELECTION).exists() and not args.overwrite:
        raise OutputError(
            f"{args.out / SELECTION}: a selection is there already; choose another --out, or --overwrite "
            "makes it anew"
        )
    refuse_own_input(args.out / IMAGES, args.inputs)
    prepare_folder(args.out, [args.out / IMAGES, args.out / ALPHAS])
    former = {path.stem for path in (args.out / IMAGES).glob("[!.]*.png")}
    sources = open_sources([Path(given) for given in args.inputs])
    for note in sources.notes:
        _say(f"note: {note}")
    network = load_cutout_network(args.model or default_model(), args.device or "auto")
    _say(f"device: {network.device}")
    failed: list[str] = []
    asked = _ask(sources, network, failed)
    well = WELL if args.well is None else args.well
    easy = EASY_SHARE if args.easy is None else args.easy
    chosen = [
        (asked[i], why) for i, why in hard_first([a.score for a in asked], args.count, well=well, easy=easy)
    ]
    if not chosen:
        raise MissingInputError(
            f"{', '.join(args.inputs)}: the weights do well on all of {len(asked)} pictures; give others, or "
            f"a --well above {well}"
        )
    _write(args.out, chosen, sources)
    left = len(former - {asked.name for asked, _ in chosen})
    if left:
        _say(f"note: {args.out / IMAGES}: {left} pictures from before are left; training takes them too")
    easy_ones = sum(why == EASY for _, why in chosen)
    print(
        f"{len(chosen)} chosen of {len(asked)} pictures, {easy_ones} of them easy; look at {args.out / SHEET}"
    )
    return 1 if failed else 0


def _ask(sources: Sources, network: LoadedNetwork, failed: list[str]) -> list[_Asked]:
    """Cut out every picture; those that cannot be read are told and left out."""
    _check_truths(sources)
    asked = []
    for source in tqdm(sources, "asking", sources.count, unit="picture", file=sys.stderr, disable=None):
        try:
            truth = _truth_of(source.path)
            found = find_alpha(source.read(), network).values
            score = (
                certainty(found) if truth is None else against_truth(found, _grey(read_frame(truth), truth))
            )
        except InputError as exc:
            failed.append(source.name)
            _say(f"douga: {exc}")
            continue
        asked.append(_Asked(source.name, source.path, truth, score))
    return asked


def _check_truths(sources: Sources) -> None:
    """Raises InputError where some pictures have an alpha and others none."""
    truths = {path: _truth_of(path) for path in sources.paths}
    lacking = [path for path, truth in truths.items() if truth is None]
    if lacking and len(lacking) < len(truths):
        raise InputError(
            f"{lacking[0]}: has no alpha in {ALPHAS}/ and {len(truths) - len(lacking)} others have; "
            "scores with and without a truth cannot be compared, select among either alone"
        )


def _truth_of(path: Path) -> Path | None:
    """gt/NAME.* beside an im/ that the picture lies in."""
    if path.parent.name != IMAGES:
        return None
    return next(iter(pictures_named(path.parent.parent / ALPHAS, path.stem)), None)


def _told(frame: Frame, name: str) -> Frame:
    """The frame, once people know what reading has changed of it: training will see it like that."""
    for warning in frame.warnings:
        _say(f"note: {name}: {warning}")
    return frame


def _grey(alpha: Frame, path: Path) -> U8:
    """(H, W) uint8. Raises InputError for a picture in colour."""
    if (alpha.rgb[..., :1] != alpha.rgb[..., 1:]).any():
        raise InputError(f"{path}: expected a grey picture, white is opaque, got one in colour")
    return alpha.rgb[..., 0]


def _write(out: Path, chosen: list[tuple[_Asked, str]], sources: Sources) -> None:
    """Pictures first and the list last, so that a list means that all is there. Raises OutputError."""
    wanted, tiles = {asked.name: (rank, asked, why) for rank, (asked, why) in enumerate(chosen, 1)}, {}
    for source in sources:
        if source.name not in wanted:
            continue
        rank, asked, why = wanted[source.name]
        frame = _told(source.read(), asked.name)
        write_png(out / IMAGES / f"{asked.name}.png", frame.rgb)
        if asked.truth is not None:
            alpha = _told(read_frame(asked.truth), f"{ALPHAS}/{asked.truth.name}")
            write_png(out / ALPHAS / f"{asked.name}.png", _grey(alpha, asked.truth))
        tiles[rank] = Tile(thumbnail(frame.rgb), f"{rank}  {asked.score:.3f}  {why}", asked.name)
    write_png(out / SHEET, contact_sheet([tiles[rank] for rank in sorted(tiles)]))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for rank, asked, why in wanted.values():
        table.writerow((rank, asked.path, asked.name, f"{asked.score:.4f}", why))
    write_text(out / SELECTION, text.getvalue())


def _say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)
