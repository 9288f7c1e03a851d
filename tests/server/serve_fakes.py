"""`douga serve` with fake weights, as a process for tests: `serve_fakes.py [arguments of douga serve]`.

While the file $HOLD exists, frames and, with $HOLD_LOADING, the loading of the weights are held up. The file
$HOLD.held tells that a frame has been. With $BROKEN_RELOAD loading anew fails, with $HOLD_RELOAD it never
ends and $HOLD tells that it has begun.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from douga_server import command, logs, serve
from douga_server.batcher import QueueLimits
from douga_server.jobs import Answer, Description, Job, OnProgress
from fronts import FakeBackend

from douga.errors import DougaError

HOLD = Path(os.environ.get("HOLD", "/nonexistent"))


class HeldBackend(FakeBackend):
    """Waits for a file to go."""

    async def start(self) -> Description:
        if "HOLD_LOADING" in os.environ:
            await asyncio.to_thread(_wait)
        return await super().start()

    async def reload(self) -> Description:
        if "BROKEN_RELOAD" in os.environ:
            raise MemoryError("there is no room for two sets of weights")
        while "HOLD_RELOAD" in os.environ:
            HOLD.touch()
            await asyncio.sleep(0.02)
        return await super().reload()

    async def run(self, batch: Sequence[Job], on_progress: Sequence[OnProgress]) -> list[Answer | DougaError]:
        while HOLD.exists():
            HOLD.with_suffix(".held").touch()
            await asyncio.sleep(0.02)
        return await super().run(batch, on_progress)


def _wait() -> None:
    while HOLD.exists():
        time.sleep(0.02)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args()
    logs.set_up("json")
    plan = command.plan(args)
    sys.exit(serve.run(replace(plan, make_backend=lambda: (HeldBackend(), QueueLimits()))))
