"""The panel's state: what is wanted, which jobs are under way, what came of them. No widgets, no Krita.

A host's timer calls `Model.tick`; everything else that happens, happens in it. Reading an image and making
layers are generators of the document, of which each `tick` does as much as fits into its time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol, TypeVar

from douga_client.api import (
    Client,
    Cutout,
    CutoutRequest,
    Failed,
    Finished,
    InfoChanged,
    Job,
    Palette,
    Reconstruction,
    ReconstructRequest,
    ServerInfo,
)
from douga_client.errors import ClientError, Kind
from douga_client.image import Pixels
from douga_client.texts import stage_title

from .texts import text

SLICE_S = 0.02  # of the host's time in one tick
CEL, CEL_MASK = "cel", "cel_mask"
ALL_LAYERS = (
    *("visible_line", "shading_line", "color_edge", "highlight_line", "book_line"),
    *("shading_fill", "color_fill", "highlight_fill", "book_fill", CEL, CEL_MASK),
)


Out = TypeVar("Out")
Steps = Generator[bool, None, Out]  # yields whether the host has to work before there is more to do


class DocumentError(Exception):
    """The host's document cannot do what is wanted. key: of `texts`; closed ones have no mend."""

    def __init__(self, key: str, **details: object) -> None:
        super().__init__(key)
        self.key, self.details = key, details


@dataclass(frozen=True)
class Options:
    """What the panel asks for. source: "image", "layer" or "selection". frames: first and last, or None.

    lines_model: "" for the server's default. line_width_px: 0 for it too. layers: of ALL_LAYERS.
    """

    source: str = "image"
    frames: tuple[int, int] | None = None
    lines_model: str = ""
    line_width_px: int = 0
    palette: Palette | None = None
    layers: frozenset[str] = frozenset(ALL_LAYERS)


@dataclass(frozen=True)
class Frame:
    """A frame as the server takes it. region: x, y, width, height that is answered; inside: 255 where it
    is wanted, 0 elsewhere, for a selection that is no rectangle. note: key of a text.
    """

    pixels: Pixels
    region: tuple[int, int, int, int] | None = None
    inside: bytes | None = None
    note: str = ""


class Document(Protocol):
    """The host's document, see `document.KritaDocument`; the generators raise DocumentError."""

    @property
    def name(self) -> str:
        """For people."""

    def read(self, source: str, time: int | None) -> Steps[Frame]:
        """The pixels, a slice a step. time: number of an animation's frame, or None for the current."""

    def place(
        self, result: Reconstruction | Cutout, frame: Frame, layers: frozenset[str], language: str
    ) -> Steps[None]:
        """Make the layers, a slice a step, all of it one step to undo."""

    def place_frame(
        self, result: Reconstruction | Cutout, frame: Frame, layers: frozenset[str], language: str, time: int
    ) -> Steps[None]:
        """The same into frames of animated layers."""


@dataclass(eq=False)
class Task:
    """One frame from the click to its layers. state: "reading", "working", "placing", "done" or "failed"."""

    kind: str
    document: Document
    options: Options
    time: int | None = None
    state: str = "reading"
    frame: Frame | None = None
    job: Job | None = None
    result: Reconstruction | Cutout | None = None
    error: Exception | None = None
    note: str = ""
    seconds: float = 0.0
    begun_s: float = field(default_factory=monotonic)
    steps: Steps[Any] | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.document.name if self.time is None else f"{self.document.name} {self.time}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("done", "failed")


