"""A pen for whole figures: paints parts back to front, remembers how each is to be shaded, and shades at the
end.

Shading waits until everything is painted, because a part may get several shadows (its own, one cast by an
arm, one by the head) that must merge into one tone without trace lines where they overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from douga.classes import DougaClass
from douga_training.simulate.colours import Swatch
from douga_training.simulate.curves import Points, normals
from douga_training.simulate.look import LineStyle, Look
from douga_training.simulate.sheet import Area, Rgb, Sheet


@dataclass
class Part:
    """A painted area and the tones that it is still to get. Shapes are (N, 2) frame pixels.

    crescents: (shape, inverse) pairs; with inverse everything outside of the shape is toned.
    """

    area: Area
    paint: Swatch
    shape: Points
    shades: list[tuple[Points, bool]] = field(default_factory=list)
    deep: list[tuple[Points, bool]] = field(default_factory=list)
    lights: list[Points] = field(default_factory=list)


class Pen:
    """Draws on one sheet in one style. unit_px: height of the figure's head, the measure of all its parts."""

    def __init__(
        self, sheet: Sheet, rng: np.random.Generator, look: Look, style: LineStyle, unit_px: float
    ) -> None:
        self.sheet, self.rng, self.look, self.style = sheet, rng, look, style
        self.unit_px = unit_px
        self.light: Points = np.asarray(look.light_xy, np.float64)
        self.parts: list[Part] = []

    @property
    def detail(self) -> float:
        """0 where only outlines are worth drawing, 1 in close-ups."""
        return float(np.clip((np.log2(max(self.unit_px, 1.0)) - 4.6) / 3.4, 0.0, 1.0))

    def chance(self, share: float) -> bool:
        """True with this probability; always costs one draw, so that a seed stays in step."""
        return bool(self.rng.random() < share)

    # -- painting --------------------------------------------------------------------------------------------

    def fill(self, shape: Points, paint: Swatch, kind: DougaClass = DougaClass.FLAT) -> Part:
        """Paint a closed shape; its tones follow in `finish`."""
        part = Part(self.sheet.area(shape, paint.normal, kind), paint, shape)
        self.parts.append(part)
        return part

    def form(self, shape: Points, paint: Swatch, *, width: float = 1.0) -> Part:
        """Paint a closed shape and ink all around it."""
        part = self.fill(shape, paint)
        self.ink(np.vstack([shape, shape[:1]]), paint, width=width)
        return part

    def ink(
        self,
        line: Points,
        paint: Swatch,
        *,
        width: float = 1.0,
        taper: tuple[float, float] = (0.0, 0.0),
        within: Part | Sequence[Part] | None = None,
    ) -> None:
        """Ink an open line; width counts in line widths of the style."""
        on = None if within is None else [p.area for p in ([within] if isinstance(within, Part) else within)]
        self.sheet.stroke(line, width * self.style.width_px, self.style.ink(paint), taper=taper, within=on)

    def fold(self, line: Points, part: Part, *, width: float = 0.75, both: bool = False) -> None:
        """A fold inside a part: starts at the outline and thins out, or thins out at both ends.

        Often with its shadow, which may stand for it without a line.
        """
        is_shaded = self.chance(0.55 * self.detail) and self.look.has_shadow
        if is_shaded:
            part.shades.append((self._leaf(line), False))
        if not (is_shaded and self.chance(0.3)):
            self.ink(line, part.paint, width=width, taper=(0.5 if both else 0.0, 0.6), within=part)

    def _leaf(self, line: Points) -> Points:
        """The shadow beside a fold, on the side away from the light, pointed at one or both of its ends."""
        length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
        across = normals(line)
        side = -np.sign(float((across @ self.light).sum()) or 1.0)
        wide = min(length * self.rng.uniform(0.12, 0.4), 0.3 * self.unit_px)
        along = np.linspace(self.rng.uniform(0, 0.4), 1, len(line))
        profile = np.sin(np.pi * along)[:, None] ** self.rng.uniform(0.7, 1.4)
        return np.vstack([line, (line + across * side * wide * profile)[::-1]])

    def patch(self, base: Part | Sequence[Part], shape: Points, paint: Swatch) -> Part:
        """A colour area without a drawn border, painted on base; the shape must lie within it."""
        part = self.fill(shape, paint, DougaClass.COLOR_FILL)
        on = [part.area, *(p.area for p in ([base] if isinstance(base, Part) else base))]
        closed = np.vstack([shape, shape[:1]])
        self.sheet.stroke(closed, self.style.tone_px, (0, 0, 0), within=on, line=DougaClass.COLOR_EDGE)
        return part

    def differs(self, where: Points, paint: Swatch) -> NDArray[np.bool_]:
        """Whether another paint than this one lies at these points, (N,) bool; off the sheet its border
        counts.
        """
        x, y = np.floor((where - self.sheet.frame_box()[:2]) * self.sheet.oversample).astype(int).T
        h, w = self.sheet.ids.shape
        there: NDArray[np.bool_] = (
            self.sheet.fill[np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)] != np.array(paint.normal, np.uint8)
        ).any(-1)
        return there

    # -- tones -----------------------------------------------------------------------------------------------

    def crescent(self, part: Part, depth_px: float, *, ragged: float = 0.35, deep: bool = False) -> None:
        """Shade the side away from the light: what the shape uncovers when it is pushed towards the light."""
        moved = self.ragged(part.shape, depth_px, ragged)
        (part.deep if deep else part.shades).append((moved, True))

    def ragged(self, shape: Points, depth_px: float, ragged: float) -> Points:
        """The shape pushed towards the light by an uneven depth, in swells or in teeth."""
        t = np.linspace(0, 1, len(shape), endpoint=False)
        if len(shape) > 2:
            step = np.linalg.norm(np.diff(shape, axis=0, append=shape[:1]), axis=1)
            t = (np.cumsum(step) - step) / max(step.sum(), 1e-9)
        swell = sum(np.sin(2 * np.pi * (t * f + self.rng.random())) / f**0.5 for f in (2, 3, 5, 8))
        if self.chance(0.45):  # teeth: a sawtooth reads as folds of cloth
            phase = (t * self.rng.integers(5, 12) + self.rng.random()) % 1.0
            swell = swell * 0.5 + np.where(phase < 0.75, phase / 0.75, (1 - phase) / 0.25) * 1.6 - 0.8
        return shape + self.light * (depth_px * (1.0 + ragged * np.asarray(swell)))[:, None]

    def cast(self, shape: Points, onto: Iterable[Part], offset_px: float) -> None:
        """Shadow of a shape on parts behind it, thrown away from the light and always a little downwards."""
        away = -self.light * offset_px * 0.8 + np.array([0.0, 0.55 * offset_px])
        for part in onto:
            part.shades.append((shape + away, False))

    def finish(self) -> None:
        """Lay all tones: first shadows, second shadows, highlights."""
        look, px = self.look, self.style.tone_px
        for part in self.parts:
            if look.has_shadow:
                for shape, inverse in part.shades:
                    self._tone(part, shape, inverse, part.paint.shade, merge=True)
            if look.has_second_shadow:
                for shape, inverse in part.deep:
                    self._tone(part, shape, inverse, part.paint.shade2, merge=False)
            if look.has_highlights:
                for shape in part.lights:
                    self.sheet.tone(
                        part.area, shape, part.paint.light,
                        DougaClass.HIGHLIGHT_FILL, DougaClass.HIGHLIGHT_LINE, line_px=px,
                    )  # fmt: skip

    def _tone(self, part: Part, shape: Points, inverse: bool, paint: Rgb, *, merge: bool) -> None:
        """One shadow. merge: no trace line where it runs through shadow that is there already."""
        x0, y0, x1, y1 = part.area.box
        ids = self.sheet.ids[y0:y1, x0:x1]
        if ids.size == 0:
            return
        before = ids.copy()
        line = DougaClass.SHADING_LINE
        self.sheet.tone(
            part.area,
            shape,
            paint,
            DougaClass.SHADING_FILL,
            line,
            inverse=inverse,
            line_px=self.style.tone_px,
        )
        keep = (before == DougaClass.COLOR_EDGE) & (ids != before)
        if merge:
            keep |= (before == DougaClass.SHADING_FILL) & (ids == line)
        np.copyto(ids, before, where=keep)
