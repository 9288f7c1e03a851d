"""What of the Blender plugin needs no Blender: sentences, PNG files, EXR files."""

from __future__ import annotations

import importlib
import struct
import sys
import types
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from douga_client.errors import ClientError, Kind, Mend
from douga_client.fake import FAKE_INFO
from douga_client.tasks import DocumentError

SOURCE = Path(__file__).parents[2] / "plugins" / "blender" / "douga_blender"


def load(name: str) -> types.ModuleType:
    """A module of the plugin without its host: the package's `__init__` only registers."""
    if "douga_blender" not in sys.modules:
        package = types.ModuleType("douga_blender")
        package.__path__ = [str(SOURCE)]
        sys.modules["douga_blender"] = package
    return importlib.import_module(f"douga_blender.{name}")


model, encode, exr = load("model"), load("encode"), load("exr")


def test_errors_become_one_sentence_with_what_mends_it() -> None:
    lost = ClientError(Kind.NO_SERVER, address="here")
    assert model.sentence(lost, "en", str) == lost.text()
    assert "サーバー" in model.sentence(lost, "ja", str)
    assert model.mending(lost) == (Mend.START, "douga serve")
    missing = DocumentError("The file cannot be written:", "x.exr")
    assert model.sentence(missing, "ja", {"The file cannot be written:": "書けません:"}.__getitem__) == (
        "書けません: x.exr"
    )
    assert model.mending(missing) == (Mend.NONE, "")


def test_why_nothing_can_be_cut_out() -> None:
    assert "not been asked" in model.cutout_refusal(None)
    assert "no model that cuts out" in model.cutout_refusal(FAKE_INFO)
    assert model.cutout_refusal(replace(FAKE_INFO, calls=("Cutout",))) == ""


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
    for name in ("model", "encode", "exr"):
        assert "import bpy" not in (SOURCE / f"{name}.py").read_text()
    for path in SOURCE.glob("*.py"):
        text = path.read_text()
        assert "import douga_client" not in text
        if path.name not in ("document.py", "frames.py"):
            assert ".pixels.foreach" not in text, path
