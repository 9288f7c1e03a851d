"""The client against real servers: our own front, and scripted ones that fail in every way there is."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import trustme
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1.douga_pb2_grpc import DougaServiceServicer
from douga_server import discovery
from douga_server.address import parse_address
from douga_server.auth import Tokens
from douga_server.batcher import QueueLimits
from douga_server.client import Client, Patience
from douga_server.client_errors import (
    BusyError,
    ContractError,
    RefusedError,
    ServerError,
    TooSlowError,
    UnreachableError,
    of_status,
)
from douga_server.codec import capabilities, pack_answer, responses
from douga_server.codec_client import Received
from douga_server.connection import ServerAddress, find_server
from douga_server.errors import SetupError
from douga_server.fakes import FAKE_MODELS
from douga_server.jobs import Answer, Description, Options, Priority, Progress, Region, Stage
from douga_server.limits import Limits
from douga_server.options import FrontOptions, ServiceOptions
from douga_server.pixels import Encoding
from serving import LiveServer, scripted_server

from douga import __version__
from douga.errors import DougaError, InputError, MissingInputError
from douga.fakes import fake_stages
from douga.pipeline import see
from douga.postprocess import clean_douga
from douga.types import CelMask, Frame

AT_ONCE = Patience(0, 0)
TOKEN = "a-token-of-enough-letters"


def _frame(name: str = "A0001", size_hw: tuple[int, int] = (48, 64)) -> Frame:
    rgb = np.full((*size_hw, 3), 255, np.uint8)
    rgb[8:40, 10:50] = 0
    rgb[11:37, 13:47] = (230, 120, int(name[-2:]))
    return Frame(rgb, name)


def _expected(frame: Frame) -> tuple[CelMask, Any]:
    seen = see(frame, fake_stages())
    return seen.cel_mask, clean_douga(seen.probabilities, frame.rgb, seen.cel_mask, line_width_px=3)


def _same(received: Received | DougaError, frame: Frame) -> bool:
    assert isinstance(received, Received), received
    mask, classes = _expected(frame)
    return bool(
        np.array_equal(received.answer.cel_mask.mask, mask.mask)
        and np.array_equal(received.answer.classes.ids, classes.ids)
    )


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer() as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> Iterator[Client]:
    with Client(ServerAddress(server.address), patience=AT_ONCE, timeout_s=30) as client:
        yield client


# -- what comes back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", list(Encoding))
def test_an_answer_is_what_the_pipeline_would_give(server: LiveServer, encoding: Encoding) -> None:
    with Client(ServerAddress(server.address), patience=AT_ONCE, encoding=encoding) as client:
        received = client.reconstruct(_frame())
    assert _same(received, _frame())
    assert received.answer.device == "cpu"
    assert {use.name for use in received.answer.models} == {"fake-cel", "fake-lines"}


def test_progress_is_told_on_the_calling_thread(client: Client) -> None:
    told: list[tuple[Progress, threading.Thread]] = []
    client.reconstruct(_frame(), on_progress=lambda p: told.append((p, threading.current_thread())))
    assert {thread for _, thread in told} == {threading.current_thread()}
    stages = [progress.stage for progress, _ in told]
    assert stages == sorted(stages, key=list(Stage).index)
    assert {Stage.QUEUED, Stage.CEL, Stage.LINES, Stage.CLEANING, Stage.PACKING} <= set(stages)


def test_what_progress_raises_ends_the_call(client: Client) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.reconstruct(_frame(), on_progress=stop)
    assert _same(client.reconstruct(_frame()), _frame())


def test_options_and_own_masks_travel(client: Client) -> None:
    mine = CelMask(np.where(np.arange(48 * 64).reshape(48, 64) < 1500, np.uint8(255), np.uint8(0)))
    received = client.reconstruct(_frame(), Options(region=Region(5, 6, 20, 30)), mine)
    np.testing.assert_array_equal(received.answer.cel_mask.mask, mine.mask[6:36, 5:25])
    assert received.answer.classes.ids.shape == (30, 20)
    assert [use.stage for use in received.answer.models] == ["lines"]


def test_capabilities(client: Client) -> None:
    info = client.capabilities()
    assert (info.version, info.description.backend) == (__version__, "local")
    assert info.description.models == FAKE_MODELS
    assert info.limits == Limits()


def test_many_calls_at_once_on_one_client(client: Client) -> None:
    frames = [_frame(f"A{n:04d}") for n in range(12)]
    calls = [client.send(frame) for frame in frames]
    assert all(_same(call.result(), call.frame) for call in calls)


def test_a_frame_that_cannot_be_is_told_as_such(client: Client) -> None:
    with pytest.raises(InputError, match=r"no such model 'kugler-1'.*fake-lines"):
        client.reconstruct(_frame(), Options(lines_model="kugler-1"))


def test_a_frame_beyond_the_limits_is_the_frames_fault() -> None:
    options = FrontOptions(service=ServiceOptions(limits=Limits(max_pixels=1000)))
    with LiveServer(options=options) as live, Client(ServerAddress(live.address)) as client:
        with pytest.raises(InputError, match="64 x 48"):
            client.reconstruct(_frame())
        small = Frame(np.full((20, 20, 3), 255, np.uint8))
        assert client.reconstruct(small).answer.classes.ids.shape == (20, 20)


# -- sequences ---------------------------------------------------------------------------------------


def test_a_sequence_comes_back_in_order(client: Client) -> None:
    frames = [_frame(f"A{n:04d}") for n in range(1, 9)]
    done = list(client.sequence(iter(frames)))
    assert [frame.name for frame, _ in done] == [frame.name for frame in frames]
    assert all(_same(received, frame) for frame, received in done)


def test_a_frame_of_a_sequence_has_its_own_error(client: Client) -> None:
    options = Options(lines_model="nobody", priority=Priority.BATCH)
    outcomes = [outcome for _, outcome in client.sequence([_frame("A0001"), _frame("A0002")], options)]
    assert [type(outcome) for outcome in outcomes] == [InputError, InputError]
    assert "nobody" in str(outcomes[1])


def test_a_sequence_takes_own_masks(client: Client) -> None:
    empty = CelMask(np.zeros((48, 64), np.uint8))
    [(_, received)] = client.sequence([_frame()], mask_of=lambda frame: empty)
    assert isinstance(received, Received)
    assert not received.answer.cel_mask.mask.any()


def test_frames_that_cannot_be_read_end_a_sequence_after_those_before_them(client: Client) -> None:
    def frames() -> Iterator[Frame]:
        yield _frame("A0001")
        raise InputError("movie.mp4 is cut short")

    outcomes = client.sequence(frames())
    assert next(outcomes)[0].name == "A0001"
    with pytest.raises(InputError, match="cut short"):
        next(outcomes)


def test_an_abandoned_sequence_lets_the_server_go(client: Client) -> None:
    endless = (_frame("A0001") for _ in iter(int, 1))
    for _ in client.sequence(endless):
        break
    assert _same(client.reconstruct(_frame()), _frame())


def test_a_sequence_goes_on_after_a_restart() -> None:
    with LiveServer() as live:
        address = live.address
        with Client(ServerAddress(address), patience=Patience(20, 20)) as client:
            frames = [_frame(f"A{n:04d}") for n in range(1, 30)]
            done = client.sequence(iter(frames))
            outcomes = [next(done), next(done)]
            live.stop()
            with LiveServer(address):
                outcomes += list(done)
    assert [frame.name for frame, _ in outcomes] == [frame.name for frame in frames]
    assert all(_same(received, frame) for frame, received in outcomes)


# -- scripted failures -------------------------------------------------------------------------------


class _Scripted(DougaServiceServicer):
    """Fails as `script` says, one entry a call, and answers after that. requests: of every call."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.requests: list[list[Any]] = []

    def Reconstruct(self, request_iterator: Any, context: Any) -> Iterator[pb.ReconstructResponse]:
        requests = list(request_iterator)
        self.requests.append(requests)
        if self.script and (step := self.script.pop(0)) is not None:
            yield from step(context)
        frame = requests[0].start.frame
        blank = np.zeros((frame.height, frame.width), np.uint8)
        mask, classes = CelMask(blank), _expected(_frame())[1]
        options = Options()
        yield from responses(pack_answer(Answer(mask, classes, (), "cpu"), options.palette, ()))

    def GetCapabilities(self, request: Any, context: Any) -> pb.GetCapabilitiesResponse:
        if self.script:
            list(self.script.pop(0)(context))
        described = Description("local", FAKE_MODELS, ("cpu",))
        return capabilities(described, Limits(), version="9.9.9", calls=("Reconstruct",))


