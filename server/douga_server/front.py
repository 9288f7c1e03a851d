"""The front: everything between the network and the queue. It listens before the weights are there.

Sizes and times are bounded at each level: connections and their handshakes, streams of a connection,
messages, calls under way, the time between two messages, and the memory of all frames together.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import douga_pb2_grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from douga_server.address import Address, prepare_unix_path, why_not
from douga_server.auth import AuthInterceptor, Tokens
from douga_server.calls import Admission, CallInterceptor, CallObserver, Context
from douga_server.errors import SetupError
from douga_server.options import FrontOptions
from douga_server.refusal import Refusal

if TYPE_CHECKING:  # numpy and the codec are loaded after the server listens, see `Front.serve`
    from douga_server.service import DougaService, Works

_END_S = 5.0  # for calls to notice that they were cancelled
Serving = health_pb2.HealthCheckResponse


class Front:
    """A gRPC server with the contract's service, health and reflection. Made and used on one event loop."""

    def __init__(
        self,
        options: FrontOptions | None = None,
        *,
        tokens: Tokens | None = None,
        observers: Sequence[CallObserver] = (),
    ) -> None:
        """tokens: every call, for health too, must bring one of them; None: none is needed."""
        self._options = options = options or FrontOptions()
        timeout_s = options.service.message_timeout_s
        self._admission = Admission(SERVICE, options.max_calls, timeout_s)
        interceptors: list[grpc.aio.ServerInterceptor] = [CallInterceptor(_KNOWN, observers, timeout_s)]
        interceptors += [AuthInterceptor(tokens)] if tokens else []
        interceptors.append(self._admission)
        self._server = grpc.aio.server(interceptors=interceptors, options=options.channel_args())
        self._door = _Door()
        self._health = health.aio.HealthServicer()
        self._socket: Path | None = None
        douga_pb2_grpc.add_DougaServiceServicer_to_server(self._door, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(_SERVICES, self._server)

    @property
    def calls_under_way(self) -> int:
        """Calls of the service that are being answered."""
        return self._admission.under_way

    @property
    def bytes_held(self) -> int:
        """Memory promised to the frames under way."""
        return self._door.service.bytes_held if self._door.service else 0

    async def listen(self, address: Address, credentials: grpc.ServerCredentials | None = None) -> Address:
        """Take calls, though until `serve` only to say that it is early. Returns the address with its port.

        credentials: for TLS. Raises SetupError where nobody can listen there.
        """
        for service in ("", SERVICE):
            await self._health.set(service, Serving.NOT_SERVING)
        bound = self._bind(address, credentials)
        await self._server.start()
        return bound

    async def serve(self, works: Works) -> None:
        """Begin to answer, or go on with other weights."""
        from douga_server.service import DougaService

        if self._door.service is None:
            self._door.service = DougaService(self._options.service, works)
        self._door.service.works = works
        for service in ("", SERVICE):
            await self._health.set(service, Serving.SERVING)

    async def drain(self, timeout_s: float) -> int:
        """Refuse what is new, wait for what is under way. Returns the calls that are left after timeout_s."""
        self._admission.is_draining = True
        await self._health.enter_graceful_shutdown()
        if self._door.service is not None:
            self._door.service.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._admission.wait_idle()
        return self._admission.under_way

    async def stop(self) -> None:
        """Cancel what is left and close. After it nothing is under way."""
        await self._server.stop(None)
        # gRPC does not wait for handlers that are still cleaning up behind themselves.
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._admission.wait_idle()
        if self._door.service is not None:
            self._door.service.close()
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)

    def _bind(self, address: Address, credentials: grpc.ServerCredentials | None) -> Address:
        if address.is_unix:
            prepare_unix_path(Path(address.path))
        before = os.umask(0o177) if address.is_unix else None
        try:
            if credentials is None:
                port = self._server.add_insecure_port(address.target)
            else:
                port = self._server.add_secure_port(address.target, credentials)
        except RuntimeError as exc:
            raise SetupError(f"cannot listen at {address.target}: {why_not(address)}") from exc
        finally:
            if before is not None:
                os.umask(before)
        if not address.is_unix:
            return replace(address, port=port)
        self._socket = Path(address.path)
        return address


class _Door(douga_pb2_grpc.DougaServiceServicer):
    """Passes calls on to the service. While there is none, they are told that the server still loads."""

    service: DougaService | None = None

    async def Reconstruct(self, requests: AsyncIterator[Any], context: Context) -> None:
        await self._behind.Reconstruct(requests, context)

    async def ReconstructSequence(self, requests: AsyncIterator[Any], context: Context) -> None:
        await self._behind.ReconstructSequence(requests, context)

    async def Cutout(self, requests: AsyncIterator[Any], context: Context) -> None:
        await self._behind.Cutout(requests, context)

    async def RefineMask(self, requests: AsyncIterator[Any], context: Context) -> None:
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, _NOT_YET.format("refine masks"))

    async def GetCapabilities(self, request: Any, context: Context) -> Any:
        return await self._behind.GetCapabilities(request, context)

    @property
    def _behind(self) -> DougaService:
        if self.service is None:
            raise Refusal(
                grpc.StatusCode.UNAVAILABLE, "the server still loads its weights; try again in a while"
            )
        return self.service


_NOT_YET = "this server cannot {} yet; GetCapabilities lists the calls that it answers"
SERVICE = pb.DESCRIPTOR.services_by_name["DougaService"].full_name
_SERVICES = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
_KNOWN = [
    f"/{service.full_name}/{method.name}"
    for file in (pb, health_pb2, reflection_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
