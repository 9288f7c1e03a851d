"""Faces: outline, ears, nose, mouth, blush and the shadows that lie on the skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.colours import mix
from douga_training.simulate.curves import Points, bezier, ellipse, smooth
from douga_training.simulate.eyes import Eye
from douga_training.simulate.head_pen import HeadPen, HeadSpace
from douga_training.simulate.look import FaceDesign, Look
from douga_training.simulate.sheet import Area, Rgb

# Outline knots from the far temple over the chin to the near ear: frontal, and turned by one half.
_FAR = np.array([(0.37, -0.16), (0.366, 0.0), (0.355, 0.13), (0.30, 0.29), (0.165, 0.425), (0.055, 0.492)])
_FAR_HALF = np.array(
    [(0.335, -0.16), (0.298, 0.01), (0.322, 0.135), (0.285, 0.285), (0.225, 0.42), (0.165, 0.492)]
)
_NEAR = np.array(
    [(-0.055, 0.492), (-0.165, 0.425), (-0.30, 0.29), (-0.355, 0.13), (-0.366, 0.0), (-0.36, -0.16)]
)
_NEAR_HALF = np.array(
    [(0.055, 0.496), (-0.075, 0.44), (-0.225, 0.315), (-0.29, 0.14), (-0.30, 0.0), (-0.30, -0.16)]
)
_SIDE = np.array(
    [
        (0.355, -0.3),
        (0.385, -0.12),
        (0.372, -0.01),
        (0.352, 0.075),
        (0.372, 0.135),
        (0.432, 0.222),
        (0.42, 0.245),
        (0.366, 0.262),
        (0.378, 0.302),
        (0.352, 0.332),
        (0.366, 0.368),
        (0.336, 0.398),
        (0.342, 0.455),
        (0.302, 0.5),
        (0.225, 0.49),
        (0.06, 0.40),
        (-0.055, 0.30),
        (-0.09, 0.16),
        (-0.1, 0.0),
        (-0.1, -0.2),
    ]
)


def outline(space: HeadSpace, face: FaceDesign) -> Points:
    """Visible face contour as an open curve, far temple over chin to near ear, in head coordinates."""
    if space.is_profile:
        side = _SIDE.copy()
        side[4:7, 0] += (0.3 - face.chin) * 0.02
        side[14:17] += [(0.0, 0.0), (0.0, 0.03 * face.chin), (0.0, 0.03 * face.chin)]
        return smooth(side, per_span=8)
    w = space.turn / 0.5
    far, near = _FAR + (_FAR_HALF - _FAR) * w, _NEAR + (_NEAR_HALF - _NEAR) * w
    for half, sign in ((far, 1.0), (near[::-1], -1.0)):
        wide = (face.jaw - 0.285) + 0.012 * face.cheek
        half[3, 0] += sign * wide
        half[3, 1] += 0.02 * (face.cheek - 0.5)
        half[4, 0] += sign * (0.035 * face.chin + 0.6 * wide)
        half[5, 0] += sign * (0.04 * face.chin - 0.012)
    chin = [(0.115 * w, 0.5)]
    return smooth(np.vstack([far, chin, near]), per_span=8)


def far_edge_x(contour: Points, y: float) -> float:
    """Where the far side of the face ends at this height."""
    half = contour[: int(np.argmax(contour[:, 1]))]
    return float(np.interp(y, half[:, 1], half[:, 0]))


def draw_ear(pen: HeadPen, look: Look, side: int) -> Area | None:
    """An ear: side 1 the far one, -1 the near one. None where the head hides it."""
    space = pen.space
    if side > 0 and space.turn > 0.28:
        return None
    if space.is_profile:
        x, lean, width = -0.07, -1.0, 0.085
    else:
        x = side * 0.352 + (0.352 - 0.285) * 2 * space.turn * (1 if side < 0 else -0.4)
        lean, width = float(side), 0.055 + 0.05 * space.turn * (side < 0) - 0.06 * space.turn * (side > 0)
    knots = np.array(
        [(-0.1, -0.02), (0.5, -0.09), (1.0, -0.07), (1.05, 0.0), (0.8, 0.07), (0.35, 0.135), (-0.1, 0.13)]
    )
    y = 0.1 + 0.04 * space.pitch
    shape = smooth(knots, per_span=7) * (lean * width, 1.0) + (x, y)
    area = pen.area(shape, look.skin.normal)
    if look.has_shadow and pen.px(width) > 8:
        inner = smooth(
            np.array([(0.15, 0.0), (0.45, -0.055), (0.72, -0.04), (0.6, 0.02), (0.3, 0.08)]), closed=True
        )
        pen.shade(area, inner * (lean * width, 1.0) + (x, y), look.skin.shade)
    pen.line(shape, look.skin)
    if pen.px(width) > 7:
        curl = smooth([(0.25, -0.03), (0.6, -0.06), (0.8, -0.02), (0.6, 0.03), (0.4, 0.07)], per_span=6)
        pen.line(curl * (lean * width, 1.0) + (x, y), look.skin, width=0.8, taper=(0.3, 0.5))
    return area


def side_shadow(
    look: Look, contour: Points, light: NDArray[np.float64]
) -> tuple[Points, NDArray[np.float64]]:
    """Shadow on the side of the face away from the light, and the shift of its second shadow."""
    away = -1.0 if light[0] > 0 else 1.0
    depth = 0.04 + 0.2 * look.shade_amount * abs(light[0])
    chin_x = float(contour[np.argmax(contour[:, 1]), 0])
    edge = chin_x * 0.5 + away * 0.36
    inner = edge - away * depth
    knots = [
        (inner + away * 0.05, -0.4),
        (inner + away * 0.01, -0.1),
        (inner, 0.05),
        (inner - away * 0.02, 0.14),
        (inner + away * 0.01, 0.26),
        ((inner + chin_x) / 2, 0.4),
        (chin_x + away * 0.01, 0.475),
        (chin_x - away * 0.02, 0.53),
        (edge + away * 0.3, 0.6),
        (edge + away * 0.3, -0.4),
    ]
    return smooth(knots, closed=True, sharp=(0, 7, 8, 9)), np.array([away * 0.6 * depth, 0.02])


def shade_skin(
    pen: HeadPen,
    look: Look,
    face_area: Area,
    ears: list[Area],
    contour: Points,
    hair: list[Points],
    light: NDArray[np.float64],
) -> None:
    """Shadows that lie on the skin: on the side away from the light, and below the bangs.

    hair: shapes of the front hair, which throws its shadow down and away from the light.
    """
    drop = np.array([-0.02 * light[0], 0.025 + 0.045 * look.shade_amount])
    shapes = [shape + drop for shape in hair]
    if look.shade_amount > 0.25 and abs(light[0]) > 0.15:
        side, shift = side_shadow(look, contour, light)
        shapes.append(side)
        pen.shade([face_area, *ears], shapes, look.skin.shade)
        if look.has_second_shadow:
            pen.shade(face_area, side + shift, look.skin.shade2)
    else:
        pen.shade([face_area, *ears], shapes, look.skin.shade)


def draw_nose(pen: HeadPen, look: Look, face_area: Area, x: float, y: float) -> None:
    """Nose at its tip; small heads get a dot, tiny ones nothing."""
    kind, lean, size_px = look.face.nose, 0.02 + 0.03 * pen.space.turn, pen.px(1)
    if pen.space.is_profile:
        if size_px > 160:
            nostril = bezier((0.375, 0.243), (0.36, 0.222), (0.352, 0.248), samples=10)
            pen.line(nostril, look.skin, width=0.8, taper=(0.3, 0.5))
        return
    if look.has_shadow and kind in ("shadow", "bridge") and size_px > 110:
        wedge = [(x + lean * 0.5, y - 0.02), (x - 0.03, y + 0.025), (x + 0.012, y + 0.032)]
        pen.shade(face_area, smooth(wedge, closed=True, sharp=(0, 1, 2)), look.skin.shade)
    if kind != "none" and size_px >= 40:
        for stroke, taper in _nose_lines("line" if kind == "bridge" and size_px < 150 else kind, lean):
            pen.line(stroke + (x, y), look.skin, width=0.85, taper=taper)


def _nose_lines(kind: str, lean: float) -> list[tuple[Points, tuple[float, float]]]:
    """Strokes of a nose around its tip, each with its taper."""
    if kind == "bridge":
        bridge = bezier((-0.01, -0.11), (lean * 0.2, -0.05), (lean, 0.0), samples=14)
        wing = bezier((lean, 0.0), (lean * 0.7, 0.02), (-0.012, 0.022), samples=10)
        return [(bridge, (0.6, 0.1)), (wing, (0.1, 0.5))]
    if kind == "line":
        hook = bezier((0.0, -0.028), (lean * 0.9, 0.004), (lean * 0.4, 0.01), (-0.005, 0.013), samples=12)
        return [(hook, (0.5, 0.3))]
    if kind == "dot":
        return [(np.array([(0.0, 0.0), (0.006, 0.004), (0.014, 0.004)]), (0.2, 0.3))]
    return [(bezier((-0.018, 0.022), (0.0, 0.03), (0.016, 0.022), samples=8), (0.4, 0.4))]


def draw_mouth(pen: HeadPen, look: Look, x: float, y: float, squash: float) -> None:
    """Mouth around its middle; squash narrows it on a turned head."""
    kind, skin = look.face.mouth, look.skin
    if pen.space.is_profile:
        x, squash = x - 0.045, 0.55
    if pen.px(1) < 60 or kind in ("line", "smile", "frown", "small", "cat"):
        _closed_mouth(pen, look, kind, x, y, squash)
        return
    wide = {"open": 0.075, "shout": 0.095, "grin": 0.11}[kind] * squash
    deep = {"open": 0.065, "shout": 0.135, "grin": 0.07}[kind]
    top = smooth([(-1.0, -0.05), (-0.45, 0.02), (0.0, -0.02), (0.45, 0.02), (1.0, -0.05)], per_span=6)
    low = smooth(
        [(1.0, -0.05), (0.75, 0.6), (0.3, 0.97), (-0.3, 0.97), (-0.75, 0.6), (-1.0, -0.05)], per_span=6
    )
    frame = np.array([wide, deep])
    at = np.array([x, y - (0.5 if kind == "shout" else 0.25) * deep])
    inside = mix((118, 42, 48), skin.shade2, 0.25)
    area = pen.area(np.vstack([top, low[1:-1]]) * frame + at, inside)
    fine = pen.px(deep) > 12
    if fine and kind != "grin":
        tongue = smooth(
            [(-0.8, 0.75), (-0.3, 0.5), (0.3, 0.5), (0.8, 0.75), (0.5, 1.2), (-0.5, 1.2)], closed=True
        )
        pen.colour(area, tongue * frame + at, mix((222, 112, 112), skin.shade, 0.2))
    if fine and (kind in ("grin", "shout") or look.shade_amount > 0.55):
        reach = 0.75 if kind == "grin" else 0.2
        teeth = np.array([(-1.2, -0.4), (1.2, -0.4), (0.85, reach - 0.1), (0.0, reach), (-0.85, reach - 0.1)])
        pen.colour(
            area,
            smooth(teeth, closed=True, sharp=(0, 1, 2, 4)) * frame + at,
            mix((255, 255, 255), skin.normal, 0.08),
        )
    pen.line(top * frame + at, skin, width=1.1, taper=(0.1, 0.1))
    pen.line(low * frame + at, skin, width=0.95)
    if pen.px(1) > 250 and deep < 0.1:
        pen.line(
            bezier(
                (x - 0.02, y + deep * 0.75 + 0.035),
                (x, y + deep * 0.75 + 0.042),
                (x + 0.02, y + deep * 0.75 + 0.035),
                samples=8,
            ),
            skin,
            width=0.75,
            taper=(0.4, 0.4),
        )


def _closed_mouth(pen: HeadPen, look: Look, kind: str, x: float, y: float, squash: float) -> None:
    wide = {"small": 0.028, "cat": 0.06}.get(kind, 0.07) * squash
    bend = {"smile": 0.026, "frown": -0.02, "grin": 0.03}.get(kind, 0.004)
    if kind == "cat":
        curve = smooth(
            [(-wide, 0), (-wide * 0.5, 0.02), (0, 0.0), (wide * 0.5, 0.02), (wide, 0)], sharp=(2,), per_span=6
        )
    else:
        curve = bezier(
            (-wide, -bend * 0.5), (-wide * 0.4, bend), (wide * 0.4, bend), (wide, -bend * 0.5), samples=16
        )
    pen.line(curve + (x, y), look.skin, taper=(0.15, 0.3))
    if pen.px(1) > 220 and kind in ("line", "smile"):
        lip = bezier((x - 0.022, y + 0.036), (x, y + 0.044), (x + 0.022, y + 0.036), samples=8)
        pen.line(lip, look.skin, width=0.7, taper=(0.4, 0.4))


def blush_colour(look: Look) -> Rgb:
    """Skin with more blood in it."""
    return mix(look.skin.normal, (min(look.skin.normal[0], 245), 95, 90), 0.3)


def draw_blush(pen: HeadPen, look: Look, face_area: Area, x: float, y: float, squash: float) -> None:
    """Blush on one cheek: a painted area, a soft airbrush spot, short hatches."""
    kind, paint = look.face.blush, blush_colour(look)
    if kind == "none" or pen.px(1) < 70:
        return
    if kind in ("soft", "both"):
        at = pen.space.place([(x, y)])[0]
        pen.sheet.glaze(face_area, paint, at, at + (pen.px(0.13 * squash), 0.0), amount=1.0, radial=True)
    if kind == "area":
        pen.colour(face_area, ellipse((x, y), (0.085 * squash, 0.042)), paint)
    if kind in ("hatch", "both"):
        ink = mix(paint, (170, 40, 40), 0.45)
        for i in range(3):
            sx = x + (i - 1) * 0.035 * squash
            pen.line(
                np.array([(sx + 0.012, y - 0.02), (sx, y), (sx - 0.012, y + 0.02)]),
                ink,
                width=0.8,
                taper=(0.2, 0.4),
            )


def draw_tear(pen: HeadPen, look: Look, face_area: Area, x: float, y: float) -> None:
    """A drop below the eye or on the temple."""
    drop = smooth(
        [(x, y - 0.05), (x + 0.022, y), (x + 0.015, y + 0.028), (x - 0.015, y + 0.028), (x - 0.022, y)],
        closed=True,
        sharp=(0,),
    )
    area = pen.area(drop, (214, 234, 250))
    pen.light(area, ellipse((x - 0.006, y + 0.004), (0.007, 0.014)), (255, 255, 255))
    pen.line(drop, look.skin, width=0.8, closed=True)


def draw_brow(pen: HeadPen, look: Look, eye: Eye, *, lift: float) -> None:
    """A brow above an eye. lift: gap between eye box and brow in head heights."""
    face = look.face
    if face.brow == "none":
        return
    tilt = face.brow_slant * 0.05
    y = eye.y - eye.h / 2 - lift
    inner, outer = -0.46 * eye.w, 0.58 * eye.w
    spine = smooth(
        [
            (inner, tilt),
            (inner * 0.2, -0.025 + tilt * 0.3),
            (outer * 0.55, -0.032 - tilt * 0.4),
            (outer, -tilt * 0.5),
        ],
        per_span=8,
    ) * (eye.side, 1.0) + (eye.x, y)
    ink = mix(look.hair.shade2, pen.style.ink(look.hair), 0.5)
    thick = 0.016 if look.sex == "female" else 0.026
    if face.brow == "filled" and pen.px(thick) > 1.2 * pen.style.width_px:
        s = np.linspace(0, 1, len(spine))
        wide = thick * np.clip((1 - s) / 0.75, 0, 1) * np.clip(0.5 + s * 4, 0, 1)
        shape = np.vstack([spine, (spine - np.stack([0 * s, wide], 1))[::-1]])
        pen.area(shape, look.hair.shade if sum(look.hair.normal) > 260 else ink)
        pen.line(shape, pen.style.ink(look.hair), width=0.7, closed=True)
    elif face.brow == "thin":
        pen.line(spine, look.hair, width=0.8, taper=(0.3, 0.4))
    else:
        pen.line(spine, look.hair, width=1.35, taper=(0.08, 0.5))
