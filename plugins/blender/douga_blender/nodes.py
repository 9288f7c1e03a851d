"""A compositor group of a result: each image with a factor of its own; their mix, and each alone."""

from __future__ import annotations

from typing import Any

import bpy
from douga_client.tasks import DocumentError

from . import document


def make_group(result: str) -> Any:
    """The group: factors in; the mix and every image alone out. Raises DocumentError."""
    images = document.images_of(result)
    if not images:
        raise DocumentError("There is no result to mix: reconstruct a frame first")
    group = bpy.data.node_groups.new(f"Douga {result}", "CompositorNodeTree")
    entry, leave = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    _socket(group, "OUTPUT", "NodeSocketColor", "Mix")
    below = None
    mixed = [image for image in images if image[document.KIND] in ("cel", "class")]
    mixed.sort(key=lambda image: (image[document.KIND] != "cel", -image[document.CLASS_ID]))
    for row, image in enumerate(mixed):
        title = str(image[document.TITLE])
        node = _image_node(group, image, row)
        _socket(group, "INPUT", "NodeSocketFloatFactor", title)
        _socket(group, "OUTPUT", "NodeSocketColor", title)
        alone = node.outputs["Image"]
        if image[document.KIND] == "cel":
            alone = _premultiplied(group, alone, row)
        group.links.new(alone, leave.inputs[title])
        over = group.nodes.new("CompositorNodeAlphaOver")
        over.location = (300 + 180 * row, -120 * row)
        factor, lower, upper = _over_inputs(over)
        group.links.new(entry.outputs[title], factor)
        if below is None:
            lower.default_value = (0, 0, 0, 0)
        else:
            group.links.new(below, lower)
        group.links.new(alone, upper)
        below = over.outputs[0]
    if below is not None:
        group.links.new(below, leave.inputs["Mix"])
    for row, image in enumerate(image for image in images if image not in mixed):
        _data_output(group, leave, image, len(mixed) + row)
    entry.location, leave.location = (-400, 0), (500 + 180 * len(mixed), 0)
    return group


def add_to_scene(scene: Any, group: Any) -> Any:
    """A node with the group in the scene's compositor, which is switched on; all factors are 1."""
    scene.use_nodes = True
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
    if tree is None:
        raise DocumentError("The scene has no compositor: make one in the Compositor first")
    for node in tree.nodes:
        node.select = False
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = group
    node.location = (min((n.location.x for n in tree.nodes), default=0), 400)
    node.width = 220
    for socket in node.inputs:
        socket.default_value = 1.0
    node.select, tree.nodes.active = True, node
    return node


def _data_output(group: Any, leave: Any, image: Any, row: int) -> None:
    """The mask as a value, the ids as whole numbers; neither is a colour."""
    title, kind = str(image[document.TITLE]), image[document.KIND]
    is_colour = kind == "cutout"
    node = _image_node(group, image, row)
    _socket(group, "OUTPUT", "NodeSocketColor" if is_colour else "NodeSocketFloat", title)
    last = node.outputs["Image"]
    if is_colour:
        last = _premultiplied(group, last, row)
    if kind == "class_ids":
        for operation, value in (("MULTIPLY", 255.0), ("ROUND", 0.0)):
            math = group.nodes.new("CompositorNodeMath")
            math.operation, math.location = operation, (node.location.x + 200, node.location.y)
            math.inputs[1].default_value = value
            group.links.new(last, math.inputs[0])
            last = math.outputs[0]
    group.links.new(last, leave.inputs[title])


def _premultiplied(group: Any, straight: Any, row: int) -> Any:
    """Blender 3.4 leaves the colours under alpha 0 of byte images."""
    premul = group.nodes.new("CompositorNodePremulKey")
    premul.location = (180, -120 * row)
    group.links.new(straight, premul.inputs[0])
    return premul.outputs[0]


def _image_node(group: Any, image: Any, row: int) -> Any:
    node = group.nodes.new("CompositorNodeImage")
    node.image, node.label, node.location = image, str(image[document.TITLE]), (0, -120 * row)
    node.hide = True
    return node


def _over_inputs(node: Any) -> tuple[Any, Any, Any]:
    """Factor, lower and upper image of Alpha Over; Blender 5 has named and moved them."""
    names = {socket.name for socket in node.inputs}
    if {"Background", "Foreground"} <= names:
        return node.inputs["Factor"], node.inputs["Background"], node.inputs["Foreground"]
    return node.inputs[0], node.inputs[1], node.inputs[2]


def _socket(group: Any, direction: str, kind: str, name: str) -> None:
    if hasattr(group, "interface"):  # 4.0 and later
        plain = "NodeSocketFloat" if kind == "NodeSocketFloatFactor" else kind
        socket = group.interface.new_socket(name, in_out=direction, socket_type=plain)
        if kind == "NodeSocketFloatFactor":
            socket.subtype = "FACTOR"
    else:
        socket = (group.inputs if direction == "INPUT" else group.outputs).new(kind, name)
    if direction == "INPUT":
        socket.default_value, socket.min_value, socket.max_value = 1.0, 0.0, 1.0
