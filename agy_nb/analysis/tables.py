"""The tables of one source, as a user holds them.

Rule 1: a table is built when it is asked for; holding `Tables` costs nothing.
Rule 2: what is given out is the user's own: changing it changes nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.metrics.cost import Prices
from agy_nb.analysis.metrics.usage import usage_table
from agy_nb.analysis.schema import TABLES, By
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd
    from opentelemetry.sdk.trace.export import SpanExporter

Read = Callable[[str], "pd.DataFrame"]
Freeze = Callable[[Iterable[str]], Read]


class Tables:
    """DataFrames with the columns of `agy_nb.analysis.schema`; unknown is `<NA>`, never 0.

    Args:
        read: Gives a table by its name.
        prices: How model calls are priced; None leaves cost unknown.
        freeze: Gives a `read` of some tables as they stand; for tables that grow.

    Raises:
        InvalidInputError: `prices` are no `Prices`.

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
        """Give a table by its name.

        Args:
            name: One of `agy_nb.analysis.schema.TABLES`, e.g. `"turns"`.

        Returns:
            A DataFrame of your own.

        Raises:
            KeyError: There is no such table.
        """
        if name not in TABLES:
            raise KeyError(f"{name!r} is no table; these are: {', '.join(TABLES)}")
        table = self._read(name)
        if name == "model_calls" and self._prices is not None:
            table = self._prices.add_to(table)
        return table

    @property
    def prices(self) -> Prices | None:
        """How model calls are priced; None where cost is left unknown."""
        return self._prices

    def with_prices(self, prices: Prices | None) -> Tables:
        """The same tables, priced in another way.

        Args:
            prices: How model calls are priced; None leaves cost unknown.

        Returns:
            Other tables; these stay as they are.
        """
        return Tables(self._read, prices=prices, freeze=self._freeze)

    def now(self, names: Iterable[str] = tuple(TABLES)) -> Tables:
        """These tables as they stand, to be read in any thread while the live ones go on.

        Args:
            names: Of the tables that are wanted; the others cannot be read of what is returned.

        Returns:
            Tables that do not grow.
        """
        if self._freeze is not None:
            return Tables(self._freeze(names), prices=self._prices)
        frames = {name: self._read(name) for name in names}
        return Tables(frames.__getitem__, prices=self._prices)

    @property
    def sessions(self) -> pd.DataFrame:
        """One row a recording, or a run of a runtime."""
        return self.frame("sessions")

    @property
    def agents(self) -> pd.DataFrame:
        """One row an agent."""
        return self.frame("agents")

    @property
    def trajectories(self) -> pd.DataFrame:
        """One row a thread of steps: an agent's own, or a subagent's."""
        return self.frame("trajectories")

    @property
    def turns(self) -> pd.DataFrame:
        """One row a prompt and what came of it."""
        return self.frame("turns")

    @property
    def steps(self) -> pd.DataFrame:
        """One row a step, in its last state."""
        return self.frame("steps")

    @property
    def model_calls(self) -> pd.DataFrame:
        """One row a metered model call: the table of facts that tokens and cost come from."""
        return self.frame("model_calls")

    @property
    def tool_calls(self) -> pd.DataFrame:
        """One row a tool call."""
        return self.frame("tool_calls")

    @property
    def approvals(self) -> pd.DataFrame:
        """One row a decision or an answer that was asked for."""
        return self.frame("approvals")

    @property
    def chunks(self) -> pd.DataFrame:
        """One row a piece of text; only where it was asked for."""
        return self.frame("chunks")

    @property
    def messages(self) -> pd.DataFrame:
        """One row a thing that was said."""
        return self.frame("messages")

    @property
    def commands(self) -> pd.DataFrame:
        """One row a command of the protocol."""
        return self.frame("commands")

    @property
    def errors(self) -> pd.DataFrame:
        """One row an error, also those that the harness got over."""
        return self.frame("errors")

    @property
    def problems(self) -> pd.DataFrame:
        """One row a thing that could not be read, or that does not add up."""
        return self.frame("problems")

    def usage(self, by: By = "turn", *, tz: str | None = None) -> pd.DataFrame:
        """Tokens and cost, summed up.

        A sum leaves out calls that were not metered: `tokens_are_lower_bound` says so, and
        `cost_is_lower_bound` says so too where calls have no price. `by="tool"` is inferred: it
        shares out each model call to the tools whose results it read.

        Args:
            by: `"turn"`, `"trajectory"`, `"agent"`, `"session"`, `"model"`, `"day"` or `"tool"`.
            tz: Time zone whose days `by="day"` takes; the local one when None.

        Returns:
            A row for each group, with the columns of the page Tables; tokens as counts, cost in US
            dollars.

        Raises:
            InvalidInputError: `by` is none of these, or there is no such time zone.

        Example:
            >>> usage = agy.load("cassettes/").usage(by="session")
            >>> usage.loc[usage.session_id == "plain_chat", "total_tokens"].tolist()
            [214]
        """
        return usage_table(self, by, tz)

    def summary(self, by: str | Sequence[str] = (), *, tz: str | None = None) -> pd.DataFrame:
        """Put tokens, cost, latencies, waits and errors in one table.

        Args:
            by: `"model"`, `"agent"`, `"tool"`, `"day"` or several; one row in all when empty.
            tz: Time zone of `"day"`; the local one when None.

        Returns:
            A row for each group; its columns are those of `agy_nb.analysis.metrics.summary`.

        Raises:
            InvalidInputError: `by` is none of these, or there is no such time zone.
        """
        from agy_nb.analysis.metrics.summary import summary

        return summary(self, [by] if isinstance(by, str) else by or (), tz=tz)

    # -- plots -------------------------------------------------------------------------------

    # `backend=` draws them with "plotly", to zoom and to point at; see `plots`.

    def plot_usage(self, **options: Any) -> Any:  # noqa: ANN401
        """Tokens of each turn, stacked by what they are.

        Args:
            **options: As for `agy_nb.analysis.plotting.plots.plot_usage`: `backend`, `ax`.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: There is no such backend.
            MissingExtraError: It is not installed.
        """
        from agy_nb.analysis.plotting.plots import plot_usage

        return plot_usage(self, **options)

    def plot_latency(self, **options: Any) -> Any:  # noqa: ANN401
        """Which share of turns, first pieces and tools took how long.

        Args:
            **options: As for `agy_nb.analysis.plotting.plots.plot_latency`: `backend`, `ax`.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: There is no such backend.
            MissingExtraError: It is not installed.
        """
        from agy_nb.analysis.plotting.plots import plot_latency

        return plot_latency(self, **options)

    def plot_timeline(self, turn_id: int | None = None, **options: Any) -> Any:  # noqa: ANN401
        """A turn on a line of time: model calls, tools, waits, subagents.

        Args:
            turn_id: The turn; the longest one when None.
            **options: `session_id`, `backend`, `ax`, as `plots.plot_timeline` takes them.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: There is no such turn or backend, or several turns have that number.
            MissingExtraError: The backend is not installed.
        """
        from agy_nb.analysis.plotting.plots import plot_timeline

        return plot_timeline(self, turn_id, **options)

    def plot_context(self, **options: Any) -> Any:  # noqa: ANN401
        """How the prompt grew from model call to model call.

        Args:
            **options: As for `agy_nb.analysis.plotting.plots.plot_context`: `backend`, `ax`.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: There is no such backend.
            MissingExtraError: It is not installed.
        """
        from agy_nb.analysis.plotting.plots import plot_context

        return plot_context(self, **options)

    # -- ways out ----------------------------------------------------------------------------

    def to_arrow(self, name: str) -> Any:  # noqa: ANN401 - a pyarrow.Table
        """Give a table as Arrow; Polars and DuckDB take it without copying.

        Args:
            name: One of `agy_nb.analysis.schema.TABLES`, e.g. `"turns"`.

        Returns:
            A `pyarrow.Table`.

        Raises:
            KeyError: There is no such table.
            MissingExtraError: pyarrow is not installed.
        """
        from agy_nb.analysis.export.files import to_arrow

        return to_arrow(self.frame(name))

    def to_parquet(self, folder: str | Path) -> None:
        """Write every table into a folder, one data set each, split by day where there is one.

        Args:
            folder: Where to; it is made if it is not there. What an earlier call wrote is replaced.

        Raises:
            InvalidInputError: Something else is where a data set goes.
            MissingExtraError: pyarrow is not installed.
        """
        from agy_nb.analysis.export.files import to_parquet

        to_parquet(self, Path(folder))

    def to_csv(self, folder: str | Path) -> None:
        """Write every table into a folder, one file each, safe to open in a spreadsheet.

        Args:
            folder: Where to; it is made if it is not there.
        """
        from agy_nb.analysis.export.files import to_csv

        to_csv(self, Path(folder))

    def to_otel(self, exporter: SpanExporter, **options: Any) -> int:  # noqa: ANN401
        """Every turn that is over as a trace of OpenTelemetry's GenAI spans.

        Args:
            exporter: Where spans go.
            **options: See `agy_nb.analysis.export.otel.to_otel`.

        Returns:
            How many spans were exported.

        Raises:
            MissingExtraError: The SDK of OpenTelemetry is not installed.
            SpansNotExportedError: The exporter refused spans.
        """
        from agy_nb.analysis.export.otel import to_otel

        return to_otel(self, exporter, **options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(TABLES)}>"
