"""The plug-in in the real GIMP 3, without a screen, against real servers; run by run.sh."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from conftest import (
    ROOT,
    TITLES,
    Reference,
    RunningServer,
    begun,
    choose_server,
    finished,
    home_in,
    ids_of,
    plugin,
    serving,
)
from douga_client.api import Reconstruction, ReconstructRequest
from douga_client.client import open_client
from douga_client.image import Pixels
from douga_client.settings import Settings

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif("DOUGA_HOSTS_NEXT" not in os.environ, reason="run by tests/hosts/next/run.sh"),
]
HERE = Path(__file__).parent
TIMEOUT_S = 900  # 8K on cores that others use too
BATCH = "exec(compile(open('{path}').read(), '{path}', 'exec'))"


def folder_of(home: dict[str, str]) -> Path:
    """Where GIMP 3 keeps its settings in that home."""
    return Path(home["XDG_CONFIG_HOME"], "GIMP", "3.0")


@pytest.fixture(scope="session")
def gimp_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One for all tests: in a new home GIMP asks each of its plug-ins first what it is."""
    return gimp_home_in(tmp_path_factory.mktemp("gimp3"))


def gimp_home_in(folder: Path) -> dict[str, str]:
    """With the pack unpacked in its plug-ins, as a user does, and Douga's Python written down."""
    home = home_in(folder)
    plugin(home, "pack", "gimp", "--out", str(folder / "gimp.zip"))
    plug_ins = folder_of(home) / "plug-ins"
    plug_ins.mkdir(parents=True)
    with zipfile.ZipFile(folder / "gimp.zip") as files:
        for entry in files.infolist():
            Path(files.extract(entry, plug_ins)).chmod(entry.external_attr >> 16)
    plugin(home, "install", "gimp", "--to", str(folder / "GIMP" / "2.10"))
    closer = plug_ins / "closer" / "closer.py"
    closer.parent.mkdir()
    shutil.copyfile(HERE / "gimp3_closer.py", closer)
    closer.chmod(0o755)
    (folder_of(home) / "gimprc").write_text("(show-welcome-dialog no)\n")
    return home


def start(
    home: dict[str, str], folder: Path, steps: list[str], on_screen: str = "", **plan: Any
) -> subprocess.Popen[str]:
    """GIMP with the driver in it, without a screen or with a file open on it."""
    command = ["gimp-3.0", "-s", on_screen] if on_screen else ["gimp-console-3.0", "-i", "-d", "-f", "--quit"]
    command += ["--batch-interpreter=python-fu-eval", "-b", BATCH.format(path=HERE / "gimp3_driver.py")]
    return begun(command, home, folder, steps=steps, **plan)


def drive(home: dict[str, str], folder: Path, steps: list[str], **plan: Any) -> dict[str, Any]:
    """Start GIMP, wait for its end; what the driver reports."""
    return finished(start(home, folder, steps, **plan), folder, TIMEOUT_S)


def asked(server: RunningServer, frame: Path, region: tuple[int, int, int, int]) -> np.ndarray:
    """The class map of a part, as the server answers it; lines are cleaned within that part alone."""
    bgra = cv2.cvtColor(cv2.imread(str(frame)), cv2.COLOR_BGR2BGRA)
    pixels = Pixels(bgra.shape[1], bgra.shape[0], "BGRA8", bgra.tobytes())
    client = open_client(Settings(server=server.address))
    result = client.wait(client.submit(ReconstructRequest(pixels, region=region)))
    client.close()
    assert isinstance(result, Reconstruction)
    return np.frombuffer(result.class_map, np.uint8).reshape(region[3], region[2])


