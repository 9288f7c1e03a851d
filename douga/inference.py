"""Runs a network on a whole frame: context once, full resolution in bands where memory is short."""

from __future__ import annotations

import torch
from torch import Tensor

from douga.checkpoint import LoadedNetwork
from douga.networks.gcn import DetailRoad, Gcn

# Full-resolution pixels held at once. A band of this size needs about 0.6 GiB on the CPU.
BAND_PX = 1 << 20


# Rows that a band has at least. Each band also computes the path's reach above and below, for nothing.
_MIN_ROWS = 64


def predict(
    loaded: LoadedNetwork, image: Tensor, *, band_px: int = BAND_PX, precision: torch.dtype = torch.bfloat16
) -> Tensor:
    """Class probabilities of one frame.

    image: (C, H, W) float32 from `douga.preprocess.to_tensor`. precision: bfloat16, which the networks are
    trained in, or float32. Returns (classes, H, W) float16 on the CPU, summing to one. A frame above
    `band_px` runs in bands that overlap by the full-resolution path's whole reach, while the context sees
    the frame as one; so the seams are those of rounding only.
    """
    network = loaded.network
    assert isinstance(network, Gcn)
    batch = image[None].to(loaded.device).contiguous(memory_format=torch.channels_last)  # (1, C, H, W)
    # A CPU without bfloat16 computes the same, only slower.
    half = precision is not torch.float32
    with torch.inference_mode(), torch.autocast(loaded.device.type, torch.bfloat16, enabled=half):
        if network.detail is None:
            return _probabilities(network(batch))
        h, w = batch.shape[-2:]
        context = network.context_at_half(network.context(network.shrink(batch)), batch)
        rows = max(_MIN_ROWS, band_px // w)
        bands = [_band(network.detail, batch, context, top, min(top + rows, h)) for top in range(0, h, rows)]
    return torch.cat(bands, 1)


def _band(detail: DetailRoad, batch: Tensor, context: Tensor, top: int, bottom: int) -> Tensor:
    """Rows top to bottom of the answer, computed with enough rows around them."""
    start = max(0, top - detail.reach_px) // 2 * 2  # even, so that the half-size grid stays where it is
    end = min(batch.shape[-2], bottom + detail.reach_px)
    logits = detail(batch[:, :, start:end], context[:, :, start // 2 : (end + 1) // 2])
    return _probabilities(logits[:, :, top - start : bottom - start])


def _probabilities(logits: Tensor) -> Tensor:
    """(1, classes, H, W) logits -> (classes, H, W) float16 on the CPU."""
    return logits[0].float().softmax(0).half().cpu()
