"""The ray backend on real clusters: what dies, and that nobody notices. The common suite is test_backends."""

import asyncio
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme
from douga_server.backends.local import LocalBackend
from douga_server.backends.ray import FarmSettings, RayBackend
from douga_server.backends.ray_calls import _Onward
from douga_server.backends.ray_status import error_in
from douga_server.cluster import import_ray, open_cluster, refuse_open_cluster
from douga_server.errors import SetupError
from douga_server.fakes import FakeStore
from douga_server.jobs import Answer, BackendError, Job, Options, Progress, Stage
from douga_server.tls import TlsFiles
from farming import (
    PATIENCE_S,
    SMALL_STORE,
    HesitantStore,
    Nodes,
    PoisonStore,
    drawing,
    pids_of,
    see_them_end,
    wait_until,
    whole_cluster,
)

from douga.errors import CheckpointError, InputError

SECURE = {"RAY_AUTH_MODE": "token", "RAY_USE_TLS": "1"}
REPLICA = "ray::ServeReplica"


def silent(progress: Progress) -> None:
    """Nobody listens."""


def a_job(name: str, shift: int = 0) -> Job:
    return Job(name, drawing(name, shift=shift), Options())


async def answer(backend: RayBackend | LocalBackend, job: Job) -> Answer:
    (result,) = await backend.run([job], [silent])
    assert isinstance(result, Answer), result
    return result


async def expected_bytes(count: int) -> list[bytes]:
    local = LocalBackend(FakeStore())
    await local.start()
    answers = [await answer(local, a_job("x", shift)) for shift in range(count)]
    await local.close()
    return [each.classes.ids.tobytes() for each in answers]


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SetupError, match=re.escape("pip install '.[farm]'")):
        import_ray()


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "[::1]:6379", "localhost:6379"])
def test_a_cluster_on_this_machine_alone_may_be_joined(address: str) -> None:
    refuse_open_cluster(address, {})


@pytest.mark.parametrize(
    ("environ", "lacks"),
    [
        ({}, "without a token.*without TLS"),
        ({"RAY_AUTH_MODE": "disabled", "RAY_USE_TLS": "1"}, "without a token"),
        ({"RAY_AUTH_MODE": "token"}, "without TLS"),
        ({"RAY_AUTH_MODE": "token", "RAY_USE_TLS": "0"}, "without TLS"),
    ],
)
def test_an_open_cluster_is_refused(environ: dict[str, str], lacks: str) -> None:
    for address in ("192.0.2.7:6379", "head:6379"):
        with pytest.raises(SetupError, match=lacks):
            refuse_open_cluster(address, environ)
        with pytest.raises(SetupError, match=lacks):
            refuse_open_cluster("auto", {"RAY_ADDRESS": address, **environ})
        refuse_open_cluster(address, SECURE)


def test_where_no_cluster_is_it_says_so_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(SetupError, match="ray start --head"):
        open_cluster(f"127.0.0.1:{port}")


