"""The plots of tables: a chart, drawn by Matplotlib or Plotly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from agy_nb.analysis.errors import MissingExtraError
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from agy_nb.analysis.metrics.groups import Key
    from agy_nb.analysis.plotting.charts import Chart

Backend: TypeAlias = Literal["matplotlib", "plotly"]


class Plots:
    """Plots of tables.

    Each returns Matplotlib's `Axes`, or Plotly's `Figure` with `backend="plotly"`. `ax` draws on
    axes of yours, with Matplotlib only. `figsize` is the width and height of a new figure in inches
    (of 100 pixels with Plotly).
    """

    def frame(self, name: str) -> pd.DataFrame:
        """Return a table by its name."""
        raise NotImplementedError(name)

    def branches(self) -> pd.DataFrame:
        """Return the agents as a tree."""
        raise NotImplementedError

    def plot_usage(
        self,
        by: Literal["time", "order"] = "time",
        *,
        tz: str | None = None,
        backend: Backend = "matplotlib",
        ax: Axes | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> Any:
        """Plot tokens over time, stacked by kind.

        Args:
            by: `"time"` for a bar per period, `"order"` for a bar per turn.
            tz: Time zone of the axis; None for the local one.
            backend: `"matplotlib"` or `"plotly"`.
            ax: Axes to draw on, with Matplotlib.
            figsize: Width and height of a new figure in inches.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: An argument is unknown.
            MissingExtraError: The backend is not installed.
        """
        from agy_nb.analysis.plotting.bars import usage_chart

        return draw(usage_chart(self, by, tz), backend, ax, figsize)

    def plot_cost(
        self,
        by: Key = "model",
        *,
        cumulative: bool = False,
        tz: str | None = None,
        backend: Backend = "matplotlib",
        ax: Axes | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> Any:
        """Plot cost over time in US dollars, stacked by model or another key.

        Args:
            by: `"model"`, `"session"`, `"agent"`, a label, a Series or a function, as for `usage`.
            cumulative: Whether a bar shows all cost so far, or that of its period.
            tz: Time zone of the axis; None for the local one.
            backend: `"matplotlib"` or `"plotly"`.
            ax: Axes to draw on, with Matplotlib.
            figsize: Width and height of a new figure in inches.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: An argument is unknown.
            MissingExtraError: The backend is not installed.
        """
        from agy_nb.analysis.plotting.bars import cost_chart

        return draw(cost_chart(self, by, cumulative=cumulative, tz=tz), backend, ax, figsize)

    def plot_latency(
        self,
        by: Key | None = None,
        *,
        backend: Backend = "matplotlib",
        ax: Axes | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> Any:
        """Plot the distribution of the durations of model calls, first pieces, turns and tools.

        Args:
            by: A key for a line of model calls per group: `"model"`, `"session"`, `"agent"`, a
                label, a Series or a function, as for `usage`. None for model calls, first pieces,
                turns and tools, a line each.
            backend: `"matplotlib"` or `"plotly"`.
            ax: Axes to draw on, with Matplotlib.
            figsize: Width and height of a new figure in inches.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: An argument is unknown.
            MissingExtraError: The backend is not installed.
        """
        from agy_nb.analysis.plotting.latency_chart import latency_chart

        return draw(latency_chart(self, by), backend, ax, figsize)

    def plot_timeline(
        self,
        turn_id: int | None = None,
        *,
        session_id: str | None = None,
        backend: Backend = "matplotlib",
        ax: Axes | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> Any:
        """Plot a turn: model calls, tools, waits and errors, one row per agent and subagent.

        Args:
            turn_id: The turn; None for the longest one.
            session_id: Its session, by id or name; needed if several have a turn of that number.
            backend: `"matplotlib"` or `"plotly"`.
            ax: Axes to draw on, with Matplotlib.
            figsize: Width and height of a new figure in inches.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: The turn or backend is unknown, or several turns have that number.
            MissingExtraError: The backend is not installed.
        """
        from agy_nb.analysis.plotting.timeline import timeline_chart

        return draw(timeline_chart(self, turn_id, session_id), backend, ax, figsize)

    def plot_context(
        self,
        by: Literal["trajectory"] = "trajectory",
        *,
        most: int = 5,
        backend: Backend = "matplotlib",
        ax: Axes | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> Any:
        """Plot the length of the prompt of each model call, a line per agent and subagent.

        Args:
            by: Only `"trajectory"`, the work of one agent or subagent.
            most: Lines with a colour: those with the longest prompts; the others are pale.
            backend: `"matplotlib"` or `"plotly"`.
            ax: Axes to draw on, with Matplotlib.
            figsize: Width and height of a new figure in inches.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: An argument is unknown.
            MissingExtraError: The backend is not installed.
        """
        from agy_nb.analysis.plotting.charts import context_chart

        if by != "trajectory":
            raise InvalidInputError(
                f"by must be 'trajectory', got {by!r}. The plot has a line per agent and subagent; "
                "to plot some of them, select sessions with filter(where=...)",
                field="by",
            )
        return draw(context_chart(self, most), backend, ax, figsize)

    def plot_branches(
        self,
        session_id: str | None = None,
        *,
        backend: Backend = "matplotlib",
        ax: Axes | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> Any:
        """Plot the agents of a session as a tree of forks: a row per agent, a bar per turn.

        A line leads from the turn where a fork parts from its parent. Colours and patterns show how
        each turn ended. Abandoned turns have a row of their own, one after the other. A name has
        the cost of the agent's own turns, or its tokens if no price is known.

        Args:
            session_id: Id or name of the session; the one with most forks when None.
            backend: `"matplotlib"` or `"plotly"`.
            ax: Axes to draw on, with Matplotlib.
            figsize: Width and height of a new figure in inches.

        Returns:
            Matplotlib's `Axes` or Plotly's `Figure`.

        Raises:
            InvalidInputError: The session or the backend is unknown.
            MissingExtraError: The backend is not installed.
        """
        from agy_nb.analysis.plotting.branch_chart import branch_chart

        return draw(branch_chart(self, self.branches(), session_id), backend, ax, figsize)


def draw(
    chart: Chart,
    backend: Backend,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Any:
    """Draw a chart.

    Raises:
        InvalidInputError: The backend is unknown or does not use axes, or the axes or the size of
            the figure have another type.
        MissingExtraError: It is not installed.
    """
    if backend not in get_args(Backend):
        known = ", ".join(get_args(Backend))
        raise InvalidInputError(f"backend must be one of {known}, got {backend!r}", field="backend")
    if ax is not None and backend != "matplotlib":
        raise InvalidInputError(
            f"ax= is for Matplotlib; {backend} makes a figure of its own", field="ax"
        )
    if ax is not None and not hasattr(ax, "set_xlabel"):
        raise InvalidInputError(
            f"ax must be Matplotlib's Axes, such as plt.subplots()[1], got {ax!r}", field="ax"
        )
    if figsize is not None and not _is_size(figsize):
        raise InvalidInputError(
            f"figsize must be two numbers > 0, width and height in inches, got {figsize!r}",
            field="figsize",
        )
    try:
        if backend == "plotly":
            from agy_nb.analysis.plotting import draw_plotly

            return draw_plotly.figure(chart, figsize)
        from agy_nb.analysis.plotting import draw_matplotlib

        return draw_matplotlib.axes(chart, ax, figsize)
    except ImportError:
        extra = "plot" if backend == "matplotlib" else "interactive"
        raise MissingExtraError(f"this plot needs {backend.capitalize()}", extra) from None


def _is_size(figsize: object) -> bool:
    if not isinstance(figsize, tuple | list) or len(figsize) != 2:  # noqa: PLR2004
        return False
    return all(isinstance(side, int | float) and side > 0 for side in figsize)
