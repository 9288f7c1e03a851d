"""What needs no learning, thresholds chosen with the truth at hand: Canny, DoG, XDoG, one-colour regions.

The line detectors know no cel, so they get the true one: nothing off it counts against them. They know no
classes either, so their lines are compared with visible lines and with all lines, thresholds chosen for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from skimage.morphology import skeletonize

from douga.classes import DougaClass
from douga.evaluate import Score, score_cel
from douga.metrics import LineCounts, Mask, is_line, near, overlap
from douga.types import U8

Frame = tuple[U8, U8, U8]  # RGB (H, W, 3), class ids (H, W), cel mask (H, W) 0 or 1
Numbers = dict[str, float]
_PROBE_PX = 360  # all settings are tried on a window of this size of every frame
_FINALISTS = 4  # and so many of the best on all of it


@dataclass(frozen=True)
class Detector:
    """detect: RGB and one setting to lines, (H, W) bool. settings: the grid that is searched."""

    title: str
    detect: Callable[[U8, tuple[float, ...]], Mask]
    settings: tuple[tuple[float, ...], ...]


def canny(rgb: U8, setting: tuple[float, ...]) -> Mask:
    """Canny (1986). setting: upper threshold; the lower one is 0.4 of it."""
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 0.8)
    return cv2.Canny(grey, 0.4 * setting[0], setting[0]) > 0


def difference_of_gaussians(rgb: U8, setting: tuple[float, ...]) -> Mask:
    """Dark lines: darker than their surroundings. setting: sigma in px, threshold of 0 to 1."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    sigma, least = setting
    return cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma) - cv2.GaussianBlur(grey, (0, 0), sigma) > least


