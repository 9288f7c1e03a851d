"""--overwrite and what it leaves alone: its input, files of others, what a stopped run had made again."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reconstructing import (
    RESULTS,
    draw,
    files_of,
    leave_out_networks,
    manifest_of,
    records_of,
    run_until_killed,
    shot_of,
)

from douga.cli import main
from douga.commands import cutout_equipment, equipment
from douga.commands.session import Equipment, equip_locally
from douga.cutout import Alpha
from douga.fakes import fake_stages
from douga.pipeline import Probabilities, Settings, Stages
from douga.types import CelMask, Frame


@pytest.fixture(autouse=True)
def _no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(frame: Frame) -> Alpha:
        return Alpha(frame, (frame.rgb[..., 0] < 250).astype(np.float32))

    leave_out_networks(monkeypatch)
    monkeypatch.setattr(
        cutout_equipment, "load_cutout_equipment", lambda _: cutout_equipment.equip_cutouts(cut, "cpu", {})
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_of(folder)}


# -- files of others ---------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(("command", "kind"), [("reconstruct", "cel"), ("cutout", "cutout")])
def test_results_are_not_written_over_their_own_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, kind: str, overwrite: list[str]
) -> None:
    shot = shot_of(tmp_path / "s01" / kind)
    (tmp_path / "link").symlink_to(tmp_path / "s01")
    (tmp_path / "shot").mkdir()
    (tmp_path / "shot" / "A0001.png").symlink_to(shot / "A0001.png")
    before = contents(tmp_path / "s01")
    for given, out in ((shot, "s01"), (shot / "A0002.png", "link"), (tmp_path / "shot", "s01")):
        assert main([command, str(given), "--out", str(tmp_path / out), *overwrite]) == 2
        told = capsys.readouterr().err
        assert "into the folder of their own input" in told
        assert "choose another --out" in told
        assert told.count("\n") == 1
        assert contents(tmp_path / "s01") == before
    assert main([command, str(shot), "--out", str(tmp_path / "elsewhere")]) == 0


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    ("command", "theirs"),
    [
        ("reconstruct", ["cel/A0002.png"]),
        ("reconstruct", ["layers/A0003.ora"]),
        ("reconstruct", ["cel_mask/A0001.png", "classes/A0001.png"]),  # of `douga simulate`
        ("cutout", ["alpha/A0001.png"]),
        ("cutout", ["exr/A0001.exr"]),
    ],
)
def test_files_that_nothing_says_are_ours_are_left_alone(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    theirs: list[str],
    overwrite: list[str],
) -> None:
    shot, out = shot_of(tmp_path / "shot"), tmp_path / "s01"
    for name in theirs:
        (out / name).parent.mkdir(parents=True)
        (out / name).write_bytes(b"a studio's own")
    before = contents(out)
    for _ in range(2):  # the first run did not make them ours
        assert main([command, str(shot), "--out", str(out), *overwrite]) == 2
        told = capsys.readouterr().err
        assert f"{out / theirs[-1]}: is there, but no manifest.json in {out} says" in told
        assert "choose another --out" in told
        assert told.count("\n") == 1
        assert contents(out) == before


def test_all_results_without_a_manifest_are_not_ours_either(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 0
    (out / "manifest.json").unlink()
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 2


def test_files_of_other_names_kinds_and_commands_are_in_nobodys_way(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "s01"
    for name in ("cel/B0001.png", "cel/A0001.psd", "frame/A0001.png"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"a studio's own")
    for command in ("reconstruct", "cutout", "reconstruct", "cutout"):
        assert main([command, str(shot), "--out", str(out), "--overwrite"]) == 0
    assert (out / "cel/B0001.png").read_bytes() == b"a studio's own"


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    ("command", "theirs"),
    [
        ("reconstruct", "cel/A0002.png"),
        ("cutout", "cutout/A0002.png"),
        ("reconstruct", "layers/A0001.ora"),  # a kind that was not asked for
        ("cutout", "preview/A0001.png"),
    ],
)
def test_a_manifest_makes_no_files_ours_but_those_it_tells_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, theirs: str, overwrite: list[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = [command, str(shot), "--out", str(out)]
    fewer = {"reconstruct": ["--layers", "none"], "cutout": []}[command]
    assert main([*argv, *fewer]) == 0
    (out / theirs).parent.mkdir(exist_ok=True)
    (out / theirs).write_bytes(b"a studio's own")
    draw(shot / "A0002.png")
    before = contents(out)
    more = {"reconstruct": [], "cutout": ["--background", "red"]}[command]
    for asked in (fewer, more):
        capsys.readouterr()
        assert main([*argv, *asked, *overwrite]) == 2
        assert f"{out / theirs}: is there, but no manifest.json" in capsys.readouterr().err
        assert contents(out) == before
    (out / theirs).unlink()
    assert main([*argv, *more, *overwrite]) == 0


def test_a_frame_that_failed_makes_no_file_of_its_name_ours(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out), "--overwrite"]
    whole = (shot / "A0002.png").read_bytes()
    (shot / "A0002.png").write_bytes(b"no picture at all")
    assert main(argv) == 1
    (shot / "A0002.png").write_bytes(whole)
    (out / "cel/A0002.png").write_bytes(b"a studio's own")
    assert main(argv) == 2
    assert (out / "cel/A0002.png").read_bytes() == b"a studio's own"


def test_a_manifest_from_before_kinds_were_recorded_is_read(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    assert main(argv) == 0
    manifest = manifest_of(out)
    del manifest["begun"], manifest["frames"][0]["kinds"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert main(argv) == 0
    assert main([*argv, "--overwrite"]) == 0


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("given", ["cel_mask", "cel_mask/A0001.png", "link", "copies"])
def test_masks_among_results_are_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, overwrite: list[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    assert main(argv) == 0
    Image.fromarray(np.full((48, 64), 200, np.uint8)).save(out / "cel_mask/A0001.png")
    (out / "link").symlink_to("cel_mask")
    (out / "copies").mkdir()
    (out / "copies" / "A0001.png").symlink_to("../cel_mask/A0001.png")
    before = contents(out)
    capsys.readouterr()
    assert main([*argv, "--mask", str(out / given), *overwrite]) == 2
    told = capsys.readouterr().err
    assert "into the folder of their own input" in told
    assert "copy it elsewhere" in told
    assert told.count("\n") == 1
    assert contents(out) == before
    (tmp_path / "mine").mkdir()
    (out / "cel_mask/A0001.png").rename(tmp_path / "mine" / "A0001.png")
    assert main([*argv, "--mask", str(tmp_path / "mine"), "--overwrite"]) == 0


def test_a_picture_behind_among_results_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    behind = draw(out / "preview" / "town.png")
    argv = ["cutout", str(shot), "--out", str(out), "--background"]
    assert main([*argv, str(behind)]) == 2
    assert "copy it elsewhere" in capsys.readouterr().err
    behind.rename(tmp_path / "town.png")
    assert main([*argv, str(tmp_path / "town.png")]) == 0


# -- kinds that are not asked for --------------------------------------------------------------------


def test_no_older_kind_stays_beside_what_was_made_anew(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    assert main([*argv, "--line-width", "1"]) == 0
    older = (out / "layers/A0001.ora").read_bytes()
    assert main([*argv, "--layers", "none", "--overwrite"]) == 0
    assert files_of(out) == {r.format("A0001") for r in RESULTS[:-1]} | {"manifest.json"}
    assert main(argv) == 0
    assert (out / "layers/A0001.ora").read_bytes() != older


def test_no_older_preview_stays_beside_a_retake(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["cutout", str(shot), "--out", str(out)]
    assert main([*argv, "--background", "red", "--premultiplied"]) == 0
    assert main([*argv, "--exr"]) == 0
    draw(shot / "A0001.png", (1, 2, 200))
    assert main([*argv, "--overwrite"]) == 0
    assert files_of(out) == {"cutout/A0001.png", "alpha/A0001.png", "manifest.json"}
    assert main([*argv, "--background", "green"]) == 0
    assert np.asarray(Image.open(out / "preview/A0001.png"))[24, 30].tolist() == [1, 2, 200]


def test_older_kinds_stay_where_nothing_could_be_made_anew(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    assert main(argv) == 0
    (shot / "A0001.png").write_bytes(b"no picture at all")
    assert main([*argv, "--layers", "none", "--overwrite"]) == 2
    assert (out / "layers/A0001.ora").exists()


def test_a_kind_that_cannot_be_removed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shot, out = shot_of(tmp_path / "shot", 1), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    assert main(argv) == 0
    (out / "layers/A0001.ora").unlink()
    (out / "layers/A0001.ora").mkdir()
    assert main([*argv, "--layers", "none", "--overwrite"]) == 2
    assert f"{out / 'layers/A0001.ora'}: is of before and cannot be removed" in capsys.readouterr().err


# -- stopped and gone on with ------------------------------------------------------------------------


class Watched:
    """Stages that remember the frames they saw, and are stopped by Ctrl-C at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stop_at = ""
        self.meanwhile: dict[str, Callable[[], object]] = {}  # done once, at this frame
        self._seen: list[str] = []
        self._fake = fake_stages()
        monkeypatch.setattr(equipment, "load_equipment", self._equip)

    def seen(self) -> list[str]:
        """Those since it was asked last."""
        seen, self._seen = self._seen, []
        return seen

    def _equip(self, args: object, settings: Settings) -> Equipment:
        return equip_locally(Stages(self._fake.find_cel, self._find_lines), settings, "cpu", {})

    def _find_lines(self, frame: Frame, cel: CelMask) -> Probabilities:
        if frame.name == self.stop_at:
            raise KeyboardInterrupt
        self._seen.append(frame.name)
        self.meanwhile.pop(frame.name, lambda: None)()
        return self._fake.find_lines(frame, cel)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_a_stopped_overwriting_goes_on_and_one_that_ended_begins_again(
    tmp_path: Path, watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 4), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out), "--overwrite"]
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 0
    assert len(watched.seen()) == 4

    watched.stop_at = "A0003"
    assert main(argv) == 130
    assert watched.seen() == ["A0001", "A0002"]
    assert "2 frames are complete; the same command goes on from here" in capsys.readouterr().err
    watched.stop_at = "A0004"
    assert main(argv) == 130
    assert watched.seen() == ["A0003"]
    watched.stop_at = ""
    capsys.readouterr()
    assert main(argv) == 0
    assert watched.seen() == ["A0004"]
    assert "1 done; 3 kept" in capsys.readouterr().out

    assert main(argv) == 0
    assert watched.seen() == ["A0001", "A0002", "A0003", "A0004"]
    assert not any("anew" in record for record in manifest_of(out)["frames"])


