"""Class probabilities -> clean class map: lines of one width with one class a branch, areas of one class
each.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import AREA_CLASSES, DRAWN_CLASSES, LINE_CLASSES, NUM_CLASSES, TRACE_CLASSES, DougaClass
from douga.errors import InputError
from douga.paint import vote_by_paint
from douga.postprocess.agreement import Borders, settle_by_paint, vote_by_bounds
from douga.postprocess.areas import classify_areas
from douga.postprocess.branches import classify_lines
from douga.postprocess.gaps import close_gaps
from douga.postprocess.profiles import (
    look_across,
    lost_lines,
    noise,
    vote_by_profile,
    without_mirages,
    without_stubs,
)
from douga.postprocess.skeleton import (
    around,
    drawn_path,
    hollow,
    line_pixels,
    links,
    padded,
    parts,
    prune_spurs,
    reach_edges,
    remove_specks,
    settle,
    thin,
    unpadded,
    widen,
    without_pinholes,
)
from douga.postprocess.thick_lines import fill_thick_lines
from douga.types import F32, U8, CelMask, ClassMap

__all__ = ["clean_douga"]

_ROUNDS = 12  # two or three are enough but for noise
_SPUR_PX = 3
_SEAM_PX = 16
_PINHOLE_PX = 24  # doubt inside of a thick line: each hole would become a ring of its skeleton
_THICK = 1.3  # of the drawing's median line: a band that may be two lines side by side
_MARGIN_PX = 8  # around all that is drawn, beyond what a gap or a line's width may add to it
_OUTLINE_REACH = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))  # no line lies farther from the cel
_SIDE_PX = 5  # window in which a pixel is taken for a part of a visible or a trace line


def clean_douga(
    probabilities: NDArray[np.floating],
    rgb: U8 | None = None,
    cel: CelMask | None = None,
    *,
    line_width_px: int = 3,
    gap_px: int = 18,
    min_line_px: int = 4,
    speck_px: int = 9,
) -> ClassMap:
    """Turn the line network's answer into a clean douga (Kugler, 5.7, with gap closing and the closed-area
    rule).

    Lines or areas -> skeleton -> specks and spurs removed -> gaps closed -> class of each branch by vote ->
    width -> areas labelled -> class of an area by averaged probability where its border is closed and the
    vote is clear. With the frame at hand: patches of one paint to one class, thick lines filled, inked lines
    told from steps of paint. With the cel's mask as well: lines outside of it dropped, also short lines and
    side branches where the frame shows nothing; lines that were half seen brought back where paints meet,
    areas of one paint to one class, trace lines to the kind of fill that they bound. The same input gives the
    same output, and cleaning a cleaned map again, without its frame, leaves it as it is.

    probabilities: (10, H, W) float32 or float16, 0 to 1, one plane a class of `DougaClass`, summing to 1.
    rgb: (H, W, 3) uint8 sRGB, the frame that they were seen in; its flat paints settle what the network
    wavers about (`douga.paint`). cel: its mask; paints say nothing of what lies outside it.
    line_width_px: width of every line; 1 for RETAS. gap_px: longest gap that is bridged, 0 for none.
    min_line_px: shorter lines are specks. speck_px: smaller patches of an area class are specks. Raises
    InputError where the shape, the type or a width does not fit.
    """
    _check(probabilities, rgb, cel, line_width_px)
    ids = np.zeros(probabilities.shape[1:], np.uint8)
    drawn = (probabilities[DougaClass.FLAT] < 0.5).view(np.uint8)
    if cel is not None:
        drawn |= cel.mask
    if not drawn.any():
        return ClassMap(ids)
    box = _around(drawn, margin_px=gap_px + line_width_px + _MARGIN_PX)
    ids[box] = _clean(
        np.ascontiguousarray(probabilities[:, *box]),
        None if rgb is None else np.ascontiguousarray(rgb[box]),
        None if cel is None else np.ascontiguousarray(cel.mask[box]),
        line_width_px,
        gap_px,
        min_line_px,
        speck_px,
    )
    return ClassMap(ids)


def _clean(
    probabilities: NDArray[np.floating],
    rgb: U8 | None,
    cel: U8 | None,
    line_width_px: int,
    gap_px: int,
    min_line_px: int,
    speck_px: int,
) -> U8:
    """Arguments as of `clean_douga`; cel: (H, W) uint8, 0 or 255. Returns (H, W) uint8 class ids."""
    drawn, trace = _sum(probabilities, DRAWN_CLASSES), _sum(probabilities, TRACE_CLASSES)
    line_probability = cv2.add(drawn, trace)  # a line that could be of two classes is still a line
    area_planes: dict[int, F32] = {c: _plane(probabilities, c) for c in AREA_CLASSES}
    lines_seen = (line_probability > 0.5).view(np.uint8)
    if rgb is not None:
        area_planes = vote_by_paint(area_planes, rgb, lines=lines_seen)
        lines_seen = fill_thick_lines(lines_seen, (drawn > 0.5).view(np.uint8), rgb)
    if rgb is not None and cel is not None:
        lines_seen &= cv2.dilate(cel, _OUTLINE_REACH) // 255
        level = noise(rgb, cel)
        lines_seen = without_mirages(lines_seen, drawn, trace, rgb, level)
        lines_seen = lines_seen | lost_lines(line_probability, lines_seen, rgb, cel, level)
    raw_lines = padded(lines_seen)
    skeleton = drawn_path(raw_lines, line_width_px)
    if skeleton is None:
        skeleton = _first_skeleton(without_pinholes(raw_lines, _PINHOLE_PX), _trace_excess(trace, drawn))
    if rgb is not None and cel is not None:
        skeleton = without_stubs(skeleton, lines_seen, rgb, level)
    skeleton = _tidy(skeleton, raw_lines, line_probability, line_width_px, gap_px, min_line_px)
    pixels = line_pixels(skeleton)
    y, x = (axis - 1 for axis in np.divmod(pixels, skeleton.shape[1]))
    votes = np.stack([probabilities[c][y, x] for c in LINE_CLASSES]).astype(np.float32)
    if rgb is not None:
        across = look_across(skeleton, pixels, lines_seen, rgb)
        votes = vote_by_profile(votes, across)
    lines = unpadded(classify_lines(skeleton, votes, line_width_px))
    ids = classify_areas(_best_area(area_planes), area_planes, lines, skeleton, line_width_px, speck_px)
    if rgb is not None and cel is not None:
        trace_line = np.isin(lines[y, x], TRACE_CLASSES)
        borders = Borders(y[trace_line], x[trace_line], across.direction[trace_line])
        ids = settle_by_paint(ids, area_planes, rgb, cel, borders)
        votes = vote_by_bounds(votes, lines[y, x], ids, y, x)
        lines = unpadded(classify_lines(skeleton, votes, line_width_px))
    return np.where(lines > 0, lines, ids)


def _around(drawn: U8, margin_px: int) -> tuple[slice, slice]:
    """Rows and columns that hold all of a mask (H, W) and a margin, from even ones on."""
    x, y, width, height = cv2.boundingRect(drawn)
    top, left = max(0, y - margin_px) // 2 * 2, max(0, x - margin_px) // 2 * 2
    return np.s_[top : y + height + margin_px, left : x + width + margin_px]


def _check(
    probabilities: NDArray[np.floating], rgb: U8 | None, cel: CelMask | None, line_width_px: int
) -> None:
    if not isinstance(probabilities, np.ndarray) or probabilities.dtype not in (np.float16, np.float32):
        got = getattr(probabilities, "dtype", type(probabilities).__name__)
        raise InputError(
            f"probabilities: expected a float32 or float16 array, got {got}; convert it with .astype"
        )
    if probabilities.ndim != 3 or len(probabilities) != NUM_CLASSES or min(probabilities.shape[1:]) < 1:
        raise InputError(
            f"probabilities: expected shape ({NUM_CLASSES}, H, W), got {probabilities.shape}; "
            "put the classes first"
        )
    if rgb is not None and (rgb.dtype != np.uint8 or rgb.shape != (*probabilities.shape[1:], 3)):
        raise InputError(
            f"rgb: expected the frame, uint8 of shape {(*probabilities.shape[1:], 3)}, got {rgb.dtype} of "
            f"{rgb.shape}; give the frame that the probabilities were seen in, or None"
        )
    if cel is not None and cel.mask.shape != probabilities.shape[1:]:
        raise InputError(
            f"cel: expected a mask of {probabilities.shape[1:]}, got {cel.mask.shape} (height, width); give "
            "that of the frame"
        )
    if not 1 <= line_width_px <= 15:
        raise InputError(
            f"line_width_px: expected 1 to 15, got {line_width_px}; RETAS wants 1, Kugler's douga 3"
        )


def _plane(planes: NDArray[np.floating], c: int) -> F32:
    return planes[c].astype(np.float32, copy=False)


def _sum(planes: NDArray[np.floating], classes: Sequence[DougaClass]) -> F32:
    """How likely each pixel is of one of these classes, (H, W)."""
    total = _plane(planes, classes[0]).copy()
    for c in classes[1:]:
        cv2.add(total, _plane(planes, c), dst=total)
    return total


def _best_area(planes: dict[int, F32]) -> U8:
    """Area class of the highest probability for every pixel, whatever the lines say. The lower id wins a
    tie.
    """
    best = planes[0].copy()
    ids = np.zeros(best.shape, np.uint8)
    for c in AREA_CLASSES[1:]:
        np.copyto(ids, np.uint8(c), where=planes[c] > best)
        cv2.max(best, planes[c], dst=best)
    return ids


def _trace_excess(trace: F32, drawn: F32) -> F32:
    """By how much each pixel's surroundings are rather a trace line than a visible one, (H, W), -1 to 1."""
    return cv2.blur(cv2.subtract(trace, drawn), (_SIDE_PX, _SIDE_PX))


