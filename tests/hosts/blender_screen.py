"""Runs within Blender's user interface: `blender -P blender_screen.py -- job.json`; see `on_screen`.

A script of waits: each `yield` gives the screen back until the next turn of a timer.
"""

import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

import bpy

JOB = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text())
OUT = Path(JOB["out"])
FOUND: dict = {}
_gap: dict = {"s": 0.0, "work_s": 0.0}  # the longest that the screen was held up, and for how long we worked
_last: tuple = ()


def area_of(kind):
    """The area of an editor, and a context for operators in it."""
    window = bpy.context.window_manager.windows[0]
    area = next(a for a in window.screen.areas if a.type == kind)
    region = next(r for r in area.regions if r.type == "WINDOW")
    return area, bpy.context.temp_override(window=window, area=area, region=region)


def set_up():
    """Image Editor to the left, Compositor to the right, both with our tab open."""
    window = bpy.context.window_manager.windows[0]
    window.workspace = bpy.data.workspaces["Compositing"]
    yield from pause(1.0)
    areas = sorted(window.screen.areas, key=lambda a: -a.width * a.height)
    areas[0].ui_type = "CompositorNodeTree"
    with bpy.context.temp_override(window=window, area=areas[0], region=areas[0].regions[-1]):
        bpy.ops.screen.area_split(direction="VERTICAL", factor=0.52)
    yield from pause(0.5)
    nodes = sorted((a for a in window.screen.areas if a.ui_type == "CompositorNodeTree"), key=lambda a: a.x)
    nodes[0].ui_type = "IMAGE_EDITOR"
    for area in window.screen.areas:
        if area.type in ("IMAGE_EDITOR", "NODE_EDITOR"):
            area.spaces.active.show_region_ui = True
    yield from pause(1.0)
    for area in window.screen.areas:
        for region in area.regions:
            if region.type == "UI" and hasattr(region, "active_panel_category"):
                try:
                    region.active_panel_category = "Douga"
                except (AttributeError, TypeError):
                    FOUND["tab"] = "by mouse"
    yield from pause(0.5)


def press_tabs():
    """Blender 3.4 cannot choose a sidebar's tab by script; the mouse can."""
    window = bpy.context.window_manager.windows[0]
    for kind, tab in (("IMAGE_EDITOR", JOB["image_tab_px"]), ("NODE_EDITOR", JOB["node_tab_px"])):
        area = next(a for a in window.screen.areas if a.type == kind)
        region = next(r for r in area.regions if r.type == "UI")
        title_px = JOB["screen_px"][1] - window.height
        x, y = region.x + region.width - 10, title_px + window.height - (region.y + region.height) + tab
        subprocess.run(["xdotool", "mousemove", str(x), str(y), "click", "1"], check=False)
        yield from pause(1.0)
    subprocess.run(["xdotool", "mousemove", "5", str(window.height - 5)], check=False)


