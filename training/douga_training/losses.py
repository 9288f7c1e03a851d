"""Losses on logits (B, C, H, W) and class ids (B, H, W); Kugler 5.5.1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, ids: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy. weights: (C,) one for each class, or None."""
    return F.cross_entropy(logits, ids, weights)


def focal(logits: Tensor, ids: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Cross-entropy, each pixel weighted by (1 - p)^gamma, p its class's probability (Lin et al. 2017)."""
    loss = F.cross_entropy(logits, ids, reduction="none")  # (B, H, W)
    return ((1 - torch.exp(-loss)) ** gamma * loss).mean()


def dice(logits: Tensor, ids: Tensor, *, by_frame: bool = False) -> Tensor:
    """One minus the soft Dice score, averaged over the classes that are there, the first left out.

    by_frame: score every frame by itself, so that a figure of 60 px counts as much as a face that fills its
    frame; or else the batch as one picture. One is added to either side of the fraction, so that classes of
    a few pixels do not jump about.
    """
    shares = logits.softmax(1)
    truth = F.one_hot(ids, logits.shape[1]).movedim(-1, 1).to(shares)  # (B, C, H, W)
    over = (2, 3) if by_frame else (0, 2, 3)
    both = (shares * truth).sum(over)[..., 1:]  # (B, C - 1) or (C - 1,)
    total = (shares + truth).sum(over)[..., 1:]
    present = truth.sum(over)[..., 1:] > 0
    score = (2 * both + 1) / (total + 1)
    return ((1 - score) * present).sum() / present.sum().clamp(min=1)


def frequency_weights(counts: Tensor) -> Tensor:
    """Weights (C,) by the reciprocal of each class's count of pixels, mean one over the classes seen.

    Kugler 5.5.1. The rarest class weighs at most 100 times the commonest, so that a class of a few pixels
    does not rule the loss.
    """
    share = counts.double() / counts.sum().clamp(min=1)
    seen = share > 0
    weights = torch.where(seen, 1 / share.clamp(min=1e-12), torch.zeros_like(share))
    weights = weights.clamp(max=float(weights[seen].min()) * 100)
    return (weights / weights[seen].mean()).float()
