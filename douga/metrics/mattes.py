"""Scores of alphas, by the definitions that papers on cutouts report.

Everywhere: prediction and truth are (H, W) uint8 alphas, 0 to 255, of one size, else InputError. A score is
NaN where it is not defined, such as recall without anything to find. Nothing is rescaled: some programs
stretch each prediction to the full range before they measure it, which makes a pale answer look sure.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from douga.metrics.drawings import boundary_overlap
from douga.metrics.shared import Mask, Shares, require_same_size
from douga.types import U8

F64 = NDArray[np.float64]

FOREGROUND_ABOVE = 128  # an alpha above it counts as foreground wherever a score wants a mask
INVISIBLE = 10  # a difference of alphas that nobody sees (ToonOut, 3.4.2)
_TINY = float(np.spacing(1.0))


def foreground(alpha: U8) -> Mask:
    """What counts as foreground: (H, W) bool, alpha above 128 of 255 (ToonOut, 3.4.2)."""
    return alpha > FOREGROUND_ABOVE


# -- pixels --------------------------------------------------------------------------------------------------


def pixel_accuracy(prediction: U8, truth: U8) -> float:
    """ToonOut's Pixel Accuracy (3.4.2, equation 3.2): 0 to 1.

    (1 - wrong / foreground)^2. Wrong are the pixels more than 10 of 255 off that are left when their mask is
    eroded once by 5 x 5; foreground are those of the truth above 128. More wrong pixels than foreground give
    0, as the printed square would not; so does any wrong pixel where there is no foreground at all.
    """
    wrong = int(np.count_nonzero(visible_errors(prediction, truth)))
    whole = int(np.count_nonzero(foreground(truth)))
    if not wrong:
        return 1.0
    return max(0.0, 1 - wrong / whole) ** 2 if whole else 0.0


def visible_errors(prediction: U8, truth: U8) -> Mask:
    """Where a person would see that the alpha is wrong: (H, W) bool, see `pixel_accuracy`."""
    require_same_size(prediction, truth)
    off = cv2.absdiff(prediction, truth) > INVISIBLE
    return cv2.erode(off.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)


def mean_absolute_error(prediction: U8, truth: U8) -> float:
    """MAE of the alphas as shares, 0 (equal) to 1 (ToonOut, 2.5.4)."""
    require_same_size(prediction, truth)
    return float(cv2.absdiff(prediction, truth).mean(dtype=np.float64)) / 255


def mean_squared_error(prediction: U8, truth: U8) -> float:
    """MSE of the alphas as shares, 0 (equal) to 1 (ToonOut, 2.5.4)."""
    require_same_size(prediction, truth)
    off = cv2.absdiff(prediction, truth).astype(np.float64) / 255
    return float((off * off).mean())


# -- thresholds ----------------------------------------------------------------------------------------------


def f_curve(prediction: U8, truth: U8, beta_squared: float = 0.3) -> Shares:
    """F-measure at every threshold: (256,) float64, 0 to 1, at [t] with foreground from t upwards.

    Its largest value is the max F, its mean the mean F; over several frames take the mean of the curves
    first. beta_squared: weight of recall, 0.3 in work on salient objects (ToonOut, 2.5.1; IS-Net, 6). NaN
    everywhere where the truth has no foreground.
    """
    on = _on(prediction, truth)
    if not on.any():
        return np.full(256, np.nan)
    hits, found = _from_threshold(prediction[on]), _from_threshold(prediction)
    # (1 + b) P R / (b P + R) with P = hits / found and R = hits / whole.
    return (1 + beta_squared) * hits / (beta_squared * int(on.sum()) + found)


def e_curve(prediction: U8, truth: U8) -> Shares:
    """E-measure at every threshold: (256,) float64, 0 to 1, as `f_curve` (ToonOut, 2.5.3; Fan et al. 2018).

    Where the truth is all foreground or has none, it is the share of pixels that are right.
    """
    on = _on(prediction, truth)
    whole, true = on.size, int(on.sum())
    hits, found = _from_threshold(prediction[on]), _from_threshold(prediction)
    if true in (0, whole):
        return found / whole if true else 1 - found / whole
    return _alignment(hits, found, true, whole)


def _alignment(hits: F64, found: F64, true: int, whole: int) -> Shares:
    """The four kinds of pixels have one alignment each, so they are counted instead of drawn."""
    mean_found, mean_true = found / whole, true / whole
    total = np.zeros(len(found))
    for is_found, is_true, count in (
        (1, 1, hits),
        (1, 0, found - hits),
        (0, 1, true - hits),
        (0, 0, whole - true - found + hits),
    ):
        bias_found, bias_true = is_found - mean_found, is_true - mean_true
        alignment = 2 * bias_found * bias_true / (bias_found**2 + bias_true**2 + _TINY)
        total += count * (1 + alignment) ** 2 / 4
    return total / whole


def _from_threshold(values: U8) -> F64:
    """How many values are t or more, for t from 0 to 255."""
    return np.bincount(values.ravel(), minlength=256)[::-1].cumsum()[::-1].astype(np.float64)


def _on(prediction: U8, truth: U8) -> Mask:
    require_same_size(prediction, truth)
    return foreground(truth)


# -- regions -------------------------------------------------------------------------------------------------


def weighted_f(prediction: U8, truth: U8, beta_squared: float = 1.0) -> float:
    """Weighted F-measure (Margolin et al. 2014; ToonOut, 2.5.1): 0 to 1, NaN without foreground.

    An error within the foreground counts less where its neighbours are right (Gaussian, 7 x 7, sigma 5), one
    outside counts more the farther it is from the foreground (half of the way after 5 px).
    """
    on = _on(prediction, truth)
    if not on.any():
        return math.nan
    off = np.abs(prediction / 255 - on)
    distance, nearest = distance_transform_edt(~on, return_indices=True)
    within = off[nearest[0], nearest[1]]  # the background takes part with its nearest foreground's error
    kernel = cv2.getGaussianKernel(7, 5.0)
    smooth = cv2.sepFilter2D(within, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    weighed = np.where(on & (smooth < off), smooth, off)
    weighed[~on] *= 2 - np.exp(math.log(0.5) / 5 * distance[~on])
    hits, added = on.sum() - weighed[on].sum(), weighed[~on].sum()
    recall, precision = 1 - weighed[on].mean(), hits / (hits + added + _TINY)
    return float((1 + beta_squared) * recall * precision / (recall + beta_squared * precision + _TINY))


def s_measure(prediction: U8, truth: U8, alpha: float = 0.5) -> float:
    """Structure measure (Fan et al. 2017; ToonOut, 2.5.2 with its erratum): 0 to 1.

    alpha: weight of the objects' evenness against the regions' structural similarity, which is taken in the
    four parts around the centre of the foreground. Without foreground it is the share of emptiness.
    """
    on = _on(prediction, truth)
    soft, share = prediction / 255, float(on.mean())
    if share in (0.0, 1.0):
        return float(soft.mean()) if share else 1 - float(soft.mean())
    evenness = share * _evenness(soft[on]) + (1 - share) * _evenness(1 - soft[~on])
    return max(0.0, alpha * evenness + (1 - alpha) * _similarity_in_parts(soft, on))


def _evenness(values: F64) -> float:
    """How sure and even an answer is where it should be 1: 1 / dissimilarity, with the truth's mean 1."""
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + spread + _TINY)


