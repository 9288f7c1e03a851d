"""The client that plugins use: jobs, events, cancelling, trying again; and the fake that stands for it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from client_serving import ServerProcess, drawing, expected_mask, pump_until, request
from douga_client.address import Target
from douga_client.api import (
    STAGES,
    Client,
    CutoutRequest,
    Event,
    Failed,
    Finished,
    InfoChanged,
    Job,
    Palette,
    PaletteClass,
    Progress,
    Reconstruction,
)
from douga_client.client import GrpcClient, open_client
from douga_client.errors import ClientError, Kind, Mend
from douga_client.fake import FAKE_INFO, FakeClient
from douga_client.finding import Finder
from douga_client.image import Pixels
from douga_client.settings import Settings
from douga_client.texts import button, stage_title
from test_client_connection import scripted


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("jobs"), "--address", "127.0.0.1:0") as running:
        yield running


@pytest.fixture
def settings(server: ServerProcess) -> Settings:
    return Settings(server=server.address, token=server.token)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    opened = open_client(settings)
    yield opened
    opened.close()


class Known(Finder):
    """A finder for a target that a test has."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def find(self, *, may_start: bool) -> Target:
        return self._target


def done(*jobs: Job) -> Any:
    return lambda _: all(job.is_done for job in jobs)


def result_of(job: Job) -> Reconstruction:
    assert job.error is None, job.error
    assert isinstance(job.result, Reconstruction)
    return job.result


@pytest.mark.parametrize("packing", ["auto", "raw", "png", "zstd"])
@pytest.mark.parametrize("layout", ["BGRA8", "RGBA8", "RGB8"])
def test_a_frame_comes_back_as_mask_and_class_map(settings: Settings, packing: str, layout: str) -> None:
    client, pixels = open_client(replace(settings, packing=packing)), drawing(65, 33, layout)
    job = client.submit(request(pixels))
    events = pump_until(client, done(job))
    result = result_of(job)
    assert (result.width, result.height) == (65, 33)
    assert bytes(result.cel_mask) == expected_mask(pixels)
    assert bytes(result.class_map) == b"\1" * 65 * 33
    assert result.palette.name == "kugler"
    assert [c.key for c in result.palette.classes][:2] == ["flat", "visible_line"]
    assert result.models[0].name == "fake-cel"
    assert isinstance(events[-1], Finished)
    stages = [event.stage for event in events if isinstance(event, Progress)]
    assert stages[0] in ("finding", "connecting", "sending")
    assert client.info is not None
    assert client.info.answers("Reconstruct")
    client.close()


def test_options_reach_the_server(client: Client) -> None:
    colours = tuple(PaletteClass(i, "", "", (0x101010 * (i + 1),)) for i in range(10))
    asked = request(
        drawing(64, 48),
        line_width_px=5,
        palette=Palette("ours", colours),
        region=(8, 4, 32, 16),
        is_batch=True,
    )
    result = result_of(_ended(client, client.submit(asked)))
    assert result.palette.name == "ours"
    assert result.palette.classes[3].colors == (0x404040,)
    mask = Pixels(64, 48, "GRAY8", b"\xff" * 64 * 48)
    assert result_of(_ended(client, client.submit(request(drawing(), own_mask=mask)))).width == 64


def _ended(client: Client, job: Job) -> Job:
    pump_until(client, done(job))
    return job


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"line_width_px": 99}, "line_width_px 99"),
        ({"region": (0, 0, 900, 900)}, "does not lie within the frame"),
        ({"palette": Palette("none such")}, "no such preset"),
        ({"own_mask": Pixels(2, 2, "GRAY8", b"\xff" * 4)}, "2 x 2 px"),
    ],
)
def test_what_the_server_refuses_is_told_in_its_words(client: Client, options: Any, said: str) -> None:
    error = _ended(client, client.submit(request(**options))).error
    assert error is not None
    assert error.kind is Kind.BAD_REQUEST
    assert said in error.text()
    assert said in error.text("ja")


