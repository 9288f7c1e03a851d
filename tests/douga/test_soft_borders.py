"""Hard borders get the share of the foreground that a paint program mixed into their pixels."""

import cv2
import numpy as np
import pytest

from douga.errors import InputError
from douga.soft_borders import with_soft_borders
from douga.types import F32, U8

SKIN, SKY = (235, 190, 160), (70, 110, 190)


def antialiased_disc() -> F32:
    """(60, 80) float32, with a border as 8 x 8 samples a pixel have it."""
    large = np.zeros((480, 640), np.uint8)
    cv2.circle(large, (330, 240), 150, 255, -1)
    return cv2.resize(large, (80, 60), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def painted(alpha: F32, front: tuple[int, int, int], back: tuple[int, int, int]) -> U8:
    share = alpha[..., None]
    return np.round(share * np.array(front) + (1 - share) * np.array(back)).astype(np.uint8)


def hard(alpha: F32) -> F32:
    return (alpha >= 0.5).astype(np.float32)


@pytest.mark.parametrize("front", [SKIN, (20, 15, 25)])
def test_a_hard_border_gets_the_alpha_that_was_painted(front: tuple[int, int, int]) -> None:
    alpha = antialiased_disc()
    found = with_soft_borders(hard(alpha), painted(alpha, front, SKY))
    assert np.abs(hard(alpha) - alpha).max() > 0.4
    assert np.abs(found - alpha).max() < 0.03


def test_a_border_between_colours_that_are_alike_stays_hard() -> None:
    alpha = antialiased_disc()
    frame = painted(alpha, SKIN, (225, 185, 160))
    assert np.array_equal(with_soft_borders(hard(alpha), frame), hard(alpha))


def test_pixels_of_a_third_colour_keep_their_alpha() -> None:
    mask = np.zeros((20, 30), np.float32)
    mask[:, :15] = 1
    frame = painted(mask, SKIN, SKY)
    frame[:, 14] = (10, 10, 10)  # a line of one pixel around the paint
    assert np.array_equal(with_soft_borders(mask, frame), mask)


def test_a_hair_with_nothing_inside_and_what_is_soft_stay_as_they_are() -> None:
    alpha = np.zeros((20, 30), np.float32)
    alpha[:, 10:12] = 1
    alpha[:, 20:] = 0.5
    frame = painted(alpha, SKIN, SKY)
    frame[:, 11] = (150, 150, 175)  # half hair, half sky, but there is no pixel of hair to tell
    assert np.array_equal(with_soft_borders(alpha, frame), alpha)


def test_an_alpha_without_borders_comes_back() -> None:
    for value in (0, 1):
        alpha = np.full((12, 16), value, np.float32)
        assert np.array_equal(with_soft_borders(alpha, painted(alpha, SKIN, SKY)), alpha)


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="give one of its size"):
        with_soft_borders(np.zeros((4, 5), np.float32), np.zeros((5, 4, 3), np.uint8))
