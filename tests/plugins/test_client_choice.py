"""What the hosts' plugins share: choices, requests, the order of layers, palettes from files, titles."""

from __future__ import annotations

from pathlib import Path

import pytest
from douga_client.api import Cutout, Palette, PaletteClass, Progress, Reconstruction
from douga_client.choice import CLASS_KEYS, LABELS, STACKING, Choice
from douga_client.errors import ClientError, Kind
from douga_client.fake import FAKE_PALETTE, FakeClient
from douga_client.image import Pixels
from douga_client.layers import cropped, part_of
from douga_client.palette_file import PaletteFileError, chosen_palette, read_palette
from douga_client.texts import class_title

from douga.classes import DougaClass
from douga.layers import STACKING as FROM_BELOW
from douga.palettes import load_palette

FRAME = Pixels(2, 1, "RGBA8", bytes([0, 0, 0, 255, 255, 255, 255, 255]))
PALETTES = Path(__file__).parents[2] / "douga" / "palettes"


def result(ids: bytes, palette: Palette = FAKE_PALETTE) -> Reconstruction:
    return Reconstruction(len(ids), 1, bytes(len(ids)), ids, palette)


def test_classes_and_their_order_are_those_of_douga() -> None:
    assert [DougaClass(number).key for number in range(10)] == list(CLASS_KEYS)
    assert [one.key for one in reversed(FROM_BELOW)] == list(STACKING)
    assert set(LABELS) == set(CLASS_KEYS) - {"flat"}


def test_layers_are_the_wanted_classes_that_are_there_from_the_top_down() -> None:
    there = result(bytes([0, 6, 1, 6, 9]))
    assert [one.class_id for one in Choice().layers_of(there)] == [1, 9, 6, 0]
    only = Choice(classes=frozenset({"shading_fill", "book_line"}))
    assert [one.key for one in only.layers_of(there)] == ["shading_fill"]


def test_a_class_of_tomorrow_is_made_too() -> None:
    more = Palette("p", (*FAKE_PALETTE.classes, PaletteClass(12, "glow", "glow", (0xFFFFFF,))))
    found = Choice(classes=frozenset()).layers_of(result(bytes([1, 12]), more))
    assert [one.key for one in found] == ["glow"]


def test_a_request_carries_what_was_chosen() -> None:
    plain = Choice().request(FRAME)
    assert (plain.palette, plain.line_width_px, plain.region, plain.is_batch) == (None, 0, None, False)
    chosen = Choice(5, Palette("retas"), " a ", "b").request(FRAME, (0, 0, 1, 1), is_batch=True)
    assert (chosen.line_width_px, chosen.palette, chosen.cel_model, chosen.lines_model) == (
        *(5, Palette("retas")),
        *("a", "b"),
    )
    assert (chosen.region, chosen.is_batch) == ((0, 0, 1, 1), True)


def test_cropped_keeps_rows_of_the_region() -> None:
    data = bytes(value for value in range(9) for _ in range(4))
    assert cropped(data, 3, (1, 1, 2, 2)) == bytes(value for value in (4, 5, 7, 8) for _ in range(4))
    assert cropped(bytes(range(9)), 3, (0, 2, 2, 1), 1) == bytes([6, 7])


def test_waiting_tells_progress_and_returns_the_result() -> None:
    client, told = FakeClient(), list[Progress]()
    found = client.wait(client.submit(Choice().request(FRAME)), told=told.append)
    assert isinstance(found, Reconstruction)
    assert found.class_map == bytes([1, 0])
    assert [progress.stage for progress in told] == ["cel", "lines"]


def test_waiting_raises_the_error_of_the_job() -> None:
    client = FakeClient()
    client.trouble = ClientError(Kind.TOKEN_NEEDED, address="a")
    with pytest.raises(ClientError) as caught:
        client.wait(client.submit(Choice().request(FRAME)))
    assert caught.value.kind is Kind.TOKEN_NEEDED


def test_every_class_has_a_title_in_both_languages() -> None:
    assert class_title("visible_line") == "visible line"
    assert class_title("visible_line", "ja") == "主線"
    assert class_title("of_tomorrow", "ja") == "of tomorrow"
    assert len({class_title(key, "ja") for key in CLASS_KEYS}) == 10


@pytest.mark.parametrize("path", sorted(PALETTES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_presets_can_be_read_as_files(path: Path) -> None:
    palette = read_palette(path)
    assert [entry.class_id for entry in palette.classes] == list(range(10))
    ours = load_palette(path)
    assert palette.name == path.stem == ours.name
    written = [[tuple(colour.to_bytes(3, "big")) for colour in entry.colors] for entry in palette.classes]
    assert written == [list(choices) for choices in ours.colours]
    assert chosen_palette(f" {path} ") == palette


def test_a_palette_is_a_preset_unless_it_is_a_file() -> None:
    assert chosen_palette(" ") is None
    assert chosen_palette("retas") == Palette("retas")
    with pytest.raises(PaletteFileError, match="No such file"):
        chosen_palette("nowhere.toml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "section"),
        ("[colours]\nflat = ['#ffffff']\n", "no colour for visible_line"),
        ("[colours]\nsky = ['#ffffff']\n", "unknown class sky"),
        ("not toml", "Expected"),
    ],
)
def test_a_broken_palette_is_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "studio.toml"
    path.write_text(content)
    with pytest.raises(PaletteFileError, match=said):
        read_palette(path)


def test_the_selected_part_of_a_cutout_is_cut_from_the_whole() -> None:
    alpha = bytes(range(12))  # 4 x 3
    whole = Cutout(4, 3, alpha, bytes(v for a in alpha for v in (a, a, a)))
    assert part_of(whole, None, None) is whole
    part = part_of(whole, (1, 1, 2, 2), bytes([255, 255, 0, 255]))
    assert (part.width, part.height, part.alpha) == (2, 2, bytes([5, 6, 0, 10]))
    assert part.colors == bytes([5, 5, 5, 6, 6, 6, 9, 9, 9, 10, 10, 10])
