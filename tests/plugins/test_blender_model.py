"""The Blender plugin's queue without Blender: a fake document and the client's fake."""

from __future__ import annotations

import importlib
import struct
import sys
import types
import zlib
from collections.abc import Generator
from pathlib import Path

import pytest
from douga_client.api import Cutout, Reconstruction, ReconstructRequest
from douga_client.errors import ClientError, Kind, Mend
from douga_client.fake import FakeClient
from douga_client.image import Pixels

SOURCE = Path(__file__).parents[2] / "plugins" / "blender" / "douga_blender"


def load(name: str) -> types.ModuleType:
    """A module of the plugin without its host: the package's `__init__` only registers."""
    if "douga_blender" not in sys.modules:
        package = types.ModuleType("douga_blender")
        package.__path__ = [str(SOURCE)]
        sys.modules["douga_blender"] = package
    return importlib.import_module(f"douga_blender.{name}")


model, encode, exr = load("model"), load("encode"), load("exr")
DARK_SQUARE = Pixels(4, 2, "RGB8", b"\xff" * 12 + b"\x00" * 6 + b"\xff" * 6)


class FakeDocument(model.Document):  # type: ignore[misc,name-defined]
    """Reads one picture and keeps names. trouble: raised when it keeps."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, int, Reconstruction]] = []
        self.trouble: Exception | None = None
        self.reads = 0

    def read(self, source: object, frame: int, notes: list[str]) -> Generator[None, None, Pixels]:
        self.reads += 1
        yield
        if source.name == "gone":  # type: ignore[attr-defined]
            raise model.DocumentError("There is no image here: open one, or choose another source")
        notes.append("float image")
        return DARK_SQUARE

    def keep(self, source, frame, pixels, result, choice):  # type: ignore[no-untyped-def]
        yield
        if self.trouble is not None:
            raise self.trouble
        self.kept.append((source.name, frame, result))
        return (f"{source.name} {frame}",)

    def keep_cutout(self, source, frame, result: Cutout):  # type: ignore[no-untyped-def]
        yield
        return (f"{source.name} cutout",)


@pytest.fixture
def document() -> FakeDocument:
    return FakeDocument()


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def studio(document: FakeDocument, client: FakeClient) -> types.SimpleNamespace:
    return model.Studio(document, lambda: client, lambda: iter(()))


def source(name: str = "a", frames: tuple[int, ...] = (0,)) -> object:
    return model.Source("IMAGE", name, frames)


def tick_until_idle(studio: types.SimpleNamespace) -> None:
    for _ in range(200):
        if studio.is_idle:
            return
        studio.tick()
    raise AssertionError("it never ended")


def test_the_timers_way_and_the_scripts_way_end_alike(
    studio: types.SimpleNamespace, document: FakeDocument
) -> None:
    by_timer = studio.add(source(), model.Choice())
    tick_until_idle(studio)
    at_once = studio.add(source(), model.Choice())
    studio.run(at_once)
    for task in (by_timer, at_once):
        assert task.is_done
        assert task.error is None
        assert task.images == ["a 0"]
        assert task.share == 1.0
    assert document.kept[0][2].class_map == document.kept[1][2].class_map
    assert studio.notes == ("float image",)
    assert studio.info is not None


def test_the_choice_reaches_the_server(studio: types.SimpleNamespace, client: FakeClient) -> None:
    choice = model.Choice(3, "fake", "cel-m", "lines-m")
    studio.run(studio.add(source("a", (1, 2)), choice))
    assert len(client.requests) == 2
    for request in client.requests:
        assert isinstance(request, ReconstructRequest)
        assert (request.line_width_px, request.cel_model, request.lines_model) == (3, "cel-m", "lines-m")
        assert request.palette is not None
        assert request.palette.name == "fake"
        assert request.is_batch


def test_tasks_wait_for_each_other_and_frames_come_in_order(
    studio: types.SimpleNamespace, document: FakeDocument
) -> None:
    first = studio.add(source("a", (3, 4, 5)), model.Choice())
    second = studio.add(source("b"), model.Choice())
    assert studio.tasks == [first, second]
    tick_until_idle(studio)
    assert [(name, frame) for name, frame, _ in document.kept] == [("a", 3), ("a", 4), ("a", 5), ("b", 0)]
    assert first.images == ["a 3", "a 4", "a 5"]


def test_cancelling_ends_that_task_alone(
    studio: types.SimpleNamespace, client: FakeClient, document: FakeDocument
) -> None:
    client.is_held = True
    first, second = studio.add(source("a"), model.Choice()), studio.add(source("b"), model.Choice())
    for _ in range(5):
        studio.tick()
    assert not first.is_done
    studio.cancel(first)
    assert first.is_cancelled
    assert client.waiting == []
    client.is_held = False
    tick_until_idle(studio)
    assert second.error is None
    assert [name for name, *_ in document.kept] == ["b"]
    studio.cancel(second)
    assert second.error is None


def test_the_file_goes_and_everything_with_it(
    studio: types.SimpleNamespace, client: FakeClient, document: FakeDocument
) -> None:
    client.is_held = True
    tasks = [studio.add(source(name), model.Choice()) for name in "abc"]
    studio.tick()
    studio.cancel_all()
    assert all(task.is_cancelled for task in tasks)
    assert studio.is_idle
    assert document.kept == []


@pytest.mark.parametrize("kind", [Kind.NO_SERVER, Kind.TOKEN_REFUSED, Kind.LOST])
def test_a_servers_error_is_one_sentence_with_what_mends_it(
    studio: types.SimpleNamespace, client: FakeClient, kind: Kind
) -> None:
    client.trouble = ClientError(kind, address="here", said="gone")
    task = studio.add(source(), model.Choice())
    studio.run(task)
    assert task.error is client.trouble
    assert studio.error is client.trouble
    assert model.sentence(task.error, "en", str) == client.trouble.text()
    assert "サーバー" in model.sentence(task.error, "ja", str)
    assert model.mending(task.error)[0] in (Mend.START, Mend.SETTINGS, Mend.RETRY)
    client.trouble = None
    studio.run(studio.add(source(), model.Choice()))
    assert studio.error is None


def test_an_image_that_is_gone_and_our_own_mistakes_are_told(
    studio: types.SimpleNamespace, document: FakeDocument
) -> None:
    studio.run(studio.add(source("gone"), model.Choice()))
    assert "no image here" in model.sentence(studio.error, "en", str)
    assert model.mending(studio.error) == (Mend.NONE, "")
    document.trouble = ZeroDivisionError("x")
    task = studio.add(source(), model.Choice())
    tick_until_idle(studio)
    assert isinstance(task.error, ClientError)
    assert task.error.kind is Kind.BUG
    assert "ZeroDivisionError" in str(task.error)


def test_nothing_connects_before_there_is_something_to_do(document: FakeDocument) -> None:
    opened: list[FakeClient] = []

    def open_client() -> FakeClient:
        opened.append(FakeClient())
        return opened[-1]

    studio = model.Studio(document, open_client, lambda: iter(()))
    studio.tick()
    assert "not been asked" in studio.cutout_refusal()
    assert opened == []
    studio.ask()
    tick_until_idle(studio)
    assert "no model that cuts out" in studio.cutout_refusal()
    studio.settings_changed()
    assert opened[0].is_closed
    studio.run(studio.add(source(), model.Choice()))
    assert len(opened) == 2


def test_broken_settings_end_the_task(document: FakeDocument) -> None:
    def open_client() -> FakeClient:
        raise ClientError(Kind.SETTINGS_BROKEN, path="p", said="it is no JSON")

    studio = model.Studio(document, open_client, lambda: iter(()))
    task = studio.add(source(), model.Choice())
    studio.run(task)
    assert "no JSON" in str(task.error)


def test_cutting_out(studio: types.SimpleNamespace) -> None:
    task = studio.add(source(), model.Choice(), is_cutout=True)
    studio.run(task)
    assert task.images == ["a cutout"]


def finished(steps):  # type: ignore[no-untyped-def]
    """What a generator returns in the end."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def test_one_class_is_the_map_with_another_palette(tmp_path: Path) -> None:
    from PIL import Image

    grey = finished(encode.grey(bytes([0, 1, 2, 1]), 2, 2))
    for name, data in (("g", grey), ("c", encode.one_class(grey, 1, 0x102030))):
        (tmp_path / f"{name}.png").write_bytes(data)
    with Image.open(tmp_path / "c.png") as image:
        assert image.convert("RGBA").tobytes() == 2 * (bytes(4) + b"\x10\x20\x30\xff")
    with Image.open(tmp_path / "g.png") as image:
        assert image.mode == "L"


