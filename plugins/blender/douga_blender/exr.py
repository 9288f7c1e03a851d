"""Multilayer OpenEXR, written in steps: scan lines, ZIP, half floats; no host and no library but numpy.

Blender's own writer has to render a scene for it and holds the screen up meanwhile. Names of channels are
"layer.R" as Blender and Nuke name them. Format: openexr.com, "OpenEXR File Layout".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROWS = 16  # in a ZIP block
_PIECE_BYTES = 1 << 19
_TYPES = {"half": (1, "<f2"), "float": (2, "<f4")}


@dataclass(frozen=True)
class Layer:
    """One layer. channels: ("R", "G", "B", "A") or ("V",). depth: "half" or "float".

    rows: first row and last row + 1, from the top -> (rows, width, channels) array, linear, premultiplied.
    """

    name: str
    channels: tuple[str, ...]
    depth: str
    rows: Callable[[int, int], Any]


def write(
    path: Path, width: int, height: int, layers: Sequence[Layer], comment: str
) -> Generator[None, None, None]:
    """Write a file in steps; `path` must be one that nobody looks for yet. Raises OSError."""
    channels = sorted(
        (f"{layer.name}.{channel}".encode(), layer, at)
        for layer in layers
        for at, channel in enumerate(layer.channels)
    )
    header = _header(width, height, [(name, layer.depth) for name, layer, _ in channels], comment)
    blocks = -(-height // _ROWS)
    offsets: list[int] = []
    with path.open("wb") as file:
        file.write(header + bytes(8 * blocks))
        for top in range(0, height, _ROWS):
            bottom = min(top + _ROWS, height)
            raw = yield from _raw(channels, layers, top, bottom)
            packed = yield from _packed(raw)
            offsets.append(file.tell())
            file.write(struct.pack("<ii", top, len(packed)) + packed)
            yield
        file.seek(len(header))
        file.write(struct.pack(f"<{blocks}Q", *offsets))


def _raw(channels: Sequence[Any], layers: Sequence[Layer], top: int, bottom: int) -> Generator:
    """Row after row, in each the channels in the order of their names."""
    import numpy

    bands = {}
    for layer in layers:
        bands[layer.name] = layer.rows(top, bottom).astype(_TYPES[layer.depth][1])
        yield
    planes = [
        numpy.ascontiguousarray(bands[layer.name][..., at]).view("u1").reshape(bottom - top, -1)
        for _, layer, at in channels
    ]
    return numpy.concatenate(planes, axis=1).reshape(-1)


def _packed(raw: Any) -> Generator[None, None, bytes]:
    """Even bytes first, then differences, then zlib, as OpenEXR wants it; raw where that is no smaller."""
    import numpy

    split = numpy.concatenate([raw[0::2], raw[1::2]])
    differences = split.copy()
    differences[1:] = split[1:] - split[:-1] + numpy.uint8(128)
    yield
    packer, out, view = zlib.compressobj(1), [], memoryview(differences)
    for start in range(0, len(view), _PIECE_BYTES):
        out.append(packer.compress(view[start : start + _PIECE_BYTES]))
        yield
    packed = b"".join([*out, packer.flush()])
    return packed if len(packed) < len(raw) else raw.tobytes()


def _header(width: int, height: int, channels: Sequence[tuple[bytes, str]], comment: str) -> bytes:
    listed = b"".join(
        name + b"\0" + struct.pack("<iB3xii", _TYPES[depth][0], 0, 1, 1) for name, depth in channels
    )
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = (
        ("channels", "chlist", listed + b"\0"),
        ("comments", "string", comment.encode()),
        ("compression", "compression", b"\x03"),
        ("dataWindow", "box2i", box),
        ("displayWindow", "box2i", box),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    )
    long_names = 0x400 if any(len(name) > 31 for name, _ in channels) else 0
    body = b"".join(
        f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value
        for name, kind, value in attributes
    )
    return struct.pack("<ii", 20000630, 2 | long_names) + body + b"\0"