def _abort(code: grpc.StatusCode, details: str = "no", **trailers: str) -> Any:
    def step(context: Any) -> Iterator[Any]:
        context.set_trailing_metadata(tuple((k.replace("_", "-"), v) for k, v in trailers.items()))
        context.abort(code, details)
        yield

    return step


def _begin_then(step: Any) -> Any:
    """A stage event first, after which gRPC itself tries nothing again."""

    def steps(context: Any) -> Iterator[Any]:
        yield pb.ReconstructResponse(stage=pb.StageEvent(stage=pb.STAGE_CEL, progress=0.5))
        yield from step(context)

    return steps


def test_a_large_frame_is_sent_again_by_grpc_itself() -> None:
    # Above 256 kB gRPC tries nothing again, unless it is given a larger buffer.
    script = _Scripted(_abort(grpc.StatusCode.UNAVAILABLE))
    noise = np.random.default_rng(0).integers(0, 255, (48 * 20, 64 * 20, 3), dtype=np.uint8)
    with (
        scripted_server(script) as address,
        Client(ServerAddress(address), patience=AT_ONCE) as client,
        pytest.raises(ContractError),  # the script's class map is that of the small frame
    ):
        client.reconstruct(Frame(noise), Options())
    sent = [sum(len(r.chunk.data) for r in requests) for requests in script.requests]
    assert len(sent) == 2
    assert sent[0] == sent[1] > 2_000_000


