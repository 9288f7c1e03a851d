"""One gRPC call: messages out, messages in, a status at the end. `connection` moves its bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from .errors import ClientError, Kind

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED = (
    range(8)
)
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = range(
    8, 15
)
UNAUTHENTICATED = 16
_BY_HTTP = {400: INTERNAL, 401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 404: UNIMPLEMENTED}
_BY_HTTP.update(dict.fromkeys((429, 502, 503, 504), UNAVAILABLE))
_PREFIX_BYTES = 5  # one byte whether it is compressed, four for the length
_LONGEST_RETRY_MS = 60_000
Requests = Iterator["bytes | None"]


@dataclass(frozen=True)
class Status:
    """How a call ended. code: of gRPC, 0 for well. retry_after_ms: when to ask again, None for not said."""

    code: int
    message: str = ""
    retry_after_ms: int | None = None


class Call:
    """A call under way. Read `take` after each pump of its connection, until `is_done`.

    requests: the messages to send; None among them means that there is none now, ask again later.
    """

    def __init__(self, method: str, requests: Requests, timeout_s: float, largest_message: int) -> None:
        self.method, self.timeout_s = method, timeout_s
        self.sent_bytes = self.received_bytes = 0
        self.status: Status | None = None
        self.error: ClientError | None = None
        self.number = 0  # of its stream; 0 before it has one
        self.is_end_sent = False
        self.is_awaited = False  # its reader knows that more is on its way
        self.on_end: Callable[[Call], None] | None = None
        self.on_take: Callable[[Call], None] | None = None
        self._requests: Requests | None = requests
        self._outgoing = memoryview(b"")
        self._incoming = bytearray()
        self._messages: deque[bytes] = deque()
        self._unread_bytes = 0
        self._largest = largest_message
        self._headers: dict[str, str] = {}

    @property
    def is_done(self) -> bool:
        """Whether it has ended: `status` says how, or `error` what became of the connection."""
        return self.status is not None or self.error is not None

    @property
    def is_moving(self) -> bool:
        """Whether a message is on its way, out or in."""
        return self.is_awaited or bool(self._incoming) or not self.is_sent

    @property
    def is_sent(self) -> bool:
        """Whether every message is on its way."""
        return self._requests is None and not self._outgoing

    def take(self) -> list[bytes]:
        """The messages that have come since. The server may send more once they are taken."""
        messages = list(self._messages)
        self._messages.clear()
        if self.on_take is not None and not self.is_done:
            self.on_take(self)
        return messages

    def cancel(self) -> None:
        """End it; the server stops working on it."""
        self.end(Status(CANCELLED, "cancelled here"))

    # -- for the connection -----------------------------------------------------------------------------

    def end(self, status: Status | None = None, error: ClientError | None = None) -> None:
        """Note how it ended. Only the first end counts."""
        if self.is_done:
            return
        self.status, self.error = status, error
        self._requests, self._outgoing = None, memoryview(b"")
        if self.on_end is not None:
            self.on_end(self)

    def outgoing(self, most: int) -> bytes:
        """The next bytes to send, at most `most`; empty where there are none now."""
        if not self._outgoing and self._requests is not None:
            try:
                message = next(self._requests)
            except StopIteration:
                self._requests = None
                return b""
            if message is None:
                return b""
            self._outgoing = memoryview(b"\0" + len(message).to_bytes(4, "big") + message)
        piece, self._outgoing = bytes(self._outgoing[:most]), self._outgoing[most:]
        self.sent_bytes += len(piece)
        return piece

    def unread(self) -> int:
        """Bytes that the server has not been told of as read; they are from now on."""
        size, self._unread_bytes = self._unread_bytes, 0
        return size

    def incoming(self, data: bytes, flow_bytes: int) -> None:
        """Take bytes that came. flow_bytes: what they count for, padding included. Raises ClientError."""
        self._unread_bytes += flow_bytes
        self.received_bytes += len(data)
        self._incoming += data
        while len(self._incoming) >= _PREFIX_BYTES:
            size = int.from_bytes(self._incoming[1:_PREFIX_BYTES], "big")
            if self._incoming[0] or size > self._largest:
                said = "a compressed message" if self._incoming[0] else f"a message of {size} bytes"
                raise ClientError(Kind.OTHER_VERSION, said=said)
            if len(self._incoming) < _PREFIX_BYTES + size:
                return
            self._messages.append(bytes(self._incoming[_PREFIX_BYTES : _PREFIX_BYTES + size]))
            del self._incoming[: _PREFIX_BYTES + size]

    def headers(self, headers: Mapping[str, str]) -> None:
        """Take headers or trailers."""
        self._headers.update(headers)

    def ended_by_server(self) -> None:
        """The server's last word has come; what it says of the status counts."""
        self.end(_status_from(self._headers, cut_short=bool(self._incoming)))


def _status_from(headers: Mapping[str, str], cut_short: bool) -> Status:
    code = headers.get("grpc-status", "")
    if code.isdecimal() and len(code) < 4:
        if int(code) == OK and cut_short:
            return Status(INTERNAL, "the answer is cut short")
        retry = headers.get("retry-after-ms", "")
        retry_ms = min(int(retry), _LONGEST_RETRY_MS) if retry.isdecimal() and len(retry) < 10 else None
        return Status(int(code), unquote(headers.get("grpc-message", "")), retry_ms)
    http = headers.get(":status", "")
    if http.isdecimal() and http != "200":
        return Status(_BY_HTTP.get(int(http[:3]), UNKNOWN), f"HTTP status {http}")
    return Status(UNKNOWN, "the answer ended without a status")
