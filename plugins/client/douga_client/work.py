"""One try of a job on a connection: pack, send, watch, receive, unpack; in steps."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from typing import TypeVar

from .answers import AnswerReader, requests
from .api import CutoutRequest, Job, ReconstructRequest, Request, Result, ServerInfo
from .call import Call
from .connection import LARGEST_MESSAGE, Connection
from .contract import METHODS
from .errors import ClientError, Kind
from .pixels import Packed, chosen_encoding, pack
from .statuses import error_of

_T = TypeVar("_T")
_Steps = Generator[bool, None, Result]  # yields whether there is more to do at once


class Attempt:
    """A job under way. Call `step` until it has a result; it raises ClientError where this try has failed."""

    def __init__(self, job: Job, connection: Connection, info: ServerInfo, packing: str) -> None:
        self.job = job
        self._connection, self._info, self._packing = connection, info, packing
        self._call: Call | None = None
        self._steps = self._run()
        self.has_more = True

    def step(self) -> Result | None:
        """Work for a few milliseconds; the result at the end. has_more: whether to come back at once."""
        try:
            self.has_more = next(self._steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        return None

    def cancel(self) -> None:
        """Give it up."""
        self._steps.close()
        if self._call is not None:
            self._call.cancel()

    def _run(self) -> _Steps:
        request, info = self.job.request, self._info
        name = "Cutout" if isinstance(request, CutoutRequest) else "Reconstruct"
        self._check(request, name)
        self._show("sending", 0.0)
        planes = yield from self._packed(request)
        reader = AnswerReader(request)
        # Another id for each try: the server may not have noticed that the last one ended.
        messages = requests(request, planes, secrets.token_hex(8), info.max_chunk_bytes)
        call = self._call = self._connection.call(
            METHODS[name], messages, timeout_s=request.timeout_s, largest_message=LARGEST_MESSAGE
        )
        total = sum(len(plane.data) for plane in planes)
        try:
            while True:
                is_done = call.is_done
                for message in call.take():
                    reader.add(message)
                if is_done:
                    break
                call.is_awaited = reader.stage == "receiving"
                self._show_call(call, reader, total)
                yield False
            error = error_of(call, self._connection.target)
            if error is not None:
                raise error
            return (yield from self._unpacked(reader))
        except ClientError as exc:
            call.cancel()  # nobody waits any more, so nobody should work
            raise exc.completed(address=self._connection.target.address.target) from exc

    def _check(self, request: Request, name: str) -> None:
        """Raises ClientError for what this server would refuse, before anything is sent."""
        frame, info = request.frame, self._info
        address = self._connection.target.address.target
        if not info.answers(name):
            raise ClientError(Kind.NOT_SUPPORTED, address=address, said=f"it does not answer {name}")
        if max(frame.width, frame.height) > info.max_side_px or frame.width * frame.height > info.max_pixels:
            said = f"{frame.width} x {frame.height} px; at most {info.max_side_px} px a side and "
            said += f"{info.max_pixels / 1e6:.1f} megapixels"
            raise ClientError(Kind.TOO_LARGE, said=said)

    def _packed(self, request: Request) -> Generator[bool, None, list[Packed]]:
        encoding = chosen_encoding(self._packing, self._connection.target.address)
        mask = request.own_mask if isinstance(request, ReconstructRequest) else None
        planes = []
        for pixels in (request.frame, mask):
            if pixels is not None:
                planes.append((yield from _with_more(pack(pixels, encoding))))
        return planes

    def _unpacked(self, reader: AnswerReader) -> _Steps:
        return (yield from _with_more(reader.result()))

    def _show_call(self, call: Call, reader: AnswerReader, total: int) -> None:
        if reader.stage:
            self._show(reader.stage, reader.share, reader.queue_position)
        else:
            self._show("sending", min(1.0, call.sent_bytes / total))

    def _show(self, stage: str, share: float, queue_position: int = 0) -> None:
        self.job.stage, self.job.share, self.job.queue_position = stage, share, queue_position


def _with_more(steps: Generator[None, None, _T]) -> Generator[bool, None, _T]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: _T = end.value
            return value
        yield True
