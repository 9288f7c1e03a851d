"""GIMP 2.10, without a screen: export, `douga reconstruct`, import, save; what was saved is opened again."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import DOUGA, Reference, plugin

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(shutil.which("gimp") is None, reason="GIMP is not installed: tests/hosts/install.sh"),
]
TITLES = ("flat area", "visible line", "shading line", "color edge", "highlight line", "book line")
TITLES += ("shading fill", "color fill", "highlight fill", "book fill")
# Writes each layer of the first group of an .xcf as a PNG named by its place, and the titles.
DUMP = """
(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{xcf}" "{xcf}")))
       (group (aref (cadr (gimp-image-get-layers image)) 0))
       (found (gimp-item-get-children group)))
  (gimp-message (string-append "TOP " (car (gimp-item-get-name group))))
  (let loop ((place 0))
    (if (< place (car found))
        (let* ((layer (aref (cadr found) place)) (mask (car (gimp-layer-get-mask layer)))
               (path (string-append "{out}/" (number->string place) ".png")))
          (gimp-message (string-append "LAYER " (car (gimp-item-get-name layer))))
          (if (> mask 0) (gimp-layer-remove-mask layer MASK-APPLY))
          (file-png-save RUN-NONINTERACTIVE image layer path path FALSE 1 FALSE FALSE FALSE FALSE TRUE)
          (loop (+ place 1))))))
