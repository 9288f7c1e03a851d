"""The broadcast twin: same bytes for the same seed, same truth, and not a line moved."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from douga_training.simulate.broadcast import Broadcast, broadcast, encode, sample_broadcast, tint_lines
from douga_training.simulate.compositing import Compositing, Layers
from douga_training.simulate.production import Part, production_twins, stream
from douga_training.simulate.sheet import CelArt, Sheet

W, H = 321, 243  # odd on purpose


def drawn_layers() -> tuple[Layers, CelArt]:
    """A drawing with many lines in all directions over a plain ramp."""
    sheet = Sheet((W, H))
    turn = np.linspace(0, 2 * np.pi, 90)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    for number in range(6):
        centre = np.array([40 + 48 * number, 60 + 110 * (number % 2)], float)
        area = sheet.area(centre + circle * 38, (230, 190 - 20 * number, 150))
        sheet.stroke(centre + circle * 38, 2, (10, 10, 10), closed=True)
        sheet.stroke(centre + circle * 18, 2, (10, 10, 10), closed=True, within=area)
    art = sheet.resolve()
    ramp = np.broadcast_to(np.linspace(90, 170, W).astype(np.uint8)[None, :, None], (H, W, 3)).copy()
    return Layers(ramp, art), art


def offset_px(frame: np.ndarray, art: CelArt) -> tuple[float, float]:
    """How far the dark lines of a frame lie from the drawn ones, by phase correlation."""
    truth = (art.ids == 1).astype(np.float32)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    dark = np.clip(cv2.GaussianBlur(grey, (0, 0), 6) - grey, 0, None)
    pair = [np.zeros((256, 384), np.float32) for _ in range(2)]  # OpenCV is half a pixel off for odd sizes
    for padded, lines in zip(pair, (truth, dark), strict=True):
        padded[:H, :W] = cv2.GaussianBlur(lines, (0, 0), 1)
    (dx, dy), _ = cv2.phaseCorrelate(*pair)
    return dx, dy


@pytest.mark.parametrize("lines", [720, 810, 0])
@pytest.mark.parametrize("move", ["pan", "slide", "hold"])
@pytest.mark.parametrize("native", [False, True])
def test_no_line_moves(lines: int, move: str, native: bool) -> None:
    layers, art = drawn_layers()
    settings = Broadcast(
        Compositing(), native_lines=lines, encode_native=native, move=move, move_px=(5, -3), picked=2, crf=26
    )
    frame = broadcast(layers, settings, np.random.default_rng(0), frame_height_px=1080)
    assert frame.shape == (H, W, 3)
    dx, dy = offset_px(frame, art)
    assert abs(dx) < 0.15
    assert abs(dy) < 0.15


def test_the_offset_check_sees_half_a_pixel() -> None:
    layers, art = drawn_layers()
    frame = broadcast(layers, Broadcast(Compositing()), np.random.default_rng(0), frame_height_px=1080)
    moved = cv2.warpAffine(
        frame, np.array([[1, 0, 0.5], [0, 1, 0]], float), (W, H), borderMode=cv2.BORDER_REPLICATE
    )
    assert offset_px(moved, art)[0] > 0.3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_twins_share_their_truth_and_repeat(seed: int) -> None:
    lossless, twin = production_twins(seed, (320, 180), shot="close_up")
    _, again = production_twins(seed, (320, 180), shot="close_up")
    assert np.array_equal(twin.frame, again.frame)
    assert not np.array_equal(twin.frame, lossless.frame)
    for kind in ("classes", "cel_mask", "alpha", "book_mask", "background", "cel"):
        assert getattr(twin, kind) is getattr(lossless, kind)
    assert twin.meta["broadcast"]["grade"] in ("day", "dusk", "night", "pale")


def test_settings_cover_what_is_seen_on_air() -> None:
    drawn = [sample_broadcast(stream(seed, Part.BROADCAST), Compositing()) for seed in range(200)]
    assert {s.grade for s in drawn} == {"day", "dusk", "night", "pale"}
    assert {s.native_lines for s in drawn} == {0, 720, 810}
    assert {s.crf for s in drawn} == set(range(22, 29))
    assert all(0.3 <= s.line_tint <= 1 and 0 < s.picked < s.length for s in drawn)


def test_night_is_darker_and_bluer_than_day() -> None:
    layers, _ = drawn_layers()
    rng = np.random.default_rng(0)
    means = {}
    for seed in range(40):
        settings = sample_broadcast(stream(seed, Part.BROADCAST), Compositing())
        if settings.grade in ("day", "night") and settings.grade not in means:
            settings = replace(settings, length=2, picked=1)
            means[settings.grade] = broadcast(layers, settings, rng, frame_height_px=1080).mean((0, 1))
    assert means["night"].mean() < 0.8 * means["day"].mean()
    assert means["night"][2] / means["night"][0] > means["day"][2] / means["day"][0]


def test_the_encoder_returns_every_frame_and_loses_detail() -> None:
    rng = np.random.default_rng(1)
    clip = [rng.integers(0, 256, (33, 47, 3)).astype(np.uint8) for _ in range(4)]
    shown = encode(clip, crf=28)
    assert [image.shape for image in shown] == [(33, 47, 3)] * 4
    assert np.abs(shown[2].astype(int) - clip[2]).mean() > 1
    flat = [np.full((32, 48, 3), (180, 120, 60), np.uint8)] * 2
    assert np.abs(encode(flat, crf=22)[1].astype(int) - flat[1]).max() <= 3


def test_lines_without_a_sheet_are_tinted_where_they_are_dark() -> None:
    rgb = np.full((21, 21, 3), (200, 100, 100), np.uint8)
    ids = np.zeros((21, 21), np.uint8)
    ids[10] = 1
    rgb[10] = 0
    tinted = tint_lines(CelArt(rgb, np.full((21, 21), 255, np.uint8), ids), 1.0, 0.5)
    assert tinted.rgb[10, 10, 0] > 80
    assert tinted.rgb[10, 10, 0] > tinted.rgb[10, 10, 1]
    assert tinted.rgb[5, 5].tolist() == [200, 100, 100]
    assert not rgb[10].any()


def test_a_thick_line_on_the_border_of_the_cel_is_tinted_to_its_outer_side() -> None:
    rgb = np.full((60, 60, 3), (200, 100, 100), np.uint8)
    ids, alpha = np.zeros((60, 60), np.uint8), np.full((60, 60), 255, np.uint8)
    ids[20:40], alpha[:20] = 1, 0
    rgb[20:40] = 0
    tinted = tint_lines(CelArt(rgb, alpha, ids), 1.0, 0.5)
    assert np.abs(tinted.rgb[20:40].astype(int) - tinted.rgb[38, 30]).max() <= 2
    assert tinted.rgb[20, 30, 0] > 80
