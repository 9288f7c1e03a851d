"""A labelled cel from one that somebody painted: freed from its paper, put anywhere on a frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from douga.classes import AREA_CLASSES, DougaClass
from douga.errors import InputError
from douga_training.simulate.given_drawing import check_ids
from douga_training.simulate.nearest import nearest
from douga_training.simulate.sheet import CelArt, Rgb

U8 = NDArray[np.uint8]


def lift_from_paper(rgb: U8, cel: U8, paper: Rgb = (255, 255, 255)) -> tuple[U8, U8]:
    """Free a cel that was saved on paper from the paper's colour in its antialiased border.

    rgb: (H, W, 3) uint8; cel: (H, W) uint8, 0 outside. Returns (rgb, alpha): straight, (H, W, 3) and (H, W)
    uint8. A border pixel gets the colour of the nearest pixel well inside, and the share of it that explains
    what was seen.
    """
    inside = cel > 0
    deep = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2, borderValue=1) > 0
    rim = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    edge = rim & ~deep
    number = np.where(deep, np.arange(deep.size, dtype=np.int32).reshape(deep.shape), -1)
    own = rgb.reshape(-1, 3)[nearest(number)].astype(np.float32)
    away = own - np.array(paper, np.float32)
    share = ((rgb.astype(np.float32) - paper) * away).sum(-1) / np.maximum((away**2).sum(-1), 1.0)
    # Light paint on light paper tells nothing about its share: keep the mask there.
    share = np.where((away**2).sum(-1) > 60**2, np.clip(share, 0, 1), inside)
    alpha = np.where(deep, 1.0, np.where(edge, share, 0.0))
    mixed = edge & (alpha < 0.98)
    out = np.where(mixed[..., None], own, rgb)
    return np.round(out).astype(np.uint8), np.round(alpha * 255).astype(np.uint8)


def place_cel(
    cel_rgb: U8,
    alpha: U8,
    ids: U8,
    canvas_wh: tuple[int, int],
    position: tuple[int, int],
    scale: float = 1.0,
) -> CelArt:
    """Put a given painted cel on an empty canvas, cropped by its edges.

    cel_rgb: (h, w, 3) uint8; alpha: (h, w) uint8, straight; ids: (h, w) uint8 class ids. canvas_wh: size of
    the result in px. position: canvas pixel of the cel's top left corner, may be negative. scale: 1 keeps the
    size. Colours are averaged with their alpha; a pixel is a line where half of it is, and no line breaks by
    shrinking. Raises InputError where sizes disagree or scale is not positive.
    """
    check_ids(ids)
    if cel_rgb.shape != (*ids.shape, 3) or alpha.shape != ids.shape:
        raise InputError(
            f"place_cel: rgb {cel_rgb.shape}, alpha {alpha.shape} and ids {ids.shape} are not one size"
        )
    if not scale > 0 or min(canvas_wh) < 1:
        raise InputError(f"place_cel: scale {scale} and canvas {canvas_wh} must be positive")
    h, w = ids.shape
    size = max(1, round(w * scale)), max(1, round(h * scale))
    art = CelArt(cel_rgb, alpha, np.where(alpha < 128, 0, ids).astype(np.uint8))
    if size != (w, h):
        art = _resized(art, size)
    x, y = position
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + size[0], canvas_wh[0]), min(y + size[1], canvas_wh[1])
    canvas = [np.zeros((canvas_wh[1], canvas_wh[0], *tail), np.uint8) for tail in ((3,), (), ())]
    if x0 < x1 and y0 < y1:
        for target, source in zip(canvas, (art.rgb, art.alpha, art.ids), strict=True):
            target[y0:y1, x0:x1] = source[y0 - y : y1 - y, x0 - x : x1 - x]
    return CelArt(*canvas)


def place_somewhere(art: CelArt, canvas_wh: tuple[int, int], rng: np.random.Generator) -> CelArt:
    """Put a given cel at a random place and size on a canvas, mirrored half of the time, its middle in view.

    It becomes 0.35 to 1.6 times as large as fits the canvas, and at most 1.25 times its own size.
    """
    y, x = np.nonzero(art.alpha)
    if len(y) == 0:
        raise InputError("place_somewhere: the given cel is empty; its alpha is 0 everywhere")
    part = np.s_[y.min() : y.max() + 1, x.min() : x.max() + 1]
    rgb, alpha, ids = art.rgb[part], art.alpha[part], art.ids[part]
    if rng.random() < 0.5:
        rgb, alpha, ids = rgb[:, ::-1], alpha[:, ::-1], ids[:, ::-1]
    h, w = ids.shape
    fit = min(canvas_wh[0] / w, canvas_wh[1] / h)
    scale = min(fit * float(np.exp(rng.uniform(np.log(0.35), np.log(1.6)))), 1.25)
    middle = rng.uniform(0.2, 0.8, 2) * canvas_wh
    corner = round(middle[0] - w * scale / 2), round(middle[1] - h * scale / 2)
    return place_cel(rgb, alpha, np.ascontiguousarray(ids), canvas_wh, corner, scale)


def _resized(art: CelArt, size_wh: tuple[int, int]) -> CelArt:
    shrinks = size_wh[0] < art.ids.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    share = cv2.resize(art.alpha.astype(np.float32) / 255, size_wh, interpolation=how)
    cover = (art.alpha.astype(np.float32) / 255)[..., None]
    rgb = cv2.resize(art.rgb * cover, size_wh, interpolation=how) / np.maximum(share, 1e-6)[..., None]
    ids = np.zeros(share.shape, np.uint8)
    best = np.zeros(share.shape, np.float32)
    lines = [c for c in DougaClass if DougaClass.VISIBLE_LINE <= c <= DougaClass.BOOK_LINE]
    for c in [*AREA_CLASSES, *sorted(lines, reverse=True)]:
        mask = art.ids == c
        if not mask.any():
            continue
        covered = cv2.resize(mask.astype(np.float32), size_wh, interpolation=how)
        if c in lines:
            wins = covered >= 0.5
            if shrinks:
                wins |= _spine(mask, size_wh)
        else:
            wins = covered > best
            best = np.maximum(best, covered)
        ids[wins] = c
    ids[share < 0.5] = DougaClass.FLAT
    return CelArt(
        np.round(np.clip(rgb, 0, 255)).astype(np.uint8), np.round(share * 255).astype(np.uint8), ids
    )


def _spine(mask: NDArray[np.bool_], size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Where the middle of a line falls in a smaller image, so that lines under a pixel's width stay whole."""
    y, x = np.nonzero(skeletonize(mask))
    out = np.zeros((size_wh[1], size_wh[0]), bool)
    h, w = mask.shape
    out[((y + 0.5) * size_wh[1] / h).astype(int), ((x + 0.5) * size_wh[0] / w).astype(int)] = True
    return out
