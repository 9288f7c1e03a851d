"""Messages <-> our types for cutouts, both sides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2

from douga.errors import InputError
from douga.types import Frame
from douga_server.codec import FrameReader, Upload, priority_from
from douga_server.codec_client import progress_from, stage_from
from douga_server.codec_parts import (
    STAGES,
    PlaneAssembler,
    chunks_of,
    header_from,
    header_message,
    name_from,
    stage_event,
)
from douga_server.jobs import CutoutAnswer, CutoutJob, ModelUse, Priority, Progress, Stage
from douga_server.limits import DEFAULT_LIMITS, Limits
from douga_server.pixels import Encoding, Layout, PackedPlane, pack, unpack

_ALPHA, _COLOURS = image_pb2.PLANE_ALPHA, image_pb2.PLANE_COLORS


# -- the server's side ---------------------------------------------------------------------------------------


class CutoutReader(FrameReader):
    """The requests of one Cutout call -> job."""

    _upload: Upload

    def begin(self, start: pb.CutoutStart) -> Upload:
        """See `FrameReader`."""
        self._model = name_from(start.model, "model")
        self._priority = priority_from(start.deadline_class)
        self._upload = Upload(start.frame if start.HasField("frame") else None, None, self.limits)
        return self._upload

    def job(self) -> CutoutJob:
        """Unpack at the end of the stream; takes milliseconds (1080p) or more. Raises InputError."""
        self.check_started()
        return CutoutJob(self.call_id, self._upload.frame(self.call_id), self._model, self._priority)


@dataclass(frozen=True)
class PackedCutout:
    """An answer ready to go. planes: in the order of the contract."""

    result: pb.CutoutResult
    planes: tuple[tuple[image_pb2.Plane, PackedPlane], ...] = field(repr=False)


def pack_cutout(answer: CutoutAnswer, encoding: Encoding = Encoding.ZSTD) -> PackedCutout:
    """Pack an answer; takes milliseconds (1080p) or more. encoding: the frame's."""
    begun_s = time.perf_counter()
    alpha, colours = pack(answer.alpha, encoding), pack(answer.colours, encoding)
    seconds = {**answer.seconds, Stage.PACKING: time.perf_counter() - begun_s}
    result = pb.CutoutResult(
        alpha=header_message(alpha.header),
        colors=header_message(colours.header),
        models=[pb.ModelUse(stage=use.stage, name=use.name, sha256=use.sha256) for use in answer.models],
        warnings=answer.warnings,
        seconds=[pb.StageSeconds(stage=STAGES[stage], seconds=spent_s) for stage, spent_s in seconds.items()],
        device=answer.device,
    )
    return PackedCutout(result, ((_ALPHA, alpha), (_COLOURS, colours)))


def cutout_responses(
    packed: PackedCutout, max_chunk_bytes: int = DEFAULT_LIMITS.max_chunk_bytes
) -> Iterator[pb.CutoutResponse]:
    """The result, then its chunks."""
    yield pb.CutoutResponse(result=packed.result)
    for chunk in chunks_of(packed.planes, max_chunk_bytes):
        yield pb.CutoutResponse(chunk=chunk)


def cutout_stage_response(progress: Progress) -> pb.CutoutResponse:
    """How far a cutout is."""
    return pb.CutoutResponse(stage=stage_event(progress))


# -- the client's side ---------------------------------------------------------------------------------------


def cutout_requests(
    frame: Frame,
    model: str = "",
    priority: Priority = Priority.INTERACTIVE,
    *,
    call_id: str = "",
    encoding: Encoding = Encoding.ZSTD,
    max_chunk_bytes: int = DEFAULT_LIMITS.max_chunk_bytes,
) -> Iterator[pb.CutoutRequest]:
    """The messages of one Cutout call. model: empty for the server's default."""
    plane = pack(frame.rgb, encoding)
    is_batch = priority is Priority.BATCH
    start = pb.CutoutStart(
        call_id=call_id,
        frame=header_message(plane.header),
        model=model,
        deadline_class=pb.DEADLINE_CLASS_BATCH if is_batch else pb.DEADLINE_CLASS_INTERACTIVE,
    )
    yield pb.CutoutRequest(start=start)
    for chunk in chunks_of(((image_pb2.PLANE_FRAME, plane),), max_chunk_bytes):
        yield pb.CutoutRequest(chunk=chunk)


class CutoutAnswerReader:
    """The responses of one Cutout call -> answer."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._result: pb.CutoutResult | None = None
        self._assembler: PlaneAssembler | None = None

    def add(self, response: pb.CutoutResponse) -> Progress | None:
        """Take the next message; how far the frame is, where it tells that. Raises InputError, LimitError."""
        part = response.WhichOneof("part")
        if part == "stage":
            return progress_from(response.stage)
        if part == "result":
            if self._result is not None:
                raise InputError("the server sent a second result; it is of another version")
            self._announced(response.result)
        elif part == "chunk":
            if self._assembler is None:
                raise InputError("the server sent a chunk before its result; it is of another version")
            self._assembler.add(response.chunk)
        return None

    def _announced(self, result: pb.CutoutResult) -> None:
        alpha = header_from(result.alpha, _ALPHA, self._limits)
        colours = header_from(result.colors, _COLOURS, self._limits)
        fits = (alpha.width, alpha.height) == (colours.width, colours.height)
        if not fits or (alpha.layout, colours.layout) != (Layout.GRAY8, Layout.RGB8):
            raise InputError("the server's alpha and colours do not fit together; it is of another version")
        self._result = result
        self._assembler = PlaneAssembler([(_ALPHA, alpha), (_COLOURS, colours)], self._limits)

    def finish(self) -> CutoutAnswer:
        """Unpack at the end of the stream. Raises InputError where something is missing."""
        result, assembler = self._result, self._assembler
        if result is None or assembler is None:
            raise InputError("the server ended the call without a result; look into its log")
        assembler.check_complete()
        alpha, colours = assembler.plane(_ALPHA), assembler.plane(_COLOURS)
        assert alpha is not None
        assert colours is not None
        return CutoutAnswer(
            unpack(alpha),
            unpack(colours),
            tuple(ModelUse(use.stage, use.name, use.sha256) for use in result.models),
            result.device,
            tuple(result.warnings),
            {stage_from(spent.stage): spent.seconds for spent in result.seconds},
        )
