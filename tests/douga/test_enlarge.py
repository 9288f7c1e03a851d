"""Small alphas enlarged along the frame's edges: hairs come back, levels stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from douga.enlarge import enlarge_alpha

F32 = np.ndarray


def hairs(seed: int, grain: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A frame (240 x 320 px) of dark hairs of 1 to 3 px on a light ground that changes slowly; its alpha."""
    rng = np.random.default_rng(seed)
    alpha = np.zeros((960, 1280), np.uint8)
    for _ in range(25):
        points = (rng.random((3, 2)) * (1280, 960)).astype(np.int32)
        cv2.polylines(alpha, [points], False, 255, int(rng.integers(4, 12)))
    soft = cv2.resize(alpha, (320, 240), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    ground = np.linspace(150, 220, 320)[None, :, None] * np.array([1.0, 0.9, 0.8])
    frame = soft[..., None] * np.array([50, 30, 60]) + (1 - soft[..., None]) * ground
    frame += rng.normal(0, grain, frame.shape)
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8), soft


@pytest.mark.parametrize(("scale", "grain", "share"), [(2, 0, 0.2), (3, 0, 0.2), (2, 2, 0.7), (3, 2, 0.7)])
def test_hairs_come_back_from_the_frame(scale: int, grain: float, share: float) -> None:
    rgb, alpha = hairs(1, grain)
    small = cv2.resize(alpha, (320 // scale, 240 // scale), interpolation=cv2.INTER_AREA)
    found = enlarge_alpha(small, rgb)
    plain = cv2.resize(small, (320, 240), interpolation=cv2.INTER_LINEAR)
    assert np.abs(found - alpha).mean() < share * np.abs(plain - alpha).mean()


def test_where_the_alpha_is_even_a_busy_frame_changes_nothing() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    for level in (0.0, 0.4, 1.0):
        found = enlarge_alpha(np.full((45, 60), level, np.float32), rgb)
        np.testing.assert_allclose(found, level, atol=1e-5)


def test_where_the_frame_is_even_the_alpha_is_enlarged_smoothly() -> None:
    small = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (45, 1))
    found = enlarge_alpha(small, np.full((90, 120, 3), 90, np.uint8))
    assert found.shape == (90, 120)
    assert found.dtype == np.float32
    smooth = np.clip(cv2.resize(small, (120, 90), interpolation=cv2.INTER_CUBIC), 0, 1)
    np.testing.assert_allclose(found, smooth, atol=2e-3)


@pytest.mark.parametrize("size_hw", [(1, 1), (20, 500), (500, 20), (45, 60)])
def test_any_size_gives_the_frames(size_hw: tuple[int, int]) -> None:
    small = np.random.default_rng(1).random((45, 60), np.float32)
    found = enlarge_alpha(small, np.zeros((*size_hw, 3), np.uint8))
    assert found.shape == size_hw
    assert found.min() >= 0
    assert found.max() <= 1
