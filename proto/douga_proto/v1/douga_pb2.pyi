from douga_proto.v1 import image_pb2 as _image_pb2
from douga_proto.v1 import palette_pb2 as _palette_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeadlineClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEADLINE_CLASS_UNSPECIFIED: _ClassVar[DeadlineClass]
    DEADLINE_CLASS_INTERACTIVE: _ClassVar[DeadlineClass]
    DEADLINE_CLASS_BATCH: _ClassVar[DeadlineClass]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_QUEUED: _ClassVar[Stage]
    STAGE_CEL: _ClassVar[Stage]
    STAGE_LINES: _ClassVar[Stage]
    STAGE_CLEANING: _ClassVar[Stage]
    STAGE_PACKING: _ClassVar[Stage]
DEADLINE_CLASS_UNSPECIFIED: DeadlineClass
DEADLINE_CLASS_INTERACTIVE: DeadlineClass
DEADLINE_CLASS_BATCH: DeadlineClass
STAGE_UNSPECIFIED: Stage
STAGE_QUEUED: Stage
STAGE_CEL: Stage
STAGE_LINES: Stage
STAGE_CLEANING: Stage
STAGE_PACKING: Stage

class ReconstructOptions(_message.Message):
    __slots__ = ("cel_model", "lines_model", "line_width_px", "palette", "input_mode", "region", "deadline_class")
    CEL_MODEL_FIELD_NUMBER: _ClassVar[int]
    LINES_MODEL_FIELD_NUMBER: _ClassVar[int]
    LINE_WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    PALETTE_FIELD_NUMBER: _ClassVar[int]
    INPUT_MODE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_CLASS_FIELD_NUMBER: _ClassVar[int]
    cel_model: str
    lines_model: str
    line_width_px: int
    palette: _palette_pb2.Palette
    input_mode: str
    region: _image_pb2.Region
    deadline_class: DeadlineClass
    def __init__(self, cel_model: _Optional[str] = ..., lines_model: _Optional[str] = ..., line_width_px: _Optional[int] = ..., palette: _Optional[_Union[_palette_pb2.Palette, _Mapping]] = ..., input_mode: _Optional[str] = ..., region: _Optional[_Union[_image_pb2.Region, _Mapping]] = ..., deadline_class: _Optional[_Union[DeadlineClass, str]] = ...) -> None: ...

class StageEvent(_message.Message):
    __slots__ = ("stage", "progress", "queue_position")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    progress: float
    queue_position: int
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., progress: _Optional[float] = ..., queue_position: _Optional[int] = ...) -> None: ...

class ReconstructStart(_message.Message):
    __slots__ = ("call_id", "frame", "cel_mask", "options")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CEL_MASK_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    frame: _image_pb2.ImageHeader
    cel_mask: _image_pb2.ImageHeader
    options: ReconstructOptions
    def __init__(self, call_id: _Optional[str] = ..., frame: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., cel_mask: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., options: _Optional[_Union[ReconstructOptions, _Mapping]] = ...) -> None: ...

class ReconstructRequest(_message.Message):
    __slots__ = ("start", "chunk")
    START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    start: ReconstructStart
    chunk: _image_pb2.Chunk
    def __init__(self, start: _Optional[_Union[ReconstructStart, _Mapping]] = ..., chunk: _Optional[_Union[_image_pb2.Chunk, _Mapping]] = ...) -> None: ...

class ModelUse(_message.Message):
    __slots__ = ("stage", "name", "sha256")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    stage: str
    name: str
    sha256: str
    def __init__(self, stage: _Optional[str] = ..., name: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...

class StageSeconds(_message.Message):
    __slots__ = ("stage", "seconds")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    seconds: float
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., seconds: _Optional[float] = ...) -> None: ...

