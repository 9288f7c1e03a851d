"""The operators: each puts something into the queue and, where there is a screen, moves it on by a timer."""

import time
from pathlib import Path

import bpy
from bpy.props import IntProperty, StringProperty
from douga_client.errors import ClientError
from douga_client.palette_file import PaletteFileError
from douga_client.tasks import SLICE_S, DocumentError, Task

from . import export, nodes
from .document import BlenderDocument, result_of
from .model import cutout_refusal, sentence
from .session import end, queue
from .texts import language, translated

_ASK_TIMEOUT_S = 20.0


def active_image(context):
    """The image of the editor, or of the node that is active in the compositor."""
    space = context.space_data
    if space is not None and space.type == "IMAGE_EDITOR":
        return space.image
    node = context.active_node if space is not None and space.type == "NODE_EDITOR" else None
    return getattr(node, "image", None)


def told(operator, error):
    """Report one readable message and end without an undo step."""
    kind = "INFO" if isinstance(error, ClientError) and error.kind.value == "cancelled" else "ERROR"
    operator.report({kind}, sentence(error, language(), translated))
    return {"CANCELLED"}


def redraw(context):
    """Panels that show the queue."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("IMAGE_EDITOR", "NODE_EDITOR"):
                area.tag_redraw()


class _Working:
    """Steps by a timer; with a screen they give way to it after a slice, without one they run through."""

    _timer = None

    def begin(self, context):
        """Start the timer."""
        manager = context.window_manager
        self._timer = manager.event_timer_add(0.01, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def finish(self, context):
        """Stop the timer."""
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        redraw(context)


class _TaskOperator(_Working):
    """One task of the studio."""

    image: StringProperty(name="Image", description="Instead of the editor's", options={"SKIP_SAVE"})
    kind = "reconstruct"
    _task = None
    _drawn_s = 0.0

    def execute(self, context):
        """At once, for scripts and `blender -b`."""
        if not self._added(context):
            return {"CANCELLED"}
        queue().run(self._task)
        return self._told()

    def invoke(self, context, event):
        """By the timer."""
        if bpy.app.background or context.window is None:
            return self.execute(context)
        return self.begin(context) if self._added(context) else {"CANCELLED"}

    def modal(self, context, event):
        """Esc gives up; everything else goes on to Blender."""
        if event.type == "ESC" and event.value == "PRESS":
            queue().cancel(self._task)
        elif event.type == "TIMER":
            queue().tick()
            if time.monotonic() - self._drawn_s > 0.1:
                self._drawn_s = time.monotonic()
                redraw(context)
        if not self._task.is_done:
            return {"RUNNING_MODAL"} if event.type == "ESC" else {"PASS_THROUGH"}
        self.finish(context)
        if self._task.made and self._task.error is None:
            _show_first(context, self._task.made)
        return self._told()

    def cancel(self, context):
        """Blender ends it: the window or the file is closed."""
        if self._task is not None:
            queue().cancel(self._task)
        self.finish(context)

    def _added(self, context):
        options = context.scene.douga
        active = active_image(context)
        source, times = options.chosen(self.image or (active.name if active else ""))
        try:
            choice = options.choice()
        except PaletteFileError as exc:
            error = DocumentError("The palette cannot be read:", f"{options.palette}: {exc}")
            queue().error = error
            told(self, error)
            return False
        self._task = queue().add(Task(self.kind, BlenderDocument(source), choice, times))
        return True

    def _told(self):
        task = self._task
        if task.error is not None:
            ended = told(self, task.error)
            return {"FINISHED"} if task.made else ended  # the frames before it stay, with an undo step
        self.report({"INFO"}, f"Douga: {len(task.made)} {translated('images')}")
        for note in dict.fromkeys(task.notes):
            self.report({"INFO"}, note)
        return {"FINISHED"}


class DOUGA_OT_reconstruct(_TaskOperator, bpy.types.Operator):
    """Take a frame apart into an image for each class of line and area, the cel and its mask"""

    bl_idname, bl_label, bl_options = "douga.reconstruct", "Reconstruct douga", {"REGISTER", "UNDO"}
    image: StringProperty(name="Image", options={"SKIP_SAVE"})


class DOUGA_OT_cutout(_TaskOperator, bpy.types.Operator):
    """Cut a character out of its background, with soft edges"""

    bl_idname, bl_label, bl_options = "douga.cutout", "Cut out alpha", {"REGISTER", "UNDO"}
    image: StringProperty(name="Image", options={"SKIP_SAVE"})
    kind = "cutout"

    @classmethod
    def poll(cls, context):
        """Shown disabled, with the reason, where the server cannot do it."""
        refusal = cutout_refusal(queue().info)
        if refusal:
            cls.poll_message_set(translated(refusal))
        return not refusal


class DOUGA_OT_group(bpy.types.Operator):
    """Put the newest result, or the active image's, into the compositor as one group of nodes"""

    bl_idname, bl_label, bl_options = "douga.group", "Add to compositor", {"REGISTER", "UNDO"}

    def execute(self, context):
        """One undo step."""
        try:
            nodes.add_to_scene(context.scene, nodes.make_group(result_of(active_image(context))))
        except DocumentError as exc:
            return told(self, exc)
        return {"FINISHED"}


