"""The queue: who is next, who goes together, who is refused, and what is left of those who went away."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from douga_server.batcher import INTERACTIVE_IN_A_ROW, Batcher, QueueLimits
from douga_server.jobs import (
    Answer,
    BackendError,
    Description,
    DrainingError,
    Job,
    OnProgress,
    Options,
    Priority,
    Progress,
    QueueFullError,
    Stage,
    Stopped,
)

from douga.errors import DougaError, InputError
from douga.types import CelMask, ClassMap, Frame

PATIENCE_S = 20.0  # for what takes an instant, on a machine that has other things to do
BATCH = Priority.BATCH


class HeldBackend:
    """Does what a test says, when it says so: each batch waits for `release`."""

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.batches: list[list[str]] = []
        self.progress: dict[str, OnProgress] = {}
        self.cancelled: list[list[str]] = []
        self._held: list[asyncio.Future[None]] = []

    async def run(self, batch: Sequence[Job], on_progress: Sequence[OnProgress]) -> list[Answer | DougaError]:
        ids = [job.call_id for job in batch]
        self.batches.append(ids)
        self.progress |= dict(zip(ids, on_progress, strict=True))
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append(held)
        try:
            await held
        except asyncio.CancelledError:
            self.cancelled.append(ids)
            raise
        return [_result(job) for job in batch]

    async def release(self, error: Exception | None = None) -> None:
        """Let the oldest batch end."""
        held = self._held.pop(0)
        if error is None:
            held.set_result(None)
        else:
            held.set_exception(error)
        await settle()

    async def release_all(self) -> None:
        while any(not held.done() for held in self._held):
            self._held = [held for held in self._held if not held.done()]
            await self.release()

    async def start(self) -> Description:
        return await self.reload()

    async def reload(self) -> Description:
        return Description("held", (), ())

    async def close(self) -> None:
        pass


class Ledger:
    """Writes down what an observer is told."""

    def __init__(self) -> None:
        self.waiting: list[dict[Priority, int]] = []
        self.started: list[list[float]] = []
        self.ended: list[int] = []

    def queue_changed(self, waiting: Mapping[Priority, int]) -> None:
        self.waiting.append(dict(waiting))

    def batch_started(self, waited_s: Sequence[float]) -> None:
        self.started.append(list(waited_s))

    def batch_ended(self, frames: int, seconds: float) -> None:
        assert seconds >= 0
        self.ended.append(frames)


def _result(job: Job) -> Answer | DougaError:
    if job.call_id.startswith("bad"):
        return InputError(f"{job.call_id}: not like this")
    plane = np.zeros(job.frame.size_hw, np.uint8)
    return Answer(CelMask(plane), ClassMap(plane), (), job.call_id)


def a_job(name: str, priority: Priority = Priority.INTERACTIVE, *, side_px: int = 4, **options: Any) -> Job:
    frame = Frame(np.zeros((side_px, side_px, 3), np.uint8))
    return Job(name, frame, Options(priority=priority, **options))


async def settle() -> None:
    """Let everybody do what they can do now."""
    for _ in range(20):
        await asyncio.sleep(0)


def silent(progress: Progress) -> None:
    """Nobody listens."""


class Callers:
    """Calls of a batcher, by name."""

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self.tasks: dict[str, asyncio.Task[Answer]] = {}
        self.told: dict[str, list[Progress]] = {}

    async def call(self, name: str, priority: Priority = Priority.INTERACTIVE, **kind: Any) -> None:
        self.told[name] = []
        submission = self.batcher.submit(a_job(name, priority, **kind), self.told[name].append)
        self.tasks[name] = asyncio.create_task(submission)
        await settle()

    def positions(self, name: str) -> list[int]:
        return [p.queue_position for p in self.told[name] if p.stage is Stage.QUEUED]

    def devices(self) -> set[str]:
        """Of the answers: `_result` writes the call's id there."""
        return {task.result().device for task in self.tasks.values()}