def test_many_jobs_are_done_one_after_the_other(client: Client) -> None:
    jobs = [client.submit(request(drawing(16 + i, 16))) for i in range(8)]
    events = pump_until(client, done(*jobs))
    assert [result_of(job).width for job in jobs] == [16 + i for i in range(8)]
    assert sum(isinstance(event, Finished) for event in events) == 8
    assert client.pause_s >= 0.5, "nothing is left to do"


def test_cancelling_waiting_and_running_jobs(server: ServerProcess, settings: Settings) -> None:
    client = open_client(settings, max_under_way=1)
    server.hold.touch()
    try:
        running, waiting, third = (client.submit(request()) for _ in range(3))
        pump_until(client, lambda _: running.stage == "queued")
        client.cancel(waiting)
        client.cancel(running)
        client.cancel(running)
        events = client.pump()
        ends = [event for event in events if isinstance(event, Failed)]
        assert {end.job for end in ends} == {running, waiting}
        assert {end.error.kind for end in ends} == {Kind.CANCELLED}
    finally:
        server.hold.unlink()
    assert result_of(_ended(client, third)).width == 64
    client.close()


def test_a_1080p_frame_never_holds_the_host_up(settings: Settings) -> None:
    client, pixels = open_client(settings), drawing(1920, 1080)
    longest_s = 0.0
    for _ in range(2):
        job = client.submit(request(pixels))
        until_s = time.monotonic() + 60
        while not job.is_done:
            begun_s = time.thread_time()
            client.pump()
            longest_s = max(longest_s, time.thread_time() - begun_s)
            assert time.monotonic() < until_s
            time.sleep(min(client.pause_s, 0.01))
    assert bytes(result_of(job).cel_mask) == expected_mask(pixels)
    assert longest_s < 0.05
    client.close()


def test_waiting_without_a_timer(client: Client) -> None:
    result = client.wait(client.submit(request(drawing(20, 10))))
    assert result.width == 20
    with pytest.raises(ClientError, match="line_width_px"):
        client.wait(client.submit(request(line_width_px=99)))


def test_asking_for_what_the_server_can_do(client: Client) -> None:
    client.ask()
    events = pump_until(client, lambda events: any(isinstance(e, InfoChanged) for e in events))
    assert client.info is not None
    assert client.info.palettes[0].name == "kugler"
    assert not client.info.answers("Cutout")
    assert all(isinstance(event, InfoChanged) for event in events)


def test_a_cutout_is_refused_in_words_while_the_server_lacks_it(client: Client) -> None:
    error = _ended(client, client.submit(CutoutRequest(drawing()))).error
    assert error is not None
    assert error.kind is Kind.NOT_SUPPORTED


def test_a_cutout_comes_back_as_alpha_and_colours() -> None:
    from douga_proto.v1 import douga_pb2 as pb
    from douga_proto.v1 import image_pb2

    def answer(asked: Any, context: Any) -> Any:
        if isinstance(asked, pb.GetCapabilitiesRequest):
            return pb.GetCapabilitiesResponse(version="0.1.0", calls=["Cutout"])
        list(asked)
        header = {"width": 2, "height": 1, "encoding": image_pb2.PIXEL_ENCODING_RAW}
        result = pb.CutoutResult(
            alpha=image_pb2.ImageHeader(layout=image_pb2.PIXEL_LAYOUT_GRAY8, encoded_bytes=2, **header),
            colors=image_pb2.ImageHeader(layout=image_pb2.PIXEL_LAYOUT_RGB8, encoded_bytes=6, **header),
        )
        return iter(
            [
                pb.CutoutResponse(result=result),
                pb.CutoutResponse(chunk=image_pb2.Chunk(plane=image_pb2.PLANE_ALPHA, data=b"\1\2")),
                pb.CutoutResponse(chunk=image_pb2.Chunk(plane=image_pb2.PLANE_COLORS, data=b"abcdef")),
            ]
        )

    with scripted(answer) as target:
        client = GrpcClient(Known(target))
        cut = client.wait(client.submit(CutoutRequest(drawing(2, 1))), 20)
        assert (bytes(cut.alpha), bytes(cut.colors)) == (b"\1\2", b"abcdef")  # type: ignore[union-attr]
        client.close()


