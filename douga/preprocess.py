"""Frame <-> tensor, shared by training, evaluation and serving. The constants are fixed, never taken from an image."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from douga.errors import InputError
from douga.types import U8

InputMode = Literal["color", "synthetic_cel", "concatenated", "manual_cel"]  # Kugler 5.6
INPUT_MODES: tuple[str, ...] = get_args(InputMode)

_CENTRE = 0.5  # of colours in 0 to 1
_SPREAD = 0.25


def input_channels(mode: str) -> int:
    """Channels that a network of this input mode takes: colours, and the mask where it is concatenated."""
    if mode not in INPUT_MODES:
        raise InputError(f"unknown input mode {mode!r}; choose one of {', '.join(INPUT_MODES)}")
    return 4 if mode == "concatenated" else 3


def to_tensor(rgb: U8, mask: U8 | None = None, *, mode: str = "color") -> Tensor:
    """Make a network's input.

    rgb: (H, W, 3) uint8 sRGB. mask: (H, W) uint8 cel mask, 0 or 255, needed by every mode but ``color``.
    mode: how the stages are joined (Kugler 5.6). ``synthetic_cel`` and ``manual_cel`` paint everything outside of
    the mask white (they differ in where the mask comes from), ``concatenated`` adds it as a fourth channel.
    Returns (3 or 4, H, W) float32, colours about -2 to 2, mask -1 or 1.
    """
    channels = input_channels(mode)
    if mode != "color" and mask is None:
        raise InputError(f"input mode {mode!r} needs a cel mask; run stage one first or give your own mask")
    if mode in ("synthetic_cel", "manual_cel"):
        rgb = np.where((mask > 127)[..., None], rgb, np.uint8(255))  # type: ignore[operator]
    colours = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1).float()  # (3, H, W)
    colours = (colours / 255 - _CENTRE) / _SPREAD
    if channels == 3:
        return colours
    plane = torch.from_numpy(np.ascontiguousarray(mask)).float()[None] / 127.5 - 1  # (1, H, W)
    return torch.cat([colours, plane])
