"""What an image file says about itself, checked before a decoder is let near it."""

from __future__ import annotations

import struct
from pathlib import Path

from douga.errors import InputError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tga", ".tif", ".tiff", ".webp", ".bmp"})
MAX_SIDE_PX = 16384
MAX_PIXELS = 200_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_DEFLATE_RATIO = 1032  # deflate cannot pack tighter, so a smaller file cannot hold the image that it declares


def kind_of(data: bytes, path: Path) -> str:
    """The file's kind by its first bytes: PNG, JPEG, BMP, TIFF, WEBP or (by its name, it has no mark) TGA.

    Raises InputError where it is none of these.
    """
    if not data:
        raise InputError(f"{path}: the file is empty (0 bytes); export or copy it again")
    marks = ((_PNG, "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"))
    for mark, kind in marks:
        if data.startswith(mark):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        raise InputError(f"{path}: GIF is not read, as it may be animated; save its frames as PNG")
    if (
        path.suffix.lower() == ".tga"
        and len(data) > 18
        and data[1] in (0, 1)
        and data[2] in (1, 2, 3, 9, 10, 11)
    ):
        return "TGA"
    raise InputError(
        f"{path}: its content is no image that Douga reads; expected PNG, JPEG, TGA, TIFF, WebP or BMP"
    )


def check_size(size_wh: tuple[int, int], path: Path) -> None:
    """Raises InputError where an image of (width, height) px is empty or larger than Douga takes."""
    width, height = size_wh
    if width < 1 or height < 1:
        raise InputError(f"{path}: its header says {width} x {height} px; an image needs at least one pixel")
    if max(size_wh) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise InputError(
            f"{path}: {width} x {height} px is too large; at most {MAX_SIDE_PX} px a side and "
            f"{MAX_PIXELS // 1_000_000} megapixels, so scale it down or cut it"
        )


def check_png(data: bytes, path: Path) -> dict[str, bytes]:
    """Walk the chunks of a PNG and return the small ones that change how it is read, by name.

    Raises InputError where it is truncated, animated, too large or lies about its lengths: decoders reserve
    what a lying length asks for.
    """
    at, packed, seen = len(_PNG), 0, {}
    while True:
        if at + 12 > len(data):
            raise InputError(f"{path}: the PNG is cut short; copy or export it again")
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if at + 12 + length > len(data):
            raise InputError(
                f"{path}: damaged or cut short: a chunk claims {length} bytes "
                f"and {len(data) - at - 12} are left; export it again"
            )
        name = kind.decode("latin-1")
        if at == len(_PNG) and (name != "IHDR" or length != 13):
            raise InputError(f"{path}: damaged PNG, it does not begin with its header; export it again")
        if name == "acTL":
            raise InputError(f"{path}: an animated PNG; save its frames as single images or as a video")
        if name == "IEND":
            break
        if name == "IDAT":
            packed += length
        elif name in ("IHDR", "gAMA", "sRGB", "iCCP", "cICP", "tRNS"):
            seen[name] = data[at + 8 : at + 8 + length]
        at += 12 + length
    _check_png_amount(seen["IHDR"], packed, path)
    return seen


def _check_png_amount(header: bytes, packed: int, path: Path) -> None:
    """Too large, or fewer packed bytes than the declared size can possibly need."""
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    check_size((width, height), path)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour)
    if channels is None or depth not in (1, 2, 4, 8, 16):
        raise InputError(f"{path}: damaged PNG header (colour type {colour}, {depth} bits); export it again")
    if (width * channels * depth // 8 + 1) * height > packed * _DEFLATE_RATIO:
        raise InputError(
            f"{path}: damaged or cut short: {packed} bytes cannot hold {width} x {height} px; export it again"
        )


def check_webp(data: bytes, path: Path) -> None:
    """Size and animation of a WebP, before its decoder reserves the canvas. Raises InputError."""
    kind = data[12:16]
    if len(data) < 30 or struct.unpack("<I", data[4:8])[0] + 8 > len(data) + 1:
        raise InputError(f"{path}: the WebP is cut short; copy or export it again")
    if kind == b"VP8X":
        if data[20] & 2:
            raise InputError(f"{path}: an animated WebP; save its frames as single images or as a video")
        size = int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = struct.unpack("<HH", data[26:30])
        size = width & 0x3FFF, height & 0x3FFF
    check_size(size, path)
