"""Stages without networks, for tests of whatever calls the pipeline: ours, the server's, a plugin's."""

from __future__ import annotations

import numpy as np

from douga.classes import NUM_CLASSES, DougaClass
from douga.pipeline import Stages
from douga.types import F32, CelMask, Frame


def fake_stages() -> Stages:
    """Stages that are right about simple drawings: white is background, black is ink, the rest is paint."""
    return Stages(find_cel=_not_white, find_lines=_dark_is_line)


def _not_white(frame: Frame) -> CelMask:
    return CelMask(np.where(frame.rgb.min(axis=2) < 250, np.uint8(255), np.uint8(0)))


def _dark_is_line(frame: Frame, cel: CelMask) -> F32:
    """Returns (10, H, W) float32, certain of one class everywhere."""
    ink = (frame.rgb.max(axis=2) < 60) & (cel.mask > 0)
    probabilities = np.zeros((NUM_CLASSES, *frame.size_hw), np.float32)
    probabilities[DougaClass.FLAT] = ~ink
    probabilities[DougaClass.VISIBLE_LINE] = ink
    return probabilities
