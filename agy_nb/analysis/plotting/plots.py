"""Plots of sessions, one line each: `plot_usage`, `plot_latency`, `plot_timeline`, `plot_context`.

`charts` and `timeline` compute the data, `draw_*` draw it: with Matplotlib, or with Plotly
to zoom and to point at.

Rule 1: libraries that draw are extras, imported on first use; no global setting is touched.
Rule 2: axes name what they show and its unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from agy_nb.analysis.errors import MissingExtraError
from agy_nb.analysis.metrics.groups import Source
from agy_nb.analysis.plotting.charts import Chart, context_chart, latency_chart, usage_chart
from agy_nb.analysis.plotting.timeline import timeline_chart
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Backend: TypeAlias = Literal["matplotlib", "plotly"]


def plot_usage(source: Source, *, backend: Backend = "matplotlib", ax: Axes | None = None) -> Any:
    """Tokens of each turn, stacked by what they are.

    Args:
        source: Tables.
        backend: What draws it.
        ax: Where to draw, with Matplotlib; new axes when None.

    Returns:
        Matplotlib's `Axes` or Plotly's `Figure`.

    Raises:
        InvalidInputError: The backend is unknown, or it does not use axes.
        MissingExtraError: It is not installed.
    """
    return draw(usage_chart(source), backend, ax)


def plot_latency(source: Source, *, backend: Backend = "matplotlib", ax: Axes | None = None) -> Any:
    """Which share of turns, first pieces of answers and tools took how long.

    Args, returns and raises as `plot_usage`.
    """
    return draw(latency_chart(source), backend, ax)


def plot_context(
    source: Source, *, backend: Backend = "matplotlib", ax: Axes | None = None, most: int = 5
) -> Any:
    """Plot the length of the prompt per model call, one line per trajectory.

    Args, returns and raises as `plot_usage`.

    Args:
        source: Tables.
        backend: What draws it.
        ax: Where to draw, with Matplotlib.
        most: Trajectories with a colour: those with the longest prompts; the others stay pale.
    """
    return draw(context_chart(source, most), backend, ax)


def plot_timeline(
    source: Source,
    turn_id: int | None = None,
    *,
    session_id: str | None = None,
    backend: Backend = "matplotlib",
    ax: Axes | None = None,
) -> Any:
    """Plot the timeline of a turn: answers, tools and waits, one row per trajectory.

    A model call is metered at its end, marked by a triangle; its start is unknown.

    Args:
        source: Tables.
        turn_id: The turn; the longest one when None.
        session_id: Its session; needed where several have a turn of that number.
        backend: What draws it.
        ax: Where to draw, with Matplotlib.

    Returns:
        As `plot_usage`.

    Raises:
        InvalidInputError: The turn is unknown, or several turns match; or as `plot_usage`.
        MissingExtraError: The backend is not installed.
    """
    return draw(timeline_chart(source, turn_id, session_id), backend, ax)


def draw(chart: Chart, backend: Backend, ax: Axes | None = None) -> Any:
    """A chart, drawn; as `plot_usage`."""
    if backend not in get_args(Backend):
        known = ", ".join(get_args(Backend))
        raise InvalidInputError(f"backend must be one of {known}, got {backend!r}", field="backend")
    if ax is not None and backend != "matplotlib":
        raise InvalidInputError(
            f"ax= is for Matplotlib; {backend} makes a figure of its own", field="ax"
        )
    try:
        if backend == "plotly":
            from agy_nb.analysis.plotting import draw_plotly

            return draw_plotly.figure(chart)
        from agy_nb.analysis.plotting import draw_matplotlib

        return draw_matplotlib.axes(chart, ax)
    except ImportError:
        extra = "plot" if backend == "matplotlib" else "interactive"
        raise MissingExtraError(f"this plot needs {backend.capitalize()}", extra) from None
