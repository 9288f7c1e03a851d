"""gRPC over one HTTP/2 connection, moved on by a timer: `Connection.pump` never waits and starts no thread.

connection = Connection(target)
call = connection.call("/package.Service/Method", iter([request]), timeout_s=5)
while not call.is_done:          # in a host: a timer that comes back every few milliseconds
    connection.pump()
    for message in call.take(): ...
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from . import http2
from .address import Target
from .call import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    INTERNAL,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    Call,
    Requests,
    Status,
)
from .errors import ClientError, Kind
from .system_errors import in_words
from .transport import Transport, wait_for

AGENT = "douga-client"
LARGEST_MESSAGE = 4 << 20
_WINDOW_BYTES = 4 << 20
_FRAME_BYTES = 1 << 18
_STEP_BYTES = 1 << 18  # read or written in one go: about 1 ms of work
_SILENCE_S = 30.0  # while a call is under way, then the server is asked whether it lives
_LAST_SILENCE_S = 20.0
_LINGER_S = 0.002
_TLS_ALERT = b"\x15\x03"


class Connection:
    """One connection. It begins to connect with its first pump. error: what ended it, None for quietly."""

    def __init__(self, target: Target, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ClientError for certificate files that cannot be used."""
        self.target, self._clock = target, clock
        self.error: ClientError | None = None
        self.is_closed = self.is_draining = self.was_open = False
        self._transport = Transport(target, clock)
        self._http = http2.client_connection(_WINDOW_BYTES, _FRAME_BYTES)
        self._out = memoryview(b"")
        self._new: list[Call] = []
        self._calls: dict[int, Call] = {}
        self._deadlines: dict[Call, float] = {}
        self._heard_s, self._was_heard = clock(), False
        self._asked_s: float | None = None

    @property
    def fileno(self) -> int:
        """For hosts that can watch a descriptor; -1 while there is none."""
        return self._transport.fileno

    @property
    def takes_calls(self) -> bool:
        """Whether a new call may be made on it."""
        return not self.is_closed and not self.is_draining

    @property
    def is_moving(self) -> bool:
        """Whether bytes are on their way or it is being made, so that the next pump should be soon."""
        moving = any(call.is_moving for call in self._calls.values())
        return not self.is_closed and (not self.was_open or bool(self._new or self._out) or moving)

    def call(
        self, method: str, requests: Requests, *, timeout_s: float, largest_message: int = LARGEST_MESSAGE
    ) -> Call:
        """Begin a call. requests: see `Call`. timeout_s: after it the call ends, here and at the server."""
        call = Call(method, requests, timeout_s, largest_message)
        if not self.takes_calls:
            call.end(error=self.error or self._lost("closed"))
            return call
        call.on_end, call.on_take = self._forget, self._acknowledge
        self._deadlines[call] = self._clock() + timeout_s
        self._new.append(call)
        return call

    def pump(self, budget_s: float = 0.01) -> None:
        """Do what can be done now, for about `budget_s` at most. What goes wrong ends the calls."""
        until_s = self._clock() + budget_s
        try:
            while not self.is_closed and (self._step() or self._linger(until_s)) and self._clock() < until_s:
                pass
            self._check_silence()
        except ClientError as exc:
            self._break(exc)
        except (http2.H2Error, UnicodeDecodeError) as exc:
            self._break(self._no_http(str(exc)))
        except OSError as exc:
            self._break(self._lost(in_words(exc)))
        now_s = self._clock()
        for call in [call for call, end_s in self._deadlines.items() if end_s <= now_s]:
            call.end(Status(DEADLINE_EXCEEDED, f"no answer within {call.timeout_s:g} s"))
        if self.is_draining and not self._calls and not self._new:
            self.close()

    def close(self) -> None:
        """End the connection and every call on it."""
        if not self.is_closed:
            self._break(None)

    # -- one step -----------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Whether anything moved."""
        if not self._transport.is_open:
            if not self._transport.advance():
                return False
            self._heard_s = self._clock()
        self._open_new()
        moved = self._read()
        return (not self.is_closed and self._write()) or moved

    def _linger(self, until_s: float) -> bool:
        """While an image is on its way, wait for room for more of it within the time that this pump has.

        A Unix socket takes 0.2 MB at once, so an image would need forty pumps.
        """
        left_s = min(until_s - self._clock(), _LINGER_S)
        return left_s > 0 and self.was_open and self.is_moving and self._wait(left_s)

    def _wait(self, timeout_s: float) -> bool:
        return wait_for(self._transport.fileno, timeout_s, writing=bool(self._out))

    def _open_new(self) -> None:
        room = self._http.remote_settings.max_concurrent_streams - len(self._calls)
        while self._new and room > 0:
            room -= 1
            call = self._new.pop(0)
            call.number = self._http.get_next_available_stream_id()
            self._http.send_headers(call.number, self._request_headers(call))
            self._calls[call.number] = call

    def _request_headers(self, call: Call) -> list[tuple[str, str]]:
        target = self.target
        left_ms = max(1, int((self._deadlines[call] - self._clock()) * 1000))
        headers = [
            (":method", "POST"),
            (":scheme", "https" if target.tls else "http"),
            (":path", call.method),
            (":authority", "localhost" if target.address.path else target.address.target),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", AGENT),
            ("grpc-timeout", f"{min(left_ms, 99_999_999)}m"),
        ]
        return headers + ([("authorization", f"Bearer {target.token}")] if target.token else [])

    def _fill(self) -> None:
        """Hand messages to the HTTP/2 machine, as far as its windows and our buffer allow."""
        size = 0
        for number, call in list(self._calls.items()):
            while size < _STEP_BYTES and not call.is_done:
                room = min(self._http.local_flow_control_window(number), self._http.max_outbound_frame_size)
                piece = call.outgoing(min(room, _STEP_BYTES)) if room > 0 else b""
                if piece:
                    self._http.send_data(number, piece)
                    size += len(piece)
                    continue
                if call.is_sent and not call.is_end_sent:
                    call.is_end_sent = True
                    self._http.end_stream(number)
                break

    def _write(self) -> bool:
        if not self._out:
            self._fill()
            self._out = memoryview(self._http.data_to_send())
        if not self._out:
            return False
        sent = self._transport.write(self._out)
        self._out = self._out[sent:]
        return sent > 0

    def _read(self) -> bool:
        data = self._transport.read(_STEP_BYTES)
        if data is None:
            return False
        if not data:
            idle = self.was_open and not self._calls and not self._new
            self._break(None if idle else self._no_http("connection closed"))
            return False
        if not self.was_open and data.startswith(_TLS_ALERT):
            raise ClientError(Kind.TLS_NEEDED, address=self.target.address.target)
        self._was_heard = True
        self._heard_s, self._asked_s = self._clock(), None
        for event in self._http.receive_data(data):
            self._handle(event)
        return True

    # -- what came ----------------------------------------------------------------------------------------

    def _handle(self, event: http2.Event) -> None:
        if isinstance(event, http2.RemoteSettingsChanged):
            self.was_open = True
        elif isinstance(event, http2.ConnectionTerminated):
            self._go_away(event.last_stream_id or 0)
        number = getattr(event, "stream_id", None) or 0
        call = self._calls.get(number)
        if call is None:
            if isinstance(event, http2.DataReceived):  # of a call that was cancelled here
                self._http.acknowledge_received_data(event.flow_controlled_length or 0, number)
            return
        self._handle_call(event, number, call)

    def _handle_call(self, event: Any, number: int, call: Call) -> None:
        if isinstance(event, (http2.ResponseReceived, http2.TrailersReceived)):
            call.headers({str(name): str(value) for name, value in event.headers or []})
        elif isinstance(event, http2.DataReceived):
            try:
                call.incoming(event.data or b"", event.flow_controlled_length or 0)
            except ClientError as exc:
                call.end(error=exc.completed(address=self.target.address.target))
        elif isinstance(event, http2.StreamEnded):
            call.ended_by_server()
        elif isinstance(event, http2.StreamReset):
            call.end(_status_of_reset(int(event.error_code or 0)))

    def _go_away(self, last_number: int) -> None:
        """The server takes nothing new; calls that it has not looked at may be made again elsewhere."""
        self.is_draining = True
        unseen = self._new + [call for number, call in self._calls.items() if number > last_number]
        for call in unseen:
            call.end(error=self._lost("the server is going down"))

    def _forget(self, call: Call) -> None:
        """A call has ended, here or there: let its stream go, so that nothing more is sent for it."""
        self._deadlines.pop(call, None)
        if call in self._new:
            self._new.remove(call)
        self._acknowledge(call)
        stream = self._http.streams.get(call.number)
        if (
            self._calls.pop(call.number, None)
            and not self.is_closed
            and stream is not None
            and not stream.closed
        ):
            self._http.reset_stream(call.number, http2.ErrorCodes.CANCEL)

    def _acknowledge(self, call: Call) -> None:
        """What came was taken, or will be thrown away: the server may send as much again."""
        size = call.unread()
        if size and call.number in self._calls and not self.is_closed:
            self._http.acknowledge_received_data(size, call.number)

    # -- ends ---------------------------------------------------------------------------------------------

    def _check_silence(self) -> None:
        if self.is_closed or not self._calls:
            return
        now_s = self._clock()
        if self._asked_s is not None:
            if now_s - self._asked_s > _LAST_SILENCE_S:
                raise self._lost("no sign of life")
        elif now_s - self._heard_s > _SILENCE_S:
            self._asked_s = now_s
            self._http.ping(b"douga-ok")

    def _break(self, error: ClientError | None) -> None:
        self.is_closed, self.error = True, error
        self._transport.close()
        for call in [*self._new, *self._calls.values()]:
            call.end(error=error or self._lost("closed"))
        self._new, self._calls = [], {}

    def _lost(self, said: str) -> ClientError:
        return ClientError(Kind.LOST, address=self.target.address.target, said=said)

    def _no_http(self, said: str) -> ClientError:
        """What it means that the connection ended, or that nonsense came."""
        target = self.target
        if self.was_open or target.address.path:
            return self._lost(said)
        ended = said == "connection closed" and not self._was_heard
        if target.tls:
            kind = Kind.NOT_DOUGA if target.cert_file or not ended else Kind.CERTIFICATE_NEEDED
        else:
            kind = Kind.TLS_NEEDED if ended else Kind.NOT_DOUGA
        return ClientError(kind, address=target.address.target)


def _status_of_reset(code: int) -> Status:
    """How gRPC reads the codes with which HTTP/2 breaks a stream off."""
    codes = http2.ErrorCodes
    known = {
        codes.CANCEL: CANCELLED,
        codes.REFUSED_STREAM: UNAVAILABLE,
        codes.ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED,
        codes.INADEQUATE_SECURITY: PERMISSION_DENIED,
    }
    meaning = {int(name): status for name, status in known.items()}
    return Status(meaning.get(code, INTERNAL), f"the server broke the call off (HTTP/2 code {code})")
