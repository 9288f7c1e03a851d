"""Labelled cels from what people drew: paint a given line drawing, lift and place a given painted cel."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from douga.classes import AREA_CLASSES, NUM_CLASSES, TRACE_CLASSES, DougaClass
from douga.errors import InputError
from douga_training.simulate import colours
from douga_training.simulate.colours import Swatch
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


def _nearest(label: I32) -> I32:
    """Give every line sample the label of the nearest area."""
    known = label >= 0
    if not known.any():
        return np.maximum(label, 0)
    zero_on_areas = (~known).astype(np.uint8)
    _, seed = cv2.distanceTransformWithLabels(zero_on_areas, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_seed = np.zeros(int(seed.max()) + 1, np.int32)
    of_seed[seed[known]] = label[known]
    return of_seed[seed]


def _areas(ids: U8, cel: U8 | None) -> _Areas:
    raw, fills = _labelled(ids, cel)
    label = _nearest(np.where(raw == 0, -1, raw) if (raw > 0).any() else raw)  # reaches out over the border
    borders: list[tuple[int, int, int]] = []
    near = _nearest(raw)
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
    paints = np.full((len(group), 3), 255, np.uint8)
    for k in range(1, len(group)):
        own = int(chosen[k])
        if tones[k] == _OTHER and len(swatches) > 1:
            paints[k] = swatches[(own + int(other[k])) % len(swatches)].normal
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
    _check_ids(ids)
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


def _check_ids(ids: U8) -> None:
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
    out = np.where(lost, _nearest(np.where(is_area, ids.astype(np.int32), -1)), ids).astype(np.uint8)
    out[cover < 0.5] = DougaClass.FLAT
    return out


def lift_from_paper(rgb: U8, cel: U8, paper: Rgb = (255, 255, 255)) -> tuple[U8, U8]:
    """Free a cel that was saved on paper from the paper's colour in its antialiased border.

    rgb: (H, W, 3) uint8; cel: (H, W) uint8, 0 outside. Returns (rgb, alpha): straight, (H, W, 3) and (H, W)
    uint8. A border pixel gets the colour of the nearest pixel well inside, and the share of it that explains
    what was seen.
    """
    inside = cel > 0
    deep = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2, borderValue=1) > 0
    rim = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    edge = rim & ~deep
    number = np.where(deep, np.arange(deep.size, dtype=np.int32).reshape(deep.shape), -1)
    own = rgb.reshape(-1, 3)[_nearest(number)].astype(np.float32)
    away = own - np.array(paper, np.float32)
    share = ((rgb.astype(np.float32) - paper) * away).sum(-1) / np.maximum((away**2).sum(-1), 1.0)
    # Light paint on light paper tells nothing about its share: keep the mask there.
    share = np.where((away**2).sum(-1) > 60**2, np.clip(share, 0, 1), inside)
    alpha = np.where(deep, 1.0, np.where(edge, share, 0.0))
    mixed = edge & (alpha < 0.98)
    out = np.where(mixed[..., None], own, rgb)
    return np.round(out).astype(np.uint8), np.round(alpha * 255).astype(np.uint8)


def place_cel(
    cel_rgb: U8,
    alpha: U8,
    ids: U8,
    canvas_wh: tuple[int, int],
    position: tuple[int, int],
    scale: float = 1.0,
) -> CelArt:
    """Put a given painted cel on an empty canvas, cropped by its edges.

    cel_rgb: (h, w, 3) uint8; alpha: (h, w) uint8, straight; ids: (h, w) uint8 class ids. canvas_wh: size of
    the result in px. position: canvas pixel of the cel's top left corner, may be negative. scale: 1 keeps the
    size. Colours are averaged with their alpha; a pixel is a line where half of it is, and no line breaks by
    shrinking. Raises InputError where sizes disagree or scale is not positive.
    """
    _check_ids(ids)
    if cel_rgb.shape != (*ids.shape, 3) or alpha.shape != ids.shape:
        raise InputError(
            f"place_cel: rgb {cel_rgb.shape}, alpha {alpha.shape} and ids {ids.shape} are not one size"
        )
    if not scale > 0 or min(canvas_wh) < 1:
        raise InputError(f"place_cel: scale {scale} and canvas {canvas_wh} must be positive")
    h, w = ids.shape
    size = max(1, round(w * scale)), max(1, round(h * scale))
    art = CelArt(cel_rgb, alpha, np.where(alpha < 128, 0, ids).astype(np.uint8))
    if size != (w, h):
        art = _resized(art, size)
    x, y = position
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + size[0], canvas_wh[0]), min(y + size[1], canvas_wh[1])
    canvas = [np.zeros((canvas_wh[1], canvas_wh[0], *tail), np.uint8) for tail in ((3,), (), ())]
    if x0 < x1 and y0 < y1:
        for target, source in zip(canvas, (art.rgb, art.alpha, art.ids), strict=True):
            target[y0:y1, x0:x1] = source[y0 - y : y1 - y, x0 - x : x1 - x]
    return CelArt(*canvas)


def place_somewhere(art: CelArt, canvas_wh: tuple[int, int], rng: np.random.Generator) -> CelArt:
    """Put a given cel at a random place and size on a canvas, mirrored half of the time, its middle in view.

    It becomes 0.35 to 1.6 times as large as fits the canvas, and at most 1.25 times its own size.
    """
    y, x = np.nonzero(art.alpha)
    if len(y) == 0:
        raise InputError("place_somewhere: the given cel is empty; its alpha is 0 everywhere")
    part = np.s_[y.min() : y.max() + 1, x.min() : x.max() + 1]
    rgb, alpha, ids = art.rgb[part], art.alpha[part], art.ids[part]
    if rng.random() < 0.5:
        rgb, alpha, ids = rgb[:, ::-1], alpha[:, ::-1], ids[:, ::-1]
    h, w = ids.shape
    fit = min(canvas_wh[0] / w, canvas_wh[1] / h)
    scale = min(fit * float(np.exp(rng.uniform(np.log(0.35), np.log(1.6)))), 1.25)
    middle = rng.uniform(0.2, 0.8, 2) * canvas_wh
    corner = round(middle[0] - w * scale / 2), round(middle[1] - h * scale / 2)
    return place_cel(rgb, alpha, np.ascontiguousarray(ids), canvas_wh, corner, scale)


def _resized(art: CelArt, size_wh: tuple[int, int]) -> CelArt:
    shrinks = size_wh[0] < art.ids.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    share = cv2.resize(art.alpha.astype(np.float32) / 255, size_wh, interpolation=how)
    cover = (art.alpha.astype(np.float32) / 255)[..., None]
    rgb = cv2.resize(art.rgb * cover, size_wh, interpolation=how) / np.maximum(share, 1e-6)[..., None]
    ids = np.zeros(share.shape, np.uint8)
    best = np.zeros(share.shape, np.float32)
    lines = [c for c in DougaClass if DougaClass.VISIBLE_LINE <= c <= DougaClass.BOOK_LINE]
    for c in [*AREA_CLASSES, *sorted(lines, reverse=True)]:
        mask = art.ids == c
        if not mask.any():
            continue
        covered = cv2.resize(mask.astype(np.float32), size_wh, interpolation=how)
        if c in lines:
            wins = covered >= 0.5
            if shrinks:
                wins |= _spine(mask, size_wh)
        else:
            wins = covered > best
            best = np.maximum(best, covered)
        ids[wins] = c
    ids[share < 0.5] = DougaClass.FLAT
    return CelArt(
        np.round(np.clip(rgb, 0, 255)).astype(np.uint8), np.round(share * 255).astype(np.uint8), ids
    )


def _spine(mask: NDArray[np.bool_], size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Where the middle of a line falls in a smaller image, so that lines under a pixel's width stay whole."""
    y, x = np.nonzero(skeletonize(mask))
    out = np.zeros((size_wh[1], size_wh[0]), bool)
    h, w = mask.shape
    out[((y + 0.5) * size_wh[1] / h).astype(int), ((x + 0.5) * size_wh[0] / w).astype(int)] = True
    return out
