"""A turn on a line of time: which trajectory did what, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agy_nb.analysis.metrics.groups import Source, session_names
from agy_nb.analysis.plotting.charts import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    Chart,
    Pattern,
    Series,
    in_session,
    short,
)
from agy_nb.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

_SPANS: tuple[tuple[str, str, str, str, str, Pattern], ...] = (
    ("started_at", "ended_at", "model", "model works", BLUE, ""),
    ("started_at", "ended_at", "tool", "tool runs", GREEN, "/"),
    ("asked_at", "decided_at", "asked", "waits for the user", ORANGE, "."),
)
"""Of each kind of span: when it begins and ends, its word, its name, its colour, its pattern."""


def timeline_chart(source: Source, turn_id: int | None, session_id: str | None) -> Chart:
    """Return model calls, tools, waits and errors of a turn, one row per trajectory.

    Args:
        source: Tables.
        turn_id: The turn; the longest one when None.
        session_id: Its session; needed where several have a turn of that number.

    Raises:
        InvalidInputError: The turn is unknown, or several turns match.
    """
    import pandas as pd

    turn = _turn(source, turn_id, session_id)
    if turn is None:
        return Chart("Turn", "", "", nothing="no turn")
    title = f"Turn {turn['turn_id']}: {turn['status']}"
    if len(set(source.frame("turns")["session_id"])) > 1:
        title = f"{short(session_names(source)[turn['session_id']])}: t{title[1:]}"
    start, end = turn["started_at"], turn["ended_at"]
    threads = _of(source.frame("trajectories"), turn, agent_only=True)
    steps, tools, waits, calls = (
        _of(source.frame(name), turn)
        for name in ("steps", "tool_calls", "approvals", "model_calls")
    )
    seen = set(steps["trajectory_id"]) | set(calls["trajectory_id"]) | set(tools["trajectory_id"])
    threads = threads[threads["trajectory_id"].isin(seen)].sort_values(["depth", "started_at"])
    rows = {name: float(place) for place, name in enumerate(threads["trajectory_id"])}
    if not rows or str(start) == "NaT":
        return Chart(title, "", "", nothing="nothing is known of this turn's times")
    said = steps[steps["source"].eq("model") & steps["kind"].isin(["text", "thinking", "finish"])]
    timed = calls.dropna(subset=["started_at", "ended_at"])["trajectory_id"]
    said = said[~said["trajectory_id"].isin(timed)]  # pieces of answers show at least a part
    said = said.rename(columns={"first_at": "started_at", "last_at": "ended_at"})
    columns = ["trajectory_id", "started_at", "ended_at", "model"]
    parts = [part[columns] for part in (calls, said.assign(model="answer")) if len(part)]
    works = pd.concat(parts or [calls[columns]], ignore_index=True)  # pandas 2.2 warns of empty
    waits = waits.assign(asked=waits["tool"].fillna(waits["kind"].astype("string")))
    failed = _of(source.frame("errors"), turn).dropna(subset=["at"])
    failed = failed[failed["trajectory_id"].isin(rows)]
    series = [
        _spans(table, rows, start, *about)
        for table, about in zip((works, tools, waits), _SPANS, strict=True)
    ]
    series.append(
        Series(
            "error",
            "points",
            RED,
            tuple((at - start).total_seconds() for at in failed["at"]),
            tuple(rows[name] + 0.36 for name in failed["trajectory_id"]),
            text=tuple(failed["error_type"].astype("string").fillna("error")),
            mark="cross",
        )
    )
    ends = [at + long for part in series for at, long in zip(part.x, part.length, strict=False)]
    whole = max((end - start).total_seconds() if str(end) != "NaT" else 0.0, *ends, 0.0)
    return Chart(
        title,
        "seconds since the prompt",
        "",
        tuple(part for part in series if part.x),
        rows=tuple(_label(row) for _, row in threads.iterrows()),
        x_range=(0.0, whole * 1.02) if whole else None,
        y_range=(-0.6, len(rows) - 0.4),
    )


def _turn(source: Source, turn_id: int | None, session_id: str | None) -> Any:
    turns = source.frame("turns")
    if session_id is not None:
        turns = in_session(source, turns, session_id, "turns")
    if turn_id is not None:
        turns = turns[turns["turn_id"] == turn_id]
        if len(turns) != 1:
            found = (
                f"several sessions have a turn {turn_id!r}; choose one with session_id="
                if len(turns)
                else f"there is no turn {turn_id!r}; turn_id is a number from the table `turns`"
            )
            raise InvalidInputError(found, field="turn_id")
        return turns.iloc[0]
    known = turns.dropna(subset=["duration"])
    return known.sort_values("duration").iloc[-1] if len(known) else None


def _of(table: pd.DataFrame, turn: Any, *, agent_only: bool = False) -> pd.DataFrame:
    mine = table["session_id"].eq(turn["session_id"]) & table["agent_id"].eq(turn["agent_id"])
    if not agent_only:
        mine &= table["turn_id"].eq(turn["turn_id"]).fillna(value=False)
    return table[mine]


def _spans(
    table: pd.DataFrame,
    rows: dict[str, float],
    start: Any,
    first: str,
    last: str,
    word: str,
    name: str,
    colour: str,
    pattern: Pattern,
) -> Series:
    table = table.dropna(subset=[first, last])
    table = table[table["trajectory_id"].isin(rows)]
    return Series(
        name,
        "span",
        colour,
        tuple((at - start).total_seconds() for at in table[first]),
        tuple(rows[thread] for thread in table["trajectory_id"]),
        length=tuple((table[last] - table[first]).dt.total_seconds()),
        text=tuple(table[word].astype("string").fillna("")),
        pattern=pattern,
    )


def _label(thread: Any) -> str:
    if not thread["depth"]:
        return f"agent {thread['agent_id']}"
    name = thread["subagent"]
    own = thread["trajectory_id"][:6]
    return f"subagent {own}" if str(name) == "<NA>" else f"{short(str(name))} ({own})"
