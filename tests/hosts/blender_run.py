"""Runs within Blender: `blender -b -P blender_run.py -- job.json`. What it finds goes to the job's "out".

Each function is one errand of `test_blender.py`; its name is the job's "errand".
"""

import json
import sys
import time
from pathlib import Path

import bpy

JOB = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text())
OUT = Path(JOB["out"])
MODULE = JOB.get("module", "douga_blender")
FOUND: dict = {}


def package(name=""):
    """A module of the plugin."""
    import importlib

    return importlib.import_module(MODULE + (f".{name}" if name else ""))


def enable():
    """Switch the plugin on, and time it."""
    start_s = time.perf_counter()
    assert "FINISHED" in bpy.ops.preferences.addon_enable(module=MODULE)
    FOUND["register_s"] = time.perf_counter() - start_s
    FOUND["loaded"] = sorted(
        name for name in sys.modules if name.endswith(("client.client", ".h2.connection"))
    )


def said(call):
    """The error message of an operator that fails; Blender raises it for scripts."""
    try:
        return str(call())
    except RuntimeError as exc:
        return str(exc)


def pixels(image):
    """(height, width, channels) floats, rows from the top."""
    import numpy

    values = numpy.empty(len(image.pixels), numpy.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], -1)[::-1]


def keep_pixels(name, image):
    """Put bytes of an image where the test finds them."""
    import numpy

    numpy.save(OUT / f"{name}.npy", numpy.rint(pixels(image) * 255).astype(numpy.uint8))


def results():
    """The images that the plugin made."""
    return [image for image in bpy.data.images if image.get("douga_result")]


def reconstruct(path=None, **options):
    """Load a frame and take it apart, as a script would."""
    for name, value in options.items():
        setattr(bpy.context.scene.douga, name, value)
    name = bpy.data.images.load(str(path or JOB["frame"])).name
    return said(lambda: bpy.ops.douga.reconstruct(image=name))


def pictures():
    """A frame, its images, an EXR of them, the file saved and opened again."""
    FOUND["said"] = reconstruct()
    made = results()
    FOUND["images"] = [
        [i.name, i["douga_kind"], i["douga_class_id"], i.colorspace_settings.name, i.alpha_mode, list(i.size)]
        for i in made
    ]
    FOUND["exr"] = said(lambda: bpy.ops.douga.export(filepath=str(OUT / "layers.exr")))
    FOUND["group"] = said(lambda: bpy.ops.douga.group())
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "saved.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(OUT / "saved.blend"))
    FOUND["reopened"] = [[i.name, bool(i.packed_file)] for i in results()]
    for image in results():
        keep_pixels(f"{image['douga_kind']}{image['douga_class_id']}", image)
    FOUND["sockets"] = _sockets()
    _render_exr()
    _render_group()


def _sockets():
    node = next(n for n in bpy.context.scene.node_tree.nodes if n.type == "GROUP")
    return [[s.name for s in node.inputs], [s.name for s in node.outputs]]


def _file_outputs(tree, outputs, folder):
    """Each output into an EXR of its own, 32 bits."""
    node = tree.nodes.new("CompositorNodeOutputFile")
    node.base_path = str(folder)
    node.format.file_format, node.format.color_depth, node.format.color_mode = "OPEN_EXR", "32", "RGBA"
    node.file_slots.clear()
    for name, socket in outputs:
        node.file_slots.new(name + "_")
        tree.links.new(socket, node.inputs[-1])


def _rendered(scene, size):
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.frame_current = 1
    bpy.ops.render.render(scene=scene.name)


def _keep_floats(folder):
    """EXR files with one layer each, as floats; OpenCV's wheels read none."""
    import numpy

    for path in sorted(folder.glob("*.exr")):
        image = bpy.data.images.load(str(path))
        numpy.save(folder / f"{path.stem.rpartition('_')[0]}.npy", pixels(image))
        bpy.data.images.remove(image)


def _fresh_scene():
    scene = bpy.data.scenes.new("check")
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    return scene, scene.node_tree


def _render_exr():
    """Blender itself opens the multilayer file; what it finds in each layer is written for the test."""
    scene, tree = _fresh_scene()
    image = bpy.data.images.load(str(OUT / "layers.exr"))
    node = tree.nodes.new("CompositorNodeImage")
    node.image = image
    FOUND["exr_type"] = image.type
    if node.outputs[0].name == "Image" and len(node.outputs) < 3:
        bpy.context.view_layer.update()
    FOUND["exr_layers"] = [socket.name for socket in node.outputs]
    tree.links.new(node.outputs[0], tree.nodes.new("CompositorNodeComposite").inputs[0])
    _file_outputs(tree, [(s.name, s) for s in node.outputs if s.enabled], OUT / "exr")
    _rendered(scene, results()[0].size)
    _keep_floats(OUT / "exr")


