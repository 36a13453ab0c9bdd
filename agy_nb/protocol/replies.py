"""The replies to commands, as data. Every command gets exactly one reply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from agy_nb.protocol.values import AgentId, ErrorInfo, Message, TokenUsage


def _in_this_process_only(value: object, info: ValidationInfo) -> object:
    """Refuse a handle in JSON: nothing outside this process can hold one."""
    if info.mode == "json":
        msg = "must not be in the JSON"
        raise ValueError(msg)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The command was carried out."""

    type: Literal["done"] = field(default="done", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCreated:
    """The agent runs; `agent_id` names it from now on."""

    agent_id: AgentId
    type: Literal["agent_created"] = field(default="agent_created", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatStarted:
    """The prompt is taken; the turn's events come on the handle of this turn.

    Attributes:
        turn_id: Number of the turn within the runtime, from 1.
        response: The turn's handle, for the sender in this process; JSON does not carry it.
    """

    agent_id: AgentId
    turn_id: Annotated[int, Field(ge=1)]
    response: Annotated[Any, Field(exclude=True), BeforeValidator(_in_this_process_only)] = field(
        default=None, compare=False, repr=False
    )
    type: Literal["chat_started"] = field(default="chat_started", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Woken:
    """Whether there was an event before the time was over."""

    woken: bool
    type: Literal["woken"] = field(default="woken", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound:
    """The agent has gone back.

    Attributes:
        turn: The last turn that it has kept, as a number from 0.
        branch: Number of the branch with the abandoned turns; None if nothing was abandoned.
    """

    turn: Annotated[int, Field(ge=0)]
    branch: Annotated[int, Field(ge=1)] | None = None
    type: Literal["rewound"] = field(default="rewound", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The conversation's messages, oldest first."""

    messages: tuple[Message, ...]
    type: Literal["history"] = field(default="history", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCount:
    """Turns started in this session."""

    turns: Annotated[int, Field(ge=0)]
    type: Literal["turn_count"] = field(default="turn_count", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Tokens, or None where no model call was metered."""

    usage: TokenUsage | None
    type: Literal["usage_report"] = field(default="usage_report", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionIndices:
    """Indices into the history."""

    indices: tuple[Annotated[int, Field(ge=0)], ...]
    type: Literal["compaction_indices"] = field(default="compaction_indices", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastResponse:
    """Text of the latest complete answer, None when there is none yet."""

    text: str | None
    type: Literal["last_response"] = field(default="last_response", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Whether the agent is idle."""

    idle: bool
    type: Literal["idle"] = field(default="idle", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The command could not be carried out."""

    error: ErrorInfo
    type: Literal["failed"] = field(default="failed", repr=False)


Reply = Annotated[
    Done
    | AgentCreated
    | ChatStarted
    | Woken
    | Rewound
    | History
    | TurnCount
    | UsageReport
    | CompactionIndices
    | LastResponse
    | Idle
    | Failed,
    Field(discriminator="type"),
]
"""Any reply."""
