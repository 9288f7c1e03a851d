"""Cutouts over the wire: by our client, by messages that no client of ours sends, by the command line."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
import torch
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2
from douga_server.backends.local import LocalBackend
from douga_server.batcher import QueueLimits
from douga_server.client import Client
from douga_server.client_calls import Patience
from douga_server.client_errors import BusyError, ServerError
from douga_server.codec_cutout import CutoutAnswerReader, cutout_requests, cutout_responses, pack_cutout
from douga_server.connection import ServerAddress
from douga_server.fakes import FAKE_MODELS, FakeStages, FakeStore
from douga_server.front import FrontOptions
from douga_server.jobs import CutoutAnswer, ModelUse, Progress, Stage
from douga_server.limits import Limits
from douga_server.models import ModelStore, find_cutout_model
from douga_server.options import ServiceOptions
from douga_server.pixels import Encoding
from fronts import Running, drawing, running
from serving import LiveServer

from douga.alpha import find_alpha
from douga.checkpoint import WeightsInfo, save_network
from douga.cli import main
from douga.cutout import Cutout, cut_out
from douga.cutout_weights import load_cutout_network
from douga.errors import DougaError, InputError
from douga.frame_io import read_frame
from douga.networks.gcn import Gcn, GcnConfig
from douga.types import Frame

EXAMPLE = Path(__file__).parents[2] / "examples" / "frame.png"
CUTOUT_MODEL = next(model for model in FAKE_MODELS if model.stage == "cutout")


def fake_cutout(frame: Frame) -> Cutout:
    return cut_out(FakeStages().find_alpha(frame, CUTOUT_MODEL, lambda share: None))


def assert_same(answer: CutoutAnswer, cutout: Cutout) -> None:
    np.testing.assert_array_equal(answer.alpha, np.rint(cutout.alpha * 255))
    np.testing.assert_array_equal(answer.colours, np.rint(cutout.colours * 255))


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with LiveServer() as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> Iterator[Client]:
    with Client(ServerAddress(server.address)) as client:
        yield client


@asynccontextmanager
async def answering() -> AsyncIterator[Running]:
    """A front whose backend works, on the loop of the test."""
    backend = LocalBackend(FakeStore())
    async with running(backend=backend) as server:
        yield server
    await backend.close()


# -- by our client -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", list(Encoding))
def test_every_packing_gives_the_same_cutout(server: LiveServer, encoding: Encoding) -> None:
    frame = drawing()
    with Client(ServerAddress(server.address), encoding=encoding) as client:
        answer = client.cutout(frame)
    assert_same(answer, fake_cutout(frame))
    assert answer.models == (ModelUse("cutout", "fake-cutout", "a" * 64),)
    assert answer.device == "cpu"
    assert set(answer.seconds) == {Stage.CEL, Stage.CLEANING, Stage.PACKING}


def test_progress_is_told_in_order(client: Client) -> None:
    told: list[Progress] = []
    client.cutout(drawing(), on_progress=told.append)
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages == [Stage.QUEUED, Stage.CEL, Stage.CLEANING, Stage.PACKING]
    for stage in stages:
        shares = [progress.share for progress in told if progress.stage is stage]
        assert shares == sorted(shares)


def test_capabilities_list_the_call_where_there_are_weights(client: Client) -> None:
    info = client.capabilities()
    assert "Cutout" in info.calls
    assert [model.name for model in info.description.models if model.stage == "cutout"] == ["fake-cutout"]


def test_alpha_in_the_frame_is_told(client: Client) -> None:
    plane = np.full((6, 8, 4), 90, np.uint8)

    async def play() -> CutoutAnswer:
        async with answering() as server:
            start = start_message(6, 8, layout=image_pb2.PIXEL_LAYOUT_RGBA8)
            chunk = image_pb2.Chunk(plane=image_pb2.PLANE_FRAME, data=plane.tobytes())
            reader = CutoutAnswerReader()
            messages = [pb.CutoutRequest(start=start), pb.CutoutRequest(chunk=chunk)]
            async for response in server.stub.Cutout(each(messages)):
                reader.add(response)
            return reader.finish()

    answer = asyncio.run(play())
    assert answer.warnings == ("transparent parts laid over white; a frame has no alpha",)


def test_many_calls_of_both_kinds_at_once(server: LiveServer) -> None:
    frames = [drawing(40 + n, 64) for n in range(6)]
    with Client(ServerAddress(server.address)) as client:
        cuts = [client.send_cutout(frame) for frame in frames]
        parts = [client.send(frame) for frame in frames]
        for frame, cut, apart in zip(frames, cuts, parts, strict=True):
            assert_same(cut.result(), fake_cutout(frame))
            assert apart.result().answer.classes.ids.shape == frame.size_hw


def test_an_unknown_model_is_the_frames_fault(client: Client) -> None:
    with pytest.raises(InputError, match="no such model 'best' for stage 'cutout'; this server has fake-cut"):
        client.cutout(drawing(), "best")


def test_a_deadline_is_kept() -> None:
    slow = LocalBackend(FakeStore(steps=400, step_s=0.05))
    with (
        LiveServer(backend=slow) as live,
        Client(ServerAddress(live.address), timeout_s=0.5) as client,
        pytest.raises(ServerError, match="in time"),
    ):
        client.cutout(drawing())


def test_a_full_queue_says_when_to_come_again() -> None:
    slow = LocalBackend(FakeStore(steps=40, step_s=0.05))
    with (
        LiveServer(backend=slow, queue=QueueLimits(max_queued=1)) as live,
        Client(ServerAddress(live.address), patience=Patience(busy_s=0)) as client,
    ):
        calls = [client.send_cutout(drawing()) for _ in range(8)]
        outcomes = [_outcome(call.result) for call in calls]
    assert any(isinstance(outcome, BusyError) for outcome in outcomes)
    assert any(isinstance(outcome, CutoutAnswer) for outcome in outcomes)


def test_who_stops_listening_stops_the_work(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    slow = LocalBackend(FakeStore(steps=1000, step_s=0.01, journal=journal))

    class Enough(Exception):
        """The caller's own."""

    def stop(progress: Progress) -> None:
        if progress.stage is Stage.CEL and progress.share > 0:
            raise Enough

    with (
        LiveServer(backend=slow) as live,
        Client(ServerAddress(live.address)) as client,
        pytest.raises(Enough),
    ):
        client.cutout(drawing(), on_progress=stop)
    steps = len(journal.read_text().splitlines())
    assert steps < 500


