"""Published weights of BiRefNet and IS-Net, as their authors' programs save them -> our names and configs.

Which names there are, and what they mean, is taken from the public implementations (ZhengPeng7/BiRefNet, of
which ToonOut is a fine-tuned copy; xuebinqin/DIS; SkyTNT/anime-segmentation). Nothing is guessed: a tensor
that is left over, missing or of another shape refuses the file.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models.swin_transformer import get_relative_position_index
from torch import Tensor, nn

from douga.errors import CheckpointError
from douga.networks.birefnet import BiRefNet, BiRefNetConfig
from douga.networks.isnet import IsNet, IsNetConfig, MaskEncoder

# What wrappers of training and compiling put before every name.
_WRAPPERS = re.compile(r"^((module|_orig_mod|net|model)\.)+")
_SHOWN = 12  # names in a message
_AS_PUBLISHED = "give the file as its authors publish it (BiRefNet with Swin, ToonOut, IS-Net, anime IS-Net)"
_ISNET_FIRST = "stage1.rebnconvin.conv_s1.weight"

Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def _count(template: str, start: int, step: int = -1) -> Callable[[re.Match[str]], str]:
    """Replacement whose {} is the pattern's number, counted from `start` downwards or upwards."""
    return lambda match: template.format(step * (int(match[1]) - start))


_BLOCK: tuple[Rule, ...] = (
    (r"\.conv_in\.", ".enter.0."),
    (r"\.bn_in\.", ".enter.1."),
    (r"\.conv_out\.", ".leave.0."),
    (r"\.bn_out\.", ".leave.1."),
    (r"\.dec_att\.aspp_deforms\.(\d)\.", _count(".aspp.branches.{}.", -1, 1)),
    (r"\.dec_att\.aspp(\d)\.", _count(".aspp.branches.{}.", 1, 1)),
    (r"\.atrous_conv\.offset_conv\.", ".where."),
    (r"\.atrous_conv\.modulator_conv\.", ".how_much."),
    (r"\.atrous_conv\.regular_conv\.", ".taken."),
    (r"\.bn\.", ".norm."),
    (r"\.dec_att\.global_avg_pool\.", ".aspp.mean."),
    (r"\.dec_att\.conv1\.", ".aspp.join."),
    (r"\.dec_att\.bn1\.", ".aspp.norm."),
)
_PATCHES: tuple[Rule, ...] = ((r"\.conv1\.", ".first."), (r"\.conv_out\.", ".second."))
# By how a name begins: what becomes of it.
_BIREFNET: dict[str, tuple[Rule, ...]] = {
    "bb.patch_embed.": (
        (r"^bb\.patch_embed\.proj\.", "encoder.patches."),
        (r"^bb\.patch_embed\.", "encoder."),
    ),
    "bb.layers.": (
        (r"^bb\.layers\.(\d)\.downsample\.", _count("encoder.stages.{}.merge.", -1, 1)),
        (r"^bb\.layers\.", "encoder.stages."),
    ),
    "bb.norm": ((r"^bb\.norm(\d)\.", r"encoder.stages.\1.norm."),),
    "squeeze_module.": ((r"^squeeze_module\.0\.", "squeeze."), *_BLOCK),
    "decoder.decoder_block": ((r"^decoder\.decoder_block(\d)\.", _count("up.{}.block.", 4)), *_BLOCK),
    "decoder.ipt_blk": (
        (r"^decoder\.ipt_blk1\.", "last.patches."),
        (r"^decoder\.ipt_blk(\d)\.", _count("up.{}.patches.", 5)),
        *_PATCHES,
    ),
    "decoder.conv_out1.": ((r"^decoder\.conv_out1\.0\.", "last.narrow."),),
    "decoder.lateral_block": ((r"^decoder\.lateral_block(\d)\.conv\.", _count("lateral.{}.", 4)),),
    "decoder.conv_ms_spvn_": ((r"^decoder\.conv_ms_spvn_(\d)\.", _count("side.{}.", 4)),),
    "decoder.gdt_convs_": (
        (r"^decoder\.gdt_convs_pred_(\d)\.0\.", _count("gradient.{}.predict.", 4)),
        (r"^decoder\.gdt_convs_attn_(\d)\.0\.", _count("gradient.{}.attend.", 4)),
        (r"^decoder\.gdt_convs_(\d)\.", _count("gradient.{}.find.", 4)),
    ),
}
_RSU: tuple[Rule, ...] = (
    (r"\.rebnconvin\.", ".enter."),
    (r"\.rebnconv(\d)d\.", _count(".up.{}.", 1, 1)),
    (r"\.rebnconv(\d)\.", _count(".down.{}.", 1, 1)),
    (r"\.conv_s1\.", ".0."),
    (r"\.bn_s1\.", ".1."),
)
_ISNET: dict[str, tuple[Rule, ...]] = {
    "conv_in.conv.": ((r"^conv_in\.conv\.", "enter.0."),),  # of the encoder of masks
    "conv_in.bn.": ((r"^conv_in\.bn\.", "enter.1."),),
    "conv_in.": ((r"^conv_in\.", "enter."),),
    "stage": (
        (r"^stage(\d)d\.", _count("up.{}.", 1, 1)),
        (r"^stage(\d)\.", _count("down.{}.", 1, 1)),
        *_RSU,
    ),
    "side": ((r"^side(\d)\.", _count("side.{}.", 1, 1)),),
}


