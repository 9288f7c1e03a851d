"""Frames on which stage one fails, by the masks that it found there, to show them more often.

ToonOut (3.2.1) chooses its pictures so, and some on which all is well already, to keep the set balanced.
"""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from douga.types import U8
from douga_training.raw_cache import FOUND, FOUND_IN_TWIN, SceneFolder

HARD_IOU = 0.94  # of a found mask and the true one: what is below is hard
_EVERY = 4  # of rows and columns, enough for an IoU
_TRUTH = "cel_mask"


def hard_positions(folders: Sequence[SceneFolder]) -> list[int]:
    """Positions, counted over all folders, of the frames with a found mask that falls short of HARD_IOU.

    The mask may be of the frame or of its broadcast twin. Frames without one are not hard. Raises InputError
    where a mask cannot be read.
    """
    frames = [(folder, index) for folder in folders for index in range(len(folder))]
    bar = tqdm(frames, desc="hard frames", unit="frame", disable=None, leave=False)
    return [position for position, (folder, index) in enumerate(bar) if _is_hard(folder, index)]


def _is_hard(folder: SceneFolder, index: int) -> bool:
    return any(
        _iou(folder.image(index, kind), folder.image(index, _TRUTH)) < HARD_IOU
        for kind in (FOUND, FOUND_IN_TWIN)
        if folder.has(index, kind)
    )


def _iou(found: U8, true: U8) -> float:
    """1 where neither has anything; an island in a frame without a cel makes it 0."""
    mine, truth = (mask[::_EVERY, ::_EVERY] > 127 for mask in (found, true))
    union = (mine | truth).sum()
    return float((mine & truth).sum() / union) if union else 1.0
