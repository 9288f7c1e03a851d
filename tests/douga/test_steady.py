"""Sequences: no flicker where frames stand still, no trail where they move."""

from __future__ import annotations

import numpy as np
import pytest

from douga.steady import Steady
from douga.types import Frame


def scene(left: int, *, grain: float = 0.0, seed: int = 0, number: int = 1) -> Frame:
    """A dark box on a light ground, its left edge at `left`, with grain."""
    picture = np.full((60, 120, 3), 200.0)
    picture[20:40, left : left + 30] = (60, 40, 90)
    picture += np.random.default_rng(seed).normal(0, grain, picture.shape)
    return Frame(np.clip(np.rint(picture), 0, 255).astype(np.uint8), f"A{number:04d}")


def truth(left: int) -> np.ndarray:
    alpha = np.zeros((60, 120), np.float32)
    alpha[20:40, left : left + 30] = 1
    return alpha


def flickering(alpha: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, alpha.shape)
    return np.clip(alpha + noise, 0, 1).astype(np.float32)


def test_the_first_frame_stands_as_it_is() -> None:
    alpha = flickering(truth(40), 1)
    np.testing.assert_array_equal(Steady()(scene(40), alpha), alpha)


def test_a_held_drawing_flickers_less() -> None:
    steady, fresh, kept = Steady(), [], []
    true = 0.3 + 0.4 * truth(40)
    for n in range(1, 13):
        alpha = flickering(true, n)
        fresh.append(alpha)
        kept.append(steady(scene(40, grain=2, seed=n, number=n), alpha))
    change = [float(np.abs(np.diff(frames[4:], axis=0)).mean()) for frames in (fresh, kept)]
    assert change[1] < 0.35 * change[0]
    assert np.abs(kept[-1] - true).mean() < 0.6 * np.abs(fresh[-1] - true).mean()


def test_a_cut_to_another_scene_does_not_lag() -> None:
    steady = Steady()
    for n in range(1, 5):
        steady(scene(20, grain=2, seed=n, number=n), truth(20))
    other = Frame(255 - scene(70).rgb, "A0005")
    np.testing.assert_array_equal(steady(other, truth(70)), truth(70))


def test_a_moving_edge_leaves_no_trail() -> None:
    steady = Steady()
    for n, left in enumerate(range(10, 80, 6), 1):
        alpha = steady(scene(left, grain=2, seed=n, number=n), truth(left))
        np.testing.assert_array_equal(alpha, truth(left))


@pytest.mark.parametrize("contrast", [15, 30, -15])
def test_a_thin_faint_line_leaves_no_trail_where_the_rest_holds_still(contrast: int) -> None:
    steady = Steady()
    for n, x in enumerate(range(20, 80, 4), 1):
        picture = np.full((60, 120, 3), 120, np.uint8)
        picture[20:40, x] = 120 + contrast
        fresh = (picture[..., 0] != 120).astype(np.float32)
        kept = steady(Frame(picture, f"A{n:04d}"), fresh)
        np.testing.assert_array_equal(kept, fresh)


def test_a_slow_pan_adds_up_to_a_change() -> None:
    """Every step is too small to be seen as a change by itself."""
    ramp = np.tile(np.linspace(60, 200, 400, dtype=np.float32), (40, 1))
    steady = Steady()
    for n in range(1, 200):
        picture = np.repeat(np.rint(ramp[:, n : n + 120])[..., None], 3, 2).astype(np.uint8)
        fresh = np.full((40, 120), n / 200, np.float32)
        kept = steady(Frame(picture, f"A{n:04d}"), fresh)
    assert np.abs(kept - fresh).max() < 0.03  # the alpha itself rose by 1: a lag of a few frames at most


def test_frames_that_do_not_follow_begin_anew() -> None:
    for name, size in (
        ("A0007", (60, 120)),
        ("B0002", (60, 120)),
        ("still", (60, 120)),
        ("A0001", (60, 120)),
        ("A0002", (30, 50)),
    ):
        steady = Steady()
        steady(scene(40, number=1), truth(40))
        frame = Frame(np.full((*size, 3), 200, np.uint8), name)
        alpha = np.full(size, 0.5, np.float32)
        np.testing.assert_array_equal(steady(frame, alpha), alpha)


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_sequence_on_twos_is_one_sequence(step: int) -> None:
    steady = Steady()
    steady(scene(40, number=9), truth(40))
    assert (steady.last, steady.follows) == ("A0009", False)
    kept = steady(scene(40, number=9 + step), np.zeros((60, 120), np.float32))
    assert steady.follows
    assert kept.max() == 0.75


def test_the_number_stands_where_the_frame_says() -> None:
    picture, alpha = scene(40).rgb, truth(40)
    for name, numbers, follows in (
        ("c01_0002_v2", (1, 2), True),
        ("c01_0006_v2", (1, 6), False),
        ("c02_0002_v2", (1, 2), False),
        ("c01_0002_v3", (1, 2), False),
        ("c01_0002_v2", (None, None), False),
    ):
        steady = Steady()
        steady(Frame(picture, "c01_0001_v2", number=numbers[0]), alpha)
        steady(Frame(picture, name, number=numbers[1]), alpha)
        assert steady.follows is follows, name


def test_what_comes_in_is_not_changed() -> None:
    steady, alpha = Steady(), truth(40)
    steady(scene(40, number=1), alpha)
    steady(scene(40, number=2), flickering(alpha, 2))
    np.testing.assert_array_equal(alpha, truth(40))
