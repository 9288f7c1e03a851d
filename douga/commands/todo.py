"""What is to be done in a run over frames, what is there already, and what is not to be written over."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from douga.errors import OutputError
from douga.frame_io import FrameSource, Sources
from douga.manifest import Manifest
from douga.manifest_file import FILE_NAME, FrameRecord, Told, untold
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

    @property
    def asked(self) -> tuple[str, ...]:
        """The kinds that are asked for."""
        ...

    def prepare(self) -> None:
        """Make the folder and see that it can be written to. Raises OutputError."""
        ...

    def paths(self, name: str) -> Mapping[str, Path]:
        """Path by kind of all results that the frame of this name may have, asked for or not."""
        ...

    def has_all(self, name: str) -> bool:
        """Whether every result of the frame is there already."""
        ...

    def has_any(self, name: str) -> bool:
        """Whether some result of the frame is there already, asked for or not."""
        ...

    def write(self, name: str, result: Any) -> None:
        """Write a frame's results. Raises OutputError."""
        ...


@dataclass
class Job:
    """A source and what it is known by again, which is taken where it is read: on the reading thread.

    masks: the user's own. sha256, stat, mask_sha256, mask_stat: of its file and its mask, as the manifest has
    them.
    """

    source: FrameSource
    masks: OwnMasks | None = None
    sha256: str | None = None
    stat: dict[str, int] | None = None
    mask_sha256: str | None = None
    mask_stat: dict[str, int] | None = None

    @property
    def name(self) -> str:
        """Stem of the results."""
        return self.source.name

    def read(self) -> Frame:
        """Read the frame, and take the hash of its file and of its mask, which is read later.

        Raises InputError, also where the file was changed meanwhile; a mask that is changed until it is read
        is another one to the next run.
        """
        self.stat = self.source.opened or self.source.stat()
        frame = self.source.read()
        self.sha256 = self.source.sha256(self.stat)
        if self.masks is not None:
            self.mask_stat = self.masks.stat(self.name)
            self.mask_sha256 = self.masks.sha256(self.name, self.mask_stat)
        return frame


class Todo:
    """The frames of a run that are asked for and not there yet; iterate once.

    masks: the user's own. untold: of `untold_results`. skipped: those that were there, of those looked at so
    far.
    """

    def __init__(
        self,
        sources: Iterable[FrameSource],
        results: Results,
        masks: OwnMasks | None = None,
        untold: Iterable[FrameRecord] = (),
    ) -> None:
        self.masks = masks
        self.untold = untold
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


def refuse_own_input(results: Results, paths: Iterable[Path]) -> None:
    """Raises OutputError where results would be written among the files that they are made from."""
    targets = {(results.folder / kind).resolve() for kind in results.kinds}
    for path in paths:
        for folder in {path.parent.resolve(), path.resolve().parent} & targets:
            raise OutputError(
                f"{path}: results would be written into the folder of their own input, {folder}; copy it "
                "elsewhere and name the copy, or choose another --out"
            )


def untold_results(results: Results, sources: Sources, command: str) -> list[FrameRecord]:
    """Records of what a killed run of a command ("cutout") left in the places of these frames.

    Raises OutputError where no such run has begun here, so that nothing says that these files are Douga's,
    InputError when there is a manifest that cannot be read.
    """
    told = Told.of(results.folder, command)
    found: dict[str, list[str]] = defaultdict(list)
    for kind, suffix in results.kinds.items():
        for path in (results.folder / kind).glob(f"*.{suffix}"):
            if not told.has(path.stem, kind) and is_there(path):
                found[path.stem].append(kind)
    inputs = sources.named(sorted(found))
    if inputs and not told.has_begun:
        name = next(iter(inputs))
        raise OutputError(
            f"{results.paths(name)[found[name][0]]}: is there, but no {FILE_NAME} in {results.folder} says "
            f"that douga {command} made it; choose another --out, or move it away"
        )
    return [untold(name, path, found[name]) for name, path in inputs.items()]
