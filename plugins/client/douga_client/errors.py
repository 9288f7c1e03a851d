"""What can go wrong, each with a kind for programs, a sentence for people and what mends it.

    ClientError   kind: "token_needed"    text("ja"): the sentence    mend: Mend.SETTINGS

The sentences stand in `texts`, one table for all hosts. Nothing else leaves this package as an error.
"""

from __future__ import annotations

from enum import Enum


class Kind(str, Enum):  # noqa: UP042  StrEnum came with Python 3.11
    """What went wrong. The value is stable: plugins and their tests may compare it."""

    # the way to the server
    NO_SERVER = "no_server"
    NAME_UNKNOWN = "name_unknown"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_NEEDED = "tls_needed"
    TLS_NOT_SPOKEN = "tls_not_spoken"
    TLS_FILES = "tls_files"
    CERTIFICATE_NEEDED = "certificate_needed"
    NOT_DOUGA = "not_douga"
    BAD_ADDRESS = "bad_address"
    PLAIN_TOKEN = "plain_token"
    SOCKET_DENIED = "socket_denied"
    # what the server said
    TOKEN_NEEDED = "token_needed"
    TOKEN_REFUSED = "token_refused"
    BUSY = "busy"
    LOADING = "loading"
    TOO_LARGE = "too_large"
    BAD_REQUEST = "bad_request"
    NOT_SUPPORTED = "not_supported"
    OTHER_VERSION = "other_version"
    TOO_SLOW = "too_slow"
    CANCELLED = "cancelled"
    SERVER_FAILED = "server_failed"
    # finding and starting it
    NOT_INSTALLED = "not_installed"
    SETTINGS_BROKEN = "settings_broken"
    PYTHON_MISSING = "python_missing"
    DOUGA_MISSING = "douga_missing"
    START_DENIED = "start_denied"
    START_FAILED = "start_failed"
    START_TOO_SLOW = "start_too_slow"
    PORT_BUSY = "port_busy"
    NOT_PRIVATE = "not_private"
    # our own
    BUG = "bug"


class Mend(str, Enum):  # noqa: UP042
    """What the plugin offers beside the sentence; `texts.button` has its label."""

    NONE = ""
    SETTINGS = "settings"  # open the settings page
    RETRY = "retry"  # do the same again
    START = "start"  # start a server of our own (again)
    COMMAND = "command"  # show `ClientError.command` to be copied into a terminal


_MENDS: dict[Kind, tuple[Mend, str]] = {
    Kind.NO_SERVER: (Mend.START, "douga serve"),
    Kind.NAME_UNKNOWN: (Mend.SETTINGS, ""),
    Kind.UNREACHABLE: (Mend.RETRY, ""),
    Kind.LOST: (Mend.RETRY, ""),
    Kind.TLS_UNTRUSTED: (Mend.SETTINGS, ""),
    Kind.TLS_NEEDED: (Mend.SETTINGS, ""),
    Kind.TLS_NOT_SPOKEN: (Mend.SETTINGS, ""),
    Kind.TLS_FILES: (Mend.SETTINGS, ""),
    Kind.CERTIFICATE_NEEDED: (Mend.SETTINGS, ""),
    Kind.NOT_DOUGA: (Mend.SETTINGS, ""),
    Kind.BAD_ADDRESS: (Mend.SETTINGS, ""),
    Kind.PLAIN_TOKEN: (Mend.SETTINGS, ""),
    Kind.SOCKET_DENIED: (Mend.COMMAND, "ls -l {path}"),
    Kind.TOKEN_NEEDED: (Mend.SETTINGS, ""),
    Kind.TOKEN_REFUSED: (Mend.SETTINGS, ""),
    Kind.BUSY: (Mend.RETRY, ""),
    Kind.LOADING: (Mend.RETRY, ""),
    Kind.OTHER_VERSION: (Mend.COMMAND, "pip install --upgrade /path/to/douga && douga plugin install {host}"),
    Kind.TOO_SLOW: (Mend.RETRY, ""),
    Kind.NOT_INSTALLED: (Mend.COMMAND, "douga plugin install {host}"),
    Kind.SETTINGS_BROKEN: (Mend.COMMAND, "douga plugin install {host}"),
    Kind.PYTHON_MISSING: (Mend.COMMAND, "douga plugin install {host}"),
    Kind.DOUGA_MISSING: (Mend.COMMAND, "{python} -m pip install /path/to/douga"),
    Kind.START_DENIED: (Mend.COMMAND, "douga plugin install {host}"),
    Kind.START_FAILED: (Mend.COMMAND, "{command}"),
    Kind.START_TOO_SLOW: (Mend.START, "{command}"),
    Kind.PORT_BUSY: (Mend.START, "{command}"),
    Kind.NOT_PRIVATE: (Mend.COMMAND, "{remove}"),
}
RETRIED = frozenset({Kind.LOST, Kind.BUSY, Kind.LOADING, Kind.UNREACHABLE, Kind.NO_SERVER})


class ClientError(Exception):
    """Something that a person has to be told.

    details: what the sentence names: "address", "said" (the other side's own words), "path", "python" ...,
    and "starts", which is "no" where none of ours can be started.
    retry_after_ms: when the server wants to be asked again, None where it did not say.
    """

    def __init__(self, kind: Kind, *, retry_after_ms: int | None = None, **details: str) -> None:
        self.kind, self.retry_after_ms, self.details = kind, retry_after_ms, details
        super().__init__(self.text())

    def text(self, language: str = "en") -> str:
        """One or two sentences: what happened and what to do. language: "en" or "ja"."""
        from . import texts

        return texts.sentence(self.kind, language, self.details)

    @property
    def mend(self) -> Mend:
        """What the plugin should offer. Nobody starts a server where the user entered an address."""
        if self.kind is Kind.NO_SERVER and self.details.get("starts") == "no":
            return Mend.RETRY
        return _MENDS.get(self.kind, (Mend.NONE, ""))[0]

    def command(self, host: str = "krita") -> str:
        """A command line that mends it, empty where none does. host: "krita", "blender" or "gimp"."""
        from . import texts

        return texts.filled(_MENDS.get(self.kind, (Mend.NONE, ""))[1], {**self.details, "host": host})

    def completed(self, **details: str) -> ClientError:
        """The same with details that were not known where it came up; those that were stay."""
        error = ClientError(self.kind, **{**details, **self.details})  # type: ignore[arg-type]
        error.retry_after_ms = self.retry_after_ms
        return error

    @property
    def may_pass(self) -> bool:
        """Whether the same may well succeed a little later."""
        return self.kind in RETRIED
