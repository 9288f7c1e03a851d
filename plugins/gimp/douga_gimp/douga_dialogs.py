"""Dialogs in GTK, made from what GIMP knows of the procedure; loaded only when there is a screen."""

from __future__ import annotations

from dataclasses import replace

import gi
from douga_client import settings
from douga_client.api import ServerInfo
from douga_client.choice import STACKING
from douga_texts import say

gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import GimpUi, Gtk  # noqa: E402

_TEXTS = (("server", "Server"), ("token", "Token"), ("ca_file", "Certificate authority (file)"))
_SWITCHES = (
    ("tls", "Use TLS"),
    ("start_server", "Start a server when none runs"),
    ("keep_server", "Keep the server running"),
)


def ask_choice(procedure, config, info: ServerInfo | None, language: str) -> bool:  # type: ignore[no-untyped-def]
    """Let the user choose into `config`. info: what a running server has. Returns whether to go on."""
    GimpUi.init("douga")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, say("Reconstruct douga...", language).rstrip("."))
    layers = [*(key.replace("_", "-") for key in STACKING), "cel"]
    dialog.fill_flowbox("layers-flow", layers).set_max_children_per_line(2)
    dialog.get_label("layers-title", say("Layers", language), False, False)
    dialog.fill_frame("layers", "layers-title", False, "layers-flow")
    dialog.fill(["source", "line-width", "palette", "palette-file", "layers"])
    dialog.get_content_area().pack_start(_models(config, info, language), False, False, 6)
    chosen = dialog.run()
    dialog.destroy()
    return bool(chosen)


def _models(config, info: ServerInfo | None, language: str) -> Gtk.Widget:  # type: ignore[no-untyped-def]
    """A list for each stage: the server's default, its models, and what was chosen before."""
    grid = Gtk.Grid(row_spacing=6, column_spacing=12, border_width=12)
    for row, (stage, title) in enumerate((("cel", "C_el model"), ("lines", "L_ines model"))):
        names = [entry.name for entry in info.models if entry.stage == stage] if info is not None else []
        store = Gtk.ListStore(str, str)
        store.append(["", say("Default of the server", language)])
        for name in dict.fromkeys([*names, config.get_property(f"{stage}-model")]):
            if name:
                store.append([name, name])
        combo = GimpUi.prop_string_combo_box_new(config, f"{stage}-model", store, 0, 1)
        combo.set_hexpand(True)
        label = Gtk.Label(label=say(title, language), xalign=0.0, use_underline=True, mnemonic_widget=combo)
        grid.attach(label, 0, row, 1, 1)
        grid.attach(combo, 1, row, 1, 1)
    missing = "No server runs yet; one that does tells here which models it has."
    told = f"Douga {info.version} ({', '.join(info.devices)})" if info else say(missing, language)
    grid.attach(Gtk.Label(label=told, xalign=0.0, wrap=True), 0, 2, 2, 1)
    grid.show_all()
    return grid


def ask_settings(language: str) -> None:
    """Let the user edit the settings that all hosts share. Raises ClientError."""
    GimpUi.init("douga")
    known = settings.read()
    dialog = Gtk.Dialog(title=say("Douga settings", language))
    dialog.add_buttons(Gtk.STOCK_CANCEL, Gtk.ResponseType.CANCEL, Gtk.STOCK_OK, Gtk.ResponseType.OK)
    dialog.set_default_response(Gtk.ResponseType.OK)
    grid = Gtk.Grid(row_spacing=6, column_spacing=12, border_width=12)
    entries, switches = {}, {}
    for row, (name, title) in enumerate(_TEXTS):
        entries[name] = Gtk.Entry(text=getattr(known, name), width_chars=40, visibility=name != "token")
        entries[name].set_activates_default(True)
        grid.attach(Gtk.Label(label=say(title, language), xalign=0.0), 0, row, 1, 1)
        grid.attach(entries[name], 1, row, 1, 1)
    for row, (name, title) in enumerate(_SWITCHES, start=len(_TEXTS)):
        switches[name] = Gtk.CheckButton(label=say(title, language), active=getattr(known, name))
        grid.attach(switches[name], 0, row, 2, 1)
    dialog.get_content_area().add(grid)
    dialog.show_all()
    if dialog.run() == Gtk.ResponseType.OK:
        changed = {name: entry.get_text().strip() for name, entry in entries.items()}
        changed |= {name: switch.get_active() for name, switch in switches.items()}
        settings.write(replace(known, **changed))
    dialog.destroy()
