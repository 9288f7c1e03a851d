"""The connection against our real server and against servers that misbehave; every wait is bounded."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from client_serving import ServerProcess, drawing, expected_mask, request
from douga_client import contract as c
from douga_client import transport
from douga_client.address import Address, Target, parse_address
from douga_client.answers import AnswerReader, requests
from douga_client.call import Call, Requests
from douga_client.connection import Connection
from douga_client.errors import ClientError, Kind
from douga_client.pixels import pack
from douga_client.statuses import error_of

TOKEN = "correct-horse-battery"


def run(call: Call, connection: Connection, timeout_s: float = 20) -> list[bytes]:
    """Pump until the call is done; its messages."""
    messages, until_s = [], time.monotonic() + timeout_s
    while True:
        is_done = call.is_done
        messages += call.take()
        if is_done:
            return messages
        assert time.monotonic() < until_s, "the call did not end"
        connection.pump()
        time.sleep(0.001)


def ask(connection: Connection, timeout_s: float = 10) -> tuple[ClientError | None, list[bytes]]:
    """GetCapabilities: how it ended."""
    call = connection.call(c.METHODS["GetCapabilities"], iter([b""]), timeout_s=timeout_s)
    return error_of(call, connection.target) if call.is_done else None, run(call, connection)


def kind_of(target: Target) -> Kind | None:
    """What comes of asking a server: None for an answer."""
    try:
        connection = Connection(target)
    except ClientError as exc:
        return exc.kind
    try:
        call = connection.call(c.METHODS["GetCapabilities"], iter([b""]), timeout_s=10)
        run(call, connection)
        error = error_of(call, target)
        assert error is None or error.text() != error.text("ja")
        return error.kind if error else None
    finally:
        connection.close()


def messages_of(width: int, height: int, **options: Any) -> Iterator[bytes]:
    asked = request(drawing(width, height), **options)
    steps = pack(asked.frame, c.PixelEncoding.RAW)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return requests(asked, [end.value], "", 1 << 20)


@contextmanager
def scripted(answer: Any) -> Iterator[Target]:
    """A plain gRPC server whose calls are `answer(request_or_requests, context)`."""
    from douga_proto.v1.douga_pb2_grpc import DougaServiceServicer, add_DougaServiceServicer_to_server

    servicer = DougaServiceServicer()
    servicer.GetCapabilities = servicer.Reconstruct = servicer.Cutout = answer
    server = grpc.server(ThreadPoolExecutor(2))
    add_DougaServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Target(Address("127.0.0.1", port))
    finally:
        server.stop(None).wait()


@contextmanager
def listening(say: bytes = b"", *, then_close: bool = False) -> Iterator[Target]:
    """A socket that says something to whoever comes, whatever they say."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        peers = []

        def serve() -> None:
            peer, _ = server.accept()
            peers.append(peer)
            if then_close:
                peer.recv(65536)  # what is left unread would make the end a reset, which eats what was said
            peer.sendall(say)
            if then_close:
                peer.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(serve)
            yield Target(Address("127.0.0.1", server.getsockname()[1]))
        for peer in peers:
            peer.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("plain"), "--address", "127.0.0.1:0") as running:
        yield running


@pytest.fixture
def target(server: ServerProcess) -> Target:
    return Target(parse_address(server.address), server.token)


def test_one_connection_answers_calls_of_every_kind(target: Target) -> None:
    connection = Connection(target)
    for _ in range(2):
        call = connection.call(c.METHODS["GetCapabilities"], iter([b""]), timeout_s=10)
        (data,) = run(call, connection)
        assert call.status is not None
        assert call.status.code == 0
        assert c.GetCapabilitiesResponse.decoded(data).backend == "local"
    first = connection.call(c.METHODS["Reconstruct"], messages_of(64, 48), timeout_s=10)
    second = connection.call(c.METHODS["Reconstruct"], messages_of(32, 32), timeout_s=10)
    for call, pixels in ((second, drawing(32, 32)), (first, drawing(64, 48))):
        reader = AnswerReader(request(pixels))
        for message in run(call, connection):
            reader.add(message)
        assert finished(reader).cel_mask == expected_mask(pixels)
    connection.close()


