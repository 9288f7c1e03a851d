"""The far end of the ray backend: an engine in a process of its own, somewhere on the farm."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from douga import __version__
from douga.errors import DougaError
from douga.types import CelMask, ClassMap, Frame
from douga_server.errors import SetupError
from douga_server.jobs import Answer, AnyAnswer, AnyJob, CutoutAnswer, CutoutJob, Model, Progress, Stopped
from douga_server.models import ServedStages, StageStore

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accepted:
    """First word of a replica about a job: it has it."""


@dataclass(frozen=True)
class Refused:
    """It cannot take the job, another might. reason: why, for the log."""

    reason: str


@dataclass(frozen=True)
class Told:
    """What the engine said since the last word, in order."""

    progress: tuple[Progress, ...]


@dataclass(frozen=True)
class Done:
    """Last word about a job."""

    result: AnyAnswer | DougaError | Stopped


Word = Accepted | Refused | Told | Done


@dataclass(frozen=True)
class Loaded:
    """Weights that a replica has in memory. device: "cpu", "cuda:0"."""

    models: tuple[Model, ...]
    device: str


class Replica:
    """Runs jobs. Which weights it runs them with is said with each job: farms change them one by one."""

    def __init__(self, store: StageStore, cleaners: int, version: str, *, inside: bool = False) -> None:
        """Load the weights. cleaners: frames cleaned side by side. version: of the Douga that asks.

        inside: nothing of it may be reached from other machines. Raises CheckpointError, DeviceError, and
        SetupError where this machine has another Douga.
        """
        from douga_server.engine import Engine  # takes seconds, and the front imports this module too

        if version != __version__:
            raise SetupError(
                f"a machine of the farm has Douga {__version__} and the server {version}; "
                "install the same everywhere, or frames would differ by who made them"
            )
        if inside:
            _stay_inside()
        self._store = store
        self._stages = store.load()
        self._next: ServedStages | None = None
        self._engine = Engine(self._stages, cleaners=cleaners)
        # One more thread than calls at a time: one that was given up may still be on its way out.
        self._callers = ThreadPoolExecutor(cleaners + 2, thread_name_prefix="slot")
        self._loading = asyncio.Lock()

    def describe(self) -> Loaded:
        """The weights in use."""
        return Loaded(tuple(self._stages.models), self._stages.device)

    async def load(self) -> Loaded | DougaError:
        """Load the weights anew, to be used from the first job on that asks for them."""
        async with self._loading:
            try:
                self._next = await asyncio.to_thread(self._store.load)
            except DougaError as error:
                return error.with_traceback(None)
            return Loaded(tuple(self._next.models), self._next.device)

    async def run(self, job: AnyJob, models: tuple[Model, ...]) -> AsyncIterator[Word]:
        """Take a job apart with these weights. Cancelling gives it up within a step of a network."""
        refusal = await self._use(models)
        if refusal is not None:
            yield Refused(refusal)
            return
        yield Accepted()
        words: asyncio.Queue[Progress | None] = asyncio.Queue()
        loop, stopped = asyncio.get_running_loop(), threading.Event()

        def tell(_: int, progress: Progress) -> None:
            loop.call_soon_threadsafe(words.put_nowait, progress)

        # The pixels as they came lie in memory that is shared with other processes, and cannot be written to.
        work = loop.run_in_executor(
            self._callers, self._engine.run, [own_job(job)], tell, lambda _: stopped.is_set()
        )
        work.add_done_callback(lambda _: words.put_nowait(None))
        try:
            while told := await _next_words(words):
                yield Told(told)
            yield Done((await work)[0])
        finally:
            stopped.set()
            await asyncio.wait([work])  # so that Ray counts the job as long as it takes a thread

    async def _use(self, models: tuple[Model, ...]) -> str | None:
        """Change to these weights if need be. Returns why not."""
        if models == self._stages.models:
            return None
        async with self._loading:
            if models == self._stages.models:
                return None
            stages = self._next
            if stages is None or models != stages.models:
                try:
                    stages = await asyncio.to_thread(self._store.load)
                except DougaError as error:
                    return str(error)
            if models != stages.models:
                return f"this machine has {_names(stages.models)}, the server {_names(models)}"
            self._stages, self._next = stages, None
            self._engine.swap(stages)
            return None


async def _next_words(words: asyncio.Queue[Progress | None]) -> tuple[Progress, ...]:
    """All that has been said, one word at least; empty at the end."""
    said = [await words.get()]
    while not words.empty() and said[-1] is not None:
        said.append(words.get_nowait())
    if said[-1] is None:
        words.put_nowait(None)  # the end is found again the next time
    return tuple(word for word in said if word is not None)


def own_job(job: AnyJob) -> AnyJob:
    """The job with pixels in memory of its own."""
    frame = Frame(np.array(job.frame.rgb), job.frame.name, job.frame.warnings)
    if isinstance(job, CutoutJob) or job.own_mask is None:
        return replace(job, frame=frame)
    return replace(job, frame=frame, own_mask=CelMask(np.array(job.own_mask.mask)))


@overload
def own_answer(answer: Answer) -> Answer: ...


@overload
def own_answer(answer: CutoutAnswer) -> CutoutAnswer: ...


def own_answer(answer: AnyAnswer) -> AnyAnswer:
    """The answer with pixels in memory of its own, so that the shared memory is free again."""
    if isinstance(answer, CutoutAnswer):
        return replace(answer, alpha=np.array(answer.alpha), colours=np.array(answer.colours))
    return replace(
        answer,
        cel_mask=CelMask(np.array(answer.cel_mask.mask)),
        classes=ClassMap(np.array(answer.classes.ids)),
    )


def _names(models: tuple[Model, ...]) -> str:
    return ", ".join(f"{model.name} ({model.sha256[:8]})" for model in models)


def _stay_inside() -> None:
    """Keep the port that Serve opens for each replica, and that is not used here, to this machine.

    All other listeners of a cluster on 127.0.0.1 are there too, this one is on every interface. Ray has no
    setting for it; where a later Ray does it otherwise, a test says so.
    """
    from ray.serve._private import replica

    add_port = getattr(replica, "add_port_to_grpc_server", None)
    if add_port is None:
        _LOG.warning("Ray has changed: the unused port of this replica may be open to the network")
        return
    replica.add_port_to_grpc_server = lambda server, address: add_port(server, "127.0.0.1:0")
