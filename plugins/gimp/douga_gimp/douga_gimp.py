#!/usr/bin/env python3
"""Douga in GIMP 3: the procedures `douga-reconstruct` and `douga-settings`, in the menu Filters > Douga."""

from __future__ import annotations

import os
import sys

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject  # noqa: E402

_MENU = "<Image>/Filters/Douga"
_FLAGS = GObject.ParamFlags.READWRITE
_BLURB = "Takes a finished frame apart into cel, lines and fills, as a group of layers"


def language() -> str:
    """ "ja" or "en", as GIMP's own texts."""
    return "ja" if GLib.get_language_names()[0].startswith("ja") else "en"


def t(text: str) -> str:
    """A text in the user's language."""
    from douga_texts import say

    return say(text, language())


class DougaPlugIn(Gimp.PlugIn):
    """What GIMP asks of a plug-in."""

    def do_set_i18n(self, name: str) -> bool:
        """Our texts are our own."""
        return False

    def do_query_procedures(self) -> list[str]:
        """Names of what we add."""
        return ["douga-reconstruct", "douga-settings"]

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        """One of them."""
        return _settings_procedure(self, name) if name == "douga-settings" else _procedure(self, name)


def _procedure(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    from douga_client.choice import STACKING
    from douga_client.texts import class_title
    from douga_model import PALETTES

    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, reconstruct, None)
    procedure.set_image_types("*")
    mask = Gimp.ProcedureSensitivityMask
    procedure.set_sensitivity_mask(mask.DRAWABLE | mask.DRAWABLES | mask.NO_DRAWABLES)
    _describe(procedure, "Reconstruct douga...", _BLURB)
    source = Gimp.Choice.new()
    for number, (key, title) in enumerate(
        (("visible", "Visible image"), ("layer", "Selected layer"), ("selection", "Bounds of the selection"))
    ):
        source.add(key, number, t(title), "")
    procedure.add_choice_argument("source", t("Source"), t("Source"), source, "visible", _FLAGS)
    text = t("Line width (0: default)")
    procedure.add_int_argument("line-width", text, text, 0, 15, 0, _FLAGS)
    palette = Gimp.Choice.new()
    for number, key in enumerate(PALETTES):
        palette.add(key, number, t("Default of the server") if key == "default" else key, "")
    procedure.add_choice_argument("palette", t("Palette"), t("Palette"), palette, "default", _FLAGS)
    text = t("Palette of your own (TOML file)")
    procedure.add_file_argument("palette-file", text, text, Gimp.FileChooserAction.OPEN, True, None, _FLAGS)
    for key, text in (("cel-model", t("Cel model")), ("lines-model", t("Lines model"))):
        procedure.add_string_argument(key, text, text, "", _FLAGS)
    for key in STACKING:
        text = class_title(key, language())
        procedure.add_boolean_argument(key.replace("_", "-"), text, text, True, _FLAGS)
    procedure.add_boolean_argument("cel", t("Cel with mask"), t("Cel with mask"), True, _FLAGS)
    return procedure


def _settings_procedure(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, edit_settings, None)
    procedure.set_image_types("*")
    mask = Gimp.ProcedureSensitivityMask
    procedure.set_sensitivity_mask(mask.DRAWABLE | mask.DRAWABLES | mask.NO_DRAWABLES | mask.NO_IMAGE)
    _describe(procedure, "Douga settings...", "Which Douga server the plug-in uses")
    return procedure


def _describe(procedure: Gimp.Procedure, label: str, blurb: str) -> None:
    procedure.set_menu_label(t(label))
    procedure.add_menu_path(_MENU)
    procedure.set_documentation(t(blurb), t(blurb), procedure.get_name())
    procedure.set_attribution("Douga", "Douga", "2026")