@dataclass(frozen=True)
class Published:
    """A published checkpoint in our terms.

    kind, config: see `douga.checkpoint.KINDS`. tensors: its whole state dict. left_behind: how many tensors
    of the encoder of masks, which only training needs, came with an anime IS-Net.
    """

    kind: str
    config: BiRefNetConfig | IsNetConfig
    tensors: dict[str, Tensor]
    left_behind: int = 0


def read_published(path: Path, *, isnet_mean: float | None = None) -> Published:
    """Read a .pth, .ckpt or .safetensors of BiRefNet, ToonOut, IS-Net or anime IS-Net.

    Nothing in a .pth is executed: what is not plain tensors is refused. Otherwise as `recognise`.
    """
    return recognise(_read(path), path, isnet_mean=isnet_mean)


def recognise(tensors: Mapping[str, Tensor], path: Path, *, isnet_mean: float | None = None) -> Published:
    """Give named tensors our names and find the config that they belong to.

    path: their file, for messages. isnet_mean: what an IS-Net expects to be taken off each colour, 0 to 1;
    None for 0.5, or 0 where the names are those of the anime IS-Net's trainer. Raises CheckpointError.
    """
    named = _unwrapped(tensors, path)
    if any(name.startswith("bb.") for name in named):
        return _birefnet(named, path)
    if _ISNET_FIRST in named:
        anime = any(name.startswith("net.") for name in tensors)  # as SkyTNT's trainer saves it
        mean = isnet_mean if isnet_mean is not None else 0.0 if anime else 0.5
        return _isnet(named, path, IsNetConfig(len(named[_ISNET_FIRST]), mean))
    raise CheckpointError(
        f"{path}: names of neither BiRefNet nor IS-Net, but {_some(list(named))}; "
        "give a state dict as BiRefNet, ToonOut, DIS or anime-segmentation save it"
    )


def _read(path: Path) -> dict[str, Tensor]:
    """Names and tensors as they stand in the file."""
    try:
        if path.suffix == ".safetensors":
            return load_file(str(path))
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as exc:
        raise CheckpointError(
            f"{path}: not readable as weights ({' '.join(str(exc).split())[:200]}); "
            "give the published .pth, .ckpt or .safetensors itself"
        ) from exc
    for key in ("state_dict", "model"):  # beside an optimiser's state
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise CheckpointError(f"{path}: holds something else than named tensors; give a state dict")
    return dict(found)


