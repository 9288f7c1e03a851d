"""The way to a server: its address, what proves who we are, and how a channel to it is set up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc

from douga.errors import InputError, MissingInputError
from douga_server import discovery
from douga_server.address import DEFAULT_PORT, parse_address
from douga_server.auth import read_tokens
from douga_server.client_errors import UnreachableError
from douga_server.errors import SetupError

_ANY = f"127.0.0.1:{DEFAULT_PORT}"  # until the discovery file was read

# gRPC keeps what it has sent, for a retry, only up to here; by default 256 kB, and above it never retries.
_RETRY_BUFFER_BYTES = 256 << 20
_MAX_MESSAGE_BYTES = 16 << 20  # what comes are chunks of 1 MiB
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "douga_proto.v1.DougaService"}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 3,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
_OPTIONS = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.per_rpc_retry_buffer_size", _RETRY_BUFFER_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    # A machine that was switched off says nothing. Pings go out only while a call is under way.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A server that comes back is found again within two seconds.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Frames go straight to the studio's server, never by way of a proxy that is meant for the web.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is and what it wants to see.

    address: "HOST:PORT" or "unix:PATH". token_file: holds the token; it is read anew for every call, so that
    a changed token is used at once. tls_ca: PEM file of the authority that signed the server's certificate;
    without it the system's are trusted. tls_cert, tls_key: our own certificate, where the server wants one.
    token: the token itself, where no file has it. tls: go by TLS although the address needs none; any but the
    loopback and a Unix socket does. announced: token and tls come from the discovery file; anywhere: so does
    the address, and a server that is started anew is followed wherever it is.

    Raises InputError for what cannot be.
    """

    address: str
    token_file: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token: str | None = field(default=None, repr=False)
    tls: bool = False
    announced: bool = False
    anywhere: bool = False

    def __post_init__(self) -> None:
        local = parse_address(self.address)
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("--tls-cert and --tls-key belong together: give the certificate and its key")
        if local.is_unix and self._has_tls_files:
            raise InputError(f"{self.address}: a Unix socket needs no TLS; leave the --tls options out")

    @property
    def is_secure(self) -> bool:
        """Whether the way goes by TLS."""
        return self.tls or self._has_tls_files or not parse_address(self.address).is_local

    @property
    def _has_tls_files(self) -> bool:
        return self.tls_ca is not None or self.tls_cert is not None

    @property
    def has_token(self) -> bool:
        """Whether calls carry a token."""
        return self.token is not None or self.token_file is not None

    def renewed(self) -> ServerAddress:
        """What the discovery file says of it now, where it comes from there; otherwise as it was."""
        return (self._announced_now() if self.announced else None) or self

    def _announced_now(self) -> ServerAddress | None:
        try:
            found = discovery.find()
        except SetupError:
            if self.anywhere:
                raise
            return None  # whoever gave an address did not ask for the file
        if found is None or not (self.anywhere or found.address == parse_address(self.address).target):
            return None
        address = discovery.reachable(parse_address(found.address)).target
        return replace(self, address=address, token=found.token, tls=found.tls, announced=True)

    def channel(self, *, retries: bool = True) -> grpc.Channel:
        """A channel; it connects with the first call. Raises InputError for files that cannot be read.

        retries: gRPC sends a call again that ended with UNAVAILABLE before anything came back.
        """
        options = (("grpc.enable_retries", int(retries)), *_OPTIONS)
        if not self.is_secure:
            return grpc.insecure_channel(parse_address(self.address).target, options=options)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_read(self.tls_ca),
            private_key=_read(self.tls_key),
            certificate_chain=_read(self.tls_cert),
        )
        # The name as it was given: it has to stand in the certificate.
        return grpc.secure_channel(self.address, credentials, options=options)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries. Raises SetupError for a token file that is missing or has none."""
        token = self.token if self.token_file is None else read_tokens(self.token_file)[0]
        return () if token is None else (("authorization", f"Bearer {token}"),)


def find_server(
    address: str,
    *,
    token_file: Path | None = None,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> ServerAddress:
    """The server that a user named; "auto" is the one that the same user started on this machine.

    Where that one is named by its address, its token is found all the same. Raises UnreachableError where
    none is announced, InputError, SetupError.
    """
    is_auto = address == "auto"
    named = ServerAddress(
        _ANY if is_auto else address, token_file, tls_ca, tls_cert, tls_key, anywhere=is_auto
    )
    if not is_auto and (token_file is not None or not parse_address(address).is_local):
        return named
    found = named._announced_now()
    if found is None and is_auto:
        raise UnreachableError(
            "no server of yours runs on this machine; start one with `douga serve`, or say where it is with "
            "--server HOST:PORT",
            listening=False,
        )
    return found or named


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise MissingInputError(f"{path}: no such file; look at the --tls options") from exc
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