class DOUGA_OT_export(_Working, bpy.types.Operator):
    """Write the newest result, or the active image's, into one EXR file with a layer for each image"""

    bl_idname, bl_label, bl_options = "douga.export", "Export multilayer EXR", {"REGISTER"}
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.exr", options={"HIDDEN"})
    _steps = None

    def invoke(self, context, event):
        """Ask where to."""
        if not self.filepath:
            self.filepath = (result_of(active_image(context)).rpartition(" ")[0] or "douga") + ".exr"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        """At once without a screen, else by the timer."""
        path = Path(bpy.path.abspath(self.filepath)).with_suffix(".exr")
        self._steps = export.export(result_of(active_image(context)), path)
        if not bpy.app.background and context.window is not None:
            return self.begin(context)
        while (ended := self._advanced(60.0)) is None:
            pass
        return ended

    def modal(self, context, event):
        """Esc gives up and leaves no file."""
        if event.type == "ESC" and event.value == "PRESS":
            self.cancel(context)
            return {"CANCELLED"}
        ended = self._advanced(SLICE_S) if event.type == "TIMER" else None
        if ended is None:
            return {"PASS_THROUGH"}
        self.finish(context)
        return ended

    def cancel(self, context):
        """Leave no half file."""
        if self._steps is not None:
            self._steps.close()
        self.finish(context)

    def _advanced(self, budget_s):
        until_s = time.monotonic() + budget_s
        try:
            while time.monotonic() < until_s:
                next(self._steps)
        except StopIteration as done:
            self.report({"INFO"}, f"Douga: {done.value} {translated('layers')}")
            return {"FINISHED"}
        except DocumentError as exc:
            return told(self, exc)
        return None


class DOUGA_OT_cancel(bpy.types.Operator):
    """Give this up (Esc)"""

    bl_idname, bl_label, bl_options = "douga.cancel", "Cancel", {"INTERNAL"}
    index: IntProperty(default=0, min=0)

    def execute(self, context):
        """The task at that place of the queue."""
        tasks = queue().tasks
        if self.index < len(tasks):
            queue().cancel(tasks[self.index])
        return {"FINISHED"}


class DOUGA_OT_ask(_Working, bpy.types.Operator):
    """Ask the server what it can do: models, palettes, cutting out"""

    bl_idname, bl_label, bl_options = "douga.ask", "Ask the server", {"INTERNAL"}
    start: bpy.props.BoolProperty(name="Start one", default=False, options={"SKIP_SAVE"})

    def invoke(self, context, event):
        """By the timer."""
        if bpy.app.background or context.window is None:
            return self.execute(context)
        queue().ask(may_start=self.start)
        return self.begin(context)

    def execute(self, context):
        """At once."""
        queue().ask(may_start=self.start)
        until_s = time.monotonic() + _ASK_TIMEOUT_S
        while queue().is_asking and time.monotonic() < until_s:
            queue().tick()
            time.sleep(0.005)
        return self._told()

    def modal(self, context, event):
        """Until it has answered."""
        if event.type == "TIMER":
            queue().tick()
        if queue().is_asking:
            return {"PASS_THROUGH"}
        self.finish(context)
        return self._told()

    def cancel(self, context):
        """The window is closed."""
        self.finish(context)

    def _told(self):
        return told(self, queue().error) if queue().error is not None else {"FINISHED"}


class DOUGA_OT_settings(bpy.types.Operator):
    """Open the settings: which server, token, TLS"""

    bl_idname, bl_label, bl_options = "douga.settings", "Open settings", {"INTERNAL"}

    def execute(self, context):
        """Blender's preferences, at our page."""
        bpy.ops.screen.userpref_show("INVOKE_DEFAULT")
        context.preferences.active_section = "ADDONS"
        bpy.ops.preferences.addon_show(module=__package__)
        return {"FINISHED"}


class DOUGA_OT_copy(bpy.types.Operator):
    """Copy the command that mends it, for a terminal"""

    bl_idname, bl_label, bl_options = "douga.copy", "Copy the command", {"INTERNAL"}
    text: StringProperty()

    def execute(self, context):
        """Into the clipboard."""
        context.window_manager.clipboard = self.text
        return {"FINISHED"}


def _show_first(context, names):
    """The editor that was clicked in shows the first image of the result."""
    space = context.space_data
    image = bpy.data.images.get(names[0])
    if space is not None and space.type == "IMAGE_EDITOR" and image is not None:
        space.image = image


CLASSES = (
    *(DOUGA_OT_reconstruct, DOUGA_OT_cutout, DOUGA_OT_group, DOUGA_OT_export),
    *(DOUGA_OT_cancel, DOUGA_OT_ask, DOUGA_OT_settings, DOUGA_OT_copy),
)


@bpy.app.handlers.persistent
def _file_goes(*_):
    queue().cancel_all()


def register():
    """Make them known."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    bpy.app.handlers.load_pre.append(_file_goes)


def unregister():
    """Give up what is under way."""
    end()
    bpy.app.handlers.load_pre.remove(_file_goes)
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
