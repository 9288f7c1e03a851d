"""BiRefNet: `network` is the whole, `swin` its encoder, `deform` and `decoder` the parts of its blocks."""

from douga.networks.birefnet.network import SWIN, BiRefNet, BiRefNetConfig, Supervised

__all__ = ["SWIN", "BiRefNet", "BiRefNetConfig", "Supervised"]