@pytest.mark.parametrize(
    "hostile",
    [
        "empty",
        "unannounced",
        "too many bytes",
        "another size",
        "huge",
        "another plane",
        "cut short",
        "nonsense",
    ],
)
def test_an_answer_that_makes_no_sense_ends_in_one_sentence(hostile: str) -> None:
    from douga_proto.v1 import douga_pb2 as pb
    from douga_proto.v1 import image_pb2

    def header(width: int = 4, encoded: int = 4) -> Any:
        return image_pb2.ImageHeader(
            width=width,
            height=1,
            layout=image_pb2.PIXEL_LAYOUT_GRAY8,
            encoding=image_pb2.PIXEL_ENCODING_PNG if hostile == "nonsense" else image_pb2.PIXEL_ENCODING_RAW,
            encoded_bytes=encoded,
        )

    def answer(asked: Any, context: Any) -> Any:
        if isinstance(asked, pb.GetCapabilitiesRequest):
            return pb.GetCapabilitiesResponse(version="0.1.0", calls=["Reconstruct"])
        list(asked)
        second = header(8, 8) if hostile == "another size" else header(4, 1 << 40 if hostile == "huge" else 4)
        result = [pb.ReconstructResponse(result=pb.ReconstructResult(cel_mask=header(), class_map=second))]
        plane = image_pb2.PLANE_ALPHA if hostile == "another plane" else image_pb2.PLANE_CEL_MASK
        data = b"x" * (9 if hostile == "too many bytes" else 4)
        chunks = [
            pb.ReconstructResponse(chunk=image_pb2.Chunk(plane=plane, data=data)),
            pb.ReconstructResponse(chunk=image_pb2.Chunk(plane=image_pb2.PLANE_CLASS_MAP, data=b"abcd")),
        ]
        parts = {"empty": [], "unannounced": chunks, "cut short": result + chunks[:1]}
        return iter(parts.get(hostile, result + chunks))

    with scripted(answer) as target:
        client = GrpcClient(Known(target))
        error = _ended(client, client.submit(request(drawing(4, 1)))).error
        client.close()
    assert error is not None
    assert error.kind is Kind.OTHER_VERSION


def test_a_full_queue_is_waited_for() -> None:
    import grpc
    from douga_proto.v1 import douga_pb2 as pb

    tries: list[float] = []

    def answer(asked: Any, context: Any) -> Any:
        if isinstance(asked, pb.GetCapabilitiesRequest):
            return pb.GetCapabilitiesResponse(version="0.1.0", calls=["Reconstruct"])
        tries.append(time.monotonic())
        context.set_trailing_metadata((("retry-after-ms", "300"),))
        full = len(tries) < 3
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED if full else grpc.StatusCode.INVALID_ARGUMENT, "so")
        return iter(())

    with scripted(answer) as target:
        client = GrpcClient(Known(target))
        error = _ended(client, client.submit(request())).error
        client.close()
    assert error is not None
    assert error.kind is Kind.BAD_REQUEST
    assert [later - first > 0.25 for first, later in pairwise(tries)] == [True, True]