@pytest.mark.parametrize(("layout", "data"), [(3, b"\1\2\3\4\5\6"), (4, b"\1\2\3\x09\4\5\6\x09")])
def test_the_cel_keeps_its_colours_under_the_mask(layout: int, data: bytes, tmp_path: Path) -> None:
    from PIL import Image

    png = finished(encode.with_alpha(data, layout, b"\xff\0", 2, 1))
    (tmp_path / "a.png").write_bytes(png)
    with Image.open(tmp_path / "a.png") as image:
        assert image.tobytes() == b"\1\2\3\xff\4\5\6\0"


def test_an_exr_holds_what_went_in(tmp_path: Path) -> None:
    import numpy

    ids = numpy.arange(5 * 20, dtype="f4").reshape(20, 5, 1) % 10
    colours = numpy.linspace(0, 1, 20 * 5 * 4, dtype="f4").reshape(20, 5, 4)
    layers = [
        exr.Layer("class ids", ("V",), "float", lambda top, bottom: ids[top:bottom]),
        exr.Layer("cel", tuple("RGBA"), "half", lambda top, bottom: colours[top:bottom]),
    ]
    finished(exr.write(tmp_path / "x.exr", 5, 20, layers, "{}"))
    data = (tmp_path / "x.exr").read_bytes()
    names = [b"cel.A", b"cel.B", b"cel.G", b"cel.R", b"class ids.V"]
    at = [data.index(name + b"\0") for name in names]
    assert at == sorted(at)
    rows = _unpacked(data, 20, 5 * (4 * 2 + 4))
    for y, row in enumerate(rows):
        assert numpy.array_equal(numpy.frombuffer(row[40:], "<f4"), ids[y, :, 0])
        red = numpy.frombuffer(row[30:40], "<f2")
        assert numpy.array_equal(red, colours[y, :, 0].astype("f2"))