class ReconstructResult(_message.Message):
    __slots__ = ("cel_mask", "class_map", "palette", "models", "warnings", "seconds", "device")
    CEL_MASK_FIELD_NUMBER: _ClassVar[int]
    CLASS_MAP_FIELD_NUMBER: _ClassVar[int]
    PALETTE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    cel_mask: _image_pb2.ImageHeader
    class_map: _image_pb2.ImageHeader
    palette: _palette_pb2.Palette
    models: _containers.RepeatedCompositeFieldContainer[ModelUse]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    seconds: _containers.RepeatedCompositeFieldContainer[StageSeconds]
    device: str
    def __init__(self, cel_mask: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., class_map: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., palette: _Optional[_Union[_palette_pb2.Palette, _Mapping]] = ..., models: _Optional[_Iterable[_Union[ModelUse, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., seconds: _Optional[_Iterable[_Union[StageSeconds, _Mapping]]] = ..., device: _Optional[str] = ...) -> None: ...

class ReconstructResponse(_message.Message):
    __slots__ = ("stage", "result", "chunk")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    stage: StageEvent
    result: ReconstructResult
    chunk: _image_pb2.Chunk
    def __init__(self, stage: _Optional[_Union[StageEvent, _Mapping]] = ..., result: _Optional[_Union[ReconstructResult, _Mapping]] = ..., chunk: _Optional[_Union[_image_pb2.Chunk, _Mapping]] = ...) -> None: ...

class SequenceStart(_message.Message):
    __slots__ = ("call_id", "options")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    options: ReconstructOptions
    def __init__(self, call_id: _Optional[str] = ..., options: _Optional[_Union[ReconstructOptions, _Mapping]] = ...) -> None: ...

class SequenceFrame(_message.Message):
    __slots__ = ("number", "frame", "cel_mask")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CEL_MASK_FIELD_NUMBER: _ClassVar[int]
    number: int
    frame: _image_pb2.ImageHeader
    cel_mask: _image_pb2.ImageHeader
    def __init__(self, number: _Optional[int] = ..., frame: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., cel_mask: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ...) -> None: ...

class ReconstructSequenceRequest(_message.Message):
    __slots__ = ("start", "frame", "chunk")
    START_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    start: SequenceStart
    frame: SequenceFrame
    chunk: _image_pb2.Chunk
    def __init__(self, start: _Optional[_Union[SequenceStart, _Mapping]] = ..., frame: _Optional[_Union[SequenceFrame, _Mapping]] = ..., chunk: _Optional[_Union[_image_pb2.Chunk, _Mapping]] = ...) -> None: ...

class FrameError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class SequenceResult(_message.Message):
    __slots__ = ("number", "result", "error")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    number: int
    result: ReconstructResult
    error: FrameError
    def __init__(self, number: _Optional[int] = ..., result: _Optional[_Union[ReconstructResult, _Mapping]] = ..., error: _Optional[_Union[FrameError, _Mapping]] = ...) -> None: ...

class ReconstructSequenceResponse(_message.Message):
    __slots__ = ("result", "chunk")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    result: SequenceResult
    chunk: _image_pb2.Chunk
    def __init__(self, result: _Optional[_Union[SequenceResult, _Mapping]] = ..., chunk: _Optional[_Union[_image_pb2.Chunk, _Mapping]] = ...) -> None: ...

class CutoutStart(_message.Message):
    __slots__ = ("call_id", "frame", "model", "deadline_class")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_CLASS_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    frame: _image_pb2.ImageHeader
    model: str
    deadline_class: DeadlineClass
    def __init__(self, call_id: _Optional[str] = ..., frame: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., model: _Optional[str] = ..., deadline_class: _Optional[_Union[DeadlineClass, str]] = ...) -> None: ...

class CutoutRequest(_message.Message):
    __slots__ = ("start", "chunk")
    START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    start: CutoutStart
    chunk: _image_pb2.Chunk
    def __init__(self, start: _Optional[_Union[CutoutStart, _Mapping]] = ..., chunk: _Optional[_Union[_image_pb2.Chunk, _Mapping]] = ...) -> None: ...

class CutoutResult(_message.Message):
    __slots__ = ("alpha", "colors", "models", "warnings", "seconds", "device")
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    COLORS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    alpha: _image_pb2.ImageHeader
    colors: _image_pb2.ImageHeader
    models: _containers.RepeatedCompositeFieldContainer[ModelUse]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    seconds: _containers.RepeatedCompositeFieldContainer[StageSeconds]
    device: str
    def __init__(self, alpha: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., colors: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., models: _Optional[_Iterable[_Union[ModelUse, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., seconds: _Optional[_Iterable[_Union[StageSeconds, _Mapping]]] = ..., device: _Optional[str] = ...) -> None: ...

class CutoutResponse(_message.Message):
    __slots__ = ("stage", "result", "chunk")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    stage: StageEvent
    result: CutoutResult
    chunk: _image_pb2.Chunk
    def __init__(self, stage: _Optional[_Union[StageEvent, _Mapping]] = ..., result: _Optional[_Union[CutoutResult, _Mapping]] = ..., chunk: _Optional[_Union[_image_pb2.Chunk, _Mapping]] = ...) -> None: ...

class RefineMaskStart(_message.Message):
    __slots__ = ("call_id", "frame", "coarse_mask")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    COARSE_MASK_FIELD_NUMBER: _ClassVar[int]
    call_id: str
    frame: _image_pb2.ImageHeader
    coarse_mask: _image_pb2.ImageHeader
    def __init__(self, call_id: _Optional[str] = ..., frame: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ..., coarse_mask: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ...) -> None: ...

class RefineMaskRequest(_message.Message):
    __slots__ = ("start", "chunk")
    START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    start: RefineMaskStart
    chunk: _image_pb2.Chunk
    def __init__(self, start: _Optional[_Union[RefineMaskStart, _Mapping]] = ..., chunk: _Optional[_Union[_image_pb2.Chunk, _Mapping]] = ...) -> None: ...

class RefineMaskResult(_message.Message):
    __slots__ = ("cel_mask",)
    CEL_MASK_FIELD_NUMBER: _ClassVar[int]
    cel_mask: _image_pb2.ImageHeader
    def __init__(self, cel_mask: _Optional[_Union[_image_pb2.ImageHeader, _Mapping]] = ...) -> None: ...

class RefineMaskResponse(_message.Message):
    __slots__ = ("stage", "result", "chunk")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    stage: StageEvent
    result: RefineMaskResult
    chunk: _image_pb2.Chunk
    def __init__(self, stage: _Optional[_Union[StageEvent, _Mapping]] = ..., result: _Optional[_Union[RefineMaskResult, _Mapping]] = ..., chunk: _Optional[_Union[_image_pb2.Chunk, _Mapping]] = ...) -> None: ...

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Model(_message.Message):
    __slots__ = ("stage", "name", "sha256", "input_mode", "is_default")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    INPUT_MODE_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    name: str
    sha256: str
    input_mode: str
    is_default: bool
    def __init__(self, stage: _Optional[str] = ..., name: _Optional[str] = ..., sha256: _Optional[str] = ..., input_mode: _Optional[str] = ..., is_default: bool = ...) -> None: ...

class ServerLimits(_message.Message):
    __slots__ = ("max_pixels", "max_side_px", "max_encoded_bytes", "max_chunk_bytes", "max_queued")
    MAX_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MAX_SIDE_PX_FIELD_NUMBER: _ClassVar[int]
    MAX_ENCODED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_FIELD_NUMBER: _ClassVar[int]
    max_pixels: int
    max_side_px: int
    max_encoded_bytes: int
    max_chunk_bytes: int
    max_queued: int
    def __init__(self, max_pixels: _Optional[int] = ..., max_side_px: _Optional[int] = ..., max_encoded_bytes: _Optional[int] = ..., max_chunk_bytes: _Optional[int] = ..., max_queued: _Optional[int] = ...) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("version", "calls", "models", "devices", "limits", "palettes", "backend")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PALETTES_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    version: str
    calls: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    devices: _containers.RepeatedScalarFieldContainer[str]
    limits: ServerLimits
    palettes: _containers.RepeatedCompositeFieldContainer[_palette_pb2.Palette]
    backend: str
    def __init__(self, version: _Optional[str] = ..., calls: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., devices: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[ServerLimits, _Mapping]] = ..., palettes: _Optional[_Iterable[_Union[_palette_pb2.Palette, _Mapping]]] = ..., backend: _Optional[str] = ...) -> None: ...
