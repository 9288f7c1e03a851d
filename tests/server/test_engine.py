"""One engine, many callers: the same bytes as the command line, and what goes wrong stays with its job."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from douga_server.engine import Engine, EngineError, Result
from douga_server.fakes import FAKE_MODELS, FakeStages, FakeStore
from douga_server.jobs import Answer, Job, Options, Progress, Region, Stage, Stopped
from douga_server.models import MemoryShortError, ModelStore, find_model, memory_short
from PIL import Image

from douga.cli import main
from douga.errors import CheckpointError, InputError
from douga.fakes import fake_stages
from douga.frame_io import read_frame
from douga.pipeline import Settings, clean, see
from douga.types import CelMask, Frame

PATIENCE_S = 20.0  # for what takes an instant, on a machine that has other things to do


def drawing(height: int = 48, width: int = 64, *, name: str = "a") -> Frame:
    """A white page with a red box that has a black outline."""
    rgb = np.full((height, width, 3), 255, np.uint8)
    cv2.rectangle(rgb, (8, 8), (width - 12, height - 12), (200, 40, 40), -1)
    cv2.rectangle(rgb, (8, 8), (width - 12, height - 12), (0, 0, 0), 3)
    return Frame(rgb, name)


def job(name: str = "a", frame: Frame | None = None, own_mask: CelMask | None = None, **options: Any) -> Job:
    return Job(name, frame or drawing(name=name), Options(**options), own_mask)


def run(engine: Engine, *jobs: Job) -> list[Result]:
    return engine.run(jobs, lambda i, progress: None, lambda i: False)


def answers(results: Sequence[Result]) -> list[Answer]:
    assert all(isinstance(result, Answer) for result in results), results
    return [result for result in results if isinstance(result, Answer)]


@dataclass(frozen=True)
class Bad(FakeStages):
    """Stages that fail for the frames of some names."""

    errors: dict[str, BaseException] = field(default_factory=dict)

    def find_cel(self, frame: Frame, *rest: Any) -> CelMask:
        if frame.name in self.errors:
            raise self.errors[frame.name]
        return super().find_cel(frame, *rest)


@dataclass(frozen=True)
class Held(FakeStages):
    """Stages whose networks wait in stage two until they may go on."""

    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def find_lines(self, frame: Frame, *rest: Any) -> Any:
        self.reached.set()
        assert self.go.wait(PATIENCE_S)
        return super().find_lines(frame, *rest)


@pytest.fixture
def engine_of() -> Any:
    engines: list[Engine] = []

    def make(stages: Any = None, **settings: Any) -> Engine:
        engines.append(Engine(stages or FakeStages(), **settings))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def test_the_answer_is_that_of_the_pipeline(engine_of: Callable[..., Engine]) -> None:
    frame, options = drawing(), Options(line_width_px=2)
    expected = clean(see(frame, fake_stages()), Settings(options.palette, 2))

    (answer,) = answers(run(engine_of(), Job("a", frame, options)))

    assert np.array_equal(answer.cel_mask.mask, expected.cel_mask.mask)
    assert np.array_equal(answer.classes.ids, expected.classes.ids)
    assert answer.classes.ids.any()
    assert [use.name for use in answer.models] == ["fake-cel", "fake-lines"]
    assert answer.device == "cpu"
    assert set(answer.seconds) == {Stage.CEL, Stage.LINES, Stage.CLEANING}


def test_the_shipped_weights_give_the_files_of_the_command_line(tmp_path: Path) -> None:
    png, out = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(drawing(90, 120).rgb).save(png)
    assert main(["reconstruct", str(png), "--out", str(out), "--device", "cpu"]) == 0
    frame, region = read_frame(png), Region(11, 20, 50, 41)
    jobs = job(frame=frame), job(frame=frame, region=region), job(frame=frame)
    engine = Engine(ModelStore(device="cpu").load())
    try:
        whole, part, again = answers(run(engine, *jobs))
    finally:
        engine.close()

    assert np.array_equal(whole.classes.ids, np.asarray(Image.open(out / "classes/a.png")))
    assert np.array_equal(whole.cel_mask.mask, np.asarray(Image.open(out / "cel_mask/a.png")))
    assert whole.classes.ids.any()
    assert np.array_equal(whole.classes.ids, again.classes.ids)
    assert part.classes.ids.shape == part.cel_mask.mask.shape == (41, 50)
    assert {use.stage: len(use.sha256) for use in whole.models} == {"cel": 64, "lines": 64}


def test_a_region_is_cut_out_before_the_cleaning(engine_of: Callable[..., Engine]) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 30:] = 255
    (answer,) = answers(run(engine_of(), job(own_mask=CelMask(mask), region=Region(28, 8, 20, 16))))

    assert np.array_equal(answer.cel_mask.mask, mask[8:24, 28:48])
    assert answer.classes.ids.shape == (16, 20)
    assert answer.cel_mask.mask.flags.c_contiguous


def test_an_own_mask_replaces_stage_one(engine_of: Callable[..., Engine]) -> None:
    mask, told = CelMask(np.zeros((48, 64), np.uint8)), []
    (result,) = engine_of().run([job(own_mask=mask)], lambda i, p: told.append(p.stage), lambda i: False)

    assert isinstance(result, Answer)
    assert result.cel_mask is mask
    assert not result.classes.ids.any()  # no cel, no ink
    assert [use.stage for use in result.models] == ["lines"]
    assert Stage.CEL not in result.seconds
    assert Stage.CEL not in told


def test_progress_names_the_stages_in_order_with_rising_shares(engine_of: Callable[..., Engine]) -> None:
    told: dict[int, list[Progress]] = {0: [], 1: []}
    engine_of().run([job("a"), job("b")], lambda i, p: told[i].append(p), lambda i: False)

    networks = [0.0, 0.25, 0.5, 0.75, 1.0]
    for progress in told.values():
        shares = {stage: [p.share for p in progress if p.stage is stage] for stage in Stage}
        assert list(dict.fromkeys(p.stage for p in progress)) == [Stage.CEL, Stage.LINES, Stage.CLEANING]
        assert shares[Stage.CEL] == shares[Stage.LINES] == networks
        assert shares[Stage.CLEANING] == [0.0, 1.0]


@pytest.mark.parametrize("stage", ["cel", "lines"])
def test_a_stopped_job_does_not_take_another_step(
    stage: str, tmp_path: Path, engine_of: Callable[..., Engine]
) -> None:
    journal, stopped = tmp_path / "journal", set()

    def on_progress(i: int, progress: Progress) -> None:
        if i == 0 and (progress.stage.value, progress.share) == (stage, 0.5):
            stopped.add(0)

    stages = FakeStore(journal=journal).load()
    results = engine_of(stages).run([job("a"), job("b")], on_progress, stopped.__contains__)

    steps = journal.read_text().split("\n")
    assert steps.count(f"{stage} a") == 3  # the third was about to begin
    assert steps.count("lines a") == (0 if stage == "cel" else 3)
    assert isinstance(results[0], Stopped)
    assert isinstance(results[1], Answer)


def test_a_job_that_waits_for_the_networks_of_others_is_given_up_at_once(
    engine_of: Callable[..., Engine],
) -> None:
    stages = Held()
    engine = engine_of(stages)
    other: list[Result] = []
    busy = threading.Thread(target=lambda: other.extend(run(engine, job("busy"))))
    busy.start()
    try:
        assert stages.reached.wait(PATIENCE_S)
        (result,) = engine.run([job("late")], lambda i, p: None, lambda i: True)
        assert isinstance(result, Stopped)
    finally:
        stages.go.set()
        busy.join()
    answers(other)  # or the first had waited in vain for the second to end


def test_a_job_that_is_being_cleaned_is_given_up_at_once(
    monkeypatch: pytest.MonkeyPatch, engine_of: Callable[..., Engine]
) -> None:
    cleaning, go, waits = threading.Event(), threading.Event(), [True]

    def clean_slowly(*_: Any, **__: Any) -> None:
        cleaning.set()
        waits.append(go.wait(PATIENCE_S))

    monkeypatch.setattr("douga_server.engine.clean_douga", clean_slowly)
    try:
        (result,) = engine_of().run([job()], lambda i, p: None, lambda i: cleaning.is_set())
    finally:
        go.set()
    assert isinstance(result, Stopped)
    assert all(waits)


def test_one_is_cleaned_while_the_networks_look_at_the_next(
    monkeypatch: pytest.MonkeyPatch, engine_of: Callable[..., Engine]
) -> None:
    met = threading.Barrier(2, timeout=PATIENCE_S)
    told: list[str] = []

    def clean_slowly(probabilities: Any, rgb: Any, cel: Any, *, line_width_px: int) -> Any:
        if not told:
            met.wait()  # for the networks of the second job
        told.append("cleaned")
        return np.zeros(probabilities.shape[1:], np.uint8)

    @dataclass(frozen=True)
    class Meeting(FakeStages):
        def find_cel(self, frame: Frame, *rest: Any) -> CelMask:
            if frame.name == "b":
                met.wait()
            return super().find_cel(frame, *rest)

    monkeypatch.setattr("douga_server.engine.clean_douga", clean_slowly)
    answers(run(engine_of(Meeting()), job("a"), job("b")))


def test_only_so_many_pixels_are_past_the_networks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_of: Callable[..., Engine]
) -> None:
    journal = tmp_path / "journal"
    seen_while_cleaning = []

    def clean_noting(probabilities: Any, *_: Any, **__: Any) -> Any:
        seen_while_cleaning.append(journal.read_text().count("\n"))
        return np.zeros(probabilities.shape[1:], np.uint8)

    monkeypatch.setattr("douga_server.engine.clean_douga", clean_noting)
    engine = engine_of(FakeStore(steps=1, journal=journal).load(), cleaners=3, room_px=2 * 48 * 64 - 1)
    answers(run(engine, *map(job, "abcd")))

    assert seen_while_cleaning == [2, 4, 6, 8]  # two steps a job: never two of them at once


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InputError("no"), InputError),
        (MemoryError(), MemoryShortError),
        (memory_short(drawing()), MemoryShortError),
        (ValueError("a bug"), EngineError),
    ],
)
def test_an_error_stays_with_its_job(
    error: Exception, expected: type, engine_of: Callable[..., Engine]
) -> None:
    engine = engine_of(Bad(errors={"b": error}))
    for _ in range(2):  # and takes no room with it
        a, b, c = run(engine, *map(job, "abc"))
        assert isinstance(a, Answer)
        assert isinstance(b, expected)
        assert isinstance(c, Answer)


def test_short_memory_in_the_cleaning_is_an_error_with_a_mend(
    monkeypatch: pytest.MonkeyPatch, engine_of: Callable[..., Engine]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        error = cv2.error("out of memory")
        error.code = cv2.Error.StsNoMem
        raise error

    engine = engine_of()
    with monkeypatch.context() as patch:
        patch.setattr("douga_server.engine.clean_douga", fail)
        (error,) = run(engine, job())
    assert isinstance(error, MemoryShortError)
    assert "64 x 48 px; send a region" in str(error)
    answers(run(engine, job()))


def test_torch_without_memory_is_an_error_with_a_mend(
    monkeypatch: pytest.MonkeyPatch, engine_of: Callable[..., Engine]
) -> None:
    import torch

    engine = engine_of(ModelStore(device="cpu").load())

    def fail(*_: Any, **__: Any) -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    with monkeypatch.context() as patch:
        patch.setattr("douga.cel.find_cel", fail)
        (error,) = run(engine, job())
    assert isinstance(error, MemoryShortError)
    with monkeypatch.context() as patch:
        patch.setattr(
            "douga.lines.find_lines", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError())
        )
        (error,) = run(engine, job())
    assert isinstance(error, MemoryShortError)
    answers(run(engine, job()))


def test_new_networks_are_for_the_next_call(engine_of: Callable[..., Engine]) -> None:
    old = Held()
    engine = engine_of(old)
    new = FakeStages(models=tuple(replace(model, sha256="new") for model in FAKE_MODELS))
    under_way: list[Result] = []
    caller = threading.Thread(target=lambda: under_way.extend(run(engine, job("a"), job("b"))))
    caller.start()
    assert old.reached.wait(PATIENCE_S)
    engine.swap(new)
    old.go.set()
    after = answers(run(engine, job("c")))
    caller.join()

    assert [answer.models for answer in answers(under_way)] == [answers(under_way)[0].models] * 2
    assert answers(under_way)[0].models[0].sha256 == "c" * 64
    assert after[0].models[0].sha256 == "new"


def test_models_are_asked_for_by_name() -> None:
    assert find_model(FAKE_MODELS, "lines", "").name == "fake-lines"
    assert find_model(FAKE_MODELS, "lines", "fake-lines", "synthetic_cel").name == "fake-lines"
    with pytest.raises(InputError, match=r"no such model 'best' for stage 'cel'; this server has fake-cel"):
        find_model(FAKE_MODELS, "cel", "best")
    with pytest.raises(InputError, match=r"'color': the model fake-lines was trained with 'synthetic_cel'"):
        find_model(FAKE_MODELS, "lines", "", "color")


def test_a_store_refuses_weights_that_cannot_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two have one name"):
        ModelStore(lines=("lines-small", str(tmp_path / "lines-small.safetensors")))
    with pytest.raises(InputError, match="no weights for stage 'cel'"):
        ModelStore(cel=())
    with pytest.raises(CheckpointError, match="weights of stage 'lines' were given for stage 'cel'"):
        ModelStore(cel=("lines-small",), device="cpu").load()


@pytest.mark.parametrize("name", ["my weights", ".hidden", "作画", "a" * 65])
@pytest.mark.parametrize("stage", ["cel", "lines", "cutout"])
def test_a_store_refuses_weights_that_nobody_could_ask_for(stage: str, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}.safetensors: callers cannot ask by this name; rename"):
        ModelStore(**{stage: (f"mine/{name}.safetensors",)})  # type: ignore[arg-type]
