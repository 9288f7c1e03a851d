"""Runs within GIMP 3's batch interpreter: calls the procedure as scripts do, writes down what came of it.

Environment: DRIVE is a JSON file with the steps and their arguments; REPORT is where the answer goes.
"""

import json
import os
import time
import traceback
from pathlib import Path

from gi.repository import Gegl, Gimp, Gio

PLAN = json.loads(Path(os.environ["DRIVE"]).read_text())
REPORT = Path(os.environ["REPORT"])


def load(path=None):
    file = Gio.File.new_for_path(path or PLAN["frame"])
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)


def run(image, drawables=(), **values):
    """The procedure on an image; how it ended, what was said, and what the image holds now."""
    procedure = Gimp.get_pdb().lookup_procedure("douga-reconstruct")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", list(drawables))
    for name, value in values.items():
        config.set_property(name.replace("_", "-"), value)
    begun = time.monotonic()
    status = procedure.run(config).index(0).value_nick
    ended = time.monotonic()
    return {
        "status": status,
        "said": "" if status == "success" else Gimp.get_pdb().get_last_error(),
        "seconds": ended - begun,
        "ended_s": ended,
        "layers": [layer.get_name() for layer in image.get_layers()] if image.is_valid() else None,
        "images": len(Gimp.get_images()),
    }


def dump(name, image):
    """Each layer of our group as a raw file of the image's size; the files by title, from the top."""
    group = image.get_layers()[0]
    assert group.is_group_layer(), group.get_name()
    width, height = image.get_width(), image.get_height()
    found = {}
    for layer in group.get_children():
        _, x, y = layer.get_offsets()
        title = layer.get_name().partition(" #")[0]  # GIMP numbers names that it has already
        whole = Gegl.Rectangle.new(-x, -y, width, height)
        for key, drawable, form in (
            (title, layer, "R'G'B'A u8"),
            (f"{title} mask", layer.get_mask(), "Y u8"),
        ):
            if drawable is not None:
                path = REPORT.with_name(f"{name}-{len(found)}.raw")
                path.write_bytes(bytes(drawable.get_buffer().get(whole, 1.0, form, Gegl.AbyssPolicy.NONE)))
                found[key] = str(path)
    return found


def again(name, image):
    """Save and open again; what is in the file."""
    path = Gio.File.new_for_path(str(REPORT.with_name(f"{name}.xcf")))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, path, None)
    image.delete()
    opened = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, path)
    found = {"precision": opened.get_precision().value_nick, "layers": dump(name, opened)}
    opened.delete()
    return found


def whole(report):
    """8 and 16 bits, saved and opened again."""
    for name, precision in (("u8", None), ("u16", Gimp.Precision.U16_NON_LINEAR)):
        image = load()
        if precision is not None:
            image.convert_precision(precision)
        report[f"{name}_run"] = run(image)
        report[name] = again(name, image)


def parts(report):
    """The selection, a hidden layer by name, hidden layers left out, and a studio's palette."""
    image = load()
    x, y, width, height = PLAN["selection"]
    image.select_rectangle(Gimp.ChannelOps.REPLACE, x, y, width, height)
    report["selection_run"] = run(image, source="selection")
    report["selection"] = again("selection", image)

    for name, wanted in (("covered", False), ("hidden", True)):
        image = load()
        (background,) = image.get_layers()
        cover = Gimp.Layer.new(image, "c", 480, 270, Gimp.ImageType.RGB_IMAGE, 100, Gimp.LayerMode.NORMAL)
        image.insert_layer(cover, None, 0)
        cover.fill(Gimp.FillType.WHITE)
        (background if wanted else cover).set_visible(False)
        chosen = {"source": "layer", "drawables": [background]} if wanted else {}
        report[f"{name}_run"] = run(image, **chosen)
        report[name] = again(name, image)

    image = load()
    palette = Gio.File.new_for_path(PLAN["palette"])
    report["palette_run"] = run(image, palette_file=palette, line_width=1, shading_fill=False, cel=False)
    report["palette"] = again("palette", image)


def faults(report):
    """What cannot succeed: one sentence each, and the image stays as it was."""
    image = load()
    report["server"] = run(image)
    if "palette" not in PLAN:
        return
    report["palette"] = run(image, palette_file=Gio.File.new_for_path(PLAN["palette"]))
    report["model"] = run(image, cel_model="nobody")
    report["selection"] = run(image, source="selection")
    report["layer"] = run(image, source="layer")
    image.convert_grayscale()
    report["grey"] = run(image)
    image.delete()
    empty = Gimp.Image.new(64, 48, Gimp.ImageBaseType.RGB)
    report["empty"] = run(empty)
    empty.delete()


def one(report):
    """One run, under which the test takes something away."""
    image = load()
    report["run"] = run(image)


def twice(report):
    """Two runs of the plug-in, each a process of its own, with the server that the first one starts."""
    image = load()
    report["runs"], report["made"] = [], []
    for name in ("first", "second"):
        report["runs"].append(run(image))
        report["made"].append(dump(name, image))
    announced = Path(os.environ["XDG_RUNTIME_DIR"], "douga", "server.json")
    report["server"] = json.loads(announced.read_text())["pid"]
    time.sleep(2)
    report["lives"] = Path(f"/proc/{report['server']}").exists()


def large(report):
    """8K: the sizes of what is made."""
    image = load()
    report["run"] = run(image)
    group = image.get_layers()[0]
    report["group"] = [
        [item.get_name(), item.get_width(), item.get_height()] for item in group.get_children()
    ]


def dialogs(report):
    """The settings and the procedure as the menu calls them; the test gives the answers."""
    (image,) = Gimp.get_images()
    REPORT.with_suffix(".ready").write_text("")
    for name in ("douga-settings", "douga-reconstruct"):
        config = Gimp.get_pdb().lookup_procedure(name).create_config()
        config.set_property("run-mode", Gimp.RunMode.INTERACTIVE)
        config.set_property("image", image)
        config.set_core_object_array("drawables", image.get_selected_drawables())
        report[name] = Gimp.get_pdb().lookup_procedure(name).run(config).index(0).value_nick


def until(condition):
    """Look twice a second; whether it came true before the test loses its patience."""
    end = time.monotonic() + 500
    while not condition() and time.monotonic() < end:
        time.sleep(0.5)
    return condition()


def left(report):
    """Beside the screen: what the image holds when the test is done with it."""
    (image,) = Gimp.get_images()
    REPORT.with_suffix(".ready").write_text("")
    until(REPORT.with_suffix(".look").exists)
    report["left"] = [layer.get_name() for layer in image.get_layers()]


def screen(report):
    """Beside the screen, where the test clicks: tells when the group stands, and what an undo leaves."""
    made, undo = REPORT.with_suffix(".made"), REPORT.with_suffix(".undo")
    (image,) = Gimp.get_images()
    REPORT.with_suffix(".ready").write_text("")

    def top():
        return image.get_layers()[0]

    def is_made():
        return top().is_group_layer() and [c for c in top().get_children() if c.get_mask() is not None]

    report["made"] = bool(until(is_made))
    report["layers"] = dump("screen", image)
    made.write_text("")
    until(undo.exists)
    report["undone"] = until(lambda: not top().is_group_layer())
    report["left"] = [layer.get_name() for layer in image.get_layers()]


report = {}
try:
    for step in PLAN["steps"]:
        globals()[step](report)
except BaseException:
    report["trouble"] = traceback.format_exc()
REPORT.write_text(json.dumps(report))
