"""Pixels of a host -> planes and back, in every packing; class maps -> layers. With numpy and without."""

from __future__ import annotations

import random
import sys
import time
import zlib
from collections.abc import Generator
from typing import Any, TypeVar

import cv2
import numpy as np
import pytest
from client_serving import drawing
from douga_client import layers, png
from douga_client.address import Address
from douga_client.contract import ImageHeader, PixelEncoding, PixelLayout
from douga_client.errors import ClientError
from douga_client.image import Pixels
from douga_client.pixels import chosen_encoding, pack, unpack
from hypothesis import given, settings
from hypothesis import strategies as st

T = TypeVar("T")
LAYOUTS = {"GRAY8": 1, "RGB8": 3, "RGBA8": 4, "BGRA8": 4}


def finish(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value


@pytest.fixture(params=["numpy", "plain"])
def _numpy_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.delitem(sys.modules, "numpy")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", [PixelEncoding.RAW, PixelEncoding.PNG, PixelEncoding.ZSTD])
def test_the_server_reads_what_is_packed_here(layout: str, encoding: PixelEncoding) -> None:
    """By its own code, for it is the other end."""
    from douga_server.pixels import Encoding, Layout, PackedPlane, PlaneHeader
    from douga_server.pixels import unpack as server_unpack

    data = random.Random(1).randbytes(7 * 5 * LAYOUTS[layout])
    packed = finish(pack(Pixels(7, 5, layout, data), encoding))
    header = packed.header
    plane = PackedPlane(
        PlaneHeader(
            7,
            5,
            Layout[PixelLayout(header.layout).name],
            Encoding[PixelEncoding(header.encoding).name],
            len(packed.data),
        ),
        bytes(packed.data),
    )
    expected = np.frombuffer(data, np.uint8).reshape(5, 7, -1)
    if layout == "BGRA8" and header.layout == PixelLayout.RGBA8:
        expected = expected[..., [2, 1, 0, 3]]
    assert np.array_equal(server_unpack(plane).reshape(5, 7, -1), expected)
    assert finish(unpack(header, bytearray(packed.data))) == expected.tobytes()


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 12),
    channels=st.sampled_from([1, 3, 4]),
    seed=st.integers(0, 9),
    filters=st.integers(0, 255),
)
def test_every_filter_of_png_is_undone(
    width: int, height: int, channels: int, seed: int, filters: int
) -> None:
    """Packed by OpenCV with each set of filters; smooth and flat images, in which they differ."""
    rows = np.add.outer(np.arange(height) * seed, np.arange(width) * (seed % 3))[..., None] // 3
    image = (rows + np.arange(channels) * 50).astype(np.uint8)
    image[np.random.default_rng(seed).random(image.shape) < 0.1] = seed
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    flags = [cv2.IMWRITE_PNG_FILTER, filters & 0xF8] if hasattr(cv2, "IMWRITE_PNG_FILTER") else []
    data = bytes(cv2.imencode(".png", image[..., order], flags)[1])
    assert finish(png.unpacked(data, width, height, channels)) == image.tobytes()


