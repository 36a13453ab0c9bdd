"""Charts of bars: tokens and cost over time, or turn by turn.

A bar over time holds the model calls of its period, as `usage` by day or hour does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agy_nb.analysis.metrics.groups import (
    Source,
    check_keys,
    columns_of,
    local_times,
    session_names,
    with_keys,
)
from agy_nb.analysis.metrics.usage import usage_table
from agy_nb.analysis.plotting.charts import (
    BLUE,
    GREEN,
    LINES,
    ORANGE,
    PALE,
    PINK,
    RED,
    SKY,
    Chart,
    Kind,
    Pattern,
    Series,
    floats,
    short,
)
from agy_nb.analysis.schema import UNREPORTED
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

By: TypeAlias = Literal["time", "order"]

_PARTS: tuple[tuple[str, str, str, Pattern], ...] = (
    ("cache_read_tokens", "prompt, from the cache", SKY, "/"),
    ("uncached_input_tokens", "prompt, not cached", BLUE, ""),
    ("tool_use_tokens", "prompt of the model's tools", GREEN, "x"),
    ("reasoning_tokens", "thoughts", PINK, "."),
    ("answer", "answer", ORANGE, "\\"),
)
_PATTERNS: tuple[Pattern, ...] = ("", "/", "\\", ".", "x", "-")
_BARS = 60
"""Maximum number of bars with gaps: more of them are too narrow to see each one."""
_TURN = 0.8
"""Width of a turn's bar."""
_FEW = 9
"""Fewer bars than this are not drawn wider: the axis has room for so many."""
_PERIODS: tuple[tuple[int, str], ...] = (
    (1, "second"), (10, "10 seconds"), (60, "minute"), (600, "10 minutes"), (3600, "hour"),
    (21_600, "6 hours"), (86_400, "day"), (604_800, "week"), (2_592_000, "30 days"),
)  # fmt: skip
_NOT_STACKED = {"hour", "day", "week", "month", "turn", "tool", "trajectory"}
"""Keys that do not divide a bar: periods are the axis, and the others have too many values."""


def usage_chart(source: Source, by: By = "time", tz: str | None = None) -> Chart:
    """Return tokens over time or turn by turn, stacked by kind.

    Raises:
        InvalidInputError: `by` or the time zone is unknown.
    """
    if by == "order":
        return _by_turn(source)
    if by != "time":
        raise InvalidInputError(
            f"by must be 'time' or 'order', got {by!r}. To stack by a key such as 'agent', use "
            "plot_cost(by=...)",
            field="by",
        )
    chart = Chart("Tokens over time", "time", "tokens", time_x=True)
    calls = source.frame("model_calls").dropna(subset=["at"])
    begins, width, word = _periods(local_times(calls["at"], tz))
    columns = [name for name, *_ in _PARTS]
    sums = _parts(calls)[columns].groupby(begins).sum()
    if not sums.to_numpy().any():
        return replace(chart, time_x=False, nothing="no metered model calls")
    places = floats(sums.index + width / 2)
    series, base = _stack(sums, places, [""] * len(places), width * 0.85, "bar")
    low = _without_usage(calls).groupby(begins).any().tolist()
    series += _lower_bounds(low, places, base, [""] * len(places))
    return replace(
        chart, x=f"time, per {word}", series=tuple(series), x_range=_around(places, width)
    )


def _parts(table: pd.DataFrame) -> pd.DataFrame:
    """Return tokens of the parts of a bar, which add up to `total_tokens`."""
    names = ["input_tokens", "cache_read_tokens", "tool_use_tokens", "output_tokens"]
    counts = table[[*names, "reasoning_tokens"]].fillna(0).astype("float64")
    return counts.assign(
        uncached_input_tokens=counts["input_tokens"] - counts["cache_read_tokens"],
        answer=counts["output_tokens"] - counts["reasoning_tokens"],
    )


def _without_usage(calls: pd.DataFrame) -> pd.Series[Any]:
    return calls["status"].isin(UNREPORTED)


