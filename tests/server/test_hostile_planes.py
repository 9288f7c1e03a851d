"""Planes from anybody: what lies, is damaged or would cost memory is refused before it does."""

from __future__ import annotations

import struct
import threading
import time
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import psutil
import pytest
import zstandard
from douga_server.pixels import (
    Encoding,
    Layout,
    PackedPlane,
    PlaneHeader,
    frame_from,
    pack,
    unpack,
)

from douga.errors import InputError
from douga.types import U8

MIB = 1 << 20
NOISE = np.random.default_rng(5)


def plane(data: bytes, width: int, height: int, layout: Layout, encoding: Encoding) -> PackedPlane:
    return PackedPlane(PlaneHeader(width, height, layout, encoding, len(data)), data)


def refused(packed: PackedPlane) -> str:
    """The message that `unpack` refuses a plane with, within a second and 64 MiB of memory."""
    before, peak, done = psutil.Process().memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, psutil.Process().memory_info().rss)
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began_s = time.perf_counter()
    try:
        with pytest.raises(InputError) as caught:
            unpack(packed)
        assert time.perf_counter() - began_s < 1
    finally:
        done.set()
        watcher.join()
    assert peak - before < 64 * MIB
    return str(caught.value)


# Hostile Zstandard (trap 5)


def test_a_zstandard_bomb_is_refused_by_its_header() -> None:
    packer = zstandard.ZstdCompressor(level=1).compressobj(size=4 << 30)
    zeros = bytes(4 * MIB)
    bomb = b"".join(packer.compress(zeros) for _ in range(64))  # 256 MiB of it, and it claims 4 GiB
    message = refused(plane(bomb[: 100 * 100 * 3], 100, 100, Layout.RGB8, Encoding.ZSTD))
    assert "states 4294967296 bytes" in message


def test_a_zstandard_frame_that_is_larger_than_announced_is_refused() -> None:
    data = zstandard.ZstdCompressor().compress(bytes(1 << 30))
    assert "30000 bytes as announced" in refused(plane(data, 100, 100, Layout.RGB8, Encoding.ZSTD))


def test_a_zstandard_frame_without_its_size_is_refused() -> None:
    data = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(300))
    assert "does not state its size" in refused(plane(data, 10, 10, Layout.RGB8, Encoding.ZSTD))


def test_a_zstandard_frame_with_a_long_window_is_refused() -> None:
    # By hand: 2 bytes of content size, no single segment, a window of 128 MiB, one block of zeros.
    data = struct.pack("<IBBH", 0xFD2FB528, 0x40, 17 << 3, 300 - 256) + (300 << 3 | 3).to_bytes(3, "little")
    data += b"\0"
    assert zstandard.get_frame_parameters(data).content_size == 300
    assert "a window of 134217728 bytes" in refused(plane(data, 10, 10, Layout.RGB8, Encoding.ZSTD))


def good_zstd() -> bytes:
    return bytes(pack(NOISE.integers(0, 256, (10, 10, 3), np.uint8)).data)


def blocks(*contents: tuple[int, int, bytes], stated: int = 300) -> bytes:
    """A frame of (last, kind, content) blocks that states `stated` bytes."""
    out = struct.pack("<IBH", 0xFD2FB528, 0x60, stated - 256)
    for last, kind, content in contents:
        size = stated if kind == 1 else len(content)
        out += (last | kind << 1 | size << 3).to_bytes(3, "little") + content
    return out


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d + b"x", "nothing after it"),
        (lambda d: d + d, "nothing after it"),
        (lambda d: d[:-1], "cut short"),
        (lambda d: d[:6], "cut short|is none"),
        (lambda d: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + d, "announced"),
        (lambda d: b"hello world", "is none"),
        (lambda d: d[:4] + b"\xff" * (len(d) - 4), "Zstandard|ZSTD"),
        (lambda d: blocks((1, 0, bytes(299))), "holds 299 bytes|cannot be unpacked"),
        (lambda d: blocks((0, 0, bytes(200)), (1, 0, bytes(200))), "cannot be unpacked|holds"),
        (lambda d: blocks((1, 3, bytes(300))), "cannot be unpacked"),
        (lambda d: blocks(*[(0, 0, b"")] * 2000, (1, 0, bytes(300))), "more pieces"),
    ],
)
def test_damaged_zstandard_is_refused(spoil: Callable[[bytes], bytes], message: str) -> None:
    spoiled = refused(plane(spoil(good_zstd()), 10, 10, Layout.RGB8, Encoding.ZSTD))
    assert any(part in spoiled for part in message.split("|")), spoiled


