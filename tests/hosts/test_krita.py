"""The plugin in the real Krita, against real servers: what it makes is what the command line makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import (
    ARTEFACTS,
    TITLES,
    Reference,
    RunningServer,
    begun,
    choose_server,
    finished,
    ids_of,
    plugin,
)

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(shutil.which("krita") is None or shutil.which("Xvfb") is None, reason="no Krita here"),
]
HERE = Path(__file__).parent
DESKTOP = (
    "[Desktop Entry]\nType=Service\nServiceTypes=Krita/PythonPlugin\nX-KDE-Library=driver\nName=driver\n"
)
TIMEOUT_S = 900  # on cores that others use too


@contextmanager
def display() -> Iterator[str]:
    """A screen of our own."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            yield f":{pipe.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def start(
    home: dict[str, str], screen: str, folder: Path, steps: list[str], frame: Path, **more: Any
) -> subprocess.Popen[str]:
    """Krita with our plugin and the driver in it. more: for its steps."""
    plugins = Path(home["XDG_DATA_HOME"], "krita", "pykrita")
    (plugins / "driver").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "krita_driver.py", plugins / "driver" / "__init__.py")
    shutil.copyfile(HERE / "krita_unusual.py", plugins / "driver" / "unusual.py")
    (plugins / "driver.desktop").write_text(DESKTOP)
    kritarc = Path(home["XDG_CONFIG_HOME"], "kritarc")
    kritarc.write_text(kritarc.read_text() + "enable_driver=true\n")
    plan = {"steps": steps, "frame": str(frame), "selection": [100, 40, 200, 150], **more}
    return begun(["krita", "--nosplash"], home | {"DISPLAY": screen}, folder, **plan)


def drive(home: dict[str, str], folder: Path, steps: list[str], frame: Path, **more: Any) -> dict[str, Any]:
    with display() as screen:
        return finished(start(home, screen, folder, steps, frame, **more), folder, TIMEOUT_S)


@pytest.fixture
def krita_home(home: dict[str, str]) -> dict[str, str]:
    plugin(home, "install", "krita")
    return home


def test_layers_are_what_the_command_line_makes(
    krita_home: dict[str, str],
    unix_server: RunningServer,
    truth: Reference,
    small_frame: Path,
    tmp_path: Path,
) -> None:
    choose_server(krita_home, unix_server)
    steps = ["nothing_open", "whole", "converted", "selected", "frames", "stacked"]
    report = drive(krita_home, tmp_path, steps, small_frame)
    shape = truth.ids.shape

    assert len(report["run"]["made"][0]) == len(report["layers"]) - 1, report["run"]  # the mask is the cel's
    made = report["layers"]
    assert np.array_equal(ids_of(made, shape), truth.ids)
    cel = np.fromfile(made["cel"], np.uint8).reshape(*shape, 4)
    assert (cel[..., 3] == 255).all()
    assert np.array_equal(np.fromfile(made["cel mask"], np.uint8).reshape(shape), truth.mask)
    assert set(made).intersection(TITLES) == {TITLES[index] for index in np.unique(truth.ids) if index}

    assert [entry[0] for entry in report["undone"]] == ["Background"]
    assert np.array_equal(ids_of(report["redone"], shape), truth.ids)
    for suffix in ("kra", "ora", "psd"):
        assert np.array_equal(ids_of(report["saved"][suffix], shape), truth.ids), suffix

    assert report["depth"] == "U16"
    assert "sRGB" in report["converted_run"]["message"]
    same = ids_of(report["converted"], shape) == truth.ids
    assert same.mean() > 0.995  # 16 bits and back may change a colour by one step

    x, y, w, h = 100, 40, 200, 150
    part = ids_of(report["selected"], shape)
    assert part[y : y + h, x : x + w].any()
    part[y : y + h, x : x + w] = 0
    assert not part.any()

    assert report["frames_run"]["made"], report["frames_run"]["message"]
    assert report["keyframes"]
    assert all(frames == [True, True, False] for _, *frames in report["keyframes"])
    assert np.array_equal(ids_of(report["frame_layers"], shape), truth.ids)
    assert set("".join(report["frame_before"])) <= {"0"}
    assert [entry[0] for entry in report["frames_undone"]] == ["Background"]  # one step
    assert report["stacked"] == ["bottom", "middle", "top"]

    assert "Open an image" in report["nothing_run"]["message"]


def test_tls_and_token(
    krita_home: dict[str, str], tls_server: RunningServer, truth: Reference, small_frame: Path, tmp_path: Path
) -> None:
    choose_server(krita_home, tls_server)
    report = drive(krita_home, tmp_path, ["whole"], small_frame)
    assert np.array_equal(ids_of(report["layers"], truth.ids.shape), truth.ids)


def test_a_wrong_token_is_one_message_with_its_mend(
    krita_home: dict[str, str], tls_server: RunningServer, small_frame: Path, tmp_path: Path
) -> None:
    choose_server(krita_home, tls_server, token="of-yesterday-and-long-enough-to-be-one")
    report = drive(krita_home, tmp_path, ["faults"], small_frame)
    assert report["fault_run"]["made"] == []
    assert "does not accept this token" in report["fault_run"]["message"]
    assert report["fault_run"]["mend"] == "Open settings"
    assert [entry[0] for entry in report["fault_tree"]] == ["Background"]


def test_without_a_server_it_says_so(krita_home: dict[str, str], small_frame: Path, tmp_path: Path) -> None:
    path = Path(krita_home["XDG_CONFIG_HOME"], "douga", "plugins.json")
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"start_server": False}))
    report = drive(krita_home, tmp_path, ["faults"], small_frame)
    assert report["fault_run"]["made"] == []
    assert report["fault_run"]["mend"] == "Try again"  # nobody is to start one, as the settings say


def test_a_click_on_the_screen(
    krita_home: dict[str, str], unix_server: RunningServer, tmp_path: Path
) -> None:
    """With a real mouse on a real window; the screenshot is kept."""
    choose_server(krita_home, unix_server)
    frame = Path(__file__).parents[2] / "examples" / "frame.png"
    report_file = tmp_path / "report.json"
    with display() as screen:
        krita = start(krita_home, screen, tmp_path, ["shown"], frame)
        manager = subprocess.Popen(
            ["openbox"], env={**krita_home, "DISPLAY": screen}, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(report_file.with_suffix(".at"), krita)
            x, y = report_file.with_suffix(".at").read_text().split()
            on_screen = {**krita_home, "DISPLAY": screen}
            subprocess.run(["xdotool", "mousemove", x, y, "click", "1"], env=on_screen, check=True)
            _wait_for(report_file.with_suffix(".shown"), krita)
            ARTEFACTS.mkdir(parents=True, exist_ok=True)
            shot = ["scrot", "--overwrite", str(ARTEFACTS / "krita.png")]
            subprocess.run(shot, env=on_screen, check=True)
            report_file.with_suffix(".seen").write_text("")
            report = finished(krita, tmp_path, TIMEOUT_S)
        finally:
            manager.terminate()
            manager.wait()
            krita.kill()
            krita.wait()
    assert report["tree"][-1][0] == "Douga"
    assert report["listed"] == ["Douga", "Background"]
    assert report["is_seen"]
    assert "done" in report["message"]


def _wait_for(path: Path, krita: subprocess.Popen[str]) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not path.exists():
        assert krita.poll() is None, "Krita has ended"
        assert time.monotonic() < until_s, path.name
        time.sleep(0.1)