def test_a_call_that_is_lost_half_way_is_made_again_under_another_name() -> None:
    lost = _begin_then(_abort(grpc.StatusCode.UNAVAILABLE, "the work on this frame was lost"))
    script = _Scripted(lost, _begin_then(_abort(grpc.StatusCode.ALREADY_EXISTS)), lost)
    with scripted_server(script) as address, Client(ServerAddress(address)) as client:
        client.reconstruct(_frame())
    names = [requests[0].start.call_id for requests in script.requests]
    assert len(set(names)) == 4


def test_patience_has_an_end() -> None:
    lost = _begin_then(_abort(grpc.StatusCode.UNAVAILABLE, "the work on this frame was lost"))
    script = _Scripted(*[lost] * 100)
    with (
        scripted_server(script) as address,
        Client(ServerAddress(address), patience=Patience(1.0, 1.0)) as client,
        pytest.raises(UnreachableError, match="lost"),
    ):
        client.reconstruct(_frame())
    assert 3 <= len(script.requests) < 20


def test_a_full_queue_is_asked_again_when_it_says() -> None:
    full = _abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full", retry_after_ms="300")
    script = _Scripted(full, full)
    with scripted_server(script) as address, Client(ServerAddress(address)) as client:
        begun_s = time.monotonic()
        client.reconstruct(_frame())
    assert time.monotonic() - begun_s >= 0.6
    assert len(script.requests) == 3


def test_grpcs_own_bound_counts_as_a_full_queue() -> None:
    script = _Scripted(_abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"))
    with scripted_server(script) as address, Client(ServerAddress(address)) as client:
        client.reconstruct(_frame())
    assert len(script.requests) == 2


def test_who_has_no_patience_is_told_of_the_full_queue() -> None:
    full = _abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full", retry_after_ms="99999999")
    with (
        scripted_server(_Scripted(full)) as address,
        Client(ServerAddress(address), patience=AT_ONCE) as client,
        pytest.raises(BusyError, match="takes no frames now: the queue is full") as raised,
    ):
        client.reconstruct(_frame())
    assert raised.value.retry_after_ms == 30_000  # no server sends us away for a day


def test_a_deadline_is_kept_and_not_tried_again() -> None:
    def sleep(context: Any) -> Iterator[Any]:
        time.sleep(1.5)
        yield from ()

    script = _Scripted(_begin_then(sleep))
    with (
        scripted_server(script) as address,
        Client(ServerAddress(address), timeout_s=0.3) as client,
        pytest.raises(TooSlowError, match="in time"),
    ):
        client.reconstruct(_frame())
    assert len(script.requests) == 1


def test_hurry_ends_the_waiting_for_another_try() -> None:
    lost = _begin_then(_abort(grpc.StatusCode.UNAVAILABLE, "gone"))
    with (
        scripted_server(_Scripted(*[lost] * 1000)) as address,
        Client(ServerAddress(address), patience=Patience(300, 300)) as client,
    ):
        threading.Timer(0.3, client.hurry).start()
        with pytest.raises(UnreachableError):
            client.reconstruct(_frame())


def test_an_answer_that_makes_no_sense_is_the_servers_fault() -> None:
    def nonsense(context: Any) -> Iterator[Any]:
        yield pb.ReconstructResponse(chunk=pb.ReconstructRequest().chunk)

    with (
        scripted_server(_Scripted(nonsense)) as address,
        Client(ServerAddress(address)) as client,
        pytest.raises(ContractError, match="--version"),
    ):
        client.reconstruct(_frame())


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_every_status_has_its_sentence(code: grpc.StatusCode) -> None:
    error = of_status(code, "it says why", "gpu01:7610")
    assert isinstance(error, InputError | ServerError)
    assert "gpu01:7610" in str(error) or isinstance(error, InputError)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InputError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, InputError),  # without a time to come back: too large
        (grpc.StatusCode.UNIMPLEMENTED, ContractError),
        (grpc.StatusCode.UNAUTHENTICATED, RefusedError),
        (grpc.StatusCode.INTERNAL, ServerError),
        (grpc.StatusCode.UNKNOWN, ServerError),
    ],
)
def test_what_will_not_pass_is_not_tried_again(code: grpc.StatusCode, kind: type[DougaError]) -> None:
    script = _Scripted(_abort(code, "it says why"))
    with (
        scripted_server(script) as address,
        Client(ServerAddress(address)) as client,
        pytest.raises(kind) as raised,
    ):
        client.reconstruct(_frame())
    assert type(raised.value) is kind
    assert len(script.requests) == 1


