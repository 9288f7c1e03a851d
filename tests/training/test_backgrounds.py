"""Backgrounds and books: every kind paints, a seed repeats, and kinds look like what they claim."""

import cv2
import numpy as np
import pytest
from douga_training.simulate.backgrounds import BACKGROUND_KINDS, paint_background
from douga_training.simulate.books import BOOK_KINDS, paint_book
from douga_training.simulate.chance import pick
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.perspective import Camera

from douga.errors import InputError
from douga.types import U8

SMALL = (160, 90)


def test_kinds_that_others_rely_on() -> None:
    asked = "sky clouds sunset night_sky foliage grass_field bushes forest mountains sea street town room"
    asked += " classroom corridor cafe car_interior night_town flat blurred watercolour lined abstract"
    asked += " flat_clouds poster_colour"
    assert set(asked.split()) <= set(BACKGROUND_KINDS)
    assert min(BACKGROUND_KINDS.values()) > 0
    assert {"bushes", "grass", "trunk", "branches", "desk", "pillar", "window_frame", "fence"} <= set(
        BOOK_KINDS
    )


@pytest.mark.parametrize("kind", BACKGROUND_KINDS)
def test_background_is_a_picture_and_repeats(kind: str) -> None:
    first = paint_background(np.random.default_rng(3), SMALL, kind)
    again = paint_background(np.random.default_rng(3), SMALL, kind)
    assert first.shape == (90, 160, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(first, again)
    others = [paint_background(np.random.default_rng(s), SMALL, kind) for s in (4, 5)]
    assert all((first != other).any() for other in others)


def test_flat_clouds_have_hard_edges() -> None:
    def steepest(kind: str, seed: int) -> float:
        """Of 255 a px, where the picture changes most, finish and grain smoothed away."""
        grey = cv2.cvtColor(
            paint_background(np.random.default_rng(seed), (640, 360), kind), cv2.COLOR_RGB2GRAY
        )
        calm = cv2.medianBlur(grey, 5).astype(np.float32)
        return float(np.percentile(np.abs(np.diff(calm, axis=0)), 99.7))

    flat, heaped = ([steepest(kind, seed) for seed in range(12)] for kind in ("flat_clouds", "clouds"))
    assert np.median(flat) > 1.5 * np.median(heaped)


@pytest.mark.parametrize("corners", [4, 20])
def test_laid_in_paint_is_flat_with_hard_edges_and_keeps_the_picture(corners: int) -> None:
    across, down = np.meshgrid(np.linspace(30, 220, 320), np.linspace(220, 60, 180))
    smooth = np.stack([across, down, 0.5 * (across + down)], -1).astype(np.uint8)
    smooth[60:120, 100:200] = (250, 40, 40)

    def laid_in(*radii: float) -> U8:
        rng = np.random.default_rng(5)
        return painting.lay_in(smooth, rng, radii, corners=corners, long=2.0, loose=8.0, jitter=6.0)

    def strays(picture: U8) -> float:
        return float(np.abs(picture.astype(int) - smooth).mean())

    broad, fine = laid_in(24), laid_in(24, 12, 6)
    steps = np.abs(np.diff(broad.astype(int), axis=1)).max(-1)
    assert np.mean(steps == 0) > 0.8  # one tone inside of every dab
    assert np.percentile(steps[steps > 0], 75) > 5 * np.abs(np.diff(smooth[:50].astype(int), axis=1)).max()
    assert strays(fine) < 0.7 * strays(broad)
    assert strays(fine) < 10
    np.testing.assert_array_equal(fine, laid_in(24, 12, 6))


def test_kinds_by_name_are_painted_where_they_are_asked_for_only() -> None:
    found = {pick(np.random.default_rng(seed), BACKGROUND_KINDS) for seed in range(3000)}
    assert found == set(BACKGROUND_KINDS) - {"flat_clouds", "poster_colour"}


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_nothing(threads: int) -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(threads)
        many = paint_background(np.random.default_rng(5), (640, 360), "street")
        cv2.setNumThreads(1)
        one = paint_background(np.random.default_rng(5), (640, 360), "street")
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("size_wh", [(1, 1), (101, 53)])
def test_odd_sizes(size_wh: tuple[int, int]) -> None:
    w, h = size_wh
    for seed, kind in enumerate(BACKGROUND_KINDS):
        assert paint_background(np.random.default_rng(seed), size_wh, kind).shape == (h, w, 3)
    for seed, kind in enumerate(BOOK_KINDS):
        rgb, alpha = paint_book(np.random.default_rng(seed), size_wh, kind)
        assert (rgb.shape, alpha.shape) == ((h, w, 3), (h, w))


def _sharpness(kind: str) -> float:
    seeds = range(3)
    plates = [paint_background(np.random.default_rng(s), (320, 180), kind) for s in seeds]
    return float(
        np.median([cv2.Laplacian(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), cv2.CV_64F).std() for p in plates])
    )


