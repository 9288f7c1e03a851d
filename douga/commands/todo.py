"""What is to be done in a run over frames, what is there already, and what is not to be written over."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from douga.errors import OutputError
from douga.frame_io import FrameSource, Sources
from douga.manifest import FILE_NAME, Manifest, tells_of
from douga.own_masks import OwnMasks
from douga.results import is_there
from douga.types import Frame


class Results(Protocol):
    """Where results go: `douga.results.ResultFolder`, `douga.cutout_results.CutoutFolder`."""

    @property
    def folder(self) -> Path: ...
    @property
    def overwrite(self) -> bool: ...
    @property
    def kinds(self) -> Mapping[str, str]:
        """Suffix by kind of all results there may be, asked for or not; a kind's folder has its name."""
        ...

    def prepare(self) -> None:
        """Make the folder and see that it can be written to. Raises OutputError."""
        ...

    def has_all(self, name: str) -> bool:
        """Whether every result of the frame is there already."""
        ...

    def has_any(self, name: str) -> bool:
        """Whether some result of the frame is there already."""
        ...

    def write(self, name: str, result: Any) -> None:
        """Write a frame's results. Raises OutputError."""
        ...


@dataclass
class Job:
    """A source and what it is known by again, which is taken where it is read: on the reading thread.

    masks: the user's own. sha256, stat, mask_sha256: of its file and its mask, as the manifest has them.
    """

    source: FrameSource
    masks: OwnMasks | None = None
    sha256: str | None = None
    stat: dict[str, int] | None = None
    mask_sha256: str | None = None

    @property
    def name(self) -> str:
        """Stem of the results."""
        return self.source.name

    def read(self) -> Frame:
        """Read the frame, and take the hash of its file and of its mask. Raises InputError."""
        frame = self.source.read()
        self.stat, self.sha256 = self.source.stat(), self.source.sha256()
        if self.masks is not None:
            self.mask_sha256 = self.masks.sha256(self.name)
        return frame


class Todo:
    """The frames of a run that are asked for and not there yet; iterate once.

    masks: the user's own. skipped: those that were there, of those looked at so far.
    """

    def __init__(
        self, sources: Iterable[FrameSource], results: Results, masks: OwnMasks | None = None
    ) -> None:
        self.masks = masks
        self.skipped: list[FrameSource] = []
        self._results = results
        self._jobs: Iterator[Job] = self._select(sources)

    def is_empty(self) -> bool:
        """Look for the first frame to do, which stays in the list."""
        first = next(self._jobs, None)
        if first is None:
            return True
        self._jobs = itertools.chain((first,), self._jobs)
        return False

    def __iter__(self) -> Iterator[Job]:
        return self._jobs

    def _select(self, sources: Iterable[FrameSource]) -> Iterator[Job]:
        for source in sources:
            if not self._results.overwrite and self._results.has_all(source.name):
                self.skipped.append(source)
                continue
            yield Job(source, self.masks)


def told_of_skipped(manifest: Manifest, todo: Todo) -> str:
    """How to make frames again that were there already, and whether they look as is asked now."""
    others = [told for source in todo.skipped if (told := manifest.made_otherwise(source))]
    again = "--overwrite makes them again"
    return f"{len(others)} of them made otherwise: {others[0]}; {again}" if others else again


def refuse_own_input(results: Results, sources: Sources) -> None:
    """Raises OutputError where results would be written among the files that they are made from."""
    targets = {(results.folder / kind).resolve() for kind in results.kinds}
    for path in sources.paths:
        for folder in {path.parent.resolve(), path.resolve().parent} & targets:
            raise OutputError(
                f"{path}: results would be written into the folder of their own input, {folder}; choose "
                "another --out"
            )


def refuse_others_files(results: Results, sources: Sources, command: str) -> None:
    """Raises OutputError where files are in the way that nothing says are Douga's. command: "cutout"."""
    if tells_of(results.folder, command):
        return
    for kind, suffix in results.kinds.items():
        there = {path.stem: path for path in (results.folder / kind).glob(f"*.{suffix}") if is_there(path)}
        for name in sources.named(sorted(there)):
            raise OutputError(
                f"{there[name]}: is there, but no {FILE_NAME} in {results.folder} says that douga {command} "
                "made it; choose another --out, or move it away"
            )
