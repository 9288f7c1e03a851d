"""Weights on disk: a safetensors file whose header carries network config, class list, recipe and step."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from douga.classes import DougaClass
from douga.errors import CheckpointError, DeviceError, OutputError
from douga.frame_io import atomic_path
from douga.networks.birefnet import BiRefNet, BiRefNetConfig
from douga.networks.gcn import Gcn, GcnConfig
from douga.networks.isnet import IsNet, IsNetConfig, MaskEncoder
from douga.shipped import weights_path

FORMAT = "douga-weights-1"
STAGES = ("cel", "lines")
_ALPHA = ["alpha"]  # what the stages below answer, in place of the list of classes
_ALPHA_STAGES = ("cutout", "masks")

NetworkConfig = GcnConfig | BiRefNetConfig | IsNetConfig


@dataclass(frozen=True)
class Kind:
    """A network by the name that a checkpoint's header gives it.

    whole: a state dict holds all of its tensors, so that none has to be made before it is loaded.
    """

    config: type[NetworkConfig]
    network: Callable[..., nn.Module]
    whole: bool = True


KINDS = {
    "gcn": Kind(GcnConfig, Gcn, whole=False),
    "birefnet": Kind(BiRefNetConfig, BiRefNet),
    "isnet": Kind(IsNetConfig, IsNet),
    "isnet-masks": Kind(IsNetConfig, MaskEncoder),  # teaches an IsNet; only training needs it
}


@dataclass(frozen=True)
class WeightsInfo:
    """What a checkpoint says of itself.

    stage: "cel", "lines" or "cutout"; "masks" for what teaches a cutout network. input_mode: see
    `douga.preprocess`; networks of other kinds than "gcn" take colours by their own `mean` and `std`. step:
    of training. recipe: the run's settings. version: of the program that wrote it. kind: one of KINDS.
    licence, source: of weights that others published.
    """

    stage: str
    config: NetworkConfig
    input_mode: str
    step: int
    recipe: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    kind: str = "gcn"
    licence: str = ""
    source: str = ""

    @property
    def classes(self) -> list[str]:
        """Keys of what the network answers."""
        return _ALPHA if self.stage in _ALPHA_STAGES else [c.key for c in DougaClass]


# What the first checkpoints did not say.
_LATER = {"kind": "gcn", "licence": "", "source": ""}
_LATER_IN_CONFIG = {"gcn": {"quarter_width": 0}}


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready to run.

    network: in eval mode, on `device`, channels-last. path: its file. meta: the file's whole header.
    """

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
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps" into a device.

    Never falls back from one that was asked for: raises DeviceError where it is unknown or not there.
    """
    if requested == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", requested):
        raise DeviceError(f"--device {requested}: not a device; use auto, cpu, cuda, cuda:1 or mps")
    device = torch.device(requested)
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise DeviceError(f"--device {requested}: this machine has none such; use --device auto or cpu")
    return device


def save_network(path: Path, network: nn.Module, info: WeightsInfo, *, half: bool = True) -> None:
    """Write weights whole or not at all. Raises OutputError.

    half: floats as float16, half the size; a tensor with values beyond its range stays float32.
    """
    save_tensors(path, network.state_dict(), info, half=half)


def save_tensors(path: Path, state: Mapping[str, Tensor], info: WeightsInfo, *, half: bool = True) -> None:
    """`save_network` for a state dict. Raises OutputError."""
    tensors = {}
    for key, tensor in state.items():
        kept = tensor.detach().cpu().contiguous()
        small = kept.half() if half and kept.is_floating_point() else kept
        tensors[key] = small if torch.equal(small.isfinite(), kept.isfinite()) else kept
    header = {"format": FORMAT, "classes": info.classes, **asdict(info)}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, str(temporary), {"douga": json.dumps(header)})
        except SafetensorError as exc:  # what safetensors makes of a full disk
            raise OutputError(f"{path}: cannot be written ({in_short(exc)}); make room") from exc
        Path(temporary).chmod(0o644)  # the library writes files that only their owner can read


def read_info(path: Path) -> tuple[WeightsInfo, dict[str, Any]]:
    """Read a checkpoint's header without its weights. Raises CheckpointError."""
    try:
        with safe_open(str(path), "pt") as file:
            header = json.loads((file.metadata() or {}).get("douga", "{}"))
    except (SafetensorError, OSError, ValueError) as exc:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({exc}); copy or export it again"
        ) from exc
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: not weights of this program (no '{FORMAT}' in its header); "
            "give a file that `python -m douga.train` wrote"
        )
    return _info(path, header), header


