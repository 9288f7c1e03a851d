"""`douga serve` as a process: what it prints and logs, which signals it obeys, what it leaves behind."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from conftest import write_certificate
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1.douga_pb2_grpc import DougaServiceStub
from douga_server import command, discovery
from douga_server.codec_client import AnswerReader, Received, requests
from douga_server.errors import SetupError
from douga_server.jobs import Options
from douga_server.lifeline import Lifeline
from douga_server.tls import TlsFiles
from fronts import drawing

from douga.cli import main

FAKE = [sys.executable, str(Path(__file__).with_name("serve_fakes.py"))]
REAL = [sys.executable, "-m", "douga_server"]


class Served:
    """A server process. lines: what it has printed so far."""

    def __init__(self, program: list[str], *args: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [*program, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.address = ""

    def line(self, what: str) -> dict[str, Any]:
        """The next line of stdout, which has to be of this kind."""
        line = self.process.stdout.readline()
        start = f"douga serve: {what} "
        assert line.startswith(start), line + self.process.stderr.read()
        facts = json.loads(line.removeprefix(start))
        self.address = facts["address"]
        return facts

    def reconstruct(self, token: str | None = None) -> Received:
        """One frame."""
        token = token or discovery.read(discovery.default_path()).token
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        reader = AnswerReader()
        with grpc.insecure_channel(self.address) as channel:
            messages = requests(drawing(), Options(), call_id="a")
            call = DougaServiceStub(channel).Reconstruct(messages, metadata=metadata, timeout=60)
            for response in call:
                reader.add(response)
        return reader.finish()

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> tuple[int, str]:
        """Send a signal; exit status and log."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, log


@contextmanager
def served(program: list[str], *args: str, **environment: str) -> Iterator[Served]:
    server = Served(program, *args, **environment)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def test_it_listens_is_found_answers_and_goes_without_a_trace() -> None:
    path = discovery.default_path()
    with served(FAKE, "--address", "127.0.0.1:0") as server:
        told = server.line("listening")
        assert told["pid"] == server.process.pid
        assert server.line("ready")["models"] == ["fake-cel " + "c" * 12, "fake-lines " + "1" * 12]
        found = discovery.find()
        assert found is not None
        assert (found.address, found.pid) == (told["address"], server.process.pid)
        server.reconstruct()
        status, log = server.end()
    assert status == 0
    assert not path.exists()
    lines = [json.loads(line) for line in log.splitlines()]
    (call,) = [line for line in lines if line["event"] == "call"]
    assert (call["method"], call["code"], call["call_id"], call["frames"]) == ("Reconstruct", "OK", "a", 1)
    assert call["peer"] == "ipv4:127.0.0.1"
    assert found.token not in log


