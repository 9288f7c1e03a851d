"""Whoever sends too much, too slowly or not at all: refused in time, and the next call succeeds."""

from __future__ import annotations

import asyncio
import resource
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
from douga_server.batcher import QueueLimits
from douga_server.codec_client import requests
from douga_server.front import SERVICE
from douga_server.jobs import Options
from douga_server.options import FrontOptions, ServiceOptions
from douga_server.pixels import Encoding
from fronts import FakeBackend, Running, drawing, noise, open_channel, running, until
from grpc_health.v1 import health_pb2, health_pb2_grpc

Code = grpc.StatusCode
IMPATIENT = FrontOptions(service=ServiceOptions(message_timeout_s=0.3, receive_timeout_s=1.0))


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


async def _health(server: Running) -> list[int]:
    stub = health_pb2_grpc.HealthStub(server.channel)
    ask = [health_pb2.HealthCheckRequest(service=name) for name in ("", SERVICE)]
    return [(await stub.Check(each, metadata=server.metadata)).status for each in ask]


async def _each(messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message
