"""manifest.json: which Douga, which weights and which settings made the results of a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from douga import __version__
from douga.errors import InputError
from douga.frame_io import FrameSource, write_text

if TYPE_CHECKING:
    from douga.own_masks import OwnMasks

FILE_NAME = "manifest.json"
FORMAT = 1
# Settings that ask for more files and change no other; so does a background where there was none.
_KINDS = ("premultiplied", "exr", "layers")
_BACKGROUND = ("background", "background_sha256")  # of its file, where it is none of the plain colours
_UNTOLD = "made by a run that was killed before it could record it"


@dataclass(frozen=True)
class FrameRecord:
    """What is known of one frame's results.

    name: stem of the result files. input: path of the file that they were made from, as it was given. sha256,
    stat: of that file, the latter its size and mtime_ns. mask_sha256: of the user's own mask. seconds: from
    the end of its reading to the last file written. warnings: conversions and findings, for people. error:
    why there are none, or none but those of before. made_with: the run that made them, only where it was
    another one than the manifest's own, or another command. anew: made by a run with --overwrite that has not
    come to its end.
    """

    name: str
    input: str
    sha256: str | None = None
    stat: dict[str, int] | None = None
    mask_sha256: str | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    made_with: dict[str, Any] | None = None
    anew: bool | None = None


@dataclass
class Manifest:
    """The record of a result folder, over all runs of all commands that wrote into it.

    run: command, version, device, weights and settings of this run. masks: the user's own, in place of stage
    one. frames: record by command and frame name. former: the run before it, where that was of the same
    command.
    """

    run: dict[str, Any]
    masks: OwnMasks | None = None
    frames: dict[tuple[str, str], FrameRecord] = field(default_factory=dict)
    former: dict[str, Any] | None = None

    @classmethod
    def continuing(cls, folder: Path, run: dict[str, Any], masks: OwnMasks | None = None) -> Manifest:
        """Start a run's manifest with what earlier runs recorded in the same folder.

        Records made with another version, other weights or settings say so from now on in `made_with`. Raises
        InputError when there is a manifest that cannot be read: it is not ours to throw away.
        """
        found = _read(folder / FILE_NAME, run["command"])
        if found is None:
            return cls(run, masks)
        former, records = found
        if what_matters(former) != what_matters(run):
            records = [_dated(record, former) for record in records]
        frames = {(_command_of(record, run), record.name): record for record in records}
        return cls(run, masks, frames, former if former["command"] == run["command"] else None)

    def made_otherwise(self, source: FrameSource) -> str:
        """How the results of a frame that are there differ from what this run would make, for people.

        "depth 8, not 16"; empty where they do not, or nothing is known of them. Results without a record are
        taken for those of the run before this one, which was killed then.
        """
        record = self.frames.get((self.run["command"], source.name))
        if record is None:
            return "; ".join(_differences(self.former, self.run)) if self.former else ""
        told = self._other_input(record, source) + self._other_mask(record)
        if record.made_with is not None:
            told += _differences(record.made_with, self.run)
        return "; ".join(told)

    def _other_input(self, record: FrameRecord, source: FrameSource) -> list[str]:
        """Whether it was made from another file, or from what this one was before."""
        path = str(source.path)
        try:
            is_as_read = path == record.input and source.stat() == record.stat
            if record.sha256 is None or is_as_read or source.sha256() == record.sha256:
                return []
        except InputError:
            return []  # a file that cannot be read is told of where it is read
        return [f"from {record.input}, " + ("as it was before" if path == record.input else f"not {path}")]

    def _other_mask(self, record: FrameRecord) -> list[str]:
        """Whether the user's own mask was another one."""
        if self.masks is None or record.mask_sha256 is None:
            return []
        try:
            is_same = self.masks.sha256(record.name) == record.mask_sha256
        except InputError:
            return []  # told of where it is read
        return [] if is_same else ["with another mask of one's own"]

    def is_made_anew(self, source: FrameSource) -> bool:
        """Whether a run with --overwrite that was stopped has made this frame just as this run would."""
        record = self.frames.get((self.run["command"], source.name))
        if record is None or not record.anew or self.made_otherwise(source):
            return False
        return record.made_with is None or record.made_with == what_matters(self.run)

    def end_overwriting(self, names: Iterable[str]) -> None:
        """Know these frames as made, so that the next --overwrite makes them again."""
        for key in ((self.run["command"], name) for name in names):
            self.frames[key] = replace(self.frames[key], anew=None)

    def add(self, record: FrameRecord) -> None:
        """Record a frame, in place of what was known of it before.

        What could not be made leaves the results of before where they are, and so what they were made from
        and with. What was added to them leaves the preview, and so what it was laid over.
        """
        before = self.frames.get((self.run["command"], record.name))
        is_left = before is not None and (before.error is None or before.sha256 is not None)
        if before is not None and record.error is not None:
            made_from = before.input if is_left else record.input
            record = replace(
                before, input=made_from, seconds=None, warnings=record.warnings, error=record.error, anew=None
            )
        elif before is not None and is_left and not record.anew:
            record = replace(record, made_with=self._over_background_of(before))
        self.frames[self.run["command"], record.name] = record

    def _over_background_of(self, before: FrameRecord) -> dict[str, Any] | None:
        """This run, had it asked for the preview that is there; None where there is none or it did ask."""
        settings = (before.made_with or self.run).get("settings") or {}
        behind = {key: settings[key] for key in _BACKGROUND if settings.get(key) is not None}
        if not behind or self.run["settings"]["background"] is not None:
            return None
        now = what_matters(self.run)
        return {**now, "settings": {**now["settings"], **behind}}

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


def tells_of(folder: Path, command: str) -> bool:
    """Whether the manifest of a folder knows a command ("cutout"), so that its results there are Douga's.

    Raises InputError when there is a manifest that cannot be read.
    """
    found = _read(folder / FILE_NAME, command)
    if found is None:
        return False
    former, records = found
    return command in (former["command"], *(_command_of(record, former) for record in records))


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
        is_new_kind = key in _KINDS or (key in _BACKGROUND and None in (old, value))
        if is_new_kind or old == value:
            continue
        if key != "background_sha256":
            told.append(f"{key} {old}, not {value}")
        elif before["background"] == now["settings"]["background"]:
            told.append(f"background {before['background']}, as it was before")
    return told


def _read(path: Path, command: str) -> tuple[dict[str, Any], list[FrameRecord]] | None:
    """The run and the records of a manifest; None where there is none. command: of a run that does not say.

    Raises InputError.
    """
    if not path.exists():
        return None
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        records = [FrameRecord(**{**r, "warnings": tuple(r.get("warnings", ()))}) for r in old["frames"]]
        return {"command": command, **old["run"]}, records
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"{path} is there but is no manifest of Douga ({exc}); move it away or choose another --out"
        ) from exc


def _command_of(record: FrameRecord, run: dict[str, Any]) -> str:
    return str((record.made_with or {}).get("command", run["command"]))


def _dated(record: FrameRecord, former: dict[str, Any]) -> FrameRecord:
    known = record.made_with or what_matters(former)
    return FrameRecord(**{**asdict(record), "warnings": record.warnings, "made_with": known})


def _without_blanks(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
