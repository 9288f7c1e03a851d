"""Runs within Krita for `measure_krita.py`: imports our plugin with a clock beside it, then clicks.

Nothing here calls Krita's event loop itself: a timer of 5 ms runs in it and notes its longest gap.
"""

import json
import os
import time
from pathlib import Path

_begun = time.perf_counter()
import douga_krita  # noqa: E402, F401  timed

IMPORT_S = time.perf_counter() - _begun

from krita import Krita  # noqa: E402
from PyQt5.QtCore import QTimer  # noqa: E402
from PyQt5.QtWidgets import QDockWidget  # noqa: E402

PLAN = json.loads(Path(os.environ["DRIVE"]).read_text())
CLICKS = 3


class Heartbeat:
    """The longest time between two beats of a timer."""

    def __init__(self):
        self.longest_s, self._last = 0.0, time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self):
        now = time.perf_counter()
        self.longest_s, self._last = max(self.longest_s, now - self._last), now

    def restart(self):
        self.longest_s, self._last = 0.0, time.perf_counter()


class Timing:
    """Opens the frame and clicks a few times, each time when the last has ended."""

    def __init__(self):
        app = Krita.instance()
        app.setBatchmode(True)
        self.document = app.openDocument(PLAN["frame"])
        app.activeWindow().addView(self.document)
        app.setActiveDocument(self.document)
        self.dock = app.activeWindow().qwindow().findChildren(QDockWidget, "douga")[0]
        self.beat, self.clicks = Heartbeat(), []
        QTimer.singleShot(3000, self.click)

    def click(self):
        self.beat.restart()
        self.dock.model.longest_slice_s, self.begun = 0.0, time.perf_counter()
        self.dock.reconstruct_button.click()
        self.look()

    def look(self):
        if self.dock.model.is_busy:
            QTimer.singleShot(2, self.look)
            return
        seconds, task = time.perf_counter() - self.begun, self.dock.model.tasks[-1]
        server_s = sum(task.result.seconds.values()) if task.result is not None else 0.0
        self.clicks.append(
            [seconds, server_s, self.dock.model.longest_slice_s, self.beat.longest_s, task.state]
        )
        QTimer.singleShot(2000, self.click if len(self.clicks) < CLICKS else self.end)

    def end(self):
        report = {"import_s": IMPORT_S, "clicks": self.clicks, "message": self.dock.status.text()}
        Path(os.environ["REPORT"]).write_text(json.dumps(report))
        self.document.setModified(False)
        self.document.close()
        Krita.instance().action("file_quit").trigger()


kept = []
notifier = Krita.instance().notifier()
notifier.setActive(True)
notifier.windowCreated.connect(lambda: QTimer.singleShot(500, lambda: kept.append(Timing())))
