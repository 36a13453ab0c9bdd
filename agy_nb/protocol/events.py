"""The typed events of a response, as data.

Rule 1: every event names the trajectory that it belongs to, so that a subagent's text can
never be taken for the root agent's.
Rule 2: an event holds new parts only. The whole text of a step is the sum of its `Text` events.
Rule 3: `at` is the time at which the client saw the event. Two events that differ only in `at` are
equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from agy_nb.protocol.field_rules import FieldRule, JsonValue
from agy_nb.protocol.short_repr import html_fields, short_repr
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    ErrorInfo,
    JsonObject,
    Message,
    Prompt,
    Seconds,
    TokenUsage,
    Trajectory,
    TrajectoryUsage,
)

TurnKind: TypeAlias = Literal["prompt", "trigger", "wakeup"]
"""What began a turn; `wakeup` is the harness by itself."""

StepIndex = Annotated[int, FieldRule(ge=0)]
Instant = Annotated[float, FieldRule(allow_inf_nan=False)]


class TurnState(StrEnum):
    """The state of a turn.

    Example:
        >>> response = await (await agent.chat("Hello"))
        >>> response.state
        <TurnState.DONE: 'done'>
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_FOR_USER = "waiting_for_user"
    DONE = "done"
    CANCELLED = "cancelled"
    DENIED = "denied"
    FAILED = "failed"


FINAL = (TurnState.DONE, TurnState.CANCELLED, TurnState.DENIED, TurnState.FAILED)
"""The states in which a turn is over."""


