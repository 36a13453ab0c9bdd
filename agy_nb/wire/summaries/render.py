"""A session as text: a line for each thing that was said, done or decided.

Texts are gathered until they are whole, and no more of them than a line shows, so that a long
session takes no more memory than a short one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agy_nb.protocol import events as e
from agy_nb.protocol.amounts import counted
from agy_nb.protocol.values import ErrorInfo, TokenUsage, Trajectory
from agy_nb.wire.summaries.wording import (
    WIDTH,
    answer_text,
    call_text,
    prompt_text,
    shortened,
    usage_text,
)

_LABEL = 11
_KEPT = 4 * WIDTH
_NOTABLE_S = 0.05
_OVER = frozenset({e.TurnState.DONE, e.TurnState.CANCELLED, e.TurnState.DENIED, e.TurnState.FAILED})
_BEGINS = {"prompt": "Prompt", "trigger": "Trigger"}
_DECIDED = {
    e.ApprovalState.ALLOWED: "allowed",
    e.ApprovalState.DENIED: "denied",
    e.ApprovalState.TIMED_OUT: "denied, because there was no answer in time",
    e.ApprovalState.FAILED: "denied, because asking failed",
    e.ApprovalState.CANCELLED: "denied, because the turn was cancelled",
}

_Render: TypeAlias = Callable[[Any], Iterator[str]]


@dataclass(slots=True)
class _Text:
    """A text that still grows."""

    where: Trajectory
    label: str
    kept: str = ""
    length: int = 0

    def add(self, piece: str) -> None:
        self.length += len(piece)
        if len(self.kept) < _KEPT:
            self.kept += piece[:_KEPT]


@dataclass(slots=True)
class _Turn:
    """The turn that runs."""

    began: float = 0.0
    calls: int = 0
    usage: TokenUsage = field(default_factory=TokenUsage)
    noticed: ErrorInfo | None = None


class SessionText:
    """Writes the events of one session as lines of text.

    Example:
        >>> from agy_nb.protocol.events import ToolCall
        >>> from agy_nb.wire.summaries.render import SessionText
        >>> call = ToolCall(call_id="1", name="run_command", args={"command": "ls"})
        >>> for line in SessionText().take(call):
        ...     print(line.strip())
        Call       run_command(command="ls")
    """

    def __init__(self) -> None:
        self._turn = _Turn()
        self._turns = 0
        self._texts: dict[tuple[str, int, str], _Text] = {}
        self._subagents: dict[str, int] = {}
        self._shown = ""
        self._indent = 1
        self._exceptions: dict[str, e.ToolException] = {}
        self._pending: dict[str, e.Approval] = {}
        self._refused: set[str] = set()
        self._render: dict[type[e.Event], _Render] = {
            e.Text: self._text,
            e.Thought: self._text,
            e.Step: self._step,
            e.ToolCall: self._call,
            e.ToolResult: self._result,
            e.Approval: self._approval,
            e.Question: self._question,
            e.StructuredOutput: self._output,
            e.Usage: self._usage,
            e.Error: self._error,
            e.Waiting: self._waiting,
            e.State: self._state,
            e.TurnBegan: self._began,
            e.TrajectoryState: self._trajectory,
            e.SessionConfigured: self._configured,
            e.SessionOpened: self._opened,
            e.SessionClosed: self._closed,
            e.AgentStarted: self._started,
            e.TurnsAbandoned: self._abandoned,
            e.Problem: self._problem,
            e.UnknownFrame: self._unknown,
        }

    def take(self, event: e.Event) -> Iterator[str]:
        """Take the next event; gives the lines that are complete now."""
        if isinstance(event, e.ToolException):
            self._exceptions[event.call_id] = event
        render = self._render.get(type(event))
        if render is None:
            return
        if not isinstance(event, e.Text | e.Thought | e.Step):
            yield from self._whole(event.trajectory.id)
        yield from render(event)

    def _line(self, where: Trajectory, label: str, text: str) -> Iterator[str]:
        """Yield a line of a trajectory, below the name of its subagent."""
        if where.is_root or not where.id:
            self._shown = ""
            yield f"{'  ' * self._indent}{label:<{_LABEL}}{text}".rstrip()
            return
        if self._shown != where.id:
            self._shown = where.id
            number = self._subagents.setdefault(where.id, len(self._subagents) + 1)
            yield f"{'  ' * (self._indent + where.depth - 1)}Subagent {number}"
        yield f"{'  ' * (self._indent + where.depth)}{label:<{_LABEL}}{text}".rstrip()

    # -- sessions ----------------------------------------------------------------------------

    def _configured(self, event: e.SessionConfigured) -> Iterator[str]:
        endpoint = f" ({event.endpoint})" if event.endpoint else ""
        yield from self._line(event.trajectory, "Model", f"{event.model or 'not named'}{endpoint}")
        tools = ", ".join(event.host_tools) or "none"
        yield from self._line(event.trajectory, "Host tools", tools)

    def _opened(self, event: e.SessionOpened) -> Iterator[str]:
        if not event.resumed:
            return
        words = f"conversation {event.conversation_id or '?'} goes on"
        yield from self._line(event.trajectory, "Resumed", words)
        for message in event.history:
            label = "Prompt" if message.role == "user" else "Agent"
            yield from self._line(message.trajectory, label, shortened(message.content))

    def _started(self, event: e.AgentStarted) -> Iterator[str]:
        labels = ", ".join(f"{name}={value}" for name, value in event.labels.items())
        if labels:
            yield from self._line(event.trajectory, "Labels", labels)
        if event.parent_agent_id is not None:
            words = f"agent {event.parent_agent_id}, {_after(event.forked_after_turn or 0)}"
            yield from self._line(event.trajectory, "Fork of", words)

    def _abandoned(self, event: e.TurnsAbandoned) -> Iterator[str]:
        words = f"agent {event.agent_id} goes on {_after(event.turn or event.after_turn)}"
        if event.branch is not None:
            words += f" of its branch {event.branch}"
        yield from self._line(event.trajectory, "Rewound", words)

    def _closed(self, event: e.SessionClosed) -> Iterator[str]:
        for text in [*self._texts]:
            yield from self._flush(text)
        for asked in self._pending.values():
            yield from self._line(asked.trajectory, "Approval", f"{asked.tool}: not answered")
        self._indent = 1
        words = {
            "client": "closed by the client",
            "harness": "closed by the harness",
            "unknown": "the recording stops here; the rest is missing",
        }[event.by]
        why = " ".join(filter(None, ("" if event.code is None else str(event.code), event.reason)))
        yield from self._line(e.Event().trajectory, "End", f"{words}{f' ({why})' if why else ''}")

    def _problem(self, event: e.Problem) -> Iterator[str]:
        words = f"{event.problem.replace('_', ' ')}: {shortened(event.detail)}"
        yield from self._line(event.trajectory, "Problem", words)

    def _unknown(self, event: e.UnknownFrame) -> Iterator[str]:
        words = f"from the {event.direction}: {shortened(event.frame)}"
        yield from self._line(event.trajectory, "Unknown", words)

    # -- turns -------------------------------------------------------------------------------

    def _began(self, event: e.TurnBegan) -> Iterator[str]:
        for text in [*self._texts]:
            yield from self._flush(text)
        self._turn = _Turn(began=event.at)
        self._turns += 1
        self._indent = 2
        self._shown = ""
        yield f"  Turn {self._turns}"
        label = _BEGINS.get(event.kind)
        if label is None:
            yield from self._line(event.trajectory, "Wake-up", "the harness goes on by itself")
        else:
            yield from self._line(event.trajectory, label, shortened(prompt_text(event.prompt)))

    def _state(self, event: e.State) -> Iterator[str]:
        if event.state not in _OVER:
            return
        for text in [*self._texts]:
            yield from self._flush(text)
        turn = self._turn
        words = []
        if turn.calls:
            words.append(f"{counted(turn.calls, 'model call')}, {usage_text(turn.usage)}")
        if turn.began and event.at:
            words.append(f"{max(0.0, event.at - turn.began):.1f} s")
        yield from self._line(event.trajectory, str(event.state).capitalize(), "; ".join(words))

    def _trajectory(self, event: e.TrajectoryState) -> Iterator[str]:
        reason = "" if event.stop_reason in (None, "UNSPECIFIED") else event.stop_reason
        if reason or (event.message and self._turn.noticed is None):
            words = ": ".join(filter(None, (reason, shortened(event.message))))
            yield from self._line(event.trajectory, "Stopped", words)
        elif event.state == "cancelled" and not event.trajectory.is_root:
            yield from self._line(event.trajectory, "Cancelled", "")

    def _usage(self, event: e.Usage) -> Iterator[str]:
        self._turn.calls += 1
        self._turn.usage += event.usage
        yield from self._line(event.trajectory, "Usage", usage_text(event.usage))

    def _error(self, event: e.Error) -> Iterator[str]:
        error = event.error
        noticed, self._turn.noticed = self._turn.noticed, error
        if event.fatal and noticed is not None and noticed.type == error.type:
            return  # the turn ends with the error that was just shown
        code = f" (HTTP {error.http_code})" if error.http_code else ""
        words = f"{error.type}{code}: {shortened(error.message)}"
        yield from self._line(event.trajectory, "Error", words)

    def _waiting(self, event: e.Waiting) -> Iterator[str]:
        yield from self._line(
            event.trajectory, "Waiting", f"{event.seconds:.0f} s ({event.reason})"
        )

    # -- texts -------------------------------------------------------------------------------

    def _text(self, event: e.Text | e.Thought) -> Iterator[str]:
        label = "Thinking" if isinstance(event, e.Thought) else "Agent"
        key = (event.trajectory.id, event.step_index, label)
        text = self._texts.get(key)
        if text is None:
            yield from self._whole(event.trajectory.id)
            text = self._texts[key] = _Text(event.trajectory, label)
        text.add(event.text)

    def _whole(self, trajectory_id: str) -> Iterator[str]:
        """Yield the texts of a trajectory that are complete because something else follows."""
        if self._texts:
            for key in [key for key in self._texts if key[0] == trajectory_id]:
                yield from self._flush(key)

    def _flush(self, key: tuple[str, int, str]) -> Iterator[str]:
        text = self._texts.pop(key)
        yield from self._line(text.where, text.label, shortened(text.kept, text.length))

    def _step(self, event: e.Step) -> Iterator[str]:
        if event.status in ("active", "unknown"):
            return
        yield from self._whole(event.trajectory.id)
        if event.kind == "compaction" and event.status == "done":
            yield from self._line(event.trajectory, "Compaction", "the context was made shorter")

    def _output(self, event: e.StructuredOutput) -> Iterator[str]:
        yield from self._line(event.trajectory, "Output", shortened(event.value))

    # -- tools -------------------------------------------------------------------------------

    def _call(self, event: e.ToolCall) -> Iterator[str]:
        if event.call_id in self._refused:
            return
        where = f" on MCP server {event.server}" if event.server else ""
        words = f"{call_text(event.name, event.args)}{where}"
        yield from self._line(event.trajectory, "Call", words)

    def _result(self, event: e.ToolResult) -> Iterator[str]:
        raised = self._exceptions.pop(event.call_id, None)
        if event.call_id in self._refused:
            self._refused.discard(event.call_id)  # the approval says it all
        elif event.denied:
            yield from self._line(
                event.trajectory, "Denied", f"{event.name}: {shortened(event.error)}"
            )
        elif event.error is not None:
            words = shortened(event.error)
            if raised is not None and raised.error_type not in words:
                words = f"{raised.error_type}: {words}"
            yield from self._line(event.trajectory, "Failed", f"{event.name}: {words}")
        else:
            words = "done" if event.result is None else shortened(event.result)
            yield from self._line(event.trajectory, "Result", f"{event.name}: {words}")

    # -- decisions ---------------------------------------------------------------------------

    def _approval(self, event: e.Approval) -> Iterator[str]:
        if event.state is e.ApprovalState.PENDING:
            self._pending[event.approval_id] = event
            return
        self._pending.pop(event.approval_id, None)
        allowed = event.state is e.ApprovalState.ALLOWED
        if not allowed and event.call_id:
            self._refused.add(event.call_id)
        about = event.tool if allowed else call_text(event.tool, event.args)
        words = f"{about}: {_DECIDED.get(event.state, event.state)}"
        words += f" by {event.decided_by}" if event.decided_by else ""
        words += f" after {event.wait:.1f} s" if event.wait and event.wait >= _NOTABLE_S else ""
        words += f" ({shortened(event.reason)})" if event.reason else ""
        if event.edited is not None:
            words += f"; it runs as {call_text(event.tool, event.edited)}"
        yield from self._line(event.trajectory, "Approval", words)

    def _question(self, event: e.Question) -> Iterator[str]:
        if event.answers is None:
            for asked in event.questions:
                choices = ", ".join(option.text for option in asked.options)
                words = shortened(f"{asked.question}{f' ({choices})' if choices else ''}")
                yield from self._line(event.trajectory, "Question", words)
            return
        for number, answer in enumerate(event.answers):
            about = event.questions[number] if number < len(event.questions) else None
            yield from self._line(event.trajectory, "Answer", answer_text(answer, about))


def _after(turn: int) -> str:
    return f"after turn {turn}" if turn else "before its first turn"
