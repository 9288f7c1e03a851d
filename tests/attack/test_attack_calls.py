"""Whole calls that lie, or are out of order: refused in words, without memory, and the next one succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2
from douga_server.codec_client import sequence_requests, sequence_start
from douga_server.jobs import Options
from douga_server.pixels import Encoding
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hostile import ANSWERED_S, MIB, REFUSALS, SERVING, Outcome, Target, attacked, frame, sound

from douga.types import Frame

Code = grpc.StatusCode
HEALTH, REFLECTION = "/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/"
FRAME, MASK = image_pb2.PLANE_FRAME, image_pb2.PLANE_CEL_MASK
Request = pb.ReconstructRequest


@pytest.fixture(scope="module", params=list(SERVING))
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Each attack is made on a Unix socket, and on a port with TLS and a token."""
    with SERVING[request.param](tmp_path_factory.mktemp(request.param)) as server:
        yield server


def refused(target: Target, messages: Any, method: str = "Reconstruct") -> Outcome:
    """Play an attack; how it was refused."""
    with attacked(target):
        outcome = target.call(_bytes(messages), method)
        assert outcome.code in REFUSALS, outcome
        assert outcome.seconds < ANSWERED_S
        assert outcome.details.isprintable()
        assert len(outcome.details) < 1000
    return outcome


def _bytes(messages: Any) -> Iterator[bytes]:
    for message in messages:
        yield message if isinstance(message, bytes) else message.SerializeToString()


def chunk(data: bytes = b"abc", plane: int = FRAME) -> Request:
    return Request(chunk=image_pb2.Chunk(plane=plane, data=data))  # type: ignore[arg-type]


def start(**changes: object) -> Request:
    """The start of a sound frame, whose announcement is changed."""
    message = sound()[0]
    for name, value in changes.items():
        setattr(message.start.frame, name, value)
    return message


def raw(width: int, height: int, encoded_bytes: int) -> Request:
    return start(width=width, height=height, encoding=2, encoded_bytes=encoded_bytes)


LARGEST = 2**32 - 1
SIZES = {
    "nothing wide": start(width=0),
    "nothing high": start(height=0),
    "nothing at all": start(width=0, height=0, encoded_bytes=0),
    "as wide as can be said": start(width=LARGEST),
    "as large as can be said": start(width=LARGEST, height=LARGEST, encoded_bytes=2**64 - 1),
    "a product of 2**32": start(width=65536, height=65536),
    "a product of 2**64 and nothing": raw(LARGEST, LARGEST, 1),
    "a line of a billion": start(width=1_000_000_000, height=1),
    "the largest square, and a byte of it": start(width=16384, height=16384),
    "more bytes than there are": start(encoded_bytes=2**63),
    "no bytes": start(encoded_bytes=0),
    "raw of another size": raw(32, 24, 32 * 24 * 3 - 1),
    "a mask as large as can be said": Request(
        start=pb.ReconstructStart(
            frame=sound()[0].start.frame,
            cel_mask=image_pb2.ImageHeader(width=LARGEST, height=LARGEST, layout=1, encoded_bytes=9),  # type: ignore[arg-type]
        )
    ),
}


@pytest.mark.parametrize("case", SIZES)
def test_sizes_that_lie(target: Target, case: str) -> None:
    refused(target, [SIZES[case], chunk()])


def test_the_largest_frame_that_is_taken_costs_nothing_until_its_bytes_come(target: Target) -> None:
    with attacked(target):
        outcome = target.call(_bytes([raw(8192, 2000, 8192 * 2000 * 3), chunk(bytes(MIB))]))
        assert outcome.code is Code.INVALID_ARGUMENT
        assert "had 1048576 of its 49152000 bytes" in outcome.details


