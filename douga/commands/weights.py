"""``douga weights``: what came with this installation."""

from __future__ import annotations

import argparse
import hashlib

from douga.shipped import shipped_weights

EXAMPLES = """\
examples:
  douga weights
  douga reconstruct frame.png --out result --weights-lines my-lines.safetensors
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none: weights of one's own are given to the other commands as files."""


def run(args: argparse.Namespace) -> int:
    """Print name, size and hash of every shipped file."""
    for name, path in shipped_weights().items():
        data = path.read_bytes()
        print(f"{name:14} {len(data) / 1e6:6.1f} MB  sha256 {hashlib.sha256(data).hexdigest()}  {path}")
    return 0
