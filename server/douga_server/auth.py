"""Who may call: bearer tokens, compared in constant time and changed by changing their file."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import grpc

from douga_server.errors import SetupError
from douga_server.refusal import Refusal

MIN_TOKEN_CHARS = 16
_MAX_FILE_BYTES = 1 << 16
_SCHEME = "bearer "
_LOOK_EVERY_S = 1.0
_DENIED = (
    "this server needs a token, and the one that came is none of its own; "
    'send it as metadata "authorization: Bearer TOKEN"'
)

log = logging.getLogger(__name__)


class Tokens:
    """The tokens that are good now. They are kept as digests, the first one also as it is, to hand it on."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._take(tokens)

    @classmethod
    def random(cls) -> Tokens:
        """One new token of 256 bits."""
        return cls([secrets.token_urlsafe(32)])

    @property
    def current(self) -> str:
        """The one to tell a client of one's own."""
        return self._first

    def allow(self, metadata: Iterable[tuple[str, str | bytes]]) -> bool:
        """Whether a call with this metadata brings a good token. Two headers are as bad as none."""
        given = [value for key, value in metadata if key == "authorization"]
        if len(given) != 1 or not isinstance(given[0], str) or given[0][: len(_SCHEME)].lower() != _SCHEME:
            return False
        digest = _digest(given[0][len(_SCHEME) :])
        # Every token is compared, so that the time tells nothing of which one it was.
        return sum(hmac.compare_digest(digest, good) for good in self._digests) > 0

    def _take(self, tokens: Sequence[str]) -> None:
        self._first = tokens[0]
        self._digests = [_digest(token) for token in tokens]


class TokenFile(Tokens):
    """Tokens from a file, one a line. Several are good at once, for the time in which clients change over.

    A changed file is noticed by the next call, at most once a second. Where it has become unusable (removed,
    half written) the former tokens stay good and the log says so. A call under way is never asked again.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises SetupError."""
        self._path, self._clock = path, clock
        self._looked_s = clock()
        self._seen = _state(path)
        super().__init__(read_tokens(path))

    @property
    def current(self) -> str:
        """The first of the file."""
        self._look()
        return super().current

    def allow(self, metadata: Iterable[tuple[str, str | bytes]]) -> bool:
        """As `Tokens.allow`, with what the file says now."""
        self._look()
        return super().allow(metadata)

    def _look(self) -> None:
        if self._clock() - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = self._clock()
        state = _state(self._path)
        if state == self._seen:
            return
        try:
            self._take(read_tokens(self._path))
        except SetupError as exc:
            log.warning("%s; the former tokens stay good", exc)
        else:
            log.info("the token file has changed; its tokens are good from now on")
        self._seen = state


def read_tokens(path: Path) -> list[str]:
    """Read a token file. Raises SetupError, whose message never has a token in it."""
    try:
        with open(path, "rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise SetupError(f"{path}: the token file cannot be read: {exc.strerror}") from exc
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines()]
    tokens = [line for line in lines if line]
    if len(text) > _MAX_FILE_BYTES or not tokens:
        raise SetupError(f"{path}: expected one token a line; make one with: {_RECIPE} > {path}")
    for token in tokens:
        if len(token) < MIN_TOKEN_CHARS or not all("!" <= c <= "~" for c in token):
            raise SetupError(
                f"{path}: a token needs at least {MIN_TOKEN_CHARS} characters: letters, digits and signs, no "
                f"spaces; make one with: {_RECIPE} > {path}"
            )
    return tokens


_RECIPE = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"


def _digest(token: str) -> bytes:
    """Of one length for all, so that not even the length of a token can be measured."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None where it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


class AuthInterceptor(grpc.aio.ServerInterceptor):
    """Lets calls with a good token through; the others end before one byte of theirs is read."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """The call's own handler, or one that refuses."""
        if self._tokens.allow(handler_call_details.invocation_metadata):
            return await continuation(handler_call_details)
        # A stream handler also for calls of one message: a unary one is only asked once the whole message
        # lies in memory (8 calls of 60 MB took 763 MB).
        return grpc.stream_stream_rpc_method_handler(_deny)


async def _deny(requests: Any, context: grpc.aio.ServicerContext) -> None:
    raise Refusal(grpc.StatusCode.UNAUTHENTICATED, _DENIED)
