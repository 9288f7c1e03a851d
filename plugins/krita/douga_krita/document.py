"""Krita's document: the only module that reads and changes one. Everything in slices of milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any

from douga_client.api import Cutout, PaletteClass, Reconstruction
from douga_client.image import Pixels
from douga_client.layers import Band, class_bands, masked_bands
from douga_client.texts import class_title
from krita import Krita
from PyQt5.QtCore import QByteArray

from .model import CEL, CEL_MASK, DocumentError, Frame, Steps
from .texts import text

_SRGB = "sRGB-elle-V2-srgbtrc.icc"
_BAND_PIXELS = 1 << 18
_TEMPLATE = Path(__file__).with_name("masked_layer.kra")  # a layer whose transparency mask takes pixels
_TEMPLATE_PX = 64
_PATIENCE_S, _ASK_AGAIN_S = 10.0, 0.1  # for Krita to do something to an animation
# Krita's colour labels: 2 green, 3 yellow, 5 brown, 6 red, 7 purple, 8 grey.
_LABELS = {
    "visible_line": 8,
    "shading_line": 7,
    "color_edge": 2,
    "highlight_line": 6,
    "book_line": 5,
    "shading_fill": 7,
    "color_fill": 2,
    "highlight_fill": 3,
    "book_fill": 5,
}


class KritaDocument:
    """One open document; see `model.Document`."""

    def __init__(self, document: Any) -> None:
        self._doc = document
        self._file_name = Path(document.fileName()).name
        self._animated: dict[str, Any] = {}

    @classmethod
    def active(cls) -> KritaDocument | None:
        """The one that the user looks at."""
        document = Krita.instance().activeDocument()
        return None if document is None else cls(document)

    @property
    def name(self) -> str:
        """See `model.Document`; it outlives the document."""
        return self._file_name or "Krita"

    @property
    def is_open(self) -> bool:
        """Whether the user has not closed it."""
        return any(document == self._doc for document in Krita.instance().documents())

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, source: str, time: int | None) -> Steps[Frame]:
        """See `model.Document`."""
        self._check_open()
        if time is not None:
            yield from self._go_to(time)
        doc = self._doc
        width, height = doc.width(), doc.height()
        region, inside = self._selected() if source == "selection" else (None, None)
        if source == "layer":
            bands, converted = self._layer_bands(width, height)
        else:
            bands, converted = self._image_bands(width, height)
        data = bytearray()
        for band in bands:
            data += band
            yield False
            self._check_open()
        if not any(data[3::4]):
            raise DocumentError("empty")
        return Frame(Pixels(width, height, "BGRA8", data), region, inside, "converted" if converted else "")

    def _image_bands(self, width: int, height: int) -> tuple[Iterator[Any], bool]:
        doc = self._doc
        if _is_srgb8(doc):
            root = doc.rootNode()
            return _bands(lambda y, rows: root.projectionPixelData(0, y, width, rows), width, height), False
        return _bands(lambda y, rows: _projection(doc, y, width, rows), width, height), True

    def _layer_bands(self, width: int, height: int) -> tuple[Iterator[Any], bool]:
        node = self._doc.activeNode()
        if node is None or node.bounds().isEmpty():
            raise DocumentError("no_layer")
        if _is_srgb8(node):
            return _bands(lambda y, rows: node.projectionPixelData(0, y, width, rows), width, height), False
        copy = node.duplicate()
        copy.setColorSpace("RGBA", "U8", _SRGB)
        return _bands(lambda y, rows: copy.pixelData(0, y, width, rows), width, height), True

    def _selected(self) -> tuple[tuple[int, int, int, int], bytes | None]:
        """The selection's rectangle within the image, and its shape where it is no rectangle."""
        selection = self._doc.selection()
        if selection is None:
            raise DocumentError("no_selection")
        left, top = max(0, selection.x()), max(0, selection.y())
        right = min(self._doc.width(), selection.x() + selection.width())
        bottom = min(self._doc.height(), selection.y() + selection.height())
        if right <= left or bottom <= top:
            raise DocumentError("no_selection")
        region = (left, top, right - left, bottom - top)
        shape = bytes(selection.pixelData(*region)).translate(bytes(128) + b"\xff" * 128)
        return region, None if shape.find(0) < 0 else shape

    # -- making layers ---------------------------------------------------------------------------------------

    def place(
        self, result: Reconstruction | Cutout, frame: Frame, layers: frozenset[str], language: str
    ) -> Steps[None]:
        """See `model.Document`. The group enters the image when it is whole: that is the one step to undo."""
        group = self._doc.createGroupLayer(text("title", language))
        count = 0
        for title, label, bands, mask in self._planned(result, frame, layers, language):
            self._check(frame)
            node = self._new_layer(title, masked=mask is not None)
            for top, rows, data in bands:
                self._write(node, frame, result.width, top, rows, data)
                yield False
            if mask is not None:
                yield from self._fill_mask(node.childNodes()[0], frame, result.width, mask, language)
            node.setColorLabel(label)
            group.addChildNode(node, None)
            count += 1
            yield False
        if not count:
            raise DocumentError("nothing")
        self._check(frame)
        self._doc.rootNode().addChildNode(group, None)
        yield False
        self._doc.refreshProjection()

    def place_frame(
        self,
        result: Reconstruction | Cutout,
        frame: Frame,
        layers: frozenset[str],
        language: str,
        time: int,
    ) -> Steps[None]:
        """See `model.Document`. Krita makes frames of the active layer of the active document only."""
        self._check(frame)
        Krita.instance().setActiveDocument(self._doc)
        yield from self._go_to(time)
        for title, label, bands, mask in self._planned(result, frame, layers, language, every=True):
            node = yield from self._animated_layer(title, label, language)
            yield from self._add_frame(node, time)
            if mask is not None:
                bands = masked_bands(_crop(frame), mask, result.width, _BAND_PIXELS)
            for top, rows, data in bands:
                self._write(node, frame, result.width, top, rows, data)
                yield False
        self._doc.refreshProjection()

    def _planned(
        self,
        result: Reconstruction | Cutout,
        frame: Frame,
        layers: frozenset[str],
        language: str,
        *,
        every: bool = False,
    ) -> Iterator[tuple[str, int, Iterator[Band], bytes | None]]:
        """Title, colour label, pixels and mask of each layer, from the bottom up. every: empty ones too."""
        if isinstance(result, Cutout):
            yield text("alpha", language), 0, _cutout_bands(result), None
            return
        mask = _within(bytes(result.cel_mask), frame.inside)
        if CEL in layers and (every or any(mask)):
            masked = CEL_MASK in layers
            bands = (_plain_bands if masked else masked_bands)(_crop(frame), mask, result.width, _BAND_PIXELS)
            yield text("cel", language), 0, bands, mask if masked else None
        ids = _within(bytes(result.class_map), frame.inside)
        fills_first = sorted(result.palette.classes, key=lambda c: (not c.key.endswith("fill"), -c.class_id))
        for entry in fills_first:
            if entry.key in layers and (every or ids.find(entry.class_id) >= 0):
                yield from self._planned_class(entry, ids, result.width, language)

    @staticmethod
    def _planned_class(
        entry: PaletteClass, ids: bytes, width: int, language: str
    ) -> Iterator[tuple[str, int, Iterator[Band], None]]:
        title = class_title(entry.key, language)
        bands = class_bands(ids, width, entry.class_id, entry.colors[0], _BAND_PIXELS)
        yield title, _LABELS.get(entry.key, 0), bands, None

    def _new_layer(self, title: str, *, masked: bool) -> Any:
        node = _masked_layer() if masked else self._doc.createNode(title, "paintlayer")
        node.setName(title)
        if not _is_srgb8(node):
            node.setColorSpace("RGBA", "U8", _SRGB)
        return node

    def _fill_mask(self, node: Any, frame: Frame, width: int, mask: bytes, language: str) -> Steps[None]:
        node.setName(text("cel_mask", language))
        node.setPixelData(QByteArray(bytes(_TEMPLATE_PX**2)), 0, 0, _TEMPLATE_PX, _TEMPLATE_PX)
        rows = max(1, _BAND_PIXELS // width)
        for top in range(0, len(mask) // width, rows):
            part = mask[top * width : (top + rows) * width]
            self._write(node, frame, width, top, len(part) // width, part)
            yield False

    @staticmethod
    def _write(node: Any, frame: Frame, width: int, top: int, rows: int, data: bytes | bytearray) -> None:
        x, y = frame.region[:2] if frame.region else (0, 0)
        node.setPixelData(QByteArray(bytes(data)), x, y + top, width, rows)

    def _check_open(self) -> None:
        if not self.is_open:
            raise DocumentError("closed")

    def _check(self, frame: Frame) -> None:
        """Raises DocumentError where the result fits no more."""
        self._check_open()
        if (self._doc.width(), self._doc.height()) != (frame.pixels.width, frame.pixels.height):
            raise DocumentError("resized")

    # -- animation -------------------------------------------------------------------------------------------

    def _go_to(self, time: int) -> Steps[None]:
        until_s = monotonic() + _PATIENCE_S
        while self._doc.currentTime() != time and monotonic() < until_s:
            self._doc.setCurrentTime(time)
            yield True
        self._doc.waitForDone()
        yield True

    def _animated_layer(self, title: str, label: int, language: str) -> Steps[Any]:
        """The layer of that name in our animated group; both are made when they are wanted first."""
        if not self._animated:
            group = self._doc.createGroupLayer(text("title", language))
            self._doc.rootNode().addChildNode(group, None)
            self._animated[""] = group
            yield from self._settle()
        if title not in self._animated:
            node = self._new_layer(title, masked=False)
            node.setColorLabel(label)
            self._animated[""].addChildNode(node, None)
            yield from self._settle()
            node.enableAnimation()
            yield from self._settle()
            self._animated[title] = node
        return self._animated[title]

    def _settle(self) -> Steps[None]:
        """Krita's layer list hears of a new layer later; until then the layer cannot become active."""
        until_s = monotonic() + _ASK_AGAIN_S
        while monotonic() < until_s:
            yield True
            self._check_open()
        self._doc.waitForDone()

    def _add_frame(self, node: Any, time: int) -> Steps[None]:
        """An empty frame. Krita's timeline notices late which layer is active, so it is asked again."""
        asked_s, until_s = monotonic(), monotonic() + _PATIENCE_S
        while not node.hasKeyframeAtTime(time):
            if monotonic() - asked_s > _ASK_AGAIN_S:
                if self._doc.activeNode() == node:
                    Krita.instance().action("add_blank_frame").trigger()
                else:
                    self._doc.setActiveNode(node)
                asked_s = monotonic()
            yield True
            self._check_open()
            if monotonic() > until_s:
                raise DocumentError("no_frame", frame=time)
        self._doc.waitForDone()


@lru_cache(maxsize=1)
def _template() -> Any:
    """Krita's API makes masks that take no pixels; one that was loaded takes them."""
    document = Krita.instance().openDocument(str(_TEMPLATE))
    node = document.rootNode().childNodes()[0].duplicate()
    document.setModified(False)
    document.close()
    return node


def _masked_layer() -> Any:
    return _template().duplicate()


def _is_srgb8(thing: Any) -> bool:
    """Whether a document or layer has the pixels that the server takes."""
    return (
        thing.colorModel() == "RGBA" and thing.colorDepth() == "U8" and "srgb" in thing.colorProfile().lower()
    )


def _bands(read: Any, width: int, height: int) -> Iterator[Any]:
    rows = max(1, _BAND_PIXELS // max(1, width))
    for y in range(0, height, rows):
        yield read(y, min(rows, height - y))


def _projection(doc: Any, y: int, width: int, rows: int) -> bytes:
    """Rows of the image, converted to 8-bit sRGB by Krita. BGRA, straight."""
    image = doc.projection(0, y, width, rows)
    bits = image.constBits()
    bits.setsize(image.byteCount())
    return bytes(bits)


def _crop(frame: Frame) -> memoryview | bytearray:
    """The BGRA pixels of a frame's region."""
    pixels = frame.pixels
    if frame.region is None:
        return memoryview(pixels.data)
    x, y, width, height = frame.region
    view, out = memoryview(pixels.data), bytearray()
    for row in range(y, y + height):
        start = (row * pixels.width + x) * 4
        out += view[start : start + width * 4]
    return out


def _within(data: bytes, inside: bytes | None) -> bytes:
    """Zero outside of a selection."""
    if inside is None:
        return data
    both = int.from_bytes(data, "little") & int.from_bytes(inside, "little")
    return both.to_bytes(len(data), "little")


def _plain_bands(bgra: Any, mask: bytes, width: int, band_pixels: int) -> Iterator[Band]:
    view, rows = memoryview(bgra), max(1, band_pixels // width)
    for top in range(0, len(mask) // width, rows):
        part = view[top * width * 4 : (top + rows) * width * 4]
        yield top, len(part) // width // 4, bytearray(part)


def _cutout_bands(result: Cutout) -> Iterator[Band]:
    width, rows = result.width, max(1, _BAND_PIXELS // result.width)
    for top in range(0, result.height, rows):
        count = min(rows, result.height - top)
        part = slice(top * width, (top + count) * width)
        colours = bytes(result.colors[part.start * 3 : part.stop * 3])
        out = bytearray(4 * width * count)
        out[0::4], out[1::4], out[2::4] = colours[2::3], colours[1::3], colours[0::3]
        out[3::4] = result.alpha[part]
        yield top, count, out
