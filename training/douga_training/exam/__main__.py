"""Draw the examination, let the weights and the classical rows sit it, and print the tables. See `--help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from douga.errors import DougaError, InputError
from douga_training.bench.arguments import CHECKOUT, command, common_arguments, use_threads
from douga_training.exam.recipe import RECIPE, read_exam

BENCHMARKS = CHECKOUT / "BENCHMARKS.md"
_DECIDING = ("cel", "lines", "frames", "real_frames", "recipe", "real")  # options that change the tables
EXAMPLES = """\
The examination is drawn from training/exam/exam.toml: characters, paints, backgrounds and compositing that
training never draws from, and real drawings over the same backgrounds; every frame once lossless and once
as broadcast. It is drawn into --build once and kept there until the recipe, the real drawings or the code
that draws changes.

examples:
  python -m douga_training.exam                               everything, as `make exam`; about 10 minutes
  python -m douga_training.exam --frames 2 --real-frames 1    a quick look
  python -m douga_training.exam --lines runs/lines/best.safetensors
  python -m douga_training.exam --draw-only                   only draw: then look at build/exam/*/frame

exit status: 0 sat, whether goals are met or missed; 2 it could not be sat; 130 stopped by Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Sit the examination. Returns the exit status."""
    args = parser().parse_args(argv)
    try:
        _sit(args)
    except DougaError as error:
        print(f"exam: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("exam: stopped; what is drawn stays, and the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m douga_training.exam",
        description="The fixed examination of the weights, beside what needs no learning.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_arguments()],
    )
    add = parser.add_argument
    add("--cel", default="cel-small", metavar="NAME|FILE", help="stage one (default: %(default)s)")
    add("--lines", default="lines-small", metavar="NAME|FILE", help="stage two (default: %(default)s)")
    add("--frames", type=int, metavar="N", help="at most so many drawn frames, over all shots")
    add("--real-frames", type=int, metavar="N", help="at most so many real drawings")
    add("--recipe", type=Path, default=RECIPE, metavar="FILE", help="default: training/exam/exam.toml")
    add("--build", type=Path, default=CHECKOUT / "build" / "exam", metavar="DIR",
        help="frames, answers and error pictures (default: build/exam)")  # fmt: skip
    add("--write", type=Path, metavar="FILE",
        help="keep tables and history there (default: BENCHMARKS.md and the cards of the weights where the "
        "shipped weights sit all of it, otherwise nowhere)")  # fmt: skip
    add("--no-write", action="store_true", help="only print")
    add("--draw-only", action="store_true", help="only draw the frames")
    add("--errors", action="store_true", help="also draw overlays of every frame's errors")
    return parser


def _sit(args: argparse.Namespace) -> None:
    from douga_training.bench.checks import read_drawings
    from douga_training.exam.frames import build

    for name in ("frames", "real_frames"):
        if (given := getattr(args, name)) is not None and given < 0:
            raise InputError(f"--{name.replace('_', '-')}: got {given}, expected 0 or more")
    use_threads(args.threads)
    exam = read_exam(args.recipe).shortened(args.frames, args.real_frames)
    drawings = read_drawings(args.real) if args.real.is_dir() else []
    if not drawings:
        print(f"exam: SKIPPED the real drawings, there are none at {args.real}; see --real", file=sys.stderr)
    folder = args.build / exam.key(drawings)
    stems = build(folder, exam, drawings)
    if not stems:
        raise InputError("nothing to sit: --frames and --real-frames leave no frame")
    print(f"frames: {folder}")
    if not args.draw_only:
        _score(args, folder, stems)


def _score(args: argparse.Namespace, folder: Path, stems: list[str]) -> None:
    from douga.checkpoint import choose_device
    from douga.shipped import weights_path
    from douga_training.bench.scores import Weights, judge
    from douga_training.bench.tables import as_text, describe_machine
    from douga_training.exam import tables
    from douga_training.exam.cards import write_cards
    from douga_training.exam.ceiling import ceiling

    weights = Weights(args.cel, args.lines, args.device)
    answers = judge(folder, stems, weights, args.build / "answers", draw_errors=args.errors)
    rows: tables.Rows = {}
    counts = {}
    for which in ("drawn", "real"):
        chosen = [s for s in stems if s.startswith("real-") == (which == "real")]
        counts[which] = len(chosen)
        for kind in answers if chosen else ():
            what = f"{which} {kind}"
            rows["weights", what] = tables.figures(tables.total(answers[kind], which))
            rows |= {(who, what): found for who, found in _classical(folder, chosen, kind, what)}
        if chosen:
            best = ceiling(folder, chosen, args.build / "ceiling")
            rows[tables.CEILING, f"{which} lossless"] = tables.figures(best.total)
    made = [tables.main_table(rows, _command(args), (_HOW, weights.describe())), tables.shot_table(answers)]
    made += tables.kugler_tables(answers)
    print("\n" + "\n".join(as_text(table) for table in made))
    whole = is_whole(args)
    target = None if args.no_write else args.write or (BENCHMARKS if whole else None)
    if target is not None:
        when = datetime.now(UTC).date().isoformat()
        history = tables.history_rows(rows, when, weights.hashes(), counts, folder.name)
        machine = describe_machine(args.threads, str(choose_device(args.device)))
        tables.write_exam(target, made, history, when, machine)
        print(f"written: {target}")
        if whole and target.resolve() == BENCHMARKS:
            cel, lines = (weights_path(name).with_suffix(".md") for name in (args.cel, args.lines))
            write_cards(cel, lines, made, when)
            print(f"written: {cel}, {lines}")


def _command(args: argparse.Namespace) -> str:
    """The command that makes these tables again."""
    return command("python -m douga_training.exam", parser(), args, _DECIDING)


def is_whole(args: argparse.Namespace) -> bool:
    """Whether the shipped weights sit all of the examination: that alone is published. Says why it is not."""
    asked, usual = _command(args), _command(parser().parse_args([]))
    if asked == usual and args.real.is_dir():
        return True
    why = f"there are no real drawings at {args.real}, see --real" if asked == usual else f"it is {asked}"
    print(f"not published, for it is not all of the examination with the shipped weights: {why}")
    return False


def _classical(
    folder: Path, stems: list[str], kind: str, what: str
) -> Iterator[tuple[str, dict[str, float]]]:
    from tqdm import tqdm

    from douga.evaluate import read_ids, read_mask
    from douga.frame_io import read_frame
    from douga_training.exam import classical

    truth = folder / kind if kind != "lossless" else folder

    def frames() -> Iterator[classical.Frame]:
        for stem in tqdm(stems, desc=f"without learning, {what}", unit="frame", disable=None, leave=False):
            name = f"{stem}.png"
            rgb = read_frame(truth / "frame" / name).rgb
            yield rgb, read_ids(folder / "classes" / name), read_mask(folder / "cel_mask" / name)

    yield from classical.line_rows(frames).items()
    yield classical.REGIONS, classical.region_row(frames)


_HOW = (
    "Lines: F1 of thinned lines within 2 px; fills: IoU; lines/areas: F1 of line pixels of any class. "
    "The rows without learning are given their best thresholds with the truth at hand, and line detectors "
    "the true cel as well; the weights are given the frame alone. What is left of the true drawing after "
    "cleaning stands last: no weights can do better."
)


if __name__ == "__main__":
    raise SystemExit(main())
