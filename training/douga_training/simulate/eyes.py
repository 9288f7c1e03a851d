"""Eyes: lashes, lids, whites, irises with their tones and lights, brows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from douga.classes import DougaClass
from douga_training.simulate.colours import mix
from douga_training.simulate.curves import Points, offset, part, resampled, smooth
from douga_training.simulate.head_pen import HeadPen
from douga_training.simulate.iris import Iris, IrisDesign, design_iris, draw_iris
from douga_training.simulate.look import Look
from douga_training.simulate.sheet import Area, Rgb

_UPPER = np.array(
    [(-0.5, 0.2), (-0.42, -0.1), (-0.22, -0.36), (0.06, -0.5), (0.3, -0.42), (0.46, -0.16), (0.52, 0.1)]
)
_LOWER = np.array([(0.52, 0.1), (0.45, 0.33), (0.22, 0.47), (-0.06, 0.5), (-0.32, 0.42), (-0.5, 0.2)])
_SIDE_UPPER = np.array([(-0.45, 0.12), (-0.25, -0.2), (0.05, -0.42), (0.32, -0.5), (0.45, -0.46)])
_SIDE_LOWER = np.array([(0.45, -0.46), (0.36, -0.1), (0.3, 0.25), (0.22, 0.5), (-0.12, 0.42), (-0.45, 0.12)])


@dataclass(frozen=True)
class EyeDesign:
    """What both eyes of a head share, drawn once. Offsets are shares of the eye's box."""

    upper: Points
    lower: Points
    iris: IrisDesign
    spikes: int
    white: Rgb
    white_shade: Rgb
    white_is_enclosed: bool
    lid_shadow: float
    lower_span: tuple[float, float]


@dataclass(frozen=True)
class Eye:
    """One eye in head coordinates. side: 1 where the outer corner is to the right, else -1."""

    x: float
    y: float
    w: float
    h: float
    side: int
    slant: float
    is_profile: bool

    def place(self, shape: ArrayLike) -> Points:
        """Eye coordinates (box -0.5 to 0.5, outer corner at +x) to head coordinates."""
        p = np.asarray(shape, np.float64).reshape(-1, 2)
        x = p[:, 0] * self.w * self.side
        return np.stack([self.x + x, self.y + p[:, 1] * self.h - self.slant * p[:, 0] * self.w], 1)


def design_eyes(rng: np.random.Generator, look: Look, *, is_profile: bool) -> EyeDesign:
    """Draw the shapes and lights that both eyes share."""
    upper, lower = (_SIDE_UPPER, _SIDE_LOWER) if is_profile else (_UPPER, _LOWER)
    upper, lower = upper.copy(), lower.copy()
    upper[1:-1] += rng.normal(0, 0.025, upper[1:-1].shape)
    lower[1:-1, 1] += rng.normal(0, 0.025, len(lower) - 2)
    lower[1:-1, 1] *= rng.uniform(0.85, 1.05)
    tint = mix((255, 255, 255), look.skin.normal, rng.uniform(0.0, 0.12))
    return EyeDesign(
        upper=upper,
        lower=lower,
        iris=design_iris(rng, look),
        spikes=int(rng.choice([0, 1, 2, 3], p=[0.35, 0.2, 0.3, 0.15])),
        white=tint,
        white_shade=mix(tint, mix(look.skin.shade2, (120, 130, 175), 0.55), rng.uniform(0.3, 0.6)),
        white_is_enclosed=bool(rng.random() < 0.97),
        lid_shadow=float(rng.choice([0.0, rng.uniform(0.12, 0.3)], p=[0.25, 0.75])),
        lower_span=(float(rng.uniform(0.0, 0.1)), float(rng.uniform(0.3, 0.95))),
    )


def lids(eye: Eye, design: EyeDesign, lid: str) -> tuple[Points, Points]:
    """Upper and lower lid as curves in head coordinates, inner to outer corner and back."""
    upper, lower = design.upper.copy(), design.lower.copy()
    if lid == "half":
        upper[:, 1] = np.where(upper[:, 1] < 0.1, 0.1 + (upper[:, 1] - 0.1) * 0.42, upper[:, 1])
    return eye.place(smooth(upper, per_span=8)), eye.place(smooth(lower, per_span=8))


