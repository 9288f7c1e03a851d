"""Scores of a network on validation samples, and the pictures that TensorBoard shows of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from douga.classes import LINE_CLASSES, NUM_CLASSES, DougaClass
from douga.networks.gcn import Gcn
from douga.preprocess import to_rgb
from douga_training.simulate.store import CLASS_COLOURS

_TOLERANCE_PX = 2.0


def score_cel(network: Gcn, batches: Iterable[dict[str, Tensor]], device: torch.device) -> dict[str, float]:
    """IoU of the cel in the final answer ("iou") and, with whole frames, in the context's ("context_iou").

    "score" is their mean.
    """
    counts, framed = np.zeros((2, 2)), False  # coarse and final answers: intersection, union
    for batch in batches:
        coarse, answer, _, truth = _answers(network, batch, device)
        counts[1] += _overlap(answer.argmax(1).cpu() == 1, truth == 1)
        framed = "small_ids" in batch
        if framed:
            counts[0] += _overlap(coarse.argmax(1).cpu() == 1, batch["small_ids"] == 1)
    # Where there is no cel and none was found, that is all right.
    context, final = (float(both / union) if union else 1.0 for both, union in counts)
    judged = {"iou": final, "context_iou": context} if framed else {"iou": final}
    return {**judged, "score": float(np.mean(list(judged.values())))}


def score_cutout(
    network: Gcn, batches: Iterable[dict[str, Tensor]], device: torch.device
) -> dict[str, float]:
    """Soft IoU of the alpha in the final answer ("iou") and the context's ("context_iou"), and its MAE.

    "score" is the mean of the two IoUs. Soft IoU: the smaller of both alphas, summed, over the larger.
    """
    counts, framed, apart, pixels = np.zeros((2, 2)), False, 0.0, 0
    for batch in batches:
        coarse, answer, _, truth = _answers(network, batch, device)
        found = answer[:, 0].float().sigmoid().cpu()
        counts[1] += _soft_overlap(found, truth)
        apart, pixels = apart + float((found - truth).abs().sum()), pixels + truth.numel()
        framed = "small_ids" in batch
        if framed:
            counts[0] += _soft_overlap(coarse[:, 0].float().sigmoid().cpu(), batch["small_ids"])
    context, final = (float(both / union) if union else 1.0 for both, union in counts)
    judged = {"iou": final, "context_iou": context} if framed else {"iou": final}
    return {**judged, "mae": apart / max(pixels, 1), "score": float(np.mean(list(judged.values())))}


def _soft_overlap(found: Tensor, truth: Tensor) -> tuple[float, float]:
    return float(torch.minimum(found, truth).sum()), float(torch.maximum(found, truth).sum())


def _overlap(found: Tensor, truth: Tensor) -> tuple[int, int]:
    return int((found & truth).sum()), int((found | truth).sum())


def _answers(
    network: Gcn, batch: dict[str, Tensor], device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Coarse logits, final logits (N, classes, S, S), and images (N, C, S, S) and ids (N, S, S) of these."""
    with torch.autocast(device.type, torch.bfloat16):
        if "image" in batch:
            return *network.forward_both(batch["image"].to(device)), batch["image"], batch["ids"]
        answers = network.forward_windows(*(batch[k].to(device) for k in ("small", "windows", "boxes")))
    return *answers, batch["windows"].flatten(0, 1), batch["ids"].flatten(0, 1)


def score_lines(network: Gcn, batches: Iterable[dict[str, Tensor]], device: torch.device) -> dict[str, float]:
    """F1 of each line class within 2 px and IoU of each fill.

    "score" is the mean over classes, visible lines counting double. Quicker and a little kinder than
    `douga evaluate`: pixels are compared, not skeletons.
    """
    lines = {c: np.zeros(4) for c in LINE_CLASSES}
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)  # [truth, answer]
    for batch in batches:
        _, answer, _, ids = _answers(network, batch, device)
        found, truth = answer.argmax(1).cpu().numpy().astype(np.uint8), ids.numpy().astype(np.uint8)
        pairs = truth.astype(int) * NUM_CLASSES + found
        confusion += np.bincount(pairs.ravel(), minlength=confusion.size).reshape(confusion.shape)
        for f, t in zip(found, truth, strict=True):
            for c, sums in lines.items():
                sums += _hits(f == c, t == c)
    scores = {f"f1_{c.key}": _f1(sums) for c, sums in lines.items() if sums[3]}
    hits, union = np.diag(confusion), confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    fills = (c for c in DougaClass if c not in LINE_CLASSES and confusion[c].sum())
    scores |= {f"iou_{c.key}": float(hits[c] / max(union[c], 1)) for c in fills}
    scores["accuracy"] = float(hits.sum() / max(confusion.sum(), 1))
    judged = [v for k, v in scores.items() if k not in ("accuracy", "iou_flat") and "book" not in k]
    scores["score"] = float(np.mean([*judged, scores.get("f1_visible_line", 0.0)]))
    return scores


SCORES_OF = {"cel": score_cel, "lines": score_lines, "cutout": score_cutout}


def _hits(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Found pixels near truth, found pixels, true pixels near found, true pixels."""
    if not truth.any() or not found.any():
        return np.array([0, found.sum(), 0, truth.sum()], np.float64)
    to_truth, to_found = (
        cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) for mask in (truth, found)
    )
    hit, back = (found & (to_truth <= _TOLERANCE_PX)).sum(), (truth & (to_found <= _TOLERANCE_PX)).sum()
    return np.array([hit, found.sum(), back, truth.sum()], np.float64)


def _f1(sums: NDArray[np.float64]) -> float:
    precision, recall = sums[0] / max(sums[1], 1), sums[2] / max(sums[3], 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def sample_picture(
    network: Gcn, batch: dict[str, Tensor], device: torch.device, *, rows: int = 4
) -> NDArray[np.uint8]:
    """Input, answer and truth side by side, one row a sample. Returns (H, W, 3) uint8 RGB."""
    _, answer, images, truth = _answers(network, batch, device)
    found = answer[:, 0].float().sigmoid() if answer.shape[1] == 1 else answer.argmax(1)
    strips = []
    for image, ids, real in list(zip(images, found.cpu().numpy(), truth.numpy(), strict=True))[:rows]:
        strips.append(np.hstack([to_rgb(image), _painted(ids), _painted(real)]))
    return np.vstack(strips)


def _painted(truth: NDArray[Any]) -> NDArray[np.uint8]:
    """Class ids in their colours; an alpha, float, in greys."""
    if truth.dtype.kind == "f":
        return np.repeat((truth * 255).round().astype(np.uint8)[..., None], 3, axis=2)
    return CLASS_COLOURS[truth]
