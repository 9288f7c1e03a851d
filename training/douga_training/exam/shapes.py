"""Forms of the examination's cels: Bezier locks, and shadows found by lighting an inflated form.

Nothing here comes from the simulator but the sheet, which holds samples and knows no shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from douga_training.simulate.sheet import Points, Rgb

_GRID = 160  # cells along the longer side of a form that is lit


@dataclass(frozen=True)
class Palette:
    """Paints of a character, RGB. line: ink of all visible lines."""

    hair: Rgb
    skin: Rgb
    coat: Rgb
    trim: Rgb
    legs: Rgb
    eyes: Rgb
    line: Rgb = (34, 28, 36)


PALETTES = (
    Palette((96, 60, 48), (252, 226, 206), (38, 42, 66), (238, 236, 230), (62, 60, 74), (126, 78, 40)),
    Palette((240, 240, 246), (250, 232, 222), (122, 30, 44), (222, 190, 96), (48, 40, 46), (170, 34, 54)),
    Palette(
        (30, 30, 38), (246, 214, 188), (26, 26, 32), (122, 20, 32), (22, 22, 28), (66, 76, 92), (8, 8, 10)
    ),
    Palette(
        (248, 204, 110), (254, 232, 214), (108, 158, 206), (250, 250, 250), (226, 218, 198), (42, 122, 178)
    ),
    Palette(
        (226, 128, 150), (254, 228, 216), (252, 248, 244), (88, 118, 176), (92, 106, 152), (108, 58, 128)
    ),
    Palette((74, 134, 126), (238, 204, 174), (196, 108, 54), (78, 60, 48), (98, 110, 74), (202, 150, 42)),
    Palette((120, 96, 168), (250, 224, 220), (86, 84, 92), (206, 72, 106), (36, 36, 48), (66, 148, 118)),
)


def shaded(paint: Rgb, depth: float = 1.0) -> Rgb:
    """The paint in shadow: darker and towards violet."""
    keep = 1 - np.array([0.27, 0.33, 0.19]) * depth
    r, g, b = (int(v) for v in np.clip(np.array(paint) * keep, 0, 255))
    return r, g, b


def lit(paint: Rgb, amount: float = 0.6) -> Rgb:
    """The paint in a highlight: towards a warm white."""
    r, g, b = (int(v) for v in np.array(paint) * (1 - amount) + np.array([255, 252, 240]) * amount)
    return r, g, b


def bezier(*knots: tuple[float, float], samples: int = 22) -> Points:
    """A chain of cubic Bezier curves: 4, 7, 10 ... knots. Returns (N, 2)."""
    k = np.asarray(knots, np.float64)
    t = np.linspace(0, 1, samples)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    return np.vstack([weights @ k[i : i + 4] for i in range(0, len(k) - 3, 3)])


def oval(x: float, y: float, rx: float, ry: float, first: float = 0.0, last: float = 2 * np.pi) -> Points:
    """An arc of an ellipse, from angle first to last (clockwise on screen)."""
    t = np.linspace(first, last, 64)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], 1)


def lock(
    root: tuple[float, float], bend: tuple[float, float], tip: tuple[float, float], width: float
) -> Points:
    """A lock of hair as a closed outline: down its left side, from index 0, and back from the tip, at the
    middle.

    It is widest at a third of its length and ends in a point.
    """
    t = np.linspace(0, 1, 30)[:, None]
    axis = (1 - t) ** 2 * np.array(root) + 2 * t * (1 - t) * np.array(bend) + t**2 * np.array(tip)
    along = np.gradient(axis, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1, keepdims=True)
    reach = width * (0.35 + 0.65 * np.sin(np.pi * np.minimum(t * 1.5, 0.5))) * (1 - t**2.2)
    return np.vstack([axis + across * reach, (axis - across * reach)[::-1]])


def tube(knots: Points, radii: Points) -> Points:
    """A limb: closed outline around a polyline with a radius at each knot."""
    t = np.linspace(0, len(knots) - 1, 14 * (len(knots) - 1))
    axis = np.stack([np.interp(t, np.arange(len(knots)), knots[:, i]) for i in (0, 1)], 1)
    kernel = np.ones(7) / 7
    padded = np.pad(axis, ((3, 3), (0, 0)), mode="edge")
    axis = np.stack([np.convolve(padded[:, i], kernel, "valid") for i in (0, 1)], 1)
    along = np.gradient(axis, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(
        np.linalg.norm(along, axis=1, keepdims=True), 1e-9
    )
    reach = np.interp(t, np.arange(len(knots)), radii.ravel())[:, None]
    return np.vstack([axis + across * reach, (axis - across * reach)[::-1]])


def ribbon(points: Points, width: float, taper: tuple[float, float]) -> Points:
    """The closed outline of a stroke, tapered as `Sheet.stroke` does it."""
    along = np.gradient(points, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(
        np.linalg.norm(along, axis=1, keepdims=True), 1e-9
    )
    far = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    share = far / max(float(far[-1]), 1e-9)
    rise = np.minimum(share / taper[0], 1) if taper[0] > 0 else 1.0
    fall = np.minimum((1 - share) / taper[1], 1) if taper[1] > 0 else 1.0
    reach = across * (width / 2 * np.minimum(rise, fall))[:, None]
    return np.vstack([points + reach, (points - reach)[::-1]])


def zigzag_band(
    rng: np.random.Generator,
    centre: tuple[float, float],
    radii: tuple[float, float],
    depth: float,
    teeth: int,
) -> Points:
    """A shine across hair: a band along the upper arc of an ellipse whose both edges are saw teeth."""
    t = np.linspace(np.pi * 1.17, np.pi * 1.83, 2 * teeth + 1)
    saw = np.where(np.arange(len(t)) % 2, 1.0, -0.35) * rng.uniform(0.6, 1.2, len(t))
    edges = []
    for sign, t_edge in ((1.0, t), (-0.8, t[::-1])):
        reach = 1 + sign * depth * (0.25 + saw) * np.sin((t_edge - t[0]) / (t[-1] - t[0]) * np.pi)
        at = np.stack([np.cos(t_edge) * radii[0] * reach, np.sin(t_edge) * radii[1] * reach], 1)
        edges.append(at + np.array(centre))
    return np.vstack(edges)


def ring_gap(x: float, y: float, radius: float, thickness: float, gap_rad: float = 0.9) -> Points:
    """A ring that is open on its lower right side, as one outline."""
    outer = oval(x, y, radius, radius * 1.1, gap_rad, 2 * np.pi)
    inner = oval(x, y, radius - thickness, (radius - thickness) * 1.1, gap_rad, 2 * np.pi)
    return np.vstack([outer, inner[::-1]])


def shadow_shapes(shape: Points, light_xy: tuple[float, float], share: float) -> list[Points]:
    """Where a form that bulges towards us turns away from the light: closed polygons that reach past its
    outline.

    The outline is blown up like a pillow (height: root of the distance to the outline), its slope is lit from
    light_xy (x right, y down, towards the light), and the darkest `share` of it is the shadow.
    """
    low = shape.min(0)
    scale = _GRID / max(float((shape.max(0) - low).max()), 1e-6)
    pad = 14
    cells = (shape - low) * scale + pad
    w, h = (int(v) + pad + 2 for v in cells.max(0))
    mask = np.zeros((h, w), np.uint8)
    cv2.fillPoly(mask, [np.round(cells).astype(np.int32)], 1)
    if not mask.any():
        return []
    height = cv2.GaussianBlur(np.sqrt(cv2.distanceTransform(mask, cv2.DIST_L2, 5)), (0, 0), 5)
    slope = [cv2.Sobel(height, cv2.CV_32F, *d, ksize=5) for d in ((1, 0), (0, 1))]
    light = -(slope[0] * light_xy[0] + slope[1] * light_xy[1])
    level = float(np.quantile(light[mask > 0], share))
    dark = ((light < level) & (mask > 0)).astype(np.uint8)
    dark |= cv2.dilate(dark, np.ones((13, 13), np.uint8)) & (1 - mask)
    dark = (cv2.GaussianBlur(dark.astype(np.float32), (0, 0), 2.5) > 0.5).astype(np.uint8)
    found, _ = cv2.findContours(dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    least = 0.012 * _GRID**2
    return [(_smooth(c[:, 0]) - pad) / scale + low for c in found if cv2.contourArea(c) > least]


def _smooth(contour: Points) -> Points:
    ring = np.pad(contour.astype(np.float64), ((6, 6), (0, 0)), mode="wrap")
    return np.stack([np.convolve(ring[:, i], np.ones(13) / 13, "valid") for i in (0, 1)], 1)