def draw_eye(pen: HeadPen, look: Look, eye: Eye, design: EyeDesign, *, skin_area: Area) -> None:
    """Draw one eye over the face. Small eyes are simpler, as on a layout of small figures."""
    lash_ink = lash_colour(pen, look)
    tall_px = pen.px(eye.h)
    if tall_px < 7:
        _draw_tiny(pen, look, eye, lash_ink, tall_px)
        return
    lid = look.face.lid
    if lid in ("closed", "smile"):
        _draw_closed(pen, look, eye, design, lash_ink)
        return
    upper, lower = lids(eye, design, lid)
    opening = np.vstack([upper, lower[1:-1]])
    enclosed = design.white_is_enclosed or tall_px < 16
    white = pen.area(opening, design.white, DougaClass.FLAT if enclosed else DougaClass.COLOR_FILL)
    if not enclosed:
        pen.trace(opening, DougaClass.COLOR_EDGE, within=[white, skin_area], closed=True)
    if design.lid_shadow and tall_px > 18 and look.has_shadow:
        drop = np.array([0.0, design.lid_shadow * eye.h])
        pen.shade(white, np.vstack([upper - drop, (upper + drop)[::-1]]), design.white_shade)
    draw_iris(pen, look, design.iris, _iris_of(look, eye, design.iris), white)
    _upper_lashes(pen, look, eye, design, upper, lash_ink)
    _lower_lashes(pen, look, eye, design, lower, lash_ink, enclosed=enclosed)
    _fold(pen, look, eye, upper)


def lash_colour(pen: HeadPen, look: Look) -> Rgb:
    """Lashes are the darkest lines of a face."""
    return mix(pen.style.ink(look.hair), (10, 8, 12), 0.65)


def _draw_tiny(pen: HeadPen, look: Look, eye: Eye, ink: Rgb, tall_px: float) -> None:
    if look.face.lid in ("closed", "smile") or tall_px < 2.5:
        pen.line(eye.place([(-0.35, 0.1), (0.0, 0.25), (0.35, 0.1)]), ink, width=1.0)
        return
    pen.line(
        eye.place([(0.0, -0.4), (0.0, 0.4)]), ink, width=max(1.0, 0.35 * pen.px(eye.w) / pen.style.width_px)
    )
    pen.line(eye.place([(-0.45, -0.25), (0.0, -0.48), (0.5, -0.25)]), ink)


def _draw_closed(pen: HeadPen, look: Look, eye: Eye, design: EyeDesign, ink: Rgb) -> None:
    if look.face.lid == "smile":
        knots = [(-0.48, 0.28), (-0.25, 0.0), (0.05, -0.1), (0.32, 0.02), (0.52, 0.3)]
    else:
        knots = [(-0.48, 0.1), (-0.25, 0.3), (0.05, 0.38), (0.32, 0.3), (0.54, 0.08)]
    curve = eye.place(smooth(knots, per_span=8))
    _lash_shape(pen, look, eye, curve, ink, depth=0.75)
    if look.face.lid == "closed":
        for i in range(design.spikes):
            at = resampled(curve, 12)[11 - 2 * i]
            tip = at + np.array([eye.side * (0.10 - 0.02 * i) * eye.w, 0.13 * eye.h])
            pen.line(np.array([at, (at + tip) / 2 + (0, 0.01 * eye.h), tip]), ink, taper=(0.0, 0.7))
    if look.face.fold:
        fold = offset(part(curve, 0.2, 0.85), 0.0) - np.array([0.0, 0.28 * eye.h])
        pen.line(fold, look.skin, width=0.8, taper=(0.4, 0.4))


def _iris_of(look: Look, eye: Eye, design: IrisDesign) -> Iris:
    """Where the iris stands for this gaze and lid."""
    lid = look.face.lid
    scale = 0.78 if lid == "wide" else 1.0
    gaze_x, gaze_y = np.clip(look.face.gaze_xy, -0.45, 0.45)
    aside = 0.24 * eye.side if eye.is_profile else -0.02 * eye.side
    ry = design.height * eye.h * scale
    return Iris(
        x=eye.x + (gaze_x * 0.3 + aside) * eye.w,
        y=eye.y + (gaze_y * 0.2 + (0.1 if lid == "half" else 0.04)) * eye.h,
        rx=min(design.width * eye.w * scale, ry * 0.98) * (0.62 if eye.is_profile else 1.0),
        ry=ry,
    )