def xdog(rgb: U8, setting: tuple[float, ...]) -> Mask:
    """XDoG (Winnemoeller et al. 2012) with p = 20, phi = 40. setting: sigma in px, epsilon."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    sigma, level = setting
    fine, broad = cv2.GaussianBlur(grey, (0, 0), sigma), cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma)
    return 1 + np.tanh(np.minimum(40 * (21 * fine - 20 * broad - level), 0)) < 0.5


def _grid(*axes: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    return tuple(product(*axes))


DETECTORS = (
    Detector("Canny", canny, _grid((20, 30, 40, 60, 80, 110, 140, 180, 220, 270, 320, 400))),
    Detector(
        "difference of Gaussians",
        difference_of_gaussians,
        _grid((0.5, 0.7, 0.9, 1.1, 1.5, 2), (0.005, 0.01, 0.018, 0.025, 0.035, 0.05, 0.08, 0.12)),
    ),
    Detector(
        "XDoG", xdog, _grid((0.5, 0.6, 0.75, 0.9, 1.2), (-1.2, -0.8, -0.6, -0.4, -0.2, 0, 0.1, 0.2, 0.3, 0.5))
    ),
)
WANTED: dict[str, Callable[[U8], Mask]] = {
    "visible line F1": lambda ids: ids == DougaClass.VISIBLE_LINE,
    "all lines F1": is_line,
}


@dataclass(frozen=True)
class TrueLines:
    """True lines, thinned once for all detectors, and all that is within the tolerance of them."""

    thin: Mask
    close: Mask

    @classmethod
    def of(cls, lines: Mask, tolerance_px: float) -> TrueLines:
        thin = skeletonize(lines)
        return cls(thin, near(thin, tolerance_px))

    def counts(self, found: Mask, found_close: Mask) -> LineCounts:
        """As `douga.metrics.line_counts`. found: thinned; found_close: all within the tolerance of it."""
        hits = int((self.thin & found_close).sum())
        return LineCounts(int((found & self.close).sum()), int(found.sum()), hits, int(self.thin.sum()))


Asked = tuple[Detector, tuple[float, ...]]  # with one of its settings


def line_rows(frames: Callable[[], Iterable[Frame]], tolerance_px: float = 2.0) -> dict[str, Numbers]:
    """F1 of visible and of all lines for each detector, settings chosen for each of the two.

    frames: starts a walk over all frames; it is called twice, for all settings on a window of each frame and
    for the best of those on all of it.
    """
    everything = [(d, setting) for d in DETECTORS for setting in d.settings]
    glimpsed = _judged(map(_window, frames()), everything, tolerance_px)
    finalists = [
        asked
        for d in DETECTORS
        for asked in {
            (d, setting)
            for name in WANTED
            for setting in sorted(d.settings, key=lambda s: -glimpsed[d, s][name].f1)[:_FINALISTS]
        }
    ]
    seen = _judged(map(_around_cel, frames()), finalists, tolerance_px)
    return {
        d.title: {name: max(seen[asked][name].f1 for asked in finalists if asked[0] is d) for name in WANTED}
        for d in DETECTORS
    }


def _judged(
    frames: Iterable[Frame], asked: Sequence[Asked], tolerance_px: float
) -> dict[Asked, dict[str, LineCounts]]:
    """Counts of all frames together, against visible and against all lines, on the cel and 3 px around it."""
    sums = {one: dict.fromkeys(WANTED, LineCounts()) for one in asked}
    for rgb, ids, cel in frames:
        truths = {name: TrueLines.of(wanted(ids), tolerance_px) for name, wanted in WANTED.items()}
        on_cel = near(cel > 0, 3)
        for detector, setting in asked:
            found = skeletonize(detector.detect(rgb, setting) & on_cel)
            close = near(found, tolerance_px)
            for name, true in truths.items():
                sums[detector, setting][name] += true.counts(found, close)
    return sums


def _window(frame: Frame) -> Frame:
    """A square of the frame where most of the true lines are."""
    h, w = frame[1].shape
    heap = cv2.boxFilter(is_line(frame[1]).astype(np.float32), -1, (min(_PROBE_PX, w), min(_PROBE_PX, h)))
    y, x = (int(v) for v in np.unravel_index(int(heap.argmax()), heap.shape))
    top, left = max(0, y - _PROBE_PX // 2), max(0, x - _PROBE_PX // 2)
    return _part(frame, np.s_[top : top + _PROBE_PX, left : left + _PROBE_PX])


def _around_cel(frame: Frame) -> Frame:
    x, y, w, h = cv2.boundingRect((frame[2] | is_line(frame[1])).astype(np.uint8))
    return _part(frame, np.s_[max(0, y - 8) : y + h + 8, max(0, x - 8) : x + w + 8]) if w else frame


def _part(frame: Frame, part: tuple[slice, slice]) -> Frame:
    rgb, ids, cel = frame
    return np.ascontiguousarray(rgb[part]), ids[part].copy(), cel[part].copy()


# -- the cel -------------------------------------------------------------------------------------------------

REGIONS = "one-colour regions + grabCut"
_REGION_SETTINGS = tuple((least, spread) for least in (60, 400, 2000) for spread in (0, 4))


def one_colour_regions(rgb: U8, least_px: int, spread: int) -> U8:
    """(H, W) 0 or 1: regions of at least so many px whose colour varies by at most `spread`, lines closed."""
    square = np.ones((3, 3), np.uint8)
    flat = ((cv2.dilate(rgb, square) - cv2.erode(rgb, square)).max(-1) <= spread).astype(np.uint8)
    _, label, stats, _ = cv2.connectedComponentsWithStats(flat, connectivity=4)
    keep = stats[:, cv2.CC_STAT_AREA] >= least_px
    keep[0] = False
    return cv2.morphologyEx(keep[label].astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))


def grab_cut(rgb: U8, mask: U8, long_px: int = 480) -> U8:
    """Cut the cel out by colour (Rother et al. 2004) at a small size, from a mask whose rim is kept."""
    h, w = mask.shape
    scale = min(1.0, long_px / max(h, w))
    size = max(16, round(w * scale)), max(16, round(h * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    seed = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    sure = cv2.erode(seed, np.ones((5, 5), np.uint8))
    trimap = np.where(sure > 0, cv2.GC_FGD, np.where(seed > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD)).astype(np.uint8)
    if seed.min() == seed.max():  # grabCut needs both sides
        return mask
    cv2.setRNGSeed(0)
    cv2.grabCut(small, trimap, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    cut = cv2.resize((trimap & 1).astype(np.uint8), (w, h), interpolation=cv2.INTER_LINEAR)
    return cut | (mask & cv2.dilate(cut, np.ones((9, 9), np.uint8)))


def region_row(frames: Callable[[], Iterable[Frame]]) -> Numbers:
    """Cel IoU and boundary IoU of the regions with the best setting, with or without grabCut after it."""
    sums = {s: Score().cel for s in _REGION_SETTINGS}
    for rgb, _, cel in frames():
        for s in sums:
            sums[s] += overlap(one_colour_regions(rgb, *s) > 0, cel > 0)
    best = max(_REGION_SETTINGS, key=lambda s: sums[s].both / max(1, sums[s].either))
    plain, cut = Score(), Score()
    for rgb, _, cel in frames():
        mask = one_colour_regions(rgb, *best)
        plain += score_cel(mask, cel)
        cut += score_cel(grab_cut(rgb, mask), cel)
    won = max((plain, cut), key=lambda score: score.cel.both / max(1, score.cel.either))
    return {"cel IoU": won.cel.share, "cel boundary IoU": won.boundary.share}