@pytest.mark.parametrize("kind", ["unix_server", "tls_server"])
def test_layers_are_what_the_command_line_makes(
    kind: str,
    request: pytest.FixtureRequest,
    gimp_home: dict[str, str],
    truth: Reference,
    small_frame: Path,
    tmp_path: Path,
) -> None:
    choose_server(gimp_home, request.getfixturevalue(kind))
    report = drive(gimp_home, tmp_path, ["whole"], frame=str(small_frame))
    shape = truth.ids.shape
    present = {TITLES[index] for index in np.unique(truth.ids)}
    for name, precision in (("u8", "u8-non-linear"), ("u16", "u16-non-linear")):
        assert report[f"{name}_run"]["status"] == "success", report
        assert report[f"{name}_run"]["layers"][0] == "douga"
        assert report[name]["precision"] == precision
        layers = report[name]["layers"]
        assert set(layers) == present | {"cel", "cel mask"}
        assert np.array_equal(ids_of(layers, shape, none=255), truth.ids)
        assert np.array_equal(np.fromfile(layers["cel mask"], np.uint8).reshape(shape), truth.mask)


def test_selection_layer_hidden_layers_and_palette(
    gimp_home: dict[str, str], unix_server: RunningServer, truth: Reference, small_frame: Path, tmp_path: Path
) -> None:
    choose_server(gimp_home, unix_server)
    palette = tmp_path / "studio.toml"
    preset = (ROOT / "douga" / "palettes" / "kugler.toml").read_text()
    palette.write_text(re.sub(r"(?m)^visible_line = .*$", 'visible_line = "#123456"', preset))
    x, y, width, height = selection = (100, 40, 200, 150)
    report = drive(
        gimp_home,
        tmp_path,
        ["parts"],
        frame=str(small_frame),
        selection=selection,
        palette=str(palette),
    )
    shape = truth.ids.shape
    assert report["selection_run"]["status"] == "success", report
    part = ids_of(report["selection"]["layers"], shape, none=255)
    assert np.array_equal(part[y : y + height, x : x + width], asked(unix_server, small_frame, selection))
    part[y : y + height, x : x + width] = 255
    assert (part == 255).all()
    for name in ("covered", "hidden"):
        assert report[f"{name}_run"]["status"] == "success", report
        assert np.array_equal(ids_of(report[name]["layers"], shape, none=255), truth.ids), name
    assert report["palette_run"]["status"] == "success", report
    layers = report["palette"]["layers"]
    line = np.fromfile(layers["visible line"], np.uint8).reshape(-1, 4)
    assert np.unique(line[line[:, 3] == 255], axis=0).tolist() == [[0x12, 0x34, 0x56, 255]]
    assert not {"shading fill", "cel"} & set(layers)


def unchanged(found: dict[str, Any], *words: str) -> None:
    """It failed with one sentence that has these words, and the image is as it was."""
    assert found["status"] in ("execution-error", "calling-error"), found
    assert all(word in found["said"] for word in words), found
    assert len(found["said"].splitlines()) <= 2, found  # the sentence, and a command that mends it
    assert "Traceback" not in found["said"]
    assert "mistake" not in found["said"], found
    assert found["images"] == 1, found


def test_what_cannot_be_done_is_one_sentence_each(
    gimp_home: dict[str, str], unix_server: RunningServer, small_frame: Path, tmp_path: Path
) -> None:
    choose_server(gimp_home, unix_server)
    palette = tmp_path / "broken.toml"
    palette.write_text("[colours]\nflat = 'red'\n")
    report = drive(gimp_home, tmp_path, ["faults"], frame=str(small_frame), palette=str(palette))
    assert report["server"]["status"] == "success", report
    unchanged(report["palette"], "broken.toml is not a palette")
    unchanged(report["model"], "nobody")
    unchanged(report["selection"], "Nothing is selected")
    unchanged(report["layer"], "Exactly one layer")
    unchanged(report["grey"], "greyscale or indexed")
    unchanged(report["empty"], "no layers")
    for name in ("palette", "model", "selection", "layer", "grey"):
        assert report[name]["layers"] == ["douga", "Background"], name
    assert report["empty"]["layers"] == []


def test_without_a_server_it_says_so(gimp_home: dict[str, str], small_frame: Path, tmp_path: Path) -> None:
    nobody = RunningServer(f"unix:{tmp_path / 'nobody'}", None)  # type: ignore[arg-type]
    choose_server(gimp_home, nobody)
    report = drive(gimp_home, tmp_path, ["faults"], frame=str(small_frame))
    unchanged(report["server"], "No Douga server answers", "nobody")
    assert report["server"]["layers"] == ["Background"]


