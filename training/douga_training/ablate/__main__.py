"""Train the variants of a plan and print how much each matters. See `--help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from douga.errors import DougaError, InputError
from douga_training.ablate.plan import Plan, Variant, read_plan
from douga_training.ablate.runs import BASE, Outcome, run_plan
from douga_training.bench.tables import Table, as_text, describe_machine, write_tables

EXAMPLES = """\
The base is trained several times with other seeds: a variant whose score lies within that spread has not
been told from it. Frames are drawn into DIR/data the first time; a run that was stopped goes on where it was.

examples:
  python -m douga_training.ablate training/ablations/cel.toml --out runs/ablate --write BENCHMARKS.md
  python -m douga_training.ablate training/ablations/lines.toml --only "kernel 25" --repeats 1
  python -m douga_training.ablate training/ablations/cel.toml --list

exit status: 0 trained; 2 it could not be trained; 130 stopped, the same command goes on
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Train what a plan compares. Returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        plan = read_plan(args.plan)
        if args.list:
            print("\n".join(f"{variant.name}: {variant.describe()}" for variant in plan.variants))
            return 0
        if min(args.repeats, args.threads, args.workers) < 1:
            raise InputError("--repeats, --threads, --workers: expected at least 1 of each")
        _compare(plan, _chosen(plan, args.only), args)
    except DougaError as error:
        print(f"ablate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ablate: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m douga_training.ablate",
        description="The same short training with one thing changed at a time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("plan", type=Path, metavar="PLAN.toml", help="see training/ablations/")
    add("--out", type=Path, default=Path("runs/ablate"), metavar="DIR",
        help="frames, runs and their curves (default: runs/ablate)")  # fmt: skip
    add("--only", action="append", metavar="NAME", help="only this variant; may be given again")
    add("--repeats", type=int, default=2, metavar="N", help="trainings of the base (default: 2)")
    add("--threads", type=int, default=2, metavar="N", help="processor threads (default: 2)")
    add("--workers", type=int, default=2, metavar="N", help="processes that draw frames (default: 2)")
    add("--write", type=Path, metavar="FILE", help="put the table into a Markdown file, between markers")
    add("--list", action="store_true", help="only tell the variants")
    return parser


def _chosen(plan: Plan, names: list[str] | None) -> list[Variant]:
    known = {variant.name: variant for variant in plan.variants}
    if names is None:
        return list(plan.variants)
    for name in names:
        if name not in known:
            raise InputError(f"--only {name}: not in the plan; it has {', '.join(known)}")
    return [known[name] for name in names]


def _compare(plan: Plan, variants: list[Variant], args: argparse.Namespace) -> None:
    outcomes: list[Outcome] = []
    runs = run_plan(
        plan, variants, args.out, repeats=args.repeats, threads=args.threads, workers=args.workers
    )
    for outcome in runs:
        outcomes.append(outcome)
        table = make_table(plan, outcomes)
        if args.write:  # after every run, so that what was measured is kept whatever comes
            write_tables(args.write, [table], describe_machine(args.threads))
    print(f"\n{as_text(table)}")


def make_table(plan: Plan, outcomes: Sequence[Outcome]) -> Table:
    """The mean of the bases, and a row a variant with how far its score lies from that."""
    bases = [outcome.scores for outcome in outcomes if outcome.variant == BASE]
    rest = [outcome for outcome in outcomes if outcome.variant != BASE]
    rows = [(BASE.name, _told(plan, BASE), *(_shown(bases, name) for name in plan.scores), "")]
    for outcome in rest:
        figures = (_shown([outcome.scores], name) for name in plan.scores)
        apart = outcome.scores["score"] - mean(scores["score"] for scores in bases)
        rows.append((outcome.variant.name, outcome.variant.describe(), *figures, f"{apart:+.3f}"))
    trained = {outcome.variant for outcome in rest}
    missing = [variant.name for variant in plan.variants if variant not in trained]
    told = [f"Of the plan, not trained: {', '.join(missing)}."] if missing else []
    return Table(
        key=f"ablate-{plan.key}",
        title=plan.title,
        command=f"python -m douga_training.ablate training/ablations/{plan.key}.toml --repeats {len(bases)}",
        heads=("variant", "changed", *plan.scores, "score against base"),
        rows=tuple(rows),
        notes=(_spread(bases), *told, _how(plan)),
    )


def _shown(scores: Sequence[dict[str, float]], name: str) -> str:
    """Mean of a score; "-" where the frames that are judged by have nothing of that class."""
    found = [each[name] for each in scores if name in each]
    return f"{mean(found):.3f}" if found else "-"


def _told(plan: Plan, variant: Variant) -> str:
    return variant.describe() or f"{plan.base.steps} steps of {plan.base.batch} frames"


def _spread(bases: Sequence[dict[str, float]]) -> str:
    scores = [scores["score"] for scores in bases]
    if len(scores) < 2:
        return "The base was trained once: how much chance does is not known."
    return (
        f"The base is the mean of {len(scores)} trainings that differ by their seed alone; their scores lie "
        f"{max(scores) - min(scores):.3f} apart (standard deviation {stdev(scores):.3f}): smaller "
        "differences say nothing."
    )


def _how(plan: Plan) -> str:
    frames = plan.frames
    return (
        f"Short trainings from nothing, on {frames.count} productions and their twins from seed "
        f"{frames.seed}; judged on {frames.held_count} others and their twins from seed {frames.held_seed}. "
        "They tell which parts help at the beginning, not what a long training would settle at."
    )


if __name__ == "__main__":
    raise SystemExit(main())
