"""Messages <-> our types on the way back: answers, stage events and capabilities arrive as they were sent."""

from __future__ import annotations

import numpy as np
import pytest
from douga_proto.v1 import douga_pb2 as pb
from douga_server import codec, codec_client
from douga_server.codec_client import AnswerReader, FrameFailure, SequenceAnswerReader, server_info
from douga_server.jobs import (
    Answer,
    Description,
    Model,
    ModelUse,
    Progress,
    Stage,
)
from douga_server.limits import LimitError, Limits
from douga_server.pixels import Encoding
from hypothesis import given
from hypothesis import strategies as st

from douga.classes import NUM_CLASSES
from douga.errors import InputError
from douga.palettes import load_palette
from douga.types import CelMask, ClassMap

LIMITS = Limits(max_pixels=10_000, max_side_px=400, max_chunk_bytes=1000)
NOISE = np.random.default_rng(3)


# An answer to the client


def answer(height: int = 20, width: int = 30) -> Answer:
    ids = NOISE.integers(0, NUM_CLASSES, (height, width), np.uint8)
    return Answer(
        cel_mask=CelMask(np.where(ids > 4, np.uint8(255), np.uint8(0))),
        classes=ClassMap(ids),
        models=(ModelUse("cel", "cel-small", "ab" * 32), ModelUse("lines", "lines-small", "cd" * 32)),
        device="cuda:0",
        seconds={Stage.CEL: 0.25, Stage.LINES: 0.5},
    )


def check(received: codec_client.Received, sent_: Answer) -> None:
    np.testing.assert_array_equal(received.answer.cel_mask.mask, sent_.cel_mask.mask)
    np.testing.assert_array_equal(received.answer.classes.ids, sent_.classes.ids)
    assert received.answer.models == sent_.models
    assert received.answer.device == sent_.device
    assert received.answer.seconds.items() > sent_.seconds.items()
    assert received.answer.seconds[Stage.PACKING] > 0
    assert received.palette == load_palette("retas")
    assert received.warnings == ("a note",)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    encoding=st.sampled_from(Encoding),
    size=st.integers(1, 900),
)
def test_what_the_server_answers_is_what_a_client_reads(
    height: int, width: int, encoding: Encoding, size: int
) -> None:
    given_ = answer(height, width)
    packed = codec.pack_answer(given_, load_palette("retas"), ("a note",), encoding)
    assert packed.result.cel_mask.encoding == packed.result.class_map.encoding != 0
    reader = AnswerReader(LIMITS)
    for response in codec.responses(packed, size):
        assert len(response.chunk.data) <= size
        assert reader.add(pb.ReconstructResponse.FromString(response.SerializeToString())) is None
    check(reader.finish(), given_)


def test_the_planes_of_equal_answers_are_equal_bytes() -> None:
    given_ = answer()
    first, second = (codec.pack_answer(given_, load_palette("kugler"), ()) for _ in range(2))
    assert first.planes == second.planes


@pytest.mark.parametrize("stage", Stage)
def test_stage_events_arrive(stage: Stage) -> None:
    progress = Progress(stage, 0.5, 7)
    assert AnswerReader().add(codec.stage_response(progress)) == progress


def test_the_answers_of_a_sequence_arrive_one_by_one() -> None:
    given_ = answer()
    packed = codec.pack_answer(given_, load_palette("retas"), ("a note",))
    reader = SequenceAnswerReader(LIMITS)
    messages = [
        *codec.sequence_responses(0, packed, 100),
        codec.sequence_error(4, 3, "it is grey; send colours"),
        *codec.sequence_responses(9, packed, 100),
    ]
    outcomes = [outcome for message in messages if (outcome := reader.add(message)) is not None]
    reader.finish()
    assert [number for number, _ in outcomes] == [0, 4, 9]
    assert outcomes[1][1] == FrameFailure(3, "it is grey; send colours")
    for _, received in (outcomes[0], outcomes[2]):
        assert isinstance(received, codec_client.Received)
        check(received, given_)


def test_a_client_does_not_believe_everything_either() -> None:
    result, *chunks = codec.responses(codec.pack_answer(answer(), load_palette("kugler"), ()))
    other = pb.ReconstructResponse()
    other.CopyFrom(result)
    other.result.class_map.width = 31
    bad_stage = pb.ReconstructResponse(stage=pb.StageEvent(stage=99))  # type: ignore[arg-type]
    cases = [
        ([], "without a result"),
        ([result], "ended while the cel mask had 0"),
        ([result, chunks[0]], "ended while the class map had 0"),
        ([result, result], "a second result"),
        ([chunks[0]], "a chunk before its result"),
        ([result, chunks[1]], "a chunk of the class map came while the cel mask"),
        ([other], "differ in size"),
        ([bad_stage], "a stage 99 that is not known here"),
    ]
    for messages, words in cases:
        reader = AnswerReader()
        with pytest.raises(InputError, match=words):
            feed(reader, messages)
    with pytest.raises(LimitError, match="the cel mask is announced as 30 x 20 px"):
        AnswerReader(Limits(max_pixels=9)).add(result)


def feed(reader: AnswerReader, messages: list[pb.ReconstructResponse]) -> None:
    for message in messages:
        reader.add(message)
    reader.finish()


# Capabilities


def test_capabilities_arrive() -> None:
    description = Description(
        "ray", (Model("lines", "lines-small", "ab" * 32, "synthetic_cel", True),), ("cuda:0", "cpu")
    )
    message = codec.capabilities(description, LIMITS, version="1.2", calls=["Reconstruct"])
    info = server_info(pb.GetCapabilitiesResponse.FromString(message.SerializeToString()))
    assert (info.version, info.calls) == ("1.2", ("Reconstruct",))
    assert info.description == description
    assert info.limits == LIMITS
    assert message.limits.max_encoded_bytes == LIMITS.max_encoded_bytes
    assert [palette.name for palette in info.palettes] == ["kugler", "retas"]
    assert info.palettes == tuple(load_palette(name) for name in ("kugler", "retas"))


def test_the_input_modes_are_those_of_the_networks() -> None:
    from douga import preprocess  # here, since torch takes seconds to import

    assert codec.INPUT_MODES == preprocess.INPUT_MODES
