"""Prints what the plugin costs in Blender: `python tests/hosts/measure_blender.py ADDRESS [frame.png]`.

ADDRESS: of a running server that wants no token, such as unix:/tmp/s.sock. The clicks are timed in the
background, where nothing is drawn; `test_blender.py` clicks on a screen.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from conftest import ROOT, RunningServer, choose_server
from test_blender import Blender


def main() -> None:
    """Register, three clicks, 8K with the client's fake."""
    address = sys.argv[1]
    frame = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "examples" / "frame.png")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "home").mkdir()
        (folder / "runtime").mkdir(mode=0o700)
        home = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "PYTHON"))}
        home |= {"HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "home" / ".config")}
        home |= {"XDG_RUNTIME_DIR": str(folder / "runtime")}
        blender = Blender(home, folder)
        choose_server(home, RunningServer(address, None))  # type: ignore[arg-type]
        found = blender.run("timing", frame=frame, clicks=3, seen=False)
        seen = blender.run("timing", frame=frame, clicks=3, seen=True)
        large = blender.run("large")
    print(
        f"register {found['register_s'] * 1e3:.0f} ms (again, compiled: {large['register_s'] * 1e3:.0f} ms)"
    )
    for title, run in (("first start", found), ("panel seen before", seen)):
        for number, (spent_s, server, slice_s, error) in enumerate(run["clicks"], start=1):
            server_s = sum(server.values())
            beyond = f"{spent_s - server_s:.2f} s beyond the server's {server_s:.2f} s"
            print(f"{title}, click {number}: {beyond}, longest slice {slice_s * 1e3:.0f} ms, error {error}")
    for title, run in (("1080p", found), ("8K", large)):
        told = (
            f"{stage} {work_s * 1e3:.0f} of {step_s * 1e3:.0f} ms" for work_s, step_s, stage in run["steps"]
        )
        print(f"{title}, hardest steps (work of time): {', '.join(told)}")
    print(f"8K with the fake, all of its ticks: {large['seconds']:.2f} s")


if __name__ == "__main__":
    main()
