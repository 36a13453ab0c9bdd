"""The typed events of a response, as data.

Rule 1: every event names the trajectory that it belongs to, so that a subagent's text can
never be taken for the root agent's.
Rule 2: an event holds what is new. The whole text of a step is the sum of its `Text` events.
Rule 3: `at` says when the client saw it and is no part of an event's identity: two events that
differ only in it are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    ErrorInfo,
    JsonObject,
    TokenUsage,
    Trajectory,
)

StepIndex = Annotated[int, Field(ge=0)]
Instant = Annotated[float, Field(allow_inf_nan=False)]


class TurnState(StrEnum):
    """Where a turn stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_FOR_USER = "waiting_for_user"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class ApprovalState(StrEnum):
    """Where the approval of a tool call stands; all but the first are final."""

    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events have.

    Attributes:
        trajectory: Where it happened.
        at: When the client saw it, in seconds since the Unix epoch.
    """

    trajectory: Trajectory = Trajectory()
    at: Instant = field(default=0.0, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Event):
    """A piece of an answer."""

    text: str
    step_index: StepIndex = 0
    type: Literal["text"] = field(default="text", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought(Event):
    """A piece of the model's thoughts."""

    text: str
    step_index: StepIndex = 0
    type: Literal["thought"] = field(default="thought", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall(Event):
    """A tool is called.

    Attributes:
        call_id: Ties the call to its result.
        name: The tool's name.
        args: Its arguments.
        source: Where the tool comes from.
        server: Name of the MCP server that has it, or None.
    """

    call_id: str
    name: str
    args: JsonObject = field(default_factory=dict)
    source: Literal["builtin", "custom", "mcp"] = "custom"
    server: str | None = None
    step_index: StepIndex | None = None
    type: Literal["tool_call"] = field(default="tool_call", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult(Event):
    """A tool has answered.

    Attributes:
        call_id: The `ToolCall` that it answers.
        name: The tool's name.
        result: What it returned, None where the harness does not tell.
        error: Why it failed, or None when it did not.
    """

    call_id: str
    name: str
    result: JsonValue = None
    error: str | None = None
    type: Literal["tool_result"] = field(default="tool_result", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Event):
    """A step was begun or has changed its status; pieces of its text are not repeated here.

    Attributes:
        step_index: Its place in the trajectory.
        kind: What kind of step it is.
        source: Who took it.
        target: Whom it is for.
        status: Where it stands.
        error: Why it failed, or empty.
        http_code: Status code of a failed model call, or None.
    """

    step_index: StepIndex
    kind: Literal["text", "thinking", "tool_call", "system", "compaction", "finish", "unknown"]
    source: Literal["model", "user", "system", "unknown"]
    target: Literal["user", "environment", "model", "unknown"]
    status: Literal["active", "done", "waiting_for_user", "error", "canceled", "unknown"]
    error: str = ""
    http_code: int | None = None
    type: Literal["step"] = field(default="step", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Event):
    """A model call was metered.

    Attributes:
        usage: Tokens of this call.
        trajectory_total: Tokens of its trajectory so far.
        session_total: Tokens of the whole session so far, subagents included.
    """

    usage: TokenUsage
    trajectory_total: TokenUsage
    session_total: TokenUsage
    type: Literal["usage"] = field(default="usage", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(Event):
    """A tool call asks for approval, or was decided on.

    Attributes:
        approval_id: Ties the decision to the request; unique within the runtime.
        tool: The tool's name.
        args: The arguments that it would run with.
        server: Name of its MCP server, or None.
        state: Pending, or how it ended.
        reason: Why it is asked for (pending), or why it was denied.
        decided_by: Who decided; empty while pending.
        wait: Seconds from the request to the decision, None while pending.
        edited: Arguments that it runs with instead, where who allowed it has changed them.
    """

    approval_id: str
    tool: str
    args: JsonObject = field(default_factory=dict)
    server: str | None = None
    state: ApprovalState
    reason: str = ""
    decided_by: str = ""
    wait: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = field(
        default=None, compare=False
    )
    edited: JsonObject | None = None
    type: Literal["approval"] = field(default="approval", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Event):
    """The model asks the user, or was answered.

    Attributes:
        question_id: Ties the answers to the questions.
        questions: What is asked.
        answers: What was answered, one a question; None while it waits.
    """

    question_id: str
    questions: tuple[AskedQuestion, ...]
    answers: tuple[Answer, ...] | None = None
    type: Literal["question"] = field(default="question", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Event):
    """Something went wrong.

    Attributes:
        error: What.
        fatal: Whether it ended the turn; otherwise the harness goes on by itself.
        refused_step: The step whose text counts no more once the harness goes on: it belongs to the
            try that went wrong. None where there is none.
    """

    error: ErrorInfo
    fatal: bool
    refused_step: StepIndex | None = None
    type: Literal["error"] = field(default="error", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Event):
    """The turn is in another state."""

    state: TurnState
    type: Literal["state"] = field(default="state", repr=False)


AnyEvent = Annotated[
    Text | Thought | ToolCall | ToolResult | Step | Usage | Approval | Question | Error | State,
    Field(discriminator="type"),
]
"""Any event of a response."""
