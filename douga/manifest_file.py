"""manifest.json as it is on disk: what earlier runs recorded of their frames, and which have not ended."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from douga.errors import InputError
from douga.frame_io import write_text
from douga.runs import what_matters

FILE_NAME = "manifest.json"
_FORMAT = 1
_UNTOLD = "made by a run that was killed before it could record it"


@dataclass(frozen=True)
class FrameRecord:
    """What is known of one frame's results.

    name: stem of the result files. input: path of the file that they were made from, as it was given. sha256,
    stat: of that file, the latter its size and mtime_ns. mask_sha256, mask_stat: of the user's own mask.
    seconds: from the end of its reading to the last file written. warnings: conversions and findings, for
    people. error: why there are none, or none but those of before. made_with: the run that made them, only
    where it was another one than the manifest's own, or another command. anew: made by a run with --overwrite
    that has not come to its end. kinds: of results that Douga made; None in older manifests, where it may be
    any.
    """

    name: str
    input: str
    sha256: str | None = None
    stat: dict[str, int] | None = None
    mask_sha256: str | None = None
    mask_stat: dict[str, int] | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    made_with: dict[str, Any] | None = None
    anew: bool | None = None
    kinds: tuple[str, ...] | None = None

    @property
    def has_results(self) -> bool:
        """Whether Douga has made any, be they those of before."""
        return self.error is None or self.sha256 is not None or bool(self.kinds)

    def as_json(self) -> dict[str, Any]:
        """Its entry in the file, without what is not known."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Told:
    """What the manifest of a folder tells of one command.

    kinds: of results that the command made, by frame name; None for any. has_begun: whether some run of it
    has not come to its end, so that it may have left more.
    """

    kinds: dict[str, tuple[str, ...] | None]
    has_begun: bool

    @classmethod
    def of(cls, folder: Path, command: str) -> Told:
        """command: "cutout". Raises InputError when there is a manifest that cannot be read."""
        found = read_manifest(folder / FILE_NAME, command)
        frames = found.frames_beside(found.run)
        kinds = {name: r.kinds for (by, name), r in frames.items() if by == command and r.has_results}
        return cls(kinds, any(run["command"] == command for run in found.begun.values()))

    def has(self, name: str, kind: str) -> bool:
        """Whether this kind of result of the frame of this name is Douga's."""
        kinds = self.kinds.get(name, ())
        return kinds is None or kind in kinds


def untold(name: str, input_path: Path, kinds: Iterable[str]) -> FrameRecord:
    """The record of results that a killed run left. input_path: of the frame of this name now."""
    return FrameRecord(name, str(input_path), warnings=(_UNTOLD,), kinds=tuple(kinds))


@dataclass(frozen=True)
class ManifestFile:
    """A manifest as it is on disk.

    run: the last that wrote it, which made the records without `made_with`. records: of all commands. begun:
    by command and work, what matters of the runs that have not come to their end.
    """

    run: dict[str, Any]
    records: list[FrameRecord]
    begun: dict[str, dict[str, Any]]

    def frames_beside(self, run: dict[str, Any]) -> dict[tuple[str, str], FrameRecord]:
        """Record by command and frame name, to be written beside those of this run."""
        is_other = what_matters(self.run) != what_matters(run)
        records = [_dated(record, self.run) if is_other else record for record in self.records]
        return {(_command_of(record, self.run), record.name): record for record in records}

    def begun_otherwise(self, run: dict[str, Any]) -> dict[str, Any] | None:
        """A run of the same command that has not come to its end and makes another look than this one."""
        others = (begun for begun in self.begun.values() if begun["command"] == run["command"])
        return next((begun for begun in others if begun != what_matters(run)), None)


def read_manifest(path: Path, command: str) -> ManifestFile:
    """A manifest, empty where there is none. command: of a run that does not say. Raises InputError."""
    if not path.exists():
        return ManifestFile({"command": command}, [], {})
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        begun = {key: what_matters(run) for key, run in old.get("begun", {}).items()}
        return ManifestFile({"command": command, **old["run"]}, [_record(r) for r in old["frames"]], begun)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(
            f"{path} is there but is no manifest of Douga ({exc}); move it away or choose another --out"
        ) from exc


def write_manifest(
    path: Path, run: dict[str, Any], begun: dict[str, dict[str, Any]], records: Iterable[FrameRecord]
) -> None:
    """Write a manifest whole or not at all, its entries as in `ManifestFile`. Raises OutputError."""
    frames = [record.as_json() for record in records]
    content = {"format": _FORMAT, "run": run, "begun": begun, "frames": frames}
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _record(read: dict[str, Any]) -> FrameRecord:
    """Of what JSON has. Raises TypeError, where that is something else."""
    lists: dict[str, Any] = {key: tuple(read[key]) for key in ("warnings", "kinds") if key in read}
    return FrameRecord(**{**read, **lists})


def _command_of(record: FrameRecord, run: dict[str, Any]) -> str:
    return str((record.made_with or {}).get("command", run["command"]))


def _dated(record: FrameRecord, former: dict[str, Any]) -> FrameRecord:
    return replace(record, made_with=record.made_with or what_matters(former))
