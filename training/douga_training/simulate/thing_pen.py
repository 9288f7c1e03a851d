"""The pen that draws things: parts in a thing's own coordinates, joined, shaded, coloured and inked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from douga.classes import DougaClass
from douga_training.simulate import colours, curves
from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points
from douga_training.simulate.look import LineStyle
from douga_training.simulate.sheet import Area, Rgb, Sheet

_RASTER = 320  # side of the small canvas on which silhouettes are joined and cut
_MARGIN = 0.12  # free border of that canvas, as a share
# Difference of sRGB values from the paint below at which a tone can still be seen.
_LEAST_STEP = {"shade": 6, "light": 12, "colour": 24}
_LEAST_TONE_PX = 3.0  # smaller tones would be trace line and nothing else
_TONES = {
    "shade": (DougaClass.SHADING_FILL, DougaClass.SHADING_LINE),
    "light": (DougaClass.HIGHLIGHT_FILL, DougaClass.HIGHLIGHT_LINE),
    "colour": (DougaClass.COLOR_FILL, DougaClass.COLOR_EDGE),
}


def spiky(shape: ArrayLike, spikes: int, depth: float, rng: np.random.Generator) -> Points:
    """Closed outline with pointed tufts outwards (fur, stars, bursts). depth: share of the shape's size."""
    ring = np.asarray(shape, np.float64)
    p = curves.resampled(np.vstack([ring, ring[:1]]), spikes * 2 + 1)[:-1]
    centre = p.mean(0)
    reach = np.where(np.arange(len(p)) % 2 == 0, 1 + depth * rng.uniform(0.5, 1.3, len(p)), 1.0)
    out = centre + (p - centre) * reach[:, None]
    return curves.smooth(out, closed=True, per_span=5, sharp=range(0, len(p), 2))


def lobed(
    centre_xy: ArrayLike,
    radii_xy: Sequence[float],
    lobes: int,
    rng: np.random.Generator,
    *,
    bulge: float = 0.5,
) -> Points:
    """Closed outline of round lobes that meet in sharp valleys (clouds, smoke). bulge: 0 flat to 1."""
    turn = (np.arange(lobes) + rng.uniform(-0.28, 0.28, lobes)) * (2 * np.pi / lobes) + rng.uniform(0, 6.3)
    valleys = np.stack([np.cos(turn), np.sin(turn)], 1) * rng.uniform(0.86, 1.06, (lobes, 1))
    t = np.linspace(0, np.pi, 14)[:-1, None]
    spans = []
    for a, b in zip(valleys, np.roll(valleys, -1, 0), strict=True):
        chord = b - a
        out = np.array([chord[1], -chord[0]])
        lift = out * bulge * rng.uniform(0.75, 1.2)
        spans.append(a + chord * (1 - np.cos(t)) / 2 + lift * np.sin(t))
    return np.vstack(spans) * np.asarray(radii_xy) + np.asarray(centre_xy)


def tube(spine: ArrayLike, widths: ArrayLike, *, samples: int = 40) -> Points:
    """Outline of a limb: down one side, round the tip and back. widths: side to side, along it."""
    line = curves.resampled(curves.smooth(spine), samples)
    w = np.asarray(widths, np.float64)
    half = np.interp(np.linspace(0, 1, samples), np.linspace(0, 1, len(w)), w) / 2
    left, right = curves.offset(line, half), curves.offset(line, -half)
    along = line[-1] - line[-2]
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    side = np.array([-along[1], along[0]])
    t = np.linspace(0, np.pi, 9)[1:-1, None]
    cap = line[-1] + (side * np.cos(t) + along * np.sin(t)) * half[-1]
    return np.vstack([left, cap, right[::-1]])


