"""Numbers for Prometheus: calls, queue, batches, stages, memory. Served only where an address is given."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from douga_server.address import Address, why_not
from douga_server.calls import CallRecord
from douga_server.errors import SetupError
from douga_server.tls import TlsFiles

if TYPE_CHECKING:  # numpy comes with it, and the server listens before that is loaded
    from douga_server.jobs import Priority

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_FRAMES = (1, 2, 3, 4, 6, 8, 12, 16, 32)


class Metrics:
    """A server's numbers, in a registry of their own. Observes calls and the queue (`QueueObserver`)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = self._counter("calls", "Calls that have ended.", "method", "code")
        self._call_s = self._histogram("call_seconds", "Duration of calls.", _SECONDS, "method")
        self._frames = self._counter("frames", "Frames that were answered.")
        self._bytes_in = self._counter("received_bytes", "Packed pixels that came in.")
        self._bytes_out = self._counter("sent_bytes", "Packed pixels that went out.")
        self._stage_s = self._histogram("stage_seconds", "Time of a frame in a stage.", _SECONDS, "stage")
        self._waiting = Gauge("douga_queue_length", "Frames that wait.", ["class"], registry=self.registry)
        self._batch = self._histogram("batch_frames", "Frames of a batch.", _FRAMES)
        self._batch_s = self._histogram("batch_seconds", "Time that a batch took.", _SECONDS)
        self._waited_s = self._histogram("queue_wait_seconds", "Time that a frame waited.", _SECONDS)
        for name in ("interactive", "batch"):
            self._waiting.labels(name)
        ProcessCollector(registry=self.registry)  # resident memory and processor time, on Linux
        self.registry.register(_GpuMemory())

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A gauge that asks for its value when it is read."""
        Gauge(f"douga_{name}", what, registry=self.registry).set_function(value)

    def call_ended(self, record: CallRecord) -> None:
        """Count a call. Unary calls for health and the like have no frames, and are counted all the same."""
        method = record.method.rpartition("/")[2]
        self._calls.labels(method, record.code).inc()
        self._call_s.labels(method).observe(record.seconds)
        self._frames.inc(record.frames)
        self._bytes_in.inc(record.bytes_in)
        self._bytes_out.inc(record.bytes_out)
        for stage, seconds in record.stage_s.items():
            self._stage_s.labels(stage).observe(seconds / max(1, record.frames))

    def queue_changed(self, waiting: Mapping[Priority, int]) -> None:
        """See `QueueObserver`."""
        for priority, frames in waiting.items():
            self._waiting.labels(priority.name.lower()).set(frames)

    def batch_started(self, waited_s: Sequence[float]) -> None:
        """See `QueueObserver`."""
        self._batch.observe(len(waited_s))
        for seconds in waited_s:
            self._waited_s.observe(seconds)

    def batch_ended(self, frames: int, seconds: float) -> None:
        """See `QueueObserver`."""
        self._batch_s.observe(seconds)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"douga_{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"douga_{name}", what, labels, buckets=buckets, registry=self.registry)


class _GpuMemory(Collector):
    """Memory of the CUDA devices that this process uses. It neither imports torch nor wakes a device."""

    def collect(self) -> Iterable[Any]:
        """Nothing before torch has begun to use a device."""
        torch = sys.modules.get("torch")
        family = GaugeMetricFamily("douga_gpu_memory_bytes", "Memory of a device.", labels=["device", "kind"])
        if torch is not None and getattr(torch, "cuda", None) is not None and torch.cuda.is_initialized():
            for i in range(torch.cuda.device_count()):
                free, total = torch.cuda.mem_get_info(i)
                family.add_metric([f"cuda:{i}", "used"], total - free)
                family.add_metric([f"cuda:{i}", "reserved"], torch.cuda.memory_reserved(i))
        yield family


@contextmanager
def exporter(metrics: Metrics, address: Address, tls: TlsFiles | None) -> Iterator[Address]:
    """Serve /metrics over HTTP as long as the block takes. Gives the address, with the port that it got.

    The exporter knows no tokens. So on any address but the loopback it speaks TLS with the server's own
    certificate, and asks for a client's where the server does. Raises SetupError.
    """
    if address.is_unix or not (address.is_local or tls):
        raise SetupError(
            f"--metrics-address {address.target}: without TLS metrics are served on the loopback alone; use "
            "127.0.0.1:PORT, or give --tls-cert and --tls-key"
        )
    secure = {} if address.is_local or tls is None else _secured(tls)
    try:
        server, thread = start_http_server(address.port, address.host, metrics.registry, **secure)
    except OSError as exc:
        raise SetupError(f"--metrics-address {address.target}: {why_not(address)}") from exc
    try:
        yield Address(address.host, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _secured(tls: TlsFiles) -> dict[str, Any]:
    secure: dict[str, Any] = {"certfile": str(tls.cert), "keyfile": str(tls.key)}
    if tls.client_ca is not None:
        secure |= {"client_cafile": str(tls.client_ca), "client_auth_required": True}
    return secure
