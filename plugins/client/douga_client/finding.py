"""Ways to a server: one whose address was entered, or the one of this machine, started where none runs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from . import discovery
from .address import Target
from .discovery import Announcement
from .errors import ClientError, Kind
from .launch import Launch
from .settings import Settings
from .version import VERSION, is_compatible


class Finder(ABC):
    """Tells where the server is. Nothing here waits."""

    stage = "finding"

    @abstractmethod
    def find(self, *, may_start: bool) -> Target | None:
        """Where it is; None for not yet, ask again. Raises ClientError. may_start: start one if none runs."""

    def failed(self, error: ClientError) -> bool:
        """The target of `find` did not work; whether another may come of asking again at once."""
        return False

    def told(self, error: ClientError) -> ClientError:
        """An error of the way to the server, as this finder has to tell it."""
        return error

    def close(self) -> None:  # noqa: B027  most have nothing to let go of
        """Let go of what was started."""


class FixedServer(Finder):
    """A server whose address the user entered. Its errors come with the first `find`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def find(self, *, may_start: bool) -> Target | None:
        """See `Finder`."""
        return self._settings.target()

    def told(self, error: ClientError) -> ClientError:
        """See `Finder`: none is started in place of one that the user entered."""
        return error.completed(starts="no")


class LocalServer(Finder):
    """The announced server of this machine and user; else one of our own, which ends with the host.

    host_pid: the host's process where that is not this one, which may come and go; 0 where it is.
    """

    def __init__(
        self,
        settings: Settings,
        discovery_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        host_pid: int = 0,
    ) -> None:
        self._settings, self._clock, self._host_pid = settings, clock, host_pid
        self._file = discovery_file or discovery.default_path()
        self._dead: Announcement | None = None  # its file is there and nobody answers
        self._found: Announcement | None = None
        self._launch: Launch | None = None

    @property
    def stage(self) -> str:  # type: ignore[override]
        """ "starting" while a server of ours is."""
        return "starting" if self._launch is not None and not self._launch.is_ready else "finding"

    @property
    def pid(self) -> int:
        """Of the server that was started here and runs; 0 for none."""
        return self._launch.pid if self._launch is not None else 0

    def find(self, *, may_start: bool) -> Target | None:
        """See `Finder`."""
        announced = discovery.read(self._file)
        if self._launch is not None and self._launch.is_ready and not self._launch.is_running:
            self.close()  # it was ended from outside
        if self._launch is not None:
            return self._started(announced)
        if announced is not None and announced != self._dead and announced.is_alive:
            return self._target(announced)
        if not may_start or not self._settings.start_server:
            starts = "" if self._settings.start_server else "no"
            raise ClientError(Kind.NO_SERVER, address=str(self._file), starts=starts)
        self._launch = Launch(self._settings, self._file, self._clock, self._host_pid)
        return None

    def failed(self, error: ClientError) -> bool:
        """See `Finder`: a stale file, a token that was changed, or a server of ours that has died."""
        if self._launch is not None and not self._launch.is_running:
            self._launch.close()
            self._launch = None
        if error.kind in (Kind.NO_SERVER, Kind.SOCKET_DENIED, Kind.NOT_DOUGA, Kind.TLS_NEEDED):
            known, self._dead = self._dead, self._found
            return self._found is not None and known != self._found
        if error.kind is Kind.TOKEN_REFUSED:
            return discovery.read(self._file) != self._found
        return False

    def close(self) -> None:
        """See `Finder`."""
        if self._launch is not None:
            self._launch.close()
            self._launch = None

    def _started(self, announced: Announcement | None) -> Target | None:
        """Where the server of ours is; None while it starts."""
        launch = self._launch
        if launch is None:
            return None
        try:
            ready = launch.poll()
        except ClientError:
            self._launch = None
            if announced is not None and announced != self._dead and announced.is_alive:
                return self._target(announced)  # another program's was faster
            raise
        if not ready or announced is None:
            return None
        if announced.pid != launch.pid and (announced == self._dead or not announced.is_alive):
            return None  # a stale file; ours has not replaced it yet
        return self._target(announced)  # of another pid where Python starts another one, as on Windows

    def _target(self, announced: Announcement) -> Target:
        if not is_compatible(announced.version):
            said = f"it is {announced.version}, the plugin {VERSION}"
            raise ClientError(Kind.OTHER_VERSION, address=announced.address, said=said)
        self._found = announced
        settings, target = self._settings, announced.target()
        files = (settings.ca_file, settings.cert_file, settings.key_file) if target.tls else ("", "", "")
        return replace(
            target, ca_file=files[0], cert_file=files[1], key_file=files[2], python=settings.python
        )


def finder(settings: Settings, discovery_file: Path | None = None, host_pid: int = 0) -> Finder:
    """The way to the server that the settings ask for. host_pid: see `LocalServer`."""
    if settings.server == "auto":
        return LocalServer(settings, discovery_file, host_pid=host_pid)
    return FixedServer(settings)
