"""The packs in Krita 5.2 and Blender 4.3, put there as a user does it; run by run.sh.

The tests of both hosts themselves, which run.sh calls in these versions too, use `douga plugin install`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_blender
import test_krita
from conftest import Reference, RunningServer, choose_server, ids_of, plugin

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif("DOUGA_HOSTS_NEXT" not in os.environ, reason="run by tests/hosts/next/run.sh"),
]


def test_krita_with_the_pack(
    home: dict[str, str], unix_server: RunningServer, truth: Reference, small_frame: Path, tmp_path: Path
) -> None:
    """Its importer unpacks the archive into pykrita, and the user ticks the plugin."""
    plugin(home, "pack", "krita", "--out", str(tmp_path / "krita.zip"))
    shutil.unpack_archive(tmp_path / "krita.zip", Path(home["XDG_DATA_HOME"], "krita", "pykrita"))
    Path(home["XDG_CONFIG_HOME"]).mkdir()
    Path(home["XDG_CONFIG_HOME"], "kritarc").write_text("[python]\nenable_douga_krita=true\n")
    choose_server(home, unix_server)
    report = test_krita.drive(home, tmp_path, ["whole"], small_frame)
    shape = truth.ids.shape
    made = report["layers"]
    assert np.array_equal(ids_of(made, shape), truth.ids)
    assert np.array_equal(np.fromfile(made["cel mask"], np.uint8).reshape(shape), truth.mask)
    for suffix in ("kra", "ora", "psd"):
        assert np.array_equal(ids_of(report["saved"][suffix], shape), truth.ids), suffix


class Extension(test_blender.Blender):
    """A fresh home in which Blender has installed the pack as an extension."""

    def __init__(self, home: dict[str, str], folder: Path) -> None:
        self.home, self.environment, self.out = home, home, folder / "out"
        self.out.mkdir()
        plugin(home, "pack", "blender", "--out", str(folder / "blender.zip"))
        for command in (
            ["validate", str(folder / "blender.zip")],
            ["install-file", "--repo", "user_default", "--enable", str(folder / "blender.zip")],
        ):
            ran = subprocess.run(
                ["blender", "--command", "extension", *command], env=home, capture_output=True, text=True
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert "WARN" not in ran.stdout + ran.stderr, ran.stdout + ran.stderr

    def run(self, errand: str, **job: Any) -> dict[str, Any]:
        """See `Blender.run`."""
        return super().run(errand, module="bl_ext.user_default.douga_blender", **job)


def test_blender_with_the_pack_as_an_extension(
    request: pytest.FixtureRequest, home: dict[str, str], small_frame: Path, truth: Reference, tmp_path: Path
) -> None:
    extension = Extension(home, tmp_path)
    test_blender.test_images_layers_and_nodes_are_the_command_lines(
        "unix_server", request, extension, small_frame, truth
    )
