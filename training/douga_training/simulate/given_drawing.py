"""A labelled cel from a line drawing that somebody drew: its areas painted, its lines inked."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import AREA_CLASSES, NUM_CLASSES, TRACE_CLASSES, DougaClass
from douga.errors import InputError
from douga_training.simulate import colours
from douga_training.simulate.colours import Swatch
from douga_training.simulate.nearest import nearest
from douga_training.simulate.sheet import CelArt, Rgb

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

_NORMAL, _SHADE, _SHADE2, _LIGHT, _OTHER = range(5)  # tones of a painted area
_FILL_OF_TONE = (
    DougaClass.FLAT,
    DougaClass.SHADING_FILL,
    DougaClass.SHADING_FILL,
    DougaClass.HIGHLIGHT_FILL,
    DougaClass.COLOR_FILL,
)
_TONE_OF_FILL = {
    DougaClass.FLAT: _NORMAL,
    DougaClass.SHADING_FILL: _SHADE,
    DougaClass.HIGHLIGHT_FILL: _LIGHT,
    DougaClass.COLOR_FILL: _OTHER,
}
_LEAST_BORDER_PX = 3  # areas that meet over fewer pixels are not neighbours
_SLIVER_PX = 300  # a group of areas smaller than this has no paint of its own


@dataclass(frozen=True)
class _Areas:
    """The areas of a drawing, numbered from 1.

    label: (H, W) int32, the nearest area on lines and outside of the cel. outside: (H, W) bool. fill and
    size_px are by label. borders: (first, second, line class) with first < second, for areas that meet across
    a line.
    """

    label: I32
    outside: NDArray[np.bool_]
    fill: NDArray[np.uint8]
    size_px: NDArray[np.int64]
    borders: list[tuple[int, int, int]]


def _labelled(ids: U8, cel: U8 | None) -> tuple[I32, list[int]]:
    """Number the areas from 1, the outside 0, lines -1. Areas of different classes are different areas."""
    label = np.full(ids.shape, -1, np.int32)
    fills = [0]
    for fill in AREA_CLASSES:
        mask = (ids == fill).astype(np.uint8)
        if not mask.any():
            continue
        # 4-connected, or paint would leak through the corners of a diagonal 1 px line.
        count, parts = cv2.connectedComponents(mask, connectivity=4, ltype=cv2.CV_32S)
        inside = parts > 0
        label[inside] = parts[inside] + len(fills) - 1
        fills += [int(fill)] * (count - 1)
    if cel is None:
        edge = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
        flat = [k for k in np.unique(edge[edge > 0]) if fills[k] == DougaClass.FLAT]
        sizes = np.bincount(label[label > 0], minlength=len(fills))
        outside = max(flat, key=lambda k: sizes[k], default=None)
        if outside is not None:
            label[label == outside] = 0
    else:
        label[(cel == 0) & (label > 0)] = 0
    label[ids == DougaClass.BOOK_FILL] = 0
    return label, fills


def _areas(ids: U8, cel: U8 | None) -> _Areas:
    raw, fills = _labelled(ids, cel)
    label = nearest(np.where(raw == 0, -1, raw) if (raw > 0).any() else raw)  # reaches out over the border
    borders: list[tuple[int, int, int]] = []
    near = nearest(raw)
    n = len(fills)
    for line in (*TRACE_CLASSES, DougaClass.VISIBLE_LINE):
        on = ids == line
        pairs = []
        for a, b, both in (
            (near[:, :-1], near[:, 1:], on[:, :-1] & on[:, 1:]),
            (near[:-1], near[1:], on[:-1] & on[1:]),
        ):
            meet = both & (a != b) & (a > 0) & (b > 0)
            low, high = np.minimum(a[meet], b[meet]), np.maximum(a[meet], b[meet])
            pairs.append(low.astype(np.int64) * n + high)
        keys, counts = np.unique(np.concatenate(pairs), return_counts=True)
        borders += [(int(k) // n, int(k) % n, int(line)) for k in keys[counts >= _LEAST_BORDER_PX]]
    size = np.bincount(raw[raw > 0], minlength=n)
    return _Areas(label, raw == 0, np.array(fills, np.uint8), size, borders)


def _groups(areas: _Areas) -> NDArray[np.int64]:
    """Areas that share a swatch: those that meet across shading and highlight lines."""
    group = np.arange(len(areas.fill))

    def top(k: int) -> int:
        while group[k] != k:
            k = int(group[k])
        return k

    for a, b, line in areas.borders:
        if line in (DougaClass.SHADING_LINE, DougaClass.HIGHLIGHT_LINE):
            group[max(top(a), top(b))] = min(top(a), top(b))
    return np.array([top(k) for k in range(len(group))])


def _decided_tones(areas: _Areas, rng: np.random.Generator) -> NDArray[np.int64]:
    """Tones for a drawing that has trace lines but no fills.

    From the largest area of each group outwards, areas on the two sides of a shading line differ: normal,
    shadow, and then normal again or second shadow. The smaller side of a highlight line is highlight, that of
    a colour edge colour.
    """
    tones = np.full(len(areas.fill), -1, np.int64)
    near: dict[int, list[int]] = {}
    for a, b, line in areas.borders:
        small, large = (a, b) if areas.size_px[a] <= areas.size_px[b] else (b, a)
        if line == DougaClass.SHADING_LINE:
            near.setdefault(a, []).append(b)
            near.setdefault(b, []).append(a)
        elif line != DougaClass.VISIBLE_LINE and tones[large] < 0:
            tones[small] = _LIGHT if line == DougaClass.HIGHLIGHT_LINE else _OTHER
    for start in np.argsort(-areas.size_px, kind="stable").tolist():
        if tones[start] >= 0:
            continue
        tones[start] = _NORMAL
        darker = rng.random() < 0.4
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for other in sorted(near.get(here, []), key=lambda k: -areas.size_px[k]):
                if tones[other] < 0:
                    taken = {int(tones[k]) for k in near[other] if tones[k] >= 0}
                    order = (_SHADE, _SHADE2, _NORMAL) if darker else (_SHADE, _NORMAL, _SHADE2)
                    tones[other] = next((t for t in order if t not in taken), _SHADE2)
                    queue.append(other)
    return tones


def _palette(rng: np.random.Generator, count: int) -> list[Swatch]:
    return [colours.cloth(rng) if rng.random() < 0.7 else colours.skin(rng) for _ in range(count)]


def _absorb_slivers(areas: _Areas, group: NDArray[np.int64], chosen: NDArray[np.int64]) -> None:
    """Let tiny groups, which lie between lines by chance, take their largest neighbour's swatch, in place."""
    total = np.bincount(group, weights=areas.size_px, minlength=len(group))
    largest: dict[int, int] = {}
    for a, b, _ in areas.borders:
        for small, other in ((a, b), (b, a)):
            if total[group[small]] < _SLIVER_PX <= total[group[other]]:
                before = largest.get(int(group[small]), other)
                largest[int(group[small])] = max(before, other, key=lambda k: areas.size_px[k])
    for small, other in largest.items():
        chosen[group == small] = chosen[other]


