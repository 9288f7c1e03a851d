"""Hair wisps: thin strands that leave the outline and let the background through at their tips."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import DougaClass
from douga_training.simulate.colours import mix
from douga_training.simulate.curves import Points, bezier, resampled
from douga_training.simulate.figure import Place
from douga_training.simulate.film import Film, SoftLayer, box_around
from douga_training.simulate.sheet import CelArt, Rgb

_SAMPLES = 40


def draw_wisps(rng: np.random.Generator, art: CelArt, place: Place) -> SoftLayer | None:
    """Wisps on the hair of one figure, or None where none of its hair borders on the background.

    They stand in bunches with one flow: along the outline, away from it, and down or with the wind. A wide
    one is paint between two ink lines, a narrow one a line of the hair's colour or of ink.
    """
    roots, outwards = _roots(art, place)
    if len(roots) < 20:
        return None
    unit = place.head_px
    wind = rng.normal(0, 0.6, 2) + (0, 0.4)
    strands: list[tuple[Points, float, Rgb, float]] = []
    for _ in range(int(rng.integers(3, 10))):
        at = int(rng.integers(len(roots)))
        near = np.flatnonzero(np.hypot(*(roots - roots[at]).T) < unit * rng.uniform(0.05, 0.25))
        long = unit * float(np.exp(rng.uniform(np.log(0.08), np.log(0.6))))
        lean, bend = rng.uniform(0.1, 0.8), wind * rng.uniform(0.4, 1.6) + rng.normal(0, 0.3, 2)
        for k in rng.choice(near, min(len(near), int(rng.integers(1, 7)))):
            spine = _strand(rng, roots[k], outwards[k], long * rng.uniform(0.5, 1.3), lean, bend, place)
            paint = _paint_at(art, spine[2], place)
            wide = float(np.clip(unit * np.exp(rng.uniform(np.log(0.004), np.log(0.026))), 0.9, 12.0))
            strands.append((spine, wide, paint, float(rng.uniform(0.05, 0.7))))
    box = box_around([s[0] for s in strands], art.alpha.shape[::-1], 10)
    if box is None:
        return None
    film = Film(box)
    for spine, wide, paint, tip in strands:
        _draw(film, rng, spine, wide, paint, tip, place)
    return film.layer()


def _roots(art: CelArt, place: Place) -> tuple[Points, Points]:
    """Pixels of the outline that are hair, and the direction away from the cel at each: (N, 2) both."""
    solid = (art.alpha > 127).astype(np.uint8)
    kept = solid.copy()
    kept[[0, -1]], kept[:, [0, -1]] = 0, 0  # the frame's border is no outline
    hair = np.zeros(solid.shape, np.uint8)
    for paint in place.hair:
        hair |= cv2.inRange(art.rgb, np.array(paint, np.uint8), np.array(paint, np.uint8))
    line = max(3, round(place.line_px) * 2 + 3)
    near = cv2.dilate(hair & (solid * 255), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (line, line)))
    border = kept & (1 - cv2.erode(solid, np.ones((3, 3), np.uint8)))
    y, x = np.nonzero(border & (near > 0))
    soft = cv2.GaussianBlur(solid.astype(np.float32), (0, 0), max(2.0, place.head_px * 0.02))
    slope = np.stack([-cv2.Sobel(soft, cv2.CV_32F, 1, 0)[y, x], -cv2.Sobel(soft, cv2.CV_32F, 0, 1)[y, x]], 1)
    size = np.linalg.norm(slope, axis=1, keepdims=True)
    roots = np.stack([x, y], 1).astype(np.float64)
    close = (np.hypot(*(roots - place.head_xy).T) < 4 * place.head_px) & (size[:, 0] > 1e-4)
    return roots[close], (slope / np.maximum(size, 1e-6)).astype(np.float64)[close]


def _paint_at(art: CelArt, xy: NDArray[np.float64], place: Place) -> Rgb:
    """The hair's paint where a strand grows; its normal one where a line or something else lies there."""
    h, w = art.alpha.shape
    x, y = np.clip(np.round(xy).astype(int), 0, (w - 1, h - 1))
    r, g, b = (int(v) for v in art.rgb[y, x])
    return (r, g, b) if (r, g, b) in place.hair else place.hair[0]


def _strand(
    rng: np.random.Generator,
    root: NDArray[np.float64],
    outward: NDArray[np.float64],
    long: float,
    lean: float,
    bend: NDArray[np.float64],
    place: Place,
) -> Points:
    """The middle line of a wisp, from inside the hair to its tip."""
    along = np.array([-outward[1], outward[0]])
    if along @ (root - place.head_xy + (0, place.head_px * 0.6)) < 0:
        along = -along  # hair runs down, away from the crown
    first = along + outward * lean * rng.uniform(0.8, 1.2)
    first = first / np.linalg.norm(first)
    last = first * 0.7 + bend + rng.normal(0, 0.1, 2)
    last = last / max(float(np.linalg.norm(last)), 1e-6)
    start = root - first * min(long * 0.3, place.head_px * 0.1)
    middle = root + first * long * 0.4
    bow = middle + (first + last) * long * 0.15
    return resampled(bezier(start, middle, bow, bow + last * long * 0.45, samples=_SAMPLES), _SAMPLES)


def _draw(
    film: Film, rng: np.random.Generator, spine: Points, wide: float, paint: Rgb, tip: float, place: Place
) -> None:
    t = np.linspace(0, 1, _SAMPLES)
    swell = np.clip(t / 0.35, 0, 1) ** 0.6 * (1 - t) ** 0.75  # pointed at both ends
    width = np.maximum(wide * swell, 0.34)
    fades_from = rng.uniform(0.25, 0.75)
    opacity = 1 - (1 - tip) * np.clip((t - fades_from) / (1 - fades_from), 0, 1)
    if wide > 2.4 * place.line_px:
        film.stroke(spine, width + 1.6 * place.line_px * np.sqrt(swell), place.ink, opacity)
        film.stroke(spine, width, paint, opacity, line=DougaClass.FLAT)
        return
    is_ink = rng.random() < 0.45
    colour = place.ink if is_ink else mix(paint, place.ink, float(rng.uniform(0, 0.35)))
    film.stroke(spine, width, colour, opacity, line=DougaClass.VISIBLE_LINE if is_ink else DougaClass.FLAT)
