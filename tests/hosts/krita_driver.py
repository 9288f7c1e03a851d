"""Runs within Krita, as a plugin of the test's own: does what a user would, and writes down what came of it.

Environment: DRIVE is a JSON file with the steps' arguments; REPORT is where the answer goes.
"""

import json
import os
import time
import traceback
from pathlib import Path

from krita import Krita, Selection
from PyQt5.QtCore import QTimer
from PyQt5.QtWidgets import QApplication, QDockWidget, QTreeView

PLAN = json.loads(Path(os.environ["DRIVE"]).read_text())
REPORT = Path(os.environ["REPORT"])
BUSY_S = 120.0


def pause(seconds=0.3, until=lambda: False):
    """Let Krita work; returns the longest time that its loop was held up."""
    longest, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end and not until():
        begun = time.monotonic()
        QApplication.processEvents()
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.001)
    return longest


def open_image(path, *space):
    app = Krita.instance()
    document = app.openDocument(path)
    if space:
        document.setColorSpace(*space)
    app.activeWindow().addView(document)
    app.setActiveDocument(document)
    pause()
    return document


def panel():
    found = Krita.instance().activeWindow().qwindow().findChildren(QDockWidget, "douga")
    return found[0]


def run(dock, kind="reconstruct", meanwhile=lambda: None):
    """One click, and all that follows."""
    dock.model.queue.longest_slice_s = 0.0
    begun = time.monotonic()
    getattr(dock, f"{kind}_button").click()
    meanwhile()
    longest = pause(BUSY_S, lambda: not dock.model.is_busy)
    return {
        "seconds": time.monotonic() - begun,
        "longest_loop_s": longest,
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
    pause(0.1)


def action(name, document):
    Krita.instance().action(name).trigger()
    pause(0.2)
    document.waitForDone()


def whole(report):
    """Click, undo, redo, save in three formats and open again."""
    document = open_image(PLAN["frame"])
    report["run"] = run(panel())
    pause(1.0)
    report["tree"] = tree(document.rootNode())
    report["layers"] = dump(document, "made")
    action("edit_undo", document)
    report["undone"] = tree(document.rootNode())
    action("edit_redo", document)
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
        close(again)
    close(document)


def converted(report):
    """Linear 16-bit colours are converted for the server, and the image keeps its own."""
    document = open_image(PLAN["frame"], "RGBA", "U16", "sRGB-elle-V2-g10.icc")
    report["converted_run"] = run(panel())
    report["converted"] = dump(document, "converted")
    report["depth"] = document.colorDepth()
    close(document)


def selected(report):
    """Only the selection is answered."""
    document = open_image(PLAN["frame"])
    selection = Selection()
    selection.select(*PLAN["selection"], 255)
    document.setSelection(selection)
    dock = panel()
    dock.source.setCurrentIndex(dock.source.findData("selection"))
    report["selected_run"] = run(dock)
    report["selected"] = dump(document, "selected")
    document.setSelection(None)
    dock.source.setCurrentIndex(0)
    close(document)


def frames(report):
    """A range of frames becomes frames of animated layers."""
    document = open_image(PLAN["frame"])
    dock = panel()
    dock.frames.setChecked(True)
    dock.first.setValue(2)
    dock.last.setValue(3)
    report["frames_run"] = run(dock)
    pause(1.0)
    made = [node for group in document.rootNode().childNodes() for node in group.childNodes()]
    report["keyframes"] = [[node.name(), *map(node.hasKeyframeAtTime, (2, 3, 4))] for node in made]
    report["frame_layers"] = dump(document, "frames", lambda node, *area: node.pixelDataAtTime(*area, 3))
    report["frame_before"] = [bytes(node.pixelDataAtTime(0, 0, 8, 8, 0)).hex() for node in made]
    action("edit_undo", document)
    report["frames_undone"] = tree(document.rootNode())
    dock.frames.setChecked(False)
    close(document)


def nothing_open(report):
    report["nothing_run"] = run(panel())


def faults(report):
    """One click that cannot succeed; the image stays as it was."""
    document = open_image(PLAN["frame"])
    report["fault_run"] = run(panel())
    report["fault_tree"] = tree(document.rootNode())
    close(document)


def shown(report):
    """A real click by the test's mouse: tells where the button is and waits for the result.

    Krita's layer list moves on in its own event loop only, so this step is a chain of timers.
    """
    document, dock = open_image(PLAN["frame"]), panel()
    before = bytes(document.rootNode().projectionPixelData(0, 0, document.width(), document.height()))
    window = Krita.instance().activeWindow().qwindow()
    window.showMaximized()
    dock.show()  # Krita 5.2 hides the panels of new plugins
    dock.raise_()

    def later(pause_ms, step):
        QTimer.singleShot(pause_ms, lambda: guarded(report, step))

    def settle():
        window.resizeDocks([dock], [420], 2)
        later(1500, tell)

    def tell():
        button = dock.reconstruct_button
        at = button.mapToGlobal(button.rect().center())
        REPORT.with_suffix(".at").write_text(f"{at.x()} {at.y()}")
        look()

    def look():
        if not dock.model.tasks or dock.model.is_busy:
            later(100, look)
        else:
            later(2000, show)

    def show():
        report["message"], report["tree"] = dock.status.text(), tree(document.rootNode())
        after = bytes(document.rootNode().projectionPixelData(0, 0, document.width(), document.height()))
        report["is_seen"] = after != before
        rows = window.findChild(QTreeView, "listLayers").model()
        report["listed"] = [rows.index(i, 0).data() for i in range(rows.rowCount())]
        REPORT.with_suffix(".shown").write_text("")
        end()

    def end():
        if not REPORT.with_suffix(".seen").exists():
            later(100, end)
        else:
            leave(report)

    later(1500, settle)


def leave(report):
    REPORT.write_text(json.dumps(report))
    for document in Krita.instance().documents():
        close(document)
    Krita.instance().action("file_quit").trigger()


def guarded(report, step):
    """Whatever goes wrong in a step ends the run and stands in the report."""
    try:
        step()
    except BaseException:
        report["trouble"] = traceback.format_exc()
        leave(report)


def main():
    report = {}
    guarded(report, lambda: begin(report))


def begin(report):
    from . import unusual

    if PLAN["steps"] == ["shown"]:
        shown(report)
        return
    Krita.instance().setBatchmode(True)
    for name in PLAN["steps"]:
        step = globals().get(name) or getattr(unusual, name)
        step(report)
    leave(report)


notifier = Krita.instance().notifier()
notifier.setActive(True)
notifier.windowCreated.connect(lambda: QTimer.singleShot(500, main))
