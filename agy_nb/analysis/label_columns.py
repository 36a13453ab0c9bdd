"""Labels as columns: those of agents and recordings, and those that you add to loaded sessions.

The tables `sessions` and `agents` have labels as JSON. If there is one, each table has a column per
label: that of the agent of a row, else that of its session. A session has the labels that all its
agents share.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from agy_nb.analysis.schema import TABLES
from agy_nb.errors import InvalidInputError
from agy_nb.protocol.labels import readable_labels

if TYPE_CHECKING:
    import pandas as pd

Reader: TypeAlias = "Callable[[str], pd.DataFrame]"

_COLUMNS = frozenset(name for table in TABLES.values() for name in table.names)
_KEYS = frozenset({"turn", "trajectory", "agent", "session", "hour", "day", "week", "month"})
_AGENT = ["session_id", "agent_id"]


def column_of(label: str) -> str:
    """Return the column of a label; a column of the tables stays as it is."""
    return f"label_{label}" if label in _COLUMNS or label in _KEYS else label


def encoded(labels: Mapping[str, str]) -> str | None:
    """Return labels as in the column `labels`; None if there are none."""
    return json.dumps(labels, ensure_ascii=False, sort_keys=True) if labels else None


def with_recorded_labels(read: Reader, name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a column for each label of its agents and sessions.

    Args:
        read: Returns tables.
        name: Name of the table.
        table: The table.
    """
    if "session_id" not in table:
        return table
    sessions = table if name == "sessions" else read("sessions")
    agents = table if name == "agents" else read("agents")
    if not (sessions["labels"].notna().any() or agents["labels"].notna().any()):
        return table
    of_sessions, of_agents = _decoded(sessions, ["session_id"]), _decoded(agents, _AGENT)
    added = {}
    for label in sorted({*of_sessions.columns, *of_agents.columns} - {*_AGENT}):
        if column_of(label) in table:
            continue  # from `with_labels`
        known = _known(label, of_sessions, of_agents, agents)
        values = table["session_id"].map(known).astype("string")
        if "agent_id" in table and label in of_agents:
            own = table[_AGENT].merge(of_agents[[*_AGENT, label]], on=_AGENT, how="left")[label]
            own = own.set_axis(table.index)
            of_session = table["session_id"].map(_known(label, of_sessions, None, agents))
            own = own.astype("string").fillna(of_session.astype("string"))
            values = own.where(table["agent_id"].notna(), values)
        added[column_of(label)] = values
    return table.assign(**added)


def _decoded(table: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return the labelled rows of a table: the key, and a column per label."""
    import pandas as pd

    rows = table.loc[table["labels"].notna(), [*key, "labels"]].reset_index(drop=True)
    labels = [_labels(text) for text in rows["labels"]]
    return pd.concat([rows[key], pd.DataFrame(labels, dtype="string")], axis=1)


def _labels(text: str) -> dict[str, str]:
    try:
        return readable_labels(json.loads(text))
    except ValueError:
        return {}


def _known(
    label: str, of_sessions: pd.DataFrame, of_agents: pd.DataFrame | None, agents: pd.DataFrame
) -> dict[str, str]:
    """Return a label by session: that of the session, else the one that all its agents share."""
    found: dict[str, str] = {}
    if of_agents is not None and label in of_agents:
        every = agents[_AGENT].merge(of_agents[[*_AGENT, label]], on=_AGENT, how="left")
        groups = every.groupby("session_id")[label]
        is_shared = groups.nunique(dropna=False).eq(1)
        shared = groups.first()[is_shared].dropna()
        found |= dict(zip(shared.index, shared, strict=True))
    if label in of_sessions:
        own = of_sessions[["session_id", label]].dropna()
        found |= dict(zip(own["session_id"], own[label], strict=True))
    return found


def labelled(read: Reader, labels: Any) -> Reader:
    """Return a reader with labels as columns of every table; see `Tables.with_labels`.

    Raises:
        InvalidInputError: The labels name no session column, or a column of the tables.
    """
    import pandas as pd

    if isinstance(labels, pd.DataFrame):
        table = labels
    elif isinstance(labels, Mapping) and all(isinstance(each, Mapping) for each in labels.values()):
        rows = [{"session_name": name, **values} for name, values in labels.items()]
        table = pd.DataFrame(rows, columns=None if rows else ["session_name"])
    else:
        raise InvalidInputError(
            "labels must be a DataFrame, or a mapping of sessions to mappings such as "
            f'{{"monday": {{"user": "ada"}}}}; got {str(labels)[:80]!r}',
            field="labels",
        )
    key = next((name for name in ("session_id", "session_name") if name in table), None)
    if key is None:
        raise InvalidInputError("labels need a column session_id or session_name", field="labels")
    names = [name for name in table.columns if name not in ("session_id", "session_name")]
    for name in names:
        if column_of(str(name)) != name:
            raise InvalidInputError(
                f"{name!r} is a column of the tables; name the label otherwise", field="labels"
            )
    by_session = table.drop_duplicates(key, keep="last").set_index(key)

    def read_labelled(name: str) -> pd.DataFrame:
        found = read(name)
        if "session_id" not in found:
            return found
        ids = (found if name == "sessions" else read("sessions"))[["session_id", "session_name"]]
        rows = found[["session_id"]].merge(ids.drop_duplicates("session_id"), how="left")
        added = {}
        for label in names:
            values = rows[key].map(by_session[label])
            if key == "session_name":  # a mapping may also name ids
                values = values.fillna(rows["session_id"].map(by_session[label]))
            values = values.set_axis(found.index)
            added[label] = values.fillna(found[label]) if label in found else values
        return found.assign(**added)

    return read_labelled
