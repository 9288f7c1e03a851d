"""Parts of a frame: regions, full resolution near borders only, steps that can be told and stopped."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from douga.cel import find_cel
from douga.checkpoint import LoadedNetwork, load_network
from douga.frame_io import read_frame
from douga.inference import predict, predict_near_borders, predict_where_drawn, windows_over
from douga.lines import find_lines
from douga.networks.gcn import Gcn
from douga.preprocess import to_tensor
from douga.types import F32, Frame

EXAMPLE = Path(__file__).parents[2] / "examples" / "frame.png"
EXACT = torch.float32


@cache
def weights(name: str) -> LoadedNetwork:
    return load_network(name, "cpu")


@cache
def drawing() -> Frame:
    """A real drawing, 427 x 241 px: odd, and seen small by the context all the same."""
    return Frame(cv2.resize(read_frame(EXAMPLE).rgb, (427, 241), interpolation=cv2.INTER_AREA))


@cache
def image() -> Tensor:
    return to_tensor(drawing().rgb)


@pytest.mark.parametrize("region", [(0, 0, 40, 30), (221, 33, 50, 41), (390, 140, 37, 101)])
def test_a_region_is_answered_as_in_the_whole_frame(region: tuple[int, int, int, int]) -> None:
    x, y, width, height = region
    whole = predict(weights("cel-small"), image(), precision=EXACT)
    part = predict(weights("cel-small"), image(), precision=EXACT, region=region)
    assert part.shape == (2, height, width)
    expected = whole[:, y : y + height, x : x + width]
    torch.testing.assert_close(part.float(), expected.float(), atol=1e-3, rtol=0)


def test_full_resolution_decides_near_borders_and_the_small_answer_elsewhere() -> None:
    loaded = weights("cel-small")
    gcn = loaded.network
    assert isinstance(gcn, Gcn)
    with torch.inference_mode():
        coarse = gcn.coarse(gcn.context(gcn.shrink(image()[None]))).softmax(1)[:, 1:]
    small = torch.nn.functional.interpolate(coarse, (241, 427), mode="bilinear")[0, 0].numpy()
    border = cv2.morphologyEx((small >= 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    assert border.any()
    away_px = cv2.distanceTransform(1 - border, cv2.DIST_L2, 5)
    cell_px = 241 / coarse.shape[-2]
    fine = predict(loaded, image(), precision=EXACT)[1].float().numpy()

    near = predict_near_borders(loaded, image(), cells=4, precision=EXACT)
    np.testing.assert_allclose(near[away_px < 3 * cell_px], fine[away_px < 3 * cell_px], atol=1e-3)
    np.testing.assert_allclose(near[away_px > 5 * cell_px], small[away_px > 5 * cell_px], atol=1e-5)
    assert np.abs(fine - small)[away_px < 3 * cell_px].max() > 0.1  # else nothing was compared

    region = (100, 60, 120, 90)
    inside = np.zeros((241, 427), bool)
    inside[60:150, 100:220] = True
    partly = predict_near_borders(loaded, image(), cells=4, precision=EXACT, region=region)
    np.testing.assert_allclose(partly[inside], near[inside], atol=1e-3)
    np.testing.assert_allclose(partly[~inside], small[~inside], atol=1e-5)


def test_full_resolution_decides_where_something_may_be_seen_through() -> None:
    loaded = weights("cutout-small")
    gcn = loaded.network
    assert isinstance(gcn, Gcn)
    with torch.inference_mode():
        coarse = gcn.coarse(gcn.context(gcn.shrink(image()[None]))).sigmoid()
    small = torch.nn.functional.interpolate(coarse, image().shape[-2:], mode="bilinear")[0, 0].numpy()
    whole = predict(loaded, image(), precision=EXACT)[0].float().numpy()
    found = predict_near_borders(loaded, image(), cells=0, precision=EXACT)
    soft, clear = (small > 0.051) & (small < 0.949), (small < 0.01) | (small > 0.99)
    assert soft.sum() > 500
    np.testing.assert_allclose(found[soft], whole[soft], atol=2e-3)
    assert np.mean(np.abs(found[clear] - small[clear]) < 1e-3) > 0.99


@cache
def larger() -> Tensor:
    """The same drawing at 1280 x 722 px: the context can see it at 640 px and at 960 px."""
    return to_tensor(cv2.resize(drawing().rgb, (1280, 722), interpolation=cv2.INTER_CUBIC))


def looked_twice(monkeypatch: pytest.MonkeyPatch, little: float, much: float, **more: Any) -> F32:
    """The answer where a second look counts fully up to one share of the frame, and not from another on."""
    monkeypatch.setattr("douga.inference._LITTLE", little)
    monkeypatch.setattr("douga.inference._MUCH", much)
    loaded = weights("cel-small")
    return predict_near_borders(loaded, larger(), cells=999, closer=1.5, precision=EXACT, **more)


def test_where_little_is_found_a_closer_look_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = weights("cel-small")
    once = predict_near_borders(loaded, larger(), cells=999, precision=EXACT)
    twice = looked_twice(monkeypatch, 1.0, 2.0)
    gcn = loaded.network
    assert isinstance(gcn, Gcn)
    assert gcn.detail is not None
    with torch.inference_mode():
        context = gcn.context(gcn.shrink(larger()[None], 1.5))
        told = gcn.context_at_half(context, larger()[None])
        closer = gcn.detail(larger()[None], told).softmax(1)[0, 1].numpy()
    np.testing.assert_allclose(twice, (once + closer) / 2, atol=1e-3)
    assert np.abs(once - closer).max() > 0.1  # else any of them would do

    found = float((once >= 0.5).mean())
    np.testing.assert_allclose(looked_twice(monkeypatch, found / 4, found / 2), once, atol=1e-3)
    between = looked_twice(monkeypatch, found - 0.1, found + 0.1)
    np.testing.assert_allclose(between, 0.75 * once + 0.25 * closer, atol=3e-2)


def test_both_looks_answer_a_region_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, steps = looked_twice(monkeypatch, 1.0, 2.0), []
    part = looked_twice(monkeypatch, 1.0, 2.0, region=(300, 200, 90, 60), on_step=steps.append)
    np.testing.assert_allclose(part[200:260, 300:390], whole[200:260, 300:390], atol=1e-3)
    assert steps[:2] == [0.0, 0.0]
    assert steps[2] > 0


def test_a_frame_that_cannot_be_seen_larger_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("douga.inference._LITTLE", 1.0)
    monkeypatch.setattr("douga.inference._MUCH", 2.0)
    loaded = weights("cel-small")
    gcn = loaded.network
    assert isinstance(gcn, Gcn)
    seen: list[torch.Size] = []
    hook = gcn.context.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    try:
        predict_near_borders(loaded, image(), cells=4, closer=1.5)  # 427 px, below the context's 640
        find_cel(Frame(cv2.resize(drawing().rgb, (1280, 722))), loaded)
    finally:
        hook.remove()
    assert seen == [(1, 3, 241, 427), (1, 3, 361, 640), (1, 3, 542, 960)]


def test_where_nothing_is_drawn_the_context_is_enough() -> None:
    loaded = weights("lines-small")
    gcn = loaded.network
    assert isinstance(gcn, Gcn)
    mask = np.zeros((241, 427), np.uint8)
    mask[100:180, 30:90] = 255  # wanted, whatever the context says
    given = to_tensor(drawing().rgb, mask, mode=loaded.info.input_mode)
    with torch.inference_mode():
        coarse = gcn.coarse(gcn.context(gcn.shrink(given[None]))).softmax(1)[:, :1]
    flat = torch.nn.functional.interpolate(coarse, (241, 427), mode="bilinear")[0, 0].numpy()
    away_px = cv2.distanceTransform(((flat > 0.9) & (mask == 0)).astype(np.uint8), cv2.DIST_C, 3)
    cell_px = 241 / coarse.shape[-2]
    whole = predict(loaded, given, precision=EXACT).float().numpy()

    some = predict_where_drawn(loaded, given, mask, precision=EXACT).float().numpy()
    assert some.shape == whole.shape
    near, far = away_px < 1.5 * cell_px, away_px > 3 * cell_px
    np.testing.assert_allclose(some[:, near], whole[:, near], atol=1e-3)
    assert (some[0, far] == 1).all()
    assert not some[1:, far].any()
    assert near.any()
    assert far.any()
    assert not (whole[0, far] == 1).all()
    assert (whole[0, far] > 0.5).mean() > 0.99

    region = (60, 90, 120, 71)
    part = predict_where_drawn(loaded, given, mask, precision=EXACT, region=region).float().numpy()
    np.testing.assert_allclose(part, some[:, 90:161, 60:180], atol=1e-3)


def test_windows_cover_what_is_wanted_and_leave_out_what_is_far() -> None:
    wanted = np.zeros((300, 400), bool)
    assert not list(windows_over(wanted, margin_px=10))
    wanted[20:30, 50:60] = True
    wanted[25, 65] = True  # close: one window
    wanted[150:260, 300] = True  # far, and over two bands
    assert list(windows_over(wanted, margin_px=10)) == [
        (50, 20, 16, 10),
        (300, 150, 1, 42),
        (300, 192, 1, 68),
    ]


def test_each_step_is_announced_and_can_end_the_work() -> None:
    told = list[float]()

    def stop_at_third(share: float) -> None:
        told.append(share)
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        predict(weights("cel-small"), image(), band_px=1, on_step=stop_at_third)
    assert len(told) == 3

    told.clear()
    predict(weights("cel-small"), image(), band_px=1, on_step=told.append)
    assert told == sorted(set(told))
    assert (told[0], len(told)) == (0, 1 + math.ceil(241 / 64))
    assert told[-1] < 1


def test_both_stages_take_a_region() -> None:
    region = (110, 20, 200, 160)
    cel = find_cel(drawing(), weights("cel-small"), region=region)
    assert cel.mask.shape == (241, 427)
    whole = find_lines(drawing(), cel, weights("lines-small"))
    part = find_lines(drawing(), cel, weights("lines-small"), region=region)
    assert part.shape == (10, 160, 200)
    assert np.abs(part.astype(np.float32) - whole[:, 20:180, 110:310]).max() <= 0.05  # bfloat16's rounding
