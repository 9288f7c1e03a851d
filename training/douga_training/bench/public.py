"""The public implementations of BiRefNet and IS-Net, from checkouts of theirs, to compare ours with.

They are no part of this program: give the folders of ZhengPeng7/BiRefNet and of xuebinqin/DIS (IS-Net). What
stands there is run as it is; only its configuration is told which encoder to build, and where to look for
data sets that it lists while it starts. What it imports (einops, kornia) must be installed beside it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from douga.errors import InputError

_WIDTHS = {"swin_v1_t": 96, "swin_v1_s": 96, "swin_v1_b": 128, "swin_v1_l": 192}
_THEIRS = ("config", "dataset", "models")  # names of their modules, which stay nobody's afterwards


def public_birefnet(folder: Path, encoder: str) -> nn.Module:
    """Their BiRefNet in eval mode, with weights of chance. encoder: swin_v1_t, _s, _b or _l.

    Raises InputError where the folder holds something else or what it imports is missing.
    """
    with _importing(folder):
        try:
            configured: Any = importlib.import_module("config").Config
            _choose_encoder(configured, encoder)
            network = importlib.import_module("models.birefnet").BiRefNet(bb_pretrained=False)
        except (ImportError, AttributeError) as exc:
            raise InputError(f"{folder}: no checkout of ZhengPeng7/BiRefNet that can be run ({exc})") from exc
    assert isinstance(network, nn.Module)
    return network.eval()


def public_isnet(folder: Path, name: str) -> nn.Module:
    """Their ISNetDIS or ISNetGTEncoder in eval mode, with weights of chance. folder: has models/isnet.py."""
    spec = importlib.util.spec_from_file_location("public_isnet", folder / "models" / "isnet.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        network = getattr(module, name)()
    except (OSError, ImportError, AttributeError) as exc:
        raise InputError(f"{folder}: no IS-Net folder of xuebinqin/DIS that can be run ({exc})") from exc
    assert isinstance(network, nn.Module)
    return network.eval()


def _choose_encoder(configured: Any, encoder: str) -> None:
    """Their configuration is numbers in a constructor: let it run, then put in the encoder's own."""
    original = configured.__init__

    def init(self: Any) -> None:
        original(self)
        self.bb = encoder
        # Twice the encoder's channels, deepest first: full and half size side by side.
        self.lateral_channels_in_collection = [2 * _WIDTHS[encoder] << i for i in (3, 2, 1, 0)]
        self.cxt = self.lateral_channels_in_collection[:0:-1]
        self.batch_size = 4  # with a single image they leave normalisations out

    configured.__init__ = init


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Their modules can be imported within, and are forgotten afterwards."""
    labels = ModuleType("dataset")  # theirs reads data sets; only a list of labels is wanted of it
    labels.class_labels_TR_sorted = []  # type: ignore[attr-defined]
    home = os.environ.get("HOME")
    with tempfile.TemporaryDirectory() as empty:
        for task in ("DIS5K", "COD", "HRSOD", "General", "General-2K", "Matting"):
            (Path(empty) / "datasets" / "dis" / task).mkdir(parents=True)
        os.environ["HOME"] = empty
        sys.path.insert(0, str(folder))
        sys.modules["dataset"] = labels
        try:
            yield
        finally:
            sys.path.remove(str(folder))
            for name in [n for n in sys.modules if n.split(".")[0] in _THEIRS]:
                del sys.modules[name]
            if home is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = home


def seeded(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of a state dict as chance would have it, by its published name: the same on every machine.

    Normalisations do something, deformable convolutions look 1.5 px away, answers are as sure as
    trained ones.
    """
    random = np.random.RandomState(zlib.crc32(name.encode()))  # whose numbers are promised never to change
    kind = name.rsplit(".", 1)[-1]
    if kind == "num_batches_tracked":
        return torch.tensor(1)
    if kind == "running_var" or (kind == "weight" and len(shape) == 1):
        return torch.from_numpy(random.uniform(0.5, 1.5, shape).astype(np.float32))
    values = torch.from_numpy(random.standard_normal(shape).astype(np.float32))
    return values * _spread(name, kind, shape)


def _spread(name: str, kind: str, shape: tuple[int, ...]) -> float:
    if kind == "relative_position_bias_table":
        return 0.5
    if ".offset_conv." in name:
        return 0.05 if kind == "weight" else 1.5
    if ".modulator_conv." in name or kind in ("bias", "running_mean"):
        return 0.05
    sure = 10.0 if name.startswith(("decoder.conv_out1.", "side1.")) else 1.0
    return sure / float(np.sqrt(np.prod(shape[1:])))


def fill(network: nn.Module) -> nn.Module:
    """Give every tensor of a public network its `seeded` values; indices of positions stay as they are."""
    state = network.state_dict()
    for name, tensor in state.items():
        if not name.endswith(".relative_position_index"):
            tensor.copy_(seeded(name, tuple(tensor.shape)))
    return network
