"""What the user chose -> a request; a result -> the layers to make. Knows neither GIMP nor GTK."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from douga_client.api import (
    Client,
    InfoChanged,
    Job,
    Palette,
    PaletteClass,
    Progress,
    Reconstruction,
    ReconstructRequest,
    ServerInfo,
)
from douga_client.errors import ClientError, Kind
from douga_client.image import Pixels
from douga_client.layers import class_bands, present_classes

# Top to bottom, as in the layered file of the command line; with GIMP's colour tag.
LAYERS = (
    ("visible_line", "GRAY"),
    ("book_line", "BROWN"),
    ("highlight_line", "RED"),
    ("shading_line", "VIOLET"),
    ("color_edge", "GREEN"),
    ("highlight_fill", "YELLOW"),
    ("shading_fill", "VIOLET"),
    ("color_fill", "GREEN"),
    ("book_fill", "BROWN"),
    ("flat", "NONE"),
)
CLASS_KEYS = tuple(key for key, _ in LAYERS)
PALETTES = ("default", "kugler", "retas")


@dataclass(frozen=True)
class Choice:
    """What the user chose. "" and 0: the server's default. classes: keys of those that get a layer."""

    line_width_px: int = 0
    palette: str = "default"
    cel_model: str = ""
    lines_model: str = ""
    classes: frozenset[str] = frozenset(CLASS_KEYS)
    has_cel: bool = True


@dataclass(frozen=True)
class ClassLayer:
    """A layer to make. tag: name of a Gimp.ColorTag."""

    title: str
    class_id: int
    rgb: int
    tag: str


def request(frame: Pixels, choice: Choice, region: tuple[int, int, int, int] | None) -> ReconstructRequest:
    """What the server is asked for. region: x, y, width, height of the part that is wanted."""
    return ReconstructRequest(
        frame,
        cel_model=choice.cel_model.strip(),
        lines_model=choice.lines_model.strip(),
        line_width_px=choice.line_width_px,
        palette=None if choice.palette == "default" else Palette(choice.palette),
        region=region,
    )


def class_layers(result: Reconstruction, choice: Choice) -> tuple[ClassLayer, ...]:
    """The layers of a result, top to bottom: classes that are wanted and have a pixel."""
    known = {entry.key: entry for entry in result.palette.classes}
    present = set(present_classes(result.class_map, range(256)))
    order = [*LAYERS, *((key, "NONE") for key in known if key not in CLASS_KEYS)]
    return tuple(
        _layer(known[key], tag)
        for key, tag in order
        if key in known
        and known[key].class_id in present
        and (key in choice.classes or key not in CLASS_KEYS)
    )


def rgba_bands(result: Reconstruction, layer: ClassLayer) -> list[tuple[int, int, bytes]]:
    """Pixels of a layer, RGBA straight: first row, number of rows, bytes. Rows without any are left out."""
    red, green, blue = layer.rgb >> 16 & 255, layer.rgb >> 8 & 255, layer.rgb & 255
    swapped = blue << 16 | green << 8 | red  # the client paints BGRA
    bands = class_bands(result.class_map, result.width, layer.class_id, swapped)
    return [(top, rows, bytes(pixels)) for top, rows, pixels in bands]


def cropped(data: bytes, width: int, region: tuple[int, int, int, int]) -> bytes:
    """The part of RGBA pixels within x, y, width, height."""
    x, y, w, h = region
    return b"".join(data[4 * (row * width + x) : 4 * (row * width + x + w)] for row in range(y, y + h))


def ask(client: Client, timeout_s: float = 0.5) -> ServerInfo | None:
    """What a running server can do, for the dialog; None where none answers at once. Starts none."""
    client.ask()
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        for event in client.pump(0.02):
            if isinstance(event, InfoChanged):
                return event.info
        time.sleep(0.005)
    return None


def run(
    client: Client, job: Job, told: Callable[[str, float], None], timeout_s: float = 900.0
) -> Reconstruction:
    """Pump until a job is done. told: gets its stage and overall share. Raises ClientError."""
    until_s = time.monotonic() + timeout_s
    while not job.is_done:
        if time.monotonic() > until_s:
            client.cancel(job)
        for event in client.pump(0.05):
            if isinstance(event, Progress) and event.job is job:
                told(event.stage, job.overall_share)
        if not job.is_done:
            time.sleep(min(client.pause_s, 0.01))
    if not isinstance(job.result, Reconstruction):
        raise job.error or ClientError(Kind.BUG, said="a job that is done without a result")
    return job.result


def _layer(entry: PaletteClass, tag: str) -> ClassLayer:
    return ClassLayer(entry.title, entry.class_id, entry.colors[0], tag)