def served(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_an_idle_backend_gets_a_job_at_once() -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=8, max_wait_ms=60_000)))
        await callers.call("a")
        assert backend.batches == [["a"]]
        await backend.release()
        assert callers.devices() == {"a"}
        assert callers.positions("a") == [0]
        assert (callers.batcher.queued, callers.batcher.running) == (0, 0)

    served(test)


def test_interactive_goes_first_and_each_class_in_order_of_arrival() -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend))
        await callers.call("running")
        for name in ("b1", "b2"):
            await callers.call(name, BATCH)
        for name in ("i1", "i2"):
            await callers.call(name)
        assert callers.positions("b2") == [1, 2, 3]
        await backend.release_all()
        assert backend.batches == [["running"], ["i1"], ["i2"], ["b1"], ["b2"]]
        assert callers.positions("b2") == [1, 2, 3, 2, 1, 0]

    served(test)


@pytest.mark.parametrize("max_batch", [1, 4])
def test_a_batch_job_does_not_wait_for_ever(max_batch: int) -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=max_batch)))
        await callers.call("running")
        for n in range(2):
            await callers.call(f"b{n}", BATCH, cel_model=f"its own {n}")
        for n in range(3 * INTERACTIVE_IN_A_ROW):
            await callers.call(f"i{n}")
        await backend.release_all()
        order = [name for batch in backend.batches for name in batch]
        assert order.index("b0") == 1 + INTERACTIVE_IN_A_ROW
        assert order.index("b1") == 2 + 2 * INTERACTIVE_IN_A_ROW

    served(test)


def test_what_is_alike_goes_together() -> None:
    async def test() -> None:
        backend = HeldBackend()
        limits = QueueLimits(max_batch=4, max_batch_px=64)
        callers = Callers(Batcher(backend, limits))
        await callers.call("running")
        await callers.call("a")
        await callers.call("other model", lines_model="x")
        await callers.call("twice as wide", side_px=8)
        await callers.call("batch", BATCH)
        for name in ("b", "c", "d", "e"):
            await callers.call(name, line_width_px=1)
        await backend.release_all()
        assert backend.batches == [
            ["running"],
            ["a", "b", "c", "d"],
            ["other model"],
            ["twice as wide"],
            ["e"],
            ["batch"],
        ]

    served(test)


def test_a_batch_has_only_so_many_pixels() -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=4, max_batch_px=2 * 16)))
        await callers.call("running", side_px=100)
        for name in ("a", "b", "c"):
            await callers.call(name)
        await backend.release_all()
        assert backend.batches == [["running"], ["a", "b"], ["c"]]

    served(test)


def test_company_is_waited_for_only_while_the_backend_is_busy_and_only_so_long() -> None:
    async def test() -> None:
        backend = HeldBackend(slots=2)
        callers = Callers(Batcher(backend, QueueLimits(max_batch=3, max_wait_ms=60_000)))
        for name in ("first", "a", "b"):
            await callers.call(name)
        assert backend.batches == [["first"]]
        await callers.call("c")
        assert backend.batches == [["first"], ["a", "b", "c"]]

        backend = HeldBackend(slots=2)
        callers = Callers(Batcher(backend, QueueLimits(max_batch=3, max_wait_ms=50)))
        for name in ("first", "a", "b"):
            await callers.call(name)
        assert backend.batches == [["first"]]
        await asyncio.sleep(0.2)
        assert backend.batches == [["first"], ["a", "b"]]
        await backend.release_all()
        assert callers.devices() == {"first", "a", "b"}

    served(test)


def test_free_slots_are_filled_before_batches() -> None:
    async def test() -> None:
        backend = HeldBackend(slots=1)
        callers = Callers(Batcher(backend, QueueLimits(max_batch=8, max_wait_ms=0)))
        for name in ("running", "a", "b", "c", "d"):
            await callers.call(name)
        backend.slots = 3  # two workers more have come up
        await backend.release()
        assert backend.batches == [["running"], ["a", "b"], ["c"], ["d"]]

    served(test)


