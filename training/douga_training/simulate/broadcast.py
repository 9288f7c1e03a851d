"""The broadcast twin: what is left of a composite after the grade, the transfer and the encoder. Same truth.

Lines in a tint of their paint, a day, dusk, night or pale grade, bloom, 720 or 810 lines and back, grain, and
H.264 from a short moving clip. Nothing here moves a line: the twin is held against its truth by a test.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.compositing import (
    Compositing,
    Layers,
    add_grain,
    composite,
    dress_background,
    finish,
    over,
)
from douga_training.simulate.sheet import CelArt
from douga_training.simulate.tints import tints

U8 = NDArray[np.uint8]

_DOWN = {"area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}
_UP = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}

_TINT_WINDOW_PX = 13  # around a line's pixel, where the paint that tints it is looked for

_LUMA = np.array([0.2126, 0.7152, 0.0722])
_FULL_YUV = np.stack([_LUMA, (np.array([0, 0, 1]) - _LUMA) / 1.8556, (np.array([1, 0, 0]) - _LUMA) / 1.5748])
_LIMITED = _FULL_YUV * np.array([[219], [224], [224]]) / 255
_ZERO = np.array([16.0, 128.0, 128.0])
_TO_YUV = np.column_stack([_LIMITED, _ZERO])  # (3, 4): RGB 0 to 255 to BT.709 limited range
_TO_RGB = np.column_stack([np.linalg.inv(_LIMITED), -np.linalg.inv(_LIMITED) @ _ZERO])


@dataclass(frozen=True)
class Broadcast:
    """How a composite is graded and transferred.

    grade: "day", "dusk", "night" or "pale", for the record; its numbers are in `compositing`. line_tint and
    tint_depth: as `Sheet.resolve`. native_lines: height of a whole frame before it is enlarged, 0 for none.
    down, up: resampling. encode_native: True encodes the small frame, False the enlarged one. crf: of H.264.
    move: "pan" (camera), "slide" (the background moves under a held cel) or "hold"; move_px: per frame, at
    the encoded size. picked: number of the frame that is kept, of `length`.
    """

    compositing: Compositing
    grade: str = "day"
    line_tint: float = 0.7
    tint_depth: float = 0.4
    native_lines: int = 720
    down: str = "area"
    up: str = "cubic"
    encode_native: bool = False
    grain: float = 1.5
    crf: int = 24
    preset: str = "veryfast"
    move: str = "pan"
    move_px: tuple[int, int] = (2, 0)
    picked: int = 2
    length: int = 4


def sample_broadcast(rng: np.random.Generator, base: Compositing) -> Broadcast:
    """Settings of the twin of a frame that was composited with `base`."""
    name = str(rng.choice(["day", "dusk", "night", "pale"], p=[0.5, 0.16, 0.17, 0.17]))
    changed = replace(
        base,
        grain=0.0,
        jpeg_quality=0,
        bloom=float(rng.uniform(0.1, 0.55)) if rng.random() < 0.6 else 0.0,
        cel_gradient=max(base.cel_gradient, float(rng.uniform(0.1, 0.5)) if rng.random() < 0.4 else 0.0),
        cel_rim=max(base.cel_rim, float(rng.uniform(0.1, 0.4)) if rng.random() < 0.2 else 0.0),
        glow=max(base.glow, float(rng.uniform(0.1, 0.45)) if rng.random() < 0.25 else 0.0),
        **_grade(rng, name),
    )
    length = int(rng.integers(4, 6))
    move = str(rng.choice(["pan", "slide", "hold"], p=[0.45, 0.35, 0.2]))
    step = rng.integers(-6, 7, 2)
    return Broadcast(
        compositing=changed,
        grade=name,
        line_tint=float(rng.uniform(0.3, 1.0)),
        tint_depth=float(rng.uniform(0.25, 0.55)),
        native_lines=int(rng.choice([720, 810, 0], p=[0.5, 0.35, 0.15])),
        down=str(rng.choice(list(_DOWN), p=[0.6, 0.25, 0.15])),
        up=str(rng.choice(list(_UP), p=[0.25, 0.45, 0.3])),
        encode_native=bool(rng.random() < 0.3),
        grain=float(rng.uniform(0.4, 3.5)) if rng.random() < 0.7 else 0.0,
        crf=int(rng.integers(22, 29)),
        preset=str(rng.choice(["veryfast", "fast"], p=[0.75, 0.25])),
        move=move,
        move_px=(int(step[0]), int(step[1])) if move != "hold" else (0, 0),
        picked=int(rng.integers(1, length)),
        length=length,
    )


def _grade(rng: np.random.Generator, name: str) -> dict[str, Any]:
    """Gain, lift, gamma and saturation of a grade, each a little different every time."""
    jitter = rng.normal(1.0, 0.025, 3)
    if name == "dusk":
        gain, lift, gamma, saturation = (
            (1.04, 0.83, 0.66),
            0.02,
            rng.uniform(0.95, 1.25),
            rng.uniform(0.7, 1.05),
        )
    elif name == "night":
        level = rng.uniform(0.52, 0.88)
        gain = (0.66 * level, 0.8 * level, 1.12 * level)
        lift, gamma, saturation = rng.uniform(0.01, 0.06), rng.uniform(0.8, 1.1), rng.uniform(0.45, 0.8)
    elif name == "pale":
        gain, lift, gamma, saturation = (
            (1.0, 0.99, 0.97),
            rng.uniform(0.05, 0.15),
            0.85,
            rng.uniform(0.4, 0.8),
        )
    else:
        gain, lift, gamma, saturation = (1.0, 0.99, 0.97), rng.uniform(0, 0.04), rng.uniform(0.85, 1.15), 1.0
        saturation = rng.uniform(0.85, 1.2)
    return {
        "gain_rgb": tuple(float(g) for g in np.array(gain) * jitter),
        "lift": float(lift),
        "gamma": float(gamma),
        "saturation": float(saturation),
    }


def tint_lines(art: CelArt, line_tint: float, tint_depth: float) -> CelArt:
    """Tint the visible lines of a cel that has no sheet any more (a scanned or painted one).

    The tint of the paint beside a line is laid under it where the line is darker; see `Sheet.resolve`.
    """
    line = cv2.compare(art.ids, 1, cv2.CMP_EQ)
    near = cv2.dilate(line, np.ones((3, 3), np.uint8))
    paint = cv2.bitwise_and(cv2.compare(art.alpha, 254, cv2.CMP_GT), cv2.bitwise_not(near))
    held = cv2.bitwise_and(art.rgb, art.rgb, mask=paint)
    tint = tints(held, paint, _TINT_WINDOW_PX, tint_depth)
    lifted = cv2.max(art.rgb, cv2.addWeighted(art.rgb, 1 - line_tint, tint, line_tint, 0))
    return CelArt(cv2.copyTo(lifted, near, art.rgb.copy()), art.alpha, art.ids)


def broadcast(layers: Layers, settings: Broadcast, rng: np.random.Generator, *, frame_height_px: int) -> U8:
    """Grade, transfer and encode a composite. Returns (H, W, 3) RGB, pixel on pixel with the truth.

    layers: with the lines already tinted. frame_height_px: height of the whole frame, where the layers are a
    window of it, so that 720 lines mean the same there.
    """
    h, w = layers.art.alpha.shape
    picture = composite(layers, settings.compositing, rng)
    scale = min(1.0, settings.native_lines / frame_height_px) if settings.native_lines else 1.0
    native_wh = max(16, round(w * scale)), max(16, round(h * scale))
    coded_wh = native_wh if settings.encode_native else (w, h)

    def transfer(image: U8) -> U8:
        small = _resize(image, native_wh, _DOWN[settings.down])
        return _resize(small, coded_wh, _UP[settings.up])

    clip = _clip(transfer(picture), layers, settings, transfer, rng)
    shown = encode(clip, crf=settings.crf, preset=settings.preset)[settings.picked]
    return _resize(shown, (w, h), _UP[settings.up])


def _resize(image: U8, size_wh: tuple[int, int], interpolation: int) -> U8:
    if (image.shape[1], image.shape[0]) == size_wh:
        return image
    return cv2.resize(image, size_wh, interpolation=interpolation)


def _clip(
    picture: U8,
    layers: Layers,
    settings: Broadcast,
    transfer: Callable[[U8], U8],
    rng: np.random.Generator,
) -> list[U8]:
    """The frames around the picked one, which is `picture` itself; each with its own grain."""
    h, w = picture.shape[:2]
    slide = settings.move == "slide"
    if slide:  # what moves is the background; the cel, and what lies on it, is held
        plate = dress_background(layers.background, settings.compositing)
        plate = transfer(finish(plate, replace(settings.compositing, bloom=0.0), rng))
        held = _resize(layers.art.alpha, (w, h), cv2.INTER_LINEAR)
    frames = []
    for number in range(settings.length):
        away = number - settings.picked
        image = picture
        if away and settings.move != "hold":
            move = np.array([[1.0, 0, settings.move_px[0] * away], [0, 1.0, settings.move_px[1] * away]])
            moved = plate if slide else picture
            image = cv2.warpAffine(
                moved, move, (w, h), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT
            )
            image = over(image, picture, held) if slide else image
        frames.append(add_grain(image, settings.grain, rng) if settings.grain > 0 else image)
    return frames


def encode(clip: list[U8], *, crf: int, preset: str = "veryfast") -> list[U8]:
    """Send frames through H.264 (yuv420p, in memory) and back. All (H, W, 3) RGB of one size; returns the
    same.

    The same frames give the same bytes: one thread, whole macroblocks of 16 px (borders repeated), and no
    macroblock tree, which reads uninitialised memory on CPUs with AVX-512.
    """
    h, w = clip[0].shape[:2]
    low, right = -h % 16, -w % 16
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        options = {"crf": str(crf), "preset": preset, "threads": "1", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=Fraction(24), options=options)
        stream.width, stream.height, stream.pix_fmt = w + right, h + low, "yuv420p"
        stream.codec_context.thread_count = 1
        for image in clip:
            whole = cv2.copyMakeBorder(image, 0, low, 0, right, cv2.BORDER_REPLICATE)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_to_yuv420(whole), format="yuv420p")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        container.streams.video[0].codec_context.thread_count = 1
        shown = [
            _from_yuv420(np.asarray(frame.to_ndarray(), np.uint8)) for frame in container.decode(video=0)
        ]
    return [np.ascontiguousarray(image[:h, :w]) for image in shown]


def _to_yuv420(rgb: U8) -> U8:
    """(H, W, 3) RGB, sides even, to the planes that PyAV takes: (H * 3 / 2, W), BT.709, limited range."""
    h, w = rgb.shape[:2]
    luma, *chroma = cv2.split(cv2.transform(rgb, _TO_YUV))
    half = [cv2.resize(c, (w // 2, h // 2), interpolation=cv2.INTER_AREA).reshape(-1, w) for c in chroma]
    return np.vstack([luma, *half])


def _from_yuv420(planes: U8) -> U8:
    h, w = planes.shape[0] * 2 // 3, planes.shape[1]
    chroma = planes[h:].reshape(2, h // 2, w // 2)
    wide = [cv2.resize(c, (w, h), interpolation=cv2.INTER_LINEAR) for c in chroma]
    return cv2.transform(cv2.merge([planes[:h], *wide]), _TO_RGB)
