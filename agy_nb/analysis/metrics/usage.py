"""Token sums by turn, trajectory, agent, session, model, day or tool.

Rule 1: sums come from the rows of `model_calls`, so that each call counts once.
Rule 2: a sum of unknown values is unknown. Flags mark incomplete sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from agy_nb.analysis.builders.dataframes import dtype, frame
from agy_nb.analysis.builders.from_events import EventTurn, fold_turns
from agy_nb.analysis.schema import TABLES, TOKENS, TOOL_USAGE, USAGE, USAGE_KEYS, By, Column
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_SUMS = tuple(column.name for column in TOKENS)
_RUNNING = "running"


class Source(Protocol):
    """A source of tables."""

    def frame(self, name: str) -> pd.DataFrame:
        """Return a table by its name."""
        ...


def usage_table(source: Source, by: By, tz: str | None = None) -> pd.DataFrame:
    """Sum up tokens and cost.

    Args:
        source: Tables.
        by: The groups.
        tz: Time zone for `by="day"`; None for the local one.

    Raises:
        InvalidInputError: `by` or the time zone is unknown.
    """
    if by not in get_args(By):
        known = ", ".join(get_args(By))
        raise InvalidInputError(f"by must be one of {known}, got {by!r}", field="by")
    if by == "tool":
        return _tools(source)
    keys = USAGE_KEYS[by]
    on = _unique_keys(by)
    calls = source.frame("model_calls")
    if by == "day":
        calls = calls.assign(day=local_days(calls["at"], tz))
    sums = _sums(calls, on)
    bounds = _bounds(source, by, on, tz)
    table = bounds.merge(sums, on=on, how="outer") if on else sums
    table = _derived(table)
    return _typed(table, (*keys, *USAGE)).sort_values(on, ignore_index=True)


def combined(parts: Sequence[pd.DataFrame], by: By) -> pd.DataFrame:
    """The sums of all, from the sums of parts that share no session.

    Args:
        parts: What `usage_table` gave for each; at least one.
        by: As there.
    """
    import pandas as pd

    columns = (*USAGE_KEYS[by], *(TOOL_USAGE if by == "tool" else USAGE))
    table = pd.concat(parts, ignore_index=True)
    if by in ("model", "day", "tool"):
        groups = table.groupby([column.name for column in USAGE_KEYS[by]], dropna=False)
        adds = [
            column.name for column in columns[1:] if column.kind in ("int", "duration", "float")
        ]
        flags = [column.name for column in columns if column.kind == "bool"]
        sums = groups[adds].sum(min_count=1)
        sums[flags] = groups[flags].any()
        table = sums.reset_index()
        if by != "tool":
            table = table.assign(cache_hit_ratio=_cache_hit_ratio(table))
    return _typed(table, columns).sort_values(_unique_keys(by), ignore_index=True)


def _unique_keys(by: By) -> list[str]:
    names = [column.name for column in USAGE_KEYS[by]]
    return [name for name in names if by != "trajectory" or name not in _ABOUT]


_ABOUT = ("parent_trajectory_id", "depth")


def _sums(calls: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    status = calls["status"]
    metered = status.eq("metered")
    counted = calls.assign(
        n_model_calls=metered.astype("Int64"),
        n_refused=status.eq("refused").astype("Int64"),
        n_usage_unknown=status.isin(["usage_unknown", "cut"]).astype("Int64"),
        n_unpriced_calls=(metered & calls["cost_usd"].isna()).astype("Int64"),
        n_requests=1,
    )
    groups = counted.groupby(on, dropna=False, observed=True)
    sums = groups[[*_SUMS, "cost_usd"]].sum(min_count=1)
    sums[list(_COUNTS)] = groups[list(_COUNTS)].sum().astype("Int64")
    return sums.reset_index()


_COUNTS = ("n_model_calls", "n_requests", "n_refused", "n_usage_unknown", "n_unpriced_calls")


def _bounds(source: Source, by: By, on: list[str], tz: str | None) -> pd.DataFrame:
    """Return every group, and whether it has a turn that is not over."""
    name = {"turn": "turns", "day": "turns", "trajectory": "trajectories", "model": "trajectories"}
    table = source.frame(name.get(by, "turns"))
    if by == "day":
        table = table.assign(day=local_days(table["started_at"], tz))
    if "status" in table:
        open_ = table["status"].eq(_RUNNING)
    else:
        open_ = table["state"].eq(_RUNNING) | _at_work(table, source.frame("turns"))
    table = table.assign(open=open_.astype("boolean").fillna(value=False))
    if by in ("agent", "session"):
        every = source.frame(f"{by}s")[on]
        table = every.merge(table[[*on, "open"]], on=on, how="left")
    groups = table.groupby(on, dropna=False, observed=True)
    found = groups["open"].any().to_frame()
    if by == "trajectory":
        for column in _ABOUT:
            found[column] = groups[column].first()
    return found.reset_index()


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


def _cache_hit_ratio(table: pd.DataFrame) -> pd.Series[Any]:
    inputs = table["input_tokens"].astype("Float64")
    ratio: pd.Series[Any] = table["cache_read_tokens"].astype("Float64") / inputs.where(inputs > 0)
    return ratio


def local_days(times: pd.Series[Any], tz: str | None) -> pd.Series[Any]:
    """Return the day of each time in a time zone; None for the local one.

    Raises:
        InvalidInputError: The time zone is unknown.
    """
    clock = _local_clock(times) if tz is None else _clock(times, tz)
    days: pd.Series[Any] = clock.dt.normalize().astype("datetime64[us]")
    return days


def _clock(times: pd.Series[Any], tz: str) -> pd.Series[Any]:
    try:
        shown: pd.Series[Any] = times.dt.tz_convert(tz).dt.tz_localize(None)
    except (LookupError, ValueError, TypeError, OSError) as error:
        msg = f"unknown time zone {tz!r}; use a name such as 'Europe/Vienna'"
        raise InvalidInputError(msg, field="tz") from error
    return shown


def _local_clock(times: pd.Series[Any]) -> pd.Series[Any]:
    """Convert times to this machine's local time, whose zone has no name for pandas.

    Changes of the offset happen on a quarter of an hour.
    """
    quarters = times.dt.floor("15min")
    ahead = {at: at.to_pydatetime().astimezone().utcoffset() for at in quarters.dropna().unique()}
    shown: pd.Series[Any] = times.dt.tz_localize(None) + quarters.map(ahead).astype(
        "timedelta64[us]"
    )
    return shown


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


def _tools(source: Source) -> pd.DataFrame:
    joined = shared_out(source)
    joined["failed"] = joined["status"].isin(["error", "denied"]).astype("Int64")
    groups = joined.groupby("tool", dropna=False)
    table = groups[["attributed_tokens", "attributed_cost_usd"]].sum(min_count=1)
    table["duration"] = groups["duration"].sum(min_count=1)
    table["n_tool_calls"] = groups.size()
    table["n_errors"] = groups["failed"].sum()
    return _typed(table.reset_index(), (*USAGE_KEYS["tool"], *TOOL_USAGE))


def _typed(table: pd.DataFrame, columns: Iterable[Column]) -> pd.DataFrame:
    wanted = {column.name: dtype(column) for column in columns}
    return table[list(wanted)].astype(wanted)


class _Built:
    """Tables of complete columns."""

    def __init__(self, turns: Iterable[EventTurn]) -> None:
        self._columns = fold_turns(turns)

    def frame(self, name: str) -> pd.DataFrame:
        return frame(TABLES[name], self._columns[name].data)


def usage_df(
    turns: EventTurn | Iterable[EventTurn], *, by: Literal["turn", "trajectory"] = "turn"
) -> pd.DataFrame:
    """Return the tokens of responses, one row per turn or per trajectory.

    `n_model_calls` counts metered calls. Calls that fail or are cancelled report no tokens, so a
    sum is a lower bound. `input_tokens` include `cache_read_tokens`, and `output_tokens` include
    `reasoning_tokens`. The row of a turn includes its subagents; use `by="trajectory"` to separate
    them. For whole agents and sessions, use `agent.tables.usage()`.

    Args:
        turns: One response or several. A running one counts with the tokens so far.
        by: The groups.

    Returns:
        One row per group. Unknown numbers of tokens are `<NA>`.

    Raises:
        InvalidInputError: `by` is unknown.

    Example:
        >>> from agy_nb.analysis import usage_df
        >>> responses = [
        ...     await agent.chat(prompt) for prompt in ("Hello", "Use get_weather for Rome")
        ... ]
        >>> for response in responses:
        ...     await response.wait()
        <Response turn ...>
        <Response turn ...>
        >>> usage_df(responses)["n_model_calls"].tolist()
        [1, 2]
    """
    if by not in ("turn", "trajectory"):
        raise InvalidInputError(f"by must be one of turn, trajectory, got {by!r}", field="by")
    source = _Built([turns] if isinstance(turns, EventTurn) else turns)
    on = ["agent_id", "turn_id"]
    every = source.frame("turns")[on]
    if by == "trajectory":
        on.append("trajectory_id")
        every = _trajectories_of_turns(source)
    sums = _sums(source.frame("model_calls"), on)
    table = every.merge(sums, on=on, how="left")
    table["n_model_calls"] = table["n_model_calls"].fillna(0)
    counts = [name for name in _SUMS if name not in ("uncached_input_tokens", "tool_use_tokens")]
    return table[[*every.columns, "n_model_calls", *counts]]


def _trajectories_of_turns(source: Source) -> pd.DataFrame:
    ids = ["agent_id", "turn_id", "trajectory_id"]
    import pandas as pd

    seen = [source.frame(name)[ids] for name in ("steps", "model_calls", "tool_calls")]
    first = source.frame("trajectories")[ids]
    found = pd.concat([*seen, first]).drop_duplicates().dropna()
    found = found[found["trajectory_id"] != ""]
    about = source.frame("trajectories")[["agent_id", "trajectory_id", *_ABOUT]]
    return found.merge(about, on=["agent_id", "trajectory_id"], how="left")
