"""Loads what the client needs a piece at a time: at once it takes 0.1 s, the first time ever 0.3 s."""

from __future__ import annotations

from collections.abc import Iterator


def warm_up() -> Iterator[None]:
    """Load one piece a step. A host calls `next` in its timer until it ends, then imports `client`."""
    from hpack import huffman_table  # noqa: F401

    yield
    from hpack import hpack  # noqa: F401

    yield
    from hyperframe import frame  # noqa: F401

    yield
    from h2 import connection as http  # noqa: F401

    yield
    from . import contract  # noqa: F401

    yield
    from . import transport  # noqa: F401

    yield
    from . import client  # noqa: F401

    yield