def _paints(
    areas: _Areas, tones: NDArray[np.int64], swatches: Sequence[Swatch], rng: np.random.Generator
) -> U8:
    """(areas, 3) paint of every area."""
    group = _groups(areas)
    chosen = rng.integers(0, len(swatches), len(group))[group]
    _absorb_slivers(areas, group, chosen)
    other = rng.integers(1, max(len(swatches), 2), len(group))
    beside = [{int(own)} for own in chosen]  # swatches that a colour area could not be told from
    for a, b, line in areas.borders:
        if line == DougaClass.COLOR_EDGE:
            beside[a].add(int(chosen[b]))
            beside[b].add(int(chosen[a]))
    paints = np.full((len(group), 3), 255, np.uint8)
    for k in range(1, len(group)):
        own = int(chosen[k])
        free = [i for i in range(len(swatches)) if i not in beside[k]]
        if tones[k] == _OTHER and free:
            paints[k] = swatches[free[int(other[k]) % len(free)]].normal
        else:
            s = swatches[own]
            paints[k] = (s.normal, s.shade, s.shade2, s.light, s.light)[tones[k]]
    return paints


def _share(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How much of each pixel a shape covers once the steps of its aliased border are smoothed; width kept."""
    h, w = mask.shape
    big = cv2.resize(mask.astype(np.float32), (w * 2, h * 2), interpolation=cv2.INTER_NEAREST)
    # Steep enough that flat parts of a border stay sharp, soft enough that its steps turn into grey.
    soft = np.clip(cv2.GaussianBlur(big, (0, 0), 1.0) * 2.2 - 0.6, 0, 1)
    return cv2.resize(soft, (w, h), interpolation=cv2.INTER_AREA)


def paint_drawing(
    ids: U8,
    rng: np.random.Generator,
    *,
    cel: U8 | None = None,
    swatches: Sequence[Swatch] | None = None,
    ink: Rgb | None = None,
    line_tint: float = 0.0,
) -> CelArt:
    """Paint a given douga as its finished cel.

    ids: (H, W) uint8 class ids. Areas enclosed by lines get paints. Where the drawing has fills they say
    which tone of the neighbouring flat area's swatch is meant; where it has trace lines only, areas on the
    two sides of one get different tones, the larger the normal one, and the ids that come back have these
    fills. cel: (H, W), 0 outside of the cel; without it the largest flat area at the image's edge is the
    outside. swatches: the colour model, drawn at random without it. ink: visible lines, nearly black without
    it. line_tint: 0 keeps the ink, 1 draws visible lines in a dark tint of the paint beside them.

    Visible lines are as wide as drawn, their stair steps smoothed; trace lines take the nearest area's paint.
    A trace line between equal paints cannot be seen and is left out of the ids. Raises InputError on wrong
    arrays.
    """
    check_ids(ids)
    if cel is not None and cel.shape != ids.shape:
        raise InputError(
            f"paint_drawing: cel is {cel.shape}, the drawing {ids.shape}; they must be the same size"
        )
    areas = _areas(ids, cel)
    has_fills = np.isin(areas.fill[1:], list(_TONE_OF_FILL)[1:]).any()
    if has_fills:
        tones = np.array([_TONE_OF_FILL.get(DougaClass(int(f)), _NORMAL) for f in areas.fill])
    else:
        tones = _decided_tones(areas, rng)
    if swatches is None:
        swatches = _palette(rng, int(rng.integers(1, 7)))
    paints = _paints(areas, tones, swatches, rng)
    painted_ids = _with_fills(ids, areas, tones, paints)
    if ink is None:
        grey = int(rng.integers(0, 30))
        ink = (grey, grey, grey)
    inside = ~areas.outside if cel is None else cel > 0
    return _rendered(painted_ids, paints[areas.label], inside, ink, line_tint)


def check_ids(ids: U8) -> None:
    """Raises InputError where this is no class map, (H, W) uint8 of ids 0 to 9."""
    if not isinstance(ids, np.ndarray) or ids.dtype != np.uint8 or ids.ndim != 2 or ids.size == 0:
        got = f"{getattr(ids, 'dtype', type(ids).__name__)} {getattr(ids, 'shape', '')}"
        raise InputError(
            f"class ids: expected a (H, W) uint8 array, got {got}; read the drawing with a palette first"
        )
    if ids.max() >= NUM_CLASSES:
        raise InputError(f"class ids: expected 0 to {NUM_CLASSES - 1}, got {ids.max()}; is this a class map?")


def _with_fills(ids: U8, areas: _Areas, tones: NDArray[np.int64], paints: U8) -> U8:
    """Class ids with the fills of the decided tones; trace lines that separate nothing become area."""
    fill = np.array([_FILL_OF_TONE[t] for t in tones], np.uint8)[areas.label]
    fill[areas.outside] = DougaClass.FLAT
    out = np.where(np.isin(ids, AREA_CLASSES), fill, ids)
    _, same = np.unique(paints, axis=0, return_inverse=True)
    seen = same.reshape(-1).astype(np.uint16)[areas.label] + 1
    seen[areas.outside] = 0
    window = np.ones((7, 7), np.uint8)
    hidden = np.isin(ids, TRACE_CLASSES) & (cv2.dilate(seen, window) == cv2.erode(seen, window))
    return np.where(hidden, fill, out).astype(np.uint8)


def _rendered(ids: U8, paint: U8, inside: NDArray[np.bool_], ink: Rgb, tint: float) -> CelArt:
    """Ink and antialias. paint: (H, W, 3) uint8, reaching out below the lines and over the cel's border."""
    h, w = ids.shape
    cover, line = _share(inside), _share(ids == DougaClass.VISIBLE_LINE)
    big = cv2.resize(paint, (w * 2, h * 2), interpolation=cv2.INTER_NEAREST)
    fill = cv2.resize(cv2.medianBlur(big, 5), (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
    inked = np.array(ink, np.float32)
    if tint > 0:
        grey = fill.mean(-1, keepdims=True)
        inked = inked * (1 - tint) + np.clip((grey + (fill - grey) * 1.35) * 0.42, 0, 255) * tint
    share = np.clip(line / np.maximum(cover, 1e-6), 0, 1)[..., None]
    rgb = np.round(fill + (inked - fill) * share).astype(np.uint8)
    alpha = np.round(cover * 255).astype(np.uint8)
    rgb[alpha == 0] = 0
    return CelArt(rgb, alpha, _seen_ids(ids, line, cover))


def _seen_ids(ids: U8, line: NDArray[np.float32], cover: NDArray[np.float32]) -> U8:
    """Class ids after smoothing: a corner that lost its ink belongs to the nearest area."""
    lost = (ids == DougaClass.VISIBLE_LINE) & (line < 0.5)
    is_area = np.isin(ids, AREA_CLASSES)
    out = np.where(lost, nearest(np.where(is_area, ids.astype(np.int32), -1)), ids).astype(np.uint8)
    out[cover < 0.5] = DougaClass.FLAT
    return out
