#!/usr/bin/env python3
"""A plug-in of the test's own: closes the image while another plug-in works, as a user's hand would."""

import os
import sys
import time

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib  # noqa: E402

SIGN = os.environ.get("CLOSE_WHEN", "")


class Closer(Gimp.PlugIn):
    def do_set_i18n(self, name):
        return False

    def do_query_procedures(self):
        return ["test-closer"]

    def do_create_procedure(self, name):
        return Gimp.Procedure.new(self, name, Gimp.PDBProcType.PERSISTENT, wait, None)


def wait(procedure, config, data):
    procedure.persistent_ready()
    while SIGN and not os.path.exists(SIGN):
        time.sleep(0.05)
    if SIGN:
        Gimp.get_images()[0].delete()
        with open(f"{SIGN}.done", "w") as file:
            file.write(str(time.monotonic()))
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())


Gimp.main(Closer.__gtype__, sys.argv)
