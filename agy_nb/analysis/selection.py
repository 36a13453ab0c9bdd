"""Select rows of tables by time, and sessions by their columns and labels."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from agy_nb.analysis.label_columns import Reader
from agy_nb.analysis.metrics.groups import TIMES
from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

Moment: TypeAlias = "str | dt.datetime | dt.date | dt.timedelta"
"""A moment: a date, a time, or a time before now."""
Where: TypeAlias = "str | Mapping[str, Any] | Callable[[pd.DataFrame], Any]"
"""Which sessions: a query, values of columns, or a function."""

_BEFORE_NOW = re.compile(r"(\d+)\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_KEYS = {name: TABLES[name].key for name in TABLES}
_HOLDERS = ("sessions", "agents", "trajectories")
"""Tables whose rows stay as long as something in them does."""


@dataclass(frozen=True)
class Selection:
    """Rows between two moments, of some sessions; `Selection.of` checks what a user gives.

    Attributes:
        first: First moment in UTC, None for no limit.
        end: First moment after, None for no limit.
        where: Sessions to keep, None for all.
        is_lazy: Whether a wrong `where` is an error only on the first access to a table.
    """

    first: dt.datetime | None = None
    end: dt.datetime | None = None
    where: Where | None = None
    is_lazy: bool = False

    @classmethod
    def of(
        cls, since: Moment | None, until: Moment | None, where: Where | None, tz: str | None
    ) -> Selection:
        """Check limits; see `Tables.filter`.

        Raises:
            InvalidInputError: A moment or the time zone is unknown.
        """
        return cls(
            None if since is None else _moment(since, "since", tz, is_end=False),
            None if until is None else _moment(until, "until", tz, is_end=True),
            where,
        )

    @property
    def has_limits(self) -> bool:
        """Whether rows are selected by time."""
        return self.first is not None or self.end is not None


def select(source: Reader, selection: Selection) -> Reader:
    """Return a reader of the selected rows; see `Tables.filter`."""
    selected = _Selected(source, selection)
    if not selection.is_lazy:
        selected.sessions()  # so that a wrong `where` is an error here
    return selected.read


class _Selected:
    """Reads the selected rows of tables."""

    def __init__(self, source: Reader, selection: Selection) -> None:
        self._source = source
        self._selection = selection
        self._sessions: set[str] | None = None

    def sessions(self) -> set[str] | None:
        """Return the ids of the sessions to keep; None for all."""
        where = self._selection.where
        if self._sessions is None and where is not None:
            self._sessions = _sessions(self._source("sessions"), where)
        return self._sessions

    def _rows(self, name: str) -> pd.DataFrame:
        table, kept = self._source(name), self.sessions()
        if kept is not None:
            table = table[table["session_id"].isin(kept)]
        column = TIMES.get(name)
        if column is not None and self._selection.has_limits:
            table = table[_within(table[column], self._selection.first, self._selection.end)]
        return table

    def read(self, name: str) -> pd.DataFrame:
        """Return the selected rows of a table."""
        if name not in _HOLDERS or not self._selection.has_limits:
            return self._rows(name).reset_index(drop=True)
        on = [key for key in ("session_id", "agent_id", "trajectory_id") if key in _KEYS[name]]
        table, kept = self._source(name), self.sessions()
        inside = table.set_index(on).index
        keep = inside.isin(self._rows(name).set_index(on).index)
        for each in ("turns", "model_calls"):
            if set(on) <= set(TABLES[each].names):
                keep = keep | inside.isin(self._rows(each).set_index(on).index)
        if kept is not None:
            keep = keep & table["session_id"].isin(kept).to_numpy()
        return table[keep].reset_index(drop=True)


def _within(times: pd.Series[Any], first: Any, last: Any) -> Any:
    inside = times.notna()
    if first is not None:
        inside &= times >= first
    if last is not None:
        inside &= times < last
    return inside


def _sessions(sessions: pd.DataFrame, where: Where) -> set[str]:
    try:
        if isinstance(where, str):
            found = sessions.query(where)
        elif isinstance(where, Mapping):
            found = sessions
            for name, value in where.items():
                found = found[found[name].eq(value).fillna(value=False)]
        else:
            found = sessions[where(sessions)]
    except Exception as error:
        msg = f"where={where!r} does not select sessions: {type(error).__name__}: {error}"
        raise InvalidInputError(msg, field="where") from error
    return set(found["session_id"])


def _moment(value: Moment, field: str, tz: str | None, *, is_end: bool) -> pd.Timestamp:
    """Return a moment in UTC; a date that ends a selection includes its day."""
    import pandas as pd

    if isinstance(value, str) and (match := _BEFORE_NOW.fullmatch(value.strip())):
        value = dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
    if isinstance(value, dt.timedelta):
        return pd.Timestamp(dt.datetime.now(dt.UTC) - value)
    try:
        is_time = isinstance(value, str | dt.date)  # pandas reads a number as nanoseconds
        found = pd.Timestamp(value if is_time and value else "none")
        if is_end and _is_date(value):
            found += pd.Timedelta(days=1)
        if found.tzinfo is None:
            local = found.to_pydatetime().astimezone() if tz is None else found.tz_localize(tz)
            found = pd.Timestamp(local)
        found = found.tz_convert("UTC")
    except (ValueError, TypeError, LookupError, OSError, OverflowError) as error:
        msg = f"{field} must be a date, a time or a time before now such as '7d', got {value!r}"
        raise InvalidInputError(msg, field=field) from error
    return found


def _is_date(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", value.strip()) is not None
    return isinstance(value, dt.date) and not isinstance(value, dt.datetime)
