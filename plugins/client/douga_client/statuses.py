"""How a call ended -> what a person is told."""

from __future__ import annotations

from . import call as codes
from .address import Target
from .call import Call, Status
from .errors import ClientError, Kind

_SOME_TIME_MS = 500  # for a server that does not say when
_KINDS = {
    codes.INVALID_ARGUMENT: Kind.BAD_REQUEST,
    codes.OUT_OF_RANGE: Kind.BAD_REQUEST,
    codes.FAILED_PRECONDITION: Kind.BAD_REQUEST,
    codes.UNIMPLEMENTED: Kind.NOT_SUPPORTED,
    codes.NOT_FOUND: Kind.NOT_SUPPORTED,
    codes.DEADLINE_EXCEEDED: Kind.TOO_SLOW,
    codes.UNAVAILABLE: Kind.LOADING,
    codes.CANCELLED: Kind.LOST,
    codes.ABORTED: Kind.LOST,
    codes.ALREADY_EXISTS: Kind.LOST,
}


def error_of(call: Call, target: Target) -> ClientError | None:
    """What went wrong with a call that is done; None where nothing did."""
    if call.error is not None:
        return call.error
    status = call.status or Status(codes.UNKNOWN)
    if status.code == codes.OK:
        return None
    kind, retry_ms = _kind(status, target), status.retry_after_ms
    if kind is Kind.BUSY and retry_ms is None:
        retry_ms = _SOME_TIME_MS
    seconds = f"{call.timeout_s:.3g}"
    return ClientError(
        kind, retry_after_ms=retry_ms, address=target.address.target, said=status.message, seconds=seconds
    )


def _kind(status: Status, target: Target) -> Kind:
    if status.code == codes.RESOURCE_EXHAUSTED:
        # gRPC's own bound on calls at once comes without the trailer.
        passes = status.retry_after_ms is not None or "oncurrent" in status.message
        return Kind.BUSY if passes else Kind.TOO_LARGE
    if status.code in (codes.UNAUTHENTICATED, codes.PERMISSION_DENIED):
        return Kind.TOKEN_REFUSED if target.token else Kind.TOKEN_NEEDED
    return _KINDS.get(status.code, Kind.SERVER_FAILED)
