"""Draw agents and their forks on a line of turns, with the end of each turn and the cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agy_nb.analysis.metrics.groups import Source, session_names
from agy_nb.analysis.plotting.charts import (
    BLUE,
    ORANGE,
    PALE,
    RED,
    SKY,
    Chart,
    Pattern,
    Series,
    in_session,
    money_decimals,
    short,
)

if TYPE_CHECKING:
    import pandas as pd

_OUTCOMES: tuple[tuple[str, str, Pattern], ...] = (
    ("ok", BLUE, ""),
    ("failed", RED, "x"),
    ("cancelled or denied", ORANGE, "/"),
    ("running", SKY, "."),
    ("abandoned", PALE, "-"),
)
_OUTCOME_OF = {
    "ok": "ok",
    "error": "failed",
    "timeout": "failed",
    "cancelled": "cancelled or denied",
    "denied": "cancelled or denied",
    "running": "running",
}
_GAP = 0.06
"""Space on both sides of a turn, as a part of it."""


def branch_chart(source: Source, tree: pd.DataFrame, session_id: str | None) -> Chart:
    """Return a row per agent, and one below it for the turns that it has abandoned.

    The tables do not say from which of the two a fork parts. It is the row of the agent, unless
    that is too short.

    Args:
        source: Tables.
        tree: The agents, each parent before its children, with their cost.
        session_id: Id or name of the session; the one with most forks when None.

    Raises:
        InvalidInputError: The session is unknown.
    """
    tree = _of_session(source, tree, session_id)
    if not len(tree):
        return Chart("Branches", "", "", nothing="no agent")
    turns = source.frame("turns")
    turns = turns[turns["session_id"].eq(tree["session_id"].iloc[0])]
    rows: list[str] = []
    row_of: dict[int, tuple[int, float]] = {}
    spans: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in _OUTCOMES}
    links: list[Series] = []
    last = 1.0
    for agent in tree.to_dict("records"):
        number, shared = int(agent["agent_id"]), _whole(agent["forked_after_turn"])
        mine = turns[turns["agent_id"].eq(number)].sort_values("turn_index")
        kept, abandoned = _places(mine, shared)
        parent = row_of.get(_whole(agent["parent_agent_id"]))
        if parent is not None:
            row, end = parent
            links.append(_link(shared, row + (shared > end), len(rows)))
        row_of[number] = len(rows), float("inf") if not abandoned else shared + len(kept)
        for place, status in kept:
            spans[_OUTCOME_OF.get(status, "failed")].append((place, len(rows)))
        rows.append(_label(agent))
        if abandoned:
            links.append(_link(abandoned[0], len(rows) - 1, len(rows)))
            spans["abandoned"] += [(place, len(rows)) for place in abandoned]
            rows.append(f"agent {number}, abandoned")
        last = max([last, *(place + 1 for place, _ in kept), *(place + 1 for place in abandoned)])
    series = [_spans(spans[name], name, colour, pattern) for name, colour, pattern in _OUTCOMES]
    return Chart(
        _title(source, tree),
        "turns from the beginning of the conversation",
        "",
        (*links, *(each for each in series if each.x)),
        rows=tuple(rows),
        whole_x=True,
        x_range=(0.0, last + _GAP),
        y_range=(-0.6, len(rows) - 0.4),
    )


def _of_session(source: Source, tree: pd.DataFrame, session_id: str | None) -> pd.DataFrame:
    if session_id is not None:
        found = in_session(source, tree, session_id, "agents")
        return found[found["session_id"].eq(found["session_id"].iloc[0])]
    if not len(tree):
        return tree
    forks = tree.groupby("session_id", sort=False, observed=True)["forked_after_turn"].count()
    return tree[tree["session_id"].eq(str(forks.idxmax()))]


def _places(turns: pd.DataFrame, shared: int) -> tuple[list[tuple[float, str]], list[float]]:
    """Return the places of the kept turns with their status, and those of the abandoned ones.

    A turn is drawn from its place to the next whole number. An agent that goes back begins again
    at the place of the first turn that it has abandoned.
    """
    kept: list[tuple[float, str]] = []
    abandoned: list[float] = []
    since = 0
    for status, is_abandoned in zip(turns["status"], turns["abandoned"], strict=True):
        place = float(shared + len(kept))
        if bool(is_abandoned):
            abandoned.append(place + since)
            since += 1
        else:
            kept.append((place, str(status)))
            since = 0
    return kept, abandoned


def _link(place: float, above: int, below: int) -> Series:
    """Return a line from a row down to the one that parts from it."""
    return Series("", "line", PALE, (float(place), float(place)), (float(above), float(below)))


def _spans(places: list[tuple[float, float]], name: str, colour: str, pattern: Pattern) -> Series:
    return Series(
        name,
        "span",
        colour,
        tuple(place + _GAP for place, _ in places),
        tuple(float(row) for _, row in places),
        length=(1 - 2 * _GAP,) * len(places),
        text=("",) * len(places),
        pattern=pattern,
    )


def _label(agent: Any) -> str:
    cost = agent["cost_usd"]
    if cost is None or cost != cost:  # noqa: PLR0124 - not a number: unknown
        spent = f"{_whole(agent['total_tokens']):,} tokens"
    else:
        spent = f"${cost:,.{max(2, money_decimals(cost) + 1)}f}"
    return f"{'  ' * _whole(agent['depth'])}agent {agent['agent_id']} · {spent}"


def _title(source: Source, tree: pd.DataFrame) -> str:
    names = session_names(source)
    if len(names) < 2:  # noqa: PLR2004 - then there is nothing to tell apart
        return "Branches"
    return f"{short(names[tree['session_id'].iloc[0]])}: branches"


def _whole(value: Any) -> int:
    """Return a number, 0 if it is unknown."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
