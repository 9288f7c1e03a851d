"""What `speed` runs in a process of its own, so that neither memory nor caches of another measurement count.

python -m douga_training.bench.probe NAME THREADS ARGUMENT... prints one line of JSON. THREADS 0 means as
many as the machine has.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

RUNS = 5
CROP_PX = 512
_CROPS = 24
_TWINS = 4
_MIB = 1 << 20


def main(argv: list[str]) -> int:
    """Run one probe."""
    import cv2
    import torch

    name, threads, *rest = argv
    if int(threads):
        torch.set_num_threads(int(threads))
        cv2.setNumThreads(int(threads))
    with contextlib.redirect_stdout(sys.stderr):  # what is measured may print
        result = PROBES[name](*rest)
    print(json.dumps(result))
    return 0


def probe_frame(picture: str, cel: str, lines: str, device: str) -> dict[str, float]:
    """Seconds of each stage on one frame after loading, median of RUNS, and the peak of resident memory."""
    from douga.frame_io import read_frame
    from douga.postprocess import clean_douga
    from douga.stages import load_stages

    begun_s = time.perf_counter()
    stages = load_stages(cel, lines, device).stages
    loading_s = time.perf_counter() - begun_s
    frame = read_frame(Path(picture))
    (cel_s, lines_s, clean_s), total_s = _medians_s(
        lambda _: stages.find_cel(frame),
        lambda mask: (mask, stages.find_lines(frame, mask)),
        lambda seen: clean_douga(seen[1], frame.rgb, seen[0]),
    )
    return {
        "loading_s": loading_s,
        "cel_s": cel_s,
        "lines_s": lines_s,
        "clean_s": clean_s,
        "total_s": total_s,
        "peak_mib": peak_bytes() / _MIB,
    }


def probe_cutout(picture: str, weights: str, device: str) -> dict[str, float]:
    """Seconds of a cutout after loading, median of RUNS, and the peak of resident memory."""
    from douga.alpha import find_alpha
    from douga.cutout import cut_out
    from douga.cutout_weights import load_cutout_network
    from douga.frame_io import read_frame

    begun_s = time.perf_counter()
    network = load_cutout_network(weights, device)
    loading_s = time.perf_counter() - begun_s
    frame = read_frame(Path(picture))
    (alpha_s, colours_s), total_s = _medians_s(lambda _: find_alpha(frame, network), cut_out)
    return {
        "loading_s": loading_s,
        "alpha_s": alpha_s,
        "colours_s": colours_s,
        "total_s": total_s,
        "peak_mib": peak_bytes() / _MIB,
    }


def _medians_s(*steps: Callable[[Any], Any]) -> tuple[list[float], float]:
    """Seconds of each step and of all together, medians of RUNS. Each step gets what the one before gave."""
    rounds = []
    for _ in range(RUNS + 1):
        given = None
        marks = [time.perf_counter()]
        for step in steps:
            given = step(given)
            marks.append(time.perf_counter())
        rounds.append([end - start for start, end in pairwise(marks)])
    warm = rounds[1:]  # the first one also sets up the convolutions
    return [statistics.median(each) for each in zip(*warm, strict=True)], statistics.median(map(sum, warm))


def probe_simulator(first_seed: str, folder: str) -> dict[str, float]:
    """Labelled crops and full productions with twin a second, and milliseconds to take a crop from disk."""
    from douga_training.raw_cache import SceneFolder
    from douga_training.simulate.production import draw_production, production_twins
    from douga_training.simulate.store import write_production

    seed = int(first_seed)
    draw_production(seed, crop_px=CROP_PX)  # imports and look-up tables
    crops_s = _seconds(lambda i: draw_production(seed + i, crop_px=CROP_PX), _CROPS)
    pairs = []
    twins_s = _seconds(lambda i: pairs.append(production_twins(seed + i, (1920, 1080))), _TWINS)
    for pair in pairs:
        write_production(Path(folder), *pair)
    scenes = SceneFolder(Path(folder))
    first_s = _seconds(lambda i: _take_crop(scenes, i), len(scenes))  # unpacks the files
    again_s = _seconds(lambda i: _take_crop(scenes, i % len(scenes)), 50)
    return {
        "crops_per_s": 1 / crops_s,
        "twins_per_s": 1 / twins_s,
        "first_ms": first_s * 1e3,
        "ms": again_s * 1e3,
    }


def _take_crop(scenes: object, index: int) -> None:
    for kind in ("frame", "classes", "cel_mask"):
        scenes.image(index, kind)[200 : 200 + CROP_PX, 400 : 400 + CROP_PX].copy()  # type: ignore[attr-defined]


def _seconds(work: Callable[[int], object], count: int) -> float:
    """Mean seconds of one call."""
    begun_s = time.perf_counter()
    for i in range(count):
        work(i)
    return (time.perf_counter() - begun_s) / count


def probe_sequence(
    picture: str, count: str, folder: str, cel: str, lines: str, device: str
) -> dict[str, float]:
    """Frames a second of `douga reconstruct` over a numbered sequence, all files written, after loading."""
    from douga.commands.session import Console, Session, Todo, equip_locally
    from douga.frame_io import open_sources, read_frame
    from douga.palettes import load_palette
    from douga.pipeline import Settings, see
    from douga.results import ResultFolder
    from douga.stages import load_stages

    frames, out = Path(folder) / "frames", Path(folder) / "out"
    frames.mkdir(parents=True)
    for number in range(int(count)):
        shutil.copyfile(picture, frames / f"{number:04d}.png")
    loaded = load_stages(cel, lines, device)
    see(read_frame(Path(picture)), loaded.stages)
    sources = open_sources([frames])
    settings = Settings(load_palette("kugler"))
    results = ResultFolder(out, settings, load_palette("retas"))
    equipment = equip_locally(loaded.stages, settings, loaded.device, loaded.weights, None)
    results.prepare()
    session = Session(Todo(sources, results), equipment, results, Console(sources.count), "reconstruct", {})
    begun_s = time.perf_counter()
    session.process()
    return {"frames_per_s": int(count) / (time.perf_counter() - begun_s), "peak_mib": peak_bytes() / _MIB}


def peak_bytes() -> int:
    """Most memory that this process has held at once."""
    with contextlib.suppress(OSError):
        # Not ru_maxrss where it can be helped: on Linux it begins with what the parent process held.
        for line in Path("/proc/self/status").read_text("ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


PROBES: dict[str, Callable[..., dict[str, float]]] = {
    "frame": probe_frame,
    "cutout": probe_cutout,
    "simulator": probe_simulator,
    "sequence": probe_sequence,
}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
