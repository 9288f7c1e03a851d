"""Compositing: background, cast shadow, cel, light, book, then the finish of the whole picture.

Settings are drawn first (`Compositing`), so that what was done to a frame can be written down. Everything
here changes colours only: nothing moves a pixel of the truth, except `soften_art`, which moves the cel's own
truth too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.sheet import CelArt

U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Layers:
    """What lies over each other in one frame, all of one size.

    background: (H, W, 3). art: the cel. book: (H, W, 3) with book_alpha: (H, W), straight; both None without
    a book.
    """

    background: U8
    art: CelArt
    book: U8 | None = None
    book_alpha: U8 | None = None


@dataclass(frozen=True)
class Compositing:
    """What the compositor does. Zero (or one, for gains) means that a step is left out.

    Lengths in frame pixels, strengths 0 to 1, colours RGB 0 to 255. `cel_*` steps touch the cel alone.
    """

    background_blur_px: float = 0.0
    background_pan_px: int = 0
    book_blur_px: float = 0.0
    shadow: float = 0.0
    shadow_kind: str = "ground"
    shadow_lean: float = 0.0
    cel_gradient: float = 0.0
    cel_gradient_angle: float = 0.0
    cel_gradient_rgb: tuple[int, int, int] = (40, 40, 90)
    cel_rim: float = 0.0
    cel_rim_angle: float = 0.0
    cel_scale: float = 1.0
    cel_motion_px: int = 0
    glow: float = 0.0
    glow_xy: tuple[float, float] = (0.5, 0.2)
    glow_rgb: tuple[int, int, int] = (255, 244, 214)
    rays: float = 0.0
    bloom: float = 0.0
    gain_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lift: float = 0.0
    gamma: float = 1.0
    saturation: float = 1.0
    grain: float = 0.0
    jpeg_quality: int = 0

    @property
    def keeps_cel_colours(self) -> bool:
        """True where the cel's paints reach the frame unchanged."""
        plain = Compositing()
        kept = replace(
            plain,
            background_blur_px=self.background_blur_px,
            background_pan_px=self.background_pan_px,
            book_blur_px=self.book_blur_px,
            shadow=self.shadow,
            shadow_kind=self.shadow_kind,
            shadow_lean=self.shadow_lean,
            cel_gradient_angle=self.cel_gradient_angle,
            cel_gradient_rgb=self.cel_gradient_rgb,
            cel_rim_angle=self.cel_rim_angle,
            glow_xy=self.glow_xy,
            glow_rgb=self.glow_rgb,
        )
        return kept == self


def sample_compositing(rng: np.random.Generator, *, treated: float = 0.34) -> Compositing:
    """Settings for one frame. treated: share of frames whose cel colours are touched by light or finish."""
    angle = float(rng.uniform(0, 2 * np.pi))
    settings = Compositing(
        background_blur_px=float(rng.uniform(0.6, 9.0)) if rng.random() < 0.3 else 0.0,
        background_pan_px=int(rng.integers(9, 90)) if rng.random() < 0.04 else 0,
        book_blur_px=float(rng.uniform(0.8, 5.0)) if rng.random() < 0.35 else 0.0,
        shadow=float(rng.uniform(0.2, 0.55)) if rng.random() < 0.3 else 0.0,
        shadow_kind=str(rng.choice(["ground", "wall"])),
        shadow_lean=float(rng.uniform(-0.8, 0.8)),
        cel_gradient_angle=float(rng.normal(np.pi / 2, 0.5)),
        cel_gradient_rgb=_pick_rgb(
            rng, [(30, 24, 70), (10, 14, 30), (90, 40, 30), (255, 236, 200), (190, 220, 255)]
        ),
        cel_rim_angle=angle,
        glow_xy=(float(rng.uniform(-0.1, 1.1)), float(rng.uniform(-0.2, 0.6))),
        glow_rgb=_pick_rgb(rng, [(255, 244, 214), (255, 206, 150), (206, 226, 255), (255, 255, 255)]),
    )
    return _treat(rng, settings) if rng.random() < treated else settings


