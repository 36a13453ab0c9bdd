"""Requests to the user while an agent works, and the answers: approvals and questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agy_nb.protocol.encodable import encodable, encodable_text
from agy_nb.protocol.short_repr import html_fields, short_repr
from agy_nb.protocol.values import Answer, AskedQuestion, JsonObject, Trajectory


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


Gate: TypeAlias = Callable[[ApprovalRequest], Awaitable[ApprovalDecision]]
"""Decides on a tool call. Always returns a decision; an error denies the call."""

AnswerQuestions: TypeAlias = Callable[
    [str, tuple[AskedQuestion, ...]], Awaitable[tuple[Answer, ...]]
]
"""Answers the model's questions: called with id and questions, returns one answer per question."""
