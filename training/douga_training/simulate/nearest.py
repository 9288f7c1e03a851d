"""What is known at some pixels, carried to all others."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def nearest(label: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give every pixel below 0 the value of the nearest one that is not. (H, W) int32."""
    known = label >= 0
    if not known.any():
        return np.maximum(label, 0)
    zero_on_areas = (~known).astype(np.uint8)
    _, seed = cv2.distanceTransformWithLabels(zero_on_areas, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_seed = np.zeros(int(seed.max()) + 1, np.int32)
    of_seed[seed[known]] = label[known]
    return of_seed[seed]
