"""The command line, from argv to exit status and files; only the networks are replaced, by `douga.fakes`."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reconstructing import RESULTS, draw, files_of, leave_out_networks, manifest_of, records_of, shot_of

from douga import __version__
from douga.cli import main
from douga.commands import equipment, weights
from douga.commands.session import equip_locally
from douga.errors import InputError
from douga.fakes import fake_stages
from douga.own_masks import OwnMasks
from douga.pipeline import Probabilities, Stages
from douga.shipped import shipped_weights
from douga.types import CelMask, Frame


@pytest.fixture(autouse=True)
def _no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_networks(monkeypatch)


# -- the command itself ------------------------------------------------------------------------------


def test_importing_the_command_line_loads_no_heavy_library() -> None:
    code = (
        "import sys, douga.cli, douga.commands.reconstruct, douga.commands.palette, douga.commands.weights;"
        "print([m for m in ('torch', 'cv2', 'numpy', 'PIL', 'av') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"douga {__version__}\n"
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "reconstruct" in capsys.readouterr().out


def test_every_inference_command_has_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("reconstruct", "cutout", "weights", "palette"):
        with pytest.raises(SystemExit) as left:
            main([command, "--help"])
        assert left.value.code == 0
        assert f"douga {command}" in capsys.readouterr().out.split("examples:")[1]


@pytest.mark.parametrize(
    "argv", [["fly"], ["reconstruct"], ["reconstruct", "a.png", "--out", "b", "--frames", "9-1"]]
)
def test_wrong_arguments_leave_with_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2


def test_no_arguments_print_the_help_and_leave_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "douga reconstruct frame.png" in capsys.readouterr().out


def test_whoever_reads_the_output_may_leave_early() -> None:
    command = f"{sys.executable} -m douga weights | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout[1:].strip() in ("141", "0")


def test_palettes_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["palette", "list"]) == 0
    assert {"kugler", "retas"} <= set(capsys.readouterr().out.split())
    assert main(["palette", "show", "retas"]) == 0
    assert "shading_line    #0000ff" in capsys.readouterr().out
    assert main(["palette", "show", "nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


def test_weights_lists_name_size_and_hash_of_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.safetensors").write_bytes(b"x" * 200_000)
    monkeypatch.setattr(weights, "shipped_weights", lambda: {"tiny": tmp_path / "tiny.safetensors"})
    monkeypatch.setattr(weights, "imported_weights", dict)
    assert main(["weights"]) == 0
    name, size, unit, _, digest, *told = capsys.readouterr().out.split()
    assert (name, size, unit) == ("tiny", "0.2", "MB")
    assert digest == hashlib.sha256(b"x" * 200_000).hexdigest()
    assert "not a readable safetensors file" in " ".join(told)


def test_shipped_weights_are_the_files_in_the_package() -> None:
    for name, path in shipped_weights().items():
        assert path.is_file()
        assert path.name == f"{name}.safetensors"


def test_a_missing_training_package_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "douga_training.loop", None)
    monkeypatch.setitem(sys.modules, "douga_training.simulate.command", None)
    assert main(["train", "recipe.toml"]) == 2
    assert main(["simulate", "--out", "x"]) == 2
    assert capsys.readouterr().err.count("training package") == 2


# -- reconstruct: what it writes ---------------------------------------------------------------------


def test_one_frame_gives_every_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = draw(tmp_path / "A0001.png")
    out = tmp_path / "out"
    assert main(["reconstruct", str(frame), "--out", str(out)]) == 0

    assert files_of(out) == {r.format("A0001") for r in RESULTS} | {"manifest.json"}
    classes = Image.open(out / "classes/A0001.png")
    ids = np.asarray(classes)
    assert classes.mode == "P"
    assert ids.shape == (48, 64)
    assert (ids[10, 25], ids[24, 30], ids[2, 2]) == (1, 0, 0)
    cel = np.asarray(Image.open(out / "cel/A0001.png"))
    assert cel[24, 30].tolist() == [230, 120, 40, 255]
    assert cel[2, 2].tolist() == [0, 0, 0, 0]
    assert set(np.unique(np.asarray(Image.open(out / "cel_mask/A0001.png")))) == {0, 255}
    assert zipfile.is_zipfile(out / "layers/A0001.ora")
    captured = capsys.readouterr()
    assert "1 done" in captured.out
    assert "device: cpu" in captured.err


def test_tga_lines_are_one_pixel_wide_in_retas_colours_unless_asked_otherwise(tmp_path: Path) -> None:
    frame = draw(tmp_path / "A0001.png")
    main(["reconstruct", str(frame), "--out", str(tmp_path / "thin")])
    main(["reconstruct", str(frame), "--out", str(tmp_path / "wide"), "--tga-line-width", "3"])

    column = {
        name: np.asarray(Image.open(tmp_path / name / "douga/A0001.tga"))[:24, 30]
        for name in ("thin", "wide")
    }
    assert [(c == 0).all(axis=1).sum() for c in column.values()] == [1, 3]
    assert np.unique(column["thin"]).tolist() == [0, 255]


def test_a_palette_of_ones_own_colours_everything(tmp_path: Path) -> None:
    preset = (Path(equipment.__file__).parents[1] / "palettes/retas.toml").read_text()
    studio = tmp_path / "studio.toml"
    studio.write_text(preset.replace('visible_line = ["#000000"]', 'visible_line = ["#123456"]'))
    frame = draw(tmp_path / "A0001.png")
    argv = [
        "reconstruct",
        str(frame),
        "--out",
        str(tmp_path / "out"),
        "--palette",
        str(studio),
        "--layers",
        "none",
    ]
    assert main(argv) == 0

    assert np.asarray(Image.open(tmp_path / "out/classes/A0001.png").convert("RGB"))[10, 30].tolist() == [
        18,
        52,
        86,
    ]
    tga = np.asarray(Image.open(tmp_path / "out/douga/A0001.tga")).reshape(-1, 3)
    assert [18, 52, 86] in tga.tolist()
    assert not (tmp_path / "out/layers").exists()


def test_the_manifest_tells_how_results_were_made(tmp_path: Path) -> None:
    frame = draw(tmp_path / "A0001.png")
    main(["reconstruct", str(frame), "--out", str(tmp_path / "out"), "--line-width", "2"])

    manifest = manifest_of(tmp_path / "out")
    assert manifest["run"]["version"] == __version__
    assert manifest["run"]["weights"]["lines"]["sha256"] == "0" * 64
    assert manifest["run"]["settings"]["line_width_px"] == 2
    record = manifest["frames"][0]
    assert record["sha256"] == hashlib.sha256(frame.read_bytes()).hexdigest()
    assert record["input"] == str(frame)
    assert record["seconds"] > 0


def test_a_sequence_keeps_its_names_and_frames_can_be_chosen(tmp_path: Path) -> None:
    shot = shot_of(tmp_path / "shot", 5)
    assert main(["reconstruct", str(shot), "--out", str(tmp_path / "out"), "--frames", "2-4"]) == 0
    names = [p.stem for p in sorted((tmp_path / "out/douga").iterdir())]
    assert names == ["A0002", "A0003", "A0004"]
    assert main(["reconstruct", str(shot), "--out", str(tmp_path / "out"), "--frames", "77"]) == 2


def test_frames_that_are_too_large_for_the_memory_leave_the_others_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_lines(frame: Frame, cel: CelMask) -> Probabilities:
        if frame.name == "A0002":
            raise MemoryError
        return fake_stages().find_lines(frame, cel)

    stages = Stages(fake_stages().find_cel, find_lines)
    monkeypatch.setattr(equipment, "load_equipment", lambda _, s: equip_locally(stages, s, "cpu", {}))
    shot, out = shot_of(tmp_path / "shot", 3), tmp_path / "out"
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 1
    assert "not enough memory for a frame of 64 x 48 px" in records_of(out)["A0002"]["error"]
    assert [p.stem for p in sorted((out / "classes").iterdir())] == ["A0001", "A0003"]


def test_a_name_that_is_no_utf_8_is_recorded(tmp_path: Path) -> None:
    name = os.fsdecode("\u4f5c\u753b_0001.png".encode("shift_jis"))
    source, out = tmp_path / name, tmp_path / "out"
    shutil.copy(draw(tmp_path / "a.png"), source)
    assert main(["reconstruct", str(source), "--out", str(out)]) == 0
    assert records_of(out)[source.stem]["input"] == str(source)
    assert main(["reconstruct", str(source), "--out", str(out)]) == 0


# -- reconstruct: what goes wrong --------------------------------------------------------------------


def test_one_bad_frame_in_a_folder_leaves_the_others_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 3), tmp_path / "out"
    whole = (shot / "A0002.png").read_bytes()
    (shot / "A0002.png").write_bytes(whole[: len(whole) // 2])
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 1

    captured = capsys.readouterr()
    assert "2 done; 1 failed: A0002" in captured.out
    assert "A0002.png" in captured.err
    assert "Traceback" not in captured.err
    assert {p.stem for p in (out / "classes").iterdir()} == {"A0001", "A0003"}
    assert "A0002.png" in records_of(out)["A0002"]["error"]


@pytest.mark.parametrize("content", [b"", b"no picture at all", None])
def test_only_bad_input_is_one_sentence_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "bad.png"
    if content is not None:
        path.write_bytes(content)
    assert main(["reconstruct", str(path), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    told = [line for line in captured.err.splitlines() if line.startswith("douga:")]
    assert len(told) == 1
    assert "bad.png" in told[0]
    assert captured.out == ""


def test_an_output_that_cannot_be_is_one_sentence_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = draw(tmp_path / "a.png")
    (tmp_path / "file").write_text("in the way")
    assert main(["reconstruct", str(frame), "--out", str(tmp_path / "file" / "out")]) == 2
    assert "file" in capsys.readouterr().err


def test_own_masks_replace_stage_one(tmp_path: Path) -> None:
    shot, masks = shot_of(tmp_path / "shot", 2), tmp_path / "masks"
    masks.mkdir()
    mine = np.zeros((48, 64), np.uint8)
    mine[20:30, 20:30] = 200  # grey enough to count
    Image.fromarray(mine).save(masks / "A0001.bmp")
    Image.fromarray(mine[:20]).save(masks / "A0002.png")
    argv = ["reconstruct", str(shot), "--out", str(tmp_path / "out"), "--mask", str(masks)]
    assert main(argv) == 1

    mask = np.asarray(Image.open(tmp_path / "out/cel_mask/A0001.png"))
    np.testing.assert_array_equal(mask, np.where(mine > 0, 255, 0))
    assert "64 x 20 px" in records_of(tmp_path / "out")["A0002"]["error"]


def test_a_frame_without_its_own_mask_fails_rather_than_guesses(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match="no mask for the frame A7"):
        OwnMasks(tmp_path / "masks")(Frame(np.zeros((4, 4, 3), np.uint8), "A7"))
    with pytest.raises(InputError, match="no such file or folder"):
        OwnMasks(tmp_path / "nowhere")(Frame(np.zeros((4, 4, 3), np.uint8), "A7"))


def test_a_mistyped_mask_is_one_sentence_and_leaves_good_results_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out, mask = shot_of(tmp_path / "shot", 2), tmp_path / "out", tmp_path / "mask.png"
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(mask)
    argv = ["reconstruct", str(shot), "--out", str(out), "--overwrite", "--mask"]
    assert main([*argv, str(mask)]) == 0
    before = manifest_of(out)
    capsys.readouterr()
    assert main([*argv, str(tmp_path / "maks.png")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "maks.png: no such file or folder; --mask takes" in told
    assert manifest_of(out) == before


def test_a_mask_in_colour_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "mask.png")
    with pytest.raises(InputError, match="grey"):
        OwnMasks(tmp_path / "mask.png")(Frame(np.zeros((48, 64, 3), np.uint8), "A7"))


def test_a_mask_has_one_picture_whatever_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "A7.kra").write_bytes(b"the paint program's own file")
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(tmp_path / "A7.png")
    frame = Frame(np.zeros((4, 4, 3), np.uint8), "A7")
    assert OwnMasks(tmp_path)(frame).mask.all()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "A7.bmp")
    with pytest.raises(InputError, match=r"A7\.bmp and A7\.png could both"):
        OwnMasks(tmp_path)(frame)


def test_a_folder_of_masks_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("A1", "A2"):
        Image.fromarray(np.full((4, 4), 255, np.uint8)).save(tmp_path / f"{name}.png")
    masks, looked, iterdir = OwnMasks(tmp_path), [], Path.iterdir

    def watched(folder: Path) -> Iterator[Path]:
        looked.append(folder)
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", watched)
    assert masks.files == [tmp_path / "A1.png", tmp_path / "A2.png"]
    for name in ("A1", "A2"):
        assert masks.sha256(name) == hashlib.sha256((tmp_path / f"{name}.png").read_bytes()).hexdigest()
        assert masks(Frame(np.zeros((4, 4, 3), np.uint8), name)).mask.all()
    assert looked == [tmp_path]


def test_a_mask_with_transparent_parts_is_refused(tmp_path: Path) -> None:
    mask = np.full((48, 64, 2), 255, np.uint8)
    mask[:20, :, 1] = 0
    Image.fromarray(mask, "LA").save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="transparent"):
        OwnMasks(tmp_path / "mask.png")(Frame(np.zeros((48, 64, 3), np.uint8), "A7"))


# -- reconstruct: stopped from outside ---------------------------------------------------------------

_PROGRAM = """
import resource, signal, sys, time
from douga.commands import equipment
from douga.commands.session import equip_locally
from douga.fakes import fake_stages
from douga.pipeline import Settings, Stages
from douga.cli import main

