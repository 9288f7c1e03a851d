"""The settings page: one file for all hosts, read when the page is first looked at, never in the .blend."""

from dataclasses import replace

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from douga_client.errors import ClientError
from douga_client.settings import PACKINGS, Settings, read, write

from .model import sentence
from .session import queue
from .texts import language, translated

_known = None
_trouble = None


def _settings():
    global _known, _trouble
    if _known is None:
        try:
            _known = read()
        except ClientError as exc:
            _known, _trouble = Settings(), exc
    return _known


def _forget():
    global _known, _trouble
    _known = _trouble = None


def _change(name, value):
    global _known, _trouble
    if getattr(_settings(), name) == value:
        return
    _forget()  # another host, or `douga plugin install`, may have written since
    _known, _trouble = replace(_settings(), **{name: value}), None
    try:
        write(_known)
    except ClientError as exc:
        _trouble = exc
    queue().settings_changed()


def _bound(name):
    return {
        "get": lambda self: getattr(_settings(), name),
        "set": lambda self, value: _change(name, value),
    }


class DougaPreferences(bpy.types.AddonPreferences):
    """Bound to `douga_client.settings`."""

    bl_idname = __package__

    server: StringProperty(
        name="Server",
        description='"auto" for the one of this machine, HOST:PORT or unix:PATH',
        **_bound("server"),
    )
    token: StringProperty(name="Token", subtype="PASSWORD", **_bound("token"))
    tls: BoolProperty(name="TLS", **_bound("tls"))
    ca_file: StringProperty(name="Authority's certificate", subtype="FILE_PATH", **_bound("ca_file"))
    cert_file: StringProperty(name="Own certificate", subtype="FILE_PATH", **_bound("cert_file"))
    key_file: StringProperty(name="Own key", subtype="FILE_PATH", **_bound("key_file"))
    packing: EnumProperty(
        name="Packing",
        items=[(name, name, "") for name in PACKINGS],
        get=lambda self: PACKINGS.index(_settings().packing),
        set=lambda self, value: _change("packing", PACKINGS[value]),
    )
    start_server: BoolProperty(name="Start a server when there is none", **_bound("start_server"))
    keep_server: BoolProperty(name="Keep it running when Blender ends", **_bound("keep_server"))

    def draw(self, context):
        """The page."""
        layout = self.layout
        layout.use_property_split = True
        for name in ("server", "token", "tls", "ca_file", "cert_file", "key_file", "packing"):
            row = layout.row()
            row.prop(self, name)
            row.enabled = name in ("server", "packing") or _settings().server != "auto"
        layout.prop(self, "start_server")
        layout.prop(self, "keep_server")
        python = _settings().python or translated("not known: run douga plugin install blender")
        layout.label(text=f"{translated('Douga is installed in')}: {python}", translate=False)
        if _trouble is not None:
            layout.label(text=sentence(_trouble, language(), translated), icon="ERROR", translate=False)


def register():
    """Make the page known; nothing is read."""
    bpy.utils.register_class(DougaPreferences)


def unregister():
    """Take it away; the file stays."""
    bpy.utils.unregister_class(DougaPreferences)
    _forget()
