"""The queue that the plugins share, with a plain document and the client's fake: from click to layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from douga_client.api import Event, Palette, Reconstruction, ReconstructRequest, Result
from douga_client.choice import Choice
from douga_client.errors import ClientError, Kind
from douga_client.fake import FakeClient
from douga_client.image import Pixels
from douga_client.tasks import DocumentError, Frame, Steps, Task, TaskQueue

DARK_SQUARE = Pixels(4, 2, "RGB8", b"\xff" * 12 + b"\x00" * 6 + b"\xff" * 6)


class PlainDocument:
    """Reads one picture and keeps what was placed. trouble: raised when something is. blank: empty frames."""

    def __init__(self, name: str = "a", blank: tuple[int, ...] = ()) -> None:
        self.name, self._blank = name, blank
        self.placed: list[int | None] = []
        self.results: list[Result] = []
        self.trouble: Exception | None = None
        self.reads, self.prepared, self.finished, self.released = 0, 0, 0, 0

    def read(self, time: int | None) -> Steps[Frame | None]:
        self.reads += 1
        yield False
        if self.name == "gone":
            raise DocumentError("There is no image")
        yield True
        return None if time in self._blank else Frame(DARK_SQUARE, notes=("a float image",))

    def prepare(self, choice: Choice) -> Steps[None]:
        for _ in range(2):
            self.prepared += 1
            yield False

    def place(self, result: Result, frame: Frame, choice: Choice, time: int | None) -> Steps[Sequence[str]]:
        yield False
        if self.trouble is not None:
            raise self.trouble
        self.placed.append(time)
        self.results.append(result)
        return [f"{self.name} {time}"]

    def finish(self) -> Steps[None]:
        yield False
        self.finished += 1

    def release(self) -> None:
        self.released += 1


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def queue(client: FakeClient) -> TaskQueue:
    return TaskQueue(lambda: client)


def task(document: PlainDocument | None = None, **more: object) -> Task:
    return Task("reconstruct", document or PlainDocument(), **more)  # type: ignore[arg-type]


def tick_until_idle(queue: TaskQueue) -> None:
    for _ in range(200):
        if queue.is_idle:
            return
        queue.tick()
    raise AssertionError("it never ended")


def by_timer(queue: TaskQueue, wanted: Task) -> None:
    queue.add(wanted)
    tick_until_idle(queue)


def at_once(queue: TaskQueue, wanted: Task) -> None:
    queue.run(queue.add(wanted))


@pytest.mark.parametrize("work", [by_timer, at_once])
def test_the_timers_way_and_the_scripts_way_end_alike(
    queue: TaskQueue, work: Callable[[TaskQueue, Task], None]
) -> None:
    document = PlainDocument()
    done = task(document)
    work(queue, done)
    assert (done.is_done, done.error, done.made, done.share) == (True, None, ["a None"], 1.0)
    assert isinstance(document.results[0], Reconstruction)
    assert document.results[0].class_map == bytes([0, 0, 0, 0, 1, 1, 0, 0])
    assert done.notes == ["a float image"]
    assert queue.last is done
    assert queue.info is not None


def test_the_choice_reaches_the_server(queue: TaskQueue, client: FakeClient) -> None:
    choice = Choice(3, Palette("fake"), "cel-m", "lines-m")
    at_once(queue, task(choice=choice, times=(1, 2)))
    assert len(client.requests) == 2
    for request in client.requests:
        assert isinstance(request, ReconstructRequest)
        assert (request.line_width_px, request.cel_model, request.lines_model) == (3, "cel-m", "lines-m")
        assert request.palette == Palette("fake")
        assert request.is_batch


def test_frames_are_placed_in_their_order_and_empty_ones_passed_over(queue: TaskQueue) -> None:
    document = PlainDocument(blank=(5,))
    done = task(document, times=(3, 4, 5, 6))
    by_timer(queue, done)
    assert document.placed == [3, 4, 6]
    assert (done.made, done.frames_done) == (["a 3", "a 4", "a 6"], 4)
    assert (document.finished, document.released) == (1, 1)


def test_the_next_task_is_read_while_the_server_works_for_the_first(
    queue: TaskQueue, client: FakeClient
) -> None:
    client.is_held = True
    documents = [PlainDocument(name) for name in "abc"]
    tasks = [queue.add(task(document)) for document in documents]
    for _ in range(10):
        queue.tick()
    assert [document.reads for document in documents] == [1, 1, 0]
    client.is_held = False
    tick_until_idle(queue)
    assert [one.made for one in tasks] == [["a None"], ["b None"], ["c None"]]


def test_what_can_be_prepared_is_while_the_server_works(queue: TaskQueue, client: FakeClient) -> None:
    client.is_held, document = True, PlainDocument()
    queue.add(task(document))
    for _ in range(6):
        queue.tick()
    assert document.prepared == 0  # the frame is still on its way
    client.waiting[0].stage = "queued"
    for _ in range(6):
        queue.tick()
    assert document.prepared == 2


def test_cancelling_ends_that_task_alone(queue: TaskQueue, client: FakeClient) -> None:
    client.is_held = True
    first, second = PlainDocument("a"), PlainDocument("b")
    given_up, other = queue.add(task(first)), queue.add(task(second))
    for _ in range(5):
        queue.tick()
    queue.cancel(given_up)
    assert given_up.is_cancelled
    assert len(client.waiting) == 1
    client.is_held = False
    tick_until_idle(queue)
    assert (first.placed, second.placed, other.error) == ([], [None], None)
    assert (first.finished, first.released, second.released) == (0, 1, 1)
    queue.cancel(other)
    assert other.error is None


def test_the_file_goes_and_everything_with_it(queue: TaskQueue, client: FakeClient) -> None:
    client.is_held = True
    tasks = [queue.add(task(PlainDocument(name))) for name in "abc"]
    queue.tick()
    queue.cancel_all()
    assert all(one.is_cancelled for one in tasks)
    assert queue.is_idle


@pytest.mark.parametrize("kind", [Kind.NO_SERVER, Kind.TOKEN_REFUSED, Kind.LOST])
def test_a_servers_error_ends_the_task(queue: TaskQueue, client: FakeClient, kind: Kind) -> None:
    client.trouble = ClientError(kind, address="here", said="gone")
    document = PlainDocument()
    failed = task(document)
    at_once(queue, failed)
    assert failed.error is client.trouble
    assert queue.error is client.trouble
    assert document.placed == []
    client.trouble = None
    at_once(queue, task(document))
    assert queue.error is None


@pytest.mark.parametrize("work", [by_timer, at_once])
def test_the_documents_errors_and_our_own_mistakes_are_told(
    queue: TaskQueue, work: Callable[[TaskQueue, Task], None]
) -> None:
    gone = task(PlainDocument("gone"))
    work(queue, gone)
    assert isinstance(gone.error, DocumentError)
    assert gone.error.text == "There is no image"
    document = PlainDocument()
    document.trouble = ZeroDivisionError("x")
    broken = task(document)
    work(queue, broken)
    assert isinstance(broken.error, ClientError)
    assert broken.error.kind is Kind.BUG
    assert "ZeroDivisionError" in str(broken.error)


def test_a_range_keeps_what_was_made_before_it_failed(queue: TaskQueue, client: FakeClient) -> None:
    document = PlainDocument()
    half = queue.add(task(document, times=(1, 2, 3)))
    while not half.made:
        queue.tick()
    client.trouble = ClientError(Kind.LOST, address="here", said="gone")
    tick_until_idle(queue)
    assert (half.made, half.error) == (["a 1"], client.trouble)
    assert (document.finished, document.released) == (1, 1)


def test_nothing_connects_before_there_is_something_to_do() -> None:
    opened: list[FakeClient] = []
    pieces: list[int] = []

    def open_client() -> FakeClient:
        opened.append(FakeClient())
        return opened[-1]

    def warm_up() -> Iterator[None]:
        for number in range(3):
            pieces.append(number)
            yield

    queue = TaskQueue(open_client, warm_up)
    queue.tick()
    assert (opened, pieces) == ([], [])
    queue.warm()
    queue.tick()
    assert pieces == [0]
    tick_until_idle(queue)
    assert (opened, pieces) == ([], [0, 1, 2])
    queue.ask()
    tick_until_idle(queue)
    assert queue.info is not None
    at_once(queue, task())
    assert len(opened) == 1
    queue.close()
    assert opened[0].is_closed


def test_other_settings_begin_anew_with_another_server() -> None:
    opened: list[FakeClient] = []

    def open_client() -> FakeClient:
        opened.append(FakeClient())
        opened[-1].is_held = len(opened) == 1
        return opened[-1]

    queue = TaskQueue(open_client)
    moved = queue.add(task())
    for _ in range(5):
        queue.tick()
    queue.settings_changed()
    tick_until_idle(queue)
    assert (moved.error, moved.made) == (None, ["a None"])
    assert (opened[0].is_closed, len(opened)) == (True, 2)


def test_an_error_that_nobody_thought_of_ends_the_task_and_not_the_queue() -> None:
    class Broken(FakeClient):
        def pump(self, budget_s: float = 0.01) -> list[Event]:
            raise OSError(97, "Address family not supported by protocol")

    clients = [Broken(), FakeClient()]
    queue = TaskQueue(lambda: clients.pop(0))
    lost = queue.add(task())
    tick_until_idle(queue)
    assert isinstance(lost.error, ClientError)
    assert lost.error.kind is Kind.BUG
    assert "Address family" in str(queue.error)
    after = queue.add(task())
    tick_until_idle(queue)
    assert after.error is None


def test_a_question_is_put_again_where_the_settings_changed_meanwhile() -> None:
    opened: list[FakeClient] = []

    class Slow(FakeClient):
        def pump(self, budget_s: float = 0.01) -> list[Event]:
            return [] if len(opened) == 1 else super().pump(budget_s)

    def open_client() -> FakeClient:
        opened.append(Slow())
        return opened[-1]

    queue = TaskQueue(open_client)
    queue.ask(may_start=True)
    for _ in range(3):
        queue.tick()
    queue.settings_changed()
    tick_until_idle(queue)
    assert (len(opened), queue.error) == (2, None)
    assert queue.info is not None


@pytest.mark.parametrize("asked", [True, False])
def test_broken_settings_are_told(asked: bool) -> None:
    def open_client() -> FakeClient:
        raise ClientError(Kind.SETTINGS_BROKEN, path="p", said="it is no JSON")

    queue = TaskQueue(open_client)
    if asked:
        queue.ask(may_start=True)
    else:
        queue.add(task())
    tick_until_idle(queue)
    assert "no JSON" in str(queue.error)


def test_a_host_that_runs_its_timer_within_our_step_does_not_start_another(queue: TaskQueue) -> None:
    class Nested(PlainDocument):
        def read(self, time: int | None) -> Steps[Frame | None]:
            queue.tick()
            queue.cancel_all()
            yield from super().read(time)
            return None

    document = Nested()
    ended = queue.add(task(document))
    tick_until_idle(queue)
    assert ended.is_cancelled
    assert document.placed == []


def test_cutting_out(queue: TaskQueue) -> None:
    document = PlainDocument()
    at_once(queue, Task("cutout", document))
    assert document.placed == [None]
