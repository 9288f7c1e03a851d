"""The panel's state without Krita: what a click leads to, what ends it, and what people are told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from douga_client.api import Result
from douga_client.choice import Choice
from douga_client.errors import ClientError, Kind
from douga_client.fake import FakeClient
from douga_client.image import Pixels
from douga_client.tasks import DocumentError, Frame, Steps
from douga_krita.model import ALL_LAYERS, SOURCES, Model
from douga_krita.texts import _TEXTS, text


class PlainDocument:
    """A white image with a black dot. refusal: raised when it is read; trouble: when something is placed."""

    name = "plain"

    def __init__(self, refusal: Exception | None = None, trouble: Exception | None = None) -> None:
        self.placed: list[int | None] = []
        self._refusal, self._trouble = refusal, trouble

    def read(self, time: int | None) -> Steps[Frame | None]:
        if self._refusal is not None:
            raise self._refusal
        yield False
        data = bytearray(b"\xff" * 4 * 16 * 8)
        data[:3] = b"\0\0\0"
        return Frame(Pixels(16, 8, "BGRA8", data), notes=("Converted to sRGB.",))

    def prepare(self, choice: Choice) -> Steps[None]:
        yield True

    def place(self, result: Result, frame: Frame, choice: Choice, time: int | None) -> Steps[Sequence[str]]:
        yield False
        if self._trouble is not None:
            raise self._trouble
        self.placed.append(time)
        return ["a layer"]

    def finish(self) -> Steps[None]:
        yield False

    def release(self) -> None:
        """Nothing is kept."""


def run(model: Model, ticks: int = 60) -> None:
    for _ in range(ticks):
        model.tick()


def test_a_click_to_its_end() -> None:
    model, document, told = Model(FakeClient), PlainDocument(), list[str]()
    model.changed = lambda: told.append(model.status)
    model.start("reconstruct", document, Choice(), (3, 4))
    assert model.is_busy
    run(model)
    assert document.placed == [3, 4]
    assert not model.is_busy
    assert model.share == 1.0
    assert model.status.startswith("plain: done, ")
    assert model.status.endswith(" s Converted to sRGB.")  # once, though two frames were
    assert any(status.startswith("plain 2/2: ") for status in told), told


def test_a_click_without_an_image_says_so() -> None:
    model = Model(FakeClient, "ja")
    model.start("reconstruct", None, Choice())
    assert model.status == text("no_document", "ja")
    assert not model.is_busy


@pytest.mark.parametrize(
    ("refusal", "trouble", "told"),
    [
        (DocumentError("no_selection"), None, "Select something first."),
        (None, DocumentError("closed"), "The image was closed meanwhile, so the layers of plain had"),
        (None, DocumentError("no_frame", frame=7), "Krita took too long to show frame 7 of plain"),
        (None, RuntimeError("wrapped C++ object deleted"), "made a mistake: RuntimeError: wrapped"),
    ],
)
def test_every_error_becomes_one_message(
    refusal: Exception | None, trouble: Exception | None, told: str
) -> None:
    model = Model(FakeClient)
    model.start("reconstruct", PlainDocument(refusal, trouble), Choice())
    run(model)
    assert told in model.status
    assert not model.is_busy


def test_the_servers_trouble_comes_with_its_mend() -> None:
    client = FakeClient()
    client.trouble = ClientError(Kind.TOKEN_NEEDED, address="gpu01:7610")
    model, document = Model(lambda: client), PlainDocument()
    model.start("reconstruct", document, Choice())
    run(model)
    assert model.error is client.trouble
    assert "wants a token" in model.status
    client.trouble = None
    model.start("reconstruct", document, Choice())
    run(model)
    assert model.error is None
    assert document.placed == [None]


def test_cancel_ends_all_and_places_nothing() -> None:
    client, document = FakeClient(), PlainDocument()
    client.is_held = True
    model = Model(lambda: client)
    for _ in range(3):
        model.start("reconstruct", document, Choice())
        run(model, 5)
    model.cancel()
    client.is_held = False
    run(model)
    assert document.placed == []
    assert model.status == "Cancelled."


def test_asking_tells_what_answers_and_what_it_cannot_do() -> None:
    model = Model(FakeClient)
    assert "Not known yet" in model.why_no_cutout
    model.ask()
    run(model, 5)
    assert "no weights for cutouts" in model.why_no_cutout
    assert model.status == "Douga 0.1.0 answers on cpu."


def test_every_text_is_there_in_both_languages() -> None:
    for key, (english, japanese) in _TEXTS.items():
        assert english, key
        assert japanese, key
    assert set(SOURCES) < set(_TEXTS)
    assert len(ALL_LAYERS) == 11
