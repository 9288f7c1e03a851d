"""The panel's state: what is under way and what people are told. No widgets, no Krita.

A host's timer calls `Model.tick`; everything else that happens, happens in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from douga_client.api import Client, ServerInfo
from douga_client.choice import STACKING, Choice
from douga_client.errors import ClientError, Kind
from douga_client.tasks import Document, DocumentError, Task, TaskQueue
from douga_client.texts import stage_title

from .texts import text

CLASSES = tuple(key for key in STACKING if key != "flat")
CEL, CEL_MASK = "cel", "cel_mask"
ALL_LAYERS = (*CLASSES, CEL, CEL_MASK)
SOURCES = ("visible", "image", "layer", "selection")


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
        self.queue = TaskQueue(open_client, warm_up, self._ended)
        self.language = language
        self.tasks: list[Task] = []
        self.message = ""
        self.error: ClientError | None = None
        self.changed: Callable[[], None] = lambda: None
        self._shown = ""

    # -- what the panel does ---------------------------------------------------------------------------------

    def start(
        self,
        kind: str,
        document: Document | None,
        choice: Choice,
        times: tuple[int | None, ...] = (None,),
    ) -> None:
        """Begin a task. kind: "reconstruct" or "cutout". times: frames, (None,) for what is there now."""
        self.message, self.error = "", None
        if document is None:
            self._say(text("no_document", self.language))
            return
        self.tasks = [task for task in self.tasks if not task.is_done]
        self.tasks.append(self.queue.add(Task(kind, document, choice, times)))
        self.changed()

    def cancel(self) -> None:
        """Give up everything that is not done."""
        self.queue.cancel_all()

    def ask(self, *, may_start: bool = False) -> None:
        """Ask the server what it can do; `message` or `error` tells."""
        self.message, self.error = "", None
        self.queue.ask(may_start=may_start)
        self.changed()

    def reconnect(self) -> None:
        """The settings are others."""
        self.queue.settings_changed()
        self.changed()

    def close(self) -> None:
        """The host ends."""
        self.changed = lambda: None
        self.queue.close()

    # -- what the panel shows --------------------------------------------------------------------------------

    @property
    def info(self) -> ServerInfo | None:
        """What the server has told last that it can do."""
        return self.queue.info

    @property
    def is_busy(self) -> bool:
        """Whether a task is not over."""
        return bool(self.queue.tasks)

    @property
    def share(self) -> float:
        """How far everything is, 0 to 1."""
        return sum(task.share for task in self.tasks) / len(self.tasks) if self.tasks else 0.0

    @property
    def status(self) -> str:
        """One line for people."""
        if not self.queue.tasks:
            return self.message
        task = self.queue.tasks[0]
        number = f" {task.frames_done + 1}/{len(task.times)}" if task.is_range else ""
        ahead = f" ({task.job.queue_position})" if task.job is not None and task.job.queue_position else ""
        return f"{task.document.name}{number}: {stage_title(task.stage, self.language)}{ahead}"

    @property
    def why_no_cutout(self) -> str:
        """Why "Cut out alpha" cannot be pressed; "" where it can."""
        if self.info is None:
            return text("cutout_unknown", self.language)
        return "" if self.info.answers("Cutout") else text("cutout_missing", self.language)

    # -- the host's timer ------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what fits into a slice."""
        was_asking = self.queue.is_asking
        self.queue.tick()
        if was_asking and not self.queue.is_asking:
            self._answered()
        if self.status != self._shown:
            self._shown = self.status
            self.changed()

    def _answered(self) -> None:
        if self.queue.error is not None:
            self._fail(self.queue.error)
        elif self.info is not None:
            devices = ", ".join(self.info.devices)
            self._say(text("answered", self.language, version=self.info.version, devices=devices))

    # -- where everything ends -------------------------------------------------------------------------------

    def _ended(self, task: Task) -> None:
        name = task.document.name
        if task.error is not None:
            self._fail(task.error, name)
            return
        done = text("done", self.language, name=name, seconds=task.seconds)
        self._say(" ".join([done, *dict.fromkeys(task.notes)]))

    def _fail(self, error: Exception, name: str = "") -> None:
        """Every error of the plugin comes here and becomes one message."""
        self.error = None
        if isinstance(error, DocumentError):
            self._say(text(error.text, self.language, **{"name": name, **error.details}))
            return
        self.error = error if isinstance(error, ClientError) else ClientError(Kind.BUG, said=str(error))
        self._say(self.error.text(self.language))

    def _say(self, message: str) -> None:
        self.message = message
        self.changed()
