"""How much memory a server holds, seen from outside; and its replicas, for those who want to kill one."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from types import TracebackType

from douga.errors import DougaError, InputError

_METRIC = re.compile(r"^process_resident_memory_bytes\s+(\S+)", re.MULTILINE)
_EVERY_S = 0.5
_REPLICA = "ray::ServeReplica"  # how Ray names such a process


def memory_of(pid: int) -> Callable[[], int | None]:
    """Asks for the resident bytes of a process of this machine; None once it is gone."""

    def ask() -> int | None:
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True)
        return int(said.stdout) << 10 if said.stdout.strip().isdecimal() else None

    return ask


def memory_by_metrics(url: str) -> Callable[[], int | None]:
    """Asks a server's own numbers. url: of /metrics. Raises InputError where there is no such number."""

    def ask() -> int | None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = _METRIC.search(answer.read().decode())
        except OSError:
            return None
        return None if found is None else int(float(found[1]))

    if not url.startswith(("http://", "https://")) or ask() is None:
        raise InputError(
            f"{url}: no process_resident_memory_bytes there; give the server's --metrics-address, "
            "e.g. http://127.0.0.1:9610/metrics"
        )
    return ask


class Watch:
    """Asks again and again while it is open. samples: (seconds since the beginning, bytes)."""

    def __init__(self, ask: Callable[[], int | None]) -> None:
        self.samples: list[tuple[float, int]] = []
        self._ask, self._done, self._begun_s = ask, threading.Event(), time.perf_counter()
        self._thread = threading.Thread(target=self._go_on_asking, daemon=True)

    def __enter__(self) -> Watch:
        self._begun_s = time.perf_counter()
        self._note()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._note()

    def _go_on_asking(self) -> None:
        while not self._done.wait(_EVERY_S):
            self._note()

    def _note(self) -> None:
        held = self._ask()
        if held is not None:
            self.samples.append((time.perf_counter() - self._begun_s, held))


class Killer:
    """Kills one replica of a server every so often while it is open. kills_s: when, since the beginning."""

    def __init__(self, server_pid: int, every_s: float) -> None:
        self.kills_s: list[float] = []
        self._server_pid, self._every_s = server_pid, every_s
        self._done, self._begun_s = threading.Event(), time.perf_counter()
        self._thread = threading.Thread(target=self._go_on_killing, daemon=True)

    def __enter__(self) -> Killer:
        if not replicas_of(self._server_pid):
            raise DougaError(
                f"process {self._server_pid} has no Ray replicas on this machine; start it with "
                "`douga serve --backend ray`"
            )
        self._begun_s = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _go_on_killing(self) -> None:
        while not self._done.wait(self._every_s):
            there = replicas_of(self._server_pid)
            if there:
                os.kill(random.choice(there), signal.SIGKILL)
                self.kills_s.append(time.perf_counter() - self._begun_s)


def replicas_of(server_pid: int) -> list[int]:
    """Processes of Ray's replicas among those that a server has started, itself or by others."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    fields = [line.split(None, 2) for line in listed.splitlines()]
    processes = {int(f[0]): (int(f[1]), f[2]) for f in fields if len(f) == 3}

    def is_below(pid: int) -> bool:
        while pid in processes:
            if pid == server_pid:
                return True
            pid = processes[pid][0]
        return False

    return [pid for pid, (_, args) in processes.items() if _REPLICA in args and is_below(pid)]
