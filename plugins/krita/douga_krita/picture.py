"""What of a document is meant -> rows of BGRA pixels, 8 bits, sRGB, straight; Krita converts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from douga_client.image import Region
from douga_client.tasks import DocumentError, Steps

from .frames import go_to
from .nodes import SRGB, is_srgb8

Bands = Iterator[Any]
_BAND_PIXELS, _CONVERTED_PIXELS = 1 << 18, 1 << 15  # converting takes ten times as long and more


def shown(document: Any, ours: set[str], *, everything: bool) -> Steps[Any]:
    """The document itself, or a copy in which our own results are hidden, so that a second click sees what
    the first one saw. everything: hidden layers are shown too. The user's image stays as it is.
    """
    changes = list(_changes(document, ours, everything=everything))
    if not any(wanted is not None for wanted in changes):
        return document
    copy = document.clone()
    yield True
    _change(list(zip(_walk(copy.rootNode()), changes, strict=True)))
    yield from go_to(copy, document.currentTime())
    return copy


def image_bands(document: Any, width: int, height: int) -> tuple[Bands, bool]:
    """All that is visible, and whether it was converted."""
    if is_srgb8(document):
        root = document.rootNode()
        return _bands(lambda y, rows: root.projectionPixelData(0, y, width, rows), width, height), False
    convert = lambda y, rows: _projection(document, y, width, rows)  # noqa: E731
    return _bands(convert, width, height, _CONVERTED_PIXELS), True


def layer_bands(document: Any) -> tuple[Bands, bool]:
    """The selected layer with its masks, or the selected group, and whether it was converted."""
    node, width, height = document.activeNode(), document.width(), document.height()
    if node is None or node.type().endswith("mask") or node.bounds().isEmpty():
        raise DocumentError("no_layer")
    if is_srgb8(node):
        return _bands(lambda y, rows: node.projectionPixelData(0, y, width, rows), width, height), False

    def convert(y: int, rows: int) -> Any:
        scratch = document.createNode("", "paintlayer")
        scratch.setColorSpace(node.colorModel(), node.colorDepth(), node.colorProfile())
        scratch.setPixelData(node.projectionPixelData(0, y, width, rows), 0, y, width, rows)
        scratch.setColorSpace("RGBA", "U8", SRGB)
        return scratch.pixelData(0, y, width, rows)

    return _bands(convert, width, height, _CONVERTED_PIXELS), True


def selected(document: Any) -> tuple[Region, bytes | None]:
    """The selection's rectangle within the image, and its shape (255 inside) where it is no rectangle."""
    selection = document.selection()
    if selection is None:
        raise DocumentError("no_selection")
    left, top = max(0, selection.x()), max(0, selection.y())
    right = min(document.width(), selection.x() + selection.width())
    bottom = min(document.height(), selection.y() + selection.height())
    if right <= left or bottom <= top:
        raise DocumentError("no_selection")
    region = (left, top, right - left, bottom - top)
    shape = bytes(selection.pixelData(*region)).translate(bytes(128) + b"\xff" * 128)
    return region, None if shape.find(0) < 0 else shape


def _change(wishes: list[tuple[Any, bool | None]]) -> None:
    """Take away what has to go and show what has to be seen.

    Krita's API does not compute an image anew where a layer's visibility is set, but in its own threads where
    a layer is put in or taken away.
    """
    shown: list[Any] = []
    for node, wanted in wishes:
        if wanted is False:
            node.remove()
        elif wanted:
            node.setVisible(True)
            if not any(_is_within(node, other) for other in shown):
                shown.append(node)
    for node in shown:
        node.parentNode().addChildNode(node.duplicate(), node)
        node.remove()


def _is_within(node: Any, group: Any) -> bool:
    while node is not None:
        if node.uniqueId() == group.uniqueId():
            return True
        node = node.parentNode()
    return False


def _changes(document: Any, ours: set[str], *, everything: bool) -> Iterator[bool | None]:
    """For each layer: whether it has to be visible, None where it stays as it is."""
    for node in _walk(document.rootNode()):
        if node.uniqueId().toString() in ours:
            yield False if node.visible() else None
        else:
            is_hidden = everything and not node.visible() and not node.type().endswith("mask")
            yield True if is_hidden else None


def _walk(node: Any) -> Iterator[Any]:
    for child in node.childNodes():
        yield child
        yield from _walk(child)


def _bands(read: Callable[[int, int], Any], width: int, height: int, pixels: int = _BAND_PIXELS) -> Bands:
    rows = max(1, pixels // max(1, width))
    for y in range(0, height, rows):
        yield read(y, min(rows, height - y))


def _projection(document: Any, y: int, width: int, rows: int) -> bytes:
    image = document.projection(0, y, width, rows)
    bits = image.constBits()
    bits.setsize(image.byteCount())
    return bytes(bits)
