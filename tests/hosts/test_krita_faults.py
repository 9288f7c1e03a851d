"""What goes wrong and what is unusual, in the real Krita, against a real server that is held up and killed.

All of it is one run of Krita, whose steps stand in `krita_unusual`; one test a matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import choose_server, home_in, plugin
from held_server import held_server
from test_krita import drive, pytestmark  # noqa: F401  the same conditions

STEPS = [
    *("hidden", "empty", "grey", "cmyk", "linear", "closed"),
    *("large", "full", "older", "killed"),
]
HOST_HELD_UP_S = 0.1
PLANE_MB = 7680 * 4320 / 1e6  # of the class map, which Python moves once while it comes in


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """(96, 160, 3) uint8 RGB: white, with colours that any conversion would move."""
    rgb = np.full((96, 160, 3), 255, np.uint8)
    rgb[20:60, 30:90] = (200, 120, 40)
    rgb[30:50, 100:140] = (20, 60, 160)
    return rgb


@pytest.fixture(scope="module")
def report(frame: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `krita_unusual` found."""
    folder = tmp_path_factory.mktemp("faults")
    small, large = folder / "frame.png", folder / "large.png"
    cv2.imwrite(str(small), frame[..., ::-1])
    cv2.imwrite(str(large), cv2.resize(frame, (7680, 4320), interpolation=cv2.INTER_NEAREST)[..., ::-1])
    home = home_in(folder)
    plugin(home, "install", "krita")
    with (
        held_server(folder / "server", "--max-queued", "1") as server,
        held_server(folder / "other", version="7.0.0") as other,
    ):
        choose_server(home, server)
        places = {"hold": str(server.hold), "pid": server.process.pid}
        places |= {"socket": server.address, "other": other.address, "large": str(large)}
        yield drive(home, folder, STEPS, small, **places)


def bgra(read: list[Any]) -> np.ndarray:
    """(H, W, 4) of what `pixels_of` wrote down."""
    width, height, data = read[:3]
    return np.frombuffer(bytes.fromhex(data), np.uint8).reshape(height, width, 4)


def test_each_source_is_what_its_title_says(report: dict[str, Any], frame: np.ndarray) -> None:
    found = {name: bgra(read) for name, read in report["hidden"].items()}
    assert np.array_equal(found["visible"][..., 2::-1], frame)
    over = found["image"].copy()
    assert (over[:64, :64] == (0x10, 0x20, 0x30, 255)).all()
    over[:64, :64] = found["visible"][:64, :64]
    assert np.array_equal(over, found["visible"])
    assert (found["layer"][:64, :64] == (0x10, 0x20, 0x30, 255)).all()
    assert not found["layer"][64:].any()
    assert report["still_hidden"]


def test_a_second_click_sees_what_the_first_one_saw(report: dict[str, Any]) -> None:
    assert np.array_equal(bgra(report["hidden"]["again"]), bgra(report["hidden"]["visible"]))
    assert report["twice"][0] == report["twice"][1]
    assert [entry[0] for entry in report["hidden_tree"]] == ["Background", "over", "Douga", "Douga"]


def test_an_empty_image_is_one_sentence(report: dict[str, Any]) -> None:
    assert report["empty"]["message"] == "There is nothing in it to take apart."
    assert report["empty_tree"] == []


@pytest.mark.parametrize(("name", "furthest"), [("grey", 255), ("cmyk", 90), ("linear", 12)])
def test_other_colours_are_converted_and_stay(
    report: dict[str, Any], frame: np.ndarray, name: str, furthest: int
) -> None:
    found = report[name]
    read, layer = bgra(found["read"]), bgra(found["layer"])
    assert np.array_equal(read, layer)  # the only layer is what is visible
    assert np.abs(read[..., 2::-1].astype(int) - frame).max() <= furthest
    if name == "grey":
        assert (np.ptp(read[..., :3], axis=-1) <= 1).all()
    assert any("Converted to sRGB" in note for note in found["read"][3])
    assert "Converted to sRGB" in found["run"]["message"]
    assert found["kept"][0] == {"grey": "GRAYA", "cmyk": "CMYKA", "linear": "RGBA"}[name]
    mask = np.fromfile(found["layers"]["cel mask"], np.uint8).reshape(read.shape[:2])
    assert np.array_equal(mask > 0, read[..., :3].min(axis=-1) < 250)  # what the server's fake finds
    cel = np.fromfile(found["layers"]["cel"], np.uint8).reshape(read.shape)
    assert np.array_equal(cel, read)


def test_an_image_that_was_closed_is_one_sentence(report: dict[str, Any]) -> None:
    for name in ("closed_early", "closed_late"):
        assert "The image was closed meanwhile" in report[name]["message"], name
    assert report["other_is_untouched"]


def test_8k_holds_nobody_up(report: dict[str, Any]) -> None:
    found = report["large"]
    assert found["made"], found["message"]
    assert found["titles"] == ["cel", "visible line"]
    # Of work, since others may have the core. Two calls of Krita's own put the group in and show it.
    whole = [found_slice for found_slice in found["slices"] if found_slice[0] == "document.py:_enter"]
    others = [found_slice for found_slice in found["slices"] if found_slice[0] != "document.py:_enter"]
    assert len(whole) <= 2, whole
    assert max(work_s for _, work_s, _ in whole) <= 5 * HOST_HELD_UP_S, whole
    hardest, largest = max(others, key=itemgetter(1)), max(others, key=itemgetter(2))
    assert hardest[1] <= HOST_HELD_UP_S, hardest
    assert largest[2] <= 1.1 * PLANE_MB, largest
    before, after, most = found["memory_mb"]
    assert most - before <= 1500, found
    assert after - before <= 1000, found


def test_a_full_queue_is_waited_for(report: dict[str, Any]) -> None:
    assert report["full_status"].endswith((": waiting here", ": sending the image"))  # again and again
    assert report["full"]["made"], report["full"]["message"]


def test_another_version_is_one_sentence_with_its_mend(report: dict[str, Any]) -> None:
    assert report["older"]["made"] == []
    assert "is of another version than this plugin (it is 7.0.0" in report["older"]["message"]
    assert report["older"]["mend"] == "Copy the command"
    assert [entry[0] for entry in report["older_tree"]] == ["Background"]


def test_a_server_killed_in_the_middle_loses_nothing(report: dict[str, Any]) -> None:
    assert report["killed"]["made"] == []
    assert "server" in report["killed"]["message"]
    assert report["killed"]["mend"] in ("Try again", "Start the server")
    assert report["nothing_lost"]
    assert report["killed"]["longest_slice_s"] < 1.0
