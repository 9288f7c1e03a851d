"""Weights that need no loading, for tests of whatever stands on an engine: backends, the front, a client."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from douga.cutout import Alpha
from douga.errors import CheckpointError
from douga.fakes import fake_stages
from douga.pipeline import Probabilities
from douga.types import CelMask, Frame
from douga_server.jobs import Model, Region
from douga_server.models import OnStep

FAKE_MODELS: tuple[Model, ...] = (
    Model("cel", "fake-cel", "c" * 64, "color", is_default=True),
    Model("lines", "fake-lines", "1" * 64, "synthetic_cel", is_default=True),
    Model("cutout", "fake-cutout", "a" * 64, "color", is_default=True),
)


@dataclass(frozen=True)
class FakeStore:
    """A store of `FakeStages`, for any process.

    steps, step_s: of each stage, and how long each takes. journal: a file that gets a line for each step
    that is done, stage and frame. weights: a file whose hash the models have; an empty one cannot be loaded.
    """

    steps: int = 4
    step_s: float = 0.0
    journal: Path | None = None
    weights: Path | None = None

    def load(self) -> FakeStages:
        """Read the weights file, if there is one. Raises CheckpointError where it is empty."""
        models = FAKE_MODELS
        if self.weights is not None:
            content = self.weights.read_bytes()
            if not content:
                raise CheckpointError(f"{self.weights}: is empty; write something into it")
            sha256 = hashlib.sha256(content).hexdigest()
            models = tuple(replace(model, sha256=sha256) for model in models)
        return FakeStages(self, models=models)


@dataclass(frozen=True)
class FakeStages:
    """The stages of `douga.fakes`, with steps in which nothing is done."""

    store: FakeStore = field(default_factory=FakeStore)
    device: str = "cpu"
    models: tuple[Model, ...] = FAKE_MODELS

    def find_cel(self, frame: Frame, model: Model, region: Region | None, on_step: OnStep) -> CelMask:
        """White is background."""
        self._step_through("cel", frame, on_step)
        return fake_stages().find_cel(frame)

    def find_lines(
        self, frame: Frame, cel: CelMask, model: Model, region: Region | None, on_step: OnStep
    ) -> Probabilities:
        """Black is ink, the rest is paint."""
        self._step_through("lines", frame, on_step)
        planes = fake_stages().find_lines(frame, cel)
        if region is None:
            return planes
        x, y, width, height = region.x, region.y, region.width, region.height
        return np.ascontiguousarray(planes[:, y : y + height, x : x + width])

    def find_alpha(self, frame: Frame, model: Model, on_step: OnStep) -> Alpha:
        """White is clear, black is opaque, the rest between them by its darkest channel."""
        self._step_through("cutout", frame, on_step)
        return Alpha(frame, (1 - frame.rgb.min(axis=2) / np.float32(255)).astype(np.float32))

    def _step_through(self, stage: str, frame: Frame, on_step: OnStep) -> None:
        for done in range(self.store.steps):
            on_step(done / self.store.steps)
            time.sleep(self.store.step_s)
            if self.store.journal is not None:
                with self.store.journal.open("a") as file:
                    file.write(f"{stage} {frame.name}\n")
