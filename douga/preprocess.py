"""Frame <-> tensor, shared by training, evaluation and serving.

The constants are fixed, never taken from an image: frames of one sequence must not flicker. Night scenes are
lifted by their mean brightness, which hardly moves within a cut, and by nothing that jumps.
"""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np
import torch
from torch import Tensor

from douga.errors import InputError
from douga.types import U8

InputMode = Literal["color", "synthetic_cel", "concatenated", "manual_cel"]  # Kugler 5.6
INPUT_MODES: tuple[str, ...] = get_args(InputMode)

_CENTRE = 0.5  # of colours in 0 to 1
_SPREAD = 0.25
_NIGHT = 0.25  # mean brightness below which a frame is lifted


def input_channels(mode: str) -> int:
    """Channels that a network of this input mode takes: colours, and the mask where it is concatenated."""
    if mode not in INPUT_MODES:
        raise InputError(f"unknown input mode {mode!r}; choose one of {', '.join(INPUT_MODES)}")
    return 4 if mode == "concatenated" else 3


def to_tensor(rgb: U8, mask: U8 | None = None, *, mode: str = "color") -> Tensor:
    """Make a network's input.

    rgb: (H, W, 3) uint8 sRGB. mask: (H, W) uint8 cel mask, 0 or 255, needed by every mode but ``color``.
    mode: how the stages are joined (Kugler 5.6). ``synthetic_cel`` and ``manual_cel`` paint everything
    outside of the mask white (they differ in where the mask comes from), ``concatenated`` adds it as a
    fourth channel. Returns (3 or 4, H, W) float32, colours -2 to 2, mask -1 or 1. Raises InputError for an
    unknown mode, a missing mask and one of another size.
    """
    channels = input_channels(mode)
    if mode == "color":
        return _colours(rgb)
    if mask is None:
        raise InputError(f"input mode {mode!r} needs a cel mask; run stage one first or give your own mask")
    if mask.shape != rgb.shape[:2]:
        raise InputError(
            f"the cel mask is {mask.shape}, the frame {rgb.shape[:2]}; give one of the frame's size"
        )
    if channels == 3:
        return _colours(np.where((mask > 127)[..., None], rgb, np.uint8(255)))
    plane = torch.from_numpy(np.ascontiguousarray(mask)).float()[None] / 127.5 - 1  # (1, H, W)
    return torch.cat([_colours(rgb), plane])


def to_rgb(tensor: Tensor) -> U8:
    """The colours of a network's input, for people to look at. (3 or 4, H, W) -> (H, W, 3) uint8 sRGB."""
    colours = (tensor[:3].float().cpu() * _SPREAD + _CENTRE).clamp(0, 1) * 255
    return colours.round().byte().permute(1, 2, 0).numpy()


def _colours(rgb: U8) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) float32"""
    colours = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1).float()
    return (colours / 255 - _CENTRE) / _SPREAD


def lifted(rgb: U8, like: U8 | None = None) -> U8:
    """A night scene as bright as a dim day, by one gamma; other frames as they are. (H, W, 3) uint8 sRGB.

    The mean of the grey frame decides, 0 to 1: what is below 0.25 gets the gamma that brings it there. like:
    (h, w, 3) uint8, the whole frame at any size, where rgb is a part of it.
    """
    frame = rgb if like is None else like
    mean = max(float(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).mean()) / 255, 1 / 255)
    if mean >= _NIGHT:
        return rgb
    gamma = np.log(_NIGHT) / np.log(mean)
    table = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return np.asarray(cv2.LUT(rgb, table), np.uint8)
