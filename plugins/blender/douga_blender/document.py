"""The one place where images of the .blend file are read and made. No pixels change here untold.

Blender keeps rows from the bottom up and pixels as floats; byte images as they are stored with straight
alpha, float images scene linear and premultiplied. The server takes 8 bits, sRGB, straight, from the top.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import time as now
from typing import Any

import bpy
from douga_client.api import Cutout, Palette, Result
from douga_client.choice import Choice
from douga_client.image import Pixels
from douga_client.tasks import DocumentError, Frame, Steps

from . import encode, frames
from .model import Source

RESULT, KIND, CLASS_ID, MADE = "douga_result", "douga_kind", "douga_class_id", "douga_made"
TITLE, FRAME, PALETTE = "douga_title", "douga_frame", "douga_palette"
_AS_STORED = ("srgb", "non-color", "raw", "data")
_BAND = 1 << 18  # pixels a slice
_PREFERRED_DATA = ("Non-Color", "Raw", "Utility - Raw")


class BlenderDocument:
    """A source within the .blend file that is open; see `tasks.Document`."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """See `tasks.Document`."""
        return self._source.name

    def read(self, time: int | None) -> Steps[Frame | None]:
        """See `tasks.Document`. time: 1 is the first frame."""
        _numpy()
        yield False
        notes: list[str] = []
        if time is not None:
            with ExitStack() as kept:
                image = yield from frames.opened(self._source, time, kept)
                pixels = yield from read_image(image, notes)
        else:
            image = bpy.data.images.get(self._source.name)
            if self._source.kind == "RENDER" or (image is not None and image.type == "RENDER_RESULT"):
                pixels = yield from _read_render(notes)
            elif image is not None:
                pixels = yield from read_image(image, notes)
            else:
                raise DocumentError("There is no image here: open one, or choose another source")
        return Frame(pixels, notes=tuple(notes))

    def prepare(self, choice: Choice) -> Steps[None]:
        """Nothing."""
        yield True

    def place(self, result: Result, frame: Frame, choice: Choice, time: int | None) -> Steps[Sequence[str]]:
        """See `tasks.Document`."""
        width, height, pixels = result.width, result.height, frame.pixels
        if isinstance(result, Cutout):
            png = yield from encode.with_alpha(result.colors, 3, result.alpha, width, height)
            cutout = [("cutout", "cutout", -1, png)]
            return (yield from _added(_stem(self.name, time), time, cutout, Palette("")))
        ids_png = yield from encode.grey(result.class_map, width, height)
        present = choice.layers_of(result)
        yield False
        files: list[tuple[str, str, int, bytes]] = []
        for one in sorted(present, key=lambda entry: entry.class_id):
            png = encode.one_class(ids_png, one.class_id, one.colors[0])
            files.append((one.title, "class", one.class_id, png))
            yield False
        if choice.has_cel:
            png = yield from encode.with_alpha(pixels.data, pixels.channels, result.cel_mask, width, height)
            files.append(("cel", "cel", -1, png))
        if choice.has_mask:
            png = yield from encode.grey(result.cel_mask, width, height)
            files.append(("cel mask", "cel_mask", -1, png))
        if choice.has_ids:
            files.append(("class ids", "class_ids", -1, ids_png))
        return (yield from _added(_stem(self.name, time), time, files, result.palette))

    def finish(self) -> Steps[None]:
        """Each frame has its images already."""
        yield False

    def release(self) -> None:
        """Nothing is kept."""


def read_image(image: Any, notes: list[str]) -> Steps[Pixels]:
    """An image -> RGB8, or RGBA8 where something is transparent. Raises DocumentError."""
    _refuse_unreadable(image)
    name, is_float = image.colorspace_settings.name, image.is_float
    as_stored = name.lower().startswith(_AS_STORED) or "raw" in name.lower()
    if not is_float and not as_stored:
        notes.append(f"{image.name}: converted from {name} to sRGB")
        return (yield from _through_save(image))
    width, height = image.size
    channels = image.channels
    values = yield from _values(image, width * height * channels)
    if is_float:
        done = "taken as it is" if as_stored and name.lower()[:4] != "srgb" else "linear to sRGB"
        notes.append(f"{image.name}: float image ({name}), {done}, to 8 bits; outside 0 to 1 is cut")
    linear = is_float and (not as_stored or name.lower().startswith("srgb"))
    return (yield from _in_bytes(values.reshape(height, width, channels), linear, is_float))


def rgba_bytes(image: Any) -> Steps[Any]:
    """A byte image of ours -> (height, width, 4) uint8, rows from the top, straight alpha, as stored."""
    numpy = _numpy()
    width, height = image.size
    values = yield from _values(image, width * height * image.channels)
    out = numpy.empty((height, width, image.channels), numpy.uint8)
    for top, bottom in _bands(width, height):
        out[top:bottom] = _byte(values.reshape(out.shape)[height - bottom : height - top][::-1])
        yield False
    return out


def result_of(image: Any) -> str:
    """The result that an image belongs to, else the newest one, else ""."""
    if image is not None and image.get(RESULT):
        return str(image[RESULT])
    ours = [image for image in bpy.data.images if image.get(RESULT)]
    return str(max(ours, key=lambda image: float(image.get(MADE, 0)))[RESULT]) if ours else ""


def images_of(result: str) -> list[Any]:
    """The images of a result: classes by their ids, then cel, cel mask and class ids."""
    kinds = ("class", "cel", "cel_mask", "class_ids", "cutout")
    ours = [image for image in bpy.data.images if image.get(RESULT) == result]
    return sorted(ours, key=lambda image: (kinds.index(image[KIND]), image[CLASS_ID]))


def _added(
    stem: str, time: int | None, files: list[tuple[str, str, int, bytes]], palette: Palette
) -> Steps[Sequence[str]]:
    """Packed images of PNG files, all in one go at the end, so that giving up leaves none."""
    yield False
    if not files:
        raise DocumentError("Nothing that you asked for is in this frame")
    result, made = f"{stem} {secrets.token_hex(3)}", []
    titles = json.dumps({str(one.class_id): one.title for one in palette.classes})
    for title, kind, class_id, png in files:
        image = bpy.data.images.new(f"{stem[: 60 - len(title)]} {title}", 1, 1, alpha=True)
        image.colorspace_settings.name = (
            _data_space(image) if kind in ("cel_mask", "class_ids") else _display_space(image)
        )
        image.alpha_mode = "STRAIGHT"
        image.pack(data=png, data_len=len(png))
        image.source = "FILE"
        image.use_fake_user = True  # nothing uses it yet, and it shall be saved
        image[RESULT], image[KIND], image[CLASS_ID] = result, kind, class_id
        image[TITLE], image[FRAME], image[MADE] = title, time or 0, now()
        if kind == "class_ids":
            image[PALETTE] = titles
        made.append(image.name)
    return tuple(made)


def _refuse_unreadable(image: Any) -> None:
    if image.source == "TILED":
        raise DocumentError("Tiled images are not supported; choose a plain one:", image.name)
    if image.type == "MULTILAYER":
        raise DocumentError("A multilayer image has no single frame; render a layer of it first:", image.name)
    if image.source in ("SEQUENCE", "MOVIE"):
        raise DocumentError("This image has many frames; choose a range of frames as the source:", image.name)
    if image.size[0] < 1 or image.size[1] < 1:
        raise DocumentError("The image is empty, or its file is missing:", image.name)


def _values(image: Any, count: int) -> Steps[Any]:
    """All values as float32, in one call, since `pixels[a:b]` takes seconds; its memory is readied first."""
    numpy = _numpy()
    values = numpy.empty(count, numpy.float32)
    for start in range(0, count, 8 * _BAND):
        values[start : start + 8 * _BAND] = 0
        yield False
    try:
        image.pixels.foreach_get(values)
    except (RuntimeError, ReferenceError, TypeError) as exc:
        raise DocumentError("The image cannot be read:", str(exc)) from exc
    yield False
    return values


def _in_bytes(values: Any, linear: bool, is_float: bool) -> Steps[Pixels]:
    """(height, width, channels) floats from the bottom -> Pixels from the top."""
    numpy = _numpy()
    height, width, channels = values.shape
    rgb = numpy.empty((height, width, 3), numpy.uint8)
    alpha = numpy.full((height, width), 255, numpy.uint8)
    is_opaque = True
    for top, bottom in _bands(width, height):
        band = values[height - bottom : height - top][::-1]
        if is_float:
            band = _displayed(band, linear)
        band = _byte(band)
        rgb[top:bottom] = band[..., :3] if channels >= 3 else band[..., :1]
        if channels == 4:
            alpha[top:bottom] = band[..., 3]
            is_opaque = is_opaque and bool(band[..., 3].min() == 255)
        yield False
    if is_opaque:
        return Pixels(width, height, "RGB8", rgb.data.cast("B"))
    rgba = numpy.empty((height, width, 4), numpy.uint8)
    for top, bottom in _bands(width, height):
        rgba[top:bottom, :, :3], rgba[top:bottom, :, 3] = rgb[top:bottom], alpha[top:bottom]
        yield False
    return Pixels(width, height, "RGBA8", rgba.data.cast("B"))


def _byte(values: Any) -> Any:
    """Floats 0 to 1 -> bytes, rounded."""
    numpy = _numpy()
    scaled = values * numpy.float32(255)
    scaled += numpy.float32(0.5)
    return scaled.astype(numpy.uint8)


def _displayed(band: Any, linear: bool) -> Any:
    """Floats as they may come -> 0 to 1, sRGB and straight alpha where they were linear and premultiplied."""
    numpy = _numpy()
    band = numpy.nan_to_num(band)
    if linear and band.shape[-1] == 4:
        alpha = band[..., 3:]
        colour = _encoded(band[..., :3] / numpy.where(alpha > 0, alpha, 1))
        band = numpy.concatenate([colour, alpha], axis=-1)
    elif linear:
        band = _encoded(band)
    return numpy.clip(band, 0, 1)


def _encoded(values: Any) -> Any:
    """Linear -> sRGB (IEC 61966-2-1)."""
    numpy = _numpy()
    values = numpy.clip(values, 0, 1)
    return numpy.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def _read_render(notes: list[str]) -> Steps[Pixels]:
    """What was rendered last. Its pixels can only be had by saving it, as the scene shows it."""
    scene = bpy.context.scene
    image = next((image for image in bpy.data.images if image.type == "RENDER_RESULT"), None)
    if image is None:
        raise DocumentError("Nothing has been rendered yet: render the frame first")
    notes.append(f"rendered frame: as the view transform {scene.view_settings.view_transform} shows it")
    with _temporary_png() as path, _saving_as_png(scene):
        try:
            image.save_render(path, scene=scene)
        except RuntimeError as exc:
            raise DocumentError("Nothing has been rendered yet: render the frame first") from exc
        yield False
        return (yield from _loaded(path))


def _through_save(image: Any) -> Steps[Pixels]:
    """Blender's own conversion to sRGB: saved as a scene without a look would show it."""
    scene = bpy.data.scenes.new("Douga conversion")
    try:
        scene.display_settings.display_device = "sRGB"
        scene.view_settings.view_transform = "Standard"
        with _temporary_png() as path, _saving_as_png(scene):
            image.save_render(path, scene=scene)
            pixels = yield from _loaded(path)
    except RuntimeError as exc:
        raise DocumentError("The image cannot be read:", str(exc)) from exc
    finally:
        bpy.data.scenes.remove(scene)
    return pixels


