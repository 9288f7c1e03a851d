"""An image of the host's. Light, as everything is that a plugin loads before there is something to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import ClientError, Kind

Region = tuple[int, int, int, int]  # x, y, width, height
CHANNELS = {"GRAY8": 1, "RGB8": 3, "RGBA8": 4, "BGRA8": 4}


@dataclass(frozen=True)
class Pixels:
    """An image: 8 bits a channel, sRGB, rows from the top left without padding.

    layout: "GRAY8", "RGB8", "RGBA8" or "BGRA8", straight alpha. data: width * height * channels bytes; keep
    them as they are while a job has them. Raises ClientError for any other length.
    """

    width: int
    height: int
    layout: str
    data: bytes | bytearray | memoryview = field(repr=False)

    def __post_init__(self) -> None:
        if self.layout not in CHANNELS:
            raise _bad(f"a layout {self.layout!r}; expected one of {', '.join(CHANNELS)}")
        if self.width < 1 or self.height < 1:
            raise _bad("the image is empty; it needs at least one pixel")
        size = memoryview(self.data).nbytes
        if size != (expected := self.width * self.height * self.channels):
            raise _bad(
                f"{size} bytes for {self.width} x {self.height} px of {self.layout}; expected {expected}"
            )

    @property
    def channels(self) -> int:
        """1, 3 or 4."""
        return CHANNELS[self.layout]


def _bad(said: str) -> ClientError:
    return ClientError(Kind.BAD_REQUEST, said=said)
