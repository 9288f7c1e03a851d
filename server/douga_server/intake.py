"""What is held for calls while they are answered: memory and names. For one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from douga_proto.v1 import image_pb2

from douga_server.refusal import Refusal

_BYTES_A_PIXEL = 4  # of an unpacked plane, at most
_RETRY_AFTER_MS = 1000


def announced_bytes(*headers: image_pb2.ImageHeader) -> int:
    """Memory that announced planes take, packed and unpacked. The headers have been checked."""
    return sum(h.encoded_bytes + h.width * h.height * _BYTES_A_PIXEL for h in headers)


class ByteBudget:
    """Bounds the memory of all frames that are being received, wait or are worked on."""

    def __init__(self, total_bytes: int) -> None:
        self._total, self._held = total_bytes, 0
        self._freed = asyncio.Event()

    @property
    def held(self) -> int:
        """Bytes that calls have now."""
        return self._held

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Have `size` bytes for as long as the block takes. Raises Refusal where they are not free."""
        if not self._fits(size):
            raise Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the frames under way take {self._held / 1e6:.0f} MB; with {size / 1e6:.0f} MB for this one "
                f"they would pass the {self._total / 1e6:.0f} MB that this server has; try again soon",
                _RETRY_AFTER_MS,
            )
        self._held += size
        try:
            yield
        finally:
            self.give_back(size)

    async def take(self, size: int) -> None:
        """Wait until `size` bytes are free and have them until `give_back`."""
        while not self._fits(size):
            await self._freed.wait()
        self._held += size

    def give_back(self, size: int) -> None:
        """The other end of `take`."""
        self._held -= size
        self._freed.set()  # wakes everybody who waits now
        self._freed = asyncio.Event()

    def _fits(self, size: int) -> bool:
        # A frame larger than the whole budget goes alone: the limits let it pass, so it must come through.
        return not self._held or self._held + size <= self._total


class CallNames:
    """The ids of the calls under way."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Have a name for as long as the block takes. Raises Refusal where another call has it."""
        if name in self._names:
            raise Refusal(
                grpc.StatusCode.ALREADY_EXISTS,
                f"a call named {name!r} is under way; give each call a name of its own, or none",
            )
        self._names.add(name)
        try:
            yield
        finally:
            self._names.remove(name)