def _first_skeleton(raw_lines: U8, trace_excess: F32) -> U8:
    """Thin the lines, but a trace line that hugs a visible one is first cut off from it by a seam.

    Only where the band is much thicker than the lines of this drawing are: elsewhere a change between trace
    and visible line is doubt about the class of one line. raw_lines: padded 0/1 mask.
    """
    inner = unpadded(hollow(raw_lines))
    depth = cv2.distanceTransform(inner, cv2.DIST_L2, 3)
    ridge = (depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))
    if not ridge.any():
        return thin(raw_lines)
    thick = depth > _THICK * float(np.median(depth[ridge]))
    # The seam is shallower at its sides than in the middle of the band, so look for thickness around it.
    thick_around = cv2.dilate(thick.view(np.uint8), np.ones((5, 5), np.uint8))
    trace = inner & (trace_excess > 0).view(np.uint8)
    seen = inner & ~trace
    seam = padded(trace & cv2.dilate(seen, np.ones((3, 3), np.uint8)) & thick_around)
    pixels = line_pixels(seam)
    if len(pixels):
        label, size = parts(len(pixels), *links(seam, pixels))
        seam.reshape(-1)[pixels[size[label] < _SEAM_PX]] = 0  # a trace line that only ends here
    return thin(padded(inner) & ~seam)


def _tidy(
    skeleton: U8, raw_lines: U8, line_probability: F32, width_px: int, gap_px: int, min_line_px: int
) -> U8:
    """From a first skeleton (padded) to a gapless one that looks the same after every further cleaning."""
    lines, seen = raw_lines, line_probability
    for _ in range(_ROUNDS):
        skeleton = remove_specks(prune_spurs(skeleton, spur_px=_SPUR_PX), min_line_px)
        joined = close_gaps(reach_edges(skeleton, lines), seen, gap_px)
        joined = thin(joined, around(joined, line_pixels(joined & ~skeleton)))
        skeleton = settle(joined, width_px)
        again = widen(skeleton, width_px)
        if np.array_equal(again, lines):
            break
        # From here on the lines themselves are the evidence, as they will be when the map is cleaned again.
        lines, seen = again, unpadded(again).astype(np.float32)
    return skeleton
