"""Colours at soft edges: how far off they are, ours beside the library pymatting, which is not installed with
Douga (`uv pip install pymatting`).

Frames are soft simulated scenes whose straight colours are known: cel over background, nothing else.

examples:
  python -m douga_training.bench.foreground
  python -m douga_training.bench.foreground --frames 4 --size 640x360
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from douga.errors import DougaError, InputError
from douga.foreground import estimate_foreground
from douga.types import F32, U8
from douga_training.bench.arguments import use_threads
from douga_training.bench.tables import Table, as_text, describe_machine, write_tables
from douga_training.simulate.command import parse_size
from douga_training.simulate.compositing import over
from douga_training.simulate.production import draw_scene

SEED = 960_000  # training takes its seeds from below
FRAMES, SIZE_WH = 12, (960, 540)
Method = Callable[[U8, F32], np.ndarray]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        use_threads(args.threads)
        table = measure(args.frames, args.size, _methods())
        print(as_text(table))
        if args.write:
            write_tables(args.write, [table], describe_machine(args.threads))
    except DougaError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m douga_training.bench.foreground",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--frames", type=int, default=FRAMES, metavar="N", help="how many (default: %(default)s)")
    add("--size", type=parse_size, default=SIZE_WH, metavar="WxH", help="of the frames (default: 960x540)")
    add("--threads", type=int, default=2, metavar="N", help="processor threads (default: 2)")
    add("--write", type=Path, metavar="FILE", help="put the table into a Markdown file, between markers")
    return parser


def _methods() -> dict[str, Method]:
    """By name. Raises InputError where pymatting is not installed."""
    if importlib.util.find_spec("pymatting") is None:
        raise InputError(
            "pymatting is not installed; `uv pip install pymatting` brings what is compared with"
        )
    from pymatting import estimate_foreground_cf, estimate_foreground_ml

    def of(estimate: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Method:
        return lambda rgb, alpha: estimate(rgb / 255.0, alpha.astype(np.float64))

    return {
        "the frame's own colours": lambda rgb, alpha: rgb / 255.0,
        "douga.foreground": estimate_foreground,
        "pymatting, multi-level": of(estimate_foreground_ml),
        "pymatting, closed form": of(estimate_foreground_cf),
    }


def measure(frames: int, size_wh: tuple[int, int], methods: dict[str, Method]) -> Table:
    """Mean error and processor seconds of each method. Raises InputError for fewer frames than one."""
    if frames < 1:
        raise InputError(f"--frames {frames}: expected at least 1")
    errors: dict[str, list[float]] = {name: [] for name in methods}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for seed in range(SEED, SEED + frames):
        scene = draw_scene(seed, size_wh, soft=True, treated=0.0, alike=0.0, book=0.0)
        rgb = over(scene.plate, scene.art.rgb, scene.art.alpha)
        alpha = scene.art.alpha.astype(np.float32) / np.float32(255)
        for name, method in methods.items():
            if seed == SEED:
                method(rgb, alpha)  # some compile themselves at first
            begun = time.process_time()
            found = method(rgb, alpha)
            seconds[name].append(time.process_time() - begun)
            errors[name].append(fringe(found, scene.art.rgb, alpha))
    rows = tuple(
        (name, f"{np.nanmean(errors[name]):.2f}", f"{statistics.median(seconds[name]):.3f} s")
        for name in methods
    )
    return Table(
        "foreground",
        "Colours at soft edges",
        "python -m douga_training.bench.foreground",
        ("", "fringe, of 255", "processor time of a frame"),
        rows,
        notes=(
            f"{frames} soft simulated scenes of {size_wh[0]} x {size_wh[1]} px, nothing graded, no book. "
            "Fringe: mean error of the colours of soft pixels, as far as it shows on another background.",
        ),
    )


def fringe(colours: np.ndarray, true: U8, alpha: F32) -> float:
    """How far off soft pixels are once they lie on another background, in 255ths; NaN where none is soft.

    colours: (H, W, 3) straight, 0 to 1. true: (H, W, 3) uint8, straight. alpha: (H, W), 0 to 1.
    """
    soft = (alpha > 0) & (alpha < 1)
    if not soft.any():
        return float("nan")
    return float((np.abs(colours[soft] * 255 - true[soft]) * alpha[soft][:, None]).mean())


if __name__ == "__main__":
    raise SystemExit(main())