def _similarity_in_parts(soft: F64, on: Mask) -> float:
    y, x = (int(v) + 1 for v in np.argwhere(on).mean(axis=0).round())
    total = 0.0
    for rows in (slice(None, y), slice(y, None)):
        for columns in (slice(None, x), slice(x, None)):
            part = on[rows, columns]
            if part.size:
                total += part.size / on.size * _similarity(soft[rows, columns], part.astype(np.float64))
    return total


def _similarity(a: F64, b: F64) -> float:
    """SSIM of two parts as wholes, without constants."""
    mean_a, mean_b, count = float(a.mean()), float(b.mean()), max(1, a.size - 1)
    var_a, var_b = ((a - mean_a) ** 2).sum() / count, ((b - mean_b) ** 2).sum() / count
    together = ((a - mean_a) * (b - mean_b)).sum() / count
    above, below = 4 * mean_a * mean_b * together, (mean_a**2 + mean_b**2) * (var_a + var_b)
    if above:
        return float(above / (below + _TINY))
    return float(not below)


# -- boundaries ----------------------------------------------------------------------------------------------


def boundary_iou(prediction: U8, truth: U8) -> float:
    """Boundary IoU (Cheng et al., CVPR 2021) of the foregrounds: see `douga.metrics.boundary_overlap`.

    0 to 1, NaN where both are empty. (ToonOut, 2.5.5, prints another fraction by mistake.)
    """
    return boundary_overlap(foreground(prediction), foreground(truth)).share


def mean_boundary_accuracy(prediction: U8, truth: U8) -> float:
    """mBA (Cheng et al., CVPR 2020; ToonOut, 2.5.6): 0 to 1, NaN where the truth has no boundary.

    The share of right pixels near the true boundary, averaged over five radii from 3 px to (w + h) / 300; on
    small pictures, where the last one is smaller, down to 1 px at least.
    """
    on, found = _on(prediction, truth), foreground(prediction)
    last = sum(on.shape) / 300
    shares = []
    for step in range(5):
        radius = max(1, int(3 + step / 4 * (last - 3)))
        side = 2 * radius + 1
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        near = cv2.morphologyEx(on.astype(np.uint8), cv2.MORPH_GRADIENT, disk).astype(bool)
        if near.any():
            shares.append(float((found == on)[near].mean()))
    return float(np.mean(shares)) if shares else math.nan
