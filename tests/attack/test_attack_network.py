"""What no client of gRPC would do: floods, slowness, garbage, and callers that vanish."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import http2
import pytest
from douga_server.pixels import Encoding
from hostile import (
    ANSWERED_S,
    HERE,
    MAX_BYTES_HELD,
    MAX_CONNECTIONS,
    MAX_GROWTH_BYTES,
    MIB,
    SERVICE,
    TOKEN,
    Code,
    Target,
    attacked,
    serving_tls,
    serving_unix,
    sound,
)
from http2 import CONTINUATION, DATA, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, Connection

CALL = f"/{SERVICE}/Reconstruct"
BLOCK = http2.call_headers(CALL)
SETTLED_S = 30.0  # within which everything that was begun has run into its own time limit, and much more


@pytest.fixture(scope="module")
def unix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server at a Unix socket."""
    with serving_unix(tmp_path_factory.mktemp("unix")) as server:
        yield server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with TLS and a token."""
    with serving_tls(tmp_path_factory.mktemp("tls")) as server:
        yield server


# Floods


def flood(target: Target, token: str, calls: int, megabytes: int, kind: str) -> Counter[str]:
    """How the calls ended. They come from a process of their own: the client needs the memory."""
    folder = target.log.parent
    ca = folder / "ca.pem"
    ended = subprocess.run(
        [sys.executable, str(HERE / "flood.py"), target.target, str(ca) if ca.exists() else "-", token]
        + [str(calls), str(megabytes), kind],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(HERE), "GRPC_VERBOSITY": "NONE"},
    )
    return Counter(ended.stdout.split())


@pytest.mark.parametrize(
    ("kind", "token"), [("unary", "-"), ("message", "wrong-token-0123456789"), ("frames", "-")]
)
def test_floods_without_a_token_are_refused_unread(tls: Target, kind: str, token: str) -> None:
    """Trap 3: 8 x 60 MB took 763 MB."""
    with attacked(tls):
        ended = flood(tls, token, 8, 60, kind)
        # Now and then gRPC's own client hangs on what it could not send, and is ended; that is its affair.
        assert set(ended) == {"UNAUTHENTICATED"}
        assert ended["UNAUTHENTICATED"] >= 4


def test_a_flood_of_large_messages_with_a_token_is_refused_unread(tls: Target) -> None:
    """Trap 4: 24 x 30 MB took 1.2 GB."""
    with attacked(tls):
        assert flood(tls, TOKEN, 24, 30, "message") == {"RESOURCE_EXHAUSTED": 24}


def test_a_flood_of_sound_frames_takes_no_more_than_the_memory_that_was_set(unix: Target) -> None:
    """These are good calls: what fits is answered. Nothing of it may stay."""
    flood(unix, "-", 12, 30, "frames")  # the allocator keeps some of the first large buffers, once
    before = _resident(unix)
    with attacked(unix, MAX_BYTES_HELD + MAX_GROWTH_BYTES):
        ended = flood(unix, "-", 24, 30, "frames")
        assert ended.total() == 24
        assert ended["OK"] >= 1  # the others are too many, or too slow for this server's patience
        assert ended["OK"] + ended["RESOURCE_EXHAUSTED"] >= 20
        unix.until_idle()
    assert _resident(unix) - before < MAX_GROWTH_BYTES


def _resident(target: Target) -> int:
    import psutil

    return int(psutil.Process(target.process.pid).memory_info().rss)


def test_a_flood_of_small_calls_without_a_token(tls: Target) -> None:
    services = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
    with attacked(tls), tls.channel() as channel:
        for _ in range(100):
            for path in (f"{services[0]}Check", f"{services[0]}Watch", f"{services[1]}ServerReflectionInfo"):
                call = channel.stream_stream(path)(iter([b""]), timeout=ANSWERED_S)
                with pytest.raises(grpc.RpcError):
                    next(call)
                assert call.code() is Code.UNAUTHENTICATED


def test_watchers_of_health_that_never_leave_hold_nobody_up(unix: Target) -> None:
    with attacked(unix), ExitStack() as held:
        for _ in range(2):
            channel = held.enter_context(unix.channel())
            watch = channel.stream_stream("/grpc.health.v1.Health/Watch")
            calls = [watch(iter([b""]), timeout=60) for _ in range(100)]
            for call in calls:
                assert next(call)
        unix.good_call()
        for call in calls:
            call.cancel()


def test_a_message_that_unpacks_to_a_gigabyte_is_not_unpacked(unix: Target) -> None:
    """gRPC's own compression, behind a limit that counts packed bytes."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(220)) + packer.flush()
    assert len(bomb) < MIB
    with attacked(unix), Connection(unix.target) as connection:
        for _ in range(4):
            stream = connection.open(CALL, [("grpc-encoding", "gzip")])
            connection.send_data(stream, http2.message(bomb, compressed=True), end=True)
        unix.until_idle()