def _pick_rgb(rng: np.random.Generator, choices: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    return choices[int(rng.integers(len(choices)))]


def _treat(rng: np.random.Generator, settings: Compositing) -> Compositing:
    """One to three of the steps that change the cel's colours."""
    gain = rng.normal(1.0, 0.06, 3).clip(0.8, 1.15)
    steps: list[dict[str, Any]] = [
        {"cel_gradient": float(rng.uniform(0.12, 0.5))},
        {"cel_rim": float(rng.uniform(0.15, 0.5))},
        {"glow": float(rng.uniform(0.15, 0.55))},
        {"rays": float(rng.uniform(0.1, 0.35))},
        {"bloom": float(rng.uniform(0.1, 0.4))},
        {"cel_scale": float(rng.uniform(0.55, 0.95))},
        {"cel_motion_px": int(rng.integers(3, 8))},
        {"grain": float(rng.uniform(0.8, 4.0))},
        {"jpeg_quality": int(rng.integers(72, 97))},
        {
            "gain_rgb": tuple(float(g) for g in gain),
            "lift": float(rng.uniform(0, 0.05)),
            "gamma": float(rng.uniform(0.85, 1.2)),
            "saturation": float(rng.uniform(0.75, 1.15)),
        },
    ]
    weights = np.array([0.18, 0.1, 0.12, 0.07, 0.1, 0.1, 0.04, 0.1, 0.12, 0.2])
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    chosen = rng.choice(len(steps), count, replace=False, p=weights / weights.sum())
    changes: dict[str, Any] = {}
    for i in chosen:
        changes |= steps[int(i)]
    return replace(settings, **changes)


# -- pieces --------------------------------------------------------------------------------------------------


def over(below: U8, above: U8, alpha: U8) -> U8:
    """Lay a straight-alpha picture over another.

    below, above: (H, W, 3); alpha: (H, W). Returns a new (H, W, 3).
    """
    out = cv2.copyTo(above, cv2.compare(alpha, 255, cv2.CMP_EQ), below.copy())
    y, x = np.nonzero((alpha > 0) & (alpha < 255))  # few pixels: borders, and what is soft
    if len(y):
        a = alpha[y, x, None].astype(np.int32)
        mixed = below[y, x].astype(np.int32) * (255 - a) + above[y, x].astype(np.int32) * a
        out[y, x] = (mixed + 127) // 255
    return out


def blur(image: U8, sigma_px: float) -> U8:
    """Gaussian blur; wide ones are made on a reduced picture, which cannot be told apart and costs little."""
    h, w = image.shape[:2]
    step = max(1, int(sigma_px / 2.5))
    if step == 1:
        return cv2.GaussianBlur(image, (0, 0), max(sigma_px, 0.1), borderType=cv2.BORDER_REPLICATE)
    small = cv2.resize(image, (max(1, w // step), max(1, h // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / step, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)


def blur_layer(rgb: U8, alpha: U8, sigma_px: float) -> tuple[U8, U8]:
    """Blur a straight-alpha layer without drawing the colour of its empty pixels in."""
    return _filter_layer(rgb, alpha, lambda image: blur(image, sigma_px))


def _filter_layer(rgb: U8, alpha: U8, operation: Callable[[U8], U8]) -> tuple[U8, U8]:
    weight = cv2.merge([alpha] * 3)
    held = operation(cv2.multiply(rgb, weight, scale=1 / 255))
    soft = operation(alpha)
    colour = cv2.divide(held, cv2.merge([soft] * 3), scale=255)
    return cv2.copyTo(colour, cv2.compare(soft, 3, cv2.CMP_GT), rgb.copy()), soft


def soften_art(art: CelArt, settings: Compositing) -> CelArt:
    """Camera scale (drawn smaller, enlarged in the composite) and motion blur of the cel.

    Where motion blur thins the cel out below one half, its classes end there too.
    """
    h, w = art.alpha.shape
    rgb, alpha = art.rgb, art.alpha
    if settings.cel_scale < 1:
        size = max(8, round(w * settings.cel_scale)), max(8, round(h * settings.cel_scale))

        def rescale(image: U8) -> U8:
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)

        rgb, alpha = _filter_layer(rgb, alpha, rescale)
    if settings.cel_motion_px > 1:
        n = settings.cel_motion_px | 1
        along_x = abs(np.cos(settings.cel_rim_angle)) > 0.5
        reach = (n, 1) if along_x else (1, n)
        rgb, alpha = _filter_layer(
            rgb, alpha, lambda image: cv2.blur(image, reach, borderType=cv2.BORDER_REPLICATE)
        )
    return CelArt(rgb, alpha, np.where(alpha >= 128, art.ids, 0).astype(np.uint8))


# -- the order of the composite ------------------------------------------------------------------------------


def composite(layers: Layers, settings: Compositing, rng: np.random.Generator) -> U8:
    """Put a frame together: background, shadow on it, cel in its light, glow, book, finish.

    Returns (H, W, 3).
    """
    picture = dress_background(layers.background, settings)
    alpha = layers.art.alpha
    if alpha.any():
        if settings.shadow > 0:
            picture = _cast_shadow(picture, alpha, settings)
        picture = over(picture, _light_cel(layers.art, settings), alpha)
    picture = _add_light(picture, settings, rng)
    if layers.book is not None and layers.book_alpha is not None:
        picture = over(picture, layers.book, layers.book_alpha)
    return finish(picture, settings, rng)


def dress_background(background: U8, settings: Compositing) -> U8:
    """Depth of field and pan blur of the background plate."""
    if settings.background_blur_px > 0:
        background = blur(background, settings.background_blur_px)
    if settings.background_pan_px > 1:
        reach = (settings.background_pan_px | 1, 1)
        background = cv2.blur(background, reach, borderType=cv2.BORDER_REPLICATE)
    return background


def finish(picture: U8, settings: Compositing, rng: np.random.Generator) -> U8:
    """Bloom, grade, grain and JPEG: what is done to the picture as a whole."""
    if settings.bloom > 0:
        bright = cv2.subtract(blur(picture, picture.shape[0] / 70), np.full_like(picture, 150))
        picture = cv2.addWeighted(picture, 1.0, bright, settings.bloom * 1.3, 0)
    picture = grade(picture, settings)
    if settings.grain > 0:
        picture = add_grain(picture, settings.grain, rng)
    if settings.jpeg_quality > 0:
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
    return picture


def grade(picture: U8, settings: Compositing) -> U8:
    """Saturation, then gain, gamma and lifted blacks of each channel."""
    if settings.saturation != 1:
        grey = np.full((3, 3), 1 / 3) * (1 - settings.saturation)
        picture = cv2.transform(picture, grey + np.eye(3) * settings.saturation)
    if settings.gain_rgb == (1.0, 1.0, 1.0) and settings.lift == 0 and settings.gamma == 1:
        return picture
    level = np.linspace(0, 1, 256)[:, None] ** settings.gamma * np.array(settings.gain_rgb)
    table = np.clip(settings.lift + level * (1 - settings.lift), 0, 1) * 255
    return cv2.LUT(picture, np.round(table).astype(np.uint8).reshape(256, 1, 3))


def add_grain(picture: U8, sigma: float, rng: np.random.Generator) -> U8:
    """Grain of the brightness, the same in all channels. sigma: in levels of 255."""
    h, w = picture.shape[:2]
    side = 512  # one tile, laid with another offset each time: as good as new noise and far cheaper
    tile = cv2.GaussianBlur(
        rng.standard_normal((side, side), np.float32), (0, 0), 0.6, borderType=cv2.BORDER_REFLECT
    )
    tile *= sigma / max(float(tile.std()), 1e-6)
    noise = np.tile(np.round(tile).astype(np.int16), (-(-h // side), -(-w // side)))[:h, :w]
    return cv2.add(picture, cv2.merge([noise] * 3), dtype=cv2.CV_8U)


# -- light ---------------------------------------------------------------------------------------------------


def _cast_shadow(picture: U8, alpha: U8, settings: Compositing) -> U8:
    """The cel's shadow on what lies behind: flattened on the ground at its feet, or thrown on the wall."""
    h, w = alpha.shape
    small = cv2.resize(alpha, (w // 4, h // 4), interpolation=cv2.INTER_AREA)
    rows = np.flatnonzero(small.max(1) > 127)
    foot = float(rows[-1]) if len(rows) else h / 4
    if settings.shadow_kind == "ground":
        squash = 0.16 + 0.2 * abs(settings.shadow_lean)
        move = np.array(
            [[1, -settings.shadow_lean, settings.shadow_lean * foot], [0, squash, foot * (1 - squash)]]
        )
    else:
        move = np.array([[1, 0, settings.shadow_lean * w * 0.03], [0, 1, h * 0.012]])
    thrown = cv2.warpAffine(small, move, (w // 4, h // 4), flags=cv2.INTER_LINEAR)
    thrown = cv2.resize(cv2.GaussianBlur(thrown, (0, 0), 2.0), (w, h), interpolation=cv2.INTER_LINEAR)
    keep = [cv2.LUT(thrown, _ramp(1.0, 1.0 - settings.shadow * share)) for share in (1.0, 0.95, 0.75)]
    return cv2.multiply(picture, cv2.merge(keep), scale=1 / 255)


def _ramp(first: float, last: float) -> U8:
    return np.round(np.linspace(first, last, 256) * 255).clip(0, 255).astype(np.uint8)


def _light_cel(art: CelArt, settings: Compositing) -> U8:
    """The cel's colours under a soft gradient and a pale rim."""
    rgb = art.rgb
    h, w = art.alpha.shape
    if settings.cel_gradient > 0:
        rgb = _towards_colour(rgb, _slope(h, w, settings.cel_gradient_angle), settings.cel_gradient, settings)
    if settings.cel_rim > 0:
        reach = h / 24
        shift = np.array(
            [[1, 0, np.cos(settings.cel_rim_angle) * reach], [0, 1, np.sin(settings.cel_rim_angle) * reach]]
        )
        moved = cv2.warpAffine(art.alpha, shift, (w, h), borderMode=cv2.BORDER_REPLICATE)
        rim = cv2.subtract(np.full_like(moved, 255), blur(moved, reach * 0.6))
        light = cv2.merge(
            [cv2.convertScaleAbs(rim, alpha=settings.cel_rim * c / 255) for c in settings.glow_rgb]
        )
        rgb = cv2.add(rgb, light)
    return rgb


def _slope(h: int, w: int, angle: float) -> U8:
    """0 to 255 along a direction, nothing over the first half. Returns (H, W)."""
    y, x = np.mgrid[0 : h // 8 + 1, 0 : w // 8 + 1].astype(np.float32)
    along = (x / max(w // 8, 1) - 0.5) * np.cos(angle) + (y / max(h // 8, 1) - 0.5) * np.sin(angle)
    value = np.clip((along + 0.15) / 0.65, 0, 1) * 255
    return cv2.resize(value.astype(np.uint8), (w, h), interpolation=cv2.INTER_LINEAR)


def _towards_colour(rgb: U8, weight: U8, strength: float, settings: Compositing) -> U8:
    part = cv2.merge([cv2.convertScaleAbs(weight, alpha=strength)] * 3)
    goal = np.empty_like(rgb)
    goal[:] = settings.cel_gradient_rgb
    kept = cv2.multiply(rgb, cv2.bitwise_not(part), scale=1 / 255)
    return cv2.add(kept, cv2.multiply(goal, part, scale=1 / 255))


def _add_light(picture: U8, settings: Compositing, rng: np.random.Generator) -> U8:
    """Glow around a point and soft rays from it, added like light."""
    if settings.glow == 0 and settings.rays == 0:
        return picture
    h, w = picture.shape[:2]
    y, x = np.mgrid[0 : h // 8 + 1, 0 : w // 8 + 1].astype(np.float32)
    dx, dy = x - settings.glow_xy[0] * w / 8, y - settings.glow_xy[1] * h / 8
    far = np.hypot(dx, dy) / (h / 8)
    light = settings.glow * np.exp(-((far / 0.55) ** 2))
    if settings.rays > 0:
        angle = np.arctan2(dy, dx)
        waves = [rng.integers(4, 17) * angle + rng.uniform(0, 2 * np.pi) for _ in range(4)]
        streaks = np.clip(sum(np.sin(wave) for wave in waves) / 2.2, 0, 1)
        light = light + settings.rays * streaks * np.exp(-far / 1.1)
    bright = cv2.resize((np.clip(light, 0, 1) * 255).astype(np.uint8), (w, h), interpolation=cv2.INTER_LINEAR)
    tinted = cv2.merge([cv2.convertScaleAbs(bright, alpha=c / 255) for c in settings.glow_rgb])
    return cv2.subtract(cv2.add(picture, tinted), cv2.multiply(picture, tinted, scale=1 / 255))
