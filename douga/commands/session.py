"""One run over frames: what is to be done, what the user is told meanwhile, what is recorded."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

from tqdm import tqdm

from douga.batch import Limits, Outcome, Source, run_batch
from douga.commands.todo import Job, Results, Todo, told_of_skipped
from douga.errors import DougaError, OutputError
from douga.manifest import Manifest
from douga.manifest_file import FrameRecord
from douga.memory import memory_minded
from douga.pipeline import Reconstruction, Seen, Settings, Stages, clean, see
from douga.results import remove_files
from douga.runs import describe_run
from douga.types import Frame

_MANIFEST_EVERY_S = 10.0  # so that even a power cut loses little of it
_NAMED = 10  # failed frames named in the summary
_GIB = 1 << 30

Pending = Any  # what `Equipment.start` gives and `Equipment.finish` takes; nobody else looks into it


class Result(Protocol):
    """What came of a frame: a `douga.pipeline.Reconstruction`, a `douga.cutout.Cutout`."""

    @property
    def frame(self) -> Frame:
        """The frame, with all the warnings."""
        ...


@dataclass(frozen=True)
class Equipment:
    """What takes frames apart, here or elsewhere.

    start: begins with a frame, on the thread that calls, frame after frame. finish: waits for the rest, on
    any thread. Both raise InputError where only this frame cannot be done. device, weights
    (by stage, name and sha256): for the manifest. in_flight: frames that are finished side by side. hurry:
    called when the run ends early; `finish` is not to wait long for anything from then on. close: called at
    the end. notes: for the user.
    """

    start: Callable[[Frame], Pending]
    finish: Callable[[Pending], Result]
    device: str
    weights: dict[str, dict[str, str]]
    in_flight: int = 1
    hurry: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None
    notes: tuple[str, ...] = ()


def equip_locally(
    stages: Stages,
    settings: Settings,
    device: str,
    weights: dict[str, dict[str, str]],
    jobs: int | None = None,
) -> Equipment:
    """The networks on the thread that starts, the cleaning on those that finish. jobs: of the latter."""
    # On the CPU the networks have the cores.
    in_flight = jobs or (1 if device == "cpu" else os.cpu_count() or 1)

    def start(frame: Frame) -> Seen:
        with memory_minded(frame):
            return see(frame, stages)

    def finish(seen: Seen) -> Reconstruction:
        with memory_minded(seen.frame):
            return clean(seen, settings)

    return Equipment(start, finish, device, weights, in_flight)


class Console:
    """What the user sees on the way, on standard error: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._bar: tqdm | None = None
        self._told: set[str] = set()

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        tqdm.write(text, file=sys.stderr)

    def start(self) -> None:
        """Show the bar where there is a terminal."""
        if sys.stderr.isatty():
            self._bar = tqdm(total=self._total, unit="frame", file=sys.stderr, dynamic_ncols=True)

    def ended(self, outcome: Outcome, position: int) -> None:
        """Tell how a frame ended, the position-th of all. The same warning is told once."""
        name = outcome.source.name
        if outcome.error is not None:
            self.say(f"douga: {_naming(name, str(outcome.error))}")
        for warning in outcome.warnings:
            if warning not in self._told:
                self._told.add(warning)
                self.say(f"note: {_naming(name, warning)} (told once; manifest.json has it for each frame)")
        if self._bar is not None:
            self._bar.update(position - self._bar.n)
        elif outcome.error is None:
            self.say(f"[{position}/{self._total or '?'}] {name}: {outcome.seconds:.2f} s")

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def _naming(name: str, text: str) -> str:
    return text if name in text else f"{name}: {text}"


