"""Books: painted foreground that stands in front of the cel and hides parts of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np

from douga.errors import InputError
from douga.types import U8
from douga_training.simulate.chance import pick
from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import foliage, painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.light import blend, pick_light
from douga_training.simulate.sheet import Points, Rgb


def _rect(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def _material(easel: Easel) -> tuple[Rgb, Rgb, Rgb]:
    """Shadow, middle and lit paint of a made thing: wood, stone, plaster, metal or lacquer."""
    rng, light = easel.rng, easel.light
    kind = rng.choice(["wood", "stone", "paint", "metal"], p=[0.4, 0.2, 0.22, 0.18])
    if kind == "wood":
        own = rgb_of(rng.uniform(0.04, 0.11), rng.uniform(0.25, 0.65), rng.uniform(0.25, 0.8))
    elif kind == "paint":
        own = rgb_of(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.4, 0.95))
    else:
        own = rgb_of(rng.uniform(0.05, 0.65), rng.uniform(0.0, 0.15), rng.uniform(0.2, 0.85))
    return light.lit(own, 0.05), light.lit(own, 0.6), light.lit(own, 1.1)


def _bushes(easel: Easel) -> None:
    rng = easel.rng
    w, h = easel.size_wh
    left = rng.uniform(-0.1, 0.6)
    right = left + rng.uniform(0.4, 1.3)
    high = rng.uniform(0.1, 0.34)
    leaf = rng.uniform(22, 60)
    for _ in range(int(rng.integers(3, 8))):
        radius = high * h * rng.uniform(0.7, 1.3)
        place = rng.uniform(left, right) * w, h * rng.uniform(0.94, 1.06)
        foliage.bush(easel, place, (radius * rng.uniform(1.1, 1.8), radius), leaf, 600)


def _grass(easel: Easel) -> None:
    rng = easel.rng
    _, h = easel.size_wh
    tall = rng.uniform(0.12, 0.5) * h
    count = int(rng.integers(60, 500))
    tones = foliage.leaf_tones(easel)
    foliage.blades(easel, (1.01 * h, 1.06 * h), (tall * 0.6, tall), count, tones, rng.normal(0, 0.25))


def _trunk(easel: Easel) -> None:
    rng = easel.rng
    w, h = easel.size_wh
    x = w * (rng.uniform(-0.03, 0.25) if rng.random() < 0.5 else rng.uniform(0.75, 1.03))
    foot, top = (x, 1.05 * h), (x + rng.normal(0, 0.07) * w, -0.05 * h)
    foliage.trunk(easel, foot, top, w * rng.uniform(0.06, 0.2))
    if rng.random() < 0.5:
        foliage.bush(easel, top, (0.3 * h, 0.2 * h), rng.uniform(20, 50), 500)


def _branches(easel: Easel) -> None:
    """Leafy twigs that hang in from a top corner."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    left = rng.random() < 0.5
    tones = foliage.leaf_tones(easel)
    wood = easel.light.lit((92, 70, 56), rng.uniform(0, 0.7))
    leaf, slender = rng.uniform(26, 90) * u, rng.uniform(0.25, 0.6)
    for _ in range(int(rng.integers(2, 7))):
        t = np.linspace(0, 1, 12)
        start = np.array([-0.02 * w, rng.uniform(-0.1, 0.3) * h])
        reach = np.array([rng.uniform(0.15, 0.6) * w, rng.uniform(-0.15, 0.3) * h])
        twig = start + t[:, None] * reach + (t**2)[:, None] * np.array([0, rng.uniform(0, 0.2) * h])
        if not left:
            twig[:, 0] = w - twig[:, 0]
        for i in range(11):
            painting.path(easel.rgb, twig[i : i + 2], wood, (1.1 - t[i]) * 16 * u)
        count = int(rng.integers(40, 170))
        at = twig[rng.integers(1, 12, count)] + rng.normal(0, leaf * 0.7, (count, 2))
        shapes = foliage.leaf_shapes(rng, at, leaf, slender, rng.uniform(0.2, 1.4))
        tone = np.sort(np.clip(rng.normal(3, 1.7, count), 0, 6).astype(int))
        painting.convexes(easel.rgb, shapes, np.clip(tones[tone] + rng.normal(0, 4, (count, 1)), 0, 255))


