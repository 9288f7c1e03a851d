"""The only module that touches images of GIMP: reads a frame, builds the group of layers."""

from __future__ import annotations

from dataclasses import dataclass

import douga_model as model
import gi
from douga_client.api import Reconstruction
from douga_client.choice import Choice
from douga_client.image import Pixels
from douga_client.layers import cropped

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp  # noqa: E402

_FORMAT = "R'G'B'A u8"  # GEGL converts from any precision and profile to this: 8-bit sRGB, straight alpha
_GROUP = "douga"
_MARK = "douga-result"  # a parasite of our groups, which are no part of what is seen


class DocumentError(Exception):
    """Something about the user's image that a person has to be told. Its text is a key of `douga_texts`."""


@dataclass(frozen=True)
class Frame:
    """What was read. region: the part that is wanted, None for all. is_converted: it was no 8-bit sRGB."""

    pixels: Pixels
    region: tuple[int, int, int, int] | None
    is_converted: bool


def read(image: Gimp.Image, drawables: list[Gimp.Drawable], source: str) -> Frame:
    """A frame of the image's size. source: "visible", "layer" or "selection". Raises DocumentError."""
    if image.get_base_type() != Gimp.ImageBaseType.RGB:
        raise DocumentError("The image is greyscale or indexed; choose Image > Mode > RGB first.")
    if not image.get_layers():
        raise DocumentError("The image has no layers; open a frame first.")
    width, height, region = image.get_width(), image.get_height(), None
    if source == "selection":
        _, some, left, top, right, bottom = Gimp.Selection.bounds(image)
        if not some:
            raise DocumentError("Nothing is selected; select a part of the image, or choose another source.")
        region = (left, top, right - left, bottom - top)
    if source == "layer":
        if len(drawables) != 1 or not isinstance(drawables[0], Gimp.Layer):
            raise DocumentError("Exactly one layer must be selected for this source.")
        _, left, top = drawables[0].get_offsets()
        data = (
            drawables[0]
            .get_buffer()
            .get(Gegl.Rectangle.new(-left, -top, width, height), 1.0, _FORMAT, Gegl.AbyssPolicy.NONE)
        )
    else:
        data = _visible(image)
    return Frame(Pixels(width, height, "RGBA8", bytes(data)), region, not _is_plain(image))


def _visible(image: Gimp.Image) -> bytes:
    """RGBA of what is seen, without results of ours, so that a second run sees what the first one saw."""
    whole = Gegl.Rectangle.new(0, 0, image.get_width(), image.get_height())
    has_results = any(layer.get_parasite(_MARK) for layer in image.get_layers())
    shown = image.duplicate() if has_results else image
    try:
        for layer in shown.get_layers() if has_results else ():
            if layer.get_parasite(_MARK):
                shown.remove_layer(layer)
        seen = Gimp.Layer.new_from_visible(shown, shown, "douga")
        data: bytes = seen.get_buffer().get(whole, 1.0, _FORMAT, Gegl.AbyssPolicy.NONE)
        seen.delete()
    finally:
        if has_results:
            shown.delete()
    return data


def build(image: Gimp.Image, frame: Frame, result: Reconstruction, choice: Choice) -> Gimp.GroupLayer:
    """Add one group with a layer a class and the cel in one undo step, or nothing.

    GIMP keeps an image that is closed meanwhile until the plug-in ends.
    """
    region = frame.region or (0, 0, frame.pixels.width, frame.pixels.height)
    image.undo_group_start()
    group = Gimp.GroupLayer.new(image, _GROUP)
    try:
        image.insert_layer(group, None, 0)
        group.attach_parasite(Gimp.Parasite.new(_MARK, Gimp.PARASITE_PERSISTENT, b"1"))
        place = 0
        for wanted in model.class_layers(result, choice):
            layer = _insert(image, group, wanted.title, region, place)
            for box, pixels in model.rgba_bands(result, wanted):
                layer.get_buffer().set(Gegl.Rectangle.new(*box), _FORMAT, pixels)
            layer.set_color_tag(getattr(Gimp.ColorTag, wanted.tag))
            _finish(layer)
            place += 1
        if choice.has_cel:
            _insert_cel(image, group, frame, result, region, place)
        group.set_expanded(True)
    except BaseException:
        if group.is_valid():
            image.remove_layer(group)
        raise
    finally:
        image.undo_group_end()
    return group


def _insert_cel(image, group, frame, result, region, place) -> None:  # type: ignore[no-untyped-def]
    layer = _insert(image, group, "cel", region, place)
    whole = Gegl.Rectangle.new(0, 0, result.width, result.height)
    pixels = bytes(cropped(frame.pixels.data, frame.pixels.width, region))
    layer.get_buffer().set(whole, _FORMAT, pixels)
    _finish(layer)
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    mask.get_buffer().set(whole, "Y u8", bytes(result.cel_mask))
    _finish(mask)
    layer.set_edit_mask(False)


def _insert(image, group, title, region, place):  # type: ignore[no-untyped-def]
    x, y, width, height = region
    layer = Gimp.Layer.new(
        image, title, width, height, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL
    )
    image.insert_layer(layer, group, place)
    layer.set_offsets(x, y)
    return layer


def _finish(drawable) -> None:  # type: ignore[no-untyped-def]
    drawable.get_buffer().flush()
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


def _is_plain(image: Gimp.Image) -> bool:
    """Whether the image is what the server takes already. No profile of its own: GIMP's sRGB."""
    return image.get_precision() == Gimp.Precision.U8_NON_LINEAR and image.get_color_profile() is None
