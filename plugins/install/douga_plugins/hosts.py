"""The programs that there is a plugin for, and the folders in which each looks for plugins."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile(r"\d+\.\d+")
_ASK_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Host:
    """A program with plugins. package: our plugin for it. after: what is left to do there, for people."""

    name: str
    title: str
    package: str
    after: str


@dataclass(frozen=True)
class Place:
    """A folder in which one version of a host looks for plugins. kind: what is laid there.

    "package": the plugin's folder. "script": Script-Fu files, for GIMP 2.10.
    """

    host: Host
    version: str
    folder: Path
    kind: str = "package"


KRITA = Host(
    "krita",
    "Krita",
    "douga_krita",
    "Start Krita anew; the panel is in Settings > Dockers > Douga.",
)
BLENDER = Host(
    "blender",
    "Blender",
    "douga_blender",
    "Start Blender anew and tick Douga in Edit > Preferences > Add-ons; the panel is in the Image Editor's "
    "sidebar.",
)
GIMP = Host(
    "gimp",
    "GIMP",
    "douga_gimp",
    "Start GIMP anew; Douga is in the menu Filters > Douga.",
)
HOSTS = {host.name: host for host in (KRITA, BLENDER, GIMP)}


def places(host: Host) -> list[Place]:
    """Where plugins of this user go, one place a version that was found; empty where there is none."""
    if host is KRITA:
        return [Place(host, "", _data_folder() / "krita" / "pykrita")]
    if host is BLENDER:
        return [place_in(host, folder) for folder in _versions(_blender_folder(), "blender", (3, 4))]
    return [place_in(host, folder) for folder in _versions(_config_folder() / "GIMP", "gimp", (2, 10))]


def place_in(host: Host, folder: Path) -> Place:
    """The place within a folder of one version's settings, such as ~/.config/blender/4.3."""
    version = folder.name
    if host is BLENDER:
        newer = _number(version) >= (4, 2)
        below = ("extensions", "user_default") if newer else ("scripts", "addons")
        return Place(host, version, folder.joinpath(*below))
    if host is GIMP and _number(version) < (2, 99):
        return Place(host, version, folder / "scripts", "script")
    if host is GIMP:
        return Place(host, version, folder / "plug-ins")
    return Place(host, "", folder / "pykrita")


def kritarc() -> Path:
    """The file in which Krita keeps which plugins are switched on."""
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "kritarc"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Preferences" / "kritarc"
    return _xdg("XDG_CONFIG_HOME", ".config") / "kritarc"


def is_running(host: Host) -> bool:
    """Whether the program seems to run now; False where that cannot be told."""
    if not Path("/proc/self").exists():
        return False
    for entry in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = entry.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        if name == host.name or name.startswith(f"{host.name}-"):
            return True
    return False


def _xdg(variable: str, usual: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if os.path.isabs(value) else Path.home() / usual


def _config_folder() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return _xdg("XDG_CONFIG_HOME", ".config")


def _data_folder() -> Path:
    if os.name == "nt" or sys.platform == "darwin":
        return _config_folder()
    return _xdg("XDG_DATA_HOME", ".local/share")


def _blender_folder() -> Path:
    if os.name == "nt":
        return _config_folder() / "Blender Foundation" / "Blender"
    return _config_folder() / ("Blender" if sys.platform == "darwin" else "blender")


def _versions(folder: Path, program: str, least: tuple[int, int]) -> list[Path]:
    """Folders of versions, those that are there and the one that the installed program will use."""
    found = {path.name for path in folder.glob("[0-9]*.[0-9]*") if path.is_dir()}
    found |= {version for version in [_installed_version(program)] if version}
    return [folder / name for name in sorted(found, key=_number) if _number(name) >= least]


def _installed_version(program: str) -> str:
    """ "3.4" of what is on the PATH, or ""."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        asked = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(asked.stdout)
    return found[0] if found else ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
