"""The plug-in in the real GIMP 3 by keys and mouse on a screen; run by run.sh. Screenshots: build/hosts."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import test_krita
from conftest import ARTEFACTS, Reference, RunningServer, choose_server, ids_of
from held_server import held_server
from test_gimp3 import TIMEOUT_S, folder_of, gimp_home, gimp_home_in, pytestmark, start  # noqa: F401

WINDOW_WH = ("1600", "980")
CANCEL_XY = ("1320", "983")  # in the status bar of a window of that size


class Screen:
    """GIMP with an image open on a screen of its own."""

    def __init__(self, home: dict[str, str], gimp: subprocess.Popen[str], title: str) -> None:
        self.home, self.gimp, self._title = home, gimp, title

    def does(self, *words: str) -> bool:
        """Whether xdotool did so."""
        return subprocess.run(["xdotool", *words], env=self.home, capture_output=True).returncode == 0

    def waits(self, condition: Callable[[], bool]) -> None:
        """Until it holds; GIMP has to live that long."""
        until_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert self.gimp.poll() is None, "GIMP has ended"
            assert time.monotonic() < until_s, "it did not happen"
            time.sleep(0.2)

    def window(self, name: str) -> None:
        """Wait for a window, give it the keys, and let it be drawn."""
        self.waits(lambda: self.does("search", "--name", name, "windowactivate", "--sync"))
        time.sleep(3)

    def calls(self, entry: str) -> None:
        """A menu's entry by GIMP's search for commands."""
        self.window(self._title)  # GIMP's welcome may lie over it
        self.does("key", "slash")
        self.window("^Search Actions$")
        self.does("type", "--delay", "80", entry)
        time.sleep(3)
        self.does("key", "Return")

    def clicks(self, x: str, y: str) -> bool:
        """By the mouse."""
        return self.does("mousemove", x, y, "click", "1")

    def is_kept_as(self, name: str) -> None:
        """A screenshot for people."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        subprocess.run(["scrot", "-o", str(ARTEFACTS / f"{name}.png")], env=self.home, check=True)


@contextmanager
def screen_of(home: dict[str, str], folder: Path, step: str, frame: Path) -> Iterator[Screen]:
    """Until the block ends. step: what the driver does in GIMP meanwhile."""
    with test_krita.display() as number:
        home = home | {"DISPLAY": number}
        manager = subprocess.Popen(["openbox"], env=home, stderr=subprocess.DEVNULL)
        gimp = start(home, folder, [step], frame=str(frame), on_screen=str(frame))
        title = f"{frame.stem}.* GIMP$"
        screen = Screen(home, gimp, title)
        try:
            screen.waits((folder / "report.ready").exists)
            screen.window(title)
            screen.does("search", "--name", title, "windowsize", *WINDOW_WH)
            time.sleep(3)
            yield screen
        finally:
            for process in (gimp, manager):
                process.kill()
                process.wait()


def test_keys_make_the_group_and_undo_it(
    gimp_home: dict[str, str],  # noqa: F811
    unix_server: RunningServer,
    truth: Reference,
    small_frame: Path,
    tmp_path: Path,
) -> None:
    """The menu's entry by GIMP's search, its dialog, progress, one undo."""
    choose_server(gimp_home, unix_server)
    with screen_of(gimp_home, tmp_path, "screen", small_frame) as screen:
        screen.calls("Reconstruct douga")
        screen.window("^Reconstruct douga$")
        screen.does("key", "Return")
        screen.waits((tmp_path / "report.made").exists)
        screen.is_kept_as("gimp")
        screen.does("key", "ctrl+z")
        (tmp_path / "report.undo").write_text("")
        screen.waits((tmp_path / "report.json").exists)
    report = json.loads((tmp_path / "report.json").read_text())
    assert "trouble" not in report, report["trouble"]
    assert np.array_equal(ids_of(report["layers"], truth.ids.shape, none=255), truth.ids)
    assert report["undone"], report["left"]
    assert len(report["left"]) == 1


def test_settings_models_and_cancel(
    gimp_home: dict[str, str],  # noqa: F811
    small_frame: Path,
    tmp_path: Path,
) -> None:
    """The address is typed into the settings, a model chosen from the server's list, and the run given up."""
    choose_server(gimp_home, RunningServer("unix:/nowhere", None, token="kept"))  # type: ignore[arg-type]
    chosen = Path(gimp_home["XDG_CONFIG_HOME"], "douga", "plugins.json")
    with (
        held_server(tmp_path / "server") as server,
        screen_of(gimp_home, tmp_path, "left", small_frame) as screen,
    ):
        screen.calls("Douga settings")
        screen.window("^Douga settings$")
        screen.does("key", "ctrl+a")
        screen.does("type", "--delay", "80", server.address)
        screen.is_kept_as("gimp_settings")
        screen.does("key", "Return")
        screen.waits(lambda: server.address in chosen.read_text())
        assert json.loads(chosen.read_text())["token"] == "kept"

        screen.calls("Reconstruct douga")
        screen.window("^Reconstruct douga$")
        screen.does("key", "alt+e")  # the cel model's list
        screen.does("key", "Down")
        time.sleep(2)
        screen.is_kept_as("gimp_dialog")
        screen.does("key", "alt+o")
        last = folder_of(gimp_home) / "plug-in-settings" / "GimpProcedureConfigRun-douga-reconstruct.last"
        screen.waits(lambda: last.exists() and "fake-cel" in last.read_text())  # with success

        server.hold.write_text("")
        screen.calls("Reconstruct douga")
        screen.window("^Reconstruct douga$")
        screen.does("key", "alt+o")
        screen.waits(server.hold.with_suffix(".held").exists)
        screen.is_kept_as("gimp_progress")
        log = tmp_path / "server" / "server.log"
        screen.waits(lambda: screen.clicks(*CANCEL_XY) and "CANCELLED" in log.read_text())
        (tmp_path / "report.look").write_text("")
        screen.waits((tmp_path / "report.json").exists)
    last.unlink()  # else the next dialog begins with that model
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["left"] == ["douga", "small.png"], report  # of the first run alone


def test_dialogs_in_japanese(small_frame: Path, tmp_path: Path) -> None:
    """Their titles; the screenshots are for whoever reads Japanese."""
    home = gimp_home_in(tmp_path) | {"LANGUAGE": "ja"}
    with held_server(tmp_path / "server") as server:
        choose_server(home, server)
        with screen_of(home, tmp_path, "dialogs", small_frame) as screen:
            for title, name in (("^Douga の設定$", "settings"), ("^動画を復元$", "dialog")):
                screen.window(title)
                screen.is_kept_as(f"gimp_{name}_japanese")
                screen.does("key", "Escape")
            screen.waits((tmp_path / "report.json").exists)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == {"douga-settings": "success", "douga-reconstruct": "cancel"}
