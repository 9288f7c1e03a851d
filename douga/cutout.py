"""Soft alpha -> colours without the background's share: a character, ready to composite. No network here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from douga.errors import InputError
from douga.foreground import estimate_foreground
from douga.types import F32, Frame


@dataclass(frozen=True)
class Alpha:
    """How opaque each pixel of a frame is. values: (H, W) float32, 0 to 1, of the frame's size."""

    frame: Frame
    values: F32

    def __post_init__(self) -> None:
        if self.values.shape != self.frame.size_hw or self.values.dtype != np.float32:
            raise InputError(
                f"Alpha.values: expected float32 of {self.frame.size_hw}, the frame's size, got "
                f"{self.values.dtype} of {self.values.shape}"
            )


@dataclass(frozen=True)
class Cutout:
    """A character cut out of its frame.

    alpha: (H, W) float32, 0 to 1. colours: (H, W, 3) float32, 0 to 1, sRGB values, straight; they go on for
    3 px beyond the edge and are 0 farther away, see `douga.foreground`.
    """

    frame: Frame
    alpha: F32
    colours: F32


FindAlpha = Callable[[Frame], Alpha]


def cut_out(alpha: Alpha) -> Cutout:
    """Take the background out of the edge's colours. The network's part is `douga.alpha.find_alpha`."""
    return Cutout(alpha.frame, alpha.values, estimate_foreground(alpha.frame.rgb, alpha.values))