def test_only_what_the_stopped_run_made_just_so_is_kept(tmp_path: Path, watched: Watched) -> None:
    shot, out = shot_of(tmp_path / "shot", 4), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out), "--overwrite"]
    watched.stop_at = "A0004"
    assert main(argv) == 130
    draw(shot / "A0002.png", (10, 20, 200))
    (out / "cel/A0003.png").unlink()
    watched.seen()
    assert main(argv) == 130
    assert watched.seen() == ["A0002", "A0003"]
    for other in (["--layers", "none"], ["--palette", "retas"]):
        assert main([*argv, *other]) == 130
        assert watched.seen() == ["A0001", "A0002", "A0003"]


def test_another_run_between_does_not_make_a_stopped_one_begin_again(
    tmp_path: Path, watched: Watched
) -> None:
    shot, out = shot_of(tmp_path / "shot", 4), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out), "--line-width", "1"]
    assert main(["reconstruct", str(shot), "--out", str(out)]) == 0
    watched.stop_at = "A0003"
    assert main([*argv, "--overwrite"]) == 130
    watched.stop_at = ""
    watched.seen()
    assert main(["cutout", str(shot), "--out", str(out)]) == 0
    assert main(argv) == 0
    assert watched.seen() == []
    assert main([*argv, "--overwrite", "--frames", "4"]) == 0
    assert watched.seen() == ["A0004"]
    assert main([*argv, "--overwrite"]) == 0
    assert watched.seen() == ["A0003", "A0004"]


