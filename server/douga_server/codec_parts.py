"""What both directions of the codec share: names, sizes, palettes, and planes in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2, palette_pb2

from douga.classes import NUM_CLASSES, DougaClass
from douga.errors import InputError, PaletteError
from douga.palettes import Palette, load_palette, preset_names
from douga_server.jobs import Progress, Stage
from douga_server.limits import DEFAULT_LIMITS, Limits
from douga_server.names import MAX_NAME, RULE, is_name
from douga_server.pixels import Encoding, Layout, PackedPlane, PlaneHeader

STAGES = {
    Stage.QUEUED: pb.STAGE_QUEUED,
    Stage.CEL: pb.STAGE_CEL,
    Stage.LINES: pb.STAGE_LINES,
    Stage.CLEANING: pb.STAGE_CLEANING,
    Stage.PACKING: pb.STAGE_PACKING,
}
_LAYOUTS = {
    Layout.GRAY8: image_pb2.PIXEL_LAYOUT_GRAY8,
    Layout.RGB8: image_pb2.PIXEL_LAYOUT_RGB8,
    Layout.RGBA8: image_pb2.PIXEL_LAYOUT_RGBA8,
    Layout.BGRA8: image_pb2.PIXEL_LAYOUT_BGRA8,
}
_ENCODINGS = {
    Encoding.ZSTD: image_pb2.PIXEL_ENCODING_ZSTD,
    Encoding.RAW: image_pb2.PIXEL_ENCODING_RAW,
    Encoding.PNG: image_pb2.PIXEL_ENCODING_PNG,
}
_LAYOUT_BY_NUMBER: dict[int, Layout] = {number: layout for layout, number in _LAYOUTS.items()}
_ENCODING_BY_NUMBER: dict[int, Encoding] = {number: encoding for encoding, number in _ENCODINGS.items()}
_ENCODING_BY_NUMBER[image_pb2.PIXEL_ENCODING_UNSPECIFIED] = Encoding.ZSTD
_PLANE_TITLES: dict[int, str] = {
    image_pb2.PLANE_FRAME: "the frame",
    image_pb2.PLANE_CEL_MASK: "the cel mask",
    image_pb2.PLANE_CLASS_MAP: "the class map",
    image_pb2.PLANE_ALPHA: "the alpha",
    image_pb2.PLANE_COLORS: "the colours",
}
_MAX_COLOURS = 64  # of one class


def stage_event(progress: Progress) -> pb.StageEvent:
    """How far a frame is."""
    return pb.StageEvent(
        stage=STAGES[progress.stage], progress=progress.share, queue_position=progress.queue_position
    )


def shown(text: str) -> str:
    """Somebody's text, fit for a message or a log: quoted, on one line, short."""
    return repr(text if len(text) <= MAX_NAME else text[:MAX_NAME] + "...")


def name_from(text: str, field: str) -> str:
    """A name that may stand in logs and file names. Raises InputError for any other; empty is one."""
    if text and not is_name(text):
        raise InputError(f"{field} {shown(text)}: expected {RULE}")
    return text


def header_from(message: image_pb2.ImageHeader, plane: int, limits: Limits) -> PlaneHeader:
    """A plane's announcement. plane: image_pb2.PLANE_..., for messages. Raises InputError, LimitError."""
    what = _PLANE_TITLES[plane]
    limits.check_size(message.width, message.height, what)
    layout = _LAYOUT_BY_NUMBER.get(message.layout)
    encoding = _ENCODING_BY_NUMBER.get(message.encoding)
    if layout is None:
        raise InputError(f"{what}: unknown layout {message.layout}; expected {_choices(_LAYOUT_BY_NUMBER)}")
    if encoding is None:
        raise InputError(
            f"{what}: unknown encoding {message.encoding}; expected {_choices(_ENCODING_BY_NUMBER)}"
        )
    return PlaneHeader(message.width, message.height, layout, encoding, message.encoded_bytes)


def _choices(by_number: dict[int, Layout] | dict[int, Encoding]) -> str:
    return ", ".join(f"{number} ({choice.value})" for number, choice in sorted(by_number.items()))


def header_message(header: PlaneHeader) -> image_pb2.ImageHeader:
    """The announcement of a plane."""
    return image_pb2.ImageHeader(
        width=header.width,
        height=header.height,
        layout=_LAYOUTS[header.layout],
        encoding=_ENCODINGS[header.encoding],
        encoded_bytes=header.encoded_bytes,
    )


