"""Finding the server of this machine and starting one: real processes, and everything in the way."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from client_serving import FAKE_SERVER, ServerProcess, pump_until, request
from douga_client import discovery, settings
from douga_client.api import Client, Failed, InfoChanged, Job
from douga_client.client import open_client
from douga_client.environment import clean_environment
from douga_client.errors import ClientError, Kind, Mend
from douga_client.finding import LocalServer, finder
from douga_client.launch import command
from douga_client.settings import Settings
from douga_client.version import VERSION, is_compatible

import douga

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for Python is a shell script")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where discovery file, log and socket lie."""
    path = tmp_path / "douga"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def python(tmp_path: Path) -> str:
    """Stands for the Python of the installation: `-I -m douga_server` runs our server with fake weights."""
    return _script(tmp_path / "python", f'shift 3\nexec {shlex.join(FAKE_SERVER)} "$@"')


def _script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


@pytest.fixture
def opened() -> Iterator[list[Client]]:
    clients: list[Client] = []
    yield clients
    for client in clients:
        client.close()


def outcome(options: Settings, folder: Path, opened: list[Client]) -> tuple[Client, Job]:
    client = open_client(options, folder / "server.json")
    opened.append(client)
    job = client.submit(request())
    pump_until(client, lambda _: job.is_done)
    return client, job


def error_of(options: Settings, folder: Path, opened: list[Client]) -> ClientError:
    error = outcome(options, folder, opened)[1].error
    assert error is not None
    return error


def wait_gone(pid: int) -> bool:
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        try:
            with suppress(ChildProcessError):  # it is nobody's zombie
                os.waitpid(pid, os.WNOHANG)
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_the_first_job_starts_a_server_which_ends_with_the_client(
    python: str, folder: Path, opened: list[Client]
) -> None:
    way = LocalServer(Settings(python=python), folder / "server.json")
    assert way.pid == 0
    client, job = outcome(Settings(python=python), folder, opened)
    assert job.error is None
    announced = discovery.read(folder / "server.json")
    assert announced is not None
    assert announced.address == f"unix:{folder / 'server.sock'}"
    second = outcome(Settings(), folder, opened)[1]
    assert second.error is None, "another host finds it and needs no Python"
    client.close()
    assert wait_gone(announced.pid)


def test_a_server_that_was_ended_from_outside_is_started_again(
    python: str, folder: Path, opened: list[Client]
) -> None:
    client, job = outcome(Settings(python=python), folder, opened)
    assert job.error is None
    first = discovery.read(folder / "server.json")
    assert first is not None
    os.kill(first.pid, signal.SIGTERM)
    assert wait_gone(first.pid)
    again = client.submit(request())
    pump_until(client, lambda _: again.is_done)
    assert again.error is None
    second = discovery.read(folder / "server.json")
    assert second is not None
    assert second.pid != first.pid


def test_a_server_that_is_kept_outlives_the_client(python: str, folder: Path, opened: list[Client]) -> None:
    client, job = outcome(Settings(python=python, keep_server=True), folder, opened)
    assert job.error is None
    announced = discovery.read(folder / "server.json")
    assert announced is not None
    client.close()
    try:
        assert announced.is_alive
        assert outcome(Settings(), folder, opened)[1].error is None
    finally:
        os.kill(announced.pid, 15)


def test_a_plugin_in_a_process_of_its_own_leaves_the_server_to_its_host(
    python: str, folder: Path, opened: list[Client]
) -> None:
    host = subprocess.Popen(["sleep", "60"])
    client = open_client(Settings(python=python), folder / "server.json", host_pid=host.pid)
    opened.append(client)
    job = client.submit(request())
    pump_until(client, lambda _: job.is_done)
    client.close()
    announced = discovery.read(folder / "server.json")
    assert announced is not None
    time.sleep(1.5)  # the server looks twice a second
    assert outcome(Settings(), folder, opened)[1].error is None, "the next run of the plugin finds it"
    host.kill()
    host.wait()
    assert wait_gone(announced.pid)


def test_it_dies_with_a_host_that_is_killed(python: str, folder: Path) -> None:
    host = (
        "import sys, time; sys.path[:0] = sys.argv[3:]\n"
        "from pathlib import Path\n"
        "from douga_client.launch import Launch\n"
        "from douga_client.settings import Settings\n"
        "launch = Launch(Settings(python=sys.argv[1]), Path(sys.argv[2]))\n"
        "while not launch.poll(): time.sleep(0.02)\n"
        "print(launch.pid, flush=True); time.sleep(60)\n"
    )
    line = [sys.executable, "-c", host, python, str(folder / "server.json"), *sys.path]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    assert wait_gone(pid)


