"""The file by which a server of this machine tells programs of its user where it is.

The server writes it: a JSON object of "address", "port", "pid", "token", "tls" and "version", in
$XDG_RUNTIME_DIR/douga/server.json or ~/.cache/douga/server.json (Windows: %LOCALAPPDATA%/douga/server.json).
Whoever could write it could have our frames, so one that others can write or read is not trusted.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from .address import Address, Target, parse_address
from .errors import ClientError, Kind

_MOST_BYTES = 1 << 16
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Announcement:
    """What the file says. token: empty where none is needed."""

    address: str
    pid: int
    token: str = field(repr=False)
    tls: bool
    version: str

    def target(self) -> Target:
        """How to reach it. Raises ClientError."""
        found = parse_address(self.address)
        host = _EVERYWHERE.get(found.host, found.host)
        return Target(Address(host, found.port, found.path), self.token, self.tls)

    @property
    def is_alive(self) -> bool:
        """Whether its process is there: the file of a killed server stays behind."""
        if self.pid < 1:
            return False
        if os.name == "nt":  # signal 0 would end it; whether somebody answers has to do
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # somebody else's now: the number was given out again
            return False
        return True


def default_path() -> Path:
    """Where it lies, see the module."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return Path(runtime) / "douga" / "server.json"
    local = os.environ.get("LOCALAPPDATA", "") if os.name == "nt" else ""
    return (Path(local) if local else Path.home() / ".cache") / "douga" / "server.json"


def read(path: Path) -> Announcement | None:
    """What the file says; None where there is none or it makes no sense. Raises ClientError."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _not_private(path) from exc
    found = os.fstat(handle)
    if os.name != "nt" and (
        not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077
    ):
        os.close(handle)
        raise _not_private(path)
    with os.fdopen(handle, "rb") as file:
        return _parsed(file.read(_MOST_BYTES))


def _parsed(data: bytes) -> Announcement | None:
    try:
        found = json.loads(data)
        address, token = found["address"], found["token"] or ""
        pid, tls, version = found["pid"], found["tls"], found["version"]
    except (ValueError, TypeError, KeyError):
        return None
    sound = all(isinstance(text, str) for text in (address, token, version))
    return Announcement(address, pid, token, bool(tls), version) if sound and isinstance(pid, int) else None


def _not_private(path: Path) -> ClientError:
    remove = f'del "{path}"' if os.name == "nt" else f"rm '{path}'"
    return ClientError(Kind.NOT_PRIVATE, path=str(path), remove=remove)