def palette_from(message: palette_pb2.Palette) -> Palette:
    """A preset by its name alone, or a palette with all of its colours. Raises InputError."""
    name = message.name
    if not message.entries:
        if name not in preset_names():  # before load_palette, which would take it for a path
            known = ", ".join(preset_names())
            raise InputError(f"palette {shown(name)}: no such preset; send its colours, or one of {known}")
        return load_palette(name)
    if not name or len(name) > MAX_NAME or not name.isprintable() or set(name) & {"/", "\\"}:
        raise InputError(
            f"palette {shown(name)}: expected a name of at most {MAX_NAME} printable letters without slashes"
        )
    ids = [entry.class_id for entry in message.entries[: NUM_CLASSES + 1]]  # there may be a million
    if sorted(ids) != list(range(NUM_CLASSES)):
        raise InputError(
            f"palette {shown(name)}: expected one entry for each class id 0 to {NUM_CLASSES - 1}"
        )
    entries = sorted(message.entries, key=lambda entry: entry.class_id)
    try:
        return Palette(name, tuple(_colours_from(name, entry) for entry in entries))
    except PaletteError as exc:
        raise InputError(str(exc)) from exc


def _colours_from(name: str, entry: palette_pb2.PaletteEntry) -> tuple[tuple[int, int, int], ...]:
    cls = DougaClass(entry.class_id)
    if entry.key not in ("", cls.key):
        raise InputError(
            f"palette {shown(name)}: class {entry.class_id} is {cls.key}, not {shown(entry.key)}; "
            "leave the key empty or mend the id"
        )
    if not 1 <= len(entry.colors) <= _MAX_COLOURS:
        raise InputError(
            f"palette {shown(name)}: {cls.key} has {len(entry.colors)} colours; give 1 to {_MAX_COLOURS}"
        )
    if max(entry.colors) > 0xFFFFFF:
        raise InputError(
            f"palette {shown(name)}: {cls.key}: {max(entry.colors):#x} is no colour; write 0xRRGGBB"
        )
    return tuple((c >> 16, c >> 8 & 255, c & 255) for c in entry.colors)


def palette_message(palette: Palette) -> palette_pb2.Palette:
    """A palette with its names and all of its colours."""
    entries = [
        palette_pb2.PaletteEntry(
            class_id=cls, key=cls.key, title=cls.title, colors=[r << 16 | g << 8 | b for r, g, b in choices]
        )
        for cls, choices in zip(DougaClass, palette.colours, strict=True)
    ]
    return palette_pb2.Palette(name=palette.name, entries=entries)


class PlaneAssembler:
    """Puts the chunks of one frame's or answer's planes together, in the order that was announced.

    It holds what has come and no more, whatever was announced. planes: (image_pb2.PLANE_..., header).
    """

    def __init__(self, planes: Sequence[tuple[int, PlaneHeader]], limits: Limits = DEFAULT_LIMITS) -> None:
        self._planes = planes
        self._limits = limits
        self._received = [bytearray() for _ in planes]
        self._current = 0

    @property
    def complete(self) -> bool:
        """Whether every announced byte is there."""
        return self._current == len(self._planes)

    def add(self, chunk: image_pb2.Chunk) -> None:
        """Take the next chunk. Raises LimitError for a long one, InputError for any that is not due."""
        data = chunk.data
        self._limits.check_chunk(len(data))
        if self.complete:
            raise InputError(
                f"a chunk of {len(data)} bytes came after everything that was announced; leave it out"
            )
        plane, header = self._planes[self._current]
        if chunk.plane != plane:
            came = _PLANE_TITLES.get(chunk.plane, f"the unknown plane {chunk.plane}")
            raise InputError(f"a chunk of {came} came while {self._due()}; send one plane after the other")
        if not data:
            raise InputError(f"an empty chunk came while {self._due()}; leave it out")
        received = self._received[self._current]
        if len(received) + len(data) > header.encoded_bytes:
            raise InputError(
                f"a chunk of {len(data)} bytes came while {self._due()}; announce them all or send fewer"
            )
        received += data
        self._current += len(received) == header.encoded_bytes

    def check_complete(self) -> None:
        """Raises InputError where bytes are missing."""
        if not self.complete:
            raise InputError(f"the stream ended while {self._due()}; send all of it")

    def plane(self, plane: int) -> PackedPlane | None:
        """One plane after the end, None where it was not announced."""
        for (name, header), data in zip(self._planes, self._received, strict=True):
            if name == plane:
                return PackedPlane(header, data)
        return None

    def _due(self) -> str:
        plane, header = self._planes[self._current]
        received = len(self._received[self._current])
        return f"{_PLANE_TITLES[plane]} had {received} of its {header.encoded_bytes} bytes"


def chunks_of(
    planes: Sequence[tuple[image_pb2.Plane, PackedPlane]], max_chunk_bytes: int
) -> Iterator[image_pb2.Chunk]:
    """Planes cut into chunks, one after the other."""
    for plane, packed in planes:
        data = memoryview(packed.data)
        for start in range(0, len(data), max_chunk_bytes):
            yield image_pb2.Chunk(plane=plane, data=bytes(data[start : start + max_chunk_bytes]))