def _outcome(result: Callable[[], CutoutAnswer]) -> CutoutAnswer | DougaError:
    try:
        return result()
    except DougaError as error:
        return error


# -- real weights --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for cutouts as training saves it: it has learned nothing."""
    config = GcnConfig(classes=1, kernel_size=5, width=8, context_px=64, detail_width=8)
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    save_network(path, Gcn(config), WeightsInfo("cutout", config, "color", 1))
    return path


def small_frame() -> Frame:
    return Frame(cv2.resize(read_frame(EXAMPLE).rgb, (480, 270), interpolation=cv2.INTER_AREA), "frame")


def test_real_weights_give_the_same_bytes_here_and_there(weights: Path) -> None:
    frame = small_frame()
    store = ModelStore(device="cpu", cutout=(str(weights),))
    with LiveServer(backend=LocalBackend(store)) as live, Client(ServerAddress(live.address)) as client:
        soft, hard = client.cutout(frame), client.cutout(frame, "cel-small")
        assert "Cutout" in client.capabilities().calls
    assert_same(soft, cut_out(find_alpha(frame, load_cutout_network(str(weights), "cpu"))))
    assert_same(hard, cut_out(find_alpha(frame, load_cutout_network("cel-small", "cpu"))))
    assert [(use.stage, use.name) for use in (*soft.models, *hard.models)] == [
        ("cutout", "own"),
        ("cel", "cel-small"),
    ]


def test_without_weights_the_call_is_not_listed_and_says_how_to_have_it() -> None:
    store = ModelStore(device="cpu")
    with LiveServer(backend=LocalBackend(store)) as live, Client(ServerAddress(live.address)) as client:
        assert "Cutout" not in client.capabilities().calls
        with pytest.raises(InputError, match="no weights for cutouts; start it with --weights-cutout"):
            client.cutout(drawing())


def test_models_for_cutouts_are_asked_for_by_name() -> None:
    assert find_cutout_model(FAKE_MODELS, "") == CUTOUT_MODEL
    assert find_cutout_model(FAKE_MODELS, "fake-cutout") == CUTOUT_MODEL
    assert find_cutout_model(FAKE_MODELS, "fake-cel").stage == "cel"
    for name in ("fake-lines", "nobody"):
        with pytest.raises(InputError, match="for stage 'cutout'"):
            find_cutout_model(FAKE_MODELS, name)


