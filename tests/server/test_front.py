"""The front with a real server and real channels. Its backend is a fake that waits where a test says so."""

from __future__ import annotations

import asyncio
import resource
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2
from douga_proto.v1.douga_pb2_grpc import DougaServiceStub
from douga_server.auth import Tokens
from douga_server.batcher import Batcher, QueueLimits
from douga_server.codec_client import (
    FrameFailure,
    Received,
    SequenceAnswerReader,
    requests,
    sequence_requests,
    sequence_start,
)
from douga_server.front import SERVICE
from douga_server.jobs import BackendError, Options, Priority
from douga_server.options import FrontOptions, ServiceOptions
from douga_server.pixels import Encoding
from douga_server.service import Works
from fronts import FakeBackend, Running, drawing, noise, open_channel, running, until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from douga.errors import InputError

Code = grpc.StatusCode
IMPATIENT = FrontOptions(service=ServiceOptions(message_timeout_s=0.3, receive_timeout_s=1.0))


def test_a_frame_comes_back_as_mask_and_classes_with_the_stages_on_the_way() -> None:
    async def play() -> None:
        async with running() as server:
            call = server.stub.Reconstruct(_each(requests(drawing(), Options(), call_id="shot-1")))
            parts = [response async for response in call]
            stages = [part.stage.stage for part in parts if part.WhichOneof("part") == "stage"]
            assert stages == [pb.STAGE_QUEUED, pb.STAGE_CEL, pb.STAGE_PACKING]
            received = await server.reconstruct()
            assert received.answer.cel_mask.mask[6:12, 8:16].min() == 255
            await until(lambda: len(server.records) == 2)
            record = server.records[0]
            assert (record.call_id, record.code, record.size_wh, record.frames) == (
                "shot-1",
                "OK",
                (32, 24),
                1,
            )
            assert {"queued", "cel", "packing"} <= set(record.stage_s)
            assert record.bytes_in > 0 < record.bytes_out
            assert server.front.bytes_held == 0

    asyncio.run(play())


@pytest.mark.parametrize("encoding", Encoding)
def test_every_packing_gives_the_same_answer(encoding: Encoding) -> None:
    async def play() -> None:
        async with running() as server:
            frame = noise(1200, 400)  # raw, it takes two chunks
            received = await server.exchange(requests(frame, Options(), encoding=encoding))
            expected = frame.rgb.min(axis=2) < 250
            assert ((received.answer.cel_mask.mask > 0) == expected).all()

    asyncio.run(play())


def test_until_the_weights_are_loaded_health_says_no_and_calls_are_told_to_wait() -> None:
    async def play() -> None:
        async with running(ready=False) as server:
            assert await _health(server) == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2
            error = await server.status_of(requests(drawing(), Options()))
            assert error.code() is Code.UNAVAILABLE
            assert "still loads" in error.details()
            await server.front.serve(Works(server.batcher, server.backend, await server.backend.start()))
            assert await _health(server) == [health_pb2.HealthCheckResponse.SERVING] * 2
            await server.reconstruct()

    asyncio.run(play())


def test_reflection_and_capabilities_tell_what_there_is() -> None:
    async def play() -> None:
        async with running() as server:
            stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
            ask = reflection_pb2.ServerReflectionRequest(list_services="")
            answer = await anext(aiter(stub.ServerReflectionInfo(_each([ask]))))
            assert SERVICE in [service.name for service in answer.list_services_response.service]
            told = await server.stub.GetCapabilities(pb.GetCapabilitiesRequest())
            assert list(told.calls) == ["Reconstruct", "ReconstructSequence", "GetCapabilities"]
            assert [model.name for model in told.models] == ["fake-cel", "fake-lines"]

    asyncio.run(play())


