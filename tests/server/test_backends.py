"""The one suite that every backend passes; a new one joins BACKENDS. All of their answers are equal bytes.

Everything goes through `FakeStore`, which works in any process: what it does is read from its journal.
"""

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from douga_server.backends.base import Backend
from douga_server.backends.local import LocalBackend
from douga_server.batcher import Batcher
from douga_server.fakes import FAKE_MODELS, FakeStages, FakeStore
from douga_server.jobs import (
    Answer,
    BackendError,
    CutoutAnswer,
    CutoutJob,
    Job,
    OnProgress,
    Options,
    Progress,
    Region,
    Stage,
    Stopped,
)
from farming import joined_backend

from douga.cutout import cut_out
from douga.errors import CheckpointError, DougaError, InputError
from douga.fakes import fake_stages
from douga.pipeline import Settings, clean, see
from douga.types import CelMask, Frame

PATIENCE_S = 60.0  # for what takes an instant, on a machine that has other things to do

Factory = Callable[[FakeStore], Backend]
BACKENDS: dict[str, Factory] = {"local": LocalBackend, "ray": joined_backend}


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def make(request: pytest.FixtureRequest) -> Factory:
    """Makes the backend that is tested."""
    return BACKENDS[request.param]


def drawing(height: int = 48, width: int = 64, *, name: str = "a") -> Frame:
    """A white page with a red box that has a black outline."""
    rgb = np.full((height, width, 3), 255, np.uint8)
    cv2.rectangle(rgb, (8, 8), (width - 12, height - 12), (200, 40, 40), -1)
    cv2.rectangle(rgb, (8, 8), (width - 12, height - 12), (0, 0, 0), 3)
    return Frame(rgb, name)


def a_job(name: str = "a", *, own_mask: CelMask | None = None, **options: Any) -> Job:
    return Job(name, drawing(name=name), Options(**options), own_mask)


def silent(progress: Progress) -> None:
    """Nobody listens."""


async def run(backend: Backend, *jobs: Job) -> list[Answer | DougaError]:
    return await backend.run(jobs, [silent] * len(jobs))


async def answer(backend: Backend, job: Job) -> Answer:
    (result,) = await run(backend, job)
    assert isinstance(result, Answer), result
    return result


def with_backend(make: Factory, store: FakeStore, test: Callable[[Backend], Awaitable[None]]) -> None:
    """Start a backend, test it, and close it."""

    async def session() -> None:
        backend = make(store)
        await backend.start()
        try:
            await asyncio.wait_for(test(backend), PATIENCE_S)
        finally:
            await backend.close()

    asyncio.run(session())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # `with_backend` has the time limit
        await asyncio.sleep(0.01)


