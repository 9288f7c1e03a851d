"""Messages <-> our types, the server's side; `codec_cutout` has cutouts, `codec_client` the other side.

What comes in raises InputError (INVALID_ARGUMENT) or LimitError (RESOURCE_EXHAUSTED) where it cannot be used.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2

from douga.errors import InputError
from douga.palettes import Palette, load_palette, preset_names
from douga.types import CelMask, Frame
from douga_server.codec_parts import (
    STAGES,
    PlaneAssembler,
    chunks_of,
    header_from,
    header_message,
    name_from,
    palette_from,
    palette_message,
    shown,
    stage_event,
)
from douga_server.jobs import (
    DEFAULT_LINE_WIDTH_PX,
    Answer,
    Description,
    Job,
    Options,
    Priority,
    Progress,
    Region,
    Stage,
)
from douga_server.limits import DEFAULT_LIMITS, Limits
from douga_server.pixels import Encoding, PackedPlane, PlaneHeader, frame_from, mask_from, pack

DEFAULT_PALETTE = "kugler"
INPUT_MODES = (
    "color",
    "synthetic_cel",
    "concatenated",
    "manual_cel",
)  # as douga.preprocess, which needs torch
_PRIORITIES: dict[int, Priority] = {
    pb.DEADLINE_CLASS_INTERACTIVE: Priority.INTERACTIVE,
    pb.DEADLINE_CLASS_BATCH: Priority.BATCH,
}


def options_from(message: pb.ReconstructOptions, usual: Priority = Priority.INTERACTIVE) -> Options:
    """How to take a frame apart. usual: where the message names no deadline class. Raises InputError."""
    priority = priority_from(message.deadline_class, usual)
    if message.input_mode and message.input_mode not in INPUT_MODES:
        raise InputError(
            f"unknown input_mode {shown(message.input_mode)}; leave it empty or choose one of "
            f"{', '.join(INPUT_MODES)}"
        )
    region = message.region
    has_region, has_palette = message.HasField("region"), message.HasField("palette")
    return Options(
        cel_model=name_from(message.cel_model, "cel_model"),
        lines_model=name_from(message.lines_model, "lines_model"),
        line_width_px=message.line_width_px or DEFAULT_LINE_WIDTH_PX,
        palette=palette_from(message.palette) if has_palette else load_palette(DEFAULT_PALETTE),
        input_mode=message.input_mode,
        region=Region(region.x, region.y, region.width, region.height) if has_region else None,
        priority=priority,
    )


def priority_from(deadline_class: int, usual: Priority = Priority.INTERACTIVE) -> Priority:
    """Who is served first. usual: where the message names no class. Raises InputError."""
    by_number = {**_PRIORITIES, pb.DEADLINE_CLASS_UNSPECIFIED: usual}
    if deadline_class not in by_number:
        raise InputError(f"unknown deadline_class {deadline_class}; expected 1 (interactive) or 2 (batch)")
    return by_number[deadline_class]


def call_id_from(text: str) -> str:
    """The caller's name for a call, or a new one where it has none. Raises InputError."""
    return name_from(text, "call_id") or secrets.token_hex(8)


class Upload:
    """A frame that was announced, and its user's mask where there is one."""

    def __init__(
        self, frame: image_pb2.ImageHeader | None, cel_mask: image_pb2.ImageHeader | None, limits: Limits
    ) -> None:
        """frame, cel_mask: None where the message has none. Raises InputError, LimitError."""
        if frame is None:
            raise InputError("no frame is announced; fill in the field frame")
        self.header = header_from(frame, image_pb2.PLANE_FRAME, limits)
        planes: list[tuple[int, PlaneHeader]] = [(image_pb2.PLANE_FRAME, self.header)]
        if cel_mask is not None:
            mask = header_from(cel_mask, image_pb2.PLANE_CEL_MASK, limits)
            planes.append((image_pb2.PLANE_CEL_MASK, mask))
            if (mask.width, mask.height) != (self.header.width, self.header.height):
                raise InputError(
                    f"the cel mask is {mask.width} x {mask.height} px, the frame {self.header.width} x "
                    f"{self.header.height}; send it in that size"
                )
        self.encoding = self.header.encoding
        self.assembler = PlaneAssembler(planes, limits)

    def frame(self, name: str) -> Frame:
        """Unpack the frame at the end. Raises InputError."""
        self.assembler.check_complete()
        frame = self.assembler.plane(image_pb2.PLANE_FRAME)
        if frame is None:
            raise RuntimeError("an upload without a frame")  # a bug of ours: __init__ puts it there
        return frame_from(frame, name)

    def mask(self) -> CelMask | None:
        """Unpack the mask at the end, if there is one. Raises InputError."""
        mask = self.assembler.plane(image_pb2.PLANE_CEL_MASK)
        return mask_from(mask) if mask is not None else None


