"""Soft things of the examination's cels, for cutouts: stray hairs, net, cut glass, a stepped aura, a smear.

Their shapes are not the simulator's: its wisps come in bunches and are pointed at both ends, its cloth has
folds, its glass is blown. Both know meshes and auras in flat steps. The film that they are drawn on is the
same, which holds samples and knows no shapes; so is the smear, a mean over the shutter's time.
"""

from __future__ import annotations

import cv2
import numpy as np

from douga.classes import DougaClass
from douga_training.exam.shapes import PALETTES, bezier, oval, shaded, tube
from douga_training.simulate.film import Film, SoftLayer, box_around, lay
from douga_training.simulate.motion import Shift
from douga_training.simulate.sheet import CelArt, Points

THINGS = ("net", "crystal", "aura", "smear")
Box = tuple[int, int, int, int]


def soften(rng: np.random.Generator, art: CelArt, thing: str) -> CelArt:
    """Stray hairs on every head, and one of THINGS. Returns a new cel, or an empty one as it is."""
    if not (art.alpha > 127).any():
        return art
    draw = {"net": _net, "crystal": _crystal, "aura": _aura}
    for layer in (_stray_hairs(rng, art), draw[thing](rng, art) if thing in draw else None):
        art = lay(art, layer) if layer is not None else art
    if thing == "smear":
        angle, far = float(rng.uniform(0.2, 1.3)), float(rng.uniform(6, 26)) * art.alpha.shape[0] / 1080
        art = Shift((far * np.cos(angle), far * np.sin(angle))).applied(art)
    return art


def _stray_hairs(rng: np.random.Generator, art: CelArt) -> SoftLayer | None:
    """Single hairs, each with a bend both ways, thick as a line for most of their length."""
    h, w = art.alpha.shape
    solid = (art.alpha > 127).astype(np.uint8)
    hair = np.zeros_like(solid)
    for palette in PALETTES:
        for paint in (palette.hair, shaded(palette.hair)):
            hair |= cv2.inRange(art.rgb, np.array(paint, np.uint8), np.array(paint, np.uint8)) & solid
    inner = cv2.erode(solid, np.ones((3, 3), np.uint8), borderValue=1)
    y, x = np.nonzero((solid - inner) & cv2.dilate(hair, np.ones((9, 9), np.uint8)))
    if len(y) < 20:
        return None
    middle = np.array([x.mean(), y.mean()])
    unit = 0.3 * float(np.hypot(np.ptp(x), np.ptp(y)))
    strokes: list[tuple[Points, float]] = []
    for k in rng.choice(len(y), int(rng.integers(14, 40))):
        root = np.array([x[k], y[k]], float)
        out = root - middle + rng.normal(0, 0.3 * unit, 2)
        out = out / max(float(np.hypot(*out)), 1.0)
        across = np.array([-out[1], out[0]]) * float(rng.choice([-1, 1]))
        long = unit * float(rng.uniform(0.12, 0.6))
        knots = [
            root - out * 4,
            root + (out * 0.3 + across * 0.25) * long,
            root + (out * 0.6 - across * 0.3) * long,
            root + (out * 0.8 + across * rng.uniform(-0.3, 0.3) + (0, 0.3)) * long,
        ]
        strokes.append((bezier(*[(float(a), float(b)) for a, b in knots], samples=36), rng.uniform(0.8, 2.6)))
    box = box_around([s for s, _ in strokes], (w, h), 6)
    if box is None:
        return None
    film, t = Film(box), np.linspace(0, 1, 36)
    dark = tuple(int(v) for v in np.median(art.rgb[hair > 0], axis=0) * 0.8)
    for points, wide in strokes:
        clear = 1 - float(rng.uniform(0.4, 0.95)) * t
        film.stroke(points, wide * np.minimum(1, 3 * (1 - t)), (dark[0], dark[1], dark[2]), clear)
    return film.layer()


