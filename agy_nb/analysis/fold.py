"""Events of turns, folded into the books: pure and incremental, one event at a time.

Rule 1: any split of the same events gives the same tables.
Rule 2: only the protocol is known here; nothing of the runtime, nothing of pandas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from agy_nb.analysis.agentbook import AgentBook
from agy_nb.analysis.arguments import brief, json_length
from agy_nb.analysis.book import Book
from agy_nb.analysis.columns import Columns
from agy_nb.analysis.threads import Thread
from agy_nb.analysis.tokens import Tokens
from agy_nb.protocol import events as e
from agy_nb.protocol.values import ErrorInfo, TokenUsage

_DECISIONS = {
    e.ApprovalState.ALLOWED: "allow",
    e.ApprovalState.DENIED: "deny",
    e.ApprovalState.TIMED_OUT: "timeout",
    e.ApprovalState.FAILED: "failed",
    e.ApprovalState.CANCELLED: "cancelled",
}
ENDS = {
    e.TurnState.DONE: "ok",
    e.TurnState.CANCELLED: "cancelled",
    e.TurnState.DENIED: "denied",
    e.TurnState.FAILED: "error",
}
"""How a turn ends, by the state that ends it."""
_TOOL_KINDS = {"custom": "host", "builtin": "builtin", "mcp": "mcp"}


@runtime_checkable
class Turn(Protocol):
    """What is read of a turn; `agy.Response` has it."""

    @property
    def agent_id(self) -> int:
        """Whose turn it is."""
        ...

    @property
    def turn_id(self) -> int:
        """Number of the turn."""
        ...

    @property
    def events(self) -> Sequence[e.Event]:
        """Its events so far."""
        ...


class EventFold:
    """Folds the events of one agent's turns.

    Args:
        agent: The books of the agent.
    """

    def __init__(self, agent: AgentBook) -> None:
        self._agent = agent
        self._fatal: e.Error | None = None
        self._failed: tuple[ErrorInfo, int] | None = None
        self._last: float | None = None
        self._allowed: dict[tuple[str, str], deque[str]] = {}
        self._args: dict[str, Any] = {}

    def begin(
        self,
        turn_id: int,
        prompt: str | None = None,
        at: float | None = None,
        kind: e.TurnKind = "prompt",
    ) -> None:
        """The events that follow are those of a turn."""
        self._fatal = self._failed = None
        self._last = at
        self._allowed.clear()
        self._agent.begin_turn(at, turn_id=turn_id, prompt=prompt, kind=kind)

    def add(  # noqa: C901 - an arm for each kind of event
        self, event: e.Event, *, stop_reason: str | None = None
    ) -> None:
        """Take an event.

        Args:
            event: The event.
            stop_reason: Why the harness stopped; for the event that ends the turn.
        """
        at = event.at or None
        self._last = at or self._last
        match event:
            case e.Text() | e.Thought():
                self._piece(event, at)
            case e.Step():
                self._step(event, at)
            case e.Usage():
                thread = self._thread(event, at)
                self._counted(event, thread)
                self._agent.metered(thread, at, _tokens(event.usage))
            case e.ToolCall():
                self._call(event, at)
            case e.ToolResult():
                self._result(event, at)
            case e.Approval():
                self._approval(event, at)
            case e.Question():
                self._question(event, at)
            case e.Error():
                self._error(event, at)
            case e.State() if event.state in ENDS:
                self._end(ENDS[event.state], at or self._last, stop_reason)
            case e.State() if self._agent.turn is not None and self._agent.turn.started is None:
                self._agent.started(at)
            case _:
                pass

    def _thread(self, event: e.Event, at: float | None) -> Thread:
        where = event.trajectory
        return self._agent.thread(where.id, at, where.parent_id, where.depth)

    def _counted(self, event: e.Usage, thread: Thread) -> None:
        """Counters of the harness; what they had at the first call was counted earlier."""
        call = event.usage.total_tokens or 0
        if not thread.calls:
            before = (event.trajectory_total.total_tokens or 0) - call
            thread.tokens_before = Tokens(total=before if before > 0 else None)
        if self._agent.reported is None:
            before = (event.session_total.total_tokens or 0) - call
            self._agent.baseline = before if before > 0 else None
        thread.reading = _tokens(event.trajectory_total)
        self._agent.reported = event.session_total.total_tokens

    def _piece(self, event: e.Text | e.Thought, at: float | None) -> None:
        thread = self._thread(event, at)
        step = self._agent.step(thread, event.step_index, at)
        if step is not None:
            kind = "text" if isinstance(event, e.Text) else "thought"
            if step.kind == "unknown":
                step.kind = "text" if kind == "text" else "thinking"
                step.source, step.target = "model", "user"
            self._agent.piece(thread, step, at, kind, event.text)

    def _step(self, event: e.Step, at: float | None) -> None:
        thread = self._thread(event, at)
        step = self._agent.step(thread, event.step_index, at)
        if step is not None:
            code = event.http_code or 0
            self._agent.status(
                thread, step, event.kind, event.source, event.target, event.status, code
            )

    def _call(self, event: e.ToolCall, at: float | None) -> None:
        thread = self._thread(event, at)
        host = event.source == "custom"
        if event.step_index is not None:
            step = self._agent.step(thread, event.step_index, at)
            if step is not None:
                step.tool = event.name
        self._agent.tool_began(
            thread,
            event.call_id,
            at,
            tool=event.name,
            kind=_TOOL_KINDS[event.source],
            match="id" if host else "step",
            call_id=event.call_id if host else None,
            server=event.server,
            args=brief(event.args),
            index=event.step_index,
        )
        allowed = self._allowed.get((thread.id, event.name))
        if allowed:
            self._agent.tool_about(event.call_id, approval_id=allowed.popleft())

    def _result(self, event: e.ToolResult, at: float | None) -> None:
        self._thread(event, at)
        values: dict[str, Any] = {"error": None if event.error is None else event.error[:500]}
        if event.result is not None:
            values["result_chars"] = json_length(event.result)
        status = "ok" if event.error is None else "error"
        self._agent.tool_ended(event.call_id, at, status, **values)

    def _approval(self, event: e.Approval, at: float | None) -> None:
        thread = self._thread(event, at)
        if event.state is e.ApprovalState.PENDING:
            self._args[event.approval_id] = brief(event.args)
            self._agent.asked(event.approval_id, thread.id, at, kind="policy", tool=event.tool)
            return
        args = self._args.pop(event.approval_id, {})
        decision = _DECISIONS[event.state] if event.edited is None else "edited"
        self._agent.decided(
            event.approval_id, at, decision, decided_by=event.decided_by or None, wait=event.wait
        )
        if event.state is e.ApprovalState.ALLOWED:
            key = (thread.id, event.tool)
            self._allowed.setdefault(key, deque()).append(event.approval_id)
        else:
            key_of_call = f"denied {event.approval_id}"
            self._agent.tool_began(
                thread,
                key_of_call,
                at,
                tool=event.tool,
                kind="mcp" if event.server else "host",
                match="none",
                server=event.server,
                args=args,
            )
            self._agent.tool_about(key_of_call, approval_id=event.approval_id, kind=None)
            self._agent.tool_ended(key_of_call, None, "denied", error=event.reason[:500] or None)

    def _question(self, event: e.Question, at: float | None) -> None:
        thread = self._thread(event, at)
        if event.answers is None:
            self._agent.asked(event.question_id, thread.id, at, kind="question")
        else:
            skipped = all(answer.skipped for answer in event.answers)
            self._agent.decided(event.question_id, at, "cancelled" if skipped else "answered")

    def _error(self, event: e.Error, at: float | None) -> None:
        if event.fatal:
            self._fatal = event
            if self._failed is not None and self._failed[0] == event.error:
                self._agent.fatal(self._failed[1])  # that of the last step, once more
                return
        row = self._agent.error(
            event.trajectory.id,
            at,
            event.error.message,
            error_type=event.error.type,
            http_code=event.error.http_code,
            fatal=event.fatal,
        )
        self._failed = event.error, row

    def _end(self, status: str, at: float | None, stop_reason: str | None) -> None:
        error = self._fatal.error if self._fatal is not None else None
        if error is not None and error.type == "Timeout":
            status = "timeout"
        if status != "ok":
            self._agent.cut_tools(at)
        self._agent.end_turn(
            at,
            status,
            stop_reason=stop_reason,
            error_type=error.type if error else None,
            http_code=error.http_code if error else None,
        )


def fold_turns(turns: Iterable[Turn], *, session_id: str = "live") -> Columns:
    """Tables of turns, e.g. of responses that somebody holds."""
    columns = Columns()
    book = Book(columns, session_id, source="live")
    folds: dict[int, EventFold] = {}
    for turn in turns:
        fold = folds.setdefault(turn.agent_id, EventFold(book.agent(turn.agent_id)))
        fold.begin(turn.turn_id, prompt_text(getattr(turn, "prompt", None)))
        stop_reason = getattr(turn, "stop_reason", None)
        for event in turn.events:
            fold.add(event, stop_reason=stop_reason)
    book.sync()
    return columns


def prompt_text(prompt: Any) -> str | None:  # noqa: ANN401 - a prompt of the protocol, or None
    """The text of a prompt; other parts of it have none."""
    if prompt is None:
        return None
    return "".join(getattr(part, "text", "") for part in prompt)


def _tokens(usage: TokenUsage) -> Tokens:
    return Tokens(
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.total_tokens,
        usage.service_tier,
    )
