"""Lays a plugin into a host's folder, whole or not at all, and takes it away again."""

from __future__ import annotations

import ast
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from douga_client import settings as client_settings
from douga_client.errors import ClientError
from douga_client.settings import Settings

from douga import __version__
from douga.errors import OutputError
from douga.frame_io import atomic_path
from douga_plugins.assemble import assemble, scripts
from douga_plugins.hosts import KRITA, Place, kritarc

_SECTION = "[python]"


def install(place: Place) -> list[Path]:
    """Put the plugin there in place of an older one, and write down which Python has Douga.

    Returns what was written. Raises OutputError; what was there before is then still there.
    """
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        written = _lay_scripts(place) if place.kind == "script" else _lay_package(place)
    except OSError as exc:
        raise OutputError(
            f"{place.folder}: cannot be written ({exc.strerror or exc}); mend its permissions, or name "
            "another folder with --to"
        ) from exc
    if place.host is KRITA:
        written.append(switch(kritarc(), on=True))
    written.append(write_settings())
    return written


def remove(place: Place) -> list[Path]:
    """Take the plugin away; the user's settings stay. Returns what was removed. Raises OutputError."""
    gone = []
    try:
        for path in installed_paths(place):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            gone.append(path)
        if gone and place.host is KRITA and kritarc().exists():
            switch(kritarc(), on=False)
    except OSError as exc:
        raise OutputError(
            f"{exc.filename or place.folder}: cannot be removed ({exc.strerror or exc})"
        ) from exc
    return gone


def installed_paths(place: Place) -> list[Path]:
    """What lies there of our plugin."""
    if place.kind == "script":
        names = [path.name for path in scripts()]
    else:
        names = [place.host.package, f"{place.host.package}.desktop"]
    return [place.folder / name for name in names if (place.folder / name).exists()]


def installed_version(place: Place) -> str:
    """Of the plugin that lies there; "" where there is none, "?" where it does not tell."""
    if not installed_paths(place):
        return ""
    if place.kind == "script":
        same = all(
            (place.folder / path.name).exists()
            and (place.folder / path.name).read_bytes() == path.read_bytes()
            for path in scripts()
        )
        return __version__ if same else "?"
    with suppress(OSError, SyntaxError, ValueError):
        text = (place.folder / place.host.package / "douga_client" / "version.py").read_text("utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "VERSION" for t in node.targets):
                return str(ast.literal_eval(node.value))
    return "?"


def write_settings(python: str = "") -> Path:
    """Write down the Python that Douga is installed in; everything that the user chose stays."""
    path = client_settings.default_path()
    try:
        known = client_settings.read(path)
    except ClientError:
        known = Settings()  # the message of a broken file says that installing mends it
    try:
        client_settings.write(replace(known, python=python or sys.executable), path)
    except ClientError as exc:
        raise OutputError(str(exc)) from exc
    return path


def switch(path: Path, *, on: bool) -> Path:
    """Switch the plugin on or off in kritarc and leave every other line as it is."""
    key, value = f"enable_{KRITA.package}", "true" if on else "false"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if _SECTION not in lines:
        lines += [*([""] if lines else []), _SECTION]
    start = lines.index(_SECTION) + 1
    end = next((i for i in range(start, len(lines)) if lines[i].startswith("[")), len(lines))
    kept = [line for line in lines[start:end] if line.partition("=")[0].strip() != key]
    lines[start:end] = [f"{key}={value}", *kept]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _lay_scripts(place: Place) -> list[Path]:
    written = []
    for path in scripts():
        with atomic_path(place.folder / path.name) as temporary:
            shutil.copyfile(path, temporary)
        written.append(place.folder / path.name)
    return written


def _lay_package(place: Place) -> list[Path]:
    """Everything is put together beside its place first; then old and new change places."""
    written = []
    with tempfile.TemporaryDirectory(prefix=".douga-install-", dir=place.folder) as name:
        new, old = Path(name, "new"), Path(name, "old")
        new.mkdir()
        old.mkdir()
        assemble(place.host, new)
        for path in sorted(new.iterdir()):
            target = place.folder / path.name
            if target.exists() or target.is_symlink():
                target.rename(old / path.name)
            path.rename(target)
            written.append(target)
    return written
