"""Video files -> frames, decoded in order and one at a time, with the stream's own colour matrix and range.

Broadcast video (BT.709) and sRGB share their primaries, and players show the one as the other, so only
matrix and range are undone here, and no transfer curve.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from douga.errors import InputError
from douga.image_header import check_size
from douga.srgb import composited_on_white
from douga.types import Frame

if TYPE_CHECKING:
    import av

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mkv", ".mov", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts"})
_HD_LINES = 720  # below, an undeclared matrix means BT.601, as players take it
_BT601, _BT709 = 5, 1
# Codes of the H.273 matrix that swscale knows, and what it calls them.
_MATRICES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020", 10: "BT.2020"}
_HDR = {16: "PQ", 18: "HLG"}
_LIMITED, _FULL = 1, 2
_TAGGED = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d*)?)")


@dataclass(frozen=True)
class DecodedFrame:
    """Frame `number` (from 1) of a video, still in the video's own colours; or the error met in its place."""

    number: int
    path: Path
    picture: av.VideoFrame | None
    error: str = ""

    def to_frame(self, name: str) -> Frame:
        """Convert it to sRGB. Raises InputError where it could not be decoded."""
        if self.picture is None:
            raise InputError(f"{self.path}: frame {self.number}: {self.error}")
        notes: list[str] = []
        rgb = _to_rgb(self.picture, notes)
        return Frame(rgb, name, tuple(notes), self.number)


def count_frames(path: Path) -> int | None:
    """How many frames a video says it has (an estimate in some formats), or None where it does not say.

    Raises InputError where it cannot be opened, holds no pictures or pictures that are too large.
    """
    with _open(path) as container:
        stream = container.streams.video[0]
        if stream.frames:
            return int(stream.frames)
        if container.duration and stream.average_rate:
            return max(1, round(container.duration / 1e6 * float(stream.average_rate)))
    return None


def decode(path: Path) -> Iterator[DecodedFrame]:
    """The frames of a video in the order shown. What cannot be decoded comes as one with an error."""
    import av

    number, end = 0, 0.0
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        due = _length_s(container, stream)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                pictures = packet.decode() if packet is not None else []
            except av.error.FFmpegError as exc:
                number += 1
                yield DecodedFrame(number, path, None, f"cannot be decoded ({exc.strerror}); encode it again")
                continue
            if packet is None:
                break
            for picture in pictures:
                number += 1
                end = max(end, _end_s(picture))
                yield DecodedFrame(number, path, picture)
    if number == 0 or (due is not None and end < due):
        yield DecodedFrame(
            number + 1, path, None, f"the video is cut short after {number} frames; copy or encode it again"
        )


def _open(path: Path) -> Any:
    """An opened container with at least one video stream of a size that Douga takes."""
    import av

    try:
        container = av.open(str(path.absolute()))  # "Re:Zero 01.mp4" alone would be of the protocol "Re"
    except av.error.PermissionError as exc:
        raise InputError(f"{path}: permission denied; make the file readable (chmod +r)") from exc
    except av.error.FFmpegError as exc:
        raise InputError(f"{path}: no video that can be opened ({exc.strerror}); encode it again") from exc
    try:
        if not container.streams.video:
            raise InputError(f"{path}: there are no pictures in it; name a video with a video stream")
        context = container.streams.video[0].codec_context
        if context is None:
            raise InputError(f"{path}: its video codec is not known here; encode it as H.264")
        check_size((context.width, context.height), path)
    except BaseException:
        container.close()
        raise
    return container


def _length_s(container: Any, stream: Any) -> float | None:
    """Until when there should be pictures, in seconds, less some slack; None where not known."""
    start = float((stream.start_time or 0) * stream.time_base)
    if stream.duration:
        length = float(stream.duration * stream.time_base)
    elif (tagged := _tagged_length_s(stream)) is not None:
        # Some writers count from the beginning of the file, not the stream; some copy a longer file's tag.
        length, start = min(tagged, (container.duration or tagged * 1e6) / 1e6), 0.0
    elif container.duration and len(container.streams) == 1:
        length = container.duration / 1e6
    else:
        return None
    rate = float(stream.average_rate or 24)
    return start + length - max(3 / rate, 0.02 * length)


def _tagged_length_s(stream: Any) -> float | None:
    """What a Matroska says of one stream among several: DURATION or DURATION-eng, 00:00:04.167000000."""
    for key, value in stream.metadata.items():
        found = _TAGGED.fullmatch(value)
        if found is not None and key.upper().partition("-")[0] == "DURATION":
            return 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3])
    return None


def _end_s(picture: av.VideoFrame) -> float:
    return float(picture.time or 0.0) + float((picture.duration or 0) * (picture.time_base or 0))


def _to_rgb(picture: av.VideoFrame, notes: list[str]) -> np.ndarray:
    """(H, W, 3) uint8 sRGB; appends to notes."""
    from av.video.reformatter import Interpolation

    layout = picture.format
    has_alpha = any(c.is_alpha for c in layout.components)
    target = "rgba" if has_alpha else "rgb24"
    if layout.is_rgb or layout.name.startswith(("gbr", "pal8")):
        converted = picture.reformat(format=target)
    else:
        matrix, full = _matrix_and_range(picture, notes)
        converted = picture.reformat(
            format=target,
            src_colorspace=matrix,
            dst_colorspace=matrix,  # of no effect on RGB, but swscale wants the two alike
            src_color_range=_FULL if full else _LIMITED,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        )
    pixels = converted.to_ndarray().astype(np.uint8, copy=False)
    _tell_what_is_left(picture, notes)
    rgb = pixels[..., :3]
    if has_alpha:
        rgb = composited_on_white(rgb, pixels[..., 3], notes)
    if picture.rotation:
        notes.append(f"turned by {picture.rotation} degrees as the video says")
        rgb = np.rot90(rgb, round(picture.rotation / 90))
    return np.ascontiguousarray(rgb)


def _matrix_and_range(picture: av.VideoFrame, notes: list[str]) -> tuple[int, bool]:
    """swscale's code of the colour matrix, and whether the range is full; by the usual rule if not said."""
    matrix, declared = int(picture.colorspace), "declared"
    if matrix not in _MATRICES:
        matrix, declared = (_BT709 if picture.height >= _HD_LINES else _BT601), "assumed"
    matrix_note = f"{_MATRICES[matrix]} ({declared})"
    full = int(picture.color_range) == _FULL or picture.format.name.startswith("yuvj")
    range_note = "declared" if int(picture.color_range) or full else "assumed"
    notes.append(
        f"converted to sRGB from {matrix_note}, {'full' if full else 'limited'} range ({range_note}) video"
    )
    return {6: _BT601, 10: 9}.get(matrix, matrix), full


def _tell_what_is_left(picture: av.VideoFrame, notes: list[str]) -> None:
    """What the stream says and the conversion does not undo."""
    bits = max(c.bits for c in picture.format.components)
    if bits > 8:
        notes.append(f"{bits} bits a channel reduced to 8")
    if int(picture.color_trc) in _HDR:
        notes.append(f"HDR video ({_HDR[int(picture.color_trc)]}) is not tone mapped; colours will look flat")
    elif int(picture.color_primaries) == 9:
        notes.append("BT.2020 primaries are taken as sRGB's; colours will look pale")
    if picture.interlaced_frame:
        notes.append("interlaced video is not deinterlaced; moving edges may be combed")
