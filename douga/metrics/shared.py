"""What all scores have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from douga.errors import InputError

Mask = NDArray[np.bool_]
Shares = NDArray[np.float64]


def share(part: NDArray[np.integer], whole: NDArray[np.integer]) -> Shares:
    """part / whole, element by element; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def require_same_size(prediction: NDArray, truth: NDArray) -> None:
    """Raises InputError where two planes differ in size."""
    if prediction.shape != truth.shape:
        raise InputError(
            f"prediction and truth differ in size: {prediction.shape} and {truth.shape} (H, W); "
            "compare results of the same frame at its own size"
        )
