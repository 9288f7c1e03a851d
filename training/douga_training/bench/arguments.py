"""What every measurement can be told on its command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from douga.errors import InputError

CHECKOUT = Path(__file__).parents[3]
REAL = CHECKOUT.parent / "shared" / "real"


def common_arguments() -> argparse.ArgumentParser:
    """Device, threads and real drawings, as a parent for the parser of a measurement."""
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--device", default="auto", help="for the scores: auto, cpu, cuda (default: auto)")
    add("--threads", type=int, default=2, metavar="N", help="processor threads (default: 2)")
    add(
        "--real",
        type=Path,
        default=REAL,
        metavar="DIR",
        help="real drawings with truth (default: ../shared/real beside the checkout)",
    )
    return parser


def use_threads(count: int) -> None:
    """Let torch and OpenCV use so many threads. Raises InputError for fewer than one."""
    import cv2
    import torch

    if count < 1:
        raise InputError(f"--threads: got {count}, expected at least 1")
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
