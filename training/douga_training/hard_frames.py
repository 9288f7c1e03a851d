"""Frames on which stage one fails, by the masks that it found there, to show them more often.

ToonOut (3.2.1) chooses its pictures so, and some on which all is well already, to keep the set balanced.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from douga.metrics.drawings import confusion_matrix, iou
from douga.types import U8
from douga_training.raw_cache import FOUND, FOUND_IN_TWIN, SceneFolder

HARD_IOU = 0.94  # of a found mask and the true one: what is below is hard
_EVERY = 4  # of rows and columns, enough for an IoU


def hard_positions(folders: Sequence[SceneFolder]) -> list[int]:
    """Positions, counted over all folders, of the frames with a found mask that falls short of HARD_IOU.

    The mask may be of the frame or of its broadcast twin. Frames without one are not hard. Raises InputError
    where a mask cannot be read or has another size than the true one.
    """
    frames = [(folder, index) for folder in folders for index in range(len(folder))]
    bar = tqdm(frames, desc="hard frames", unit="frame", disable=None, leave=False)
    return [position for position, (folder, index) in enumerate(bar) if _is_hard(folder, index)]


def _is_hard(folder: SceneFolder, index: int) -> bool:
    found = [_thin(folder.image(index, kind)) for kind in (FOUND, FOUND_IN_TWIN) if folder.has(index, kind)]
    if not found:
        return False
    true = _thin(folder.image(index, "cel_mask"))
    # Where neither has a cel there is no IoU, which falls short of nothing.
    return any(iou(confusion_matrix(mask, true))[1] < HARD_IOU for mask in found)


def _thin(mask: U8) -> U8:
    """0 and 1 of every few rows and columns."""
    return (mask[::_EVERY, ::_EVERY] > 127).astype(np.uint8)
