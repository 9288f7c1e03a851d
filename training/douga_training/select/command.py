"""``douga select``: many frames in; those that are worth labelling next out, in order (Kugler, 4.1)."""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from douga.commands.frames import INPUTS
from douga.errors import InputError, MissingInputError, OutputError
from douga.shipped import CEL_WEIGHTS, LINES_WEIGHTS

if TYPE_CHECKING:  # OpenCV, torch and weights are loaded when there is work to do, not for --help
    from douga.frame_io import FrameSource, Sources
    from douga.pipeline import Stages
    from douga.types import U8
    from douga_training.select.choose import Candidate, Doubt

EXAMPLES = """\
examples:
  douga select shots/*/ --out to_label                the pictures of each of these folders
  douga select episode.mp4 --out to_label --count 40
  douga select shots/*/ --out first --no-model        varied frames only: fast, and before there is a model
  douga select shots/*/ --out round2 --labelled first/frame --weights-lines runs/studio/best.safetensors
      the next round: nothing like the frames that have labels already, by the model they taught
  douga select studio/train/im --hard --out hard      for cutouts: what the weights do badly on (ToonOut)

How it chooses (Kugler, 4.1): k-means on edge images finds groups of frames that look alike; the frame in the
middle of each stands for it. There are three times as many groups as frames are wanted, and the model is
asked about each: half of the choice are the frames that it is least certain of (they teach most), half those
that it is most certain of (their labels need least correction), by turns. A held drawing is chosen once.

It writes:
  selection.csv       rank, input, frame, cluster, entropy in bits (0 certain, 3.3 no idea), why
  contact_sheet.png   all of them to look at
  frame/NAME.png      the frames; draw cel_mask/NAME.png and classes/NAME.png beside them, see docs/studio.md

With --hard it writes im/NAME.png, and gt/NAME.png of those pictures that have one, and selection.csv has a
score; see docs/cutout.md.

exit status: 0 chosen; 1 chosen, but some frames could not be read; 2 nothing to choose from, or bad input
"""
SELECTION, SHEET, FRAMES = "selection.csv", "contact_sheet.png", "frame"
COLUMNS = ("rank", "input", "frame", "cluster", "entropy", "why")
_POOL = 3  # groups for each frame that is wanted: a choice, but few enough to ask the model about each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="FRAMES", help=INPUTS)
    add("--out", required=True, type=Path, metavar="DIR", help="folder for the selection")
    add("--count", type=_count, default=24, metavar="N", help="how many frames to choose (default: 24)")
    add("--labelled", action="append", default=[], metavar="PATH", help=_LABELLED)
    add("--same", type=_share, metavar="SHARE", help=_SAME)
    add("--no-model", action="store_true", help="by variety alone, without the networks")
    add("--overwrite", action="store_true", help="choose again where a selection is there already")
    add = parser.add_argument_group("the model that is asked").add_argument
    add("--weights-cel", metavar="NAME|FILE", help=f"stage one (default: {CEL_WEIGHTS})")
    add("--weights-lines", metavar="NAME|FILE", help=f"stage two (default: {LINES_WEIGHTS})")
    add("--device", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add = parser.add_argument_group("pictures to train cutouts on").add_argument
    add("--hard", action="store_true", help="those that cutout weights do badly on, the worst first")
    add("--easy", type=_share, metavar="SHARE", help="at most so many on which they do well (default: 0.2)")
    add("--well", type=_share, metavar="SCORE", help="the score from which on they do well (default: 0.97)")
    add("--model", metavar="NAME|FILE", help="the cutout weights (default: as `douga cutout`)")


_LABELLED = "frames that have labels already: nothing that looks like them is chosen; may be given again"
_SAME = "frames that differ in less than this share of their edges are one drawing, 0 to 1 (default: 0.2)"


@dataclass
class Survey:
    """The distinct drawings among the input, in order.

    names, paths, edges: of each. held: frames that only repeat one. failed: frames that could not be read.
    """

    names: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    edges: list[U8] = field(default_factory=list)
    held: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """One line of selection.csv. entropy: in bits, None where no model was asked."""

    rank: int
    path: Path
    name: str
    candidate: Candidate
    entropy: float | None
    why: str


def run(args: argparse.Namespace) -> int:
    """Choose frames and write them. Returns the exit status.

    Raises InputError where there is nothing to choose from, OutputError where the selection cannot be
    written or one is there already, CheckpointError and DeviceError where the model is the trouble.
    """
    from douga.frame_io import open_sources
    from douga_training.select.choose import representatives
    from douga_training.select.edges import SAME_DRAWING

    _check_hard_options(args)
    if args.hard:
        from douga_training.select import hard_command

        return hard_command.run(args)
    _check_model_options(args)
    same = SAME_DRAWING if args.same is None else args.same
    sources = open_sources([Path(given) for given in args.inputs])
    labelled = open_sources([Path(given) for given in args.labelled]) if args.labelled else None
    for note in (*sources.notes, *(labelled.notes if labelled else ())):
        _say(f"note: {note}")
    former = _prepare(args.out, args.inputs, overwrite=args.overwrite)
    stages = None if args.no_model else _load(args)
    survey = look_through(sources, labelled, same)
    if not survey.names:
        known = ", or all of them look like frames that have labels" if labelled else ""
        raise MissingInputError(f"{', '.join(args.inputs)}: no frame could be used{known}")
    pool = representatives(survey.edges, args.count * (1 if stages is None else _POOL), same)
    choices = _choose(survey, pool, args.count, sources, stages)
    _write(args.out, choices, sources, survey.failed)
    _conclude(args, survey, choices, former)
    return 1 if survey.failed else 0


def look_through(sources: Sources, labelled: Sources | None, same: float) -> Survey:
    """Take the edge images of all frames and leave out held drawings and those that have labels."""
    from douga_training.select.edges import COMPARED, Distinct, edge_image

    survey, seen = Survey(), Distinct(same, None if labelled else COMPARED)
    if labelled is not None:
        for source in _with_bar(labelled, labelled.count, "labelled"):
            seen.add(edge_image(source.read().rgb))
    for source in _with_bar(sources, sources.count, "looking"):
        try:
            edges = edge_image(source.read().rgb)
        except InputError as exc:
            _failed(survey.failed, source.name, exc)
            continue
        if not seen.is_new(edges):
            survey.held += 1
            continue
        seen.add(edges)
        survey.names.append(source.name)
        survey.paths.append(source.path)
        survey.edges.append(edges)
    return survey


def _choose(
    survey: Survey, pool: list[Candidate], count: int, sources: Sources, stages: Stages | None
) -> list[Choice]:
    """By variety where there are no stages, otherwise by what they are certain of."""
    from douga_training.select.choose import VARIETY, by_doubt

    def choice(rank: int, candidate: Candidate, entropy: float | None, why: str) -> Choice:
        at = candidate.index
        return Choice(rank, survey.paths[at], survey.names[at], candidate, entropy, why)

    if stages is None:
        return [choice(rank, candidate, None, VARIETY) for rank, candidate in enumerate(pool[:count], 1)]
    by_name = {survey.names[candidate.index]: candidate for candidate in pool}
    doubts = _ask(stages, sources, by_name, survey.failed)
    names = [name for name in by_name if name in doubts]
    ranked = by_doubt([doubts[name] for name in names], count)
    return [
        choice(rank, by_name[names[i]], doubts[names[i]].entropy, why)
        for rank, (i, why) in enumerate(ranked, 1)
    ]


def _ask(stages: Stages, sources: Sources, wanted: Iterable[str], failed: list[str]) -> dict[str, Doubt]:
    """What the model thinks of the frames of these names; those that fail are told and left out."""
    from douga.pipeline import see
    from douga_training.select.choose import doubt_of

    doubts: dict[str, Doubt] = {}
    wanted = set(wanted)
    for source in _with_bar(_named(sources, wanted), len(wanted), "asking the model"):
        try:
            seen = see(source.read(), stages)
            doubts[source.name] = doubt_of(seen.probabilities, seen.cel_mask)
        except InputError as exc:
            _failed(failed, source.name, exc)
    return doubts


def _named(sources: Sources, wanted: set[str]) -> Iterator[FrameSource]:
    """The frames of these names, without reading the others."""
    left = set(wanted)
    for source in sources:
        if source.name in left:
            left.remove(source.name)
            yield source
        if not left:
            return


# -- what is written -----------------------------------------------------------------------------------------


def _prepare(out: Path, inputs: Sequence[str], *, overwrite: bool) -> list[str]:
    """See that the folder can be used. Returns the frames that are in it already. Raises OutputError."""
    from douga.results import prepare_folder

    refuse_own_input(out / FRAMES, inputs)
    path = out / SELECTION
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path}: a selection is there already; choose another --out, or --overwrite makes it anew"
        )
    prepare_folder(out, [out / FRAMES])
    return sorted(found.stem for found in (out / FRAMES).glob("[!.]*.png"))