def finished(reader: AnswerReader) -> Any:
    steps = reader.result()
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def test_a_sequence_goes_both_ways_at_once(target: Target) -> None:
    """Frame by frame: the second is sent after the first has been answered."""
    connection, answered, pixels = Connection(target), 0, drawing(16, 8)

    def messages() -> Requests:
        yield c.ReconstructSequenceRequest(start=c.SequenceStart()).encoded()
        for number in range(3):
            while answered < number:
                yield None
            header = c.ImageHeader(16, 8, c.PixelLayout.BGRA8, c.PixelEncoding.RAW, len(pixels.data))
            yield c.ReconstructSequenceRequest(frame=c.SequenceFrame(number, header)).encoded()
            yield c.ReconstructSequenceRequest(chunk=c.Chunk(c.Plane.FRAME, bytes(pixels.data))).encoded()

    call = connection.call(c.METHODS["ReconstructSequence"], messages(), timeout_s=20)
    until_s = time.monotonic() + 20
    while not call.is_done and time.monotonic() < until_s:
        connection.pump()
        for data in call.take():
            part = c.ReconstructSequenceResponse.decoded(data)
            answered += part.result is not None
        time.sleep(0.001)
    assert (call.status and call.status.code, answered) == (0, 3)
    connection.close()


def test_a_large_frame_obeys_flow_control_and_holds_nobody_up(target: Target) -> None:
    connection, longest_s = Connection(target), 0.0
    call = connection.call(c.METHODS["Reconstruct"], messages_of(3840, 2160), timeout_s=60)
    reader = AnswerReader(request(drawing(8, 8)))
    until_s = time.monotonic() + 60
    while not call.is_done or reader.share < 1:
        begun_s = time.thread_time()
        connection.pump()
        longest_s = max(longest_s, time.thread_time() - begun_s)
        for message in call.take():
            reader.add(message)
        assert len(connection._out) + len(connection._http._data_to_send) < 2 << 20
        assert time.monotonic() < until_s
        time.sleep(0.001)
    assert finished(reader).class_map == b"\1" * 3840 * 2160
    assert longest_s < 0.05
    connection.close()


def test_a_deadline_ends_a_call_here_and_there(server: ServerProcess, target: Target) -> None:
    server.hold.touch()
    connection = Connection(target)
    try:
        call = connection.call(c.METHODS["Reconstruct"], messages_of(16, 16), timeout_s=0.4)
        run(call, connection)
        error = error_of(call, target)
        assert error is not None
        assert error.kind is Kind.TOO_SLOW
        assert "0.4 s" in error.text()
    finally:
        server.hold.unlink()
    assert ask(connection)[1], "the connection is as good as before"
    connection.close()


def test_cancelling_in_the_middle_leaves_the_connection_as_it_was(
    server: ServerProcess, target: Target
) -> None:
    server.hold.touch()
    connection = Connection(target)
    try:
        call = connection.call(c.METHODS["Reconstruct"], messages_of(640, 480), timeout_s=20)
        until_s = time.monotonic() + 10
        while not call.take() and time.monotonic() < until_s:
            connection.pump()
        call.cancel()
        assert error_of(call, target).kind is Kind.LOST or call.status.code == 1  # type: ignore[union-attr]
    finally:
        server.hold.unlink()
    connection.pump()
    assert not connection._calls
    assert ask(connection)[1]
    connection.close()


def test_a_token_is_asked_for_and_compared(target: Target) -> None:
    assert kind_of(Target(target.address)) is Kind.TOKEN_NEEDED
    assert kind_of(Target(target.address, "wrong")) is Kind.TOKEN_REFUSED
    assert kind_of(target) is None


def test_a_large_frame_without_a_token_is_refused_before_it_is_sent(target: Target) -> None:
    connection = Connection(Target(target.address))
    call = connection.call(c.METHODS["Reconstruct"], messages_of(1920, 1080), timeout_s=10)
    run(call, connection)
    assert error_of(call, connection.target).kind is Kind.TOKEN_NEEDED  # type: ignore[union-attr]
    assert call.sent_bytes < 8_000_000
    connection.close()


