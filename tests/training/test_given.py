"""Painting a given drawing and placing a given cel, on literal arrays and on the shared real drawings."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from douga_training.simulate.colours import Swatch
from douga_training.simulate.given_cel import lift_from_paper, place_cel, place_somewhere
from douga_training.simulate.given_drawing import paint_drawing
from douga_training.simulate.material import read_douga
from douga_training.simulate.sheet import CelArt
from douga_training.simulate.store import CLASS_COLOURS
from numpy.typing import NDArray
from PIL import Image

from douga.classes import DougaClass
from douga.errors import InputError
from douga.export.png import encode_indexed
from douga.palettes import load_palette

REAL = Path(__file__).parents[3] / "shared" / "real"
RED = Swatch((220, 60, 60), (150, 30, 60), (100, 20, 50), (255, 190, 180), (20, 0, 0))
BLUE = Swatch((60, 60, 220), (30, 30, 150), (20, 20, 100), (180, 190, 255), (0, 0, 20))
LINE, TRACE = DougaClass.VISIBLE_LINE, DougaClass.SHADING_LINE


def boxes(trace: int = TRACE) -> NDArray[np.uint8]:
    """A 40 x 40 drawing: an inked box with a smaller box of trace line in it."""
    ids = np.zeros((40, 40), np.uint8)
    cv2.rectangle(ids, (4, 4), (35, 35), int(LINE), 2)
    cv2.rectangle(ids, (14, 14), (24, 24), int(trace), 1)
    return ids


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_trace_lines_without_fills_become_tones() -> None:
    art = paint_drawing(boxes(), rng(), swatches=[RED], ink=(0, 0, 0))
    assert art.ids[19, 19] == DougaClass.SHADING_FILL
    assert tuple(art.rgb[19, 19]) == RED.shade
    assert art.ids[9, 9] == DougaClass.FLAT
    assert tuple(art.rgb[9, 9]) == RED.normal
    assert art.ids[14, 19] == TRACE
    assert tuple(art.rgb[14, 19]) in (RED.normal, RED.shade)  # a trace line has no colour of its own
    assert art.ids[4, 19] == LINE
    assert tuple(art.rgb[4, 19]) == (0, 0, 0)
    assert art.alpha[0, 0] == 0
    assert art.alpha[19, 19] == 255


@pytest.mark.parametrize(
    ("trace", "fill"),
    [
        (DougaClass.HIGHLIGHT_LINE, DougaClass.HIGHLIGHT_FILL),
        (DougaClass.COLOR_EDGE, DougaClass.COLOR_FILL),
    ],
)
def test_the_smaller_side_of_other_trace_lines_is_toned(trace: DougaClass, fill: DougaClass) -> None:
    art = paint_drawing(boxes(trace), rng(), swatches=[RED, BLUE])
    assert art.ids[19, 19] == fill
    assert art.ids[9, 9] == DougaClass.FLAT
    assert tuple(art.rgb[19, 19]) != tuple(art.rgb[9, 9])


def test_a_colour_area_never_has_the_paint_beside_it() -> None:
    ids = boxes(DougaClass.COLOR_EDGE)
    ids[15:24, 15:24] = DougaClass.COLOR_FILL
    ids = ids.repeat(3, 0).repeat(3, 1)  # small areas take their neighbour's swatch for their own
    for seed in range(40):
        art = paint_drawing(ids, np.random.default_rng(seed), swatches=[RED, BLUE])
        assert tuple(art.rgb[58, 58]) != tuple(art.rgb[28, 28])
        assert art.ids[43, 58] == DougaClass.COLOR_EDGE


def test_given_fills_are_kept_and_share_the_swatch_of_their_neighbour() -> None:
    ids = boxes()
    ids[15:24, 15:24] = DougaClass.SHADING_FILL
    for seed in range(6):
        art = paint_drawing(ids, np.random.default_rng(seed), swatches=[RED, BLUE])
        own = RED if tuple(art.rgb[9, 9]) == RED.normal else BLUE
        assert tuple(art.rgb[19, 19]) == own.shade
        assert (art.ids == DougaClass.SHADING_FILL).sum() == 81


def test_nested_trace_lines_alternate_and_never_repeat_across_a_line() -> None:
    ids = np.zeros((80, 80), np.uint8)
    cv2.rectangle(ids, (2, 2), (77, 77), int(LINE), 1)
    for k in (12, 22, 32):
        cv2.rectangle(ids, (k, k), (79 - k, 79 - k), int(TRACE), 1)
    for seed in range(8):
        art = paint_drawing(ids, np.random.default_rng(seed), swatches=[RED])
        rings = [tuple(art.rgb[40, x]) for x in (7, 17, 27, 40)]
        assert rings[0] == RED.normal
        assert all(a != b for a, b in pairwise(rings))


def test_a_trace_line_that_separates_nothing_is_left_out() -> None:
    ids = boxes()
    ids[14:25, 14:25] = 0
    ids[20, 12:28] = TRACE
    art = paint_drawing(ids, rng(), swatches=[RED])
    assert not (art.ids == TRACE).any()


def test_indexed_drawings_are_read_by_their_colours(tmp_path: Path) -> None:
    palette, ids = load_palette("retas"), boxes(TRACE)
    colours = np.array(palette.written, np.uint8)[ids]
    Image.fromarray(colours).quantize(4).save(tmp_path / "drawn.png")
    assert (read_douga(tmp_path / "drawn.png", palette).ids == ids).all()
    (tmp_path / "ours.png").write_bytes(encode_indexed(ids, CLASS_COLOURS))
    assert (read_douga(tmp_path / "ours.png", palette).ids == ids).all()
    Image.fromarray(ids).save(tmp_path / "grey.png")
    assert (read_douga(tmp_path / "grey.png", palette).ids == ids).all()


def test_the_cel_decides_what_is_outside() -> None:
    ids = np.zeros((30, 30), np.uint8)
    ids[:, 15] = LINE
    cel = np.zeros((30, 30), np.uint8)
    cel[:, 15:] = 255
    art = paint_drawing(ids, rng(), cel=cel, swatches=[RED])
    assert tuple(art.rgb[10, 25]) == RED.normal
    assert art.alpha[10, 25] == 255
    assert art.alpha[10, 5] == 0


def test_line_tint_takes_its_colour_from_the_paint() -> None:
    art = paint_drawing(boxes(), rng(), swatches=[RED], ink=(0, 0, 0), line_tint=1.0)
    red, green, blue = art.rgb[5, 19].tolist()
    assert red > green + 40
    assert red < RED.normal[0]
    assert abs(green - blue) < 20


def test_line_width_stays_as_drawn() -> None:
    ids = np.zeros((30, 60), np.uint8)
    ids[10, 5:55] = LINE
    ids[20:23, 5:55] = LINE
    art = paint_drawing(ids, rng(), cel=np.full(ids.shape, 255, np.uint8))
    assert np.flatnonzero(art.ids[:, 30] == LINE).tolist() == [10, 20, 21, 22]


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="uint8"):
        paint_drawing(np.zeros((4, 4), np.int64), rng())
    with pytest.raises(InputError, match="0 to 9"):
        paint_drawing(np.full((4, 4), 17, np.uint8), rng())
    with pytest.raises(InputError, match="same size"):
        paint_drawing(boxes(), rng(), cel=np.zeros((3, 3), np.uint8))
    rgb, alpha, ids = cel_4x4()
    with pytest.raises(InputError, match="not one size"):
        place_cel(rgb, alpha[1:], ids, (9, 9), (0, 0))
    with pytest.raises(InputError, match="positive"):
        place_cel(rgb, alpha, ids, (9, 9), (0, 0), 0)


def cel_4x4() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:, :2] = (200, 100, 0)
    alpha = np.zeros((4, 4), np.uint8)
    alpha[:, :2] = 255
    ids = np.zeros((4, 4), np.uint8)
    ids[:, 1] = LINE
    return rgb, alpha, ids


def test_placing_at_full_size_copies_and_crops() -> None:
    rgb, alpha, ids = cel_4x4()
    art = place_cel(rgb, alpha, ids, (3, 5), (-1, 2))
    assert art.rgb.shape == (5, 3, 3)
    assert art.ids.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert art.alpha.tolist() == [[0, 0, 0], [0, 0, 0], [255, 0, 0], [255, 0, 0], [255, 0, 0]]
    assert not place_cel(rgb, alpha, ids, (3, 3), (50, 50)).alpha.any()


def test_shrinking_mixes_no_colour_from_outside_of_the_cel() -> None:
    rgb, alpha, ids = cel_4x4()
    rgb[:, 2:] = 255  # paper below transparent pixels
    alpha[:, 1] = 0
    art = place_cel(rgb, alpha, ids, (2, 2), (0, 0), 0.5)
    assert tuple(art.rgb[0, 0]) == (200, 100, 0)
    assert art.alpha[0].tolist() == [128, 0]


@pytest.mark.parametrize("scale", [0.37, 0.5, 0.81])
def test_thin_lines_survive_shrinking(scale: float) -> None:
    ids = np.zeros((200, 200), np.uint8)
    cv2.line(ids, (20, 190), (180, 193), int(TRACE), 1)
    cv2.circle(ids, (100, 100), 83, int(LINE), 1)
    solid = np.full((200, 200), 255, np.uint8)
    side = round(200 * scale)
    art = place_cel(np.dstack([solid] * 3), solid, ids, (side, side), (0, 0), scale)
    ring = (art.ids == LINE).astype(np.uint8)
    assert cv2.connectedComponents(ring, connectivity=8)[0] == 2  # background and one unbroken circle
    holes = cv2.connectedComponents(1 - ring, connectivity=4)[0]
    assert holes == 3  # line, inside, outside
    assert (art.ids == TRACE).any(axis=0).sum() >= 158 * scale


def test_a_cel_placed_somewhere_is_in_view_and_the_same_each_time() -> None:
    art = paint_drawing(boxes(), rng(), swatches=[RED])
    for seed in range(10):
        placed = place_somewhere(art, (90, 60), np.random.default_rng(seed))
        assert placed.ids.shape == (60, 90)
        assert (placed.alpha > 0).any()
        assert (placed.ids == LINE).any()
        again = place_somewhere(art, (90, 60), np.random.default_rng(seed))
        assert np.array_equal(placed.rgb, again.rgb)
    empty = np.zeros((5, 5), np.uint8)
    with pytest.raises(InputError, match="empty"):
        place_somewhere(CelArt(np.dstack([empty] * 3), empty, empty), (9, 9), rng())


def test_lifting_from_paper_removes_the_white_fringe() -> None:
    ink = np.array((20, 30, 40))
    rgb = np.full((20, 20, 3), 255, np.uint8)
    rgb[:, 6:14] = ink
    rgb[:, 5] = (ink * 0.6 + 255 * 0.4).round()
    cel = np.zeros((20, 20), np.uint8)
    cel[:, 5:14] = 255
    out, alpha = lift_from_paper(rgb, cel)
    assert abs(int(alpha[10, 5]) - 153) <= 2
    assert out[10, 5].tolist() == ink.tolist()
    assert alpha[10, 10] == 255
    assert alpha[10, 2] == 0


@pytest.mark.shared
@pytest.mark.skipif(not REAL.is_dir(), reason="the real drawings of ../shared are not here")
def test_a_real_douga_is_painted() -> None:
    files = [str(REAL / kind / "explosion.png") for kind in ("class", "cel")]
    ids, cel = (np.asarray(cv2.imread(f, cv2.IMREAD_GRAYSCALE), np.uint8)[300:800, 300:1100] for f in files)
    art = paint_drawing(ids, rng(), cel=cel, swatches=[RED])
    shaded = (art.ids == DougaClass.SHADING_FILL)[cel > 0].mean()
    assert 0.1 < shaded < 0.7
    drawn, kept = ids == LINE, art.ids == LINE
    assert (kept & drawn).sum() > 0.97 * drawn.sum()
    assert not (kept & ~drawn).any()