def test_sigterm_ends_after_the_call_that_is_under_way(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    with served(FAKE, "--address", "127.0.0.1:0", HOLD=str(hold)) as server:
        server.line("listening")
        server.line("ready")
        with _open_call(server) as call:
            assert next(call).stage.stage == pb.STAGE_QUEUED
            server.process.send_signal(signal.SIGTERM)
            _until(lambda: _refuses(server))
            assert server.process.poll() is None
            hold.unlink()
            assert [part.WhichOneof("part") for part in call][-1] == "chunk"
        assert server.process.wait(20) == 0


def test_the_second_signal_ends_at_once(tmp_path: Path) -> None:
    hold, socket_path = tmp_path / "hold", tmp_path / "s.sock"
    hold.touch()
    with served(FAKE, "--address", f"unix:{socket_path}", HOLD=str(hold)) as server:
        server.line("listening")
        server.line("ready")
        with _open_call(server) as call:
            next(call)
            server.process.send_signal(signal.SIGTERM)
            _until(lambda: _refuses(server))
            status, log = server.end()
            call.cancel()
    assert status == 130
    assert "cut off" in log
    assert not socket_path.exists()
    assert not discovery.default_path().exists()


def test_while_it_loads_it_can_be_stopped(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    with served(FAKE, "--address", "127.0.0.1:0", HOLD=str(hold), HOLD_LOADING="1") as server:
        server.line("listening")
        assert _refuses(server)
        assert server.end()[0] == 0
    assert not discovery.default_path().exists()


def test_sighup_loads_anew() -> None:
    with served(FAKE, "--address", "127.0.0.1:0") as server:
        server.line("listening")
        server.line("ready")
        server.process.send_signal(signal.SIGHUP)
        server.reconstruct()
        while "loaded anew" not in (line := server.process.stderr.readline()):
            assert line
        assert server.end()[0] == 0


def test_weights_that_cannot_be_loaded_anew_leave_the_old_ones_in_use() -> None:
    with served(FAKE, "--address", "127.0.0.1:0", BROKEN_RELOAD="1") as server:
        server.line("listening")
        server.line("ready")
        server.process.send_signal(signal.SIGHUP)
        while "the old ones stay in use" not in (line := server.process.stderr.readline()):
            assert line
        server.reconstruct()
        assert server.end()[0] == 0


def test_it_can_be_stopped_while_it_loads_anew(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    with served(FAKE, "--address", "127.0.0.1:0", HOLD_RELOAD="1", HOLD=str(hold)) as server:
        server.line("listening")
        server.line("ready")
        server.process.send_signal(signal.SIGHUP)
        _until(hold.exists)
        assert server.end()[0] == 0


@pytest.mark.parametrize("is_older", [False, True])
def test_it_ends_with_the_process_that_it_belongs_to(is_older: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_older:  # than Linux 5.3
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    host = subprocess.Popen(["sleep", "60"])
    line = Lifeline(host.pid)
    assert not line.has_ended
    with served(FAKE, "--address", "127.0.0.1:0", "--die-with", str(host.pid)) as server:
        server.line("listening")
        server.line("ready")
        server.reconstruct()
        host.kill()
        host.wait()
        assert line.has_ended
        assert server.process.wait(30) == 0
    assert not discovery.default_path().exists()


def test_it_ends_at_once_with_a_process_that_is_gone() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert Lifeline(gone.pid).has_ended
    with served(FAKE, "--address", "127.0.0.1:0", "--die-with", str(gone.pid)) as server:
        assert server.process.wait(30) == 0


def test_somebody_elses_process_may_be_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(os, "kill", denied)
    assert not Lifeline(1).has_ended


def test_a_second_server_of_the_same_user_is_sent_to_the_first() -> None:
    with served(FAKE, "--address", "127.0.0.1:0") as first:
        address = first.line("listening")["address"]
        second = subprocess.run(
            [*REAL, "--address", "127.0.0.1:0"], capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 2
        assert f"runs already at {address}" in second.stderr
        assert "Traceback" not in second.stderr
        first.line("ready")
        assert discovery.find() is not None


def test_a_changed_token_is_announced(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first-token-0123456789")
    with served(FAKE, "--address", "127.0.0.1:0", "--token-file", str(path)) as server:
        server.line("listening")
        server.line("ready")
        server.reconstruct("first-token-0123456789")
        path.write_text("second-token-0123456789")
        _until(lambda: discovery.read(discovery.default_path()).token == "second-token-0123456789")
        server.reconstruct()
        with pytest.raises(grpc.RpcError):
            server.reconstruct("first-token-0123456789")
        status, log = server.end()
    assert status == 0
    assert "token-0123456789" not in log


def test_metrics_count_what_was_done() -> None:
    with served(FAKE, "--address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0") as server:
        server.line("listening")
        server.line("ready")
        first = json.loads(server.process.stderr.readline())
        url = first["event"].removeprefix("metrics at ")
        server.reconstruct()
        with pytest.raises(grpc.RpcError):
            server.reconstruct("wrong-token-0123456789")
        text = ""

        def counted() -> bool:
            nonlocal text
            with urllib.request.urlopen(url, timeout=10) as answer:
                text = answer.read().decode()
            return 'douga_calls_total{code="UNAUTHENTICATED",method="Reconstruct"} 1.0' in text

        _until(counted)
        for line in (
            'douga_calls_total{code="OK",method="Reconstruct"} 1.0',
            "douga_frames_total 1.0",
            "douga_batch_frames_count 1.0",
            "douga_queue_wait_seconds_count 1.0",
            'douga_queue_length{class="interactive"} 0.0',
            'douga_stage_seconds_count{stage="cel"} 1.0',
            "douga_held_bytes 0.0",
            "process_resident_memory_bytes",
        ):
            assert line in text, line
        assert server.end()[0] == 0


def test_what_listens_loads_neither_numpy_nor_torch_nor_ray() -> None:
    """They take seconds; a plugin that starts a server waits for its first line."""
    code = "import sys, douga_server.command, douga_server.serve; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(eval(done.stdout))
    assert not loaded & {"numpy", "torch", "ray", "cv2", "prometheus_client"}
    code = "import sys, douga.cli, douga_server.command; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "grpc" not in eval(done.stdout)


@pytest.mark.parametrize("address", ["0.0.0.0:7610", "10.0.0.7:7610", "[::]:7610", "gpu.example:7610"])
def test_an_open_address_needs_tls_and_a_token(address: str, authority: trustme.CA, tmp_path: Path) -> None:
    token, files = tmp_path / "token", write_certificate(authority, tmp_path)
    token.write_text("a-good-token-0123456789")
    tls = ["--tls-cert", str(files.cert), "--tls-key", str(files.key)]
    with_token = ["--token-file", str(token)]
    for given in ([], tls, with_token):
        with pytest.raises(SetupError, match="needs TLS and a token"):
            _plan("--address", address, *given)
    plan = _plan("--address", address, *tls, *with_token)
    assert plan.tls == files
    assert plan.tokens is not None


def test_what_does_not_go_together_is_said_before_anything_starts(
    tls_files: TlsFiles, tmp_path: Path
) -> None:
    cert, key = ["--tls-cert", str(tls_files.cert)], ["--tls-key", str(tls_files.key)]
    for args, words in (
        ([*cert], "both a certificate and its key"),
        (["--client-ca", str(tls_files.cert)], "both a certificate and its key"),
        ([*cert, *key, "--address", "unix:/tmp/x"], "needs no TLS"),
        (["--discovery-file", "none"], "give one by --token-file"),
        (["--token-file", str(tmp_path / "nothing")], "cannot be read"),
    ):
        with pytest.raises(SetupError, match=words):
            _plan(*args)


def test_on_this_machine_nothing_has_to_be_set_up(tmp_path: Path) -> None:
    assert _plan().tokens is not None  # everybody of this machine reaches the loopback
    assert _plan("--address", f"unix:{tmp_path}/s", "--discovery-file", "none").tokens is None


def test_metrics_do_not_go_to_other_machines_in_the_open(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--address", "127.0.0.1:0", "--metrics-address", "0.0.0.0:0"]) == 2
    assert "served on the loopback alone" in capsys.readouterr().err


@pytest.mark.slow
def test_the_real_thing_from_the_first_line_to_the_last() -> None:
    with served(REAL, "--address", "127.0.0.1:0", "--device", "cpu") as server:
        begun_s = time.monotonic()
        server.line("listening")
        assert server.line("ready")["devices"] == ["cpu"]
        received = server.reconstruct()
        assert received.answer.classes.ids.shape == (24, 32)
        status, log = server.end(timeout_s=60)
        assert status == 0
        assert "Traceback" not in log
        assert not discovery.default_path().exists()
        assert time.monotonic() - begun_s < 300


def _plan(*args: str) -> Any:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.plan(parser.parse_args(args))


@contextmanager
def _open_call(server: Served) -> Iterator[Any]:
    token = discovery.read(discovery.default_path()).token
    with grpc.insecure_channel(server.address) as channel:
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        yield DougaServiceStub(channel).Reconstruct(
            requests(drawing(), Options()), metadata=metadata, timeout=60
        )


def _refuses(server: Served) -> bool:
    """Whether new calls are told that the server is not there for them."""
    announced = discovery.read(discovery.default_path())
    token = announced.token if announced else None
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(server.address) as channel:
        try:
            DougaServiceStub(channel).GetCapabilities(
                pb.GetCapabilitiesRequest(), metadata=metadata, timeout=20
            )
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.UNAVAILABLE
    return False


def _until(condition: Any, timeout_s: float = 20) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)
