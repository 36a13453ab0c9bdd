"""Builds rows of one agent: tool calls, approvals and errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol

from agy_nb.analysis.builders.column_buffer import Columns
from agy_nb.analysis.builders.open_rows import OpenTrajectoryRow, OpenTurnRow, span
from agy_nb.wire.summaries.branch_tree import BranchTree

ERROR_CHARS = 500


class RowSink(Protocol):
    """The parts of a session that the builder of an agent uses."""

    columns: Columns
    session_id: str
    tree: BranchTree
    is_live: bool
    chunks: bool
    text: bool
    last: float | None
    n_metered: int

    def number(self, table: str) -> int:
        """Return the next number in a table of this session, from 0."""
        ...

    def seen(self, at: float | None) -> None:
        """Note that something was seen at a moment."""
        ...

    def problem(
        self, problem: str, *, detail: str = "", path: str | None = None, line: int | None = None
    ) -> int:
        """Add a problem: unreadable or inconsistent data. Return its row."""
        ...


class _RunningTool(NamedTuple):
    """A tool call without a result: its row, when it began, its trajectory and its tool."""

    row: int
    began: float | None
    thread: OpenTrajectoryRow
    name: str


class ToolBuilder(ABC):
    """What one agent's tools did, and who was asked about them.

    Attributes:
        session: The builder of its session.
        turn: The turn that runs, None between turns.
    """

    def __init__(self, session: RowSink, agent_id: int) -> None:
        self.session = session
        self.agent_id = agent_id
        self.turn: OpenTurnRow | None = None
        self._columns = session.columns
        self._ids: dict[str, Any] = {"session_id": session.session_id, "agent_id": agent_id}
        self._tools: dict[str, _RunningTool] = {}
        self._ended: dict[str, int] = {}
        self._rows_of_calls: dict[str, int] = {}
        self._rows_before: dict[str, int] = {}
        self._ended_in: int | None = None
        self._last_seen: float | None = None
        self._clock_reported = False
        self._asked: dict[str, tuple[int, float | None, OpenTurnRow | None]] = {}

    def seen(self, at: float | None) -> None:
        """Note that something of the agent was seen at a moment.

        Each agent has a clock of its own here: the frames of agents that run side by side come a
        little out of order.
        """
        if at is None:
            return
        last, session = self._last_seen, self.session
        if last is not None and at >= last:  # nearly always
            self._last_seen = at
            if session.last is not None and at > session.last:
                session.last = at
            return
        if last is None:
            self._last_seen = at
        elif at < last - 1.0 and not self._clock_reported:
            self._clock_reported = True
            detail = f"agent {self.agent_id}: by {last - at:.3f} s; see `duration`"
            self.session.problem("clock_went_back", detail=detail)
        self.session.seen(at)

    @property
    def turn_id(self) -> int | None:
        """Number of the turn that runs."""
        return None if self.turn is None else self.turn.turn_id

    # -- tools -------------------------------------------------------------------------------

    def tool_began(
        self,
        thread: OpenTrajectoryRow,
        key: str,
        at: float | None,
        *,
        tool: str,
        kind: str | None,
        match: str,
        call_id: str | None = None,
        server: str | None = None,
        args: Any = None,
        index: int | None = None,
    ) -> None:
        """Note a tool call; a known call begins again, e.g. when it is allowed."""
        tools = self._columns["tool_calls"]
        known = self._tools.get(key)
        if known is not None:
            self._tools[key] = known._replace(began=at)
            tools.put(known.row, {"started_at": at})
            return
        ended = self._ended.get(key) if self._ended_in == self.turn_id else None
        if ended is not None:  # the step of a quick call can arrive after its result
            tools.put(ended, {"step_index": index})
            return
        row = tools.add(
            {
                **self._ids,
                "tool_index": self.session.number("tool_calls"),
                "turn_id": self.turn_id,
                "trajectory_id": thread.id,
                "step_index": index,
                "tool_call_id": call_id,
                "match": match,
                "tool": tool,
                "kind": kind,
                "server": server or None,
                "args_json": args,
                "status": "running",
                "started_at": at,
            }
        )
        self._tools[key] = _RunningTool(row, at, thread, tool)
        if self._row_of(key) is None:
            thread.unread_results.append(key)
            self._announced(thread, key, at)
        thread.open_calls.add(key)
        self._rows_of_calls[key] = row
        if self.turn is not None:
            self.turn.tools += 1

    def _forget_calls(self) -> None:
        """Keep the rows of the calls of one turn more."""
        self._rows_before, self._rows_of_calls = self._rows_of_calls, {}

    def _row_of(self, key: str) -> int | None:
        row = self._rows_of_calls.get(key)
        return self._rows_before.get(key) if row is None else row

    def tool_step(self, thread: OpenTrajectoryRow, key: str, index: int) -> None:
        """Note that a step runs a tool call.

        The step of a host tool comes before the model call that asked for it is metered, the call
        itself maybe after that. So the step says which model call asked for the tool.
        """
        row = self._row_of(key)
        if row is not None:
            if row >= 0:
                self._columns["tool_calls"].put(row, {"step_index": index})
            return
        self._rows_of_calls[key] = -1  # its row comes with the call
        thread.unread_results.append(key)
        self._announced(thread, key, thread.last)

    def _announced(self, thread: OpenTrajectoryRow, key: str, at: float | None) -> None:
        """Note a new call. If another call is open, both belong to the same answer of the model.

        The harness asks the model after the last result only. It may announce calls of one answer
        after the results of others, and after the usage.
        """
        if not thread.open_calls:
            self.announces(thread, at)
        thread.open_calls.add(key)

    def read_by(self, key: str, call_index: int) -> None:
        """Note that a model call has read the result of a tool call."""
        row = self._row_of(key)
        if row is not None and row >= 0:
            self._columns["tool_calls"].put(row, {"read_by_call": call_index})

    def tool_about(self, key: str, **values: Any) -> None:
        """Note more facts about a tool call."""
        row = self._row_of(key)
        if row is not None and row >= 0:
            self._columns["tool_calls"].put(row, values)

    @abstractmethod
    def announces(self, thread: OpenTrajectoryRow, at: float | None) -> None:
        """Note that an answer of the model calls a tool."""

    @abstractmethod
    def results_read(
        self, thread: OpenTrajectoryRow, at: float | None, tool: str, *, denied: bool
    ) -> None:
        """Note that the model reads the result of a tool next."""

    def running_tools(self) -> list[tuple[str, str]]:
        """Return the trajectories and names of the tools that run."""
        return [(tool.thread.id, tool.name) for tool in self._tools.values()]

    def tool_ended(
        self, key: str, at: float | None, status: str, *, cut: bool = False, **values: Any
    ) -> bool:
        """Note that a tool has answered, or was cut off with its turn.

        Returns:
            Whether the call was known and open.
        """
        open_ = self._tools.pop(key, None)
        if open_ is None:
            return False
        row, began, thread, tool = open_
        thread.open_calls.discard(key)
        if self._ended_in != self.turn_id:
            self._ended.clear()
            self._ended_in = self.turn_id
        self._ended[key] = row
        if not cut:
            self.results_read(thread, at, tool, denied=status == "denied")
        known = {"status": status, "ended_at": at, "duration": span(began, at)}
        self._columns["tool_calls"].put(row, known | values)
        return True

    def has_tool(self, key: str) -> bool:
        """Return whether a tool call is open."""
        return key in self._tools

    def cut_tools(self, at: float | None) -> None:
        """Cut off the tools that still run when their turn is cancelled."""
        for key in tuple(self._tools):
            self.tool_ended(key, at, "cancelled", cut=True)

    # -- approvals and errors ----------------------------------------------------------------

    def asked(self, approval_id: str, thread_id: str, at: float | None, **values: Any) -> None:
        """Note a request for a decision or an answer."""
        row = self._columns["approvals"].add(
            {
                **self._ids,
                "approval_id": approval_id,
                "turn_id": self.turn_id,
                "trajectory_id": thread_id,
                "decision": "pending",
                "asked_at": at,
                **values,
            }
        )
        self._asked[approval_id] = (row, at, self.turn)
        self.seen(at)

    def decided(self, approval_id: str, at: float | None, decision: str, **values: Any) -> None:
        """Close an approval or a question."""
        known = self._asked.pop(approval_id, None)
        if known is None:
            return
        row, asked_at, turn = known
        wait = values.setdefault("wait", None)
        if wait is None:
            values["wait"] = wait = span(asked_at, at)
        if turn is not None and wait is not None:
            turn.wait = (turn.wait or 0.0) + wait
        values |= {"decision": decision, "decided_at": at}
        self._columns["approvals"].put(row, values)
        self.seen(at)

    def error(self, thread_id: str | None, at: float | None, message: str, **values: Any) -> int:
        """Add an error; return its row."""
        if self.turn is not None:
            self.turn.errors += 1
        return self._columns["errors"].add(
            {
                **self._ids,
                "error_index": self.session.number("errors"),
                "turn_id": self.turn_id,
                "trajectory_id": thread_id or None,
                "at": at,
                "message": message[:ERROR_CHARS],
                **values,
            }
        )

    def fatal(self, row: int | None) -> None:
        """Note that an error ended the turn."""
        if row is not None:
            self._columns["errors"].put(row, {"fatal": True})