def _render_group():
    """What comes out of the group of nodes."""
    size = next(i for i in results()).size[:]
    scene, tree = _fresh_scene()
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = next(g for g in bpy.data.node_groups if g.name.startswith("Douga"))
    for socket in node.inputs:
        socket.default_value = 1
    tree.links.new(node.outputs["Mix"], tree.nodes.new("CompositorNodeComposite").inputs[0])
    _file_outputs(tree, [(s.name, s) for s in node.outputs], OUT / "group")
    _rendered(scene, size)
    _keep_floats(OUT / "group")


def frames():
    """A sequence, a movie and the rendered frame."""
    options = bpy.context.scene.douga
    options.classes, options.has_cel, options.has_mask = {"visible_line"}, False, False
    first = bpy.data.images.load(JOB["sequence"])
    first.source = "SEQUENCE"
    options.source, options.first, options.last = "RANGE", 1, 2
    FOUND["sequence"] = said(lambda: bpy.ops.douga.reconstruct(image=first.name))
    options.source, options.clip = "CLIP", bpy.data.movieclips.load(JOB["movie"])
    FOUND["movie"] = said(lambda: bpy.ops.douga.reconstruct())
    options.last = 99
    FOUND["too_far"] = said(lambda: bpy.ops.douga.reconstruct())
    options.source = "RENDER"
    FOUND["not_rendered"] = said(lambda: bpy.ops.douga.reconstruct())
    scene = bpy.context.scene
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    node = tree.nodes.new("CompositorNodeImage")
    node.image = bpy.data.images.load(JOB["frame"], check_existing=False)
    tree.links.new(node.outputs[0], tree.nodes.new("CompositorNodeComposite").inputs[0])
    scene.view_settings.view_transform = "Standard"
    scene.render.dither_intensity = 0
    scene.render.image_settings.file_format = "JPEG"
    scene.render.engine = "BLENDER_WORKBENCH"
    _rendered(scene, node.image.size)
    FOUND["render"] = said(lambda: bpy.ops.douga.reconstruct())
    FOUND["kept_format"] = scene.render.image_settings.file_format
    FOUND["names"] = [i.name for i in results()]
    FOUND["scenes"] = len(bpy.data.scenes)
    FOUND["left"] = [i.name for i in bpy.data.images if not i.get("douga_result")]
    for image in results():
        if image["douga_kind"] == "class_ids":
            keep_pixels(image.name, image)


def _float_image(rows):
    """(height, width, 3) linear values from the top."""
    import numpy

    values = numpy.ones((len(rows), len(rows[0]), 4), numpy.float32)
    values[..., :3] = numpy.array(rows)[::-1]
    image = bpy.data.images.new("float", len(rows[0]), len(rows), alpha=True, float_buffer=True)
    image.pixels.foreach_set(values.ravel())
    return image


def colours():
    """Float, 16-bit and other colour spaces: what the server would be sent."""
    document = package("document")
    for name, path, space in JOB["images"]:
        image = _float_image(JOB["linear"]) if name == "float" else bpy.data.images.load(path)
        if space == "Linear" and bpy.app.version >= (4, 0):
            space = "Linear Rec.709"  # the same, under another name
        if space:
            image.colorspace_settings.name = space
        notes = []
        steps = document.read_image(image, notes)
        try:
            while True:
                next(steps)
        except StopIteration as done:
            sent = done.value
        FOUND[name] = [sent.width, sent.height, sent.layout, bytes(sent.data).hex(), notes, image.is_float]


def faults():
    """What is said when something is missing."""
    FOUND["server"] = reconstruct()
    FOUND["no_image"] = said(lambda: bpy.ops.douga.reconstruct(image="gone"))
    empty = bpy.data.images.new("empty", 8, 8)
    empty.source, empty.filepath = "FILE", "/nowhere/at/all.png"
    FOUND["empty"] = said(lambda: bpy.ops.douga.reconstruct(image="empty"))
    FOUND["cutout"] = said(lambda: bpy.ops.douga.cutout(image="empty"))
    FOUND["no_result"] = said(lambda: bpy.ops.douga.export(filepath=str(OUT / "x.exr")))
    FOUND["no_group"] = said(lambda: bpy.ops.douga.group())
    FOUND["images"] = [i.name for i in results()]


