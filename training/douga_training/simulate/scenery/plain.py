"""Backgrounds that show no place: one colour, gradients, patterns, speed lines, washes, abstract shapes."""

from __future__ import annotations

import cv2
import numpy as np

from douga_training.simulate.colours import rgb_of
from douga_training.simulate.scenery import painting
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.scenery.light import blend
from douga_training.simulate.sheet import Rgb


def _colour(rng: np.random.Generator) -> Rgb:
    kind = rng.choice(["pale", "vivid", "dark", "skin", "grey"], p=[0.36, 0.22, 0.16, 0.12, 0.14])
    if kind == "pale":
        return rgb_of(rng.random(), rng.uniform(0.03, 0.3), rng.uniform(0.85, 1.0))
    if kind == "vivid":
        return rgb_of(rng.random(), rng.uniform(0.4, 0.95), rng.uniform(0.5, 1.0))
    if kind == "dark":
        return rgb_of(rng.random(), rng.uniform(0.0, 0.8), rng.uniform(0.02, 0.3))
    if kind == "skin":  # the colours that flat skin has, as a background
        return rgb_of(rng.uniform(0.04, 0.09), rng.uniform(0.08, 0.3), rng.uniform(0.9, 1.0))
    return rgb_of(0.0, 0.0, rng.uniform(0.2, 1.0))


def flat(easel: Easel) -> None:
    """White, one colour, a gradient, screentone, a pattern, or speed lines."""
    rng = easel.rng
    kind = rng.choice(
        ["white", "colour", "gradient", "screentone", "pattern", "speed", "focus"],
        p=[0.1, 0.2, 0.24, 0.12, 0.14, 0.1, 0.1],
    )
    first, second = _colour(rng), _colour(rng)
    if rng.random() < 0.6:
        second = blend(first, second, rng.uniform(0.15, 0.5))
    easel.rgb[:] = (255, 255, 255) if kind == "white" else first
    if kind in ("gradient", "speed", "focus"):
        easel.rgb[:] = painting.ramp(easel.size_wh, [(0, first), (1, second)], rng.uniform(0, 360))
    if kind == "screentone":
        _screentone(easel, second)
    elif kind == "pattern":
        _pattern(easel, second)
    elif kind == "speed":
        _speed_lines(easel)
    elif kind == "focus":
        _focus_lines(easel)


def _screentone(easel: Easel, colour: Rgb) -> None:
    """Dots on a turned grid whose size follows a gradient."""
    rng = easel.rng
    w, h = easel.size_wh
    pitch = max(5.0, rng.uniform(8, 44) * easel.unit_px)
    turn = np.deg2rad(rng.choice([0, 30, 45, 60]))
    x, y = np.arange(w, dtype=np.float32)[None], np.arange(h, dtype=np.float32)[:, None]
    wave = 2 * np.float32(np.pi / pitch)
    grid = np.cos((x * np.cos(turn) + y * np.sin(turn)).astype(np.float32) * wave)
    grid = grid + np.cos((y * np.cos(turn) - x * np.sin(turn)).astype(np.float32) * wave)
    size = (
        painting.ramp((w, h), [(0, (20,) * 3), (1, (210,) * 3)], rng.uniform(0, 360))[..., 0] / np.float32(85)
        - 1.3
    )
    edge = 12 / pitch
    painting.lay(
        easel.rgb, colour, painting.smoothstep(-edge / 2, edge / 2, (grid - 1 + size).astype(np.float32))
    )


def _pattern(easel: Easel, colour: Rgb) -> None:
    """Stripes, checks, circles, hearts of comedy shots: motifs set out on a turned grid."""
    rng = easel.rng
    w, h = easel.size_wh
    pitch = rng.uniform(60, 320) * easel.unit_px
    motif = rng.choice(["stripes", "checks", "discs", "rings", "stars"])
    turn = rng.uniform(0, np.pi)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    reach = int(np.hypot(w, h) / pitch / 2) + 2
    for i in range(-reach, reach + 1):
        if motif == "stripes":
            mid = np.array([w / 2, h / 2]) + along * i * pitch
            a, b, far = along * pitch * 0.25, across * pitch * reach, mid
            easel.shape(np.array([far - a - b, far + a - b, far + a + b, far - a + b]), colour)
            continue
        for j in range(-reach, reach + 1):
            spot = (
                np.array([w / 2, h / 2])
                + along * (i + 0.5 * (j % 2) * (motif != "checks")) * pitch
                + across * j * pitch
            )
            _motif(easel, str(motif), spot, pitch, turn, colour, (i + j) % 2 == 0)


def _motif(
    easel: Easel, motif: str, spot: np.ndarray, pitch: float, turn: float, colour: Rgb, even: bool
) -> None:
    ring = np.linspace(0, 2 * np.pi, 5 if motif == "checks" else 21)[:-1] + turn
    radius = np.full(len(ring), pitch * 0.3)
    if motif == "checks":
        if not even:
            return
        ring, radius = ring + np.pi / 4, np.full(4, pitch * 0.7071)
    elif motif == "stars":
        ring, radius = ring[::2], np.where(np.arange(10) % 2, 0.16, 0.38) * pitch
    points = spot + np.stack([np.cos(ring), np.sin(ring)], -1) * radius[:, None]
    if motif == "rings":
        painting.path(easel.rgb, np.vstack([points, points[:1]]), colour, max(2.0, pitch * 0.06))
    else:
        easel.shape(points, colour)


