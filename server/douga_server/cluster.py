"""Ray, as the server and the batch need it: a cluster of this process's own, or one that is there already.

Ray is imported here and nowhere earlier: it is an extra, and it reads its environment while it is imported.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from douga.shipped import imported_weights, shipped_weights
from douga_server.address import parse_address
from douga_server.errors import SetupError
from douga_server.models import ModelStore, StageStore

_LOG = logging.getLogger(__name__)

NAMESPACE = "douga"
_FOLDER = "douga-ray-"  # with the pid of whose it is
_LAST_WORDS_S = 2.0
_KNOCK_S = 5.0
_NOBODY = "127.0.0.1:6379"  # where "auto" looks when nothing says where a cluster is
_RECORDED = Path("/tmp/ray/ray_current_cluster")  # where `ray start` notes the address for "auto"
_OWN = {
    # Everybody of a cluster listens on 127.0.0.1 alone then. The name is Ray's: on systems that ask people
    # about every listening port this is its default.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    # Replicas block nothing, and on Serve's own loop a cancelled call has ended when Serve says so.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_enable_metrics_collection": "0",  # its metrics have no token
    # Ray starts its workers at 15, so that one other busy process a core brings them to a standstill.
    "RAY_worker_niceness": "0",
    # Replicas also listen for calls that are not used here; a stranger's is held in memory before his token
    # is looked at.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": "65536",
}
_EVERYWHERE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a thread of Serve that outlives a connection would make another
    # How soon load is answered by more replicas; Ray's own is 10 s.
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
}


@dataclass(frozen=True)
class Cluster:
    """A connection to Ray.

    ray: the module. folder: of a cluster of our own, its sockets and logs; None where it is another's.
    """

    ray: ModuleType
    folder: Path | None
    _keeper: _Keeper

    @property
    def is_own(self) -> bool:
        """Whether it was started for this process and ends with it."""
        return self.folder is not None

    def leave(self) -> None:
        """Disconnect; a cluster of our own ends with all its processes, and its folder goes."""
        family = [] if self.folder is None else _family(self.folder)
        self.ray.shutdown()
        self._keeper.release()
        if self.folder is not None:
            _end(family)
            shutil.rmtree(self.folder, ignore_errors=True)


def open_cluster(
    address: str | None, *, cpus: int | None = None, object_store_bytes: int | None = None
) -> Cluster:
    """Connect to the cluster at an address (HOST:PORT or "auto"), or start one here where it is None.

    Our own listens on this machine alone, with a token made for it. Another's has its token and certificates
    in the environment, as Ray wants it: RAY_AUTH_MODE, RAY_AUTH_TOKEN_PATH, RAY_USE_TLS, RAY_TLS_*. cpus,
    object_store_bytes: of our own. Raises SetupError, also where the cluster is open to a network without
    them.
    """
    if address is not None:
        refuse_open_cluster(address, os.environ)
        _knock(address, os.environ)
    prepare_environment(own=address is None)
    ray = import_ray()
    if ray.is_initialized():
        raise SetupError("Ray is in use already in this process; run one server or one batch in a process")
    _LOG.debug("ray: %s", address or "a cluster of our own")
    if address is None:
        return _start_own(ray, cpus, object_store_bytes)
    keeper = _Keeper(lambda: ray.init(address=address, **_quietly()))
    try:
        keeper.connect()
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as exc:
        raise SetupError(
            f"{address}: no Ray cluster could be joined there ({_first_line(exc)}); this machine has to be "
            "part of it (`ray start --address=...`), with the same token and certificates"
        ) from exc
    _redirect_errors(ray)
    return Cluster(ray, None, keeper)


@dataclass(frozen=True)
class Share:
    """What one worker takes of its machine. cpus: also the threads that torch uses there."""

    cpus: float
    gpus: float


def share_out(
    cluster: Cluster, workers: int | None, cpus: float | None, gpus: float | None
) -> tuple[int, Share]:
    """How many workers there are to be, and what each takes; None for what there is.

    Without a number: one a GPU, or one a machine where there are none.
    """
    nodes = [node["Resources"] for node in cluster.ray.nodes() if node["Alive"]]
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if gpus is None:
        gpus = 1.0 if with_gpu else 0.0
    hosts = (with_gpu if gpus else [node for node in nodes if node.get("CPU", 0) >= 1]) or nodes
    if workers is None:
        workers = max(1, int(sum(node.get("GPU", 0) for node in hosts) // gpus) if gpus else len(hosts))
    if cpus is None:
        a_host = math.ceil(workers / len(hosts))
        cpus = max(1, min(node.get("CPU", 1) for node in hosts) // a_host)
    return workers, Share(cpus, gpus)


def at_home_anywhere(store: StageStore) -> StageStore:
    """The same store for processes that work in other folders: files by their whole paths."""
    if not isinstance(store, ModelStore):
        return store
    shipped, imported = shipped_weights(), imported_weights()

    def settled(given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            path if path in shipped else str(imported.get(path, Path(path)).absolute()) for path in given
        )

    return replace(store, cel=settled(store.cel), lines=settled(store.lines), cutout=settled(store.cutout))


def import_ray() -> ModuleType:
    """Ray with Serve. Raises SetupError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Ray's own packages will have to change is not our news
            import ray
            import ray.serve
    except ImportError as exc:
        raise SetupError(
            f"the farm needs Ray, which is not installed ({exc}); pip install '.[farm]' in Douga's checkout"
        ) from exc
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    return ray


