"""Turns events into rows: pure and incremental, one event at a time.

Rule 1: any split of the same events gives the same tables.
Rule 2: events come from any source: nothing of the runtime is known here, and nothing of pandas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from agy_nb.analysis.builders.agent_builder import AgentBuilder
from agy_nb.analysis.builders.cell_values import brief, json_length
from agy_nb.analysis.builders.open_rows import OpenStepRow, OpenTrajectoryRow
from agy_nb.analysis.builders.subagent_types import TOOL as SUBAGENT_TOOL
from agy_nb.analysis.label_columns import encoded
from agy_nb.protocol import events as e
from agy_nb.protocol.values import ErrorInfo, Trajectory
from agy_nb.wire.frames import kind_of

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
_KIND_CHARS = 60
_MOST_TRACEBACK = 2000
_MOST_KINDS = 20
_TOOL_KINDS = {"custom": "host", "builtin": "builtin", "mcp": "mcp"}


class EventTables:
    """Folds the events of one agent's turns, live or recorded.

    Args:
        agent: The builder of the agent.
    """

    def __init__(self, agent: AgentBuilder) -> None:
        self._agent = agent
        self._fatal: e.Error | None = None
        self._failed: tuple[ErrorInfo, int] | None = None
        self._stop_reason: str | None = None
        self._last: float | None = None
        self._decided: dict[tuple[str, str], deque[str]] = {}
        self._unknown: set[str] = set()
        self._metered = False
        self._where: Trajectory | None = None
        self._known: OpenTrajectoryRow | None = None
        self._where_open: Trajectory | None = None
        self._open: OpenStepRow | None = None
        self._others: dict[type[e.Event], Callable[[Any, float | None], None]] = {
            e.Text: self._text,
            e.Thought: self._thought,
            e.Step: self._step,
            e.Usage: self._usage,
            e.ToolCall: self._call,
            e.ToolResult: self._result,
            e.Approval: self._approval,
            e.Question: self._question,
            e.Error: self._error,
            e.State: self._state,
            e.TurnBegan: self._began,
            e.AgentStarted: self._started,
            e.TurnsAbandoned: self._abandoned,
            e.TrajectoryState: self._trajectory,
            e.SessionConfigured: self._configured,
            e.SessionOpened: self._opened,
            e.SessionClosed: self._closed,
            e.ToolException: self._exception,
            e.Problem: self._problem,
            e.UnknownFrame: self._unknown_frame,
        }

    def begin(
        self,
        turn_id: int,
        prompt: str | None = None,
        at: float | None = None,
        kind: e.TurnKind = "prompt",
    ) -> None:
        """Take the events that follow as those of a turn."""
        self._forget_turn(at)
        self._agent.begin_turn(at, turn_id=turn_id, prompt=prompt, kind=kind)

    def _forget_turn(self, at: float | None) -> None:
        self._fatal = self._failed = self._stop_reason = None
        self._last = at
        self._decided.clear()
        self._open = None

    def add(self, event: e.Event, *, stop_reason: str | None = None) -> None:
        """Take an event.

        Args:
            event: The event.
            stop_reason: Why the harness stopped; for the event that ends the turn.
        """
        at = event.at or None
        if at is not None:
            self._last = at
        take = self._others.get(type(event))
        if take is not None:
            if stop_reason is not None and self._stop_reason is None:
                self._stop_reason = stop_reason
            take(event, at)

    def _thread(self, where: Trajectory, at: float | None) -> OpenTrajectoryRow:
        # By identity, which is cheap: the reader repeats the object of a trajectory. Another object
        # with the same id takes the long way to the same row.
        if where is self._where and (known := self._known) is not None:
            if at is not None and at != known.last:
                known.last = at
                self._agent.seen(at)
            return known
        thread = self._agent.thread(where.id, at, where.parent_id, where.depth)
        self._where, self._known = where, thread
        return thread

    # -- sessions ----------------------------------------------------------------------------

    def _configured(self, event: e.SessionConfigured, _at: float | None) -> None:
        agent = self._agent
        agent.model, agent.model_source = event.model, "config"
        agent.requested_tier, agent.subagents.models = event.service_tier, event.subagents
        agent.about(model=event.model, endpoint=event.endpoint)
        if event.conversation_id:
            agent.about(conversation_id=event.conversation_id)

    def _started(self, event: e.AgentStarted, _at: float | None) -> None:
        agent = self._agent
        branch = agent.session.tree.started(agent.agent_id, event)
        agent.about(
            labels=encoded(event.labels),
            parent_agent_id=branch.parent,
            forked_after_turn=branch.after_turn,
        )

    def _abandoned(self, event: e.TurnsAbandoned, _at: float | None) -> None:
        self._agent.abandon(event)

    def _opened(self, event: e.SessionOpened, at: float | None) -> None:
        agent = self._agent
        agent.opened(at, event.conversation_id, resumed=event.resumed)
        if event.usage is not None:
            agent.baseline = agent.reported = event.usage.total_tokens
        for each in event.trajectory_usages:
            thread = self._thread(each.trajectory, at)
            thread.reading = thread.tokens_before = each.usage.total_tokens

    def _closed(self, event: e.SessionClosed, at: float | None) -> None:
        agent = self._agent
        if event.by == "unknown":
            agent.about(state="lost")
        else:
            agent.close(at)
        counted = [thread for thread in agent.threads.values() if thread.calls]
        if agent.reported is not None and self._metered:
            every = sum(thread.reading or 0 for thread in agent.threads.values())
            if every != agent.reported:
                agent.session.problem(
                    "totals_differ",
                    detail=f"agent {agent.agent_id}: its trajectories have {every} tokens, "
                    f"the harness reports {agent.reported}",
                )
        elif not counted and any(thread.unknown for thread in agent.threads.values()):
            agent.session.problem(
                "usage_missing", detail=f"agent {agent.agent_id}: no model call was metered"
            )

    def _problem(self, event: e.Problem, _at: float | None) -> None:
        self._agent.session.problem(event.problem, detail=event.detail)

    def _unknown_frame(self, event: e.UnknownFrame, _at: float | None) -> None:
        """Add one problem per kind of unknown frame, however many there are."""
        kind = kind_of(event.frame)[:_KIND_CHARS]
        if kind not in self._unknown and len(self._unknown) < _MOST_KINDS:
            self._unknown.add(kind)
            detail = f"frames of the {event.direction} with {kind!r} are not read"
            self._agent.session.problem("unknown_frame", detail=detail)

    # -- turns -------------------------------------------------------------------------------

    def _began(self, event: e.TurnBegan, at: float | None) -> None:
        prompt = prompt_text(event.prompt)
        if self._agent.turn is None or self._agent.turn.prompted:
            self._forget_turn(at)
            self._agent.begin_turn(at)
        self._agent.prompted(prompt, event.kind)

    def _state(self, event: e.State, at: float | None) -> None:
        agent = self._agent
        if event.state in ENDS:
            self._end(ENDS[event.state], at or self._last)
        elif event.state is e.TurnState.RUNNING:
            if agent.turn is None:
                self._forget_turn(at)
                agent.begin_turn(at)
            elif agent.turn.started is None:
                agent.started(at)
            else:
                # Another attempt after a quota error: the harness will report a prompt once more,
                # and that is not another turn.
                agent.turn.again()

    def _trajectory(self, event: e.TrajectoryState, at: float | None) -> None:
        thread = self._thread(event.trajectory, at)
        thread.state = event.state
        if event.state == "running":
            if not thread.asking and not thread.answered:
                self._agent.request_due(thread, at)
        elif event.state == "idle" and thread.depth:
            self._agent.at_rest(thread, at, failed=bool(event.message))
        if event.stop_reason is not None:
            thread.stop_reason = event.stop_reason
            if not thread.depth:
                self._stop_reason = event.stop_reason

    def _end(self, status: str, at: float | None) -> None:
        error = self._fatal.error if self._fatal is not None else None
        if error is not None and error.type == "AgyTimeoutError":
            status = "timeout"
        if status != "ok":
            self._agent.cut_tools(at)
        self._agent.end_turn(
            at,
            status,
            stop_reason=self._stop_reason,
            error_type=error.type if error else None,
            http_code=error.http_code if error else None,
        )

    # -- steps -------------------------------------------------------------------------------

    def _find(self, event: e.Text | e.Thought | e.Step, at: float | None) -> OpenStepRow | None:
        """Return the step of an event, most often that of the event before."""
        where, step = event.trajectory, self._open
        if step is not None and step.index == event.step_index and where is self._where_open:
            step.updates += 1
            step.last = at
            if at is not None and at != step.thread.last:
                step.thread.last = at
                self._agent.seen(at)
            return step
        step = self._agent.step(self._thread(where, at), event.step_index, at)
        self._where_open, self._open = where, step
        return step

    def _text(self, event: e.Text, at: float | None) -> None:
        step = self._find(event, at)
        if step is None:
            return
        if step.kind in ("unknown", "thinking"):
            step.kind, step.source, step.target = "text", "model", "user"
        self._agent.text(step, at, event.text)

    def _thought(self, event: e.Thought, at: float | None) -> None:
        step = self._find(event, at)
        if step is None:
            return
        if step.kind == "unknown":
            step.kind, step.source, step.target = "thinking", "model", "user"
        self._agent.thought(step, at, event.text)

    def _step(self, event: e.Step, at: float | None) -> None:
        agent = self._agent
        step = self._find(event, at)
        if step is None:
            return
        thread = step.thread
        code = event.http_code or 0
        words = event.error or event.text if event.status == "error" else ""
        agent.status(
            thread, step, event.kind, event.source, event.target, event.status, code, words
        )
        if event.source == "user":
            step.text_chars = len(event.text)
        elif event.source == "system" and event.text and event.status != "error":
            if thread.depth and not event.step_index:
                agent.subagent_began(thread, event.text)
            agent.said(step, at, "system", event.text[step.text_chars :])
        if event.tool is not None:
            step.tool = event.tool
            if event.call_id is not None:
                agent.tool_step(thread, event.call_id, event.step_index)

    # -- usage -------------------------------------------------------------------------------

    def _usage(self, event: e.Usage, at: float | None) -> None:
        agent = self._agent
        thread = self._thread(event.trajectory, at)
        self._metered = True
        call = event.usage.total_tokens or 0
        # The wire has sums since the beginning of the conversation. What the first one has beyond
        # this call was used before: by an earlier agent, or by the parent of a fork.
        if not thread.calls and thread.tokens_before is None:
            before = (event.trajectory_total.total_tokens or 0) - call
            thread.tokens_before = before if before > 0 else None
        if agent.reported is None:
            before = (event.session_total.total_tokens or 0) - call
            agent.baseline = before if before > 0 else None
        thread.reading = event.trajectory_total.total_tokens
        agent.reported = event.session_total.total_tokens
        agent.metered(thread, at, event.usage)

    # -- tools and approvals -----------------------------------------------------------------

    def _call(self, event: e.ToolCall, at: float | None) -> None:
        thread = self._thread(event.trajectory, at)
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
        decided = self._decided.get((thread.id, event.name))
        if decided:
            self._agent.tool_about(event.call_id, approval_id=decided.popleft())

    def _result(self, event: e.ToolResult, at: float | None) -> None:
        self._thread(event.trajectory, at)
        values: dict[str, Any] = {"error": None if event.error is None else event.error[:500]}
        if event.result is not None:
            values["result_chars"] = json_length(event.result)
        status = "denied" if event.denied else "ok" if event.error is None else "error"
        self._agent.tool_ended(event.call_id, at, status, **values)

    def _exception(self, event: e.ToolException, _at: float | None) -> None:
        self._agent.tool_about(
            event.call_id,
            error_type=event.error_type,
            traceback=event.traceback[-_MOST_TRACEBACK:] or None,
        )

    def _approval(self, event: e.Approval, at: float | None) -> None:
        agent = self._agent
        thread = self._thread(event.trajectory, at)
        if event.tool == SUBAGENT_TOOL:
            agent.subagents.asked(event.edited or event.args)
        if event.state is e.ApprovalState.PENDING:
            agent.asked(
                event.approval_id,
                thread.id,
                at,
                kind="policy",
                tool=event.tool,
                tool_call_id=event.call_id or None,
            )
            return
        decision = _DECISIONS[event.state] if event.edited is None else "edited"
        agent.decided(
            event.approval_id, at, decision, decided_by=event.decided_by or None, wait=event.wait
        )
        if event.call_id and agent.has_tool(event.call_id):  # a subagent's runs already
            agent.tool_about(event.call_id, approval_id=event.approval_id)
        else:
            # The harness asks for approval before it announces the call, so the call has no row
            # yet. The next calls of that tool take these decisions in order.
            key = (thread.id, event.tool)
            self._decided.setdefault(key, deque()).append(event.approval_id)

    def _question(self, event: e.Question, at: float | None) -> None:
        thread = self._thread(event.trajectory, at)
        if event.answers is None:
            self._agent.asked(event.question_id, thread.id, at, kind="question")
        else:
            skipped = all(answer.skipped for answer in event.answers)
            self._agent.decided(event.question_id, at, "cancelled" if skipped else "answered")

    # -- errors ------------------------------------------------------------------------------

    def _error(self, event: e.Error, at: float | None) -> None:
        if event.fatal:
            self._fatal = event
            if self._failed is not None and _same_failure(self._failed[0], event.error):
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


def _same_failure(step: ErrorInfo, turn: ErrorInfo) -> bool:
    """Return whether a turn ended by the failure of its last step; their words differ."""
    return (step.type, step.http_code) == (turn.type, turn.http_code)


def prompt_text(prompt: Any) -> str | None:
    """Return the text of a prompt; other parts of it have none."""
    if prompt is None:
        return None
    return "".join(getattr(part, "text", "") for part in prompt)
