"""The messages, enums and calls of the contract `douga_proto.v1`.

Written by generate_contract.py from the .proto files, where each field is explained; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from .wire import Field, Message

PACKAGE = "douga_proto.v1"

METHODS = {
    "Reconstruct": "/douga_proto.v1.DougaService/Reconstruct",
    "ReconstructSequence": "/douga_proto.v1.DougaService/ReconstructSequence",
    "Cutout": "/douga_proto.v1.DougaService/Cutout",
    "RefineMask": "/douga_proto.v1.DougaService/RefineMask",
    "GetCapabilities": "/douga_proto.v1.DougaService/GetCapabilities",
}


class PixelLayout(IntEnum):
    UNSPECIFIED = 0
    GRAY8 = 1
    RGB8 = 2
    RGBA8 = 3
    BGRA8 = 4


class PixelEncoding(IntEnum):
    UNSPECIFIED = 0
    ZSTD = 1
    RAW = 2
    PNG = 3


class Plane(IntEnum):
    UNSPECIFIED = 0
    FRAME = 1
    CEL_MASK = 2
    CLASS_MAP = 3
    ALPHA = 4
    COLORS = 5


class DeadlineClass(IntEnum):
    UNSPECIFIED = 0
    INTERACTIVE = 1
    BATCH = 2


class Stage(IntEnum):
    UNSPECIFIED = 0
    QUEUED = 1
    CEL = 2
    LINES = 3
    CLEANING = 4
    PACKING = 5


@dataclass
class ImageHeader(Message):
    width: int = 0
    height: int = 0
    layout: int = 0
    encoding: int = 0
    encoded_bytes: int = 0
    FIELDS = (
        Field(1, "width", "uint32"),
        Field(2, "height", "uint32"),
        Field(3, "layout", "enum"),
        Field(4, "encoding", "enum"),
        Field(5, "encoded_bytes", "uint64"),
    )


@dataclass
class Chunk(Message):
    plane: int = 0
    data: bytes = b""
    FIELDS = (
        Field(1, "plane", "enum"),
        Field(2, "data", "bytes"),
    )


@dataclass
class Region(Message):
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0
    FIELDS = (
        Field(1, "x", "uint32"),
        Field(2, "y", "uint32"),
        Field(3, "width", "uint32"),
        Field(4, "height", "uint32"),
    )


@dataclass
class PaletteEntry(Message):
    class_id: int = 0
    key: str = ""
    title: str = ""
    colors: list[int] = field(default_factory=list)
    FIELDS = (
        Field(1, "class_id", "uint32"),
        Field(2, "key", "string"),
        Field(3, "title", "string"),
        Field(4, "colors", "uint32", repeated=True),
    )


@dataclass
class StageEvent(Message):
    stage: int = 0
    progress: float = 0.0
    queue_position: int = 0
    FIELDS = (
        Field(1, "stage", "enum"),
        Field(2, "progress", "float"),
        Field(3, "queue_position", "uint32"),
    )


@dataclass
class ModelUse(Message):
    stage: str = ""
    name: str = ""
    sha256: str = ""
    FIELDS = (
        Field(1, "stage", "string"),
        Field(2, "name", "string"),
        Field(3, "sha256", "string"),
    )


@dataclass
class StageSeconds(Message):
    stage: int = 0
    seconds: float = 0.0
    FIELDS = (
        Field(1, "stage", "enum"),
        Field(2, "seconds", "double"),
    )


@dataclass
class FrameError(Message):
    code: int = 0
    message: str = ""
    FIELDS = (
        Field(1, "code", "uint32"),
        Field(2, "message", "string"),
    )


@dataclass
class GetCapabilitiesRequest(Message):
    FIELDS = ()


@dataclass
class Model(Message):
    stage: str = ""
    name: str = ""
    sha256: str = ""
    input_mode: str = ""
    is_default: bool = False
    FIELDS = (
        Field(1, "stage", "string"),
        Field(2, "name", "string"),
        Field(3, "sha256", "string"),
        Field(4, "input_mode", "string"),
        Field(5, "is_default", "bool"),
    )


@dataclass
class ServerLimits(Message):
    max_pixels: int = 0
    max_side_px: int = 0
    max_encoded_bytes: int = 0
    max_chunk_bytes: int = 0
    max_queued: int = 0
    FIELDS = (
        Field(1, "max_pixels", "uint64"),
        Field(2, "max_side_px", "uint32"),
        Field(3, "max_encoded_bytes", "uint64"),
        Field(4, "max_chunk_bytes", "uint32"),
        Field(5, "max_queued", "uint32"),
    )


@dataclass
class Palette(Message):
    name: str = ""
    entries: list[PaletteEntry] = field(default_factory=list)
    FIELDS = (
        Field(1, "name", "string"),
        Field(2, "entries", "message", type=PaletteEntry, repeated=True),
    )


@dataclass
class SequenceFrame(Message):
    number: int = 0
    frame: ImageHeader | None = None
    cel_mask: ImageHeader | None = None
    FIELDS = (
        Field(1, "number", "uint64"),
        Field(2, "frame", "message", type=ImageHeader, has_presence=True),
        Field(3, "cel_mask", "message", type=ImageHeader, has_presence=True),
    )


@dataclass
class CutoutStart(Message):
    call_id: str = ""
    frame: ImageHeader | None = None
    model: str = ""
    deadline_class: int = 0
    FIELDS = (
        Field(1, "call_id", "string"),
        Field(2, "frame", "message", type=ImageHeader, has_presence=True),
        Field(3, "model", "string"),
        Field(4, "deadline_class", "enum"),
    )


@dataclass
class CutoutResult(Message):
    alpha: ImageHeader | None = None
    colors: ImageHeader | None = None
    models: list[ModelUse] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: list[StageSeconds] = field(default_factory=list)
    device: str = ""
    FIELDS = (
        Field(1, "alpha", "message", type=ImageHeader, has_presence=True),
        Field(2, "colors", "message", type=ImageHeader, has_presence=True),
        Field(3, "models", "message", type=ModelUse, repeated=True),
        Field(4, "warnings", "string", repeated=True),
        Field(5, "seconds", "message", type=StageSeconds, repeated=True),
        Field(6, "device", "string"),
    )


@dataclass
class RefineMaskStart(Message):
    call_id: str = ""
    frame: ImageHeader | None = None
    coarse_mask: ImageHeader | None = None
    FIELDS = (
        Field(1, "call_id", "string"),
        Field(2, "frame", "message", type=ImageHeader, has_presence=True),
        Field(3, "coarse_mask", "message", type=ImageHeader, has_presence=True),
    )


@dataclass
class RefineMaskResult(Message):
    cel_mask: ImageHeader | None = None
    FIELDS = (Field(1, "cel_mask", "message", type=ImageHeader, has_presence=True),)


@dataclass
class ReconstructOptions(Message):
    cel_model: str = ""
    lines_model: str = ""
    line_width_px: int = 0
    palette: Palette | None = None
    input_mode: str = ""
    region: Region | None = None
    deadline_class: int = 0
    FIELDS = (
        Field(1, "cel_model", "string"),
        Field(2, "lines_model", "string"),
        Field(3, "line_width_px", "uint32"),
        Field(4, "palette", "message", type=Palette, has_presence=True),
        Field(5, "input_mode", "string"),
        Field(6, "region", "message", type=Region, has_presence=True),
        Field(7, "deadline_class", "enum"),
    )


@dataclass
class ReconstructResult(Message):
    cel_mask: ImageHeader | None = None
    class_map: ImageHeader | None = None
    palette: Palette | None = None
    models: list[ModelUse] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: list[StageSeconds] = field(default_factory=list)
    device: str = ""
    FIELDS = (
        Field(1, "cel_mask", "message", type=ImageHeader, has_presence=True),
        Field(2, "class_map", "message", type=ImageHeader, has_presence=True),
        Field(3, "palette", "message", type=Palette, has_presence=True),
        Field(4, "models", "message", type=ModelUse, repeated=True),
        Field(5, "warnings", "string", repeated=True),
        Field(6, "seconds", "message", type=StageSeconds, repeated=True),
        Field(7, "device", "string"),
    )


@dataclass
class CutoutRequest(Message):
    start: CutoutStart | None = None
    chunk: Chunk | None = None
    FIELDS = (
        Field(1, "start", "message", type=CutoutStart, has_presence=True, oneof="part"),
        Field(2, "chunk", "message", type=Chunk, has_presence=True, oneof="part"),
    )


@dataclass
class CutoutResponse(Message):
    stage: StageEvent | None = None
    result: CutoutResult | None = None
    chunk: Chunk | None = None
    FIELDS = (
        Field(1, "stage", "message", type=StageEvent, has_presence=True, oneof="part"),
        Field(2, "result", "message", type=CutoutResult, has_presence=True, oneof="part"),
        Field(3, "chunk", "message", type=Chunk, has_presence=True, oneof="part"),
    )


@dataclass
class RefineMaskRequest(Message):
    start: RefineMaskStart | None = None
    chunk: Chunk | None = None
    FIELDS = (
        Field(1, "start", "message", type=RefineMaskStart, has_presence=True, oneof="part"),
        Field(2, "chunk", "message", type=Chunk, has_presence=True, oneof="part"),
    )


@dataclass
class RefineMaskResponse(Message):
    stage: StageEvent | None = None
    result: RefineMaskResult | None = None
    chunk: Chunk | None = None
    FIELDS = (
        Field(1, "stage", "message", type=StageEvent, has_presence=True, oneof="part"),
        Field(2, "result", "message", type=RefineMaskResult, has_presence=True, oneof="part"),
        Field(3, "chunk", "message", type=Chunk, has_presence=True, oneof="part"),
    )


@dataclass
class GetCapabilitiesResponse(Message):
    version: str = ""
    calls: list[str] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    limits: ServerLimits | None = None
    palettes: list[Palette] = field(default_factory=list)
    backend: str = ""
    FIELDS = (
        Field(1, "version", "string"),
        Field(2, "calls", "string", repeated=True),
        Field(3, "models", "message", type=Model, repeated=True),
        Field(4, "devices", "string", repeated=True),
        Field(5, "limits", "message", type=ServerLimits, has_presence=True),
        Field(6, "palettes", "message", type=Palette, repeated=True),
        Field(7, "backend", "string"),
    )


@dataclass
class ReconstructStart(Message):
    call_id: str = ""
    frame: ImageHeader | None = None
    cel_mask: ImageHeader | None = None
    options: ReconstructOptions | None = None
    FIELDS = (
        Field(1, "call_id", "string"),
        Field(2, "frame", "message", type=ImageHeader, has_presence=True),
        Field(3, "cel_mask", "message", type=ImageHeader, has_presence=True),
        Field(4, "options", "message", type=ReconstructOptions, has_presence=True),
    )


@dataclass
class ReconstructResponse(Message):
    stage: StageEvent | None = None
    result: ReconstructResult | None = None
    chunk: Chunk | None = None
    FIELDS = (
        Field(1, "stage", "message", type=StageEvent, has_presence=True, oneof="part"),
        Field(2, "result", "message", type=ReconstructResult, has_presence=True, oneof="part"),
        Field(3, "chunk", "message", type=Chunk, has_presence=True, oneof="part"),
    )


@dataclass
class SequenceStart(Message):
    call_id: str = ""
    options: ReconstructOptions | None = None
    FIELDS = (
        Field(1, "call_id", "string"),
        Field(2, "options", "message", type=ReconstructOptions, has_presence=True),
    )


@dataclass
class SequenceResult(Message):
    number: int = 0
    result: ReconstructResult | None = None
    error: FrameError | None = None
    FIELDS = (
        Field(1, "number", "uint64"),
        Field(2, "result", "message", type=ReconstructResult, has_presence=True, oneof="outcome"),
        Field(3, "error", "message", type=FrameError, has_presence=True, oneof="outcome"),
    )


@dataclass
class ReconstructRequest(Message):
    start: ReconstructStart | None = None
    chunk: Chunk | None = None
    FIELDS = (
        Field(1, "start", "message", type=ReconstructStart, has_presence=True, oneof="part"),
        Field(2, "chunk", "message", type=Chunk, has_presence=True, oneof="part"),
    )


@dataclass
class ReconstructSequenceRequest(Message):
    start: SequenceStart | None = None
    frame: SequenceFrame | None = None
    chunk: Chunk | None = None
    FIELDS = (
        Field(1, "start", "message", type=SequenceStart, has_presence=True, oneof="part"),
        Field(2, "frame", "message", type=SequenceFrame, has_presence=True, oneof="part"),
        Field(3, "chunk", "message", type=Chunk, has_presence=True, oneof="part"),
    )


@dataclass
class ReconstructSequenceResponse(Message):
    result: SequenceResult | None = None
    chunk: Chunk | None = None
    FIELDS = (
        Field(1, "result", "message", type=SequenceResult, has_presence=True, oneof="part"),
        Field(2, "chunk", "message", type=Chunk, has_presence=True, oneof="part"),
    )
