"""The one interface behind the front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from douga.errors import DougaError
from douga_server.jobs import AnyAnswer, AnyJob, Description, OnProgress


class Backend(Protocol):
    """Takes batches of jobs apart. One test suite runs on all of them, and their answers are equal bytes."""

    @property
    def slots(self) -> int:
        """Batches that it can work on side by side now; the batcher gives it no more."""
        ...

    async def start(self) -> Description:
        """Load the weights; return when a batch could be taken. Raises CheckpointError, DeviceError."""
        ...

    async def run(
        self, batch: Sequence[AnyJob], on_progress: Sequence[OnProgress]
    ) -> list[AnyAnswer | DougaError]:
        """Take a batch apart: one answer or error a job, in order; they come together, when all are there.

        on_progress: one a job, called on the loop. It may raise `Stopped` where nobody waits for that job any
        more; a backend that can then stops that job and puts a BackendError in its place, which is dropped.

        Cancelling the coroutine stops the work within one step of a network (some tenths of a second) and
        frees the slot. Raises BackendError where the whole batch is lost.
        """
        ...

    async def reload(self) -> Description:
        """Load the weights anew. Batches under way end with the old ones; the next ones have the new.

        Raises CheckpointError, and goes on with the old ones, where the new cannot be used.
        """
        ...

    async def close(self) -> None:
        """Give everything back. Nothing is under way when it is called."""
        ...