def test_a_server_without_our_contract_is_named() -> None:
    with (
        scripted_server(DougaServiceServicer()) as address,
        Client(ServerAddress(address)) as client,
        pytest.raises(ContractError, match="version"),
    ):
        client.capabilities()


# -- finding the way ---------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/nowhere/douga.sock"])
def test_nobody_there_is_told_at_once_with_the_mend(address: str) -> None:
    begun_s = time.monotonic()
    with Client(ServerAddress(address)) as client, pytest.raises(UnreachableError, match="douga serve"):
        client.capabilities()
    assert time.monotonic() - begun_s < 10


def test_a_loading_server_is_waited_for() -> None:
    with LiveServer(ready=False) as live, Client(ServerAddress(live.address)) as client:
        threading.Timer(0.5, live.get_ready).start()
        assert client.capabilities().description.models == FAKE_MODELS


def test_a_closed_client_says_so(server: LiveServer) -> None:
    client = Client(ServerAddress(server.address))
    client.close()
    with pytest.raises(ServerError, match="closed"):
        client.reconstruct(_frame())


@pytest.mark.parametrize(
    "address", ["", "gpu01", "gpu01:", ":7610", "gpu01:port", "http://gpu01:7610/x", "unix:"]
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(InputError, match=r"HOST:PORT|unix:PATH"):
        ServerAddress(address)


def test_only_this_machine_is_spoken_to_in_the_clear() -> None:
    assert not ServerAddress("127.0.0.1:7610").is_secure
    assert not ServerAddress("localhost:7610").is_secure
    assert not ServerAddress("unix:/tmp/x.sock").is_secure
    assert ServerAddress("gpu01:7610").is_secure
    assert ServerAddress("10.0.0.7:7610").is_secure
    assert ServerAddress("127.0.0.1:7610", tls_ca=Path("ca.pem")).is_secure


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"ca\.pem"):
        Client(ServerAddress("gpu01:7610", tls_ca=tmp_path / "ca.pem"))
    with (
        pytest.raises(SetupError, match="token"),
        Client(ServerAddress("127.0.0.1:1", token_file=tmp_path / "token")) as client,
    ):
        client.capabilities()
    with pytest.raises(InputError, match="--tls-key"):
        ServerAddress("gpu01:7610", tls_cert=tmp_path / "cert.pem")
    with pytest.raises(InputError, match="Unix socket"):
        ServerAddress("unix:/tmp/x.sock", tls_ca=tmp_path / "ca.pem")


def test_a_unix_socket(tmp_path: Path) -> None:
    with LiveServer(f"unix:{tmp_path / 's'}") as live, Client(ServerAddress(live.address)) as client:
        assert _same(client.reconstruct(_frame()), _frame())


