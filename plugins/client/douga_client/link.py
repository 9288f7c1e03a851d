"""The way to the server, kept open: found, connected, greeted, and made anew after it broke."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from .answers import server_info
from .api import ServerInfo
from .call import Call
from .connection import Connection
from .contract import METHODS
from .errors import ClientError, Kind
from .finding import Finder
from .statuses import error_of
from .version import VERSION, is_compatible

_GREETING_TIMEOUT_S = 20.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 3.0
_PATIENCE_S = {Kind.LOADING: 180.0, Kind.BUSY: 60.0}
_AFTER_LOSS_S = 20.0  # a server that answered once may be starting anew


class Link:
    """Pump it while somebody wants the server. connection: ready for calls, or None. stage: for progress."""

    def __init__(self, finder: Finder, clock: Callable[[], float] = time.monotonic) -> None:
        self._finder, self._clock = finder, clock
        self._raw: Connection | None = None
        self._greeting: Call | None = None
        self._replies: list[bytes] = []
        self._pause_s = _FIRST_PAUSE_S
        self._not_before_s = 0.0
        self._trouble_since_s: dict[Kind, float] = {}  # each kind has its own patience
        self.info: ServerInfo | None = None
        self.was_ready = False

    @property
    def connection(self) -> Connection | None:
        """One that has been greeted and takes calls."""
        raw = self._raw
        return (
            raw
            if raw is not None and self.info is not None and self._greeting is None and raw.takes_calls
            else None
        )

    @property
    def is_moving(self) -> bool:
        """Whether the next pump should be soon."""
        return self._raw is not None and (self._greeting is not None or self._raw.is_moving)

    @property
    def is_due(self) -> bool:
        """Whether there is something to do at once for whoever wants the server: connect to it."""
        return self._raw is None and self._finder.stage == "finding" and self._clock() >= self._not_before_s

    @property
    def fileno(self) -> int:
        """Of the socket; -1 while there is none."""
        return self._raw.fileno if self._raw is not None else -1

    @property
    def stage(self) -> str:
        """What it is doing: "finding", "starting" or "connecting"."""
        return self._finder.stage if self._raw is None else "connecting"

    def pump(self, budget_s: float, *, wanted: bool, may_start: bool) -> None:
        """Go on. wanted: whether to connect at all. Raises ClientError where there is no way to a server."""
        if self._raw is not None:
            self._raw.pump(budget_s)
            if self._raw.is_closed:
                error, self._raw, self._greeting = self._raw.error, None, None
                if error is not None and wanted:
                    self._trouble(error)
        if self._raw is None and wanted and self._clock() >= self._not_before_s:
            self._connect(may_start)
        if self._greeting is not None and self._raw is not None:
            self._replies += self._greeting.take()
            if self._greeting.is_done:
                self._greeted(self._raw)

    def lost(self) -> None:
        """Somebody's call has found the server missing; the next connection waits a moment."""
        self._not_before_s = self._clock() + self._next_pause_s()

    def finds_another(self, error: ClientError) -> bool:
        """Whether another server, or another token, may be found after this error; then that one is next."""
        if not self._finder.failed(error):
            return False
        self.drop()
        return True

    def drop(self) -> None:
        """Close the connection; the next pump makes another."""
        if self._raw is not None:
            self._raw.close()
        self._raw = self._greeting = self.info = None

    def close(self) -> None:
        """Give everything up."""
        self.drop()
        self._finder.close()

    def _connect(self, may_start: bool) -> None:
        target = self._finder.find(may_start=may_start)
        if target is not None:
            self._raw = Connection(target, self._clock)
            self._greet(self._raw)

    def _greet(self, connection: Connection) -> None:
        self._replies, self.info = [], None
        self._greeting = connection.call(
            METHODS["GetCapabilities"], iter([b""]), timeout_s=_GREETING_TIMEOUT_S
        )

    def _greeted(self, connection: Connection) -> None:
        call, self._greeting = self._greeting, None
        if call is None:
            return
        error = error_of(call, connection.target)
        if error is None and len(self._replies) == 1:
            info = server_info(self._replies[0])
            self._trouble_since_s, self._pause_s, self.was_ready = {}, _FIRST_PAUSE_S, True
            if not is_compatible(info.version):
                self.drop()  # or the next job would be sent to it
                said = f"it is {info.version}, the plugin {VERSION}"
                raise ClientError(Kind.OTHER_VERSION, address=connection.target.address.target, said=said)
            self.info = info
        elif error is None or error.kind is Kind.NOT_SUPPORTED:
            raise ClientError(Kind.NOT_DOUGA, address=connection.target.address.target)
        elif not connection.is_closed:  # where it is closed, the next pump looks after it
            self._raw = None
            connection.close()
            self._trouble(error)

    def _trouble(self, error: ClientError) -> None:
        """Wait for the next try, or raise the error where none is worth it, or no more."""
        now_s = self._clock()
        if self._finder.failed(error):
            self._not_before_s = now_s
            return
        since_s = self._trouble_since_s.setdefault(error.kind, now_s)
        patience_s = _PATIENCE_S.get(error.kind, _AFTER_LOSS_S if self.was_ready and error.may_pass else 0.0)
        if now_s - since_s >= patience_s:
            self._trouble_since_s, self._pause_s, self.was_ready = {}, _FIRST_PAUSE_S, False
            raise self._finder.told(error)
        pause_s = self._next_pause_s()
        self._not_before_s = now_s + max(pause_s, (error.retry_after_ms or 0) / 1000)

    def _next_pause_s(self) -> float:
        """Longer each time, by chance a little more or less, so that not all come back at once."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return pause_s * random.uniform(0.5, 1)
