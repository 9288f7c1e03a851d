"""`douga serve` as a process to be attacked: fake weights, and so little patience that no test has to wait.

`serve_attacked.py FORM_OF_LOG [arguments of douga serve]`, with tests/server in PYTHONPATH.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from douga_server import command, logs, serve
from douga_server.batcher import QueueLimits
from douga_server.jobs import Answer, Job, OnProgress
from douga_server.options import FrontOptions, ServiceOptions
from fronts import FakeBackend
from hostile import MAX_BYTES_HELD, MAX_CONNECTIONS

from douga.errors import DougaError

OPTIONS = FrontOptions(
    service=ServiceOptions(
        message_timeout_s=2.0,
        receive_timeout_s=5.0,
        send_timeout_s=2.0,
        pause_timeout_s=3.0,
        max_bytes_held=MAX_BYTES_HELD,
    ),
    max_calls=64,
    max_connections=MAX_CONNECTIONS,
    handshake_timeout_s=2.0,
    keepalive_s=2.0,
    keepalive_timeout_s=2.0,
)


class ForgetfulBackend(FakeBackend):
    """Keeps no job, whose memory would look like a leak."""

    async def run(self, batch: Sequence[Job], on_progress: Sequence[OnProgress]) -> list[Answer | DougaError]:
        answers = await super().run(batch, on_progress)
        self.seen.clear()
        return answers


if __name__ == "__main__":
    form, *rest = sys.argv[1:]
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    logs.set_up(form)
    plan = command.plan(parser.parse_args(rest))
    sys.exit(
        serve.run(replace(plan, make_backend=lambda: (ForgetfulBackend(), QueueLimits()), options=OPTIONS))
    )
