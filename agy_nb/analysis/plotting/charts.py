"""What plots show, before anything is drawn: series of numbers, with names, colours and units.

Rule 1: what a chart shows is worked out once; Matplotlib and Plotly only draw it.
Rule 2: the colours suit colour-blind readers (Okabe and Ito), and nothing is shown by
colour alone: areas have patterns, lines have marks.
Rule 3: unknown values are not drawn; a chart without values shows a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agy_nb.analysis.metrics.groups import Source, session_names
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.turn_numbers import whole_number

if TYPE_CHECKING:
    import pandas as pd

BLUE, ORANGE, GREEN, RED, SKY, PINK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
)  # fmt: skip
PALE = "#999999"

Kind: TypeAlias = Literal["bar", "steps", "line", "step", "points", "span"]
Mark: TypeAlias = Literal["", "circle", "square", "up", "down", "diamond", "cross"]
Pattern: TypeAlias = Literal["", "/", "\\", ".", "x", "-"]


@dataclass(frozen=True, slots=True)
class Series:
    """Data in one colour.

    Attributes:
        name: Its line in the legend; empty for one without.
        kind: How it is drawn. A span is a horizontal bar: from `x`, `length` long, in the row `y`.
            Steps are many bars without gaps.
        colour: As `#RRGGBB`.
        x: Places on the axis that goes across.
        y: Values; heights of bars and areas.
        base: Where bars and areas begin; 0 when empty.
        length: Of spans.
        text: A word for each point, empty when there is none.
        mark: Of points, and here and there on lines.
        pattern: Of bars, steps and spans.
        width: Of bars.
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
    width: float = 0.8

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
        guides: Shares on the axis `y` that get a faint line, such as 0.9 for the 90th percentile.
        dividers: Values of `x` that get a faint line, such as those between sessions.
        time_x: Whether `x` is a time: seconds since 1970, as local clocks show them.
        money_y: Whether `y` is in US dollars.
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
    dividers: tuple[float, ...] = ()
    time_x: bool = False
    money_y: bool = False
    nothing: str = ""

    @property
    def shortest(self) -> float:
        """A span that is shorter is drawn as long as this, to be seen."""
        return 0.003 * (self.x_range[1] - self.x_range[0]) if self.x_range else 0.0

    @property
    def few_places(self) -> list[float]:
        """Places with a tick each where few things are counted; empty for many."""
        last = max((max(series.x) for series in self.series if series.x), default=0.0)
        return [float(number) for number in range(1, int(last) + 1)] if last <= _COUNTED else []


LINES: tuple[tuple[str, Mark], ...] = (
    (BLUE, "circle"),
    (ORANGE, "square"),
    (GREEN, "up"),
    (RED, "down"),
    (PINK, "diamond"),
    (SKY, "cross"),
)
_COUNTED = 12
"""Up to so many things have a tick each."""
_NAME = 30
"""Characters of a name that a legend has room for."""
_POINTS = 2_000
"""A line of more points looks the same with these."""


def context_chart(source: Source, most: int = 5) -> Chart:
    """Return the length of the prompt per model call, one line per trajectory.

    Args:
        source: Tables.
        most: Trajectories with a colour: those with the longest prompts, of equal ones those with
            more calls. The others are pale.

    Raises:
        InvalidInputError: `most` is not a number from 0.
    """
    import numpy as np

    if (number := whole_number(most)) is None or number < 0:
        raise InvalidInputError(f"most must be a whole number >= 0, got {most!r}", field="most")
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
    chosen = np.lexsort((starts - ends, -np.maximum.reduceat(prompts, starts)))
    chosen = chosen[: min(most, len(LINES))]
    about = calls.iloc[order[starts[chosen]]]
    several = len(set(calls["session_id"])) > 1
    names = _names_of_lines(about, session_names(source), several=several)
    lines = [
        Series(
            name, "line", colour,
            floats(thin(places[starts[group] : ends[group]].tolist())),
            floats(thin(prompts[starts[group] : ends[group]].tolist())),
            mark=mark,
        )
        for group, name, (colour, mark) in zip(chosen, names, LINES, strict=False)
    ]  # fmt: skip
    last = float(places.max())
    chart = replace(chart, x_range=(1 - max(0.5, last * 0.03), last + max(0.5, last * 0.03)))
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


def in_session(source: Source, table: pd.DataFrame, session_id: str, what: str) -> pd.DataFrame:
    """Return the rows of a session.

    Args:
        source: Tables.
        table: A table with the column `session_id`.
        session_id: Id or name of the session.
        what: The rows, in the words of the error.

    Raises:
        InvalidInputError: The session has no such rows.
    """
    names = table["session_id"].map(session_names(source))
    found = table[table["session_id"].eq(session_id) | names.eq(session_id)]
    if not len(found):
        where = "session_id is an id or a name in the table `sessions`"
        msg = f"session {session_id!r} has no {what}; {where}"
        raise InvalidInputError(msg, field="session_id")
    return found


def short(name: str) -> str:
    """Shorten a name to its begin and its end."""
    return name if len(name) <= _NAME else f"{name[: _NAME // 2]}…{name[-_NAME // 2 :]}"


def thin(values: Sequence[Any]) -> Sequence[Any]:
    """Return at most so many values that a line looks the same, always with the last one."""
    step = -(-len(values) // _POINTS)
    return values if step <= 1 else [*values[:-1:step], values[-1]]


def money_decimals(step: float) -> int:
    """Return the decimals of dollars on an axis with a tick every `step` dollars."""
    if step >= 1:
        return 0
    return max(2, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 2


def floats(values: Iterable[Any]) -> tuple[float, ...]:
    """Return values as plain numbers."""
    return tuple(float(value) for value in values)
