"""The commands of the runtime, as data.

Rule 1: a command is a frozen value. It names the wanted result and not the steps to it.
Rule 2: `kind` decides how the loop treats it: a query is answered in the loop's own turn,
everything else becomes a task, `Shutdown` ends the loop.
Rule 3: a command has a JSON form. Tools, hooks and handlers have none: `submit` takes them as the
payload of the command.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agy_nb.protocol.amounts import counted
from agy_nb.protocol.values import AgentId, JsonObject, MediaPart, Prompt, Seconds, TextPart


class Kind(StrEnum):
    """How the loop treats a command; also the order of its dispatch phases."""

    QUERY = "query"
    LIFECYCLE = "lifecycle"
    CHAT = "chat"
    OPERATION = "operation"
    GLOBAL = "global"


def _size(prompt: Prompt) -> str:
    chars = sum(len(part.text) for part in prompt if isinstance(part, TextPart))
    media = sum(isinstance(part, MediaPart) for part in prompt)
    return counted(chars, "char") + (f" + {media} media" if media else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAgent:
    """Start an agent. Reply: `AgentCreated`.

    Attributes:
        config: Fields of the SDK's `LocalAgentConfig`, as JSON; empty for the default.
        labels: Labels of the agent in the tables and in recordings.
    """

    kind: ClassVar[Kind] = Kind.LIFECYCLE
    config: JsonObject = field(default_factory=dict, repr=False)
    labels: dict[str, str] = field(default_factory=dict)
    type: Literal["create_agent"] = field(default="create_agent", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Start another agent whose conversation begins with that of this one. Reply: `AgentCreated`.

    Attributes:
        turn: The last turn that both have in common: 1 for the first, 0 for none, -1 for the last;
            None for the conversation as it is.
        branch: Number of a branch that the agent has abandoned; None for its own turns.
        config: Fields of the SDK's `LocalAgentConfig` that differ, as JSON.
        labels: Labels of the new agent; None for those of this one.
        workspace: Whether it works on the same files, or on a copy.
    """

    kind: ClassVar[Kind] = Kind.LIFECYCLE
    agent_id: AgentId
    turn: int | None = None
    branch: Annotated[int, Field(ge=1)] | None = None
    config: JsonObject = field(default_factory=dict, repr=False)
    labels: dict[str, str] | None = None
    workspace: Literal["share", "copy"] = "share"
    type: Literal["fork"] = field(default="fork", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownAgent:
    """Stop an agent and its harness. Reply: `Done`."""

    kind: ClassVar[Kind] = Kind.LIFECYCLE
    agent_id: AgentId
    type: Literal["shutdown_agent"] = field(default="shutdown_agent", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """Send a prompt and stream the answer. Reply: `ChatStarted`."""

    kind: ClassVar[Kind] = Kind.CHAT
    agent_id: AgentId
    prompt: Prompt
    type: Literal["chat"] = field(default="chat", repr=False)

    def __repr__(self) -> str:
        return f"Chat(agent_id={self.agent_id}, prompt={_size(self.prompt)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send a prompt and do not wait for the turn. Reply: `Done`."""

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    prompt: Prompt
    type: Literal["send"] = field(default="send", repr=False)

    def __repr__(self) -> str:
        return f"Send(agent_id={self.agent_id}, prompt={_size(self.prompt)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Send the text of a trigger. Reply: `ChatStarted`, of the turn that answers it.

    Attributes:
        text: What happened, for the model.
    """

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    text: Annotated[str, Field(min_length=1)]
    type: Literal["trigger"] = field(default="trigger", repr=False)

    def __repr__(self) -> str:
        return f"Trigger(agent_id={self.agent_id}, text={counted(len(self.text), 'char')})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel the agent's running turn, if there is one. Reply: `Done`."""

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    type: Literal["cancel"] = field(default="cancel", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForIdle:
    """Wait until no turn of the agent runs or waits. Reply: `Done`.

    Attributes:
        timeout: Seconds to wait at most; None for as long as the turns take.
    """

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    timeout: Seconds | None = None
    type: Literal["wait_for_idle"] = field(default="wait_for_idle", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalIdle:
    """Release all callers that wait for the agent to be idle. Reply: `Done`."""

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    type: Literal["signal_idle"] = field(default="signal_idle", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForWakeup:
    """Wait until the next event of the conversation. Reply: `Woken`.

    Attributes:
        timeout: Seconds to wait at the most.
    """

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    timeout: Seconds
    type: Literal["wait_for_wakeup"] = field(default="wait_for_wakeup", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind:
    """Take the agent back to an earlier turn of its conversation. Reply: `Rewound`.

    Attributes:
        turn: The last turn to keep: 1 for the first, 0 for none, -1 for the last.
        branch: Number of the abandoned branch of this turn; None for the agent's own turns.
    """

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    turn: int
    branch: Annotated[int, Field(ge=1)] | None = None
    type: Literal["rewind"] = field(default="rewind", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearHistory:
    """Forget the client's transcript; the model's own context stays as it is. Reply: `Done`."""

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    type: Literal["clear_history"] = field(default="clear_history", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Shut the agent down and remove its conversation from disk. Reply: `Done`."""

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    type: Literal["delete"] = field(default="delete", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """Shut the agent down and keep its conversation on disk. Reply: `Done`."""

    kind: ClassVar[Kind] = Kind.OPERATION
    agent_id: AgentId
    type: Literal["disconnect"] = field(default="disconnect", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetHistory:
    """The conversation's messages. Reply: `History`."""

    kind: ClassVar[Kind] = Kind.QUERY
    agent_id: AgentId
    type: Literal["get_history"] = field(default="get_history", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTurnCount:
    """How many turns were started. Reply: `TurnCount`."""

    kind: ClassVar[Kind] = Kind.QUERY
    agent_id: AgentId
    type: Literal["get_turn_count"] = field(default="get_turn_count", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTotalUsage:
    """Tokens of the whole session. Reply: `UsageReport`."""

    kind: ClassVar[Kind] = Kind.QUERY
    agent_id: AgentId
    type: Literal["get_total_usage"] = field(default="get_total_usage", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetLastTurnUsage:
    """Tokens of the latest turn. Reply: `UsageReport`."""

    kind: ClassVar[Kind] = Kind.QUERY
    agent_id: AgentId
    type: Literal["get_last_turn_usage"] = field(default="get_last_turn_usage", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCompactionIndices:
    """Indices of the steps at which the context was compacted. Reply: `CompactionIndices`."""

    kind: ClassVar[Kind] = Kind.QUERY
    agent_id: AgentId
    type: Literal["get_compaction_indices"] = field(default="get_compaction_indices", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetLastResponse:
    """Text of the latest complete answer. Reply: `LastResponse`."""

    kind: ClassVar[Kind] = Kind.QUERY
    agent_id: AgentId
    type: Literal["get_last_response"] = field(default="get_last_response", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IsIdle:
    """Whether no turn of the agent runs or waits. Reply: `Idle`."""

    kind: ClassVar[Kind] = Kind.QUERY
    agent_id: AgentId
    type: Literal["is_idle"] = field(default="is_idle", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """End the loop and every agent that is left. Reply: `Done`."""

    kind: ClassVar[Kind] = Kind.GLOBAL
    type: Literal["shutdown"] = field(default="shutdown", repr=False)


Command = Annotated[
    # queries, answered in the loop's own turn
    GetHistory
    | GetTurnCount
    | GetTotalUsage
    | GetLastTurnUsage
    | GetCompactionIndices
    | GetLastResponse
    | IsIdle
    # lifecycle
    | CreateAgent
    | Fork
    | ShutdownAgent
    # chat
    | Chat
    # operations
    | Send
    | Trigger
    | Cancel
    | WaitForIdle
    | SignalIdle
    | WaitForWakeup
    | Rewind
    | ClearHistory
    | Delete
    | Disconnect
    # global
    | Shutdown,
    Field(discriminator="type"),
]
"""Any command."""
