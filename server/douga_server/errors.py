"""Errors of starting a server. Those of a call stand in `jobs`, `limits` and `models`."""

from __future__ import annotations

from douga.errors import DougaError


class SetupError(DougaError):
    """The server cannot or must not run like this: its address, tokens, certificates or discovery file."""
