"""The discovery file: how programs of the same user find the server of this machine, and its token.

One JSON object: "address" ("127.0.0.1:7610" or "unix:PATH"), "port" (0 for a Unix socket), "pid", "token"
(null where none is needed), "tls" (whether the channel goes by TLS), "version" (of Douga). It lies in
$XDG_RUNTIME_DIR/douga/server.json, or where that is not set in ~/.cache/douga/server.json (on Windows in
%LOCALAPPDATA%/douga/server.json), readable by its owner alone. A reader must not trust anybody else's.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from douga.errors import InputError
from douga_server.address import Address, answers, parse_address
from douga_server.errors import SetupError

_MAX_BYTES = 1 << 16
_FIELDS = {"address": str, "port": int, "pid": int, "token": str | None, "tls": bool, "version": str}


@dataclass(frozen=True)
class Announcement:
    """A running server. token: None where none is needed. tls: whether the channel goes by TLS."""

    address: str
    port: int
    pid: int
    token: str | None
    tls: bool
    version: str

    @classmethod
    def of(cls, address: Address, *, token: str | None, tls: bool, version: str) -> Announcement:
        """This process at `address`."""
        return cls(address.target, address.port, os.getpid(), token, tls, version)

    @property
    def is_live(self) -> bool:
        """Whether its process is there and somebody answers: the file of a killed server stays behind."""
        try:
            return _process_exists(self.pid) and answers(reachable(parse_address(self.address)))
        except InputError:
            return False


def default_path() -> Path:
    """Where the discovery file lies; see the module."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return Path(runtime) / "douga" / "server.json"
    local = os.environ.get("LOCALAPPDATA", "") if os.name == "nt" else ""
    return (Path(local) if local else Path.home() / ".cache") / "douga" / "server.json"


def find(path: Path | None = None) -> Announcement | None:
    """The server that is announced and runs, or None. path: `default_path` by default.

    Raises SetupError for a file that belongs to somebody else, that others can read or that is a link.
    """
    found = read(path or default_path())
    return found if found is not None and found.is_live else None


def read(path: Path) -> Announcement | None:
    """What a discovery file says, or None where there is none or it makes no sense. Raises SetupError."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise SetupError(f"{path}: no discovery file that can be trusted: {exc.strerror}; remove it") from exc
    with os.fdopen(handle, "rb") as file:
        _check_private(path, os.fstat(file.fileno()), stat.S_ISREG)
        return _parse(file.read(_MAX_BYTES))


def write(path: Path, announcement: Announcement) -> None:
    """Announce a server: a new file with mode 0600, put in place at once. Raises SetupError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _make_folder(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(announcement), file)
            file.write("\n")
        os.replace(temporary, path)  # takes the place of a link, never follows it
    except OSError as exc:
        raise SetupError(
            f"{path}: the discovery file cannot be written: {exc.strerror}; "
            "choose another by --discovery-file, or none"
        ) from exc
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Take the announcement of this very process back; one of another server's stays."""
    with suppress(OSError, SetupError):
        found = read(path)
        if found is not None and found.pid == os.getpid():
            path.unlink(missing_ok=True)


def refuse_second(path: Path) -> None:
    """Raises SetupError where a running server is announced there already."""
    found = find(path)
    if found is not None and found.pid != os.getpid():
        raise SetupError(
            f"a server runs already at {found.address} (process {found.pid}); use that one, stop it, or give "
            "this one a discovery file of its own: --discovery-file FILE"
        )


def _make_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _check_private(folder, folder.lstat(), stat.S_ISDIR, others_may_read=True)


def _check_private(path: Path, found: os.stat_result, kind: Any, *, others_may_read: bool = False) -> None:
    """Raises SetupError for what is no file or folder of our own, or open to others."""
    if os.name == "nt":  # a profile's folder is private there, and these bits mean nothing
        return
    forbidden = 0o022 if others_may_read else 0o077
    if not kind(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & forbidden:
        raise SetupError(
            f"{path}: expected a plain {'folder' if others_may_read else 'file'} of your own that nobody "
            f"else can {'write' if others_may_read else 'read or write'}; remove it, or choose another by "
            "--discovery-file"
        )


def _parse(data: bytes) -> Announcement | None:
    try:
        fields = json.loads(data)
    except ValueError:
        return None
    sound = isinstance(fields, dict) and all(
        name in fields and isinstance(fields[name], kind) for name, kind in _FIELDS.items()
    )
    return Announcement(**{name: fields[name] for name in _FIELDS}) if sound else None


def reachable(address: Address) -> Address:
    """Where to knock at a server that listens on all interfaces."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return Address(everywhere.get(address.host, address.host), address.port, address.path)


def _process_exists(pid: int) -> bool:
    if pid < 1:
        return False
    if os.name == "nt":  # signal 0 would end it there; whether somebody answers has to do
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
