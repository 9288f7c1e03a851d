"""What a plugin works with: requests in, events out, and a client in between that never waits.

client = ...                                  # `open_client`, or `FakeClient` in a test
job = client.submit(ReconstructRequest(Pixels(1920, 1080, "BGRA8", data)))
for event in client.pump():                   # by the host's timer, every `client.pause_s` seconds
    ...                                       # Progress, then one Finished or Failed for each job
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .errors import ClientError
from .image import Pixels

STAGES = (
    *("waiting", "finding", "starting", "connecting", "sending"),
    *("queued", "cel", "lines", "cleaning", "packing", "receiving"),
)
# Where each stage begins on one bar from 0 to 1; stages one and two are most of the work.
_BEGINS = dict(zip(STAGES, (0, 0, 0, 0.01, 0.01, 0.06, 0.06, 0.4, 0.8, 0.93, 0.95), strict=True))


@dataclass(frozen=True)
class PaletteClass:
    """One class. key: "visible_line". title: "visible line". colors: 0xRRGGBB, the first is painted."""

    class_id: int
    key: str
    title: str
    colors: tuple[int, ...]


@dataclass(frozen=True)
class Palette:
    """Colours of the classes. classes: empty in a request for the preset of that name."""

    name: str
    classes: tuple[PaletteClass, ...] = ()


@dataclass(frozen=True)
class ReconstructRequest:
    """One frame to take apart. Everything that is empty or 0 has the server's default.

    own_mask: GRAY8 of the frame's size, 0 or 255, instead of stage one. line_width_px: 1 to 15. region: x, y,
    width, height of the part that is answered. is_batch: nobody waits at the screen. timeout_s: for one try.
    """

    frame: Pixels
    own_mask: Pixels | None = None
    cel_model: str = ""
    lines_model: str = ""
    line_width_px: int = 0
    palette: Palette | None = None
    input_mode: str = ""
    region: tuple[int, int, int, int] | None = None
    is_batch: bool = False
    timeout_s: float = 600.0


@dataclass(frozen=True)
class CutoutRequest:
    """A character to cut out. model: empty for the server's default."""

    frame: Pixels
    model: str = ""
    is_batch: bool = False
    timeout_s: float = 600.0


@dataclass(frozen=True)
class ModelUse:
    """Weights that had a part in a result. stage: "cel" or "lines". sha256: of their file."""

    stage: str
    name: str
    sha256: str


@dataclass(frozen=True)
class Reconstruction:
    """A frame taken apart. cel_mask: width * height bytes, 0 or 255. class_map: width * height class ids.

    palette: what the ids mean and look like. warnings: what was done to the frame on the way in. seconds: by
    stage, of the server.
    """

    width: int
    height: int
    cel_mask: bytes | bytearray = field(repr=False)
    class_map: bytes | bytearray = field(repr=False)
    palette: Palette
    models: tuple[ModelUse, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = ""


@dataclass(frozen=True)
class Cutout:
    """A character cut out. alpha: width * height bytes. colors: width * height * 3 bytes, RGB, straight."""

    width: int
    height: int
    alpha: bytes | bytearray = field(repr=False)
    colors: bytes | bytearray = field(repr=False)
    models: tuple[ModelUse, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelInfo:
    """Weights that the server has loaded. stage: "cel", "lines" or "cutout"."""

    stage: str
    name: str
    sha256: str
    input_mode: str = ""
    is_default: bool = False


@dataclass(frozen=True)
class ServerInfo:
    """What the server can do. calls: names of those that it answers. palettes: presets, the default first."""

    version: str
    calls: tuple[str, ...] = ()
    models: tuple[ModelInfo, ...] = ()
    devices: tuple[str, ...] = ()
    palettes: tuple[Palette, ...] = ()
    max_pixels: int = 1 << 26
    max_side_px: int = 16384
    max_chunk_bytes: int = 1 << 20
    max_queued: int = 64
    backend: str = ""

    def answers(self, call: str) -> bool:
        """Whether a call ("Reconstruct", "Cutout") can be made; for buttons that would be of no use."""
        return call in self.calls


Request = ReconstructRequest | CutoutRequest
Result = Reconstruction | Cutout


@dataclass(eq=False)
class Job:
    """One request on its way. Written by its client alone."""

    number: int
    request: Request
    stage: str = "waiting"
    share: float = 0.0
    queue_position: int = 0
    result: Result | None = None
    error: ClientError | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has a result or an error; a cancelled one has an error of that kind."""
        return self.result is not None or self.error is not None

    @property
    def overall_share(self) -> float:
        """How far it is altogether, 0 to 1, for one bar."""
        if self.result is not None:
            return 1.0
        begins = [*_BEGINS.values(), 1.0]
        index = STAGES.index(self.stage)
        return begins[index] + (begins[index + 1] - begins[index]) * self.share


@dataclass(frozen=True)
class Progress:
    """How far a job is. stage: one of STAGES. share: of it, 0 to 1. queue_position: frames before it."""

    job: Job
    stage: str
    share: float = 0.0
    queue_position: int = 0


@dataclass(frozen=True)
class Finished:
    """A job has its result."""

    job: Job
    result: Result


@dataclass(frozen=True)
class Failed:
    """A job has ended without a result. error.kind is Kind.CANCELLED where the user wanted it so."""

    job: Job
    error: ClientError


@dataclass(frozen=True)
class InfoChanged:
    """The server has told what it can do (`Client.info`), or why it does not (`error`)."""

    info: ServerInfo | None
    error: ClientError | None = None


Event = Progress | Finished | Failed | InfoChanged


class Client(ABC):
    """A queue of jobs and a way to a server. No method waits, and none raises for the server's sake."""

    @property
    @abstractmethod
    def info(self) -> ServerInfo | None:
        """What the server can do; None until it has told."""

    @property
    @abstractmethod
    def pause_s(self) -> float:
        """When to pump again."""

    @abstractmethod
    def submit(self, request: Request) -> Job:
        """Put a request into the queue."""

    @abstractmethod
    def cancel(self, job: Job) -> None:
        """Give a job up: the next pump has its Failed event, and the server stops working on it."""

    @abstractmethod
    def ask(self, *, may_start: bool = False) -> None:
        """Ask what the server can do; the answer is an InfoChanged. may_start: start one if none runs."""

    @abstractmethod
    def pump(self, budget_s: float = 0.01) -> list[Event]:
        """Do what can be done now, in about budget_s, and tell what has happened."""

    @abstractmethod
    def close(self) -> None:
        """Give everything up. Jobs that were under way get no event."""

    def wait(
        self, job: Job, timeout_s: float = 1200.0, told: Callable[[Progress], None] = lambda progress: None
    ) -> Result:
        """For hosts whose screen waits (`blender -b`, GIMP): pump until a job is done. told: hears how far.

        timeout_s: longer than a call may take, which ends by itself. Raises the job's ClientError.
        """
        until_s = time.monotonic() + timeout_s
        while not job.is_done:
            if time.monotonic() > until_s:
                self.cancel(job)
            for event in self.pump(0.05):
                if isinstance(event, Progress) and event.job is job:
                    told(event)
            if not job.is_done:
                time.sleep(min(self.pause_s, 0.01))
        if job.result is None:
            raise job.error or RuntimeError("a job that is done without an end")
        return job.result
