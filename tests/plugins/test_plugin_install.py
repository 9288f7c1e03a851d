"""`douga plugin`: packs are whole and small, installing replaces, and nothing of the user's is lost."""

from __future__ import annotations

import ast
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from douga_plugins import hosts, install
from douga_plugins.command import run
from douga_plugins.hosts import BLENDER, GIMP, HOSTS, KRITA, Host, place_in

from douga import __version__, cli
from douga.errors import InputError, OutputError

LARGEST_PACK_BYTES = 5_000_000


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))
    monkeypatch.setattr(hosts, "_installed_version", lambda program: "")


def douga(*words: str) -> int:
    return cli.main(["plugin", *words])


@pytest.mark.parametrize("host", HOSTS.values(), ids=lambda host: host.name)
def test_a_pack_is_whole_small_and_always_the_same(host: Host, tmp_path: Path) -> None:
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    assert douga("pack", host.name, "--out", str(first)) == 0
    assert douga("pack", host.name, "--out", str(second)) == 0
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size <= LARGEST_PACK_BYTES
    with zipfile.ZipFile(first) as pack:
        names = pack.namelist()
        texts = {name: pack.read(name).decode() for name in names if name.endswith(".py")}
    assert f"{host.package}/LICENSE" in names
    assert f"{host.package}/douga_client/client.py" in names
    vendored = f"{host.package}/douga_client/_vendor/"
    assert {"h2", "hpack", "hyperframe"} <= {
        name[len(vendored) :].split("-")[0] for name in names if "LICENSE" in name
    }
    assert not [name for name in names if "__pycache__" in name or name.endswith("packing.py")]
    for name, text in texts.items():
        assert not _absolute_imports(text) & {"h2", "hpack", "hyperframe", "grpc", "google", "torch"}, name
        if host is not GIMP:
            assert "douga_client" not in _absolute_imports(text), name


def _absolute_imports(text: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_gimps_pack_has_the_scripts_for_2_10_where_gimp_3_runs_nothing(tmp_path: Path) -> None:
    assert douga("pack", "gimp", "--out", str(tmp_path / "gimp.zip")) == 0
    with zipfile.ZipFile(tmp_path / "gimp.zip") as pack:
        found = [entry for entry in pack.infolist() if entry.filename.startswith("for-gimp-2.10/")]
        assert [entry.filename for entry in found] == ["for-gimp-2.10/scripts/douga-reconstruct.scm"]
        assert "douga-file-to-xcf" in pack.read(found[0]).decode()
        assert not any(entry.external_attr >> 16 & 0o111 for entry in found)


def test_kritas_pack_has_what_its_importer_looks_for(tmp_path: Path) -> None:
    assert douga("pack", "krita", "--out", str(tmp_path / "krita.zip")) == 0
    with zipfile.ZipFile(tmp_path / "krita.zip") as pack:
        description = pack.read("douga_krita.desktop").decode()
    assert "X-KDE-Library=douga_krita" in description
    assert "ServiceTypes=Krita/PythonPlugin" in description


def test_the_packed_krita_plugin_finds_its_client_within_itself(tmp_path: Path) -> None:
    assert douga("install", "krita") == 0
    folder = hosts.places(KRITA)[0].folder
    check = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import douga_krita.model, douga_krita.douga_client.client\n"
        "assert 'douga_client' not in sys.modules and 'h2' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", check, str(folder)], check=True)


