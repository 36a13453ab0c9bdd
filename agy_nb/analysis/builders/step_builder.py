"""Builds rows of one agent: steps, messages and pieces of text."""

from __future__ import annotations

from agy_nb.analysis.builders.call_builder import CallBuilder
from agy_nb.analysis.builders.open_rows import OpenStepRow, OpenTrajectoryRow, span
from agy_nb.analysis.builders.tool_builder import RowSink

_STEP = (
    "session_id", "agent_id", "trajectory_id", "step_index", "turn_id", "kind", "source", "target",
    "state", "tool", "text_chars", "thinking_chars", "n_updates", "http_code", "first_at",
    "last_at", "duration",
)  # fmt: skip
_MESSAGE = (
    "session_id", "agent_id", "message_index", "turn_id", "trajectory_id", "step_index", "role",
    "at", "chars", "text",
)  # fmt: skip


class StepBuilder(CallBuilder):
    """Builds the rows of an agent's steps and of the texts in them."""

    def __init__(self, session: RowSink, agent_id: int) -> None:
        super().__init__(session, agent_id)
        self._steps, self._messages = self._columns["steps"], self._columns["messages"]
        self._write_step = self._steps.writer(*_STEP)
        self._write_message = self._messages.writer(*_MESSAGE)

    def step(self, thread: OpenTrajectoryRow, index: int, at: float | None) -> OpenStepRow | None:
        """Return a step; begin a new one. None for a step that ended long ago."""
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
        words: str = "",
    ) -> None:
        """Set the kind and the state of a step; `words` are those of an error."""
        failed = state == "error" and step.state != "error" and source == "system"
        step.kind, step.source, step.target, step.state = kind, source, target, state
        step.code = code or step.code
        if state == "done" and kind == "tool_call":
            self.tool_step_done(thread)
        if failed:
            self.failed(thread, step.last, code, words)

    def text(self, step: OpenStepRow, at: float | None, text: str) -> None:
        """Add a piece of the model's text."""
        turn, thread, session, chars = self.turn, step.thread, self.session, len(text)
        if not thread.streaming:
            self.answers(thread, at)
        if thread.unread_results:
            thread.answering()
        if turn is not None and thread.depth == 0:
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
        """Add a piece of the model's thoughts."""
        if not step.thread.streaming:
            self.answers(step.thread, at)
        step.thread.answering()
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
        """Add a piece of a step's message."""
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
