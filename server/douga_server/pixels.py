"""Planes <-> bytes on the wire. They come from anybody: what they claim is checked before it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
import zstandard

from douga.errors import InputError
from douga.srgb import composited_on_white
from douga.types import U8, CelMask, Frame
from douga_server.limits import LimitError, most_bytes
from douga_server.png import checked_png
from douga_server.unzstd import unzstd

_ZSTD_LEVEL = 1  # 1080p flat cel: 3 ms, 180 kB; higher levels cost more time than the loopback gives back
_BAND_ROWS = 256


class Layout(Enum):
    """Order of the channels, 8 bits each."""

    GRAY8 = "GRAY8"
    RGB8 = "RGB8"
    RGBA8 = "RGBA8"
    BGRA8 = "BGRA8"

    @property
    def channels(self) -> int:
        """1, 3 or 4."""
        return {Layout.GRAY8: 1, Layout.RGB8: 3}.get(self, 4)


class Encoding(Enum):
    """How the bytes of a plane are packed."""

    ZSTD = "ZSTD"
    RAW = "RAW"
    PNG = "PNG"


@dataclass(frozen=True)
class PlaneHeader:
    """What a plane is. encoded_bytes: length of its packed bytes.

    Raises InputError where it contradicts itself, LimitError for more bytes than its pixels can need.
    """

    width: int
    height: int
    layout: Layout
    encoding: Encoding
    encoded_bytes: int

    def __post_init__(self) -> None:
        size = f"{self.width} x {self.height} px"
        if self.width < 1 or self.height < 1:
            raise InputError(f"a plane of {size}; an image needs at least one pixel")
        if self.encoded_bytes < 1:
            raise InputError(
                f"a plane of {size} in 0 bytes; announce encoded_bytes, the length as it is packed"
            )
        if self.encoding is Encoding.PNG and self.layout is Layout.BGRA8:
            raise InputError("a PNG cannot hold BGRA8; announce it as RGBA8, or send BGRA8 as ZSTD or RAW")
        if self.encoding is Encoding.RAW and self.encoded_bytes != self.raw_bytes:
            raise InputError(
                f"a raw plane of {size} in {self.layout.value} has {self.raw_bytes} bytes; "
                f"{self.encoded_bytes} are announced"
            )
        if self.encoded_bytes > (most := most_bytes(self.width, self.height, self.layout.channels)):
            raise LimitError(
                f"a plane of {size} in {self.encoded_bytes} bytes; it never needs more than {most}, so send "
                "the pixels alone"
            )

    @property
    def raw_bytes(self) -> int:
        """Bytes of the unpacked pixels."""
        return self.width * self.height * self.layout.channels

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) for GRAY8, else (H, W, channels)."""
        last = () if self.layout is Layout.GRAY8 else (self.layout.channels,)
        return (self.height, self.width, *last)


@dataclass(frozen=True)
class PackedPlane:
    """A plane as it travels. data: header.encoded_bytes bytes."""

    header: PlaneHeader
    data: bytes | bytearray

    def __post_init__(self) -> None:
        if len(self.data) != self.header.encoded_bytes:
            raise InputError(
                f"{len(self.data)} bytes came for a plane that was announced with {self.header.encoded_bytes}"
            )


def pack(array: U8, encoding: Encoding = Encoding.ZSTD, layout: Layout | None = None) -> PackedPlane:
    """Pixels -> plane.

    array: (H, W), (H, W, 3) or (H, W, 4) uint8, red first unless layout says BGRA8. layout: by the number of
    channels where None. Raises InputError for BGRA8 as PNG, ValueError where the array does not fit.
    """
    channels = 1 if array.ndim == 2 else array.shape[2]
    layout = layout or {1: Layout.GRAY8, 3: Layout.RGB8, 4: Layout.RGBA8}.get(channels)
    if layout is None or layout.channels != channels or array.dtype != np.uint8:
        raise ValueError(f"expected uint8 pixels of 1, 3 or 4 channels, got {array.shape} of {array.dtype}")
    height, width = array.shape[:2]
    array = np.ascontiguousarray(array)
    if encoding is Encoding.RAW:
        data = array.tobytes()
    elif encoding is Encoding.PNG:
        data = _to_png(array)
    else:
        data = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(array.data)
    return PackedPlane(PlaneHeader(width, height, layout, encoding, len(data)), data)


