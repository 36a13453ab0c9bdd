"""`agy-nb usage PATH`: tokens and cost of recorded sessions, as text or data."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from agy_nb.analysis.schema import By
from agy_nb.errors import InvalidInputError
from agy_nb.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

    from agy_nb.analysis.tables import Tables

FORMATS = ("table", "csv", "json", "parquet")

_SHOWN = (
    "n_model_calls", "n_tool_calls", "input_tokens", "cache_read_tokens", "output_tokens",
    "total_tokens", "cache_hit_ratio", "cost_usd", "n_errors", "duration_s", "attributed_tokens",
    "attributed_cost_usd",
)  # fmt: skip
"""Columns of the text table; the other formats have all columns."""


def add_parser(commands: Any) -> None:
    """Add the command `usage`."""
    parser = commands.add_parser(
        "usage",
        help="show tokens and cost of recorded sessions",
        description="Tokens and cost of recorded sessions. Sums that leave something out are "
        "marked with >=.",
    )
    parser.add_argument(
        "path", nargs="+", metavar="PATH", help="cassettes, folders with cassettes, or patterns"
    )
    parser.add_argument(
        "--by",
        metavar="KEYS",
        type=_keys,
        default="day",
        help=f"one key or several, separated by commas: {', '.join(get_args(By))} "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--since", metavar="WHEN", help="from a date on (2026-11-20), or from a time ago (7d, 12h)"
    )
    parser.add_argument("--until", metavar="WHEN", help="up to a date, that day included")
    parser.add_argument("--breakdown", action="store_true", help="add a row per model")
    parser.add_argument(
        "--tz",
        metavar="ZONE",
        help="time zone of days, e.g. Europe/Vienna (default: local)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="output format (default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="same as --format json"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write to a file instead of the terminal"
    )
    parser.add_argument("--no-cost", action="store_true", help="do not look up prices")
    parser.set_defaults(run=run)


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(","))
    for key in keys:
        if key not in get_args(By):
            raise argparse.ArgumentTypeError(
                f"{key!r} is not a key; use one or several of {', '.join(get_args(By))}"
            )
    return keys


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        The exit code: 0, or 1 when a path has no recording or no session could be read.

    Raises:
        InvalidInputError: There is nothing at a path, no such time zone, or the format needs
            `--output`.
    """
    from agy_nb.analysis.loading import load
    from agy_nb.analysis.metrics.cost import Prices

    if arguments.format == "parquet" and arguments.output is None:
        raise InvalidInputError("--format parquet needs --output FILE", field="output")
    loaded = load(arguments.path, prices=None if arguments.no_cost else Prices())
    sessions: Tables = loaded
    if arguments.since or arguments.until:
        sessions = sessions.filter(since=arguments.since, until=arguments.until, tz=arguments.tz)
    keys: list[str] = list(arguments.by)
    if arguments.breakdown and "model" not in keys:
        keys.append("model")
    usage = sessions.usage(keys, tz=arguments.tz)
    problems = loaded.problems
    is_empty = problems["problem"].eq("nothing_found")
    if is_empty.any() and is_empty.all() and not len(loaded.turns):
        return _say_empty(problems["path"])
    if arguments.format == "table":
        _put(_with_total(usage, sessions, keys), arguments.output)
    else:
        _write(usage, arguments.format, arguments.output)
    _say_empty(problems.loc[is_empty, "path"])
    for place in problems[~is_empty].drop_duplicates("path").itertuples():
        text = f"note: {place.path}: {place.problem}: {place.detail}"
        sys.stderr.write(printable(text).replace("\n", "\\n") + "\n")
    if sessions.model_calls["cost_status"].eq("no_price_table").any():
        sys.stderr.write("note: no prices are installed: pip install 'agy-nb[cost]'\n")
    return 1 if is_empty.any() or (len(problems) and not len(loaded.turns)) else 0


def _say_empty(paths: Iterable[str]) -> int:
    """Report paths without a recording; returns the exit code."""
    for path in paths:
        text = f"agy-nb: no recording found at {path!r}; name a cassette, a folder or a pattern"
        sys.stderr.write(printable(text) + "\n")
    return 1


def _write(usage: pd.DataFrame, kind: str, output: Path | None) -> None:
    from agy_nb.analysis.export.files import csv, plain, to_arrow

    if kind == "parquet":
        assert output is not None
        table = to_arrow(usage)
        from pyarrow import parquet

        with output.open("wb") as file:
            parquet.write_table(table, file)
    elif kind == "csv":
        _put(csv(usage), output)
    else:
        _put(plain(usage).to_json(orient="records", date_format="iso", indent=2) + "\n", output)


def _put(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    else:
        output.write_text(text, encoding="utf-8")


def _with_total(usage: pd.DataFrame, sessions: Tables, keys: list[str]) -> str:
    """Return the text of a table, with names of sessions and a row with the sum of all."""
    import pandas as pd

    from agy_nb.analysis.export.files import plain
    from agy_nb.analysis.metrics.groups import columns_of, session_names

    shown = usage
    if "session_name" in shown:
        shown = shown.drop(columns="session_id")
    elif "session_id" in shown:
        names = shown["session_id"].map(session_names(sessions))
        shown = shown.assign(session_id=names).rename(columns={"session_id": "session_name"})
    if "tool" in keys or len(shown) < _FEW:  # tools have a share of the tokens only
        return _as_text(plain(shown))
    on = [name for name in shown.columns if name in (*columns_of(keys), "session_name")]
    total = sessions.usage(())
    rows = pd.concat([plain(shown).astype(object), plain(total).astype(object)])
    rows[on[0]] = [*rows[on[0]][:-1], "total"]
    return _as_text(rows)


_FEW = 2


def _as_text(usage: pd.DataFrame) -> str:
    if not len(usage):
        return "no turns\n"
    bounds = {"total_tokens": "tokens_are_lower_bound", "cost_usd": "cost_is_lower_bound"}
    figures = [name for name in _SHOWN if name in usage]
    keys = list(usage.columns[: next(i for i, n in enumerate(usage.columns) if n in figures)])
    rows: list[list[str]] = [[*keys, *figures]]
    for _, row in usage.iterrows():
        cells = [_cell(name, row[name]) for name in keys]
        for name in figures:
            least = name in bounds and row[bounds[name]] and str(row[name]) != "<NA>"
            cells.append((">=" if least else "") + _cell(name, row[name]))
        rows.append(cells)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place < len(keys) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


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
