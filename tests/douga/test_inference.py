"""Parts of a frame: regions, full resolution near borders only, steps that can be told and stopped."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

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
from douga.types import Frame

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


def test_several_looks_are_averaged_near_borders_and_away_from_them() -> None:
    loaded, looks = weights("cel-small"), (1.0, 1.5)
    larger = to_tensor(cv2.resize(drawing().rgb, (1280, 722), interpolation=cv2.INTER_CUBIC))
    alone = {
        look: predict_near_borders(loaded, larger, cells=999, looks=(look,), precision=EXACT)
        for look in looks
    }
    both = predict_near_borders(loaded, larger, cells=999, looks=looks, precision=EXACT)
    np.testing.assert_allclose(both, np.mean(list(alone.values()), axis=0), atol=1e-3)
    assert np.abs(alone[1.0] - alone[1.5]).max() > 0.1  # else any of them would do

    gcn = loaded.network
    assert isinstance(gcn, Gcn)
    with torch.inference_mode():
        small = [gcn.coarse(gcn.context(gcn.shrink(larger[None], look))).softmax(1)[:, 1:] for look in looks]
    small[1] = torch.nn.functional.interpolate(small[1], small[0].shape[-2:], mode="area")
    coarse = torch.nn.functional.interpolate(sum(small) / 2, (722, 1280), mode="bilinear")[0, 0].numpy()
    region, steps = (300, 200, 90, 60), []
    part = predict_near_borders(
        loaded, larger, cells=999, looks=looks, precision=EXACT, region=region, on_step=steps.append
    )
    inside = np.zeros(part.shape, bool)
    inside[200:260, 300:390] = True
    np.testing.assert_allclose(part[inside], both[inside], atol=1e-3)
    np.testing.assert_allclose(part[~inside], coarse[~inside], atol=1e-4)
    assert steps[:3] == [0.0, 0.0, 0.0]  # can be stopped before each look
    assert steps[3] > 0


def test_looks_that_come_out_alike_count_once() -> None:
    loaded = weights("cel-small")
    gcn = loaded.network
    assert isinstance(gcn, Gcn)
    seen: list[torch.Size] = []
    hook = gcn.context.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    try:
        predict_near_borders(loaded, image(), cells=4, looks=(1.0, 1.5))  # 427 px, below the context's 640
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
