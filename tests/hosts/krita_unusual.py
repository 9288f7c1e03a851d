"""Steps of `krita_driver` for what goes wrong and what is unusual; what came of it goes into the report.

PLAN: hold, pid, socket and other of the servers; see `test_krita_faults`.
"""

import json
import os
import resource
import signal
import time
from pathlib import Path

from krita import Krita
from PyQt5.QtCore import QByteArray

from . import PLAN, close, dump, open_image, panel, pause, run, tree


def pixels_of(document, source):
    """What the plugin would send: width, height and BGRA bytes as hexadecimal digits."""
    from douga_krita.document import KritaDocument

    steps = KritaDocument(document, source).read(None)
    while True:
        try:
            if next(steps):
                yield from pause(0.01)
        except StopIteration as end:
            pixels = end.value.pixels
            return [pixels.width, pixels.height, bytes(pixels.data).hex(), list(end.value.notes)]


def activate(node, document):
    """Select a layer, and wait until Krita has done so."""
    document.setActiveNode(node)
    yield from pause(30, lambda: document.activeNode() == node)


def choose(server):
    """Another server, as by the settings page."""
    from douga_krita.douga_client import settings

    path = settings.default_path()
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"server": server}))
    panel().model.reconnect()


def hold():
    Path(PLAN["hold"]).write_text("")


def release():
    Path(PLAN["hold"]).unlink(missing_ok=True)


def until_stage(*stages, seconds=30.0):
    """Wait for the server to have the frame."""
    model = panel().model
    yield from pause(seconds, lambda: not model.queue.tasks or model.queue.tasks[0].stage in stages)


def empty(report):
    """Nothing is in the image; then nothing that is wanted is."""
    document = Krita.instance().createDocument(64, 48, "empty", "RGBA", "U8", "", 100.0)
    for node in document.rootNode().childNodes():
        node.remove()
    Krita.instance().activeWindow().addView(document)
    Krita.instance().setActiveDocument(document)
    yield from pause()
    report["empty"] = yield from run(panel())
    report["empty_tree"] = tree(document.rootNode())
    yield from close(document)


def hidden(report):
    """A hidden layer is part of the whole but not of what is visible; our own results are of neither."""
    document = yield from open_image(PLAN["frame"])
    over = document.createNode("over", "paintlayer")
    over.setPixelData(QByteArray(b"\x10\x20\x30\xff" * 64 * 64), 0, 0, 64, 64)
    document.rootNode().addChildNode(over, None)
    over.setVisible(False)
    document.refreshProjection()
    yield from pause(0.5)
    yield from activate(over, document)
    found = {}
    for source in ("visible", "image", "layer"):
        found[source] = yield from pixels_of(document, source)
    report["twice"] = [(yield from run(panel()))["made"], (yield from run(panel()))["made"]]
    found["again"] = yield from pixels_of(document, "visible")
    report["hidden"], report["hidden_tree"] = found, tree(document.rootNode())
    report["still_hidden"] = not over.visible()
    yield from close(document)


def _space(report, name, *space):
    document = yield from open_image(PLAN["frame"], *space)
    read = yield from pixels_of(document, "visible")
    yield from activate(document.rootNode().childNodes()[0], document)
    layer = yield from pixels_of(document, "layer")
    ended = yield from run(panel())
    kept = [document.colorModel(), document.colorDepth(), document.colorProfile()]
    report[name] = {"read": read, "layer": layer, "run": ended, "kept": kept, "layers": dump(document, name)}
    yield from close(document)


def grey(report):
    yield from _space(report, "grey", "GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc")


def cmyk(report):
    yield from _space(report, "cmyk", "CMYKA", "U8", "Chemical proof")


def linear(report):
    """Eight bits, linear, with "sRGB" in the profile's name."""
    yield from _space(report, "linear", "RGBA", "U8", "sRGB-elle-V2-g10.icc")


