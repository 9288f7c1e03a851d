"""A front with a backend that does what a test says, both on the test's own loop. See also `serving`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1.douga_pb2_grpc import DougaServiceStub
from douga_server.address import Address, parse_address
from douga_server.auth import Tokens
from douga_server.batcher import Batcher, QueueLimits
from douga_server.calls import CallRecord
from douga_server.codec_client import AnswerReader, Received, requests
from douga_server.front import Front, FrontOptions
from douga_server.jobs import Answer, Description, Job, Model, ModelUse, OnProgress, Options, Progress, Stage
from douga_server.service import Works

from douga.errors import DougaError
from douga.types import CelMask, ClassMap, Frame

MODELS = (
    Model("cel", "fake-cel", "c" * 64, "color", True),
    Model("lines", "fake-lines", "1" * 64, "color", True),
)


class FakeBackend:
    """Answers at once: the cel is what is not white, every class is 1. held: only after `release` is set.

    seen: jobs in the order in which they came. cancelled: how many were given up. error: instead of answers.
    """

    def __init__(self, *, slots: int = 2, held: bool = False, error: Exception | None = None) -> None:
        self.slots, self.error = slots, error
        self.release = asyncio.Event()
        self.seen: list[Job] = []
        self.running = self.cancelled = self.loads = 0
        if not held:
            self.release.set()

    async def start(self) -> Description:
        return self._describe()

    async def run(self, batch: Sequence[Job], on_progress: Sequence[OnProgress]) -> list[Answer | DougaError]:
        self.seen += batch
        self.running += 1
        try:
            for tell in on_progress:
                tell(Progress(Stage.CEL, 0.5))
            await self.release.wait()
            if self.error is not None:
                raise self.error
            return [_answer(job) for job in batch]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def reload(self) -> Description:
        self.loads += 1
        return self._describe()

    async def close(self) -> None:
        assert not self.running

    def _describe(self) -> Description:
        return Description("local", MODELS, ("cpu",))


def _answer(job: Job) -> Answer:
    mask = np.where(job.frame.rgb.min(axis=2) < 250, np.uint8(255), np.uint8(0))
    used = tuple(ModelUse(model.stage, model.name, model.sha256) for model in MODELS)
    return Answer(CelMask(mask), ClassMap(np.ones_like(mask)), used, "cpu", {Stage.CEL: 0.25})


def drawing(width: int = 32, height: int = 24) -> Frame:
    """White with a dark square."""
    rgb = np.full((height, width, 3), 255, np.uint8)
    rgb[height // 4 : height // 2, width // 4 : width // 2] = 20
    return Frame(rgb)


def noise(width: int, height: int) -> Frame:
    """Nothing that could be packed."""
    return Frame(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@dataclass
class Running:
    """A front that answers. target: for another channel. records: of the calls that have ended."""

    front: Front
    backend: FakeBackend
    batcher: Batcher
    address: Address
    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...] = ()
    records: list[CallRecord] = field(default_factory=list)

    @property
    def stub(self) -> DougaServiceStub:
        return DougaServiceStub(self.channel)

    async def reconstruct(
        self, frame: Frame | None = None, call_id: str = "", timeout_s: float = 20
    ) -> Received:
        """One frame, as a client does it."""
        messages = requests(frame or drawing(), Options(), call_id=call_id)
        return await self.exchange(messages, timeout_s)

    async def exchange(self, messages: Iterable[pb.ReconstructRequest], timeout_s: float = 20) -> Received:
        """Send these and nothing else. Raises grpc.aio.AioRpcError."""
        reader = AnswerReader()
        call = self.stub.Reconstruct(_each(messages), metadata=self.metadata, timeout=timeout_s)
        try:
            async for response in call:
                reader.add(response)
        finally:
            call.cancel()  # grpc.aio does not do it by itself where its reader is cancelled very early
        return reader.finish()

    async def status_of(self, messages: Iterable[Any], method: str = "Reconstruct") -> grpc.RpcError:
        """The error that these messages end with. Its `answers` are what came before it.

        By gRPC's blocking client: the one of grpc.aio forgets the status that it was sent when it is still
        sending itself.
        """

        def call() -> grpc.RpcError:
            answers: list[Any] = []
            with grpc.insecure_channel(self.address.target) as channel:
                method_of_stub = getattr(DougaServiceStub(channel), method)
                try:
                    for answer in method_of_stub(iter(messages), metadata=self.metadata, timeout=20):
                        answers.append(answer)
                except grpc.RpcError as error:
                    error.answers = answers
                    return error
            raise AssertionError("this call should have failed")

        return await asyncio.to_thread(call)


async def _each(messages: Iterable[pb.ReconstructRequest]) -> AsyncIterator[pb.ReconstructRequest]:
    for message in messages:
        yield message


@asynccontextmanager
async def running(
    address: str = "127.0.0.1:0",
    *,
    backend: FakeBackend | None = None,
    queue: QueueLimits | None = None,
    options: FrontOptions | None = None,
    tokens: Tokens | None = None,
    credentials: grpc.ServerCredentials | None = None,
    channel_credentials: grpc.ChannelCredentials | None = None,
    ready: bool = True,
) -> AsyncIterator[Running]:
    """A front on a free port, with a channel to it that shows the token."""
    records: list[CallRecord] = []
    backend = backend or FakeBackend()
    front = Front(options, tokens=tokens, observers=[records.append])
    bound = await front.listen(parse_address(address), credentials)
    batcher = Batcher(backend, queue)
    if ready:
        await front.serve(Works(batcher, backend, await backend.start()))
    channel = open_channel(bound, channel_credentials)
    metadata = (("authorization", f"Bearer {tokens.current}"),) if tokens else ()
    try:
        yield Running(front, backend, batcher, bound, channel, metadata, records)
    finally:
        await channel.close()
        await front.stop()
        await batcher.drain(0)


def open_channel(address: Address, credentials: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    """A channel of its own, which shares no connection with others."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        return grpc.aio.insecure_channel(address.target, options=options)
    return grpc.aio.secure_channel(f"localhost:{address.port}", credentials, options=options)


async def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait for something that happens on the same loop."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
