"""Stage two: which of the ten douga classes is each pixel? (Kugler, chapter 5)"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from douga.checkpoint import LoadedNetwork, WeightsInfo
from douga.classes import AREA_CLASSES
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

    The cel mask goes in as the network's input mode says (Kugler 5.6). Fills that training made much of are
    no likelier for it: see `without_zeal`. region, on_step: see
    `douga.inference.predict_where_drawn`; the answer has the region's size. Raises CheckpointError where the
    network is not one of stage two, InputError where the mask has another size than the frame.
    """
    if network.info.stage != "lines":
        raise CheckpointError(
            f"{network.path}: weights of stage {network.info.stage!r}; stage two needs 'lines' weights"
        )
    mode = network.info.input_mode
    image = to_tensor(frame.rgb, cel.mask, mode=mode)
    weighed = partial(without_zeal, costs=area_costs(network.info))
    return predict_where_drawn(
        network, image, cel.mask, region=region, weighed=weighed, on_step=on_step
    ).numpy()


def area_costs(info: WeightsInfo) -> tuple[float, ...]:
    """What training made of a mistake in each area class, by the recipe in the weights; 1.0 where it says
    nothing.
    """
    given = info.recipe.get("class_weights") if info.recipe.get("loss") == "weighted" else None
    return tuple(given[c] for c in AREA_CLASSES) if given else (1.0,) * len(AREA_CLASSES)


def without_zeal(answer: Tensor, costs: Sequence[float]) -> Tensor:
    """Take half back of the zeal for rare fills that training by weighted losses leaves in a network.

    answer: (10, H, W), probabilities. costs: of the area classes, in their order. The probability that a
    pixel is a line stays. Returns the same shape and dtype.
    """
    if len(set(costs)) == 1:
        return answer
    rows = list(AREA_CLASSES)
    areas = answer[rows].float()  # (5, H, W)
    fair = areas * torch.tensor(costs)[:, None, None] ** -0.5
    out = answer.clone()
    out[rows] = (fair * (areas.sum(0) / fair.sum(0).clamp_min(1e-6))).to(answer.dtype)
    return out