"""


def gimp(home: dict[str, str], *commands: str) -> str:
    """Run Script-Fu in a GIMP of its own; what it said."""
    batch = [word for command in (*commands, "(gimp-quit 0)") for word in ("-b", command)]
    ran = subprocess.run(
        ["gimp", "-i", "-d", "-f", "-c", *batch], env=home, capture_output=True, text=True, timeout=120
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "batch command experienced an execution error" not in said, said
    return said


def installed(home: dict[str, str]) -> None:
    plugin(home, "install", "gimp", "--to", str(Path(home["XDG_CONFIG_HOME"], "GIMP", "2.10")))


def from_pack(home: dict[str, str], pack: Path) -> None:
    """As on a machine without Douga: the pack's folder of scripts is laid into GIMP's."""
    plugin(home, "pack", "gimp", "--out", str(pack))
    with zipfile.ZipFile(pack) as files:
        for name in files.namelist():
            if name.startswith("for-gimp-2.10/"):
                path = Path(home["XDG_CONFIG_HOME"], "GIMP", "2.10", name.partition("/")[2])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(files.read(name))


def test_frame_goes_out_and_comes_back_as_layers(
    home: dict[str, str], tmp_path: Path, small_frame: Path, truth: Reference
) -> None:
    installed(home)
    work = tmp_path / "work"
    work.mkdir()
    load = f'(image (car (gimp-file-load RUN-NONINTERACTIVE "{small_frame}" "x")))'
    active = "(car (gimp-image-get-active-layer image))"
    said = gimp(home, f'(let* ({load}) (script-fu-douga-export image {active} "{work}"))')
    assert "douga reconstruct" in said
    exported = work / "small.png"
    assert np.array_equal(cv2.imread(str(exported)), cv2.imread(str(small_frame)))
    subprocess.run([*DOUGA, "reconstruct", str(exported), "--out", str(work / "douga")], check=True)
    xcf = work / "small.xcf"
    save = f'(gimp-xcf-save RUN-NONINTERACTIVE image {active} "{xcf}" "{xcf}")'
    gimp(home, f'(let* ({load}) (script-fu-douga-import image {active} "{work}") {save})')
    check_layers(home, xcf, tmp_path, truth, small_frame)


def test_an_image_is_never_written_over_its_own_file(
    home: dict[str, str], tmp_path: Path, small_frame: Path
) -> None:
    installed(home)
    own = tmp_path / "small.png"
    shutil.copy(small_frame, own)
    load = f'(image (car (gimp-file-load RUN-NONINTERACTIVE "{own}" "{own}")))'
    active = "(car (gimp-image-get-active-layer image))"
    with pytest.raises(AssertionError, match="own file, which would be lost"):
        gimp(home, f'(let* ({load}) (script-fu-douga-export image {active} "{tmp_path}/./"))')
    assert own.read_bytes() == small_frame.read_bytes()


def test_one_command_makes_a_layered_file(
    home: dict[str, str], tmp_path: Path, small_frame: Path, truth: Reference
) -> None:
    from_pack(home, tmp_path / "gimp.zip")
    xcf = tmp_path / "one.xcf"
    gimp(home, f'(douga-file-to-xcf "{small_frame}" "{truth.folder}" "{xcf}")')
    check_layers(home, xcf, tmp_path, truth, small_frame)


def test_a_missing_result_is_one_sentence(home: dict[str, str], tmp_path: Path, small_frame: Path) -> None:
    installed(home)
    with pytest.raises(AssertionError, match="is missing; run: douga reconstruct"):
        gimp(home, f'(douga-file-to-xcf "{small_frame}" "{tmp_path}" "{tmp_path / "x.xcf"}")')


# An import that fails, and what it leaves: images, layers, channels, selection, colour, an open undo group.
LEFT = """
(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{frame}" "x"))))
  (define (count list) (number->string (car list)))
  (define (joined numbers) (unbreakupstr (map number->string numbers) ","))
  (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 3 4 5 6)
  (gimp-context-set-foreground '(1 2 3))
  (gimp-message (catch "DID fail" (douga-import image "{folder}" "small") "DID not fail"))
  (gimp-message (string-append "LEFT " (count (gimp-image-list)) " " (count (gimp-image-get-layers image)) " "
                               (count (gimp-image-get-channels image)) " "
                               (joined (cdr (gimp-selection-bounds image))) " "
                               (joined (car (gimp-context-get-foreground)))))
  (gimp-message (catch "UNDO closed" (gimp-image-undo-group-end image) "UNDO open"))
  (gimp-image-delete image))
"""


def test_a_failed_import_leaves_nothing_behind(
    home: dict[str, str], tmp_path: Path, small_frame: Path, truth: Reference
) -> None:
    installed(home)
    missing, no_image, other_size, no_palette, whole = (tmp_path / name for name in "abcde")
    for folder in (missing, no_image, other_size, no_palette, whole):
        shutil.copytree(truth.folder, folder)
    (missing / "cel_mask" / "small.png").unlink()
    (no_image / "cel_mask" / "small.png").write_text("not an image")
    cv2.imwrite(str(other_size / "cel_mask" / "small.png"), np.zeros((7, 5), np.uint8))
    shutil.copyfile(small_frame, no_palette / "classes" / "small.png")
    tries = [LEFT.format(frame=small_frame, folder=f) for f in (missing, no_image, other_size, no_palette)]
    # The last step itself goes wrong, when nine layers stand.
    broken = '(define (douga-add-cel image . rest) (gimp-layer-new-from-visible 99999 image "cel"))'
    tries.append(f"(begin {broken} {LEFT.format(frame=small_frame, folder=whole)})")
    said = gimp(home, *tries)
    assert said.count("DID fail") == 5, said
    assert said.count("LEFT 1 1 0 3,4,8,10 1,2,3") == 5, said
    assert said.count("UNDO closed") == 5, said


def check_layers(home: dict[str, str], xcf: Path, tmp_path: Path, known: Reference, frame: Path) -> None:
    """The layers of a saved file, opened again, are the command line's classes, cel and mask."""
    out = tmp_path / "dump"
    out.mkdir()
    said = gimp(home, DUMP.format(xcf=xcf, out=out))
    (tmp_path / "said.json").write_text(json.dumps(said))
    assert "TOP douga" in said
    titles = [line.split("LAYER ")[1].strip() for line in said.splitlines() if "LAYER " in line]
    present = {TITLES[index] for index in np.unique(known.ids)}
    assert set(titles) == present | {"cel"}
    assert (titles[0], titles[-1]) == ("visible line", "cel")
    ids = np.full(known.ids.shape, 255, np.uint8)
    for place, title in enumerate(titles):
        pixels = cv2.imread(str(out / f"{place}.png"), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (*known.ids.shape, 4)
        if title == "cel":
            assert np.array_equal(pixels[..., 3], known.mask)
            inside = known.mask == 255
            assert np.array_equal(pixels[inside, :3], cv2.imread(str(frame))[inside])
        else:
            assert set(np.unique(pixels[..., 3])) <= {0, 255}
            ids[pixels[..., 3] == 255] = TITLES.index(title)
    assert np.array_equal(ids, known.ids)
