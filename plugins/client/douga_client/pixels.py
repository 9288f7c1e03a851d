"""Pixels of the host -> planes on the wire, and back; in steps, so that a large image holds nobody up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from . import png
from .address import Address
from .contract import Chunk, ImageHeader, PixelEncoding, PixelLayout
from .errors import ClientError, Kind
from .image import CHANNELS, Pixels

_LAYOUTS = {PixelLayout[name].value for name in CHANNELS}
_ZSTD_MOST_BYTES = 64 << 20  # it is packed in one go: about 40 ms


@dataclass(frozen=True)
class Packed:
    """A plane ready to go."""

    header: ImageHeader
    data: bytes | memoryview = field(repr=False)

    def chunks(self, plane: int, most: int) -> Iterator[Chunk]:
        """The plane in pieces of at most `most` bytes."""
        view = memoryview(self.data)
        for start in range(0, len(view), most):
            yield Chunk(plane, bytes(view[start : start + most]))


def chosen_encoding(packing: str, address: Address) -> PixelEncoding:
    """How to pack, and so how the answer comes. packing: see `settings.PACKINGS`.

    "auto" is raw within this machine; beyond it zstd where it is at hand, else raw too: 12 MB a 1080p frame
    take 0.1 s by gigabit, less than PNG in plain Python, which is for slower lines.
    """
    if packing in ("auto", "zstd") and not (packing == "auto" and address.is_local) and _zstd() is not None:
        return PixelEncoding.ZSTD
    return PixelEncoding.PNG if packing == "png" else PixelEncoding.RAW


def pack(pixels: Pixels, encoding: PixelEncoding) -> Generator[None, None, Packed]:
    """Pixels -> plane. BGRA8 becomes RGBA8 in a PNG."""
    layout, view = PixelLayout[pixels.layout], memoryview(pixels.data).cast("B")
    if encoding is PixelEncoding.ZSTD and len(view) > _ZSTD_MOST_BYTES:
        encoding = PixelEncoding.PNG
    data: bytes | memoryview = view
    if encoding is PixelEncoding.PNG:
        if layout is PixelLayout.BGRA8:
            view, layout = memoryview((yield from _red_first(view))), PixelLayout.RGBA8
        data = yield from png.packed(view, pixels.width, pixels.height, pixels.channels)
    elif encoding is PixelEncoding.ZSTD:
        codec = _zstd()
        if codec is None:
            raise RuntimeError("no zstd here")  # a bug of ours: chosen_encoding looks
        data = codec[0](bytes(view))
    return Packed(ImageHeader(pixels.width, pixels.height, layout, encoding, len(data)), data)


def unpack(header: ImageHeader, data: bytearray) -> Generator[None, None, bytes | bytearray]:
    """Plane -> pixels. Raises ClientError where the bytes are not what the header says."""
    expected = raw_bytes(header)
    pixels: bytes | bytearray = data
    if header.encoding == PixelEncoding.PNG:
        pixels = yield from png.unpacked(
            data, header.width, header.height, CHANNELS[PixelLayout(header.layout).name]
        )
    elif header.encoding != PixelEncoding.RAW:
        codec = _zstd()
        if codec is None:
            raise ClientError(Kind.OTHER_VERSION, said="it answers in zstd, which was not asked for")
        pixels = codec[1](data, expected)
    if len(pixels) != expected:
        raise ClientError(Kind.OTHER_VERSION, said=f"{len(pixels)} bytes came for a plane of {expected}")
    return pixels


def raw_bytes(header: ImageHeader) -> int:
    """Bytes of a plane's pixels. Raises ClientError for a layout that is not known."""
    if header.layout not in _LAYOUTS:
        raise ClientError(Kind.OTHER_VERSION, said=f"a pixel layout {header.layout} that is not known here")
    return header.width * header.height * CHANNELS[PixelLayout(header.layout).name]


def most_encoded_bytes(header: ImageHeader) -> int:
    """What a plane takes at most, however it is packed."""
    return raw_bytes(header) * 65 // 64 + header.height * 2 + (1 << 16)


def _red_first(view: memoryview) -> Generator[None, None, bytearray]:
    out, step = bytearray(view), 1 << 20
    for start in range(0, len(out), step):
        piece = out[start : start + step]
        piece[0::4], piece[2::4] = piece[2::4], piece[0::4]
        out[start : start + step] = piece
        yield
    return out


_Codec = tuple[Callable[[bytes], bytes], Callable[[bytearray, int], bytes]]


def _zstd() -> _Codec | None:
    """Pack and unpack by whichever zstd is at hand: Python's own from 3.14 on, or an installed one."""
    return _python_zstd() if sys.version_info >= (3, 14) else _installed_zstd()


def _python_zstd() -> _Codec | None:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None

    def unpacked(data: bytearray, size: int) -> bytes:
        try:
            unpacker = zstd.ZstdDecompressor()
            pixels: bytes = unpacker.decompress(bytes(data), size + 1)
            return pixels
        except zstd.ZstdError as exc:
            raise ClientError(Kind.OTHER_VERSION, said=str(exc)) from exc

    return lambda data: zstd.compress(data, 1), unpacked


def _installed_zstd() -> _Codec | None:
    try:
        import zstandard
    except ImportError:
        return None

    def unpacked(data: bytearray, size: int) -> bytes:
        try:
            if (
                zstandard.frame_content_size(bytes(data[:32])) != size
            ):  # it would unpack as much as is claimed
                raise ClientError(Kind.OTHER_VERSION, said="a plane of another size than announced")
            return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(
                bytes(data), max_output_size=size
            )
        except zstandard.ZstdError as exc:
            raise ClientError(Kind.OTHER_VERSION, said=str(exc)) from exc

    return zstandard.ZstdCompressor(level=1).compress, unpacked
