"""Charts of bars: tokens and cost over time, or turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agy_nb.analysis.metrics.groups import Source, check_keys, local_times, session_names, with_keys
from agy_nb.analysis.metrics.usage import usage_table
from agy_nb.analysis.plotting.charts import (
    BLUE,
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
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

By: TypeAlias = Literal["time", "order"]

_PARTS: tuple[tuple[str, str, str, Pattern], ...] = (
    ("cache_read_tokens", "prompt, from the cache", SKY, "/"),
    ("uncached_input_tokens", "prompt, not cached", BLUE, ""),
    ("reasoning_tokens", "thoughts", PINK, "."),
    ("answer", "answer", ORANGE, "\\"),
)
_PATTERNS: tuple[Pattern, ...] = ("", "/", "\\", ".", "x", "-")
_BARS = 60
"""Maximum number of bars with gaps: more of them are too narrow to see each one."""
_PERIODS: tuple[tuple[int, str], ...] = (
    (1, "second"), (10, "10 seconds"), (60, "minute"), (600, "10 minutes"), (3600, "hour"),
    (21_600, "6 hours"), (86_400, "day"), (604_800, "week"), (2_592_000, "30 days"),
)  # fmt: skip


def usage_chart(source: Source, by: By = "time", tz: str | None = None) -> Chart:
    """Return tokens over time or turn by turn, stacked by kind.

    Raises:
        InvalidInputError: `by` or the time zone is unknown.
    """
    if by not in ("time", "order"):
        raise InvalidInputError(f"by must be 'time' or 'order', got {by!r}", field="by")
    in_order = by == "order"
    title = "Tokens by turn" if in_order else "Tokens over time"
    chart = Chart(title, "turn, in order" if in_order else "time", "tokens", whole_x=in_order)
    usage = usage_table(source, "turn").dropna(subset=["total_tokens"])
    if not in_order:
        times = source.frame("turns")[["session_id", "turn_id", "started_at"]]
        usage = usage.merge(times, on=["session_id", "turn_id"]).dropna(subset=["started_at"])
    if not len(usage):
        return replace(chart, nothing="no metered model calls")
    reasoning = usage["reasoning_tokens"].fillna(0)
    usage = usage.assign(
        answer=usage["output_tokens"].fillna(0) - reasoning,
        uncached_input_tokens=usage["input_tokens"].fillna(0)
        - usage["cache_read_tokens"].fillna(0),
    )
    return _by_turn(source, usage, chart) if in_order else _by_time(usage, chart, tz)


def _by_turn(source: Source, usage: pd.DataFrame, chart: Chart) -> Chart:
    sessions = session_names(source)
    names = [
        f"{sessions[session]} turn {turn}"
        for session, turn in zip(usage["session_id"], usage["turn_id"].astype(str), strict=True)
    ]
    places = floats(range(1, len(usage) + 1))
    series, base = _stack(usage, places, names, 0.8)
    bounds = usage["tokens_are_lower_bound"].fillna(value=False).to_numpy(dtype=bool)
    series += _lower_bounds(bounds.tolist(), places, base, names)
    ids = usage["session_id"].tolist()
    dividers = [n + 0.5 for n in range(1, len(ids)) if ids[n] != ids[n - 1]]
    shown = tuple(dividers) if len(dividers) < _BARS else ()
    return replace(chart, series=tuple(series), x_range=(0.3, len(usage) + 0.7), dividers=shown)


def _by_time(usage: pd.DataFrame, chart: Chart, tz: str | None) -> Chart:
    begins, width, word = _periods(local_times(usage["started_at"], tz))
    columns = [name for name, *_ in _PARTS]
    sums = usage[columns].fillna(0).astype("float64").groupby(begins).sum()
    bounds = usage["tokens_are_lower_bound"].fillna(value=False).astype(bool)
    low = bounds.groupby(begins).any().tolist()
    places = floats(sums.index + width / 2)
    names = [""] * len(places)
    series, base = _stack(sums, places, names, width * 0.85)
    series += _lower_bounds(low, places, base, names)
    return replace(
        chart, x=f"time, per {word}", series=tuple(series), time_x=True,
        x_range=_around(places, width),
    )  # fmt: skip


def _stack(
    table: pd.DataFrame, places: tuple[float, ...], names: list[str], width: float
) -> tuple[list[Series], tuple[float, ...]]:
    kind: Kind = "bar" if len(places) <= _BARS or width != 0.8 else "steps"  # noqa: PLR2004
    base = (0.0,) * len(places)
    series: list[Series] = []
    for column, label, colour, pattern in _PARTS:
        heights = floats(table[column].fillna(0))
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
    if isinstance(by, str) and by in ("hour", "day", "week", "month", "turn", "tool", "trajectory"):
        raise InvalidInputError(
            f"cost is not stacked by {by!r}; use 'model' or a label", field="by"
        )
    import pandas as pd

    check_keys(source, [by])
    title = "Cost so far" if cumulative else "Cost over time"
    chart = Chart(title, "time", "US dollars", money_y=True)
    calls = with_keys(source, "model_calls", source.frame("model_calls"), [by], tz)
    calls = calls.dropna(subset=["cost_usd", "at"])
    if not len(calls):
        return replace(chart, nothing="no model call has a price")
    column = "session_id" if by == "session" else "agent_id" if by == "agent" else calls.columns[-1]
    if isinstance(by, str) and by in calls:
        column = by
    keys = calls[column].astype("string").fillna("unknown")
    if by == "session":
        keys = keys.map(session_names(source)).astype("string")
    begins, width, word = _periods(local_times(calls["at"], tz))
    priced = pd.DataFrame(
        {"begin": begins, "key": keys, "cost": calls["cost_usd"].astype("float64")}
    )
    table = priced.pivot_table(
        index="begin", columns="key", values="cost", aggfunc="sum", fill_value=0.0
    )
    table = table[table.sum().sort_values(ascending=False).index]
    most = len(LINES)
    rest = table[table.columns[most:]].sum(axis=1)
    first = table[table.columns[:most]]
    if cumulative:
        first, rest = first.cumsum(), rest.cumsum()
    places = floats(table.index + width / 2)
    base, series = (0.0,) * len(places), []
    for name, (colour, _), pattern in zip(first.columns, LINES, _PATTERNS, strict=False):
        part = Series(
            short(str(name)), "bar", colour, places, floats(first[name]), base,
            text=("",) * len(places), pattern=pattern, width=width * 0.85,
        )  # fmt: skip
        series.append(part)
        base = part.top
    if len(table.columns) > most:
        name = f"{len(table.columns) - most} more"
        series.append(
            Series(name, "bar", PALE, places, floats(rest), base, text=("",) * len(places),
                   width=width * 0.85)
        )  # fmt: skip
    return replace(
        chart, x=f"time, per {word}", series=tuple(series), time_x=True,
        x_range=_around(places, width),
    )  # fmt: skip


def _periods(times: pd.Series[Any]) -> tuple[pd.Series[Any], float, str]:
    """Return the begin of each time's period in seconds, and the length and name of a period."""
    seconds = times.astype("datetime64[us]").astype("int64") / 1e6
    length = float(seconds.max() - seconds.min())
    width, word = next((each for each in _PERIODS if length <= each[0] * _BARS), _PERIODS[-1])
    monday = 345_600 if width == 604_800 else 0  # 1970 began on a Thursday  # noqa: PLR2004
    return ((seconds - monday) // width) * width + monday, float(width), word


def _around(places: Sequence[float], width: float) -> tuple[float, float]:
    """Return the range of an axis: a few bars are not drawn as wide as the chart."""
    room = max(width, (9 * width - (places[-1] - places[0])) / 2)
    return places[0] - room, places[-1] + room
