"""Runs within Krita, as a plugin of the test's own: does what a user would, and writes down what came of it.

Environment: DRIVE is a JSON file with the steps' arguments; REPORT is where the answer goes. Steps are
generators that a timer moves on: layers and views come to be what they are in Krita's own event loop only.
"""

import json
import os
import time
import traceback
from pathlib import Path

from krita import Krita, Selection
from PyQt5.QtCore import QTimer
from PyQt5.QtWidgets import QDockWidget, QTreeView

PLAN = json.loads(Path(os.environ["DRIVE"]).read_text())
REPORT = Path(os.environ["REPORT"])
BUSY_S = 300.0  # for what takes a moment where others do not use the cores
PATIENCE_S = 3600.0  # the test has less


def pause(seconds=0.3, until=lambda: False):
    """Let Krita work."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        yield


def open_image(path, *space):
    app = Krita.instance()
    document = app.openDocument(path)
    if space:
        document.setColorSpace(*space)
    app.activeWindow().addView(document)
    app.setActiveDocument(document)
    yield from pause()
    return document


def panel():
    found = Krita.instance().activeWindow().qwindow().findChildren(QDockWidget, "douga")
    return found[0]


def run(dock, kind="reconstruct", meanwhile=lambda: ()):
    """One click, and all that follows. meanwhile: further steps."""
    dock.model.queue.longest_slice_s = 0.0
    begun = time.monotonic()
    getattr(dock, f"{kind}_button").click()
    yield from meanwhile()
    yield from pause(BUSY_S, lambda: not dock.model.is_busy)
    return {
        "seconds": time.monotonic() - begun,
        "longest_slice_s": dock.model.queue.longest_slice_s,
        "message": dock.status.text(),
        "mend": dock.mend_button.text(),
        "made": [task.made for task in dock.model.tasks if task.error is None],
    }


def tree(node):
    return [[child.name(), child.type(), child.colorLabel(), tree(child)] for child in node.childNodes()]


def dump(document, stem, read=lambda node, *area: node.pixelData(*area)):
    """The pixels of our layers as raw files; returns their names and paths."""
    w, h, found = document.width(), document.height(), {}
    for group in document.rootNode().childNodes():
        for node in group.childNodes():
            pixels = bytes(read(node, 0, 0, w, h))
            path = REPORT.with_name(f"{stem}-{len(found)}.raw")
            path.write_bytes(pixels)
            found[node.name()] = str(path)
            for mask in node.childNodes():
                path = REPORT.with_name(f"{stem}-mask.raw")
                path.write_bytes(bytes(mask.pixelData(0, 0, w, h)))
                found[mask.name()] = str(path)
    return found


def close(document):
    document.setModified(False)
    document.close()
    yield from pause(0.1)


def action(name, document):
    """A menu's entry that changes the layers; on busy cores Krita takes its time."""
    entry, before = Krita.instance().action(name), tree(document.rootNode())
    yield from pause(BUSY_S, entry.isEnabled)
    entry.trigger()
    yield from pause(BUSY_S, lambda: tree(document.rootNode()) != before)
    yield from pause(0.2)
    document.waitForDone()


def whole(report):
    """Click, undo, redo, save in three formats and open again."""
    document = yield from open_image(PLAN["frame"])
    report["run"] = yield from run(panel())
    yield from pause(1.0)
    report["tree"] = tree(document.rootNode())
    report["layers"] = dump(document, "made")
    yield from action("edit_undo", document)
    report["undone"] = tree(document.rootNode())
    yield from action("edit_redo", document)
    report["redone"] = dump(document, "redone")
    document.setBatchmode(True)
    report["saved"] = {}
    for suffix in ("kra", "ora", "psd"):
        path = str(REPORT.with_name(f"saved.{suffix}"))
        document.saveAs(path)
        again = Krita.instance().openDocument(path)
        again.refreshProjection()
        again.waitForDone()
        report["saved"][suffix] = dump(again, f"saved-{suffix}")
        yield from close(again)
    yield from close(document)


def converted(report):
    """Linear 16-bit colours are converted for the server, and the image keeps its own."""
    document = yield from open_image(PLAN["frame"], "RGBA", "U16", "sRGB-elle-V2-g10.icc")
    report["converted_run"] = yield from run(panel())
    report["converted"] = dump(document, "converted")
    report["depth"] = document.colorDepth()
    yield from close(document)