def killed():
    """The server is killed while the frame is under way; the source image is removed too."""
    import os
    import signal

    queue = package("session").queue()
    image = bpy.data.images.load(JOB["frame"])
    Path(JOB["hold"]).write_text("")
    task = added(queue, image.name)
    until_s = time.monotonic() + 90
    while not task.is_done and time.monotonic() < until_s:
        queue.tick()
        if task.stage in ("queued", "cel", "lines") and JOB["pid"]:
            os.kill(JOB["pid"], signal.SIGKILL)
            JOB["pid"] = 0
            bpy.data.images.remove(image)
        time.sleep(0.002)
    FOUND.update(said=str(task.error), done=task.is_done, images=len(results()), pid=JOB["pid"])
    FOUND["slice_s"] = queue.longest_slice_s


def crowded():
    """Others have filled the server's queue; a little later they are done."""
    client, settings = package("douga_client.client"), package("douga_client.settings")
    api, pixels = package("douga_client.api"), package("douga_client.image")
    held = Path(JOB["hold"])
    held.write_text("")
    others = client.open_client(settings.read(), max_under_way=3)
    frame = pixels.Pixels(8, 8, "RGB8", bytes(192))
    jobs = [others.submit(api.ReconstructRequest(frame)) for _ in range(3)]
    _ticked(others.pump, lambda: all(job.stage in ("queued", "cel") for job in jobs))
    queue = package("session").queue()
    task = added(queue, bpy.data.images.load(JOB["frame"]).name)
    _ticked(queue.tick, lambda: task.job is not None and task.stage == "waiting")
    start_s = time.monotonic()
    _ticked(queue.tick, lambda: task.is_done or time.monotonic() > start_s + 1.0)
    FOUND["waits"] = [task.stage, task.is_done]
    held.unlink()
    _ticked(queue.tick, lambda: task.is_done)
    others.close()
    FOUND.update(said=str(task.error), images=len(results()))


def _ticked(tick, done):
    """As a timer would; gives up after a minute."""
    until_s = time.monotonic() + 60
    while not done() and time.monotonic() < until_s:
        tick()
        time.sleep(0.002)


def added(queue, name):
    """A click on an image."""
    tasks, document, model = package("douga_client.tasks"), package("document"), package("model")
    source = document.BlenderDocument(model.Source("IMAGE", name))
    return queue.add(tasks.Task("reconstruct", source, bpy.context.scene.douga.choice()))


def timed_steps(queue):
    """Every step's seconds, those for which it had a core, and its stage."""
    step, steps = queue._step, []

    def timed_step(task):
        before, start_s, work_s = task.stage, time.perf_counter(), time.thread_time()
        wanted = step(task)
        steps.append((time.thread_time() - work_s, time.perf_counter() - start_s, before))
        return wanted

    queue._step = timed_step
    return steps


def large():
    """8K with the client's fake: every slice is timed, then the EXR."""
    session = package("session")
    session._open = package("douga_client.fake").FakeClient
    queue = session.queue()
    image = bpy.data.images.new("large", 7680, 4320)
    image.generated_type = "UV_GRID"
    steps = timed_steps(queue)
    task = added(queue, "large")
    len(image.pixels)  # Blender makes them when they are first asked for
    start_s = time.perf_counter()
    while not task.is_done:
        queue.tick()
    FOUND.update(said=str(task.error), images=[i.name for i in results()])
    FOUND["seconds"], FOUND["steps"] = time.perf_counter() - start_s, sorted(steps)[-6:]


def timing():
    """Click to images, the server's own seconds, the longest slice; the first click and the ones after it."""
    queue = package("session").queue()
    image = bpy.data.images.load(JOB["frame"])
    FOUND["clicks"] = []
    steps = timed_steps(queue)
    if JOB["seen"]:
        queue.warm()
        _ticked(queue.tick, lambda: queue.is_warm)
    for _ in range(JOB.get("clicks", 3)):
        queue.longest_slice_s, start_s = 0.0, time.perf_counter()
        task = added(queue, image.name)
        while not task.is_done:
            queue.tick()
            time.sleep(min(queue.pause_s, 0.01))
        spent_s = time.perf_counter() - start_s
        FOUND["clicks"].append([spent_s, task.server_s, queue.longest_slice_s, str(task.error)])
    FOUND["steps"] = sorted(steps)[-6:]


try:
    enable()
    globals()[JOB["errand"]]()
    bpy.ops.preferences.addon_disable(module=MODULE)
finally:
    (OUT / "found.json").write_text(json.dumps(FOUND))
