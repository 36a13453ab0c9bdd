"""The seam: what the runtime needs of an agent's backend, and nothing of the SDK.

`backend.SdkBackend` is the real one; a backend in memory stands in for it in
property tests and benchmarks of the loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeAlias, cast

from agy_nb.protocol.encodable import encodable, encodable_text
from agy_nb.protocol.events import Event
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
    """This moment, in seconds since the Unix epoch: what an event's `at` holds."""
    return datetime.now(UTC).timestamp()


def stop_reason_of(word: str) -> str:
    """The SDK's `StopReason` of a word, which is a string as well; the word where there is none.

    Args:
        word: As the harness has it, e.g. `"MAX_TOOL_CALLS_EXCEEDED"`.
    """
    # The SDK is loaded where a turn of it has ended; elsewhere nobody can compare with its enum.
    known = getattr(sys.modules.get("google.antigravity.types"), "StopReason", None)
    try:
        return word if known is None else cast("str", known(word))
    except ValueError:
        return word


Sink: TypeAlias = Callable[[Event], None]
"""Takes each event of a session as it happens. Never blocks, never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A tool call that waits for a decision.

    Attributes:
        tool: The tool's name.
        args: The arguments that it would run with.
        server: Name of its MCP server, or None.
        reason: Why it is asked for, where the policy says so.
        trajectory: Which agent or subagent wants it.
        agent_id: Number of the agent within its runtime, None before the runtime has seen it.
        approval_id: What the `Approval` events of the turn call it; empty before that.
        timeout: Seconds until it is denied by itself, None before that.
        recorded: What was decided when the session was recorded, where a cassette replays it;
            nobody is asked then.
        editable: Whether the decision may change the arguments, see `ApprovalDecision.args`.
        call_id: The `call_id` of the call's events, empty where the SDK does not name it.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """The answer to an `ApprovalRequest`.

    Attributes:
        allowed: Whether the tool may run.
        reason: On a denial: why, in words that reach the model.
        decided_by: Who decided, for the record; `cassette` where a recording did.
        args: Arguments that take the place of those of the same name, None to leave all as they
            are. Only for a request that is `editable`.
        remember: Whether to allow later calls of this agent without asking: `"tool"` for any call
            of this tool, `"call"` for calls with these very arguments, empty for neither.
            `Agent.grants` lists and revokes them. It counts only where the call is allowed as it
            is, without `args`.

    Example:
        >>> agy.ApprovalDecision(allowed=False, reason="not on a Friday").allowed
        False
    """

    allowed: bool
    reason: str = ""
    decided_by: str = "user"
    args: JsonObject | None = None
    remember: Literal["", "tool", "call"] = ""

    def __post_init__(self) -> None:
        """Keep what the wire can hold: a denial that cannot be sent would hang the turn."""
        if isinstance(self.reason, str):
            object.__setattr__(self, "reason", encodable_text(self.reason))
        if self.args is not None:
            object.__setattr__(self, "args", encodable(self.args))


class Socket(Protocol):
    """A WebSocket, as far as the SDK uses it."""

    async def send(self, message: Any) -> None:
        """Send a frame."""
        ...

    async def recv(self) -> Any:
        """The next frame."""
        ...

    def __aiter__(self) -> AsyncIterator[Any]:
        """The frames that come, until the socket is closed."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...


class Start(Protocol):
    """A start of a harness; see `harness.HarnessStart`."""

    @property
    def binary_path(self) -> str:
        """The harness binary that the SDK has found."""
        ...

    @property
    def any_model(self) -> bool:
        """Whether the user named no model."""
        ...


Listen: TypeAlias = Callable[[Start, Any], Any]
"""Takes a start and its socket to a harness that is up; gives the socket to use."""

AnswerQuestions: TypeAlias = Callable[
    [str, tuple[AskedQuestion, ...]], Awaitable[tuple[Answer, ...]]
]
"""Answers the model's questions: takes their id and what is asked, gives one answer each."""


