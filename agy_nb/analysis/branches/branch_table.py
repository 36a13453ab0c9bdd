"""The tree of agents: who was forked from whom, and what each branch took."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["session_id", "agent_id"]
COLUMNS = [
    *KEYS, "parent_agent_id", "forked_after_turn", "depth", "n_turns", "n_abandoned",
    "total_tokens", "cost_usd", "status",
]  # fmt: skip


def branch_table(agents: pd.DataFrame, turns: pd.DataFrame, usage: pd.DataFrame) -> pd.DataFrame:
    """Return one row per agent, each parent before its children.

    Args:
        agents: The table of agents.
        turns: The table of turns.
        usage: Tokens and cost per session and agent.
    """
    import pandas as pd

    per_agent = turns.groupby(KEYS, observed=True)
    counts = pd.DataFrame(
        {
            "n_turns": per_agent.size(),
            "n_abandoned": per_agent["abandoned"].sum(),
            "status": per_agent["status"].last(),
        }
    ).reset_index()
    found = agents[[*KEYS, "parent_agent_id", "forked_after_turn"]]
    found = found.merge(counts, on=KEYS, how="left")
    found = found.merge(usage[[*KEYS, "total_tokens", "cost_usd"]], on=KEYS, how="left")
    for name in ("n_turns", "n_abandoned", "total_tokens"):
        found[name] = found[name].astype("Int64").fillna(0)
    order, depths = _ordered(found)
    found = found.iloc[order].reset_index(drop=True)
    found["depth"] = pd.array(depths, dtype="Int64")
    return found[COLUMNS]


def _ordered(agents: pd.DataFrame) -> tuple[list[int], list[int]]:
    """Return the rows in the order of the tree, and how deep each is."""
    import pandas as pd

    rows = list(
        zip(agents["session_id"], agents["agent_id"], agents["parent_agent_id"], strict=True)
    )
    known = {(session, agent) for session, agent, _ in rows}
    children: dict[tuple[str, int], list[int]] = {}
    roots = []
    for place, (session, agent, parent) in enumerate(rows):
        above = None if pd.isna(parent) else (session, int(parent))
        if above is None or above == (session, agent) or above not in known:
            roots.append(place)
        else:
            children.setdefault(above, []).append(place)
    order: list[int] = []
    depths: list[int] = []
    stack = [(place, 0) for place in reversed(roots)]
    while stack:
        place, depth = stack.pop()
        order.append(place)
        depths.append(depth)
        session, agent, _ = rows[place]
        stack += [(child, depth + 1) for child in reversed(children.get((session, agent), ()))]
    return order, depths