def refuse_open_cluster(address: str, environ: Mapping[str, str]) -> None:
    """Raises SetupError where we would join a cluster over a network without a token or without TLS.

    Who reaches a Ray cluster can run any code on all of it. With RAY_USE_TLS both sides show certificates, so
    a cluster that has none cannot be joined by mistake.
    """
    if address.startswith("ray://"):
        raise SetupError(
            f"{address}: Ray's client protocol has no progress and no cancellation; run this on a machine of "
            "the cluster and give its address as HOST:PORT"
        )
    target = _resolve_auto(environ) if address == "auto" else address
    if target is not None and parse_address(target).is_local:
        return
    lacks = []
    if environ.get("RAY_AUTH_MODE", "").lower() != "token":
        lacks.append("a token (RAY_AUTH_MODE=token, RAY_AUTH_TOKEN_PATH=FILE)")
    if environ.get("RAY_USE_TLS", "").lower() not in ("1", "true"):
        lacks.append("TLS (RAY_USE_TLS=1, RAY_TLS_SERVER_CERT, RAY_TLS_SERVER_KEY, RAY_TLS_CA_CERT)")
    if lacks:
        raise SetupError(
            f"{address}: a Ray cluster on a network runs any code for whoever reaches it, and this one is "
            f"joined without {' and without '.join(lacks)}; set them up on all of its machines, see "
            "docs/farm.md"
        )


def _knock(address: str, environ: Mapping[str, str]) -> None:
    """See that somebody is there, and shows a certificate: Ray itself takes minutes to give up."""
    target = parse_address((_resolve_auto(environ) if address == "auto" else address) or _NOBODY)
    try:
        with socket.create_connection((target.host, target.port), timeout=_KNOCK_S) as plain:
            if environ.get("RAY_USE_TLS", "").lower() in ("1", "true"):
                context = ssl.create_default_context(cafile=environ["RAY_TLS_CA_CERT"])
                context.load_cert_chain(environ["RAY_TLS_SERVER_CERT"], environ["RAY_TLS_SERVER_KEY"])
                context.wrap_socket(plain, server_hostname=target.host).close()
    except KeyError as exc:
        raise SetupError(f"RAY_USE_TLS is set, but {exc} is not; all of RAY_TLS_* are needed") from exc
    except OSError as exc:
        raise SetupError(
            f"{address}: no Ray cluster is to be found at {target.target} ({exc}); see whether `ray start "
            "--head` runs there, with the same certificates"
        ) from exc


def _resolve_auto(environ: Mapping[str, str]) -> str | None:
    """What "auto" stands for, or None where nothing says."""
    if environ.get("RAY_ADDRESS"):
        return environ["RAY_ADDRESS"]
    try:
        return _RECORDED.read_text("utf-8").strip() or None
    except OSError:
        return None


def prepare_environment(*, own: bool) -> None:
    for name, value in {**_EVERYWHERE, **(_OWN if own else {})}.items():
        os.environ[name] = value
    if own and not (os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")):
        # Not in a file: children inherit it, and nobody else has to know it.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _quietly() -> dict[str, Any]:
    return {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}


def _start_own(ray: ModuleType, cpus: int | None, object_store_bytes: int | None) -> Cluster:
    # A short path: sockets in it have names of at most 107 bytes.
    parent = Path("/tmp") if os.name == "posix" else Path(tempfile.gettempdir())
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=parent))

    def start() -> None:
        ray.init(
            address="local",
            include_dashboard=False,
            num_cpus=cpus,
            object_store_memory=object_store_bytes,
            _temp_dir=str(folder),
            **_quietly(),
        )

    keeper = _Keeper(start)
    try:
        keeper.connect()
    except Exception as exc:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        raise SetupError(f"Ray could not be started on this machine: {_first_line(exc)}") from exc
    _redirect_errors(ray)
    return Cluster(ray, folder, keeper)


def _sweep(parent: Path) -> None:
    """Remove the folders of servers that were killed before they could."""
    for folder in parent.glob(f"{_FOLDER}*-*"):
        pid = folder.name.removeprefix(_FOLDER).split("-")[0]
        if pid.isdecimal() and folder.stat().st_uid == os.getuid() and not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(pid))


def _family(folder: Path) -> list[Any]:
    """Our children that work in this folder, with all of theirs, as psutil.Process."""
    import psutil  # the one that Ray brings

    family = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any(str(folder) in word for word in child.cmdline()):
                family += [child, *child.children(recursive=True)]
    return family


def _end(family: list[Any]) -> None:
    """Ray's agents would stay for most of a minute to look for the others."""
    import psutil

    for process in psutil.wait_procs(family, timeout=_LAST_WORDS_S)[1]:
        with suppress(psutil.Error):
            process.kill()


class _Keeper:
    """The thread that connects to Ray, and lives as long as the connection.

    Processes of our own cluster are ended by the kernel together with the thread that started them. And only
    on the main thread does Ray put its own handler for SIGTERM, which ends the process at once, in Python's
    place; ours drain first. Its C++ half takes the signal over from any thread, hence `restore_signals`.
    """

    def __init__(self, connect: Callable[[], object]) -> None:
        self._connect, self._connected = connect, Future[None]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ray", daemon=True)

    def connect(self) -> None:
        """Raises what connecting raises."""
        self._thread.start()
        self._connected.result()
        if threading.current_thread() is threading.main_thread():
            restore_signals()

    def release(self) -> None:
        """Let the thread end, after the connection."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._connect()
        except BaseException as exc:
            self._connected.set_exception(exc)
            return
        self._connected.set_result(None)
        self._over.wait()


def restore_signals() -> None:
    """Give SIGTERM and SIGINT back to whom Python knows as their handlers. On the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if handler is not None:
            signal.signal(number, handler)


def _redirect_errors(ray: ModuleType) -> None:
    """Ray prints what fails anywhere in the cluster on stdout, which is ours; it belongs into the log."""
    worker = ray._private.worker
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda data, ignore_prefix=False: _LOG.info(
            "ray: %s", "\n".join(data["lines"])
        )


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