def _unpacked(data: bytes, height: int, row_bytes: int) -> list[bytes]:
    """The scan lines of a ZIP file, by the standard's words."""
    start = data.index(b"screenWindowWidth") + len(b"screenWindowWidth\0float\0") + 4 + 4 + 1
    blocks, rows = -(-height // 16), []
    for offset in struct.unpack_from(f"<{blocks}Q", data, start):
        top, size = struct.unpack_from("<ii", data, offset)
        count = min(16, height - top) * row_bytes
        packed = data[offset + 8 : offset + 8 + size]
        if size < count:
            raw = bytearray(zlib.decompress(packed))
            for i in range(1, len(raw)):
                raw[i] = (raw[i - 1] + raw[i] - 128) & 255
            half = (count + 1) // 2
            packed = bytes(raw[i // 2 + (i % 2) * half] for i in range(count))
        rows += [packed[i : i + row_bytes] for i in range(0, count, row_bytes)]
    return rows


def test_only_the_seams_know_the_host() -> None:
    for name in ("model", "encode", "exr", "session"):
        assert "import bpy" not in (SOURCE / f"{name}.py").read_text()
    for path in SOURCE.glob("*.py"):
        text = path.read_text()
        assert "import douga_client" not in text
        if path.name not in ("document.py", "frames.py"):
            assert ".pixels.foreach" not in text, path
