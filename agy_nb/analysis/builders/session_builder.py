"""Builds the tables of one session from its events.

`from_events` reports each event to a `SessionBuilder`, so that
one session has one set of tables. Open items (the running turn, its steps) are kept
outside the columns and written there by `sync`.

Rule 1: the cost of an event does not depend on the number of earlier events.
Rule 2: an event never removes a row or changes its key; only open rows are written again. A
complete recording may get other rows of model calls, from its HTTP requests.
Rule 3: a clock that went back gives an unknown duration, never a negative one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agy_nb.analysis.builders.agent_builder import AgentBuilder
from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.open_rows import span
from agy_nb.wire.summaries.branch_tree import BranchTree


class SessionBuilder:
    """Builds the rows of one session.

    Args:
        columns: Target of the rows; several sessions can share them.
        session_id: The session.
        chunks: Whether to keep a row for each piece of text.
        text: Whether to keep texts.

    Attributes:
        agents: Builders of its agents, by number; in a live session only of running agents.
        n_metered: Number of its metered model calls.
        tree: How its agents branch.
        is_live: Whether it is the session of a runtime, not a recording.
    """

    def __init__(
        self,
        columns: Columns,
        session_id: str,
        *,
        chunks: bool = False,
        text: bool = False,
        **about: Any,
    ) -> None:
        self.columns = columns
        self.session_id = session_id
        self.chunks = chunks
        self.text = text
        self.agents: dict[int, AgentBuilder] = {}
        self.n_metered = 0
        self.first: float | None = None
        self.last: float | None = None
        self.tree: BranchTree = BranchTree()
        self.is_live: Any = about.get("source") == "live"
        self._numbers: dict[str, int] = {}
        self._path: str | None = about.get("path")
        self._first_rows: dict[str, int] = {}
        if about.get("source") == "cassette":  # whose rows can be corrected at the end
            self._first_rows = {name: rows.end for name, rows in columns.tables.items()}
        self._row = columns["sessions"].add({"session_id": session_id, **about})

    def number(self, table: str) -> int:
        """Return the next number in a table of this session, from 0."""
        number = self._numbers.get(table, 0)
        self._numbers[table] = number + 1
        return number

    def agent(self, agent_id: int, at: float | None = None) -> AgentBuilder:
        """Return the builder of an agent, and create it if needed."""
        builder = self.agents.get(agent_id)
        if builder is None:
            self.number("agents")
            builder = self.agents[agent_id] = AgentBuilder(self, agent_id, at)
        return builder

    def forget(self, agent_id: int) -> None:
        """End an agent: keep its rows only."""
        builder = self.agents.pop(agent_id, None)
        if builder is not None:
            builder.sync()
        if self.is_live:
            self.tree.forget(agent_id)

    def seen(self, at: float | None) -> None:
        """Note that something was seen at a moment."""
        if at is None:
            return
        if self.first is None or self.last is None:
            self.first = self.last = at
        elif at > self.last:
            self.last = at
        elif at < self.first:
            self.first = at

    def problem(
        self, problem: str, *, detail: str = "", path: str | None = None, line: int | None = None
    ) -> int:
        """Add a problem: unreadable or inconsistent data. Return its row."""
        return self.columns["problems"].add(
            {
                "session_id": self.session_id,
                "problem_index": self.number("problems"),
                "path": path or self._path,
                "problem": problem,
                "line": line,
                "detail": detail,
            }
        )

    def command(self, **values: Any) -> None:
        """Record a command of the protocol that was answered."""
        self.columns["commands"].add(
            {"session_id": self.session_id, "command_index": self.number("commands"), **values}
        )

    def about(self, **values: Any) -> None:
        """Note more facts about the session itself."""
        self.columns["sessions"].put(self._row, values)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of this session in a table; only while no other session adds rows."""
        return self.columns[table].tail(self._first_rows[table])

    def update(self, table: str, place: int, values: Mapping[str, Any]) -> None:
        """Change a row of this session; `place` is that of `rows`."""
        self.columns[table].put(self._first_rows[table] + place, values)

    def replace(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the rows of this session in a table."""
        target = self.columns[table]
        target.cut(self._first_rows[table])
        for row in rows:
            target.add(row)

    def sync(self) -> None:
        """Write open rows into the columns."""
        for agent in self.agents.values():
            agent.sync()
        self.about(
            started_at=self.first,
            ended_at=self.last,
            duration=span(self.first, self.last),
            n_agents=self._numbers.get("agents", 0),
            n_turns=self._numbers.get("turns", 0),
            n_model_calls=self.n_metered,
        )