def unpack(plane: PackedPlane) -> U8:
    """Plane -> pixels, writable: (H, W) for GRAY8, else (H, W, channels) uint8 in the order of its layout.

    Raises InputError where the bytes are not what the header says.
    """
    return _unpack(plane, [])


def frame_from(plane: PackedPlane, name: str) -> Frame:
    """RGB8, RGBA8 or BGRA8 -> frame of that name.

    Alpha is laid over white as it is for files. Frame.warnings tells that, and what a PNG says about its
    colours that was not applied. Raises InputError for GRAY8 and for bytes that are not what the header says.
    """
    if plane.header.layout is Layout.GRAY8:
        raise InputError("the frame is announced as GRAY8; send it as RGB8, RGBA8 or BGRA8")
    notes: list[str] = []
    pixels = _unpack(plane, notes)
    if pixels.shape[2] == 4:
        is_bgra = plane.header.layout is Layout.BGRA8
        rgb: U8 = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB if is_bgra else cv2.COLOR_RGBA2RGB)
        pixels = _on_white(rgb, pixels[..., 3], notes)
    return Frame(pixels, name, tuple(notes))


def mask_from(plane: PackedPlane) -> CelMask:
    """GRAY8 of 0 and 255 -> cel mask. Raises InputError for any other value, and as `unpack` does."""
    if plane.header.layout is not Layout.GRAY8:
        raise InputError(f"the cel mask is announced as {plane.header.layout.value}; send it as GRAY8")
    return CelMask(unpack(plane))


def _unpack(plane: PackedPlane, notes: list[str]) -> U8:
    header = plane.header
    if header.encoding is Encoding.PNG:
        return _from_png(plane, notes)
    if header.encoding is Encoding.ZSTD:
        return unzstd(plane.data, header.raw_bytes).reshape(header.shape)
    # A bytearray as it is; bytes are copied, since torch warns of arrays that it could not write to.
    data = plane.data if isinstance(plane.data, bytearray) else bytearray(plane.data)
    return np.frombuffer(data, np.uint8).reshape(header.shape)


def _to_png(array: U8) -> bytes:
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(array.shape[2] if array.ndim == 3 else 1)
    flat = array if swap is None else cv2.cvtColor(array, swap)
    ok, data = cv2.imencode(".png", flat, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise InputError(f"an image of {array.shape} cannot be packed as PNG; send it as ZSTD")
    return bytes(data)


def _from_png(plane: PackedPlane, notes: list[str]) -> U8:
    header = plane.header
    stripped = checked_png(plane.data, header.width, header.height, header.layout.channels, notes)
    pixels = cv2.imdecode(np.frombuffer(stripped, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape != header.shape or pixels.dtype != np.uint8:
        raise InputError("the PNG is damaged (a checksum is wrong); export it again")
    swap = {Layout.RGB8: cv2.COLOR_BGR2RGB, Layout.RGBA8: cv2.COLOR_BGRA2RGBA}.get(header.layout)
    out: U8 = pixels if swap is None else cv2.cvtColor(pixels, swap)
    return out


def _on_white(rgb: U8, alpha: U8, notes: list[str]) -> U8:
    """`composited_on_white` in bands, since its sums need four times the memory; the pixels are the same."""
    told: list[str] = []
    for top in range(0, len(rgb), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        rgb[band] = composited_on_white(rgb[band], alpha[band], told)
    notes += told[:1]
    return rgb
