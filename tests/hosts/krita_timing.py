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
from PyQt5.QtCore import QEvent, QTimer  # noqa: E402
from PyQt5.QtWidgets import QApplication, QDockWidget  # noqa: E402

PLAN = json.loads(Path(os.environ["DRIVE"]).read_text())
CLICKS = 3


class Heartbeat:
    """The longest time between two beats of a timer, and how much of it this thread had a core."""

    def __init__(self):
        self.restart()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self):
        now, work = time.perf_counter(), time.thread_time()
        self.longest_s = max(self.longest_s, now - self._last)
        self.hardest_s = max(self.hardest_s, work - self._work)
        self._last, self._work = now, work

    def restart(self):
        self.longest_s = self.hardest_s = 0.0
        self._last, self._work = time.perf_counter(), time.thread_time()


class Slices:
    """What each tick of the queue took, and what went into each stage: time, ticks, and work in them."""

    def __init__(self, queue):
        self._queue, self._tick = queue, queue.tick
        queue.tick = self.timed
        self.restart()

    def restart(self):
        self.longest, self.hardest, self.stages, self._last = (0.0, ""), (0.0, ""), {}, time.perf_counter()

    def timed(self):
        stage = self._queue.tasks[0].stage if self._queue.tasks else "idle"
        begun, work = time.perf_counter(), time.thread_time()
        self._tick()
        ended, work = time.perf_counter(), time.thread_time() - work
        self.longest = max(self.longest, (ended - begun, stage))
        self.hardest = max(self.hardest, (work, stage))
        spent_s, ticks, work_s = self.stages.get(stage, (0.0, 0, 0.0))
        self.stages[stage] = (spent_s + ended - self._last, ticks + 1, work_s + work)
        self._last = ended


class Timing:
    """Opens the frame and clicks a few times, each time when the last has ended."""

    def __init__(self):
        app = Krita.instance()
        app.setBatchmode(True)
        self.document = app.openDocument(PLAN["frame"])
        app.activeWindow().addView(self.document)
        app.setActiveDocument(self.document)
        self.dock = app.activeWindow().qwindow().findChildren(QDockWidget, "douga")[0]
        self.beat, self.slices, self.clicks = Heartbeat(), Slices(self.dock.model.queue), []
        if PLAN["hovers"]:  # as whoever presses a button with a mouse does
            QApplication.sendEvent(self.dock, QEvent(QEvent.Enter))
        QTimer.singleShot(3000, self.click)

    def click(self):
        self.beat.restart()
        self.slices.restart()
        self.begun = time.perf_counter()
        self.dock.reconstruct_button.click()
        self.look()

    def look(self):
        if self.dock.model.is_busy:
            QTimer.singleShot(2, self.look)
            return
        seconds, task = time.perf_counter() - self.begun, self.dock.model.tasks[-1]
        self.clicks.append(
            {
                "seconds": seconds,
                "server_s": sum(task.server_s.values()),
                "slice": self.slices.longest,
                "work": self.slices.hardest,
                "gap_s": self.beat.longest_s,
                "gap_work_s": self.beat.hardest_s,
                "stages": self.slices.stages,
                "error": str(task.error or ""),
            }
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
