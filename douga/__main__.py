"""``python -m douga`` is the command ``douga``."""

import sys

from douga.cli import main

sys.exit(main())
