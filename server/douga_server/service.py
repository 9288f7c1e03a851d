"""The calls of the contract: bytes -> job -> queue -> answer -> bytes. What they raise ends in `calls`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import grpc
from douga_proto.v1 import douga_pb2 as pb

from douga import __version__
from douga.errors import InputError
from douga_server.backends.base import Backend
from douga_server.batcher import Batcher
from douga_server.calls import CallRecord, Context, current_call, next_request, send
from douga_server.codec import (
    FrameReader,
    PackedAnswer,
    ReconstructReader,
    SequenceFrame,
    SequenceReader,
    capabilities,
    pack_answer,
    responses,
    sequence_error,
    sequence_responses,
    stage_response,
)
from douga_server.codec_cutout import (
    CutoutReader,
    PackedCutout,
    cutout_responses,
    cutout_stage_response,
    pack_cutout,
)
from douga_server.intake import ByteBudget, CallNames, announced_bytes
from douga_server.jobs import Answer, AnyAnswer, Description, Job, OnProgress, Progress, QueueFullError, Stage
from douga_server.models import has_cutouts
from douga_server.options import ServiceOptions
from douga_server.pixels import Encoding
from douga_server.refusal import Refusal
from douga_server.statuses import status_of

T = TypeVar("T")
CALLS = ("Reconstruct", "ReconstructSequence", "GetCapabilities")
CUTOUT = "Cutout"  # is answered too where there are weights for it
# Of an answer in one message. gRPC keeps a message that is not read until the connection ends, even after we
# have given its call up: so a caller who reads nothing holds this much with each call, and not a whole MiB.
_CHUNK_OUT_BYTES = 1 << 17
_FRAMES_AHEAD = 2  # of a sequence, beside those that the backend works on: being received, being packed


@dataclass(frozen=True)
class Works:
    """What stands behind the front once the weights are loaded."""

    batcher: Batcher
    backend: Backend
    description: Description


class DougaService:
    """The contract's calls. works: may be changed at any time; calls under way keep theirs."""

    def __init__(self, options: ServiceOptions, works: Works) -> None:
        self.works = works
        self._options, self._limits = options, options.limits
        self._chunk_bytes = min(_CHUNK_OUT_BYTES, options.limits.max_chunk_bytes)
        self._budget, self._names = ByteBudget(options.max_bytes_held), CallNames()
        self._threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="douga-pixels")
        self._readings: set[asyncio.Task[None]] = set()
        self._is_draining = False

    @property
    def bytes_held(self) -> int:
        """Memory promised to the frames under way."""
        return self._budget.held

    def drain(self) -> None:
        """Let sequences end with the frames that they have sent so far; everything else ends by itself."""
        self._is_draining = True
        for reading in self._readings:
            reading.cancel()

    def close(self) -> None:
        """Give the threads back."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def GetCapabilities(self, request: pb.GetCapabilitiesRequest, context: Context) -> Any:
        """What this server can do."""
        description = self.works.description
        calls = (*CALLS, CUTOUT) if has_cutouts(description.models) else CALLS
        return capabilities(description, self._limits, version=__version__, calls=calls)

    async def Reconstruct(self, requests: AsyncIterator[pb.ReconstructRequest], context: Context) -> None:
        """One frame."""
        works = self.works
        with ExitStack() as held:
            reader = ReconstructReader(self._limits)
            await self._receive(reader, requests, held)
            job = await self._in_thread(reader.job)
            answer = await self._work(lambda tell: works.batcher.submit(job, tell), context, stage_response)
            await self._send(context, stage_response(Progress(Stage.PACKING)))
            packed = await self._pack(answer, job, reader.encoding)
            _note_done(answer, packed)
            for response in responses(packed, self._chunk_bytes):
                await self._send(context, response)

    async def Cutout(self, requests: AsyncIterator[pb.CutoutRequest], context: Context) -> None:
        """One frame, cut out."""
        works = self.works
        with ExitStack() as held:
            reader = CutoutReader(self._limits)
            await self._receive(reader, requests, held)
            job = await self._in_thread(reader.job)
            answer = await self._work(
                lambda tell: works.batcher.submit(job, tell), context, cutout_stage_response
            )
            await self._send(context, cutout_stage_response(Progress(Stage.PACKING)))
            packed = await self._timed_packing(lambda: pack_cutout(answer, reader.encoding))
            _note_done(answer, packed)
            for response in cutout_responses(packed, self._chunk_bytes):
                await self._send(context, response)

    async def _work(
        self,
        submit: Callable[[OnProgress], Coroutine[Any, Any, T]],
        context: Context,
        told: Callable[[Progress], Any],
    ) -> T:
        """Wait for the answer and tell the caller meanwhile how far it is. Cancelling stops the work.

        told: the message that tells it.
        """
        news: asyncio.Queue[Progress | None] = asyncio.Queue()
        work = asyncio.create_task(submit(_noting_the_wait(news.put_nowait)))
        work.add_done_callback(_look)
        work.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (progress := await news.get()) is not None:
                await self._send(context, told(progress))
            return await work
        finally:
            work.cancel()

    async def _send(self, context: Context, response: Any) -> None:
        await send(context, response, self._options.send_timeout_s)

    async def _receive(self, reader: FrameReader, requests: AsyncIterator[Any], held: ExitStack) -> None:
        """Read a call for one frame to its end. held: gets its name and its memory."""
        call = current_call()
        until_s = time.monotonic() + self._options.receive_timeout_s
        while (request := await self._owed(requests, until_s)) is not None:
            reader.add(request)
            if request.WhichOneof("part") == "start":
                start = request.start
                call.call_id, call.size_wh = reader.call_id, (start.frame.width, start.frame.height)
                held.enter_context(self._names.claim(reader.call_id))
                held.enter_context(self._budget.hold(_bytes_of(start)))
            call.bytes_in += len(request.chunk.data)

    async def ReconstructSequence(
        self, requests: AsyncIterator[pb.ReconstructSequenceRequest], context: Context
    ) -> None:
        """Frame after frame, answered in their order. While enough are under way nothing more is read."""
        sequence = _Sequence(self.works)
        with ExitStack() as held:
            reading = asyncio.create_task(self._read_sequence(requests, sequence, held))
            self._readings.add(reading)
            try:
                while (outcome := await sequence.next_outcome()) is not None:
                    for response in await outcome:
                        await send(context, response, self._options.pause_timeout_s)
                    sequence.room.release()
                await self._end_of(reading)
            finally:
                self._readings.discard(reading)
                sequence.stop(reading)

    async def _read_sequence(
        self,
        requests: AsyncIterator[pb.ReconstructSequenceRequest],
        sequence: _Sequence,
        held: ExitStack,
    ) -> None:
        reader, call, size = SequenceReader(self._limits), current_call(), 0
        try:
            until_s: float | None = time.monotonic() + self._options.receive_timeout_s
            while (request := await self._owed(requests, until_s)) is not None:
                frame, part = reader.add(request), request.WhichOneof("part")
                if part == "start":
                    call.call_id, until_s = reader.call_id, None
                    held.enter_context(self._names.claim(reader.call_id))
                elif part == "frame":
                    call.size_wh = (request.frame.frame.width, request.frame.frame.height)
                    size = await self._make_room(sequence, request.frame)
                    until_s = time.monotonic() + self._options.receive_timeout_s
                call.bytes_in += len(request.chunk.data)
                if frame is not None:
                    until_s = None
                    outcome = self._outcome(sequence.works, frame)
                    sequence.add(outcome, partial(self._budget.give_back, size))
                    size = 0
            reader.finish()
        finally:
            self._budget.give_back(size)
            sequence.add_end()

    async def _make_room(self, sequence: _Sequence, frame: pb.SequenceFrame) -> int:
        """Wait until the sequence may have one more frame under way, and memory for it; returns its bytes."""
        await sequence.room.acquire()
        size = _bytes_of(frame)
        await self._budget.take(size)
        return size

    async def _end_of(self, reading: asyncio.Task[None]) -> None:
        """Raises what ended the reading of a sequence, if it was not the sender."""
        try:
            await reading
        except asyncio.CancelledError:
            if not self._is_draining or not reading.cancelled():
                raise
            raise Refusal(
                grpc.StatusCode.UNAVAILABLE,
                "the server is going down; the frames without an answer must be sent to another, or later",
            ) from None

    async def _outcome(self, works: Works, frame: SequenceFrame) -> Iterable[pb.ReconstructSequenceResponse]:
        """What a frame of a sequence is answered with. Its errors are its own; the next frame still comes."""
        try:
            job = await self._in_thread(frame.job)
            answer = await _submit_patiently(works.batcher, job)
            packed = await self._pack(answer, job, frame.encoding)
        except Exception as exc:
            status = status_of(exc)
            return [sequence_error(frame.number, status.code.value[0], status.message)]
        _note_done(answer, packed)
        return sequence_responses(frame.number, packed, self._chunk_bytes)

    async def _owed(self, requests: AsyncIterator[T], until_s: float | None) -> T | None:
        """The next message. until_s: when the frame has to be there; None between those of a sequence."""
        if until_s is None:
            return await next_request(requests, self._options.pause_timeout_s)
        if (left_s := until_s - time.monotonic()) <= 0:
            raise InputError(
                f"the frame was not complete after {self._options.receive_timeout_s:g} s; pack it as zstd, "
                "or use a faster line"
            )
        return await next_request(requests, min(left_s, self._options.message_timeout_s))

    async def _pack(self, answer: Answer, job: Job, encoding: Encoding) -> PackedAnswer:
        palette, warnings = job.options.palette, job.frame.warnings
        return await self._timed_packing(lambda: pack_answer(answer, palette, warnings, encoding))

    async def _timed_packing(self, pack: Callable[[], T]) -> T:
        begun_s = time.perf_counter()
        packed = await self._in_thread(pack)
        _add_seconds(current_call(), Stage.PACKING, time.perf_counter() - begun_s)
        return packed

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """Pixels take milliseconds to unpack, in which the loop has other calls to look after."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


