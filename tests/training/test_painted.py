"""Softly painted characters: the same shapes with other paint, which nobody could trace."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from douga_training.simulate import command
from douga_training.simulate.painted import Airbrush, paint_softly, sample_airbrush
from douga_training.simulate.production import draw_production, production_twins
from douga_training.simulate.sheet import Sheet

from douga.classes import DougaClass
from douga.errors import InputError

SIZE = (480, 270)
SEED = 5  # a close-up
PLAIN = Airbrush((0.0, -1.0), softness=0, reach=0.1, form=0, occlusion=0, tint=0, depth=0.5, cover=1)


def two_squares() -> Sheet:
    """A red one with a dark tone in its lower half, a blue one beside it, and a black line in between."""
    sheet = Sheet((80, 40))
    red = sheet.area(square(0, 0, 40, 40), (220, 60, 60))
    sheet.area(square(40, 0, 80, 40), (40, 60, 200))
    lower = square(0, 20, 40, 40)
    sheet.tone(red, lower, (120, 20, 20), DougaClass.SHADING_FILL, DougaClass.SHADING_LINE)
    sheet.stroke(np.array([(40.0, 0.0), (40.0, 40.0)]), 2, (10, 10, 10))
    return sheet


def square(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def test_a_brush_that_does_nothing_leaves_the_cel_as_it_is() -> None:
    sheet = two_squares()
    before = sheet.resolve()
    paint_softly(sheet, PLAIN)
    assert np.array_equal(sheet.resolve().rgb, before.rgb)


def test_tones_run_into_each_other_and_never_across_a_border() -> None:
    sheet = two_squares()
    paint_softly(sheet, replace(PLAIN, softness=1.0))
    rgb = sheet.resolve().rgb.astype(int)
    red = rgb[:, 10, 0]
    assert (np.diff(red) <= 0).all()
    assert np.abs(np.diff(red)).max() < 20  # it was a step of 100
    assert red[0] > 190
    assert red[-1] < 150
    assert np.abs(rgb[:, 50:] - (40, 60, 200)).max() <= 1


def test_light_comes_from_where_it_is_said_to() -> None:
    sheet = two_squares()
    paint_softly(sheet, replace(PLAIN, form=0.2))
    blue = sheet.resolve().rgb[:, 60].astype(int).sum(-1)
    assert blue[2] > 300 > blue[-3]


def test_lines_fade_and_darken_the_paint_beside_them() -> None:
    sheet = two_squares()
    paint_softly(sheet, replace(PLAIN, cover=0.25))
    faint = sheet.resolve().rgb.astype(int)
    assert 110 < faint[10, 39, 0] < 200
    sheet = two_squares()
    paint_softly(sheet, replace(PLAIN, occlusion=0.4))
    dark = sheet.resolve().rgb.astype(int)
    assert dark[10, 44, 2] < dark[10, 75, 2] - 10


def test_the_ink_becomes_a_tint_of_the_paint() -> None:
    sheet = two_squares()
    paint_softly(sheet, replace(PLAIN, tint=1.0, depth=0.6))
    r, g, b = sheet.resolve().rgb[10, 39].astype(int)
    assert min(r, b) > g + 20  # of red and blue together, no longer black


def test_a_painted_production_has_the_shapes_of_the_other_and_no_classes() -> None:
    plain, painted = (
        draw_production(SEED, SIZE, shot="close_up", painted=soft, book=0) for soft in (False, True)
    )
    assert np.array_equal(painted.alpha, plain.alpha)
    assert np.array_equal(painted.background, plain.background)
    inside = plain.alpha == 255
    differs = np.abs(painted.cel[..., :3].astype(int) - plain.cel[..., :3]).max(-1) > 3
    assert differs[inside].mean() > 0.3
    assert plain.is_traced
    assert not painted.is_traced
    assert painted.meta["painted"]


def test_twins_are_painted_alike() -> None:
    lossless, twin = production_twins(SEED, SIZE, shot="close_up", painted=True)
    assert np.array_equal(lossless.cel_mask, twin.cel_mask)
    assert not twin.is_traced


def test_ways_to_paint_differ() -> None:
    brushes = [sample_airbrush(np.random.default_rng(i), (0.0, -1.0)) for i in range(40)]
    covers = [brush.cover for brush in brushes]
    assert min(covers) < 0.35
    assert max(covers) > 0.85


def _arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([*words, "--count", "1", "--size", "320x180"])


def test_the_command_writes_no_class_maps(tmp_path: Path) -> None:
    out = tmp_path / "painted"
    assert command.run(_arguments("--out", str(out), "--painted")) == 0
    assert (out / "frame" / "000000.png").is_file()
    assert not (out / "classes").exists()
    with pytest.raises(InputError, match="painted"):
        command.run(_arguments("--out", str(out)))


def test_what_people_drew_is_not_painted_over(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave --drawing and --cel out"):
        command.run(_arguments("--out", str(tmp_path), "--painted", "--cel", "a.png"))
