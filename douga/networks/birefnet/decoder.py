"""BiRefNet's reconstruction: blocks that look at patches of the image itself and at predicted gradients.

Zheng et al. 2024 (arXiv 2401.03407), 3.2 and 3.3; ToonOut 2.4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from douga.networks.birefnet.deform import DeformableAspp

# Rows of the full-resolution patch branch at once in eval mode: 64 channels of them are 32 MiB at 1024 px.
_BAND_ROWS = 128


def resize(x: Tensor, size_hw: tuple[int, ...] | torch.Size) -> Tensor:
    """Bilinear, corner pixels stay corner pixels: how every map is resized in the published networks."""
    return F.interpolate(x, tuple(size_hw), mode="bilinear", align_corners=True)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """1 x 1 convolution as a matrix product. (B, C, H, W), weight (O, C) -> (B, O, H, W), channels last."""
    return F.linear(x.permute(0, 2, 3, 1).to(weight.dtype), weight, bias).permute(0, 3, 1, 2)


def add_lateral(x: Tensor, full: Tensor, half: Tensor, lateral: nn.Conv2d) -> Tensor:
    """x, enlarged to the size of `full`, and what a 1 x 1 convolution makes of the encoder's features.

    full, half: (B, C, H, W), features of the image, and (B, C, h, w), the size of x, of the image at half
    size. In the published order of things `half` is enlarged and laid beside `full` first; as everything here
    is linear, the numbers are the same.
    """
    for_full, for_half = lateral.weight.flatten(1).chunk(2, 1)  # (O, C) each
    return resize(x + pointwise(half, for_half), full.shape[-2:]) + pointwise(full, for_full, lateral.bias)


def image_patches(image: Tensor, size_hw: tuple[int, ...] | torch.Size) -> Tensor:
    """Inward reference: the whole image as channels of a small map.

    (B, 3, H, W) -> (B, 3 * gh * gw, h, w), where gh = H / h and gw = W / w are whole numbers: the image is
    cut into gh x gw pieces of h x w, which are laid over each other, colour by colour.
    """
    b, c, height, width = image.shape
    h, w = size_hw
    down, across = height // h, width // w
    pieces = image.reshape(b, c, down, h, across, w).permute(0, 1, 2, 4, 3, 5)
    return pieces.reshape(b, c * down * across, h, w)


class PatchBranch(nn.Module):
    """Two 3 x 3 convolutions on image patches, without a nonlinearity."""

    def __init__(self, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inner, 3, padding=1)
        self.second = nn.Conv2d(inner, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class ReconstructionBlock(nn.Module):
    """3 x 3 convolution to few channels, deformable ASPP, 3 x 3 convolution; keeps the size."""

    def __init__(self, inputs: int, outputs: int, inner: int, aspp: DeformableAspp) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(inputs, inner, 3, padding=1), nn.BatchNorm2d(inner), nn.ReLU())
        self.aspp = aspp
        self.leave = nn.Sequential(nn.Conv2d(inner, outputs, 3, padding=1), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.aspp(self.enter(x)))


class GradientReference(nn.Module):
    """Outward reference: finds where the image's own gradients matter and lets features through there.

    (B, inputs, h, w) -> the features attended to, of the same shape, and gradient logits (B, 1, h, w), or
    None where nobody trains.
    """

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        self.find = nn.Sequential(nn.Conv2d(inputs, inner, 3, padding=1), nn.BatchNorm2d(inner), nn.ReLU())
        self.predict = nn.Conv2d(inner, 1, 1)
        self.attend = nn.Conv2d(inner, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        found = self.find(x)
        return x * torch.sigmoid(self.attend(found)), self.predict(found) if self.training else None


class LastLayer(nn.Module):
    """A 1 x 1 convolution over enlarged features and a patch branch at full resolution, in a cheaper order.

    All of it is linear: narrowing to one channel first and enlarging then gives the same number as the
    published order for a hundredth of the memory, and the branch's second convolution takes the last one in.
    (B, inputs, h, w) features, (B, 3, H, W) image -> (B, 1, H, W) logits.
    """

    def __init__(self, inputs: int, inner: int, patch_width: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.patches = PatchBranch(3, inner, patch_width)
        self.narrow = nn.Conv2d(inputs + patch_width, 1, 1)

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        for_features, for_patches = self.narrow.weight[:, : self.inputs], self.narrow.weight[:, self.inputs :]
        answer = resize(F.conv2d(features, for_features), image.shape[-2:])
        second = self.patches.second
        weight = torch.einsum("op,pikl->oikl", for_patches[:, :, 0, 0], second.weight)
        assert second.bias is not None
        assert self.narrow.bias is not None
        bias = for_patches[:, :, 0, 0] @ second.bias + self.narrow.bias
        return answer + self._patches(image, weight, bias)

    def _patches(self, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if self.training or image.shape[-2] <= _BAND_ROWS:
            return F.conv2d(self.patches.first(image), weight, bias, padding=1)
        height, bands = image.shape[-2], []
        first = self.patches.first
        for top in range(0, height, _BAND_ROWS):
            bottom = min(height, top + _BAND_ROWS)
            # Each 3 x 3 convolution looks one row further; beyond the image, each sees zeros of its own.
            rows = image[..., max(0, top - 2) : bottom + 2, :]
            rows = F.pad(rows, (1, 1, max(0, 2 - top), max(0, bottom + 2 - height)))
            inner = F.conv2d(rows, first.weight, first.bias)  # (B, inner, rows + 2, W)
            if top == 0:
                inner[..., :1, :] = 0
            if bottom == height:
                inner[..., -1:, :] = 0
            bands.append(F.conv2d(inner, weight, bias, padding=(0, 1)))
        return torch.cat(bands, -2)
