"""Frames for the table of cutouts: the examination's characters with soft things added, and real cels.

Neither shapes nor backgrounds are drawn from by training. Each frame is there lossless and as broadcast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from douga_training.exam import frames, recipe
from douga_training.exam.recipe import REAL, SHOTS, Exam, Question
from douga_training.exam.soft import THINGS, soften
from douga_training.simulate import store
from douga_training.simulate.material import Material
from douga_training.simulate.production import Production, Scene, composite_scene

DRAWN, REAL_FRAMES = 16, 10
_DRAWN_SEED, _REAL_SEED = 8100, 8900
_SOURCES = ("exam/soft", "bench/cutout_frames", "simulate/film", "simulate/motion")  # beside the exam's own


def cutout_exam(drawn: int = DRAWN, real: int = REAL_FRAMES) -> Exam:
    """The questions: shots in turn, of seeds that `make exam` does not draw; then real drawings in turn."""
    asked = [Question(SHOTS[i % len(SHOTS)], _DRAWN_SEED + i) for i in range(drawn)]
    asked += [Question(REAL, _REAL_SEED + i, i) for i in range(real)]
    return replace(recipe.read_exam(), questions=tuple(asked))


def key(exam: Exam, drawings: Sequence[Material]) -> str:
    """Start of a hash over what decides a frame's bytes, besides the libraries."""
    package = Path(__file__).parents[1]
    told = [exam.key(drawings).encode(), *((package / f"{name}.py").read_bytes() for name in _SOURCES)]
    return hashlib.sha256(b"\0".join(told)).hexdigest()[:10]


def build(folder: Path, exam: Exam, drawings: Sequence[Material]) -> list[str]:
    """Draw what is not there yet. Returns the stems. drawings: real ones; none leaves their frames out."""
    asked = [q for q in exam.questions if q.shot != REAL or drawings]
    for question in tqdm(asked, desc="drawing cutouts", unit="frame", disable=None):
        if not store.is_written(folder, question.stem, with_broadcast=True):
            store.write_production(folder, *draw(question, exam, drawings))
    return [question.stem for question in asked]


def draw(question: Question, exam: Exam, drawings: Sequence[Material] = ()) -> tuple[Production, Production]:
    """One frame, lossless and as broadcast, with the same alpha."""
    scene = _softened(frames.draw_scene(question, exam, drawings))
    lossless = replace(composite_scene(scene), name=question.stem)
    return lossless, frames.as_broadcast(scene, lossless)


def _softened(scene: Scene) -> Scene:
    """A drawn scene with soft things; a real drawing stays as it is.

    Its sheet, which has nothing soft, is put away: the twin tints the lines as those of a scanned cel.
    """
    if scene.sheet is None:
        return scene
    thing = THINGS[scene.seed // len(SHOTS) % len(THINGS)]
    rng = np.random.default_rng([scene.seed, 6])
    meta = scene.meta | {"soft": thing}
    return replace(scene, art=soften(rng, scene.art, thing), sheet=None, meta=meta)
