"""What to label next: edge images, groups, doubt, and the command with stages that need no network."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from douga_training.select import command
from douga_training.select.choose import Doubt, by_doubt, doubt_of, representatives
from douga_training.select.contact_sheet import Tile, contact_sheet, thumbnail
from douga_training.select.edges import EDGE_WH, Distinct, difference, edge_image

from douga.atomic import write_png
from douga.classes import NUM_CLASSES
from douga.errors import InputError, MissingInputError, OutputError
from douga.fakes import fake_stages
from douga.frame_io import read_frame
from douga.pipeline import Stages
from douga.stages import LoadedStages
from douga.types import U8, CelMask, Frame


def drawing(number: int, *, grey: int = 200) -> U8:
    """A grey disc with an outline on white, 160 x 90, somewhere else and of another size for every number."""
    rgb = np.full((90, 160, 3), 255, np.uint8)
    centre, radius = (20 + 37 * number % 120, 20 + 23 * number % 50), 10 + 7 * number % 15
    cv2.circle(rgb, centre, radius, (grey,) * 3, -1)
    cv2.circle(rgb, centre, radius, (0, 0, 0), 1)
    cv2.line(rgb, (5 * number % 160, 0), (160 - 11 * number % 160, 89), (0, 0, 0), 1)
    return rgb


def grainy(rgb: U8, seed: int = 1) -> U8:
    noise = np.random.default_rng(seed).normal(0, 4, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


# -- edge images ---------------------------------------------------------------------------------------------


def test_an_edge_image_shows_where_the_edges_are() -> None:
    rgb = np.zeros((270, 480, 3), np.uint8)
    rgb[:, 245:] = 255
    edges = edge_image(rgb)
    assert edges.shape == EDGE_WH[::-1]
    assert (edges[:, 24] > 60).all()
    assert not edges[:, :23].any()
    assert not edges[:, 26:].any()


def test_paints_of_one_lightness_have_an_edge_between_them() -> None:
    rgb = np.full((270, 480, 3), (200, 60, 60), np.uint8)
    rgb[:, 240:] = (60, 132, 60)
    assert edge_image(rgb).max() > 20


def test_difference_is_nothing_for_the_same_and_all_for_others() -> None:
    left, right = np.zeros((2, 27, 48), np.uint8)
    left[:, :10], right[:, 20:30] = 200, 200
    assert difference(left, np.stack([left, right])).tolist() == [0.0, 1.0]


def test_frames_without_edges_are_one_drawing() -> None:
    black, white = (edge_image(np.full((90, 160, 3), value, np.uint8)) for value in (0, 255))
    assert difference(black, white[None])[0] == 0


def test_grain_and_a_mouth_leave_a_drawing_the_same_and_another_is_not() -> None:
    seen = Distinct()
    seen.add(edge_image(drawing(1)))
    mouth = drawing(1)
    cv2.ellipse(mouth, (57, 43), (3, 2), 0, 0, 360, (120, 40, 40), -1)
    assert not seen.is_new(edge_image(grainy(drawing(1))))
    assert not seen.is_new(edge_image(mouth))
    assert seen.is_new(edge_image(drawing(2)))


def test_only_the_last_drawings_are_compared_with_where_that_is_asked_for() -> None:
    seen = Distinct(compared=2)
    for number in range(100):  # more than there is room for at first
        seen.add(edge_image(drawing(number % 7)))
    assert not seen.is_new(edge_image(drawing(99 % 7)))
    assert seen.is_new(edge_image(drawing(97 % 7)))


# -- groups --------------------------------------------------------------------------------------------------


def test_each_group_gives_one_frame_and_the_largest_is_first() -> None:
    rng = np.random.default_rng(3)
    middles = rng.integers(0, 200, (3, 27, 48))
    edges = [
        (middles[group] + rng.integers(0, 9, (27, 48))).astype(np.uint8) for group in (0, 1, 1, 1, 1, 2, 2)
    ]
    found = representatives(edges, 3, same=0.0)
    assert [c.size for c in found] == [4, 2, 1]
    assert [c.cluster for c in found] == [1, 2, 3]
    assert found[0].index in {1, 2, 3, 4}
    assert found[1].index in {5, 6}
    assert found[2].index == 0
    assert found == representatives(edges, 3, same=0.0)


def test_no_more_frames_than_there_are_and_no_drawing_twice() -> None:
    edges = [edge_image(rgb) for rgb in (drawing(1), grainy(drawing(1)), drawing(2))]
    assert [c.index for c in representatives(edges, 10)] == [0, 2]


# -- doubt ---------------------------------------------------------------------------------------------------


def test_entropy_is_the_mean_inside_the_cel_in_bits() -> None:
    probabilities = np.zeros((NUM_CLASSES, 2, 4), np.float16)
    probabilities[0] = 1
    probabilities[:2, :, :2] = 0.5  # left half: one of two classes, 1 bit
    probabilities[:, 0, 3] = 0.1  # outside of the cel
    left = np.zeros((2, 4), np.uint8)
    left[:, :3] = 255
    doubt = doubt_of(probabilities, CelMask(left))
    assert doubt.entropy == pytest.approx(2 / 3, abs=1e-3)
    assert doubt.has_cel


def test_without_a_cel_the_whole_frame_counts() -> None:
    probabilities = np.full((NUM_CLASSES, 2, 2), 0.1, np.float32)
    doubt = doubt_of(probabilities, CelMask(np.zeros((2, 2), np.uint8)))
    assert doubt.entropy == pytest.approx(np.log2(10), abs=1e-3)
    assert not doubt.has_cel


def test_the_least_and_the_most_certain_take_turns() -> None:
    doubts = [Doubt(0.5), Doubt(0.1), Doubt(0.9), Doubt(0.7), Doubt(0.3)]
    assert by_doubt(doubts, 3) == [(2, "least certain"), (1, "most certain"), (3, "least certain")]
    assert sorted(position for position, _ in by_doubt(doubts, 9)) == [0, 1, 2, 3, 4]


def test_an_empty_frame_is_called_certain_only_where_no_other_is_left() -> None:
    doubts = [Doubt(0.0, has_cel=False), Doubt(0.4), Doubt(0.2)]
    assert by_doubt(doubts, 3) == [
        (1, "least certain"),
        (2, "most certain"),
        (0, "least certain; no cel found"),
    ]
    assert by_doubt(doubts, 2)[1] == (2, "most certain")


# -- the contact sheet ---------------------------------------------------------------------------------------


def test_the_sheet_holds_every_tile_whatever_its_name_and_shape() -> None:
    tall = thumbnail(np.full((400, 100, 3), (250, 10, 10), np.uint8))
    assert tall.shape == (180, 320, 3)
    assert tall[90, 160].tolist() == [250, 10, 10]
    assert not tall[:, :100].any()
    sheet = contact_sheet([Tile(tall, "1  least certain", "動画" * 40)] * 5)
    assert (sheet == (250, 10, 10)).all(2).sum() == 5 * 180 * 45
    assert (sheet.max((1, 2)) > 200).any()


# -- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Seven drawings, the second held over three frames."""
    folder = tmp_path / "shot"
    for number in range(7):
        write_png(folder / f"A{number:02}.png", drawing(number))
    write_png(folder / "A01_b.png", grainy(drawing(1), 2))
    write_png(folder / "A01_c.png", grainy(drawing(1), 3))
    return folder


