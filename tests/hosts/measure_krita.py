"""Prints what the plugin costs in Krita: `python tests/hosts/measure_krita.py ADDRESS [frame.png]`.

ADDRESS: of a running server that wants no token, such as unix:/tmp/s.sock. Krita draws on a screen of Xvfb.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from conftest import ROOT, RunningServer, begun, choose_server, finished, plugin
from test_krita import DESKTOP, display

TIMING = Path(__file__).with_name("krita_timing.py")
TIMEOUT_S = 600


def measured(home: dict[str, str], screen: str, folder: Path, frame: str, *, hovers: bool) -> dict[str, Any]:
    """One Krita, in which `krita_timing` imports the plugin itself so that it can time that."""
    plugins = Path(home["XDG_DATA_HOME"], "krita", "pykrita")
    (plugins / "driver").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(TIMING, plugins / "driver" / "__init__.py")
    (plugins / "driver.desktop").write_text(DESKTOP)
    Path(home["XDG_CONFIG_HOME"], "kritarc").write_text("[python]\nenable_driver=true\n")
    (folder / "report.json").unlink(missing_ok=True)
    plan = {"frame": frame, "hovers": hovers}
    return finished(
        begun(["krita", "--nosplash"], home | {"DISPLAY": screen}, folder, **plan), folder, TIMEOUT_S
    )


def main() -> None:
    """Two starts of Krita, the first of which compiles the plugin, with three clicks each."""
    frame = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "examples" / "frame.png")
    with tempfile.TemporaryDirectory() as name, display() as screen:
        folder = Path(name)
        (folder / "runtime").mkdir(mode=0o700)
        home = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "PYTHON"))}
        home |= {"HOME": name, "XDG_CONFIG_HOME": f"{name}/.config", "LANG": "C.UTF-8"}
        home |= {"XDG_DATA_HOME": f"{name}/.local/share", "XDG_RUNTIME_DIR": f"{name}/runtime"}
        plugin(home, "install", "krita")
        choose_server(home, RunningServer(sys.argv[1], None))  # type: ignore[arg-type]
        for title, hovers in (("first start", False), ("later start, by a mouse", True)):
            found = measured(home, screen, folder, frame, hovers=hovers)
            print(f"{title}: import {found['import_s'] * 1e3:.0f} ms; {found['message']}")
            for number, click in enumerate(found["clicks"], start=1):
                print(f"  click {number}: {told(click)}", flush=True)


def told(click: dict[str, Any]) -> str:
    """Times in words. Work is the time for which the thread had a core: it is the same on a busy machine."""
    beyond = f"{click['seconds'] - click['server_s']:.2f} s beyond the server's {click['server_s']:.2f} s"
    kinds = (("slice", *click["slice"]), ("work in one", *click["work"]))
    slices = ", ".join(f"longest {kind} {spent_s * 1e3:.0f} ms ({stage})" for kind, spent_s, stage in kinds)
    gaps = f"longest gap {click['gap_s'] * 1e3:.0f} ms with {click['gap_work_s'] * 1e3:.0f} ms of work"
    stages = ", ".join(
        f"{stage} {spent_s:.2f} s with {work_s * 1e3:.0f} ms of work in {ticks} ticks"
        for stage, (spent_s, ticks, work_s) in click["stages"].items()
    )
    return f"{beyond}, {slices}, {gaps}; {stages} {click['error']}"


if __name__ == "__main__":
    main()