class ApprovalState(StrEnum):
    """The state of an approval; all but the first are final.

    Example:
        >>> from agy_nb.protocol.events import ApprovalState
        >>> ApprovalState("denied") is ApprovalState.DENIED
        True
    """

    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Event:
    """The base of all events.

    Attributes:
        trajectory: Where it happened.
        at: When the client saw it, in seconds since the Unix epoch.

    Example:
        >>> response = await (await agent.chat("Hello"))
        >>> all(event.trajectory.is_root for event in response.events())
        True
    """

    trajectory: Trajectory = Trajectory()
    at: Instant = field(default=0.0, compare=False, repr=False)

    __repr__ = short_repr
    _repr_html_ = html_fields


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Text(Event):
    """A piece of an answer.

    Attributes:
        text: The new part of the text.
        step_index: The step that it belongs to.

    Example:
        >>> from agy_nb.protocol.events import Text
        >>> response = await (await agent.chat("Use get_weather for Rome"))
        >>> "".join(event.text for event in response.events() if isinstance(event, Text))
        'get_weather says: sunny in Rome'
    """

    text: str
    step_index: StepIndex = 0
    type: Literal["text"] = field(default="text", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Thought(Event):
    """Add a piece of the model's thoughts.

    Attributes:
        text: The new part of the text.
        step_index: The step that it belongs to.

    Example:
        >>> from agy_nb.protocol.events import Thought
        >>> Thought(text="A tool knows that.")
        Thought(text='A tool knows that.')
    """

    text: str
    step_index: StepIndex = 0
    type: Literal["thought"] = field(default="thought", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ToolCall(Event):
    """A tool is called.

    Attributes:
        call_id: Ties the call to its result.
        name: The tool's name.
        args: Its arguments.
        source: Where the tool comes from.
        server: Name of the MCP server that has it, or None.
        step_index: The step that it belongs to, None where that is not told.

    Example:
        >>> response = await (await agent.chat("Use get_weather for Rome"))
        >>> [(call.name, call.args["city"], call.source) for call in response.tool_calls]
        [('get_weather', 'Rome', 'custom')]
    """

    call_id: str
    name: str
    args: JsonObject = field(default_factory=dict)
    source: Literal["builtin", "custom", "mcp"] = "custom"
    server: str | None = None
    step_index: StepIndex | None = None
    type: Literal["tool_call"] = field(default="tool_call", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ToolResult(Event):
    """A tool has answered.

    Attributes:
        call_id: The `ToolCall` that it answers.
        name: The tool's name.
        result: The return value as the model sees it, None where the harness does not report it.
            It reports the result of an MCP tool to a post-tool hook only: agents of `create_agent`
            have one, a recorded program that uses the SDK by itself may lack it.
        error: Why the call failed, None if it did not. If a host tool raised, it begins with the
            name of the exception's class: `KeyError: 'x'`.
        denied: Whether a policy, a hook or the user refused the call, so that the tool never ran.
            `error` has the reason then.
        error_type: Class of the exception that a host tool raised, None if it raised none.
        traceback: The exception's traceback as text; empty if the tool raised none.

    Example:
        >>> response = await (await agent.chat("Use get_weather for Rome"))
        >>> [(result.name, result.result, result.error) for result in response.tool_results]
        [('get_weather', 'sunny in Rome', None)]
    """

    call_id: str
    name: str
    result: JsonValue = None
    error: str | None = None
    denied: bool = False
    error_type: str | None = None
    traceback: str = field(default="", repr=False)
    type: Literal["tool_result"] = field(default="tool_result", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
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
        text: The whole text of a step of the user or the system. Empty for the model's steps: their
            text comes as `Text` events.
        tool: Name of the tool that the step runs, or None.
        call_id: The `ToolCall` that the step runs, or None.

    Example:
        >>> response = await (await agent.chat("Hello"))
        >>> {step.source for step in response.steps if step.kind == "text"} >= {"model"}
        True
    """

    step_index: StepIndex
    kind: Literal["text", "thinking", "tool_call", "system", "compaction", "finish", "unknown"]
    source: Literal["model", "user", "system", "unknown"]
    target: Literal["user", "environment", "model", "unknown"]
    status: Literal["active", "done", "waiting_for_user", "error", "canceled", "unknown"]
    error: str = ""
    http_code: int | None = None
    text: str = field(default="", repr=False)
    tool: str | None = None
    call_id: str | None = None
    type: Literal["step"] = field(default="step", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Usage(Event):
    """A model call was metered.

    Attributes:
        usage: Tokens of this call.
        trajectory_total: Tokens of its trajectory so far.
        session_total: Tokens of the whole session so far, subagents included.

    Example:
        >>> from agy_nb.protocol.events import Usage
        >>> response = await (await agent.chat("Use get_weather for Rome"))
        >>> calls = [event.usage for event in response.events() if isinstance(event, Usage)]
        >>> len(calls), sum(call.total_tokens for call in calls) == response.usage.total_tokens
        (2, True)
    """

    usage: TokenUsage
    trajectory_total: TokenUsage
    session_total: TokenUsage
    type: Literal["usage"] = field(default="usage", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
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
        call_id: The `ToolCall` that it is about, empty where the harness does not name it.

    Example:
        >>> from agy_nb.protocol.events import Approval
        >>> response = await (await agent.chat("Use get_weather for Rome"))
        >>> [str(event.state) for event in response.events() if isinstance(event, Approval)]
        ['pending', 'allowed']
    """

    approval_id: str
    tool: str
    args: JsonObject = field(default_factory=dict)
    server: str | None = None
    state: ApprovalState
    reason: str = ""
    decided_by: str = ""
    wait: Annotated[float, FieldRule(ge=0, allow_inf_nan=False)] | None = field(
        default=None, compare=False
    )
    edited: JsonObject | None = None
    call_id: str = ""
    type: Literal["approval"] = field(default="approval", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Question(Event):
    """The model asks the user, or was answered.

    Attributes:
        question_id: Ties the answers to the questions.
        questions: The questions.
        answers: One answer per question; None while the questions wait.

    Example:
        >>> from agy_nb.protocol.events import Question
        >>> Question(question_id="1", questions=()).answers is None
        True
    """

    question_id: str
    questions: tuple[AskedQuestion, ...]
    answers: tuple[Answer, ...] | None = None
    type: Literal["question"] = field(default="question", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Error(Event):
    """Something went wrong.

    Attributes:
        error: What.
        fatal: Whether it ended the turn; otherwise the harness continues by itself.
        refused_step: The step whose text counts no more once the harness goes on: it belongs to the
            try that went wrong. None where there is none.
        retry: Number of the retry that the harness begins, from 1. None if it does not retry.
        max_retries: Maximum number of retries, None if the agent's configuration does not set it.

    Example:
        >>> from agy_nb.protocol.events import Error
        >>> async with ScriptedModel(fail(401)) as model:
        ...     agent = await agy.create_agent(model.config())
        ...     response = await (await agent.chat("Hello")).wait()
        >>> [event.error.http_code for event in response.events() if isinstance(event, Error)][-1]
        401
    """

    error: ErrorInfo
    fatal: bool
    refused_step: StepIndex | None = None
    retry: Annotated[int, FieldRule(ge=1)] | None = None
    max_retries: Annotated[int, FieldRule(ge=0)] | None = None
    type: Literal["error"] = field(default="error", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Waiting(Event):
    """The turn sends nothing before a moment; the next `State` ends the wait.

    Attributes:
        reason: Why: the model's quota is exceeded.
        until: The moment, in seconds since the Unix epoch.
        seconds: How long that is from now.

    Example:
        >>> from agy_nb.protocol.events import Waiting
        >>> Waiting(reason="quota", until=1_800_000_000.0, seconds=30.0).seconds
        30.0
    """

    reason: Literal["quota"]
    until: Instant
    seconds: Seconds
    type: Literal["waiting"] = field(default="waiting", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class State(Event):
    """The turn is in another state.

    Attributes:
        state: Which.

    Example:
        >>> from agy_nb.protocol.events import State
        >>> response = await (await agent.chat("Hello"))
        >>> [str(event.state) for event in response.events() if isinstance(event, State)][-2:]
        ['running', 'done']
    """

    state: TurnState
    type: Literal["state"] = field(default="state", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TurnBegan(Event):
    """A turn began: a prompt or a trigger was sent, or the harness woke up by itself.

    A trigger that is sent while a turn runs is answered by that turn, and begins none.

    Attributes:
        prompt: The prompt; an empty text if the harness woke up by itself.
        kind: The cause of the turn: a user's prompt, a trigger, or the harness by itself, as when a
            subagent or a timer reports back.

    Example:
        >>> from agy_nb.protocol.events import TurnBegan
        >>> from agy_nb.protocol.values import TextPart
        >>> TurnBegan(prompt=(TextPart(text="Hello"),)).kind
        'prompt'
    """

    prompt: Prompt
    kind: TurnKind = "prompt"
    type: Literal["turn_began"] = field(default="turn_began", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrajectoryState(Event):
    """A trajectory started, waits, or came to rest.

    Attributes:
        state: Where it stands.
        stop_reason: Why it stopped, in the SDK's words, e.g. `"MAX_TOOL_CALLS_EXCEEDED"`;
            `"UNSPECIFIED"` is a normal end. None while it runs.
        message: The harness's words for what ended it, or empty.

    Example:
        >>> from agy_nb.protocol.events import TrajectoryState
        >>> TrajectoryState(state="idle", stop_reason="UNSPECIFIED").message
        ''
    """

    state: Literal["running", "idle", "cancelled", "waiting", "unknown"]
    stop_reason: str | None = None
    message: str = ""
    type: Literal["trajectory_state"] = field(default="trajectory_state", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StructuredOutput(Event):
    """The agent finished with a value that fits its `response_schema`.

    Attributes:
        value: The value, as plain data.

    Example:
        >>> from agy_nb.protocol.events import StructuredOutput
        >>> StructuredOutput(value={"n": 42}).value["n"]
        42
    """

    value: JsonValue
    type: Literal["structured_output"] = field(default="structured_output", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SessionConfigured(Event):
    """The client sent the configuration of an agent to the harness.

    Attributes:
        model: Name of the text model, None where the configuration names none.
        endpoint: What serves the model.
        conversation_id: The conversation to continue with, None for a new one.
        host_tools: Names of the host functions.
        subagents: Models of the configured subagents by name; None for one that has the agent's.
        service_tier: Service tier that the agent asks for, None for the default.

    Example:
        >>> from agy_nb.protocol.events import SessionConfigured
        >>> SessionConfigured(model="gemini-2.5-flash").endpoint is None
        True
    """

    model: str | None = None
    endpoint: Literal["gemini", "vertex", "openai", "litert"] | None = None
    conversation_id: str | None = None
    host_tools: tuple[str, ...] = ()
    subagents: dict[str, str | None] = field(default_factory=dict)
    service_tier: str | None = None
    type: Literal["session_configured"] = field(default="session_configured", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SessionOpened(Event):
    """The harness opened a conversation, a new one or one that continues.

    Attributes:
        conversation_id: Its id, None where the harness names none.
        resumed: Whether the conversation was resumed.
        history: Its earlier messages.
        usage: Its tokens before this session, None if they are unknown.
        trajectory_usages: The same per trajectory.

    Example:
        >>> from agy_nb.protocol.events import SessionOpened
        >>> SessionOpened(conversation_id="c1").resumed
        False
    """

    conversation_id: str | None = None
    resumed: bool = False
    history: tuple[Message, ...] = ()
    usage: TokenUsage | None = None
    trajectory_usages: tuple[TrajectoryUsage, ...] = ()
    type: Literal["session_opened"] = field(default="session_opened", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SessionClosed(Event):
    """The connection to the harness ended.

    Attributes:
        by: Who closed it; `"unknown"` where a recording stops before the end.
        code: The WebSocket's close code, None where there is none.
        reason: The WebSocket's close reason, or empty.

    Example:
        >>> from agy_nb.protocol.events import SessionClosed
        >>> SessionClosed(by="client").by
        'client'
    """

    by: Literal["client", "harness", "unknown"]
    code: int | None = None
    reason: str = ""
    type: Literal["session_closed"] = field(default="session_closed", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AgentStarted(Event):
    """An agent of the runtime holds this connection. A host note: it never crosses the wire.

    Attributes:
        agent_id: Number of the agent within its runtime.
        labels: The user's labels of the agent.
        parent_agent_id: The agent that it was forked from; None for an agent that was not forked.
        forked_after_turn: The last turn that it has in common with its parent, 0 for none.
        parent_branch: The abandoned branch of the parent that it continues, None if it is not one.

    Example:
        >>> from agy_nb.protocol.events import AgentStarted
        >>> AgentStarted(agent_id=1, labels={"user": "ada"}).labels["user"]
        'ada'
    """

    agent_id: int
    labels: dict[str, str] = field(default_factory=dict)
    parent_agent_id: int | None = None
    forked_after_turn: int | None = None
    parent_branch: int | None = None
    type: Literal["agent_started"] = field(default="agent_started", repr=False)


MOST_ABANDONED = 250
"""Number of an agent's latest turns that can be named as abandoned, also without checkpoints.

An agent that lives for days must not grow by what a rewind would need.
"""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TurnsAbandoned(Event):
    """The agent went back to an earlier turn. A host note: it never crosses the wire.

    Attributes:
        agent_id: Number of the agent within its runtime.
        after_turn: The last turn that the agent has kept, 0 for none.
        turn_ids: The runtime's numbers of the abandoned turns, at least of the latest
            `MOST_ABANDONED`.
        branch: Number of the abandoned branch that the agent continues, None if it continues none.
        turn: The turn of that branch after which it continues; None without a branch.
        restored_turn_ids: The runtime's numbers of the turns that are not abandoned any more.

    Example:
        >>> from agy_nb.protocol.events import TurnsAbandoned
        >>> TurnsAbandoned(agent_id=1, after_turn=1, turn_ids=(2, 3)).after_turn
        1
    """

    agent_id: int
    after_turn: int
    turn_ids: tuple[int, ...] = ()
    branch: int | None = None
    turn: int | None = None
    restored_turn_ids: tuple[int, ...] = ()
    type: Literal["turns_abandoned"] = field(default="turns_abandoned", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ToolException(Event):
    """A host tool raised. A host note: of an exception only its text crosses the wire.

    Attributes:
        call_id: The `ToolCall` that raised.
        error_type: Name of the exception's class.
        message: The exception as `repr` writes it.
        traceback: The traceback as text.

    Example:
        >>> from agy_nb.protocol.events import ToolException
        >>> ToolException(call_id="1", error_type="KeyError", message="KeyError('x')").traceback
        ''
    """

    call_id: str
    error_type: str
    message: str
    traceback: str = field(default="", repr=False)
    type: Literal["tool_exception"] = field(default="tool_exception", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ToolDenied(Event):
    """A subagent's call was refused on this side. A host note: the harness sees an error only.

    Attributes:
        call_id: The `ToolCall` that was refused.
        reason: Why.

    Example:
        >>> from agy_nb.protocol.events import ToolDenied
        >>> ToolDenied(call_id="1", reason="denied by policy").reason
        'denied by policy'
    """

    call_id: str
    reason: str = ""
    type: Literal["tool_denied"] = field(default="tool_denied", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Problem(Event):
    """A frame holds something that makes no sense; the rest of it was read.

    Attributes:
        problem: What kind of problem it is, e.g. `"counter_went_back"`.
        detail: The finding and its place.

    Example:
        >>> from agy_nb.protocol.events import Problem
        >>> Problem(problem="bad_count", detail="promptTokenCount is -1").problem
        'bad_count'
    """

    problem: str
    detail: str = ""
    type: Literal["problem"] = field(default="problem", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UnknownFrame(Event):
    """A frame of a kind that this version does not know, as it came.

    Attributes:
        direction: Who sent it.
        frame: The whole frame.

    Example:
        >>> from agy_nb.protocol.events import UnknownFrame
        >>> UnknownFrame(direction="harness", frame={"newThing": 1}).frame
        {'newThing': 1}
    """

    direction: Literal["client", "harness"]
    frame: JsonObject
    type: Literal["unknown_frame"] = field(default="unknown_frame", repr=False)


AnyEvent = Annotated[
    Text
    | Thought
    | ToolCall
    | ToolResult
    | Step
    | Usage
    | Approval
    | Question
    | Error
    | Waiting
    | State
    | TurnBegan
    | TrajectoryState
    | StructuredOutput
    | SessionConfigured
    | SessionOpened
    | SessionClosed
    | AgentStarted
    | TurnsAbandoned
    | ToolException
    | ToolDenied
    | Problem
    | UnknownFrame,
    FieldRule(discriminator="type"),
]
"""Any event of a session."""