def _loaded(path: str) -> Steps[Pixels]:
    if not os.path.exists(path):
        raise DocumentError("Nothing has been rendered yet: render the frame first")
    image = bpy.data.images.load(path)
    name = image.name
    try:
        return (yield from read_image(image, []))
    finally:
        if (image := bpy.data.images.get(name)) is not None:
            bpy.data.images.remove(image)


@contextmanager
def _temporary_png() -> Iterator[str]:
    path = os.path.join(bpy.app.tempdir, f"douga-{secrets.token_hex(4)}.png")
    try:
        yield path
    finally:
        with suppress(OSError):
            os.unlink(path)


@contextmanager
def _saving_as_png(scene: Any) -> Iterator[None]:
    """The scene's output settings for one plain PNG; the user's are put back."""
    settings, render = scene.render.image_settings, scene.render
    wanted = (
        *((settings, "file_format", "PNG"), (settings, "color_mode", "RGBA"), (settings, "color_depth", "8")),
        *((settings, "compression", 0), (render, "dither_intensity", 0.0)),
    )
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in wanted]
    try:
        for owner, name, value in wanted:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            with suppress(TypeError, ReferenceError):
                setattr(owner, name, value)


def _bands(width: int, height: int) -> Iterator[tuple[int, int]]:
    rows = max(1, _BAND // width)
    return ((top, min(top + rows, height)) for top in range(0, height, rows))


def _stem(name: str, time: int | None) -> str:
    stem = Path(name).stem or name
    return stem if time is None else f"{stem} {time:04d}"


def _spaces(image: Any) -> list[str]:
    return [item.identifier for item in image.colorspace_settings.bl_rna.properties["name"].enum_items]


def _data_space(image: Any) -> str:
    return next((name for name in _PREFERRED_DATA if name in _spaces(image)), "Non-Color")


def _display_space(image: Any) -> str:
    return next((name for name in _spaces(image) if name.lower().startswith("srgb")), "sRGB")


def _numpy() -> Any:
    try:
        import numpy
    except ImportError as exc:
        raise DocumentError("This Blender has no numpy; install it (Debian: python3-numpy)") from exc
    return numpy
