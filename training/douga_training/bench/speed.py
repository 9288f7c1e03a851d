"""Seconds, memory and frames a second of everything that has a goal, each in a fresh process."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from douga.errors import InputError
from douga.frame_io import write_png
from douga_training.bench.checks import SIMULATED_SEED
from douga_training.bench.tables import MET, MISS, NO_GOAL, Table
from douga_training.simulate.production import draw_production

SIZES_WH = {"1080p": (1920, 1080), "4K": (3840, 2160)}
CLOSE = "1080p full of a face"  # networks work where something may be drawn: here nearly all over
SEQUENCE = 240  # frames; ten seconds at the goal
NO_GPU = "not measured: no GPU here"
_IMPORT = "import time; t = time.perf_counter(); import douga; print(time.perf_counter() - t)"


@dataclass(frozen=True)
class Goal:
    """at_most: True where less is better."""

    value: float
    at_most: bool = True

    def __str__(self) -> str:
        return f"at {'most' if self.at_most else 'least'} {self.value:g}"


@dataclass(frozen=True)
class Measured:
    """One row. value: None where it could not be measured, with the reason in `text`."""

    name: str
    value: float | None
    unit: str = "s"
    goal: Goal | None = None
    text: str = ""

    @property
    def missed(self) -> bool:
        """Whether a goal was set, measured and not reached."""
        if self.goal is None or self.value is None:
            return False
        return self.value > self.goal.value if self.goal.at_most else self.value < self.goal.value

    @property
    def row(self) -> tuple[str, ...]:
        """Cells of the table."""
        if self.value is None:
            return self.name, self.text, f"{self.goal or ''} {self.unit}".strip(), NO_GOAL
        shown = f"{self.value:.2f} {self.unit}"
        if self.goal is None:
            return self.name, shown, "", NO_GOAL
        return self.name, shown, f"{self.goal} {self.unit}", MISS if self.missed else MET


def measure_speed(folder: Path, cel: str, lines: str, threads: int) -> Table:
    """Run all probes. folder: for the pictures that they need. cel, lines: shipped names or files."""
    pictures = sample_pictures(folder)
    found = [
        *_frames(pictures, cel, lines, threads),
        Measured("import douga", _import_seconds(), goal=Goal(0.3)),
        *_simulator(folder / "cache"),
        *_sequence(pictures["1080p"], folder / "sequence", cel, lines),
    ]
    return Table(
        "speed",
        "Speed and memory",
        "python -m douga_training.bench speed",
        ("measurement", "value", "goal", ""),
        tuple(m.row for m in found),
        tuple(m.name for m in found if m.missed),
        ("Times after loading, median of 5 runs, on the processor unless a row says otherwise.",),
    )


def sample_pictures(folder: Path) -> dict[str, Path]:
    """One simulated frame in every size and a close-up, drawn here so that the drawing is not measured."""
    small, close = (
        draw_production(SIMULATED_SEED, SIZES_WH["1080p"], shot=shot, alike=0.0).frame
        for shot in ("medium", "extreme_close_up")
    )
    pictures = {
        name: cv2.resize(small, size_wh, interpolation=cv2.INTER_CUBIC) for name, size_wh in SIZES_WH.items()
    }
    paths = {}
    for name, rgb in (pictures | {CLOSE: close}).items():
        paths[name] = folder / f"{name.replace(' ', '-')}.png"
        write_png(paths[name], rgb)
    return paths


def _frames(pictures: dict[str, Path], cel: str, lines: str, threads: int) -> Iterator[Measured]:
    full_hd = Goal(3), Goal(0.25), Goal(3)
    goals = {"1080p": full_hd, CLOSE: full_hd, "4K": (None, None, Goal(4))}
    for size, (total, cleaning, memory) in goals.items():
        found = run_probe("frame", threads, pictures[size], cel, lines, "cpu")
        yield Measured(f"{size}: both stages and post-processing", found["total_s"], goal=total)
        yield Measured(f"{size}: stage one, the cel", found["cel_s"])
        yield Measured(f"{size}: stage two, the lines", found["lines_s"])
        yield Measured(f"{size}: post-processing", found["clean_s"], goal=cleaning)
        yield Measured(f"{size}: peak of resident memory", found["peak_mib"] / 1024, "GiB", memory)
        if size == "1080p":
            yield Measured("loading both networks", found["loading_s"])


def _simulator(folder: Path) -> Iterator[Measured]:
    found = run_probe("simulator", 1, SIMULATED_SEED, folder)
    least = Goal(3, at_most=False)
    yield Measured("simulator, one core: labelled 512 x 512 crops", found["crops_per_s"], "/s", least)
    yield Measured("simulator, one core: 1080p frames with twin", found["twins_per_s"], "/s")
    yield Measured("cache: a labelled 512 x 512 crop, the first time", found["first_ms"], "ms")
    yield Measured("cache: a labelled 512 x 512 crop, from then on", found["ms"], "ms")


def _sequence(picture: Path, folder: Path, cel: str, lines: str) -> Iterator[Measured]:
    import torch

    name, goal = "GPU and all cores: 1080p sequence, from files to files", Goal(24, at_most=False)
    if not torch.cuda.is_available():
        yield Measured(name, None, "/s", goal, NO_GPU)
        return
    found = run_probe("sequence", 0, picture, SEQUENCE, folder, cel, lines, "cuda")
    yield Measured(name, found["frames_per_s"], "/s", goal)
    yield Measured("GPU: peak of resident memory", found["peak_mib"] / 1024, "GiB")


def _import_seconds() -> float:
    return statistics.median(float(run_python("-c", _IMPORT, threads=1)) for _ in range(5))


def run_probe(name: str, threads: int, *arguments: object) -> dict[str, float]:
    """What a measurement of `douga_training.bench.probe` says, from a process of its own."""
    printed = run_python("-m", "douga_training.bench.probe", name, threads, *arguments, threads=threads)
    result: dict[str, float] = json.loads(printed)
    return result


def run_python(*arguments: object, threads: int) -> str:
    """Standard output of a fresh interpreter with so many threads, 0 for all. Raises InputError."""
    limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)} if threads else {}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | limits,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"speed: a measurement failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout
