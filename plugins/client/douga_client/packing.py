"""Puts the client into a plugin: its modules, the HTTP/2 libraries under a private name, and their licences.

For `douga plugin pack`; it is not part of a plugin itself. Works from a checkout and from an installed wheel.
Within a host another plugin may bring another h2, so ours lies in `douga_client._vendor` and is imported by
relative names alone; the whole folder may be put anywhere.
"""

from __future__ import annotations

import ast
import re
from importlib import metadata
from pathlib import Path

LIBRARIES = ("h2", "hpack", "hyperframe")
VENDOR = "_vendor"
CLIENT = "douga_client"
_LEFT_OUT = {"packing.py"}
_HERE = Path(__file__).resolve().parent


class PackingError(Exception):
    """A library is missing, or written so that it cannot be put under another name."""


def copy_client(folder: Path) -> Path:
    """Write `folder`/douga_client, which needs nothing but Python, and return it. Raises PackingError."""
    out = folder / _HERE.name
    for path in sorted(_HERE.glob("*.py")):
        if path.name not in _LEFT_OUT:
            _write(out / path.name, with_private_imports(path.read_text(encoding="utf-8"), f".{VENDOR}"))
    _write(out / VENDOR / "__init__.py", '"""Other projects\' libraries; their licences lie beside."""\n')
    for name in LIBRARIES:
        _copy_library(name, out / VENDOR)
    return out


def with_private_imports(text: str, package: str, libraries: tuple[str, ...] = LIBRARIES) -> str:
    """A module whose imports of these libraries go to `package` instead, e.g. ".." or "._vendor".

    Raises PackingError for a plain `import h2`, which binds a name that would be another.
    """
    lines = text.split("\n")
    dots = package if package.endswith(".") else f"{package}."
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import) and any(_root(alias.name) in libraries for alias in node.names):
            raise PackingError(f"line {node.lineno}: write `from {node.names[0].name} import ...` instead")
        if isinstance(node, ast.ImportFrom) and not node.level and _root(node.module or "") in libraries:
            line = lines[node.lineno - 1]
            head, rest = line[: node.col_offset], line[node.col_offset :]
            lines[node.lineno - 1] = head + re.sub(r"^from\s+", f"from {dots}", rest)
    return "\n".join(lines)


def _root(module: str) -> str:
    return module.partition(".")[0]


def _copy_library(name: str, out: Path) -> None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError as exc:
        raise PackingError(f"{name} is not installed; install it with: pip install {name}") from exc
    licences = 0
    for file in found.files or ():
        path = Path(str(found.locate_file(file)))
        if file.parts[0] == name and file.suffix == ".py":
            text = with_private_imports(path.read_text(encoding="utf-8"), "." * len(file.parts))
            _write(out.joinpath(*file.parts), text)
        elif file.parts[0].endswith(".dist-info") and file.name.upper().startswith(("LICENSE", "COPYING")):
            licences += 1
            _write(out / f"{name}-{found.version}-{file.name}", path.read_text(encoding="utf-8"))
    if not licences:
        raise PackingError(f"{name} {found.version} came without its licence; install it anew from a wheel")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