# Garbage

RANDOM = random.Random(4)
FIRST = http2.frame(HEADERS, http2.END_HEADERS, 1, BLOCK)
HELLO = PREFACE + http2.frame(SETTINGS)


def _remembered() -> bytes:
    """HPACK: a header of 3.5 kB that the server is to remember, and is then named 60,000 times."""
    remembered = b"\x40" + http2.header("x-big", "x" * 3500)[1:]
    return (
        HELLO
        + http2.frame(HEADERS, 4, 1, BLOCK + remembered + b"\xbe" * 10_000)
        + b"".join(http2.frame(HEADERS, 4, stream, BLOCK + b"\xbe" * 10_000) for stream in range(3, 13, 2))
    )


GARBAGE: dict[str, Callable[[], bytes]] = {
    "nothing but noise": lambda: RANDOM.randbytes(MIB),
    "HTTP/1": lambda: b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/1 without an end": lambda: b"POST / HTTP/1.1\r\n" + b"X-Flood: y\r\n" * 50_000,
    "a request to change to HTTP/2": lambda: (
        b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    ),
    "SSH": lambda: b"SSH-2.0-OpenSSH_9.2\r\n",
    "TLS": lambda: bytes.fromhex("160301020001 0001fc0303") + RANDOM.randbytes(507),
    "NULs": lambda: bytes(100_000),
    "a line without an end": lambda: b"A" * MIB,
    "noise behind the preface": lambda: HELLO + RANDOM.randbytes(100_000),
    "a frame of 16 MB": lambda: HELLO + http2.frame(DATA, 0, 1, bytes(1000), length=(1 << 24) - 1),
    "data of no stream": lambda: HELLO + http2.frame(DATA, 0, 0, bytes(1000)),
    "data of a stream that was never opened": lambda: HELLO + http2.frame(DATA, 0, 99, bytes(1000)),
    "an even stream": lambda: HELLO + http2.frame(HEADERS, 5, 2, BLOCK),
    "a stream that falls": lambda: (
        HELLO + http2.frame(HEADERS, 5, 9, BLOCK) + http2.frame(HEADERS, 5, 3, BLOCK)
    ),
    "more room than there is": lambda: (
        HELLO + FIRST + http2.frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 2**31 - 1)) * 2
    ),
    "room of nothing": lambda: HELLO + FIRST + http2.frame(WINDOW_UPDATE, 0, 1, bytes(4)),
    "a server's push": lambda: HELLO + http2.frame(http2.PUSH_PROMISE, 4, 1, struct.pack(">I", 2) + BLOCK),
    "headers that are no HPACK": lambda: HELLO + http2.frame(HEADERS, 4, 1, b"\xff" * 5000),
    "a header index that there is not": lambda: (
        HELLO + http2.frame(HEADERS, 4, 1, http2.number(2**40, 7, 0x80))
    ),
    "a header as long as can be said": lambda: (
        HELLO + http2.frame(HEADERS, 4, 1, b"\0" + http2.number(2**31, 7))
    ),
    "one header named 60,000 times": _remembered,
    "headers without an end": lambda: (
        HELLO
        + http2.frame(HEADERS, 0, 1, BLOCK)
        + http2.frame(CONTINUATION, 0, 1, http2.header("x-flood", "y" * 16_000)) * 4000
    ),
    "headers without an end, of nothing": lambda: (
        HELLO + http2.frame(HEADERS, 0, 1, BLOCK) + http2.frame(CONTINUATION, 0, 1) * 100_000
    ),
    "settings": lambda: HELLO + http2.frame(SETTINGS, body=struct.pack(">HI", 4, 1000)) * 20_000,
    "a table as large as can be said": lambda: (
        PREFACE + http2.frame(SETTINGS, body=struct.pack(">HI", 1, 2**32 - 1))
    ),
    "pings": lambda: HELLO + http2.frame(PING, body=bytes(8)) * 20_000,
    "empty data": lambda: HELLO + FIRST + http2.frame(DATA, 0, 1) * 50_000,
    "padding": lambda: HELLO + FIRST + http2.frame(DATA, 8, 1, b"\xff" + bytes(255)) * 200,
    "calls opened and cancelled": lambda: (
        HELLO
        + b"".join(
            http2.frame(HEADERS, 4, stream, BLOCK) + http2.frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
            for stream in range(1, 10_000, 2)
        )
    ),
    "calls opened": lambda: (
        HELLO + b"".join(http2.frame(HEADERS, 4, stream, BLOCK) for stream in range(1, 10_000, 2))
    ),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_costs_nothing_but_its_connection(unix: Target, case: str) -> None:
    data = GARBAGE[case]()
    with attacked(unix):
        with ExitStack() as held:
            connections = [held.enter_context(Connection(unix.target, silent=True)) for _ in range(2)]
            for connection in connections:
                connection.send(data)
            begun_s = time.monotonic()
            unix.good_call()  # while they are still there
            assert time.monotonic() - begun_s < 2 * ANSWERED_S
        unix.until_idle()