class Session:
    """Takes the frames of a run through the equipment and keeps its books."""

    def __init__(
        self,
        todo: Todo,
        equipment: Equipment,
        results: Results,
        console: Console,
        command: str,
        settings: dict[str, Any],
        work: str = "",
    ) -> None:
        """command: "cutout". settings: what decides how results look. work: what the run is known by again,
        whatever its settings. All for the manifest.
        """
        self._todo = todo
        self._equipment, self._results, self._console = equipment, results, console
        # Beside networks on the CPU: what an ordinary machine can spare.
        self._limits = Limits(equipment.in_flight, _GIB if equipment.device == "cpu" else 4 * _GIB)
        run = describe_run(command, equipment.device, equipment.weights, settings)
        self._manifest = Manifest.continuing(results.folder, run, todo.masks, work, todo.untold)
        self._done: list[str] = []
        self._kept: list[str] = []  # made again by the same command, before it was stopped
        self._failed: list[str] = []

    def process(self) -> None:
        """Do all of it. The manifest is up to date however this ends. Raises OutputError."""
        self._save()  # a folder that cannot be written to is found out before the work
        self._console.start()
        try:
            run_batch(
                self._asked(),
                self._equipment.start,
                self._finish,
                self._report,
                self._limits,
                self._equipment.hurry,
            )
        except BaseException as exc:
            with suppress(OutputError):  # the first error is the one that matters
                self._save()
            self._console.close()
            stopped = isinstance(exc, KeyboardInterrupt | SystemExit)
            if stopped or (isinstance(exc, DougaError) and self._done):
                complete = len(self._done)
                self._console.say(f"{complete} frames are complete; the same command goes on from here")
            raise
        self._console.close()
        self._manifest.end([*self._done, *self._kept])
        self._save()

    def conclude(self) -> int:
        """Print the summary and return the exit status."""
        done, skipped, failed = len(self._done), len(self._todo.skipped), len(self._failed)
        there = done + skipped + len(self._kept)
        if failed == 1 and not there:
            return 2  # its error was told already, and there is nothing else to say
        counts = [f"{done} done"]
        if self._kept:
            counts.append(f"{len(self._kept)} kept, which the same command had made before it was stopped")
        if skipped:
            counts.append(
                f"{skipped} skipped because they were there ({told_of_skipped(self._manifest, self._todo)})"
            )
        if failed:
            more = f" and {failed - _NAMED} more, see manifest.json" if failed > _NAMED else ""
            counts.append(f"{failed} failed: {', '.join(self._failed[:_NAMED])}{more}")
        print(f"{self._results.folder}: {'; '.join(counts)}")
        if not failed:
            return 0
        return 1 if there else 2

    def _asked(self) -> Iterator[Job]:
        """The jobs, but for those that the same command with --overwrite had done before it was stopped.

        Raises OutputError before results of two looks would lie beside each other as one.
        """
        for job in self._todo:
            if self._results.overwrite:
                if self._results.has_all(job.name) and self._manifest.is_made_anew(job.source):
                    self._kept.append(job.name)
                    continue
            elif self._results.has_any(job.name) and (otherwise := self._manifest.made_otherwise(job.source)):
                raise OutputError(
                    f"{self._results.folder}: some results of {job.name} are there, made otherwise "
                    f"({otherwise}); --overwrite makes them again, or choose another --out"
                )
            yield job

    def _finish(self, source: Source, pending: Pending) -> tuple[str, ...]:
        result = self._equipment.finish(pending)
        self._results.write(source.name, result)
        if self._results.overwrite:
            paths, asked = self._results.paths(source.name), self._results.asked
            known = self._manifest.kinds_of(source.name)
            remove_files(paths[kind] for kind in known if kind in paths and kind not in asked)
        return result.frame.warnings

    def _report(self, outcome: Outcome) -> None:
        job = cast(Job, outcome.source)
        path = str(job.source.path)
        if outcome.error is not None:
            self._failed.append(job.name)
            record = FrameRecord(job.name, path, warnings=outcome.warnings, error=str(outcome.error))
        else:
            self._done.append(job.name)
            record = FrameRecord(
                job.name,
                path,
                job.sha256,
                job.stat,
                job.mask_sha256,
                job.mask_stat,
                round(outcome.seconds, 3),
                outcome.warnings,
                anew=self._results.overwrite or None,
                kinds=self._results.asked,
            )
        self._manifest.add(record)
        there = len(self._todo.skipped) + len(self._kept)
        self._console.ended(outcome, len(self._done) + len(self._failed) + there)
        if time.monotonic() - self._saved_s > _MANIFEST_EVERY_S:
            self._save()

    def _save(self) -> None:
        self._manifest.write(self._results.folder)
        self._saved_s = time.monotonic()
