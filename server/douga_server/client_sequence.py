"""A sequence of frames by one call, which is begun anew with the rest where it breaks off."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc

from douga.errors import DougaError
from douga.types import CelMask, Frame
from douga_server import codec_client
from douga_server.client_calls import Line
from douga_server.client_errors import ContractError, of_status
from douga_server.codec_client import FrameFailure, Received, SequenceAnswerReader
from douga_server.jobs import Options

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class SequenceCall:
    """One run through the frames. They are read on gRPC's thread, while the answers are waited for here."""

    def __init__(
        self,
        line: Line,
        frames: Iterable[Frame],
        options: Options,
        mask_of: Callable[[Frame], CelMask] | None,
    ) -> None:
        self._line, self._options, self._mask_of = line, options, mask_of
        self._frames = enumerate(frames, 1)
        self._under_way: dict[int, tuple[Frame, CelMask | None]] = {}  # by number, rising
        self._reading = threading.Lock()
        self._broken: BaseException | None = None  # what reading or packing them raised
        self._try = 0

    def outcomes(self) -> Iterator[tuple[Frame, Received | DougaError]]:
        """Each frame with what came of it, in order."""
        trying = self._line.trying()
        while True:
            try:
                for number, outcome in self._one_try():
                    trying.succeeded()
                    yield self._under_way.pop(number)[0], self._told(outcome)
                break
            except grpc.RpcError as exc:
                if self._broken is not None:
                    raise self._broken from exc
                trying.again_after(self._line.translated(exc), exc)
        if self._broken is not None:
            raise self._broken

    def _one_try(self) -> Iterator[tuple[int, Received | FrameFailure]]:
        reader = SequenceAnswerReader(self._line.limits)
        self._try += 1
        rpc = self._line.open("ReconstructSequence", self._requests(self._try), None)
        try:
            for response in rpc:
                done = self._line.understood(reader.add, response)
                if done is not None:
                    yield self._expected(done)
            self._line.understood(reader.finish)
        finally:
            rpc.cancel()  # without effect where it has ended
        if self._under_way and self._broken is None:
            raise ContractError(f"the server at {self._line.server.address} left frames unanswered")

    def _expected(self, done: tuple[int, Received | FrameFailure]) -> tuple[int, Received | FrameFailure]:
        if done[0] != next(iter(self._under_way), None):
            raise ContractError(
                f"the server at {self._line.server.address} answered frame {done[0]} out of order"
            )
        return done

    def _told(self, outcome: Received | FrameFailure) -> Received | DougaError:
        if isinstance(outcome, Received):
            return outcome
        code = _CODES.get(outcome.code, grpc.StatusCode.UNKNOWN)
        return of_status(code, outcome.message, self._line.server.address)

    def _requests(self, this_try: int) -> Iterator[Any]:
        """What one try sends. What goes wrong with a frame is raised where the answers are waited for."""
        try:
            yield from self._messages(this_try)
        except Exception as exc:
            self._broken = exc

    def _messages(self, this_try: int) -> Iterator[Any]:
        """Start, then the frames that have no answer yet, then those that nobody has read."""
        yield codec_client.sequence_start(self._options, secrets.token_hex(8))
        last = 0
        while this_try == self._try and (number := self._next_after(last)) is not None:
            last = number
            frame, mask = self._under_way[number]
            yield from codec_client.sequence_requests(
                number,
                frame,
                own_mask=mask,
                encoding=self._line.encoding,
                max_chunk_bytes=self._line.limits.max_chunk_bytes,
            )

    def _next_after(self, last: int) -> int | None:
        """Number of the frame to send after that one; read from the source where it has to be."""
        with self._reading:  # the thread of a try that broke off may still be reading
            for number in tuple(self._under_way):
                if number > last:
                    return number
            if self._broken is not None:
                return None
            for number, frame in self._frames:
                self._under_way[number] = frame, self._mask_of(frame) if self._mask_of else None
                return number
            return None
