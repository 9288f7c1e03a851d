"""A real server in a thread of the test: our front with fake stages, or any servicer that a test brings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from douga_proto.v1.douga_pb2_grpc import add_DougaServiceServicer_to_server
from douga_server.address import parse_address
from douga_server.auth import Tokens
from douga_server.backends.base import Backend
from douga_server.backends.local import LocalBackend
from douga_server.batcher import Batcher, QueueLimits
from douga_server.fakes import FakeStore
from douga_server.front import Front, FrontOptions
from douga_server.service import Works


class LiveServer:
    """Our front on a loop of its own. address: where it is. Use it as a context."""

    def __init__(
        self,
        address: str = "127.0.0.1:0",
        *,
        backend: Backend | None = None,
        queue: QueueLimits | None = None,
        options: FrontOptions | None = None,
        tokens: Tokens | None = None,
        credentials: grpc.ServerCredentials | None = None,
        ready: bool = True,
    ) -> None:
        self.address = address
        self._backend, self._queue = backend or LocalBackend(FakeStore()), queue or QueueLimits()
        self._options, self._tokens, self._credentials, self._ready = options, tokens, credentials, ready
        self._loop = asyncio.new_event_loop()
        self._up, self._down = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._run()), daemon=True
        )

    def __enter__(self) -> LiveServer:
        self._thread.start()
        assert self._up.wait(20), "the server did not start"
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Cut everything off, as a crash would."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._down.set)
            self._thread.join(20)
            self._loop.close()

    def get_ready(self) -> None:
        """Answer from now on."""
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(20)

    def _go(self) -> None:
        self._loop.run_until_complete(self._run())

    async def _run(self) -> None:
        self._front = Front(self._options, tokens=self._tokens)
        bound = await self._front.listen(parse_address(self.address), self._credentials)
        self.address = bound.target
        if self._ready:
            await self._serve()
        self._up.set()
        await self._down.wait()
        await self._front.stop()
        await self._backend.close()

    async def _serve(self) -> None:
        description = await self._backend.start()
        await self._front.serve(Works(Batcher(self._backend, self._queue), self._backend, description))


@contextmanager
def scripted_server(servicer: Any) -> Iterator[str]:
    """A plain server that answers as the test says. Gives its address."""
    server = grpc.server(ThreadPoolExecutor(4))
    add_DougaServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
