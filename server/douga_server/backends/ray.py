"""The backend of a farm: replicas of the engine, kept alive by Ray Serve, reached by its handles.

Of Serve only the deployment is used. Its proxies stay off: they have neither TLS nor tokens of their own, and
our front is in their place.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from douga import __version__
from douga.errors import DougaError, InputError
from douga_server.backends.ray_calls import ReplicaCalls
from douga_server.backends.ray_replica import Loaded, Replica
from douga_server.backends.ray_status import DEPLOYMENT, count_running, error_in, message_in
from douga_server.cluster import Cluster, at_home_anywhere, open_cluster, restore_signals, share_out
from douga_server.errors import SetupError
from douga_server.jobs import AnyAnswer, AnyJob, BackendError, Description, OnProgress
from douga_server.models import StageStore

_LOG = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5  # how soon a changed number of replicas is noticed


@dataclass(frozen=True)
class FarmSettings:
    """Where the replicas run and how many.

    address: of a Ray cluster, HOST:PORT or "auto"; None starts one on this machine. min_replicas,
    max_replicas: between these it follows the load. cpus, gpus: that each replica takes; None for what there
    is. cleaners: frames that a replica cleans side by side; it takes one more at a time. app: by
    which a cluster tells servers apart; a second one of that name ends the first. tries: replicas
    that may die on one frame before it is given up. patience_s: for a replica to take a frame. start_s: for
    the first replicas to be there. object_store_bytes: memory that our own cluster shares.
    """

    address: str | None = None
    min_replicas: int = 1
    max_replicas: int = 1
    cpus: float | None = None
    gpus: float | None = None
    cleaners: int | None = None
    app: str = "douga"
    tries: int = 3
    patience_s: float = 120.0
    start_s: float = 600.0
    object_store_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise InputError(
                f"replicas from {self.min_replicas} to {self.max_replicas}: expected 1 or more, the smaller "
                "number first"
            )


class RayBackend:
    """Replicas of an engine on a Ray cluster, between two numbers of them.

    Each job is a call of its own, whatever batch it came in, so that each is stopped and tried again by
    itself.
    """

    def __init__(self, store: StageStore, settings: FarmSettings | None = None) -> None:
        """store: is sent to the replicas, which load from it; a file is looked for on their machines."""
        self._store, self._settings = at_home_anywhere(store), settings or FarmSettings()
        self._cluster: Cluster | None = None
        self._calls: ReplicaCalls | None = None
        self._cleaners = 1
        self._running = 0
        self._watching: asyncio.Task[None] | None = None
        self._reloading = asyncio.Lock()
        self._leaving = threading.Event()

    @property
    def slots(self) -> int:
        """See `Backend`. While every replica is gone, what one could do: the frames wait for the next."""
        return max(1, self._running) * (self._cleaners + 1)

    async def start(self) -> Description:
        """See `Backend`. Raises SetupError too, where there is no cluster or it has no room.

        Where it is cancelled it leaves nothing behind on the cluster, which may take as long as joining it.
        """
        self._leaving.clear()
        deploying = asyncio.get_running_loop().run_in_executor(None, self._deploy)
        try:
            await asyncio.shield(deploying)
            assert self._calls is not None
            loaded = await self._calls.ask("describe")
        except BaseException:
            self._leaving.set()
            await _over(deploying)  # or it would deploy what nobody removes
            await self.close()
            raise
        finally:
            if threading.current_thread() is threading.main_thread():
                restore_signals()
        self._calls.models = loaded.models
        self._watching = asyncio.create_task(self._watch())
        return self._describe(loaded)

    async def run(
        self, batch: Sequence[AnyJob], on_progress: Sequence[OnProgress]
    ) -> list[AnyAnswer | DougaError]:
        """See `Backend`. Where a job's on_progress raises Stopped, that job alone is given up."""
        calls = self._calls
        if calls is None:
            raise BackendError("the server has not loaded its weights yet; try again in some seconds")
        runs = [calls.run(job, tell) for job, tell in zip(batch, on_progress, strict=True)]
        return list(await asyncio.gather(*runs))

    async def reload(self) -> Description:
        """See `Backend`. One replica tries the new weights; the others change with their next frame."""
        calls = self._calls
        if calls is None:
            raise BackendError("the server has not loaded its weights yet; there is nothing to load again")
        async with self._reloading:
            loaded = await calls.ask("load")
            if isinstance(loaded, DougaError):
                raise loaded
            calls.models = loaded.models
            return self._describe(loaded)

    async def close(self) -> None:
        """See `Backend`. The replicas go; a cluster of our own goes with them."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])
        cluster, calls = self._cluster, self._calls
        self._cluster = self._calls = None
        if cluster is not None:
            await asyncio.to_thread(self._undeploy, cluster, calls)

    # On a thread: Ray's calls block.

    def _deploy(self) -> None:
        self._cluster = open_cluster(
            self._settings.address, object_store_bytes=self._settings.object_store_bytes
        )
        self._go_on()
        serve = self._cluster.ray.serve
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        name = self._settings.app
        if self._status() is not None:  # of a server that was killed, with weights of its time
            serve.delete(name)
        self._go_on()
        serve.run_many(
            [serve.RunTarget(self._application(), name=name, route_prefix=None)],
            wait_for_applications_running=False,
        )
        self._wait_until_running()
        self._calls = ReplicaCalls(
            self._cluster.ray,
            serve.get_deployment_handle(DEPLOYMENT, name),
            tries=self._settings.tries,
            patience_s=self._settings.patience_s,
        )

    def _application(self) -> Any:
        assert self._cluster is not None
        ray, wanted = self._cluster.ray, self._settings
        share = share_out(self._cluster, wanted.max_replicas, wanted.cpus, wanted.gpus)[1]
        self._cleaners = wanted.cleaners or (4 if share.gpus else 1)
        deployment = ray.serve.deployment(
            Replica,
            name=DEPLOYMENT,
            ray_actor_options={"num_cpus": share.cpus, "num_gpus": share.gpus},
            max_ongoing_requests=2 * (self._cleaners + 1),  # how many really, `slots` says
            max_constructor_retry_count=1,
            health_check_period_s=1,
            health_check_timeout_s=30,
            graceful_shutdown_wait_loop_s=0.2,
            graceful_shutdown_timeout_s=20,
            **self._scale(),
        )
        inside = ray.util.get_node_ip_address() in ("127.0.0.1", "::1")
        return deployment.bind(self._store, self._cleaners, __version__, inside=inside)

    def _scale(self) -> dict[str, Any]:
        wanted = self._settings
        if wanted.min_replicas == wanted.max_replicas:
            return {"num_replicas": wanted.max_replicas}
        return {
            "autoscaling_config": {
                "min_replicas": wanted.min_replicas,
                "max_replicas": wanted.max_replicas,
                # Replicas that have all they can take ask for more of them.
                "target_ongoing_requests": 0.6 * (self._cleaners + 1),
                "look_back_period_s": 11,  # Ray takes no less
                "upscale_delay_s": 3,
                "downscale_delay_s": 120,
            }
        }

    def _wait_until_running(self) -> None:
        """Raises what the first replica that could not start raised, SetupError where none can be placed."""
        until_s = time.monotonic() + self._settings.start_s
        while True:
            self._go_on()
            status = self._status()
            if status is not None and status.status == "RUNNING":
                self._running = count_running(status)
                return
            told = "" if status is None else message_in(status)
            if status is not None and status.status == "DEPLOY_FAILED":
                raise error_in(told)
            if time.monotonic() > until_s:
                raise SetupError(
                    f"no replica was ready within {self._settings.start_s:g} s; Ray says: {told or 'nothing'}"
                )
            self._leaving.wait(0.1)

    def _go_on(self) -> None:
        """Raises SetupError where nobody waits for the replicas any more."""
        if self._leaving.is_set():
            raise SetupError("the server was stopped before its replicas had started")

    def _status(self) -> Any:
        """What Serve says of our application, or None."""
        assert self._cluster is not None
        return self._cluster.ray.serve.status().applications.get(self._settings.app)

    def _undeploy(self, cluster: Cluster, calls: ReplicaCalls | None) -> None:
        try:
            if calls is not None:
                calls.close()
            if cluster.is_own:
                cluster.ray.serve.shutdown()
            else:
                cluster.ray.serve.delete(self._settings.app)
        except Exception as exc:  # the cluster may be gone already, and we are going
            _LOG.warning("the replicas could not be removed: %s", exc)
        finally:
            cluster.leave()

    # On the loop.

    async def _watch(self) -> None:
        """Follow how many replicas there are."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                status = await asyncio.to_thread(self._status)
            except Exception as exc:  # Serve's controller dies and comes back too
                _LOG.warning("Ray Serve does not say how it is: %s", exc)
                continue
            running = 0 if status is None else count_running(status)
            if running != self._running:
                _LOG.info("%d replicas, there were %d", running, self._running)
                self._running = running

    def _describe(self, loaded: Loaded) -> Description:
        return Description("ray", loaded.models, (loaded.device,) * self._settings.max_replicas)


async def _over(work: asyncio.Future[None]) -> None:
    """Wait until work on a thread has ended, well or not, however often this task is cancelled."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
