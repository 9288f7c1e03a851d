"""Productions: truth rules on literal arrays, random streams, limits of the layout, the folder on disk."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from douga_training.augment import over_background
from douga_training.simulate import command, store
from douga_training.simulate.alike import in_colour_of
from douga_training.simulate.colours import swatch
from douga_training.simulate.compositing import Compositing, over, sample_compositing
from douga_training.simulate.layout import EFFECTS, SHOTS, sample_layout
from douga_training.simulate.production import (
    Part,
    Production,
    composite_scene,
    draw_production,
    draw_scene,
    stream,
    truth_of,
)
from douga_training.simulate.sheet import EMPTY, CelArt, Sheet

from douga.classes import DougaClass
from douga.errors import InputError, MissingInputError, OutputError
from douga.export.png import encode_indexed

SIZE = (320, 180)


def art_of(ids: list[list[int]], alpha: list[list[int]]) -> CelArt:
    shape = np.array(ids).shape
    return CelArt(np.zeros((*shape, 3), np.uint8), np.array(alpha, np.uint8), np.array(ids, np.uint8))


def same(a: Production, b: Production) -> bool:
    return all(np.array_equal(getattr(a, kind), getattr(b, kind)) for kind in store.KINDS)


# -- truth ---------------------------------------------------------------------------------------------------


def test_cel_is_where_half_of_the_pixel_is_drawn() -> None:
    art = art_of([[1, 1, 6, 0]], [[255, 128, 255, 127]])
    classes, cel_mask, alpha, book = truth_of(art, None)
    assert cel_mask.tolist() == [[255, 255, 255, 0]]
    assert classes.tolist() == [[1, 1, 6, 0]]
    assert alpha.tolist() == [[255, 128, 255, 127]]
    assert not book.any()


def test_what_a_book_covers_is_book_fill_with_a_line_of_two_pixels_along_the_visible_cel() -> None:
    art = art_of([[1, 6, 6, 6, 6, 6, 6, 0]], [[255] * 7 + [0]])
    book_alpha = np.array([[0, 0, 127, 128, 255, 255, 255, 255]], np.uint8)
    classes, cel_mask, alpha, book = truth_of(art, book_alpha)
    assert cel_mask.tolist() == [[255, 255, 255, 0, 0, 0, 0, 0]]
    assert classes.tolist() == [[1, 6, 6, 5, 5, 9, 9, 0]]
    assert alpha.tolist() == [[255, 255, 128, 127, 0, 0, 0, 0]]
    assert book.tolist() == [[0, 0, 0, 255, 255, 255, 255, 255]]


def test_a_book_beside_the_cel_leaves_no_book_class() -> None:
    art = art_of([[6, 6, 0, 0]], [[255, 255, 0, 0]])
    classes, *_ = truth_of(art, np.array([[0, 0, 255, 255]], np.uint8))
    assert classes.tolist() == [[6, 6, 0, 0]]


def test_straight_alpha_blends_to_the_nearest_level() -> None:
    below, above = np.zeros((1, 4, 3), np.uint8), np.full((1, 4, 3), 200, np.uint8)
    out = over(below, above, np.array([[0, 64, 128, 255]], np.uint8))
    assert out[0, :, 0].tolist() == [0, 50, 100, 200]
    assert not below.any()


# -- the sheet's averaging -----------------------------------------------------------------------------------


def sheet_of(ids: list[list[int]], grey: list[list[int]]) -> Sheet:
    samples = np.array(ids, np.uint8)
    sheet = Sheet((samples.shape[1] // 2, samples.shape[0] // 2))
    sheet.ids[:] = samples
    sheet.fill[:] = np.array(grey, np.uint8)[..., None]
    return sheet


def test_resolve_averages_painted_samples_only_and_a_line_needs_half_a_pixel() -> None:
    e, line, shade = EMPTY, 1, 6
    ids = [[e, e, e, 0, line, 0, shade, line], [e, e, 0, 0, line, 0, shade, 2]]
    grey = [[9, 9, 9, 80, 9, 60, 40, 9], [9, 9, 90, 100, 9, 60, 40, 40]]
    art = sheet_of(ids, grey).resolve()
    assert art.alpha.tolist() == [[0, 191, 255, 255]]
    assert art.ids.tolist() == [[0, 0, 1, 6]]
    assert art.rgb[0, 1:, 0].tolist() == [90, 30, 30]  # ink is black


def test_resolve_keeps_the_visible_line_before_trace_lines_and_less_than_half_is_flat() -> None:
    e = EMPTY
    art = sheet_of([[2, 2, 2, 3, e, e], [1, 1, 3, 2, 1, e]], [[50] * 6] * 2).resolve()
    assert art.ids.tolist() == [[1, 2, 0]]
    assert art.alpha.tolist() == [[255, 255, 64]]


def test_tint_changes_line_colours_only() -> None:
    sheet = Sheet((40, 40))
    area = sheet.area(np.array([[5, 5], [35, 5], [35, 35], [5, 35]], float), (200, 120, 100))
    sheet.stroke(np.array([[8, 20], [32, 20]], float), 3, (0, 0, 0), within=area)
    plain, tinted = sheet.resolve(), sheet.resolve(line_tint=1.0, tint_depth=0.5)
    assert np.array_equal(plain.ids, tinted.ids)
    assert np.array_equal(plain.alpha, tinted.alpha)
    assert plain.rgb[20, 20].tolist() == [0, 0, 0]
    red, green, blue = tinted.rgb[20, 20].tolist()
    assert 90 < red < 140
    assert red > green > blue
    assert tinted.rgb[10, 20].tolist() == [200, 120, 100]


# -- productions ---------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = (draw_production(seed, SIZE, shot="medium") for seed in (3, 3, 4))
    assert same(first, again)
    assert first.meta == again.meta
    assert not np.array_equal(first.frame, other.frame)
    assert not np.array_equal(first.classes, other.classes)


@pytest.mark.parametrize("seed", range(6))
def test_truths_agree_with_each_other(seed: int) -> None:
    made = draw_production(seed, SIZE)
    h, w = SIZE[1], SIZE[0]
    assert made.frame.shape == made.background.shape == (h, w, 3)
    assert made.cel.shape == (h, w, 4)
    for kind in ("classes", "cel_mask", "alpha", "book_mask"):
        assert getattr(made, kind).shape == (h, w)
        assert getattr(made, kind).dtype == np.uint8
    cel = made.cel_mask == 255
    assert set(np.unique(made.cel_mask)) <= {0, 255}
    assert not (cel & (made.book_mask == 255)).any()
    assert set(np.unique(made.classes[~cel])) <= {DougaClass.FLAT, DougaClass.BOOK_FILL, DougaClass.BOOK_LINE}
    assert not np.isin(made.classes[cel], (DougaClass.BOOK_FILL, DougaClass.BOOK_LINE)).any()
    assert (made.cel[..., 3][cel] >= 128).all() or made.meta["compositing"]["cel_motion_px"]
    json.dumps(made.meta)


def test_a_book_can_be_left_out_and_nothing_else_changes() -> None:
    for seed in range(40):
        with_book = draw_scene(seed, (96, 64), shot="close_up")
        if with_book.book is not None:
            break
    without = draw_scene(seed, (96, 64), shot="close_up", book=0.0)
    assert without.book is None
    assert np.array_equal(with_book.plate, without.plate)
    assert np.array_equal(with_book.art.ids, without.art.ids)
    assert with_book.settings == without.settings
    always = [draw_scene(number, (96, 64), book=1.0) for number in range(5)]
    assert all(scene.book is not None and scene.meta["book"] for scene in always)
    assert np.array_equal(draw_scene(seed, (96, 64), shot="close_up", book=1.0).book[1], with_book.book[1])


def test_a_background_takes_on_a_paint_of_the_cel_and_keeps_what_is_painted_on_it() -> None:
    ids = np.zeros((40, 40), np.uint8)
    art = CelArt(np.zeros((40, 40, 3), np.uint8), np.zeros_like(ids), ids)
    plate = np.random.default_rng(0).integers(120, 180, (40, 40, 3)).astype(np.uint8)
    assert np.array_equal(in_colour_of(art, plate, np.random.default_rng(1)), plate)  # no cel
    art.alpha[10:30, 10:30] = 255
    art.rgb[10:30, 10:30] = (30, 20, 40)
    art.ids[10:30, 10] = DougaClass.VISIBLE_LINE  # whose colour is no paint
    art.rgb[10:30, 10] = 255
    for seed in range(20):
        toned = in_colour_of(art, plate, np.random.default_rng(seed)).astype(float)
        before = np.abs(plate.mean((0, 1)) - (30, 20, 40))
        assert (np.abs(toned.mean((0, 1)) - (30, 20, 40)) < 0.45 * before + 36).all()
        # Darker where it was darker, but where it is black already.
        brighter = plate[..., 0] > plate[..., 0].mean()
        assert toned[..., 0][brighter].mean() > toned[..., 0][~brighter].mean()


def test_how_many_backgrounds_are_alike_changes_nothing_else() -> None:
    without, alike = (draw_scene(3, (160, 96), shot="medium", alike=share) for share in (0.0, 1.0))
    assert (without.meta["alike"], alike.meta["alike"]) == (False, True)
    assert not np.array_equal(without.plate, alike.plate)
    assert np.array_equal(without.art.rgb, alike.art.rgb)
    assert np.array_equal(without.art.ids, alike.art.ids)
    assert without.settings == alike.settings
    shares = [draw_scene(seed, (48, 32)).meta["alike"] for seed in range(60)]
    assert 1 <= sum(shares) <= 14


@pytest.mark.parametrize("plain", [Compositing(cel_motion_px=9), Compositing(cel_scale=0.6)])
def test_a_cel_and_its_alpha_over_their_background_are_the_frame_again(plain: Compositing) -> None:
    made = composite_scene(replace(draw_scene(12, SIZE, book=0.0), settings=plain))
    soft = (made.alpha > 0) & (made.alpha < 255)
    assert soft.sum() > 300
    again = over_background(made.cel, made.alpha, made.background).astype(int)
    assert np.abs(again - made.frame)[soft].mean() < 2


def test_the_shadows_of_dark_paints_can_be_seen() -> None:
    for seed in range(300):
        rng = np.random.default_rng(seed)
        paint = swatch(rng, rng.random(), rng.random(), float(rng.uniform(0.04, 1.0)))
        assert np.abs(np.subtract(paint.normal, paint.shade)).max() >= 6


def test_most_lossless_frames_keep_the_exact_paints() -> None:
    kept = [sample_compositing(stream(seed, Part.COMPOSITING)).keeps_cel_colours for seed in range(400)]
    assert 0.6 <= np.mean(kept) <= 0.72


def test_an_untreated_frame_shows_the_cel_as_painted() -> None:
    made = draw_production(5, SIZE, shot="close_up", treated=0.0, book=0.0)
    solid = made.cel[..., 3] == 255
    assert solid.sum() > 200
    assert np.array_equal(made.frame[solid], made.cel[..., :3][solid])


def test_every_compositing_step_changes_the_picture_and_never_the_truth() -> None:
    scene = draw_scene(5, SIZE, shot="close_up", treated=0.0, book=0.0)
    plain = composite_scene(scene)
    steps = [
        {"cel_gradient": 0.5},
        {"cel_rim": 0.5},
        {"glow": 0.5},
        {"rays": 0.9},
        {"bloom": 0.5},
        {"cel_scale": 0.6},
        {"grain": 3.0},
        {"jpeg_quality": 80},
        {"saturation": 0.5},
        {"gamma": 1.2},
    ]
    for step in steps:
        settings = Compositing(**step)  # type: ignore[arg-type]
        assert not settings.keeps_cel_colours
        changed = composite_scene(type(scene)(**{**vars(scene), "settings": settings}))
        assert not np.array_equal(changed.frame, plain.frame), step
        assert np.mean(changed.classes != plain.classes) < 0.002, step


def test_shots_grow_closer() -> None:
    heads = [
        np.mean(
            [
                a.size_px
                for seed in range(30)
                for a in sample_layout(stream(seed, Part.LAYOUT), shot=shot).actors
            ]
        )
        for shot in SHOTS
    ]
    assert heads == sorted(heads, reverse=True)


def test_layouts_hold_crowds_things_and_empty_frames() -> None:
    layouts = [sample_layout(stream(seed, Part.LAYOUT)) for seed in range(600)]
    kinds = [{a.kind for a in layout.actors} for layout in layouts]
    assert 0.02 < np.mean([not k for k in kinds]) < 0.08
    assert 0.08 < np.mean([bool(k - {"figure"}) for k in kinds]) < 0.2
    assert max(len(layout.actors) for layout in layouts) >= 4
    assert {layout.size_wh for layout in layouts} == {(1920, 1080), (1600, 900), (1280, 720)}


def test_a_cut_of_effects_is_full_of_them() -> None:
    layouts = [
        sample_layout(stream(seed, Part.LAYOUT), size_wh=(1920, 1080), shot=EFFECTS) for seed in range(100)
    ]
    sizes = [[a.size_px for a in layout.actors if a.kind == "effect"] for layout in layouts]
    assert min(map(len, sizes)) >= 1
    assert 0.7 * 1080 < np.median([max(some) for some in sizes]) < 1.8 * 1080
    assert 0.15 < np.mean([any(a.kind == "figure" for a in layout.actors) for layout in layouts]) < 0.45
    drawn = draw_scene(4, (96, 64), shot=EFFECTS)
    assert drawn.meta["shot"] == EFFECTS
    assert np.mean(drawn.art.alpha > 127) > 0.1


def test_a_crop_is_a_window_of_the_same_drawing() -> None:
    whole = draw_scene(2, (640, 360), shot="close_up")
    part = draw_scene(2, (640, 360), shot="close_up", crop_px=128)
    x, y, w, h = part.window_xywh
    assert part.art.ids.shape == (128, 128)
    assert np.mean(part.art.ids != whole.art.ids[y : y + h, x : x + w]) < 0.01
    assert np.mean(part.art.alpha != whole.art.alpha[y : y + h, x : x + w]) < 0.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shot": "panorama"}, "extreme_close_up"),
        ({"background_kinds": ("moon",)}, "foliage"),
        ({"crop_px": 999}, "16 to 180"),
        ({"size_wh": (4, 4)}, "at least 16"),
    ],
)
def test_what_cannot_be_drawn_is_said(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        draw_scene(0, **({"size_wh": SIZE} | options))


# -- on disk -------------------------------------------------------------------------------------------------


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_the_command_writes_the_layout_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--out", str(tmp_path), "--size", "160x96", "--broadcast")
    assert command.run(arguments(*words, "--count", "2")) == 0
    assert store.stems(tmp_path) == store.stems(tmp_path / "broadcast") == ["000000", "000001"]
    first = (tmp_path / "frame" / "000000.png").stat().st_mtime_ns
    assert command.run(arguments(*words, "--count", "3")) == 0
    assert "1 drawn, 2 already there" in capsys.readouterr().out
    assert (tmp_path / "frame" / "000000.png").stat().st_mtime_ns == first
    assert (tmp_path / "overview.png").is_file()
    assert set(json.loads((tmp_path / "simulation.json").read_text())["frames"]) == {
        "000000",
        "000001",
        "000002",
    }
    assert not list(tmp_path.rglob("*.tmp"))
    assert same(store.read_production(tmp_path, "000002"), draw_production(2, (160, 96)))
    twin = store.read_production(tmp_path / "broadcast", "000002")
    assert np.array_equal(twin.classes, store.read_image(tmp_path, "classes", "000002"))


def test_own_material_is_placed_in_every_frame(tmp_path: Path) -> None:
    ids = np.zeros((60, 80), np.uint8)
    ids[10:50, 10] = ids[10:50, 69] = ids[10, 10:70] = ids[49, 10:70] = DougaClass.VISIBLE_LINE
    ids[11:49, 40] = DougaClass.SHADING_LINE
    ids[11:49, 41:69] = DougaClass.SHADING_FILL
    (tmp_path / "classes.png").write_bytes(encode_indexed(ids, store.CLASS_COLOURS))
    paint = np.full((60, 80, 4), (200, 120, 90, 255), np.uint8)
    paint[:10] = paint[50:] = paint[:, :10] = paint[:, 70:] = 0
    (tmp_path / "cel.png").write_bytes(store.png_bytes(paint))
    size = ("--size", "160x96", "--count", "3", "--no-book")
    drawing = ("--out", str(tmp_path / "a"), "--drawing", str(tmp_path / "classes.png"))
    cel = ("--out", str(tmp_path / "b"), "--cel", str(tmp_path / "cel.png"), str(tmp_path / "classes.png"))
    for words, folder in ((drawing, "a"), (cel, "b")):
        assert command.run(arguments(*words, *size)) == 0
        for stem in store.stems(tmp_path / folder):
            made = store.read_production(tmp_path / folder, stem)
            assert {DougaClass.VISIBLE_LINE, DougaClass.SHADING_FILL} <= set(np.unique(made.classes))
            assert made.meta["content"] == ["given"]


def test_painted_cels_of_a_folder_are_placed_and_teach_no_lines(tmp_path: Path) -> None:
    paint = np.zeros((60, 80, 4), np.uint8)
    paint[10:50, 10:70] = (200, 120, 90, 255)
    (tmp_path / "cels").mkdir()
    for name, rgb in (("a", (200, 60, 60)), ("b", (60, 60, 200))):
        paint[10:50, 10:70, :3] = rgb
        (tmp_path / "cels" / f"{name}.png").write_bytes(store.png_bytes(paint))
    out, size = tmp_path / "out", ("--size", "160x96", "--count", "6", "--no-book", "--broadcast")
    words = ("--out", str(out), *size)
    assert command.run(arguments(*words)) == 0  # with classes, which do not survive what is drawn next
    assert command.run(arguments(*words, "--overwrite", "--cel", str(tmp_path / "cels"))) == 0
    assert not [*out.glob("classes/*"), *out.glob("broadcast/classes/*")]
    shown = set()
    for stem in store.stems(out):
        made, twin = (store.read_production(folder, stem) for folder in (out, out / "broadcast"))
        assert (made.is_traced, made.classes.any(), made.cel_mask.any()) == (False, False, True)
        assert np.array_equal(made.cel_mask, twin.cel_mask)
        red, _, blue = made.cel[made.cel[..., 3] == 255][0, :3]
        assert made.meta["drawing"] == ("a.png" if red > blue else "b.png")
        shown.add(made.meta["drawing"])
    assert shown == {"a.png", "b.png"}


def test_painted_cels_that_are_opaque_or_empty_are_refused(tmp_path: Path) -> None:
    for name, alpha in (("opaque", 255), ("empty", 0)):
        paint = np.full((20, 20, 4), alpha, np.uint8)
        (tmp_path / f"{name}.png").write_bytes(store.png_bytes(paint))
        with pytest.raises(InputError, match=name):
            command.run(arguments("--out", str(tmp_path / "out"), "--cel", str(tmp_path / f"{name}.png")))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no PNG pictures"):
        command.run(arguments("--out", str(tmp_path / "out"), "--cel", str(tmp_path / "nothing")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--count", "0"),
        ("--seed", "-1"),
        ("--alike", "1.5"),
        ("--book", "-0.1"),
        ("--alpha", "--glow", "1.1"),
        ("--glow", "0.5"),
        ("--drawing", "a", "b", "c"),
        ("--cel", "a", "b", "c", "d"),
        ("--cel", "not_there.png"),
        ("--drawing", "not_there.png"),
    ],
)
def test_wrong_arguments_are_input_errors(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        command.run(arguments("--out", str(tmp_path), *words))
    assert not list(tmp_path.iterdir())


def test_two_processes_write_the_same_bytes_as_one(tmp_path: Path) -> None:
    for folder, workers in (("one", 1), ("two", 2)):
        job = command.Job(out=tmp_path / folder, size_wh=(96, 64))
        assert command.render(job, range(3), workers=workers, progress=False) == 3
    for path in sorted((tmp_path / "one").rglob("*.png")):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_what_was_drawn_with_other_options_is_not_taken_for_what_is_asked(tmp_path: Path) -> None:
    job = command.Job(out=tmp_path, size_wh=(96, 64))
    command.render(job, [1], progress=False)
    assert command.render(job, [1], progress=False) == 0
    with pytest.raises(InputError, match=r"000001 was drawn with other options \(alpha False, now True"):
        command.render(replace(job, soft=True), [1, 2], progress=False)
    assert not (tmp_path / "frame" / "000002.png").exists()
    assert command.render(replace(job, soft=True), [2], progress=False) == 1
    assert command.render(replace(job, book=1.0, overwrite=True), [1], progress=False) == 1


def test_class_maps_are_indexed_pngs_that_keep_every_id(tmp_path: Path) -> None:
    ids = np.arange(10, dtype=np.uint8).reshape(2, 5)
    store.write_whole(tmp_path / "classes" / "a.png", encode_indexed(ids, store.CLASS_COLOURS))
    assert np.array_equal(store.read_image(tmp_path, "classes", "a"), ids)


def test_a_production_that_is_drawn_again_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    job = command.Job(tmp_path, (64, 36), with_broadcast=True)
    command.render(job, [1, 2], progress=False)
    for part in (tmp_path, tmp_path / "broadcast"):
        (part / "found_mask").mkdir()
        (part / "found_mask" / "000001.png").write_bytes(b"of the frame before")
    command.render(replace(job, with_broadcast=False, overwrite=True), [1], progress=False)
    left = {p.relative_to(tmp_path).parent.as_posix() for p in tmp_path.rglob("000001.png")}
    assert left == set(store.KINDS)
    assert (tmp_path / "broadcast/frame/000002.png").exists()


def test_what_a_killed_run_did_not_tell_of_is_drawn_again(tmp_path: Path) -> None:
    job = command.Job(tmp_path, (64, 36))
    command.render(job, [1, 2], progress=False)
    index = json.loads((tmp_path / "simulation.json").read_text())
    del index["frames"]["000002"]
    (tmp_path / "simulation.json").write_text(json.dumps(index))
    assert command.render(job, [1, 2], progress=False) == 1
    assert set(json.loads((tmp_path / "simulation.json").read_text())["frames"]) == {"000001", "000002"}


def test_bad_folders_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no productions"):
        store.stems(tmp_path)
    with pytest.raises(MissingInputError, match=r"7\.png"):
        store.read_image(tmp_path, "frame", "7")
    (tmp_path / "frame").mkdir()
    (tmp_path / "frame" / "7.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"7\.png"):
        store.read_image(tmp_path, "frame", "7")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        store.write_whole(tmp_path / "file" / "a.png", b"")
