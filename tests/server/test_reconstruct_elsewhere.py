"""``douga reconstruct --server``: the same files as by the networks here, whatever happens to the server."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import douga_server.client
import douga_server.service
import numpy as np
import pytest
from douga_server.auth import Tokens
from douga_server.backends.local import LocalBackend
from douga_server.client_calls import Patience
from douga_server.fakes import FAKE_MODELS, FakeStore
from douga_server.jobs import Description
from douga_server.limits import Limits
from douga_server.models import ModelStore
from douga_server.options import FrontOptions, ServiceOptions
from PIL import Image
from serving import LiveServer

from douga.cli import main
from douga.commands import equipment
from douga.commands.session import Equipment, equip_locally
from douga.fakes import fake_stages
from douga.own_masks import OwnMasks
from douga.pipeline import Settings, Stages

TOKEN = "a-token-of-enough-letters"
KINDS = ("classes", "cel_mask", "cel", "douga", "layers")


@pytest.fixture(autouse=True)
def _fakes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run here has the same fake stages as the server, and no server of this machine's user is found."""

    def equip(args: object, settings: Settings) -> Equipment:
        mask, stages = getattr(args, "mask", None), fake_stages()
        if mask is not None:
            stages = Stages(OwnMasks(mask), stages.find_lines)
        return equip_locally(stages, settings, "cpu", {})

    monkeypatch.setattr(equipment, "_equip_here", equip)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer() as live:
        yield live


