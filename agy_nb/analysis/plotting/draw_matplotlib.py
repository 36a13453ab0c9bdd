"""Draw charts with Matplotlib.

Names are not trusted: a dollar sign in a name does not begin a formula.
"""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agy_nb.analysis.plotting.charts import Chart, Series, money_decimals
from agy_nb.analysis.plotting.fonts import drawable, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_MARKS = {
    "": None, "circle": "o", "square": "s", "up": "^", "down": "v", "diamond": "D", "cross": "P",
}  # fmt: skip
_HATCHES = {"": None, "/": "//", "\\": "\\\\", ".": "..", "x": "xx", "-": "--"}
_DAY = 86_400
_NAMED = 13
"""A span not so many times as long as the shortest has no room for its word."""
_WORD = 24
"""Maximum number of characters above a span."""
_SHORTEST_WORD = 3
_GAP = 4
"""Pixels between the words of two spans."""
_BELOW_DATE = 16
"""Points above the label of an axis of times: Matplotlib writes the date on the right there."""
_ROW_NAME = 0.75
"""The largest font size of a row's name, as a share of the row's height."""
_SMALLEST = 4.0


def axes(chart: Chart, ax: Axes | None = None, figsize: tuple[float, float] | None = None) -> Axes:
    """Draw a chart on axes.

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
    ax.set_xlabel(chart.x, labelpad=_BELOW_DATE if chart.time_x else None)
    ax.set_ylabel(chart.y)
    ax.set_title(drawable(chart.title), parse_math=False, fontfamily=families())
    if chart.nothing:
        ax.text(0.5, 0.5, chart.nothing, transform=ax.transAxes, ha="center", va="center")
        ax.set(xticks=[], yticks=[])
        return ax
    faint: dict[str, Any] = {"color": "0.5", "alpha": 0.5, "linewidth": 0.8, "zorder": 0}
    for guide in chart.guides:
        ax.axhline(guide, **faint)
        ax.text(
            0.995, guide, f"p{guide * 100:.0f}", transform=ax.get_yaxis_transform(), ha="right",
            va="bottom", fontsize="x-small",
        )  # fmt: skip
    for divider in chart.dividers:
        ax.axvline(divider, linestyle=(0, (4, 3)), **faint)
    for series in chart.series:
        _draw(ax, _in_days(series) if chart.time_x else series, chart)
    _frame(ax, chart)
    if chart.rows:
        _fit_words(ax, chart)
    return ax


def _in_days(series: Series) -> Series:
    """Return times as Matplotlib counts them."""
    return replace(series, x=tuple(at / _DAY for at in series.x), width=series.width / _DAY)


def _paper(ax: Axes) -> Any:
    """Return the colour behind the axes: edges and patterns have it, also in a dark style."""
    from matplotlib.colors import to_rgba

    grounds = (ax.get_facecolor(), ax.get_figure(root=True).get_facecolor())  # type: ignore[union-attr]
    return next((colour for colour in grounds if to_rgba(colour)[3]), "white")


def _draw(ax: Axes, series: Series, chart: Chart) -> None:
    style: dict[str, Any] = {"color": series.colour, "label": drawable(series.name) or "_"}
    hatch, paper = _HATCHES[series.pattern], _paper(ax)
    mark = _MARKS[series.mark]
    every = max(1, len(series.x) // 10)
    match series.kind:
        case "bar":
            style |= {"edgecolor": paper, "linewidth": 0.5, "hatch": hatch}
            for bar in ax.bar(series.x, series.y, series.width, bottom=series.floor, **style):
                bar.sticky_edges.y.clear()  # else the axis ends where the highest bar does
        case "steps":
            style = {"facecolor": series.colour, "label": style["label"], "hatch": hatch}
            style |= {"edgecolor": paper, "linewidth": 0}
            ax.fill_between(series.x, series.floor, series.top, step="mid", **style)
        case "points":
            ax.plot(series.x, series.y, marker=mark, linestyle="none", markersize=6, **style)
        case "span":
            style = {"facecolor": series.colour, "label": style["label"], "hatch": hatch}
            _spans(ax, series, chart, style | {"edgecolor": paper})
        case "step":
            ax.step(series.x, series.y, where="post", marker=mark, markevery=every, **style)
        case "line":
            style |= {} if series.mark else {"linewidth": 0.8, "zorder": 0, "alpha": 0.6}
            ax.plot(series.x, series.y, marker=mark, markevery=every, **style)


def _spans(ax: Axes, series: Series, chart: Chart, style: dict[str, Any]) -> None:
    """Draw each row at once: a turn can have thousands of calls."""
    spans = [*zip(series.x, series.y, series.length, series.text, strict=True)]
    shortest = chart.shortest
    for number, row in enumerate(sorted(set(series.y))):
        label = {"label": "_"} if number else {}
        long = [(begin, length) for begin, y, length, _ in spans if y == row]
        bars = [(begin, max(length, shortest)) for begin, length in long]
        ax.broken_barh(bars, (row - 0.25, 0.5), linewidth=0.3, **(style | label))
        # A span is seen even where it is narrower than a pixel.
        short = [begin for begin, length in long if length <= shortest * _NAMED]
        ax.vlines(short, row - 0.25, row + 0.25, color=series.colour, linewidth=0.8)
    if not series.pattern:
        return
    for begin, row, length, word in spans:
        if length > shortest * _NAMED:
            place: dict[str, Any] = {"fontsize": "x-small", "ha": "center", "va": "bottom"}
            place |= {"fontfamily": families(), "clip_on": True}
            middle = begin + length / 2
            ax.text(middle, row - 0.27, drawable(_fitting(word)), parse_math=False, **place)


def _fitting(word: str, length: int = _WORD) -> str:
    return word if len(word) <= length else f"{word[: length - 1]}…"


def _fit_words(ax: Axes, chart: Chart) -> None:
    """Shorten the words above spans and the names of rows, so that none covers another."""
    from matplotlib.font_manager import FontProperties

    figure = ax.get_figure(root=True)
    if figure is None:
        return
    figure.draw_without_rendering()  # sizes are not known before the layout
    height = ax.get_window_extent().height * 72 / figure.dpi / len(chart.rows)
    for label in ax.get_yticklabels():
        label.set_fontsize(max(_SMALLEST, min(label.get_fontsize(), height * _ROW_NAME)))
    figure.draw_without_rendering()  # the names of rows change the width of the axes
    whole = ax.get_window_extent()
    small = FontProperties(size="x-small").get_size_in_points()
    by_row: dict[float, list[Text]] = {}
    for word in ax.texts:
        by_row.setdefault(word.get_position()[1], []).append(word)
    for row in by_row.values():
        row.sort(key=lambda word: word.get_position()[0])
        boxes = [word.get_window_extent() for word in row]
        middles = [(box.x0 + box.x1) / 2 for box in boxes]
        rooms = [after - before - _GAP for before, after in itertools.pairwise(middles)]
        ends = [2 * (middles[0] - whole.x0), *rooms, 2 * (whole.x1 - middles[-1])]
        for place, (word, box) in enumerate(zip(row, boxes, strict=True)):
            room = min(ends[place], ends[place + 1])
            length = len(word.get_text())
            fits = length if box.width <= room else int(length * room / box.width)
            word.set_text(_fitting(word.get_text(), fits))
            word.set_visible(fits >= min(length, _SHORTEST_WORD) and height > 2 * small)


def _frame(ax: Axes, chart: Chart) -> None:
    _x_ticks(ax, chart)
    _y_ticks(ax, chart)
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
    if not ax.get_legend_handles_labels()[1]:
        return
    legend = ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    for name in legend.get_texts():
        name.set_parse_math(False)
        name.set_fontfamily(families())


def _x_ticks(ax: Axes, chart: Chart) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator

    if chart.log_x:
        ax.set_xscale("log")
        places = [place for series in chart.series for place in series.x]
        decades = max(places) >= 100 * min(places)  # else they are too few to have a tick each
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades else (1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        ax.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    if chart.whole_x:
        few = chart.few_places
        ax.xaxis.set_major_locator(FixedLocator(few) if few else MaxNLocator(integer=True))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if chart.time_x:
        dates: Any = importlib.import_module("matplotlib.dates")  # which has no types
        locator = dates.AutoDateLocator(minticks=2, maxticks=8)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def _y_ticks(ax: Axes, chart: Chart) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

    if chart.guides:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    elif chart.money_y:
        ax.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _dollars(ax, value)))
    elif not chart.rows:
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _dollars(ax: Axes, value: float) -> str:
    ticks = ax.yaxis.get_majorticklocs()
    step = float(ticks[1] - ticks[0]) if len(ticks) > 1 else value
    return f"${value:,.{money_decimals(step)}f}"
