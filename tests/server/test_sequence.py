"""Sequences: in order, held up where enough is under way, ended well where they have to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2
from douga_server.batcher import QueueLimits
from douga_server.codec_client import (
    FrameFailure,
    Received,
    SequenceAnswerReader,
    sequence_requests,
    sequence_start,
)
from douga_server.jobs import Options, Priority
from douga_server.pixels import Encoding
from fronts import FakeBackend, Running, drawing, noise, running, until

Code = grpc.StatusCode


def test_a_sequence_answers_in_order_and_one_bad_frame_spoils_no_other() -> None:
    async def play() -> None:
        async with running() as server:
            messages = [sequence_start(Options(priority=Priority.BATCH), "shot")]
            for number in range(12):
                frame = list(sequence_requests(number, drawing(20 + number, 16)))
                if number == 5:
                    data = bytes(len(frame[1].chunk.data))
                    frame[1].chunk.data = data
                messages += frame
            outcomes = await _sequence(server, messages)
            assert [number for number, _ in outcomes] == list(range(12))
            bad = dict(outcomes)[5]
            assert isinstance(bad, FrameFailure)
            assert bad.code == Code.INVALID_ARGUMENT.value[0]
            good = [o.answer.cel_mask.mask.shape[1] for n, o in outcomes if isinstance(o, Received)]
            assert good == [20 + number for number in range(12) if number != 5]
            await until(lambda: bool(server.records))
            assert (server.records[0].frames, server.records[0].call_id) == (11, "shot")
            assert server.front.bytes_held == 0

    asyncio.run(play())


def test_a_sequence_holds_its_sender_up_while_enough_is_under_way() -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(slots=2, held=True)) as server:
            sent = 0

            async def frames() -> AsyncIterator[pb.ReconstructSequenceRequest]:
                nonlocal sent
                yield sequence_start(Options())
                for number in range(40):
                    sent = number
                    for message in sequence_requests(number, noise(400, 400), encoding=Encoding.RAW):
                        yield message

            call = asyncio.create_task(_collect(server.stub.ReconstructSequence(frames())))
            await until(lambda: server.backend.running == 2)
            await asyncio.sleep(0.5)
            assert server.batcher.queued <= 2
            assert sent < 12  # 4 are under way, 2 in the window of HTTP/2, the rest waits at the sender's
            server.backend.release.set()
            assert [number for number, _ in await call] == list(range(40))

    asyncio.run(play())


def test_a_sequence_waits_where_the_queue_is_full_instead_of_failing() -> None:
    async def play() -> None:
        async with running(
            backend=FakeBackend(slots=1, held=True), queue=QueueLimits(max_queued=1)
        ) as server:
            messages = [sequence_start(Options())]
            for number in range(4):
                messages += sequence_requests(number, drawing())
            call = asyncio.create_task(_sequence(server, messages))
            await until(lambda: server.batcher.queued == 1)
            server.backend.release.set()
            assert all(isinstance(outcome, Received) for _, outcome in await call)

    asyncio.run(play())


def test_draining_ends_a_sequence_after_the_frames_that_are_there() -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(held=True)) as server:
            call = server.stub.ReconstructSequence(
                _then_silence([sequence_start(Options()), *sequence_requests(0, drawing())])
            )
            collected = asyncio.create_task(_collect(call))
            await until(lambda: server.backend.running == 1)
            drain = asyncio.create_task(server.front.drain(20))
            await asyncio.sleep(0.05)
            server.backend.release.set()
            with pytest.raises(grpc.aio.AioRpcError, match="going down"):
                await collected
            assert await drain == 0
            assert await call.code() is Code.UNAVAILABLE

    asyncio.run(play())


def test_a_cancelled_sequence_gives_everything_back() -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(held=True)) as server:
            messages = [sequence_start(Options(), "shot")]
            for number in range(3):
                messages += sequence_requests(number, drawing())
            call = asyncio.create_task(_sequence(server, messages))
            await until(lambda: server.backend.running == 2)
            call.cancel()
            await until(lambda: server.backend.cancelled == 2)
            await until(lambda: server.front.calls_under_way == 0)
            await until(lambda: server.front.bytes_held == 0)
            server.backend.release.set()
            await server.reconstruct(call_id="shot")

    asyncio.run(play())


def test_a_broken_sequence_still_answers_what_was_whole() -> None:
    async def play() -> None:
        async with running() as server:
            messages = [sequence_start(Options()), *sequence_requests(7, drawing())]
            messages += sequence_requests(7, drawing())
            error = await server.status_of(messages, "ReconstructSequence")
            assert error.code() is Code.INVALID_ARGUMENT
            assert "rising" in error.details()
            assert error.answers[0].result.number == 7
            assert error.answers[-1].chunk.plane == image_pb2.PLANE_CLASS_MAP

    asyncio.run(play())


async def _sequence(server: Running, messages: list[pb.ReconstructSequenceRequest]) -> list[tuple[int, Any]]:
    return await _collect(server.stub.ReconstructSequence(_each(messages)))


async def _collect(call: Any) -> list[tuple[int, Any]]:
    reader, outcomes = SequenceAnswerReader(), []
    try:
        async for response in call:
            if (outcome := reader.add(response)) is not None:
                outcomes.append(outcome)
    finally:
        call.cancel()
    reader.finish()
    return outcomes


async def _then_silence(messages: list[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message
    await asyncio.sleep(60)


async def _each(messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message