def _info(path: Path, header: dict[str, Any]) -> WeightsInfo:
    """What a header says. Raises CheckpointError where that is not what this version reads."""
    said = _LATER | header
    needed = {f.name for f in fields(WeightsInfo)}
    expected = _ALPHA if said.get("stage") in _ALPHA_STAGES else [c.key for c in DougaClass]
    if said.get("classes") != expected:
        raise CheckpointError(
            f"{path}: was trained on other classes ({said.get('classes')}) than {expected}; "
            "train it again on these"
        )
    kind = KINDS.get(str(said["kind"]))
    if kind is None:
        raise CheckpointError(f"{path}: a network of kind {said['kind']!r}; known are {', '.join(KINDS)}")
    config, known = said.get("config"), {f.name for f in fields(kind.config)}
    if isinstance(config, dict):
        config = _LATER_IN_CONFIG.get(str(said["kind"]), {}) | config
    if not isinstance(config, dict) or set(config) != known or not needed <= set(said):
        raise CheckpointError(
            f"{path}: its header has other entries than this version's {sorted(needed)} and, of the network, "
            f"{sorted(known)}; load it with the version that wrote it ({header.get('version') or 'unknown'})"
        )
    try:
        built = kind.config(**config)
    except (ValueError, TypeError) as exc:
        raise CheckpointError(
            f"{path}: its header describes no network that can be built ({exc}); export it again"
        ) from exc
    return WeightsInfo(config=built, **{name: said[name] for name in needed - {"config"}})


def load_network(
    path_or_name: str | Path,
    device: str | torch.device = "auto",
    *,
    fused: bool = True,
    precision: torch.dtype = torch.float32,
) -> LoadedNetwork:
    """Load shipped or imported weights by name, or any checkpoint by path.

    Strict: every tensor must be there and fit. fused: fold each batch normalisation into the convolution
    before it, which is faster and computes the same; False keeps the network as it is trained. precision: of
    the parameters; BiRefNet and IS-Net run fastest in bfloat16, in the least memory, and answer in float32
    all the same. Raises CheckpointError and DeviceError.
    """
    path = weights_path(path_or_name)
    target = choose_device(device) if isinstance(device, str) else device
    info, header = read_info(path)
    network = _build(path, info).eval().requires_grad_(False)
    if fused:
        fold_norms(network)
    if isinstance(network, BiRefNet | IsNet):
        network.lower_precision(precision)
    else:
        network.to(precision)
    if precision != torch.float32:
        _copy_the_others(network, precision)
    network.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lag
    return LoadedNetwork(network, info, target, path, header)


def _copy_the_others(network: nn.Module, precision: torch.dtype) -> None:
    """What is not of lower precision may still be part of the file, and keep all of it in memory."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dtype != precision:
            tensor.data = tensor.data.clone()


def fold_norms(network: nn.Module) -> None:
    """Fold each batch normalisation into the convolution right before it, in place; for eval mode only."""
    before: tuple[str, nn.Module] | None = None
    for name, child in list(network.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
            setattr(network, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(network, name, nn.Identity())
        fold_norms(child)
        before = name, child


def in_short(exc: Exception, *, length: int = 200) -> str:
    """The beginning of an error's message in one line: torch lists every tensor that does not fit."""
    text = " ".join(str(exc).split())
    return text if len(text) <= length else text[:length] + " ..."


def _build(path: Path, info: WeightsInfo) -> nn.Module:
    """The network that a checkpoint describes, with its weights as float32. Raises CheckpointError."""
    kind = KINDS[info.kind]
    try:
        with torch.device("meta" if kind.whole else "cpu"):
            network = kind.network(info.config)
    except (ValueError, TypeError, KeyError, RuntimeError) as exc:
        raise CheckpointError(
            f"{path}: its header describes no network that can be built ({exc}); export it again"
        ) from exc
    try:
        with safe_open(str(path), "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        floats = {
            key: value.float() if value.is_floating_point() else value for key, value in tensors.items()
        }
        network.load_state_dict(floats, assign=kind.whole)
    except (RuntimeError, SafetensorError, OSError) as exc:
        raise CheckpointError(
            f"{path}: the weights do not fit the network that its header describes ({in_short(exc)}); "
            "export it again"
        ) from exc
    return network
