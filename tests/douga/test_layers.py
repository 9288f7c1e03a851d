"""Layers: what lies where, in which order, in which colour."""

import numpy as np
import pytest

from douga.classes import DougaClass
from douga.errors import InputError
from douga.layers import GROUP, build_layers, colour_table, cut_cel
from douga.palettes import load_palette
from douga.types import CelMask, ClassMap, Frame

KUGLER = load_palette("kugler")
RGB = np.array([[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [100, 110, 120]]], np.uint8)


def test_cut_cel_keeps_the_frames_colours_under_the_mask_only() -> None:
    cut = cut_cel(Frame(RGB), CelMask(np.array([[255, 0], [0, 255]], np.uint8)))

    expected = [[[10, 20, 30, 255], [0, 0, 0, 0]], [[0, 0, 0, 0], [100, 110, 120, 255]]]
    np.testing.assert_array_equal(cut, np.array(expected, np.uint8))


def test_layers_are_stacked_from_frame_to_visible_line() -> None:
    ids = np.array([[1, 6], [4, 0]], np.uint8)
    layers = build_layers(Frame(RGB), CelMask(np.full((2, 2), 255, np.uint8)), ClassMap(ids), KUGLER)

    names = ["frame", "cel", "flat area", "shading fill", "highlight line", "visible line"]
    assert [layer.name for layer in layers] == names
    assert [layer.group for layer in layers] == [None, None, GROUP, GROUP, GROUP, GROUP]


def test_every_line_lies_over_every_fill() -> None:
    ids = np.arange(10, dtype=np.uint8).reshape(2, 5)
    layers = build_layers(
        Frame(np.zeros((2, 5, 3), np.uint8)), CelMask(np.zeros((2, 5), np.uint8)), ClassMap(ids), KUGLER
    )

    names = [layer.name for layer in layers if layer.group == GROUP]
    assert len(names) == 10
    assert all("line" in name or "edge" in name for name in names[5:])


def test_a_class_layer_is_its_colour_where_the_class_is_and_nothing_elsewhere() -> None:
    ids = np.array([[1, 0], [0, 1]], np.uint8)
    layers = build_layers(Frame(RGB), CelMask(np.zeros((2, 2), np.uint8)), ClassMap(ids), KUGLER)

    black, nothing = [0, 0, 0, 255], [0, 0, 0, 0]
    np.testing.assert_array_equal(layers[-1].rgba, np.array([[black, nothing], [nothing, black]], np.uint8))
    np.testing.assert_array_equal(layers[0].rgba[..., :3], RGB)
    assert (layers[0].rgba[..., 3] == 255).all()


def test_class_layers_cover_every_pixel_once() -> None:
    ids = np.random.default_rng(0).integers(0, 10, (16, 16), dtype=np.uint8)
    frame = Frame(np.zeros((16, 16, 3), np.uint8))
    layers = build_layers(frame, CelMask(np.zeros((16, 16), np.uint8)), ClassMap(ids), KUGLER)

    cover = sum((layer.rgba[..., 3] > 0).astype(int) for layer in layers if layer.group == GROUP)
    np.testing.assert_array_equal(cover, np.ones((16, 16), int))


def test_colour_table_is_in_class_order() -> None:
    table = colour_table(load_palette("retas"))
    assert table.shape == (10, 3)
    np.testing.assert_array_equal(table[DougaClass.SHADING_LINE], [0, 0, 255])


def test_sizes_that_differ_are_told_with_both_sizes() -> None:
    mask = CelMask(np.zeros((3, 4), np.uint8))
    with pytest.raises(InputError, match=r"A1: the cel mask is 4 x 3 px but the frame is 2 x 2 px"):
        cut_cel(Frame(RGB, name="A1"), mask)
    with pytest.raises(InputError, match=r"class map is 4 x 3"):
        build_layers(
            Frame(RGB), CelMask(np.zeros((2, 2), np.uint8)), ClassMap(np.zeros((3, 4), np.uint8)), KUGLER
        )
