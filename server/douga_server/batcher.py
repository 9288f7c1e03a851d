"""Between the calls and the backend: a bounded queue, who is next, and which frames go together."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, overload

from douga.errors import DougaError, InputError
from douga_server.backends.base import Backend
from douga_server.jobs import (
    Answer,
    AnyAnswer,
    AnyJob,
    CutoutAnswer,
    CutoutJob,
    DrainingError,
    Job,
    OnProgress,
    Priority,
    Progress,
    QueueFullError,
    Stage,
    Stopped,
)

# Interactive jobs that may be taken in a row while a batch job waits. So a batch job with n others of its
# class before it is taken after at most (n + 1) * INTERACTIVE_IN_A_ROW interactive ones.
INTERACTIVE_IN_A_ROW = 7
_SIMILAR = 2.0  # frames of one batch differ by at most this factor in pixels, so that none waits for a giant
_FIRST_GUESS_S = 1.0  # per frame, until one is done
_RETRY_MS = (100, 60_000)


@dataclass(frozen=True)
class QueueLimits:
    """How much may wait, and what goes together.

    max_queued: frames that wait. max_batch: frames of one batch; its answers come together, so 1 is right
    where a hand-over costs nothing, as in the local backend. max_batch_px: pixels of one batch; a larger
    frame goes alone. max_wait_ms: how long a job waits for others to go with while the backend has work.
    """

    max_queued: int = 64
    max_batch: int = 1
    max_batch_px: int = 1 << 24
    max_wait_ms: float = 5.0

    def __post_init__(self) -> None:
        for name in ("max_queued", "max_batch", "max_batch_px"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: expected at least 1")
        if not 0 <= self.max_wait_ms < math.inf:
            raise InputError(f"max_wait_ms {self.max_wait_ms}: expected 0 or more milliseconds")


class QueueObserver(Protocol):
    """Is told what the queue does, on the loop, for metrics. It must neither block nor raise."""

    def queue_changed(self, waiting: Mapping[Priority, int]) -> None:
        """So many frames wait now, by class."""
        ...

    def batch_started(self, waited_s: Sequence[float]) -> None:
        """A batch goes to the backend. waited_s: seconds in the queue, one a frame of it."""
        ...

    def batch_ended(self, frames: int, seconds: float) -> None:
        """The backend is done with a batch of so many frames, or has given it up, after these seconds."""
        ...


@dataclass(eq=False)
class _Ticket:
    """A job with whoever waits for it. told: the queue position it knows."""

    job: AnyJob
    on_progress: OnProgress
    answer: asyncio.Future[AnyAnswer]
    arrived_s: float = field(default_factory=time.monotonic)
    told: int | None = None

    def tell(self, progress: Progress) -> None:
        """Pass progress on. Raises Stopped when nobody waits any more: the backend drops the job then."""
        if self.answer.done():
            raise Stopped
        self.on_progress(progress)

    def end(self, result: AnyAnswer | BaseException) -> None:
        """Give the result to whoever waits, if anybody does."""
        if self.answer.done():
            return
        if isinstance(result, BaseException):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)


class _Queue:
    """Who waits, in which order they are served."""

    def __init__(self) -> None:
        self._lanes: dict[Priority, deque[_Ticket]] = {priority: deque() for priority in Priority}
        self._in_a_row = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[_Ticket]:
        """First the interactive ones, each class in the order of arrival."""
        for priority in sorted(self._lanes):
            yield from self._lanes[priority]

    def lengths(self) -> dict[Priority, int]:
        return {priority: len(lane) for priority, lane in self._lanes.items()}

    def oldest_s(self) -> float:
        return min(lane[0].arrived_s for lane in self._lanes.values() if lane)

    def add(self, ticket: _Ticket) -> None:
        self._lanes[ticket.job.priority].append(ticket)

    def remove(self, ticket: _Ticket) -> bool:
        """Whether it was there."""
        lane = self._lanes[ticket.job.priority]
        if ticket not in lane:
            return False
        lane.remove(ticket)
        return True

    def take(self, size: int, max_px: int) -> list[_Ticket]:
        """The next batch: the first in line, and those behind it in its class that go with it."""
        interactive, batch = self._lanes[Priority.INTERACTIVE], self._lanes[Priority.BATCH]
        if not interactive or (batch and self._in_a_row >= INTERACTIVE_IN_A_ROW):
            self._in_a_row = 0
            return _take_alike(batch, size, max_px)
        if not batch:  # nobody is overtaken
            self._in_a_row = 0
            return _take_alike(interactive, size, max_px)
        taken = _take_alike(interactive, min(size, INTERACTIVE_IN_A_ROW - self._in_a_row), max_px)
        self._in_a_row += len(taken)
        return taken

    def clear(self) -> list[_Ticket]:
        """Empty it, and say who was in it."""
        everybody = list(self)
        for lane in self._lanes.values():
            lane.clear()
        return everybody


def _take_alike(lane: deque[_Ticket], size: int, max_px: int) -> list[_Ticket]:
    """Take the first of a lane and up to size - 1 more that fit to it; the others keep their order."""
    first = lane.popleft()
    taken, pixels = [first], _pixels(first.job)
    for ticket in list(lane):
        if len(taken) >= size:
            break
        if _are_alike(first.job, ticket.job) and pixels + _pixels(ticket.job) <= max_px:
            lane.remove(ticket)
            taken.append(ticket)
            pixels += _pixels(ticket.job)
    return taken


def _pixels(job: AnyJob) -> int:
    return math.prod(job.frame.size_hw)


def _are_alike(a: AnyJob, b: AnyJob) -> bool:
    """Whether two jobs take the same weights and about the same time."""
    return a.kind == b.kind and max(_pixels(a), _pixels(b)) <= _SIMILAR * min(_pixels(a), _pixels(b))


class Batcher:
    """Queues jobs, hands them to the backend in batches and the answers back. For one event loop.

    Interactive jobs go before those of class batch, first come first served within a class, and of every
    INTERACTIVE_IN_A_ROW + 1 jobs taken while both classes wait one is of class batch. A batch goes as soon as
    the backend has a slot; only while it is busy, a job waits up to `max_wait_ms` for others.
    """

    def __init__(
        self,
        backend: Backend,
        limits: QueueLimits | None = None,
        observer: QueueObserver | None = None,
    ) -> None:
        self._backend, self._limits, self._observer = backend, limits or QueueLimits(), observer
        self._queue = _Queue()
        self._running: dict[asyncio.Task[list[AnyAnswer | DougaError]], list[_Ticket]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._frame_s = _FIRST_GUESS_S
        self._is_draining = False

    @property
    def queued(self) -> int:
        """Frames that wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Frames that the backend works on."""
        return sum(map(len, self._running.values()))

    @overload
    async def submit(self, job: Job, on_progress: OnProgress) -> Answer: ...

    @overload
    async def submit(self, job: CutoutJob, on_progress: OnProgress) -> CutoutAnswer: ...

    async def submit(self, job: AnyJob, on_progress: OnProgress) -> AnyAnswer:
        """Wait for a job's turn and for its answer.

        on_progress: called on the loop, with the place in the queue first and whenever it changes, then with
        what the backend says; it must not raise. Cancelling takes the job out of the queue at once, and stops
        the work on it within a step of a network. Raises QueueFullError, DrainingError, and whatever
        DougaError the backend has for this job.
        """
        self._refuse_if_full()
        ticket = _Ticket(job, on_progress, asyncio.get_running_loop().create_future())
        self._queue.add(ticket)
        self._pump()
        try:
            return await ticket.answer
        except asyncio.CancelledError:
            self._give_up(ticket)
            raise
        finally:
            # An error has its traceback, that this frame, the ticket its future, that the error: let go,
            # or the pixels stay until Python looks for such circles.
            del ticket, job, on_progress

    async def drain(self, timeout_s: float) -> int:
        """Take nothing new and finish everything that is here. Returns how many frames were given up.

        After timeout_s what is left ends with a DrainingError.
        """
        self._is_draining = True
        self._pump()
        until_s = time.monotonic() + timeout_s
        while self._running and (left_s := until_s - time.monotonic()) > 0:
            await asyncio.wait(self._running, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        left = [ticket for batch in self._running.values() for ticket in batch] + self._queue.clear()
        left = [ticket for ticket in left if not ticket.answer.done()]
        for ticket in left:
            ticket.end(DrainingError("the server went down before this frame was done; send it again"))
        for task in self._running:
            task.cancel()
        while self._running:
            await asyncio.wait(self._running)
        self._tell_queue()
        return len(left)

    def _refuse_if_full(self) -> None:
        if self._is_draining:
            raise DrainingError("the server is going down and takes nothing new; send it again in a while")
        if len(self._queue) >= self._limits.max_queued:
            raise QueueFullError(len(self._queue), self._retry_after_ms())

    def _retry_after_ms(self) -> int:
        """When half of the queue will be gone, at the pace of the last batches."""
        wait_s = len(self._queue) / 2 * self._frame_s / self._slots()
        return min(max(math.ceil(wait_s * 1000), _RETRY_MS[0]), _RETRY_MS[1])

    def _slots(self) -> int:
        # A backend may be without any for a moment; it then holds the one batch until it has one again.
        return max(1, self._backend.slots)

    def _pump(self) -> None:
        """Start every batch that can start now, and tell who waits where they are."""
        self._tell_queue()
        started = False
        while self._queue and (free := self._slots() - len(self._running)) > 0:
            wait_s = self._wait_s()
            if wait_s > 0:
                self._pump_in(wait_s)
                break
            # A free slot is worth more than a full batch.
            size = min(self._limits.max_batch, math.ceil(len(self._queue) / free))
            self._start(self._queue.take(size, self._limits.max_batch_px))
            started = True
        if started:
            self._tell_queue()

    def _wait_s(self) -> float:
        """How long the next batch still waits for company."""
        alone = not self._running or self._is_draining or len(self._queue) >= self._limits.max_batch
        if alone:
            return 0.0
        return self._queue.oldest_s() + self._limits.max_wait_ms / 1000 - time.monotonic()

    def _pump_in(self, wait_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._pump)

    def _start(self, batch: list[_Ticket]) -> None:
        run = self._backend.run([ticket.job for ticket in batch], [ticket.tell for ticket in batch])
        task = asyncio.get_running_loop().create_task(run)
        self._running[task] = batch
        now_s = time.monotonic()
        # Not in the task itself: one that is cancelled before its first step runs none of its code.
        task.add_done_callback(lambda task: self._end(task, now_s))
        if self._observer is not None:
            self._observer.batch_started([now_s - ticket.arrived_s for ticket in batch])

    def _end(self, task: asyncio.Task[list[AnyAnswer | DougaError]], begun_s: float) -> None:
        """Hand the results of a batch out, and start what can start now."""
        batch, seconds = self._running.pop(task), time.monotonic() - begun_s
        if not task.cancelled():  # or nobody waits for them, see `_give_up` and `drain`
            error = task.exception()
            results = [error] * len(batch) if error else task.result()
            for ticket, result in zip(batch, results, strict=True):
                ticket.end(result)
            if any(isinstance(result, AnyAnswer) for result in results):
                self._learn_pace(seconds / len(batch))
        if self._observer is not None:
            self._observer.batch_ended(len(batch), seconds)
        self._pump()

    def _learn_pace(self, seconds: float) -> None:
        self._frame_s += 0.2 * (seconds - self._frame_s)

    def _give_up(self, ticket: _Ticket) -> None:
        """Nobody waits for this one any more."""
        if self._queue.remove(ticket):
            self._tell_queue()
            return
        for task, batch in self._running.items():
            if ticket in batch and all(other.answer.done() for other in batch):
                task.cancel()

    def _tell_queue(self) -> None:
        """Tell who waits their place, where it has changed, and the observer how many there are."""
        for position, ticket in enumerate(self._queue):
            if ticket.told != position and not ticket.answer.done():
                ticket.told = position
                ticket.tell(Progress(Stage.QUEUED, queue_position=position))
        if self._observer is not None:
            self._observer.queue_changed(self._queue.lengths())