def _desk(easel: Easel) -> None:
    """A table edge along the bottom, sometimes with things on it."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    dark, middle, lit = _material(easel)
    top, tilt = h * rng.uniform(0.72, 0.93), rng.normal(0, 0.04) * h
    edge = top + rng.uniform(0.03, 0.16) * h
    left, right = (
        (-5.0, w + 5.0) if rng.random() < 0.6 else (rng.uniform(-0.1, 0.3) * w, rng.uniform(0.7, 1.1) * w)
    )
    inset = rng.uniform(0.0, 0.08) * w
    easel.shape(
        np.array([[left + inset, top], [right - inset, top + tilt], [right, edge + tilt], [left, edge]]),
        middle,
    )
    for _ in range(int(rng.integers(0, 30))):
        y, x = rng.uniform(top + 0.1 * (edge - top), edge), rng.uniform(left + inset, right - inset)
        grain = np.array([[x, y + tilt * (x - left) / w], [x + 0.1 * w, y + tilt * (x + 0.1 * w - left) / w]])
        if left + inset < x < right - inset - 0.1 * w and abs(tilt) < 0.02 * h:
            painting.path(easel.rgb, grain, easel.vary(blend(middle, dark, 0.25)), u)
    lip = rng.uniform(6, 40) * u
    easel.shape(
        np.array([[left, edge], [right, edge + tilt], [right, edge + tilt + lip], [left, edge + lip]]), lit
    )
    below = blend(dark, (0, 0, 0), 0.25)
    inner = rng.uniform(0, 0.05) * w
    easel.shape(
        np.array(
            [
                [left + inner, edge + lip],
                [right - inner, edge + tilt + lip],
                [right - inner, h + 5],
                [left + inner, h + 5],
            ]
        ),
        below,
    )
    for _ in range(int(rng.integers(0, 4))):
        _object(easel, rng.uniform(0.1, 0.9) * w, top + rng.uniform(0.2, 0.9) * (edge - top))


def _object(easel: Easel, x: float, foot_y: float) -> None:
    """A cup, a bottle or a pile of books that stands on a table."""
    rng = easel.rng
    dark, middle, lit = _material(easel)
    size = rng.uniform(0.05, 0.14) * easel.size_wh[1]
    if rng.random() < 0.5:
        wide, tall = size * rng.uniform(0.3, 0.6), size * rng.uniform(0.7, 1.6)
        for share, tone in ((1.0, dark), (0.7, middle), (0.2, lit)):
            edge = x - wide + 2 * wide * share
            easel.shape(_rect(x - wide, foot_y - tall, edge, foot_y), tone)
        rim = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        easel.shape(
            np.stack([x + wide * np.cos(rim), foot_y - tall + 0.25 * wide * np.sin(rim)], -1),
            blend(middle, lit, 0.6),
        )
        return
    for i in range(int(rng.integers(1, 5))):
        dark, middle, lit = _material(easel)
        wide, thick, shift = size * rng.uniform(0.7, 1.1), size * 0.18, rng.normal(0, 0.08) * size
        y = foot_y - i * thick
        easel.shape(_rect(x - wide + shift, y - thick, x + wide + shift, y), middle)
        easel.shape(
            _rect(x - wide + shift, y - thick * 0.75, x + wide * 0.95 + shift, y - thick * 0.2),
            easel.light.lit((240, 236, 224), 0.7),
        )


def _pillar(easel: Easel) -> None:
    """A column, wall end or door frame from top to bottom, in lit and shaded bands."""
    rng = easel.rng
    w, h = easel.size_wh
    dark, middle, lit = _material(easel)
    wide = w * rng.uniform(0.05, 0.26)
    x = (
        -0.02 * w
        if rng.random() < 0.4
        else w * 1.02 - wide
        if rng.random() < 0.5
        else rng.uniform(0, 1) * w - wide / 2
    )
    lean = rng.normal(0, 0.01) * w
    round_one = rng.random() < 0.4
    bands = 24 if round_one else 3
    cuts = (
        np.linspace(0, 1, bands + 1)
        if round_one
        else np.array([0, rng.uniform(0.05, 0.3), rng.uniform(0.6, 0.95), 1])
    )
    for i in range(bands):
        t = (i + 0.5) / bands
        depth = (
            0.5 + 0.5 * np.cos((t - (0.3 if easel.light.side < 0 else 0.7)) * 4.2)
            if round_one
            else (0.1, 0.6, 0.3)[i]
        )
        tone = (
            blend(dark, lit, float(depth))
            if round_one
            else blend(dark, middle if i != 1 else lit, float(depth))
        )
        a, b = x + wide * cuts[i], x + wide * cuts[i + 1]
        easel.shape(
            np.array(
                [[a, -5], [b + (i < bands - 1), -5], [b + lean + (i < bands - 1), h + 5], [a + lean, h + 5]]
            ),
            tone,
        )


def _window_frame(easel: Easel) -> None:
    """Bars of a window or door that the camera looks through."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    dark, middle, lit = _material(easel)
    thick = rng.uniform(24, 110) * u
    xs = [0.0, float(w)] if rng.random() < 0.6 else []
    xs += list(rng.uniform(0.1, 0.9, int(rng.integers(1, 4))) * w)
    ys = list(rng.uniform(0.0, 1.0, int(rng.integers(0, 3))) * h)
    bevel = thick * 0.22
    for y in ys:
        easel.shape(_rect(-5, y - thick * 0.4, w + 5, y + thick * 0.4), middle)
        easel.shape(_rect(-5, y - thick * 0.4, w + 5, y - thick * 0.4 + bevel), lit)
        easel.shape(_rect(-5, y + thick * 0.4 - bevel * 0.6, w + 5, y + thick * 0.4), dark)
    for x in xs:
        easel.shape(_rect(x - thick / 2, -5, x + thick / 2, h + 5), middle)
        easel.shape(
            _rect(x - thick / 2, -5, x - thick / 2 + bevel, h + 5), lit if easel.light.side < 0 else dark
        )
        easel.shape(
            _rect(x + thick / 2 - bevel, -5, x + thick / 2, h + 5), dark if easel.light.side < 0 else lit
        )


