"""Weights for cutouts over frames that no training draws from, beside stage one's mask used as a cutout.

    python -m douga_training.bench.cutout --weights runs/cutout-small/last.safetensors
    python -m douga_training.bench.cutout --write BENCHMARKS.md       the shipped cutout-small

Frames are drawn once into build/cutout: characters of the examination with stray hairs, net, cut glass, auras
and smears, and real drawings over the examination's backgrounds.

exit status: 0 measured, whether goals are met or missed; 2 it could not be measured
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from douga.errors import DougaError, InputError
from douga.evaluate_alpha import FOLDER, AlphaFrame, AlphaScore, compare_alphas, find_alphas, means
from douga_training.bench.arguments import CHECKOUT, command, common_arguments, use_threads
from douga_training.bench.tables import Table, as_text, describe_machine, write_tables
from douga_training.simulate.store import BROADCAST

if TYPE_CHECKING:
    from douga.checkpoint import LoadedNetwork

KINDS = ("lossless", BROADCAST)
SETS = ("drawn", "real")
# Issue 6, "How good": of the weights for cutouts, for each kind of frame.
GOALS = {"drawn": {"PA": 0.93, "boundary IoU": 0.85, "weighted F": 0.95}, "real": {"boundary IoU": 0.80}}
SECONDS, GIB = 3.0, 3.0  # of one 1080p cutout on two cores
_COLUMNS = {
    "PA": "pixel_accuracy", "boundary IoU": "boundary_iou", "weighted F": "weighted_f", "MAE": "mae",
    "max F": "max_f", "S": "s_measure", "mean E": "mean_e",
}  # fmt: skip
_DIGITS = {"MAE": 4}
_WORST = 8
_HOW = (
    "Drawn: characters of the examination with stray hairs and a net, a crystal, an aura or a smear. Real: "
    "drawings of ../shared/real over its backgrounds. Frames of 1920 x 1080; scores are averaged "
    "over frames; max F is that of the averaged curve."
)


@dataclass(frozen=True)
class Answers:
    """What weights said. who: as the table calls them. by_kind: compared frames by kind, then stem."""

    who: str
    by_kind: Mapping[str, Mapping[str, AlphaFrame]]

    def scores(self, kind: str, which: str) -> list[AlphaScore]:
        """Of one kind and set of frames."""
        chosen = self.by_kind[kind]
        return [chosen[stem].score for stem in sorted(chosen) if set_of(stem) == which]


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, cut out, compare, print. Returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        tables, device = measure(args)
        if args.write:
            write_tables(args.write, tables, describe_machine(args.threads, device))
    except DougaError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m douga_training.bench.cutout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_arguments()],
    )
    add = parser.add_argument
    add("--weights", default="cutout-small", metavar="NAME|FILE", help="for cutouts (default: %(default)s)")
    add("--floor", default="cel-small", metavar="NAME|FILE", help="what to beat (default: %(default)s)")
    add("--frames", type=int, metavar="N", help="drawn frames (default: 16)")
    add("--real-frames", type=int, metavar="N", help="frames with real drawings (default: 10)")
    add("--build", type=Path, default=CHECKOUT / "build" / "cutout", metavar="DIR", help="frames and answers")
    add("--no-speed", action="store_true", help="leave seconds and memory out")
    add("--write", type=Path, metavar="FILE", help="put the tables into a Markdown file, between markers")
    return parser


def measure(args: argparse.Namespace) -> tuple[list[Table], str]:
    """All tables, printed as they come, and the device. Raises DougaError for what cannot be measured."""
    from douga.cutout_weights import load_cutout_network
    from douga_training.bench.scores import told_of

    use_threads(args.threads)
    networks = {"floor": load_cutout_network(args.floor, args.device)}
    networks["weights"] = load_cutout_network(args.weights, args.device)
    folder, stems = _frames(args)
    found = {}
    for role, network in networks.items():
        name = Path(getattr(args, role)).stem
        who = f"{name}, its mask" if network.info.stage == "cel" else name
        found[role] = answer(who, network, folder, stems, args.build / "answers" / role)
    told = [told_of(getattr(args, role), network) for role, network in networks.items()]
    tables = [score_table(_command(args), [found["floor"], found["weights"]], f"Weights: {'; '.join(told)}.")]
    print(f"\n{as_text(tables[0])}", flush=True)
    print(f"worst frames: {draw_worst(found['weights'], folder, args.build / 'worst.png')}")
    if not args.no_speed:
        tables.append(speed_table(args.weights, args.threads))
        print(f"\n{as_text(tables[-1])}", flush=True)
    return tables, str(networks["weights"].device)


def _command(args: argparse.Namespace) -> str:
    deciding = ("weights", "floor", "frames", "real_frames", "real")
    return command("python -m douga_training.bench.cutout", _parser(), args, deciding)


def _frames(args: argparse.Namespace) -> tuple[Path, list[str]]:
    """Folder and stems of the check set, drawn now if they are not there."""
    from douga_training.bench import cutout_frames
    from douga_training.bench.checks import read_drawings

    drawn = cutout_frames.DRAWN if args.frames is None else args.frames
    real = cutout_frames.REAL_FRAMES if args.real_frames is None else args.real_frames
    if min(drawn, real) < 0 or not drawn + real:
        raise InputError(f"--frames {drawn} --real-frames {real}: expected one frame at least")
    drawings = read_drawings(args.real) if real and args.real.is_dir() else []
    if real and not drawings:
        print(f"cutout: SKIPPED real drawings, there are none at {args.real}; see --real", file=sys.stderr)
    exam = cutout_frames.cutout_exam(drawn, real)
    folder = args.build / cutout_frames.key(cutout_frames.cutout_exam(), drawings)
    stems = cutout_frames.build(folder, exam, drawings)
    if not stems:
        raise InputError(f"{args.real}: no real drawings there, and --frames 0 leaves nothing else")
    return folder, stems


def set_of(stem: str) -> str:
    """Which set a frame belongs to: "drawn" or "real"."""
    return "real" if stem.startswith("real-") else "drawn"


def answer(who: str, network: LoadedNetwork, folder: Path, stems: Sequence[str], out: Path) -> Answers:
    """Cut every frame and its twin out, write the alphas below `out` and compare them with the truth.

    network: of `load_cutout_network`. folder: in the layout of `douga simulate`, with twins.
    """
    from tqdm import tqdm

    from douga.alpha import find_alpha
    from douga.frame_io import read_frame, write_png

    shutil.rmtree(out, ignore_errors=True)  # of an earlier run, perhaps with other frames
    by_kind = {}
    for kind in KINDS:
        source = folder / BROADCAST if kind == BROADCAST else folder
        for stem in tqdm(stems, desc=f"{who}, {kind}", unit="frame", disable=None, leave=False):
            alpha = find_alpha(read_frame(source / "frame" / f"{stem}.png"), network).values
            write_png(out / kind / FOLDER / f"{stem}.png", np.round(alpha * 255).astype(np.uint8))
        truths = {stem: folder / FOLDER / f"{stem}.png" for stem in stems}
        by_kind[kind] = compare_alphas(find_alphas(out / kind), truths)
    return Answers(who, by_kind)


def score_table(command: str, answers: Sequence[Answers], note: str) -> Table:
    """A row a set, kind and weights, the floor's before those that are judged, which are the last."""
    rows, misses = [], []
    for which in SETS:
        for kind in KINDS:
            for each in answers:
                scores = each.scores(kind, which)
                if not scores:
                    continue
                of = {name: means(scores)[key] for name, key in _COLUMNS.items()}
                rows.append((f"{which}, {kind}", each.who, *(_shown(name, of[name]) for name in of)))
                if each is answers[-1]:
                    misses += [
                        f"{which}, {kind}: {name} {of[name]:.3f}, goal {goal:g}"
                        for name, goal in GOALS[which].items()
                        if not of[name] >= goal
                    ]
    goals = [(f"{which}: goal", "", *(_goal(which, name) for name in _COLUMNS)) for which in SETS]
    heads = ("frames", "weights", *_COLUMNS)
    title = "Cutouts: alphas of frames that no training draws from"
    return Table("cutout", title, command, heads, (*rows, *goals), tuple(misses), (_HOW, note))


