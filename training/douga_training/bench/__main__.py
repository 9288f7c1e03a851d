"""Measure and print. See `--help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from douga.errors import DougaError, InputError
from douga_training.bench.arguments import command, common_arguments, use_threads
from douga_training.bench.tables import Table, as_text, describe_machine, write_tables

EXAMPLES = """\
examples:
  python -m douga_training.bench                          everything, as `make bench`
  python -m douga_training.bench real --frames 6 --out DIR    a quick look, frames and errors kept
  python -m douga_training.bench real --weights-lines runs/lines/best.safetensors
  python -m douga_training.bench speed --write BENCHMARKS.md

exit status: 0 measured, whether goals are met or missed; 2 it could not be measured
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurements that the arguments ask for. Returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        tables, device = _measure(args)
        machine = describe_machine(args.threads, device)
        if args.write and tables:
            write_tables(args.write, tables, machine)
    except DougaError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m douga_training.bench",
        description="Measure how good and how fast the weights are, against the goals.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_arguments()],
    )
    add = parser.add_argument
    add("what", nargs="*", metavar="WHAT", help=f"of {', '.join(MEASUREMENTS)}; all of them if left out")
    add("--weights-cel", default="cel-small", metavar="NAME|FILE", help="stage one (default: %(default)s)")
    add(
        "--weights-lines", default="lines-small", metavar="NAME|FILE", help="stage two (default: %(default)s)"
    )
    add("--frames", type=int, default=24, metavar="N", help="in each set, each with its twin (default: 24)")
    add("--out", type=Path, metavar="DIR", help="keep frames, results and overlays of errors there")
    add("--raw", action="store_true", help="also score stage two uncleaned, and cleaned without the paint")
    add("--true-masks", action="store_true", help="give stage two the true cel masks: is it to blame?")
    add("--write", type=Path, metavar="FILE", help="put the tables into a Markdown file, between markers")
    return parser


def _measure(args: argparse.Namespace) -> tuple[list[Table], str]:
    """Run what was asked for, printing each table as soon as it is there. Returns tables and device."""
    from douga.checkpoint import choose_device

    unknown = [what for what in args.what if what not in MEASUREMENTS]
    if unknown or args.frames < 1:
        given = unknown[0] if unknown else f"--frames {args.frames}"
        raise InputError(f"{given}: expected {', '.join(MEASUREMENTS)}, and at least one frame")
    use_threads(args.threads)
    tables: list[Table] = []
    with _working_folder(args.out) as folder:
        for what in args.what or MEASUREMENTS:
            for table in MEASUREMENTS[what](args, folder):
                print(f"\n{as_text(table)}", flush=True)
                tables.append(table)
    missed = [f"{t.title}: {name}" for t in tables for name in t.misses]
    print("\n".join(["Missed:", *missed]) if missed else "Nothing missed.")
    return tables, str(choose_device(args.device))


@contextmanager
def _working_folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="douga-bench-") as name:
        yield Path(name)


def _real(args: argparse.Namespace, folder: Path) -> Iterator[Table]:
    from douga_training.bench.checks import real_set
    from douga_training.bench.scores import GOALS

    if not args.real.is_dir():
        print(
            f"real: skipped, since there are no real drawings at {args.real}; name their folder with --real"
        )
        return
    stems = real_set(folder / "real", args.real, args.frames)
    yield from _scored(args, folder, "real", stems, GOALS, _HOW_REAL)


def _simulated(args: argparse.Namespace, folder: Path) -> Iterator[Table]:
    from douga_training.bench.checks import simulated_set

    stems = simulated_set(folder / "simulated", args.frames)
    yield from _scored(args, folder, "simulated", stems, {}, _HOW_SIMULATED)


def _scored(
    args: argparse.Namespace, folder: Path, what: str, stems: list[str], goals: dict[str, float], how: str
) -> Iterator[Table]:
    from douga_training.bench.scores import Weights, by_frame_table, judge, score_table

    weights = Weights(args.weights_cel, args.weights_lines, args.device, args.true_masks, args.raw)
    answers = judge(folder / what, stems, weights, folder / "results" / what)
    print(f"\n{as_text(by_frame_table(answers))}")
    deciding = ("frames", "weights_cel", "weights_lines", "true_masks", "raw", "real")
    again = command(f"python -m douga_training.bench {what}", _parser(), args, deciding)
    if args.out is not None:
        print(f"frames: {folder / what}; results, errors and report.html: {folder / 'results' / what}")
    yield score_table(what, TITLES[what], again, answers, goals=goals, notes=(how, weights.describe()))


def _speed(args: argparse.Namespace, folder: Path) -> Iterator[Table]:
    from douga_training.bench.speed import measure_speed

    with tempfile.TemporaryDirectory(prefix="douga-speed-") as name:
        yield measure_speed(Path(name), args.weights_cel, args.weights_lines, args.threads)


MEASUREMENTS = {"real": _real, "simulated": _simulated, "speed": _speed}
_HOW_REAL = (
    "The simulator's own composites at 1920 x 1080, without books, from seeds that training does not use: a "
    "third of the frames also has light, grade, motion blur, camera scale, grain or JPEG over the cel."
)
_HOW_SIMULATED = "All kinds of shots at 1920 x 1080, books included, from seeds that training does not use."
TITLES = {
    "real": "Real drawings over simulated backgrounds",
    "simulated": "Simulated productions that were held back",
}


if __name__ == "__main__":
    raise SystemExit(main())
