"""What went wrong, as the caller is told: one table from our errors to gRPC's codes."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

import grpc

from douga.errors import (
    CheckpointError,
    DeviceError,
    DougaError,
    InputError,
    OutputError,
    PaletteError,
    RecipeError,
)
from douga_server.errors import SetupError
from douga_server.jobs import BackendError, DrainingError, QueueFullError
from douga_server.limits import LimitError
from douga_server.models import MemoryShortError
from douga_server.refusal import Refusal, Status

_MAX_MESSAGE_CHARS = 600  # it travels as a header, and those have narrow limits

log = logging.getLogger(__name__)
Code = grpc.StatusCode


@dataclass(frozen=True)
class _Rule:
    """code: for the caller. instead: what the caller reads where our own words may name files and devices."""

    code: grpc.StatusCode
    instead: str | None = None


_OURS = "the server failed at this by an error of its own"
_RULES: dict[type[DougaError], _Rule] = {
    InputError: _Rule(Code.INVALID_ARGUMENT),
    PaletteError: _Rule(Code.INVALID_ARGUMENT),
    LimitError: _Rule(Code.RESOURCE_EXHAUSTED),
    QueueFullError: _Rule(Code.RESOURCE_EXHAUSTED),
    MemoryShortError: _Rule(Code.RESOURCE_EXHAUSTED),
    DrainingError: _Rule(Code.UNAVAILABLE),
    BackendError: _Rule(Code.UNAVAILABLE, "the work on this frame was lost; send it again"),
    OutputError: _Rule(Code.INTERNAL, _OURS),
    CheckpointError: _Rule(Code.INTERNAL, _OURS),
    DeviceError: _Rule(Code.INTERNAL, _OURS),
    RecipeError: _Rule(Code.INTERNAL, _OURS),
    SetupError: _Rule(Code.INTERNAL, _OURS),
    DougaError: _Rule(Code.INTERNAL, _OURS),
}
# Kinds that may come down to the last rule; a test fails on any other. They live where importing is dear.
RULES_OF_LAST_RESORT = {"EngineError"}


def rule_of(kind: type[BaseException]) -> _Rule | None:
    """The rule for an error or for the nearest of its ancestors; None for what is none of Douga's."""
    return next((_RULES[ancestor] for ancestor in kind.__mro__ if ancestor in _RULES), None)


def status_of(error: BaseException) -> Status:
    """How a call ends that ran into `error`. What the caller must not read goes to the log, under an id."""
    if isinstance(error, Refusal):
        return error.status
    rule = rule_of(type(error))
    if rule is not None and rule.instead is None:
        return Status(rule.code, _told(str(error)), getattr(error, "retry_after_ms", None))
    number = secrets.token_hex(4)
    log.error("error %s: %s", number, error, exc_info=None if rule else error)
    code, what = (rule.code, rule.instead) if rule else (Code.INTERNAL, _OURS)
    return Status(code, f"{what} (error {number}; its log says more)")


def _told(message: str) -> str:
    """Part of a message may be what the caller sent: nothing of it moves a cursor or floods a header."""
    clean = "".join(c if c.isprintable() else "?" for c in message)
    return clean if len(clean) <= _MAX_MESSAGE_CHARS else f"{clean[:_MAX_MESSAGE_CHARS]}..."
