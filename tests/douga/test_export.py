"""Files of every format, read back by a reader that is not ours (Pillow) or byte by byte."""

import io
import struct
import zipfile
from xml.etree import ElementTree as Xml

import cv2
import numpy as np
import pytest
from PIL import Image

from douga.classes import DougaClass
from douga.errors import InputError
from douga.export.ora import encode_ora, flatten
from douga.export.png import encode_indexed, encode_png
from douga.export.tga import encode_line_tga, redraw_lines
from douga.layers import build_layers, colour_table
from douga.palettes import load_palette
from douga.types import CelMask, ClassMap, Frame, Layer

RETAS = colour_table(load_palette("retas"))
KUGLER = colour_table(load_palette("kugler"))
ODD_SIZES = [(1, 1), (1, 7), (7, 1), (3, 129), (5, 300), (64, 128)]


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _some_ids(shape: tuple[int, int]) -> np.ndarray:
    """Long runs and single pixels of every class."""
    rng = np.random.default_rng(shape)
    ids = np.repeat(rng.integers(0, 10, (shape[0], -(-shape[1] // 5)), dtype=np.uint8), 5, axis=1)[
        :, : shape[1]
    ]
    return np.where(rng.random(shape) < 0.1, rng.integers(0, 10, shape), ids).astype(np.uint8)


# -- PNG -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
@pytest.mark.parametrize("size_hw", ODD_SIZES)
def test_png_keeps_every_pixel(size_hw: tuple[int, int], channels: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size_hw, *channels), dtype=np.uint8)
    image = _opened(encode_png(pixels))

    assert image.mode == {(): "L", (3,): "RGB", (4,): "RGBA"}[channels]
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_class_map_png_has_ids_as_indices_and_the_douga_as_palette() -> None:
    ids = _some_ids((20, 30))
    image = _opened(encode_indexed(ids, KUGLER))

    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), ids)
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), KUGLER[ids])


def test_class_map_png_is_eight_bit_indexed_for_other_readers_too() -> None:
    data = encode_indexed(_some_ids((8, 9)), KUGLER)
    assert data[24:26] == bytes([8, 3])  # depth and colour type in IHDR
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None


# -- TGA -------------------------------------------------------------------------------------------


def _lines_in_colour(ids: np.ndarray) -> np.ndarray:
    """What the TGA has to show: lines in their colours, white elsewhere."""
    is_line = (ids >= 1) & (ids <= 5)
    return np.where(is_line[..., None], RETAS[ids], np.uint8(255))


def test_tga_bytes_of_a_tiny_drawing() -> None:
    ids = np.array([[0, 1, 1], [2, 6, 4]], np.uint8)
    data = encode_line_tga(ClassMap(ids), RETAS)

    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 3, 2, 24, 0)
    bottom_row = bytes([0x80, 255, 0, 0, 0x80, 255, 255, 255, 0x80, 0, 0, 255])  # blue, white, red as BGR
    top_row = bytes([0x80, 255, 255, 255, 0x81, 0, 0, 0])  # white, two black
    assert data == header + bottom_row + top_row


@pytest.mark.parametrize("size_hw", ODD_SIZES)
def test_tga_reads_back_in_pillow(size_hw: tuple[int, int]) -> None:
    ids = _some_ids(size_hw)
    image = _opened(encode_line_tga(ClassMap(ids), RETAS))

    assert (image.format, image.mode, image.info.get("compression")) == ("TGA", "RGB", "tga_rle")
    np.testing.assert_array_equal(np.asarray(image), _lines_in_colour(ids))


def test_tga_packets_never_cross_a_row_or_hold_more_than_128_pixels() -> None:
    height, width = 4, 300
    data = encode_line_tga(ClassMap(np.zeros((height, width), np.uint8)), RETAS)

    counts = [(byte & 0x7F) + 1 for byte in data[18::4]]
    assert counts == [128, 128, 44] * height


def test_tga_is_not_antialiased() -> None:
    ids = _some_ids((50, 50))
    shown = np.asarray(_opened(encode_line_tga(ClassMap(ids), RETAS))).reshape(-1, 3)
    allowed = {tuple(c) for c in RETAS[1:6].tolist()} | {(255, 255, 255)}
    assert {tuple(c) for c in shown.tolist()} <= allowed


def test_a_white_line_is_told_from_transparency() -> None:
    table = RETAS.copy()
    table[DougaClass.HIGHLIGHT_LINE] = 255
    shown = np.asarray(_opened(encode_line_tga(ClassMap(np.array([[4, 0]], np.uint8)), table)))
    assert shown.tolist() == [[[254, 254, 254], [255, 255, 255]]]


def test_tga_refuses_what_its_header_cannot_hold() -> None:
    with pytest.raises(InputError, match="65535"):
        encode_line_tga(ClassMap(np.zeros((1, 65536), np.uint8)), RETAS)


