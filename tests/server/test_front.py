"""The front with a real server and real channels. Its backend is a fake that waits where a test says so."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from douga_proto.v1 import douga_pb2 as pb
from douga_server.batcher import Batcher
from douga_server.codec_client import (
    requests,
)
from douga_server.front import SERVICE
from douga_server.jobs import BackendError, Options
from douga_server.pixels import Encoding
from douga_server.service import Works
from fronts import FakeBackend, Running, drawing, noise, open_channel, running, until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from douga.errors import InputError

Code = grpc.StatusCode


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
            with pytest.raises(grpc.aio.AioRpcError, match="GetCapabilities lists") as caught:
                async for _ in server.stub.RefineMask(_each([])):
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


async def _health(server: Running) -> list[int]:
    stub = health_pb2_grpc.HealthStub(server.channel)
    ask = [health_pb2.HealthCheckRequest(service=name) for name in ("", SERVICE)]
    return [(await stub.Check(each, metadata=server.metadata)).status for each in ask]


async def _each(messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message
