"""Messages <-> our types: what is sent is what arrives, and what cannot be used is refused in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2, palette_pb2
from douga_server import codec, codec_client
from douga_server.jobs import (
    Job,
    Options,
    Priority,
    Region,
)
from douga_server.limits import LimitError, Limits
from douga_server.pixels import Encoding
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from douga.classes import NUM_CLASSES
from douga.errors import DougaError, InputError
from douga.palettes import Palette, load_palette, preset_names
from douga.types import CelMask, Frame

LIMITS = Limits(max_pixels=10_000, max_side_px=400, max_chunk_bytes=1000)
FRAME, MASK = image_pb2.PLANE_FRAME, image_pb2.PLANE_CEL_MASK
NOISE = np.random.default_rng(3)
RGB = NOISE.integers(0, 256, (20, 30, 3), np.uint8)  # 1,800 bytes: two chunks of at most 1,000
OWN_MASK = CelMask(np.where(RGB[..., 0] > 99, np.uint8(255), np.uint8(0)))

names = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", fullmatch=True) | st.just("")
colours = st.lists(
    st.tuples(*[st.integers(0, 255)] * 3), min_size=NUM_CLASSES, max_size=3 * NUM_CLASSES, unique=True
)
palettes = colours.map(
    lambda c: Palette("スタジオ 1", tuple(tuple(c[i::NUM_CLASSES]) for i in range(NUM_CLASSES)))
)
options_drawn = st.builds(
    Options,
    cel_model=names,
    lines_model=names,
    line_width_px=st.integers(1, 15),
    palette=palettes | st.sampled_from([load_palette(name) for name in preset_names()]),
    input_mode=st.sampled_from(["", *codec.INPUT_MODES]),
    region=st.none() | st.just(Region(1, 2, 3, 4)),
    priority=st.sampled_from(Priority),
)


def read(messages: Iterator[pb.ReconstructRequest] | list[pb.ReconstructRequest]) -> Job:
    reader = codec.ReconstructReader(LIMITS)
    for message in messages:
        reader.add(pb.ReconstructRequest.FromString(message.SerializeToString()))
    return reader.job()


def sent(frame: Frame | None = None, **arguments: object) -> list[pb.ReconstructRequest]:
    arguments.setdefault("encoding", Encoding.RAW)
    arguments.setdefault("max_chunk_bytes", 1000)
    return list(codec_client.requests(frame or Frame(RGB), Options(), **arguments))  # type: ignore[arg-type]


def start(**changes: object) -> pb.ReconstructRequest:
    """A sound start of one raw frame of 30 x 20 px, with changes."""
    header = image_pb2.ImageHeader(
        width=30,
        height=20,
        layout=image_pb2.PIXEL_LAYOUT_RGB8,
        encoding=image_pb2.PIXEL_ENCODING_RAW,
        encoded_bytes=1800,
    )
    for name in [name for name in changes if name in header.DESCRIPTOR.fields_by_name]:
        setattr(header, name, changes.pop(name))
    return pb.ReconstructRequest(start=pb.ReconstructStart(frame=header, **changes))  # type: ignore[arg-type]


def with_options(**options: object) -> pb.ReconstructRequest:
    return start(options=pb.ReconstructOptions(**options))  # type: ignore[arg-type]


def chunk(plane: int = FRAME, data: bytes = b"abc") -> pb.ReconstructRequest:
    return pb.ReconstructRequest(chunk=image_pb2.Chunk(plane=plane, data=data))  # type: ignore[arg-type]


# A frame to the server


@given(options=options_drawn, call_id=names, data=st.data(), encoding=st.sampled_from(Encoding))
def test_what_a_client_sends_is_what_the_server_reads(
    options: Options, call_id: str, data: st.DataObject, encoding: Encoding
) -> None:
    size = data.draw(st.tuples(st.integers(6, 12), st.integers(4, 12)))
    rgb = data.draw(arrays(np.uint8, (*size, 3)))
    own_mask = data.draw(st.none() | st.just(CelMask(np.where(rgb[..., 0] > 99, np.uint8(255), np.uint8(0)))))
    job = read(
        codec_client.requests(
            Frame(rgb), options, own_mask=own_mask, call_id=call_id, encoding=encoding, max_chunk_bytes=7
        )
    )
    assert job.options == options
    assert job.call_id == call_id or (not call_id and re.fullmatch("[0-9a-f]{16}", job.call_id))
    assert job.frame.name == job.call_id
    assert job.frame.warnings == ()
    np.testing.assert_array_equal(job.frame.rgb, rgb)
    assert (job.own_mask is None) == (own_mask is None)
    if own_mask is not None and job.own_mask is not None:
        np.testing.assert_array_equal(job.own_mask.mask, own_mask.mask)


def test_what_is_left_out_has_the_default() -> None:
    assert codec.options_from(pb.ReconstructOptions()) == Options()
    assert codec.options_from(pb.ReconstructOptions(), usual=Priority.BATCH).priority is Priority.BATCH
    assert len({codec.call_id_from("") for _ in range(99)}) == 99


def test_chunks_are_never_longer_than_asked_for() -> None:
    sizes = [len(m.chunk.data) for m in sent(max_chunk_bytes=999) if m.HasField("chunk")]
    assert sizes == [999, 801]


def test_a_reader_tells_where_it_stands() -> None:
    reader = codec.ReconstructReader(LIMITS)
    first, *middle, last = sent(own_mask=OWN_MASK)
    assert not reader.started
    reader.add(first)
    assert reader.started
    assert (reader.encoding, reader.options) == (Encoding.RAW, Options())
    for message in middle:
        reader.add(message)
        assert not reader.complete
    reader.add(last)
    assert reader.complete


def test_an_unspecified_encoding_is_zstandard() -> None:
    messages = sent(encoding=Encoding.ZSTD)
    messages[0].start.frame.encoding = image_pb2.PIXEL_ENCODING_UNSPECIFIED
    np.testing.assert_array_equal(read(messages).frame.rgb, RGB)


BAD_NAMES = ["../weights", "a/b", "a\\b", "..", ".hidden", "a b", "a\n", "ä", "\0", "x" * 65, "%2e%2e", "C:"]


@pytest.mark.parametrize("field", ["cel_model", "lines_model", "call_id"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_no_names_are_refused(field: str, name: str) -> None:
    bad = start(call_id=name) if field == "call_id" else with_options(**{field: name})
    with pytest.raises(InputError, match=rf"^{field} '.*expected at most 64 letters, digits") as caught:
        read([bad])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["/etc/passwd", "../kugler.toml", "kugler.toml", "", "nothing", "x" * 99999])
def test_a_palette_by_name_is_a_preset_and_never_a_file(name: str) -> None:
    with pytest.raises(
        InputError, match="no such preset; send its colours, or one of kugler, retas"
    ) as caught:
        read([with_options(palette=palette_pb2.Palette(name=name))])
    assert len(str(caught.value)) < 300


def palette_with(index: int = 3, name: str = "mine", **changes: object) -> palette_pb2.Palette:
    entries = [palette_pb2.PaletteEntry(class_id=i, colors=[i]) for i in range(NUM_CLASSES)]
    for field, value in changes.items():
        if isinstance(value, list):
            entries[index].ClearField("colors")
            entries[index].colors.extend(value)
        else:
            setattr(entries[index], field, value)
    return palette_pb2.Palette(name=name, entries=entries)


@pytest.mark.parametrize(
    ("palette", "message"),
    [
        (palette_with(class_id=4), "one entry for each class id 0 to 9"),
        (palette_with(class_id=10), "one entry for each class id 0 to 9"),
        (palette_with(colors=[]), "color_edge has 0 colours; give 1 to 64"),
        (palette_with(colors=list(range(100, 200))), "color_edge has 100 colours"),
        (palette_with(colors=[1 << 24]), "0x1000000 is no colour; write 0xRRGGBB"),
        (palette_with(colors=[7]), "stands under both"),
        (palette_with(key="visible_line"), "class 3 is color_edge, not 'visible_line'"),
        (palette_with(name=""), "printable letters without slashes"),
        (palette_with(name="../mine"), "printable letters without slashes"),
        (palette_with(name="a\nb"), "printable letters without slashes"),
        (palette_with(name="x" * 65), "printable letters without slashes"),
    ],
)
def test_a_palette_that_makes_no_sense_is_refused(palette: palette_pb2.Palette, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read([with_options(palette=palette)])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (with_options(line_width_px=16), "expected a width from 1 to 15 px"),
        (with_options(deadline_class=9), "unknown deadline_class 9"),
        (with_options(input_mode="colour"), "unknown input_mode 'colour'.*synthetic_cel"),
        (with_options(region=image_pb2.Region()), "does not lie within the frame of 30 x 20 px"),
        (with_options(region=image_pb2.Region(x=29, width=2, height=2)), "does not lie within"),
        (
            with_options(region=image_pb2.Region(x=2**32 - 1, width=2**32 - 1, height=1)),
            "does not lie within",
        ),
        (start(layout=0), r"the frame: unknown layout 0; expected 1 \(GRAY8\)"),
        (start(layout=77), "the frame: unknown layout 77"),
        (start(encoding=77), "the frame: unknown encoding 77; expected 0"),
        (start(width=0), "at least one pixel"),
        (start(height=0), "at least one pixel"),
        (start(encoded_bytes=0), "announce encoded_bytes"),
        (start(encoded_bytes=1799), "has 1800 bytes; 1799 are announced"),
        (
            start(
                cel_mask=image_pb2.ImageHeader(
                    width=3, height=2, layout=image_pb2.PIXEL_LAYOUT_GRAY8, encoded_bytes=6
                )
            ),
            "3 x 2 px, the",
        ),
        (pb.ReconstructRequest(start=pb.ReconstructStart()), "no frame is announced"),
        (pb.ReconstructRequest(), "neither start nor chunk"),
        (chunk(), "a chunk came before start"),
    ],
)
def test_a_start_that_cannot_be_used_is_refused(request_: pb.ReconstructRequest, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read([request_])


@pytest.mark.parametrize("size", [(401, 1), (101, 100), (2**32 - 1, 2**32 - 1)])
def test_too_large_a_frame_or_mask_is_a_matter_of_limits(size: tuple[int, int]) -> None:
    with pytest.raises(LimitError, match=r"^the frame is announced as"):
        read([start(width=size[0], height=size[1])])
    mask = image_pb2.ImageHeader(
        width=size[0], height=size[1], layout=image_pb2.PIXEL_LAYOUT_GRAY8, encoded_bytes=6
    )
    with pytest.raises(LimitError, match=r"^the cel mask is announced as"):
        read([start(cel_mask=mask)])


def test_too_many_announced_bytes_are_a_matter_of_limits() -> None:
    with pytest.raises(LimitError, match="never needs more than"):
        read([start(encoding=image_pb2.PIXEL_ENCODING_PNG, encoded_bytes=2**63)])


A, B = chunk(data=bytes(1000)), chunk(data=bytes(800))
MASKED = sent(own_mask=OWN_MASK)[0]
M = chunk(MASK, bytes(600))


@pytest.mark.parametrize(
    ("messages", "error", "message"),
    [
        ([], InputError, "ended without a start"),
        ([start()], InputError, "ended while the frame had 0 of its 1800 bytes"),
        ([start(), A], InputError, "ended while the frame had 1000 of its 1800 bytes"),
        ([start(), start()], InputError, "a second start came"),
        ([start(), A, start()], InputError, "a second start came"),
        (
            [start(), A, A],
            InputError,
            "a chunk of 1000 bytes came while the frame had 1000 of its 1800 bytes",
        ),
        ([start(), A, B, chunk()], InputError, "after everything that was announced"),
        ([start(), A, B, chunk(data=b"")], InputError, "after everything that was announced"),
        ([start(), chunk(data=b"")], InputError, "an empty chunk"),
        ([start(), chunk(0)], InputError, "a chunk of the unknown plane 0 came while the frame had 0"),
        ([start(), chunk(99)], InputError, "a chunk of the unknown plane 99"),
        ([start(), chunk(MASK)], InputError, "a chunk of the cel mask came while the frame had 0"),
        ([start(), A, pb.ReconstructRequest()], InputError, "neither start nor chunk"),
        ([start(), chunk(data=bytes(1001))], LimitError, "a chunk of 1001 bytes; at most 1000"),
        ([MASKED, M], InputError, "a chunk of the cel mask came while the frame"),
        ([MASKED, A, M], InputError, "a chunk of the cel mask came while the frame had 1000"),
        ([MASKED, A, B], InputError, "ended while the cel mask had 0 of its 600 bytes"),
        ([MASKED, A, B, A], InputError, "a chunk of the frame came while the cel mask had 0"),
        ([MASKED, A, B, chunk(MASK, b"\1" * 600)], InputError, "expected only 0 and 255"),
    ],
)
def test_messages_out_of_order_are_refused(
    messages: list[pb.ReconstructRequest], error: type[DougaError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(messages)


def test_an_announcement_takes_no_memory() -> None:
    before = psutil.Process().memory_info().rss
    readers = [codec.ReconstructReader() for _ in range(16)]
    for reader in readers:
        reader.add(start(width=8192, height=8192, encoded_bytes=8192 * 8192 * 3))
        reader.add(chunk())
    assert psutil.Process().memory_info().rss - before < 64 << 20


# A sequence to the server


def sequence(numbers: list[int]) -> list[pb.ReconstructSequenceRequest]:
    messages = [codec_client.sequence_start(Options(line_width_px=5, priority=Priority.BATCH), "shot-7")]
    for number in numbers:
        frame = Frame(np.full((20, 30, 3), number, np.uint8))
        mask = OWN_MASK if number % 2 else None
        messages += codec_client.sequence_requests(
            number, frame, own_mask=mask, encoding=Encoding.RAW, max_chunk_bytes=1000
        )
    return messages


def read_sequence(messages: list[pb.ReconstructSequenceRequest]) -> list[codec.SequenceFrame]:
    reader = codec.SequenceReader(LIMITS)
    frames = [frame for message in messages if (frame := reader.add(message)) is not None]
    reader.finish()
    return frames


def test_the_frames_of_a_sequence_arrive_one_by_one() -> None:
    frames = read_sequence(sequence([0, 3, 8]))
    assert [frame.number for frame in frames] == [0, 3, 8]
    jobs = [frame.job() for frame in frames]
    assert [job.call_id for job in jobs] == ["shot-7-0", "shot-7-3", "shot-7-8"]
    assert [job.frame.rgb.max() for job in jobs] == [0, 3, 8]
    assert [job.own_mask is not None for job in jobs] == [False, True, False]
    assert all(job.options.line_width_px == 5 for job in jobs)


def test_a_sequence_is_batch_unless_it_says_otherwise() -> None:
    for given_, meant in ((0, Priority.BATCH), (1, Priority.INTERACTIVE), (2, Priority.BATCH)):
        reader = codec.SequenceReader(LIMITS)
        options = pb.ReconstructOptions(deadline_class=given_)  # type: ignore[arg-type]
        reader.add(pb.ReconstructSequenceRequest(start=pb.SequenceStart(options=options)))
        assert reader.options.priority is meant


def test_a_spoilt_frame_of_a_sequence_spoils_no_other() -> None:
    messages = sequence([2, 3])
    messages[1].frame.frame.encoding = image_pb2.PIXEL_ENCODING_ZSTD  # its bytes are raw
    bad, good = read_sequence(messages)
    with pytest.raises(InputError, match="announced as ZSTD but is none"):
        bad.job()
    assert good.job().frame.rgb.max() == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: [], "ended without a start"),
        (lambda m: m[1:], "a frame came before start"),
        (lambda m: m[2:], "a chunk came before start"),
        (lambda m: [m[0], *m], "a second start came"),
        (lambda m: [*m, m[0]], "a second start came"),
        (lambda m: [m[0], m[2]], "belongs to no frame; announce its frame first"),
        (lambda m: [*m[:4], m[2]], "belongs to no frame"),
        (lambda m: m[:3], "ended while the frame had 1000 of its 1800"),
        (lambda m: [*m[:3], *m[4:]], "ended while the frame had 1000 of its 1800"),
        (lambda m: [m[0], *m[4:], *m[1:4]], "frame 2 came after frame 4; give rising numbers"),
        (lambda m: [*m[:4], *m[1:4]], "frame 2 came after frame 2"),
        (lambda m: [*m, pb.ReconstructSequenceRequest()], "neither start, frame nor chunk"),
    ],
)
def test_a_sequence_out_of_order_is_refused(
    change: Callable[[list[pb.ReconstructSequenceRequest]], list[pb.ReconstructSequenceRequest]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_sequence(change(sequence([2, 4])))
