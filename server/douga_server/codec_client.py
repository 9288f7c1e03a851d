"""Messages <-> our types, the client's side; `codec` has the server's.

What comes in raises InputError where a server of this contract could not have sent it, LimitError where it is
larger than the limits that the reader was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2

from douga.errors import InputError
from douga.palettes import Palette
from douga.types import CelMask, ClassMap, Frame
from douga_server.codec_parts import (
    STAGES,
    PlaneAssembler,
    chunks_of,
    header_from,
    header_message,
    palette_from,
    palette_message,
)
from douga_server.jobs import Answer, Description, Model, ModelUse, Options, Priority, Progress, Stage
from douga_server.limits import DEFAULT_LIMITS, Limits
from douga_server.pixels import Encoding, PackedPlane, mask_from, pack, unpack

_STAGE_BY_NUMBER: dict[int, Stage] = {number: stage for stage, number in STAGES.items()}
_Planes = tuple[tuple[image_pb2.Plane, PackedPlane], ...]


def options_message(options: Options) -> pb.ReconstructOptions:
    """How to take a frame apart."""
    region = options.region
    is_batch = options.priority is Priority.BATCH
    return pb.ReconstructOptions(
        cel_model=options.cel_model,
        lines_model=options.lines_model,
        line_width_px=options.line_width_px,
        palette=palette_message(options.palette),
        input_mode=options.input_mode,
        region=None
        if region is None
        else image_pb2.Region(x=region.x, y=region.y, width=region.width, height=region.height),
        deadline_class=pb.DEADLINE_CLASS_BATCH if is_batch else pb.DEADLINE_CLASS_INTERACTIVE,
    )


def _packed(frame: Frame, own_mask: CelMask | None, encoding: Encoding) -> _Planes:
    planes: _Planes = ((image_pb2.PLANE_FRAME, pack(frame.rgb, encoding)),)
    if own_mask is not None:
        planes += ((image_pb2.PLANE_CEL_MASK, pack(own_mask.mask, encoding)),)
    return planes


def requests(
    frame: Frame,
    options: Options,
    *,
    own_mask: CelMask | None = None,
    call_id: str = "",
    encoding: Encoding = Encoding.ZSTD,
    max_chunk_bytes: int = DEFAULT_LIMITS.max_chunk_bytes,
) -> Iterator[pb.ReconstructRequest]:
    """The messages of one Reconstruct call. own_mask: instead of stage one. max_chunk_bytes: the server's."""
    planes = _packed(frame, own_mask, encoding)
    start = pb.ReconstructStart(
        call_id=call_id,
        frame=header_message(planes[0][1].header),
        cel_mask=header_message(planes[1][1].header) if own_mask is not None else None,
        options=options_message(options),
    )
    yield pb.ReconstructRequest(start=start)
    for chunk in chunks_of(planes, max_chunk_bytes):
        yield pb.ReconstructRequest(chunk=chunk)


def sequence_start(options: Options, call_id: str = "") -> pb.ReconstructSequenceRequest:
    """The first message of a sequence."""
    start = pb.SequenceStart(call_id=call_id, options=options_message(options))
    return pb.ReconstructSequenceRequest(start=start)


def sequence_requests(
    number: int,
    frame: Frame,
    *,
    own_mask: CelMask | None = None,
    encoding: Encoding = Encoding.ZSTD,
    max_chunk_bytes: int = DEFAULT_LIMITS.max_chunk_bytes,
) -> Iterator[pb.ReconstructSequenceRequest]:
    """The messages of one frame of a sequence. number: rising from frame to frame, at least 0."""
    planes = _packed(frame, own_mask, encoding)
    announced = pb.SequenceFrame(
        number=number,
        frame=header_message(planes[0][1].header),
        cel_mask=header_message(planes[1][1].header) if own_mask is not None else None,
    )
    yield pb.ReconstructSequenceRequest(frame=announced)
    for chunk in chunks_of(planes, max_chunk_bytes):
        yield pb.ReconstructSequenceRequest(chunk=chunk)


@dataclass(frozen=True)
class Received:
    """What came back for a frame. warnings: what was done to the frame on the way in, in words."""

    answer: Answer
    palette: Palette
    warnings: tuple[str, ...]


