"""The backend of one workstation: the networks in this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from douga.errors import DougaError
from douga_server.jobs import AnyAnswer, AnyJob, BackendError, Description, OnProgress, Progress, Stopped
from douga_server.models import ServedStages, StageStore

if TYPE_CHECKING:
    from douga_server.engine import Engine

_CLEANERS = 16  # keep up with any accelerator of today


class LocalBackend:
    """An engine on threads of this process.

    It has one slot more than it cleans frames side by side, so that the networks work while the frames
    before are cleaned; batches of one are best, since a larger one only keeps its first answer back.
    """

    def __init__(self, store: StageStore, *, cleaners: int | None = None) -> None:
        """cleaners: frames cleaned side by side. None: 1 on the CPU, else one a core, at most 16."""
        self._store, self._cleaners = store, cleaners
        self._engine: Engine | None = None
        self._callers: ThreadPoolExecutor | None = None
        self._slots = 1
        self._reloading = asyncio.Lock()

    @property
    def slots(self) -> int:
        """See `Backend`."""
        return self._slots

    async def start(self) -> Description:
        """See `Backend`. Loads on a thread, so the loop serves others meanwhile."""
        stages = await asyncio.to_thread(self._store.load)
        cleaners = self._cleaners or (1 if stages.device == "cpu" else min(os.cpu_count() or 1, _CLEANERS))
        self._engine = await asyncio.to_thread(_new_engine, stages, cleaners)
        self._slots = cleaners + 1
        self._callers = ThreadPoolExecutor(self._slots, thread_name_prefix="slot")
        return _describe(stages)

    async def run(
        self, batch: Sequence[AnyJob], on_progress: Sequence[OnProgress]
    ) -> list[AnyAnswer | DougaError]:
        """See `Backend`. Where a job's on_progress raises Stopped, that job alone is given up."""
        engine, callers = self._engine, self._callers
        if engine is None or callers is None:
            raise BackendError("the server has not loaded its weights yet; try again in some seconds")
        watch = _Watch(on_progress)
        work = asyncio.get_running_loop().run_in_executor(
            callers, engine.run, batch, watch.tell, watch.is_stopped
        )
        try:
            results = await asyncio.shield(work)
        except asyncio.CancelledError:
            watch.stop()
            await _ended(work)
            raise
        return [_given_up() if isinstance(result, Stopped) else result for result in results]

    async def reload(self) -> Description:
        """See `Backend`."""
        if self._engine is None:
            raise BackendError("the server has not loaded its weights yet; there is nothing to load again")
        async with self._reloading:
            stages = await asyncio.to_thread(self._store.load)
            self._engine.swap(stages)
            return _describe(stages)

    async def close(self) -> None:
        """See `Backend`."""
        engine, callers = self._engine, self._callers
        self._engine = self._callers = None
        if engine is not None and callers is not None:
            await asyncio.to_thread(callers.shutdown)
            await asyncio.to_thread(engine.close)


class _Watch:
    """Between the engine's threads and the loop: progress one way, stops the other."""

    def __init__(self, on_progress: Sequence[OnProgress]) -> None:
        self._on_progress = on_progress
        self._loop = asyncio.get_running_loop()
        self._stopped = [False] * len(on_progress)

    def tell(self, i: int, progress: Progress) -> None:
        """On any thread."""
        self._loop.call_soon_threadsafe(self._pass_on, i, progress)

    def is_stopped(self, i: int) -> bool:
        """On any thread."""
        return self._stopped[i]

    def stop(self) -> None:
        """Give all of them up."""
        self._stopped = [True] * len(self._stopped)

    def _pass_on(self, i: int, progress: Progress) -> None:
        if self._stopped[i]:
            return
        try:
            self._on_progress[i](progress)
        except Stopped:
            self._stopped[i] = True


def _new_engine(stages: ServedStages, cleaners: int) -> Engine:
    """Imports OpenCV and the cleaning, which takes longer than a server may take to listen."""
    from douga_server.engine import Engine

    return Engine(stages, cleaners=cleaners)


def _describe(stages: ServedStages) -> Description:
    return Description("local", tuple(stages.models), (stages.device,))


def _given_up() -> BackendError:
    return BackendError("nobody waited for this frame any more, so it was given up")


async def _ended(work: asyncio.Future[Any]) -> None:
    """Wait for the end of work that was told to stop, however often this task is cancelled meanwhile."""
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            continue
    work.exception()