class Model:
    """Everything that the panel shows and does.

    open_client: by the settings as they are then. warm_up: loads the client a piece a step, before the first
    need. changed: is called when something is new.
    """

    def __init__(
        self,
        open_client: Callable[[], Client],
        language: str = "en",
        warm_up: Callable[[], Iterator[None]] = lambda: iter(()),
    ) -> None:
        self._open, self._warm_up = open_client, warm_up
        self._client: Client | None = None
        self._warming: Iterator[None] | None = None
        self._is_warm, self._asking = False, ""
        self.language = language
        self.info: ServerInfo | None = None
        self.tasks: list[Task] = []
        self.message = ""
        self.error: ClientError | None = None
        self.changed: Callable[[], None] = lambda: None
        self.longest_slice_s = 0.0

    # -- what the panel does ---------------------------------------------------------------------------------

    def start(self, kind: str, document: Document | None, options: Options) -> list[Task]:
        """Begin: one task, or one for each frame. kind: "reconstruct" or "cutout"."""
        self.message, self.error = "", None
        if document is None:
            self._say(text("no_document", self.language))
            return []
        first, last = options.frames or (0, 0)
        times = list(range(first, last + 1)) if options.frames else [None]
        tasks = [Task(kind, document, options, time) for time in times]
        self.tasks = [task for task in self.tasks if not task.is_over] + tasks
        self.changed()
        return tasks

    def cancel(self) -> None:
        """Give up everything that is not done."""
        for task in self.tasks:
            if not task.is_over:
                self._end(task, ClientError(Kind.CANCELLED))

    def ask(self, *, may_start: bool = False) -> None:
        """Ask the server what it can do; `message` or `error` tells."""
        self.message, self.error = "", None
        self._asking = "start" if may_start else "look"
        self.changed()

    def reconnect(self) -> None:
        """The settings are others: the next job looks for its server anew."""
        if self._client is not None:
            self._client.close()
        self._client, self.info = None, None
        for task in [task for task in self.tasks if task.state == "working"]:
            task.job, task.state = None, "reading" if task.frame is None else "ready"
        self.changed()

    def close(self) -> None:
        """The host ends."""
        if self._client is not None:
            self._client.close()
            self._client = None

    # -- what the panel shows --------------------------------------------------------------------------------

    @property
    def client(self) -> Client | None:
        """Opened with the first need; None where the settings do not allow it, which `error` tells."""
        if self._client is None:
            try:
                self._client = self._open()
            except Exception as exc:
                self._fail(exc)
        return self._client

    @property
    def is_busy(self) -> bool:
        """Whether a task is not over."""
        return any(not task.is_over for task in self.tasks)

    @property
    def pause_s(self) -> float:
        """When to tick again; long where there is nothing to do."""
        if self._asking or any(task.state in ("reading", "ready", "placing") for task in self.tasks):
            return 0.004
        return self._client.pause_s if self._client is not None else 1.0

    @property
    def share(self) -> float:
        """How far everything is, 0 to 1."""
        shares = [self._share(task) for task in self.tasks]
        return sum(shares) / len(shares) if shares else 0.0

    @property
    def status(self) -> str:
        """One line for people."""
        for task in self.tasks:
            if task.state in ("reading", "placing"):
                return f"{task.name}: {text(task.state, self.language)}"
            if task.state == "working" and task.job is not None:
                place = f" ({task.job.queue_position})" if task.job.queue_position else ""
                return f"{task.name}: {stage_title(task.job.stage, self.language)}{place}"
        return self.message

    @property
    def why_no_cutout(self) -> str:
        """Why "Cut out alpha" cannot be pressed; "" where it can."""
        if self.info is None:
            return text("cutout_unknown", self.language)
        return "" if self.info.answers("Cutout") else text("cutout_missing", self.language)

    # -- the host's timer ------------------------------------------------------------------------------------

    def tick(self, budget_s: float = SLICE_S) -> None:
        """Do what fits into the time."""
        begun_s = monotonic()
        if (self.is_busy or self._asking) and not self._is_warm:
            self._warm_a_piece()
            return
        if self._asking and self.client is not None:
            self.client.ask(may_start=self._asking == "start")
        self._asking = ""
        for task in [task for task in self.tasks if not task.is_over]:
            try:
                self._advance(task, begun_s + budget_s)
            except Exception as exc:
                self._end(task, exc)
            if monotonic() - begun_s > budget_s:
                break
        if self._client is not None:
            for event in self._client.pump(max(0.002, budget_s - (monotonic() - begun_s))):
                self._hear(event)
        self.longest_slice_s = max(self.longest_slice_s, monotonic() - begun_s)

    def _warm_a_piece(self) -> None:
        """Loading everything at once would hold up the host for longer than a person does not notice."""
        self._warming = self._warming or self._warm_up()
        try:
            next(self._warming)
        except StopIteration:
            self._is_warm = True

    def _advance(self, task: Task, until_s: float) -> None:
        if not self._has_its_turn(task):
            return
        if task.state == "reading":
            task.steps = task.steps or task.document.read(task.options.source, task.time)
            if (frame := self._run(task, until_s)) is not None:
                task.frame, task.state, task.note = frame, "ready", frame.note
                self.changed()
        if task.state == "ready":
            self._submit(task)
        if task.state == "placing":
            task.steps = task.steps or self._placing(task)
            if self._run(task, until_s) is not None:
                task.seconds = monotonic() - task.begun_s
                task.state, task.frame = "done", None
                self._say(text("done", self.language, name=task.name, seconds=task.seconds), task.note)

    def _run(self, task: Task, until_s: float) -> Any:
        """Steps until the time is over; what they return (True for None), or None while there are more."""
        steps = task.steps
        while steps is not None:
            try:
                host_has_to_work = next(steps)
            except StopIteration as end:
                task.steps = None
                return True if end.value is None else end.value
            if host_has_to_work or monotonic() > until_s:
                break
        return None

    def _has_its_turn(self, task: Task) -> bool:
        """Frames of an animation come one after the other: the host has one current time for all."""
        return task.time is None or next(other for other in self.tasks if not other.is_over) is task

    def _submit(self, task: Task) -> None:
        client, frame, options = self.client, task.frame, task.options
        if client is None or frame is None:
            raise self.error or RuntimeError("no frame")
        if task.kind == "cutout":
            task.job = client.submit(CutoutRequest(frame.pixels))
        else:
            batch = options.frames is not None
            task.job = client.submit(
                ReconstructRequest(
                    frame.pixels,
                    lines_model=options.lines_model,
                    line_width_px=options.line_width_px,
                    palette=options.palette,
                    region=frame.region,
                    is_batch=batch,
                )
            )
        task.state = "working"
        self.changed()

    def _placing(self, task: Task) -> Steps[None]:
        assert task.result is not None
        assert task.frame is not None
        common = (task.result, task.frame, task.options.layers, self.language)
        if task.time is None:
            return task.document.place(*common)
        return task.document.place_frame(*common, task.time)

    def _hear(self, event: object) -> None:
        if isinstance(event, InfoChanged):
            self.info = event.info or self.info
            if event.error is not None:
                self._fail(event.error)
            elif event.info is not None:
                devices = ", ".join(event.info.devices)
                self._say(text("answered", self.language, version=event.info.version, devices=devices))
        if isinstance(event, (Finished, Failed)):
            for task in [task for task in self.tasks if task.job is event.job and not task.is_over]:
                if isinstance(event, Failed):
                    self._end(task, event.error)
                else:
                    task.result, task.state = event.result, "placing"
        self.changed()

    # -- where everything ends -------------------------------------------------------------------------------

    def _end(self, task: Task, error: Exception) -> None:
        if task.steps is not None:
            task.steps.close()
        if task.job is not None and not task.job.is_done and self._client is not None:
            self._client.cancel(task.job)
        task.state, task.error, task.steps, task.frame = "failed", error, None, None
        if isinstance(error, DocumentError):
            error.details.setdefault("name", task.name)
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Every error of the plugin comes here and becomes one message."""
        if isinstance(error, DocumentError):
            self.error = None
            self._say(text(error.key, self.language, **error.details))
            return
        if not isinstance(error, ClientError):
            error = ClientError(Kind.BUG, said=f"{type(error).__name__}: {error}")
        self.error = error
        self._say(error.text(self.language))

    def _say(self, message: str, note: str = "") -> None:
        self.message = f"{message} {text(note, self.language)}" if note else message
        self.changed()

    @staticmethod
    def _share(task: Task) -> float:
        if task.is_over:
            return 1.0
        if task.state == "placing":
            return 0.97
        return 0.95 * task.job.overall_share if task.job is not None else 0.0