def test_a_full_queue_refuses_with_a_hint() -> None:
    async def test() -> None:
        backend = HeldBackend()
        batcher = Batcher(backend, QueueLimits(max_queued=4))
        callers = Callers(batcher)
        for name in ("running", "a", "b", "c", "d"):
            await callers.call(name)
        with pytest.raises(QueueFullError, match="4 frames wait") as caught:
            await batcher.submit(a_job("one too many"), silent)
        assert caught.value.retry_after_ms == 2000  # half the queue, at the first guess of 1 s a frame
        await backend.release()  # quick: the guess falls
        await batcher_has_place(callers, "e")
        with pytest.raises(QueueFullError) as caught:
            await batcher.submit(a_job("one too many"), silent)
        assert 100 <= caught.value.retry_after_ms < 2000
        callers.tasks["b"].cancel()
        await batcher_has_place(callers, "f")

    async def batcher_has_place(callers: Callers, name: str) -> None:
        await callers.call(name)
        assert not callers.tasks[name].done()

    served(test)


def test_who_cancels_in_the_queue_is_gone_at_once() -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend))
        for name in ("running", "a", "b"):
            await callers.call(name)
        callers.tasks["a"].cancel()
        await settle()
        assert callers.tasks["a"].cancelled()
        assert callers.batcher.queued == 1
        assert callers.positions("b") == [1, 0]
        await backend.release_all()
        assert backend.batches == [["running"], ["b"]]
        assert backend.cancelled == []

    served(test)


def test_a_batch_is_cancelled_when_nobody_in_it_is_left() -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=2)))
        for name in ("running", "a", "b", "next"):
            await callers.call(name)
        await backend.release()
        callers.tasks["a"].cancel()
        await settle()
        assert backend.cancelled == []
        with pytest.raises(Stopped):
            backend.progress["a"](Progress(Stage.CEL, 0.5))  # so the backend hears of it
        backend.progress["b"](Progress(Stage.CEL, 0.5))
        assert callers.told["b"][-1] == Progress(Stage.CEL, 0.5)
        callers.tasks["b"].cancel()
        await settle()
        assert backend.cancelled == [["a", "b"]]
        assert backend.batches[-1] == ["next"]

    served(test)


def test_who_stays_in_a_batch_gets_the_answer() -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=2)))
        for name in ("running", "a", "b"):
            await callers.call(name)
        await backend.release()
        callers.tasks.pop("a").cancel()
        await backend.release()
        assert callers.devices() == {"running", "b"}

    served(test)


def test_a_batch_cancelled_before_its_first_step_is_over_too() -> None:
    async def test() -> None:
        backend = HeldBackend()
        batcher = Batcher(backend)
        call = asyncio.create_task(batcher.submit(a_job("a"), silent))
        await asyncio.sleep(0)  # it is handed over, and the backend has not run a line yet
        assert batcher.running == 1
        assert await batcher.drain(0) == 1
        assert backend.batches == []
        assert batcher.running == 0
        with pytest.raises(DrainingError):
            await call

    served(test)


def test_an_error_goes_to_its_own_caller() -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=3)))
        for name in ("running", "a", "bad", "c"):
            await callers.call(name)
        await backend.release_all()
        with pytest.raises(InputError, match="bad: not like this"):
            await callers.tasks.pop("bad")
        assert callers.devices() == {"running", "a", "c"}

    served(test)


def test_an_error_that_nobody_waits_for_any_more_is_no_complaint() -> None:
    async def test() -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        backend = HeldBackend()
        callers = Callers(Batcher(backend))
        await callers.call("bad")
        releasing = asyncio.create_task(backend.release())
        while callers.batcher.running:
            await asyncio.sleep(0)
        assert callers.tasks["bad"].cancel()  # the error is there, and the caller has not seen it yet
        await releasing
        assert callers.tasks.pop("bad").cancelled()
        gc.collect()
        assert complaints == []

    served(test)


