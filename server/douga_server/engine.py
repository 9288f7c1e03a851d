"""Takes jobs apart: cel, lines, cleaning; or cuts them out: alpha, colours.

The networks work on one thread, what needs none beside them on others.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from douga.cutout import Alpha, cut_out
from douga.errors import DougaError
from douga.memory import memory_minded
from douga.pipeline import Probabilities
from douga.postprocess import clean_douga
from douga.types import U8, CelMask
from douga_server.jobs import (
    Answer,
    AnyAnswer,
    AnyJob,
    CutoutAnswer,
    CutoutJob,
    Job,
    Model,
    ModelUse,
    Progress,
    Region,
    Stage,
    Stopped,
)
from douga_server.models import ServedStages, find_cutout_model, find_model, memory_short

Result = AnyAnswer | DougaError | Stopped
_Made = TypeVar("_Made")

_LOG = logging.getLogger(__name__)
# Probabilities and their cleaning take some 40 bytes of memory a pixel: 1.3 GiB, 16 frames of 1920 x 1080.
ROOM_PX = 1 << 25
_POLL_S = 0.05  # how soon it is noticed that a job which waits or is cleaned has been stopped


class EngineError(DougaError):
    """A bug of ours, met in one job. The log has its traceback."""


@dataclass
class _Work:
    """A job under way. seconds: of the stages that are done."""

    job: AnyJob
    stages: ServedStages
    tell: Callable[[Progress], None]
    is_stopped: Callable[[], bool]
    models: tuple[Model, ...] = ()
    seconds: dict[Stage, float] = field(default_factory=dict)

    def go_on(self) -> None:
        """Raises Stopped where nobody wants the job any more."""
        if self.is_stopped():
            raise Stopped

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[Callable[[float], None]]:
        """Time a stage and tell of it. Gives what its steps call."""
        told = -1.0

        def on_step(share: float) -> None:
            nonlocal told
            self.go_on()
            if share > told:
                told = share
                self.tell(Progress(stage, share))

        begun_s = time.perf_counter()
        on_step(0.0)
        yield on_step
        on_step(1.0)
        self.seconds[stage] = time.perf_counter() - begun_s


@dataclass(frozen=True)
class _Seen:
    """What the networks made of a job, of its region's size where it has one."""

    job: Job
    cel_mask: CelMask
    probabilities: Probabilities


class _Room:
    """Who is past the door to the networks: at most so many jobs and pixels, or a single job of any size."""

    def __init__(self, max_jobs: int, max_px: int) -> None:
        self._max_jobs, self._max_px = max_jobs, max_px
        self._jobs = self._px = 0
        self._changed = threading.Condition()

    def enter(self, job: AnyJob, timeout_s: float) -> bool:
        """Whether there was room, or came to be in time."""
        px = math.prod(job.frame.size_hw)

        def fits() -> bool:
            return not self._jobs or (self._jobs < self._max_jobs and self._px + px <= self._max_px)

        with self._changed:
            if not self._changed.wait_for(fits, timeout_s):
                return False
            self._jobs, self._px = self._jobs + 1, self._px + px
            return True

    def leave(self, job: AnyJob) -> None:
        with self._changed:
            self._jobs, self._px = self._jobs - 1, self._px - math.prod(job.frame.size_hw)
            self._changed.notify_all()


class Engine:
    """Runs jobs through the stages, one job after another through the networks, which keep to one thread.

    torch makes a crew of threads for each thread that calls it, and they share the cores badly. The cleaning
    is array work that needs no network and lets go of Python's lock, so up to `cleaners` jobs are cleaned
    while the networks look at the next one. Jobs are not stacked into one tensor: bytes of an answer must not
    depend on who else called at that moment, and kernels choose their sums by the size of a stack.
    """

    def __init__(self, stages: ServedStages, *, cleaners: int = 1, room_px: int = ROOM_PX) -> None:
        """cleaners: jobs cleaned side by side. room_px: pixels of all jobs from the networks on."""
        self._stages = stages
        self._networks = ThreadPoolExecutor(1, thread_name_prefix="networks")
        self._cleaners = ThreadPoolExecutor(cleaners, thread_name_prefix="clean")
        self._room = _Room(cleaners + 1, room_px)

    @property
    def stages(self) -> ServedStages:
        """The networks for jobs that come from now on."""
        return self._stages

    def swap(self, stages: ServedStages) -> None:
        """Use other networks from the next call of `run` on; calls under way keep theirs."""
        self._stages = stages

    def run(
        self,
        jobs: Sequence[AnyJob],
        on_progress: Callable[[int, Progress], None],
        is_stopped: Callable[[int], bool],
    ) -> list[Result]:
        """Take jobs apart. Returns one result a job, in order; the error of one does not touch the others.

        May be called from several threads: while the jobs of one call are cleaned, the networks work for
        another. on_progress(i, progress): before each step of job i, its stages in order, shares rising; on
        other threads than this one, and not to raise. is_stopped(i): asked before each step; where it is true
        the job ends with Stopped. A cleaning under way cannot be interrupted: its job is given up at once,
        and the seconds until it ends are taken from the cleaner, not from the caller.
        """
        stages = self._stages
        works = [_work(i, job, stages, on_progress, is_stopped) for i, job in enumerate(jobs)]
        ends: list[Future[Result]] = [Future() for _ in works]
        turns = [
            self._networks.submit(self._see_then_clean, work, end)
            for work, end in zip(works, ends, strict=True)
        ]
        return [_wait(*each) for each in zip(works, turns, ends, strict=True)]

    def close(self) -> None:
        """Wait for what is under way, and end the threads."""
        self._networks.shutdown(wait=True)
        self._cleaners.shutdown(wait=True)

    def _see_then_clean(self, work: _Work, end: Future[Result]) -> None:
        """On the networks' thread: all of a job but its cleaning, which is handed on."""
        try:
            self._wait_for_room(work)
        except Stopped as stopped:
            end.set_result(stopped)
            return
        seen = _caught(work, lambda: _see(work))
        if isinstance(seen, _Seen | Alpha):
            self._cleaners.submit(self._clean, work, seen, end)
        else:
            self._room.leave(work.job)
            end.set_result(seen)

    def _wait_for_room(self, work: _Work) -> None:
        work.go_on()
        while not self._room.enter(work.job, timeout_s=_POLL_S):
            work.go_on()

    def _clean(self, work: _Work, seen: _Seen | Alpha, end: Future[Result]) -> None:
        """On a cleaner's thread."""
        answer = _caught(work, lambda: _clean(work, seen))
        self._room.leave(work.job)
        end.set_result(answer)


