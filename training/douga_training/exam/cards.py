"""The examination's figures in the model cards of the weights that sat it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from douga.frame_io import atomic_path
from douga_training.bench.tables import Marked, Table, grid
from douga_training.exam.tables import COLUMNS, CONFUSION, KEY

_OF_CEL = ("cel IoU", "boundary IoU")
_OF_LINES = tuple(title for title in COLUMNS.values() if title not in _OF_CEL)
_NOTHING = "-"


def write_cards(cel: Path, lines: Path, tables: Sequence[Table], when: str) -> None:
    """Write the figures of each stage into its card.

    cel, lines: the cards, Markdown files. tables: as `tables.write_exam` takes them, the main one first; a
    stage gets its columns of them, and the confusion of classes is stage two's. Raises InputError where a
    marker is not closed, OutputError where a file cannot be written.
    """
    main, *others = tables
    confusion = [table for table in others if table.key.startswith(CONFUSION)]
    scored = [table for table in others if table not in confusion]
    _write(cel, [_only(main, _OF_CEL), *(_only(table, _OF_CEL) for table in scored)], when)
    _write(lines, [_only(main, _OF_LINES), *(_only(table, _OF_LINES) for table in scored), *confusion], when)


def _only(table: Table, titles: Collection[str]) -> Table:
    """Those columns, the names of the rows, rows that hold a figure, and what they miss."""
    kept = [i for i, head in enumerate(table.heads) if head in titles or head not in COLUMNS.values()]
    figures = [i for i in kept if table.heads[i] in titles]
    rows = tuple(
        tuple(row[i] for i in kept) for row in table.rows if any(row[i] != _NOTHING for i in figures)
    )
    is_cel = set(titles) == set(_OF_CEL)
    misses = tuple(m for m in table.misses if any(f" {t} " in m for t in _OF_CEL) == is_cel)
    return replace(table, heads=tuple(table.heads[i] for i in kept), rows=rows, misses=misses)


def _write(card: Path, tables: Sequence[Table], when: str) -> None:
    main, *others = tables
    told = f"`{main.command}`, {when}. What the rows are stands in [BENCHMARKS.md](../../BENCHMARKS.md)."
    parts = [told, grid(main.heads, main.rows)]
    parts += [f"Missed: {', '.join(main.misses)}."] if main.misses else []
    parts += [f"{table.title}:\n\n{grid(table.heads, table.rows)}" for table in others]
    marked = Marked.find(card.read_text("utf-8"), KEY, "In the fixed examination", card)
    with atomic_path(card) as unfinished:
        unfinished.write_text(marked.holding("\n\n".join(parts)), "utf-8")
