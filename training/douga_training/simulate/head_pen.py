"""A pen for heads: everything is given in head coordinates and lands on the sheet in frame pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from douga.classes import DougaClass
from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points
from douga_training.simulate.look import LineStyle
from douga_training.simulate.sheet import Area, Rgb, Sheet

Areas = Area | Sequence[Area]
Shapes = Points | Sequence[Points]  # several merge into one tone
_PEN_PX = 6.0  # the broadest that a pen draws in one go
PROFILE_TURN = 0.78  # from here on a head is drawn from the side


@dataclass(frozen=True)
class HeadSpace:
    """Head coordinates: origin in the middle, unit the height from crown to chin, always facing right.

    facing: 1 or -1, which way the drawing is mirrored. turn: 0 frontal to 1 profile. pitch: -1 looks up,
    1 down.
    """

    centre_xy: tuple[float, float]
    height_px: float
    roll_rad: float
    facing: int
    turn: float
    pitch: float

    @property
    def is_profile(self) -> bool:
        """Drawn from the side."""
        return self.turn >= PROFILE_TURN

    @property
    def yaw_rad(self) -> float:
        """How far the skull has turned; drawn heads turn less than their faces pretend."""
        return float(np.pi / 2 if self.is_profile else self.turn * np.radians(62))

    def place(self, shape: ArrayLike) -> Points:
        """Head coordinates to frame pixels."""
        p = np.asarray(shape, np.float64).reshape(-1, 2) * (self.facing, 1.0)
        c, s = np.cos(self.roll_rad), np.sin(self.roll_rad)
        placed: Points = p @ np.array([[c, s], [-s, c]]) * self.height_px + np.asarray(self.centre_xy)
        return placed

    def direction(self, frame_xy: Sequence[float]) -> NDArray[np.float64]:
        """A direction in the frame, as seen in head coordinates."""
        c, s = np.cos(-self.roll_rad), np.sin(-self.roll_rad)
        seen: NDArray[np.float64] = np.asarray(frame_xy, np.float64) @ np.array([[c, s], [-s, c]])
        return seen * (self.facing, 1.0)

    def around(self, azimuth_deg: ArrayLike, y: ArrayLike, grow: ArrayLike = 0.0) -> Points:
        """Points on the skull's surface: azimuth 0 is the nose, positive towards the far (right) side."""
        a = np.radians(np.asarray(azimuth_deg, np.float64))
        y = np.asarray(y, np.float64)
        back = np.maximum(-np.cos(a), 0)
        radius = 0.385 + 0.075 * back + np.asarray(grow, np.float64)
        radius = radius * (1 - 0.5 * back * np.clip(y - 0.05, 0, 0.5))  # the nape is narrower than the crown
        x = radius * np.sin(a + self.yaw_rad)
        return np.stack(np.broadcast_arrays(x, y), -1).reshape(-1, 2)


@dataclass(frozen=True)
class HeadPen:
    """Draws in head coordinates with one line style."""

    sheet: Sheet
    space: HeadSpace
    style: LineStyle

    def px(self, share: float) -> float:
        """A length in head heights as frame pixels."""
        return share * self.space.height_px

    def area(self, shapes: Shapes, paint: Rgb, fill: DougaClass = DougaClass.FLAT) -> Area:
        """Paint an area without a line."""
        if isinstance(shapes, np.ndarray):
            return self.sheet.area(self.space.place(shapes), paint, fill)
        return self.sheet.area([self.space.place(s) for s in shapes], paint, fill)

    def line(
        self,
        points: ArrayLike,
        ink: Rgb | Swatch,
        *,
        width: float = 1.0,
        taper: tuple[float, float] = (0.0, 0.0),
        within: Areas | None = None,
        closed: bool = False,
    ) -> None:
        """A visible line; width is a multiple of the style's."""
        rgb = self.style.ink(ink) if isinstance(ink, Swatch) else ink
        px = max(self.style.width_px * width, 0.6)
        self.sheet.stroke(self.space.place(points), px, rgb, taper=taper, within=within, closed=closed)

    def solid(self, shape: Points, ink: Rgb, *, width: float = 0.6) -> None:
        """A shape filled with ink. A narrow one is a line as a whole; of a broad one the border is, and its
        inside a flat area.
        """
        area, placed = self.area(shape, ink), self.space.place(shape)
        breadth = _breadth(placed)
        wide = 2 * breadth if breadth < _PEN_PX else max(self.style.width_px * width, 1.0)
        self.sheet.stroke(placed, wide, ink, within=area if breadth < _PEN_PX else None, closed=True)

    def trace(self, points: ArrayLike, line: DougaClass, *, within: Areas, closed: bool = False) -> None:
        """A line for the painters, without colour."""
        self.sheet.stroke(
            self.space.place(points), self.style.tone_px, (0, 0, 0), within=within, closed=closed, line=line
        )

    def tone(
        self,
        areas: Areas,
        shapes: Shapes,
        paint: Rgb,
        fill: DougaClass,
        line: DougaClass | None,
        *,
        inverse: bool = False,
    ) -> None:
        """Lay a tone over what the areas still show."""
        if isinstance(shapes, np.ndarray):
            placed: Shapes = self.space.place(shapes)
        else:
            placed = [self.space.place(s) for s in shapes]
        if len(placed):
            self.sheet.tone(areas, placed, paint, fill, line, inverse=inverse, line_px=self.style.tone_px)

    def shade(self, areas: Areas, shapes: Shapes, paint: Rgb, *, inverse: bool = False) -> None:
        """A shadow with its trace line."""
        self.tone(areas, shapes, paint, DougaClass.SHADING_FILL, DougaClass.SHADING_LINE, inverse=inverse)

    def light(self, areas: Areas, shapes: Shapes, paint: Rgb) -> None:
        """A highlight with its trace line."""
        self.tone(areas, shapes, paint, DougaClass.HIGHLIGHT_FILL, DougaClass.HIGHLIGHT_LINE)

    def colour(self, areas: Areas, shapes: Shapes, paint: Rgb) -> None:
        """An area of another colour whose border is not drawn."""
        self.tone(areas, shapes, paint, DougaClass.COLOR_FILL, DougaClass.COLOR_EDGE)


def _breadth(polygon: Points) -> float:
    """How broad a long shape is on the whole: twice its area by its girth."""
    x, y = polygon.T
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    girth = float(np.linalg.norm(polygon - np.roll(polygon, -1, 0), axis=1).sum())
    return 2 * area / max(girth, 1e-9)
