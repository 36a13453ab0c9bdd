"""Summaries by any keys, computed for all groups at once.

Rule 1: each figure comes from the table that measures it; nothing is summed twice.
Rule 2: a share or a percentile of nothing is unknown.
Rule 3: tokens belong to the time and the model of their request, as in `usage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.builders.dataframes import dtype
from agy_nb.analysis.metrics.groups import (
    Source,
    check_keys,
    columns_of,
    keys_of,
    rows_with_keys,
    sorted_groups,
    with_keys,
)
from agy_nb.analysis.metrics.latency import duration_columns
from agy_nb.analysis.metrics.usage import shared_out
from agy_nb.analysis.schema import UNREPORTED, Column

if TYPE_CHECKING:
    import pandas as pd

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_AGENT = ["session_id", "agent_id"]
_ALL = "_all"


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
    *duration_columns("ttft", "From the prompt to the first piece of the answer", _QUANTILES),
    *duration_columns("turn", "From the prompt to the end", _QUANTILES),
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
    *duration_columns("tool", "How long the tool ran", _QUANTILES),
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


def summary(source: Source, by: Any = (), *, tz: str | None = None) -> pd.DataFrame:
    """Tokens, cost, latencies, waits and errors.

    Args:
        source: Tables.
        by: The key or keys of the groups, as for `usage`; one row in all when empty. A turn belongs
            to its agent's own trajectory. With `"tool"` the figures are those of tool calls.
        tz: Time zone of periods; None for the local one.

    Raises:
        InvalidInputError: A key or the time zone is unknown.
    """
    keys = keys_of(by)
    check_keys(source, keys)
    words = [key for key in keys if isinstance(key, str)]
    return _tools(source, keys, tz) if "tool" in words else _turns(source, keys, tz)


# -- turns ---------------------------------------------------------------------------------------


def _turns(source: Source, keys: list[Any], tz: str | None) -> pd.DataFrame:
    on = columns_of(keys) or [_ALL]
    calls = with_keys(source, "model_calls", source.frame("model_calls"), keys, tz)
    turns = rows_with_keys(source, "turns", keys, tz)
    turns = turns.merge(_contexts(source), on=["session_id", "agent_id", "turn_id"], how="left")
    table = _turn_sums(turns.assign(**{_ALL: 0}), on)
    table = table.merge(_call_sums(calls.assign(**{_ALL: 0}), on), on=on, how="outer")
    for name in ("n_turns", "n_model_calls", "n_requests", "n_unknown", "n_unpriced"):
        table[name] = table[name].astype("Int64").fillna(0)
    low = table["n_unknown"].gt(0) | table["open"].astype("boolean").fillna(value=False)
    n_turns, n_requests = table["n_turns"], table["n_requests"]
    table = table.assign(
        tokens_per_turn=_share(table["total_tokens"], n_turns),
        cache_hit_ratio=_share(table["cache_read_tokens"], table["input_tokens"]),
        cost_per_turn_usd=_share(table["cost_usd"], n_turns),
        error_rate=_share(table["failed"], table["over"]),
        retry_rate=_share(n_requests - table["n_model_calls"], n_requests),
        tokens_are_lower_bound=low,
        cost_is_lower_bound=low | table["n_unpriced"].gt(0),
    )
    return _finished(source, table, on, TURN_FIGURES)


def _turn_sums(turns: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    status = turns["status"]
    turns = turns.assign(
        over=(status.notna() & status.ne("running")).astype("Int64"),
        failed=status.isin(["error", "timeout"]).astype("Int64"),
        open=status.eq("running"),
    )
    groups = turns.groupby(on, dropna=False, observed=True)
    found = groups[["over", "failed"]].sum()
    found["n_turns"] = groups.size()
    found["open"] = groups["open"].any()
    found["context_max"] = groups["context_max"].max()
    found["context_growth_per_turn"] = groups["context_growth"].mean()
    found["approval_wait"] = groups["approval_wait"].sum(min_count=1)
    found = found.join(_percentiles("ttft", turns, "ttft", on))
    return found.join(_percentiles("turn", turns, "duration", on)).reset_index()


def _call_sums(calls: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    metered = calls["status"].eq("metered")
    calls = calls.assign(
        n_model_calls=metered.astype("Int64"),
        n_requests=1,
        n_unknown=calls["status"].isin(UNREPORTED).astype("Int64"),
        n_unpriced=(metered & calls["cost_usd"].isna()).astype("Int64"),
    )
    groups = calls.groupby(on, dropna=False, observed=True)
    tokens = ["input_tokens", "cache_read_tokens", "total_tokens", "cost_usd"]
    found = groups[tokens].sum(min_count=1)
    counts = ["n_model_calls", "n_requests", "n_unknown", "n_unpriced"]
    return found.join(groups[counts].sum()).reset_index()


def _contexts(source: Source) -> pd.DataFrame:
    """Return the longest prompt of each turn, and its growth since the turn before."""
    calls = source.frame("model_calls").dropna(subset=["turn_id", "input_tokens"])
    own = calls[calls["depth"].eq(0) & calls["tool"].isna()].sort_values("call_index")
    prompts = own.groupby([*_AGENT, "turn_id"])["input_tokens"].agg(["max", "last"]).reset_index()
    growth = prompts.groupby(_AGENT)["last"].diff()
    prompts = prompts.assign(context_growth=growth).rename(columns={"max": "context_max"})
    return prompts[[*_AGENT, "turn_id", "context_max", "context_growth"]]


# -- tools ---------------------------------------------------------------------------------------

_ATTRIBUTED = ["attributed_tokens", "attributed_cost_usd"]


def _tools(source: Source, keys: list[Any], tz: str | None) -> pd.DataFrame:
    on = columns_of(keys)
    waits = source.frame("approvals")[["session_id", "approval_id", "wait"]]
    shared = shared_out(source)[["session_id", "tool_index", *_ATTRIBUTED]]
    tools = with_keys(source, "tool_calls", source.frame("tool_calls"), keys, tz)
    tools = tools.merge(waits, on=["session_id", "approval_id"], how="left")
    tools = tools.merge(shared, on=["session_id", "tool_index"], how="left")
    status = tools["status"]
    tools = tools.assign(
        failed=status.eq("error").astype("Int64"),
        over=status.isin(["ok", "error"]).astype("Int64"),
        denied=status.eq("denied").astype("Int64"),
    )
    groups = tools.groupby(on, dropna=False, observed=True)
    table = groups[["failed", "over", "denied"]].sum()
    table["n_tool_calls"] = groups.size()
    table = table.join(groups[_ATTRIBUTED].sum(min_count=1))
    table["approval_wait"] = groups["wait"].sum(min_count=1)
    table = table.join(_percentiles("tool", tools, "duration", on)).reset_index()
    table["error_rate"] = _share(table["failed"], table["over"])
    table["denied_rate"] = _share(table["denied"], table["n_tool_calls"])
    return _finished(source, table, on, TOOL_FIGURES)


# -- both ----------------------------------------------------------------------------------------


def _finished(
    source: Source, table: pd.DataFrame, on: list[str], figures: Sequence[Column]
) -> pd.DataFrame:
    keys = [name for name in on if name != _ALL]
    kinds = {column.name: dtype(column) for column in figures}
    found = table[[*keys, *kinds]].astype(kinds)
    return sorted_groups(source, found, keys) if keys else found


def _percentiles(name: str, table: pd.DataFrame, column: str, on: list[str]) -> pd.DataFrame:
    """Return the percentiles of a duration in each group."""
    import pandas as pd

    ticks = table[column].astype("timedelta64[us]").astype("int64").astype("float64")
    known = table.assign(_ticks=ticks).dropna(subset=[column])
    groups = known.groupby(on, dropna=False, observed=True)["_ticks"]
    found = {
        f"{name}_{label}": pd.to_timedelta(groups.quantile(share).round(), unit="us").astype(
            "timedelta64[us]"
        )
        for label, share in _QUANTILES.items()
    }
    return pd.DataFrame(found)


def _share(part: pd.Series[Any], whole: pd.Series[Any]) -> pd.Series[Any]:
    below = whole.astype("Float64")
    shares: pd.Series[Any] = part.astype("Float64") / below.where(below > 0)
    return shares