def test_installing_writes_down_the_python_and_keeps_what_the_user_chose(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = install.write_settings("/somewhere/python")
    known = json.loads(settings.read_text()) | {"token": "secret", "packing": "png"}
    settings.write_text(json.dumps(known))
    assert douga("install", "krita") == 0
    now = json.loads(settings.read_text())
    assert now["python"] == sys.executable
    assert (now["token"], now["packing"]) == ("secret", "png")
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600 or os.name == "nt"
    assert "Settings > Dockers" in capsys.readouterr().out


def test_a_broken_settings_file_is_mended_by_installing() -> None:
    settings = install.write_settings()
    settings.write_text("{")
    assert douga("install", "krita") == 0
    assert json.loads(settings.read_text())["python"] == sys.executable


def test_installing_twice_replaces_and_removing_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    place = hosts.places(KRITA)[0]
    assert douga("install", "krita") == 0
    stale = place.folder / "douga_krita" / "of_an_older_version.py"
    stale.write_text("")
    assert install.installed_version(place) == __version__
    assert douga("install", "krita") == 0
    assert not stale.exists()
    assert sorted(path.name for path in place.folder.iterdir()) == ["douga_krita", "douga_krita.desktop"]
    assert douga("remove", "krita") == 0
    assert list(place.folder.iterdir()) == []
    assert "enable_douga_krita=false" in hosts.kritarc().read_text()
    assert douga("remove", "krita") == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_what_was_there_stays_when_the_new_one_cannot_be_put_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert douga("install", "krita") == 0
    place = hosts.places(KRITA)[0]
    before = sorted(place.folder.rglob("*"))

    def broken(folder: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr("douga_client.packing.copy_client", broken)
    with pytest.raises(OutputError, match="disk full"):
        install.install(place)
    assert sorted(place.folder.rglob("*")) == before


def test_kritarc_keeps_every_other_line(tmp_path: Path) -> None:
    path = tmp_path / "kritarc"
    path.write_text("a=1\n\n[python]\nenable_other=true\nenable_douga_krita=false\n\n[theme]\nTheme=Dark\n")
    install.switch(path, on=True)
    assert path.read_text() == (
        "a=1\n\n[python]\nenable_douga_krita=true\nenable_other=true\n\n[theme]\nTheme=Dark\n"
    )


@pytest.mark.parametrize(
    ("host", "version", "below", "kind"),
    [
        (BLENDER, "3.4", "scripts/addons", "package"),
        (BLENDER, "4.1", "scripts/addons", "package"),
        (BLENDER, "4.2", "extensions/user_default", "package"),
        (BLENDER, "10.0", "extensions/user_default", "package"),
        (GIMP, "2.10", "scripts", "script"),
        (GIMP, "3.0", "plug-ins", "package"),
    ],
)
def test_every_version_has_its_own_place(
    host: Host, version: str, below: str, kind: str, tmp_path: Path
) -> None:
    place = place_in(host, tmp_path / version)
    assert (place.folder, place.kind) == (tmp_path / version / below, kind)


def test_all_versions_of_a_host_are_served(tmp_path: Path) -> None:
    for version in ("3.3", "3.4", "4.10", "4.2"):
        (tmp_path / "home" / ".config" / "blender" / version).mkdir(parents=True)
    assert [place.version for place in hosts.places(BLENDER)] == ["3.4", "4.2", "4.10"]
    assert douga("install", "blender") == 0
    assert all(install.installed_version(place) == __version__ for place in hosts.places(BLENDER))


def test_a_host_that_is_not_there_is_said_with_the_mend(capsys: pytest.CaptureFixture[str]) -> None:
    assert douga("install", "blender") == cli.EXIT_BAD_INPUT
    assert "start it once" in capsys.readouterr().err
    assert douga("list") == 0
    assert "Blender was not found" in capsys.readouterr().out


def test_gimp_2_gets_scripts_and_gimp_3_a_program(tmp_path: Path) -> None:
    for version in ("2.10", "3.0"):
        (tmp_path / "home" / ".config" / "GIMP" / version).mkdir(parents=True)
    assert douga("install", "gimp") == 0
    old, new = hosts.places(GIMP)
    assert list(old.folder.glob("*.scm"))
    assert os.access(new.folder / "douga_gimp" / "douga_gimp.py", os.X_OK)


def test_a_pack_is_a_zip(tmp_path: Path) -> None:
    class Arguments:
        action, host, out = "pack", "krita", tmp_path / "krita.tar"

    with pytest.raises(InputError, match=r"ends in \.zip"):
        run(Arguments())  # type: ignore[arg-type]
