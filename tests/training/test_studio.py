"""A studio's own training: drawings in its colours -> labels -> weights that know its style better."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from douga_training import studio
from douga_training.run_state import BEST
from douga_training.simulate.store import read_image, stems
from PIL import Image

from douga.atomic import write_png
from douga.checkpoint import load_network
from douga.classes import DougaClass
from douga.errors import PaletteError
from douga.evaluate import evaluate, read_ids
from douga.frame_io import read_frame
from douga.lines import find_lines
from douga.palettes import load_palette, paint
from douga.train import main as train
from douga.types import U8, CelMask, ClassMap

RECIPE = Path(__file__).parents[2] / "training" / "recipes" / "lines-small.toml"
INK = np.array((150, 95, 60), np.float32)  # the style: lines of light brown ink, where the weights know black
PALETTE = """\
[colours]
flat = ["#ffffff"]
visible_line = ["#5a3214"]
shading_line = ["#008c8c"]
color_edge = ["#e67800"]
highlight_line = ["#ff00aa"]
book_line = ["#3c5a78"]
shading_fill = ["#a0e6e6"]
color_fill = ["#ffd296"]
highlight_fill = ["#ffc8f0"]
book_fill = ["#c8d2e6"]
"""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that goes at once: checkpoints take hundreds of megabytes."""
    (tmp_path / "studio.toml").write_text(PALETTE, "utf-8")
    yield tmp_path
    shutil.rmtree(tmp_path)


def in_brown(rgb: U8, ids: U8) -> U8:
    """The frame as the studio inks it."""
    line = (ids == DougaClass.VISIBLE_LINE)[..., None]
    return np.where(line, 0.2 * rgb + 0.8 * INK, rgb).astype(np.uint8)


def deliver(scenes: Path, names: list[str], folder: Path) -> None:
    """What a studio has: frames, masks, and drawings in its own colours as TGA."""
    palette = load_palette(folder / "studio.toml")
    (folder / "drawings").mkdir()
    for name in names:
        ids = read_image(scenes, "classes", name)
        write_png(folder / "shots" / f"{name}.png", in_brown(read_image(scenes, "frame", name), ids))
        write_png(folder / "masks" / f"{name}.png", read_image(scenes, "cel_mask", name))
        Image.fromarray(paint(ClassMap(ids), palette)).save(folder / "drawings" / f"{name}.tga")