def test_asking_starts_nothing_unless_told_to(python: str, folder: Path, opened: list[Client]) -> None:
    client = open_client(Settings(python=python), folder / "server.json")
    opened.append(client)
    client.ask()
    (told,) = pump_until(client, bool)
    assert isinstance(told, InfoChanged)
    assert told.error is not None
    assert (told.error.kind, told.error.mend) == (Kind.NO_SERVER, Mend.START)
    client.ask(may_start=True)
    pump_until(client, lambda events: any(isinstance(e, InfoChanged) and e.info for e in events))


def test_a_stale_file_is_passed_over(python: str, folder: Path, opened: list[Client]) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    _announce(folder, pid=gone.pid)
    assert outcome(Settings(python=python), folder, opened)[1].error is None


def test_a_live_process_that_is_no_server_is_passed_over(
    python: str, folder: Path, opened: list[Client]
) -> None:
    """The number of a dead server was given to another process, or its port to another program."""
    _announce(folder, pid=os.getpid(), address=f"unix:{folder / 'nobody.sock'}")
    assert outcome(Settings(python=python), folder, opened)[1].error is None


def test_a_token_that_was_changed_is_read_again(tmp_path: Path, folder: Path, opened: list[Client]) -> None:
    (token := tmp_path / "token").write_text("the-first-token-of-all\n")
    with ServerProcess(tmp_path, "--address", "127.0.0.1:0", "--token-file", str(token)) as server:
        client, job = outcome(Settings(), folder, opened)
        assert job.error is None
        token.write_text("another-token-from-now-on\n")
        until_s = time.monotonic() + 10
        while server.token != "another-token-from-now-on" and time.monotonic() < until_s:
            time.sleep(0.05)
        job = client.submit(request())
        pump_until(client, lambda _: job.is_done)
        assert job.error is None


def _announce(folder: Path, **fields: object) -> None:
    usual = {"address": "127.0.0.1:1", "port": 1, "pid": 1, "token": None, "tls": False, "version": VERSION}
    path = folder / "server.json"
    path.write_text(json.dumps({**usual, **fields}))
    path.chmod(0o600)


def test_another_version(folder: Path, opened: list[Client]) -> None:
    _announce(folder, pid=os.getpid(), version="7.0.0")
    error = error_of(Settings(), folder, opened)
    assert (error.kind, error.mend) == (Kind.OTHER_VERSION, Mend.COMMAND)
    assert "7.0.0" in error.text()
    assert "7.0.0" in error.text("ja")


def test_the_plugin_was_never_told_where_douga_is(folder: Path, opened: list[Client]) -> None:
    error = error_of(Settings(), folder, opened)
    assert (error.kind, error.command("gimp")) == (Kind.NOT_INSTALLED, "douga plugin install gimp")


def test_the_python_is_gone(folder: Path, opened: list[Client]) -> None:
    error = error_of(Settings(python="/nonexistent/venv/bin/python"), folder, opened)
    assert error.kind is Kind.PYTHON_MISSING
    assert "/nonexistent/venv/bin/python" in error.text()
    assert error.mend is Mend.COMMAND


def test_douga_is_no_longer_installed_there(folder: Path, tmp_path: Path, opened: list[Client]) -> None:
    bare = _script(tmp_path / "bare", f'exec {sys.executable} -S "$@"')
    error = error_of(Settings(python=bare), folder, opened)
    assert error.kind is Kind.DOUGA_MISSING
    assert error.command() == f"{bare} -m pip install /path/to/douga"


def test_no_permission(folder: Path, tmp_path: Path, opened: list[Client]) -> None:
    (tmp_path / "plain").write_text("no program")
    error = error_of(Settings(python=str(tmp_path / "plain")), folder, opened)
    assert error.kind is Kind.START_DENIED
    assert str(tmp_path / "plain") in error.text()


def test_a_busy_port(python: str, folder: Path, opened: list[Client]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        error = error_of(Settings(python=python, listen=address), folder, opened)
    assert (error.kind, error.mend) == (Kind.PORT_BUSY, Mend.START)
    assert address in error.text()


def test_a_server_that_cannot_start_says_why(python: str, folder: Path, opened: list[Client]) -> None:
    error = error_of(Settings(python=python, arguments=("--token-file", "/nonexistent")), folder, opened)
    assert error.kind is Kind.START_FAILED
    assert "/nonexistent" in error.text()
    assert "--die-with" not in error.command()
    assert str(folder / "server.log") in error.text()


def test_nothing_is_started_where_the_user_does_not_want_it(
    python: str, folder: Path, opened: list[Client]
) -> None:
    error = error_of(Settings(python=python, start_server=False), folder, opened)
    assert (error.kind, error.mend) == (Kind.NO_SERVER, Mend.RETRY)


@pytest.mark.parametrize("how", ["others read", "a link", "a folder"])
def test_a_discovery_file_that_is_not_ours_alone(how: str, folder: Path, opened: list[Client]) -> None:
    path = folder / "server.json"
    if how == "a folder":
        path.mkdir()
    else:
        _announce(folder)
        path.chmod(0o644)
    if how == "a link":
        path.rename(folder / "other")
        path.symlink_to(folder / "other")
    error = error_of(Settings(), folder, opened)
    assert error.kind is Kind.NOT_PRIVATE
    assert error.command() == f"rm '{path}'"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"address": 5}', '{"address": "x", "pid": "y"}'])
