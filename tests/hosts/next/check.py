"""The packed plugins in the hosts of a Debian 13 chroot, against a real server outside. Called by run.sh.

A folder is shared by bind mount: the server's Unix socket, a frame, homes with the unpacked plugins, results.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
DOUGA = [sys.executable, "-m", "douga"]
SHARED = "/douga-next"  # within the chroot
TITLES = {
    "flat area": 0,
    "flat": 0,
    "visible line": 1,
    "shading line": 2,
    "color edge": 3,
    "highlight line": 4,
}
TITLES |= {"book line": 5, "shading fill": 6, "color fill": 7, "highlight fill": 8, "book fill": 9}


@contextmanager
def bound(root: Path, shared: Path) -> Iterator[None]:
    """The shared folder and what hosts need of the system, mounted in the chroot until the block ends."""
    mounts = [
        (["--bind", str(shared)], SHARED),
        (["-t", "proc", "proc"], "/proc"),
        (["--bind", "/dev"], "/dev"),
    ]
    done = []
    try:
        for options, at in mounts:
            (root / at[1:]).mkdir(exist_ok=True)
            subprocess.run(["mount", *options, str(root / at[1:])], check=True)
            done.append(at)
        yield
    finally:
        for at in reversed(done):
            subprocess.run(["umount", "-l", str(root / at[1:])], check=False)


@contextmanager
def serving(shared: Path) -> Iterator[None]:
    """A real `douga serve` on a socket in the shared folder."""
    command = [*DOUGA, "serve", "--address", f"unix:{shared / 's.sock'}"]
    command += ["--discovery-file", str(shared / "run" / "server.json")]
    with (shared / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        if not any(line.startswith("douga serve: ready ") for line in process.stdout):
            raise SystemExit((shared / "server.log").read_text())
        yield
    finally:
        process.kill()
        process.wait()


def inside(root: Path, script: str, timeout_s: float = 300.0) -> str:
    """Run a shell script in the chroot with a home in the shared folder; what it said."""
    setting = f"export HOME={SHARED}/home XDG_RUNTIME_DIR={SHARED}/run LANG=C.UTF-8; cd {SHARED}; "
    command = [
        "chroot",
        str(root),
        "env",
        "-i",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "bash",
        "-c",
        setting + script,
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    return ran.stdout + ran.stderr


def check_gimp(root: Path, shared: Path) -> list[str]:
    """GIMP 3: the procedure without a screen; saved, opened again, compared with the command line."""
    folder = shared / "home" / ".config" / "GIMP" / "3.0" / "plug-ins"
    folder.mkdir(parents=True)
    subprocess.run([*DOUGA, "plugin", "pack", "gimp", "--out", str(shared / "gimp.zip")], check=True)
    with zipfile.ZipFile(shared / "gimp.zip") as pack:
        pack.extractall(folder)
    (folder / "douga_gimp" / "douga_gimp.py").chmod(0o755)
    began_s = time.monotonic()
    (shared / "gimp3.py").write_text((HERE / "gimp3.py").read_text())
    batch = "exec(open('/douga-next/gimp3.py').read())"
    said = inside(
        root, f'gimp-console-3.0 -i -d -f --batch-interpreter=python-fu-eval -b "{batch}" --quit; true'
    )
    took_s = time.monotonic() - began_s
    (shared / "gimp3.log").write_text(said)
    if not (shared / "gimp3.json").exists():
        raise SystemExit(f"GIMP 3 made no result:\n{said}")
    found = json.loads((shared / "gimp3.json").read_text())
    lines = [f"{inside(root, 'gimp-console-3.0 --version').strip().splitlines()[-1]}: {took_s:.1f} s in all"]
    with_ids = cv2.imread(str(shared / "reference" / "cel_mask" / "frame.png"), cv2.IMREAD_GRAYSCALE)
    from PIL import Image

    with Image.open(shared / "reference" / "classes" / "frame.png") as image:
        truth = np.array(image)
    for name, layers in found.items():
        ids, mask = np.full(truth.shape, 255, np.uint8), None
        for place, title in enumerate(layers["titles"]):
            pixels = np.fromfile(shared / f"{name}-{place}.rgba", np.uint8).reshape(*truth.shape, 4)
            if title == "cel":
                mask = np.fromfile(shared / f"{name}-mask.y", np.uint8).reshape(truth.shape)
            else:
                ids[pixels[..., 3] == 255] = TITLES[title]
        same = np.array_equal(ids, truth) and mask is not None and np.array_equal(mask, with_ids)
        differs = int((ids != truth).sum())
        lines.append(
            f"{name}: {'same as the command line' if same else f'DIFFERS in {differs} pixels'};"
            f" layers {', '.join(layers['titles'])}"
        )
    return lines


def main() -> int:
    """Check GIMP 3; print what was found."""
    root = Path(sys.argv[1])
    shared = root.parent / "shared"
    subprocess.run(["rm", "-rf", str(shared)], check=True)
    for name in ("home", "run"):
        (shared / name).mkdir(parents=True, mode=0o700)
    settings = shared / "home" / ".config" / "douga" / "plugins.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"server": f"unix:{SHARED}/s.sock", "start_server": False}))
    settings.chmod(0o600)
    frame = cv2.imread(str(ROOT / "examples" / "frame.png"))
    cv2.imwrite(str(shared / "frame.png"), cv2.resize(frame, (480, 270), interpolation=cv2.INTER_AREA))
    command = [*DOUGA, "reconstruct", str(shared / "frame.png"), "--out", str(shared / "reference")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with serving(shared), bound(root, shared):
        lines = check_gimp(root, shared)
    print("\n".join(lines))
    return 1 if any("DIFFERS" in line for line in lines) else 0


if __name__ == "__main__":
    raise SystemExit(main())
