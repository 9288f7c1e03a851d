"""A result -> the layers to make, and the waiting in between. Knows neither GIMP nor GTK."""

from __future__ import annotations

import time
from dataclasses import dataclass

from douga_client.api import Client, InfoChanged, PaletteClass, Reconstruction, ServerInfo
from douga_client.choice import LABELS, Choice
from douga_client.image import Region
from douga_client.layers import class_bands

PALETTES = ("default", "kugler", "retas")
_TAGS = {"grey": "GRAY", "purple": "VIOLET"}


@dataclass(frozen=True)
class ClassLayer:
    """A layer to make. tag: name of a Gimp.ColorTag."""

    title: str
    class_id: int
    rgb: int
    tag: str


def class_layers(result: Reconstruction, choice: Choice) -> tuple[ClassLayer, ...]:
    """The layers of a result, top to bottom: classes that are wanted and have a pixel."""
    return tuple(_layer(entry) for entry in choice.layers_of(result))


def rgba_bands(result: Reconstruction, layer: ClassLayer) -> list[tuple[Region, bytes]]:
    """Pixels of a layer, RGBA straight, and where they are. What lies outside of all bands has none."""
    red, green, blue = layer.rgb >> 16 & 255, layer.rgb >> 8 & 255, layer.rgb & 255
    swapped = blue << 16 | green << 8 | red  # the client paints BGRA
    bands = class_bands(result.class_map, result.width, layer.class_id, swapped)
    return [(box, bytes(pixels)) for box, pixels in bands]


def ask(client: Client, timeout_s: float = 2.0) -> ServerInfo | None:
    """What a running server can do, for the dialog; None where none answers in time. Starts none."""
    client.ask()
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        for event in client.pump(0.02):
            if isinstance(event, InfoChanged):
                return event.info
        time.sleep(0.005)
    return None


def _layer(entry: PaletteClass) -> ClassLayer:
    label = LABELS.get(entry.key, "none")
    return ClassLayer(entry.title, entry.class_id, entry.colors[0], _TAGS.get(label, label.upper()))