START, *REST = sound(encoding=Encoding.RAW)
WHOLE = REST[0].chunk.data
MASKED = Request.FromString(START.SerializeToString())
GRAY, RAW = image_pb2.PIXEL_LAYOUT_GRAY8, image_pb2.PIXEL_ENCODING_RAW
MASKED.start.cel_mask.CopyFrom(
    image_pb2.ImageHeader(width=32, height=24, layout=GRAY, encoding=RAW, encoded_bytes=32 * 24)
)
M = chunk(bytes(32 * 24), MASK)
ORDERS: dict[str, list[Any]] = {
    "nothing": [],
    "an empty message": [Request()],
    "a chunk first": [REST[0], START],
    "two starts": [START, START],
    "two starts around the chunk": [START, REST[0], START],
    "no chunk": [START],
    "a byte too few": [START, chunk(WHOLE[:-1])],
    "a byte too many": [START, chunk(WHOLE + b"x")],
    "a chunk too many": [START, REST[0], chunk()],
    "the chunk twice": [START, REST[0], REST[0]],
    "an empty chunk": [START, chunk(b"")],
    "an empty chunk behind the last": [START, REST[0], chunk(b"")],
    "the mask first": [MASKED, M, REST[0]],
    "the mask within the frame": [MASKED, chunk(WHOLE[:9]), M, chunk(WHOLE[9:])],
    "no mask": [MASKED, REST[0]],
    "a mask of other values": [MASKED, REST[0], chunk(b"\7" * 32 * 24, MASK)],
    "a mask that was not announced": [START, REST[0], M],
    "a plane that nobody knows": [START, chunk(WHOLE, 77)],
    "a plane that only comes back": [START, chunk(WHOLE, image_pb2.PLANE_CLASS_MAP)],
    "a negative plane": [START, chunk(WHOLE, -1)],
    "a message of 4 MiB": [START, chunk(bytes(4 * MIB))],
    "a message of 40 MiB": [START, chunk(bytes(40 * MIB))],
    "bytes that are no message": [b"\xff" * 99],
    "a length beyond the message": [b"\x0a\xff\xff\xff\xff\x0f"],
    "half a start": [START.SerializeToString()[:-3], REST[0]],
    "groups within groups": [b"\x0b" * 5000],
    "a text that is no UTF-8": [b"\x0a\x05\x0a\x03\xff\xfe\xfd"],
    "an answer": [pb.ReconstructResponse(result=pb.ReconstructResult(device="cpu"))],
}


@pytest.mark.parametrize("case", ORDERS)
def test_messages_out_of_order(target: Target, case: str) -> None:
    refused(target, ORDERS[case])


def test_empty_chunks_for_ever_end_at_the_first(target: Target) -> None:
    def forever() -> Iterator[Request]:
        yield START
        while True:
            yield chunk(b"")

    assert "an empty chunk" in refused(target, forever()).details


def test_empty_messages_for_ever_end_at_the_first(target: Target) -> None:
    def forever() -> Iterator[bytes]:
        while True:
            yield b""

    for method in ("Reconstruct", "ReconstructSequence"):
        refused(target, forever(), method)


def test_a_damaged_png_writes_nothing_into_the_log(target: Target) -> None:
    """libpng complains of a wrong checksum on stderr, past every formatter."""
    head, *rest = sound(encoding=Encoding.PNG)
    data = bytearray(b"".join(each.chunk.data for each in rest))
    data[-13] ^= 1  # the last byte of the pixels' checksum, in front of 12 bytes of IEND
    assert "a checksum is wrong" in refused(target, [head, chunk(bytes(data))]).details


def _option(name: str, value: Any) -> Request:
    message = Request.FromString(START.SerializeToString())
    setattr(message.start.options, name, value)
    return message


def _palette(change: Callable[[Any], Any]) -> Request:
    message = Request.FromString(START.SerializeToString())
    change(message.start.options.palette)
    return message


def _many(what: str) -> Request:
    """As many as go into one message."""
    message = _palette(lambda palette: palette.ClearField("entries"))
    entries = {
        "entries": b"\x12\x00" * 520_000,
        "colours": b"\x12\x90\xbc\x3f\x22\x8c\xbc\x3f" + b"\1" * 1_039_884,
    }
    message.start.options.palette.MergeFromString(entries[what])
    return message