def test_a_discovery_file_without_sense_is_none(text: str, folder: Path) -> None:
    path = folder / "server.json"
    path.write_text(text)
    path.chmod(0o600)
    assert discovery.read(path) is None


def test_two_hosts_that_start_at_once_share_one_server(
    python: str, folder: Path, opened: list[Client]
) -> None:
    clients = [open_client(Settings(python=python), folder / "server.json") for _ in range(2)]
    opened += clients
    jobs = [client.submit(request()) for client in clients]
    until_s = time.monotonic() + 40
    while not all(job.is_done for job in jobs) and time.monotonic() < until_s:
        for client in clients:
            client.pump()
        time.sleep(0.01)
    assert [(job.is_done, job.error) for job in jobs] == [(True, None)] * 2, [job.stage for job in jobs]


def test_starting_waits_for_nobody(python: str, folder: Path, opened: list[Client]) -> None:
    client = open_client(Settings(python=python), folder / "server.json")
    opened.append(client)
    job, longest_s, stages = client.submit(request()), 0.0, set()
    until_s = time.monotonic() + 30
    while not job.is_done and time.monotonic() < until_s:
        begun_s = time.thread_time()
        client.pump()
        longest_s = max(longest_s, time.thread_time() - begun_s)
        stages.add(job.stage)
        time.sleep(0.01)
    assert "starting" in stages
    assert longest_s < 0.1


def test_the_real_server_is_what_the_command_starts(python: str, folder: Path) -> None:
    line = command(Settings(python=sys.executable), folder / "server.json")
    assert line[1:4] == ["-I", "-m", "douga_server"]
    found = subprocess.run([*line[:4], "--help"], capture_output=True, text=True, timeout=60)
    assert all(word in found.stdout for word in [*line, "--die-with"] if word.startswith("--"))


def test_the_hosts_own_python_stays_with_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "/host")
    monkeypatch.setenv("HOME_OF_MINE", "/home")
    environment = clean_environment()
    assert "/host" not in environment.values()
    assert environment["HOME_OF_MINE"] == "/home"


def test_which_versions_go_together() -> None:
    assert douga.__version__ == VERSION
    assert is_compatible("0.1.7")
    assert not is_compatible("0.2.0")
    assert not is_compatible("1.1.0")
    assert not is_compatible("")


# -- settings --------------------------------------------------------------------------------------------


def test_settings_are_written_for_their_owner_alone_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "config" / "plugins.json"
    assert settings.read(path) == Settings()
    written = Settings("render.studio:7610", "a-token", tls=True, python="/p", arguments=("--device", "cpu"))
    settings.write(written, path)
    assert settings.read(path) == written
    assert path.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["plugins.json"]
    assert "a-token" not in repr(written)
    assert finder(written).find(may_start=False) == written.target()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "expected an object"),
        ('{"python": 3}', "python is 3, expected str"),
        ('{"arguments": "--x"}', "expected a list of words"),
        ('{"packing": "rar"}', "expected auto, raw, png, zstd"),
    ],
)
def test_settings_that_make_no_sense(text: str, said: str, tmp_path: Path) -> None:
    (path := tmp_path / "plugins.json").write_text(text)
    with pytest.raises(ClientError, match=said) as caught:
        settings.read(path)
    assert caught.value.kind is Kind.SETTINGS_BROKEN
    assert str(path) in caught.value.text()


def test_settings_of_a_newer_plugin_are_read_as_far_as_they_are_known(tmp_path: Path) -> None:
    (path := tmp_path / "plugins.json").write_text('{"python": "/p", "shiny": 1}')
    assert settings.read(path) == Settings(python="/p")


def test_settings_in_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClientError) as caught:
        settings.write(Settings(), tmp_path / "file" / "plugins.json")
    assert caught.value.kind is Kind.SETTINGS_BROKEN


def test_an_address_that_is_none_fails_the_job_not_the_host(folder: Path, opened: list[Client]) -> None:
    assert error_of(Settings(server="nowhere"), folder, opened).kind is Kind.BAD_ADDRESS
    remote = Settings(server="render.studio:7610", token="secret-secret-secret")
    assert error_of(remote, folder, opened).kind is Kind.PLAIN_TOKEN
    assert Failed