def _work(
    i: int,
    job: AnyJob,
    stages: ServedStages,
    on_progress: Callable[[int, Progress], None],
    is_stopped: Callable[[int], bool],
) -> _Work:
    return _Work(job, stages, lambda progress: on_progress(i, progress), lambda: is_stopped(i))


def _wait(work: _Work, turn: Future[None], end: Future[Result]) -> Result:
    """Wait for a job's end, or leave it where it waits for the networks or is cleaned once it is stopped."""
    while True:
        wait([end], timeout=_POLL_S)
        if end.done():
            return end.result()
        if work.is_stopped() and (turn.cancel() or turn.done()):
            return Stopped()


def _see(work: _Work) -> _Seen | Alpha:
    """All that needs a network."""
    work.go_on()
    job = work.job
    return _find_alpha(work, job) if isinstance(job, CutoutJob) else _find_lines(work, job)


def _find_alpha(work: _Work, job: CutoutJob) -> Alpha:
    """Frame -> alpha."""
    model = find_cutout_model(work.stages.models, job.model)
    work.models = (model,)
    with work.stage(Stage.CEL) as on_step:
        return work.stages.find_alpha(job.frame, model, on_step)


def _find_lines(work: _Work, job: Job) -> _Seen:
    """Frame -> cel mask -> line classes, of the region where one is asked for."""
    stages = work.stages
    options, region = job.options, job.options.region
    lines = find_model(stages.models, "lines", options.lines_model, options.input_mode)
    if job.own_mask is not None:
        work.models = (lines,)
        mask = job.own_mask
    else:
        cel = find_model(stages.models, "cel", options.cel_model)
        work.models = (cel, lines)
        with work.stage(Stage.CEL) as on_step:
            mask = stages.find_cel(job.frame, cel, region, on_step)
    with work.stage(Stage.LINES) as on_step:
        probabilities = stages.find_lines(job.frame, mask, lines, region, on_step)
    seen = mask if region is None else CelMask(_part(mask.mask, region))
    return _Seen(job, seen, probabilities)


def _clean(work: _Work, seen: _Seen | Alpha) -> AnyAnswer:
    """All that needs none: line classes -> cleaned classes, alpha -> colours."""
    if isinstance(seen, Alpha):
        return _cut_out(work, seen)
    with work.stage(Stage.CLEANING):
        job = seen.job
        rgb = _part(job.frame.rgb, job.options.region)
        classes = clean_douga(seen.probabilities, rgb, seen.cel_mask, line_width_px=job.options.line_width_px)
    return Answer(seen.cel_mask, classes, _uses(work), work.stages.device, work.seconds)


def _cut_out(work: _Work, alpha: Alpha) -> CutoutAnswer:
    with work.stage(Stage.CLEANING):
        cutout = cut_out(alpha)
        planes = [
            np.rint(plane * np.float32(255)).astype(np.uint8) for plane in (cutout.alpha, cutout.colours)
        ]
    warnings = cutout.frame.warnings
    return CutoutAnswer(planes[0], planes[1], _uses(work), work.stages.device, warnings, work.seconds)


def _uses(work: _Work) -> tuple[ModelUse, ...]:
    return tuple(ModelUse(model.stage, model.name, model.sha256) for model in work.models)


def _part(plane: U8, region: Region | None) -> U8:
    """The region of an image, (H, W) or (H, W, 3), or all of it."""
    if region is None:
        return plane
    rows = slice(region.y, region.y + region.height)
    return np.ascontiguousarray(plane[rows, region.x : region.x + region.width])


def _caught(work: _Work, step: Callable[[], _Made]) -> _Made | DougaError | Stopped:
    """Do a part of a job; what goes wrong is its result, and touches no other job.

    The errors go without their tracebacks, which would hold the arrays of the job for as long as they live.
    """
    try:
        with memory_minded(work.job.frame, memory_short):
            return step()
    except (DougaError, Stopped) as exc:
        return exc.with_traceback(None)
    except Exception as exc:
        _LOG.exception("job %s: a bug", work.job.call_id)
        return EngineError(
            f"the server has a bug that this frame shows ({type(exc).__name__}: {exc}); its log has more, "
            "please report it"
        )
