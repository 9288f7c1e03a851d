"""A plugin as its host wants it: our modules, the client within, licences. From a checkout or a wheel."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from douga_client import packing

from douga.errors import OutputError
from douga.frame_io import atomic_path
from douga_plugins.hosts import GIMP, Host

_SCRIPTS = "script-fu"
_SCRIPTS_IN_PACK = "for-gimp-2.10/scripts"
_DATE = (1980, 1, 1, 0, 0, 0)  # of every file in a pack, so that the same plugin gives the same bytes


def source(package: str) -> Path:
    """The folder of one of our plugin packages, which is never imported: its host is not there."""
    spec = PathFinder.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise OutputError(
            f"the plugin package {package} is missing; install Douga anew: pip install . in its checkout"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def assemble(host: Host, folder: Path) -> None:
    """Write the plugin into `folder`: its package, and beside it what the host wants there.

    Raises OutputError.
    """
    package = folder / host.package
    try:
        for path in sorted(source(host.package).rglob("*")):
            relative = path.relative_to(source(host.package))
            if path.is_dir() or "__pycache__" in relative.parts or relative.parts[0] == _SCRIPTS:
                continue
            if path.suffix == ".desktop":
                _copy(path, folder / relative.name)
            elif path.suffix == ".py" and host is not GIMP:
                # GIMP starts its plug-in as a program of its own, where absolute imports find the client.
                text = path.read_text(encoding="utf-8")
                _write(package / relative, packing.with_private_imports(text, ".", (packing.CLIENT,)))
            else:
                _copy(path, package / relative)
        packing.copy_client(package)
        _copy(_licence(), package / "LICENSE")
    except packing.PackingError as exc:
        raise OutputError(f"{host.title}: the plugin cannot be put together: {exc}") from exc
    except OSError as exc:
        raise OutputError(f"{folder}: the plugin cannot be written ({exc.strerror or exc})") from exc


def scripts() -> list[Path]:
    """Script-Fu files for GIMP 2.10."""
    return sorted((source(GIMP.package) / _SCRIPTS).glob("*.scm"))


def write_zip(host: Host, out: Path) -> None:
    """The plugin as one file that its host can install. Raises OutputError.

    GIMP's has the scripts for 2.10 too, in a folder in which GIMP 3 finds nothing to run.
    """
    with tempfile.TemporaryDirectory(prefix="douga-pack-") as name:
        assemble(host, Path(name))
        try:
            for path in scripts() if host is GIMP else ():
                _copy(path, Path(name, _SCRIPTS_IN_PACK, path.name))
            out.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as pack:
                for path in sorted(Path(name).rglob("*")):
                    if path.is_file():
                        entry = zipfile.ZipInfo(path.relative_to(name).as_posix(), _DATE)
                        entry.external_attr = (path.stat().st_mode & 0o777) << 16
                        entry.compress_type = zipfile.ZIP_DEFLATED
                        pack.writestr(entry, path.read_bytes())
        except OSError as exc:
            raise OutputError(f"{out}: cannot be written ({exc.strerror or exc})") from exc


def _licence() -> Path:
    """Our own licence: of the wheel, or of the checkout that is installed for editing."""
    for file in metadata.files("douga") or ():
        if file.name == "LICENSE" and (path := Path(str(file.locate()))).is_file():
            return path
    raise packing.PackingError("Douga's own licence is missing from its installation; install it anew")


def _copy(path: Path, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, out)
    if path.suffix == ".py" and path.read_bytes()[:2] == b"#!":
        out.chmod(0o755)


def _write(out: Path, text: str) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8", newline="\n")