def refuse_own_input(target: Path, inputs: Sequence[str]) -> None:
    """Raises OutputError where frames would be written over those that they are chosen from."""
    for given in inputs:
        path = Path(given).resolve()
        if target.resolve() in (path, path.parent):
            raise OutputError(f"{given}: --out would write over it, into {target}; choose another --out")


def _write(out: Path, choices: Sequence[Choice], sources: Sources, failed: list[str]) -> None:
    """Frames first and the list last, so that a list means that all is there. Raises OutputError."""
    from douga.frame_io import write_png, write_text
    from douga_training.select.contact_sheet import Tile, contact_sheet, thumbnail

    thumbnails = {}
    for source in _with_bar(_named(sources, {c.name for c in choices}), len(choices), "writing"):
        frame = source.read()
        for warning in frame.warnings:
            _say(f"note: {frame.name}: {warning}")
        write_png(out / FRAMES / f"{frame.name}.png", frame.rgb)
        thumbnails[frame.name] = thumbnail(frame.rgb)
    tiles = [Tile(thumbnails[c.name], _title(c), _text(c)) for c in choices]
    write_png(out / SHEET, contact_sheet(tiles))
    write_text(out / SELECTION, _table(choices))


def _title(choice: Choice) -> str:
    doubt = "" if choice.entropy is None else f"  {choice.entropy:.3f} bit"
    return f"{choice.rank}{doubt}  {choice.why}"