CHOICES = {
    "a class of calls that nobody knows": _option("deadline_class", 77),
    "a negative class of calls": _option("deadline_class", -1),
    "lines as wide as can be said": _option("line_width_px", LARGEST),
    "a layout that nobody knows": start(layout=99),
    "no layout": start(layout=0),
    "an encoding that nobody knows": start(encoding=99),
    "BGRA in a PNG": start(encoding=3, layout=4),
    "no palette entry": _palette(lambda palette: palette.entries.pop()),
    "a class twice": _palette(lambda palette: palette.entries.append(palette.entries[0])),
    "a class that nobody knows": _palette(lambda palette: setattr(palette.entries[0], "class_id", LARGEST)),
    "a colour twice": _palette(lambda palette: palette.entries[0].colors.extend(palette.entries[1].colors)),
    "a colour beyond white": _palette(lambda palette: palette.entries[0].colors.append(LARGEST)),
    "half a million entries": _many("entries"),
    "a million colours": _many("colours"),
}
REGIONS = [
    (0, 0, 0, 0),
    (LARGEST, LARGEST, 1, 1),
    (0, 0, LARGEST, LARGEST),
    (31, 23, 2, 2),
    (1, 1, LARGEST, 1),
]


@pytest.mark.parametrize("case", CHOICES)
def test_choices_that_there_are_not(target: Target, case: str) -> None:
    refused(target, [CHOICES[case], *REST])


@pytest.mark.parametrize("region", REGIONS)
def test_regions_outside_of_the_frame(target: Target, region: tuple[int, int, int, int]) -> None:
    x, y, width, height = region
    message = Request.FromString(START.SerializeToString())
    message.start.options.region.CopyFrom(image_pb2.Region(x=x, y=y, width=width, height=height))
    assert "does not lie within" in refused(target, [message, *REST]).details


def test_fields_that_nobody_knows_change_nothing(target: Target) -> None:
    unknown = b"\xfa\x3f" + b"\xa0\x8d\x06" + bytes(100_000)  # field 1023: 100,000 bytes
    with attacked(target):
        outcome = target.call([START.SerializeToString() + unknown, REST[0].SerializeToString() + unknown])
        assert outcome.code is Code.OK, outcome


# Strings

STRINGS = {
    "up": "../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "windows": "..\\..\\windows\\system32",
    "device": "\\\\?\\C:\\con",
    "url": "file:///etc/passwd",
    "nothing but a dot": ".",
    "hidden": ".ssh",
    "NUL": "kugler\0.toml",
    "a line of its own": 'a\n{"event": "call", "code": "OK"}\n',
    "a line of text of its own": "a\r\n2026-01-01T00:00:00.000+00:00 info    call method=Reconstruct code=OK",
    "terminal": "\x1b[2J\x1b]0;owned\x07",
    "from right to left": "a\u202egnp.exe",
    "line separators": "a\u2028b\u2029c\x85d",
    "no width": "kugler\u200b",
    "template": "${jndi:ldap://x/a} %s%n {0.__class__} $(id) `id`",
    "a megabyte": "x" * 1_000_000,
    "a megabyte of accents": "e\u0301" * 300_000,
    "beyond the basic plane": "\U000e0041" * 50,
}
FIELDS: dict[str, Callable[[pb.ReconstructStart, str], Any]] = {
    "call_id": lambda start, text: setattr(start, "call_id", text),
    "cel_model": lambda start, text: setattr(start.options, "cel_model", text),
    "lines_model": lambda start, text: setattr(start.options, "lines_model", text),
    "input_mode": lambda start, text: setattr(start.options, "input_mode", text),
    "palette": lambda start, text: setattr(start.options.palette, "name", text),
    "key": lambda start, text: setattr(start.options.palette.entries[2], "key", text),
    "preset": lambda start, text: start.options.palette.CopyFrom(type(start.options.palette)(name=text)),
}
# What is a sound name for people, and never becomes part of a path.
_FINE = {"palette": {"nothing but a dot", "hidden"}}


