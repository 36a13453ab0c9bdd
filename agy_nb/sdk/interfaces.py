"""The interfaces between the runtime and an agent's backend, independent of the SDK.

`backend.SdkBackend` is the real backend. Property tests and benchmarks of the command loop use one
in memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast

from agy_nb.protocol.encodable import encodable, encodable_text
from agy_nb.protocol.events import Event
from agy_nb.protocol.short_repr import html_fields, short_repr
from agy_nb.protocol.values import (
    Answer,
    AskedQuestion,
    JsonObject,
    Message,
    Prompt,
    TokenUsage,
    Trajectory,
)


def now() -> float:
    """Return the current time in seconds since the Unix epoch, as in an event's `at`."""
    return datetime.now(UTC).timestamp()


def stop_reason_of(word: str) -> str:
    """Return the SDK's `StopReason` (also a string) of a word, or the word if it is not known.

    Args:
        word: The harness's word, e.g. `"MAX_TOOL_CALLS_EXCEEDED"`.
    """
    # Without the SDK loaded, no code can compare with its enum, so it is not imported for this.
    known = getattr(sys.modules.get("google.antigravity.types"), "StopReason", None)
    try:
        return word if known is None else cast("str", known(word))
    except ValueError:
        return word


Sink: TypeAlias = Callable[[Event], None]
"""Called with each event of a session. Must not block or raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A tool call that waits for a decision.

    Attributes:
        tool: The tool's name.
        args: The arguments of the call.
        server: Name of the tool's MCP server, None for other tools.
        reason: Why the policy asks, if it gives a reason.
        trajectory: The agent or subagent that makes the call.
        agent_id: Number of the agent within its runtime, None before the runtime has set it.
        approval_id: Id of the request in the turn's `Approval` events; empty before that.
        timeout: Seconds until the call is denied automatically, None before that.
        recorded: The recorded decision if a cassette is replayed; the handler is then not called.
        editable: Whether the decision may change the arguments, see `ApprovalDecision.args`.
        call_id: The `call_id` of the call's events; empty if the SDK does not provide it.

    Example:
        >>> def only_weather(request):
        ...     return request.tool == "get_weather"
        >>> agent = await agy.create_agent(tools=[get_weather], ask_user=only_weather)
        >>> await agent.chat_text("Use get_weather for Paris")
        'get_weather says: sunny in Paris'
    """

    tool: str
    args: JsonObject = field(default_factory=dict)
    server: str | None = None
    reason: str = ""
    trajectory: Trajectory = Trajectory()
    agent_id: int | None = None
    approval_id: str = ""
    timeout: float | None = None
    recorded: ApprovalDecision | None = None
    editable: bool = False
    call_id: str = ""

    __repr__ = short_repr
    _repr_html_ = html_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """The answer to an `ApprovalRequest`.

    Attributes:
        allowed: Whether the tool may run.
        reason: Why the call is denied; the model receives this text.
        decided_by: The origin of the decision, for the `Approval` events; `cassette` in a replay.
        args: Arguments that replace those of the same name, None to change none. Only for an
            `editable` request.
        remember: Whether to allow later calls of this agent without asking: `"tool"` for any call
            of this tool, `"call"` for calls with the same arguments, empty for neither.
            `Agent.grants` lists and revokes them. Ignored for denials and for decisions with
            `args`.

    Example:
        >>> agy.ApprovalDecision(allowed=False, reason="not on a Friday").allowed
        False
    """

    allowed: bool
    reason: str = ""
    decided_by: str = "user"
    args: JsonObject | None = None
    remember: Literal["", "tool", "call"] = ""

    __repr__ = short_repr
    _repr_html_ = html_fields

    def __post_init__(self) -> None:
        """Replace text that cannot be encoded: a denial that cannot be sent would hang the turn."""
        if isinstance(self.reason, str):
            object.__setattr__(self, "reason", encodable_text(self.reason))
        if self.args is not None:
            object.__setattr__(self, "args", encodable(self.args))


class Socket(Protocol):
    """The methods of a WebSocket that the SDK uses."""

    async def send(self, message: Any) -> None:
        """Send a frame."""
        ...

    async def recv(self) -> Any:
        """Return the next frame."""
        ...

    def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over the received frames until the socket is closed."""
        ...

    async def close(self) -> None:
        """Close the socket."""
        ...


class Start(Protocol):
    """The start of a harness; see `process.launch.HarnessStart`."""

    @property
    def binary_path(self) -> str:
        """Path of the harness binary."""
        ...

    @property
    def any_model(self) -> bool:
        """Whether the user's configuration does not name a model."""
        ...


Listen: TypeAlias = Callable[[Start, Any], Any]
"""Called with a start and its connected socket; returns the socket to use instead."""

AnswerQuestions: TypeAlias = Callable[
    [str, tuple[AskedQuestion, ...]], Awaitable[tuple[Answer, ...]]
]
"""Answers the model's questions: called with id and questions, returns one answer per question."""


