"""The sidebar of the Image Editor and of the Compositor. Only shows and binds."""

import bpy
from douga_client.errors import Mend
from douga_client.texts import button, stage_title

from .document import RESULT, result_of
from .model import mending, sentence
from .operators import active_image
from .session import queue, warm_soon
from .texts import language, translated

# What to do again, by what was done last; nothing yet: it was the question that failed.
_AGAIN = {"reconstruct": "douga.reconstruct", "cutout": "douga.cutout", "": "douga.ask"}


class _Panel:
    bl_label, bl_category, bl_region_type = "Douga", "Douga", "UI"

    @classmethod
    def poll(cls, context):
        """In the node editor only where the tree is a compositor's."""
        space = context.space_data
        return space.type == "IMAGE_EDITOR" or getattr(space, "tree_type", "") == "CompositorNodeTree"

    def draw(self, context):
        """Source, options, buttons, queue, messages."""
        warm_soon()
        layout, options = self.layout, context.scene.douga
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_source(layout, context, options)
        column = layout.column()
        column.scale_y = 1.4
        column.operator("douga.reconstruct", icon="OUTLINER_OB_GREASEPENCIL")
        layout.operator("douga.cutout", icon="MATFLUID")
        _draw_queue(layout, options)
        _draw_messages(layout, _most(context))
        column = layout.column(align=True)
        column.enabled = bool(result_of(active_image(context)))
        column.operator("douga.group", icon="NODETREE")
        column.operator("douga.export", icon="EXPORT")
        _draw_server(layout)


class _Options:
    bl_label, bl_category, bl_region_type = "Options", "Douga", "UI"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    def draw(self, context):
        """Models, palette, line width, and which images."""
        layout, options = self.layout, context.scene.douga
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("line_width_px", "palette", "cel_model", "lines_model"):
            layout.prop(options, name)
        layout.column(heading="Images").prop(options, "has_cel")
        layout.prop(options, "has_mask")
        layout.prop(options, "has_ids")
        layout.label(text="Classes")
        grid = layout.grid_flow(columns=2, align=True)
        grid.use_property_split = False
        grid.prop(options, "classes")


class DOUGA_PT_image(_Panel, bpy.types.Panel):
    """In the Image Editor."""

    bl_idname, bl_space_type = "DOUGA_PT_image", "IMAGE_EDITOR"


class DOUGA_PT_image_options(_Options, bpy.types.Panel):
    """Below it."""

    bl_idname, bl_space_type, bl_parent_id = "DOUGA_PT_image_options", "IMAGE_EDITOR", "DOUGA_PT_image"


class DOUGA_PT_node(_Panel, bpy.types.Panel):
    """In the Compositor."""

    bl_idname, bl_space_type = "DOUGA_PT_node", "NODE_EDITOR"


class DOUGA_PT_node_options(_Options, bpy.types.Panel):
    """Below it."""

    bl_idname, bl_space_type, bl_parent_id = "DOUGA_PT_node_options", "NODE_EDITOR", "DOUGA_PT_node"


def _draw_source(layout, context, options):
    layout.prop(options, "source")
    image = active_image(context)
    if options.source == "CLIP":
        layout.prop_search(options, "clip", bpy.data, "movieclips")
    elif options.source != "RENDER":
        layout.label(text=image.name if image else translated("No image"), icon="IMAGE_DATA", translate=False)
        if image is not None and image.get(RESULT):
            layout.label(text="A result of Douga", icon="INFO")
    if options.source in ("RANGE", "CLIP"):
        row = layout.row(align=True)
        row.prop(options, "first")
        row.prop(options, "last")


def _draw_queue(layout, options):
    for index, task in enumerate(queue().tasks):
        row = layout.row(align=True)
        row.use_property_split = False
        text = stage_title(task.stage, language())
        if task.is_range:
            text = f"{task.frames_done + 1}/{len(task.times)}: {text}"
        if index == 0:
            row.prop(options, "progress", text=text, slider=True, translate=False)
        else:
            row.label(text=f"{task.document.name}: {text}", translate=False)
        row.operator("douga.cancel", text="", icon="X").index = index


def _draw_messages(layout, most):
    error = queue().error
    if error is not None:
        box = layout.box()
        for number, line in enumerate(_lines(sentence(error, language(), translated), most)):
            box.label(text=line, icon="ERROR" if number == 0 else "BLANK1", translate=False)
        _draw_mend(box, error)
    last = queue().last
    for note in list(dict.fromkeys(last.notes if last is not None else []))[:4]:
        for number, line in enumerate(_lines(note, most)):
            layout.label(text=line, icon="INFO" if number == 0 else "BLANK1", translate=False)


def _draw_mend(box, error):
    mend, command = mending(error)
    label = button(mend, language())
    if mend is Mend.SETTINGS:
        box.operator("douga.settings", text=label, translate=False)
    elif mend is Mend.RETRY:
        last = queue().last
        again = box.operator(_AGAIN[last.kind if last is not None else ""], text=label, translate=False)
        if last is None:
            again.start = True
    elif mend is Mend.START:
        box.operator("douga.ask", text=label, translate=False).start = True
    if command:
        row = box.row()
        row.label(text=command, translate=False)
        row.operator("douga.copy", text="", icon="COPYDOWN").text = command


def _draw_server(layout):
    row = layout.row(align=True)
    info = queue().info
    said = f"{translated('Server')} {info.version}, {', '.join(info.devices)}" if info else "Server"
    row.label(text=said, icon="LINKED" if info else "UNLINKED", translate=not info)
    row.operator("douga.ask", text="", icon="FILE_REFRESH")
    row.operator("douga.settings", text="", icon="PREFERENCES")


def _most(context):
    """Letters that fit beside an icon; one is about 7 px wide."""
    scale = context.preferences.system.ui_scale
    return max(16, int((context.region.width / scale - 70) / 6.6))


def _lines(text, most):
    """Blender's labels do not wrap; Japanese has no spaces and is twice as wide."""
    lines, line, width = [], "", 0
    for word in text.split(" ") if language() != "ja" else list(text):
        gap = " " if line and language() != "ja" else ""
        wide = len(word) + len(gap) if language() != "ja" else 1 + (ord(word) > 255)
        if line and width + wide > most:
            lines.append(line)
            line, width, gap = "", 0, ""
        line, width = line + gap + word, width + wide
    return [*lines, line]


CLASSES = (DOUGA_PT_image, DOUGA_PT_image_options, DOUGA_PT_node, DOUGA_PT_node_options)


def register():
    """Make them known."""
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister():
    """Take them away."""
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