def _draw(path: Path, shade: int = 40, size_wh: tuple[int, int] = (64, 48)) -> Path:
    picture = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    cv2.rectangle(picture, (12, 10), (50, 38), (230, 120, shade), -1)
    cv2.rectangle(picture, (12, 10), (50, 38), (0, 0, 0), 3)
    cv2.line(picture, (20, 10), (40, 38), (0, 0, 0), 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def _shot(folder: Path, count: int = 4) -> Path:
    for n in range(1, count + 1):
        _draw(folder / f"A{n:04d}.png", 40 + n)
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    """Every result by its path, the manifest left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def _manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def _run(shot: Path, out: Path, *more: str) -> int:
    return main(["reconstruct", str(shot), "--out", str(out), *more])


# -- the same files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--palette", "retas"),
        ("--palette", "STUDIO"),
        ("--mask", "MASKS"),
        ("--line-width", "2", "--tga-line-width", "2"),
        ("--layers", "none", "--frames", "2-3"),
        ("--jobs", "1"),
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_the_same_files_as_here(tmp_path: Path, server: LiveServer, options: tuple[str, ...]) -> None:
    shot = _shot(tmp_path / "shot")
    preset = (Path(equipment.__file__).parents[1] / "palettes/retas.toml").read_text()
    (tmp_path / "studio.toml").write_text(preset.replace('["#000000"]', '["#123456"]'))
    mask = np.zeros((48, 64), np.uint8)
    mask[5:30, 5:30] = 255
    for n in range(1, 5):
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / f"masks/A{n:04d}.png")
    named = {"STUDIO": str(tmp_path / "studio.toml"), "MASKS": str(tmp_path / "masks")}
    given = [named.get(option, option) for option in options]

    assert _run(shot, tmp_path / "here", *given) == 0
    assert _run(shot, tmp_path / "there", *given, "--server", server.address) == 0
    here, there = _files(tmp_path / "here"), _files(tmp_path / "there")
    assert there == here
    assert len(here) == (2 * 4 if "--frames" in options else 4 * 5)


def test_the_manifest_has_the_servers_weights(tmp_path: Path, server: LiveServer) -> None:
    shot = _shot(tmp_path / "shot", 1)
    assert _run(shot, tmp_path / "out", "--server", server.address, "--weights-cel", "fake-cel") == 0
    run = _manifest(tmp_path / "out")["run"]
    assert run["device"] == "server: cpu"
    assert run["weights"] == {
        "lines": {"name": "fake-lines", "sha256": "1" * 64},
        "cel": {"name": "fake-cel", "sha256": "c" * 64},
    }
    mask = tmp_path / "mask.png"
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(mask)
    assert _run(shot, tmp_path / "masked", "--server", server.address, "--mask", str(mask)) == 0
    assert set(_manifest(tmp_path / "masked")["run"]["weights"]) == {"lines"}


def test_a_second_run_skips_and_overwrite_does_not(
    tmp_path: Path, server: LiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = _shot(tmp_path / "shot", 2), tmp_path / "out"
    elsewhere = ("--server", server.address)
    assert _run(shot, out, "--frames", "1", *elsewhere) == 0
    (out / "classes/A0001.png").write_bytes(b"corrected by hand")
    assert _run(shot, out, *elsewhere) == 0
    assert "1 done; 1 skipped" in capsys.readouterr().out
    assert (out / "classes/A0001.png").read_bytes() == b"corrected by hand"
    assert _run(shot, out, "--overwrite", *elsewhere) == 0
    assert (out / "classes/A0001.png").read_bytes() != b"corrected by hand"


def test_a_token_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shot, file = _shot(tmp_path / "shot", 1), tmp_path / "token"
    file.write_text(TOKEN)
    with LiveServer(tokens=Tokens([TOKEN])) as live:
        assert _run(shot, tmp_path / "out", "--server", live.address) == 2
        assert "--token-file" in capsys.readouterr().err
        assert _run(shot, tmp_path / "out", "--server", live.address, "--token-file", str(file)) == 0


@pytest.mark.slow  # torch and two networks, twice
def test_shipped_weights_give_the_same_bytes_here_and_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    frame = _draw(tmp_path / "A0001.png", size_wh=(160, 96))
    assert _run(frame, tmp_path / "here", "--device", "cpu") == 0
    with LiveServer(backend=LocalBackend(ModelStore(device="cpu"))) as live:
        assert _run(frame, tmp_path / "there", "--server", live.address) == 0
    assert _files(tmp_path / "there") == _files(tmp_path / "here")
    here, there = (_manifest(tmp_path / name)["run"] for name in ("here", "there"))
    assert there["weights"] == here["weights"]


# -- what goes wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--server", "127.0.0.1:1"), "douga serve"),
        (("--server", "auto"), "douga serve"),
        (("--server", "SERVER", "--device", "cuda"), "--device cuda"),
        (("--server", "SERVER", "--backend", "ray"), "choose one"),
        (("--server", "SERVER", "--weights-lines", "kugler-1"), "fake-lines"),
        (("--token-file", "t"), "--server"),
        (("--replicas", "2"), "--backend ray"),
        (("--mask", "masks", "--weights-cel", "cel-small"), "--weights-cel says nothing"),
        (("--server", "gpu01"), "HOST:PORT"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_2(
    tmp_path: Path,
    server: LiveServer,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    told: str,
) -> None:
    frame = _draw(tmp_path / "A0001.png")
    given = [option.replace("SERVER", server.address) for option in more]
    assert _run(frame, tmp_path / "out", *given) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("douga:")]
    assert len(lines) == 1
    assert told in lines[0]
    assert _files(tmp_path / "out") == {}


def test_a_frame_that_the_server_refuses_leaves_the_others_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot = _shot(tmp_path / "shot", 3)
    _draw(shot / "A0002.png", size_wh=(200, 100))
    limits = FrontOptions(service=ServiceOptions(limits=Limits(max_pixels=64 * 48)))
    with LiveServer(options=limits) as live:
        assert _run(shot, tmp_path / "out", "--server", live.address) == 1
    captured = capsys.readouterr()
    assert "2 done; 1 failed: A0002" in captured.out
    assert "200 x 100" in captured.err


def test_a_frame_without_its_mask_leaves_the_others_done(tmp_path: Path, server: LiveServer) -> None:
    shot, masks = _shot(tmp_path / "shot", 2), tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(masks / "A0002.png")
    out = tmp_path / "out"
    assert _run(shot, out, "--server", server.address, "--mask", str(masks)) == 1
    assert {path.stem for path in (out / "classes").iterdir()} == {"A0002"}


def _slow_server(address: str = "127.0.0.1:0") -> LiveServer:
    return LiveServer(address, backend=LocalBackend(FakeStore(steps=2, step_s=0.04)))


def _once_complete(frames: int, out: Path, then: Callable[[], None]) -> threading.Thread:
    """Calls once so many frames are written, whichever they are: several are asked for at a time."""

    def wait() -> None:
        deadline_s = time.monotonic() + 30
        while len(list((out / "layers").glob("A*.ora"))) < frames and time.monotonic() < deadline_s:
            time.sleep(0.02)
        then()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_server_that_dies_leaves_whole_frames_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(douga_server.client, "Patience", lambda: Patience(1.0, 1.0))
    shot, out = _shot(tmp_path / "shot", 20), tmp_path / "out"
    assert _run(shot, tmp_path / "here") == 0
    with _slow_server() as live:
        address = live.address
        killer = _once_complete(3, out, live.stop)
        assert _run(shot, out, "--server", address) == 2
        killer.join()
    told = capsys.readouterr().err
    assert [line for line in told.splitlines() if line.startswith("douga:")] == [
        line for line in told.splitlines() if line.startswith("douga:") and address in line
    ]
    assert told.count("\ndouga:") == 1
    assert "frames are complete; the same command goes on from here" in told
    assert "Traceback" not in told

    here, partly = _files(tmp_path / "here"), _files(out)
    complete = {path.split("/")[1].split(".")[0] for path in partly}
    assert 3 <= len(complete) < 20
    assert partly == {path: data for path, data in here.items() if path.split("/")[1][:5] in complete}
    assert {frame["name"] for frame in _manifest(out)["frames"]} == complete

    with LiveServer(address):
        assert _run(shot, out, "--server", address) == 0
    assert _files(out) == here


def test_a_server_that_comes_back_is_used_again(tmp_path: Path) -> None:
    shot, out = _shot(tmp_path / "shot", 10), tmp_path / "out"
    assert _run(shot, tmp_path / "here") == 0
    again: list[LiveServer] = []

    def restart() -> None:
        live.stop()
        time.sleep(0.5)
        again.append(LiveServer(live.address).__enter__())

    with _slow_server() as live:
        restarter = _once_complete(2, out, restart)
        assert _run(shot, out, "--server", live.address) == 0
        restarter.join()
    again[0].stop()
    assert _files(out) == _files(tmp_path / "here")


def test_weights_that_the_server_takes_up_meanwhile_are_told(tmp_path: Path) -> None:
    class Swapped(LocalBackend):
        """Has told of other weights than it uses, as after a hot reload."""

        async def start(self) -> Description:
            return replace(await super().start(), models=FAKE_MODELS)

    shot, weights = _shot(tmp_path / "shot", 1), tmp_path / "weights"
    weights.write_bytes(b"other ones")
    taken_up = hashlib.sha256(b"other ones").hexdigest()[:12]
    with LiveServer(backend=Swapped(FakeStore(weights=weights))) as live:
        assert _run(shot, tmp_path / "out", "--server", live.address) == 0
    [frame] = _manifest(tmp_path / "out")["frames"]
    assert any(f"lines weights fake-lines {taken_up}" in warning for warning in frame["warnings"])


def test_another_version_is_told(
    tmp_path: Path,
    server: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(douga_server.service, "__version__", "9.9.9")
    assert _run(_shot(tmp_path / "shot", 1), tmp_path / "out", "--server", server.address) == 0
    assert "note: the server is Douga 9.9.9" in capsys.readouterr().err
