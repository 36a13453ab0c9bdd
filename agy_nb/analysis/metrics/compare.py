"""The difference between two sets of sessions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.builders.dataframes import dtype
from agy_nb.analysis.metrics.groups import Source
from agy_nb.analysis.metrics.usage import usage_table
from agy_nb.analysis.schema import Column
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_LEVEL = 0.95
_TINY = 1e-300
_STEPS = 300
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

    Raises:
        InvalidInputError: `a` or `b` has another type.

    Example:
        >>> from agy_nb.analysis import compare
        >>> found = compare(agy.load("cassettes/plain_chat"), agy.load("cassettes/host_tools"))
        >>> found[found.figure == "tool calls per turn"]["mean_b"].tolist()
        [2.0]
    """
    import pandas as pd

    for name, source in (("a", a), ("b", b)):
        if not hasattr(source, "frame"):
            raise InvalidInputError(
                f"{name} must be sessions or tables, such as agy.load(...), got {source!r}",
                field=name,
            )
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
            side = margin((variance(a), len(a)), (variance(b), len(b)))
            found |= {"low": difference - side, "high": difference + side}
            found["within_noise"] = abs(difference) <= side
    return found


def margin(*sets: tuple[float, int]) -> float:
    """Return half of a 95% interval of a mean, or of the difference of two means.

    Args:
        *sets: Variance and size of each set of values; sizes are above 1.

    Example:
        >>> round(margin((2.0, 2)), 3)
        12.706
    """
    parts = [spread / size for spread, size in sets]
    squared = sum(parts)
    if not squared:
        return 0.0
    degrees = squared**2 / sum(
        part**2 / (size - 1) for part, (_, size) in zip(parts, sets, strict=True)
    )
    return t_quantile(_LEVEL, degrees) * math.sqrt(squared)


def t_quantile(level: float, degrees: float) -> float:
    """Return how many standard errors are on each side of an interval, by Student's t.

    SciPy has this function, but would be a large dependency for one number.

    Args:
        level: Share of cases that the interval covers, such as 0.95.
        degrees: Degrees of freedom, above 0; need not be whole.

    Example:
        >>> [round(t_quantile(0.95, degrees), 3) for degrees in (1, 3, 30, 1e9)]
        [12.706, 3.182, 2.042, 1.96]
    """
    low, high = 0.0, 2.0
    while _outside(high, degrees) > 1 - level:
        low, high = high, 2 * high
    for _ in range(200):  # halve the interval until no number is between its ends
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _outside(middle, degrees) > 1 - level else (low, middle)
    return (low + high) / 2


def _outside(t: float, degrees: float) -> float:
    """Return the probability of a value farther from 0 than `t`."""
    return _beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def _beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function, by its continued fraction."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - _beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front += a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = fraction
        for term in (even, odd):
            d = 1 / _apart(1 + term * d)
            c = _apart(1 + term / c)
            fraction *= c * d
        if fraction == before:
            break
    return math.exp(front) * fraction / a


def _apart(value: float) -> float:
    """Keep a denominator from zero."""
    return value if abs(value) > _TINY else _TINY
