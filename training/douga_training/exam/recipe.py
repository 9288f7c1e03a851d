"""What the examination consists of: size, seeds and shots, read from training/exam/exam.toml."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from douga.errors import InputError, RecipeError

if TYPE_CHECKING:
    from douga_training.simulate.material import Material

CHECKOUT = Path(__file__).parents[3]
RECIPE = CHECKOUT / "training" / "exam" / "exam.toml"
SHOTS = ("extreme_close_up", "close_up", "medium", "long")
REAL = "real"
CODE = Path(__file__).parents[1]
_SOURCES = (
    *(f"exam/{name}" for name in ("shapes", "figures", "plates", "frames")),
    *(
        f"simulate/{name}"
        for name in (
            "colours",
            "sheet",
            "nearest",
            "tints",
            "material",
            "given_cel",
            "given_drawing",
            "compositing",
            "broadcast",
            "production",
        )
    ),
)


@dataclass(frozen=True)
class Question:
    """One frame. shot: one of SHOTS, or "real". number: which drawing, of the real ones."""

    shot: str
    seed: int
    number: int = 0

    @property
    def stem(self) -> str:
        """Name of its files: "close_up-7201"."""
        return f"{self.shot}-{self.seed}"


@dataclass(frozen=True)
class Exam:
    """All frames. size_wh: of each, in px. line_px: least and largest width of a visible line."""

    size_wh: tuple[int, int]
    line_px: tuple[float, float]
    questions: tuple[Question, ...]

    def __post_init__(self) -> None:
        if min(self.size_wh) < 64:
            raise RecipeError(f"size_wh: got {self.size_wh}, expected at least 64 px each way")
        if not 0.5 <= self.line_px[0] <= self.line_px[1]:
            raise RecipeError(f"line_px: got {self.line_px}, expected two widths from 0.5 px, smaller first")

    def shortened(self, drawn: int | None, real: int | None) -> Exam:
        """The same with at most so many drawn and real frames, spread over the shots. None: all of them."""
        shown = [q for q in self.questions if q.shot != REAL]
        rank = {q: [p for p in shown if p.shot == q.shot].index(q) for q in shown}
        kept = sorted(shown, key=lambda q: rank[q])[:drawn]
        kept += [q for q in self.questions if q.shot == REAL][:real]
        return replace(self, questions=tuple(q for q in self.questions if q in kept))

    def key(self, drawings: Sequence[Material] = ()) -> str:
        """Start of a hash over everything that decides a frame's bytes, besides the libraries.

        drawings: the real ones.
        """
        asked, names = [q.stem for q in self.questions], [drawing.name for drawing in drawings]
        told = repr((self.size_wh, self.line_px, asked, names))
        told_hash = hashlib.sha256(told.encode())
        for name in _SOURCES:
            told_hash.update((CODE / f"{name}.py").read_bytes() + b"\0")
        for drawing in drawings:
            for picture in (drawing.ids, drawing.mask, drawing.rgb):
                told_hash.update(b"" if picture is None else np.ascontiguousarray(picture).tobytes())
        return told_hash.hexdigest()[:10]


def read_exam(path: Path = RECIPE) -> Exam:
    """Read the recipe. Raises InputError where the file cannot be read, RecipeError for what stands in it."""
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
    except tomllib.TOMLDecodeError as exc:
        raise RecipeError(f"{path}: not TOML ({exc})") from exc
    unknown = [key for key in data if key not in ("size_wh", "line_px", "seeds", REAL)]
    unknown += [f"seeds.{key}" for key in data.get("seeds", {}) if key not in SHOTS]
    if unknown:
        raise RecipeError(f"{path}: unknown key {unknown[0]}; expected size_wh, line_px, seeds by shot, real")
    try:
        questions = [Question(shot, int(s)) for shot in SHOTS for s in data["seeds"].get(shot, [])]
        real = [Question(REAL, int(s), n) for n, s in enumerate(data.get(REAL, {}).get("seeds", []))]
        (w, h), (thin, thick) = data["size_wh"], data["line_px"]
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise RecipeError(
            f"{path}: {type(exc).__name__} {exc}; see training/exam/exam.toml for the form"
        ) from exc
    return Exam((int(w), int(h)), (float(thin), float(thick)), tuple(questions + real))
