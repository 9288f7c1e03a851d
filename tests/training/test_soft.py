"""Soft alphas of the simulator: films, motion blur and whole scenes keep the compositing equation exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from douga_training.data import Samples
from douga_training.folders import open_folders
from douga_training.recipe import Recipe
from douga_training.simulate import command, lights, store
from douga_training.simulate.compositing import Compositing, dress_background
from douga_training.simulate.figure import Place
from douga_training.simulate.film import Film, SoftLayer, lay
from douga_training.simulate.glass import GLASS, draw_glass
from douga_training.simulate.lights import LIGHTS, draw_glow, draw_light
from douga_training.simulate.motion import Shift, Swing, sample_swing
from douga_training.simulate.production import broadcast_scene, composite_scene, draw_scene
from douga_training.simulate.sheet import CelArt
from douga_training.simulate.veils import VEILS, _lace, draw_veil
from douga_training.simulate.wisps import draw_wisps

from douga.classes import DougaClass

SIZE = (480, 270)
HAIR = (120, 60, 20)
PLACE = Place((100.0, 70.0), 60.0, 0.0, ((70.0, 150.0),), (HAIR,), (10, 10, 10), 1.5)


def empty(w: int = 200, h: int = 200) -> CelArt:
    return CelArt(np.full((h, w, 3), 255, np.uint8), np.zeros((h, w), np.uint8), np.zeros((h, w), np.uint8))


def block() -> CelArt:
    """A block of hair paint with a black line on its left border."""
    art = empty()
    art.rgb[40:160, 60:140], art.alpha[40:160, 60:140] = HAIR, 255
    art.rgb[40:160, 60:62], art.ids[40:160, 60:62] = 0, DougaClass.VISIBLE_LINE
    return art


def noise(seed: int, w: int = 60, h: int = 40) -> CelArt:
    rng = np.random.default_rng(seed)
    alpha = rng.choice(np.array([0, 40, 128, 200, 255], np.uint8), (h, w))
    return CelArt(rng.integers(0, 256, (h, w, 3), np.uint8), alpha, np.zeros((h, w), np.uint8))


def shown(art: CelArt | SoftLayer, behind: np.ndarray) -> np.ndarray:
    """The compositing equation, in float64."""
    a = art.alpha[..., None] / 255
    mixed: np.ndarray = art.rgb * a + behind * (1 - a)
    return mixed


# -- films ---------------------------------------------------------------------------------------------------


def test_the_alpha_of_a_film_is_opacity_times_coverage() -> None:
    film = Film((10, 10, 16, 13))
    film.area(np.array([[10.2, 10.2], [13.8, 10.2], [13.8, 12.8], [10.2, 12.8]]), (200, 100, 0), 0.4)
    film.stroke(np.array([[10.5, 11.5], [11.5, 11.5]]), 1 / 3, (0, 0, 0), 1.0)
    layer = film.layer()
    assert layer.xy == (10, 10)
    assert layer.alpha[0].tolist() == [102] * 4 + [0] * 2
    assert layer.rgb[0, 0].tolist() == [200, 100, 0]
    assert layer.alpha[1, 0] > 102  # a third of the pixel's height is ink
    assert layer.ids[1, 0] == DougaClass.VISIBLE_LINE
    halved = film.layer(weight=np.full((3, 6), 0.5, np.float32), under=True)
    assert halved.alpha[0].tolist() == [51] * 4 + [0] * 2
    assert halved.under


@pytest.mark.parametrize("under", [False, True])
def test_cel_and_film_together_show_what_one_over_the_other_shows(under: bool) -> None:
    art, film = noise(1), noise(2, 30, 20)
    layer = SoftLayer(film.rgb, film.alpha, film.ids, (7, 5), under)
    behind = np.random.default_rng(3).uniform(0, 255, (*art.alpha.shape, 3))
    part = np.s_[5:25, 7:37]
    cut = CelArt(art.rgb[part], art.alpha[part], art.ids[part])
    below, above = (layer, cut) if under else (cut, layer)
    expected = shown(above, shown(below, behind[part]))
    both = lay(art, layer)
    assert np.abs(shown(both, behind)[part] - expected).max() < 1.01
    kept = np.ones(art.alpha.shape, bool)
    kept[part] = False
    assert np.array_equal(both.alpha[kept], art.alpha[kept])


def test_lines_keep_their_class_below_a_thin_film_only() -> None:
    art = block()
    for opacity, line in ((0.6, DougaClass.VISIBLE_LINE), (0.9, DougaClass.FLAT)):
        film = Film((0, 0, 200, 200))
        film.area(np.array([[0, 0], [200, 0], [200, 200], [0, 200]], float), (255, 255, 255), opacity)
        assert lay(art, film.layer()).ids[100, 60] == line
    thin = Film((0, 0, 200, 200))
    thin.area(np.array([[0, 0], [50, 0], [50, 200], [0, 200]], float), (255, 255, 255), 0.3)
    assert not lay(art, thin.layer()).ids[:, :50].any()


# -- motion --------------------------------------------------------------------------------------------------


def test_a_shift_shows_the_mean_of_the_moved_cels_over_any_background() -> None:
    art = block()
    blurred = Shift((8.0, 0.0)).applied(art)
    assert blurred.alpha[100].astype(int).sum() == pytest.approx(art.alpha[100].astype(int).sum(), abs=20)
    ramp = blurred.alpha[100, 56:64].astype(int)
    assert (np.diff(ramp) > 0).all()
    assert ramp[0] > 0
    behind = np.full((*art.alpha.shape, 3), (30.0, 200.0, 90.0))
    moves = (np.arange(160) + 0.5) / 20 - 4
    mean = np.zeros_like(behind)
    for x in moves:
        low, share = int(np.floor(x)), x - np.floor(x)
        for whole, weight in ((low, 1 - share), (low + 1, share)):
            moved = CelArt(*(np.roll(plane, whole, 1) for plane in (art.rgb, art.alpha, art.ids)))
            mean += shown(moved, behind) * weight / len(moves)
    assert np.abs(shown(blurred, behind) - mean).max() < 1.5
    assert not blurred.ids.any()  # the line is lost


def test_a_swing_blurs_what_swings_and_nothing_else() -> None:
    art = empty()
    art.rgb[:], art.alpha[20:180, 80:120] = (80, 90, 100), 255
    swung = Swing((100.0, 40.0), 50.0, (100.0, 120.0), 0.3).applied(art)
    assert np.array_equal(swung.alpha[100:], art.alpha[100:])
    top = swung.alpha[40]
    assert 0 < top[78] < 255
    assert 0 < top[122] < 255
    assert top[100] == 255
    assert (swung.rgb[swung.alpha > 8].astype(int) - (80, 90, 100) == 0).all()


def test_what_stands_out_is_found_for_a_swing() -> None:
    art = empty(320, 180)
    art.alpha[60:170, 80:190] = 255
    art.alpha[90:98, 190:225] = 255  # an arm
    found = sample_swing(np.random.default_rng(0), art)
    assert found is not None
    assert 190 < found.place_xy[0] < 225
    assert 85 < found.place_xy[1] < 105
    assert found.pivot_xy[0] < 195
    assert sample_swing(np.random.default_rng(0), empty()) is None


# -- wisps, veils, glass, lights ---------------------------------------------------------------------------


def test_wisps_leave_the_hair_and_thin_out() -> None:
    art = block()
    layer = draw_wisps(np.random.default_rng(4), art, PLACE)
    assert layer is not None
    both = lay(art, layer)
    outside = (art.alpha == 0) & (both.alpha > 0)
    assert outside.sum() > 50
    assert ((both.alpha[outside] > 0) & (both.alpha[outside] < 255)).mean() > 0.5
    bald = replace(PLACE, hair=((1, 2, 3),))
    assert draw_wisps(np.random.default_rng(4), art, bald) is None


@pytest.mark.parametrize("kind", VEILS)
def test_background_shows_through_cloth(kind: str) -> None:
    art = block()
    layer = draw_veil(np.random.default_rng(1), (200, 200), PLACE, kind)
    assert layer is not None
    both = lay(art, layer)
    cloth = (art.alpha == 0) & (both.alpha > 0)
    assert cloth.sum() > 300
    assert (both.alpha[cloth] < 250).mean() > 0.7
    assert (both.alpha[art.alpha == 255] == 255).all()
    assert draw_veil(np.random.default_rng(1), (200, 200), PLACE.moved(5000, 0), kind) is None


@pytest.mark.parametrize("kind", GLASS)
def test_background_shows_through_glass_within_its_lines(kind: str) -> None:
    layer = draw_glass(
        np.random.default_rng(2), (400, 400), centre_xy=(200.0, 200.0), unit_px=150.0,
        ink=((0, 0, 0), 2.0), kind=kind,
    )  # fmt: skip
    assert layer is not None
    clear = (layer.alpha > 0) & (layer.alpha < 200)
    assert clear.sum() > 500
    line = layer.ids == DougaClass.VISIBLE_LINE
    assert line.sum() > 30
    assert layer.alpha[line].mean() > layer.alpha[clear].mean() + 40


def test_a_glow_fades_away_from_the_outline_and_lies_behind() -> None:
    art = block()
    layer = draw_glow(np.random.default_rng(0), art)
    assert layer is not None
    assert layer.under
    row = lay(art, layer).alpha[100, 140:170].astype(int)
    assert (np.diff(row) <= 0).all()
    assert 255 > row[0] > row[-1]
    assert draw_glow(np.random.default_rng(0), empty()) is None


def test_auras_are_smooth_or_in_flat_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much of an aura has one of its four commonest opacities."""

    def flat(share: float) -> float:
        monkeypatch.setattr(lights, "_STEPPED", share)
        found = []
        art = empty(1200, 1200)
        art.alpha[400:800, 400:800] = 255
        for seed in range(8):
            layer = draw_glow(np.random.default_rng(seed), art)
            assert layer is not None
            count = np.bincount(layer.alpha[layer.alpha > 0], minlength=256)
            found.append(np.sort(count)[-4:].sum() / count.sum())
        return float(np.median(found))

    assert flat(1.0) > 0.9
    assert flat(0.0) < 0.7


