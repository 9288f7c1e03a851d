"""What all calls have in common: one shape, one record for log and metrics, one place where errors end."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError

from douga.errors import InputError
from douga_server.refusal import Refusal, Status

log = logging.getLogger(__name__)
Context: TypeAlias = grpc.aio.ServicerContext
Behaviour = Callable[[AsyncIterator[Any], Context], Awaitable[None]]
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]]
_RETRY_AFTER_MS = 500
_ABORT_S = 2.0
_CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass
class CallRecord:
    """What is known of a call when it ends.

    method: "/package.Service/Method". peer: kind and address of the caller, no port. size_wh: of its frame.
    bytes_in, bytes_out: of packed pixels. seconds: from its beginning to its status. stage_s: of them, by
    stage, of all frames together.
    """

    method: str
    peer: str = ""
    call_id: str = ""
    code: str = "OK"
    reason: str = ""
    size_wh: tuple[int, int] | None = None
    frames: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    stage_s: dict[str, float] = field(default_factory=dict)


_current: ContextVar[CallRecord] = ContextVar("douga_call")
CallObserver = Callable[[CallRecord], None]


def current_call() -> CallRecord:
    """The record of the call that is being answered; tasks that it started see it too."""
    return _current.get()


async def next_request(requests: AsyncIterator[Any], timeout_s: float) -> Any | None:
    """The next message, or None at the end. Raises InputError where none comes in time."""
    try:
        async with asyncio.timeout(timeout_s):
            return await anext(requests, None)
    except TimeoutError as exc:
        raise InputError(
            f"nothing came for {timeout_s:g} s in the middle of a request; send it without pauses"
        ) from exc


async def send(context: Context, message: Any, timeout_s: float) -> None:
    """Write a message. Raises InputError where the caller does not take what was written before in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await context.write(message)
    except TimeoutError as exc:
        raise InputError(f"the answer was not read for {timeout_s:g} s; read it as it comes") from exc


def as_stream(handler: grpc.RpcMethodHandler, timeout_s: float) -> Behaviour:
    """Any handler as one of streams both ways, which is the same on the wire.

    gRPC itself waits for the one message of a unary call as long as it takes; here it has `timeout_s`.
    """
    if handler.request_streaming:
        return _writing(handler.stream_stream)
    behaviour = handler.unary_stream if handler.response_streaming else handler.unary_unary

    async def unary(requests: AsyncIterator[Any], context: Context) -> None:
        request = await next_request(requests, timeout_s)
        if request is None:
            raise InputError("the call ended without its message; send one")
        answer = await behaviour(request, context)
        if not handler.response_streaming:
            await context.write(answer)

    return unary


def _writing(behaviour: Any) -> Behaviour:
    """A stream handler that yields -> one that writes; others as they are."""
    if not inspect.isasyncgenfunction(behaviour):
        return behaviour

    async def writing(requests: AsyncIterator[Any], context: Context) -> None:
        async for answer in behaviour(requests, context):
            await context.write(answer)

    return writing


