"""``douga palette list`` and ``douga palette show NAME``."""

from __future__ import annotations

import argparse
import os
import sys

EXAMPLES = """\
examples:
  douga palette list
  douga palette show retas
  douga palette show studio.toml        checks a palette of your own as well
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="names of the palettes that ship with Douga")
    show = actions.add_parser("show", help="the colours of one palette")
    show.add_argument("name", metavar="NAME|FILE")


def run(args: argparse.Namespace) -> int:
    """Print the presets' names, or one palette's colours by class. Raises PaletteError."""
    from douga.palettes import load_palette, preset_names

    if args.action == "list":
        print("\n".join(preset_names()))
        return 0
    from douga.classes import DougaClass

    palette = load_palette(args.name)
    print(f"palette {palette.name}: the first colour of a class is written, all are read")
    for douga_class in DougaClass:
        colours = "  ".join(_shown(rgb) for rgb in palette.colours[douga_class])
        print(f"  {douga_class.value}  {douga_class.key:15} {colours}")
    return 0


def _shown(rgb: tuple[int, int, int]) -> str:
    """Hexadecimal, with a swatch where a terminal can show one."""
    from douga.palettes import hex_of

    in_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return (f"\x1b[48;2;{rgb[0]};{rgb[1]};{rgb[2]}m  \x1b[0m " if in_colour else "") + hex_of(rgb)
