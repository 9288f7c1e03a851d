"""What the calls of one client share, and one frame under way. `douga_server.client` is the front of it."""

from __future__ import annotations

import random
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

import grpc
from douga_proto.v1.douga_pb2_grpc import DougaServiceStub

from douga.errors import DougaError, InputError
from douga.types import Frame
from douga_server.client_errors import (
    BusyError,
    ContractError,
    RefusedError,
    ServerError,
    UnreachableError,
    translate,
)
from douga_server.connection import ServerAddress
from douga_server.jobs import OnProgress, Progress
from douga_server.limits import LimitError, Limits
from douga_server.pixels import Encoding

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_UNTIL_ANNOUNCED_S = 2.0  # from listening to the discovery file with the new token
_Given = ParamSpec("_Given")
_Read = TypeVar("_Read")
_Came = TypeVar("_Came")
_Answer = TypeVar("_Answer", covariant=True)


@dataclass(frozen=True)
class Patience:
    """How long one call is tried again, from its first failure on.

    unreachable_s: while nobody is there. busy_s: while the queue is full. by_grpc: gRPC itself
    tries again, for some tenths of a second, as long as nothing has come back.
    """

    unreachable_s: float = 30.0
    busy_s: float = 600.0
    by_grpc: bool = True


class Line:
    """The channel to a server, and what all calls on it share.

    timeout_s: deadline of one try. limits: what an answer may bring and how long a chunk may be.
    """

    def __init__(
        self, server: ServerAddress, timeout_s: float, patience: Patience, encoding: Encoding
    ) -> None:
        self.server, self.timeout_s, self.patience, self.encoding = server, timeout_s, patience, encoding
        self.limits = Limits()
        self.hurried = threading.Event()
        self._lock = threading.Lock()
        self._under_way: weakref.WeakSet[Any] = weakref.WeakSet()
        self._channel = server.channel(retries=patience.by_grpc)
        self._stub = DougaServiceStub(self._channel)

    def open(self, call: str, request: Any, timeout_s: float | None) -> Any:
        """Begin a call by its name in the contract. Returns gRPC's own; raises ServerError where closed."""
        try:
            rpc = getattr(self._stub, call)(request, timeout=timeout_s, metadata=self.server.metadata())
        except ValueError as exc:  # gRPC's word for a channel that is closed
            raise ServerError(f"the connection to {self.server.address} was closed") from exc
        if isinstance(rpc, grpc.Call):  # a unary call has ended by now
            with self._lock:
                self._under_way.add(rpc)
        return rpc

    def look_again(self) -> None:
        """Follow a server of this machine that was started anew, with another token or elsewhere."""
        with self._lock:
            found = self.server.renewed()
            if found != self.server:
                self.server, self._channel = found, found.channel(retries=self.patience.by_grpc)
                self._stub = DougaServiceStub(self._channel)

    def trying(self, *, knock: bool = False) -> Trying:
        """For one call. knock: where nobody listens, that is told at once."""
        return Trying(self, knock=knock)

    def translated(self, error: grpc.RpcError) -> DougaError:
        """gRPC's error -> ours."""
        return translate(error, self.server.address, token_sent=self.server.has_token)

    def understood(self, read: Callable[_Given, _Read], *args: _Given.args, **kwargs: _Given.kwargs) -> _Read:
        """Read what came. Raises ContractError: it is the server's fault, not the frame's."""
        try:
            return read(*args, **kwargs)
        except (InputError, LimitError) as exc:
            raise ContractError(
                f"the server at {self.server.address} sent what this client cannot read ({exc}); compare "
                "`douga --version` on both sides"
            ) from exc

    def hurry(self, last_wait_s: float) -> None:
        """Nothing is tried again from now on; what is still under way after last_wait_s is given up."""
        self.hurried.set()
        timer = threading.Timer(last_wait_s, self._cancel)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Calls under way end with an error."""
        self.hurried.set()
        self._cancel()
        self._channel.close()

    def _cancel(self) -> None:
        with self._lock:
            under_way = list(self._under_way)
        for rpc in under_way:
            rpc.cancel()


class Trying:
    """Whether and when a call is tried again."""

    def __init__(self, line: Line, *, knock: bool) -> None:
        self._line, self._knock = line, knock
        self._since_s: dict[type[DougaError], float] = {}
        self._pause_s = _FIRST_PAUSE_S

    def succeeded(self) -> None:
        """Begin to count anew."""
        self._since_s.clear()
        self._pause_s = _FIRST_PAUSE_S

    def again_after(self, error: DougaError, cause: BaseException) -> None:
        """Wait for the next try. Raises `error` where none is worth it, or no more."""
        pause_s, patience_s = self._plan(error)
        now_s = time.monotonic()
        since_s = self._since_s.setdefault(type(error), now_s)
        if now_s + pause_s - since_s > patience_s or self._line.hurried.wait(pause_s):
            raise error from cause
        self._line.look_again()

    def _plan(self, error: DougaError) -> tuple[float, float]:
        """Seconds to wait now, and in all; a little by chance, so that not all come back at once."""
        if isinstance(error, BusyError):
            return error.retry_after_ms / 1000 * random.uniform(1, 1.5), self._line.patience.busy_s
        if isinstance(error, UnreachableError) and (error.listening or not self._knock):
            pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
            return pause_s * random.uniform(0.5, 1), self._line.patience.unreachable_s
        if isinstance(error, RefusedError) and self._line.server.announced:
            return _FIRST_PAUSE_S, _UNTIL_ANNOUNCED_S  # it has just been started anew
        return 0.0, -1.0


@dataclass(frozen=True)
class Errand(Generic[_Came]):
    """What a call for one frame sends and how its answer is read.

    method: its name in the contract. requests: makes its messages. reader: takes responses within limits.
    """

    method: str
    frame: Frame
    requests: Messages
    reader: Callable[[Limits], Reader[_Came]]


class Messages(Protocol):
    """The messages of one try: `codec_client.requests` and `codec_cutout.cutout_requests` for a frame."""

    def __call__(self, *, call_id: str, encoding: Encoding, max_chunk_bytes: int) -> Iterable[Any]: ...


class Reader(Protocol[_Answer]):
    """Of one call's responses: `codec_client.AnswerReader`, `codec_cutout.CutoutAnswerReader`."""

    def add(self, response: Any) -> Progress | None: ...
    def finish(self) -> _Answer: ...


