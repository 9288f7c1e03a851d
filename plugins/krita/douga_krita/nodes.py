"""Krita's layers: made, masked and filled, before they enter an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from douga_client.tasks import Steps
from krita import Krita
from PyQt5.QtCore import QByteArray

SRGB = "sRGB-elle-V2-srgbtrc.icc"
# Profiles that are sRGB with its own curve; "sRGB-elle-V2-g10.icc" is linear, "scRGB" and "esRGB" are wider.
_SRGB_NAMES = (
    *(SRGB.lower(), "srgb-elle-v4-srgbtrc.icc", "srgb built-in", "srgb iec61966-2.1", "srgb iec61966-2-1"),
    "artifex software srgb icc profile",
)
# A layer with a transparency mask that takes pixels; those that Krita's API makes take none. Without ICC
# profiles in it, since reading one takes longer than all the rest.
TEMPLATE, _TEMPLATE_PX = Path(__file__).with_name("masked_layer.kra"), 64
_kept: list[Any] = []


def open_template() -> Steps[None]:
    """Once for each start of Krita; opening takes 50 ms of work, closing too: each is a slice of its own."""
    if not _kept:
        document = opened(str(TEMPLATE))
        _kept.append(document.rootNode().childNodes()[0].duplicate())
        try:
            yield True
        finally:
            document.setModified(False)
            document.close()
        yield True


def opened(path: str) -> Any:
    """A document of our own. Krita would tell the user that its profiles are missing, as is meant to be."""
    app = Krita.instance()
    was_silent = app.batchmode()
    app.setBatchmode(True)
    try:
        return app.openDocument(path)
    finally:
        app.setBatchmode(was_silent)


def new_layer(document: Any, title: str, *, masked: bool) -> Any:
    """A layer of 8-bit sRGB that is in no image yet. masked: `open_template` has been done."""
    node = _kept[0].duplicate() if masked else document.createNode(title, "paintlayer")
    node.setName(title)
    if not is_srgb8(node):
        node.setColorSpace("RGBA", "U8", SRGB)
    return node


def mask_of(node: Any, title: str) -> Any:
    """The empty mask of a masked layer."""
    mask = node.childNodes()[0]
    mask.setName(title)
    mask.setPixelData(QByteArray(bytes(_TEMPLATE_PX**2)), 0, 0, _TEMPLATE_PX, _TEMPLATE_PX)
    return mask


def write(node: Any, data: bytes | bytearray, x: int, y: int, width: int, height: int) -> None:
    """Pixels of a layer or mask: BGRA, straight, or 8 bits."""
    node.setPixelData(QByteArray(bytes(data)), x, y, width, height)


def is_srgb8(thing: Any) -> bool:
    """Whether a document or layer has the pixels that the server takes."""
    return (
        thing.colorModel() == "RGBA"
        and thing.colorDepth() == "U8"
        and thing.colorProfile().lower() in _SRGB_NAMES
    )
