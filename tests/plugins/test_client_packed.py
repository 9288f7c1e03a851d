"""The packed client in bare Pythons of every version at hand: nothing installed, another h2 beside it."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from client_serving import ServerProcess
from douga_client import packing
from douga_client.packing import PackingError, copy_client, with_private_imports

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
CHECK = """
import json, sys, types
sys.path.insert(0, sys.argv[1])
for name in ("h2", "hpack", "hyperframe", "numpy", "zstandard"):
    sys.modules[name] = types.ModuleType(name)  # another plugin's, and useless to us
del sys.modules["numpy"], sys.modules["zstandard"]
before = set(sys.modules)
from some_plugin.douga_client.warm import warm_up
for _ in warm_up():
    pass
from some_plugin.douga_client.api import ReconstructRequest
from some_plugin.douga_client.client import open_client
from some_plugin.douga_client.image import Pixels
from some_plugin.douga_client.layers import class_bands
from some_plugin.douga_client.settings import Settings

pixels = Pixels(320, 200, "BGRA8", bytes([20, 20, 20, 255]) * 320 * 200)
for packing in ("raw", "png"):
    client = open_client(Settings(server=sys.argv[2], token=sys.argv[3], packing=packing))
    result = client.wait(client.submit(ReconstructRequest(pixels)), 30)
    assert bytes(result.cel_mask) == b"\\xff" * 320 * 200
    (band,) = class_bands(result.class_map, 320, 1, 0xFF0000)
    assert bytes(band[1]) == bytes([0, 0, 255, 255]) * 320 * 200
    client.close()
import threading
others = ("google", "grpc", "h2", "hpack", "hyperframe", "numpy")
foreign = [name for name in set(sys.modules) - before if name.partition(".")[0] in others]
print(json.dumps({"version": sys.version_info[:2], "threads": threading.active_count(), "foreign": foreign}))
"""


def python_of(version: str) -> str | None:
    """A Python of that version: from pyenv, from the PATH, or by uv."""
    roots = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(roots.glob(f"{version}.*/bin/python"))
    if found:
        return str(found[-1])
    if uv := shutil.which("uv"):
        line = [uv, "python", "find", "--no-project", version]
        known = subprocess.run(line, capture_output=True, text=True)
        if known.returncode == 0:
            return known.stdout.strip()
    return shutil.which(f"python{version}")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plugin that has the client in it."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "some_plugin").mkdir()
    (folder / "some_plugin" / "__init__.py").touch()
    copy_client(folder / "some_plugin")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("packed"), "--address", "127.0.0.1:0") as running:
        yield running


@pytest.mark.parametrize("version", VERSIONS)
def test_it_runs_in_a_bare_python(version: str, plugin: Path, server: ServerProcess, tmp_path: Path) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(
            f"NOT TESTED with Python {version}: none is at hand; `uv python install {version}` gets one"
        )
    subprocess.run([python, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    bare = tmp_path / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    line = [str(bare), "-I", "-W", "error", "-c", CHECK, str(plugin), server.address, server.token]
    ran = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert ".".join(map(str, found["version"])) == version
    assert found["threads"] == 1
    assert found["foreign"] == []


def test_a_pack_is_small_and_has_the_licences(plugin: Path) -> None:
    files = [path for path in plugin.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    for name in packing.LIBRARIES:
        (licence,) = plugin.glob(f"some_plugin/douga_client/_vendor/{name}-*-LICENSE*")
        assert "Permission is hereby granted" in licence.read_text(encoding="utf-8")
    assert not list(plugin.rglob("packing.py"))


def test_no_module_of_a_pack_imports_a_library_by_its_public_name(plugin: Path) -> None:
    modules = [path for path in plugin.rglob("*.py") if path.stat().st_size]
    assert len(modules) > 40
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names.append(node.module or "")
            assert not {name.partition(".")[0] for name in names} & set(packing.LIBRARIES), path


@pytest.mark.parametrize(
    ("line", "package", "expected"),
    [
        ("from h2.config import A", "._vendor", "from ._vendor.h2.config import A"),
        ("    from hpack import (\n        B,\n    )", "..", "    from ..hpack import (\n        B,\n    )"),
        ("from h2x import C", "..", "from h2x import C"),
        ("from .h2 import D", "..", "from .h2 import D"),
        ("import os", "..", "import os"),
    ],
)
def test_imports_are_rewritten(line: str, package: str, expected: str) -> None:
    head = "if True:\n" if line.startswith(" ") else ""
    assert with_private_imports(head + line, package) == head + expected


def test_an_import_that_cannot_be_rewritten_is_refused() -> None:
    with pytest.raises(PackingError, match="line 1"):
        with_private_imports("import h2.config", "..")


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packing, "LIBRARIES", ("h2-of-nobody",))
    with pytest.raises(PackingError, match="pip install h2-of-nobody"):
        copy_client(tmp_path)


def test_importing_what_a_plugin_needs_at_the_start_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import douga_client.api, douga_client.errors, douga_client.texts, douga_client.settings\n"
        "heavy = {'h2', 'hpack', 'ssl', 'socket', 'subprocess', 'numpy', 'asyncio'} & set(sys.modules)\n"
        "print(sorted(heavy), 'douga_client.contract' in sys.modules)"
    )
    folder = str(Path(packing.__file__).parents[1])
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code, folder], capture_output=True, text=True)
    assert ran.stdout.strip() == "[] False", ran.stderr