def label(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    studio.add_arguments(parser)
    return studio.run(parser.parse_args([str(a) for a in arguments]))


def label_all(folder: Path, out: Path, *more: object) -> int:
    palette, frames, masks = folder / "studio.toml", folder / "shots", folder / "masks"
    return label(
        *(folder / "drawings", "--palette", palette, "--frames", frames, "--masks", masks, "--out", out),
        *more,
    )


# -- douga label ---------------------------------------------------------------------------------------------


def test_drawings_in_the_studios_colours_become_exact_labels(
    scenes: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = stems(scenes)[:2]
    deliver(scenes, names, folder)
    assert label_all(folder, folder / "studio") == 0
    for name in names:
        ids, truth = (read_image(where, "classes", name) for where in (folder / "studio", scenes))
        assert (ids == truth).all()
        mask, given = (read_image(where, "cel_mask", name) for where in (folder / "studio", scenes))
        assert (mask == given).all()
        frame = read_image(folder / "studio", "frame", name)
        assert (frame == read_frame(folder / "shots" / f"{name}.png").rgb).all()
    told = capsys.readouterr()
    assert "2 labelled" in told.out
    assert "visible line" in told.out
    assert not told.err


def test_indexed_drawings_are_read_by_colour_whatever_order_their_indices_have(folder: Path) -> None:
    ids = np.zeros((40, 40), np.uint8)
    ids[10:12] = DougaClass.VISIBLE_LINE
    ids[20:22] = DougaClass.HIGHLIGHT_LINE
    drawing = Image.fromarray(paint(ClassMap(ids), load_palette(folder / "studio.toml")))
    drawing.quantize(3).save(folder / "A1.png")
    assert np.asarray(Image.open(folder / "A1.png")).max() < 3
    label(folder / "A1.png", "--palette", folder / "studio.toml", "--out", folder / "out")
    assert (read_ids(folder / "out" / "classes" / "A1.png") == ids).all()


def test_what_is_there_is_kept_until_it_is_to_be_overwritten(
    scenes: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (name,) = stems(scenes)[:1]
    deliver(scenes, [name], folder)
    label_all(folder, folder / "studio")
    path = folder / "studio" / "classes" / f"{name}.png"
    write_png(path, np.zeros((180, 320), np.uint8))
    label_all(folder, folder / "studio")
    assert not read_ids(path).any()
    assert "1 skipped" in capsys.readouterr().out
    label_all(folder, folder / "studio", "--overwrite")
    assert read_ids(path).any()


def test_labels_of_a_corrected_drawing_are_not_mixed_with_those_of_the_former_one(
    scenes: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (name,) = stems(scenes)[:1]
    deliver(scenes, [name], folder)
    palette, out = folder / "studio.toml", folder / "studio"
    drawing = ("--palette", palette, "--frames", folder / "shots", "--out", out)
    assert label(folder / "drawings", *drawing) == 0
    former = read_image(out, "classes", name)
    ids = former.copy()
    ids[80:100, 100:140] = DougaClass.SHADING_FILL
    Image.fromarray(paint(ClassMap(ids), palette=load_palette(palette))).save(folder / f"drawings/{name}.tga")
    capsys.readouterr()
    with_masks = (*drawing, "--masks", folder / "masks")
    assert label(folder / "drawings", *with_masks) == 2
    told = capsys.readouterr()
    assert f"classes/{name}.png: is not what was read" in told.err
    assert "0 labelled; 1 failed" in told.out
    assert (read_image(out, "classes", name) == former).all()
    assert not (out / "cel_mask").exists()
    assert label(folder / "drawings", *with_masks, "--overwrite") == 0
    assert (read_image(out, "classes", name) == ids).all()


def test_only_a_picture_is_taken_for_the_frame_and_two_are_refused(
    scenes: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (name,) = stems(scenes)[:1]
    deliver(scenes, [name], folder)
    (folder / f"shots/{name}.json").write_text("{}")
    assert label_all(folder, folder / "studio") == 0
    Image.new("RGB", (320, 180)).save(folder / f"shots/{name}.bmp")
    assert label_all(folder, folder / "again") == 2
    assert f"{name}.bmp and {name}.png could both be the frame" in capsys.readouterr().err


def test_a_drawing_of_another_size_is_named_and_the_others_go_on(
    scenes: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = stems(scenes)[:2]
    deliver(scenes, names, folder)
    Image.new("RGB", (300, 180), "white").save(folder / "drawings" / f"{names[0]}.tga")
    assert label_all(folder, folder / "studio") == 1
    assert "300 x 180 px but its frame" in capsys.readouterr().err
    assert stems(folder / "studio") == names[1:]


def test_a_wrong_palette_is_noticed(scenes: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = np.full((64, 64, 3), 255, np.uint8)
    drawing[20:40, 20:40] = (20, 120, 255)
    write_png(folder / "A1.png", drawing)
    assert label(folder / "A1.png", "--palette", folder / "studio.toml", "--out", folder / "out") == 0
    told = capsys.readouterr().err
    assert "#1478ff" in told
    assert "look at its classes" in told
    assert "1 drawings have no frame" in told
    with pytest.raises(PaletteError, match="no such preset"):
        label(folder / "A1.png", "--palette", "none.toml", "--out", folder / "out")


def test_frames_without_labels_are_told_before_training_stops_at_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("A1", "A2"):  # as `douga select --out` leaves them
        write_png(folder / "out" / "frame" / f"{name}.png", np.full((64, 64, 3), 90, np.uint8))
    write_png(folder / "A1.png", np.full((64, 64, 3), 255, np.uint8))
    label(folder / "A1.png", "--palette", folder / "studio.toml", "--out", folder / "out")
    told = capsys.readouterr().err
    assert "classes: nothing for 1 frames (A2)" in told
    assert "cel_mask: nothing for 2 frames (A1, A2)" in told


# -- docs/studio.md, on a small scale ------------------------------------------------------------------------


def scores_of(weights: str | Path, truth: Path, out: Path) -> tuple[float, float]:
    """Cross entropy of the pixels in nats, and F1 of visible lines, on the studio's own frames."""
    network, losses = load_network(weights, "cpu"), []
    for name in stems(truth):
        mask = CelMask(read_image(truth, "cel_mask", name))
        ids = read_image(truth, "classes", name)
        p = find_lines(read_frame(truth / "frame" / f"{name}.png"), mask, network).astype(np.float32)
        losses.append(-np.log(np.take_along_axis(p, ids[None].astype(np.int64), 0) + 1e-6).mean())
        write_png(out / "classes" / f"{name}.png", p.argmax(0).astype(np.uint8))
    lines = evaluate(out, truth).total.lines["visible_line"]
    return float(np.mean(losses)), lines.f1


def test_fine_tuning_from_the_shipped_weights_learns_the_studios_style(scenes: Path, folder: Path) -> None:
    deliver(scenes, stems(scenes), folder)
    assert label_all(folder, folder / "studio") == 0
    for name in stems(scenes)[4:]:  # kept aside, as the page has it
        for kind in ("frame", "cel_mask", "classes"):
            (folder / "held" / kind).mkdir(parents=True, exist_ok=True)
            (folder / "studio" / kind / f"{name}.png").rename(folder / "held" / kind / f"{name}.png")
    before = scores_of("lines-small", folder / "held", folder / "before")
    knobs = {"data": folder / "studio", "validation": folder / "held", "out": folder / "run"}
    knobs |= {
        "init_from": "lines-small",
        "steps": 16,
        "warmup_steps": 1,
        "learning_rate": 2e-4,
        "average": 0.5,
    }
    knobs |= {"batch": 2, "windows": 1, "crop_px": 128, "validation_frames": 1, "workers": 0, "threads": 1}
    knobs |= {"affine": 0, "colour": 0, "wear": 0, "texture": 0, "erase": 0, "dropout": 0.1}
    arguments = [str(RECIPE)]
    for key, value in knobs.items():
        arguments += [f"--{key}", str(value)]
    assert train(arguments) == 0
    after = scores_of(folder / "run" / BEST, folder / "held", folder / "after")
    assert after[0] < before[0], "the loss on frames that were kept aside falls"
    assert after[1] >= before[1] - 0.01, "its lines are found no worse"