def fuzzy_stages() -> Stages:
    """Sees the cel, and is the less certain the lighter its paint."""

    def unsure(frame: Frame, cel: CelMask) -> np.ndarray:
        share = frame.rgb.mean() / 255 / 2
        probabilities = np.zeros((NUM_CLASSES, *frame.size_hw), np.float32)
        probabilities[0], probabilities[1] = 1 - share, share
        return probabilities

    return Stages(fake_stages().find_cel, unsure)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("douga.stages.load_stages", lambda *_: LoadedStages(fuzzy_stages(), "cpu", {}))


def select(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(a) for a in arguments]))


def rows_of(out: Path) -> list[dict[str, str]]:
    with open(out / command.SELECTION, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_selection_is_a_list_a_sheet_and_frames(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert select(frames, "--out", out, "--count", 4) == 0
    rows = rows_of(out)
    assert tuple(rows[0]) == command.COLUMNS
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["why"] for row in rows] == ["least certain", "most certain"] * 2
    least, most, *_ = (float(row["entropy"]) for row in rows)
    assert least > most > 0
    for row in rows:
        chosen = read_frame(out / "frame" / f"{row['frame']}.png")
        assert (chosen.rgb == read_frame(Path(row["input"])).rgb).all()
    assert len(list((out / "frame").iterdir())) == 4
    assert read_frame(out / "contact_sheet.png").size_hw == (180 + 44 + 16, 4 * 328 + 8)
    assert "4 chosen of 9 frames, 2 of them held" in capsys.readouterr().out


@pytest.mark.parametrize("way", [(), ("--no-model",)])
def test_the_same_frames_give_the_same_bytes(frames: Path, tmp_path: Path, way: tuple[str, ...]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        select(frames, "--out", out, "--count", 3, *way)
    files = sorted(path.relative_to(first) for path in first.rglob("*.*"))
    assert len(files) == 5
    assert all((first / path).read_bytes() == (second / path).read_bytes() for path in files)


def test_a_held_drawing_is_chosen_once(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    select(frames, "--out", out, "--count", 20, "--no-model")
    names = [row["frame"] for row in rows_of(out)]
    assert sorted(names) == [f"A{number:02}" for number in range(7)]
    assert {row["why"] for row in rows_of(out)} == {"variety"}
    assert {row["entropy"] for row in rows_of(out)} == {""}


def test_nothing_like_the_labelled_frames_is_chosen(frames: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    select(frames, "--out", first, "--count", 3)
    select(frames, "--out", second, "--count", 20, "--labelled", first / "frame")
    done = {row["frame"] for row in rows_of(first)}
    assert {row["frame"] for row in rows_of(second)} == {f"A{n:02}" for n in range(7)} - done
    with pytest.raises(MissingInputError, match="look like frames that have labels"):
        select(frames, "--out", tmp_path / "third", "--labelled", frames)


def test_a_broken_frame_is_named_and_the_others_go_on(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (frames / "A99.png").write_bytes(b"no picture")
    assert select(frames, "--out", tmp_path / "out", "--count", 2) == 1
    assert len(rows_of(tmp_path / "out")) == 2
    told = capsys.readouterr()
    assert "A99.png" in told.err
    assert "1 could not be read" in told.out


def test_a_selection_that_is_there_is_replaced_only_when_asked(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    select(frames, "--out", out, "--count", 3)
    before = (out / "selection.csv").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        select(frames, "--out", out, "--count", 1)
    assert (out / "selection.csv").read_bytes() == before
    select(frames, "--out", out, "--count", 1, "--overwrite")
    assert len(rows_of(out)) == 1
    assert len(list((out / "frame").iterdir())) == 3, "frames that may have been labelled stay"
    assert "2 frames from before are left" in capsys.readouterr().err


def test_options_that_do_not_go_together_are_refused(frames: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--weights-lines"):
        select(frames, "--out", tmp_path / "out", "--no-model", "--weights-lines", "x")
    with pytest.raises(MissingInputError, match="no such file"):
        select(tmp_path / "none", "--out", tmp_path / "out")
    with pytest.raises(SystemExit):
        select(frames, "--out", tmp_path / "out", "--count", "0")
    with pytest.raises(SystemExit):
        select(frames, "--out", tmp_path / "out", "--same", "2")


def test_an_output_folder_that_cannot_be_is_an_output_error(frames: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(OutputError, match="choose another --out"):
        select(frames, "--out", tmp_path / "file", "--no-model")


def test_frames_are_never_chosen_over_themselves(frames: Path, tmp_path: Path) -> None:
    own = frames.rename(tmp_path / "frame")
    before = {path: path.read_bytes() for path in own.iterdir()}
    for given in (own, own / "A00.png"):
        with pytest.raises(OutputError, match="would write over it"):
            select(given, "--out", tmp_path, "--no-model")
    assert before == {path: path.read_bytes() for path in own.iterdir()}


def test_a_video_is_chosen_from_like_images(tmp_path: Path) -> None:
    import av

    path = tmp_path / "shot.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "bgr0"
        for number in (0, 0, 0, 2, 2, 3):
            picture = av.VideoFrame.from_ndarray(drawing(number), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    out = tmp_path / "out"
    assert select(path, "--out", out, "--count", 3) == 0
    assert {row["frame"] for row in rows_of(out)} == {"shot_000001", "shot_000004", "shot_000006"}
    assert {row["input"] for row in rows_of(out)} == {str(path)}
    assert (read_frame(out / "frame" / "shot_000004.png").rgb == drawing(2)).all()