def test_a_server_that_starts_anew_after_a_long_queue_is_waited_for_from_then_on() -> None:
    """Each kind of trouble has a patience of its own: the time in the queue is not the new server's."""
    import grpc
    from douga_proto.v1 import douga_pb2 as pb

    troubles = [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE]
    tries: list[float] = []
    waited_s = 0.0

    def answer(asked: Any, context: Any) -> Any:
        if isinstance(asked, pb.GetCapabilitiesRequest):
            return pb.GetCapabilitiesResponse(version="0.1.0", calls=["Reconstruct"])
        tries.append(time.monotonic())
        context.set_trailing_metadata((("retry-after-ms", "100"),))
        code = troubles[len(tries) - 1] if len(tries) <= len(troubles) else grpc.StatusCode.INVALID_ARGUMENT
        context.abort(code, "so")
        return iter(())

    with scripted(answer) as target:
        client = GrpcClient(Known(target), clock=lambda: time.monotonic() + waited_s)
        job = client.submit(request())
        pump_until(client, lambda _: bool(tries) and job.stage == "waiting")
        waited_s = 300.0
        error = _ended(client, job).error
        client.close()
    assert error is not None
    assert (error.kind, len(tries)) == (Kind.BAD_REQUEST, 3)


def test_a_server_that_is_busy_after_loading_for_long_is_waited_for() -> None:
    import grpc
    from douga_proto.v1 import douga_pb2 as pb

    troubles = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED]
    greetings: list[Any] = []
    waited_s = 0.0

    def answer(asked: Any, context: Any) -> Any:
        context.set_trailing_metadata((("retry-after-ms", "100"),))
        if not isinstance(asked, pb.GetCapabilitiesRequest):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "so")
        greetings.append(asked)
        if len(greetings) <= len(troubles):
            context.abort(troubles[len(greetings) - 1], "so")
        return pb.GetCapabilitiesResponse(version="0.1.0", calls=["Reconstruct"])

    with scripted(answer) as target:
        client = GrpcClient(Known(target), clock=lambda: time.monotonic() + waited_s)
        job = client.submit(request())
        pump_until(client, lambda _: bool(greetings) and job.stage == "finding")
        waited_s = 100.0  # longer than anybody waits for a busy server, shorter than for one that loads
        error = _ended(client, job).error
        client.close()
    assert error is not None
    assert (error.kind, len(greetings)) == (Kind.BAD_REQUEST, 3)


def test_a_server_of_another_version_is_told_as_such() -> None:
    from douga_proto.v1 import douga_pb2 as pb

    with scripted(lambda *_: pb.GetCapabilitiesResponse(version="9.1.0")) as target:
        client = GrpcClient(Known(target))
        error, again = (_ended(client, client.submit(request())).error for _ in range(2))
        client.close()
    assert error is not None
    assert again is not None
    assert (error.kind, error.mend) == (Kind.OTHER_VERSION, Mend.COMMAND)
    assert again.kind is Kind.OTHER_VERSION  # nothing is sent to it the second time either
    assert "it is 9.1.0, the plugin 0.1.0" in error.text()
    assert error.command("blender").endswith("douga plugin install blender")


def test_a_server_elsewhere_that_is_not_there_is_not_offered_to_be_started(tmp_path: Path) -> None:
    client = open_client(Settings(server=f"unix:{tmp_path / 'nobody.sock'}"))
    error = _ended(client, client.submit(request())).error
    client.close()
    assert error is not None
    assert (error.kind, error.mend) == (Kind.NO_SERVER, Mend.RETRY)


