"""Where a server is and how to talk to it."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field

from .errors import ClientError, Kind

_UNIX = "unix:"


@dataclass(frozen=True)
class Address:
    """Host and port, or the path of a Unix socket; the other is empty."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_local(self) -> bool:
        """Whether what is sent there never leaves this machine."""
        return bool(self.path) or (self.is_literal and ipaddress.ip_address(self.host).is_loopback)

    @property
    def is_literal(self) -> bool:
        """Whether the host is an IP address, so that nobody has to be asked for it."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def target(self) -> str:
        """As people write it: "127.0.0.1:7610", "[::1]:7610", "unix:/run/douga.sock"."""
        if self.path:
            return _UNIX + self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Target:
    """A server to talk to.

    token: of the server, empty for none. tls: whether the channel is encrypted. ca_file: PEM of the authority
    that signed its certificate, empty for the system's. cert_file, key_file: of the client, PEM, empty for
    none. python: a Python that may look host names up, see `resolve`.
    """

    address: Address
    token: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    python: str = ""

    def __post_init__(self) -> None:
        if self.token and not self.tls and not self.address.is_local:
            raise ClientError(Kind.PLAIN_TOKEN, address=self.address.target)
        if not all("!" <= c <= "~" for c in self.token):  # it travels as a header
            raise ClientError(Kind.TOKEN_REFUSED, address=self.address.target)


def parse_address(text: str) -> Address:
    """Read HOST:PORT, [IPV6]:PORT or unix:PATH; localhost becomes 127.0.0.1. Raises ClientError."""
    text = text.strip()
    if text.startswith(_UNIX) and len(text) > len(_UNIX) and "\0" not in text:
        return Address(path=os.path.abspath(text[len(_UNIX) :]))
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    sound = colon and bare and port.isdecimal() and 0 < int(port[:6]) < 65536
    if (
        not sound
        or (":" in bare and bare == host)
        or any(c.isspace() for c in bare)
        or text.startswith(_UNIX)
    ):
        raise ClientError(Kind.BAD_ADDRESS, address=text or "''")
    return Address(host="127.0.0.1" if bare.lower() == "localhost" else bare, port=int(port))
