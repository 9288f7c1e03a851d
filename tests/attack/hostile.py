"""A server in a process of its own, and what is looked at before and after each attack on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil
import trustme
from douga_proto.v1 import douga_pb2 as pb
from douga_server.codec_client import AnswerReader, requests
from douga_server.jobs import Options
from douga_server.pixels import Encoding

from douga.types import Frame

HERE = Path(__file__).parent
MIB = 1 << 20
SERVICE = pb.DESCRIPTOR.services_by_name["DougaService"].full_name
TOKEN = "a-token-of-the-attack-suite-0123456789"
MAX_BYTES_HELD = 200 * MIB
MAX_CONNECTIONS = 64
MAX_GROWTH_BYTES = 64 * MIB
ANSWERED_S = 5.0  # one second is what is promised; a machine with other work gets more
Code = grpc.StatusCode
REFUSALS = {Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED}
_METRICS = "metrics at "
_TEXT_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00 info +(call method=|metrics at )")


@dataclass
class Outcome:
    """How a call ended. seconds: until then."""

    code: grpc.StatusCode
    details: str
    answers: list[bytes]
    seconds: float


@dataclass
class Target:
    """A server that runs. target: as gRPC writes it. log: the file that it writes."""

    process: subprocess.Popen[str]
    target: str
    log: Path
    form: str
    credentials: grpc.ChannelCredentials | None = None
    metadata: Sequence[tuple[str, str | bytes]] = field(default_factory=tuple)

    @contextmanager
    def channel(self, *options: tuple[str, int]) -> Iterator[grpc.Channel]:
        """One that shares no connection with others and bounds nothing that is sent."""
        every = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1), *options]
        if self.credentials is None:
            made = grpc.insecure_channel(self.target, options=every)
        else:
            made = grpc.secure_channel(self.target, self.credentials, options=every)
        with made as channel:
            yield channel

    def call(
        self,
        messages: Iterable[bytes],
        method: str = "Reconstruct",
        *,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        timeout_s: float = 30,
    ) -> Outcome:
        """Send these bytes as messages of a call. method: of the service, or "/package.Service/Method"."""
        path = method if method.startswith("/") else f"/{SERVICE}/{method}"
        answers: list[bytes] = []
        shown = self.metadata if metadata is None else metadata
        with self.channel() as channel:
            begun_s = time.perf_counter()
            try:
                call = channel.stream_stream(path)(iter(messages), metadata=shown, timeout=timeout_s)
                answers.extend(call)
            except grpc.RpcError as error:
                return Outcome(error.code(), error.details() or "", answers, time.perf_counter() - begun_s)
            return Outcome(Code.OK, "", answers, time.perf_counter() - begun_s)

    def good_call(self, timeout_s: float = 30) -> None:
        """A sound frame comes back whole. While the server is full, ask again until it is not."""
        until_s = time.monotonic() + timeout_s
        while True:
            outcome = self.call([m.SerializeToString() for m in sound()], timeout_s=timeout_s)
            if outcome.code is Code.OK:
                break
            retried = outcome.code in (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE)
            assert retried, outcome
            assert time.monotonic() < until_s, outcome
            time.sleep(0.1)
        reader = AnswerReader()
        for answer in outcome.answers:
            reader.add(pb.ReconstructResponse.FromString(answer))
        assert reader.finish().answer.cel_mask.mask.any()

    def until_idle(self, timeout_s: float = 30) -> None:
        """Wait until no call is under way and no memory is promised. By default, everything that was begun
        has run into its own time limit by then, and much more."""
        until_s = time.monotonic() + timeout_s
        while any(held := [self._number("calls_under_way"), self._number("held_bytes")]):
            assert time.monotonic() < until_s, held
            time.sleep(0.05)

    def _number(self, name: str) -> float:
        address = _found(rf"{_METRICS}(http://[\w.:/]+)", self.log.read_text())
        with urllib.request.urlopen(address, timeout=30) as answer:
            return float(_found(rf"^douga_{name} (\S+)$", answer.read().decode()))

    def log_lines(self) -> list[str]:
        """What stands in the log by now. Fails where somebody else than the log has written a line there."""
        text = self.log.read_bytes().decode("ascii")
        *lines, rest = text.split("\n")
        assert not rest or not self.process.poll(), rest
        for line in lines:
            assert line.isprintable(), ascii(line)
            if self.form == "json":
                event = json.loads(line)["event"]
                assert event == "call" or event.startswith(_METRICS), line
            else:
                assert _TEXT_LINE.match(line), line
        return lines


def frame(width: int = 32, height: int = 24) -> Frame:
    """White with a dark square, like one of `fronts`."""
    import numpy as np

    rgb = np.full((height, width, 3), 255, np.uint8)
    rgb[height // 4 : height // 2, width // 4 : width // 2] = 20
    return Frame(rgb)


def sound(
    call_id: str = "", size_wh: tuple[int, int] = (32, 24), encoding: Encoding = Encoding.ZSTD
) -> list[pb.ReconstructRequest]:
    """The messages of a sound call."""
    return list(requests(frame(*size_wh), Options(), call_id=call_id, encoding=encoding))


@contextmanager
def attacked(target: Target, max_growth_bytes: int = MAX_GROWTH_BYTES) -> Iterator[None]:
    """Around an attack: the server lives on, has not grown, even for a moment, and answers the next call."""
    process = psutil.Process(target.process.pid)
    before = process.memory_info().rss
    _forget_peak(process.pid)
    yield
    assert target.process.poll() is None, target.log.read_text()[-2000:]
    growth = _peak(process) - before
    assert growth < max_growth_bytes, f"{growth / MIB:.0f} MiB"
    target.good_call()
    target.log_lines()


def _forget_peak(pid: int) -> None:
    """Let Linux count a process's peak from now on."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:  # another system, or not allowed: the peak since the start is the harder bound
        return


