"""The logic of the GIMP plug-in, which needs no GIMP."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from douga_client.api import Reconstruction
from douga_client.choice import Choice
from douga_client.fake import FAKE_PALETTE

FOLDER = Path(__file__).parents[2] / "plugins" / "gimp" / "douga_gimp"


@pytest.fixture(scope="module")
def model() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("douga_model")
    sys.path.remove(str(FOLDER))


def result(ids: bytes) -> Reconstruction:
    return Reconstruction(len(ids), 1, bytes(len(ids)), ids, FAKE_PALETTE)


def test_layers_are_of_present_wanted_classes_lines_on_top(model: ModuleType) -> None:
    layers = model.class_layers(result(bytes([0, 6, 1, 6])), Choice())
    assert [(layer.title, layer.tag) for layer in layers] == [
        ("visible line", "GRAY"),
        ("shading fill", "VIOLET"),
        ("flat", "NONE"),
    ]
    only = Choice(classes=frozenset({"shading_fill", "book_line"}))
    assert [layer.class_id for layer in model.class_layers(result(bytes([0, 6, 1, 6])), only)] == [6]


def test_a_layer_is_red_green_blue_alpha(model: ModuleType) -> None:
    layer = model.ClassLayer("x", 1, 0x102030, "NONE")
    assert model.rgba_bands(result(bytes([0, 1])), layer) == [((1, 0, 1, 1), bytes([0x10, 0x20, 0x30, 255]))]


def test_every_text_has_a_translation(model: ModuleType) -> None:
    texts = importlib.import_module("douga_texts")
    assert all(texts.say(text, "ja") != text for text in ("Source", "Palette", "Cel with mask"))
    assert texts.say("Source", "en") == "Source"
