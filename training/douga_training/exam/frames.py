"""The examination's frames on disk, in the layout of `douga simulate`, each with its broadcast twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from douga_training.exam.figures import draw_figure
from douga_training.exam.plates import PLATES, paint_bush, paint_plate
from douga_training.exam.recipe import REAL, Exam, Question
from douga_training.simulate import store
from douga_training.simulate.broadcast import Broadcast, broadcast, tint_lines
from douga_training.simulate.compositing import Compositing, blur_layer, soften_art
from douga_training.simulate.layout import Layout
from douga_training.simulate.material import Material
from douga_training.simulate.production import Production, Scene, composite_scene
from douga_training.simulate.sheet import Sheet

_HEADS = {
    "extreme_close_up": (1.1, 1.6),
    "close_up": (0.45, 0.7),
    "medium": (0.2, 0.3),
    "long": (0.065, 0.11),
}
_COUNT = {"extreme_close_up": 1, "close_up": 1, "medium": 2, "long": 3}
# Grades that training does not draw: gain, lift, gamma, saturation.
_GRADES = {
    "plain": ((1.0, 1.0, 1.0), 0.0, 1.0, 1.0),
    "magenta dusk": ((1.02, 0.74, 0.86), 0.03, 1.05, 0.95),
    "green night": ((0.5, 0.66, 0.62), 0.03, 1.0, 0.6),
    "faded": ((0.96, 0.98, 1.0), 0.17, 0.95, 0.55),
}
Drawings = Sequence[Material]


def build(folder: Path, exam: Exam, drawings: Drawings) -> list[str]:
    """Draw what is not there yet. Returns the stems. drawings: real ones, or none to leave them out."""
    stems = []
    asked = [q for q in exam.questions if q.shot != REAL or drawings]
    for question in tqdm(asked, desc="drawing the examination", unit="frame", disable=None):
        stems.append(question.stem)
        if not store.is_written(folder, question.stem, with_broadcast=True):
            store.write_production(folder, *draw(question, exam, drawings))
    return stems


def draw(question: Question, exam: Exam, drawings: Drawings = ()) -> tuple[Production, Production]:
    """One frame of the examination, lossless and as broadcast, with the same truth."""
    scene = draw_scene(question, exam, drawings)
    lossless = replace(composite_scene(scene), name=question.stem)
    return lossless, as_broadcast(scene, lossless)


def draw_scene(question: Question, exam: Exam, drawings: Drawings = ()) -> Scene:
    """Plate, cel and bush of one frame, not yet put together."""
    rng = np.random.default_rng([question.seed, 3])
    w, h = exam.size_wh
    kind = list(PLATES)[question.seed % len(PLATES)]
    plate = paint_plate(np.random.default_rng([question.seed, 1]), exam.size_wh, kind)
    settings = _compositing(np.random.default_rng([question.seed, 2]))
    if question.shot == REAL:
        from douga_training.simulate.material import place

        sheet, art = None, place(drawings[question.number % len(drawings)], exam.size_wh, rng)
    else:
        sheet = draw_sheet(rng, question.shot, exam)
        art = sheet.resolve()
    book = None
    if question.seed % 2 == 0:
        rgb, alpha = paint_bush(np.random.default_rng([question.seed, 4]), exam.size_wh)
        book = blur_layer(rgb, alpha, 0.7 * h / 1080)
    meta = {"exam": question.stem, "plate": kind, "compositing": asdict(settings)}
    layout = Layout(exam.size_wh, question.shot, ())
    return Scene(question.seed, layout, plate, art, sheet, book, settings, (0, 0, w, h), meta)


def draw_sheet(rng: np.random.Generator, shot: str, exam: Exam) -> Sheet:
    """The characters of a shot, the nearest last."""
    w, h = exam.size_wh
    sheet = Sheet(exam.size_wh)
    light = (float(rng.choice([-1, 1]) * rng.uniform(0.4, 0.8)), -float(rng.uniform(0.5, 0.9)))
    line_px = float(rng.uniform(*exam.line_px))
    count = _COUNT[shot]
    for place in rng.permutation(count):
        head = h * float(rng.uniform(*_HEADS[shot]))
        x = w * (place + 0.5) / count + rng.normal(0, 0.04) * w
        y = h * (0.5 if head > 0.4 * h else 0.3) + rng.normal(0, 0.03) * h
        draw_figure(sheet, rng, (float(x), float(y)), head, line_px, light)
    return sheet


def _compositing(rng: np.random.Generator) -> Compositing:
    """How the lossless frame is put together: the cel's colours are touched in a third of the frames."""
    plain = Compositing(background_blur_px=float(rng.choice([0.0, 0.0, 1.5, 11.0])))
    if rng.random() < 0.66:
        return plain
    angle, tint = float(rng.uniform(-0.6, 0.6)), (120, 70, 140) if rng.random() < 0.5 else (70, 120, 110)
    return replace(plain, cel_gradient=0.22, cel_gradient_angle=angle, cel_gradient_rgb=tint, bloom=0.08)


def as_broadcast(scene: Scene, lossless: Production) -> Production:
    """The broadcast twin of a scene, with the truth of `lossless`."""
    rng = np.random.default_rng([scene.seed, 5])
    name = list(_GRADES)[int(rng.integers(len(_GRADES)))]
    gain, lift, gamma, saturation = _GRADES[name]
    graded = replace(
        scene.settings, gain_rgb=gain, lift=lift, gamma=gamma, saturation=saturation,
        bloom=float(rng.choice([0.05, 0.6])), glow=float(rng.choice([0.0, 0.2])), glow_rgb=(255, 226, 236),
    )  # fmt: skip
    settings = Broadcast(
        graded, name, line_tint=float(rng.uniform(0.2, 0.95)), tint_depth=float(rng.choice([0.22, 0.57])),
        native_lines=int(rng.choice([720, 810, 864])), down="area", up=str(rng.choice(["cubic", "lanczos"])),
        encode_native=bool(rng.random() < 0.5), grain=float(rng.uniform(0.2, 3.0)),
        crf=int(rng.choice([19, 20, 21, 29])), preset="medium", move=str(rng.choice(["pan", "hold"])),
        move_px=(int(rng.choice([-8, 8])), 0), picked=2, length=4,
    )  # fmt: skip
    if scene.sheet is not None:
        art = scene.sheet.resolve(line_tint=settings.line_tint, tint_depth=settings.tint_depth)
    else:
        art = tint_lines(scene.art, settings.line_tint, settings.tint_depth)
    layers = scene.layers(soften_art(art, scene.settings))
    frame = broadcast(layers, settings, rng, frame_height_px=scene.layout.size_wh[1])
    return replace(lossless, frame=frame, meta=lossless.meta | {"broadcast": asdict(settings)})
