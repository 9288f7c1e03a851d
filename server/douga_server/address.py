"""Where the server listens, and whether that place is open to anybody but this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from douga.errors import InputError
from douga_server.errors import SetupError

DEFAULT_PORT = 7610
_UNIX = "unix:"
_MAX_UNIX_BYTES = 100  # the kernel's own limit is 104 to 108, by system


@dataclass(frozen=True)
class Address:
    """Host and port, or the path of a Unix socket; the other is empty. port 0: any that is free."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return bool(self.path)

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it. A name other than localhost counts as open: it may move."""
        if self.is_unix:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def target(self) -> str:
        """As gRPC, clients and people write it: "127.0.0.1:7610", "[::1]:7610", "unix:/run/douga.sock"."""
        if self.is_unix:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read HOST:PORT, [IPV6]:PORT or unix:PATH; localhost becomes 127.0.0.1. Raises InputError."""
    if text.startswith(_UNIX):
        return _unix_address(text)
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or not port.isdecimal() or int(port) > 65535 or (":" in bare and bare == host):
        raise InputError(
            f"address {text!r}: expected HOST:PORT, [IPV6]:PORT or unix:PATH, e.g. 127.0.0.1:{DEFAULT_PORT}"
        )
    return Address(host="127.0.0.1" if bare.lower() == "localhost" else bare, port=int(port))


def _unix_address(text: str) -> Address:
    if not hasattr(socket, "AF_UNIX"):
        raise InputError(f"address {text!r}: this system has no Unix sockets; use 127.0.0.1:{DEFAULT_PORT}")
    path = text.removeprefix(_UNIX)
    if not path or "\0" in path:
        raise InputError(f"address {text!r}: expected unix:PATH with the path of a socket")
    absolute = os.path.abspath(path)
    if len(os.fsencode(absolute)) > _MAX_UNIX_BYTES:
        raise InputError(f"address {text!r}: the path has more than {_MAX_UNIX_BYTES} bytes; use a shorter")
    return Address(path=absolute)


def answers(address: Address, timeout_s: float = 1.0) -> bool:
    """Whether somebody accepts connections there."""
    try:
        if address.is_unix:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(timeout_s)
                probe.connect(address.path)
        else:
            socket.create_connection((address.host, address.port), timeout_s).close()
    except OSError:
        return False
    return True


def prepare_unix_path(path: Path) -> None:
    """Make the socket's folder (0700) where it is missing and clear away a socket that nobody serves.

    Raises SetupError where something else is there, or another server.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as exc:
        raise SetupError(f"{path}: cannot be used for a socket: {exc.strerror}; choose another path") from exc
    if not stat.S_ISSOCK(found.st_mode):
        raise SetupError(f"{path}: is there and is no socket; remove it or choose another path")
    if answers(Address(path=str(path))):
        raise SetupError(f"{path}: another server listens there; stop it or choose another path")
    path.unlink(missing_ok=True)


def why_not(address: Address) -> str:
    """Why gRPC could not bind an address, which it does not say itself, and what to do."""
    if address.is_unix:
        return "its folder cannot be written; choose another path"
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.bind((address.host, address.port))
    except OSError as exc:
        return f"{exc.strerror or exc}; stop what listens there or choose another address"
    return "it cannot be bound; choose another address"
