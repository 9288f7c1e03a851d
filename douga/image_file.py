"""One image file -> Frame. Whatever changes pixels on the way (depth, profile, alpha, rotation) is told."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from douga.errors import InputError, MissingInputError
from douga.image_header import check_png, check_size, check_webp, kind_of
from douga.srgb import composited_on_white, oriented, to_srgb
from douga.types import Frame

MAX_FILE_BYTES = 2 << 30
_SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "TGA": (".tga",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
}
# The plugins themselves, not Image.open: no other decoder is ever tried, and the size limit is ours alone.
_DECODERS: dict[str, Callable[..., ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "TGA": TgaImagePlugin.TgaImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
_SRGB_GAMMA = range(44000, 47001)  # gAMA holds 100000 / gamma; around 2.2 it means sRGB in practice
_READABLE_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK"})
_UNKNOWN = "unknown pixel mode"  # Pillow of channels and depths that it has no model for
_PER_PIXEL = 1  # how a TIFF lays out its channels: red, green, blue of a pixel side by side


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises MissingInputError or InputError with one sentence that names it."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: not a file; name an image, a folder of images or a video")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise InputError(f"{path}: {size} bytes is too large for an image; at most {MAX_FILE_BYTES}")
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise MissingInputError(f"{path}: there is no such file; check the name") from exc
    except PermissionError as exc:
        raise InputError(f"{path}: permission denied; make the file readable (chmod +r)") from exc
    except OSError as exc:
        raise InputError(
            f"{path}: cannot be read: {exc.strerror or exc}; check the disk and the name"
        ) from exc


def read_frame(path: Path, *, name: str | None = None) -> Frame:
    """Read one PNG, JPEG, TGA, TIFF, WebP or BMP as an sRGB frame.

    name: stem that the results are filed under; the file's own by default. Frame.warnings tells every
    conversion: 16 bits to 8, embedded profiles, alpha laid over white, rotation by EXIF, CMYK, a wrong file
    extension.
    Raises MissingInputError where there is no such file, InputError where it cannot be used: empty, cut
    short, damaged, animated, no image, too large (image_header.MAX_SIDE_PX, MAX_PIXELS) or of an unsupported
    kind.
    """
    path = Path(path)
    data = read_bytes(path)
    kind = kind_of(data, path)
    notes: list[str] = []
    if path.suffix.lower() not in _SUFFIXES[kind]:
        notes.append(
            f"the file's name ends in {path.suffix or 'nothing'} but it holds {kind}; read as {kind}"
        )
    chunks = check_png(data, path) if kind == "PNG" else {}
    if kind == "WEBP":
        check_webp(data, path)
    try:
        rgb = _decode(data, kind, chunks, path, notes)
    except InputError:
        raise
    # Decoders raise nearly everything on broken data, so all of it is translated here, at the border.
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError) as exc:
        if _UNKNOWN in str(exc):
            raise InputError(f"{path}: this kind of {kind} is not read; save it as 8 or 16-bit RGB") from exc
        raise InputError(f"{path}: damaged or cut short ({exc}); copy or export it again") from exc
    # UserWarning: Pillow warns of broken tags, and a program may have turned warnings into errors.
    except (struct.error, MemoryError, ArithmeticError, RuntimeError, UserWarning) as exc:
        raise InputError(f"{path}: its {kind} data cannot be decoded ({exc}); export it again") from exc
    return Frame(rgb, name if name is not None else path.stem, tuple(notes))


def _decode(data: bytes, kind: str, chunks: dict[str, bytes], path: Path, notes: list[str]) -> np.ndarray:
    """(H, W, 3) uint8 sRGB; appends to notes."""
    with _DECODERS[kind](BytesIO(data)) as image:
        check_size(image.size, path)
        if kind == "TIFF" and (pages := getattr(image, "n_frames", 1)) > 1:
            raise InputError(f"{path}: a TIFF of {pages} pages; save the pages as single images")
        profile = _profile(image, notes)
        _note_gamma(chunks, notes)
        orientation = _orientation(image, notes)
        if (bits := _bits(image, kind, chunks)) == 16:
            pixels = _decode_16(data, image, kind, chunks, path, notes)
            orientation_left = orientation
        else:
            if image.mode.startswith("I;16"):
                raise InputError(f"{path}: {bits} bits a channel are not read; save it with 8 or 16")
            if image.mode not in _READABLE_MODES:
                raise InputError(f"{path}: colour model {image.mode} is not read; save it as 8 or 16-bit RGB")
            image.load()
            pixels = image if image.mode != "P" else image.convert(_unindexed_mode(image))
            # Pillow itself turns TIFFs upright.
            orientation_left = 1 if kind == "TIFF" else orientation
        rgb, alpha = to_srgb(pixels, profile, notes)
        if kind == "TGA" and alpha is not None and data[17] & 15 == 0:
            notes.append("the TGA's fourth channel is not declared as alpha; ignored")
            alpha = None
    if alpha is not None:
        rgb = composited_on_white(rgb, alpha, notes)
    return np.ascontiguousarray(oriented(rgb, orientation_left))


def _unindexed_mode(image: Image.Image) -> str:
    return "RGBA" if "transparency" in image.info or (image.palette and "A" in image.palette.mode) else "RGB"


def _bits(image: Image.Image, kind: str, chunks: dict[str, bytes]) -> int:
    """Bits a channel as the file has them; Pillow would cut 16 to 8 without a word."""
    if kind == "PNG":
        return chunks["IHDR"][8]
    if kind == "TIFF":
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))  # type: ignore[attr-defined]
        return max(bits) if isinstance(bits, tuple) else int(bits)
    return 8


def _decode_16(
    data: bytes, image: Image.Image, kind: str, chunks: dict[str, bytes], path: Path, notes: list[str]
) -> Image.Image:
    """16-bit PNG or TIFF -> 8-bit image of mode L, LA, RGB or RGBA, rounded, straight alpha."""
    import cv2

    tags = image.tag_v2 if kind == "TIFF" else {}  # type: ignore[attr-defined]
    photometric = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1)
    if tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0] != 1 or photometric not in (0, 1, 2):
        raise InputError(f"{path}: this kind of 16-bit TIFF is not read; save it as 16-bit RGB or grey")
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, _PER_PIXEL) != _PER_PIXEL:
        raise InputError(
            f"{path}: a 16-bit TIFF with its channels one after the other is not read; save it "
            "interleaved, channels per pixel"
        )
    # OpenCV turns some TIFFs upright and fails on others, so the tag is taken away: our own turn follows.
    stored = _without_orientation(data) if kind == "TIFF" else data
    raw = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16 or sorted(raw.shape[:2]) != sorted(image.size):
        raise InputError(f"{path}: its 16-bit data cannot be decoded; save it as 8-bit PNG")
    notes.append("16 bits a channel reduced to 8")
    if photometric == 0:  # white is zero
        raw = 65535 - raw
    if raw.ndim == 3:
        raw = raw[..., [2, 1, 0, *range(3, raw.shape[2])]]
    if kind == "PNG" and "tRNS" in chunks and (raw.ndim == 2 or raw.shape[2] == 3):
        key = np.frombuffer(chunks["tRNS"], ">u2").astype(np.uint16)
        colour = np.atleast_3d(raw)
        opaque = (colour != key[: colour.shape[2]]).any(2, keepdims=True) * np.uint16(65535)
        raw = np.concatenate([colour, opaque], 2)
    extra = tags.get(TiffImagePlugin.EXTRASAMPLES, (2,))
    if raw.ndim == 3 and raw.shape[2] == 4 and extra[:1] == (0,):
        raw = raw[..., :3]
        notes.append("the TIFF's fourth channel is not declared as alpha; ignored")
    premultiplied = raw.ndim == 3 and raw.shape[2] == 4 and extra[:1] == (1,)
    eight = np.empty(raw.shape, np.uint8)
    for top in range(0, len(raw), 256):  # in bands, since the sums need four times the memory
        eight[top : top + 256] = _to_8_bit(raw[top : top + 256], premultiplied)
    return Image.fromarray(eight)


def _without_orientation(tiff: bytes) -> bytes:
    """The same TIFF with the orientation tag of its first page set to 1, upright."""
    order = "<" if tiff[:2] == b"II" else ">"
    out = bytearray(tiff)
    start = struct.unpack_from(order + "I", out, 4)[0]
    for i in range(struct.unpack_from(order + "H", out, start)[0]):
        entry = start + 2 + 12 * i
        if struct.unpack_from(order + "H", out, entry)[0] == ExifTags.Base.Orientation:
            struct.pack_into(order + "HIHH", out, entry + 2, 3, 1, 1, 0)
    return bytes(out)


def _to_8_bit(raw: np.ndarray, premultiplied: bool) -> np.ndarray:
    """uint16 -> uint8, rounded; premultiplied RGBA becomes straight, as everything after this is."""
    eight = ((raw.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)
    if premultiplied:
        alpha = np.maximum(raw[..., 3:].astype(np.float32), 1)
        eight[..., :3] = np.clip(raw[..., :3] / alpha * 255 + 0.5, 0, 255)
    return eight


def _profile(image: Image.Image, notes: list[str]) -> bytes | None:
    profile = image.info.get("icc_profile")
    if profile is None and "icc_profile" in image.info:
        notes.append("the embedded colour profile is broken and was ignored; colours are taken as sRGB")
    return profile


def _note_gamma(chunks: dict[str, bytes], notes: list[str]) -> None:
    """A PNG may state a gamma or a video colour space instead of a profile: told, not applied."""
    if "sRGB" in chunks or "iCCP" in chunks:
        return
    if "gAMA" in chunks and int.from_bytes(chunks["gAMA"], "big") not in _SRGB_GAMMA:
        gamma = int.from_bytes(chunks["gAMA"], "big") / 100000
        notes.append(f"the PNG's gamma of {gamma:g} was not applied; colours are taken as sRGB")
    if "cICP" in chunks and chunks["cICP"][:2] not in (b"\x01\x0d", b"\x01\x01"):
        notes.append("the PNG states a video colour space, which was not applied; colours are taken as sRGB")


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """EXIF orientation, 1 to 8, told where it turns the image."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as exc:  # Pillow parses EXIF of any origin here and raises what it meets
        notes.append(f"the EXIF data is broken and was ignored ({exc})")
        return 1
    if orientation not in range(2, 9):
        return 1
    notes.append(f"turned upright as its EXIF orientation {orientation} says")
    return int(orientation)
