"""The panel's state without Krita: what a click leads to, what ends it, and what people are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from douga_client.api import Cutout, Reconstruction
from douga_client.errors import ClientError, Kind
from douga_client.fake import FakeClient
from douga_client.image import Pixels
from douga_krita.model import ALL_LAYERS, DocumentError, Frame, Model, Options, Steps
from douga_krita.texts import _TEXTS, text


class PlainDocument:
    """A white image with a black dot; keeps what was placed. trouble: raised when something is placed."""

    name = "plain"

    def __init__(self, trouble: Exception | None = None) -> None:
        self.placed: list[tuple[int | None, frozenset[str]]] = []
        self.trouble, self.reads = trouble, 0

    def read(self, source: str, time: int | None) -> Steps[Frame]:
        self.reads += 1
        if source == "selection":
            raise DocumentError("no_selection")
        yield False
        data = bytearray(b"\xff" * 4 * 16 * 8)
        data[:3] = b"\0\0\0"
        return Frame(Pixels(16, 8, "BGRA8", data), None, None, "converted" if source == "layer" else "")

    def place(
        self, result: Reconstruction | Cutout, frame: Frame, layers: frozenset[str], language: str
    ) -> Steps[None]:
        yield False
        if self.trouble is not None:
            raise self.trouble
        self.placed.append((None, layers))

    def place_frame(
        self, result: Reconstruction | Cutout, frame: Frame, layers: frozenset[str], language: str, time: int
    ) -> Steps[None]:
        yield True
        self.placed.append((time, layers))


def run(model: Model, ticks: int = 60) -> None:
    for _ in range(ticks):
        model.tick()


def test_nothing_is_opened_before_there_is_something_to_do() -> None:
    opened = []

    def open_client() -> FakeClient:
        opened.append(1)
        return FakeClient()

    model = Model(open_client)
    run(model, 5)
    assert opened == []
    document = PlainDocument()
    model.start("reconstruct", document, Options())
    run(model)
    assert opened == [1]
    assert document.placed == [(None, frozenset(ALL_LAYERS))]
    assert model.tasks[0].state == "done"
    assert not model.is_busy
    assert model.share == 1.0


def test_the_client_is_loaded_a_piece_a_tick() -> None:
    pieces = []

    def warm_up() -> Iterator[None]:
        for number in range(3):
            pieces.append(number)
            yield

    model = Model(FakeClient, warm_up=warm_up)
    document = PlainDocument()
    model.start("reconstruct", document, Options())
    model.tick()
    assert pieces == [0]
    assert document.reads == 0
    run(model)
    assert pieces == [0, 1, 2]
    assert len(document.placed) == 1


def test_frames_are_placed_one_after_the_other_in_their_order() -> None:
    model, document = Model(FakeClient), PlainDocument()
    model.start("reconstruct", document, Options(frames=(4, 6), layers=frozenset({"cel"})))
    run(model)
    assert document.placed == [(time, frozenset({"cel"})) for time in (4, 5, 6)]


def test_a_click_without_an_image_says_so() -> None:
    model = Model(FakeClient, "ja")
    assert model.start("reconstruct", None, Options()) == []
    assert model.status == text("no_document", "ja")


@pytest.mark.parametrize(
    ("source", "trouble", "told"),
    [
        ("selection", None, "Select something first."),
        ("image", DocumentError("closed"), "The image was closed meanwhile"),
        ("image", RuntimeError("wrapped C++ object deleted"), "made a mistake: RuntimeError: wrapped"),
    ],
)
def test_every_error_becomes_one_message(source: str, trouble: Exception | None, told: str) -> None:
    model = Model(FakeClient)
    model.start("reconstruct", PlainDocument(trouble), Options(source=source))
    run(model)
    assert [task.state for task in model.tasks] == ["failed"]
    assert told in model.status
    assert not model.is_busy


def test_the_servers_trouble_comes_with_its_mend() -> None:
    client = FakeClient()
    client.trouble = ClientError(Kind.TOKEN_NEEDED, address="gpu01:7610")
    model, document = Model(lambda: client), PlainDocument()
    model.start("reconstruct", document, Options())
    run(model)
    assert model.error is not None
    assert model.error.kind is Kind.TOKEN_NEEDED
    assert "wants a token" in model.status
    client.trouble = None
    model.start("reconstruct", document, Options())
    run(model)
    assert model.error is None
    assert len(document.placed) == 1


def test_cancel_ends_all_and_places_nothing() -> None:
    client = FakeClient()
    client.is_held = True
    model, document = Model(lambda: client), PlainDocument()
    model.start("reconstruct", document, Options())
    run(model, 10)
    model.start("reconstruct", document, Options())
    run(model, 10)
    model.cancel()
    client.is_held = False
    run(model)
    assert document.placed == []
    assert [task.state for task in model.tasks] == ["failed", "failed"]


def test_a_conversion_is_told() -> None:
    model = Model(FakeClient)
    model.start("reconstruct", PlainDocument(), Options(source="layer"))
    run(model)
    assert "Converted to sRGB" in model.status


def test_why_nothing_can_be_cut_out() -> None:
    model = Model(FakeClient)
    assert "Not known yet" in model.why_no_cutout
    model.ask()
    run(model, 5)
    assert "no weights for cutouts" in model.why_no_cutout


def test_every_text_is_there_in_both_languages() -> None:
    for key, (english, japanese) in _TEXTS.items():
        assert english, key
        assert japanese, key
