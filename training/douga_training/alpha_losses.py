"""Losses of cutout networks: on logits (B, 1, H, W) and the true alpha (B, 1, H, W), float32, 0 to 1.

`birefnet_loss` is ToonOut's (3.3.2; the parts' formulas in 2.4.3), `isnet_loss` that of IS-Net's network and
`masks_loss` that of its teacher (Qin et al. 2022, 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from douga.networks import birefnet, isnet

# ToonOut 3.3.2, equation 3.1.
SSIM_WEIGHT, MAE_WEIGHT, IOU_WEIGHT = 10.0, 90.0, 0.25
_WINDOW_PX, _SIGMA_PX = 11, 1.5  # of SSIM, as Wang et al. 2004 have it
_C1, _C2 = 0.01**2, 0.03**2

Synchronisation = Literal["l2", "kl", "l1"]


def birefnet_loss(seen: birefnet.Supervised, alpha: Tensor) -> Tensor:
    """SSIM, MAE and IoU of the answer and of each side answer, and the gradients' cross-entropy."""
    loss = gradient_loss(seen)
    for logits in (*seen.sides, seen.logits):
        if logits.shape[-2:] != alpha.shape[-2:]:
            logits = _resize(logits, alpha)
        loss = loss + pixel_loss(logits.float().sigmoid(), alpha)
    return loss


def pixel_loss(found: Tensor, alpha: Tensor) -> Tensor:
    """ToonOut's weighted sum on alphas (B, 1, H, W), 0 to 1."""
    mae = (found - alpha).abs().mean()
    return SSIM_WEIGHT * ssim_loss(found, alpha) + MAE_WEIGHT * mae + IOU_WEIGHT * iou_loss(found, alpha)


def gradient_loss(seen: birefnet.Supervised) -> Tensor:
    """Cross-entropy of each stride's gradient logits and what the image and the side answers say of them.

    The targets are left in the graph, as the published training leaves them.
    """
    losses = [
        F.binary_cross_entropy_with_logits(_resize(found, target).float(), target.float().sigmoid())
        for found, target in zip(seen.gradients, seen.gradient_targets, strict=True)
    ]
    return torch.stack(losses).sum()


def iou_loss(found: Tensor, alpha: Tensor) -> Tensor:
    """One minus the soft intersection over union of each image, averaged.

    One pixel is added to either side of the fraction: a frame with nothing on it has a gradient then.
    """
    both = (found * alpha).sum((1, 2, 3))
    either = (found + alpha).sum((1, 2, 3)) - both
    return (1 - (both + 1) / (either + 1)).mean()


def ssim_loss(found: Tensor, alpha: Tensor) -> Tensor:
    """One minus the mean structural similarity."""
    return 1 - similarity(found, alpha).mean()


def similarity(found: Tensor, alpha: Tensor) -> Tensor:
    """SSIM (Wang et al. 2004) in a Gaussian window of 11 px around each pixel; beyond the border is 0.

    In float32 also where training casts to bfloat16: a variance as the difference of two means that are near
    1 has nothing left in 8 bits.
    """
    with torch.autocast(found.device.type, enabled=False):
        mean_f, mean_a = _windowed(found), _windowed(alpha)
        variance_f = _windowed(found**2) - mean_f**2
        variance_a = _windowed(alpha**2) - mean_a**2
        covariance = _windowed(found * alpha) - mean_f * mean_a
    above = (2 * mean_f * mean_a + _C1) * (2 * covariance + _C2)
    below = (mean_f**2 + mean_a**2 + _C1) * (variance_f + variance_a + _C2)
    return above / below


def masks_loss(seen: isnet.Supervised, alpha: Tensor) -> Tensor:
    """Cross-entropy of all six masks that the teacher gives back; all weigh 1."""
    return _cross_entropies(seen.logits, alpha)


def isnet_loss(
    seen: isnet.Supervised,
    alpha: Tensor,
    taught: Sequence[Tensor],
    *,
    synchronisation: Synchronisation = "l2",
) -> Tensor:
    """Cross-entropy of all six answers, and how far the features are from the teacher's; all weigh 1.

    taught: features that the trained, unmoving `isnet.MaskEncoder` makes of alpha. synchronisation: "l2" is
    the mean squared difference, "l1" the mean absolute one, "kl" the divergence of softmaxes over channels.
    """
    if synchronisation not in _APART:
        raise ValueError(
            f"synchronisation {synchronisation!r}; choose one of {', '.join(get_args(Synchronisation))}"
        )
    apart = _APART[synchronisation]
    loss = _cross_entropies(seen.logits, alpha)
    for own, theirs in zip(seen.features, taught, strict=True):
        loss = loss + apart(own.float(), theirs.float())
    return loss


def _divergence(own: Tensor, theirs: Tensor) -> Tensor:
    return F.kl_div(own.log_softmax(1), theirs.softmax(1), reduction="none").mean()


_APART: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l2": F.mse_loss, "kl": _divergence, "l1": F.l1_loss}


def _cross_entropies(logits: Sequence[Tensor], alpha: Tensor) -> Tensor:
    return torch.stack([F.binary_cross_entropy_with_logits(one.float(), alpha) for one in logits]).sum()


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)


def _windowed(x: Tensor) -> Tensor:
    """Gaussian means of (B, 1, H, W)."""
    at = torch.arange(_WINDOW_PX, device=x.device, dtype=x.dtype) - _WINDOW_PX // 2
    kernel = torch.exp(-(at**2) / (2 * _SIGMA_PX**2))
    rows = (kernel / kernel.sum()).view(1, 1, -1, 1)
    padding = _WINDOW_PX // 2
    return F.conv2d(F.conv2d(x, rows, padding=(padding, 0)), rows.transpose(2, 3), padding=(0, padding))
