"""What passes between front, queue and backends: plain, checked, picklable; no protobuf, no torch.

wire -> codec -> Job -> batcher -> backend -> engine -> Answer -> codec -> wire; a CutoutJob likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from douga.errors import DougaError, InputError
from douga.palettes import Palette, load_palette
from douga.types import U8, CelMask, ClassMap, Frame

DEFAULT_LINE_WIDTH_PX = 3
MAX_LINE_WIDTH_PX = 15


class Priority(IntEnum):
    """Who is served first: the smaller number."""

    INTERACTIVE = 0
    BATCH = 1


class Stage(Enum):
    """What is being done with a frame, in this order. A cutout's: CEL its alpha, CLEANING its colours."""

    QUEUED = "queued"
    CEL = "cel"
    LINES = "lines"
    CLEANING = "cleaning"
    PACKING = "packing"


@dataclass(frozen=True)
class Region:
    """A rectangle of a frame in pixels. x, y: its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def fits(self, size_hw: tuple[int, int]) -> bool:
        """Whether it lies within a frame of this height and width and has at least one pixel."""
        inside = self.x + self.width <= size_hw[1] and self.y + self.height <= size_hw[0]
        return min(self.x, self.y) >= 0 and min(self.width, self.height) >= 1 and inside


@dataclass(frozen=True)
class Options:
    """How a frame is taken apart. cel_model, lines_model: names of weights, empty for the default.

    line_width_px: of every line after cleaning. palette: comes back with the answer. input_mode: must be that
    of the weights, empty for theirs. region: answer only this part of the frame.
    """

    cel_model: str = ""
    lines_model: str = ""
    line_width_px: int = DEFAULT_LINE_WIDTH_PX
    palette: Palette = field(default_factory=lambda: load_palette("kugler"))
    input_mode: str = ""
    region: Region | None = None
    priority: Priority = Priority.INTERACTIVE

    def __post_init__(self) -> None:
        if not 1 <= self.line_width_px <= MAX_LINE_WIDTH_PX:
            raise InputError(
                f"line_width_px {self.line_width_px}: expected a width from 1 to {MAX_LINE_WIDTH_PX} px"
            )


@dataclass(frozen=True)
class Job:
    """One frame to take apart. own_mask: the user's cel mask, which replaces stage one."""

    call_id: str
    frame: Frame
    options: Options
    own_mask: CelMask | None = None

    def __post_init__(self) -> None:
        h, w = self.frame.size_hw
        if self.own_mask is not None and self.own_mask.mask.shape != (h, w):
            height, width = self.own_mask.mask.shape
            raise InputError(
                f"the cel mask is {width} x {height} px, the frame {w} x {h}; send it in that size"
            )
        if self.options.region is not None and not self.options.region.fits((h, w)):
            raise InputError(f"{self.options.region} does not lie within the frame of {w} x {h} px")

    @property
    def priority(self) -> Priority:
        """Who is served first."""
        return self.options.priority

    @property
    def kind(self) -> tuple[object, ...]:
        """Jobs of one kind take the same weights and the same way, and can go together."""
        options, has_mask = self.options, self.own_mask is not None
        return ("reconstruct", options.cel_model, options.lines_model, options.input_mode, has_mask)


@dataclass(frozen=True)
class CutoutJob:
    """One frame to cut out. model: name of weights, empty for the default."""

    call_id: str
    frame: Frame
    model: str = ""
    priority: Priority = Priority.INTERACTIVE

    @property
    def kind(self) -> tuple[object, ...]:
        """See `Job`."""
        return ("cutout", self.model)


AnyJob = Job | CutoutJob


@dataclass(frozen=True)
class ModelUse:
    """Weights that had a part in an answer. sha256: of their file, in hexadecimal."""

    stage: str
    name: str
    sha256: str


@dataclass(frozen=True)
class Answer:
    """A frame taken apart, of the region's size where one was asked for. seconds: by stage."""

    cel_mask: CelMask
    classes: ClassMap
    models: tuple[ModelUse, ...]
    device: str
    seconds: dict[Stage, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CutoutAnswer:
    """A frame cut out. alpha: (H, W) uint8. colours: (H, W, 3) uint8 sRGB, straight, see `douga.foreground`.

    warnings: what was done to the frame, on the way in and for the network. seconds: by stage.
    """

    alpha: U8
    colours: U8
    models: tuple[ModelUse, ...]
    device: str
    warnings: tuple[str, ...] = ()
    seconds: dict[Stage, float] = field(default_factory=dict)


AnyAnswer = Answer | CutoutAnswer


@dataclass(frozen=True)
class Progress:
    """How far a job is. share: of this stage, 0 to 1. queue_position: jobs before it, while queued."""

    stage: Stage
    share: float = 0.0
    queue_position: int = 0


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Model:
    """Weights that a backend has loaded."""

    stage: str
    name: str
    sha256: str
    input_mode: str
    is_default: bool


@dataclass(frozen=True)
class Description:
    """What a backend has: "local" or "ray", its weights and devices."""

    backend: str
    models: tuple[Model, ...]
    devices: tuple[str, ...]


class Stopped(Exception):
    """The work on a batch was given up because nobody waits for it any more. Never leaves the server."""


class QueueFullError(DougaError):
    """There is more work waiting than the server takes. retry_after_ms: when to ask again."""

    def __init__(self, queued: int, retry_after_ms: int) -> None:
        super().__init__(
            f"the queue is full ({queued} frames wait); try again in {retry_after_ms / 1000:.1f} s"
        )
        self.retry_after_ms = retry_after_ms


class DrainingError(DougaError):
    """The server is going down and takes nothing new."""


class BackendError(DougaError):
    """The backend lost a batch for good: every replica that tried it died."""