def _text(choice: Choice) -> str:
    size = choice.candidate.size
    return f"{choice.name}, group {choice.candidate.cluster} of {size} drawing{'s' if size > 1 else ''}"


def _table(choices: Sequence[Choice]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for c in choices:
        entropy = "" if c.entropy is None else f"{c.entropy:.4f}"
        table.writerow((c.rank, c.path, c.name, c.candidate.cluster, entropy, c.why))
    return text.getvalue()


def _conclude(args: argparse.Namespace, survey: Survey, choices: Sequence[Choice], former: list[str]) -> None:
    left = sorted(set(former) - {c.name for c in choices})
    if left:
        _say(
            f"note: {args.out / FRAMES}: {len(left)} frames from before are left there; they may have labels"
        )
    if len(choices) < args.count:
        _say(f"note: asked for {args.count}, but there are no more frames that differ enough (--same)")
    seen = len(survey.names) + survey.held
    failed = f"; {len(survey.failed)} could not be read" if survey.failed else ""
    print(
        f"{len(choices)} chosen of {seen} frames, {survey.held} of them held or known drawings{failed}; "
        f"look at {args.out / SHEET}"
    )


# -- small things --------------------------------------------------------------------------------------------


def _load(args: argparse.Namespace) -> Stages:
    from douga.stages import load_stages  # torch

    loaded = load_stages(args.weights_cel, args.weights_lines, args.device or "auto")
    _say(f"device: {loaded.device}")
    return loaded.stages


def _check_model_options(args: argparse.Namespace) -> None:
    """Raises InputError for options that do not go together: none is passed over in silence."""
    given = {
        "--weights-cel": args.weights_cel,
        "--weights-lines": args.weights_lines,
        "--device": args.device,
    }
    lonely = [name for name, value in given.items() if value is not None]
    if args.no_model and lonely:
        raise InputError(
            f"{lonely[0]} says something about the model, and --no-model asks none; leave one out"
        )


def _check_hard_options(args: argparse.Namespace) -> None:
    """Raises InputError for options of the other way to choose."""
    for_hard = {"--easy": args.easy, "--well": args.well, "--model": args.model}
    for_labels = {
        "--labelled": args.labelled or None,
        "--same": args.same,
        "--no-model": args.no_model or None,
        "--weights-cel": args.weights_cel,
        "--weights-lines": args.weights_lines,
    }
    wrong = [name for name, value in (for_labels if args.hard else for_hard).items() if value is not None]
    if wrong:
        way = "does not go with --hard, which asks cutout weights" if args.hard else "goes with --hard"
        raise InputError(f"{wrong[0]} {way}; leave one out")


def _with_bar(sources: Iterable[FrameSource], total: int | None, what: str) -> Iterator[FrameSource]:
    from tqdm import tqdm

    # disable=None: a bar on a terminal, nothing in a log
    yield from tqdm(sources, what, total, unit="frame", file=sys.stderr, disable=None)


def _failed(failed: list[str], name: str, error: InputError) -> None:
    failed.append(name)
    _say(f"douga: {error}" if name in str(error) else f"douga: {name}: {error}")


def _say(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to 10000")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a share from 0 to 1, such as 0.2")
    return share
