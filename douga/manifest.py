"""manifest.json: which Douga, which weights and which settings made the results of a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from douga import __version__
from douga.errors import InputError
from douga.frame_io import atomic_path

FILE_NAME = "manifest.json"
FORMAT = 1
# Settings that ask for more files and change no other; so does a background where there was none.
_KINDS = ("premultiplied", "exr", "layers")


@dataclass(frozen=True)
class FrameRecord:
    """What is known of one frame's results.

    name: stem of the result files. input: path of the file as it was given. sha256: of that file. seconds:
    from the end of its reading to the last file written. warnings: conversions and findings, for people.
    error: why there are no results. made_with: the run that made them, only where it was another one than the
    manifest's own.
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
    """The record of a result folder, over all runs that wrote into it.

    run: version, device, weights and settings of this run. frames: record by frame name.
    """

    run: dict[str, Any]
    frames: dict[str, FrameRecord] = field(default_factory=dict)

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
            former = old["run"]
            records = [FrameRecord(**{**r, "warnings": tuple(r.get("warnings", ()))}) for r in old["frames"]]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise InputError(
                f"{path} is there but is no manifest of Douga ({exc}); move it away or choose another --out"
            ) from exc
        if what_matters(former) != what_matters(run):
            records = [_dated(record, former) for record in records]
        return cls(run, {record.name: record for record in records})

    def made_otherwise(self, name: str) -> str:
        """How the results of a frame that are there differ from what this run would make, for people.

        "depth 8, not 16"; empty where they do not, or nothing is known of them.
        """
        record = self.frames.get(name)
        if record is None or record.error is not None or record.made_with is None:
            return ""
        return "; ".join(_differences(record.made_with, self.run))

    def add(self, record: FrameRecord) -> None:
        """Record a frame, in place of what was known of it before."""
        self.frames[record.name] = record

    def write(self, folder: Path) -> None:
        """Write manifest.json, whole or not at all. Raises OutputError."""
        frames = [_without_blanks(asdict(self.frames[name])) for name in sorted(self.frames)]
        text = json.dumps({"format": FORMAT, "run": self.run, "frames": frames}, indent=2, ensure_ascii=False)
        with atomic_path(folder / FILE_NAME) as unfinished:
            unfinished.write_text(text + "\n", encoding="utf-8")


def describe_run(device: str, weights: dict[str, dict[str, str]], settings: dict[str, Any]) -> dict[str, Any]:
    """Put together the `run` entry. weights: by stage, each with `name` and `sha256`."""
    return {"version": __version__, "device": device, "weights": weights, "settings": settings}


def what_matters(run: dict[str, Any]) -> dict[str, Any]:
    """The part of a run that changes its results: not the device it ran on."""
    return {key: run.get(key) for key in ("version", "weights", "settings")}


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
    for key, value in now["settings"].items():
        old = (former.get("settings") or {}).get(key)
        is_new_kind = key in _KINDS or (key == "background" and None in (old, value))
        if not is_new_kind and old != value:
            told.append(f"{key} {old}, not {value}")
    return told


def _dated(record: FrameRecord, former: dict[str, Any]) -> FrameRecord:
    known = record.made_with or what_matters(former)
    return FrameRecord(**{**asdict(record), "warnings": record.warnings, "made_with": known})


def _without_blanks(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
