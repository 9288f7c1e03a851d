"""Productions on disk: one folder a kind of truth, one PNG a frame. The output layout and the training cache
in one.

    DIR/frame/STEM.png        RGB
    DIR/classes/STEM.png      indexed, the index is the class id; none of a cel that nobody traced
    DIR/cel_mask/STEM.png     grey, 0 or 255
    DIR/alpha/STEM.png        grey, straight
    DIR/book_mask/STEM.png    grey, 0 or 255
    DIR/background/STEM.png   RGB
    DIR/cel/STEM.png          RGBA, straight
    DIR/found_mask/STEM.png   grey, 0 or 255: what stage one finds in the frame, if `found_masks` was asked
    DIR/broadcast/...         the same again for the broadcast twins; their truth is a link to the files above
    DIR/simulation.json       settings of every frame

Files appear whole or not at all; the frame is written last, so a stem with a frame is complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from douga.classes import DougaClass
from douga.errors import InputError, MissingInputError, OutputError
from douga.export.png import encode_indexed
from douga_training.simulate.production import Production

U8 = NDArray[np.uint8]
TRUTH_KINDS = ("classes", "cel_mask", "alpha", "book_mask", "background", "cel")
KINDS = (*TRUTH_KINDS, "frame")  # in the order of writing
BROADCAST = "broadcast"
INDEX = "simulation.json"
FOUND = "found_mask"  # what stage one finds: see `douga_training.found_masks`

# Colours of the class maps: ids are what counts, these are for people.
_COLOURS: dict[DougaClass, tuple[int, int, int]] = {
    DougaClass.FLAT: (255, 255, 255),
    DougaClass.VISIBLE_LINE: (0, 0, 0),
    DougaClass.SHADING_LINE: (60, 20, 200),
    DougaClass.COLOR_EDGE: (0, 160, 60),
    DougaClass.HIGHLIGHT_LINE: (235, 30, 30),
    DougaClass.BOOK_LINE: (110, 110, 110),
    DougaClass.SHADING_FILL: (196, 180, 240),
    DougaClass.COLOR_FILL: (170, 235, 200),
    DougaClass.HIGHLIGHT_FILL: (255, 243, 150),
    DougaClass.BOOK_FILL: (205, 205, 205),
}
CLASS_COLOURS = np.array([_COLOURS[c] for c in DougaClass], np.uint8)  # (10, 3) RGB


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it. Raises OutputError where that is not possible."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise OutputError(
            f"{path}: cannot be written ({exc.strerror}); choose another folder or make room"
        ) from exc


def png_bytes(image: U8, *, compression: int = 1) -> bytes:
    """Encode grey (H, W), RGB (H, W, 3) or straight RGBA (H, W, 4).

    compression: 0 to 9; 1 is fast and still small.
    """
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    _, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    return data.tobytes()


def is_written(folder: Path, stem: str, *, with_broadcast: bool = False) -> bool:
    """True where a stem is complete, with its twin if that is asked for."""
    twin = folder / BROADCAST / "frame" / f"{stem}.png"
    return (folder / "frame" / f"{stem}.png").is_file() and (not with_broadcast or twin.is_file())


def write_production(folder: Path, production: Production, twin: Production | None = None) -> None:
    """Write a production and, if given, its broadcast twin.

    What is there of it is replaced, its twin and found masks as well: they were of another truth. Raises
    OutputError.
    """
    file = f"{production.name}.png"
    kinds = [kind for kind in KINDS if kind != "classes" or production.is_traced]
    for root in (folder / BROADCAST, folder):
        for kind in ("frame", FOUND, *(TRUTH_KINDS if root != folder else set(KINDS) - set(kinds))):
            (root / kind / file).unlink(missing_ok=True)
    if twin is not None:
        write_whole(folder / BROADCAST / "frame" / file, png_bytes(twin.frame))
    for kind in kinds:
        image: U8 = getattr(production, kind)
        data = encode_indexed(image, CLASS_COLOURS) if kind == "classes" else png_bytes(image)
        if twin is not None and kind in TRUTH_KINDS:
            write_whole(folder / kind / file, data)
            _link(folder / kind / file, folder / BROADCAST / kind / file, data)
        else:
            write_whole(folder / kind / file, data)


def _link(truth: Path, path: Path, data: bytes) -> None:
    """Give the twin the same truth without spending the room twice, where the file system can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(truth)
    except OSError:
        write_whole(path, data)


