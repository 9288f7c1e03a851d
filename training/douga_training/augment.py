"""Changes to a sample before it is learned from: colours, geometry, erasure, backgrounds, textures.

Kugler 4.2 and 5.3.

Everything is drawn from the generator that comes in, so a sample is the same whenever and wherever it is
made.
"""

from __future__ import annotations

import os

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import DougaClass
from douga_training.recipe import Recipe

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for a newer version
import albumentations as A

U8 = NDArray[np.uint8]

_BLACK = 0.08  # mean brightness below which nobody grades a scene


class Colours:
    """Brightness, contrast and hue by albumentations: the same change for all views of one frame.

    views: (H, W, 3) uint8 each, in and out.
    """

    def __init__(self, recipe: Recipe) -> None:
        wear = recipe.wear
        self._change = A.Compose(
            [
                A.RandomBrightnessContrast(recipe.brightness, recipe.contrast, p=0.8),
                A.HueSaturationValue(recipe.hue_deg, round(25 * wear), round(10 * wear), p=0.6),
                A.RandomGamma((70, 140), p=0.3 * wear),
                A.ChannelShuffle(p=0.05 * wear),
                A.GaussNoise(std_range=(0.005, 0.03), p=0.15 * wear),
                A.ImageCompression(quality_range=(60, 95), p=0.15 * wear),
            ]
        )
        self._chance = recipe.colour

    def __call__(self, views: list[U8], rng: np.random.Generator) -> list[U8]:
        if rng.random() >= self._chance:
            return views
        seed, changed = int(rng.integers(1 << 31)), []
        for view in views:
            self._set_seed(seed)
            changed.append(self._change(image=np.ascontiguousarray(view))["image"])
        return changed

    def _set_seed(self, seed: int) -> None:
        """Each change draws for itself: `Compose` gives all of them the same numbers, so that hue would never
        change without brightness.
        """
        self._change.set_random_seed(seed)
        for number, change in enumerate(self._change.transforms, start=1):
            change.set_random_seed(seed + number)


def at_night(views: list[U8], rng: np.random.Generator) -> list[U8]:
    """Views of one frame, (H, W, 3) each, graded down as dusk and night are: darker, paler, mostly bluer."""
    dark = rng.uniform(0.2, 0.6)
    mean = max(float(views[0].mean()) / 255, 1e-3)
    dark = max(dark, min(1.0, _BLACK / mean))
    gain = dark * (rng.uniform((0.6, 0.7, 1.0), (1.0, 1.0, 1.5)) if rng.random() < 0.8 else np.ones(3))
    gamma, lift, saturation = rng.uniform(0.9, 1.25), rng.uniform(0, 0.05), rng.uniform(0.4, 1.1)
    level = lift + (1 - lift) * np.linspace(0, 1, 256)[:, None] ** gamma * gain
    table = np.round(np.clip(level, 0, 1) * 255).astype(np.uint8).reshape(256, 1, 3)
    mix = np.full((3, 3), (1 - saturation) / 3) + np.eye(3) * saturation
    return [np.asarray(cv2.LUT(cv2.transform(np.ascontiguousarray(v), mix), table), np.uint8) for v in views]


class Geometry:
    """Flip, scale and rotation, applied alike to the picture and its truth. Uncovered corners mirror."""

    def __init__(self, recipe: Recipe) -> None:
        self._turn = A.Compose(
            [
                A.Affine(
                    scale=(recipe.scale_min, recipe.scale_max),
                    rotate=(-recipe.rotate_deg, recipe.rotate_deg),
                    keep_ratio=True,
                    border_mode=cv2.BORDER_REFLECT_101,
                    mask_interpolation=cv2.INTER_NEAREST,
                    p=1.0,
                )
            ]
        )
        self._flip, self._chance = recipe.flip, recipe.affine

    def __call__(self, rgb: U8, truths: list[U8], rng: np.random.Generator) -> tuple[U8, list[U8]]:
        if rng.random() < self._flip:
            rgb, truths = rgb[:, ::-1], [t[:, ::-1] for t in truths]
        if rng.random() < self._chance:
            self._turn.set_random_seed(int(rng.integers(1 << 31)))
            flat = [np.ascontiguousarray(truth) for truth in truths]
            done = self._turn(image=np.ascontiguousarray(rgb), masks=flat)
            rgb, truths = done["image"], list(done["masks"])
        return rgb, truths


