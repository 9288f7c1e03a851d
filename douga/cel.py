"""Stage one: where is the cel? (Kugler, chapter 4)"""

from __future__ import annotations

import cv2
import numpy as np

from douga.checkpoint import LoadedNetwork
from douga.errors import CheckpointError
from douga.inference import Box, OnStep, predict_near_borders
from douga.ink import with_outline
from douga.paint import vote_by_paint
from douga.preprocess import lifted, to_tensor
from douga.types import F32, U8, CelMask, Frame

# Islands and holes below this share of the frame are doubt, not drawing: 8 x 8 px at 1920 x 1080.
_SPECK_SHARE = 64 / (1920 * 1080)
# How far from a border of the small answer full resolution still decides: 48 px at 1920 x 1080.
BORDER_CELLS = 8
_CLOSER = 1.5  # the second look at frames in which the cel is small
_CLEAR = 0.05  # by how much a paint must be rather cel than background, or the reverse
_SURE, _SURE_SHARE = 0.9, 0.3  # an island without this share of pixels this surely cel is background,
_OF_ALL = 0.5  # or without this share of what the whole mask has, where all of it is doubtful


def cel_probability(
    frame: Frame,
    network: LoadedNetwork,
    *,
    region: Box | None = None,
    on_step: OnStep = lambda share: None,
) -> F32:
    """How surely each pixel is cel, of a night scene after lifting it. Returns (H, W) float32, 0 to 1.

    region, on_step: see `douga.inference.predict_near_borders`. Raises CheckpointError where the network is
    not one of stage one.
    """
    if network.info.stage != "cel":
        raise CheckpointError(
            f"{network.path}: weights of stage {network.info.stage!r}; stage one needs 'cel' weights"
        )
    image = to_tensor(lifted(frame.rgb))
    return predict_near_borders(
        network, image, cells=BORDER_CELLS, closer=_CLOSER, region=region, on_step=on_step
    )


def find_cel(
    frame: Frame,
    network: LoadedNetwork,
    *,
    region: Box | None = None,
    on_step: OnStep = lambda share: None,
) -> CelMask:
    """Separate cel from background and books, without specks; what is of one paint is the one or the other.

    Islands of which the network is nowhere sure are none. The outline belongs to the cel with the whole of
    its ink. Returns a mask of the frame's size.

    region: where it has to be exact; outside of it the context's small answer is enough. Otherwise as above.
    """
    probability = cel_probability(frame, network, region=region, on_step=on_step)
    voted = vote_by_paint({0: 1 - probability, 1: probability}, frame.rgb, clear=_CLEAR, across=True)
    mask = (voted[1] >= 0.5).astype(np.uint8)
    speck_px = round(_SPECK_SHARE * mask.size)
    whole = 1 - without_specks(1 - without_specks(mask, speck_px), speck_px)
    return CelMask(with_outline(_sure_islands(whole, probability), frame.rgb) * np.uint8(255))


def without_specks(mask: U8, speck_px: int) -> U8:
    """Drop the 8-connected islands of fewer than `speck_px` pixels from a (H, W) uint8 mask of 0 and 1."""
    _, label, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = (stats[:, cv2.CC_STAT_AREA] >= speck_px).astype(np.uint8)
    keep[0] = 0  # label 0 is what is not in the mask
    return keep[label]


def _sure_islands(mask: U8, probability: F32) -> U8:
    """Drop islands that are half believed all over: furniture, signs and leaves that look somewhat like cels.

    An island that the network did not see at all stays: it is there for its paint, which is cel elsewhere. So
    does the surest island of a frame in which the network is sure of none.
    """
    islands, label = cv2.connectedComponents(mask, connectivity=8)
    size = np.bincount(label.reshape(-1), minlength=islands)
    sure = np.bincount(label[probability >= _SURE], minlength=islands)
    believed = np.bincount(label.reshape(-1), probability.reshape(-1), minlength=islands)
    least = min(_SURE_SHARE, _OF_ALL * sure[1:].sum() / max(1, size[1:].sum()))
    keep = ((sure >= least * size) | (believed < 0.5 * size)).astype(np.uint8)
    keep[0] = 0  # label 0 is what is not in the mask
    return keep[label]