Gate: TypeAlias = Callable[[ApprovalRequest], Awaitable[ApprovalDecision]]
"""Decides on a tool call. Always returns a decision; an error denies the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchPoint:
    """Where a forked agent parts from its parent, or from a recording.

    Attributes:
        parent_agent_id: The runtime's number of the parent; None for a recording.
        after_turn: The last turn that both have in common, 0 for none.
        parent_branch: The abandoned branch of the parent that it continues, None if it is not one.
        conversation_id: The conversation to continue; None to begin a new one.
        save_dir: The folder with the copy of the conversation; None for a new folder.
    """

    parent_agent_id: int | None
    after_turn: int
    parent_branch: int | None = None
    conversation_id: str | None = None
    save_dir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """The configuration and the Python objects of an agent.

    Attributes:
        config: The SDK's configuration object, a mapping of its fields, or None.
        tools: Host functions, added to those of the configuration.
        policies: The SDK's policies, added to those of the configuration.
        hooks: The SDK's hooks, added to those of the configuration.
        triggers: The SDK's triggers, added to those of the configuration.
        answer: Answers the model's questions if the user has no hook for them.
        asks_user: Whether the user passed an approval handler. The gate is then asked about every
            call that no policy decides.
        asks_by_default: Whether there is a default handler, which is asked about commands, calls
            that send data away, and file tools outside the workspace.
        edits: Whether the handler may change a call's arguments. The gate is then asked from a
            hook, which is part of the configuration.
        listen: Called with the socket of each harness of the agent; returns the socket to use.
        labels: The user's labels of the agent.
        branch: Where the agent parts from its parent; None if it was not forked.
    """

    config: Any = None
    tools: Sequence[Callable[..., Any]] = ()
    policies: Sequence[Any] = ()
    hooks: Sequence[Any] = ()
    triggers: Sequence[Any] = ()
    answer: AnswerQuestions | None = None
    asks_user: bool = False
    asks_by_default: bool = False
    edits: bool = False
    listen: Listen | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    branch: BranchPoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """The result of a turn that did not fail.

    Attributes:
        stop_reason: Name of the SDK's `StopReason`; `"UNSPECIFIED"` is a normal end.
        usage: Tokens of the turn, including subagents; None if no usage was reported.
        structured_output: The output for the agent's `response_schema`, or None.
    """

    stop_reason: str = "UNSPECIFIED"
    usage: TokenUsage | None = None
    structured_output: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInfo:
    """A tool of an agent.

    Attributes:
        name: Name of the tool.
        source: `builtin`, `custom` (a host function) or `mcp`.
        description: Description of the tool, if the SDK knows it.
        parameters: JSON schema of the arguments; None if only the harness knows it.
        server: Name of the MCP server, None for other tools.

    Example:
        >>> [tool.name for tool in agent.available_tools() if tool.source == "custom"]
        ['get_weather']
    """

    name: str
    source: Literal["builtin", "custom", "mcp"]
    description: str = ""
    parameters: JsonObject | None = None
    server: str | None = None

    __repr__ = short_repr
    _repr_html_ = html_fields


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Do not call the callback."""
        ...


class Clock(Protocol):
    """The clock of one agent: the event loop's, or that of a replayed recording."""

    def time(self) -> float:
        """Return the time in seconds; only differences are meaningful."""
        ...

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> Timer:
        """Call a function at a time of this clock.

        Args:
            when: The time, in seconds of `time`.
            callback: Called without arguments.
            of_turn: Whether the timer belongs to a turn that runs or is about to begin.
        """
        ...

    def may_skip(self) -> bool:
        """Return whether a pause before a prompt may be skipped, as in a replay."""
        ...


class LoopClock:
    """The clock of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        """See `Clock`."""
        return self._loop.time()

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> Timer:
        """See `Clock`."""
        del of_turn  # only used in a replay
        return self._loop.call_at(when, callback)

    def may_skip(self) -> bool:
        """See `Clock`."""
        return False


def clock_of(session: object) -> Clock:
    """Return a session's clock, or the event loop's if the session has none."""
    clock: Clock | None = getattr(session, "clock", None)
    return LoopClock() if clock is None else clock


class RecordedAnswers(Protocol):
    """The user's recorded answers; see `cassette.replay.cassette_answers.CassetteAnswers`."""

    def decision(self, request_id: str) -> JsonObject | None:
        """Return the recorded `PolicyDecisionResponse`, None to decide now."""
        ...

    def hook(self, request_id: str) -> JsonObject | None:
        """Return the recorded `CallHookResponse`, None to decide now."""
        ...

    def question(self, trajectory_id: str, step: int) -> JsonObject | None:
        """Return the recorded `UserQuestionsResponse`, None to ask now."""
        ...

    def denial(self, call_id: str) -> str | None:
        """Return why a subagent's call was denied, empty if it was allowed, None to decide now."""
        ...

    def is_left_to_client(self, call_id: str) -> bool:
        """Return whether the client must apply its policies to this call of a host tool."""
        ...