def test_what_is_not_there_yet_says_so() -> None:
    async def play() -> None:
        async with running() as server:
            for call in (server.stub.Cutout, server.stub.RefineMask):
                with pytest.raises(grpc.aio.AioRpcError, match="GetCapabilities lists") as caught:
                    async for _ in call(_each([])):
                        pass
                assert caught.value.code() is Code.UNIMPLEMENTED
            with pytest.raises(grpc.aio.AioRpcError, match="no such call"):
                await server.channel.unary_unary(f"/{SERVICE}/../../etc/passwd")(b"")
            await until(lambda: server.records[-1].method == "unknown")

    asyncio.run(play())


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda start: setattr(start, "call_id", "../../x\n"), Code.INVALID_ARGUMENT, "call_id"),
        (lambda start: setattr(start.frame, "width", 0), Code.INVALID_ARGUMENT, "0"),
        (lambda start: setattr(start.frame, "width", 2**31), Code.RESOURCE_EXHAUSTED, "megapixels"),
        (lambda start: setattr(start.frame, "encoded_bytes", 1), Code.INVALID_ARGUMENT, "bytes"),
        (lambda start: setattr(start.options, "line_width_px", 99), Code.INVALID_ARGUMENT, "1 to 15"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words_and_the_next_call_succeeds(
    change: Any, code: grpc.StatusCode, words: str
) -> None:
    async def play() -> None:
        async with running() as server:
            messages = list(requests(drawing(), Options()))
            change(messages[0].start)
            error = await server.status_of(messages)
            assert error.code() is code, error.details()
            assert words in error.details()
            assert "\n" not in error.details()
            await server.reconstruct()
            assert server.front.bytes_held == 0

    asyncio.run(play())


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (BackendError("node 10.0.0.7 died: /srv/secret"), Code.UNAVAILABLE, "send it again"),
        (InputError("no such model 'x'"), Code.INVALID_ARGUMENT, "no such model 'x'"),
        (RuntimeError("/srv/secret"), Code.INTERNAL, "its log says more"),
    ],
)
def test_errors_of_ours_reach_the_caller_without_our_secrets(
    error: Exception, code: grpc.StatusCode, told: str
) -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(error=error)) as server:
            status = await server.status_of(requests(drawing(), Options()))
            assert status.code() is code
            assert told in status.details()
            assert "secret" not in status.details()

    asyncio.run(play())


def test_a_name_under_way_is_not_given_twice() -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(held=True)) as server:
            first = asyncio.create_task(server.reconstruct(call_id="a"))
            await until(lambda: server.backend.running == 1)
            error = await server.status_of(requests(drawing(), Options(), call_id="a"))
            assert error.code() is Code.ALREADY_EXISTS
            server.backend.release.set()
            await first
            await server.reconstruct(call_id="a")

    asyncio.run(play())


@pytest.mark.parametrize("how", ["cancel", "deadline", "connection"])
def test_whoever_goes_away_frees_the_slot_the_memory_and_the_name(how: str) -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(slots=1, held=True)) as server:
            channel = open_channel(server.address)
            other = Running(server.front, server.backend, server.batcher, server.address, channel)
            call = asyncio.create_task(
                other.reconstruct(call_id="a", timeout_s=0.5 if how == "deadline" else 60)
            )
            await until(lambda: server.backend.running == 1)
            if how == "cancel":
                call.cancel()
            elif how == "connection":
                await channel.close()
            await until(lambda: server.backend.cancelled == 1)
            await asyncio.gather(call, return_exceptions=True)
            await until(lambda: server.front.calls_under_way == 0)
            assert server.front.bytes_held == 0
            server.backend.release.set()
            await server.reconstruct(call_id="a")
            await channel.close()

    asyncio.run(play())


def test_a_sender_that_stops_in_the_middle_is_sent_away() -> None:
    async def play() -> None:
        async with running(options=IMPATIENT) as server:
            start, *_ = requests(drawing(), Options())
            call = server.stub.Reconstruct(_then_silence([start]))
            with pytest.raises(grpc.aio.AioRpcError, match=r"nothing came for 0\.3 s") as caught:
                async for _ in call:
                    pass
            assert caught.value.code() is Code.INVALID_ARGUMENT
            assert server.front.bytes_held == 0

    asyncio.run(play())


def test_a_sender_that_only_drips_is_sent_away() -> None:
    async def play() -> None:
        async with running(options=IMPATIENT) as server:
            error = await server.status_of(_dripping(noise(64, 64)))
            assert error.code() is Code.INVALID_ARGUMENT
            assert "not complete after 1 s" in error.details() or "nothing came" in error.details()
            await until(lambda: server.front.calls_under_way == 0)

    asyncio.run(play())


def test_half_a_message_of_a_unary_call_does_not_wait_for_ever() -> None:
    """gRPC's own unary handler would wait as long as the connection lives."""

    async def play() -> None:
        async with running(options=IMPATIENT) as server:
            stream = server.channel.stream_stream(f"/{SERVICE}/GetCapabilities")
            with pytest.raises(grpc.aio.AioRpcError, match=r"nothing came for 0\.3 s"):
                async for _ in stream(_then_silence([])):
                    pass

    asyncio.run(play())


