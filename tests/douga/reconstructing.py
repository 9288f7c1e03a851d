"""What tests of ``douga reconstruct`` have in common: `douga.fakes` for networks, drawings, what came out."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from douga.cli import main
from douga.commands import equipment, frames
from douga.commands.session import Equipment, equip_locally
from douga.fakes import fake_stages
from douga.manifest import Manifest
from douga.own_masks import OwnMasks
from douga.pipeline import Settings, Stages

RESULTS = ("classes/{}.png", "cel_mask/{}.png", "cel/{}.png", "douga/{}.tga", "layers/{}.ora")


def leave_out_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command line take fakes."""

    def equip(args: object, settings: Settings) -> Equipment:
        mask = getattr(args, "mask", None)
        stages = fake_stages()
        if mask is not None:
            stages = Stages(OwnMasks(mask), stages.find_lines)
        return equip_locally(stages, settings, "cpu", fake)

    fake = {"lines": {"name": "fake", "sha256": "0" * 64}}
    monkeypatch.setattr(equipment, "load_equipment", equip)
    monkeypatch.setattr(frames, "_hashed", lambda _: fake)


def draw(path: Path, colour: tuple[int, int, int] = (230, 120, 40)) -> Path:
    """A painted box with a black outline on white."""
    picture = np.full((48, 64, 3), 255, np.uint8)
    cv2.rectangle(picture, (12, 10), (50, 38), colour, -1)
    cv2.rectangle(picture, (12, 10), (50, 38), (0, 0, 0), 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def shot_of(folder: Path, count: int = 3) -> Path:
    for n in range(1, count + 1):
        draw(folder / f"A{n:04d}.png", (230, 120, 40 + n))
    return folder


def files_of(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def manifest_of(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def records_of(folder: Path) -> dict[str, dict]:
    return {frame["name"]: frame for frame in manifest_of(folder)["frames"]}


def run_until_killed(argv: list[str]) -> None:
    """Run it to its last file with a manifest of its beginning, as a kill leaves no time to write another."""
    write, written = Manifest.write, []

    def write_once(manifest: Manifest, folder: Path) -> None:
        if not written:
            write(manifest, folder)
        written.append(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Manifest, "write", write_once)
        assert main(argv) == 0
