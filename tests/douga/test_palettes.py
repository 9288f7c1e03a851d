"""Palettes are data, writing and reading are exact inverses, and soft borders invent no class."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from douga.classes import AREA_CLASSES, LINE_CLASSES, DougaClass
from douga.errors import PaletteError
from douga.palettes import Palette, load_palette, paint, preset_names, read_drawing
from douga.types import ClassMap

PRESETS = ("kugler", "retas")
SIDE, OVERSAMPLE = 64, 4


def _toml(**changes: str | None) -> str:
    lines = {c.key: f'["#0000{int(c):02x}"]' for c in DougaClass} | changes
    return "[colours]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None)


Stroke = tuple[tuple[int, int], tuple[int, int], float, tuple[int, int, int]]


def _drawn(*strokes: Stroke, fill: tuple[int, int, int]) -> np.ndarray:
    """Antialiased lines (start xy, end xy, width px, colour), drawn large and averaged down."""
    big = np.zeros((SIDE * OVERSAMPLE, SIDE * OVERSAMPLE, 3), np.uint8)
    big[:] = fill
    for start, end, width, colour in strokes:
        first, last = ([v * OVERSAMPLE for v in p] for p in (start, end))
        cv2.line(big, first, last, colour, round(width * OVERSAMPLE))
    return cv2.resize(big, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _pieces(ids: np.ndarray, cls: DougaClass) -> int:
    return cv2.connectedComponents((ids == cls).astype(np.uint8), connectivity=8)[0] - 1


# -- palettes as data
# ------------------------------------------------------------------------------------------


def test_presets() -> None:
    assert preset_names() == PRESETS
    retas = load_palette("retas").written
    lines = DougaClass.VISIBLE_LINE, DougaClass.SHADING_LINE, DougaClass.COLOR_EDGE, DougaClass.HIGHLIGHT_LINE
    assert [retas[c] for c in lines] == [(0, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0)]
    assert retas[DougaClass.FLAT] == load_palette("kugler").written[DougaClass.FLAT] == (255, 255, 255)


def test_a_studio_palette_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "studio.toml"
    path.write_text(
        'description = "ours"\n' + _toml(flat='["#ffffff", [250, 250, 249]]', book_line="[1, 2, 3]")
    )
    palette = load_palette(path)
    assert palette.name == "studio"
    assert palette.colours[DougaClass.FLAT] == ((255, 255, 255), (250, 250, 249))
    assert palette.written[DougaClass.BOOK_LINE] == (1, 2, 3)
    assert load_palette(str(path)) == palette


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"no table \[colours\]"),
        ("colour = 1", "unknown key colour"),
        ("[colours", "not valid TOML"),
        (_toml(fill='"#ffffff"'), "unknown class fill"),
        (_toml(flat=None), "no colour for flat"),
        (_toml(flat="[]"), "no colour for flat"),
        (_toml(flat='"#00000"'), "is no colour"),
        (_toml(flat='"#00gg00"'), "is no colour"),
        (_toml(flat="[0, 0, 256]"), "is no colour"),
        (_toml(flat="[true, 0, 0]"), "is no colour"),
        (_toml(flat="7"), "is no colour"),
        (_toml(flat='"#000001"'), "under both flat and visible_line"),
    ],
)
def test_bad_palettes_say_what_to_mend(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(PaletteError, match=reason) as error:
        load_palette(path)
    assert "bad" in str(error.value)


def test_missing_palette_names_the_presets(tmp_path: Path) -> None:
    with pytest.raises(PaletteError, match="presets are kugler, retas"):
        load_palette("reatas")
    with pytest.raises(PaletteError, match="cannot be read"):
        load_palette(tmp_path)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PaletteError, match="cannot be read"):
        load_palette(tmp_path / "b.toml")


def test_a_palette_made_in_code_is_checked_too() -> None:
    with pytest.raises(PaletteError, match="each of 10"):
        Palette("short", (((0, 0, 0),),))


# -- writing and reading back
# ----------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_reading_is_the_exact_inverse_of_writing(preset: str) -> None:
    palette = load_palette(preset)
    ids = np.random.default_rng(0).integers(0, 10, (40, 50)).astype(np.uint8)
    drawing = paint(ClassMap(ids), palette)
    assert drawing.shape == (40, 50, 3)
    np.testing.assert_array_equal(read_drawing(drawing, palette).ids, ids)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_listed_colour_is_read(preset: str) -> None:
    palette = load_palette(preset)
    for cls, choices in zip(DougaClass, palette.colours, strict=True):
        for colour in choices:
            drawing = np.full((9, 9, 3), colour, np.uint8)
            assert (read_drawing(drawing, palette).ids == cls).all(), colour


@pytest.mark.parametrize("preset", PRESETS)
def test_small_differences_do_not_matter(preset: str) -> None:
    """Compression noise of a few steps on a drawing of areas and lines."""
    palette = load_palette(preset)
    ids = np.zeros((30, 30), np.uint8)
    ids[:, 15:] = DougaClass.SHADING_FILL
    ids[:, 14:16] = DougaClass.SHADING_LINE
    noise = np.random.default_rng(0).integers(-4, 5, (30, 30, 3))
    noisy = np.clip(paint(ClassMap(ids), palette) + noise, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(read_drawing(noisy, palette).ids, ids)


# -- soft borders
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("line", LINE_CLASSES)
@pytest.mark.parametrize("width_px", [1, 1.5, 2, 4])
def test_soft_lines_over_every_fill_stay_whole_and_alone(
    preset: str, line: DougaClass, width_px: float
) -> None:
    palette = load_palette(preset)
    for colour in palette.colours[line]:
        for fill in AREA_CLASSES:
            soft = _drawn(((-5, 12), (70, 41), width_px, colour), fill=palette.written[fill])
            ids = read_drawing(soft, palette).ids
            assert set(np.unique(ids)) == {line, fill}, (colour, fill.key)
            assert _pieces(ids, line) == 1, (colour, fill.key)
            length = np.hypot(64, 64 * 29 / 75)
            assert 0.7 < (ids == line).sum() / (length * max(width_px, 1)) < 1.6, (colour, fill.key)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("line", LINE_CLASSES)
def test_soft_lines_between_two_fills(preset: str, line: DougaClass) -> None:
    palette = load_palette(preset)
    for one in AREA_CLASSES:
        for other in AREA_CLASSES:
            if one >= other:
                continue
            big = np.zeros((256, 256, 3), np.uint8)
            big[:] = palette.written[one]
            cv2.circle(big, (128, 128), 90, palette.written[other], -1)
            cv2.circle(big, (128, 128), 90, palette.written[line], 6)
            ids = read_drawing(cv2.resize(big, (64, 64), interpolation=cv2.INTER_AREA), palette).ids
            assert set(np.unique(ids)) == {line, one, other}, (one.key, other.key)
            assert _pieces(ids, line) == 1
            # The line still separates the two.
            assert cv2.connectedComponents((ids == other).astype(np.uint8), connectivity=4)[0] == 2


@pytest.mark.parametrize("preset", PRESETS)
def test_crossing_soft_lines_make_no_third_line(preset: str) -> None:
    palette = load_palette(preset)
    for one in LINE_CLASSES:
        for other in LINE_CLASSES:
            for fill in (DougaClass.FLAT, DougaClass.SHADING_FILL, DougaClass.BOOK_FILL):
                soft = _drawn(
                    ((-5, 12), (70, 41), 2, palette.written[one]),
                    ((20, -5), (40, 70), 2, palette.written[other]),
                    fill=palette.written[fill],
                )
                ids = read_drawing(cv2.GaussianBlur(soft, (0, 0), 0.5), palette).ids
                assert set(np.unique(ids)) == {one, other, fill}, (one.key, other.key, fill.key)
                assert _pieces(ids, other) == 1, (one.key, other.key, fill.key)


@pytest.mark.parametrize("preset", PRESETS)
def test_soft_borders_between_fills_make_no_third_fill(preset: str) -> None:
    palette = load_palette(preset)
    for one in AREA_CLASSES:
        for other in AREA_CLASSES:
            if one != other:
                soft = _drawn(((-5, 60), (70, 80), 60, palette.written[other]), fill=palette.written[one])
                assert set(np.unique(read_drawing(soft, palette).ids)) == {one, other}, (one.key, other.key)


def test_the_grey_of_a_soft_black_line_against_the_grey_of_a_book_line() -> None:
    palette = load_palette("retas")
    black, grey = palette.written[DougaClass.VISIBLE_LINE], palette.written[DougaClass.BOOK_LINE]
    soft = _drawn(((-5, 12), (70, 20), 2, black), ((-5, 45), (70, 53), 2, grey), fill=(255, 255, 255))
    ids = read_drawing(soft, palette).ids
    assert set(np.unique(ids[:32])) == {DougaClass.FLAT, DougaClass.VISIBLE_LINE}
    assert set(np.unique(ids[32:])) == {DougaClass.FLAT, DougaClass.BOOK_LINE}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_line_of_half_a_pixel_stays_connected(preset: str) -> None:
    palette = load_palette(preset)
    for line in (DougaClass.VISIBLE_LINE, DougaClass.SHADING_LINE, DougaClass.HIGHLIGHT_LINE):
        soft = _drawn(((-5, 12), (70, 41), 0.5, palette.written[line]), fill=(255, 255, 255))
        ids = read_drawing(soft, palette).ids
        assert set(np.unique(ids)) == {DougaClass.FLAT, line}
        assert _pieces(ids, line) == 1
        assert (ids == line).any(0).all()


def test_small_real_areas_survive_in_a_soft_drawing() -> None:
    """A highlight dot of 3 px is no border."""
    palette = load_palette("kugler")
    soft = _drawn(((-5, 12), (70, 20), 2, (0, 0, 0)), fill=(255, 255, 255))
    soft[40:43, 30:33] = palette.written[DougaClass.HIGHLIGHT_FILL]
    soft[50:53, 30:33] = palette.written[DougaClass.SHADING_FILL]
    ids = read_drawing(soft, palette).ids
    assert (ids[40:43, 30:33] == DougaClass.HIGHLIGHT_FILL).all()
    assert (ids[50:53, 30:33] == DougaClass.SHADING_FILL).all()


def test_paper_that_is_not_quite_white_is_flat() -> None:
    palette = load_palette("retas")
    soft = _drawn(
        ((-5, 12), (70, 41), 2, (0, 0, 0)), ((20, -5), (40, 70), 2, (0, 0, 255)), fill=(238, 238, 250)
    )
    ids = read_drawing(soft, palette).ids
    assert set(np.unique(ids)) == {DougaClass.FLAT, DougaClass.VISIBLE_LINE, DougaClass.SHADING_LINE}
    assert (ids == DougaClass.FLAT).mean() > 0.85
