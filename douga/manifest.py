"""manifest.json: which Douga, which weights and which settings made the results of a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from douga import __version__
from douga.errors import InputError, OutputError
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


@dataclass
class Manifest:
    """The record of a result folder, over all runs of all commands that wrote into it.

    run: command, version, device, weights and settings of this run. masks: the user's own, in place of stage
    one. work: what the run is known by again, whatever its settings. frames: record by command and frame
    name.
    """

    run: dict[str, Any]
    masks: OwnMasks | None = None
    work: str = ""
    frames: dict[tuple[str, str], FrameRecord] = field(default_factory=dict)
    _recorded: set[tuple[str, str]] = field(default_factory=set)  # by this run
    _has_ended: bool = False

    @classmethod
    def continuing(
        cls,
        folder: Path,
        run: dict[str, Any],
        masks: OwnMasks | None = None,
        work: str = "",
        untold: Iterable[FrameRecord] = (),
    ) -> Manifest:
        """Start a run's manifest with what earlier runs recorded in the same folder.

        Records made with another version, other weights or settings say so from now on in `made_with`.
        untold: made by `untold`; they are taken for those of a run that was killed and made another look, if
        there was one. Raises InputError when there is a manifest that cannot be read: it is not ours to throw
        away.
        """
        found = _read(folder / FILE_NAME, run["command"])
        manifest = cls(run, masks, work, found.frames_beside(run))
        for record in untold:
            manifest._add_untold(record, found.begun_otherwise(run))
        return manifest

    def made_otherwise(self, source: FrameSource) -> str:
        """How the results of a frame that are there differ from what this run would make, for people.

        "depth 8, not 16"; empty where they do not, or nothing is known of them.
        """
        record = self.frames.get((self.run["command"], source.name))
        if record is None:
            return ""
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
            is_as_read = self.masks.stat(record.name) == record.mask_stat
            is_same = is_as_read or self.masks.sha256(record.name) == record.mask_sha256
        except InputError:
            return []  # told of where it is read
        return [] if is_same else ["with another mask of one's own"]

    def is_made_anew(self, source: FrameSource) -> bool:
        """Whether a run with --overwrite that was stopped has made this frame just as this run would."""
        record = self.frames.get((self.run["command"], source.name))
        if record is None or not record.anew or self.made_otherwise(source):
            return False
        return record.made_with is None or record.made_with == what_matters(self.run)

    def kinds_of(self, name: str) -> tuple[str, ...]:
        """The kinds of results of the frame of this name that are known to be Douga's."""
        record = self.frames.get((self.run["command"], name))
        return (record.kinds or ()) if record is not None else ()

    def end(self, names: Iterable[str]) -> None:
        """Know the run as ended and these frames as made, so that the next --overwrite makes them again."""
        self._has_ended = True
        for key in ((self.run["command"], name) for name in names):
            self.frames[key] = replace(self.frames[key], anew=None)
            self._recorded.add(key)

    def add(self, record: FrameRecord) -> None:
        """Record a frame, in place of what was known of it before.

        What could not be made leaves the results of before where they are, and so what they were made from
        and with. What was added to them leaves the preview, and so what it was laid over.
        """
        key = self.run["command"], record.name
        before = self.frames.get(key)
        if before is not None and before.has_results:
            if record.error is not None:
                record = replace(
                    before, seconds=None, warnings=record.warnings, error=record.error, anew=None
                )
            elif not record.anew:
                made_with, kinds = self._over_background_of(before), _joined(before.kinds, record.kinds)
                record = replace(record, made_with=made_with, kinds=kinds)
        self.frames[key] = record
        self._recorded.add(key)

    def _over_background_of(self, before: FrameRecord) -> dict[str, Any] | None:
        """This run, had it asked for the preview that is there; None where there is none or it did ask."""
        settings = (before.made_with or self.run).get("settings") or {}
        behind = {key: settings[key] for key in _BACKGROUND if settings.get(key) is not None}
        if not behind or self.run["settings"]["background"] is not None:
            return None
        now = what_matters(self.run)
        return {**now, "settings": {**now["settings"], **behind}}

    def _add_untold(self, record: FrameRecord, made_with: dict[str, Any] | None) -> None:
        """Record results that a killed run left here, or kinds of them beside those that are known."""
        key = self.run["command"], record.name
        before = self.frames.get(key)
        if before is not None and before.has_results:
            self.frames[key] = replace(before, kinds=_joined(before.kinds, record.kinds))
        else:
            self.frames[key] = replace(record, made_with=made_with)
        self._recorded.add(key)

    def write(self, folder: Path) -> None:
        """Write manifest.json, whole or not at all, with what other runs recorded there meanwhile.

        Raises OutputError.
        """
        path, own = folder / FILE_NAME, f"{self.run['command']} {self.work}"
        try:
            found = _read(path, self.run["command"])
        except InputError as exc:
            raise OutputError(str(exc)) from exc
        self.frames |= {k: v for k, v in found.frames_beside(self.run).items() if k not in self._recorded}
        of_name = sorted(self.frames, key=lambda key: (key[1], key[0]))
        begun = {key: run for key, run in found.begun.items() if key != own}
        content = {
            "format": FORMAT,
            "run": self.run,
            "begun": begun if self._has_ended else {**begun, own: what_matters(self.run)},
            "frames": [_without_blanks(asdict(self.frames[key])) for key in of_name],
        }
        write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


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
        found = _read(folder / FILE_NAME, command)
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


@dataclass(frozen=True)
class _Found:
    """A manifest as it is on disk. begun: what matters of the runs that have not come to their end."""

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


def _read(path: Path, command: str) -> _Found:
    """A manifest, empty where there is none. command: of a run that does not say. Raises InputError."""
    if not path.exists():
        return _Found({"command": command}, [], {})
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        begun = {key: what_matters(run) for key, run in old.get("begun", {}).items()}
        return _Found({"command": command, **old["run"]}, [_record(r) for r in old["frames"]], begun)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(
            f"{path} is there but is no manifest of Douga ({exc}); move it away or choose another --out"
        ) from exc


def _record(read: dict[str, Any]) -> FrameRecord:
    """Of what JSON has. Raises TypeError, where that is something else."""
    lists: dict[str, Any] = {key: tuple(read[key]) for key in ("warnings", "kinds") if key in read}
    return FrameRecord(**{**read, **lists})


def _joined(kinds: tuple[str, ...] | None, more: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if kinds is None or more is None else tuple(dict.fromkeys((*kinds, *more)))


def _command_of(record: FrameRecord, run: dict[str, Any]) -> str:
    return str((record.made_with or {}).get("command", run["command"]))


def _dated(record: FrameRecord, former: dict[str, Any]) -> FrameRecord:
    return replace(record, made_with=record.made_with or what_matters(former))


def _without_blanks(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
