"""Charts with Matplotlib.

Names are anybody's: a dollar in them begins no formula.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.plotting.charts import Chart, Series
from agy_nb.analysis.plotting.fonts import drawable, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = {
    "": None, "circle": "o", "square": "s", "up": "^", "down": "v", "diamond": "D", "cross": "P",
}  # fmt: skip
_HATCHES = {"": None, "/": "//", "\\": "\\\\", ".": "..", "x": "xx", "-": "--"}
_DAY = 86_400
_NAMED = 13
"""A span not so many times as long as the shortest has no room for its word."""


def axes(chart: Chart, ax: Axes | None = None, figsize: tuple[float, float] | None = None) -> Axes:
    """A chart on axes.

    Args:
        chart: What to draw.
        ax: Where; new axes when None.
        figsize: Width and height of a new figure in inches; None for the usual one.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    from matplotlib import pyplot as plt

    if ax is None:
        size = (9, 1.8 + 0.55 * len(chart.rows)) if chart.rows else (8, 3.6)
        ax = plt.subplots(figsize=figsize or size, layout="constrained")[1]
    ax.set(xlabel=chart.x, ylabel=chart.y)
    ax.set_title(drawable(chart.title), parse_math=False, fontfamily=families())
    if chart.nothing:
        ax.text(
            0.5, 0.5, chart.nothing, transform=ax.transAxes, ha="center", va="center", color="0.4"
        )
        ax.set(xticks=[], yticks=[])
        return ax
    for guide in chart.guides:
        ax.axhline(guide, color="0.8", linewidth=0.8, zorder=0)
    for divider in chart.dividers:
        ax.axvline(divider, color="0.6", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    for series in chart.series:
        _draw(ax, _in_days(series) if chart.time_x else series, chart)
    _frame(ax, chart)
    return ax


def _in_days(series: Series) -> Series:
    """Return times as Matplotlib counts them."""
    return replace(series, x=tuple(at / _DAY for at in series.x), width=series.width / _DAY)


def _draw(ax: Axes, series: Series, chart: Chart) -> None:
    style: dict[str, Any] = {"color": series.colour, "label": drawable(series.name) or "_"}
    hatch = _HATCHES[series.pattern]
    mark = _MARKS[series.mark]
    every = max(1, len(series.x) // 10)
    match series.kind:
        case "bar":
            style |= {"edgecolor": "white", "linewidth": 0.5, "hatch": hatch}
            ax.bar(series.x, series.y, series.width, bottom=series.floor, **style)
        case "steps":
            style = {"facecolor": series.colour, "label": style["label"], "hatch": hatch}
            style |= {"edgecolor": "white", "linewidth": 0}
            ax.fill_between(series.x, series.floor, series.top, step="mid", **style)
        case "points":
            ax.plot(series.x, series.y, marker=mark, linestyle="none", markersize=6, **style)
        case "span":
            _spans(ax, series, chart, style | {"hatch": hatch, "edgecolor": "white"})
        case "step":
            ax.step(series.x, series.y, where="post", marker=mark, markevery=every, **style)
        case "line":
            style |= {} if series.mark else {"linewidth": 0.8, "zorder": 0}
            ax.plot(series.x, series.y, marker=mark, markevery=every, **style)


def _spans(ax: Axes, series: Series, chart: Chart, style: dict[str, Any]) -> None:
    every = zip(series.x, series.y, series.length, series.text, strict=True)
    for number, (begin, row, length, word) in enumerate(every):
        named = length > chart.shortest * _NAMED
        label = {"label": "_"} if number else {}
        drawn = max(length, chart.shortest)
        ax.barh(row, drawn, left=begin, height=0.5, linewidth=0.5 * named, **(style | label))
        if not named:  # seen even where it is narrower than a pixel
            ax.vlines(begin, row - 0.25, row + 0.25, color=series.colour, linewidth=0.8)
        if named and series.pattern:
            middle = begin + length / 2
            place: dict[str, Any] = {"fontsize": "x-small", "ha": "center", "va": "bottom"}
            place["fontfamily"] = families()
            ax.text(middle, row - 0.27, drawable(word), parse_math=False, **place)


def _frame(ax: Axes, chart: Chart) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    if chart.log_x:
        ax.set_xscale("log")
    if chart.whole_x:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    elif not chart.rows and not chart.guides:
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if chart.money_y:
        ax.yaxis.set_major_formatter(StrMethodFormatter("${x:,.6g}"))
    if chart.time_x:
        dates: Any = importlib.import_module("matplotlib.dates")  # which has no types
        locator = dates.AutoDateLocator(minticks=2, maxticks=8)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    if chart.x_range:
        unit = _DAY if chart.time_x else 1
        ax.set_xlim(chart.x_range[0] / unit, chart.x_range[1] / unit)
    if chart.rows:
        ax.set_yticks(range(len(chart.rows)), list(map(drawable, chart.rows)))
        for label in ax.get_yticklabels():
            label.set_fontfamily(families())
        ax.set_ylim(chart.y_range[1], chart.y_range[0])  # the first row is on top
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    else:
        ax.update_datalim([(0.0, chart.y_range[0])], updatex=False)  # the rest above belongs to all
        ax.autoscale_view(scalex=False)
        ax.set_ylim(*chart.y_range)
    ax.spines[["top", "right"]].set_visible(False)
    legend = ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    for name in legend.get_texts():
        name.set_parse_math(False)
        name.set_fontfamily(families())
