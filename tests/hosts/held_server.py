"""`douga serve` with fake weights for what goes wrong; runs as a process: `held_server.py [its arguments]`.

While the file $HOLD exists no frame is answered. $VERSION: what it says to be, instead of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from conftest import RunningServer, announced

SERVER_TESTS = Path(__file__).parents[1] / "server"


@dataclass(frozen=True)
class HeldServer(RunningServer):
    """A server whose frames wait while the file `hold` exists."""

    hold: Path = Path()


@contextmanager
def held_server(folder: Path, *arguments: str, version: str = "") -> Iterator[HeldServer]:
    """One on a Unix socket in `folder`, until the block ends."""
    folder.mkdir(mode=0o700)
    hold, address = folder / "hold", f"unix:{folder / 's.sock'}"
    environment = {**os.environ, "HOLD": str(hold), "VERSION": version}
    command = [sys.executable, __file__, "--address", address, *arguments]
    with announced(command, folder, environment) as process:
        yield HeldServer(address, process, hold=hold)


def main() -> None:
    import douga

    douga.__version__ = os.environ.get("VERSION") or douga.__version__
    sys.path.insert(0, str(SERVER_TESTS))
    from douga_server import command, logs, serve
    from douga_server.batcher import QueueLimits
    from serve_fakes import HeldBackend

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args()
    logs.set_up("json")
    limits = QueueLimits(max_queued=args.max_queued)
    sys.exit(serve.run(replace(command.plan(args), make_backend=lambda: (HeldBackend(), limits))))


if __name__ == "__main__":
    main()