@pytest.mark.parametrize("kind", LIGHTS)
def test_background_shows_through_light(kind: str) -> None:
    under = set()
    for seed in range(6):
        layer = draw_light(np.random.default_rng(seed), (400, 400), PLACE.moved(100, 60), kind)
        assert layer is not None
        lit = layer.alpha > 0
        assert lit.sum() > 150
        assert (layer.alpha[lit] < 250).mean() > 0.5
        assert not layer.ids.any()  # light has no lines of ink
        under.add(layer.under)
    assert under == {False, True}
    assert draw_light(np.random.default_rng(1), (400, 400), PLACE.moved(9000, 0), kind) is None


def test_lace_is_denser_in_places_and_only_on_its_cloth() -> None:
    cloth = np.array([(40.0, 30.0), (170.0, 60.0), (150.0, 170.0), (30.0, 150.0)])
    for seed in range(8):
        plain, woven = Film((0, 0, 200, 200)), Film((0, 0, 200, 200))
        for film in (plain, woven):
            film.area(cloth, (200, 200, 255), 0.3)
        _lace(woven, np.random.default_rng(seed), cloth, (200, 200, 255), 0.3)
        one, other = (film.layer().alpha.astype(int) for film in (plain, woven))
        denser = (other - one) > 20
        assert 0.02 < denser[one > 0].mean() < 0.8
        assert not other[cv2.dilate(one.astype(np.uint8), np.ones((9, 9))) == 0].any()


