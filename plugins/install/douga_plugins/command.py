"""``douga plugin``: into which programs the plugins go, and how."""

from __future__ import annotations

import argparse
from pathlib import Path

from douga import __version__
from douga.errors import InputError
from douga_plugins.assemble import write_zip
from douga_plugins.hosts import HOSTS, Host, Place, is_running, place_in, places
from douga_plugins.install import install, installed_paths, installed_version, remove

EXAMPLES = """\
examples:
  douga plugin list
  douga plugin install krita
  douga plugin install blender --to ~/.config/blender/4.3
  douga plugin pack krita --out douga-krita.zip
      for another machine; Krita takes it in Tools > Scripts > Import Python Plugin from File
  douga plugin remove gimp

Installing also writes down in which Python Douga is installed, so that the plugin can start a server when
there is work. It connects to nothing before that. Settings survive remove and install.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """list, install, remove and pack."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="the hosts, where their plugins go, and what is installed there")
    for name, text in (("install", "put the plugin into a host"), ("remove", "take it out of a host")):
        action = actions.add_parser(name, help=text)
        action.add_argument("host", choices=list(HOSTS), metavar="HOST", help=", ".join(HOSTS))
        action.add_argument(
            "--to",
            type=Path,
            metavar="DIR",
            help="the folder of the host's settings, where it is not the usual one "
            "(such as ~/.config/GIMP/3.0)",
        )
    action = actions.add_parser("pack", help="write the plugin as one zip file, for another machine")
    action.add_argument("host", choices=list(HOSTS), metavar="HOST", help=", ".join(HOSTS))
    action.add_argument("--out", type=Path, required=True, metavar="FILE.zip", help="the file to write")


def run(args: argparse.Namespace) -> int:
    """Do it and say what was done. Raises InputError and OutputError."""
    if args.action == "list":
        _list()
        return 0
    host = HOSTS[args.host]
    if args.action == "pack":
        if args.out.suffix != ".zip":
            raise InputError(f"--out {args.out}: a pack is a zip file; give a name that ends in .zip")
        write_zip(host, args.out)
        print(f"{args.out}: the plugin for {host.title}, {args.out.stat().st_size / 1e6:.2f} MB")
        return 0
    found = [place_in(host, args.to.expanduser())] if args.to else places(host)
    if not found:
        raise InputError(
            f"{host.title} was not found; start it once, so that it makes its folder, or name the folder of "
            "its settings with --to"
        )
    return _install(host, found) if args.action == "install" else _remove(host, found)


def _list() -> None:
    for host in HOSTS.values():
        found = places(host)
        if not found:
            print(f"{host.name:8} {host.title} was not found")
        for place in found:
            version = installed_version(place)
            state = "not installed" if not version else f"installed, {version}"
            if version and version != __version__:
                state += f"; this is {__version__}: douga plugin install {host.name}"
            print(f"{host.name:8} {f'{host.title} {place.version}'.strip():14} {state:16} {place.folder}")


def _install(host: Host, found: list[Place]) -> int:
    for place in found:
        for path in install(place):
            print(path)
    print(host.after)
    if is_running(host):
        print(f"{host.title} is running: close it first and install again if the plugin does not show up.")
    return 0


def _remove(host: Host, found: list[Place]) -> int:
    there = [place for place in found if installed_paths(place)]
    for place in there:
        for path in remove(place):
            print(f"removed {path}")
    if not there:
        print(f"the plugin is not installed in {host.title}: nothing to remove")
    return 0