def _peak(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return process.memory_info().rss
    return int(_found(r"VmHWM:\s+(\d+) kB", status)) * 1024


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    assert found is not None, text
    return found[1]


@contextmanager
def serving_unix(folder: Path) -> Iterator[Target]:
    """A server at a Unix socket, whose log is JSON."""
    with _serving(folder, "json", "--address", f"unix:{folder}/s") as target:
        yield target


@contextmanager
def serving_tls(folder: Path) -> Iterator[Target]:
    """A server with TLS and a token at a port of the loopback, whose log is text."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    cert, key, token = folder / "server.pem", folder / "server.key", folder / "token"
    issued.private_key_pem.write_to_path(key)
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    token.write_text(TOKEN)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    files = ("--tls-cert", str(cert), "--tls-key", str(key), "--token-file", str(token))
    with _serving(folder, "text", "--address", "127.0.0.1:0", *files) as target:
        target.target = "localhost:" + target.target.rpartition(":")[2]
        target.credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        target.metadata = (("authorization", f"Bearer {TOKEN}"),)
        _warm_up(target)
        yield target


SERVING = {"unix": serving_unix, "tls": serving_tls}


_ALWAYS = ("--discovery-file", "none", "--metrics-address", "127.0.0.1:0")


@contextmanager
def _serving(folder: Path, form: str, *args: str) -> Iterator[Target]:
    paths = os.pathsep.join([str(HERE), str(HERE.parent / "server")])
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "serve_attacked.py"), form, *args, *_ALWAYS],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, "GRPC_VERBOSITY": "NONE"},
        )
    try:
        facts: dict[str, Any] = {}
        for what in ("listening", "ready"):
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(f"douga serve: {what} "), (folder / "log").read_text()
            facts |= json.loads(line.removeprefix(f"douga serve: {what} "))
        target = Target(process, facts["address"], folder / "log", form)
        if "unix" in target.target:
            _warm_up(target)
        yield target
    finally:
        process.kill()
        process.communicate()


def _warm_up(target: Target) -> None:
    """Whatever is loaded by the first call, and the memory that every server comes to have."""
    for encoding in Encoding:
        messages = [m.SerializeToString() for m in sound(size_wh=(1200, 900), encoding=encoding)]
        assert target.call(messages).code is Code.OK
