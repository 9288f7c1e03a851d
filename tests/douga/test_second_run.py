"""``douga reconstruct`` where results are there already: what is skipped, made again, told of and refused."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from reconstructing import (
    draw,
    files_of,
    leave_out_networks,
    manifest_of,
    records_of,
    run_until_killed,
    shot_of,
)

from douga import palettes, sources
from douga.classes import DougaClass
from douga.cli import main
from douga.commands import equipment
from douga.commands.session import equip_locally
from douga.fakes import fake_stages
from douga.frame_io import read_frame
from douga.palettes import hex_of, load_palette
from douga.pipeline import Stages
from douga.types import CelMask, Frame


@pytest.fixture(autouse=True)
def _no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_networks(monkeypatch)


def retake(path: Path, later_s: int) -> None:
    """Draw a frame anew, as a file of another size and of a time so much later than before."""
    then_ns = path.stat().st_mtime_ns + later_s * 10**9
    draw(path, (10, 20, 200))
    Image.open(path).save(path, compress_level=0)
    os.utime(path, ns=(then_ns, then_ns))


def film(path: Path, grey: int) -> None:
    """Twelve frames of one grey."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(12):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def edit_manifest(out: Path, **changes: object) -> None:
    (out / "manifest.json").write_text(json.dumps({**manifest_of(out), **changes}))


def edit_records(out: Path, **changes: object) -> None:
    """Change every record of a manifest; None takes a key away."""
    changed = ({**record, **changes} for record in manifest_of(out)["frames"])
    frames = [{key: value for key, value in record.items() if value is not None} for record in changed]
    edit_manifest(out, frames=frames)


def test_a_second_run_skips_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    main(["reconstruct", str(shot), "--out", str(out)])
    before = {p: (out / p).stat().st_mtime_ns for p in files_of(out)}
    draw(shot / "A0003.png")
    capsys.readouterr()

    assert main(["reconstruct", str(shot), "--out", str(out)]) == 0
    assert "1 done; 2 skipped" in capsys.readouterr().out
    same = {p: (out / p).stat().st_mtime_ns for p in before if p != "manifest.json"}
    assert all(before[p] == when for p, when in same.items())
    assert set(records_of(out)) == {"A0001", "A0002", "A0003"}

    assert main(["reconstruct", str(shot), "--out", str(out)]) == 0
    assert "all 3 frames are there already" in capsys.readouterr().out