def selected(report):
    """Only the selection is answered."""
    document = yield from open_image(PLAN["frame"])
    selection = Selection()
    selection.select(*PLAN["selection"], 255)
    document.setSelection(selection)
    dock = panel()
    dock.source.setCurrentIndex(dock.source.findData("selection"))
    report["selected_run"] = yield from run(dock)
    report["selected"] = dump(document, "selected")
    document.setSelection(None)
    dock.source.setCurrentIndex(0)
    yield from close(document)


def frames(report):
    """A range of frames becomes frames of animated layers."""
    document = yield from open_image(PLAN["frame"])
    dock = panel()
    dock.frames.setChecked(True)
    dock.first.setValue(2)
    dock.last.setValue(3)
    report["frames_run"] = yield from run(dock)
    yield from pause(1.0)
    made = [node for group in document.rootNode().childNodes() for node in group.childNodes()]
    report["keyframes"] = [[node.name(), *map(node.hasKeyframeAtTime, (2, 3, 4))] for node in made]
    report["frame_layers"] = dump(document, "frames", lambda node, *area: node.pixelDataAtTime(*area, 3))
    report["frame_before"] = [bytes(node.pixelDataAtTime(0, 0, 8, 8, 0)).hex() for node in made]
    yield from action("edit_undo", document)
    report["frames_undone"] = tree(document.rootNode())
    dock.frames.setChecked(False)
    yield from close(document)


def stacked(report):
    """Layers of a range lie by their ranks, not in the order in which its frames had them."""
    from douga_krita.frames import Animation

    document, animation = (yield from open_image(PLAN["frame"])), Animation((2, 3))
    yield from animation.open()
    for number, title, rank in ((2, "middle", -3), (3, "top", -1), (3, "bottom", -9)):
        yield from animation.go_to(number)
        animation.layer(title, 0, rank)
    group = document.createGroupLayer("range")
    yield from animation.fill(group)
    report["stacked"] = [node.name() for node in group.childNodes()]
    animation.close()
    yield from close(document)


def nothing_open(report):
    report["nothing_run"] = yield from run(panel())


def faults(report):
    """One click that cannot succeed; the image stays as it was."""
    document = yield from open_image(PLAN["frame"])
    report["fault_run"] = yield from run(panel())
    report["fault_tree"] = tree(document.rootNode())
    yield from close(document)


def shown(report):
    """A real click by the test's mouse: tells where the button is and waits for the result."""
    document, dock = (yield from open_image(PLAN["frame"])), panel()
    before = bytes(document.rootNode().projectionPixelData(0, 0, document.width(), document.height()))
    window = Krita.instance().activeWindow().qwindow()
    window.showMaximized()
    dock.show()  # Krita 5.2 hides the panels of new plugins
    dock.raise_()
    yield from pause(1.5)
    window.resizeDocks([dock], [420], 2)
    yield from pause(1.5)
    button = dock.reconstruct_button
    at = button.mapToGlobal(button.rect().center())
    REPORT.with_suffix(".at").write_text(f"{at.x()} {at.y()}")
    yield from pause(PATIENCE_S, lambda: dock.model.tasks and not dock.model.is_busy)
    yield from pause(2.0)
    report["message"], report["tree"] = dock.status.text(), tree(document.rootNode())
    after = bytes(document.rootNode().projectionPixelData(0, 0, document.width(), document.height()))
    report["is_seen"] = after != before
    rows = window.findChild(QTreeView, "listLayers").model()
    report["listed"] = [rows.index(i, 0).data() for i in range(rows.rowCount())]
    REPORT.with_suffix(".shown").write_text("")
    yield from pause(PATIENCE_S, REPORT.with_suffix(".seen").exists)


def steps_of(report):
    """All that is planned; whatever goes wrong in a step ends the run and stands in the report."""
    from . import unusual

    Krita.instance().setBatchmode(PLAN["steps"] != ["shown"])
    try:
        for name in PLAN["steps"]:
            yield from (globals().get(name) or getattr(unusual, name))(report)
    except Exception:
        report["trouble"] = traceback.format_exc()
    REPORT.write_text(json.dumps(report))
    for document in Krita.instance().documents():
        yield from close(document)
    Krita.instance().action("file_quit").trigger()


def go_on(steps):
    """One step more, and the next a little later."""
    if next(steps, steps) is not steps:
        QTimer.singleShot(1, lambda: go_on(steps))


notifier = Krita.instance().notifier()
notifier.setActive(True)
notifier.windowCreated.connect(lambda: QTimer.singleShot(500, lambda: go_on(steps_of({}))))
