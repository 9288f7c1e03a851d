"""Krita's document: reads a frame from one and puts layers into it. Everything in slices of milliseconds.

With `picture`, `nodes` and `frames` it is all that touches a document; no other module does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from douga_client.api import Cutout, PaletteClass, Result
from douga_client.choice import LABELS, STACKING, Choice, place_of
from douga_client.image import Pixels
from douga_client.layers import Band, class_bands, cropped, masked_bands, part_of, within
from douga_client.tasks import DocumentError, Frame, Steps
from douga_client.texts import class_title
from krita import Krita

from . import nodes, picture
from .frames import Animation, go_to
from .texts import text

_BAND_PIXELS = 1 << 18
_MARK = "douga"  # annotation of an image with the ids of the groups that we made in it
_LOWEST = -len(STACKING) - 1  # rank of the cel's layer: below every class
# Krita's colour labels by their number.
_COLOURS = {"green": 2, "yellow": 3, "brown": 5, "red": 6, "purple": 7, "grey": 8}

Plane = bytes | bytearray  # 8 bits a pixel
Planned = tuple[str, int, Iterator[Band], Plane | None]  # title, colour label, pixels and mask of a layer


class KritaDocument:
    """One open document; see `tasks.Document`. source: one of `model.SOURCES`. times: frames, if numbered."""

    def __init__(
        self, document: Any, source: str = "visible", language: str = "en", times: Sequence[int] = ()
    ) -> None:
        self._doc, self._source, self._language = document, source, language
        self._file_name = Path(document.fileName()).name
        self._animation = Animation(times)

    @classmethod
    def active(cls, source: str, language: str, times: Sequence[int] = ()) -> KritaDocument | None:
        """The one that the user looks at."""
        document = Krita.instance().activeDocument()
        return None if document is None else cls(document, source, language, times)

    @property
    def name(self) -> str:
        """See `tasks.Document`."""
        return self._file_name or "Krita"

    @property
    def is_open(self) -> bool:
        """Whether the user has not closed it."""
        return any(document == self._doc for document in Krita.instance().documents())

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, time: int | None) -> Steps[Frame | None]:
        """See `tasks.Document`."""
        self._check_open()
        if time is not None:
            yield from go_to(self._doc, time)
        doc = self._doc
        width, height = doc.width(), doc.height()
        region, inside = picture.selected(doc) if self._source == "selection" else (None, None)
        if self._source == "layer":
            bands, is_converted = picture.layer_bands(doc)
        else:
            shown = yield from self._shown()
            bands, is_converted = picture.image_bands(shown, width, height)
        data, is_empty = bytearray(), True
        for band in bands:
            part = bytes(band)
            is_empty = is_empty and not part[3::4].strip(b"\0")
            data += part
            yield False
            self._check_open()
        if is_empty:
            if time is None:
                raise DocumentError("empty")
            return None
        notes = (text("converted", self._language),) if is_converted else ()
        return Frame(Pixels(width, height, "BGRA8", data), region, inside, notes)

    def _shown(self) -> Steps[Any]:
        """The document, or a copy of it in which what is not meant is hidden, and what is meant is not."""
        return (yield from picture.shown(self._doc, self._ours(), everything=self._source == "image"))

    def _ours(self) -> set[str]:
        return set(bytes(self._doc.annotation(_MARK)).decode("ascii", "replace").split())

    # -- making layers ---------------------------------------------------------------------------------------

    def prepare(self, choice: Choice) -> Steps[None]:
        """See `tasks.Document`."""
        if choice.has_cel and choice.has_mask:
            yield from nodes.open_template()

    def place(self, result: Result, frame: Frame, choice: Choice, time: int | None) -> Steps[Sequence[str]]:
        """See `tasks.Document`. The group enters the image when it is whole: that is the one step to undo."""
        if time is not None:
            return (yield from self._place_frame(result, frame, choice, time))
        group, made = self._doc.createGroupLayer(text("title", self._language)), []
        for _, (title, label, bands, mask) in self._planned(result, frame, choice):
            self._check(frame)
            if mask is not None:
                yield from nodes.open_template()
            node = nodes.new_layer(self._doc, title, masked=mask is not None)
            yield from self._fill(node, frame, bands)
            if mask is not None:
                mask_node = nodes.mask_of(node, text("cel_mask", self._language))
                yield from self._fill(mask_node, frame, _rows_of(mask, result.width))
            node.setColorLabel(label)
            group.addChildNode(node, None)
            made.append(title)
            yield False
        if not made:
            raise DocumentError("nothing")
        self._check(frame)
        yield from self._enter(group)
        return made

    def _place_frame(self, result: Result, frame: Frame, choice: Choice, time: int) -> Steps[Sequence[str]]:
        """Into a frame of animated layers, which enter the image when all is done, see `finish`."""
        made = []
        yield from self._animation.open()
        yield from self._animation.go_to(time)
        for rank, (title, label, bands, mask) in self._planned(result, frame, choice):
            self._check(frame)
            node = self._animation.layer(title, label, rank)
            if mask is not None:
                bands = masked_bands(_part(frame), mask, result.width, _BAND_PIXELS)
            yield from self._fill(node, frame, bands)
            made.append(f"{title} {time}")
        return made

    def finish(self) -> Steps[None]:
        """See `tasks.Document`."""
        group = self._doc.createGroupLayer(text("title", self._language))
        yield from self._animation.fill(group)
        self._check_open()
        if not group.childNodes():
            raise DocumentError("nothing")
        yield from self._enter(group)

    def release(self) -> None:
        """See `tasks.Document`."""
        self._animation.close()

    def _enter(self, group: Any) -> Steps[None]:
        """The one step to undo; then the image is computed anew: Krita leaves out what the group holds.

        Both are calls that cannot be cut, so each has a slice of its own.
        """
        yield True
        self._check_open()
        self._doc.setAnnotation(_MARK, "", " ".join([*self._ours(), group.uniqueId().toString()]).encode())
        self._doc.rootNode().addChildNode(group, None)
        yield True
        self._check_open()
        self._doc.refreshProjection()

    def _planned(self, result: Result, frame: Frame, choice: Choice) -> Iterator[tuple[int, Planned]]:
        """The layers from the bottom up, each with its place there: the same for every frame of a range,
        whichever layers a frame has.
        """
        if isinstance(result, Cutout):
            bands = _cutout_bands(part_of(result, frame.region, frame.inside))
            yield 0, (text("alpha", self._language), 0, bands, None)
            return
        mask, width = within(result.cel_mask, frame.inside), result.width
        if choice.has_cel and mask.find(255) >= 0:
            bands = (_plain_bands if choice.has_mask else masked_bands)(
                _part(frame), mask, width, _BAND_PIXELS
            )
            yield _LOWEST, (text("cel", self._language), 0, bands, mask if choice.has_mask else None)
        ids = within(result.class_map, frame.inside)
        for entry in reversed(choice.layers_of(result)):
            if ids.find(entry.class_id) >= 0:
                yield -place_of(entry.key), self._planned_class(entry, ids, width)

    def _planned_class(self, entry: PaletteClass, ids: Plane, width: int) -> Planned:
        title = class_title(entry.key, self._language)
        bands = class_bands(ids, width, entry.class_id, entry.colors[0], _BAND_PIXELS)
        return title, _COLOURS.get(LABELS.get(entry.key, ""), 0), bands, None

    def _fill(self, node: Any, frame: Frame, bands: Iterator[Band]) -> Steps[None]:
        x, y = frame.region[:2] if frame.region else (0, 0)
        for (left, top, width, height), data in bands:
            nodes.write(node, data, x + left, y + top, width, height)
            yield False

    def _check_open(self) -> None:
        if not self.is_open:
            raise DocumentError("closed")

    def _check(self, frame: Frame) -> None:
        """Raises DocumentError where the result fits no more."""
        self._check_open()
        if (self._doc.width(), self._doc.height()) != (frame.pixels.width, frame.pixels.height):
            raise DocumentError("resized")


def _part(frame: Frame) -> memoryview | bytearray:
    """The BGRA pixels of a frame's region."""
    pixels = frame.pixels
    return (
        memoryview(pixels.data) if frame.region is None else cropped(pixels.data, pixels.width, frame.region)
    )


def _rows_of(plane: Plane, width: int) -> Iterator[Band]:
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, len(plane) // width, rows):
        part = bytearray(plane[top * width : (top + rows) * width])
        yield (0, top, width, len(part) // width), part


def _plain_bands(bgra: Any, mask: Plane, width: int, band_pixels: int) -> Iterator[Band]:
    view, rows = memoryview(bgra), max(1, band_pixels // width)
    for top in range(0, len(mask) // width, rows):
        part = view[top * width * 4 : (top + rows) * width * 4]
        yield (0, top, width, len(part) // width // 4), bytearray(part)


def _cutout_bands(result: Cutout) -> Iterator[Band]:
    width, rows = result.width, max(1, _BAND_PIXELS // result.width)
    for top in range(0, result.height, rows):
        count = min(rows, result.height - top)
        part = slice(top * width, (top + count) * width)
        colours = bytes(result.colors[part.start * 3 : part.stop * 3])
        out = bytearray(4 * width * count)
        out[0::4], out[1::4], out[2::4] = colours[2::3], colours[1::3], colours[0::3]
        out[3::4] = result.alpha[part]
        yield (0, top, width, count), out
