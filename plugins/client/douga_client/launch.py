"""A server of our own: `python -I -m douga_server`, started, watched until ready, ended with the host."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .environment import clean_environment
from .errors import ClientError, Kind
from .settings import Settings
from .system_errors import in_words

_READY_TIMEOUT_S = 180.0  # weights may have to be fetched from a slow disk
_LONGEST_SOCKET_PATH = 100
_READY = "douga serve: ready "
_TAIL_BYTES = 1 << 14


def command(settings: Settings, discovery_file: Path) -> list[str]:
    """The command line of the server, for people too. Raises ClientError where the Python is not known."""
    if not settings.python:
        from .settings import default_path

        raise ClientError(Kind.NOT_INSTALLED, path=str(default_path()))
    line = [
        settings.python,
        "-I",
        "-m",
        "douga_server",
        "--address",
        settings.listen or _address(discovery_file),
    ]
    return [*line, "--discovery-file", str(discovery_file), *settings.arguments]


def _address(discovery_file: Path) -> str:
    """A Unix socket beside the discovery file, which needs no token; a free port where there are none."""
    path = discovery_file.with_suffix(".sock")
    fits = len(os.fsencode(os.path.abspath(path))) <= _LONGEST_SOCKET_PATH
    return f"unix:{path}" if hasattr(socket, "AF_UNIX") and fits else "127.0.0.1:0"


class Launch:
    """A server that was started here. Poll it until it is ready."""

    def __init__(
        self,
        settings: Settings,
        discovery_file: Path,
        clock: Callable[[], float] = time.monotonic,
        host_pid: int = 0,
    ) -> None:
        """Start it. host_pid: see `finding.LocalServer`. Raises ClientError where that cannot be."""
        self._settings, self._clock, self._begun_s = settings, clock, clock()
        self._host_pid = host_pid or os.getpid()
        self._command = command(settings, discovery_file)
        folder = discovery_file.parent
        self.is_ready = False
        self._outputs: list[_Output] = []
        try:
            self._child = self._start(folder)
        except ClientError:
            self._close_outputs()
            raise

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._child.poll() is None

    def poll(self) -> bool:
        """Whether it is ready now. Raises ClientError where it has ended or takes too long."""
        if self.is_ready:
            return True
        self.is_ready = any(line.startswith(_READY) for line in self._outputs[0].lines())
        if self.is_ready:
            self._close_outputs()
            return True
        if not self.is_running:
            error = self._why_it_ended()
            self._close_outputs()
            raise error
        if self._clock() - self._begun_s > _READY_TIMEOUT_S:
            self._child.kill()  # it would go on holding the address
            self._child.wait()
            self._close_outputs()
            raise self._error(Kind.START_TOO_SLOW, seconds=f"{_READY_TIMEOUT_S:g}")
        return False

    def close(self) -> None:
        """Tell it to end, unless it belongs to another process or the user wants to keep it.

        It is not waited for, torch is slow to go.
        """
        self._close_outputs()
        if not self._settings.keep_server and self._host_pid == os.getpid() and self.is_running:
            self._child.terminate()
        if self.is_running:
            self._child.returncode = 0  # not ours to wait for any more; it would be a warning otherwise

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("server.out", "server.log"):
                self._outputs.append(_Output(folder / name))
            tie = [] if self._settings.keep_server else ["--die-with", str(self._host_pid)]
            return subprocess.Popen(
                [*self._command, *tie],
                stdin=subprocess.DEVNULL,
                stdout=self._outputs[0].writer,
                stderr=self._outputs[1].writer,
                env=clean_environment(),
                cwd=folder,
                start_new_session=self._settings.keep_server and os.name != "nt",
            )
        except FileNotFoundError as exc:
            raise ClientError(Kind.PYTHON_MISSING, python=self._settings.python) from exc
        except OSError as exc:
            path = str(exc.filename or self._settings.python)
            raise ClientError(Kind.START_DENIED, path=path, said=in_words(exc)) from exc

    def _close_outputs(self) -> None:
        for output in self._outputs:
            output.close()

    def _why_it_ended(self) -> ClientError:
        said = _last_words(self._outputs[1].lines()) or f"exit status {self._child.returncode}"
        low = said.lower()
        if "no module named" in low and "douga" in low:
            return self._error(Kind.DOUGA_MISSING, said=said)
        if "cannot listen" in low and ("in use" in low or "another server listens" in low):
            return self._error(Kind.PORT_BUSY, said=said, address=self._settings.listen)
        return self._error(Kind.START_FAILED, said=said)

    def _error(self, kind: Kind, **details: str) -> ClientError:
        error = ClientError(kind, **details)  # type: ignore[arg-type]
        return error.completed(
            command=shlex.join(self._command), python=self._settings.python, log=str(self._outputs[1].path)
        )


class _Output:
    """What the child writes into a file. Its reader holds on to it: other hosts may put a new one there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with suppress(OSError):
            path.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        self.writer = os.fdopen(os.open(path, flags, 0o600), "wb")
        self._reader = open(path, "rb")  # noqa: SIM115  closed by `close`

    def lines(self) -> list[str]:
        """The last lines so far."""
        if self._reader.closed:
            return []
        self._reader.seek(max(0, os.fstat(self._reader.fileno()).st_size - _TAIL_BYTES))
        return self._reader.read().decode("utf-8", "replace").splitlines()

    def close(self) -> None:
        """Read no more; the file stays."""
        self.writer.close()
        self._reader.close()


def _last_words(lines: list[str]) -> str:
    """What a log says last, without time and level."""
    for line in reversed(lines):
        if line.strip():
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict) and isinstance(found.get("message"), str):
                    return str(found["message"])
            return line.strip()
    return ""
