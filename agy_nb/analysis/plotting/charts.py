"""What plots show, before anything is drawn: series of numbers, with names, colours and units.

Rule 1: what a chart shows is worked out once; Matplotlib and Plotly only draw it.
Rule 2: the colours suit colour-blind readers (Okabe and Ito), and nothing is shown by
colour alone: areas have patterns, lines have marks.
Rule 3: unknown values are not drawn; a chart without values shows a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agy_nb.analysis.metrics.groups import Source, session_names
from agy_nb.analysis.metrics.usage import usage_table

if TYPE_CHECKING:
    import pandas as pd

BLUE, ORANGE, GREEN, RED, SKY, PINK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
)  # fmt: skip
PALE = "#CCCCCC"

Kind: TypeAlias = Literal["bar", "area", "line", "step", "points", "span"]
Mark: TypeAlias = Literal["", "circle", "square", "up", "down", "diamond", "cross"]
Pattern: TypeAlias = Literal["", "/", "\\", "."]


@dataclass(frozen=True, slots=True)
class Series:
    """Data in one colour.

    Attributes:
        name: Its line in the legend; empty for one without.
        kind: How it is drawn. A span is a bar that lies: from `x`, `length` long, in the row `y`.
        colour: As `#RRGGBB`.
        x: Places on the axis that goes across.
        y: Values; heights of bars and areas.
        base: Where bars and areas begin; 0 when empty.
        length: Of spans.
        text: A word for each point, empty when there is none.
        mark: Of points, and here and there on lines.
        pattern: Of bars, areas and spans.
    """

    name: str
    kind: Kind
    colour: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    base: tuple[float, ...] = ()
    length: tuple[float, ...] = ()
    text: tuple[str, ...] = ()
    mark: Mark = ""
    pattern: Pattern = ""

    @property
    def top(self) -> tuple[float, ...]:
        """Where bars and areas end."""
        return tuple(low + height for low, height in zip(self.floor, self.y, strict=True))

    @property
    def floor(self) -> tuple[float, ...]:
        """Where bars and areas begin."""
        return self.base or (0.0,) * len(self.y)


@dataclass(frozen=True, slots=True)
class Chart:
    """Content of one chart.

    Attributes:
        title: Above it.
        x: Label of the horizontal axis, with its unit.
        y: Label of the vertical axis, with its unit; empty if `rows` name it.
        series: The data, from bottom to top.
        rows: Names of the rows of spans, from the top.
        log_x: Whether `x` is logarithmic.
        whole_x: Whether `x` counts things.
        x_range: From where to where; as the data has it when None.
        y_range: The same; an end that is None is left to the data.
        guides: Values of `y` that get a faint line.
        nothing: What to say in place of a drawing, empty where there is one.
    """

    title: str
    x: str
    y: str
    series: tuple[Series, ...] = ()
    rows: tuple[str, ...] = ()
    log_x: bool = False
    whole_x: bool = False
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float | None] = (0.0, None)
    guides: tuple[float, ...] = ()
    nothing: str = ""

    @property
    def shortest(self) -> float:
        """A span that is shorter is drawn as long as this, to be seen."""
        return 0.003 * (self.x_range[1] - self.x_range[0]) if self.x_range else 0.0


_PARTS: tuple[tuple[str, str, str, Pattern], ...] = (
    ("cache_read_tokens", "prompt, from the cache", SKY, "/"),
    ("uncached_input_tokens", "prompt, not cached", BLUE, ""),
    ("reasoning_tokens", "thoughts", PINK, "."),
    ("answer", "answer", ORANGE, "\\"),
)
_LINES: tuple[tuple[str, Mark], ...] = (
    (BLUE, "circle"),
    (ORANGE, "square"),
    (GREEN, "up"),
    (RED, "down"),
    (PINK, "diamond"),
    (SKY, "cross"),
)
_BARS = 60
"""More bars than this cannot be read; then turns are drawn as areas."""
_NAME = 30
"""Characters of a name that a legend has room for."""
_POINTS = 2_000
"""A line of more points looks the same with these."""


def usage_chart(source: Source) -> Chart:
    """Tokens of each turn, stacked by what they are."""
    chart = Chart("Tokens by turn", "turn, in order", "tokens", whole_x=True)
    usage = usage_table(source, "turn").dropna(subset=["total_tokens"])
    if not len(usage):
        return replace(chart, nothing="no metered model calls")
    reasoning = usage["reasoning_tokens"].fillna(0)
    cached = usage["cache_read_tokens"].fillna(0)
    usage = usage.assign(
        answer=usage["output_tokens"].fillna(0) - reasoning,
        uncached_input_tokens=usage["input_tokens"].fillna(0) - cached,
    )
    sessions = session_names(source)
    names = [
        f"{sessions[session]} turn {turn}"
        for session, turn in zip(usage["session_id"], usage["turn_id"].astype(str), strict=True)
    ]
    kind: Kind = "bar" if len(usage) <= _BARS else "area"
    places = _floats(range(1, len(usage) + 1))
    base = (0.0,) * len(usage)
    series: list[Series] = []
    for column, label, colour, pattern in _PARTS:
        heights = _floats(usage[column].fillna(0))
        if any(heights):
            part = Series(
                label, kind, colour, places, heights, base, text=tuple(names), pattern=pattern
            )
            series.append(part)
            base = part.top
    bounds = usage["tokens_are_lower_bound"].fillna(value=False).to_numpy(dtype=bool)
    low = [number for number, bound in enumerate(bounds) if bound]
    if low:
        series.append(
            Series(
                "at least this",
                "points",
                RED,
                tuple(places[n] for n in low),
                tuple(base[n] for n in low),
                text=tuple(names[n] for n in low),
                mark="up",
            )
        )
    return replace(chart, series=tuple(series), x_range=(0.3, len(usage) + 0.7))


def latency_chart(source: Source) -> Chart:
    """Which share of turns, first pieces of answers and tools took how long."""
    chart = Chart("Latency", "seconds (logarithmic)", "share that is as fast", log_x=True)
    turns, tools = source.frame("turns"), source.frame("tool_calls")
    series: list[Series] = []
    of = (
        ("first piece of the answer", turns["ttft"]),
        ("whole turn", turns["duration"]),
        ("tool", tools["duration"]),
    )
    for (label, durations), (colour, mark) in zip(of, _LINES, strict=False):
        seconds = sorted(value for value in durations.dropna().dt.total_seconds() if value > 0)
        if seconds:
            shares = [(place + 1) / len(seconds) for place in range(len(seconds))]
            name = f"{label} ({len(seconds)})"
            x, y = _floats(_thin(seconds)), _floats(_thin(shares))
            series.append(Series(name, "step", colour, x, y, mark=mark))
    if not series:
        return replace(chart, nothing="no durations are known")
    return replace(chart, series=tuple(series), y_range=(0.0, 1.02), guides=(0.5, 0.9))


def context_chart(source: Source, most: int = 5) -> Chart:
    """Return the length of the prompt per model call, one line per trajectory.

    Args:
        source: Tables.
        most: Trajectories with a colour: those with the longest prompts; the others stay pale.
    """
    import numpy as np

    chart = Chart("Context", "model call of the trajectory", "prompt, tokens", whole_x=True)
    calls = source.frame("model_calls").dropna(subset=["input_tokens"])
    calls = calls[calls["tool"].isna()]
    if not len(calls):
        return replace(chart, nothing="no metered model calls")
    keys = ["session_id", "agent_id", "trajectory_id"]
    codes = calls.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()
    order = np.argsort(codes, kind="stable")
    prompts = calls["input_tokens"].to_numpy(dtype="float64")[order]
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    ends = np.append(starts[1:], len(prompts))
    places = np.arange(len(prompts)) - np.repeat(starts, ends - starts) + 1.0
    chosen = np.argsort(-np.maximum.reduceat(prompts, starts), kind="stable")
    chosen = chosen[: min(most, len(_LINES))]
    about = calls.iloc[order[starts[chosen]]]
    several = len(set(calls["session_id"])) > 1
    names = _names_of_lines(about, session_names(source), several=several)
    lines = [
        Series(
            name, "line", colour,
            _floats(_thin(places[starts[group] : ends[group]].tolist())),
            _floats(_thin(prompts[starts[group] : ends[group]].tolist())),
            mark=mark,
        )
        for group, name, (colour, mark) in zip(chosen, names, _LINES, strict=False)
    ]  # fmt: skip
    others = len(starts) - len(chosen)
    if not others:
        return replace(chart, series=tuple(lines))
    pale = ~np.isin(codes[order], chosen)
    breaks = np.flatnonzero(np.diff(codes[order][pale])) + 1  # one line, with gaps: drawn at once
    x, y = (np.insert(values[pale], breaks, np.nan) for values in (places, prompts))
    below = Series("", "line", PALE, tuple(x.tolist()), tuple(y.tolist()))
    legend = Series(f"{others} more", "line", PALE, (), ())
    return replace(chart, series=(below, *lines, legend))


def _names_of_lines(about: pd.DataFrame, sessions: dict[str, str], *, several: bool) -> list[str]:
    names: list[str] = []
    for row in about.to_dict("records"):
        who = f"agent {row['agent_id']}"
        if row["depth"]:
            who = f"subagent {str(row['trajectory_id'])[:6]}"
        names.append(f"{who} of {short(sessions[row['session_id']])}" if several else who)
    counts = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return [
        name if count == 1 else f"{name} ({count})"
        for name, count in zip(names, counts, strict=True)
    ]


def short(name: str) -> str:
    """Shorten a name to its begin and its end."""
    return name if len(name) <= _NAME else f"{name[: _NAME // 2]}…{name[-_NAME // 2 :]}"


def _thin(values: Sequence[Any]) -> Sequence[Any]:
    """Every so many values, and the last one."""
    step = -(-len(values) // _POINTS)
    return values if step <= 1 else [*values[:-1:step], values[-1]]


def _floats(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
