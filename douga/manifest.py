"""What a run knows of a result folder and records there: how frames were made, and which to make again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from douga.errors import InputError, OutputError
from douga.frame_io import FrameSource
from douga.manifest_file import FILE_NAME, FrameRecord, read_manifest, write_manifest
from douga.runs import BACKGROUND, differences, what_matters

if TYPE_CHECKING:
    from douga.own_masks import OwnMasks


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
        untold: of `douga.manifest_file.untold`; they are taken for those of a run that was killed and made
        another look, if there was one. Raises InputError when there is a manifest that cannot be read: it is
        not ours to throw away.
        """
        found = read_manifest(folder / FILE_NAME, run["command"])
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
            told += differences(record.made_with, self.run)
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
        behind = {key: settings[key] for key in BACKGROUND if settings.get(key) is not None}
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
            found = read_manifest(path, self.run["command"])
        except InputError as exc:
            raise OutputError(str(exc)) from exc
        self.frames |= {k: v for k, v in found.frames_beside(self.run).items() if k not in self._recorded}
        begun = {key: run for key, run in found.begun.items() if key != own}
        if not self._has_ended:
            begun[own] = what_matters(self.run)
        of_name = sorted(self.frames, key=lambda key: (key[1], key[0]))
        write_manifest(path, self.run, begun, (self.frames[key] for key in of_name))


def _joined(kinds: tuple[str, ...] | None, more: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if kinds is None or more is None else tuple(dict.fromkeys((*kinds, *more)))
