"""The discovery file: private, written whole, of a server that runs."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from douga_server import discovery
from douga_server.address import Address, parse_address
from douga_server.discovery import Announcement
from douga_server.errors import SetupError


@pytest.fixture
def listening() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Address("127.0.0.1", server.getsockname()[1])


def _announcement(address: Address, **changes: object) -> Announcement:
    made = Announcement.of(address, token="secret-0123456789", tls=False, version="1.2")
    return Announcement(**{**made.__dict__, **changes})


def test_it_lies_with_the_session_or_in_the_cache_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert discovery.default_path() == Path("/run/user/7/douga/server.json")
    for useless in ("", "relative"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", useless)
        monkeypatch.setenv("HOME", "/home/somebody")
        assert discovery.default_path() == Path("/home/somebody/.cache/douga/server.json")


def test_what_is_written_is_found_by_its_owner_alone(listening: Address) -> None:
    path = discovery.default_path()
    discovery.write(path, _announcement(listening))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["server.json"]
    assert discovery.find() == _announcement(listening)
    assert json.loads(path.read_text())["port"] == listening.port


def test_a_server_that_has_gone_is_not_found(listening: Address) -> None:
    path = discovery.default_path()
    assert discovery.find() is None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    discovery.write(path, _announcement(listening, pid=ended.pid))
    assert discovery.find() is None
    discovery.refuse_second(path)
    # A process of that number is there again, but nobody listens.
    discovery.write(path, _announcement(Address("127.0.0.1", 1)))
    assert discovery.find() is None
    discovery.write(path, _announcement(listening, pid=os.getppid()))
    assert discovery.find() is not None
    with pytest.raises(SetupError, match=f"runs already at {listening.target}"):
        discovery.refuse_second(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"address": 5}', "\0" * 100])
def test_a_file_without_sense_counts_as_none(text: str) -> None:
    path = discovery.default_path()
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_text(text)
    assert discovery.find() is None


def test_a_file_that_others_could_have_written_or_read_is_not_trusted(
    listening: Address, tmp_path: Path
) -> None:
    path = discovery.default_path()
    discovery.write(path, _announcement(listening))
    path.chmod(0o644)
    with pytest.raises(SetupError, match="nobody else can read"):
        discovery.find()
    path.unlink()
    elsewhere = tmp_path / "elsewhere.json"
    discovery.write(elsewhere, _announcement(listening))
    path.symlink_to(elsewhere)
    with pytest.raises(SetupError, match="can be trusted"):
        discovery.find()
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(SetupError):
        discovery.find()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_not_trusted(listening: Address) -> None:
    path = discovery.default_path()
    discovery.write(path, _announcement(listening))
    os.chown(path, 12345, 12345)
    with pytest.raises(SetupError, match="of your own"):
        discovery.find()


def test_writing_replaces_a_link_and_never_follows_it(listening: Address, tmp_path: Path) -> None:
    path, precious = discovery.default_path(), tmp_path / "precious"
    precious.write_text("x")
    path.parent.mkdir(mode=0o700)
    path.symlink_to(precious)
    discovery.write(path, _announcement(listening))
    assert precious.read_text() == "x"
    assert not path.is_symlink()


def test_a_folder_that_is_a_link_or_open_to_others_is_refused(listening: Address, tmp_path: Path) -> None:
    folder = discovery.default_path().parent
    (tmp_path / "real").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "real")
    with pytest.raises(SetupError, match="plain folder of your own"):
        discovery.write(folder / "server.json", _announcement(listening))
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(SetupError, match="else can write"):
        discovery.write(folder / "server.json", _announcement(listening))


def test_at_the_end_only_ones_own_announcement_goes(listening: Address) -> None:
    path = discovery.default_path()
    discovery.write(path, _announcement(listening, pid=os.getppid()))
    discovery.remove(path)
    assert path.exists()
    discovery.write(path, _announcement(listening))
    discovery.remove(path)
    assert not path.exists()
    discovery.remove(path)


@pytest.mark.parametrize(
    ("text", "target", "is_local"),
    [
        ("127.0.0.1:7610", "127.0.0.1:7610", True),
        ("127.8.9.1:0", "127.8.9.1:0", True),
        ("localhost:1", "127.0.0.1:1", True),
        ("[::1]:5", "[::1]:5", True),
        ("unix:/run/x.sock", "unix:/run/x.sock", True),
        ("0.0.0.0:5", "0.0.0.0:5", False),
        ("[::]:5", "[::]:5", False),
        ("10.0.0.7:5", "10.0.0.7:5", False),
        ("gpu.studio.example:5", "gpu.studio.example:5", False),
        ("127.1:5", "127.1:5", False),
        ("0:5", "0:5", False),
        ("127.0.0.1.example.com:5", "127.0.0.1.example.com:5", False),
        ("[::ffff:10.0.0.7]:5", "[::ffff:10.0.0.7]:5", False),
    ],
)
def test_addresses_and_whether_only_this_machine_reaches_them(text: str, target: str, is_local: bool) -> None:
    address = parse_address(text)
    assert (address.target, address.is_local) == (target, is_local)


@pytest.mark.parametrize(
    "text",
    ["", "7610", ":7610", "host", "host:x", "host:65536", "host:-1", "::1:5", "unix:", "unix:" + "x" * 200],
)
def test_what_is_no_address_says_how_to_write_one(text: str) -> None:
    from douga.errors import InputError

    with pytest.raises(InputError, match=r"expected|more than"):
        parse_address(text)