def test_a_caller_that_does_not_read_its_answer_is_dropped() -> None:
    async def play() -> None:
        options = FrontOptions(service=ServiceOptions(send_timeout_s=0.3))
        async with running(options=options) as server:
            async with open_channel(server.address) as channel:
                messages = requests(noise(4000, 3000), Options(), encoding=Encoding.RAW)
                call = DougaServiceStub(channel).Reconstruct(_each(messages))
                await until(lambda: bool(server.records), timeout_s=20)
                assert server.records[0].reason.startswith("the answer was not read")
                assert (server.front.calls_under_way, server.front.bytes_held) == (0, 0)
                call.cancel()
            await server.reconstruct()

    asyncio.run(play())


def test_a_message_over_the_limit_is_refused_before_it_is_read() -> None:
    async def play() -> None:
        async with running() as server:
            chunk = image_pb2.Chunk(plane=image_pb2.PLANE_FRAME, data=bytes(4 << 20))
            start, *_ = requests(noise(2000, 2000), Options())
            error = await server.status_of([start, pb.ReconstructRequest(chunk=chunk)])
            assert error.code() is Code.RESOURCE_EXHAUSTED
            await server.reconstruct()

    asyncio.run(play())


def test_frames_under_way_share_a_bounded_memory() -> None:
    async def play() -> None:
        options = FrontOptions(service=ServiceOptions(max_bytes_held=3_000_000))
        async with running(backend=FakeBackend(held=True), options=options) as server:
            first = asyncio.create_task(server.reconstruct(drawing(700, 700)))  # 2 MB
            await until(lambda: server.backend.running == 1)
            error = await server.status_of(requests(drawing(700, 700), Options()))
            assert error.code() is Code.RESOURCE_EXHAUSTED
            assert dict(error.trailing_metadata())["retry-after-ms"].isdecimal()
            server.backend.release.set()
            await first
            await server.reconstruct(drawing(700, 700))

    asyncio.run(play())


def test_no_more_calls_are_under_way_than_allowed_and_health_is_not_counted() -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(held=True), options=FrontOptions(max_calls=2)) as server:
            calls = [asyncio.create_task(server.reconstruct()) for _ in range(2)]
            await until(lambda: server.front.calls_under_way == 2)
            error = await server.status_of(requests(drawing(), Options()))
            assert error.code() is Code.RESOURCE_EXHAUSTED
            assert dict(error.trailing_metadata())["retry-after-ms"].isdecimal()
            assert await _health(server) == [health_pb2.HealthCheckResponse.SERVING] * 2
            server.backend.release.set()
            await asyncio.gather(*calls)
            await server.reconstruct()

    asyncio.run(play())


def test_a_full_queue_says_when_to_ask_again() -> None:
    async def play() -> None:
        async with running(
            backend=FakeBackend(slots=1, held=True), queue=QueueLimits(max_queued=1)
        ) as server:
            calls = [asyncio.create_task(server.reconstruct()) for _ in range(2)]
            await until(lambda: server.batcher.queued == 1)
            error = await server.status_of(requests(drawing(), Options()))
            assert error.code() is Code.RESOURCE_EXHAUSTED
            assert int(dict(error.trailing_metadata())["retry-after-ms"]) >= 100
            server.backend.release.set()
            await asyncio.gather(*calls)

    asyncio.run(play())


def test_draining_finishes_what_is_under_way_and_refuses_what_is_new() -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(held=True)) as server:
            first = asyncio.create_task(server.reconstruct())
            await until(lambda: server.backend.running == 1)
            drain = asyncio.create_task(server.front.drain(20))
            await asyncio.sleep(0)
            error = await server.status_of(requests(drawing(), Options()))
            assert error.code() is Code.UNAVAILABLE
            assert "going down" in error.details()
            assert await _health(server) == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2
            assert not drain.done()
            server.backend.release.set()
            await first
            assert await drain == 0

    asyncio.run(play())


def test_draining_does_not_wait_for_ever() -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(held=True)) as server:
            first = asyncio.create_task(server.reconstruct())
            await until(lambda: server.backend.running == 1)
            assert await server.front.drain(0.1) == 1
            await server.front.stop()
            with pytest.raises(grpc.aio.AioRpcError):
                await first
            assert server.front.calls_under_way == 0
            await until(lambda: server.backend.cancelled == 1)

    asyncio.run(play())


def test_other_weights_are_used_without_a_lost_call() -> None:
    async def play() -> None:
        async with running(backend=FakeBackend(held=True)) as server:
            old = asyncio.create_task(server.reconstruct())
            await until(lambda: server.backend.running == 1)
            other = FakeBackend()
            await server.front.serve(Works(Batcher(other), other, await other.start()))
            await server.reconstruct()
            assert len(other.seen) == 1
            server.backend.release.set()
            await old

    asyncio.run(play())


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
            assert sent < 20  # the rest lies with the sender: a window of HTTP/2 holds a few frames
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


