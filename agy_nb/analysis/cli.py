"""`agy-nb usage PATH`: tokens and cost of recorded sessions, as text or data."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from agy_nb.analysis.errors import MissingPricesWarning
from agy_nb.analysis.metrics.usage_columns import By
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.labels import problem_of
from agy_nb.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

    from agy_nb.analysis.sessions import Sessions
    from agy_nb.analysis.tables import Tables

FORMATS = ("table", "csv", "json", "parquet")


def add_parser(commands: Any) -> None:
    """Add the command `usage`."""
    from agy_nb.cassette.command_arguments import to_seconds

    parser = commands.add_parser(
        "usage",
        help="show tokens and cost of recorded sessions",
        description="Show tokens and cost of recorded sessions. >= marks a sum that is a lower "
        "bound.",
    )
    parser.add_argument(
        "path", nargs="+", metavar="PATH", help="cassettes, folders with cassettes, or patterns"
    )
    parser.add_argument(
        "--by",
        metavar="KEYS",
        type=_keys,
        default="day",
        help=f"one key or several, separated by commas: {', '.join(get_args(By))}, or a label "
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
    parser.add_argument(
        "--watch",
        action="store_true",
        help="update the table while agents run, until Ctrl-C: in place on a terminal, else a line "
        "per change",
    )
    parser.add_argument(
        "--interval",
        type=to_seconds,
        default=2.0,
        metavar="SECONDS",
        help="pause of --watch (default: %(default)s)",
    )
    parser.set_defaults(run=run, parser=parser)


def _keys(text: str) -> tuple[str, ...]:
    """Convert an argument to keys. A word that is not a key can be a label of a recording."""
    keys = tuple(key.strip() for key in text.split(","))
    for key in keys:
        if key not in get_args(By) and problem_of(key, ""):
            raise argparse.ArgumentTypeError(
                f"{key!r} is not a key; use one or several of {', '.join(get_args(By))}, or a label"
            )
    return keys


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        The exit code: 0, 1 when a path has no recording or no session could be read, or 2 when a
        key is neither known nor a label.

    Raises:
        InvalidInputError: There is nothing at a path, no such time zone, or the format needs
            `--output`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingPricesWarning)  # the command prints a note
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from agy_nb.analysis.export.text_table import aligned, usage_rows
    from agy_nb.analysis.metrics.groups import check_keys

    if arguments.format == "parquet" and arguments.output is None:
        raise InvalidInputError("--format parquet needs --output FILE", field="output")
    keys: list[str] = list(arguments.by)
    if arguments.breakdown and "model" not in keys:
        keys.append("model")
    if arguments.watch:
        return _watch(arguments, keys)
    loaded = _load(arguments)
    sessions = _selected(loaded, arguments)
    try:
        check_keys(sessions, keys)
    except InvalidInputError as error:
        arguments.parser.print_usage(sys.stderr)
        sys.stderr.write(printable(f"agy-nb usage: error: {error}") + "\n")
        return 2
    usage = sessions.usage(keys, tz=arguments.tz)
    problems = loaded.problems
    is_empty = problems["problem"].eq("nothing_found")
    if is_empty.any() and is_empty.all() and not len(loaded.turns):
        return _say_empty(problems["path"])
    if arguments.format == "table":
        _put(aligned(usage_rows(usage, sessions, keys)), arguments.output)
    else:
        _write(usage, arguments.format, arguments.output)
    _say_empty(problems.loc[is_empty, "path"])
    for place in problems[~is_empty].drop_duplicates("path").itertuples():
        text = f"note: {place.path}: {place.problem}: {place.detail}"
        sys.stderr.write(printable(text).replace("\n", "\\n") + "\n")
    if sessions.model_calls["cost_status"].eq("no_price_table").any():
        sys.stderr.write("note: no prices are installed: pip install 'agy-nb[cost]'\n")
    return 1 if is_empty.any() or (len(problems) and not len(loaded.turns)) else 0


def _load(arguments: argparse.Namespace) -> Sessions:
    from agy_nb.analysis.loading import load
    from agy_nb.analysis.metrics.cost import Prices

    return load(arguments.path, prices=None if arguments.no_cost else Prices())


def _selected(loaded: Sessions, arguments: argparse.Namespace) -> Tables:
    if not arguments.since and not arguments.until:
        return loaded
    return loaded.filter(since=arguments.since, until=arguments.until, tz=arguments.tz)


def _watch(arguments: argparse.Namespace, keys: list[str]) -> int:
    from agy_nb.analysis.export.files import plain
    from agy_nb.analysis.export.text_table import usage_rows
    from agy_nb.analysis.export.usage_watch import (
        TextRows,
        UsageRecord,
        state_of,
        watch,
        watch_as_json,
    )
    from agy_nb.analysis.metrics.groups import columns_of, labels_of

    if arguments.format not in ("table", "json") or arguments.output is not None:
        raise InvalidInputError("--watch shows a table, or writes JSON with --json", field="watch")
    seen: dict[str, Any] = {}

    def look() -> tuple[pd.DataFrame, Tables, list[str]]:
        """Read the recordings again if a file has changed."""
        loaded = _load(arguments)
        state = state_of(loaded.recordings)
        if seen.get("state") != state or arguments.since or arguments.until:
            sessions = _selected(loaded, arguments)
            labels = labels_of(sessions)  # of the recordings so far
            known = [key for key in keys if key in get_args(By) or key in labels]
            answer = sessions.usage(known, tz=arguments.tz), sessions, known
            seen.update(state=state, answer=answer)
        found: tuple[pd.DataFrame, Tables, list[str]] = seen["answer"]
        return found

    def rows() -> TextRows:
        return usage_rows(*look())

    def records() -> list[UsageRecord]:
        text = plain(look()[0]).to_json(orient="records", date_format="iso")
        found: list[UsageRecord] = json.loads(text)
        return found

    if arguments.format == "json":
        return watch_as_json(records, columns_of(keys), arguments.interval)
    return watch(rows, arguments.interval)


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