def reconstruct(procedure, run_mode, image, drawables, config, data):  # type: ignore[no-untyped-def]
    """The procedure `douga-reconstruct`; every end of it passes here."""
    from douga_client.errors import ClientError, Kind
    from douga_client.palette_file import PaletteFileError
    from douga_document import DocumentError
    from douga_texts import BAD_PALETTE

    try:
        done = _reconstruct(procedure, run_mode, image, list(drawables), config)
    except ClientError as exc:
        if exc.kind is Kind.CANCELLED:
            return _ended(procedure, Gimp.PDBStatusType.CANCEL)
        command = exc.command("gimp")
        return _ended(procedure, said=exc.text(language()) + (f"\n{command}" if command else ""))
    except DocumentError as exc:
        return _ended(procedure, said=t(str(exc)))
    except PaletteFileError as exc:
        path = config.get_property("palette-file").get_path()
        return _ended(procedure, said=t(BAD_PALETTE).format(path=path, said=exc))
    except Exception as exc:
        return _ended(
            procedure, said=ClientError(Kind.BUG, said=f"{type(exc).__name__}: {exc}").text(language())
        )
    return _ended(procedure, Gimp.PDBStatusType.SUCCESS if done else Gimp.PDBStatusType.CANCEL)


def _reconstruct(procedure, run_mode, image, drawables, config) -> bool:  # type: ignore[no-untyped-def]
    import douga_document as document
    import douga_model as model
    from douga_client import settings
    from douga_client.api import Progress
    from douga_client.client import open_client
    from douga_client.texts import stage_title

    client = open_client(settings.read(), host_pid=os.getppid())  # GIMP: we end with this one result
    try:
        if run_mode == Gimp.RunMode.INTERACTIVE:
            import douga_dialogs

            if not douga_dialogs.ask_choice(procedure, config, model.ask(client), language()):
                return False
        choice = _choice(config)
        Gimp.progress_init("Douga")
        frame = document.read(image, drawables, config.get_property("source"))

        def told(progress: Progress) -> None:
            Gimp.progress_set_text(stage_title(progress.stage, language()))
            Gimp.progress_update(0.95 * progress.job.overall_share)

        job = client.submit(choice.request(frame.pixels, frame.region))
        result = client.wait(job, told=told)
    finally:
        client.close()
    Gimp.progress_end()  # and its Cancel button, which ends this process, also amid the layers
    document.build(image, frame, result, choice)
    Gimp.displays_flush()
    notes = [*result.warnings]
    if frame.is_converted:
        notes.append(
            t("The frame was converted to 8-bit sRGB for the server; your image keeps its own format.")
        )
    if notes:
        Gimp.message("\n".join(notes))
    return True


def _choice(config):  # type: ignore[no-untyped-def]
    from pathlib import Path

    from douga_client.choice import CLASS_KEYS, Choice
    from douga_client.palette_file import chosen_palette, read_palette

    file, preset = config.get_property("palette-file"), config.get_property("palette")
    return Choice(
        line_width_px=config.get_property("line-width"),
        palette=read_palette(Path(file.get_path()))
        if file
        else chosen_palette("" if preset == "default" else preset),
        cel_model=config.get_property("cel-model") or "",
        lines_model=config.get_property("lines-model") or "",
        classes=frozenset(key for key in CLASS_KEYS if config.get_property(key.replace("_", "-"))),
        has_cel=config.get_property("cel"),
    )


def edit_settings(procedure, run_mode, image, drawables, config, data):  # type: ignore[no-untyped-def]
    """The procedure `douga-settings`; without a screen there is nothing to do."""
    from douga_client.errors import ClientError

    if run_mode == Gimp.RunMode.NONINTERACTIVE:
        return _ended(procedure, Gimp.PDBStatusType.SUCCESS)
    try:
        import douga_dialogs

        douga_dialogs.ask_settings(language())
    except ClientError as exc:
        return _ended(procedure, said=exc.text(language()))
    return _ended(procedure, Gimp.PDBStatusType.SUCCESS)


def _ended(procedure, status=Gimp.PDBStatusType.EXECUTION_ERROR, said: str = ""):  # type: ignore[no-untyped-def]
    """GIMP shows `said` itself, in a dialog or on the terminal."""
    error = GLib.Error(said) if said else GLib.Error()
    return procedure.new_return_values(status, error)


if __name__ == "__main__":
    Gimp.main(DougaPlugIn.__gtype__, sys.argv)
