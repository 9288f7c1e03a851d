"""Stage one's mask after the network: patches of one paint, specks."""

from typing import cast

import numpy as np
import pytest

from douga import cel
from douga.cel import find_cel, without_specks
from douga.checkpoint import LoadedNetwork
from douga.types import Frame


def test_islands_go_and_what_is_large_enough_stays() -> None:
    mask = np.array(
        [
            [1, 1, 0, 0, 0, 0],
            [1, 1, 0, 0, 1, 0],
            [0, 0, 0, 0, 0, 1],
            [0, 1, 0, 0, 0, 0],
        ],
        np.uint8,
    )
    two = without_specks(mask, 2)  # the diagonal pair is one island
    np.testing.assert_array_equal(two[3], [0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(two[:3], mask[:3])
    np.testing.assert_array_equal(without_specks(mask, 3)[:, 2:], 0)
    np.testing.assert_array_equal(without_specks(mask, 0), mask)


def test_a_patch_of_one_paint_is_cel_as_a_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = np.full((60, 90, 3), (90, 140, 200), np.uint8)
    rgb[10:50, 30:80] = (210, 90, 80)  # a coat, of which the network sees three quarters
    seen = np.full((60, 90), 0.1, np.float32)
    seen[10:50, 30:67] = 0.95
    monkeypatch.setattr(cel, "cel_probability", lambda *_, **__: seen)
    coat = np.zeros((60, 90), np.uint8)
    coat[10:50, 30:80] = 255
    nobody = cast(LoadedNetwork, None)
    np.testing.assert_array_equal(find_cel(Frame(rgb, "coat"), nobody).mask, coat)
    seen[10:50, 30:67] = 0.55  # too unsure to speak for all of it
    found = find_cel(Frame(rgb, "coat"), nobody).mask
    assert not found[:, 67:].any()


def test_the_outline_is_cel_to_its_far_side(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = np.full((60, 90, 3), (90, 140, 200), np.uint8)
    rgb[10:50, 30:80] = (20, 18, 16)
    rgb[14:46, 34:76] = (210, 90, 80)
    seen = np.full((60, 90), 0.1, np.float32)
    seen[12:48, 32:78] = 0.9  # the network's border runs in the middle of the line
    monkeypatch.setattr(cel, "cel_probability", lambda *_, **__: seen)
    found = find_cel(Frame(rgb, "coat"), cast(LoadedNetwork, None)).mask
    np.testing.assert_array_equal(found[16:44, 30:80], 255)
    assert not found[:, :29].any()
    assert not found[:, 81:].any()


def test_a_paint_that_is_cel_in_one_place_is_cel_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = np.full((60, 120, 3), (90, 140, 200), np.uint8)
    rgb[10:50, 10:50] = rgb[10:50, 70:110] = (210, 90, 80)  # two sleeves
    rgb[0:8, 112:] = (150, 90, 200)  # something of another paint
    seen = np.full((60, 120), 0.1, np.float32)
    seen[10:50, 10:50], seen[10:50, 70:110] = 0.95, 0.3
    monkeypatch.setattr(cel, "cel_probability", lambda *_, **__: seen)
    found = find_cel(Frame(rgb, "sleeves"), cast(LoadedNetwork, None)).mask
    np.testing.assert_array_equal(found, np.where((rgb == (210, 90, 80)).all(2), 255, 0))


def test_an_island_that_is_doubtful_all_over_is_no_cel(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = np.full((60, 120, 3), (90, 140, 200), np.uint8)
    rgb[10:50, 10:50] = (210, 90, 80)
    rgb[10:50, 70:110] = (150, 90, 200)
    seen = np.full((60, 120), 0.1, np.float32)
    seen[10:50, 10:50], seen[10:50, 70:110] = 0.95, 0.7
    monkeypatch.setattr(cel, "cel_probability", lambda *_, **__: seen)
    nobody = cast(LoadedNetwork, None)
    found = find_cel(Frame(rgb, "sign"), nobody).mask
    np.testing.assert_array_equal(found, np.where((rgb == (210, 90, 80)).all(2), 255, 0))
    seen[10:24, 70:110] = 0.95  # sure of a third of it
    found = find_cel(Frame(rgb, "friend"), nobody).mask
    np.testing.assert_array_equal(found, np.where((rgb == (90, 140, 200)).all(2), 0, 255))


def test_a_frame_that_is_doubtful_as_a_whole_keeps_its_surest_drawing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rgb = np.full((60, 120, 3), (90, 140, 200), np.uint8)
    rgb[10:50, 10:50] = (210, 90, 80)
    rgb[10:50, 70:110] = (150, 90, 200)
    seen = np.full((60, 120), 0.1, np.float32)
    seen[10:50, 10:50] = seen[10:50, 70:110] = 0.7
    monkeypatch.setattr(cel, "cel_probability", lambda *_, **__: seen)
    nobody = cast(LoadedNetwork, None)
    found = find_cel(Frame(rgb, "night"), nobody).mask
    np.testing.assert_array_equal(found, np.where((rgb == (90, 140, 200)).all(2), 0, 255))
    seen[10:14, 10:50] = 0.95  # a little of one of them is sure
    found = find_cel(Frame(rgb, "night"), nobody).mask
    np.testing.assert_array_equal(found, np.where((rgb == (210, 90, 80)).all(2), 255, 0))
