"""One open conversation with an agent's backend, and the backend that opens it.

`backend.SdkBackend` is the real backend. Property tests and benchmarks of the command loop use one
in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from agy_nb.protocol.events import Event
from agy_nb.protocol.values import Message, Prompt, TokenUsage
from agy_nb.sdk.interfaces.agent_spec import AgentSpec, ToolInfo
from agy_nb.sdk.interfaces.approval_request import Gate

Sink: TypeAlias = Callable[[Event], None]
"""Called with each event of a session. Must not block or raise."""


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


Restore: TypeAlias = Callable[[Path], None]
"""Writes an earlier state into the file of a conversation. Runs in a thread."""


class Conversation(Protocol):
    """The known facts about a conversation; no question goes to the backend."""

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

    def trajectory_usages(self) -> dict[str, TokenUsage]:
        """Return the tokens per trajectory id so far."""
        ...


class Session(Protocol):
    """One open conversation with an agent's backend."""

    @property
    def conversation(self) -> Conversation:
        """The known facts about the conversation."""
        ...

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

    def tools(self) -> tuple[ToolInfo, ...]:
        """Return the known tools of the agent."""
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
