"""Our BiRefNet and IS-Net against the public ones: names, shapes and recorded answers; importing their files.

record_published.py made the records from checkouts of the public implementations.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from douga_training.bench.public import seeded
from record_published import (
    ANSWERS,
    BIREFNET_HW,
    BIREFNET_TRAINED_HW,
    ISNET_HW,
    NAMES,
    image,
    standing_still,
    thinned,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from douga.checkpoint import KINDS, load_network, read_info
from douga.cli import main
from douga.errors import CheckpointError
from douga.networks.birefnet import SWIN, BiRefNet
from douga.networks.isnet import IsNet, IsNetConfig
from douga.published import Published, read_published, recognise

FILE = Path("theirs.pth")
Shapes = dict[str, list[int]]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@cache
def names() -> dict[str, Shapes]:
    """Names and shapes of the public state dicts, by variant."""
    return json.loads(lzma.decompress(NAMES.read_bytes()))


@cache
def answers() -> dict[str, np.ndarray]:
    with np.load(ANSWERS) as file:
        return dict(file)


def positions(window: int) -> Tensor:
    """Swin's relative_position_index, by its definition: rows and columns apart, as one number."""
    y, x = (part.flatten() for part in np.mgrid[:window, :window])
    apart = [part[:, None] - part[None] + window - 1 for part in (y, x)]
    return torch.from_numpy(apart[0] * (2 * window - 1) + apart[1])


def state(variant: str, *, values: Callable[[str, tuple[int, ...]], Tensor] = seeded) -> dict[str, Tensor]:
    """A public state dict with the recorded names and shapes."""
    made = {}
    for name, shape in names()[variant].items():
        index = name.endswith(".relative_position_index")
        made[name] = positions(round(shape[0] ** 0.5)) if index else values(name, tuple(shape))
    return made


