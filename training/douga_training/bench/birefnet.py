"""Our BiRefNet with Swin-L beside the public one: the same numbers, sooner, in less memory.

python -m douga_training.bench.birefnet PUBLIC, where that is a checkout of ZhengPeng7/BiRefNet. The weights
are those of chance that `public.seeded` gives, their answers as sure as trained ones. Each measurement runs
in a process of its own: `measure` starts them, `main` is also what they run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from douga.errors import DougaError
from douga_training.bench.probe import peak_bytes
from douga_training.bench.speed import Goal, Measured, run_python
from douga_training.bench.tables import Table, as_text, describe_machine, write_tables

ENCODERS = {"swin_t": "swin_v1_t", "swin_s": "swin_v1_s", "swin_b": "swin_v1_b", "swin_l": "swin_v1_l"}
SQUARE_HW, WIDE_HW = (1024, 1024), (768, 1280)
AGREES, ALIKE = 1e-4, 1e-2  # float32 logits; bfloat16 alpha
RUNS = 2
_GIB = 1 << 30


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, or do one part of it. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m douga_training.bench.birefnet", description=__doc__)
    add = parser.add_argument
    add("public", type=Path, help="checkout of ZhengPeng7/BiRefNet")
    add("--encoder", choices=ENCODERS, default="swin_l", help="default: %(default)s, which ToonOut has")
    add("--scale", type=int, default=1, help="divide the sizes by this, for a quick look")
    add("--threads", type=int, default=2, help="processor threads (default: 2)")
    add("--write", type=Path, metavar="FILE", help="put the table into a Markdown file, between markers")
    add("--part", choices=PARTS, help=argparse.SUPPRESS)
    add("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.part:
        print(json.dumps(PARTS[args.part](args)))
        return 0
    try:
        table = measure(args)
        print(as_text(table))
        if args.write:
            write_tables(args.write, [table], describe_machine(args.threads, "cpu"))
    except DougaError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def measure(args: argparse.Namespace) -> Table:
    """Run all parts, one after the other, and compare."""
    with tempfile.TemporaryDirectory(prefix="douga-birefnet-") as name:
        found = {part: _part(part, args, Path(name)) for part in PARTS}
        rows = _rows(found, Path(name), args)
    size = f"{SQUARE_HW[1] // args.scale} x {SQUARE_HW[0] // args.scale}"
    return Table(
        "birefnet",
        f"BiRefNet ({args.encoder}) at {size} beside the public implementation",
        "python -m douga_training.bench.birefnet PUBLIC",
        ("measurement", "value", "goal", ""),
        tuple(row.row for row in rows),
        tuple(row.name for row in rows if row.missed),
        (f"Weights of chance; the faster of {RUNS} runs. Peaks are of a process that loads, too.",),
    )


def _rows(found: dict[str, dict[str, float]], folder: Path, args: argparse.Namespace) -> list[Measured]:
    theirs, quick = found["public"], found["bfloat16"]
    apart = {
        size: float(np.abs(_answer(folder, "public", size) - _answer(folder, "float32", size)).max())
        for size in ("square", "wide")
    }
    alphas = [1 / (1 + np.exp(-_answer(folder, part, "square"))) for part in ("public", "bfloat16")]
    alike = np.abs(alphas[0] - alphas[1]) <= ALIKE
    least = Goal(1.5, at_most=False)
    rows = [Measured(f"{name}: time", found[name]["s"]) for name in ("public", "float32", "bfloat16")]
    rows += [Measured(f"{name}: processor time", found[name]["cpu_s"]) for name in ("public", "bfloat16")]
    rows += [
        Measured(f"{name}: peak of memory", found[name]["peak_gib"], "GiB") for name in ("public", "bfloat16")
    ]
    return [
        *rows,
        Measured("bfloat16: times as fast as the public one", theirs["s"] / quick["s"], "", least),
        Measured("the same by processor time", theirs["cpu_s"] / quick["cpu_s"], "", least),
        Measured("bfloat16: share of its peak", quick["peak_gib"] / theirs["peak_gib"], "", Goal(2 / 3)),
        Measured(
            "bfloat16: pixels within 0.01 of its alpha", 100 * alike.mean(), "%", Goal(99.9, at_most=False)
        ),
        *(
            Measured(
                f"float32, {size}: largest difference of logits, in 1e-6",
                1e6 * apart[size],
                "",
                Goal(1e6 * AGREES),
            )
            for size in apart
        ),
        Measured(
            "deviation of the public one's logits", float(_answer(folder, "public", "square").std()), ""
        ),
    ]


def _answer(folder: Path, part: str, size: str) -> np.ndarray:
    return np.load(folder / f"{part}-{size}.npy")


def _part(part: str, args: argparse.Namespace, folder: Path) -> dict[str, float]:
    options = (
        "--encoder",
        args.encoder,
        "--scale",
        args.scale,
        "--threads",
        args.threads,
        "--folder",
        folder,
    )
    command = ("-m", "douga_training.bench.birefnet", args.public, "--part", part, *options)
    printed = run_python(*command, threads=args.threads)
    print(f"{part}: {printed.strip()}", file=sys.stderr, flush=True)
    result: dict[str, float] = json.loads(printed.splitlines()[-1])
    return result


# -- what runs in processes of their own ---------------------------------------------------------------------


def prepare(args: argparse.Namespace) -> dict[str, float]:
    """Weights as theirs and as ours, and the two pictures."""
    from douga.checkpoint import WeightsInfo, save_tensors
    from douga.published import read_published
    from douga_training.bench.public import fill, public_birefnet
    from douga_training.simulate.production import draw_production

    theirs = args.folder / "theirs.pth"
    torch.save(fill(public_birefnet(args.public, ENCODERS[args.encoder])).state_dict(), theirs)
    found = read_published(theirs)
    info = WeightsInfo("cutout", found.config, "color", 0, kind=found.kind)
    save_tensors(args.folder / "ours.safetensors", found.tensors, info, half=False)
    for name, (h, w) in {"square": SQUARE_HW, "wide": WIDE_HW}.items():
        frame = draw_production(5, (w // args.scale, h // args.scale), shot="medium").frame
        np.save(args.folder / f"{name}.npy", frame)
    return {"tensors": len(found.tensors)}


def run_public(args: argparse.Namespace) -> dict[str, float]:
    """Theirs in float32, as it stands."""
    from douga_training.bench.public import public_birefnet

    network = public_birefnet(args.public, ENCODERS[args.encoder])
    network.load_state_dict(torch.load(args.folder / "theirs.pth", weights_only=True, mmap=True))
    return _measured(args, "public", network, lambda image: network(image)[-1])


def run_ours(args: argparse.Namespace, precision: torch.dtype) -> dict[str, float]:
    """Ours, loaded as every weights file."""
    from douga.checkpoint import load_network

    network = load_network(args.folder / "ours.safetensors", "cpu", precision=precision).network
    return _measured(args, str(precision).removeprefix("torch."), network, network)


def _measured(
    args: argparse.Namespace, part: str, network: nn.Module, answer: Callable[[Tensor], Tensor]
) -> dict[str, float]:
    """Seconds and peak on the square picture; both answers are kept."""
    del network
    square = _picture(args.folder / "square.npy")
    walls, processors = [], []
    with torch.inference_mode():
        for _ in range(RUNS):
            begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
            found = answer(square)
            walls.append(time.perf_counter() - begun_s)
            processors.append(time.process_time() - begun_cpu_s)
        peak = peak_bytes()
        np.save(args.folder / f"{part}-square.npy", found.numpy())
        if part != "bfloat16":
            np.save(args.folder / f"{part}-wide.npy", answer(_picture(args.folder / "wide.npy")).numpy())
    return {"s": min(walls), "cpu_s": min(processors), "peak_gib": peak / _GIB}


def _picture(path: Path) -> Tensor:
    """(1, 3, H, W) as both networks take it."""
    from douga.networks.birefnet import BiRefNet

    colours = torch.from_numpy(np.load(path)).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (BiRefNet.mean, BiRefNet.std))
    return (colours - mean) / std


PARTS: dict[str, Callable[[Any], dict[str, float]]] = {
    "prepare": prepare,
    "public": run_public,
    "float32": lambda args: run_ours(args, torch.float32),
    "bfloat16": lambda args: run_ours(args, torch.bfloat16),
}


if __name__ == "__main__":
    raise SystemExit(main())