def test_a_wrong_token_is_one_sentence(
    gimp_home: dict[str, str], tls_server: RunningServer, small_frame: Path, tmp_path: Path
) -> None:
    choose_server(gimp_home, tls_server, token="of-yesterday-and-long-enough-to-be-one")
    report = drive(gimp_home, tmp_path, ["faults"], frame=str(small_frame))
    unchanged(report["server"], "does not accept this token")
    assert report["server"]["layers"] == ["Background"]


def until_busy(pid: int, gimp: subprocess.Popen[str]) -> None:
    """Wait until the server has worked on something for a second."""
    server, until_s = psutil.Process(pid), time.monotonic() + TIMEOUT_S
    idle_s = sum(server.cpu_times()[:2])
    while sum(server.cpu_times()[:2]) < idle_s + 1:
        assert gimp.poll() is None, "GIMP has ended"
        assert time.monotonic() < until_s, "the server got no work"
        time.sleep(0.02)


def test_a_server_killed_in_the_middle_leaves_nothing_behind(
    gimp_home: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "server"
    folder.mkdir(mode=0o700)
    address = f"unix:{folder / 's.sock'}"
    with serving(folder, "--address", address) as server:
        choose_server(gimp_home, RunningServer(address, server))
        gimp = start(gimp_home, tmp_path, ["one"], frame=str(ROOT / "examples" / "frame.png"))
        until_busy(server.pid, gimp)
        server.kill()
        report = finished(gimp, tmp_path, TIMEOUT_S)
    unchanged(report["run"], "server", address)
    assert report["run"]["layers"] == ["Background"]


def test_an_image_closed_meanwhile_is_gone_afterwards(
    gimp_home: dict[str, str], unix_server: RunningServer, tmp_path: Path
) -> None:
    choose_server(gimp_home, unix_server)
    sign = tmp_path / "close"
    home = gimp_home | {"CLOSE_WHEN": str(sign)}
    gimp = start(home, tmp_path, ["one"], frame=str(ROOT / "examples" / "frame.png"))
    until_busy(unix_server.process.pid, gimp)
    sign.write_text("")
    report = finished(gimp, tmp_path, TIMEOUT_S)
    closed_s = float(sign.with_name("close.done").read_text())
    assert closed_s < report["run"]["ended_s"], "the image was not closed in time"
    # GIMP keeps it for the plug-in, so that nothing of it fails, and lets it go with the result.
    assert report["run"]["status"] == "success", report
    assert (report["run"]["layers"], report["run"]["images"]) == (None, 0)


def test_a_server_started_by_one_run_serves_the_next_and_ends_with_gimp(
    gimp_home: dict[str, str], truth: Reference, small_frame: Path, tmp_path: Path
) -> None:
    choose_server(gimp_home, RunningServer("auto", None), start_server=True)  # type: ignore[arg-type]
    report = drive(gimp_home, tmp_path, ["twice"], frame=str(small_frame))
    assert [found["status"] for found in report["runs"]] == ["success", "success"], report
    assert report["lives"]
    shape = truth.ids.shape
    for made in report["made"]:  # the second run does not take the first one's result for a frame
        assert np.array_equal(ids_of(made, shape, none=255), truth.ids)
    assert report["runs"][1]["seconds"] < report["runs"][0]["seconds"]
    until_s = time.monotonic() + 30
    while psutil.pid_exists(report["server"]):
        assert time.monotonic() < until_s, "the server outlives GIMP"
        time.sleep(0.1)


def test_8k(gimp_home: dict[str, str], unix_server: RunningServer, tmp_path: Path) -> None:
    choose_server(gimp_home, unix_server)
    frame = cv2.imread(str(ROOT / "examples" / "frame.png"))
    cv2.imwrite(str(tmp_path / "large.png"), cv2.resize(frame, (7680, 4320), interpolation=cv2.INTER_CUBIC))
    report = drive(gimp_home, tmp_path, ["large"], frame=str(tmp_path / "large.png"))
    assert report["run"]["status"] == "success", report
    assert report["group"][0] == ["visible line", 7680, 4320]
    assert report["group"][-1] == ["cel", 7680, 4320]
