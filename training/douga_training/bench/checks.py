"""Frames that no training sees, in the layout of `douga simulate`: real drawings over simulated backgrounds,
and simulated productions.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from douga.errors import MissingInputError
from douga.types import U8
from douga_training.simulate import store
from douga_training.simulate.given_cel import lift_from_paper
from douga_training.simulate.material import Material
from douga_training.simulate.production import Scene, broadcast_scene, composite_scene, draw_scene

REAL_SEED = 900_000  # training takes its seeds from below
SIMULATED_SEED = 950_000
SIZE_WH = (1920, 1080)


def read_drawings(real: Path) -> list[Material]:
    """The drawings of `../shared/real`: cels on white paper, and line drawings that get paint.

    Raises MissingInputError where none are there.
    """
    found = [_cel_on_white(real, path.name) for path in sorted((real / "cel_on_white").glob("*.png"))]
    for path in sorted((real / "douga").glob("*.png")):
        found.append(
            Material(_read(real, "class", path.name), _read(real, "cel", path.name), None, path.stem)
        )
    if not found:
        raise MissingInputError(
            f"{real}: no drawings there; expected cel_on_white/ or douga/, class/ and cel/"
        )
    return found


def _cel_on_white(real: Path, name: str) -> Material:
    ids, cel = _read(real, "class", name), _read(real, "cel", name)
    rgb, alpha = lift_from_paper(_read(real, "cel_on_white", name), cel)
    return Material(ids, alpha, rgb, Path(name).stem)


def _read(real: Path, kind: str, name: str) -> U8:
    with Image.open(real / kind / name) as image:
        return np.asarray(image.convert("RGB") if kind == "cel_on_white" else image)


def real_set(folder: Path, real: Path, count: int, size_wh: tuple[int, int] = SIZE_WH) -> list[str]:
    """Compose `count` frames of the real drawings, each with its broadcast twin; what is there is kept.

    Backgrounds, places, scales, light and finish are the simulator's own, without books, which would hide
    what little there is to measure. Returns the stems, NAME-SEED.
    """
    drawings = read_drawings(real)
    stems = []
    for i in _progress(count, "real drawings"):
        drawing = drawings[i % len(drawings)]
        stems.append(f"{drawing.name}-{REAL_SEED + i}")
        if not store.is_written(folder, stems[-1], with_broadcast=True):
            _write(
                folder,
                stems[-1],
                draw_scene(REAL_SEED + i, size_wh, given=[drawing], book=0.0, alike=0.0),
            )
    return stems


def simulated_set(folder: Path, count: int, size_wh: tuple[int, int] = SIZE_WH) -> list[str]:
    """Draw `count` productions of all kinds of shots, each with its broadcast twin; what is there is kept."""
    stems = []
    for seed in (SIMULATED_SEED + i for i in _progress(count, "simulated frames")):
        stems.append(str(seed))
        if not store.is_written(folder, stems[-1], with_broadcast=True):
            _write(folder, stems[-1], draw_scene(seed, size_wh, alike=0.0))
    return stems


def _progress(count: int, what: str) -> tqdm:
    return tqdm(range(count), desc=f"drawing {what}", unit="frame", disable=None)


def _write(folder: Path, stem: str, scene: Scene) -> None:
    production = replace(composite_scene(scene), name=stem)
    store.write_production(folder, production, broadcast_scene(scene, production))
