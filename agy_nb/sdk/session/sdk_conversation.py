"""What the SDK knows about a conversation that continues in one harness after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agy_nb.protocol.values import Message, TokenUsage
from agy_nb.sdk.connection import HarnessConnection
from agy_nb.sdk.converters import last_answer, messages_of, token_usage


@dataclass(slots=True)
class SdkConversation:
    """See `Conversation`.

    Attributes:
        harness: The present harness, None before the first one.
        turns_before: The number of turns in earlier harnesses.
    """

    harness: HarnessConnection | None = None
    turns_before: int = 0

    @property
    def _connected(self) -> HarnessConnection:
        assert self.harness is not None
        return self.harness

    @property
    def _sdk(self) -> Any:
        return self._connected.agent.conversation

    def history(self) -> tuple[Message, ...]:
        """Return the last state of every step with text, oldest first."""
        return messages_of(self._sdk.history, self._connected.reader.trajectory)

    def turn_count(self) -> int:
        """Return the number of turns, including those of earlier harnesses."""
        return self.turns_before + int(self._sdk.turn_count)

    def total_usage(self) -> TokenUsage | None:
        """Return the tokens of the session, None before the first reported usage."""
        return token_usage(self._connected.connection.cumulative_usage)

    def last_turn_usage(self) -> TokenUsage | None:
        """Return the tokens of the latest turn, None if no usage was reported."""
        return token_usage(self._sdk.last_turn_usage)

    def compaction_indices(self) -> tuple[int, ...]:
        """Return the steps of the SDK's history at which the context was compacted."""
        return tuple(self._sdk.compaction_indices)

    def last_response(self) -> str | None:
        """Return the text of the root agent's latest complete answer."""
        return last_answer(self._sdk.history)

    def clear_history(self) -> None:
        """Clear the SDK's history; the harness keeps the model's context."""
        self.turns_before = 0
        self._sdk.clear_history()

    def trajectory_usages(self) -> dict[str, TokenUsage]:
        """Return the tokens per trajectory so far."""
        usages = getattr(self._connected.connection, "trajectory_usages", {})
        found = {key: token_usage(usage) for key, usage in usages.items()}
        return {key: usage for key, usage in found.items() if usage is not None}
