"""The client for hosts: a queue of jobs over one link, moved on by the host's timer. See `api.Client`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from .api import (
    Client,
    Event,
    Failed,
    Finished,
    InfoChanged,
    Job,
    Progress,
    Request,
    ServerInfo,
)
from .errors import ClientError, Kind
from .finding import Finder, finder
from .link import Link
from .settings import Settings
from .work import Attempt

_MOVING_S, _WAITING_S, _IDLE_S = 0.002, 0.01, 1.0
_PATIENCE_S = 30.0  # for one job that is lost again and again
_BUSY_PATIENCE_S = 600.0


def open_client(
    settings: Settings, discovery_file: Path | None = None, max_under_way: int = 2, host_pid: int = 0
) -> Client:
    """A client by the settings. It connects when there is something to do, never before.

    host_pid: the host's process where that is not this one; a server that is started here ends with it.
    """
    return GrpcClient(finder(settings, discovery_file, host_pid), settings.packing, max_under_way)


class GrpcClient(Client):
    """Talks to the server that its finder finds. max_under_way: jobs at once; the others wait here."""

    def __init__(
        self,
        way: Finder,
        packing: str = "auto",
        max_under_way: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._packing, self._max = Link(way, clock), packing, max_under_way
        self._clock, self._numbers = clock, itertools.count(1)
        self._waiting: list[Job] = []
        self._running: list[Attempt] = []
        self._not_before_s: dict[Job, float] = {}
        self._trouble_since_s: dict[Job, dict[Kind, float]] = {}  # each kind has its own patience
        self._cancelled: list[Job] = []
        self._asked = self._may_start = False
        self._info: ServerInfo | None = None
        self._shown: dict[Job, tuple[str, float, int]] = {}

    @property
    def info(self) -> ServerInfo | None:
        """See `Client`; the last that was told, also while nothing is connected."""
        return self._info

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Those that are not done, the running ones first."""
        return (*(attempt.job for attempt in self._running), *self._waiting)

    @property
    def fileno(self) -> int:
        """Of the socket, for hosts that can watch one; -1 while there is none."""
        return self._link.fileno

    @property
    def pause_s(self) -> float:
        """See `Client`."""
        if self._link.is_moving or any(attempt.has_more for attempt in self._running):
            return _MOVING_S
        if self._link.is_due and self._is_wanted():
            return _MOVING_S
        return _WAITING_S if self._running or self._waiting or self._asked or self._cancelled else _IDLE_S

    def submit(self, request: Request) -> Job:
        """See `Client`."""
        job = Job(next(self._numbers), request)
        self._waiting.append(job)
        return job

    def cancel(self, job: Job) -> None:
        """See `Client`."""
        if job.is_done or job not in self.jobs:
            return
        for attempt in [attempt for attempt in self._running if attempt.job is job]:
            self._running.remove(attempt)
            attempt.cancel()
        if job in self._waiting:
            self._waiting.remove(job)
        job.error = ClientError(Kind.CANCELLED)
        self._cancelled.append(job)

    def ask(self, *, may_start: bool = False) -> None:
        """See `Client`."""
        self._asked, self._may_start = True, may_start

    def pump(self, budget_s: float = 0.01) -> list[Event]:
        """See `Client`."""
        until_s = self._clock() + budget_s
        events: list[Event] = []
        try:
            self._link.pump(0.8 * budget_s, wanted=self._is_wanted(), may_start=self._may_be_started())
        except ClientError as exc:
            self._give_up(exc, events)
        self._look_at_info(events)
        self._begin_waiting()
        self._advance(until_s, events)
        for job in self._cancelled:
            self._forget(job)
            events.append(Failed(job, job.error or ClientError(Kind.CANCELLED)))
        self._cancelled.clear()
        self._tell_progress(events)
        return events

    def close(self) -> None:
        """See `Client`."""
        for attempt in self._running:
            attempt.cancel()
        self._running.clear()
        self._waiting.clear()
        self._link.close()

    def _is_wanted(self) -> bool:
        """Whether a connection has something to do."""
        now_s = self._clock()
        due = any(self._not_before_s.get(job, 0.0) <= now_s for job in self._waiting)
        return due or bool(self._running) or self._asked

    def _may_be_started(self) -> bool:
        """A job is reason enough to start a server; a question only where it says so."""
        return bool(self._waiting or self._running) or self._may_start

    def _look_at_info(self, events: list[Event]) -> None:
        info = self._link.info
        if info is not None and (self._asked or info != self._info):
            self._asked, self._info = False, info
            events.append(InfoChanged(info))

    def _give_up(self, error: ClientError, events: list[Event]) -> None:
        """There is no way to a server: every job hears it."""
        if self._asked:
            self._asked = False
            events.append(InfoChanged(None, error))
        for attempt in self._running:
            attempt.cancel()
        jobs, self._running, self._waiting = self.jobs, [], []
        for job in jobs:
            self._end(job, error, events)

    def _begin_waiting(self) -> None:
        connection, info, now_s = self._link.connection, self._link.info, self._clock()
        if connection is None or info is None:
            return
        due = [job for job in self._waiting if self._not_before_s.get(job, 0.0) <= now_s]
        for job in due[: max(0, self._max - len(self._running))]:
            self._waiting.remove(job)
            self._running.append(Attempt(job, connection, info, self._packing))

    def _advance(self, until_s: float, events: list[Event]) -> None:
        """Each running job in turn, at least once, then again while there is time and something to do."""
        for attempt in list(self._running):
            self._step(attempt, events)
        while self._clock() < until_s and any(attempt.has_more for attempt in self._running):
            for attempt in [attempt for attempt in self._running if attempt.has_more]:
                self._step(attempt, events)

    def _step(self, attempt: Attempt, events: list[Event]) -> None:
        job = attempt.job
        try:
            result = attempt.step()
        except ClientError as exc:
            self._running.remove(attempt)
            self._failed(job, exc, events)
            return
        except Exception as exc:  # nothing of ours may come up in the host's timer
            self._running.remove(attempt)
            attempt.cancel()
            self._end(job, ClientError(Kind.BUG, said=f"{type(exc).__name__}: {exc}"), events)
            return
        if result is not None:
            self._running.remove(attempt)
            self._forget(job)
            job.result = result
            events.append(Finished(job, result))

    def _failed(self, job: Job, error: ClientError, events: list[Event]) -> None:
        """Try again where that helps, or tell it."""
        now_s = self._clock()
        since_s = self._trouble_since_s.setdefault(job, {}).setdefault(error.kind, now_s)
        patience_s = _BUSY_PATIENCE_S if error.kind is Kind.BUSY else _PATIENCE_S
        another = error.kind is Kind.TOKEN_REFUSED and self._link.finds_another(error)
        if not (another or error.may_pass) or now_s - since_s > patience_s:
            self._end(job, error, events)
            return
        if error.kind is Kind.LOST:
            self._link.lost()
        job.stage, job.share = "waiting", 0.0
        self._not_before_s[job] = now_s + (error.retry_after_ms or 100) / 1000
        self._waiting.insert(0, job)

    def _end(self, job: Job, error: ClientError, events: list[Event]) -> None:
        self._forget(job)
        job.error = error
        events.append(Failed(job, error))

    def _forget(self, job: Job) -> None:
        self._not_before_s.pop(job, None)
        self._trouble_since_s.pop(job, None)
        self._shown.pop(job, None)

    def _tell_progress(self, events: list[Event]) -> None:
        """Where a job has come further than what was told last."""
        if self._link.connection is None:
            for job in self._waiting:
                job.stage = self._link.stage
        for job in self.jobs:
            state = (job.stage, round(job.share, 2), job.queue_position)
            if self._shown.get(job) != state:
                self._shown[job] = state
                events.append(Progress(job, job.stage, job.share, job.queue_position))
