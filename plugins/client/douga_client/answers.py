"""Our types -> messages, and the server's messages -> our types. What makes no sense raises ClientError."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from . import contract as c
from .api import (
    Cutout,
    CutoutRequest,
    ModelInfo,
    ModelUse,
    Palette,
    PaletteClass,
    Reconstruction,
    ReconstructRequest,
    Request,
    Result,
    ServerInfo,
)
from .errors import ClientError, Kind
from .pixels import Packed, most_encoded_bytes, unpack
from .wire import WireError

_MOST_PIXELS = 1 << 28
_STAGES = {stage.value: stage.name.lower() for stage in c.Stage if stage}


# -- out -------------------------------------------------------------------------------------------------


def requests(request: Request, planes: Sequence[Packed], call_id: str, chunk_bytes: int) -> Iterator[bytes]:
    """The messages of a call, as they travel. planes: the frame, then the own mask where there is one."""
    if isinstance(request, CutoutRequest):
        cut = c.CutoutStart(call_id, planes[0].header, request.model, _deadline_class(request))
        yield c.CutoutRequest(start=cut).encoded()
    else:
        mask = planes[1].header if len(planes) > 1 else None
        start = c.ReconstructStart(call_id, planes[0].header, mask, options(request))
        yield c.ReconstructRequest(start=start).encoded()
    for plane, packed in zip((c.Plane.FRAME, c.Plane.CEL_MASK), planes, strict=False):
        for chunk in packed.chunks(plane, chunk_bytes):
            is_cut = isinstance(request, CutoutRequest)
            yield (c.CutoutRequest(chunk=chunk) if is_cut else c.ReconstructRequest(chunk=chunk)).encoded()


def options(request: ReconstructRequest) -> c.ReconstructOptions:
    """How to take a frame apart."""
    return c.ReconstructOptions(
        cel_model=request.cel_model,
        lines_model=request.lines_model,
        line_width_px=request.line_width_px,
        palette=None if request.palette is None else palette_message(request.palette),
        input_mode=request.input_mode,
        region=None if request.region is None else c.Region(*request.region),
        deadline_class=_deadline_class(request),
    )


def palette_message(palette: Palette) -> c.Palette:
    """A palette, or a preset by its name alone."""
    entries = [c.PaletteEntry(p.class_id, p.key, p.title, list(p.colors)) for p in palette.classes]
    return c.Palette(palette.name, entries)


def _deadline_class(request: Request) -> int:
    return c.DeadlineClass.BATCH if request.is_batch else c.DeadlineClass.INTERACTIVE


# -- in --------------------------------------------------------------------------------------------------


def server_info(data: bytes) -> ServerInfo:
    """The answer of GetCapabilities. Raises ClientError."""
    try:
        message = c.GetCapabilitiesResponse.decoded(data)
    except WireError as exc:
        raise ClientError(Kind.NOT_DOUGA) from exc
    limits = message.limits or c.ServerLimits()
    usual = ServerInfo("")
    return ServerInfo(
        version=message.version,
        calls=tuple(message.calls),
        models=tuple(
            ModelInfo(m.stage, m.name, m.sha256, m.input_mode, m.is_default) for m in message.models
        ),
        devices=tuple(message.devices),
        palettes=tuple(palette_from(palette) for palette in message.palettes),
        max_pixels=limits.max_pixels or usual.max_pixels,
        max_side_px=limits.max_side_px or usual.max_side_px,
        max_chunk_bytes=min(limits.max_chunk_bytes or usual.max_chunk_bytes, usual.max_chunk_bytes),
        max_queued=limits.max_queued,
        backend=message.backend,
    )


def palette_from(message: c.Palette) -> Palette:
    """A palette with its classes in the order of their ids."""
    entries = sorted(message.entries, key=lambda entry: entry.class_id)
    classes = (PaletteClass(e.class_id, e.key, e.title, tuple(e.colors)) for e in entries)
    return Palette(message.name, tuple(classes))


class AnswerReader:
    """The responses of one call -> result. stage, share, queue_position: what they said last."""

    def __init__(self, request: Request) -> None:
        self._is_cutout = isinstance(request, CutoutRequest)
        self._result: c.ReconstructResult | c.CutoutResult | None = None
        self._due: list[tuple[int, c.ImageHeader]] = []
        self._planes: list[bytearray] = []
        self.stage, self.share, self.queue_position = "", 0.0, 0

    def add(self, data: bytes) -> None:
        """Take the next message. Raises ClientError."""
        kind = c.CutoutResponse if self._is_cutout else c.ReconstructResponse
        try:
            message = kind.decoded(data)
        except WireError as exc:
            raise _strange(str(exc)) from exc
        if message.stage is not None:
            event = message.stage
            self.stage = _STAGES.get(event.stage, self.stage)  # a stage that is new to us says nothing
            self.share = min(max(event.progress, 0.0), 1.0) if event.progress == event.progress else 0.0
            self.queue_position = event.queue_position
        elif message.result is not None:
            self._begin(message.result)
        elif message.chunk is not None:
            self._add_chunk(message.chunk)

    def result(self) -> Generator[None, None, Result]:
        """Unpack, in steps. Raises ClientError where anything is missing."""
        result = self._result
        if result is None or len(self._planes) < len(self._due) or self._missing():
            raise _strange("its answer ended early")
        unpacked = []
        for (_, header), data in zip(self._due, self._planes, strict=True):
            unpacked.append((yield from unpack(header, data)))
        first, second = unpacked
        width, height = self._due[0][1].width, self._due[0][1].height
        models = tuple(ModelUse(use.stage, use.name, use.sha256) for use in result.models)
        if isinstance(result, c.CutoutResult):
            return Cutout(width, height, first, second, models, tuple(result.warnings))
        seconds = {_STAGES.get(spent.stage, "other"): spent.seconds for spent in result.seconds}
        palette = palette_from(result.palette or c.Palette())
        warnings = tuple(result.warnings)
        return Reconstruction(width, height, first, second, palette, models, warnings, seconds, result.device)

    def _begin(self, result: c.ReconstructResult | c.CutoutResult) -> None:
        if self._result is not None:
            raise _strange("two results came for one image")
        self._result = result
        if isinstance(result, c.CutoutResult):
            self._expect(c.Plane.ALPHA, result.alpha, c.PixelLayout.GRAY8)
            self._expect(c.Plane.COLORS, result.colors, c.PixelLayout.RGB8)
        else:
            self._expect(c.Plane.CEL_MASK, result.cel_mask, c.PixelLayout.GRAY8)
            self._expect(c.Plane.CLASS_MAP, result.class_map, c.PixelLayout.GRAY8)
        sizes = {(header.width, header.height) for _, header in self._due}
        if len(sizes) != 1:
            raise _strange("its planes differ in size")
        self.stage, self.share = "receiving", 0.0

    def _expect(self, plane: int, header: c.ImageHeader | None, layout: int) -> None:
        if header is None or not 0 < header.width * header.height <= _MOST_PIXELS or header.layout != layout:
            raise _strange("it announces a plane that cannot be")
        if not 0 < header.encoded_bytes <= most_encoded_bytes(header):
            raise _strange(
                f"it announces {header.encoded_bytes} bytes for {header.width} x {header.height} px"
            )
        self._due.append((plane, header))

    def _add_chunk(self, chunk: c.Chunk) -> None:
        if not self._planes or not self._missing():
            self._planes.append(bytearray())
        index = len(self._planes) - 1
        if index >= len(self._due) or chunk.plane != self._due[index][0] or len(chunk.data) > self._missing():
            raise _strange("it sends bytes that are not due")
        self._planes[index] += chunk.data
        due = sum(header.encoded_bytes for _, header in self._due)
        self.share = sum(map(len, self._planes)) / due

    def _missing(self) -> int:
        """Bytes that the plane which is being received still lacks."""
        index = len(self._planes) - 1
        return (
            self._due[index][1].encoded_bytes - len(self._planes[index]) if 0 <= index < len(self._due) else 0
        )


def _strange(said: str) -> ClientError:
    return ClientError(Kind.OTHER_VERSION, said=said)