seconds, limit_bytes = float(sys.argv[1]), int(sys.argv[2])
fake = fake_stages()

def slow(frame, cel):
    time.sleep(seconds)
    return fake.find_lines(frame, cel)

def equip(args, settings):
    if limit_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    return equip_locally(Stages(fake.find_cel, slow), settings, "cpu", {})

signal.signal(signal.SIGINT, signal.default_int_handler)
equipment.load_equipment = equip
sys.exit(main(sys.argv[3:]))
"""


def _start(seconds: float, limit_bytes: int, argv: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-c", _PROGRAM, str(seconds), str(limit_bytes), *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_leaves_nothing_half_written(tmp_path: Path, signum: int, status: int) -> None:
    shot, out = shot_of(tmp_path / "shot", 40), tmp_path / "out"
    process = _start(0.1, 0, ["reconstruct", str(shot), "--out", str(out)])
    deadline = time.monotonic() + 30
    while not (out / "layers/A0002.ora").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signum)
    _, told = process.communicate(timeout=20)

    assert process.returncode == status
    assert "Traceback" not in told
    assert "frames are complete" in told
    complete = {p.stem for p in (out / "layers").iterdir()}
    assert 2 <= len(complete) < 40
    assert files_of(out) == {r.format(n) for n in complete for r in RESULTS} | {"manifest.json"}
    assert set(records_of(out)) == complete


def test_a_full_disk_is_told_and_keeps_what_is_written(tmp_path: Path) -> None:
    # A limit on the size of a file is the nearest thing to a full disk that needs no root.
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    noise = np.random.default_rng(0).integers(0, 240, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(shot / "A0003.png")
    process = _start(0, 60_000, ["reconstruct", str(shot), "--out", str(out)])
    _, told = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "Traceback" not in told
    assert "A0003" in told
    assert {r.format(n) for n in ("A0001", "A0002") for r in RESULTS} <= files_of(out)
    assert not [p for p in files_of(out) if ".part" in p]
    assert {"A0001", "A0002"} <= set(records_of(out))


# -- reconstruct: with networks ----------------------------------------------------------------------


def test_networks_are_loaded_used_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from douga.checkpoint import WeightsInfo, save_network
    from douga.networks.gcn import Gcn, GcnConfig

    monkeypatch.undo()  # the real equipment
    torch.manual_seed(0)
    small = {"kernel_size": 3, "width": 4, "detail_width": 4}
    for stage, classes in (("cel", 2), ("lines", 10)):
        config = GcnConfig(classes=classes, **small)
        save_network(tmp_path / f"{stage}.safetensors", Gcn(config), WeightsInfo(stage, config, "color", 0))
    argv = [
        "reconstruct",
        str(draw(tmp_path / "A0001.png")),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    argv += ["--weights-cel", str(tmp_path / "cel.safetensors")]
    swapped = [*argv, "--weights-lines", str(tmp_path / "cel.safetensors")]
    assert main(swapped) == 2
    assert "stage" in capsys.readouterr().err

    assert main([*argv, "--weights-lines", str(tmp_path / "lines.safetensors")]) == 0
    assert files_of(tmp_path / "out") == {r.format("A0001") for r in RESULTS} | {"manifest.json"}
    recorded = manifest_of(tmp_path / "out")["run"]["weights"]
    for stage in ("cel", "lines"):
        data = (tmp_path / f"{stage}.safetensors").read_bytes()
        assert recorded[stage]["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_device_that_is_not_there_is_never_replaced_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    frame = draw(tmp_path / "A0001.png")
    assert main(["reconstruct", str(frame), "--out", str(tmp_path / "out"), "--device", "cuda:99"]) == 2
    assert "cuda:99" in capsys.readouterr().err