@pytest.mark.parametrize("field", FIELDS)
def test_tricks_in_strings(target: Target, field: str) -> None:
    with attacked(target):
        for trick, text in STRINGS.items():
            message = Request.FromString(START.SerializeToString())
            FIELDS[field](message.start, text)
            outcome = target.call(_bytes([message, *REST]))
            expected = Code.OK if trick in _FINE.get(field, ()) else Code.INVALID_ARGUMENT
            assert outcome.code is expected, (trick, outcome)
            assert outcome.seconds < ANSWERED_S
            assert outcome.details.isprintable()
            assert len(outcome.details) < 1000


@pytest.mark.parametrize("field", FIELDS)
def test_ten_megabytes_in_a_string(target: Target, field: str) -> None:
    message = Request.FromString(START.SerializeToString())
    FIELDS[field](message.start, "x" * 10_000_000)
    assert refused(target, [message, *REST]).code is Code.RESOURCE_EXHAUSTED


def test_titles_are_for_the_caller_alone(target: Target) -> None:
    """They are neither kept nor checked, so nothing of them may come back or be written down."""
    message = Request.FromString(START.SerializeToString())
    for entry in message.start.options.palette.entries:
        entry.title = "../\n\0\u202e-title-of-the-attack"
    with attacked(target):
        outcome = target.call(_bytes([message, *REST]))
        assert outcome.code is Code.OK
        assert b"title-of-the-attack" not in b"".join(outcome.answers)
    assert "title-of-the-attack" not in target.log.read_text()


# Sequences


def _sequence(*numbers: int, call_id: str = "") -> list[Any]:
    messages: list[Any] = [sequence_start(Options(), call_id)]
    for number in numbers:
        messages += sequence_requests(number, frame())
    return messages