def test_garbage_where_tls_is_spoken(tls: Target) -> None:
    address = tls.target.replace("localhost", "127.0.0.1")
    with attacked(tls), ExitStack() as held:
        for case in ("nothing but noise", "HTTP/1", "TLS", "NULs", "pings", "calls opened"):
            held.enter_context(Connection(address, silent=True)).send(GARBAGE[case]())
        tls.good_call()


METHODS: dict[str, list[tuple[str, str | bytes]]] = {
    "GET": [(":method", "GET")],
    "no path": [(":method", "POST"), (":scheme", "http")],
    "two paths": [(":path", "/a"), (":path", CALL)],
    "a path of no ASCII": [(":method", "POST"), (":scheme", "http"), (":path", b"/\xff\xfe\0\n")],
    "a header with a line": [("x-a", "b\r\ngrpc-status: 0")],
    "capitals": [("X-A", "b")],
    "a deadline of nonsense": [("grpc-timeout", "-99999999999999999999S")],
    "a deadline of no time": [("grpc-timeout", "0n")],
    "an encoding that nobody knows": [("grpc-encoding", "rot13\n")],
    "no gRPC": [("content-type", "text/html")],
}


@pytest.mark.parametrize("case", METHODS)
def test_headers_that_no_client_sends(unix: Target, case: str) -> None:
    named = case in ("GET", "no path", "a path of no ASCII")
    block = b"".join(http2.header(name, value) for name, value in METHODS[case])
    with attacked(unix), Connection(unix.target) as connection:
        connection.send(http2.frame(HEADERS, 5, 1, block if named else BLOCK + block))
        connection.closed(0.1)
        unix.until_idle()


# Slowness


def test_connections_that_never_speak_give_their_places_back(unix: Target, tls: Target) -> None:
    for server in (unix, tls):
        address = server.target.replace("localhost", "127.0.0.1")
        with attacked(server), ExitStack() as held:
            silent = [
                held.enter_context(Connection(address, silent=True)) for _ in range(MAX_CONNECTIONS + 20)
            ]
            assert all(connection.closed(SETTLED_S) for connection in silent)


def test_connections_that_say_a_byte_now_and_then_give_their_places_back(unix: Target) -> None:
    with attacked(unix), ExitStack() as held:
        slow = [held.enter_context(Connection(unix.target, silent=True)) for _ in range(20)]
        until_s = time.monotonic() + SETTLED_S
        at = 0
        while slow and time.monotonic() < until_s:
            slow = [each for each in slow if each.send(HELLO[at % len(HELLO) :][:1])]
            at = min(at + 1, len(PREFACE) - 2)
            time.sleep(0.1)
        assert not slow


HALVES = {
    "headers": b"",
    "the first bytes of a message": b"\0\0",
    "a message that is announced": http2.message(b"", length=MIB),
    "half a message": http2.message(bytes(1000), length=MIB),
    "a start": http2.message(sound()[0].SerializeToString()),
    "half a chunk": http2.message(sound()[0].SerializeToString()) + http2.message(bytes(10), length=500_000),
}


def test_half_sent_requests_end_by_themselves(unix: Target) -> None:
    with attacked(unix), ExitStack() as held:
        for half in HALVES.values():
            for _ in range(4):
                connection = held.enter_context(Connection(unix.target))
                for _ in range(2):
                    connection.send_data(connection.open(CALL), half)
        unix.good_call()
        unix.until_idle()


