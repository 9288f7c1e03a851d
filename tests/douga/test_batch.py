"""The overlap of reading, networks and writing: nothing lost, nothing out of order, nothing piling up."""

import _thread
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from douga.batch import Limits, Outcome, Source, run_batch
from douga.errors import CheckpointError, DougaError, InputError, OutputError
from douga.fakes import fake_stages
from douga.pipeline import Seen, see
from douga.types import Frame


@dataclass(frozen=True)
class Drawn:
    """A source that needs no file."""

    name: str
    error: DougaError | None = None

    def read(self) -> Frame:
        if self.error is not None:
            raise self.error
        return Frame(np.zeros((8, 8, 3), np.uint8), self.name, warnings=(f"about {self.name}",))


def _see(frame: Frame) -> Seen:
    return see(frame, fake_stages())


def _nothing(source: Source, seen: Seen) -> tuple[str, ...]:
    """Finish without a result."""
    return seen.frame.warnings


def test_every_frame_is_seen_in_order_and_reported() -> None:
    seen_names: list[str] = []
    outcomes: list[Outcome] = []

    def look(frame: Frame) -> Seen:
        seen_names.append(frame.name)
        return _see(frame)

    names = [f"A{n:04d}" for n in range(12)]
    run_batch([Drawn(n) for n in names], look, _nothing, outcomes.append, Limits(jobs=3))

    assert seen_names == names
    assert [o.source.name for o in outcomes] == names
    assert outcomes[4].warnings == ("about A0004",)
    assert all(o.error is None and o.seconds > 0 for o in outcomes)


def test_a_bad_frame_does_not_stop_the_others() -> None:
    outcomes: list[Outcome] = []

    def finish(source: Source, seen: Seen) -> tuple[str, ...]:
        if source.name == "C":
            raise InputError("C cannot be cleaned")
        return ()

    sources = [Drawn("A"), Drawn("B", InputError("B is cut short")), Drawn("C"), Drawn("D")]
    run_batch(sources, _see, finish, outcomes.append, Limits())

    errors = {o.source.name: str(o.error) if o.error else None for o in outcomes}
    assert errors == {"A": None, "B": "B is cut short", "C": "C cannot be cleaned", "D": None}


@pytest.mark.parametrize(
    "error", [OutputError("disk full"), CheckpointError("wrong stage"), ValueError("a bug")]
)
def test_what_would_hit_every_frame_ends_the_batch(error: Exception) -> None:
    outcomes: list[Outcome] = []
    seen_names: list[str] = []

    def look(frame: Frame) -> Seen:
        seen_names.append(frame.name)
        return _see(frame)

    def finish(source: Source, seen: Seen) -> tuple[str, ...]:
        if source.name == "3":
            raise error
        return ()

    with pytest.raises(type(error), match=str(error)):
        run_batch([Drawn(str(n)) for n in range(50)], look, finish, outcomes.append, Limits())

    assert {"0", "1", "2"} <= {o.source.name for o in outcomes}
    assert len(seen_names) < 10


def test_an_interrupt_still_finishes_and_reports_what_was_handed_over() -> None:
    outcomes: list[Outcome] = []

    def look(frame: Frame) -> Seen:
        if frame.name == "2":
            raise KeyboardInterrupt
        return _see(frame)

    def slow(source: Source, seen: Seen) -> tuple[str, ...]:
        time.sleep(0.05)
        return ()

    with pytest.raises(KeyboardInterrupt):
        run_batch([Drawn(str(n)) for n in range(9)], look, slow, outcomes.append, Limits(jobs=2))

    assert [o.source.name for o in outcomes] == ["0", "1"]


