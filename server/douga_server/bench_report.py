"""What a load run has shown, as a table for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from douga_server.bench_load import Sample
from douga_server.jobs import Priority

_SHARE_BEFORE = 0.1  # of the calls, after which memory should grow no more
_CALLS_BEFORE, _FEWEST_BEFORE = 1000, 20


@dataclass(frozen=True)
class Latency:
    """Seconds from the moment that a call was to begin to its answer."""

    calls: int
    p50_s: float
    p95_s: float
    p99_s: float
    worst_s: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency | None:
        """None where there is nothing to say."""
        if not seconds:
            return None
        p50, p95, p99 = (float(p) for p in np.percentile(seconds, (50, 95, 99)))
        return cls(len(seconds), p50, p95, p99, max(seconds))


@dataclass(frozen=True)
class Raw:
    """The same frame through the same networks in this process, without a server.

    seconds: of one frame after the other. together_per_s, served_per_s: frames a second, two at a time, here
    and by the server.
    """

    seconds: Sequence[float]
    served_seconds: Sequence[float]
    together_per_s: float
    served_per_s: float

    @property
    def throughput_ratio(self) -> float:
        """1: the server is as fast as the bare loop."""
        return self.served_per_s / self.together_per_s

    @property
    def p50_added_s(self) -> float:
        """What half of the calls take longer at most, one call after the other."""
        return float(np.median(self.served_seconds) - np.median(self.seconds))


@dataclass(frozen=True)
class Measured:
    """One run. about: what was measured, by name. took_s: from the first call to the last answer.

    memory: (seconds, resident bytes of the server). kills_s: when a replica was killed. is_whole: it was not
    stopped before its end.
    """

    about: dict[str, str]
    samples: Sequence[Sample]
    took_s: float
    memory: Sequence[tuple[float, int]] = ()
    kills_s: Sequence[float] = ()
    raw: Raw | None = None
    is_whole: bool = True

    @property
    def answered(self) -> list[Sample]:
        """The calls that were not lost."""
        return [s for s in self.samples if s.lost is None]

    @property
    def lost(self) -> Counter[str]:
        """Calls without an answer, by status."""
        return Counter(s.lost for s in self.samples if s.lost is not None)

    @property
    def throughput_per_s(self) -> float:
        """Answers a second."""
        return len(self.answered) / self.took_s if self.took_s else 0.0

    @property
    def overhead(self) -> Latency | None:
        """What calls took beside the server's stages: the way there and back, packing, waiting."""
        return Latency.of([s.seconds - s.work_s for s in self.answered if s.work_s is not None])

    def latency(self, priority: Priority | None = None) -> Latency | None:
        """Of the calls of one class, or of all."""
        return Latency.of([s.seconds for s in self.answered if priority in (None, s.priority)])

    def memory_growth(self) -> tuple[int, int, int] | None:
        """(calls, bytes then, bytes at the end), from the first thousand calls on, or the first tenth."""
        calls = min(_CALLS_BEFORE, int(len(self.samples) * _SHARE_BEFORE))
        if calls < _FEWEST_BEFORE or not self.memory:
            return None
        settled_s = sorted(s.ended_s for s in self.samples)[calls - 1]
        then = next((held for when_s, held in self.memory if when_s >= settled_s), self.memory[-1][1])
        return calls, then, self.memory[-1][1]


def table(measured: Measured) -> str:
    """For the terminal and for BENCHMARKS.md."""
    lines = [f"{name + ':':<10} {value}" for name, value in measured.about.items()]
    if not measured.is_whole:
        lines.append("stopped:   before its end; this is what was measured until then")
    lines += ["", *_latencies(measured), ""]
    lost = ", ".join(f"{count} {status}" for status, count in measured.lost.most_common()) or "none"
    lines.append(
        f"throughput {measured.throughput_per_s:.2f} calls/s in {measured.took_s:.1f} s; lost: {lost}"
    )
    lines += [*_kills(measured), *_memory(measured), *_raw(measured)]
    return "\n".join(lines)


def _latencies(measured: Measured) -> list[str]:
    rows = {"all calls": measured.latency()}
    if len({s.priority for s in measured.samples}) > 1:
        rows |= {priority.name.lower(): measured.latency(priority) for priority in Priority}
    rows["beside the stages"] = measured.overhead
    lines = [f"{'ms':<20}{'calls':>7}{'p50':>10}{'p95':>10}{'p99':>10}{'worst':>10}"]
    for name, latency in rows.items():
        if latency is not None:
            numbers = (latency.p50_s, latency.p95_s, latency.p99_s, latency.worst_s)
            lines.append(f"{name:<20}{latency.calls:>7}" + "".join(f"{1000 * s:>10.1f}" for s in numbers))
    return lines


def _kills(measured: Measured) -> list[str]:
    latency = measured.latency()
    if not measured.kills_s or latency is None:
        return []
    above_s = latency.worst_s - latency.p50_s
    return [
        f"kills      {len(measured.kills_s)} replicas; the worst call took {above_s:.2f} s above the median"
    ]


def _memory(measured: Measured) -> list[str]:
    if not measured.memory:
        return []
    held = [held for _, held in measured.memory]
    lines = [f"memory     {_mib(held[0])} before, {_mib(max(held))} at most, {_mib(held[-1])} after"]
    growth = measured.memory_growth()
    if growth is not None:
        calls, then, end = growth
        lines[0] += f"; after the first {calls} calls {100 * (end / then - 1):+.1f} %"
    return lines


def _raw(measured: Measured) -> list[str]:
    raw = measured.raw
    if raw is None:
        return []
    return [
        f"raw loop   two at a time: {raw.together_per_s:.3f} frames/s, by the server {raw.served_per_s:.3f}: "
        f"ratio {raw.throughput_ratio:.3f}",
        f"           one by one: p50 {1000 * float(np.median(raw.seconds)):.1f} ms, by the server "
        f"{1000 * float(np.median(raw.served_seconds)):.1f} ms: {1000 * raw.p50_added_s:+.1f} ms",
    ]


def _mib(held: int) -> str:
    return f"{held / (1 << 20):.0f} MiB"


def as_json(measured: Measured) -> dict[str, Any]:
    """All of it, every call included."""
    latency, overhead = measured.latency(), measured.overhead
    return {
        "about": measured.about,
        "is_whole": measured.is_whole,
        "took_s": measured.took_s,
        "throughput_per_s": measured.throughput_per_s,
        "latency": latency and asdict(latency),
        "beside_the_stages": overhead and asdict(overhead),
        "lost": dict(measured.lost),
        "kills_s": list(measured.kills_s),
        "memory": [{"at_s": at_s, "bytes": held} for at_s, held in measured.memory],
        "raw": measured.raw
        and {
            **asdict(measured.raw),
            "throughput_ratio": measured.raw.throughput_ratio,
            "p50_added_s": measured.raw.p50_added_s,
        },
        "calls": [{**asdict(s), "priority": s.priority.name.lower()} for s in measured.samples],
    }