def _shown(name: str, value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.{_DIGITS.get(name, 3)}f}"


def _goal(which: str, name: str) -> str:
    return f"{GOALS[which][name]:g}" if name in GOALS[which] else ""


def draw_worst(answers: Answers, folder: Path, path: Path) -> Path:
    """A sheet of the worst frames, worst first: frame, alpha, truth, errors a row. Returns the path."""
    from douga.frame_io import write_png
    from douga.report_alpha import FORGIVEN, TOO_LITTLE, TOO_MUCH, alpha_pictures, worst_first
    from douga_training.explain.sheets import Cell, sheet

    every = {f"{kind}/{stem}": frame for kind in KINDS for stem, frame in answers.by_kind[kind].items()}
    cells = []
    for name, frame in worst_first(every)[:_WORST]:
        kind, stem = name.split("/")
        source = folder / BROADCAST if kind == BROADCAST else folder
        twin = AlphaFrame(frame.score, frame.predicted, source / FOLDER / f"{stem}.png")
        for caption, rgb in alpha_pictures(twin):
            told = f"{stem}, {kind}: {frame.score.quality:.3f}" if caption == "frame" else caption
            cells.append(Cell(told, rgb))
    key = ((TOO_MUCH, "too opaque"), (TOO_LITTLE, "too clear"), (FORGIVEN, "seen, but forgiven at an edge"))
    title = f"{answers.who}: the worst frames, by the mean of PA, boundary IoU and weighted F"
    write_png(path, sheet(cells, columns=4, width_px=480, title=title, key=key))
    return path


def speed_table(weights: str, threads: int) -> Table:
    """Seconds and memory of one 1080p frame, in a process of its own, on the processor."""
    from douga_training.bench.speed import Goal, Measured, run_probe, sample_pictures

    with tempfile.TemporaryDirectory(prefix="douga-cutout-") as name:
        picture = sample_pictures(Path(name))["1080p"]
        found = run_probe("cutout", threads, picture, weights, "cpu")
    rows = [
        Measured("1080p: alpha and colours", found["total_s"], goal=Goal(SECONDS)),
        Measured("1080p: the alpha", found["alpha_s"]),
        Measured("1080p: colours without the background", found["colours_s"]),
        Measured("1080p: peak of resident memory", found["peak_mib"] / 1024, "GiB", Goal(GIB)),
        Measured("loading the network", found["loading_s"]),
    ]
    return Table(
        "cutout-speed",
        "Cutouts: seconds and memory",
        "python -m douga_training.bench.cutout",
        ("measurement", "value", "goal", ""),
        tuple(row.row for row in rows),
        tuple(row.name for row in rows if row.missed),
        ("Times after loading, median of 5 runs, on the processor.",),
    )


if __name__ == "__main__":
    raise SystemExit(main())
