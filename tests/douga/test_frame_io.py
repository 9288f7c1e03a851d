"""Every kind of input that is read, and every kind of bad input: one clear sentence, no memory, no crash."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, TiffImagePlugin

from douga.errors import DougaError, InputError, MissingInputError, OutputError
from douga.frame_io import MAX_SIDE_PX, atomic_path, open_sources, read_frame, write_png

RGB = np.array(
    [
        [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
        [[0, 0, 0], [128, 64, 32], [255, 255, 255]],
    ],
    np.uint8,
)
GREY = np.array([[0, 100, 255], [1, 2, 3]], np.uint8)


def _save(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(
    width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 0, rows: bytes = b""
) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body


# -- what is read
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tga", "a.tif", "a.webp", "A.PNG"])
def test_lossless_formats_come_back_exactly_and_without_a_warning(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    frame = read_frame(_save(tmp_path / name, RGB, **options))
    np.testing.assert_array_equal(frame.rgb, RGB)
    assert frame.name == Path(name).stem
    assert frame.warnings == ()


def test_run_length_tga_comes_back_exactly(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_frame(_save(tmp_path / "a.tga", RGB, rle=True)).rgb, RGB)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_compressions(tmp_path: Path, compression: str | None) -> None:
    np.testing.assert_array_equal(
        read_frame(_save(tmp_path / "a.tif", RGB, compression=compression)).rgb, RGB
    )


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tga", "a.tif"])
def test_grey_becomes_three_equal_channels(tmp_path: Path, name: str) -> None:
    frame = read_frame(_save(tmp_path / name, GREY))
    np.testing.assert_array_equal(frame.rgb, np.stack([GREY] * 3, -1))
    assert frame.warnings == ()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_one_bit_images(tmp_path: Path, name: str) -> None:
    bits = GREY > 50
    frame = read_frame(_save(tmp_path / name, bits))
    np.testing.assert_array_equal(frame.rgb[..., 1], bits * np.uint8(255))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tga", "a.tif"])
def test_palette_images(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / name)
    expected = [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]]
    np.testing.assert_array_equal(read_frame(tmp_path / name).rgb, expected)


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.webp"])
def test_lossy_formats_are_near(tmp_path: Path, name: str) -> None:
    flat = np.full((16, 16, 3), (200, 120, 40), np.uint8)
    frame = read_frame(_save(tmp_path / name, flat, quality=95))
    assert np.abs(frame.rgb.astype(int) - flat).max() <= 4


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tga", "a.webp"])
def test_alpha_is_laid_over_white_and_told(tmp_path: Path, name: str) -> None:
    rgba = np.array([[[255, 0, 0, 255], [0, 0, 0, 51], [9, 9, 9, 0]]], np.uint8)
    options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    frame = read_frame(_save(tmp_path / name, rgba, **options))
    np.testing.assert_array_equal(frame.rgb, [[[255, 0, 0], [204, 204, 204], [255, 255, 255]]])
    assert "white" in frame.warnings[0]


def test_grey_with_alpha(tmp_path: Path) -> None:
    frame = read_frame(_save(tmp_path / "a.png", np.array([[[100, 255], [100, 0]]], np.uint8)))
    np.testing.assert_array_equal(frame.rgb[..., 0], [[100, 255]])


def test_opaque_alpha_changes_nothing_and_says_nothing(tmp_path: Path) -> None:
    frame = read_frame(_save(tmp_path / "a.png", np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])))
    np.testing.assert_array_equal(frame.rgb, RGB)
    assert frame.warnings == ()


@pytest.mark.parametrize(
    ("colour", "depth", "trns", "rows", "expected"),
    [
        (0, 8, b"\0\x05", b"\0\x05\x06", [[[255] * 3, [6] * 3]]),
        (2, 8, b"\0\x01\0\x02\0\x03", b"\0\x01\x02\x03\x01\x02\x04", [[[255] * 3, [1, 2, 4]]]),
        (0, 16, b"\x01\x00", b"\0\x01\x00\x80\x80", [[[255] * 3, [128] * 3]]),
        (2, 16, b"\0\0\0\0\0\1", b"\0" + b"\0\0\0\0\0\1" + b"\0\0\0\0\xff\xff", [[[255] * 3, [0, 0, 255]]]),
    ],
)
def test_png_with_one_transparent_colour(
    tmp_path: Path, colour: int, depth: int, trns: bytes, rows: bytes, expected: list[object]
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png(2, 1, _chunk(b"tRNS", trns), colour=colour, depth=depth, rows=rows))
    frame = read_frame(path)
    np.testing.assert_array_equal(frame.rgb, expected)
    assert any("white" in note for note in frame.warnings)


def test_transparent_palette_entry(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(read_frame(tmp_path / "a.png").rgb, [[[255, 255, 255], [40, 50, 60]]])


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_is_rounded_and_told(tmp_path: Path, name: str, channels: int) -> None:
    # 382 / 257 = 1.486 and 386 / 257 = 1.502: cutting the low byte off would give 1 for both
    deep = np.array([[0, 382], [386, 65535]], np.uint16)
    array = deep if channels == 1 else np.dstack([deep, deep // 2, deep * 0][:3])
    if channels == 4:
        array = np.dstack([array, np.full_like(deep, 65535)])
    swapped = array if channels == 1 else array[..., [2, 1, 0, 3][:channels]]
    assert cv2.imwrite(str(tmp_path / name), swapped)
    frame = read_frame(tmp_path / name)
    np.testing.assert_array_equal(frame.rgb[..., 0], [[0, 1], [2, 255]])
    if channels > 1:
        np.testing.assert_array_equal(frame.rgb[..., 1], [[0, 1], [1, 127]])
    assert "16 bits" in frame.warnings[0]


def test_16_bit_grey_with_alpha(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">4H", 0, 65535, 0, 0)
    (tmp_path / "a.png").write_bytes(_png(2, 1, colour=4, depth=16, rows=rows))
    np.testing.assert_array_equal(read_frame(tmp_path / "a.png").rgb[..., 0], [[0, 255]])


def test_16_bit_tiff_with_white_as_zero(tmp_path: Path) -> None:
    deep = np.array([[0, 65535, 257 * 40]], np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="miniswhite")
    np.testing.assert_array_equal(read_frame(tmp_path / "a.tif").rgb[..., 0], [[255, 0, 215]])


def test_tiffs_that_would_be_read_wrongly_are_refused(tmp_path: Path) -> None:
    path, deep = tmp_path / "a.tif", np.zeros((3, 8, 8), np.uint16)
    tifffile.imwrite(path, deep, photometric="rgb", planarconfig="separate")
    with pytest.raises(InputError, match=r"a\.tif.*interleaved"):
        read_frame(path)
    tifffile.imwrite(
        path, np.zeros((8, 8, 2), np.uint16), photometric="minisblack", extrasamples=["unassalpha"]
    )
    with pytest.raises(InputError, match=r"a\.tif: this kind of TIFF"):
        read_frame(path)
    tifffile.imwrite(path, deep[0])
    twelve = path.read_bytes().replace(
        struct.pack("<HHIHH", 258, 3, 1, 16, 0), struct.pack("<HHIHH", 258, 3, 1, 12, 0)
    )
    path.write_bytes(twelve)
    with pytest.raises(InputError, match=r"a\.tif.*12 bits"):
        read_frame(path)


def test_exif_orientation_turns_and_tells(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    for name in ("a.jpg", "a.png", "a.tif", "a.webp"):
        tall = np.zeros((8, 24, 3), np.uint8)
        tall[:, :8] = 255  # left of the stored image is the top of the upright one
        frame = read_frame(_save(tmp_path / name, tall, exif=exif))
        assert frame.rgb.shape == (24, 8, 3), name
        assert frame.rgb[2].min() > 200, name
        assert frame.rgb[20].max() < 50, name
        assert "orientation 6" in frame.warnings[0], name


def test_16_bit_tiff_is_turned_once(tmp_path: Path) -> None:
    deep = np.zeros((2, 4), np.uint16)
    deep[:, 0] = 65535
    _save(tmp_path / "a.tif", deep, tiffinfo={274: 8})
    frame = read_frame(tmp_path / "a.tif")
    assert frame.rgb.shape == (4, 2, 3)
    assert frame.rgb[3].min() == 255
    assert frame.rgb[:3].max() == 0


def test_cmyk_jpeg_is_converted_and_told(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    frame = read_frame(tmp_path / "a.jpg")
    assert frame.rgb[4, 4, 0] > 240
    assert frame.rgb[4, 4, 1:].max() < 15
    assert "CMYK" in frame.warnings[0]


def _swapped_profile() -> bytes:
    """A valid profile that is not sRGB: its red and blue primaries change places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    for i in range(count):
        at = 132 + 12 * i
        tag = bytes(data[at : at + 4])
        data[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(tag, tag)
    return bytes(data)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_embedded_profile_is_honoured_and_told(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    frame = read_frame(_save(tmp_path / name, RGB, icc_profile=_swapped_profile(), **options))
    assert np.abs(frame.rgb.astype(int) - RGB[..., ::-1]).max() <= 2
    assert "embedded profile" in frame.warnings[0]


def test_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frame = read_frame(_save(tmp_path / "a.png", RGB, icc_profile=profile))
    np.testing.assert_array_equal(frame.rgb, RGB)
    assert frame.warnings == ()


def test_broken_profile_is_ignored_and_told(tmp_path: Path) -> None:
    frame = read_frame(_save(tmp_path / "a.png", RGB, icc_profile=b"no profile at all"))
    np.testing.assert_array_equal(frame.rgb, RGB)
    assert "broken" in frame.warnings[0]
    grey_profile_like = _png(1, 1, _chunk(b"iCCP", b"x\0\0not deflated"), rows=b"\0\x07")
    (tmp_path / "b.png").write_bytes(grey_profile_like)
    assert "broken" in read_frame(tmp_path / "b.png").warnings[0]


def test_gamma_chunk_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png(1, 1, _chunk(b"gAMA", struct.pack(">I", 100000)), rows=b"\0\x07"))
    frame = read_frame(tmp_path / "a.png")
    assert frame.rgb[0, 0, 0] == 7
    assert "gamma of 1 " in frame.warnings[0]


def test_wrong_extension_is_read_and_told(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png", "BMP")
    frame = read_frame(tmp_path / "a.png")
    np.testing.assert_array_equal(frame.rgb, RGB)
    assert "BMP" in frame.warnings[0]


def test_tga_whose_fourth_channel_is_no_alpha(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    data = bytearray(_save(tmp_path / "a.tga", rgba).read_bytes())
    data[17] &= 0xF0
    (tmp_path / "a.tga").write_bytes(data)
    frame = read_frame(tmp_path / "a.tga")
    np.testing.assert_array_equal(frame.rgb, RGB)
    assert "not declared as alpha" in frame.warnings[0]


# -- what is refused
# -------------------------------------------------------------------------------------------


def _animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    out = BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def _webp_header(width: int, height: int) -> bytes:
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + (width - 1).to_bytes(3, "little")
    body += (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 1, 1, 0, 0)


def _lying_png() -> bytes:
    good = bytearray(_png(4, 4, rows=bytes(20)))
    at = good.index(b"IDAT") - 4
    good[at : at + 4] = struct.pack(">I", 0x7FFFFFF0)
    return bytes(good)


BAD = {
    "empty.png": (b"", "empty"),
    "text.png": (b"hello, this is no image", "no image"),
    "text.tga": (b"hello, this is no image", "no image"),
    "huge.png": (_png(100_000, 100_000, rows=bytes(10)), "too large"),
    "huge.bmp": (_bmp_header(100_000, 100_000), "too large"),
    "huge.webp": (_webp_header(100_000, 100_000), "too large"),
    "huge.tga": (
        struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 60000, 60000, 24, 0) + b"0",
        "too large",
    ),
    "bomb.png": (_png(12_000, 12_000, rows=bytes(1000)), "cannot hold"),
    "lying.png": (_lying_png(), "claims 2147483632 bytes"),
    "animated.png": (_animation("PNG"), "animated"),
    "animated.webp": (_animation("WEBP"), "animated"),
    "animated.gif": (_animation("GIF"), "GIF"),
    "pages.tif": (_animation("TIFF"), "2 pages"),
    "no_size.png": (_png(0, 4, rows=bytes(4)), "at least one pixel"),
    "float.tif": (b"", "colour model F"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_give_one_sentence_with_their_name(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    if name == "float.tif":
        Image.fromarray(np.ones((4, 4), np.float32)).save(path)
    with pytest.raises(InputError, match=reason) as error:
        read_frame(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tga", "a.tif", "a.webp", "a.bmp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, name: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    path = _save(tmp_path / name, noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"a\.\w+: "):
        read_frame(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tga", "a.tif", "a.webp", "a.bmp"])
def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(1)
    good = np.frombuffer(_save(tmp_path / name, np.tile(RGB, (4, 4, 1))).read_bytes(), np.uint8)
    for _ in range(60):
        bad = good.copy()
        bad[rng.integers(0, len(bad), 3)] = rng.integers(0, 256, 3)
        (tmp_path / name).write_bytes(bad.tobytes())
        with suppress(DougaError):
            read_frame(tmp_path / name)


def test_sizes_at_the_limit_are_not_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", np.zeros((1, MAX_SIDE_PX), np.uint8))
    assert read_frame(path).size_hw == (1, MAX_SIDE_PX)
    _save(path, np.zeros((1, MAX_SIDE_PX + 1), np.uint8))
    with pytest.raises(InputError, match="too large"):
        read_frame(path)


def test_hostile_files_cost_no_memory(tmp_path: Path) -> None:
    """In a process of its own, since the peak of this one may already be high."""
    for name, (data, _) in BAD.items():
        (tmp_path / name).write_bytes(data)
    code = (
        "import cv2, resource, sys; from pathlib import Path; from douga.errors import InputError\n"
        "from douga.frame_io import read_frame\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before, refused = peak(), 0\n"
        "for path in Path(sys.argv[1]).iterdir():\n"
        "    try: read_frame(path)\n"
        "    except InputError: refused += 1\n"
        "print(refused, peak() - before)\n"
    )
    out = subprocess.run([sys.executable, "-B", "-c", code, str(tmp_path)], capture_output=True, text=True)
    refused, growth_kb = (int(v) for v in out.stdout.split())
    assert refused == len(BAD)
    assert growth_kb < 50_000


def test_missing_folder_and_device(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        read_frame(tmp_path / "a.png")
    with pytest.raises(InputError, match="not a file"):
        read_frame(tmp_path)
    with pytest.raises(InputError, match="not a file"):
        read_frame(Path("/dev/null"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", RGB)
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        read_frame(path)


# -- writing
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3), (3, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_write_png_round_trip(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    array: np.ndarray = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    write_png(tmp_path / "new" / "a.png", array)
    back = cv2.imread(str(tmp_path / "new" / "a.png"), cv2.IMREAD_UNCHANGED)
    expected = array if len(shape) == 2 else array[..., [2, 1, 0, 3][: shape[2]]]
    np.testing.assert_array_equal(back, expected)


def test_indexed_png_keeps_indices_one_byte_each(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    write_png(tmp_path / "a.png", ids, palette=[(255, 255, 255), (0, 0, 0), (9, 8, 7)])
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), ids)
        assert (image.getpalette() or [])[6:9] == [9, 8, 7]
    assert (tmp_path / "a.png").read_bytes()[24] == 8  # bits a pixel
    np.testing.assert_array_equal(read_frame(tmp_path / "a.png").rgb[0, 2], [9, 8, 7])


def test_write_png_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="below 2"):
        write_png(tmp_path / "a.png", np.full((2, 2), 2, np.uint8), palette=[(0, 0, 0)] * 2)
    with pytest.raises(ValueError, match="expected"):
        write_png(tmp_path / "a.png", np.zeros((2, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail_half_way() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match="disk is full"):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_told(tmp_path: Path) -> None:
    """A real one: the process may write files of 4 kB at most."""
    code = (
        "import resource, signal, sys, numpy as np; from pathlib import Path\n"
        "from douga.frame_io import write_png; from douga.errors import OutputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (99, 99)).astype(np.uint8)\n"
        "try: write_png(Path(sys.argv[1]), noise)\n"
        "except OutputError as exc: print(exc)\n"
    )
    out = subprocess.run(
        [sys.executable, "-B", "-c", code, str(tmp_path / "a.png")], capture_output=True, text=True
    )
    assert "a.png: cannot be written" in out.stdout, out.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match="folder"):
        write_png(tmp_path / "a.png", GREY)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="part of its path is a file"):
        write_png(tmp_path / "file" / "a.png", GREY)


# -- sources
# ---------------------------------------------------------------------------------------------------


def _names(*inputs: Path) -> list[str]:
    return [source.name for source in open_sources(inputs)]


def test_folder_in_natural_order_and_without_the_rest(tmp_path: Path) -> None:
    for name in ("f10.png", "f2.png", "F1.png", ".hidden.png"):
        _save(tmp_path / name, RGB)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "sub").mkdir()
    sources = open_sources([tmp_path])
    assert [s.name for s in sources] == ["F1", "f2", "f10"]
    assert sources.count == 3
    assert "notes.txt, sub" in sources.notes[0]


def test_source_reads_and_hashes(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", RGB)
    (source,) = open_sources([path])
    np.testing.assert_array_equal(source.read().rgb, RGB)
    assert source.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.path == path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("s.%04d.png", ["s.0001", "s.0002", "s.0010"]),
        ("s.####.png", ["s.0001", "s.0002", "s.0010"]),
        ("s.[0001-0002].png", ["s.0001", "s.0002"]),
        ("t%d.png", ["t1", "t20"]),
    ],
)
def test_numbered_sequences(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    for name in ("s.0010.png", "s.0002.png", "s.0001.png", "s.001.png", "t1.png", "t20.png"):
        _save(tmp_path / name, RGB)
    assert _names(tmp_path / pattern) == expected


def test_gaps_are_told_and_missing_frames_of_a_range_fail_alone(tmp_path: Path) -> None:
    for name in ("s1.png", "s3.png"):
        _save(tmp_path / name, RGB)
    assert "1 numbers are not there (2)" in open_sources([tmp_path / "s%d.png"]).notes[0]
    first, second, third = open_sources([tmp_path / "s[1-3].png"])
    first.read()
    with pytest.raises(MissingInputError, match=r"s2\.png"):
        second.read()
    third.read()


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    assert _names(_save(tmp_path / "a[1-2].png", RGB)) == ["a[1-2]"]


@pytest.mark.parametrize("name", ["a.png", "s%04d.png", "s[3-1].png", "s[1-3].png", "s%d_%d.png", "."])
def test_inputs_that_are_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        open_sources([tmp_path / name])
    assert str(tmp_path) in str(error.value)


def test_clashing_names_are_made_unique_and_told(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        _save(tmp_path / folder / "a.png", RGB)
    _save(tmp_path / "x" / "A.bmp", RGB)
    sources = list(open_sources([tmp_path / "x", tmp_path / "y"]))
    assert [s.name for s in sources] == ["A_bmp", "x_a", "y_a"]
    assert "filed as x_a" in sources[1].read().warnings[0]
    assert sources[1].read().name == "x_a"


def test_an_input_named_twice_is_taken_once(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", RGB)
    sources = open_sources([path, tmp_path])
    assert [s.name for s in sources] == ["a"]
    assert "named twice" in sources.notes[0]


def test_frames_without_a_number_cannot_be_asked_for_by_numbers(tmp_path: Path) -> None:
    _save(tmp_path / "A0003.png", RGB)
    _save(tmp_path / "title.png", RGB)
    with pytest.raises(InputError, match="title: --frames"):
        open_sources([tmp_path], (1, 3))


@pytest.mark.parametrize("pattern", ["c01_####_v2.png", "c01_%04d_v2.png", "c01_[0001-0012]_v2.png"])
def test_the_number_is_where_the_pattern_says(tmp_path: Path, pattern: str) -> None:
    for number in (1, 2, 12):
        _save(tmp_path / f"c01_{number:04d}_v2.png", RGB)
    found = open_sources([tmp_path / pattern], (2, 12))
    there = [source for source in found if source.path.exists()]
    assert [(source.name, source.read().number) for source in there] == [
        ("c01_0002_v2", 2),
        ("c01_0012_v2", 12),
    ]
    assert [s.name for s in open_sources([tmp_path], (2, 2))] == [f"c01_{n:04d}_v2" for n in (1, 2, 12)]


def test_frames_that_are_filed_under_longer_names_keep_their_numbers(tmp_path: Path) -> None:
    for name in ("A0002.png", "A0003.png", "A0003.bmp"):
        _save(tmp_path / name, RGB)
    assert [s.name for s in open_sources([tmp_path], (3, 3))] == ["A0003_bmp", "A0003_png"]


def test_tiff_plugin_is_not_reconfigured() -> None:
    """Reading must not change Pillow for the program around it."""
    assert Image.MAX_IMAGE_PIXELS == (1024 * 1024 * 1024 // 4 // 3)
    assert TiffImagePlugin.READ_LIBTIFF is False
