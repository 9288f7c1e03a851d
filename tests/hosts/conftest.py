"""Real servers with the real weights for the tests in the hosts, and what the command line makes of a frame.

Plugins are installed as a user would: by `douga plugin install` into a home of the test's own.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trustme
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "build" / "hosts"  # screenshots, kept for people
DOUGA = [sys.executable, "-m", "douga"]
# Of the classes by their ids, as Krita's and GIMP 3's layers have them.
TITLES = ("flat", "visible line", "shading line", "color edge", "highlight line", "book line")
TITLES += ("shading fill", "color fill", "highlight fill", "book fill")


@dataclass(frozen=True)
class RunningServer:
    """A real server. address: as a user would enter it. token and ca_file: "" where it wants none."""

    address: str
    process: subprocess.Popen[str]
    token: str = ""
    ca_file: str = ""


@dataclass(frozen=True)
class Reference:
    """What `douga reconstruct` made of a frame. ids and mask: (H, W) uint8. folder: all of its files."""

    ids: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    folder: Path


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`douga serve` until the block ends; it is ready when the block begins."""
    with announced([*DOUGA, "serve", *arguments], folder) as process:
        yield process


@contextmanager
def announced(
    command: list[str], folder: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A server that `command` starts. folder: for its log and its discovery file."""
    command = [*command, "--discovery-file", str(folder / "douga" / "server.json")]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("douga serve: ready "):
                break
        else:
            raise AssertionError((folder / "server.log").read_text())
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def unix_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server on a Unix socket, which needs no token."""
    folder = tmp_path_factory.mktemp("unix")
    folder.chmod(0o700)
    address = f"unix:{folder / 's.sock'}"
    with serving(folder, "--address", address) as process:
        yield RunningServer(address, process)


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server on a port, with TLS and a token."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    key, cert, ca, token = (folder / name for name in ("key.pem", "cert.pem", "ca.pem", "token"))
    issued.private_key_pem.write_to_path(str(key))
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    authority.cert_pem.write_to_path(str(ca))
    token.write_text(secrets.token_urlsafe(32))
    for path in (key, token):
        path.chmod(0o600)
    arguments = ["--address", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--token-file", token]
    with serving(folder, *map(str, arguments)) as process:
        announced = json.loads((folder / "douga" / "server.json").read_text())
        port = str(announced["address"]).rpartition(":")[2]
        yield RunningServer(f"localhost:{port}", process, token.read_text(), str(ca))


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Reference]:
    """What the command line makes of a frame, made once for each frame."""
    known: dict[bytes, Reference] = {}

    def made(frame: Path) -> Reference:
        key = frame.read_bytes()
        if key not in known:
            folder = tmp_path_factory.mktemp("reference")
            subprocess.run([*DOUGA, "reconstruct", str(frame), "--out", str(folder)], check=True)
            known[key] = Reference(
                _read_ids(folder / "classes" / f"{frame.stem}.png"),
                cv2.imread(str(folder / "cel_mask" / f"{frame.stem}.png"), cv2.IMREAD_GRAYSCALE),
                folder,
            )
        return known[key]

    return made


@pytest.fixture(scope="session")
def small_frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's example at 480 x 270: large enough for every class to have a chance, quickly answered."""
    frame = cv2.imread(str(ROOT / "examples" / "frame.png"))
    path = tmp_path_factory.mktemp("frame") / "small.png"
    assert cv2.imwrite(str(path), cv2.resize(frame, (480, 270), interpolation=cv2.INTER_AREA))
    return path


@pytest.fixture(scope="session")
def truth(reference: Callable[[Path], Reference], small_frame: Path) -> Reference:
    """What the command line makes of `small_frame`."""
    return reference(small_frame)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose home is empty, for a host and for `douga plugin install`."""
    return home_in(tmp_path)


def home_in(parent: Path) -> dict[str, str]:
    """See `home`."""
    folder = parent / "home"
    folder.mkdir()
    runtime = parent / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "PYTHON"))}
    return environment | {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "XDG_DATA_HOME": str(folder / ".local" / "share"),
        "XDG_RUNTIME_DIR": str(runtime),
        "LANG": "C.UTF-8",
    }


def plugin(home: dict[str, str], *arguments: str) -> str:
    """`douga plugin ...` in that home; what it said."""
    ran = subprocess.run([*DOUGA, "plugin", *arguments], env=home, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def choose_server(home: dict[str, str], server: RunningServer, **more: Any) -> None:
    """Write into the plugins' settings what a user would enter."""
    path = Path(home["XDG_CONFIG_HOME"], "douga", "plugins.json")
    known = json.loads(path.read_text()) if path.exists() else {}
    chosen = {"server": server.address, "token": server.token, "tls": bool(server.ca_file)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known | chosen | {"ca_file": server.ca_file, "start_server": False} | more))
    path.chmod(0o600)


def begun(
    command: list[str], environment: dict[str, str], folder: Path, **plan: Any
) -> subprocess.Popen[str]:
    """A host with a driver of ours in it, which finds its plan by DRIVE and writes to REPORT."""
    (folder / "drive.json").write_text(json.dumps(plan))
    paths = {"DRIVE": str(folder / "drive.json"), "REPORT": str(folder / "report.json")}
    with (folder / "host.log").open("w") as log:
        return subprocess.Popen(command, env=environment | paths, stdout=log, stderr=log, text=True)


def finished(host: subprocess.Popen[str], folder: Path, timeout_s: float) -> dict[str, Any]:
    """Wait for its end; what the driver reports."""
    try:
        host.wait(timeout_s)
    finally:
        host.kill()
        host.wait()
    assert (folder / "report.json").exists(), (folder / "host.log").read_text()[-3000:]
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    assert "trouble" not in report, report["trouble"]
    return report


def ids_of(layers: dict[str, str], shape_hw: tuple[int, int], none: int = 0) -> NDArray[np.uint8]:
    """The class map that the layers make together. layers: files of raw RGBA or BGRA by title. none: the id
    where no layer has a pixel.
    """
    ids = np.full(shape_hw, none, np.uint8)
    for title in set(layers).intersection(TITLES):
        alpha = np.fromfile(layers[title], np.uint8).reshape(*shape_hw, 4)[..., 3]
        assert set(np.unique(alpha)) <= {0, 255}
        assert (ids[alpha > 0] == none).all()
        ids[alpha > 0] = TITLES.index(title)
    return ids


def _read_ids(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as image:
        return np.array(image)
