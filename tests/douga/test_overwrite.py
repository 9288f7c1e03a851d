"""--overwrite and what it leaves alone: its input, files of others, what a stopped run had made again."""

import os
from pathlib import Path

import numpy as np
import pytest
from reconstructing import draw, files_of, leave_out_networks, manifest_of, records_of, shot_of

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


# -- stopped and gone on with ------------------------------------------------------------------------


class Watched:
    """Stages that remember the frames they saw, and are stopped by Ctrl-C at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stop_at = ""
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
