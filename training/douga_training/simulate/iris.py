"""The iris of an eye: base paint, dark upper and light lower part, pupil, ring, rays, reflections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from douga.classes import DougaClass
from douga_training.simulate.colours import mix
from douga_training.simulate.curves import Points, ellipse, smooth
from douga_training.simulate.head_pen import HeadPen
from douga_training.simulate.look import Look
from douga_training.simulate.sheet import Area, Rgb

_PUPILS = {"round": (0.42, 0.36), "tall": (0.36, 0.52), "slit": (0.14, 0.62)}


@dataclass(frozen=True)
class IrisDesign:
    """What both irises share. Sizes are shares of the eye's box or, inside the iris, of its radii.

    spots: reflections as (x, y, radius x, radius y) in the iris.
    """

    width: float
    height: float
    dark_share: float
    light_share: float
    spots: tuple[tuple[float, float, float, float], ...]
    spot_outlined: bool
    rays: int
    pupil_inked: bool
    has_glow: bool
    dark_depth: float  # of the dark part: 0 the first shadow of the paint, 1 nearly black


@dataclass(frozen=True)
class Iris:
    """One iris in head coordinates."""

    x: float
    y: float
    rx: float
    ry: float

    def spot(self, x: float, y: float, rx: float, ry: float) -> Points:
        """An ellipse given in shares of the radii."""
        return ellipse((self.x + x * self.rx, self.y + y * self.ry), (rx * self.rx, ry * self.ry), samples=48)

    def place(self, shape: Points) -> Points:
        """Unit disc to head coordinates."""
        placed: Points = shape * (self.rx, self.ry) + (self.x, self.y)
        return placed


def design_iris(rng: np.random.Generator, look: Look) -> IrisDesign:
    """Draw the tones and reflections that both eyes share."""
    u = rng.uniform
    side = float(np.sign(look.light_xy[0]) or 1.0)
    big = (side * u(0.25, 0.5), u(-0.55, -0.3), u(0.2, 0.36), u(0.18, 0.34))
    small = (-side * u(0.2, 0.5), u(0.3, 0.6), u(0.1, 0.18), u(0.08, 0.16))
    third = (side * u(0.0, 0.2), u(0.0, 0.25), u(0.07, 0.12), u(0.06, 0.1))
    return IrisDesign(
        width=u(0.29, 0.39),
        height=u(0.47, 0.58),
        dark_share=u(-0.35, 0.25),
        light_share=u(0.25, 0.6),
        spots=(big, small, third)[: look.face.highlights],
        spot_outlined=bool(rng.random() < 0.15),
        rays=int(rng.integers(5, 12)) if rng.random() < 0.3 else 0,
        pupil_inked=bool(rng.random() < 0.5),
        has_glow=bool(rng.random() < 0.5),
        dark_depth=u(0.0, 1.0),
    )


def draw_iris(pen: HeadPen, look: Look, design: IrisDesign, iris: Iris, white: Area) -> None:
    """Draw an iris on what the white of the eye still shows.

    Iris and pupil are colour fills, inked around or not: areas of another colour inside one outline, the
    eye's.
    """
    paint, size_px = look.eyes, pen.px(iris.rx)
    rim = iris.spot(0, 0, 1, 1)
    outlined = look.face.iris_outlined or size_px < 8
    pen.tone(white, rim, paint.normal, DougaClass.COLOR_FILL, DougaClass.COLOR_EDGE)
    if size_px >= 5:
        _tones(pen, look, design, iris, white)
    if size_px >= 2.5:
        _pupil(pen, look, design, iris, white)
    if size_px > 40:
        _close_up(pen, look, design, iris, white)
    ink = mix(pen.style.ink(paint), paint.shade2, 0.15)
    if outlined:
        thin = float(np.clip(size_px / 8, 0.3, 1.0))  # else nothing but outline is left of a small one
        pen.line(rim, ink, width=0.9 * thin, within=white, closed=True)
    if size_px >= 4:
        _reflections(pen, design, iris, white, ink, outlined=design.spot_outlined and size_px > 14)


def _tones(pen: HeadPen, look: Look, design: IrisDesign, iris: Iris, white: Area) -> None:
    """Dark upper part or gradient, lighter lower part."""
    style, paint, big = look.face.iris_style, look.eyes, pen.px(iris.rx) > 9
    if style in ("two_tone", "shine", "ring"):
        a = np.linspace(0, 1, 24)
        rise = np.arcsin(np.clip(design.dark_share, -0.9, 0.9))
        arc = np.pi - rise + a * (np.pi + 2 * rise)
        edge = np.stack([np.cos(rise) * (1 - 2 * a), design.dark_share + 0.22 * np.sin(np.pi * a)], 1)
        dark = iris.place(np.vstack([np.stack([np.cos(arc), np.sin(arc)], 1), edge]))
        deep = mix(paint.shade, mix(paint.shade2, (8, 6, 14), 0.5), design.dark_depth)
        pen.tone(white, dark, deep, DougaClass.SHADING_FILL, DougaClass.SHADING_LINE if big else None)
    if style in ("gradient", "shine"):
        low, top = pen.space.place([(iris.x, iris.y + iris.ry), (iris.x, iris.y - iris.ry)])
        pen.sheet.glaze(white, paint.shade2, low, top, shape=pen.space.place(iris.spot(0, 0, 1, 1)))
    if style in ("two_tone", "shine") and big:
        dip = 0.55 - 0.3 * design.light_share
        knots = [(-0.8, 0.3), (-0.4, dip), (0.4, dip), (0.8, 0.3), (0.55, 0.75), (0.0, 0.92), (-0.55, 0.75)]
        pen.light(
            white, iris.place(smooth(knots, closed=True, per_span=6)), mix(paint.normal, paint.light, 0.8)
        )


def _pupil(pen: HeadPen, look: Look, design: IrisDesign, iris: Iris, white: Area) -> None:
    """A black shape, with an inked border or without one."""
    if look.face.pupil == "none":
        return
    hole = iris.spot(0, -0.02, *_PUPILS[look.face.pupil])
    dark = mix(look.eyes.shade2, (8, 6, 14), 0.7)
    big = pen.px(iris.rx) > 9
    if big and not design.pupil_inked:
        pen.colour(white, hole, dark)
        return
    pen.tone(white, hole, dark, DougaClass.COLOR_FILL, None)
    if big:
        pen.line(hole, dark, width=0.7, within=white, closed=True)


def _close_up(pen: HeadPen, look: Look, design: IrisDesign, iris: Iris, white: Area) -> None:
    """What only a close-up shows: ring, rays, an airbrushed glow in the lower half."""
    paint = look.eyes
    if look.face.iris_style == "ring":
        ink = mix(paint.shade2, (0, 0, 0), 0.4)
        pen.line(iris.spot(0, 0, 0.62, 0.66), ink, width=0.6, within=white, closed=True)
    for t in np.linspace(0.15, 0.85, design.rays) * np.pi:
        ray = np.stack([np.cos(t) * np.linspace(0.5, 0.93, 6), np.sin(t) * np.linspace(0.55, 0.94, 6)], 1)
        ink = mix(paint.shade2, (0, 0, 0), 0.2)
        pen.line(iris.place(ray), ink, width=0.7, taper=(0.7, 0.2), within=white)
    if design.has_glow:
        low, reach = pen.space.place(
            [(iris.x, iris.y + 0.6 * iris.ry), (iris.x + iris.rx, iris.y + 0.6 * iris.ry)]
        )
        rim = pen.space.place(iris.spot(0, 0, 1, 1))
        pen.sheet.glaze(white, paint.light, low, reach, shape=rim, amount=0.6, radial=True)


def _reflections(
    pen: HeadPen, design: IrisDesign, iris: Iris, white: Area, ink: Rgb, *, outlined: bool
) -> None:
    for s in design.spots:
        shape = iris.spot(*s)
        pen.light(white, shape, (255, 255, 255))
        if outlined:
            pen.line(shape, ink, width=0.6, within=white, closed=True)
