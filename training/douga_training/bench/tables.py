"""Tables of measurements: for the terminal, and between markers in a Markdown file."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from douga.errors import InputError
from douga.frame_io import atomic_path

INTRO = """\
# Benchmarks

Everything between two markers is written by the command that stands there; run it again and it is replaced.
`make bench` and `make exam` run those of scores, speed and memory; the others are run by hand. A figure that
falls short of its goal is called a miss.
"""
MET, MISS, NO_GOAL = "met", "miss", ""


@dataclass(frozen=True)
class Table:
    """One measurement. key: of its markers. command: makes it again. rows: cells, as many as heads.

    misses: names of the rows that fall short of their goal. notes: sentences below the table.
    """

    key: str
    title: str
    command: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    misses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.heads) for row in self.rows):
            raise ValueError(f"{self.key}: every row needs {len(self.heads)} cells, as the heads have")


def as_text(table: Table) -> str:
    """The table for a terminal."""
    lines = [table.heads, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.heads))]
    body = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    body.insert(1, "-" * max(map(len, body)))
    verdict = [f"missed: {', '.join(table.misses)}"] if table.misses else []
    return "\n".join([table.title, *body, *verdict, *table.notes]) + "\n"


def as_markdown(table: Table, when: str, machine: str) -> str:
    """The table with what made it, as it stands between its markers."""
    verdict = [f"Missed: {', '.join(table.misses)}."] if table.misses else []
    parts = [f"`{table.command}`, {when}, {machine}.", grid(table.heads, table.rows), *verdict, *table.notes]
    return "\n\n".join(parts)


def grid(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    return "\n".join(grid_line(row) for row in (heads, tuple("---" for _ in heads), *rows))


def grid_line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_tables(path: Path, tables: Sequence[Table], machine: str, *, when: str | None = None) -> None:
    """Put tables between their markers in a Markdown file; the rest of the file stays as it is.

    A table without markers is added at the end under its title; a file that is not there is begun. when: date
    of the measurement, today by default. Raises InputError where a marker is not closed, OutputError where
    the file cannot be written.
    """
    when = when or datetime.now(UTC).date().isoformat()
    text = path.read_text("utf-8") if path.is_file() else INTRO
    for table in tables:
        marked = Marked.find(text, f"bench:{table.key}", table.title, path)
        text = marked.holding(as_markdown(table, when, machine))
    with atomic_path(path) as unfinished:
        unfinished.write_text(text, "utf-8")


@dataclass(frozen=True)
class Marked:
    """A Markdown text in three: up to a marker, what stands between it and its end, and the rest."""

    before: str
    inside: str
    after: str

    @classmethod
    def find(cls, text: str, key: str, title: str, path: Path) -> Marked:
        """Look for the markers <!-- key --> and <!-- /key -->; without them a section `title` is added.

        path: of the text, for the error. Raises InputError where a marker is not closed.
        """
        start, end = f"<!-- {key} -->", f"<!-- /{key} -->"
        if start not in text:
            return cls(f"{text.rstrip()}\n\n## {title}\n\n{start}", "", f"{end}\n")
        before, _, rest = text.partition(start)
        inside, closed, after = rest.partition(end)
        if not closed:
            raise InputError(f"{path}: {start} has no {end}; put it below the tables, or take both away")
        return cls(before + start, inside, end + after)

    def holding(self, body: str) -> str:
        """The text with something else between the markers."""
        return f"{self.before}\n{body}\n{self.after}"


def describe_machine(threads: int, device: str = "cpu") -> str:
    """Processor, cores and threads used, without anything that tells whose machine it is."""
    text = f"{_processor()}, {os.cpu_count()} cores, {threads} thread{'s' * (threads > 1)}"
    if device.startswith("cuda"):
        import torch

        text += f", {torch.cuda.get_device_name(device)}"
    return text


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:  # not Linux
        info = ""
    found = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return " ".join(found[1].split()) if found else platform.processor() or platform.machine()