class _Download:
    """A result that was announced."""

    def __init__(self, result: pb.ReconstructResult, limits: Limits) -> None:
        mask = header_from(result.cel_mask, image_pb2.PLANE_CEL_MASK, limits)
        classes = header_from(result.class_map, image_pb2.PLANE_CLASS_MAP, limits)
        if (mask.width, mask.height) != (classes.width, classes.height):
            raise InputError("the server's cel mask and class map differ in size; it is of another version")
        planes = ((image_pb2.PLANE_CEL_MASK, mask), (image_pb2.PLANE_CLASS_MAP, classes))
        self.assembler = PlaneAssembler(planes, limits)
        self._result = result

    def received(self) -> Received:
        """Unpack. Raises InputError."""
        self.assembler.check_complete()
        mask = self.assembler.plane(image_pb2.PLANE_CEL_MASK)
        classes = self.assembler.plane(image_pb2.PLANE_CLASS_MAP)
        if mask is None or classes is None:
            raise RuntimeError("a download without its planes")  # a bug of ours: __init__ puts them there
        result = self._result
        answer = Answer(
            cel_mask=mask_from(mask),
            classes=ClassMap(unpack(classes)),
            models=tuple(ModelUse(use.stage, use.name, use.sha256) for use in result.models),
            device=result.device,
            seconds={stage_from(spent.stage): spent.seconds for spent in result.seconds},
        )
        return Received(answer, palette_from(result.palette), tuple(result.warnings))


def progress_from(event: pb.StageEvent) -> Progress:
    """How far a frame is. Raises InputError for a stage that is not known here."""
    return Progress(stage_from(event.stage), event.progress, event.queue_position)


def stage_from(number: int) -> Stage:
    """What is being done. Raises InputError where it is not known here."""
    if number not in _STAGE_BY_NUMBER:
        raise InputError(f"the server speaks of a stage {number} that is not known here; update this Douga")
    return _STAGE_BY_NUMBER[number]


class AnswerReader:
    """The responses of one Reconstruct call -> what came back."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._download: _Download | None = None

    def add(self, response: pb.ReconstructResponse) -> Progress | None:
        """Take the next message; how far the frame is, where it tells that. Raises InputError, LimitError."""
        part = response.WhichOneof("part")
        if part == "stage":
            return progress_from(response.stage)
        if part == "result":
            if self._download is not None:
                raise InputError("the server sent a second result; it is of another version")
            self._download = _Download(response.result, self._limits)
        elif part == "chunk":
            if self._download is None:
                raise InputError("the server sent a chunk before its result; it is of another version")
            self._download.assembler.add(response.chunk)
        return None

    def finish(self) -> Received:
        """Unpack at the end of the stream. Raises InputError where something is missing."""
        if self._download is None:
            raise InputError("the server ended the call without a result; look into its log")
        return self._download.received()


@dataclass(frozen=True)
class FrameFailure:
    """Why a frame of a sequence has no result. code: the number of a gRPC status code."""

    code: int
    message: str


class SequenceAnswerReader:
    """The responses of one ReconstructSequence call -> what came back, frame by frame."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._number = -1
        self._download: _Download | None = None

    def add(self, response: pb.ReconstructSequenceResponse) -> tuple[int, Received | FrameFailure] | None:
        """Take the next message; (number, outcome) of the frame that it completed. Raises InputError."""
        part = response.WhichOneof("part")
        if part == "result":
            self.finish()
            self._number = response.result.number
            outcome = response.result.WhichOneof("outcome")
            if outcome == "error":
                error = response.result.error
                return self._number, FrameFailure(error.code, error.message)
            if outcome is None:
                raise InputError(f"the server says nothing of frame {self._number}; it is of another version")
            self._download = _Download(response.result.result, self._limits)
        elif part == "chunk":
            if self._download is None:
                raise InputError("the server sent a chunk of no frame; it is of another version")
            self._download.assembler.add(response.chunk)
            if self._download.assembler.complete:
                download, self._download = self._download, None
                return self._number, download.received()
        return None

    def finish(self) -> None:
        """At the end of the stream. Raises InputError where a frame is incomplete."""
        if self._download is not None:
            self._download.assembler.check_complete()


@dataclass(frozen=True)
class ServerInfo:
    """What a server says of itself. calls: those that it answers. palettes: presets, the default first."""

    version: str
    calls: tuple[str, ...]
    description: Description
    limits: Limits
    palettes: tuple[Palette, ...]


def server_info(response: pb.GetCapabilitiesResponse) -> ServerInfo:
    """What a server can do. Raises InputError where it makes no sense."""
    models = tuple(
        Model(model.stage, model.name, model.sha256, model.input_mode, model.is_default)
        for model in response.models
    )
    limits = response.limits
    return ServerInfo(
        version=response.version,
        calls=tuple(response.calls),
        description=Description(response.backend, models, tuple(response.devices)),
        limits=Limits(limits.max_pixels, limits.max_side_px, limits.max_chunk_bytes, limits.max_queued),
        palettes=tuple(palette_from(palette) for palette in response.palettes),
    )
