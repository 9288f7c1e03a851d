"""Runs a two-road network on a whole frame: context once, the full-resolution path in bands where memory is short."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from douga.checkpoint import LoadedNetwork
from douga.networks.gcn import DetailRoad, Gcn

# Full-resolution pixels held at once. A band of this size needs about 0.6 GiB on the CPU.
BAND_PX = 1 << 20


def predict(loaded: LoadedNetwork, image: Tensor, *, band_px: int = BAND_PX) -> Tensor:
    """Class probabilities of one frame.

    image: (C, H, W) float32 from `douga.preprocess.to_tensor`. Returns (classes, H, W) float16 on the CPU, summing to
    one. A frame above `band_px` runs in bands that overlap by the full-resolution path's whole reach, while the
    context sees the frame as one; so the seams are those of rounding only.
    """
    network = loaded.network
    assert isinstance(network, Gcn)
    batch = image[None].to(loaded.device).contiguous(memory_format=torch.channels_last)  # (1, C, H, W)
    # bfloat16 is what the networks are trained in; a CPU without it computes the same, only slower.
    with torch.inference_mode(), torch.autocast(loaded.device.type, torch.bfloat16):
        if network.detail is None:
            return _probabilities(network(batch))
        h, w = batch.shape[-2:]
        context = network.context(network.shrink(batch))
        context = F.interpolate(context, ((h + 1) // 2, (w + 1) // 2), mode="bilinear", align_corners=False)
        rows = max(64, band_px // w // 2 * 2)
        bands = [_band(network.detail, batch, context, top, min(top + rows, h)) for top in range(0, h, rows)]
    return torch.cat(bands, 1)


def _band(detail: DetailRoad, batch: Tensor, context: Tensor, top: int, bottom: int) -> Tensor:
    """Rows top to bottom of the answer, computed with enough rows around them."""
    start = max(0, top - detail.reach_px) // 2 * 2  # even, so that the half-resolution grid stays where it is
    end = min(batch.shape[-2], bottom + detail.reach_px)
    logits = detail(batch[:, :, start:end], context[:, :, start // 2 : (end + 1) // 2])
    return _probabilities(logits[:, :, top - start : bottom - start])


def _probabilities(logits: Tensor) -> Tensor:
    """(1, classes, H, W) logits -> (classes, H, W) float16 on the CPU."""
    return logits[0].float().softmax(0).half().cpu()
