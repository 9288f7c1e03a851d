"""What the full-resolution path gets beside the colours: how line-like and flat each spot is, unlearned."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A difference of Gaussians answers to lines about as wide as its inner sigma; two of them span 1 to 4 px.
_SIGMAS_PX = (0.8, 1.8)
_RATIO = 1.6  # outer over inner sigma: the usual approximation of a Laplacian of Gaussian
_GAIN = 4.0  # brings the cues to about the range of the colours

CUE_CHANNELS = 3 * len(_SIGMAS_PX) + 1


def _gaussian(sigma_px: float) -> Tensor:
    radius = int(3 * sigma_px + 0.5)
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-(x**2) / (2 * sigma_px**2))
    return kernel / kernel.sum()


def _blur(image: Tensor, kernel: Tensor) -> Tensor:
    """Separable blur of every channel, borders replicated. (B, 3, H, W) -> same."""
    channels, radius = image.shape[1], kernel.numel() // 2
    rows = kernel.to(image).view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
    padded = F.pad(image, (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(padded, rows, groups=channels), rows.transpose(2, 3), groups=channels)


class ClassicalCues(nn.Module):
    """Difference of Gaussians of each colour channel at two widths, and how flat the neighbourhood is.

    In: (B, 3, H, W) float, colours as `douga.preprocess` gives them. Out: (B, 7, H, W). Nothing is learned.
    """

    def __init__(self) -> None:
        super().__init__()
        for i, sigma in enumerate(_SIGMAS_PX):
            self.register_buffer(f"inner{i}", _gaussian(sigma), persistent=False)
            self.register_buffer(f"outer{i}", _gaussian(sigma * _RATIO), persistent=False)

    reach_px = int(3 * _SIGMAS_PX[-1] * _RATIO + 0.5)

    @torch.no_grad()
    def forward(self, rgb: Tensor) -> Tensor:
        # Grouped convolutions on a CPU are fast in this layout and precision only: a hundred times and more.
        with torch.autocast(rgb.device.type, enabled=False):
            return self._cues(rgb.float().contiguous(memory_format=torch.channels_last))

    def _cues(self, rgb: Tensor) -> Tensor:
        cues = [
            (_blur(rgb, self.get_buffer(f"inner{i}")) - _blur(rgb, self.get_buffer(f"outer{i}"))) * _GAIN
            for i in range(len(_SIGMAS_PX))
        ]
        spread = F.max_pool2d(rgb, 3, 1, 1) + F.max_pool2d(-rgb, 3, 1, 1)  # largest minus smallest of 3 x 3
        flatness = torch.exp(-8.0 * spread.amax(1, keepdim=True))
        return torch.cat([*cues, flatness], 1)
