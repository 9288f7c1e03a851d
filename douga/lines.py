"""Stage two: which of the ten douga classes is each pixel? (Kugler, chapter 5)"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from douga.checkpoint import LoadedNetwork
from douga.errors import CheckpointError
from douga.inference import Box, OnStep, predict_where_drawn
from douga.preprocess import to_tensor
from douga.types import CelMask, Frame


def find_lines(
    frame: Frame,
    cel: CelMask,
    network: LoadedNetwork,
    *,
    region: Box | None = None,
    on_step: OnStep = lambda share: None,
) -> NDArray[np.float16]:
    """Class probabilities of each pixel, (10, H, W) float16, summing to one; order of `DougaClass`.

    The cel mask goes in as the network's input mode says (Kugler 5.6). region, on_step: see
    `douga.inference.predict_where_drawn`; the answer has the region's size. Raises CheckpointError where the
    network is not one of stage two, InputError where the mask has another size than the frame.
    """
    if network.info.stage != "lines":
        raise CheckpointError(
            f"{network.path}: weights of stage {network.info.stage!r}; stage two needs 'lines' weights"
        )
    mode = network.info.input_mode
    image = to_tensor(frame.rgb, cel.mask, mode=mode)
    return predict_where_drawn(network, image, cel.mask, region=region, on_step=on_step).numpy()