Gate: TypeAlias = Callable[[ApprovalRequest], Awaitable[ApprovalDecision]]
"""Decides on a tool call. Always answers; fails closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """What an agent is made of.

    Attributes:
        config: The SDK's configuration object, a mapping of its fields, or None.
        tools: Host functions, added to those of the configuration.
        policies: The SDK's policies, added to those of the configuration.
        hooks: The SDK's hooks, added to those of the configuration.
        triggers: The SDK's triggers, added to those of the configuration.
        answer: Answers the model's questions, where no hook of the user's does.
        asks_user: Whether there is somebody to ask; then the gate is asked where no policy says
            otherwise.
        asks_by_default: Whether a person can be asked, though no handler was given: about commands,
            what sends data away, and file tools outside the workspace.
        edits: Whether who is asked may change a call's arguments. The gate is asked in a hook then,
            which is a part of the configuration.
        listen: Gets the socket to each harness that is started for it, and gives the one to use.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """How a turn ended that did not fail.

    Attributes:
        stop_reason: Why the harness stopped, in the SDK's words; `"UNSPECIFIED"` is a normal end.
        usage: Tokens of the turn, subagents included; None where nothing was metered.
        structured_output: What fits the agent's `response_schema`, or None.
    """

    stop_reason: str = "UNSPECIFIED"
    usage: TokenUsage | None = None
    structured_output: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInfo:
    """A tool that an agent has.

    Attributes:
        name: Its name.
        source: Where it comes from.
        description: What it does, where that is known on this side.
        parameters: JSON schema of its arguments; None where only the harness knows it.
        server: Name of its MCP server, or None.

    Example:
        >>> [tool.name for tool in agent.available_tools() if tool.source == "custom"]
        ['get_weather']
    """

    name: str
    source: Literal["builtin", "custom", "mcp"]
    description: str = ""
    parameters: JsonObject | None = None
    server: str | None = None


class Timer(Protocol):
    """A callback that is to come."""

    def cancel(self) -> None:
        """Do not call back."""
        ...


class Clock(Protocol):
    """The time of one agent: the loop's, or that of the recording which it replays."""

    def time(self) -> float:
        """Seconds; only differences mean something."""
        ...

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> Timer:
        """Have something called at a moment.

        Args:
            when: The moment, as `time` tells it.
            callback: Called without arguments.
            of_turn: Whether it is about a turn that runs, or is about to.
        """
        ...

    def may_skip(self) -> bool:
        """Whether a pause before a prompt may be left out, as in the replay of a recording."""
        ...


class LoopClock:
    """The running loop's time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        """See `Clock`."""
        return self._loop.time()

    def call_at(
        self, when: float, callback: Callable[[], object], *, of_turn: bool = False
    ) -> Timer:
        """See `Clock`."""
        del of_turn  # of interest to a replay only
        return self._loop.call_at(when, callback)

    def may_skip(self) -> bool:
        """See `Clock`."""
        return False


def clock_of(session: object) -> Clock:
    """A session's time; one that does not know of another has the loop's."""
    clock: Clock | None = getattr(session, "clock", None)
    return LoopClock() if clock is None else clock


class RecordedAnswers(Protocol):
    """What a person said while a session was recorded; a cassette's socket has it."""

    def decision(self, request_id: str) -> JsonObject | None:
        """The recorded `PolicyDecisionResponse`, None if it is to be decided now."""
        ...

    def hook(self, request_id: str) -> JsonObject | None:
        """The recorded `CallHookResponse`, None if it is to be decided now."""
        ...

    def question(self, trajectory_id: str, step: int) -> JsonObject | None:
        """The recorded `UserQuestionsResponse`, None if it is to be answered now."""
        ...

    def denial(self, call_id: str) -> str | None:
        """Why a subagent's call was refused, empty if it was not; None if it is decided now."""
        ...

    def is_left_to_client(self, call_id: str) -> bool:
        """Whether nothing checked this call of a host tool before it was passed on."""
        ...


