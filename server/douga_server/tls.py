"""Certificates: checked before anybody listens, and taken up anew when their files change."""

from __future__ import annotations

import logging
import os
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc

from douga_server.errors import SetupError

log = logging.getLogger(__name__)
_NOT_YET_VALID, _EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True)
class TlsFiles:
    """PEM files. cert: the server's certificate, behind it those of the authorities between. key: its key.

    client_ca: with it every client must show a certificate that this authority signed.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file that is there."""
        return (self.cert, self.key) if self.client_ca is None else (self.cert, self.key, self.client_ca)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that follow their files: a new connection sees a changed certificate. Raises SetupError."""
    source = _Certificates(files)
    return grpc.dynamic_ssl_server_credentials(
        source.initial, source.fetch, require_client_authentication=files.client_ca is not None
    )


class _Certificates:
    """What the files say, asked before every handshake, by a thread of gRPC's."""

    def __init__(self, files: TlsFiles) -> None:
        self._files, self._lock = files, threading.Lock()
        self._seen = self._state()
        self.initial = load(files)

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """The new configuration, or None where nothing has changed or the change cannot be used."""
        with self._lock:
            state = self._state()
            if state == self._seen:
                return None
            self._seen = state
            try:
                configuration = load(self._files)
            except SetupError as exc:
                log.warning("%s; the former certificate stays in use", exc)
                return None
            log.info("the certificate files have changed; new connections see the new certificate")
            return configuration

    def _state(self) -> tuple[object, ...]:
        states: list[object] = []
        for path in self._files.all:
            try:
                found = os.stat(path)
            except OSError:
                states.append(None)
            else:
                states.append((found.st_mtime_ns, found.st_ino, found.st_size))
        return tuple(states)


def load(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    """Read the files and try a handshake with them. Raises SetupError with what is wrong."""
    for path in files.all:
        if b"-----BEGIN" not in _read(path):
            raise SetupError(f"{path}: expected a PEM file, with a line -----BEGIN ...-----")
    _try_handshake(_context(files), files.cert)
    roots = None if files.client_ca is None else _read(files.client_ca)
    return grpc.ssl_server_certificate_configuration(
        [(_read(files.key), _read(files.cert))], root_certificates=roots
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise SetupError(f"{path}: cannot be read: {exc.strerror}") from exc


def _context(files: TlsFiles) -> ssl.SSLContext:
    """A server's context. Raises SetupError for a key that does not fit, or is encrypted."""

    def refuse() -> str:
        raise SetupError(
            f"{files.key}: the key is encrypted, and a server has nobody to ask for the password; "
            f"give it decrypted: openssl pkey -in {files.key} -out server.key"
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.cert, files.key, password=refuse)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise SetupError(f"{files.key}: this key does not fit the certificate {files.cert}") from exc
        raise SetupError(f"{files.cert}, {files.key}: no certificate with its key: {exc.reason}") from exc
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except ssl.SSLError as exc:
            raise SetupError(f"{files.client_ca}: no certificate of an authority: {exc.reason}") from exc
    return context


def _try_handshake(server: ssl.SSLContext, cert: Path) -> None:
    """Shake hands in memory with a client that trusts this certificate: what it objects to, all would."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cert)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_side=False),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(3):  # more flights than a handshake has
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as exc:
                raise SetupError(f"{cert}: {_objection(exc)}") from exc
            except ssl.SSLError as exc:
                raise SetupError(f"{cert}: cannot be used by a server: {exc.reason}") from exc


def _objection(exc: ssl.SSLCertVerificationError) -> str:
    known = {
        _EXPIRED: "this certificate has expired; renew it",
        _NOT_YET_VALID: "this certificate is not valid yet; look at the clock of this machine",
    }
    return known.get(exc.verify_code, f"no client would accept this certificate: {exc.verify_message}")
