"""Turns that several recordings hold: count each once.

Recordings overlap if a conversation was saved after each turn, a folder was copied, or a cassette
and the harness's own log are loaded together. A turn is the same in two recordings if it belongs to
the same conversation and began at the same moment with a prompt of the same length. The harness's
log has whole seconds only. Branches of a conversation began at other moments, so they all count.

The recording with the most requests keeps the turn; of equal ones, a cassette, and then the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_TURN = ["session_id", "turn_id"]
_SAME = ["conversation_id", "started_at", "prompt_chars"]
_SECONDS = 2


def drop_duplicates(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables without the turns that another recording holds, too.

    Args:
        tables: All tables of some recordings.

    Returns:
        New tables. `problems` has a row for each recording that lost turns.
    """
    twins = _twins(tables)
    if not len(twins):
        return dict(tables)
    turns = tables["turns"]
    lost = turns.merge(twins[_TURN], on=_TURN)
    rest = turns.merge(twins[_TURN], on=_TURN, how="left", indicator=True)
    kept = rest[rest["_merge"].eq("left_only")]
    agents = ["session_id", "agent_id"]
    gone = lost[agents].drop_duplicates()
    gone = gone[~_rows_of(gone, kept[agents])]
    found = {}
    for name, table in tables.items():
        drop = _rows_of(table, twins[_TURN]) if "turn_id" in table else None
        if name == "trajectories" or drop is None:
            drop = _rows_of(table, gone) if "agent_id" in table else None
        elif "agent_id" in table:
            drop = drop | _rows_of(table, gone)
        found[name] = table if drop is None else table[~drop].reset_index(drop=True)
    empty = set(gone["session_id"]) - set(found["agents"]["session_id"])
    sessions = found["sessions"]
    found["sessions"] = _counted(sessions[~sessions["session_id"].isin(empty)], found)
    found["problems"] = _with_problems(tables, twins)
    return found


def has_duplicates(read: Callable[[str], pd.DataFrame]) -> bool:
    """Return whether several recordings hold a turn.

    Args:
        read: Returns a table by its name.
    """
    agents = read("agents")[["session_id", "conversation_id"]].dropna().drop_duplicates()
    if agents["conversation_id"].is_unique:
        return False  # which is so nearly always, and is known without the turns
    return bool(len(_twins({name: read(name) for name in ("agents", "sessions", "turns")})))


def _rows_of(table: pd.DataFrame, keys: pd.DataFrame) -> Any:
    """Select the rows of a table that have one of some keys."""
    columns = list(keys.columns)
    return table.set_index(columns).index.isin(keys.set_index(columns).index)


def _twins(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the turns to drop, each with the session that keeps it."""
    import pandas as pd

    agents = tables["agents"][["session_id", "agent_id", "conversation_id"]]
    sources = tables["sessions"][["session_id", "source"]]
    turns = tables["turns"][[*_TURN, "agent_id", "started_at", "prompt_chars", "n_requests"]]
    turns = turns.merge(agents, on=["session_id", "agent_id"]).merge(sources, on="session_id")
    turns = turns.dropna(subset=["conversation_id", "started_at"])
    several = turns.groupby("conversation_id")["session_id"].transform("nunique") > 1
    turns = turns[several].assign(logged=turns["source"].eq("conversation"))
    # The fullest one is first; sorting is stable, so that of equal ones the first stays so.
    turns = turns.sort_values(["logged", "n_requests"], ascending=[True, False], kind="stable")
    turns["keeper"] = turns.groupby(_SAME, dropna=False)["session_id"].transform("first")
    same = turns[turns["keeper"] != turns["session_id"]]
    from_logs = _logged(turns[turns["keeper"] == turns["session_id"]])
    return pd.concat([same, from_logs])[[*_TURN, "keeper"]].drop_duplicates(_TURN)


def _logged(turns: pd.DataFrame) -> pd.DataFrame:
    """Return the turns of the harness's logs that a cassette has, with whole seconds."""
    import pandas as pd

    cassettes = turns[~turns["logged"]].drop(columns="keeper")
    logs = turns[turns["logged"]]
    pairs = logs.merge(
        cassettes, on=["conversation_id", "prompt_chars"], suffixes=("", "_of_cassette")
    )
    apart = (pairs["started_at"] - pairs["started_at_of_cassette"]).abs()
    near = pairs[apart <= pd.Timedelta(seconds=_SECONDS)]
    return near.assign(keeper=near["session_id_of_cassette"])


def _counted(sessions: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    calls = tables["model_calls"]
    counts = {
        "n_agents": tables["agents"],
        "n_turns": tables["turns"],
        "n_model_calls": calls[calls["status"].eq("metered")],
    }
    sessions = sessions.reset_index(drop=True)
    for name, table in counts.items():
        sizes = sessions["session_id"].map(table.groupby("session_id").size()).fillna(0)
        sessions[name] = sizes.astype("Int64")
    return sessions


def _with_problems(tables: Mapping[str, pd.DataFrame], twins: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    problems = tables["problems"]
    names = tables["sessions"].set_index("session_id")
    numbers = problems.groupby("session_id").size()
    added = [
        {
            "session_id": session,
            "problem_index": int(numbers.get(session, 0)) + place,
            "path": names["path"].get(session),
            "problem": "duplicate_session",
            "detail": _detail(len(rows), names["path"].get(keeper)),
        }
        for session, mine in twins.groupby("session_id")
        for place, (keeper, rows) in enumerate(mine.groupby("keeper"))
    ]
    new = pd.DataFrame(added, columns=list(problems.columns)).astype(problems.dtypes.to_dict())
    return pd.concat([problems, new], ignore_index=True)


def _detail(count: int, keeper: object) -> str:
    turns = "1 turn is" if count == 1 else f"{count:,} turns are"
    return f"{turns} also in {keeper}, and counted there"
