"""What can go wrong with a call, in sentences. gRPC's own errors end here.

DougaError
├── InputError             this frame cannot be done by this server; another may
└── ServerError            the server or the way to it
    ├── UnreachableError   nobody listens, or nobody any more; worth another try for a while
    ├── BusyError          its queue is full, or it still loads; worth another try in `retry_after_ms`
    ├── RefusedError       no token, a wrong one, or a certificate that one of the two does not trust
    ├── ContractError      another version than ours, or no Douga server at all
    └── TooSlowError       no answer within the deadline
"""

from __future__ import annotations

import grpc

from douga.errors import DougaError, InputError
from douga_server.refusal import RETRY_AFTER

_CLOSED = ("socket closed", "reset by peer", "broken pipe")
_SOME_TIME_MS = 500  # for a server that does not say when
_MAX_RETRY_AFTER_MS = 30_000


class ServerError(DougaError):
    """The server, or the way to it."""


class UnreachableError(ServerError):
    """Nobody listens there, or nobody any more. listening: somebody does, but takes nothing now."""

    def __init__(self, message: str, *, listening: bool) -> None:
        super().__init__(message)
        self.listening = listening


class BusyError(ServerError):
    """The server has more to do than it takes, or still loads. retry_after_ms: when to ask again."""

    def __init__(self, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class RefusedError(ServerError):
    """The server lets us in no further, or we do not trust it."""


class ContractError(ServerError):
    """What listens there does not speak our contract."""


class TooSlowError(ServerError):
    """No answer within the deadline."""


def translate(error: grpc.RpcError, address: str, *, token_sent: bool = False) -> DougaError:
    """gRPC's error -> ours, with the mend. address: as the user wrote it. Any status has its sentence."""
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call) else str(error)) or ""
    retry_after_ms = _retry_after_ms(error)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _exhausted(details, address, retry_after_ms)
    if code is grpc.StatusCode.UNAVAILABLE and retry_after_ms is not None:  # it still loads
        return _busy(details, address, retry_after_ms)
    return of_status(code, details, address, token_sent=token_sent)


def of_status(code: grpc.StatusCode, details: str, address: str, *, token_sent: bool = False) -> DougaError:
    """As `translate`, for a status without an error around it: that of a frame in a sequence."""
    status = grpc.StatusCode
    match code:
        case status.INVALID_ARGUMENT | status.OUT_OF_RANGE | status.FAILED_PRECONDITION:
            return InputError(details)
        case status.RESOURCE_EXHAUSTED:
            return _exhausted(details, address, None)
        case status.UNAUTHENTICATED | status.PERMISSION_DENIED:
            return _refused(details, address, token_sent)
        case status.UNAVAILABLE:
            return _unavailable(details, address)
        case status.UNIMPLEMENTED | status.NOT_FOUND:
            return ContractError(
                f"the server at {address} does not know this call ({details}); it is of another version than "
                "this client, or no Douga server: compare `douga --version` on both sides"
            )
        case status.DEADLINE_EXCEEDED:
            return TooSlowError(
                f"the server at {address} did not answer in time; it has too much to do for its machine, "
                "so try again later, or with fewer frames at once (--jobs 1)"
            )
        case status.CANCELLED | status.ABORTED | status.ALREADY_EXISTS:
            return UnreachableError(f"the server at {address} broke the call off: {details}", listening=True)
        case _ if "RST_STREAM" in details or "Stream removed" in details:
            return UnreachableError(
                f"the server at {address} went away in the middle of a call", listening=False
            )
        case _:
            return ServerError(f"the server at {address} failed with {code.name}: {details}")


def _exhausted(details: str, address: str, retry_after_ms: int | None) -> DougaError:
    """More work than it takes, which passes; or a frame too large, which does not."""
    if retry_after_ms is None and "oncurrent" in details:  # gRPC's own bound comes without the trailer
        retry_after_ms = _SOME_TIME_MS
    if retry_after_ms is None:
        return InputError(details)
    return _busy(details, address, retry_after_ms)


def _busy(details: str, address: str, retry_after_ms: int) -> BusyError:
    return BusyError(
        f"the server at {address} takes no frames now: {details}", min(retry_after_ms, _MAX_RETRY_AFTER_MS)
    )


def _retry_after_ms(error: grpc.RpcError) -> int | None:
    trailers = error.trailing_metadata() if isinstance(error, grpc.Call) else None
    for key, value in trailers or ():
        if key == RETRY_AFTER and str(value).isdecimal():
            return int(value)
    return None


def _refused(details: str, address: str, token_sent: bool) -> RefusedError:
    if token_sent:
        return RefusedError(
            f"the server at {address} does not accept this token ({details}); it may have been changed: ask "
            "whoever runs the server for the present one"
        )
    return RefusedError(
        f"the server at {address} wants a token: give the file that holds it with --token-file, or use "
        "--server auto where you started it yourself on this machine"
    )


def _unavailable(details: str, address: str) -> ServerError:
    """gRPC's UNAVAILABLE has many causes, told apart by its words only."""
    said = details.lower()
    if "certificate_verify_failed" in said or "certificate verify failed" in said or "peer name" in said:
        return RefusedError(
            f"the certificate of the server at {address} is not trusted; give the file of the authority that "
            "signed it with --tls-ca, and the host name that it was made out to"
        )
    if "certificate_required" in said or "certificate required" in said or "bad_certificate" in said:
        return RefusedError(
            f"the server at {address} wants a certificate of yours: give it with --tls-cert and --tls-key"
        )
    if "wrong_version_number" in said or "wrong version number" in said:
        return RefusedError(f"the server at {address} speaks no TLS; leave --tls-ca and --tls-cert out")
    if "http1" in said or "http/1" in said:
        return ContractError(f"what listens at {address} is no Douga server; look at the port again")
    if "failed to connect" in said and any(word in said for word in _CLOSED):
        return UnreachableError(
            f"what listens at {address} closes every connection; if it wants TLS, give --tls-ca FILE, if it "
            "wants a certificate of yours, --tls-cert FILE --tls-key FILE",
            listening=False,
        )
    if "resolv" in said or "name not found" in said:
        return UnreachableError(f"no machine has the name in {address}; check its spelling", listening=False)
    if "connect" in said or "no such file" in said:
        return UnreachableError(
            f"nobody listens at {address}; start the server there with `douga serve --address {address}`",
            listening=False,
        )
    if any(word in said for word in (*_CLOSED, "goaway", "keepalive", "ping timeout")):
        return _gone(address)
    return UnreachableError(f"the server at {address} takes no frames now: {details}", listening=True)


def _gone(address: str) -> UnreachableError:
    return UnreachableError(f"the server at {address} went away in the middle of a call", listening=False)
