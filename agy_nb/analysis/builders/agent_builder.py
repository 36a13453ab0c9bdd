"""Builds rows of one agent: turns, trajectories, steps, messages and model calls."""

from __future__ import annotations

from typing import Any

from agy_nb.analysis.builders.open_rows import OpenStepRow, OpenTrajectoryRow, OpenTurnRow, span
from agy_nb.analysis.builders.token_counts import TokenColumns
from agy_nb.analysis.builders.tool_builder import RowSink, ToolBuilder

_STEP = (
    "session_id", "agent_id", "trajectory_id", "step_index", "turn_id", "kind", "source", "target",
    "state", "tool", "text_chars", "thinking_chars", "n_updates", "http_code", "first_at",
    "last_at", "duration",
)  # fmt: skip
_MESSAGE = (
    "session_id", "agent_id", "message_index", "turn_id", "trajectory_id", "step_index", "role",
    "at", "chars", "text",
)  # fmt: skip


class AgentBuilder(ToolBuilder):
    """Builds the rows of one agent of a session.

    Attributes:
        threads: Its trajectories, by the harness's id.
        model: Its own model, None where it is not known.
        model_source: How that is known.
    """

    def __init__(self, session: RowSink, agent_id: int, at: float | None) -> None:
        super().__init__(session, agent_id)
        self.threads: dict[str, OpenTrajectoryRow] = {}
        self.model: str | None = None
        self.model_source = "config"
        self.sub_model: tuple[str | None, str] = (None, "unknown")
        self.baseline: int | None = None
        self.reported: int | None = None
        self._turns = 0
        self._opened_at: float | None = None
        self._steps, self._messages = self._columns["steps"], self._columns["messages"]
        self._write_step = self._steps.writer(*_STEP)
        self._write_message = self._messages.writer(*_MESSAGE)
        self._row = self._columns["agents"].add(
            {**self._ids, "state": "running", "created_at": at, "resumed": False}
        )
        self.seen(at)

    def about(self, **values: Any) -> None:
        """More is known of the agent."""
        self._columns["agents"].put(self._row, values)

    # -- turns -------------------------------------------------------------------------------

    def begin_turn(
        self,
        at: float | None,
        *,
        turn_id: int | None = None,
        prompt: str | None = None,
        kind: str = "prompt",
    ) -> OpenTurnRow:
        """A prompt was sent; a turn that still runs is left as it is."""
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
                "started_at": at,
            }
        )
        self._turns += 1
        self.seen(at)
        if prompt and kind == "prompt":  # what a trigger says is a message of the harness
            self.turn.message = self._message("user", at, chars, prompt)
        return self.turn

    def prompted(self, prompt: str | None, kind: str) -> None:
        """The prompt of the turn that runs reached the harness; its text may be known already."""
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
        """The harness opened a conversation: the agent's first, or once more after a failure."""
        if self._opened_at is None:
            self._opened_at = at
            self.about(created_at=at, resumed=resumed)
        self.about(conversation_id=conversation_id, state="running", closed_at=None)

    def started(self, at: float | None) -> None:
        """The turn that was queued has begun."""
        if self.turn is not None:
            self.turn.started = at
            self.turn.awaiting_usage = True
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
                "error_type": error,
                "ended_at": at,
                "n_model_calls": 0,
                "n_unmetered_calls": 0,
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
        """The turn is over."""
        turn = self.turn
        if turn is None:
            return
        self.seen(at)
        turn.end(at, status, stop_reason, error_type, http_code)
        if turn.awaiting_usage and status in ("cancelled", "timeout"):
            turn.unmetered += 1
            for thread in self.threads.values():
                thread.unmetered += thread.depth == 0
        turn.sync(self._columns)
        self.turn = None

    # -- trajectories and steps --------------------------------------------------------------

    def thread(
        self, thread_id: str, at: float | None, parent: str | None = None, depth: int | None = None
    ) -> OpenTrajectoryRow:
        """A trajectory, begun when it is new; an empty id is that of the agent's own."""
        thread = self.threads.get(thread_id)
        if thread is None:
            parent = parent or None
            known = depth if depth is not None else (1 if parent else 0)
            own = self.model, self.model_source
            model, source = own if known == 0 else self.sub_model
            thread = OpenTrajectoryRow(thread_id, parent, known, at)
            thread.model, thread.model_source = model, "unknown" if model is None else source
            thread.row = self._columns["trajectories"].add(
                {
                    **self._ids,
                    "trajectory_id": thread_id,
                    "turn_id": self.turn_id,
                    "state": "unknown",
                }
            )
            self.threads[thread_id] = thread
        elif parent and thread.parent is None:
            thread.parent, thread.depth = parent, depth or 1
            thread.model, thread.model_source = self.sub_model
        thread.last = at if at is not None else thread.last
        self.seen(at)
        return thread

    def step(self, thread: OpenTrajectoryRow, index: int, at: float | None) -> OpenStepRow | None:
        """A step, begun when it is new; None for one that is long over."""
        step = thread.steps.get(index) or thread.find(index)
        if step is None:
            if index <= thread.closed:
                return None
            turn_id = None if self.turn is None else self.turn.turn_id
            step = thread.steps[index] = OpenStepRow(
                thread, self._steps.begin(), index, turn_id, at
            )
            thread.n_steps += 1
        step.updates += 1
        step.last = at
        return step

    def status(
        self,
        thread: OpenTrajectoryRow,
        step: OpenStepRow,
        kind: str,
        source: str,
        target: str,
        state: str,
        code: int,
    ) -> None:
        """Set the kind and the state of a step."""
        failed = state == "error" and step.state != "error" and source == "system"
        step.kind, step.source, step.target, step.state = kind, source, target, state
        step.code = code or step.code
        if failed and code:
            thread.unmetered += 1
            if self.turn is not None:
                self.turn.unmetered += 1

    def text(self, step: OpenStepRow, at: float | None, text: str) -> None:
        """A piece of the model's text."""
        turn, thread, session, chars = self.turn, step.thread, self.session, len(text)
        if thread.unread_results:
            thread.answering()
        if turn is not None:
            turn.awaiting_usage = True
            if thread.depth == 0:
                turn.chars += chars
                if turn.first is None:
                    turn.first = at
        if step.message is None or session.text:
            self.said(step, at, "model", text)
        else:
            step.text_chars += chars
        if session.chunks:
            self._chunk(step, at, "text", chars)

    def thought(self, step: OpenStepRow, at: float | None, text: str) -> None:
        """A piece of the model's thoughts."""
        step.thread.answering()
        if self.turn is not None:
            self.turn.awaiting_usage = True
        step.thinking_chars += len(text)
        if self.session.chunks:
            self._chunk(step, at, "thought", len(text))

    def _chunk(self, step: OpenStepRow, at: float | None, kind: str, chars: int) -> None:
        thread = step.thread
        self._columns["chunks"].add(
            {
                **self._ids,
                "chunk_index": self.session.number("chunks"),
                "turn_id": self.turn_id,
                "trajectory_id": thread.id,
                "step_index": step.index,
                "kind": kind,
                "chars": chars,
                "at": at,
                "gap": span(thread.piece_at, at),
            }
        )
        thread.piece_at = at

    def said(self, step: OpenStepRow, at: float | None, role: str, text: str) -> None:
        """A piece of a message of a step."""
        chars = len(text)
        if step.message is None:
            step.message = self._message(role, at, chars, text, step.thread.id, step.index)
            step.said_chars = chars
        step.text_chars += chars
        if self.session.text:
            step.texts.append(text)

    def _message(
        self,
        role: str,
        at: float | None,
        chars: int | None,
        text: str | None,
        thread_id: str | None = None,
        index: int | None = None,
    ) -> int:
        session, turn, row = self.session, self.turn, self._messages.begin()
        self._write_message(
            row,
            session.session_id,
            self.agent_id,
            session.number("messages"),
            None if turn is None else turn.turn_id,
            thread_id,
            index,
            role,
            at,
            chars,
            (text or None) if session.text else None,
        )
        return row

    def _sync_step(self, step: OpenStepRow) -> None:
        """Write a step into its row, if anything is new."""
        if step.synced == step.updates:
            return
        step.synced = step.updates
        self._write_step(
            step.row,
            self.session.session_id,
            self.agent_id,
            step.thread.id,
            step.index,
            step.turn_id,
            step.kind,
            step.source,
            step.target,
            step.state,
            step.tool,
            step.text_chars,
            step.thinking_chars,
            step.updates,
            step.code,
            step.first,
            step.last,
            span(step.first, step.last),
        )
        if step.message is not None and step.said_chars != step.text_chars:
            step.said_chars = step.text_chars
            said = {"chars": step.text_chars, "text": "".join(step.texts) or None}
            self._messages.put(step.message, said)

    # -- model calls -------------------------------------------------------------------------

    def metered(self, thread: OpenTrajectoryRow, at: float | None, call: TokenColumns) -> None:
        """A model call was metered."""
        number = self.session.number("model_calls")
        thread.calls += 1
        if self.turn is not None:
            self.turn.calls += 1
            self.turn.awaiting_usage = False
        for key in thread.metered():
            self.read_by(key, number)
        self._columns["model_calls"].add(
            {
                **self._ids,
                "call_index": number,
                "turn_id": self.turn_id,
                "trajectory_id": thread.id,
                "depth": thread.depth,
                "at": at,
                "model": thread.model,
                "model_source": thread.model_source,
                **call.columns(),
            }
        )

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