def _speed_lines(easel: Easel) -> None:
    """Parallel streaks of a panning camera, in tints of the ground."""
    rng = easel.rng
    w, h = easel.size_wh
    dark, light = rgb_of(rng.random(), 0.4, 0.15), (255, 255, 255)
    turn = rng.choice([0.0, 0.0, np.pi / 2, rng.uniform(0, np.pi)])
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    reach = np.hypot(w, h)
    for _ in range(int(rng.integers(40, 260))):
        mid = (
            np.array([w / 2, h / 2])
            + across * rng.uniform(-0.5, 0.5) * reach
            + along * rng.uniform(-0.5, 0.5) * reach
        )
        half, thick = along * rng.uniform(0.05, 0.5) * reach, across * rng.uniform(0.5, 8) * easel.unit_px
        base = easel.rgb[int(np.clip(mid[1], 0, h - 1)), int(np.clip(mid[0], 0, w - 1))]
        tone = blend(
            (int(base[0]), int(base[1]), int(base[2])),
            dark if rng.random() < 0.4 else light,
            rng.uniform(0.2, 0.9),
        )
        painting.poly(easel.rgb, np.array([mid - half, mid + thick, mid + half, mid - thick]), tone)


def _focus_lines(easel: Easel) -> None:
    """Wedges that point at the middle: black or white ink on the gradient."""
    rng = easel.rng
    w, h = easel.size_wh
    eye = np.array([w, h]) * rng.uniform(0.35, 0.65, 2)
    ink = (8, 8, 12) if rng.random() < 0.6 else (255, 255, 255)
    reach = np.hypot(w, h)
    hole = rng.uniform(0.2, 0.5) * h
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(60, 220))):
        ray, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        tip = eye + ray * hole * rng.uniform(0.8, 1.6) * (1.0, 0.8)
        wide = across * rng.uniform(2, 26) * easel.unit_px
        painting.poly(easel.rgb, np.array([tip, eye + ray * reach + wide, eye + ray * reach - wide]), ink)


def watercolour(easel: Easel) -> None:
    """Wet washes that run into each other, with darker dried rims, on rough paper."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    easel.rgb[:] = blend(_colour(rng), (255, 252, 244), 0.75)
    hue = rng.random()
    for _ in range(int(rng.integers(3, 8))):
        pigment = rgb_of(hue + rng.normal(0, 0.1), rng.uniform(0.2, 0.7), rng.uniform(0.5, 0.95))
        field = painting.noise(rng, (w, h), rng.uniform(0.2, 0.8) * h, octaves=5, gain=0.5)
        cut = rng.uniform(0.45, 0.7)
        inside = painting.smoothstep(cut, cut + rng.uniform(0.02, 0.25), field)
        rim = np.clip(1 - np.abs(field - cut - 0.02) / 0.02, 0, 1)
        painting.lay(easel.rgb, pigment, inside * rng.uniform(0.15, 0.5) + rim * rng.uniform(0.0, 0.25))
    paper = painting.noise(rng, (w, h), 5 * u + 2, octaves=2)
    painting.multiply(easel.rgb, 1 + (paper - 0.5) * rng.uniform(0.03, 0.16))


def abstract(easel: Easel) -> None:
    """A mood, not a place: swirls, bokeh discs, beams, shards or cloudy colour."""
    rng, u = easel.rng, easel.unit_px
    w, h = easel.size_wh
    first, second, third = _colour(rng), _colour(rng), _colour(rng)
    easel.rgb[:] = painting.ramp((w, h), [(0, first), (1, second)], rng.uniform(0, 360))
    kind = rng.choice(["clouds", "bokeh", "beams", "shards", "strokes"])
    if kind == "clouds":
        field = painting.noise(rng, (w, h), 0.6 * h, octaves=5)
        painting.lay(easel.rgb, third, painting.smoothstep(0.35, 0.75, field))
    elif kind == "bokeh":
        for _ in range(int(rng.integers(10, 45))):
            disc = painting.blob(rng, rng.uniform(0, 1, 2) * (w, h), (rng.uniform(10, 110) * u,) * 2, 0.0)
            easel.soft_shape(
                disc,
                blend(third, (255, 255, 255), rng.random()),
                rng.uniform(0.1, 0.6),
                rng.uniform(0, 6) * u,
            )
    elif kind == "beams":
        eye = rng.uniform(0, 1, 2) * (w, h)
        for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(8, 24))):
            ends = angle + np.array([-1, 1]) * rng.uniform(0.01, 0.09)
            fan = eye + np.stack([np.cos(ends), np.sin(ends)], -1) * 2 * w
            easel.soft_shape(
                np.vstack([[eye], fan]),
                blend(third, (255, 255, 255), 0.5),
                rng.uniform(0.1, 0.7),
                rng.uniform(0, 5) * u,
            )
    elif kind == "shards":
        for _ in range(int(rng.integers(10, 70))):
            tone = blend(blend(first, third, rng.random()), second, rng.random())
            easel.shape(rng.uniform(0, 1, 2) * (w, h) + rng.normal(0, 0.12, (3, 2)) * h, tone)
    else:
        easel.dabs(1400, rng.uniform(80, 260), rng.uniform(16, 50), rng.uniform(0, 180), 22)
    if kind != "strokes" and rng.random() < 0.3:
        easel.rgb[:] = cv2.medianBlur(easel.rgb, 5)
