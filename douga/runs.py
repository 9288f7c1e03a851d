"""Runs as the manifest knows them: what they were asked for, and whether two of them make the same look."""

from __future__ import annotations

from typing import Any

from douga import __version__

# Settings that ask for more files and change no other; so does a background where there was none.
_KINDS = ("premultiplied", "exr", "layers")
BACKGROUND = ("background", "background_sha256")  # of its file, where it is none of the plain colours


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


def differences(former: dict[str, Any], now: dict[str, Any]) -> list[str]:
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
        is_new_kind = key in _KINDS or (key in BACKGROUND and None in (old, value))
        if is_new_kind or old == value:
            continue
        if key != "background_sha256":
            told.append(f"{key} {old}, not {value}")
        elif before["background"] == now["settings"]["background"]:
            told.append(f"background {before['background']}, as it was before")
    return told
