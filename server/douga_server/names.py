"""Names that callers ask by. They stand in logs and file names, so few letters may be in them."""

from __future__ import annotations

import re

MAX_NAME = 64
RULE = f"at most {MAX_NAME} letters, digits, '-', '_' and '.', the first one no '.'"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def is_name(text: str) -> bool:
    """Whether somebody can ask by it."""
    return len(text) <= MAX_NAME and _NAME.fullmatch(text) is not None
