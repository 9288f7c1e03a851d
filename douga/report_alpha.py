"""The alphas' part of the page that `douga evaluate` writes: a table, then the frames, worst first."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from douga.errors import DougaError
from douga.evaluate_alpha import FOLDER, AlphaFrame, read_alpha
from douga.frame_io import pictures_named, read_frame
from douga.metrics.mattes import INVISIBLE, foreground, visible_errors
from douga.types import U8

_FRAMES = {FOLDER: "frame", "gt": "im"}  # beside the alphas, as the simulator and as studios have them
TOO_MUCH, TOO_LITTLE, FORGIVEN = (222, 45, 38), (40, 105, 220), (240, 190, 60)


def worst_first(frames: dict[str, AlphaFrame]) -> list[tuple[str, AlphaFrame]]:
    """Frames by rising quality, then by name."""
    return sorted(frames.items(), key=lambda item: (item[1].score.quality, item[0]))


def alpha_pictures(frame: AlphaFrame) -> list[tuple[str, U8]]:
    """Captions and (H, W, 3) uint8 sRGB pictures: the frame where the truth has it, both alphas, errors."""
    out = []
    source = _frame_of(frame.true)
    if source is not None:
        with suppress(DougaError):  # the picture is an extra: the scores stand without it
            out.append(("frame", read_frame(source).rgb))
    predicted, true = read_alpha(frame.predicted), read_alpha(frame.true)
    out.append(("predicted alpha", cv2.cvtColor(predicted, cv2.COLOR_GRAY2RGB)))
    out.append(("true alpha", cv2.cvtColor(true, cv2.COLOR_GRAY2RGB)))
    out.append(("errors of the alpha", alpha_overlay(predicted, true)))
    return out


def _frame_of(alpha: Path) -> Path | None:
    """The frame of a true alpha: in frame/ in place of alpha/, or in im/ in place of gt/, in any format."""
    parts = list(alpha.absolute().parent.parts)
    for i in reversed(range(len(parts))):
        if parts[i] in _FRAMES:
            parts[i] = _FRAMES[parts[i]]
            return next(iter(pictures_named(Path(*parts), alpha.stem)), None)
    return None


def alpha_overlay(predicted: U8, true: U8) -> U8:
    """Where a person would see the error (Pixel Accuracy's own mask): too opaque in red, too clear in blue.

    Seen errors at edges that the 5 x 5 erosion forgives are yellow; the true foreground is pale, the rest
    white. predicted, true: (H, W) uint8. Returns (H, W, 3) uint8 sRGB.
    """
    out = np.full((*true.shape, 3), 255, np.uint8)
    out[foreground(true)] = (216, 226, 220)
    off = cv2.absdiff(predicted, true) > INVISIBLE
    counted = cv2.dilate(visible_errors(predicted, true).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    out[off & ~counted] = FORGIVEN
    out[off & counted & (predicted > true)] = TOO_MUCH
    out[off & counted & (predicted < true)] = TOO_LITTLE
    return out