def test_tokens(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-token-that-is-wrong-here\n")
    with LiveServer(tokens=Tokens([TOKEN])) as live:
        with (
            Client(ServerAddress(live.address)) as client,
            pytest.raises(RefusedError, match="--token-file"),
        ):
            client.capabilities()
        with Client(ServerAddress(live.address, token_file=file)) as client:
            with pytest.raises(RefusedError, match="does not accept"):
                client.reconstruct(_frame())
            file.write_text(f"{TOKEN}\n")
            assert _same(client.reconstruct(_frame()), _frame())


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(ServerAddress("127.0.0.1:1", token=TOKEN))


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    files = {}
    for authority in ("ca", "other"):
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / f"{authority}.pem")
        cert = ca.issue_cert("localhost", "127.0.0.1")
        cert.private_key_pem.write_to_path(folder / f"{authority}-key.pem")
        cert.cert_chain_pems[0].write_to_path(folder / f"{authority}-cert.pem")
        for kind in ("", "-key", "-cert"):
            files[authority + kind] = folder / f"{authority}{kind}.pem"
    return files


def _credentials(pems: dict[str, Path], *, mutual: bool = False) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(pems["ca-key"].read_bytes(), pems["ca-cert"].read_bytes())],
        root_certificates=pems["ca"].read_bytes() if mutual else None,
        require_client_auth=mutual,
    )


def test_tls(pems: dict[str, Path]) -> None:
    with LiveServer(credentials=_credentials(pems)) as live:
        with Client(ServerAddress(live.address, tls_ca=pems["ca"])) as client:
            assert _same(client.reconstruct(_frame()), _frame())
        with (
            Client(ServerAddress(live.address, tls_ca=pems["other"])) as client,
            pytest.raises(RefusedError, match="--tls-ca"),
        ):
            client.capabilities()


def test_tls_with_a_certificate_of_ones_own(pems: dict[str, Path]) -> None:
    with LiveServer(credentials=_credentials(pems, mutual=True)) as live:
        with Client(ServerAddress(live.address, None, pems["ca"], pems["ca-cert"], pems["ca-key"])) as client:
            assert _same(client.reconstruct(_frame()), _frame())
        with (
            Client(ServerAddress(live.address, tls_ca=pems["ca"]), patience=AT_ONCE) as client,
            pytest.raises(ServerError, match="--tls-cert"),
        ):
            client.capabilities()


def test_tls_where_there_is_none(pems: dict[str, Path], server: LiveServer) -> None:
    with (
        Client(ServerAddress(server.address, tls_ca=pems["ca"])) as client,
        pytest.raises(RefusedError, match="no TLS"),
    ):
        client.capabilities()


def test_no_tls_where_it_is_wanted(pems: dict[str, Path]) -> None:
    with (
        LiveServer(credentials=_credentials(pems)) as live,
        Client(ServerAddress(live.address), patience=AT_ONCE) as client,
        pytest.raises(ServerError, match="--tls-ca"),
    ):
        client.capabilities()


# -- the server of this machine ----------------------------------------------------------------------


def _announce(live: LiveServer, token: str | None) -> None:
    discovery.write(
        discovery.default_path(),
        discovery.Announcement.of(parse_address(live.address), token=token, tls=False, version=__version__),
    )


@pytest.fixture
def _own_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.usefixtures("_own_runtime_folder")
def test_the_server_of_this_machine_is_found() -> None:
    with pytest.raises(UnreachableError, match="douga serve"):
        find_server("auto")
    with LiveServer(tokens=Tokens([TOKEN])) as live:
        _announce(live, TOKEN)
        for named in ("auto", live.address):
            with Client(find_server(named)) as client:
                assert _same(client.reconstruct(_frame()), _frame())
        assert not find_server("127.0.0.1:1").has_token


@pytest.mark.usefixtures("_own_runtime_folder")
def test_the_server_of_this_machine_is_followed_when_it_is_started_anew() -> None:
    with LiveServer(tokens=Tokens([TOKEN])) as first:
        _announce(first, TOKEN)
        client = Client(find_server("auto"))
        assert _same(client.reconstruct(_frame()), _frame())
    with LiveServer(tokens=Tokens([TOKEN[::-1]])) as second:
        threading.Timer(0.5, lambda: _announce(second, TOKEN[::-1])).start()
        assert _same(client.reconstruct(_frame()), _frame())
    client.close()


def test_a_busy_server_serves_everybody_in_the_end() -> None:
    with LiveServer(queue=QueueLimits(max_queued=1)) as live, Client(ServerAddress(live.address)) as client:
        frames = [_frame(f"A{n:04d}") for n in range(8)]
        calls = [client.send(frame) for frame in frames]
        threads = [threading.Thread(target=lambda c=call: done.append(c.result())) for call in calls]
        done: list[Received] = []
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(done) == 8
