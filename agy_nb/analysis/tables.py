"""The tables of one source.

A table is built on each access. You can change a returned table without changing the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.collection import SessionCollection
from agy_nb.analysis.export.exports import Exports
from agy_nb.analysis.label_columns import labelled, with_recorded_labels
from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.metrics.groups import Key, keys_in_one_argument
from agy_nb.analysis.metrics.price_table import warn_without_table
from agy_nb.analysis.metrics.usage import usage_table
from agy_nb.analysis.plotting.plots import Plots
from agy_nb.analysis.schema import TABLES
from agy_nb.analysis.selection import Moment, Selection, Where, select
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

Read = Callable[[str], "pd.DataFrame"]
Freeze = Callable[[Iterable[str]], Read]


class Tables(SessionCollection, Plots, Exports):
    """DataFrames with the columns of `agy_nb.analysis.schema`; an unknown value is `<NA>`.

    Args:
        read: Returns a table by its name.
        prices: Prices of model calls; None leaves cost unknown.
        freeze: Returns a `read` of a snapshot of some tables; for live tables.

    Raises:
        InvalidInputError: `prices` has another type than `Prices`.

    Example:
        >>> tables = agy.load("cassettes/host_tools")
        >>> tables.tool_calls[["tool", "status"]].to_dict("records")
        [{'tool': 'get_weather', 'status': 'ok'}, {'tool': 'get_weather', 'status': 'ok'}]
        >>> tables.usage(by="turn")["n_model_calls"].tolist()
        [2]
    """

    def __init__(
        self, read: Read, *, prices: Prices | None = None, freeze: Freeze | None = None
    ) -> None:
        if not isinstance(prices, Prices | None):
            raise InvalidInputError(
                f"prices must be Prices(...) or None, got {prices!r}", field="prices"
            )
        self._read = read
        self._prices = prices
        self._freeze = freeze

    def frame(self, name: str) -> pd.DataFrame:
        """Return a table by its name.

        Args:
            name: A table of the page Tables, such as `"turns"`.

        Returns:
            A DataFrame that you may change.

        Raises:
            KeyError: The name is unknown.
        """
        if name not in TABLES:
            raise KeyError(f"unknown table {name!r}; the tables are: {', '.join(TABLES)}")
        table = self._read(name)
        if name == "model_calls" and self._prices is not None:
            table = self._prices.add_to(table)
        return with_recorded_labels(self._read, name, table)

    @property
    def prices(self) -> Prices | None:
        """Prices of model calls; None if cost is unknown."""
        return self._prices

    def with_prices(self, prices: Prices | None) -> Tables:
        """Return the same tables with other prices.

        Args:
            prices: Prices of model calls; None leaves cost unknown.

        Returns:
            New tables. These do not change.
        """
        return Tables(self._read, prices=prices, freeze=self._freeze)

    def now(self, names: Iterable[str] = tuple(TABLES)) -> Tables:
        """Return a snapshot of live tables, which you can read in any thread.

        Args:
            names: Names of the tables in the snapshot.

        Returns:
            Tables that do not change.
        """
        names = {*names, "sessions", "agents"}  # these have the labels
        if self._freeze is not None:
            return Tables(self._freeze(names), prices=self._prices)
        frames = {name: self._read(name) for name in names}
        return Tables(frames.__getitem__, prices=self._prices)

    @keys_in_one_argument
    def usage(
        self,
        by: Key | Sequence[Key] = "turn",
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        where: Where | None = None,
        tz: str | None = None,
    ) -> pd.DataFrame:
        """Sum up tokens and cost.

        A sum leaves out requests without usage or price: see `tokens_are_lower_bound` and
        `cost_is_lower_bound`. With `"tool"`, sums are inferred: the tokens of a model call are
        divided among the tools whose results the call read.

        Args:
            by: A key or several, such as `["day", "model"]`; one row in all when empty. A key is
                `"turn"`, `"trajectory"`, `"subagent"`, `"agent"`, `"session"`, `"model"`, `"hour"`,
                `"day"`, `"week"`, `"month"`, `"tool"`, a label such as `"user"`, a Series with a
                value per `session_id`, or a function from a table to a column.
            since: As for `filter`.
            until: As for `filter`.
            where: As for `filter`.
            tz: Time zone of periods and dates; None for the local one.

        Returns:
            One row per group, with the columns of the page Tables. Cost is in US dollars.

        Raises:
            InvalidInputError: A key, a limit or the time zone is unknown.

        Example:
            >>> usage = agy.load("cassettes/").usage(by="session")
            >>> usage.loc[usage.session_name == "plain_chat", "total_tokens"].tolist()
            [214]
        """
        warn_without_table(self)
        return usage_table(self._within(since, until, where, tz), by, tz)

    @keys_in_one_argument
    def summary(
        self,
        by: Key | Sequence[Key] = (),
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        where: Where | None = None,
        tz: str | None = None,
    ) -> pd.DataFrame:
        """Summarise tokens, cost, latencies, waits and errors.

        Args:
            by: A key or several, as for `usage`; one row in all when empty.
            since: As for `filter`.
            until: As for `filter`.
            where: As for `filter`.
            tz: Time zone of periods and dates; None for the local one.

        Returns:
            One row per group, with the columns of the page Tables.

        Raises:
            InvalidInputError: A key, a limit or the time zone is unknown.
        """
        from agy_nb.analysis.metrics.summary import summary

        warn_without_table(self)
        return summary(self._within(since, until, where, tz), by, tz=tz)

    def branches(self) -> pd.DataFrame:
        """List the agents as a tree of forks and rewinds.

        Turns before a fork belong to the parent, and so do their tokens and cost. `status` is that
        of the last turn. `forked_after_turn` counts turns from the beginning of the conversation.

        Returns:
            One row per agent, each parent before its children; `depth` is 0 without a parent. Cost
            is in US dollars.

        Example:
            >>> tree = agy.load("cassettes/plain_chat").branches()
            >>> tree[["agent_id", "depth", "n_turns", "total_tokens"]].to_dict("records")
            [{'agent_id': 1, 'depth': 0, 'n_turns': 2, 'total_tokens': 214}]
        """
        from agy_nb.analysis.branches.branch_table import branch_table

        return branch_table(self.frame("agents"), self.frame("turns"), self.usage(by="agent"))

    @keys_in_one_argument
    def latency(
        self,
        by: Key | Sequence[Key] = (),
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        where: Where | None = None,
        tz: str | None = None,
    ) -> pd.DataFrame:
        """Summarise how fast the model answers: percentiles over its calls.

        Args:
            by: A key or several, as for `usage`; one row in all when empty.
            since: As for `filter`.
            until: As for `filter`.
            where: As for `filter`.
            tz: Time zone of periods and dates; None for the local one.

        Returns:
            One row per group: the time to the first piece and the duration of metered calls, and
            the tokens per second, each with p50, p90, p95 and p99.

        Raises:
            InvalidInputError: A key, a limit or the time zone is unknown.

        Example:
            >>> latency = agy.load("cassettes/").latency(by="model")
            >>> bool((latency["duration_p50"] <= latency["duration_p99"]).all())
            True
        """
        from agy_nb.analysis.metrics.latency import latency_table

        return latency_table(self._within(since, until, where, tz), by, tz=tz)

    def filter(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        where: Where | None = None,
        tz: str | None = None,
    ) -> Tables:
        """Select rows by time, and sessions by their columns.

        Args:
            since: Keep rows from this moment on: a date such as `"2026-11-20"`, a `datetime`, or a
                time before now, as `"7d"`, `"12h"` or a `timedelta`.
            until: Keep rows before this moment; a date includes its day.
            where: Sessions to keep: a query on the table `sessions`, such as
                `"session_name == 'monday'"`, a mapping of columns to values, or a function from the
                table to true and false.
            tz: Time zone of dates; None for the local one.

        Returns:
            Tables of these rows. A row without a time stays only if there is neither limit.

        Raises:
            InvalidInputError: A moment, a column or the time zone is unknown.

        Example:
            >>> sessions = agy.load("cassettes/").filter(where={"session_name": "plain_chat"})
            >>> sessions.usage("session")["total_tokens"].tolist()
            [214]
        """
        selection = Selection.of(since, until, where, tz)
        return Tables(select(self._labelled, selection), prices=self._prices)

    def _within(
        self, since: Moment | None, until: Moment | None, where: Where | None, tz: str | None
    ) -> Tables:
        if since is None and until is None and where is None:
            return self
        return self.filter(since=since, until=until, where=where, tz=tz)

    def only(self, session_id: str) -> Tables:
        """Return the tables of one session.

        Args:
            session_id: Its id.

        Returns:
            New tables, without a row if there is no such session.
        """
        return self.filter(where={"session_id": session_id})

    def with_labels(self, labels: pd.DataFrame | Mapping[str, Mapping[str, Any]]) -> Tables:
        """Add labels to sessions: columns of every table, and keys of every question.

        Args:
            labels: A DataFrame with a column `session_id` or `session_name`, or a mapping of names
                or ids of sessions to labels. Other columns are labels.

        Returns:
            New tables. These do not change.

        Raises:
            InvalidInputError: The labels name no session column, or a column of the table.

        Example:
            >>> sessions = agy.load("cassettes/").with_labels({"plain_chat": {"user": "ada"}})
            >>> sessions.filter(where={"user": "ada"}).usage("user")["total_tokens"].tolist()
            [214]
        """
        return Tables(labelled(self._labelled, labels), prices=self._prices)

    def _labelled(self, name: str) -> pd.DataFrame:
        return with_recorded_labels(self._read, name, self._read(name))

    def _repr_html_(self) -> str:
        """Show totals and the sessions with the highest cost in a notebook."""
        from agy_nb.analysis.export.summary_html import summary_html

        return summary_html(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: sessions, turns, model_calls, {len(TABLES) - 3} more>"