def update_index(folder: Path, frames: Mapping[str, Any]) -> None:
    """Add the settings of frames to DIR/simulation.json, keeping what stands there."""
    known = read_index(folder)
    text = json.dumps({"format": 1, "frames": dict(sorted({**known, **frames}.items()))}, indent=1)
    write_whole(folder / INDEX, text.encode())


def read_index(folder: Path) -> dict[str, Any]:
    """The settings of frames by stem, empty where there is no index. Raises InputError."""
    path = folder / INDEX
    if not path.is_file():
        return {}
    try:
        frames: dict[str, Any] = json.loads(path.read_text("utf-8"))["frames"]
    except (ValueError, KeyError) as exc:
        raise InputError(f"{path}: not a simulation index ({exc}); move it away and run again") from exc
    return frames


def stems(folder: Path) -> list[str]:
    """Stems of all complete productions of a folder, sorted.

    Raises MissingInputError where there are none.
    """
    found = sorted(path.stem for path in (folder / "frame").glob("[!.]*.png"))
    if not found:
        raise MissingInputError(
            f"{folder}: no productions here; expected frame/STEM.png, as `douga simulate` writes"
        )
    return found


def read_image(folder: Path, kind: str, stem: str, made_by: str = "") -> U8:
    """Read one picture of a production as it is in `Production`.

    kind: one of KINDS, or another folder of grey pictures. made_by: the command that writes them, for errors;
    left out, `douga simulate` where the folder is of its making. Raises InputError.
    """
    path = folder / kind / f"{stem}.png"
    missing, again = _mends(folder, made_by)
    try:
        if kind == "classes":
            with Image.open(path) as image:
                return np.asarray(image)
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except FileNotFoundError as exc:
        raise MissingInputError(f"{path}: not there; {missing}") from exc
    except (OSError, UnidentifiedImageError) as exc:
        raise InputError(f"{path}: cannot be read ({exc}); {again}") from exc
    modes: dict[str, tuple[int, Callable[[U8], U8]]] = {
        "frame": (cv2.IMREAD_COLOR_RGB, lambda image: image),
        "background": (cv2.IMREAD_COLOR_RGB, lambda image: image),
        "cel": (cv2.IMREAD_UNCHANGED, lambda image: cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)),
    }
    mode, convert = modes.get(kind, (cv2.IMREAD_GRAYSCALE, lambda image: image))
    decoded = cv2.imdecode(data, mode) if len(data) else None
    if decoded is None:
        raise InputError(f"{path}: not a readable PNG; {again}")
    return convert(decoded)


def is_simulated(folder: Path) -> bool:
    """Whether a folder is of the simulator's making, and not a studio's own."""
    return (folder / INDEX).is_file() or (folder.name == BROADCAST and (folder.parent / INDEX).is_file())


def _mends(folder: Path, made_by: str) -> tuple[str, str]:
    """What to do about a picture that is not there, and about one that is broken."""
    if not made_by and not is_simulated(folder):
        return "add it, or move its frame away", "write it again"
    command = made_by or f"douga simulate --out {folder}"
    return f"make it with `{command}`", f"make it again with `{command} --overwrite`"


def read_production(folder: Path, stem: str) -> Production:
    """Read a whole production back, meta included where the index has it. Raises InputError."""
    index = read_index(folder) or (read_index(folder.parent) if folder.name == BROADCAST else {})
    meta = index.get(stem, {})
    kinds = [kind for kind in KINDS if kind != "classes" or meta.get("traced", True)]
    images = {kind: read_image(folder, kind, stem) for kind in kinds}
    images.setdefault("classes", np.zeros_like(images["cel_mask"]))
    return Production(**images, name=stem, meta=meta)