def test_a_frame_that_failed_is_tried_again(tmp_path: Path, watched: Watched) -> None:
    shot, out = shot_of(tmp_path / "shot", 3), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out), "--overwrite"]
    whole = (shot / "A0001.png").read_bytes()
    (shot / "A0001.png").write_bytes(b"no picture at all")
    watched.stop_at = "A0003"
    assert main(argv) == 130
    (shot / "A0001.png").write_bytes(whole)
    watched.stop_at = ""
    watched.seen()
    assert main(argv) == 0
    assert watched.seen() == ["A0001", "A0003"]
    assert "error" not in records_of(out)["A0001"]


def test_what_is_kept_counts_as_there(tmp_path: Path, watched: Watched) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out), "--overwrite"]
    watched.stop_at = "A0002"
    assert main(argv) == 130
    os.truncate(shot / "A0002.png", 10)
    assert main(argv) == 1


# -- killed, and several at once ---------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_killed_run_goes_on_after_another_command(tmp_path: Path, overwrite: list[str]) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    run_until_killed(argv)
    assert main(["cutout", str(shot), "--out", str(out)]) == 0
    draw(shot / "A0003.png")
    assert main([*argv, *overwrite]) == 0
    assert len(manifest_of(out)["frames"]) == 5


def test_what_a_killed_run_left_keeps_its_look_after_other_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out)]
    run_until_killed([*argv, "--palette", "retas"])
    assert main(["cutout", str(shot), "--out", str(out)]) == 0
    draw(shot / "A0003.png")
    run_until_killed(argv)
    capsys.readouterr()
    assert main(argv) == 0
    assert "2 of them made otherwise: palette retas, not kugler" in capsys.readouterr().out
    (out / "cel/A0002.png").unlink()
    assert main(argv) == 2
    assert not (out / "cel/A0002.png").exists()


