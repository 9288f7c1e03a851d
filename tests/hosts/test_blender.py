"""The plugin in the real Blender, against the real server; its images are held against the command line's."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ARTEFACTS, ROOT, Reference, RunningServer, choose_server, plugin
from held_server import held_server

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(shutil.which("blender") is None, reason="Blender is not installed"),
]
HERE = Path(__file__).parent
TIMEOUT_S = 240.0


class Blender:
    """A fresh home with the plugin in it, as `douga plugin install blender` lays it there."""

    def __init__(self, home: dict[str, str], folder: Path) -> None:
        self.home, self.out = home, folder / "out"
        self.out.mkdir()
        place = Path(home["XDG_CONFIG_HOME"], "blender", "3.4")
        plugin(home, "install", "blender", "--to", str(place))
        self.environment = home | {"BLENDER_USER_SCRIPTS": str(place / "scripts")}

    def run(self, errand: str, **job: Any) -> dict[str, Any]:
        """Run one errand of `blender_run.py`; what it found."""
        path = self.out / "job.json"
        path.write_text(json.dumps({"errand": errand, "out": str(self.out), **job}))
        command = ["blender", "-b", "--factory-startup", "--python-exit-code", "7"]
        ran = subprocess.run(
            [*command, "-P", str(HERE / "blender_run.py"), "--", str(path)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
        found: dict[str, Any] = json.loads((self.out / "found.json").read_text())
        return found

    def pixels(self, name: str) -> np.ndarray:
        """What `keep_pixels` kept: (H, W, channels) uint8."""
        return np.load(self.out / f"{name}.npy")


@pytest.fixture
def blender(home: dict[str, str], tmp_path: Path) -> Blender:
    """See `Blender`."""
    return Blender(home, tmp_path)


def exr(folder: Path, name: str) -> np.ndarray:
    """An image that Blender rendered: (H, W, channels) float32, linear, premultiplied."""
    found: np.ndarray = np.load(folder / f"{name}.npy")
    return found


def linear(values: np.ndarray) -> np.ndarray:
    """sRGB bytes -> linear."""
    share = values / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("kind", ["unix_server", "tls_server"])
def test_images_layers_and_nodes_are_the_command_lines(
    kind: str, request: pytest.FixtureRequest, blender: Blender, small_frame: Path, truth: Reference
) -> None:
    server: RunningServer = request.getfixturevalue(kind)
    choose_server(blender.home, server)
    found = blender.run("pictures", frame=str(small_frame))
    assert found["loaded"] == []
    assert "FINISHED" in found["said"], found
    present = [int(i) for i in np.unique(truth.ids) if i]
    assert sorted(row[2] for row in found["images"] if row[1] == "class") == present
    spaces = {row[1]: row[3] for row in found["images"]}
    assert spaces == {"class": "sRGB", "cel": "sRGB", "cel_mask": "Non-Color", "class_ids": "Non-Color"}
    assert all(packed for _, packed in found["reopened"])
    assert len(found["reopened"]) == len(found["images"])

    assert np.array_equal(blender.pixels("class_ids-1")[..., 0], truth.ids)
    assert np.array_equal(blender.pixels("cel_mask-1")[..., 0], truth.mask)
    for class_id in present:
        layer = blender.pixels(f"class{class_id}")
        assert np.array_equal(layer[..., 3] == 255, truth.ids == class_id)
        assert not layer[truth.ids != class_id].any()
        assert len(np.unique(layer[truth.ids == class_id], axis=0)) == 1
    cel = blender.pixels("cel-1")
    assert np.array_equal(cel[..., 3], truth.mask)

    _layers_hold(blender.out / "exr", found["exr_layers"], blender, truth, present)
    titles = [row[0] for row in found["images"] if row[1] == "class"]
    assert len(found["sockets"][0]) == len(titles) + 1  # each class and the cel has a factor
    assert found["sockets"][1][0] == "Mix"
    assert np.array_equal(exr(blender.out / "group", "class ids")[..., 0], truth.ids)
    mix = exr(blender.out / "group", "Mix")
    assert not mix[(truth.mask == 0) & (truth.ids == 0)].any()
    line = truth.ids == 1
    assert np.allclose(mix[line], linear(blender.pixels("class1"))[line], atol=2e-3)


def _layers_hold(folder: Path, names: list[str], blender: Blender, wanted: Any, present: list[int]) -> None:
    """What Blender read from the multilayer file is what went in."""
    assert len(names) == len(present) + 3, names
    ids, mask = (exr(folder, name) for name in ("class ids", "cel mask"))
    assert np.array_equal(ids[..., 0], wanted.ids)
    assert np.array_equal(mask[..., 0] * 255, wanted.mask)
    cel, kept = exr(folder, "cel"), blender.pixels("cel-1")
    assert np.allclose(cel[..., 3] * 255, kept[..., 3])
    assert np.allclose(cel[..., :3], linear(kept[..., :3]) * (kept[..., 3:] / 255), atol=5e-4)
    line, kept = exr(folder, "visible line"), blender.pixels("class1")
    assert np.array_equal(line[..., 3] == 1, wanted.ids == 1)
    assert np.allclose(line[..., :3], linear(kept[..., :3]) * (kept[..., 3:] / 255), atol=5e-4)


def test_frames_of_a_sequence_a_movie_and_the_render(
    unix_server: RunningServer, blender: Blender, small_frame: Path, reference: Callable[[Path], Any]
) -> None:
    import cv2

    choose_server(blender.home, unix_server)
    first = cv2.imread(str(small_frame))
    second = np.ascontiguousarray(first[:, ::-1])
    for number, image in enumerate((first, second), start=7):
        cv2.imwrite(str(blender.out / f"shot_{number:04d}.png"), image)
    movie = blender.out / "shot.avi"
    writer = cv2.VideoWriter(str(movie), cv2.VideoWriter_fourcc(*"FFV1"), 24, (480, 270))
    for image in (first, second):
        writer.write(image)
    writer.release()
    found = blender.run(
        "frames", frame=str(small_frame), sequence=str(blender.out / "shot_0007.png"), movie=str(movie)
    )
    assert all("FINISHED" in found[name] for name in ("sequence", "movie", "render")), found
    assert "99" in found["too_far"] or "fewer frames" in found["too_far"]
    assert "render the frame first" in found["not_rendered"]
    assert found["kept_format"] == "JPEG"
    assert found["scenes"] == 1
    wanted = [reference(small_frame).ids, reference(blender.out / "shot_0008.png").ids]
    assert np.array_equal(blender.pixels("shot_0007 0001 class ids")[..., 0], wanted[0])
    assert np.array_equal(blender.pixels("shot_0007 0002 class ids")[..., 0], wanted[1])
    assert np.array_equal(blender.pixels("Render Result class ids")[..., 0], wanted[0])
    for number in (1, 2):  # the movie's colours went through a codec's
        same = blender.pixels(f"shot {number:04d} class ids")[..., 0] == wanted[number - 1]
        assert same.mean() > 0.98, same.mean()


def test_colours_become_srgb_bytes_and_say_so(blender: Blender) -> None:
    import cv2

    rgb = np.array([[[0, 10, 255], [200, 100, 50]], [[1, 2, 3], [128, 127, 64]]], np.uint8)
    paths = {name: str(blender.out / name) for name in ("b.png", "s.png", "a.png")}
    cv2.imwrite(paths["b.png"], rgb[..., ::-1])
    cv2.imwrite(paths["s.png"], (rgb[..., ::-1].astype(np.uint16) * 257))
    cv2.imwrite(paths["a.png"], np.dstack([rgb[..., ::-1], np.full((2, 2), 128, np.uint8)]))
    found = blender.run(
        "colours",
        linear=linear(rgb).tolist(),
        images=[
            ["bytes", paths["b.png"], ""],
            ["data", paths["b.png"], "Non-Color"],
            ["linear", paths["b.png"], "Linear"],
            ["sixteen", paths["s.png"], ""],
            ["float", "", ""],
            ["alpha", paths["a.png"], ""],
        ],
    )

    def sent(name: str) -> np.ndarray:
        width, height, layout, data = found[name][:4]
        return np.frombuffer(bytes.fromhex(data), np.uint8).reshape(height, width, 4 if "A" in layout else 3)

    for name in ("bytes", "data", "sixteen", "float"):
        assert np.array_equal(sent(name), rgb), (name, sent(name))
    assert found["bytes"][4] == []
    assert found["sixteen"][4]
    assert found["float"][4]
    share = rgb / 255
    srgb = np.where(share <= 0.0031308, share * 12.92, 1.055 * share ** (1 / 2.4) - 0.055) * 255
    assert np.abs(sent("linear") - srgb).max() <= 1
    assert found["linear"][4]
    assert np.array_equal(sent("alpha"), np.dstack([rgb, np.full((2, 2), 128, np.uint8)]))


def test_an_absent_server_and_missing_images_are_one_sentence_each(
    blender: Blender, small_frame: Path, tmp_path: Path
) -> None:
    nobody = RunningServer(f"unix:{tmp_path / 'nobody'}", None)  # type: ignore[arg-type]
    choose_server(blender.home, nobody)
    found = blender.run("faults", frame=str(small_frame))
    assert "No Douga server answers" in found["server"]
    assert "no image here" in found["no_image"]
    assert "empty" in found["empty"]
    assert "poll" in found["cutout"]
    assert "has not been asked" in found["cutout"]
    assert "no result" in found["no_result"]
    assert "no result" in found["no_group"]
    assert found["images"] == []


def test_a_wrong_token_is_one_sentence(
    tls_server: RunningServer, blender: Blender, small_frame: Path
) -> None:
    choose_server(blender.home, tls_server, token="wrong")
    found = blender.run("faults", frame=str(small_frame))
    assert "does not accept this token" in found["server"], found
    assert found["images"] == []


def test_a_server_killed_in_the_middle_leaves_nothing_behind(
    blender: Blender, small_frame: Path, tmp_path: Path
) -> None:
    with held_server(tmp_path / "server") as server:
        choose_server(blender.home, server)
        job = {"pid": server.process.pid, "hold": str(server.hold)}
        found = blender.run("killed", frame=str(small_frame), **job)
    assert found["done"]
    assert (found["pid"], found["images"]) == (0, 0), found
    assert "server" in found["said"], found


def test_a_full_queue_is_waited_for(blender: Blender, small_frame: Path, tmp_path: Path) -> None:
    with held_server(tmp_path / "server", "--max-queued", "1") as server:
        choose_server(blender.home, server)
        found = blender.run("crowded", frame=str(small_frame), hold=str(server.hold))
    assert found["waits"] == ["waiting", False]
    assert found["said"] == "None"
    assert found["images"]


def test_another_version_is_one_sentence(blender: Blender, small_frame: Path, tmp_path: Path) -> None:
    with held_server(tmp_path / "server", version="7.0.0") as server:
        choose_server(blender.home, server)
        found = blender.run("faults", frame=str(small_frame))
    assert "is of another version than this plugin (it is 7.0.0" in found["server"], found
    assert found["images"] == []


def test_8k_is_read_and_kept_in_slices(blender: Blender) -> None:
    found = blender.run("large")
    assert found["said"] == "None", found
    assert found["images"]
    # Of work, since others may have the core; a tick of the queue holds the fake server's work too.
    assert found["steps"][-1][0] < 0.15, found


def test_the_user_interface_clicks_cancels_and_undoes(unix_server: RunningServer, blender: Blender) -> None:
    if not all(shutil.which(name) for name in ("xvfb-run", "openbox", "xdotool", "scrot")):
        pytest.skip("Xvfb, openbox, xdotool or scrot is not installed")
    choose_server(blender.home, unix_server)
    found = on_screen(blender, ROOT / "examples" / "frame.png")
    assert "trouble" not in found, found["trouble"]
    assert found["cancelled"] == "Cancelled."
    assert found["said"] == "None"
    assert found["shown"] == found["images"][0]
    assert found["undo"][:2] == [[1, len(found["images"])], 0]
    assert "No Douga server answers" in found["refused"]
    assert found["exr"]["begun"] == ["RUNNING_MODAL"]
    assert found["exr"]["bytes"] > 0
    assert found["japanese"] == "動画を復元"
    assert found["windows"] == 2
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(blender.out / "done.png", ARTEFACTS / "blender.png")
    for name in ("settings", "japanese", "japanese_settings"):
        shutil.copyfile(blender.out / f"{name}.png", ARTEFACTS / f"blender_{name}.png")


def on_screen(blender: Blender, frame: Path) -> dict[str, Any]:
    """Run `blender_screen.py` on a screen of its own; what it found."""
    path = blender.out / "job.json"
    job = {"out": str(blender.out), "frame": str(frame), "breaks": True, "screen_px": [1600, 900]}
    path.write_text(json.dumps(job | {"image_tab_px": 233, "node_tab_px": 118}))
    program = f"blender --factory-startup -p 0 0 1600 900 -P {HERE / 'blender_screen.py'} -- {path}"
    subprocess.run(
        ["xvfb-run", "-a", "-s", "-screen 0 1600x900x24", "sh", "-c", f"openbox & exec {program}"],
        env=blender.environment | {"LIBGL_ALWAYS_SOFTWARE": "1"},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    found: dict[str, Any] = json.loads((blender.out / "found.json").read_text())
    return found