def test_a_lost_batch_is_an_error_for_each_in_it_and_the_queue_goes_on() -> None:
    async def test() -> None:
        backend = HeldBackend()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=2)))
        for name in ("running", "a", "b", "c"):
            await callers.call(name)
        await backend.release()
        await backend.release(BackendError("all replicas died"))
        for name in "ab":
            with pytest.raises(BackendError, match="all replicas died"):
                await callers.tasks[name]
        await backend.release_all()
        assert (await callers.tasks["c"]).device == "c"

    served(test)


def test_draining_takes_nothing_new_and_finishes_what_is_there() -> None:
    async def test() -> None:
        backend = HeldBackend()
        batcher = Batcher(backend, QueueLimits(max_batch=2))
        callers = Callers(batcher)
        for name in ("running", "a", "b", "c"):
            await callers.call(name)
        draining = asyncio.create_task(batcher.drain(PATIENCE_S))
        await settle()
        with pytest.raises(DrainingError, match="going down"):
            await batcher.submit(a_job("late"), silent)
        assert not draining.done()
        await backend.release_all()
        assert await draining == 0
        assert callers.devices() == {"running", "a", "b", "c"}

    served(test)


def test_draining_has_an_end() -> None:
    async def test() -> None:
        backend, ledger = HeldBackend(), Ledger()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=1), ledger))
        for name in ("running", "a", "b"):
            await callers.call(name)
        assert await callers.batcher.drain(0.05) == 3
        for task in callers.tasks.values():
            with pytest.raises(DrainingError, match="send it again"):
                await task
        assert backend.batches == [["running"]]
        assert backend.cancelled == [["running"]]
        assert sum(ledger.waiting[-1].values()) == 0

    served(test)


def test_an_observer_is_told_what_happens() -> None:
    async def test() -> None:
        backend, ledger = HeldBackend(), Ledger()
        callers = Callers(Batcher(backend, QueueLimits(max_batch=2), ledger))
        await callers.call("running")
        await callers.call("a")
        await callers.call("b", BATCH)
        assert ledger.waiting[-1] == {Priority.INTERACTIVE: 1, BATCH: 1}
        await callers.call("c")
        await backend.release_all()
        assert [len(waited) for waited in ledger.started] == ledger.ended == [1, 2, 1]
        assert all(seconds >= 0 for waited in ledger.started for seconds in waited)
        assert ledger.waiting[-1] == {Priority.INTERACTIVE: 0, BATCH: 0}

    served(test)


def test_nothing_is_kept_of_jobs_that_are_over() -> None:
    """Not even until Python next looks for circles: a frame has megabytes."""
    frames: list[weakref.ref[Frame]] = []

    async def call(batcher: Batcher, n: int) -> None:
        job = a_job(f"bad{n}" if n % 3 == 0 else str(n), Priority(n % 2))
        frames.append(weakref.ref(job.frame))
        task = asyncio.create_task(batcher.submit(job, silent))
        del job
        await asyncio.sleep(0)
        if n % 5 == 0:
            task.cancel()
        with suppress(InputError, asyncio.CancelledError):
            await task

    async def test() -> None:
        backend = HeldBackend(slots=2)
        batcher = Batcher(backend, QueueLimits(max_batch=3, max_queued=2000, max_wait_ms=0))
        calls = [asyncio.create_task(call(batcher, n)) for n in range(1000)]
        while not all(task.done() for task in calls):
            await settle()
            await backend.release_all()
            backend.progress.clear()
        del calls
        await settle()
        alive = sum(frame() is not None for frame in frames)
        assert len(frames) == 1000
        assert alive <= 3  # of the last batch, in some frame of the loop

    gc.collect()
    gc.disable()
    try:
        served(test)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_queued", 0),
        ("max_batch", 0),
        ("max_batch_px", 0),
        ("max_wait_ms", -1),
        ("max_wait_ms", float("nan")),
    ],
)
def test_limits_have_to_make_sense(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        QueueLimits(**{name: value})  # type: ignore[arg-type]
