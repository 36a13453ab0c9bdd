"""Usage as a table of text, for terminals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agy_nb.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

    from agy_nb.analysis.tables import Tables

_SHOWN = (
    "n_model_calls", "n_tool_calls", "input_tokens", "cache_read_tokens", "output_tokens",
    "total_tokens", "cache_hit_ratio", "cost_usd", "n_errors", "duration_s", "attributed_tokens",
    "attributed_cost_usd",
)  # fmt: skip
"""Columns of the text table; the other formats have all columns."""
_FEW = 2


def usage_rows(usage: pd.DataFrame, sessions: Tables, keys: Sequence[str]) -> list[list[str]]:
    """Return the cells of a table: headings, groups, and the sum of all if there are several.

    Args:
        usage: The answer of `sessions.usage(keys)`.
        sessions: Tables.
        keys: The keys of the groups.
    """
    import pandas as pd

    from agy_nb.analysis.export.files import plain
    from agy_nb.analysis.metrics.groups import columns_of

    shown = usage.drop(columns="session_id", errors="ignore")
    if "session_name" in shown:
        shown = shown.assign(session_name=shown["session_name"].fillna("?"))
    on = [name for name in shown.columns if name in (*columns_of(keys), "session_name")]
    if "tool" in keys or len(shown) < _FEW:  # tools have a share of the tokens only
        return text_rows(plain(shown))
    total = sessions.usage(())
    rows = pd.concat([plain(shown).astype(object), plain(total).astype(object)])
    rows[on[0]] = [*rows[on[0]][:-1], "total"]
    return text_rows(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return cells as lines of aligned text; numbers are on the right."""
    if not rows:
        return "no turns\n"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = next((place for place, name in enumerate(rows[0]) if name in _SHOWN), len(widths))
    lines = [
        "  ".join(
            cell.ljust(width) if place < first else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def text_rows(usage: pd.DataFrame) -> list[list[str]]:
    """Return the cells of a table with its headings; nothing if it has no rows."""
    if not len(usage):
        return []
    bounds = {"total_tokens": "tokens_are_lower_bound", "cost_usd": "cost_is_lower_bound"}
    figures = [name for name in _SHOWN if name in usage]
    keys = list(usage.columns[: next(i for i, n in enumerate(usage.columns) if n in figures)])
    rows: list[list[str]] = [[*keys, *figures]]
    for row in usage.to_dict("records"):
        cells = [_cell(str(name), row[name]) for name in keys]
        for name in figures:
            least = name in bounds and row[bounds[name]] and str(row[name]) != "<NA>"
            cells.append((">=" if least else "") + _cell(name, row[name]))
        rows.append(cells)
    return rows


def changed_rows(
    rows: Sequence[Sequence[str]], known: Mapping[tuple[str, ...], Sequence[str]]
) -> dict[tuple[str, ...], list[str]]:
    """Return the rows that differ from those before, by their keys.

    Args:
        rows: Headings and rows.
        known: The last row of each key.
    """
    if not rows:
        return {}
    first = next(place for place, name in enumerate(rows[0]) if name in _SHOWN)
    found = {tuple(row[:first]): list(row) for row in rows[1:]}
    return {key: row for key, row in found.items() if known.get(key) != row}


def _cell(name: str, value: Any) -> str:
    if value is None or str(value) in ("<NA>", "NaT", "nan"):
        return "-"
    if name in ("day", "week", "month", "hour") and not isinstance(value, str):
        return str(value)[:16] if name == "hour" else str(value.date())
    if name.endswith("_usd"):
        # A short call costs millionths of a dollar; do not round it to 0.
        digits = 6 if not value else max(6, -math.floor(math.log10(value)))
        return f"{value:,.{digits}f}"
    if name.endswith("_ratio"):
        return f"{value:.1%}"
    if name.endswith("_s"):
        return f"{value:,.3f}"
    if isinstance(value, str):
        return printable(value).replace("\n", "\\n")
    return f"{value:,.0f}" if name.endswith("tokens") else str(value)