@pytest.mark.parametrize("from_px", [2, 3, 4])
def test_lines_are_redrawn_one_pixel_wide_along_their_middle(from_px: int) -> None:
    ids = np.full((9, 20), 6, np.uint8)
    ids[3 : 3 + from_px] = 2
    thin = redraw_lines(ClassMap(ids), from_px, 1).ids

    assert (thin > 0).sum(axis=0).max() == 1
    columns = thin[:, 4:-4]
    assert (columns.max(axis=0) == 2).all()
    assert np.flatnonzero(columns.any(axis=1)).tolist() == [3 + (from_px - 1) // 2]


def test_redrawing_keeps_the_class_of_each_line_and_drops_areas() -> None:
    ids = np.full((30, 30), 7, np.uint8)
    ids[5:8], ids[15:18], ids[25:28] = 1, 3, 5
    thin = redraw_lines(ClassMap(ids), 3, 1).ids
    assert thin[6, 15] == 1
    assert thin[16, 15] == 3
    assert thin[26, 15] == 5
    assert set(np.unique(thin)) == {0, 1, 3, 5}

    same = redraw_lines(ClassMap(ids), 3, 3).ids
    np.testing.assert_array_equal(same, np.where(ids == 7, 0, ids))


# -- OpenRaster ------------------------------------------------------------------------------------


def _drawing() -> list[Layer]:
    ids = np.zeros((40, 60), np.uint8)
    ids[10:20, 20:35], ids[10, 20:35], ids[19, 20:35] = 6, 1, 2
    mask = np.where(ids > 0, np.uint8(255), np.uint8(0))
    frame = Frame(np.random.default_rng(2).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    return build_layers(frame, CelMask(mask), ClassMap(ids), load_palette("kugler"))


def test_ora_begins_with_its_stored_mimetype() -> None:
    data = encode_ora(_drawing())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type, first.extra) == ("mimetype", zipfile.ZIP_STORED, b"")
        assert archive.read("mimetype") == b"image/openraster"
        assert archive.testzip() is None
    assert data[30:54] == b"mimetypeimage/openraster"  # where `file` and Krita look for it


def test_ora_does_not_depend_on_the_clock() -> None:
    with zipfile.ZipFile(io.BytesIO(encode_ora(_drawing()))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_ora_stack_names_layers_top_first_in_their_group() -> None:
    with zipfile.ZipFile(io.BytesIO(encode_ora(_drawing()))) as archive:
        image = Xml.fromstring(archive.read("stack.xml"))
    assert (image.get("w"), image.get("h")) == ("60", "40")
    root = image[0]
    assert [child.get("name") for child in root] == ["douga", "cel", "frame"]
    group = root[0]
    assert group.tag == "stack"
    assert [layer.get("name") for layer in group] == [
        "visible line",
        "shading line",
        "shading fill",
        "flat area",
    ]


def test_ora_layers_are_cropped_and_put_back_in_place() -> None:
    layers = _drawing()
    with zipfile.ZipFile(io.BytesIO(encode_ora(layers))) as archive:
        image = Xml.fromstring(archive.read("stack.xml"))
        found = {}
        for element in image.iter("layer"):
            picture = _opened(archive.read(str(element.get("src"))))
            full = Image.new("RGBA", (60, 40))
            full.paste(picture, (int(element.get("x", 0)), int(element.get("y", 0))))
            found[element.get("name")] = (picture.size, np.asarray(full))
    assert found["visible line"][0] == (15, 1)
    for layer in layers:
        np.testing.assert_array_equal(found[layer.name][1], layer.rgba)


def test_ora_shows_the_douga_before_it_is_opened() -> None:
    layers = _drawing()
    with zipfile.ZipFile(io.BytesIO(encode_ora(layers))) as archive:
        merged = np.asarray(_opened(archive.read("mergedimage.png")))
        thumbnail = _opened(archive.read("Thumbnails/thumbnail.png"))
    np.testing.assert_array_equal(merged, flatten(layers))
    assert merged[10, 25].tolist() == [0, 0, 0, 255]
    assert merged[0, 0].tolist() == [255, 255, 255, 255]
    assert max(thumbnail.size) <= 256


def test_thumbnail_of_a_large_picture_is_256_px_wide() -> None:
    layer = Layer("one", np.full((300, 1000, 4), (200, 100, 50, 255), np.uint8))
    with zipfile.ZipFile(io.BytesIO(encode_ora([layer]))) as archive:
        thumbnail = _opened(archive.read("Thumbnails/thumbnail.png"))
    assert thumbnail.size == (256, 77)
    assert np.asarray(thumbnail)[10, 10].tolist() == [200, 100, 50, 255]


def test_ora_takes_an_empty_layer_and_a_hidden_one() -> None:
    nothing = Layer("empty", np.zeros((4, 5, 4), np.uint8))
    hidden = Layer("hidden", np.full((4, 5, 4), 255, np.uint8), visible=False)
    with zipfile.ZipFile(io.BytesIO(encode_ora([nothing, hidden]))) as archive:
        image = Xml.fromstring(archive.read("stack.xml"))
        merged = np.asarray(_opened(archive.read("mergedimage.png")))
    assert [e.get("visibility") for e in image.iter("layer")] == ["hidden", "visible"]
    assert not merged.any()


def test_flatten_blends_straight_alpha() -> None:
    white = Layer("paper", np.full((1, 1, 4), 255, np.uint8))
    red = Layer("glaze", np.array([[[255, 0, 0, 51]]], np.uint8))
    assert flatten([white, red]).tolist() == [[[255, 204, 204, 255]]]
    assert flatten([red]).tolist() == [[[255, 0, 0, 51]]]


def test_ora_needs_layers_of_one_size() -> None:
    with pytest.raises(InputError, match="none"):
        encode_ora([])
    sizes = [Layer("a", np.zeros((2, 2, 4), np.uint8)), Layer("b", np.zeros((2, 3, 4), np.uint8))]
    with pytest.raises(InputError, match=r"\(2, 2\), \(2, 3\)"):
        encode_ora(sizes)
