"""Parts of HTML pages: tables and figures. Each text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

UNKNOWN = "n/a"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """Return a table for a page; the first columns are texts, the others numbers."""
    return _table(head, rows, texts, box="class='wide'")


def notebook_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """Return a table for a notebook, which would align texts to the right."""
    box, left = "style='overflow-x:auto'", " style='text-align:left'"
    return _table(head, rows, texts, box=box, text=left)


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], texts: int, *, box: str, text: str = ""
) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        kinds = [text if place < texts else " class='n'" for place in range(len(cells))]
        return "".join(
            f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    top = f"<thead><tr>{row(head, 'th')}</tr></thead>"
    return f"<div {box}><table>{top}<tbody>{body}</tbody></table></div>"


def at_least(text: str, low: Any) -> str:
    """Mark a number that is a lower bound."""
    return f"≥ {text}" if low is not None and bool(low) and text != UNKNOWN else text


def _is_unknown(value: Any) -> bool:
    return value is None or str(value) in ("<NA>", "nan", "NaT")


def money(value: Any) -> str:
    """Return US dollars, with at least two digits that are not zero."""
    if _is_unknown(value):
        return UNKNOWN
    if value == 0:
        return "$0"
    digits = 2 if value >= 1 else max(2, 1 - math.floor(math.log10(value)))
    return f"${value:,.{digits}f}"


def count(value: Any) -> str:
    """Return a whole number."""
    return UNKNOWN if _is_unknown(value) else f"{int(value):,}"


def seconds(value: Any) -> str:
    """Return a number of seconds, in milliseconds below one second."""
    if _is_unknown(value):
        return UNKNOWN
    return f"{value:,.1f} s" if value >= 1 else f"{value * 1000:,.0f} ms"