def _lash_shape(pen: HeadPen, look: Look, eye: Eye, curve: Points, ink: Rgb, *, depth: float = 1.0) -> None:
    """The thick black shape of a lash row along a lid, thin at the inner corner."""
    curve = resampled(curve, 40)
    s = np.linspace(0, 1, 40)
    profile = (
        (0.22 + 0.78 * np.clip(s / 0.55, 0, 1) ** 1.2)
        * np.clip((1 - s) / 0.1, 0.25, 1)
        * np.clip(s / 0.08, 0.15, 1)
    )
    thick = 0.2 * look.face.lash * eye.h * depth
    if pen.px(thick) < pen.style.width_px * 1.2:
        width = float(np.clip(pen.px(eye.h) / 13, 0.7, 1.15))  # a full one would fill an eye of 8 px
        pen.line(curve, ink, width=width, taper=(0.12, 0.05))
        return
    outer = curve + np.stack([0.25 * eye.side * thick * profile * s, -thick * profile], 1)
    pen.solid(np.vstack([curve, outer[::-1]]), ink)


def _upper_lashes(pen: HeadPen, look: Look, eye: Eye, design: EyeDesign, upper: Points, ink: Rgb) -> None:
    """The row of lashes, its wing at the outer corner and, in close-ups, single lashes."""
    face = look.face
    _lash_shape(pen, look, eye, upper, ink)
    if not eye.is_profile and face.lash_flick > 0.15 and pen.px(eye.h) > 12:
        end = upper[-1]
        length = (0.08 + 0.14 * face.lash_flick) * eye.w
        tip = end + np.array([eye.side * length, -0.5 * length * (1 if face.lash_flick > 0.5 else -0.4)])
        root = part(upper, 0.78, 0.8)[0]
        wing = np.vstack([smooth([root, (end + tip) / 2 - (0, 0.04 * eye.h), tip], per_span=6), end])
        pen.solid(wing, ink, width=0.5)
    if pen.px(eye.h) <= 26:
        return
    at, thick = resampled(upper, 20), np.array([0.0, -0.12 * face.lash * eye.h])
    for i in range(design.spikes):
        base, foot = at[18 - 3 * i], at[max(16 - 3 * i, 0)]
        length = (0.16 - 0.03 * i) * eye.w * (0.6 + face.lash)
        tip = base + np.array([eye.side * length, -length * (0.55 + 0.35 * i)])
        lash = smooth([foot + thick, (base + tip) / 2 + thick, tip], per_span=5)
        pen.solid(np.vstack([lash, base]), ink, width=0.4)


def _lower_lashes(
    pen: HeadPen, look: Look, eye: Eye, design: EyeDesign, lower: Points, ink: Rgb, *, enclosed: bool
) -> None:
    """A thin line along the outer part of the lower lid, or all along it to close the white off."""
    face = look.face
    reach, thin = ((0.0, 1.0), 0.15) if enclosed else (design.lower_span, 0.4)
    pen.line(part(lower, *reach), ink, width=0.55 + 0.4 * face.lower_lash, taper=(0.05, thin))
    if pen.px(eye.h) > 26 and face.lower_lash > 0.75:
        hook = np.array(
            [(0.0, 0.0), (eye.side * 0.03 * eye.w, 0.035 * eye.h), (eye.side * 0.05 * eye.w, 0.09 * eye.h)]
        )
        for base in resampled(lower, 20)[[3, 6]]:
            pen.line(base + hook, ink, width=0.8, taper=(0.0, 0.8))


def _fold(pen: HeadPen, look: Look, eye: Eye, upper: Points) -> None:
    """The fold of the eyelid above the lashes."""
    if look.face.fold and pen.px(eye.h) > 20:
        lift = np.array([0.0, -(0.12 + 0.2 * look.face.lash) * eye.h])
        pen.line(part(upper, 0.2, 0.88) + lift, look.skin, width=0.75, taper=(0.4, 0.4))


def draw_lid_over_hair(pen: HeadPen, look: Look, eye: Eye, design: EyeDesign) -> None:
    """The upper lash line once more, thin, where bangs have covered it."""
    if pen.px(eye.h) > 14 and look.face.lid not in ("closed", "smile"):
        upper, _ = lids(eye, design, look.face.lid)
        pen.line(upper, lash_colour(pen, look), width=0.9, taper=(0.1, 0.1))
