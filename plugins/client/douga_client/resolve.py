"""Host names -> addresses without waiting for them: asking a network for a name may take many seconds.

An address written in numbers needs nobody. For a name a child process of the Python that was written down at
installation is asked and looked after now and then. Where there is none, the system is asked here, which
may take a while; a plugin's settings page therefore recommends addresses in numbers then.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from contextlib import suppress
from typing import IO, Any

from .address import Address
from .environment import clean_environment
from .errors import ClientError, Kind

Place = tuple[int, Any]  # address family and what socket.connect takes
_ASK = (
    "import json,socket,sys;"
    "found=socket.getaddrinfo(sys.argv[1],None,type=socket.SOCK_STREAM);"
    "print(json.dumps([(info[0],info[4][0]) for info in found]))"
)


class Lookup:
    """One name being looked up. Poll `places`, or `close` it."""

    def __init__(self, address: Address, python: str = "") -> None:
        self._address = address
        self._child: subprocess.Popen[bytes] | None = None
        self._answer: IO[bytes] | None = None
        if address.path or address.is_literal:
            return
        with suppress(OSError):
            if python:
                self._answer = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
                self._child = subprocess.Popen(
                    [python, "-I", "-c", _ASK, address.host],
                    stdin=subprocess.DEVNULL,
                    stdout=self._answer,
                    stderr=subprocess.DEVNULL,
                    env=clean_environment(),
                )

    def places(self) -> list[Place] | None:
        """Where to knock, in order; None while it is not known. Raises ClientError for an unknown name."""
        address = self._address
        if address.path:
            if not hasattr(socket, "AF_UNIX"):
                raise ClientError(Kind.BAD_ADDRESS, address=address.target)
            return [(int(socket.AF_UNIX), address.path)]
        if address.is_literal:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            return [(int(family), (address.host, address.port))]
        return self._asked()

    def close(self) -> None:
        """Ask no longer."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._child = None
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _asked(self) -> list[Place] | None:
        found: list[Place] = []
        if self._child is not None and self._answer is not None:
            if self._child.poll() is None:
                return None
            self._answer.seek(0)
            with suppress(ValueError):
                found = [
                    (int(f), (str(host), self._address.port)) for f, host in json.loads(self._answer.read())
                ]
            self.close()
        else:
            with suppress(OSError, UnicodeError):
                infos = socket.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_STREAM)
                found = [(int(info[0]), info[4]) for info in infos]
        if not found:
            raise ClientError(Kind.NAME_UNKNOWN, address=self._address.target)
        return found
