"""Frames of animated layers. Krita's API makes none; its action does, one by one, each a step to undo."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from douga_client.tasks import DocumentError, Steps
from krita import Krita

from . import nodes
from .texts import text

_PATIENCE_S, _ASK_AGAIN_S = 10.0, 0.1  # for Krita to do something to an animation


class Animation:
    """Our animated group in a document. check_open: raises where the document is closed."""

    def __init__(self, document: Any, language: str, check_open: Callable[[], None]) -> None:
        self._doc, self._language, self._check_open = document, language, check_open
        self._group: Any = None
        self._layers: dict[str, Any] = {}

    def go_to(self, time: int) -> Steps[None]:
        """Make it the current frame."""
        until_s = monotonic() + _PATIENCE_S
        while self._doc.currentTime() != time and monotonic() < until_s:
            self._doc.setCurrentTime(time)
            yield True
            self._check_open()
        self._doc.waitForDone()
        yield True

    def layer(self, title: str, label: int) -> Steps[Any]:
        """The layer of that name in our group; both are made when they are wanted first."""
        if self._group is None:
            self._group = self._doc.createGroupLayer(text("title", self._language))
            self._doc.rootNode().addChildNode(self._group, None)
            yield from self._settle()
        if title not in self._layers:
            node = nodes.new_layer(self._doc, title, masked=False)
            node.setColorLabel(label)
            self._group.addChildNode(node, None)
            yield from self._settle()
            node.enableAnimation()
            yield from self._settle()
            self._layers[title] = node
        return self._layers[title]

    def add_frame(self, node: Any, time: int) -> Steps[None]:
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

    def _settle(self) -> Steps[None]:
        """Krita's layer list hears of a new layer later; until then the layer cannot become active."""
        until_s = monotonic() + _ASK_AGAIN_S
        while monotonic() < until_s:
            yield True
            self._check_open()
        self._doc.waitForDone()