def box(x0: float, y0: float, x1: float, y1: float, *, round_by: float = 0.0) -> Points:
    """Rectangle, its corners rounded by a radius."""
    if round_by <= 0:
        return curves.points((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    r = min(round_by, (x1 - x0) / 2, (y1 - y0) / 2)
    t = np.linspace(0, np.pi / 2, 6)
    corners = ((x1 - r, y0 + r, -0.5), (x1 - r, y1 - r, 0.0), (x0 + r, y1 - r, 0.5), (x0 + r, y0 + r, 1.0))
    arcs = [
        np.stack([x + r * np.cos(t + q * np.pi), y + r * np.sin(t + q * np.pi)], 1) for x, y, q in corners
    ]
    return np.vstack(arcs)


def moved(shape: ArrayLike, x: float, y: float) -> Points:
    """A shape drawn elsewhere."""
    return np.asarray(shape, np.float64) + np.array([x, y])


def scaled(shape: Points, share: float) -> Points:
    """A shape drawn smaller or larger about its middle."""
    middle = shape.mean(0)
    return middle + (shape - middle) * share


class ThingPen:
    """Draws one thing in its own coordinates: x right, y down, about -0.5 to 0.5 over `size_px`.

    turn_rad and flip place the thing; its light comes from above, and how it is shaded is chosen once for all
    of it.
    """

    def __init__(
        self,
        sheet: Sheet,
        rng: np.random.Generator,
        style: LineStyle,
        *,
        centre_xy: tuple[float, float],
        size_px: float,
        turn_rad: float = 0.0,
        flip: bool = False,
    ) -> None:
        self.sheet, self.rng, self.style = sheet, rng, style
        self.size_px = size_px
        # Hands draw small things with finer lines.
        self._line_px = min(style.width_px, max(1.0, size_px / 40))
        self._tone_px = min(style.tone_px, max(1.0, size_px / 90))
        self.tones = int(rng.choice([0, 1, 2], p=[0.12, 0.5, 0.38]))
        self.lit = bool(rng.random() < 0.6)
        self.fine = size_px * (0.4 + 0.6 * style.detail) >= 90  # room for small inner lines
        self._centre = np.asarray(centre_xy, np.float64)
        self._turn = turn_rad
        self._flip = np.array([-1.0 if flip else 1.0, 1.0])
        angle = rng.uniform(-2.5, -0.6)
        self.light = curves.rotated([[np.cos(angle), np.sin(angle)]], -turn_rad)[0] * self._flip
        self._shapes: dict[int, Points] = {}
        self._paints: dict[int, Swatch] = {}

    # -- places and paints ----------------------------------------------------------------------------------

    def px(self, shape: ArrayLike) -> Points:
        """The thing's coordinates to frame pixels."""
        p = np.asarray(shape, np.float64).reshape(-1, 2) * self._flip
        return curves.rotated(p, self._turn) * self.size_px + self._centre

    def chance(self, share: float) -> bool:
        """True as often as this share says."""
        return bool(self.rng.random() < share)

    def u(self, low: float, high: float) -> float:
        """A number between two bounds."""
        return float(self.rng.uniform(low, high))

    def paint(self, hue: float, saturation: float, value: float) -> Swatch:
        """Paints of a material from HSV."""
        return colours.swatch(self.rng, hue, saturation, value)

    def any_paint(self) -> Swatch:
        """Paints of any made thing."""
        return colours.cloth(self.rng)

    # -- parts ----------------------------------------------------------------------------------------------

    def part(
        self,
        shape: ArrayLike,
        paint: Swatch,
        *,
        outline: ArrayLike | None = None,
        form: bool = True,
        shaded: bool = False,
        width: float = 1.0,
    ) -> Area:
        """Paint an area, shade its form and ink its outline.

        outline: polyline to ink instead of the whole border (an empty one inks nothing). form: shade it by
        itself; parts that belong together are shaded by `form` in one go. shaded: all of it lies in shadow.
        """
        p = np.asarray(shape, np.float64)
        fill = DougaClass.SHADING_FILL if shaded else DougaClass.FLAT
        area = self.sheet.area(self.px(p), paint.shade if shaded else paint.normal, fill)
        self._shapes[area.key] = p
        self._paints[area.key] = paint
        if form and not shaded:
            self.form([area], paint)
        if outline is None:
            self._outline(p, paint, width)
        elif len(np.asarray(outline)) > 1:
            self.line(outline, paint, width=width, taper=self.style.taper * 0.4)
        return area

    def limb(
        self, shape: Points, paint: Swatch, *, root: float = 0.12, form: bool = True, shaded: bool = False
    ) -> Area:
        """A `tube` whose root melts into what it grows from: its lines start `root` of their length later."""
        return self.part(shape, paint, outline=curves.part(shape, root, 1 - root), form=form, shaded=shaded)

    def _outline(self, shape: Points, paint: Swatch, width: float) -> None:
        """Ink a border: mostly closed, sometimes in tapered pieces as a hand draws it."""
        w = self._line_px * width
        if self.chance(0.75):
            self.sheet.stroke(self.px(shape), w, self.style.ink(paint), closed=True)
            return
        whole = np.vstack([shape, shape[:1]])
        cuts = [0.0, *np.sort(self.rng.uniform(0.1, 0.9, int(self.rng.integers(1, 3)))), 1.0]
        for a, b in pairwise(cuts):
            piece = _piece(whole, a, b)
            self.sheet.stroke(self.px(piece), w * 1.15, self.style.ink(paint), taper=(0.08, 0.08))

    def line(
        self,
        points: ArrayLike,
        paint: Swatch,
        *,
        width: float = 0.85,
        taper: float | tuple[float, float] | None = None,
        within: Area | Sequence[Area] | None = None,
    ) -> None:
        """Ink a free line, thinning out at both ends."""
        t = self.style.taper if taper is None else taper
        ends = t if isinstance(t, tuple) else (t, t)
        p = self.px(points)
        if len(p) == 2 and max(ends) > 0:
            p = curves.resampled(p, 14)  # or there would be nothing to taper
        self.sheet.stroke(p, self._line_px * width, self.style.ink(paint), taper=ends, within=within)

    # -- tones ----------------------------------------------------------------------------------------------

    def tone(
        self,
        areas: Area | Sequence[Area],
        shape: ArrayLike,
        paint: Rgb,
        kind: str,
        *,
        inverse: bool = False,
    ) -> None:
        """Lay a "shade", "light" or "colour" tone over areas, with the trace line that belongs to it.

        Where it could not be told from the areas' paint there is none: nobody could see it in the frame.
        """
        below = self._paints.get((areas if isinstance(areas, Area) else areas[0]).key)
        if below is not None and np.abs(np.subtract(below.normal, paint)).max() < _LEAST_STEP[kind]:
            return
        fill, line = _TONES[kind]
        border = self.px(shape)
        if not inverse and np.ptp(border, axis=0).max() < _LEAST_TONE_PX * self.style.tone_px:
            return
        self.sheet.tone(areas, border, paint, fill, line, inverse=inverse, line_px=self._tone_px)

    def form(self, areas: Sequence[Area], paint: Swatch, *, depth: float | None = None) -> Points | None:
        """Shade joined areas away from the light. Returns the border of the lit side, if any."""
        lit = self.silhouette(areas) if self.tones else None
        if lit is None:
            return None
        size = float(np.ptp(lit, axis=0).min())
        depth = self.u(0.12, 0.42) if depth is None else depth
        lit = scaled(
            self._loosened(lit, size * 0.03), 1.05
        )  # larger, or its sides would show slivers of shadow
        border = lit + self.light * size * depth
        self.tone(areas, border, paint.shade, "shade", inverse=True)
        if self.tones == 2:
            self.tone(areas, lit + self.light * size * depth * 0.45, paint.shade2, "shade", inverse=True)
        if self.lit and self.chance(0.4):
            self.gleam(areas, paint)
        return border

    def _loosened(self, shape: Points, amount: float) -> Points:
        """A closed shape redrawn with fewer knots by a loose hand."""
        ring = np.vstack([shape, shape[:1]])
        knots = curves.resampled(ring, int(self.rng.integers(14, 26)))[:-1]
        return curves.smooth(knots + self.rng.normal(0, amount, knots.shape), closed=True, per_span=8)

    def gleam(self, areas: Sequence[Area], paint: Swatch, *, share: float = 0.12) -> None:
        """A highlight on the lit side: an oval or a bent streak, sometimes with a dot beside it."""
        body = self.silhouette(areas)
        if body is None:
            return
        extent = np.ptp(body, axis=0)
        spot = body.mean(0) + self.light * extent * self.u(0.2, 0.3)
        size = float(extent.min()) * share
        angle = float(np.arctan2(self.light[1], self.light[0])) + np.pi / 2
        if self.chance(0.45):
            bend = curves.bezier(
                (-size * 1.6, size * 0.5), (0, -size * 0.5), (size * 1.6, size * 0.5), samples=14
            )
            streak = curves.ribbon(bend, np.sin(np.linspace(0.05, 3.09, 14)) * size * self.u(0.2, 0.45))
            shape = curves.rotated(streak, angle) + spot
        else:
            radii = (size * self.u(0.7, 1.5), size * self.u(0.35, 0.7))
            shape = curves.ellipse(spot, radii, angle_rad=angle)
        self.tone(areas, shape, paint.light, "light")
        if self.chance(0.3):
            away = curves.rotated([[size * 2.2, size * 0.3]], angle)[0]
            self.tone(areas, curves.ellipse(spot + away, (size * 0.35, size * 0.3)), paint.light, "light")

    def patch(
        self, areas: Area | Sequence[Area], shape: ArrayLike, paint: Swatch, lit: Points | None = None
    ) -> None:
        """An area of another colour without a drawn border. lit: border of the lit side, to shade it too."""
        self.tone(areas, shape, paint.normal, "colour")
        dark = None if lit is None else joined([np.asarray(shape, np.float64)], minus=[lit])
        if dark is not None:
            self.tone(areas, dark, paint.shade, "shade")

    def silhouette(self, areas: Sequence[Area]) -> Points | None:
        """Outer border of the union of parts, in the thing's coordinates."""
        shapes = [self._shapes[a.key] for a in areas if a.key in self._shapes]
        return shapes[0] if len(shapes) == 1 else joined(shapes)


def _piece(line: Points, start: float, end: float) -> Points:
    """The part of a polyline between two shares of its length, corners kept, dense enough to taper."""
    at = curves.lengths(line)
    a, b = start * at[-1], end * at[-1]
    goal = np.union1d(np.linspace(a, b, 32), at[(at > a) & (at < b)])
    return np.stack([np.interp(goal, at, line[:, 0]), np.interp(goal, at, line[:, 1])], 1)


def joined(shapes: Sequence[Points], *, minus: Sequence[Points] = (), raster: int = _RASTER) -> Points | None:
    """Outer border of the largest piece of a union of shapes less others; None where nothing is left."""
    if not shapes:
        return None
    every = np.vstack(shapes)
    low, extent = every.min(0), max(float(np.ptp(every, axis=0).max()), 1e-6)
    scale = raster * (1 - 2 * _MARGIN) / extent
    canvas: NDArray[np.uint8] = np.zeros((raster, raster), np.uint8)
    for group, value in ((shapes, 1), (minus, 0)):
        for s in group:
            fixed = np.clip((s - low) * scale + raster * _MARGIN, -2000, 2000) * 16
            cv2.fillPoly(canvas, [np.round(fixed).astype(np.int32)], value, cv2.LINE_8, 4)
    found = cv2.findContours(canvas, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    largest = max(found, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) < 12:
        return None
    ring = largest[:, 0].astype(np.float64)
    ring = sum((np.roll(ring, k, 0) for k in (-2, -1, 1, 2)), ring) / 5
    return (ring - raster * _MARGIN) / scale + low