class Call(Generic[_Came]):
    """One frame under way. It is being sent from the moment that this is made."""

    def __init__(self, line: Line, errand: Errand[_Came]) -> None:
        self._line, self._errand = line, errand
        self._rpc = self._begin()

    @property
    def frame(self) -> Frame:
        """The frame that was sent."""
        return self._errand.frame

    def result(self, on_progress: OnProgress | None = None) -> _Came:
        """Wait for what came of the frame; once, on any thread. on_progress: is told on this thread.

        A try that was lost is made again; see `Patience`. Raises InputError, ServerError.
        """
        trying = self._line.trying()
        while True:
            try:
                return self._receive(on_progress)
            except grpc.RpcError as exc:
                trying.again_after(self._line.translated(exc), exc)
            self._rpc = self._begin()

    def _begin(self) -> Any:
        line = self._line
        requests = self._errand.requests(
            call_id=secrets.token_hex(8),  # another one a try: the server may not have noticed that one ended
            encoding=line.encoding,
            max_chunk_bytes=line.limits.max_chunk_bytes,
        )
        # Packed here: an error on gRPC's own thread would only be logged.
        return line.open(self._errand.method, iter(tuple(requests)), line.timeout_s)

    def _receive(self, on_progress: OnProgress | None) -> _Came:
        reader = self._errand.reader(self._line.limits)
        try:
            for response in self._rpc:
                progress = self._line.understood(reader.add, response)
                if progress is not None and on_progress is not None:
                    on_progress(progress)
            return self._line.understood(reader.finish)
        except BaseException:
            self._rpc.cancel()  # nobody waits any more, so nobody should work
            raise
