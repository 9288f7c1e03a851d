"""Load for a server: calls at random moments or a few at a time, and how each of them ended."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import grpc

from douga.errors import DougaError, InputError
from douga_server.codec_client import Received
from douga_server.jobs import Priority

Send = Callable[[Priority], Received]


@dataclass(frozen=True)
class Load:
    """What is asked of a server.

    rate_per_s: calls come at random, so many a second on average, whether or not the server keeps up (Poisson
    arrivals); None: the next call comes when one has ended. in_flight: calls under way at most; one that
    comes while there are so many waits, and its waiting counts. calls, duration_s: whichever ends first.
    interactive_share: 0 to 1, the others are of class batch. seed: the same one gives the same moments.
    """

    rate_per_s: float | None = 2.0
    in_flight: int = 64
    calls: int | None = None
    duration_s: float | None = None
    interactive_share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rate_per_s is not None and self.rate_per_s <= 0:
            raise InputError(f"a rate of {self.rate_per_s} calls/s: expected more than 0")
        if self.calls is None and self.duration_s is None:
            raise InputError("a load without end: give a number of calls or a duration")
        if not 0 <= self.interactive_share <= 1:
            raise InputError(f"an interactive share of {self.interactive_share}: expected 0 to 1")


@dataclass(frozen=True)
class Sample:
    """How a call ended. due_s: when it was to begin, from the first one on. seconds: from then to its end.

    lost: the status that it ended with instead of an answer. work_s: what the server spent in its stages.
    """

    due_s: float
    seconds: float
    priority: Priority
    lost: str | None = None
    work_s: float | None = None

    @property
    def ended_s(self) -> float:
        """When it ended, from the first call on."""
        return self.due_s + self.seconds


class LoadRun:
    """One load on one server. samples: grows while it runs, in the order in which calls end."""

    def __init__(self, load: Load, send: Send, abandon: Callable[[], None]) -> None:
        """send: one call, from its frame to its answer. abandon: ends all calls under way."""
        self.samples: list[Sample] = []
        self._load, self._send, self._abandon = load, send, abandon
        self._chance, self._drawing = random.Random(load.seed), threading.Lock()
        self._left = load.calls
        self._stopped = threading.Event()
        self._begun_s = 0.0

    @property
    def now_s(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._begun_s

    def run(self) -> None:
        """Until the load's end, or until something is raised (Ctrl-C): then what is under way is given up."""
        self._begun_s = time.perf_counter()
        pool = ThreadPoolExecutor(self._load.in_flight, thread_name_prefix="load")
        try:
            for future in self._begin(pool, self._load.rate_per_s):
                future.result()  # raises what is no DougaError: a bug of ours
        except BaseException:
            self._stopped.set()
            self._abandon()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, rate_per_s: float | None) -> list[Future[None]]:
        if rate_per_s is None:
            return [pool.submit(self._one_after_another) for _ in range(self._load.in_flight)]
        futures = []
        due_s = 0.0
        while (priority := self._next(due_s)) is not None:
            self._stopped.wait(max(0.0, due_s - self.now_s))
            futures.append(pool.submit(self._one, due_s, priority))
            due_s += self._chance.expovariate(rate_per_s)
        return futures

    def _one_after_another(self) -> None:
        while (priority := self._next(self.now_s)) is not None:
            self._one(self.now_s, priority)

    def _next(self, due_s: float) -> Priority | None:
        """The class of the next call; None where there is none."""
        with self._drawing:
            is_late = self._load.duration_s is not None and due_s >= self._load.duration_s
            if is_late or self._left == 0 or self._stopped.is_set():
                return None
            if self._left is not None:
                self._left -= 1
            is_interactive = self._chance.random() < self._load.interactive_share
            return Priority.INTERACTIVE if is_interactive else Priority.BATCH

    def _one(self, due_s: float, priority: Priority) -> None:
        lost, work_s = None, None
        try:
            work_s = sum(self._send(priority).answer.seconds.values())
        except DougaError as exc:
            lost = _status(exc)
        if not self._stopped.is_set():  # what was given up says nothing about the server
            self.samples.append(Sample(due_s, self.now_s - due_s, priority, lost, work_s))


def _status(error: DougaError) -> str:
    """The name of gRPC's status where there was one."""
    cause = error.__cause__
    if isinstance(cause, grpc.RpcError) and isinstance(cause, grpc.Call):
        return str(cause.code().name)
    return type(error).__name__