def test_blocks_by_hand_are_fine_where_they_are_sound() -> None:
    for data in (blocks((0, 0, bytes(100)), (1, 0, bytes(200))), blocks((1, 1, b"\0"))):
        assert not unpack(plane(data, 10, 10, Layout.RGB8, Encoding.ZSTD)).any()


def test_a_cut_frame_of_the_largest_size_reserves_nothing() -> None:
    data = zstandard.ZstdCompressor(level=1).compress(bytes(8192 * 8192 * 4))
    assert "cut short" in refused(plane(data[:-5], 8192, 8192, Layout.RGBA8, Encoding.ZSTD))


# Hostile PNG (trap 6)


def chunk(kind: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    stated = len(body) if length is None else length
    return struct.pack(">I", stated) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def ihdr(width: int = 4, height: int = 3, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


ROWS = bytes(3 * (1 + 4 * 3))
IDAT = chunk(b"IDAT", zlib.compress(ROWS))
IEND = chunk(b"IEND")


def png(*chunks: bytes) -> PackedPlane:
    return plane(b"\x89PNG\r\n\x1a\n" + b"".join(chunks), 4, 3, Layout.RGB8, Encoding.PNG)


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV must not see what is refused."""

    def fail(*_: object) -> None:
        raise AssertionError("the decoder was let near it")

    monkeypatch.setattr(cv2, "imdecode", fail)


PNG_CASES = {
    "lying length": ([ihdr(), chunk(b"IDAT", b"x", 0x7FFFFFFF)], "a chunk claims 2147483647 bytes"),
    "lying text": ([ihdr(), chunk(b"zTXt", b"x", 0xC0000000), IDAT, IEND], "a chunk claims"),
    "other size": ([ihdr(30000, 30000), IDAT, IEND], "the PNG is 30000 x 30000 px, announced were 4 x 3"),
    "no size": ([ihdr(0, 0), IDAT, IEND], "the PNG is 0 x 0 px"),
    "16 bits": ([ihdr(depth=16), IDAT, IEND], "16 bits a channel"),
    "1 bit": ([ihdr(depth=1), IDAT, IEND], "1 bits a channel"),
    "other layout": ([ihdr(colour=6), IDAT, IEND], "colour type 6"),
    "palette": ([ihdr(colour=3), chunk(b"PLTE", b"abc"), IDAT, IEND], "colour type 3"),
    "interlaced": ([ihdr(interlace=1), IDAT, IEND], "save it without interlacing"),
    "animated": ([ihdr(), chunk(b"acTL", bytes(8)), IDAT, IEND], "the PNG is animated"),
    "animated late": ([ihdr(), IDAT, chunk(b"fdAT", bytes(8)), IEND], "the PNG is animated"),
    "frame control": ([ihdr(), chunk(b"fcTL", bytes(26)), IDAT, IEND], "the PNG is animated"),
    "hidden alpha": ([ihdr(), chunk(b"tRNS", bytes(6)), IDAT, IEND], "transparency outside"),
    "no header": ([IDAT, IEND], "does not begin with its header"),
    "only an end": ([IEND], "holds 0 bytes of pixels"),
    "no pixels": ([ihdr(), IEND], "holds 0 bytes of pixels"),
    "no end": ([ihdr(), IDAT], "cut short"),
    "half a chunk": ([ihdr(), IDAT[:-6]], "cut short|chunk claims"),
    "after the end": ([ihdr(), IDAT, IEND, b"more"], "4 bytes follow the end"),
    "split pixels": ([ihdr(), IDAT, chunk(b"tEXt", b"a\0b"), IDAT, IEND], "not in one piece"),
    "too few rows": ([ihdr(), chunk(b"IDAT", zlib.compress(ROWS[:-1])), IEND], "its size needs 39"),
    "too many rows": ([ihdr(), chunk(b"IDAT", zlib.compress(ROWS + b"\0")), IEND], "more than its 3 rows"),
    "bomb": ([ihdr(), chunk(b"IDAT", zlib.compress(bytes(60 * MIB))), IEND], "more than its 3 rows"),
    "garbage": ([ihdr(), chunk(b"IDAT", b"no deflate"), IEND], "cannot be unpacked"),
    "cut pixels": ([ihdr(), chunk(b"IDAT", zlib.compress(ROWS)[:-6]), IEND], "send all of it"),
    "no checksum": ([ihdr(), chunk(b"IDAT", zlib.compress(ROWS)[:-4]), IEND], "send all of it"),
    "junk in pixels": ([ihdr(), chunk(b"IDAT", zlib.compress(ROWS) + b"junk"), IEND], "more than its 3 rows"),
    "unknown filter": ([ihdr(), chunk(b"IDAT", zlib.compress(b"\5" + ROWS[1:])), IEND], "rows are damaged"),
    "filter of row 3": (
        [ihdr(), chunk(b"IDAT", zlib.compress(ROWS[:26] + b"\xff" + ROWS[27:])), IEND],
        "rows",
    ),
    "countless chunks": ([ihdr(), *[chunk(b"IDAT")] * 2000, IDAT, IEND], "more pieces"),
}


@pytest.mark.usefixtures("no_decoder")
@pytest.mark.parametrize("case", PNG_CASES)
def test_a_hostile_png_is_refused_before_the_decoder(case: str) -> None:
    chunks, expected = PNG_CASES[case]
    message = refused(png(*chunks))
    assert any(part in message for part in expected.split("|")), message


@pytest.mark.usefixtures("no_decoder")
def test_what_is_no_png_at_all_is_refused() -> None:
    assert "is none" in refused(plane(b"GIF89a" + bytes(50), 4, 3, Layout.RGB8, Encoding.PNG))


def test_a_wrong_checksum_is_refused() -> None:
    assert "checksum" in refused(png(ihdr(), IDAT[:-1] + bytes([IDAT[-1] ^ 1]), IEND))


def test_extras_of_a_png_never_reach_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    decode = cv2.imdecode

    def watched(data: U8, flags: int) -> U8 | None:
        seen.append(bytes(data))
        return decode(data, flags)

    monkeypatch.setattr(cv2, "imdecode", watched)
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(MIB)))
    unpack(png(ihdr(), bomb, chunk(b"iCCP", b"junk"), IDAT, chunk(b"tIME", bytes(7)), IEND))
    assert seen == [b"\x89PNG\r\n\x1a\n" + ihdr() + IDAT + IEND]


@pytest.mark.parametrize(
    ("extras", "words"),
    [
        ([chunk(b"iCCP", b"x"), chunk(b"eXIf", b"MM")], "its orientation and its colour profile not applied"),
        ([chunk(b"gAMA", struct.pack(">I", 100000))], "its gamma not applied"),
        ([chunk(b"cICP", b"\x09\x10\0\1")], "its video colour space not applied"),
        ([chunk(b"gAMA", struct.pack(">I", 45455))], ""),
        ([chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">I", 1))], ""),
    ],
)
def test_what_a_png_says_of_its_colours_is_told_and_not_applied(extras: list[bytes], words: str) -> None:
    warnings = frame_from(png(ihdr(), *extras, IDAT, IEND), "f").warnings
    assert warnings == ((f"the PNG was taken as plain sRGB pixels: {words}",) if words else ())


def test_long_runs_that_end_inside_of_a_piece_are_read_to_the_end() -> None:
    for height in (1023, 1024, 1025):  # rows of 1 + 255 bytes: 2**18 bytes are 1024 of them
        pixels = np.zeros((height, 85, 3), np.uint8)
        data = (
            b"\x89PNG\r\n\x1a\n"
            + ihdr(85, height)
            + chunk(b"IDAT", zlib.compress(bytes(height * 256), 9))
            + IEND
        )
        np.testing.assert_array_equal(unpack(plane(data, 85, height, Layout.RGB8, Encoding.PNG)), pixels)
