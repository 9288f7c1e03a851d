"""What the user chooses in the panel, kept in the scene and so in the .blend file."""

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from douga_client.choice import CLASS_KEYS, Choice
from douga_client.palette_file import chosen_palette
from douga_client.texts import class_title

from .model import Source
from .session import queue

CLASS_ITEMS = tuple(
    (key, class_title(key).capitalize(), "", 1 << number) for number, key in enumerate(CLASS_KEYS)
)
_SOURCES = (
    ("IMAGE", "Active image", "The image of this editor, or of the active Image node"),
    ("RENDER", "Rendered frame", "What was rendered or composited last, as the scene shows it"),
    ("RANGE", "Frames of the image", "A range of frames of an image sequence or a movie"),
    ("CLIP", "Frames of a clip", "A range of frames of a movie clip"),
)


def _models(stage: str):  # type: ignore[no-untyped-def]
    def names(self, context, typed):  # type: ignore[no-untyped-def]
        info = queue().info
        return [model.name for model in info.models if model.stage == stage] if info else []

    return names


def _palettes(self, context, typed):  # type: ignore[no-untyped-def]
    info = queue().info
    return [palette.name for palette in info.palettes] if info else []


_SUGGEST = {"SUGGESTION"}


class DougaOptions(bpy.types.PropertyGroup):
    """The panel's values."""

    source: EnumProperty(name="Source", items=_SOURCES, default="IMAGE")
    clip: PointerProperty(name="Clip", type=bpy.types.MovieClip)
    first: IntProperty(name="First frame", default=1, min=1, description="1 is the first of the file")
    last: IntProperty(name="Last frame", default=1, min=1)
    line_width_px: IntProperty(
        name="Line width", default=0, min=0, max=15, subtype="PIXEL", description="0: the server's default"
    )
    palette: StringProperty(
        name="Palette",
        description="A preset of the server's, or the path of a palette file (TOML)",
        search=_palettes,
        search_options=_SUGGEST,
    )
    cel_model: StringProperty(name="Cel model", search=_models("cel"), search_options=_SUGGEST)
    lines_model: StringProperty(name="Line model", search=_models("lines"), search_options=_SUGGEST)
    classes: EnumProperty(
        name="Classes", items=CLASS_ITEMS, options={"ENUM_FLAG"}, default=set(CLASS_KEYS[1:])
    )
    has_cel: BoolProperty(name="Cel", default=True, description="The frame with the cel mask as its alpha")
    has_mask: BoolProperty(name="Cel mask", default=True)
    has_ids: BoolProperty(
        name="Class ids", default=True, description="Every pixel's class, 0 to 9, divided by 255"
    )
    progress: FloatProperty(
        name="Progress", subtype="PERCENTAGE", min=0, max=100, get=lambda self: 100 * _share()
    )

    def choice(self) -> Choice:
        """The values for the client. Raises PaletteFileError."""
        return Choice(
            self.line_width_px,
            chosen_palette(bpy.path.abspath(self.palette)),
            self.cel_model,
            self.lines_model,
            frozenset(self.classes),
            self.has_cel,
            self.has_mask,
            self.has_ids,
        )

    def chosen(self, image_name: str) -> tuple[Source, tuple[int | None, ...]]:
        """The source and its frames. image_name: of the editor's active image."""
        frames = tuple(range(self.first, max(self.first, self.last) + 1))
        if self.source == "RENDER":
            return Source("RENDER", "Render Result"), (None,)
        if self.source == "CLIP":
            return Source("CLIP", self.clip.name if self.clip else ""), frames
        return Source("IMAGE", image_name), frames if self.source == "RANGE" else (None,)


def _share() -> float:
    tasks = queue().tasks
    return tasks[0].share if tasks else 0.0


def register() -> None:
    """Add them to every scene."""
    bpy.utils.register_class(DougaOptions)
    bpy.types.Scene.douga = PointerProperty(type=DougaOptions)


def unregister() -> None:
    """Take them away."""
    del bpy.types.Scene.douga
    bpy.utils.unregister_class(DougaOptions)
