"""Planes on the wire: every layout and packing comes back; `test_hostile_planes` has what does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from douga_server.limits import DEFAULT_LIMITS, LimitError, Limits, most_bytes
from douga_server.pixels import (
    Encoding,
    Layout,
    PackedPlane,
    PlaneHeader,
    frame_from,
    mask_from,
    pack,
    unpack,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from douga.errors import InputError
from douga.frame_io import read_frame, write_png
from douga.types import U8

NOISE = np.random.default_rng(5)


def plane(data: bytes, width: int, height: int, layout: Layout, encoding: Encoding) -> PackedPlane:
    return PackedPlane(PlaneHeader(width, height, layout, encoding, len(data)), data)


# Round trips


@given(
    data=st.data(),
    encoding=st.sampled_from(Encoding),
    layout=st.sampled_from(Layout),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_every_layout_comes_back_in_every_packing(
    data: st.DataObject, encoding: Encoding, layout: Layout, height: int, width: int
) -> None:
    shape = (height, width) if layout is Layout.GRAY8 else (height, width, layout.channels)
    pixels = data.draw(arrays(np.uint8, shape))
    if (encoding, layout) == (Encoding.PNG, Layout.BGRA8):
        with pytest.raises(InputError, match="PNG cannot hold BGRA8"):
            pack(pixels, encoding, layout)
        return
    packed = pack(pixels, encoding, layout)
    assert packed.header == PlaneHeader(width, height, layout, encoding, len(packed.data))
    out = unpack(packed)
    np.testing.assert_array_equal(out, pixels)
    assert out.flags.writeable
    assert out.flags.c_contiguous


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("size_wh", [(1, 1), (1, 4001), (4001, 1), (641, 359)])
def test_odd_sizes_of_noise_come_back_within_the_announced_most(
    encoding: Encoding, size_wh: tuple[int, int]
) -> None:
    pixels = NOISE.integers(0, 256, (size_wh[1], size_wh[0], 4), np.uint8)
    packed = pack(pixels, encoding)
    np.testing.assert_array_equal(unpack(packed), pixels)
    assert packed.header.encoded_bytes <= most_bytes(*size_wh, 4)


def test_slices_that_are_not_contiguous_are_packed_as_they_look() -> None:
    pixels = NOISE.integers(0, 256, (8, 6, 3), np.uint8)[::2, ::-1]
    for encoding in Encoding:
        np.testing.assert_array_equal(unpack(pack(pixels, encoding)), pixels)


def test_pack_refuses_what_is_no_plane() -> None:
    for bad in (np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.uint8)):
        with pytest.raises(ValueError, match="expected uint8 pixels of 1, 3 or 4 channels"):
            pack(bad)  # type: ignore[arg-type]


# Frames and masks


def test_a_frame_is_red_first_whatever_its_layout() -> None:
    rgb = np.array([[[250, 20, 3], [1, 2, 200]]], np.uint8)
    opaque = np.dstack([rgb, np.full((1, 2), 255, np.uint8)])
    bgra = opaque[..., [2, 1, 0, 3]]
    for pixels, layout in ((rgb, Layout.RGB8), (opaque, Layout.RGBA8), (bgra, Layout.BGRA8)):
        frame = frame_from(pack(pixels, layout=layout), "f")
        np.testing.assert_array_equal(frame.rgb, rgb)
        assert frame.warnings == ()  # opaque: nothing was changed
        assert frame.name == "f"


def test_alpha_by_wire_is_the_same_as_alpha_from_a_file(tmp_path: Path) -> None:
    rgba = NOISE.integers(0, 256, (601, 37, 4), np.uint8)  # more than one band
    write_png(tmp_path / "f.png", rgba)
    local = read_frame(tmp_path / "f.png")
    file = (tmp_path / "f.png").read_bytes()
    by_wire = [
        pack(rgba),
        pack(rgba[..., [2, 1, 0, 3]], layout=Layout.BGRA8),
        plane(file, 37, 601, Layout.RGBA8, Encoding.PNG),
    ]
    for packed in by_wire:
        frame = frame_from(packed, "f")
        np.testing.assert_array_equal(frame.rgb, local.rgb)
        assert (
            frame.warnings == local.warnings == ("transparent parts laid over white; a frame has no alpha",)
        )


def test_a_grey_frame_and_a_coloured_mask_are_refused() -> None:
    with pytest.raises(InputError, match="announced as GRAY8; send it as RGB8"):
        frame_from(pack(np.zeros((2, 2), np.uint8)), "f")
    with pytest.raises(InputError, match="announced as RGB8; send it as GRAY8"):
        mask_from(pack(np.zeros((2, 2, 3), np.uint8)))


def test_a_mask_is_0_and_255_and_nothing_else() -> None:
    mask = np.array([[0, 255]], np.uint8)
    np.testing.assert_array_equal(mask_from(pack(mask)).mask, mask)
    with pytest.raises(InputError, match="expected only 0 and 255"):
        mask_from(pack(np.array([[0, 254]], np.uint8)))


# Headers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5, Layout.RGB8, Encoding.ZSTD, 9), "at least one pixel"),
        ((5, 0, Layout.RGB8, Encoding.ZSTD, 9), "at least one pixel"),
        ((5, 5, Layout.RGB8, Encoding.ZSTD, 0), "announce encoded_bytes"),
        ((5, 5, Layout.RGB8, Encoding.RAW, 74), "has 75 bytes; 74 are announced"),
        ((5, 5, Layout.BGRA8, Encoding.PNG, 74), "PNG cannot hold BGRA8"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(
    arguments: tuple[int, int, Layout, Encoding, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        PlaneHeader(*arguments)


def test_more_bytes_than_the_pixels_can_need_are_refused() -> None:
    with pytest.raises(LimitError, match="never needs more than"):
        PlaneHeader(5, 5, Layout.RGB8, Encoding.PNG, 1 << 40)


def test_the_default_limits_take_what_studios_have_and_no_more() -> None:
    for width, height in ((7680, 4320), (8192, 8192), (16384, 4096)):
        DEFAULT_LIMITS.check_size(width, height, "the frame")
        assert most_bytes(width, height, 4) <= DEFAULT_LIMITS.max_encoded_bytes
    for width, height in ((8193, 8192), (16385, 1), (2**32 - 1, 2**32 - 1)):
        with pytest.raises(LimitError, match=r"the frame is announced as .* so scale it down or cut it"):
            DEFAULT_LIMITS.check_size(width, height, "the frame")


def test_limits_are_checked_themselves() -> None:
    for bad in ({"max_pixels": 0}, {"max_pixels": 10**9}, {"max_queued": 0}, {"max_chunk_bytes": 0}):
        with pytest.raises(InputError, match="max_"):
            Limits(**bad)


def test_raw_bytes_are_counted() -> None:
    header = PlaneHeader(2, 2, Layout.GRAY8, Encoding.RAW, 4)
    with pytest.raises(InputError, match="3 bytes came for a plane that was announced with 4"):
        PackedPlane(header, b"abc")
    pixels: U8 = unpack(PackedPlane(header, b"abcd"))
    np.testing.assert_array_equal(pixels, [[97, 98], [99, 100]])
