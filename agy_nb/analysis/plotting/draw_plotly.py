"""Charts with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from agy_nb.analysis.plotting.charts import Chart, Series, money_decimals

_MARKS = {
    "": None, "circle": "circle", "square": "square", "up": "triangle-up",
    "down": "triangle-down", "diamond": "diamond", "cross": "cross",
}  # fmt: skip
_FAINT = {"color": "rgba(128,128,128,0.5)", "width": 1}
_PATTERNS = {"": "", "/": "/", "\\": "\\", ".": ".", "x": "x", "-": "-"}


def figure(chart: Chart, figsize: tuple[float, float] | None = None) -> Any:
    """Draw a chart as a figure.

    Args:
        chart: What to draw.
        figsize: Width and height in inches of 100 pixels; None for the width of the page.

    Raises:
        ImportError: Plotly is not installed.
    """
    from plotly import (  # type: ignore[import-untyped] # it has no types
        graph_objects as go,
        io as pio,
    )

    made = go.Figure()
    made.update_layout(
        template="plotly_white" if pio.templates.default == "plotly" else pio.templates.default,
        title=_text(chart.title),
        barmode="overlay",
        height=220 + 60 * len(chart.rows) if chart.rows else 380,
        legend={"traceorder": "normal"},
        margin={"t": 50, "b": 50},
    )
    if figsize is not None:
        made.update_layout(width=figsize[0] * 100, height=figsize[1] * 100)
    if chart.nothing:
        place = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
        made.add_annotation(text=chart.nothing, **place)
        made.update_xaxes(visible=False)
        made.update_yaxes(visible=False)
        return made
    for series in chart.series:
        made.add_trace(_trace(go, series, chart))
    for divider in chart.dividers:
        made.add_vline(divider, line=_FAINT | {"dash": "dash"})
    for guide in chart.guides:
        made.add_hline(
            guide, line=_FAINT, layer="below", annotation_text=f"p{guide * 100:.0f}",
            annotation_position="top right", annotation_font_size=10,
        )  # fmt: skip
    _axes(made, chart)
    return made


def _text(word: str) -> str:
    """Escape a text: Plotly reads tags and, with MathJax, formulas between dollars."""
    return word.replace("<", "&lt;").replace("$", "&#36;")


def _trace(go: Any, series: Series, chart: Chart) -> Any:
    name = _text(series.name)
    seen = {"name": name, "showlegend": bool(name)}
    words = [_text(word) for word in series.text]
    fill = {"color": series.colour, "pattern": {"shape": _PATTERNS[series.pattern]}}
    y = "%{y:.0%}" if chart.guides else "%{y:,.0f}"
    about = f"{name}<br>%{{x:.4~g}}: {y}"
    if series.kind == "span":
        return go.Bar(
            x=[max(length, chart.shortest) for length in series.length], base=series.x,
            y=series.y, orientation="h", width=0.5, marker=fill,
            customdata=series.length, text=words, textposition="none",
            hovertemplate="%{text}: %{customdata:.3f} s from %{base:.3f} s<extra></extra>", **seen,
        )  # fmt: skip
    figures = "$,.6~g" if chart.money_y else ",.0f"
    x = _times(series.x) if chart.time_x else series.x
    if series.kind == "bar":
        about = "%{x}" if chart.time_x else "%{text}"
        return go.Bar(
            x=x, y=series.y, base=series.floor, marker=fill, text=words,
            width=series.width * 1000 if chart.time_x else series.width,
            textposition="none", customdata=series.y, **seen,
            hovertemplate=f"{about}<br>{name}: %{{customdata:{figures}}}<extra></extra>",
        )  # fmt: skip
    if series.kind == "steps":
        return go.Scatter(
            x=series.x, y=series.y, stackgroup="all", mode="lines", text=words,
            line={"width": 0, "color": series.colour, "shape": "hvh"}, fillcolor=series.colour,
            fillpattern={"shape": _PATTERNS[series.pattern]}, **seen,
            hovertemplate=f"%{{text}}<br>{name}: %{{y:,.0f}}<extra></extra>",
        )  # fmt: skip
    if series.kind == "points":
        return go.Scatter(
            x=x, y=series.y, mode="markers", text=words, **seen,
            marker={"color": series.colour, "symbol": _MARKS[series.mark], "size": 9},
            hovertemplate=f"%{{text}}<br>{name}<extra></extra>",
        )  # fmt: skip
    few = len(series.x) <= 50  # noqa: PLR2004 - more marks than this hide the line
    return go.Scatter(
        x=series.x or [None], y=series.y or [None],  # one that is only in the legend
        mode="lines+markers" if series.mark and few else "lines",
        line={
            "color": series.colour,
            "width": 2 if series.mark else 1,
            "shape": "hv" if series.kind == "step" else "linear",
        },
        marker={"symbol": _MARKS[series.mark], "size": 8} if series.mark else None,
        opacity=1 if series.mark else 0.6,
        hovertemplate=f"{about}<extra></extra>" if series.name else None,
        hoverinfo=None if series.name else "skip", **seen,
    )  # fmt: skip


def _times(seconds: Sequence[float]) -> list[str]:
    start = datetime(1970, 1, 1)  # noqa: DTZ001 - as local clocks show it
    return [(start + timedelta(seconds=at)).isoformat() for at in seconds]


def _axes(made: Any, chart: Chart) -> None:
    span = _times(chart.x_range) if chart.time_x and chart.x_range else chart.x_range
    made.update_xaxes(title=chart.x, range=span, ticks="outside", tickcolor="rgba(0,0,0,0)")
    if chart.time_x:
        made.update_xaxes(tickangle=0, nticks=5)
    if chart.money_y:
        top = max((value for series in chart.series for value in series.top), default=0.0)
        made.update_yaxes(tickformat=f"$,.{money_decimals(top / 6)}f")
    if chart.guides:
        made.update_yaxes(tickformat=".0%")
    if chart.log_x:
        places = [place for series in chart.series for place in series.x]
        decades = max(places) >= 100 * min(places)  # else they are too few to have a tick each
        made.update_xaxes(type="log", tickformat="~g", dtick=1 if decades else None)
    if chart.whole_x:
        made.update_xaxes(tickformat=",d", tickvals=chart.few_places or None)
        made.update_yaxes(tickformat=",d")
    if chart.rows:
        low, high = chart.y_range
        made.update_yaxes(
            tickvals=list(range(len(chart.rows))), ticktext=chart.rows, range=[high, low],
            showgrid=False, zeroline=False,
        )  # fmt: skip
    else:
        made.update_yaxes(title=chart.y, rangemode="tozero", range=_range(chart))


def _range(chart: Chart) -> tuple[float, float] | None:
    low, high = chart.y_range
    return None if high is None else (low, high)
