"""A byte stream to the server that never waits: a socket, with TLS or without."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Callable

from .address import Target
from .errors import ClientError, Kind
from .resolve import Lookup, Place
from .system_errors import in_words, is_closed_pipe

_CONNECT_TIMEOUT_S = 6.0  # for one place
_HANDSHAKE_TIMEOUT_S = 10.0
_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", -1)}
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Transport:
    """A connection being made, then open. Every method returns at once; what fails raises ClientError."""

    def __init__(self, target: Target, clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._clock = target, clock
        self._context = _tls_context(target) if target.tls else None
        self._lookup: Lookup | None = Lookup(target.address, target.python)
        self._places: list[Place] = []
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLSocket | None = None
        self._begun_s = clock()
        self.is_open = False

    @property
    def fileno(self) -> int:
        """For a host that can watch a descriptor (QSocketNotifier); -1 while there is none."""
        return self._socket.fileno() if self._socket is not None else -1

    def advance(self) -> bool:
        """Go on with connecting; whether it is open now."""
        if self.is_open:
            return True
        if self._lookup is not None:
            places = self._lookup.places()
            if places is None:
                return False
            self._lookup, self._places = None, places
        if self._socket is None:
            self._knock()
        if self._tls is None and not self._is_connected():
            return False
        self.is_open = self._context is None or self._shake_hands()
        return self.is_open

    def read(self, most: int) -> bytes | None:
        """What has come, at most `most` bytes; None for nothing now, b"" for the end."""
        try:
            return self._stream.recv(most)
        except _NOT_NOW:
            return None
        except ssl.SSLError as exc:
            raise self._tls_error(exc) from exc
        except OSError as exc:
            if is_closed_pipe(exc):
                return b""
            raise ClientError(Kind.LOST, address=self._name, said=in_words(exc)) from exc

    def write(self, data: memoryview) -> int:
        """Send the beginning of data; returns how much of it went, 0 for nothing now.

        Where the other side has gone it is 0 too: `read` tells that, after whatever was said before.
        """
        try:
            return self._stream.send(data)
        except _NOT_NOW:
            return 0
        except ssl.SSLError as exc:
            raise self._tls_error(exc) from exc
        except OSError as exc:
            if is_closed_pipe(exc):
                return 0
            raise ClientError(Kind.LOST, address=self._name, said=in_words(exc)) from exc

    def close(self) -> None:
        """Give it up."""
        if self._lookup is not None:
            self._lookup.close()
        if self._socket is not None:
            self._socket.close()
        self.is_open = False

    @property
    def _name(self) -> str:
        return self._target.address.target

    @property
    def _stream(self) -> socket.socket:
        if self._socket is None:
            raise ClientError(Kind.LOST, address=self._name, said="not connected")
        return self._socket

    def _knock(self) -> None:
        family, place = self._places.pop(0)
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        except OSError as exc:  # such as an address of IPv6 on a machine without it
            self._not_connected(exc.errno or errno.EAFNOSUPPORT)
            return
        self._socket.setblocking(False)
        if not self._target.address.path:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begun_s = self._clock()
        number = self._socket.connect_ex(place)
        if number and (self._target.address.path or number not in _UNDER_WAY):
            self._not_connected(number)

    def _is_connected(self) -> bool:
        if self._socket is None:
            return False
        if not wait_for(self._socket.fileno(), 0, writing=True):
            if self._clock() - self._begun_s > _CONNECT_TIMEOUT_S:
                self._not_connected(errno.ETIMEDOUT)
            return False
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._not_connected(number)
        return not number

    def _not_connected(self, number: int) -> None:
        """Try the next place, or raise what is wrong with this one, the last."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._places:
            return
        path = self._target.address.path
        if path and number in (errno.EACCES, errno.EPERM):
            raise ClientError(Kind.SOCKET_DENIED, address=self._name, path=path)
        nobody = number in (
            errno.ECONNREFUSED,
            errno.ENOENT,
            errno.ENOTSOCK,
            getattr(errno, "WSAECONNREFUSED", -1),
        )
        kind = Kind.NO_SERVER if nobody else Kind.UNREACHABLE
        raise ClientError(kind, address=self._name, said=os.strerror(number))

    def _shake_hands(self) -> bool:
        if self._context is None or self._socket is None:
            return False
        try:
            if self._tls is None:
                host = self._target.address.host or "localhost"
                self._tls = self._context.wrap_socket(
                    self._socket, server_hostname=host, do_handshake_on_connect=False
                )
                self._socket, self._begun_s = self._tls, self._clock()
            self._tls.do_handshake()
        except _NOT_NOW:
            if self._clock() - self._begun_s > _HANDSHAKE_TIMEOUT_S:
                raise ClientError(Kind.TLS_NOT_SPOKEN, address=self._name) from None
            return False
        except ssl.SSLError as exc:
            raise self._tls_error(exc) from exc
        except OSError as exc:
            raise ClientError(Kind.TLS_NOT_SPOKEN, address=self._name, said=in_words(exc)) from exc
        if self._tls.selected_alpn_protocol() != "h2":
            raise ClientError(Kind.NOT_DOUGA, address=self._name)
        return True

    def _tls_error(self, error: ssl.SSLError) -> ClientError:
        reason = error.reason or str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return ClientError(Kind.TLS_UNTRUSTED, address=self._name, said=error.verify_message)
        if "CERTIFICATE_REQUIRED" in reason or (
            not self._target.cert_file and ("BAD_CERTIFICATE" in reason or "HANDSHAKE_FAILURE" in reason)
        ):
            return ClientError(Kind.CERTIFICATE_NEEDED, address=self._name)
        if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) and self.is_open:
            return ClientError(Kind.LOST, address=self._name, said="connection closed")
        if "ALERT" in reason or "CERTIFICATE" in reason:
            return ClientError(Kind.TLS_UNTRUSTED, address=self._name, said=reason.replace("_", " ").lower())
        return ClientError(Kind.TLS_NOT_SPOKEN, address=self._name)


def wait_for(fileno: int, timeout_s: float, *, writing: bool = False) -> bool:
    """Wait until there is something to read, or room to write too; whether there is."""
    if hasattr(select, "poll"):  # select knows only descriptors up to 1023, and large programs have more
        poll = select.poll()
        poll.register(fileno, select.POLLIN | (select.POLLOUT if writing else 0))
        return bool(poll.poll(int(timeout_s * 1000)))
    writers = [fileno] if writing else []
    return any(select.select([fileno], writers, writers, timeout_s))


def _tls_context(target: Target) -> ssl.SSLContext:
    """Raises ClientError for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    path = target.ca_file
    try:
        if target.ca_file:
            context.load_verify_locations(target.ca_file)
        else:
            context.load_default_certs()
        if target.cert_file:
            path = target.cert_file
            context.load_cert_chain(target.cert_file, target.key_file or None, password=_no_password)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        said = in_words(exc) if isinstance(exc, OSError) else str(exc)
        raise ClientError(Kind.TLS_FILES, path=path, said=said) from exc
    return context


def _no_password() -> str:
    """OpenSSL would ask for it on the host's terminal and wait."""
    raise ValueError("the key is encrypted; give it decrypted")
