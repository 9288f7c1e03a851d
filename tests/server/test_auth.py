"""Who may call: tokens, TLS, certificates of clients, and all of them changed while the server runs."""

from __future__ import annotations

import asyncio
import datetime
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from conftest import write_certificate
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1.douga_pb2_grpc import DougaServiceStub
from douga_server.auth import TokenFile, Tokens
from douga_server.codec_client import requests
from douga_server.errors import SetupError
from douga_server.jobs import Options
from douga_server.statuses import RULES_OF_LAST_RESORT, rule_of
from douga_server.tls import TlsFiles, load, server_credentials
from fronts import FakeBackend, Running, drawing, open_channel, running, until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

Code = grpc.StatusCode
OLD, NEW = "old-token-0123456789", "new-token-0123456789"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        ([("authorization", f"Bearer {OLD}")], True),
        ([("authorization", f"bearer {OLD}")], True),
        ([("other", "x"), ("authorization", f"Bearer {OLD}")], True),
        ([], False),
        ([("authorization", OLD)], False),
        ([("authorization", "Bearer ")], False),
        ([("authorization", f"Bearer {OLD}x")], False),
        ([("authorization", f"Bearer {OLD[:-1]}")], False),
        ([("authorization", f"Basic {OLD}")], False),
        ([("authorization", f"Bearer {OLD}".encode())], False),
        ([("authorization", "Bearer \udcff")], False),
        ([("authorization", f"Bearer {OLD}"), ("authorization", f"Bearer {OLD}")], False),
    ],
)
def test_one_good_bearer_token_and_nothing_else_lets_in(headers: list[tuple[str, str]], good: bool) -> None:
    assert Tokens([OLD]).allow(headers) is good


def test_a_random_token_is_new_each_time() -> None:
    assert len({Tokens.random().current for _ in range(10)}) == 10


def test_a_changed_file_changes_the_tokens_at_most_once_a_second(tmp_path: Path) -> None:
    path, clock = tmp_path / "token", Clock()
    path.write_text(f"{OLD}\n")
    tokens = TokenFile(path, clock)
    assert _lets_in(tokens, OLD)
    path.write_text(f"\n{NEW}\n{OLD}\n")
    assert not _lets_in(tokens, NEW)
    clock.now_s += 1.5
    assert _lets_in(tokens, NEW)
    assert _lets_in(tokens, OLD)
    assert tokens.current == NEW
    replacement = tmp_path / "replacement"
    replacement.write_text(NEW)
    os.replace(replacement, path)
    clock.now_s += 1.5
    assert _lets_in(tokens, NEW)
    assert not _lets_in(tokens, OLD)


