"""A real Ray cluster for tests: several nodes on one machine, listening on it alone, with a token."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import psutil
from douga_server.backends.ray import FarmSettings, RayBackend
from douga_server.cluster import _RECORDED, import_ray, prepare_environment
from douga_server.fakes import FakeStages, FakeStore
from douga_server.jobs import Model, Region
from douga_server.models import OnStep, StageStore

from douga.types import CelMask, Frame

SMALL_STORE = 200 << 20  # what the shared memory of a container has room for
# As docs/farm.md sets them: a silent node is given up after 3 s, not half a minute.
HEALTH = {
    "health_check_initial_delay_ms": 5000,
    "health_check_period_ms": 300,
    "health_check_timeout_ms": 800,
    "health_check_failure_threshold": 3,
}
PATIENCE_S = 90.0  # for what takes seconds, on a machine that has other things to do


class Nodes:
    """A head without work and two nodes with one CPU each. address: of the cluster."""

    def __init__(self) -> None:
        prepare_environment(own=True)
        ray = import_ray()
        from ray.cluster_utils import Cluster

        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
        before = set(psutil.Process().children(recursive=True))
        # Where a test run is killed, the next cluster of our own removes it by this name.
        self._folder = tempfile.mkdtemp(prefix=f"douga-ray-{os.getpid()}-", dir="/tmp")
        _RECORDED.parent.mkdir(exist_ok=True)  # Ray's helper takes for granted that a Ray has run here before
        head = {"num_cpus": 0, "temp_dir": self._folder, "_system_config": dict(HEALTH)}
        self._cluster = Cluster(initialize_head=True, head_node_args={**_SHAPE, **head})
        self.nodes: list[Any] = []
        self.mend()
        self._family = set(psutil.Process().children(recursive=True)) - before
        self.address: str = self._cluster.address

    def mend(self) -> None:
        """See that there are two nodes."""
        while len(self.nodes) < 2:
            self.nodes.append(self._cluster.add_node(num_cpus=1, **_SHAPE))

    def pull_the_plug(self) -> None:
        """Let a node fall silent, as one does whose network or power fails: nothing of it says goodbye."""
        for process in _processes(self.nodes.pop(0)):
            process.suspend()

    def kill(self) -> None:
        """End a node as the kernel would."""
        self._cluster.remove_node(self.nodes.pop(0), allow_graceful=False)

    def shut_down(self) -> None:
        """End all of it."""
        self._family |= set(psutil.Process().children(recursive=True))
        for process in self._family:
            with suppress(psutil.Error):
                if process.status() == psutil.STATUS_STOPPED:
                    process.kill()
        self._cluster.shutdown()
        for process in psutil.wait_procs(self._family, timeout=3)[1]:
            process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


_SHAPE: dict[str, Any] = {"object_store_memory": SMALL_STORE, "include_dashboard": False}


def _processes(node: Any) -> list[psutil.Process]:
    """Children before their parents, so that none is ended by a parent that is missing."""
    heads = [psutil.Process(info.process.pid) for infos in node.all_processes.values() for info in infos]
    return [*(child for head in heads for child in head.children(recursive=True)), *heads]


@cache
def lasting_cluster() -> Nodes:
    """The cluster of all tests of this process: to start one takes longer than most of them."""
    cluster = Nodes()
    atexit.register(cluster.shut_down)
    return cluster


def whole_cluster() -> Nodes:
    """The same, with what earlier tests broke put right."""
    cluster = lasting_cluster()
    cluster.mend()
    return cluster


def joined_backend(store: StageStore) -> RayBackend:
    """A backend on the cluster that stays: it starts in some seconds, not half a minute."""
    return RayBackend(store, FarmSettings(address=whole_cluster().address, cpus=1))


def drawing(name: str = "a", *, shift: int = 0) -> Frame:
    """A white page of 320 x 180 px with a red box that has a black outline, somewhere."""
    rgb = np.full((180, 320, 3), 255, np.uint8)
    cv2.rectangle(rgb, (20 + shift, 20), (200 + shift, 150), (200, 40, 40), -1)
    cv2.rectangle(rgb, (20 + shift, 20), (200 + shift, 150), (0, 0, 0), 3)
    return Frame(rgb, name)


def pids_of(title: str) -> list[int]:
    """Our descendants by what Ray calls them: "ray::ServeReplica:douga:Replica"."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any(word.startswith(title) for word in process.cmdline()):
                found.append(process.pid)
    return found


def see_them_end(family: list[psutil.Process]) -> None:
    """Wait for the end of a cluster whose owner was killed."""
    agents = []
    for process in family:
        with suppress(psutil.Error):
            name = "".join(process.cmdline()[:1])  # nothing while it starts or ends
            if "DashboardAgent" in name or "RuntimeEnvAgent" in name:
                agents.append(process)
    others = [process for process in family if process not in agents]
    assert others
    assert not psutil.wait_procs(others, timeout=PATIENCE_S)[1]
    for process in agents:  # they look for the others for a minute, and end then
        process.kill()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait, and fail the test where it takes too long."""
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class HesitantStore(FakeStore):
    """A store that does not get done with loading."""

    def load(self) -> FakeStages:
        time.sleep(10 * PATIENCE_S)
        return super().load()


@dataclass(frozen=True)
class PoisonStore(FakeStore):
    """A store whose networks end their process with every frame named poison."""

    def load(self) -> PoisonStages:
        return PoisonStages(self)


@dataclass(frozen=True)
class PoisonStages(FakeStages):
    def find_cel(self, frame: Frame, model: Model, region: Region | None, on_step: OnStep) -> CelMask:
        if frame.name == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().find_cel(frame, model, region, on_step)
