"""A frame with what is known of it, kept together through every change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from douga.errors import InputError
from douga.types import U8

# Takes a frame and planes that lie over it, and gives both back, changed alike.
Change = Callable[[U8, list[U8], np.random.Generator], tuple[U8, list[U8]]]


@dataclass(frozen=True)
class Picture:
    """One frame with its truth. rgb: (H, W, 3) uint8. ids and mask: (H, W) uint8, mask 0 or 255.

    For cutouts the mask is the alpha, 0 to 255, of what shows of the cel. found: (H, W) uint8, the mask that
    stage one found, where stage two is to be given that one.
    """

    rgb: U8
    ids: U8
    mask: U8
    found: U8 | None = None

    def __post_init__(self) -> None:
        if not self.rgb.shape[:2] == self.ids.shape == self.mask.shape:
            raise InputError(
                f"a frame of {self.rgb.shape[:2]} has a class map of {self.ids.shape} and a cel mask of "
                f"{self.mask.shape} (height, width); give truth of the frame's size"
            )
        if self.found is not None and self.found.shape != self.mask.shape:
            raise InputError(
                f"a frame of {self.rgb.shape[:2]} has a found mask of {self.found.shape} (height, width); "
                "find it again: python -m douga_training.found_masks DIR --overwrite"
            )

    def planes(self) -> dict[str, U8]:
        """What lies over the frame pixel by pixel, by name."""
        there = {"ids": self.ids, "mask": self.mask}
        return there if self.found is None else {**there, "found": self.found}

    def mapped(self, change: Callable[[U8], U8]) -> Picture:
        """The same change to the frame and to all that lies over it."""
        return Picture(change(self.rgb), **{name: change(plane) for name, plane in self.planes().items()})

    def part(self, x: int, y: int, w: int, h: int) -> Picture:
        """A rectangle of it."""
        return self.mapped(lambda plane: plane[y : y + h, x : x + w])

    def changed(self, change: Change, rng: np.random.Generator) -> Picture:
        """A change to the frame that what lies over it goes through as well."""
        planes = self.planes()
        rgb, changed = change(self.rgb, list(planes.values()), rng)
        return Picture(rgb, **dict(zip(planes, changed, strict=True)))

    def at_least(self, side: int) -> Picture:
        """A small picture mirrored outwards until a window of this side fits into it."""
        h, w = self.mask.shape
        below, right = max(0, side - h), max(0, side - w)
        if not below and not right:
            return self
        reflected = cv2.BORDER_REFLECT
        return self.mapped(
            lambda plane: np.asarray(cv2.copyMakeBorder(np.asarray(plane), 0, below, 0, right, reflected))
        )