def test_how_many_cels_have_an_aura_changes_nothing_else() -> None:
    with_none, with_all = (
        [draw_scene(seed, (96, 64), soft=True, glow=share).meta["soft"] for seed in range(8)]
        for share in (0.0, 1.0)
    )
    assert not any("glow" in kinds for kinds in with_none)
    assert sum("glow" in kinds for kinds in with_all) >= 6  # a frame may be without a character
    assert with_none == [[kind for kind in kinds if kind != "glow"] for kinds in with_all]


# -- scenes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_a_soft_frame_is_its_cel_over_its_background(seed: int) -> None:
    scene = draw_scene(seed, SIZE, shot="close_up", book=0.0, soft=True)
    scene = replace(scene, settings=Compositing(background_blur_px=scene.settings.background_blur_px))
    made = composite_scene(scene)
    a = made.alpha[..., None] / 255
    expected = a * made.cel[..., :3] + (1 - a) * dress_background(scene.plate, scene.settings)
    assert np.abs(made.frame - expected).max() <= 0.51
    assert np.array_equal(made.alpha, made.cel[..., 3])
    assert not made.classes[made.alpha < 128].any()
    assert np.array_equal(made.cel_mask > 0, made.alpha > 127)


def test_soft_things_are_in_most_frames_and_differ() -> None:
    scenes = [draw_scene(seed, (320, 180), soft=True) for seed in range(24)]
    kinds = {kind for scene in scenes for kind in scene.meta["soft"]}
    assert {"wisps", "veil", "glass", "light"} <= kinds
    assert kinds & {"shift", "swing"}
    assert np.mean([bool(scene.meta["soft"]) for scene in scenes]) > 0.6


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_twins_share_the_alpha_whatever_the_tint_of_the_lines(seed: int) -> None:
    scene = draw_scene(seed, SIZE, shot="medium", soft=True)
    assert scene.sheet is not None
    assert scene.soft is not None
    tinted = scene.soft.applied(scene.sheet.resolve(line_tint=1.0, tint_depth=0.3))
    assert np.array_equal(tinted.alpha, scene.art.alpha)
    assert np.array_equal(tinted.ids, scene.art.ids)
    lossless = composite_scene(scene)
    aired = broadcast_scene(scene, lossless)
    assert aired.alpha is lossless.alpha
    seen = lossless.alpha == 0
    assert np.abs(aired.frame[seen].astype(int) - lossless.frame[seen]).mean() < 90


