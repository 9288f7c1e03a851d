"""What the frame itself shows across a line: ink, a step from one paint to the next, or nothing at all.

A visible line is inked: its colour is neither of the paints beside it, nor between the two. A trace line
shows in the frame as nothing but the step between its paints. Where there is neither, there is no line.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import DRAWN_CLASSES, TRACE_CLASSES
from douga.postprocess.skeleton import (
    END,
    JUNCTION,
    Index,
    around,
    kinds,
    line_pixels,
    loose_ends,
    padded,
    thin,
    walk,
)
from douga.types import F32, U8

_SIDES = (-5.0, -4.0, -3.0, 3.0, 4.0, 5.0)  # where the paints are looked at, in px across a thin line
_MIDDLE = (-1.0, 0.0, 1.0)  # where its own colour is
_THIN_PX = 1.5  # half the thickness of a line for which these lengths are meant
_THICKEST = 4.0  # times a thin line
_REACH_PX = 3  # along how much of a line its direction is taken, to either side
_AT_ONCE = 8192  # rows of samples; cv2.remap takes no image of more than 32767

# Votes: log-odds of ink against a mere step.
_NOISE = 2.0  # of 255: differences of colour that say nothing
_EVEN = 0.22  # distance from the paints, as a share of the step between them, that ink and steps have alike
_STEEP = 60.0  # of 255: a steeper step may hide thin ink that scaling has softened, and says no more
_WEIGHT = 2.0  # of the evidence, in units of the network's own log-odds
_MOST = 3.0  # log-odds that evidence never exceeds

_SPECK_PX = 14  # a line no longer than this, hanging on nothing, has to show in the frame
_SPECK = (6.0, 3.0)  # by so much of 255, and so many times the frame's noise
_TRACE_SPECK_PX = 10  # a trace line no longer than this with loose ends bounds nothing
_STUB_PX = 8  # a side branch no longer than this has to show, too
_STUB = (12.0, 6.0)  # and more: it may be the noise of the line that it leaves
_LOST = (6.0, 2.0)  # the same for a line that the network only half saw
_HALF_SEEN = 0.2  # its probability
_SEVERAL_PAINTS = (
    5.0,
    1.5,
)  # standard deviation of an area's brightness, of 255 and in noises: a line is lost
_LOST_PX = 6  # shorter ones are not looked for
_BESIDE_PX = 3  # what lies this close to a line is that line


@dataclass(frozen=True)
class Profiles:
    """Colours across lines at N pixels. step: (N,) how far apart the paints beside the line are; ink: (N,)
    how far its own colours are from both and from the way between them. Both 0 to 442, float32, of sRGB.
    direction: (N, 2) float32, unit vectors (x, y) across the line.
    """

    step: F32
    ink: F32
    direction: F32

    @property
    def shown(self) -> F32:
        """How much of a line there is to be seen, whichever kind it is."""
        return np.maximum(self.step, self.ink)


def look_across(skeleton: U8, pixels: Index, lines: U8, rgb: U8) -> Profiles:
    """Look across lines.

    skeleton: padded 0/1 mask, thin. pixels: (N,) flat indices into it. lines: (H, W) uint8, 1 on lines as
    they were seen, for their thickness. rgb: (H, W, 3) uint8 sRGB, the frame.
    """
    y, x = (axis - 1 for axis in np.divmod(pixels, skeleton.shape[1]))
    half_px = cv2.distanceTransform(lines, cv2.DIST_L2, 3)[y, x]
    direction = _across(skeleton, pixels)
    reach = np.clip(half_px / _THIN_PX, 1, _THICKEST)[:, None] * np.array([*_SIDES, *_MIDDLE])
    at = np.stack([x, y], 1)[:, None] + direction[:, None] * reach[..., None]
    colours = _sampled(rgb, at.astype(np.float32))
    one, other, middle = np.median(colours[:, :3], 1), np.median(colours[:, 3:6], 1), colours[:, 6:]
    step = other - one
    square = (step**2).sum(1)
    share = np.einsum("nkc,nc->nk", middle - one[:, None], step) / np.maximum(square, 1e-3)[:, None]
    beside = middle - one[:, None] - np.clip(share, 0, 1)[..., None] * step[:, None]
    return Profiles(np.sqrt(square), np.sqrt((beside**2).sum(2)).max(1), direction)


def _across(skeleton: U8, pixels: Index) -> F32:
    """Unit vectors (x, y) across the lines: those along which the skeleton around a pixel spreads least."""
    wide = cv2.copyMakeBorder(skeleton, *(_REACH_PX,) * 4, cv2.BORDER_CONSTANT, value=0)
    y, x = np.divmod(pixels, skeleton.shape[1])
    at = (y + _REACH_PX) * wide.shape[1] + x + _REACH_PX
    flat = wide.reshape(-1)
    xx, yy, xy = np.zeros((3, len(pixels)), np.float32)
    for dy in range(-_REACH_PX, _REACH_PX + 1):
        for dx in range(-_REACH_PX, _REACH_PX + 1):
            there = flat.take(at + dy * wide.shape[1] + dx)
            xx += there * np.float32(dx * dx)
            yy += there * np.float32(dy * dy)
            xy += there * np.float32(dx * dy)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)  # along the line
    return np.stack([-np.sin(angle), np.cos(angle)], 1)


def _sampled(rgb: U8, at: F32) -> F32:
    """Colours between pixels. at: (N, K, 2) x, y. Returns (N, K, 3) float32, 0 to 255."""
    parts = [
        cv2.remap(rgb, part[..., 0], part[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for part in np.array_split(at, len(at) // _AT_ONCE + 1)
        if len(part)
    ]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros((*at.shape[:2], 3), np.float32)


def vote_by_profile(votes: F32, seen: Profiles) -> F32:
    """Share each pixel's votes out anew between inked lines and trace lines, by what the frame shows.

    votes: (5, N) float32, of the line classes at the pixels that were looked at. Returns new votes, of the
    same sums.
    """
    ratio = (seen.ink + _NOISE) / (np.minimum(seen.step, _STEEP) + 2 * _NOISE)
    odds = np.exp(np.clip(_WEIGHT * np.log(ratio / _EVEN), -_MOST, _MOST)).astype(np.float32)
    drawn, trace = np.array(DRAWN_CLASSES) - 1, np.array(TRACE_CLASSES) - 1
    of_drawn, of_trace = votes[drawn].sum(0), votes[trace].sum(0)
    both = of_drawn + of_trace
    now_drawn = both * of_drawn * odds / np.maximum(of_drawn * odds + of_trace, 1e-6)
    out = votes.copy()
    out[drawn] *= now_drawn / np.maximum(of_drawn, 1e-6)
    out[trace] *= (both - now_drawn) / np.maximum(of_trace, 1e-6)
    return out


def noise(rgb: U8, cel: U8) -> float:
    """Grain and compression of a cel's paints: a typical distance of a pixel from its neighbours, of 255."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    apart = cv2.absdiff(grey, cv2.medianBlur(grey, 5))[::2, ::2][cel[::2, ::2] > 0]
    return float(np.median(apart)) * 3**0.5 if len(apart) else 0.0


