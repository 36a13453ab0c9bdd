"""Token sums by any keys: turn, agent, session, model, periods of time, labels and your own.

Rule 1: sums come from the rows of `model_calls`, so that each request counts once.
Rule 2: a sum of unknown values is unknown. Flags mark incomplete sums.
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
from agy_nb.analysis.metrics.usage_columns import TOOL_USAGE, USAGE, USAGE_KEYS
from agy_nb.analysis.schema import TOKENS, UNREPORTED, Column

if TYPE_CHECKING:
    import pandas as pd

_SUMS = tuple(column.name for column in TOKENS)
_COSTS = (
    "input_cost_usd", "cache_read_cost_usd", "output_cost_usd", "reasoning_cost_usd", "cost_usd",
    "cache_saved_usd",
)  # fmt: skip
_COUNTS = ("n_model_calls", "n_requests", "n_refused", "n_usage_unknown", "n_unpriced_calls")
_RUNNING = "running"
_ALL = "_all"
"""Key of the one group of everything."""
_OF_TRAJECTORY = ("parent_trajectory_id", "depth")
"""Columns that go along with the key `"trajectory"`."""


def usage_table(source: Source, by: Any, tz: str | None = None) -> pd.DataFrame:
    """Sum up tokens and cost.

    Args:
        source: Tables.
        by: The key or keys of the groups, see `groups`; one row in all when empty.
        tz: Time zone of periods; None for the local one.

    Raises:
        InvalidInputError: A key or the time zone is unknown.
    """
    keys = keys_of(by)
    check_keys(source, keys)
    if _is_by_tool(keys):
        return _tools(source, keys, tz)
    on = columns_of(keys) or [_ALL]
    calls = with_keys(source, "model_calls", source.frame("model_calls"), keys, tz)
    calls = calls.assign(**{_ALL: 0}, failed_cost_usd=_failed_costs(source, calls))
    table = _groups(source, keys, on, tz).merge(call_sums(calls, on), on=on, how="outer")
    names = columns_of(keys)
    if "trajectory_id" in names:
        ids = columns_of(["trajectory"])
        about = source.frame("trajectories")[[*ids, *_OF_TRAJECTORY]].drop_duplicates(ids)
        table = table.merge(about, on=ids, how="left")
        names = [*names, *_OF_TRAJECTORY]
    return _finished(source, _derived(table), names, keys, USAGE)


def _is_by_tool(keys: Sequence[Any]) -> bool:
    return any(isinstance(key, str) and key == "tool" for key in keys)


def _finished(
    source: Source,
    table: pd.DataFrame,
    names: Sequence[str],
    keys: Sequence[Any],
    figures: Sequence[Column],
) -> pd.DataFrame:
    """Return a table in its columns, types and order."""
    names = [*names, *(column.name for column in figures)]
    columns = (*(column for each in USAGE_KEYS.values() for column in each), *figures)
    kinds = {column.name: dtype(column) for column in columns if column.name in names}
    found = table[names].astype(kinds)
    return sorted_groups(source, found, columns_of(keys)) if keys else found


def _groups(source: Source, keys: Sequence[Any], on: list[str], tz: str | None) -> pd.DataFrame:
    """Return every group, also those without a request, and whether a turn in it is not over."""
    words = {key for key in keys if isinstance(key, str)}
    by_thread = words & {"trajectory", "subagent"} or words == {"model"}
    name = "trajectories" if by_thread else "turns"
    table = rows_with_keys(source, name, keys, tz).assign(**{_ALL: 0})
    if name == "turns":
        open_ = table["status"].eq(_RUNNING)
    else:
        open_ = table["state"].eq(_RUNNING) | _at_work(table, source.frame("turns"))
    table = table.assign(open=open_.astype("boolean").fillna(value=False))
    if words and words <= {"agent", "session"} and len(words) == len(keys):
        every = source.frame("agents" if "agent" in words else "sessions")[on]
        table = every.merge(table[[*on, "open"]], on=on, how="left")
    return table.groupby(on, dropna=False, observed=True)["open"].any().reset_index()


def _failed_costs(source: Source, calls: pd.DataFrame) -> pd.Series[Any]:
    """Return the costs of calls in turns that failed; NA for other calls."""
    import pandas as pd

    key = ["session_id", "turn_id"]
    turns = source.frame("turns")
    failed = turns.loc[turns["status"].isin(["error", "timeout"]), key]
    is_failed = pd.MultiIndex.from_frame(calls[key]).isin(pd.MultiIndex.from_frame(failed))
    costs: pd.Series[Any] = calls["cost_usd"].where(is_failed)
    return costs


def call_sums(calls: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """Sum up requests.

    Args:
        calls: Rows of `model_calls`, with a column `failed_cost_usd`.
        on: The columns of the groups.
    """
    status = calls["status"]
    metered = status.eq("metered")
    timed = metered & calls["duration"].notna() & calls["output_tokens"].notna()
    counted = calls.assign(
        n_model_calls=metered.astype("Int64"),
        n_refused=status.eq("refused").astype("Int64"),
        n_usage_unknown=status.isin(UNREPORTED).astype("Int64"),
        n_unpriced_calls=(metered & calls["cost_usd"].isna()).astype("Int64"),
        n_requests=1,
        model_time=calls["duration"].where(timed),
        _timed_tokens=calls["output_tokens"].where(timed),
    )
    groups = counted.groupby(on, dropna=False, observed=True)
    added = [*_SUMS, *_COSTS, "failed_cost_usd", "model_time", "_timed_tokens"]
    # pandas adds up unknown values to 0 by default: a call without a price would cost nothing.
    sums = groups[added].sum(min_count=1)
    sums["tokens_per_second"] = per_second(sums["_timed_tokens"], sums["model_time"])
    sums[list(_COUNTS)] = groups[list(_COUNTS)].sum().astype("Int64")
    return sums.reset_index()


def _at_work(trajectories: pd.DataFrame, turns: pd.DataFrame) -> Any:
    """Select the trajectories of agents with a running turn."""
    agents = ["session_id", "agent_id"]
    running = turns.loc[turns["status"].eq(_RUNNING), agents].set_index(agents).index
    return trajectories.set_index(agents).index.isin(running)


def _derived(table: pd.DataFrame) -> pd.DataFrame:
    counts = {name: table[name].fillna(0) for name in _COUNTS}
    open_ = table["open"].astype("boolean").fillna(value=False)
    low = (counts["n_usage_unknown"] > 0) | open_
    return table.assign(
        **counts,
        cache_hit_ratio=_cache_hit_ratio(table),
        tokens_are_lower_bound=low,
        cost_is_lower_bound=low | (counts["n_unpriced_calls"] > 0),
    )


def per_second(tokens: pd.Series[Any], time: pd.Series[Any]) -> pd.Series[Any]:
    """Return tokens per second; unknown if no time is known."""
    seconds = time.dt.total_seconds().astype("Float64")
    speed: pd.Series[Any] = tokens.astype("Float64") / seconds.where(seconds > 0)
    return speed


def _cache_hit_ratio(table: pd.DataFrame) -> pd.Series[Any]:
    inputs = table["input_tokens"].astype("Float64")
    ratio: pd.Series[Any] = table["cache_read_tokens"].astype("Float64") / inputs.where(inputs > 0)
    return ratio


def shared_out(source: Source) -> pd.DataFrame:
    """Return tool calls with their share of the model calls that read their results."""
    tools, calls = source.frame("tool_calls"), source.frame("model_calls")
    one = ["session_id", "read_by_call"]
    read = calls[["session_id", "call_index", "total_tokens", "cost_usd"]]
    joined = tools.merge(read.rename(columns={"call_index": "read_by_call"}), on=one, how="left")
    readers = tools.groupby(one)["tool_index"].transform("size").astype("Float64").to_numpy()
    joined["attributed_tokens"] = joined["total_tokens"].astype("Float64") / readers
    joined["attributed_cost_usd"] = joined["cost_usd"] / readers
    return joined


def _tools(source: Source, keys: Sequence[Any], tz: str | None) -> pd.DataFrame:
    joined = with_keys(source, "tool_calls", shared_out(source), keys, tz)
    joined["failed"] = joined["status"].isin(["error", "denied"]).astype("Int64")
    groups = joined.groupby(columns_of(keys), dropna=False, observed=True)
    table = groups[["attributed_tokens", "attributed_cost_usd"]].sum(min_count=1)
    table["duration"] = groups["duration"].sum(min_count=1)
    table["n_tool_calls"] = groups.size()
    table["n_errors"] = groups["failed"].sum()
    return _finished(source, table.reset_index(), columns_of(keys), keys, TOOL_USAGE)
