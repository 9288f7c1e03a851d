"""What the server tells of itself: its log and its numbers."""

from __future__ import annotations

import io
import json
import logging
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme
from douga_server import logs
from douga_server.address import Address
from douga_server.calls import CallRecord
from douga_server.errors import SetupError
from douga_server.jobs import Priority
from douga_server.metrics import Metrics, exporter
from douga_server.tls import TlsFiles

HOSTILE = "x\n2026-01-01 INFO all is well\r\x1b[2J\x7f\u2028\u202e"


@contextmanager
def _log(form: str) -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    before = list(root.handlers), root.level
    logs.set_up(form, stream)
    try:
        yield stream
    finally:
        root.handlers, root.level = before


@pytest.mark.parametrize("form", ["json", "text"])
def test_nobody_writes_lines_of_their_own_into_the_log(form: str) -> None:
    with _log(form) as stream:
        logs.log_call(
            CallRecord("/p.S/Reconstruct", peer=HOSTILE, call_id=HOSTILE, code="OK", reason=HOSTILE)
        )
        logging.getLogger("x").warning("hello %s", HOSTILE)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(" " <= c <= "~" for line in lines for c in line)


def test_a_line_tells_what_a_studio_asks_for() -> None:
    record = CallRecord("/p.S/Reconstruct", "ipv4:10.0.0.7", "shot-7", size_wh=(1920, 1080), frames=1)
    record.bytes_in, record.bytes_out, record.seconds = 1000, 20, 1.5
    record.stage_s = {"queued": 0.5, "cel": 0.25}
    with _log("json") as stream:
        logs.log_call(record)
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "call",
        "method": "Reconstruct",
        "code": "OK",
        "call_id": "shot-7",
        "peer": "ipv4:10.0.0.7",
        "seconds": 1.5,
        "width": 1920,
        "height": 1080,
        "frames": 1,
        "bytes_in": 1000,
        "bytes_out": 20,
        "queued_s": 0.5,
        "cel_s": 0.25,
    }


def test_a_traceback_is_part_of_its_line() -> None:
    with _log("json") as stream:
        try:
            raise ValueError("x")
        except ValueError:
            logging.getLogger("x").exception("failed")
    assert "ValueError: x" in json.loads(stream.getvalue())["traceback"]


def test_metrics_go_to_other_machines_by_tls_alone(authority: trustme.CA, tls_files: TlsFiles) -> None:
    metrics = Metrics()
    metrics.queue_changed({Priority.INTERACTIVE: 3, Priority.BATCH: 1})
    everywhere = Address("0.0.0.0")
    with pytest.raises(SetupError, match="loopback alone"), exporter(metrics, everywhere, None):
        pass
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with exporter(metrics, everywhere, tls_files) as address:
        url = f"https://localhost:{address.port}/metrics"
        with urllib.request.urlopen(url, timeout=10, context=trusting) as answer:
            text = answer.read().decode()
    assert 'douga_queue_length{class="interactive"} 3.0' in text
    assert "douga_gpu_memory_bytes" in text


def test_a_metrics_port_in_use_is_an_error() -> None:
    with (
        exporter(Metrics(), Address("127.0.0.1"), None) as address,
        pytest.raises(SetupError, match="in use"),
        exporter(Metrics(), address, None),
    ):
        pass
