"""The data that crosses module borders. Each type is checked once, when it is made, and never after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from douga.classes import NUM_CLASSES
from douga.errors import InputError

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


def _require(array: np.ndarray, *, name: str, ndim: int, channels: int | None = None) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        got = getattr(array, "dtype", type(array).__name__)
        raise InputError(f"{name}: expected a uint8 array, got {got}; convert it with .astype(np.uint8)")
    if array.ndim != ndim or (channels is not None and array.shape[-1] != channels):
        want = "(H, W)" if channels is None else f"(H, W, {channels})"
        raise InputError(f"{name}: expected shape {want}, got {array.shape}")
    if min(array.shape[:2]) < 1:
        raise InputError(f"{name}: an image needs at least one pixel, got {array.shape}")


@dataclass(frozen=True)
class Frame:
    """A finished frame.

    rgb: (H, W, 3) uint8, sRGB, red first.
    name: stem that every result of this frame is filed under.
    warnings: conversions that were made on the way in ("16-bit reduced to 8-bit"), for the manifest.
    number: its number in the sequence or video; None where only the end of its name may tell.
    """

    rgb: U8
    name: str = "frame"
    warnings: tuple[str, ...] = ()
    number: int | None = None

    def __post_init__(self) -> None:
        _require(self.rgb, name="Frame.rgb", ndim=3, channels=3)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]


@dataclass(frozen=True)
class CelMask:
    """Where the cel is. mask: (H, W) uint8, 255 on the cel, 0 elsewhere, nothing between."""

    mask: U8

    def __post_init__(self) -> None:
        _require(self.mask, name="CelMask.mask", ndim=2)
        if not ((self.mask == 0) | (self.mask == 255)).all():  # np.unique would sort every mask of a sequence
            raise InputError(
                "CelMask.mask: expected only 0 and 255; threshold it first, e.g. (m > 127) * 255"
            )


@dataclass(frozen=True)
class ClassMap:
    """A douga as class ids. ids: (H, W) uint8, each one of `douga.classes.DougaClass`."""

    ids: U8

    def __post_init__(self) -> None:
        _require(self.ids, name="ClassMap.ids", ndim=2)
        if self.ids.max() >= NUM_CLASSES:
            raise InputError(f"ClassMap.ids: expected ids 0 to {NUM_CLASSES - 1}, got {self.ids.max()}")


@dataclass(frozen=True)
class Layer:
    """One layer of a layered file.

    name: as the paint program shows it. rgba: (H, W, 4) uint8, sRGB, straight alpha. group: the group that
    holds the layer, or None at the top level. visible: shown when the file is opened.
    """

    name: str
    rgba: U8
    group: str | None = None
    visible: bool = True

    def __post_init__(self) -> None:
        _require(self.rgba, name="Layer.rgba", ndim=3, channels=4)