def test_a_message_that_trickles_ends_by_itself(unix: Target) -> None:
    message = http2.message(sound()[0].SerializeToString()) + http2.message(bytes(1000))
    with attacked(unix), Connection(unix.target) as connection:
        stream = connection.open(CALL)
        ended = len(_ended(unix))
        until_s = time.monotonic() + SETTLED_S
        for byte in message:
            if len(_ended(unix)) > ended or time.monotonic() > until_s:
                break
            connection.send_data(stream, bytes([byte]))
            time.sleep(0.05)
        assert len(_ended(unix)) > ended


# Callers that vanish


@pytest.mark.parametrize("place", ["handshake", "upload", "all sent", "download"])
def test_callers_that_vanish_leave_nothing_behind(unix: Target, place: str) -> None:
    large = sound(size_wh=(2000, 1500), encoding=Encoding.RAW)
    messages = [http2.message(message.SerializeToString()) for message in large]
    with attacked(unix):
        for _ in range(10):
            with Connection(unix.target, silent=place == "handshake") as connection:
                if place == "handshake":
                    connection.send(PREFACE[:9])
                    continue
                stream = connection.open(CALL)
                for message in messages[: 3 if place == "upload" else None]:
                    connection.send_data(stream, message)
                connection.send_data(stream, b"", end=place != "upload")
                if place == "download":
                    connection.socket.recv(1000)
        unix.until_idle()


def test_answers_that_nobody_reads_are_given_up(unix: Target) -> None:
    """The window of the caller is closed from the start: not a byte of the answer may be sent."""
    messages = [http2.message(message.SerializeToString()) for message in sound(encoding=Encoding.RAW)]
    with attacked(unix), ExitStack() as held:
        for _ in range(10):
            connection = held.enter_context(Connection(unix.target, window_bytes=0))
            for _ in range(3):
                stream = connection.open(CALL)
                for message in messages:
                    connection.send_data(stream, message)
                connection.send_data(stream, b"", end=True)
        unix.good_call()
        unix.until_idle()


def test_of_an_answer_that_is_given_up_little_is_kept(unix: Target) -> None:
    """gRPC keeps the message that waits in front of a closed window as long as the caller answers pings."""
    messages = [
        http2.message(m.SerializeToString()) for m in sound(size_wh=(1000, 800), encoding=Encoding.RAW)
    ]
    with attacked(unix), Connection(unix.target) as connection:
        stream = connection.open(CALL)
        for message in messages:
            connection.send_data(stream, message)
        connection.send_data(stream, b"", end=True)
        came: list[int] = []
        ended = len(_ended(unix))
        until_s = time.monotonic() + SETTLED_S
        while len(_ended(unix)) == ended and time.monotonic() < until_s:
            came += connection.kinds(0.2)
        assert "the answer was not read for 2 s" in _ended(unix)[-1]
        assert came.count(DATA) <= 8  # as much as 64 KiB of window take
        more = struct.pack(">I", 1 << 24)
        connection.send(http2.frame(WINDOW_UPDATE, 0, 0, more) + http2.frame(WINDOW_UPDATE, 0, stream, more))
        assert connection.kinds(1.0).count(DATA) <= 16  # of the 49 that 800 kB take


def test_a_slow_reader_gets_its_answer_and_holds_nobody_up(unix: Target) -> None:
    messages = [m.SerializeToString() for m in sound(size_wh=(700, 600), encoding=Encoding.RAW)]
    with attacked(unix), unix.channel(("grpc.http2.lookahead_bytes", 1024)) as channel:
        answers = 0
        for _ in channel.stream_stream(CALL)(iter(messages), timeout=60):
            answers += 1
            time.sleep(0.1)
            unix.good_call()
        assert answers > 4


def test_calls_cancelled_at_once_by_a_client_of_grpc(unix: Target) -> None:
    with attacked(unix), unix.channel() as channel:
        stub = channel.stream_stream(CALL)
        messages = [message.SerializeToString() for message in sound()]
        for _ in range(300):
            stub(iter(messages), timeout=30).cancel()
        unix.until_idle()


def _ended(target: Target) -> list[str]:
    """The lines of the calls that have ended."""
    return [line for line in target.log_lines() if '"event": "call"' in line]
