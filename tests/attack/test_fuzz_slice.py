"""A short slice of `make fuzz`, and what hypothesis makes of the same targets. Always the same inputs."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fuzz_calls
import grpc
import mutation
import pytest
from douga_proto.v1 import douga_pb2 as pb
from douga_proto.v1 import image_pb2, palette_pb2
from douga_server.codec import ReconstructReader
from douga_server.limits import LimitError
from fuzz_calls import EXPECTED, fuzz
from hostile import HERE, Target, attacked, serving_unix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from douga.errors import InputError

SLICE = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
any_number = st.integers(0, 2**32 - 1)
near = st.integers(0, 40) | any_number
enum = st.integers(-1, 6) | st.integers(-(2**31), 2**31 - 1)
text = st.sampled_from(["", "a", "kugler", "retas", "color", "shot-1"]) | st.text(max_size=80)
headers = st.builds(
    image_pb2.ImageHeader,
    width=near,
    height=near,
    layout=enum,
    encoding=enum,
    encoded_bytes=st.integers(0, 5000) | st.integers(0, 2**64 - 1),
)
entries = st.builds(
    palette_pb2.PaletteEntry, class_id=near, key=text, title=text, colors=st.lists(any_number, max_size=4)
)
options = st.builds(
    pb.ReconstructOptions,
    cel_model=text,
    lines_model=text,
    line_width_px=near,
    input_mode=text,
    deadline_class=enum,
    palette=st.none() | st.builds(palette_pb2.Palette, name=text, entries=st.lists(entries, max_size=11)),
    region=st.none() | st.builds(image_pb2.Region, x=near, y=near, width=near, height=near),
)
starts = st.builds(
    pb.ReconstructStart,
    call_id=text,
    frame=headers,
    cel_mask=st.none() | headers,
    options=st.none() | options,
)
chunks = st.builds(image_pb2.Chunk, plane=enum, data=st.binary(max_size=200))
messages = st.builds(pb.ReconstructRequest, start=starts) | st.builds(pb.ReconstructRequest, chunk=chunks)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server at a Unix socket."""
    with serving_unix(tmp_path_factory.mktemp("unix")) as server:
        yield server


@pytest.mark.parametrize("name", mutation.TARGETS)
def test_every_seed_is_a_sound_input(name: str) -> None:
    assert all(mutation.TARGETS[name](seed) for seed in mutation.seeds(name))


@pytest.mark.parametrize("name", mutation.TARGETS)
def test_mutated_bytes_are_refused_or_read(name: str) -> None:
    rng, seeds, taken = random.Random(4), mutation.seeds(name), 0
    for _ in range(4000):
        data = mutation.mutated(rng.choice(seeds), rng)
        try:
            taken += mutation.watched(mutation.TARGETS[name], data)
        except Exception as exc:
            raise AssertionError(f"{exc!r} from {data!r}") from exc
    assert 25 < taken < 3500  # some get through, and most do not


@SLICE
@given(st.lists(messages, max_size=4))
def test_messages_of_any_content_are_refused_or_read(given_: list[pb.ReconstructRequest]) -> None:
    reader, refusal = ReconstructReader(mutation.LIMITS), ""
    try:
        for message in given_:
            reader.add(message)
        reader.job()
    except (InputError, LimitError) as exc:
        refusal = str(exc)
    assert len(refusal) < 1000


@SLICE
@given(st.lists(messages, max_size=4))
def test_calls_of_any_content_are_refused_or_answered(
    target: Target, given_: list[pb.ReconstructRequest]
) -> None:
    outcome = target.call([message.SerializeToString() for message in given_])
    assert outcome.code in EXPECTED, outcome
    assert outcome.details.isprintable()


def test_mutated_calls_are_refused_or_answered(target: Target, tmp_path: Path) -> None:
    ended = fuzz(target, 400, 4, tmp_path)
    assert ended.total() == 400
    assert {"OK", "INVALID_ARGUMENT"} <= set(ended)


def test_the_server_was_sound_to_the_end(target: Target) -> None:
    with attacked(target):
        assert target.call([b""]).code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.skipif(sys.platform != "linux", reason="atheris is made for Linux alone")
@pytest.mark.parametrize("name", mutation.TARGETS)
def test_the_fuzzer_runs(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "fuzz_decoder.py"), name, "3000", str(tmp_path / "found")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "stat::number_of_executed_units: 3000" in ended.stderr
    assert not list((tmp_path / "found").iterdir())


# The fuzzers must see what there is to be seen


def test_a_foreign_error_is_a_finding() -> None:
    def broken(data: bytes) -> bool:
        raise KeyError(data)

    with pytest.raises(KeyError):
        mutation.watched(broken, b"x")


def test_memory_is_a_finding() -> None:
    """In a process of its own: the peak of this one may be higher than anything that is tried here."""
    program = "import mutation; mutation.watched(lambda data: bool(bytearray(b'x') * (100 << 20)), b'')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=HERE, capture_output=True, text=True)
    assert "mutation.Greedy: " in ended.stderr


def test_a_status_that_should_not_be_is_a_finding(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="INTERNAL from"):
        fuzz_calls._report((False, [b"x"]), grpc.StatusCode.INTERNAL, tmp_path / "found")
    (path,) = (tmp_path / "found").iterdir()
    assert mutation.parted(path.read_bytes()) == (False, [b"x"])
