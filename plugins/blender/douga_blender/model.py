"""The queue of what the user asked for, moved on in slices. Knows neither bpy nor pixels.

    task = studio.add("Reconstruct", source, choice)
    studio.tick()                    # by a modal operator's timer
    studio.run(task)                 # or to its end at once, for `blender -b`

One task is worked on at a time; its frames one after another. Every end of a task goes through `_end`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from douga_client.api import (
    Client,
    Cutout,
    CutoutRequest,
    InfoChanged,
    Job,
    Palette,
    Reconstruction,
    ReconstructRequest,
    ServerInfo,
)
from douga_client.errors import ClientError, Kind, Mend
from douga_client.image import Pixels

SLICE_S = 0.02
CLASS_KEYS = (
    *("flat", "visible_line", "shading_line", "color_edge", "highlight_line", "book_line"),
    *("shading_fill", "color_fill", "highlight_fill", "book_fill"),
)


class DocumentError(Exception):
    """Something about the user's images that a person has to be told. text: English, a key of `texts`."""

    def __init__(self, text: str, detail: str = "") -> None:
        self.text, self.detail = text, detail
        super().__init__(f"{text} {detail}".strip())


@dataclass(frozen=True)
class Source:
    """Where frames come from. kind: "IMAGE", "RENDER" or "CLIP". name: of the data block.

    frames: 1 is the first; (0,) for an image that has no frames.
    """

    kind: str
    name: str
    frames: tuple[int, ...] = (0,)

    @property
    def is_range(self) -> bool:
        """Whether its frames are numbered."""
        return self.frames != (0,)


@dataclass(frozen=True)
class Choice:
    """What the user chose. "" and 0: the server's default. classes: keys of those that get an image."""

    line_width_px: int = 0
    palette: str = ""
    cel_model: str = ""
    lines_model: str = ""
    classes: frozenset[str] = frozenset(CLASS_KEYS[1:])
    has_cel: bool = True
    has_mask: bool = True
    has_ids: bool = True


class Document(ABC):
    """The host's images. The generators give way after every slice of work."""

    @abstractmethod
    def read(self, source: Source, frame: int, notes: list[str]) -> Generator[None, None, Pixels]:
        """A frame as the server takes it. notes: gets what was done to it. Raises DocumentError."""

    @abstractmethod
    def keep(
        self, source: Source, frame: int, pixels: Pixels, result: Reconstruction, choice: Choice
    ) -> Generator[None, None, tuple[str, ...]]:
        """Make images of a result, all or none. Returns their names. Raises DocumentError."""

    @abstractmethod
    def keep_cutout(
        self, source: Source, frame: int, result: Cutout
    ) -> Generator[None, None, tuple[str, ...]]:
        """Make an image of a character that was cut out."""


Steps = Generator[Job | None, None, None]


@dataclass(eq=False)
class Task:
    """One click of the user. stage: of the client's, or "reading" and "building". error: why it ended."""

    title: str
    source: Source
    stage: str = "waiting"
    frames_done: int = 0
    job: Job | None = None
    images: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: Exception | None = None
    is_done: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    steps: Steps | None = field(default=None, repr=False)

    @property
    def share(self) -> float:
        """How far it is, 0 to 1."""
        if self.is_done:
            return 1.0
        share = self.job.overall_share if self.job is not None else 0.0
        return (self.frames_done + 0.98 * share) / max(1, len(self.source.frames))

    @property
    def is_cancelled(self) -> bool:
        """Whether the user gave it up."""
        return isinstance(self.error, ClientError) and self.error.kind is Kind.CANCELLED


