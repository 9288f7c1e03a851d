"""What the user asked for, from the click to the layers, moved on in slices by the host's timer.

    queue = TaskQueue(open_client, warm_up)
    task = queue.add(Task("reconstruct", document, Choice()))
    queue.tick()                     # by a timer, every `queue.pause_s` seconds
    queue.run(task)                  # or to its end at once, where no timer runs

The frames of a task come one after another. Every end of a task passes `_end`, and nothing of ours ever comes
up in the host's timer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol, TypeVar

from .api import Client, CutoutRequest, InfoChanged, Job, Reconstruction, Request, Result, ServerInfo
from .choice import Choice
from .errors import ClientError, Kind
from .image import Pixels, Region

SLICE_S = 0.02  # of the host's time in one tick
_AT_ONCE = 2  # tasks; one is read or placed while the server works for another
_ON_THE_WAY = ("waiting", "finding", "starting", "connecting", "sending")

Out = TypeVar("Out")
# Yields whether somebody else, the host or the server, has to work before there is more to do.
Steps = Generator[bool | None, None, Out]


class DocumentError(Exception):
    """The user's document cannot do what is wanted. text: key of one of its plugin's texts."""

    def __init__(self, text: str, detail: str = "", **details: object) -> None:
        super().__init__(f"{text} {detail}".strip())
        self.text, self.detail, self.details = text, detail, details


@dataclass(frozen=True)
class Frame:
    """A frame as the server takes it. region: the part that is answered, None for all.

    inside: 255 where it is wanted, 0 elsewhere, of the region's size, for one that is no rectangle. notes:
    sentences for people about what was done to it.
    """

    pixels: Pixels
    region: Region | None = None
    inside: bytes | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()


class Document(Protocol):
    """What a host has open. Its generators give way every few milliseconds and raise DocumentError."""

    @property
    def name(self) -> str:
        """For people; also when it has been closed."""

    def read(self, time: int | None) -> Steps[Frame | None]:
        """The pixels, None where a frame is empty. time: its number, or None for what is there now."""

    def prepare(self, choice: Choice) -> Steps[None]:
        """What can be got ready while the server works; `place` does what of it is still undone."""

    def place(self, result: Result, frame: Frame, choice: Choice, time: int | None) -> Steps[Sequence[str]]:
        """Make the layers, all or none. Returns names of what was made."""

    def finish(self) -> Steps[None]:
        """All frames of a range are placed, or as many as could be: what of them is still apart goes in."""

    def release(self) -> None:
        """Nothing more comes."""


@dataclass(eq=False)
class Task:
    """One click. kind: "reconstruct" or "cutout". times: frames, see `Document.read`.

    stage: of the client's, or "reading" or "placing". made: names. server_s: the server's seconds by stage.
    """

    kind: str
    document: Document
    choice: Choice = field(default_factory=Choice)
    times: tuple[int | None, ...] = (None,)
    stage: str = "waiting"
    frames_done: int = 0
    job: Job | None = None
    made: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: Exception | None = None
    is_done: bool = False
    server_s: dict[str, float] = field(default_factory=dict)
    begun_s: float = field(default_factory=perf_counter)
    seconds: float = 0.0
    steps: Steps[None] | None = field(default=None, repr=False)

    @property
    def is_range(self) -> bool:
        """Whether its frames are numbered."""
        return self.times != (None,)

    @property
    def share(self) -> float:
        """How far it is, 0 to 1."""
        if self.is_done:
            return 1.0
        share = self.job.overall_share if self.job is not None else 0.0
        return (self.frames_done + 0.97 * share) / max(1, len(self.times))

    @property
    def is_cancelled(self) -> bool:
        """Whether the user gave it up."""
        return isinstance(self.error, ClientError) and self.error.kind is Kind.CANCELLED


class TaskQueue:
    """All tasks of a host. tasks: those that are not over. last: the one that ended last. error: what went
    wrong last, since something was asked for.

    open_client: by the settings as they are then. warm_up: loads the client in pieces. ended: hears of ends.
    """

    def __init__(
        self,
        open_client: Callable[[], Client],
        warm_up: Callable[[], Iterator[None]] = lambda: iter(()),
        ended: Callable[[Task], None] = lambda task: None,
    ) -> None:
        self._open, self._warm_up, self._ended = open_client, warm_up, ended
        self._client: Client | None = None
        self._warming: Iterator[None] | None = None
        self._is_warm = self._wanted = self._is_ticking = False
        self._question = self._asked = ""
        self.tasks: list[Task] = []
        self.last: Task | None = None
        self.info: ServerInfo | None = None
        self.error: Exception | None = None
        self.longest_slice_s = 0.0

    # -- what is asked for -----------------------------------------------------------------------------------

    def add(self, task: Task) -> Task:
        """Put a task at the end."""
        task.steps = self._steps(task)
        self.tasks.append(task)
        self.error = self.last = None
        return task

    def cancel(self, task: Task) -> None:
        """Give a task up at once."""
        if not task.is_done:
            self._end(task, ClientError(Kind.CANCELLED))

    def cancel_all(self) -> None:
        """Give everything up, such as when the user's file goes."""
        for task in list(self.tasks):
            self.cancel(task)

    def warm(self) -> None:
        """There will soon be something to do: load the client in the next ticks. Nothing connects."""
        self._wanted = True

    def ask(self, *, may_start: bool = False) -> None:
        """Ask the server what it can do; `tick` until `is_asking` is over, then see `info` and `error`."""
        self.error = self.last = None
        self._asked = "start" if may_start else "look"
        self._question = self._asked

    def settings_changed(self) -> None:
        """Connect anew, by other settings; what is under way begins again."""
        if self._client is not None:
            self._client.close()
        self._client = self.info = None
        if self._question == "put":  # who was asked is gone
            self._question = self._asked

    def close(self) -> None:
        """The host ends."""
        self.cancel_all()
        self.settings_changed()
        self._question = ""

    # -- how it stands ---------------------------------------------------------------------------------------

    @property
    def is_warm(self) -> bool:
        """Whether the client is loaded."""
        return self._is_warm

    @property
    def is_asking(self) -> bool:
        """Whether the server has not answered `ask` yet."""
        return bool(self._question)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done."""
        return not self.tasks and not self.is_asking and (self._is_warm or not self._wanted)

    @property
    def pause_s(self) -> float:
        """When to tick again; long where there is nothing to do."""
        moving = any(task.stage in ("reading", "placing") for task in self.tasks[:_AT_ONCE])
        if moving or (self._client is None and not self.is_idle):
            return 0.001
        return self._client.pause_s if self._client is not None else 1.0

    # -- the host's timer ------------------------------------------------------------------------------------

    def tick(self, budget_s: float = SLICE_S) -> None:
        """Do what fits into the time, at least one step. Never raises."""
        if self._is_ticking:  # the host has let its timer go on while it worked for us
            return
        self._is_ticking, begun_s = True, perf_counter()
        try:
            self._go_on(begun_s, budget_s)
        except Exception as exc:  # it must not come up in the host, nor keep the next tick away
            self._give_up(_told(exc))
        finally:
            self._is_ticking = False
            self.longest_slice_s = max(self.longest_slice_s, perf_counter() - begun_s)

    def _go_on(self, begun_s: float, budget_s: float) -> None:
        if (self._wanted or self._question) and not self._is_warm:
            self._warm_a_piece()
        elif self._question in ("look", "start"):
            self._put_question()
        self._pump(0.5 * budget_s)
        busy = self.tasks[:_AT_ONCE]
        while busy:
            busy = [task for task in busy if not self._step(task)]
            if perf_counter() - begun_s > budget_s:
                break

    def _give_up(self, error: Exception) -> None:
        """End what was under way by an error of ours, and begin with a new client the next time."""
        for task in self.tasks[:_AT_ONCE]:
            self._end(task, error)
        self._question, self._wanted = "", False
        self.settings_changed()
        self.error = error

    def run(self, task: Task) -> None:
        """Work until a task is over, where no timer runs."""
        while not task.is_done:
            first = self.tasks[0]
            if self._step(first) and first.job is not None and self._client is not None:
                try:
                    self._client.wait(first.job)
                except ClientError:
                    continue  # the next step finds it in the job

    def _step(self, task: Task) -> bool:
        """Whether somebody else has to work before there is more to do for it."""
        if task.is_done or task.steps is None:
            return True
        try:
            return bool(next(task.steps))
        except StopIteration:
            self._end(task, None)
        except Exception as exc:
            self._end(task, _told(exc))
        return True

    def _end(self, task: Task, error: Exception | None) -> None:
        """Every task comes here, once."""
        if task.is_done:  # it was given up in the middle of its last step
            return
        if task.job is not None and not task.job.is_done and self._client is not None:
            self._client.cancel(task.job)
        task.is_done, task.error, task.job = True, error, None
        task.seconds, task.stage = perf_counter() - task.begun_s, "waiting"
        self.tasks.remove(task)
        steps, task.steps = task.steps, None
        if steps is not None and not getattr(steps, "gi_running", False):
            steps.close()
        self.error, self.last = error, task
        if self._client is not None:
            self.info = self._client.info or self.info
        self._ended(task)

    # -- the server ------------------------------------------------------------------------------------------

    def _ready(self) -> Client:
        if self._client is None:
            self._client = self._open()
        return self._client

    def _warm_a_piece(self) -> None:
        """Loading everything at once would hold the host up for longer than a person does not notice."""
        self._warming = self._warming or self._warm_up()
        self._is_warm = next(self._warming, self) is self

    def _put_question(self) -> None:
        try:
            self._ready().ask(may_start=self._question == "start")
            self._question = "put"
        except Exception as exc:
            self.error, self._question = _told(exc), ""

    def _pump(self, budget_s: float) -> None:
        if self._client is None:
            return
        for event in self._client.pump(budget_s):
            if isinstance(event, InfoChanged):
                self._question = ""
                self.info = event.info or self.info
                self.error = event.error or self.error

    # -- one task --------------------------------------------------------------------------------------------

    def _steps(self, task: Task) -> Steps[None]:
        while not self._is_warm:
            self._warm_a_piece()
            yield False
        try:
            for time in task.times:
                yield from self._frame(task, time)
        except (ClientError, DocumentError):
            if task.is_range and task.made:  # the frames before it stay
                yield from task.document.finish()
            raise
        else:
            if task.is_range:
                yield from task.document.finish()
        finally:
            task.document.release()

    def _frame(self, task: Task, time: int | None) -> Steps[None]:
        task.stage = "reading"
        yield False
        frame = yield from task.document.read(time)
        if frame is not None:
            task.notes += frame.notes
            result = yield from self._answered(task, frame)
            task.stage = "placing"
            task.made += yield from task.document.place(result, frame, task.choice, time)
        task.frames_done, task.job = task.frames_done + 1, None

    def _answered(self, task: Task, frame: Frame) -> Steps[Result]:
        request: Request
        if task.kind == "cutout":
            request = CutoutRequest(frame.pixels, is_batch=task.is_range)
        else:
            request = task.choice.request(frame.pixels, frame.region, is_batch=task.is_range)
        preparing = task.document.prepare(task.choice)
        client = self._ready()
        job = task.job = client.submit(request)
        while not job.is_done:
            if client is not self._client:  # other settings, another server
                client = self._ready()
                job = task.job = client.submit(request)
            task.stage = job.stage
            yield True if job.stage in _ON_THE_WAY else next(preparing, True)
        if job.result is None:
            raise job.error or ClientError(Kind.BUG, said="a job ended without an end")
        task.notes += job.result.warnings
        if isinstance(job.result, Reconstruction):
            for stage, spent_s in job.result.seconds.items():
                task.server_s[stage] = task.server_s.get(stage, 0.0) + spent_s
        return job.result


def _told(error: Exception) -> Exception:
    """What a person can be told; everything that is none of ours is a mistake of ours."""
    if isinstance(error, (ClientError, DocumentError)):
        return error
    return ClientError(Kind.BUG, said=f"{type(error).__name__}: {error}")
