"""The client: frames go to a server, and what it found in them comes back. For scripts and our own commands.

    with Client(ServerAddress("127.0.0.1:7610")) as client:
        received = client.reconstruct(frame)
        received.answer.classes.ids            # (H, W) uint8, see douga.classes

A server that went away or has too much to do is asked again for a while; see `Patience`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType

import grpc
from douga_proto.v1 import douga_pb2 as pb

from douga.errors import DougaError
from douga.types import CelMask, Frame
from douga_server import codec_client, codec_cutout
from douga_server.client_calls import Call, Errand, Line, Patience
from douga_server.client_sequence import SequenceCall
from douga_server.codec_client import Received, ServerInfo
from douga_server.connection import ServerAddress
from douga_server.jobs import CutoutAnswer, OnProgress, Options, Priority
from douga_server.pixels import Encoding

_CAPABILITIES_TIMEOUT_S = 10.0
_LAST_WAIT_S = 10.0  # for what is under way when somebody is in a hurry


class Client:
    """A connection to one server, for any number of threads.

    timeout_s: deadline of every try of a frame, its waiting in the server's queue included. encoding: how
    frames are packed. Every method raises ServerError (see `douga_server.client_errors`) where the server is
    the trouble, and InputError where it is the frame.
    """

    def __init__(
        self,
        server: ServerAddress,
        *,
        timeout_s: float = 600.0,
        patience: Patience | None = None,
        encoding: Encoding = Encoding.ZSTD,
    ) -> None:
        self._line = Line(server, timeout_s, patience or Patience(), encoding)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection up; calls under way end with an error."""
        self._line.close()

    def hurry(self) -> None:
        """Try nothing again from now on, and give up after 10 s what is under way."""
        self._line.hurry(_LAST_WAIT_S)

    def capabilities(self) -> ServerInfo:
        """What the server can do. Where nobody listens, that is told at once; a loading one is waited for."""
        trying = self._line.trying(knock=True)
        while True:
            try:
                response = self._line.open(
                    "GetCapabilities", pb.GetCapabilitiesRequest(), _CAPABILITIES_TIMEOUT_S
                )
                info = self._line.understood(codec_client.server_info, response)
                self._line.limits = info.limits
                return info
            except grpc.RpcError as exc:
                trying.again_after(self._line.translated(exc), exc)

    def reconstruct(
        self,
        frame: Frame,
        options: Options | None = None,
        own_mask: CelMask | None = None,
        on_progress: OnProgress | None = None,
    ) -> Received:
        """Take a frame apart. on_progress: is told, on this thread, how far it is."""
        return self.send(frame, options, own_mask).result(on_progress)

    def send(
        self, frame: Frame, options: Options | None = None, own_mask: CelMask | None = None
    ) -> Call[Received]:
        """Begin to send a frame and return at once; `Call.result` waits for the rest."""
        requests = partial(codec_client.requests, frame, options or Options(), own_mask=own_mask)
        return Call(self._line, Errand("Reconstruct", frame, requests, codec_client.AnswerReader))

    def cutout(
        self,
        frame: Frame,
        model: str = "",
        priority: Priority = Priority.INTERACTIVE,
        on_progress: OnProgress | None = None,
    ) -> CutoutAnswer:
        """Cut a frame out. model: name of weights, empty for the default. on_progress: as above."""
        return self.send_cutout(frame, model, priority).result(on_progress)

    def send_cutout(
        self, frame: Frame, model: str = "", priority: Priority = Priority.INTERACTIVE
    ) -> Call[CutoutAnswer]:
        """Begin to send a frame and return at once; `Call.result` waits for the rest."""
        requests = partial(codec_cutout.cutout_requests, frame, model, priority)
        return Call(self._line, Errand("Cutout", frame, requests, codec_cutout.CutoutAnswerReader))

    def sequence(
        self,
        frames: Iterable[Frame],
        options: Options | None = None,
        mask_of: Callable[[Frame], CelMask] | None = None,
    ) -> Iterator[tuple[Frame, Received | DougaError]]:
        """Take any number of frames apart by one call: each with what came of it, in order.

        frames: are read on another thread, as fast as the server takes them. options: without a word those
        of a batch, after all interactive calls. mask_of: the user's own mask of a frame. An error that
        concerns one frame is its outcome; what these two raise is raised here.
        """
        return SequenceCall(
            self._line, frames, options or Options(priority=Priority.BATCH), mask_of
        ).outcomes()
