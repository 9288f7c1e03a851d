"""``douga bench-server``: the load, the sums that are made of it, and the whole command on a real server."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from douga_server.backends.local import LocalBackend
from douga_server.bench import drawn_frame
from douga_server.bench_load import Load, LoadRun, Sample
from douga_server.bench_memory import Killer, Watch, memory_by_metrics, memory_of, replicas_of
from douga_server.bench_plot import plot_png
from douga_server.bench_raw import compare
from douga_server.bench_report import Latency, Measured, Raw, as_json, table
from douga_server.client_errors import ServerError
from douga_server.codec_client import Received
from douga_server.fakes import FakeStore
from douga_server.jobs import Answer, Priority, Stage
from PIL import Image
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from serving import LiveServer

from douga.cli import main
from douga.errors import DougaError, InputError
from douga.fakes import fake_stages
from douga.palettes import load_palette
from douga.types import CelMask, ClassMap

MIB = 1 << 20


def _received() -> Received:
    blank = np.zeros((2, 2), np.uint8)
    answer = Answer(CelMask(blank), ClassMap(blank), (), "cpu", {Stage.CEL: 0.25, Stage.LINES: 0.5})
    return Received(answer, load_palette("kugler"), ())


def _nothing() -> None:
    """Nobody to call off."""


# -- the load ----------------------------------------------------------------------------------------


def test_arrivals_are_random_but_the_same_for_one_seed() -> None:
    def due(seed: int) -> list[float]:
        run = LoadRun(Load(2000, calls=300, seed=seed), lambda priority: _received(), _nothing)
        run.run()
        return sorted(sample.due_s for sample in run.samples)

    first, second, other = due(1), due(1), due(2)
    assert first == second != other
    gaps = np.diff(first)
    assert 0.7 / 2000 < gaps.mean() < 1.4 / 2000
    assert 0.7 < gaps.std() / gaps.mean() < 1.3  # what makes it Poisson: as spread out as it is long


def test_waiting_for_a_slow_server_counts() -> None:
    def slow(priority: Priority) -> Received:
        time.sleep(0.1)
        return _received()

    run = LoadRun(Load(1000, in_flight=1, calls=5), slow, _nothing)
    run.run()
    assert max(sample.seconds for sample in run.samples) > 0.4


def test_a_load_may_end_by_time() -> None:
    run = LoadRun(Load(100, duration_s=0.3), lambda priority: _received(), _nothing)
    run.run()
    assert 0 < len(run.samples) < 100
    assert max(sample.due_s for sample in run.samples) < 0.3


def test_without_a_rate_the_next_call_comes_when_one_has_ended() -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def send(priority: Priority) -> Received:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.005)
        with lock:
            under_way -= 1
        return _received()

    run = LoadRun(Load(None, in_flight=3, calls=40), send, _nothing)
    run.run()
    assert (len(run.samples), most) == (40, 3)


def test_the_mix_and_the_losses_are_kept() -> None:
    def send(priority: Priority) -> Received:
        if priority is Priority.BATCH:
            raise ServerError("no")
        return _received()

    run = LoadRun(Load(None, in_flight=2, calls=200, interactive_share=0.3), send, _nothing)
    run.run()
    lost = [sample for sample in run.samples if sample.lost]
    assert 0.55 < len(lost) / 200 < 0.85
    assert {(sample.priority, sample.lost) for sample in lost} == {(Priority.BATCH, "ServerError")}
    assert {sample.work_s for sample in run.samples if not sample.lost} == {0.75}


def test_a_bug_is_no_lost_call() -> None:
    def send(priority: Priority) -> Received:
        raise ValueError("a bug of ours")

    given_up = threading.Event()
    with pytest.raises(ValueError, match="a bug"):
        LoadRun(Load(None, in_flight=2, calls=5), send, given_up.set).run()
    assert given_up.is_set()


@pytest.mark.parametrize(
    "wrong", [{"rate_per_s": -1.0, "calls": 1}, {}, {"calls": 1, "interactive_share": 1.5}]
)
def test_a_load_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(InputError):
        Load(**wrong)


# -- the sums ----------------------------------------------------------------------------------------


def _measured(**more: object) -> Measured:
    samples = [Sample(i / 10, 0.1 + i / 1000, Priority(i % 2), work_s=0.09) for i in range(200)]
    samples += [Sample(5.0, 0.2, Priority.BATCH, lost="UNAVAILABLE")] * 3
    given: dict = {"about": {"server": "here"}, "samples": samples, "took_s": 20.0, **more}
    return Measured(**given)


def test_latencies() -> None:
    assert Latency.of([]) is None
    assert Latency.of([3.0]) == Latency(1, 3.0, 3.0, 3.0, 3.0)
    hundred = Latency.of([float(n) for n in range(101)])
    assert hundred == Latency(101, 50.0, 95.0, 99.0, 100.0)


def test_lost_calls_count_nowhere_else() -> None:
    measured = _measured()
    assert measured.lost == {"UNAVAILABLE": 3}
    assert measured.throughput_per_s == 10.0
    every, batch, overhead = measured.latency(), measured.latency(Priority.BATCH), measured.overhead
    assert every is not None
    assert batch is not None
    assert overhead is not None
    assert (every.calls, batch.calls) == (200, 100)
    assert overhead.worst_s == pytest.approx(0.1 + 0.199 - 0.09)


def test_memory_growth_is_that_after_the_first_calls() -> None:
    memory = [(0.0, 100 * MIB), (1.0, 180 * MIB), (2.5, 200 * MIB), (20.0, 204 * MIB)]
    assert _measured(memory=memory).memory_growth() == (20, 200 * MIB, 204 * MIB)
    assert _measured(memory=()).memory_growth() is None


def test_the_table_has_it_all() -> None:
    raw = Raw([1.0, 1.2], [1.01, 1.25], together_per_s=2.0, served_per_s=1.9)
    memory = [(0.0, 100 * MIB), (2.5, 200 * MIB), (20.0, 204 * MIB)]
    told = table(_measured(raw=raw, memory=memory, kills_s=[3.0, 6.0], is_whole=False))
    assert "stopped:" in told
    assert "lost: 3 UNAVAILABLE" in told
    assert "ratio 0.950" in told
    assert "+30.0 ms" in told
    assert "+2.0 %" in told
    assert "2 replicas; the worst call took 0.10 s above" in told
    row = next(line for line in told.splitlines() if line.startswith("all calls"))
    assert row.split()[2:] == ["200", "199.5", "289.1", "297.0", "299.0"]


def test_a_run_without_a_single_answer_is_told_too() -> None:
    nothing = Measured({}, [], 0.0)
    assert "lost: none" in table(nothing)
    assert json.loads(json.dumps(as_json(nothing)))["latency"] is None
    assert plot_png(nothing)


def test_the_numbers_are_written() -> None:
    numbers = json.loads(json.dumps(as_json(_measured(kills_s=[1.0]))))
    assert numbers["latency"]["calls"] == 200
    assert len(numbers["calls"]) == 203
    assert numbers["calls"][1]["priority"] == "batch"
    assert numbers["lost"] == {"UNAVAILABLE": 3}


def test_the_picture_shows_answers_and_losses() -> None:
    picture = np.asarray(Image.open(io.BytesIO(plot_png(_measured()))).convert("RGB")).astype(int)
    assert picture.shape == (590, 1200, 3)
    axes = picture[60:480, 81:760]
    for colour in ((31, 111, 180), (224, 130, 20), (214, 39, 40)):  # interactive, batch, lost
        assert (np.abs(axes - colour).sum(axis=2) < 30).sum() > 20


# -- memory, kills, the raw loop ---------------------------------------------------------------------


def test_the_memory_of_a_process() -> None:
    held = memory_of(os.getpid())()
    assert held is not None
    assert 20 * MIB < held < 1 << 36
    with Watch(memory_of(os.getpid())) as watch:
        pass
    assert len(watch.samples) >= 2
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert memory_of(gone.pid)() is None


def test_the_memory_by_metrics() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        held = memory_by_metrics(f"http://127.0.0.1:{server.server_port}/metrics")()
        assert held is not None
        assert held > 20 * MIB
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    with pytest.raises(InputError, match="metrics"):
        memory_by_metrics("http://127.0.0.1:1/metrics")


# A server with three children, two of which have the name of a Ray replica. It says so once they run.
_FAMILY = """
import subprocess, sys, time
nap = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
names = ("ray::ServeReplica:douga", "ray::ServeReplica:douga", "raylet")
children = [subprocess.Popen([n, *nap[1:]], executable=nap[0], stdout=subprocess.PIPE) for n in names]
for child in children:
    child.stdout.readline()