class _Upload(Upload):
    """A frame to take apart, and how."""

    def __init__(
        self, message: pb.ReconstructStart | pb.SequenceFrame, options: Options, limits: Limits
    ) -> None:
        super().__init__(
            message.frame if message.HasField("frame") else None,
            message.cel_mask if message.HasField("cel_mask") else None,
            limits,
        )
        region, size_hw = options.region, (self.header.height, self.header.width)
        if region is not None and not region.fits(size_hw):
            raise InputError(f"{region} does not lie within the frame of {size_hw[1]} x {size_hw[0]} px")
        self._options = options

    def job(self, call_id: str) -> Job:
        """Unpack. Raises InputError."""
        return Job(call_id, self.frame(call_id), self._options, self.mask())


class FrameReader:
    """The requests of one call for one frame. Subclasses know its start message and what job it makes.

    Known once `started`: call_id, and the encoding of the frame, which the answer goes back in.
    """

    call_id: str
    encoding: Encoding

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._begun: Upload | None = None

    @property
    def started(self) -> bool:
        """Whether the start message was taken."""
        return self._begun is not None

    @property
    def complete(self) -> bool:
        """Whether every announced byte is there. Read on nonetheless: a message too many is an error."""
        return self._begun is not None and self._begun.assembler.complete

    def add(self, request: pb.ReconstructRequest | pb.CutoutRequest) -> None:
        """Take the next message; only checks and copies. Raises InputError, LimitError."""
        part = request.WhichOneof("part")
        if part == "chunk":
            if self._begun is None:
                raise InputError("a chunk came before start; send start first")
            self._begun.assembler.add(request.chunk)
        elif part == "start":
            if self._begun is not None:
                raise InputError("a second start came; make a call of its own for each frame")
            self.call_id = call_id_from(request.start.call_id)
            self._begun = self.begin(request.start)
            self.encoding = self._begun.encoding
        else:
            raise InputError("a message with neither start nor chunk came; leave it out")

    def begin(self, start: Any) -> Upload:
        """Take the start message. Raises InputError, LimitError."""
        raise NotImplementedError

    def check_started(self) -> None:
        """At the end of the stream. Raises InputError where nothing came."""
        if self._begun is None:
            raise InputError("the stream ended without a start; send start, then the chunks")


class ReconstructReader(FrameReader):
    """The requests of one Reconstruct call -> job. options: known once `started`."""

    options: Options
    _upload: _Upload

    def begin(self, start: pb.ReconstructStart) -> Upload:
        """See `FrameReader`."""
        self.options = options_from(start.options)
        self._upload = _Upload(start, self.options, self.limits)
        return self._upload

    def job(self) -> Job:
        """Unpack at the end of the stream; takes milliseconds (1080p) or more. Raises InputError."""
        self.check_started()
        return self._upload.job(self.call_id)


@dataclass(frozen=True)
class SequenceFrame:
    """A frame of a sequence whose bytes are all there. encoding: the answer goes back in it."""

    number: int
    encoding: Encoding
    call_id: str
    _upload: _Upload = field(repr=False)

    def job(self) -> Job:
        """Unpack; takes milliseconds (1080p) or more. Raises InputError, which is of this frame alone."""
        return self._upload.job(f"{self.call_id}-{self.number}")


class SequenceReader:
    """The requests of one ReconstructSequence call -> frames. An error here ends the whole call: what follows
    could not be told apart any more. call_id and options are known once `started`."""

    call_id: str
    options: Options

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._last_number = -1
        self._upload: _Upload | None = None  # the frame that is being received
        self.started = False

    def add(self, request: pb.ReconstructSequenceRequest) -> SequenceFrame | None:
        """Take the next message; the frame that it completed, or None. Raises InputError, LimitError."""
        part = request.WhichOneof("part")
        if part is None:
            raise InputError("a message with neither start, frame nor chunk came; leave it out")
        if (part == "start") == self.started:
            raise InputError(
                "a second start came; make a call of its own for it"
                if self.started
                else f"a {part} came before start; send start first"
            )
        if part == "chunk":
            return self._add_chunk(request.chunk)
        if part == "frame":
            self._add_frame(request.frame)
            return None
        self.call_id = call_id_from(request.start.call_id)
        self.options = options_from(request.start.options, usual=Priority.BATCH)
        self.started = True
        return None

    def _add_frame(self, frame: pb.SequenceFrame) -> None:
        if self._upload is not None:
            self._upload.assembler.check_complete()
        if frame.number <= self._last_number:
            raise InputError(
                f"frame {frame.number} came after frame {self._last_number}; give rising numbers"
            )
        self._upload = _Upload(frame, self.options, self._limits)
        self._last_number = frame.number

    def _add_chunk(self, chunk: image_pb2.Chunk) -> SequenceFrame | None:
        upload = self._upload
        if upload is None:
            raise InputError("a chunk came that belongs to no frame; announce its frame first")
        upload.assembler.add(chunk)
        if not upload.assembler.complete:
            return None
        self._upload = None
        return SequenceFrame(self._last_number, upload.encoding, self.call_id, upload)

    def finish(self) -> None:
        """At the end of the stream. Raises InputError where a frame is incomplete or no start came."""
        if not self.started:
            raise InputError("the stream ended without a start; send start, then the frames")
        if self._upload is not None:
            self._upload.assembler.check_complete()


