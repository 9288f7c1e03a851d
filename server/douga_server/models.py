"""The weights that a server has: which ones, by what names, and how the engine calls them.

Torch is imported when they are loaded, not before: the front listens first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from douga.errors import CheckpointError, DougaError, InputError
from douga.memory import memory_minded
from douga.shipped import known_weights
from douga.types import CelMask, Frame
from douga_server.jobs import Model, Region
from douga_server.names import RULE, is_name

if TYPE_CHECKING:
    from douga.checkpoint import LoadedNetwork
    from douga.cutout import Alpha
    from douga.pipeline import Probabilities

# Is told the share of a stage that is done, 0 to below 1, before each step of it; what it raises ends it.
OnStep = Callable[[float], None]


class MemoryShortError(DougaError):
    """There is not enough memory for this frame, on the device or on the machine. The server goes on."""


class ServedStages(Protocol):
    """The networks as the engine calls them: always on one and the same thread, one call at a time.

    Never changed once it is made: a server with new weights makes another.
    """

    @property
    def device(self) -> str:
        """What they run on: "cpu", "cuda:0"."""
        ...

    @property
    def models(self) -> tuple[Model, ...]:
        """What there is, one default a stage."""
        ...

    def find_cel(self, frame: Frame, model: Model, region: Region | None, on_step: OnStep) -> CelMask:
        """Stage one: a mask of the whole frame, which outside of the region may be coarse.

        Raises MemoryShortError.
        """
        ...

    def find_lines(
        self, frame: Frame, cel: CelMask, model: Model, region: Region | None, on_step: OnStep
    ) -> Probabilities:
        """Stage two: (10, H, W) of the frame, or of the region's size. Raises MemoryShortError."""
        ...

    def find_alpha(self, frame: Frame, model: Model, on_step: OnStep) -> Alpha:
        """Of a cutout, by weights of stage "cutout" or "cel". Raises MemoryShortError."""
        ...


class StageStore(Protocol):
    """Where the networks come from: `ModelStore`, or `douga_server.fakes.FakeStore`. Picklable."""

    def load(self) -> ServedStages:
        """Load them anew, beside those that are in use. Raises CheckpointError and DeviceError."""
        ...


@dataclass(frozen=True)
class ModelStore:
    """Which weights to serve.

    cel, lines, cutout: names of shipped or imported weights, or files, the default first; cutout may be
    empty. A file is asked for by its own name without folder and suffix. device: "auto", "cpu", "cuda:1".
    """

    cel: tuple[str, ...] = ("cel-small",)
    lines: tuple[str, ...] = ("lines-small",)
    device: str = "auto"
    cutout: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for stage, given in self._by_stage():
            names = [_name(path) for path in given]
            if not names and stage != "cutout":
                raise InputError(f"no weights for stage {stage!r}; name at least one")
            strange = [path for path, name in zip(given, names, strict=True) if not is_name(name)]
            if strange:
                raise InputError(f"{strange[0]}: callers cannot ask by this name; rename the file: {RULE}")
            if len(set(names)) < len(names):
                raise InputError(
                    f"weights of stage {stage!r}: two have one name ({', '.join(names)}), and callers ask by "
                    "name; rename a file"
                )

    def load(self) -> NetworkStages:
        """Load all of them. Raises CheckpointError and DeviceError."""
        from douga.checkpoint import choose_device, load_network
        from douga.cutout_weights import load_cutout_network

        device = choose_device(self.device)
        networks = {}
        for stage, given in self._by_stage():
            for path in given:
                network = (load_cutout_network if stage == "cutout" else load_network)(path, device)
                if network.info.stage != stage:
                    raise CheckpointError(
                        f"{path}: weights of stage {network.info.stage!r} were given for stage {stage!r}; "
                        "give them there"
                    )
                networks[stage, _name(path)] = network
        index = device.index or 0
        return NetworkStages(networks, f"cuda:{index}" if device.type == "cuda" else str(device))

    def _by_stage(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("cel", self.cel), ("lines", self.lines), ("cutout", self.cutout)


def find_model(models: Sequence[Model], stage: str, name: str, input_mode: str = "") -> Model:
    """The weights of a stage by name, or its default where the name is empty.

    input_mode: refused where the weights have another, unless it is empty. Raises InputError.
    """
    of_stage = [model for model in models if model.stage == stage]
    for model in of_stage:
        if model.name == name or (not name and model.is_default):
            break
    else:
        names = ", ".join(model.name for model in of_stage) or "none"
        raise InputError(f"no such model {name!r} for stage {stage!r}; this server has {names}")
    if input_mode not in ("", model.input_mode):
        raise InputError(
            f"input mode {input_mode!r}: the model {model.name} was trained with {model.input_mode!r}; "
            "leave it empty or choose another model"
        )
    return model


def find_cutout_model(models: Sequence[Model], name: str) -> Model:
    """The weights to cut out with: those of stage "cutout", or of stage "cel" by name. Raises InputError."""
    by_name = next((model for model in models if model.stage == "cel" and model.name == name), None)
    if by_name is not None and not any(m.stage == "cutout" and m.name == name for m in models):
        return by_name
    if not name and not has_cutouts(models):
        cel = ", ".join(model.name for model in models if model.stage == "cel")
        raise InputError(
            "this server has no weights for cutouts; start it with --weights-cutout, or ask for the hard "
            f"mask of {cel}"
        )
    return find_model(models, "cutout", name)


def has_cutouts(models: Sequence[Model]) -> bool:
    """Whether there are weights of stage "cutout"."""
    return any(model.stage == "cutout" for model in models)


class NetworkStages:
    """Networks as `ServedStages`."""

    def __init__(self, networks: Mapping[tuple[str, str], LoadedNetwork], device: str) -> None:
        """networks: by stage and name, the default of a stage first."""
        self.device = device
        self._networks = dict(networks)
        defaults = dict(reversed(self._networks))  # the first of each stage stays
        self.models = tuple(
            Model(stage, name, network.sha256, network.info.input_mode, defaults[stage] == name)
            for (stage, name), network in self._networks.items()
        )

    def find_cel(self, frame: Frame, model: Model, region: Region | None, on_step: OnStep) -> CelMask:
        """See `ServedStages`."""
        from douga.cel import find_cel

        with memory_minded(frame, memory_short):
            return find_cel(frame, self._network(model), region=_box(region), on_step=on_step)

    def find_lines(
        self, frame: Frame, cel: CelMask, model: Model, region: Region | None, on_step: OnStep
    ) -> Probabilities:
        """See `ServedStages`."""
        from douga.lines import find_lines

        with memory_minded(frame, memory_short):
            return find_lines(frame, cel, self._network(model), region=_box(region), on_step=on_step)

    def find_alpha(self, frame: Frame, model: Model, on_step: OnStep) -> Alpha:
        """See `ServedStages`."""
        from douga.alpha import find_alpha

        with memory_minded(frame, memory_short):
            return find_alpha(frame, self._network(model), on_step=on_step)

    def _network(self, model: Model) -> LoadedNetwork:
        return self._networks[model.stage, model.name]


def _name(path: str) -> str:
    return path if path in known_weights() else Path(path).stem


def _box(region: Region | None) -> tuple[int, int, int, int] | None:
    return None if region is None else (region.x, region.y, region.width, region.height)


def memory_short(frame: Frame) -> MemoryShortError:
    """The error for a frame that there was no memory for."""
    height, width = frame.size_hw
    return MemoryShortError(
        f"not enough memory for a frame of {width} x {height} px; send a region of it or a smaller one, or "
        "give the server more memory"
    )
