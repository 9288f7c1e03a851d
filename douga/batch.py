"""A sequence through the pipeline: the next frame is read and the last ones are written meanwhile.

Threads are enough, since reading, array work and compression all let go of Python's lock. The networks stay
on the calling thread, or run elsewhere: then a frame is sent on the calling thread and its answer is waited
for on the finishing ones.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from douga.errors import DougaError, InputError
from douga.types import Frame

Begun = TypeVar("Begun")  # what is known of a frame between start and finish: what the networks saw, a call

_READ_AHEAD = 3
_READERS = 2
# One pixel of a frame under way: probabilities and the cleaning of them 40, frame and masks 8, layers up to
# 48.
_BYTES_PER_PIXEL = 96


class Source(Protocol):
    """What can be read once as a frame; `douga.frame_io.FrameSource` is one."""

    @property
    def name(self) -> str: ...
    def read(self) -> Frame: ...


@dataclass(frozen=True)
class Outcome:
    """How a frame ended.

    seconds: from the end of its reading to its last file. error: None when it is done.
    """

    source: Source
    seconds: float
    warnings: tuple[str, ...] = ()
    error: DougaError | None = None


@dataclass(frozen=True)
class Limits:
    """How much goes on at once.

    jobs: frames being cleaned and written side by side. memory_bytes: what all frames under way may hold.
    """

    jobs: int = 1
    memory_bytes: int = 1 << 30

    def frames_in_flight(self, frame: Frame) -> int:
        """How many frames of this size may wait to be finished while the next is begun."""
        height, width = frame.size_hw
        # The frame in the networks counts too: a large one waits until those before it are written.
        return min(self.jobs, self.memory_bytes // (height * width * _BYTES_PER_PIXEL) - 1)


def run_batch(
    sources: Iterable[Source],
    start: Callable[[Frame], Begun],
    finish: Callable[[Source, Begun], tuple[str, ...]],
    report: Callable[[Outcome], None],
    limits: Limits,
    hurry: Callable[[], None] = lambda: None,
) -> None:
    """Take every source through `start` (on this thread, in order) and `finish` (on others).

    finish: returns the frame's warnings, those from its reading with them. report: is told, on this thread,
    how each frame ended. hurry: called when the batch ends early: what `finish` waits for is not worth much
    waiting any more. A frame with an InputError is reported and the others go on. Any other error ends the
    batch, as does Ctrl-C: where one result cannot be written or the weights are wrong, the next frame would
    fare no better. Frames that were being finished at that moment are still finished and reported.
    """
    with _finishing(finish, report, limits) as hand_over, _reading_ahead(sources) as readings:
        try:
            for source, reading in readings:
                _begin(source, reading, start, report, hand_over)
        except BaseException:
            hurry()
            raise


def _begin(
    source: Source,
    reading: Future[Frame],
    start: Callable[[Frame], Begun],
    report: Callable[[Outcome], None],
    hand_over: _HandOver[Begun],
) -> None:
    try:
        frame = reading.result()
        begun_s = time.perf_counter()
        hand_over.make_room(frame)
        hand_over.submit(source, frame, start(frame), begun_s)
    except InputError as error:
        report(Outcome(source, 0.0, error=error))


@contextmanager
def _reading_ahead(sources: Iterable[Source]) -> Iterator[Iterator[tuple[Source, Future[Frame]]]]:
    """Read some frames ahead. One thread walks through the sources, since videos are decoded in order."""
    walker = ThreadPoolExecutor(1, thread_name_prefix="walk")
    readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
    ahead = iter(sources)

    def step() -> tuple[Source, Future[Frame]] | None:
        source = next(ahead, None)
        return None if source is None else (source, readers.submit(source.read))

    def in_order() -> Iterator[tuple[Source, Future[Frame]]]:
        waiting = deque(walker.submit(step) for _ in range(_READ_AHEAD))
        while (found := waiting.popleft().result()) is not None:
            waiting.append(walker.submit(step))
            yield found

    try:
        yield in_order()
    finally:
        walker.shutdown(wait=True, cancel_futures=True)
        readers.shutdown(wait=True, cancel_futures=True)


class _HandOver(Generic[Begun]):
    """The frames between the networks and the disk."""

    def __init__(
        self,
        finish: Callable[[Source, Begun], tuple[str, ...]],
        report: Callable[[Outcome], None],
        limits: Limits,
    ) -> None:
        self._finish, self._report, self._limits = finish, report, limits
        self._pool = ThreadPoolExecutor(limits.jobs, thread_name_prefix="finish")
        self._waiting: deque[Future[Outcome]] = deque()

    def make_room(self, frame: Frame) -> None:
        """Report what is done, and wait until there is memory for one more frame of this size."""
        allowed = self._limits.frames_in_flight(frame)
        while self._waiting and (len(self._waiting) > allowed or self._waiting[0].done()):
            outcome = self._waiting[0].result()  # it stays there where Ctrl-C ends the waiting
            self._waiting.popleft()
            self._report(outcome)

    def submit(self, source: Source, frame: Frame, begun: Begun, begun_s: float) -> None:
        self._waiting.append(self._pool.submit(self._finish_one, source, frame.warnings, begun, begun_s))

    def _finish_one(self, source: Source, warnings: tuple[str, ...], begun: Begun, begun_s: float) -> Outcome:
        try:
            warnings = self._finish(source, begun)
        except InputError as error:
            return Outcome(source, time.perf_counter() - begun_s, warnings, error)
        return Outcome(source, time.perf_counter() - begun_s, warnings)

    def close(self) -> BaseException | None:
        """Wait for everything handed over and report it. Returns the first error among it."""
        self._pool.shutdown(wait=True)
        failures = []
        while self._waiting:
            ended = self._waiting.popleft()
            if ended.exception() is None:
                self._report(ended.result())
            else:
                failures.append(ended.exception())
        return failures[0] if failures else None


@contextmanager
def _finishing(
    finish: Callable[[Source, Begun], tuple[str, ...]], report: Callable[[Outcome], None], limits: Limits
) -> Iterator[_HandOver[Begun]]:
    hand_over = _HandOver(finish, report, limits)
    try:
        yield hand_over
    except BaseException:  # Ctrl-C as well: what it does to the frames on their way is not the news
        hand_over.close()
        raise
    failure = hand_over.close()
    if failure is not None:
        raise failure