def _by_turn(source: Source) -> Chart:
    chart = Chart("Tokens by turn", "turn, in order", "tokens", whole_x=True)
    usage = usage_table(source, "turn").dropna(subset=["total_tokens"])
    if not len(usage):
        return replace(chart, nothing="no metered model calls")
    sessions = session_names(source)
    names = [
        f"{sessions[session]} turn {turn}"
        for session, turn in zip(usage["session_id"], usage["turn_id"].astype(str), strict=True)
    ]
    places = floats(range(1, len(usage) + 1))
    kind: Kind = "bar" if len(usage) <= _BARS else "steps"
    series, base = _stack(_parts(usage), places, names, _TURN, kind)
    bounds = usage["tokens_are_lower_bound"].fillna(value=False).to_numpy(dtype=bool)
    series += _lower_bounds(bounds.tolist(), places, base, names)
    ids = usage["session_id"].tolist()
    dividers = [n + 0.5 for n in range(1, len(ids)) if ids[n] != ids[n - 1]]
    shown = tuple(dividers) if len(dividers) < _BARS else ()
    return replace(chart, series=tuple(series), x_range=_around(places, 1.0), dividers=shown)


def _stack(
    table: pd.DataFrame, places: tuple[float, ...], names: list[str], width: float, kind: Kind
) -> tuple[list[Series], tuple[float, ...]]:
    base = (0.0,) * len(places)
    series: list[Series] = []
    for column, label, colour, pattern in _PARTS:
        heights = floats(table[column])
        if any(heights):
            part = Series(
                label, kind, colour, places, heights, base, text=tuple(names), pattern=pattern,
                width=width,
            )  # fmt: skip
            series.append(part)
            base = part.top
    return series, base


def _lower_bounds(
    low: Sequence[bool], places: tuple[float, ...], base: tuple[float, ...], names: list[str]
) -> list[Series]:
    kept = [number for number, bound in enumerate(low) if bound]
    if not kept:
        return []
    x, y = (floats(values[n] for n in kept) for values in (places, base))
    texts = tuple(names[n] for n in kept)
    return [Series("at least this", "points", RED, x, y, text=texts, mark="up")]


def cost_chart(
    source: Source, by: Any = "model", *, cumulative: bool = False, tz: str | None = None
) -> Chart:
    """Return cost over time, stacked by a key.

    Args:
        source: Tables.
        by: A key of `usage`, such as `"model"`, `"session"` or a label.
        cumulative: Whether a bar shows all cost so far, or that of its period.
        tz: Time zone of the axis; None for the local one.

    Raises:
        InvalidInputError: The key or the time zone is unknown.
    """
    by = one_key(by, "cost is stacked")
    if isinstance(by, str) and by in _NOT_STACKED:
        raise InvalidInputError(
            f"cost cannot be stacked by {by!r}; use 'model', 'agent', 'session' or a label",
            field="by",
        )
    import pandas as pd

    check_keys(source, [by])
    title = "Cost so far" if cumulative else "Cost over time"
    chart = Chart(title, "time", "US dollars", money_y=True)
    calls = with_keys(source, "model_calls", source.frame("model_calls"), [by], tz)
    calls = calls.dropna(subset=["at"]).reset_index(drop=True)
    if not calls["cost_usd"].notna().any():
        return replace(chart, nothing=_no_price(calls))
    begins, width, word = _periods(local_times(calls["at"], tz))
    table = _costs(calls, begins, names_of_groups(source, calls, by))
    unpriced = calls["status"].eq("metered") & calls["cost_usd"].isna()
    low = (unpriced | _without_usage(calls)).groupby(begins).any()
    if cumulative:
        every = _every_period(table.index, width)
        table = table.reindex(every, fill_value=0.0).cumsum()
        low = pd.Series([*[False] * (len(every) - 1), low.any()])  # one mark says it for all
    places = floats(table.index + width / 2)
    names = [""] * len(places)
    base, series = (0.0,) * len(places), []
    styles = [*zip((colour for colour, _ in LINES), _PATTERNS, strict=True), (PALE, "")]
    for name, (colour, pattern) in zip(table.columns, styles, strict=False):
        part = Series(
            short(name), "bar", colour, places, floats(table[name]), base, text=tuple(names),
            pattern=pattern, width=width * 0.85,
        )  # fmt: skip
        series.append(part)
        base = part.top
    series += _lower_bounds(low.tolist(), places, base, names)
    return replace(
        chart, x=f"time, per {word}", series=tuple(series), time_x=True,
        x_range=_around(places, width),
    )  # fmt: skip