def test_a_kind_that_a_killed_run_added_is_gone_on_with(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 2), tmp_path / "out"
    argv = ["cutout", str(shot), "--out", str(out)]
    assert main(argv) == 0
    run_until_killed([*argv, "--exr"])
    (out / "exr/A0002.exr").unlink()
    assert main([*argv, "--exr"]) == 0
    assert records_of(out)["A0001"]["sha256"]
    assert main([*argv, "--overwrite"]) == 0
    assert not list((out / "exr").iterdir())


def test_a_killed_slice_goes_on_after_the_others_have_ended(tmp_path: Path) -> None:
    shot, out = shot_of(tmp_path / "shot", 4), tmp_path / "out"
    argv = ["reconstruct", str(shot), "--out", str(out), "--frames"]
    run_until_killed([*argv, "1-2"])
    assert main([*argv, "3-4"]) == 0
    (out / "cel/A0002.png").unlink()
    assert main([*argv, "1-2"]) == 0
    assert manifest_of(out)["begun"] == {}
    (out / "cel/A0005.png").write_bytes(b"a studio's own")
    draw(shot / "A0005.png")
    assert main([*argv, "1-5"]) == 2


@pytest.mark.parametrize(("command", "numbers"), [("cutout", "1-2"), ("reconstruct", "3-4")])
def test_two_at_once_keep_each_others_records(
    tmp_path: Path, watched: Watched, capsys: pytest.CaptureFixture[str], command: str, numbers: str
) -> None:
    shot, out = shot_of(tmp_path / "shot", 4), tmp_path / "out"
    first = ["reconstruct", str(shot), "--out", str(out), "--frames", "1-2"]
    other = [command, str(shot), "--out", str(out), "--frames", numbers]
    ended = []
    watched.meanwhile["A0001"] = lambda: ended.append(main(other))
    assert main(first) == 0
    assert ended == [0]
    assert manifest_of(out)["begun"] == {}
    assert len(manifest_of(out)["frames"]) == 4
    capsys.readouterr()
    for argv in (first, other):
        assert main(argv) == 0
        assert "are there already; --overwrite makes" in capsys.readouterr().out
        assert main([*argv, "--overwrite"]) == 0