def pause(seconds):
    """Let the screen work."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        yield


def shot(name):
    """What is on the screen."""
    subprocess.run(["scrot", "-o", str(OUT / name)], check=False)


def story():
    """Cancel by Esc, a frame to its end, group and EXR, Japanese, what is said where nobody answers."""
    yield from pause(1.5)
    bpy.ops.preferences.addon_enable(module="douga_blender")
    queue = sys.modules["douga_blender.session"].queue()
    yield from set_up()
    area, context = area_of("IMAGE_EDITOR")
    area.spaces.active.image = bpy.data.images.load(JOB["frame"])
    yield from pause(0.5)
    yield from press_tabs()
    with context:
        bpy.ops.image.view_all(fit_view=True)
        bpy.ops.douga.reconstruct("INVOKE_DEFAULT")
    task = queue.tasks[0]
    while task.stage not in ("queued", "cel", "lines"):
        yield
    yield from pause(0.4)
    shot("progress.png")
    subprocess.run(["xdotool", "key", "Escape"], check=False)
    start_s = time.monotonic()
    while not task.is_done and time.monotonic() < start_s + 20:
        yield
    FOUND["cancelled"] = str(task.error)
    yield from pause(0.3)
    yield from timed(queue)
    yield from node_group()
    shot("done.png")
    yield from exported()
    yield from settings_page("settings.png")
    yield from japanese()
    yield from undo()
    if JOB.get("breaks"):
        package = sys.modules["douga_blender.preferences"]
        package._change("server", "unix:/nowhere/s.sock")
        with area_of("IMAGE_EDITOR")[1]:
            bpy.ops.douga.reconstruct("INVOKE_DEFAULT", image=Path(JOB["frame"]).name)
        while queue.tasks:
            yield
        yield from pause(0.5)
        FOUND["refused"] = str(queue.error)
        shot("refused.png")


def timed(queue):
    """A frame to its end, with the longest time that the screen was held up."""
    with area_of("IMAGE_EDITOR")[1]:
        queue.longest_slice_s, start_s = 0.0, time.perf_counter()
        _gap.update(s=0.0, work_s=0.0)
        bpy.ops.douga.reconstruct("INVOKE_DEFAULT", image=Path(JOB["frame"]).name)
    task = queue.tasks[0]
    while not task.is_done:
        yield
    FOUND["click_s"] = time.perf_counter() - start_s
    FOUND.update(slice_s=queue.longest_slice_s, gap=dict(_gap), said=str(task.error))
    FOUND.update(server_s=task.server_s, images=task.made)
    yield from pause(1.0)
    shown = area_of("IMAGE_EDITOR")[0].spaces.active.image
    FOUND["shown"] = shown.name if shown else ""


def node_group():
    """The result in the compositor."""
    area, context = area_of("NODE_EDITOR")
    with context:
        bpy.ops.douga.group("INVOKE_DEFAULT", True)
        yield from pause(0.5)
    scene = bpy.context.scene
    tree = scene.node_tree
    group = next(n for n in tree.nodes if n.type == "GROUP")
    for node in [n for n in tree.nodes if n.type == "R_LAYERS"]:
        tree.nodes.remove(node)
    viewer = tree.nodes.new("CompositorNodeViewer")
    group.location, viewer.location = (0, 300), (380, 200)
    composite = next(n for n in tree.nodes if n.type == "COMPOSITE")
    composite.location = (380, 400)
    tree.links.new(group.outputs["Mix"], composite.inputs[0])
    tree.links.new(group.outputs["Mix"], viewer.inputs[0])
    yield from pause(0.5)
    area, context = area_of("NODE_EDITOR")
    area.spaces.active.backdrop_zoom = 0.24
    area.spaces.active.backdrop_offset = (0, -170)
    with context:
        bpy.ops.node.view_all()
    area_of("IMAGE_EDITOR")[0].spaces.active.image = next(
        i for i in bpy.data.images if i.get("douga_kind") == "cel"
    )
    yield from pause(JOB.get("patience_s", 2.5))
    viewed = bpy.data.images.get("Viewer Node")
    FOUND["viewer"] = list(viewed.size) if viewed else []


def exported():
    """The multilayer EXR, by the operator's timer."""
    path = OUT / "shown.exr"
    with area_of("IMAGE_EDITOR")[1]:
        _gap.update(s=0.0, work_s=0.0)
        FOUND["exr"] = {"begun": sorted(bpy.ops.douga.export("EXEC_DEFAULT", filepath=str(path)))}
    until_s = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until_s:
        yield
    FOUND["exr"].update(_gap, bytes=path.stat().st_size if path.exists() else 0)


def settings_page(name):
    """Blender's preferences at our page, in a window of their own."""
    windows = bpy.context.window_manager.windows
    with area_of("IMAGE_EDITOR")[1]:
        bpy.ops.douga.settings()
    yield from pause(2.0)
    FOUND["windows"] = len(windows)
    shot(name)
    with bpy.context.temp_override(window=windows[-1]):
        bpy.ops.wm.window_close()
    yield from pause(0.5)


def japanese():
    """The panel and the page in Japanese, then English again."""
    view = bpy.context.preferences.view
    view.language, view.use_translate_interface = "ja_JP", True
    yield from pause(1.5)
    shot("japanese.png")
    FOUND["japanese"] = sys.modules["douga_blender.texts"].translated("Reconstruct douga")
    yield from settings_page("japanese_settings.png")
    view.language = "en_US"
    yield from pause(0.5)


def undo():
    """Two undo steps: the group goes, then the images."""
    before = [len(bpy.data.node_groups), sum(1 for i in bpy.data.images if i.get("douga_result"))]
    with area_of("NODE_EDITOR")[1]:
        bpy.ops.ed.undo()
    yield from pause(0.5)
    FOUND["undo"] = [before, len(bpy.data.node_groups), len(bpy.data.images)]


def turn():
    """One turn of the timer."""
    global _last
    now = time.perf_counter(), time.thread_time()
    if _last:
        _gap["s"] = max(_gap["s"], now[0] - _last[0])
        _gap["work_s"] = max(_gap["work_s"], now[1] - _last[1])
    _last = now
    try:
        next(STEPS)
    except Exception as exc:
        if not isinstance(exc, StopIteration):
            FOUND["trouble"] = traceback.format_exc()
        (OUT / "found.json").write_text(json.dumps(FOUND))
        bpy.ops.wm.quit_blender()
        return None
    return 0.01


STEPS = story()
bpy.app.timers.register(turn, first_interval=1.0, persistent=True)
