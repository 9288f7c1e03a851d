"""A real `douga serve` in a process of its own, with fake weights, for the tests of the plugins' client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from douga_client.api import Client, Event, ReconstructRequest
from douga_client.image import Pixels

SERVER_TESTS = Path(__file__).parents[1] / "server"
FAKE_SERVER = [sys.executable, str(SERVER_TESTS / "serve_fakes.py")]


class ServerProcess:
    """Runs as a context. While the file `hold` exists no frame is answered. Arguments as of `douga serve`."""

    def __init__(self, folder: Path, *args: str, hold_loading: bool = False) -> None:
        self.hold = folder / "hold"
        environment = {**os.environ, "HOLD": str(self.hold), "XDG_RUNTIME_DIR": str(folder)}
        environment.update({"HOLD_LOADING": "1"} if hold_loading else {})
        folder.chmod(0o700)
        self.discovery_file = folder / "douga" / "server.json"
        self._command, self._environment, self._waits = [*FAKE_SERVER, *args], environment, not hold_loading

    def __enter__(self) -> ServerProcess:
        self.process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        )
        self.address: str = self._line("listening")["address"]
        if self._waits:
            self._line("ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def port(self) -> int:
        """Of its address."""
        return int(self.address.rpartition(":")[2])

    @property
    def token(self) -> str:
        """The one that it announced."""
        return str(json.loads(self.discovery_file.read_text())["token"] or "")

    def kill(self) -> None:
        """As a crash would."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _line(self, what: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        line, start = self.process.stdout.readline(), f"douga serve: {what} "
        assert line.startswith(start), line
        found: dict[str, Any] = json.loads(line.removeprefix(start))
        return found


def drawing(width: int = 64, height: int = 48, layout: str = "BGRA8") -> Pixels:
    """White with a dark square, opaque."""
    channels = {"GRAY8": 1, "RGB8": 3}.get(layout, 4)
    white, dark = b"\xff" * channels, (b"\x14" * 3 + b"\xff")[-channels:]
    left, right = width // 4, width // 2
    plain, crossed = white * width, white * left + dark * (right - left) + white * (width - right)
    rows = (crossed if height // 4 <= y < height // 2 else plain for y in range(height))
    return Pixels(width, height, layout, b"".join(rows))


def expected_mask(pixels: Pixels) -> bytes:
    """What the server's fake finds in a `drawing`: everything that is not white."""
    return bytes(255 * (value < 250) for value in bytes(pixels.data)[:: pixels.channels])


def pump_until(client: Client, done: Callable[[list[Event]], bool], timeout_s: float = 30.0) -> list[Event]:
    """Pump as a host's timer would; returns everything that happened."""
    events: list[Event] = []
    until_s = time.monotonic() + timeout_s
    while not done(events):
        assert time.monotonic() < until_s, events[-3:]
        events += client.pump()
        time.sleep(min(client.pause_s, 0.02))
    return events


def request(pixels: Pixels | None = None, **options: Any) -> ReconstructRequest:
    """One small frame."""
    return ReconstructRequest(pixels or drawing(), **options)
