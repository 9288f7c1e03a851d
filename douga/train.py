"""``python -m douga.train RECIPE.toml --key value``: forwards to the training package, nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from douga.errors import DougaError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the training loop. argv: arguments after the program's name, the process's own by default.

    Returns the exit status: 2 with one sentence where something is wrong with the recipe, the data or the
    machine.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        import douga_training.loop as loop
    except ModuleNotFoundError as exc:
        if not (exc.name or "").startswith("douga_training"):
            raise
        print(
            "douga: the training package is not installed; install Douga from its wheel or a checkout",
            file=sys.stderr,
        )
        return 2
    try:
        return int(loop.main(arguments) or 0)
    except DougaError as exc:
        print(f"douga: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
