"""The version of this client, and which servers it can talk to."""

from __future__ import annotations

VERSION = "0.1.0"


def is_compatible(version: str) -> bool:
    """Whether a server of it speaks our contract: the same first number, before 1.0 the second one too."""
    ours, theirs = VERSION.split("."), version.split(".")
    count = 2 if ours[0] == "0" else 1
    return ours[:count] == theirs[:count]