def test_a_token_never_leaves_this_machine_in_the_clear() -> None:
    with pytest.raises(ClientError, match="Turn TLS on") as caught:
        Target(parse_address("render.studio:7610"), TOKEN)
    assert caught.value.kind is Kind.PLAIN_TOKEN
    assert TOKEN not in repr(Target(parse_address("127.0.0.1:1"), TOKEN))


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_a_unix_socket_needs_no_token(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with ServerProcess(tmp_path, "--address", f"unix:{path}"):
        assert kind_of(Target(parse_address(f"unix:{path}"))) is None
    if os.geteuid():
        path.touch(0)
        assert kind_of(Target(Address(path=str(path)))) in (Kind.SOCKET_DENIED, Kind.NO_SERVER)


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_with_token_and_a_certificate_of_ours(tmp_path: Path, mutual: bool) -> None:
    authority, token = trustme.CA(), tmp_path / "token"
    files = _certificate(authority, tmp_path, "server")
    mine = _certificate(authority, tmp_path, "client")
    token.write_text(TOKEN)
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    arguments = ["--address", "127.0.0.1:0", "--tls-cert", files[0], "--tls-key", files[1]]
    arguments += ["--token-file", str(token)] + (["--client-ca", str(ca)] if mutual else [])
    with ServerProcess(tmp_path, *arguments) as server:
        here = Address("localhost", server.port)
        good = Target(here, TOKEN, tls=True, ca_file=str(ca), cert_file=mine[0], key_file=mine[1])
        assert kind_of(good) is None
        assert kind_of(Target(here, tls=True, ca_file=str(ca), cert_file=mine[0], key_file=mine[1])) is (
            Kind.TOKEN_NEEDED
        )
        bare = kind_of(Target(here, TOKEN, tls=True, ca_file=str(ca)))
        assert bare is (Kind.CERTIFICATE_NEEDED if mutual else None)
        assert kind_of(Target(here, TOKEN, tls=True)) is Kind.TLS_UNTRUSTED
        by_number = Target(parse_address(server.address), TOKEN, tls=True, ca_file=str(ca))
        assert kind_of(by_number) is Kind.TLS_UNTRUSTED, "the certificate is made out to localhost"
        assert kind_of(Target(parse_address(server.address))) is Kind.TLS_NEEDED


def _certificate(authority: trustme.CA, folder: Path, name: str) -> tuple[str, str]:
    issued = authority.issue_cert("localhost")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued.private_key_pem.write_to_path(key)
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return str(cert), str(key)


def test_tls_to_a_server_without_it(target: Target, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    assert kind_of(Target(target.address, tls=True, ca_file=str(ca))) is Kind.TLS_NOT_SPOKEN
    assert kind_of(Target(target.address, tls=True, ca_file=str(tmp_path / "none"))) is Kind.TLS_FILES
    (tmp_path / "empty").touch()
    assert kind_of(Target(target.address, tls=True, ca_file=str(tmp_path / "empty"))) is Kind.TLS_FILES


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert kind_of(Target(Address("127.0.0.1", port))) is Kind.NO_SERVER
    assert kind_of(Target(Address(path="/nonexistent/douga.sock"))) is Kind.NO_SERVER


def test_a_machine_without_this_family_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(transport.socket, "socket", none)
    assert kind_of(Target(Address("127.0.0.1", 7610), "")) in (Kind.UNREACHABLE, Kind.NO_SERVER)


@pytest.mark.parametrize(
    ("say", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Kind.NOT_DOUGA),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" * 4, Kind.NOT_DOUGA),
        (b"\x15\x03\x03\x00\x02\x02\x28", Kind.TLS_NEEDED),
        (b"", Kind.TLS_NEEDED),
    ],
)
def test_somebody_else_is_there(say: bytes, kind: Kind) -> None:
    with listening(say, then_close=True) as target:
        assert kind_of(target) is kind


def test_a_server_that_says_nothing_costs_no_more_than_the_deadline() -> None:
    with listening() as target:
        connection = Connection(target)
        call = connection.call(c.METHODS["GetCapabilities"], iter([b""]), timeout_s=0.3)
        run(call, connection, timeout_s=5)
        assert error_of(call, target).kind is Kind.TOO_SLOW  # type: ignore[union-attr]
        connection.close()


def test_a_server_that_dies_in_the_middle_is_told_as_such(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--address", "127.0.0.1:0") as server:
        server.hold.touch()
        connection = Connection(Target(parse_address(server.address), server.token))
        call = connection.call(c.METHODS["Reconstruct"], messages_of(64, 64), timeout_s=20)
        until_s = time.monotonic() + 10
        while not call.take() and time.monotonic() < until_s:
            connection.pump()
        server.kill()
        run(call, connection)
        assert error_of(call, connection.target).kind is Kind.LOST  # type: ignore[union-attr]
        assert not connection.takes_calls


def test_a_server_that_goes_down_in_order_finishes_what_is_under_way(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--address", "127.0.0.1:0") as server:
        server.hold.touch()
        connection = Connection(Target(parse_address(server.address), server.token))
        call = connection.call(c.METHODS["Reconstruct"], messages_of(64, 64), timeout_s=20)
        until_s = time.monotonic() + 10
        while not call.take() and time.monotonic() < until_s:
            connection.pump()
        server.process.terminate()
        time.sleep(0.3)
        connection.pump()
        server.hold.unlink()
        run(call, connection)
        connection.close()
        assert error_of(call, connection.target) is None


def test_goaway_in_the_middle_of_an_answer_does_not_cut_it_off() -> None:
    """h2 itself would refuse every frame after it."""
    import h2.config
    import h2.connection
    import h2.events

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(10)

        def serve() -> None:
            peer, _ = listener.accept()
            http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            http.initiate_connection()
            number = 0
            while not number:
                for event in http.receive_data(peer.recv(65536)):
                    number = event.stream_id if isinstance(event, h2.events.StreamEnded) else number
            peer.sendall(http.data_to_send())
            http.send_headers(number, [(":status", "200"), ("content-type", "application/grpc")])
            first = http.data_to_send()
            goaway = b"\0\0\x08\x07\0\0\0\0\0" + (number).to_bytes(4, "big") + bytes(4)
            http.send_data(number, b"\0\0\0\0\2ok")
            http.send_headers(number, [("grpc-status", "0")], end_stream=True)
            peer.sendall(first + goaway + http.data_to_send())
            with peer:
                peer.settimeout(5)
                while peer.recv(65536):
                    pass

        pool.submit(serve)
        connection = Connection(Target(Address("127.0.0.1", listener.getsockname()[1])))
        call = connection.call("/x/y", iter([b"hello"]), timeout_s=10)
        assert run(call, connection) == [b"ok"]
        assert call.status is not None
        assert call.status.code == 0
        connection.pump()
        assert connection.is_closed
        assert connection.error is None


def test_the_words_of_an_error_come_whole() -> None:
    def refuse(message: Any, context: Any) -> Any:
        context.set_trailing_metadata((("retry-after-ms", "250"),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "100 % voll: 3 Bilder, だめ")

    with scripted(refuse) as target:
        connection = Connection(target)
        call = connection.call(c.METHODS["GetCapabilities"], iter([b""]), timeout_s=10)
        run(call, connection)
        error = error_of(call, target)
        connection.close()
    assert error is not None
    assert (error.kind, error.retry_after_ms, error.mend.value) == (Kind.BUSY, 250, "retry")
    assert "100 % voll: 3 Bilder, だめ" in error.text()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_ARGUMENT", Kind.BAD_REQUEST),
        ("RESOURCE_EXHAUSTED", Kind.TOO_LARGE),
        ("UNIMPLEMENTED", Kind.NOT_SUPPORTED),
        ("UNAVAILABLE", Kind.LOADING),
        ("INTERNAL", Kind.SERVER_FAILED),
        ("DATA_LOSS", Kind.SERVER_FAILED),
        ("PERMISSION_DENIED", Kind.TOKEN_NEEDED),
        ("CANCELLED", Kind.LOST),
        ("DEADLINE_EXCEEDED", Kind.TOO_SLOW),
    ],
)
def test_every_status_has_its_kind(code: str, kind: Kind) -> None:
    with scripted(lambda _, context: context.abort(grpc.StatusCode[code], "so it is")) as target:
        assert kind_of(target) is kind


def test_a_message_larger_than_agreed_ends_the_call() -> None:
    from douga_proto.v1 import douga_pb2

    answer = douga_pb2.GetCapabilitiesResponse(version="x" * 3_000_000)
    with scripted(lambda *_: answer) as target:
        connection = Connection(target)
        call = connection.call(
            c.METHODS["GetCapabilities"], iter([b""]), timeout_s=10, largest_message=1 << 20
        )
        run(call, connection)
        assert call.error is not None
        assert call.error.kind is Kind.OTHER_VERSION
        connection.close()


def test_a_host_name_is_looked_up_without_waiting(target: Target) -> None:
    import sys

    assert kind_of(Target(Address("localhost", target.address.port), "", python=sys.executable)) in (
        Kind.PLAIN_TOKEN,
        Kind.TOKEN_NEEDED,
    )
    nobody = Target(Address("no-such-host.invalid", 1), python=sys.executable)
    connection = Connection(nobody)
    call = connection.call("/x/y", iter([b""]), timeout_s=20)
    begun_s = time.monotonic()
    connection.pump()
    assert time.monotonic() - begun_s < 1
    run(call, connection)
    assert error_of(call, nobody).kind is Kind.NAME_UNKNOWN  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["", "localhost", "host:0", "host:99999", "::1:80", "unix:", "a b:80", "h:-1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse_address(text)
    assert caught.value.kind is Kind.BAD_ADDRESS


def test_addresses_are_written_as_people_write_them() -> None:
    for text in ("127.0.0.1:7610", "[::1]:7610", "unix:/run/douga.sock", "render.studio:1"):
        assert parse_address(text).target == text
    assert parse_address("localhost:5").host == "127.0.0.1"
    assert ssl.HAS_ALPN