class Studio:
    """Everything that this plugin has in mind. open_client: called when there is something to do."""

    def __init__(self, document: Document, open_client: Callable[[], Client], warm: Callable[[], Generator]):
        self._document, self._open, self._warm = document, open_client, warm
        self._client: Client | None = None
        self._is_stale = False
        self.tasks: list[Task] = []
        self.info: ServerInfo | None = None
        self.error: Exception | None = None
        self.notes: tuple[str, ...] = ()
        self.last_images: tuple[str, ...] = ()
        self.is_asking = False
        self.longest_slice_s = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done."""
        return not self.tasks and not self.is_asking

    @property
    def pause_s(self) -> float:
        """When to tick again."""
        if self.tasks and self.tasks[0].stage in ("reading", "building"):
            return 0.0
        return 0.01 if self._client is None else min(self._client.pause_s, 0.1)

    def cutout_refusal(self) -> str:
        """Why characters cannot be cut out now, "" where they can; a key of `texts`."""
        if self.info is None:
            return "The server has not been asked yet what it can do: press the arrows beside Server"
        return "" if self.info.answers("Cutout") else "This server has no model that cuts out characters yet"

    def add(self, source: Source, choice: Choice, *, is_cutout: bool = False) -> Task:
        """Put a task at the queue's end."""
        task = Task("Cut out alpha" if is_cutout else "Reconstruct douga", source)
        task.steps = self._cut(task, choice) if is_cutout else self._reconstruct(task, choice)
        self.tasks.append(task)
        self.error, self.notes = None, ()
        return task

    def ask(self, *, may_start: bool = False) -> None:
        """Ask the server what it can do; `tick` until `is_asking` is over."""
        self.error, self.is_asking = None, True
        self._ready().ask(may_start=may_start)

    def failed(self, error: Exception) -> None:
        """Show an error that came up outside of a task."""
        self.error, self.is_asking = error, False

    def cancel(self, task: Task) -> None:
        """Give a task up at once."""
        if task.is_done:
            return
        if task.job is not None and self._client is not None:
            self._client.cancel(task.job)
        self._end(task, ClientError(Kind.CANCELLED))

    def cancel_all(self) -> None:
        """The user's file is going away."""
        for task in list(self.tasks):
            self.cancel(task)

    def settings_changed(self) -> None:
        """Connect anew, by other settings, as soon as nothing is under way."""
        self._is_stale, self.info = True, None
        if self.is_idle:
            self.close()

    def close(self) -> None:
        """Give everything up."""
        self.cancel_all()
        if self._client is not None:
            self._client.close()
        self._client, self._is_stale, self.is_asking = None, False, False

    def tick(self, budget_s: float = SLICE_S) -> None:
        """One slice of work. Never raises."""
        start_s = time.perf_counter()
        self._pump(0.5 * budget_s)
        while self.tasks and time.perf_counter() - start_s < budget_s:
            if self._step(self.tasks[0]) is not None:
                break
        if self._is_stale and self.is_idle:
            self.close()
        self.longest_slice_s = max(self.longest_slice_s, time.perf_counter() - start_s)

    def run(self, task: Task) -> None:
        """Work until a task is done, where no timer runs."""
        while not task.is_done:
            job = self._step(self.tasks[0])
            if job is not None:
                try:
                    self._ready().wait(job)
                except ClientError:
                    continue  # the next step finds it in the job

    def _ready(self) -> Client:
        if self._client is None:
            self._client = self._open()
        return self._client

    def _pump(self, budget_s: float) -> None:
        if self._client is None:
            return
        for event in self._client.pump(budget_s):
            if isinstance(event, InfoChanged):
                self.is_asking = False
                self.info = event.info or self.info
                self.error = event.error or self.error

    def _step(self, task: Task) -> Job | None:
        """The job that has to be waited for, None where there is more to do."""
        assert task.steps is not None
        try:
            return next(task.steps)
        except StopIteration:
            self._end(task, None)
        except (ClientError, DocumentError) as exc:
            self._end(task, exc)
        except Exception as exc:  # nothing of ours may come up in the host's timer
            self._end(task, ClientError(Kind.BUG, said=f"{type(exc).__name__}: {exc}"))
        return None

    def _end(self, task: Task, error: Exception | None) -> None:
        """Every task comes here, once."""
        task.is_done, task.error, task.job = True, error, None
        if task in self.tasks:
            self.tasks.remove(task)
        if task.steps is not None and error is not None:
            task.steps.close()
        task.steps = None
        self.error, self.notes = error, tuple(dict.fromkeys(task.notes))
        self.last_images = tuple(task.images) or self.last_images
        if self._client is not None and self._client.info is not None and not self._is_stale:
            self.info = self._client.info

    def _reconstruct(self, task: Task, choice: Choice) -> Steps:
        for frame in task.source.frames:
            pixels = yield from self._read(task, frame)
            request = ReconstructRequest(
                pixels,
                cel_model=choice.cel_model,
                lines_model=choice.lines_model,
                line_width_px=choice.line_width_px,
                palette=Palette(choice.palette) if choice.palette else None,
                is_batch=task.source.is_range,
            )
            result = yield from self._answer(task, request)
            assert isinstance(result, Reconstruction)
            task.notes += result.warnings
            for name, spent_s in result.seconds.items():
                task.seconds[name] = task.seconds.get(name, 0.0) + spent_s
            made = yield from self._document.keep(task.source, frame, pixels, result, choice)
            task.images += made
            task.frames_done, task.job = task.frames_done + 1, None

    def _cut(self, task: Task, choice: Choice) -> Steps:
        for frame in task.source.frames:
            pixels = yield from self._read(task, frame)
            result = yield from self._answer(task, CutoutRequest(pixels, is_batch=task.source.is_range))
            assert isinstance(result, Cutout)
            task.notes += result.warnings
            task.images += yield from self._document.keep_cutout(task.source, frame, result)
            task.frames_done, task.job = task.frames_done + 1, None

    def _read(self, task: Task, frame: int) -> Generator[None, None, Pixels]:
        task.stage = "reading"
        yield
        pixels = yield from self._document.read(task.source, frame, task.notes)
        yield from self._warm()
        return pixels

    def _answer(
        self, task: Task, request: ReconstructRequest | CutoutRequest
    ) -> Generator[Job, None, Reconstruction | Cutout]:
        job = task.job = self._ready().submit(request)
        while not job.is_done:
            task.stage = job.stage
            yield job
        if job.result is None:
            raise job.error or ClientError(Kind.BUG, said="a job ended without an end")
        task.stage = "building"
        return job.result


def sentence(error: Exception, language: str, translate: Callable[[str], str]) -> str:
    """One message for people, whatever went wrong."""
    if isinstance(error, ClientError):
        return error.text(language)
    if isinstance(error, DocumentError):
        return f"{translate(error.text)} {error.detail}".strip()
    return str(error)


def mending(error: Exception | None) -> tuple[Mend, str]:
    """What to offer beside the message, and the command line that mends it."""
    if isinstance(error, ClientError):
        return error.mend, error.command("blender")
    return Mend.NONE, ""
