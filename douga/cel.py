"""Stage one: where is the cel? (Kugler, chapter 4)"""

from __future__ import annotations

import numpy as np

from douga.checkpoint import LoadedNetwork
from douga.errors import CheckpointError
from douga.inference import predict
from douga.preprocess import to_tensor
from douga.types import F32, CelMask, Frame


def cel_probability(frame: Frame, network: LoadedNetwork) -> F32:
    """How surely each pixel is cel. Returns (H, W) float32, 0 to 1.

    Raises CheckpointError where the network is not one of stage one.
    """
    if network.info.stage != "cel":
        raise CheckpointError(
            f"{network.path}: weights of stage {network.info.stage!r}; stage one needs 'cel' weights"
        )
    return predict(network, to_tensor(frame.rgb))[1].float().numpy()


def find_cel(frame: Frame, network: LoadedNetwork) -> CelMask:
    """Separate cel from background and books. Returns a mask of its size. Raises as above."""
    return CelMask(np.where(cel_probability(frame, network) >= 0.5, np.uint8(255), np.uint8(0)))
