"""Frame -> soft alpha: what the networks say of it. `douga.cutout` goes on from there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from douga.cel import BORDER_CELLS, find_cel
from douga.checkpoint import LoadedNetwork
from douga.cutout import Alpha, FindAlpha
from douga.enlarge import enlarge_alpha
from douga.inference import OnStep, predict_near_borders
from douga.ink import with_outline
from douga.networks.gcn import Gcn
from douga.paint import patch_means
from douga.preprocess import lifted, to_tensor
from douga.soft_borders import with_soft_borders
from douga.types import F32, U8, Frame

# What differs from nothing or from all by so little that nobody sees it is nothing or all: a sigmoid never
# gets there by itself, and would leave a haze over an empty frame. Fixed, so that no frame is stretched by
# its own extremes.
_HAZE = 4 / 255
# What our own small networks call nearly all is all, and nearly nothing nothing: so a figure is not a little
# transparent in patches. What lies between the two inner values is soft, and stays.
_NEARLY = (0.06, 0.2, 0.7, 0.88), (0.0, 0.2, 0.7, 1.0)
# The published BiRefNet and IS-Net are trained on pictures of 1024 x 1024 px and see objects at that scale.
SEEN_PX = 1024
_GRID_PX = 32
_LONGEST_PX = 4096  # a strip of a frame is seen at no more than this
# A paint is opaque wherever it lies from this mean on, and clear up to the other; between them it may be a
# veil. A network that knew denser and thinner veils from paint that it is not sure of would want them wider.
_OPAQUE, _CLEAR = 0.6, 0.35
_SOLID = 0.9  # what is at least so opaque has an outline that is opaque, as on any cel
_SURE = 0.1  # by how much a paint must be rather the one than the other to be asked at all


def find_alpha(frame: Frame, network: LoadedNetwork, *, on_step: OnStep = lambda share: None) -> Alpha:
    """Ask a network. Stage one's weights ("cel") give their hard mask; others a soft alpha.

    A "gcn" sees the frame at its own size near the borders of what its context finds, a night scene lifted as
    for stage one; then a paint that is surely opaque or surely clear is so wherever it lies, the ink around
    what is opaque is opaque, what is nearly all or nothing is so, and hard borders are antialiased as the
    frame is. BiRefNet and IS-Net see
    it at the area that they were trained on, 1024 x 1024 px unless their recipe has another `seen_px`, and
    their answer is brought back to its size along the frame's own edges, which is told in the frame's
    warnings.
    network: of `douga.cutout_weights.load_cutout_network`.
    """
    if network.info.stage == "cel":
        mask = find_cel(frame, network, on_step=on_step).mask
        return Alpha(frame, (mask > 0).astype(np.float32))
    if isinstance(network.network, Gcn):
        image = to_tensor(lifted(frame.rgb))
        answer = predict_near_borders(network, image, cells=BORDER_CELLS, on_step=on_step)
        settled = _decided(_settled(answer, frame.rgb))
        return Alpha(frame, without_haze(with_soft_borders(settled, frame.rgb)))
    on_step(0.0)
    return _seen_small(frame, network)


def without_haze(alpha: F32) -> F32:
    """(H, W) float32, 0 to 1: 4 of 255 and less become 0, 251 and more become 1, evenly between them."""
    return np.clip((alpha - _HAZE) / (1 - 2 * _HAZE), 0, 1)


def _settled(alpha: F32, rgb: U8) -> F32:
    """All of a paint that is surely opaque, with its outline; nothing of one that is surely clear. (H, W)"""
    at, means = patch_means({0: 1 - alpha, 1: alpha}, rgb, clear=_SURE, across=True)
    mean = np.where(at > 0, means[1][at], np.float32(0.5))
    out = np.where(mean >= _OPAQUE, np.float32(1), np.where(mean <= _CLEAR, np.float32(0), alpha))
    opaque = (out >= _SOLID).astype(np.uint8)
    return np.where(with_outline(opaque, rgb) > opaque, np.float32(1), out)


def _decided(alpha: F32) -> F32:
    """Nearly opaque is opaque, nearly clear is clear, without a step: see _NEARLY. (H, W)"""
    return np.interp(alpha, *_NEARLY).astype(np.float32)


def seen_size(size_hw: tuple[int, int], side_px: int = SEEN_PX) -> tuple[int, int]:
    """Height and width, multiples of 32, at which BiRefNet and IS-Net see a frame of this size.

    side_px: of a square of the same area; of a very long frame it is less.
    """
    scale = min(side_px / (size_hw[0] * size_hw[1]) ** 0.5, _LONGEST_PX / max(size_hw))
    height, width = (max(_GRID_PX, round(side * scale / _GRID_PX) * _GRID_PX) for side in size_hw)
    return height, width


def _seen_small(frame: Frame, network: LoadedNetwork) -> Alpha:
    height, width = seen_size(frame.size_hw, network.info.recipe.get("seen_px", SEEN_PX))
    is_larger = frame.size_hw[0] > height or frame.size_hw[1] > width
    method = cv2.INTER_AREA if is_larger else cv2.INTER_LINEAR
    small = cv2.resize(frame.rgb, (width, height), interpolation=method)
    image = _normalised(np.asarray(small, np.uint8), network.network).to(network.device)
    with torch.inference_mode():
        answer = network.network(image)[0, 0].float().sigmoid().cpu().numpy()
    full = enlarge_alpha(answer, frame.rgb)
    if (height, width) != frame.size_hw:
        way = "enlarged" if is_larger else "reduced"
        told = f"the network saw the frame at {width} x {height} px; its alpha was {way} from there"
        frame = replace(frame, warnings=(*frame.warnings, told))
    return Alpha(frame, without_haze(full))


def _normalised(rgb: U8, network: nn.Module) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 by the network's own constants."""
    mean, std = (torch.tensor(getattr(network, name))[:, None, None] for name in ("mean", "std"))
    colours = torch.from_numpy(rgb).permute(2, 0, 1).float() / 255
    return ((colours - mean) / std)[None]


def alpha_finder(network: LoadedNetwork) -> FindAlpha:
    """`find_alpha` with a network of its own."""
    return partial(find_alpha, network=network)
