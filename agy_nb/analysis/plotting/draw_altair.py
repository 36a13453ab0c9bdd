"""Charts with Altair (Vega-Lite).

Vega-Lite has no patterns for areas: what fills them is told by their order, their edges and the
word that shows when one points at them.
"""

from __future__ import annotations

import json
from typing import Any

from agy_nb.analysis.plotting.charts import Chart, Series

_MARKS = {
    "": "circle", "circle": "circle", "square": "square", "up": "triangle-up",
    "down": "triangle-down", "diamond": "diamond", "cross": "cross",
}  # fmt: skip
_HALF = {"bar": 0.4, "span": 0.25}
"""Half of what a bar is wide."""


def chart(chart: Chart) -> Any:  # noqa: ANN401 - an altair.LayerChart
    """A chart as an Altair chart.

    Raises:
        ImportError: Altair is not installed.
    """
    import altair as alt

    if chart.nothing:
        word = alt.Chart(alt.InlineData(values=[{}])).mark_text(text=chart.nothing, color="gray")
        return alt.layer(word).properties(title=chart.title, width=480, height=120)
    named = [series for series in chart.series if series.name]
    colour = alt.Color(
        "name:N",
        title=None,
        scale=alt.Scale(
            domain=[series.name for series in named], range=[series.colour for series in named]
        ),
        sort=None,
    )
    layers = [_layer(alt, series, chart, colour) for series in chart.series if series.x]
    for guide in chart.guides:
        line = alt.Chart(alt.InlineData(values=[{"y": guide}])).mark_rule(color="#CCCCCC")
        layers.insert(0, line.encode(y="y:Q"))
    height = 60 * len(chart.rows) if chart.rows else 260
    found = alt.layer(*layers).properties(title=chart.title, width=560, height=height)
    return found.interactive()


def _layer(alt: Any, series: Series, chart: Chart, colour: Any) -> Any:  # noqa: ANN401
    x = alt.X("x:Q", title=chart.x, scale=_x_scale(alt, chart), axis=_x_axis(alt, chart))
    y = alt.Y("y:Q", title=chart.y or None, scale=_y_scale(alt, chart), axis=_y_axis(alt, chart))
    base = alt.Chart(alt.InlineData(values=_values(series)))
    paint = colour if series.name else alt.value(series.colour)
    tips = [alt.Tooltip("name:N", title=" ")]
    if series.text:
        tips.append(alt.Tooltip("text:N", title=" "))
    if series.kind in ("bar", "span"):
        tips.append(alt.Tooltip("size:Q", title="seconds" if chart.rows else chart.y))
        # A span of no length is a line still, as it has an edge.
        mark = base.mark_rect(stroke=series.colour if chart.rows else "white", strokeWidth=1)
        return mark.encode(x=x, x2="x2:Q", y=y, y2="y2:Q", color=paint, tooltip=tips)
    if series.kind == "area":
        tips.append(alt.Tooltip("size:Q", title=chart.y))
        return base.mark_area(stroke="white", strokeWidth=0.5).encode(
            x=x, y=y, y2="y2:Q", color=paint, tooltip=tips
        )
    tips += [alt.Tooltip("x:Q", title=chart.x), alt.Tooltip("y:Q", title=chart.y or " ")]
    if series.kind == "points":
        mark = base.mark_point(shape=_MARKS[series.mark], filled=True, size=60, opacity=1)
        return mark.encode(x=x, y=y, color=paint, tooltip=tips[: 2 if series.text else None])
    few = len(series.x) <= 50  # noqa: PLR2004 - more marks than this hide the line
    point = {"shape": _MARKS[series.mark], "filled": True} if series.mark and few else False
    shape = "step-after" if series.kind == "step" else "linear"
    mark = base.mark_line(interpolate=shape, point=point, strokeWidth=2 if series.mark else 1)
    return mark.encode(x=x, y=y, color=paint, tooltip=tips)


def _values(series: Series) -> list[dict[str, Any]]:
    words = series.text or ("",) * len(series.x)
    every: Any
    if series.kind == "bar":
        half = _HALF["bar"]
        every = zip(series.x, series.floor, series.top, series.y, words, strict=True)
        rows = [
            {"x": x - half, "x2": x + half, "y": low, "y2": top, "size": size, "text": word}
            for x, low, top, size, word in every
        ]
    elif series.kind == "span":
        half = _HALF["span"]
        every = zip(series.x, series.y, series.length, words, strict=True)
        rows = [
            {"x": x, "x2": x + size, "y": y - half, "y2": y + half, "size": size, "text": word}
            for x, y, size, word in every
        ]
    elif series.kind == "area":
        every = zip(series.x, series.floor, series.top, series.y, words, strict=True)
        rows = [
            {"x": x, "y": low, "y2": top, "size": size, "text": word}
            for x, low, top, size, word in every
        ]
    else:
        every = zip(series.x, series.y, words, strict=True)
        rows = [{"x": x, "y": y, "text": word} for x, y, word in every]
    return [row | {"name": series.name} for row in rows]


def _x_scale(alt: Any, chart: Chart) -> Any:  # noqa: ANN401
    if chart.log_x:
        return alt.Scale(type="log")
    return alt.Scale(domain=list(chart.x_range), nice=False) if chart.x_range else alt.Undefined


def _x_axis(alt: Any, chart: Chart) -> Any:  # noqa: ANN401
    return alt.Axis(format=",d", tickMinStep=1, grid=False) if chart.whole_x else alt.Undefined


def _y_scale(alt: Any, chart: Chart) -> Any:  # noqa: ANN401
    low, high = chart.y_range
    return (
        alt.Undefined if high is None else alt.Scale(domain=[low, high], reverse=bool(chart.rows))
    )


def _y_axis(alt: Any, chart: Chart) -> Any:  # noqa: ANN401
    if not chart.rows:
        return alt.Axis(format=",d") if chart.whole_x else alt.Undefined
    places = list(range(len(chart.rows)))
    return alt.Axis(
        values=places, labelExpr=f"{json.dumps(chart.rows)}[datum.value]", grid=False, ticks=False
    )
