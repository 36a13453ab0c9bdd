"""Print lines and tables, with colours in a terminal."""

from __future__ import annotations

import sys

from agy_nb.terminal import printable

_NUMBERS = frozenset({"sessions", "turns", "tokens", "size"})
_COLOURS = {"complete": "green", "partial": "yellow", "unreadable": "bold red"}


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{printable(text)}\n")


def complain(text: str) -> None:
    """Print a line to the standard error."""
    sys.stderr.write(f"{printable(text)}\n")


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows; the first one has the headings."""
    if sys.stdout.isatty():
        _rich_table(rows)
        return
    rows = [tuple(map(_cell, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(map(str.ljust, row, widths)).rstrip())


def _rich_table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in rows[0]:
        numeric = heading in _NUMBERS
        table.add_column(
            heading, justify="right" if numeric else "left", no_wrap=heading != "tools",
            overflow="fold",
        )  # fmt: skip
    for row in rows[1:]:
        *others, state = map(_cell, row)
        table.add_row(*map(Text, others), Text(state, style=_COLOURS.get(state, "")))
    Console().print(table)


def _cell(text: str) -> str:
    """Escape a text so that it fits on one line of a table."""
    return printable(text).replace("\n", "\\n")