def closed(report):
    """The image is closed while it is read, and while the server works; another one stays."""
    other = yield from open_image(PLAN["frame"])
    before = tree(other.rootNode())
    for name, stages in (("closed_early", ("waiting",)), ("closed_late", ("queued", "cel"))):
        hold()
        document = yield from open_image(PLAN["frame"])

        def close_it(document=document, stages=stages):
            yield from until_stage(*stages)
            yield from close(document)
            release()

        report[name] = yield from run(panel(), meanwhile=close_it)
    report["other_is_untouched"] = tree(other.rootNode()) == before
    yield from close(other)


def large(report):
    """7680 x 4320 by way of a real server: what each slice held the host up with, and what memory it took.

    slices: place, seconds of our and Krita's own work, MB of memory that were new to the process. The
    kernel's time for such memory is left out: it is the machine's, and from 2 to 20 us a page on one.
    """
    document = yield from open_image(PLAN["large"])
    yield from pause(1.0)
    memory, queue = _memory_mb(), panel().model.queue
    tick, slices = queue.tick, []

    def timed():
        before, place = resource.getrusage(resource.RUSAGE_THREAD), _place(queue)
        tick()
        after = resource.getrusage(resource.RUSAGE_THREAD)
        new_mb = (after.ru_minflt - before.ru_minflt) * resource.getpagesize() / 1e6
        slices.append((place, after.ru_utime - before.ru_utime, new_mb))

    queue.tick = timed
    report["large"] = yield from run(panel())
    queue.tick = tick
    report["large"]["slices"] = slices
    report["large"]["memory_mb"] = [memory, _memory_mb(), _memory_mb("VmHWM")]
    report["large"]["titles"] = [title for title, *_ in tree(document.rootNode())[-1][3]]
    yield from close(document)


def _place(queue):
    """Where a task goes on: file and function of its innermost generator."""
    steps = queue.tasks[0].steps if queue.tasks else None
    while steps is not None and getattr(steps, "gi_yieldfrom", None) is not None:
        steps = steps.gi_yieldfrom
    frame = getattr(steps, "gi_frame", None)
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}" if frame is not None else ""


def _memory_mb(what="VmRSS"):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) // 1024
    return 0


def full(report):
    """Others have filled the server's queue when the button is pressed; a little later they are done."""
    document, crowd = (yield from open_image(PLAN["frame"])), (yield from _crowd(3))

    def wait_a_while():
        yield from until_stage("waiting")
        yield from pause(1.5)
        report["full_status"] = panel().status.text()
        release()

    report["full"] = yield from run(panel(), meanwhile=wait_a_while)
    crowd.close()
    yield from close(document)


def _crowd(count):
    """Another client with frames that the server has and does not answer."""
    from douga_krita.douga_client import client, settings
    from douga_krita.douga_client.api import ReconstructRequest
    from douga_krita.douga_client.image import Pixels

    hold()
    others = client.open_client(settings.read(), max_under_way=count)
    jobs = [others.submit(ReconstructRequest(Pixels(8, 8, "RGB8", bytes(192)))) for _ in range(count)]
    end = time.monotonic() + 30
    while time.monotonic() < end and not all(job.stage in ("queued", "cel") for job in jobs):
        others.pump()
        yield from pause(0.01)
    return others


def older(report):
    """A server of another version."""
    document = yield from open_image(PLAN["frame"])
    choose(PLAN["other"])
    report["older"] = yield from run(panel())
    report["older_tree"] = tree(document.rootNode())
    choose(PLAN["socket"])
    yield from close(document)


def killed(report):
    """The server is killed in the middle; the image and what was made before stay as they were."""
    document = yield from open_image(PLAN["frame"])
    yield from run(panel())
    before = tree(document.rootNode())
    hold()

    def kill():
        yield from until_stage("queued", "cel")
        os.kill(PLAN["pid"], signal.SIGKILL)

    report["killed"] = yield from run(panel(), meanwhile=kill)
    report["nothing_lost"] = tree(document.rootNode()) == before
    yield from close(document)