def test_a_server_that_was_killed_and_comes_back_is_found_again(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--address", "127.0.0.1:0") as first:
        first.hold.touch()
        client = open_client(Settings(server=first.address, token=first.token))
        job = client.submit(request())
        pump_until(client, lambda _: job.stage == "queued")
        token = tmp_path / "token"
        token.write_text(first.token)
        address = first.address
        first.kill()
    first.hold.unlink()
    for _ in range(60):
        client.pump()
        time.sleep(0.01)
    assert not job.is_done
    with ServerProcess(tmp_path, "--address", address, "--token-file", str(token)):
        assert result_of(_ended(client, job)).width == 64
    client.close()


def test_a_server_that_was_never_there_is_told_at_once() -> None:
    client = open_client(Settings(server="127.0.0.1:1"))
    job, other = client.submit(request()), client.submit(request())
    begun_s = time.monotonic()
    events = pump_until(client, done(job, other))
    assert time.monotonic() - begun_s < 5
    assert [type(event) for event in events if not isinstance(event, Progress)] == [Failed, Failed]
    assert job.error is not None
    assert job.error.kind is Kind.NO_SERVER
    client.close()


def test_a_server_that_still_loads_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    with ServerProcess(tmp_path, "--address", "127.0.0.1:0", hold_loading=True) as server:
        client = open_client(Settings(server=server.address, token=server.token))
        job = client.submit(request())
        for _ in range(60):
            client.pump()
            time.sleep(0.01)
        assert not job.is_done
        server.hold.unlink()
        assert result_of(_ended(client, job)).width == 64
        client.close()


def test_a_connection_that_idled_too_long_is_made_anew(client: GrpcClient) -> None:
    assert result_of(_ended(client, client.submit(request()))).width == 64
    connection = client._link.connection
    assert connection is not None
    stream = connection._transport._socket
    assert stream is not None
    stream.shutdown(socket.SHUT_RDWR)  # as when a server has heard nothing for a while
    assert result_of(_ended(client, client.submit(request()))).width == 64


def test_nothing_connects_before_there_is_a_job() -> None:
    class Loud(Finder):
        def find(self, *, may_start: bool) -> Target:
            raise AssertionError("nobody asked")

    client = GrpcClient(Loud())
    assert client.pump() == []
    assert client.pause_s >= 0.5
    client.close()


@pytest.mark.parametrize(
    "wrong",
    [(0, 1, "RGB8", b""), (2, 2, "RGB8", b"x"), (1, 1, "CMYK8", b"abcd"), (1, -1, "GRAY8", b"")],
)
def test_pixels_that_are_none(wrong: tuple[int, int, str, bytes]) -> None:
    with pytest.raises(ClientError) as caught:
        Pixels(*wrong)
    assert caught.value.kind is Kind.BAD_REQUEST


def test_too_large_a_frame_is_not_even_sent(client: Client) -> None:
    error = _ended(client, client.submit(request(Pixels(20000, 1, "GRAY8", bytes(20000))))).error
    assert error is not None
    assert error.kind is Kind.TOO_LARGE


def test_every_kind_and_stage_has_its_words_in_both_languages() -> None:
    for kind in Kind:
        error = ClientError(kind, address="A", said="S", path="P", python="Y", log="L", seconds="1")
        assert "{" not in error.text() + error.text("ja") + error.command()
        assert error.text() != error.text("ja")
        assert "?" not in error.text().replace("?", "", 0) or kind is Kind.BUG
        assert bool(error.mend.value) == bool(button(error.mend, "ja"))
    assert len({stage_title(stage, "ja") for stage in STAGES}) == len(STAGES)


def test_a_bar_only_ever_grows() -> None:
    job, before = Job(1, request()), -1.0
    for stage in STAGES:
        for share in (0.0, 0.5, 1.0):
            job.stage, job.share = stage, share
            assert 0 <= job.overall_share <= 1
            assert job.overall_share >= before
            before = job.overall_share


# -- the fake --------------------------------------------------------------------------------------------


def test_the_fake_answers_as_the_server_would() -> None:
    fake, pixels = FakeClient(), drawing(16, 12)
    job = fake.submit(request(pixels))
    events: list[Event] = fake.pump()
    assert [type(event) for event in events] == [Progress, Progress, Finished]
    assert bytes(result_of(job).cel_mask) == expected_mask(pixels)
    assert result_of(job).class_map.count(1) == 4 * 3
    assert fake.info == FAKE_INFO


def test_the_fake_can_be_held_fail_and_be_cancelled() -> None:
    fake = FakeClient()
    fake.is_held = True
    job, other = fake.submit(request()), fake.submit(request())
    assert fake.pump() == []
    fake.cancel(job)
    (end,) = fake.pump()
    assert isinstance(end, Failed)
    assert end.error.kind is Kind.CANCELLED
    fake.is_held, fake.trouble = False, ClientError(Kind.NO_SERVER, address="x")
    (end,) = fake.pump()
    assert isinstance(end, Failed)
    assert end.job is other