def without_mirages(lines: U8, drawn: F32, trace: F32, rgb: U8, noise_level: float) -> U8:
    """Drop short lines that hang on nothing where the frame shows nothing either: grain that a network took
    for lines. The shortest trace lines go even where it shows something, unless they are rings.

    lines: (H, W) uint8, 0 or 1. drawn, trace: (H, W) float32, 0 to 1, how likely each pixel is of an inked
    line and of a trace line. Returns the lines that are left.
    """
    count, part, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8, ltype=cv2.CV_32S)
    longest = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(1)
    short = longest <= _SPECK_PX
    short[0] = False
    if not short.any():
        return lines
    skeleton = thin(padded(short.view(np.uint8)[part]))
    pixels = line_pixels(skeleton)
    of = np.pad(part, 1).reshape(-1)[pixels]
    shown = look_across(skeleton, pixels, lines, rgb).shown
    mean = np.bincount(of, shown, minlength=count) / np.maximum(np.bincount(of, minlength=count), 1)
    y, x = (axis - 1 for axis in np.divmod(pixels, skeleton.shape[1]))
    rather_trace = np.bincount(of, trace[y, x] - drawn[y, x], minlength=count) > 0
    is_seen = mean >= _SPECK[0] + _SPECK[1] * noise_level
    is_ring = np.bincount(of, kinds(skeleton, pixels) == END, minlength=count) == 0
    keep = ~short | is_seen & (is_ring | ~rather_trace | (longest > _TRACE_SPECK_PX))
    keep[0] = False
    return keep.view(np.uint8)[part]


