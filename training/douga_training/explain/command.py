"""What `douga explain` runs: feature pictures, error pictures and training curves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from douga.errors import InputError, MissingInputError

EXAMPLES = """\
examples:
  douga explain features lines-small --out features
      what excites each layer; look at features/classes.png first
  douga explain errors --pred result --truth shots/truth --out errors
      where frames went wrong; look at errors/index.png first
  douga explain curves runs/lines-small runs/lines-large --out curves.png
      how training went, class by class
  douga explain features --help
"""
_FEATURES = """\
examples:
  douga explain features cel-small --out features
  douga explain features runs/lines-small/best.safetensors --out features --layer block4 --channels all
  douga explain features lines-small --out features --layer last --channels all --size 256 --steps 96
  douga explain features lines-small --out features --layer encoder2 --channels 3,17,40

layers: encoder1 to encoder4   levels of the context encoder (strides 4 to 32)
        block1 to block4       the large-kernel blocks on them
        context                the levels merged
        last                   second-to-last layer, which Kugler shows (Figure 4.11)
        classes                the answer itself

A picture begins as noise and climbs along the gradient towards what excites one channel most. The numbers
above it are the channel's mean activation on the noise and on the picture ("classes": log-probability, 0 is
certain); "silent" answers to neither. A mask that the network takes as fourth channel says "all cel".
Larger --size and more --steps give clearer pictures of deep layers; a channel that noise itself excites can
need many steps to rise above it. Same seed, same pictures.
"""
_ERRORS = """\
examples:
  douga explain errors --pred result --truth shots/truth --out errors
  douga explain errors --pred result --truth shots/truth --out errors --worst 50 --tolerance 1

Folders are those of `douga evaluate`: classes/STEM.png or cel_mask/STEM.png or both, and in the truth, if it
has them, frame/STEM.png. Each frame becomes one panel, 0001_STEM.png being the worst by the mean of line F1
and cel IoU: frame, truth, answer, the cel with false foreground red and false background blue, and for each
class of lines what was missed (blue), invented (red) or given another class (orange).

exit status: 0 all compared; 1 some predictions are missing; 2 nothing to compare, or an unusable file
"""
_CURVES = """\
examples:
  douga explain curves runs/lines-small --out curves.png
  douga explain curves runs/before runs/after --out compared.png

RUN is the folder of a training run (its recipe's `out`) or a scores.jsonl. It may still be training: what is
there is drawn.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three actions of `douga explain` and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_features(_action(actions, "features", "pictures of what each layer looks for", _FEATURES))
    _add_errors(_action(actions, "errors", "pictures of where frames went wrong, worst first", _ERRORS))
    curves = _action(actions, "curves", "a training run's scores over its steps, class by class", _CURVES)
    curves.add_argument(
        "run", type=Path, nargs="+", metavar="RUN", help="folder of a run; several are compared"
    )
    curves.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="where the picture goes")


def _action(
    actions: argparse._SubParsersAction, name: str, summary: str, examples: str
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return made


def _add_features(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("weights", metavar="WEIGHTS", help="shipped weights by name, or a .safetensors file")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for a sheet a layer, LAYER.png")
    add("--layer", action="append", default=[], metavar="NAME", help="only this layer; may be given again")
    add(
        "--channels",
        metavar="N|LIST|all",
        help="how many, spread evenly, or which: 3,17,40 (one alone: 3,) (default: 6, of classes all)",
    )
    add("--steps", type=int, default=24, metavar="N", help="of the gradient (default: 24)")
    add("--size", type=int, default=128, metavar="PX", help="side of a picture, even (default: 128)")
    add("--seed", type=int, default=0, metavar="S", help="of the noise that they begin as (default: 0)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")


def _add_errors(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--pred", type=Path, required=True, metavar="DIR", help="results, as reconstruct writes them")
    add("--truth", type=Path, required=True, metavar="DIR", help="truth, in the same folders")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the panels and index.png")
    add("--worst", type=int, default=24, metavar="N", help="how many frames to picture (default: 24; 0: all)")
    add(
        "--tolerance", type=float, default=2.0, metavar="PX", help="how far a line may be off (default: 2 px)"
    )


def run(args: argparse.Namespace) -> int:
    """Do what the arguments ask for. Returns the exit status; raises DougaError for what cannot be done."""
    return {"features": _run_features, "errors": _run_errors, "curves": _run_curves}[args.action](args)


def _run_features(args: argparse.Namespace) -> int:
    from douga.checkpoint import load_network
    from douga.frame_io import write_png
    from douga_training.explain import features

    ascent = features.Ascent(args.steps, args.size, args.seed)
    loaded = load_network(args.weights, args.device)
    layers = features.choose_layers(features.network_of(loaded), args.layer)
    chosen = {layer.name: features.choose_channels(layer, args.channels) for layer in layers}
    with tqdm(total=len(layers) * ascent.steps, unit="step", mininterval=1.0) as progress:
        for layer in layers:
            progress.set_description(layer.name)
            found = features.maximise(loaded, layer, chosen[layer.name], ascent, progress.update)
            picture = features.feature_sheet(layer, found, f"{args.weights}, step {loaded.info.step}")
            write_png(args.out / f"{layer.name}.png", picture)
    print(f"{len(layers)} layers; look at {args.out / layers[-1].name}.png")
    return 0


def _run_errors(args: argparse.Namespace) -> int:
    from douga.evaluate import evaluate
    from douga_training.explain.error_pictures import INDEX, write_panels

    if not 0 <= args.tolerance < float("inf"):
        raise InputError(f"--tolerance: expected pixels, 0 or more, got {args.tolerance}")
    if args.worst < 0:
        raise InputError(f"--worst {args.worst}: expected a number of frames, or 0 for all")
    print("comparing ...", file=sys.stderr)
    evaluation = evaluate(args.pred, args.truth, tolerance_px=args.tolerance)
    if not evaluation.frames:
        raise MissingInputError(
            f"{args.truth}: there are only alphas to compare; `douga evaluate --html FILE` shows their worst"
        )
    total = min(args.worst or len(evaluation.frames), len(evaluation.frames))
    with tqdm(total=total, unit="panel", mininterval=1.0) as progress:
        write_panels(evaluation, args.out, count=args.worst, on_frame=progress.update)
    print(f"{total} worst of {len(evaluation.frames)} frames; look at {args.out / INDEX}")
    for name in evaluation.missing:
        print(f"douga: no prediction {args.pred / name}", file=sys.stderr)
    return 1 if evaluation.missing else 0


def _run_curves(args: argparse.Namespace) -> int:
    from douga.frame_io import write_png
    from douga_training.explain.curves import draw_curves, read_runs

    if args.out.suffix.lower() != ".png":
        raise InputError(f"--out {args.out}: curves are drawn as PNG; give a name that ends in .png")
    runs = read_runs(args.run)
    write_png(args.out, draw_curves(runs))
    points = sum(len(points) for run in runs for points in run.curves.values())
    print(f"{len(runs)} runs, {points} points: {args.out}")
    return 0
