"""The contract: tidy, documented, unbroken against its baseline, and the stubs are what it makes."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from douga_proto.v1 import douga_pb2, douga_pb2_grpc, image_pb2
from douga_server.codec_parts import STAGES, header_from
from douga_server.limits import DEFAULT_LIMITS
from douga_server.pixels import Encoding, Layout
from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
V1 = PROTO / "douga_proto" / "v1"


def load_generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("proto_generate", PROTO / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load_generate()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The contract in a folder of its own, to be spoilt."""
    shutil.copytree(PROTO, tmp_path / "proto", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "proto"


def edit(source: Path, name: str, pattern: str, by: str) -> None:
    path = source / "douga_proto" / "v1" / name
    text, count = re.subn(pattern, by, path.read_text("utf-8"), count=1)
    assert count == 1, pattern
    path.write_text(text, "utf-8")


def test_the_committed_stubs_are_what_the_contract_makes(tmp_path: Path) -> None:
    generate.write_stubs(tmp_path)
    fresh = {p.name: p.read_bytes() for p in (tmp_path / "douga_proto" / "v1").iterdir()}
    committed = {p.name: p.read_bytes() for p in V1.iterdir() if "_pb2" in p.name}
    assert fresh.keys() == committed.keys()
    for name, content in fresh.items():
        assert committed[name] == content, f"{name} is stale: run python proto/generate.py"


def test_stubs_run_without_a_warning_and_without_anything_else() -> None:
    code = "import sys; from douga_proto.v1 import douga_pb2, douga_pb2_grpc; print('douga' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_the_tools_are_the_oldest_that_the_project_admits() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = next(d for d in project["dependencies"] if re.match(r"grpcio\W", d))
    assert generate.TOOLS.startswith(oldest.replace("grpcio>=", "grpcio-tools==") + ".")


@pytest.mark.slow
@pytest.mark.parametrize("protobuf", ["5.29.0", "6.32.0", "7.34.0"])
def test_stubs_run_on_the_oldest_runtime_and_others(protobuf: str) -> None:
    version = generate.TOOLS.removeprefix("grpcio-tools==")
    uv = [
        generate.tool("uv"),
        "run",
        "--quiet",
        "--no-project",
        "--isolated",
        "--with",
        f"protobuf=={protobuf}",
    ]
    code = "from douga_proto.v1 import douga_pb2, douga_pb2_grpc; print('ok')"
    done = subprocess.run(
        [*uv, "--with", f"grpcio=={version}", "python", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROTO)},
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_the_contract_is_tidy_and_each_field_is_documented(copy: Path) -> None:
    assert generate.lint().returncode == 0, generate.lint().stdout
    edit(copy, "douga.proto", r" *// Name of the weights\.\n", "")
    assert 'Field "name" should have a non-empty comment' in generate.lint(copy).stdout


def test_the_contract_breaks_no_caller() -> None:
    done = generate.breaking()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "pattern", "by", "complaint"),
    [
        ("douga.proto", r".*uint32 queue_position = 3;\n", "", 'field "3" with name "queue_position"'),
        ("douga.proto", r"float progress = 2", "double progress = 2", "changed type"),
        ("douga.proto", r"string device = 7", "string device = 8", "device"),
        ("image.proto", r"uint64 encoded_bytes = 5", "uint64 length = 5", "length"),
        ("image.proto", r".*PLANE_COLORS = 5;\n", "", 'value "5" on enum "Plane"'),
        ("douga.proto", r".*rpc RefineMask.*\n", "", "RefineMask"),
    ],
)
def test_a_breaking_change_is_noticed(copy: Path, name: str, pattern: str, by: str, complaint: str) -> None:
    edit(copy, name, pattern, by)
    done = generate.breaking(copy)
    assert done.returncode != 0
    assert complaint in done.stdout


def test_an_added_field_breaks_nobody_but_needs_a_new_baseline(copy: Path, tmp_path: Path) -> None:
    edit(copy, "douga.proto", r"string device = 7;", "string device = 7;\n  // New.\n  string note = 8;")
    assert generate.breaking(copy).returncode == 0
    generate.write_image(tmp_path / "image.binpb", copy)
    assert parsed(tmp_path / "image.binpb") != parsed(generate.BASELINE)


def test_the_baseline_is_the_contract_of_today(tmp_path: Path) -> None:
    generate.write_image(tmp_path / "image.binpb")
    same = parsed(tmp_path / "image.binpb") == parsed(generate.BASELINE)
    assert same, "the baseline is stale: run python proto/generate.py"


def parsed(path: Path) -> FileDescriptorSet:
    return FileDescriptorSet.FromString(path.read_bytes())


def run_generate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_generate_refuses_to_break_callers_and_writes_nothing(copy: Path) -> None:
    edit(copy, "douga.proto", r".*uint32 queue_position = 3;\n", "")
    edit(copy, "douga.proto", r".*// While queued.*\n", "")
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    done = run_generate(copy)
    assert done.returncode == 1
    assert "queue_position" in done.stderr
    assert "nothing was written" in done.stderr
    assert {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()} == before


def test_a_break_can_be_accepted_on_purpose(copy: Path) -> None:
    edit(copy, "douga.proto", r".*// While queued.*\n.*uint32 queue_position = 3;\n", "")
    done = run_generate(copy, "--accept-breaking")
    assert done.returncode == 0, done.stderr
    assert generate.breaking(copy, copy / "baseline.binpb").returncode == 0
    assert "queue_position" not in (copy / "douga_proto" / "v1" / "douga_pb2.pyi").read_text("utf-8")


def test_the_codec_knows_every_number_of_the_contract() -> None:
    assert {0, *STAGES.values()} == set(douga_pb2.Stage.values())
    for layout in image_pb2.PixelLayout.values()[1:]:
        for encoding in image_pb2.PixelEncoding.values():
            message = image_pb2.ImageHeader(width=1, height=1, layout=layout, encoding=encoding)
            message.encoded_bytes = {1: 1, 2: 3}.get(layout, 4)
            if (layout, encoding) == (image_pb2.PIXEL_LAYOUT_BGRA8, image_pb2.PIXEL_ENCODING_PNG):
                continue  # a PNG has no such thing
            header = header_from(message, image_pb2.PLANE_FRAME, DEFAULT_LIMITS)
            assert header.layout.name == image_pb2.PixelLayout.Name(layout).removeprefix("PIXEL_LAYOUT_")
    assert len(Layout) == len(image_pb2.PixelLayout.values()) - 1
    assert len(Encoding) == len(image_pb2.PixelEncoding.values()) - 1


def test_the_service_has_the_calls_of_the_issue() -> None:
    calls = [m.name for m in douga_pb2.DESCRIPTOR.services_by_name["DougaService"].methods]
    assert calls == ["Reconstruct", "ReconstructSequence", "Cutout", "RefineMask", "GetCapabilities"]
    for call in calls:
        assert callable(getattr(douga_pb2_grpc.DougaServiceServicer, call))