def test_a_unix_socket_opens_to_its_owner_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "new" / "douga.sock"

    async def play() -> None:
        async with running(f"unix:{path}") as server:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            await server.reconstruct()
            await until(lambda: bool(server.records))
            assert server.records[0].peer == "unix"
            with pytest.raises(Exception, match="another server listens"):
                async with running(f"unix:{path}"):
                    pass
            await server.reconstruct()
        assert not path.exists()

    asyncio.run(play())


def test_a_socket_that_was_left_behind_is_cleared_away_and_a_file_is_not(tmp_path: Path) -> None:
    stale, precious = tmp_path / "stale.sock", tmp_path / "notes.txt"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    precious.write_text("x")

    async def play() -> None:
        async with running(f"unix:{stale}") as server:
            await server.reconstruct()
        with pytest.raises(Exception, match="is no socket"):
            async with running(f"unix:{precious}"):
                pass
        assert precious.read_text() == "x"

    asyncio.run(play())


def test_a_port_in_use_is_an_error_and_not_shared() -> None:
    async def play() -> None:
        async with running() as server:
            with pytest.raises(Exception, match="in use"):
                async with running(server.address.target):
                    pass

    asyncio.run(play())


def test_a_connection_that_never_speaks_is_closed() -> None:
    async def play() -> None:
        async with running(options=FrontOptions(handshake_timeout_s=0.5)) as server:
            reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
            async with asyncio.timeout(10):
                while await reader.read(1000):  # the server's settings, then its end
                    pass
            writer.close()
            await server.reconstruct()

    asyncio.run(play())


def test_there_are_no_more_connections_than_allowed() -> None:
    async def play() -> None:
        async with running(options=FrontOptions(max_connections=2)) as server:
            await server.reconstruct()
            _, second = await asyncio.open_connection(server.address.host, server.address.port)
            reader, third = await asyncio.open_connection(server.address.host, server.address.port)
            async with asyncio.timeout(10):
                assert await reader.read(1000) == b""
            await server.reconstruct()
            second.close()
            third.close()

    asyncio.run(play())


def test_calls_without_a_token_take_no_memory() -> None:
    """8 x 60 MB, trap 3: a unary handler that refuses took 763 MB. The client is a process of its own."""

    async def play() -> None:
        async with running(tokens=Tokens.random()) as server:
            before = _resident_bytes()
            client = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _FLOOD, server.address.target), stdout=asyncio.subprocess.PIPE
            )
            peak = before
            told = asyncio.create_task(client.communicate())
            while not told.done():
                peak = max(peak, _resident_bytes())
                await asyncio.sleep(0.005)
            assert told.result()[0].count(b"UNAUTHENTICATED") == 16
            assert peak - before < 64 << 20
            await server.reconstruct()

    asyncio.run(play())


_FLOOD = """
import sys, threading, grpc
def call(kind):
    channel = grpc.insecure_channel(sys.argv[1], options=[
        ("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)])
    data = bytes(60 << 20)
    try:
        if kind:
            list(channel.stream_stream("/douga_proto.v1.DougaService/Reconstruct")(iter([data])))
        else:
            channel.unary_unary("/douga_proto.v1.DougaService/GetCapabilities")(data)
    except grpc.RpcError as error:
        sys.stdout.write(error.code().name + "\\n")
threads = [threading.Thread(target=call, args=(i % 2,)) for i in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def _health(server: Running) -> list[int]:
    stub = health_pb2_grpc.HealthStub(server.channel)
    ask = [health_pb2.HealthCheckRequest(service=name) for name in ("", SERVICE)]
    return [(await stub.Check(each, metadata=server.metadata)).status for each in ask]


async def _sequence(server: Running, messages: list[pb.ReconstructSequenceRequest]) -> list[tuple[int, Any]]:
    return await _collect(server.stub.ReconstructSequence(_each(messages)))


async def _collect(call: Any) -> list[tuple[int, Any]]:
    reader, outcomes = SequenceAnswerReader(), []
    async for response in call:
        if (outcome := reader.add(response)) is not None:
            outcomes.append(outcome)
    reader.finish()
    return outcomes


async def _each(messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message


async def _then_silence(messages: list[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message
    await asyncio.sleep(60)


def _dripping(frame: Any) -> Iterator[Any]:
    start, *_ = requests(frame, Options(), encoding=Encoding.RAW)
    yield start
    for _ in range(100):
        time.sleep(0.05)
        yield pb.ReconstructRequest(chunk=image_pb2.Chunk(plane=image_pb2.PLANE_FRAME, data=b"x"))