@pytest.mark.parametrize("damage", ["", "short\n", None])
def test_a_file_that_became_unusable_leaves_the_former_tokens(
    tmp_path: Path, damage: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "token", Clock()
    path.write_text(OLD)
    tokens = TokenFile(path, clock)
    path.unlink() if damage is None else path.write_text(damage)
    clock.now_s += 1.5
    assert _lets_in(tokens, OLD)
    assert not _lets_in(tokens, "short")
    assert "the former tokens stay good" in caplog.text
    assert OLD not in caplog.text


@pytest.mark.parametrize(
    "text", ["", "\n\n", "short", "with space 0123456789", "täglich-0123456789-abc", "x" * 70_000]
)
def test_a_token_file_without_a_sound_token_is_an_error_that_does_not_tell_it(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(SetupError) as caught:
        TokenFile(path)
    assert "make one with" in str(caught.value)
    assert text.strip() == "" or text not in str(caught.value)


def test_nothing_is_answered_without_the_token_not_even_health() -> None:
    async def play() -> None:
        async with running(tokens=Tokens.random()) as server:
            for metadata in ((), (("authorization", "Bearer wrong-token-0123456789"),)):
                for status, details in await asyncio.to_thread(_call_everything, server, metadata):
                    assert status is Code.UNAUTHENTICATED
                    assert "authorization: Bearer" in details
            assert not server.backend.seen
            answers = await asyncio.to_thread(_call_everything, server, server.metadata)
            assert [status for status, _ in answers] == [Code.OK] * 4

    asyncio.run(play())


def test_a_call_under_way_ends_well_though_its_token_is_changed(tmp_path: Path) -> None:
    path, clock = tmp_path / "token", Clock()
    path.write_text(OLD)

    async def play() -> None:
        tokens = TokenFile(path, clock)
        async with running(backend=FakeBackend(held=True), tokens=tokens) as server:
            call = asyncio.create_task(server.reconstruct())
            await until(lambda: server.backend.running == 1)
            path.write_text(NEW)
            clock.now_s += 1.5
            assert (await server.status_of(requests(drawing(), Options()))).code() is Code.UNAUTHENTICATED
            server.backend.release.set()
            await call

    asyncio.run(play())


def test_tls_and_token_together(authority: trustme.CA, tls_files: TlsFiles) -> None:
    async def play() -> None:
        credentials = server_credentials(tls_files)
        async with running(
            credentials=credentials, channel_credentials=_trusting(authority), tokens=Tokens.random()
        ) as server:
            await server.reconstruct()
            assert await _code(server, open_channel(server.address)) is Code.UNAVAILABLE  # no TLS
            stranger = grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes())
            assert await _code(server, open_channel(server.address, stranger)) is Code.UNAVAILABLE

    asyncio.run(play())


def test_with_a_client_authority_only_its_clients_get_in(authority: trustme.CA, tmp_path: Path) -> None:
    clients, others = trustme.CA(), trustme.CA()
    (tmp_path / "clients.pem").write_bytes(clients.cert_pem.bytes())
    plain = write_certificate(authority, tmp_path)
    files = TlsFiles(plain.cert, plain.key, tmp_path / "clients.pem")

    async def play() -> None:
        async with running(
            credentials=server_credentials(files), channel_credentials=_trusting(authority, clients)
        ) as server:
            await server.reconstruct()
            for wrong in (_trusting(authority), _trusting(authority, others)):
                assert await _code(server, open_channel(server.address, wrong)) is Code.UNAVAILABLE

    asyncio.run(play())


def test_new_connections_see_a_changed_certificate_and_a_broken_one_changes_nothing(
    authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, new = write_certificate(authority, tmp_path), trustme.CA()

    async def play() -> None:
        async with running(
            credentials=server_credentials(files), channel_credentials=_trusting(authority)
        ) as server:
            await server.reconstruct()
            files.cert.write_text("half a cert")
            assert await _code(server, open_channel(server.address, _trusting(authority))) is Code.OK
            assert "the former certificate stays in use" in caplog.text
            write_certificate(new, tmp_path)
            assert await _code(server, open_channel(server.address, _trusting(new))) is Code.OK
            assert await _code(server, open_channel(server.address, _trusting(authority))) is Code.UNAVAILABLE
            await server.reconstruct()  # the connection that was there lives on

    asyncio.run(play())


def test_certificate_files_that_cannot_be_used_are_named_with_the_reason(
    authority: trustme.CA, tls_files: TlsFiles, tmp_path: Path
) -> None:
    other = write_certificate(authority, tmp_path)
    text = tmp_path / "text.pem"
    text.write_text("no PEM at all")
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    missing = tmp_path / "missing.pem"
    cases = [
        (TlsFiles(tls_files.cert, missing), "missing.pem: cannot be read"),
        (TlsFiles(tls_files.cert, other.key), "does not fit the certificate"),
        (TlsFiles(text, tls_files.key), "expected a PEM file"),
        (TlsFiles(broken, tls_files.key), "no certificate with its key"),
        (TlsFiles(tls_files.cert, tls_files.key, tls_files.key), "no certificate of an authority"),
        (_expired(authority, tmp_path), "has expired"),
        (TlsFiles(tls_files.cert, _encrypted(tls_files.key, tmp_path)), "the key is encrypted"),
    ]
    for files, words in cases:
        with pytest.raises(SetupError, match=words):
            load(files)


def test_every_error_of_douga_has_a_status() -> None:
    """A kind that is added without a thought of its status fails here."""
    import importlib
    import pkgutil

    import douga_server

    from douga.errors import DougaError

    for module in pkgutil.walk_packages(douga_server.__path__, "douga_server."):
        if "ray" not in module.name and not module.name.endswith(("__main__", "cluster", "farm")):
            importlib.import_module(module.name)
    kinds = [kind for kind in _kinds(DougaError) if kind.__module__.startswith(("douga.", "douga_server."))]
    ours = [kind for kind in kinds if kind.__module__ != "douga_server.client_errors"]
    assert len(ours) >= 15
    unmapped = {kind.__name__ for kind in ours if rule_of(kind) is rule_of(DougaError)}
    assert unmapped - {"DougaError"} == RULES_OF_LAST_RESORT


def _kinds(kind: type) -> set[type]:
    return {kind}.union(*(_kinds(child) for child in kind.__subclasses__()))


def _lets_in(tokens: Tokens, token: str) -> bool:
    return tokens.allow([("authorization", f"Bearer {token}")])


def _call_everything(
    server: Running, metadata: tuple[tuple[str, str], ...]
) -> list[tuple[grpc.StatusCode, str]]:
    """One call of each kind: how it ends."""
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(server.address.target) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        douga = DougaServiceStub(channel)
        calls: list[Callable[[], Any]] = [
            lambda: health.Check(health_pb2.HealthCheckRequest(), metadata=metadata),
            lambda: list(reflection.ServerReflectionInfo(iter([ask]), metadata=metadata)),
            lambda: douga.GetCapabilities(pb.GetCapabilitiesRequest(), metadata=metadata),
            lambda: list(douga.Reconstruct(requests(drawing(), Options()), metadata=metadata)),
        ]
        return [_end_of(call) for call in calls]


def _end_of(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return Code.OK, ""


async def _code(server: Running, channel: grpc.aio.Channel) -> grpc.StatusCode:
    """How a frame by way of this channel ends."""
    other = Running(server.front, server.backend, server.batcher, server.address, channel, server.metadata)
    try:
        await other.reconstruct(timeout_s=10)
    except grpc.aio.AioRpcError as error:
        return error.code()
    finally:
        await channel.close()
    return Code.OK


def _trusting(authority: trustme.CA, own: trustme.CA | None = None) -> grpc.ChannelCredentials:
    """A client's credentials; with a certificate of its own where `own` signs one."""
    if own is None:
        return grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    issued = own.issue_cert("artist@studio.example")
    return grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(), issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
    )


def _expired(authority: trustme.CA, folder: Path) -> TlsFiles:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    issued = authority.issue_cert("localhost", not_before=past, not_after=past + datetime.timedelta(days=1))
    files = TlsFiles(folder / "expired.pem", folder / "expired.key")
    issued.cert_chain_pems[0].write_to_path(files.cert)
    issued.private_key_pem.write_to_path(files.key)
    return files


def _encrypted(key: Path, folder: Path) -> Path:
    path = folder / "encrypted.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", str(path), "-passout", "pass:x"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return path
