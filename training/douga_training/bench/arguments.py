"""What every measurement can be told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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


def command(
    program: str, parser: argparse.ArgumentParser, args: argparse.Namespace, deciding: Sequence[str]
) -> str:
    """The command line that measures the same again: of the options that decide figures those that differ
    from what they usually are.

    program: with its positional arguments. deciding: options by the names that they have in `args`.
    """
    told = [program]
    for name in deciding:
        value, option = getattr(args, name), f"--{name.replace('_', '-')}"
        if value != parser.get_default(name):
            told.append(option if value is True else f"{option} {value}")
    return " ".join(told)


def use_threads(count: int) -> None:
    """Let torch and OpenCV use so many threads. Raises InputError for fewer than one."""
    import cv2
    import torch

    if count < 1:
        raise InputError(f"--threads: got {count}, expected at least 1")
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
