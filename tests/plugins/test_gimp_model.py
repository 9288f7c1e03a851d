"""The logic of the GIMP plug-in, which needs no GIMP."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from douga_client.api import Reconstruction
from douga_client.errors import ClientError, Kind
from douga_client.fake import FAKE_PALETTE, FakeClient
from douga_client.image import Pixels

FOLDER = Path(__file__).parents[2] / "plugins" / "gimp" / "douga_gimp"
FRAME = Pixels(2, 1, "RGBA8", bytes([0, 0, 0, 255, 255, 255, 255, 255]))


@pytest.fixture(scope="module")
def model() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("douga_model")
    sys.path.remove(str(FOLDER))


def result(ids: bytes) -> Reconstruction:
    return Reconstruction(len(ids), 1, bytes(len(ids)), ids, FAKE_PALETTE)


def test_layers_are_of_present_wanted_classes_lines_on_top(model: ModuleType) -> None:
    layers = model.class_layers(result(bytes([0, 6, 1, 6])), model.Choice())
    assert [layer.title for layer in layers] == ["visible line", "shading fill", "flat"]
    only = model.Choice(classes=frozenset({"shading_fill", "book_line"}))
    assert [layer.class_id for layer in model.class_layers(result(bytes([0, 6, 1, 6])), only)] == [6]


def test_a_layer_is_red_green_blue_alpha(model: ModuleType) -> None:
    layer = model.ClassLayer("x", 1, 0x102030, "NONE")
    assert model.rgba_bands(result(bytes([0, 1])), layer) == [
        (0, 1, bytes([0, 0, 0, 0, 0x10, 0x20, 0x30, 255]))
    ]


def test_cropped_keeps_rows_of_the_region(model: ModuleType) -> None:
    data = bytes(value for value in range(9) for _ in range(4))
    assert model.cropped(data, 3, (1, 1, 2, 2)) == bytes(value for value in (4, 5, 7, 8) for _ in range(4))


def test_a_request_carries_what_was_chosen(model: ModuleType) -> None:
    plain = model.request(FRAME, model.Choice(), None)
    assert (plain.palette, plain.line_width_px, plain.region) == (None, 0, None)
    chosen = model.request(FRAME, model.Choice(5, "retas", " a ", "b"), (0, 0, 1, 1))
    assert chosen.palette is not None
    assert (chosen.palette.name, chosen.cel_model, chosen.region) == ("retas", "a", (0, 0, 1, 1))


def test_run_tells_progress_and_returns_the_result(model: ModuleType) -> None:
    client, told = FakeClient(), []
    job = client.submit(model.request(FRAME, model.Choice(), None))
    found = model.run(client, job, lambda stage, share: told.append(stage))
    assert (found.class_map, told) == (bytes([1, 0]), ["cel", "lines"])


def test_run_raises_the_error_of_the_job(model: ModuleType) -> None:
    client = FakeClient()
    client.trouble = ClientError(Kind.TOKEN_NEEDED, address="a")
    with pytest.raises(ClientError) as caught:
        model.run(client, client.submit(model.request(FRAME, model.Choice(), None)), lambda *_: None)
    assert caught.value.kind is Kind.TOKEN_NEEDED


def test_every_text_has_a_translation(model: ModuleType) -> None:
    texts = importlib.import_module("douga_texts")
    assert all(texts.say(key.replace("_", " "), "ja") != key.replace("_", " ") for key in model.CLASS_KEYS)
    assert texts.say("Source", "en") == "Source"