def shapes_only(name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.empty(shape, device="meta")


def narrow(name: str, shape: tuple[int, ...]) -> Tensor:
    """As `seeded`, with an eighth of the channels."""
    return seeded(name, tuple(n // 8 if n > 3 else n for n in shape))


@cache
def network_of(variant: str) -> nn.Module:
    """Ours with the weights that theirs had when it was recorded, in eval mode."""
    found = recognise(state(variant), FILE)
    network = KINDS[found.kind].network(found.config)
    network.load_state_dict(found.tensors)
    return network.eval()


def assert_recorded(key: str, answer: Tensor) -> None:
    """To the issue's 1e-4; the records deviate by 0.03 to 2.7, so that no constant passes."""
    torch.testing.assert_close(
        torch.from_numpy(answers()[key]), torch.from_numpy(thinned(answer)), atol=1e-4, rtol=0
    )


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "count"), [("swin_l", 754), ("swin_t", 586)])
def test_every_name_of_the_published_birefnets_finds_its_place(variant: str, count: int) -> None:
    theirs = state(variant, values=shapes_only)
    found = recognise(theirs, FILE)
    assert len(theirs) == count
    assert found.config == SWIN[variant]
    blocks = sum(SWIN[variant].depths)  # each has an index of positions, which is no weight
    assert len(found.tensors) == count - blocks
    with torch.device("meta"):
        ours = BiRefNet(SWIN[variant])
    assert {k: v.shape for k, v in found.tensors.items()} == {
        k: v.shape for k, v in ours.state_dict().items()
    }


def test_toonouts_configuration_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = BiRefNet(SWIN["swin_l"])
    assert sum(p.numel() for p in network.parameters()) == 220_176_498


def test_the_first_published_layout_is_known_by_its_names() -> None:
    """Three deformable 3 x 3 branches, numbered, instead of a list with 1, 3 and 7."""
    theirs = {}
    for name, tensor in state("swin_t", values=shapes_only).items():
        older = re.sub(r"aspp_deforms\.(\d)", lambda m: f"aspp{int(m[1]) + 2}", name)
        square = "aspp_deforms" in name and tensor.ndim == 4
        shape = [tensor.shape[0], tensor.shape[1], 3, 3] if square else tensor.shape
        if "aspp_deforms" in name and ("offset_conv" in name or "modulator_conv" in name):
            shape = [18 if "offset_conv" in name else 9, *shape[1:]]
        theirs[older] = tensor if tensor.device.type == "cpu" else torch.empty(shape, device="meta")
    found = recognise(theirs, FILE)
    assert found.config.kernels == (1, 3, 3, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize(("variant", "kind"), [("isnet", "isnet"), ("masks", "isnet-masks")])
def test_every_name_of_the_published_isnets_finds_its_place(variant: str, kind: str) -> None:
    found = recognise(state(variant, values=shapes_only), FILE)
    assert (found.kind, found.config) == (kind, IsNetConfig())
    assert len(found.tensors) == len(names()[variant])


# -- answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gradients", [False, True])
def test_birefnet_answers_as_the_public_one(gradients: bool) -> None:
    """On either way through the deformable convolutions: with gradients torchvision's operator is used."""
    with torch.set_grad_enabled(gradients):
        assert_recorded("birefnet", network_of("swin_t")(image(3, BIREFNET_HW)))


def test_birefnet_supervises_as_the_public_one() -> None:
    network = recognise(state("swin_t"), FILE)
    ours = BiRefNet(SWIN["swin_t"])
    ours.load_state_dict(network.tensors)
    with torch.no_grad():
        seen = standing_still(ours)(image(3, BIREFNET_TRAINED_HW))
    assert seen.logits.shape == (1, 1, *BIREFNET_TRAINED_HW)
    for i in range(3):
        assert_recorded(f"birefnet_side{i}", seen.sides[i])
        assert_recorded(f"birefnet_gradient{i}", seen.gradients[i])
        assert_recorded(f"birefnet_target{i}", seen.gradient_targets[i])


@torch.no_grad()
def test_isnet_answers_as_the_public_one() -> None:
    network = network_of("isnet")
    assert_recorded("isnet_alpha0", network(image(3, ISNET_HW)).sigmoid())
    seen = standing_still(network)(image(3, ISNET_HW))
    network.eval()
    for i in range(6):
        assert_recorded(f"isnet_alpha{i}", seen.logits[i].sigmoid())
        assert_recorded(f"isnet_mean{i}", seen.features[i].mean((2, 3)))


@torch.no_grad()
def test_the_encoder_of_masks_answers_as_the_public_one() -> None:
    seen = network_of("masks")(image(1, ISNET_HW))
    for i in range(6):
        assert_recorded(f"masks_alpha{i}", seen.logits[i].sigmoid())
        assert_recorded(f"masks_mean{i}", seen.features[i].mean((2, 3)))


# -- files ---------------------------------------------------------------------------------------------------


def theirs_as(path: Path, wrap: str = "", inside: str = "") -> Path:
    """A narrow IS-Net's file, as one of the public programs would have written it."""
    tensors = {wrap + name: tensor for name, tensor in state("isnet", values=narrow).items()}
    if path.suffix == ".safetensors":
        save_file(tensors, str(path))
    else:
        torch.save({inside: tensors, "epoch": 3} if inside else tensors, path)
    return path


def same(a: Published, b: Published) -> bool:
    return a.tensors.keys() == b.tensors.keys() and all(
        torch.equal(a.tensors[k], b.tensors[k]) for k in a.tensors
    )


@pytest.mark.parametrize(
    ("file", "wrap", "inside"),
    [
        ("plain.pth", "", ""),
        ("parallel.pth", "module.", ""),
        ("compiled.pth", "_orig_mod.", ""),
        ("both.pth", "module._orig_mod.", ""),
        ("lightning.ckpt", "net.", "state_dict"),
        ("trainer.pth", "", "model"),
        ("safe.safetensors", "_orig_mod.", ""),
    ],
)
def test_files_of_all_sorts_hold_the_same(file: str, wrap: str, inside: str, tmp_path: Path) -> None:
    found = read_published(theirs_as(tmp_path / file, wrap, inside))
    assert same(found, recognise(state("isnet", values=narrow), FILE))
    assert found.config == IsNetConfig(8, 0.0 if wrap == "net." else 0.5)


def test_the_anime_trainers_encoder_of_masks_is_left_behind_and_counted() -> None:
    student = {f"net.{name}": tensor for name, tensor in state("isnet", values=narrow).items()}
    teacher = {f"gt_encoder.{name}": tensor for name, tensor in state("masks", values=narrow).items()}
    found = recognise(student | teacher, FILE)
    assert found.left_behind == len(teacher)
    assert same(found, recognise(student, FILE))


def test_what_is_missing_left_over_or_of_another_shape_is_listed() -> None:
    theirs = state("isnet", values=narrow)
    theirs.pop("side3.bias")
    theirs["outconv.weight"] = torch.zeros(1)
    theirs["stage2.rebnconv3d.bn_s1.weight"] = torch.zeros(5)
    with pytest.raises(CheckpointError) as refused:
        recognise(theirs, FILE)
    said = str(refused.value)
    assert "1 left over: outconv.weight" in said
    assert "1 missing (our names): side.2.bias" in said
    assert "1 of another shape: stage2.rebnconv3d.bn_s1.weight (5,) instead of (4,)" in said


def test_a_birefnet_with_another_encoder_or_other_positions_is_refused() -> None:
    theirs = state("swin_t", values=shapes_only)
    pvt = {name.replace("bb.layers", "bb.block"): tensor for name, tensor in theirs.items()}
    with pytest.raises(CheckpointError, match="no BiRefNet with a Swin encoder"):
        recognise(pvt, FILE)
    theirs["bb.layers.1.blocks.0.attn.relative_position_index"] = positions(7).t()
    with pytest.raises(CheckpointError, match=r"numbered otherwise in bb.layers.1.blocks.0"):
        recognise(theirs, FILE)


class Trap:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return print, ("caught",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable as weights"),
        (b"no weights at all", "not readable as weights"),
        ({"a": torch.zeros(1)}, "names of neither BiRefNet nor IS-Net, but a"),
        ({"a": 1}, "something else than named tensors"),
        ({"a": Trap()}, "not readable as weights"),
    ],
)
def test_what_are_no_weights_is_refused_and_nothing_in_it_runs(
    content: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "theirs.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=f"theirs.pth: .*{message}"):
        read_published(path)
    assert capsys.readouterr().out == ""


def test_two_networks_in_one_file_are_refused() -> None:
    theirs = state("isnet", values=narrow)
    with pytest.raises(CheckpointError, match="two networks under different prefixes"):
        recognise(theirs | {f"module.{name}": tensor for name, tensor in theirs.items()}, FILE)


# -- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "data"))
    return tmp_path


def test_imported_weights_are_listed_loaded_by_name_and_say_where_they_come_from(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = theirs_as(home / "isnetis.ckpt", "net.", "state_dict")
    argv = ["weights", "import", str(file), "--licence", "Apache-2.0", "--source", "somebody/anime"]
    assert main(argv) == 0
    assert "798 tensors of a network of kind isnet" in capsys.readouterr().out
    path = home / "data" / "douga" / "weights" / "isnetis.safetensors"
    info, header = read_info(path)
    assert (info.stage, info.kind, info.licence, info.source) == (
        "cutout",
        "isnet",
        "Apache-2.0",
        "somebody/anime",
    )
    assert header["classes"] == ["alpha"]
    assert main(["weights"]) == 0
    listed = capsys.readouterr().out
    assert f"{path}  licence Apache-2.0  source somebody/anime" in listed
    loaded = load_network("isnetis", "cpu", fused=False)
    expected = IsNet(IsNetConfig(8, 0.0)).eval()
    expected.load_state_dict(recognise(state("isnet", values=narrow), FILE).tensors)
    picture = image(3, (70, 90))
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(picture), expected(picture), atol=1e-4, rtol=0)
    assert loaded.network.mean == (0.0, 0.0, 0.0)


def test_half_precision_is_asked_for(home: Path) -> None:
    file, sizes = theirs_as(home / "a.pth"), []
    for extra in ([], ["--half", "--isnet-mean", "0"]):
        out = home / f"{len(extra)}.safetensors"
        argv = [
            "weights",
            "import",
            str(file),
            "--licence",
            "MIT",
            "--source",
            "x",
            "--out",
            str(out),
            *extra,
        ]
        assert main(argv) == 0
        sizes.append(out.stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]
    assert read_info(out)[0].config == IsNetConfig(8, 0.0)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--name", "cel-small"], "choose another name"),
        (["--name", "../up"], "use letters, digits"),
        (["--out", "here.pth"], "is a .safetensors file"),
    ],
)
def test_names_that_cannot_be_are_refused(
    extra: list[str], message: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = theirs_as(home / "a.pth")
    assert main(["weights", "import", str(file), "--licence", "MIT", "--source", "x", *extra]) == 2
    assert message in capsys.readouterr().err


def test_a_name_that_is_taken_is_kept_unless_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["weights", "import", str(theirs_as(home / "a.pth")), "--licence", "MIT", "--source", "x"]
    assert main(argv) == 0
    assert main(argv) == 2
    assert "is there already; give --overwrite" in capsys.readouterr().err
    assert main([*argv, "--overwrite"]) == 0
