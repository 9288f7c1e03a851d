"""``python -m douga_server``: the same as ``douga serve``."""

import sys

from douga.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
