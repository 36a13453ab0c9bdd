"""Keys by which usage and summaries group rows: columns, periods of time, labels, your own.

One meaning for every question: a row belongs to the period in which it happened. The tokens of a
turn across midnight are on two days, and the turn is on the day on which it began.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeAlias, TypeVar

from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

P = ParamSpec("P")
T = TypeVar("T")

Key: TypeAlias = "str | pd.Series[Any] | Callable[[pd.DataFrame], pd.Series[Any]]"
"""A key: a word, a column by session id, or a function of a table."""

IDS: Mapping[str, tuple[str, ...]] = {
    "session": ("session_id",),
    "agent": ("session_id", "agent_id"),
    "turn": ("session_id", "agent_id", "turn_id"),
    "trajectory": ("session_id", "agent_id", "trajectory_id"),
    "subagent": ("subagent",),
    "model": ("model",),
    "tool": ("tool",),
}
"""Columns of the keys that are columns of the tables."""

_THREAD = ("session_id", "agent_id", "trajectory_id")
PERIODS = ("hour", "day", "week", "month")
TIMES = {
    "sessions": "started_at",
    "agents": "created_at",
    "trajectories": "started_at",
    "turns": "started_at",
    "steps": "first_at",
    "model_calls": "at",
    "tool_calls": "started_at",
    "approvals": "asked_at",
    "chunks": "at",
    "messages": "at",
    "commands": "queued_at",
    "errors": "at",
}
"""The column of each table that says when a row happened."""


_TAKEN = frozenset({*IDS, *PERIODS, *(name for each in TABLES.values() for name in each.names)})
"""Names that a key of yours cannot have."""


class Source(Protocol):
    """A source of tables."""

    def frame(self, name: str) -> pd.DataFrame:
        """Return a table by its name."""
        ...


def keys_of(by: Any) -> list[Any]:
    """Return the keys as a list; one key need not be in a list."""
    return list(by) if isinstance(by, list | tuple) else [by]


def keys_in_one_argument(method: Callable[P, T]) -> Callable[P, T]:
    """Explain that several keys are one argument, where each was passed as an argument of its own.

    Args:
        method: A method whose only positional argument is `by`.
    """

    @wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        keys = args[1:]
        if len(keys) > 1:
            shown = list(keys) if all(isinstance(key, str) for key in keys) else "[...]"
            raise InvalidInputError(
                f"pass several keys in one list: {method.__name__}({shown}); "
                f"got {len(keys)} arguments",
                field="by",
            )
        return method(*args, **kwargs)

    return checked


def columns_of(keys: Sequence[Any]) -> list[str]:
    """Return the names of the columns of keys, each once."""
    names = [name for key in keys for name in _columns(key)]
    return list(dict.fromkeys(names))


def _columns(key: Any) -> tuple[str, ...]:
    if isinstance(key, str):
        return IDS.get(key, (key,))
    name = getattr(key, "name", None) or getattr(key, "__name__", None)
    return (str(name) if name and name != "<lambda>" else "key",)


def check_keys(source: Source, keys: Sequence[Any]) -> None:
    """Refuse unknown keys.

    Raises:
        InvalidInputError: A word is neither a key nor a label, or two keys have one name.
    """
    names: list[str] = []
    for key in keys:
        is_own = not isinstance(key, str | list | tuple) and (
            callable(key) or hasattr(key, "index")
        )
        if not is_own and key not in (*IDS, *PERIODS):
            labels = labels_of(source)  # reads a table, which most keys do not need
            if key not in labels:
                known = ", ".join([*IDS, *PERIODS, *labels])
                raise InvalidInputError(
                    f"by must be one of {known}, or several of them in a list; got {key!r}",
                    field="by",
                )
        [name] = _columns(key) if is_own else (str(key),)
        if name in names or (is_own and name in _TAKEN):
            raise InvalidInputError(
                f"two keys or a column of the tables are named {name!r}; give your key another "
                "name, such as Series.rename('mine')",
                field="by",
            )
        names.append(name)


def session_names(source: Source) -> dict[str, str]:
    """Return the names of sessions by their ids."""
    sessions = source.frame("sessions")
    return dict(zip(sessions["session_id"], sessions["session_name"].fillna("?"), strict=True))


def sorted_groups(source: Source, table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Sort groups by their keys, sessions by their names, which get a column after the ids.

    Args:
        source: Tables.
        table: One row per group.
        keys: The columns of the groups.
    """
    if "session_id" not in keys:
        return table.sort_values(list(keys), ignore_index=True)
    sessions = source.frame("sessions").drop_duplicates("session_id")
    names = sessions.set_index("session_id")["session_name"]
    found = table.assign(session_name=table["session_id"].map(names).astype(names.dtype))
    order = [name for key in keys for name in _SORTED.get(key, (key,))]
    columns = [name for each in table.columns for name in _NAMED.get(each, (each,))]
    return found[columns].sort_values(order, ignore_index=True)


_SORTED = {"session_id": ("session_name", "session_id")}
_NAMED = {"session_id": ("session_id", "session_name")}


def labels_of(source: Source) -> list[str]:
    """Return the names of the labels of sessions."""
    known = TABLES["sessions"].names
    return [str(name) for name in source.frame("sessions").columns if name not in known]