@dataclass(frozen=True)
class PackedAnswer:
    """An answer ready to go. planes: in the order of the contract."""

    result: pb.ReconstructResult
    planes: tuple[tuple[image_pb2.Plane, PackedPlane], ...] = field(repr=False)


def pack_answer(
    answer: Answer, palette: Palette, warnings: Sequence[str], encoding: Encoding = Encoding.ZSTD
) -> PackedAnswer:
    """Pack an answer; takes milliseconds (1080p) or more.

    palette, warnings: of the job's options and frame. encoding: the frame's, since who sent it knows it.
    """
    started_s = time.perf_counter()
    mask, classes = pack(answer.cel_mask.mask, encoding), pack(answer.classes.ids, encoding)
    seconds = {**answer.seconds, Stage.PACKING: time.perf_counter() - started_s}
    result = pb.ReconstructResult(
        cel_mask=header_message(mask.header),
        class_map=header_message(classes.header),
        palette=palette_message(palette),
        models=[pb.ModelUse(stage=use.stage, name=use.name, sha256=use.sha256) for use in answer.models],
        warnings=warnings,
        seconds=[pb.StageSeconds(stage=STAGES[stage], seconds=spent_s) for stage, spent_s in seconds.items()],
        device=answer.device,
    )
    return PackedAnswer(result, ((image_pb2.PLANE_CEL_MASK, mask), (image_pb2.PLANE_CLASS_MAP, classes)))


def responses(
    packed: PackedAnswer, max_chunk_bytes: int = DEFAULT_LIMITS.max_chunk_bytes
) -> Iterator[pb.ReconstructResponse]:
    """The result, then its chunks."""
    yield pb.ReconstructResponse(result=packed.result)
    for chunk in chunks_of(packed.planes, max_chunk_bytes):
        yield pb.ReconstructResponse(chunk=chunk)


def sequence_responses(
    number: int, packed: PackedAnswer, max_chunk_bytes: int = DEFAULT_LIMITS.max_chunk_bytes
) -> Iterator[pb.ReconstructSequenceResponse]:
    """The result of frame `number`, then its chunks."""
    yield pb.ReconstructSequenceResponse(result=pb.SequenceResult(number=number, result=packed.result))
    for chunk in chunks_of(packed.planes, max_chunk_bytes):
        yield pb.ReconstructSequenceResponse(chunk=chunk)


def sequence_error(number: int, code: int, message: str) -> pb.ReconstructSequenceResponse:
    """Why frame `number` has no result. code: of gRPC, e.g. grpc.StatusCode.INTERNAL.value[0]."""
    error = pb.FrameError(code=code, message=message)
    return pb.ReconstructSequenceResponse(result=pb.SequenceResult(number=number, error=error))


def stage_response(progress: Progress) -> pb.ReconstructResponse:
    """How far a frame is."""
    return pb.ReconstructResponse(stage=stage_event(progress))


def capabilities(
    description: Description, limits: Limits, *, version: str, calls: Sequence[str]
) -> pb.GetCapabilitiesResponse:
    """What this server can do. version: of Douga. calls: names of those that it answers."""
    presets = [DEFAULT_PALETTE, *(name for name in preset_names() if name != DEFAULT_PALETTE)]
    return pb.GetCapabilitiesResponse(
        version=version,
        calls=calls,
        models=[
            pb.Model(
                stage=model.stage,
                name=model.name,
                sha256=model.sha256,
                input_mode=model.input_mode,
                is_default=model.is_default,
            )
            for model in description.models
        ],
        devices=description.devices,
        limits=pb.ServerLimits(
            max_pixels=limits.max_pixels,
            max_side_px=limits.max_side_px,
            max_encoded_bytes=limits.max_encoded_bytes,
            max_chunk_bytes=limits.max_chunk_bytes,
            max_queued=limits.max_queued,
        ),
        palettes=[palette_message(load_palette(name)) for name in presets],
        backend=description.backend,
    )
