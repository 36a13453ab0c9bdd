"""Builds rows of one agent: its turns and trajectories."""

from __future__ import annotations

from typing import Any

from agy_nb.analysis.builders.open_rows import OpenTrajectoryRow, OpenTurnRow
from agy_nb.analysis.builders.step_builder import StepBuilder
from agy_nb.analysis.builders.subagent_types import SubagentTypes
from agy_nb.analysis.builders.tool_builder import RowSink
from agy_nb.analysis.live.configured_models import ConfiguredModels
from agy_nb.protocol.events import MOST_ABANDONED, TurnsAbandoned


class AgentBuilder(StepBuilder):
    """Builds the rows of one agent of a session.

    Attributes:
        model: Its own model, None where it is not known.
        model_source: How that is known.
        requested_tier: Service tier that it asks for.
        subagents: Its subagents.
    """

    def __init__(self, session: RowSink, agent_id: int, at: float | None) -> None:
        super().__init__(session, agent_id)
        self.model: str | None = None
        self.model_source: str = "config"
        self.requested_tier: str | None = None
        self.subagents: SubagentTypes = SubagentTypes()
        self.baseline: int | None = None
        self.reported: int | None = None
        self._turns = 0
        self._turn_rows: dict[int, int] = {}
        self._abandoned_rows: dict[int, int] = {}
        self._opened_at: float | None = None
        self._row = self._columns["agents"].add(
            {**self._ids, "state": "running", "created_at": at, "resumed": False}
        )
        self.seen(at)

    def configure(self, models: ConfiguredModels) -> None:
        """Set the models of the agent and of its subagents."""
        self.model, self.model_source = models.model, models.source
        self.requested_tier, self.subagents.models = models.service_tier, models.subagents

    def about(self, **values: Any) -> None:
        """Note more facts about the agent."""
        self._columns["agents"].put(self._row, values)

    def abandon(self, note: TurnsAbandoned) -> None:
        """Mark the turns that the agent left by going back, and unmark those that it restored."""
        left, restored = self.session.tree.rewind(self.agent_id, note)
        if self.session.is_live:  # here the runtime's numbers are known, also of unsent turns
            left = _moved(note.turn_ids, self._turn_rows, self._abandoned_rows)
            restored = _moved(note.restored_turn_ids, self._abandoned_rows, self._turn_rows)
        for row in left:
            self._columns["turns"].put(row, {"abandoned": True})
        for row in restored:
            self._columns["turns"].put(row, {"abandoned": False})
        branch = self.session.tree.branches.get(self.agent_id)
        if branch is not None and branch.rewound:
            self.about(parent_agent_id=branch.parent, forked_after_turn=branch.after_turn)

    # -- turns -------------------------------------------------------------------------------

    def begin_turn(
        self,
        at: float | None,
        *,
        turn_id: int | None = None,
        prompt: str | None = None,
        kind: str = "prompt",
    ) -> OpenTurnRow:
        """Begin a turn whose prompt was sent; a turn that still runs is left as it is."""
        if self.turn is not None:
            self.turn.sync(self._columns)
        for thread in self.threads.values():
            for step in thread.next_turn():
                self._sync_step(step)
        self._forget_calls()
        number = self.session.number("turns") + 1
        chars = None if prompt is None else len(prompt)
        self.turn = OpenTurnRow(turn_id or number, at)
        self.turn.row = self._columns["turns"].add(
            {
                **self._ids,
                "turn_id": self.turn.turn_id,
                "turn_index": self._turns,
                "kind": kind,
                "prompt_chars": chars,
                "status": "running",
                "abandoned": False,
                "started_at": at,
            }
        )
        self._turns += 1
        if self.session.is_live:
            self._turn_rows[self.turn.turn_id] = self.turn.row
            if len(self._turn_rows) > MOST_ABANDONED:
                del self._turn_rows[next(iter(self._turn_rows))]
        else:
            self.session.tree.turn(self.agent_id, self.turn.row)
        self.seen(at)
        self.turn_asks(at)
        if prompt and kind == "prompt":  # what a trigger says is a message of the harness
            self.turn.message = self._message("user", at, chars, prompt)
        return self.turn

    def prompted(self, prompt: str | None, kind: str) -> None:
        """Note that the running turn's prompt reached the harness; its text may be known."""
        turn = self.turn
        if turn is None:
            return
        turn.prompted = True
        self._columns["turns"].put(turn.row, {"kind": kind})
        if prompt is not None and turn.message is None:
            self._columns["turns"].put(turn.row, {"prompt_chars": len(prompt)})
            if prompt and kind == "prompt":
                turn.message = self._message("user", turn.started, len(prompt), prompt)

    def opened(self, at: float | None, conversation_id: str | None, *, resumed: bool) -> None:
        """Note that the harness opened a conversation, at first or again after a failure."""
        if self._opened_at is None:
            self._opened_at = at
            self.about(created_at=at, resumed=resumed)
        self.about(conversation_id=conversation_id, state="running", closed_at=None)

    def started(self, at: float | None) -> None:
        """Note that the queued turn has begun."""
        if self.turn is not None:
            self.turn.started = at
            self.turn_asks(at)
            self._columns["turns"].put(self.turn.row, {"started_at": at})
            if self.turn.message is not None:
                self._columns["messages"].put(self.turn.message, {"at": at})
        self.seen(at)

    def side_turn(
        self,
        turn_id: int,
        prompt: str | None,
        at: float | None,
        status: str,
        error: str | None,
        kind: str = "prompt",
    ) -> None:
        """Add a turn that ended without running, while another turn runs."""
        self.session.number("turns")
        self._columns["turns"].add(
            {
                **self._ids,
                "turn_id": turn_id,
                "turn_index": self._turns,
                "kind": kind,
                "prompt_chars": None if prompt is None else len(prompt),
                "response_chars": 0,
                "status": status,
                "abandoned": False,
                "error_type": error,
                "ended_at": at,
                "n_model_calls": 0,
                "n_requests": 0,
                "n_refused": 0,
                "n_usage_unknown": 0,
                "n_tool_calls": 0,
                "n_errors": int(error is not None),
            }
        )
        self._turns += 1
        self.seen(at)

    def end_turn(
        self,
        at: float | None,
        status: str | None,
        *,
        stop_reason: str | None = None,
        error_type: str | None = None,
        http_code: int | None = None,
    ) -> None:
        """End the turn."""
        turn = self.turn
        if turn is None:
            return
        self.seen(at)
        turn.end(at, status, stop_reason, error_type, http_code)
        if status in ("cancelled", "timeout"):
            self.halted(at)
        elif status in ("ok", "error"):
            for thread in self.threads.values():
                if not thread.depth:
                    self.at_rest(thread, at)
        turn.sync(self._columns)
        self.turn = None

    # -- trajectories ------------------------------------------------------------------------

    def thread(
        self, thread_id: str, at: float | None, parent: str | None = None, depth: int | None = None
    ) -> OpenTrajectoryRow:
        """Return a trajectory; begin a new one. An empty id is that of the agent's own."""
        thread = self.threads.get(thread_id)
        if thread is None:
            parent = parent or None
            known = depth if depth is not None else (1 if parent else 0)
            thread = OpenTrajectoryRow(thread_id, parent, known, at)
            thread.tier = self.requested_tier
            if known:
                self._set_model(thread)
            else:
                source = "unknown" if self.model is None else self.model_source
                thread.model, thread.model_source = self.model, source
            thread.row = self._columns["trajectories"].add(
                {
                    **self._ids,
                    "trajectory_id": thread_id,
                    "turn_id": self.turn_id,
                    "state": "unknown",
                }
            )
            self.threads[thread_id] = thread
            if not known and self.turn is not None:
                self.request_due(thread, self.turn.started)
        elif parent and thread.parent is None:
            thread.parent, thread.depth = parent, depth or 1
            self._set_model(thread)
        thread.last = at if at is not None else thread.last
        self.seen(at)
        return thread

    def _set_model(self, thread: OpenTrajectoryRow) -> None:
        parent = self.threads.get(thread.parent or "")
        inherited = self.model if parent is None or not parent.depth else parent.model
        thread.model, thread.model_source = self.subagents.model_of(thread.subagent, inherited)

    def subagent_began(self, thread: OpenTrajectoryRow, message: str) -> None:
        """Take the first message of a subagent, which shows its type."""
        thread.subagent = self.subagents.began(thread.id, message)
        self._set_model(thread)

    def name_subagents(self) -> dict[str, OpenTrajectoryRow]:
        """Find the types of subagents by all calls so far, and return those with a new type."""
        found = {}
        for name, type_ in self.subagents.found_later().items():
            thread = self.threads[name]
            if thread.subagent != type_:
                thread.subagent = type_
                self._set_model(thread)
                found[name] = thread
        return found

    # -- the end -----------------------------------------------------------------------------

    def close(self, at: float | None, state: str = "closed") -> None:
        """Close the agent."""
        self.about(state=state, closed_at=at)
        self.seen(at)

    def sync(self) -> None:
        """Write open rows into the columns."""
        for thread in self.threads.values():
            for step in thread.open_steps():
                self._sync_step(step)
            thread.sync(self._columns)
        if self.turn is not None:
            self.turn.sync(self._columns)
        self.about(
            model=self.model,
            n_turns=self._turns,
            baseline_total_tokens=self.baseline,
            reported_total_tokens=self.reported,
        )


def _moved(turn_ids: tuple[int, ...], rows: dict[int, int], to: dict[int, int]) -> list[int]:
    """Move the rows of these turns from one mapping to another; return the rows."""
    known = [turn_id for turn_id in turn_ids if turn_id in rows]
    to.update((turn_id, rows.pop(turn_id)) for turn_id in known)
    return [to[turn_id] for turn_id in known]
