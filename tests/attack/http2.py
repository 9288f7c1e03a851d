"""HTTP/2 by hand, for what no client of gRPC would send."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
_WINDOW_BYTES = 65535
_FRAME_BYTES = 16384
_INITIAL_WINDOW = 4  # among the settings


def frame(kind: int, flags: int = 0, stream: int = 0, body: bytes = b"", length: int | None = None) -> bytes:
    """length: where it is to lie."""
    stated = len(body) if length is None else length
    return stated.to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + body


def header(name: str | bytes, value: str | bytes) -> bytes:
    """HPACK: a name and a value as they are, remembered by nobody."""
    return b"\0" + _text(name) + _text(value)


def _text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return number(len(data), 7) + data


def number(value: int, bits: int, first: int = 0) -> bytes:
    """HPACK's whole number behind a prefix."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def call_headers(path: str, extra: Iterable[tuple[str | bytes, str | bytes]] = ()) -> bytes:
    """The block of a call of gRPC."""
    named: list[tuple[str | bytes, str | bytes]] = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *extra,
    ]
    return b"".join(header(name, value) for name, value in named)


def message(data: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """One message of gRPC. length: where it is to lie."""
    return struct.pack(">BI", compressed, len(data) if length is None else length) + data


class Connection:
    """A connection to `target`, "unix:PATH" or "HOST:PORT". silent: without as much as a preface."""

    def __init__(self, target: str, *, silent: bool = False, window_bytes: int = _WINDOW_BYTES) -> None:
        if target.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10)
            self.socket.connect(target.removeprefix("unix:"))
        else:
            host, _, port = target.rpartition(":")
            self.socket = socket.create_connection((host, int(port)), 10)
        self._left = {0: _WINDOW_BYTES}
        self._first = _WINDOW_BYTES  # that a stream begins with
        self._input = b""
        self._stream = -1
        if not silent:
            window = struct.pack(">HI", 4, window_bytes)
            self.send(PREFACE + frame(SETTINGS, body=window) + frame(SETTINGS, ACK))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """Whether the server still takes it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def open(self, path: str, extra: Iterable[tuple[str | bytes, str | bytes]] = ()) -> int:
        """Begin a call; its stream."""
        self._stream += 2
        self._left[self._stream] = self._first
        self.send(frame(HEADERS, END_HEADERS, self._stream, call_headers(path, extra)))
        return self._stream

    def send_data(self, stream: int, data: bytes, *, end: bool = False) -> bool:
        """As much of it as the server has room for, and waiting for more; whether all of it was taken."""
        while data:
            room = min(self._left[0], self._left[stream], _FRAME_BYTES)
            if room <= 0:
                if not self._read_window():
                    return False
                continue
            piece, data = data[:room], data[room:]
            for name in (0, stream):
                self._left[name] -= len(piece)
            if not self.send(frame(DATA, 0, stream, piece)):
                return False
        return self.send(frame(DATA, END_STREAM, stream)) if end else True

    def _read_window(self) -> bool:
        """Read frames up to the next that gives room; False at the end of the connection."""
        with suppress(OSError):
            while (kind := self.read()) is not None:
                if kind in (RST_STREAM, GOAWAY):
                    return False
                if kind in (WINDOW_UPDATE, SETTINGS):
                    return True
        return False

    def read(self) -> int | None:
        """The kind of the next frame, None at the end; pings are answered. Raises OSError."""
        while len(self._input) < 9 or len(self._input) < 9 + int.from_bytes(self._input[:3], "big"):
            if not (more := self.socket.recv(65536)):
                return None
            self._input += more
        size = int.from_bytes(self._input[:3], "big")
        kind, flags, stream = self._input[3], self._input[4], int.from_bytes(self._input[5:9], "big")
        body, self._input = self._input[9 : 9 + size], self._input[9 + size :]
        if kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, body))
        elif kind == WINDOW_UPDATE and stream in self._left:
            self._left[stream] += int.from_bytes(body, "big")
        elif kind == SETTINGS and not flags & ACK:
            self._take_settings(body)
        return kind

    def _take_settings(self, body: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", body):
            if name == _INITIAL_WINDOW:
                for stream in self._left:
                    self._left[stream] += (value - self._first) * (stream > 0)
                self._first = value

    def kinds(self, seconds: float) -> list[int]:
        """The frames that come in this time, answering pings as a living client does."""
        seen: list[int] = []
        until_s = time.monotonic() + seconds
        with suppress(OSError):
            while (left_s := until_s - time.monotonic()) > 0:
                self.socket.settimeout(left_s)
                if (kind := self.read()) is None:
                    break
                seen.append(kind)
        return seen

    def closed(self, timeout_s: float = 10) -> bool:
        """Read what comes until the server closes; whether it did in time."""
        self.socket.settimeout(timeout_s)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True