def one_key(by: Any, what: str) -> Any:
    """Return the key of a plot, which may be in a list, as for `usage`.

    Raises:
        InvalidInputError: There are several keys, or none.
    """
    if not isinstance(by, list | tuple):
        return by
    if len(by) != 1:
        raise InvalidInputError(f"{what} by one key, got {by!r}", field="by")
    return by[0]


def _no_price(calls: pd.DataFrame) -> str:
    """Return why a chart of cost is empty, and what to do."""
    if not len(calls):
        return "no model calls"
    models = calls["model"].dropna().unique().tolist()
    named = f"no price for {short(', '.join(models))}" if models else "no model call has a price"
    return f"{named}; set prices with tables.with_prices(Prices(own=...))"


def _costs(calls: pd.DataFrame, begins: pd.Series[Any], names: pd.Series[Any]) -> pd.DataFrame:
    """Return cost per period and name: the largest first, and those after the sixth in one."""
    import pandas as pd

    cost = calls["cost_usd"].astype("float64").fillna(0.0)
    parts = pd.DataFrame({"begin": begins, "name": names, "cost": cost})
    table = parts.pivot_table(
        index="begin", columns="name", values="cost", aggfunc="sum", fill_value=0.0
    )
    totals = table.sum()
    table = table[totals[totals > 0].sort_values(ascending=False, kind="stable").index]
    first, rest = table.columns[: len(LINES)], table.columns[len(LINES) :]
    return table[first].assign(
        **{f"{len(rest)} more": table[rest].sum(axis=1)} if len(rest) else {}
    )


def names_of_groups(source: Source, calls: pd.DataFrame, by: Any) -> pd.Series[Any]:
    """Return the name of each call's group, as a legend shows it.

    Args:
        source: Tables.
        calls: Model calls with the columns of the key.
        by: The key.
    """
    column = columns_of([by])[-1]
    names = calls[column].astype("string")
    if isinstance(by, str) and by in ("session", "agent"):
        sessions = calls["session_id"].map(session_names(source)).astype("string")
        where = " of " + sessions if len(set(sessions)) > 1 else ""
        names = sessions if by == "session" else "agent " + names + where
    missing = {"subagent": "main agent", "model": "unknown model"}
    named: pd.Series[Any] = names.fillna(missing.get(column, f"no {column}"))
    return named


def _periods(times: pd.Series[Any]) -> tuple[pd.Series[Any], float, str]:
    """Return the begin of each time's period in seconds, and the length and name of a period."""
    seconds = times.astype("datetime64[us]").astype("int64") / 1e6
    length = float(seconds.max() - seconds.min()) if len(seconds) else 0.0
    width, word = next((each for each in _PERIODS if length <= each[0] * _BARS), _PERIODS[-1])
    monday = 345_600 if width == 604_800 else 0  # 1970 began on a Thursday  # noqa: PLR2004
    return ((seconds - monday) // width) * width + monday, float(width), word


def _every_period(begins: pd.Index[Any], width: float) -> pd.Index[Any]:
    import numpy as np
    import pandas as pd

    return pd.Index(np.arange(begins[0], begins[-1] + width / 2, width))


def _around(places: Sequence[float], width: float) -> tuple[float, float]:
    """Return the range of an axis: a few bars are not drawn as wide as the chart."""
    room = max(width * 0.7, (_FEW * width - (places[-1] - places[0])) / 2)
    return places[0] - room, places[-1] + room