def _fence(easel: Easel) -> None:
    """Boards, a railing, or wire mesh."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    dark, middle, lit = _material(easel)
    top, tilt = h * rng.uniform(0.5, 0.85), rng.normal(0, 0.08)
    kind = rng.choice(["boards", "rails", "mesh"], p=[0.5, 0.42, 0.08])
    if kind == "mesh":
        pitch = rng.uniform(50, 130) * u
        for x in np.arange(-1.5 * h, w + 1.5 * h, pitch):
            painting.path(easel.rgb, np.array([[x, -5], [x + h, h]]), middle, 3.2 * u)
            painting.path(easel.rgb, np.array([[x, -5], [x - h, h]]), dark, 3.2 * u)
        return
    pitch = rng.uniform(60, 200) * u
    wide = pitch * (rng.uniform(0.6, 0.95) if kind == "boards" else rng.uniform(0.12, 0.3))
    for share in (0.15, 0.7):
        y0 = top + share * (h - top)
        for lift, tone in ((0, dark), (-8 * u, middle)):
            a, b = y0 + lift, y0 + lift + tilt * w
            easel.shape(np.array([[-5, a], [w + 5, b], [w + 5, b + 22 * u], [-5, a + 22 * u]]), tone)
    for x in np.arange(-pitch, w + pitch, pitch):
        y, point = top + tilt * x + rng.normal(0, 3) * u, wide * 0.4 * (kind == "boards")
        board = np.array(
            [[x, y + point], [x + wide / 2, y], [x + wide, y + point], [x + wide, h + 5], [x, h + 5]]
        )
        easel.shape(board, easel.vary(middle, 5))
        easel.shape(
            board[[0, 1, 4]] if wide < 6 else _rect(x, y + point, x + wide * 0.18, h + 5),
            lit if easel.light.side < 0 else dark,
        )


def _chairs(easel: Easel) -> None:
    """Chair backs along the bottom edge, near the camera."""
    rng = easel.rng
    w, h = easel.size_wh
    dark, middle, lit = _material(easel)
    wide = w * rng.uniform(0.12, 0.3)
    pitch = wide * rng.uniform(1.2, 2.2)
    top, rails = h * rng.uniform(0.62, 0.88), int(rng.integers(1, 4))
    for x in np.arange(rng.uniform(-0.2, 0.2) * w, w, pitch):
        lean = rng.normal(0, 0.02) * w
        post = wide * 0.09
        for side in (0.0, wide - post):
            easel.shape(
                np.array(
                    [
                        [x + side + lean, top],
                        [x + side + post + lean, top],
                        [x + side + post, h + 5],
                        [x + side, h + 5],
                    ]
                ),
                dark,
            )
        for i in range(rails):
            y = top + i * 0.35 * wide
            sag, thick = 0.06 * wide, (0.3 if i == 0 else 0.12) * wide
            t = np.linspace(0, 1, 9)
            arch = np.stack([x + lean + t * wide, y - sag * np.sin(np.pi * t)], -1)
            easel.shape(np.vstack([arch, (arch + np.array([0, thick]))[::-1]]), middle)
            easel.shape(np.vstack([arch, (arch + np.array([0, thick * 0.2]))[::-1]]), lit)


def _curtain(easel: Easel) -> None:
    """Cloth that hangs at one side, in folds."""
    rng = easel.rng
    w, h = easel.size_wh
    own = rgb_of(rng.random(), rng.uniform(0.05, 0.6), rng.uniform(0.4, 1.0))
    dark, lit = easel.light.lit(own, 0.1), easel.light.lit(own, 1.0)
    wide, folds, flip = w * rng.uniform(0.1, 0.32), rng.uniform(2, 6), rng.random() < 0.5
    t = np.linspace(0, 1, 40)
    wave = np.sin(t * folds * 2 * np.pi + rng.uniform(0, 6))
    drift = rng.normal(0, 0.04) * w
    for i in range(39):
        xs = np.array([t[i], t[i + 1] + 0.006]) * wide
        quad = np.array(
            [
                [xs[0] * 0.9, -5],
                [xs[1] * 0.9, -5],
                [xs[1] + drift * t[i], h + 5],
                [xs[0] + drift * t[i], h + 5],
            ]
        )
        if flip:
            quad[:, 0] = w - quad[:, 0]
        easel.shape(quad, blend(dark, lit, float(0.5 + 0.5 * wave[i])))


_SCENES: dict[str, tuple[Callable[[Easel], None], float]] = {  # kind: (scene, weight)
    "bushes": (_bushes, 5),
    "grass": (_grass, 4),
    "trunk": (_trunk, 3),
    "branches": (_branches, 4),
    "desk": (_desk, 5),
    "pillar": (_pillar, 4),
    "window_frame": (_window_frame, 3),
    "fence": (_fence, 3),
    "chairs": (_chairs, 3),
    "curtain": (_curtain, 2),
}

BOOK_KINDS: Mapping[str, float] = MappingProxyType(
    {kind: weight for kind, (_, weight) in _SCENES.items()} | {"blurred": 5}
)


def paint_book(rng: np.random.Generator, size_wh: tuple[int, int], kind: str | None = None) -> tuple[U8, U8]:
    """Paint one foreground element on a clear sheet of the frame's size.

    rng: the only source of chance. size_wh: width and height in px. kind: a key of `BOOK_KINDS`
    ("blurred" is any of the others out of focus), or None to draw one by its weight. Returns (rgb (H, W, 3)
    uint8 sRGB, alpha (H, W) uint8 straight). Raises InputError for an unknown kind or a size below 1 px.
    """
    w, h = size_wh
    if w < 1 or h < 1:
        raise InputError(f"paint_book: expected a size of at least 1 x 1 px, got {w} x {h}")
    if kind is None:
        kind = pick(rng, BOOK_KINDS)
    if kind not in BOOK_KINDS:
        raise InputError(f"paint_book: unknown kind {kind!r}; expected one of {', '.join(BOOK_KINDS)}")
    if kind == "blurred":
        half = max(1, w // 2), max(1, h // 2)
        colour, alpha = _matte(rng, half, str(rng.choice(list(_SCENES))))
        sigma_px = rng.uniform(3, 24) * h / 2160
        soft = painting.resized(painting.soft_blur(np.dstack([colour, alpha]), sigma_px), size_wh)
        return _straight(soft[..., :3], soft[..., 3])
    colour, alpha = _matte(rng, size_wh, kind)
    if rng.random() < 0.3:
        soft = painting.soft_blur(np.dstack([colour, alpha]), rng.uniform(0.4, 2.5) * h / 1080)
        colour, alpha = soft[..., :3], soft[..., 3]
    return _straight(colour, alpha)


def _matte(rng: np.random.Generator, size_wh: tuple[int, int], kind: str) -> tuple[U8, U8]:
    """Premultiplied colour and alpha, found by painting the same scene over black and over white."""
    scene, _ = _SCENES[kind]
    light = pick_light(rng)
    seed = int(rng.integers(2**63))
    shape = (size_wh[1], size_wh[0], 3)
    on_black, on_white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    for ground in (on_black, on_white):
        scene(Easel(np.random.default_rng(seed), ground, light))
    through = cv2.subtract(on_white, on_black)
    alpha = 255 - through.max(-1)
    bare = alpha < 4  # rounding of the antialiased edge
    alpha[bare] = 0
    painted = cv2.multiply(on_black, _coat(rng, size_wh), scale=1 / 128)
    painted[bare] = 0
    return painted, alpha


def _coat(rng: np.random.Generator, size_wh: tuple[int, int]) -> U8:
    """Uneven paint, as a factor: (H, W, 3) uint8 around 128."""
    tone = painting.noise(rng, size_wh, 0.2 * size_wh[1] + 2, octaves=4, gain=0.6) - 0.5
    factor = np.clip(128 * (1 + rng.uniform(0.05, 0.4) * tone), 0, 255).astype(np.uint8)
    return cv2.merge([factor] * 3)


def _straight(premultiplied: U8, alpha: U8) -> tuple[U8, U8]:
    scale = 255 / np.maximum(alpha, 1).astype(np.float32)
    rgb = np.minimum(premultiplied * scale[..., None], 255).astype(np.uint8)
    return rgb, np.ascontiguousarray(alpha)
