"""Frames of animated layers, made apart from the user's image, so that they enter it in one step to undo.

Krita's API makes no frames, and its actions make one at a time in the image that is in front. So a document
of our own is opened, whose only layer has all the frames, empty ones; duplicates of it are filled.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from douga_client.tasks import DocumentError, Steps

from . import nodes

_PATIENCE_S = 20.0  # for Krita to compute an image
_NO_PIXELS = b"VERSION 2\nTILEWIDTH 64\nTILEHEIGHT 64\nPIXELSIZE 4\nDATA 0\n"
_KEYS = (
    '<keyframes xmlns="http://www.calligra.org/DTD/krita"><channel name="content">{}</channel></keyframes>'
)
_KEY = '<keyframe time="{}" frame="{}" color-label="0"><offset type="point" x="0" y="0"/></keyframe>'


class Animation:
    """Layers that have the same frames. times: their numbers; before the first there is nothing."""

    def __init__(self, times: Sequence[int]) -> None:
        self._times = sorted({0, *times})
        self._document: Any = None
        self._layers: dict[str, Any] = {}
        self._ranks: dict[str, int] = {}

    def open(self) -> Steps[None]:
        """Once; it takes 50 ms of work."""
        if self._document is None:
            path = _written(self._times)
            self._document = nodes.opened(path)
            os.unlink(path)
            self._blank = self._document.rootNode().childNodes()[0]
            yield True

    def go_to(self, time: int) -> Steps[None]:
        """What is written next goes into that frame."""
        yield from go_to(self._document, time)

    def layer(self, title: str, label: int, rank: int) -> Any:
        """The layer of that name; made when it is wanted first.

        label: colour of Krita's. rank: those of higher ranks lie above it, whichever is wanted first.
        """
        if title not in self._layers:
            node = self._blank.duplicate()
            node.setName(title)
            node.setColorLabel(label)
            self._document.rootNode().addChildNode(node, None)
            self._layers[title] = node
            self._ranks[title] = rank
        return self._layers[title]

    def fill(self, group: Any) -> Steps[None]:
        """Put all layers into a group of another document, by their ranks."""
        for title in sorted(self._layers, key=self._ranks.__getitem__):
            group.addChildNode(self._layers[title].duplicate(), None)
            yield False

    def close(self) -> None:
        """Nothing more comes."""
        if self._document is not None:
            self._document.setModified(False)
            self._document.close()
            self._document = None


def go_to(document: Any, time: int) -> Steps[None]:
    """Make it the document's current frame, and wait until it is shown."""
    until_s = monotonic() + _PATIENCE_S
    document.setCurrentTime(time)
    while document.currentTime() != time or not document.tryBarrierLock():
        yield True
        if monotonic() > until_s:
            raise DocumentError("no_frame", frame=time)
    document.unlock()


def _written(times: Sequence[int]) -> str:
    """A file with one layer that has these frames, all empty: the template of masks, changed. Its path."""
    import tempfile
    import zipfile

    handle, path = tempfile.mkstemp(prefix="douga-", suffix=".kra")
    names = {time: f"layer2.f{time}" for time in times}
    with zipfile.ZipFile(Path(nodes.TEMPLATE)) as template, os.fdopen(handle, "wb") as file:
        main = re.sub("<masks>.*?</masks>", "", template.read("maindoc.xml").decode(), flags=re.DOTALL)
        main = main.replace(
            ' nodetype="paintlayer"', ' nodetype="paintlayer" keyframes="layer2.keyframes.xml"'
        )
        with zipfile.ZipFile(file, "w") as out:
            out.writestr("mimetype", template.read("mimetype"))
            out.writestr("maindoc.xml", main)
            keys = "".join(_KEY.format(time, name) for time, name in names.items())
            out.writestr("s/layers/layer2.keyframes.xml", _KEYS.format(keys))
            for name in ("layer2", *names.values()):
                out.writestr(f"s/layers/{name}", _NO_PIXELS)
                out.writestr(f"s/layers/{name}.defaultpixel", bytes(4))
    return path
