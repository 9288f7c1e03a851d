"""How a call ends. Light on purpose: the front needs it before numpy and the codec are loaded."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

RETRY_AFTER = "retry-after-ms"


@dataclass(frozen=True)
class Status:
    """How a call ends. retry_after_ms: when to ask again, where that helps."""

    code: grpc.StatusCode
    message: str
    retry_after_ms: int | None = None

    @property
    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The metadata that goes with it."""
        return () if self.retry_after_ms is None else ((RETRY_AFTER, str(self.retry_after_ms)),)


class Refusal(Exception):
    """Ends a call with this very status. Raised by the front itself, where no error of Douga's says it."""

    def __init__(self, code: grpc.StatusCode, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.status = Status(code, message, retry_after_ms)
