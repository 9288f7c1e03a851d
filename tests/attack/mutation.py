"""What the fuzzers share: seeds, targets, and mutations that know where they cut.

A target takes any bytes. Whatever it raises beside a DougaError is a finding, and so is an input that takes
long or much memory.
"""

from __future__ import annotations

import random
import resource
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import zstandard
from douga_proto.v1 import douga_pb2 as pb
from douga_server.codec import ReconstructReader, SequenceReader
from douga_server.codec_client import requests, sequence_requests, sequence_start
from douga_server.jobs import Job, Options, Priority, Region
from douga_server.limits import Limits
from douga_server.pixels import Encoding, Layout, PackedPlane, PlaneHeader, frame_from, mask_from, pack
from google.protobuf.message import DecodeError

from douga.errors import DougaError
from douga.palettes import load_palette
from douga.types import CelMask, Frame

LIMITS = Limits(max_pixels=1 << 18, max_side_px=4096, max_chunk_bytes=1 << 16)
MAX_S = 1.0
MAX_GROWTH_BYTES = 64 << 20
_LAYOUTS, _ENCODINGS = list(Layout), list(Encoding)
_PLANE_HEAD = struct.Struct("<BBHHB")  # layout, encoding, width, height, how the body is made
_PIXELS = np.random.default_rng(6).integers(0, 256, (6, 9, 4), np.uint8)
_MASK = np.where(_PIXELS[..., 0] > 99, np.uint8(255), np.uint8(0))
_PNG_KINDS = (b"IHDR", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fdAT", b"iCCP", b"gAMA", b"eXIf", b"zTXt")


class Slow(Exception):
    """An input took longer than MAX_S."""


class Greedy(Exception):
    """An input took more memory than MAX_GROWTH_BYTES."""


def watched(target: Callable[[bytes], bool], data: bytes) -> bool:
    """Whether a target took an input, by itself. Raises Slow, Greedy, and whatever is no DougaError."""
    before, begun_s = _peak_bytes(), time.process_time()
    taken = target(data)
    if (seconds := time.process_time() - begun_s) > MAX_S:
        raise Slow(f"{seconds:.1f} s")
    if (grown := _peak_bytes() - before) > MAX_GROWTH_BYTES:
        raise Greedy(f"{grown >> 20} MiB")
    return taken


def _peak_bytes() -> int:
    """Of this process. What getrusage says of it on Linux goes on from the process that started it."""
    try:
        with open("/proc/self/status", "rb") as file:
            status = file.read()
        return int(status.partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024
    except OSError:  # another system
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# Messages: the first byte is the call, then each message behind its length


def joined(is_sequence: bool, messages: Iterable[bytes]) -> bytes:
    """The messages of a call as one input."""
    return bytes([is_sequence]) + b"".join(struct.pack("<H", len(each)) + each for each in messages)


def parted(data: bytes) -> tuple[bool, list[bytes]]:
    """The other way; a length beyond the end takes what is there."""
    at, out = 1, []
    while at + 2 <= len(data):
        (size,) = struct.unpack_from("<H", data, at)
        out.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return bool(data[:1] and data[0] & 1), out


def read_messages(data: bytes) -> bool:
    """A call's messages -> its jobs."""
    is_sequence, messages = parted(data)
    try:
        for job in _sequence_jobs(messages) if is_sequence else [_job(messages)]:
            _check(job)
    except (DougaError, DecodeError):  # the front makes an InputError of the second
        return False
    return True


def _job(messages: list[bytes]) -> Job:
    reader = ReconstructReader(LIMITS)
    for message in messages:
        reader.add(pb.ReconstructRequest.FromString(message))
    return reader.job()


def _sequence_jobs(messages: list[bytes]) -> list[Job]:
    reader = SequenceReader(LIMITS)
    frames = [reader.add(pb.ReconstructSequenceRequest.FromString(message)) for message in messages]
    reader.finish()
    return [frame.job() for frame in frames if frame is not None]


def _check(job: Job) -> None:
    """What came through is what the rest of the server takes for granted."""
    height, width = job.frame.size_hw
    if not (job.frame.rgb.shape == (height, width, 3) and job.frame.rgb.dtype == np.uint8):
        raise AssertionError("a frame of a strange shape")
    if job.own_mask is not None and not set(np.unique(job.own_mask.mask)) <= {0, 255}:
        raise AssertionError("a mask of strange values")
    name = job.call_id
    if len(name) > 90 or not name.isascii() or not name.isprintable() or "/" in name or name[0] == ".":
        raise AssertionError(f"a name that is none: {name!r}")


# Planes: a header of 7 bytes, then the body


def read_plane(data: bytes) -> bool:
    """A plane -> its pixels, as a frame or as a mask."""
    if len(data) < _PLANE_HEAD.size:
        return False
    layout, encoding, width, height, made = _PLANE_HEAD.unpack_from(data)
    body = data[_PLANE_HEAD.size :]
    try:
        body = _made(body, width, height, made)
        header = PlaneHeader(width, height, _LAYOUTS[layout % 4], _ENCODINGS[encoding % 3], max(1, len(body)))
        LIMITS.check_size(width, height, "the frame")
        plane = PackedPlane(header, body)
        if made & 128:
            mask_from(plane)
        else:
            _check(Job("a", frame_from(plane, "a"), Options()))
    except DougaError:
        return False
    return True


def _made(body: bytes, width: int, height: int, made: int) -> bytes:
    """A body as it is, or one whose outside is sound, so that mutations get to what lies within.

    By made & 7: 1 the rows of a PNG; 2 a PNG's pixels as they are packed; 3 any chunks of a PNG, with lengths
    and checksums; 4 the content of a sound Zstandard frame; 5 the blocks of one; others as it is.
    """
    kind = made & 7
    if kind in (1, 2):
        head = struct.pack(">IIBBBBB", width, height, 8, (0, 2, 6, 2)[made >> 3 & 3], 0, 0, 0)
        packed = zlib.compress(body, 1) if kind == 1 else body
        return _png((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    if kind == 3:
        return _png(*_chunks_in(body))
    if kind == 4:
        return zstandard.ZstdCompressor(level=1).compress(body)
    if kind == 5:
        size = width * height * (1, 3, 4, 4)[made >> 3 & 3]
        return struct.pack("<IBQ", 0xFD2FB528, 0xE0, size) + body
    return body


def _chunks_in(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Chunks of a PNG from any bytes: the kind's number, the length, the content."""
    at = 0
    while at + 2 <= len(body):
        kind, size = body[at], body[at + 1]
        yield _PNG_KINDS[kind % len(_PNG_KINDS)], body[at + 2 : at + 2 + size]
        at += 2 + size


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


TARGETS: dict[str, Callable[[bytes], bool]] = {"messages": read_messages, "planes": read_plane}


# Seeds: sound inputs


def seeds(target: str) -> list[bytes]:
    """Sound inputs, each of its own kind."""
    return _message_seeds() if target == "messages" else _plane_seeds()


def message_lists(call_id: str = "shot-1") -> list[tuple[bool, list[bytes]]]:
    """Sound calls, whether they are sequences, and their messages. call_id: of them all; empty where they are
    made at once."""
    frame, mask = Frame(_PIXELS[..., :3].copy()), CelMask(_MASK)
    retas = Options("cel-small", "lines-small", 5, load_palette("retas"), "color", Region(1, 2, 3, 4))
    plain = Options(priority=Priority.BATCH)
    calls: list[tuple[bool, list[bytes]]] = []
    for encoding in Encoding:
        for options, own_mask in ((plain, None), (retas, mask)):
            one = requests(
                frame, options, own_mask=own_mask, call_id=call_id, encoding=encoding, max_chunk_bytes=100
            )
            calls.append((False, [each.SerializeToString() for each in one]))
            many = [sequence_start(options, call_id)]
            for number in (0, 7):
                many += sequence_requests(
                    number, frame, own_mask=own_mask, encoding=encoding, max_chunk_bytes=200
                )
            calls.append((True, [each.SerializeToString() for each in many]))
    return calls


def _message_seeds() -> list[bytes]:
    return [joined(*call) for call in message_lists()]


def _plane_seeds() -> list[bytes]:
    out = []
    for number, layout in enumerate(_LAYOUTS):
        is_mask = layout is Layout.GRAY8
        pixels = _MASK if is_mask else np.ascontiguousarray(_PIXELS[..., : layout.channels])
        rows = b"".join(b"\0" + row.tobytes() for row in pixels)
        bodies = [(number, 1, 0, pixels.tobytes()), (number, 0, 4, pixels.tobytes())]
        bodies.append((number, 0, 0, bytes(pack(pixels, Encoding.ZSTD, layout).data)))
        block = len(pixels.tobytes()) << 3 | 1
        bodies.append((number, 0, 5 | number << 3, block.to_bytes(3, "little") + pixels.tobytes()))
        if layout is not Layout.BGRA8:
            bodies.append((number, 2, 0, bytes(pack(pixels, Encoding.PNG, layout).data)))
            bodies += [(number, 2, 1 | number << 3, rows), (number, 2, 2 | number << 3, zlib.compress(rows))]
            head, packed = struct.pack(">IIBBBBB", 9, 6, 8, (0, 2, 6)[number], 0, 0, 0), zlib.compress(rows)
            parts = ((0, head), (7, bytes(4)), (1, packed[:50]), (1, packed[50:]), (2, b""))
            bodies.append((number, 2, 3, b"".join(bytes([k, len(p)]) + p for k, p in parts)))
        for a, b, made, body in bodies:
            out.append(_PLANE_HEAD.pack(a, b, 9, 6, made | 128 * is_mask) + body)
    return out


# Mutations


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one to four changes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(7):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(out):
                out[at] = rng.choice((0, 1, 127, 128, 254, 255))
            case 2:
                out[at:at] = rng.randbytes(rng.randint(1, 9))
            case 3:
                del out[at : at + rng.randint(1, 9)]
            case 4:
                out[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice((0, 1, 2**31, 2**32 - 1)))
            case 5:
                source = rng.randrange(len(out) + 1)
                out[at:at] = out[source : source + rng.randint(1, 40)]
            case _:
                out[at:] = b"" if rng.random() < 0.1 else out[at:]
    return bytes(out)


def mutated_call(messages: list[bytes], rng: random.Random) -> list[bytes]:
    """The messages of a call, some of them changed, lost, doubled or moved."""
    out = list(messages)
    for _ in range(rng.randint(1, 3)):
        if not out:
            break
        at = rng.randrange(len(out))
        match rng.randrange(6):
            case 0:
                del out[at]
            case 1:
                out.insert(rng.randrange(len(out) + 1), out[at])
            case 2:
                out.append(out.pop(at))
            case _:
                out[at] = mutated(out[at], rng)
    return out
