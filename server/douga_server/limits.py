"""What a call may bring. Everything is checked by its header, before any memory is taken for it."""

from __future__ import annotations

from dataclasses import dataclass

from douga.errors import DougaError, InputError
from douga.image_header import MAX_PIXELS, MAX_SIDE_PX

_PNG_SPARE_BYTES = 1 << 16  # the small chunks that paint programs put into a PNG
_MESSAGE_SPARE_BYTES = 1 << 16  # what a message has around a chunk; a start with a full palette fits too


class LimitError(DougaError):
    """A request that may be sound but is larger than this server takes (RESOURCE_EXHAUSTED)."""


@dataclass(frozen=True)
class Limits:
    """What a call may bring. Every check raises LimitError.

    max_pixels: of a frame. The default, 2**26, takes an 8K frame (7680 x 4320, 33 million) twice over, a
    square of 8192 px and a pan of 16384 x 4096 px, while stage two's classes of it (20 bytes a pixel) still
    fit into 1.4 GB. max_side_px: as for files. max_chunk_bytes: of one chunk. max_queued: frames that may
    wait.
    """

    max_pixels: int = 1 << 26
    max_side_px: int = MAX_SIDE_PX
    max_chunk_bytes: int = 1 << 20
    max_queued: int = 64

    def __post_init__(self) -> None:
        if min(self.max_side_px, self.max_chunk_bytes, self.max_queued) < 1:
            raise InputError(f"{self}: each limit is at least 1")
        if not 1 <= self.max_pixels <= MAX_PIXELS:
            raise InputError(f"max_pixels {self.max_pixels}: expected 1 to {MAX_PIXELS}, what files may have")

    @property
    def max_encoded_bytes(self) -> int:
        """Bytes of the largest packed plane that is taken: max_pixels of four channels, 1 px wide."""
        return most_bytes(1, self.max_pixels, 4)

    @property
    def max_message_bytes(self) -> int:
        """For gRPC's own limit, `grpc.max_receive_message_length`: no sound message is larger."""
        return self.max_chunk_bytes + _MESSAGE_SPARE_BYTES

    def check_size(self, width: int, height: int, what: str) -> None:
        """what: "the frame", for the message."""
        if max(width, height) > self.max_side_px or width * height > self.max_pixels:
            raise LimitError(
                f"{what} is announced as {width} x {height} px; this server takes at most "
                f"{self.max_side_px} px a side and {self.max_pixels / 1e6:.1f} megapixels, "
                "so scale it down or cut it"
            )

    def check_chunk(self, size_bytes: int) -> None:
        """size_bytes: of the chunk's data."""
        if size_bytes > self.max_chunk_bytes:
            raise LimitError(
                f"a chunk of {size_bytes} bytes; at most {self.max_chunk_bytes} are taken, so send the plane "
                "in more chunks"
            )


DEFAULT_LIMITS = Limits()


def most_bytes(width: int, height: int, channels: int) -> int:
    """Most bytes that a plane needs however it is packed: noise in a PNG, which has a byte more a row."""
    row_bytes = width * channels + 1
    return height * row_bytes + height * row_bytes // 64 + _PNG_SPARE_BYTES