def _unwrapped(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    named = {_WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}
    if len(named) != len(tensors):
        raise CheckpointError(f"{path}: holds two networks under different prefixes; save one of them alone")
    return named


def _translate(name: str, table: Mapping[str, tuple[Rule, ...]]) -> str | None:
    """Our name for a published one, None where the table does not know it."""
    rules = next((rules for start, rules in table.items() if name.startswith(start)), None)
    if rules is None:
        return None
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _birefnet(named: dict[str, Tensor], path: Path) -> Published:
    indices = {name: named.pop(name) for name in list(named) if name.endswith(".relative_position_index")}
    try:
        config = _birefnet_config(named)
    except (KeyError, ValueError) as exc:
        raise CheckpointError(
            f"{path}: no BiRefNet with a Swin encoder ({exc}); those with other encoders cannot be imported; "
            f"{_AS_PUBLISHED}"
        ) from exc
    expected = get_relative_position_index(config.window, config.window)
    wrong = [name for name, index in indices.items() if not torch.equal(index.long(), expected)]
    if wrong:
        raise CheckpointError(
            f"{path}: window positions are numbered otherwise in {_some(wrong)}; {_AS_PUBLISHED}"
        )
    return Published("birefnet", config, _fitted(named, _BIREFNET, BiRefNet, config, path))


def _birefnet_config(named: Mapping[str, Tensor]) -> BiRefNetConfig:
    """What the shapes say. Raises KeyError and ValueError."""
    tables = [
        [name for name in named if re.fullmatch(rf"bb\.layers\.{i}\..*relative_position_bias_table", name)]
        for i in range(4)
    ]
    first = [named[f"bb.layers.{i}.blocks.0.attn.relative_position_bias_table"] for i in range(4)]
    window = (round(len(first[0]) ** 0.5) + 1) // 2
    block = "decoder.decoder_block1.dec_att."
    sizes = [
        tensor.shape[-1]
        for name, tensor in named.items()
        if name.startswith(f"{block}aspp") and name.endswith(".regular_conv.weight")
    ]
    return BiRefNetConfig(
        embed_width=len(named["bb.patch_embed.proj.weight"]),
        depths=tuple(len(names) for names in tables),
        heads=tuple(table.shape[1] for table in first),
        window=window,
        inner_width=len(named["decoder.decoder_block1.conv_in.weight"]),
        aspp_width=len(named[f"{block}aspp1.atrous_conv.regular_conv.weight"]),
        kernels=tuple(sizes),
        gradient_width=len(named["decoder.gdt_convs_4.0.weight"]),
    )


def _isnet(named: dict[str, Tensor], path: Path, config: IsNetConfig) -> Published:
    teacher = [name for name in named if name.startswith("gt_encoder.")]
    for name in teacher:
        del named[name]
    if any(name.startswith("stage1d.") for name in named):
        return Published("isnet", config, _fitted(named, _ISNET, IsNet, config, path), len(teacher))
    return Published("isnet-masks", config, _fitted(named, _ISNET, MaskEncoder, config, path))


def _fitted(
    named: Mapping[str, Tensor],
    table: Mapping[str, tuple[Rule, ...]],
    network: Callable[..., nn.Module],
    config: BiRefNetConfig | IsNetConfig,
    path: Path,
) -> dict[str, Tensor]:
    """The tensors under our names, all of them and no others. Raises CheckpointError with lists."""
    with torch.device("meta"):  # names and shapes only
        wanted = network(config).state_dict()
    ours = {name: _translate(name, table) for name in named}
    known = {mine: name for name, mine in ours.items() if mine in wanted}
    left_over = [name for name, mine in ours.items() if mine not in wanted]
    missing = [name for name in wanted if name not in known]
    other = [
        f"{name} {tuple(named[name].shape)} instead of {tuple(wanted[mine].shape)}"
        for mine, name in known.items()
        if mine is not None and named[name].shape != wanted[mine].shape
    ]
    if left_over or missing or other:
        lists = {"left over": left_over, "missing (our names)": missing, "of another shape": other}
        said = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in lists.items() if names)
        raise CheckpointError(f"{path}: does not fit the published network; {said}; {_AS_PUBLISHED}")
    return {mine: named[name] for mine, name in known.items() if mine is not None}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