@pytest.mark.parametrize("damage", ["none of it", "cut", "size", "noise", "filter", "bomb"])
def test_a_damaged_png_is_an_error(damage: str) -> None:
    good = finish(png.packed(bytes(range(64)) * 64, 64, 64, 1))
    bad, width = good, 64
    if damage == "none of it":
        bad = b"GIF89a" + good[6:]
    elif damage == "cut":
        bad = good[: len(good) // 2]
    elif damage == "size":
        width = 65
    elif damage == "noise":
        at = good.index(b"IDAT") + 6
        bad = good[:at] + b"\xff" * 8 + good[at + 8 :]
    else:
        rows = (b"\x09" + bytes(64)) * 64 if damage == "filter" else b"\0" * 10
        header = good[: good.index(b"IDAT") - 4]
        bad = header + png._chunk(b"IDAT", zlib.compress(rows)) + png._chunk(b"IEND", b"")
    with pytest.raises(ClientError, match="PNG cannot be read"):
        finish(png.unpacked(bad, width, 64, 1))


def test_a_png_that_grows_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    header = finish(png.packed(b"x" * 4, 2, 2, 1))
    bomb = zlib.compress(bytes(50_000_000), 1)
    data = header[: header.index(b"IDAT") - 4] + png._chunk(b"IDAT", bomb)
    begun_s = time.thread_time()
    assert finish(png.unpacked(data, 2, 2, 1)) == bytes(4)
    assert time.thread_time() - begun_s < 1


@pytest.mark.parametrize("encoding", [PixelEncoding.RAW, PixelEncoding.ZSTD])
def test_bytes_that_are_not_what_was_announced(encoding: PixelEncoding) -> None:
    header = ImageHeader(4, 4, PixelLayout.GRAY8, encoding, 9)
    with pytest.raises(ClientError):
        finish(unpack(header, bytearray(b"too little")))
    with pytest.raises(ClientError, match="layout 9"):
        finish(unpack(ImageHeader(4, 4, 9, encoding, 16), bytearray(16)))


def test_a_zstd_plane_that_claims_another_size_is_not_unpacked() -> None:
    import zstandard

    data = zstandard.compress(bytes(100_000_000), 1)
    with pytest.raises(ClientError):
        finish(unpack(ImageHeader(4, 4, PixelLayout.GRAY8, PixelEncoding.ZSTD, len(data)), bytearray(data)))


def test_packing_a_large_image_gives_way_again_and_again() -> None:
    steps, longest_s, count = pack(drawing(1920, 1080), PixelEncoding.PNG), 0.0, 0
    while True:
        begun_s = time.thread_time()
        try:
            next(steps)
        except StopIteration:
            break
        finally:
            longest_s, count = max(longest_s, time.thread_time() - begun_s), count + 1
    assert count > 20
    assert longest_s < 0.05


def test_which_packing_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Address(path="/run/d.sock"), Address("10.0.0.7", 7610)
    assert chosen_encoding("auto", here) is PixelEncoding.RAW
    assert chosen_encoding("auto", there) is PixelEncoding.ZSTD
    assert chosen_encoding("png", here) is PixelEncoding.PNG
    assert chosen_encoding("raw", there) is PixelEncoding.RAW
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert chosen_encoding("auto", there) is PixelEncoding.RAW
    assert chosen_encoding("zstd", there) is PixelEncoding.RAW


def gathered(bands: Any, size: int) -> bytes:
    out = bytearray(4 * size)
    for (left, top, width, height), pixels in bands:
        assert len(pixels) == 4 * width * height
        for row in range(height):
            start = 4 * ((top + row) * WIDTH + left)
            out[start : start + 4 * width] = pixels[4 * row * width : 4 * (row + 1) * width]
    return bytes(out)


WIDTH = 4


@pytest.mark.usefixtures("_numpy_or_not")
def test_a_class_becomes_a_layer() -> None:
    ids = bytes([0, 1, 2, 1, 2, 2, 2, 2, 1, 0, 0, 0])
    layer = gathered(layers.class_bands(ids, WIDTH, 1, 0xFF8040, band_pixels=4), len(ids))
    ink, none = bytes([0x40, 0x80, 0xFF, 255]), bytes(4)
    assert layer == b"".join(ink if value == 1 else none for value in ids)
    boxes = [box for box, _ in layers.class_bands(ids, WIDTH, 1, 0, band_pixels=4)]
    assert boxes == [(1, 0, 3, 1), (0, 2, 1, 1)], "no more than where it is, and nothing in the second row"
    (box,) = (box for box, _ in layers.class_bands(ids, WIDTH, 2, 0))
    assert box == (0, 0, 4, 2)


def test_a_mask_cuts_the_cel_out() -> None:
    bgra = bytes(range(32))
    cut = gathered(layers.masked_bands(bgra, bytes([255, 0, 255, 0, 0, 0, 0, 255]), WIDTH, band_pixels=4), 8)
    assert cut[:8] == bytes([0, 1, 2, 255, 4, 5, 6, 0])
    assert cut[-4:] == bytes([28, 29, 30, 255])


def test_which_classes_are_there() -> None:
    assert layers.present_classes(bytes([3, 1, 1, 9])) == (1, 3, 9)
    assert layers.present_classes(b"") == ()