def without_stubs(skeleton: U8, lines: U8, rgb: U8, noise_level: float) -> U8:
    """Cut short side branches with a loose end that hardly show in the frame.

    Their outer halves are looked at: beside its root a branch is as plain as the line that it leaves.
    skeleton: padded 0/1 mask, thin. lines: (H, W) uint8, 0 or 1. Returns a new skeleton.
    """
    trail = walk(skeleton, loose_ends(skeleton), _STUB_PX)
    trail = trail[:, kinds(skeleton, trail[-1]) == JUNCTION]
    if not trail.shape[1]:
        return skeleton
    on_stub = kinds(skeleton, trail) != JUNCTION
    is_outer = np.arange(len(trail))[:, None] <= on_stub.sum(0) // 2
    of = np.broadcast_to(np.arange(trail.shape[1]), trail.shape)[is_outer]
    shown = look_across(skeleton, trail[is_outer], lines, rgb).shown
    is_faint = np.bincount(of, shown) < np.bincount(of) * (_STUB[0] + _STUB[1] * noise_level)
    cut = np.unique(trail[on_stub & is_faint])
    out = skeleton.copy()
    out.reshape(-1)[cut] = 0
    return thin(out, around(out, cut))


def lost_lines(line_probability: F32, lines: U8, rgb: U8, cel: U8, noise_level: float) -> U8:
    """Lines that the network only half saw, where paints meet that no line parts yet.

    An area is of one paint; where several are in it, a line between them is missing. line_probability:
    (H, W) float32, 0 to 1. lines: (H, W) uint8, 0 or 1, those that were seen. cel: (H, W) uint8, 0 or 255.
    Returns lines to add, (H, W) uint8, 0 or 1, one pixel wide.
    """
    several = _in_several_paints(lines, rgb, cel, _SEVERAL_PAINTS[0] + _SEVERAL_PAINTS[1] * noise_level)
    half_seen = thin(padded((line_probability > _HALF_SEEN).view(np.uint8)))
    known = cv2.dilate(lines, np.ones((2 * _BESIDE_PX - 1,) * 2, np.uint8))
    candidates = half_seen[1:-1, 1:-1] & several & (1 - known)
    _, part = cv2.connectedComponents(candidates, connectivity=8, ltype=cv2.CV_32S)
    pixels = line_pixels(padded(candidates))
    if not len(pixels):
        return candidates
    of = np.pad(part, 1).reshape(-1)[pixels]
    shown = look_across(half_seen, pixels, (line_probability > _HALF_SEEN).view(np.uint8), rgb).shown
    size = np.bincount(of)
    mean = np.bincount(of, shown) / np.maximum(size, 1)
    keep = (size >= _LOST_PX) & (mean >= _LOST[0] + _LOST[1] * noise_level)
    keep[0] = False
    # Back to the lines that it hangs on.
    reach = cv2.dilate(keep.view(np.uint8)[part], np.ones((2 * _BESIDE_PX + 1,) * 2, np.uint8))
    return half_seen[1:-1, 1:-1] & reach


def _in_several_paints(lines: U8, rgb: U8, cel: U8, spread: float) -> U8:
    """Where areas between lines have colours that stray by more than `spread`. Returns (H, W) 0/1."""
    free = cv2.erode((1 - lines) & (cel > 0).view(np.uint8), np.ones((3, 3), np.uint8))
    count, area = cv2.connectedComponents((1 - lines) & (cel > 0).view(np.uint8), connectivity=4)
    inside = np.flatnonzero(free[::2, ::2].reshape(-1))  # a quarter of the pixels is enough
    of = area[::2, ::2].reshape(-1)[inside]
    size = np.maximum(np.bincount(of, minlength=count), 1)
    variance: NDArray[np.float64] = np.zeros(count)
    for channel in range(3):
        value = rgb[::2, ::2, channel].reshape(-1)[inside].astype(np.float64)
        mean = np.bincount(of, value, minlength=count) / size
        variance += np.bincount(of, value**2, minlength=count) / size - mean**2
    several = variance > spread**2
    several[0] = False
    return several.view(np.uint8)[area]
