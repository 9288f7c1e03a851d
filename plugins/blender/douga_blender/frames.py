"""Single frames of image sequences, movies and clips, each as an image that is gone again afterwards."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import bpy
from douga_client.tasks import DocumentError, Steps

from .model import Source

_LAST_NUMBER = re.compile(r"(\d+)(?=\D*$)")


def opened(source: Source, frame: int, kept: ExitStack) -> Steps[Any]:
    """A frame as an image of one frame, which is gone when `kept` is closed. frame: 1 is the first.

    Raises DocumentError.
    """
    blocks = bpy.data.movieclips if source.kind == "CLIP" else bpy.data.images
    block = blocks.get(source.name)
    if block is None:
        raise DocumentError("There is no clip here: choose one, or another source", source.name)
    if block.source not in ("SEQUENCE", "MOVIE"):
        raise DocumentError(
            "This image has a single frame; choose the active image as the source:", block.name
        )
    path, space = bpy.path.abspath(block.filepath, library=block.library), block.colorspace_settings.name
    if block.source == "SEQUENCE":
        path = sequence_path(path, frame)
    else:
        scene = kept.enter_context(_movie(path, frame))
        yield False
        path, space = kept.enter_context(_still(scene, path)), ""
        yield False
    image = kept.enter_context(_image(path, space))
    yield False
    if image.size[0] > 0:  # looking for the size loads the file
        yield False
    return image


def sequence_path(first: str, frame: int) -> str:
    """The file of a frame of a sequence. first: the file that was opened, whose frame is 1."""
    folder, name = os.path.split(first)
    found = _LAST_NUMBER.search(os.path.splitext(name)[0])
    if found is None:
        raise DocumentError("The name of this sequence's file has no number:", name)
    number = str(int(found[1]) + frame - 1).zfill(len(found[1]))
    return os.path.join(folder, name[: found.start()] + number + name[found.end() :])


@contextmanager
def _image(path: str, space: str) -> Iterator[Any]:
    try:
        image = bpy.data.images.load(path)
    except RuntimeError as exc:
        raise DocumentError("A frame's file is missing:", path) from exc
    name = image.name
    try:
        if space:
            image.colorspace_settings.name = space
        yield image
    finally:
        if (image := bpy.data.images.get(name)) is not None:
            bpy.data.images.remove(image)


@contextmanager
def _movie(path: str, frame: int) -> Iterator[Any]:
    """A scene whose sequencer shows the frame."""
    scene = bpy.data.scenes.new("Douga movie")
    try:
        _set_up(scene, path, frame)
        yield scene
    except RuntimeError as exc:
        raise DocumentError("The movie cannot be read:", f"{path}: {exc}") from exc
    finally:
        bpy.data.scenes.remove(scene)


@contextmanager
def _still(scene: Any, movie: str) -> Iterator[str]:
    """What a scene shows, as a PNG: bytes stay as they were decoded."""
    still = os.path.join(bpy.app.tempdir, f"douga-{secrets.token_hex(4)}.png")
    scene.render.filepath = still
    try:
        bpy.ops.render.render(write_still=True, scene=scene.name)
        yield still
    except RuntimeError as exc:
        raise DocumentError("The movie cannot be read:", f"{movie}: {exc}") from exc
    finally:
        with suppress(OSError):
            os.unlink(still)


def _set_up(scene: Any, path: str, frame: int) -> None:
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_movie("movie", path, 1, 2 - frame)  # what is wanted lies at frame 1
    element = strip.elements[0]
    if not 1 <= frame <= strip.frame_duration:
        raise DocumentError("The movie has fewer frames than that:", f"{frame} > {strip.frame_duration}")
    render = scene.render
    render.resolution_x, render.resolution_y = element.orig_width, element.orig_height
    render.resolution_percentage, render.dither_intensity, render.use_sequencer = 100, 0.0, True
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    render.image_settings.compression = 0
    scene.view_settings.view_transform = "Standard"
    scene.sequencer_colorspace_settings.name = "sRGB"
    scene.frame_set(1)