def steps_of(journal: Path, name: str) -> int:
    """Steps that were done for a frame."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    return sum(line.endswith(f" {name}") for line in lines)


def has_done(journal: Path, name: str, *, steps: int) -> bool:
    return steps_of(journal, name) >= steps


def test_it_says_what_it_has(make: Factory) -> None:
    async def session() -> None:
        backend = make(FakeStore())
        description = await backend.start()
        assert description.backend in BACKENDS
        assert description.models == FAKE_MODELS
        assert description.devices == ("cpu",)
        assert backend.slots >= 1
        await backend.close()

    asyncio.run(session())


def test_nothing_is_taken_before_the_start(make: Factory) -> None:
    async def session() -> None:
        with pytest.raises(BackendError, match="not loaded"):
            await run(make(FakeStore()), a_job())

    asyncio.run(session())


def test_weights_that_cannot_be_loaded_end_the_start(make: Factory, tmp_path: Path) -> None:
    async def session() -> None:
        backend = make(FakeStore(weights=_written(tmp_path / "weights", "")))
        with pytest.raises(CheckpointError, match="is empty"):
            await backend.start()
        await backend.close()

    asyncio.run(session())


def test_the_answer_is_that_of_the_pipeline(make: Factory) -> None:
    job = a_job(line_width_px=2)
    expected = clean(see(job.frame, fake_stages()), Settings(job.options.palette, 2))

    async def test(backend: Backend) -> None:
        result = await answer(backend, job)
        assert result.cel_mask.mask.tobytes() == expected.cel_mask.mask.tobytes()
        assert result.classes.ids.tobytes() == expected.classes.ids.tobytes()
        assert [(use.stage, use.name, use.sha256) for use in result.models] == [
            (model.stage, model.name, model.sha256) for model in FAKE_MODELS if model.stage != "cutout"
        ]
        assert result.device == "cpu"
        assert set(result.seconds) >= {Stage.CEL, Stage.LINES, Stage.CLEANING}

    with_backend(make, FakeStore(), test)


def test_a_cutout_is_that_of_the_command_line(make: Factory) -> None:
    frame = drawing()
    model = next(model for model in FAKE_MODELS if model.stage == "cutout")
    expected = cut_out(FakeStages().find_alpha(frame, model, lambda share: None))

    async def test(backend: Backend) -> None:
        told: list[Progress] = []
        jobs = [CutoutJob("a", frame), CutoutJob("b", frame, "unknown"), a_job("c")]
        listeners = [told.append, silent, silent]
        cut, bad, apart = await backend.run(jobs, listeners)
        assert isinstance(cut, CutoutAnswer)
        np.testing.assert_array_equal(cut.alpha, np.rint(expected.alpha * 255))
        np.testing.assert_array_equal(cut.colours, np.rint(expected.colours * 255))
        assert [(use.stage, use.name) for use in cut.models] == [("cutout", "fake-cutout")]
        assert set(cut.seconds) == {Stage.CEL, Stage.CLEANING}
        stages = [progress.stage for progress in told]
        assert list(dict.fromkeys(stages)) == [Stage.CEL, Stage.CLEANING]
        assert isinstance(bad, InputError)
        assert str(bad) == "no such model 'unknown' for stage 'cutout'; this server has fake-cutout"
        assert isinstance(apart, Answer)

    with_backend(make, FakeStore(), test)


def test_a_cutout_that_nobody_waits_for_is_stopped(make: Factory, tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    async def test(backend: Backend) -> None:
        work = asyncio.create_task(backend.run([CutoutJob("a", drawing())], [silent]))
        await until(partial(has_done, journal, "a", steps=2))
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert steps_of(journal, "a") < 100

    with_backend(make, FakeStore(steps=1000, step_s=0.01, journal=journal), test)


def test_a_batch_comes_back_in_order_and_an_error_stays_with_its_job(make: Factory) -> None:
    jobs = [
        Job("small", drawing(32, 40), Options()),
        a_job("bad", cel_model="unknown"),
        Job("large", drawing(64, 80), Options()),
        a_job("other", input_mode="color"),
    ]

    async def test(backend: Backend) -> None:
        small, bad, large, other = await run(backend, *jobs)
        assert isinstance(small, Answer)
        assert isinstance(large, Answer)
        assert small.classes.ids.shape == (32, 40)
        assert large.classes.ids.shape == (64, 80)
        assert isinstance(bad, InputError)
        assert str(bad) == "no such model 'unknown' for stage 'cel'; this server has fake-cel"
        assert isinstance(other, InputError)

    with_backend(make, FakeStore(), test)


def test_batches_run_side_by_side(make: Factory) -> None:
    async def test(backend: Backend) -> None:
        jobs = [a_job(f"{n}", line_width_px=1 + n % 3) for n in range(backend.slots)]
        together = await asyncio.gather(*(answer(backend, job) for job in jobs))
        for job, result in zip(jobs, together, strict=True):
            alone = await answer(backend, job)
            assert alone.classes.ids.tobytes() == result.classes.ids.tobytes()

    with_backend(make, FakeStore(), test)


def test_a_region_is_answered_in_its_size(make: Factory) -> None:
    async def test(backend: Backend) -> None:
        whole = await answer(backend, a_job())
        part = await answer(backend, a_job(region=Region(5, 6, 30, 20)))
        assert part.cel_mask.mask.tobytes() == whole.cel_mask.mask[6:26, 5:35].tobytes()
        assert part.classes.ids.shape == (20, 30)

    with_backend(make, FakeStore(), test)


def test_an_own_mask_replaces_stage_one(make: Factory) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :32] = 255

    async def test(backend: Backend) -> None:
        result = await answer(backend, a_job(own_mask=CelMask(mask)))
        assert np.array_equal(result.cel_mask.mask, mask)
        assert [use.stage for use in result.models] == ["lines"]
        assert not result.classes.ids[:, 40:].any()

    with_backend(make, FakeStore(), test)


def test_progress_names_the_stages_in_order_with_rising_shares(make: Factory) -> None:
    async def test(backend: Backend) -> None:
        told: list[list[Progress]] = [[], []]
        loop = asyncio.get_running_loop()

        def on_progress(i: int) -> OnProgress:
            def note(progress: Progress) -> None:
                assert asyncio.get_running_loop() is loop  # fails on any other thread
                told[i].append(progress)

            return note

        await backend.run([a_job("a"), a_job("b")], [on_progress(0), on_progress(1)])
        for progress in told:
            stages = [p.stage for p in progress]
            assert list(dict.fromkeys(stages)) == [Stage.CEL, Stage.LINES, Stage.CLEANING]
            assert sorted(stages, key=list(Stage).index) == stages
            for stage in set(stages):
                shares = [p.share for p in progress if p.stage is stage]
                assert shares == sorted(set(shares))
                assert 0 <= shares[0] <= shares[-1] <= 1

    with_backend(make, FakeStore(), test)


def test_cancelling_stops_the_work_within_a_step_and_frees_the_slot(make: Factory, tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    async def test(backend: Backend) -> None:
        for name in ("first", "second"):  # every slot is taken twice
            tasks = [asyncio.create_task(run(backend, a_job(name))) for _ in range(backend.slots)]
            await until(partial(has_done, journal, name, steps=2))
            for task in tasks:
                task.cancel()
            before = steps_of(journal, name)
            await asyncio.wait(tasks)
            after = steps_of(journal, name)
            assert all(task.cancelled() for task in tasks)
            # The step under way, and the next where that had just ended.
            assert after <= before + 2 * len(tasks)
            await asyncio.sleep(0.3)
            assert steps_of(journal, name) == after  # nobody works on

    with_backend(make, FakeStore(steps=1000, step_s=0.02, journal=journal), test)


def test_a_batch_goes_on_without_the_one_that_left(make: Factory) -> None:
    async def test(backend: Backend) -> None:
        def gone(progress: Progress) -> None:
            raise Stopped

        result = await backend.run([a_job("gone"), a_job("stays")], [gone, silent])
        assert isinstance(result[1], Answer)
        assert len(result) == 2

    with_backend(make, FakeStore(step_s=0.02), test)


def test_reloading_leaves_the_work_under_way_alone(make: Factory, tmp_path: Path) -> None:
    weights, journal = _written(tmp_path / "weights", "old"), tmp_path / "journal"

    async def test(backend: Backend) -> None:
        old = (await answer(backend, a_job("before"))).models
        under_way = asyncio.create_task(answer(backend, a_job("during")))
        await until(partial(has_done, journal, "during", steps=1))
        _written(weights, "new")
        description = await backend.reload()
        assert (await under_way).models == old
        new = (await answer(backend, a_job("after"))).models
        assert {use.sha256 for use in new} == {model.sha256 for model in description.models}
        assert new != old
        _written(weights, "")
        with pytest.raises(CheckpointError, match="is empty"):
            await backend.reload()
        assert (await answer(backend, a_job("still"))).models == new

    with_backend(make, FakeStore(step_s=0.02, journal=journal, weights=weights), test)


def test_nothing_is_kept_of_jobs_that_are_over(make: Factory) -> None:
    frames: list[weakref.ref[Frame]] = []

    async def call(batcher: Batcher, n: int) -> None:
        job = Job(str(n), drawing(24, 24), Options(cel_model="unknown" if n % 3 == 0 else ""))
        frames.append(weakref.ref(job.frame))
        try:
            await batcher.submit(job, silent)
        except InputError:
            assert n % 3 == 0

    async def test(backend: Backend) -> None:
        batcher = Batcher(backend)
        for start in range(0, 300, 20):
            await asyncio.gather(*(call(batcher, n) for n in range(start, start + 20)))

    with_backend(make, FakeStore(steps=1), test)
    gc.collect()
    assert len(frames) == 300
    assert sum(frame() is not None for frame in frames) == 0


def test_the_loop_is_free_while_weights_load() -> None:
    may_end, began = threading.Event(), threading.Event()

    @dataclass(frozen=True)
    class Slow(FakeStore):
        def load(self) -> FakeStages:
            began.set()
            assert may_end.wait(PATIENCE_S)
            return super().load()

    async def session() -> None:
        backend = LocalBackend(Slow())
        starting = asyncio.create_task(backend.start())
        await until(began.is_set)
        may_end.set()
        await starting
        may_end.clear()
        began.clear()
        reloading = asyncio.create_task(backend.reload())
        await until(began.is_set)
        await answer(backend, a_job())
        may_end.set()
        await reloading
        await backend.close()

    asyncio.run(session())


def test_who_left_a_batch_costs_no_more_steps(tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    async def test(backend: Backend) -> None:
        def gone(progress: Progress) -> None:
            if progress.share > 0:
                raise Stopped

        result = await backend.run([a_job("gone"), a_job("stays")], [gone, silent])
        assert isinstance(result[0], BackendError)
        assert isinstance(result[1], Answer)
        assert 1 <= steps_of(journal, "gone") < 20
        assert steps_of(journal, "stays") == 40

    with_backend(LocalBackend, FakeStore(steps=20, step_s=0.02, journal=journal), test)


def test_a_cleaning_does_not_hold_a_cancelled_call(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaning, go, waits = threading.Event(), threading.Event(), [True]

    def clean_slowly(*_: Any, **__: Any) -> None:
        cleaning.set()
        waits.append(go.wait(PATIENCE_S / 2))

    monkeypatch.setattr("douga_server.engine.clean_douga", clean_slowly)

    async def test(backend: Backend) -> None:
        task = asyncio.create_task(run(backend, a_job()))
        await until(cleaning.is_set)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert all(waits)
        go.set()

    with_backend(LocalBackend, FakeStore(), test)


def test_cancelling_twice_still_waits_for_the_step(tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    async def test(backend: Backend) -> None:
        task = asyncio.create_task(run(backend, a_job("a")))
        await until(partial(has_done, journal, "a", steps=1))
        before = steps_of(journal, "a")
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task])
        after = steps_of(journal, "a")
        assert task.cancelled()
        assert before < after <= before + 2

    with_backend(LocalBackend, FakeStore(step_s=0.3, journal=journal), test)


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