def test_shadows_darken_the_background_and_are_background() -> None:
    scene = draw_scene(5, SIZE, shot="medium", book=0.0, soft=True)
    lit = composite_scene(replace(scene, settings=Compositing()))
    for kind in ("ground", "wall"):
        settings = Compositing(shadow=0.6, shadow_kind=kind, shadow_lean=0.7)
        dark = composite_scene(replace(scene, settings=settings))
        assert np.array_equal(dark.alpha, lit.alpha)
        darker = dark.frame.astype(int).sum(-1) < lit.frame.astype(int).sum(-1) - 30
        shadow = darker & (dark.alpha == 0)
        assert shadow.sum() > 200
        assert not dark.cel_mask[shadow].any()


def test_without_the_option_nothing_is_soft_and_nothing_else_changes() -> None:
    plain, soft = draw_scene(9, SIZE, shot="medium"), draw_scene(9, SIZE, shot="medium", soft=True)
    assert plain.soft is None
    assert "soft" not in plain.meta
    assert plain.sheet is not None
    assert np.array_equal(plain.art.alpha, plain.sheet.resolve().alpha)
    assert set(np.unique(plain.art.alpha)) <= {0, 64, 128, 191, 255}
    assert np.array_equal(plain.plate, soft.plate)
    assert (plain.book is None) == (soft.book is None)
    assert plain.layout == soft.layout


def test_a_folder_of_soft_alphas_is_read_by_training(tmp_path: Path) -> None:
    job = command.Job(out=tmp_path, size_wh=SIZE, shot="close_up", with_broadcast=True, soft=True)
    assert command.render(job, range(4), progress=False) == 4
    truth = store.read_image(tmp_path, "alpha", "000001")
    assert np.array_equal(truth, draw_scene(1, SIZE, shot="close_up", soft=True).art.alpha) or (
        store.read_image(tmp_path, "book_mask", "000001").any()
    )
    recipe = Recipe(
        stage="cutout", loss="alpha", data=str(tmp_path), validation_frames=1, crop_px=64, context_px=64
    )
    trained, held = open_folders(recipe)
    assert (len(trained[0]), len(held[0])) == (3, 1)
    samples = Samples(recipe, trained)
    soft = [samples[n]["ids"] for n in range(12)]
    assert any(((ids > 0.1) & (ids < 0.9)).any() for ids in soft)
