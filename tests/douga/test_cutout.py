"""Cutouts: what the networks answer, what it becomes, and the command from argv to files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import torch

from douga import cutout_results
from douga.alpha import find_alpha, seen_size
from douga.checkpoint import LoadedNetwork, WeightsInfo, save_network
from douga.cli import main
from douga.commands import cutout_equipment, equipment, frames
from douga.commands.session import Equipment, equip_locally
from douga.cutout import Alpha, cut_out
from douga.cutout_results import Background
from douga.cutout_weights import default_model, load_cutout_network
from douga.errors import CheckpointError, InputError, OutputError
from douga.export.exr import write_exr
from douga.fakes import fake_stages
from douga.frame_io import read_frame
from douga.inference import predict
from douga.networks.gcn import Gcn, GcnConfig
from douga.networks.isnet import IsNet, IsNetConfig
from douga.preprocess import lifted, to_rgb, to_tensor
from douga.types import Frame

TINY = GcnConfig(classes=1, kernel_size=5, width=8, context_px=64, detail_width=8)
EXAMPLE = Path(__file__).parents[2] / "examples" / "frame.png"


def frame_of(height: int, width: int, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(1, height // 8), max(1, width // 8), 3)).astype(np.uint8)
    return Frame(np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8))


def saved(path: Path, network: torch.nn.Module, info: WeightsInfo) -> LoadedNetwork:
    save_network(path, network, info, half=False)
    return load_cutout_network(str(path), "cpu")


def tiny_gcn(path: Path, bias: float | None = None) -> LoadedNetwork:
    """A network as training saves it. bias: answer this logit everywhere."""
    torch.manual_seed(0)
    network = Gcn(TINY)
    if bias is not None:
        assert network.detail is not None
        for last in (network.detail.last[-1], network.coarse):
            torch.nn.init.zeros_(last.weight)
            torch.nn.init.constant_(last.bias, bias)
    return saved(path, network, WeightsInfo("cutout", TINY, "color", 1))


# -- networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_hw", [(1, 1), (7, 40), (61, 83), (96, 128)])
def test_any_size_in_the_same_size_out(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    frame = frame_of(*size_hw)
    cutout = cut_out(find_alpha(frame, tiny_gcn(tmp_path / "w.safetensors")))
    assert cutout.alpha.shape == size_hw
    assert cutout.colours.shape == (*size_hw, 3)
    for plane in (cutout.alpha, cutout.colours):
        assert plane.dtype == np.float32
        assert 0 <= plane.min() <= plane.max() <= 1


@pytest.mark.parametrize(
    ("bias", "wanted"), [(-6.0, 0.0), (-2.0, 0.0846), (-1.0, 0.2689), (0.0, 0.5), (6.0, 1.0)]
)
def test_an_answer_is_never_stretched_by_its_own_extremes(tmp_path: Path, bias: float, wanted: float) -> None:
    """What is soft is what the network says; its 0.12 is nearly nothing, in every frame alike."""
    alpha = find_alpha(frame_of(40, 60), tiny_gcn(tmp_path / "w.safetensors", bias)).values
    np.testing.assert_allclose(alpha, np.clip((wanted - 4 / 255) / (247 / 255), 0, 1), atol=2e-3)
    if wanted in (0.0, 1.0):
        assert (alpha == wanted).all()  # no haze over an empty frame, no holes in a full one


def test_what_is_nearly_opaque_is_opaque_and_a_veil_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = np.repeat(np.array([0.04, 0.3, 0.65, 0.9], np.float32), 15)[None].repeat(40, 0)
    monkeypatch.setattr("douga.alpha.predict_near_borders", lambda *_, **__: answer)
    monkeypatch.setattr("douga.alpha._settled", lambda alpha, _: alpha)
    found = find_alpha(frame_of(40, 60), tiny_gcn(tmp_path / "w.safetensors")).values
    assert (found[:, 2:13] == 0).all()
    np.testing.assert_allclose(found[:, 17:28], 0.293, atol=2e-3)
    np.testing.assert_allclose(found[:, 32:43], 0.655, atol=2e-3)
    assert (found[:, 47:58] == 1).all()


@pytest.mark.parametrize(("bias", "wanted"), [(1.5, 1.0), (-1.5, 0.0), (0.0, 0.5), (0.3, 0.58)])
def test_a_patch_of_one_paint_is_opaque_or_clear_as_a_whole_but_a_veil_stays(
    tmp_path: Path, bias: float, wanted: float
) -> None:
    flat = Frame(np.full((64, 96, 3), 200, np.uint8))
    alpha = find_alpha(flat, tiny_gcn(tmp_path / "w.safetensors", bias)).values
    np.testing.assert_allclose(alpha, wanted, atol=0.02 if wanted in (0.5, 0.58) else 0)


def test_a_paint_that_is_opaque_in_one_place_is_opaque_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = np.full((60, 120, 3), (90, 140, 200), np.uint8)
    rgb[10:50, 10:50] = rgb[10:50, 70:110] = (210, 90, 80)  # two sleeves, the second half seen
    answer = np.full((60, 120), 0.05, np.float32)
    answer[10:50, 10:50], answer[10:50, 70:110] = 0.95, 0.5
    monkeypatch.setattr("douga.alpha.predict_near_borders", lambda *_, **__: answer)
    found = find_alpha(Frame(rgb), tiny_gcn(tmp_path / "w.safetensors")).values
    np.testing.assert_array_equal(found, (rgb == (210, 90, 80)).all(2))


def test_the_ink_around_what_is_opaque_is_opaque(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = np.full((60, 90, 3), (90, 140, 200), np.uint8)
    rgb[10:50, 30:80] = (20, 18, 16)
    rgb[14:46, 34:76] = (210, 90, 80)
    answer = np.full((60, 90), 0.05, np.float32)
    answer[12:48, 32:78] = 0.95  # the network's border runs in the middle of the line
    monkeypatch.setattr("douga.alpha.predict_near_borders", lambda *_, **__: answer)
    found = find_alpha(Frame(rgb), tiny_gcn(tmp_path / "w.safetensors")).values
    np.testing.assert_array_equal(found[16:44, 30:80], 1)
    assert not found[:, :29].any()
    assert not found[:, 81:].any()


def test_a_hard_border_lies_where_the_frame_draws_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = np.full((60, 120, 3), (60, 90, 140), np.uint8)
    rgb[:, :60] = (230, 200, 180)
    rgb[:, 60] = (145, 145, 160)  # half of either
    answer = np.full((60, 120), 0.05, np.float32)
    answer[:, :60] = 0.95
    monkeypatch.setattr("douga.alpha.predict_near_borders", lambda *_, **__: answer)
    found = find_alpha(Frame(rgb), tiny_gcn(tmp_path / "w.safetensors")).values
    np.testing.assert_array_equal(found[:, :60], 1)
    np.testing.assert_array_equal(found[:, 61:], 0)  # pure background, which the outline's growth reaches


def test_an_empty_frame_gives_an_empty_alpha_with_real_weights() -> None:
    network = load_cutout_network("cel-small", "cpu")
    alpha = find_alpha(Frame(np.full((270, 480, 3), 255, np.uint8)), network)
    assert not alpha.values.any()
    assert not cut_out(alpha).colours.any()


def test_a_night_scene_is_looked_at_as_by_stage_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def predict(_: LoadedNetwork, image: torch.Tensor, **__: object) -> np.ndarray:
        seen.append(image)
        return np.zeros(image.shape[-2:], np.float32)

    monkeypatch.setattr("douga.alpha.predict_near_borders", predict)
    night = Frame(frame_of(40, 60).rgb // 6)
    find_alpha(night, tiny_gcn(tmp_path / "w.safetensors"))
    torch.testing.assert_close(seen[0], to_tensor(lifted(night.rgb)))
    assert to_rgb(seen[0]).mean() > 2 * night.rgb.mean()


def test_stage_ones_mask_is_a_hard_cutout() -> None:
    frame = Frame(cv2.resize(read_frame(EXAMPLE).rgb, (480, 270), interpolation=cv2.INTER_AREA))
    alpha = find_alpha(frame, load_cutout_network("cel-small", "cpu")).values
    assert set(np.unique(alpha)) == {0.0, 1.0}


def test_bands_of_a_large_frame_have_seams_of_rounding_only(tmp_path: Path) -> None:
    network = tiny_gcn(tmp_path / "w.safetensors")
    image = to_tensor(frame_of(700, 300).rgb)
    whole = predict(network, image, precision=torch.float32)
    banded = predict(network, image, precision=torch.float32, band_px=300 * 64)
    assert whole.dtype == torch.float32
    assert float(whole.max() - whole.min()) > 0.05  # else nothing was compared
    torch.testing.assert_close(banded, whole, atol=1 / 2550, rtol=0)  # a tenth of one step of 8 bits


def test_published_kinds_see_the_frame_at_their_own_scale(tmp_path: Path) -> None:
    config = IsNetConfig(width=4)
    torch.manual_seed(0)
    info = WeightsInfo("cutout", config, "color", 0, kind="isnet")  # type: ignore[arg-type]
    network = saved(tmp_path / "w.safetensors", IsNet(config), info)
    assert next(network.network.parameters()).dtype == torch.bfloat16
    small = find_alpha(frame_of(90, 160), network)
    assert small.values.shape == (90, 160)
    assert small.frame.warnings == (
        "the network saw the frame at 1376 x 768 px; its alpha was reduced from there",
    )
    large = find_alpha(frame_of(1080, 1920), network)
    assert large.values.shape == (1080, 1920)
    assert large.frame.warnings == (
        "the network saw the frame at 1376 x 768 px; its alpha was enlarged from there",
    )


@pytest.mark.parametrize("size_hw", [(1080, 1920), (2160, 4096), (1, 5000), (600, 400)])
def test_the_scale_of_published_kinds(size_hw: tuple[int, int]) -> None:
    height, width = seen_size(size_hw)
    assert height % 32 == width % 32 == 0
    if min(size_hw) > 1:
        assert height * width == pytest.approx(1024 * 1024, rel=0.05)
        assert width / height == pytest.approx(size_hw[1] / size_hw[0], rel=0.05)


def test_weights_that_know_no_alpha_are_refused() -> None:
    with pytest.raises(CheckpointError, match="stage 'lines' know no alpha"):
        load_cutout_network("lines-small", "cpu")
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors: no such weights"):
        load_cutout_network("nowhere.safetensors", "cpu")


def test_imported_weights_come_before_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "douga" / "weights"
    folder.mkdir(parents=True)
    tiny_gcn(folder / "toonout.safetensors")
    assert default_model() == "toonout"
    assert load_cutout_network("toonout", "cpu").path == folder / "toonout.safetensors"
    tiny_gcn(folder / "another.safetensors")
    assert default_model() == "another"  # the last import


def test_an_alpha_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="the frame's size"):
        Alpha(frame_of(8, 9), np.zeros((9, 8), np.float32))


# -- the command ---------------------------------------------------------------------------------------------


def soft_disk(frame: Frame) -> Alpha:
    """What a network would say of `draw`: a disk with an edge of 8 px, and a quarter of it half clear."""
    y, x = np.mgrid[0 : frame.size_hw[0], 0 : frame.size_hw[1]]
    alpha = np.clip((20 - np.hypot(y - 30, x - 40)) / 8 + 0.5, 0, 1).astype(np.float32)
    return Alpha(frame, alpha)


def draw(path: Path) -> Path:
    """A red disk composited over blue with the alpha of `soft_disk`."""
    plain = Frame(np.zeros((60, 80, 3), np.uint8))
    alpha = soft_disk(plain).values[..., None]
    rgb = alpha * np.float32([220, 30, 20]) + (1 - alpha) * np.float32([10, 20, 230])
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.rint(rgb)[..., ::-1])
    return path


@pytest.fixture
def _fake_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def equip(args: object) -> Equipment:
        weights = {"cutout": {"name": "fake", "sha256": "0" * 64}}
        stabilise = getattr(args, "stabilise")  # noqa: B009
        return cutout_equipment.equip_cutouts(soft_disk, "cpu", weights, stabilise=stabilise)

    monkeypatch.setattr(cutout_equipment, "load_cutout_equipment", equip)
    monkeypatch.setattr(frames, "_hashed", lambda _: {"cutout": {"name": "fake", "sha256": "0" * 64}})


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image if image.ndim == 2 else np.ascontiguousarray(image[..., [2, 1, 0, 3][: image.shape[2]]])


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("_fake_network")
def test_straight_cutout_and_alpha(tmp_path: Path) -> None:
    source, out = draw(tmp_path / "in" / "A0001.png"), tmp_path / "out"
    assert main(["cutout", str(source), "--out", str(out)]) == 0
    assert files(out) == {"cutout/A0001.png", "alpha/A0001.png", "manifest.json"}
    rgba, alpha = read(out / "cutout" / "A0001.png"), read(out / "alpha" / "A0001.png")
    assert rgba.dtype == alpha.dtype == np.uint8
    np.testing.assert_array_equal(rgba[..., 3], alpha)
    np.testing.assert_array_equal(alpha, np.rint(soft_disk(read_frame(source)).values * 255))
    soft = (alpha > 40) & (alpha < 255)
    assert soft.sum() > 500
    assert np.abs(rgba[soft][:, :3].astype(int) - [220, 30, 20]).max() <= 6  # no blue is left in it
    assert not rgba[:5, :5].any()


@pytest.mark.usefixtures("_fake_network")
def test_every_form_tells_the_same(tmp_path: Path) -> None:
    source, out = draw(tmp_path / "in" / "A0001.png"), tmp_path / "out"
    more = ["--premultiplied", "--background", "#00b140", "--depth", "16", "--exr"]
    assert main(["cutout", str(source), "--out", str(out), *more]) == 0
    kinds = {f"{kind}/A0001.png" for kind in ("cutout", "alpha", "premultiplied", "preview")}
    assert files(out) == kinds | {"exr/A0001.exr", "manifest.json"}
    straight = read(out / "cutout" / "A0001.png").astype(np.float64) / 65535
    alpha = straight[..., 3:]
    assert (read(out / "alpha" / "A0001.png") % 257).any()  # more than 8 bits stretched to 16
    associated = read(out / "premultiplied" / "A0001.png").astype(np.float64) / 65535
    np.testing.assert_allclose(associated[..., :3], straight[..., :3] * alpha, atol=2 / 65535)
    preview = read(out / "preview" / "A0001.png")
    wanted = straight[..., :3] * alpha + np.array([0, 0xB1, 0x40]) / 255 * (1 - alpha)
    np.testing.assert_allclose(preview / 255, wanted, atol=0.6 / 255)
    with OpenEXR.File(str(out / "exr" / "A0001.exr")) as file:
        pixels = file.channels()["RGBA"].pixels.astype(np.float64)
        assert file.header()["chromaticities"][:2] == pytest.approx((0.64, 0.33))
    np.testing.assert_allclose(pixels[..., 3:], alpha, atol=1e-3)
    linear = ((straight[..., :3] + 0.055) / 1.055) ** 2.4
    bright = straight[..., :3] > 0.1
    np.testing.assert_allclose(pixels[..., :3][bright], (linear * alpha)[bright], atol=1e-3)


def test_a_16_bit_png_is_read_by_another_program_as_it_was_meant(tmp_path: Path) -> None:
    from PIL import Image

    from douga.export.png import encode_png

    values = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30) * 109
    (tmp_path / "x.png").write_bytes(encode_png(values))
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "x.png")), values)


@pytest.mark.usefixtures("_fake_network")
def test_a_second_run_makes_only_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        draw(tmp_path / "in" / f"A{number:04d}.png")
    command = ["cutout", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    before = (tmp_path / "out" / "cutout" / "A0001.png").stat().st_mtime_ns
    assert main(command) == 0
    assert "all 2 frames are there already" in capsys.readouterr().out
    assert main([*command, "--exr"]) == 0
    assert (tmp_path / "out" / "exr" / "A0002.exr").exists()
    assert (tmp_path / "out" / "cutout" / "A0001.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("size_hw", [(1, 16000), (16000, 1), (20, 4000)])
def test_a_strip_is_not_seen_at_a_size_that_no_machine_has_memory_for(size_hw: tuple[int, int]) -> None:
    assert max(seen_size(size_hw)) <= 4096


def test_a_disk_that_is_full_is_told_of_an_exr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: object, path: str) -> None:
        raise RuntimeError("Failed to write pixel data")

    monkeypatch.setattr("OpenEXR.File.write", full)
    with pytest.raises(OutputError, match=r"a.exr: cannot be written \(Failed to write pixel data\)"):
        write_exr(tmp_path / "a.exr", np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_fake_network")
def test_backgrounds_that_are_no_opaque_picture_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["cutout", str(draw(tmp_path / "A0001.png")), "--out", str(tmp_path / "out"), "--background"]
    assert main([*command, "#00ff0080"]) == 2
    assert "leave the alpha out" in capsys.readouterr().err
    assert main([*command, ""]) == 2
    assert "no such file, and no colour" in capsys.readouterr().err
    assert cv2.imwrite(str(tmp_path / "deep.png"), np.full((8, 8, 3), 40_000, np.uint16))
    assert main([*command, str(tmp_path / "deep.png")]) == 0
    assert "note: " in (told := capsys.readouterr().err)
    assert "deep.png: " in told


@pytest.mark.usefixtures("_fake_network")
def test_a_steadied_sequence_tells_where_it_began_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2, 9):
        draw(tmp_path / "in" / f"A{number:04d}.png")
    assert main(["cutout", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--stabilise"]) == 0
    told = capsys.readouterr().err
    assert "began anew: A0009 is not the next frame after A0002" in told
    assert "after A0001" not in told


@pytest.mark.usefixtures("_fake_network")
def test_a_steadied_sequence_is_numbered_where_its_pattern_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2, 3):
        draw(tmp_path / f"c01_{number:04d}_v2.png")
    given, out = str(tmp_path / "c01_####_v2.png"), str(tmp_path / "out")
    assert main(["cutout", given, "--out", out, "--stabilise"]) == 0
    assert "began anew" not in capsys.readouterr().err


@pytest.mark.usefixtures("_fake_network")
def test_another_picture_of_the_same_name_behind_is_another_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    behind, out = draw(tmp_path / "behind.png"), tmp_path / "out"
    command = ["cutout", str(draw(tmp_path / "A0001.png")), "--out", str(out)]
    before = [*command, "--background", str(behind)]
    assert main(before) == 0
    settings = json.loads((out / "manifest.json").read_text())["run"]["settings"]
    assert settings["background_sha256"] == hashlib.sha256(behind.read_bytes()).hexdigest()
    assert main(before) == 0
    assert main([*command, "--premultiplied"]) == 0  # asks for no preview
    assert "otherwise" not in capsys.readouterr().out
    assert cv2.imwrite(str(behind), np.full((60, 80, 3), 90, np.uint8))
    assert main(before) == 0
    told = capsys.readouterr().out
    assert f"made otherwise: background {behind}, as it was before; --overwrite" in told
    (out / "alpha" / "A0001.png").unlink()
    assert main(before) == 2
    assert main([*command, "--background", "red"]) == 2
    assert f"(background {behind}, not red)" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert main([*before, "--overwrite"]) == 0
    assert main(before) == 0
    assert "otherwise" not in capsys.readouterr().out


@pytest.mark.usefixtures("_fake_network")
def test_a_picture_behind_that_is_saved_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def saved_meanwhile(path: Path) -> Frame:
        frame = read_frame(path)
        path.write_bytes(path.read_bytes() + b" ")
        return frame

    monkeypatch.setattr(cutout_results, "read_frame", saved_meanwhile)
    behind, frame = draw(tmp_path / "behind.png"), draw(tmp_path / "A0001.png")
    assert main(["cutout", str(frame), "--out", str(tmp_path / "out"), "--background", str(behind)]) == 2
    assert f"{behind}: was changed while it was read" in capsys.readouterr().err


@pytest.mark.usefixtures("_fake_network")
def test_a_manifest_from_before_backgrounds_were_hashed_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    behind, out = draw(tmp_path / "behind.png"), tmp_path / "out"
    command = ["cutout", str(draw(tmp_path / "A0001.png")), "--out", str(out), "--background", str(behind)]
    assert main(command) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    del manifest["run"]["settings"]["background_sha256"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert main([*command, "--exr"]) == 0
    assert "otherwise" not in capsys.readouterr().out


@pytest.mark.usefixtures("_fake_network")
def test_results_of_two_looks_are_never_mixed_in_one_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, out = draw(tmp_path / "A0001.png"), tmp_path / "out"
    command = ["cutout", str(frame), "--out", str(out)]
    assert main([*command, "--background", "red"]) == 0
    files = {path: path.read_bytes() for path in out.rglob("*.png")}
    capsys.readouterr()
    assert main([*command, "--background", "blue", "--depth", "16"]) == 0
    told = capsys.readouterr().out
    assert "1 of them made otherwise: depth 8, not 16; background red, not blue; --overwrite" in told
    assert main([*command, "--depth", "16", "--exr"]) == 2
    assert "some results of A0001 are there, made otherwise (depth 8, not 16)" in capsys.readouterr().err
    assert files == {path: path.read_bytes() for path in out.rglob("*.*") if path.suffix != ".json"}
    assert main([*command, "--premultiplied"]) == 0  # another kind of the same look
    assert main([*command, "--depth", "16", "--exr", "--overwrite"]) == 0
    assert read(out / "cutout" / "A0001.png").dtype == np.uint16


@pytest.mark.usefixtures("_fake_network")
def test_results_of_other_weights_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shot, out = tmp_path / "in", tmp_path / "out"
    draw(shot / "A0001.png")
    command = ["cutout", str(shot), "--out", str(out)]
    assert main(command) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["run"]["weights"]["cutout"] |= {"name": "older", "sha256": "0123456789"}
    (out / "manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "1 frames are there already; 1 of them made otherwise: cutout weights older" in told
    draw(shot / "A0002.png")
    assert main(command) == 0
    assert "1 of them made otherwise: cutout weights older 01234567, not" in capsys.readouterr().out
    assert main([*command, "--exr"]) == 2
    assert "made otherwise (cutout weights older" in capsys.readouterr().err


@pytest.mark.usefixtures("_fake_network")
def test_a_folder_may_hold_the_results_of_two_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        equipment, "load_equipment", lambda _, settings: equip_locally(fake_stages(), settings, "cpu", {})
    )
    source, out = draw(tmp_path / "in" / "A0001.png"), tmp_path / "out"
    for _ in range(2):
        assert main(["reconstruct", str(source), "--out", str(out), "--layers", "none"]) == 0
        assert main(["cutout", str(source), "--out", str(out)]) == 0
        assert "otherwise" not in capsys.readouterr().out
    assert main(["reconstruct", str(source), "--out", str(out)]) == 0
    assert {"layers/A0001.ora", "cutout/A0001.png"} <= files(out)
    cut, drawn = json.loads((out / "manifest.json").read_text())["frames"]
    assert cut["made_with"]["command"] == "cutout"
    assert "made_with" not in drawn


@pytest.mark.usefixtures("_fake_network")
def test_a_broken_frame_leaves_the_others_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "in" / "A0001.png")
    (tmp_path / "in" / "A0002.png").write_bytes(b"no picture")
    assert main(["cutout", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    assert "A0002" in capsys.readouterr().err
    records = json.loads((tmp_path / "out" / "manifest.json").read_text())["frames"]
    assert [("error" in record) for record in records] == [False, True]


def test_without_weights_nothing_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from douga import cutout_weights

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr(cutout_weights, "shipped_weights", dict)
    source = draw(tmp_path / "A.png")
    assert main(["cutout", str(source), "--out", str(tmp_path / "out")]) == 2
    assert "--model cel-small" in capsys.readouterr().err
    assert files(tmp_path / "out") <= {"manifest.json"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--background", "no-colour"], "no such file, and no colour"),
        (["--model", "lines-small"], "know no alpha"),
        (["--device", "cuda:9"], "this machine has none such"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    source = draw(tmp_path / "A.png")
    assert main(["cutout", str(source), "--out", str(tmp_path / "out"), *options]) == 2
    assert says in capsys.readouterr().err


def test_a_real_network_from_argv_to_files(tmp_path: Path) -> None:
    tiny_gcn(tmp_path / "w.safetensors")
    source = draw(tmp_path / "A.png")
    out = tmp_path / "out"
    assert main(["cutout", str(source), "--out", str(out), "--model", str(tmp_path / "w.safetensors")]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["run"]["weights"]) == {"cutout"}
    network = load_cutout_network(str(tmp_path / "w.safetensors"), "cpu")
    alpha = find_alpha(read_frame(source), network).values
    np.testing.assert_array_equal(read(out / "alpha" / "A.png"), np.rint(alpha * 255))


def test_a_picture_behind_covers_the_frame() -> None:
    picture = np.zeros((10, 40, 3), np.uint8)
    picture[:, 20:] = 255
    fitted = Background(picture).fitted((20, 20))
    assert fitted.shape == (20, 20, 3)
    assert fitted[:, 0].max() == 0
    assert fitted[:, -1].min() == 1
    assert (Background.of_colour((0, 255, 51)).fitted((3, 4)) == np.float32([0, 1, 0.2])).all()


def test_a_cutout_keeps_the_frames_warnings() -> None:
    frame = replace(frame_of(8, 8), warnings=("told",))
    assert cut_out(Alpha(frame, np.ones((8, 8), np.float32))).frame.warnings == ("told",)


def test_weights_are_known_by_their_bytes_without_loading_them(tmp_path: Path) -> None:
    (tmp_path / "own.safetensors").write_bytes(b"abc")
    own = str(tmp_path / "own.safetensors")
    assert frames._hashed({"lines": own})["lines"]["sha256"].startswith("ba7816bf")
    with pytest.raises(CheckpointError, match="no such weights"):
        frames._hashed({"lines": str(tmp_path / "none.safetensors")})