# -- what no client of ours sends ----------------------------------------------------------------------------


def start_message(height: int = 6, width: int = 8, **header: Any) -> pb.CutoutStart:
    fields = {
        "width": width,
        "height": height,
        "layout": image_pb2.PIXEL_LAYOUT_RGB8,
        "encoding": image_pb2.PIXEL_ENCODING_RAW,
    }
    fields |= header
    channels = {1: 1, 2: 3}.get(fields["layout"], 4)
    fields.setdefault("encoded_bytes", height * width * channels)
    return pb.CutoutStart(frame=image_pb2.ImageHeader(**fields))


async def each(messages: Any) -> Any:
    for message in messages:
        yield message


def started(**header: Any) -> pb.CutoutRequest:
    return pb.CutoutRequest(start=start_message(**header))


def chunk(size: int, plane: int = image_pb2.PLANE_FRAME) -> pb.CutoutRequest:
    return pb.CutoutRequest(chunk=image_pb2.Chunk(plane=plane, data=bytes(size)))  # type: ignore[arg-type]


def with_start(**fields: Any) -> pb.CutoutRequest:
    start = start_message()
    start.MergeFrom(pb.CutoutStart(**fields))
    return pb.CutoutRequest(start=start)


HOSTILE: dict[str, tuple[list[pb.CutoutRequest], str]] = {
    "nothing": ([], "ended without a start"),
    "chunk first": ([chunk(144)], "before start"),
    "two starts": ([started(), started()], "a second start"),
    "empty message": ([pb.CutoutRequest()], "neither start nor chunk"),
    "no frame": ([pb.CutoutRequest(start=pb.CutoutStart())], "no frame is announced"),
    "too few bytes": ([started(), chunk(100)], "had 100 of its 144 bytes"),
    "too many bytes": ([started(), chunk(145)], "announce them all or send fewer"),
    "another plane": ([started(), chunk(144, image_pb2.PLANE_CEL_MASK)], "a chunk of the cel mask"),
    "one more": ([started(), chunk(144), chunk(1)], "after everything that was announced"),
    "grey": ([started(layout=image_pb2.PIXEL_LAYOUT_GRAY8), chunk(48)], "announced as GRAY8"),
    "no layout": ([started(layout=0)], "unknown layout 0"),
    "no pixels": ([started(width=0)], "0 x 6"),
    "a lying raw size": ([started(encoded_bytes=7)], "has 144 bytes"),
    "no zstd": (
        [started(encoding=image_pb2.PIXEL_ENCODING_ZSTD, encoded_bytes=50), chunk(50)],
        "is announced as ZSTD but is none",
    ),
    "no png": ([started(encoding=image_pb2.PIXEL_ENCODING_PNG, encoded_bytes=50), chunk(50)], "PNG"),
    "deadline class": ([with_start(deadline_class=9)], "unknown deadline_class 9"),
    "model": ([with_start(model="../../etc/passwd")], "expected at most 64 letters"),
    "call id": ([with_start(call_id="a b")], "expected at most 64 letters"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_cannot_be_used_is_refused_in_words_and_the_next_call_succeeds(case: str) -> None:
    messages, says = HOSTILE[case]

    async def play() -> None:
        async with answering() as server:
            error = await server.status_of(messages, "Cutout")
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
            assert re.search(says, error.details()), error.details()
            answer = CutoutAnswerReader()
            async for response in server.stub.Cutout(each(cutout_requests(drawing()))):
                answer.add(response)
            assert_same(answer.finish(), fake_cutout(drawing()))
            assert server.front.bytes_held == 0
            assert [record.code for record in server.records] == ["INVALID_ARGUMENT", "OK"]

    asyncio.run(play())


def test_a_frame_beyond_the_limits_is_refused_before_its_bytes() -> None:
    options = FrontOptions(service=ServiceOptions(limits=Limits(max_pixels=100)))

    async def play() -> None:
        async with running(options=options) as server:
            error = await server.status_of([started(width=20, height=20)], "Cutout")
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    asyncio.run(play())


def test_while_it_loads_callers_are_told_to_wait() -> None:
    async def play() -> None:
        async with running(ready=False) as server:
            error = await server.status_of(cutout_requests(drawing()), "Cutout")
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert "still loads" in error.details()

    asyncio.run(play())


def test_the_record_of_a_call_has_its_stages() -> None:
    async def play() -> None:
        async with answering() as server:
            async for _ in server.stub.Cutout(each(cutout_requests(drawing(), call_id="c1"))):
                pass
            (record,) = server.records
            assert (record.method.rpartition("/")[2], record.call_id, record.frames) == ("Cutout", "c1", 1)
            assert record.size_wh == drawing().size_hw[::-1]
            assert set(record.stage_s) == {"queued", "cel", "cleaning", "packing"}
            assert record.bytes_out > 0

    asyncio.run(play())


# -- what no server of ours answers --------------------------------------------------------------------------


def an_answer(height: int = 4, width: int = 5) -> CutoutAnswer:
    rng = np.random.default_rng(2)
    planes = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
    alpha, colours = np.ascontiguousarray(planes[..., 3]), np.ascontiguousarray(planes[..., :3])
    return CutoutAnswer(alpha, colours, (), "cpu", ("told",), {Stage.CEL: 0.5})


def test_an_answer_survives_the_wire() -> None:
    reader, answer = CutoutAnswerReader(), an_answer()
    for response in cutout_responses(pack_cutout(answer), 7):
        assert reader.add(response) is None
    received = reader.finish()
    np.testing.assert_array_equal(received.alpha, answer.alpha)
    np.testing.assert_array_equal(received.colours, answer.colours)
    assert (received.warnings, received.device, received.seconds[Stage.CEL]) == (("told",), "cpu", 0.5)


def test_an_answer_that_makes_no_sense_is_refused() -> None:
    result, *chunks = cutout_responses(pack_cutout(an_answer()))
    other = pack_cutout(an_answer(9, 9)).result
    swapped = pb.CutoutResult(alpha=result.result.colors, colors=result.result.alpha)
    mixed = pb.CutoutResult(alpha=result.result.alpha, colors=other.colors)
    cases: list[tuple[list[pb.CutoutResponse], str]] = [
        ([], "without a result"),
        (chunks, "before its result"),
        ([result, result], "a second result"),
        ([pb.CutoutResponse(result=swapped)], "do not fit together"),
        ([pb.CutoutResponse(result=mixed)], "do not fit together"),
        ([result, chunks[0]], "the colours had 0 of"),
    ]
    for messages, says in cases:
        with pytest.raises(InputError, match=says):
            _read(messages)


def _read(messages: list[pb.CutoutResponse]) -> CutoutAnswer:
    reader = CutoutAnswerReader()
    for message in messages:
        reader.add(message)
    return reader.finish()


# -- by the command line -------------------------------------------------------------------------------------


def test_the_command_sends_frames_to_a_server(tmp_path: Path, server: LiveServer) -> None:
    frames = tmp_path / "in"
    frames.mkdir()
    for number in (1, 2, 3):
        assert cv2.imwrite(str(frames / f"A{number:04d}.png"), drawing(40 + number, 60).rgb[..., ::-1])
    out = tmp_path / "out"
    assert main(["cutout", str(frames), "--out", str(out), "--server", server.address, "--exr"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["run"]["weights"] == {"cutout": {"name": "fake-cutout", "sha256": "a" * 64}}
    assert manifest["run"]["device"] == "server: cpu"
    assert all("has 8 bits" in " ".join(frame["warnings"]) for frame in manifest["frames"])
    for number in (1, 2, 3):
        expected = fake_cutout(read_frame(frames / f"A{number:04d}.png"))
        rgba = cv2.imread(str(out / "cutout" / f"A{number:04d}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(rgba[..., 3], np.rint(expected.alpha * 255))
        np.testing.assert_array_equal(rgba[..., 2::-1], np.rint(expected.colours * 255))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--depth", "16"], "--depth 16: a server answers frame by frame, in 8 bits"),
        (["--stabilise"], "--stabilise: a server answers frame by frame"),
        (["--model", "best"], "no such model 'best'"),
        (["--device", "cpu"], "the server chooses its own device"),
    ],
)
def test_what_a_server_cannot_do_is_one_sentence_and_2(
    tmp_path: Path,
    server: LiveServer,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), drawing().rgb)
    command = ["cutout", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--server", server.address]
    assert main([*command, *options]) == 2
    assert says in capsys.readouterr().err


def test_a_token_without_a_server_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), drawing().rgb)
    command = ["cutout", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--token-file", "t"]
    assert main(command) == 2
    assert "--token-file says something about --server" in capsys.readouterr().err
