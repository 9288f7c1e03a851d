"""A batch on a farm: what dies on the way, and that the files are those of a local run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from douga_server.cluster import Cluster, Share, at_home_anywhere, share_out
from douga_server.errors import SetupError
from douga_server.fakes import FakeStore
from douga_server.farm import Farm, FarmRun, Pending, open_farm
from douga_server.jobs import BackendError
from douga_server.models import ModelStore
from farming import PATIENCE_S, Nodes, PoisonStore, drawing, pids_of, see_them_end, whole_cluster

from douga.atomic import atomic_path, remove_leftovers
from douga.batch import Limits, Outcome, Source, run_batch
from douga.errors import CheckpointError
from douga.fakes import fake_stages
from douga.palettes import load_palette
from douga.pipeline import Settings, reconstruct
from douga.results import ResultFolder
from douga.types import Frame

DAY_S = 24 * 3600
SETTINGS = Settings(load_palette("kugler"))


def of_pid(path: Path, pid: int) -> Path:
    return path.rename(path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{pid}-")))


@pytest.fixture
def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def write_something(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("whole")


def keep(folder: Path, name: str) -> Path:
    """An unfinished file of this process, as it stays when a process is killed."""
    with atomic_path(folder / name) as temporary:
        temporary.write_text("half")
    return (folder / name).rename(temporary)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_files_of_a_dead_writer_are_removed_and_no_others(folder: Path, dead_pid: int) -> None:
    dead = [of_pid(keep(folder, name), dead_pid) for name in ("a.png", "カット12_本撮.ora", "none")]
    living = [keep(folder, "b.png"), of_pid(keep(folder, "c.png"), os.getppid())]
    others = [folder / name for name in ("a.part.png", ".a.part.png", ".a.1234abcd.part.png", ".a.png")]
    for path in others:
        path.write_text("not ours")
    (folder / dead[0].name.replace(".a.", ".folder.")).mkdir()
    (folder / dead[0].name.replace(".a.", ".link.")).symlink_to(others[0])
    remove_leftovers(folder)
    assert not any(path.exists() for path in dead)
    assert all(path.exists() for path in (*living, *others))
    assert len(list(folder.iterdir())) == len(living) + len(others) + 2


def test_files_from_another_machine_go_when_they_are_a_day_old(folder: Path, dead_pid: int) -> None:
    def foreign(name: str) -> Path:
        path = of_pid(keep(folder, name), dead_pid)
        host = path.name.split(".")[2].split("-")[0]
        return path.rename(path.with_name(path.name.replace(host, "00000000")))

    fresh, old = foreign("fresh.png"), foreign("old.png")
    os.utime(old, (time.time() - DAY_S - 60,) * 2)
    remove_leftovers(folder)
    assert fresh.exists()
    assert not old.exists()


def test_leftovers_of_a_folder_that_is_not_there_are_nobodys_trouble(folder: Path) -> None:
    remove_leftovers(folder / "none")


def test_a_long_name_in_japanese_can_be_written(folder: Path) -> None:
    target = folder / ("本" * 80 + ".png")
    write_something(target)
    assert target.read_text() == "whole"
    assert len(list(folder.iterdir())) == 1


class FakeRay:
    """Of Ray only what tells the machines of a cluster."""

    def __init__(self, *resources: dict[str, float]) -> None:
        self._nodes = [{"Alive": True, "Resources": each} for each in resources]
        self._nodes.append({"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}})

    def nodes(self) -> list[dict[str, object]]:
        return self._nodes


@pytest.mark.parametrize(
    ("machines", "workers", "expected"),
    [
        ([{"CPU": 8}], None, (1, Share(8, 0))),
        ([{"CPU": 8}], 3, (3, Share(2, 0))),
        ([{}, {"CPU": 8}, {"CPU": 4}], None, (2, Share(4, 0))),
        ([{"CPU": 8}, {"CPU": 16, "GPU": 2}, {"CPU": 8, "GPU": 1}], None, (3, Share(4, 1))),
        ([{"CPU": 1}], 4, (4, Share(1, 0))),
    ],
)
def test_machines_are_shared_out(
    machines: list[dict[str, float]], workers: int | None, expected: tuple[int, Share]
) -> None:
    cluster = Cluster(FakeRay(*machines), None, None)  # type: ignore[arg-type]
    assert share_out(cluster, workers, None, None) == expected


def test_weights_are_found_from_other_folders_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    store = ModelStore(("cel-small", "mine/cel.safetensors"), ("/elsewhere/lines.safetensors",), "cpu")
    settled = at_home_anywhere(store)
    assert settled == ModelStore(
        ("cel-small", str(tmp_path / "mine/cel.safetensors")), ("/elsewhere/lines.safetensors",), "cpu"
    )
    fake = FakeStore()
    assert at_home_anywhere(fake) is fake


class Drawn:
    """A source that draws its frame."""

    def __init__(self, number: int) -> None:
        self.name, self._number = f"A{number:04}", number

    def read(self) -> Frame:
        return drawing(self.name, shift=self._number % 40)


def run_on(farm: Farm, folder: Path, count: int, done: Callable[[int], None] = lambda n: None) -> int:
    """Take frames apart as the command line does, those that are not there yet. Returns how many."""
    results = ResultFolder(folder, SETTINGS, load_palette("retas"))
    results.prepare()
    todo = [Drawn(n) for n in range(count) if not results.has_all(Drawn(n).name)]
    ended: list[Outcome] = []

    def finish(source: Source, pending: Pending) -> tuple[str, ...]:
        results.write(source.name, farm.finish(pending))
        return ()

    def report(outcome: Outcome) -> None:
        assert outcome.error is None
        ended.append(outcome)
        done(len(ended))

    run_batch(todo, farm.start, finish, report, Limits(farm.in_flight), farm.hurry)
    return len(ended)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of 40 frames, made without a farm."""
    folder = tmp_path_factory.mktemp("local")
    results = ResultFolder(folder, SETTINGS, load_palette("retas"))
    for n in range(40):
        results.write(Drawn(n).name, reconstruct(Drawn(n).read(), fake_stages(), SETTINGS))
    return files_of(folder)