def over_background(cel: U8, alpha: U8, background: U8) -> U8:
    """Put the visible part of a cel over another plate.

    cel: (H, W, 4) straight RGBA, whose own alpha is ignored; alpha: (H, W) of what shows; background: (H,
    W, 3).
    """
    share = alpha[..., None].astype(np.float32) / 255
    return np.round(cel[..., :3] * share + background * (1 - share)).astype(np.uint8)


def without_book(ids: U8) -> U8:
    """Class ids once the book is gone: what it hid is flat."""
    hidden = (ids == DougaClass.BOOK_LINE) | (ids == DougaClass.BOOK_FILL)
    return np.where(hidden, np.uint8(DougaClass.FLAT), ids)


def textured(rgb: U8, where: NDArray[np.bool_], rng: np.random.Generator) -> U8:
    """Multiply a layer by coarse noise, as paper and brush leave it. where: (H, W) the layer."""
    h, w = rgb.shape[:2]
    grain = int(rng.integers(2, 24))
    noise = rng.normal(1.0, rng.uniform(0.03, 0.12), (h // grain + 2, w // grain + 2)).astype(np.float32)
    noise = cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC)
    changed = np.clip(rgb * noise[..., None], 0, 255).astype(np.uint8)
    return np.where(where[..., None], changed, rgb)


def erase_rectangles(rgb: U8, truths: list[U8], rng: np.random.Generator) -> tuple[U8, list[U8]]:
    """Cover one to four rectangles with one colour or noise; the truth there is background (Kugler 4.2)."""
    h, w = rgb.shape[:2]
    for _ in range(int(rng.integers(1, 5))):
        rect_h, rect_w = (max(2, int(side * rng.uniform(0.05, 0.3))) for side in (h, w))
        y, x = int(rng.integers(0, h - rect_h + 1)), int(rng.integers(0, w - rect_w + 1))
        where = np.zeros((h, w), np.uint8)
        where[y : y + rect_h, x : x + rect_w] = 255
        rgb, truths = _covered(rgb, truths, where, rng)
    return rgb, truths


def erase_shapes(rgb: U8, truths: list[U8], rng: np.random.Generator) -> tuple[U8, list[U8]]:
    """Cover one to three irregular shapes, wandering strokes of a broad brush, in the same way.

    Kugler 6.1, after the holes that Liu et al. (2018) learn to fill.
    """
    h, w = rgb.shape[:2]
    side = min(h, w)
    for _ in range(int(rng.integers(1, 4))):
        where = np.zeros((h, w), np.uint8)
        turns = rng.normal(0, 0.9, int(rng.integers(3, 9))).cumsum() + rng.uniform(0, 2 * np.pi)
        steps = rng.uniform(0.04, 0.16, len(turns)) * side
        path = np.stack([np.cos(turns) * steps, np.sin(turns) * steps], 1).cumsum(0)
        path = np.round(path + rng.uniform(0, 1, 2) * (w, h)).astype(np.int32)
        cv2.polylines(where, [path], False, 255, max(2, round(side * rng.uniform(0.04, 0.16))))
        rgb, truths = _covered(rgb, truths, where, rng)
    return rgb, truths


def _covered(rgb: U8, truths: list[U8], where: U8, rng: np.random.Generator) -> tuple[U8, list[U8]]:
    """One colour, or noise about it, over the picture where a mask (H, W) is set; the truth is 0 there."""
    cover = np.broadcast_to(rng.integers(0, 256, 3), rgb.shape)
    if rng.random() < 0.5:
        cover = cover + rng.integers(-40, 41, rgb.shape)
    covered = np.clip(cover, 0, 255).astype(np.uint8)
    inside = where > 0
    return np.where(inside[..., None], covered, rgb), [np.where(inside, np.uint8(0), t) for t in truths]


def mistaken_mask(mask: U8, rng: np.random.Generator) -> U8:
    """A cel mask (H, W), 0 or 255, with errors such as stage one makes: soft corners, false holes, gaps."""
    mask = mask.copy()
    h, w = mask.shape
    reach = int(rng.integers(1, 5)) * 2 + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    mask = cv2.erode(mask, kernel) if rng.random() < 0.5 else cv2.dilate(mask, kernel)
    if rng.random() < 0.5:  # islands of wrong decisions
        cells = rng.random((h // 24 + 2, w // 24 + 2)).astype(np.float32)
        field = cv2.resize(cells, (w, h), interpolation=cv2.INTER_CUBIC)
        mask[field > rng.uniform(0.8, 0.98)] ^= 255
    soft = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.8, 3.0)))
    return np.where(soft > 127, np.uint8(255), np.uint8(0))
