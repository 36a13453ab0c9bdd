"""Summaries, and the difference between two sets of sessions.

Rule 1: each figure comes from the table that measures it; nothing is summed twice.
Rule 2: a share or a percentile of nothing is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from agy_nb.analysis.builders.dataframes import dtype
from agy_nb.analysis.metrics.usage import Source, local_days, shared_out, usage_table
from agy_nb.analysis.schema import Column
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

Key: TypeAlias = Literal["model", "agent", "tool", "day"]

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_AGENT = ["session_id", "agent_id"]
_LARGE = 1.96
"""Standard errors on each side of a 95% interval."""


def _latencies(name: str, meaning: str) -> tuple[Column, ...]:
    return tuple(
        Column(f"{name}_{label}", "duration", f"{meaning}: {share:.0%} are faster", "microseconds")
        for label, share in _QUANTILES.items()
    )


TURN_FIGURES: tuple[Column, ...] = (
    Column("n_turns", "int", "Turns"),
    Column("n_model_calls", "int", "Metered model calls"),
    Column("total_tokens", "int", "Input and output", "tokens"),
    Column("tokens_per_turn", "float", "`total_tokens` / `n_turns`", "tokens"),
    Column("cache_hit_ratio", "float", "Cached tokens / input tokens"),
    Column("context_max", "int", "Longest prompt of an agent's own model calls", "tokens"),
    Column(
        "context_growth_per_turn",
        "float",
        "Mean growth of the last prompt from turn to turn",
        "tokens",
    ),
    Column("cost_usd", "float", "Price of the calls that have one", "US dollars"),
    Column("cost_per_turn_usd", "float", "`cost_usd` / `n_turns`", "US dollars"),
    *_latencies("ttft", "From the prompt to the first piece of the answer"),
    *_latencies("turn", "From the prompt to the end"),
    Column("approval_wait", "duration", "Sum of the waits for a decision", "microseconds"),
    Column("error_rate", "float", "Turns that failed or timed out / turns that are over"),
    Column("retry_rate", "float", "Requests without usage / all requests to the model"),
    Column("tokens_are_lower_bound", "bool", "Whether calls were not metered, or are not over"),
    Column("cost_is_lower_bound", "bool", "The same, or calls have no price"),
)
"""Columns of a summary without tools."""

TOOL_FIGURES: tuple[Column, ...] = (
    Column("n_tool_calls", "int", "Tool calls"),
    Column("error_rate", "float", "Calls that failed / calls that are over"),
    Column("denied_rate", "float", "Calls that were denied / all calls"),
    *_latencies("tool", "How long the tool ran"),
    Column("approval_wait", "duration", "Sum of the waits for a decision", "microseconds"),
    Column(
        "attributed_tokens", "float", "Of the model calls that read the results: inferred", "tokens"
    ),
    Column(
        "attributed_cost_usd",
        "float",
        "Their price, divided by tool: inferred",
        "US dollars",
    ),
)
"""Columns of a summary by tool."""


def summary(source: Source, by: Sequence[str] = (), *, tz: str | None = None) -> pd.DataFrame:
    """Tokens, cost, latencies, waits and errors.

    Args:
        source: Tables.
        by: `"model"` (of the agent), `"agent"`, `"day"` and `"tool"`, in any combination; one row
            in all when empty. With `"tool"` the figures are those of tool calls.
        tz: Time zone of `"day"`; None for the local one.

    Raises:
        InvalidInputError: `by` or the time zone is unknown.
    """
    unknown = [word for word in by if word not in get_args(Key)]
    if unknown:
        known = ", ".join(get_args(Key))
        raise InvalidInputError(f"by must be of {known}; got {unknown[0]!r}", field="by")
    on = [name for word in by for name in (_AGENT if word == "agent" else [word])]
    return _tools(source, on, tz) if "tool" in by else _turns(source, on, tz)


# -- turns ---------------------------------------------------------------------------------------


def _turns(source: Source, on: list[str], tz: str | None) -> pd.DataFrame:
    keys = ["session_id", "turn_id"]
    turns = _with_model(source, source.frame("turns"))
    turns["day"] = local_days(turns["started_at"], tz)
    used = usage_table(source, "turn")
    turns = turns.merge(used[[*keys, *_USED]], on=keys, how="left")
    turns = turns.merge(_contexts(source), on=keys, how="left")
    turns["over"] = turns["status"].notna() & turns["status"].ne("running")
    turns["failed"] = turns["status"].isin(["error", "timeout"])
    rows = [(key, _turn_figures(group)) for key, group in _groups(turns, on)]
    return _table(turns, on, rows, TURN_FIGURES)


_USED = (
    "input_tokens", "cache_read_tokens", "total_tokens", "cost_usd", "tokens_are_lower_bound",
    "cost_is_lower_bound",
)  # fmt: skip


def _turn_figures(group: pd.DataFrame) -> dict[str, Any]:
    total, cost = _sum(group["total_tokens"]), _sum(group["cost_usd"])
    calls, requests = _sum(group["n_model_calls"]) or 0, _sum(group["n_requests"]) or 0
    return {
        "n_turns": len(group),
        "n_model_calls": calls,
        "total_tokens": total,
        "tokens_per_turn": _share(total, len(group)),
        "cache_hit_ratio": _share(_sum(group["cache_read_tokens"]), _sum(group["input_tokens"])),
        "context_max": _known(group["context_max"].max()),
        "context_growth_per_turn": _known(group["context_growth"].mean()),
        "cost_usd": cost,
        "cost_per_turn_usd": _share(cost, len(group)),
        **_percentiles("ttft", group["ttft"]),
        **_percentiles("turn", group["duration"]),
        "approval_wait": group["approval_wait"].sum(min_count=1),
        "error_rate": _share(group["failed"].sum(), group["over"].sum()),
        "retry_rate": _share(requests - calls, requests),
        "tokens_are_lower_bound": bool(group["tokens_are_lower_bound"].any()),
        "cost_is_lower_bound": bool(group["cost_is_lower_bound"].any()),
    }


def _contexts(source: Source) -> pd.DataFrame:
    """Of each turn, the longest prompt, and how much the last one grew since the turn before."""
    calls = source.frame("model_calls").dropna(subset=["turn_id", "input_tokens"])
    own = calls[calls["depth"].eq(0)].sort_values("call_index")
    prompts = own.groupby([*_AGENT, "turn_id"])["input_tokens"].agg(["max", "last"]).reset_index()
    growth = prompts.groupby(_AGENT)["last"].diff()
    prompts = prompts.assign(context_growth=growth).rename(columns={"max": "context_max"})
    return prompts[["session_id", "turn_id", "context_max", "context_growth"]]


# -- tools ---------------------------------------------------------------------------------------


def _tools(source: Source, on: list[str], tz: str | None) -> pd.DataFrame:
    tools = _with_model(source, source.frame("tool_calls"))
    tools["day"] = local_days(tools["started_at"], tz)
    waits = source.frame("approvals")[["session_id", "approval_id", "wait"]]
    tools = tools.merge(waits, on=["session_id", "approval_id"], how="left")
    shared = shared_out(source)[["session_id", "tool_index", *_ATTRIBUTED]]
    tools = tools.merge(shared, on=["session_id", "tool_index"], how="left")
    rows = [(key, _tool_figures(group)) for key, group in _groups(tools, on)]
    return _table(tools, on, rows, TOOL_FIGURES)


_ATTRIBUTED = ["attributed_tokens", "attributed_cost_usd"]


def _tool_figures(group: pd.DataFrame) -> dict[str, Any]:
    status = group["status"]
    return {
        "n_tool_calls": len(group),
        "error_rate": _share(status.eq("error").sum(), status.isin(["ok", "error"]).sum()),
        "denied_rate": _share(status.eq("denied").sum(), len(group)),
        **_percentiles("tool", group["duration"]),
        "approval_wait": group["wait"].sum(min_count=1),
        **{name: _sum(group[name]) for name in _ATTRIBUTED},
    }


# -- both ----------------------------------------------------------------------------------------


def _with_model(source: Source, table: pd.DataFrame) -> pd.DataFrame:
    return table.merge(source.frame("agents")[[*_AGENT, "model"]], on=_AGENT, how="left")


def _groups(table: pd.DataFrame, on: list[str]) -> Iterable[tuple[tuple[Any, ...], pd.DataFrame]]:
    if not on:
        return [((), table)] if len(table) else []
    return table.groupby(on, dropna=False, observed=True)


def _table(
    table: pd.DataFrame,
    on: list[str],
    rows: list[tuple[tuple[Any, ...], dict[str, Any]]],
    figures: Sequence[Column],
) -> pd.DataFrame:
    import pandas as pd

    data: dict[str, Any] = {
        name: pd.Series([key[place] for key, _ in rows], dtype=cast("Any", table[name].dtype))
        for place, name in enumerate(on)
    }
    for column in figures:
        values = pd.Series([row[column.name] for _, row in rows], dtype=object)
        data[column.name] = values.where(values.notna(), None).astype(dtype(column))
    return pd.DataFrame(data)


def _percentiles(name: str, values: pd.Series[Any]) -> dict[str, Any]:
    known = values.dropna()
    return {
        f"{name}_{label}": known.quantile(share) if len(known) else None
        for label, share in _QUANTILES.items()
    }


def _sum(values: pd.Series[Any]) -> Any:
    return _known(values.sum(min_count=1))


def _known(value: Any) -> Any:
    import pandas as pd

    return None if bool(pd.isna(value)) else value


def _share(part: Any, whole: Any) -> float | None:
    return None if part is None or not whole else float(part) / float(whole)


# -- two sets ------------------------------------------------------------------------------------

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

    The interval is for the difference of two means (normal, unequal variances). It needs about 30
    values on each side.

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
        difference = found["difference"] = found["mean_b"] - found["mean_a"]
        found["relative"] = difference / found["mean_a"] if found["mean_a"] else None
        if len(a) > 1 and len(b) > 1:
            margin = _LARGE * (variance(a) / len(a) + variance(b) / len(b)) ** 0.5
            found |= {"low": difference - margin, "high": difference + margin}
            found["within_noise"] = abs(difference) <= margin
    return found
