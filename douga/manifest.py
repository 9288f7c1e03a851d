"""manifest.json: which Douga, which weights and which settings made the results of a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from douga import __version__
from douga.errors import InputError
from douga.frame_io import FrameSource, write_text

FILE_NAME = "manifest.json"
FORMAT = 1
# Settings that ask for more files and change no other; so does a background where there was none.
_KINDS = ("premultiplied", "exr", "layers")
_UNTOLD = "made by a run that was killed before it could record it"


@dataclass(frozen=True)
class FrameRecord:
    """What is known of one frame's results.

    name: stem of the result files. input: path of the file as it was given. sha256: of that file. seconds:
    from the end of its reading to the last file written. warnings: conversions and findings, for people.
    error: why there are none, or none but those of before. made_with: the run that made them, only where it
    was another one than the manifest's own, or another command.
    """

    name: str
    input: str
    sha256: str | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    made_with: dict[str, Any] | None = None


@dataclass
class Manifest:
    """The record of a result folder, over all runs of all commands that wrote into it.

    run: command, version, device, weights and settings of this run. frames: record by command and frame name.
    former: the run before it, where that was of the same command. former_s: when it last told of itself.
    """

    run: dict[str, Any]
    frames: dict[tuple[str, str], FrameRecord] = field(default_factory=dict)
    former: dict[str, Any] | None = None
    former_s: float = 0.0

    @classmethod
    def continuing(cls, folder: Path, run: dict[str, Any]) -> Manifest:
        """Start a run's manifest with what earlier runs recorded in the same folder.

        Records made with another version, other weights or settings say so from now on in `made_with`. Raises
        InputError when there is a manifest that cannot be read: it is not ours to throw away.
        """
        path = folder / FILE_NAME
        if not path.exists():
            return cls(run)
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
            former = {"command": run["command"], **old["run"]}
            records = [FrameRecord(**{**r, "warnings": tuple(r.get("warnings", ()))}) for r in old["frames"]]
            former_s = path.stat().st_mtime
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise InputError(
                f"{path} is there but is no manifest of Douga ({exc}); move it away or choose another --out"
            ) from exc
        if what_matters(former) != what_matters(run):
            records = [_dated(record, former) for record in records]
        frames = {(_command_of(record, run), record.name): record for record in records}
        return cls(run, frames, former if former["command"] == run["command"] else None, former_s)

    def made_otherwise(self, source: FrameSource) -> str:
        """How the results of a frame that are there differ from what this run would make, for people.

        "depth 8, not 16"; empty where they do not, or nothing is known of them. Results without a record are
        taken for those of the run before this one, which was killed then.
        """
        record = self.frames.get((self.run["command"], source.name))
        if record is None:
            return "; ".join(_differences(self.former, self.run)) if self.former else ""
        told = [] if record.error is not None else self._other_input(record, source)
        if record.made_with is not None:
            told += _differences(record.made_with, self.run)
        return "; ".join(told)

    def _other_input(self, record: FrameRecord, source: FrameSource) -> list[str]:
        """Whether it was made from another file, or from what this one was before."""
        path = str(source.path)
        try:
            may_be = path != record.input or source.path.stat().st_mtime > self.former_s
            if record.sha256 is None or not may_be or source.sha256() == record.sha256:
                return []
        except (OSError, InputError):
            return []  # a file that cannot be read is told of where it is read
        return [f"from {record.input}, " + ("as it was before" if path == record.input else f"not {path}")]

    def add(self, record: FrameRecord) -> None:
        """Record a frame, in place of what was known of it before.

        What could not be made leaves the results of before where they are, and so the record of their run.
        """
        before = self.frames.get((self.run["command"], record.name))
        if record.error is not None and before is not None:
            record = replace(record, made_with=before.made_with)
        self.frames[self.run["command"], record.name] = record

    def add_untold(self, source: FrameSource) -> None:
        """Record a frame whose results a killed run left here; nothing where there is a record."""
        if self.former is None or (self.run["command"], source.name) in self.frames:
            return
        record = FrameRecord(source.name, str(source.path), warnings=(_UNTOLD,))
        same = what_matters(self.former) == what_matters(self.run)
        self.add(record if same else _dated(record, self.former))

    def write(self, folder: Path) -> None:
        """Write manifest.json, whole or not at all. Raises OutputError."""
        of_name = sorted(self.frames, key=lambda key: (key[1], key[0]))
        frames = [_without_blanks(asdict(self.frames[key])) for key in of_name]
        text = json.dumps({"format": FORMAT, "run": self.run, "frames": frames}, indent=2, ensure_ascii=False)
        write_text(folder / FILE_NAME, text + "\n")


def describe_run(
    command: str, device: str, weights: dict[str, dict[str, str]], settings: dict[str, Any]
) -> dict[str, Any]:
    """Put together the `run` entry. command: "cutout". weights: by stage, each with `name` and `sha256`."""
    return {
        "command": command,
        "version": __version__,
        "device": device,
        "weights": weights,
        "settings": settings,
    }


def what_matters(run: dict[str, Any]) -> dict[str, Any]:
    """The part of a run that changes its results: not the device it ran on."""
    return {key: run.get(key) for key in ("command", "version", "weights", "settings")}


def _differences(former: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What another look comes from. A kind of result that only one of two runs was asked for is no other
    look, nor is another version.
    """
    told = []
    for stage, weights in (now.get("weights") or {}).items():
        old = (former.get("weights") or {}).get(stage)
        if old is not None and old["sha256"] != weights["sha256"]:
            told.append(
                f"{stage} weights {old['name']} {old['sha256'][:8]}, not {weights['name']} "
                f"{weights['sha256'][:8]}"
            )
    before = former.get("settings") or {}
    for key, value in now["settings"].items():
        old = before.get(key, value)
        is_new_kind = key in _KINDS or (key == "background" and None in (old, value))
        if not is_new_kind and old != value:
            told.append(f"{key} {old}, not {value}")
    return told


def _command_of(record: FrameRecord, run: dict[str, Any]) -> str:
    return str((record.made_with or {}).get("command", run["command"]))


def _dated(record: FrameRecord, former: dict[str, Any]) -> FrameRecord:
    known = record.made_with or what_matters(former)
    return FrameRecord(**{**asdict(record), "warnings": record.warnings, "made_with": known})


def _without_blanks(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
