"""Colours at soft edges, on drawings whose true colours are known because they were painted here."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from douga.errors import InputError
from douga.foreground import estimate_foreground

SAMPLES = 4


def drawing(seed: int, blur_px: float = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A composited frame, its alpha, the true straight colours: outlined shapes, hairs of 0.5 to 3 px."""
    rng = np.random.default_rng(seed)
    h, w = 270, 480
    paint = np.zeros((h * SAMPLES, w * SAMPLES, 3), np.float32)
    cover = np.zeros(paint.shape[:2], np.float32)
    for _ in range(4):
        spots = rng.random((7, 2)) * [w * SAMPLES * 0.5, h * SAMPLES * 0.7]
        hull = cv2.convexHull((spots + [w * SAMPLES * 0.25, h * SAMPLES * 0.15]).astype(np.int32))
        colour, ink = rng.random(3).tolist(), (rng.random(3) * 0.3).tolist()
        for canvas, fill, line in ((paint, colour, ink), (cover, 1.0, 1.0)):
            cv2.fillPoly(canvas, [hull], fill)
            cv2.polylines(canvas, [hull], True, line, 2 * SAMPLES)
    for _ in range(15):
        hair = (rng.random((3, 2)) * [w * SAMPLES, h * SAMPLES]).astype(np.int32)
        width, ink = int(rng.integers(2, 3 * SAMPLES)), (rng.random(3) * 0.4).tolist()
        cv2.polylines(paint, [hair], False, ink, width)
        cv2.polylines(cover, [hair], False, 1.0, width)
    alpha = cv2.resize(cover, (w, h), interpolation=cv2.INTER_AREA)
    premultiplied = cv2.resize(paint * cover[..., None], (w, h), interpolation=cv2.INTER_AREA)
    if blur_px:
        alpha, premultiplied = (cv2.GaussianBlur(a, (0, 0), blur_px) for a in (alpha, premultiplied))
    behind = cv2.GaussianBlur(rng.random((h, w, 3)), (0, 0), 12)
    behind = np.clip((behind - behind.mean()) * 15 + 0.5, 0, 1)
    frame = premultiplied + (1 - alpha[..., None]) * behind
    true = premultiplied / np.maximum(alpha, 1e-6)[..., None]
    return np.round(frame * 255).astype(np.uint8), alpha, true


def fringe(colours: np.ndarray, alpha: np.ndarray, true: np.ndarray) -> float:
    """How far off the soft pixels are once they lie on another background, in 255ths."""
    soft = (alpha > 0) & (alpha < 1)
    return float((np.abs(colours - true) * alpha[..., None])[soft].mean() * 255)


@pytest.mark.parametrize("seed", range(4))
def test_sharp_edges_have_no_fringe(seed: int) -> None:
    rgb, alpha, true = drawing(seed)
    assert fringe(rgb / 255, alpha, true) > 10
    assert fringe(estimate_foreground(rgb, alpha), alpha, true) < 1


@pytest.mark.parametrize("seed", range(4))
def test_motion_blur_has_less_of_one(seed: int) -> None:
    rgb, alpha, true = drawing(seed, blur_px=2)
    assert fringe(estimate_foreground(rgb, alpha), alpha, true) < 0.6 * fringe(rgb / 255, alpha, true)


def test_opaque_pixels_keep_their_colour_and_clear_ones_have_none() -> None:
    rgb, alpha, _ = drawing(1)
    colours = estimate_foreground(rgb, alpha)
    np.testing.assert_array_equal(colours[alpha == 1], (rgb.astype(np.float32) / 255)[alpha == 1])
    far = cv2.distanceTransform((alpha == 0).astype(np.uint8), cv2.DIST_C, 3) > 3
    assert far.any()
    assert not colours[far].any()


def test_colours_go_on_beyond_the_edge_so_that_filters_find_no_black() -> None:
    rgb = np.zeros((9, 20, 3), np.uint8)
    rgb[:, :10], rgb[:, 10:] = (200, 100, 40), (0, 0, 255)
    alpha = np.zeros((9, 20), np.float32)
    alpha[:, :10] = 1
    colours = np.round(estimate_foreground(rgb, alpha) * 255)
    assert (colours[:, :13] == (200, 100, 40)).all()
    assert not colours[:, 13:].any()


def test_one_half_clear_pixel_by_hand() -> None:
    rgb = np.array([[[200, 0, 0], [100, 0, 100], [0, 0, 200]]], np.uint8)
    alpha = np.array([[1, 0.5, 0]], np.float32)
    np.testing.assert_allclose(estimate_foreground(rgb, alpha)[0, 1] * 255, [200, 0, 0], atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_even_alphas(value: float) -> None:
    rgb = np.full((12, 16, 3), (10, 130, 250), np.uint8)
    colours = estimate_foreground(rgb, np.full((12, 16), value, np.float32))
    expected = rgb / 255 if value else np.zeros_like(rgb)
    np.testing.assert_allclose(colours, expected, atol=1e-6)


def test_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"the alpha is \(4, 5\), the frame \(5, 4\)"):
        estimate_foreground(np.zeros((5, 4, 3), np.uint8), np.zeros((4, 5), np.float32))