class ReplaySocket(Protocol):
    """The additional interface of a replayed session's socket."""

    @property
    def clock(self) -> Clock | None:
        """The clock of the recording, None to use the event loop's."""
        ...

    @property
    def error(self) -> Exception | None:
        """The error that ended the replay, as an object; the SDK keeps its text only."""
        ...

    def read_through(self, is_read: Callable[[], bool]) -> None:
        """Let turns end when the client has read their steps."""
        ...

    def reveal_requests(self) -> RecordedAnswers | None:
        """Release requests that the recording answers.

        Returns:
            The recorded answers, None for a live session.
        """
        ...


Restore: TypeAlias = Callable[[Path], None]
"""Writes an earlier state into the file of a conversation. Runs in a thread."""


class Session(Protocol):
    """One open conversation with an agent's backend."""

    @property
    def conversation_id(self) -> str | None:
        """The backend's id of the conversation, None before it is known."""
        ...

    @property
    def quota_key(self) -> str:
        """The key of the session's quota: the model's service and its API key."""
        ...

    @property
    def in_turn(self) -> bool:
        """Whether events belong to `run_turn`, not to a turn that the backend began."""
        ...

    @property
    def database(self) -> Path | None:
        """The file with the state of the conversation; None in a replay, which needs no state."""
        ...

    async def run_turn(self, prompt: Prompt) -> TurnOutcome:
        """Send a prompt and wait for the end of the turn. Its events go to the sink.

        Raises:
            TurnCancelledError: `cancel` ended the turn.
            BackendError: The turn failed; the session is ready for the next one.
            HarnessError: The harness has ended.
        """
        ...

    def note(self, note: Event) -> None:
        """Add an event that the backend does not know to a recording of the session."""
        ...

    async def go_back(
        self,
        restore: Restore | None,
        note: Event,
        *,
        turns: int,
        conversation_id: str | None = None,
    ) -> None:
        """Put an earlier state of the conversation back, and continue from there.

        Called between turns. If it fails before the state was put back, nothing has changed.

        Args:
            restore: Puts the state back into `database`, while no backend has the file open; None
                for a replay, and for the beginning of the conversation.
            note: Added to a recording, before the next turn.
            turns: The number of turns of this session that are kept; -1 to begin a new
                conversation.
            conversation_id: The conversation to continue; None for the one that is open.
        """
        ...

    async def cancel(self) -> None:
        """Ask the backend to end the turn of `run_turn`; a prompt that waits is never sent."""
        ...

    async def send_trigger(self, text: str) -> None:
        """Send the text of a trigger. The running turn answers it, or a new one that it begins.

        Events of the new turn go to the sink, from `TurnBegan` to a final `State`. If the turn
        fails, a fatal `Error` comes before the `State`.
        """
        ...

    async def cancel_own_turn(self) -> None:
        """Ask the backend to end a turn that it began."""
        ...

    def history(self) -> tuple[Message, ...]:
        """Return the conversation's messages, oldest first."""
        ...

    def turn_count(self) -> int:
        """Return the number of turns."""
        ...

    def total_usage(self) -> TokenUsage | None:
        """Return the tokens of the whole session."""
        ...

    def last_turn_usage(self) -> TokenUsage | None:
        """Return the tokens of the latest turn."""
        ...

    def compaction_indices(self) -> tuple[int, ...]:
        """Return the steps of the history at which the context was compacted."""
        ...

    def last_response(self) -> str | None:
        """Return the text of the latest complete answer."""
        ...

    def clear_history(self) -> None:
        """Clear the history that the SDK keeps."""
        ...

    def tools(self) -> tuple[ToolInfo, ...]:
        """Return the known tools of the agent."""
        ...

    def trajectory_usages(self) -> dict[str, TokenUsage]:
        """Return the tokens per trajectory id so far."""
        ...

    def sandbox_status(self) -> Any:
        """Return the SDK's `SandboxStatus`, None if the harness does not report one."""
        ...

    async def workflow_prompt(
        self, workflow: Any, script_path: Any, description: str
    ) -> tuple[str, Callable[[], None]]:
        """Return the prompt that runs a workflow, and a function that removes its temporary file.

        Raises:
            InvalidInputError: The workflow does not exist, or this agent may not run workflows.
        """
        ...

    async def close(self) -> None:
        """End the session and its harness."""
        ...

    async def delete_state(self) -> None:
        """Remove the conversation from disk; called after `close`."""
        ...


class Backend(Protocol):
    """Opens sessions."""

    async def open(self, spec: AgentSpec, sink: Sink, gate: Gate | None) -> Session:
        """Start an agent.

        Args:
            spec: The agent's configuration and objects.
            sink: Called with all events of the agent.
            gate: Decides on tool calls; None denies every call that needs a decision.

        Raises:
            InvalidConfigError: The SDK or agy_nb rejects the configuration.
            HarnessError: The harness does not start.
        """
        ...

    async def close(self) -> None:
        """Release the backend's own resources after all sessions; a second call does nothing."""
        ...
