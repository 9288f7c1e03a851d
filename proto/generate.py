"""Rebuilds what is made from the .proto files: the Python stubs and the baseline that guards the contract.

    python proto/generate.py                     after every change of a .proto file
    python proto/generate.py --accept-breaking   where callers out there are meant to break

Without the flag a change that breaks callers is refused: a field that is gone or has another number, name or
type. Mend it by adding instead: a new field, a new call. Where it must break, copy the folder v1 to v2 and
change that; the flag is for a contract that nobody uses yet. Nothing is written where a step fails.

The stubs come from the oldest grpcio-tools whose stubs run on every version of grpcio and protobuf that
pyproject.toml admits; newer stubs refuse to run on older ones. It lives in an environment of its own, by uv,
because all grpcio packages of one environment have to be of one version.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.binpb"
TOOLS = "grpcio-tools==1.71.0"
_PYTHONS = ">=3.11,<3.14"  # those that these tools have a wheel for
_PROTOS = ("image", "palette", "douga")
_PACKAGE = "douga_proto/v1"


def tool(name: str) -> str:
    """Path of uv or buf: beside this Python, or else on the PATH. Exits where there is none."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        sys.exit(
            f"{name} is not installed; install it with: pip install {'buf-bin' if name == 'buf' else name}"
        )
    return found


def write_stubs(out: Path, source: Path = HERE) -> None:
    """Write the stubs of the contract in folder `source` under `out`. Raises CalledProcessError."""
    protoc = [tool("uv"), "tool", "run", "--quiet", "--python", _PYTHONS, "--from", TOOLS]
    protoc += ["python", "-m", "grpc_tools.protoc", f"-I{source}"]
    messages = [f"{_PACKAGE}/{name}.proto" for name in _PROTOS]
    kinds = (
        [f"--python_out={out}", f"--pyi_out={out}", *messages],
        [f"--grpc_python_out={out}", messages[-1]],
    )
    for (
        arguments
    ) in kinds:  # calls stand in the last one alone; of the others nothing would come but comments
        subprocess.run([*protoc, *arguments], check=True)


def write_image(out: Path, source: Path = HERE) -> None:
    """Write the contract in folder `source` as descriptors without comments. Raises CalledProcessError."""
    flags = ["--as-file-descriptor-set", "--exclude-source-info"]
    subprocess.run([tool("buf"), "build", str(source), *flags, "-o", str(out)], check=True)


def lint(source: Path = HERE) -> subprocess.CompletedProcess[str]:
    """Whether each field is documented and named by the rules; stdout says what is not."""
    return subprocess.run([tool("buf"), "lint", str(source)], capture_output=True, text=True)


def breaking(source: Path = HERE, baseline: Path = BASELINE) -> subprocess.CompletedProcess[str]:
    """Whether callers of the contract in `baseline` could still use `source`; stdout says where not."""
    command = [tool("buf"), "breaking", str(source), "--against", str(baseline)]
    return subprocess.run(command, capture_output=True, text=True)


def main() -> None:
    """Check the contract, then write stubs and baseline."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accept-breaking", action="store_true", help="write a baseline that breaks callers")
    accept = parser.parse_args().accept_breaking
    if (found := lint()).returncode:
        sys.exit(f"{found.stdout}{found.stderr}The contract is not tidy; nothing was written.")
    if BASELINE.exists() and not accept and (found := breaking()).returncode:
        sys.exit(f"{found.stdout}{found.stderr}This breaks callers (see --help); nothing was written.")
    with tempfile.TemporaryDirectory() as folder:
        stubs = Path(folder) / "stubs"
        stubs.mkdir()
        write_stubs(stubs)
        write_image(image := Path(folder) / "baseline.binpb")
        shutil.copytree(stubs / _PACKAGE, HERE / _PACKAGE, dirs_exist_ok=True)
        shutil.copyfile(image, BASELINE)
    print(f"wrote the stubs and {BASELINE.name}")


if __name__ == "__main__":
    main()
