"""What a run tells of itself on the way: the list of its scores, and TensorBoard's files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from douga.errors import OutputError
from douga.frame_io import atomic_path
from douga.types import U8

SCORES = "scores.jsonl"


class Logs:
    """The logs of one run. What cannot be written is told and left out: it must not end a long training."""

    def __init__(self, out: Path, step: int) -> None:
        """Open them, without the scores of steps that are still to come (again). step: where the run is.

        Raises OutputError.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._scores = out / SCORES
        try:
            out.mkdir(parents=True, exist_ok=True)
            if self._scores.is_file():
                _keep_until(step, self._scores)
            self._writer: Any = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)
        except OSError as exc:
            raise OutputError(f"{out}: cannot be written ({exc.strerror}); choose another --out") from exc

    def trained(self, step: int, **values: float) -> None:
        """Loss, rate and the like of a step."""
        self._draw(lambda writer: [writer.add_scalar(f"train/{key}", values[key], step) for key in values])

    def judged(self, step: int, scores: Mapping[str, float], picture: Callable[[], U8]) -> None:
        """The scores of a validation. picture: (H, W, 3) uint8 of inputs, answers and truths."""
        line = json.dumps({"step": step, "time": round(time.time()), **scores}) + "\n"
        try:
            with self._scores.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as exc:
            _tell(f"{self._scores}: cannot be written ({exc.strerror})")

        def draw(writer: Any) -> None:
            for key, value in scores.items():
                writer.add_scalar(f"validation/{key}", value, step)
            writer.add_image("validation/input, answer, truth", picture(), step, dataformats="HWC")

        self._draw(draw)

    def close(self) -> None:
        """Write what is waiting."""
        self._draw(lambda writer: writer.close())

    def _draw(self, draw: Callable[[Any], object]) -> None:
        if self._writer is None:
            return
        try:
            draw(self._writer)
        except OSError as exc:  # its thread keeps the error, and every later call would raise it again
            self._writer = None
            _tell(f"TensorBoard's files cannot be written ({exc.strerror or exc}) and end here")


def _keep_until(step: int, path: Path) -> None:
    """Drop later entries, and a last line that was cut short. Raises OutputError where it is another file."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    try:
        kept = "".join(line for line in lines if 0 < step >= json.loads(line)["step"])
    except (ValueError, KeyError, TypeError) as exc:
        raise OutputError(f"{path}: not a list of scores ({exc}); move it away") from exc
    with atomic_path(path) as temporary:
        temporary.write_text(kept, "utf-8")


def _tell(what: str) -> None:
    with suppress(OSError):
        tqdm.write(f"douga: {what}; training goes on")