class ReplaySocket(Protocol):
    """What a replay knows beyond the frames; a cassette's socket has it."""

    @property
    def clock(self) -> Clock | None:
        """The time of the recording, None where that of the loop holds."""
        ...

    @property
    def error(self) -> Exception | None:
        """Why the replay does not go on; the SDK would keep only the text of it."""
        ...

    def reveal_requests(self) -> RecordedAnswers | None:
        """Let requests come that the recording answers.

        Returns:
            The answers, None if the session turned out to be a live one.
        """
        ...


class Session(Protocol):
    """One live conversation with an agent's backend."""

    @property
    def conversation_id(self) -> str | None:
        """The backend's id of the conversation, None before it is known."""
        ...

    @property
    def quota_key(self) -> str:
        """What its quota is counted by: the model's service and the key that it is called with."""
        ...

    @property
    def in_turn(self) -> bool:
        """Whether what happens now belongs to `run_turn`, not to a turn of the backend's own."""
        ...

    async def run_turn(self, prompt: Prompt) -> TurnOutcome:
        """Send a prompt and stay until the turn is over. Its events go to the sink.

        Raises:
            TurnCancelledError: `cancel` ended it.
            BackendError: It failed; the session is ready for the next turn unless it is lost.
            HarnessError: The session is lost.
        """
        ...

    def note(self, note: Event) -> None:
        """Have a recording of the session keep a fact that the backend does not know of."""
        ...

    async def cancel(self) -> None:
        """Ask the backend to end the turn of `run_turn`; one that waits is never sent."""
        ...

    async def send_trigger(self, text: str) -> None:
        """Send what a trigger would: the running turn answers it, or a turn of the backend's own.

        A turn of the backend's own goes to the sink from its `TurnBegan` event to a final `State`;
        what ended it, where it failed, is a fatal `Error` before that.
        """
        ...

    async def cancel_own_turn(self) -> None:
        """Ask the backend to end the turn that it has begun by itself."""
        ...

    def history(self) -> tuple[Message, ...]:
        """The conversation's messages, oldest first."""
        ...

    def turn_count(self) -> int:
        """Turns started."""
        ...

    def total_usage(self) -> TokenUsage | None:
        """Tokens of the whole session."""
        ...

    def last_turn_usage(self) -> TokenUsage | None:
        """Tokens of the latest turn."""
        ...

    def compaction_indices(self) -> tuple[int, ...]:
        """Steps of the history at which the context was compacted."""
        ...

    def last_response(self) -> str | None:
        """Text of the latest complete answer."""
        ...

    def clear_history(self) -> None:
        """Forget the transcript on this side."""
        ...

    def tools(self) -> tuple[ToolInfo, ...]:
        """Every tool of the agent that is known on this side."""
        ...

    def trajectory_usages(self) -> dict[str, TokenUsage]:
        """Tokens by trajectory so far, by the trajectory's id."""
        ...

    def sandbox_status(self) -> Any:
        """The SDK's `SandboxStatus`, None where the harness does not report one."""
        ...

    async def workflow_prompt(
        self, workflow: Any, script_path: Any, description: str
    ) -> tuple[str, Callable[[], None]]:
        """The prompt that has the agent run a workflow, and what removes its temporary file.

        Raises:
            InvalidInputError: There is no such workflow, or this agent may not run any.
        """
        ...

    async def close(self) -> None:
        """End the session and all that it started."""
        ...

    async def delete_state(self) -> None:
        """Remove the conversation from disk; called after `close`."""
        ...


class Backend(Protocol):
    """Opens sessions."""

    async def open(self, spec: AgentSpec, sink: Sink, gate: Gate | None) -> Session:
        """Start an agent.

        Args:
            spec: What it is made of.
            sink: Where its events go, for as long as it lives.
            gate: Decides on its tool calls; None denies whatever must be asked.

        Raises:
            InvalidConfigError: The configuration is refused.
            HarnessError: The harness does not start.
        """
        ...

    async def close(self) -> None:
        """Release what the backend itself holds, after its sessions are closed; twice is fine."""
        ...
