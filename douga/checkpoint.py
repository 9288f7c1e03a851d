"""Weights on disk: a safetensors file whose header carries the network's config, class list, recipe and step."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from douga.classes import DougaClass
from douga.errors import CheckpointError, DeviceError
from douga.frame_io import atomic_path
from douga.networks.gcn import Gcn, GcnConfig

FORMAT = "douga-weights-1"
STAGES = ("cel", "lines")


@dataclass(frozen=True)
class WeightsInfo:
    """What a checkpoint says of itself. stage: "cel" or "lines"; input_mode: see `douga.preprocess`; step: of training."""

    stage: str
    config: GcnConfig
    input_mode: str
    step: int
    recipe: dict[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready to run. network: in eval mode, on `device`, channels-last."""

    network: nn.Module
    info: WeightsInfo
    device: torch.device
    path: Path
    meta: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """Hash of the file, in hexadecimal."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def choose_device(requested: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps" into a device; never falls back from one that was asked for."""
    if requested == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(requested)
    except RuntimeError as exc:
        raise DeviceError(f"--device {requested}: not a device; use auto, cpu, cuda, cuda:1 or mps") from exc
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise DeviceError(f"--device {requested}: this machine has none such; use --device auto or cpu")
    return device


def shipped_weights() -> dict[str, Path]:
    """Weights that come with the package, by name: ``{"cel-small": Path(...), ...}``."""
    folder = Path(__file__).parent / "weights"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def save_network(path: Path, network: Gcn, info: WeightsInfo, *, half: bool = True) -> None:
    """Write weights whole or not at all. half: floats as float16, half the size."""
    tensors = {}
    for key, tensor in network.state_dict().items():
        shrink = half and tensor.is_floating_point()
        tensors[key] = (tensor.half() if shrink else tensor).detach().cpu().contiguous()
    header = {"format": FORMAT, "classes": [c.key for c in DougaClass], **asdict(info)}
    with atomic_path(path) as temporary:
        save_file(tensors, str(temporary), {"douga": json.dumps(header)})


def read_info(path: Path) -> tuple[WeightsInfo, dict[str, Any]]:
    """Read a checkpoint's header without its weights. Raises CheckpointError."""
    try:
        with safe_open(str(path), "pt") as file:
            header = json.loads((file.metadata() or {}).get("douga", "{}"))
    except (SafetensorError, OSError, ValueError) as exc:
        raise CheckpointError(f"{path}: not a readable safetensors file ({exc}); export it again") from exc
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not weights of this program (no '{FORMAT}' in its header)")
    if header["classes"] != [c.key for c in DougaClass]:
        raise CheckpointError(f"{path}: was trained on other classes than {[c.key for c in DougaClass]}")
    known = {f.name for f in fields(GcnConfig)}
    if set(header["config"]) != known:
        raise CheckpointError(f"{path}: its network config has other entries than this version's {sorted(known)}")
    values = {f.name: header[f.name] for f in fields(WeightsInfo) if f.name != "config"}
    return WeightsInfo(config=GcnConfig(**header["config"]), **values), header


def load_network(path_or_name: str | Path, device: str | torch.device = "auto") -> LoadedNetwork:
    """Load shipped weights by name or any checkpoint by path; strict: every tensor must be there and fit."""
    path = shipped_weights().get(str(path_or_name), Path(path_or_name))
    if not path.is_file():
        names = ", ".join(shipped_weights()) or "none"
        raise CheckpointError(f"{path_or_name}: no such weights; give a .safetensors file or a shipped name ({names})")
    target = choose_device(device) if isinstance(device, str) else device
    info, header = read_info(path)
    network = Gcn(info.config)
    with safe_open(str(path), "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    try:
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    except RuntimeError as exc:
        raise CheckpointError(f"{path}: the weights do not fit the network that its header describes: {exc}") from exc
    network = network.eval().requires_grad_(False).to(target, memory_format=torch.channels_last)
    return LoadedNetwork(network, info, target, path, header)