def test_a_frame_that_is_waited_for_when_ctrl_c_comes_is_still_reported() -> None:
    outcomes: list[Outcome] = []

    def finish(source: Source, seen: Seen) -> tuple[str, ...]:
        time.sleep(0.3)  # until the next frame waits for room
        _thread.interrupt_main()
        time.sleep(0.3)
        return ()

    with pytest.raises(KeyboardInterrupt):
        run_batch([Drawn("0"), Drawn("1")], _see, finish, outcomes.append, Limits(jobs=1, memory_bytes=0))
    assert [o.source.name for o in outcomes] == ["0"]


def test_a_source_list_that_breaks_off_ends_the_batch() -> None:
    def broken() -> Iterator[Source]:
        yield Drawn("A")
        raise InputError("movie.mp4: cannot be opened")

    outcomes: list[Outcome] = []
    with pytest.raises(InputError, match="movie"):
        run_batch(broken(), _see, _nothing, outcomes.append, Limits())
    assert [o.source.name for o in outcomes] == ["A"]


def test_frames_are_finished_while_the_next_is_seen() -> None:
    next_is_seen = threading.Event()

    def look(frame: Frame) -> Seen:
        if frame.name == "B":
            next_is_seen.set()
        return _see(frame)

    def finish(source: Source, seen: Seen) -> tuple[str, ...]:
        assert next_is_seen.wait(timeout=5)
        return ()

    outcomes: list[Outcome] = []
    run_batch([Drawn("A"), Drawn("B")], look, finish, outcomes.append, Limits())
    assert len(outcomes) == 2


def test_what_is_found_while_finishing_is_told() -> None:
    outcomes: list[Outcome] = []

    def finish(source: Source, seen: Seen) -> tuple[str, ...]:
        return (*seen.frame.warnings, "other weights meanwhile")

    run_batch([Drawn("A")], _see, finish, outcomes.append, Limits())
    assert outcomes[0].warnings == ("about A", "other weights meanwhile")


def test_a_batch_that_ends_early_hurries_those_who_wait() -> None:
    hurried, outcomes = threading.Event(), list[Outcome]()

    def look(frame: Frame) -> Seen:
        if frame.name == "1":
            raise KeyboardInterrupt
        return _see(frame)

    def wait(source: Source, seen: Seen) -> tuple[str, ...]:
        if not hurried.wait(timeout=20):
            raise ValueError("nobody hurried")
        return ()

    with pytest.raises(KeyboardInterrupt):
        run_batch([Drawn("0"), Drawn("1")], look, wait, outcomes.append, Limits(jobs=2), hurried.set)
    assert [o.error for o in outcomes] == [None]


def test_ctrl_c_is_told_even_where_frames_on_their_way_fail() -> None:
    stopped = threading.Event()

    def look(frame: Frame) -> Seen:
        if frame.name == "1":
            stopped.set()
            raise KeyboardInterrupt
        return _see(frame)

    def fail(source: Source, seen: Seen) -> tuple[str, ...]:
        stopped.wait(timeout=20)
        raise ValueError("the server is gone")

    with pytest.raises(KeyboardInterrupt):
        run_batch([Drawn("0"), Drawn("1")], look, fail, list[Outcome]().append, Limits(jobs=2))


@pytest.mark.parametrize(("memory_bytes", "most"), [(0, 1), (8 * 8 * 96 * 3, 3), (1 << 30, 5)])
def test_no_more_frames_are_held_than_memory_allows(memory_bytes: int, most: int) -> None:
    under_way, peak, lock = set(), 0, threading.Lock()

    def look(frame: Frame) -> Seen:
        nonlocal peak
        with lock:
            under_way.add(frame.name)
            peak = max(peak, len(under_way))
        return _see(frame)

    def finish(source: Source, seen: Seen) -> tuple[str, ...]:
        time.sleep(0.01)
        with lock:
            under_way.discard(source.name)
        return ()

    sources = [Drawn(str(n)) for n in range(15)]
    run_batch(sources, look, finish, lambda outcome: None, Limits(jobs=4, memory_bytes=memory_bytes))
    assert peak <= most
    assert peak > 1 or most == 1
