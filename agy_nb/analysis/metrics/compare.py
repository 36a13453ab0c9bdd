"""The difference between two sets of sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agy_nb.analysis.builders.dataframes import dtype
from agy_nb.analysis.metrics.groups import Source
from agy_nb.analysis.metrics.student import t_quantile
from agy_nb.analysis.metrics.usage import usage_table
from agy_nb.analysis.schema import Column

if TYPE_CHECKING:
    import pandas as pd

_LEVEL = 0.95
_ROUNDING = 1e-12
"""Relative difference of two means that comes from the arithmetic of floats."""

COMPARISON: tuple[Column, ...] = (
    Column("figure", "string", "Name of the figure"),
    Column("unit", "string", "Unit of the means"),
    Column("n_a", "int", "Values in the first set"),
    Column("n_b", "int", "Values in the second set"),
    Column("mean_a", "float", "Mean of the first set"),
    Column("mean_b", "float", "Mean of the second set"),
    Column("difference", "float", "`mean_b` - `mean_a`"),
    Column("relative", "float", "`difference` / `mean_a`"),
    Column("low", "float", "Lower end of a 95% interval of the difference"),
    Column("high", "float", "Upper end of it"),
    Column("within_noise", "bool", "Whether the interval holds 0: the difference may be chance"),
)
"""Columns of `compare`."""


def compare(a: Source, b: Source) -> pd.DataFrame:
    """Compare two sets of sessions, with a confidence interval for each difference.

    The interval is for the difference of two means with unequal variances (Welch's, with quantiles
    of Student's t). With few values it is wide. It assumes that turns do not depend on each other.

    Args:
        a: The first set, such as `agy.load("last-week/")`.
        b: The second set.

    Returns:
        One row per figure: unit, numbers of values, means, and the difference with its 95%
        interval.

    Example:
        >>> from agy_nb.analysis import compare
        >>> found = compare(agy.load("cassettes/plain_chat"), agy.load("cassettes/host_tools"))
        >>> found[found.figure == "tool calls per turn"]["mean_b"].tolist()
        [2.0]
    """
    import pandas as pd

    rows = [
        {"figure": name, "unit": unit, **_difference(first, second)}
        for (name, unit, first), (_, _, second) in zip(_figures(a), _figures(b), strict=True)
    ]
    data = {column.name: [row[column.name] for row in rows] for column in COMPARISON}
    table = pd.DataFrame(data, dtype=object)
    return table.astype({column.name: dtype(column) for column in COMPARISON})


def _figures(source: Source) -> list[tuple[str, str, list[float]]]:
    turns, used = source.frame("turns"), usage_table(source, "turn")
    tools = source.frame("tool_calls")
    over = turns[turns["status"].notna() & turns["status"].ne("running")]
    return [
        ("tokens per turn", "tokens", _values(used["total_tokens"])),
        ("cost per turn", "US dollars", _values(used["cost_usd"])),
        ("cache hit ratio per turn", "", _values(used["cache_hit_ratio"])),
        ("model calls per turn", "calls", _values(turns["n_model_calls"])),
        ("tool calls per turn", "calls", _values(turns["n_tool_calls"])),
        ("time to first piece", "seconds", _values(turns["ttft"].dt.total_seconds())),
        ("turn", "seconds", _values(turns["duration"].dt.total_seconds())),
        ("tool", "seconds", _values(tools["duration"].dt.total_seconds())),
        ("turns that failed", "share", _values(over["status"].isin(["error", "timeout"]))),
    ]


def _values(series: pd.Series[Any]) -> list[float]:
    return [float(value) for value in series.dropna()]


def _difference(a: list[float], b: list[float]) -> dict[str, Any]:
    from statistics import fmean, variance

    found: dict[str, Any] = dict.fromkeys(
        ("mean_a", "mean_b", "difference", "relative", "low", "high", "within_noise")
    )
    found |= {"n_a": len(a), "n_b": len(b)}
    found["mean_a"] = fmean(a) if a else None
    found["mean_b"] = fmean(b) if b else None
    if a and b:
        difference = found["mean_b"] - found["mean_a"]
        if abs(difference) <= _ROUNDING * max(abs(found["mean_a"]), abs(found["mean_b"])):
            difference = 0.0
        found["difference"] = difference
        found["relative"] = difference / found["mean_a"] if found["mean_a"] else None
        if len(a) > 1 and len(b) > 1:
            margin = _margin((variance(a), len(a)), (variance(b), len(b)))
            found |= {"low": difference - margin, "high": difference + margin}
            found["within_noise"] = abs(difference) <= margin
    return found


def _margin(*sets: tuple[float, int]) -> float:
    """Return half of a 95% interval of the difference of two means, by variances and sizes."""
    parts = [spread / size for spread, size in sets]
    squared = sum(parts)
    if not squared:
        return 0.0
    degrees = squared**2 / sum(
        part**2 / (size - 1) for part, (_, size) in zip(parts, sets, strict=True)
    )
    margin: float = t_quantile(_LEVEL, degrees) * squared**0.5
    return margin
