"""A batch on a farm: Ray actors take frames apart, this process reads them and writes the files.

Nothing is written anywhere else, so a worker or a machine that dies leaves nothing behind, and its frames go
to others. Where this process dies the same command goes on from what is there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from douga import __version__
from douga.errors import DougaError, InputError
from douga.layers import build_layers
from douga.pipeline import Reconstruction, Settings
from douga.types import CelMask, Frame
from douga_server.backends.ray_replica import Loaded, Refused, own_answer, own_job
from douga_server.cluster import Cluster, Share, at_home_anywhere, open_cluster, share_out
from douga_server.errors import SetupError
from douga_server.jobs import (
    Answer,
    AnyAnswer,
    BackendError,
    Job,
    Model,
    Options,
    Priority,
    Progress,
    Stopped,
)
from douga_server.models import StageStore

_LOG = logging.getLogger(__name__)
_POLL_S = 0.2
_TRIES = 5  # workers that may die on one frame
_DOWN_S = 10.0  # a worker that died gets no frames so soon, where there are others
_LAST_FRAMES_S = 2.0  # what a run that ends early waits for those under way
_OBJECT_STORE_BYTES = 1 << 30


@dataclass(frozen=True)
class FarmRun:
    """What a farm is to do.

    store: where the workers have their weights from; a file is looked for on their machines. settings: how
    the douga is cleaned and coloured. own_masks: the user's mask of a frame, in place of stage one. address:
    of a Ray cluster, HOST:PORT or "auto"; None starts one here. workers: None for one a GPU, or one a machine
    without any. cpus, gpus: that each takes; None for what there is. in_flight: frames under way at once;
    None for as many as keep the workers busy.
    """

    store: StageStore
    settings: Settings
    own_masks: Callable[[Frame], CelMask] | None = None
    address: str | None = None
    workers: int | None = None
    cpus: float | None = None
    gpus: float | None = None
    in_flight: int | None = None
    object_store_bytes: int = _OBJECT_STORE_BYTES


@dataclass
class Pending:
    """A frame that is with a worker. reference: of its answer."""

    job: Job
    sent: Any
    worker: _Member
    reference: Any


@dataclass(eq=False)
class _Member:
    """A worker as this process sees it."""

    actor: Any
    busy: int = 0
    down_until_s: float = field(default=0.0)

    def rank(self) -> tuple[bool, int]:
        return time.monotonic() < self.down_until_s, self.busy


@contextmanager
def open_farm(run: FarmRun) -> Iterator[Farm]:
    """Have the workers ready, and let go of them at the end.

    Raises SetupError without Ray, a cluster or room on it, CheckpointError and DeviceError as the workers do.
    """
    cluster = open_cluster(run.address, object_store_bytes=run.object_store_bytes)
    try:
        farm = Farm(cluster, run)
        try:
            yield farm
        finally:
            farm.dismiss()
    finally:
        cluster.leave()


class Farm:
    """Workers, and the frames that are with them. `start` on one thread, `finish` on any."""

    def __init__(self, cluster: Cluster, run: FarmRun) -> None:
        count, share = share_out(cluster, run.workers, run.cpus, run.gpus)
        self._ray, self._run = cluster.ray, run
        cleaners = 4 if share.gpus else 1
        self._members = [
            _Member(_hire(cluster, at_home_anywhere(run.store), cleaners, share)) for _ in range(count)
        ]
        self._lock, self._hurried_s = threading.Lock(), float("inf")
        loaded = self._load()
        self._models: tuple[Model, ...] = loaded.models
        self._device = f"farm: {count} x {loaded.device}"
        # One more a worker than it takes at once, so that its next frame has arrived when it is free.
        self._in_flight = run.in_flight or count * (cleaners + 2)

    @property
    def device(self) -> str:
        """For the manifest: "farm: 3 x cuda:0"."""
        return self._device

    @property
    def weights(self) -> dict[str, dict[str, str]]:
        """Name and sha256 by stage, for the manifest."""
        used = ("lines",) if self._run.own_masks else ("lines", "cel")
        defaults = {model.stage: model for model in self._models if model.is_default}
        return {stage: {"name": defaults[stage].name, "sha256": defaults[stage].sha256} for stage in used}

    @property
    def in_flight(self) -> int:
        """Frames that are to be under way at once."""
        return self._in_flight

    def start(self, frame: Frame) -> Pending:
        """Send a frame to the worker with the least to do. Raises InputError where its mask is no good."""
        masks = self._run.own_masks
        options = Options(
            line_width_px=self._run.settings.line_width_px,
            palette=self._run.settings.palette,
            priority=Priority.BATCH,
        )
        job = Job(frame.name, frame, options, None if masks is None else masks(frame))
        sent = self._ray.put(job)
        return Pending(job, sent, *self._send(sent))

    def finish(self, pending: Pending) -> Reconstruction:
        """Wait for a frame's answer, from another worker where the first one dies.

        Raises InputError where this frame cannot be done, BackendError where it took every worker with it or
        the run has been hurried.
        """
        why = ""
        for _ in range(_TRIES):
            try:
                result = self._wait(pending)
            except self._ray.exceptions.RayError as exc:
                why = f"{type(exc).__name__}: {str(exc).strip().splitlines()[0]}"
            else:
                if not isinstance(result, Refused):
                    return self._reconstruction(pending.job, result)
                why = result.reason
            _LOG.warning("%s: a worker was lost, another has it now (%s)", pending.job.call_id, why)
            pending.worker, pending.reference = self._send_elsewhere(pending)
        raise BackendError(
            f"{pending.job.call_id}: {_TRIES} workers in turn were lost with it, the last because: {why}; "
            "see whether the machines are well and run it again, or leave the frame out with --frames"
        )

    def hurry(self) -> None:
        """The run ends early: wait for what is under way no longer than some moments."""
        self._hurried_s = time.monotonic()

    def dismiss(self) -> None:
        """End the workers."""
        for member in self._members:
            self._ray.kill(member.actor)

    def _load(self) -> Loaded:
        """Have all workers load their weights. Raises the first error of any of them."""
        loading = [member.actor.load.remote() for member in self._members]
        try:
            results = self._ray.get(loading)
        except self._ray.exceptions.RayError as exc:
            raise SetupError(f"a worker could not be started on the farm: {exc}") from exc
        for result in results:
            if isinstance(result, DougaError):
                raise result
            if result.models != results[0].models:
                raise SetupError(
                    "machines of the farm have different weights under the same name; copy one file to all"
                )
        first: Loaded = results[0]
        return first

    def _send(self, sent: Any) -> tuple[_Member, Any]:
        with self._lock:
            member = min(self._members, key=_Member.rank)
            member.busy += 1
        return member, member.actor.run.remote(sent, self._models)

    def _send_elsewhere(self, pending: Pending) -> tuple[_Member, Any]:
        pending.worker.down_until_s = time.monotonic() + _DOWN_S
        return self._send(pending.sent)

    def _wait(self, pending: Pending) -> Any:
        try:
            while True:
                try:
                    return self._ray.get(pending.reference, timeout=_POLL_S)
                except self._ray.exceptions.GetTimeoutError:
                    if time.monotonic() > self._hurried_s + _LAST_FRAMES_S:
                        raise BackendError("the run ended before this frame was done") from None
        finally:
            with self._lock:
                pending.worker.busy -= 1

    def _reconstruction(self, job: Job, result: Answer | DougaError) -> Reconstruction:
        if isinstance(result, InputError):
            raise result
        if isinstance(result, DougaError):  # of this frame alone: too large for the memory, a bug it shows
            raise InputError(f"{job.frame.name}: {result}") from result
        answer = own_answer(result)
        layers = build_layers(job.frame, answer.cel_mask, answer.classes, self._run.settings.palette)
        return Reconstruction(job.frame, answer.cel_mask, answer.classes, layers)


def _hire(cluster: Cluster, store: StageStore, cleaners: int, share: Share) -> Any:
    """A worker somewhere on the cluster, which Ray starts again wherever there is room when it dies."""
    # What it was doing is sent again by us: to those who live, not to whoever is coming back.
    actor = cluster.ray.remote(Worker).options(
        num_cpus=share.cpus,
        num_gpus=share.gpus,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=cleaners + 2,
        scheduling_strategy="SPREAD",
    )
    return actor.remote(store, cleaners, __version__)


class Worker:
    """The actor: an engine, loaded when it is first wanted."""

    def __init__(self, store: StageStore, cleaners: int, version: str) -> None:
        self._store, self._cleaners, self._version = store, cleaners, version
        self._lock = threading.Lock()
        self._loaded: Loaded | DougaError | None = None

    def load(self) -> Loaded | DougaError:
        """Load the weights, once. An error is returned, since Ray would hand it on as text."""
        from douga_server.engine import Engine

        with self._lock:
            if self._loaded is None:
                try:
                    if self._version != __version__:
                        raise SetupError(
                            f"a machine of the farm has Douga {__version__}, this one {self._version}; "
                            "install the same everywhere, or frames would differ by who made them"
                        )
                    stages = self._store.load()
                    self._engine = Engine(stages, cleaners=self._cleaners)
                    self._loaded = Loaded(tuple(stages.models), stages.device)
                except DougaError as error:
                    self._loaded = error.with_traceback(None)
            return self._loaded

    def run(self, job: Job, models: tuple[Model, ...]) -> AnyAnswer | DougaError | Refused:
        """Take a job apart with these weights, or say why not: they may have changed with a restart."""
        loaded = self.load()
        if isinstance(loaded, DougaError):
            return Refused(str(loaded))
        if loaded.models != models:
            return Refused("its weights are others than those that the batch began with")
        result = self._engine.run([own_job(job)], _ignore, lambda _: False)[0]
        return Refused("it stopped by itself") if isinstance(result, Stopped) else result


def _ignore(index: int, progress: Progress) -> None:
    """Nobody watches a single frame of a batch."""