class _Sequence:
    """The frames of one sequence that are under way, in their order. room: for one more of them."""

    def __init__(self, works: Works) -> None:
        self.works = works
        self.room = asyncio.Semaphore(max(1, works.backend.slots) + _FRAMES_AHEAD)
        self._outcomes: asyncio.Queue[asyncio.Task[Any] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()

    def add(self, outcome: Any, then: Callable[[], None]) -> None:
        """Begin on a frame. then: is called when its outcome is there, or given up."""
        task = asyncio.create_task(outcome)
        task.add_done_callback(lambda _: then())
        task.add_done_callback(self._tasks.discard)
        self._tasks.add(task)
        self._outcomes.put_nowait(task)

    def add_end(self) -> None:
        """No frame follows."""
        self._outcomes.put_nowait(None)

    async def next_outcome(self) -> asyncio.Task[Any] | None:
        """The outcome of the next frame, which may still be worked on; None after the last."""
        return await self._outcomes.get()

    def stop(self, reading: asyncio.Task[None]) -> None:
        """Give everything up that is not done."""
        for task in (reading, *self._tasks):
            task.cancel()
        reading.add_done_callback(_look)


async def _submit_patiently(batcher: Batcher, job: Job) -> Answer:
    """As submit, but a full queue is waited for: the sender of a sequence is held up, not sent away."""
    while True:
        try:
            return await batcher.submit(job, _noting_the_wait(lambda _: None))
        except QueueFullError as exc:
            retry_after_s = exc.retry_after_ms / 1000
        await asyncio.sleep(retry_after_s)


def _noting_the_wait(on_progress: OnProgress) -> OnProgress:
    """on_progress, which also writes the seconds in the queue into the record of this call."""
    call, queued_s = current_call(), time.perf_counter()
    waits = True

    def note(progress: Progress) -> None:
        nonlocal waits
        if waits and progress.stage is not Stage.QUEUED:
            waits = False
            _add_seconds(call, Stage.QUEUED, time.perf_counter() - queued_s)
        on_progress(progress)

    return note


def _look(task: asyncio.Task[Any]) -> None:
    """Look at a task's error, or asyncio complains that nobody did when its caller has gone."""
    if not task.cancelled():
        task.exception()


def _bytes_of(message: pb.ReconstructStart | pb.SequenceFrame | pb.CutoutStart) -> int:
    if isinstance(message, pb.CutoutStart) or not message.HasField("cel_mask"):
        return announced_bytes(message.frame)
    return announced_bytes(message.frame, message.cel_mask)


def _note_done(answer: AnyAnswer, packed: PackedAnswer | PackedCutout) -> None:
    """Write a frame that is done into the record of its call."""
    call = current_call()
    call.frames += 1
    call.bytes_out += sum(len(plane.data) for _, plane in packed.planes)
    for stage, seconds in answer.seconds.items():
        _add_seconds(call, stage, seconds)


def _add_seconds(call: CallRecord, stage: Stage, seconds: float) -> None:
    call.stage_s[stage.value] = call.stage_s.get(stage.value, 0.0) + seconds