def with_keys(
    source: Source, name: str, table: pd.DataFrame, keys: Sequence[Any], tz: str | None
) -> pd.DataFrame:
    """Add the columns of keys to a table.

    Args:
        source: Tables.
        name: Name of the table.
        table: The table.
        keys: The keys.
        tz: Time zone of periods; None for the local one.

    Raises:
        InvalidInputError: The time zone is unknown.
    """
    added = table
    for key in keys:
        if not isinstance(key, str):
            [column] = _columns(key)
            added = added.assign(**{column: _own_column(source, name, added, key)})
        elif key in PERIODS:
            added = added.assign(**{key: periods(added[TIMES[name]], key, tz)})
        elif key in ("model", "subagent", "trajectory"):
            added = _with_thread(source, added, IDS[key][-1])
        elif key not in IDS and key not in added:
            labels = source.frame("sessions").set_index("session_id")[key]
            added = added.assign(**{key: added["session_id"].map(labels)})
    return added


def rows_with_keys(source: Source, name: str, keys: Sequence[Any], tz: str | None) -> pd.DataFrame:
    """Return a table with the columns of keys; empty if a key of yours is one of requests only.

    Args:
        source: Tables.
        name: Name of the table.
        keys: The keys; `with_keys` has accepted them for `model_calls`.
        tz: Time zone of periods; None for the local one.
    """
    table = source.frame(name)
    try:
        return with_keys(source, name, table, keys, tz)
    except InvalidInputError:
        if not any(callable(key) for key in keys):
            raise
        return table.iloc[:0].assign(**dict.fromkeys(columns_of(keys)))


def _with_thread(source: Source, table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Add a column of the trajectory of each row. A turn belongs to its agent's own trajectory."""
    if column in table:
        return table
    threads = source.frame("trajectories")
    if "trajectory_id" in table:
        values = threads.drop_duplicates([*_THREAD])[[*_THREAD, column]]
        return table.merge(values, on=[*_THREAD], how="left")
    found = table.assign(**{column: _own_threads(table, threads)[column].to_numpy()})
    found[column] = found[column].astype(threads[column].dtype)
    if column == "model":  # no trajectory began in the frames
        agents = source.frame("agents")[["session_id", "agent_id", "model"]]
        of_agent = table[["session_id", "agent_id"]].merge(agents, how="left")["model"]
        found["model"] = found["model"].fillna(of_agent.set_axis(found.index))
    return found


def _own_threads(table: pd.DataFrame, threads: pd.DataFrame) -> pd.DataFrame:
    """Return the agent's own trajectory of each row: the latest that had begun in its turn."""
    import pandas as pd

    on = ["session_id", "agent_id"]
    roots = threads[threads["depth"].eq(0)]
    rows = table[on].assign(
        _turn=table["turn_id"].fillna(0).astype("int64"), _place=range(len(table))
    )
    begun = roots.assign(_turn=roots["turn_id"].fillna(0).astype("int64"))
    found = pd.merge_asof(
        rows.sort_values("_turn", kind="stable"),
        begun.drop(columns="turn_id").sort_values("_turn", kind="stable"),
        on="_turn",
        by=on,
    )
    # `merge_asof` needs sorted rows; the caller takes the values by their position.
    return found.sort_values("_place")


def _own_column(source: Source, name: str, table: pd.DataFrame, key: Any) -> Any:
    """Return the column of a key of yours. A function also sees the columns of `sessions`."""
    if not callable(key):
        return table["session_id"].map(key)
    sessions = source.frame("sessions")
    more = [each for each in sessions if each == "session_id" or each not in table]
    seen = table.merge(sessions[more], on="session_id", how="left").set_axis(table.index)
    try:
        return key(seen)
    except Exception as error:
        msg = f"by={_columns(key)[0]} fails on the table {name}: {type(error).__name__}: {error}"
        raise InvalidInputError(msg, field="by") from error


def periods(times: pd.Series[Any], period: str, tz: str | None) -> pd.Series[Any]:
    """Return the start of the period of each time in a time zone. Weeks begin on Monday.

    Args:
        times: Times.
        period: `"hour"`, `"day"`, `"week"` or `"month"`.
        tz: A time zone; None for the local one.

    Raises:
        InvalidInputError: The time zone is unknown.
    """
    import pandas as pd

    clock = local_times(times, tz)
    if period == "hour":
        found = clock.dt.floor("h")
    elif period == "week":
        days = clock.dt.normalize()
        found = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    elif period == "month":
        days = clock.dt.normalize()
        found = days - pd.to_timedelta(days.dt.day - 1, unit="D")
    else:
        found = clock.dt.normalize()
    starts: pd.Series[Any] = found.astype("datetime64[us]")
    return starts


def local_times(times: pd.Series[Any], tz: str | None) -> pd.Series[Any]:
    """Return times without a zone, as clocks in a time zone show them.

    Args:
        times: Times.
        tz: A time zone; None for the local one.

    Raises:
        InvalidInputError: The time zone is unknown.
    """
    if tz is not None and not isinstance(tz, str | dt.tzinfo):
        raise InvalidInputError(
            f"tz must be the name of a time zone, such as 'Europe/Vienna', got {tz!r}", field="tz"
        )
    return _local_clock(times) if tz is None else _clock(times, tz)


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