SEQUENCES = {
    "nothing": [],
    "a number twice": _sequence(7, 7),
    "falling numbers": _sequence(9, 8),
    "a number twice, at the end of all numbers": _sequence(2**64 - 1, 2**64 - 1),
    "a frame first": _sequence(1)[1:],
    "two starts": _sequence()[:1] * 2,
    "a start behind a frame": _sequence(1) + _sequence(),
    "a frame within a frame": [*_sequence(1)[:2], *_sequence(2)[1:]],
    "half a frame": _sequence(1)[:2],
    "a chunk of no frame": [*_sequence(1), _sequence(1)[-1]],
    "a name that is a path": _sequence(1, call_id="../../x"),
    "a name with a line": _sequence(1, call_id="x\ny"),
    "bytes that are no message": [*_sequence(1), b"\xff" * 9],
    "a million frames of nothing": (pb.ReconstructSequenceRequest() for _ in range(1_000_000)),
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_sequences_out_of_order(target: Target, case: str) -> None:
    messages = SEQUENCES[case]
    refused(target, messages if isinstance(messages, list) else iter(messages), "ReconstructSequence")


def test_a_frame_of_a_sequence_that_lies_spoils_no_other(target: Target) -> None:
    messages = _sequence(1, 2)
    messages[2].chunk.data = bytes(len(messages[2].chunk.data))
    with attacked(target):
        outcome = target.call(_bytes(messages), "ReconstructSequence")
        assert outcome.code is Code.OK
        first, second = (
            answer.result
            for answer in map(pb.ReconstructSequenceResponse.FromString, outcome.answers)
            if answer.WhichOneof("part") == "result"
        )
    assert (first.error.code, second.WhichOneof("outcome")) == (3, "result")


def test_the_same_name_for_many_calls_at_once(target: Target) -> None:
    """Whether they overlap is chance; none may get another's answer or keep the name."""
    with attacked(target):
        for _ in range(3):
            outcome = target.call(_bytes(sound("twin")))
            assert outcome.code in (Code.OK, Code.ALREADY_EXISTS)
        assert target.call(_bytes(sound("twin"))).code is Code.OK


def test_a_frame_of_noise_as_a_thousand_tiny_chunks(target: Target) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    message, *_ = sound()
    message.start.frame.CopyFrom(raw(40, 30, 3600).start.frame)
    data = Frame(noise).rgb.tobytes()
    with attacked(target):
        chunks = (chunk(data[at : at + 3]) for at in range(0, len(data), 3))
        assert target.call(_bytes([message, *chunks])).code is Code.OK


# Metadata, health, reflection

METADATA: dict[str, list[tuple[str, str | bytes]]] = {
    "a header of 17 kB": [("x-flood", "x" * 17_000)],
    "a header of a megabyte": [("x-flood", "x" * MIB)],
    "a thousand headers": [(f"x-{i}", "x" * 40) for i in range(1000)],
    "a binary header of a megabyte": [("x-flood-bin", bytes(MIB))],
}


@pytest.mark.parametrize("case", METADATA)
def test_floods_of_metadata(target: Target, case: str) -> None:
    with attacked(target):
        outcome = target.call(_bytes(sound()), metadata=[*target.metadata, *METADATA[case]])
        assert outcome.code is Code.RESOURCE_EXHAUSTED, outcome
        assert outcome.seconds < ANSWERED_S


def test_small_metadata_of_any_kind_changes_nothing(target: Target) -> None:
    strange = [
        ("x-path", "../../etc/passwd"),
        ("x-bin", b"\0\xff\n"),
        ("user-agent", "curl"),
        ("x-empty", ""),
    ]
    with attacked(target):
        outcome = target.call(_bytes(sound()), metadata=[*strange, *target.metadata])
        assert outcome.code is Code.OK
    assert "x-path" not in target.log.read_text()


Asking = reflection_pb2.ServerReflectionRequest
QUESTIONS = {
    "a file": Asking(file_by_filename="../../../../etc/passwd"),
    "a megabyte of a name": Asking(file_containing_symbol="x" * 1_000_000),
    "a line": Asking(file_containing_symbol='a\n{"event": "call"}\0'),
    "an extension": Asking(
        file_containing_extension=reflection_pb2.ExtensionRequest(containing_type="../x", extension_number=-1)
    ),
    "nothing": Asking(),
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_reflection_tells_of_nothing_but_the_contract(target: Target, case: str) -> None:
    with attacked(target):
        outcome = target.call(_bytes([QUESTIONS[case]]), f"{REFLECTION}ServerReflectionInfo")
        answers = [reflection_pb2.ServerReflectionResponse.FromString(answer) for answer in outcome.answers]
        assert outcome.code in {Code.OK, *REFUSALS}, outcome
        assert all(answer.WhichOneof("message_response") == "error_response" for answer in answers)
        assert outcome.seconds < ANSWERED_S


@pytest.mark.parametrize("method", [f"{REFLECTION}ServerReflectionInfo", f"{HEALTH}Check", f"{HEALTH}Watch"])
def test_reflection_and_health_refuse_what_is_no_message(target: Target, method: str) -> None:
    assert "contract" in refused(target, [b"\xff" * 99], method).details


def test_health_of_services_that_there_are_not(target: Target) -> None:
    with attacked(target):
        for name in ("../../etc/passwd", "x" * 1_000_000, "a\nb"):
            ask = health_pb2.HealthCheckRequest(service=name)
            assert target.call(_bytes([ask]), f"{HEALTH}Check").code is Code.NOT_FOUND


@pytest.mark.parametrize(
    "method",
    [
        "/",
        "//",
        "/../../etc/passwd",
        "/douga_proto.v1.DougaService/",
        "/douga_proto.v1.DougaService/reconstruct",
        "/douga_proto.v1.DougaService/" + "x" * 5000,
        "/x\u202e/y",
    ],
)
def test_calls_that_there_are_not(target: Target, method: str) -> None:
    with attacked(target):
        outcome = target.call(_bytes(sound()), method.encode("ascii", "ignore").decode())
        assert outcome.code is Code.UNIMPLEMENTED, outcome
