"""The life of a server: listen, load, answer, load anew, drain, go."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from douga import __version__
from douga.errors import DougaError
from douga_server import discovery
from douga_server.address import Address
from douga_server.allocator import share_one_arena
from douga_server.auth import Tokens
from douga_server.front import Front
from douga_server.lifeline import Lifeline
from douga_server.logs import log_call
from douga_server.options import FrontOptions
from douga_server.tls import TlsFiles, server_credentials

if TYPE_CHECKING:  # see Front.serve: what answers is loaded after the server listens
    from douga_server.backends.base import Backend
    from douga_server.batcher import QueueLimits
    from douga_server.metrics import Metrics
    from douga_server.service import Works

EXIT_OK, EXIT_CUT_OFF = 0, 130
_LOOK_EVERY_S = 0.5
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """A server as it was asked for, checked. tokens: None where none is needed. discovery: None for no file.

    make_backend: loads modules, weights not yet; called on a thread. may_abandon: whether the process may end
    while it loads. die_with: the process whose end is ours.
    """

    address: Address
    tls: TlsFiles | None
    tokens: Tokens | None
    discovery: Path | None
    metrics_address: Address | None
    make_backend: Callable[[], tuple[Backend, QueueLimits]]
    options: FrontOptions
    drain_timeout_s: float
    may_abandon: bool = True
    die_with: Lifeline | None = None


def run(plan: Plan) -> int:
    """Serve until a signal says to stop. Returns EXIT_OK after a drain.

    A second signal ends the process with EXIT_CUT_OFF. Raises DougaError where the server cannot start.
    """
    share_one_arena()
    asyncio.run(_Server(plan).run())
    return EXIT_OK


class _Server:
    """A server on the running loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stop, self._reload = asyncio.Event(), asyncio.Event()
        self._works: Works | None = None
        self._abandons_loading = False

    async def run(self) -> None:
        """See `run`."""
        with ExitStack() as held:
            held.enter_context(self._signals())
            metrics = held.enter_context(self._metrics())
            observers = [log_call, metrics.call_ended] if metrics else [log_call]
            front = Front(self._plan.options, tokens=self._plan.tokens, observers=observers)
            if metrics:
                metrics.watch("calls_under_way", "Calls being answered.", lambda: front.calls_under_way)
                metrics.watch("held_bytes", "Memory promised to frames.", lambda: front.bytes_held)
            try:
                await self._serve(front, metrics, held)
            finally:
                await self._close(front)
        if self._abandons_loading:
            _leave(EXIT_OK)

    async def _serve(self, front: Front, metrics: Metrics | None, held: ExitStack) -> None:
        begun_s = time.monotonic()
        credentials = server_credentials(self._plan.tls) if self._plan.tls else None
        address = await front.listen(self._plan.address, credentials)
        announce = self._announcer(address)
        announce()
        if self._plan.discovery:
            held.callback(discovery.remove, self._plan.discovery)
        _say(
            "listening",
            address=address.target,
            pid=os.getpid(),
            tls=credentials is not None,
            version=__version__,
        )
        watch = asyncio.create_task(self._watch(announce))
        loading = asyncio.create_task(self._load(metrics))
        try:
            if not await self._first(loading):
                self._abandons_loading = self._plan.may_abandon
                return
            self._works = loading.result()
            await front.serve(self._works)
            _say(
                "ready", address=address.target, seconds=round(time.monotonic() - begun_s, 2), **self._what()
            )
            await self._until_stopped(front)
            log.info("going down: nothing new is taken, what is under way is finished")
            left = await front.drain(self._plan.drain_timeout_s)
            if left:
                log.warning(
                    "%d calls were not done after %g s and are cut off", left, self._plan.drain_timeout_s
                )
        finally:
            watch.cancel()
            loading.cancel()
            if not self._abandons_loading:
                await asyncio.wait([loading])

    async def _load(self, metrics: Metrics | None) -> Works:
        """On threads, since torch and weights take seconds in which the front answers already."""
        backend, limits = await asyncio.to_thread(self._plan.make_backend)
        description = await backend.start()
        from douga_server.batcher import Batcher
        from douga_server.service import Works

        return Works(Batcher(backend, limits, metrics), backend, description)

    async def _first(self, loading: asyncio.Task[Works]) -> bool:
        """Whether the weights are loaded before somebody says to stop."""
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stop, loading], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        return loading.done()

    async def _until_stopped(self, front: Front) -> None:
        """Answer, and load the weights anew whenever SIGHUP asks for it."""
        stop = asyncio.create_task(self._stop.wait())
        while not stop.done():
            reload = asyncio.create_task(self._reload.wait())
            await asyncio.wait([stop, reload], return_when=asyncio.FIRST_COMPLETED)
            if reload.done():
                self._reload.clear()
                loading = asyncio.create_task(self._load_anew(front))
                await asyncio.wait([stop, loading], return_when=asyncio.FIRST_COMPLETED)
                loading.cancel()
                await asyncio.wait([loading])
            reload.cancel()

    async def _load_anew(self, front: Front) -> None:
        """Calls under way end with the old weights. Where the new ones cannot be used the old stay."""
        if self._works is None:
            return
        try:
            description = await self._works.backend.reload()
        except DougaError as exc:
            log.error("the weights were not loaded anew, the old ones stay in use: %s", exc)
            return
        except Exception:  # such as no memory for both; nobody who is being served has to suffer for it
            log.exception("the weights were not loaded anew, the old ones stay in use")
            return
        self._works = replace(self._works, description=description)
        await front.serve(self._works)
        log.info("the weights were loaded anew", extra={"fields": self._what()})

    async def _close(self, front: Front) -> None:
        await front.stop()
        if self._works is not None:
            await self._works.batcher.drain(0)
            await self._works.backend.close()

    async def _watch(self, announce: Callable[[], None]) -> None:
        """What nobody tells us: a host that has ended, a token that was changed."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._plan.die_with is not None and self._plan.die_with.has_ended:
                log.info("the process that this server belongs to has ended")
                self._stop.set()
                return
            with suppress(DougaError):  # a disk that is full now; the former announcement stays
                announce()

    def _announcer(self, address: Address) -> Callable[[], None]:
        """Writes the discovery file, the first time and whenever the token has changed."""
        path, tokens, written = self._plan.discovery, self._plan.tokens, ""

        def announce() -> None:
            nonlocal written
            token = tokens.current if tokens else None
            if path is not None and written != repr(token):
                tls = self._plan.tls is not None
                announcement = discovery.Announcement.of(address, token=token, tls=tls, version=__version__)
                discovery.write(path, announcement)
                written = repr(token)

        return announce

    def _what(self) -> dict[str, Any]:
        """What answers, for people."""
        if self._works is None:
            return {}
        description = self._works.description
        models = [f"{model.name} {model.sha256[:12]}" for model in description.models]
        return {"backend": description.backend, "devices": list(description.devices), "models": models}

    @contextmanager
    def _metrics(self) -> Iterator[Metrics | None]:
        if self._plan.metrics_address is None:
            yield None
            return
        from douga_server.metrics import Metrics, exporter

        metrics = Metrics()
        with exporter(metrics, self._plan.metrics_address, self._plan.tls) as address:
            log.info("metrics at http%s://%s/metrics", "" if address.is_local else "s", address.target)
            yield metrics

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C drain, the second of them cuts off; SIGHUP loads the weights anew."""
        loop = asyncio.get_running_loop()
        asked = False

        def end(*_: object) -> None:
            nonlocal asked
            if asked:
                self._cut_off()
            asked = True
            loop.call_soon_threadsafe(self._stop.set)

        def load_anew(*_: object) -> None:
            loop.call_soon_threadsafe(self._reload.set)

        handlers = {"SIGTERM": end, "SIGINT": end, "SIGHUP": load_anew}
        numbers = {getattr(signal, name): handlers[name] for name in handlers if hasattr(signal, name)}
        former = {number: signal.signal(number, handler) for number, handler in numbers.items()}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _cut_off(self) -> None:
        """End now, whatever threads and calls are under way; leave no file behind."""
        if self._plan.discovery:
            discovery.remove(self._plan.discovery)
        if self._plan.address.is_unix:
            Path(self._plan.address.path).unlink(missing_ok=True)
        log.warning("stopped at once; the calls under way were cut off")
        _leave(EXIT_CUT_OFF)


def _leave(status: int) -> NoReturn:
    """End the process without waiting for its threads, some of which may load torch for many seconds yet."""
    logging.shutdown()
    os._exit(status)


def _say(what: str, **facts: Any) -> None:
    """A readiness line: "douga serve: WHAT " and one JSON object. Whoever should read it may be gone."""
    try:
        print(f"douga serve: {what} {json.dumps(facts)}", flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  Python would complain at exit for the same reason