@pytest.fixture
def farm() -> Nodes:
    """A head without work and two nodes."""
    return whole_cluster()


def on_farm(farm: Nodes, store: FakeStore) -> FarmRun:
    return FarmRun(store, SETTINGS, address=farm.address)


@pytest.mark.slow
def test_weights_that_a_worker_cannot_load_end_the_run(farm: Nodes, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.touch()
    with (
        pytest.raises(CheckpointError, match="is empty"),
        open_farm(on_farm(farm, FakeStore(weights=weights))),
    ):
        pass


@pytest.mark.slow
def test_a_frame_that_kills_its_workers_ends_the_run_by_name(farm: Nodes) -> None:
    with open_farm(on_farm(farm, PoisonStore())) as workers:
        pending = workers.start(drawing("poison"))
        with pytest.raises(BackendError, match="poison: 5 workers in turn"):
            workers.finish(pending)
        workers.finish(workers.start(drawing("good")))


@pytest.mark.slow
def test_a_worker_and_a_node_that_die_change_no_byte(
    farm: Nodes, tmp_path: Path, local: dict[str, bytes]
) -> None:
    def meanwhile(done: int) -> None:
        if done == 8:
            os.kill(pids_of("ray::Worker")[0], signal.SIGKILL)
        if done == 24:
            farm.pull_the_plug()

    with open_farm(on_farm(farm, FakeStore(step_s=0.02))) as workers:
        assert workers.device == "farm: 2 x cpu"
        assert set(workers.weights) == {"cel", "lines"}
        assert run_on(workers, tmp_path, 40, meanwhile) == 40
    assert files_of(tmp_path) == local


@pytest.mark.slow
def test_a_killed_driver_leaves_nothing_and_the_same_command_goes_on(
    tmp_path: Path, local: dict[str, bytes]
) -> None:
    script = tmp_path / "batch.py"
    script.write_text(_DRIVER)
    out = tmp_path / "out"

    def run(*more: str) -> subprocess.Popen[str]:
        where = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
        return subprocess.Popen(
            [sys.executable, script, out, *more],
            env={**os.environ, "PYTHONPATH": where},
            stdout=subprocess.PIPE,
            text=True,
        )

    with run("12") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        family = psutil.Process(first.pid).children(recursive=True)
        assert first.wait(PATIENCE_S) == -signal.SIGKILL
    assert [path for path in files_of(out) if ".part" in path]
    see_them_end(family)
    with run() as second:
        assert second.stdout is not None
        assert second.wait(2 * PATIENCE_S) == 0
        done = int(second.stdout.read().split()[-1])
    assert 1 <= done <= 40 - 11
    assert files_of(out) == local


# Takes 40 frames apart on a cluster of its own; with a number it dies while it writes a file of that frame.
_DRIVER = """\
import os, signal, sys
from pathlib import Path
from douga_server.fakes import FakeStore
from douga_server.farm import FarmRun, open_farm
import douga.atomic
from farming import SMALL_STORE
from test_farm import SETTINGS, run_on

def meanwhile(done):
    if len(sys.argv) > 2 and done == int(sys.argv[2]):
        douga.atomic.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

with open_farm(FarmRun(FakeStore(), SETTINGS, workers=1, object_store_bytes=SMALL_STORE)) as farm:
    print("ready", flush=True)
    print(run_on(farm, Path(sys.argv[1]), 40, meanwhile))
"""


@pytest.mark.slow
def test_the_command_line_gives_the_same_files_on_the_farm(tmp_path: Path) -> None:
    frame = tmp_path / "a001.png"
    cv2.imwrite(str(frame), np.ascontiguousarray(drawing().rgb[:96, :128, ::-1]))
    for out, more in (("here", []), ("farm", ["--backend", "ray", "--replicas", "1"])):
        command = [sys.executable, "-m", "douga", "reconstruct", frame, "--out", tmp_path / out]
        subprocess.run([*command, "--device", "cpu", *more], check=True, timeout=3 * PATIENCE_S)
    here, farm = files_of(tmp_path / "here"), files_of(tmp_path / "farm")
    assert here.pop("manifest.json") != farm.pop("manifest.json")
    assert here == farm


def test_a_farm_without_a_cluster_says_so() -> None:
    run = FarmRun(FakeStore(), SETTINGS, address="a:1")
    with pytest.raises(SetupError, match=r"docs/farm\.md"), open_farm(run):
        pass