def test_a_cluster_without_tls_is_not_joined_with_it(
    authority: trustme.CA, tls_files: TlsFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with socket.create_server(("127.0.0.1", 0)) as plain:
        address = f"127.0.0.1:{plain.getsockname()[1]}"
        with pytest.raises(SetupError, match="RAY_TLS_CA_CERT"):
            open_cluster(address)
        monkeypatch.setenv("RAY_TLS_CA_CERT", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("RAY_TLS_SERVER_CERT", str(tls_files.cert))
        monkeypatch.setenv("RAY_TLS_SERVER_KEY", str(tls_files.key))
        answering = threading.Thread(target=_answer_in_clear, args=(plain,))
        answering.start()
        with pytest.raises(SetupError, match="same certificates"):
            open_cluster(address)
        answering.join()


def _answer_in_clear(listener: socket.socket) -> None:
    connection = listener.accept()[0]
    with connection:
        connection.recv(4096)
        connection.sendall(b"PRI * HTTP/2.0 and no TLS")


def test_rays_client_protocol_is_refused() -> None:
    with pytest.raises(SetupError, match="HOST:PORT"):
        refuse_open_cluster("ray://head:10001", SECURE)


def test_the_error_of_a_replica_keeps_its_kind() -> None:
    error = error_in("Error:\nTraceback\n  File x\ndouga.errors.CheckpointError: a.bin: is empty\n")
    assert isinstance(error, CheckpointError)
    assert str(error) == "a.bin: is empty"
    assert isinstance(error_in("no room: nothing is free"), SetupError)
    assert isinstance(error_in(""), SetupError)


def test_progress_never_goes_back_when_a_job_is_tried_again() -> None:
    heard: list[Progress] = []
    onward = _Onward(heard.append)
    first = [Progress(Stage.CEL, 0.0), Progress(Stage.CEL, 1.0), Progress(Stage.LINES, 0.5)]
    again = [Progress(Stage.CEL, 0.0), Progress(Stage.LINES, 0.25), Progress(Stage.LINES, 0.75)]
    onward.all(first)
    onward.all(again)
    assert heard == [*first, again[-1]]


def test_replicas_are_counted_from_one() -> None:
    with pytest.raises(InputError, match="from 3 to 2"):
        FarmSettings(min_replicas=3, max_replicas=2)
    with pytest.raises(InputError, match="from 0 to 2"):
        FarmSettings(min_replicas=0, max_replicas=2)


@pytest.fixture
def farm() -> Nodes:
    """A head without work and two nodes with room for a replica each."""
    return whole_cluster()


def on_farm(farm: Nodes, replicas: int, store: FakeStore, least: int = 0) -> RayBackend:
    wanted = FarmSettings(
        address=farm.address, min_replicas=least or replicas, max_replicas=replicas, cpus=1, tries=3
    )
    return RayBackend(store, wanted)


def started(backend: RayBackend, test: Coroutine[Any, Any, None]) -> None:
    async def session() -> None:
        try:
            await backend.start()
            await asyncio.wait_for(test, 2 * PATIENCE_S)
        finally:
            test.close()
            await backend.close()

    asyncio.run(session())


class Load:
    """Callers who send one frame after another. answers: with the shift of each frame."""

    def __init__(self, backend: RayBackend, callers: int) -> None:
        self.answers: list[tuple[int, Answer]] = []
        self.longest_s = 0.0
        self._stop, self._backend = False, backend
        self._tasks = [asyncio.create_task(self._call(k)) for k in range(callers)]

    async def _call(self, caller: int) -> None:
        n = caller
        while not self._stop:
            begun_s, shift = time.monotonic(), n % 40
            self.answers.append((shift, await answer(self._backend, a_job(f"{n}", shift))))
            self.longest_s = max(self.longest_s, time.monotonic() - begun_s)
            n += 7

    async def goes_on(self, more: int = 10) -> None:
        wanted = len(self.answers) + more
        while len(self.answers) < wanted:
            await asyncio.sleep(0.05)
            for task in self._tasks:
                if task.done():
                    task.result()

    async def end(self) -> None:
        """All answers are there and the same as those of the local backend."""
        self._stop = True
        await asyncio.gather(*self._tasks)
        expected = await expected_bytes(40)
        assert all(each.classes.ids.tobytes() == expected[shift] for shift, each in self.answers)


async def till(condition: Any, what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what)


@pytest.mark.slow
def test_a_killed_replica_is_replaced_and_nothing_is_lost(farm: Nodes) -> None:
    backend = on_farm(farm, 2, FakeStore(step_s=0.02))

    async def test() -> None:
        assert backend.slots == 4
        load = Load(backend, callers=3)
        await load.goes_on()
        for _ in range(2):
            os.kill(pids_of(REPLICA)[0], signal.SIGKILL)
            await load.goes_on()
        await till(lambda: backend.slots == 4, "two replicas again")
        await load.end()
        assert load.longest_s < PATIENCE_S

    started(backend, test())


@pytest.mark.slow
def test_a_frame_that_kills_its_replicas_is_given_up(farm: Nodes) -> None:
    backend = on_farm(farm, 2, PoisonStore())

    async def test() -> None:
        (result,) = await backend.run([a_job("poison")], [silent])
        assert isinstance(result, BackendError)
        assert "3 replicas in turn were lost" in str(result)
        await answer(backend, a_job("good"))

    started(backend, test())


@pytest.mark.slow
def test_replicas_follow_the_load(farm: Nodes) -> None:
    backend = on_farm(farm, 2, FakeStore(step_s=0.05), least=1)

    async def test() -> None:
        assert backend.slots == 2
        load = Load(backend, callers=4)
        await till(lambda: backend.slots == 4, "a second replica")
        await load.end()

    started(backend, test())


@pytest.mark.slow
def test_replicas_of_a_killed_server_are_replaced(farm: Nodes, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_text("old")

    async def die() -> None:
        killed = on_farm(farm, 2, FakeStore(weights=weights))
        await killed.start()
        assert killed._cluster is not None
        assert killed._watching is not None
        killed._watching.cancel()
        assert killed._calls is not None
        killed._calls.close()
        killed._cluster.leave()

    asyncio.run(die())
    weights.write_text("new")
    backend = on_farm(farm, 1, FakeStore(weights=weights))

    async def test() -> None:
        new = (await answer(backend, a_job("a"))).models
        assert new[0].sha256 == hashlib.sha256(b"new").hexdigest()
        await till(lambda: len(pids_of(REPLICA)) == 1, "the old replicas have gone")

    started(backend, test())


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before it has joined", "while replicas start"])
def test_a_server_that_is_stopped_while_it_starts_leaves_no_replica(farm: Nodes, when: str) -> None:
    backend = on_farm(farm, 2, HesitantStore())

    async def stop() -> None:
        starting = asyncio.create_task(backend.start())
        if when == "while replicas start":
            await till(lambda: pids_of(REPLICA), "a replica loads its weights")
        else:
            await asyncio.sleep(0.01)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(stop())
    cluster = open_cluster(farm.address)
    try:
        assert cluster.ray.serve.status().applications == {}
    finally:
        cluster.leave()
    wait_until(lambda: not pids_of(REPLICA), "the replicas have gone")


@pytest.mark.slow
def test_a_node_that_falls_silent_and_one_that_dies_cost_nothing_but_time(farm: Nodes) -> None:
    backend = on_farm(farm, 2, FakeStore(step_s=0.02))

    async def test() -> None:
        load = Load(backend, callers=3)
        await load.goes_on()
        farm.pull_the_plug()
        await load.goes_on()
        await till(lambda: backend.slots == 2, "the silent node is given up")
        farm.mend()  # Ray wants the main thread for it
        await till(lambda: backend.slots == 4, "the new node has a replica")
        farm.kill()
        await load.goes_on()
        await load.end()
        assert load.longest_s < PATIENCE_S

    started(backend, test())


@pytest.mark.slow
def test_a_cluster_of_its_own_is_closed_to_the_network_and_leaves_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    family: list[psutil.Process] = []
    folders: list[Path] = []
    backend = RayBackend(FakeStore(), FarmSettings(cpus=1, object_store_bytes=SMALL_STORE))

    async def test() -> None:
        await answer(backend, a_job("a"))
        assert signal.getsignal(signal.SIGTERM) == handler
        family.extend(c for c in psutil.Process().children(recursive=True) if c.pid not in before)
        assert backend._cluster is not None
        assert backend._cluster.folder is not None
        folders.append(backend._cluster.folder)
        for process in family:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    host = connection.laddr.ip.removeprefix("::ffff:")
                    assert host in ("127.0.0.1", "::1"), process.cmdline()
        os.kill(pids_of(REPLICA)[0], signal.SIGKILL)
        await answer(backend, a_job("b"))

    started(backend, test())
    assert family
    assert not psutil.wait_procs(family, timeout=PATIENCE_S)[1]
    assert not folders[0].exists()
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_sigterm_reaches_its_handler_and_a_killed_server_takes_its_cluster_along(tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('drain', flush=True))\n"
        "from douga_server.cluster import open_cluster\n"
        f"cluster = open_cluster(None, cpus=1, object_store_bytes={SMALL_STORE})\n"
        "print(cluster.folder, flush=True)\n"
        "while True: time.sleep(0.1)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        folder = Path(server.stdout.readline().strip())
        assert folder.exists()
        server.send_signal(signal.SIGTERM)
        assert server.stdout.readline() == "drain\n"
        family = psutil.Process(server.pid).children(recursive=True)
        server.kill()
    see_them_end(family)
    cluster = open_cluster(None, cpus=1, object_store_bytes=SMALL_STORE)
    cluster.leave()
    assert not folder.exists()