def test_overwrite_makes_results_again(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    main(["reconstruct", str(shot), "--out", str(out)])
    draw(shot / "A0001.png", (1, 200, 3))
    assert main(["reconstruct", str(shot), "--out", str(out), "--overwrite"]) == 0
    assert np.asarray(Image.open(out / "cel/A0001.png"))[24, 30, :3].tolist() == [1, 200, 3]


def test_only_missing_results_are_written(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    main(["reconstruct", str(shot), "--out", str(out)])
    (out / "cel/A0001.png").unlink()
    (out / "classes/A0001.png").write_bytes(b"corrected by hand")
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 0
    assert (out / "cel/A0001.png").exists()
    assert (out / "classes/A0001.png").read_bytes() == b"corrected by hand"


def test_results_of_another_run_say_how_they_were_made(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    main(["reconstruct", str(shot), "--out", str(out)])
    draw(shot / "A0002.png")
    main(["reconstruct", str(shot), "--out", str(out), "--line-width", "1"])
    frames = records_of(out)
    assert frames["A0001"]["made_with"]["settings"]["line_width_px"] == 3
    assert "made_with" not in frames["A0002"]


def test_a_frame_of_the_same_name_from_elsewhere_is_not_taken_for_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = shot_of(tmp_path / "s01", 1) / "A0001.png", shot_of(tmp_path / "s02", 1) / "A0001.png"
    out = tmp_path / "out"
    main(["reconstruct", str(first), "--out", str(out)])
    capsys.readouterr()
    assert main(["reconstruct", str(second), "--out", str(out)]) == 0  # the same drawing in another place
    assert "otherwise" not in capsys.readouterr().out
    draw(second, (10, 20, 200))
    assert main(["reconstruct", str(second), "--out", str(out)]) == 0
    assert f"1 of them made otherwise: from {first}, not {second}" in capsys.readouterr().out
    (out / "cel/A0001.png").unlink()
    assert main(["reconstruct", str(second), "--out", str(out)]) == 2
    assert not (out / "cel/A0001.png").exists()


@pytest.mark.parametrize("later_s", [10, 0, -86400])  # older: as rsync -a, cp -p and unzip leave it
def test_a_frame_that_was_drawn_anew_is_told_in_every_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], later_s: int
) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    main(argv)
    retake(shot / "A0002.png", later_s)
    for number in (3, 4):
        draw(shot / f"A{number:04d}.png")  # so that the manifest is written once more
        capsys.readouterr()
        main(argv)
        assert f"1 of them made otherwise: from {shot / 'A0002.png'}, as it was" in capsys.readouterr().out


def test_a_retake_is_not_mixed_with_what_was_made_before(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    assert main([*argv, "--layers", "none"]) == 0
    retake(shot / "A0001.png", -86400)
    assert main(argv) == 2
    assert not (out / "layers").exists()


def test_a_kind_that_is_left_of_another_look_is_not_mixed_though_it_is_not_asked_for(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    assert main([*argv, "--line-width", "1"]) == 0
    for kind in ("classes", "cel_mask", "cel", "douga"):
        next((out / kind).iterdir()).unlink()
    assert main([*argv, "--layers", "none"]) == 2
    assert files_of(out) == {"layers/A0001.ora", "manifest.json"}


def test_a_file_of_the_same_size_and_time_is_not_hashed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    main(argv)
    assert records_of(out)["A0001"]["stat"]["size"] == (shot / "A0001.png").stat().st_size
    edit_records(out, sha256="f" * 64)
    main(argv)
    assert "otherwise" not in capsys.readouterr().out
    os.utime(shot / "A0001.png", (0, 0))
    main(argv)
    assert "1 of them made otherwise" in capsys.readouterr().out


def test_a_frame_that_is_saved_while_it_is_read_is_made_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]

    def saved_meanwhile(path: Path, *, name: str) -> Frame:
        frame = read_frame(path, name=name)
        if name == "A0001":
            retake(path, 10)
        return frame

    with monkeypatch.context() as patch:
        patch.setattr(sources, "read_frame", saved_meanwhile)
        assert main(argv) == 1
    told = f"{shot / 'A0001.png'}: was changed while it was read; run the same command again"
    assert told in capsys.readouterr().err
    assert records_of(out)["A0001"]["error"] == told
    assert not (out / "cel/A0001.png").exists()
    assert main(argv) == 0
    assert np.asarray(Image.open(out / "cel/A0001.png"))[24, 30, :3].tolist() == [10, 20, 200]


def test_a_video_that_is_replaced_while_it_is_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    video, newer, out = tmp_path / "ep.mkv", tmp_path / "newer.mkv", tmp_path / "out"
    film(video, 200)
    film(newer, 90)
    sha256_before = hashlib.sha256(video.read_bytes()).hexdigest()
    argv = ["reconstruct", str(video), "--out", str(out)]
    see_cel = fake_stages().find_cel

    def replaced_meanwhile(frame: Frame) -> CelMask:
        if frame.name == "ep_000002":
            newer.replace(video)
        return see_cel(frame)

    stages = Stages(replaced_meanwhile, fake_stages().find_lines)
    with monkeypatch.context() as patch:
        patch.setattr(
            equipment, "load_equipment", lambda _, settings: equip_locally(stages, settings, "cpu", {})
        )
        assert main(argv) == 0
    assert [record["sha256"] for record in manifest_of(out)["frames"]] == [sha256_before] * 12
    capsys.readouterr()
    assert main(argv) == 0
    assert f"12 of them made otherwise: from {video}, as it was before" in capsys.readouterr().out


def test_a_manifest_from_before_stats_were_recorded_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    main(argv)
    edit_records(out, stat=None)
    main(argv)
    assert "otherwise" not in capsys.readouterr().out
    retake(shot / "A0001.png", -86400)
    main(argv)
    assert "1 of them made otherwise" in capsys.readouterr().out


def test_what_a_killed_run_left_is_gone_on_with_but_never_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    run_until_killed(["reconstruct", str(shot), "--out", str(out)])
    assert main(["reconstruct", str(shot), "--out", str(out), "--palette", "retas"]) == 0
    assert "2 of them made otherwise: palette kugler, not retas" in capsys.readouterr().out
    (out / "douga/A0002.tga").unlink()
    for _ in range(2):  # not the second time either
        assert main(["reconstruct", str(shot), "--out", str(out), "--palette", "retas"]) == 2
        assert not (out / "douga/A0002.tga").exists()
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 0
    assert (out / "douga/A0002.tga").exists()
    assert "killed" in records_of(out)["A0001"]["warnings"][0]


def test_what_could_not_be_made_again_keeps_the_record_of_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    main(argv)
    made_with = manifest_of(out)["run"]
    (shot / "A0001.png").write_bytes(b"no picture at all")
    thin = [*argv, "--line-width", "1"]
    for _ in range(2):  # not forgotten the second time either
        assert main([*thin, "--overwrite"]) == 2
        record = records_of(out)["A0001"]
        assert "A0001.png" in record["error"]
        assert record["made_with"]["weights"] == made_with["weights"]
        assert record["made_with"]["settings"] == made_with["settings"]
    capsys.readouterr()
    assert main(thin) == 0
    told = f"from {shot / 'A0001.png'}, as it was before; line_width_px 3, not 1"
    assert f"1 of them made otherwise: {told}" in capsys.readouterr().out


def test_results_that_a_damaged_retake_could_not_replace_are_told_and_never_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv, frame = ["reconstruct", str(shot), "--out", str(out)], shot / "A0001.png"
    plain = [*argv, "--layers", "none"]
    main(plain)
    before, whole = records_of(out)["A0001"], frame.read_bytes()
    frame.write_bytes(whole[: len(whole) // 2])
    assert main([*plain, "--overwrite"]) == 2
    after = records_of(out)["A0001"]
    assert "A0001.png" in after["error"]
    assert {key: after[key] for key in ("input", "sha256", "stat")} == {
        key: before[key] for key in ("input", "sha256", "stat")
    }
    retake(frame, 0)
    capsys.readouterr()
    assert main(plain) == 0
    assert "1 of them made otherwise: from" in capsys.readouterr().out
    assert main(argv) == 2  # layers of the retake beside classes of what it was before
    assert not (out / "layers").exists()
    frame.write_bytes(whole)
    capsys.readouterr()
    assert main(plain) == 0
    assert "otherwise" not in capsys.readouterr().out


def test_what_never_could_be_made_has_no_hash_of_what_it_was_made_from(tmp_path: Path) -> None:
    shot, masks, out = shot_of(tmp_path / "shot", 1), tmp_path / "masks", tmp_path / "out"
    masks.mkdir()
    assert main(["reconstruct", str(shot), "--out", str(out), "--mask", str(masks)]) == 2
    assert "no mask for the frame A0001" in records_of(out)["A0001"]["error"]
    other = draw(tmp_path / "other" / "A0001.png")
    assert main(["reconstruct", str(other), "--out", str(out), "--mask", str(masks)]) == 2
    assert records_of(out)["A0001"]["input"] == str(other)
    assert "sha256" not in records_of(out)["A0001"]


def test_what_a_killed_run_left_keeps_its_look_where_it_cannot_be_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    run_until_killed(argv)
    whole = (shot / "A0001.png").read_bytes()
    (shot / "A0001.png").write_bytes(b"no picture at all")
    thin = [*argv, "--line-width", "1"]
    for _ in range(2):
        assert main([*thin, "--overwrite"]) == 2
    (shot / "A0001.png").write_bytes(whole)
    capsys.readouterr()
    assert main(thin) == 0
    assert "1 of them made otherwise: line_width_px 3, not 1" in capsys.readouterr().out


def test_a_mask_that_was_painted_over_is_told_and_never_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, masks, out = shot_of(tmp_path / "shot", 2), tmp_path / "masks", tmp_path / "out"
    masks.mkdir()
    for n in (1, 2):
        Image.fromarray(np.full((48, 64), 255, np.uint8)).save(masks / f"A{n:04d}.png")
    argv = ["reconstruct", str(shot), "--out", str(out), "--mask", str(masks)]
    assert main(argv) == 0
    digest = hashlib.sha256((masks / "A0001.png").read_bytes()).hexdigest()
    assert records_of(out)["A0001"]["mask_sha256"] == digest
    main(argv)
    assert "otherwise" not in capsys.readouterr().out
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(masks / "A0002.png")
    assert main(argv) == 0
    assert "1 of them made otherwise: with another mask" in capsys.readouterr().out
    (out / "cel/A0002.png").unlink()
    assert main(argv) == 2
    assert main([*argv, "--overwrite"]) == 0
    capsys.readouterr()
    assert main(argv) == 0
    assert "otherwise" not in capsys.readouterr().out
    Image.fromarray(np.ones((48, 64), np.uint8)).save(masks / "A0002.png")
    edit_records(out, mask_sha256=None)  # of a manifest from before masks were recorded
    assert main(argv) == 0
    assert "otherwise" not in capsys.readouterr().out


def test_a_mask_of_the_same_size_and_time_is_not_hashed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out, mask = shot_of(tmp_path / "shot", 2), tmp_path / "out", tmp_path / "mask.png"
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(mask)
    argv = ["reconstruct", str(shot), "--out", str(out), "--mask", str(mask)]
    assert main(argv) == 0
    assert records_of(out)["A0002"]["mask_stat"]["size"] == mask.stat().st_size
    edit_records(out, mask_sha256="f" * 64)
    assert main(argv) == 0
    assert "otherwise" not in capsys.readouterr().out
    os.utime(mask, (0, 0))
    assert main(argv) == 0
    assert "2 of them made otherwise: with another mask" in capsys.readouterr().out


def test_a_palette_that_was_changed_is_another_one(tmp_path: Path) -> None:
    shot, out, mine = shot_of(tmp_path / "shot", 1), tmp_path / "out", tmp_path / "mine.toml"
    text = (Path(palettes.__file__).parent / "kugler.toml").read_text()
    mine.write_text(text)
    argv = ["reconstruct", str(shot), "--out", str(out), "--palette", str(mine)]
    assert main(argv) == 0
    written = load_palette("kugler").written[DougaClass.SHADING_FILL]
    mine.write_text(text.replace(hex_of(written), "#123456"))
    (out / "cel/A0001.png").unlink()
    assert main(argv) == 2
    assert main([*argv, "--overwrite"]) == 0


def test_an_empty_file_is_no_result(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    main(["reconstruct", str(shot), "--out", str(out)])
    (out / "cel/A0001.png").write_bytes(b"")  # as a power cut may leave it
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 0
    assert (out / "cel/A0001.png").stat().st_size > 0


def test_a_folder_in_the_way_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    main(["reconstruct", str(shot), "--out", str(out)])
    (out / "cel/A0001.png").unlink()
    (out / "cel/A0001.png").mkdir()
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 2
    assert "a folder of that name is in the way" in capsys.readouterr().err


def test_a_foreign_manifest_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame, out = draw(tmp_path / "a.png"), tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text('{"name": "an app"}')
    assert main(["reconstruct", str(frame), "--out", str(out)]) == 2
    assert (out / "manifest.json").read_text() == '{"name": "an app"}'
    assert "manifest" in capsys.readouterr().err
