"""How long model calls, first pieces, turns and tools took, as cumulative shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.metrics.groups import Source, check_keys, with_keys
from agy_nb.analysis.plotting.bars import names_of_groups, one_key
from agy_nb.analysis.plotting.charts import LINES, PALE, Chart, Mark, Series, floats, short, thin

if TYPE_CHECKING:
    import pandas as pd


def latency_chart(source: Source, by: Any = None) -> Chart:
    """Return the shares of calls, turns and tools that took up to a number of seconds.

    Args:
        source: Tables.
        by: A key of `usage`, for a line of model calls per group; None for a line per kind.

    Raises:
        InvalidInputError: The key is unknown.
    """
    chart = Chart("Latency", "seconds, logarithmic", "cumulative share", log_x=True)
    if by is None:
        series = tuple(_lines(_kinds(source), LINES))
    else:
        chart = replace(chart, title="Latency of model calls")
        series = _by_group(source, one_key(by, "latency is shown"))
    if not series:
        return replace(chart, nothing="no durations are known")
    return replace(chart, series=series, y_range=(0.0, 1.02), guides=(0.5, 0.9))


def _kinds(source: Source) -> Iterator[tuple[str, pd.Series[Any]]]:
    turns, tools, calls = (source.frame(name) for name in ("turns", "tool_calls", "model_calls"))
    yield "model call", calls["duration"]
    yield "first piece of a model call", calls["ttft"]
    yield "first piece of a turn", turns["ttft"]
    yield "whole turn", turns["duration"]
    yield "tool", tools["duration"]


def _by_group(source: Source, key: Any) -> tuple[Series, ...]:
    """Return a line per group, the groups with most calls first; a pale one for the others."""
    check_keys(source, [key])
    calls = source.frame("model_calls")
    calls = calls[calls["status"].eq("metered")].dropna(subset=["duration"])
    calls = with_keys(source, "model_calls", calls, [key], None).reset_index(drop=True)
    names = names_of_groups(source, calls, key)
    counts = names.value_counts()
    first, rest = counts.index[: len(LINES)], counts.index[len(LINES) :]
    groups = [(short(name), calls.loc[names.eq(name), "duration"]) for name in first]
    others = [(f"{len(rest)} more", calls.loc[names.isin(rest), "duration"])] if len(rest) else []
    return (*_lines(groups, LINES), *_lines(others, [(PALE, "")]))


def _lines(
    groups: Iterable[tuple[str, pd.Series[Any]]], styles: Iterable[tuple[str, Mark]]
) -> Iterator[Series]:
    for (label, durations), (colour, mark) in zip(groups, styles, strict=False):
        seconds = sorted(value for value in durations.dropna().dt.total_seconds() if value > 0)
        if seconds:
            shares = [(place + 1) / len(seconds) for place in range(len(seconds))]
            name = f"{label} ({len(seconds):,})"
            yield Series(
                name, "step", colour, floats(thin(seconds)), floats(thin(shares)), mark=mark
            )
