"""What the examination consists of: size, seeds and shots, read from training/exam/exam.toml."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from douga.errors import InputError, RecipeError

CHECKOUT = Path(__file__).parents[3]
RECIPE = CHECKOUT / "training" / "exam" / "exam.toml"
SHOTS = ("extreme_close_up", "close_up", "medium", "long")
REAL = "real"


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

    def key(self) -> str:
        """Start of a hash over everything that decides a frame's bytes, besides the libraries."""
        sources = [
            (Path(__file__).parent / f"{name}.py").read_bytes()
            for name in ("shapes", "figures", "plates", "frames")
        ]
        told = repr((self.size_wh, self.line_px)).encode()
        return hashlib.sha256(b"\0".join([told, *sources])).hexdigest()[:10]


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