def test_kinds_differ_as_their_names_say() -> None:
    night = [paint_background(np.random.default_rng(s), SMALL, "night_town").mean() for s in range(4)]
    sky = [paint_background(np.random.default_rng(s), SMALL, "sky").mean() for s in range(4)]
    assert np.mean(night) < 0.7 * np.mean(sky)
    assert _sharpness("foliage") > 4 * _sharpness("blurred")
    assert _sharpness("lined") > 4 * _sharpness("sky")


def test_any_kind_is_drawn_when_none_is_named() -> None:
    rng = np.random.default_rng(0)
    plates = [paint_background(rng, (48, 27)) for _ in range(8)]
    assert len({p.tobytes() for p in plates}) == 8
    means = np.array([p.reshape(-1, 3).mean(0) for p in plates])
    assert means.std(0).min() > 15  # not all of one colour


@pytest.mark.parametrize("kind", BOOK_KINDS)
def test_book_is_a_sheet_with_holes_and_repeats(kind: str) -> None:
    shares = []
    for seed in range(3):
        rgb, alpha = paint_book(np.random.default_rng(seed), SMALL, kind)
        again = paint_book(np.random.default_rng(seed), SMALL, kind)
        np.testing.assert_array_equal(rgb, again[0])
        np.testing.assert_array_equal(alpha, again[1])
        assert (rgb.dtype, alpha.dtype) == (np.uint8, np.uint8)
        shares.append(float(alpha.mean()) / 255)
    assert max(shares) > 0.005, "nothing was painted"
    assert min(shares) < 0.75, "the whole frame is covered"


def test_book_alpha_is_straight() -> None:
    ratios = []
    for seed in range(6):
        rgb, alpha = paint_book(np.random.default_rng(seed), (320, 180), "blurred")
        soft, full = (alpha > 60) & (alpha < 200), alpha > 240
        if soft.any() and full.any():
            ratios.append(float(rgb[soft].mean()) / float(rgb[full].mean()))
    assert len(ratios) >= 3
    # Premultiplied colour would be about half as bright where the edge is half transparent.
    assert np.median(ratios) == pytest.approx(1.0, abs=0.25)


def test_unknown_kind_and_empty_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown kind 'moon'.*sky"):
        paint_background(np.random.default_rng(0), SMALL, "moon")
    with pytest.raises(InputError, match=r"unknown kind 'moon'.*bushes"):
        paint_book(np.random.default_rng(0), SMALL, "moon")
    with pytest.raises(InputError, match="0 x 5"):
        paint_background(np.random.default_rng(0), (0, 5))
    with pytest.raises(InputError, match="5 x 0"):
        paint_book(np.random.default_rng(0), (5, 0))


def test_camera_projects_and_cuts_at_the_near_plane() -> None:
    camera = Camera((0, 1, 0), 0.0, 0.0, 0.0, 100.0, (50.0, 40.0))
    square = np.array([[-1, 2, 2], [1, 2, 2], [1, 0, 2], [-1, 0, 2]], np.float64)
    np.testing.assert_allclose(camera.project(square), [[0, -10], [100, -10], [100, 90], [0, 90]])
    assert len(camera.project(square * [1, 1, -1])) == 0  # behind the eye
    floor = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 5], [-1, 0, 5]], np.float64)
    cut = camera.project(floor)
    assert len(cut) == 4
    assert cut[:, 1].min() == pytest.approx(60.0)  # the far edge: 40 + 100 * 1 / 5


def test_lay_mixes_by_the_mask() -> None:
    image = np.zeros((1, 3, 3), np.uint8)
    painting.lay(image, (200, 100, 50), np.array([[0.0, 0.5, 1.0]], np.float32))
    np.testing.assert_allclose(image[0], [[0, 0, 0], [100, 50, 25], [200, 100, 50]], atol=1)


def test_ramp_runs_from_top_to_bottom() -> None:
    image = painting.ramp((1, 3), [(0, (0, 0, 0)), (1, (200, 100, 50))])
    np.testing.assert_allclose(image[:, 0], [[0, 0, 0], [100, 50, 25], [200, 100, 50]], atol=1)
