"""The command ``douga``: finds the subcommand, turns what goes wrong into a sentence and an exit status.

Parsing is kept light: a subcommand's module, and all that it needs, is loaded only when that subcommand is
asked for.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from douga import __version__
from douga.errors import DougaError

EXIT_OK, EXIT_SOME_FAILED, EXIT_BAD_INPUT = 0, 1, 2
EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_UNREAD = 130, 143, 141  # the last two as of a signal


@dataclass(frozen=True)
class Command:
    """A subcommand. module: has `add_arguments(parser)`, `run(args) -> int` and, for --help, EXAMPLES."""

    name: str
    summary: str
    module: str


COMMANDS = (
    Command(
        "reconstruct", "take frames apart into cel, cel mask, douga and layers", "douga.commands.reconstruct"
    ),
    Command("cutout", "cut characters out of frames: soft alpha, clean edges", "douga.commands.cutout"),
    Command("evaluate", "compare reconstructed frames with the truth", "douga.commands.evaluate"),
    Command("simulate", "draw labelled productions to train and test on", "douga_training.simulate.command"),
    Command("train", "train a network by a recipe", "douga.train"),
    Command("select", "choose the frames that are worth labelling next", "douga_training.select.command"),
    Command("label", "turn a studio's coloured drawings into labels to train from", "douga_training.studio"),
    Command(
        "explain",
        "show where frames went wrong, how training went, what a network looks for",
        "douga_training.explain.command",
    ),
    Command("serve", "take frames from other programs and give their douga back", "douga_server.command"),
    Command("bench-server", "load a server with calls and measure it", "douga_server.bench"),
    Command("weights", "list weights, import published ones", "douga.commands.weights"),
    Command("palette", "list or show palettes", "douga.commands.palette"),
    Command("plugin", "put Douga into Krita, Blender and GIMP", "douga_plugins.command"),
)

_DESCRIPTION = (
    "Takes a finished frame of hand-drawn animation apart again: cel, cel mask and colour-coded line art."
)
_EPILOG = """\
examples:
  douga reconstruct frame.png --out result
  douga reconstruct shots/s01/ --out result/s01 --palette retas
  douga cutout frame.png --out result
  douga COMMAND --help

exit status: 0 all done; 1 some frames failed, the others are complete; 2 bad input, or results that cannot be
written; 130 stopped by Ctrl-C. What was written is complete in any case.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. argv: arguments after the program's name, the process's own by default.

    Returns the exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminating_tidily():
            status = _dispatch(arguments)
        sys.stdout.flush()
        return status
    except DougaError as exc:
        print(f"douga: {exc}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("douga: stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor is Python to write at its end
        return EXIT_UNREAD


def _dispatch(arguments: list[str]) -> int:
    chosen = next((c for c in COMMANDS if arguments[:1] == [c.name]), None)
    if chosen is None:
        parser = build_parser()
        parser.parse_args(arguments)  # prints --help or --version, or says what is wrong, and leaves
        parser.print_help()
        return EXIT_BAD_INPUT
    module = _load(chosen)
    if chosen.name == "train":  # recipes define its arguments, so it reads them itself
        return int(module.main(arguments[1:]))
    parser = argparse.ArgumentParser(
        prog=f"douga {chosen.name}",
        description=_sentence(chosen.summary),
        epilog=getattr(module, "EXAMPLES", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(arguments[1:])))


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``douga`` itself, which knows the subcommands' names but not their arguments."""
    parser = argparse.ArgumentParser(
        prog="douga",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"douga {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        commands.add_parser(command.name, help=command.summary)
    return parser


def _load(command: Command) -> Any:
    try:
        if command.name == "simulate":  # spelled out, so that the import contract can see it
            import douga_training.simulate.command as simulate

            return simulate
        return importlib.import_module(command.module)
    except ModuleNotFoundError as exc:
        if not (exc.name or "").startswith("douga_training"):
            raise
        raise DougaError(
            f"douga {command.name} needs the training package, which is not installed; "
            "install Douga from its wheel or a checkout"
        ) from exc


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."


@contextmanager
def _terminating_tidily() -> Iterator[None]:
    """Make SIGTERM (a batch queue, a container) leave like Ctrl-C does: by way of everybody's clean-up."""

    def leave(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(EXIT_TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
