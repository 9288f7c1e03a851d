"""A client without a server, for the tests of plugins: it answers when told to, or by itself."""

from __future__ import annotations

import itertools

from .api import (
    Client,
    Cutout,
    CutoutRequest,
    Event,
    Failed,
    Finished,
    InfoChanged,
    Job,
    ModelInfo,
    Palette,
    PaletteClass,
    Progress,
    Reconstruction,
    Request,
    Result,
    ServerInfo,
)
from .choice import CLASS_KEYS
from .errors import ClientError, Kind

_COLOURS = (
    *(0xFFFFFF, 0x000000, 0x0000FF, 0x00FF00, 0xFF0000),
    *(0xFF00FF, 0x80C0FF, 0x80FF80, 0xFFFF80, 0xFF80FF),
)
FAKE_PALETTE = Palette(
    "fake",
    tuple(
        PaletteClass(number, key, key.replace("_", " "), (rgb,))
        for number, (key, rgb) in enumerate(zip(CLASS_KEYS, _COLOURS, strict=True))
    ),
)
FAKE_INFO = ServerInfo(
    version="0.1.0",
    calls=("Reconstruct", "ReconstructSequence", "GetCapabilities"),
    models=(
        ModelInfo("cel", "fake-cel", "c" * 64, "color", True),
        ModelInfo("lines", "fake-lines", "1" * 64, "synthetic_cel", True),
    ),
    devices=("cpu",),
    palettes=(FAKE_PALETTE,),
    backend="fake",
)


class FakeClient(Client):
    """Answers one job a pump: white is background, black is ink, the rest flat. steps: its progress events.

    is_held: nothing moves until it is False. trouble: every job ends with this error.
    """

    def __init__(
        self, info: ServerInfo | None = FAKE_INFO, steps: tuple[str, ...] = ("cel", "lines")
    ) -> None:
        self._info, self._steps = info, steps
        self._numbers = itertools.count(1)
        self._events: list[Event] = []
        self.waiting: list[Job] = []
        self.requests: list[Request] = []
        self.trouble: ClientError | None = None
        self.is_held = self.is_closed = False

    @property
    def info(self) -> ServerInfo | None:
        """See `Client`."""
        return self._info

    @property
    def pause_s(self) -> float:
        """See `Client`."""
        return 0.0 if self.waiting or self._events else 1.0

    def submit(self, request: Request) -> Job:
        """See `Client`."""
        job = Job(next(self._numbers), request)
        self.waiting.append(job)
        self.requests.append(request)
        return job

    def cancel(self, job: Job) -> None:
        """See `Client`."""
        if job in self.waiting:
            self.waiting.remove(job)
            job.error = ClientError(Kind.CANCELLED)
            self._events.append(Failed(job, job.error))

    def ask(self, *, may_start: bool = False) -> None:
        """See `Client`."""
        self._events.append(InfoChanged(self._info, self.trouble))

    def pump(self, budget_s: float = 0.01) -> list[Event]:
        """See `Client`."""
        events, self._events = self._events, []
        if self.waiting and not self.is_held:
            events += self._answer(self.waiting.pop(0))
        return events

    def close(self) -> None:
        """See `Client`."""
        self.waiting.clear()
        self.is_closed = True

    def _answer(self, job: Job) -> list[Event]:
        if self.trouble is not None:
            job.error = self.trouble
            return [Failed(job, self.trouble)]
        events: list[Event] = []
        for stage in self._steps:
            job.stage = stage
            events.append(Progress(job, stage))
        job.result = fake_result(job.request)
        return [*events, Finished(job, job.result)]


def fake_result(request: Request) -> Result:
    """What the fake finds in a frame, the same each time."""
    frame = request.frame
    data, step = bytes(frame.data), frame.channels
    planes = [data[channel::step] for channel in range(min(3, step))]
    paper = bytes(255 * (value == 255) for value in range(256))
    ink = bytes(1 * (value < 64) for value in range(256))
    cel = _every([plane.translate(paper) for plane in planes]).translate(bytes(255 - v for v in range(256)))
    lines = _every([plane.translate(ink) for plane in planes])
    if isinstance(request, CutoutRequest):
        return Cutout(frame.width, frame.height, cel, bytes(3 * frame.width * frame.height))
    return Reconstruction(frame.width, frame.height, cel, lines, request.palette or FAKE_PALETTE)


def _every(planes: list[bytes]) -> bytes:
    """Bitwise and of planes of one length."""
    size, number = len(planes[0]), -1
    for plane in planes:
        number &= int.from_bytes(plane, "little")
    return number.to_bytes(size, "little")