print(*(child.pid for child in children), flush=True)
children[2].wait()
"""


@pytest.fixture
def family() -> Iterator[tuple[int, list[int]]]:
    """(pid of a server, pids of its children); all ended afterwards."""
    server = subprocess.Popen([sys.executable, "-c", _FAMILY], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    children = [int(pid) for pid in server.stdout.readline().split()]
    yield server.pid, children
    for pid in (*children, server.pid):
        os.kill(pid, signal.SIGKILL)  # a killed child stays as a zombie of the server until then
    server.wait()
    server.stdout.close()


def test_only_replicas_of_that_server_are_killed(family: tuple[int, list[int]]) -> None:
    server, children = family
    assert sorted(replicas_of(server)) == sorted(children[:2])
    assert replicas_of(children[2]) == []
    with Killer(server, 0.1) as killer:
        deadline_s = time.monotonic() + 20
        while len(killer.kills_s) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.02)
    assert len(killer.kills_s) == 2
    assert replicas_of(server) == []
    assert memory_of(children[2])()


def test_a_server_without_replicas_is_told() -> None:
    with pytest.raises(DougaError, match="--backend ray"), Killer(os.getpid(), 1.0):
        pass


def test_the_raw_loop_is_measured_beside_the_server() -> None:
    frame = drawn_frame((64, 48))
    asked: list[int] = []

    def serve() -> None:
        asked.append(1)
        time.sleep(0.02)

    raw = compare(frame, fake_stages(), serve, rounds=2, calls=3)
    assert len(raw.seconds) == len(raw.served_seconds) == 6
    assert len(asked) == 2 * (3 + 1 + 3)
    assert min(raw.served_seconds) >= 0.02
    assert 0 < raw.served_per_s <= 2 / 0.02


def test_a_drawn_frame_is_always_the_same() -> None:
    frame = drawn_frame((320, 180))
    assert frame.size_hw == (180, 320)
    np.testing.assert_array_equal(frame.rgb, drawn_frame((320, 180)).rgb)
    assert (frame.rgb.max(axis=2) < 60).sum() > 100  # outlines


# -- the command -------------------------------------------------------------------------------------

QUICK = ("--size", "64x48", "--warm-up", "1")


def test_the_whole_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot, numbers = tmp_path / "plot.png", tmp_path / "numbers.json"
    with LiveServer() as live:
        argv = ["bench-server", "--server", live.address, "--calls", "30", "--rate", "100", *QUICK]
        argv += [
            "--interactive",
            "0.5",
            "--pid",
            str(os.getpid()),
            "--plot",
            str(plot),
            "--json",
            str(numbers),
        ]
        assert main(argv) == 0
    told = capsys.readouterr().out
    assert "backend local on cpu" in told
    assert "fake-lines 111111111111" in told
    assert "lost: none" in told
    assert "memory " in told
    with Image.open(plot) as picture:
        assert picture.size == (1200, 590)
    written = json.loads(numbers.read_text())
    assert len(written["calls"]) == 30
    assert written["about"]["frame"] == "drawn, 64 x 48 px, zstd"


def test_a_frame_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.full((20, 30, 3), 255, np.uint8)).save(tmp_path / "A0001.png")
    with LiveServer() as live:
        argv = ["bench-server", "--server", live.address, "--calls", "2", "--rate", "0", "--warm-up", "0"]
        assert main([*argv, "--frame", str(tmp_path / "A0001.png"), "--encoding", "raw"]) == 0
    assert "A0001, 30 x 20 px, raw" in capsys.readouterr().out


def test_lost_calls_are_counted_and_not_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveServer(backend=LocalBackend(FakeStore(steps=1, step_s=0.05))) as live:
        threading.Timer(1.0, live.stop).start()
        argv = ["bench-server", "--server", live.address, "--duration", "2", "--rate", "5", *QUICK]
        assert main(argv) == 1
    told = capsys.readouterr().out
    assert "UNAVAILABLE" in told.split("lost: ")[1]
    assert "all calls" in told


def test_ctrl_c_shows_what_there_is() -> None:
    code = "import sys; from douga.cli import main; sys.exit(main(sys.argv[1:]))"
    with LiveServer() as live:
        argv = ["bench-server", "--server", live.address, "--duration", "60", "--rate", "20", *QUICK]
        bench = subprocess.Popen(
            [sys.executable, "-c", code, *argv, "--pid", str(os.getpid())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert bench.stderr is not None
        assert "measuring" in bench.stderr.readline()
        time.sleep(1)
        bench.send_signal(signal.SIGINT)
        told, errors = bench.communicate(timeout=30)
    assert bench.returncode == 130, errors
    assert "stopped:" in told
    assert "all calls" in told
    assert "lost: none" in told
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "more",
    [
        ("--server", "127.0.0.1:1"),
        ("--server", "LIVE", "--rate", "-1"),
        ("--server", "LIVE", "--frame", "nowhere.png"),
        ("--server", "LIVE", "--kill-replica-every", "5"),
    ],
)
def test_what_cannot_be_leaves_with_2(more: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with LiveServer() as live:
        given = [option.replace("LIVE", live.address) for option in more]
        assert main(["bench-server", "--calls", "1", *QUICK, *given]) == 2
    assert capsys.readouterr().err.startswith("douga: ")


def test_a_size_that_is_none() -> None:
    for size in ("1920", "0x10", "axb"):
        with pytest.raises(SystemExit) as left:
            main(["bench-server", "--size", size])
        assert left.value.code == 2


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, argparse, douga_server.bench as b; b.add_arguments(argparse.ArgumentParser());"
        "print([m for m in ('torch', 'cv2', 'numpy', 'PIL', 'grpc', 'ray') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
