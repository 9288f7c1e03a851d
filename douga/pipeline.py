"""Frame -> cel mask -> line classes -> cleaned classes -> layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from douga.layers import build_layers
from douga.palettes import Palette
from douga.postprocess import clean_douga
from douga.types import CelMask, ClassMap, Frame, Layer

Probabilities = NDArray[np.floating]  # (10, H, W) float16 or float32, 0 to 1, one plane a class


@dataclass(frozen=True)
class Stages:
    """The two networks as plain functions, so that neither torch nor weights are needed to know them.

    find_cel: frame -> cel mask of its size; `douga.own_masks.OwnMasks` is one that asks the user instead of a
    network. find_lines: frame and cel mask -> probabilities of the classes, which sum to 1.
    """

    find_cel: Callable[[Frame], CelMask]
    find_lines: Callable[[Frame, CelMask], Probabilities]


@dataclass(frozen=True)
class Settings:
    """How a douga is cleaned and coloured. line_width_px: width of every line after cleaning."""

    palette: Palette
    line_width_px: int = 3


@dataclass(frozen=True)
class Seen:
    """What the networks made of a frame."""

    frame: Frame
    cel_mask: CelMask
    probabilities: Probabilities


@dataclass(frozen=True)
class Reconstruction:
    """A frame taken apart. layers: bottom of the stack first, see `douga.layers.build_layers`."""

    frame: Frame
    cel_mask: CelMask
    classes: ClassMap
    layers: list[Layer]


def reconstruct(frame: Frame, stages: Stages, settings: Settings) -> Reconstruction:
    """Take a frame apart."""
    return clean(see(frame, stages), settings)


def see(frame: Frame, stages: Stages) -> Seen:
    """The half that the networks do: frame -> cel mask -> line classes."""
    cel_mask = stages.find_cel(frame)
    return Seen(frame, cel_mask, stages.find_lines(frame, cel_mask))


def clean(seen: Seen, settings: Settings) -> Reconstruction:
    """The half that needs no network: line classes -> cleaned classes -> layers."""
    classes = clean_douga(
        seen.probabilities, seen.frame.rgb, seen.cel_mask, line_width_px=settings.line_width_px
    )
    layers = build_layers(seen.frame, seen.cel_mask, classes, settings.palette)
    return Reconstruction(seen.frame, seen.cel_mask, classes, layers)