class CallInterceptor(grpc.aio.ServerInterceptor):
    """The outermost one: each call has a record, its errors become a status, and the observers are told."""

    def __init__(self, known: Collection[str], observers: Sequence[CallObserver], timeout_s: float) -> None:
        """known: methods that are counted by name. timeout_s: for the message of a unary call."""
        self._known, self._observers, self._timeout_s = frozenset(known), observers, timeout_s

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler:
        """The call's own handler within ours."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        behaviour = _unknown if handler is None else as_stream(handler, self._timeout_s)
        return grpc.stream_stream_rpc_method_handler(
            self._recorded(behaviour, method if method in self._known else "unknown"),
            request_deserializer=handler and _refusing_damage(handler.request_deserializer),
            response_serializer=handler and handler.response_serializer,
        )

    def _recorded(self, behaviour: Behaviour, method: str) -> Behaviour:
        async def recorded(requests: AsyncIterator[Any], context: Context) -> None:
            record = CallRecord(method, _peer(context))
            _current.set(record)
            begun_s = time.perf_counter()
            try:
                await self._answer(behaviour, record, requests, context)
            finally:
                record.seconds = time.perf_counter() - begun_s
                for observe in self._observers:
                    observe(record)

        return recorded

    async def _answer(
        self, behaviour: Behaviour, record: CallRecord, requests: AsyncIterator[Any], context: Context
    ) -> None:
        status = await self._run(behaviour, record, requests, context)
        if status is not None:
            record.code, record.reason = status.code.name, status.message
            # The caller may be gone, or read nothing: then not even the status can be written. The work is
            # given up in any case; gRPC keeps the stream for as long as the caller answers pings.
            with suppress(grpc.aio.InternalError, TimeoutError):
                async with asyncio.timeout(_ABORT_S):
                    await context.abort(status.code, status.message, status.trailers)

    async def _run(
        self, behaviour: Behaviour, record: CallRecord, requests: AsyncIterator[Any], context: Context
    ) -> Status | None:
        """The status to abort with, or None. A function of its own, so that the error and all that hangs on
        its traceback (frames, packed and unpacked) is gone before the caller has its status."""
        try:
            await behaviour(requests, context)
        except asyncio.CancelledError:
            left_s = context.time_remaining()
            record.code = "DEADLINE_EXCEEDED" if left_s is not None and left_s <= 0 else "CANCELLED"
            raise
        except grpc.aio.AbortError:
            code = context.code()  # the status after an abort, though a number after set_code
            record.code = code.name if isinstance(code, grpc.StatusCode) else _CODE_NAMES.get(code, "UNKNOWN")
            raise
        except grpc.aio.InternalError:  # a write to a caller who is gone
            record.code = "CANCELLED"
        except Exception as exc:
            from douga_server.statuses import status_of  # brings numpy, which listening does not wait for

            return status_of(exc)
        return None


def _refusing_damage(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Bytes that are no message of the call are the caller's fault, and not worth a traceback in our log."""

    def refusing(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as exc:
            raise InputError(
                "a message came that is none of this call's; make it from the server's contract"
            ) from exc

    return refusing


async def _unknown(requests: AsyncIterator[Any], context: Context) -> None:
    raise Refusal(
        grpc.StatusCode.UNIMPLEMENTED, "there is no such call; the services tell by reflection what there is"
    )


def _peer(context: Context) -> str:
    """ "ipv4:10.0.0.7:50123" -> "ipv4:10.0.0.7": the port says nothing to anybody."""
    kind, _, rest = unquote(context.peer()).partition(":")
    return kind if kind == "unix" else f"{kind}:{rest.rpartition(':')[0]}"


class Admission(grpc.aio.ServerInterceptor):
    """Bounds how many calls are under way and refuses new ones while the server goes down.

    gRPC's own bound (`maximum_concurrent_rpcs`) lost count until version 1.80, and counts calls that only ask
    after the server's health; those always pass here.
    """

    def __init__(self, service: str, max_calls: int, timeout_s: float) -> None:
        """service: name of the one that is bounded. timeout_s: for the message of a unary call."""
        self._prefix, self._max_calls, self._timeout_s = f"/{service}/", max_calls, timeout_s
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_draining = False

    @property
    def under_way(self) -> int:
        """Calls that are being answered."""
        return self._under_way

    async def wait_idle(self) -> None:
        """Until none is."""
        await self._idle.wait()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        """The call's own handler, counted."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(self._prefix):
            return handler
        behaviour = as_stream(handler, self._timeout_s)

        async def counted(requests: AsyncIterator[Any], context: Context) -> None:
            self._refuse()
            self._under_way += 1
            self._idle.clear()
            try:
                await behaviour(requests, context)
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self._idle.set()

        return grpc.stream_stream_rpc_method_handler(
            counted,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _refuse(self) -> None:
        """Raises Refusal, before anything of the call is read."""
        if self.is_draining:
            raise Refusal(
                grpc.StatusCode.UNAVAILABLE,
                "the server is going down and takes nothing new; try again in a while",
            )
        if self._under_way >= self._max_calls:
            raise Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._under_way} calls are under way, as many as this server takes at once; try again",
                _RETRY_AFTER_MS,
            )
