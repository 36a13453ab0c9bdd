"""Percentiles of the latency of model calls, by any keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.builders.dataframes import dtype
from agy_nb.analysis.metrics.groups import (
    Source,
    check_keys,
    columns_of,
    keys_of,
    sorted_groups,
    with_keys,
)
from agy_nb.analysis.metrics.usage_columns import USAGE_KEYS
from agy_nb.analysis.schema import Column

if TYPE_CHECKING:
    import pandas as pd

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_ALL = "_all"


def duration_columns(
    name: str, meaning: str, quantiles: Mapping[str, float] = _QUANTILES
) -> tuple[Column, ...]:
    """Return the columns of the quantiles of a duration.

    Args:
        name: Begins the name of each column.
        meaning: From when to when the duration is.
        quantiles: Shares by the ends of the names.
    """
    return tuple(
        Column(f"{name}_{label}", "duration", f"{meaning}: {share:.0%} are faster", "microseconds")
        for label, share in quantiles.items()
    )


LATENCY: tuple[Column, ...] = (
    Column("n_model_calls", "int", "Metered model calls"),
    *duration_columns("ttft", "From the start of a call to its first piece"),
    *duration_columns("duration", "From the start of a call to its end"),
    *(
        Column(
            f"tokens_per_second_{label}",
            "float",
            f"Output tokens / duration of a call: {share:.0%} are slower",
            "tokens per second",
        )
        for label, share in _QUANTILES.items()
    ),
)
"""Columns of `latency` after its keys."""


def latency_table(source: Source, by: Any = (), *, tz: str | None = None) -> pd.DataFrame:
    """Return percentiles of the latency of metered model calls.

    Args:
        source: Tables.
        by: The key or keys of the groups, as for `usage`.
        tz: Time zone of periods; None for the local one.

    Raises:
        InvalidInputError: A key or the time zone is unknown.
    """
    keys = keys_of(by)
    check_keys(source, keys)
    calls = source.frame("model_calls")
    calls = with_keys(source, "model_calls", calls[calls["status"].eq("metered")], keys, tz)
    on = columns_of(keys) or [_ALL]
    seconds = calls["duration"].dt.total_seconds().astype("Float64")
    calls = calls.assign(
        **{_ALL: 0},
        ttft=_ticks(calls["ttft"]),
        duration=_ticks(calls["duration"]),
        tokens_per_second=calls["output_tokens"].astype("Float64") / seconds.where(seconds > 0),
    )
    groups = calls.groupby(on, dropna=False, observed=True)
    figures = groups.size().rename("n_model_calls").to_frame()
    for name in ("ttft", "duration", "tokens_per_second"):
        for label, share in _QUANTILES.items():
            figures[f"{name}_{label}"] = groups[name].quantile(share)
    return _finished(source, figures.reset_index(), [name for name in on if name != _ALL])


def _ticks(durations: pd.Series[Any]) -> pd.Series[Any]:
    """Return durations in microseconds; pandas has no percentiles of durations by group."""
    ticks: pd.Series[Any] = durations.dt.total_seconds().astype("Float64") * 1e6
    return ticks


def _finished(source: Source, table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    import pandas as pd

    for column in LATENCY:
        if column.kind == "duration":
            table[column.name] = pd.to_timedelta(table[column.name].round(), unit="us")
    known = (each for columns in USAGE_KEYS.values() for each in columns)
    kinds = {each.name: dtype(each) for each in (*known, *LATENCY)}
    names = [*keys, *(column.name for column in LATENCY)]
    found = table[names].astype({name: kinds[name] for name in names if name in kinds})
    return sorted_groups(source, found, keys) if keys else found