def _net(rng: np.random.Generator, art: CelArt) -> SoftLayer | None:
    """A band of netting across the character and past it on both sides: thin threads on a pale film."""
    h, w = art.alpha.shape
    x, y, wide, tall = _solid_box(art)
    drop = float(rng.uniform(0.1, 0.5))
    knots = np.array(
        [
            (x - 0.15 * w, y + tall * drop),
            (x + 0.3 * wide, y + tall * (drop + rng.uniform(-0.1, 0.15))),
            (x + 0.7 * wide, y + tall * (drop + rng.uniform(0, 0.3))),
            (x + wide + 0.12 * w, y + tall * (drop + rng.uniform(-0.1, 0.5))),
        ]
    )
    band = tube(knots, np.array([0.04, 0.1, 0.07, 0.13]) * h * float(rng.uniform(0.8, 1.6)))
    box = box_around([band], (w, h))
    if box is None:
        return None
    film = Film(box)
    film.area(band, (246, 240, 250), float(rng.uniform(0.12, 0.3)))
    half = len(band) // 2
    left, right = band[:half], band[half:][::-1]
    step = max(3, half // 14)
    for shift in (step, -step):  # threads that cross
        for k in range(0, half, step // 2 + 1):
            other = min(max(k + 2 * shift, 0), half - 1)
            thread = np.linspace(left[k], right[other], 12)
            film.stroke(thread, 1.4 * h / 1080, (250, 250, 255), 0.6, line=DougaClass.FLAT)
    film.stroke(np.vstack([band, band[:1]]), 2.2 * h / 1080, (120, 110, 140), 0.85)
    return film.layer()


def _crystal(rng: np.random.Generator, art: CelArt) -> SoftLayer | None:
    """A cut crystal at the character's side: facets of different density between straight lines."""
    h, w = art.alpha.shape
    x, y, wide, tall = _solid_box(art)
    side = float(rng.choice([0.02, 0.98]))
    centre = np.array([x + side * wide, y + tall * float(rng.uniform(0.3, 0.6))])
    size = h * float(rng.uniform(0.08, 0.22))
    rim = oval(0, 0, 0.7, 1.0)[:: 64 // int(rng.integers(5, 9))] * size + centre
    core = (rim - centre) * float(rng.uniform(0.3, 0.6)) + centre + rng.normal(0, 0.06, 2) * size
    box = box_around([rim], (w, h))
    if box is None:
        return None
    film = Film(box)
    tint = tuple(int(v) for v in rng.integers(120, 256, 3))
    paint = (tint[0], tint[1], tint[2])
    for a, b, c, d in zip(rim, np.roll(rim, -1, 0), np.roll(core, -1, 0), core, strict=True):
        film.area(np.array([a, b, c, d]), paint, float(rng.uniform(0.12, 0.7)))
    film.area(core, (250, 252, 255), float(rng.uniform(0.15, 0.5)))
    ink, thick = (40, 36, 48), max(1.0, h / 700)
    for ring in (rim, core):
        film.stroke(np.vstack([ring, ring[:1]]), thick, ink, 1.0)
    for a, b in zip(rim, core, strict=True):
        film.stroke(np.array([a, b]), thick * 0.8, ink, 0.8)
    return film.layer()


def _aura(rng: np.random.Generator, art: CelArt) -> SoftLayer:
    """Two flat bands of light around the outline, one within the other."""
    h, w = art.alpha.shape
    away = cv2.distanceTransform((art.alpha <= 127).astype(np.uint8), cv2.DIST_L2, 5)
    reach = h * float(rng.uniform(0.008, 0.03))
    alpha = np.clip(reach - away + 0.5, 0, 1) * rng.uniform(0.3, 0.6)
    alpha += np.clip(2 * reach - away + 0.5, 0, 1) * rng.uniform(0.1, 0.25)
    rgb = np.empty((h, w, 3), np.uint8)
    rgb[:] = rng.integers(190, 256, 3)
    return SoftLayer(rgb, np.round(alpha * 255).astype(np.uint8), np.zeros((h, w), np.uint8), (0, 0), True)


def _solid_box(art: CelArt) -> Box:
    """x, y, width and height of what is drawn, in px."""
    x, y, w, h = cv2.boundingRect((art.alpha > 127).astype(np.uint8))
    return int(x), int(y), int(w), int(h)
